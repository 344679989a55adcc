// escape.c: text as part of a URL.
// SPDX-License-Identifier: MIT
#include "bindings/http/module.h"

#include "host/door.h"

#include <stdbool.h>

// RFC 3986 section 2.3: what stands for itself everywhere. Never the locale's letters.
static bool is_unreserved(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '.' || byte == '_' || byte == '~';
}

// escape(text) -> text: for a segment of a path or a value of a query.
int http_l_escape(lua_State *L)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t length;
    const char *text = luaL_checklstring(L, 1, &length);
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, length * 3), *start = to;
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (is_unreserved(byte)) {
            *to++ = (char)byte;
            continue;
        }
        *to++ = '%';
        *to++ = digits[byte >> 4];
        *to++ = digits[byte & 15];
    }
    luaL_pushresultsize(&buffer, (size_t)(to - start));
    return 1;
}
