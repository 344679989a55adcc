// untar.h: a tar stream read as it comes, in pieces of any size.
// SPDX-License-Identifier: MIT
#ifndef CTZ_CONTEXT_UNTAR_H
#define CTZ_CONTEXT_UNTAR_H

#include "host/buffer.h"
#include "host/error.h"

/// Borrowed until the next call of the parser.
struct ctz_untar_entry {
    const char *path; // as it stands there: may be absolute, hold "..", end in a slash
    const char *link; // of a link: where it points
    uint64_t size;    // of a file's content
    int64_t mtime_s;
    uint32_t uid, gid, mode;
    char type; // '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' folder, '6' fifo
};

struct ctz_untar_events {
    int (*entry)(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err);
    int (*content)(void *owner, const char *bytes, size_t size, struct ctz_error *err); // of a file
    int (*end)(void *owner, struct ctz_error *err); // of a file's content, also of an empty one
};

/// All zero but events and owner.
struct ctz_untar {
    const struct ctz_untar_events *events;
    void *owner;
    char block[512];
    size_t filled;           // of block
    uint64_t left, padding;  // content that is still to come
    struct ctz_buffer extra; // a pax header or a long name, while it comes
    char extra_type;         // its type; 0: content belongs to a file
    char *path, *link;       // owned: for the next entry, from pax or GNU headers
    uint64_t size;           // likewise
    int64_t mtime_s, uid, gid;
    bool has_size, has_mtime, has_uid, has_gid;
    bool in_file, ended, broken;
};

/// Reads POSIX (ustar, pax) and GNU tars. -1 with err set, also by an event: feed nothing more.
int ctz_untar_feed(struct ctz_untar *untar, const char *bytes, size_t size, struct ctz_error *err);
/// All has come: an error unless the tar is whole.
int ctz_untar_finish(struct ctz_untar *untar, struct ctz_error *err);
void ctz_untar_clear(struct ctz_untar *untar);

#endif
