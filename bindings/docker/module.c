// module.c: the door ctz.core.docker: where the engine's bytes are taken apart.
// SPDX-License-Identifier: MIT
#include "bindings/docker/output.h"
#include "bindings/docker/record.h"
#include "bindings/docker/relay.h"
#include "bindings/docker/settings.h"
#include "host/door.h"
#include "host/luax.h"

static const struct ctz_reg functions[] = {
    {"docker.output", docker_l_output, CTZ_CAP_PURE, 0, 0},
    {"docker.relay", docker_l_relay, CTZ_CAP_DOCKER, 1, CTZ_REG_READS},
    {"docker.setting", docker_l_setting, CTZ_CAP_PURE, 0, 0},
    {"docker.setting_file", docker_l_setting_file, CTZ_CAP_DOCKER, 0, CTZ_REG_READS},
    // What ctz keeps for itself about its runs: no recipe's business, so no permission is asked.
    {"docker.facts", docker_l_facts, CTZ_CAP_PURE, 0, 0},
    {"docker.random", docker_l_random, CTZ_CAP_PURE, 0, 0},
    {"docker.lives", docker_l_lives, CTZ_CAP_PURE, 0, 0},
    {"docker.begin_record", docker_l_begin_record, CTZ_CAP_PURE, 0, 0},
    {"docker.look_record", docker_l_look_record, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_docker(lua_State *L);

int luaopen_ctz_core_docker(lua_State *L)
{
    docker_open_output(L);
    docker_open_record(L);
    docker_open_relay(L);
    ctz_door(L, functions);
    return 1;
}
