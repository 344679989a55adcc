// module.c: the door ctz.core.kubernetes: WebSockets to an API server, local ports.
// SPDX-License-Identifier: MIT
#include "bindings/kubernetes/module.h"
#include "bindings/kubernetes/websocket.h"

// handshake() -> key, accept: the headers Sec-WebSocket-Key and, in the answer, -Accept.
static int l_handshake(lua_State *L)
{
    char key[WS_KEY_BYTES], accept[WS_ACCEPT_BYTES];
    struct ctz_error err = {0};
    if (ws_key(key, &err) < 0 || ws_accept(key, accept, &err) < 0)
        return ctz_raise(L, &err);
    lua_pushstring(L, key);
    lua_pushstring(L, accept);
    return 2;
}

static const struct ctz_reg functions[] = {
    {"kubernetes.handshake", l_handshake, CTZ_CAP_PURE, 0, 0},
    {"kubernetes.websocket", kube_l_websocket, CTZ_CAP_HELD, 0, 0},
    {"kubernetes.listen", kube_l_listen, CTZ_CAP_NET, 1, CTZ_REG_READS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_kubernetes(lua_State *L);

int luaopen_ctz_core_kubernetes(lua_State *L)
{
    kube_open_websocket(L);
    kube_open_listener(L);
    ctz_door(L, functions);
    return 1;
}
