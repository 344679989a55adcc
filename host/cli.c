// cli.c: what one call of ctz asked for.
// SPDX-License-Identifier: MIT
#include "host/cli.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/allow.h"
#include "host/host.h"
#include "host/limits.h"

#define NAMES_MAX 64 // more than a command has options, and ctz commands

static const struct ctz_option version_option = {.letter = 'V', .name = "version"};

// --- names -------------------------------------------------------------------------------------

static const struct ctz_command *find_command(const char *name)
{
    for (const struct ctz_command *command = ctz_commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

static int unknown_command(const char *name, struct ctz_error *err)
{
    const char *names[NAMES_MAX] = {0};
    for (size_t i = 0; ctz_commands[i].name && i < NAMES_MAX - 1; i++)
        names[i] = ctz_commands[i].name;
    if (access(name, R_OK) == 0) {
        ctz_error_set(err, CTZ_ERROR_USAGE, "\"%s\" is a file, not a command", name);
        ctz_error_hint(err, "ctz run %s", name);
        return -1;
    }
    const char *near = ctz_nearest(name, names);
    ctz_error_set(err, CTZ_ERROR_USAGE, "no command is called \"%s\"%s%s%s", name,
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
    ctz_error_hint(err, "ctz help lists the commands");
    return -1;
}

// Is it this option, written --name, --name=value or -n?
static bool is_option(const struct ctz_option *option, const char *word)
{
    if (word[1] != '-')
        return option->letter && word[1] == option->letter && word[2] == '\0';
    size_t length = strcspn(word + 2, "=");
    return strlen(option->name) == length && memcmp(option->name, word + 2, length) == 0;
}

static const struct ctz_option *find_in(const struct ctz_option *options, const char *word)
{
    for (; options && options->name; options++)
        if (is_option(options, word))
            return options;
    return NULL;
}

static const struct ctz_option *find_option(const struct ctz_command *command, const char *word)
{
    const struct ctz_option *own = command ? find_in(command->options, word) : NULL;
    return own ? own : find_in(ctz_common_options, word);
}

static size_t add_names(const struct ctz_option *options, const char **names, size_t count)
{
    for (; options && options->name && count < NAMES_MAX - 1; options++)
        names[count++] = options->name;
    return count;
}

static bool is_option_of_any(const char *word)
{
    for (const struct ctz_command *command = ctz_commands; command->name; command++)
        if (find_in(command->options, word))
            return true;
    return false;
}

static int unknown_option(const struct ctz_command *command, const char *word,
                          struct ctz_error *err)
{
    const char *names[NAMES_MAX] = {0};
    size_t count = add_names(command ? command->options : NULL, names, 0);
    add_names(ctz_common_options, names, count);
    int length = (int)strcspn(word, "=");
    char plain[64] = "";
    strncpy(plain, word + strspn(word, "-"), sizeof plain - 1);
    plain[strcspn(plain, "=")] = '\0';
    const char *near = length > 2 ? ctz_nearest(plain, names) : NULL;
    ctz_error_set(err, CTZ_ERROR_USAGE, "unknown option %.*s%s%s%s", length, word,
                  near ? "; did you mean --" : "", near ? near : "", near ? "?" : "");
    if (!command && is_option_of_any(word))
        ctz_error_hint(err, "options stand behind the command: ctz run RECIPE %s", word);
    else if (command && command->words == CTZ_WORDS_RECIPE && !near)
        ctz_error_hint(err, "parameters are written name=value; words behind -- go to the recipe "
                            "as they are");
    else
        ctz_error_hint(err, "ctz help%s%s", command ? " " : "", command ? command->name : "");
    return -1;
}

// --- values ------------------------------------------------------------------------------------

static double seconds_of(const char *unit, size_t length)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ms", 0.001}, {"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}};
    for (size_t i = 0; i < CTZ_COUNT(units); i++)
        if (strlen(units[i].name) == length && memcmp(units[i].name, unit, length) == 0)
            return units[i].seconds;
    return -1;
}

int ctz_parse_seconds(const char *text, double *seconds, struct ctz_error *err)
{
    double total = 0, last = INFINITY;
    const char *at = text;
    bool valid = *at != '\0';
    while (valid && *at) {
        char *end = NULL;
        double number = isdigit((unsigned char)*at) ? strtod(at, &end) : -1;
        if (!end || strcspn(at, "xXeEpP") < (size_t)(end - at)) { // decimal only
            valid = false;
            break;
        }
        size_t length = strcspn(end, "0123456789");
        double unit = length == 0 && at == text ? 1 : seconds_of(end, length);
        valid = unit > 0 && unit < last && number < 1e12;
        total += number * unit;
        last = unit;
        at = end + length;
    }
    if (!valid)
        return ctz_error_set(err, CTZ_ERROR_USAGE,
                             "not a time: \"%s\" (seconds, or with units as 500ms, 2m, 1h30m)",
                             text);
    *seconds = total;
    return 0;
}

// The place of a value among "a|b|c", or -1.
static int choice_place(const char *choices, const char *value)
{
    size_t length = strlen(value);
    int place = 0;
    for (const char *at = choices; at; at = strchr(at, '|') ? strchr(at, '|') + 1 : NULL, place++)
        if (strcspn(at, "|") == length && memcmp(at, value, length) == 0)
            return place;
    return -1;
}

static int check_value(const struct ctz_option *option, const char *value, struct ctz_error *err)
{
    double seconds;
    switch (option->type) {
    case CTZ_OPTION_CHOICE:
        if (choice_place(option->value, value) < 0)
            return ctz_error_set(err, CTZ_ERROR_USAGE, "--%s takes %s, not \"%s\"", option->name,
                                 option->value, value);
        return 0;
    case CTZ_OPTION_SECONDS:
        if (ctz_parse_seconds(value, &seconds, err) < 0)
            return ctz_error_wrap(err, "--%s", option->name);
        return 0;
    default:
        return 0;
    }
}

