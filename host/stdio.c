// stdio.c: print and os as a recipe sees them, and what happens when stdout fails.
// SPDX-License-Identifier: MIT
#include "host/stdio.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/door.h"
#include "host/egress.h"
#include "host/luax.h"
#include "host/process.h"
#include "host/signals.h"
#include "host/task.h"

// --- stdout ------------------------------------------------------------------------------------

static int raise_stdout(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    int code = ctz_egress_error(host, CTZ_STDOUT);
    if (code == EPIPE) { // the run is cancelled already: see egress.c
        ctz_signals_interrupt(host);
        ctz_task_check(L);
        return 0;
    }
    struct ctz_error err = {0};
    ctz_error_system(&err, code, "stdout");
    err.kind = CTZ_ERROR_IO;
    return ctz_raise(L, &err);
}

void ctz_stdout_write(lua_State *L, const char *bytes, size_t size)
{
    if (ctz_egress_write(ctz_host(L), CTZ_STDOUT, bytes, size) < 0)
        raise_stdout(L);
}

void ctz_stdout_flush(lua_State *L)
{
    if (ctz_egress_flush(ctz_host(L)) < 0)
        raise_stdout(L);
}

bool ctz_stdio_plans(lua_State *L, const char *verb, const char *path)
{
    ctz_allow(L, CTZ_CAP_WRITE, path);
    if (ctz_dry_run(L))
        ctz_plan(L, "%s %s", verb, path);
    return ctz_dry_run(L);
}

// --- print -------------------------------------------------------------------------------------

static int l_print(lua_State *L)
{
    int count = lua_gettop(L);
    luaL_Buffer line;
    for (int i = 1; i <= count; i++) {
        luaL_tolstring(L, i, NULL);
        lua_replace(L, i);
    }
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        size_t length;
        const char *text = lua_tolstring(L, i, &length);
        luaL_addlstring(&line, text, length);
        luaL_addchar(&line, i < count ? '\t' : '\n');
    }
    if (count == 0)
        luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    ctz_stdout_write(L, text, length);
    return 0;
}

// --- os ----------------------------------------------------------------------------------------

static int l_exit(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    int code = 0;
    if (lua_isboolean(L, 1))
        code = lua_toboolean(L, 1) ? 0 : 1;
    else if (!lua_isnoneornil(L, 1))
        code = (int)ctz_check_integer(L, 1, "code", 0, 255);
    host->ending = true;
    host->exit_code = code;
    ctz_task_cancel(host->root, CTZ_CANCEL_EXIT);
    ctz_signals_interrupt(host); // pcall does not stop it
    ctz_task_check(L);
    return 0;
}

static int l_getenv(lua_State *L)
{
    lua_pushstring(L, getenv(ctz_check_name(L, 1, "name")));
    return 1;
}

static int l_remove(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    bool removed = ctz_stdio_plans(L, "remove", path) || remove(path) == 0;
    return luaL_fileresult(L, removed, path);
}

static int l_rename(lua_State *L)
{
    const char *from = ctz_check_name(L, 1, "from");
    const char *to = ctz_check_name(L, 2, "to");
    ctz_allow(L, CTZ_CAP_WRITE, from);
    ctz_allow(L, CTZ_CAP_WRITE, to);
    if (ctz_dry_run(L)) {
        ctz_plan(L, "rename %s to %s", from, to);
        lua_pushboolean(L, true);
        return 1;
    }
    return luaL_fileresult(L, rename(from, to) == 0, from);
}

// The program's locale stays C, so that numbers and sorting are the same on every machine.
static int l_setlocale(lua_State *L)
{
    const char *name = lua_isnoneornil(L, 1) ? "C" : ctz_check_string(L, 1, "locale", NULL);
    bool is_ours = strcmp(name, "C") == 0 || strcmp(name, "POSIX") == 0 || *name == '\0';
    lua_pushstring(L, is_ours ? "C" : NULL);
    return 1;
}

static int l_tmpname(lua_State *L)
{
    char path[] = "/tmp/lua_XXXXXX";
    ctz_allow(L, CTZ_CAP_WRITE, path);
    int fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return luaL_error(L, "unable to generate a unique filename");
    close(fd);
    lua_pushstring(L, path);
    return 1;
}

// As Lua's os.execute returns it.
static int push_exit(lua_State *L, struct ctz_op *op)
{
    struct ctz_process_result result;
    ctz_process_result(((struct ctz_process_wait *)op)->process, &result);
    if (result.exit_code == 0)
        lua_pushboolean(L, true);
    else
        luaL_pushfail(L);
    lua_pushstring(L, result.signal ? "signal" : "exit");
    lua_pushinteger(L, result.signal ? result.signal : result.exit_code);
    return 3;
}

const struct ctz_op_class ctz_exit_class = {
    .name = "waits for a program",
    .start = ctz_process_wait_start,
    .cancel = ctz_process_wait_cancel,
    .push = push_exit,
    .clear = ctz_process_wait_clear,
};

/// os.execute(command?) -> true|nil, "exit"|"signal", integer
/// Runs a command with /bin/sh, as in Lua; other tasks go on meanwhile and a cancel ends it. Its
/// output passes through ctz, where secrets are masked. ctz.process.run needs no shell.
/// @async
/// @param command? string  none: asks whether there is a shell
/// @error denied the run may not run "sh"
/// @example local ok, how, code = os.execute("exit 3")
/// @example assert(not ok and how == "exit" and code == 3)
static int l_execute(lua_State *L)
{
    if (lua_isnoneornil(L, 1)) {
        lua_pushboolean(L, access("/bin/sh", X_OK) == 0);
        return 1;
    }
    const char *command = ctz_check_name(L, 1, "command");
    const char *const arguments[] = {"sh", "-c", command, NULL};
    struct ctz_process_options options = {
        .arguments = arguments,
        .path = "/bin/sh",
        .in = CTZ_STDIO_OWN,
        .out = CTZ_STDIO_PASS,
        .err = CTZ_STDIO_PASS,
    };
    ctz_process_allow(L, "sh");
    struct ctz_process *process = ctz_process_guarded(L, &options);
    return ctz_await(
        L, ctz_process_wait_new(L, &ctz_exit_class, sizeof(struct ctz_process_wait), process));
}

// --- the tables --------------------------------------------------------------------------------

static const struct ctz_reg functions[] = {
    {"print", l_print, CTZ_CAP_PURE, 0, 0},
    {"os.exit", l_exit, CTZ_CAP_PURE, 0, 0},
    {"os.getenv", l_getenv, CTZ_CAP_ENV, 1, 0},
    {"os.remove", l_remove, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"os.rename", l_rename, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"os.tmpname", l_tmpname, CTZ_CAP_WRITE, 0, CTZ_REG_LOCAL},
    {"os.setlocale", l_setlocale, CTZ_CAP_PURE, 0, 0},
    {"os.execute", l_execute, CTZ_CAP_RUN, 0, CTZ_REG_PLANS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_stdio_init(lua_State *L)
{
    ctz_door(L, functions);
    lua_getfield(L, -1, "print");
    lua_setglobal(L, "print");
    lua_pushnil(L);
    lua_setfield(L, -2, "print");
    lua_getglobal(L, "os");
    for (lua_pushnil(L); lua_next(L, -3);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, -4);
    }
    lua_pop(L, 2);
    ctz_io_init(L);
}
