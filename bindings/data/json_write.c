// json_write.c: a Lua value as JSON text: sorted keys, exact integers, shortest floats.
// SPDX-License-Identifier: MIT
#include <math.h>

#include "bindings/data/json.h"
#include "bindings/data/number.h"
#include "bindings/data/value.h"

#define REPLACEMENT "\xef\xbf\xbd" // U+FFFD

// --- bytes -------------------------------------------------------------------------------------

// Room for size bytes, inline while the buffer is large enough.
static inline char *room(struct ctz_buffer *out, size_t size)
{
    if (out->capacity - out->length > size)
        return out->bytes + out->length;
    return ctz_buffer_reserve(out, size);
}

static inline void put(struct ctz_buffer *out, const char *bytes, size_t size)
{
    char *to = room(out, size);
    if (to) {
        memcpy(to, bytes, size);
        out->length += size;
    }
}

static inline void put_byte(struct ctz_buffer *out, char byte)
{
    char *to = room(out, 1);
    if (to) {
        *to = byte;
        out->length++;
    }
}

static void put_line(struct ctz_buffer *out, int indent, size_t depth)
{
    if (indent == 0)
        return;
    size_t spaces = (size_t)indent * depth;
    char *to = room(out, spaces + 1);
    if (to) {
        to[0] = '\n';
        memset(to + 1, ' ', spaces);
        out->length += spaces + 1;
    }
}

static void put_escape(struct ctz_buffer *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    char letter = byte < 0x20 ? letters[byte] : (char)byte;
    if (letter) {
        put(out, (char[]){'\\', letter}, 2);
        return;
    }
    put(out, (char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
}

bool ctz_json_write_string(struct ctz_buffer *out, const char *text, size_t size, bool replace)
{
    const char *end = text + size;
    put_byte(out, '"');
    for (const char *run = text; text < end; run = text) {
        size_t sequence = 0;
        for (text = ctz_text_plain(text, end); text < end && (unsigned char)*text >= 0x80;
             text = ctz_text_plain(text + sequence, end))
            if ((sequence = ctz_text_sequence(text, end)) == 0)
                break;
        put(out, run, (size_t)(text - run));
        if (text == end)
            break;
        if ((unsigned char)*text < 0x80)
            put_escape(out, (unsigned char)*text);
        else if (replace)
            put(out, REPLACEMENT, sizeof REPLACEMENT - 1);
        else
            return false;
        text++;
    }
    put_byte(out, '"');
    return true;
}

// --- values ------------------------------------------------------------------------------------

static int write_string(struct ctz_walk *walk, const struct ctz_json_writing *writing,
                        struct ctz_buffer *out, const char *text, size_t size,
                        struct ctz_error *err)
{
    if (ctz_json_write_string(out, text, size, writing->replace))
        return 0;
    ctz_walk_error(walk, err, CTZ_ERROR_USAGE, "the string is not UTF-8 at byte %zu",
                   (size_t)(ctz_text_invalid(text, text + size) - text) + 1);
    ctz_error_hint(err, "ctz.base64.encode carries any bytes; utf8=\"replace\" puts U+FFFD there");
    return -1;
}

static int write_number(struct ctz_walk *walk, struct ctz_buffer *out, struct ctz_error *err)
{
    char text[CTZ_NUMBER_BYTES];
    if (lua_isinteger(walk->L, walk->value)) {
        put(out, text, ctz_number_write_integer(lua_tointeger(walk->L, walk->value), text));
        return 0;
    }
    double value = lua_tonumber(walk->L, walk->value);
    if (!isfinite(value))
        return ctz_walk_error(walk, err, CTZ_ERROR_USAGE, "%s is not a number in JSON",
                              isnan(value) ? "NaN" : "infinity");
    put(out, text, ctz_number_write(value, text));
    return 0;
}

static int write_value(struct ctz_walk *walk, const struct ctz_json_writing *writing,
                       struct ctz_buffer *out, struct ctz_error *err)
{
    lua_State *L = walk->L;
    size_t size;
    const char *text;
    switch (lua_type(L, walk->value)) {
    case LUA_TSTRING:
        text = lua_tolstring(L, walk->value, &size);
        return write_string(walk, writing, out, text, size, err);
    case LUA_TNUMBER:
        return write_number(walk, out, err);
    case LUA_TBOOLEAN:
        if (lua_toboolean(L, walk->value))
            put(out, "true", 4);
        else
            put(out, "false", 5);
        return 0;
    case LUA_TLIGHTUSERDATA:
        if (!ctz_value_is_null(L, walk->value))
            break;
        put(out, "null", 4);
        return 0;
    case LUA_TUSERDATA:
        if (!ctz_walk_is_secret(walk))
            break;
        put(out, "\"***\"", 5);
        return 0;
    default:
        break;
    }
    return ctz_walk_refuse(walk, err);
}

// What stands before a value: a comma, a new line, the key.
static int write_lead(struct ctz_walk *walk, size_t depth, const struct ctz_json_writing *writing,
                      struct ctz_buffer *out, struct ctz_error *err)
{
    if (depth == 0)
        return 0;
    if (walk->index > 0)
        put_byte(out, ',');
    put_line(out, writing->indent, depth);
    if (!walk->key)
        return 0;
    if (write_string(walk, writing, out, walk->key->text, walk->key->size, err) < 0)
        return -1;
    put(out, ": ", writing->indent ? 2 : 1);
    return 0;
}

int ctz_json_write(struct ctz_walk *walk, enum ctz_walk_event event, const void *style,
                   struct ctz_buffer *out, struct ctz_error *err)
{
    const struct ctz_json_writing *writing = style;
    if (event == CTZ_WALK_DONE)
        return 0;
    if (event == CTZ_WALK_END) {
        if (walk->count)
            put_line(out, writing->indent, walk->depth);
        put_byte(out, walk->is_array ? ']' : '}');
        return 0;
    }
    size_t depth = walk->depth - (event != CTZ_WALK_VALUE);
    if (write_lead(walk, depth, writing, out, err) < 0)
        return -1;
    if (event == CTZ_WALK_VALUE)
        return write_value(walk, writing, out, err);
    put_byte(out, event == CTZ_WALK_ARRAY ? '[' : '{');
    return 0;
}
