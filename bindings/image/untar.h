// untar.h: a tar stream read as it comes, in pieces of any size.
// SPDX-License-Identifier: MIT
#ifndef CTZ_IMAGE_UNTAR_H
#define CTZ_IMAGE_UNTAR_H

#include "host/buffer.h"
#include "host/error.h"

/// Borrowed until the next call of the parser.
struct ctz_untar_entry {
    const char *path; // as it stands there: may be absolute, hold "..", end in a slash
    const char *link; // of a link: where it points
    uint64_t size;    // of a file's content
    int64_t mtime_s;
    uint32_t uid, gid, mode;
    uint32_t major, minor; // of a device
    const char *xattrs;    // see ctz_untar_next_xattr; NULL: none
    size_t xattrs_bytes;
    char type; // '0' file, '1' hard link, '2' symbolic link, '3' '4' devices, '5' folder, '6' fifo
};

struct ctz_untar_events {
    int (*entry)(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err);
    int (*content)(void *owner, const char *bytes, size_t size, struct ctz_error *err); // of a file
    int (*end)(void *owner, struct ctz_error *err); // of a file's content, also of an empty one
};

/// All zero but events and owner, strict and keep_raw.
struct ctz_untar {
    const struct ctz_untar_events *events;
    void *owner;
    bool strict;   // bytes behind the end that are not zero are an error
    bool keep_raw; // the headers of an entry stand in raw while its event runs
    struct ctz_buffer raw;
    struct ctz_buffer xattrs; // for the next entry
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
CTZ_API int ctz_untar_feed(struct ctz_untar *untar, const char *bytes, size_t size,
                           struct ctz_error *err);
/// All has come: an error unless the tar is whole.
CTZ_API int ctz_untar_finish(struct ctz_untar *untar, struct ctz_error *err);
/// Does an entry begin here? A tar may lack its end mark when its size is known otherwise.
CTZ_API bool ctz_untar_is_between(const struct ctz_untar *untar);
CTZ_API void ctz_untar_clear(struct ctz_untar *untar);

/// One extended attribute; name and value are borrowed.
struct ctz_untar_xattr {
    const char *name, *value;
    size_t value_bytes;
};
/// The next of xattrs (bytes, of an entry), beginning at *at (0 first); false at the end.
CTZ_API bool ctz_untar_next_xattr(const char *xattrs, size_t bytes, size_t *at,
                                  struct ctz_untar_xattr *xattr);

#endif
