// input.c: bytes that come from a descriptor.
// SPDX-License-Identifier: MIT
#include "host/input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <uv.h>

#include "host/alloc.h"
#include "host/host.h"
#include "host/readers.h"

#define BLOCK_BYTES     (64 * 1024)   // read at once
#define AHEAD_BYTES     (64 * 1024)   // read for nobody yet
#define BLOCKS_A_ROUND  16            // then others have their turn
#define PARTIAL_LINE_NS 50000000      // an unfinished line is shown after this silence
#define LINE_MAX_BYTES  (1024 * 1024) // of a line that is passed on; a longer one in pieces

struct ctz_input {
    struct ctz_host *host;
    uv_poll_t poll;
    int fd; // owned; -1 at the end
    enum ctz_input_use use;
    enum ctz_stream stream;  // of CTZ_INPUT_PASS
    struct ctz_buffer bytes; // [taken, length) is read and not taken
    size_t taken;
    uint64_t total, max_bytes;
    struct ctz_timer partial; // CTZ_INPUT_PASS: prints an unfinished line
    struct ctz_readers readers;
    void (*on_change)(void *owner);
    void *owner;
    int error;
    uint8_t references; // the owner's and the poll handle's
    bool has_poll, polls, blocks, overflowed;
};

// --- life --------------------------------------------------------------------------------------

static void unreference(struct ctz_input *input)
{
    if (--input->references > 0)
        return;
    ctz_buffer_clear(&input->bytes);
    ctz_free(input);
}

struct ctz_input *ctz_input_new(struct ctz_host *host, int take_fd, bool blocks,
                                struct ctz_error *err)
{
    struct ctz_input *input = ctz_calloc(1, sizeof *input);
    if (!input) {
        close(take_fd);
        ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
        return NULL;
    }
    input->host = host;
    input->fd = take_fd;
    input->blocks = blocks;
    input->references = 1;
    ctz_buffer_init(&input->bytes, SIZE_MAX / 2);
    ctz_readers_init(&input->readers, input);
    int flags = fcntl(take_fd, F_GETFL);
    int result = uv_poll_init(&host->loop, &input->poll, take_fd);
    if (blocks) // uv_poll_init makes it non-blocking, for everybody who shares it
        fcntl(take_fd, F_SETFL, flags);
    if (result == 0) {
        input->has_poll = true;
        input->poll.data = input;
        input->references++;
    } else if (result != UV_EPERM) { // EPERM: a regular file, which is always ready
        ctz_error_system(err, result, "watch a pipe");
        ctz_input_release(input);
        return NULL;
    }
    return input;
}

static void on_closed(uv_handle_t *handle)
{
    unreference(handle->data);
}

static void close_descriptor(struct ctz_input *input)
{
    if (input->fd < 0)
        return;
    ctz_timer_stop(input->host, &input->partial);
    if (input->has_poll)
        uv_close((uv_handle_t *)&input->poll, on_closed);
    close(input->fd);
    input->fd = -1;
    input->polls = false;
}

void ctz_input_release(struct ctz_input *input)
{
    if (!input)
        return;
    input->on_change = NULL;
    ctz_input_end(input);
    ctz_readers_drop(&input->readers);
    unreference(input);
}

// --- facts -------------------------------------------------------------------------------------

bool ctz_input_has_ended(const struct ctz_input *input)
{
    return input->fd < 0;
}

bool ctz_input_overflowed(const struct ctz_input *input)
{
    return input->overflowed;
}

int ctz_input_error(const struct ctz_input *input)
{
    return input->error;
}

uint64_t ctz_input_total(const struct ctz_input *input)
{
    return input->total;
}

const char *ctz_input_bytes(const struct ctz_input *input, size_t *size)
{
    *size = input->bytes.length - input->taken;
    return input->bytes.bytes ? input->bytes.bytes + input->taken : "";
}

struct ctz_readers *ctz_input_readers(struct ctz_input *input)
{
    return &input->readers;
}

struct ctz_host *ctz_input_host(const struct ctz_input *input)
{
    return input->host;
}

void ctz_input_take(struct ctz_input *input, size_t size)
{
    input->taken += size;
    if (input->taken < input->bytes.length && input->taken < AHEAD_BYTES)
        return;
    ctz_buffer_shift(&input->bytes, input->taken);
    input->taken = 0;
}

static bool wants_bytes(const struct ctz_input *input)
{
    if (ctz_readers_wait(&input->readers))
        return true;
    if (input->use == CTZ_INPUT_HOLD)
        return input->bytes.length - input->taken < AHEAD_BYTES;
    return input->use != CTZ_INPUT_PULL;
}

bool ctz_input_is_paused(const struct ctz_input *input)
{
    return input->fd >= 0 && !wants_bytes(input);
}

// --- passing on --------------------------------------------------------------------------------

