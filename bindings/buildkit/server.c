// server.c: what the engine asks of a build's client: an HTTP/2 server with three gRPC services.
// SPDX-License-Identifier: MIT
//
// nghttp2 speaks HTTP/2: it answers pings, keeps to the windows and checks the headers. Every
// request is one gRPC message, every answer one message and its trailers, or trailers only.
#include "bindings/buildkit/server.h"

#include <stdio.h>
#include <string.h>

#include "bindings/buildkit/memory.h"
#include "bindings/buildkit/messages.pb-c.h"
#include "host/alloc.h"
#include "host/limits.h"

#define REQUEST_BYTES (64 * CTZ_KIB)  // one request's message
#define UNPACK_BYTES  (256 * CTZ_KIB) // and what it may become
#define STREAMS       64              // calls at once
#define MESSAGE_BYTES 2048            // of grpc-message
#define NV(name, value)                                                                            \
    (nghttp2_nv)                                                                                   \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), strlen(name), strlen(value), NGHTTP2_NV_FLAG_NONE   \
    }

// One call of the engine.
struct stream {
    struct stream *next, **link;
    int32_t id;
    char path[80];             // longer ones are none of ours
    struct ctz_buffer request; // with its prefix
    bool too_long;
    enum bk_method method;
    char *subject; // owned; NULL until the request is whole
    bool given_out, answered;
    uint8_t *answer; // owned, wiped when freed: the prefix and the message
    size_t answer_size, answer_sent;
};

struct bk_server {
    nghttp2_session *session;
    struct stream *streams, **streams_end; // in the order of their coming
    struct ctz_error err;
    char complaint[200]; // nghttp2's words, when it has some
    bool ready;
};

// --- streams -----------------------------------------------------------------------------------

static struct stream *stream_of(struct bk_server *server, int32_t id)
{
    return nghttp2_session_get_stream_user_data(server->session, id);
}

static void free_stream(struct bk_server *server, struct stream *stream)
{
    *stream->link = stream->next;
    if (stream->next)
        stream->next->link = stream->link;
    else
        server->streams_end = stream->link;
    ctz_buffer_clear(&stream->request);
    ctz_free(stream->subject);
    if (stream->answer)
        explicit_bzero(stream->answer, stream->answer_size);
    ctz_free(stream->answer);
    ctz_free(stream);
}

static struct stream *new_stream(struct bk_server *server, int32_t id)
{
    struct stream *stream = ctz_calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->id = id;
    ctz_buffer_init(&stream->request, REQUEST_BYTES + BK_PREFIX_BYTES);
    stream->link = server->streams_end;
    *server->streams_end = stream;
    server->streams_end = &stream->next;
    return stream;
}

// --- answers -----------------------------------------------------------------------------------

