// reader.c: the context as Lua reads it: while one piece is being sent, the pool makes the next.
// SPDX-License-Identifier: MIT
#include <stdatomic.h>
#include <string.h>
#include <uv.h>

#include "bindings/context/context.h"
#include "bindings/context/module.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/limits.h"
#include "host/log.h"
#include "host/luax.h"
#include "host/op.h"

#define READER_CLASS  "ctz.context.reader"
#define OPTIONS_CLASS "ctz.context.options"
#define CHUNK_BYTES   (256 * CTZ_KIB)

// Shared by the userdata and the job that is under way. Between jobs the loop's thread has it.
struct reader {
    unsigned references; // of the loop's thread
    struct ctz_host *host;
    struct ctz_context *context; // owned
    struct read_op *waiter;
    uv_work_t request;
    char *chunk; // owned, CHUNK_BYTES
    size_t filled;
    struct ctz_error err;  // of the last job
    atomic_bool stopped;   // the job is to end
    uint64_t bytes, files; // handed out so far
    bool running, ready, ended, failed, closed;
};

struct read_op {
    struct ctz_op op;
    struct reader *reader; // anchored by argument 1 of the waiting frame
};

static void release(struct reader *reader)
{
    if (--reader->references > 0)
        return;
    ctz_context_free(reader->context);
    ctz_error_clear(&reader->err);
    ctz_free(reader->chunk);
    ctz_free(reader);
}

// --- the job -----------------------------------------------------------------------------------

static bool is_stopped(void *owner)
{
    return atomic_load_explicit(&((struct reader *)owner)->stopped, memory_order_relaxed);
}

static void make_chunk(uv_work_t *request)
{
    struct reader *reader = request->data;
    ctz_context_read(reader->context, reader->chunk, CHUNK_BYTES, &reader->filled, is_stopped,
                     reader, &reader->err);
}

// There is something to tell: a piece, the end or a failure.
static void tell(struct reader *reader)
{
    struct read_op *op = reader->waiter;
    if (!op)
        return;
    reader->waiter = NULL;
    if (reader->err.kind) {
        ctz_error_move(&op->op.err, &reader->err);
        reader->failed = true;
    }
    ctz_op_settle(&op->op);
}

static void after_chunk(uv_work_t *request, int status)
{
    (void)status; // nobody cancels it
    struct reader *reader = request->data;
    reader->running = false;
    reader->ready = true;
    if (!reader->closed)
        tell(reader);
    release(reader);
}

static int begin_chunk(struct reader *reader)
{
    reader->request.data = reader;
    reader->ready = false;
    int result = uv_queue_work(&reader->host->loop, &reader->request, make_chunk, after_chunk);
    if (result < 0)
        return ctz_error_system(&reader->err, result, "read a folder");
    reader->running = true;
    reader->references++;
    return 0;
}

// --- reading -----------------------------------------------------------------------------------

static int start_read(struct ctz_op *base)
{
    struct read_op *op = (struct read_op *)base;
    struct reader *reader = op->reader;
    reader->waiter = op;
    if (reader->ready || (!reader->running && begin_chunk(reader) < 0))
        tell(reader);
    return 0;
}

static void cancel_read(struct ctz_op *base)
{
    ((struct read_op *)base)->reader->waiter = NULL;
    ctz_op_settle(base);
}

static int push_chunk(lua_State *L, struct ctz_op *base)
{
    struct reader *reader = ((struct read_op *)base)->reader;
    if (reader->closed || !reader->ready) // by another task, between settling and here
        return ctz_usage(L, "it was closed by another task");
    if (reader->filled == 0) {
        reader->ended = true;
        lua_pushnil(L);
        return 1;
    }
    lua_pushlstring(L, reader->chunk, reader->filled);
    reader->bytes += reader->filled;
    reader->files = ctz_context_entries(reader->context);
    begin_chunk(reader); // a failure is told by the next read
    return 1;
}

static const struct ctz_op_class read_class = {
    .name = "reads a folder", .start = start_read, .cancel = cancel_read, .push = push_chunk};

static struct reader *check_reader(lua_State *L)
{
    struct reader *reader = *(struct reader **)ctz_object_check(L, 1, READER_CLASS);
    if (!reader->failed && !reader->closed)
        return reader;
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_CONFLICT,
                  reader->failed ? "it has failed already" : "it is closed");
    ctz_raise(L, &err);
    return NULL;
}

