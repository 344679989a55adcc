// output.h: the door's part for what a container writes.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_DOCKER_OUTPUT_H
#define CTZ_BINDINGS_DOCKER_OUTPUT_H

#include <lua.h>

int docker_l_output(lua_State *L);
void docker_open_output(lua_State *L);

#endif
