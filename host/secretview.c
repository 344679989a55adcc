// secretview.c: a text as it reads after one kind of unescaping, with the way back.
// SPDX-License-Identifier: MIT
#include "host/secretview.h"

#include <string.h>

#define WRAPPED_BYTES 60 // base64 on one line before its end is taken for a fold (RFC 1421: 64)
#define ENTITY_BYTES  12 // of the longest XML entity: &#x0010FFFF;

// One escape that was read.
struct escape {
    size_t size;      // bytes of the text; 0: it is none
    bool cut;         // the text ends within it
    uint32_t unicode; // what it stands for
    bool is_byte;     // the value is a byte, not a character
};

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 32) >= 'a' && (c | 32) <= 'f')
        return (c | 32) - 'a' + 10;
    return -1;
}

// Reads `count` hex digits; fewer when the text ends (cut) or something else follows (-1).
static int read_hex(const char *text, size_t size, size_t count, bool *cut)
{
    int value = 0;
    for (size_t i = 0; i < count; i++) {
        if (i == size) {
            *cut = true;
            return -1;
        }
        int digit = digit_value(text[i]);
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

// Two hex digits behind a mark of `mark` bytes.
static struct escape read_byte(const char *text, size_t size, size_t mark)
{
    struct escape escape = {.is_byte = true};
    int value = read_hex(text + mark, size - mark, 2, &escape.cut);
    if (value >= 0) {
        escape.size = mark + 2;
        escape.unicode = (uint32_t)value;
    }
    return escape;
}

static struct escape read_unicode(const char *text, size_t size)
{
    struct escape escape = {0};
    int value = read_hex(text + 2, size - 2, 4, &escape.cut);
    if (value < 0)
        return escape;
    escape.size = 6;
    escape.unicode = (uint32_t)value;
    if (value < 0xD800 || value > 0xDBFF)
        return escape;
    if (size < 8) { // the second half may follow
        escape.cut = size == 6 || text[6] == '\\';
        return escape;
    }
    int low = text[6] == '\\' && text[7] == 'u' ? read_hex(text + 8, size - 8, 4, &escape.cut) : -1;
    if (low >= 0xDC00 && low <= 0xDFFF) {
        escape.size = 12;
        escape.unicode = 0x10000 + (((uint32_t)value & 0x3FF) << 10 | ((uint32_t)low & 0x3FF));
    }
    return escape;
}

static struct escape read_backslash(const char *text, size_t size)
{
    struct escape escape = {.size = 2, .is_byte = true};
    static const char letters[] = "nrtbfv0", values[] = "\n\r\t\b\f\v";
    if (size < 2)
        return (struct escape){.cut = true};
    if (text[1] == 'u')
        return read_unicode(text, size);
    if (text[1] == 'x')
        return read_byte(text, size, 2);
    const char *letter = strchr(letters, text[1]);
    escape.unicode = (unsigned char)(letter && text[1] ? values[letter - letters] : text[1]);
    return escape;
}

static uint32_t entity_value(const char *name, size_t size)
{
    static const struct {
        const char *name;
        char value;
    } entities[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (strlen(entities[i].name) == size && memcmp(entities[i].name, name, size) == 0)
            return (unsigned char)entities[i].value;
    if (size < 2 || name[0] != '#')
        return 0;
    bool is_hex = (name[1] | 32) == 'x';
    uint32_t value = 0;
    for (size_t i = is_hex ? 2 : 1; i < size; i++) {
        int digit = digit_value(name[i]);
        if (digit < 0 || digit >= (is_hex ? 16 : 10))
            return 0;
        value = value * (is_hex ? 16 : 10) + (uint32_t)digit;
    }
    return value <= 0x10FFFF ? value : 0;
}

static struct escape read_entity(const char *text, size_t size)
{
    struct escape escape = {0};
    size_t most = size < ENTITY_BYTES ? size : ENTITY_BYTES;
    size_t end = 1;
    while (end < most && (digit_value(text[end]) >= 0 || (text[end] >= 'a' && text[end] <= 'z') ||
                          text[end] == '#' || text[end] == 'X'))
        end++;
    escape.cut = end == size;
    if (end < most && text[end] == ';') {
        escape.unicode = entity_value(text + 1, end - 1);
        escape.size = escape.unicode ? end + 1 : 0;
    }
    return escape;
}

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/' || c == '-' || c == '_';
}

// A line end at text[at] that folds base64: its size, else 0.
static size_t fold_size(const char *text, size_t size, size_t at, bool *cut)
{
    size_t end = at + (text[at] == '\r');
    if (at < WRAPPED_BYTES)
        return 0;
    for (size_t i = at - WRAPPED_BYTES; i < at; i++)
        if (!is_base64(text[i]))
            return 0;
    if (end + 1 >= size) { // what follows is not known yet
        *cut = true;
        return 0;
    }
    return text[end] == '\n' && is_base64(text[end + 1]) ? end + 1 - at : 0;
}

// --- views -------------------------------------------------------------------------------------

bool ctz_view_applies(enum ctz_view view, const char *text, size_t size)
{
    switch (view) {
    case CTZ_VIEW_PERCENT:
        return memchr(text, '%', size) != NULL;
    case CTZ_VIEW_FORM:
        return memchr(text, '+', size) != NULL;
    case CTZ_VIEW_BACKSLASH:
        return memchr(text, '\\', size) != NULL;
    case CTZ_VIEW_XML:
        return memchr(text, '&', size) != NULL;
    default:
        break;
    }
    bool cut = false;
    for (const char *line = text; (line = memchr(line, '\n', size - (size_t)(line - text)));
         line++) {
        size_t at = (size_t)(line - text);
        at -= at > 0 && text[at - 1] == '\r';
        if (fold_size(text, size, at, &cut) || cut)
            return true;
    }
    return false;
}

static struct escape read_escape(enum ctz_view view, const char *text, size_t size, size_t at)
{
    struct escape none = {0};
    char c = text[at];
    switch (view) {
    case CTZ_VIEW_FORM:
        if (c == '+')
            return (struct escape){.size = 1, .unicode = ' ', .is_byte = true};
        return c == '%' ? read_byte(text + at, size - at, 1) : none;
    case CTZ_VIEW_PERCENT:
        return c == '%' ? read_byte(text + at, size - at, 1) : none;
    case CTZ_VIEW_BACKSLASH:
        return c == '\\' ? read_backslash(text + at, size - at) : none;
    case CTZ_VIEW_XML:
        return c == '&' ? read_entity(text + at, size - at) : none;
    default:
        return none;
    }
}

// At most as many bytes as the escape had.
static size_t put(char *out, const struct escape *escape)
{
    uint32_t u = escape->unicode;
    unsigned char *bytes = (unsigned char *)out;
    if (escape->is_byte || u < 0x80) {
        bytes[0] = (unsigned char)u;
        return 1;
    }
    size_t count = u < 0x800 ? 2 : u < 0x10000 ? 3 : 4;
    static const unsigned char leads[] = {0, 0, 0xC0, 0xE0, 0xF0};
    for (size_t i = count - 1; i > 0; i--, u >>= 6)
        bytes[i] = (unsigned char)(0x80 | (u & 0x3F));
    bytes[0] = (unsigned char)(leads[count] | u);
    return count;
}

size_t ctz_view_make(enum ctz_view view, const char *text, size_t size, char *out, uint32_t *map,
                     bool *cut)
{
    size_t length = 0, at = 0;
    *cut = false;
    while (at < size) {
        if (view == CTZ_VIEW_UNWRAPPED && (text[at] == '\n' || text[at] == '\r')) {
            size_t fold = fold_size(text, size, at, cut);
            if (*cut)
                break;
            if (fold) {
                at += fold;
                continue;
            }
        }
        struct escape escape = read_escape(view, text, size, at);
        if (escape.cut) {
            *cut = true;
            break;
        }
        if (escape.size == 0)
            escape = (struct escape){1, false, (unsigned char)text[at], true};
        size_t count = put(out + length, &escape);
        for (size_t i = 0; i < count; i++)
            map[length++] = (uint32_t)at;
        at += escape.size;
    }
    map[length] = (uint32_t)at;
    return length;
}
