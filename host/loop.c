// loop.c: tasks, timers and libuv in turn. No callback enters uv_run again.
// SPDX-License-Identifier: MIT
#include "host/loop.h"

#include <string.h>

#include "host/egress.h"
#include "host/signals.h"
#include "host/task.h"

#define BATCH        1024 // tasks resumed between two looks at the loop
#define MS_NS        UINT64_C(1000000)
#define CLOSE_ROUNDS 8 // of the loop at the end, for close callbacks

// It only ends the round: the heap is looked at after each. libuv 1.44 calls it before the poll
// when it is due already and would then wait for something else; once stopped it does not wait.
static void on_timer(uv_timer_t *handle)
{
    uv_stop(handle->loop);
}

int ctz_loop_open(struct ctz_host *host)
{
    int result = uv_loop_init(&host->loop);
    if (result < 0)
        return result;
    host->loop.data = host;
    host->ready_end = &host->ready_first;
    return uv_timer_init(&host->loop, &host->timer_handle);
}

// Arms the one libuv timer for the earliest of ours, rounded up to its milliseconds.
static void arm_timer(struct ctz_host *host, uint64_t due_ns)
{
    if (due_ns == CTZ_NEVER) {
        uv_timer_stop(&host->timer_handle);
        return;
    }
    uint64_t now_ns = ctz_now();
    uint64_t wait_ms = due_ns > now_ns ? (due_ns - now_ns + MS_NS - 1) / MS_NS : 0;
    uv_update_time(&host->loop);
    uv_timer_start(&host->timer_handle, on_timer, wait_ms, 0);
}

// Nothing is ready, nothing is under way, and no timer but the run's own deadline is armed.
static bool is_deadlock(const struct ctz_host *host)
{
    const struct ctz_timer *first = host->timers.root;
    if (first && (first != &host->root->base.deadline || first->child))
        return false;
    return !uv_loop_alive(&host->loop);
}

static void end_deadlock(struct ctz_host *host)
{
    static const char text[] = "ctz: all tasks wait on each other; none can go on:\n";
    ctz_egress_write(host, CTZ_STDERR, text, sizeof text - 1);
    ctz_print_tasks(host);
    if (host->on_interrupt && host->on_interrupt(host, CTZ_CANCEL_DEADLOCK))
        return;
    host->ending = true;
    host->exit_code = 1;
    ctz_task_cancel(host->root, CTZ_CANCEL_DEADLOCK);
}

// What is due already is done first, so that what it begins (a request that is sent) is waited for
// in the same look at the system.
static void poll_once(struct ctz_host *host)
{
    uv_timer_stop(&host->timer_handle);
    ctz_timers_fire(&host->timers, ctz_now());
    if (host->ready_first) {
        uv_run(&host->loop, UV_RUN_NOWAIT);
    } else {
        ctz_egress_flush(host); // before the program rests
        if (is_deadlock(host)) {
            end_deadlock(host);
            return;
        }
        arm_timer(host, ctz_timers_next(&host->timers));
        uv_run(&host->loop, UV_RUN_ONCE);
    }
    ctz_timers_fire(&host->timers, ctz_now());
}

void ctz_loop_run(struct ctz_host *host)
{
    for (;;) {
        ctz_tasks_run(host, BATCH);
        if (host->root->ended)
            return;
        poll_once(host);
    }
}

static void close_handle(uv_handle_t *handle, void *unused)
{
    (void)unused;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

bool ctz_loop_close(struct ctz_host *host)
{
    uv_walk(&host->loop, close_handle, NULL);
#ifdef __SANITIZE_ADDRESS__
    uv_run(&host->loop, UV_RUN_DEFAULT); // also the jobs of the pool: the leak check is to be true
#else
    for (int i = 0; i < CLOSE_ROUNDS; i++) // never waits for a job
        uv_run(&host->loop, UV_RUN_NOWAIT);
#endif
    return uv_loop_close(&host->loop) == 0;
}
