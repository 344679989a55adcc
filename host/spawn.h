// spawn.h: starting one program: argv only, no shell. Knows no loop and no Lua.
// SPDX-License-Identifier: MIT
#ifndef CTZ_SPAWN_H
#define CTZ_SPAWN_H

#include <limits.h>
#include <sys/types.h>

#include "host/api.h"
#include "host/error.h"

/// What to start; everything is borrowed until ctz_spawn returns.
struct ctz_spawn {
    const char *path;               // the file, as ctz_find_program gives it
    const char *const *arguments;   // ends with NULL; the first is the program's own name
    const char *const *environment; // ends with NULL; NULL: ours
    const char *folder;             // NULL: ours
    int fds[3];                     // what becomes its stdin, stdout and stderr
    bool is_session;                // fds[0] is a pseudo terminal: becomes its controlling one
    bool takes_terminal;            // fds[0] is our terminal: its group becomes the foreground
    bool has_no_terminal;           // leads a session without one: it can ask nobody
};

/// Starts it as the leader of a process group of its own, to be killed when ctz dies. The pid, or
/// -1 with err set, also when the program file cannot be executed.
CTZ_API pid_t ctz_spawn(const struct ctz_spawn *spawn, struct ctz_error *err);

/// The executable that `name` means: a name with a slash is a path, else PATH is searched (its
/// relative folders are passed over). not_found or denied tell what was looked at.
CTZ_API int ctz_find_program(const char *name, char path[PATH_MAX], struct ctz_error *err);

/// A pseudo terminal without echo and newline translation; both ends close on exec.
int ctz_open_pty(int *master, int *slave, unsigned rows, unsigned columns, struct ctz_error *err);
/// Two ends of a pipe that close on exec; the one at index `ours` does not block.
int ctz_open_pipe(int ends[2], int ours, struct ctz_error *err);

#endif
