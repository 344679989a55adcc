// extract_test.c: tar streams become files, also those that were made to write elsewhere.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/image/extract.h"
#include "bindings/image/image.h"
#include "tests/c/scratch.h"

static void add(struct ctz_buffer *tar, char type, const char *path, const char *text)
{
    struct ctz_error err = {0};
    static const char zeros[1024];
    bool is_file = type == '0';
    size_t size = is_file ? strlen(text) : 0;
    struct ctz_tar_entry entry = {.path = path,
                                  .link = is_file ? NULL : text,
                                  .size_bytes = size,
                                  .mtime_s = 1600000000,
                                  .mode = type == '5' ? 0750 : 04640,
                                  .type = (enum ctz_tar_type)type};
    assert_int_equal(ctz_tar_header(tar, &entry, &err), 0);
    if (is_file) {
        ctz_buffer_append(tar, text, size);
        ctz_buffer_append(tar, zeros, ctz_tar_padding(size));
    }
}

static void begin(struct ctz_buffer *tar)
{
    ctz_buffer_init(tar, 1 << 24);
}

static void end(struct ctz_buffer *tar)
{
    static const char zeros[1024];
    ctz_buffer_append(tar, zeros, sizeof zeros);
}

static struct ctz_extract_options to(const char *path)
{
    return (struct ctz_extract_options){.path = path, .max_entries = 100};
}

// Feeds in pieces. -1 with err set.
static int extract(const struct ctz_extract_options *options, const struct ctz_buffer *tar,
                   size_t piece, struct ctz_error *err)
{
    struct ctz_extract *one = ctz_extract_new(options);
    int result = 0;
    for (size_t at = 0; result == 0 && at < tar->length; at += piece) {
        size_t size = tar->length - at < piece ? tar->length - at : piece;
        result = ctz_extract_feed(one, tar->bytes + at, size, err);
    }
    if (result == 0)
        result = ctz_extract_finish(one, err);
    ctz_extract_free(one);
    return result;
}

static void extract_well(const struct ctz_extract_options *options, struct ctz_buffer *tar)
{
    struct ctz_error err = {0};
    if (extract(options, tar, 333, &err) != 0)
        fail_msg("%s", ctz_error_message(&err));
    ctz_buffer_clear(tar);
}

static void extract_badly(const struct ctz_extract_options *options, struct ctz_buffer *tar,
                          enum ctz_error_kind kind, const char *text)
{
    struct ctz_error err = {0};
    assert_int_equal(extract(options, tar, 100000, &err), -1);
    assert_string_equal(ctz_error_kind_name(err.kind), ctz_error_kind_name(kind));
    if (!strstr(ctz_error_message(&err), text))
        fail_msg("\"%s\" does not say \"%s\"", ctz_error_message(&err), text);
    ctz_error_clear(&err);
    ctz_buffer_clear(tar);
}

static void assert_file(const char *path, const char *text)
{
    size_t size;
    char *found = scratch_read(path, &size);
    if (!found)
        fail_msg("there is no %s", path);
    assert_string_equal(found, text);
    free(found);
}

static void write_text(const char *path, const char *text)
{
    scratch_write(path, text, strlen(text));
}

static bool exists(const char *path)
{
    struct stat facts;
    return lstat(path, &facts) == 0;
}

