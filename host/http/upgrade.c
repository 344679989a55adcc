// upgrade.c: connections that leave HTTP (101): our own request over a connection libcurl made.
// SPDX-License-Identifier: MIT
//
// libcurl with CONNECT_ONLY gives TLS, proxies and unix sockets; its own upload path would frame
// what is sent in chunks. The head is read with the reader of all other answers. An answer that is
// not 101 ends the request like any answer: with its status and the beginning of its body. A
// connection without a request is the caller's as soon as it stands.
#include "host/http/inner.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES 16384

static void fail_io(struct ctz_http_request *request, CURLcode code, struct ctz_error *err)
{
    const char *words = request->transfer->words;
    ctz_error_set(err, CTZ_ERROR_UNREACHABLE, "the connection broke: %s",
                  *words ? words : curl_easy_strerror(code));
}

static SSL *tls_of(struct ctz_http_request *request)
{
    struct curl_tlssessioninfo *session = NULL;
    if (request->url.secure)
        curl_easy_getinfo(request->transfer->easy, CURLINFO_TLS_SSL_PTR, &session);
    bool known = session && session->backend == CURLSSLBACKEND_OPENSSL;
    return known ? session->internals : NULL;
}

// --- the request -------------------------------------------------------------------------------

// "/path?query": libcurl's URLs always have a path.
static const char *target_of(const struct http_url *url)
{
    const char *host = strstr(url->text, "://") + 3;
    return host + strcspn(host, "/?");
}

static int compose(struct ctz_http_request *request)
{
    struct ctz_buffer *raw = &request->raw;
    const struct http_url *url = &request->url;
    bool usual_port = url->port == (url->secure ? 443 : 80);
    ctz_buffer_format(raw, "%s %s HTTP/1.1\r\n", request->method, target_of(url));
    if (!ctz_http_lines_find(&request->headers, "Host")) {
        ctz_buffer_format(raw, "Host: %s", url->host);
        if (!usual_port)
            ctz_buffer_format(raw, ":%u", url->port);
        ctz_buffer_text(raw, "\r\n");
    }
    if (!ctz_http_lines_find(&request->headers, "User-Agent"))
        ctz_buffer_text(raw, "User-Agent: ctz/" CTZ_VERSION "\r\n");
    for (const struct curl_slist *node = request->headers.first; node; node = node->next) {
        const struct http_line *line = CTZ_CONTAINER(node, const struct http_line, node);
        ctz_buffer_append(raw, line->text, line->name_length);
        const char *value = line->text + line->name_length;
        ctz_buffer_text(raw, *value == ':' ? value : ":"); // libcurl's "Name;" is an empty one
        ctz_buffer_text(raw, "\r\n");
    }
    if (request->has_body)
        ctz_buffer_format(raw, "Content-Length: %zu\r\n", request->body_size);
    ctz_buffer_text(raw, "\r\n");
    ctz_buffer_append(raw, request->body, request->body_size);
    return raw->failed ? ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory") : 0;
}

static void watch_again(struct ctz_http_request *request)
{
    int events = (request->watch_data ? UV_READABLE : 0) | (request->watch_room ? UV_WRITABLE : 0);
    if (ctz_http_socket_watch(request->client, request->descriptor, request, events) < 0)
        ctz_http_touch(request, HTTP_BROKEN);
}

// True when all of it is sent.
static bool send_request(struct ctz_http_request *request)
{
    struct ctz_buffer *raw = &request->raw;
    while (request->raw_offset < raw->length) {
        size_t sent = 0;
        CURLcode code = curl_easy_send(request->transfer->easy, raw->bytes + request->raw_offset,
                                       raw->length - request->raw_offset, &sent);
        if (code == CURLE_AGAIN) {
            request->watch_room = true;
            watch_again(request);
            return false;
        }
        if (code) {
            fail_io(request, code, &request->err);
            ctz_http_request_fail(request);
            return false;
        }
        request->raw_offset += sent;
        request->raw_bytes += sent;
    }
    request->passes = 1;
    raw->length = request->raw_offset = 0;
    request->watch_room = false;
    request->watch_data = true;
    watch_again(request);
    return true;
}

// --- an answer that is no 101 ------------------------------------------------------------------

// Takes the chunks apart as far as they are there. 1: the last one was read, 0: more is to come,
// -1: these are no chunks.
static int join_chunks(const char *bytes, size_t size, struct ctz_buffer *out)
{
    for (size_t at = 0;;) {
        const char *end = memchr(bytes + at, '\n', size - at);
        if (!end)
            return 0;
        char *stop;
        unsigned long length = strtoul(bytes + at, &stop, 16);
        if (stop == bytes + at || length > HTTP_HELD_ERROR_BYTES)
            return -1;
        at = (size_t)(end - bytes) + 1;
        if (length == 0)
            return 1;
        if (at + length + 2 > size)
            return 0;
        ctz_buffer_append(out, bytes + at, length);
        at += length + 2;
    }
}

