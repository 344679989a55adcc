// tree.c: lists a folder and all below it, as data for a layer.
// SPDX-License-Identifier: MIT
#include "bindings/image/image.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"

#define FIRST_CAPACITY 64

static int no_memory(struct ctz_error *err, const char *path)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "read %s: out of memory", path);
}

static int fail(struct ctz_error *err, int error_number, const char *path)
{
    ctz_error_system(err, error_number, "read %s", path);
    ctz_error_target(err, path);
    return -1;
}

static const char *other_name(mode_t mode)
{
    return S_ISSOCK(mode) ? "socket" : S_ISFIFO(mode) ? "fifo" : "device";
}

static void read_status(struct ctz_tree_node *node, const struct stat *status)
{
    node->executable = status->st_mode & S_IXUSR;
    if (S_ISREG(status->st_mode)) {
        node->type = CTZ_TREE_FILE;
        node->size_bytes = (uint64_t)status->st_size;
    } else if (S_ISDIR(status->st_mode)) {
        node->type = CTZ_TREE_DIR;
    } else if (S_ISLNK(status->st_mode)) {
        node->type = CTZ_TREE_LINK;
    } else {
        node->type = CTZ_TREE_OTHER;
        node->other = other_name(status->st_mode);
    }
}

// A new node at the end; takes path.
static struct ctz_tree_node *add_node(struct ctz_tree *tree, char *take_path, struct ctz_error *err)
{
    if (!take_path) {
        no_memory(err, tree->root);
        return NULL;
    }
    if (tree->count == tree->max_count) {
        ctz_error_set(err, CTZ_ERROR_SIZE, "%s holds more than %zu files", tree->root,
                      tree->max_count);
        ctz_error_hint(err, "raise it with --limit tar_entries=N");
        ctz_free(take_path);
        return NULL;
    }
    if (tree->count == tree->capacity) {
        size_t capacity = tree->capacity ? tree->capacity * 2 : FIRST_CAPACITY;
        struct ctz_tree_node *nodes = ctz_realloc(tree->nodes, capacity * sizeof *nodes);
        if (!nodes) {
            no_memory(err, tree->root);
            ctz_free(take_path);
            return NULL;
        }
        tree->nodes = nodes;
        tree->capacity = capacity;
    }
    struct ctz_tree_node *node = &tree->nodes[tree->count++];
    memset(node, 0, sizeof *node);
    node->path = take_path;
    return node;
}

static int read_link(struct ctz_tree_node *node, int folder_fd, const char *name,
                     const char *folder, struct ctz_error *err)
{
    char target[PATH_MAX];
    ssize_t length = readlinkat(folder_fd, name, target, sizeof target);
    if (length < 0)
        return fail(err, errno, folder);
    node->link = ctz_memdup(target, (size_t)length);
    return node->link ? 0 : no_memory(err, folder);
}

static int add_entry(struct ctz_tree *tree, const char *parent, int folder_fd, const char *name,
                     const char *folder, struct ctz_error *err)
{
    struct stat status;
    if (fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        // One that vanished since readdir was not there, as far as we are concerned.
        return errno == ENOENT ? 0 : fail(err, errno, folder);
    }
    char *path = *parent ? ctz_asprintf("%s/%s", parent, name) : ctz_strdup(name);
    struct ctz_tree_node *node = add_node(tree, path, err);
    if (!node)
        return -1;
    read_status(node, &status);
    return node->type == CTZ_TREE_LINK ? read_link(node, folder_fd, name, folder, err) : 0;
}

static int read_folder(struct ctz_tree *tree, const char *parent, const char *folder, DIR *stream,
                       struct ctz_error *err)
{
    for (;;) {
        errno = CTZ_FAULT("readdir");
        const struct dirent *entry = errno ? NULL : readdir(stream);
        if (!entry)
            return errno ? fail(err, errno, folder) : 0;
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (add_entry(tree, parent, dirfd(stream), entry->d_name, folder, err) != 0)
            return -1;
    }
}

// One folder is open at a time, however deep the tree is.
static int list_folder(struct ctz_tree *tree, const char *parent, struct ctz_error *err)
{
    char *folder = ctz_asprintf(*parent ? "%s/%s" : "%s%s", tree->root, parent);
    if (!folder)
        return no_memory(err, tree->root);
    int fault = CTZ_FAULT("open");
    int fd = fault ? -1 : open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *stream = fd < 0 ? NULL : fdopendir(fd);
    int result = stream ? read_folder(tree, parent, folder, stream, err)
                        : fail(err, fault ? fault : errno, folder);
    if (stream)
        closedir(stream);
    else if (fd >= 0)
        close(fd);
    ctz_free(folder);
    return result;
}

static int by_path(const void *left, const void *right)
{
    return strcmp(((const struct ctz_tree_node *)left)->path,
                  ((const struct ctz_tree_node *)right)->path);
}

static int open_root(struct ctz_tree *tree, const char *root, struct ctz_error *err)
{
    char path[PATH_MAX];
    struct stat status;
    if (!realpath(root, path) || stat(path, &status) != 0)
        return fail(err, errno, root);
    tree->root = ctz_strdup(path);
    if (!tree->root)
        return no_memory(err, root);
    struct ctz_tree_node *node = add_node(tree, ctz_strdup(""), err);
    if (!node)
        return -1;
    read_status(node, &status);
    return 0;
}

int ctz_tree_list(struct ctz_tree *tree, const char *root, size_t max_count,
                  bool (*stop)(void *context), void *context, struct ctz_error *err)
{
    memset(tree, 0, sizeof *tree);
    tree->max_count = max_count;
    int result = open_root(tree, root, err);
    // The list is the queue: folders found are appended and come to their turn.
    for (size_t i = 0; result == 0 && i < tree->count; i++) {
        if (stop && stop(context))
            result = ctz_error_set(err, CTZ_ERROR_CANCELLED, "read %s: cancelled", root);
        else if (tree->nodes[i].type == CTZ_TREE_DIR)
            result = list_folder(tree, tree->nodes[i].path, err);
    }
    if (result == 0)
        qsort(tree->nodes, tree->count, sizeof *tree->nodes, by_path);
    else
        ctz_tree_clear(tree);
    return result;
}

void ctz_tree_clear(struct ctz_tree *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        ctz_free(tree->nodes[i].path);
        ctz_free(tree->nodes[i].link);
    }
    ctz_free(tree->nodes);
    ctz_free(tree->root);
    memset(tree, 0, sizeof *tree);
}
