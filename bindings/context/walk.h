// walk.h: the folder that is being read: between context.c and walk.c.
// SPDX-License-Identifier: MIT
#ifndef CTZ_CONTEXT_WALK_H
#define CTZ_CONTEXT_WALK_H

#include <sys/stat.h>

#include "host/buffer.h"
#include "host/error.h"

struct ctz_level_name {
    uint32_t at;        // in the text of its level
    unsigned char type; // d_type; DT_UNKNOWN when the file system does not tell
};

/// A folder whose names are being visited.
struct ctz_level {
    struct ctz_level *outer;
    struct ctz_buffer text;       // its names with a NUL behind each
    struct ctz_level_name *names; // owned, in the order of their bytes
    size_t count, capacity, next;
    size_t path_length; // of the walk's path: the folder itself
    bool *flags;        // owned by the level, one for each ignore pattern
    struct stat facts;
    bool is_written; // its header is in the stream, or it has none
};

/// One directory is open at a time, however deep the tree is.
struct ctz_walk {
    struct ctz_level *level; // the innermost
    struct ctz_buffer path;  // below the root, of the entry at hand
    const char *root;        // borrowed: for messages
    int fd;                  // of the level; -1: none
};

/// Enters the root, or `name` in the innermost level. Takes fd, which is a directory.
int ctz_walk_enter(struct ctz_walk *walk, int take_fd, struct ctz_error *err);
/// Back to the outer level, which must be where it was.
int ctz_walk_leave(struct ctz_walk *walk, struct ctz_error *err);
/// The next name of the innermost level, which becomes the end of the path; NULL: there is none.
/// Look at walk->path.failed.
const struct ctz_level_name *ctz_walk_name(struct ctz_walk *walk);
void ctz_walk_clear(struct ctz_walk *walk);

/// "read <root>/<path>: why", with a hint. -1.
int ctz_walk_fail(struct ctz_walk *walk, int error_number, struct ctz_error *err);
int ctz_walk_no_memory(struct ctz_walk *walk, struct ctz_error *err);

#endif
