// luax.c: checked arguments and options.
// SPDX-License-Identifier: MIT
#include "host/luax.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/errorlua.h"

#define MESSAGE_BYTES 1024
#define MAX_OPTIONS   64 // more names than any options table has

// --- usage -------------------------------------------------------------------------------------

int ctz_usage(lua_State *L, const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_USAGE, "%s", message);
    return ctz_raise(L, &err);
}

// What the value is, for "got ...": its type, or the class of an object.
static const char *got(lua_State *L, int idx)
{
    if (lua_isnone(L, idx))
        return "nothing";
    if (luaL_getmetafield(L, idx, "__name") == LUA_TSTRING) {
        const char *name = lua_tostring(L, -1);
        lua_pop(L, 1); // the metatable keeps it alive
        return name;
    }
    return luaL_typename(L, idx);
}

int ctz_bad_argument(lua_State *L, int arg, const char *name, const char *expected)
{
    return ctz_usage(L, "bad argument '%s' to '%s': expected %s, got %s", name,
                     ctz_function_name(L), expected, got(L, arg));
}

static int bad_option(lua_State *L, const char *name, const char *expected)
{
    return ctz_usage(L, "bad argument 'opts.%s' to '%s': expected %s, got %s", name,
                     ctz_function_name(L), expected, got(L, -1));
}

// --- arguments ---------------------------------------------------------------------------------

const char *ctz_check_string(lua_State *L, int arg, const char *name, size_t *length)
{
    if (lua_type(L, arg) != LUA_TSTRING)
        ctz_bad_argument(L, arg, name, "string");
    return lua_tolstring(L, arg, length);
}

const char *ctz_check_name(lua_State *L, int arg, const char *name)
{
    size_t length;
    const char *text = ctz_check_string(L, arg, name, &length);
    if (length == 0)
        ctz_usage(L, "bad argument '%s' to '%s': it is empty", name, ctz_function_name(L));
    if (strlen(text) != length)
        ctz_usage(L, "bad argument '%s' to '%s': it holds a NUL byte", name, ctz_function_name(L));
    return text;
}

lua_Integer ctz_check_integer(lua_State *L, int arg, const char *name, lua_Integer min,
                              lua_Integer max)
{
    int is_integer = 0;
    lua_Integer value = lua_type(L, arg) == LUA_TNUMBER ? lua_tointegerx(L, arg, &is_integer) : 0;
    if (!is_integer)
        ctz_bad_argument(L, arg, name, "integer");
    if (value < min || value > max)
        ctz_usage(L, "bad argument '%s' to '%s': expected %lld to %lld, got %lld", name,
                  ctz_function_name(L), (long long)min, (long long)max, (long long)value);
    return value;
}

double ctz_check_seconds(lua_State *L, int arg, const char *name)
{
    if (lua_type(L, arg) != LUA_TNUMBER)
        ctz_bad_argument(L, arg, name, "a number of seconds");
    double value = lua_tonumber(L, arg);
    if (!(value >= 0))
        ctz_usage(L, "bad argument '%s' to '%s': expected 0 seconds or more, got %g", name,
                  ctz_function_name(L), value);
    return value;
}

void ctz_check_table(lua_State *L, int arg, const char *name)
{
    if (lua_type(L, arg) != LUA_TTABLE)
        ctz_bad_argument(L, arg, name, "table");
}

void ctz_check_function(lua_State *L, int arg, const char *name)
{
    if (lua_type(L, arg) == LUA_TFUNCTION)
        return;
    if (luaL_getmetafield(L, arg, "__call") == LUA_TNIL)
        ctz_bad_argument(L, arg, name, "function");
    lua_pop(L, 1);
}

// --- options -----------------------------------------------------------------------------------

static bool is_listed(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(*names, name) == 0)
            return true;
    return false;
}

