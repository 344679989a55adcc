// text.h: bytes of a JSON or YAML text: plain runs, UTF-8, and where something stands.
// SPDX-License-Identifier: MIT
#ifndef CTZ_DATA_TEXT_H
#define CTZ_DATA_TEXT_H

#include <lua.h>
#include <string.h>

#include "host/api.h"
#include "host/error.h"

/// A text under the reader. `name` (may be NULL) is what its owner calls it: a file name.
struct ctz_text {
    const char *bytes;
    size_t size;
    const char *name;
};

/// The first byte in [at, end) that a JSON string does not hold as it is: a control, a quote, a
/// backslash, or one that is not ASCII. Eight at a time.
static inline const char *ctz_text_plain(const char *at, const char *end)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones << 7;
    for (; end - at >= 8; at += 8) {
        uint64_t x;
        memcpy(&x, at, sizeof x);
        uint64_t quote = x ^ (ones * '"'), slash = x ^ (ones * '\\');
        // (y - ones) & ~y has a top bit where a byte of y is 0; a borrow can only add wrong bits
        // above the first right one.
        uint64_t found =
            (x | ((x - ones * 0x20) & ~x) | ((quote - ones) & ~quote) | ((slash - ones) & ~slash)) &
            tops;
        if (found)
            return at + __builtin_ctzll(found) / 8;
    }
#endif
    while (at < end && (unsigned char)*at >= 0x20 && (unsigned char)*at < 0x80 && *at != '"' &&
           *at != '\\')
        at++;
    return at;
}

/// Bytes of the well-formed UTF-8 sequence at `at` (RFC 3629: no surrogates, nothing overlong), 0
/// when there is none.
size_t ctz_text_sequence(const char *at, const char *end);
/// The code point of a well-formed sequence of `size` bytes.
uint32_t ctz_text_codepoint(const char *at, size_t size);
/// Writes code point `c` as UTF-8 and returns its bytes, 1 to 4.
size_t ctz_text_put(char *out, uint32_t c);
/// The first byte that is not well-formed UTF-8; `end` when all is.
const char *ctz_text_invalid(const char *at, const char *end);

/// Sets err to "name:3:15: <message> near "...""; line and column are counted from 1, columns in
/// characters. Returns -1.
int ctz_text_error(const struct ctz_text *text, const char *at, struct ctz_error *err,
                   enum ctz_error_kind kind, const char *format, ...) CTZ_PRINTF(5, 6);
/// "3:15" of the byte at `at`, in a buffer of the caller's.
#define CTZ_PLACE_BYTES 48
const char *ctz_text_place(const struct ctz_text *text, const char *at,
                           char place[CTZ_PLACE_BYTES]);

/// Raises size when the text is longer than the limit document_bytes.
void ctz_text_check_size(lua_State *L, const struct ctz_text *text);

#endif
