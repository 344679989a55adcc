// partial.c: one blob that comes from elsewhere, on its way into a layout.
// SPDX-License-Identifier: MIT
//
// Its bytes stand in a file beside its place, whose name begins with a dot and holds the digest.
// The file has the lock of who writes it, so what a killed process left is found, hashed again and
// gone on with, and two processes never write one blob at once. It gets its place when digest and
// size are right.
#include "bindings/image/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/alloc.h"

#define BLOBS       "blobs/"
#define PARTIAL     ".ctz-part-"
#define STALE_S     (7 * 86400) // so long the rest of a blob is waited for
#define SLICE_BYTES ((size_t)256 * 1024)
#define HOT_BYTES   (128 * 1024) // of the second-level cache of any machine

static int no_memory(struct ctz_error *err, const char *path)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "write %s: out of memory", path);
}

static int fail(struct ctz_partial *partial, int error_number, struct ctz_error *err)
{
    ctz_error_system(err, error_number, "write %s", partial->path);
    ctz_error_target(err, partial->path);
    if (error_number == ENOSPC || error_number == EDQUOT) {
        partial->spoiled = true; // room for others
        ctz_error_hint(err, "free some space on that disk; what stood there before is intact");
    }
    return -1;
}

static bool is_whole(const struct ctz_partial *partial)
{
    struct stat status;
    return partial->wanted[0] && lstat(partial->path, &status) == 0 && S_ISREG(status.st_mode) &&
           (uint64_t)status.st_size == partial->expected_bytes;
}

