// image_tar_test.c: tar headers, checked by golden bytes and by libarchive's reader.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/image/image.h"
#include "host/limits.h"

static void add(struct ctz_buffer *tar, const struct ctz_tar_entry *entry)
{
    struct ctz_error err = {0};
    assert_int_equal(ctz_tar_header(tar, entry, &err), 0);
}

static void add_end(struct ctz_buffer *tar)
{
    static const char zeros[2 * CTZ_TAR_BLOCK];
    assert_int_equal(ctz_buffer_append(tar, zeros, sizeof zeros), 0);
}

// Reads the one entry of a tar back. The caller frees the archive, which owns the entry.
static struct archive *read_back(const struct ctz_buffer *tar, struct archive_entry **entry)
{
    struct archive *archive = archive_read_new();
    archive_read_support_format_tar(archive);
    assert_int_equal(archive_read_open_memory(archive, tar->bytes, tar->length), ARCHIVE_OK);
    int result = archive_read_next_header(archive, entry);
    if (result != ARCHIVE_OK)
        print_error("libarchive: %s\n", archive_error_string(archive));
    assert_int_equal(result, ARCHIVE_OK);
    return archive;
}

static void assert_name_survives(const char *path, enum ctz_tar_type type)
{
    struct ctz_buffer tar;
    ctz_buffer_init(&tar, CTZ_MIB);
    add(&tar, &(struct ctz_tar_entry){.path = path, .mode = 0644, .type = type});
    assert_int_equal(tar.length % CTZ_TAR_BLOCK, 0);
    add_end(&tar);
    struct archive_entry *entry;
    struct archive *archive = read_back(&tar, &entry);
    const char *got = archive_entry_pathname(entry);
    assert_non_null(got);
    assert_memory_equal(got, path, strlen(path));
    assert_string_equal(got + strlen(path), type == CTZ_TAR_DIR ? "/" : "");
    archive_read_free(archive);
    ctz_buffer_clear(&tar);
}

static void a_short_name_makes_one_block_with_known_bytes(void **state)
{
    (void)state;
    struct ctz_buffer tar;
    ctz_buffer_init(&tar, CTZ_MIB);
    add(&tar, &(struct ctz_tar_entry){.path = "etc/motd",
                                      .size_bytes = 5,
                                      .mtime_s = 1700000000,
                                      .mode = 0640,
                                      .uid = 1000,
                                      .gid = 100,
                                      .type = CTZ_TAR_FILE});
    assert_int_equal(tar.length, CTZ_TAR_BLOCK);
    assert_string_equal(tar.bytes, "etc/motd");
    assert_memory_equal(tar.bytes + 100, "0000640\0000001750\0000000144\000", 24);
    assert_memory_equal(tar.bytes + 124, "00000000005\00014524770400\000", 24);
    assert_memory_equal(tar.bytes + 148, "010725\000 0", 9);
    assert_memory_equal(tar.bytes + 257, "ustar\00000", 8);
    for (size_t i = 265; i < 329; i++) // no user and no group name
        assert_int_equal(tar.bytes[i], 0);
    ctz_buffer_clear(&tar);
}

static void names_of_every_length_survive(void **state)
{
    (void)state;
    char path[701];
    for (size_t length = 1; length < sizeof path; length++) {
        for (size_t i = 0; i < length; i++)
            path[i] = (char)(i % 60 == 59 && i + 1 < length ? '/' : 'a' + (int)(i % 26));
        path[length] = '\0';
        assert_name_survives(path, CTZ_TAR_FILE);
        assert_name_survives(path, CTZ_TAR_DIR);
    }
}

