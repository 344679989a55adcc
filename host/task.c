// task.c: the ready queue, resuming, waiting, and cancelling. The only caller of lua_resume besides
// coroutine.c, which shares ctz_resume.
// SPDX-License-Identifier: MIT
#include "host/task.h"

#include <string.h>

#include "host/door.h"
#include "host/errorlua.h"
#include "host/luax.h"
#include "host/signals.h"

// --- the queue ---------------------------------------------------------------------------------

void ctz_task_ready(struct ctz_task *task)
{
    if (task->is_ready || task->ended)
        return;
    struct ctz_host *host = task->host;
    task->is_ready = true;
    task->ready_next = NULL;
    *host->ready_end = task;
    host->ready_end = &task->ready_next;
}

static struct ctz_task *pop_ready(struct ctz_host *host)
{
    struct ctz_task *task = host->ready_first;
    host->ready_first = task->ready_next;
    if (!host->ready_first)
        host->ready_end = &host->ready_first;
    task->is_ready = false;
    return task;
}

// --- birth -------------------------------------------------------------------------------------

static void link_child(struct ctz_task *task, struct ctz_scope *scope)
{
    task->parent = scope;
    task->sibling_next = scope->children;
    task->sibling_link = &scope->children;
    if (scope->children)
        scope->children->sibling_link = &task->sibling_next;
    scope->children = task;
    if (!task->background)
        scope->waited++;
}

static void unlink_child(struct ctz_task *task)
{
    *task->sibling_link = task->sibling_next;
    if (task->sibling_next)
        task->sibling_next->sibling_link = task->sibling_link;
    if (!task->background)
        task->parent->waited--;
    task->parent = NULL;
}

void ctz_task_move(struct ctz_task *task, struct ctz_scope *scope)
{
    unlink_child(task);
    link_child(task, scope);
}

static void link_task(struct ctz_host *host, struct ctz_task *task)
{
    task->id = ++host->last_task_id;
    task->since_ns = ctz_now();
    task->all_next = host->tasks;
    task->all_link = &host->tasks;
    if (host->tasks)
        host->tasks->all_link = &task->all_next;
    host->tasks = task;
}

struct ctz_task *ctz_task_spawn(lua_State *L, struct ctz_scope *scope, int arguments,
                                bool background)
{
    struct ctz_host *host = ctz_host(L);
    int count = arguments + 1;
    struct ctz_task *task = ctz_object_new(L, CTZ_TASK_CLASS, sizeof *task, 4);
    lua_State *thread = lua_newthread(L);
    lua_setiuservalue(L, -2, 1);
    if (!lua_checkstack(thread, count + LUA_MINSTACK))
        luaL_error(L, "too many arguments for a task");
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, task); // until it has ended; nothing raises from here on
    lua_insert(L, -count - 1);
    lua_pushcfunction(thread, ctz_task_main);
    lua_xmove(L, thread, count);
    task->thread = thread;
    task->host = host;
    task->background = background;
    task->base.task = task;
    task->base.due_ns = scope ? scope->due_ns : CTZ_NEVER;
    task->scope = &task->base;
    link_task(host, task);
    if (scope)
        link_child(task, scope);
    ctz_task_ready(task);
    return task;
}

void ctz_task_ended(struct ctz_task *task)
{
    struct ctz_scope *parent = task->parent;
    *task->all_link = task->all_next;
    if (task->all_next)
        task->all_next->all_link = task->all_link;
    task->ended = true;
    task->base.task = NULL;
    if (task->op) { // results that raised while they were pushed
        struct ctz_op *op = task->op;
        task->op = NULL;
        ctz_op_give_up(op);
    }
    ctz_task_wake_awaiters(task);
    if (!parent)
        return;
    unlink_child(task);
    if (parent->joining && parent->waited == 0)
        ctz_task_ready(parent->task); // looks at its background children, then at itself
}

// --- running -----------------------------------------------------------------------------------

int ctz_resume(struct ctz_host *host, lua_State *thread, lua_State *from, int arguments,
               int *results)
{
    lua_State *outer = host->running;
    host->running = thread;
    if (host->hook_wanted)
        ctz_signals_interrupt(host);
    int status = lua_resume(thread, from, arguments, results);
    host->running = outer;
    if (host->hook_wanted)
        ctz_signals_interrupt(host);
    return status;
}

// ctz_task_main catches everything; what still gets here is a failure of ending itself, which only
// a lack of memory brings about.
static void end_broken(struct ctz_host *host, struct ctz_task *task)
{
    task->failed = true;
    if (task->parent) {
        task->parent->broken = true;
        ctz_scope_cancel(task->parent, CTZ_CANCEL_CHILD);
    }
    task->base.broken = true;
    task->scope = &task->base;
    ctz_task_ended(task);
    lua_pushnil(host->L);
    lua_rawsetp(host->L, LUA_REGISTRYINDEX, task); // the key exists: no memory is needed
}

