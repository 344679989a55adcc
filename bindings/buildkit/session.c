// session.c: a build's session over a connection: the pump between the socket and the server.
// SPDX-License-Identifier: MIT
//
// The connection is driven from the loop, also while the recipe is busy: pings and health checks
// are answered in time. What only the recipe knows is asked for by session:next().
#include <string.h>

#include "bindings/buildkit/module.h"
#include "bindings/buildkit/server.h"
#include "bindings/buildkit/tunnel.h"
#include "host/http/http.h"
#include "host/secrets.h"

#define SESSION_CLASS "ctz.buildkit.session"
#define READ_BYTES    16384
#define READS         64           // at once; others have their turn then
#define FIELDS        16           // headers of the call
#define SECRET_BYTES  (500 * 1024) // as BuildKit's own client has it

struct session_op {
    struct ctz_op op;
    struct session *session;                      // anchored by argument 1 of the waiting frame
    bool (*ready)(const struct session *session); // what it waits for
};

/// Lives in a userdata.
struct session {
    struct ctz_host *host;
    struct ctz_http_request *request; // owned; NULL once closed
    struct bk_server *server;         // owned
    struct bk_tunnel *tunnel;         // owned; NULL: the server is on the connection itself
    const uint8_t *out;               // to be sent; borrowed from the tunnel or the server
    size_t out_size;
    struct session_op *waiting;
    struct ctz_error err;   // why it is over, told once
    struct ctz_timer again; // there was more than one turn reads
    bool over;
};

// --- the pump ----------------------------------------------------------------------------------

static int feed(struct session *session, const uint8_t *bytes, size_t size)
{
    return session->tunnel ? bk_tunnel_feed(session->tunnel, bytes, size, &session->err)
                           : bk_server_feed(session->server, bytes, size, &session->err);
}

static ptrdiff_t pull(struct session *session)
{
    return session->tunnel ? bk_tunnel_pull(session->tunnel, &session->out, &session->err)
                           : bk_server_pull(session->server, &session->out, &session->err);
}

static void on_again(struct ctz_timer *timer);

static void receive(struct session *session)
{
    char bytes[READ_BYTES];
    for (int i = 0; i < READS && !session->over; i++) {
        ptrdiff_t got = ctz_http_recv(session->request, bytes, sizeof bytes, &session->err);
        if (got == CTZ_HTTP_AGAIN) {
            ctz_http_watch(session->request, true, false);
            return;
        }
        session->over = got <= 0 || feed(session, (const uint8_t *)bytes, (size_t)got) < 0;
    }
    if (!session->over)
        ctz_timer_start(session->host, &session->again, ctz_now(), on_again);
}

// What is to be sent goes out also when the session is over: it tells the engine why.
static void transmit(struct session *session)
{
    for (;;) {
        if (session->out_size == 0) {
            ptrdiff_t size = pull(session);
            session->over |= size < 0;
            if (size <= 0)
                return;
            session->out_size = (size_t)size;
        }
        ptrdiff_t sent = ctz_http_send(session->request, (const char *)session->out,
                                       session->out_size, &session->err);
        if (sent == CTZ_HTTP_AGAIN) {
            ctz_http_watch(session->request, false, true);
            return;
        }
        if (sent < 0) {
            session->over = true;
            return;
        }
        session->out += sent;
        session->out_size -= (size_t)sent;
    }
}

static bool has_ended(const struct session *session)
{
    return session->over || (session->tunnel ? bk_tunnel_is_over(session->tunnel)
                                             : bk_server_is_over(session->server));
}

static void leave_slot(struct session_op *op)
{
    if (op->session->waiting == op)
        op->session->waiting = NULL;
}

static void wake(struct session *session)
{
    struct session_op *op = session->waiting;
    if (!op || !op->ready(session))
        return;
    leave_slot(op);
    ctz_op_settle(&op->op);
}

static void pump(struct session *session)
{
    if (!session->again.armed)
        receive(session);
    transmit(session);
    session->over = has_ended(session);
    wake(session);
}

static void on_again(struct ctz_timer *timer)
{
    pump(CTZ_CONTAINER(timer, struct session, again));
}

static void on_event(struct ctz_http_request *request, enum ctz_http_event event, void *context)
{
    struct session *session = context;
    if (event == CTZ_HTTP_DONE) {
        ctz_error_move(&session->err, ctz_http_error(request));
        session->over = true;
        wake(session);
        return;
    }
    pump(session);
}