// Is the body there, or so much of it that the rest does not matter?
static bool has_body_ended(struct ctz_http_request *request)
{
    const struct http_head *head = &request->head;
    size_t size = request->raw.length - request->raw_offset;
    if (size >= HTTP_HELD_ERROR_BYTES || head->status == 204 || head->status == 304)
        return true;
    if (head->chunked) {
        ctz_buffer_clear(&request->held);
        return join_chunks(request->raw.bytes + request->raw_offset, size, &request->held) != 0;
    }
    return head->length >= 0 && size >= (size_t)head->length;
}

static void end_with_answer(struct ctz_http_request *request)
{
    size_t size = request->raw.length - request->raw_offset;
    if (size > HTTP_HELD_ERROR_BYTES)
        size = HTTP_HELD_ERROR_BYTES;
    if (!request->head.chunked)
        ctz_buffer_append(&request->held, request->raw.bytes + request->raw_offset, size);
    request->received = request->held.length;
    if (request->head.status < 400)
        ctz_error_set(&request->err, CTZ_ERROR_PROTOCOL,
                      "the server does not upgrade the connection: it answers %d",
                      request->head.status);
    if (request->err.kind)
        ctz_http_request_fail(request);
    else
        ctz_http_request_done(request);
}

// --- the head ----------------------------------------------------------------------------------

// Feeds complete lines to the head. -1 with request->err set.
static int read_lines(struct ctz_http_request *request)
{
    struct ctz_buffer *raw = &request->raw;
    uint64_t most = ctz_limit(request->client->host, CTZ_LIMIT_HTTP_HEADER_BYTES);
    while (!request->head.complete) {
        const char *begin = raw->bytes + request->raw_offset;
        size_t left = raw->length - request->raw_offset;
        const char *end = left ? memchr(begin, '\n', left) : NULL;
        if (!end && left > most)
            return ctz_error_set(&request->err, CTZ_ERROR_SIZE,
                                 "the headers are longer than %llu bytes",
                                 (unsigned long long)most);
        if (!end)
            return 0;
        size_t size = (size_t)(end - begin) + 1;
        if (!request->head.status && memcmp(begin, "HTTP/", size < 5 ? size : 5) != 0)
            return ctz_error_set(&request->err, CTZ_ERROR_PROTOCOL,
                                 "the answer does not begin with HTTP/");
        if (ctz_http_head_line(&request->head, begin, size, most, &request->err) < 0)
            return -1;
        request->raw_offset += size;
    }
    return 0;
}

// Reads once. 1: bytes came, 0: none now, -1: the end or a failure, which is dealt with.
static int read_once(struct ctz_http_request *request)
{
    struct ctz_buffer *raw = &request->raw;
    char *room = ctz_buffer_reserve(raw, READ_BYTES);
    size_t got = 0;
    CURLcode code = room ? curl_easy_recv(request->transfer->easy, room, READ_BYTES, &got)
                         : CURLE_OUT_OF_MEMORY;
    if (code == CURLE_AGAIN)
        return 0;
    if (code == CURLE_OK && got > 0) {
        raw->length += got;
        request->raw_bytes += got;
        return 1;
    }
    if (code) {
        fail_io(request, code, &request->err);
        ctz_http_request_fail(request);
    } else if (request->head.complete && request->head.status != 101 &&
               (request->head.length < 0 && !request->head.chunked)) {
        end_with_answer(request); // its body was all until the end
    } else {
        ctz_error_set(&request->err, CTZ_ERROR_UNREACHABLE,
                      "the connection ended before an answer came");
        ctz_http_request_fail(request);
    }
    return -1;
}

