// websocket.c: messages of a WebSocket: wslay takes the frames apart and puts them together.
// SPDX-License-Identifier: MIT
//
// wslay answers pings and close frames, joins nothing for us: the bytes of a message are gathered
// here, so that one that comes in a million fragments is held to the same limit. Each message we
// send is one frame: servers of older Kubernetes take every frame for a message.
// Source: RFC 6455.
#include "bindings/kubernetes/websocket.h"

#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

#include "host/alloc.h"
#include "host/buffer.h"

#define MOST_ANSWERS  64 // to pings, not yet sent: then the other side has to wait
#define MESSAGE_BYTES 64 // that a message takes beside its own
#define REASON_BYTES  124

struct ws {
    struct ws_io io;
    struct wslay_event_context *frames; // owned
    size_t most_bytes, window_bytes;
    struct ws_message *first, **last; // whole messages, owned
    size_t waiting_bytes;             // of them
    struct ctz_buffer part;           // of the message that comes now
    struct ctz_buffer out;            // a message with its channel
    uint64_t received;
    struct ctz_error err;
    bool in_control, text, final; // of the frame that comes now
    bool ended;                   // the connection
    bool paused;
    char reason[REASON_BYTES];
};

// --- the frames --------------------------------------------------------------------------------

static void fail(struct ws *ws, enum ctz_error_kind kind, const char *text)
{
    if (!ws->err.kind)
        ctz_error_set(&ws->err, kind, "%s", text);
    wslay_event_shutdown_read(ws->frames);
}

static void fail_memory(struct ws *ws)
{
    fail(ws, CTZ_ERROR_IO, "out of memory");
}

