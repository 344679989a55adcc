// module.c: the door ctz.core.buildkit: the session of a build, and what its progress says.
// SPDX-License-Identifier: MIT
#include "bindings/buildkit/module.h"

static const struct ctz_reg functions[] = {
    {"buildkit.open", bk_l_open, CTZ_CAP_HELD, 0, 0},
    {"buildkit.trace", bk_l_trace, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_buildkit(lua_State *L);

int luaopen_ctz_core_buildkit(lua_State *L)
{
    bk_open_session(L);
    bk_open_trace(L);
    ctz_door(L, functions);
    return 1;
}
