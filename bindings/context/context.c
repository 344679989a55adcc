// context.c: a folder or a file as a tar stream: what a build and a copy into a container send.
// Names are sorted, user and group are 0, times and modes are those of the files, hard links are
// links, sockets are left out: the same tree gives the same bytes. SPDX-License-Identifier: MIT
#include "bindings/context/context.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "bindings/context/walk.h"
#include "bindings/image/image.h"
#include "host/alloc.h"
#include "host/limits.h"

#define MAX_PATH_BYTES (1 * CTZ_MIB)
#define PATIENCE_NS    UINT64_C(10000000) // what is there after that long is handed out

// A file with several names: the first of them in the stream.
struct known {
    dev_t device;
    ino_t inode;
    char *path; // owned: in the stream
};

struct ctz_context {
    char *root, *name; // owned
    struct ctz_ignore *ignore;
    struct ctz_regex_room room;
    bool *flags;   // owned: of the entry at hand
    char **always; // owned, as each
    size_t always_count;
    struct ctz_context_extra *extras; // owned, as what they point to
    size_t extra_count, next_extra;
    uint64_t entries, max_entries;
    bool keep_owner, follow;

    struct ctz_walk walk;
    struct known *known; // owned: open addressing
    size_t known_count, known_capacity;
    enum { EXTRAS, ROOT, WALK, TRAILER, DONE } state;

    struct ctz_buffer pending; // headers and padding that are on their way
    size_t pending_at;
    const char *memory; // the content of an extra: `left` bytes
    int file;           // the content of a file: `left` bytes; -1: none
    uint64_t left, content_bytes;
    char *entry_path; // owned: in the stream
};

static int no_memory(struct ctz_context *context, struct ctz_error *err)
{
    return ctz_walk_no_memory(&context->walk, err);
}

static int fail(struct ctz_context *context, int code, struct ctz_error *err)
{
    ctz_walk_fail(&context->walk, code, err);
    if (code == EACCES || code == EPERM)
        ctz_error_hint(err, context->ignore ? "make it readable, or name it in the ignore file"
                                            : "make it readable, or leave it out");
    return -1;
}

static int changed(struct ctz_context *context, const char *how, struct ctz_error *err)
{
    ctz_walk_fail(&context->walk, EIO, err); // for the target
    char *target = err->target ? ctz_strdup(err->target) : NULL;
    ctz_error_set(err, CTZ_ERROR_CONFLICT, "%s %s while it was read",
                  target ? target : context->root, how);
    ctz_error_target(err, target ? target : context->root);
    ctz_error_hint(err, "end or wait for the program that writes to it, or leave the file out");
    ctz_free(target);
    return -1;
}

// --- options -----------------------------------------------------------------------------------

static int copy_extras(struct ctz_context *context, const struct ctz_context_options *options)
{
    context->extras = ctz_calloc(options->extra_count + 1, sizeof *context->extras);
    for (size_t i = 0; context->extras && i < options->extra_count; i++) {
        const struct ctz_context_extra *from = &options->extras[i];
        struct ctz_context_extra *to = &context->extras[context->extra_count++];
        *to = *from;
        to->path = ctz_strdup(from->path);
        to->bytes = ctz_memdup(from->bytes, from->size);
        if (!to->path || !to->bytes)
            return -1;
    }
    return context->extras ? 0 : -1;
}

static int copy_always(struct ctz_context *context, const struct ctz_context_options *options)
{
    context->always = ctz_calloc(options->always_count + 1, sizeof *context->always);
    for (size_t i = 0; context->always && i < options->always_count; i++) {
        context->always[context->always_count] = ctz_strdup(options->always[i]);
        if (!context->always[context->always_count++])
            return -1;
    }
    return context->always ? 0 : -1;
}

static int by_path(const void *left, const void *right)
{
    return strcmp(((const struct ctz_context_extra *)left)->path,
                  ((const struct ctz_context_extra *)right)->path);
}