TEST(files_folders_and_links_come_out_with_modes_and_times)
{
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '5', "out", NULL);
    add(&tar, '0', "out/a", "text");
    add(&tar, '2', "out/link", "../../etc");
    add(&tar, '1', "out/twin", "out/a");
    add(&tar, '6', "out/fifo", NULL);
    add(&tar, '0', "deep/in/b", "");
    end(&tar);
    struct ctz_extract_options options = to(*state);
    extract_well(&options, &tar);
    assert_file(scratch_path(*state, "out/a"), "text");
    assert_file(scratch_path(*state, "out/twin"), "text");
    assert_file(scratch_path(*state, "deep/in/b"), "");
    struct stat facts, twin;
    assert_int_equal(stat(scratch_path(*state, "out/a"), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0640); // without setuid
    assert_int_equal(facts.st_mtime, 1600000000);
    assert_int_equal(stat(scratch_path(*state, "out/twin"), &twin), 0);
    assert_int_equal(facts.st_ino, twin.st_ino);
    assert_int_equal(stat(scratch_path(*state, "out"), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0750);
    assert_int_equal(facts.st_mtime, 1600000000); // although files were made in it
    char target[32] = "";
    assert_int_equal(readlink(scratch_path(*state, "out/link"), target, sizeof target), 9);
    assert_string_equal(target, "../../etc");
    assert_int_equal(lstat(scratch_path(*state, "out/fifo"), &facts), 0);
    assert_true(S_ISFIFO(facts.st_mode));
}

TEST(pieces_of_any_size_give_the_same)
{
    for (size_t piece = 1; piece < 1100; piece += 37) {
        struct ctz_buffer tar;
        struct ctz_error err = {0};
        char path[40];
        begin(&tar);
        add(&tar, '0', "a", "first");
        add(&tar, '0', "d\303\251j\303\240", "second"); // with a pax header
        end(&tar);
        snprintf(path, sizeof path, "p%zu", piece);
        struct ctz_extract_options options = to(scratch_path(*state, path));
        assert_int_equal(extract(&options, &tar, piece, &err), 0);
        ctz_buffer_clear(&tar);
        snprintf(path, sizeof path, "p%zu/d\303\251j\303\240", piece);
        assert_file(scratch_path(*state, path), "second");
    }
}

TEST(leading_folders_can_be_dropped)
{
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '5', "data", NULL);
    add(&tar, '0', "data/a", "text");
    add(&tar, '1', "data/b", "data/a");
    end(&tar);
    struct ctz_extract_options options = to(scratch_path(*state, "new"));
    options.strip = 1;
    extract_well(&options, &tar);
    assert_file(scratch_path(*state, "new/b"), "text");
    struct stat facts;
    assert_int_equal(stat(scratch_path(*state, "new"), &facts), 0);
    assert_int_equal(facts.st_mode & 07777, 0750);
}

TEST(the_last_of_several_entries_of_one_name_wins)
{
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '0', "x", "one");
    add(&tar, '5', "x", NULL);
    add(&tar, '2', "x", "nowhere");
    add(&tar, '0', "x", "four");
    add(&tar, '5', "y", NULL);
    add(&tar, '0', "y", "file");
    end(&tar);
    struct ctz_extract_options options = to(*state);
    extract_well(&options, &tar);
    assert_file(scratch_path(*state, "x"), "four");
    assert_file(scratch_path(*state, "y"), "file");
}

TEST(a_folder_with_content_is_not_replaced_by_a_file)
{
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '0', "x/a", "one");
    add(&tar, '0', "x", "two");
    end(&tar);
    struct ctz_extract_options options = to(*state);
    extract_badly(&options, &tar, CTZ_ERROR_CONFLICT, "/x: ");
    assert_file(scratch_path(*state, "x/a"), "one");
    assert_int_equal(scratch_count(*state), 1);
}

TEST(nothing_is_written_outside_of_the_folder)
{
    static const char *const paths[] = {"../x", "a/../../x", "a/..", "/../x", ".."};
    for (size_t i = 0; i < CTZ_COUNT(paths); i++) {
        struct ctz_buffer tar;
        begin(&tar);
        add(&tar, '0', paths[i], "evil");
        end(&tar);
        struct ctz_extract_options options = to(scratch_path(*state, "in"));
        extract_badly(&options, &tar, CTZ_ERROR_PROTOCOL, "leads out of the folder");
    }
    assert_false(exists(scratch_path(*state, "x")));
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '0', "/etc/ctz-test", "contained");
    add(&tar, '0', "./a//./b", "clean");
    end(&tar);
    struct ctz_extract_options options = to(scratch_path(*state, "in"));
    extract_well(&options, &tar);
    assert_file(scratch_path(*state, "in/etc/ctz-test"), "contained");
    assert_file(scratch_path(*state, "in/a/b"), "clean");
    assert_false(exists("/etc/ctz-test"));
}

