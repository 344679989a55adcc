// module.h: what the files of the room buildkit share on the Lua side.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_BUILDKIT_H
#define CTZ_BINDINGS_BUILDKIT_H

#include "host/door.h"
#include "host/luax.h"

/// session.c
int bk_l_open(lua_State *L);
void bk_open_session(lua_State *L);
/// trace.c
int bk_l_trace(lua_State *L);
void bk_open_trace(lua_State *L);

#endif
