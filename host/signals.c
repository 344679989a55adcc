// signals.c: what comes from outside while Lua runs, or waits.
// SPDX-License-Identifier: MIT
#include "host/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/egress.h"
#include "host/host.h"
#include "host/process.h"
#include "host/task.h"

#define GRACE_NS         UINT64_C(1000000000) // a C function that does not return, past its deadline
#define CLEANUP_INTERVAL 1000                 // instructions between two looks at a clean-up
#define CAUGHT_INTERVAL  1000000              // instructions left to code that caught a cancel

struct ctz_signals {
    volatile sig_atomic_t interrupts;  // SIGINT received
    volatile sig_atomic_t terminate;   // SIGTERM or SIGHUP
    volatile sig_atomic_t show_tasks;  // SIGUSR1
    volatile sig_atomic_t hook_is_set; // and did not run yet
    volatile uint64_t due_ns;          // deadline of the Lua code that runs now
    volatile uint64_t alarm_ns;        // when the alarm is set for; CTZ_NEVER
    int handled_interrupts;
    bool handled_terminate;
    timer_t alarm;
    pthread_t thread; // the one that runs Lua
    bool has_alarm;
};

// Signal handlers take no context: the one static pointer of the program.
static struct ctz_host *volatile signalled;

static void hook(lua_State *L, lua_Debug *frame);

