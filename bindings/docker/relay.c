// relay.c: an engine behind ssh as a unix socket: each connection is a program of its own.
// SPDX-License-Identifier: MIT
//
// The accepted connection becomes the program's stdin and stdout, so no byte passes through here.
// The socket's file is gone before anybody else could find it: who connects goes by our own
// descriptor of it, /proc/self/fd/N. Nothing is left when we are killed; the programs die with us
// (host/spawn.c). They have no terminal, so ssh asks nobody for a password.
// Source: docker/cli, cli/connhelper: ssh ... docker system dial-stdio.
#include "bindings/docker/relay.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "host/alloc.h"
#include "host/door.h"
#include "host/host.h"
#include "host/luax.h"
#include "host/op.h"
#include "host/spawn.h"
#include "host/timer.h"

#define RELAY_CLASS "ctz.docker.relay"
#define MS_NS       UINT64_C(1000000)
#define WORDS_BYTES 512            // of the last line of stderr
#define FRESH_NS    (2000 * MS_NS) // so long the last failure explains a broken connection
#define ENDING_NS   (500 * MS_NS)  // so long the end of a program is waited for, to explain it
#define GRACE_MS    300            // between SIGTERM and SIGKILL, at the end of the run
#define BACKLOG     64

struct relay;

/// A descriptor that the loop watches.
struct watch {
    uv_poll_t handle;
    int fd;
};

struct child {
    struct relay *relay;
    struct child *next, **link;
    struct watch *end, *err; // owned, freed by their close callbacks: its end, its stderr
    int connection;          // shut down when the program ends, whoever else has it
    pid_t pid;
    size_t size;
    char text[WORDS_BYTES]; // the end of its stderr
};

struct relay {
    struct ctz_host *host;
    struct relay_command command;
    struct watch *listener; // owned
    int file;               // the socket's file, O_PATH
    struct child *children;
    struct relay_wait *waits;
    uint64_t failed_ns; // when a program failed last, 0: never
    char program[PATH_MAX];
    char path[32];           // of file
    char words[WORDS_BYTES]; // why it failed
};

// --- the command -------------------------------------------------------------------------------

static int no_url(const char *url, const char *reason, struct ctz_error *err)
{
    const char *rest = strrchr(url, '@'); // the part before it may hold a password
    ctz_error_set(err, CTZ_ERROR_USAGE, "%s%s: %s", rest ? "ssh://..." : "", rest ? rest : url,
                  reason);
    ctz_error_hint(err, "ssh://[USER@]HOST[:PORT]");
    return -1;
}

static bool is_plain(const char *text, const char *more)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr(more, *text))
            return false;
    return true;
}

// What is left of text behind the last or first `mark`, which ends the part before it; NULL: none.
static char *cut_at(char *mark)
{
    if (!mark)
        return NULL;
    *mark = '\0';
    return mark + 1;
}

static bool is_port(const char *text)
{
    size_t length = strlen(text);
    return length > 0 && length <= 5 && strspn(text, "0123456789") == length && atoi(text) > 0 &&
           atoi(text) <= UINT16_MAX;
}

static const char *check_parts(const char *user, const char *host, const char *port,
                               const char *path)
{
    if (user && (!*user || !is_plain(user, "._-+\\@")))
        return strchr(user, ':') ? "ssh takes no password here" : "that is no name of a user";
    if (!*host || *host == '-' || !is_plain(host, "._-:%"))
        return "that is no name of a host";
    if (port && !is_port(port))
        return "that is no port";
    if (path && !is_plain(path, "/._-"))
        return "that is no path of a socket";
    return NULL;
}

static void build(struct relay_command *command, const char *user, const char *host,
                  const char *port, const char *engine)
{
    const char **word = command->words;
    *word++ = "ssh";
    *word++ = "-T";
    *word++ = "-o";
    *word++ = "ConnectTimeout=30";
    if (user) {
        *word++ = "-l";
        *word++ = user;
    }
    if (port) {
        *word++ = "-p";
        *word++ = port;
    }
    *word++ = "--";
    *word++ = host;
    *word++ = "docker";
    if (engine)
        *word++ = engine; // one word: --host=unix://PATH
    *word++ = "system";
    *word++ = "dial-stdio";
    *word = NULL;
}