// Does the file that we hold still have its name? Who wrote it before may have moved it meanwhile.
static bool has_name(const struct ctz_partial *partial)
{
    struct stat ours, named;
    return fstat(partial->fd, &ours) == 0 && lstat(partial->temporary, &named) == 0 &&
           ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

static void close_file(struct ctz_partial *partial)
{
    if (partial->fd >= 0)
        close(partial->fd);
    partial->fd = -1;
}

// Opens and locks the file.
static enum ctz_partial_state hold(struct ctz_partial *partial, struct ctz_error *err)
{
    for (;;) {
        if (is_whole(partial))
            return CTZ_PARTIAL_WHOLE;
        int fault = CTZ_FAULT("open");
        partial->fd = fault ? -1
                            : open(partial->temporary,
                                   O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0666);
        if (partial->fd < 0) {
            fail(partial, fault ? fault : errno, err);
            return CTZ_PARTIAL_FAILED;
        }
        if (flock(partial->fd, LOCK_EX | LOCK_NB) != 0) {
            int error_number = errno;
            close_file(partial);
            if (error_number == EWOULDBLOCK)
                return CTZ_PARTIAL_BUSY;
            fail(partial, error_number, err);
            return CTZ_PARTIAL_FAILED;
        }
        if (has_name(partial) && !is_whole(partial))
            return CTZ_PARTIAL_OPEN;
        close_file(partial);
    }
}

// Starts again with an empty file; it has size bytes.
static int forget(struct ctz_partial *partial, off_t size, struct ctz_error *err)
{
    ctz_digest_clear(&partial->digest);
    partial->size_bytes = 0;
    // Not of an empty one: ext4 would write all of a file that was cut to nothing when it is
    // closed.
    if ((size > 0 && ftruncate(partial->fd, 0) != 0) || lseek(partial->fd, 0, SEEK_SET) < 0)
        return fail(partial, errno, err);
    return ctz_digest_init_as(&partial->digest, partial->wanted, err);
}

int ctz_partial_read_again(struct ctz_partial *partial, bool (*stop)(void *context), void *context,
                           struct ctz_error *err)
{
    if (!partial->resumed)
        return 0;
    char *slice = ctz_malloc(SLICE_BYTES);
    if (!slice)
        return no_memory(err, partial->path);
    int result = 0;
    while (result == 0) {
        ssize_t got = read(partial->fd, slice, SLICE_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            result = got < 0 ? fail(partial, errno, err) : 0;
            break;
        }
        result = ctz_digest_update(&partial->digest, slice, (size_t)got, err);
        partial->size_bytes += (uint64_t)got;
        if (result == 0 && stop && stop(context))
            result = ctz_error_set(err, CTZ_ERROR_CANCELLED, "write %s: cancelled", partial->path);
    }
    ctz_free(slice);
    return result;
}

static int begin(struct ctz_partial *partial, const struct ctz_partial_options *options,
                 struct ctz_error *err)
{
    struct stat status;
    if (ctz_digest_init_as(&partial->digest, partial->wanted, err) != 0)
        return -1;
    if (fstat(partial->fd, &status) != 0)
        return fail(partial, errno, err);
    if (!S_ISREG(status.st_mode))
        return ctz_error_set(err, CTZ_ERROR_IO, "write %s: %s is no file", partial->path,
                             partial->temporary);
    partial->resumed = options->resume && status.st_size > 0 &&
                       (uint64_t)status.st_size <= partial->expected_bytes;
    return partial->resumed ? 0 : forget(partial, status.st_size, err);
}

// A file without a digest: "folder/.name.ctz-part".
static int make_file_paths(struct ctz_partial *partial, const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;
    partial->path = ctz_strdup(path);
    partial->temporary = ctz_asprintf("%.*s.%s.ctz-part", (int)(name - path), path, name);
    return partial->path && partial->temporary ? 0 : -1;
}

static int make_paths(struct ctz_partial *partial, const char *layout)
{
    const char *hex = strchr(partial->wanted, ':') + 1;
    char *folder =
        ctz_asprintf("%s/" BLOBS "%.*s", layout, (int)(hex - 1 - partial->wanted), partial->wanted);
    if (!folder)
        return -1;
    mkdir(folder, 0777); // a layout that is prepared has that for sha256; open tells what fails
    partial->path = ctz_asprintf("%s/%s", folder, hex);
    partial->temporary = ctz_asprintf("%s/" PARTIAL "%s", folder, hex);
    ctz_free(folder);
    return partial->path && partial->temporary ? 0 : -1;
}

static enum ctz_partial_state open_held(struct ctz_partial *partial,
                                        const struct ctz_partial_options *options,
                                        struct ctz_error *err)
{
    enum ctz_partial_state state = hold(partial, err);
    if (state == CTZ_PARTIAL_OPEN && begin(partial, options, err) != 0)
        return CTZ_PARTIAL_FAILED;
    return state;
}

enum ctz_partial_state ctz_partial_open(struct ctz_partial *partial,
                                        const struct ctz_partial_options *options,
                                        struct ctz_error *err)
{
    memset(partial, 0, sizeof *partial);
    partial->fd = -1;
    partial->sync = options->sync;
    partial->expected_bytes = options->file ? UINT64_MAX : options->size_bytes;
    if (options->file) {
        if (make_file_paths(partial, options->file) == 0)
            return open_held(partial, options, err);
        no_memory(err, options->file);
        return CTZ_PARTIAL_FAILED;
    }
    if (!ctz_digest_is_valid(options->digest)) {
        ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "the digest \"%s\" is neither sha256 nor sha512",
                      options->digest);
        return CTZ_PARTIAL_FAILED;
    }
    strcpy(partial->wanted, options->digest); // its length was checked
    if (!options->layout)
        return ctz_digest_init_as(&partial->digest, partial->wanted, err) == 0 ? CTZ_PARTIAL_OPEN
                                                                               : CTZ_PARTIAL_FAILED;
    if (make_paths(partial, options->layout) != 0) {
        no_memory(err, options->layout);
        return CTZ_PARTIAL_FAILED;
    }
    return open_held(partial, options, err);
}

static int write_all(struct ctz_partial *partial, const char *bytes, size_t size,
                     struct ctz_error *err)
{
    while (size > 0) {
        int fault = CTZ_FAULT("write");
        ssize_t written = fault ? -1 : write(partial->fd, bytes, size);
        if (written < 0 && (fault ? fault : errno) == EINTR)
            continue;
        if (written < 0)
            return fail(partial, fault ? fault : errno, err);
        bytes += written;
        size -= (size_t)written;
    }
    return 0;
}

