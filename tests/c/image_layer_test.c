// image_layer_test.c: trees and whole layers; every allocation and system call made to fail.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bindings/image/image.h"
#include "host/alloc.h"
#include "host/limits.h"
#include "tests/c/scratch.h"

extern char **environ;
static const char *own_path;

static int write_layer(struct ctz_layer_entry *entries, size_t count, const char *layout,
                       struct ctz_layer_result *result, struct ctz_error *err)
{
    struct ctz_layer_options options = {.layout = layout, .compression = CTZ_GZIP};
    return ctz_layer_write(entries, count, &options, result, err);
}

static struct ctz_layer_entry file_entry(const char *path, const char *source)
{
    return (struct ctz_layer_entry){.tar = {.path = path, .mode = 0644, .type = CTZ_TAR_FILE},
                                    .source = source};
}

static struct ctz_layer_entry text_entry(const char *path, const char *text)
{
    return (struct ctz_layer_entry){
        .tar = {.path = path, .mode = 0644, .size_bytes = strlen(text), .type = CTZ_TAR_FILE},
        .text = text};
}

static struct ctz_layer_entry dir_entry(const char *path)
{
    return (struct ctz_layer_entry){.tar = {.path = path, .mode = 0755, .type = CTZ_TAR_DIR}};
}

// --- trees -------------------------------------------------------------------------------------

static void a_tree_lists_folders_before_their_content_in_byte_order(void **state)
{
    struct ctz_error err = {0};
    struct ctz_tree tree;
    mkdir(scratch_path(*state, "b"), 0700);
    mkdir(scratch_path(*state, "b/deep"), 0700);
    scratch_write(scratch_path(*state, "b/deep/x"), "12345", 5);
    scratch_write(scratch_path(*state, "b.txt"), "1", 1);
    scratch_write(scratch_path(*state, "a"), "", 0);
    chmod(scratch_path(*state, "a"), 0700);
    assert_int_equal(symlink("../gone", scratch_path(*state, "b/link")), 0);
    assert_int_equal(ctz_tree_list(&tree, *state, 100, NULL, NULL, &err), 0);
    static const char *const paths[] = {"", "a", "b", "b.txt", "b/deep", "b/deep/x", "b/link"};
    assert_int_equal(tree.count, CTZ_COUNT(paths));
    for (size_t i = 0; i < CTZ_COUNT(paths); i++)
        assert_string_equal(tree.nodes[i].path, paths[i]);
    assert_true(tree.nodes[1].executable);
    assert_false(tree.nodes[3].executable);
    assert_int_equal(tree.nodes[5].size_bytes, 5);
    assert_int_equal(tree.nodes[6].type, CTZ_TREE_LINK);
    assert_string_equal(tree.nodes[6].link, "../gone");
    ctz_tree_clear(&tree);
}

static void a_link_given_as_root_is_followed(void **state)
{
    struct ctz_error err = {0};
    struct ctz_tree tree;
    scratch_write(scratch_path(*state, "file"), "x", 1);
    assert_int_equal(symlink("file", scratch_path(*state, "link")), 0);
    assert_int_equal(ctz_tree_list(&tree, scratch_path(*state, "link"), 9, NULL, NULL, &err), 0);
    assert_int_equal(tree.count, 1);
    assert_int_equal(tree.nodes[0].type, CTZ_TREE_FILE);
    assert_string_equal(tree.root, scratch_path(*state, "file"));
    ctz_tree_clear(&tree);
}

