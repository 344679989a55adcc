// listen.c: a local port and the connections that come to it.
// SPDX-License-Identifier: MIT
//
// One op waits for whatever a descriptor may become: it is tried after every event. Reading and
// writing have a slot each, so that two tasks can carry both ways.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "bindings/kubernetes/module.h"
#include "host/alloc.h"
#include "host/buffer.h"
#include "host/host.h"

#define LISTENER_CLASS "ctz.kubernetes.listener"
#define STREAM_CLASS   "ctz.kubernetes.stream"
#define READ_BYTES     (32 * 1024)
#define BACKLOG        128

/// A descriptor that the loop watches; freed in its close callback.
struct watch {
    uv_poll_t handle;
    int fd;
};

struct wait_op;

/// Lives in a userdata: a port, or a connection. At most one task waits in each slot.
struct port {
    struct ctz_host *host;
    struct watch *watch; // owned; NULL once closed
    struct wait_op *reader, *writer;
};

struct wait_op {
    struct ctz_op op;
    struct port *port; // anchored by argument 1 of the waiting frame
    struct wait_op **slot;
    bool (*ready)(struct wait_op *op);
    char *data;        // owned: what was read
    const char *bytes; // to write: argument 2 of the waiting frame
    size_t size;
    int fd; // accepted, owned; -1: none
};

// --- waiting -----------------------------------------------------------------------------------

static void on_event(uv_poll_t *handle, int status, int events);

static void watch_again(struct port *port)
{
    int events = (port->reader ? UV_READABLE : 0) | (port->writer ? UV_WRITABLE : 0);
    if (!port->watch)
        return;
    if (events)
        uv_poll_start(&port->watch->handle, events, on_event);
    else
        uv_poll_stop(&port->watch->handle);
}

static void end_wait(struct wait_op *op)
{
    if (op->slot)
        *op->slot = NULL;
    op->slot = NULL;
    ctz_op_settle(&op->op);
}

static void try_op(struct wait_op *op)
{
    if (op && op->ready(op))
        end_wait(op);
}

static void on_event(uv_poll_t *handle, int status, int events)
{
    (void)status;
    (void)events;
    struct port *port = handle->data;
    try_op(port->reader);
    try_op(port->writer);
    watch_again(port);
}

static int start(struct ctz_op *base)
{
    struct wait_op *op = (struct wait_op *)base;
    *op->slot = op;
    try_op(op);
    watch_again(op->port);
    return 0;
}

static void cancel(struct ctz_op *base)
{
    struct wait_op *op = (struct wait_op *)base;
    struct port *port = op->port;
    end_wait(op);
    watch_again(port);
}

static void clear(struct ctz_op *base)
{
    struct wait_op *op = (struct wait_op *)base;
    ctz_free(op->data);
    if (op->fd >= 0)
        close(op->fd);
}

static void on_closed(uv_handle_t *handle)
{
    ctz_free(CTZ_CONTAINER((uv_poll_t *)handle, struct watch, handle));
}

static void close_slot(struct wait_op *op)
{
    if (!op)
        return;
    ctz_error_set(&op->op.err, CTZ_ERROR_CONFLICT, "it was closed by another task");
    end_wait(op);
}

static void close_port(struct port *port)
{
    struct watch *watch = port->watch;
    port->watch = NULL;
    close_slot(port->reader);
    close_slot(port->writer);
    if (!watch)
        return;
    uv_close((uv_handle_t *)&watch->handle, on_closed);
    close(watch->fd);
}

// Takes the descriptor, also when it raises. Pushes the object, which has to be made before.
static int open_port(lua_State *L, struct port *port, int take_fd)
{
    struct watch *watch = ctz_calloc(1, sizeof *watch);
    struct ctz_error err = {0};
    port->host = ctz_host(L);
    if (!watch || uv_poll_init(&port->host->loop, &watch->handle, take_fd) < 0) {
        ctz_free(watch);
        close(take_fd);
        ctz_error_set(&err, CTZ_ERROR_IO, "out of memory");
        return ctz_raise(L, &err);
    }
    watch->fd = take_fd;
    watch->handle.data = port;
    port->watch = watch;
    return 1;
}

