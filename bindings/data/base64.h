// base64.h: base64 (RFC 4648), strict.
// SPDX-License-Identifier: MIT
#ifndef CTZ_DATA_BASE64_H
#define CTZ_DATA_BASE64_H

#include <lua.h>

#include "host/api.h"

enum ctz_base64 {
    CTZ_BASE64_URL = 1,      // '-' and '_' for '+' and '/'
    CTZ_BASE64_UNPADDED = 2, // encode: no '=' at the end; decode: it may be absent
};

#define CTZ_BASE64_ENCODED(size) (((size) + 2) / 3 * 4)
#define CTZ_BASE64_DECODED(size) ((size) / 4 * 3 + 3)

/// out has room for CTZ_BASE64_ENCODED(size) bytes; returns how many were written.
size_t ctz_base64_encode(const char *bytes, size_t size, unsigned flags, char *out);
/// out has room for CTZ_BASE64_DECODED(size) bytes. Line breaks are skipped. Returns NULL and sets
/// out_size, or the first byte that has no place where it stands.
const char *ctz_base64_decode(const char *text, size_t size, unsigned flags, char *out,
                              size_t *out_size);

int ctz_l_base64_encode(lua_State *L);
int ctz_l_base64_decode(lua_State *L);

#endif
