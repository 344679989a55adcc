// options.c: what a recipe says about a program, as struct ctz_process_options.
// SPDX-License-Identifier: MIT
//
// Strings stay valid because Lua values on the stack hold them.
#include <string.h>
#include <unistd.h>

#include "bindings/system/system.h"
#include "host/door.h"
#include "host/luax.h"
#include "host/secrets.h"

#define ROWS     24
#define COLUMNS  80
#define SIDE_MAX 10000 // rows or columns of a terminal

static void check_text(lua_State *L, const char *text, size_t size, const char *what)
{
    if (strlen(text) != size)
        ctz_usage(L, "bad argument '%s' to '%s': it holds a NUL byte", what, ctz_function_name(L));
}

// --- arguments ---------------------------------------------------------------------------------

// Pushes argument i as a string.
static const char *push_argument(lua_State *L, lua_Integer i)
{
    int type = lua_rawgeti(L, 1, i);
    if (ctz_secret_at(L, -1, NULL))
        ctz_usage(L,
                  "argument %d of '%s' is a secret: everybody could see it in the list of "
                  "processes; hand it over by env or stdin",
                  (int)i, ctz_function_name(L));
    if (type != LUA_TSTRING && type != LUA_TNUMBER)
        ctz_usage(L, "argument %d of '%s': expected string, got %s", (int)i, ctz_function_name(L),
                  luaL_typename(L, -1));
    size_t size;
    const char *text = lua_tolstring(L, -1, &size);
    check_text(L, text, size, "argv");
    return text;
}

// Pushes what holds the strings.
static const char *const *read_arguments(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        ctz_usage(L,
                  "bad argument 'argv' to '%s': expected a list of strings, such as {\"git\", "
                  "\"tag\"}; there is no shell in between",
                  ctz_function_name(L));
    ctz_check_table(L, 1, "argv");
    size_t count = lua_rawlen(L, 1);
    if (count == 0)
        ctz_usage(L, "bad argument 'argv' to '%s': it names no program", ctz_function_name(L));
    const char **arguments = lua_newuserdatauv(L, (count + 1) * sizeof *arguments, 0);
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        arguments[i] = push_argument(L, (lua_Integer)i + 1);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    arguments[count] = NULL;
    return arguments;
}

// --- environment -------------------------------------------------------------------------------

// (name, value) on top of the stack: pushes "name=value"; false, and nothing pushed, when the value
// says that the name is left out.
static bool push_variable(lua_State *L)
{
    size_t name_size, size;
    if (lua_type(L, -2) != LUA_TSTRING)
        ctz_usage(L, "bad argument 'opts.env' to '%s': a name is a string, got a %s",
                  ctz_function_name(L), luaL_typename(L, -2));
    const char *name = lua_tolstring(L, -2, &name_size);
    if (name_size == 0 || strcspn(name, "=") != name_size)
        ctz_usage(L, "bad argument 'opts.env' to '%s': \"%s\" cannot be a name",
                  ctz_function_name(L), name);
    if (lua_isboolean(L, -1) && !lua_toboolean(L, -1))
        return false;
    const char *value = ctz_secret_at(L, -1, &size);
    if (!value && lua_type(L, -1) != LUA_TSTRING && lua_type(L, -1) != LUA_TNUMBER)
        ctz_usage(L, "bad argument 'opts.env.%s' to '%s': expected string, secret or false, got %s",
                  name, ctz_function_name(L), luaL_typename(L, -1));
    if (!value)
        value = lua_tolstring(L, -1, &size);
    check_text(L, value, size, "opts.env");
    lua_pushfstring(L, "%s=%s", name, value);
    return true;
}

// Is the variable ("NAME=value") set or left out by the table at idx?
static bool is_overridden(lua_State *L, int idx, const char *variable)
{
    lua_pushlstring(L, variable, strcspn(variable, "="));
    bool overridden = lua_rawget(L, idx) != LUA_TNIL;
    lua_pop(L, 1);
    return overridden;
}

// Pushes opts.env, or an empty table.
static int push_given(lua_State *L)
{
    int type = ctz_opt_field(L, 2, "env");
    if (type == LUA_TNIL)
        lua_newtable(L);
    else if (type != LUA_TTABLE)
        ctz_usage(L, "bad argument 'opts.env' to '%s': expected table, got %s",
                  ctz_function_name(L), luaL_typename(L, -1));
    return lua_gettop(L);
}

// Pushes what holds the strings.
static const char *const *read_environment(lua_State *L)
{
    bool is_new = ctz_opt_bool(L, 2, "env_clear", false);
    int given = push_given(L);
    size_t count = 0, most = 1;
    for (char **variable = environ; !is_new && *variable; variable++)
        most++;
    for (lua_pushnil(L); lua_next(L, given); lua_pop(L, 1))
        most++;
    const char **environment = lua_newuserdatauv(L, most * sizeof *environment, 0);
    lua_newtable(L);
    int strings = lua_gettop(L);
    for (char **variable = environ; !is_new && *variable; variable++)
        if (!is_overridden(L, given, *variable))
            environment[count++] = *variable;
    for (lua_pushnil(L); lua_next(L, given); lua_settop(L, strings + 1)) {
        if (!push_variable(L))
            continue;
        environment[count++] = lua_tostring(L, -1);
        lua_rawseti(L, strings, (lua_Integer)count);
    }
    environment[count] = NULL;
    return environment;
}

