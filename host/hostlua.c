// hostlua.c: what Lua may know of its run: the door ctz.core.host.
// SPDX-License-Identifier: MIT
#include "host/hostlua.h"

#include "host/door.h"
#include "host/luax.h"

/// ctz.mode() -> table
/// How the run was started: {dry_run=, simulate=, json=, quiet=, debug=}, all booleans.
/// @return {dry_run: boolean, simulate: boolean, json: boolean, quiet: boolean, debug: boolean}
/// @example assert(ctz.mode().dry_run == false)
static int l_mode(lua_State *L)
{
    const struct ctz_host *host = ctz_host(L);
    lua_createtable(L, 0, 5);
    lua_pushboolean(L, host->dry_run);
    lua_setfield(L, -2, "dry_run");
    lua_pushboolean(L, host->simulate);
    lua_setfield(L, -2, "simulate");
    lua_pushboolean(L, host->json);
    lua_setfield(L, -2, "json");
    lua_pushboolean(L, host->quiet);
    lua_setfield(L, -2, "quiet");
    lua_pushboolean(L, host->debug);
    lua_setfield(L, -2, "debug");
    return 1;
}

// The rows of the limits table, in its order: {name=, value=, default=, unit=, meaning=}.
static int l_limits(lua_State *L)
{
    const struct ctz_host *host = ctz_host(L);
    lua_createtable(L, CTZ_LIMIT_COUNT, 0);
    for (int i = 0; i < CTZ_LIMIT_COUNT; i++) {
        const struct ctz_limit_info *info = ctz_limit_info((enum ctz_limit)i);
        lua_createtable(L, 0, 5);
        lua_pushstring(L, info->name);
        lua_setfield(L, -2, "name");
        lua_pushinteger(L, (lua_Integer)ctz_limit(host, (enum ctz_limit)i));
        lua_setfield(L, -2, "value");
        lua_pushinteger(L, (lua_Integer)info->default_value);
        lua_setfield(L, -2, "default");
        lua_pushstring(L, info->unit);
        lua_setfield(L, -2, "unit");
        lua_pushstring(L, info->meaning);
        lua_setfield(L, -2, "meaning");
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

// Every door function opened so far: public name -> capability.
static int l_doors(lua_State *L)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, CTZ_DOOR_ROWS);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, -3);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    return 1;
}

#define MAX_NAMES 256 // more than any table of options or commands has

// nearest(wrong, names) -> string | nil: the name that was probably meant.
static int l_nearest(lua_State *L)
{
    const char *names[MAX_NAMES + 1] = {0};
    const char *wrong = ctz_check_string(L, 1, "wrong", NULL);
    ctz_check_table(L, 2, "names");
    for (int i = 0; i < MAX_NAMES && lua_rawgeti(L, 2, i + 1) == LUA_TSTRING; i++) {
        names[i] = lua_tostring(L, -1);
        lua_pop(L, 1); // the table keeps it
    }
    lua_pushstring(L, ctz_nearest(wrong, names));
    return 1;
}

// plan(text) -> boolean: is this a dry run? Then "would <text>" is a line of its plan, and the
// caller changes nothing.
static int l_plan(lua_State *L)
{
    const char *text = ctz_check_string(L, 1, "text", NULL);
    bool planned = ctz_dry_run(L);
    if (planned)
        ctz_plan(L, "%s", text);
    lua_pushboolean(L, planned);
    return 1;
}

static const struct ctz_reg functions[] = {
    {"mode", l_mode, CTZ_CAP_PURE, 0, 0},        {"host.limits", l_limits, CTZ_CAP_PURE, 0, 0},
    {"host.doors", l_doors, CTZ_CAP_PURE, 0, 0}, {"host.nearest", l_nearest, CTZ_CAP_PURE, 0, 0},
    {"host.plan", l_plan, CTZ_CAP_PURE, 0, 0},   {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

int ctz_open_host(lua_State *L)
{
    ctz_door(L, functions);
    lua_pushliteral(L, CTZ_VERSION);
    lua_setfield(L, -2, "version");
    lua_pushstring(L, ctz_host(L)->program);
    lua_setfield(L, -2, "program");
    return 1;
}
