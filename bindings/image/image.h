// image.h: layers, compression, digests and the OCI layout folder: what libctz_image offers.
// SPDX-License-Identifier: MIT
//
// Plain C without Lua, for the rooms image, registry, scanning and optimization. No call keeps
// state outside of its arguments, so each may run on any thread. Those that fail return -1 with
// err set; what they had begun to write is gone by then.
#ifndef CTZ_IMAGE_H
#define CTZ_IMAGE_H

#include "host/api.h"
#include "host/buffer.h"
#include "host/error.h"

#define CTZ_DIGEST_BYTES 136 // "sha512:", 128 hex digits, NUL

// --- digest.c ----------------------------------------------------------------------------------

/// A running SHA-256 or SHA-512.
struct ctz_digest {
    struct evp_md_ctx_st *context; // owned
};

/// A SHA-256.
CTZ_API int ctz_digest_init(struct ctz_digest *digest, struct ctz_error *err);
/// That by which the wanted digest was made; NULL or "": a SHA-256.
CTZ_API int ctz_digest_init_as(struct ctz_digest *digest, const char *wanted,
                               struct ctz_error *err);
CTZ_API int ctz_digest_update(struct ctz_digest *digest, const void *bytes, size_t size,
                              struct ctz_error *err);
/// Writes "sha256:<hex>" or "sha512:<hex>"; the digest takes no more bytes afterwards.
CTZ_API int ctz_digest_final(struct ctz_digest *digest, char text[CTZ_DIGEST_BYTES],
                             struct ctz_error *err);
CTZ_API void ctz_digest_clear(struct ctz_digest *digest);

/// Is it "sha256:" and 64 lower-case hex digits, or "sha512:" and 128?
CTZ_API bool ctz_digest_is_valid(const char *text);

// --- tar.c -------------------------------------------------------------------------------------

enum ctz_tar_type {
    CTZ_TAR_FILE = '0',
    CTZ_TAR_HARDLINK = '1',
    CTZ_TAR_SYMLINK = '2',
    CTZ_TAR_CHARACTER = '3', // devices
    CTZ_TAR_BLOCK_DEVICE = '4',
    CTZ_TAR_DIR = '5',
    CTZ_TAR_FIFO = '6',
};

#define CTZ_TAR_BLOCK 512 // bytes; content is padded to whole blocks

struct ctz_tar_entry {
    const char *path;        // in the image, without a slash at either end
    const char *link;        // of a link: where it points
    uint64_t size_bytes;     // of a file's content
    uint64_t mtime_s;        // since 1970
    uint32_t uid, gid, mode; // mode: permission bits only
    uint32_t major, minor;   // of a device
    enum ctz_tar_type type;
    const char *xattrs; // as in struct ctz_untar_entry
    size_t xattrs_bytes;
};

/// Appends what stands before the entry's content: one ustar header, with a pax header before it
/// when name, link, size or owner do not fit there or a name is not ASCII. The bytes depend on the
/// entry alone.
CTZ_API int ctz_tar_header(struct ctz_buffer *out, const struct ctz_tar_entry *entry,
                           struct ctz_error *err);
/// How many zero bytes follow a content of that size.
CTZ_API size_t ctz_tar_padding(uint64_t size_bytes);

// --- pack.c ------------------------------------------------------------------------------------

enum ctz_compression {
    CTZ_GZIP,      // zlib at a fixed level: the same bytes on every machine
    CTZ_GZIP_FAST, // ISA-L: its match finder depends on the CPU, and so do the bytes
    CTZ_ZSTD,
};

/// Takes bytes in order.
typedef int (*ctz_sink_fn)(void *to, const void *bytes, size_t size, struct ctz_error *err);

struct ctz_packer;

/// A stream that packs what is written to it and hands the result to sink. NULL when it fails.
CTZ_API struct ctz_packer *ctz_packer_new(enum ctz_compression compression, ctz_sink_fn sink,
                                          void *to, struct ctz_error *err);
CTZ_API int ctz_packer_write(struct ctz_packer *packer, const void *bytes, size_t size,
                             struct ctz_error *err);
/// Writes what is still inside and the end of the stream.
CTZ_API int ctz_packer_end(struct ctz_packer *packer, struct ctz_error *err);
CTZ_API void ctz_packer_free(struct ctz_packer *packer);

// --- layout.c ----------------------------------------------------------------------------------

/// Makes the folder an OCI layout (oci-layout, blobs/sha256) unless it is one. Refuses a folder
/// that holds other files, or a layout of another version. Old leftovers in it are swept.
CTZ_API int ctz_layout_prepare(const char *folder, struct ctz_error *err);

/// One blob on its way into a layout: a file without a name, or a temporary one, in its folder.
struct ctz_blob {
    struct ctz_digest digest;
    const char *layout; // borrowed; NULL: the bytes are counted and hashed and go nowhere
    char *temporary;    // its path, NULL while it has no name; owned
    uint64_t size_bytes;
    int fd;
};

/// A layout of NULL makes a blob that goes nowhere. Clear it in any case, also after a failure.
CTZ_API int ctz_blob_open(struct ctz_blob *blob, const char *layout, struct ctz_error *err);
CTZ_API int ctz_blob_write(struct ctz_blob *blob, const void *bytes, size_t size,
                           struct ctz_error *err);