static void a_name_without_slashes_survives_at_255_bytes(void **state)
{
    (void)state;
    char path[256];
    memset(path, 'n', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_name_survives(path, CTZ_TAR_FILE);
    assert_name_survives(path, CTZ_TAR_DIR);
}

static void weird_names_survive(void **state)
{
    (void)state;
    static const char *const names[] = {
        " ",
        "-rf",
        "a b",
        "new\nline",
        "tab\there",
        "quote\"'",
        "back\\s",
        "d\303\251j\303\240/vu",
        "\346\227\245\346\234\254",
        "\360\237\220\213",
        "\033[31m",
        "=",
        "1 path=evil",
        "5 a=\n",
        "*?[",
        "CON",
        "a:b",
    };
    for (size_t i = 0; i < CTZ_COUNT(names); i++) {
        assert_name_survives(names[i], CTZ_TAR_FILE);
        assert_name_survives(names[i], CTZ_TAR_DIR);
    }
}

static void names_that_are_not_utf8_survive_short_and_long(void **state)
{
    (void)state;
    char path[160];
    assert_name_survives("latin1-\351", CTZ_TAR_FILE);
    assert_name_survives("cut-\303", CTZ_TAR_FILE);
    assert_name_survives("surrogate-\355\240\200", CTZ_TAR_FILE);
    memset(path, '\377', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_name_survives(path, CTZ_TAR_FILE);
}

static void the_locale_changes_no_byte(void **state)
{
    (void)state;
    static const char *const locales[] = {"C", "POSIX", "C.UTF-8"};
    struct ctz_buffer first;
    ctz_buffer_init(&first, CTZ_MIB);
    for (size_t i = 0; i < CTZ_COUNT(locales); i++) {
        struct ctz_buffer tar;
        assert_non_null(setlocale(LC_ALL, locales[i]));
        ctz_buffer_init(&tar, CTZ_MIB);
        add(&tar, &(struct ctz_tar_entry){.path = "d\303\251j\303\240", .type = CTZ_TAR_FILE});
        if (i == 0)
            ctz_buffer_append(&first, tar.bytes, tar.length);
        assert_int_equal(tar.length, first.length);
        assert_memory_equal(tar.bytes, first.bytes, first.length);
        ctz_buffer_clear(&tar);
    }
    setlocale(LC_ALL, "C.UTF-8");
    ctz_buffer_clear(&first);
}

static void links_survive_short_and_long(void **state)
{
    (void)state;
    char target[400];
    for (size_t length = 1; length < sizeof target; length += 7) {
        memset(target, 'l', length);
        target[length] = '\0';
        struct ctz_buffer tar;
        ctz_buffer_init(&tar, CTZ_MIB);
        add(&tar, &(struct ctz_tar_entry){
                      .path = "bin/sh", .link = target, .mode = 0777, .type = CTZ_TAR_SYMLINK});
        add_end(&tar);
        struct archive_entry *entry;
        struct archive *archive = read_back(&tar, &entry);
        assert_string_equal(archive_entry_symlink(entry), target);
        assert_int_equal(archive_entry_filetype(entry), AE_IFLNK);
        archive_read_free(archive);
        ctz_buffer_clear(&tar);
    }
}

static void a_hard_link_names_its_target(void **state)
{
    (void)state;
    struct ctz_buffer tar;
    ctz_buffer_init(&tar, CTZ_MIB);
    add(&tar,
        &(struct ctz_tar_entry){.path = "bin/ls", .link = "bin/busybox", .type = CTZ_TAR_HARDLINK});
    add_end(&tar);
    struct archive_entry *entry;
    struct archive *archive = read_back(&tar, &entry);
    assert_string_equal(archive_entry_hardlink(entry), "bin/busybox");
    archive_read_free(archive);
    ctz_buffer_clear(&tar);
}

static void assert_size_survives(uint64_t size_bytes, size_t header_bytes)
{
    struct ctz_buffer tar;
    ctz_buffer_init(&tar, CTZ_MIB);
    add(&tar, &(struct ctz_tar_entry){
                  .path = "big", .size_bytes = size_bytes, .mode = 0644, .type = CTZ_TAR_FILE});
    assert_int_equal(tar.length, header_bytes);
    struct archive_entry *entry;
    struct archive *archive = read_back(&tar, &entry);
    assert_true((uint64_t)archive_entry_size(entry) == size_bytes);
    archive_read_free(archive);
    ctz_buffer_clear(&tar);
}

static void a_size_of_8_gib_stands_in_a_pax_header(void **state)
{
    (void)state;
    assert_size_survives(8 * CTZ_GIB - 1, CTZ_TAR_BLOCK);
    assert_size_survives(8 * CTZ_GIB, 3 * CTZ_TAR_BLOCK);
    assert_size_survives(UINT64_C(5) << 40, 3 * CTZ_TAR_BLOCK);
}

static void large_owners_stand_in_a_pax_header(void **state)
{
    (void)state;
    static const uint32_t ids[] = {0, 1000, 07777777, 010000000, 4294967294u};
    for (size_t i = 0; i < CTZ_COUNT(ids); i++) {
        struct ctz_buffer tar;
        ctz_buffer_init(&tar, CTZ_MIB);
        add(&tar, &(struct ctz_tar_entry){
                      .path = "f", .uid = ids[i], .gid = ids[i], .type = CTZ_TAR_FILE});
        add_end(&tar);
        struct archive_entry *entry;
        struct archive *archive = read_back(&tar, &entry);
        assert_int_equal(archive_entry_uid(entry), ids[i]);
        assert_int_equal(archive_entry_gid(entry), ids[i]);
        archive_read_free(archive);
        ctz_buffer_clear(&tar);
    }
}

static void a_pax_record_counts_its_own_digits(void **state)
{
    (void)state;
    // Values around the lengths where the count gains a digit: 10, 100, 1000.
    for (size_t length = 101; length < 1100; length++) {
        char path[1101];
        memset(path, 'p', length);
        path[length] = '\0';
        struct ctz_buffer tar;
        ctz_buffer_init(&tar, CTZ_MIB);
        add(&tar, &(struct ctz_tar_entry){.path = path, .type = CTZ_TAR_FILE});
        const char *record = tar.bytes + CTZ_TAR_BLOCK;
        char *rest;
        unsigned long counted = strtoul(record, &rest, 10);
        assert_memory_equal(rest, " path=", 6);
        assert_int_equal(counted, (size_t)(rest - record) + 6 + length + 1);
        assert_int_equal(record[counted - 1], '\n');
        ctz_buffer_clear(&tar);
    }
}

static void padding_fills_the_block(void **state)
{
    (void)state;
    assert_int_equal(ctz_tar_padding(0), 0);
    assert_int_equal(ctz_tar_padding(1), 511);
    assert_int_equal(ctz_tar_padding(511), 1);
    assert_int_equal(ctz_tar_padding(512), 0);
    assert_int_equal(ctz_tar_padding(8 * CTZ_GIB + 1), 511);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_short_name_makes_one_block_with_known_bytes),
        cmocka_unit_test(names_of_every_length_survive),
        cmocka_unit_test(a_name_without_slashes_survives_at_255_bytes),
        cmocka_unit_test(weird_names_survive),
        cmocka_unit_test(names_that_are_not_utf8_survive_short_and_long),
        cmocka_unit_test(the_locale_changes_no_byte),
        cmocka_unit_test(links_survive_short_and_long),
        cmocka_unit_test(a_hard_link_names_its_target),
        cmocka_unit_test(a_size_of_8_gib_stands_in_a_pax_header),
        cmocka_unit_test(large_owners_stand_in_a_pax_header),
        cmocka_unit_test(a_pax_record_counts_its_own_digits),
        cmocka_unit_test(padding_fills_the_block),
    };
    setlocale(LC_ALL, "C.UTF-8"); // libarchive's reader turns names into the locale's characters
    return cmocka_run_group_tests(tests, NULL, NULL);
}
