// json.h: JSON text to and from Lua values, with no tree between (RFC 8259).
// SPDX-License-Identifier: MIT
#ifndef CTZ_DATA_JSON_H
#define CTZ_DATA_JSON_H

#include <lua.h>

#include "bindings/data/text.h"
#include "bindings/data/walk.h"
#include "host/buffer.h"

struct ctz_json_reading {
    size_t max_depth;
    bool big_as_float; // integers beyond int64 are rounded instead of refused
    bool is_part;      // one value that begins at byte `from`; other text may follow it
    size_t from;
};

/// Pushes the value of the text, or raises. The text is a Lua string, so a NUL follows it; the
/// caller anchors it. Returns the place behind the value.
size_t ctz_json_read(lua_State *L, const struct ctz_text *text,
                     const struct ctz_json_reading *reading);

struct ctz_json_writing {
    int indent;   // spaces per level; 0: all on one line
    bool replace; // bytes that are not UTF-8 become U+FFFD instead of an error
};

/// A ctz_writer_event; style is a struct ctz_json_writing.
int ctz_json_write(struct ctz_walk *walk, enum ctz_walk_event event, const void *style,
                   struct ctz_buffer *out, struct ctz_error *err);
/// Appends one string with its quotes; false when it is not UTF-8 (and replace is not asked for).
bool ctz_json_write_string(struct ctz_buffer *out, const char *text, size_t size, bool replace);

int ctz_l_json_decode(lua_State *L);
int ctz_l_json_encode(lua_State *L);

#endif