static void close_session(struct session *session)
{
    if (!session->request)
        return;
    if (!has_ended(session)) { // a farewell, as far as the socket takes it at once
        bk_server_end(session->server);
        transmit(session);
        if (session->tunnel)
            bk_tunnel_end(session->tunnel);
        transmit(session);
    }
    ctz_timer_stop(session->host, &session->again);
    ctz_http_free(session->request);
    session->request = NULL;
    session->over = true;
    wake(session);
    bk_tunnel_free(session->tunnel);
    bk_server_free(session->server);
    session->tunnel = NULL;
    session->server = NULL;
    ctz_error_clear(&session->err);
}

// --- waiting -----------------------------------------------------------------------------------

static int start(struct ctz_op *base)
{
    struct session_op *op = (struct session_op *)base;
    op->session->waiting = op;
    wake(op->session);
    return 0;
}

static void cancel(struct ctz_op *base)
{
    leave_slot((struct session_op *)base);
    ctz_op_settle(base);
}

static struct session *check_session(lua_State *L)
{
    struct session *session = ctz_object_check(L, 1, SESSION_CLASS);
    if (!session->request)
        ctz_usage(L, "the session is closed");
    return session;
}

static int await(lua_State *L, const struct ctz_op_class *class,
                 bool (*ready)(const struct session *session))
{
    struct session *session = check_session(L);
    if (session->waiting)
        return ctz_usage(L, "another task waits here already");
    struct session_op *op = ctz_op_new(L, class, sizeof *op);
    op->session = session;
    op->ready = ready;
    return ctz_await(L, op);
}

// Raises what ended the session; does nothing after a plain end.
static void raise_failure(lua_State *L, struct session *session)
{
    struct ctz_error err = {0};
    ctz_error_move(&err, &session->err);
    if (err.kind)
        ctz_raise(L, &err);
}

static bool is_ready(const struct session *session)
{
    return session->over || bk_server_is_ready(session->server);
}

static int push_ready(lua_State *L, struct ctz_op *op)
{
    struct session *session = ((struct session_op *)op)->session;
    struct ctz_error err = {0};
    lua_pushboolean(L, true);
    if (session->server && bk_server_is_ready(session->server))
        return 1;
    raise_failure(L, session);
    ctz_error_set(&err, CTZ_ERROR_UNREACHABLE, "the engine closed the session's connection");
    return ctz_raise(L, &err);
}

static const struct ctz_op_class ready_class = {.name = "waits for the engine to open a session",
                                                .start = start,
                                                .cancel = cancel,
                                                .push = push_ready};

// session:ready() -> true: the engine's side stands.
static int l_ready(lua_State *L)
{
    return await(L, &ready_class, is_ready);
}

static bool has_call(const struct session *session)
{
    return session->over || bk_server_has_call(session->server);
}

static int push_call(lua_State *L, struct ctz_op *op)
{
    struct session *session = ((struct session_op *)op)->session;
    struct bk_call call;
    if (session->server && bk_server_next(session->server, &call)) {
        lua_pushinteger(L, call.id);
        lua_pushstring(L, call.method == BK_METHOD_SECRET ? "secret" : "credentials");
        lua_pushstring(L, call.subject);
        return 3;
    }
    raise_failure(L, session);
    lua_pushnil(L);
    return 1;
}

static const struct ctz_op_class next_class = {
    .name = "serves a build's session", .start = start, .cancel = cancel, .push = push_call};

// session:next() -> id, "secret"|"credentials", subject: the next call; nil at the end.
static int l_next(lua_State *L)
{
    return await(L, &next_class, has_call);
}

// --- answering ---------------------------------------------------------------------------------

// The bytes of a string or a ctz.secret.
static const char *check_bytes(lua_State *L, int arg, const char *name, size_t *size)
{
    const char *bytes = ctz_secret_at(L, arg, size);
    if (bytes)
        return bytes;
    if (lua_type(L, arg) != LUA_TSTRING)
        ctz_bad_argument(L, arg, name, "string or ctz.secret");
    return lua_tolstring(L, arg, size);
}

static int finish_answer(lua_State *L, struct session *session, int result)
{
    if (result < 0)
        return ctz_http_no_memory(L);
    if (!session->over)
        pump(session);
    lua_pushboolean(L, true);
    return 1;
}

// session:secret(id, value) -> true: answers a call; one that the engine gave up is dropped.
static int l_secret(lua_State *L)
{
    struct session *session = check_session(L);
    lua_Integer id = ctz_check_integer(L, 2, "id", 1, INT32_MAX);
    size_t size;
    const char *value = check_bytes(L, 3, "value", &size);
    if (size > SECRET_BYTES)
        return ctz_usage(L, "the secret has %d bytes, BuildKit takes at most %d", (int)size,
                         SECRET_BYTES);
    return finish_answer(L, session, bk_server_secret(session->server, (int32_t)id, value, size));
}

