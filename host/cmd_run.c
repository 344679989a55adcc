// cmd_run.c: ctz run and ctz eval: a recipe as the root task.
// SPDX-License-Identifier: MIT
//
// A recipe's globals are a table of its own over _G. Its chunk is named after its path, so that
// the places in errors can be opened.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/buffer.h"
#include "host/cli.h"
#include "host/errorlua.h"
#include "host/host.h"
#include "host/load.h"
#include "host/luax.h"
#include "host/signals.h"
#include "host/task.h"

#define RECIPE_MAX    (64 * CTZ_MIB)
#define READ_BYTES    65536
#define EVAL_NAME     "@<eval>"
#define ARGUMENTS_MAX 100000
#define NEAR_FILES    64 // looked at for "did you mean"

// --- reading -----------------------------------------------------------------------------------

// Until there is something to read, or Ctrl-C. A signal between the look and the wait is not lost.
static void wait_readable(struct ctz_host *host, int fd)
{
    sigset_t ending, before;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    sigprocmask(SIG_BLOCK, &ending, &before);
    ctz_signals_handle(host);
    struct pollfd wait = {.fd = fd, .events = POLLIN};
    if (!host->ending)
        ppoll(&wait, 1, NULL, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    ctz_signals_handle(host);
}

// Returns 0 or an errno.
static int read_all(struct ctz_host *host, int fd, struct ctz_buffer *text)
{
    while (text->length < RECIPE_MAX) {
        char *room = ctz_buffer_reserve(text, READ_BYTES);
        if (!room)
            return ENOMEM;
        wait_readable(host, fd);
        if (host->ending)
            return EINTR;
        ssize_t got = read(fd, room, READ_BYTES);
        if (got == 0)
            return 0;
        if (got < 0 && errno != EINTR)
            return errno;
        text->length += got > 0 ? (size_t)got : 0;
    }
    return EFBIG;
}

// Lua files beside the one that is not there.
static void hint_near(const char *path, struct ctz_error *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? ctz_memdup(path, (size_t)(slash - path) + 1) : ctz_strdup(".");
    DIR *dir = folder ? opendir(folder) : NULL;
    char *found[NEAR_FILES + 1] = {0};
    int count = 0;
    for (struct dirent *entry; dir && count < NEAR_FILES && (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length > 4 && strcmp(entry->d_name + length - 4, ".lua") == 0)
            found[count++] = ctz_strdup(entry->d_name);
    }
    if (dir)
        closedir(dir);
    const char *near = ctz_nearest(slash ? slash + 1 : path, (const char *const *)found);
    if (near)
        ctz_error_hint(err, "did you mean %s%s?", slash ? folder : "", near);
    while (count > 0)
        ctz_free(found[--count]);
    ctz_free(folder);
}

static int read_recipe(struct ctz_host *host, const char *path, struct ctz_buffer *text,
                       struct ctz_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    int fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    int failure = fd < 0 ? errno : read_all(host, fd, text);
    if (fd > STDIN_FILENO)
        close(fd);
    if (failure == 0)
        return 0;
    ctz_error_system(err, failure, "cannot read recipe %s", is_stdin ? "from stdin" : path);
    if (failure == ENOENT)
        hint_near(path, err);
    if (failure == EISDIR)
        ctz_error_hint(err, "name a file in it");
    return -1;
}

// --- a recipe that does not load ---------------------------------------------------------------

static const char *syntax_hint(const char *message)
{
    static const struct {
        const char *words, *hint;
    } hints[] = {
        {"near '!'", "Lua writes \"not\" and \"~=\" for ! and !="},
        {"compiled Lua", "give the source file"},
        {"'then' expected near '='", "a comparison is written =="},
        {"'=' expected near '+'", "Lua has no += or ++: write n = n + 1"},
        {"'=' expected near '-'", "Lua has no -= or --: write n = n - 1"},
        {"unfinished string", "a text in quotes ends in the same line; [[...]] spans lines"},
        {"'<eof>' expected near 'end'", "there is an \"end\" too many before this line"},
        {"'end' expected", "an \"end\" is missing"},
        {"near 'else'", "\"else if\" in one word: elseif"},
        {"unexpected symbol near '<\\", "the file holds bytes that are not Lua text"},
    };
    for (size_t i = 0; i < CTZ_COUNT(hints); i++)
        if (strstr(message, hints[i].words))
            return hints[i].hint;
    return NULL;
}

// The message without the place or the name that it begins with.
static const char *reason_in(const char *text, size_t place, const char *name)
{
    size_t length = strlen(name);
    if (place)
        return text + place + 2;
    bool is_named = strncmp(text, name, length) == 0 && strncmp(text + length, ": ", 2) == 0;
    return is_named ? text + length + 2 : text;
}

// Raises the message on top of the stack, "deploy.lua:3: unexpected symbol", as an error value.
static int raise_load_error(lua_State *L, const char *chunk_name)
{
    const char *text = lua_tostring(L, -1) ? lua_tostring(L, -1) : "out of memory";
    const char *name = chunk_name + 1;
    size_t place = ctz_place_length(text);
    struct ctz_error err = {.kind = CTZ_ERROR_USAGE, .hint = (char *)syntax_hint(text)};
    err.message =
        (char *)lua_pushfstring(L, "%s does not load: %s", name, reason_in(text, place, name));
    ctz_error_push(L, &err, NULL); // borrows
    if (place) {
        lua_pushlstring(L, text, place);
        const char *line = strrchr(lua_tostring(L, -1), ':');
        lua_pushfstring(L, "%s%s", name, line); // Lua shortens long names
        lua_setfield(L, -3, "at");
        lua_pop(L, 1);
    }
    return lua_error(L);
}

// --- loading -----------------------------------------------------------------------------------

// Pushes a new table of globals over _G.
static void push_globals(lua_State *L)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushglobaltable(L);
    lua_setfield(L, -2, "__index");
    lua_setmetatable(L, -2);
}

