// cli_table.c: every command of ctz in one table.
// SPDX-License-Identifier: MIT
#include "host/cli.h"

// clang-format off
#define FLAG(n, h)      {.name = n, .help = h}
#define TEXT(n, v, h)   {.name = n, .value = v, .help = h, .type = CTZ_OPTION_TEXT}
#define SECONDS(n, h)   {.name = n, .value = "S", .help = h, .type = CTZ_OPTION_SECONDS}
#define CHOICE(n, v, h) {.name = n, .value = v, .help = h, .type = CTZ_OPTION_CHOICE}
#define BUSTED(l, n, v, h) \
    {.letter = l, .name = n, .value = v, .help = h, .passed_on = true, \
     .type = v ? CTZ_OPTION_TEXT : CTZ_OPTION_FLAG}
#define END             {.name = NULL}
// clang-format on

const struct ctz_option ctz_common_options[] = {
    {.letter = 'h', .name = "help", .help = "show this page"},
    {.letter = 'q', .name = "quiet", .help = "print results and errors only"},
    FLAG("debug", "log what ctz does; errors carry a traceback"),
    CHOICE("color", "auto|always|never", "colours; auto honours NO_COLOR"),
    END,
};

// --- run ---------------------------------------------------------------------------------------

static const struct ctz_option run_options[] = {
    {.letter = 't',
     .name = "timeout",
     .value = "S",
     .help = "end the run after S seconds (also 500ms, 2m, 1h30m) with exit code 124",
     .type = CTZ_OPTION_SECONDS},
    FLAG("json", "print what the recipe returns, or its error, as JSON on stdout"),
    CHOICE("progress", "auto|tty|plain|json|none", "how progress is shown on stderr"),
    TEXT("limit", "NAME=VALUE", "change one limit of `ctz doctor`; may be repeated"),
    FLAG("dry-run", "show every change that would be made, and make none"),
    FLAG("simulate", "engines that are not there are simulated in memory"),
    TEXT("allow", "KIND[=SUBJECT]",
         "grant only what is named: read, write, run, net, env, docker, kubernetes; may be "
         "repeated"),
    END,
};

static const char *const run_examples[] = {
    "ctz run deploy.lua image=web:1.2 replicas=3",
    "run a recipe with two parameters",
    "ctz run deploy.lua --help",
    "show the parameters that the recipe declares",
    "ctz run build.lua --timeout 10m --json > result.json",
    "bound the run and keep what it returns",
    "ctz run scan.lua --allow read=src --allow net=registry.example.org",
    "let the recipe read one folder and reach one host, and nothing else",
    "cat recipe.lua | ctz run -",
    "read the recipe from stdin",
    NULL,
};

static const char *const eval_examples[] = {
    "ctz eval '1 + 1'",
    "print a value",
    "ctz eval --json 'ctz.fs.list \".\"'",
    "print it as JSON",
    NULL,
};

// --- others ------------------------------------------------------------------------------------

static const struct ctz_option json_options[] = {FLAG("json", "print the same as JSON"), END};

static const char *const repl_examples[] = {
    "ctz",
    "start it; ?name shows the documentation of a name",
    NULL,
};

static const char *const check_examples[] = {
    "ctz check recipes/*.lua",
    "look at several recipes",
    NULL,
};

static const struct ctz_option test_options[] = {
    SECONDS("test-timeout", "deadline of each test, 60 s by default"),
    BUSTED('o', "output", "HANDLER", "utfTerminal, plainTerminal, TAP, junit, json, gtest"),
    BUSTED(0, "filter", "PATTERN", "only tests whose name matches the Lua pattern"),
    BUSTED(0, "filter-out", "PATTERN", "not those whose name matches"),
    BUSTED('t', "tags", "TAGS", "only tests with these #tags"),
    BUSTED(0, "exclude-tags", "TAGS", "not those with these #tags"),
    BUSTED('l', "list", NULL, "list the tests instead of running them"),
    BUSTED(0, "shuffle", NULL, "run files and tests in random order"),
    BUSTED(0, "seed", "SEED", "of the random order"),
    BUSTED(0, "repeat", "COUNT", "run all of them so often"),
    BUSTED('p', "pattern", "PATTERN", "names of test files, _spec by default"),
    BUSTED(0, "helper", "PATH", "a script that runs before the tests"),
    BUSTED('v', "verbose", NULL, "show where an error was raised"),
    BUSTED(0, "no-keep-going", NULL, "stop after the first error or failure"),
    END,
};

