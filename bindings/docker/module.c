// module.c: the door ctz.core.docker: where the engine's bytes are taken apart.
// SPDX-License-Identifier: MIT
#include "bindings/docker/output.h"
#include "host/door.h"
#include "host/luax.h"

static const struct ctz_reg functions[] = {
    {"docker.output", docker_l_output, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_docker(lua_State *L);

int luaopen_ctz_core_docker(lua_State *L)
{
    docker_open_output(L);
    ctz_door(L, functions);
    return 1;
}