static struct port *check_port(lua_State *L, const char *class)
{
    struct port *port = ctz_object_check(L, 1, class);
    struct ctz_error err = {0};
    if (port->watch)
        return port;
    ctz_error_set(&err, CTZ_ERROR_CONFLICT, "it is closed");
    ctz_raise(L, &err);
    return NULL;
}

static struct wait_op *new_op(lua_State *L, const struct ctz_op_class *class, struct port *port,
                              struct wait_op **slot, bool (*ready)(struct wait_op *op))
{
    if (*slot)
        ctz_usage(L, "another task waits here already");
    struct wait_op *op = ctz_op_new(L, class, sizeof *op);
    op->port = port;
    op->slot = slot;
    op->ready = ready;
    op->fd = -1;
    return op;
}

static bool would_block(int code)
{
    return code == EAGAIN || code == EINTR;
}

// --- a port ------------------------------------------------------------------------------------

static bool is_accepted(struct wait_op *op)
{
    op->fd = accept4(op->port->watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (op->fd >= 0)
        return true;
    if (would_block(errno) || errno == ECONNABORTED)
        return false;
    ctz_error_system(&op->op.err, errno, "accept");
    return true;
}

static int push_accepted(lua_State *L, struct ctz_op *base)
{
    struct wait_op *op = (struct wait_op *)base;
    struct port *port = ctz_object_new(L, STREAM_CLASS, sizeof *port, 0);
    int fd = op->fd;
    op->fd = -1;
    return open_port(L, port, fd);
}

static const struct ctz_op_class accept_class = {.name = "waits for a connection to a local port",
                                                 .start = start,
                                                 .cancel = cancel,
                                                 .push = push_accepted,
                                                 .clear = clear};

// listener:accept() -> stream
static int l_accept(lua_State *L)
{
    struct port *port = check_port(L, LISTENER_CLASS);
    return ctz_await(L, new_op(L, &accept_class, port, &port->reader, is_accepted));
}

// listener:port() -> integer
static int l_port(lua_State *L)
{
    const struct port *port = check_port(L, LISTENER_CLASS);
    struct sockaddr_storage name;
    socklen_t size = sizeof name;
    getsockname(port->watch->fd, (struct sockaddr *)&name, &size);
    in_port_t number = name.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&name)->sin6_port
                                                  : ((struct sockaddr_in *)&name)->sin_port;
    lua_pushinteger(L, ntohs(number));
    return 1;
}

// "127.0.0.1:80" or "[::1]:80". -1: it is neither.
static int read_address(const char *text, struct sockaddr_storage *name)
{
    char host[64];
    const char *colon = strrchr(text, ':');
    char *end = NULL;
    long port = colon ? strtol(colon + 1, &end, 10) : -1;
    bool six = *text == '[';
    size_t length = colon ? (size_t)(colon - text) : 0;
    if (port < 0 || port > UINT16_MAX || *end || length < 3 || length >= sizeof host ||
        (six && colon[-1] != ']'))
        return -1;
    snprintf(host, sizeof host, "%.*s", (int)length - 2 * six, text + six);
    memset(name, 0, sizeof *name);
    return six ? uv_ip6_addr(host, (int)port, (struct sockaddr_in6 *)name)
               : uv_ip4_addr(host, (int)port, (struct sockaddr_in *)name);
}

static int open_listener(const char *address, int *fd, struct ctz_error *err)
{
    struct sockaddr_storage name;
    if (read_address(address, &name) < 0)
        return ctz_error_set(err, CTZ_ERROR_USAGE,
                             "%s is no address with a port, such as 127.0.0.1:8080", address);
    *fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0)
        return ctz_error_system(err, errno, "socket");
    int on = 1;
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    socklen_t size =
        name.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    if (bind(*fd, (struct sockaddr *)&name, size) == 0 && listen(*fd, BACKLOG) == 0)
        return 0;
    ctz_error_system(err, errno, "%s", address);
    close(*fd);
    return -1;
}

