// image_reader_test.c: stored layers read back: whole, cut, damaged, and made to harm.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "bindings/image/reader.h"
#include "host/alloc.h"
#include "host/limits.h"
#include "tests/c/scratch.h"

static const char zeros[1024];

// --- making layers -----------------------------------------------------------------------------

static void add(struct ctz_buffer *tar, char type, const char *path, const char *text)
{
    struct ctz_error err = {0};
    size_t size = type == '0' ? strlen(text) : 0;
    struct ctz_tar_entry entry = {.path = path,
                                  .link = type == '0' ? NULL : text,
                                  .size_bytes = size,
                                  .mode = 0644,
                                  .type = (enum ctz_tar_type)type};
    assert_int_equal(ctz_tar_header(tar, &entry, &err), 0);
    ctz_buffer_append(tar, text, size);
    ctz_buffer_append(tar, zeros, ctz_tar_padding(size));
}

// Three entries, about 3 KB that do not pack well.
static struct ctz_buffer small_tar(void)
{
    struct ctz_buffer tar;
    char text[700];
    for (size_t i = 0; i < sizeof text - 1; i++)
        text[i] = (char)('a' + (i * i + i / 7) % 26);
    text[sizeof text - 1] = '\0';
    ctz_buffer_init(&tar, 1 << 20);
    add(&tar, '5', "etc", "");
    add(&tar, '0', "etc/text", text);
    add(&tar, '2', "etc/link", "text");
    ctz_buffer_append(&tar, zeros, 1024);
    return tar;
}

static int to_buffer(void *to, const void *bytes, size_t size, struct ctz_error *err)
{
    (void)err;
    return ctz_buffer_append(to, bytes, size);
}

static void pack(struct ctz_buffer *out, enum ctz_compression kind, const void *bytes, size_t size)
{
    struct ctz_error err = {0};
    struct ctz_packer *packer = ctz_packer_new(kind, to_buffer, out, &err);
    assert_int_equal(ctz_packer_write(packer, bytes, size, &err), 0);
    assert_int_equal(ctz_packer_end(packer, &err), 0);
    ctz_packer_free(packer);
}

static struct ctz_buffer packed(enum ctz_compression kind, const struct ctz_buffer *tar)
{
    struct ctz_buffer out;
    ctz_buffer_init(&out, 1 << 24);
    pack(&out, kind, tar->bytes, tar->length);
    return out;
}

// --- reading them ------------------------------------------------------------------------------

struct seen {
    char text[4096]; // one line per entry
    size_t content;
};

static int see_entry(void *owner, const struct ctz_untar_entry *entry, struct ctz_error *err)
{
    struct seen *seen = owner;
    size_t used = strlen(seen->text);
    (void)err;
    snprintf(seen->text + used, sizeof seen->text - used, "%c %s %s\n", entry->type, entry->path,
             entry->link);
    return 0;
}

static int see_content(void *owner, const char *bytes, size_t size, struct ctz_error *err)
{
    (void)bytes;
    (void)err;
    ((struct seen *)owner)->content += size;
    return 0;
}

static const struct ctz_untar_events events = {.entry = see_entry, .content = see_content};

static struct ctz_layer_source source_of(struct seen *seen)
{
    memset(seen, 0, sizeof *seen);
    return (struct ctz_layer_source){
        .max_entries = 100, .limits = {200, 128 * CTZ_MIB}, .events = &events, .owner = seen};
}

static int feed(const struct ctz_layer_source *source, const char *bytes, size_t size, size_t piece,
                struct ctz_layer_facts *facts, struct ctz_error *err)
{
    struct ctz_layer_reader *reader = ctz_layer_reader_new(source, err);
    if (!reader)
        return -1;
    int result = 0;
    for (size_t at = 0; result == 0 && at < size; at += piece)
        result =
            ctz_layer_reader_feed(reader, bytes + at, size - at < piece ? size - at : piece, err);
    if (result == 0)
        result = ctz_layer_reader_finish(reader, facts, err);
    ctz_layer_reader_free(reader);
    return result;
}

static int read_all(const struct ctz_layer_source *source, const struct ctz_buffer *blob,
                    struct ctz_layer_facts *facts, struct ctz_error *err)
{
    return feed(source, blob->bytes, blob->length, 64 * 1024, facts, err);
}

