// io.c: the io library over the egress and the loop.
// SPDX-License-Identifier: MIT
//
// Real files stay what liolib.c made them, apart from --allow and --dry-run. Our own handles
// (stdin, stdout, stderr, programs of io.popen) are luaL_Stream too, so that io.type and C
// libraries know them; the methods tell them apart by their size and mark.
#include <errno.h>
#include <lualib.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>

#include "host/door.h"
#include "host/egress.h"
#include "host/input.h"
#include "host/luax.h"
#include "host/output.h"
#include "host/process.h"
#include "host/stdio.h"
#include "host/task.h"

#define DEFAULT_INPUT  "_IO_input" // registry, as liolib.c has it
#define DEFAULT_OUTPUT "_IO_output"
#define STDIN_CLASS    "ctz.stdin"
#define DRY_RUN_FILE   "/dev/null"

static const char mark;

enum source { OF_STDIN, OF_STDOUT, OF_STDERR, OF_PROGRAM };

struct file {
    luaL_Stream stream; // first: what C libraries look at
    const void *mark;
    enum source source;
    struct ctz_process *process; // owned, of OF_PROGRAM
};

// Ours, or NULL for a file of liolib.c.
static struct file *own_file(lua_State *L, int idx)
{
    struct file *file = luaL_checkudata(L, idx, LUA_FILEHANDLE);
    bool is_ours = lua_rawlen(L, idx) == sizeof *file && file->mark == &mark;
    if (is_ours && !file->stream.closef)
        luaL_error(L, "attempt to use a closed file");
    return is_ours ? file : NULL;
}

// --- liolib's own functions --------------------------------------------------------------------

// Keeps the function on top of the stack under our function's address and pops it.
static void keep_original(lua_State *L, lua_CFunction ours)
{
    lua_rawsetp(L, LUA_REGISTRYINDEX, (const void *)(uintptr_t)ours);
}

// Calls what `ours` replaced with all arguments.
static int call_original(lua_State *L, lua_CFunction ours)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, (const void *)(uintptr_t)ours);
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

// --- reading -----------------------------------------------------------------------------------

// stdin as the loop reads it, from the first read on; a userdata in the registry owns it.
static struct ctz_input *open_stdin(lua_State *L)
{
    struct ctz_input **held;
    if (lua_getfield(L, LUA_REGISTRYINDEX, STDIN_CLASS ".input") == LUA_TNIL) {
        lua_pop(L, 1);
        ctz_object_new(L, STDIN_CLASS, sizeof *held, 0);
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, STDIN_CLASS ".input");
    }
    held = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (*held)
        return *held;
    struct ctz_error err = {0};
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3); // others may watch descriptor 0
    if (fd < 0)
        ctz_error_system(&err, errno, "stdin");
    else
        *held = ctz_input_new(ctz_host(L), fd, true, &err);
    if (!*held)
        ctz_raise(L, &err);
    ctz_input_begin(*held, CTZ_INPUT_PULL, 0, NULL, NULL);
    return *held;
}

static int l_stdin_gc(lua_State *L)
{
    struct ctz_input **held = lua_touserdata(L, 1);
    ctz_input_release(*held);
    *held = NULL;
    return 0;
}

static struct ctz_input *input_of(lua_State *L, const struct file *file)
{
    if (file->source == OF_STDIN)
        return open_stdin(L);
    if (!file->process || !ctz_process_is_streamed(file->process, CTZ_STDOUT))
        return NULL;
    return ctz_process_output_of(file->process, CTZ_STDOUT);
}

static int read_file(lua_State *L, const struct file *file, int first)
{
    struct ctz_input *input = input_of(L, file);
    if (!input) {
        errno = EBADF;
        return luaL_fileresult(L, 0, NULL);
    }
    return ctz_input_read(L, input, first, 0, ctz_limit(ctz_host(L), CTZ_LIMIT_CAPTURE_BYTES));
}

static int l_file_read(lua_State *L)
{
    const struct file *file = own_file(L, 1);
    return file ? read_file(L, file, 2) : call_original(L, l_file_read);
}

static int l_read(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, DEFAULT_INPUT);
    lua_insert(L, 1);
    if (own_file(L, 1))
        return l_file_read(L);
    lua_remove(L, 1);
    return call_original(L, l_read);
}

