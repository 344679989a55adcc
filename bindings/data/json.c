// json.c: the functions of ctz.json.
// SPDX-License-Identifier: MIT
#include "bindings/data/json.h"

#include "bindings/data/writer.h"
#include "host/luax.h"

#define MAX_INDENT 16 // spaces

/// ctz.json.decode(text, opts?) -> any
/// Reads one JSON text (RFC 8259, nothing beyond it). Integers are exact and stay integers, lists
/// are marked so that an empty one is written as `[]` again, null is `ctz.json.null`: a value that
/// is neither nil nor false, so compare with it. What would lose something is refused: keys that
/// stand twice, integers beyond 64 bits, text that is not UTF-8, a byte order mark.
/// @param text string
/// @param opts.big? "error"|"float"  integers beyond 64 bits: refuse (default) or round
/// @param opts.name? string  what messages call the text: a file name
/// @param opts.from? integer  where one value begins; other text may follow it
/// @return any
/// @return integer next  with `from`: the place behind the value
/// @error protocol it is not JSON; the message has line:column and what stands there
/// @error size     it is longer or deeper than the limits document_bytes and json_depth
/// @example local text = '{"ports":[80,443],"tags":[]}'
/// @example local list = ctz.json.decode(text)
/// @example assert(list.ports[2] == 443 and ctz.json.encode(list) == text)
/// @example local ports, next = ctz.json.decode(text, {from = 10})
/// @example assert(#ports == 2 and text:sub(next, next) == ",")
int ctz_l_json_decode(lua_State *L)
{
    static const char *const options[] = {"big", "from", "name", NULL};
    static const char *const bigs[] = {"error", "float", NULL};
    struct ctz_text text = {0};
    text.bytes = ctz_check_string(L, 1, "text", &text.size);
    lua_settop(L, 2);
    ctz_opts_check(L, 2, options);
    text.name = ctz_opt_string(L, 2, "name", NULL, NULL);
    lua_Integer from = ctz_opt_integer(L, 2, "from", 1, (lua_Integer)text.size + 1, 0);
    struct ctz_json_reading reading = {
        .max_depth = ctz_limit(ctz_host(L), CTZ_LIMIT_JSON_DEPTH),
        .big_as_float = ctz_opt_choice(L, 2, "big", bigs, 0) == 1,
        .is_part = from > 0,
        .from = from > 0 ? (size_t)from - 1 : 0,
    };
    ctz_text_check_size(L, &text);
    size_t end = ctz_json_read(L, &text, &reading);
    if (!reading.is_part)
        return 1;
    lua_pushinteger(L, (lua_Integer)end + 1);
    return 2;
}

/// ctz.json.encode(value, opts?) -> string
/// Writes a value as JSON, keys in the order of their bytes. A table with items 1 to n is a list,
/// one with string keys an object, an empty one `{}` unless it is marked (see ctz.json.array).
/// Tables are read raw: metamethods are not called. A float keeps its point (4 / 2 is 2.0, which Go
/// refuses for an integer; 4 // 2 is 2). A secret is written as "***".
/// @param value any
/// @param opts.indent? integer  spaces per level; default: all on one line
/// @param opts.utf8? "strict"|"replace"  bytes that are not UTF-8: refuse (default) or U+FFFD
/// @return string
/// @error usage a value has no JSON form (NaN, function, hole, circle); the message has its path
/// @error size  longer or deeper than the limits document_bytes and json_depth
/// @example assert(ctz.json.encode{name = "web", args = {3}} == '{"args":[3],"name":"web"}')
/// @example assert(ctz.json.encode({a = 1.5}, {indent = 2}) == '{\n  "a": 1.5\n}')
int ctz_l_json_encode(lua_State *L)
{
    static const char *const options[] = {"indent", "utf8", NULL};
    static const char *const choices[] = {"strict", "replace", NULL};
    lua_settop(L, 2);
    ctz_opts_check(L, 2, options);
    struct ctz_json_writing writing = {
        .indent = (int)ctz_opt_integer(L, 2, "indent", 0, MAX_INDENT, 0),
        .replace = ctz_opt_choice(L, 2, "utf8", choices, 0) == 1,
    };
    const struct ctz_host *host = ctz_host(L);
    struct ctz_writer writer = {
        .format = "JSON",
        .max_depth = ctz_limit(host, CTZ_LIMIT_JSON_DEPTH),
        .max_bytes = ctz_limit(host, CTZ_LIMIT_DOCUMENT_BYTES),
        .event = ctz_json_write,
        .style = &writing,
    };
    return ctz_writer_run(L, 1, &writer);
}
