// spawn_test.c: what a program is started with, and how a start fails.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/spawn.h"
#include "tests/c/scratch.h"

// Runs sh -c script with its stdout in a pipe; returns its wait status, the output in text.
static int run(const char *script, char text[4096], int in, int err)
{
    const char *const arguments[] = {"sh", "-c", script, NULL};
    int ends[2];
    struct ctz_error failure = {0};
    assert_int_equal(ctz_open_pipe(ends, 0, &failure), 0);
    struct ctz_spawn spawn = {
        .path = "/bin/sh", .arguments = arguments, .fds = {in, ends[1], err < 0 ? ends[1] : err}};
    pid_t pid = ctz_spawn(&spawn, &failure);
    assert_true(pid > 0);
    close(ends[1]);
    fcntl(ends[0], F_SETFL, 0);
    size_t length = 0;
    for (ssize_t size; (size = read(ends[0], text + length, 4095 - length)) > 0;)
        length += (size_t)size;
    text[length] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static int open_null(void)
{
    return open("/dev/null", O_RDWR | O_CLOEXEC);
}

TEST(program_gets_its_three_streams_and_no_other_descriptor)
{
    (void)state;
    char text[4096], script[256];
    int null = open_null(), leaked = fcntl(null, F_DUPFD, 50); // stays open across exec
    snprintf(script, sizeof script, "cat; echo out; echo err >&2; test -e /proc/$$/fd/%d; echo $?",
             leaked);
    assert_int_equal(run(script, text, null, -1), 0);
    assert_string_equal(text, "out\nerr\n1\n");
    close(leaked);
    close(null);
}

TEST(streams_may_stand_where_others_go)
{
    char text[4096];
    int null = open_null(), kept[3];
    for (int i = 0; i < 3; i++)
        kept[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
    int ends[2];
    struct ctz_error failure = {0};
    assert_int_equal(ctz_open_pipe(ends, 0, &failure), 0);
    dup2(null, 2);
    dup2(ends[1], 0); // stdout comes from 0, stderr from 0 as well, stdin from 2
    const char *const arguments[] = {"sh", "-c", "cat; echo out; echo err >&2", NULL};
    struct ctz_spawn spawn = {.path = "/bin/sh", .arguments = arguments, .fds = {2, 0, 0}};
    pid_t pid = ctz_spawn(&spawn, &failure);
    for (int i = 0; i < 3; i++) {
        dup2(kept[i], i);
        close(kept[i]);
    }
    close(ends[1]);
    assert_true(pid > 0);
    fcntl(ends[0], F_SETFL, 0);
    waitpid(pid, NULL, 0);
    ssize_t size = read(ends[0], text, sizeof text - 1);
    text[size > 0 ? size : 0] = '\0';
    assert_string_equal(text, "out\nerr\n");
    close(ends[0]);
    close(null);
}

TEST(program_gets_default_signals_although_we_ignore_and_block_them)
{
    char text[4096];
    int null = open_null();
    sigset_t block, before;
    sigemptyset(&block);
    sigaddset(&block, SIGUSR2);
    sigprocmask(SIG_BLOCK, &block, &before);
    signal(SIGPIPE, SIG_IGN);
    run("grep -E 'SigBlk|SigIgn' /proc/self/status", text, null, -1);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
    assert_non_null(strstr(text, "SigBlk:\t0000000000000000"));
    const char *ignored = strstr(text, "SigIgn:\t");
    assert_non_null(ignored);
    assert_int_equal(strtoull(ignored + 8, NULL, 16) & (1ULL << (SIGPIPE - 1)), 0);
    close(null);
}

TEST(program_leads_a_process_group_of_its_own)
{
    char text[4096];
    int null = open_null();
    run("cut -d' ' -f1,5 /proc/$$/stat", text, null, -1);
    int pid, group;
    assert_int_equal(sscanf(text, "%d %d", &pid, &group), 2);
    assert_int_equal(pid, group);
    close(null);
}

TEST(terminal_is_the_controlling_one_without_echo)
{
    struct ctz_error failure = {0};
    int master, slave;
    assert_int_equal(ctz_open_pty(&master, &slave, 7, 9, &failure), 0);
    const char *const arguments[] = {"sh", "-c", "stty size </dev/tty; read a; echo got $a", NULL};
    struct ctz_spawn spawn = {.path = "/bin/sh",
                              .arguments = arguments,
                              .fds = {slave, slave, slave},
                              .is_session = true};
    pid_t pid = ctz_spawn(&spawn, &failure);
    assert_true(pid > 0);
    close(slave);
    fcntl(master, F_SETFL, 0);
    assert_int_equal(write(master, "x\n", 2), 2);
    waitpid(pid, NULL, 0);
    char text[256];
    size_t length = 0;
    for (ssize_t size; (size = read(master, text + length, sizeof text - 1 - length)) > 0;)
        length += (size_t)size;
    text[length] = '\0';
    assert_string_equal(text, "7 9\ngot x\n");
    close(master);
}

static void assert_fails(const char *path, const char *folder, enum ctz_error_kind kind,
                         const char *hint)
{
    const char *const arguments[] = {"name", NULL};
    struct ctz_error failure = {0};
    int null = open_null();
    struct ctz_spawn spawn = {
        .path = path, .arguments = arguments, .folder = folder, .fds = {null, null, null}};
    assert_int_equal(ctz_spawn(&spawn, &failure), -1);
    assert_int_equal(failure.kind, kind);
    if (hint) {
        assert_non_null(failure.hint);
        assert_non_null(strstr(failure.hint, hint));
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); // no zombie is left
    assert_int_equal(errno, ECHILD);
    ctz_error_clear(&failure);
    close(null);
}

TEST(failed_exec_is_explained_and_reaped)
{
    const char *script = scratch_path(*state, "script"), *text = scratch_path(*state, "text");
    scratch_write(script, "#!/no/such/interpreter\n", 23);
    scratch_write(text, "text\n", 5);
    assert_fails("/no/such/file", NULL, CTZ_ERROR_NOT_FOUND, NULL);
    assert_fails(text, NULL, CTZ_ERROR_DENIED, "chmod +x");
    chmod(script, 0755);
    chmod(text, 0755);
    assert_fails(script, NULL, CTZ_ERROR_NOT_FOUND, "interpreter");
    assert_fails(text, NULL, CTZ_ERROR_IO, "#!/bin/sh");
    assert_fails("/bin/true", "/no/such/folder", CTZ_ERROR_NOT_FOUND, NULL);
}

TEST(path_is_searched_in_order_and_relative_folders_are_passed_over)
{
    char found[PATH_MAX];
    struct ctz_error failure = {0};
    char *before = strdup(getenv("PATH"));
    char here[PATH_MAX];
    assert_non_null(getcwd(here, sizeof here));
    assert_int_equal(chdir(*state), 0);
    scratch_write("tool", "#!/bin/sh\n", 10);
    chmod("tool", 0755);
    setenv("PATH", ".::relative", 1);
    assert_int_equal(ctz_find_program("tool", found, &failure), -1);
    assert_int_equal(failure.kind, CTZ_ERROR_NOT_FOUND);
    char list[PATH_MAX * 2];
    snprintf(list, sizeof list, "/no/such:%s:/bin", (const char *)*state);
    setenv("PATH", list, 1);
    assert_int_equal(ctz_find_program("tool", found, &failure), 0);
    assert_string_equal(found, scratch_path(*state, "tool"));
    chmod("tool", 0644);
    assert_int_equal(ctz_find_program("tool", found, &failure), -1);
    assert_int_equal(failure.kind, CTZ_ERROR_DENIED);
    assert_int_equal(ctz_find_program("", found, &failure), -1);
    assert_int_equal(failure.kind, CTZ_ERROR_USAGE);
    unsetenv("PATH");
    assert_int_equal(ctz_find_program("sh", found, &failure), 0);
    setenv("PATH", before, 1);
    assert_int_equal(chdir(here), 0);
    free(before);
    ctz_error_clear(&failure);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(program_gets_its_three_streams_and_no_other_descriptor),
        cmocka_unit_test(streams_may_stand_where_others_go),
        cmocka_unit_test(program_gets_default_signals_although_we_ignore_and_block_them),
        cmocka_unit_test(program_leads_a_process_group_of_its_own),
        cmocka_unit_test(terminal_is_the_controlling_one_without_echo),
        cmocka_unit_test_setup_teardown(failed_exec_is_explained_and_reaped, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(
            path_is_searched_in_order_and_relative_folders_are_passed_over, scratch_make,
            scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