// Upvalues: the file, then the formats.
static int l_next_line(lua_State *L)
{
    const struct file *file = own_file(L, lua_upvalueindex(1));
    lua_settop(L, 0);
    for (int i = 2; !lua_isnone(L, lua_upvalueindex(i)); i++)
        lua_pushvalue(L, lua_upvalueindex(i));
    return read_file(L, file, 1);
}

static int l_file_lines(lua_State *L)
{
    if (!own_file(L, 1))
        return call_original(L, l_file_lines);
    luaL_argcheck(L, lua_gettop(L) <= 250, 252, "too many arguments");
    lua_pushcclosure(L, l_next_line, lua_gettop(L));
    return 1;
}

static int l_lines(lua_State *L)
{
    if (!lua_isnoneornil(L, 1)) {
        ctz_allow(L, CTZ_CAP_READ, ctz_check_name(L, 1, "path"));
        return call_original(L, l_lines);
    }
    if (lua_gettop(L) == 0)
        lua_pushnil(L);
    lua_getfield(L, LUA_REGISTRYINDEX, DEFAULT_INPUT);
    lua_replace(L, 1);
    return l_file_lines(L);
}

// --- writing -----------------------------------------------------------------------------------

// The arguments from `first` on as one string on top of the stack; numbers as liolib.c writes them.
static const char *join_arguments(lua_State *L, int first, size_t *size)
{
    int top = lua_gettop(L);
    luaL_Buffer text;
    for (int i = first; i <= top; i++)
        if (lua_type(L, i) != LUA_TNUMBER)
            luaL_checkstring(L, i);
    luaL_buffinit(L, &text);
    for (int i = first; i <= top; i++) {
        char number[64];
        size_t length;
        const char *part = number;
        if (lua_type(L, i) == LUA_TSTRING)
            part = lua_tolstring(L, i, &length);
        else if (lua_isinteger(L, i))
            length = (size_t)snprintf(number, sizeof number, LUA_INTEGER_FMT, lua_tointeger(L, i));
        else
            length = (size_t)snprintf(number, sizeof number, LUA_NUMBER_FMT, lua_tonumber(L, i));
        luaL_addlstring(&text, part, length);
    }
    luaL_pushresult(&text);
    return lua_tolstring(L, -1, size);
}

static int push_file(lua_State *L)
{
    lua_pushvalue(L, 1);
    return 1;
}

static int write_file(lua_State *L, const struct file *file)
{
    size_t size;
    const char *text = join_arguments(L, 2, &size);
    struct ctz_host *host = ctz_host(L);
    if (file->source == OF_PROGRAM && ctz_process_input_of(file->process)) {
        int arg = lua_gettop(L);
        return ctz_output_write(L, ctz_process_input_of(file->process), arg, 0, push_file);
    }
    if (file->source == OF_STDOUT) {
        ctz_stdout_write(L, text, size);
    } else if (file->source == OF_STDERR) {
        ctz_egress_write(host, CTZ_STDERR, text, size);
    } else {
        errno = EBADF;
        return luaL_fileresult(L, 0, NULL);
    }
    lua_settop(L, 1);
    return 1;
}

static int l_file_write(lua_State *L)
{
    const struct file *file = own_file(L, 1);
    return file ? write_file(L, file) : call_original(L, l_file_write);
}

static int l_write(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, DEFAULT_OUTPUT);
    lua_insert(L, 1);
    const struct file *file = own_file(L, 1);
    if (file)
        return write_file(L, file);
    lua_remove(L, 1);
    return call_original(L, l_write);
}

static int flush_file(lua_State *L, const struct file *file)
{
    if (file->source == OF_STDOUT)
        ctz_stdout_flush(L);
    lua_settop(L, 1);
    return 1;
}

static int l_file_flush(lua_State *L)
{
    const struct file *file = own_file(L, 1);
    return file ? flush_file(L, file) : call_original(L, l_file_flush);
}

static int l_flush(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, DEFAULT_OUTPUT);
    lua_insert(L, 1);
    const struct file *file = own_file(L, 1);
    if (file)
        return flush_file(L, file);
    lua_remove(L, 1);
    return call_original(L, l_flush);
}

static int l_file_seek(lua_State *L)
{
    if (!own_file(L, 1))
        return call_original(L, l_file_seek);
    errno = ESPIPE;
    return luaL_fileresult(L, 0, NULL);
}