int relay_read_url(const char *url, struct relay_command *command, struct ctz_error *err)
{
    static const char scheme[] = "ssh://", option[] = "--host=unix://";
    memset(command, 0, sizeof *command);
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return no_url(url, "it is no address of ssh", err);
    size_t length = strlen(url);
    char *text = command->text = ctz_calloc(1, 2 * length + sizeof option + 2);
    if (!text)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    memcpy(text, url + sizeof scheme - 1, length - (sizeof scheme - 1));
    char *path = cut_at(strchr(text, '/'));
    char *host = cut_at(strrchr(text, '@')), *user = host ? text : NULL;
    host = host ? host : text;
    char *port = *host == '[' ? strchr(host, ']') : NULL;
    if (port) { // [::1]:22
        host++;
        *port++ = '\0';
        port = *port == ':' ? port + 1 : *port ? port : NULL;
    } else {
        port = cut_at(strchr(host, ':'));
    }
    const char *problem = check_parts(user, host, port, path);
    if (problem)
        return no_url(url, problem, err);
    char *engine = text + length + 1;
    if (path && *path)
        sprintf(engine, "%s/%s", option, path);
    build(command, user, host, port, *engine ? engine : NULL);
    return 0;
}

void relay_clear(struct relay_command *command)
{
    ctz_free(command->text);
    command->text = NULL;
}

// --- watching ----------------------------------------------------------------------------------

static void on_watch_closed(uv_handle_t *handle)
{
    ctz_free(CTZ_CONTAINER((uv_poll_t *)handle, struct watch, handle));
}

// Takes the descriptor, also on failure. It does not keep the loop alive.
static struct watch *watch_new(struct relay *relay, int take_fd, uv_poll_cb on_ready, void *owner)
{
    struct watch *watch = ctz_calloc(1, sizeof *watch);
    if (!watch || uv_poll_init(&relay->host->loop, &watch->handle, take_fd) < 0) {
        ctz_free(watch);
        close(take_fd);
        return NULL;
    }
    watch->fd = take_fd;
    watch->handle.data = owner;
    uv_poll_start(&watch->handle, UV_READABLE, on_ready);
    uv_unref((uv_handle_t *)&watch->handle);
    return watch;
}

static void watch_free(struct watch *watch)
{
    if (!watch)
        return;
    uv_close((uv_handle_t *)&watch->handle, on_watch_closed);
    close(watch->fd);
}

// --- why a connection broke --------------------------------------------------------------------

struct relay_wait {
    struct ctz_op op;
    struct relay *relay;
    struct relay_wait *next, **link;
    struct ctz_timer timer;
    char words[WORDS_BYTES]; // empty: no program failed
};

static void end_wait(struct relay_wait *wait)
{
    if (wait->link) {
        *wait->link = wait->next;
        if (wait->next)
            wait->next->link = wait->link;
        wait->link = NULL;
    }
    ctz_timer_stop(wait->op.host, &wait->timer);
    ctz_op_settle(&wait->op);
}

static void tell_waits(struct relay *relay)
{
    while (relay->waits) {
        memcpy(relay->waits->words, relay->words, sizeof relay->words);
        end_wait(relay->waits);
    }
}

static void on_too_late(struct ctz_timer *timer)
{
    end_wait(CTZ_CONTAINER(timer, struct relay_wait, timer));
}

static int start_wait(struct ctz_op *op)
{
    struct relay_wait *wait = (struct relay_wait *)op;
    struct relay *relay = wait->relay;
    if (relay->failed_ns && ctz_now() - relay->failed_ns < FRESH_NS) {
        memcpy(wait->words, relay->words, sizeof wait->words);
        ctz_op_settle(op);
        return 0;
    }
    wait->next = relay->waits;
    wait->link = &relay->waits;
    if (relay->waits)
        relay->waits->link = &wait->next;
    relay->waits = wait;
    ctz_timer_start(op->host, &wait->timer, ctz_now() + ENDING_NS, on_too_late);
    return 0;
}

static void cancel_wait(struct ctz_op *op)
{
    end_wait((struct relay_wait *)op);
}

static int push_words(lua_State *L, struct ctz_op *op)
{
    const struct relay_wait *wait = (const struct relay_wait *)op;
    lua_pushstring(L, wait->words[0] ? wait->words : NULL);
    return 1;
}

static const struct ctz_op_class wait_class = {
    .name = "waits for the end of ssh",
    .start = start_wait,
    .cancel = cancel_wait,
    .push = push_words,
};

static void note_failure(struct relay *relay, const char *words, size_t size)
{
    size = size < sizeof relay->words ? size : sizeof relay->words - 1;
    memcpy(relay->words, words, size);
    relay->words[size] = '\0';
    relay->failed_ns = ctz_now();
    tell_waits(relay);
}

// --- a program ---------------------------------------------------------------------------------

const char *relay_last_line(const char *text, size_t length, size_t *size)
{
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    size_t begin = length;
    while (begin > 0 && text[begin - 1] != '\n' && text[begin - 1] != '\r')
        begin--;
    *size = length - begin;
    return text + begin;
}