// listen("127.0.0.1:0") -> listener
int kube_l_listen(lua_State *L)
{
    const char *address = ctz_check_name(L, 1, "address");
    struct port *port = ctz_object_new(L, LISTENER_CLASS, sizeof *port, 0);
    struct ctz_error err = {0};
    int fd;
    if (open_listener(address, &fd, &err) < 0)
        return ctz_raise(L, &err);
    return open_port(L, port, fd);
}

// --- a connection ------------------------------------------------------------------------------

static bool is_read(struct wait_op *op)
{
    if (!op->data && !(op->data = ctz_malloc(READ_BYTES))) {
        ctz_error_set(&op->op.err, CTZ_ERROR_IO, "out of memory");
        return true;
    }
    ssize_t got = recv(op->port->watch->fd, op->data, READ_BYTES, 0);
    if (got < 0 && would_block(errno))
        return false;
    if (got < 0)
        ctz_error_system(&op->op.err, errno, "the local connection");
    op->size = got < 0 ? 0 : (size_t)got;
    return true;
}

static int push_read(lua_State *L, struct ctz_op *base)
{
    struct wait_op *op = (struct wait_op *)base;
    if (op->size > 0)
        lua_pushlstring(L, op->data, op->size);
    else
        lua_pushnil(L);
    return 1;
}

static const struct ctz_op_class read_class = {.name = "reads a local connection",
                                               .start = start,
                                               .cancel = cancel,
                                               .push = push_read,
                                               .clear = clear};

// stream:read() -> bytes | nil: at the end
static int l_read(lua_State *L)
{
    struct port *port = check_port(L, STREAM_CLASS);
    return ctz_await(L, new_op(L, &read_class, port, &port->reader, is_read));
}

static bool is_written(struct wait_op *op)
{
    while (op->size > 0) {
        ssize_t sent = send(op->port->watch->fd, op->bytes, op->size, MSG_NOSIGNAL);
        if (sent < 0 && would_block(errno))
            return false;
        if (sent < 0) {
            ctz_error_system(&op->op.err, errno, "the local connection");
            return true;
        }
        op->bytes += sent;
        op->size -= (size_t)sent;
    }
    return true;
}

static const struct ctz_op_class write_class = {
    .name = "writes to a local connection", .start = start, .cancel = cancel, .clear = clear};

// stream:write(bytes) -> true
static int l_write(lua_State *L)
{
    struct port *port = check_port(L, STREAM_CLASS);
    size_t size;
    const char *bytes = ctz_check_string(L, 2, "bytes", &size);
    lua_settop(L, 2);
    struct wait_op *op = new_op(L, &write_class, port, &port->writer, is_written);
    op->bytes = bytes;
    op->size = size;
    return ctz_await(L, op);
}

// stream:finish() -> true: we send no more
static int l_finish(lua_State *L)
{
    shutdown(check_port(L, STREAM_CLASS)->watch->fd, SHUT_WR);
    lua_pushboolean(L, true);
    return 1;
}

// --- life --------------------------------------------------------------------------------------

static int l_close_listener(lua_State *L)
{
    close_port(ctz_object_check(L, 1, LISTENER_CLASS));
    lua_pushboolean(L, true);
    return 1;
}

static int l_close_stream(lua_State *L)
{
    close_port(ctz_object_check(L, 1, STREAM_CLASS));
    lua_pushboolean(L, true);
    return 1;
}

void kube_open_listener(lua_State *L)
{
    static const struct ctz_reg listener[] = {
        {"kubernetes.accept", l_accept, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.port", l_port, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.close", l_close_listener, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.__close", l_close_listener, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.__gc", l_close_listener, CTZ_CAP_HELD, 0, 0},
        {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
    };
    static const struct ctz_reg stream[] = {
        {"kubernetes.read", l_read, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.write", l_write, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.finish", l_finish, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.close", l_close_stream, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.__close", l_close_stream, CTZ_CAP_HELD, 0, 0},
        {"kubernetes.__gc", l_close_stream, CTZ_CAP_HELD, 0, 0},
        {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
    };
    ctz_class(L, LISTENER_CLASS, listener);
    ctz_class(L, STREAM_CLASS, stream);
}