TEST(links_are_not_written_through)
{
    struct ctz_buffer tar;
    mkdir(scratch_path(*state, "in"), 0755);
    mkdir(scratch_path(*state, "outside"), 0755);
    write_text(scratch_path(*state, "secret"), "keep");
    struct ctz_extract_options options = to(scratch_path(*state, "in"));
    begin(&tar);
    add(&tar, '2', "way", "../outside");
    add(&tar, '0', "way/x", "evil");
    end(&tar);
    extract_badly(&options, &tar, CTZ_ERROR_PROTOCOL, "\"way/x\", which goes through a link");
    begin(&tar);
    add(&tar, '1', "way/x", "way");
    end(&tar);
    extract_badly(&options, &tar, CTZ_ERROR_PROTOCOL, "goes through a link");
    begin(&tar);
    add(&tar, '1', "twin", "../secret");
    end(&tar);
    extract_badly(&options, &tar, CTZ_ERROR_PROTOCOL, "leads out of the folder");
    begin(&tar); // a link that is there is replaced, not followed
    assert_int_equal(symlink("../secret", scratch_path(*state, "in/old")), 0);
    add(&tar, '0', "old", "new");
    add(&tar, '2', "hop", "../secret");
    add(&tar, '1', "hop2", "hop");
    add(&tar, '0', "hop2", "evil");
    end(&tar);
    extract_well(&options, &tar);
    assert_file(scratch_path(*state, "secret"), "keep");
    assert_file(scratch_path(*state, "in/old"), "new");
    assert_int_equal(scratch_count(scratch_path(*state, "outside")), 0);
}

TEST(devices_are_not_made)
{
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '3', "null", NULL);
    add(&tar, '4', "disk", NULL);
    add(&tar, '0', "a", "text");
    end(&tar);
    struct ctz_extract_options options = to(*state);
    extract_well(&options, &tar);
    assert_int_equal(scratch_count(*state), 1);
}

TEST(a_stream_that_is_cut_anywhere_is_an_error)
{
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '5', "d", NULL);
    add(&tar, '0', "d/a", "some text");
    add(&tar, '0', "d\303\251", "more");
    size_t whole = tar.length;
    end(&tar);
    for (size_t cut = 0; cut<whole + 512; cut += cut % 512> 20 && cut % 512 < 490 ? 97 : 1) {
        struct ctz_error err = {0};
        struct ctz_buffer part = {.bytes = tar.bytes, .length = cut};
        struct ctz_extract_options options = to(*state);
        if (extract(&options, &part, 512, &err) == 0)
            fail_msg("%zu of %zu bytes were taken for all", cut, tar.length);
        assert_int_equal(err.kind, CTZ_ERROR_PROTOCOL);
        ctz_error_clear(&err);
    }
    ctz_buffer_clear(&tar);
}

TEST(flipped_bits_never_do_harm)
{
    struct ctz_buffer tar;
    begin(&tar);
    add(&tar, '0', "a", "some text");
    add(&tar, '2', "l", "a");
    add(&tar, '0', "d\303\251", "more");
    end(&tar);
    srand(1);
    for (int i = 0; i < 3000; i++) {
        struct ctz_error err = {0};
        struct ctz_buffer spoiled = {.bytes = malloc(tar.length), .length = tar.length};
        memcpy(spoiled.bytes, tar.bytes, tar.length);
        for (int j = 0; j <= i % 4; j++)
            spoiled.bytes[(size_t)rand() % tar.length] ^= (char)(1 << rand() % 8);
        // A checksum that is right, so that what follows it is reached.
        for (size_t block = 0; i % 2 && block + 512 <= tar.length; block += 512) {
            char *header = spoiled.bytes + block;
            unsigned sum = 8 * ' ';
            for (size_t k = 0; k < 512; k++)
                sum += k >= 148 && k < 156 ? 0 : (unsigned char)header[k];
            if (memcmp(header + 257, "ustar", 5) == 0)
                snprintf(header + 148, 8, "%06o", sum);
        }
        struct ctz_extract_options options = to(*state);
        extract(&options, &spoiled, 700, &err);
        ctz_error_clear(&err);
        free(spoiled.bytes);
    }
    ctz_buffer_clear(&tar);
}

