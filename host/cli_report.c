// cli_report.c: how a run ends: its error for people and programs, and its exit code.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "host/cli.h"
#include "host/egress.h"
#include "host/errorlua.h"
#include "host/host.h"
#include "host/loop.h"
#include "host/luax.h"
#include "host/task.h"

#define TEXT_MAX  8192 // bytes of an error value's text that are printed
#define PLACE_MAX 256  // bytes of a file name in front of a message

static void say(struct ctz_host *host, const char *text)
{
    ctz_egress_write(host, CTZ_STDERR, text, strlen(text));
}

// --- the text of any value ---------------------------------------------------------------------

size_t ctz_place_length(const char *text)
{
    size_t line_length = strcspn(text, "\n");
    for (const char *at = text; (at = memchr(at, ':', line_length - (size_t)(at - text))); at++) {
        size_t digits = strspn(at + 1, "0123456789");
        if (digits > 0 && at > text && at[1 + digits] == ':' && at[2 + digits] == ' ')
            return (size_t)(at + 1 + digits - text);
        if (at - text > PLACE_MAX)
            break;
    }
    return 0;
}

// A message that begins with its place becomes an error value with that place, so that all errors
// look the same.
static void push_placed(lua_State *L, const char *text, size_t length)
{
    size_t place = ctz_place_length(text);
    if (length > TEXT_MAX) {
        lua_pushlstring(L, text, TEXT_MAX);
        lua_pushfstring(L, " ... (%I bytes)", (LUAI_UACINT)length);
        lua_concat(L, 2);
    } else if (place == 0) {
        lua_pushlstring(L, text, length);
    } else {
        const char *message = lua_pushlstring(L, text + place + 2, length - place - 2);
        struct ctz_error err = {.kind = CTZ_ERROR_INTERNAL, .message = (char *)message};
        ctz_error_push(L, &err, NULL); // borrows the message
        lua_pushlstring(L, text, place);
        lua_setfield(L, -2, "at");
        luaL_tolstring(L, -1, NULL);
    }
}

// The text that the message handler of --debug put behind a message goes behind the place.
static void push_string(lua_State *L, const char *text, size_t length)
{
    const char *traceback = ctz_host(L)->debug ? strstr(text, "\nstack traceback:\n") : NULL;
    push_placed(L, text, traceback ? (size_t)(traceback - text) : length);
    if (traceback) {
        lua_pushstring(L, traceback);
        lua_concat(L, 2);
    }
}

static void push_inspected(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    lua_getglobal(L, "require");
    lua_pushliteral(L, "ctz.inspect");
    lua_call(L, 1, 1);
    lua_pushvalue(L, idx);
    lua_call(L, 1, 1);
}

static int l_inspected(lua_State *L)
{
    push_inspected(L, 1);
    if (lua_type(L, -1) != LUA_TSTRING)
        return luaL_error(L, "no text");
    return 1;
}

static void push_text_of_table(lua_State *L, int idx)
{
    lua_pushliteral(L, "an error value: ");
    lua_pushcfunction(L, l_inspected);
    lua_pushvalue(L, idx);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushfstring(L, "%s: %p", luaL_typename(L, idx), lua_topointer(L, idx));
    }
    lua_concat(L, 2);
}

// (value) -> text of it. May raise, when __tostring does.
static int l_text(lua_State *L)
{
    size_t length;
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_pushliteral(L, "error(nil): the recipe failed and does not say why");
    } else if (lua_istable(L, 1) && !luaL_getmetafield(L, 1, "__tostring")) {
        push_text_of_table(L, 1);
    } else {
        const char *text = luaL_tolstring(L, 1, &length);
        if (ctz_is_error(L, 1))
            return 1; // bounded and placed already
        push_string(L, text, length);
    }
    return 1;
}

// Pushes the text of the value on top of L; never raises.
static void push_text(lua_State *L)
{
    lua_pushcfunction(L, l_text);
    lua_pushvalue(L, -2);
    if (lua_pcall(L, 1, 1, 0) == LUA_OK)
        return;
    lua_pop(L, 1);
    lua_pushliteral(L, "an error value whose __tostring raises an error");
}

static void say_traceback(struct ctz_host *host)
{
    lua_State *L = host->L;
    if (!host->debug || !ctz_is_error(L, -1))
        return;
    lua_pushliteral(L, "traceback");
    if (lua_rawget(L, -2) == LUA_TSTRING) {
        say(host, lua_tostring(L, -1));
        say(host, "\n");
    }
    lua_pop(L, 1);
}

// --- as data -----------------------------------------------------------------------------------

// (name, value, text) -> whatever ctz/cmd/report.lua's function of that name returns
static int l_call_report(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushliteral(L, "ctz.cmd.report");
    lua_call(L, 1, 1);
    lua_pushvalue(L, 1);
    lua_gettable(L, -2);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, 3);
    lua_call(L, 2, 1);
    return 1;
}

