// process.c: the life of a program: who waits for it, how it is ended, how its end is noticed.
// SPDX-License-Identifier: MIT
#include "host/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/host.h"
#include "host/input.h"
#include "host/log.h"
#include "host/luax.h"
#include "host/output.h"
#include "host/program.h"

#define MS_NS       UINT64_C(1000000)
#define GRACE_NS    (2000 * MS_NS) // between SIGTERM and SIGKILL
#define TICK_NS     (20 * MS_NS)   // between two looks at a group that is being killed
#define LAST_NS     (1000 * MS_NS) // waited for a group after SIGKILL
#define SILENCE_NS  (1000 * MS_NS) // a pipe held open by what the program left behind
#define STDERR_TAIL 4096           // bytes of stderr in an error

// --- life --------------------------------------------------------------------------------------

void ctz_process_unreference(struct ctz_process *process)
{
    if (--process->references > 0)
        return;
    struct ctz_host *host = process->host;
    ctz_timer_stop(host, &process->deadline);
    ctz_timer_stop(host, &process->kill_timer);
    ctz_timer_stop(host, &process->pipe_timer);
    ctz_input_release(process->out);
    ctz_input_release(process->err);
    ctz_output_release(process->in);
    ctz_free(process->title);
    ctz_free(process);
}

void ctz_process_list(struct ctz_process *process)
{
    struct ctz_processes *all = process->host->processes;
    process->references++;
    process->next = all->first;
    process->link = &all->first;
    if (all->first)
        all->first->link = &process->next;
    else
        uv_ref((uv_handle_t *)&all->child_signal);
    atomic_signal_fence(memory_order_seq_cst); // ctz_processes_abandon may run at any moment
    all->first = process;
}

static void unlist(struct ctz_process *process)
{
    struct ctz_processes *all = process->host->processes;
    if (!process->link)
        return;
    *process->link = process->next;
    if (process->next)
        process->next->link = process->link;
    process->link = NULL;
    if (!all->first)
        uv_unref((uv_handle_t *)&all->child_signal);
    ctz_process_unreference(process);
}

// --- who waits ---------------------------------------------------------------------------------

static bool is_read(const struct ctz_input *input)
{
    return !input || ctz_input_has_ended(input);
}

static bool overflowed(const struct ctz_input *input)
{
    return input && ctz_input_overflowed(input);
}

static int read_error(const struct ctz_process *process)
{
    int error = process->out ? ctz_input_error(process->out) : 0;
    return error || !process->err ? error : ctz_input_error(process->err);
}

static bool has_failed(const struct ctz_process *process)
{
    return process->timed_out || process->wanted_terminal || process->is_lost ||
           overflowed(process->out) || overflowed(process->err) || read_error(process);
}

static bool has_result(const struct ctz_process *process)
{
    return has_failed(process) ||
           (process->is_ended && is_read(process->out) && is_read(process->err));
}

// The last lines, without the line end.
static char *tail_of(const char *text, size_t size)
{
    while (size > 0 && (text[size - 1] == '\n' || text[size - 1] == '\r'))
        size--;
    const char *begin = text;
    if (size > STDERR_TAIL) {
        begin = text + size - STDERR_TAIL;
        const char *line = memchr(begin, '\n', STDERR_TAIL);
        begin = line ? line + 1 : begin;
    }
    return ctz_memdup(begin, size - (size_t)(begin - text));
}

// The end of stderr, or of what both streams wrote.
static void add_stderr(const struct ctz_process *process, struct ctz_error *err)
{
    size_t size;
    const struct ctz_input *input = process->captures_err                    ? process->err
                                    : !process->err && process->captures_out ? process->out
                                                                             : NULL;
    const char *text = input ? ctz_input_bytes(input, &size) : NULL;
    if (text)
        err->stderr_text = tail_of(text, size);
}

