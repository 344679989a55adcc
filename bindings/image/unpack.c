// unpack.c: the inverse of pack.c: bytes of a layer as they are stored become a tar. What they are
// is told by their first bytes. SPDX-License-Identifier: MIT
#include "bindings/image/reader.h"

#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <string.h>
#define ZSTD_STATIC_LINKING_ONLY // for ZSTD_customMem
#include <zstd.h>
#include <zstd_errors.h>

#include "host/alloc.h"
#include "host/limits.h"

#define OUT_BYTES      (128 * 1024)
#define MAGIC_BYTES    6
#define FREE_BYTES     (1 * CTZ_MIB) // small streams may expand as they like
#define MIN_WINDOW_LOG 10            // of zstd
#define MAX_WINDOW_LOG 31

struct format {
    const char *name;
    int (*begin)(struct ctz_unpacker *unpacker, struct ctz_error *err);
    int (*write)(struct ctz_unpacker *unpacker, const unsigned char *bytes, size_t size,
                 struct ctz_error *err);
    void (*clear)(struct ctz_unpacker *unpacker);
};

struct ctz_unpacker {
    const struct format *format; // NULL until the first bytes are there
    struct ctz_unpack_limits limits;
    ctz_sink_fn sink;
    void *to;
    uint64_t in_bytes, out_bytes;
    struct inflate_state *gzip; // owned: 90 KB
    ZSTD_DCtx *zstd;            // owned
    bool inside;                // of a gzip member or a zstd frame
    unsigned char magic[MAGIC_BYTES];
    size_t magic_bytes;
    unsigned char out[OUT_BYTES];
};

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "decompress: out of memory");
}

static int malformed(struct ctz_error *err, const char *format, const char *why)
{
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the %s stream is malformed: %s", format, why);
}

static int ends_early(struct ctz_error *err, const char *format)
{
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the %s stream ends early", format);
}

static int hand_on(struct ctz_unpacker *unpacker, const void *bytes, size_t size,
                   struct ctz_error *err)
{
    if (size == 0)
        return 0;
    unpacker->out_bytes += size;
    uint64_t ratio = unpacker->limits.expansion_ratio;
    if (ratio && unpacker->out_bytes > FREE_BYTES &&
        (unpacker->out_bytes - FREE_BYTES) / ratio > unpacker->in_bytes) {
        ctz_error_set(err, CTZ_ERROR_SIZE, "%llu packed bytes expand to more than %llu times that",
                      (unsigned long long)unpacker->in_bytes, (unsigned long long)ratio);
        ctz_error_hint(err, "where that is meant, raise the limit with --limit expansion_ratio=N");
        return -1;
    }
    return unpacker->sink(unpacker->to, bytes, size, err);
}

// --- plain -------------------------------------------------------------------------------------

static int plain_write(struct ctz_unpacker *unpacker, const unsigned char *bytes, size_t size,
                       struct ctz_error *err)
{
    unpacker->out_bytes += size;
    return unpacker->sink(unpacker->to, bytes, size, err);
}

// --- gzip --------------------------------------------------------------------------------------

static int gzip_begin(struct ctz_unpacker *unpacker, struct ctz_error *err)
{
    unpacker->gzip = ctz_malloc(sizeof *unpacker->gzip);
    return unpacker->gzip ? 0 : no_memory(err);
}

static const char *gzip_problem(int code)
{
    switch (code) {
    case ISAL_INCORRECT_CHECKSUM:
        return "its checksum is wrong";
    case ISAL_INVALID_WRAPPER:
        return "bytes that are no gzip header";
    case ISAL_UNSUPPORTED_METHOD:
        return "an unknown method";
    default:
        return "a block that cannot be";
    }
}

