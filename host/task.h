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
};

struct ctz_scope {
    struct ctz_task *task;     // whose function it bounds; NULL once it has ended
    struct ctz_scope *outer;   // the next scope of the same task; NULL for its base scope
    struct ctz_task *children; // not yet ended
    unsigned waited;           // how many of them are not background tasks
    struct ctz_op *join;       // the wait for them
    struct ctz_timer deadline;
    struct ctz_timer cleanup; // from the cancel on
    double timeout_s;         // of the deadline, for the message
    enum ctz_cancel cancelled;
    bool failed;  // an error is kept in the owner's user value
    bool closing; // children and defers are under way: waits count as clean-up
    bool hard;    // the clean-up budget is used up
};

struct ctz_task {
    lua_State *thread;    // its own coroutine, anchored by user value 1
    struct ctz_host *host;
    struct ctz_scope base;
    struct ctz_scope *scope;  // the innermost open one
    struct ctz_scope *parent; // the scope it was spawned in; NULL: the root, or its parent has ended
    struct ctz_task *sibling_next, **sibling_link;
    struct ctz_task *all_next, **all_link;
    struct ctz_task *ready_next;
    struct ctz_op *op;          // what it waits for, or the op whose results it takes now
    lua_State *waiting_thread;  // the coroutine that waits (its own, or one of the recipe's)
    struct ctz_op *awaiters;    // await ops on this task
    struct ctz_task *awaiting;  // the task it awaits
    uint64_t id;
    uint64_t since_ns;  // when it began to wait
    int results;        // once it has ended well: on top of its thread's stack
    bool is_ready, started, ended, failed, background;
    bool interrupted;   // the hook raised in it: it stays so (see signal.c)
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
void ctz_task_cancel(struct ctz_task *task, enum ctz_cancel reason);
void ctz_scope_cancel(struct ctz_scope *scope, enum ctz_cancel reason);
/// Sets the deadline of an open scope.
void ctz_scope_deadline(struct ctz_scope *scope, double seconds);
/// Is the wait at the top of this thread part of a clean-up (a close handler, a defer)?
bool ctz_task_in_cleanup(struct ctz_task *task, lua_State *thread);
/// Raises cancelled or timeout when the running task's scope is cancelled and it does not clean up.
void ctz_task_check(lua_State *L);
/// Pushes "deploy.lua:14" of the line where the task waits, or nil.
void ctz_task_place(lua_State *L, struct ctz_task *task);
/// What the task does: "sleep", "ready", "running".
const char *ctz_task_doing(const struct ctz_task *task);

/// The door of task.c, scope.c and channel.c: ctz.core.task.
int ctz_open_task(lua_State *L);
/// Registers classes and replaces the coroutine library; once, before any recipe code.
void ctz_task_init(lua_State *L);
void ctz_scope_init(lua_State *L);
void ctz_channel_init(lua_State *L);
void ctz_coroutine_init(lua_State *L);

/// Resumes `thread` with `arguments` values on its stack, keeping host->running true.
int ctz_resume(struct ctz_host *host, lua_State *thread, lua_State *from, int arguments,
               int *results);

// --- between task.c and scope.c ------------------------------------------------------------------

/// The C body of every task: (function, arguments...) on the stack. In scope.c.
int ctz_task_main(lua_State *L);
/// Called by the body when the task's function and scope are done; the outcome is recorded already.
void ctz_task_ended(struct ctz_task *task);
/// Keeps the error value at idx as the scope's failure, or among the others. May raise.
void ctz_scope_fail(lua_State *L, struct ctz_scope *scope, int idx);

#endif