static const char *const test_examples[] = {
    "ctz test",
    "run tests/lua, or spec",
    "ctz test -o junit tests/lua > report.xml",
    "write JUnit XML",
    "ctz test --filter cancel tests/lua/task_spec.lua",
    "run some tests of one file",
    NULL,
};

static const struct ctz_option doc_options[] = {
    FLAG("json", "print the same as JSON"),
    FLAG("list", "print every name, one a line"),
    END,
};

static const char *const doc_examples[] = {
    "ctz doc ctz.fs.read",
    "what one function takes, returns and raises",
    "ctz doc fs",
    "the functions of one module",
    "ctz doc retry",
    "every name that has the word in it",
    NULL,
};

static const char *const setup_examples[] = {
    "ctz setup",
    "prepare the current folder",
    NULL,
};

static const struct ctz_option copy_options[] = {
    TEXT("platform", "P[,P...]", "only these platforms, such as linux/amd64,linux/arm/v7"),
    TEXT("jobs", "N", "blobs at once; default 4"),
    FLAG("no-referrers", "without signatures, SBOMs and what else refers to it"),
    FLAG("digest-tags", "with the tags sha256-<hex>..., by which cosign attaches signatures"),
    FLAG("no-resume", "use nothing of an earlier copy that was killed"),
    FLAG("verify", "compare what is read here too: a damaged blob is named as such"),
    CHOICE("src-tls-verify", "true|false", "false: take any certificate of the registry of SRC"),
    CHOICE("dest-tls-verify", "true|false", "false: take any certificate of the registry of DST"),
    FLAG("dry-run", "show what would be written, and write nothing"),
    FLAG("json", "print the result as JSON"),
    CHOICE("progress", "auto|tty|plain|json|none", "how progress is shown on stderr"),
    TEXT("limit", "NAME=VALUE", "change one limit of `ctz doctor`; may be repeated"),
    END,
};

static const char *const copy_examples[] = {
    "ctz copy oci:out/site:1.0 oci-archive:site.tar",
    "from a layout into one file",
    "ctz copy docker-archive:web.tar oci:web --json",
    "what docker save wrote, as a layout",
    "ctz copy oci:site:1.0 oci:small:1.0 --platform linux/arm64",
    "one platform of several",
    NULL,
};

static const struct ctz_option inspect_options[] = {
    TEXT("platform", "P", "which one of several; default: this machine's"),
    FLAG("raw", "print the manifest as it is stored"),
    FLAG("config", "print the config as it is stored"),
    CHOICE("tls-verify", "true|false", "false: take any certificate of this registry"),
    FLAG("json", "print the same as JSON"),
    TEXT("limit", "NAME=VALUE", "change one limit of `ctz doctor`; may be repeated"),
    END,
};

static const char *const inspect_examples[] = {
    "ctz inspect oci:out/site:1.0",
    "show digest, platforms, size and layers",
    "ctz inspect docker-archive:web.tar --config",
    "print its config",
    NULL,
};

static const struct ctz_option tags_options[] = {
    FLAG("digests", "with the digest that each tag points to"),
    TEXT("match", "PATTERN", "only tags that the Lua pattern fits"),
    CHOICE("tls-verify", "true|false", "false: take any certificate of this registry"),
    FLAG("json", "print the same as JSON"),
    END,
};

static const char *const tags_examples[] = {
    "ctz tags alpine --match '^3%.%d+$'",
    "some tags of an image of Docker Hub",
    "ctz tags localhost:5000/team/app --digests",
    "with the digest of each",
    NULL,
};

static const struct ctz_option login_options[] = {
    TEXT("username", "NAME", "who logs in; default: it is asked for"),
    FLAG("plain", "keep the password readable in config.json, for this user alone"),
    CHOICE("tls-verify", "true|false", "false: take any certificate of this registry"),
    FLAG("json", "print the result as JSON"),
    END,
};

static const char *const login_examples[] = {
    "ctz login registry.example.org",
    "ask for name and password on the terminal",
    "ctz login registry.example.org --username ci < token",
    "read the password from a file",
    NULL,
};

static const struct ctz_option gc_options[] = {
    FLAG("dry-run", "show what would be removed, and remove nothing"),
    FLAG("all", "also what runs that ended well left on purpose"),
    FLAG("images", "also images without a name that such runs built"),
    TEXT("host", "NAME", "what another machine left: its label ctz.host, or how it begins"),
    SECONDS("older", "only what was made longer ago than S seconds (also 12h, 30d)"),
    FLAG("yes", "with --host: do it, do not only show it"),
    FLAG("json", "print the same as JSON"),
    END,
};