// Inflates one member, or what has come of it. How many bytes were taken; -1: an error.
static ptrdiff_t gzip_member(struct ctz_unpacker *unpacker, const unsigned char *bytes, size_t size,
                             struct ctz_error *err)
{
    struct inflate_state *state = unpacker->gzip;
    if (!unpacker->inside) {
        if (bytes[0] != 0x1f)
            return malformed(err, "gzip", "bytes that are no gzip header");
        isal_inflate_init(state);
        state->crc_flag = ISAL_GZIP;
        unpacker->inside = true;
    }
    state->next_in = (uint8_t *)bytes;
    state->avail_in = (uint32_t)size;
    do {
        state->next_out = unpacker->out;
        state->avail_out = OUT_BYTES;
        int code = isal_inflate(state);
        if (code < 0)
            return malformed(err, "gzip", gzip_problem(code));
        if (hand_on(unpacker, unpacker->out, OUT_BYTES - state->avail_out, err) != 0)
            return -1;
    } while (state->block_state != ISAL_BLOCK_FINISH && state->avail_out == 0);
    unpacker->inside = state->block_state != ISAL_BLOCK_FINISH;
    return (ptrdiff_t)(size - state->avail_in);
}

static int gzip_write(struct ctz_unpacker *unpacker, const unsigned char *bytes, size_t size,
                      struct ctz_error *err)
{
    while (size > 0) {
        ptrdiff_t taken = gzip_member(unpacker, bytes, size, err);
        if (taken < 0)
            return -1;
        bytes += taken;
        size -= (size_t)taken;
    }
    return 0;
}

static void gzip_clear(struct ctz_unpacker *unpacker)
{
    ctz_free(unpacker->gzip);
}

// --- zstd --------------------------------------------------------------------------------------

static void *zstd_alloc(void *unused, size_t size)
{
    (void)unused;
    return ctz_malloc(size);
}

static void zstd_free(void *unused, void *pointer)
{
    (void)unused;
    ctz_free(pointer);
}

static int zstd_begin(struct ctz_unpacker *unpacker, struct ctz_error *err)
{
    ZSTD_customMem memory = {zstd_alloc, zstd_free, NULL};
    uint64_t window = unpacker->limits.zstd_window_bytes;
    int window_log = MIN_WINDOW_LOG;
    while (window_log < MAX_WINDOW_LOG && UINT64_C(2) << window_log <= window)
        window_log++;
    unpacker->zstd = ZSTD_createDCtx_advanced(memory);
    if (!unpacker->zstd)
        return no_memory(err);
    if (ZSTD_isError(ZSTD_DCtx_setParameter(unpacker->zstd, ZSTD_d_windowLogMax, window_log)))
        return ctz_error_set(err, CTZ_ERROR_INTERNAL, "zstd takes no window");
    return 0;
}

static int zstd_fail(struct ctz_error *err, size_t code)
{
    ZSTD_ErrorCode kind = ZSTD_getErrorCode(code);
    if (kind == ZSTD_error_memory_allocation)
        return no_memory(err);
    if (kind != ZSTD_error_frameParameter_windowTooLarge)
        return malformed(err, "zstd", ZSTD_getErrorName(code));
    ctz_error_set(err, CTZ_ERROR_SIZE, "the zstd stream needs a window over the limit");
    ctz_error_hint(err, "raise the limit with --limit zstd_window_bytes=N");
    return -1;
}

static int zstd_write(struct ctz_unpacker *unpacker, const unsigned char *bytes, size_t size,
                      struct ctz_error *err)
{
    ZSTD_inBuffer in = {bytes, size, 0};
    bool full;
    do {
        ZSTD_outBuffer out = {unpacker->out, OUT_BYTES, 0};
        size_t left = ZSTD_decompressStream(unpacker->zstd, &out, &in);
        if (ZSTD_isError(left))
            return zstd_fail(err, left);
        unpacker->inside = left != 0;
        full = out.pos == OUT_BYTES;
        if (hand_on(unpacker, unpacker->out, out.pos, err) != 0)
            return -1;
    } while (in.pos < in.size || (full && unpacker->inside));
    return 0;
}

