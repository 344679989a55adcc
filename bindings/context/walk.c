// walk.c: the names of folders in the order of their bytes, from the top down, with one descriptor.
// SPDX-License-Identifier: MIT
#include "bindings/context/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/alloc.h"

int ctz_walk_no_memory(struct ctz_walk *walk, struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "read %s: out of memory", walk->root);
}

int ctz_walk_fail(struct ctz_walk *walk, int error_number, struct ctz_error *err)
{
    const char *path = walk->path.length ? walk->path.bytes : "";
    const char *slash = *path && walk->root[strlen(walk->root) - 1] != '/' ? "/" : "";
    char *full = ctz_asprintf("%s%s%s", walk->root, slash, path);
    ctz_error_system(err, error_number, "read %s", full ? full : walk->root);
    ctz_error_target(err, full ? full : walk->root);
    ctz_free(full);
    return -1;
}

// --- a level -----------------------------------------------------------------------------------

static void free_level(struct ctz_level *level)
{
    ctz_buffer_clear(&level->text);
    ctz_free(level->names);
    ctz_free(level->flags);
    ctz_free(level);
}

static int add_name(struct ctz_level *level, const char *name, unsigned char type)
{
    if (level->count == level->capacity) {
        size_t capacity = level->capacity ? 2 * level->capacity : 32;
        struct ctz_level_name *names = ctz_realloc(level->names, capacity * sizeof *names);
        if (!names)
            return -1;
        level->names = names;
        level->capacity = capacity;
    }
    struct ctz_level_name *added = &level->names[level->count++];
    *added = (struct ctz_level_name){.at = (uint32_t)level->text.length, .type = type};
    return ctz_buffer_append(&level->text, name, strlen(name) + 1);
}

static int by_name(const void *left, const void *right, void *text)
{
    return strcmp((const char *)text + ((const struct ctz_level_name *)left)->at,
                  (const char *)text + ((const struct ctz_level_name *)right)->at);
}

static int read_names(struct ctz_walk *walk, DIR *stream, struct ctz_error *err)
{
    struct ctz_level *level = walk->level;
    for (;;) {
        errno = CTZ_FAULT("readdir");
        const struct dirent *entry = errno ? NULL : readdir(stream);
        if (!entry && errno)
            return ctz_walk_fail(walk, errno, err);
        if (!entry)
            break;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (add_name(level, entry->d_name, entry->d_type) != 0)
            return ctz_walk_no_memory(walk, err);
    }
    if (level->count > 1)
        qsort_r(level->names, level->count, sizeof *level->names, by_name, level->text.bytes);
    return 0;
}

static int list(struct ctz_walk *walk, struct ctz_error *err)
{
    if (fstat(walk->fd, &walk->level->facts) != 0)
        return ctz_walk_fail(walk, errno, err);
    int copy = fcntl(walk->fd, F_DUPFD_CLOEXEC, 0); // closedir closes it
    DIR *stream = copy < 0 ? NULL : fdopendir(copy);
    if (!stream) {
        int code = errno;
        if (copy >= 0)
            close(copy);
        return ctz_walk_fail(walk, code, err);
    }
    int result = read_names(walk, stream, err);
    closedir(stream);
    return result;
}

// --- the walk ----------------------------------------------------------------------------------

int ctz_walk_enter(struct ctz_walk *walk, int take_fd, struct ctz_error *err)
{
    struct ctz_level *level = ctz_calloc(1, sizeof *level);
    if (!level) {
        close(take_fd);
        return ctz_walk_no_memory(walk, err);
    }
    ctz_buffer_init(&level->text, UINT32_MAX);
    level->path_length = walk->path.length;
    level->outer = walk->level;
    walk->level = level;
    if (walk->fd >= 0)
        close(walk->fd);
    walk->fd = take_fd;
    return list(walk, err);
}

int ctz_walk_leave(struct ctz_walk *walk, struct ctz_error *err)
{
    struct ctz_level *left = walk->level;
    struct stat facts;
    walk->path.length = left->path_length;
    if (walk->path.bytes)
        walk->path.bytes[walk->path.length] = '\0';
    walk->level = left->outer;
    free_level(left);
    if (!walk->level) {
        close(walk->fd);
        walk->fd = -1;
        return 0;
    }
    int fd = openat(walk->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ctz_walk_fail(walk, errno, err);
    close(walk->fd);
    walk->fd = fd;
    if (fstat(fd, &facts) != 0)
        return ctz_walk_fail(walk, errno, err);
    if (facts.st_dev == walk->level->facts.st_dev && facts.st_ino == walk->level->facts.st_ino)
        return 0;
    return ctz_error_set(err, CTZ_ERROR_CONFLICT, "%s/%.*s was moved while it was read", walk->root,
                         (int)walk->path.length, walk->path.bytes);
}

const struct ctz_level_name *ctz_walk_name(struct ctz_walk *walk)
{
    struct ctz_level *level = walk->level;
    if (level->next == level->count)
        return NULL;
    const struct ctz_level_name *name = &level->names[level->next++];
    walk->path.length = level->path_length;
    if (level->path_length)
        ctz_buffer_byte(&walk->path, '/');
    ctz_buffer_text(&walk->path, level->text.bytes + name->at);
    return name;
}

void ctz_walk_clear(struct ctz_walk *walk)
{
    while (walk->level) {
        struct ctz_level *level = walk->level;
        walk->level = level->outer;
        free_level(level);
    }
    if (walk->fd >= 0)
        close(walk->fd);
    walk->fd = -1;
    ctz_buffer_clear(&walk->path);
}
