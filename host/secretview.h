// secretview.h: a text as it reads after one kind of unescaping, with the way back.
// SPDX-License-Identifier: MIT
#ifndef CTZ_SECRETVIEW_H
#define CTZ_SECRETVIEW_H

#include "host/api.h"

enum ctz_view {
    CTZ_VIEW_PERCENT,   // %41
    CTZ_VIEW_FORM,      // the same, and + for a space
    CTZ_VIEW_BACKSLASH, // \n \" \u0041: JSON, Lua, C, a shell's backslash
    CTZ_VIEW_XML,       // &amp; &#65; &#x41;
    CTZ_VIEW_UNWRAPPED, // long lines of base64 joined
    CTZ_VIEW_COUNT
};

/// Could this view differ from the text?
bool ctz_view_applies(enum ctz_view view, const char *text, size_t size);
/// Writes the view to out (at most size bytes) and where each of its bytes begins in the text to
/// map (at most size + 1; the last is the end). Returns its length. *cut: the text ends in the
/// middle of an escape, which is left out.
size_t ctz_view_make(enum ctz_view view, const char *text, size_t size, char *out, uint32_t *map,
                     bool *cut);

#endif
