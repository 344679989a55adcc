// task.h: tasks and scopes: who runs, who waits for whom, and what a cancel reaches.
// SPDX-License-Identifier: MIT
//
// A task is a coroutine that the host owns. Each task has a base scope; ctz.scope and ctz.timeout
// open further ones inside it. A scope ends after its children.
#ifndef CTZ_TASK_H
#define CTZ_TASK_H

#include <lua.h>

#include "host/api.h"
#include "host/op.h"
#include "host/timer.h"

enum ctz_cancel {
    CTZ_CANCEL_NONE,
    CTZ_CANCEL_REQUEST,  // task:cancel(), scope:cancel()
    CTZ_CANCEL_CHILD,    // a child failed
    CTZ_CANCEL_PARENT,   // the scope around it is cancelled
    CTZ_CANCEL_DEADLINE, // ctz.timeout or --timeout
    CTZ_CANCEL_END,      // a background task whose scope ends
    CTZ_CANCEL_SIGNAL,   // Ctrl-C, SIGTERM
    CTZ_CANCEL_EXIT,     // os.exit
    CTZ_CANCEL_DEADLOCK, // all tasks wait on each other
};

struct ctz_scope {
    struct ctz_task *task;     // whose function it bounds; NULL once it has ended
    struct ctz_scope *outer;   // the next scope of the same task; NULL for its base scope
    lua_State *thread;         // the coroutine it was opened in
    struct ctz_task *children; // not yet ended
    unsigned waited;           // how many of them are not background tasks
    struct ctz_timer deadline;
    struct ctz_timer cleanup; // from the cancel on
    uint64_t due_ns;          // its deadline or a nearer one around it; CTZ_NEVER
    double timeout_s;         // of its own deadline, for the message
    enum ctz_cancel cancelled;
    unsigned raised; // how often a wait raised the cancel
    bool failed;     // an error is kept in the owner's user value
    bool body_failed;
    bool joining; // the task waits for the children
    bool closing; // defers run: waits count as clean-up
    bool shelter; // opened by a clean-up: a cancel from outside does not reach in
    bool hard;    // the clean-up budget is used up
    bool broken;  // memory ran out while a child ended: its error is lost, not its failure
};

struct ctz_task {
    lua_State *thread; // its own coroutine, anchored by user value 1
    struct ctz_host *host;
    struct ctz_scope base;
    struct ctz_scope *scope; // the innermost open one
    struct ctz_scope
        *parent; // the scope it was spawned in; NULL: the root, or its parent has ended
    struct ctz_task *sibling_next, **sibling_link;
    struct ctz_task *all_next, **all_link;
    struct ctz_task *ready_next;
    struct ctz_op *op;          // what it waits for, or the op whose results it takes now
    lua_State *waiting_thread;  // the coroutine that waits (its own, or one of the recipe's)
    struct ctz_await *awaiters; // tasks that await this one
    uint64_t id;
    uint64_t since_ns; // when it began to wait
    int results;       // once it has ended well: on top of its thread's stack
    bool is_ready, started, ended, failed, background;
};

#define CTZ_TASK_CLASS  "ctz.task"
#define CTZ_SCOPE_CLASS "ctz.scope"

/// Makes a task that will call the function below its `arguments` values on top of L, takes all of
/// them from the stack and pushes the task's handle. scope may be NULL (a root).
struct ctz_task *ctz_task_spawn(lua_State *L, struct ctz_scope *scope, int arguments,
                                bool background);
/// Appends to the ready queue unless it stands there.
void ctz_task_ready(struct ctz_task *task);
/// Runs ready tasks until none is left or `most` have run. Returns whether some are left.
bool ctz_tasks_run(struct ctz_host *host, unsigned most);
/// Resumes one task now; only the loop calls it.
CTZ_API void ctz_task_cancel(struct ctz_task *task, enum ctz_cancel reason);
CTZ_API void ctz_scope_cancel(struct ctz_scope *scope, enum ctz_cancel reason);
/// Sets the deadline of an open scope.
void ctz_scope_deadline(struct ctz_scope *scope, double seconds);
/// Is the wait at the top of this thread part of a clean-up (a close handler, a defer)?
bool ctz_task_in_cleanup(struct ctz_task *task, lua_State *thread);
/// Raises cancelled or timeout when the running task's scope is cancelled and it does not clean up.
CTZ_API void ctz_task_check(lua_State *L);
/// Pushes "deploy.lua:14" of the line where the task waits, or nil.
void ctz_task_place(lua_State *L, struct ctz_task *task);
/// What the task does: "sleep", "ready", "running".
const char *ctz_task_doing(const struct ctz_task *task);

/// Opens a scope inside the running task: pushes its userdata. In scope.c, as is all of:
struct ctz_scope *ctz_scope_open(lua_State *L);
/// Runs the function at index 3 with the values above it inside the scope at index 1 and returns
/// its results: use as `return ctz_scope_run(L)`. Index 2 is the message handler.
int ctz_scope_run(lua_State *L);
/// Keeps the function at idx for the end of the scope.
CTZ_API void ctz_scope_defer(lua_State *L, struct ctz_scope *scope, int idx);
/// Pushes the userdata that carries a scope's user values.
void ctz_scope_push_owner(lua_State *L, struct ctz_scope *scope);
/// User values of a task's or scope's userdata.
enum { CTZ_USER_THREAD = 1, CTZ_USER_ERROR = 2, CTZ_USER_OTHERS = 3, CTZ_USER_DEFERS = 4 };

/// Pushes a table of functions: the in-program doors ctz.core.task and ctz.core.channel.
int ctz_open_task(lua_State *L);
int ctz_open_channel(lua_State *L);
/// Replaces the coroutine library; once, before any recipe code.
void ctz_coroutine_init(lua_State *L);

/// Resumes `thread` with `arguments` values on its stack, keeping host->running true.
int ctz_resume(struct ctz_host *host, lua_State *thread, lua_State *from, int arguments,
               int *results);

// --- between task.c and scope.c ----------------------------------------------------------------

/// The C body of every task: (function, arguments...) on the stack. In scope.c.
int ctz_task_main(lua_State *L);
/// Registry field: C function -> how many values it keeps below the function it calls protected.
#define CTZ_PROTECTED_CALLS "ctz.protected_calls"
/// Is it one of the functions that return ctz_scope_run?
bool ctz_is_scope_function(lua_CFunction function);
/// Adds a traceback to what is raised, when the run asked for it.
int ctz_l_message_handler(lua_State *L);
/// Why the running function cannot wait here, or NULL.
CTZ_API const char *ctz_task_why_not_waitable(lua_State *L);
/// Called by the body when the task's function and scope are done; the outcome is recorded already.
void ctz_task_ended(struct ctz_task *task);
/// Makes the task a child of another scope of the same task.
void ctz_task_move(struct ctz_task *task, struct ctz_scope *scope);
/// Settles the waits of all that await this task.
void ctz_task_wake_awaiters(struct ctz_task *task);
/// Raises cancelled, or timeout when a deadline cancelled the innermost scope of the task.
int ctz_task_raise_cancelled(lua_State *L, struct ctz_task *task);
/// Keeps the error value at idx as the scope's failure, or among the others. May raise.
void ctz_scope_fail(lua_State *L, struct ctz_scope *scope, int idx);

#endif