/// Puts the blob in its place, on the disk and not only in memory. One that is there already with
/// the same size is kept.
CTZ_API int ctz_blob_commit(struct ctz_blob *blob, char digest[CTZ_DIGEST_BYTES],
                            struct ctz_error *err);
/// Removes what was not committed.
CTZ_API void ctz_blob_clear(struct ctz_blob *blob);

/// Replaces a file: the old content stays until the new one is whole and on the disk.
CTZ_API int ctz_file_replace(const char *path, const void *bytes, size_t size,
                             struct ctz_error *err);

// --- partial.c ---------------------------------------------------------------------------------

/// One blob that comes from elsewhere, with the digest and size it has to have; or any file,
/// without.
struct ctz_partial {
    struct ctz_digest digest;
    char *path, *temporary; // owned; NULL: it goes nowhere
    char wanted[CTZ_DIGEST_BYTES];
    uint64_t expected_bytes, size_bytes;
    int fd;
    bool resumed; // an earlier process has begun it
    bool spoiled; // what there is of it is of no use
    bool placed, sync;
};

struct ctz_partial_options {
    const char *file;   // instead of a blob: a file of any content
    const char *layout; // prepared; NULL: the blob is only checked
    const char *digest;
    uint64_t size_bytes;
    bool sync;   // it is on the disk before it has its name
    bool resume; // go on with what an earlier process left
};

enum ctz_partial_state {
    CTZ_PARTIAL_FAILED,
    CTZ_PARTIAL_OPEN,
    CTZ_PARTIAL_WHOLE, // it is in its place already
    CTZ_PARTIAL_BUSY,  // another task or process writes it now
};

/// Clear it in any case.
CTZ_API enum ctz_partial_state ctz_partial_open(struct ctz_partial *partial,
                                                const struct ctz_partial_options *options,
                                                struct ctz_error *err);
/// When it is resumed, before the first write: makes the hash of what is there. stop (may be NULL)
/// is asked between slices.
CTZ_API int ctz_partial_read_again(struct ctz_partial *partial, bool (*stop)(void *context),
                                   void *context, struct ctz_error *err);
CTZ_API int ctz_partial_write(struct ctz_partial *partial, const void *bytes, size_t size,
                              struct ctz_error *err);
/// Checks size and digest, then puts it in its place.
CTZ_API int ctz_partial_commit(struct ctz_partial *partial, struct ctz_error *err);
/// With keep, what came so far stays for another process, unless it is of no use.
CTZ_API void ctz_partial_clear(struct ctz_partial *partial, bool keep);

/// Removes what killed processes left of blobs in a layout: when it is a week old, or the blob has
/// come otherwise. What somebody holds stays.
CTZ_API void ctz_partial_sweep(const char *layout);

// --- tree.c ------------------------------------------------------------------------------------

enum ctz_tree_type { CTZ_TREE_FILE, CTZ_TREE_DIR, CTZ_TREE_LINK, CTZ_TREE_OTHER };

struct ctz_tree_node {
    char *path;          // below the root; "" is the root itself; owned
    char *link;          // of a link: where it points; owned
    const char *other;   // of something else: "socket", "fifo", "device"
    uint64_t size_bytes; // of a file
    enum ctz_tree_type type;
    bool executable; // by its owner
};

struct ctz_tree {
    struct ctz_tree_node *nodes; // owned; the root is the first, a folder stands before its content
    size_t count, capacity, max_count;
    char *root; // with every link on the way followed; owned
};

/// Lists a file, or a folder and all below it. A link given as root is followed, links below it are
/// nodes. stop (may be NULL) is asked between nodes.
CTZ_API int ctz_tree_list(struct ctz_tree *tree, const char *root, size_t max_count,
                          bool (*stop)(void *context), void *context, struct ctz_error *err);
CTZ_API void ctz_tree_clear(struct ctz_tree *tree);

// --- layer.c -----------------------------------------------------------------------------------

/// One entry and where its content comes from: a file, or text (text_bytes of tar.size_bytes).
struct ctz_layer_entry {
    struct ctz_tar_entry tar; // strings as below
    const char *source;       // path of a regular file; NULL: text
    const char *text;
};

struct ctz_layer_options {
    const char *layout; // where the blob goes; NULL: nowhere
    enum ctz_compression compression;
    bool (*stop)(void *context);               // asked between slices; may be NULL
    void (*read)(void *context, size_t bytes); // told how many content bytes were read; may be NULL
    void *context;
};

struct ctz_layer_result {
    char digest[CTZ_DIGEST_BYTES];  // of the packed bytes
    char diff_id[CTZ_DIGEST_BYTES]; // of the tar
    uint64_t size_bytes;            // packed
    uint64_t tar_bytes;
    uint64_t entries;
};

/// Sorts the entries by the bytes of their path and writes them as one layer, in one pass and in
/// constant memory.
CTZ_API int ctz_layer_write(struct ctz_layer_entry *entries, size_t count,
                            const struct ctz_layer_options *options,
                            struct ctz_layer_result *result, struct ctz_error *err);

#endif
