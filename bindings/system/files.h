// files.h: what fs does with files and trees: plain C, for jobs of the thread pool.
// SPDX-License-Identifier: MIT
//
// Where a function takes an op it looks whether that has been given up; NULL: it never is.
#ifndef CTZ_FILES_H
#define CTZ_FILES_H

#include <sys/stat.h>

#include "host/buffer.h"
#include "host/error.h"
#include "host/op.h"

/// Sets what an errno means for that path, with a hint. Returns -1.
int ctz_files_fail(struct ctz_error *err, int error_number, const char *path);
/// The job was given up: -1 with kind cancelled. Nobody sees it.
int ctz_files_given_up(const struct ctz_op *op, struct ctz_error *err);
/// The folder of a path ("." when it names none), yours to free; NULL when out of memory.
char *ctz_files_folder(const char *path);
char *ctz_files_join(const char *folder, const char *name);

// --- content (content.c) -----------------------------------------------------------------------

/// For reading, without waiting for the writer of a fifo; a directory is an error. -1 with err set.
int ctz_files_open(const char *path, struct stat *facts, struct ctz_error *err);
/// Appends all that the descriptor gives.
int ctz_files_read(int fd, const char *path, struct ctz_buffer *bytes, const struct ctz_op *op,
                   struct ctz_error *err);
int ctz_files_write_all(int fd, const char *path, const char *bytes, size_t size,
                        const struct ctz_op *op, struct ctz_error *err);

/// How a file is written.
struct ctz_writing {
    const char *bytes;
    size_t size;
    mode_t mode; // with has_mode; else that of the old file, else what the umask leaves
    bool has_mode;
    bool in_place; // not by way of a new file: readers may see a part of it
};

/// The file at path has either its old content or all of the new one, whatever happens. What is not
/// a regular file is written to.
int ctz_files_write(const char *path, const struct ctz_writing *writing, const struct ctz_op *op,
                    struct ctz_error *err);
/// On failure the file has its old length again.
int ctz_files_append(const char *path, const char *bytes, size_t size, struct ctz_error *err);
/// A copy of a regular file, by way of a new file, as write; or straight into a place that nobody
/// else knows yet.
int ctz_files_copy(const char *from, const char *to, bool is_private, const struct ctz_op *op,
                   struct ctz_error *err);

// --- trees (tree.c) ----------------------------------------------------------------------------

/// Names of a directory in the order of their bytes; without "." and "..".
struct ctz_names {
    char **list; // owned, as each of it
    size_t count, capacity;
};

int ctz_names_read(struct ctz_names *names, const char *path, struct ctz_error *err);
/// Takes the name.
int ctz_names_add(struct ctz_names *names, char *take_name);
void ctz_names_sort(struct ctz_names *names);
void ctz_names_clear(struct ctz_names *names);

/// A walk from the top down; a folder comes before what is in it, symbolic links are not followed.
struct ctz_walk;
struct ctz_walk *ctz_walk_new(const char *root, int depth);
void ctz_walk_free(struct ctz_walk *walk);
/// 1 with path (yours to free) and facts; 0 at the end; -1 with err set.
int ctz_walk_next(struct ctz_walk *walk, char **path, struct stat *facts, struct ctz_error *err);

/// Makes a folder; with parents also those it lies in, and it may exist.
int ctz_files_mkdir(const char *path, mode_t mode, bool parents, struct ctz_error *err);

/// Removes a file, a link, an empty directory, or all that is in one. Never follows a link.
int ctz_files_remove(const char *path, bool recursive, const struct ctz_op *op,
                     struct ctz_error *err);
/// A copy of a tree; `to` appears when it is whole.
int ctz_files_copy_tree(const char *from, const char *to, const struct ctz_op *op,
                        struct ctz_error *err);
/// Renames; between file systems copies and removes.
int ctz_files_move(const char *from, const char *to, const struct ctz_op *op,
                   struct ctz_error *err);

// --- patterns (glob.c) -------------------------------------------------------------------------

/// Does the name match the pattern: * ? [a-z] [!a-z] and \ before a character meant as it is?
bool ctz_glob_match(const char *pattern, const char *name);
/// Paths below root (NULL: the pattern stands alone) that match, in the order of their bytes; ** is
/// any number of folders. Names that begin with a dot need a pattern that does, unless hidden.
int ctz_files_glob(const char *root, const char *pattern, bool hidden, struct ctz_names *paths,
                   const struct ctz_op *op, struct ctz_error *err);

#endif
