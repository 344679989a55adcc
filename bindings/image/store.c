// store.c: the door ctz.core.store: blobs and files that are read, checked and written on the pool,
// piece by piece. Which, where to and in what order is decided in lua/stdlib/ctz.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/image/image.h"
#include "host/alloc.h"
#include "host/chunk.h"
#include "host/door.h"
#include "host/limits.h"
#include "host/luax.h"
#include "host/op.h"

#define WRITER_CLASS  "ctz.store.writer"
#define READER_CLASS  "ctz.store.reader"
#define PIECE_BYTES   (512 * CTZ_KIB)
#define AT_ONCE_BYTES (256 * CTZ_KIB) // hashed on the thread of the loop

static int no_memory(lua_State *L)
{
    return luaL_error(L, "not enough memory");
}

// --- a writer: shared by the userdata and the job that is under way ------------------------------

struct writer {
    unsigned references; // of the loop's thread
    char *layout, *file; // owned; both NULL: what is written is checked and goes nowhere
    char digest[CTZ_DIGEST_BYTES];
    uint64_t size_bytes;
    struct ctz_partial partial;
    enum ctz_partial_state state;
    bool resume, sync;
    bool keep; // what came so far, when it is closed before its end
    bool running, begun, closed;
};

struct writer_op {
    struct ctz_op op;
    struct writer *writer; // a reference
    char *bytes;           // owned
    size_t size;
    bool passes; // the bytes are handed back
};

// Lets go of the file and its lock.
static void let_go(struct writer *writer)
{
    if (writer->begun)
        ctz_partial_clear(&writer->partial, writer->keep);
    writer->begun = false;
}

static void writer_release(struct writer *writer)
{
    if (--writer->references > 0)
        return;
    let_go(writer);
    ctz_free(writer->layout);
    ctz_free(writer->file);
    ctz_free(writer);
}

static void writer_clear(struct ctz_op *op)
{
    struct writer_op *job = (struct writer_op *)op;
    ctz_free(job->bytes);
    if (!job->writer)
        return;
    job->writer->running = false;
    if (job->writer->closed)
        let_go(job->writer);
    writer_release(job->writer);
}

static bool is_given_up(void *context)
{
    return ctz_op_given_up(context);
}

static void open_work(struct ctz_op *op)
{
    struct writer *writer = ((struct writer_op *)op)->writer;
    struct ctz_partial_options options = {
        .file = writer->file,
        .layout = writer->layout,
        .digest = writer->digest,
        .size_bytes = writer->size_bytes,
        .sync = writer->sync,
        .resume = writer->resume,
    };
    if (writer->begun)
        ctz_partial_clear(&writer->partial, true);
    writer->begun = true;
    writer->state = ctz_partial_open(&writer->partial, &options, &op->err);
}

static void read_again_work(struct ctz_op *op)
{
    struct ctz_partial *partial = &((struct writer_op *)op)->writer->partial;
    ctz_partial_read_again(partial, is_given_up, op, &op->err);
}

static void write_work(struct ctz_op *op)
{
    struct writer_op *job = (struct writer_op *)op;
    ctz_partial_write(&job->writer->partial, job->bytes, job->size, &op->err);
}

static void commit_work(struct ctz_op *op)
{
    ctz_partial_commit(&((struct writer_op *)op)->writer->partial, &op->err);
}

static int open_push(lua_State *L, struct ctz_op *op)
{
    static const char *const names[] = {"failed", "open", "whole", "busy"};
    const struct writer *writer = ((struct writer_op *)op)->writer;
    lua_pushstring(L, names[writer->state]);
    lua_pushboolean(L, writer->partial.resumed);
    return 2;
}

static int read_again_push(lua_State *L, struct ctz_op *op)
{
    const struct writer *writer = ((struct writer_op *)op)->writer;
    lua_pushinteger(L, (lua_Integer)writer->partial.size_bytes);
    return 1;
}

static int write_push(lua_State *L, struct ctz_op *op)
{
    struct writer_op *job = (struct writer_op *)op;
    if (!job->passes) {
        lua_pushboolean(L, true);
        return 1;
    }
    struct ctz_chunk *chunk = ctz_chunk_push(L);
    chunk->bytes = job->bytes;
    chunk->size = job->size;
    job->bytes = NULL;
    return 1;
}

// Shielded: who was cancelled leaves when the file is at rest.
static const struct ctz_op_class open_class = {.name = "open a blob",
                                               .work = open_work,
                                               .push = open_push,
                                               .clear = writer_clear,
                                               .shielded = true};
