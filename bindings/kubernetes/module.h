// module.h: what the files of the room kubernetes share.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_KUBERNETES_H
#define CTZ_BINDINGS_KUBERNETES_H

#include "host/door.h"
#include "host/luax.h"
#include "host/op.h"

/// The door's rows, and the classes: of socket.c a WebSocket, of listen.c a local port.
int kube_l_websocket(lua_State *L);
void kube_open_websocket(lua_State *L);
int kube_l_listen(lua_State *L);
void kube_open_listener(lua_State *L);

#endif
