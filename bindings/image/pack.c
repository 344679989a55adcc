// pack.c: streams that compress: gzip by zlib or ISA-L, zstd. Each writes the same bytes for the
// same input on every machine, but for ISA-L, whose match finder is chosen by the CPU.
// SPDX-License-Identifier: MIT
#include "bindings/image/image.h"

#include <isa-l/igzip_lib.h>
#include <string.h>
#include <zlib.h>
#define ZSTD_STATIC_LINKING_ONLY // for ZSTD_customMem
#include <zstd.h>

#include "host/alloc.h"

#define OUT_BYTES   (128 * 1024)
#define ZLIB_LEVEL  6
#define ZLIB_MEMORY 8  // zlib's own default
#define GZIP_WINDOW 31 // 32 KiB, and 16 more for the gzip format
#define OS_UNKNOWN  255
#define ISAL_LEVEL  1
#define ZSTD_LEVEL  3

struct packer_class {
    int (*begin)(struct ctz_packer *packer, struct ctz_error *err);
    int (*write)(struct ctz_packer *packer, const void *bytes, size_t size, bool end,
                 struct ctz_error *err);
    void (*clear)(struct ctz_packer *packer);
};

struct ctz_packer {
    const struct packer_class *class;
    ctz_sink_fn sink;
    void *to;
    union {
        struct {
            z_stream stream;
            gz_header header;
            bool begun;
        } zlib;
        struct {
            struct isal_zstream *stream; // owned: 200 KB
            uint8_t *level;              // owned
        } isal;
        ZSTD_CCtx *zstd; // owned
    };
    unsigned char out[OUT_BYTES];
};

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "compress: out of memory");
}

static int hand_on(struct ctz_packer *packer, size_t size, struct ctz_error *err)
{
    return size ? packer->sink(packer->to, packer->out, size, err) : 0;
}

// --- zlib --------------------------------------------------------------------------------------

static voidpf zlib_alloc(voidpf unused, uInt count, uInt size)
{
    (void)unused;
    return ctz_malloc((size_t)count * size);
}

static void zlib_free(voidpf unused, voidpf pointer)
{
    (void)unused;
    ctz_free(pointer);
}

