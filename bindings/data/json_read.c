// json_read.c: JSON text becomes Lua values on the stack, with no tree between (RFC 8259).
// SPDX-License-Identifier: MIT
//
// The items of a list or object wait on the Lua stack until it closes, so that most tables are made
// once in their right size; a long one is filled BATCH items at a time. Depth costs a struct level
// each, never C stack.
#include <lauxlib.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "bindings/data/json.h"
#include "bindings/data/number.h"
#include "bindings/data/value.h"
#include "host/luax.h"

#define BATCH         128 // stack slots that wait in one list or object
#define STACK_RESERVE 8   // slots beyond them
#define INLINE_LEVELS 32  // levels and keys that cost no allocation
#define INLINE_KEYS   128
#define SAFE_DIGITS   18 // any number of so many digits fits into an int64

struct level {
    int base; // stack slot of its table (nil until it is made); its items are above
    bool is_array, made;
    lua_Integer flushed; // items in the table
};

struct reader {
    lua_State *L;
    const struct ctz_text *text;
    const struct ctz_json_reading *reading;
    const char *at, *end;
    int marks, level_block, key_block; // stack slots
    struct level *level;               // the innermost one, levels[depth - 1]
    struct level *levels;
    size_t depth, level_capacity;
    const char **keys; // where each waiting key stands
    size_t key_count, key_capacity;
};

// --- failure -----------------------------------------------------------------------------------

static _Noreturn void fail(struct reader *r, const char *at, enum ctz_error_kind kind,
                           const char *format, ...) CTZ_PRINTF(4, 5);

static _Noreturn void fail(struct reader *r, const char *at, enum ctz_error_kind kind,
                           const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct ctz_error err = {0};
    ctz_text_error(r->text, at, &err, kind, "%s", message);
    if (kind == CTZ_ERROR_SIZE)
        ctz_error_hint(&err, "--limit json_depth=NUMBER raises the limit");
    ctz_raise(r->L, &err);
    __builtin_unreachable();
}

// What was expected at `at`, and what stands there instead.
static _Noreturn void fail_expected(struct reader *r, const char *at, const char *expected)
{
    if (at == r->end)
        fail(r, at, CTZ_ERROR_PROTOCOL, "the text ends, but %s is expected", expected);
    unsigned char c = (unsigned char)*at;
    if (c >= 0x80 && ctz_text_sequence(at, r->end) == 0)
        fail(r, at, CTZ_ERROR_PROTOCOL, "the text is not UTF-8 at byte %zu",
             (size_t)(at - r->text->bytes) + 1);
    if (c > 0x20 && c < 0x7f)
        fail(r, at, CTZ_ERROR_PROTOCOL, "expected %s, got '%c'", expected, c);
    fail(r, at, CTZ_ERROR_PROTOCOL, "expected %s", expected);
}

// --- memory: blocks that Lua owns, so that no error leaks them ---------------------------------

static void *grow_block(struct reader *r, int slot, const void *old, size_t count, size_t size,
                        size_t *capacity)
{
    void *block = lua_newuserdatauv(r->L, *capacity * 2 * size, 0);
    memcpy(block, old, count * size);
    lua_replace(r->L, slot);
    *capacity *= 2;
    return block;
}

static struct level *push_level(struct reader *r)
{
    if (r->depth == r->reading->max_depth)
        fail(r, r->at, CTZ_ERROR_SIZE, "nesting is deeper than %zu levels", r->depth);
    luaL_checkstack(r->L, BATCH + STACK_RESERVE, "JSON");
    if (r->depth == r->level_capacity)
        r->levels = grow_block(r, r->level_block, r->levels, r->depth, sizeof *r->levels,
                               &r->level_capacity);
    r->level = &r->levels[r->depth++];
    return r->level;
}

static void push_key_place(struct reader *r)
{
    if (r->key_count == r->key_capacity)
        r->keys =
            grow_block(r, r->key_block, r->keys, r->key_count, sizeof *r->keys, &r->key_capacity);
    r->keys[r->key_count++] = r->at;
}

// --- strings -----------------------------------------------------------------------------------

static uint32_t read_hex4(struct reader *r, const char *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned digit = ctz_number_digit(at[i]); // the NUL behind the text ends the loop
        if (digit > 15)
            fail_expected(r, at + i, "a hexadecimal digit");
        value = value << 4 | digit;
    }
    return value;
}

