// process.h: a program that runs: its three streams, its end, and how it is made to end.
// SPDX-License-Identifier: MIT
//
// Each program leads a process group of its own. It is killed (SIGTERM, after a grace of 2 s
// SIGKILL) when its handle is closed before it has ended. The handle lives until
// ctz_process_release, the program's record until it has been reaped as well.
#ifndef CTZ_PROCESS_H
#define CTZ_PROCESS_H

#include <lua.h>
#include <sys/types.h>

#include "host/api.h"
#include "host/egress.h"
#include "host/error.h"
#include "host/op.h"

struct ctz_host;
struct ctz_process;
struct ctz_input;
struct ctz_output;
struct ctz_scope;

enum ctz_stdio {
    CTZ_STDIO_NULL,    // the null device
    CTZ_STDIO_CAPTURE, // a pipe whose bytes are all kept for the result
    CTZ_STDIO_STREAM,  // a pipe that a reader, or a writer, takes part by part
    CTZ_STDIO_PASS,    // a pipe whose lines are printed through the egress
    CTZ_STDIO_OWN,     // our own descriptor
    CTZ_STDIO_SAME,    // stderr goes where stdout goes
};

/// What to run; everything is borrowed until ctz_process_start returns.
struct ctz_process_options {
    const char *const *arguments;   // ends with NULL; the first is the program
    const char *path;               // its file; NULL: PATH is searched
    const char *const *environment; // ends with NULL; NULL: ours
    const char *folder;             // NULL: ours
    enum ctz_stdio in, out, err;
    const char *in_file; // with in = NULL: a file instead of the null device
    const char *in_text; // with in = STREAM: written, then closed
    size_t in_size;
    uint64_t max_bytes; // of each captured stream
    double timeout_s;   // 0: none
    bool terminal;      // a pseudo terminal; err is then SAME
    unsigned rows, columns;
};

/// Starts it. NULL with err set when it cannot be started.
CTZ_API struct ctz_process *ctz_process_start(struct ctz_host *host,
                                              const struct ctz_process_options *options,
                                              struct ctz_error *err);
/// Lets go. What still runs is killed, in the background.
CTZ_API void ctz_process_release(struct ctz_process *process);

/// Lets go of a handle that was collected: says so at debug level when the program still runs.
CTZ_API void ctz_process_collect(struct ctz_process *process);
/// Sends a signal to its group; nothing happens when it has ended.
CTZ_API void ctz_process_signal(struct ctz_process *process, int number);
/// SIGTERM now, SIGKILL after the grace.
CTZ_API void ctz_process_kill(struct ctz_process *process);

CTZ_API pid_t ctz_process_pid(const struct ctz_process *process);
/// "git tag -l ...", shortened.
CTZ_API const char *ctz_process_title(const struct ctz_process *process);
/// NULL when that stream has no pipe.
CTZ_API struct ctz_input *ctz_process_output_of(struct ctz_process *process,
                                                enum ctz_stream stream);
CTZ_API bool ctz_process_is_streamed(const struct ctz_process *process, enum ctz_stream stream);
CTZ_API struct ctz_output *ctz_process_input_of(struct ctz_process *process);
CTZ_API void ctz_process_close_stdin(struct ctz_process *process);
/// A reader's streams are from now on kept for the result.
CTZ_API void ctz_process_keep_rest(struct ctz_process *process);

// --- its end -----------------------------------------------------------------------------------

struct ctz_process_result {
    int exit_code; // 128 + signal when a signal ended it
    int signal;    // 0: none
    double seconds;
    const char *out, *err; // borrowed from the process; NULL: not captured
    size_t out_size, err_size;
};

/// Ops that wait for a process: the first member of what a class allocates.
struct ctz_process_wait {
    struct ctz_op op;
    struct ctz_process *process; // referenced
    struct ctz_process_wait *next, **link;
    bool gone;     // waits until nothing of it is left
    bool is_owner; // lets go of the handle as well
};

/// For op classes. start settles when the program has ended and its pipes are read to their end
/// (what it left behind may hold them open for a second of silence), with op->err set when it ran
/// into its timeout or the cap on captured bytes.
CTZ_API int ctz_process_wait_start(struct ctz_op *op);
CTZ_API void ctz_process_wait_cancel(struct ctz_op *op);
CTZ_API void ctz_process_wait_clear(struct ctz_op *op);
CTZ_API void *ctz_process_wait_new(lua_State *L, const struct ctz_op_class *class, size_t size,
                                   struct ctz_process *process);
/// The same, and takes the handle.
void *ctz_process_wait_owner(lua_State *L, const struct ctz_op_class *class,
                             struct ctz_process *take_process);
CTZ_API void ctz_process_result(const struct ctz_process *process,
                                struct ctz_process_result *result);
/// Kind exit, with code and the end of stderr, when it did not end with 0. 0 or -1.
CTZ_API int ctz_process_check(const struct ctz_process *process, struct ctz_error *err);

/// Starts a program for the length of the running C function: pushes a guard, which closes it when
/// the function returns or raises, and owns it. Raises when it cannot be started. The caller has
/// nothing above the guard that it must close.
CTZ_API struct ctz_process *ctz_process_guarded(lua_State *L,
                                                const struct ctz_process_options *options);
/// For __close: kills it and waits until nothing of it is left; where nobody can wait, kills only.
CTZ_API int ctz_process_close(lua_State *L, struct ctz_process *process);
/// Under --dry-run and --simulate a program runs only when --allow run=PROGRAM names it; raises.
CTZ_API void ctz_process_allow(lua_State *L, const char *program);

// --- of the run --------------------------------------------------------------------------------

int ctz_processes_open(struct ctz_host *host);
/// Kills what is left and waits for it within the grace; then frees.
void ctz_processes_close(struct ctz_host *host);
/// Kills what was started in this scope, which ends now.
void ctz_processes_end_scope(struct ctz_host *host, const struct ctz_scope *scope);
/// SIGKILL to all; safe in a signal handler.
void ctz_processes_abandon(const struct ctz_host *host);

#endif
