// image_partial_test.c: blobs that come from elsewhere: checked, locked, gone on with.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bindings/image/image.h"
#include "tests/c/scratch.h"

#define HELLO_HEX    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_DIGEST "sha256:" HELLO_HEX
#define BLOBS        "blobs/sha256/"
#define PART         BLOBS ".ctz-part-" HELLO_HEX

static int prepare(void **state)
{
    struct ctz_error err = {0};
    return scratch_make(state) == 0 ? ctz_layout_prepare(*state, &err) : -1;
}

static struct ctz_partial_options hello(void *state)
{
    return (struct ctz_partial_options){
        .layout = state, .digest = HELLO_DIGEST, .size_bytes = 5, .resume = true, .sync = true};
}

static void assert_there(void *state, const char *name, const char *expected)
{
    char *text = scratch_read(scratch_path(state, name), NULL);
    if (!expected) {
        assert_null(text);
        return;
    }
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void is_in_its_place_when_digest_and_size_are_right(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_false(partial.resumed);
    assert_int_equal(ctz_partial_write(&partial, "hel", 3, &err), 0);
    assert_there(*state, BLOBS HELLO_HEX, NULL);
    assert_int_equal(ctz_partial_write(&partial, "lo", 2, &err), 0);
    assert_int_equal(ctz_partial_commit(&partial, &err), 0);
    ctz_partial_clear(&partial, true);
    assert_there(*state, BLOBS HELLO_HEX, "hello");
    assert_int_equal(scratch_count(scratch_path(*state, "blobs/sha256")), 1);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_WHOLE);
    ctz_partial_clear(&partial, true);
}

static void stays_when_it_is_left_and_is_gone_on_with(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_write(&partial, "hel", 3, &err), 0);
    ctz_partial_clear(&partial, true);
    assert_there(*state, PART, "hel");
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_true(partial.resumed);
    assert_int_equal(ctz_partial_read_again(&partial, NULL, NULL, &err), 0);
    assert_int_equal(partial.size_bytes, 3);
    assert_int_equal(ctz_partial_write(&partial, "lo", 2, &err), 0);
    assert_int_equal(ctz_partial_commit(&partial, &err), 0);
    ctz_partial_clear(&partial, true);
    assert_there(*state, BLOBS HELLO_HEX, "hello");
}

static void goes_when_it_is_left_and_not_to_be_kept(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_write(&partial, "hel", 3, &err), 0);
    ctz_partial_clear(&partial, false);
    assert_there(*state, PART, NULL);
}

static void is_refused_with_another_digest_or_size(void **state)
{
    static const struct {
        const char *content;
        enum ctz_error_kind kind;
        bool kept;
    } cases[] = {{"help!", CTZ_ERROR_DIGEST, false}, {"hell", CTZ_ERROR_SIZE, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ctz_error err = {0};
        struct ctz_partial partial;
        struct ctz_partial_options options = hello(*state);
        assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
        const char *content = cases[i].content;
        assert_int_equal(ctz_partial_write(&partial, content, strlen(content), &err), 0);
        assert_int_equal(ctz_partial_commit(&partial, &err), -1);
        assert_int_equal(err.kind, cases[i].kind);
        ctz_partial_clear(&partial, true);
        assert_there(*state, BLOBS HELLO_HEX, NULL);
        assert_there(*state, PART, cases[i].kept ? content : NULL);
        ctz_error_clear(&err);
    }
}

static void takes_no_byte_more_than_was_announced(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_write(&partial, "hello", 5, &err), 0);
    assert_int_equal(ctz_partial_write(&partial, "", 0, &err), 0);
    assert_int_equal(ctz_partial_write(&partial, "!", 1, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_SIZE);
    ctz_partial_clear(&partial, true);
    assert_there(*state, PART, NULL);
    ctz_error_clear(&err);
}

static void is_written_by_one_at_a_time(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial first, second;
    struct ctz_partial_options options = hello(*state);
    assert_int_equal(ctz_partial_open(&first, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_open(&second, &options, &err), CTZ_PARTIAL_BUSY);
    ctz_partial_clear(&second, true);
    assert_int_equal(ctz_partial_write(&first, "hel", 3, &err), 0);
    ctz_partial_clear(&first, true);
    assert_int_equal(ctz_partial_open(&second, &options, &err), CTZ_PARTIAL_OPEN);
    assert_true(second.resumed);
    ctz_partial_clear(&second, true);
}

static void begins_anew_what_is_too_long_or_not_wanted(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    scratch_write(scratch_path(*state, PART), "hello and more", 14);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_false(partial.resumed);
    ctz_partial_clear(&partial, true);
    scratch_write(scratch_path(*state, PART), "hel", 3);
    options.resume = false;
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_write(&partial, "hello", 5, &err), 0);
    assert_int_equal(ctz_partial_commit(&partial, &err), 0);
    ctz_partial_clear(&partial, true);
    assert_there(*state, BLOBS HELLO_HEX, "hello");
}

static void follows_no_link(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    scratch_write(scratch_path(*state, "victim"), "keep", 4);
    assert_int_equal(symlink(scratch_path(*state, "victim"), scratch_path(*state, PART)), 0);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_FAILED);
    assert_int_equal(err.kind, CTZ_ERROR_IO);
    ctz_partial_clear(&partial, true);
    assert_there(*state, "victim", "keep");
    ctz_error_clear(&err);
}

