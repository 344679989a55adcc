// signals.h: Ctrl-C, SIGTERM, and the deadline of Lua code that never waits.
// SPDX-License-Identifier: MIT
//
// No hook is set in normal running: a count hook slows a plain loop 2.25 times. A signal sets one
// on the thread that runs now, as lua.c does.
#ifndef CTZ_SIGNALS_H
#define CTZ_SIGNALS_H

#include <lua.h>

#include "host/api.h"

struct ctz_host;
struct ctz_task;

int ctz_signals_open(struct ctz_host *host);
void ctz_signals_close(struct ctz_host *host);

/// Does what the signals asked for that came since the last look; the loop does it by itself.
void ctz_signals_handle(struct ctz_host *host);
/// Lua code of this task is about to run, or its deadline is another now.
void ctz_signals_enter(struct ctz_host *host, const struct ctz_task *task);
/// A resume of `inner` returned to L: a hook that raised in it goes on in L.
void ctz_signals_left(lua_State *L, lua_State *inner);
/// A cancel was raised in L: code that catches it may go on for a while, or (at_once) not at all.
void ctz_signals_watch(lua_State *L, bool at_once);
/// Raises at the next Lua instruction of the thread that runs: what pcall cannot stop.
void ctz_signals_interrupt(struct ctz_host *host);

/// Prints every task with its waiting line and age to stderr.
void ctz_print_tasks(struct ctz_host *host);

#endif
