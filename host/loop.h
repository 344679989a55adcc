// loop.h: tasks, timers and libuv in turn, until the root task has ended.
// SPDX-License-Identifier: MIT
#ifndef CTZ_LOOP_H
#define CTZ_LOOP_H

#include "host/host.h"

int ctz_loop_open(struct ctz_host *host);
/// Runs until host->root has ended.
void ctz_loop_run(struct ctz_host *host);
/// false: jobs of the pool still run and will touch the loop, so its memory must stay.
bool ctz_loop_close(struct ctz_host *host);

#endif
