// module.h: what the files of the room http share.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_HTTP_H
#define CTZ_BINDINGS_HTTP_H

#include "host/door.h"
#include "host/http/http.h"
#include "host/luax.h"

/// How a request is made beside its options, and what the options say beside the request.
struct http_wishes {
    const char *method; // NULL: opts.method, else GET
    const struct ctz_http_source *source;
    bool upgrade, connect;
    bool check; // out: a status >= 400 raises
};

/// Reads (url, opts) at the indices 1 and 2 into a request that is not started: checks options,
/// permission and modes. Leaves values on the stack.
struct ctz_http_request *http_read_request(lua_State *L, struct http_wishes *wishes);

/// Pushes {status=, headers=, url=, http_version=, body=}; without with_body no body.
void http_push_answer(lua_State *L, struct ctz_http_request *request, bool with_body);
void http_open_answer(lua_State *L);

/// The door's rows of exchange.c, and its class.
int http_l_open(lua_State *L);
int http_l_upgrade(lua_State *L);
int http_l_connect(lua_State *L);
void http_open_exchange(lua_State *L);
/// Of options.c: what another door was granted, and its class.
int http_l_grant(lua_State *L);
int http_l_escape(lua_State *L);
void http_open_grant(lua_State *L);

#endif
