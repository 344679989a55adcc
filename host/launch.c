// launch.c: starting a program: its streams, its terminal, what it is called.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/buffer.h"
#include "host/host.h"
#include "host/input.h"
#include "host/output.h"
#include "host/program.h"
#include "host/spawn.h"
#include "host/task.h"

#define TITLE_MAX       80
#define END_OF_TERMINAL "\x04" // twice: once for the line, once for the end

// --- starting ----------------------------------------------------------------------------------

// Descriptors on the way to the child: closed here once it has them.
struct child_ends {
    int fds[3];
    bool owned[3];
};

static void close_ends(struct child_ends *ends)
{
    for (int i = 0; i < 3; i++)
        if (ends->owned[i])
            close(ends->fds[i]);
}

static int open_null(struct ctz_processes *all, struct ctz_error *err)
{
    if (all->null_fd < 0)
        all->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    return all->null_fd < 0 ? ctz_error_system(err, errno, "/dev/null") : 0;
}

static int open_file(const char *path, struct child_ends *ends, struct ctz_error *err)
{
    ends->fds[0] = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (ends->fds[0] < 0) {
        ctz_error_system(err, errno, "stdin from %s", path);
        ctz_error_target(err, path);
        return -1;
    }
    ends->owned[0] = true;
    return 0;
}

static int open_input_pipe(struct ctz_process *process, struct child_ends *ends,
                           struct ctz_error *err)
{
    int pipe[2];
    if (ctz_open_pipe(pipe, 1, err) < 0)
        return -1;
    ends->fds[0] = pipe[0];
    ends->owned[0] = true;
    process->in = ctz_output_new(process->host, pipe[1], err);
    return process->in ? 0 : -1;
}

static int open_output_pipe(struct ctz_process *process, int stream, struct child_ends *ends,
                            struct ctz_error *err)
{
    int pipe[2];
    if (ctz_open_pipe(pipe, 0, err) < 0)
        return -1;
    ends->fds[stream] = pipe[1];
    ends->owned[stream] = true;
    struct ctz_input **input = stream == CTZ_STDOUT ? &process->out : &process->err;
    *input = ctz_input_new(process->host, pipe[0], false, err);
    return *input ? 0 : -1;
}

static int open_terminal(struct ctz_process *process, const struct ctz_process_options *options,
                         struct child_ends *ends, struct ctz_error *err)
{
    int master, slave;
    if (ctz_open_pty(&master, &slave, options->rows, options->columns, err) < 0)
        return -1;
    ends->fds[0] = ends->fds[1] = ends->fds[2] = slave;
    ends->owned[0] = true;
    int writable = fcntl(master, F_DUPFD_CLOEXEC, 3); // the loop watches a descriptor once only
    process->out = ctz_input_new(process->host, master, false, err);
    if (writable < 0)
        return ctz_error_system(err, errno, "pseudo terminal");
    process->in = ctz_output_new(process->host, writable, err);
    return process->out && process->in ? 0 : -1;
}

static int open_output(struct ctz_process *process, int stream, enum ctz_stdio kind,
                       struct child_ends *ends, struct ctz_error *err)
{
    switch (kind) {
    case CTZ_STDIO_NULL:
        ends->fds[stream] = process->host->processes->null_fd;
        return 0;
    case CTZ_STDIO_OWN:
        ends->fds[stream] = stream;
        return 0;
    case CTZ_STDIO_SAME:
        ends->fds[stream] = ends->fds[CTZ_STDOUT];
        return 0;
    default:
        return open_output_pipe(process, stream, ends, err);
    }
}

static int open_streams(struct ctz_process *process, const struct ctz_process_options *options,
                        struct child_ends *ends, struct ctz_error *err)
{
    if (open_null(process->host->processes, err) < 0)
        return -1;
    if (options->terminal)
        return open_terminal(process, options, ends, err);
    if (options->in_file) {
        if (open_file(options->in_file, ends, err) < 0)
            return -1;
    } else if (options->in == CTZ_STDIO_STREAM) {
        if (open_input_pipe(process, ends, err) < 0)
            return -1;
    } else {
        ends->fds[0] = options->in == CTZ_STDIO_OWN ? 0 : process->host->processes->null_fd;
    }
    if (open_output(process, CTZ_STDOUT, options->out, ends, err) < 0)
        return -1;
    return open_output(process, CTZ_STDERR, options->err, ends, err);
}

static bool takes_terminal(const struct ctz_process *process,
                           const struct ctz_process_options *options)
{
    return options->in == CTZ_STDIO_OWN && !options->terminal &&
           !process->host->processes->foreground && tcgetpgrp(STDIN_FILENO) == getpgrp();
}

static void begin_input(struct ctz_process *process, struct ctz_input *input, enum ctz_stdio kind,
                        enum ctz_stream stream, uint64_t max_bytes)
{
    enum ctz_input_use use = kind == CTZ_STDIO_CAPTURE  ? CTZ_INPUT_KEEP
                             : kind == CTZ_STDIO_STREAM ? CTZ_INPUT_HOLD
                                                        : CTZ_INPUT_PASS;
    if (!input)
        return;
    ctz_input_pass_to(input, stream);
    ctz_input_begin(input, use, max_bytes, ctz_process_on_input, process);
}

