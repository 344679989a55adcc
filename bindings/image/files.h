// files.h: the entries of an image's layers, and the tree that they make together.
// SPDX-License-Identifier: MIT
#ifndef CTZ_IMAGE_FILES_H
#define CTZ_IMAGE_FILES_H

#include "bindings/image/reader.h"

enum ctz_file_kind {
    CTZ_FILE_ENTRY,
    CTZ_FILE_IMPLIED,  // a folder that no entry names, but that one lies in
    CTZ_FILE_WHITEOUT, // what lower layers have at that path is hidden, and nothing is there
    CTZ_FILE_PAST,     // stood there, until a later entry of the same layer took its place
    CTZ_FILE_OPAQUE,   // while a list is filled: what lower layers have in the folder is hidden
};

/// One entry of a layer. Strings belong to the list; path is not NUL-terminated.
struct ctz_file {
    const char *path; // without a slash at either end; "" is the root
    const char *link; // of a link: where it points; a hard link's is clean. Else NULL
    const char *xattrs;
    const struct ctz_file *data; // of a hard link: what has its content, see squash
    struct ctz_file *heir;       // of content whose own path is gone: the link that takes it over
    uint64_t size_bytes;
    int64_t mtime_s;
    uint32_t path_bytes, xattrs_bytes;
    uint32_t uid, gid, mode;
    uint32_t major, minor;
    uint32_t order;     // in the stream, from 0
    uint16_t layer;     // from 0, the lowest
    char type;          // as in struct ctz_untar_entry
    unsigned char kind; // enum ctz_file_kind
    bool opaque;        // what lower layers have there, and below, is hidden
    bool alive;         // it is in the tree
};

/// All entries of one layer, sorted by path: "/" before every other byte, so that what is in a
/// folder stands behind it. One record of a path is not PAST, and it is the last.
struct ctz_file_list {
    struct ctz_file *files;  // owned
    struct ctz_file **order; // owned: by their place in the stream; NULL: a whiteout, or a folder
                             // that is named again later
    size_t count, capacity, entries;
    struct ctz_file_chunk *chunks; // owned: the strings
    uint16_t layer;
    char *last_parent; // borrowed from a path, while the list is filled
    uint32_t last_parent_bytes, last_order;
};

/// Fills the list: give them to a reader as events, the list as owner. Refuses paths that lead out.
CTZ_API extern const struct ctz_untar_events ctz_file_list_events;
/// After the last entry.
CTZ_API int ctz_file_list_finish(struct ctz_file_list *list, struct ctz_error *err);
/// The last record of that path that stands before that place in the stream, or is a whiteout.
struct ctz_file *ctz_file_list_find(const struct ctz_file_list *list, const char *path, size_t size,
                                    uint32_t before);
CTZ_API int ctz_file_compare_paths(const char *left, size_t left_bytes, const char *right,
                                   size_t right_bytes);
CTZ_API bool ctz_file_is_below(const struct ctz_file *file, const char *folder,
                               size_t folder_bytes);
CTZ_API void ctz_file_list_clear(struct ctz_file_list *list);

/// What the layers make together: the files that are seen, in the order of ctz_file_list.
struct ctz_squash {
    struct ctz_file **files; // owned; they belong to the lists
    size_t count;
};

/// lists[0] is the lowest layer; all are finished. Sets alive, data and heir in them.
CTZ_API int ctz_squash_make(struct ctz_squash *squash, struct ctz_file_list *lists, size_t count,
                            struct ctz_error *err);
/// The file of that clean path; NULL: there is none.
CTZ_API struct ctz_file *ctz_squash_find(const struct ctz_squash *squash, const char *path,
                                         size_t size);
/// As ctz_squash_find, with links followed, all of them inside of the tree. NULL with err set.
CTZ_API struct ctz_file *ctz_squash_resolve(const struct ctz_squash *squash, const char *path,
                                            struct ctz_error *err);
CTZ_API void ctz_squash_clear(struct ctz_squash *squash);

/// Marks as dead what is at or below one of the clean paths, all else as alive, then finds data and
/// heirs within the one list. How many entries went.
CTZ_API size_t ctz_file_list_strip(struct ctz_file_list *list, const char *const *paths,
                                   size_t count);

// --- rewrite.c ---------------------------------------------------------------------------------

/// Where a layer is, and what it is known to be; list is its finished list.
struct ctz_layer_place {
    const char *path;
    const char *digest, *diff_id; // NULL: any
    uint64_t size_bytes;          // 0: any
    const struct ctz_file_list *list;
};

struct ctz_rewrite_options {
    const struct ctz_layer_place *layers; // the lowest first
    size_t count;
    struct ctz_unpack_limits limits;
    uint64_t max_entries;
    bool (*stop)(void *context); // may be NULL
    void *context;
    // Of ctz_rewrite_layers:
    const char *layout; // where the blob goes; NULL: nowhere
    enum ctz_compression compression;
    bool flatten; // whiteouts go too
    // Of ctz_rewrite_extract:
    const char *folder;
    bool keep_owner;
};

/// Writes what is alive in the lists as one layer, its headers as they stand in the layers. Content
/// whose path is gone stands at its heir's. A layer without a list is copied as it is.
CTZ_API int ctz_rewrite_layers(const struct ctz_rewrite_options *options,
                               struct ctz_layer_result *result, struct ctz_error *err);

struct ctz_extract_counts;
/// Writes what is alive in the lists below a folder, see extract.h. Devices are counted and
/// skipped.
CTZ_API int ctz_rewrite_extract(const struct ctz_rewrite_options *options,
                                struct ctz_extract_counts *counts, struct ctz_error *err);
/// Appends the content of one entry of a layer.
CTZ_API int ctz_rewrite_read(const struct ctz_rewrite_options *options, uint32_t order,
                             struct ctz_buffer *content, struct ctz_error *err);

#endif