static const struct ctz_op_class read_again_class = {.name = "read what is there of a blob",
                                                     .work = read_again_work,
                                                     .push = read_again_push,
                                                     .clear = writer_clear};
static const struct ctz_op_class write_class = {.name = "write a blob",
                                                .work = write_work,
                                                .push = write_push,
                                                .clear = writer_clear,
                                                .shielded = true};
// What is only checked is small and comes from the loop: hashing it there takes 90 us for 128 KiB
// and saves a job of the pool, which takes 20 us of both threads.
static int check_start(struct ctz_op *op)
{
    write_work(op);
    ctz_op_settle(op);
    return 0;
}

static const struct ctz_op_class check_class = {
    .name = "check a blob", .start = check_start, .push = write_push, .clear = writer_clear};
static const struct ctz_op_class commit_class = {
    .name = "write a blob", .work = commit_work, .clear = writer_clear, .shielded = true};

static struct writer *push_writer(lua_State *L)
{
    struct writer **writer = ctz_object_new(L, WRITER_CLASS, sizeof(struct writer *), 0);
    *writer = ctz_calloc(1, sizeof **writer);
    if (!*writer)
        no_memory(L);
    (*writer)->references = 1;
    (*writer)->partial.fd = -1;
    return *writer;
}

static struct writer *check_writer(lua_State *L)
{
    struct writer *writer = *(struct writer **)ctz_object_check(L, 1, WRITER_CLASS);
    if (writer->closed)
        ctz_usage(L, "it is closed");
    if (writer->running)
        ctz_usage(L, "another task writes it at this moment");
    return writer;
}

static struct writer *check_open(lua_State *L)
{
    struct writer *writer = check_writer(L);
    if (writer->state != CTZ_PARTIAL_OPEN)
        ctz_usage(L, "it is not open");
    return writer;
}

// Takes bytes.
static int await_job(lua_State *L, const struct ctz_op_class *class, struct writer *writer,
                     char *bytes, size_t size)
{
    struct writer_op *job = ctz_op_make(ctz_host(L), class, sizeof *job);
    if (!job) {
        ctz_free(bytes);
        return no_memory(L);
    }
    job->writer = writer;
    job->bytes = bytes;
    job->size = size;
    job->passes = !writer->layout && !writer->file;
    writer->references++;
    writer->running = true;
    return ctz_await(L, job);
}

// writer:open() -> "open"|"whole"|"busy", begun: an earlier process has begun it, call read_again.
// whole: nothing is to be written. busy: another writes it, ask again. @async
static int l_open(lua_State *L)
{
    return await_job(L, &open_class, check_writer(L), NULL, 0);
}

// writer:read_again() -> offset: how many bytes of it are there. @async
static int l_read_again(lua_State *L)
{
    return await_job(L, &read_again_class, check_open(L), NULL, 0);
}

// writer:write(bytes or chunk) -> true; of a check the chunk. @async
static int l_write(lua_State *L)
{
    struct writer *writer = check_open(L);
    size_t size;
    char *bytes = ctz_chunk_take(L, 2, "bytes", &size);
    if (!bytes)
        return no_memory(L);
    bool at_once = !writer->layout && !writer->file && size <= AT_ONCE_BYTES;
    return await_job(L, at_once ? &check_class : &write_class, writer, bytes, size);
}

// writer:commit() -> true: digest and size are right, and it has its place. @async
static int l_commit(lua_State *L)
{
    return await_job(L, &commit_class, check_open(L), NULL, 0);
}

// writer:spoil(): what came is of no use, also for a later process.
static int l_spoil(lua_State *L)
{
    struct writer *writer = *(struct writer **)ctz_object_check(L, 1, WRITER_CLASS);
    writer->keep = false;
    return 0;
}

static int l_writer_close(lua_State *L)
{
    struct writer *writer = *(struct writer **)ctz_object_check(L, 1, WRITER_CLASS);
    if (writer) {
        writer->closed = true;
        if (!writer->running)
            let_go(writer);
    }
    return 0;
}

static int l_writer_gc(lua_State *L)
{
    struct writer **writer = ctz_object_check(L, 1, WRITER_CLASS);
    if (*writer)
        writer_release(*writer);
    *writer = NULL;
    return 0;
}

