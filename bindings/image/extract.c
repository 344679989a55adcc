// extract.c: entries of a tar become files, folders and links below one folder. Every path is
// walked folder by folder from the folder's descriptor, no link on the way is followed; content
// goes to a temporary name first. SPDX-License-Identifier: MIT
#include "bindings/image/extract.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"

#define TEMPORARY_BYTES 32
#define TRIES           8

// Modes and times of folders are set last: they may forbid to write, and writing changes times.
struct folder {
    char *path; // owned
    int64_t mtime_s;
    uint32_t mode, uid, gid;
};

struct ctz_extract {
    struct ctz_extract_options options; // path is owned
    struct ctz_untar untar;
    struct ctz_extract_counts counts;
    int root;               // the folder (of the file); -1: not open yet
    char *parent;           // owned: the folder opened last, below the root
    int parent_fd;          // -1: none
    struct folder *folders; // owned, in the order of the stream
    size_t folder_count, folder_capacity;
    char *file_name; // of the file that is to be: a part of options.path
    bool made_root, has_file;

    // The file that is being written.
    int file;                        // -1: none
    int file_parent;                 // its own descriptor; -1: none
    char *name;                      // owned: what it will be called there
    char temporary[TEMPORARY_BYTES]; // "": none
    struct ctz_untar_entry facts;    // without strings
};

static int fail(const struct ctz_extract *extract, int code, const char *path,
                struct ctz_error *err)
{
    const char *slash = *path && !extract->options.is_file ? "/" : "";
    char *full =
        ctz_asprintf("%s%s%s", extract->options.path, slash, extract->options.is_file ? "" : path);
    const char *shown = full ? full : path;
    ctz_error_system(err, code, "write %s", shown);
    ctz_error_target(err, shown);
    ctz_free(full);
    return -1;
}

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "extract a tar: out of memory");
}

static int escapes(const char *path, const char *how, struct ctz_error *err)
{
    ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the tar holds \"%s\", which %s", path, how);
    ctz_error_target(err, path);
    ctz_error_hint(err, "it was made to write elsewhere, or by a broken program; nothing was");
    return -1;
}

// --- paths -------------------------------------------------------------------------------------

// The next part of a path that is a name; NULL at the end. Its length is *size.
static const char *next_part(const char **path, size_t *size)
{
    for (;;) {
        const char *part = *path + strspn(*path, "/");
        *size = strcspn(part, "/");
        *path = part + *size;
        if (*size == 0)
            return NULL;
        if (*size != 1 || *part != '.')
            return part;
    }
}

// The path without "." and doubled slashes and without its first folders; "" when nothing is left.
// NULL with err set when it goes up.
static char *clean(const struct ctz_extract *extract, const char *path, struct ctz_error *err)
{
    char *out = ctz_malloc(strlen(path) + 1);
    size_t length = 0, size;
    unsigned strip = extract->options.strip;
    const char *rest = path;
    if (!out) {
        no_memory(err);
        return NULL;
    }
    for (const char *part; (part = next_part(&rest, &size));) {
        if (size == 2 && part[0] == '.' && part[1] == '.') {
            ctz_free(out);
            escapes(path, "leads out of the folder", err);
            return NULL;
        }
        if (strip > 0) {
            strip--;
            continue;
        }
        if (length)
            out[length++] = '/';
        memcpy(out + length, part, size);
        length += size;
    }
    out[length] = '\0';
    return out;
}

