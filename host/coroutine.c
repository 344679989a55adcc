// coroutine.c: the coroutine library, so that a wait inside a recipe's own coroutine works.
// SPDX-License-Identifier: MIT
//
// A wait suspends the whole task. When it happens in a coroutine that the recipe made, the yield
// passes through every resumer up to the task, and each of them goes on when the task does.
// host->running stays the innermost thread. Behaviour otherwise as lcorolib.c of Lua 5.4.
#include <lualib.h>

#include "host/door.h"
#include "host/luax.h"
#include "host/signals.h"
#include "host/task.h"

#define WAITING_COROUTINES "ctz.waiting_coroutines" // registry: thread -> true while it waits

static lua_State *check_thread(lua_State *L)
{
    lua_State *thread = lua_tothread(L, 1);
    if (!thread)
        ctz_bad_argument(L, 1, "co", "coroutine");
    return thread;
}

static void mark_waiting(lua_State *L, lua_State *thread, bool waits)
{
    lua_getfield(L, LUA_REGISTRYINDEX, WAITING_COROUTINES);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    if (waits)
        lua_pushboolean(L, true);
    else
        lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

static bool is_waiting(lua_State *L, lua_State *thread)
{
    lua_getfield(L, LUA_REGISTRYINDEX, WAITING_COROUTINES);
    lua_pushthread(thread);
    lua_xmove(thread, L, 1);
    bool waits = lua_rawget(L, -2) != LUA_TNIL;
    lua_pop(L, 2);
    return waits;
}

static const char *status_of(lua_State *L, lua_State *thread)
{
    if (L == thread)
        return "running";
    lua_Debug frame;
    switch (lua_status(thread)) {
    case LUA_YIELD:
        return is_waiting(L, thread) ? "normal" : "suspended";
    case LUA_OK:
        if (lua_getstack(thread, 0, &frame))
            return "normal"; // it resumed another one
        return lua_gettop(thread) == 0 ? "dead" : "suspended";
    default:
        return "dead";
    }
}

// --- resume ------------------------------------------------------------------------------------

// What a resume does with the outcome: coroutine.resume reports it, a wrapped function raises.
typedef int (*finish_fn)(lua_State *L, lua_State *thread, int status, int results);

static int finish_resume(lua_State *L, lua_State *thread, int status, int results)
{
    lua_pushboolean(L, status == LUA_OK || status == LUA_YIELD);
    if (status != LUA_OK && status != LUA_YIELD)
        results = 1; // the error value
    if (!lua_checkstack(L, results + 1)) {
        lua_pop(thread, results);
        lua_pushboolean(L, false);
        lua_pushliteral(L, "too many results to resume");
        return 2;
    }
    lua_xmove(thread, L, results);
    return results + 1;
}

static int finish_wrap(lua_State *L, lua_State *thread, int status, int results)
{
    if (status == LUA_OK || status == LUA_YIELD) {
        luaL_checkstack(L, results, "too many results to resume");
        lua_xmove(thread, L, results);
        return results;
    }
    lua_resetthread(thread); // runs its close handlers; the error stays on top
    lua_xmove(thread, L, 1);
    if (lua_type(L, -1) == LUA_TSTRING) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
    }
    return lua_error(L);
}

static int step(lua_State *L, lua_State *thread, int arguments, finish_fn finish);

static int continue_resume(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    lua_State *thread = lua_tothread(L, 1);
    mark_waiting(L, thread, false);
    return step(L, thread, 0, finish_resume);
}

static int continue_wrap(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
    mark_waiting(L, thread, false);
    return step(L, thread, 0, finish_wrap);
}

// Resumes the thread, whose arguments stand on its stack. A wait inside it suspends this frame too.
static int step(lua_State *L, lua_State *thread, int arguments, finish_fn finish)
{
    struct ctz_host *host = ctz_host(L);
    int results = 0;
    unsigned blocked = host->running != L || !lua_isyieldable(L);
    host->unwaitable += blocked;
    int status = ctz_resume(host, thread, L, arguments, &results);
    host->unwaitable -= blocked;
    ctz_signals_left(L, thread);
    if (status == LUA_YIELD && host->waiting) {
        mark_waiting(L, thread, true);
        return lua_yieldk(L, 0, 0, finish == finish_resume ? continue_resume : continue_wrap);
    }
    return finish(L, thread, status, results);
}

