// scope.c: what bounds the life of tasks: bodies, children, defers, and which error comes out.
// SPDX-License-Identifier: MIT
//
// The body of a task and of ctz.scope run in the same way, on a C frame that is laid out so:
//   1 the scope's userdata (true in the frame of a task)   2 the message handler   3... the
//   function
// A frame whose body runs therefore shows two values below the function. While Lua unwinds an error
// it calls close handlers from this very frame, above more values: that is how is_closing tells.
#include "host/task.h"

#include <stdio.h>
#include <string.h>

#include "host/egress.h"
#include "host/door.h"
#include "host/errorlua.h"
#include "host/luax.h"
#include "host/process.h"
#include "host/signals.h"

#define BODY_FRAME 2   // values below the function of a body
#define RAISES_MAX 100 // cancels that a scope's code may catch at its waits

enum stage { STAGE_BODY, STAGE_JOINED, STAGE_DEFERRED };

// --- owners ------------------------------------------------------------------------------------

void ctz_scope_push_owner(lua_State *L, struct ctz_scope *scope)
{
    const void *key = scope == &scope->task->base ? (void *)scope->task : (void *)scope;
    lua_rawgetp(L, LUA_REGISTRYINDEX, key);
}

void ctz_scope_fail(lua_State *L, struct ctz_scope *scope, int idx)
{
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, 4, "scope");
    ctz_scope_push_owner(L, scope);
    if (!scope->failed) {
        lua_pushvalue(L, idx);
        lua_setiuservalue(L, -2, CTZ_USER_ERROR);
        scope->failed = true;
    } else {
        if (lua_getiuservalue(L, -1, CTZ_USER_OTHERS) != LUA_TTABLE) {
            lua_newtable(L);
            lua_pushvalue(L, -1);
            lua_setiuservalue(L, -4, CTZ_USER_OTHERS);
            lua_replace(L, -2);
        }
        lua_pushvalue(L, idx);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void ctz_scope_defer(lua_State *L, struct ctz_scope *scope, int idx)
{
    idx = lua_absindex(L, idx);
    ctz_scope_push_owner(L, scope);
    if (lua_getiuservalue(L, -1, CTZ_USER_DEFERS) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_newtable(L);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -3, CTZ_USER_DEFERS);
    }
    lua_pushvalue(L, idx);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
    lua_pop(L, 2);
}

// Pushes the function deferred last and takes it from the list; false when none is left.
static bool pop_defer(lua_State *L, struct ctz_scope *scope)
{
    ctz_scope_push_owner(L, scope);
    int owner = lua_gettop(L);
    lua_Integer count = 0;
    if (lua_getiuservalue(L, owner, CTZ_USER_DEFERS) == LUA_TTABLE)
        count = (lua_Integer)lua_rawlen(L, owner + 1);
    if (count > 0) {
        lua_rawgeti(L, owner + 1, count);
        lua_pushnil(L);
        lua_rawseti(L, owner + 1, count);
        lua_replace(L, owner);
    }
    lua_settop(L, count > 0 ? owner : owner - 1);
    return count > 0;
}

// --- is this wait part of a clean-up? ----------------------------------------------------------

// How many values a protected call keeps below the function it calls; -1: not a protected call.
static int protected_frame(lua_State *L, lua_CFunction function)
{
    if (!function)
        return -1;
    if (function == ctz_task_main || ctz_is_scope_function(function))
        return BODY_FRAME;
    int values = -1;
    luaL_getsubtable(L, LUA_REGISTRYINDEX, CTZ_PROTECTED_CALLS);
    if (lua_rawgetp(L, -1, (const void *)(uintptr_t)function) == LUA_TNUMBER)
        values = (int)lua_tointeger(L, -1);
    lua_pop(L, 2);
    return values;
}

// Was the function on top of the stack, of the frame above, called by this protected frame to close
// a variable? It is not the one the frame was asked to call. (That one stays in its place when it
// takes variable arguments: Lua runs a copy.)
static bool called_to_close(lua_State *L, lua_Debug *frame, int values)
{
    if (values < 0 || !lua_getlocal(L, frame, values + 1))
        return false;
    bool is_body = lua_rawequal(L, -1, -2);
    lua_pop(L, 1);
    return !is_body;
}

// Is a close handler among the frames of this thread? Lua names the frame when a block ended
// normally; when an error unwinds, the handler was called from the frame of a protected call that
// shows more values than while its body ran (Lua 5.4.4: ldo.c finishpcallk, lfunc.c luaF_close).
static bool is_closing(lua_State *L)
{
    if (!lua_checkstack(L, 8))
        return false;
    lua_Debug frame;
    bool closing = false;
    lua_pushnil(L); // the function of the frame above
    for (int level = 0; !closing && lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "nf", &frame);
        int values = protected_frame(L, ctz_function_of(L, -1));
        lua_insert(L, -2);
        closing = (strcmp(frame.namewhat, "metamethod") == 0 && strcmp(frame.name, "close") == 0) ||
                  (level > 0 && called_to_close(L, &frame, values));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return closing;
}

