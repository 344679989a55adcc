// content.c: the bytes of one file: read, written whole or not at all, appended, copied.
// SPDX-License-Identifier: MIT
//
// A new file has no name where the system can do that (O_TMPFILE), so that nothing is left of it
// however the process ends; elsewhere it has a random one in the same folder.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "bindings/system/files.h"
#include "host/alloc.h"
#include "host/limits.h"

#define TEMPORARY   ".ctz-" // and 16 hex digits
#define TRIES       16      // random names
#define BLOCK_BYTES (256 * CTZ_KIB)
#define SLICE_BYTES (4 * CTZ_MIB) // between two looks whether the job was given up
#define WAIT_MS     100           // for a fifo, between two such looks
#define NEAR_NAMES  256           // looked at for "did you mean"

// --- errors ------------------------------------------------------------------------------------

char *ctz_files_folder(const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 1 && path[length - 1] == '/')
        length--;
    return length ? ctz_memdup(path, length) : ctz_strdup(".");
}

char *ctz_files_join(const char *folder, const char *name)
{
    size_t length = strlen(folder);
    bool has_slash = length > 0 && folder[length - 1] == '/';
    return ctz_asprintf("%s%s%s", folder, has_slash ? "" : "/", name);
}

// A name beside the one that is not there.
static void hint_near(struct ctz_error *err, const char *path)
{
    const char *slash = strrchr(path, '/'), *wrong = slash ? slash + 1 : path;
    char *folder = ctz_files_folder(path);
    DIR *directory = folder ? opendir(folder) : NULL;
    if (folder && !directory)
        ctz_error_hint(err, "there is no folder %s", folder);
    char *found[NEAR_NAMES + 1] = {0};
    int count = 0;
    for (struct dirent *entry; directory && count < NEAR_NAMES && (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            found[count++] = ctz_strdup(entry->d_name);
    found[count] = NULL;
    if (directory)
        closedir(directory);
    const char *near = ctz_nearest(wrong, (const char *const *)found);
    if (near)
        ctz_error_hint(err, "did you mean %.*s%s?", (int)(wrong - path), path, near);
    while (count > 0)
        ctz_free(found[--count]);
    ctz_free(folder);
}

int ctz_files_fail(struct ctz_error *err, int error_number, const char *path)
{
    ctz_error_system(err, error_number, "%s", path);
    ctz_error_target(err, path);
    switch (error_number) {
    case ENOENT:
        hint_near(err, path);
        break;
    case ENOSPC:
    case EDQUOT:
        ctz_error_hint(err, "free some space on that disk; what stood there before is intact");
        break;
    case EMFILE:
    case ENFILE:
        ctz_error_hint(err, "too many files are open; close some, or raise `ulimit -n`");
        break;
    case ENOTDIR:
        ctz_error_hint(err, "a part of the path is a file");
        break;
    default:
        break;
    }
    return -1;
}

static int no_memory(struct ctz_error *err, const char *path)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "%s: out of memory", path);
}

int ctz_files_given_up(const struct ctz_op *op, struct ctz_error *err)
{
    if (!op || !ctz_op_given_up(op))
        return 0;
    return ctz_error_set(err, CTZ_ERROR_CANCELLED, "cancelled");
}

// --- reading -----------------------------------------------------------------------------------

int ctz_files_open(const char *path, struct stat *facts, struct ctz_error *err)
{
    int fault = CTZ_FAULT("open");
    int fd = fault ? -1 : open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return ctz_files_fail(err, fault ? fault : errno, path);
    if (fstat(fd, facts) == 0 && !S_ISDIR(facts->st_mode))
        return fd;
    ctz_files_fail(err, S_ISDIR(facts->st_mode) ? EISDIR : errno, path);
    if (err->code && strcmp(err->code, "EISDIR") == 0)
        ctz_error_hint(err, "ctz.fs.list gives what is in it");
    close(fd);
    return -1;
}

// Waits for bytes of a fifo or a device in short steps. 0, or -1 when the job was given up.
static int wait_for(int fd, short events, const struct ctz_op *op, struct ctz_error *err)
{
    struct pollfd ready = {.fd = fd, .events = events};
    while (poll(&ready, 1, WAIT_MS) == 0)
        if (ctz_files_given_up(op, err) < 0)
            return -1;
    return 0;
}