// session:credentials(id, username, secret) -> true
static int l_credentials(lua_State *L)
{
    struct session *session = check_session(L);
    lua_Integer id = ctz_check_integer(L, 2, "id", 1, INT32_MAX);
    size_t user_size, secret_size;
    const char *user = check_bytes(L, 3, "username", &user_size);
    const char *secret = check_bytes(L, 4, "secret", &secret_size);
    if (user_size + secret_size > SECRET_BYTES)
        return ctz_usage(L, "the credentials have more than %d bytes", SECRET_BYTES);
    int result =
        bk_server_credentials(session->server, (int32_t)id, user, user_size, secret, secret_size);
    return finish_answer(L, session, result);
}

// session:refuse(id, status, message) -> true: "not_found", "internal", "unavailable", ...
static int l_refuse(lua_State *L)
{
    struct session *session = check_session(L);
    lua_Integer id = ctz_check_integer(L, 2, "id", 1, INT32_MAX);
    int status = bk_status_of(ctz_check_name(L, 3, "status"));
    const char *message = ctz_check_name(L, 4, "message");
    if (status <= BK_OK)
        return ctz_bad_argument(L, 3, "status", "name of a failed gRPC status");
    return finish_answer(L, session,
                         bk_server_refuse(session->server, (int32_t)id, status, message));
}

// --- life --------------------------------------------------------------------------------------

static int l_close(lua_State *L)
{
    close_session(ctz_object_check(L, 1, SESSION_CLASS));
    lua_pushboolean(L, true);
    return 1;
}

// fields = {name, value, name, value, ...}
static size_t read_fields(lua_State *L, int idx, struct bk_field *fields)
{
    lua_Integer length = (lua_Integer)lua_rawlen(L, idx);
    size_t count = 0;
    if (length % 2 != 0 || length > 2 * FIELDS)
        ctz_usage(L, "bad argument 'fields' to '%s': expected at most %d names with their values",
                  ctz_function_name(L), FIELDS);
    for (lua_Integer i = 1; i <= length; i += 2, count++) {
        lua_rawgeti(L, idx, i); // stays on the stack: the list borrows it
        lua_rawgeti(L, idx, i + 1);
        fields[count].name = ctz_check_name(L, lua_gettop(L) - 1, "fields");
        fields[count].value = ctz_check_name(L, lua_gettop(L), "fields");
    }
    return count;
}

// open(connection, authority?, fields?) -> session: serves the engine on a connection that was
// handed over. With an authority the engine is called first (Control/Session), with these headers.
int bk_l_open(lua_State *L)
{
    struct bk_field fields[FIELDS];
    size_t count = 0;
    lua_settop(L, 3);
    luaL_checkstack(L, 3 * FIELDS, "fields");
    struct session *session = ctz_object_new(L, SESSION_CLASS, sizeof *session, 0);
    int object = lua_gettop(L);
    const char *authority = lua_isnil(L, 2) ? NULL : ctz_check_name(L, 2, "authority");
    if (authority && !lua_isnil(L, 3)) {
        ctz_check_table(L, 3, "fields");
        count = read_fields(L, 3, fields);
    }
    session->host = ctz_host(L);
    session->server = bk_server_new();
    if (session->server && authority)
        session->tunnel = bk_tunnel_new(session->server, authority, fields, count);
    if (!session->server || (authority && !session->tunnel))
        return ctz_http_no_memory(L);
    session->request = ctz_http_take_handle(L, 1);
    ctz_http_listen(session->request, on_event, session);
    pump(session);
    lua_pushvalue(L, object);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct session *session = ctz_object_check(L, 1, SESSION_CLASS);
    close_session(session);
    bk_tunnel_free(session->tunnel); // of one that was never opened
    bk_server_free(session->server);
    session->tunnel = NULL;
    session->server = NULL;
    return 0;
}

static const struct ctz_reg methods[] = {
    {"buildkit.ready", l_ready, CTZ_CAP_HELD, 0, 0},
    {"buildkit.next", l_next, CTZ_CAP_HELD, 0, 0},
    {"buildkit.secret", l_secret, CTZ_CAP_HELD, 0, 0},
    {"buildkit.credentials", l_credentials, CTZ_CAP_HELD, 0, 0},
    {"buildkit.refuse", l_refuse, CTZ_CAP_HELD, 0, 0},
    {"buildkit.close", l_close, CTZ_CAP_HELD, 0, 0},
    {"buildkit.__close", l_close, CTZ_CAP_HELD, 0, 0},
    {"buildkit.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void bk_open_session(lua_State *L)
{
    ctz_class(L, SESSION_CLASS, methods);
}
