// docker_relay_test.c: what is started for an address of ssh.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>

#include "bindings/docker/relay.h"

// The words in one line; "usage: ..." for an address that is refused.
static const char *command_of(const char *url)
{
    static char line[512];
    struct relay_command command;
    struct ctz_error err = {0};
    size_t length = 0;
    line[0] = '\0';
    if (relay_read_url(url, &command, &err) < 0) {
        assert_int_equal(err.kind, CTZ_ERROR_USAGE);
        assert_string_equal(err.hint, "ssh://[USER@]HOST[:PORT]");
        snprintf(line, sizeof line, "usage: %s", err.message);
    } else {
        for (const char **word = command.words; *word; word++)
            length += (size_t)snprintf(line + length, sizeof line - length, "%s%s",
                                       length ? " " : "", *word);
    }
    relay_clear(&command);
    ctz_error_clear(&err);
    return line;
}

TEST(the_command_is_that_of_the_docker_command)
{
    assert_string_equal(command_of("ssh://build"),
                        "ssh -T -o ConnectTimeout=30 -- build docker system dial-stdio");
    assert_string_equal(command_of("ssh://joe@build.example.org:2222"),
                        "ssh -T -o ConnectTimeout=30 -l joe -p 2222 -- build.example.org docker "
                        "system dial-stdio");
    assert_string_equal(command_of("ssh://build/"),
                        "ssh -T -o ConnectTimeout=30 -- build docker system dial-stdio");
    assert_string_equal(command_of("ssh://build/run/user/1000/docker.sock"),
                        "ssh -T -o ConnectTimeout=30 -- build docker "
                        "--host=unix:///run/user/1000/docker.sock system dial-stdio");
    assert_string_equal(command_of("ssh://[::1]:22"),
                        "ssh -T -o ConnectTimeout=30 -p 22 -- ::1 docker system dial-stdio");
    assert_string_equal(command_of("ssh://[fe80::1%eth0]"),
                        "ssh -T -o ConnectTimeout=30 -- fe80::1%eth0 docker system dial-stdio");
    assert_string_equal(
        command_of("ssh://joe@corp@build"),
        "ssh -T -o ConnectTimeout=30 -l joe@corp -- build docker system dial-stdio");
}

TEST(what_ssh_or_a_shell_could_take_for_something_else_is_refused)
{
    static const char *const hosts[] = {
        "ssh://",           "ssh://@",         "ssh://joe@",    "ssh://@build",
        "ssh://-oProxy",    "ssh://joe@-oX=y", "ssh://a b",     "ssh://a;b",
        "ssh://a/$(id)",    "ssh://a/x;y",     "ssh://a/x y",   "ssh://a:",
        "ssh://a:0",        "ssh://a:65536",   "ssh://a:-1",    "ssh://a:22x",
        "ssh://a:99999999", "ssh://[::1",      "ssh://[::1]x",  "ssh://a\nb",
        "ssh://a?x=y",      "ssh://a#b",       "ssh://a:22:22", "http://a",
        "ssh:/a",           "ssh://j`e@a",     "ssh://j'e@a",   "",
    };
    for (size_t i = 0; i < CTZ_COUNT(hosts); i++)
        assert_memory_equal(command_of(hosts[i]), "usage: ", 7);
}

TEST(a_password_is_refused_and_not_shown)
{
    assert_string_equal(command_of("ssh://joe:geheim@build"),
                        "usage: ssh://...@build: ssh takes no password here");
}

static void assert_last_line(const char *text, const char *expected)
{
    size_t size;
    const char *line = relay_last_line(text, strlen(text), &size);
    assert_int_equal(size, strlen(expected));
    assert_memory_equal(line, expected, size);
}

TEST(the_last_line_that_says_something_is_found)
{
    assert_last_line("", "");
    assert_last_line("\r\n \n", "");
    assert_last_line("one", "one");
    assert_last_line("one\ntwo\n", "two");
    assert_last_line("one\r\ntwo words\r\n\r\n", "two words");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_command_is_that_of_the_docker_command),
        cmocka_unit_test(what_ssh_or_a_shell_could_take_for_something_else_is_refused),
        cmocka_unit_test(a_password_is_refused_and_not_shown),
        cmocka_unit_test(the_last_line_that_says_something_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
