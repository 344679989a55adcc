// historylua.c: the history file for Lua: jobs of the pool, as its lock may have to be waited for.
// SPDX-License-Identifier: MIT
#include <lauxlib.h>

#include "bindings/repl/history.h"
#include "host/alloc.h"
#include "host/luax.h"
#include "host/op.h"

#define HISTORY_MAX_BYTES (1024 * 1024) // of the file

struct history_op {
    struct ctz_op op;
    char *path;             // owned
    struct ctz_buffer text; // to be appended, or read
};

static void work_append(struct ctz_op *op)
{
    struct history_op *history = (struct history_op *)op;
    ctz_history_append(history->path, history->text.bytes, history->text.length, &op->err);
}

static void work_load(struct ctz_op *op)
{
    struct history_op *history = (struct history_op *)op;
    ctz_history_read(history->path, HISTORY_MAX_BYTES, &history->text, &op->err);
}

static int push_history(lua_State *L, struct ctz_op *op)
{
    const struct ctz_buffer *text = &((struct history_op *)op)->text;
    lua_pushlstring(L, text->bytes ? text->bytes : "", text->length);
    return 1;
}

static void clear_history(struct ctz_op *op)
{
    struct history_op *history = (struct history_op *)op;
    ctz_buffer_clear(&history->text);
    ctz_free(history->path);
}

static const struct ctz_op_class append_class = {
    .name = "writes the history", .work = work_append, .clear = clear_history};
static const struct ctz_op_class load_class = {
    .name = "reads the history", .work = work_load, .push = push_history, .clear = clear_history};

static int await_history(lua_State *L, const struct ctz_op_class *class, const char *path,
                         const char *text, size_t size)
{
    struct history_op *history = ctz_op_new(L, class, sizeof *history);
    ctz_buffer_init(&history->text, SIZE_MAX / 2);
    history->path = ctz_strdup(path);
    if (!history->path || ctz_buffer_append(&history->text, text, size) < 0) {
        ctz_op_discard(&history->op);
        return luaL_error(L, "not enough memory");
    }
    return ctz_await(L, history);
}

// (path, text) -> true: behind what is in the history file, in one write
int ctz_l_history_append(lua_State *L)
{
    size_t size;
    const char *path = ctz_check_name(L, 1, "path");
    const char *text = ctz_check_string(L, 2, "text", &size);
    return await_history(L, &append_class, path, text, size);
}

// (path) -> string: the history file
int ctz_l_history_load(lua_State *L)
{
    return await_history(L, &load_class, ctz_check_name(L, 1, "path"), "", 0);
}