// The text of stdin, and its end. Failing here is a lack of memory: the program sees a short input,
// so it is killed and the caller told.
static int begin_output(struct ctz_process *process, const struct ctz_process_options *options,
                        struct ctz_error *err)
{
    if (!process->in)
        return 0;
    bool ends = !options->terminal || options->in != CTZ_STDIO_STREAM || options->in_text;
    int result = ctz_output_queue(process->in, options->in_text, options->in_size);
    if (options->terminal && ends) {
        bool line_is_open = options->in_size && options->in_text[options->in_size - 1] != '\n';
        result |=
            ctz_output_queue(process->in, END_OF_TERMINAL END_OF_TERMINAL, line_is_open ? 2 : 1);
    } else if (options->in_text) {
        ctz_output_finish(process->in);
    }
    return result < 0 ? ctz_error_set(err, CTZ_ERROR_IO, "out of memory") : 0;
}

static char *make_title(const char *const *arguments)
{
    struct ctz_buffer title;
    ctz_buffer_init(&title, 4 * TITLE_MAX);
    for (size_t i = 0; arguments[i] && title.length < TITLE_MAX; i++)
        ctz_buffer_format(&title, "%s%.*s", i ? " " : "", TITLE_MAX, arguments[i]);
    if (title.length > TITLE_MAX) {
        title.length = TITLE_MAX;
        ctz_buffer_text(&title, "...");
    }
    return ctz_buffer_take(&title);
}

static int start(struct ctz_process *process, const struct ctz_process_options *options,
                 const char *path, struct child_ends *ends, struct ctz_error *err)
{
    struct ctz_spawn spawn = {
        .path = path,
        .arguments = options->arguments,
        .environment = options->environment,
        .folder = options->folder,
        .is_session = options->terminal,
        .takes_terminal = takes_terminal(process, options),
    };
    memcpy(spawn.fds, ends->fds, sizeof spawn.fds);
    ctz_egress_flush(process->host); // what was printed before is seen before
    process->started_ns = ctz_now();
    process->pid = ctz_spawn(&spawn, err);
    if (process->pid < 0) {
        if (spawn.takes_terminal)
            ctz_terminal_give(getpgrp());
        return -1;
    }
    if (spawn.takes_terminal)
        process->host->processes->foreground = process;
    ctz_process_list(process);
    return 0;
}

static int prepare(struct ctz_process *process, const struct ctz_process_options *options,
                   struct ctz_error *err)
{
    char path[PATH_MAX];
    struct child_ends ends = {.fds = {-1, -1, -1}};
    if (!process->title)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    if (ctz_processes_watch(process->host->processes, err) < 0)
        return -1;
    if (!options->path && ctz_find_program(options->arguments[0], path, err) < 0)
        return -1;
    int result = open_streams(process, options, &ends, err);
    if (result == 0)
        result = start(process, options, options->path ? options->path : path, &ends, err);
    close_ends(&ends);
    return result;
}

struct ctz_process *ctz_process_start(struct ctz_host *host,
                                      const struct ctz_process_options *options,
                                      struct ctz_error *err)
{
    struct ctz_process *process = ctz_calloc(1, sizeof *process);
    if (!process) {
        ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
        return NULL;
    }
    process->host = host;
    process->scope = host->current ? host->current->scope : NULL;
    process->references = 1;
    process->title = make_title(options->arguments);
    process->timeout_s = options->timeout_s;
    process->captures_out = options->out == CTZ_STDIO_CAPTURE;
    process->captures_err = options->err == CTZ_STDIO_CAPTURE;
    process->out_is_streamed = options->out == CTZ_STDIO_STREAM;
    process->err_is_streamed = options->err == CTZ_STDIO_STREAM;
    process->has_own_terminal = options->terminal;
    if (prepare(process, options, err) < 0) {
        ctz_process_unreference(process);
        return NULL;
    }
    begin_input(process, process->out, options->out, CTZ_STDOUT, options->max_bytes);
    begin_input(process, process->err, options->err, CTZ_STDERR, options->max_bytes);
    if (options->timeout_s > 0)
        ctz_timer_start(host, &process->deadline, ctz_due(options->timeout_s),
                        ctz_process_on_deadline);
    if (begin_output(process, options, err) < 0) {
        ctz_process_release(process);
        return NULL;
    }
    return process;
}

// --- what is known of it -----------------------------------------------------------------------

pid_t ctz_process_pid(const struct ctz_process *process)
{
    return process->pid;
}

const char *ctz_process_title(const struct ctz_process *process)
{
    return process->title;
}

struct ctz_input *ctz_process_output_of(struct ctz_process *process, enum ctz_stream stream)
{
    return stream == CTZ_STDOUT ? process->out : process->err;
}

bool ctz_process_is_streamed(const struct ctz_process *process, enum ctz_stream stream)
{
    return stream == CTZ_STDOUT ? process->out_is_streamed : process->err_is_streamed;
}

struct ctz_output *ctz_process_input_of(struct ctz_process *process)
{
    return process->in;
}

void ctz_process_close_stdin(struct ctz_process *process)
{
    if (!process->in)
        return;
    if (process->has_own_terminal) // it stays open: the program's output comes from it
        ctz_output_queue(process->in, END_OF_TERMINAL, 1);
    else
        ctz_output_finish(process->in);
}