struct ctz_context *ctz_context_new(const struct ctz_context_options *options)
{
    struct ctz_context *context = ctz_calloc(1, sizeof *context);
    if (!context)
        return NULL;
    context->file = context->walk.fd = -1;
    context->keep_owner = options->keep_owner;
    context->follow = options->follow;
    context->max_entries = options->max_entries;
    context->root = ctz_strdup(options->root);
    context->walk.root = context->root;
    context->name = ctz_strdup(options->name);
    ctz_buffer_init(&context->walk.path, MAX_PATH_BYTES);
    ctz_buffer_init(&context->pending, 4 * MAX_PATH_BYTES);
    if (options->ignore) {
        ctz_ignore_retain(options->ignore);
        context->ignore = options->ignore;
        context->flags = ctz_calloc(options->ignore->count + 1, sizeof *context->flags);
    }
    if (!context->root || !context->name || (context->ignore && !context->flags) ||
        copy_extras(context, options) != 0 || copy_always(context, options) != 0) {
        ctz_context_free(context);
        return NULL;
    }
    if (context->extra_count > 1)
        qsort(context->extras, context->extra_count, sizeof *context->extras, by_path);
    return context;
}

void ctz_context_free(struct ctz_context *context)
{
    if (!context)
        return;
    ctz_walk_clear(&context->walk);
    if (context->file >= 0)
        close(context->file);
    for (size_t i = 0; i < context->extra_count; i++) {
        ctz_free((char *)context->extras[i].path);
        ctz_free((char *)context->extras[i].bytes);
    }
    for (size_t i = 0; i < context->always_count; i++)
        ctz_free(context->always[i]);
    for (size_t i = 0; i < context->known_capacity; i++)
        ctz_free(context->known[i].path);
    ctz_ignore_release(context->ignore);
    ctz_regex_room_clear(&context->room);
    ctz_buffer_clear(&context->pending);
    ctz_free(context->known);
    ctz_free(context->extras);
    ctz_free(context->always);
    ctz_free(context->flags);
    ctz_free(context->entry_path);
    ctz_free(context->name);
    ctz_free(context->root);
    ctz_free(context);
}

uint64_t ctz_context_entries(const struct ctz_context *context)
{
    return context->entries;
}

// --- headers -----------------------------------------------------------------------------------

// The name in the stream of a path below the root.
static char *stream_path(const struct ctz_context *context, const char *path, size_t length)
{
    const char *slash = *context->name && length ? "/" : "";
    return ctz_asprintf("%s%s%.*s", context->name, slash, (int)length, path);
}

static int put_entry(struct ctz_context *context, const struct ctz_tar_entry *entry,
                     struct ctz_error *err)
{
    if (context->entries == context->max_entries) {
        ctz_error_set(err, CTZ_ERROR_SIZE, "%s holds more than %llu files", context->root,
                      (unsigned long long)context->max_entries);
        ctz_error_hint(err, "leave files out, or raise the limit with --limit tar_entries=N");
        return -1;
    }
    context->entries++;
    return ctz_tar_header(&context->pending, entry, err);
}

static struct ctz_tar_entry entry_of(const struct ctz_context *context, const struct stat *facts,
                                     const char *path)
{
    struct ctz_tar_entry entry = {.path = path, .mode = facts->st_mode & 07777};
    entry.mtime_s = facts->st_mtime > 0 ? (uint64_t)facts->st_mtime : 0;
    if (context->keep_owner) {
        entry.uid = facts->st_uid;
        entry.gid = facts->st_gid;
    }
    return entry;
}

static int put_folder(struct ctz_context *context, struct ctz_level *level, struct ctz_error *err)
{
    const char *below = level->path_length ? context->walk.path.bytes : "";
    char *path = stream_path(context, below, level->path_length);
    if (!path)
        return no_memory(context, err);
    struct ctz_tar_entry entry = entry_of(context, &level->facts, path);
    entry.type = CTZ_TAR_DIR;
    level->is_written = true;
    int result = *path ? put_entry(context, &entry, err) : 0;
    ctz_free(path);
    return result;
}

