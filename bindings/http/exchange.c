// exchange.c: a request that Lua holds in its hand: a stream, an upload, an upgraded connection.
// SPDX-License-Identifier: MIT
//
// One op waits for whatever the exchange may become: it is asked after every event whether it is
// ready. Reading and writing have a slot each, so that two tasks can talk both ways.
#include "bindings/http/exchange.h"

#include <string.h>

#include "host/alloc.h"
#include "host/chunk.h"
#include "host/log.h"

// --- what is there -----------------------------------------------------------------------------

const char *http_peek(struct exchange *exchange, size_t *size)
{
    if (exchange->upgrade) {
        *size = exchange->in.length;
        return exchange->in.bytes ? exchange->in.bytes : "";
    }
    return ctz_http_body(exchange->request, size);
}

void http_take(struct exchange *exchange, size_t size)
{
    exchange->line_scanned = 0;
    if (exchange->upgrade)
        ctz_buffer_shift(&exchange->in, size);
    else
        ctz_http_consume(exchange->request, size);
}

// --- waiting -----------------------------------------------------------------------------------

static void leave_slot(struct exchange_op *op)
{
    if (op->slot)
        *op->slot = NULL;
    op->slot = NULL;
}

// Whoever asks later is told the same: http_check_exchange.
void http_exchange_fail(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    const struct ctz_error *err = ctz_http_error(exchange->request);
    if (!ctz_http_is_done(exchange->request) || !err->kind)
        return;
    ctz_error_copy(&op->op.err, err);
    exchange->failed = true;
}

static void try_op(struct exchange_op *op)
{
    if (op && op->ready(op)) {
        leave_slot(op);
        ctz_op_settle(&op->op);
    }
}

static void on_event(struct ctz_http_request *request, enum ctz_http_event event, void *context)
{
    (void)request;
    struct exchange *exchange = context;
    if (event == CTZ_HTTP_HEAD)
        exchange->has_head = true;
    try_op(exchange->reader);
    try_op(exchange->writer);
}

static void on_step(struct ctz_timer *timer)
{
    struct exchange_op *op = CTZ_CONTAINER(timer, struct exchange_op, op.timer);
    leave_slot(op);
    ctz_op_settle(&op->op);
}

int http_exchange_start(struct ctz_op *base)
{
    struct exchange_op *op = (struct exchange_op *)base;
    *op->slot = op;
    try_op(op);
    if (!base->settled && op->seconds > 0)
        ctz_timer_start(base->host, &base->timer, ctz_due(op->seconds), on_step);
    return 0;
}

void http_exchange_cancel(struct ctz_op *op)
{
    leave_slot((struct exchange_op *)op);
    ctz_op_settle(op);
}

static void close_slot(struct exchange_op *op)
{
    if (!op)
        return;
    leave_slot(op);
    ctz_error_set(&op->op.err, CTZ_ERROR_CONFLICT, "it was closed by another task");
    ctz_op_settle(&op->op);
}

static void close_exchange(struct exchange *exchange)
{
    close_slot(exchange->reader);
    close_slot(exchange->writer);
    if (exchange->request)
        ctz_http_free(exchange->request);
    exchange->request = NULL;
    ctz_buffer_clear(&exchange->in);
    ctz_buffer_clear(&exchange->out);
    if (exchange->file)
        http_save_release(exchange->file);
    exchange->file = NULL;
}

// --- checks ------------------------------------------------------------------------------------

struct exchange *http_check_exchange(lua_State *L)
{
    struct exchange *exchange = ctz_object_check(L, 1, EXCHANGE_CLASS);
    if (exchange->request && !exchange->failed)
        return exchange;
    struct ctz_error err = {0};
    if (exchange->request)
        ctz_error_copy(&err, ctz_http_error(exchange->request));
    else
        ctz_error_set(&err, CTZ_ERROR_CONFLICT, "it is closed");
    ctz_raise(L, &err);
    return NULL;
}

