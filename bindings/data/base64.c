// base64.c: base64 (RFC 4648), strict: what decodes is exactly what encode writes.
// SPDX-License-Identifier: MIT
#include "bindings/data/base64.h"

#include <lauxlib.h>

#include "bindings/data/text.h"
#include "host/luax.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

size_t ctz_base64_encode(const char *bytes, size_t size, unsigned flags, char *out)
{
    char letters[64];
    memcpy(letters, alphabet, 62);
    letters[62] = flags & CTZ_BASE64_URL ? '-' : '+';
    letters[63] = flags & CTZ_BASE64_URL ? '_' : '/';
    const unsigned char *in = (const unsigned char *)bytes, *end = in + size;
    char *at = out;
    for (; end - in >= 3; in += 3) {
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *at++ = letters[bits >> 18];
        *at++ = letters[bits >> 12 & 63];
        *at++ = letters[bits >> 6 & 63];
        *at++ = letters[bits & 63];
    }
    if (in < end) {
        bool two = end - in == 2;
        uint32_t bits = (uint32_t)in[0] << 16 | (two ? (uint32_t)in[1] << 8 : 0);
        *at++ = letters[bits >> 18];
        *at++ = letters[bits >> 12 & 63];
        if (two)
            *at++ = letters[bits >> 6 & 63];
        for (int i = two; i < 2 && !(flags & CTZ_BASE64_UNPADDED); i++)
            *at++ = '=';
    }
    return (size_t)(at - out);
}

static int value_of(char c, unsigned flags)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (flags & CTZ_BASE64_URL ? '-' : '+'))
        return 62;
    return c == (flags & CTZ_BASE64_URL ? '_' : '/') ? 63 : -1;
}

static const char *skip_breaks(const char *at, const char *end)
{
    while (at < end && (*at == '\n' || *at == '\r'))
        at++;
    return at;
}

// The end of the text: padding that fits the number of letters in the last group, and no bits left.
static const char *check_end(const char *at, const char *end, size_t letters, uint32_t bits,
                             unsigned flags)
{
    static const uint32_t unused[] = {0, 0, 0xf, 0x3}; // bits that belong to no byte
    if (letters == 1 || (bits & unused[letters]))
        return at;
    bool padded = at < end;
    size_t missing = letters == 0 || (!padded && flags & CTZ_BASE64_UNPADDED) ? 0 : 4 - letters;
    for (; missing > 0; missing--) {
        if (at == end || *at != '=')
            return at;
        at = skip_breaks(at + 1, end);
    }
    return at < end ? at : NULL;
}

const char *ctz_base64_decode(const char *text, size_t size, unsigned flags, char *out,
                              size_t *out_size)
{
    const char *end = text + size, *at = skip_breaks(text, end);
    char *to = out;
    uint32_t bits = 0;
    size_t letters = 0; // of the group of four
    for (; at < end && *at != '='; at = skip_breaks(at + 1, end)) {
        int value = value_of(*at, flags);
        if (value < 0)
            return at;
        bits = bits << 6 | (uint32_t)value;
        if (++letters == 4) {
            *to++ = (char)(bits >> 16);
            *to++ = (char)(bits >> 8);
            *to++ = (char)bits;
            letters = 0;
            bits = 0;
        }
    }
    const char *wrong = check_end(at, end, letters, bits, flags);
    if (wrong)
        return wrong;
    if (letters == 2) {
        *to++ = (char)(bits >> 4);
    } else if (letters == 3) {
        *to++ = (char)(bits >> 10);
        *to++ = (char)(bits >> 2);
    }
    *out_size = (size_t)(to - out);
    return NULL;
}

// --- functions ---------------------------------------------------------------------------------

static unsigned read_flags(lua_State *L, int idx, const char *const *names)
{
    ctz_opts_check(L, idx, names);
    bool url = ctz_opt_bool(L, idx, "url", false);
    bool pad = !names[1] ? !url : ctz_opt_bool(L, idx, "pad", true);
    return (url ? CTZ_BASE64_URL : 0u) | (pad ? 0u : CTZ_BASE64_UNPADDED);
}

/// ctz.base64.encode(bytes, opts?) -> string
/// Writes any bytes as base64 on one line.
/// @param bytes string
/// @param opts.url? boolean  the alphabet for URLs and file names: '-' and '_'
/// @param opts.pad? boolean  '=' at the end; default: true
/// @return string
/// @example assert(ctz.base64.encode "admin:s3cret" == "YWRtaW46czNjcmV0")
/// Api: RFC 4648, sections 4 and 5
int ctz_l_base64_encode(lua_State *L)
{
    static const char *const options[] = {"url", "pad", NULL};
    size_t size;
    const char *bytes = ctz_check_string(L, 1, "bytes", &size);
    unsigned flags = read_flags(L, 2, options);
    luaL_Buffer buffer;
    char *out = luaL_buffinitsize(L, &buffer, CTZ_BASE64_ENCODED(size));
    luaL_pushresultsize(&buffer, ctz_base64_encode(bytes, size, flags, out));
    return 1;
}

/// ctz.base64.decode(text, opts?) -> string
/// Reads base64 back to bytes. Line breaks are skipped; any other foreign character, wrong padding
/// and stray bits at the end are refused.
/// @param text string
/// @param opts.url? boolean  the alphabet for URLs; padding may then be absent
/// @return string
/// @error protocol it is not base64; the message has the place
/// @example assert(ctz.base64.decode "YWRtaW46czNjcmV0" == "admin:s3cret")
/// Api: RFC 4648, sections 4 and 5
int ctz_l_base64_decode(lua_State *L)
{
    static const char *const options[] = {"url", NULL};
    struct ctz_text text = {0};
    text.bytes = ctz_check_string(L, 1, "text", &text.size);
    unsigned flags = read_flags(L, 2, options);
    luaL_Buffer buffer;
    char *out = luaL_buffinitsize(L, &buffer, CTZ_BASE64_DECODED(text.size));
    size_t size;
    const char *wrong = ctz_base64_decode(text.bytes, text.size, flags, out, &size);
    if (!wrong) {
        luaL_pushresultsize(&buffer, size);
        return 1;
    }
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_PROTOCOL, "not base64 at byte %zu%s",
                  (size_t)(wrong - text.bytes) + 1,
                  wrong == text.bytes + text.size ? ": the text ends too early" : "");
    return ctz_raise(L, &err);
}