static void read_wanted(lua_State *L, struct writer *writer, int arg)
{
    const char *digest = ctz_check_name(L, arg, "digest");
    writer->size_bytes = (uint64_t)ctz_check_integer(L, arg + 1, "size", 0, INT64_MAX);
    if (!ctz_digest_is_valid(digest))
        ctz_usage(L, "the digest %s is neither sha256 nor sha512", digest);
    strcpy(writer->digest, digest);
}

// blob(layout, digest, size, {resume=}) -> writer: a blob of a layout that is prepared. It is not
// synced: one that a power cut shortened is seen by its size.
static int l_blob(lua_State *L)
{
    static const char *const options[] = {"resume", NULL};
    const char *layout = ctz_check_name(L, 1, "layout");
    ctz_opts_check(L, 4, options);
    struct writer *writer = push_writer(L);
    read_wanted(L, writer, 2);
    writer->resume = writer->keep = ctz_opt_bool(L, 4, "resume", true);
    writer->layout = ctz_strdup(layout);
    return writer->layout ? 1 : no_memory(L);
}

// file(path) -> writer: a file of any content, which has its name when it is committed.
static int l_file(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    struct writer *writer = push_writer(L);
    writer->sync = true;
    writer->file = ctz_strdup(path);
    return writer->file ? 1 : no_memory(L);
}

// check(digest, size) -> writer: it only looks at what is written.
static int l_check(lua_State *L)
{
    read_wanted(L, push_writer(L), 1);
    return 1;
}

// --- a reader
// --------------------------------------------------------------------------------------

// Shared by the userdata and the job that is under way.
struct reader {
    unsigned references; // of the loop's thread
    char *path;          // owned
    struct ctz_digest digest;
    char wanted[CTZ_DIGEST_BYTES]; // empty: nothing is checked
    uint64_t at, size_bytes;       // where it begins in the file, and how long it is
    uint64_t done, skip;           // bytes read; bytes not handed out at first
    int fd;
    bool to_end; // size_bytes is not known before it is open
    bool running, closed;
};

struct reader_op {
    struct ctz_op op;
    struct reader *reader; // a reference
    char *bytes;           // owned
    size_t size;
};

static void close_reader(struct reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
}

static void reader_release(struct reader *reader)
{
    if (--reader->references > 0)
        return;
    close_reader(reader);
    if (reader->digest.context)
        ctz_digest_clear(&reader->digest);
    ctz_free(reader->path);
    ctz_free(reader);
}

static void reader_clear(struct ctz_op *op)
{
    struct reader_op *job = (struct reader_op *)op;
    ctz_free(job->bytes);
    if (!job->reader)
        return;
    job->reader->running = false;
    if (job->reader->closed)
        close_reader(job->reader);
    reader_release(job->reader);
}

static int read_failed(const struct reader *reader, int error_number, struct ctz_error *err)
{
    ctz_error_system(err, error_number, "read %s", reader->path);
    ctz_error_target(err, reader->path);
    return -1;
}

static int too_short(const struct reader *reader, uint64_t size, struct ctz_error *err)
{
    ctz_error_set(err, CTZ_ERROR_SIZE, "%s has %llu bytes, %llu were expected", reader->path,
                  (unsigned long long)size, (unsigned long long)reader->size_bytes);
    ctz_error_target(err, reader->path);
    return -1;
}