static void zstd_clear(struct ctz_unpacker *unpacker)
{
    ZSTD_freeDCtx(unpacker->zstd);
}

// --- one interface -----------------------------------------------------------------------------

static const struct format plain_format = {"tar", NULL, plain_write, NULL};
static const struct format gzip_format = {"gzip", gzip_begin, gzip_write, gzip_clear};
static const struct format zstd_format = {"zstd", zstd_begin, zstd_write, zstd_clear};

// NULL: a format that is known and not read.
static const struct format *format_of(const unsigned char magic[MAGIC_BYTES], struct ctz_error *err)
{
    if (magic[0] == 0x1f && magic[1] == 0x8b)
        return &gzip_format;
    if (memcmp(magic, "\x28\xb5\x2f\xfd", 4) == 0 ||
        ((magic[0] & 0xf0) == 0x50 && memcmp(magic + 1, "\x2a\x4d\x18", 3) == 0))
        return &zstd_format; // a frame, or one to be skipped
    const char *other = memcmp(magic, "BZh", 3) == 0 ? "bzip2"
                        : memcmp(magic,
                                 "\xfd"
                                 "7zXZ",
                                 6) == 0
                            ? "xz"
                        : memcmp(magic, "\x04\x22\x4d\x18", 4) == 0 ? "lz4"
                                                                    : NULL;
    if (!other)
        return &plain_format;
    ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "the layer is packed with %s", other);
    ctz_error_hint(err, "layers of images are packed with gzip or zstd, or not at all");
    return NULL;
}

static int begin(struct ctz_unpacker *unpacker, struct ctz_error *err)
{
    const struct format *format = format_of(unpacker->magic, err);
    if (!format)
        return -1;
    unpacker->format = format;
    if (format->begin && format->begin(unpacker, err) != 0)
        return -1;
    return format->write(unpacker, unpacker->magic, unpacker->magic_bytes, err);
}

struct ctz_unpacker *ctz_unpacker_new(const struct ctz_unpack_limits *limits, ctz_sink_fn sink,
                                      void *to, struct ctz_error *err)
{
    struct ctz_unpacker *unpacker = ctz_calloc(1, sizeof *unpacker);
    if (!unpacker) {
        no_memory(err);
        return NULL;
    }
    unpacker->limits = *limits;
    unpacker->sink = sink;
    unpacker->to = to;
    return unpacker;
}

int ctz_unpacker_write(struct ctz_unpacker *unpacker, const void *bytes, size_t size,
                       struct ctz_error *err)
{
    const unsigned char *at = bytes;
    unpacker->in_bytes += size;
    if (!unpacker->format) {
        size_t missing = MAGIC_BYTES - unpacker->magic_bytes;
        size_t part = size < missing ? size : missing;
        memcpy(unpacker->magic + unpacker->magic_bytes, at, part);
        unpacker->magic_bytes += part;
        at += part;
        size -= part;
        if (unpacker->magic_bytes < MAGIC_BYTES)
            return 0;
        if (begin(unpacker, err) != 0)
            return -1;
    }
    return size ? unpacker->format->write(unpacker, at, size, err) : 0;
}

int ctz_unpacker_end(struct ctz_unpacker *unpacker, struct ctz_error *err)
{
    if (unpacker->in_bytes == 0)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the layer is empty: not even a tar");
    if (!unpacker->format && begin(unpacker, err) != 0)
        return -1;
    return unpacker->inside ? ends_early(err, unpacker->format->name) : 0;
}

const char *ctz_unpacker_format(const struct ctz_unpacker *unpacker)
{
    return unpacker->format ? unpacker->format->name : "tar";
}

void ctz_unpacker_free(struct ctz_unpacker *unpacker)
{
    if (!unpacker)
        return;
    if (unpacker->format && unpacker->format->clear)
        unpacker->format->clear(unpacker);
    ctz_free(unpacker);
}