static int open_below(const struct ctz_extract *extract, int folder, const char *name, bool make,
                      const char *path, struct ctz_error *err)
{
    for (int i = 0; i < 2; i++) {
        int fd = openat(folder, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        if (errno == ENOTDIR || errno == ELOOP)
            return escapes(path, "goes through a link or a file", err);
        if (errno != ENOENT || !make || i > 0)
            return fail(extract, errno, path, err);
        if (mkdirat(folder, name, 0755) != 0 && errno != EEXIST)
            return fail(extract, errno, path, err);
    }
    return -1;
}

// Opens the folder that `length` bytes of path name, which are made when missing. -1 with err set.
static int walk_to(const struct ctz_extract *extract, const char *path, size_t length, bool make,
                   struct ctz_error *err)
{
    int fd = fcntl(extract->root, F_DUPFD_CLOEXEC, 0);
    char *part = ctz_memdup(path, length);
    if (fd < 0 || !part) {
        if (fd >= 0)
            close(fd);
        ctz_free(part);
        return part ? fail(extract, errno, path, err) : no_memory(err);
    }
    for (char *at = part; fd >= 0 && *at;) {
        char *slash = strchr(at, '/');
        if (slash)
            *slash = '\0';
        int next = open_below(extract, fd, at, make, path, err);
        close(fd);
        fd = next;
        at = slash ? slash + 1 : at + strlen(at);
    }
    ctz_free(part);
    return fd;
}

static void forget_parent(struct ctz_extract *extract)
{
    if (extract->parent_fd >= 0)
        close(extract->parent_fd);
    extract->parent_fd = -1;
    ctz_free(extract->parent);
    extract->parent = NULL;
}

// The folder of a clean path; the descriptor stays ours. *name is the rest of the path.
static int open_parent(struct ctz_extract *extract, const char *path, const char **name,
                       struct ctz_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t length = slash ? (size_t)(slash - path) : 0;
    *name = slash ? slash + 1 : path;
    if (extract->parent_fd >= 0 && strlen(extract->parent) == length &&
        memcmp(extract->parent, path, length) == 0)
        return extract->parent_fd;
    forget_parent(extract);
    extract->parent = ctz_memdup(path, length);
    if (!extract->parent)
        return no_memory(err);
    return extract->parent_fd = walk_to(extract, path, length, true, err);
}

// Takes away what stands in an entry's place: anything but a folder that holds something.
static int make_room(struct ctz_extract *extract, int folder, const char *name, const char *path,
                     struct ctz_error *err)
{
    if (unlinkat(folder, name, 0) == 0)
        return 0;
    if (errno == EISDIR || errno == EPERM) {
        forget_parent(extract); // it may be the one; `folder` is a copy then
        if (unlinkat(folder, name, AT_REMOVEDIR) == 0)
            return 0;
    }
    if (errno == ENOTEMPTY || errno == EEXIST) {
        fail(extract, errno, path, err);
        err->kind = CTZ_ERROR_CONFLICT;
        ctz_error_hint(err, "a folder that holds something stands in the place of a file");
        return -1;
    }
    return errno == ENOENT ? 0 : fail(extract, errno, path, err);
}

// --- the begin ---------------------------------------------------------------------------------

static int open_root_of_file(struct ctz_extract *extract, struct ctz_error *err)
{
    const char *path = extract->options.path, *slash = strrchr(path, '/');
    char *folder = slash ? ctz_memdup(path, (size_t)(slash - path) + 1) : ctz_strdup(".");
    if (!folder)
        return no_memory(err);
    extract->file_name = (char *)(slash ? slash + 1 : path);
    extract->root = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ctz_free(folder);
    if (extract->root < 0)
        return fail(extract, errno, "", err);
    struct stat facts;
    if (!*extract->file_name ||
        (fstatat(extract->root, extract->file_name, &facts, AT_SYMLINK_NOFOLLOW) == 0 &&
         S_ISDIR(facts.st_mode)))
        return fail(extract, EISDIR, "", err);
    return 0;
}

static int open_root(struct ctz_extract *extract, struct ctz_error *err)
{
    if (extract->root >= 0)
        return 0;
    if (extract->options.is_file)
        return open_root_of_file(extract, err);
    extract->made_root = mkdir(extract->options.path, 0777) == 0;
    if (!extract->made_root && errno != EEXIST)
        return fail(extract, errno, "", err);
    extract->root = open(extract->options.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return extract->root >= 0 ? 0 : fail(extract, errno, "", err);
}

// --- facts -------------------------------------------------------------------------------------

static mode_t mode_of(const struct ctz_extract *extract, uint32_t mode)
{
    return extract->options.keep_owner ? mode & 07777 : mode & 0777;
}

static void set_times(struct timespec times[2], int64_t mtime_s)
{
    times[0] = times[1] = (struct timespec){.tv_sec = mtime_s};
}

// Of a link or a fifo: there is no descriptor.
static int set_facts_at(struct ctz_extract *extract, int folder, const char *name,
                        const struct ctz_untar_entry *entry, const char *path,
                        struct ctz_error *err)
{
    struct timespec times[2];
    set_times(times, entry->mtime_s);
    if (extract->options.keep_owner &&
        fchownat(folder, name, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(extract, errno, path, err);
    if (utimensat(folder, name, times, AT_SYMLINK_NOFOLLOW) != 0)
        errno = 0; // a time that the file system cannot hold
    return 0;
}

static int set_facts(struct ctz_extract *extract, int fd, const struct folder *facts,
                     const char *path, struct ctz_error *err)
{
    struct timespec times[2];
    set_times(times, facts->mtime_s);
    if (extract->options.keep_owner && fchown(fd, facts->uid, facts->gid) != 0)
        return fail(extract, errno, path, err);
    if (fchmod(fd, mode_of(extract, facts->mode)) != 0)
        return fail(extract, errno, path, err);
    if (futimens(fd, times) != 0)
        errno = 0;
    return 0;
}

// --- files -------------------------------------------------------------------------------------

static int random_name(char name[TEMPORARY_BYTES], struct ctz_error *err)
{
    unsigned long long number;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        return ctz_error_system(err, errno, "make a temporary name");
    snprintf(name, TEMPORARY_BYTES, ".ctz-%016llx", number);
    return 0;
}

static void drop_file(struct ctz_extract *extract)
{
    if (extract->file >= 0)
        close(extract->file);
    if (*extract->temporary)
        unlinkat(extract->file_parent, extract->temporary, 0);
    if (extract->file_parent >= 0)
        close(extract->file_parent);
    ctz_free(extract->name);
    extract->name = NULL;
    extract->file = extract->file_parent = -1;
    *extract->temporary = '\0';
}

static int begin_file(struct ctz_extract *extract, int folder, const char *name,
                      const struct ctz_untar_entry *entry, const char *path, struct ctz_error *err)
{
    extract->facts = *entry;
    extract->facts.path = extract->facts.link = NULL;
    extract->name = ctz_strdup(name);
    extract->file_parent = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    if (!extract->name || extract->file_parent < 0)
        return extract->name ? fail(extract, errno, path, err) : no_memory(err);
    for (int i = 0; i < TRIES; i++) {
        if (random_name(extract->temporary, err) != 0)
            return -1;
        int fault = CTZ_FAULT("open");
        extract->file = fault ? -1
                              : openat(folder, extract->temporary,
                                       O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (extract->file >= 0)
            return 0;
        int code = fault ? fault : errno;
        *extract->temporary = '\0';
        if (code != EEXIST)
            return fail(extract, code, path, err);
    }
    return fail(extract, EEXIST, path, err);
}

static int on_content(void *owner, const char *bytes, size_t size, struct ctz_error *err)
{
    struct ctz_extract *extract = owner;
    extract->counts.bytes += size;
    while (size > 0 && extract->file >= 0) {
        int fault = CTZ_FAULT("write");
        ssize_t written = fault ? -1 : write(extract->file, bytes, size);
        int code = fault ? fault : errno;
        if (written < 0 && code != EINTR)
            return fail(extract, code, extract->name, err);
        bytes += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int put_in_place(struct ctz_extract *extract, const char *name, struct ctz_error *err)
{
    int folder = extract->file_parent;
    for (int i = 0; i < 2; i++) {
        int fault = CTZ_FAULT("rename");
        if (!fault && renameat(folder, extract->temporary, folder, name) == 0) {
            *extract->temporary = '\0';
            return 0;
        }
        int code = fault ? fault : errno;
        bool is_folder = code == EISDIR || code == ENOTEMPTY || code == EEXIST;
        if (!is_folder || i > 0 || extract->options.is_file)
            return fail(extract, code, name, err);
        if (make_room(extract, folder, name, name, err) != 0)
            return -1;
    }
    return -1;
}

static int end_file(void *owner, struct ctz_error *err)
{
    struct ctz_extract *extract = owner;
    const struct ctz_untar_entry *entry = &extract->facts;
    struct folder facts = {
        .mtime_s = entry->mtime_s, .mode = entry->mode, .uid = entry->uid, .gid = entry->gid};
    if (extract->file < 0) // it was skipped
        return 0;
    if (set_facts(extract, extract->file, &facts, extract->name, err) != 0)
        return -1;
    int fault = CTZ_FAULT("fsync");
    if (extract->options.is_file && (fault || fsync(extract->file) != 0))
        return fail(extract, fault ? fault : errno, extract->name, err);
    int fd = extract->file;
    extract->file = -1;
    if (close(fd) != 0)
        return fail(extract, errno, extract->name, err);
    if (extract->options.is_file) // its name comes when all of the stream was good
        return 0;
    int result = put_in_place(extract, extract->name, err);
    drop_file(extract);
    return result;
}

// --- other entries -----------------------------------------------------------------------------

static int keep_folder(struct ctz_extract *extract, const struct ctz_untar_entry *entry,
                       const char *path, struct ctz_error *err)
{
    if (extract->folder_count == extract->folder_capacity) {
        size_t capacity = extract->folder_capacity ? 2 * extract->folder_capacity : 16;
        struct folder *folders = ctz_realloc(extract->folders, capacity * sizeof *folders);
        if (!folders)
            return no_memory(err);
        extract->folders = folders;
        extract->folder_capacity = capacity;
    }
    struct folder *folder = &extract->folders[extract->folder_count];
    *folder = (struct folder){.path = ctz_strdup(path),
                              .mtime_s = entry->mtime_s,
                              .mode = entry->mode,
                              .uid = entry->uid,
                              .gid = entry->gid};
    extract->folder_count += folder->path != NULL;
    return folder->path ? 0 : no_memory(err);
}

static int put_folder(struct ctz_extract *extract, int folder, const char *name,
                      const struct ctz_untar_entry *entry, const char *path, struct ctz_error *err)
{
    struct stat facts;
    if (fstatat(folder, name, &facts, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISDIR(facts.st_mode)) {
        if (make_room(extract, folder, name, path, err) != 0)
            return -1;
        if (mkdirat(folder, name, 0700) != 0)
            return fail(extract, errno, path, err);
    }
    return keep_folder(extract, entry, path, err);
}

static int put_hardlink(struct ctz_extract *extract, int folder, const char *name,
                        const struct ctz_untar_entry *entry, const char *path,
                        struct ctz_error *err)
{
    char *target = clean(extract, entry->link, err);
    if (!target)
        return -1;
    const char *slash = strrchr(target, '/');
    const char *last = slash ? slash + 1 : target;
    int result = -1, from = -1;
    if (!*target)
        escapes(entry->link, "links to nothing", err);
    else if (strcmp(target, path) == 0) // it stands there already
        result = 0;
    else
        from = walk_to(extract, target, slash ? (size_t)(slash - target) : 0, false, err);
    if (from >= 0 && make_room(extract, folder, name, path, err) == 0)
        result = linkat(from, last, folder, name, 0) == 0 ? 0 : fail(extract, errno, path, err);
    if (from >= 0)
        close(from);
    ctz_free(target);
    return result;
}

static int put_node(struct ctz_extract *extract, int folder, const char *name,
                    const struct ctz_untar_entry *entry, const char *path, struct ctz_error *err)
{
    if (make_room(extract, folder, name, path, err) != 0)
        return -1;
    bool is_link = entry->type == '2';
    int made = is_link ? symlinkat(entry->link, folder, name)
                       : mkfifoat(folder, name, mode_of(extract, entry->mode));
    return made != 0 ? fail(extract, errno, path, err)
                     : set_facts_at(extract, folder, name, entry, path, err);
}

static int put_entry(struct ctz_extract *extract, const struct ctz_untar_entry *entry,
                     const char *path, struct ctz_error *err)
{
    const char *name;
    int parent = open_parent(extract, path, &name, err);
    int folder = parent < 0 ? -1 : fcntl(parent, F_DUPFD_CLOEXEC, 0); // make_room may close it
    if (folder < 0)
        return parent < 0 ? -1 : fail(extract, errno, path, err);
    int result = entry->type == '0'   ? begin_file(extract, folder, name, entry, path, err)
                 : entry->type == '5' ? put_folder(extract, folder, name, entry, path, err)
                 : entry->type == '1' ? put_hardlink(extract, folder, name, entry, path, err)
                                      : put_node(extract, folder, name, entry, path, err);
    close(folder);
    return result;
}

// The one file of a stream, or a link, with a temporary name.
static int put_single(struct ctz_extract *extract, const struct ctz_untar_entry *entry,
                      struct ctz_error *err)
{
    if (extract->has_file)
        return ctz_error_set(err, CTZ_ERROR_CONFLICT, "the tar holds more than one file");
    if (entry->type == '5') {
        ctz_error_set(err, CTZ_ERROR_CONFLICT, "\"%s\" is a folder, not a file", entry->path);
        ctz_error_hint(err, "give a folder as the destination");
        return -1;
    }
    extract->has_file = true;
    if (entry->type == '0')
        return begin_file(extract, extract->root, extract->file_name, entry, "", err);
    if (entry->type != '2')
        return ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "\"%s\" is no regular file", entry->path);
    extract->file_parent = fcntl(extract->root, F_DUPFD_CLOEXEC, 0);
    if (extract->file_parent < 0)
        return fail(extract, errno, "", err);
    char name[TEMPORARY_BYTES];
    if (random_name(name, err) != 0)
        return -1;
    if (symlinkat(entry->link, extract->root, name) != 0)
        return fail(extract, errno, "", err);
    memcpy(extract->temporary, name, sizeof name);
    return set_facts_at(extract, extract->root, name, entry, "", err);
}

static int on_entry(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err)
{
    struct ctz_extract *extract = owner;
    if (extract->counts.entries == extract->options.max_entries) {
        ctz_error_set(err, CTZ_ERROR_SIZE, "the tar holds more than %llu entries",
                      (unsigned long long)extract->options.max_entries);
        ctz_error_hint(err, "raise the limit with --limit tar_entries=N");
        return -1;
    }
    extract->counts.entries++;
    if (extract->options.is_file)
        return put_single(extract, entry, err);
    char *path = clean(extract, entry->path, err);
    if (!path)
        return -1;
    int result = 0;
    bool is_root = !*path && entry->type == '5';
    if (is_root && extract->made_root)
        result = keep_folder(extract, entry, "", err);
    else if (*path && entry->type != '3' && entry->type != '4')
        result = put_entry(extract, entry, path, err);
    else
        extract->counts.skipped += !is_root;
    ctz_free(path);
    return result;
}

// --- the stream --------------------------------------------------------------------------------

CTZ_API const struct ctz_untar_events ctz_extract_events = {
    .entry = on_entry, .content = on_content, .end = end_file};

struct ctz_extract *ctz_extract_new(const struct ctz_extract_options *options)
{
    struct ctz_extract *extract = ctz_calloc(1, sizeof *extract);
    char *path = ctz_strdup(options->path);
    if (!extract || !path) {
        ctz_free(extract);
        ctz_free(path);
        return NULL;
    }
    extract->options = *options;
    extract->options.path = path;
    extract->untar.events = &ctz_extract_events;
    extract->untar.owner = extract;
    extract->root = extract->parent_fd = extract->file = extract->file_parent = -1;
    return extract;
}

void ctz_extract_free(struct ctz_extract *extract)
{
    if (!extract)
        return;
    drop_file(extract);
    forget_parent(extract);
    for (size_t i = 0; i < extract->folder_count; i++)
        ctz_free(extract->folders[i].path);
    if (extract->root >= 0)
        close(extract->root);
    ctz_untar_clear(&extract->untar);
    ctz_free(extract->folders);
    ctz_free((char *)extract->options.path);
    ctz_free(extract);
}

int ctz_extract_feed(struct ctz_extract *extract, const char *bytes, size_t size,
                     struct ctz_error *err)
{
    return open_root(extract, err) != 0 ? -1 : ctz_untar_feed(&extract->untar, bytes, size, err);
}

// From the last to the first, so that a folder is done after those in it.
static int set_folders(struct ctz_extract *extract, struct ctz_error *err)
{
    for (size_t i = extract->folder_count; i > 0; i--) {
        const struct folder *folder = &extract->folders[i - 1];
        int path_fd = walk_to(extract, folder->path, strlen(folder->path), false, err);
        bool is_gone = err->kind == CTZ_ERROR_PROTOCOL || err->kind == CTZ_ERROR_NOT_FOUND;
        if (path_fd < 0 && is_gone) { // a later entry took its place
            ctz_error_clear(err);
            continue;
        }
        if (path_fd < 0)
            return -1;
        int fd = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        int result = fd < 0 ? fail(extract, errno, folder->path, err)
                            : set_facts(extract, fd, folder, folder->path, err);
        if (fd >= 0)
            close(fd);
        close(path_fd);
        if (result != 0)
            return -1;
    }
    return 0;
}

static int name_file(struct ctz_extract *extract, struct ctz_error *err)
{
    if (!extract->has_file)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the tar holds no file");
    if (put_in_place(extract, extract->file_name, err) != 0)
        return -1;
    int fault = CTZ_FAULT("fsync_folder");
    if (fault || (fsync(extract->root) != 0 && errno != EINVAL))
        return fail(extract, fault ? fault : errno, "", err);
    return 0;
}

int ctz_extract_finish(struct ctz_extract *extract, struct ctz_error *err)
{
    if (open_root(extract, err) != 0 || ctz_untar_finish(&extract->untar, err) != 0)
        return -1;
    return extract->options.is_file ? name_file(extract, err) : set_folders(extract, err);
}

int ctz_extract_begin(struct ctz_extract *extract, struct ctz_error *err)
{
    return open_root(extract, err);
}

int ctz_extract_settle(struct ctz_extract *extract, struct ctz_error *err)
{
    return set_folders(extract, err);
}

const struct ctz_extract_counts *ctz_extract_counts(const struct ctz_extract *extract)
{
    return &extract->counts;
}