int ctz_partial_write(struct ctz_partial *partial, const void *bytes, size_t size,
                      struct ctz_error *err)
{
    if (size > partial->expected_bytes - partial->size_bytes) {
        partial->spoiled = true;
        ctz_error_set(err, CTZ_ERROR_SIZE, "%s has more than the %llu bytes that were announced",
                      partial->wanted, (unsigned long long)partial->expected_bytes);
        ctz_error_target(err, partial->wanted);
        return -1;
    }
    // Slice by slice, so that what is written was just hashed and is still in the cache.
    for (const char *at = bytes, *end = at + size; at < end;) {
        size_t slice = end - at < HOT_BYTES ? (size_t)(end - at) : HOT_BYTES;
        if (partial->wanted[0] && ctz_digest_update(&partial->digest, at, slice, err) != 0)
            return -1;
        partial->size_bytes += slice;
        if (partial->path && write_all(partial, at, slice, err) != 0)
            return -1;
        at += slice;
    }
    return 0;
}

static int check(struct ctz_partial *partial, struct ctz_error *err)
{
    char digest[CTZ_DIGEST_BYTES];
    if (partial->size_bytes != partial->expected_bytes) {
        ctz_error_set(err, CTZ_ERROR_SIZE, "%s ends after %llu of %llu bytes", partial->wanted,
                      (unsigned long long)partial->size_bytes,
                      (unsigned long long)partial->expected_bytes);
        ctz_error_target(err, partial->wanted);
        return -1;
    }
    if (ctz_digest_final(&partial->digest, digest, err) != 0)
        return -1;
    if (strcmp(digest, partial->wanted) == 0)
        return 0;
    partial->spoiled = true;
    ctz_error_set(err, CTZ_ERROR_DIGEST, "%s: its content has the digest %s", partial->wanted,
                  digest);
    ctz_error_target(err, partial->wanted);
    return -1;
}

int ctz_partial_commit(struct ctz_partial *partial, struct ctz_error *err)
{
    if (partial->wanted[0] && check(partial, err) != 0)
        return -1;
    if (!partial->path)
        return 0;
    int fault = CTZ_FAULT("fsync");
    if (fault || (partial->sync && fsync(partial->fd) != 0))
        return fail(partial, fault ? fault : errno, err);
    fault = CTZ_FAULT("rename");
    if (fault || rename(partial->temporary, partial->path) != 0)
        return fail(partial, fault ? fault : errno, err);
    partial->placed = true;
    return 0;
}

void ctz_partial_clear(struct ctz_partial *partial, bool keep)
{
    bool remove = !keep || partial->spoiled || partial->size_bytes == 0;
    if (partial->fd >= 0 && !partial->placed && remove && has_name(partial))
        unlink(partial->temporary); // before the lock goes: it is still ours
    close_file(partial);
    ctz_digest_clear(&partial->digest);
    ctz_free(partial->path);
    ctz_free(partial->temporary);
    partial->path = partial->temporary = NULL;
}

// --- what killed processes left ----------------------------------------------------------------

// Is it a file that nobody goes on with: too old, or its blob has come otherwise? We hold its lock.
static bool is_stale(int folder, int fd, const char *name)
{
    struct stat ours, named, blob;
    if (fstat(fd, &ours) != 0 || fstatat(folder, name, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(ours.st_mode) || ours.st_ino != named.st_ino || ours.st_dev != named.st_dev)
        return false;
    return time(NULL) - ours.st_mtime > STALE_S ||
           (fstatat(folder, name + sizeof PARTIAL - 1, &blob, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(blob.st_mode));
}

static void sweep_one(int folder, const char *name)
{
    int fd = openat(folder, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_stale(folder, fd, name))
        unlinkat(folder, name, 0);
    close(fd);
}

static void sweep_folder(const char *layout, const char *algorithm)
{
    char *path = ctz_asprintf("%s/" BLOBS "%s", layout, algorithm);
    DIR *folder = path ? opendir(path) : NULL;
    ctz_free(path);
    if (!folder)
        return;
    for (struct dirent *entry = readdir(folder); entry; entry = readdir(folder))
        if (strncmp(entry->d_name, PARTIAL, sizeof PARTIAL - 1) == 0)
            sweep_one(dirfd(folder), entry->d_name);
    closedir(folder);
}

void ctz_partial_sweep(const char *layout)
{
    sweep_folder(layout, "sha256");
    sweep_folder(layout, "sha512");
}
