// repl.c: reading lines from a terminal with libedit, while the loop goes on: the door
// ctz.core.repl. SPDX-License-Identifier: MIT
//
// What a line means is decided in lua/stdlib/ctz/cmd/repl.lua. libedit (its readline interface) is
// fed one character at a time when stdin is readable; between two lines the terminal is as it was.
// What tasks print meanwhile appears above the prompt: the line is taken away and put back.
#include <stdio.h>

#include <editline/readline.h>
#include <lauxlib.h>
#include <locale.h>
#include <lua.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <uv.h>

#include "host/alloc.h"
#include "host/door.h"
#include "host/host.h"
#include "host/luax.h"
#include "host/op.h"
#include "host/task.h"

#define MATCHES_MAX 1000                               // completions shown
#define WORD_BREAKS " \t\n\"'`@$><=;|&{(,[+-*/%~#^)]}" // "." and ":" belong to a word
#define ERASE_DOWN  "\r\033[J"

struct line_op {
    struct ctz_op op;
    char *line; // owned; NULL: the end of input, or Ctrl-C
    bool interrupted;
};

struct session {
    struct ctz_host *host;
    struct line_op *reading;     // the read that is under way: the prompt is shown
    struct ctz_task *evaluating; // what Ctrl-C cancels meanwhile; anchored in the registry
    char prompt[32];
    bool open;
};

// libedit's callbacks take no context, and a process has one terminal.
static struct session session;

static const char evaluating_key, completer_key; // registry

// --- the prompt --------------------------------------------------------------------------------

static void put(const char *text)
{
    size_t size = strlen(text);
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, text, size);
        if (written < 0)
            return; // the terminal has gone; reading will tell
        text += written;
        size -= (size_t)written;
    }
}

static unsigned columns_of(const char *text, size_t bytes)
{
    unsigned columns = 0;
    for (size_t i = 0; i < bytes && text[i]; i++)
        columns += ((unsigned char)text[i] & 0xC0) != 0x80; // not the inside of a UTF-8 character
    return columns;
}

// Takes the prompt and the line away, from the row where the cursor stands up to the first.
static void hide_line(void)
{
    struct winsize size = {0};
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    unsigned width = size.ws_col ? size.ws_col : 80;
    unsigned before = columns_of(session.prompt, sizeof session.prompt);
    if (rl_line_buffer)
        before += columns_of(rl_line_buffer, (size_t)(rl_point > 0 ? rl_point : 0));
    for (unsigned row = before / width; row > 0; row--)
        put("\033[1A");
    put(ERASE_DOWN);
}

static void around_output(struct ctz_host *host, bool begins, bool line_is_open)
{
    (void)host;
    if (!session.reading)
        return;
    if (begins) {
        hide_line();
        return;
    }
    if (line_is_open)
        put("\n");
    rl_forced_update_display();
}

// --- one line ----------------------------------------------------------------------------------

// A heap block, freed when both handles have closed.
struct watch {
    uv_poll_t poll;
    uv_signal_t resize;
    int closing;
};

static struct watch *watch; // of the read under way

static void free_watch(uv_handle_t *handle)
{
    struct watch *closed = handle->data;
    if (--closed->closing == 0)
        ctz_free(closed);
}

static void stop_reading(void)
{
    rl_callback_handler_remove();
    if (watch) {
        watch->closing = 2;
        uv_close((uv_handle_t *)&watch->poll, free_watch);
        uv_close((uv_handle_t *)&watch->resize, free_watch);
        watch = NULL;
    }
    session.reading = NULL;
}

static void end_line(char *take_line, bool interrupted)
{
    struct line_op *op = session.reading;
    stop_reading();
    op->line = take_line;
    op->interrupted = interrupted;
    ctz_op_settle(&op->op);
}

// libedit allocated it with malloc.
static void on_line(char *line)
{
    if (!session.reading) {
        free(line);
        return;
    }
    if (!line)
        put("\n");
    char *copy = line ? ctz_strdup(line) : NULL;
    free(line);
    end_line(copy, false);
}

static bool has_input(void)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

static void on_readable(uv_poll_t *poll_handle, int status, int events)
{
    (void)poll_handle;
    (void)events;
    if (status < 0) {
        end_line(NULL, false);
        return;
    }
    do // a paste is read to its end
        rl_callback_read_char();
    while (session.reading && has_input());
}

static void on_resize(uv_signal_t *handle, int number)
{
    (void)handle;
    (void)number;
    hide_line();
    rl_resize_terminal();
    rl_forced_update_display();
}

static int start_reading(struct ctz_op *op)
{
    watch = ctz_calloc(1, sizeof *watch);
    if (!watch)
        return ctz_error_set(&op->err, CTZ_ERROR_IO, "out of memory");
    uv_loop_t *loop = &op->host->loop;
    int code = uv_poll_init(loop, &watch->poll, STDIN_FILENO);
    if (code < 0) {
        ctz_free(watch);
        watch = NULL;
        return ctz_error_system(&op->err, code, "stdin");
    }
    uv_signal_init(loop, &watch->resize);
    watch->poll.data = watch->resize.data = watch;
    session.reading = (struct line_op *)op;
    uv_poll_start(&watch->poll, UV_READABLE, on_readable);
    uv_signal_start(&watch->resize, on_resize, SIGWINCH);
    uv_unref((uv_handle_t *)&watch->resize);
    rl_callback_handler_install(session.prompt, on_line);
    rl_point = rl_end = 0; // of the line before, until the first key
    return 0;
}

static void cancel_reading(struct ctz_op *op)
{
    if (session.reading == (struct line_op *)op)
        stop_reading();
    ctz_op_settle(op);
}

