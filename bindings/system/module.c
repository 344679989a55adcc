// module.c: the door ctz.core.system: files, programs, clocks and the environment of this machine.
// SPDX-License-Identifier: MIT
#include <lua.h>

#include "bindings/system/system.h"
#include "host/api.h"

CTZ_API int luaopen_ctz_core_system(lua_State *L);

int luaopen_ctz_core_system(lua_State *L)
{
    lua_createtable(L, 0, 4);
    ctz_system_fs_open(L);
    lua_setfield(L, -2, "fs");
    ctz_system_process_open(L);
    lua_setfield(L, -2, "process");
    ctz_system_time_open(L);
    lua_setfield(L, -2, "time");
    ctz_system_env_open(L);
    lua_setfield(L, -2, "env");
    return 1;
}
