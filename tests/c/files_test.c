// files_test.c: files written whole, trees removed and copied, patterns, without Lua.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bindings/system/files.h"
#include "tests/c/scratch.h"

static int write_text(const char *path, const char *text, struct ctz_error *err)
{
    struct ctz_writing writing = {.bytes = text, .size = strlen(text)};
    return ctz_files_write(path, &writing, NULL, err);
}

static void assert_content(const char *path, const char *text)
{
    size_t size;
    char *found = scratch_read(path, &size);
    assert_non_null(found);
    assert_string_equal(found, text);
    free(found);
}

// The exit code of `work` in a process of its own, in which the fault point fails.
static int with_fault(const char *plan, int (*work)(const char *path), const char *path)
{
    pid_t pid = fork();
    if (pid == 0) {
        setenv("CTZ_FAIL", plan, 1);
        _exit(work(path));
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int replace(const char *path)
{
    struct ctz_error err = {0};
    int result = write_text(path, "new", &err);
    ctz_error_clear(&err);
    return result < 0 ? 1 : 0;
}

TEST(failed_write_leaves_the_old_file_and_nothing_else)
{
    const char *path = scratch_path(*state, "f");
    static const char *const plans[] = {"write:1:ENOSPC", "write:1:EIO", "fsync:1:EIO",
                                        "rename:1:EROFS"};
    for (size_t i = 0; i < CTZ_COUNT(plans); i++) {
        scratch_write(path, "old", 3);
        assert_int_equal(with_fault(plans[i], replace, path), 1);
        assert_content(path, "old");
        assert_int_equal(scratch_count(*state), 1);
    }
}

TEST(file_system_without_nameless_files_gets_a_temporary_name)
{
    const char *path = scratch_path(*state, "f");
    scratch_write(path, "old", 3);
    assert_int_equal(with_fault("tmpfile:1:EIO", replace, path), 0);
    assert_content(path, "new");
    assert_int_equal(scratch_count(*state), 1);
}

TEST(interrupted_write_goes_on)
{
    const char *path = scratch_path(*state, "f");
    assert_int_equal(with_fault("write:1:EINTR", replace, path), 0);
    assert_content(path, "new");
}

static int append(const char *path)
{
    static char text[6 << 20];
    struct ctz_error err = {0};
    int result = ctz_files_append(path, text, sizeof text, &err);
    ctz_error_clear(&err);
    return result < 0 ? 1 : 0;
}

TEST(failed_append_takes_its_part_back)
{
    const char *path = scratch_path(*state, "f");
    scratch_write(path, "old", 3);
    assert_int_equal(with_fault("write:2:ENOSPC", append, path), 1);
    assert_content(path, "old");
}

TEST(content_is_read_up_to_the_cap_and_not_beyond)
{
    const char *path = scratch_path(*state, "f");
    struct ctz_error err = {0};
    struct stat facts;
    scratch_write(path, "0123456789", 10);
    for (size_t most = 9; most <= 10; most++) {
        struct ctz_buffer bytes;
        ctz_buffer_init(&bytes, most);
        int fd = ctz_files_open(path, &facts, &err);
        assert_true(fd >= 0);
        assert_int_equal(ctz_files_read(fd, path, &bytes, NULL, &err), most == 10 ? 0 : -1);
        if (most == 10)
            assert_string_equal(bytes.bytes, "0123456789");
        else
            assert_int_equal(err.kind, CTZ_ERROR_SIZE);
        ctz_buffer_clear(&bytes);
        close(fd);
    }
    ctz_error_clear(&err);
}

TEST(removal_stays_inside_the_tree)
{
    struct ctz_error err = {0};
    const char *tree = scratch_path(*state, "tree"), *outside = scratch_path(*state, "outside");
    assert_int_equal(ctz_files_mkdir(scratch_path(*state, "tree/a/b"), 0777, true, &err), 0);
    assert_int_equal(ctz_files_mkdir(outside, 0777, false, &err), 0);
    scratch_write(scratch_path(*state, "outside/f"), "x", 1);
    assert_int_equal(symlink(outside, scratch_path(*state, "tree/a/link")), 0);
    assert_int_equal(symlink("..", scratch_path(*state, "tree/a/b/up")), 0);
    assert_int_equal(ctz_files_remove(tree, true, NULL, &err), 0);
    assert_int_equal(scratch_count(*state), 1);
    assert_int_equal(scratch_count(outside), 1);
    assert_int_equal(ctz_files_remove(tree, true, NULL, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_NOT_FOUND);
    ctz_error_clear(&err);
}

// The next openat of a directory of this name finds that somebody has put a link in its place.
static struct {
    const char *name, *path, *target; // name: NULL when nothing is planned
} swap;

int __real_openat(int folder, const char *name, int flags, ...);
int __wrap_openat(int folder, const char *name, int flags, ...);

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    if (swap.name && strcmp(name, swap.name) == 0) {
        swap.name = NULL;
        assert_int_equal(rmdir(swap.path), 0);
        assert_int_equal(symlink(swap.target, swap.path), 0);
    }
    return __real_openat(folder, name, flags);
}

// Was the name that removal descends into swapped for a link, and did removal then stop there?
static void assert_swap_is_seen(void **state, const char *name, const char *path)
{
    struct ctz_error err = {0};
    const char *outside = scratch_path(*state, "outside");
    assert_int_equal(ctz_files_mkdir(path, 0777, true, &err), 0);
    swap.name = name;
    swap.path = path;
    swap.target = outside;
    assert_int_equal(ctz_files_remove(scratch_path(*state, "tree"), true, NULL, &err), -1);
    assert_null(swap.name);
    assert_non_null(err.cause);
    assert_string_equal(err.cause->code, "ENOTDIR");
    assert_int_equal(scratch_count(outside), 1);
    assert_int_equal(unlink(path), 0);
    ctz_error_clear(&err);
}

TEST(removal_does_not_follow_a_link_that_takes_the_place_of_a_folder_meanwhile)
{
    struct ctz_error err = {0};
    assert_int_equal(ctz_files_mkdir(scratch_path(*state, "outside"), 0777, false, &err), 0);
    scratch_write(scratch_path(*state, "outside/f"), "x", 1);
    assert_swap_is_seen(state, "sub", scratch_path(*state, "tree/sub"));
    assert_int_equal(rmdir(scratch_path(*state, "tree")), 0);
    assert_swap_is_seen(state, scratch_path(*state, "tree"), scratch_path(*state, "tree"));
}

TEST(removal_needs_few_descriptors_at_any_depth)
{
    char here[PATH_MAX];
    struct ctz_error err = {0};
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(*state), 0);
    for (int i = 0; i < 3000; i++) { // deeper than PATH_MAX
        assert_int_equal(mkdir("dd", 0777), 0);
        assert_int_equal(chdir("dd"), 0);
    }
    assert_int_equal(chdir(here), 0);
    int before = dup(0);
    close(before);
    assert_int_equal(ctz_files_remove(scratch_path(*state, "dd"), true, NULL, &err), 0);
    int after = dup(0);
    close(after);
    assert_int_equal(before, after);
    assert_int_equal(scratch_count(*state), 0);
}

TEST(walk_gives_each_entry_once_in_order)
{
    struct ctz_error err = {0};
    char seen[256] = "";
    assert_int_equal(ctz_files_mkdir(scratch_path(*state, "b/d"), 0777, true, &err), 0);
    scratch_write(scratch_path(*state, "a"), "", 0);
    scratch_write(scratch_path(*state, "b/c"), "", 0);
    scratch_write(scratch_path(*state, "b/d/e"), "", 0);
    struct ctz_walk *walk = ctz_walk_new(*state, INT_MAX);
    char *path;
    struct stat facts;
    int more;
    while ((more = ctz_walk_next(walk, &path, &facts, &err)) > 0) {
        strcat(strcat(seen, path + strlen(*state)), " ");
        free(path);
    }
    ctz_walk_free(walk);
    assert_int_equal(more, 0);
    assert_string_equal(seen, "/a /b /b/c /b/d /b/d/e ");
}

TEST(copy_of_a_tree_appears_whole_or_not_at_all)
{
    struct ctz_error err = {0};
    const char *from = scratch_path(*state, "from"), *to = scratch_path(*state, "to");
    assert_int_equal(ctz_files_mkdir(scratch_path(*state, "from/a"), 0777, true, &err), 0);
    scratch_write(scratch_path(*state, "from/a/f"), "text", 4);
    assert_int_equal(mkfifo(scratch_path(*state, "from/z"), 0666), 0);
    assert_int_equal(ctz_files_copy_tree(from, to, NULL, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_UNSUPPORTED);
    assert_int_equal(scratch_count(*state), 1);
    assert_int_equal(unlink(scratch_path(*state, "from/z")), 0);
    assert_int_equal(ctz_files_copy_tree(from, to, NULL, &err), 0);
    assert_content(scratch_path(*state, "to/a/f"), "text");
    assert_int_equal(ctz_files_copy_tree(from, scratch_path(*state, "from/a/b"), NULL, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_USAGE);
    ctz_error_clear(&err);
}

TEST(patterns_match_names)
{
    (void)state;
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"*", "", true},          {"*", "abc", true},
        {"a*c", "abc", true},     {"a*c", "abd", false},
        {"?", "", false},         {"?", "a", true},
        {"?", "\303\244", true},  {"??", "\303\244", false},
        {"[a-c]x", "bx", true},   {"[a-c]x", "dx", false},
        {"[!a]", "b", true},      {"[^a]", "a", false},
        {"[]]", "]", true},       {"[a-]", "-", true},
        {"[", "[", true},         {"[a", "[a", true},
        {"\\*", "*", true},       {"\\*", "a", false},
        {"a\\", "a\\", true},     {"**", "ab", true},
        {"*a*b*", "xaxbx", true}, {"*a*b*", "xbxax", false},
        {"", "", true},           {"", "a", false},
        {"a", "", false},         {"[\\]]", "]", true},
        {"[!]]", "]", false},     {"*.tar.?z", "a.tar.gz", true},
    };
    for (size_t i = 0; i < CTZ_COUNT(cases); i++)
        if (ctz_glob_match(cases[i].pattern, cases[i].name) != cases[i].matches)
            fail_msg("%s against %s", cases[i].pattern, cases[i].name);
}

#define SCRATCH_TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH_TEST(failed_write_leaves_the_old_file_and_nothing_else),
        SCRATCH_TEST(file_system_without_nameless_files_gets_a_temporary_name),
        SCRATCH_TEST(interrupted_write_goes_on),
        SCRATCH_TEST(failed_append_takes_its_part_back),
        SCRATCH_TEST(content_is_read_up_to_the_cap_and_not_beyond),
        SCRATCH_TEST(removal_stays_inside_the_tree),
        SCRATCH_TEST(removal_does_not_follow_a_link_that_takes_the_place_of_a_folder_meanwhile),
        SCRATCH_TEST(removal_needs_few_descriptors_at_any_depth),
        SCRATCH_TEST(walk_gives_each_entry_once_in_order),
        SCRATCH_TEST(copy_of_a_tree_appears_whole_or_not_at_all),
        cmocka_unit_test(patterns_match_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
