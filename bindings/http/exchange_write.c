// exchange_write.c: what is sent on an exchange: the body of an upload, an upgraded connection.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "bindings/http/exchange.h"
#include "host/alloc.h"
#include "host/chunk.h"

#define OUT_BYTES (256 * CTZ_KIB) // taken from the recipe and not yet sent

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
ptrdiff_t http_exchange_pull(void *context, char *bytes, size_t size)
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
    if (op->owned && op->size > 0) { // http_exchange_pull() takes it otherwise
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
                                                .start = http_exchange_start,
                                                .cancel = http_exchange_cancel,
                                                .push = push_written,
                                                .clear = clear_write};

// The body of a request that has failed goes nowhere: pushes false then. The reader tells why.
static bool push_if_failed(lua_State *L)
{
    const struct exchange *exchange = ctz_object_check(L, 1, EXCHANGE_CLASS);
    if (!exchange->failed || exchange->upgrade)
        return false;
    lua_pushboolean(L, false);
    return true;
}

// exchange:write(bytes or chunk, opts?) -> boolean: waits while the other side is slow; false when
// it has answered already and takes no more.
int http_l_write(lua_State *L)
{
    if (push_if_failed(L))
        return 1;
    struct exchange *exchange = http_check_exchange(L);
    struct ctz_chunk *chunk = ctz_chunk_at(L, 2, "bytes");
    size_t size = chunk ? chunk->size : 0;
    const char *bytes = chunk ? chunk->bytes : lua_tolstring(L, 2, &size);
    double timeout_s = http_read_timeout(L, 3);
    if (exchange->out_ended)
        return ctz_usage(L, "the body has ended");
    if (exchange->left >= 0 && (int64_t)size > exchange->left)
        return ctz_usage(L, "the body is longer than the length that was declared");
    if (exchange->left >= 0)
        exchange->left -= (int64_t)size;
    lua_settop(L, 2);
    struct exchange_op *op =
        http_exchange_op(L, &write_class, exchange, &exchange->writer, is_written);
    op->bytes = bytes;
    op->size = size;
    op->op.timeout_s = timeout_s;
    if (chunk) {
        op->owned = chunk->bytes;
        *chunk = (struct ctz_chunk){0};
    }
    return ctz_await(L, op);
}

// exchange:finish() -> boolean: the body has ended, or we send no more on an upgraded connection;
// false when the request has failed.
int http_l_finish(lua_State *L)
{
    if (push_if_failed(L))
        return 1;
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