static const char *const gc_examples[] = {
    "ctz gc --dry-run",
    "show what runs that died have left",
    "ctz gc",
    "remove it",
    "ctz gc --host 5117770f --older 30d",
    "show what another machine has left for a month; --yes removes it",
    NULL,
};

static const char *const completion_examples[] = {
    "ctz completion bash > ~/.local/share/bash-completion/completions/ctz",
    "for bash",
    "ctz completion zsh > ~/.zfunc/_ctz",
    "for zsh, with ~/.zfunc in fpath",
    "ctz completion fish > ~/.config/fish/completions/ctz.fish",
    "for fish",
    NULL,
};

static const struct ctz_option help_options[] = {
    CHOICE("format", "text|man|markdown", "how the page is written"),
    FLAG("json", "print the table of commands as JSON"),
    END,
};

static const char *const doctor_examples[] = {"ctz doctor --json", "the same as data", NULL};
static const char *const help_examples[] = {"ctz help run", "all about ctz run", NULL};
static const char *const version_examples[] = {"ctz version --json", "the same as data", NULL};

// --- the table ---------------------------------------------------------------------------------

const struct ctz_command ctz_commands[] = {
    {.name = "run",
     .arguments = "RECIPE|- [name=value ...] [-- args ...]",
     .summary = "run a recipe",
     .text = "Runs a Lua file, or stdin when its name is -. Words of the form name=value are "
             "parameters of the recipe, when it declares them with ctz.params; all other words, "
             "and what follows --, are in ctz.args.\n\n"
             "What the recipe prints goes to stdout; progress, log and errors go to stderr. With "
             "--allow the run may do only what was granted.",
     .options = run_options,
     .examples = run_examples,
     .run = ctz_cmd_run,
     .least_words = 1,
     .most_words = -1,
     .words = CTZ_WORDS_RECIPE},

    {.name = "repl",
     .arguments = "",
     .summary = "try Lua and ctz interactively",
     .text = "Reads Lua line by line and prints what each line gives. Calls that wait work at the "
             "top level. On a terminal, ctz without a command does the same; from a pipe it runs "
             "what it reads. Ctrl-C cancels what runs, Ctrl-D ends the session. What was typed is "
             "kept in $XDG_STATE_HOME/ctz/history, without what holds a secret.",
     .examples = repl_examples,
     .words = CTZ_WORDS_NONE},

    {.name = "eval",
     .arguments = "CODE [name=value ...] [-- args ...]",
     .summary = "run one line of Lua",
     .text = "Runs the text as a recipe with ctz loaded. The value of an expression is printed.",
     .options = run_options,
     .examples = eval_examples,
     .run = ctz_cmd_eval,
     .least_words = 1,
     .most_words = -1,
     .words = CTZ_WORDS_CODE},

    {.name = "check",
     .arguments = "RECIPE ...",
     .summary = "find mistakes in a recipe without running it",
     .text = "Looks for syntax errors, modules and fields that ctz does not have, globals that "
             "nothing defines, and shows the parameters that the recipe declares. For the latter "
             "the recipe is run up to its ctz.params with every door closed: nothing is touched. "
             "Work before that line is reported.\n\n"
             "Uses the parser of luacheck (package lua-check).",
     .options = json_options,
     .examples = check_examples,
     .least_words = 1,
     .most_words = -1,
     .words = CTZ_WORDS_FILE},

    {.name = "test",
     .arguments = "[busted options] [FILE|FOLDER ...]",
     .summary = "run busted specs that may wait",
     .text = "Runs the machine's busted (package lua-busted) inside ctz, so that tests, "
             "before_each and after_each may wait. Every test has a deadline; a test that leaves "
             "a task behind fails. Without files it runs tests/lua, or spec. Options that are not "
             "listed are busted's too.",
     .options = test_options,
     .examples = test_examples,
     .most_words = -1,
     .words = CTZ_WORDS_FILE,
     .passes_on = true},

    {.name = "doc",
     .arguments = "[NAME]",
     .summary = "show the documentation of a function or module",
     .text = "Shows signature, parameters, errors and examples of one function, the functions of "
             "a module, or every name that has the word in it.",
     .options = doc_options,
     .examples = doc_examples,
     .most_words = 1,
     .words = CTZ_WORDS_NAME},

    {.name = "setup",
     .arguments = "[FOLDER]",
     .summary = "prepare a folder for editors",
     .text = "Writes the types of ctz (LuaCATS) to FOLDER/.ctz/types and names them in "
             "FOLDER/.luarc.json, so that lua-language-server completes and checks recipes. What "
             ".luarc.json holds already is kept.",
     .examples = setup_examples,
     .most_words = 1,
     .words = CTZ_WORDS_FOLDER},

    {.name = "doctor",
     .arguments = "",
     .summary = "show versions, limits and what is reachable",
     .text = "Shows the versions of ctz and its libraries, the limits, the container engines and "
             "tools that are reachable from here, and what to do about those that are not.",
     .options = json_options,
     .examples = doctor_examples,
     .words = CTZ_WORDS_NONE},

    {.name = "copy",
     .arguments = "SRC DST",
     .summary = "copy an image from any place to any other",
     .text = "Copies an image with all its platforms, and what refers to it, between layouts "
             "(oci:DIR:TAG), archives (oci-archive:FILE:TAG, docker-archive:FILE:NAME), engines "
             "(docker:NAME) and registries (HOST/NAME:TAG).\n\n"
             "Blobs that are there already are skipped. All is compared with its digest before it "
             "can be seen. A copy that was interrupted or killed is gone on with by the same "
             "command.",
     .options = copy_options,
     .examples = copy_examples,
     .least_words = 2,
     .most_words = 2,
     .words = CTZ_WORDS_FILE},

    {.name = "inspect",
     .arguments = "IMAGE",
     .summary = "show what an image is, wherever it is",
     .text =
         "Shows digest, platforms, size, layers and config of an image in a layout, an archive, "
         "an engine or a registry.",
     .options = inspect_options,
     .examples = inspect_examples,
     .least_words = 1,
     .most_words = 1,
     .words = CTZ_WORDS_FILE},

    {.name = "tags",
     .arguments = "REPOSITORY",
     .summary = "list the tags of a repository in a registry",
     .text = "Prints one tag a line, page by page as the registry gives them.",
     .options = tags_options,
     .examples = tags_examples,
     .least_words = 1,
     .most_words = 1,
     .words = CTZ_WORDS_NONE},

    {.name = "login",
     .arguments = "HOST",
     .summary = "tell who you are at a registry",
     .text = "Asks the registry whether it takes name and password, then hands them to the "
             "credential helper that config.json names (credHelpers, credsStore), where docker, "
             "podman and ctz find them. Without a helper nothing is kept, unless --plain is "
             "given. The password is read from stdin, or typed unseen; it is never a word of a "
             "command line.",
     .options = login_options,
     .examples = login_examples,
     .least_words = 1,
     .most_words = 1,
     .words = CTZ_WORDS_NONE},

    {.name = "gc",
     .arguments = "",
     .summary = "remove what runs that died left on the engine",
     .text = "Every container, network, volume and image that a recipe makes carries labels that "
             "name its run. This removes the containers (also those that run, with their volumes "
             "without a name), then the networks and volumes of runs of this machine that were "
             "killed or failed. Of runs that live, of other users' runs, and of other machines it "
             "removes nothing. What a run that ended well left is its result: it stays, unless "
             "--all is given. What somebody uses stays.\n\n"
             "With --images, images that have no name and that nobody uses go too, as `docker "
             "image prune` would have it, but only those that such runs built. Images with a name "
             "always stay.\n\n"
             "Which runs of another machine live cannot be seen from here. With --host and "
             "--older, what it left is shown as a plan; with --yes it is removed.\n\n"
             "The engine is the one that the docker command would use (DOCKER_HOST, "
             "DOCKER_CONTEXT).",
     .options = gc_options,
     .examples = gc_examples,
     .words = CTZ_WORDS_NONE},

    {.name = "completion",
     .arguments = "bash|zsh|fish",
     .summary = "print the completion script of a shell",
     .text = "Prints a script that completes commands, options and their values.",
     .examples = completion_examples,
     .least_words = 1,
     .most_words = 1,
     .words = CTZ_WORDS_SHELL},

    {.name = "help",
     .arguments = "[COMMAND]",
     .summary = "show the commands, or the page of one",
     .text = "Shows what ctz can do, or all about one command.",
     .options = help_options,
     .examples = help_examples,
     .most_words = 1,
     .words = CTZ_WORDS_COMMAND},

    {.name = "version",
     .arguments = "",
     .summary = "print the version",
     .text = "Prints the version of ctz.",
     .options = json_options,
     .examples = version_examples,
     .run = ctz_cmd_version,
     .words = CTZ_WORDS_NONE},

    {.name = NULL},
};
