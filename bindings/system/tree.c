// tree.c: folders and what is below them: listed, walked, removed, copied, moved.
// SPDX-License-Identifier: MIT
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/system/files.h"
#include "host/alloc.h"

static int no_memory(struct ctz_error *err, const char *path)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "%s: out of memory", path);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

// --- names -------------------------------------------------------------------------------------

int ctz_names_add(struct ctz_names *names, char *take_name)
{
    if (take_name && names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 16;
        char **list = ctz_realloc(names->list, capacity * sizeof *list);
        if (list) {
            names->list = list;
            names->capacity = capacity;
        }
    }
    if (!take_name || names->count == names->capacity) {
        ctz_free(take_name);
        return -1;
    }
    names->list[names->count++] = take_name;
    return 0;
}

void ctz_names_clear(struct ctz_names *names)
{
    for (size_t i = 0; i < names->count; i++)
        ctz_free(names->list[i]);
    ctz_free(names->list);
    memset(names, 0, sizeof *names);
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void ctz_names_sort(struct ctz_names *names)
{
    if (names->count > 1)
        qsort(names->list, names->count, sizeof *names->list, compare);
}

static int read_entries(DIR *directory, const char *path, struct ctz_names *names,
                        struct ctz_error *err)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(directory);
        if (!entry)
            return errno ? ctz_files_fail(err, errno, path) : 0;
        if (!is_dots(entry->d_name) && ctz_names_add(names, ctz_strdup(entry->d_name)) < 0)
            return no_memory(err, path);
    }
}

int ctz_names_read(struct ctz_names *names, const char *path, struct ctz_error *err)
{
    int fault = CTZ_FAULT("open");
    DIR *directory = fault ? NULL : opendir(path);
    if (!directory)
        return ctz_files_fail(err, fault ? fault : errno, path);
    int result = read_entries(directory, path, names, err);
    closedir(directory);
    ctz_names_sort(names);
    return result;
}

// --- walking -----------------------------------------------------------------------------------

// A folder whose names are being visited.
struct frame {
    struct frame *outer;
    char *path; // owned
    struct ctz_names names;
    size_t next;
};

struct ctz_walk {
    struct frame *frame; // the innermost
    char *enter;         // owned: the folder visited last, to be read next
    int depth, most;     // of the frame; INT_MAX
};

struct ctz_walk *ctz_walk_new(const char *root, int depth)
{
    struct ctz_walk *walk = ctz_calloc(1, sizeof *walk);
    if (!walk)
        return NULL;
    walk->most = depth;
    walk->enter = ctz_strdup(root);
    if (!walk->enter) {
        ctz_free(walk);
        return NULL;
    }
    return walk;
}

static void leave_frame(struct ctz_walk *walk)
{
    struct frame *frame = walk->frame;
    walk->frame = frame->outer;
    walk->depth--;
    ctz_names_clear(&frame->names);
    ctz_free(frame->path);
    ctz_free(frame);
}

void ctz_walk_free(struct ctz_walk *walk)
{
    if (!walk)
        return;
    while (walk->frame)
        leave_frame(walk);
    ctz_free(walk->enter);
    ctz_free(walk);
}

static int enter_frame(struct ctz_walk *walk, struct ctz_error *err)
{
    struct frame *frame = ctz_calloc(1, sizeof *frame);
    if (!frame)
        return no_memory(err, walk->enter);
    frame->path = walk->enter;
    walk->enter = NULL;
    frame->outer = walk->frame;
    walk->frame = frame;
    walk->depth++;
    return ctz_names_read(&frame->names, frame->path, err);
}

int ctz_walk_next(struct ctz_walk *walk, char **path, struct stat *facts, struct ctz_error *err)
{
    for (;;) {
        if (walk->enter && enter_frame(walk, err) < 0)
            return -1;
        struct frame *frame = walk->frame;
        if (!frame)
            return 0;
        if (frame->next == frame->names.count) {
            leave_frame(walk);
            continue;
        }
        *path = ctz_files_join(frame->path, frame->names.list[frame->next++]);
        if (!*path)
            return no_memory(err, frame->path);
        if (lstat(*path, facts) == 0)
            break;
        int code = errno;
        int result = code == ENOENT ? 0 : ctz_files_fail(err, code, *path);
        ctz_free(*path);
        if (result < 0)
            return -1;
    }
    if (S_ISDIR(facts->st_mode) && walk->depth < walk->most && !(walk->enter = ctz_strdup(*path))) {
        ctz_free(*path);
        return no_memory(err, walk->frame->path);
    }
    return 1;
}