// reader:read() -> string|nil: the next piece of the stream, nil at its end. @async
static int l_read(lua_State *L)
{
    struct reader *reader = check_reader(L);
    if (reader->ended) {
        lua_pushnil(L);
        return 1;
    }
    if (reader->waiter)
        return ctz_usage(L, "another task reads it already");
    lua_settop(L, 1);
    struct read_op *op = ctz_op_new(L, &read_class, sizeof *op);
    op->reader = reader;
    return ctz_await(L, op);
}

// reader:progress() -> bytes, files: what was handed out.
static int l_progress(lua_State *L)
{
    const struct reader *reader = *(struct reader **)ctz_object_check(L, 1, READER_CLASS);
    lua_pushinteger(L, (lua_Integer)reader->bytes);
    lua_pushinteger(L, (lua_Integer)reader->files);
    return 2;
}

static void close_reader(struct reader *reader)
{
    if (reader->closed)
        return;
    reader->closed = true;
    atomic_store_explicit(&reader->stopped, true, memory_order_relaxed);
    struct read_op *op = reader->waiter;
    reader->waiter = NULL;
    if (op) {
        ctz_error_set(&op->op.err, CTZ_ERROR_CONFLICT, "it was closed by another task");
        ctz_op_settle(&op->op);
    }
}

// reader:close() -> true
static int l_close(lua_State *L)
{
    close_reader(*(struct reader **)ctz_object_check(L, 1, READER_CLASS));
    lua_pushboolean(L, true);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct reader **slot = ctz_object_check(L, 1, READER_CLASS), *reader = *slot;
    *slot = NULL;
    if (!reader)
        return 0;
    if (!reader->closed && !reader->ended && !reader->failed)
        ctz_log(reader->host, CTZ_LOG_DEBUG, "a folder that was read was not closed; it is now");
    close_reader(reader);
    release(reader);
    return 0;
}