// \uXXXX at `at`, or two of them that make a pair. Returns what follows.
static const char *read_unicode(struct reader *r, const char *at, char **out)
{
    uint32_t c = read_hex4(r, at + 2);
    const char *next = at + 6;
    if (c >= 0xdc00 && c <= 0xdfff)
        fail(r, at, CTZ_ERROR_PROTOCOL, "\\u%04x is the second half of a surrogate pair", c);
    if (c >= 0xd800 && c <= 0xdbff) {
        uint32_t low = next[0] == '\\' && next[1] == 'u' ? read_hex4(r, next + 2) : 0;
        if (low < 0xdc00 || low > 0xdfff)
            fail(r, at, CTZ_ERROR_PROTOCOL, "\\u%04x is half of a surrogate pair", c);
        c = 0x10000 + ((c - 0xd800) << 10 | (low - 0xdc00));
        next += 6;
    }
    *out += ctz_text_put(*out, c);
    return next;
}

// The escape at `at`. What it stands for is never longer than itself.
static const char *read_escape(struct reader *r, const char *at, char **out)
{
    static const char meanings[] = {
        ['"'] = '"',  ['\\'] = '\\', ['/'] = '/',  ['b'] = '\b',
        ['f'] = '\f', ['n'] = '\n',  ['r'] = '\r', ['t'] = '\t',
    };
    unsigned char letter = (unsigned char)at[1];
    if (letter == 'u')
        return read_unicode(r, at, out);
    if (letter >= sizeof meanings || !meanings[letter])
        fail(r, at, CTZ_ERROR_PROTOCOL, "no such escape in JSON");
    *(*out)++ = meanings[letter];
    return at + 2;
}

// The next byte from `at` on that ends a plain run or is not UTF-8.
static const char *skip_run(const char *at, const char *end)
{
    for (;;) {
        at = ctz_text_plain(at, end);
        if (at == end || (unsigned char)*at < 0x80)
            return at;
        size_t size = ctz_text_sequence(at, end);
        if (size == 0)
            return at;
        at += size;
    }
}

static _Noreturn void fail_string(struct reader *r, const char *start, const char *at)
{
    if (at == r->end)
        fail(r, start, CTZ_ERROR_PROTOCOL, "the string that begins here does not end");
    if ((unsigned char)*at < 0x20)
        fail(r, at, CTZ_ERROR_PROTOCOL, "a control character in a string is written as \\u%04x",
             (unsigned)(unsigned char)*at);
    fail_expected(r, at, "a character");
}

// The string at r->at holds an escape at `at`: find its end, then build it.
static void read_escaped_string(struct reader *r, const char *at)
{
    const char *start = r->at, *end = at;
    while (end < r->end && *end == '\\') // an escaped quote or backslash does not end it
        end = skip_run(end + 1 + (end[1] == '"' || end[1] == '\\'), r->end);
    if (end == r->end || *end != '"')
        fail_string(r, start, end);
    luaL_Buffer buffer;
    char *bytes = luaL_buffinitsize(r->L, &buffer, (size_t)(end - start)), *out = bytes;
    for (const char *run = start + 1; run < end;) {
        at = ctz_text_plain(run, end);
        while (at < end && (unsigned char)*at >= 0x80)
            at = ctz_text_plain(at + 1, end);
        memcpy(out, run, (size_t)(at - run));
        out += at - run;
        run = at < end ? read_escape(r, at, &out) : end;
    }
    luaL_pushresultsize(&buffer, (size_t)(out - bytes));
    r->at = end + 1;
}

static void read_string(struct reader *r)
{
    const char *start = r->at + 1, *at = skip_run(start, r->end);
    if (at < r->end && *at == '\\') {
        read_escaped_string(r, at);
        return;
    }
    if (at == r->end || *at != '"')
        fail_string(r, r->at, at);
    lua_pushlstring(r->L, start, (size_t)(at - start));
    r->at = at + 1;
}

// --- numbers and words -------------------------------------------------------------------------

static inline bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(struct reader *r, const char *at, const char *expected)
{
    if (!is_digit(*at))
        fail_expected(r, at, expected);
    while (is_digit(*at))
        at++;
    return at;
}

static void push_float(struct reader *r, const char *start)
{
    double value = ctz_number_read(start);
    if (!isfinite(value))
        fail(r, start, CTZ_ERROR_PROTOCOL, "the number is beyond what a float can hold");
    lua_pushnumber(r->L, value);
}