struct exchange_op *http_exchange_op(lua_State *L, const struct ctz_op_class *class,
                                     struct exchange *exchange, struct exchange_op **slot,
                                     bool (*ready)(struct exchange_op *op))
{
    if (*slot)
        ctz_usage(L, "another task waits here already");
    struct exchange_op *op = ctz_op_new(L, class, sizeof *op);
    op->exchange = exchange;
    op->slot = slot;
    op->ready = ready;
    return op;
}

// Between settling and here another task may have closed it.
struct exchange *http_exchange_of(lua_State *L, struct ctz_op *op)
{
    struct exchange *exchange = ((struct exchange_op *)op)->exchange;
    if (!exchange->request)
        ctz_usage(L, "it was closed by another task");
    return exchange;
}

// --- the answer --------------------------------------------------------------------------------

static bool is_answered(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    if (!exchange->has_head && !ctz_http_is_done(exchange->request))
        return false;
    if (!exchange->has_head)
        http_exchange_fail(op);
    if (!op->op.err.kind && exchange->check)
        ctz_http_check(exchange->request, &op->op.err);
    return true;
}

static int push_answer(lua_State *L, struct ctz_op *op)
{
    struct exchange *exchange = http_exchange_of(L, op);
    http_push_answer(L, exchange->request, !exchange->has_head);
    return 1;
}

static const struct ctz_op_class answer_class = {.name = "waits for an HTTP answer",
                                                 .start = http_exchange_start,
                                                 .cancel = http_exchange_cancel,
                                                 .push = push_answer};

// exchange:response() -> table: the whole answer, or of a stream (without the field body) its head.
static int l_response(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    return ctz_await(L,
                     http_exchange_op(L, &answer_class, exchange, &exchange->reader, is_answered));
}

static bool is_step_over(struct exchange_op *op)
{
    return ctz_http_is_done(op->exchange->request) || op->exchange->has_head;
}

static int push_progress(lua_State *L, const struct exchange *exchange)
{
    const struct ctz_http_request *request = exchange->request;
    int64_t total = ctz_http_length(request), to_send = ctz_http_to_send(request);
    lua_pushinteger(L, (lua_Integer)ctz_http_received(request));
    if (total >= 0)
        lua_pushinteger(L, (lua_Integer)total);
    else
        lua_pushnil(L);
    lua_pushinteger(L, (lua_Integer)ctz_http_sent(request));
    if (to_send >= 0)
        lua_pushinteger(L, (lua_Integer)to_send);
    else
        lua_pushnil(L);
    lua_pushnumber(L, (double)(ctz_now() - exchange->begun_ns) / 1e9);
    return 5;
}

// exchange:progress() -> received, total, sent, to_send, seconds
static int l_progress(lua_State *L)
{
    return push_progress(L, http_check_exchange(L));
}

static int push_step(lua_State *L, struct ctz_op *op)
{
    http_exchange_of(L, op);
    lua_pushboolean(L, is_step_over((struct exchange_op *)op));
    return 1;
}

static const struct ctz_op_class step_class = {.name = "waits for an HTTP answer",
                                               .start = http_exchange_start,
                                               .cancel = http_exchange_cancel,
                                               .push = push_step};

// exchange:step(seconds) -> boolean: is the answer there? Waits for it at most that long.
static int l_step(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    double seconds = ctz_check_seconds(L, 2, "seconds");
    struct exchange_op *op =
        http_exchange_op(L, &step_class, exchange, &exchange->reader, is_step_over);
    op->seconds = seconds;
    return ctz_await(L, op);
}

// --- life --------------------------------------------------------------------------------------

// exchange:hand_over() -> handle: the connection leaves this exchange for another room.
static int l_hand_over(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    if (!exchange->upgrade || !exchange->has_head || exchange->reader || exchange->writer)
        return ctz_usage(L, "only an open connection that nobody waits on can be handed over");
    if (exchange->in.length > 0)
        return ctz_usage(L, "bytes that were received already would be lost");
    ctz_http_push_handle(L, exchange->request);
    exchange->request = NULL;
    return 1;
}