static int l_file_setvbuf(lua_State *L)
{
    static const char *const modes[] = {"no", "full", "line", NULL};
    const struct file *file = own_file(L, 1);
    if (!file)
        return call_original(L, l_file_setvbuf);
    int mode = luaL_checkoption(L, 2, NULL, modes);
    if (file->source == OF_STDOUT)
        ctz_egress_buffer(ctz_host(L), mode == 1);
    lua_pushboolean(L, true);
    return 1;
}

// --- opening -----------------------------------------------------------------------------------

// May a file be opened in this mode? Under --dry-run a file that would only be written becomes the
// null device, and the plan says so.
static void check_open(lua_State *L, int path_idx, const char *mode)
{
    const char *path = ctz_check_name(L, path_idx, "path");
    bool updates = strchr(mode, '+') != NULL;
    bool writes = *mode != 'r' || updates;
    if (!writes || updates)
        ctz_allow(L, CTZ_CAP_READ, path);
    if (!writes)
        return;
    ctz_allow(L, CTZ_CAP_WRITE, path);
    if (!ctz_dry_run(L))
        return;
    if (updates) {
        struct ctz_error err = {0};
        ctz_error_set(&err, CTZ_ERROR_UNSUPPORTED,
                      "%s: mode \"%s\" cannot be shown under --dry-run", path, mode);
        ctz_raise(L, &err);
    }
    ctz_plan(L, "write %s", path);
    lua_pushliteral(L, DRY_RUN_FILE);
    lua_replace(L, path_idx);
}

static int l_open(lua_State *L)
{
    const char *mode = lua_isnoneornil(L, 2) ? "r" : ctz_check_string(L, 2, "mode", NULL);
    check_open(L, 1, mode);
    return call_original(L, l_open);
}

static int l_input(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        check_open(L, 1, "r");
    return call_original(L, l_input);
}

static int l_output(lua_State *L)
{
    if (lua_type(L, 1) == LUA_TSTRING)
        check_open(L, 1, "w");
    return call_original(L, l_output);
}

static int l_tmpfile(lua_State *L)
{
    ctz_allow(L, CTZ_CAP_WRITE, P_tmpdir);
    return call_original(L, l_tmpfile);
}

// --- programs ----------------------------------------------------------------------------------

static FILE *open_nothing(void)
{
    static const cookie_io_functions_t none = {0};
    return fopencookie(NULL, "r", none);
}

// io.close, file:close, <close> and __gc come here, with the file at index 1; closef is NULL by
// now.
static int close_program(lua_State *L)
{
    struct file *file = lua_touserdata(L, 1);
    struct ctz_process *process = file->process;
    if (file->stream.f)
        fclose(file->stream.f);
    file->stream.f = NULL;
    file->process = NULL;
    if (!process)
        return 0;
    struct ctz_input *input = ctz_process_output_of(process, CTZ_STDOUT);
    if (ctz_process_input_of(process))
        ctz_process_close_stdin(process);
    else
        ctz_input_end(input);           // a program that still writes gets SIGPIPE
    if (ctz_task_why_not_waitable(L)) { // __gc
        ctz_process_collect(process);
        return 0;
    }
    bool is_unwinding = !lua_isnoneornil(L, 2); // what __close gets after an error
    if (is_unwinding)
        ctz_process_kill(process);
    return ctz_await(L, ctz_process_wait_owner(L, &ctz_exit_class, process));
}

