// env.c: the environment the program was started with. It is not changed: threads read it.
// SPDX-License-Identifier: MIT
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/system/system.h"
#include "host/door.h"
#include "host/luax.h"

// (name) -> string|nil
static int l_get(lua_State *L)
{
    const char *name = ctz_check_name(L, 1, "name");
    lua_pushstring(L, getenv(name));
    return 1;
}

// () -> table of all that --allow grants
static int l_all(lua_State *L)
{
    lua_newtable(L);
    for (char **variable = environ; *variable; variable++) {
        size_t length = strcspn(*variable, "=");
        lua_pushlstring(L, *variable, length);
        if ((*variable)[length] != '=' || !ctz_allowed(L, CTZ_CAP_ENV, lua_tostring(L, -1))) {
            lua_pop(L, 1);
            continue;
        }
        lua_pushstring(L, *variable + length + 1);
        lua_rawset(L, -3);
    }
    return 1;
}

static const struct ctz_reg functions[] = {
    {"env.get", l_get, CTZ_CAP_ENV, 1, 0},
    {"env.all", l_all, CTZ_CAP_ENV, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_system_env_open(lua_State *L)
{
    ctz_door(L, functions);
}
