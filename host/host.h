// host.h: everything that belongs to one run: the loop, the Lua state, the tasks, the modes.
// SPDX-License-Identifier: MIT
#ifndef CTZ_HOST_H
#define CTZ_HOST_H

#include <lua.h>
#include <signal.h>
#include <uv.h>

#include "host/api.h"
#include "host/limits.h"
#include "host/timer.h"

struct ctz_task;
struct ctz_allow_list;
struct ctz_cli;
struct ctz_egress;
struct ctz_repl;
struct ctz_secrets;
struct ctz_progress_list;
struct ctz_signals;
struct ctz_processes;

/// --progress, in the order of the words auto, tty, plain, json, none.
enum ctz_progress {
    CTZ_PROGRESS_AUTO, // moving lines on a terminal, else a plain line now and then
    CTZ_PROGRESS_TTY,
    CTZ_PROGRESS_PLAIN,
    CTZ_PROGRESS_JSON, // log lines are JSON too: all of stderr is for a program
    CTZ_PROGRESS_NONE,
};

/// --color, in the order of the words auto, always, never.
enum ctz_color { CTZ_COLOR_AUTO, CTZ_COLOR_ALWAYS, CTZ_COLOR_NEVER };

struct ctz_host {
    uv_loop_t loop;
    lua_State *L; // the main state: the only one that is stored; it runs no recipe code
    struct ctz_limits limits;
    struct ctz_timers timers;
    uv_timer_t timer_handle; // wakes the loop for the earliest of timers
    uv_async_t wake_handle;  // wakes the loop from a signal handler

    // tasks (task.c)
    struct ctz_task *ready_first, **ready_end; // FIFO
    struct ctz_task *tasks;                    // every task that has not ended
    struct ctz_task *root;                     // the recipe
    struct ctz_task *current;                  // the task that runs now, NULL between tasks
    lua_State *volatile running;               // its innermost thread: what a signal may hook
    volatile sig_atomic_t hook_wanted;         // a signal waits for the next Lua instruction
    uint64_t last_task_id;
    unsigned long resumes; // since the last look at the loop
    unsigned unwaitable;   // > 0: a resumer of the running coroutine cannot yield
    bool waiting;          // the yield that is under way is a wait, not coroutine.yield

    // what the command line asked for
    const struct ctz_cli *cli; // NULL in tests of C
    bool dry_run, simulate, json, quiet, debug;
    enum ctz_progress progress;
    enum ctz_color color;
    struct ctz_allow_list *allow; // NULL: everything is allowed

    struct ctz_egress *egress;            // the one way out for text
    struct ctz_secrets *secrets;          // what it masks
    struct ctz_progress_list *progresses; // what is shown on stderr
    struct ctz_signals *signals;
    struct ctz_processes *processes; // programs that run

    struct ctz_repl *repl; // the session at the terminal (bindings/repl), which sets these two:
    // Ctrl-C, or a deadlock, cancels what is evaluated (reason: enum ctz_cancel) and returns true.
    // NULL, or false for a deadlock: the run ends.
    bool (*on_interrupt)(struct ctz_host *host, int reason);
    // The prompt is taken away before text is written to the terminal, and put back.
    void (*around_output)(struct ctz_host *host, bool begins);
    uint64_t root_deadline_ns; // --timeout; CTZ_NEVER

    int exit_code;    // what the run ends with once ending is set
    bool leaving;     // the process ends now: the system takes the memory of Lua as a whole
    bool ending;      // somebody asked to end: os.exit, a signal, a broken pipe
    bool gc_stress;   // collect after every resume: finds values that nothing anchors
    size_t lua_bytes; // memory of the Lua state
    char *library;    // lib/ctz beside the program
    char *program;    // its own path
};

/// The host of a Lua state: one pointer read.
static inline struct ctz_host *ctz_host(lua_State *L)
{
    return *(struct ctz_host **)lua_getextraspace(L);
}

static inline uint64_t ctz_limit(const struct ctz_host *host, enum ctz_limit limit)
{
    return host->limits.values[limit];
}

/// A host with an open loop and Lua state, the safe libraries, and our own require. NULL when there
/// is no memory. program is argv[0], for the case that /proc is not there.
struct ctz_host *ctz_host_new(const char *program);
/// Closes what is open, frees everything.
void ctz_host_free(struct ctz_host *host);
/// Frees and ends the process with this code; never waits for jobs of the pool.
_Noreturn void ctz_host_exit(struct ctz_host *host, int code);

#endif
