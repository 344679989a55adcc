// hostlua.h: the door ctz.core.host.
// SPDX-License-Identifier: MIT
#ifndef CTZ_HOSTLUA_H
#define CTZ_HOSTLUA_H

#include <lua.h>

int ctz_open_host(lua_State *L);

#endif
