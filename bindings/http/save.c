// save.c: a stream becomes a file: beside its place first, then moved there.
// SPDX-License-Identifier: MIT
//
// The jobs run on the pool. A job that is under way when its task is cancelled keeps its reference
// to the file: the descriptor is closed, and what is unfinished removed, when the last one lets go.
#include "bindings/http/exchange.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "host/alloc.h"

#define SLICE_BYTES ((size_t)1 << 20)

struct save_file {
    unsigned references; // of the loop's thread
    int descriptor;      // -1: not open
    bool kept;           // it has its name
    char *path, *temp;   // owned
};

struct save_op {
    struct ctz_op op;
    struct save_file *file; // a reference
    char *bytes;            // owned
    size_t size;
};

void http_save_release(struct save_file *file)
{
    if (--file->references > 0)
        return;
    if (file->descriptor >= 0)
        close(file->descriptor);
    if (file->descriptor >= 0 && !file->kept)
        unlink(file->temp);
    ctz_free(file->path);
    ctz_free(file->temp);
    ctz_free(file);
}

static void clear_save(struct ctz_op *op)
{
    struct save_op *save = (struct save_op *)op;
    ctz_free(save->bytes);
    if (save->file)
        http_save_release(save->file);
}

// --- on the pool -------------------------------------------------------------------------------

static void open_file(struct ctz_op *op)
{
    struct save_file *file = ((struct save_op *)op)->file;
    int fault = CTZ_FAULT("open");
    if (!fault)
        file->descriptor =
            open(file->temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file->descriptor < 0)
        ctz_error_system(&op->err, fault ? fault : errno, "cannot write %s", file->path);
}

static void write_file(struct ctz_op *op)
{
    struct save_op *save = (struct save_op *)op;
    const char *bytes = save->bytes;
    for (size_t left = save->size; left > 0 && !ctz_op_given_up(op);) {
        int fault = CTZ_FAULT("write");
        ssize_t written = -1;
        if (fault)
            errno = fault;
        else
            written = write(save->file->descriptor, bytes, left < SLICE_BYTES ? left : SLICE_BYTES);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0) {
            ctz_error_system(&op->err, errno, "cannot write %s", save->file->path);
            return;
        }
        bytes += written;
        left -= (size_t)written;
    }
}

// The name of the folder is in a directory: that too has to reach the disk. Best effort.
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? ctz_memdup(path, (size_t)(slash - path) + 1) : ctz_strdup(".");
    int descriptor = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (descriptor >= 0) {
        fsync(descriptor);
        close(descriptor);
    }
    ctz_free(folder);
}

static void keep_file(struct ctz_op *op)
{
    struct save_file *file = ((struct save_op *)op)->file;
    if (ctz_op_given_up(op))
        return;
    int fault = CTZ_FAULT("fsync");
    if (fault || fsync(file->descriptor) < 0) {
        ctz_error_system(&op->err, fault ? fault : errno, "cannot write %s", file->path);
        return;
    }
    fault = CTZ_FAULT("rename");
    if (fault || rename(file->temp, file->path) < 0) {
        ctz_error_system(&op->err, fault ? fault : errno, "cannot write %s", file->path);
        return;
    }
    file->kept = true;
    sync_folder(file->path);
}

static const struct ctz_op_class open_class = {
    .name = "opens a file", .work = open_file, .clear = clear_save};
static const struct ctz_op_class write_class = {
    .name = "saves an HTTP stream", .work = write_file, .clear = clear_save};
static const struct ctz_op_class keep_class = {
    .name = "saves an HTTP stream", .work = keep_file, .clear = clear_save};

// --- Lua ---------------------------------------------------------------------------------------

// "folder/.name.1f2e3d4c": in the same folder, so that it can be moved to its name at once.
static char *temp_name(const char *path)
{
    unsigned char noise[8];
    if (getrandom(noise, sizeof noise, 0) != sizeof noise)
        return NULL;
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    int keep = strlen(name) > 200 ? 200 : (int)strlen(name);
    return ctz_asprintf("%.*s.%.*s.%02x%02x%02x%02x%02x%02x%02x%02x", (int)(name - path), path,
                        keep, name, noise[0], noise[1], noise[2], noise[3], noise[4], noise[5],
                        noise[6], noise[7]);
}

static struct save_file *new_file(const char *path)
{
    struct save_file *file = ctz_calloc(1, sizeof *file);
    if (!file)
        return NULL;
    file->descriptor = -1;
    file->references = 1;
    file->path = ctz_strdup(path);
    file->temp = temp_name(path);
    if (file->path && file->temp)
        return file;
    http_save_release(file);
    return NULL;
}

static int await_job(lua_State *L, const struct ctz_op_class *class, struct save_file *file,
                     char *bytes, size_t size)
{
    struct save_op *save = ctz_op_make(ctz_host(L), class, sizeof *save);
    if (!save) {
        ctz_free(bytes);
        return ctz_http_no_memory(L);
    }
    file->references++;
    save->file = file;
    save->bytes = bytes;
    save->size = size;
    return ctz_await(L, save);
}

// exchange:save_open(path) -> true
int http_l_save_open(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    const char *path = ctz_check_name(L, 2, "path");
    if (exchange->file)
        return ctz_usage(L, "it is saved already");
    exchange->file = new_file(path);
    if (!exchange->file)
        return ctz_http_no_memory(L);
    return await_job(L, &open_class, exchange->file, NULL, 0);
}

// exchange:save_write() -> true: writes what has arrived.
int http_l_save_write(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    size_t size;
    const char *bytes = http_peek(exchange, &size);
    if (!exchange->file)
        return ctz_usage(L, "no file is open");
    char *copy = ctz_memdup(bytes, size);
    if (!copy)
        return ctz_http_no_memory(L);
    http_take(exchange, size); // raises nothing
    return await_job(L, &write_class, exchange->file, copy, size);
}

// exchange:save_close() -> true: the file has its name now.
int http_l_save_close(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    if (!exchange->file)
        return ctz_usage(L, "no file is open");
    return await_job(L, &keep_class, exchange->file, NULL, 0);
}