bool ctz_task_in_cleanup(struct ctz_task *task, lua_State *thread)
{
    for (struct ctz_scope *scope = task->scope; scope; scope = scope->outer)
        if (scope->closing)
            return true;
    return is_closing(thread) || (thread != task->thread && is_closing(task->thread));
}

// --- cancelled ---------------------------------------------------------------------------------

static const char *const reasons[] = {
    [CTZ_CANCEL_NONE] = "",
    [CTZ_CANCEL_REQUEST] = "request",
    [CTZ_CANCEL_CHILD] = "child",
    [CTZ_CANCEL_PARENT] = "parent",
    [CTZ_CANCEL_DEADLINE] = "deadline",
    [CTZ_CANCEL_END] = "end",
    [CTZ_CANCEL_SIGNAL] = "signal",
    [CTZ_CANCEL_EXIT] = "exit",
    [CTZ_CANCEL_DEADLOCK] = "deadlock",
};

static void describe_cancel(const struct ctz_scope *scope, char *text, size_t size)
{
    switch (scope->cancelled) {
    case CTZ_CANCEL_DEADLINE:
        snprintf(text, size, "the deadline of %g s passed", scope->timeout_s);
        return;
    case CTZ_CANCEL_CHILD:
        snprintf(text, size, "another task of the scope failed");
        return;
    case CTZ_CANCEL_END:
        snprintf(text, size, "the scope of this background task has ended");
        return;
    case CTZ_CANCEL_SIGNAL:
        snprintf(text, size, "the run was interrupted");
        return;
    case CTZ_CANCEL_EXIT:
        snprintf(text, size, "the run ends (os.exit)");
        return;
    case CTZ_CANCEL_DEADLOCK:
        snprintf(text, size, "all tasks wait on each other");
        return;
    default:
        snprintf(text, size, "the task was cancelled");
    }
}

// The scope whose cancel reached this one: its own, or one around it.
static struct ctz_scope *cancelled_scope(struct ctz_scope *scope)
{
    while (scope->cancelled == CTZ_CANCEL_PARENT) {
        struct ctz_scope *around = scope->outer ? scope->outer : scope->task->parent;
        if (!around || !around->cancelled)
            break;
        scope = around;
    }
    return scope;
}

// Uses Lua's memory only, so that nothing is lost when it runs out. A deadline is a timeout to the
// task that it was set in, and a cancel like any other to its children.
static void push_cancelled(lua_State *L, struct ctz_task *task)
{
    struct ctz_scope *scope = cancelled_scope(task->scope);
    bool is_own = scope->task == task;
    enum ctz_error_kind kind = CTZ_ERROR_CANCELLED;
    char text[128];
    describe_cancel(scope, text, sizeof text);
    if (scope->cancelled == CTZ_CANCEL_DEADLINE && is_own)
        kind = CTZ_ERROR_TIMEOUT;
    if (task->scope->hard) {
        kind = CTZ_ERROR_TIMEOUT;
        snprintf(text, sizeof text, "the clean-up took longer than %g s",
                 (double)ctz_limit(task->host, CTZ_LIMIT_CLEANUP_MS) / 1000);
    }
    ctz_error_push_text(L, kind, text);
    lua_pushstring(L, reasons[is_own ? scope->cancelled : CTZ_CANCEL_PARENT]);
    lua_setfield(L, -2, "reason");
    if (scope->cancelled == CTZ_CANCEL_CHILD && scope->failed) {
        ctz_scope_push_owner(L, scope);
        lua_getiuservalue(L, -1, CTZ_USER_ERROR);
        lua_setfield(L, -3, "cause");
        lua_pop(L, 1);
    }
}

// Code that catches the cancel may look around, but neither spin nor wait in a loop.
int ctz_task_raise_cancelled(lua_State *L, struct ctz_task *task)
{
    luaL_checkstack(L, 8, "cancel");
    push_cancelled(L, task);
    ctz_signals_watch(L, ++task->scope->raised > RAISES_MAX);
    return lua_error(L);
}

void ctz_task_check(lua_State *L)
{
    struct ctz_task *task = ctz_host(L)->current;
    if (!task || !task->scope->cancelled)
        return;
    if (!task->scope->hard && ctz_task_in_cleanup(task, L))
        return;
    ctz_task_raise_cancelled(L, task);
}

