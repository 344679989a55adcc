// timer.c: a pairing heap of timers (Fredman et al. 1986): no memory of its own, O(1) insert.
// SPDX-License-Identifier: MIT
#include "host/timer.h"

#include <time.h>

#include "host/host.h"

#define NANOS 1000000000.0

uint64_t ctz_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

uint64_t ctz_due(double seconds)
{
    if (!(seconds > 0)) // also NaN
        return ctz_now();
    if (seconds > 1e9)
        return CTZ_NEVER;
    return ctz_now() + (uint64_t)(seconds * NANOS);
}

static bool earlier(const struct ctz_timer *a, const struct ctz_timer *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->sequence < b->sequence;
}

// Both are roots (no siblings); either may be NULL.
static struct ctz_timer *meld(struct ctz_timer *a, struct ctz_timer *b)
{
    if (!a || !b)
        return a ? a : b;
    if (earlier(b, a)) {
        struct ctz_timer *swap = a;
        a = b;
        b = swap;
    }
    b->previous = a; // the first child points back to its parent
    b->next = a->child;
    if (a->child)
        a->child->previous = b;
    a->child = b;
    return a;
}

// The two-pass merge of a list of siblings.
static struct ctz_timer *merge_siblings(struct ctz_timer *first)
{
    struct ctz_timer *pairs = NULL;
    while (first) {
        struct ctz_timer *a = first, *b = a->next;
        first = b ? b->next : NULL;
        a->next = a->previous = NULL;
        if (b)
            b->next = b->previous = NULL;
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct ctz_timer *root = NULL;
    while (pairs) {
        struct ctz_timer *rest = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = rest;
    }
    return root;
}

static void insert(struct ctz_timers *timers, struct ctz_timer *timer)
{
    timer->child = timer->next = timer->previous = NULL;
    timer->sequence = timers->sequence++;
    timer->armed = true;
    timers->root = meld(timers->root, timer);
}

static void remove_timer(struct ctz_timers *timers, struct ctz_timer *timer)
{
    struct ctz_timer *below = merge_siblings(timer->child);
    if (timers->root == timer) {
        timers->root = below;
    } else {
        if (timer->previous->child == timer)
            timer->previous->child = timer->next;
        else
            timer->previous->next = timer->next;
        if (timer->next)
            timer->next->previous = timer->previous;
        timers->root = meld(timers->root, below);
    }
    timer->child = timer->next = timer->previous = NULL;
    timer->armed = false;
}

void ctz_timer_start(struct ctz_host *host, struct ctz_timer *timer, uint64_t due_ns,
                     ctz_timer_fn fire)
{
    timer->fire = fire;
    timer->due_ns = due_ns;
    if (due_ns != CTZ_NEVER)
        insert(&host->timers, timer);
}

void ctz_timer_stop(struct ctz_host *host, struct ctz_timer *timer)
{
    if (timer->armed)
        remove_timer(&host->timers, timer);
}

uint64_t ctz_timers_next(const struct ctz_timers *timers)
{
    return timers->root ? timers->root->due_ns : CTZ_NEVER;
}

void ctz_timers_fire(struct ctz_timers *timers, uint64_t now_ns)
{
    uint64_t last = timers->sequence; // what is armed by a fired timer waits for the next round
    while (timers->root && timers->root->due_ns <= now_ns && timers->root->sequence < last) {
        struct ctz_timer *timer = timers->root;
        remove_timer(timers, timer);
        timer->fire(timer);
    }
}
