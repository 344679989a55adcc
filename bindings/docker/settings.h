// settings.h: the door's part for what the docker command reads to know its engine.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_DOCKER_SETTINGS_H
#define CTZ_BINDINGS_DOCKER_SETTINGS_H

#include <lua.h>

int docker_l_setting(lua_State *L);
int docker_l_setting_file(lua_State *L);

#endif
