// secretlua.c: the class ctz.secret: the in-program door ctz.core.secret.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "host/door.h"
#include "host/luax.h"
#include "host/secrets.h"

#define SHOWN "***"

// The bytes belong to the run's store, which outlives every Lua value.
struct handle {
    const struct ctz_secret *secret;
};

const char *ctz_secret_at(lua_State *L, int idx, size_t *size)
{
    const struct handle *handle = luaL_testudata(L, idx, CTZ_SECRET_CLASS);
    if (!handle)
        return NULL;
    if (size)
        *size = handle->secret->size;
    return handle->secret->bytes;
}

static const struct ctz_secret *check_secret(lua_State *L)
{
    const struct handle *handle = ctz_object_check(L, 1, CTZ_SECRET_CLASS);
    return handle->secret;
}

/// ctz.secret(text) -> ctz.secret
/// Wraps a text that must not be seen. print, .., %s and errors show ***, and from now on the text
/// itself and its usual encodings leave the program as *** wherever they turn up: on stdout,
/// stderr, in logs and reports. Texts under 4 bytes are wrapped, but not looked for in other
/// output. What reveal gives is a string like any other; the wrapped copy is wiped when the run
/// ends.
/// @param text string|ctz.secret  a secret is returned as it is
/// @return ctz.secret
/// @example local token = ctz.secret("ghp_8d7f6a5s4d")
/// @example assert(tostring(token) == "***" and token:reveal() == "ghp_8d7f6a5s4d")
static int l_secret(lua_State *L)
{
    if (ctz_secret_at(L, 1, NULL)) {
        lua_settop(L, 1);
        return 1;
    }
    size_t size;
    const char *text = ctz_check_string(L, 1, "text", &size);
    struct handle *handle = ctz_object_new(L, CTZ_SECRET_CLASS, sizeof *handle, 0);
    handle->secret = ctz_secret_keep(ctz_host(L), text, size);
    if (!handle->secret) // not even wrapped: it could not be masked
        return luaL_error(L, "not enough memory");
    return 1;
}

/// secret:reveal() -> string
/// The text itself, for the one place that needs it.
/// @return string
/// @example assert(ctz.secret("hunter22"):reveal() == "hunter22")
static int l_reveal(lua_State *L)
{
    const struct ctz_secret *secret = check_secret(L);
    lua_pushlstring(L, secret->bytes, secret->size);
    return 1;
}

/// secret:equals(text) -> boolean
/// Compares with a text or another secret, in a time that does not tell where they differ. Two
/// secrets may also be compared with ==.
/// @param text string|ctz.secret
/// @return boolean
/// @example assert(ctz.secret("hunter22"):equals("hunter22"))
static int l_equals(lua_State *L)
{
    const struct ctz_secret *secret = check_secret(L);
    size_t size;
    const char *text = ctz_secret_at(L, 2, &size);
    if (!text)
        text = ctz_check_string(L, 2, "text", &size);
    lua_pushboolean(L, ctz_secret_equal(secret, text, size));
    return 1;
}

static int l_eq(lua_State *L)
{
    size_t size;
    const struct handle *one = luaL_testudata(L, 1, CTZ_SECRET_CLASS);
    const char *other = ctz_secret_at(L, 2, &size);
    lua_pushboolean(L, one && other && ctz_secret_equal(one->secret, other, size));
    return 1;
}

static int l_tostring(lua_State *L)
{
    check_secret(L);
    lua_pushliteral(L, SHOWN);
    return 1;
}

static int l_concat(lua_State *L)
{
    for (int i = 1; i <= 2; i++) {
        int type = lua_type(L, i);
        if (type != LUA_TSTRING && type != LUA_TNUMBER && !ctz_secret_at(L, i, NULL))
            return luaL_error(L, "attempt to concatenate a %s value with a secret",
                              luaL_typename(L, i));
    }
    lua_settop(L, 2);
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

static int l_len(lua_State *L)
{
    return ctz_usage(L, "the length of a secret is hidden; #secret:reveal() tells it");
}

static const struct ctz_reg methods[] = {
    {"secret.reveal", l_reveal, CTZ_CAP_PURE, 0, 0},
    {"secret.equals", l_equals, CTZ_CAP_PURE, 0, 0},
    {"secret.__eq", l_eq, CTZ_CAP_PURE, 0, 0},
    {"secret.__tostring", l_tostring, CTZ_CAP_PURE, 0, 0},
    {"secret.__concat", l_concat, CTZ_CAP_PURE, 0, 0},
    {"secret.__len", l_len, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"secret", l_secret, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

int ctz_open_secret(lua_State *L)
{
    ctz_class(L, CTZ_SECRET_CLASS, methods);
    ctz_door(L, functions);
    return 1;
}