static void add_block(struct ctz_buffer *tar, const char *name, char type, const char *size)
{
    char block[512] = "";
    snprintf(block, 100, "%s", name);
    memcpy(block + 100, "0000644\0000000000\0000000000\000", 24);
    memcpy(block + 124, size, 12);
    memcpy(block + 136, "00000000000", 11);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    unsigned sum = 8 * ' ';
    for (size_t i = 0; i < 512; i++)
        sum += (unsigned char)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    ctz_buffer_append(tar, block, sizeof block);
}

static void expect_malformed(void *state, const char *pax, char type, const char *size,
                             enum ctz_error_kind kind)
{
    struct ctz_buffer tar;
    char block[512] = "", length[24];
    begin(&tar);
    if (pax) {
        snprintf(length, sizeof length, "%011zo", strlen(pax));
        add_block(&tar, "PaxHeader", 'x', length);
        memcpy(block, pax, strlen(pax));
        ctz_buffer_append(&tar, block, sizeof block);
    }
    add_block(&tar, "name", type, size);
    end(&tar);
    struct ctz_extract_options options = to(state);
    extract_badly(&options, &tar, kind, "tar");
}

TEST(malformed_headers_are_errors)
{
    static const char none[12] = "00000000000";
    expect_malformed(*state, NULL, '0', "0000000000x", CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, NULL, '0', "\377\377\377\377\377\377\377\377\377\377\377\377",
                     CTZ_ERROR_PROTOCOL); // -1
    expect_malformed(*state, NULL, '0', "\200\177\177\177\177\177\177\177\177\177\177\177",
                     CTZ_ERROR_PROTOCOL); // more than 64 bits
    expect_malformed(*state, NULL, 'S', none, CTZ_ERROR_UNSUPPORTED);
    expect_malformed(*state, NULL, 'V', none, CTZ_ERROR_UNSUPPORTED);
    expect_malformed(*state, NULL, 'x', "77777777777", CTZ_ERROR_SIZE);
    expect_malformed(*state, NULL, 'L', "77777777777", CTZ_ERROR_SIZE);
    expect_malformed(*state, "99 path=x\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "0 path=x\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "-9 path=x\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "9 path:x\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "10 path=xy", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "29 size=9223372036854775807\n\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "30 size=99999999999999999999\n\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "11 size=-1\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "11 size=1x\n", '0', none, CTZ_ERROR_PROTOCOL);
    expect_malformed(*state, "22 GNU.sparse.major=1\n", '0', none, CTZ_ERROR_UNSUPPORTED);
    assert_int_equal(scratch_count(*state), 0);
}

// What other programs write, by libarchive.
static void expect_format(void *state, int format, time_t mtime_s)
{
    char *bytes = malloc(1 << 20), name[301];
    size_t used = 0;
    memset(name, 'n', 250);
    memcpy(name + 250, "/long", 6);
    name[100] = '/';
    struct archive *archive = archive_write_new();
    struct archive_entry *entry = archive_entry_new();
    archive_write_set_format(archive, format);
    archive_write_open_memory(archive, bytes, 1 << 20, &used);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0600);
    archive_entry_set_size(entry, 4);
    archive_entry_set_uid(entry, 1 << 30); // in base 256, or a pax record
    archive_entry_set_mtime(entry, mtime_s, 0);
    assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(archive, "text", 4), 4);
    archive_entry_free(entry);
    archive_write_close(archive);
    archive_write_free(archive);
    struct ctz_buffer tar = {.bytes = bytes, .length = used};
    struct ctz_error err = {0};
    struct ctz_extract_options options = to(state);
    if (extract(&options, &tar, 512, &err) != 0)
        fail_msg("%s", ctz_error_message(&err));
    assert_file(scratch_path(state, name), "text");
    struct stat facts;
    assert_int_equal(stat(scratch_path(state, name), &facts), 0);
    assert_int_equal(facts.st_mtime, mtime_s);
    free(bytes);
}