static const struct ctz_reg methods[] = {
    {"context.read", l_read, CTZ_CAP_HELD, 0, 0},
    {"context.progress", l_progress, CTZ_CAP_HELD, 0, 0},
    {"context.close", l_close, CTZ_CAP_HELD, 0, 0},
    {"context.__close", l_close, CTZ_CAP_HELD, 0, 0},
    {"context.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

// --- opening -----------------------------------------------------------------------------------

// Strings are borrowed from the options table, the lists are this userdata's.
struct lists {
    const char **always;
    struct ctz_context_extra *extras;
};

static int l_lists_gc(lua_State *L)
{
    struct lists *lists = ctz_object_check(L, 1, OPTIONS_CLASS);
    ctz_free(lists->always);
    ctz_free(lists->extras);
    *lists = (struct lists){0};
    return 0;
}

static const struct ctz_reg lists_methods[] = {
    {"context.options.__gc", l_lists_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static int no_memory(lua_State *L)
{
    return luaL_error(L, "not enough memory");
}

// A relative path without a slash at either end.
static const char *check_path(lua_State *L, const char *path, size_t size, const char *option)
{
    if (!path || size == 0 || strlen(path) != size || path[0] == '/' || path[size - 1] == '/')
        ctz_usage(L, "bad argument 'opts.%s' to '%s': expected a path below the root", option,
                  ctz_function_name(L));
    return path;
}

static void read_always(lua_State *L, struct lists *lists, struct ctz_context_options *options)
{
    if (ctz_opt_field(L, 1, "always") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    ctz_check_table(L, -1, "opts.always");
    lua_Integer count = luaL_len(L, -1);
    lists->always = ctz_calloc((size_t)count + 1, sizeof *lists->always);
    if (!lists->always)
        no_memory(L);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        size_t size = 0;
        const char *path = lua_type(L, -1) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
        lists->always[i - 1] = check_path(L, path, size, "always");
        lua_pop(L, 1); // the list keeps it
    }
    options->always = lists->always;
    options->always_count = (size_t)count;
    lua_pop(L, 1);
}

static void read_extra(lua_State *L, struct ctz_context_extra *extra)
{
    static const char *const names[] = {"path", "text", "mode", NULL};
    int idx = lua_gettop(L);
    size_t size = 0;
    ctz_opts_check(L, idx, names);
    const char *path = ctz_opt_string(L, idx, "path", &size, NULL);
    extra->path = check_path(L, path, size, "extra");
    extra->bytes = ctz_opt_string(L, idx, "text", &extra->size, "");
    extra->mode = (uint32_t)ctz_opt_integer(L, idx, "mode", 0, 07777, 0644);
}

static void read_extras(lua_State *L, struct lists *lists, struct ctz_context_options *options)
{
    if (ctz_opt_field(L, 1, "extra") == LUA_TNIL) {
        lua_pop(L, 1);
        return;
    }
    ctz_check_table(L, -1, "opts.extra");
    lua_Integer count = luaL_len(L, -1);
    lists->extras = ctz_calloc((size_t)count + 1, sizeof *lists->extras);
    if (!lists->extras)
        no_memory(L);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        ctz_check_table(L, -1, "opts.extra");
        read_extra(L, &lists->extras[i - 1]);
        lua_pop(L, 1);
    }
    options->extras = lists->extras;
    options->extra_count = (size_t)count;
    lua_pop(L, 1);
}

// Without a root the extra files are all.
static void read_root(lua_State *L, struct ctz_context_options *options)
{
    size_t size = 0;
    const char *root = ctz_opt_string(L, 1, "root", &size, NULL);
    bool has_extra = ctz_opt_field(L, 1, "extra") != LUA_TNIL;
    lua_pop(L, 1);
    if (root ? size == 0 || strlen(root) != size : !has_extra)
        ctz_usage(L, "bad argument 'opts.root' to '%s': expected a path", ctz_function_name(L));
    options->root = root ? root : "";
}

static void read_options(lua_State *L, struct lists *lists, struct ctz_context_options *options)
{
    static const char *const names[] = {"root",  "name",       "ignore", "always",
                                        "extra", "keep_owner", "follow", NULL};
    ctz_check_table(L, 1, "opts");
    ctz_opts_check(L, 1, names);
    size_t size = 0;
    read_root(L, options);
    options->name = ctz_opt_string(L, 1, "name", &size, "");
    if (size > 0)
        check_path(L, options->name, size, "name");
    if (ctz_opt_field(L, 1, "ignore") != LUA_TNIL)
        options->ignore = ctz_check_ignore(L, -1);
    lua_pop(L, 1);
    options->keep_owner = ctz_opt_bool(L, 1, "keep_owner", false);
    options->follow = ctz_opt_bool(L, 1, "follow", true);
    options->max_entries = ctz_limit(ctz_host(L), CTZ_LIMIT_TAR_ENTRIES);
    read_always(L, lists, options);
    read_extras(L, lists, options);
}

// open{root=, name=, ignore=, always=, extra=, keep_owner=, follow=} -> reader of a tar stream.
//   root: a folder or a file, absent when the extra files are all; name: what it is called in the
//   stream (default: the folder's content is at the top); ignore: ctz.ignore.compile(...); always:
//   paths that are sent though ignored; extra: {{path=, text=, mode=}...}: files that are not on
//   disk; keep_owner: user and group as on disk, not 0; follow: root may be a link (default true).
int ctz_context_l_open(lua_State *L)
{
    struct ctz_context_options options = {0};
    lua_settop(L, 1);
    struct lists *lists = ctz_object_new(L, OPTIONS_CLASS, sizeof *lists, 0);
    read_options(L, lists, &options);
    if (*options.root)
        ctz_allow(L, CTZ_CAP_READ, options.root);
    struct reader **slot = ctz_object_new(L, READER_CLASS, sizeof *slot, 0);
    struct reader *reader = *slot = ctz_calloc(1, sizeof *reader);
    if (!reader)
        return no_memory(L);
    reader->references = 1;
    reader->host = ctz_host(L);
    reader->chunk = ctz_malloc(CHUNK_BYTES);
    reader->context = ctz_context_new(&options);
    if (!reader->chunk || !reader->context)
        return no_memory(L);
    return 1;
}

void ctz_context_open_reader(lua_State *L)
{
    ctz_class(L, READER_CLASS, methods);
    ctz_class(L, OPTIONS_CLASS, lists_methods);
}
