// spawn.c: starting one program.
// SPDX-License-Identifier: MIT
//
// vfork and not uv_spawn: uv_spawn can neither take a controlling terminal nor tie the child's life
// to ours, and its pipe for the error of exec costs a tenth of a short program's time
// (docs/decisions/006-own-spawn.md). The child shares our memory until it calls execve, so all
// signals are blocked meanwhile and child_main calls only what is safe there.
#include "host/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "host/alloc.h"

#define DEFAULT_PATH "/usr/local/bin:/usr/bin:/bin"

// --- finding -----------------------------------------------------------------------------------

static bool is_program(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
}

static int check_program(const char *path, struct ctz_error *err)
{
    struct stat facts;
    if (stat(path, &facts) < 0)
        return ctz_error_system(err, errno, "%s", path);
    if (S_ISDIR(facts.st_mode))
        return ctz_error_set(err, CTZ_ERROR_DENIED, "%s is a directory, not a program", path);
    if (access(path, X_OK) < 0) {
        ctz_error_system(err, errno, "%s", path);
        ctz_error_hint(err, "it is not executable; chmod +x %s", path);
        return -1;
    }
    return 0;
}

static int not_in_path(const char *name, const char *folders, struct ctz_error *err)
{
    ctz_error_set(err, CTZ_ERROR_NOT_FOUND, "no program \"%s\"", name);
    ctz_error_target(err, name);
    ctz_error_code(err, "ENOENT");
    ctz_error_hint(err,
                   strchr(name, ' ') ? "arguments are separate strings: {\"git\", \"tag\"}; "
                                       "looked in PATH: %s"
                                     : "looked in PATH: %s",
                   folders);
    return -1;
}

int ctz_find_program(const char *name, char path[PATH_MAX], struct ctz_error *err)
{
    size_t length = strlen(name);
    if (length == 0)
        return ctz_error_set(err, CTZ_ERROR_USAGE, "the program's name is empty");
    if (length >= NAME_MAX && !strchr(name, '/'))
        return ctz_error_set(err, CTZ_ERROR_SIZE, "the program's name has %zu bytes", length);
    if (strchr(name, '/')) {
        if (length >= PATH_MAX)
            return ctz_error_set(err, CTZ_ERROR_SIZE, "the program's path has %zu bytes", length);
        memcpy(path, name, length + 1);
        return 0; // exec tells, seen from the folder the program starts in
    }
    const char *folders = getenv("PATH");
    if (!folders)
        folders = DEFAULT_PATH;
    char unusable[PATH_MAX] = "";
    for (const char *folder = folders; *folder;) {
        size_t size = strcspn(folder, ":");
        if (size > 0 && folder[0] == '/' && size + 1 + length < PATH_MAX) {
            memcpy(path, folder, size);
            path[size] = '/';
            memcpy(path + size + 1, name, length + 1);
            if (is_program(path)) {
                if (access(path, X_OK) == 0)
                    return 0;
                memcpy(unusable, path, size + 1 + length + 1);
            }
        }
        folder += size + (folder[size] == ':');
    }
    return *unusable ? check_program(unusable, err) : not_in_path(name, folders, err);
}

// --- pipes and terminals -----------------------------------------------------------------------

static int no_descriptor(struct ctz_error *err, const char *what)
{
    int code = errno;
    ctz_error_system(err, code, "%s", what);
    if (code == EMFILE || code == ENFILE)
        ctz_error_hint(err, "too many files are open; close some, or raise `ulimit -n`");
    return -1;
}

int ctz_open_pipe(int ends[2], int ours, struct ctz_error *err)
{
    int fault = CTZ_FAULT("pipe");
    if (fault)
        errno = fault;
    if (fault || pipe2(ends, O_CLOEXEC) < 0)
        return no_descriptor(err, "pipe");
    fcntl(ends[ours], F_SETFL, O_NONBLOCK);
    return 0;
}

// The terminal is there so that programs behave as for people, not to change their bytes.
static void keep_bytes(int slave)
{
    struct termios modes;
    if (tcgetattr(slave, &modes) < 0)
        return;
    modes.c_oflag &= ~(tcflag_t)ONLCR;
    modes.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(slave, TCSANOW, &modes);
}

int ctz_open_pty(int *master, int *slave, unsigned rows, unsigned columns, struct ctz_error *err)
{
    struct winsize size = {.ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns};
    char name[64];
    *slave = -1;
    *master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (*master >= 0 && grantpt(*master) == 0 && unlockpt(*master) == 0 &&
        ptsname_r(*master, name, sizeof name) == 0)
        *slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0) {
        no_descriptor(err, "pseudo terminal");
        if (*master >= 0)
            close(*master);
        return -1;
    }
    ioctl(*slave, TIOCSWINSZ, &size);
    keep_bytes(*slave);
    return 0;
}