// Called inside nghttp2: the answer's next bytes, and behind the last the trailers.
static ssize_t read_answer(nghttp2_session *session, int32_t id, uint8_t *out, size_t most,
                           uint32_t *flags, nghttp2_data_source *source, void *context)
{
    (void)context;
    struct stream *stream = source->ptr;
    size_t left = stream->answer_size - stream->answer_sent;
    size_t size = left < most ? left : most;
    memcpy(out, stream->answer + stream->answer_sent, size);
    stream->answer_sent += size;
    if (size < left)
        return (ssize_t)size;
    const nghttp2_nv trailers[] = {NV("grpc-status", "0")};
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    if (nghttp2_submit_trailer(session, id, trailers, CTZ_COUNT(trailers)) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return (ssize_t)size;
}

// Room for a message of that size behind its prefix, owned by the stream. NULL: no memory.
static uint8_t *answer_room(struct stream *stream, size_t size)
{
    stream->answer = ctz_malloc(BK_PREFIX_BYTES + size);
    if (!stream->answer)
        return NULL;
    stream->answer_size = BK_PREFIX_BYTES + size;
    bk_prefix_write(stream->answer, size);
    return stream->answer + BK_PREFIX_BYTES;
}

// Sends the answer that stands in the stream.
static int submit_answer(struct bk_server *server, struct stream *stream)
{
    const nghttp2_nv head[] = {NV(":status", "200"), NV("content-type", "application/grpc")};
    nghttp2_data_provider provider = {.source.ptr = stream, .read_callback = read_answer};
    stream->answered = true;
    int result =
        nghttp2_submit_response(server->session, stream->id, head, CTZ_COUNT(head), &provider);
    return result == 0 ? 0 : -1;
}

static int answer(struct bk_server *server, struct stream *stream, const ProtobufCMessage *message)
{
    uint8_t *room = answer_room(stream, protobuf_c_message_get_packed_size(message));
    if (!room)
        return -1;
    protobuf_c_message_pack(message, room);
    return submit_answer(server, stream);
}

static int refuse(struct bk_server *server, struct stream *stream, int status, const char *text)
{
    char number[12], message[MESSAGE_BYTES];
    snprintf(number, sizeof number, "%d", status);
    bk_percent_encode(message, sizeof message, text);
    const nghttp2_nv head[] = {NV(":status", "200"), NV("content-type", "application/grpc"),
                               NV("grpc-status", number), NV("grpc-message", message)};
    stream->answered = true;
    int result = nghttp2_submit_response(server->session, stream->id, head, CTZ_COUNT(head), NULL);
    return result == 0 ? 0 : -1;
}

// --- requests ----------------------------------------------------------------------------------

static enum bk_method method_of(const char *path)
{
    if (strcmp(path, BK_PATH_HEALTH) == 0)
        return BK_METHOD_HEALTH;
    if (strcmp(path, BK_PATH_CREDENTIALS) == 0)
        return BK_METHOD_CREDENTIALS;
    return strcmp(path, BK_PATH_SECRET) == 0 ? BK_METHOD_SECRET : BK_METHOD_OTHER;
}

// The one message of the request; NULL when it is none, or more than one.
static const uint8_t *message_of(const struct stream *stream, size_t *size)
{
    const uint8_t *bytes = (const uint8_t *)stream->request.bytes;
    size_t length = stream->request.length;
    uint8_t prefix[BK_PREFIX_BYTES];
    if (length < BK_PREFIX_BYTES)
        return NULL;
    *size = length - BK_PREFIX_BYTES;
    bk_prefix_write(prefix, *size);
    return memcmp(prefix, bytes, sizeof prefix) == 0 ? bytes + BK_PREFIX_BYTES : NULL;
}

// What a request for a secret or for credentials is about: NULL when it cannot be read.
static char *read_subject(enum bk_method method, const uint8_t *bytes, size_t size)
{
    struct bk_budget budget;
    bk_budget_init(&budget, UNPACK_BYTES);
    char *subject = NULL;
    if (method == BK_METHOD_SECRET) {
        Bk__GetSecretRequest *request =
            bk__get_secret_request__unpack(&budget.allocator, size, bytes);
        if (request)
            subject = ctz_strdup(request->id);
        bk__get_secret_request__free_unpacked(request, &budget.allocator);
        return subject;
    }
    Bk__CredentialsRequest *request =
        bk__credentials_request__unpack(&budget.allocator, size, bytes);
    if (request)
        subject = ctz_strdup(request->host);
    bk__credentials_request__free_unpacked(request, &budget.allocator);
    return subject;
}

static int answer_health(struct bk_server *server, struct stream *stream)
{
    Bk__HealthCheckResponse serving = BK__HEALTH_CHECK_RESPONSE__INIT;
    serving.status = 1;
    return answer(server, stream, &serving.base);
}

// The request is whole: is answered here, or waits to be given out.
static int take_request(struct bk_server *server, struct stream *stream)
{
    size_t size = 0;
    const uint8_t *message = message_of(stream, &size);
    stream->method = method_of(stream->path);
    if (stream->method == BK_METHOD_OTHER)
        return refuse(server, stream, BK_UNIMPLEMENTED, "ctz does not serve this method");
    if (stream->too_long)
        return refuse(server, stream, BK_RESOURCE_EXHAUSTED, "the request is too long");
    if (!message)
        return refuse(server, stream, BK_INTERNAL, "the request is not one gRPC message");
    if (stream->method == BK_METHOD_HEALTH)
        return answer_health(server, stream);
    stream->subject = read_subject(stream->method, message, size);
    ctz_buffer_clear(&stream->request);
    return stream->subject ? 0 : refuse(server, stream, BK_INTERNAL, "the request is malformed");
}

// --- nghttp2 tells -----------------------------------------------------------------------------

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct bk_server *server = context;
    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct stream *stream = new_stream(server, frame->hd.stream_id);
    if (!stream)
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; // this call is refused, the others go on
    nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t size, uint8_t flags,
                     void *context)
{
    (void)session, (void)flags;
    struct stream *stream = stream_of(context, frame->hd.stream_id);
    if (!stream || name_size != 5 || memcmp(name, ":path", 5) != 0 || size >= sizeof stream->path)
        return 0;
    memcpy(stream->path, value, size);
    stream->path[size] = '\0';
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                   size_t size, void *context)
{
    (void)session, (void)flags;
    struct stream *stream = stream_of(context, id);
    if (!stream || stream->too_long)
        return 0;
    stream->too_long = ctz_buffer_append(&stream->request, bytes, size) < 0;
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct bk_server *server = context;
    uint8_t type = frame->hd.type;
    if (type == NGHTTP2_SETTINGS)
        server->ready = true;
    if ((type != NGHTTP2_HEADERS && type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct stream *stream = stream_of(server, frame->hd.stream_id);
    if (!stream || stream->answered || stream->subject)
        return 0;
    return take_request(server, stream) < 0 ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    (void)session, (void)code;
    struct stream *stream = stream_of(context, id);
    if (stream)
        free_stream(context, stream);
    return 0;
}

static int on_complaint(nghttp2_session *session, int code, const char *text, size_t size,
                        void *context)
{
    (void)session, (void)code;
    struct bk_server *server = context;
    snprintf(server->complaint, sizeof server->complaint, "%.*s", (int)size, text);
    return 0;
}

// A GOAWAY of ours with an error code: the other side broke the rules.
static int on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    (void)session;
    struct bk_server *server = context;
    if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
        ctz_error_set(&server->err, CTZ_ERROR_PROTOCOL, "the engine broke the rules of HTTP/2: %s",
                      *server->complaint ? server->complaint
                                         : nghttp2_http2_strerror(frame->goaway.error_code));
    return 0;
}

// --- from outside ------------------------------------------------------------------------------

static int open_session(struct bk_server *server)
{
    nghttp2_session_callbacks *callbacks = NULL;
    nghttp2_option *option = NULL;
    nghttp2_mem memory = bk_memory_wiping();
    int result = nghttp2_session_callbacks_new(&callbacks);
    if (result == 0)
        result = nghttp2_option_new(&option);
    if (result == 0) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_sent);
        nghttp2_session_callbacks_set_error_callback2(callbacks, on_complaint);
        nghttp2_option_set_no_closed_streams(option, 1);
        result = nghttp2_session_server_new3(&server->session, callbacks, server, option, &memory);
    }
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(option);
    return result == 0 ? 0 : -1;
}