static void begin_upgraded(struct ctz_http_request *request)
{
    SSL *tls = tls_of(request);
    if (tls) // else a send that is tried again has to come from the same place in memory
        SSL_set_mode(tls, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    request->state = HTTP_UPGRADED;
    request->watch_data = false;
    watch_again(request);
    ctz_http_touch(request, CTZ_HTTP_HEAD);
}

static void read_answer(struct ctz_http_request *request)
{
    for (;;) {
        if (request->head.complete && request->head.status == 101) {
            begin_upgraded(request);
            return;
        }
        if (request->head.complete && has_body_ended(request)) {
            end_with_answer(request);
            return;
        }
        int got = read_once(request);
        if (got <= 0)
            return;
        if (!request->head.complete && read_lines(request) < 0) {
            ctz_http_request_fail(request);
            return;
        }
    }
}

// A server that does not take the offer speaks HTTP/1.1.
static int check_offer(struct ctz_http_request *request)
{
    const SSL *tls = request->version == CTZ_HTTP_2 ? tls_of(request) : NULL;
    const unsigned char *name = NULL;
    unsigned length = 0;
    if (!tls)
        return 0;
    SSL_get0_alpn_selected(tls, &name, &length);
    if (length == 2 && memcmp(name, "h2", 2) == 0)
        return 0;
    return ctz_error_set(&request->err, CTZ_ERROR_UNSUPPORTED,
                         "the server does not speak HTTP/2 on this connection");
}

// libcurl knows its TLS session again once it has read.
static void begin_bare(struct ctz_http_request *request)
{
    if (request->url.secure && read_once(request) < 0)
        return;
    if (check_offer(request) < 0)
        ctz_http_request_fail(request);
    else
        begin_upgraded(request);
}

void ctz_http_upgrade_begin(struct ctz_http_request *request)
{
    request->state = HTTP_UPGRADING;
    CURLcode code =
        curl_easy_getinfo(request->transfer->easy, CURLINFO_ACTIVESOCKET, &request->descriptor);
    if (code || request->descriptor == CURL_SOCKET_BAD) {
        ctz_error_set(&request->err, CTZ_ERROR_UNREACHABLE, "the connection ended at once");
        ctz_http_request_fail(request);
    } else if (request->connect) {
        begin_bare(request);
    } else if (compose(request) < 0) {
        ctz_http_request_fail(request);
    } else {
        send_request(request);
    }
}

void ctz_http_upgrade_ready(struct ctz_http_request *request, int events)
{
    if (request->state == HTTP_UPGRADING) {
        if (!request->watch_room || send_request(request))
            read_answer(request);
        return;
    }
    unsigned told = 0;
    if ((events & UV_READABLE) && request->watch_data) {
        request->watch_data = false;
        told |= CTZ_HTTP_DATA;
    }
    if ((events & UV_WRITABLE) && request->watch_room) {
        request->watch_room = false;
        told |= CTZ_HTTP_ROOM;
    }
    watch_again(request);
    ctz_http_touch(request, told);
}

// --- both ways ---------------------------------------------------------------------------------

static ptrdiff_t fail_closed(struct ctz_error *err)
{
    ctz_error_set(err, CTZ_ERROR_CONFLICT, "the connection is closed");
    return CTZ_HTTP_FAIL;
}

ptrdiff_t ctz_http_recv(struct ctz_http_request *request, char *bytes, size_t size,
                        struct ctz_error *err)
{
    if (request->state != HTTP_UPGRADED)
        return fail_closed(err);
    struct ctz_buffer *raw = &request->raw;
    size_t left = raw->length - request->raw_offset;
    if (left > 0) { // came together with the head
        size = size < left ? size : left;
        memcpy(bytes, raw->bytes + request->raw_offset, size);
        request->raw_offset += size;
        if (request->raw_offset == raw->length)
            ctz_buffer_clear(raw);
        if (!raw->length)
            request->raw_offset = 0;
        request->received += size;
        return (ptrdiff_t)size;
    }
    size_t got = 0;
    CURLcode code = curl_easy_recv(request->transfer->easy, bytes, size, &got);
    if (code == CURLE_AGAIN)
        return CTZ_HTTP_AGAIN;
    if (code) {
        fail_io(request, code, err);
        return CTZ_HTTP_FAIL;
    }
    request->received += got;
    return (ptrdiff_t)got;
}

ptrdiff_t ctz_http_send(struct ctz_http_request *request, const char *bytes, size_t size,
                        struct ctz_error *err)
{
    if (request->state != HTTP_UPGRADED)
        return fail_closed(err);
    size_t sent = 0;
    CURLcode code = curl_easy_send(request->transfer->easy, bytes, size, &sent);
    if (code == CURLE_AGAIN)
        return CTZ_HTTP_AGAIN;
    if (code) {
        fail_io(request, code, err);
        return CTZ_HTTP_FAIL;
    }
    return (ptrdiff_t)sent;
}

void ctz_http_watch(struct ctz_http_request *request, bool data, bool room)
{
    if (request->state != HTTP_UPGRADED)
        return;
    if (data && request->raw_offset < request->raw.length) {
        ctz_http_touch(request, CTZ_HTTP_DATA);
        data = false;
    }
    request->watch_data |= data;
    request->watch_room |= room;
    watch_again(request);
}

int ctz_http_half_close(struct ctz_http_request *request, struct ctz_error *err)
{
    if (request->state != HTTP_UPGRADED)
        return fail_closed(err) < 0 ? -1 : 0;
    if (request->url.secure) { // TLS is closed one way by a message of its own, close_notify
        SSL *tls = tls_of(request);
        if (tls && SSL_shutdown(tls) >= 0)
            return 0;
        return ctz_error_set(err, CTZ_ERROR_IO, "TLS cannot be closed one way here");
    }
    if (shutdown(request->descriptor, SHUT_WR) < 0 && errno != ENOTCONN)
        return ctz_error_system(err, errno, "cannot close one way");
    return 0;
}