// --- making ------------------------------------------------------------------------------------

// Another may make it at the same time; what counts is that a folder stands there.
static int make_parent(const char *path, struct ctz_error *err)
{
    struct stat facts;
    if (mkdir(path, 0777) == 0)
        return 0;
    int code = errno;
    bool exists = stat(path, &facts) == 0;
    if (exists && S_ISDIR(facts.st_mode))
        return 0;
    return ctz_files_fail(err, exists ? ENOTDIR : code, path);
}

int ctz_files_mkdir(const char *path, mode_t mode, bool parents, struct ctz_error *err)
{
    struct stat facts;
    char *part = ctz_strdup(path);
    int result = part ? 0 : no_memory(err, path);
    for (char *slash = part; parents && result == 0 && (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        result = make_parent(part, err);
        *slash = '/';
        slash += strspn(slash, "/") - 1;
    }
    ctz_free(part);
    if (result < 0 || mkdir(path, mode) == 0)
        return result;
    int code = errno;
    if (parents && code == EEXIST && stat(path, &facts) == 0 && S_ISDIR(facts.st_mode))
        return 0;
    return ctz_files_fail(err, code, path);
}

// --- removing ----------------------------------------------------------------------------------
//
// One directory is open at a time, so that any depth works with few descriptors; going back up
// through ".." is checked against what was recorded on the way down.

struct level {
    struct level *outer;
    dev_t device;
    ino_t inode;
    char *name;             // owned: in the outer level
    struct ctz_names below; // directories not yet removed
};

struct removal {
    const char *path;
    struct level *level;
    int fd; // the directory of the level
    const struct ctz_op *op;
    struct ctz_error *err;
};

static int fail_at(struct removal *removal, int code, const char *name)
{
    ctz_files_fail(removal->err, code, name);
    return ctz_error_wrap(removal->err, "%s", removal->path);
}

static void drop_level(struct removal *removal)
{
    struct level *level = removal->level;
    removal->level = level->outer;
    ctz_names_clear(&level->below);
    ctz_free(level->name);
    ctz_free(level);
}

static bool is_directory(int folder, const char *name)
{
    struct stat facts;
    return fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(facts.st_mode);
}

// Unlinks all that is not a directory and keeps the names of those that are.
static int clear_files(struct removal *removal)
{
    int fd = fcntl(removal->fd, F_DUPFD_CLOEXEC, 3);
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    if (!directory) {
        int code = errno;
        if (fd >= 0)
            close(fd);
        return fail_at(removal, code, removal->level->name);
    }
    int result = 0;
    for (struct dirent *entry; result == 0 && (entry = readdir(directory));) {
        const char *name = entry->d_name;
        if (is_dots(name))
            continue;
        int code = unlinkat(removal->fd, name, 0) == 0 ? 0 : errno;
        if (code == 0 || code == ENOENT)
            result = ctz_files_given_up(removal->op, removal->err);
        else if (code != EISDIR && !is_directory(removal->fd, name))
            result = fail_at(removal, code, name);
        else if (ctz_names_add(&removal->level->below, ctz_strdup(name)) < 0)
            result = no_memory(removal->err, removal->path);
    }
    closedir(directory);
    return result;
}

// Opens the directory `name` in the one that is open (AT_FDCWD: none is), which is closed.
static int descend(struct removal *removal, const char *name)
{
    struct level *level = ctz_calloc(1, sizeof *level);
    struct stat facts;
    if (!level || !(level->name = ctz_strdup(name))) {
        ctz_free(level);
        return no_memory(removal->err, removal->path);
    }
    level->outer = removal->level;
    removal->level = level;
    int fd = openat(removal->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        int code = errno;
        if (fd >= 0)
            close(fd);
        return fail_at(removal, code, name);
    }
    level->device = facts.st_dev;
    level->inode = facts.st_ino;
    if (removal->fd >= 0)
        close(removal->fd);
    removal->fd = fd;
    return clear_files(removal);
}

// Back to the outer level, where the directory that is empty now is removed.
static int ascend(struct removal *removal)
{
    struct level *outer = removal->level->outer;
    struct stat facts;
    int fd = openat(removal->fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        int code = errno;
        if (fd >= 0)
            close(fd);
        return fail_at(removal, code, removal->level->name);
    }
    close(removal->fd);
    removal->fd = fd;
    if (facts.st_dev != outer->device || facts.st_ino != outer->inode)
        return ctz_error_set(removal->err, CTZ_ERROR_CONFLICT,
                             "%s: a folder was moved while it was being removed", removal->path);
    if (unlinkat(fd, removal->level->name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        return fail_at(removal, errno, removal->level->name);
    drop_level(removal);
    return 0;
}

static int remove_below(struct removal *removal)
{
    if (descend(removal, removal->path) < 0)
        return -1;
    for (;;) {
        struct ctz_names *below = &removal->level->below;
        if (ctz_files_given_up(removal->op, removal->err) < 0)
            return -1;
        if (below->count > 0) {
            char *name = below->list[--below->count];
            int result = descend(removal, name);
            ctz_free(name);
            if (result < 0)
                return -1;
        } else if (!removal->level->outer) {
            return 0;
        } else if (ascend(removal) < 0) {
            return -1;
        }
    }
}

static int remove_tree(const char *path, const struct ctz_op *op, struct ctz_error *err)
{
    struct removal removal = {.path = path, .fd = AT_FDCWD, .op = op, .err = err};
    int result = remove_below(&removal);
    if (removal.fd >= 0)
        close(removal.fd);
    while (removal.level)
        drop_level(&removal);
    if (result == 0 && rmdir(path) != 0)
        result = ctz_files_fail(err, errno, path);
    return result;
}

int ctz_files_remove(const char *path, bool recursive, const struct ctz_op *op,
                     struct ctz_error *err)
{
    struct stat facts;
    if (lstat(path, &facts) != 0)
        return ctz_files_fail(err, errno, path);
    int fault = CTZ_FAULT("unlink");
    if (fault)
        return ctz_files_fail(err, fault, path);
    if (!S_ISDIR(facts.st_mode))
        return unlink(path) == 0 ? 0 : ctz_files_fail(err, errno, path);
    if (recursive)
        return remove_tree(path, op, err);
    if (rmdir(path) == 0)
        return 0;
    int code = errno;
    ctz_files_fail(err, code, path);
    if (code == ENOTEMPTY || code == EEXIST)
        ctz_error_hint(err, "recursive=true removes all that is in it");
    return -1;
}

// --- copying -----------------------------------------------------------------------------------

// Folders get their own mode at the end: one without write permission could not be filled.
struct copy {
    const char *from, *to; // roots; to is the temporary one
    const struct ctz_op *op;
    struct ctz_error *err;
};

static int copy_link(const char *from, const char *to, struct ctz_error *err)
{
    char target[PATH_MAX];
    ssize_t size = readlink(from, target, sizeof target - 1);
    if (size < 0)
        return ctz_files_fail(err, errno, from);
    target[size] = '\0';
    return symlink(target, to) == 0 ? 0 : ctz_files_fail(err, errno, to);
}

static int copy_entry(struct copy *copy, const char *from, const struct stat *facts)
{
    char *to = ctz_asprintf("%s%s", copy->to, from + strlen(copy->from));
    int result;
    if (!to)
        return no_memory(copy->err, from);
    if (S_ISDIR(facts->st_mode))
        result = mkdir(to, 0700) == 0 ? 0 : ctz_files_fail(copy->err, errno, to);
    else if (S_ISLNK(facts->st_mode))
        result = copy_link(from, to, copy->err);
    else
        result = ctz_files_copy(from, to, true, copy->op, copy->err);
    ctz_free(to);
    return result;
}

static int set_mode(struct copy *copy, const char *from, const struct stat *facts)
{
    if (!S_ISDIR(facts->st_mode))
        return 0;
    char *to = ctz_asprintf("%s%s", copy->to, from + strlen(copy->from));
    if (!to)
        return no_memory(copy->err, from);
    int result = chmod(to, facts->st_mode & 07777) == 0 ? 0 : ctz_files_fail(copy->err, errno, to);
    ctz_free(to);
    return result;
}

static int for_each(struct copy *copy,
                    int (*visit)(struct copy *copy, const char *from, const struct stat *facts))
{
    struct ctz_walk *walk = ctz_walk_new(copy->from, INT_MAX);
    int more = walk ? 1 : no_memory(copy->err, copy->from);
    while (more > 0) {
        char *path = NULL;
        struct stat facts;
        more = ctz_walk_next(walk, &path, &facts, copy->err);
        if (more <= 0)
            break;
        if (visit(copy, path, &facts) < 0 || ctz_files_given_up(copy->op, copy->err) < 0)
            more = -1;
        ctz_free(path);
    }
    ctz_walk_free(walk);
    return more;
}

static int fill(struct copy *copy, const struct stat *facts)
{
    if (for_each(copy, copy_entry) < 0 || for_each(copy, set_mode) < 0)
        return -1;
    return chmod(copy->to, facts->st_mode & 07777) == 0
               ? 0
               : ctz_files_fail(copy->err, errno, copy->to);
}

// Would the copy lie in what is copied?
static bool is_inside(const char *from, const char *folder)
{
    char *outer = realpath(from, NULL), *inner = realpath(folder, NULL);
    size_t length = outer ? strlen(outer) : 0;
    bool inside = outer && inner && strncmp(outer, inner, length) == 0 &&
                  (inner[length] == '/' || inner[length] == '\0' || length == 1);
    free(outer);
    free(inner);
    return inside;
}

static int copy_to_temporary(const char *from, const char *to, const char *temporary,
                             const struct stat *facts, const struct ctz_op *op,
                             struct ctz_error *err)
{
    struct copy copy = {.from = from, .to = temporary, .op = op, .err = err};
    if (fill(&copy, facts) == 0) {
        if (rename(temporary, to) == 0)
            return 0;
        ctz_files_fail(err, errno, to);
    }
    struct ctz_error ignored = {0};
    chmod(temporary, 0700);
    ctz_files_remove(temporary, true, NULL, &ignored);
    ctz_error_clear(&ignored);
    return -1;
}

int ctz_files_copy_tree(const char *from, const char *to, const struct ctz_op *op,
                        struct ctz_error *err)
{
    struct stat facts;
    if (stat(from, &facts) != 0)
        return ctz_files_fail(err, errno, from);
    char *folder = ctz_files_folder(to);
    char *temporary = folder ? ctz_files_join(folder, ".ctz-XXXXXX") : NULL;
    int result = -1;
    if (!temporary)
        no_memory(err, to);
    else if (is_inside(from, folder))
        ctz_error_set(err, CTZ_ERROR_USAGE, "%s cannot be copied into itself, to %s", from, to);
    else if (!mkdtemp(temporary))
        ctz_files_fail(err, errno, folder);
    else
        result = copy_to_temporary(from, to, temporary, &facts, op, err);
    ctz_free(temporary);
    ctz_free(folder);
    return result;
}

// --- moving ------------------------------------------------------------------------------------

int ctz_files_move(const char *from, const char *to, const struct ctz_op *op, struct ctz_error *err)
{
    struct stat facts;
    int fault = CTZ_FAULT("rename");
    if (!fault && rename(from, to) == 0)
        return 0;
    int code = fault ? fault : errno;
    if (code != EXDEV) {
        bool is_from = lstat(from, &facts) != 0;
        return ctz_files_fail(err, code, is_from ? from : to);
    }
    if (lstat(from, &facts) != 0)
        return ctz_files_fail(err, errno, from);
    int result = S_ISDIR(facts.st_mode)   ? ctz_files_copy_tree(from, to, op, err)
                 : S_ISLNK(facts.st_mode) ? copy_link(from, to, err)
                                          : ctz_files_copy(from, to, false, op, err);
    return result < 0 ? -1 : ctz_files_remove(from, true, NULL, err);
}
