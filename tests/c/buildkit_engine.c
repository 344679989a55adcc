// buildkit_engine.c: the engine's side of a build's session, in memory.
// SPDX-License-Identifier: MIT
#include "tests/c/buildkit_engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/buildkit/messages.pb-c.h"
#include "host/alloc.h"

#define WANT(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

struct body {
    const uint8_t *bytes;
    size_t size, sent;
};

// --- the calls ---------------------------------------------------------------------------------

static struct engine_reply *reply_of(struct engine *engine, int32_t stream)
{
    unsigned call = (unsigned)(stream - 1) / 2;
    return stream > 0 && call < ENGINE_REPLIES ? &engine->replies[call] : NULL;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags,
                     void *context)
{
    (void)session, (void)flags, (void)name_size;
    struct engine_reply *reply = reply_of(context, frame->hd.stream_id);
    if (strcmp((const char *)name, ":status") == 0)
        reply->http_status = atoi((const char *)value);
    if (strcmp((const char *)name, "grpc-status") == 0)
        reply->grpc_status = atoi((const char *)value);
    if (strcmp((const char *)name, "grpc-message") == 0)
        bk_percent_decode(reply->words, sizeof reply->words, (const char *)value, size);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *context)
{
    (void)session, (void)flags;
    WANT(ctz_buffer_append(&reply_of(context, id)->body, bytes, size) == 0);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct engine *engine = context;
    engine->pongs += frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK);
    engine->went_away |= frame->hd.type == NGHTTP2_GOAWAY;
    return 0;
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    struct engine_reply *reply = reply_of(context, id);
    reply->closed = true;
    reply->code = code;
    free(nghttp2_session_get_stream_user_data(session, id));
    if (reply->body.length >= BK_PREFIX_BYTES)
        ctz_buffer_shift(&reply->body, BK_PREFIX_BYTES);
    return 0;
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *out, size_t most,
                         uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)session, (void)id, (void)context;
    struct body *body = source->ptr;
    size_t left = body->size - body->sent, size = left < most ? left : most;
    memcpy(out, body->bytes + body->sent, size);
    body->sent += size;
    if (size == left)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)size;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

unsigned engine_call_raw(struct engine *engine, const char *path, const void *bytes, size_t size)
{
    const nghttp2_nv headers[] = {nv(":method", "POST"),
                                  nv(":scheme", "http"),
                                  nv(":path", path),
                                  nv(":authority", "localhost"),
                                  nv("content-type", "application/grpc"),
                                  nv("te", "trailers")};
    struct body *body = malloc(sizeof *body + size);
    memcpy(body + 1, bytes, size);
    *body = (struct body){(const uint8_t *)(body + 1), size, 0};
    nghttp2_data_provider provider = {.source.ptr = body, .read_callback = read_body};
    int32_t id =
        nghttp2_submit_request(engine->session, NULL, headers, CTZ_COUNT(headers), &provider, body);
    WANT(id > 0 && engine->calls < ENGINE_REPLIES);
    engine->calls++;
    return (unsigned)(id - 1) / 2;
}

unsigned engine_call(struct engine *engine, const char *path, const void *message, size_t size)
{
    uint8_t *body = malloc(BK_PREFIX_BYTES + size);
    bk_prefix_write(body, size);
    if (size > 0)
        memcpy(body + BK_PREFIX_BYTES, message, size);
    unsigned call = engine_call_raw(engine, path, body, BK_PREFIX_BYTES + size);
    free(body);
    return call;
}

void engine_give_up(struct engine *engine, unsigned call)
{
    nghttp2_submit_rst_stream(engine->session, 0, (int32_t)call * 2 + 1, NGHTTP2_CANCEL);
}

void engine_ping(struct engine *engine)
{
    nghttp2_submit_ping(engine->session, 0, NULL);
}

// --- the front: the call that carries all that -------------------------------------------------

