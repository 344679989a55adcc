// exchange_read.c: what arrives on an exchange: bytes, lines, chunks for another room.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "bindings/http/exchange.h"
#include "host/alloc.h"
#include "host/chunk.h"

#define IN_BYTES   (64 * CTZ_KIB)  // received at once from an upgraded connection
#define MOST_BYTES (4 * CTZ_MIB)   // of a chunk that is asked for
#define FILL_BYTES (256 * CTZ_KIB) // worth a job of the pool; meanwhile as much again comes

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

static bool has_bytes(struct exchange_op *op)
{
    struct exchange *exchange = op->exchange;
    size_t size;
    receive(op, op->want);
    http_peek(exchange, &size);
    bool is_over = has_ended(exchange);
    if (size == 0 && is_over && !op->op.err.kind)
        http_exchange_fail(op);
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
    return push_bytes(L, http_exchange_of(L, op), SIZE_MAX);
}

static int push_exactly(lua_State *L, struct ctz_op *op)
{
    return push_bytes(L, http_exchange_of(L, op), ((struct exchange_op *)op)->want);
}

static const struct ctz_op_class chunk_class = {.name = "reads an HTTP stream",
                                                .start = http_exchange_start,
                                                .cancel = http_exchange_cancel,
                                                .push = push_chunk};

static const struct ctz_op_class exactly_class = {.name = "reads an HTTP stream",
                                                  .start = http_exchange_start,
                                                  .cancel = http_exchange_cancel,
                                                  .push = push_exactly};

// {timeout=} at idx.
double http_read_timeout(lua_State *L, int idx)
{
    static const char *const names[] = {"timeout", NULL};
    ctz_opts_check(L, idx, names);
    return ctz_opt_seconds(L, idx, "timeout", 0);
}

// exchange:read(n?, opts?) -> string|nil: what is there (waiting for one byte), or n bytes, fewer
// at the end; nil at the end.
int http_l_read(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    double timeout_s = http_read_timeout(L, 3);
    bool all = lua_isnoneornil(L, 2);
    size_t most = (size_t)ctz_limit(exchange->host, CTZ_LIMIT_HTTP_BODY_BYTES);
    size_t want = all ? 1 : (size_t)ctz_check_integer(L, 2, "n", 0, (lua_Integer)most);
    if (!exchange->upgrade && want > 1)
        ctz_http_window(exchange->request, want > 256 * CTZ_KIB ? want : 256 * CTZ_KIB);
    struct exchange_op *op = http_exchange_op(L, all ? &chunk_class : &exactly_class, exchange,
                                              &exchange->reader, has_bytes);
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
        http_exchange_fail(op);
    return true;
}

static int push_line(lua_State *L, struct ctz_op *op)
{
    struct exchange *exchange = http_exchange_of(L, op);
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

static const struct ctz_op_class line_class = {.name = "reads an HTTP stream",
                                               .start = http_exchange_start,
                                               .cancel = http_exchange_cancel,
                                               .push = push_line};

// exchange:line() -> string|nil: the next line without its end.
int http_l_line(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    return ctz_await(L, http_exchange_op(L, &line_class, exchange, &exchange->reader, has_line));
}

static int push_filled(lua_State *L, struct ctz_op *op)
{
    size_t size;
    http_peek(http_exchange_of(L, op), &size);
    lua_pushboolean(L, size > 0);
    return 1;
}

static const struct ctz_op_class fill_class = {.name = "reads an HTTP stream",
                                               .start = http_exchange_start,
                                               .cancel = http_exchange_cancel,
                                               .push = push_filled};

static int push_piece(lua_State *L, struct ctz_op *op)
{
    size_t size;
    struct exchange *exchange = http_exchange_of(L, op);
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

static const struct ctz_op_class piece_class = {.name = "reads an HTTP stream",
                                                .start = http_exchange_start,
                                                .cancel = http_exchange_cancel,
                                                .push = push_piece};

// exchange:chunk(bytes) -> chunk|nil: about so many bytes, for another room; meanwhile as many
// again come.
int http_l_chunk(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    size_t bytes = (size_t)ctz_check_integer(L, 2, "bytes", 1, MOST_BYTES);
    struct exchange_op *op =
        http_exchange_op(L, &piece_class, exchange, &exchange->reader, has_bytes);
    op->want = bytes;
    if (!exchange->upgrade)
        ctz_http_window(exchange->request, 2 * bytes);
    return ctz_await(L, op);
}

// exchange:fill() -> boolean: waits until there is enough to be saved; false at the end.
int http_l_fill(lua_State *L)
{
    struct exchange *exchange = http_check_exchange(L);
    struct exchange_op *op =
        http_exchange_op(L, &fill_class, exchange, &exchange->reader, has_bytes);
    op->want = FILL_BYTES;
    if (!exchange->upgrade)
        ctz_http_window(exchange->request, 2 * FILL_BYTES);
    return ctz_await(L, op);
}
