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

#define OUT_BYTES  (256 * CTZ_KIB) // of an upload, taken from the recipe and not yet sent
#define IN_BYTES   (64 * CTZ_KIB)  // received at once from an upgraded connection
#define FILL_BYTES (128 * CTZ_KIB) // worth a job of the pool

struct exchange_op {
    struct ctz_op op;
    struct exchange *exchange; // anchored by argument 1 of the waiting frame
    struct exchange_op **slot; // NULL: does not wait any more
    bool (*ready)(struct exchange_op *op);
    size_t want;       // bytes to read; SIZE_MAX: all
    const char *bytes; // to write: argument 2 of the waiting frame, or owned
    char *owned;       // of a chunk
    size_t size;
    double seconds; // of a step
};

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

static bool has_ended(const struct exchange *exchange)
{
    return exchange->upgrade ? exchange->in_ended || ctz_http_is_done(exchange->request)
                             : ctz_http_is_done(exchange->request);
}

// Receives from an upgraded connection until `want` bytes are there or none are left now.
static void receive(struct exchange_op *op, size_t want)
{
    struct exchange *exchange = op->exchange;
    while (exchange->upgrade && !exchange->in_ended && exchange->in.length < want) {
        char *room = ctz_buffer_reserve(&exchange->in, IN_BYTES);
        ptrdiff_t got = CTZ_HTTP_FAIL;
        if (room)
            got = ctz_http_recv(exchange->request, room, IN_BYTES, &op->op.err);
        else
            ctz_error_set(&op->op.err, CTZ_ERROR_IO, "out of memory");
        if (got == CTZ_HTTP_AGAIN) {
            ctz_http_watch(exchange->request, true, false);
            return;
        }
        if (got <= 0)
            exchange->in_ended = true;
        else
            exchange->in.length += (size_t)got;
    }
}

// --- waiting -----------------------------------------------------------------------------------

static void leave_slot(struct exchange_op *op)
{
    if (op->slot)
        *op->slot = NULL;
    op->slot = NULL;
}

// A failure is told once: to whoever waits first.
static void take_failure(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    struct ctz_error *err = ctz_http_error(exchange->request);
    if (!ctz_http_is_done(exchange->request) || !err->kind)
        return;
    ctz_error_move(&op->op.err, err);
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

static int start(struct ctz_op *base)
{
    struct exchange_op *op = (struct exchange_op *)base;
    *op->slot = op;
    try_op(op);
    if (!base->settled && op->seconds > 0)
        ctz_timer_start(base->host, &base->timer, ctz_due(op->seconds), on_step);
    return 0;
}

static void cancel(struct ctz_op *op)
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
    ctz_error_set(&err, CTZ_ERROR_CONFLICT,
                  exchange->failed ? "it has failed already" : "it is closed");
    ctz_raise(L, &err);
    return NULL;
}

static struct exchange_op *new_op(lua_State *L, const struct ctz_op_class *class,
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
static struct exchange *exchange_of(lua_State *L, struct ctz_op *op)
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
        take_failure(op);
    if (!op->op.err.kind && exchange->check)
        ctz_http_check(exchange->request, &op->op.err);
    return true;
}

static int push_answer(lua_State *L, struct ctz_op *op)
{
    struct exchange *exchange = exchange_of(L, op);
    http_push_answer(L, exchange->request, !exchange->has_head);
    return 1;
}

static const struct ctz_op_class answer_class = {
    .name = "waits for an HTTP answer", .start = start, .cancel = cancel, .push = push_answer};

// exchange:response() -> table: the whole answer, or of a stream (without the field body) its head.
static int l_response(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    return ctz_await(L, new_op(L, &answer_class, exchange, &exchange->reader, is_answered));
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
    exchange_of(L, op);
    lua_pushboolean(L, is_step_over((struct exchange_op *)op));
    return 1;
}

static const struct ctz_op_class step_class = {
    .name = "waits for an HTTP answer", .start = start, .cancel = cancel, .push = push_step};

