// egress_test.c: text and progress lines on one terminal.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "host/egress.h"
#include "host/host.h"

#define DRAWN(line) "\033[?7l" line "\n\033[?7h" // progress, not wrapped
#define ERASED      "\r\033[1A\033[2K"           // one line of it is taken away

static struct ctz_host *host;

static void out(const char *text)
{
    ctz_egress_write(host, CTZ_STDOUT, text, strlen(text));
}

static void err(const char *text)
{
    ctz_egress_write(host, CTZ_STDERR, text, strlen(text));
}

static void status(const char *text)
{
    ctz_egress_status(host, text, strlen(text));
}

static int open_terminal(void)
{
    struct termios modes;
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    assert_int_equal(tcgetattr(slave, &modes), 0);
    modes.c_oflag &= ~(tcflag_t)OPOST;
    assert_int_equal(tcsetattr(slave, TCSANOW, &modes), 0);
    dup2(slave, STDOUT_FILENO);
    dup2(slave, STDERR_FILENO);
    close(slave);
    return master;
}

// What a run of `script` shows on a terminal that is its stdout and stderr.
static void assert_shown(void (*script)(void), const char *expected)
{
    char shown[4096];
    int kept_out = dup(STDOUT_FILENO), kept_err = dup(STDERR_FILENO);
    int master = open_terminal();
    host = ctz_host_new("egress_test");
    script();
    ctz_egress_flush(host);
    size_t size = 0;
    struct pollfd more = {.fd = master, .events = POLLIN};
    while (size < strlen(expected) && poll(&more, 1, 2000) > 0) { // a terminal gives it in parts
        ssize_t got = read(master, shown + size, sizeof shown - 1 - size);
        assert_true(got > 0);
        size += (size_t)got;
    }
    ctz_host_free(host);
    dup2(kept_out, STDOUT_FILENO);
    dup2(kept_err, STDERR_FILENO);
    close(kept_out);
    close(kept_err);
    close(master);
    shown[size > 0 ? size : 0] = '\0';
    assert_string_equal(shown, expected);
}

static void print_lines(void)
{
    status("10%\n");
    out("a line\n");
    status("20%\n");
    status("");
}

TEST(lines_of_text_stand_above_the_progress_lines)
{
    assert_shown(print_lines,
                 DRAWN("10%") ERASED "a line\n" DRAWN("10%") ERASED DRAWN("20%") ERASED);
}

static void print_parts(void)
{
    out("begin");
    ctz_egress_flush(host);
    status("10%\n");
    status("20%\n");
    out(" end\n");
    status("30%\n");
}

TEST(progress_waits_until_an_unfinished_line_ends)
{
    assert_shown(print_parts, "begin end\n" DRAWN("20%") ERASED DRAWN("30%"));
}

static void print_part_behind_progress(void)
{
    status("10%\n");
    err("question? ");
    status("20%\n");
    err("answer\n");
}

TEST(progress_is_taken_away_for_an_unfinished_line)
{
    assert_shown(print_part_behind_progress, DRAWN("10%") ERASED "question? answer\n" DRAWN("20%"));
}

static void print_unbuffered(void)
{
    ctz_egress_buffer(host, 0);
    out("a");
    err("b");
    out("c");
}

TEST(stdout_without_buffer_is_shown_in_the_order_of_the_calls)
{
    assert_shown(print_unbuffered, "abc");
}

// A prompt as the REPL has it: "(" takes it away, ")" puts it back.
static void around(struct ctz_host *of, bool begins)
{
    if (!begins)
        ctz_egress_end_line(of);
    ssize_t ignored = write(STDOUT_FILENO, begins ? "(" : ")", 1);
    (void)ignored;
}

static void print_around_a_prompt(void)
{
    host->around_output = around;
    status("10%\n");
    out("line\n");
    err("open");
    err(" end\n");
    ctz_egress_take_status(host);
    ctz_egress_take_status(host);
    ctz_egress_end_line(host);
    status("20%\n");
    host->around_output = NULL;
}

TEST(a_prompt_is_taken_away_for_text_and_for_progress_and_stands_on_a_line_of_its_own)
{
    assert_shown(print_around_a_prompt,
                 "(" DRAWN("10%") ")(" ERASED "line\n" DRAWN(
                     "10%") ")(" ERASED "open\n)( end\n" DRAWN("10%") ")(" ERASED
                                                                      ")(" DRAWN("20%") ")");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_text_stand_above_the_progress_lines),
        cmocka_unit_test(progress_waits_until_an_unfinished_line_ends),
        cmocka_unit_test(progress_is_taken_away_for_an_unfinished_line),
        cmocka_unit_test(stdout_without_buffer_is_shown_in_the_order_of_the_calls),
        cmocka_unit_test(
            a_prompt_is_taken_away_for_text_and_for_progress_and_stands_on_a_line_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