static void set_folder(lua_State *L, const char *path)
{
    const char *slash = strrchr(path, '/');
    if (slash)
        lua_pushlstring(L, path, slash == path ? 1 : (size_t)(slash - path));
    else
        lua_pushliteral(L, ".");
    ctz_load_set_folder(L);
}

// (chunk, folder path) on the stack: gives the chunk its globals.
static void set_globals(lua_State *L, bool with_ctz)
{
    push_globals(L);
    ctz_cli_push_args(L);
    lua_setfield(L, -2, "arg");
    if (with_ctz) {
        lua_getglobal(L, "require");
        lua_pushliteral(L, "ctz");
        lua_call(L, 1, 1);
        lua_setfield(L, -2, "ctz");
    }
    lua_setupvalue(L, -2, 1);
}

struct source {
    const char *path;
    struct ctz_buffer text;
};

// (source) -> the recipe as a function
static int l_load_source(lua_State *L)
{
    struct source *source = lua_touserdata(L, 1);
    bool is_stdin = strcmp(source->path, "-") == 0;
    const char *chunk_name = lua_pushfstring(L, "@%s", is_stdin ? "<stdin>" : source->path);
    const char *text = source->text.bytes ? source->text.bytes : "";
    if (ctz_load_text(L, text, source->text.length, chunk_name) != LUA_OK)
        return raise_load_error(L, chunk_name);
    set_globals(L, false);
    set_folder(L, is_stdin ? "" : source->path);
    return 1;
}

void ctz_load_recipe(lua_State *L, const char *path)
{
    struct source source = {.path = path};
    struct ctz_error err = {0};
    luaL_checkstack(L, 4, "recipe");
    ctz_buffer_init(&source.text, RECIPE_MAX + READ_BYTES);
    if (read_recipe(ctz_host(L), path, &source.text, &err) < 0) {
        ctz_buffer_clear(&source.text);
        ctz_raise(L, &err);
    }
    lua_pushcfunction(L, l_load_source);
    lua_pushlightuserdata(L, &source);
    int status = lua_pcall(L, 1, 1, 0);
    ctz_buffer_clear(&source.text);
    if (status != LUA_OK)
        lua_error(L);
}

// Pushes an expression, or statements, as a function.
static void load_line(lua_State *L, const char *line)
{
    const char *expression = lua_pushfstring(L, "return %s", line);
    if (ctz_load_text(L, expression, strlen(expression), EVAL_NAME) != LUA_OK) {
        lua_pop(L, 1);
        if (ctz_load_text(L, line, strlen(line), EVAL_NAME) != LUA_OK)
            raise_load_error(L, EVAL_NAME);
    }
    set_globals(L, true);
    set_folder(L, "");
}

// --- the commands ------------------------------------------------------------------------------

// () -> handle of the root task
static int l_start(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    const struct ctz_cli *cli = host->cli;
    if (cli->command->run == ctz_cmd_eval)
        load_line(L, cli->words[0]);
    else
        ctz_load_recipe(L, cli->words[0]);
    size_t count = cli->word_count - 1 + cli->rest_count;
    if (count > ARGUMENTS_MAX)
        return luaL_error(L, "more than %d arguments", ARGUMENTS_MAX);
    luaL_checkstack(L, (int)count + LUA_MINSTACK, "too many arguments");
    for (size_t i = 1; i < cli->word_count; i++)
        lua_pushstring(L, cli->words[i]);
    for (size_t i = 0; i < cli->rest_count; i++)
        lua_pushstring(L, cli->rest[i]);
    host->root = ctz_task_spawn(L, NULL, (int)count, false);
    return 1;
}

static void set_deadline(struct ctz_host *host)
{
    const char *text = ctz_cli_option(host->cli, "timeout", NULL);
    struct ctz_error err = {0};
    double seconds;
    if (!text || ctz_parse_seconds(text, &seconds, &err) < 0) // checked by the parser
        return;
    host->root_deadline_ns = ctz_due(seconds);
    ctz_scope_deadline(&host->root->base, seconds);
}

// Runs a recipe to its end; its handle is left on the stack.
static int run(struct ctz_host *host)
{
    lua_pushcfunction(host->L, l_start);
    if (lua_pcall(host->L, 0, 1, 0) != LUA_OK) {
        if (host->ending)
            return host->exit_code;
        ctz_report_error(host);
        return CTZ_EXIT_LOAD;
    }
    set_deadline(host);
    return ctz_run_root(host);
}

int ctz_cmd_run(struct ctz_host *host)
{
    int code = run(host);
    return code == CTZ_EXIT_OK && host->json ? ctz_print_result(host, "result") : code;
}

int ctz_cmd_eval(struct ctz_host *host)
{
    int code = run(host);
    return code == CTZ_EXIT_OK ? ctz_print_result(host, host->json ? "result" : "shown") : code;
}
