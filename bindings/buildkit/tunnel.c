// tunnel.c: a build's session as one gRPC call on the engine's own socket.
// SPDX-License-Identifier: MIT
#include "bindings/buildkit/tunnel.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/buildkit/memory.h"
#include "bindings/buildkit/messages.pb-c.h"
#include "host/alloc.h"
#include "host/limits.h"

#define PIECE_BYTES   (16 * CTZ_KIB) // of the inner connection in one message to the engine
#define FRAME_BYTES   16             // around a piece: prefix, tag, length
#define MESSAGE_BYTES (1 * CTZ_MIB)  // from the engine; grpc-go writes pieces of 32 KiB
#define FIELDS        24

struct bk_tunnel {
    struct bk_server *server; // borrowed
    nghttp2_session *session;
    int32_t stream;
    struct bk_reader reader;

    // what goes out: a piece of the inner connection as a message; wiped when it was taken
    const uint8_t *piece; // borrowed from the server until it is asked again
    size_t piece_size;
    uint8_t message[FRAME_BYTES + PIECE_BYTES];
    size_t message_size, message_sent;
    bool deferred; // nghttp2 waits to be told that there is something

    // what the engine says
    int http_status, grpc_status; // 0 and -1: nothing yet
    char words[512];
    char complaint[200]; // nghttp2's words, when it has some
    bool over;
    struct ctz_error err; // of a callback
};

// --- out ---------------------------------------------------------------------------------------

// Makes the next message. False: nothing is to be sent, or err is set.
static bool fill_message(struct bk_tunnel *tunnel)
{
    if (tunnel->piece_size == 0) {
        ptrdiff_t size = bk_server_pull(tunnel->server, &tunnel->piece, &tunnel->err);
        if (size <= 0)
            return false;
        tunnel->piece_size = (size_t)size;
    }
    size_t size = tunnel->piece_size < PIECE_BYTES ? tunnel->piece_size : PIECE_BYTES;
    Bk__BytesMessage message = BK__BYTES_MESSAGE__INIT;
    message.data = (ProtobufCBinaryData){size, (uint8_t *)tunnel->piece};
    size_t packed = bk__bytes_message__pack(&message, tunnel->message + BK_PREFIX_BYTES);
    bk_prefix_write(tunnel->message, packed);
    tunnel->message_size = BK_PREFIX_BYTES + packed;
    tunnel->message_sent = 0;
    tunnel->piece += size;
    tunnel->piece_size -= size;
    return true;
}

static ssize_t read_message(nghttp2_session *session, int32_t id, uint8_t *out, size_t most,
                            uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)session, (void)id, (void)flags, (void)context;
    struct bk_tunnel *tunnel = source->ptr;
    if (tunnel->message_sent == tunnel->message_size && !fill_message(tunnel)) {
        if (tunnel->err.kind)
            return NGHTTP2_ERR_CALLBACK_FAILURE;
        tunnel->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t left = tunnel->message_size - tunnel->message_sent;
    size_t size = left < most ? left : most;
    uint8_t *from = tunnel->message + tunnel->message_sent;
    memcpy(out, from, size);
    explicit_bzero(from, size);
    tunnel->message_sent += size;
    return (ssize_t)size;
}

// --- in ----------------------------------------------------------------------------------------

static int on_message(void *context, const uint8_t *bytes, size_t size, struct ctz_error *err)
{
    struct bk_tunnel *tunnel = context;
    struct bk_budget budget;
    bk_budget_init(&budget, 4 * MESSAGE_BYTES);
    Bk__BytesMessage *message = bk__bytes_message__unpack(&budget.allocator, size, bytes);
    if (!message)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the engine sent a malformed message");
    int result = bk_server_feed(tunnel->server, message->data.data, message->data.len, err);
    bk__bytes_message__free_unpacked(message, &budget.allocator);
    return result;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *context)
{
    (void)session, (void)flags;
    struct bk_tunnel *tunnel = context;
    if (id != tunnel->stream || tunnel->http_status != 200)
        return 0;
    int result = bk_reader_feed(&tunnel->reader, bytes, size, on_message, tunnel, &tunnel->err);
    return result < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static bool is_named(const uint8_t *name, size_t size, const char *wanted)
{
    return size == strlen(wanted) && memcmp(name, wanted, size) == 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags,
                     void *context)
{
    (void)session, (void)flags;
    struct bk_tunnel *tunnel = context;
    char text[12] = "";
    if (frame->hd.stream_id != tunnel->stream)
        return 0;
    memcpy(text, value, size < sizeof text ? size : sizeof text - 1);
    if (is_named(name, name_size, ":status"))
        tunnel->http_status = atoi(text);
    else if (is_named(name, name_size, "grpc-status"))
        tunnel->grpc_status = atoi(text);
    else if (is_named(name, name_size, "grpc-message"))
        bk_percent_decode(tunnel->words, sizeof tunnel->words, (const char *)value, size);
    return 0;
}

// The engine ends the call: ours is open still, but nobody reads it.
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct bk_tunnel *tunnel = context;
    bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (frame->hd.stream_id == tunnel->stream && carries)
        tunnel->over |= (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    (void)session;
    struct bk_tunnel *tunnel = context;
    if (id != tunnel->stream)
        return 0;
    tunnel->over = true;
    if (code != NGHTTP2_NO_ERROR && !*tunnel->words)
        snprintf(tunnel->words, sizeof tunnel->words, "%s", nghttp2_http2_strerror(code));
    return 0;
}

static int on_complaint(nghttp2_session *session, int code, const char *text, size_t size,
                        void *context)
{
    (void)session, (void)code;
    struct bk_tunnel *tunnel = context;
    snprintf(tunnel->complaint, sizeof tunnel->complaint, "%.*s", (int)size, text);
    return 0;
}

static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct bk_tunnel *tunnel = context;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        ctz_error_set(&tunnel->err, CTZ_ERROR_PROTOCOL, "the engine broke the rules of HTTP/2: %s",
                      *tunnel->complaint ? tunnel->complaint
                                         : nghttp2_http2_strerror(frame->goaway.error_code));
    return 0;
}