static void push_integer(struct reader *r, const char *start, const char *digits)
{
    bool negative = digits > start;
    int64_t value = 0;
    if (r->at - digits <= SAFE_DIGITS) {
        for (const char *at = digits; at < r->at; at++)
            value = value * 10 + (*at - '0');
        if (negative)
            value = -value;
        if (negative && value == 0) // an integer has no -0
            lua_pushnumber(r->L, -0.0);
        else
            lua_pushinteger(r->L, value);
        return;
    }
    if (ctz_number_read_digits(digits, r->at, 10, negative, &value) == CTZ_INTEGER_FITS)
        lua_pushinteger(r->L, value);
    else if (r->reading->big_as_float)
        push_float(r, start);
    else
        fail(r, start, CTZ_ERROR_PROTOCOL,
             "the integer does not fit into 64 bits (decode with big=\"float\" to round it)");
}

static void read_number(struct reader *r)
{
    const char *start = r->at, *digits = start + (*start == '-');
    if (*digits == '0' && is_digit(digits[1]))
        fail(r, start, CTZ_ERROR_PROTOCOL, "a number does not begin with 0");
    const char *at = skip_digits(r, digits, "a digit");
    bool is_float = *at == '.' || *at == 'e' || *at == 'E';
    if (*at == '.')
        at = skip_digits(r, at + 1, "a digit after the point");
    if (*at == 'e' || *at == 'E') {
        at++;
        at = skip_digits(r, at + (*at == '+' || *at == '-'), "a digit in the exponent");
    }
    r->at = at;
    if (is_float)
        push_float(r, start);
    else
        push_integer(r, start, digits);
}

static bool take_word(struct reader *r, const char *word, size_t size)
{
    if ((size_t)(r->end - r->at) < size || memcmp(r->at, word, size) != 0)
        return false;
    r->at += size;
    return true;
}

static void read_word(struct reader *r)
{
    if (take_word(r, "null", 4))
        ctz_value_push_null(r->L);
    else if (take_word(r, "true", 4))
        lua_pushboolean(r->L, true);
    else if (take_word(r, "false", 5))
        lua_pushboolean(r->L, false);
    else if (*r->at == '\'')
        fail(r, r->at, CTZ_ERROR_PROTOCOL, "a string in JSON has double quotes");
    else if (*r->at == '/')
        fail(r, r->at, CTZ_ERROR_PROTOCOL, "JSON has no comments");
    else
        fail_expected(r, r->at, "a value");
}

// --- lists and objects -------------------------------------------------------------------------