// --- parsing -----------------------------------------------------------------------------------

struct reader {
    struct ctz_cli *cli;
    char *const *argv; // ends with NULL
    int at;
};

static int take_option(struct reader *reader, const struct ctz_option *option,
                       struct ctz_error *err)
{
    struct ctz_cli *cli = reader->cli;
    const char *word = reader->argv[reader->at++];
    const char *value = strncmp(word, "--", 2) == 0 ? strchr(word, '=') : NULL;
    if (option->type == CTZ_OPTION_FLAG) {
        if (value)
            return ctz_error_set(err, CTZ_ERROR_USAGE, "--%s takes no value", option->name);
    } else {
        value = value ? value + 1 : reader->argv[reader->at++];
        if (!value)
            return ctz_error_set(err, CTZ_ERROR_USAGE, "--%s needs a value: --%s %s", option->name,
                                 option->name, option->value);
        if (check_value(option, value, err) < 0)
            return -1;
    }
    cli->help |= strcmp(option->name, "help") == 0;
    cli->settings[cli->setting_count].option = option;
    cli->settings[cli->setting_count++].value = value ? value : "";
    return 0;
}

static bool looks_like_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

static int take_word(struct reader *reader, struct ctz_error *err)
{
    struct ctz_cli *cli = reader->cli;
    const char *word = reader->argv[reader->at];
    if (looks_like_option(word)) {
        const struct ctz_option *option = find_option(cli->command, word);
        if (option && !option->passed_on)
            return take_option(reader, option, err);
        if (!cli->command && is_option(&version_option, word))
            word = version_option.name;
        else if (!cli->command || !cli->command->passes_on)
            return unknown_option(cli->command, word, err);
    }
    reader->at++;
    if (cli->command)
        cli->words[cli->word_count++] = word;
    else if (!(cli->command = find_command(word)))
        return unknown_command(word, err);
    return 0;
}

static int check_words(const struct ctz_cli *cli, struct ctz_error *err)
{
    const struct ctz_command *command = cli->command;
    if (cli->help)
        return 0;
    if (cli->word_count < (size_t)command->least_words) {
        ctz_error_set(err, CTZ_ERROR_USAGE, "%.*s is missing",
                      (int)strcspn(command->arguments, " "), command->arguments);
    } else if (command->most_words >= 0 &&
               cli->word_count + cli->rest_count > (size_t)command->most_words) {
        size_t first = (size_t)command->most_words;
        ctz_error_set(err, CTZ_ERROR_USAGE, "one word too many: \"%s\"",
                      first < cli->word_count ? cli->words[first]
                                              : cli->rest[first - cli->word_count]);
    } else {
        return 0;
    }
    ctz_error_hint(err, "usage: ctz %s %s", command->name, command->arguments);
    return -1;
}

int ctz_cli_parse(struct ctz_cli *cli, int argc, char *const *argv, struct ctz_error *err)
{
    memset(cli, 0, sizeof *cli);
    struct reader reader = {.cli = cli, .argv = argv, .at = 1};
    cli->settings = ctz_calloc((size_t)argc + 1, sizeof *cli->settings);
    cli->words = ctz_calloc((size_t)argc + 1, sizeof *cli->words);
    if (!cli->settings || !cli->words)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    while (reader.at < argc) {
        if (strcmp(argv[reader.at], "--") == 0) {
            cli->rest = (const char *const *)&argv[reader.at + 1];
            cli->rest_count = (size_t)(argc - reader.at - 1);
            break;
        }
        if (take_word(&reader, err) < 0)
            return -1;
    }
    if (!cli->command)
        cli->command = find_command(cli->help ? "help" : "repl");
    return check_words(cli, err);
}

void ctz_cli_clear(struct ctz_cli *cli)
{
    ctz_free(cli->settings);
    ctz_free(cli->words);
    memset(cli, 0, sizeof *cli);
}

// --- applying ----------------------------------------------------------------------------------

const char *ctz_cli_option(const struct ctz_cli *cli, const char *name, const char *otherwise)
{
    const char *value = otherwise;
    for (size_t i = 0; i < cli->setting_count; i++)
        if (strcmp(cli->settings[i].option->name, name) == 0)
            value = cli->settings[i].value;
    return value;
}

static bool has(const struct ctz_cli *cli, const char *name)
{
    return ctz_cli_option(cli, name, NULL) != NULL;
}

int ctz_cli_apply(const struct ctz_cli *cli, struct ctz_host *host, struct ctz_error *err)
{
    host->cli = cli;
    host->json = has(cli, "json");
    host->quiet = has(cli, "quiet");
    host->debug = has(cli, "debug");
    host->dry_run = has(cli, "dry-run");
    host->simulate = has(cli, "simulate");
    for (size_t i = 0; i < cli->setting_count; i++) {
        const struct ctz_option *option = cli->settings[i].option;
        const char *name = option->name, *value = cli->settings[i].value;
        if (strcmp(name, "progress") == 0)
            host->progress = (enum ctz_progress)choice_place(option->value, value);
        if (strcmp(name, "color") == 0)
            host->color = (enum ctz_color)choice_place(option->value, value);
        if (strcmp(name, "limit") == 0 && ctz_limits_parse(&host->limits, value, err) < 0)
            return -1;
        if (strcmp(name, "allow") == 0 && ctz_allow_add(&host->allow, value, err) < 0)
            return -1;
    }
    return 0;
}