static void a_missing_root_is_not_found(void **state)
{
    struct ctz_error err = {0};
    struct ctz_tree tree;
    const char *path = scratch_path(*state, "nowhere");
    assert_int_equal(ctz_tree_list(&tree, path, 9, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_NOT_FOUND);
    assert_string_equal(err.target, path);
    ctz_error_clear(&err);
}

static void a_tree_names_what_is_no_file(void **state)
{
    struct ctz_error err = {0};
    struct ctz_tree tree;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", (const char *)*state);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(mkfifo(scratch_path(*state, "f"), 0600), 0);
    assert_int_equal(ctz_tree_list(&tree, *state, 9, NULL, NULL, &err), 0);
    assert_int_equal(tree.nodes[1].type, CTZ_TREE_OTHER);
    assert_string_equal(tree.nodes[1].other, "fifo");
    assert_string_equal(tree.nodes[2].other, "socket");
    ctz_tree_clear(&tree);
    assert_int_equal(ctz_tree_list(&tree, "/dev/null", 9, NULL, NULL, &err), 0);
    assert_string_equal(tree.nodes[0].other, "device");
    ctz_tree_clear(&tree);
}

static void more_files_than_the_limit_are_an_error_of_kind_size(void **state)
{
    struct ctz_error err = {0};
    struct ctz_tree tree;
    for (char name[] = "a"; *name < 'f'; ++*name)
        scratch_write(scratch_path(*state, name), "", 0);
    assert_int_equal(ctz_tree_list(&tree, *state, 6, NULL, NULL, &err), 0);
    ctz_tree_clear(&tree);
    assert_int_equal(ctz_tree_list(&tree, *state, 5, NULL, NULL, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_SIZE);
    assert_non_null(strstr(err.hint, "tar_entries"));
    ctz_error_clear(&err);
}

static void a_tree_deeper_than_the_open_files_allow_is_listed(void **state)
{
    struct ctz_error err = {0};
    struct ctz_tree tree;
    char path[4000];
    int length = snprintf(path, sizeof path, "%s", (const char *)*state);
    for (int i = 0; i < 1500; i++) {
        length += snprintf(path + length, sizeof path - (size_t)length, "/d");
        assert_int_equal(mkdir(path, 0700), 0);
    }
    assert_int_equal(ctz_tree_list(&tree, *state, 2000, NULL, NULL, &err), 0);
    assert_int_equal(tree.count, 1501);
    ctz_tree_clear(&tree);
}

// --- layers ------------------------------------------------------------------------------------

// The entries of the golden layer, in the wrong order on purpose.
static size_t golden_entries(struct ctz_layer_entry entries[8])
{
    static char long_name[300];
    memset(long_name, 'n', 150);
    long_name[99] = '/';
    entries[0] = text_entry("www/index.html", "<h1>hello</h1>\n");
    entries[1] = dir_entry("www");
    entries[2] = (struct ctz_layer_entry){
        .tar = {.path = "bin/sh", .link = "busybox", .mode = 0777, .type = CTZ_TAR_SYMLINK}};
    entries[3] = dir_entry("bin");
    entries[4] = text_entry("www/d\303\251j\303\240", "vu");
    entries[5] = text_entry("bin/busybox", "");
    entries[6] = text_entry(long_name, "long");
    entries[7] = text_entry("www.txt", "");
    entries[7].tar.uid = 4000000000u;
    return 8;
}

static void a_layer_of_known_entries_has_a_known_diff_id(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    struct ctz_layer_entry entries[8];
    size_t count = golden_entries(entries);
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    assert_int_equal(write_layer(entries, count, *state, &result, &err), 0);
    // Of the tar, so it holds for every version of zlib. Change it only with a line in CHANGELOG:
    // every image that is built again gets new layers.
    assert_string_equal(result.diff_id,
                        "sha256:"
                        "757ad7ef4f2dd11d959a931d7639c7f7ccca68324fc0d55756a3fa3c312759b4");
    assert_int_equal(result.entries, 8);
    assert_int_equal(result.tar_bytes % CTZ_TAR_BLOCK, 0);
}

static void a_layer_reads_back_through_libarchive(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    struct ctz_layer_entry entries[8];
    size_t count = golden_entries(entries);
    static const char *const paths[] = {
        "bin/",          "bin/busybox", "bin/sh", NULL, "www/", "www.txt", "www/d\303\251j\303\240",
        "www/index.html"};
    assert_int_equal(ctz_layout_prepare(*state, &err), 0);
    assert_int_equal(write_layer(entries, count, *state, &result, &err), 0);
    char name[512];
    snprintf(name, sizeof name, "blobs/sha256/%s", result.digest + 7);
    struct archive *archive = archive_read_new();
    archive_read_support_filter_gzip(archive);
    archive_read_support_format_tar(archive);
    assert_int_equal(archive_read_open_filename(archive, scratch_path(*state, name), 65536), 0);
    struct archive_entry *entry;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_OK);
        if (paths[i])
            assert_string_equal(archive_entry_pathname(entry), paths[i]);
        assert_string_equal(archive_entry_uname(entry), "");
        assert_int_equal(archive_entry_mtime(entry), 0);
    }
    assert_int_equal(archive_read_next_header(archive, &entry), ARCHIVE_EOF);
    archive_read_free(archive);
}

static void the_order_of_the_entries_changes_no_byte(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result first, result;
    struct ctz_layer_entry entries[8], turned[8];
    size_t count = golden_entries(entries);
    (void)state;
    for (size_t i = 0; i < count; i++)
        turned[i] = entries[count - 1 - i];
    assert_int_equal(write_layer(entries, count, NULL, &first, &err), 0);
    assert_int_equal(write_layer(turned, count, NULL, &result, &err), 0);
    assert_string_equal(first.digest, result.digest);
}