static void a_digest_of_another_kind_is_refused(void **state)
{
    static const char *const digests[] = {"sha512:00", "sha256:../../etc/passwd", "", "md5:00"};
    for (size_t i = 0; i < sizeof digests / sizeof *digests; i++) {
        struct ctz_error err = {0};
        struct ctz_partial partial;
        struct ctz_partial_options options = hello(*state);
        options.digest = digests[i];
        assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_FAILED);
        assert_int_equal(err.kind, CTZ_ERROR_UNSUPPORTED);
        ctz_partial_clear(&partial, true);
        ctz_error_clear(&err);
    }
}

static void a_check_writes_nothing(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    options.layout = NULL;
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_write(&partial, "hello", 5, &err), 0);
    assert_int_equal(ctz_partial_commit(&partial, &err), 0);
    ctz_partial_clear(&partial, true);
    assert_int_equal(scratch_count(scratch_path(*state, "blobs/sha256")), 0);
}

static void a_file_of_any_content_has_its_name_at_last(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = {.file = scratch_path(*state, "out.tar")};
    scratch_write(scratch_path(*state, "out.tar"), "old", 3);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_write(&partial, "new!", 4, &err), 0);
    assert_there(*state, "out.tar", "old");
    assert_int_equal(ctz_partial_commit(&partial, &err), 0);
    ctz_partial_clear(&partial, false);
    assert_there(*state, "out.tar", "new!");
    assert_there(*state, ".out.tar.ctz-part", NULL);
}

#define OTHER      "11112222333344445555666677778888999900001111222233334444555566aa"
#define OTHER_PART BLOBS ".ctz-part-" OTHER

static void make_old(void *state, const char *name)
{
    const struct timespec times[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, scratch_path(state, name), times, AT_SYMLINK_NOFOLLOW), 0);
}

static void a_sweep_takes_what_is_old_and_what_has_come_otherwise(void **state)
{
    scratch_write(scratch_path(*state, PART), "hel", 3);
    scratch_write(scratch_path(*state, OTHER_PART), "x", 1);
    ctz_partial_sweep(*state); // both are young
    assert_there(*state, PART, "hel");
    make_old(*state, OTHER_PART);
    ctz_partial_sweep(*state);
    assert_there(*state, PART, "hel");
    assert_there(*state, OTHER_PART, NULL);
    scratch_write(scratch_path(*state, BLOBS HELLO_HEX), "hello", 5);
    ctz_partial_sweep(*state);
    assert_there(*state, PART, NULL);
    assert_there(*state, BLOBS HELLO_HEX, "hello");
    ctz_partial_sweep("/nowhere");
}

static void a_sweep_leaves_what_somebody_holds(void **state)
{
    struct ctz_error err = {0};
    struct ctz_partial partial;
    struct ctz_partial_options options = hello(*state);
    assert_int_equal(ctz_partial_open(&partial, &options, &err), CTZ_PARTIAL_OPEN);
    assert_int_equal(ctz_partial_write(&partial, "hel", 3, &err), 0);
    make_old(*state, PART);
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    assert_there(*state, PART, "hel");
    assert_int_equal(ctz_partial_write(&partial, "lo", 2, &err), 0);
    assert_int_equal(ctz_partial_commit(&partial, &err), 0);
    ctz_partial_clear(&partial, true);
    assert_there(*state, BLOBS HELLO_HEX, "hello");
}

static void a_sweep_leaves_links_and_folders(void **state)
{
    char target[PATH_MAX];
    snprintf(target, sizeof target, "%s", scratch_path(*state, "target"));
    scratch_write(target, "kept", 4);
    assert_int_equal(symlink(target, scratch_path(*state, PART)), 0);
    assert_int_equal(mkdir(scratch_path(*state, OTHER_PART), 0700), 0);
    make_old(*state, PART);
    make_old(*state, OTHER_PART);
    make_old(*state, "target");
    assert_int_equal(ctz_layout_prepare(*state, &(struct ctz_error){0}), 0);
    assert_there(*state, "target", "kept");
    assert_int_equal(scratch_count(scratch_path(*state, "blobs/sha256")), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, prepare, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_in_its_place_when_digest_and_size_are_right),
        TEST(stays_when_it_is_left_and_is_gone_on_with),
        TEST(goes_when_it_is_left_and_not_to_be_kept),
        TEST(is_refused_with_another_digest_or_size),
        TEST(takes_no_byte_more_than_was_announced),
        TEST(is_written_by_one_at_a_time),
        TEST(begins_anew_what_is_too_long_or_not_wanted),
        TEST(follows_no_link),
        TEST(a_digest_of_another_kind_is_refused),
        TEST(a_check_writes_nothing),
        TEST(a_file_of_any_content_has_its_name_at_last),
        TEST(a_sweep_takes_what_is_old_and_what_has_come_otherwise),
        TEST(a_sweep_leaves_what_somebody_holds),
        TEST(a_sweep_leaves_links_and_folders),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
