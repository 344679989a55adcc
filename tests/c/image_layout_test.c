// image_layout_test.c: the layout folder, blobs and the atomic replacement of files.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bindings/image/image.h"
#include "host/limits.h"
#include "tests/c/scratch.h"

#define HELLO_HEX    "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
#define HELLO_DIGEST "sha256:" HELLO_HEX
#define HELLO_SHA512                                                                               \
    "sha512:9b71d224bd62f3785d96d46ad3ea3d73319bfbc2890caadae2dff72519673ca7"                      \
    "2323c3d99ba5c11d7c7acc6e14b8c5da0c4663475c2e5c3adef46f73bcdec043"

static void assert_content(const char *path, const char *expected)
{
    char *text = scratch_read(path, NULL);
    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static const char *hello_path(void *state)
{
    return scratch_path(state, "blobs/sha256/" HELLO_HEX);
}

// --- digests -----------------------------------------------------------------------------------

static void a_digest_is_that_of_the_standard(void **state)
{
    (void)state;
    struct ctz_error err = {0};
    struct ctz_digest digest;
    char text[CTZ_DIGEST_BYTES];
    assert_int_equal(ctz_digest_init(&digest, &err), 0);
    assert_int_equal(ctz_digest_update(&digest, "hel", 3, &err), 0);
    assert_int_equal(ctz_digest_update(&digest, "lo", 2, &err), 0);
    assert_int_equal(ctz_digest_final(&digest, text, &err), 0);
    assert_string_equal(text, HELLO_DIGEST);
    ctz_digest_clear(&digest);
    assert_int_equal(ctz_digest_init_as(&digest, HELLO_SHA512, &err), 0);
    assert_int_equal(ctz_digest_update(&digest, "hello", 5, &err), 0);
    assert_int_equal(ctz_digest_final(&digest, text, &err), 0);
    assert_string_equal(text, HELLO_SHA512);
    ctz_digest_clear(&digest);
}

static void only_a_whole_lower_case_digest_is_valid(void **state)
{
    (void)state;
    assert_true(ctz_digest_is_valid(HELLO_DIGEST));
    assert_false(ctz_digest_is_valid(""));
    assert_false(ctz_digest_is_valid("sha256:"));
    assert_false(ctz_digest_is_valid(HELLO_DIGEST "0"));
    assert_true(ctz_digest_is_valid(HELLO_SHA512));
    assert_false(ctz_digest_is_valid(HELLO_SHA512 "0"));
    assert_false(ctz_digest_is_valid("sha512:" HELLO_HEX));
    assert_false(ctz_digest_is_valid(
        "sha256:2CF24DBA5FB0A30E26E83B2AC5B9E29E1B161E5C1FA7425E73043362938B9824"));
    assert_false(ctz_digest_is_valid(
        "sha256:../../../../../../../../../../../../../../../../../../../etc/passwd"));
}

// --- the folder --------------------------------------------------------------------------------

static void a_new_folder_becomes_a_layout(void **state)
{
    struct ctz_error err = {0};
    const char *folder = scratch_path(*state, "a/b/c");
    assert_int_equal(ctz_layout_prepare(folder, &err), 0);
    assert_content(scratch_path(*state, "a/b/c/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}");
    assert_int_equal(scratch_count(scratch_path(*state, "a/b/c/blobs/sha256")), 0);
    assert_int_equal(ctz_layout_prepare(folder, &err), 0); // and stays one
    assert_int_equal(scratch_count(folder), 2);
}

static void a_folder_with_other_files_is_refused_and_left_alone(void **state)
{
    struct ctz_error err = {0};
    scratch_write(scratch_path(*state, "thesis.txt"), "x", 1);
    assert_int_equal(ctz_layout_prepare(*state, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_CONFLICT);
    assert_non_null(strstr(err.message, "holds other files (thesis.txt) and is no OCI layout"));
    assert_non_null(err.hint);
    assert_int_equal(scratch_count(*state), 1);
    ctz_error_clear(&err);
}

static void a_layout_of_another_version_is_refused(void **state)
{
    struct ctz_error err = {0};
    static const char *const texts[] = {"{\"imageLayoutVersion\":\"2.0.0\"}", "", "{}", "null"};
    for (size_t i = 0; i < CTZ_COUNT(texts); i++) {
        scratch_write(scratch_path(*state, "oci-layout"), texts[i], strlen(texts[i]));
        assert_int_equal(ctz_layout_prepare(*state, &err), -1);
        assert_int_equal(err.kind, CTZ_ERROR_UNSUPPORTED);
    }
    static const char spaced[] = "{ \"imageLayoutVersion\" :\n\t\"1.0.0\" }";
    scratch_write(scratch_path(*state, "oci-layout"), spaced, sizeof spaced - 1);
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    ctz_error_clear(&err);
}

static void a_file_in_the_way_of_the_folder_is_an_error(void **state)
{
    struct ctz_error err = {0};
    scratch_write(scratch_path(*state, "file"), "x", 1);
    assert_int_equal(ctz_layout_prepare(scratch_path(*state, "file/layout"), &err), -1);
    assert_string_equal(err.code, "ENOTDIR");
    ctz_error_clear(&err);
}

// --- blobs -------------------------------------------------------------------------------------

static int write_hello(const char *layout, char digest[CTZ_DIGEST_BYTES], struct ctz_error *err)
{
    struct ctz_blob blob;
    int result = ctz_blob_open(&blob, layout, err);
    if (result == 0)
        result = ctz_blob_write(&blob, "hello", 5, err);
    if (result == 0)
        result = ctz_blob_commit(&blob, digest, err);
    ctz_blob_clear(&blob);
    return result;
}

static void a_blob_stands_under_its_digest(void **state)
{
    struct ctz_error err = {0};
    char digest[CTZ_DIGEST_BYTES];
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    assert_int_equal(write_hello(*state, digest, &err), 0);
    assert_string_equal(digest, HELLO_DIGEST);
    assert_content(hello_path(*state), "hello");
    assert_int_equal(scratch_count(scratch_path(*state, "blobs/sha256")), 1);
}

static void a_blob_that_is_there_is_kept(void **state)
{
    struct ctz_error err = {0};
    char digest[CTZ_DIGEST_BYTES];
    struct stat before, after;
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    assert_int_equal(write_hello(*state, digest, &err), 0);
    assert_int_equal(stat(hello_path(*state), &before), 0);
    assert_int_equal(write_hello(*state, digest, &err), 0);
    assert_int_equal(stat(hello_path(*state), &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(scratch_count(scratch_path(*state, "blobs/sha256")), 1);
}

static void a_blob_of_the_wrong_size_is_replaced(void **state)
{
    struct ctz_error err = {0};
    char digest[CTZ_DIGEST_BYTES];
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    scratch_write(hello_path(*state), "hel", 3);
    assert_int_equal(write_hello(*state, digest, &err), 0);
    assert_content(hello_path(*state), "hello");
}

static void a_blob_that_is_not_committed_leaves_nothing(void **state)
{
    struct ctz_error err = {0};
    struct ctz_blob blob;
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    assert_int_equal(ctz_blob_open(&blob, *state, &err), 0);
    assert_int_equal(ctz_blob_write(&blob, "hello", 5, &err), 0);
    assert_false(blob.fd < 0);
    ctz_blob_clear(&blob);
    assert_int_equal(scratch_count(scratch_path(*state, "blobs/sha256")), 0);
}

static void a_blob_without_a_layout_is_only_counted_and_hashed(void **state)
{
    struct ctz_error err = {0};
    struct ctz_blob blob;
    char digest[CTZ_DIGEST_BYTES];
    assert_int_equal(ctz_blob_open(&blob, NULL, &err), 0);
    assert_int_equal(ctz_blob_write(&blob, "hello", 5, &err), 0);
    assert_int_equal(ctz_blob_commit(&blob, digest, &err), 0);
    assert_int_equal(blob.size_bytes, 5);
    assert_string_equal(digest, HELLO_DIGEST);
    ctz_blob_clear(&blob);
    assert_int_equal(scratch_count(*state), 0);
}

// --- files -------------------------------------------------------------------------------------

static void a_file_is_replaced_as_a_whole(void **state)
{
    struct ctz_error err = {0};
    const char *path = scratch_path(*state, "index.json");
    assert_int_equal(ctz_file_replace(path, "first", 5, &err), 0);
    assert_content(path, "first");
    assert_int_equal(ctz_file_replace(path, "2", 1, &err), 0);
    assert_content(path, "2");
    assert_int_equal(scratch_count(*state), 1);
}

// In a mount namespace of its own, with a file system of 64 KiB. Exit 0: as expected; 77: not
// allowed.
static int fill_a_small_disk(const char *folder)
{
    struct ctz_error err = {0};
    char index[4096], *content = calloc(1, CTZ_MIB);
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", folder, "tmpfs", 0, "size=64k") != 0)
        return 77;
    snprintf(index, sizeof index, "%s/index.json", folder);
    if (ctz_layout_prepare(folder, &err) != 0 || ctz_file_replace(index, "old", 3, &err) != 0)
        return 1;
    struct ctz_blob blob;
    if (ctz_blob_open(&blob, folder, &err) != 0 ||
        ctz_blob_write(&blob, content, CTZ_MIB, &err) != -1 || strcmp(err.code, "ENOSPC") != 0)
        return 2;
    ctz_blob_clear(&blob);
    if (ctz_file_replace(index, content, CTZ_MIB, &err) != -1 || strcmp(err.code, "ENOSPC") != 0 ||
        !err.hint)
        return 3;
    ctz_error_clear(&err);
    free(content);
    char *text = scratch_read(index, NULL);
    int old = text && strcmp(text, "old") == 0;
    free(text);
    snprintf(index, sizeof index, "%s/blobs/sha256", folder);
    if (!old || scratch_count(folder) != 3 || scratch_count(index) != 0)
        return 4;
    return 0;
}

static void a_full_disk_leaves_the_old_index_and_nothing_else(void **state)
{
    pid_t child = fork();
    if (child == 0)
        _exit(fill_a_small_disk(*state));
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == 77) {
        print_message("needs root: a file system of 64 KiB is mounted\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

#define SCRATCH_TEST(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_digest_is_that_of_the_standard),
        cmocka_unit_test(only_a_whole_lower_case_digest_is_valid),
        SCRATCH_TEST(a_new_folder_becomes_a_layout),
        SCRATCH_TEST(a_folder_with_other_files_is_refused_and_left_alone),
        SCRATCH_TEST(a_layout_of_another_version_is_refused),
        SCRATCH_TEST(a_file_in_the_way_of_the_folder_is_an_error),
        SCRATCH_TEST(a_blob_stands_under_its_digest),
        SCRATCH_TEST(a_blob_that_is_there_is_kept),
        SCRATCH_TEST(a_blob_of_the_wrong_size_is_replaced),
        SCRATCH_TEST(a_blob_that_is_not_committed_leaves_nothing),
        SCRATCH_TEST(a_blob_without_a_layout_is_only_counted_and_hashed),
        SCRATCH_TEST(a_file_is_replaced_as_a_whole),
        SCRATCH_TEST(a_full_disk_leaves_the_old_index_and_nothing_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
