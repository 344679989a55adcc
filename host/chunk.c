// chunk.c: bytes that one room hands to another through Lua.
// SPDX-License-Identifier: MIT
#include "host/chunk.h"

#include "host/alloc.h"
#include "host/door.h"
#include "host/luax.h"

#define CHUNK_CLASS "ctz.chunk"

static int l_text(lua_State *L)
{
    const struct ctz_chunk *chunk = ctz_object_check(L, 1, CHUNK_CLASS);
    lua_pushlstring(L, chunk->bytes ? chunk->bytes : "", chunk->size);
    return 1;
}

static int l_size(lua_State *L)
{
    const struct ctz_chunk *chunk = ctz_object_check(L, 1, CHUNK_CLASS);
    lua_pushinteger(L, (lua_Integer)chunk->size);
    return 1;
}

static int l_free(lua_State *L)
{
    struct ctz_chunk *chunk = ctz_object_check(L, 1, CHUNK_CLASS);
    ctz_free(chunk->bytes);
    chunk->bytes = NULL;
    chunk->size = 0;
    return 0;
}

static const struct ctz_reg methods[] = {
    {"chunk.text", l_text, CTZ_CAP_PURE, 0, 0},  {"chunk.free", l_free, CTZ_CAP_PURE, 0, 0},
    {"chunk.__len", l_size, CTZ_CAP_PURE, 0, 0}, {"chunk.__gc", l_free, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

struct ctz_chunk *ctz_chunk_push(lua_State *L)
{
    if (luaL_getmetatable(L, CHUNK_CLASS) == LUA_TNIL)
        ctz_class(L, CHUNK_CLASS, methods);
    lua_pop(L, 1);
    return ctz_object_new(L, CHUNK_CLASS, sizeof(struct ctz_chunk), 0);
}

struct ctz_chunk *ctz_chunk_at(lua_State *L, int arg, const char *name)
{
    if (lua_type(L, arg) == LUA_TSTRING)
        return NULL;
    struct ctz_chunk *chunk = luaL_testudata(L, arg, CHUNK_CLASS);
    if (!chunk)
        ctz_bad_argument(L, arg, name, "string or chunk");
    return chunk;
}

char *ctz_chunk_take(lua_State *L, int arg, const char *name, size_t *size)
{
    struct ctz_chunk *chunk = ctz_chunk_at(L, arg, name);
    if (!chunk || !chunk->bytes) {
        const char *text = chunk ? "" : lua_tolstring(L, arg, size);
        *size = chunk ? 0 : *size;
        return ctz_memdup(text, *size);
    }
    char *bytes = chunk->bytes;
    *size = chunk->size;
    chunk->bytes = NULL;
    chunk->size = 0;
    return bytes;
}