static void set_failure(const struct ctz_process *process, struct ctz_error *err)
{
    const char *title = process->title;
    if (process->timed_out) {
        ctz_error_set(err, CTZ_ERROR_TIMEOUT, "%s: killed, it ran longer than %g s", title,
                      process->timeout_s);
        err->retryable = true;
    } else if (process->wanted_terminal) {
        ctz_error_set(err, CTZ_ERROR_UNSUPPORTED, "%s: killed, it wanted to use the terminal",
                      title);
        ctz_error_hint(err, "let it have it with stdin=\"inherit\", or give it pty=true");
    } else if (process->is_lost) {
        ctz_error_set(err, CTZ_ERROR_INTERNAL, "%s: something else took its exit code", title);
    } else if (read_error(process)) {
        ctz_error_system(err, read_error(process), "%s: killed, its output could not be read",
                         title);
    } else {
        ctz_error_set(err, CTZ_ERROR_SIZE, "%s: killed, its %s passed the limit of captured bytes",
                      title, overflowed(process->out) ? "stdout" : "stderr");
        ctz_error_hint(err, "read it line by line with process.spawn, or raise --limit "
                            "capture_bytes");
    }
    ctz_error_target(err, process->title);
    add_stderr(process, err);
}

static void unlist_wait(struct ctz_process_wait *wait)
{
    *wait->link = wait->next;
    if (wait->next)
        wait->next->link = wait->link;
    wait->link = NULL;
}

static void settle_waits(struct ctz_process *process)
{
    bool failed = has_failed(process), result = has_result(process);
    process->references++; // an op that nobody waits for lets go of it
    for (struct ctz_process_wait *wait = process->waits, *next; wait; wait = next) {
        next = wait->next;
        if (wait->gone ? !process->is_gone : !result)
            continue;
        unlist_wait(wait);
        if (!wait->gone && failed)
            set_failure(process, &wait->op.err);
        ctz_op_settle(&wait->op);
    }
    ctz_process_unreference(process);
}

int ctz_process_wait_start(struct ctz_op *op)
{
    struct ctz_process_wait *wait = (struct ctz_process_wait *)op;
    struct ctz_process *process = wait->process;
    wait->next = process->waits;
    wait->link = &process->waits;
    if (process->waits)
        process->waits->link = &wait->next;
    process->waits = wait;
    settle_waits(process);
    return 0;
}

void ctz_process_wait_cancel(struct ctz_op *op)
{
    struct ctz_process_wait *wait = (struct ctz_process_wait *)op;
    if (wait->link)
        unlist_wait(wait);
    ctz_op_settle(op);
}

void ctz_process_wait_clear(struct ctz_op *op)
{
    struct ctz_process_wait *wait = (struct ctz_process_wait *)op;
    if (wait->is_owner)
        ctz_process_release(wait->process);
    ctz_process_unreference(wait->process);
}

void *ctz_process_wait_owner(lua_State *L, const struct ctz_op_class *class,
                             struct ctz_process *take_process)
{
    struct ctz_process_wait *wait = ctz_op_make(ctz_host(L), class, sizeof *wait);
    if (!wait) {
        ctz_process_release(take_process);
        luaL_error(L, "not enough memory");
    }
    take_process->references++;
    wait->process = take_process;
    wait->is_owner = true;
    return wait;
}

void *ctz_process_wait_new(lua_State *L, const struct ctz_op_class *class, size_t size,
                           struct ctz_process *process)
{
    struct ctz_process_wait *wait = ctz_op_new(L, class, size);
    wait->process = process;
    process->references++;
    return wait;
}

// --- its end -----------------------------------------------------------------------------------

static void reap(struct ctz_process *process)
{
    if (process->is_ended && !process->is_reaped)
        waitpid(process->pid, NULL, WNOHANG);
    process->is_reaped = process->is_ended;
}

static void leave(struct ctz_process *process)
{
    reap(process);
    process->is_gone = true;
    ctz_timer_stop(process->host, &process->kill_timer);
    ctz_timer_stop(process->host, &process->pipe_timer);
    unlist(process);
}

static void end_pipes(struct ctz_process *process)
{
    ctz_input_end(process->out);
    ctz_input_end(process->err);
}