static void a_file_and_the_same_text_make_the_same_layer(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result from_file, from_text;
    char *content = calloc(1, 700001);
    memset(content, 'c', 700000);
    scratch_write(scratch_path(*state, "f"), content, 700000);
    struct ctz_layer_entry file = file_entry("f", scratch_path(*state, "f"));
    struct ctz_layer_entry text = text_entry("f", content);
    assert_int_equal(write_layer(&file, 1, NULL, &from_file, &err), 0);
    assert_int_equal(write_layer(&text, 1, NULL, &from_text, &err), 0);
    assert_string_equal(from_file.diff_id, from_text.diff_id);
    free(content);
}

static void an_empty_layer_is_the_known_one(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    (void)state;
    assert_int_equal(write_layer(NULL, 0, NULL, &result, &err), 0);
    assert_string_equal(result.diff_id,
                        "sha256:" // of 1024 zero bytes, in many images
                        "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef");
}

static void two_entries_of_one_name_are_refused(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    struct ctz_layer_entry entries[] = {text_entry("a", "1"), dir_entry("a")};
    (void)state;
    assert_int_equal(write_layer(entries, 2, NULL, &result, &err), -1);
    assert_string_equal(err.message, "the layer has two entries for /a");
    ctz_error_clear(&err);
}

// --- files that change -------------------------------------------------------------------------

struct change {
    const char *path;
    long size; // that the file gets; -1: the same byte is written again
    bool done;
};

static void change_file(void *context, size_t bytes)
{
    struct change *change = context;
    (void)bytes;
    if (change->done)
        return;
    change->done = true;
    if (change->size >= 0) {
        assert_int_equal(truncate(change->path, change->size), 0);
        return;
    }
    int fd = open(change->path, O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "x", 1, 0), 1);
    struct timespec times[2] = {{0, UTIME_OMIT}, {12345, 0}}; // clocks of file systems are coarse
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void assert_change_is_noticed(void *state, long size, const char *message)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    char *content = calloc(1, CTZ_MIB);
    char path[4096];
    snprintf(path, sizeof path, "%s", scratch_path(state, "log"));
    scratch_write(path, content, CTZ_MIB);
    free(content);
    assert_int_equal(ctz_layout_prepare(scratch_path(state, "oci"), &err), 0);
    struct change change = {path, size, false};
    struct ctz_layer_options options = {
        .layout = scratch_path(state, "oci"), .read = change_file, .context = &change};
    struct ctz_layer_entry entry = file_entry("log", path);
    assert_int_equal(ctz_layer_write(&entry, 1, &options, &result, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_CONFLICT);
    assert_non_null(strstr(err.message, message));
    assert_int_equal(scratch_count(scratch_path(state, "oci/blobs/sha256")), 0);
    ctz_error_clear(&err);
}

static void a_file_that_shrinks_while_it_is_read_is_a_conflict(void **state)
{
    assert_change_is_noticed(*state, 300000, "shrank while it was read");
}

static void a_file_that_grows_while_it_is_read_is_a_conflict(void **state)
{
    assert_change_is_noticed(*state, CTZ_MIB + 1, "grew while it was read");
}

static void a_file_that_changes_while_it_is_read_is_a_conflict(void **state)
{
    assert_change_is_noticed(*state, -1, "changed while it was read");
}