struct bk_server *bk_server_new(void)
{
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, STREAMS},
                                               {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 16384}};
    struct bk_server *server = ctz_calloc(1, sizeof *server);
    if (!server)
        return NULL;
    server->streams_end = &server->streams;
    if (open_session(server) == 0 && nghttp2_submit_settings(server->session, NGHTTP2_FLAG_NONE,
                                                             settings, CTZ_COUNT(settings)) == 0)
        return server;
    bk_server_free(server);
    return NULL;
}

void bk_server_free(struct bk_server *server)
{
    if (!server)
        return;
    nghttp2_session_del(server->session);
    while (server->streams)
        free_stream(server, server->streams);
    ctz_error_clear(&server->err);
    ctz_free(server);
}

static int fail_library(struct ctz_error *err, ssize_t code)
{
    bool memory = code == NGHTTP2_ERR_NOMEM || code == NGHTTP2_ERR_CALLBACK_FAILURE;
    if (memory)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the engine does not speak HTTP/2: %s",
                         nghttp2_strerror((int)code));
}

int bk_server_feed(struct bk_server *server, const uint8_t *bytes, size_t size,
                   struct ctz_error *err)
{
    ssize_t taken = nghttp2_session_mem_recv(server->session, bytes, size);
    return taken < 0 ? fail_library(err, taken) : 0;
}

