// image_pack_test.c: what the packers write, read back by zlib and zstd.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "bindings/image/image.h"
#include "host/alloc.h"
#include "host/limits.h"

#define INPUT_BYTES (3 * CTZ_MIB + 7)

static int to_buffer(void *to, const void *bytes, size_t size, struct ctz_error *err)
{
    if (ctz_buffer_append(to, bytes, size) == 0)
        return 0;
    return ctz_error_set(err, CTZ_ERROR_IO, "the sink is full");
}

// Half text that packs well, half noise that does not.
static char *make_input(void)
{
    char *input = malloc(INPUT_BYTES);
    uint32_t noise = 1;
    assert_non_null(input);
    for (size_t i = 0; i < INPUT_BYTES; i++) {
        noise = noise * 1664525u + 1013904223u;
        input[i] = (char)(i % 8192 < 4096 ? "ctz packs layers "[i % 17] : (char)(noise >> 24));
    }
    return input;
}

static void pack(enum ctz_compression compression, const char *input, size_t size, size_t slice,
                 struct ctz_buffer *out)
{
    struct ctz_error err = {0};
    ctz_buffer_init(out, 16 * CTZ_MIB);
    struct ctz_packer *packer = ctz_packer_new(compression, to_buffer, out, &err);
    assert_non_null(packer);
    for (size_t at = 0; at < size; at += slice) {
        size_t part = size - at < slice ? size - at : slice;
        assert_int_equal(ctz_packer_write(packer, input + at, part, &err), 0);
    }
    assert_int_equal(ctz_packer_end(packer, &err), 0);
    ctz_packer_free(packer);
}

static void assert_gunzips_to(const struct ctz_buffer *packed, const char *input, size_t size)
{
    z_stream stream = {0};
    char *output = malloc(size + 1);
    assert_non_null(output);
    assert_int_equal(inflateInit2(&stream, 31), Z_OK);
    stream.next_in = (Bytef *)packed->bytes;
    stream.avail_in = (uInt)packed->length;
    stream.next_out = (Bytef *)output;
    stream.avail_out = (uInt)size + 1;
    assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
    assert_int_equal(stream.avail_in, 0);
    assert_int_equal(stream.total_out, size);
    assert_memory_equal(output, input, size);
    inflateEnd(&stream);
    free(output);
}

static void gzip_round_trips(enum ctz_compression compression)
{
    char *input = make_input();
    static const size_t sizes[] = {0, 1, 511, 65536, 131072, INPUT_BYTES};
    for (size_t i = 0; i < CTZ_COUNT(sizes); i++) {
        struct ctz_buffer out;
        pack(compression, input, sizes[i], 100000, &out);
        assert_gunzips_to(&out, input, sizes[i]);
        ctz_buffer_clear(&out);
    }
    free(input);
}

static void gzip_unpacks_to_what_went_in(void **state)
{
    (void)state;
    gzip_round_trips(CTZ_GZIP);
}

static void fast_gzip_unpacks_to_what_went_in(void **state)
{
    (void)state;
    gzip_round_trips(CTZ_GZIP_FAST);
}

static void a_gzip_header_holds_no_time_no_name_and_no_system(void **state)
{
    (void)state;
    static const unsigned char expected[] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255};
    static const enum ctz_compression kinds[] = {CTZ_GZIP, CTZ_GZIP_FAST};
    for (size_t i = 0; i < CTZ_COUNT(kinds); i++) {
        struct ctz_buffer out;
        pack(kinds[i], "hello", 5, 5, &out);
        assert_memory_equal(out.bytes, expected, sizeof expected);
        ctz_buffer_clear(&out);
    }
}

static void zstd_unpacks_to_what_went_in(void **state)
{
    (void)state;
    char *input = make_input(), *output = malloc(INPUT_BYTES);
    struct ctz_buffer out;
    pack(CTZ_ZSTD, input, INPUT_BYTES, 100000, &out);
    assert_int_equal(ZSTD_decompress(output, INPUT_BYTES, out.bytes, out.length), INPUT_BYTES);
    assert_memory_equal(output, input, INPUT_BYTES);
    ctz_buffer_clear(&out);
    free(output);
    free(input);
}

static void a_zstd_layer_is_one_frame_with_a_checksum(void **state)
{
    (void)state;
    char *input = make_input();
    struct ctz_buffer out;
    pack(CTZ_ZSTD, input, INPUT_BYTES, 4096, &out);
    assert_memory_equal(out.bytes, "\x28\xb5\x2f\xfd", 4);
    assert_true(out.bytes[4] & 4); // RFC 8878, Content_Checksum_flag
    assert_int_equal(ZSTD_findFrameCompressedSize(out.bytes, out.length), out.length);
    ctz_buffer_clear(&out);
    free(input);
}

static void the_packed_bytes_do_not_depend_on_the_slices(void **state)
{
    (void)state;
    static const enum ctz_compression kinds[] = {CTZ_GZIP, CTZ_ZSTD};
    static const size_t slices[] = {511, 4096, 131072, INPUT_BYTES};
    char *input = make_input();
    for (size_t kind = 0; kind < CTZ_COUNT(kinds); kind++) {
        struct ctz_buffer first;
        pack(kinds[kind], input, INPUT_BYTES, 262144, &first);
        for (size_t i = 0; i < CTZ_COUNT(slices); i++) {
            struct ctz_buffer out;
            pack(kinds[kind], input, INPUT_BYTES, slices[i], &out);
            assert_int_equal(out.length, first.length);
            assert_memory_equal(out.bytes, first.bytes, first.length);
            ctz_buffer_clear(&out);
        }
        ctz_buffer_clear(&first);
    }
    free(input);
}

static void a_failing_sink_ends_the_stream_with_its_error(void **state)
{
    (void)state;
    static const enum ctz_compression kinds[] = {CTZ_GZIP, CTZ_GZIP_FAST, CTZ_ZSTD};
    char *input = make_input();
    for (size_t i = 0; i < CTZ_COUNT(kinds); i++) {
        struct ctz_error err = {0};
        struct ctz_buffer out;
        ctz_buffer_init(&out, 300 * CTZ_KIB); // less than the noise needs
        struct ctz_packer *packer = ctz_packer_new(kinds[i], to_buffer, &out, &err);
        assert_non_null(packer);
        int result = ctz_packer_write(packer, input, INPUT_BYTES, &err);
        if (result == 0)
            result = ctz_packer_end(packer, &err);
        assert_int_equal(result, -1);
        assert_string_equal(ctz_error_message(&err), "the sink is full");
        ctz_error_clear(&err);
        ctz_packer_free(packer);
        ctz_buffer_clear(&out);
    }
    free(input);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gzip_unpacks_to_what_went_in),
        cmocka_unit_test(fast_gzip_unpacks_to_what_went_in),
        cmocka_unit_test(a_gzip_header_holds_no_time_no_name_and_no_system),
        cmocka_unit_test(zstd_unpacks_to_what_went_in),
        cmocka_unit_test(a_zstd_layer_is_one_frame_with_a_checksum),
        cmocka_unit_test(the_packed_bytes_do_not_depend_on_the_slices),
        cmocka_unit_test(a_failing_sink_ends_the_stream_with_its_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
