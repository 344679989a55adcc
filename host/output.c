// output.c: bytes that go to a program's stdin.
// SPDX-License-Identifier: MIT
#include "host/output.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "host/alloc.h"
#include "host/host.h"
#include "host/luax.h"
#include "host/op.h"

// Bytes in the queue; inside of an op when a task waits for them.
struct chunk {
    struct chunk *next, **link;
    struct ctz_op *op; // NULL: nobody waits, the chunk is on the heap
    char *bytes;       // owned
    size_t size, written;
};

struct ctz_output {
    struct ctz_host *host;
    uv_poll_t poll;
    int fd; // owned; -1 once closed
    struct chunk *first, **end;
    uint8_t references; // the owner's and the poll handle's
    bool polls, finishing;
};

// --- life --------------------------------------------------------------------------------------

static void unreference(struct ctz_output *output)
{
    if (--output->references == 0)
        ctz_free(output);
}

static void on_closed(uv_handle_t *handle)
{
    unreference(handle->data);
}

struct ctz_output *ctz_output_new(struct ctz_host *host, int take_fd, struct ctz_error *err)
{
    struct ctz_output *output = ctz_calloc(1, sizeof *output);
    int result = output ? uv_poll_init(&host->loop, &output->poll, take_fd) : UV_ENOMEM;
    if (result < 0) {
        close(take_fd);
        ctz_free(output);
        ctz_error_system(err, result, "watch a pipe");
        return NULL;
    }
    output->host = host;
    output->fd = take_fd;
    output->poll.data = output;
    output->references = 2;
    output->end = &output->first;
    return output;
}

// --- the queue ---------------------------------------------------------------------------------

static void enqueue(struct ctz_output *output, struct chunk *chunk)
{
    chunk->link = output->end;
    *output->end = chunk;
    output->end = &chunk->next;
}

static void dequeue(struct ctz_output *output, struct chunk *chunk)
{
    *chunk->link = chunk->next;
    if (chunk->next)
        chunk->next->link = chunk->link;
    else
        output->end = chunk->link;
    chunk->link = NULL;
}

// Takes the first chunk out; its writer learns the errno (0: all is written).
static void settle_first(struct ctz_output *output, int error)
{
    struct chunk *chunk = output->first;
    struct ctz_op *op = chunk->op;
    dequeue(output, chunk);
    if (!op) {
        ctz_free(chunk->bytes);
        ctz_free(chunk);
        return;
    }
    if (error) {
        ctz_error_system(&op->err, error, "write to the program's stdin");
        if (error == EPIPE)
            ctz_error_hint(&op->err, "the program has closed its stdin or has ended");
    }
    ctz_op_settle(op);
}

static void close_with(struct ctz_output *output, int error)
{
    if (output->fd < 0)
        return;
    uv_close((uv_handle_t *)&output->poll, on_closed);
    close(output->fd);
    output->fd = -1;
    while (output->first)
        settle_first(output, error);
}

void ctz_output_close(struct ctz_output *output)
{
    close_with(output, EPIPE);
}

void ctz_output_release(struct ctz_output *output)
{
    if (!output)
        return;
    ctz_output_close(output);
    unreference(output);
}

bool ctz_output_is_closed(const struct ctz_output *output)
{
    return output->fd < 0 || output->finishing;
}

// --- writing -----------------------------------------------------------------------------------

static void on_ready(uv_poll_t *poll, int status, int events);

static void watch(struct ctz_output *output)
{
    if (output->fd < 0)
        return;
    bool wanted = output->first != NULL;
    if (wanted && !output->polls)
        uv_poll_start(&output->poll, UV_WRITABLE, on_ready);
    else if (!wanted && output->polls)
        uv_poll_stop(&output->poll);
    output->polls = wanted;
    if (!wanted && output->finishing)
        close_with(output, 0);
}

// Writes what the pipe takes now.
static void pump(struct ctz_output *output)
{
    while (output->fd >= 0 && output->first) {
        struct chunk *chunk = output->first;
        int fault = CTZ_FAULT("write");
        ssize_t size =
            fault ? -1
                  : write(output->fd, chunk->bytes + chunk->written, chunk->size - chunk->written);
        int code = fault ? fault : errno;
        if (size >= 0)
            chunk->written += (size_t)size;
        else if (code == EAGAIN)
            break;
        else if (code != EINTR)
            close_with(output, code);
        if (size >= 0 && chunk->written == chunk->size)
            settle_first(output, 0);
    }
    watch(output);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status; // a write tells more
    (void)events;
    pump(poll->data);
}

int ctz_output_queue(struct ctz_output *output, const char *bytes, size_t size)
{
    if (size == 0 || ctz_output_is_closed(output))
        return 0;
    struct chunk *chunk = ctz_calloc(1, sizeof *chunk);
    if (!chunk || !(chunk->bytes = ctz_memdup(bytes, size))) {
        ctz_free(chunk);
        return -1;
    }
    chunk->size = size;
    enqueue(output, chunk);
    pump(output);
    return 0;
}

void ctz_output_finish(struct ctz_output *output)
{
    output->finishing = true;
    watch(output);
}

// --- Lua ---------------------------------------------------------------------------------------

struct write_op {
    struct ctz_op op;
    struct ctz_output *output;
    int (*push)(lua_State *L);
    struct chunk chunk;
};

static int start_write(struct ctz_op *op)
{
    struct write_op *write = (struct write_op *)op;
    if (ctz_output_is_closed(write->output)) {
        ctz_error_system(&op->err, EPIPE, "write to the program's stdin");
        ctz_error_hint(&op->err, "it was closed before");
        return -1;
    }
    enqueue(write->output, &write->chunk);
    pump(write->output);
    return 0;
}

static void cancel_write(struct ctz_op *op)
{
    struct write_op *write = (struct write_op *)op;
    if (write->chunk.link) {
        dequeue(write->output, &write->chunk);
        watch(write->output);
    }
    ctz_op_settle(op);
}

static void clear_write(struct ctz_op *op)
{
    ctz_free(((struct write_op *)op)->chunk.bytes);
}

static int push_written(lua_State *L, struct ctz_op *op)
{
    struct write_op *write = (struct write_op *)op;
    if (write->push)
        return write->push(L);
    lua_pushboolean(L, true);
    return 1;
}

static const struct ctz_op_class write_class = {
    .name = "writes to a program",
    .start = start_write,
    .cancel = cancel_write,
    .push = push_written,
    .clear = clear_write,
};

int ctz_output_write(lua_State *L, struct ctz_output *output, int arg, double timeout_s,
                     int (*push)(lua_State *L))
{
    size_t size;
    const char *bytes = ctz_check_string(L, arg, "text", &size);
    struct write_op *write = ctz_op_new(L, &write_class, sizeof *write);
    write->output = output;
    write->push = push;
    write->op.timeout_s = timeout_s;
    write->chunk.op = &write->op;
    write->chunk.size = size;
    write->chunk.bytes = ctz_memdup(bytes, size);
    if (!write->chunk.bytes) {
        ctz_op_discard(&write->op);
        return luaL_error(L, "not enough memory");
    }
    return ctz_await(L, write);
}
