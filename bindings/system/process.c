// process.c: ctz.process: programs, run to their end or held by a handle. The engine is
// host/process.c; here are results and what a handle can do. SPDX-License-Identifier: MIT
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "bindings/system/system.h"
#include "host/door.h"
#include "host/input.h"
#include "host/luax.h"
#include "host/output.h"
#include "host/secrets.h"
#include "host/spawn.h"
#include "host/task.h"

#define HANDLE_CLASS   "ctz.process.Child"
#define ITERATOR_CLASS "ctz.process.iterator"
#define NEXT_LINE      "ctz.process.next_line" // registry: the function that lines() returns

struct handle {
    struct ctz_process *process; // owned; NULL once collected
};

// --- results -----------------------------------------------------------------------------------

struct result_op {
    struct ctz_process_wait wait;
    bool check; // a code other than 0 is an error
};

static void set_output(lua_State *L, const char *field, const char *text, size_t size)
{
    if (text) {
        lua_pushlstring(L, text, size);
        lua_setfield(L, -2, field);
    }
}

static void set_signal(lua_State *L, int number)
{
    if (number) {
        lua_pushinteger(L, number);
        lua_setfield(L, -2, "signal");
    }
}

static int raise_exit(lua_State *L, struct ctz_op *op, const struct ctz_process_result *result)
{
    ctz_error_push(L, &op->err, ctz_function_name(L)); // the op frees err
    set_output(L, "stdout", result->out, result->out_size);
    set_signal(L, result->signal);
    return lua_error(L);
}

static int push_result(lua_State *L, struct ctz_op *op)
{
    const struct result_op *wait = (const struct result_op *)op;
    struct ctz_process_result result;
    ctz_process_result(wait->wait.process, &result);
    if (wait->check && ctz_process_check(wait->wait.process, &op->err) < 0)
        return raise_exit(L, op, &result);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, result.exit_code);
    lua_setfield(L, -2, "exit_code");
    lua_pushnumber(L, result.seconds);
    lua_setfield(L, -2, "seconds");
    set_output(L, "stdout", result.out, result.out_size);
    set_output(L, "stderr", result.err, result.err_size);
    set_signal(L, result.signal);
    return 1;
}

static const struct ctz_op_class run_class = {
    .name = "runs a program",
    .start = ctz_process_wait_start,
    .cancel = ctz_process_wait_cancel,
    .push = push_result,
    .clear = ctz_process_wait_clear,
};

// --- running -----------------------------------------------------------------------------------

/// ctz.process.run(argv, opts?) -> ctz.process.Result
/// Runs a program to its end and returns {exit_code, stdout, stderr, seconds}. argv is a list of
/// strings: no shell reads them. A code other than 0 raises kind exit. When the task is cancelled
/// or times out, the program's whole process group is killed (SIGTERM, after 2 s SIGKILL) before
/// the error goes on. What the program left behind in the background, holding its output open, is
/// listened to until a second of silence.
/// @async
/// @param argv string[]  the program (a name is looked up in PATH) and its arguments; no secrets
/// @param opts.stdin? string|ctz.secret|table  text; {file=path}; {text=string} for text that may
/// be any word; "inherit"; default: empty
/// @param opts.stdout? "capture"|"inherit"|"null"|fun(line: string)  inherit prints it, secrets
/// masked; a function gets each line; default "capture"
/// @param opts.stderr? "capture"|"inherit"|"null"|fun(line: string)
/// @param opts.combined? boolean  stderr goes where stdout goes, in the order of writing
/// @param opts.cwd? string  the folder it starts in
/// @param opts.env? table<string, string|ctz.secret|false>  added to the environment; false takes a
/// name out
/// @param opts.env_clear? boolean  start from an empty environment
/// @param opts.timeout? ctz.seconds  it is killed when it runs longer
/// @param opts.check? boolean  false: return whatever the code is; default true
/// @param opts.pty? boolean|{rows: integer, columns: integer}  give it a terminal (without echo) as
/// stdin, stdout and stderr
/// @return ctz.process.Result  {exit_code, stdout, stderr, seconds, signal?}; 128 + signal is the
/// code of a signal
/// @error exit  its code is not 0: err.exit_code, err.stdout, err.stderr (the end of it),
/// err.signal
/// @error not_found  no such program, or no such cwd
/// @error denied  the file is not executable, or --allow does not grant run
/// @error timeout  it ran longer than opts.timeout
/// @error size  a captured stream is larger than the limit capture_bytes
/// @error unsupported  under --dry-run and --simulate, unless --allow run=PROGRAM names it
/// @example local result = ctz.process.run({"sort"}, {stdin = "b\na\n"})
/// @example assert(result.stdout == "a\nb\n" and result.exit_code == 0)
/// @example local _, err = ctz.try(ctz.process.run, {"sh", "-c", "echo oops >&2; exit 3"})
/// @example assert(err:is "exit" and err.exit_code == 3 and err.stderr == "oops")
static int l_run(lua_State *L)
{
    struct ctz_process_options options;
    ctz_system_read_options(L, false, &options);
    bool check = ctz_opt_bool(L, 2, "check", true);
    struct ctz_process *process = ctz_process_guarded(L, &options);
    struct result_op *op = ctz_process_wait_new(L, &run_class, sizeof *op, process);
    op->check = check;
    return ctz_await(L, op);
}

