// module.c: the door ctz.core.http: requests whose answer is held in memory.
// SPDX-License-Identifier: MIT
#include "bindings/http/module.h"

static int push_whole(lua_State *L, struct ctz_http_request *request)
{
    http_push_answer(L, request, true);
    return 1;
}

static int perform(lua_State *L, const char *method)
{
    struct http_wishes wishes = {.method = method};
    struct ctz_http_request *request = http_read_request(L, &wishes);
    return ctz_http_await(L, request, wishes.check, push_whole);
}

static int l_request(lua_State *L)
{
    return perform(L, NULL);
}

static int l_get(lua_State *L)
{
    return perform(L, "GET");
}

static int l_head(lua_State *L)
{
    return perform(L, "HEAD");
}

static int l_post(lua_State *L)
{
    return perform(L, "POST");
}

static int l_put(lua_State *L)
{
    return perform(L, "PUT");
}

static int l_delete(lua_State *L)
{
    return perform(L, "DELETE");
}

static const struct ctz_reg functions[] = {
    {"http.request", l_request, CTZ_CAP_NET, 0, CTZ_REG_PLANS},
    {"http.get", l_get, CTZ_CAP_NET, 0, CTZ_REG_READS},
    {"http.head", l_head, CTZ_CAP_NET, 0, CTZ_REG_READS},
    {"http.post", l_post, CTZ_CAP_NET, 0, CTZ_REG_PLANS},
    {"http.put", l_put, CTZ_CAP_NET, 0, CTZ_REG_PLANS},
    {"http.delete", l_delete, CTZ_CAP_NET, 0, CTZ_REG_PLANS},
    {"http.open", http_l_open, CTZ_CAP_NET, 0, CTZ_REG_PLANS},
    {"http.upgrade", http_l_upgrade, CTZ_CAP_NET, 0, CTZ_REG_PLANS},
    {"http.connect", http_l_connect, CTZ_CAP_NET, 0, CTZ_REG_PLANS},
    {"http.escape", http_l_escape, CTZ_CAP_PURE, 0, 0},
    {"http.grant", http_l_grant, CTZ_CAP_DOCKER, 0, CTZ_REG_PLANS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_http(lua_State *L);

int luaopen_ctz_core_http(lua_State *L)
{
    http_open_answer(L);
    http_open_exchange(L);
    http_open_grant(L);
    ctz_door(L, functions);
    return 1;
}