// exchange:step(seconds) -> boolean: is the answer there? Waits for it at most that long.
static int l_step(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    double seconds = ctz_check_seconds(L, 2, "seconds");
    struct exchange_op *op = new_op(L, &step_class, exchange, &exchange->reader, is_step_over);
    op->seconds = seconds;
    return ctz_await(L, op);
}

// --- reading -----------------------------------------------------------------------------------

static bool has_bytes(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    size_t size;
    receive(op, op->want);
    http_peek(exchange, &size);
    bool is_over = has_ended(exchange);
    if (size == 0 && is_over && !op->op.err.kind)
        take_failure(op);
    return op->op.err.kind || is_over || size >= op->want;
}

// At most `most` bytes of what is there; nil at the end.
static int push_bytes(lua_State *L, struct exchange *exchange, size_t most)
{
    size_t size;
    const char *bytes = http_peek(exchange, &size);
    if (size == 0 && most > 0) {
        lua_pushnil(L);
        return 1;
    }
    size = size < most ? size : most;
    lua_pushlstring(L, bytes, size);
    http_take(exchange, size);
    return 1;
}

static int push_chunk(lua_State *L, struct ctz_op *op)
{
    return push_bytes(L, exchange_of(L, op), SIZE_MAX);
}

static int push_exactly(lua_State *L, struct ctz_op *op)
{
    return push_bytes(L, exchange_of(L, op), ((struct exchange_op *)op)->want);
}

static const struct ctz_op_class chunk_class = {
    .name = "reads an HTTP stream", .start = start, .cancel = cancel, .push = push_chunk};

static const struct ctz_op_class exactly_class = {
    .name = "reads an HTTP stream", .start = start, .cancel = cancel, .push = push_exactly};

// {timeout=} at idx.
static double read_timeout(lua_State *L, int idx)
{
    static const char *const names[] = {"timeout", NULL};
    ctz_opts_check(L, idx, names);
    return ctz_opt_seconds(L, idx, "timeout", 0);
}

// exchange:read(n?, opts?) -> string|nil: what is there (waiting for one byte), or n bytes, fewer
// at the end; nil at the end.
static int l_read(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    double timeout_s = read_timeout(L, 3);
    bool all = lua_isnoneornil(L, 2);
    size_t most = (size_t)ctz_limit(exchange->host, CTZ_LIMIT_HTTP_BODY_BYTES);
    size_t want = all ? 1 : (size_t)ctz_check_integer(L, 2, "n", 0, (lua_Integer)most);
    if (!exchange->upgrade && want > 1)
        ctz_http_window(exchange->request, want > 256 * CTZ_KIB ? want : 256 * CTZ_KIB);
    struct exchange_op *op =
        new_op(L, all ? &chunk_class : &exactly_class, exchange, &exchange->reader, has_bytes);
    op->want = want;
    op->op.timeout_s = timeout_s;
    return ctz_await(L, op);
}

static bool has_line(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    for (;;) {
        size_t size;
        const char *bytes = http_peek(exchange, &size);
        size_t from = exchange->line_scanned;
        uint64_t most = ctz_limit(exchange->host, CTZ_LIMIT_LOG_LINE_BYTES);
        if (size > from && memchr(bytes + from, '\n', size - from))
            return true;
        exchange->line_scanned = size;
        if (size > most) {
            ctz_error_set(&op->op.err, CTZ_ERROR_SIZE, "a line is longer than %llu bytes",
                          (unsigned long long)most);
            ctz_error_hint(&op->op.err, "--limit log_line_bytes=... raises it; chunks() has none");
            return true;
        }
        if (!exchange->upgrade) // the sender is paused with less than a line there
            ctz_http_window(exchange->request,
                            (size_t)most + 1 > 256 * CTZ_KIB ? (size_t)most + 1 : 256 * CTZ_KIB);
        receive(op, size + 1);
        http_peek(exchange, &from);
        if (from == size)
            break;
    }
    if (op->op.err.kind)
        return true;
    if (!has_ended(exchange))
        return false;
    if (exchange->line_scanned == 0)
        take_failure(op);
    return true;
}