// --- the child ---------------------------------------------------------------------------------

enum stage { STAGE_FDS, STAGE_FOLDER, STAGE_EXEC };

struct child {
    const struct ctz_spawn *spawn;
    int fds[3];
    volatile enum stage stage; // where it failed
    volatile int error;        // errno, 0: it runs
};

// What we handle or ignore means nothing to another program. Handlers must be gone before signals
// are let through again: they would run on our memory.
static void reset_signals(void)
{
    static const int changed[] = {SIGINT,  SIGTERM, SIGHUP,   SIGUSR1, SIGALRM,
                                  SIGPIPE, SIGCHLD, SIGWINCH, SIGTTOU};
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < CTZ_COUNT(changed); i++)
        sigaction(changed[i], &action, NULL);
}

static void join_group(const struct ctz_spawn *spawn)
{
    if (spawn->is_session) {
        setsid();
        ioctl(spawn->fds[0], TIOCSCTTY, 0);
        return;
    }
    if (spawn->has_no_terminal) {
        setsid();
        return;
    }
    setpgid(0, 0);
    if (spawn->takes_terminal) // SIGTTOU is blocked
        tcsetpgrp(spawn->fds[0], getpid());
}

// fds[i] becomes descriptor i. One that stands where another goes is moved away first.
static int place_fds(struct child *child)
{
    for (int i = 0; i < 3; i++) {
        int fd = child->fds[i];
        if (fd < 3 && fd != i && (child->fds[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0)
            return -1;
    }
    for (int i = 0; i < 3; i++) {
        int fd = child->fds[i];
        if (fd == i ? fcntl(fd, F_SETFD, 0) < 0 : dup2(fd, i) < 0)
            return -1;
    }
    // Lua's own io.open leaves its files open across exec.
    syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
    return 0;
}

__attribute__((noinline, no_sanitize("address", "undefined"))) static void
child_main(struct child *child)
{
    const struct ctz_spawn *spawn = child->spawn;
    reset_signals();
    join_group(spawn);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    child->stage = STAGE_FDS;
    if (place_fds(child) == 0) {
        child->stage = STAGE_FOLDER;
        if (!spawn->folder || chdir(spawn->folder) == 0) {
            sigset_t none;
            sigemptyset(&none);
            sigprocmask(SIG_SETMASK, &none, NULL);
            child->stage = STAGE_EXEC;
            execve(spawn->path, (char *const *)spawn->arguments,
                   spawn->environment ? (char *const *)spawn->environment : environ);
        }
    }
    child->error = errno;
}

__attribute__((noinline)) static pid_t start_child(struct child *child)
{
    pid_t pid = vfork();
    if (pid == 0) {
        child_main(child);
        _exit(127);
    }
    return pid;
}

static int explain(const struct child *child, struct ctz_error *err)
{
    const struct ctz_spawn *spawn = child->spawn;
    int code = child->error;
    if (child->stage == STAGE_FDS)
        return ctz_error_system(err, code, "%s: standard streams", spawn->arguments[0]);
    if (child->stage == STAGE_FOLDER) {
        ctz_error_system(err, code, "%s: folder %s", spawn->arguments[0], spawn->folder);
        ctz_error_target(err, spawn->folder);
        return -1;
    }
    ctz_error_system(err, code, "%s", spawn->path);
    ctz_error_target(err, spawn->path);
    if (code == ENOENT && is_program(spawn->path))
        ctz_error_hint(err, "the file is there: the interpreter its first line or its header "
                            "names is not");
    else if (code == ENOEXEC)
        ctz_error_hint(err, "not a program; a script begins with #!/bin/sh or its like");
    else if (code == EACCES)
        ctz_error_hint(err, "it is not executable; chmod +x %s", spawn->path);
    else if (code == E2BIG)
        ctz_error_hint(err, "hand large data over by stdin or a file");
    return -1;
}

pid_t ctz_spawn(const struct ctz_spawn *spawn, struct ctz_error *err)
{
    struct child child = {.spawn = spawn};
    memcpy(child.fds, spawn->fds, sizeof child.fds);
    int fault = CTZ_FAULT("spawn");
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fault ? -1 : start_child(&child);
    int code = fault ? fault : errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (pid < 0) {
        ctz_error_system(err, code, "%s", spawn->arguments[0]);
        ctz_error_hint(err, "the system has no room for one more process");
        err->retryable = true;
        return -1;
    }
    if (!child.error)
        return pid;
    waitpid(pid, NULL, 0);
    return explain(&child, err);
}