static void keep_end(struct child *child, const char *bytes, size_t size)
{
    if (size > sizeof child->text) {
        bytes += size - sizeof child->text;
        size = sizeof child->text;
    }
    size_t drop =
        child->size + size > sizeof child->text ? child->size + size - sizeof child->text : 0;
    memmove(child->text, child->text + drop, child->size - drop);
    child->size -= drop;
    memcpy(child->text + child->size, bytes, size);
    child->size += size;
}

// All that is there now. False at the end.
static bool read_stderr(struct child *child)
{
    char bytes[4096];
    ssize_t got;
    while ((got = read(child->err->fd, bytes, sizeof bytes)) > 0)
        keep_end(child, bytes, (size_t)got);
    return got < 0 && (errno == EAGAIN || errno == EINTR);
}

static void on_stderr(uv_poll_t *handle, int status, int events)
{
    (void)events;
    struct child *child = handle->data;
    if (status < 0 || !read_stderr(child))
        uv_poll_stop(handle);
}

static void child_free(struct child *child)
{
    *child->link = child->next;
    if (child->next)
        child->next->link = child->link;
    watch_free(child->end);
    watch_free(child->err);
    close(child->connection);
    ctz_free(child);
}

static void explain(const struct child *child, const siginfo_t *info)
{
    char text[64];
    size_t size;
    const char *line = relay_last_line(child->text, child->size, &size);
    if (size == 0) {
        bool by_signal = info->si_code != CLD_EXITED;
        snprintf(text, sizeof text, "ssh %s %d", by_signal ? "was ended by signal" : "ended with",
                 info->si_status);
        line = text;
        size = strlen(text);
    }
    note_failure(child->relay, line, size);
}

static void on_end(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct child *child = handle->data;
    siginfo_t info = {0};
    int result = waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG | WNOWAIT);
    if (result == 0 && info.si_pid == 0)
        return;
    kill(-child->pid, SIGTERM); // what it started; the zombie keeps the number
    waitpid(child->pid, NULL, 0);
    shutdown(child->connection, SHUT_RDWR);
    read_stderr(child);
    if (result == 0 && (info.si_code != CLD_EXITED || info.si_status != 0))
        explain(child, &info);
    child_free(child);
}