static int on_inner(void *context, const uint8_t *bytes, size_t size, struct ctz_error *err)
{
    struct engine *engine = context;
    Bk__BytesMessage *message = bk__bytes_message__unpack(NULL, size, bytes);
    WANT(message);
    ssize_t taken =
        nghttp2_session_mem_recv(engine->session, message->data.data, message->data.len);
    bk__bytes_message__free_unpacked(message, NULL);
    return taken < 0 ? ctz_error_set(err, CTZ_ERROR_PROTOCOL, "front") : 0;
}

static int on_front_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                         size_t size, void *context)
{
    (void)session, (void)flags, (void)id;
    struct engine *engine = context;
    struct ctz_error err = {0};
    int result = bk_reader_feed(&engine->reader, bytes, size, on_inner, engine, &err);
    ctz_error_clear(&err);
    return result < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_front_header(nghttp2_session *session, const nghttp2_frame *frame,
                           const uint8_t *name, size_t name_size, const uint8_t *value, size_t size,
                           uint8_t flags, void *context)
{
    (void)session, (void)flags, (void)frame, (void)name_size, (void)size;
    struct engine *engine = context;
    size_t have = strlen(engine->fields);
    snprintf(engine->fields + have, sizeof engine->fields - have, "%s: %s\n", (const char *)name,
             (const char *)value);
    return 0;
}

// Takes what the engine's client wants to send as one more message.
static void fill_front(struct engine *engine)
{
    const uint8_t *bytes;
    for (ssize_t size; (size = nghttp2_session_mem_send(engine->session, &bytes)) > 0;) {
        Bk__BytesMessage message = BK__BYTES_MESSAGE__INIT;
        message.data = (ProtobufCBinaryData){(size_t)size, (uint8_t *)bytes};
        size_t packed = bk__bytes_message__get_packed_size(&message);
        uint8_t *room = (uint8_t *)ctz_buffer_reserve(&engine->out, BK_PREFIX_BYTES + packed);
        bk_prefix_write(room, packed);
        bk__bytes_message__pack(&message, room + BK_PREFIX_BYTES);
        engine->out.length += BK_PREFIX_BYTES + packed;
    }
}

static ssize_t read_front(nghttp2_session *session, int32_t id, uint8_t *out, size_t most,
                          uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)source;
    struct engine *engine = context;
    fill_front(engine);
    size_t size = engine->out.length < most ? engine->out.length : most;
    if (size == 0 && engine->ended) {
        const nghttp2_nv trailers[] = {nv("grpc-status", "1"), nv("grpc-message", "all%20done")};
        *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
        nghttp2_submit_trailer(session, id, trailers, 2);
        return 0;
    }
    engine->deferred = size == 0;
    if (size == 0)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(out, engine->out.bytes, size);
    ctz_buffer_shift(&engine->out, size);
    return (ssize_t)size;
}

static int on_front_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct engine *engine = context;
    char http[12], grpc[12];
    if (frame->hd.type != NGHTTP2_HEADERS)
        return 0;
    engine->front_stream = frame->hd.stream_id;
    nghttp2_data_provider provider = {.read_callback = read_front};
    bool refuses = engine->refuse_http || engine->refuse_grpc;
    snprintf(http, sizeof http, "%d", engine->refuse_http ? engine->refuse_http : 200);
    snprintf(grpc, sizeof grpc, "%d", engine->refuse_grpc);
    const nghttp2_nv head[] = {nv(":status", http), nv("content-type", "application/grpc"),
                               nv("grpc-status", grpc), nv("grpc-message", "not%20here")};
    nghttp2_submit_response(session, frame->hd.stream_id, head, engine->refuse_grpc ? 4 : 2,
                            refuses ? NULL : &provider);
    return 0;
}

// --- life and talk -----------------------------------------------------------------------------