static void a_source_that_is_no_regular_file_is_refused(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    struct ctz_layer_entry entry = file_entry("f", scratch_path(*state, "fifo"));
    assert_int_equal(mkfifo(entry.source, 0600), 0);
    assert_int_equal(write_layer(&entry, 1, NULL, &result, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_UNSUPPORTED);
    entry.source = "/dev/zero";
    assert_int_equal(write_layer(&entry, 1, NULL, &result, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_UNSUPPORTED);
    ctz_error_clear(&err);
}

static bool stop_at_the_third_look(void *context)
{
    return ++*(int *)context == 3;
}

static void a_cancelled_layer_leaves_nothing(void **state)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    int looks = 0;
    char *content = calloc(1, CTZ_MIB);
    scratch_write(scratch_path(*state, "f"), content, CTZ_MIB);
    free(content);
    assert_int_equal(ctz_layout_prepare(scratch_path(*state, "oci"), &err), 0);
    struct ctz_layer_entry entry = file_entry("f", scratch_path(*state, "f"));
    struct ctz_layer_options options = {
        .layout = scratch_path(*state, "oci"), .stop = stop_at_the_third_look, .context = &looks};
    assert_int_equal(ctz_layer_write(&entry, 1, &options, &result, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_CANCELLED);
    assert_int_equal(scratch_count(scratch_path(*state, "oci/blobs/sha256")), 0);
    ctz_error_clear(&err);
}

#ifdef CTZ_TORTURE

// --- everything that can fail, fails -----------------------------------------------------------

// A small image from end to end, as a process of its own: `<self> assemble FOLDER`. Exit 0: well;
// 3: one clean error.
static int assemble(const char *folder)
{
    struct ctz_error err = {0};
    struct ctz_layer_result result;
    struct ctz_layer_entry entries[9];
    char layout[4096], index[4096], source[4096];
    snprintf(source, sizeof source, "%s/source", folder);
    snprintf(layout, sizeof layout, "%s/oci", folder);
    snprintf(index, sizeof index, "%s/oci/index.json", folder);
    size_t count = golden_entries(entries);
    int status = ctz_layout_prepare(layout, &err);
    static const enum ctz_compression kinds[] = {CTZ_GZIP, CTZ_ZSTD, CTZ_GZIP_FAST};
    for (size_t i = 0; status == 0 && i < CTZ_COUNT(kinds); i++) {
        struct ctz_tree tree;
        status = ctz_tree_list(&tree, source, 10, NULL, NULL, &err);
        if (status != 0)
            break;
        struct ctz_layer_options options = {.layout = layout, .compression = kinds[i]};
        golden_entries(entries); // they were sorted
        entries[count] = file_entry("source", tree.root);
        status = ctz_layer_write(entries, count + 1, &options, &result, &err);
        ctz_tree_clear(&tree);
    }
    if (status == 0)
        status = ctz_file_replace(index, result.digest, strlen(result.digest), &err);
    if (status != 0 && !err.kind)
        return 4; // a failure without a reason
    if (status != 0)
        fprintf(stderr, "%s\n", ctz_error_message(&err));
    ctz_error_clear(&err);
    return status == 0 ? 0 : 3;
}

static int run_assemble(const char *folder, const char *name, const char *value)
{
    char *arguments[] = {(char *)own_path, "assemble", (char *)folder, NULL};
    pid_t child;
    int status;
    setenv(name, value, 1);
    assert_int_equal(posix_spawn(&child, own_path, NULL, NULL, arguments, environ), 0);
    unsetenv(name);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int count_temporaries(void *state)
{
    char command[4200], answer[32] = "";
    snprintf(command, sizeof command, "find %s/oci -name '.ctz-*' | wc -l", (const char *)state);
    FILE *pipe = popen(command, "r");
    assert_non_null(fgets(answer, sizeof answer, pipe));
    pclose(pipe);
    return atoi(answer);
}

static void prepare_source(void *state)
{
    scratch_write(scratch_path(state, "source"), "source\n", 7);
    mkdir(scratch_path(state, "oci"), 0777);
}

static void each_allocation_that_fails_is_a_clean_error(void **state)
{
    prepare_source(*state);
    int failed = 0, well = 0; // well: in a row; what is swept needs no memory to go on without it
    for (int n = 1; n < 1000 && well < 10; n++) {
        char number[16];
        snprintf(number, sizeof number, "%d", n);
        int result = run_assemble(*state, "CTZ_TORTURE_AT", number);
        assert_true(result == 0 || result == 3);
        failed += result == 3;
        well = result == 0 ? well + 1 : 0;
        assert_int_equal(count_temporaries(*state), 0);
    }
    assert_int_equal(well, 10);
    assert_true(failed > 30);
}

static void assert_every_pass_fails_cleanly(void *state, const char *point, const char *error)
{
    int result = 3, n = 1;
    prepare_source(state);
    scratch_write(scratch_path(state, "oci/oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}", 30);
    scratch_write(scratch_path(state, "oci/index.json"), "old", 3);
    for (; n < 200 && result == 3; n++) {
        char plan[64];
        snprintf(plan, sizeof plan, "%s:%d:%s", point, n, error);
        result = run_assemble(state, "CTZ_FAIL", plan);
        assert_int_equal(count_temporaries(state), 0);
        char *index = scratch_read(scratch_path(state, "oci/index.json"), NULL);
        // Whole, old or new: new only when nothing but the folder's own sync failed.
        assert_true(strcmp(index, "old") == 0 || strlen(index) == strlen("sha256:") + 64);
        free(index);
    }
    assert_int_equal(result, 0);
    assert_true(n > 2);
}

static void a_full_disk_at_any_write_leaves_nothing_half_written(void **state)
{
    assert_every_pass_fails_cleanly(*state, "write", "ENOSPC");
}

static void a_failing_disk_at_any_sync_leaves_nothing_half_written(void **state)
{
    assert_every_pass_fails_cleanly(*state, "fsync", "EIO");
}

static void a_failing_sync_of_a_folder_is_an_error(void **state)
{
    assert_every_pass_fails_cleanly(*state, "fsync_folder", "EIO");
}

static void a_failing_rename_leaves_nothing_half_written(void **state)
{
    assert_every_pass_fails_cleanly(*state, "rename", "EROFS");
}

static void running_out_of_file_descriptors_is_a_clean_error(void **state)
{
    assert_every_pass_fails_cleanly(*state, "open", "EMFILE");
}

static void a_failing_read_is_a_clean_error(void **state)
{
    assert_every_pass_fails_cleanly(*state, "read", "EIO");
}

static void a_file_system_without_nameless_files_gets_temporary_ones(void **state)
{
    prepare_source(*state);
    for (int n = 1; n <= 5; n++) {
        char plan[32];
        snprintf(plan, sizeof plan, "tmpfile:%d:EOPNOTSUPP", n);
        assert_int_equal(run_assemble(*state, "CTZ_FAIL", plan), 0);
        assert_int_equal(count_temporaries(*state), 0);
    }
}

static void an_interrupted_system_call_is_made_again(void **state)
{
    prepare_source(*state);
    assert_int_equal(run_assemble(*state, "CTZ_FAIL", "write:3:EINTR"), 0);
    assert_int_equal(run_assemble(*state, "CTZ_FAIL", "read:1:EINTR"), 0);
}

#endif

#define SCRATCH_TEST(test) cmocka_unit_test_setup_teardown(test, scratch_make, scratch_remove)

int main(int count, char **arguments)
{
    own_path = "/proc/self/exe";
#ifdef CTZ_TORTURE
    if (count == 3 && strcmp(arguments[1], "assemble") == 0)
        return assemble(arguments[2]);
    char path[4096] = "";
    if (readlink("/proc/self/exe", path, sizeof path - 1) > 0)
        own_path = path;
#else
    (void)count;
    (void)arguments;
#endif
    setlocale(LC_ALL, "C.UTF-8"); // libarchive's reader turns names into the locale's characters
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(a_tree_lists_folders_before_their_content_in_byte_order),
        SCRATCH_TEST(a_link_given_as_root_is_followed),
        SCRATCH_TEST(a_missing_root_is_not_found),
        SCRATCH_TEST(a_tree_names_what_is_no_file),
        SCRATCH_TEST(more_files_than_the_limit_are_an_error_of_kind_size),
        SCRATCH_TEST(a_tree_deeper_than_the_open_files_allow_is_listed),
        SCRATCH_TEST(a_layer_of_known_entries_has_a_known_diff_id),
        SCRATCH_TEST(a_layer_reads_back_through_libarchive),
        SCRATCH_TEST(the_order_of_the_entries_changes_no_byte),
        SCRATCH_TEST(a_file_and_the_same_text_make_the_same_layer),
        SCRATCH_TEST(an_empty_layer_is_the_known_one),
        SCRATCH_TEST(two_entries_of_one_name_are_refused),
        SCRATCH_TEST(a_file_that_shrinks_while_it_is_read_is_a_conflict),
        SCRATCH_TEST(a_file_that_grows_while_it_is_read_is_a_conflict),
        SCRATCH_TEST(a_file_that_changes_while_it_is_read_is_a_conflict),
        SCRATCH_TEST(a_source_that_is_no_regular_file_is_refused),
        SCRATCH_TEST(a_cancelled_layer_leaves_nothing),
#ifdef CTZ_TORTURE
        SCRATCH_TEST(each_allocation_that_fails_is_a_clean_error),
        SCRATCH_TEST(a_full_disk_at_any_write_leaves_nothing_half_written),
        SCRATCH_TEST(a_failing_disk_at_any_sync_leaves_nothing_half_written),
        SCRATCH_TEST(a_failing_sync_of_a_folder_is_an_error),
        SCRATCH_TEST(a_failing_rename_leaves_nothing_half_written),
        SCRATCH_TEST(running_out_of_file_descriptors_is_a_clean_error),
        SCRATCH_TEST(a_failing_read_is_a_clean_error),
        SCRATCH_TEST(a_file_system_without_nameless_files_gets_temporary_ones),
        SCRATCH_TEST(an_interrupted_system_call_is_made_again),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