// Folders that were left out come in when something below them does not stay out.
static int put_folders(struct ctz_context *context, struct ctz_level *level, struct ctz_error *err)
{
    if (!level || level->is_written)
        return 0;
    return put_folders(context, level->outer, err) != 0 ? -1 : put_folder(context, level, err);
}

// --- files with several names ------------------------------------------------------------------

static struct known *find_known(struct known *table, size_t capacity, const struct stat *facts)
{
    size_t slot = ((size_t)facts->st_ino * 0x9E3779B97F4A7C15u ^ (size_t)facts->st_dev) % capacity;
    while (table[slot].path &&
           (table[slot].inode != facts->st_ino || table[slot].device != facts->st_dev))
        slot = (slot + 1) % capacity;
    return &table[slot];
}

static int grow_known(struct ctz_context *context)
{
    size_t capacity = context->known_capacity ? 2 * context->known_capacity : 64;
    struct known *table = ctz_calloc(capacity, sizeof *table);
    if (!table)
        return -1;
    for (size_t i = 0; i < context->known_capacity; i++) {
        const struct known *old = &context->known[i];
        struct stat facts = {.st_dev = old->device, .st_ino = old->inode};
        if (old->path)
            *find_known(table, capacity, &facts) = *old;
    }
    ctz_free(context->known);
    context->known = table;
    context->known_capacity = capacity;
    return 0;
}

// Sets *first to the name that the file has in the stream already, else remembers this one.
static int look_up(struct ctz_context *context, const struct stat *facts, const char *path,
                   const char **first, struct ctz_error *err)
{
    if (2 * context->known_count >= context->known_capacity && grow_known(context) != 0)
        return no_memory(context, err);
    struct known *known = find_known(context->known, context->known_capacity, facts);
    *first = known->path;
    if (known->path)
        return 0;
    *known = (struct known){facts->st_dev, facts->st_ino, ctz_strdup(path)};
    if (!known->path)
        return no_memory(context, err);
    context->known_count++;
    return 0;
}

// --- entries -----------------------------------------------------------------------------------

// Takes fd, a regular file.
static int put_file(struct ctz_context *context, int take_fd, const struct stat *facts,
                    struct ctz_error *err)
{
    struct ctz_tar_entry entry = entry_of(context, facts, context->entry_path);
    if (facts->st_nlink > 1 && look_up(context, facts, entry.path, &entry.link, err) != 0) {
        close(take_fd);
        return -1;
    }
    entry.type = entry.link ? CTZ_TAR_HARDLINK : CTZ_TAR_FILE;
    entry.size_bytes = entry.link ? 0 : (uint64_t)facts->st_size;
    if (put_entry(context, &entry, err) != 0 || entry.link) {
        close(take_fd);
        return entry.link && !err->kind ? 0 : -1;
    }
    context->file = take_fd;
    context->left = context->content_bytes = entry.size_bytes;
    return 0;
}

static int put_symlink(struct ctz_context *context, int folder, const char *name,
                       const struct stat *facts, struct ctz_error *err)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder, name, target, sizeof target - 1);
    if (length < 0)
        return fail(context, errno, err);
    target[length] = '\0';
    struct ctz_tar_entry entry = entry_of(context, facts, context->entry_path);
    entry.type = CTZ_TAR_SYMLINK;
    entry.link = target;
    return put_entry(context, &entry, err);
}

