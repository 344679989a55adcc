// module.c: the door of the room context: ignore patterns, folders as tar streams and back.
// SPDX-License-Identifier: MIT
#include "bindings/context/module.h"

#include <lauxlib.h>
#include <string.h>

#include "bindings/context/ignore.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/luax.h"

#define IGNORE_CLASS "ctz.ignore"

static int no_memory(lua_State *L)
{
    return luaL_error(L, "not enough memory");
}

struct ctz_ignore *ctz_check_ignore(lua_State *L, int idx)
{
    struct ctz_ignore **slot = luaL_testudata(L, idx, IGNORE_CLASS);
    if (!slot || !*slot)
        ctz_bad_argument(L, lua_absindex(L, idx), "ignore", IGNORE_CLASS);
    return *slot;
}

// Replaces the list of lines at idx by their text.
static void join_lines(lua_State *L, int idx)
{
    luaL_Buffer text;
    lua_Integer count = luaL_len(L, idx);
    luaL_buffinit(L, &text);
    for (lua_Integer i = 1; i <= count; i++) {
        size_t size;
        lua_rawgeti(L, idx, i);
        const char *line = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
        if (!line || memchr(line, '\n', size))
            ctz_usage(L, "bad argument 'lines' to '%s': line %d is %s", ctz_function_name(L),
                      (int)i, line ? "more than one" : luaL_typename(L, -1));
        luaL_addvalue(&text);
        luaL_addchar(&text, '\n');
    }
    luaL_pushresult(&text);
    lua_replace(L, idx);
}

/// ctz.ignore.compile(lines, name?) -> ctz.ignore.Matcher
/// Reads the patterns of an ignore file as Docker's builders do (moby/patternmatcher): `**`, `!`,
/// classes, escapes, comments, leading slashes, the quirks included.
/// @param lines string|string[]  the text of a .dockerignore, or its lines
/// @param name? string  of the file, for errors; default "ignore"
/// @return ctz.ignore.Matcher
/// @error usage a line is no pattern; the message names it
/// @error size a line has more than 64 KiB
/// @example local ignore = ctz.ignore.compile{"*.log", "!keep.log"}
/// @example assert(ignore:match("a.log") and not ignore:match("keep.log"))
static int l_compile(lua_State *L)
{
    struct ctz_error err = {0};
    size_t size;
    lua_settop(L, 2);
    const char *name = lua_isnil(L, 2) ? "ignore" : ctz_check_name(L, 2, "name");
    if (lua_type(L, 1) == LUA_TTABLE)
        join_lines(L, 1);
    if (lua_type(L, 1) != LUA_TSTRING)
        return ctz_bad_argument(L, 1, "lines", "string or list of strings");
    const char *text = lua_tolstring(L, 1, &size);
    struct ctz_ignore **slot = ctz_object_new(L, IGNORE_CLASS, sizeof *slot, 0);
    *slot = ctz_ignore_new(text, size, name, &err);
    return *slot ? 1 : ctz_raise(L, &err);
}

/// matcher:match(path) -> boolean
/// Is the path left out, by a pattern that matches it or a folder above it?
/// @param path string  relative to the folder of the ignore file
/// @return boolean
/// @example local ignore = ctz.ignore.compile("node_modules\n**/*.tmp")
/// @example assert(ignore:match("node_modules/a/b.js") and ignore:match("x/y.tmp"))
static int l_match(lua_State *L)
{
    const struct ctz_ignore *ignore = ctz_check_ignore(L, 1);
    size_t size;
    const char *path = ctz_check_string(L, 2, "path", &size);
    int matched = ctz_ignore_match(ignore, path, size);
    if (matched < 0)
        return no_memory(L);
    lua_pushboolean(L, matched);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct ctz_ignore **slot = ctz_object_check(L, 1, IGNORE_CLASS);
    ctz_ignore_release(*slot);
    *slot = NULL;
    return 0;
}

static const struct ctz_reg ignore_methods[] = {
    {"ignore.match", l_match, CTZ_CAP_PURE, 0, 0},
    {"ignore.__gc", l_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"ignore.compile", l_compile, CTZ_CAP_PURE, 0, 0},
    {"context.open", ctz_context_l_open, CTZ_CAP_READ, 0, 0},
    {"context.extract", ctz_context_l_extract, CTZ_CAP_WRITE, 1, CTZ_REG_LOCAL},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_context(lua_State *L);

int luaopen_ctz_core_context(lua_State *L)
{
    ctz_class(L, IGNORE_CLASS, ignore_methods);
    ctz_context_open_reader(L);
    ctz_context_open_writer(L);
    ctz_door(L, functions);
    return 1;
}