void ctz_opts_check(lua_State *L, int idx, const char *const *names)
{
    if (lua_isnoneornil(L, idx))
        return;
    if (lua_type(L, idx) != LUA_TTABLE)
        ctz_bad_argument(L, idx, "opts", "table");
    idx = lua_absindex(L, idx);
    for (lua_pushnil(L); lua_next(L, idx); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            ctz_usage(L, "bad argument 'opts' to '%s': an option has a name, got a %s as key",
                      ctz_function_name(L), luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        if (is_listed(name, names))
            continue;
        const char *near = ctz_nearest(name, names);
        if (near)
            ctz_usage(L, "unknown option '%s' to '%s'; did you mean '%s'?", name,
                      ctz_function_name(L), near);
        luaL_Buffer list;
        luaL_buffinit(L, &list);
        for (const char *const *known = names; *known; known++) {
            luaL_addstring(&list, known == names ? "" : ", ");
            luaL_addstring(&list, *known);
        }
        luaL_pushresult(&list);
        ctz_usage(L, "unknown option '%s' to '%s'; it takes %s", name, ctz_function_name(L),
                  lua_tostring(L, -1));
    }
}

int ctz_opt_field(lua_State *L, int idx, const char *name)
{
    if (lua_type(L, idx) != LUA_TTABLE) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    return lua_getfield(L, idx, name);
}

const char *ctz_opt_string(lua_State *L, int idx, const char *name, size_t *length,
                           const char *otherwise)
{
    int type = ctz_opt_field(L, idx, name);
    if (type != LUA_TNIL && type != LUA_TSTRING)
        bad_option(L, name, "string");
    const char *text = type == LUA_TNIL ? otherwise : lua_tolstring(L, -1, length);
    if (type == LUA_TNIL && length)
        *length = otherwise ? strlen(otherwise) : 0;
    lua_pop(L, 1);
    return text;
}

bool ctz_opt_bool(lua_State *L, int idx, const char *name, bool otherwise)
{
    int type = ctz_opt_field(L, idx, name);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        bad_option(L, name, "boolean");
    bool value = type == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return value;
}

lua_Integer ctz_opt_integer(lua_State *L, int idx, const char *name, lua_Integer min,
                            lua_Integer max, lua_Integer otherwise)
{
    int type = ctz_opt_field(L, idx, name);
    int is_integer = 0;
    lua_Integer value = type == LUA_TNUMBER ? lua_tointegerx(L, -1, &is_integer) : 0;
    if (type != LUA_TNIL && !is_integer)
        bad_option(L, name, "integer");
    if (type != LUA_TNIL && (value < min || value > max))
        ctz_usage(L, "bad argument 'opts.%s' to '%s': expected %lld to %lld, got %lld", name,
                  ctz_function_name(L), (long long)min, (long long)max, (long long)value);
    lua_pop(L, 1);
    return type == LUA_TNIL ? otherwise : value;
}

double ctz_opt_number(lua_State *L, int idx, const char *name, double otherwise)
{
    int type = ctz_opt_field(L, idx, name);
    if (type != LUA_TNIL && type != LUA_TNUMBER)
        bad_option(L, name, "number");
    double value = type == LUA_TNIL ? otherwise : lua_tonumber(L, -1);
    lua_pop(L, 1);
    return value;
}

double ctz_opt_seconds(lua_State *L, int idx, const char *name, double otherwise)
{
    int type = ctz_opt_field(L, idx, name);
    if (type != LUA_TNIL && type != LUA_TNUMBER)
        bad_option(L, name, "a number of seconds");
    double value = type == LUA_TNIL ? otherwise : lua_tonumber(L, -1);
    if (type != LUA_TNIL && !(value >= 0))
        ctz_usage(L, "bad argument 'opts.%s' to '%s': expected 0 seconds or more, got %g", name,
                  ctz_function_name(L), value);
    lua_pop(L, 1);
    return value;
}

int ctz_opt_choice(lua_State *L, int idx, const char *name, const char *const *choices,
                   int otherwise)
{
    const char *text = ctz_opt_string(L, idx, name, NULL, NULL);
    if (!text)
        return otherwise;
    for (int i = 0; choices[i]; i++)
        if (strcmp(choices[i], text) == 0)
            return i;
    luaL_Buffer list;
    luaL_buffinit(L, &list);
    for (int i = 0; choices[i]; i++) {
        luaL_addstring(&list, i ? ", " : "");
        luaL_addstring(&list, choices[i]);
    }
    luaL_pushresult(&list);
    return ctz_usage(L, "bad argument 'opts.%s' to '%s': expected one of %s, got \"%s\"", name,
                     ctz_function_name(L), lua_tostring(L, -1), text);
}

// --- objects -----------------------------------------------------------------------------------

void *ctz_object_new(lua_State *L, const char *metatable, size_t size, int user_values)
{
    void *object = lua_newuserdatauv(L, size, user_values);
    memset(object, 0, size);
    luaL_setmetatable(L, metatable);
    return object;
}

void *ctz_object_check(lua_State *L, int arg, const char *metatable)
{
    void *object = luaL_testudata(L, arg, metatable);
    if (!object)
        ctz_bad_argument(L, arg, arg == 1 ? "self" : "object", metatable);
    return object;
}