TEST(tars_of_gnu_and_pax_are_read)
{
    expect_format(*state, ARCHIVE_FORMAT_TAR_GNUTAR, 1600000000);
    expect_format(*state, ARCHIVE_FORMAT_TAR_PAX_INTERCHANGE, -5);
}

TEST(there_is_a_most_of_entries)
{
    struct ctz_buffer tar;
    begin(&tar);
    for (int i = 0; i < 3; i++)
        add(&tar, '0', "a", "");
    end(&tar);
    struct ctz_extract_options options = to(*state);
    options.max_entries = 2;
    extract_badly(&options, &tar, CTZ_ERROR_SIZE, "more than 2 entries");
}

TEST(a_single_file_replaces_the_old_one_when_it_is_whole)
{
    struct ctz_buffer tar;
    const char *path = scratch_path(*state, "file");
    struct ctz_extract_options options = to(path);
    options.is_file = true;
    write_text(path, "old");
    begin(&tar);
    add(&tar, '0', "name", "new text");
    size_t whole = tar.length;
    extract_badly(&options, &tar, CTZ_ERROR_PROTOCOL, "ends early");
    assert_file(path, "old");
    assert_int_equal(scratch_count(*state), 1);
    begin(&tar);
    add(&tar, '0', "../../name", "new text"); // the name is of no importance
    end(&tar);
    assert_true(tar.length > whole);
    extract_well(&options, &tar);
    assert_file(path, "new text");
    begin(&tar);
    add(&tar, '2', "name", "target");
    end(&tar);
    extract_well(&options, &tar);
    char target[32] = "";
    assert_int_equal(readlink(path, target, sizeof target), 6);
    assert_int_equal(scratch_count(*state), 1);
}

TEST(a_single_file_is_one_and_no_folder)
{
    struct ctz_buffer tar;
    struct ctz_extract_options options = to(scratch_path(*state, "file"));
    options.is_file = true;
    begin(&tar);
    add(&tar, '5', "d", NULL);
    end(&tar);
    extract_badly(&options, &tar, CTZ_ERROR_CONFLICT, "\"d/\" is a folder");
    begin(&tar);
    add(&tar, '0', "a", "x");
    add(&tar, '0', "b", "x");
    end(&tar);
    extract_badly(&options, &tar, CTZ_ERROR_CONFLICT, "more than one file");
    begin(&tar);
    end(&tar);
    extract_badly(&options, &tar, CTZ_ERROR_PROTOCOL, "no file");
    begin(&tar);
    add(&tar, '0', "a", "x");
    end(&tar);
    options.path = *state;
    struct ctz_error err = {0};
    assert_int_equal(extract(&options, &tar, 512, &err), -1);
    assert_string_equal(err.code, "EISDIR");
    ctz_error_clear(&err);
    options.path = scratch_path(*state, "missing/file");
    extract_badly(&options, &tar, CTZ_ERROR_NOT_FOUND, "missing/file");
    assert_int_equal(scratch_count(*state), 0);
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(files_folders_and_links_come_out_with_modes_and_times),
        SCRATCH_TEST(pieces_of_any_size_give_the_same),
        SCRATCH_TEST(leading_folders_can_be_dropped),
        SCRATCH_TEST(the_last_of_several_entries_of_one_name_wins),
        SCRATCH_TEST(a_folder_with_content_is_not_replaced_by_a_file),
        SCRATCH_TEST(nothing_is_written_outside_of_the_folder),
        SCRATCH_TEST(links_are_not_written_through),
        SCRATCH_TEST(devices_are_not_made),
        SCRATCH_TEST(a_stream_that_is_cut_anywhere_is_an_error),
        SCRATCH_TEST(flipped_bits_never_do_harm),
        SCRATCH_TEST(malformed_headers_are_errors),
        SCRATCH_TEST(tars_of_gnu_and_pax_are_read),
        SCRATCH_TEST(there_is_a_most_of_entries),
        SCRATCH_TEST(a_single_file_replaces_the_old_one_when_it_is_whole),
        SCRATCH_TEST(a_single_file_is_one_and_no_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
