// op.h: one pending piece of work of one task.
// SPDX-License-Identifier: MIT
//
// A binding checks its arguments, makes an op and returns ctz_await(L, op). An op starts once,
// settles exactly once, and lives until both sides have let go of it: the task that waits, and the
// work that settles it. So an op given up by its task is freed when its work comes back, and a late
// settle finds nobody to wake and is dropped.
#ifndef CTZ_OP_H
#define CTZ_OP_H

#include <lua.h>
#include <stdatomic.h>
#include <uv.h>

#include "host/api.h"
#include "host/error.h"
#include "host/timer.h"

struct ctz_host;
struct ctz_task;
struct ctz_op;

struct ctz_op_class {
    /// What the task does meanwhile, for people: "sleep", "read a file".
    const char *name;
    /// Begins the work. May settle at once. Returns -1 with op->err set when it could not begin.
    int (*start)(struct ctz_op *op);
    /// Instead of start: runs on the thread pool, touches nothing but the op, reports a failure in
    /// op->err, and looks at ctz_op_given_up between slices of a long job.
    void (*work)(struct ctz_op *op);
    /// Nobody waits any more: stop soon. The op still has to settle. Not for jobs. May be NULL.
    void (*cancel)(struct ctz_op *op);
    /// Pushes the results of a success and returns their number. May raise. NULL pushes true.
    int (*push)(lua_State *L, struct ctz_op *op);
    /// Frees what the op holds, not the op. May be NULL.
    void (*clear)(struct ctz_op *op);
    /// A cancelled task goes on waiting for this one.
    bool shielded;
};

struct ctz_op {
    const struct ctz_op_class *class;
    struct ctz_host *host;
    struct ctz_task *task; // who waits; NULL: nobody yet, or nobody any more
    struct ctz_error err;  // why it failed: set before settling
    struct ctz_timer timer;
    double timeout_s;   // > 0: set it before ctz_await; afterwards the wait raises timeout
    uv_work_t *request; // of a job
    atomic_bool given_up;
    uint8_t references;
    bool started, settled;
    bool timed_out;
};

/// A zeroed op of `size` bytes whose first member is a struct ctz_op. Raises when memory ran out.
/// Between this call and ctz_await nothing may raise.
CTZ_API void *ctz_op_new(lua_State *L, const struct ctz_op_class *class, size_t size);
/// For work that several ops share and that outlives the binding's call: no Lua, NULL on failure.
CTZ_API void *ctz_op_make(struct ctz_host *host, const struct ctz_op_class *class, size_t size);
/// Starts the op and suspends the task until it settles; takes the op. Use as `return ctz_await()`.
/// Results ready at once are returned without a yield.
CTZ_API int ctz_await(lua_State *L, void *op);
/// The work is done, well or with op->err set. May free the op: do not touch it afterwards.
CTZ_API void ctz_op_settle(struct ctz_op *op);
/// Frees an op that was never awaited.
CTZ_API void ctz_op_discard(struct ctz_op *op);
/// From a job: has the task gone?
CTZ_API bool ctz_op_given_up(const struct ctz_op *op);

// --- between op.c and task.c -------------------------------------------------------------------

int ctz_op_start(struct ctz_op *op);
/// The task lets go: the work is asked to stop and frees the op when it comes back.
void ctz_op_give_up(struct ctz_op *op);

#endif