// The line; nil at the end of input; false after Ctrl-C.
static int push_line(lua_State *L, struct ctz_op *op)
{
    struct line_op *line = (struct line_op *)op;
    if (line->line)
        lua_pushstring(L, line->line);
    else if (line->interrupted)
        lua_pushboolean(L, false);
    else
        lua_pushnil(L);
    return 1;
}

static void clear_line(struct ctz_op *op)
{
    ctz_free(((struct line_op *)op)->line);
}

static const struct ctz_op_class line_class = {.name = "waits for a line",
                                               .start = start_reading,
                                               .cancel = cancel_reading,
                                               .push = push_line,
                                               .clear = clear_line};

// Ctrl-C at the prompt drops the line; during an evaluation it cancels that and not the session.
static void on_interrupt(struct ctz_host *host)
{
    (void)host;
    if (session.reading) {
        put("^C\n");
        end_line(NULL, true);
    } else if (session.evaluating) {
        ctz_task_cancel(session.evaluating, CTZ_CANCEL_REQUEST);
    }
}

// --- completion --------------------------------------------------------------------------------

// (word, line, position) -> list of words, by the completer. Leaves it on the stack, or nothing.
static bool call_completer(lua_State *L, const char *word, int start)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &completer_key) != LUA_TFUNCTION)
        return false;
    lua_pushstring(L, word);
    lua_pushstring(L, rl_line_buffer);
    lua_pushinteger(L, start);
    return lua_pcall(L, 3, 1, 0) == LUA_OK && lua_istable(L, -1);
}

static size_t common_length(const char *a, const char *b)
{
    size_t length = 0;
    while (a[length] && a[length] == b[length])
        length++;
    return length;
}

// A list as readline wants it, of malloc: first what all have in common, then each.
static char **read_matches(lua_State *L)
{
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    if (count > MATCHES_MAX)
        count = MATCHES_MAX;
    char **matches = count > 0 ? calloc((size_t)count + 2, sizeof *matches) : NULL;
    if (!matches)
        return NULL;
    size_t common = SIZE_MAX;
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, -1, i);
        matches[i] = strdup(lua_tostring(L, -1) ? lua_tostring(L, -1) : "");
        lua_pop(L, 1);
        size_t length = i == 1 ? strlen(matches[1]) : common_length(matches[1], matches[i]);
        common = length < common ? length : common;
    }
    matches[0] = strndup(matches[1], common);
    return matches;
}

static char **complete(const char *word, int start, int end)
{
    (void)end;
    lua_State *L = session.host->L;
    int top = lua_gettop(L);
    rl_attempted_completion_over = 1; // never names of files
    char **matches = call_completer(L, word, start) ? read_matches(L) : NULL;
    lua_settop(L, top);
    return matches;
}

// --- Lua ---------------------------------------------------------------------------------------

static void open_session(lua_State *L)
{
    if (session.open)
        return;
    session.open = true;
    session.host = ctz_host(L);
    setlocale(LC_CTYPE, ""); // libedit reads UTF-8 as the terminal sends it
    rl_readline_name = "ctz";
    rl_catch_signals = 0; // Ctrl-C is ours
    rl_initialize();
    using_history();
    rl_basic_word_break_characters = WORD_BREAKS;
    rl_completer_word_break_characters = (char *)WORD_BREAKS;
    rl_attempted_completion_function = complete;
    rl_completion_append_character = '\0';
    session.host->on_interrupt = on_interrupt;
    session.host->around_output = around_output;
}

// (prompt) -> string | nil at the end of input | false after Ctrl-C
static int l_read(lua_State *L)
{
    const char *prompt = ctz_check_string(L, 1, "prompt", NULL);
    open_session(L);
    if (session.reading)
        return ctz_usage(L, "one task reads at a time");
    struct line_op *op = ctz_op_new(L, &line_class, sizeof *op);
    snprintf(session.prompt, sizeof session.prompt, "%s", prompt);
    return ctz_await(L, op);
}

// (line) -> true: into the history
static int l_remember(lua_State *L)
{
    const char *line = ctz_check_string(L, 1, "line", NULL);
    open_session(L);
    add_history(line);
    lua_pushboolean(L, true);
    return 1;
}

// (fn(word, line, position) -> words) -> true
static int l_completer(lua_State *L)
{
    ctz_check_function(L, 1, "fn");
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &completer_key);
    lua_pushboolean(L, true);
    return 1;
}

// (task or nil) -> true: what Ctrl-C cancels while no line is read
static int l_evaluating(lua_State *L)
{
    session.evaluating = lua_isnoneornil(L, 1) ? NULL : ctz_object_check(L, 1, CTZ_TASK_CLASS);
    lua_settop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &evaluating_key);
    lua_pushboolean(L, true);
    return 1;
}

// () -> are stdin and stdout a terminal?
static int l_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDIN_FILENO) && isatty(STDOUT_FILENO));
    return 1;
}

// () -> true: the terminal is as it was
static int l_close(lua_State *L)
{
    if (session.open) {
        session.host->on_interrupt = NULL;
        session.host->around_output = NULL;
        session.open = false;
        session.evaluating = NULL;
    }
    lua_pushboolean(L, true);
    return 1;
}

static const struct ctz_reg functions[] = {
    {"repl.read", l_read, CTZ_CAP_PURE, 0, 0},
    {"repl.remember", l_remember, CTZ_CAP_PURE, 0, 0},
    {"repl.completer", l_completer, CTZ_CAP_PURE, 0, 0},
    {"repl.evaluating", l_evaluating, CTZ_CAP_PURE, 0, 0},
    {"repl.is_terminal", l_is_terminal, CTZ_CAP_PURE, 0, 0},
    {"repl.close", l_close, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

__attribute__((visibility("default"))) int luaopen_ctz_core_repl(lua_State *L)
{
    ctz_door(L, functions);
    return 1;
}
