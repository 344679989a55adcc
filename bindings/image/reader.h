// reader.h: what is inside of stored layers: unpacked, checked, listed, squashed, rewritten.
// SPDX-License-Identifier: MIT
#ifndef CTZ_IMAGE_READER_H
#define CTZ_IMAGE_READER_H

#include "bindings/image/image.h"
#include "bindings/image/untar.h"

// --- unpack.c ----------------------------------------------------------------------------------

struct ctz_unpack_limits {
    uint64_t expansion_ratio;   // unpacked to packed; 0: none
    uint64_t zstd_window_bytes; // rounded down to a power of two
};

struct ctz_unpacker;

/// A stream that unpacks what is written to it (gzip of several members, zstd of several frames, or
/// nothing to unpack) and hands the result to sink. NULL when it fails.
CTZ_API struct ctz_unpacker *ctz_unpacker_new(const struct ctz_unpack_limits *limits,
                                              ctz_sink_fn sink, void *to, struct ctz_error *err);
CTZ_API int ctz_unpacker_write(struct ctz_unpacker *unpacker, const void *bytes, size_t size,
                               struct ctz_error *err);
/// All has come: an error unless the stream is whole.
CTZ_API int ctz_unpacker_end(struct ctz_unpacker *unpacker, struct ctz_error *err);
/// "gzip", "zstd" or "tar", known after the end.
CTZ_API const char *ctz_unpacker_format(const struct ctz_unpacker *unpacker);
CTZ_API void ctz_unpacker_free(struct ctz_unpacker *unpacker);

// --- expand.c ----------------------------------------------------------------------------------

/// Unpacks a file into another one, which is there and empty. stop (may be NULL) is asked between
/// slices. What a failure leaves in it is for the caller to remove.
CTZ_API int ctz_expand_file(const char *path, const char *to,
                            const struct ctz_unpack_limits *limits, bool (*stop)(void *context),
                            void *context, struct ctz_error *err);

// --- reader.c ----------------------------------------------------------------------------------

/// What is to be read, and what is known of it. Strings are borrowed until the reader is freed.
struct ctz_layer_source {
    const char *name;     // for errors; NULL: the digest
    const char *digest;   // that the stored bytes must have; NULL: any
    const char *diff_id;  // that the tar must have; NULL: any
    uint64_t size_bytes;  // that are stored; 0: any
    uint64_t max_entries; // of the tar
    struct ctz_unpack_limits limits;
    bool keep_raw; // see ctz_untar
    /// Nothing may become visible of what these are told before the reader has finished: only then
    /// are the digests known. events NULL: the tar is not parsed, tar is given its bytes.
    const struct ctz_untar_events *events;
    void *owner;
    ctz_sink_fn tar; // may be NULL
    void *tar_to;
};

struct ctz_layer_facts {
    char digest[CTZ_DIGEST_BYTES], diff_id[CTZ_DIGEST_BYTES];
    uint64_t size_bytes, tar_bytes, entries;
    const char *format; // "gzip", "zstd", "tar"
};

struct ctz_layer_reader;

CTZ_API struct ctz_layer_reader *ctz_layer_reader_new(const struct ctz_layer_source *source,
                                                      struct ctz_error *err);
/// The next stored bytes, in pieces of any size.
CTZ_API int ctz_layer_reader_feed(struct ctz_layer_reader *reader, const void *bytes, size_t size,
                                  struct ctz_error *err);
/// All has come: refuses what is not whole, not what its digests say, or more than that.
CTZ_API int ctz_layer_reader_finish(struct ctz_layer_reader *reader, struct ctz_layer_facts *facts,
                                    struct ctz_error *err);
/// The headers of the entry whose event runs, as they stand in the tar.
CTZ_API const struct ctz_buffer *ctz_layer_reader_raw(const struct ctz_layer_reader *reader);
CTZ_API void ctz_layer_reader_free(struct ctz_layer_reader *reader);

/// Feeds a file to the reader, and finishes. stop (may be NULL) is asked between slices.
CTZ_API int ctz_layer_reader_file(struct ctz_layer_reader *reader, const char *path,
                                  bool (*stop)(void *context), void *context,
                                  struct ctz_layer_facts *facts, struct ctz_error *err);

#endif
