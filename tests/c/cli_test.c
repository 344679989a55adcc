// cli_test.c: parsing the command line, as plain C.
// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "host/cli.h"

#define TEST(name) static void name(void **state CTZ_UNUSED)

// The words of one call, "ctz" in front, NULL behind.
#define PARSE(cli, err, ...) parse(cli, err, (const char *const[]){"ctz", __VA_ARGS__, NULL})

static int parse(struct ctz_cli *cli, struct ctz_error *err, const char *const *words)
{
    int count = 0;
    while (words[count])
        count++;
    memset(err, 0, sizeof *err);
    return ctz_cli_parse(cli, count, (char *const *)words, err);
}

static void clear(struct ctz_cli *cli, struct ctz_error *err)
{
    ctz_cli_clear(cli);
    ctz_error_clear(err);
}

TEST(every_command_says_what_it_is)
{
    for (const struct ctz_command *command = ctz_commands; command->name; command++) {
        assert_non_null(command->arguments);
        assert_non_null(command->summary);
        assert_non_null(command->text);
        assert_true(command->most_words < 0 || command->least_words <= command->most_words);
        assert_int_not_equal(command->summary[strlen(command->summary) - 1], '.');
        int examples = 0;
        while (command->examples && command->examples[examples])
            examples++;
        assert_true(examples > 0 && examples % 2 == 0); // a line and what it does
    }
}

static void check_options(const struct ctz_option *options)
{
    for (; options && options->name; options++) {
        assert_non_null(options->help);
        assert_int_equal(options->type != CTZ_OPTION_FLAG, options->value != NULL);
        for (const struct ctz_option *other = options + 1; other->name; other++) {
            assert_string_not_equal(options->name, other->name);
            assert_false(options->letter && options->letter == other->letter);
        }
    }
}

TEST(no_option_stands_twice_in_the_table)
{
    check_options(ctz_common_options);
    for (const struct ctz_command *command = ctz_commands; command->name; command++) {
        check_options(command->options);
        for (const struct ctz_option *own = command->options; own && own->name; own++)
            for (const struct ctz_option *common = ctz_common_options; common->name; common++)
                assert_string_not_equal(own->name, common->name);
    }
}

TEST(words_and_options_may_be_mixed)
{
    struct ctz_cli cli;
    struct ctz_error err;
    assert_int_equal(PARSE(&cli, &err, "run", "--json", "a.lua", "x=1", "--timeout", "5", "y",
                           "--limit=json_depth=9", "--limit", "yaml_depth=8", "--", "--json", "z"),
                     0);
    assert_string_equal(cli.command->name, "run");
    assert_int_equal(cli.word_count, 3);
    assert_string_equal(cli.words[0], "a.lua");
    assert_string_equal(cli.words[2], "y");
    assert_int_equal(cli.rest_count, 2);
    assert_string_equal(cli.rest[0], "--json");
    assert_string_equal(ctz_cli_option(&cli, "timeout", ""), "5");
    assert_string_equal(ctz_cli_option(&cli, "limit", ""), "yaml_depth=8"); // the last one
    assert_string_equal(ctz_cli_option(&cli, "progress", "auto"), "auto");
    assert_int_equal(cli.setting_count, 4);
    clear(&cli, &err);
}

TEST(a_single_dash_is_a_word)
{
    struct ctz_cli cli;
    struct ctz_error err;
    assert_int_equal(PARSE(&cli, &err, "run", "-", "-"), 0);
    assert_int_equal(cli.word_count, 2);
    clear(&cli, &err);
}

TEST(common_options_may_stand_before_the_command)
{
    struct ctz_cli cli;
    struct ctz_error err;
    assert_int_equal(PARSE(&cli, &err, "--quiet", "--color=never", "version"), 0);
    assert_string_equal(cli.command->name, "version");
    assert_string_equal(ctz_cli_option(&cli, "color", ""), "never");
    clear(&cli, &err);
    assert_int_equal(PARSE(&cli, &err, "--timeout", "5", "run", "x"), -1);
    assert_string_equal(err.hint, "options stand behind the command: ctz run RECIPE --timeout");
    clear(&cli, &err);
}

TEST(without_a_command_it_is_the_repl_or_help)
{
    struct ctz_cli cli;
    struct ctz_error err;
    assert_int_equal(parse(&cli, &err, (const char *const[]){"ctz", NULL}), 0);
    assert_string_equal(cli.command->name, "repl");
    clear(&cli, &err);
    assert_int_equal(PARSE(&cli, &err, "--help"), 0);
    assert_string_equal(cli.command->name, "help");
    clear(&cli, &err);
    assert_int_equal(PARSE(&cli, &err, "-V"), 0);
    assert_string_equal(cli.command->name, "version");
    clear(&cli, &err);
}

