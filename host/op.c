// op.c: how work begins, settles, and is let go.
// SPDX-License-Identifier: MIT
#include "host/op.h"

#include "host/alloc.h"
#include "host/luax.h"
#include "host/task.h"

void *ctz_op_make(struct ctz_host *host, const struct ctz_op_class *class, size_t size)
{
    struct ctz_op *op = ctz_calloc(1, size);
    if (op) {
        op->class = class;
        op->host = host;
        op->references = 1; // the maker's, which ctz_await takes over
    }
    return op;
}

void *ctz_op_new(lua_State *L, const struct ctz_op_class *class, size_t size)
{
    void *op = ctz_op_make(ctz_host(L), class, size);
    if (!op) {
        struct ctz_error err = {0};
        ctz_error_set(&err, CTZ_ERROR_IO, "out of memory");
        ctz_raise(L, &err);
    }
    return op;
}

static void release(struct ctz_op *op)
{
    if (--op->references > 0)
        return;
    ctz_timer_stop(op->host, &op->timer);
    if (op->class->clear)
        op->class->clear(op);
    ctz_error_clear(&op->err);
    ctz_free(op);
}

void ctz_op_discard(struct ctz_op *op)
{
    release(op);
}

void ctz_op_settle(struct ctz_op *op)
{
    if (op->settled)
        return;
    op->settled = true;
    ctz_timer_stop(op->host, &op->timer);
    if (op->task)
        ctz_task_ready(op->task);
    release(op);
}

bool ctz_op_given_up(const struct ctz_op *op)
{
    return atomic_load_explicit(&op->given_up, memory_order_relaxed);
}

void ctz_op_give_up(struct ctz_op *op)
{
    op->task = NULL;
    ctz_timer_stop(op->host, &op->timer);
    atomic_store_explicit(&op->given_up, true, memory_order_relaxed);
    if (op->started && !op->settled && op->class->cancel)
        op->class->cancel(op);
    release(op);
}

static void on_timeout(struct ctz_timer *timer)
{
    struct ctz_op *op = CTZ_CONTAINER(timer, struct ctz_op, timer);
    op->timed_out = true;
    ctz_task_ready(op->task); // takes the op back in ctz_op_deliver
}

// --- jobs --------------------------------------------------------------------------------------

static void on_pool(uv_work_t *request)
{
    struct ctz_op *op = request->data;
    if (!ctz_op_given_up(op))
        op->class->work(op);
}

static void after_pool(uv_work_t *request, int status)
{
    (void)status; // a job given up before it began settles all the same
    struct ctz_op *op = request->data;
    ctz_free(request);
    op->request = NULL;
    ctz_op_settle(op);
}

static int start_job(struct ctz_op *op)
{
    op->request = ctz_malloc(sizeof *op->request);
    if (!op->request)
        return ctz_error_set(&op->err, CTZ_ERROR_IO, "out of memory");
    op->request->data = op;
    return uv_queue_work(&op->host->loop, op->request, on_pool, after_pool);
}

int ctz_op_start(struct ctz_op *op)
{
    op->started = true;
    op->references++; // the work's
    int result = op->class->work ? start_job(op) : op->class->start(op);
    if (result < 0) {
        ctz_op_settle(op);
        return -1;
    }
    if (!op->settled && op->timeout_s > 0)
        ctz_timer_start(op->host, &op->timer, ctz_due(op->timeout_s), on_timeout);
    return 0;
}
