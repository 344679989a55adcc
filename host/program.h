// program.h: a program's record, for process.c, launch.c, terminal.c and processlua.c alone.
// SPDX-License-Identifier: MIT
#ifndef CTZ_PROGRAM_H
#define CTZ_PROGRAM_H

#include <uv.h>

#include "host/process.h"
#include "host/timer.h"

/// All programs of a run.
struct ctz_processes {
    uv_signal_t child_signal;
    struct ctz_process *first;      // all that are not gone
    struct ctz_process *foreground; // who has our terminal
    int null_fd;                    // -1 until the first use
    bool watches;
};

struct ctz_process {
    struct ctz_host *host;
    struct ctz_process *next, **link; // of ctz_processes; link is NULL once it is gone
    char *title;                      // owned
    struct ctz_input *out, *err;      // owned; NULL: no pipe
    struct ctz_output *in;            // owned; NULL: no pipe
    const struct ctz_scope *scope;    // it ends with it; compared, never followed
    struct ctz_process_wait *waits;
    struct ctz_timer deadline, kill_timer, pipe_timer;
    uint64_t started_ns, ended_ns, kill_ns, pipe_total;
    double timeout_s;
    pid_t pid;
    int exit_code, signal;
    unsigned references;
    bool is_ended;       // its exit is known
    bool is_reaped;      // until then it is a zombie, and its number its own
    bool is_killed;      // SIGTERM was sent, SIGKILL follows
    bool is_killed_hard; // SIGKILL was sent
    bool is_gone;        // nothing of it is left, or it cannot be ended
    bool is_lost;        // somebody else took its exit code
    bool timed_out, wanted_terminal;
    bool captures_out, captures_err; // for the result
    bool out_is_streamed, err_is_streamed;
    bool has_own_terminal;
};

/// Lets go of one reference.
void ctz_process_unreference(struct ctz_process *process);
/// Is started: it is looked after until it is gone.
void ctz_process_list(struct ctz_process *process);
/// After each thing that happened to it: is it done, has somebody waited for that?
void ctz_process_look(struct ctz_process *process);
/// For its inputs.
void ctz_process_on_input(void *process);
void ctz_process_on_deadline(struct ctz_timer *timer);
void ctz_process_signal_group(const struct ctz_process *process, int number);
int ctz_processes_watch(struct ctz_processes *all, struct ctz_error *err);

// --- our terminal (terminal.c) -----------------------------------------------------------------

/// Makes a process group the foreground of our terminal.
void ctz_terminal_give(pid_t group);
/// The program has ended; by_signal: what ended it, 0: none.
void ctz_terminal_take_back(struct ctz_process *process, int by_signal);
/// It was stopped by a signal.
void ctz_terminal_stopped(struct ctz_process *process, int number);

#endif
