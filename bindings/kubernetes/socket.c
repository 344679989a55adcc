// socket.c: a WebSocket over an upgraded connection, as Lua has it: the pump, its waits, its pings.
// SPDX-License-Identifier: MIT
//
// The connection is driven from the loop, also while the recipe is busy: pings are answered and
// sent. One task reads; many may send: each has its turn after the message before it has gone.
// Source: client-go, tools/remotecommand/websocket.go: a ping every 5 s, silence of 60 s is an end;
// 50 s here, so that it is noticed within a minute.
#include <string.h>

#include "bindings/kubernetes/module.h"
#include "bindings/kubernetes/websocket.h"
#include "host/host.h"
#include "host/http/http.h"
#include "host/log.h"

#define SOCKET_CLASS "ctz.kubernetes.websocket"
#define WINDOW_BYTES (256 * CTZ_KIB)
#define PIECE_BYTES  (32 * CTZ_KIB) // of what is sent, in one message: kubectl's size
#define TURNS        64             // at once; others have theirs then
#define PING_S       5.0
#define SILENCE_S    50.0

struct socket;

struct receive_op {
    struct ctz_op op;
    struct socket *socket; // anchored by argument 1 of the waiting frame
};

struct send_op {
    struct ctz_op op;
    struct socket *socket;
    struct send_op *next, **link; // link NULL: has its turn behind it
    const char *bytes;            // argument 2 of the waiting frame
    size_t size;
    int channel;
    bool begun; // an empty message is one, too
};

/// Lives in a userdata.
struct socket {
    struct ctz_host *host;
    struct ctz_http_request *request; // owned; NULL once closed
    struct ws *ws;                    // owned
    struct receive_op *reader;
    struct send_op *writers, **writers_end; // FIFO
    struct ctz_timer ping;
    double ping_s, silence_s;
    uint64_t heard_ns, heard_bytes;
    bool channels, done;
};

// --- the connection ----------------------------------------------------------------------------

static ptrdiff_t io_result(ptrdiff_t result)
{
    return result == CTZ_HTTP_AGAIN ? WS_AGAIN : result < 0 ? WS_FAIL : result;
}

static ptrdiff_t io_recv(void *context, char *bytes, size_t size, struct ctz_error *err)
{
    struct socket *socket = context;
    return io_result(ctz_http_recv(socket->request, bytes, size, err));
}

static ptrdiff_t io_send(void *context, const char *bytes, size_t size, struct ctz_error *err)
{
    struct socket *socket = context;
    return io_result(ctz_http_send(socket->request, bytes, size, err));
}

static bool is_over(const struct socket *socket)
{
    return !socket->request || socket->done || ws_is_over(socket->ws);
}

// --- who waits ---------------------------------------------------------------------------------

static void leave_writers(struct send_op *op)
{
    struct socket *socket = op->socket;
    if (!op->link)
        return;
    *op->link = op->next;
    if (op->next)
        op->next->link = op->link;
    else
        socket->writers_end = op->link;
    op->link = NULL;
}

static void wake_reader(struct socket *socket)
{
    struct receive_op *op = socket->reader;
    if (!op || (!is_over(socket) && !ws_has_message(socket->ws)))
        return;
    socket->reader = NULL;
    ctz_op_settle(&op->op);
}

static void end_writer(struct send_op *op)
{
    leave_writers(op);
    ctz_op_settle(&op->op);
}

// Messages of the first who waits, as long as each goes out at once. True: some has to wait for
// room.
static bool send_pieces(struct socket *socket)
{
    struct send_op *op;
    while (!ws_transmit(socket->ws) && (op = socket->writers) && !is_over(socket)) {
        if (op->size == 0 && op->begun) {
            end_writer(op);
            continue;
        }
        size_t size = op->size < PIECE_BYTES ? op->size : PIECE_BYTES;
        if (ws_queue(socket->ws, op->channel, op->bytes, size, &op->op.err) < 0) {
            end_writer(op);
            continue;
        }
        op->begun = true;
        op->bytes += size;
        op->size -= size;
    }
    return ws_queued(socket->ws) > 0;
}

static void end_writers(struct socket *socket)
{
    while (socket->writers) {
        struct send_op *op = socket->writers;
        ctz_error_set(&op->op.err, CTZ_ERROR_UNREACHABLE, "the connection is closed");
        end_writer(op);
    }
}

static void pump(struct socket *socket)
{
    bool more, room;
    int turns = TURNS;
    do { // it stops to receive while answers to pings wait
        more = ws_receive(socket->ws);
        room = send_pieces(socket);
    } while (!more && !room && ws_has_room(socket->ws) && !is_over(socket) && --turns > 0);
    room |= turns == 0;
    if (more || room)
        ctz_http_watch(socket->request, more, room);
    if (is_over(socket))
        end_writers(socket);
    wake_reader(socket);
}