ptrdiff_t bk_server_pull(struct bk_server *server, const uint8_t **bytes, struct ctz_error *err)
{
    ssize_t size = nghttp2_session_mem_send(server->session, bytes);
    if (size < 0)
        return fail_library(err, size);
    if (size == 0 && server->err.kind) {
        ctz_error_move(err, &server->err);
        return -1;
    }
    return size;
}

bool bk_server_wants_to_send(const struct bk_server *server)
{
    return nghttp2_session_want_write(server->session) || server->err.kind;
}

bool bk_server_is_ready(const struct bk_server *server)
{
    return server->ready;
}

bool bk_server_is_over(const struct bk_server *server)
{
    return !nghttp2_session_want_read(server->session) &&
           !nghttp2_session_want_write(server->session);
}

void bk_server_end(struct bk_server *server)
{
    nghttp2_session_terminate_session(server->session, NGHTTP2_NO_ERROR);
}

// The first call that only the recipe can answer.
static struct stream *first_call(const struct bk_server *server)
{
    struct stream *stream = server->streams;
    while (stream && (!stream->subject || stream->given_out || stream->answered))
        stream = stream->next;
    return stream;
}

bool bk_server_has_call(const struct bk_server *server)
{
    return first_call(server);
}

bool bk_server_next(struct bk_server *server, struct bk_call *call)
{
    struct stream *stream = first_call(server);
    if (!stream)
        return false;
    stream->given_out = true;
    *call = (struct bk_call){stream->id, stream->method, stream->subject};
    return true;
}

// The call that waits for an answer under that number, NULL when it has gone.
static struct stream *waiting(struct bk_server *server, int32_t id)
{
    struct stream *stream = id > 0 ? stream_of(server, id) : NULL;
    return stream && stream->subject && !stream->answered ? stream : NULL;
}

int bk_server_secret(struct bk_server *server, int32_t id, const char *value, size_t size)
{
    struct stream *stream = waiting(server, id);
    Bk__GetSecretResponse response = BK__GET_SECRET_RESPONSE__INIT;
    response.data = (ProtobufCBinaryData){size, (uint8_t *)value};
    return stream ? answer(server, stream, &response.base) : 0;
}

int bk_server_credentials(struct bk_server *server, int32_t id, const char *user, size_t user_size,
                          const char *secret, size_t secret_size)
{
    struct stream *stream = waiting(server, id);
    Bk__CredentialsResponse response = BK__CREDENTIALS_RESPONSE__INIT;
    response.username = (ProtobufCBinaryData){user_size, (uint8_t *)user};
    response.secret = (ProtobufCBinaryData){secret_size, (uint8_t *)secret};
    return stream ? answer(server, stream, &response.base) : 0;
}

int bk_server_refuse(struct bk_server *server, int32_t id, int status, const char *message)
{
    struct stream *stream = waiting(server, id);
    return stream ? refuse(server, stream, status, message) : 0;
}