// It fails with that kind, and says that.
static void refused(const struct ctz_layer_source *source, const void *bytes, size_t size,
                    enum ctz_error_kind kind, const char *text)
{
    struct ctz_error err = {0};
    struct ctz_layer_facts facts;
    assert_int_equal(feed(source, bytes, size, 64 * 1024, &facts, &err), -1);
    if (err.kind != kind || !strstr(ctz_error_message(&err), text))
        fail_msg("got %s: %s", ctz_error_kind_name(err.kind), ctz_error_message(&err));
    ctz_error_clear(&err);
}

static const char listing[] = "5 etc/ \n0 etc/text \n2 etc/link text\n";

static void each_format_gives_the_same_entries_in_pieces_of_any_size(void **state)
{
    (void)state;
    struct ctz_buffer tar = small_tar();
    struct ctz_buffer blobs[] = {packed(CTZ_GZIP, &tar), packed(CTZ_GZIP_FAST, &tar),
                                 packed(CTZ_ZSTD, &tar), tar};
    static const char *const names[] = {"gzip", "gzip", "zstd", "tar"};
    for (size_t i = 0; i < CTZ_COUNT(blobs); i++)
        for (size_t piece = 1; piece < 700; piece = piece < 20 ? piece + 1 : piece * 3) {
            struct ctz_error err = {0};
            struct ctz_layer_facts facts;
            struct seen seen;
            struct ctz_layer_source source = source_of(&seen);
            assert_int_equal(feed(&source, blobs[i].bytes, blobs[i].length, piece, &facts, &err),
                             0);
            assert_string_equal(seen.text, listing);
            assert_int_equal(seen.content, 699);
            assert_string_equal(facts.format, names[i]);
            assert_int_equal(facts.tar_bytes, tar.length);
            assert_int_equal(facts.size_bytes, blobs[i].length);
            assert_int_equal(facts.entries, 3);
        }
    for (size_t i = 0; i < CTZ_COUNT(blobs); i++)
        ctz_buffer_clear(&blobs[i]);
}

static void several_members_and_frames_are_one_layer(void **state)
{
    (void)state;
    struct ctz_buffer tar = small_tar();
    for (int kind = CTZ_GZIP; kind <= CTZ_ZSTD; kind++)
        for (size_t piece = 1; piece < 5000; piece *= 7) {
            struct ctz_error err = {0};
            struct ctz_layer_facts facts;
            struct ctz_buffer blob;
            struct seen seen;
            struct ctz_layer_source source = source_of(&seen);
            ctz_buffer_init(&blob, 1 << 20);
            pack(&blob, kind, tar.bytes, 700);
            pack(&blob, kind, "", 0);
            if (kind == CTZ_ZSTD)
                ctz_buffer_append(&blob, "\x50\x2a\x4d\x18\x03\0\0\0abc", 11); // to be skipped
            pack(&blob, kind, tar.bytes + 700, tar.length - 700);
            assert_int_equal(feed(&source, blob.bytes, blob.length, piece, &facts, &err), 0);
            assert_string_equal(seen.text, listing);
            ctz_buffer_clear(&blob);
        }
    ctz_buffer_clear(&tar);
}

static void a_layer_cut_at_any_byte_is_refused(void **state)
{
    (void)state;
    struct ctz_buffer tar = small_tar();
    struct ctz_buffer blobs[] = {packed(CTZ_GZIP, &tar), packed(CTZ_ZSTD, &tar), tar};
    for (size_t i = 0; i < CTZ_COUNT(blobs); i++)
        for (size_t size = 0; size < blobs[i].length; size++) {
            struct ctz_error err = {0};
            struct ctz_layer_facts facts;
            struct seen seen;
            struct ctz_layer_source source = source_of(&seen);
            int result = feed(&source, blobs[i].bytes, size, 64 * 1024, &facts, &err);
            // Of the plain tar's end mark one block is enough.
            if (blobs[i].bytes == tar.bytes && size >= tar.length - 512) {
                assert_int_equal(result, 0);
                assert_string_equal(seen.text, listing);
                continue;
            }
            assert_int_equal(result, -1);
            assert_int_equal(err.kind, CTZ_ERROR_PROTOCOL);
            ctz_error_clear(&err);
        }
    for (size_t i = 0; i < CTZ_COUNT(blobs); i++)
        ctz_buffer_clear(&blobs[i]);
}