static int start_handle(lua_State *L)
{
    struct ctz_process_options options;
    struct ctz_error err = {0};
    ctz_system_read_options(L, true, &options);
    ctz_task_check(L); // a cancelled task starts nothing
    struct handle *handle = ctz_object_new(L, HANDLE_CLASS, sizeof *handle, 0);
    handle->process = ctz_process_start(ctz_host(L), &options, &err);
    return handle->process ? 1 : ctz_raise(L, &err);
}

/// ctz.process.spawn(argv, opts?) -> ctz.process.Child
/// Starts a program and returns a handle at once: read its output part by part, write to it, wait
/// for it. The program is slowed down when its output is read slowly. It ends at the latest with
/// the scope it was started in; `local child <close> = ...` ends it with the block. Options are
/// those of run, and:
/// @param argv string[]
/// @param opts.stdin? string|ctz.secret|table  as for run; also "pipe", to write with child:write
/// @param opts.stdout? "stream"|"capture"|"inherit"|"null"  stream: for child:lines and
/// child:read; capture: for the result of child:wait; default "stream"
/// @param opts.stderr? "stream"|"capture"|"inherit"|"null"  default "inherit"
/// @param opts.combined? boolean  stderr goes where stdout goes
/// @param opts.cwd? string
/// @param opts.env? table<string, string|ctz.secret|false>
/// @param opts.env_clear? boolean
/// @param opts.pty? boolean|{rows: integer, columns: integer}
/// @param opts.timeout? ctz.seconds  of its whole life
/// @return ctz.process.Child
/// @error not_found  no such program
/// @example local child <close> = ctz.process.spawn({"cat"}, {stdin = "pipe"})
/// @example child:write("one\ntwo\n") child:close_stdin()
/// @example local lines = {}
/// @example for line in child:lines() do lines[#lines + 1] = line end
/// @example assert(lines[2] == "two" and child:wait().exit_code == 0)
static int l_spawn(lua_State *L)
{
    return start_handle(L);
}

/// ctz.process.find(name) -> string|nil
/// The file that a program's name means, as PATH has it; nil when there is none.
/// @param name string
/// @return string|nil
/// @example assert(ctz.process.find("sh") and not ctz.process.find("no-such-program"))
static int l_find(lua_State *L)
{
    char path[PATH_MAX];
    struct ctz_error err = {0};
    const char *name = ctz_check_name(L, 1, "name");
    int found = ctz_find_program(name, path, &err);
    ctz_error_clear(&err);
    if (found == 0 && access(path, X_OK) == 0)
        lua_pushstring(L, path);
    else
        lua_pushnil(L);
    return 1;
}