static void run_task(struct ctz_host *host, struct ctz_task *task)
{
    lua_State *thread = task->thread;
    int arguments = task->started ? 0 : lua_gettop(thread) - 1;
    int results = 0;
    task->started = true;
    host->current = task;
    host->unwaitable = 0;
    host->running = thread; // from here on an alarm is for this task
    ctz_signals_enter(host, task);
    if (task->scope->cancelled) // its wait had ended before: it may go on to the next one only
        ctz_signals_watch(task->waiting_thread ? task->waiting_thread : thread, false);
    int status = ctz_resume(host, thread, host->L, arguments, &results);
    host->current = NULL;
    host->running = NULL;
    if (host->gc_stress)
        lua_gc(host->L, LUA_GCCOLLECT);
    if (status == LUA_YIELD && host->waiting) {
        host->waiting = false;
    } else if (status == LUA_OK) {
        task->results = task->failed ? 0 : results;
        lua_pushnil(host->L);
        lua_rawsetp(host->L, LUA_REGISTRYINDEX, task);
    } else { // also a yield that is nobody's wait, from a C library
        end_broken(host, task);
    }
}

bool ctz_tasks_run(struct ctz_host *host, unsigned most)
{
    while (host->ready_first && most-- > 0)
        run_task(host, pop_ready(host));
    return host->ready_first != NULL;
}

// --- waiting -----------------------------------------------------------------------------------

// The work may not go on for a task that has turned away: it is given up before the error is
// raised.
static void raise_timeout(lua_State *L, struct ctz_task *task)
{
    struct ctz_op *op = task->op;
    const char *doing = op->class->name;
    double timeout_s = op->timeout_s;
    task->op = NULL;
    ctz_op_give_up(op);
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_TIMEOUT, "no result within %g s (%s)", timeout_s, doing);
    err.retryable = true;
    ctz_raise(L, &err);
}

// Takes the results of the op the task waited for. The op stays task->op while they are pushed, so
// that it is freed by the next wait or the end of the task if pushing raises.
static int deliver(lua_State *L, struct ctz_task *task)
{
    struct ctz_op *op = task->op;
    op->task = NULL;
    if (!op->settled && op->timed_out)
        raise_timeout(L, task);
    if (op->err.kind)
        ctz_raise(L, &op->err);
    int results = 1;
    if (op->class->push)
        results = op->class->push(L, op);
    else
        lua_pushboolean(L, true);
    task->op = NULL;
    ctz_op_give_up(op); // settled: this only lets go
    return results;
}

static int after_wait(lua_State *L, int status, lua_KContext context)
{
    (void)status;
    (void)context;
    struct ctz_task *task = ctz_host(L)->current;
    task->waiting_thread = NULL;
    if (!task->op)
        return ctz_task_raise_cancelled(L, task);
    return deliver(L, task);
}

const char *ctz_task_why_not_waitable(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    if (!host->current)
        return "outside of a task (a __gc handler, or after the end)";
    if (host->running != L)
        return "in a coroutine that a C library resumed";
    if (!lua_isyieldable(L))
        return "in a callback of C code (table.sort, string.gsub, an xpcall handler) or in "
               "__tostring, __gc or another metamethod that Lua calls from C";
    if (host->unwaitable > 0)
        return "in a coroutine whose resumer is in a callback of C code";
    return NULL;
}

int ctz_await(lua_State *L, void *pointer)
{
    struct ctz_op *op = pointer;
    struct ctz_host *host = ctz_host(L);
    const char *why = ctz_task_why_not_waitable(L);
    if (why) {
        ctz_op_discard(op);
        return ctz_usage(L, "cannot wait %s; wait before it or after it", why);
    }
    struct ctz_task *task = host->current;
    if (task->op) // its results raised while they were pushed
        ctz_op_give_up(task->op);
    task->op = op;
    if (!op->class->shielded)
        ctz_task_check(L); // when it raises, task->op is let go by the next wait or the end
    ctz_op_start(op);
    if (op->settled)
        return deliver(L, task);
    op->task = task; // only now: an op that settles at once wakes nobody, also not a later wait
    task->waiting_thread = L;
    task->since_ns = ctz_now();
    host->waiting = true;
    return lua_yieldk(L, 0, 0, after_wait);
}

// --- cancelling --------------------------------------------------------------------------------

static bool is_waiting(const struct ctz_task *task)
{
    return task->op && task->waiting_thread && !task->is_ready;
}

