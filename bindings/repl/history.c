// history.c: the file of lines that were typed, shared by sessions.
// SPDX-License-Identifier: MIT
//
// Each session appends what it has, one write a line. Who makes the file shorter holds its lock
// while it puts a new file in its place; who appends looks whether that has happened meanwhile.
#include "bindings/repl/history.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"

#define BLOCK_BYTES (64 * 1024)

static int fail(struct ctz_error *err, const char *path)
{
    ctz_error_system(err, errno, "%s", path);
    ctz_error_target(err, path);
    return -1;
}

static bool is_at(int fd, const char *path)
{
    struct stat open_file, named;
    return fstat(fd, &open_file) == 0 && stat(path, &named) == 0 &&
           open_file.st_dev == named.st_dev && open_file.st_ino == named.st_ino;
}

// Opens the file that has the name once the lock is ours; -1 with errno.
static int open_locked(const char *path, int flags, int lock)
{
    for (;;) {
        int fault = CTZ_FAULT("open");
        errno = fault;
        int fd = fault ? -1 : open(path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
        if (fd < 0)
            return -1;
        while (flock(fd, lock) != 0 && errno == EINTR)
            continue; // without a lock (some file systems have none) it goes on as well
        if (is_at(fd, path))
            return fd;
        close(fd);
    }
}

static int write_all(int fd, const char *bytes, size_t size)
{
    while (size > 0) {
        int fault = CTZ_FAULT("write");
        ssize_t written = fault ? -1 : write(fd, bytes, size);
        if (fault)
            errno = fault;
        if (written < 0 && errno == EINTR && !fault)
            continue;
        if (written < 0)
            return -1;
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

int ctz_history_append(const char *path, const char *bytes, size_t size, struct ctz_error *err)
{
    int fd = open_locked(path, O_WRONLY | O_APPEND | O_CREAT, LOCK_SH);
    if (fd < 0)
        return fail(err, path);
    int result = 0;
    if (fchmod(fd, 0600) != 0 || write_all(fd, bytes, size) != 0)
        result = fail(err, path);
    close(fd);
    return result;
}

static int read_all(int fd, struct ctz_buffer *out)
{
    for (;;) {
        char *room = ctz_buffer_reserve(out, BLOCK_BYTES);
        if (!room) {
            errno = ENOMEM;
            return -1;
        }
        ssize_t size = read(fd, room, BLOCK_BYTES);
        if (size < 0 && errno == EINTR)
            continue;
        if (size <= 0)
            return (int)size;
        out->length += (size_t)size;
    }
}

// The newer half, from the beginning of a line on, replaces the file.
static int shorten(const char *path, struct ctz_buffer *text)
{
    const char *half = text->bytes + text->length / 2;
    const char *line = memchr(half, '\n', text->length - text->length / 2);
    ctz_buffer_shift(text, line ? (size_t)(line + 1 - text->bytes) : text->length);
    char *other = ctz_asprintf("%s.new", path);
    int fd = other ? open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;
    int result = fd < 0 ? -1 : write_all(fd, text->bytes, text->length);
    if (fd >= 0 && close(fd) != 0)
        result = -1;
    if (result == 0)
        result = rename(other, path);
    else if (fd >= 0)
        unlink(other);
    ctz_free(other);
    return result;
}

int ctz_history_read(const char *path, size_t max_bytes, struct ctz_buffer *out,
                     struct ctz_error *err)
{
    int fd = open_locked(path, O_RDONLY, LOCK_EX);
    if (fd < 0)
        return errno == ENOENT ? 0 : fail(err, path);
    int result = read_all(fd, out);
    if (result == 0 && out->length > max_bytes)
        result = shorten(path, out);
    if (result < 0)
        fail(err, path);
    close(fd);
    return result;
}
