// timer.h: the one clock and the one heap of timers.
// SPDX-License-Identifier: MIT
//
// A timer is a member of the struct that waits for it: arming and disarming never allocate and the
// memory may be freed at once after ctz_timer_stop, which a uv_timer_t (closed asynchronously)
// does not allow. One uv_timer_t in the loop serves the whole heap.
#ifndef CTZ_TIMER_H
#define CTZ_TIMER_H

#include "host/api.h"

struct ctz_host;
struct ctz_timer;
typedef void (*ctz_timer_fn)(struct ctz_timer *timer);

struct ctz_timer {
    struct ctz_timer *child, *next, *previous; // pairing heap
    ctz_timer_fn fire;
    uint64_t due_ns;   // monotonic
    uint64_t sequence; // timers of one due time fire in the order they were armed
    bool armed;
};

#define CTZ_NEVER UINT64_MAX

/// Nanoseconds of the monotonic clock. All deadlines come from here.
CTZ_API uint64_t ctz_now(void);
/// now + seconds, CTZ_NEVER when seconds is infinite or too far; a negative time is now.
CTZ_API uint64_t ctz_due(double seconds);

/// Arms a stopped timer. The loop calls fire once, at or after due_ns, with the timer disarmed.
CTZ_API void ctz_timer_start(struct ctz_host *host, struct ctz_timer *timer, uint64_t due_ns,
                             ctz_timer_fn fire);
CTZ_API void ctz_timer_stop(struct ctz_host *host, struct ctz_timer *timer);

struct ctz_timers {
    struct ctz_timer *root;
    uint64_t sequence;
};

/// CTZ_NEVER when no timer is armed.
uint64_t ctz_timers_next(const struct ctz_timers *timers);
/// Fires all that are due at now_ns, and none that these arm meanwhile.
void ctz_timers_fire(struct ctz_timers *timers, uint64_t now_ns);

#endif