static void on_pipe_silence(struct ctz_timer *timer);

static uint64_t total_of(const struct ctz_input *input)
{
    return input ? ctz_input_total(input) : 0;
}

static bool is_paused(const struct ctz_input *input)
{
    return input && ctz_input_is_paused(input);
}

// A pipe that is still open belongs to something the program left behind: it is listened to as long
// as bytes come, or nobody takes those that are there.
static void watch_silence(struct ctz_process *process)
{
    process->pipe_total = total_of(process->out) + total_of(process->err);
    ctz_timer_stop(process->host, &process->pipe_timer);
    ctz_timer_start(process->host, &process->pipe_timer, ctz_now() + SILENCE_NS, on_pipe_silence);
}

// After each thing that happened to it.
void ctz_process_look(struct ctz_process *process)
{
    process->references++;
    bool is_done = process->is_ended && is_read(process->out) && is_read(process->err);
    if (is_done && !process->is_killed && !process->is_gone)
        leave(process);
    settle_waits(process);
    ctz_process_unreference(process);
}

static void on_pipe_silence(struct ctz_timer *timer)
{
    struct ctz_process *process = CTZ_CONTAINER(timer, struct ctz_process, pipe_timer);
    process->references++;
    if (is_paused(process->out) || is_paused(process->err) ||
        total_of(process->out) + total_of(process->err) != process->pipe_total)
        watch_silence(process);
    else
        end_pipes(process); // each calls ctz_process_on_input
    ctz_process_unreference(process);
}

void ctz_process_on_input(void *owner)
{
    struct ctz_process *process = owner;
    process->references++;
    if (has_failed(process))
        ctz_process_kill(process);
    ctz_process_look(process);
    ctz_process_unreference(process);
}

// --- killing -----------------------------------------------------------------------------------

void ctz_process_signal_group(const struct ctz_process *process, int number)
{
    if (kill(-process->pid, number) < 0 && !process->is_ended)
        kill(process->pid, number);
}

void ctz_process_signal(struct ctz_process *process, int number)
{
    if (!process->is_reaped)
        ctz_process_signal_group(process, number);
}

// Is the process at /proc/<name> a member of the group, and alive?
static bool is_member(const char *name, pid_t group)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, line, sizeof line - 1);
    if (fd >= 0)
        close(fd);
    line[size > 0 ? size : 0] = '\0';
    const char *name_end = strrchr(line, ')');
    char state;
    int of_group;
    return name_end && sscanf(name_end, ") %c %*d %d", &state, &of_group) == 2 &&
           of_group == group && state != 'Z' && state != 'X';
}

// Only for the group of a program that has just been reaped: a living member keeps its number from
// being given to others. A zombie whose parent does not reap it does not count.
static bool has_members(pid_t group)
{
    if (kill(-group, 0) < 0 && errno == ESRCH)
        return false;
    DIR *processes = opendir("/proc");
    bool found = !processes;
    for (struct dirent *entry; !found && (entry = readdir(processes));)
        found =
            entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && is_member(entry->d_name, group);
    if (processes)
        closedir(processes);
    return found;
}

static void on_kill_tick(struct ctz_timer *timer);

// One look at a group that is being killed: gone, within the grace, or to be killed hard.
static void advance_kill(struct ctz_process *process)
{
    uint64_t now_ns = ctz_now();
    bool is_late = process->is_killed_hard && now_ns >= process->kill_ns + LAST_NS;
    reap(process);
    if (is_late || (process->is_ended && !has_members(process->pid))) {
        end_pipes(process);
        leave(process);
        settle_waits(process);
        return;
    }
    if (now_ns >= process->kill_ns && !process->is_killed_hard) {
        process->is_killed_hard = true;
        ctz_process_signal_group(process, SIGKILL);
    }
    ctz_timer_stop(process->host, &process->kill_timer);
    ctz_timer_start(process->host, &process->kill_timer, now_ns + TICK_NS, on_kill_tick);
}

