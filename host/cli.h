// cli.h: the command line: one table of commands, and what one call of ctz asked for.
// SPDX-License-Identifier: MIT
//
// Parsing, help, man pages and completions all come from the table in cli_table.c; the last three
// are rendered in Lua (ctz/cmd/help.lua, man.lua, completion.lua).
#ifndef CTZ_CLI_H
#define CTZ_CLI_H

#include <lua.h>

#include "host/api.h"
#include "host/error.h"

struct ctz_host;
struct ctz_cli;

enum ctz_option_type {
    CTZ_OPTION_FLAG,
    CTZ_OPTION_TEXT,
    CTZ_OPTION_SECONDS,
    CTZ_OPTION_CHOICE,
};

struct ctz_option {
    char letter;       // 'q', or 0
    const char *name;  // "timeout"
    const char *value; // what stands for its value: "S"; "a|b|c" of a choice; NULL: a flag
    const char *help;
    enum ctz_option_type type;
    bool passed_on; // busted reads it; here it is only documented
};

/// What the words of a command are, for completion.
enum ctz_words {
    CTZ_WORDS_NONE,
    CTZ_WORDS_RECIPE, // a Lua file, then name=value
    CTZ_WORDS_FILE,
    CTZ_WORDS_FOLDER,
    CTZ_WORDS_COMMAND,
    CTZ_WORDS_NAME, // of the documentation
    CTZ_WORDS_SHELL,
    CTZ_WORDS_CODE,
};

struct ctz_command {
    const char *name;
    const char *arguments;             // "RECIPE|- [name=value ...] [-- args]"
    const char *summary;               // one line, no full stop
    const char *text;                  // paragraphs, parted by an empty line
    const struct ctz_option *options;  // NULL, or ends with a NULL name; all have the common ones
    const char *const *examples;       // command line, explanation, ... NULL
    int (*run)(struct ctz_host *host); // NULL: ctz/cmd/NAME.lua, called as the root task
    int least_words, most_words;       // -1: any number
    enum ctz_words words;
    bool passes_on; // options it does not know are words
};

/// The table; ends with a NULL name.
extern const struct ctz_command ctz_commands[];
/// Those of every command; they may also stand before it.
extern const struct ctz_option ctz_common_options[];

struct ctz_setting {
    const struct ctz_option *option;
    const char *value; // borrowed from argv; NULL for a flag
};

/// One call of ctz, parsed. Its texts are borrowed from argv.
struct ctz_cli {
    const struct ctz_command *command;
    struct ctz_setting *settings; // in the order given
    size_t setting_count;
    const char **words; // that are no options
    size_t word_count;
    const char *const *rest; // what follows "--"
    size_t rest_count;
    bool help;
};

/// Fills cli; a usage error names the nearest command or option. Clear it in both cases.
int ctz_cli_parse(struct ctz_cli *cli, int argc, char *const *argv, struct ctz_error *err);
void ctz_cli_clear(struct ctz_cli *cli);
/// The value that was given last, otherwise when it was not given; a flag has the value "".
const char *ctz_cli_option(const struct ctz_cli *cli, const char *name, const char *otherwise);
/// Puts the options into the host: limits, grants, modes.
int ctz_cli_apply(const struct ctz_cli *cli, struct ctz_host *host, struct ctz_error *err);

/// Seconds of "90", "1.5", "500ms", "2m", "1h30m"; units ms s m h d.
int ctz_parse_seconds(const char *text, double *seconds, struct ctz_error *err);

// --- running -----------------------------------------------------------------------------------

/// The commands that need no Lua file of their own; each returns the exit code.
int ctz_cmd_run(struct ctz_host *host);
int ctz_cmd_eval(struct ctz_host *host);
int ctz_cmd_version(struct ctz_host *host);
/// lua/stdlib/ctz/cmd/NAME.lua as the root task: its function `run` gets (options, words, rest) and
/// returns the exit code.
int ctz_cmd_lua(struct ctz_host *host, const char *name);

/// Pushes the recipe as a function with globals of its own, or raises why it does not load.
void ctz_load_recipe(lua_State *L, const char *path);
/// Pushes the table that is `arg` and ctz.args: the recipe at 0, then its words; one a state.
void ctz_cli_push_args(lua_State *L);

// --- the end (cli_report.c) --------------------------------------------------------------------

enum {
    CTZ_EXIT_OK = 0,
    CTZ_EXIT_FAILED = 1,
    CTZ_EXIT_USAGE = 2,
    CTZ_EXIT_LOAD = 4,
    CTZ_EXIT_UNAVAILABLE = 69,
    CTZ_EXIT_INTERNAL = 70,
    CTZ_EXIT_DEADLINE = 124,
    CTZ_EXIT_PIPE = 141,
};

/// Runs the loop until the root task, whose handle is on top of host->L, has ended; prints its
/// error. Returns the exit code; with 0 the results are on the root's thread.
int ctz_run_root(struct ctz_host *host);
/// Prints the error value on top of host->L for people, and as JSON when the run asked for that.
/// Pops it and returns the exit code that it stands for.
int ctz_report_error(struct ctz_host *host);
/// Prints the first result of the root through a function of ctz/cmd/report.lua.
int ctz_print_result(struct ctz_host *host, const char *function);
/// Flushes stdout. Returns code, or another one when stdout failed.
int ctz_finish_output(struct ctz_host *host, int code);
/// "deploy.lua:14: message", as Lua begins a message: the length of "deploy.lua:14", or 0.
size_t ctz_place_length(const char *text);

/// The door ctz.core.cli.
int ctz_open_cli(lua_State *L);

#endif
