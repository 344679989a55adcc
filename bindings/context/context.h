// context.h: a folder or a file as a tar stream, made piece by piece.
// SPDX-License-Identifier: MIT
#ifndef CTZ_CONTEXT_H
#define CTZ_CONTEXT_H

#include "bindings/context/ignore.h"
#include "host/error.h"

/// A file that comes out of memory, in the place of one of that name on disk.
struct ctz_context_extra {
    const char *path; // without a slash at either end
    const char *bytes;
    size_t size;
    uint32_t mode;
};

struct ctz_context_options {
    const char *root;          // a folder or a file
    const char *name;          // of root in the stream; "": the content of the folder is at the top
    struct ctz_ignore *ignore; // what is left out below root; NULL: nothing
    const char *const *always; // paths below root that are not left out
    size_t always_count;
    const struct ctz_context_extra *extras; // they come first, in the order of their paths
    size_t extra_count;
    uint64_t max_entries;
    bool keep_owner; // else user and group 0
    bool follow;     // root may be a symbolic link to what is meant
};

struct ctz_context;

/// Copies the options; touches no file. NULL when out of memory.
struct ctz_context *ctz_context_new(const struct ctz_context_options *options);
void ctz_context_free(struct ctz_context *context);

/// Puts the next bytes of the stream into out, at least one unless it has ended. -1 with err set:
/// what was not readable, or changed while it was read. stop (may be NULL) is asked between files
/// and blocks.
int ctz_context_read(struct ctz_context *context, char *out, size_t size, size_t *filled,
                     bool (*stop)(void *owner), void *owner, struct ctz_error *err);
/// How many entries the stream has had so far.
uint64_t ctz_context_entries(const struct ctz_context *context);

#endif
