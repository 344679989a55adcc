// tasklua.c: what Lua sees of tasks and scopes: the door ctz.core.task.
// SPDX-License-Identifier: MIT
#include <math.h>
#include <string.h>

#include "host/door.h"
#include "host/errorlua.h"
#include "host/luax.h"
#include "host/task.h"

// --- await -------------------------------------------------------------------------------------

struct ctz_await {
    struct ctz_op op;
    struct ctz_task *target; // anchored by the handle in the waiting frame; NULL once unlisted
    struct ctz_await *next, **link;
};

static const struct ctz_op_class await_class;

static void list_awaiter(struct ctz_await *await, struct ctz_task *target)
{
    await->target = target;
    await->next = target->awaiters;
    await->link = &target->awaiters;
    if (target->awaiters)
        target->awaiters->link = &await->next;
    target->awaiters = await;
}

static void unlist_awaiter(struct ctz_await *await)
{
    *await->link = await->next;
    if (await->next)
        await->next->link = await->link;
    await->target = NULL;
}

void ctz_task_wake_awaiters(struct ctz_task *task)
{
    while (task->awaiters) {
        struct ctz_await *await = task->awaiters;
        unlist_awaiter(await);
        ctz_op_settle(&await->op);
    }
}

static int start_await(struct ctz_op *op)
{
    struct ctz_await *await = (struct ctz_await *)op;
    if (await->target->ended) {
        await->target = NULL;
        ctz_op_settle(op);
    } else {
        list_awaiter(await, await->target);
    }
    return 0;
}

static void cancel_await(struct ctz_op *op)
{
    struct ctz_await *await = (struct ctz_await *)op;
    if (await->target)
        unlist_awaiter(await);
    ctz_op_settle(op);
}

// The results stay on the ended task's own stack for every later await.
static int push_results(lua_State *L, struct ctz_op *op)
{
    (void)op;
    struct ctz_task *task = lua_touserdata(L, 1);
    if (task->failed) {
        if (lua_getiuservalue(L, 1, CTZ_USER_ERROR) == LUA_TNIL && task->base.broken)
            return luaL_error(L, "not enough memory");
        return lua_error(L);
    }
    luaL_checkstack(L, task->results, "task results");
    if (!lua_checkstack(task->thread, 1))
        return luaL_error(L, "not enough memory");
    for (int i = task->results; i > 0; i--) {
        lua_pushvalue(task->thread, -i);
        lua_xmove(task->thread, L, 1);
    }
    return task->results;
}

static const struct ctz_op_class await_class = {
    .name = "awaits a task",
    .start = start_await,
    .cancel = cancel_await,
    .push = push_results,
};

// Would `self` wait for itself if it awaited `target`?
static bool makes_circle(struct ctz_task *self, struct ctz_task *target)
{
    for (struct ctz_task *task = target; task;) {
        if (task == self)
            return true;
        struct ctz_op *op = task->op;
        task = op && op->class == &await_class ? ((struct ctz_await *)op)->target : NULL;
    }
    for (struct ctz_scope *scope = self->parent; scope; scope = scope->task->parent)
        if (scope->task == target)
            return true; // a task ends after its children
    return false;
}

static struct ctz_task *check_task(lua_State *L, int arg)
{
    return ctz_object_check(L, arg, CTZ_TASK_CLASS);
}

/// task:await(opts?) -> any...
/// Waits until the task has ended and returns what its function returned, or raises what it raised.
/// The result is kept: any number of tasks may await it, also later.
/// @async
/// @param opts.timeout? ctz.seconds  how long to wait; the task itself goes on
/// @error usage the task would wait for itself
/// @error timeout it has not ended by then
/// @example local t = ctz.spawn(function() return 1, 2 end)
/// @example local a, b = t:await() assert(a == 1 and b == 2)
static int l_await(lua_State *L)
{
    static const char *const options[] = {"timeout", NULL};
    struct ctz_task *task = check_task(L, 1);
    ctz_opts_check(L, 2, options);
    double timeout_s = ctz_opt_seconds(L, 2, "timeout", INFINITY);
    struct ctz_task *self = ctz_host(L)->current;
    if (self && !task->ended && makes_circle(self, task))
        return ctz_usage(L, "task %d would wait for itself", (int)self->id);
    lua_settop(L, 1);
    struct ctz_await *await = ctz_op_new(L, &await_class, sizeof *await);
    await->target = task;
    await->op.timeout_s = timeout_s;
    return ctz_await(L, await);
}

