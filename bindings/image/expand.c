// expand.c: a packed file becomes another file as it was before: an archive that somebody gzipped.
// SPDX-License-Identifier: MIT
#include "bindings/image/reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"

#define SLICE_BYTES ((size_t)256 * 1024)

struct expansion {
    const char *path, *to;
    struct ctz_unpacker *unpacker; // owned
    char *slice;                   // owned
    int from, into;
};

static int fail(struct ctz_error *err, int error_number, const char *verb, const char *path)
{
    ctz_error_system(err, error_number, "%s %s", verb, path);
    ctz_error_target(err, path);
    return -1;
}

static int write_out(void *context, const void *bytes, size_t size, struct ctz_error *err)
{
    const struct expansion *expansion = context;
    for (const char *at = bytes; size > 0;) {
        int fault = CTZ_FAULT("write");
        ssize_t written = fault ? -1 : write(expansion->into, at, size);
        int error_number = fault ? fault : errno;
        if (written < 0 && error_number == EINTR)
            continue;
        if (written < 0) {
            fail(err, error_number, "write", expansion->to);
            if (error_number == ENOSPC || error_number == EDQUOT)
                ctz_error_hint(err, "%s is unpacked there: TMPDIR names another place",
                               expansion->path);
            return -1;
        }
        at += written;
        size -= (size_t)written;
    }
    return 0;
}

static int open_both(struct expansion *expansion, struct ctz_error *err)
{
    struct stat from, into;
    int fault = CTZ_FAULT("open");
    // O_NONBLOCK: the open of a fifo would wait for a writer.
    expansion->from =
        fault ? -1 : open(expansion->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (expansion->from < 0 || fstat(expansion->from, &from) != 0)
        return fail(err, fault ? fault : errno, "read", expansion->path);
    expansion->into = open(expansion->to, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (expansion->into < 0 || fstat(expansion->into, &into) != 0)
        return fail(err, errno, "write", expansion->to);
    if (!S_ISREG(from.st_mode) || !S_ISREG(into.st_mode) || into.st_size > 0)
        return ctz_error_set(err, CTZ_ERROR_UNSUPPORTED,
                             "unpack %s: it is no file, or %s not empty", expansion->path,
                             expansion->to);
    return 0;
}

static int read_all(struct expansion *expansion, bool (*stop)(void *context), void *context,
                    struct ctz_error *err)
{
    for (;;) {
        if (stop && stop(context))
            return ctz_error_set(err, CTZ_ERROR_CANCELLED, "unpack %s: cancelled", expansion->path);
        int fault = CTZ_FAULT("read");
        ssize_t size = fault ? -1 : read(expansion->from, expansion->slice, SLICE_BYTES);
        if (size < 0 && (fault ? fault : errno) == EINTR)
            continue;
        if (size < 0)
            return fail(err, fault ? fault : errno, "read", expansion->path);
        if (size == 0)
            return ctz_unpacker_end(expansion->unpacker, err);
        if (ctz_unpacker_write(expansion->unpacker, expansion->slice, (size_t)size, err) != 0)
            return -1;
    }
}

int ctz_expand_file(const char *path, const char *to, const struct ctz_unpack_limits *limits,
                    bool (*stop)(void *context), void *context, struct ctz_error *err)
{
    struct expansion expansion = {.path = path, .to = to, .from = -1, .into = -1};
    int result = -1;
    expansion.slice = ctz_malloc(SLICE_BYTES);
    if (!expansion.slice)
        ctz_error_set(err, CTZ_ERROR_IO, "unpack %s: out of memory", path);
    else if ((expansion.unpacker = ctz_unpacker_new(limits, write_out, &expansion, err)) &&
             open_both(&expansion, err) == 0)
        result = read_all(&expansion, stop, context, err);
    ctz_unpacker_free(expansion.unpacker);
    ctz_free(expansion.slice);
    if (expansion.from >= 0)
        close(expansion.from);
    if (expansion.into >= 0)
        close(expansion.into);
    return result;
}
