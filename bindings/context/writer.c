// writer.c: a tar stream that Lua hands over piece by piece becomes files, on the pool.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "bindings/image/extract.h"
#include "bindings/context/module.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/limits.h"
#include "host/luax.h"
#include "host/op.h"

#define WRITER_CLASS "ctz.context.writer"

// Shared by the userdata and the job that is under way.
struct writer {
    unsigned references;         // of the loop's thread
    struct ctz_extract *extract; // owned; NULL once closed
    const struct ctz_op *op;     // the last job's; NULL: it has gone
    bool taken;                  // the last job began: no piece of the stream is missing
    bool failed, closed;
};

struct write_op {
    struct ctz_op op;
    struct writer *writer; // a reference
    char *bytes;           // owned; NULL: the end
    size_t size;
};

static void release(struct writer *writer)
{
    if (--writer->references > 0)
        return;
    ctz_extract_free(writer->extract);
    ctz_free(writer);
}

static void write_work(struct ctz_op *base)
{
    struct write_op *op = (struct write_op *)base;
    struct ctz_extract *extract = op->writer->extract;
    op->writer->taken = true;
    int result = op->bytes ? ctz_extract_feed(extract, op->bytes, op->size, &base->err)
                           : ctz_extract_finish(extract, &base->err);
    op->writer->failed = result != 0;
}

static void write_clear(struct ctz_op *base)
{
    struct write_op *op = (struct write_op *)base;
    if (op->writer->op == base)
        op->writer->op = NULL;
    op->writer->failed |= !op->writer->taken;
    release(op->writer);
    ctz_free(op->bytes);
}

static int push_counts(lua_State *L, struct ctz_op *base)
{
    struct writer *writer = ((struct write_op *)base)->writer;
    if (!writer->extract)
        return ctz_usage(L, "it was closed by another task");
    struct ctz_extract_counts counts = *ctz_extract_counts(writer->extract);
    writer->closed = true;
    ctz_extract_free(writer->extract);
    writer->extract = NULL;
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, (lua_Integer)counts.entries);
    lua_setfield(L, -2, "entries");
    lua_pushinteger(L, (lua_Integer)counts.bytes);
    lua_setfield(L, -2, "bytes");
    lua_pushinteger(L, (lua_Integer)counts.skipped);
    lua_setfield(L, -2, "skipped");
    return 1;
}

static const struct ctz_op_class write_class = {
    .name = "extracts a tar", .work = write_work, .clear = write_clear};
static const struct ctz_op_class finish_class = {
    .name = "extracts a tar", .work = write_work, .push = push_counts, .clear = write_clear};

static bool is_busy(const struct writer *writer)
{
    return writer->op && !writer->op->settled;
}

// --- functions ---------------------------------------------------------------------------------

static struct writer *check_writer(lua_State *L)
{
    struct writer *writer = *(struct writer **)ctz_object_check(L, 1, WRITER_CLASS);
    if (is_busy(writer))
        ctz_usage(L, "another task writes to it");
    if (!writer->failed && !writer->closed)
        return writer;
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_CONFLICT,
                  writer->failed ? "it has failed already" : "it is closed");
    ctz_raise(L, &err);
    return NULL;
}

static int await_job(lua_State *L, const struct ctz_op_class *class, struct writer *writer,
                     const char *bytes, size_t size)
{
    struct write_op *op = ctz_op_new(L, class, sizeof *op);
    op->writer = writer;
    writer->references++;
    writer->op = &op->op;
    writer->taken = false;
    op->bytes = bytes ? ctz_memdup(bytes, size) : NULL;
    op->size = size;
    if (bytes && !op->bytes) {
        ctz_op_discard(&op->op);
        return luaL_error(L, "not enough memory");
    }
    return ctz_await(L, op);
}

// writer:write(bytes) -> true: the next piece of the stream. @async
static int l_write(lua_State *L)
{
    struct writer *writer = check_writer(L);
    size_t size;
    const char *bytes = ctz_check_string(L, 2, "bytes", &size);
    return await_job(L, &write_class, writer, bytes, size);
}

// writer:finish() -> {entries=, bytes=, skipped=}: the stream has ended. @async
static int l_finish(lua_State *L)
{
    return await_job(L, &finish_class, check_writer(L), NULL, 0);
}

// writer:close() -> true: what is unfinished goes away. A second call does nothing.
static int l_close(lua_State *L)
{
    struct writer **slot = ctz_object_check(L, 1, WRITER_CLASS);
    (*slot)->closed = true;
    if (!is_busy(*slot)) { // else with the job
        ctz_extract_free((*slot)->extract);
        (*slot)->extract = NULL;
    }
    lua_pushboolean(L, true);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct writer **slot = ctz_object_check(L, 1, WRITER_CLASS);
    if (*slot)
        release(*slot);
    *slot = NULL;
    return 0;
}

static const struct ctz_reg methods[] = {
    {"context.write", l_write, CTZ_CAP_HELD, 0, 0},
    {"context.finish", l_finish, CTZ_CAP_HELD, 0, 0},
    {"context.close", l_close, CTZ_CAP_HELD, 0, 0},
    {"context.__close", l_close, CTZ_CAP_HELD, 0, 0},
    {"context.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

// extract(path, {file=, strip=, keep_owner=}) -> writer of a tar stream into a folder, which is
// made
//   when it is missing. file: the stream holds one file, which becomes `path` when it is whole;
//   strip: how many leading folders of each path are dropped; keep_owner: as in the stream.
int ctz_context_l_extract(lua_State *L)
{
    static const char *const names[] = {"file", "strip", "keep_owner", NULL};
    struct ctz_extract_options options = {.path = ctz_check_name(L, 1, "path")};
    ctz_opts_check(L, 2, names);
    options.is_file = ctz_opt_bool(L, 2, "file", false);
    options.keep_owner = ctz_opt_bool(L, 2, "keep_owner", false);
    options.strip = (unsigned)ctz_opt_integer(L, 2, "strip", 0, 1000, 0);
    options.max_entries = ctz_limit(ctz_host(L), CTZ_LIMIT_TAR_ENTRIES);
    struct writer **slot = ctz_object_new(L, WRITER_CLASS, sizeof *slot, 0);
    struct writer *writer = *slot = ctz_calloc(1, sizeof *writer);
    if (!writer)
        return luaL_error(L, "not enough memory");
    writer->references = 1;
    writer->extract = ctz_extract_new(&options);
    return writer->extract ? 1 : luaL_error(L, "not enough memory");
}

void ctz_context_open_writer(lua_State *L)
{
    ctz_class(L, WRITER_CLASS, methods);
}
