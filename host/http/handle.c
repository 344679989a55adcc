// handle.c: an upgraded connection on its way from one room to another, as a Lua value.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include "host/log.h"
#include "host/luax.h"

#define HANDLE_CLASS "ctz.http.handle"

struct handle {
    struct ctz_http_request *request; // owned; NULL once taken
};

static int l_gc(lua_State *L)
{
    struct handle *handle = ctz_object_check(L, 1, HANDLE_CLASS);
    if (!handle->request)
        return 0;
    ctz_log(ctz_host(L), CTZ_LOG_DEBUG, "%s was not closed; it is now",
            ctz_http_url(handle->request));
    ctz_http_free(handle->request);
    handle->request = NULL;
    return 0;
}

void ctz_http_push_handle(lua_State *L, struct ctz_http_request *request)
{
    if (luaL_newmetatable(L, HANDLE_CLASS)) {
        lua_pushcfunction(L, l_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
    struct handle *handle = ctz_object_new(L, HANDLE_CLASS, sizeof *handle, 0);
    ctz_http_listen(request, NULL, NULL);
    handle->request = request;
}

struct ctz_http_request *ctz_http_take_handle(lua_State *L, int arg)
{
    struct handle *handle = luaL_testudata(L, arg, HANDLE_CLASS);
    if (!handle)
        ctz_bad_argument(L, arg, "connection", "connection handle");
    if (!handle->request)
        ctz_usage(L, "the connection was handed on already");
    struct ctz_http_request *request = handle->request;
    handle->request = NULL;
    return request;
}
