// yaml_write.c: a Lua value as YAML in block style, which both schemas read back the same.
// SPDX-License-Identifier: MIT
//
// Layout as kubectl prints it: sequences stand under their key without further indentation. What a
// reader could take for something else than a string gets double quotes.
#include <math.h>

#include "bindings/data/number.h"
#include "bindings/data/value.h"
#include "bindings/data/yaml.h"

#define STEP     2   // spaces per level
#define LONG_KEY 150 // bytes; escapes make six of one, and a simple key ends at 1024 characters

// --- which form --------------------------------------------------------------------------------

// May stand unescaped in any YAML (1.2.2, section 5.1, without the line breaks of YAML 1.1).
static bool is_printable(uint32_t c)
{
    if (c < 0xa0)
        return c >= 0x20 && c < 0x7f;
    return c != 0x2028 && c != 0x2029 && c != 0xfeff && c != 0xfffe && c != 0xffff;
}

// The next character; a printable one moves at behind it.
static bool skip_printable(const char **at, const char *end)
{
    size_t size = ctz_text_sequence(*at, end);
    if (size == 0 || !is_printable(ctz_text_codepoint(*at, size)))
        return false;
    *at += size;
    return true;
}

static bool is_alnum(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

// Numbers, dates, times and addresses, as some YAML 1.1 reader might see them.
static bool looks_numeric(const char *text, size_t size)
{
    bool date = strspn(text, "0123456789") == 4 && text[4] == '-';
    bool start = (*text >= '0' && *text <= '9') || strchr("+-.", *text);
    return date || (start && strspn(text, "0123456789_:,+-.eE") >= size);
}

static bool starts_plain(const char *text, size_t size)
{
    if (size == 0 || !(is_alnum(*text) || strchr("_/.$^(+-", *text) || *text & 0x80))
        return false;
    if (*text == '-' && !is_alnum(text[1]) && text[1] != '-')
        return false;
    return strncmp(text, "---", 3) != 0 && strncmp(text, "...", 3) != 0;
}

// No ": " and no " #" inside, no space at the end, nothing that is escaped.
static bool goes_on_plain(const char *at, const char *end)
{
    while (at < end)
        if ((*at == ':' && (at[1] == ' ' || at + 1 == end)) ||
            (*at == ' ' && (at[1] == '#' || at + 1 == end)) || !skip_printable(&at, end))
            return false;
    return true;
}

bool ctz_yaml_needs_quotes(const char *text, size_t size)
{
    return !starts_plain(text, size) || looks_numeric(text, size) ||
           !goes_on_plain(text, text + size) ||
           ctz_yaml_resolve(CTZ_YAML_CORE, text, size).type != CTZ_YAML_STRING ||
           ctz_yaml_resolve(CTZ_YAML_K8S, text, size).type != CTZ_YAML_STRING;
}

// Several lines that a literal block holds exactly: it cannot begin with space, nor hold anything
// that is escaped, nor end in a line of spaces.
static bool fits_block(const char *text, size_t size)
{
    const char *at = text, *end = text + size;
    if (!memchr(text, '\n', size) || *text == '\n' || *text == ' ' || *text == '\t')
        return false;
    const char *last = end;
    while (last > text && (last[-1] == ' ' || last[-1] == '\t'))
        last--;
    if (last < end && last[-1] == '\n')
        return false;
    while (at < end)
        if (*at == '\n' || *at == '\t')
            at++;
        else if (!skip_printable(&at, end))
            return false;
    return true;
}

// --- bytes -------------------------------------------------------------------------------------

static void put_line(struct ctz_buffer *out, size_t indent)
{
    char *to = ctz_buffer_reserve(out, indent + 1);
    if (to) {
        to[0] = '\n';
        memset(to + 1, ' ', indent);
        out->length += indent + 1;
    }
}

static void put_escape(struct ctz_buffer *out, uint32_t c)
{
    static const char letters[0x20] = {[0] = '0',    ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n',
                                       ['\f'] = 'f', ['\r'] = 'r', [27] = 'e'};
    if (c < 0x20 && letters[c])
        ctz_buffer_format(out, "\\%c", letters[c]);
    else if (c == '"' || c == '\\')
        ctz_buffer_format(out, "\\%c", (int)c);
    else
        ctz_buffer_format(out, c < 0x100 ? "\\x%02x" : "\\u%04x", (unsigned)c);
}

// text is UTF-8.
static void put_quoted(struct ctz_buffer *out, const char *text, size_t size)
{
    const char *end = text + size;
    ctz_buffer_byte(out, '"');
    while (text < end) {
        const char *at = text;
        while (at < end && *at != '"' && *at != '\\' && skip_printable(&at, end)) {
        }
        ctz_buffer_append(out, text, (size_t)(at - text));
        if (at == end)
            break;
        size_t sequence = ctz_text_sequence(at, end);
        put_escape(out, ctz_text_codepoint(at, sequence));
        text = at + sequence;
    }
    ctz_buffer_byte(out, '"');
}

// The line break behind it is the next line's.
static void put_block(struct ctz_buffer *out, const char *text, size_t size, size_t indent)
{
    const char *end = text + size;
    bool ends = end[-1] == '\n', more = ends && end[-2] == '\n';
    ctz_buffer_text(out, more ? "|+" : ends ? "|" : "|-");
    while (text < end) {
        const char *line_end = memchr(text, '\n', (size_t)(end - text));
        size_t length = (size_t)((line_end ? line_end : end) - text);
        put_line(out, length ? indent : 0); // an empty line stays empty
        ctz_buffer_append(out, text, length);
        text += length + 1;
    }
}

// --- values ------------------------------------------------------------------------------------

static int check_utf8(struct ctz_walk *walk, const char *text, size_t size, struct ctz_error *err)
{
    const char *wrong = ctz_text_invalid(text, text + size);
    if (wrong == text + size)
        return 0;
    ctz_walk_error(walk, err, CTZ_ERROR_USAGE, "the string is not UTF-8 at byte %zu",
                   (size_t)(wrong - text) + 1);
    ctz_error_hint(err, "ctz.base64.encode carries any bytes");
    return -1;
}

// column: of the mapping or sequence it stands in.
static int write_string(struct ctz_walk *walk, struct ctz_buffer *out, size_t column,
                        struct ctz_error *err)
{
    size_t size;
    const char *text = lua_tolstring(walk->L, walk->value, &size);
    if (check_utf8(walk, text, size, err) < 0)
        return -1;
    if (fits_block(text, size))
        put_block(out, text, size, column + STEP);
    else if (ctz_yaml_needs_quotes(text, size))
        put_quoted(out, text, size);
    else
        ctz_buffer_append(out, text, size);
    return 0;
}

// With a point, which the floats of YAML 1.1 need: 1.0e+100.
static void put_float(struct ctz_buffer *out, double value)
{
    char text[CTZ_NUMBER_BYTES];
    if (!isfinite(value)) {
        ctz_buffer_text(out, isnan(value) ? ".nan" : value > 0 ? ".inf" : "-.inf");
        return;
    }
    ctz_number_write(value, text);
    size_t mantissa = strcspn(text, "e");
    ctz_buffer_append(out, text, mantissa);
    if (!memchr(text, '.', mantissa))
        ctz_buffer_text(out, ".0");
    ctz_buffer_text(out, text + mantissa);
}

static int write_number(struct ctz_walk *walk, enum ctz_yaml_schema schema, struct ctz_buffer *out,
                        struct ctz_error *err)
{
    char text[CTZ_NUMBER_BYTES];
    if (lua_isinteger(walk->L, walk->value)) {
        ctz_buffer_append(out, text,
                          ctz_number_write_integer(lua_tointeger(walk->L, walk->value), text));
        return 0;
    }
    double value = lua_tonumber(walk->L, walk->value);
    if (schema == CTZ_YAML_K8S && !isfinite(value))
        return ctz_walk_error(walk, err, CTZ_ERROR_USAGE, "%s is not a number in JSON",
                              isnan(value) ? "NaN" : "infinity");
    put_float(out, value);
    return 0;
}

static int write_value(struct ctz_walk *walk, enum ctz_yaml_schema schema, struct ctz_buffer *out,
                       size_t column, struct ctz_error *err)
{
    switch (lua_type(walk->L, walk->value)) {
    case LUA_TSTRING:
        return write_string(walk, out, column, err);
    case LUA_TNUMBER:
        return write_number(walk, schema, out, err);
    case LUA_TBOOLEAN:
        ctz_buffer_text(out, lua_toboolean(walk->L, walk->value) ? "true" : "false");
        return 0;
    case LUA_TLIGHTUSERDATA:
        if (!ctz_value_is_null(walk->L, walk->value))
            break;
        ctz_buffer_text(out, "null");
        return 0;
    case LUA_TUSERDATA:
        if (!ctz_walk_is_secret(walk))
            break;
        ctz_buffer_text(out, "\"***\"");
        return 0;
    default:
        break;
    }
    return ctz_walk_refuse(walk, err);
}

// --- lines -------------------------------------------------------------------------------------

static int write_key(struct ctz_walk *walk, struct ctz_buffer *out, size_t column,
                     struct ctz_error *err)
{
    const char *text = walk->key->text;
    size_t size = walk->key->size;
    if (check_utf8(walk, text, size, err) < 0)
        return -1;
    bool is_long = size > LONG_KEY;
    if (is_long)
        ctz_buffer_text(out, "? ");
    if (ctz_yaml_needs_quotes(text, size))
        put_quoted(out, text, size);
    else
        ctz_buffer_append(out, text, size);
    if (is_long)
        put_line(out, column);
    return ctz_buffer_byte(out, ':');
}

// What stands before an item: a new line, unless it continues the line of "- "; "- " or the key.
static int write_lead(struct ctz_walk *walk, const struct ctz_walk_level *level, bool starts_line,
                      struct ctz_buffer *out, struct ctz_error *err)
{
    if (walk->index > 0 || starts_line)
        put_line(out, level->indent);
    if (level->is_array) {
        ctz_buffer_text(out, "- ");
        return 0;
    }
    return write_key(walk, out, level->indent, err);
}

// The column of a collection inside `outer`: a sequence stands right under its key.
static size_t column_inside(const struct ctz_walk_level *outer, bool is_array)
{
    if (!outer)
        return 0;
    return outer->indent + (outer->is_array || !is_array ? STEP : 0);
}

int ctz_yaml_write(struct ctz_walk *walk, enum ctz_walk_event event, const void *style,
                   struct ctz_buffer *out, struct ctz_error *err)
{
    if (event == CTZ_WALK_DONE)
        ctz_buffer_byte(out, '\n');
    if (event == CTZ_WALK_DONE || event == CTZ_WALK_END)
        return 0;
    bool is_array = event == CTZ_WALK_ARRAY, opens = event != CTZ_WALK_VALUE;
    size_t around = walk->depth - opens; // how many levels stand around this value
    struct ctz_walk_level *outer = around ? &walk->levels[around - 1] : NULL;
    bool in_object = around > 1 && !walk->levels[around - 2].is_array;
    if (outer && write_lead(walk, outer, in_object, out, err) < 0)
        return -1;
    if (opens)
        walk->levels[around].indent = column_inside(outer, is_array);
    if (opens && walk->count > 0)
        return 0;
    if (outer && !outer->is_array)
        ctz_buffer_byte(out, ' ');
    if (opens)
        return ctz_buffer_text(out, is_array ? "[]" : "{}");
    enum ctz_yaml_schema schema = *(const enum ctz_yaml_schema *)style;
    return write_value(walk, schema, out, outer ? outer->indent : 0, err);
}