static int zlib_begin(struct ctz_packer *packer, struct ctz_error *err)
{
    z_stream *stream = &packer->zlib.stream;
    stream->zalloc = zlib_alloc;
    stream->zfree = zlib_free;
    if (deflateInit2(stream, ZLIB_LEVEL, Z_DEFLATED, GZIP_WINDOW, ZLIB_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK)
        return no_memory(err);
    packer->zlib.begun = true;
    packer->zlib.header.os = OS_UNKNOWN; // no time, no name, and not the system we run on
    deflateSetHeader(stream, &packer->zlib.header);
    return 0;
}

static int zlib_write(struct ctz_packer *packer, const void *bytes, size_t size, bool end,
                      struct ctz_error *err)
{
    z_stream *stream = &packer->zlib.stream;
    int result = Z_OK;
    stream->next_in = (Bytef *)bytes;
    stream->avail_in = (uInt)size;
    do {
        stream->next_out = packer->out;
        stream->avail_out = OUT_BYTES;
        result = deflate(stream, end ? Z_FINISH : Z_NO_FLUSH);
        if (hand_on(packer, OUT_BYTES - stream->avail_out, err) != 0)
            return -1;
    } while (stream->avail_out == 0 && result != Z_STREAM_END);
    if (end && result != Z_STREAM_END)
        return ctz_error_set(err, CTZ_ERROR_INTERNAL, "zlib did not end its stream");
    return 0;
}

static void zlib_clear(struct ctz_packer *packer)
{
    if (packer->zlib.begun)
        deflateEnd(&packer->zlib.stream);
}

// --- ISA-L -------------------------------------------------------------------------------------

static int isal_begin(struct ctz_packer *packer, struct ctz_error *err)
{
    // RFC 1952: magic, deflate, no flags, no time, no extra flags, system unknown.
    static const unsigned char header[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, OS_UNKNOWN};
    struct isal_zstream *stream = packer->isal.stream = ctz_malloc(sizeof *stream);
    packer->isal.level = ctz_malloc(ISAL_DEF_LVL1_DEFAULT);
    if (!stream || !packer->isal.level)
        return no_memory(err);
    isal_deflate_init(stream);
    stream->gzip_flag = IGZIP_GZIP_NO_HDR;
    stream->level = ISAL_LEVEL;
    stream->level_buf = packer->isal.level;
    stream->level_buf_size = ISAL_DEF_LVL1_DEFAULT;
    return packer->sink(packer->to, header, sizeof header, err);
}

static int isal_write(struct ctz_packer *packer, const void *bytes, size_t size, bool end,
                      struct ctz_error *err)
{
    struct isal_zstream *stream = packer->isal.stream;
    stream->next_in = (uint8_t *)bytes;
    stream->avail_in = (uint32_t)size;
    stream->end_of_stream = end;
    do {
        stream->next_out = packer->out;
        stream->avail_out = OUT_BYTES;
        if (isal_deflate(stream) != COMP_OK)
            return ctz_error_set(err, CTZ_ERROR_INTERNAL, "ISA-L cannot compress");
        if (hand_on(packer, OUT_BYTES - stream->avail_out, err) != 0)
            return -1;
    } while (stream->avail_out == 0);
    return 0;
}

static void isal_clear(struct ctz_packer *packer)
{
    ctz_free(packer->isal.stream);
    ctz_free(packer->isal.level);
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

static int zstd_begin(struct ctz_packer *packer, struct ctz_error *err)
{
    ZSTD_customMem memory = {zstd_alloc, zstd_free, NULL};
    ZSTD_CCtx *context = packer->zstd = ZSTD_createCCtx_advanced(memory);
    if (!context)
        return no_memory(err);
    if (ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, ZSTD_LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)))
        return ctz_error_set(err, CTZ_ERROR_INTERNAL, "zstd takes no level");
    return 0;
}

static int zstd_write(struct ctz_packer *packer, const void *bytes, size_t size, bool end,
                      struct ctz_error *err)
{
    ZSTD_inBuffer in = {bytes, size, 0};
    bool more;
    do {
        ZSTD_outBuffer out = {packer->out, OUT_BYTES, 0};
        size_t left =
            ZSTD_compressStream2(packer->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return ctz_error_set(err, CTZ_ERROR_IO, "zstd: %s", ZSTD_getErrorName(left));
        if (hand_on(packer, out.pos, err) != 0)
            return -1;
        more = end ? left > 0 : in.pos < in.size;
    } while (more);
    return 0;
}

static void zstd_clear(struct ctz_packer *packer)
{
    ZSTD_freeCCtx(packer->zstd);
}

// --- one interface -----------------------------------------------------------------------------

static const struct packer_class classes[] = {
    [CTZ_GZIP] = {zlib_begin, zlib_write, zlib_clear},
    [CTZ_GZIP_FAST] = {isal_begin, isal_write, isal_clear},
    [CTZ_ZSTD] = {zstd_begin, zstd_write, zstd_clear},
};

struct ctz_packer *ctz_packer_new(enum ctz_compression compression, ctz_sink_fn sink, void *to,
                                  struct ctz_error *err)
{
    struct ctz_packer *packer = ctz_calloc(1, sizeof *packer);
    if (!packer) {
        no_memory(err);
        return NULL;
    }
    packer->class = &classes[compression];
    packer->sink = sink;
    packer->to = to;
    if (packer->class->begin(packer, err) == 0)
        return packer;
    ctz_packer_free(packer);
    return NULL;
}

int ctz_packer_write(struct ctz_packer *packer, const void *bytes, size_t size,
                     struct ctz_error *err)
{
    return size ? packer->class->write(packer, bytes, size, false, err) : 0;
}

int ctz_packer_end(struct ctz_packer *packer, struct ctz_error *err)
{
    return packer->class->write(packer, NULL, 0, true, err);
}

void ctz_packer_free(struct ctz_packer *packer)
{
    if (!packer)
        return;
    packer->class->clear(packer);
    ctz_free(packer);
}