// An error that only carries a cancel outwards is not a failure of the scope that was cancelled.
static bool carries_cancel(lua_State *L, int idx)
{
    if (!ctz_is_error(L, idx))
        return false;
    idx = lua_absindex(L, idx);
    lua_pushliteral(L, "reason");
    lua_rawget(L, idx);
    bool carries = lua_type(L, -1) == LUA_TSTRING;
    lua_pop(L, 1);
    return carries;
}

// --- the end of a scope ------------------------------------------------------------------------

static struct ctz_scope *scope_of_frame(lua_State *L)
{
    struct ctz_scope *scope = luaL_testudata(L, 1, CTZ_SCOPE_CLASS);
    return scope ? scope : &ctz_host(L)->current->base;
}

// What is lost when the first error is a plain value that cannot carry the others.
static void report_others(lua_State *L, int others)
{
    for (lua_Integer i = 1; lua_rawgeti(L, others, i) != LUA_TNIL; i++) {
        size_t length;
        const char *text = luaL_tolstring(L, -1, &length);
        struct ctz_host *host = ctz_host(L);
        ctz_egress_write(host, CTZ_STDERR, "also failed: ", 13);
        ctz_egress_write(host, CTZ_STDERR, text, length);
        ctz_egress_write(host, CTZ_STDERR, "\n", 1);
        lua_pop(L, 2);
    }
    lua_pop(L, 1);
}

// The error at `error` gets the list at `others`, behind what it brought along from inner scopes.
static void attach_others(lua_State *L, int error, int others)
{
    lua_pushliteral(L, "others");
    if (lua_rawget(L, error) != LUA_TTABLE) {
        lua_pushvalue(L, others);
        lua_setfield(L, error, "others");
        return;
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, -1);
    for (lua_Integer i = 1; lua_rawgeti(L, others, i) != LUA_TNIL; i++)
        lua_rawseti(L, -2, count + i);
}

// Pushes the scope's first error with the others attached.
static void push_failure(lua_State *L, struct ctz_scope *scope)
{
    if (!scope->failed) { // broken: see task.c end_broken
        lua_pushliteral(L, "not enough memory");
        return;
    }
    ctz_scope_push_owner(L, scope);
    int owner = lua_gettop(L), error = owner + 1, others = owner + 2;
    lua_getiuservalue(L, owner, CTZ_USER_ERROR);
    if (lua_getiuservalue(L, owner, CTZ_USER_OTHERS) == LUA_TTABLE) {
        if (ctz_is_error(L, error))
            attach_others(L, error, others);
        else
            report_others(L, others);
    }
    lua_settop(L, error);
    lua_remove(L, owner);
}

static void stop_timers(struct ctz_scope *scope)
{
    struct ctz_host *host = scope->task->host;
    ctz_timer_stop(host, &scope->deadline);
    ctz_timer_stop(host, &scope->cleanup);
}

// The error with which the scope ends is pushed; false when it ends well.
static bool push_outcome(lua_State *L, struct ctz_scope *scope)
{
    if (scope->failed || scope->broken) {
        push_failure(L, scope);
        return true;
    }
    if (scope->body_failed) { // it carries the cancel
        lua_pushvalue(L, BODY_FRAME + 1);
        return true;
    }
    if (scope->cancelled == CTZ_CANCEL_DEADLINE) { // swallowed by a pcall: it passed all the same
        scope->hard = false;
        push_cancelled(L, scope->task);
        return true;
    }
    return false;
}

static int end_scope(lua_State *L, struct ctz_scope *scope)
{
    bool failed = push_outcome(L, scope);
    struct ctz_task *task = scope->task;
    stop_timers(scope);
    ctz_processes_end_scope(task->host, scope);
    task->scope = scope->outer;
    scope->task = NULL;
    lua_pushnil(L);
    lua_rawsetp(L, LUA_REGISTRYINDEX, scope);
    ctz_signals_enter(task->host, task);
    return failed ? lua_error(L) : lua_gettop(L) - BODY_FRAME;
}

static int end_task(lua_State *L, struct ctz_scope *scope)
{
    struct ctz_task *task = scope->task;
    task->failed = push_outcome(L, scope);
    if (task->failed) {
        ctz_scope_push_owner(L, scope);
        lua_pushvalue(L, -2);
        lua_setiuservalue(L, -2, CTZ_USER_ERROR);
        lua_pop(L, 1);
        bool is_consequence = scope->cancelled && !scope->failed && !scope->broken;
        if (task->parent && !is_consequence) {
            ctz_scope_fail(L, task->parent, -1);
            ctz_scope_cancel(task->parent, CTZ_CANCEL_CHILD);
        }
    }
    stop_timers(scope);
    ctz_processes_end_scope(task->host, scope);
    int results = task->failed ? 0 : lua_gettop(L) - BODY_FRAME;
    ctz_task_ended(task);
    return results;
}