// --- a handle ----------------------------------------------------------------------------------

static struct ctz_process *check_process(lua_State *L)
{
    const struct handle *handle = ctz_object_check(L, 1, HANDLE_CLASS);
    if (!handle->process)
        ctz_usage(L, "this program's handle was collected");
    return handle->process;
}

static enum ctz_stream read_stream(lua_State *L, int idx)
{
    static const char *const choices[] = {"stdout", "stderr", NULL};
    return ctz_opt_choice(L, idx, "stream", choices, 0) == 0 ? CTZ_STDOUT : CTZ_STDERR;
}

static struct ctz_input *check_output(lua_State *L, struct ctz_process *process,
                                      enum ctz_stream stream)
{
    if (!ctz_process_is_streamed(process, stream))
        ctz_usage(L, "this program was started without %s=\"stream\"",
                  stream == CTZ_STDOUT ? "stdout" : "stderr");
    return ctz_process_output_of(process, stream);
}

/// child:read(format?, opts?) -> string|number|nil
/// The next of its output: some bytes as they come, or what a format of Lua's file:read asks for
/// ("l", "L", "n", "a", a number of bytes). nil at the end.
/// @async
/// @param format? string|integer
/// @param opts.stream? "stdout"|"stderr"  default "stdout"
/// @param opts.timeout? ctz.seconds
/// @return string|number|nil
/// @error size  a line or block is larger than the limit capture_bytes
/// @example local child <close> = ctz.process.spawn{"printf", "ab 12"}
/// @example assert(child:read(2) == "ab" and child:read("n") == 12 and child:read() == nil)
static int l_read(lua_State *L)
{
    static const char *const options[] = {"stream", "timeout", NULL};
    struct ctz_process *process = check_process(L);
    ctz_opts_check(L, 3, options);
    struct ctz_input *input = check_output(L, process, read_stream(L, 3));
    double timeout_s = ctz_opt_seconds(L, 3, "timeout", 0);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_pushliteral(L, "s");
        lua_replace(L, 2);
    }
    return ctz_input_read(L, input, 2, timeout_s, ctz_limit(ctz_host(L), CTZ_LIMIT_CAPTURE_BYTES));
}

struct iterator {
    enum ctz_stream stream;
    double idle_s;
};

// (iterator): its user value is the handle.
static int l_next_line(lua_State *L)
{
    const struct iterator *iterator = ctz_object_check(L, 1, ITERATOR_CLASS);
    lua_settop(L, 1);
    lua_getiuservalue(L, 1, 1);
    lua_insert(L, 1);
    struct ctz_process *process = check_process(L);
    return ctz_input_read(L, ctz_process_output_of(process, iterator->stream), 3, iterator->idle_s,
                          ctz_limit(ctz_host(L), CTZ_LIMIT_LOG_LINE_BYTES));
}

/// child:lines(opts?) -> fun(): string
/// Iterates over the lines of its output, without the line ends, as they come.
/// @async
/// @param opts.stream? "stdout"|"stderr"  default "stdout"
/// @param opts.idle_timeout? ctz.seconds  raise timeout after this silence
/// @error size  a line is longer than the limit log_line_bytes
/// @example local child <close> = ctz.process.spawn{"printf", "a\nb"}
/// @example local text = "" for line in child:lines() do text = text .. line end
/// @example assert(text == "ab")
static int l_lines(lua_State *L)
{
    static const char *const options[] = {"stream", "idle_timeout", NULL};
    struct ctz_process *process = check_process(L);
    ctz_opts_check(L, 2, options);
    enum ctz_stream stream = read_stream(L, 2);
    double idle_s = ctz_opt_seconds(L, 2, "idle_timeout", 0);
    check_output(L, process, stream);
    lua_getfield(L, LUA_REGISTRYINDEX, NEXT_LINE);
    struct iterator *iterator = ctz_object_new(L, ITERATOR_CLASS, sizeof *iterator, 1);
    *iterator = (struct iterator){stream, idle_s};
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    return 2;
}

