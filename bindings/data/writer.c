// writer.c: what the encoders of JSON and YAML have in common: walk, append, bound, hand over.
// SPDX-License-Identifier: MIT
#include "bindings/data/writer.h"

#include <lauxlib.h>

#include "host/alloc.h"
#include "host/luax.h"

#define SCRATCH_CLASS "ctz.data.scratch"
#define KEPT_BYTES    65536 // of output, kept for the next call
#define KEPT_KEYS     1024

// The memory of one call. It stays in the registry for the next one; a call that finds it in use
// (a finalizer that encodes, or one that was left by an error of Lua) makes a new one.
struct scratch {
    struct ctz_walk walk;
    struct ctz_buffer out;
    bool busy;
};

static const char scratch_key;

static int l_scratch_gc(lua_State *L)
{
    struct scratch *scratch = lua_touserdata(L, 1);
    ctz_walk_clear(&scratch->walk);
    ctz_buffer_clear(&scratch->out);
    return 0;
}

void ctz_writer_init(lua_State *L)
{
    if (luaL_newmetatable(L, SCRATCH_CLASS)) {
        lua_pushcfunction(L, l_scratch_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
}

static struct scratch *push_scratch(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &scratch_key) == LUA_TUSERDATA) {
        struct scratch *kept = lua_touserdata(L, -1);
        if (!kept->busy)
            return kept;
    }
    lua_pop(L, 1);
    struct scratch *scratch = ctz_object_new(L, SCRATCH_CLASS, sizeof *scratch, 0);
    ctz_buffer_init(&scratch->out, SIZE_MAX);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &scratch_key);
    return scratch;
}

static void release(struct scratch *scratch)
{
    if (scratch->out.capacity > KEPT_BYTES || scratch->out.failed)
        ctz_buffer_clear(&scratch->out);
    scratch->out.length = 0;
    if (scratch->walk.key_capacity > KEPT_KEYS || scratch->walk.level_capacity > KEPT_KEYS)
        ctz_walk_clear(&scratch->walk);
    scratch->busy = false;
}

static int check_output(const struct ctz_buffer *out, const struct ctz_writer *writer,
                        struct ctz_error *err)
{
    if (out->failed)
        return ctz_error_set(err, CTZ_ERROR_SIZE, "not enough memory for the %s text",
                             writer->format);
    if (out->length <= writer->max_bytes)
        return 0;
    ctz_error_set(err, CTZ_ERROR_SIZE, "the %s text grows beyond %zu bytes", writer->format,
                  writer->max_bytes);
    ctz_error_hint(err, "--limit document_bytes=SIZE raises the limit");
    return -1;
}

static int write_all(struct scratch *scratch, const struct ctz_writer *writer,
                     struct ctz_error *err)
{
    enum ctz_walk_event event;
    do {
        event = ctz_walk_next(&scratch->walk, err);
        if (event == CTZ_WALK_FAILED)
            return -1;
        int failed = writer->event(&scratch->walk, event, writer->style, &scratch->out, err);
        if (check_output(&scratch->out, writer, err) < 0 || failed)
            return -1;
    } while (event != CTZ_WALK_DONE);
    return 0;
}

int ctz_writer_run(lua_State *L, int idx, const struct ctz_writer *writer)
{
    idx = lua_absindex(L, idx);
    struct scratch *scratch = push_scratch(L);
    int top = lua_gettop(L);
    struct ctz_error err = {0};
    scratch->busy = true;
    ctz_walk_begin(&scratch->walk, L, idx, writer->format, writer->max_depth);
    int failed = write_all(scratch, writer, &err);
    lua_settop(L, top);
    if (!failed)
        lua_pushlstring(L, scratch->out.bytes, scratch->out.length);
    release(scratch);
    return failed ? ctz_raise(L, &err) : 1;
}