static int too_large(struct ctz_error *err, const char *path, const struct ctz_buffer *bytes)
{
    ctz_error_set(err, CTZ_ERROR_SIZE, "%s has more than %llu bytes", path,
                  (unsigned long long)bytes->max_bytes);
    ctz_error_target(err, path);
    ctz_error_hint(err, "read it in parts with io.open, or raise --limit file_bytes");
    return -1;
}

// Reads the next block into the buffer; the number of bytes, or -1.
static ssize_t read_block(int fd, const char *path, struct ctz_buffer *bytes, struct ctz_error *err)
{
    uint64_t left = bytes->max_bytes - bytes->length;
    if (left == 0) { // is that all of it?
        char extra;
        return read(fd, &extra, 1) > 0 ? too_large(err, path, bytes) : 0;
    }
    size_t wanted = left < BLOCK_BYTES ? (size_t)left : BLOCK_BYTES;
    char *room = ctz_buffer_reserve(bytes, wanted);
    if (!room)
        return no_memory(err, path);
    int fault = CTZ_FAULT("read");
    ssize_t size = fault ? -1 : read(fd, room, wanted);
    if (size < 0 && fault)
        errno = fault;
    bytes->length += size > 0 ? (size_t)size : 0;
    bytes->bytes[bytes->length] = '\0';
    return size;
}

int ctz_files_read(int fd, const char *path, struct ctz_buffer *bytes, const struct ctz_op *op,
                   struct ctz_error *err)
{
    struct stat facts;
    bool is_regular = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
    if (is_regular && (uint64_t)facts.st_size > bytes->max_bytes)
        return too_large(err, path, bytes);
    if (is_regular && facts.st_size > 0 && !ctz_buffer_reserve(bytes, (size_t)facts.st_size))
        return no_memory(err, path);
    for (;;) {
        if (!is_regular && wait_for(fd, POLLIN, op, err) < 0)
            return -1;
        if (ctz_files_given_up(op, err) < 0) // before bytes are taken that somebody else may want
            return -1;
        ssize_t size = read_block(fd, path, bytes, err);
        if (size == 0)
            return 0;
        if (size < 0 && err->kind)
            return -1;
        if (size < 0 && errno != EINTR && errno != EAGAIN)
            return ctz_files_fail(err, errno, path);
    }
}

// --- writing -----------------------------------------------------------------------------------