static int l_close(lua_State *L)
{
    close_exchange(ctz_object_check(L, 1, EXCHANGE_CLASS));
    lua_pushboolean(L, true);
    return 1;
}

static int l_gc(lua_State *L)
{
    struct exchange *exchange = ctz_object_check(L, 1, EXCHANGE_CLASS);
    if (exchange->request)
        ctz_log(exchange->host, CTZ_LOG_DEBUG, "%s was not closed; it is now",
                ctz_http_url(exchange->request));
    close_exchange(exchange);
    return 0;
}

static const struct ctz_reg methods[] = {
    {"http.response", l_response, CTZ_CAP_HELD, 0, 0},
    {"http.step", l_step, CTZ_CAP_HELD, 0, 0},
    {"http.progress", l_progress, CTZ_CAP_HELD, 0, 0},
    {"http.read", http_l_read, CTZ_CAP_HELD, 0, 0},
    {"http.line", http_l_line, CTZ_CAP_HELD, 0, 0},
    {"http.fill", http_l_fill, CTZ_CAP_HELD, 0, 0},
    {"http.chunk", http_l_chunk, CTZ_CAP_HELD, 0, 0},
    {"http.write", http_l_write, CTZ_CAP_HELD, 0, 0},
    {"http.finish", http_l_finish, CTZ_CAP_HELD, 0, 0},
    {"http.save_open", http_l_save_open, CTZ_CAP_HELD, 0, 0},
    {"http.save_write", http_l_save_write, CTZ_CAP_HELD, 0, 0},
    {"http.save_close", http_l_save_close, CTZ_CAP_HELD, 0, 0},
    {"http.hand_over", l_hand_over, CTZ_CAP_HELD, 0, 0},
    {"http.close", l_close, CTZ_CAP_HELD, 0, 0},
    {"http.__close", l_close, CTZ_CAP_HELD, 0, 0},
    {"http.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void http_open_exchange(lua_State *L)
{
    ctz_class(L, EXCHANGE_CLASS, methods);
}

// --- beginning ---------------------------------------------------------------------------------

// The userdata comes first, so that the request has an owner when something raises.
static struct exchange *new_exchange(lua_State *L)
{
    struct exchange *exchange = ctz_object_new(L, EXCHANGE_CLASS, sizeof *exchange, 0);
    exchange->host = ctz_host(L);
    exchange->begun_ns = ctz_now();
    exchange->left = -1;
    ctz_buffer_init(&exchange->in, SIZE_MAX / 2);
    ctz_buffer_init(&exchange->out, SIZE_MAX / 2);
    return exchange;
}

static int begin(lua_State *L, struct http_wishes wishes)
{
    bool upgrade = wishes.upgrade || wishes.connect;
    lua_settop(L, 3);
    struct exchange *exchange = new_exchange(L);
    struct ctz_http_source source = {.pull = http_exchange_pull, .context = exchange, .length = -1};
    wishes.method = luaL_optstring(L, 3, NULL);
    if (!upgrade && ctz_opt_field(L, 2, "body") == LUA_TFUNCTION) {
        source.length = ctz_opt_integer(L, 2, "length", 0, INT64_MAX / 4, -1);
        exchange->left = source.length;
        wishes.source = &source;
    }
    exchange->upgrade = upgrade;
    exchange->out_ended = !upgrade && !wishes.source;
    exchange->request = http_read_request(L, &wishes);
    exchange->check = wishes.check;
    ctz_http_start(exchange->request, on_event, exchange);
    lua_pushvalue(L, 4);
    return 1;
}

// open(url, opts, method) -> exchange: begins a request and does not wait for it.
int http_l_open(lua_State *L)
{
    return begin(L, (struct http_wishes){0});
}

// upgrade(url, opts, method) -> exchange: begins a request for a connection of its own.
int http_l_upgrade(lua_State *L)
{
    return begin(L, (struct http_wishes){.upgrade = true});
}

// connect(url, opts, method) -> exchange: begins a connection on which nothing is asked.
int http_l_connect(lua_State *L)
{
    return begin(L, (struct http_wishes){.connect = true});
}
