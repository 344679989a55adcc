// value.h: what JSON and YAML have and Lua has not: null, and which empty table is a list.
// SPDX-License-Identifier: MIT
//
// null is the light userdata NULL (as in lua-cjson, so the two agree). A list or an object is
// marked by a metatable that is shared by all of its kind and holds nothing but a name.
#ifndef CTZ_DATA_VALUE_H
#define CTZ_DATA_VALUE_H

#include <lua.h>

#include "host/api.h"

#define CTZ_VALUE_ARRAY  "ctz.json.array"
#define CTZ_VALUE_OBJECT "ctz.json.object"
#define CTZ_VALUE_SECRET "ctz.secret"

/// Makes the marks and the manner of null; once per state, more does no harm.
void ctz_value_init(lua_State *L);
void ctz_value_push_null(lua_State *L);
bool ctz_value_is_null(lua_State *L, int idx);
/// Address of a metatable of the registry, NULL when there is none: to be compared only.
const void *ctz_value_class(lua_State *L, const char *name);
/// Address of the metatable of the value at idx, NULL when it has none. Never raises.
const void *ctz_value_class_of(lua_State *L, int idx);

int ctz_l_json_array(lua_State *L);
int ctz_l_json_object(lua_State *L);
int ctz_l_json_is_array(lua_State *L);

#endif