// Prints what the report makes of the value at idx. On failure its error is on top of L.
static int print_report(struct ctz_host *host, const char *function, int idx, const char *text)
{
    lua_State *L = host->L;
    idx = lua_absindex(L, idx);
    lua_pushcfunction(L, l_call_report);
    lua_pushstring(L, function);
    lua_pushvalue(L, idx);
    lua_pushstring(L, text);
    if (lua_pcall(L, 3, 1, 0) != LUA_OK)
        return -1;
    size_t length;
    const char *line = lua_tolstring(L, -1, &length);
    ctz_egress_write(host, CTZ_STDOUT, line, length);
    lua_pop(L, 1);
    return 0;
}

// --- codes -------------------------------------------------------------------------------------

// A message that Lua itself made about a line of ctz's own modules; a lack of memory is no mistake.
static bool is_own_bug(lua_State *L)
{
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    size_t place = strncmp(text, "ctz:", 4) == 0 ? ctz_place_length(text) : 0;
    bool lacks_memory = strstr(text, "not enough memory") || strstr(text, "annot allocate memory");
    return place > 0 && !lacks_memory;
}

static int code_of(lua_State *L)
{
    if (is_own_bug(L))
        return CTZ_EXIT_INTERNAL;
    if (!ctz_is_error(L, -1))
        return CTZ_EXIT_FAILED;
    lua_pushliteral(L, "exit_status");
    lua_rawget(L, -2);
    lua_Integer status = lua_isinteger(L, -1) ? lua_tointeger(L, -1) : 0;
    lua_pop(L, 1);
    if (status > 0 && status < 256)
        return (int)status;
    switch (ctz_error_kind_at(L, -1)) {
    case CTZ_ERROR_UNREACHABLE:
        return CTZ_EXIT_UNAVAILABLE;
    case CTZ_ERROR_INTERNAL:
        return CTZ_EXIT_INTERNAL;
    default:
        return CTZ_EXIT_FAILED;
    }
}

int ctz_report_error(struct ctz_host *host)
{
    lua_State *L = host->L;
    if (!lua_checkstack(L, 16))
        return CTZ_EXIT_FAILED;
    int code = code_of(L);
    push_text(L);
    const char *text = lua_tostring(L, -1);
    if (ctz_egress_error(host, CTZ_STDOUT) == 0 && host->json &&
        print_report(host, "failure", -2, text) < 0)
        lua_pop(L, 1); // the text below says it too
    say(host, text);
    say(host, code == CTZ_EXIT_INTERNAL ? "\n  hint: this is a bug of ctz\n" : "\n");
    lua_pop(L, 1);
    say_traceback(host);
    lua_pop(L, 1);
    return code;
}

int ctz_finish_output(struct ctz_host *host, int code)
{
    int error = fflush(stdout) != 0 ? errno : 0; // what C libraries left in stdio
    ctz_egress_flush(host);
    if (ctz_egress_error(host, CTZ_STDOUT))
        error = ctz_egress_error(host, CTZ_STDOUT);
    if (error == 0)
        return code;
    if (error == EPIPE)
        return CTZ_EXIT_PIPE;
    if (code == CTZ_EXIT_OK) {
        char text[128];
        snprintf(text, sizeof text, "ctz: stdout: %s\n", strerror(error));
        say(host, text);
    }
    return code == CTZ_EXIT_OK ? CTZ_EXIT_FAILED : code;
}

// --- the root task -----------------------------------------------------------------------------

// The error of an ended root is on top of L: did it fail, or only end as it was told to?
static bool is_asked_end(struct ctz_host *host)
{
    if (ctz_egress_error(host, CTZ_STDOUT) == EPIPE)
        return true;
    return host->ending && ctz_error_kind_at(host->L, -1) == CTZ_ERROR_CANCELLED;
}

int ctz_run_root(struct ctz_host *host)
{
    ctz_loop_run(host);
    int code = CTZ_EXIT_OK;
    if (host->root->failed) {
        bool overdue = host->root->base.cancelled == CTZ_CANCEL_DEADLINE;
        lua_getiuservalue(host->L, -1, CTZ_USER_ERROR);
        if (is_asked_end(host))
            lua_pop(host->L, 1);
        else
            code = ctz_report_error(host);
        code = overdue ? CTZ_EXIT_DEADLINE : code;
    }
    return host->ending ? host->exit_code : code;
}

int ctz_print_result(struct ctz_host *host, const char *function)
{
    lua_State *L = host->L, *thread = host->root->thread;
    int count = host->root->results;
    if (count == 0 || !lua_checkstack(thread, 1) || !lua_checkstack(L, 8)) {
        lua_pushnil(L);
    } else {
        lua_pushvalue(thread, -count);
        lua_xmove(thread, L, 1);
    }
    int code = CTZ_EXIT_OK;
    if (print_report(host, function, -1, count > 0 ? "value" : NULL) < 0) {
        host->json = false; // the error is about it
        code = ctz_report_error(host);
    }
    lua_pop(L, 1);
    return code;
}
