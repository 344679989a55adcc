// module.h: what the files of the room context share with its door.
// SPDX-License-Identifier: MIT
#ifndef CTZ_CONTEXT_MODULE_H
#define CTZ_CONTEXT_MODULE_H

#include <lua.h>

struct ctz_ignore;

/// The matcher at idx, borrowed; usage when it is something else.
struct ctz_ignore *ctz_check_ignore(lua_State *L, int idx);

int ctz_context_l_open(lua_State *L);
void ctz_context_open_reader(lua_State *L);

int ctz_context_l_extract(lua_State *L);
void ctz_context_open_writer(lua_State *L);

#endif