/// child:write(text, opts?) -> true
/// Writes to its stdin; returns when the pipe has taken it all.
/// @async
/// @param text string|ctz.secret
/// @param opts.timeout? ctz.seconds
/// @error io  it has closed its stdin, or ended
/// @example local child <close> = ctz.process.spawn({"cat"}, {stdin = "pipe"})
/// @example child:write("x\n") assert(child:read("l") == "x")
static int l_write(lua_State *L)
{
    static const char *const options[] = {"timeout", NULL};
    struct ctz_process *process = check_process(L);
    size_t size;
    const char *secret = ctz_secret_at(L, 2, &size);
    if (secret) {
        lua_pushlstring(L, secret, size);
        lua_replace(L, 2);
    }
    ctz_check_string(L, 2, "text", NULL);
    ctz_opts_check(L, 3, options);
    double timeout_s = ctz_opt_seconds(L, 3, "timeout", 0);
    struct ctz_output *output = ctz_process_input_of(process);
    if (!output)
        return ctz_usage(L, "this program was started without stdin=\"pipe\"");
    return ctz_output_write(L, output, 2, timeout_s, NULL);
}

/// child:close_stdin() -> true
/// Ends its input, once what was written has been taken.
/// @example local child <close> = ctz.process.spawn({"wc", "-c"}, {stdin = "pipe"})
/// @example child:write("12345") child:close_stdin() assert(child:read("n") == 5)
static int l_close_stdin(lua_State *L)
{
    ctz_process_close_stdin(check_process(L));
    lua_pushboolean(L, true);
    return 1;
}

/// child:wait(opts?) -> ctz.process.Result
/// Waits for its end and returns what run returns; output that nobody has read is in it.
/// @async
/// @param opts.check? boolean  false: return whatever the code is; default true
/// @param opts.timeout? ctz.seconds  how long to wait; the program itself goes on
/// @return ctz.process.Result
/// @error exit  its code is not 0
/// @example local child <close> = ctz.process.spawn{"sh", "-c", "echo late; exit 2"}
/// @example local result = child:wait{check = false}
/// @example assert(result.exit_code == 2 and result.stdout == "late\n")
static int l_wait(lua_State *L)
{
    static const char *const options[] = {"check", "timeout", NULL};
    struct ctz_process *process = check_process(L);
    ctz_opts_check(L, 2, options);
    bool check = ctz_opt_bool(L, 2, "check", true);
    double timeout_s = ctz_opt_seconds(L, 2, "timeout", 0);
    ctz_process_keep_rest(process);
    struct result_op *op = ctz_process_wait_new(L, &run_class, sizeof *op, process);
    op->check = check;
    op->wait.op.timeout_s = timeout_s;
    return ctz_await(L, op);
}

static int check_signal(lua_State *L, int arg)
{
    if (lua_isnoneornil(L, arg))
        return SIGTERM;
    if (lua_type(L, arg) == LUA_TNUMBER)
        return (int)ctz_check_integer(L, arg, "signal", 1, SIGRTMAX);
    const char *name = ctz_check_string(L, arg, "signal", NULL);
    const char *word = strncmp(name, "SIG", 3) == 0 ? name + 3 : name;
    for (int number = 1; number < NSIG; number++) {
        const char *known = sigabbrev_np(number);
        if (known && strcmp(known, word) == 0)
            return number;
    }
    return ctz_usage(L, "bad argument 'signal' to '%s': no signal is called \"%s\"",
                     ctz_function_name(L), name);
}

/// child:kill(signal?) -> true
/// Sends a signal to the program and its children. True also when it has ended.
/// @param signal? string|integer  "TERM" (default), "HUP", 9, ...
/// @error usage  no such signal
/// @example local child <close> = ctz.process.spawn{"sleep", "60"}
/// @example child:kill("KILL") assert(child:wait{check = false}.signal == 9)
static int l_kill(lua_State *L)
{
    struct ctz_process *process = check_process(L);
    ctz_process_signal(process, check_signal(L, 2));
    lua_pushboolean(L, true);
    return 1;
}