void engine_open(struct engine *engine, bool with_front)
{
    nghttp2_session_callbacks *callbacks;
    memset(engine, 0, sizeof *engine);
    engine->reader.max_bytes = 1 << 20;
    ctz_buffer_init(&engine->out, SIZE_MAX / 2);
    for (size_t i = 0; i < ENGINE_REPLIES; i++) {
        engine->replies[i].http_status = engine->replies[i].grpc_status = -1;
        ctz_buffer_init(&engine->replies[i].body, SIZE_MAX / 2);
    }
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    nghttp2_session_client_new(&engine->session, callbacks, engine);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(engine->session, 0, NULL, 0);
    if (!with_front)
        return;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_front_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_front_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_front_frame);
    nghttp2_session_server_new(&engine->front, callbacks, engine);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(engine->front, 0, NULL, 0);
}

void engine_close(struct engine *engine)
{
    for (unsigned i = 0; i < engine->calls; i++)
        if (!engine->replies[i].closed)
            free(nghttp2_session_get_stream_user_data(engine->session, (int32_t)i * 2 + 1));
    nghttp2_session_del(engine->session);
    nghttp2_session_del(engine->front);
    bk_reader_clear(&engine->reader);
    ctz_buffer_clear(&engine->out);
    for (size_t i = 0; i < ENGINE_REPLIES; i++)
        ctz_buffer_clear(&engine->replies[i].body);
}

// What the engine wants to send now. Yours to ctz_free.
static uint8_t *engine_take(struct engine *engine, size_t *size)
{
    struct ctz_buffer all;
    const uint8_t *bytes;
    nghttp2_session *session = engine->front ? engine->front : engine->session;
    ctz_buffer_init(&all, SIZE_MAX / 2);
    if (engine->front && engine->deferred &&
        (nghttp2_session_want_write(engine->session) || engine->ended)) {
        engine->deferred = false;
        nghttp2_session_resume_data(engine->front, engine->front_stream);
    }
    for (ssize_t part; (part = nghttp2_session_mem_send(session, &bytes)) > 0;)
        ctz_buffer_append(&all, bytes, (size_t)part);
    *size = all.length;
    return (uint8_t *)ctz_buffer_take(&all);
}

static int hand_in_pieces(struct bk_server *server, struct bk_tunnel *tunnel, const uint8_t *bytes,
                          size_t size, size_t piece, struct ctz_error *err)
{
    for (size_t at = 0; at < size; at += piece) {
        size_t part = size - at < piece ? size - at : piece;
        int result = tunnel ? bk_tunnel_feed(tunnel, bytes + at, part, err)
                            : bk_server_feed(server, bytes + at, part, err);
        if (result < 0)
            return -1;
    }
    return 0;
}

int engine_talk(struct engine *engine, struct bk_server *server, struct bk_tunnel *tunnel,
                size_t piece, struct ctz_error *err)
{
    for (bool moved = true; moved;) {
        size_t size;
        uint8_t *theirs = engine_take(engine, &size);
        if (engine->heard)
            ctz_buffer_append(engine->heard, theirs, size);
        int result = hand_in_pieces(server, tunnel, theirs, size, piece, err);
        ctz_free(theirs);
        moved = size > 0;
        const uint8_t *ours;
        ptrdiff_t got;
        struct ctz_error later = {0}; // what is to be sent goes out also after a failure
        while ((got = tunnel ? bk_tunnel_pull(tunnel, &ours, &later)
                             : bk_server_pull(server, &ours, &later)) > 0) {
            nghttp2_session *to = engine->front ? engine->front : engine->session;
            for (ptrdiff_t at = 0; at < got; at += (ptrdiff_t)piece) {
                size_t part = got - at < (ptrdiff_t)piece ? (size_t)(got - at) : piece;
                WANT(nghttp2_session_mem_recv(to, ours + at, part) == (ssize_t)part);
            }
            moved = true;
        }
        if (result == 0 && got < 0)
            ctz_error_move(err, &later);
        ctz_error_clear(&later);
        if (result < 0 || got < 0)
            return -1;
    }
    return 0;
}
