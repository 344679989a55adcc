// text.c: bytes of a JSON or YAML text: plain runs, UTF-8, and where something stands.
// SPDX-License-Identifier: MIT
#include "bindings/data/text.h"

#include <stdarg.h>
#include <stdio.h>

#include "host/luax.h"

#define MESSAGE_BYTES 512
#define EXCERPT_SIDE  20 // bytes shown before and behind the place of an error
#define EXCERPT_BYTES (2 * EXCERPT_SIDE + 16)

// --- UTF-8 -------------------------------------------------------------------------------------

static bool is_continuation(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

// The bounds of the second byte hold what is overlong, a surrogate or beyond U+10FFFF (RFC 3629).
static bool second_fits(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0:
        return second >= 0xa0;
    case 0xed:
        return second <= 0x9f;
    case 0xf0:
        return second >= 0x90;
    case 0xf4:
        return second <= 0x8f;
    default:
        return true;
    }
}

size_t ctz_text_sequence(const char *at, const char *end)
{
    unsigned char first = at < end ? (unsigned char)*at : 0xff;
    if (first < 0x80)
        return 1;
    size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
    if (size == 0 || (size_t)(end - at) < size || !second_fits(first, (unsigned char)at[1]))
        return 0;
    for (size_t i = 1; i < size; i++)
        if (!is_continuation(at[i]))
            return 0;
    return size;
}

uint32_t ctz_text_codepoint(const char *at, size_t size)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t c = (unsigned char)at[0] & masks[size];
    for (size_t i = 1; i < size; i++)
        c = c << 6 | ((unsigned char)at[i] & 0x3f);
    return c;
}

size_t ctz_text_put(char *out, uint32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    size_t size = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    for (size_t i = size - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    static const unsigned char heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    out[0] = (char)(heads[size] | c);
    return size;
}

const char *ctz_text_invalid(const char *at, const char *end)
{
    while (at < end) {
        at = ctz_text_plain(at, end);
        size_t size = ctz_text_sequence(at, end);
        if (size == 0)
            break;
        at += size;
    }
    return at;
}

// --- where -------------------------------------------------------------------------------------

// A line feed, or a carriage return without one (CR LF is one line end).
static bool ends_line(const struct ctz_text *text, const char *at)
{
    bool line_feed_follows = at + 1 < text->bytes + text->size && at[1] == '\n';
    return *at == '\n' || (*at == '\r' && !line_feed_follows);
}

static const char *line_start(const struct ctz_text *text, const char *at)
{
    while (at > text->bytes && !ends_line(text, at - 1))
        at--;
    return at;
}

const char *ctz_text_place(const struct ctz_text *text, const char *at, char place[CTZ_PLACE_BYTES])
{
    size_t line = 1, column = 1;
    const char *start = line_start(text, at);
    for (const char *p = text->bytes; p < start; p++)
        line += ends_line(text, p);
    for (const char *p = start; p < at; p++)
        column += !is_continuation(*p);
    snprintf(place, CTZ_PLACE_BYTES, "%zu:%zu", line, column);
    return place;
}

static const char *window_start(const struct ctz_text *text, const char *at)
{
    const char *start = line_start(text, at);
    if (at - start <= EXCERPT_SIDE)
        return start;
    for (start = at - EXCERPT_SIDE; start < at && is_continuation(*start);)
        start++;
    return start;
}

static const char *window_end(const struct ctz_text *text, const char *at)
{
    const char *end = text->bytes + text->size, *to = at;
    while (to < end && *to != '\n' && *to != '\r' && to - at < EXCERPT_SIDE)
        to++;
    while (to < end && to > at && is_continuation(*to))
        to--;
    return to;
}

// Copies characters; a dot stands for each control and each byte that is not UTF-8.
static char *copy_visible(const char *from, const char *to, char *out)
{
    while (from < to) {
        size_t size = ctz_text_sequence(from, to);
        bool shown = size > 1 || (size == 1 && (unsigned char)*from >= 0x20 && *from != 0x7f);
        memcpy(out, shown ? from : ".", shown ? size : 1);
        out += shown ? size : 1;
        from += size ? size : 1;
    }
    return out;
}

// Some bytes of the line around `at`, cut between characters.
static void excerpt(const struct ctz_text *text, const char *at, char out[EXCERPT_BYTES])
{
    const char *from = window_start(text, at), *to = window_end(text, at);
    bool cut_end = to < text->bytes + text->size && *to != '\n' && *to != '\r';
    out += sprintf(out, "%s", from > line_start(text, at) ? "..." : "");
    out = copy_visible(from, to, out);
    sprintf(out, "%s", cut_end ? "..." : "");
}

int ctz_text_error(const struct ctz_text *text, const char *at, struct ctz_error *err,
                   enum ctz_error_kind kind, const char *format, ...)
{
    char message[MESSAGE_BYTES], around[EXCERPT_BYTES], place[CTZ_PLACE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    excerpt(text, at, around);
    ctz_error_set(err, kind, "%s%s%s: %s%s%s%s", text->name ? text->name : "",
                  text->name ? ":" : "", ctz_text_place(text, at, place), message,
                  *around ? " near `" : "", around, *around ? "`" : "");
    if (text->name)
        ctz_error_target(err, text->name);
    return -1;
}

void ctz_text_check_size(lua_State *L, const struct ctz_text *text)
{
    uint64_t most = ctz_limit(ctz_host(L), CTZ_LIMIT_DOCUMENT_BYTES);
    if (text->size <= most)
        return;
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_SIZE, "the text has %zu bytes, more than %llu", text->size,
                  (unsigned long long)most);
    ctz_error_hint(&err, "--limit document_bytes=SIZE raises the limit");
    ctz_raise(L, &err);
}