static void cancel_background(struct ctz_scope *scope)
{
    for (struct ctz_task *child = scope->children, *next; child; child = next) {
        next = child->sibling_next;
        ctz_task_cancel(child, CTZ_CANCEL_END);
    }
}

// Takes over the children of scopes inside this one whose ending itself failed for lack of memory.
static void adopt_orphans(struct ctz_scope *scope)
{
    struct ctz_task *task = scope->task;
    for (; task->scope != scope; task->scope = task->scope->outer) {
        struct ctz_scope *broken = task->scope;
        stop_timers(broken);
        while (broken->children) {
            struct ctz_task *child = broken->children;
            ctz_task_move(child, scope);
            ctz_task_cancel(child, CTZ_CANCEL_PARENT);
        }
        scope->broken = true;
    }
}

static void keep_defer_error(lua_State *L, struct ctz_scope *scope, int status)
{
    scope->closing = false;
    if (status != LUA_OK && status != LUA_YIELD) {
        ctz_scope_fail(L, scope, -1);
        lua_pop(L, 1);
    }
}

// From the end of the body to the end of the scope: children first, because they may use what the
// defers close; then the defers, the last first; and again, for a defer may have made children.
static int wind_up(lua_State *L, int status, lua_KContext stage)
{
    struct ctz_scope *scope = scope_of_frame(L);
    struct ctz_task *task = scope->task;
    task->waiting_thread = NULL;
    if (stage == STAGE_DEFERRED)
        keep_defer_error(L, scope, status);
    adopt_orphans(scope);
    for (;;) {
        scope->joining = scope->children != NULL;
        if (scope->joining) {
            if (scope->waited == 0)
                cancel_background(scope);
            task->waiting_thread = L;
            task->since_ns = ctz_now();
            task->host->waiting = true;
            return lua_yieldk(L, 0, STAGE_JOINED, wind_up);
        }
        if (!pop_defer(L, scope))
            break;
        scope->closing = true;
        keep_defer_error(L, scope, lua_pcallk(L, 0, 0, 2, STAGE_DEFERRED, wind_up));
    }
    return scope == &task->base ? end_task(L, scope) : end_scope(L, scope);
}

static int after_body(lua_State *L, int status, lua_KContext context)
{
    (void)context;
    struct ctz_scope *scope = scope_of_frame(L);
    if (status != LUA_OK && status != LUA_YIELD) {
        scope->body_failed = true;
        if (!scope->cancelled || !carries_cancel(L, BODY_FRAME + 1)) {
            ctz_scope_fail(L, scope, BODY_FRAME + 1);
            ctz_scope_cancel(scope, CTZ_CANCEL_CHILD); // the children are not needed any more
        }
    }
    return wind_up(L, LUA_OK, STAGE_BODY);
}

// --- bodies ------------------------------------------------------------------------------------

int ctz_scope_run(lua_State *L)
{
    int arguments = lua_gettop(L) - BODY_FRAME - 1;
    int status = lua_pcallk(L, arguments, LUA_MULTRET, 2, 0, after_body);
    return after_body(L, status, 0);
}

int ctz_task_main(lua_State *L)
{
    lua_pushboolean(L, true);
    lua_insert(L, 1);
    lua_pushcfunction(L, ctz_l_message_handler);
    lua_insert(L, 2);
    struct ctz_scope *scope = &ctz_host(L)->current->base;
    if (scope->cancelled) { // before it began: the function is not called
        lua_settop(L, BODY_FRAME);
        push_cancelled(L, scope->task);
        scope->body_failed = true;
        return wind_up(L, LUA_OK, STAGE_BODY);
    }
    return ctz_scope_run(L);
}

struct ctz_scope *ctz_scope_open(lua_State *L)
{
    const char *why = ctz_task_why_not_waitable(L);
    if (why)
        ctz_usage(L, "cannot wait %s", why);
    struct ctz_task *task = ctz_host(L)->current;
    bool in_cleanup = ctz_task_in_cleanup(task, L);
    ctz_task_check(L);
    struct ctz_scope *scope = ctz_object_new(L, CTZ_SCOPE_CLASS, sizeof *scope, 4);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, scope);
    scope->task = task;
    scope->thread = L;
    scope->outer = task->scope;
    scope->due_ns = in_cleanup ? CTZ_NEVER : task->scope->due_ns;
    scope->shelter = in_cleanup;
    task->scope = scope;
    return scope;
}