// --- streams -----------------------------------------------------------------------------------

static int bad_stdin(lua_State *L)
{
    return ctz_usage(L,
                     "bad argument 'opts.stdin' to '%s': expected text, a secret, {file=path}, "
                     "{text=string} or \"inherit\", got %s",
                     ctz_function_name(L), luaL_typename(L, -1));
}

static void set_text(struct ctz_process_options *options, const char *text, size_t size)
{
    options->in = CTZ_STDIO_STREAM;
    options->in_text = text;
    options->in_size = size;
}

static void read_stdin_table(lua_State *L, struct ctz_process_options *options)
{
    static const char *const names[] = {"file", "text", NULL};
    int idx = lua_gettop(L);
    size_t size;
    ctz_opts_check(L, idx, names);
    const char *path = ctz_opt_string(L, idx, "file", NULL, NULL);
    const char *text = ctz_opt_string(L, idx, "text", &size, NULL);
    if (!path == !text)
        bad_stdin(L);
    if (text)
        set_text(options, text, size);
    else
        ctz_allow(L, CTZ_CAP_READ, path);
    options->in_file = path;
}

// Leaves on the stack what holds the text.
static void read_stdin(lua_State *L, bool has_handle, struct ctz_process_options *options)
{
    size_t size;
    int type = ctz_opt_field(L, 2, "stdin");
    const char *text = ctz_secret_at(L, -1, &size);
    if (!text && type == LUA_TSTRING)
        text = lua_tolstring(L, -1, &size);
    if (type == LUA_TNIL)
        options->in = CTZ_STDIO_NULL;
    else if (type == LUA_TTABLE)
        read_stdin_table(L, options);
    else if (!text)
        bad_stdin(L);
    else if (type == LUA_TSTRING && strcmp(text, "inherit") == 0)
        options->in = CTZ_STDIO_OWN;
    else if (type == LUA_TSTRING && has_handle && strcmp(text, "pipe") == 0)
        options->in = CTZ_STDIO_STREAM;
    else
        set_text(options, text, size);
}

static enum ctz_stdio read_output(lua_State *L, const char *name, bool has_handle,
                                  enum ctz_stdio otherwise)
{
    static const char *const choices[] = {"capture", "inherit", "null", "stream", NULL};
    static const char *const run_choices[] = {"capture", "inherit", "null", NULL};
    static const enum ctz_stdio kinds[] = {CTZ_STDIO_CAPTURE, CTZ_STDIO_PASS, CTZ_STDIO_NULL,
                                           CTZ_STDIO_STREAM};
    int choice = ctz_opt_choice(L, 2, name, has_handle ? choices : run_choices, -1);
    return choice < 0 ? otherwise : kinds[choice];
}

static void read_terminal(lua_State *L, struct ctz_process_options *options)
{
    static const char *const names[] = {"rows", "columns", NULL};
    int type = ctz_opt_field(L, 2, "pty"), idx = lua_gettop(L);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN && type != LUA_TTABLE)
        ctz_usage(L,
                  "bad argument 'opts.pty' to '%s': expected boolean or {rows=, columns=}, got %s",
                  ctz_function_name(L), luaL_typename(L, idx));
    options->terminal = lua_toboolean(L, idx);
    options->rows = ROWS;
    options->columns = COLUMNS;
    if (type == LUA_TTABLE) {
        ctz_opts_check(L, idx, names);
        options->rows = (unsigned)ctz_opt_integer(L, idx, "rows", 1, SIDE_MAX, ROWS);
        options->columns = (unsigned)ctz_opt_integer(L, idx, "columns", 1, SIDE_MAX, COLUMNS);
    }
    if (!options->terminal)
        return;
    if (options->in == CTZ_STDIO_OWN || options->in_file)
        ctz_usage(L, "'%s': with pty the program's stdin is the terminal; give it text",
                  ctz_function_name(L));
    if (options->out == CTZ_STDIO_NULL)
        ctz_usage(L, "'%s': with pty the program's stdout is the terminal", ctz_function_name(L));
    options->err = CTZ_STDIO_SAME;
}

void ctz_system_read_options(lua_State *L, bool has_handle, struct ctz_process_options *options)
{
    static const char *const names[] = {"stdin", "stdout",    "stderr",  "cwd",
                                        "env",   "env_clear", "timeout", "combined",
                                        "pty",   "check",     NULL};
    memset(options, 0, sizeof *options);
    ctz_opts_check(L, 2, names);
    lua_settop(L, 2);
    options->arguments = read_arguments(L);
    ctz_process_allow(L, options->arguments[0]);
    options->environment = read_environment(L);
    options->folder = ctz_opt_string(L, 2, "cwd", NULL, NULL);
    options->timeout_s = ctz_opt_seconds(L, 2, "timeout", 0);
    options->max_bytes = ctz_limit(ctz_host(L), CTZ_LIMIT_CAPTURE_BYTES);
    read_stdin(L, has_handle, options);
    options->out =
        read_output(L, "stdout", has_handle, has_handle ? CTZ_STDIO_STREAM : CTZ_STDIO_CAPTURE);
    options->err =
        read_output(L, "stderr", has_handle, has_handle ? CTZ_STDIO_PASS : CTZ_STDIO_CAPTURE);
    if (ctz_opt_bool(L, 2, "combined", false))
        options->err = CTZ_STDIO_SAME;
    read_terminal(L, options);
    luaL_checkstack(L, LUA_MINSTACK, "process");
}