// The thread that runs may end or wait before its next instruction, and between tasks none runs:
// so the next one that is resumed gets the hook too, until it has run.
static void set_hook(struct ctz_host *host)
{
    lua_State *running = host->running;
    host->hook_wanted = 1;
    if (running) {
        host->signals->hook_is_set = 1;
        lua_sethook(running, hook, LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
    }
}

static void set_alarm(struct ctz_signals *signals, uint64_t at_ns)
{
    struct itimerspec at = {0};
    signals->alarm_ns = at_ns;
    at.it_value.tv_sec = (time_t)(at_ns / GRACE_NS);
    at.it_value.tv_nsec = (long)(at_ns % GRACE_NS);
    timer_settime(signals->alarm, TIMER_ABSTIME, &at, NULL);
}

// --- in the handler: async-signal-safe calls only ----------------------------------------------

static void say(const char *text)
{
    ssize_t ignored = write(STDERR_FILENO, text, strlen(text));
    (void)ignored;
}

static void on_alarm(struct ctz_host *host)
{
    struct ctz_signals *signals = host->signals;
    signals->alarm_ns = CTZ_NEVER;
    uint64_t now_ns = ctz_now();
    if (!host->running)
        return;                     // the next task sets it anew
    if (now_ns < signals->due_ns) { // it was set for other code
        if (signals->due_ns != CTZ_NEVER)
            set_alarm(signals, signals->due_ns);
        return;
    }
    if (signals->hook_is_set && now_ns >= signals->due_ns + GRACE_NS) {
        say("ctz: a C function did not return within a second of its deadline; ended\n");
        ctz_processes_abandon(host);
        _exit(host->root_deadline_ns <= now_ns ? 124 : 1);
    }
    set_hook(host);
    set_alarm(signals, signals->due_ns + GRACE_NS);
}

static void handle(int number)
{
    struct ctz_host *host = signalled;
    if (!host)
        return;
    struct ctz_signals *signals = host->signals;
    if (!pthread_equal(pthread_self(), signals->thread)) { // a hook is set by Lua's own thread only
        pthread_kill(signals->thread, number);
        return;
    }
    if (number == SIGALRM) {
        on_alarm(host);
        return;
    }
    if (number == SIGINT && ++signals->interrupts > 1 && host->running && signals->hook_is_set) {
        say("\nctz: ended at once, a C function did not return\n");
        ctz_processes_abandon(host);
        _exit(130);
    }
    if (number == SIGTERM || number == SIGHUP)
        signals->terminate = number;
    if (number == SIGUSR1)
        signals->show_tasks = 1;
    set_hook(host);
    uv_async_send(&host->wake_handle);
}

// --- in the loop or in the hook ----------------------------------------------------------------

void ctz_print_tasks(struct ctz_host *host)
{
    uint64_t now_ns = ctz_now();
    for (struct ctz_task *task = host->tasks; task; task = task->all_next) {
        lua_State *L = task->waiting_thread ? task->waiting_thread : task->thread;
        char line[512];
        const char *place = "?";
        bool pushed = lua_checkstack(L, 4);
        if (pushed) {
            ctz_task_place(L, task);
            place = lua_tostring(L, -1) ? lua_tostring(L, -1) : "?";
        }
        int length = snprintf(line, sizeof line, "  task %llu at %s: %s, %.1f s\n",
                              (unsigned long long)task->id, place, ctz_task_doing(task),
                              (double)(now_ns - task->since_ns) / 1e9);
        if (pushed)
            lua_pop(L, 1);
        ctz_egress_write(host, CTZ_STDERR, line,
                         (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
    }
}

static void print(struct ctz_host *host, const char *text)
{
    ctz_egress_write(host, CTZ_STDERR, text, strlen(text));
}

static void end_run(struct ctz_host *host, int code, const char *message)
{
    if (!host->quiet)
        print(host, message);
    host->ending = true;
    host->exit_code = code;
    if (host->root)
        ctz_task_cancel(host->root, CTZ_CANCEL_SIGNAL);
}

static void end_at_once(struct ctz_host *host)
{
    print(host, "\nctz: ended at once; these tasks were left as they are:\n");
    ctz_print_tasks(host);
    ctz_egress_flush(host);
    ctz_processes_abandon(host);
    _exit(130);
}

void ctz_signals_handle(struct ctz_host *host)
{
    struct ctz_signals *signals = host->signals;
    if (signals->show_tasks) {
        signals->show_tasks = 0;
        print(host, "tasks:\n");
        ctz_print_tasks(host);
    }
    if (signals->interrupts > signals->handled_interrupts) {
        bool first = signals->handled_interrupts == 0;
        signals->handled_interrupts = signals->interrupts;
        if (host->on_interrupt)
            host->on_interrupt(host, CTZ_CANCEL_REQUEST); // the REPL: only the evaluation ends
        else if (first)
            end_run(host, 130, "\nctz: interrupted; cleaning up (Ctrl-C again ends at once)\n");
        if (host->on_interrupt)
            signals->interrupts = signals->handled_interrupts = 0;
        else if (signals->handled_interrupts > 1)
            end_at_once(host);
    }
    if (signals->terminate && !signals->handled_terminate) {
        signals->handled_terminate = true;
        end_run(host, 143, "ctz: asked to end; cleaning up\n");
    }
}

static void on_wake(uv_async_t *handle)
{
    struct ctz_host *host = handle->data;
    host->hook_wanted = 0;
    ctz_signals_handle(host);
}

static struct ctz_scope *around(const struct ctz_scope *scope)
{
    return scope->outer ? scope->outer : scope->task->parent;
}

// Until when the task's code may run without a wait: to its deadline, or while it cleans up to the
// end of the time for that.
static uint64_t due_of(const struct ctz_task *task)
{
    if (!task->scope->cancelled)
        return task->scope->due_ns;
    uint64_t due_ns = CTZ_NEVER;
    for (struct ctz_scope *scope = task->scope; scope && !task->scope->hard; scope = around(scope))
        if (scope->cleanup.armed && scope->cleanup.due_ns < due_ns)
            due_ns = scope->cleanup.due_ns;
    return due_ns;
}

static void fire_if_due(struct ctz_host *host, struct ctz_timer *timer, uint64_t now_ns)
{
    if (!timer->armed || timer->due_ns > now_ns)
        return;
    ctz_timer_stop(host, timer);
    timer->fire(timer);
}

// What the loop would do for the scopes around the running task if it had its turn.
static void fire_overdue(struct ctz_task *task, uint64_t now_ns)
{
    for (struct ctz_scope *scope = task->scope; scope; scope = around(scope)) {
        fire_if_due(task->host, &scope->deadline, now_ns);
        fire_if_due(task->host, &scope->cleanup, now_ns);
    }
}

// Sets the alarm for the task's code; false when it should have come already.
static bool arm(struct ctz_host *host, const struct ctz_task *task)
{
    struct ctz_signals *signals = host->signals;
    signals->due_ns = due_of(task);
    if (signals->due_ns >= signals->alarm_ns || !signals->has_alarm)
        return true; // an alarm that comes earlier sets itself anew
    if (signals->due_ns <= ctz_now())
        return false;
    set_alarm(signals, signals->due_ns);
    return true;
}

// Runs before an instruction of the thread that was running when the signal came. Once a task is
// cancelled it stays so: the hook raises again at the next instruction, outside of what pcall
// caught, until the cancelled scope has ended. Close handlers run undisturbed.
static void hook(lua_State *L, lua_Debug *frame)
{
    (void)frame;
    struct ctz_host *host = *(struct ctz_host **)lua_getextraspace(L);
    lua_sethook(L, NULL, 0, 0);
    host->signals->hook_is_set = 0;
    host->hook_wanted = 0;
    ctz_signals_handle(host);
    struct ctz_task *task = host->current;
    if (!task)
        return;
    fire_overdue(task, ctz_now());
    arm(host, task);
    if (!task->scope->cancelled)
        return;
    if (!task->scope->hard && ctz_task_in_cleanup(task, L)) {
        lua_sethook(L, hook, LUA_MASKCOUNT, CLEANUP_INTERVAL);
        return;
    }
    lua_sethook(L, hook, LUA_MASKCOUNT, 1);
    ctz_task_raise_cancelled(L, task);
}

void ctz_signals_left(lua_State *L, lua_State *inner)
{
    if (lua_gethook(inner) == hook)
        lua_sethook(L, hook, LUA_MASKCOUNT, lua_gethookcount(inner));
}

void ctz_signals_watch(lua_State *L, bool at_once)
{
    int instructions = at_once ? 1 : CAUGHT_INTERVAL;
    if (lua_gethook(L) != hook || lua_gethookcount(L) > instructions)
        lua_sethook(L, hook, LUA_MASKCOUNT, instructions);
}

void ctz_signals_interrupt(struct ctz_host *host)
{
    if (host->running)
        lua_sethook(host->running, hook, LUA_MASKCOUNT, 1);
}

void ctz_signals_enter(struct ctz_host *host, const struct ctz_task *task)
{
    if (!arm(host, task))
        set_hook(host);
}

// --- opening -----------------------------------------------------------------------------------

// Calls that SIGINT and SIGTERM break are not restarted: the run is to end.
static void install(int number, void (*handler)(int))
{
    bool ends = number == SIGINT || number == SIGTERM || number == SIGHUP;
    struct sigaction action = {.sa_handler = handler, .sa_flags = ends ? 0 : SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(number, &action, NULL);
}

int ctz_signals_open(struct ctz_host *host)
{
    struct ctz_signals *signals = host->signals = ctz_calloc(1, sizeof *signals);
    if (!signals)
        return -1;
    signals->due_ns = signals->alarm_ns = CTZ_NEVER;
    signals->thread = pthread_self();
    if (uv_async_init(&host->loop, &host->wake_handle, on_wake) < 0)
        return -1;
    host->wake_handle.data = host;
    uv_unref((uv_handle_t *)&host->wake_handle);
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGALRM};
    signals->has_alarm = timer_create(CLOCK_MONOTONIC, &event, &signals->alarm) == 0;
    signalled = host;
    install(SIGINT, handle);
    install(SIGTERM, handle);
    install(SIGHUP, handle);
    install(SIGUSR1, handle);
    install(SIGALRM, handle);
    install(SIGPIPE, SIG_IGN);
    return 0;
}

void ctz_signals_close(struct ctz_host *host)
{
    signalled = NULL;
    if (!host->signals)
        return;
    if (host->signals->has_alarm)
        timer_delete(host->signals->alarm);
    ctz_free(host->signals);
    host->signals = NULL;
}