/// task:cancel() -> true
/// Cancels the task: the line where it waits raises kind cancelled. True also when it has ended.
/// @example local t = ctz.spawn(function() ctz.sleep(60) end)
/// @example t:cancel() assert(not pcall(t.await, t))
static int l_cancel(lua_State *L)
{
    ctz_task_cancel(check_task(L, 1), CTZ_CANCEL_REQUEST);
    lua_pushboolean(L, true);
    return 1;
}

/// task:status() -> "waiting"|"done"|"failed"|"cancelled"
/// What has become of the task.
/// @example local t = ctz.spawn(function() end) t:await() assert(t:status() == "done")
static int l_status(lua_State *L)
{
    struct ctz_task *task = check_task(L, 1);
    const char *status = "waiting";
    if (task->ended && task->failed)
        status = task->base.cancelled && !task->base.failed ? "cancelled" : "failed";
    else if (task->ended)
        status = "done";
    lua_pushstring(L, status);
    return 1;
}

static int l_task_tostring(lua_State *L)
{
    struct ctz_task *task = check_task(L, 1);
    lua_pushfstring(L, "ctz.task %d (%s)", (int)task->id,
                    task->ended ? "ended" : ctz_task_doing(task));
    return 1;
}

static const struct ctz_reg task_methods[] = {
    {"task.await", l_await, CTZ_CAP_PURE, 0, 0},
    {"task.cancel", l_cancel, CTZ_CAP_PURE, 0, 0},
    {"task.status", l_status, CTZ_CAP_PURE, 0, 0},
    {"task.__tostring", l_task_tostring, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

// --- scopes ------------------------------------------------------------------------------------

// Makes the frame that scope.c describes out of (function, arguments...).
static int run_in_scope(lua_State *L, double seconds, bool pass_scope)
{
    struct ctz_scope *scope = ctz_scope_open(L);
    lua_insert(L, 1);
    lua_pushcfunction(L, ctz_l_message_handler);
    lua_insert(L, 2);
    if (pass_scope)
        lua_pushvalue(L, 1);
    if (!isinf(seconds))
        ctz_scope_deadline(scope, seconds);
    return ctz_scope_run(L);
}

/// ctz.scope(fn) -> any...
/// Calls fn(scope) and returns its results after every task that it spawned has ended. When one of
/// them fails, the others and fn itself are cancelled, and the scope raises that error; errors that
/// come later stand in err.others.
/// @async
/// @param fn fun(scope: ctz.scope): any...
/// @example local list = {}
/// @example ctz.scope(function() ctz.spawn(function() ctz.sleep(0.001) list[1] = "done" end) end)
/// @example assert(list[1] == "done")
static int l_scope(lua_State *L)
{
    ctz_check_function(L, 1, "fn");
    lua_settop(L, 1);
    return run_in_scope(L, INFINITY, true);
}

/// ctz.timeout(seconds, fn, ...) -> any...
/// Calls fn(...) with a deadline for everything in it, its tasks included. When the deadline
/// passes, the waiting line raises kind timeout; close handlers and defers still run. An inner
/// timeout can only shorten an outer one.
/// @async
/// @param seconds ctz.seconds
/// @param fn function
/// @error timeout the deadline passed
/// @example local _, err = ctz.try(ctz.timeout, 0.01, ctz.sleep, 5) assert(err:is "timeout")
static int l_timeout(lua_State *L)
{
    double seconds = ctz_check_seconds(L, 1, "seconds");
    ctz_check_function(L, 2, "fn");
    lua_remove(L, 1);
    return run_in_scope(L, seconds, false);
}

bool ctz_is_scope_function(lua_CFunction function)
{
    return function == l_scope || function == l_timeout;
}

static struct ctz_scope *check_scope(lua_State *L)
{
    struct ctz_scope *scope = ctz_object_check(L, 1, CTZ_SCOPE_CLASS);
    if (!scope->task)
        ctz_usage(L, "this scope has ended");
    return scope;
}

/// scope:cancel() -> true
/// Cancels everything in the scope: its tasks, and its own function at the line where it waits
/// next.
/// @example ctz.scope(function(s) ctz.spawn(function() ctz.sleep(60) end) s:cancel() end)
static int l_scope_cancel(lua_State *L)
{
    ctz_scope_cancel(check_scope(L), CTZ_CANCEL_REQUEST);
    lua_pushboolean(L, true);
    return 1;
}

static int push_spawned(lua_State *L, struct ctz_scope *scope, int function)
{
    static const char *const options[] = {"background", NULL};
    ctz_check_function(L, function, "fn");
    ctz_opts_check(L, function + 1, options);
    bool background = ctz_opt_bool(L, function + 1, "background", false);
    ctz_task_check(L);
    lua_settop(L, function);
    ctz_task_spawn(L, scope, 0, background);
    return 1;
}

/// scope:spawn(fn, opts?) -> ctz.task
/// As ctz.spawn, for this scope instead of the innermost one.
/// @example ctz.scope(function(s) assert(s:spawn(function() return 3 end):await() == 3) end)
static int l_scope_spawn(lua_State *L)
{
    return push_spawned(L, check_scope(L), 2);
}

static const struct ctz_reg scope_methods[] = {
    {"scope.cancel", l_scope_cancel, CTZ_CAP_PURE, 0, 0},
    {"scope.spawn", l_scope_spawn, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

// --- functions ---------------------------------------------------------------------------------

static struct ctz_task *check_current(lua_State *L)
{
    struct ctz_task *task = ctz_host(L)->current;
    if (!task)
        ctz_usage(L, "this works inside a task only");
    return task;
}

/// ctz.spawn(fn, opts?) -> ctz.task
/// Starts fn as a task of the current scope, which waits for it before it ends. If the task fails,
/// its siblings and the scope's own function are cancelled and the scope raises the error, whether
/// or not anybody awaits the task.
/// @param fn fun(): any...
/// @param opts.background? boolean  cancelled, not awaited, when the scope ends
/// @return ctz.task
/// @example assert(ctz.spawn(function() return 7 end):await() == 7)
static int l_spawn(lua_State *L)
{
    return push_spawned(L, check_current(L)->scope, 1);
}

/// ctz.defer(fn) -> true
/// Keeps fn for the end of the current scope: it runs after the scope's tasks have ended, also
/// after an error or a cancel, the last one first, and may wait within the clean-up budget.
/// @example local seen
/// @example ctz.scope(function() ctz.defer(function() seen = true end) end)
/// @example assert(seen)
static int l_defer(lua_State *L)
{
    ctz_check_function(L, 1, "fn");
    ctz_scope_defer(L, check_current(L)->scope, 1);
    lua_pushboolean(L, true);
    return 1;
}

// deferred() -> the function deferred last in the current scope, which runs first; nil
static int l_deferred(lua_State *L)
{
    lua_settop(L, 0);
    ctz_scope_push_owner(L, check_current(L)->scope);
    if (lua_getiuservalue(L, 1, CTZ_USER_DEFERS) == LUA_TTABLE)
        lua_rawgeti(L, 2, (lua_Integer)lua_rawlen(L, 2));
    else
        lua_pushnil(L);
    return 1;
}

static int start_sleep(struct ctz_op *op);

static void cancel_sleep(struct ctz_op *op)
{
    ctz_op_settle(op);
}

static const struct ctz_op_class sleep_class = {
    .name = "sleeps",
    .start = start_sleep,
    .cancel = cancel_sleep,
};

struct sleep_op {
    struct ctz_op op;
    double seconds;
};

static void on_slept(struct ctz_timer *timer)
{
    ctz_op_settle(CTZ_CONTAINER(timer, struct ctz_op, timer));
}

static int start_sleep(struct ctz_op *op)
{
    ctz_timer_start(op->host, &op->timer, ctz_due(((struct sleep_op *)op)->seconds), on_slept);
    return 0;
}

/// ctz.sleep(seconds) -> true
/// Suspends this task; the others go on. Zero lets every task that is ready run first.
/// @async
/// @param seconds ctz.seconds
/// @example assert(ctz.sleep(0.001))
static int l_sleep(lua_State *L)
{
    double seconds = ctz_check_seconds(L, 1, "seconds");
    struct sleep_op *sleep = ctz_op_new(L, &sleep_class, sizeof *sleep);
    sleep->seconds = seconds;
    return ctz_await(L, sleep);
}

// The handle of the running task; boot.lua tells by it who loads a module.
static int l_current(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, check_current(L));
    return 1;
}

/// ctz.tasks() -> table[]
/// The tasks that have not ended: id, doing, at (file:line), age (seconds of the present wait),
/// background.
/// @return {id: integer, doing: string, at?: string, age: number, background: boolean}[]
/// @example assert(ctz.tasks()[1].id)
static int l_tasks(lua_State *L)
{
    lua_newtable(L);
    lua_Integer count = 0;
    uint64_t now_ns = ctz_now();
    for (struct ctz_task *task = ctz_host(L)->tasks; task; task = task->all_next) {
        lua_createtable(L, 0, 5);
        lua_pushinteger(L, (lua_Integer)task->id);
        lua_setfield(L, -2, "id");
        lua_pushstring(L, ctz_task_doing(task));
        lua_setfield(L, -2, "doing");
        ctz_task_place(L, task);
        lua_setfield(L, -2, "at");
        lua_pushnumber(L, (double)(now_ns - task->since_ns) / 1e9);
        lua_setfield(L, -2, "age");
        lua_pushboolean(L, task->background);
        lua_setfield(L, -2, "background");
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/// ctz.remaining() -> ctz.seconds
/// What is left of the nearest deadline around this line; math.huge without one.
/// @example ctz.timeout(5, function() assert(ctz.remaining() <= 5) end)
static int l_remaining(lua_State *L)
{
    uint64_t due_ns = check_current(L)->scope->due_ns, now_ns = ctz_now();
    if (due_ns == CTZ_NEVER)
        lua_pushnumber(L, INFINITY);
    else
        lua_pushnumber(L, due_ns > now_ns ? (double)(due_ns - now_ns) / 1e9 : 0);
    return 1;
}

static const struct ctz_reg functions[] = {
    {"spawn", l_spawn, CTZ_CAP_PURE, 0, 0},
    {"scope", l_scope, CTZ_CAP_PURE, 0, 0},
    {"timeout", l_timeout, CTZ_CAP_PURE, 0, 0},
    {"defer", l_defer, CTZ_CAP_PURE, 0, 0},
    {"sleep", l_sleep, CTZ_CAP_PURE, 0, 0},
    {"tasks", l_tasks, CTZ_CAP_PURE, 0, 0},
    {"current", l_current, CTZ_CAP_PURE, 0, 0},
    {"remaining", l_remaining, CTZ_CAP_PURE, 0, 0},
    {"error", ctz_l_error_new, CTZ_CAP_PURE, 0, 0},
    {"deferred", l_deferred, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static void note_protected_call(lua_State *L, const char *name, int values)
{
    lua_getglobal(L, name);
    lua_CFunction function = lua_tocfunction(L, -1);
    lua_pop(L, 1);
    lua_pushinteger(L, values);
    lua_rawsetp(L, -2, (const void *)(uintptr_t)function);
}

int ctz_open_task(lua_State *L)
{
    ctz_class(L, CTZ_TASK_CLASS, task_methods);
    ctz_class(L, CTZ_SCOPE_CLASS, scope_methods);
    if (!luaL_getsubtable(L, LUA_REGISTRYINDEX, CTZ_PROTECTED_CALLS)) {
        note_protected_call(L, "pcall", 1);  // true
        note_protected_call(L, "xpcall", 3); // fn, handler, true (lbaselib.c)
    }
    lua_pop(L, 1);
    ctz_door(L, functions);
    return 1;
}