static int push_line(lua_State *L, struct ctz_op *op)
{
    struct exchange *exchange = exchange_of(L, op);
    size_t size;
    const char *bytes = http_peek(exchange, &size);
    if (size == 0) {
        lua_pushnil(L);
        return 1;
    }
    const char *end = memchr(bytes, '\n', size);
    size_t length = end ? (size_t)(end - bytes) : size;
    size_t shown = length > 0 && bytes[length - 1] == '\r' ? length - 1 : length;
    lua_pushlstring(L, bytes, shown);
    http_take(exchange, end ? length + 1 : size);
    return 1;
}

static const struct ctz_op_class line_class = {
    .name = "reads an HTTP stream", .start = start, .cancel = cancel, .push = push_line};

// exchange:line() -> string|nil: the next line without its end.
static int l_line(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    return ctz_await(L, new_op(L, &line_class, exchange, &exchange->reader, has_line));
}

static int push_filled(lua_State *L, struct ctz_op *op)
{
    size_t size;
    http_peek(exchange_of(L, op), &size);
    lua_pushboolean(L, size > 0);
    return 1;
}

static const struct ctz_op_class fill_class = {
    .name = "reads an HTTP stream", .start = start, .cancel = cancel, .push = push_filled};

static int push_piece(lua_State *L, struct ctz_op *op)
{
    size_t size;
    struct exchange *exchange = exchange_of(L, op);
    const char *bytes = http_peek(exchange, &size);
    if (size == 0) {
        lua_pushnil(L);
        return 1;
    }
    struct ctz_chunk *chunk = ctz_chunk_push(L);
    exchange->line_scanned = 0;
    if (!exchange->upgrade) {
        chunk->bytes = ctz_http_take(exchange->request, &size);
    } else if ((chunk->bytes = ctz_memdup(bytes, size))) {
        http_take(exchange, size);
    }
    if (!chunk->bytes)
        return ctz_http_no_memory(L);
    chunk->size = size;
    return 1;
}

static const struct ctz_op_class piece_class = {
    .name = "reads an HTTP stream", .start = start, .cancel = cancel, .push = push_piece};

// exchange:chunk() -> chunk|nil: as much as is worth a job of the pool, for another room.
static int l_chunk(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    struct exchange_op *op = new_op(L, &piece_class, exchange, &exchange->reader, has_bytes);
    op->want = FILL_BYTES;
    return ctz_await(L, op);
}

// exchange:fill() -> boolean: waits until there is enough to be saved; false at the end.
static int l_fill(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    struct exchange_op *op = new_op(L, &fill_class, exchange, &exchange->reader, has_bytes);
    op->want = FILL_BYTES;
    return ctz_await(L, op);
}

// --- writing -----------------------------------------------------------------------------------

static size_t left_out(const struct exchange *exchange)
{
    return exchange->out.length - exchange->out_offset;
}

// The block of a chunk is sent as it is when nothing is before it.
static bool adopt(struct exchange *exchange, struct exchange_op *op)
{
    if (left_out(exchange) > 0 || !op || !op->owned || op->size == 0)
        return false;
    ctz_buffer_clear(&exchange->out);
    exchange->out.bytes = op->owned;
    exchange->out.length = exchange->out.capacity = op->size;
    exchange->out_offset = 0;
    op->owned = NULL;
    op->bytes = NULL;
    op->size = 0;
    return true;
}

// Called inside libcurl.
static ptrdiff_t pull(void *context, char *bytes, size_t size)
{
    struct exchange *exchange = context;
    size_t there = left_out(exchange);
    if (there == 0 && adopt(exchange, exchange->writer))
        there = left_out(exchange);
    if (there == 0)
        return exchange->out_ended ? 0 : CTZ_HTTP_AGAIN;
    size = size < there ? size : there;
    memcpy(bytes, exchange->out.bytes + exchange->out_offset, size);
    exchange->out_offset += size;
    return (ptrdiff_t)size;
}

static bool send_bytes(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    while (op->size > 0) {
        ptrdiff_t sent = ctz_http_send(exchange->request, op->bytes, op->size, &op->op.err);
        if (sent == CTZ_HTTP_AGAIN) {
            ctz_http_watch(exchange->request, false, true);
            return false;
        }
        if (sent < 0)
            return true;
        op->bytes += sent;
        op->size -= (size_t)sent;
    }
    return true;
}

