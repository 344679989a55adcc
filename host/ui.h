// ui.h: the in-program door ctz.core.ui.
// SPDX-License-Identifier: MIT
#ifndef CTZ_UI_H
#define CTZ_UI_H

#include <lua.h>

int ctz_open_ui(lua_State *L);

#endif