// Breaks the wait of a task whose innermost scope is cancelled, unless it is cleaning up.
static void interrupt_wait(struct ctz_task *task)
{
    if (!task->started) {
        ctz_task_ready(task); // its body sees the cancel before it calls anything
        return;
    }
    if (!is_waiting(task) || task->op->class->shielded)
        return;
    if (!task->scope->hard && ctz_task_in_cleanup(task, task->waiting_thread))
        return;
    struct ctz_op *op = task->op;
    task->op = NULL;
    ctz_op_give_up(op);
    ctz_task_ready(task);
}

static void mark_task(struct ctz_task *task, enum ctz_cancel reason, bool hard);

// Marks a scope and the tasks inside it; inner scopes of the same task are marked by the caller.
static void mark_scope(struct ctz_scope *scope, enum ctz_cancel reason, bool hard)
{
    if (!scope->cancelled)
        scope->cancelled = reason;
    scope->hard |= hard;
    for (struct ctz_task *child = scope->children, *next; child; child = next) {
        next = child->sibling_next;
        mark_task(child, CTZ_CANCEL_PARENT, hard);
    }
}

// The innermost scope of the task that a cancel of `last` reaches: what a clean-up opened is
// spared.
static struct ctz_scope *first_reached(struct ctz_task *task, struct ctz_scope *last, bool hard)
{
    struct ctz_scope *first = task->scope;
    for (struct ctz_scope *scope = task->scope; scope != last && !hard; scope = scope->outer)
        if (scope->shelter)
            first = scope->outer;
    return first;
}

// Marks the scopes of one task out to `last`.
static void mark_scopes(struct ctz_task *task, struct ctz_scope *last, enum ctz_cancel reason,
                        bool hard)
{
    for (struct ctz_scope *scope = first_reached(task, last, hard); scope; scope = scope->outer) {
        mark_scope(scope, scope == last ? reason : CTZ_CANCEL_PARENT, hard);
        if (scope == last)
            break;
    }
    interrupt_wait(task);
}

static void mark_task(struct ctz_task *task, enum ctz_cancel reason, bool hard)
{
    mark_scopes(task, &task->base, reason, hard);
}

static void on_cleanup_over(struct ctz_timer *timer)
{
    struct ctz_scope *scope = CTZ_CONTAINER(timer, struct ctz_scope, cleanup);
    mark_scopes(scope->task, scope, scope->cancelled, true);
}

void ctz_scope_cancel(struct ctz_scope *scope, enum ctz_cancel reason)
{
    if (!scope->task || scope->cancelled)
        return;
    struct ctz_host *host = scope->task->host;
    uint64_t budget_ns = ctz_limit(host, CTZ_LIMIT_CLEANUP_MS) * UINT64_C(1000000);
    ctz_timer_start(host, &scope->cleanup, ctz_now() + budget_ns, on_cleanup_over);
    mark_scopes(scope->task, scope, reason, false);
}

void ctz_task_cancel(struct ctz_task *task, enum ctz_cancel reason)
{
    if (!task->ended)
        ctz_scope_cancel(&task->base, reason);
}

// --- deadlines ---------------------------------------------------------------------------------

static void on_deadline(struct ctz_timer *timer)
{
    ctz_scope_cancel(CTZ_CONTAINER(timer, struct ctz_scope, deadline), CTZ_CANCEL_DEADLINE);
}

void ctz_scope_deadline(struct ctz_scope *scope, double seconds)
{
    struct ctz_host *host = scope->task->host;
    ctz_timer_stop(host, &scope->deadline);
    scope->timeout_s = seconds;
    ctz_timer_start(host, &scope->deadline, ctz_due(seconds), on_deadline);
    if (scope->deadline.due_ns < scope->due_ns)
        scope->due_ns = scope->deadline.due_ns;
    if (host->current)
        ctz_signals_enter(host, host->current);
}

// --- for people --------------------------------------------------------------------------------

const char *ctz_task_doing(const struct ctz_task *task)
{
    if (task->host->current == task)
        return "running";
    if (!task->started)
        return "not started yet";
    if (task->scope->joining && !task->is_ready)
        return "waits for its tasks";
    return is_waiting(task) ? task->op->class->name : "ready";
}

void ctz_task_place(lua_State *L, struct ctz_task *task)
{
    lua_State *thread = task->waiting_thread ? task->waiting_thread : task->thread;
    if (thread != L && !lua_checkstack(thread, 2)) {
        lua_pushnil(L);
        return;
    }
    ctz_push_place(thread);
    if (thread != L)
        lua_xmove(thread, L, 1);
}