static void on_event(struct ctz_http_request *request, enum ctz_http_event event, void *context)
{
    struct socket *socket = context;
    if (event != CTZ_HTTP_DONE) {
        pump(socket);
        return;
    }
    if (!ws_error(socket->ws)->kind)
        ctz_error_move(ws_error(socket->ws), ctz_http_error(request));
    socket->done = true;
    end_writers(socket);
    wake_reader(socket);
}

// --- pings -------------------------------------------------------------------------------------

static void on_ping(struct ctz_timer *timer)
{
    struct socket *socket = CTZ_CONTAINER(timer, struct socket, ping);
    struct ctz_error err = {0};
    uint64_t now_ns = ctz_now(), bytes = ws_received(socket->ws);
    if (is_over(socket))
        return;
    if (bytes != socket->heard_bytes || ws_is_paused(socket->ws)) {
        socket->heard_bytes = bytes;
        socket->heard_ns = now_ns;
    }
    if ((double)(now_ns - socket->heard_ns) / 1e9 >= socket->silence_s)
        ctz_error_set(ws_error(socket->ws), CTZ_ERROR_UNREACHABLE,
                      "the server has said nothing for %g s, not even to pings", socket->silence_s);
    else if (ws_queued(socket->ws) == 0)
        ws_ping(socket->ws, &err);
    ctz_error_clear(&err);
    ctz_timer_start(socket->host, &socket->ping, ctz_due(socket->ping_s), on_ping);
    pump(socket);
}

// --- checks ------------------------------------------------------------------------------------

static struct socket *check_socket(lua_State *L)
{
    struct socket *socket = ctz_object_check(L, 1, SOCKET_CLASS);
    struct ctz_error err = {0};
    if (socket->request)
        return socket;
    ctz_error_set(&err, CTZ_ERROR_CONFLICT, "the WebSocket is closed");
    ctz_raise(L, &err);
    return NULL;
}

// --- receiving ---------------------------------------------------------------------------------

static int start_receive(struct ctz_op *base)
{
    struct receive_op *op = (struct receive_op *)base;
    struct socket *socket = op->socket;
    socket->reader = op;
    if (!ws_has_message(socket->ws) || ws_is_paused(socket->ws))
        pump(socket);
    else
        wake_reader(socket);
    return 0;
}

static void cancel_receive(struct ctz_op *base)
{
    struct receive_op *op = (struct receive_op *)base;
    if (op->socket->reader == op)
        op->socket->reader = NULL;
    ctz_op_settle(base);
}

// The memory of the message is Lua's to free, should a push raise.
static int push_message(lua_State *L, const struct socket *socket,
                        struct ws_message *const *take_message)
{
    const struct ws_message *message = *take_message;
    if (!socket->channels) {
        lua_pushlstring(L, message->bytes, message->size);
        lua_pushboolean(L, message->text);
    } else if (message->size == 0) {
        lua_pushinteger(L, -1);
        lua_pushliteral(L, "");
    } else {
        lua_pushinteger(L, (unsigned char)message->bytes[0]);
        lua_pushlstring(L, message->bytes + 1, message->size - 1);
    }
    return 2;
}

static int collect_message(lua_State *L)
{
    struct ws_message **slot = lua_touserdata(L, 1);
    ws_message_free(*slot);
    *slot = NULL;
    return 0;
}

static struct ws_message **new_slot(lua_State *L)
{
    struct ws_message **slot = lua_newuserdatauv(L, sizeof *slot, 0);
    *slot = NULL;
    if (luaL_newmetatable(L, SOCKET_CLASS ".message")) {
        lua_pushcfunction(L, collect_message);
        lua_setfield(L, -2, "__gc");
    }
    lua_setmetatable(L, -2);
    return slot;
}

static int push_end(lua_State *L, struct socket *socket)
{
    struct ctz_error err = {0};
    ctz_error_move(&err, ws_error(socket->ws));
    if (err.kind) {
        socket->done = true;
        return ctz_raise(L, &err);
    }
    lua_pushnil(L);
    lua_pushinteger(L, ws_close_code(socket->ws));
    lua_pushstring(L, ws_close_reason(socket->ws));
    return 3;
}

static int push_received(lua_State *L, struct ctz_op *op)
{
    struct socket *socket = ((struct receive_op *)op)->socket;
    if (!socket->request)
        return ctz_usage(L, "it was closed by another task");
    if (!ws_has_message(socket->ws))
        return push_end(L, socket);
    struct ws_message **slot = new_slot(L);
    *slot = ws_next(socket->ws);
    int results = push_message(L, socket, slot);
    ws_message_free(*slot);
    *slot = NULL;
    return results;
}

static const struct ctz_op_class receive_class = {.name = "waits for the API server",
                                                  .start = start_receive,
                                                  .cancel = cancel_receive,
                                                  .push = push_received};

