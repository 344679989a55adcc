// clock.c: ctz.time: what the clocks say. Text forms of times are lua/stdlib/ctz/time.lua's.
// SPDX-License-Identifier: MIT
#include <time.h>

#include "bindings/system/system.h"
#include "host/door.h"
#include "host/timer.h"

/// ctz.time.now() -> number
/// Seconds since 1970-01-01 00:00 UTC, with a fraction. It jumps when the machine's clock is set:
/// durations are differences of ctz.time.monotonic.
/// @return number
/// @example assert(ctz.time.now() > 1.7e9)
static int l_now(lua_State *L)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    lua_pushnumber(L, (double)now.tv_sec + (double)now.tv_nsec / 1e9);
    return 1;
}

/// ctz.time.monotonic() -> number
/// Seconds since some moment, never going back.
/// @return number
/// @example local start = ctz.time.monotonic() ctz.sleep(0.001)
/// @example assert(ctz.time.monotonic() - start >= 0.001)
static int l_monotonic(lua_State *L)
{
    lua_pushnumber(L, (double)ctz_now() / 1e9);
    return 1;
}

static const struct ctz_reg functions[] = {
    {"time.now", l_now, CTZ_CAP_PURE, 0, 0},
    {"time.monotonic", l_monotonic, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_system_time_open(lua_State *L)
{
    ctz_door(L, functions);
}