static int put_special(struct ctz_context *context, const struct stat *facts, struct ctz_error *err)
{
    struct ctz_tar_entry entry = entry_of(context, facts, context->entry_path);
    entry.type = S_ISFIFO(facts->st_mode)  ? CTZ_TAR_FIFO
                 : S_ISCHR(facts->st_mode) ? CTZ_TAR_CHARACTER
                                           : CTZ_TAR_BLOCK_DEVICE;
    if (entry.type != CTZ_TAR_FIFO) {
        entry.major = major(facts->st_rdev);
        entry.minor = minor(facts->st_rdev);
    }
    return S_ISSOCK(facts->st_mode) ? 0 : put_entry(context, &entry, err);
}

// 1: it is a regular file and open; 0: it is something else; -1.
static int open_regular(struct ctz_context *context, int folder, const char *name,
                        struct stat *facts, int *fd, struct ctz_error *err)
{
    int fault = CTZ_FAULT("open");
    *fd = fault ? -1
                : openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    int code = fault ? fault : errno;
    if (*fd < 0)
        return code == ELOOP || code == ENXIO ? 0 : fail(context, code, err);
    if (fstat(*fd, facts) == 0 && S_ISREG(facts->st_mode))
        return 1;
    close(*fd);
    return 0;
}

// A file, a link or a special file; `name` in the open folder or a path.
static int put_other(struct ctz_context *context, int folder, const char *name, unsigned char type,
                     struct ctz_error *err)
{
    struct stat facts;
    int fd;
    if (type == DT_SOCK)
        return 0;
    int is_open = type == DT_REG ? open_regular(context, folder, name, &facts, &fd, err) : 0;
    if (!is_open) {
        if (fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0)
            return errno == ENOENT ? 0 : fail(context, errno, err); // gone again
        if (S_ISREG(facts.st_mode))
            is_open = open_regular(context, folder, name, &facts, &fd, err);
    }
    if (is_open < 0 && err->code && strcmp(err->code, "ENOENT") == 0) {
        ctz_error_clear(err);
        return 0;
    }
    if (is_open < 0)
        return -1;
    if (put_folders(context, context->walk.level, err) != 0) {
        if (is_open)
            close(fd);
        return -1;
    }
    if (is_open)
        return put_file(context, fd, &facts, err);
    return S_ISLNK(facts.st_mode) ? put_symlink(context, folder, name, &facts, err)
                                  : put_special(context, &facts, err);
}

// --- what is left out --------------------------------------------------------------------------

static bool is_extra(const struct ctz_context *context, const char *path)
{
    const struct ctz_context_extra key = {.path = path};
    return context->extra_count &&
           bsearch(&key, context->extras, context->extra_count, sizeof *context->extras, by_path);
}

// Is the path one of those that are always sent, or (below) a folder above one?
static bool is_always(const struct ctz_context *context, const char *path, bool below)
{
    size_t length = strlen(path);
    for (size_t i = 0; i < context->always_count; i++) {
        const char *one = context->always[i];
        if (strncmp(one, path, length) == 0 && one[length] == (below ? '/' : '\0'))
            return true;
    }
    return false;
}

// 1: the entry at hand is left out; -1: no memory.
static int is_ignored(struct ctz_context *context, struct ctz_error *err)
{
    if (!context->ignore)
        return 0;
    const char *path = context->walk.path.bytes;
    const struct ctz_level *level = context->walk.level;
    int ignored = ctz_ignore_step(context->ignore, &context->room, path,
                                  level->outer ? level->flags : NULL, context->flags);
    if (ignored < 0)
        return no_memory(context, err);
    return ignored && !is_always(context, path, false);
}

// Must a folder that is left out be read all the same?
static int looks_below(struct ctz_context *context, struct ctz_error *err)
{
    const char *path = context->walk.path.bytes;
    if (is_always(context, path, true))
        return 1;
    int looks = ctz_ignore_looks_below(context->ignore, &context->room, path);
    return looks < 0 ? no_memory(context, err) : looks;
}