static bool is_written(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    if (exchange->upgrade)
        return send_bytes(op);
    if (op->owned && op->size > 0) { // pull() takes it otherwise
        if (adopt(exchange, op))
            ctz_http_feed(exchange->request);
        return op->size == 0 || ctz_http_is_done(exchange->request);
    }
    while (op->size > 0 && left_out(exchange) < OUT_BYTES) {
        ctz_buffer_shift(&exchange->out, exchange->out_offset);
        exchange->out_offset = 0;
        size_t room = OUT_BYTES - exchange->out.length;
        size_t part = op->size < room ? op->size : room;
        if (ctz_buffer_append(&exchange->out, op->bytes, part) < 0) {
            ctz_error_set(&op->op.err, CTZ_ERROR_IO, "out of memory");
            return true;
        }
        op->bytes += part;
        op->size -= part;
        ctz_http_feed(exchange->request); // may take some at once
    }
    return op->size == 0 || ctz_http_is_done(exchange->request);
}

// false: the answer is there already, nobody takes more.
static int push_written(lua_State *L, struct ctz_op *op)
{
    lua_pushboolean(L, ((struct exchange_op *)op)->size == 0);
    return 1;
}

static void clear_write(struct ctz_op *op)
{
    ctz_free(((struct exchange_op *)op)->owned);
}

static const struct ctz_op_class write_class = {.name = "writes an HTTP body",
                                                .start = start,
                                                .cancel = cancel,
                                                .push = push_written,
                                                .clear = clear_write};

// exchange:write(bytes or chunk, opts?) -> boolean: waits while the other side is slow; false when
// it has answered already and takes no more.
static int l_write(lua_State *L)
{
    struct exchange *exchange = ctz_object_check(L, 1, EXCHANGE_CLASS);
    if (exchange->failed && !exchange->upgrade) { // the reader tells why
        lua_pushboolean(L, false);
        return 1;
    }
    http_check_exchange(L);
    struct ctz_chunk *chunk = ctz_chunk_at(L, 2, "bytes");
    size_t size = chunk ? chunk->size : 0;
    const char *bytes = chunk ? chunk->bytes : lua_tolstring(L, 2, &size);
    double timeout_s = read_timeout(L, 3);
    if (exchange->out_ended)
        return ctz_usage(L, "the body has ended");
    if (exchange->left >= 0 && (int64_t)size > exchange->left)
        return ctz_usage(L, "the body is longer than the length that was declared");
    if (exchange->left >= 0)
        exchange->left -= (int64_t)size;
    lua_settop(L, 2);
    struct exchange_op *op = new_op(L, &write_class, exchange, &exchange->writer, is_written);
    op->bytes = bytes;
    op->size = size;
    op->op.timeout_s = timeout_s;
    if (chunk) {
        op->owned = chunk->bytes;
        *chunk = (struct ctz_chunk){0};
    }
    return ctz_await(L, op);
}

// exchange:finish() -> true: the body has ended, or we send no more on an upgraded connection.
static int l_finish(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    struct ctz_error err = {0};
    if (exchange->left > 0)
        return ctz_usage(L, "the body is %d bytes shorter than the length that was declared",
                         (int)exchange->left);
    if (!exchange->out_ended && exchange->upgrade &&
        ctz_http_half_close(exchange->request, &err) < 0)
        return ctz_raise(L, &err);
    exchange->out_ended = true;
    if (!exchange->upgrade)
        ctz_http_feed(exchange->request);
    lua_pushboolean(L, true);
    return 1;
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
    {"http.read", l_read, CTZ_CAP_HELD, 0, 0},
    {"http.line", l_line, CTZ_CAP_HELD, 0, 0},
    {"http.fill", l_fill, CTZ_CAP_HELD, 0, 0},
    {"http.chunk", l_chunk, CTZ_CAP_HELD, 0, 0},
    {"http.write", l_write, CTZ_CAP_HELD, 0, 0},
    {"http.finish", l_finish, CTZ_CAP_HELD, 0, 0},
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
    struct ctz_http_source source = {.pull = pull, .context = exchange, .length = -1};
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