/// io.popen(command, mode?) -> file
/// Runs a command with /bin/sh and reads its stdout ("r") or writes its stdin ("w"), as in Lua.
/// Reads, writes and close wait as tasks do; the program ends at the latest with the scope it began
/// in.
/// @param command string
/// @param mode? "r"|"w"
/// @error denied the run may not run "sh"
/// @example local pipe <close> = io.popen("echo one; echo two")
/// @example assert(pipe:read("l") == "one" and pipe:read("a") == "two\n")
static int l_popen(lua_State *L)
{
    const char *command = ctz_check_name(L, 1, "command");
    const char *mode = lua_isnoneornil(L, 2) ? "r" : ctz_check_string(L, 2, "mode", NULL);
    if (strcmp(mode, "r") != 0 && strcmp(mode, "w") != 0)
        return ctz_usage(L, "bad argument 'mode' to 'io.popen': expected r or w, got \"%s\"", mode);
    bool reads = *mode == 'r';
    const char *const arguments[] = {"sh", "-c", command, NULL};
    struct ctz_process_options options = {
        .arguments = arguments,
        .path = "/bin/sh",
        .in = reads ? CTZ_STDIO_OWN : CTZ_STDIO_STREAM,
        .out = reads ? CTZ_STDIO_STREAM : CTZ_STDIO_PASS,
        .err = CTZ_STDIO_PASS,
    };
    ctz_process_allow(L, "sh");
    struct file *file = lua_newuserdatauv(L, sizeof *file, 0);
    memset(file, 0, sizeof *file);
    luaL_setmetatable(L, LUA_FILEHANDLE);
    file->stream.f = open_nothing();
    if (!file->stream.f)
        return luaL_error(L, "not enough memory");
    file->mark = &mark;
    file->source = OF_PROGRAM;
    file->stream.closef = close_program;
    struct ctz_error err = {0};
    file->process = ctz_process_start(ctz_host(L), &options, &err);
    return file->process ? 1 : ctz_raise(L, &err);
}

// --- the library -------------------------------------------------------------------------------

// The standard files stay open, as in liolib.c.
static int keep_open(lua_State *L)
{
    struct file *file = lua_touserdata(L, 1);
    file->stream.closef = keep_open;
    luaL_pushfail(L);
    lua_pushliteral(L, "cannot close standard file");
    return 2;
}

// Makes a standard file; the io table is on top of the stack.
static void add_standard(lua_State *L, const char *name, enum source source, FILE *stream,
                         const char *registry)
{
    struct file *file = lua_newuserdatauv(L, sizeof *file, 0);
    *file = (struct file){{stream, keep_open}, &mark, source, NULL};
    luaL_setmetatable(L, LUA_FILEHANDLE);
    if (registry) {
        lua_pushvalue(L, -1);
        lua_setfield(L, LUA_REGISTRYINDEX, registry);
    }
    lua_setfield(L, -2, name);
}

static const struct ctz_reg functions[] = {
    {"io.open", l_open, CTZ_CAP_READ, 0, 0},
    {"io.lines", l_lines, CTZ_CAP_READ, 0, 0},
    {"io.input", l_input, CTZ_CAP_READ, 0, 0},
    {"io.output", l_output, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"io.tmpfile", l_tmpfile, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"io.popen", l_popen, CTZ_CAP_RUN, 0, CTZ_REG_PLANS},
    {"io.read", l_read, CTZ_CAP_HELD, 0, 0},
    {"io.write", l_write, CTZ_CAP_HELD, 0, 0},
    {"io.flush", l_flush, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg methods[] = {
    {"file.read", l_file_read, CTZ_CAP_HELD, 0, 0},
    {"file.lines", l_file_lines, CTZ_CAP_HELD, 0, 0},
    {"file.write", l_file_write, CTZ_CAP_HELD, 0, 0},
    {"file.flush", l_file_flush, CTZ_CAP_HELD, 0, 0},
    {"file.seek", l_file_seek, CTZ_CAP_HELD, 0, 0},
    {"file.setvbuf", l_file_setvbuf, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg stdin_methods[] = {
    {"stdin.__gc", l_stdin_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

// Puts our functions into the library table on top of the stack, and keeps what stood there.
static void replace(lua_State *L, const struct ctz_reg *rows)
{
    ctz_door(L, rows);
    for (const struct ctz_reg *row = rows; row->name; row++) {
        const char *field = strrchr(row->name, '.') + 1;
        lua_getfield(L, -2, field);
        keep_original(L, row->function);
        lua_getfield(L, -1, field);
        lua_setfield(L, -3, field);
    }
    lua_pop(L, 1);
}

void ctz_io_init(lua_State *L)
{
    ctz_class(L, STDIN_CLASS, stdin_methods);
    luaL_getmetatable(L, LUA_FILEHANDLE);
    lua_getfield(L, -1, "__index");
    replace(L, methods);
    lua_pop(L, 2);
    lua_getglobal(L, LUA_IOLIBNAME);
    replace(L, functions);
    add_standard(L, "stdin", OF_STDIN, stdin, DEFAULT_INPUT);
    add_standard(L, "stdout", OF_STDOUT, stdout, DEFAULT_OUTPUT);
    add_standard(L, "stderr", OF_STDERR, stderr, NULL);
    lua_pop(L, 1);
}