/// child:close() -> true
/// Ends the program if it runs (SIGTERM, after 2 s SIGKILL) and waits until nothing of its process
/// group is left. `<close>` does it by itself.
/// @async
/// @example local child = ctz.process.spawn{"sleep", "60"} assert(child:close())
static int l_close(lua_State *L)
{
    return ctz_process_close(L, check_process(L));
}

static int l_gc(lua_State *L)
{
    struct handle *handle = ctz_object_check(L, 1, HANDLE_CLASS);
    struct ctz_process *process = handle->process;
    handle->process = NULL;
    if (process)
        ctz_process_collect(process);
    return 0;
}

static int l_tostring(lua_State *L)
{
    lua_pushfstring(L, "ctz.process.Child (%s)", ctz_process_title(check_process(L)));
    return 1;
}

// Upvalue: the methods. pid is a field.
static int l_index(lua_State *L)
{
    const struct handle *handle = ctz_object_check(L, 1, HANDLE_CLASS);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
        return 1;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    if (strcmp(name, "pid") == 0 && handle->process)
        lua_pushinteger(L, ctz_process_pid(handle->process));
    else
        lua_pushnil(L);
    return 1;
}

static const struct ctz_reg methods[] = {
    {"process.child.read", l_read, CTZ_CAP_HELD, 0, 0},
    {"process.child.lines", l_lines, CTZ_CAP_HELD, 0, 0},
    {"process.child.write", l_write, CTZ_CAP_HELD, 0, 0},
    {"process.child.close_stdin", l_close_stdin, CTZ_CAP_HELD, 0, 0},
    {"process.child.wait", l_wait, CTZ_CAP_HELD, 0, 0},
    {"process.child.kill", l_kill, CTZ_CAP_HELD, 0, 0},
    {"process.child.close", l_close, CTZ_CAP_HELD, 0, 0},
    {"process.child.__close", l_close, CTZ_CAP_HELD, 0, 0},
    {"process.child.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
    {"process.child.__tostring", l_tostring, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg iterator_methods[] = {
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg iterating[] = {
    {"process.child.lines", l_next_line, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

// What lua/stdlib/ctz/process.lua builds run with functions for lines on: the errors are those of
// run.
static const struct ctz_reg beginning[] = {
    {"process.run", start_handle, CTZ_CAP_RUN, 0, CTZ_REG_PLANS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};
static const struct ctz_reg finishing[] = {
    {"process.run", l_wait, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"process.run", l_run, CTZ_CAP_RUN, 0, CTZ_REG_PLANS},
    {"process.spawn", l_spawn, CTZ_CAP_RUN, 0, CTZ_REG_PLANS},
    {"process.find", l_find, CTZ_CAP_RUN, 1, CTZ_REG_READS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static void open_classes(lua_State *L)
{
    ctz_class(L, HANDLE_CLASS, methods);
    ctz_class(L, ITERATOR_CLASS, iterator_methods);
    luaL_getmetatable(L, HANDLE_CLASS);
    if (lua_getfield(L, -1, "__index") == LUA_TTABLE) { // the first time
        lua_pushcclosure(L, l_index, 1);
        lua_setfield(L, -2, "__index");
    } else {
        lua_pop(L, 1);
    }
    ctz_door(L, iterating);
    lua_getfield(L, -1, "lines");
    lua_setfield(L, LUA_REGISTRYINDEX, NEXT_LINE);
    lua_pop(L, 2);
}

// Puts the function of the row into the table on top of the stack, under another name.
static void add_run(lua_State *L, const struct ctz_reg *row, const char *name)
{
    ctz_door(L, row);
    lua_getfield(L, -1, "run");
    lua_setfield(L, -3, name);
    lua_pop(L, 1);
}

void ctz_system_process_open(lua_State *L)
{
    open_classes(L);
    ctz_door(L, functions);
    add_run(L, beginning, "begin");
    add_run(L, finishing, "finish");
}