static int open_file(struct reader *reader, struct ctz_error *err)
{
    struct stat status;
    int fault = CTZ_FAULT("open");
    // O_NONBLOCK: the open of a fifo would wait for a writer.
    reader->fd = fault ? -1 : open(reader->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (reader->fd < 0 || fstat(reader->fd, &status) != 0)
        return read_failed(reader, fault ? fault : errno, err);
    if (!S_ISREG(status.st_mode))
        return ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "%s is not a regular file", reader->path);
    uint64_t size = (uint64_t)status.st_size;
    if (reader->to_end)
        reader->size_bytes = size > reader->at ? size - reader->at : 0;
    // Of a blob, whose file holds nothing else, more is as wrong as less.
    bool is_blob = reader->wanted[0] && reader->at == 0;
    if (size < reader->at || size - reader->at < reader->size_bytes)
        return too_short(reader, size < reader->at ? 0 : size - reader->at, err);
    if (is_blob && size > reader->size_bytes)
        return too_short(reader, size, err);
    posix_fadvise(reader->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return reader->wanted[0] ? ctz_digest_init_as(&reader->digest, reader->wanted, err) : 0;
}

// The next piece, hashed. job->size is 0 at the end.
static int read_piece(struct reader *reader, struct reader_op *job, struct ctz_error *err)
{
    uint64_t left = reader->size_bytes - reader->done;
    size_t want = left < PIECE_BYTES ? (size_t)left : (size_t)PIECE_BYTES;
    job->size = 0;
    while (job->size < want) {
        int fault = CTZ_FAULT("read");
        ssize_t got = fault ? -1
                            : pread(reader->fd, job->bytes + job->size, want - job->size,
                                    (off_t)(reader->at + reader->done + job->size));
        if (got < 0 && (fault ? fault : errno) == EINTR)
            continue;
        if (got < 0)
            return read_failed(reader, fault ? fault : errno, err);
        if (got == 0)
            return too_short(reader, reader->done + job->size, err);
        job->size += (size_t)got;
    }
    reader->done += job->size;
    return reader->wanted[0] ? ctz_digest_update(&reader->digest, job->bytes, job->size, err) : 0;
}

// Before the last piece is handed out.
static int check_digest(struct reader *reader, struct ctz_error *err)
{
    char digest[CTZ_DIGEST_BYTES];
    if (!reader->wanted[0] || reader->done < reader->size_bytes)
        return 0;
    if (ctz_digest_final(&reader->digest, digest, err) != 0)
        return -1;
    if (strcmp(digest, reader->wanted) != 0) {
        ctz_error_set(err, CTZ_ERROR_DIGEST, "%s: the content of %s has the digest %s",
                      reader->wanted, reader->path, digest);
        ctz_error_target(err, reader->path);
        ctz_error_hint(err, "the copy on this disk is damaged: remove it and get it again");
        return -1;
    }
    reader->wanted[0] = '\0';
    return 0;
}

// What is not wanted is read too when it is part of what is hashed.
static int read_skipped(struct reader *reader, struct reader_op *job, struct ctz_error *err)
{
    if (reader->skip > reader->size_bytes)
        return too_short(reader, reader->size_bytes, err);
    if (!reader->wanted[0]) {
        reader->done = reader->skip;
        reader->skip = 0;
    }
    while (reader->skip > reader->done) {
        if (read_piece(reader, job, err) != 0)
            return -1;
        if (ctz_op_given_up(&job->op))
            return ctz_error_set(err, CTZ_ERROR_CANCELLED, "read %s: cancelled", reader->path);
    }
    if (reader->skip == 0 || reader->done == reader->skip)
        return 0;
    size_t rest = (size_t)(reader->done - reader->skip); // of a piece that is half wanted
    memmove(job->bytes, job->bytes + job->size - rest, rest);
    job->size = rest;
    return 1;
}

static void read_work(struct ctz_op *op)
{
    struct reader_op *job = (struct reader_op *)op;
    struct reader *reader = job->reader;
    int half = 0;
    if (reader->fd < 0) {
        if (open_file(reader, &op->err) != 0)
            return;
        half = read_skipped(reader, job, &op->err);
    }
    if (half < 0 || (half == 0 && read_piece(reader, job, &op->err) != 0))
        return;
    check_digest(reader, &op->err);
}

static int read_push(lua_State *L, struct ctz_op *op)
{
    struct reader_op *job = (struct reader_op *)op;
    if (job->size == 0) {
        lua_pushnil(L);
        return 1;
    }
    struct ctz_chunk *chunk = ctz_chunk_push(L);
    chunk->bytes = job->bytes;
    chunk->size = job->size;
    job->bytes = NULL;
    return 1;
}

static const struct ctz_op_class read_class = {
    .name = "read a file", .work = read_work, .push = read_push, .clear = reader_clear};

// reader:read() -> chunk|nil: the next 512 KiB; with a digest the last ones only when it is right.
// @async
static int l_read(lua_State *L)
{
    struct reader *reader = *(struct reader **)ctz_object_check(L, 1, READER_CLASS);
    if (reader->closed || reader->running)
        return ctz_usage(L, reader->closed ? "it is closed" : "another task reads it");
    struct reader_op *job = ctz_op_new(L, &read_class, sizeof *job);
    job->bytes = ctz_malloc(PIECE_BYTES);
    if (!job->bytes) {
        ctz_op_discard(&job->op);
        return no_memory(L);
    }
    job->reader = reader;
    reader->references++;
    reader->running = true;
    return ctz_await(L, job);
}

static int l_reader_close(lua_State *L)
{
    struct reader *reader = *(struct reader **)ctz_object_check(L, 1, READER_CLASS);
    if (reader) {
        reader->closed = true;
        if (!reader->running)
            close_reader(reader);
    }
    return 0;
}

static int l_reader_gc(lua_State *L)
{
    struct reader **reader = ctz_object_check(L, 1, READER_CLASS);
    if (*reader)
        reader_release(*reader);
    *reader = NULL;
    return 0;
}

// reader(path, {at=, size=, skip=, digest=}) -> reader: of a part of a file. skip: so many bytes
// of it are not handed out; they are hashed all the same.
static int l_reader(lua_State *L)
{
    static const char *const options[] = {"at", "size", "skip", "digest", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    ctz_opts_check(L, 2, options);
    lua_Integer size = ctz_opt_integer(L, 2, "size", 0, INT64_MAX, -1);
    const char *digest = ctz_opt_string(L, 2, "digest", NULL, NULL);
    if (digest && !ctz_digest_is_valid(digest))
        return ctz_usage(L, "the digest %s is neither sha256 nor sha512", digest);
    struct reader **reader = ctz_object_new(L, READER_CLASS, sizeof(struct reader *), 0);
    *reader = ctz_calloc(1, sizeof **reader);
    if (!*reader)
        return no_memory(L);
    (*reader)->references = 1;
    (*reader)->fd = -1;
    (*reader)->at = (uint64_t)ctz_opt_integer(L, 2, "at", 0, INT64_MAX, 0);
    (*reader)->skip = (uint64_t)ctz_opt_integer(L, 2, "skip", 0, INT64_MAX, 0);
    (*reader)->to_end = size < 0;
    (*reader)->size_bytes = size < 0 ? 0 : (uint64_t)size;
    if (digest)
        strcpy((*reader)->wanted, digest);
    (*reader)->path = ctz_strdup(path);
    return (*reader)->path ? 1 : no_memory(L);
}

// --- tar
// -------------------------------------------------------------------------------------------

// tar_header(path, size) -> string: what stands before a file's content, 0644, root's, of 1970.
static int l_tar_header(lua_State *L)
{
    struct ctz_tar_entry entry = {.type = CTZ_TAR_FILE, .mode = 0644};
    entry.path = ctz_check_name(L, 1, "path");
    entry.size_bytes = (uint64_t)ctz_check_integer(L, 2, "size", 0, INT64_MAX);
    struct ctz_buffer out;
    struct ctz_error err = {0};
    ctz_buffer_init(&out, CTZ_MIB);
    struct ctz_chunk *chunk = ctz_chunk_push(L);
    if (ctz_tar_header(&out, &entry, &err) != 0) {
        ctz_buffer_clear(&out);
        return ctz_raise(L, &err);
    }
    chunk->size = out.length;
    chunk->bytes = ctz_buffer_take(&out);
    return chunk->bytes ? 1 : no_memory(L);
}

// --- the door
// --------------------------------------------------------------------------------------

static const struct ctz_reg writer_methods[] = {
    {"store.open", l_open, CTZ_CAP_HELD, 0, 0},
    {"store.read_again", l_read_again, CTZ_CAP_HELD, 0, 0},
    {"store.write", l_write, CTZ_CAP_HELD, 0, 0},
    {"store.commit", l_commit, CTZ_CAP_HELD, 0, 0},
    {"store.spoil", l_spoil, CTZ_CAP_HELD, 0, 0},
    {"store.close", l_writer_close, CTZ_CAP_HELD, 0, 0},
    {"store.__close", l_writer_close, CTZ_CAP_HELD, 0, 0},
    {"store.__gc", l_writer_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg reader_methods[] = {
    {"store.read", l_read, CTZ_CAP_HELD, 0, 0},
    {"store.close", l_reader_close, CTZ_CAP_HELD, 0, 0},
    {"store.__close", l_reader_close, CTZ_CAP_HELD, 0, 0},
    {"store.__gc", l_reader_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"store.blob", l_blob, CTZ_CAP_WRITE, 1, CTZ_REG_LOCAL},
    {"store.file", l_file, CTZ_CAP_WRITE, 1, CTZ_REG_LOCAL},
    {"store.check", l_check, CTZ_CAP_PURE, 0, 0},
    {"store.reader", l_reader, CTZ_CAP_READ, 1, 0},
    {"store.tar_header", l_tar_header, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_store(lua_State *L);

int luaopen_ctz_core_store(lua_State *L)
{
    ctz_class(L, WRITER_CLASS, writer_methods);
    ctz_class(L, READER_CLASS, reader_methods);
    ctz_door(L, functions);
    return 1;
}