// socket:receive() -> channel, bytes (with channels=true) or bytes, is_text; nil, code, reason at
// the end.
static int l_receive(lua_State *L)
{
    struct socket *socket = check_socket(L);
    if (socket->reader)
        return ctz_usage(L, "another task waits here already");
    lua_settop(L, 1);
    struct receive_op *op = ctz_op_new(L, &receive_class, sizeof *op);
    op->socket = socket;
    return ctz_await(L, op);
}

// --- sending -----------------------------------------------------------------------------------

static int start_send(struct ctz_op *base)
{
    struct send_op *op = (struct send_op *)base;
    struct socket *socket = op->socket;
    if (is_over(socket))
        return ctz_error_set(&base->err, CTZ_ERROR_UNREACHABLE, "the connection is closed");
    op->link = socket->writers_end;
    *socket->writers_end = op;
    socket->writers_end = &op->next;
    if (socket->writers == op)
        pump(socket);
    return 0;
}

static void cancel_send(struct ctz_op *base)
{
    leave_writers((struct send_op *)base);
    ctz_op_settle(base);
}

static const struct ctz_op_class send_class = {
    .name = "sends to the API server", .start = start_send, .cancel = cancel_send};

// socket:send(bytes, channel?) -> true: waits until they are sent.
static int l_send(lua_State *L)
{
    struct socket *socket = check_socket(L);
    size_t size;
    const char *bytes = ctz_check_string(L, 2, "bytes", &size);
    int channel =
        lua_isnoneornil(L, 3) ? -1 : (int)ctz_check_integer(L, 3, "channel", 0, UINT8_MAX);
    lua_settop(L, 2);
    struct send_op *op = ctz_op_new(L, &send_class, sizeof *op);
    op->socket = socket;
    op->bytes = bytes;
    op->size = size;
    op->channel = channel;
    return ctz_await(L, op);
}

// --- life --------------------------------------------------------------------------------------

static void close_socket(struct socket *socket)
{
    struct ctz_error err = {0};
    if (!socket->request)
        return;
    if (!is_over(socket)) { // a farewell, as far as the socket takes it at once
        ws_close(socket->ws, WS_CODE_NORMAL, &err);
        ws_transmit(socket->ws);
    }
    ctz_error_clear(&err);
    ctz_timer_stop(socket->host, &socket->ping);
    ctz_http_free(socket->request);
    socket->request = NULL;
    end_writers(socket);
    wake_reader(socket);
    ws_free(socket->ws);
    socket->ws = NULL;
}

static int l_close(lua_State *L)
{
    close_socket(ctz_object_check(L, 1, SOCKET_CLASS));
    lua_pushboolean(L, true);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct socket *socket = ctz_object_check(L, 1, SOCKET_CLASS);
    if (socket->request)
        ctz_log(socket->host, CTZ_LOG_DEBUG, "%s was not closed; it is now",
                ctz_http_url(socket->request));
    close_socket(socket);
    ws_free(socket->ws); // of one that was never opened
    socket->ws = NULL;
    return 0;
}

// websocket(connection, opts?) -> socket: takes a connection that was handed over after the
// handshake. opts: channels (the first byte of a message is one), ping, silence (seconds).
int kube_l_websocket(lua_State *L)
{
    static const char *const names[] = {"channels", "ping", "silence", NULL};
    lua_settop(L, 2);
    ctz_opts_check(L, 2, names);
    bool channels = ctz_opt_bool(L, 2, "channels", false);
    double ping_s = ctz_opt_seconds(L, 2, "ping", PING_S);
    double silence_s = ctz_opt_seconds(L, 2, "silence", SILENCE_S);
    struct socket *socket = ctz_object_new(L, SOCKET_CLASS, sizeof *socket, 0);
    struct ws_io io = {.recv = io_recv, .send = io_send, .context = socket};
    socket->host = ctz_host(L);
    socket->channels = channels;
    socket->ping_s = ping_s;
    socket->silence_s = silence_s;
    socket->writers_end = &socket->writers;
    size_t most = (size_t)ctz_limit(socket->host, CTZ_LIMIT_MESSAGE_BYTES);
    socket->ws = ws_new(&io, most, WINDOW_BYTES);
    if (!socket->ws)
        return ctz_http_no_memory(L);
    socket->request = ctz_http_take_handle(L, 1);
    socket->heard_ns = ctz_now();
    ctz_http_listen(socket->request, on_event, socket);
    if (ping_s > 0)
        ctz_timer_start(socket->host, &socket->ping, ctz_due(ping_s), on_ping);
    pump(socket);
    lua_settop(L, 3);
    return 1;
}

static const struct ctz_reg methods[] = {
    {"kubernetes.receive", l_receive, CTZ_CAP_HELD, 0, 0},
    {"kubernetes.send", l_send, CTZ_CAP_HELD, 0, 0},
    {"kubernetes.close", l_close, CTZ_CAP_HELD, 0, 0},
    {"kubernetes.__close", l_close, CTZ_CAP_HELD, 0, 0},
    {"kubernetes.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void kube_open_websocket(lua_State *L)
{
    ctz_class(L, SOCKET_CLASS, methods);
}