static void pass(struct ctz_input *input, size_t size)
{
    ctz_timer_stop(input->host, &input->partial);
    if (size > 0)
        ctz_egress_write(input->host, input->stream, input->bytes.bytes, size);
    ctz_buffer_shift(&input->bytes, size);
}

static void on_silence(struct ctz_timer *timer)
{
    struct ctz_input *input = CTZ_CONTAINER(timer, struct ctz_input, partial);
    pass(input, input->bytes.length);
}

// Whole lines at once, so that a secret is not cut; the rest of one when it ends or stays silent.
static void pass_lines(struct ctz_input *input)
{
    const char *bytes = input->bytes.bytes;
    size_t length = input->bytes.length;
    const char *last = length ? memrchr(bytes, '\n', length) : NULL;
    bool all = input->fd < 0 || length >= LINE_MAX_BYTES;
    pass(input, all ? length : last ? (size_t)(last - bytes) + 1 : 0);
    if (input->bytes.length > 0)
        ctz_timer_start(input->host, &input->partial, ctz_now() + PARTIAL_LINE_NS, on_silence);
}

// --- reading -----------------------------------------------------------------------------------

static void on_ready(uv_poll_t *poll, int status, int events);
static void read_plainly(struct ctz_input *input);

void ctz_input_watch(struct ctz_input *input)
{
    if (!input->has_poll)
        read_plainly(input);
    if (!input->has_poll || input->fd < 0)
        return;
    bool wanted = wants_bytes(input);
    if (wanted && !input->polls)
        uv_poll_start(&input->poll, UV_READABLE, on_ready);
    else if (!wanted && input->polls)
        uv_poll_stop(&input->poll);
    input->polls = wanted;
}

static void take_in(struct ctz_input *input, const char *block, size_t size)
{
    input->total += size;
    if (input->use == CTZ_INPUT_KEEP &&
        input->bytes.length - input->taken + size > input->max_bytes) {
        input->overflowed = true;
        return;
    }
    if (ctz_buffer_append(&input->bytes, block, size) < 0) {
        input->error = ENOMEM;
        input->taken = 0;
        close_descriptor(input);
    }
}

// One read; false when there is no more to be had now.
static bool read_block(struct ctz_input *input)
{
    char block[BLOCK_BYTES];
    int fault = CTZ_FAULT("read");
    ssize_t size;
    do
        size = fault ? -1 : read(input->fd, block, sizeof block);
    while (size < 0 && !fault && errno == EINTR);
    if (size > 0) {
        take_in(input, block, (size_t)size);
        return !input->blocks;
    }
    int code = fault ? fault : errno;
    if (size < 0 && code == EAGAIN)
        return false;
    if (code == EBADF && input->blocks) // a stdin that was closed when we began
        size = 0;
    bool hung_up = code == EIO && !input->blocks && isatty(input->fd); // of a pseudo terminal
    if (size < 0 && !hung_up)
        input->error = code;
    close_descriptor(input);
    return false;
}

// A regular file: its bytes are always there.
static void read_plainly(struct ctz_input *input)
{
    while (input->fd >= 0 && ctz_readers_wait(&input->readers)) {
        read_block(input);
        ctz_readers_serve(&input->readers);
    }
}

static void changed(struct ctz_input *input)
{
    if (input->use == CTZ_INPUT_PASS)
        pass_lines(input);
    ctz_readers_serve(&input->readers);
    ctz_input_watch(input);
    if (input->on_change)
        input->on_change(input->owner);
}

void ctz_input_pump(struct ctz_input *input)
{
    if (!input || input->fd < 0 || (input->blocks && input->has_poll))
        return;
    for (int i = 0; i < BLOCKS_A_ROUND && input->fd >= 0 && wants_bytes(input); i++)
        if (!read_block(input))
            break;
    changed(input);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
    (void)status; // a read tells more
    (void)events;
    struct ctz_input *input = poll->data;
    if (!input->blocks) {
        ctz_input_pump(input);
        return;
    }
    read_block(input);
    changed(input);
}

void ctz_input_end(struct ctz_input *input)
{
    if (!input || input->fd < 0)
        return;
    close_descriptor(input);
    changed(input);
}

void ctz_input_begin(struct ctz_input *input, enum ctz_input_use use, uint64_t max_bytes,
                     void (*on_change)(void *owner), void *owner)
{
    input->use = use;
    input->max_bytes = max_bytes;
    input->on_change = on_change;
    input->owner = owner;
    ctz_input_watch(input);
}

void ctz_input_pass_to(struct ctz_input *input, enum ctz_stream stream)
{
    input->stream = stream;
}

void ctz_input_keep(struct ctz_input *input)
{
    if (input->use == CTZ_INPUT_HOLD)
        input->use = CTZ_INPUT_KEEP;
    ctz_input_watch(input);
}
