// answer.c: what Lua sees of an answer.
// SPDX-License-Identifier: MIT
#include "bindings/http/module.h"

#include <ctype.h>
#include <string.h>

#define HEADERS_CLASS "ctz.http.headers"

static void push_lower(lua_State *L, const char *text)
{
    char small[128];
    size_t length = strlen(text);
    luaL_Buffer buffer;
    char *to = length <= sizeof small ? small : luaL_buffinitsize(L, &buffer, length);
    for (size_t i = 0; i < length; i++)
        to[i] = (char)tolower((unsigned char)text[i]);
    if (to == small)
        lua_pushlstring(L, small, length);
    else
        luaL_pushresultsize(&buffer, length);
}

// Several headers of one name: joined as RFC 9110, 5.3 allows it; cookies, which hold commas, by
// line ends.
static void join(lua_State *L, const char *value)
{
    bool is_cookie = strcmp(lua_tostring(L, -2), "set-cookie") == 0;
    lua_pushstring(L, is_cookie ? "\n" : ", ");
    lua_pushstring(L, value);
    lua_concat(L, 3);
}

static void push_headers(lua_State *L, struct ctz_http_request *request)
{
    const char *name, *value;
    lua_createtable(L, 0, 8);
    luaL_setmetatable(L, HEADERS_CLASS);
    for (const char *at = NULL; (at = ctz_http_next_header(request, at, &name, &value));) {
        push_lower(L, name);
        lua_pushvalue(L, -1);
        if (lua_rawget(L, -3) == LUA_TSTRING) {
            join(L, value);
        } else {
            lua_pop(L, 1);
            lua_pushstring(L, value);
        }
        lua_rawset(L, -3);
    }
}

void http_push_answer(lua_State *L, struct ctz_http_request *request, bool with_body)
{
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, ctz_http_status(request));
    lua_setfield(L, -2, "status");
    push_headers(L, request);
    lua_setfield(L, -2, "headers");
    lua_pushstring(L, ctz_http_url(request));
    lua_setfield(L, -2, "url");
    lua_pushstring(L, ctz_http_version(request));
    lua_setfield(L, -2, "http_version");
    if (!with_body)
        return;
    size_t size;
    const char *body = ctz_http_body(request, &size);
    lua_pushlstring(L, body, size);
    lua_setfield(L, -2, "body");
}

// headers["Content-Type"]: names are kept in lower case.
static int l_header(lua_State *L)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        return 0;
    push_lower(L, lua_tostring(L, 2));
    if (lua_rawequal(L, 2, -1))
        return 0;
    lua_rawget(L, 1);
    return 1;
}

void http_open_answer(lua_State *L)
{
    if (luaL_newmetatable(L, HEADERS_CLASS)) {
        lua_pushcfunction(L, l_header);
        lua_setfield(L, -2, "__index");
    }
    lua_pop(L, 1);
}