static void a_layer_with_any_byte_changed_is_refused_by_its_digest_or_before(void **state)
{
    (void)state;
    struct ctz_buffer tar = small_tar();
    struct ctz_buffer blobs[] = {packed(CTZ_GZIP, &tar), packed(CTZ_ZSTD, &tar), tar};
    for (size_t i = 0; i < CTZ_COUNT(blobs); i++) {
        struct ctz_error err = {0};
        struct ctz_layer_facts good, facts;
        struct seen seen;
        struct ctz_layer_source source = source_of(&seen);
        assert_int_equal(read_all(&source, &blobs[i], &good, &err), 0);
        for (size_t at = 0; at < blobs[i].length; at++) {
            source = source_of(&seen);
            source.digest = good.digest;
            blobs[i].bytes[at] ^= 0x41;
            assert_int_equal(read_all(&source, &blobs[i], &facts, &err), -1);
            assert_non_null(err.target);
            ctz_error_clear(&err);
            blobs[i].bytes[at] ^= 0x41;
        }
        ctz_buffer_clear(&blobs[i]);
    }
}

static void what_follows_the_end_is_refused(void **state)
{
    (void)state;
    struct seen seen;
    struct ctz_layer_source source = source_of(&seen);
    struct ctz_buffer tar = small_tar();
    struct ctz_buffer blob = packed(CTZ_GZIP, &tar);
    ctz_buffer_append(&blob, "garbage that is no gzip", 23);
    refused(&source, blob.bytes, blob.length, CTZ_ERROR_PROTOCOL, "no gzip header");
    ctz_buffer_clear(&blob);
    blob = packed(CTZ_GZIP, &tar);
    ctz_buffer_append(&blob, "\0", 1);
    refused(&source, blob.bytes, blob.length, CTZ_ERROR_PROTOCOL, "gzip stream");
    ctz_buffer_clear(&blob);
    blob = packed(CTZ_ZSTD, &tar);
    ctz_buffer_append(&blob, "garbage", 7);
    refused(&source, blob.bytes, blob.length, CTZ_ERROR_PROTOCOL, "zstd stream is malformed");
    ctz_buffer_clear(&blob);
    ctz_buffer_append(&tar, zeros, 1000); // tar pads to whole records
    ctz_buffer_append(&tar, "x", 1);
    refused(&source, tar.bytes, tar.length, CTZ_ERROR_PROTOCOL, "bytes follow its end");
    ctz_buffer_clear(&tar);
}

static void a_tar_without_its_end_mark_is_whole_when_the_digest_says_so(void **state)
{
    (void)state;
    struct ctz_error err = {0};
    struct ctz_layer_facts facts;
    struct seen seen;
    struct ctz_layer_source source = source_of(&seen);
    struct ctz_buffer tar = small_tar();
    tar.length -= 1024;
    refused(&source, tar.bytes, tar.length, CTZ_ERROR_PROTOCOL, "the tar ends early");
    struct ctz_digest digest;
    char text[CTZ_DIGEST_BYTES];
    ctz_digest_init(&digest, &err);
    ctz_digest_update(&digest, tar.bytes, tar.length, &err);
    ctz_digest_final(&digest, text, &err);
    ctz_digest_clear(&digest);
    source = source_of(&seen);
    source.diff_id = text;
    assert_int_equal(read_all(&source, &tar, &facts, &err), 0);
    assert_string_equal(seen.text, listing);
    ctz_buffer_clear(&tar);
}

static void digests_and_size_are_compared(void **state)
{
    (void)state;
    static const char other[] =
        "sha256:0000000000000000000000000000000000000000000000000000000000000000";
    struct seen seen;
    struct ctz_buffer tar = small_tar(), blob = packed(CTZ_GZIP, &tar);
    struct ctz_layer_source source = source_of(&seen);
    source.digest = other;
    refused(&source, blob.bytes, blob.length, CTZ_ERROR_DIGEST, "what is stored has the digest");
    source.digest = NULL;
    source.diff_id = other;
    refused(&source, blob.bytes, blob.length, CTZ_ERROR_DIGEST, "its tar has the digest");
    source.diff_id = NULL;
    source.size_bytes = blob.length - 1;
    refused(&source, blob.bytes, blob.length, CTZ_ERROR_SIZE, "it has more than");
    source.size_bytes = blob.length + 1;
    refused(&source, blob.bytes, blob.length, CTZ_ERROR_SIZE, "it has only");
    ctz_buffer_clear(&tar);
    ctz_buffer_clear(&blob);
}