static int enter(struct ctz_context *context, int take_fd, bool ignored, struct ctz_error *err)
{
    if (ctz_walk_enter(&context->walk, take_fd, err) != 0)
        return -1;
    struct ctz_level *level = context->walk.level;
    if (context->ignore) {
        level->flags = (bool *)ctz_memdup(context->flags, context->ignore->count);
        if (!level->flags)
            return no_memory(context, err);
    }
    return ignored ? 0 : put_folders(context, level, err);
}

static int put_directory(struct ctz_context *context, const char *name, bool ignored,
                         struct ctz_error *err)
{
    if (ignored) {
        int looks = looks_below(context, err);
        if (looks <= 0)
            return looks;
    }
    int fault = CTZ_FAULT("open");
    int fd = fault
                 ? -1
                 : openat(context->walk.fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0)
        return enter(context, fd, ignored, err);
    int code = fault ? fault : errno;
    if (code == ENOENT || (ignored && code == EACCES))
        return 0;
    return fail(context, code, err);
}

static int put_next(struct ctz_context *context, struct ctz_error *err)
{
    struct ctz_walk *walk = &context->walk;
    const struct ctz_level_name *found = ctz_walk_name(walk);
    if (!found) {
        if (ctz_walk_leave(walk, err) != 0)
            return -1;
        context->state = walk->level ? WALK : TRAILER;
        return 0;
    }
    if (walk->path.failed)
        return no_memory(context, err);
    if (is_extra(context, walk->path.bytes))
        return 0;
    const char *name = walk->level->text.bytes + found->at;
    unsigned char type = found->type;
    struct stat facts;
    if (type == DT_UNKNOWN && fstatat(walk->fd, name, &facts, AT_SYMLINK_NOFOLLOW) == 0)
        type = (unsigned char)IFTODT(facts.st_mode);
    int ignored = is_ignored(context, err);
    if (ignored < 0)
        return -1;
    if (type == DT_DIR)
        return put_directory(context, name, ignored, err);
    if (ignored)
        return 0;
    ctz_free(context->entry_path);
    context->entry_path = stream_path(context, walk->path.bytes, walk->path.length);
    return context->entry_path ? put_other(context, walk->fd, name, type, err)
                               : no_memory(context, err);
}

// --- the root ----------------------------------------------------------------------------------

static int put_root_file(struct ctz_context *context, struct ctz_error *err)
{
    context->state = TRAILER;
    if (!*context->name)
        return ctz_error_set(err, CTZ_ERROR_USAGE, "%s is not a folder", context->root);
    ctz_free(context->entry_path);
    context->entry_path = ctz_strdup(context->name);
    return context->entry_path ? 0 : no_memory(context, err);
}

static int put_root(struct ctz_context *context, struct ctz_error *err)
{
    struct stat facts;
    int flags = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC | (context->follow ? 0 : O_NOFOLLOW);
    int fault = CTZ_FAULT("open"), fd = fault ? -1 : open(context->root, flags);
    if (fd < 0 && !fault && errno == ELOOP && !context->follow) // a link that is meant itself
        return put_root_file(context, err) != 0
                   ? -1
                   : put_other(context, AT_FDCWD, context->root, DT_LNK, err);
    if (fd < 0)
        return fail(context, fault ? fault : errno, err);
    if (fstat(fd, &facts) == 0 && S_ISDIR(facts.st_mode)) {
        context->state = WALK;
        return enter(context, fd, false, err);
    }
    if (!S_ISREG(facts.st_mode)) {
        close(fd);
        ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "%s is neither a file nor a folder",
                      context->root);
        ctz_error_target(err, context->root);
        return -1;
    }
    if (put_root_file(context, err) == 0)
        return put_file(context, fd, &facts, err);
    close(fd);
    return -1;
}