int ctz_files_write_all(int fd, const char *path, const char *bytes, size_t size,
                        const struct ctz_op *op, struct ctz_error *err)
{
    while (size > 0) {
        size_t slice = size < SLICE_BYTES ? size : SLICE_BYTES;
        int fault = CTZ_FAULT("write");
        ssize_t written = fault ? -1 : write(fd, bytes, slice);
        int code = fault ? fault : errno;
        if (ctz_files_given_up(op, err) < 0)
            return -1;
        if (written < 0 && code == EAGAIN) {
            if (wait_for(fd, POLLOUT, op, err) < 0)
                return -1;
        } else if (written < 0 && code != EINTR) {
            return ctz_files_fail(err, code, path);
        }
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int sync_file(int fd, const char *path, struct ctz_error *err)
{
    int fault = CTZ_FAULT("fsync");
    if (fault || fsync(fd) != 0)
        return ctz_files_fail(err, fault ? fault : errno, path);
    return 0;
}

// A rename is on the disk once its folder is. EINVAL: the file system has no such thing.
static int sync_folder(const char *folder, struct ctz_error *err)
{
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : ctz_files_fail(err, errno, folder); // write without read
    int fault = CTZ_FAULT("fsync_folder");
    int code = fault ? fault : fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code && code != EINVAL ? ctz_files_fail(err, code, folder) : 0;
}

// --- a new file and its place ------------------------------------------------------------------

struct new_file {
    const char *path; // borrowed: its place
    char *folder;     // owned
    char *name;       // owned: its temporary path; NULL while it has none
    int fd;
};

static char *random_name(const char *folder, struct ctz_error *err)
{
    unsigned long long number;
    if (getrandom(&number, sizeof number, 0) != sizeof number) {
        ctz_files_fail(err, errno, folder);
        return NULL;
    }
    char name[64];
    snprintf(name, sizeof name, TEMPORARY "%016llx", number);
    char *path = ctz_files_join(folder, name);
    if (!path)
        no_memory(err, folder);
    return path;
}

static int open_nameless(const char *folder)
{
    if (CTZ_FAULT("tmpfile") || access("/proc/self/fd", X_OK) != 0) // what link_as goes through
        return -1;
    return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
}

static int open_named(struct new_file *file, struct ctz_error *err)
{
    for (int i = 0; i < TRIES; i++) {
        ctz_free(file->name);
        file->name = random_name(file->folder, err);
        if (!file->name)
            return -1;
        int fault = CTZ_FAULT("open");
        file->fd =
            fault ? -1 : open(file->name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
        if (file->fd >= 0)
            return 0;
        int code = fault ? fault : errno;
        if (code != EEXIST) {
            ctz_free(file->name);
            file->name = NULL;
            ctz_files_fail(err, code, code == ENOENT ? file->path : file->folder);
            return -1;
        }
    }
    return ctz_files_fail(err, EEXIST, file->folder);
}

static int open_new(struct new_file *file, const char *path, struct ctz_error *err)
{
    *file = (struct new_file){.path = path, .folder = ctz_files_folder(path), .fd = -1};
    if (!file->folder)
        return no_memory(err, path);
    file->fd = open_nameless(file->folder);
    return file->fd >= 0 ? 0 : open_named(file, err);
}

static int link_as(int fd, const char *path)
{
    char self[32];
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, self, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
}

// Something stands in the file's place: it gets a temporary name, so that it can replace it.
static int give_name(struct new_file *file, struct ctz_error *err)
{
    for (int i = 0; i < TRIES; i++) {
        char *name = random_name(file->folder, err);
        if (!name)
            return -1;
        if (link_as(file->fd, name) == 0) {
            file->name = name;
            return 0;
        }
        int code = errno;
        ctz_free(name);
        if (code != EEXIST)
            return ctz_files_fail(err, code, file->folder);
    }
    return ctz_files_fail(err, EEXIST, file->folder);
}

// It is whole: on the disk, then in its place, then the folder is on the disk.
static int put_in_place(struct new_file *file, const struct ctz_op *op, struct ctz_error *err)
{
    if (sync_file(file->fd, file->path, err) < 0 || ctz_files_given_up(op, err) < 0)
        return -1;
    bool is_linked = !file->name && link_as(file->fd, file->path) == 0;
    if (!is_linked) {
        if (!file->name && give_name(file, err) < 0)
            return -1;
        int fault = CTZ_FAULT("rename");
        if (fault || rename(file->name, file->path) != 0)
            return ctz_files_fail(err, fault ? fault : errno, file->path);
        ctz_free(file->name);
        file->name = NULL;
    }
    return sync_folder(file->folder, err);
}

static void discard(struct new_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->name)
        unlink(file->name);
    ctz_free(file->name);
    ctz_free(file->folder);
}

// Owner as far as we may, then the mode: a change of owner takes bits away.
static int set_facts(struct new_file *file, const struct stat *old, const mode_t *mode,
                     struct ctz_error *err)
{
    if (old && (old->st_uid != geteuid() || old->st_gid != getegid()) &&
        fchown(file->fd, old->st_uid, old->st_gid) != 0)
        errno = 0;
    if (!old && !mode)
        return 0;
    if (fchmod(file->fd, mode ? *mode : old->st_mode & 07777) != 0)
        return ctz_files_fail(err, errno, file->path);
    return 0;
}

// --- writing a file ----------------------------------------------------------------------------

// A device, a fifo, or on request a regular file.
static int write_in_place(const char *path, const struct ctz_writing *writing,
                          const struct ctz_op *op, struct ctz_error *err)
{
    int flags = O_WRONLY | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = open(path, flags | (writing->in_place ? O_TRUNC : 0), 0666);
    if (fd < 0)
        return ctz_files_fail(err, errno, path);
    int result = ctz_files_write_all(fd, path, writing->bytes, writing->size, op, err);
    if (result == 0 && writing->has_mode && fchmod(fd, writing->mode) != 0)
        result = ctz_files_fail(err, errno, path);
    if (close(fd) != 0 && result == 0)
        result = ctz_files_fail(err, errno, path);
    return result;
}

static int write_new(const char *path, const struct stat *old, const struct ctz_writing *writing,
                     const struct ctz_op *op, struct ctz_error *err)
{
    struct new_file file;
    int result = open_new(&file, path, err);
    if (result == 0)
        result = ctz_files_write_all(file.fd, path, writing->bytes, writing->size, op, err);
    if (result == 0)
        result = set_facts(&file, old, writing->has_mode ? &writing->mode : NULL, err);
    if (result == 0)
        result = put_in_place(&file, op, err);
    discard(&file);
    return result;
}

int ctz_files_write(const char *path, const struct ctz_writing *writing, const struct ctz_op *op,
                    struct ctz_error *err)
{
    struct stat facts;
    bool exists = stat(path, &facts) == 0;
    if (exists && S_ISDIR(facts.st_mode))
        return ctz_files_fail(err, EISDIR, path);
    struct stat link;
    bool is_link = lstat(path, &link) == 0 && S_ISLNK(link.st_mode);
    if (writing->in_place || (exists && !S_ISREG(facts.st_mode)) || (is_link && !exists))
        return write_in_place(path, writing, op, err);
    if (!is_link)
        return write_new(path, exists ? &facts : NULL, writing, op, err);
    char *target = realpath(path, NULL); // the file is replaced, not the link to it
    if (!target)
        return ctz_files_fail(err, errno, path);
    int result = write_new(target, &facts, writing, op, err);
    free(target);
    return result;
}

int ctz_files_append(const char *path, const char *bytes, size_t size, struct ctz_error *err)
{
    int fault = CTZ_FAULT("open");
    int flags = O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    int fd = fault ? -1 : open(path, flags, 0666);
    if (fd < 0)
        return ctz_files_fail(err, fault ? fault : errno, path);
    struct stat before = {0};
    bool is_regular = fstat(fd, &before) == 0 && S_ISREG(before.st_mode);
    int result = ctz_files_write_all(fd, path, bytes, size, NULL, err);
    if (result < 0 && is_regular && ftruncate(fd, before.st_size) != 0)
        errno = 0; // the error that is told is the first one
    if (close(fd) != 0 && result == 0)
        result = ctz_files_fail(err, errno, path);
    return result;
}

// --- copying -----------------------------------------------------------------------------------

static int copy_blocks(int from, int to, const char *path, const struct ctz_op *op,
                       struct ctz_error *err)
{
    char *block = ctz_malloc(BLOCK_BYTES);
    int result = block ? 0 : no_memory(err, path);
    while (result == 0) {
        ssize_t size = read(from, block, BLOCK_BYTES);
        if (size == 0)
            break;
        if (size < 0 && errno != EINTR)
            result = ctz_files_fail(err, errno, path);
        else if (size > 0)
            result = ctz_files_write_all(to, path, block, (size_t)size, op, err);
    }
    ctz_free(block);
    return result;
}

// By the kernel where it can, and where it shares blocks nothing is copied at all.
static int copy_bytes(int from, int to, const char *path, const struct ctz_op *op,
                      struct ctz_error *err)
{
    bool has_begun = false;
    for (;;) {
        ssize_t size = copy_file_range(from, NULL, to, NULL, 4 * SLICE_BYTES, 0);
        if (ctz_files_given_up(op, err) < 0)
            return -1;
        if (size > 0) {
            has_begun = true;
        } else if (size == 0 && has_begun) {
            return 0;
        } else if (size < 0 && errno == ENOSPC) {
            return ctz_files_fail(err, errno, path);
        } else if (size == 0 || errno != EINTR) { // also files of /proc, which seem empty to it
            return copy_blocks(from, to, path, op, err);
        }
    }
}

static int copy_private(int from, const char *to, mode_t mode, const struct ctz_op *op,
                        struct ctz_error *err)
{
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return ctz_files_fail(err, errno, to);
    int result = copy_bytes(from, fd, to, op, err);
    if (result == 0 && fchmod(fd, mode) != 0)
        result = ctz_files_fail(err, errno, to);
    if (close(fd) != 0 && result == 0)
        result = ctz_files_fail(err, errno, to);
    return result;
}

static int copy_new(int from, const char *to, mode_t mode, const struct ctz_op *op,
                    struct ctz_error *err)
{
    struct new_file file;
    int result = open_new(&file, to, err);
    if (result == 0)
        result = copy_bytes(from, file.fd, to, op, err);
    if (result == 0)
        result = set_facts(&file, NULL, &mode, err);
    if (result == 0)
        result = put_in_place(&file, op, err);
    discard(&file);
    return result;
}

int ctz_files_copy(const char *from, const char *to, bool is_private, const struct ctz_op *op,
                   struct ctz_error *err)
{
    struct stat facts;
    int fd = ctz_files_open(from, &facts, err), result;
    if (fd < 0)
        return -1;
    mode_t mode = facts.st_mode & 0777;
    if (!S_ISREG(facts.st_mode))
        result = ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "%s is not a regular file", from);
    else if (is_private)
        result = copy_private(fd, to, mode, op, err);
    else
        result = copy_new(fd, to, mode, op, err);
    close(fd);
    return result;
}