static inline void skip_space(struct reader *r)
{
    while (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')
        r->at++;
}

// The batch holds this key twice, or an earlier batch held it: where does it stand again?
static _Noreturn void fail_duplicate(struct reader *r, size_t key, size_t batch_end)
{
    lua_State *L = r->L;
    lua_settop(L, lua_gettop(L) - 2); // ..., key
    const char *place = r->keys[key];
    for (size_t i = key + 1; i < batch_end; i++) {
        r->at = r->keys[i];
        read_string(r);
        bool same = lua_rawequal(L, -1, -2);
        lua_pop(L, 1);
        if (same) {
            place = r->keys[i];
            break;
        }
    }
    fail(r, place, CTZ_ERROR_PROTOCOL, "the key \"%.100s\" stands twice in one object",
         lua_tostring(L, -1));
}

static void flush_pairs(struct reader *r, struct level *level)
{
    lua_State *L = r->L;
    size_t batch_end = r->key_count;
    for (int waiting = lua_gettop(L) - level->base; waiting > 0; waiting -= 2) {
        r->key_count--;
        lua_pushvalue(L, -2);
        if (lua_rawget(L, level->base) != LUA_TNIL)
            fail_duplicate(r, r->key_count, batch_end);
        lua_pop(L, 1);
        lua_rawset(L, level->base);
    }
}

static void flush_items(struct reader *r, struct level *level)
{
    lua_State *L = r->L;
    int waiting = lua_gettop(L) - level->base;
    if (level->flushed == 0) { // its array part has room for all of them
        for (int i = waiting; i > 0; i--)
            lua_rawseti(L, level->base, i);
    } else { // from the first to the last, so that the array part grows
        for (int i = 1; i <= waiting; i++) {
            lua_pushvalue(L, level->base + i);
            lua_rawseti(L, level->base, level->flushed + i);
        }
        lua_settop(L, level->base);
    }
    level->flushed += waiting;
}

static void flush(struct reader *r, struct level *level)
{
    lua_State *L = r->L;
    int waiting = lua_gettop(L) - level->base;
    if (!level->made) {
        lua_createtable(L, level->is_array ? waiting : 0, level->is_array ? 0 : waiting / 2);
        if (level->is_array) {
            lua_pushvalue(L, r->marks);
            lua_setmetatable(L, -2);
        }
        lua_replace(L, level->base);
        level->made = true;
    }
    if (level->is_array)
        flush_items(r, level);
    else
        flush_pairs(r, level);
}

static void close_level(struct reader *r)
{
    flush(r, r->level);
    r->depth--;
    r->level = &r->levels[r->depth ? r->depth - 1 : 0];
}

static void read_key(struct reader *r)
{
    skip_space(r);
    if (*r->at != '"')
        fail_expected(r, r->at, "a key in double quotes");
    push_key_place(r);
    read_string(r);
    skip_space(r);
    if (*r->at != ':')
        fail_expected(r, r->at, "':' after the key");
    r->at++;
}

// Opens a list or object. Returns whether it has items; the first one follows.
static bool open_level(struct reader *r, bool is_array)
{
    struct level *level = push_level(r);
    r->at++;
    lua_pushnil(r->L);
    *level = (struct level){.base = lua_gettop(r->L), .is_array = is_array};
    skip_space(r);
    if (*r->at == (is_array ? ']' : '}')) {
        r->at++;
        close_level(r);
        return false;
    }
    if (!is_array)
        read_key(r);
    return true;
}

// Begins a value. Returns whether another one is to be read before it is complete.
static bool start_value(struct reader *r)
{
    skip_space(r);
    char c = *r->at;
    if (c == '"')
        read_string(r);
    else if (c == '{' || c == '[')
        return open_level(r, c == '[');
    else if (c == '-' || is_digit(c))
        read_number(r);
    else
        read_word(r);
    return false;
}

// Behind a complete value. Returns whether the level goes on; else it has been closed.
static bool next_item(struct reader *r)
{
    struct level *level = r->level;
    skip_space(r);
    char c = *r->at;
    if (c == (level->is_array ? ']' : '}')) {
        r->at++;
        close_level(r);
        return false;
    }
    if (c != ',')
        fail_expected(r, r->at, level->is_array ? "',' or ']'" : "',' or '}'");
    if (lua_gettop(r->L) - level->base >= BATCH)
        flush(r, level);
    r->at++;
    if (!level->is_array)
        read_key(r);
    return true;
}

static void check_start(struct reader *r)
{
    const char *b = r->at;
    size_t size = r->text->size;
    if (size >= 3 && memcmp(b, "\xef\xbb\xbf", 3) == 0)
        fail(r, b, CTZ_ERROR_PROTOCOL,
             "the text begins with a byte order mark, which JSON does not allow (text:sub(4))");
    if (size >= 2 &&
        (memcmp(b, "\xff\xfe", 2) == 0 || memcmp(b, "\xfe\xff", 2) == 0 || b[0] == 0 || b[1] == 0))
        fail(r, b, CTZ_ERROR_PROTOCOL, "the text is not UTF-8; it looks like UTF-16");
}

// One value from r->at on.
static void read_value(struct reader *r)
{
    bool more;
    do {
        while (start_value(r)) {
        }
        more = false;
        while (r->depth > 0 && !more)
            more = next_item(r);
    } while (more);
}

static void read_text(struct reader *r)
{
    check_start(r);
    read_value(r);
    skip_space(r);
    if (r->at != r->end)
        fail(r, r->at, CTZ_ERROR_PROTOCOL, "the text goes on after its value");
}

size_t ctz_json_read(lua_State *L, const struct ctz_text *text,
                     const struct ctz_json_reading *reading)
{
    struct level levels[INLINE_LEVELS];
    const char *keys[INLINE_KEYS];
    luaL_checkstack(L, BATCH + STACK_RESERVE, "json");
    struct reader r = {.L = L,
                       .text = text,
                       .reading = reading,
                       .levels = levels,
                       .keys = keys,
                       .level_capacity = INLINE_LEVELS,
                       .key_capacity = INLINE_KEYS};
    r.at = text->bytes + reading->from;
    r.end = text->bytes + text->size;
    r.level = levels;
    luaL_getmetatable(L, CTZ_VALUE_ARRAY);
    lua_pushnil(L);
    lua_pushnil(L);
    r.key_block = lua_gettop(L);
    r.level_block = r.key_block - 1;
    r.marks = r.key_block - 2;
    if (reading->is_part)
        read_value(&r);
    else
        read_text(&r);
    return (size_t)(r.at - text->bytes);
}