static int put_extra(struct ctz_context *context, struct ctz_error *err)
{
    if (context->next_extra == context->extra_count) {
        context->state = *context->root ? ROOT : TRAILER;
        return 0;
    }
    const struct ctz_context_extra *extra = &context->extras[context->next_extra++];
    char *path = stream_path(context, extra->path, strlen(extra->path));
    if (!path)
        return no_memory(context, err);
    struct ctz_tar_entry entry = {
        .path = path, .size_bytes = extra->size, .mode = extra->mode, .type = CTZ_TAR_FILE};
    int result = put_entry(context, &entry, err);
    ctz_free(path);
    context->memory = extra->bytes;
    context->left = context->content_bytes = extra->size;
    return result;
}

// --- the stream --------------------------------------------------------------------------------

static int put_padding(struct ctz_context *context, size_t size, struct ctz_error *err)
{
    static const char zeros[2 * CTZ_TAR_BLOCK];
    return ctz_buffer_append(&context->pending, zeros, size) == 0 ? 0 : no_memory(context, err);
}

static int end_content(struct ctz_context *context, struct ctz_error *err)
{
    char more;
    bool grew = context->file >= 0 && read(context->file, &more, 1) > 0;
    if (context->file >= 0)
        close(context->file);
    context->file = -1;
    context->memory = NULL;
    if (put_padding(context, ctz_tar_padding(context->content_bytes), err) != 0)
        return -1;
    return grew ? changed(context, "grew", err) : 0;
}

// Moves content of a file or of memory to out; the number of bytes, or -1.
static ssize_t take_content(struct ctz_context *context, char *out, size_t size,
                            struct ctz_error *err)
{
    if (size > context->left)
        size = (size_t)context->left;
    if (context->memory) {
        memcpy(out, context->memory, size);
        context->memory += size;
        context->left -= size;
        return (ssize_t)size;
    }
    ssize_t taken;
    int fault;
    do {
        fault = CTZ_FAULT("read");
        taken = fault ? -1 : read(context->file, out, size);
    } while (taken < 0 && (fault ? fault : errno) == EINTR);
    if (taken < 0)
        return fail(context, fault ? fault : errno, err);
    if (taken == 0)
        return changed(context, "shrank", err);
    context->left -= (uint64_t)taken;
    return taken;
}

static int put_more(struct ctz_context *context, struct ctz_error *err)
{
    switch (context->state) {
    case EXTRAS:
        return put_extra(context, err);
    case ROOT:
        return put_root(context, err);
    case WALK:
        return put_next(context, err);
    case TRAILER:
        context->state = DONE;
        return put_padding(context, 2 * CTZ_TAR_BLOCK, err);
    default:
        return 0;
    }
}

static size_t take_pending(struct ctz_context *context, char *out, size_t size)
{
    size_t there = context->pending.length - context->pending_at;
    size = size < there ? size : there;
    memcpy(out, context->pending.bytes + context->pending_at, size);
    context->pending_at += size;
    if (context->pending_at == context->pending.length)
        context->pending.length = context->pending_at = 0;
    return size;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int ctz_context_read(struct ctz_context *context, char *out, size_t size, size_t *filled,
                     bool (*stop)(void *owner), void *owner, struct ctz_error *err)
{
    uint64_t due = now_ns() + PATIENCE_NS;
    *filled = 0;
    while (*filled < size) {
        if (stop && stop(owner))
            return ctz_error_set(err, CTZ_ERROR_CANCELLED, "read %s: cancelled", context->root);
        bool has_content = context->memory || context->file >= 0;
        if (context->pending.length) {
            *filled += take_pending(context, out + *filled, size - *filled);
        } else if (has_content && context->left) {
            ssize_t taken = take_content(context, out + *filled, size - *filled, err);
            if (taken < 0)
                return -1;
            *filled += (size_t)taken;
        } else if (has_content) {
            if (end_content(context, err) != 0)
                return -1;
        } else if (context->state == DONE || (*filled > 0 && now_ns() > due)) {
            break;
        } else if (put_more(context, err) != 0) {
            return -1;
        }
    }
    return 0;
}