// Nobody takes the messages, or the other side does not take our answers.
static bool is_full(const struct ws *ws)
{
    return ws->waiting_bytes >= ws->window_bytes || ws_queued(ws) >= MOST_ANSWERS;
}

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *bytes, size_t size, int flags,
                       void *context)
{
    (void)flags;
    struct ws *ws = context;
    ptrdiff_t got = WS_AGAIN;
    ws->paused = is_full(ws);
    if (!ws->paused)
        got = ws->io.recv(ws->io.context, (char *)bytes, size, &ws->err);
    if (got > 0) {
        ws->received += (uint64_t)got;
        return got;
    }
    ws->ended |= got != WS_AGAIN;
    wslay_event_set_error(frames,
                          got == WS_AGAIN ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *bytes, size_t size, int flags,
                       void *context)
{
    (void)flags;
    struct ws *ws = context;
    struct ctz_error err = {0};
    ptrdiff_t sent = ws->io.send(ws->io.context, (const char *)bytes, size, &err);
    if (sent > 0)
        return sent;
    if (sent != WS_AGAIN && !ws->err.kind)
        ctz_error_move(&ws->err, &err);
    ctz_error_clear(&err);
    wslay_event_set_error(frames,
                          sent == WS_FAIL ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static int on_mask(wslay_event_context_ptr frames, uint8_t *bytes, size_t size, void *context)
{
    (void)context;
    if (getrandom(bytes, size, 0) == (ssize_t)size)
        return 0;
    wslay_event_set_error(frames, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

// --- messages ----------------------------------------------------------------------------------

static void on_frame_begin(wslay_event_context_ptr frames,
                           const struct wslay_event_on_frame_recv_start_arg *frame, void *context)
{
    struct ws *ws = context;
    ws->in_control = wslay_is_ctrl_frame(frame->opcode);
    if (ws->in_control)
        return;
    if (frame->opcode != WSLAY_CONTINUATION_FRAME)
        ws->text = frame->opcode == WSLAY_TEXT_FRAME;
    ws->final = frame->fin;
    if (frame->payload_length <= ws->most_bytes - ws->part.length)
        return;
    ctz_error_set(&ws->err, CTZ_ERROR_SIZE, "a message is longer than %zu bytes", ws->most_bytes);
    ctz_error_hint(&ws->err, "--limit message_bytes=... raises it");
    wslay_event_queue_close(frames, WSLAY_CODE_MESSAGE_TOO_BIG, NULL, 0);
    wslay_event_shutdown_read(frames);
}

// Control frames come between those of a message; wslay has their bytes.
static void on_frame_bytes(wslay_event_context_ptr frames,
                           const struct wslay_event_on_frame_recv_chunk_arg *chunk, void *context)
{
    (void)frames;
    struct ws *ws = context;
    if (ws->in_control || ws->err.kind)
        return;
    if (ctz_buffer_append(&ws->part, chunk->data, chunk->data_length) < 0)
        fail_memory(ws);
}

static void keep_message(struct ws *ws)
{
    struct ws_message *message = ctz_calloc(1, sizeof *message);
    size_t size = ws->part.length;
    char *bytes = message ? ctz_buffer_take(&ws->part) : NULL;
    if (!bytes) {
        ctz_free(message);
        fail_memory(ws);
        return;
    }
    message->bytes = bytes;
    message->size = size;
    message->text = ws->text;
    *ws->last = message;
    ws->last = &message->next;
    ws->waiting_bytes += size + MESSAGE_BYTES;
}

static void on_frame_end(wslay_event_context_ptr frames, void *context)
{
    (void)frames;
    struct ws *ws = context;
    if (!ws->in_control && ws->final && !ws->err.kind)
        keep_message(ws);
}

// Called for control messages too; only the words of a close frame are of interest.
static void on_message(wslay_event_context_ptr frames,
                       const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    (void)frames;
    struct ws *ws = context;
    if (message->opcode != WSLAY_CONNECTION_CLOSE || message->msg_length <= 2)
        return;
    size_t size = message->msg_length - 2;
    size = size < sizeof ws->reason ? size : sizeof ws->reason - 1;
    memcpy(ws->reason, message->msg + 2, size);
    ws->reason[size] = '\0';
}

struct ws_message *ws_next(struct ws *ws)
{
    struct ws_message *message = ws->first;
    if (!message)
        return NULL;
    ws->first = message->next;
    if (!ws->first)
        ws->last = &ws->first;
    message->next = NULL;
    ws->waiting_bytes -= message->size + MESSAGE_BYTES;
    return message;
}

bool ws_has_message(const struct ws *ws)
{
    return ws->first != NULL;
}

void ws_message_free(struct ws_message *message)
{
    if (message)
        ctz_free(message->bytes);
    ctz_free(message);
}

// --- receiving ---------------------------------------------------------------------------------

// wslay queues a close frame that says why and reads no more.
static void note_broken_rules(struct ws *ws)
{
    if (!wslay_event_get_read_enabled(ws->frames) && !wslay_event_get_close_received(ws->frames))
        fail(ws, CTZ_ERROR_PROTOCOL, "the other side sends what is no WebSocket frame");
}

bool ws_receive(struct ws *ws)
{
    if (ws_is_over(ws))
        return false;
    int result = wslay_event_recv(ws->frames);
    if (result == WSLAY_ERR_NOMEM)
        fail_memory(ws);
    else if (ws->ended)
        fail(ws, CTZ_ERROR_UNREACHABLE, "the connection ended without a close frame");
    else
        note_broken_rules(ws);
    return !ws_is_over(ws) && !ws->paused;
}

bool ws_is_over(const struct ws *ws)
{
    return ws->err.kind || ws->ended || wslay_event_get_close_received(ws->frames);
}

struct ctz_error *ws_error(struct ws *ws)
{
    return &ws->err;
}

unsigned ws_close_code(const struct ws *ws)
{
    return wslay_event_get_status_code_received(ws->frames);
}

const char *ws_close_reason(const struct ws *ws)
{
    return ws->reason;
}

uint64_t ws_received(const struct ws *ws)
{
    return ws->received;
}

bool ws_is_paused(const struct ws *ws)
{
    return ws->paused;
}

bool ws_has_room(const struct ws *ws)
{
    return ws->paused && !is_full(ws);
}

// --- sending -----------------------------------------------------------------------------------

static int queue(struct ws *ws, uint8_t opcode, const char *bytes, size_t size,
                 struct ctz_error *err)
{
    struct wslay_event_msg message = {opcode, (const uint8_t *)bytes, size};
    int result = wslay_event_queue_msg(ws->frames, &message);
    if (result == WSLAY_ERR_NOMEM)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    if (result < 0)
        return ctz_error_set(err, CTZ_ERROR_UNREACHABLE, "the connection is closed");
    return 0;
}

int ws_queue(struct ws *ws, int channel, const char *bytes, size_t size, struct ctz_error *err)
{
    if (channel < 0)
        return queue(ws, WSLAY_BINARY_FRAME, bytes, size, err);
    ws->out.length = 0;
    ctz_buffer_byte(&ws->out, (char)channel);
    ctz_buffer_append(&ws->out, bytes, size);
    if (ws->out.failed) {
        ws->out.failed = false;
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    }
    return queue(ws, WSLAY_BINARY_FRAME, ws->out.bytes, ws->out.length, err);
}

int ws_ping(struct ws *ws, struct ctz_error *err)
{
    return queue(ws, WSLAY_PING, NULL, 0, err);
}

int ws_close(struct ws *ws, unsigned code, struct ctz_error *err)
{
    int result = wslay_event_queue_close(ws->frames, (uint16_t)code, NULL, 0);
    if (result == WSLAY_ERR_NOMEM)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    return 0; // or it is closed already
}

bool ws_transmit(struct ws *ws)
{
    if (ws->ended)
        return false;
    int result = wslay_event_send(ws->frames);
    if (result == WSLAY_ERR_NOMEM)
        fail_memory(ws);
    else if (result < 0)
        fail(ws, CTZ_ERROR_UNREACHABLE, "the connection broke");
    return wslay_event_want_write(ws->frames);
}

size_t ws_queued(const struct ws *ws)
{
    return wslay_event_get_queued_msg_count(ws->frames);
}

// --- life --------------------------------------------------------------------------------------

struct ws *ws_new(const struct ws_io *io, size_t most_bytes, size_t window_bytes)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv,
        .send_callback = on_send,
        .genmask_callback = on_mask,
        .on_frame_recv_start_callback = on_frame_begin,
        .on_frame_recv_chunk_callback = on_frame_bytes,
        .on_frame_recv_end_callback = on_frame_end,
        .on_msg_recv_callback = on_message,
    };
    struct ws *ws = ctz_calloc(1, sizeof *ws);
    if (!ws)
        return NULL;
    ws->io = *io;
    ws->most_bytes = most_bytes;
    ws->window_bytes = window_bytes;
    ws->last = &ws->first;
    ctz_buffer_init(&ws->part, most_bytes + 1);
    ctz_buffer_init(&ws->out, SIZE_MAX / 2);
    if (wslay_event_context_client_init(&ws->frames, &callbacks, ws) != 0) {
        ctz_free(ws);
        return NULL;
    }
    wslay_event_config_set_no_buffering(ws->frames, 1);
    wslay_event_config_set_max_recv_msg_length(ws->frames, UINT64_MAX);
    return ws;
}

void ws_free(struct ws *ws)
{
    if (!ws)
        return;
    while (ws->first)
        ws_message_free(ws_next(ws));
    wslay_event_context_free(ws->frames);
    ctz_buffer_clear(&ws->part);
    ctz_buffer_clear(&ws->out);
    ctz_error_clear(&ws->err);
    ctz_free(ws);
}
