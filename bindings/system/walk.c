// walk.c: ctz.fs.walk: a tree as an iterator, looked up in batches on the thread pool.
// SPDX-License-Identifier: MIT
#include <limits.h>

#include "bindings/system/files.h"
#include "bindings/system/system.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/luax.h"
#include "host/op.h"

#define WALK_CLASS "ctz.fs.walk"
#define WALK_BATCH 64                  // entries looked up in one job
#define NEXT_ENTRY "ctz.fs.next_entry" // registry: the function that walk() returns

// What one job looked up.
struct batch {
    struct ctz_walk *walk; // owned
    char *paths[WALK_BATCH];
    struct stat facts[WALK_BATCH];
    int count, next;
    struct ctz_error err; // what ended the walk: told when all found before has been taken
    bool ended;
};

// The batch belongs to the userdata, but while a job fills it to the op.
struct walker {
    struct batch *batch; // NULL: a job has it, or closed
    bool closed;
};

struct walk_op {
    struct ctz_op op;
    struct batch *batch;
};

static void free_batch(struct batch *batch)
{
    if (!batch)
        return;
    while (batch->next < batch->count)
        ctz_free(batch->paths[batch->next++]);
    ctz_walk_free(batch->walk);
    ctz_error_clear(&batch->err);
    ctz_free(batch);
}

static void work_walk(struct ctz_op *op)
{
    struct batch *batch = ((struct walk_op *)op)->batch;
    batch->count = batch->next = 0;
    while (batch->count < WALK_BATCH && !ctz_op_given_up(op)) {
        int more = ctz_walk_next(batch->walk, &batch->paths[batch->count],
                                 &batch->facts[batch->count], &batch->err);
        batch->ended = more <= 0;
        if (batch->ended)
            return;
        batch->count++;
    }
}

static int push_entry(lua_State *L, struct batch *batch)
{
    if (batch->next == batch->count) {
        if (batch->err.kind)
            return ctz_raise(L, &batch->err);
        lua_pushnil(L);
        return 1;
    }
    lua_pushstring(L, batch->paths[batch->next]);
    ctz_free(batch->paths[batch->next]);
    ctz_system_push_facts(L, &batch->facts[batch->next++]);
    return 2;
}

static int push_walk(lua_State *L, struct ctz_op *op)
{
    struct walk_op *walk = (struct walk_op *)op;
    struct walker *walker = lua_touserdata(L, 1);
    if (walker->closed) {
        lua_pushnil(L);
        return 1;
    }
    walker->batch = walk->batch;
    walk->batch = NULL;
    return push_entry(L, walker->batch);
}

static void clear_walk(struct ctz_op *op)
{
    free_batch(((struct walk_op *)op)->batch);
}

static const struct ctz_op_class walk_class = {
    .name = "walks a folder", .work = work_walk, .push = push_walk, .clear = clear_walk};

// (walker) -> path, facts
static int l_next_entry(lua_State *L)
{
    struct walker *walker = ctz_object_check(L, 1, WALK_CLASS);
    struct batch *batch = walker->batch;
    lua_settop(L, 1);
    if (walker->closed) {
        lua_pushnil(L);
        return 1;
    }
    if (!batch)
        return ctz_usage(L, "this walk is being read by another task, or has failed");
    if (batch->next < batch->count || batch->ended)
        return push_entry(L, batch);
    struct walk_op *op = ctz_op_new(L, &walk_class, sizeof *op);
    op->batch = batch;
    walker->batch = NULL;
    return ctz_await(L, op);
}

static int l_walk_close(lua_State *L)
{
    struct walker *walker = ctz_object_check(L, 1, WALK_CLASS);
    struct batch *batch = walker->batch;
    walker->batch = NULL;
    walker->closed = true;
    free_batch(batch);
    return 0;
}

/// ctz.fs.walk(path, opts?) -> fun(): string, ctz.fs.Stat
/// Iterates over all that is below a folder: path and stat of each, sorted, a folder before what is
/// in it. Links are not followed. Folders are read as the loop goes on.
/// @async
/// @param path string
/// @param opts.depth? integer  1: only what is in the folder itself
/// @error not_found  no such folder
/// @error denied  a folder may not be read
/// @example ctz.fs.mkdir("a/b", {parents = true}) ctz.fs.write("a/b/c", "123")
/// @example for path, stat in ctz.fs.walk("a") do
/// @example   assert(path == "a/b" or path == "a/b/c" and stat.size_bytes == 3)
/// @example end
int ctz_system_l_walk(lua_State *L)
{
    static const char *const options[] = {"depth", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    ctz_opts_check(L, 2, options);
    int depth = (int)ctz_opt_integer(L, 2, "depth", 1, INT_MAX, INT_MAX);
    lua_getfield(L, LUA_REGISTRYINDEX, NEXT_ENTRY);
    struct walker *walker = ctz_object_new(L, WALK_CLASS, sizeof *walker, 0);
    walker->batch = ctz_calloc(1, sizeof *walker->batch);
    if (walker->batch)
        walker->batch->walk = ctz_walk_new(path, depth);
    if (!walker->batch || !walker->batch->walk)
        return luaL_error(L, "not enough memory");
    lua_pushnil(L);
    lua_pushvalue(L, -2); // closed when the loop is left
    return 4;
}

static const struct ctz_reg methods[] = {
    {"fs.walk.__close", l_walk_close, CTZ_CAP_HELD, 0, 0},
    {"fs.walk.__gc", l_walk_close, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg iterating[] = {
    {"fs.walk", l_next_entry, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_system_walk_open(lua_State *L)
{
    ctz_class(L, WALK_CLASS, methods);
    ctz_door(L, iterating);
    lua_getfield(L, -1, "walk");
    lua_setfield(L, LUA_REGISTRYINDEX, NEXT_ENTRY);
    lua_pop(L, 1);
}