static void on_kill_tick(struct ctz_timer *timer)
{
    struct ctz_process *process = CTZ_CONTAINER(timer, struct ctz_process, kill_timer);
    process->references++;
    advance_kill(process);
    ctz_process_unreference(process);
}

void ctz_process_kill(struct ctz_process *process)
{
    if (process->is_gone || process->is_killed)
        return;
    process->is_killed = true;
    process->kill_ns = ctz_now() + GRACE_NS;
    if (process->in)
        ctz_output_close(process->in);
    ctz_process_signal_group(process, SIGTERM);
    ctz_process_signal_group(process, SIGCONT); // a stopped one gets its SIGTERM
    ctz_timer_start(process->host, &process->kill_timer, ctz_now() + TICK_NS, on_kill_tick);
}

void ctz_process_on_deadline(struct ctz_timer *timer)
{
    struct ctz_process *process = CTZ_CONTAINER(timer, struct ctz_process, deadline);
    if (has_result(process))
        return;
    process->timed_out = true;
    ctz_process_kill(process);
    ctz_process_look(process);
}

void ctz_process_release(struct ctz_process *process)
{
    ctz_process_kill(process);
    ctz_process_unreference(process);
}

void ctz_process_collect(struct ctz_process *process)
{
    if (!process->is_gone && !process->is_killed)
        ctz_log(process->host, CTZ_LOG_DEBUG, "%s: killed, its handle was collected unclosed",
                process->title);
    ctz_process_release(process);
}

// --- ends are noticed --------------------------------------------------------------------------

static void on_ended(struct ctz_process *process, const siginfo_t *info)
{
    bool by_signal = info->si_code != CLD_EXITED;
    process->references++;
    process->is_ended = true;
    process->ended_ns = ctz_now();
    process->signal = by_signal ? info->si_status : 0;
    process->exit_code = by_signal ? 128 + info->si_status : info->si_status;
    ctz_terminal_take_back(process, process->signal);
    ctz_timer_stop(process->host, &process->deadline);
    if (process->in)
        ctz_output_close(process->in);
    ctz_input_pump(process->out); // the end is mostly there already
    ctz_input_pump(process->err);
    if (process->is_killed)
        advance_kill(process);
    ctz_process_look(process);
    if (!process->is_gone && !process->is_killed)
        watch_silence(process);
    ctz_process_unreference(process);
}

static void examine(struct ctz_process *process)
{
    siginfo_t info = {0};
    int what = WEXITED | WSTOPPED | WNOHANG | WNOWAIT;
    if (process->is_ended)
        return;
    if (waitid(P_PID, (id_t)process->pid, &info, what) < 0) {
        if (errno != ECHILD)
            return;
        process->is_lost = process->is_reaped = true;
        info.si_code = CLD_EXITED;
        info.si_pid = process->pid;
    }
    if (info.si_pid == 0)
        return;
    if (info.si_code == CLD_STOPPED)
        ctz_terminal_stopped(process, info.si_status);
    else
        on_ended(process, &info);
}

// All of ours, because signals of several ends are one signal.
static void examine_all(struct ctz_processes *all)
{
    for (struct ctz_process *process = all->first, *next; process; process = next) {
        next = process->next;
        examine(process);
    }
}

// As process 1 of a container we inherit orphans, and nobody else reaps them.
static void reap_orphans(const struct ctz_processes *all)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
        for (const struct ctz_process *process = all->first; process; process = process->next)
            if (process->pid == info.si_pid)
                return; // a zombie that is kept for its number; orphans have their turn later
        waitpid(info.si_pid, NULL, WNOHANG);
        info.si_pid = 0;
    }
}

static void on_child_signal(uv_signal_t *handle, int number)
{
    (void)number;
    struct ctz_processes *all = CTZ_CONTAINER(handle, struct ctz_processes, child_signal);
    examine_all(all);
    if (getpid() == 1)
        reap_orphans(all);
}

int ctz_processes_watch(struct ctz_processes *all, struct ctz_error *err)
{
    if (all->watches)
        return 0;
    int result = uv_signal_start(&all->child_signal, on_child_signal, SIGCHLD);
    if (result < 0)
        return ctz_error_system(err, result, "watch for the ends of programs");
    all->watches = true;
    return 0;
}

