// value.c: what JSON and YAML have and Lua has not: null, and which empty table is a list.
// SPDX-License-Identifier: MIT
#include "bindings/data/value.h"

#include <lauxlib.h>

#include "host/luax.h"

#define NULL_CLASS "ctz.json.null"

/// ctz.json.null -> userdata
/// The null of JSON and YAML: one value, which differs from nil (absent) and prints as "null". Lua
/// counts it as true, so compare with it. It is the null of lua-cjson too.
/// @return userdata
/// @example local value = ctz.json.decode '{"a":null}'
/// @example assert(value.a == ctz.json.null and value.b == nil and tostring(value.a) == "null")
void ctz_value_push_null(lua_State *L)
{
    lua_pushlightuserdata(L, NULL);
}

bool ctz_value_is_null(lua_State *L, int idx)
{
    return lua_type(L, idx) == LUA_TLIGHTUSERDATA && !lua_touserdata(L, idx);
}

const void *ctz_value_class(lua_State *L, const char *name)
{
    luaL_getmetatable(L, name);
    const void *class = lua_topointer(L, -1);
    lua_pop(L, 1);
    return class;
}

const void *ctz_value_class_of(lua_State *L, int idx)
{
    if (!lua_getmetatable(L, idx))
        return NULL;
    const void *class = lua_topointer(L, -1);
    lua_pop(L, 1);
    return class;
}

// --- null --------------------------------------------------------------------------------------

static int l_null_tostring(lua_State *L)
{
    if (ctz_value_is_null(L, 1))
        lua_pushliteral(L, "null");
    else
        lua_pushfstring(L, "userdata: %p", lua_touserdata(L, 1));
    return 1;
}

// Why null has an __index: "attempt to index a userdata value" does not say what is wrong.
static int l_null_index(lua_State *L)
{
    const char *key = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : luaL_typename(L, 2);
    return ctz_usage(L, "attempt to index null (a JSON or YAML null) with '%s'", key);
}

// All light userdata of a state share one metatable; null is the one that recipes see.
static void init_null(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"__tostring", l_null_tostring}, {"__index", l_null_index}, {NULL, NULL}};
    ctz_value_push_null(L);
    if (!lua_getmetatable(L, -1)) {
        luaL_newmetatable(L, NULL_CLASS);
        luaL_setfuncs(L, methods, 0);
        lua_pushliteral(L, "null");
        lua_setfield(L, -2, "__name");
        lua_setmetatable(L, -2);
        lua_pop(L, 1);
    } else {
        lua_pop(L, 2);
    }
}

void ctz_value_init(lua_State *L)
{
    luaL_newmetatable(L, CTZ_VALUE_ARRAY);
    luaL_newmetatable(L, CTZ_VALUE_OBJECT);
    lua_pop(L, 2);
    init_null(L);
}

// --- marks -------------------------------------------------------------------------------------

static int mark(lua_State *L, const char *class)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    ctz_check_table(L, 1, "t");
    const void *has = ctz_value_class_of(L, 1);
    if (has && has != ctz_value_class(L, CTZ_VALUE_ARRAY) &&
        has != ctz_value_class(L, CTZ_VALUE_OBJECT))
        return ctz_usage(L, "the table has a metatable of its own already");
    luaL_setmetatable(L, class);
    return 1;
}

/// ctz.json.array(t?) -> table
/// Marks a table as a list, so that it is written as `[]` when it is empty; returns the same table.
/// A table with items 1 to n is a list without any mark, and lists that were decoded are marked.
/// @param t? table  default: a new one
/// @return table
/// @error usage the table has a metatable of its own
/// @example assert(ctz.json.encode{args = ctz.json.array()} == '{"args":[]}')
int ctz_l_json_array(lua_State *L)
{
    return mark(L, CTZ_VALUE_ARRAY);
}

/// ctz.json.object(t?) -> table
/// Marks a table as an object; returns the same table. An empty table is written as `{}` without
/// any mark; a marked one is refused by encode once it holds list items.
/// @param t? table  default: a new one
/// @return table
/// @error usage the table has a metatable of its own
/// @example assert(ctz.json.encode{labels = ctz.json.object()} == '{"labels":{}}')
int ctz_l_json_object(lua_State *L)
{
    return mark(L, CTZ_VALUE_OBJECT);
}

/// ctz.json.is_array(value) -> boolean
/// Would encode write this value as a list? True for tables that are marked as one, and for tables
/// without a mark that have an item 1.
/// @param value any
/// @return boolean
/// @example assert(ctz.json.is_array(ctz.json.decode "[]") and not ctz.json.is_array {})
int ctz_l_json_is_array(lua_State *L)
{
    luaL_checkany(L, 1);
    bool is_array = false;
    if (lua_type(L, 1) == LUA_TTABLE) {
        const void *class = ctz_value_class_of(L, 1);
        is_array = class && class == ctz_value_class(L, CTZ_VALUE_ARRAY);
        if (!is_array && class != ctz_value_class(L, CTZ_VALUE_OBJECT))
            is_array = lua_rawgeti(L, 1, 1) != LUA_TNIL;
    }
    lua_pushboolean(L, is_array);
    return 1;
}