// Gives the program's descriptors to the loop; without memory for that it is ended.
static void look_after(struct child *child, int take_stderr)
{
    struct relay *relay = child->relay;
    int end = (int)syscall(SYS_pidfd_open, child->pid, 0);
    child->err = watch_new(relay, take_stderr, on_stderr, child);
    child->end = end < 0 ? NULL : watch_new(relay, end, on_end, child);
    child->next = relay->children;
    child->link = &relay->children;
    if (relay->children)
        relay->children->link = &child->next;
    relay->children = child;
    if (child->err && child->end)
        return;
    kill(-child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
    note_failure(relay, "out of memory", strlen("out of memory"));
    child_free(child);
}

static pid_t start_program(const struct relay *relay, int connection, int err_fd,
                           struct ctz_error *err)
{
    struct ctz_spawn spawn = {
        .path = relay->program,
        .arguments = relay->command.words,
        .fds = {connection, connection, err_fd},
        .has_no_terminal = true,
    };
    return ctz_spawn(&spawn, err);
}

// The connection becomes the child's when this goes well.
static int start_child(struct child *child, int connection, struct ctz_error *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return ctz_error_system(err, errno, "pipe");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    child->pid = start_program(child->relay, connection, ends[1], err);
    close(ends[1]);
    if (child->pid < 0) {
        close(ends[0]);
        return -1;
    }
    child->connection = connection;
    look_after(child, ends[0]);
    return 0;
}

static int serve(struct relay *relay, int connection, struct ctz_error *err)
{
    struct child *child = ctz_calloc(1, sizeof *child);
    if (!child)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    child->relay = relay;
    if (start_child(child, connection, err) == 0)
        return 0;
    ctz_free(child);
    return -1;
}

static void on_connection(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct relay *relay = handle->data;
    struct ctz_error err = {0};
    int connection = accept4(relay->listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (connection < 0)
        return;
    if (serve(relay, connection, &err) < 0) {
        const char *message = ctz_error_message(&err);
        note_failure(relay, message, strlen(message));
        close(connection);
    }
    ctz_error_clear(&err);
}

// --- the socket --------------------------------------------------------------------------------

// A listening socket whose file is unlinked, and our descriptor of that file.
static int bind_hidden(const char *folder, int listener, int *file, struct ctz_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int size = snprintf(address.sun_path, sizeof address.sun_path, "%s/s", folder);
    if (size < 0 || (size_t)size >= sizeof address.sun_path)
        return ctz_error_set(err, CTZ_ERROR_SIZE, "the path %s is too long", folder);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0)
        return ctz_error_system(err, errno, "%s", address.sun_path);
    *file = open(address.sun_path, O_PATH | O_CLOEXEC);
    int code = errno;
    unlink(address.sun_path);
    if (*file < 0)
        return ctz_error_system(err, code, "%s", address.sun_path);
    return listen(listener, BACKLOG) < 0 ? ctz_error_system(err, errno, "listen") : 0;
}

static int open_socket(int *listener, int *file, struct ctz_error *err)
{
    char folder[] = "/tmp/ctz-XXXXXX"; // 0700, and gone when we return
    *file = -1;
    *listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (*listener < 0)
        return ctz_error_system(err, errno, "socket");
    if (!mkdtemp(folder))
        return ctz_error_system(err, errno, "%s", folder);
    int result = bind_hidden(folder, *listener, file, err);
    rmdir(folder);
    return result;
}

static int relay_open(struct relay *relay, const char *url, struct ctz_error *err)
{
    int listener = -1;
    if (relay_read_url(url, &relay->command, err) < 0)
        return -1;
    if (ctz_find_program(relay->command.words[0], relay->program, err) < 0) {
        if (err->kind == CTZ_ERROR_NOT_FOUND)
            ctz_error_hint(err, "install it: apt-get install openssh-client");
        return -1;
    }
    if (open_socket(&listener, &relay->file, err) < 0) {
        if (listener >= 0)
            close(listener);
        return -1;
    }
    snprintf(relay->path, sizeof relay->path, "/proc/self/fd/%d", relay->file);
    relay->listener = watch_new(relay, listener, on_connection, relay);
    return relay->listener ? 0 : ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
}

static void signal_all(const struct relay *relay, int number)
{
    for (const struct child *child = relay->children; child; child = child->next)
        kill(-child->pid, number);
}

// They have lost their connections, so most have ended already.
static void end_children(struct relay *relay)
{
    signal_all(relay, SIGTERM);
    uint64_t due_ns = ctz_now() + GRACE_MS * MS_NS;
    for (struct child *child = relay->children; child; child = child->next) {
        struct pollfd end = {.fd = child->end->fd, .events = POLLIN};
        uint64_t now_ns = ctz_now();
        poll(&end, 1, now_ns < due_ns ? (int)((due_ns - now_ns) / MS_NS) : 0);
    }
    signal_all(relay, SIGKILL);
    while (relay->children) {
        waitpid(relay->children->pid, NULL, 0);
        child_free(relay->children);
    }
}

static void relay_close(struct relay *relay)
{
    while (relay->waits)
        end_wait(relay->waits);
    end_children(relay);
    watch_free(relay->listener);
    relay->listener = NULL;
    if (relay->file >= 0)
        close(relay->file);
    relay->file = -1;
    relay_clear(&relay->command);
}

// --- for Lua -----------------------------------------------------------------------------------

// docker.relay(url) -> relay. It lives as long as the run: its path is never another relay's.
int docker_l_relay(lua_State *L)
{
    const char *url = ctz_check_name(L, 1, "url");
    struct ctz_error err = {0};
    struct relay *relay = ctz_object_new(L, RELAY_CLASS, sizeof *relay, 0);
    relay->host = ctz_host(L);
    relay->file = -1;
    if (relay_open(relay, url, &err) < 0)
        return ctz_raise(L, &err);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, relay);
    return 1;
}

// relay:path() -> the path to connect to, for this process only
static int l_path(lua_State *L)
{
    const struct relay *relay = ctz_object_check(L, 1, RELAY_CLASS);
    lua_pushstring(L, relay->path);
    return 1;
}

// relay:why() -> the last line of what the program that failed just now had to say; nil
static int l_why(lua_State *L)
{
    struct relay *relay = ctz_object_check(L, 1, RELAY_CLASS);
    struct relay_wait *wait = ctz_op_new(L, &wait_class, sizeof *wait);
    wait->relay = relay;
    return ctz_await(L, wait);
}

static int l_collect(lua_State *L)
{
    relay_close(ctz_object_check(L, 1, RELAY_CLASS));
    return 0;
}

void docker_open_relay(lua_State *L)
{
    static const struct ctz_reg methods[] = {
        {"docker.relay.path", l_path, CTZ_CAP_HELD, 0, 0},
        {"docker.relay.why", l_why, CTZ_CAP_HELD, 0, 0},
        {"docker.relay.__gc", l_collect, CTZ_CAP_PURE, 0, 0},
        {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
    };
    ctz_class(L, RELAY_CLASS, methods);
}