// --- its result --------------------------------------------------------------------------------

void ctz_process_keep_rest(struct ctz_process *process)
{
    if (process->out && process->out_is_streamed)
        ctz_input_keep(process->out);
    if (process->err && process->err_is_streamed)
        ctz_input_keep(process->err);
    process->captures_out |= process->out_is_streamed;
    process->captures_err |= process->err_is_streamed;
}

void ctz_process_result(const struct ctz_process *process, struct ctz_process_result *result)
{
    memset(result, 0, sizeof *result);
    result->exit_code = process->exit_code;
    result->signal = process->signal;
    result->seconds = (double)(process->ended_ns - process->started_ns) / 1e9;
    if (process->out && process->captures_out)
        result->out = ctz_input_bytes(process->out, &result->out_size);
    if (process->err && process->captures_err)
        result->err = ctz_input_bytes(process->err, &result->err_size);
}

int ctz_process_check(const struct ctz_process *process, struct ctz_error *err)
{
    struct ctz_process_result result;
    ctz_process_result(process, &result);
    if (result.exit_code == 0)
        return 0;
    if (result.signal)
        ctz_error_set(err, CTZ_ERROR_EXIT, "%s: ended by signal %d (SIG%s)", process->title,
                      result.signal,
                      sigabbrev_np(result.signal) ? sigabbrev_np(result.signal) : "");
    else
        ctz_error_set(err, CTZ_ERROR_EXIT, "%s: exit code %d", process->title, result.exit_code);
    ctz_error_target(err, process->title);
    err->has_exit_code = true;
    err->exit_code = result.exit_code;
    add_stderr(process, err);
    return -1;
}

// --- of the run --------------------------------------------------------------------------------

int ctz_processes_open(struct ctz_host *host)
{
    struct ctz_processes *all = ctz_calloc(1, sizeof *all);
    if (!all)
        return -1;
    int result = uv_signal_init(&host->loop, &all->child_signal);
    if (result < 0) {
        ctz_free(all);
        return result;
    }
    uv_unref((uv_handle_t *)&all->child_signal);
    all->null_fd = -1;
    host->processes = all;
    struct ctz_error err = {0};
    if (getpid() == 1) // orphans may come before the first program of ours
        ctz_processes_watch(all, &err);
    ctz_error_clear(&err);
    return 0;
}

static void on_signal_closed(uv_handle_t *handle)
{
    ctz_free(CTZ_CONTAINER(handle, struct ctz_processes, child_signal));
}

void ctz_processes_end_scope(struct ctz_host *host, const struct ctz_scope *scope)
{
    struct ctz_process *process = host->processes ? host->processes->first : NULL;
    for (struct ctz_process *next; process; process = next) {
        next = process->next;
        if (process->scope == scope) {
            process->scope = NULL;
            ctz_process_kill(process);
        }
    }
}

static void end_all(struct ctz_processes *all)
{
    for (struct ctz_process *process = all->first, *next; process; process = next) {
        next = process->next;
        ctz_process_kill(process);
    }
    while (all->first) {
        examine_all(all);
        for (struct ctz_process *process = all->first, *next; process; process = next) {
            next = process->next;
            process->references++;
            advance_kill(process);
            ctz_process_unreference(process);
        }
        if (all->first)
            poll(NULL, 0, 5);
    }
}

void ctz_processes_close(struct ctz_host *host)
{
    struct ctz_processes *all = host->processes;
    if (!all)
        return;
    end_all(all);
    if (all->null_fd >= 0)
        close(all->null_fd);
    uv_close((uv_handle_t *)&all->child_signal, on_signal_closed);
    host->processes = NULL;
}

void ctz_processes_abandon(const struct ctz_host *host)
{
    if (!host->processes)
        return;
    for (const struct ctz_process *process = host->processes->first; process;
         process = process->next)
        if (!process->is_reaped)
            kill(-process->pid, SIGKILL);
}
