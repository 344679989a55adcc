// keys.h: the bytes that a terminal sends, taken apart into whole keys.
// SPDX-License-Identifier: MIT
#ifndef CTZ_REPL_KEYS_H
#define CTZ_REPL_KEYS_H

#include "host/api.h"

#define CTZ_KEY_CTRL(letter) ((letter)&0x1F)
#define CTZ_KEY_ESCAPE       0x1B
#define CTZ_PASTE_END        "\033[201~"

enum ctz_key_kind {
    CTZ_KEY_CHARACTER,   // also a control character, and what a cursor key stands for
    CTZ_KEY_META,        // with Alt, or after Escape
    CTZ_KEY_DELETE,      // as Ctrl-D, but never the end of input
    CTZ_KEY_PASTE_BEGIN, // what follows up to CTZ_PASTE_END was pasted
    CTZ_KEY_IGNORED,     // of no use here
};

struct ctz_key {
    enum ctz_key_kind kind;
    uint32_t character;
};

/// Takes the first key: returns its bytes, 0 when it is not whole yet.
size_t ctz_key_read(const char *bytes, size_t size, struct ctz_key *key);

#endif
