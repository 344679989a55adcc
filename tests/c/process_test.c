// process_test.c: the life of programs on the loop, driven from C.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/host.h"
#include "host/input.h"
#include "host/output.h"
#include "host/process.h"
#include "host/timer.h"

static struct ctz_host *host;

static int open_host(void **state)
{
    (void)state;
    host = ctz_host_new("process_test");
    return host ? 0 : -1;
}

static int close_host(void **state)
{
    (void)state;
    ctz_host_free(host);
    bool left = waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD;
    return left ? -1 : 0;
}

static struct ctz_process *start(const char *script, enum ctz_stdio in, enum ctz_stdio out)
{
    const char *const arguments[] = {"sh", "-c", script, NULL};
    struct ctz_process_options options = {
        .arguments = arguments, .in = in, .out = out, .err = CTZ_STDIO_SAME, .max_bytes = 100000};
    struct ctz_error err = {0};
    struct ctz_process *process = ctz_process_start(host, &options, &err);
    assert_non_null(process);
    return process;
}

// An op that nobody awaits: it settles like any other.
static bool settled;
static enum ctz_error_kind settled_kind;

static void note_settled(struct ctz_op *op)
{
    settled = true;
    settled_kind = op->err.kind;
    ctz_process_wait_clear(op);
}

static const struct ctz_op_class note_class = {
    .name = "test", .start = ctz_process_wait_start, .clear = note_settled};

static void turn(void)
{
    uv_run(&host->loop, UV_RUN_NOWAIT);
    ctz_timers_fire(&host->timers, ctz_now());
    usleep(1000);
}

// Turns the loop until the process has its result (gone: until nothing of it is left).
static void await_process(struct ctz_process *process, bool gone)
{
    struct ctz_process_wait *wait =
        ctz_process_wait_new(host->L, &note_class, sizeof *wait, process);
    wait->gone = gone;
    settled = false;
    ctz_process_wait_start(&wait->op); // the one reference of the op is the work's
    while (!settled)
        turn();
}

static void assert_output(struct ctz_process *process, const char *text)
{
    struct ctz_process_result result;
    ctz_process_result(process, &result);
    assert_int_equal(result.out_size, strlen(text));
    assert_memory_equal(result.out, text, result.out_size);
}

TEST(program_that_ended_has_code_and_output)
{
    struct ctz_process *process = start("echo out; exit 3", CTZ_STDIO_NULL, CTZ_STDIO_CAPTURE);
    await_process(process, false);
    struct ctz_process_result result;
    ctz_process_result(process, &result);
    assert_int_equal(result.exit_code, 3);
    assert_int_equal(result.signal, 0);
    assert_output(process, "out\n");
    struct ctz_error err = {0};
    assert_int_equal(ctz_process_check(process, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_EXIT);
    assert_string_equal(err.stderr_text, "out");
    ctz_error_clear(&err);
    ctz_process_release(process);
}

TEST(released_program_is_killed_and_reaped_in_the_background)
{
    struct ctz_process *process = start("sleep 100", CTZ_STDIO_NULL, CTZ_STDIO_CAPTURE);
    pid_t pid = ctz_process_pid(process);
    ctz_process_release(process);
    while (kill(pid, 0) == 0)
        turn();
    assert_int_equal(errno, ESRCH);
}

TEST(programs_left_at_the_end_of_the_run_are_killed_and_reaped)
{
    struct ctz_process *kept = start("sleep 100", CTZ_STDIO_NULL, CTZ_STDIO_STREAM);
    pid_t pid = ctz_process_pid(kept);
    struct ctz_process *held =
        start("trap '' TERM; while :; do sleep 0.01; done", CTZ_STDIO_NULL, CTZ_STDIO_NULL);
    pid_t stubborn = ctz_process_pid(held);
    ctz_process_release(held);
    ctz_processes_close(host);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(kill(stubborn, 0), -1);
    ctz_process_release(kept);
}

TEST(child_that_holds_the_pipe_is_killed_with_its_group)
{
    struct ctz_process *process = start("sleep 100 & echo $!", CTZ_STDIO_NULL, CTZ_STDIO_CAPTURE);
    size_t size = 0;
    while (size == 0) {
        turn();
        ctz_input_bytes(ctz_process_output_of(process, CTZ_STDOUT), &size);
    }
    struct ctz_process_result result;
    ctz_process_result(process, &result);
    pid_t grandchild = (pid_t)strtol(result.out, NULL, 10);
    assert_true(grandchild > 0 && kill(grandchild, 0) == 0);
    ctz_process_kill(process);
    await_process(process, true);
    for (int i = 0; i < 1000 && kill(grandchild, 0) == 0; i++)
        usleep(1000); // a zombie until its new parent looks
    ctz_process_release(process);
}

TEST(captured_output_is_bounded)
{
    struct ctz_process *process = start("yes", CTZ_STDIO_NULL, CTZ_STDIO_CAPTURE);
    await_process(process, false);
    assert_int_equal(settled_kind, CTZ_ERROR_SIZE);
    await_process(process, true);
    struct ctz_process_result result;
    ctz_process_result(process, &result);
    assert_true(result.out_size <= 100000);
    ctz_process_release(process);
}

TEST(output_that_nobody_reads_pauses_the_program)
{
    struct ctz_process *process = start("yes", CTZ_STDIO_NULL, CTZ_STDIO_STREAM);
    struct ctz_input *input = ctz_process_output_of(process, CTZ_STDOUT);
    while (!ctz_input_is_paused(input))
        turn();
    uint64_t total = ctz_input_total(input);
    for (int i = 0; i < 50; i++)
        turn();
    assert_int_equal(ctz_input_total(input), total);
    assert_true(total < 1 << 20);
    ctz_process_release(process);
}

TEST(queued_input_arrives_whole_and_ends)
{
    struct ctz_process *process = start("wc -c", CTZ_STDIO_STREAM, CTZ_STDIO_CAPTURE);
    static char text[300000];
    assert_int_equal(ctz_output_queue(ctz_process_input_of(process), text, sizeof text), 0);
    assert_int_equal(ctz_output_queue(ctz_process_input_of(process), text, 1), 0);
    ctz_process_close_stdin(process);
    await_process(process, false);
    assert_output(process, "300001\n");
    ctz_process_release(process);
}

TEST(stopped_program_is_not_taken_for_an_ended_one)
{
    struct ctz_process *process =
        start("kill -STOP $$; echo on", CTZ_STDIO_NULL, CTZ_STDIO_CAPTURE);
    siginfo_t info = {0};
    while (waitid(P_PID, (id_t)ctz_process_pid(process), &info, WSTOPPED | WNOWAIT) != 0)
        turn();
    for (int i = 0; i < 20; i++)
        turn();
    ctz_process_signal(process, SIGCONT);
    await_process(process, false);
    assert_output(process, "on\n");
    ctz_process_release(process);
}

#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, open_host, close_host)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(program_that_ended_has_code_and_output),
        HOST_TEST(released_program_is_killed_and_reaped_in_the_background),
        HOST_TEST(programs_left_at_the_end_of_the_run_are_killed_and_reaped),
        HOST_TEST(child_that_holds_the_pipe_is_killed_with_its_group),
        HOST_TEST(captured_output_is_bounded),
        HOST_TEST(output_that_nobody_reads_pauses_the_program),
        HOST_TEST(queued_input_arrives_whole_and_ends),
        HOST_TEST(stopped_program_is_not_taken_for_an_ended_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