// Moves `arguments` values from L to the thread, or pushes a message why it cannot be resumed.
static bool prepare(lua_State *L, lua_State *thread, int arguments)
{
    const char *status = status_of(L, thread);
    if (*status != 's') {
        lua_pushfstring(L, "cannot resume %s coroutine", *status == 'd' ? "dead" : "non-suspended");
        return false;
    }
    if (!lua_checkstack(thread, arguments)) {
        lua_pushliteral(L, "too many arguments to resume");
        return false;
    }
    lua_xmove(L, thread, arguments);
    return true;
}

static int l_resume(lua_State *L)
{
    lua_State *thread = check_thread(L);
    int arguments = lua_gettop(L) - 1;
    if (!prepare(L, thread, arguments)) {
        lua_pushboolean(L, false);
        lua_insert(L, -2);
        return 2;
    }
    return step(L, thread, arguments, finish_resume);
}

static int l_wrapped(lua_State *L)
{
    lua_State *thread = lua_tothread(L, lua_upvalueindex(1));
    int arguments = lua_gettop(L);
    if (!prepare(L, thread, arguments)) {
        luaL_where(L, 1);
        lua_insert(L, -2);
        lua_concat(L, 2);
        return lua_error(L);
    }
    return step(L, thread, arguments, finish_wrap);
}

// --- the rest ----------------------------------------------------------------------------------

static int l_create(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    lua_State *thread = lua_newthread(L);
    lua_pushvalue(L, 1);
    lua_xmove(L, thread, 1);
    return 1;
}

static int l_wrap(lua_State *L)
{
    l_create(L);
    lua_pushcclosure(L, l_wrapped, 1);
    return 1;
}

static int l_yield(lua_State *L)
{
    struct ctz_task *task = ctz_host(L)->current;
    if (task && task->thread == L)
        return luaL_error(L, "attempt to yield from outside a coroutine");
    if (task && task->scope->thread == L)
        return luaL_error(L, "attempt to yield out of an open ctz.scope or ctz.timeout; "
                             "end it first, or send the value through a ctz.channel");
    return lua_yield(L, lua_gettop(L));
}

static int l_status(lua_State *L)
{
    lua_pushstring(L, status_of(L, check_thread(L)));
    return 1;
}

static bool is_task_thread(lua_State *L)
{
    struct ctz_task *task = ctz_host(L)->current;
    return !task || task->thread == L;
}

// A task's own thread is to the recipe what the main thread is to a script of lua's.
static int l_isyieldable(lua_State *L)
{
    lua_State *thread = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
    lua_pushboolean(L, lua_isyieldable(thread) && !is_task_thread(thread));
    return 1;
}

static int l_running(lua_State *L)
{
    lua_pushthread(L);
    lua_pushboolean(L, is_task_thread(L));
    return 2;
}

static int l_close(lua_State *L)
{
    lua_State *thread = check_thread(L);
    const char *status = status_of(L, thread);
    if (*status != 'd' && *status != 's')
        return luaL_error(L, "cannot close a %s coroutine", status);
    if (lua_resetthread(thread) == LUA_OK) {
        lua_pushboolean(L, true);
        return 1;
    }
    lua_pushboolean(L, false);
    lua_xmove(thread, L, 1);
    return 2;
}

void ctz_coroutine_init(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"create", l_create}, {"resume", l_resume},   {"wrap", l_wrap},
        {"yield", l_yield},   {"status", l_status},   {"isyieldable", l_isyieldable},
        {"close", l_close},   {"running", l_running}, {NULL, NULL},
    };
    lua_newtable(L);
    lua_setfield(L, LUA_REGISTRYINDEX, WAITING_COROUTINES);
    lua_getglobal(L, LUA_COLIBNAME);
    luaL_setfuncs(L, functions, 0);
    lua_pop(L, 1);
}