static void bombs_are_named_by_their_limit(void **state)
{
    (void)state;
    struct seen seen;
    struct ctz_layer_source source = source_of(&seen);
    struct ctz_buffer tar = {0}, blob;
    ctz_buffer_init(&tar, UINT64_C(1) << 28);
    char *room = ctz_buffer_reserve(&tar, 64 << 20);
    memset(room, 0, 64 << 20);
    tar.length = 64 << 20;
    for (int kind = CTZ_GZIP; kind <= CTZ_ZSTD; kind++) {
        blob = packed(kind, &tar);
        refused(&source, blob.bytes, blob.length, CTZ_ERROR_SIZE, "expand to more than 200 times");
        ctz_buffer_clear(&blob);
    }
    ctz_buffer_clear(&tar);
    ctz_buffer_init(&tar, 1 << 24);
    for (int i = 0; i < 101; i++)
        add(&tar, '0', "a", "");
    refused(&source, tar.bytes, tar.length, CTZ_ERROR_SIZE, "more than 100 entries");
    ctz_buffer_clear(&tar);
    // A frame header: a window of 2^31 bytes and nothing behind it.
    static const unsigned char wide[] = {0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0, 0, 0, 0};
    refused(&source, wide, sizeof wide, CTZ_ERROR_SIZE, "window over the limit");
}

static void other_formats_are_named(void **state)
{
    (void)state;
    struct seen seen;
    struct ctz_layer_source source = source_of(&seen);
    refused(&source, "BZh91AY&SY", 10, CTZ_ERROR_UNSUPPORTED, "bzip2");
    refused(&source,
            "\xfd"
            "7zXZ\0\0",
            7, CTZ_ERROR_UNSUPPORTED, "xz");
    refused(&source, "", 0, CTZ_ERROR_PROTOCOL, "the layer is empty");
    refused(&source, "no tar", 6, CTZ_ERROR_PROTOCOL, "ends early");
    char text[600];
    memset(text, 'x', sizeof text);
    refused(&source, text, sizeof text, CTZ_ERROR_PROTOCOL, "wrong checksum");
}

static void a_gzip_in_a_gzip_is_no_layer(void **state)
{
    (void)state;
    struct seen seen;
    struct ctz_layer_source source = source_of(&seen);
    struct ctz_buffer tar = small_tar(), once = packed(CTZ_GZIP, &tar);
    struct ctz_buffer twice = packed(CTZ_GZIP, &once);
    refused(&source, twice.bytes, twice.length, CTZ_ERROR_PROTOCOL, "the tar");
    ctz_buffer_clear(&tar);
    ctz_buffer_clear(&once);
    ctz_buffer_clear(&twice);
}

static void random_bytes_never_harm(void **state)
{
    (void)state;
    struct ctz_buffer tar = small_tar();
    struct ctz_buffer blobs[] = {packed(CTZ_GZIP, &tar), packed(CTZ_ZSTD, &tar), tar};
    uint64_t random = 12345;
    for (int round = 0; round < 6000; round++) {
        struct ctz_error err = {0};
        struct ctz_layer_facts facts;
        struct seen seen;
        struct ctz_layer_source source = source_of(&seen);
        struct ctz_buffer *blob = &blobs[round % 3];
        char *copy = ctz_memdup(blob->bytes, blob->length);
        for (int i = 0; i < 1 + round % 5; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            copy[(random >> 33) % blob->length] ^= (char)(random >> 20 | 1);
        }
        int result = feed(&source, copy, blob->length, 97, &facts, &err);
        assert_true(result == 0 || err.kind != CTZ_ERROR_NONE);
        ctz_error_clear(&err);
        ctz_free(copy);
    }
    for (size_t i = 0; i < CTZ_COUNT(blobs); i++)
        ctz_buffer_clear(&blobs[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_format_gives_the_same_entries_in_pieces_of_any_size),
        cmocka_unit_test(several_members_and_frames_are_one_layer),
        cmocka_unit_test(a_layer_cut_at_any_byte_is_refused),
        cmocka_unit_test(a_layer_with_any_byte_changed_is_refused_by_its_digest_or_before),
        cmocka_unit_test(what_follows_the_end_is_refused),
        cmocka_unit_test(a_tar_without_its_end_mark_is_whole_when_the_digest_says_so),
        cmocka_unit_test(digests_and_size_are_compared),
        cmocka_unit_test(bombs_are_named_by_their_limit),
        cmocka_unit_test(other_formats_are_named),
        cmocka_unit_test(a_gzip_in_a_gzip_is_no_layer),
        cmocka_unit_test(random_bytes_never_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
