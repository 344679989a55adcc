// chunk.h: bytes that one room hands to another through Lua, without a Lua string of them.
// SPDX-License-Identifier: MIT
//
// A chunk is a userdata that owns a block. Who takes the block leaves the chunk empty, so its
// memory goes when it was used and not when Lua collects. Where a chunk is taken, a string is too.
#ifndef CTZ_CHUNK_H
#define CTZ_CHUNK_H

#include <lua.h>

#include "host/api.h"

struct ctz_chunk {
    char *bytes; // owned, of ctz_malloc
    size_t size;
};

/// Pushes an empty chunk, to be filled.
CTZ_API struct ctz_chunk *ctz_chunk_push(lua_State *L);
/// The chunk at that argument; NULL for a string; anything else is a usage error.
CTZ_API struct ctz_chunk *ctz_chunk_at(lua_State *L, int arg, const char *name);
/// The bytes of the chunk or string at that argument, yours to free; of a string a copy. NULL when
/// memory ran out.
CTZ_API char *ctz_chunk_take(lua_State *L, int arg, const char *name, size_t *size);

#endif
