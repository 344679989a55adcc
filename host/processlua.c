// processlua.c: programs and the tasks that run them: guards, permission.
// SPDX-License-Identifier: MIT
#include "host/allow.h"
#include "host/door.h"
#include "host/host.h"
#include "host/luax.h"
#include "host/program.h"
#include "host/task.h"

// A cancelled task waits for it all the same: it is bounded by the grace.
static const struct ctz_op_class close_class = {
    .name = "waits until a program is gone",
    .start = ctz_process_wait_start,
    .clear = ctz_process_wait_clear,
    .shielded = true,
};

int ctz_process_close(lua_State *L, struct ctz_process *process)
{
    ctz_process_kill(process);
    if (process->is_gone || ctz_task_why_not_waitable(L)) {
        lua_pushboolean(L, true);
        return 1;
    }
    struct ctz_process_wait *wait = ctz_process_wait_new(L, &close_class, sizeof *wait, process);
    wait->gone = true;
    return ctz_await(L, wait);
}

#define GUARD_CLASS "ctz.process.guard"

static int l_guard_close(lua_State *L)
{
    struct ctz_process **held = lua_touserdata(L, 1);
    return *held ? ctz_process_close(L, *held) : 0;
}

static int l_guard_gc(lua_State *L)
{
    struct ctz_process **held = lua_touserdata(L, 1);
    struct ctz_process *process = *held;
    *held = NULL;
    if (process)
        ctz_process_release(process);
    return 0;
}

static const struct ctz_reg guard_methods[] = {
    {"process.guard.__close", l_guard_close, CTZ_CAP_HELD, 0, 0},
    {"process.guard.__gc", l_guard_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

struct ctz_process *ctz_process_guarded(lua_State *L, const struct ctz_process_options *options)
{
    struct ctz_error err = {0};
    const char *why = ctz_task_why_not_waitable(L);
    if (why)
        ctz_usage(L, "cannot wait %s; wait before it or after it", why);
    ctz_task_check(L); // a cancelled task starts nothing
    ctz_class(L, GUARD_CLASS, guard_methods);
    struct ctz_process **held = ctz_object_new(L, GUARD_CLASS, sizeof(struct ctz_process *), 0);
    lua_toclose(L, -1);
    *held = ctz_process_start(ctz_host(L), options, &err);
    if (!*held)
        ctz_raise(L, &err);
    return *held;
}

void ctz_process_allow(lua_State *L, const char *program)
{
    const struct ctz_host *host = ctz_host(L);
    ctz_allow(L, CTZ_CAP_RUN, program);
    if ((!host->dry_run && !host->simulate) || host->allow)
        return; // with a list, the line above has found it there
    const char *mode = host->dry_run ? "--dry-run" : "--simulate";
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_UNSUPPORTED, "%s is not run under %s", program, mode);
    ctz_error_hint(&err, "a program that only looks may be named: --allow run=%s", program);
    ctz_raise(L, &err);
}