// --- from outside ------------------------------------------------------------------------------

static int open_session(struct bk_tunnel *tunnel)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_mem memory = bk_memory_wiping();
    int result = nghttp2_session_callbacks_new(&callbacks);
    if (result == 0) {
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
        nghttp2_session_callbacks_set_error_callback2(callbacks, on_complaint);
        result = nghttp2_session_client_new3(&tunnel->session, callbacks, tunnel, NULL, &memory);
    }
    nghttp2_session_callbacks_del(callbacks);
    return result == 0 ? 0 : -1;
}

static nghttp2_nv header(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                        NGHTTP2_NV_FLAG_NONE};
}

static int call(struct bk_tunnel *tunnel, const char *authority, const struct bk_field *fields,
                size_t count)
{
    nghttp2_nv headers[FIELDS] = {
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", BK_PATH_SESSION),
        header(":authority", authority),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
        header("user-agent", "ctz/" CTZ_VERSION),
    };
    size_t total = 7;
    for (size_t i = 0; i < count && total < FIELDS; i++)
        headers[total++] = header(fields[i].name, fields[i].value);
    nghttp2_data_provider provider = {.source.ptr = tunnel, .read_callback = read_message};
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 65536}};
    if (nghttp2_submit_settings(tunnel->session, NGHTTP2_FLAG_NONE, settings,
                                CTZ_COUNT(settings)) != 0)
        return -1;
    tunnel->stream = nghttp2_submit_request(tunnel->session, NULL, headers, total, &provider, NULL);
    return tunnel->stream < 0 ? -1 : 0;
}

struct bk_tunnel *bk_tunnel_new(struct bk_server *server, const char *authority,
                                const struct bk_field *fields, size_t count)
{
    struct bk_tunnel *tunnel = ctz_calloc(1, sizeof *tunnel);
    if (!tunnel)
        return NULL;
    tunnel->server = server;
    tunnel->reader.max_bytes = MESSAGE_BYTES;
    tunnel->grpc_status = -1;
    if (open_session(tunnel) == 0 && call(tunnel, authority, fields, count) == 0)
        return tunnel;
    bk_tunnel_free(tunnel);
    return NULL;
}

void bk_tunnel_free(struct bk_tunnel *tunnel)
{
    if (!tunnel)
        return;
    nghttp2_session_del(tunnel->session);
    bk_reader_clear(&tunnel->reader);
    ctz_error_clear(&tunnel->err);
    explicit_bzero(tunnel->message, sizeof tunnel->message);
    ctz_free(tunnel);
}

// The call has ended with something else than "well".
static int check_end(const struct bk_tunnel *tunnel, struct ctz_error *err)
{
    const char *words = *tunnel->words ? tunnel->words : bk_status_name(tunnel->grpc_status);
    if (!tunnel->over || tunnel->grpc_status == BK_OK)
        return 0;
    if (tunnel->http_status && tunnel->http_status != 200) {
        ctz_error_set(err, CTZ_ERROR_UNSUPPORTED,
                      "the engine serves no gRPC on its socket: it answers %d",
                      tunnel->http_status);
        err->status = tunnel->http_status;
        return -1;
    }
    ctz_error_set(err, bk_status_kind(tunnel->grpc_status), "the engine ended the session: %s",
                  words);
    ctz_error_code(err, bk_status_name(tunnel->grpc_status));
    return -1;
}

static int fail_library(struct bk_tunnel *tunnel, ssize_t code, struct ctz_error *err)
{
    if (tunnel->err.kind) {
        ctz_error_move(err, &tunnel->err);
        return -1;
    }
    if (code == NGHTTP2_ERR_NOMEM)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the engine does not speak HTTP/2: %s",
                         nghttp2_strerror((int)code));
}

int bk_tunnel_feed(struct bk_tunnel *tunnel, const uint8_t *bytes, size_t size,
                   struct ctz_error *err)
{
    ssize_t taken = nghttp2_session_mem_recv(tunnel->session, bytes, size);
    if (taken < 0)
        return fail_library(tunnel, taken, err);
    return check_end(tunnel, err);
}

ptrdiff_t bk_tunnel_pull(struct bk_tunnel *tunnel, const uint8_t **bytes, struct ctz_error *err)
{
    bool more = tunnel->piece_size > 0 || bk_server_wants_to_send(tunnel->server);
    if (tunnel->deferred && more) {
        tunnel->deferred = false;
        nghttp2_session_resume_data(tunnel->session, tunnel->stream);
    }
    ssize_t size = nghttp2_session_mem_send(tunnel->session, bytes);
    if (size < 0 || (size == 0 && tunnel->err.kind))
        return fail_library(tunnel, size, err);
    return size;
}

bool bk_tunnel_is_over(const struct bk_tunnel *tunnel)
{
    return tunnel->over || (!nghttp2_session_want_read(tunnel->session) &&
                            !nghttp2_session_want_write(tunnel->session));
}

void bk_tunnel_end(struct bk_tunnel *tunnel)
{
    nghttp2_session_terminate_session(tunnel->session, NGHTTP2_NO_ERROR);
}