TEST(help_needs_no_words)
{
    struct ctz_cli cli;
    struct ctz_error err;
    assert_int_equal(PARSE(&cli, &err, "run", "-h"), 0);
    assert_true(cli.help);
    clear(&cli, &err);
}

TEST(test_passes_on_what_it_does_not_know)
{
    struct ctz_cli cli;
    struct ctz_error err;
    assert_int_equal(PARSE(&cli, &err, "test", "-o", "junit", "--test-timeout=9", "--lang=de", "-q",
                           "a_spec.lua"),
                     0);
    assert_int_equal(cli.word_count, 4);
    assert_string_equal(cli.words[0], "-o");
    assert_string_equal(cli.words[2], "--lang=de");
    assert_string_equal(ctz_cli_option(&cli, "test-timeout", ""), "9");
    clear(&cli, &err);
}

// What is wrong, and the message it gives.
TEST(mistakes_are_usage_errors_with_the_nearest_name)
{
    static const struct {
        const char *words[4], *message;
    } rows[] = {
        {{"ctz", "rnu"}, "no command is called \"rnu\"; did you mean \"run\"?"},
        {{"ctz", "xyzzy"}, "no command is called \"xyzzy\""},
        {{"ctz", "run", "--jsno"}, "unknown option --jsno; did you mean --json?"},
        {{"ctz", "run", "-x"}, "unknown option -x"},
        {{"ctz", "run", "---"}, "unknown option ---"},
        {{"ctz", "run", "--=1"}, "unknown option --"},
        {{"ctz", "run", "--json=1"}, "--json takes no value"},
        {{"ctz", "run", "--timeout"}, "--timeout needs a value: --timeout S"},
        {{"ctz", "run", "--progress=x"}, "--progress takes auto|tty|plain|json|none, not \"x\""},
        {{"ctz", "run", "--progress="}, "--progress takes auto|tty|plain|json|none, not \"\""},
        {{"ctz", "run", "--progress=auto|tty"},
         "--progress takes auto|tty|plain|json|none, not \"auto|tty\""},
        {{"ctz", "run"}, "RECIPE|- is missing"},
        {{"ctz", "version", "1"}, "one word too many: \"1\""},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct ctz_cli cli;
        struct ctz_error err;
        assert_int_equal(parse(&cli, &err, rows[i].words), -1);
        assert_int_equal(err.kind, CTZ_ERROR_USAGE);
        assert_string_equal(ctz_error_message(&err), rows[i].message);
        clear(&cli, &err);
    }
}

TEST(seconds_are_read_with_their_units)
{
    static const struct {
        const char *text;
        double seconds; // -1: refused
    } rows[] = {
        {"90", 90},      {"1.5", 1.5},   {"0", 0},         {"500ms", 0.5}, {"2m", 120},
        {"1h30m", 5400}, {"1d", 86400},  {"1m0.5s", 60.5}, {"", -1},       {"s", -1},
        {"-1", -1},      {"1e3", -1},    {"0x10", -1},     {"inf", -1},    {"nan", -1},
        {"5y", -1},      {"30m1h", -1},  {"1h30", -1},     {"1 h", -1},    {" 1", -1},
        {"1s1s", -1},    {"1h 30m", -1}, {".5", -1},       {"1..5", -1},   {"99999999999999", -1},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct ctz_error err = {0};
        double seconds = -1;
        int result = ctz_parse_seconds(rows[i].text, &seconds, &err);
        assert_int_equal(result, rows[i].seconds < 0 ? -1 : 0);
        if (result == 0)
            assert_true(seconds == rows[i].seconds);
        ctz_error_clear(&err);
    }
}

TEST(the_place_in_front_of_a_message_is_found)
{
    static const struct {
        const char *text;
        size_t length;
    } rows[] = {
        {"deploy.lua:14: oops", 13},
        {"a/b:c.lua:2: x", 11},
        {"oops", 0},
        {"", 0},
        {":3: x", 0},
        {"a.lua:x: y", 0},
        {"a.lua:3:y", 0},
        {"http://h:80/x", 0},
        {"a\nb.lua:3: x", 0},
        {"a.lua:3: b:4: x", 7},
        {"a.lua:12", 0},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++)
        assert_int_equal(ctz_place_length(rows[i].text), rows[i].length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_says_what_it_is),
        cmocka_unit_test(no_option_stands_twice_in_the_table),
        cmocka_unit_test(words_and_options_may_be_mixed),
        cmocka_unit_test(a_single_dash_is_a_word),
        cmocka_unit_test(common_options_may_stand_before_the_command),
        cmocka_unit_test(without_a_command_it_is_the_repl_or_help),
        cmocka_unit_test(help_needs_no_words),
        cmocka_unit_test(test_passes_on_what_it_does_not_know),
        cmocka_unit_test(mistakes_are_usage_errors_with_the_nearest_name),
        cmocka_unit_test(seconds_are_read_with_their_units),
        cmocka_unit_test(the_place_in_front_of_a_message_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
