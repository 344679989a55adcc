// transfer.c: one attempt as libcurl sees it: its options and its callbacks.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define ORIGIN_BYTES  280     // "http://", a name of DNS, a port
#define CONNECT_S     30.0    // a connection that is not there by then is given up
#define STREAM_BUFFER 131072L // bytes libcurl reads at once for a stream
// For one that it decodes: what they decode to is held by libcurl while we pause, 64 MiB at most.
#define DECODED_STREAM_BUFFER 16384L
// Of silence, before TCP asks whether the other side still lives; between such questions; how many
// stay without an answer. A connection whose other side is gone ends within a minute, and nobody
// here wakes up for that.
#define KEEPALIVE_IDLE_S  20
#define KEEPALIVE_EVERY_S 10
#define KEEPALIVE_COUNT   3

// --- callbacks: they copy bytes and set flags --------------------------------------------------

// libcurl sends a request again by itself when a connection that it used again was dead, also a
// POST. The second pass is stopped here; ctz_http_request_ended decides what may be sent again.
static int on_pass(void *context, char *to, char *from, int to_port, int from_port)
{
    (void)to, (void)from, (void)to_port, (void)from_port;
    struct ctz_http_request *request = ((struct http_transfer *)context)->request;
    return ++request->passes > 1 ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static int is_coded_twice(const struct http_head *head)
{
    int codings = 0;
    const char *name, *value;
    for (const char *at = NULL; (at = ctz_http_head_next(head, at, &name, &value));)
        if (strcasecmp(name, "Content-Encoding") == 0)
            codings += strchr(value, ',') ? 2 : 1;
    return codings > 1;
}

// The head is complete: what becomes of the body?
static int on_head(struct ctz_http_request *request)
{
    const struct http_head *head = &request->head;
    if (head->status == 101)
        return ctz_error_set(&request->err, CTZ_ERROR_PROTOCOL,
                             "the server switches protocols (101) unasked");
    if (request->compressed && is_coded_twice(head))
        return ctz_error_set(&request->err, CTZ_ERROR_PROTOCOL,
                             "the body is encoded more than once");
    request->discard = ctz_http_redirects(request);
    if (request->discard)
        return 0;
    request->hold = !request->stream || (request->collect_errors && head->status >= 400);
    if (!request->hold)
        ctz_http_touch(request, CTZ_HTTP_HEAD);
    return 0;
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    struct ctz_http_request *request = ((struct http_transfer *)context)->request;
    bool was_complete = request->head.complete;
    uint64_t most = ctz_limit(request->client->host, CTZ_LIMIT_HTTP_HEADER_BYTES);
    if (ctz_http_head_line(&request->head, line, size * count, most, &request->err) < 0)
        return 0;
    if (request->head.complete && !was_complete && on_head(request) < 0)
        return 0;
    return size * count;
}

static size_t refuse_size(struct ctz_http_request *request)
{
    ctz_error_set(&request->err, CTZ_ERROR_SIZE, "the body is longer than %llu bytes",
                  (unsigned long long)request->max_body_bytes);
    ctz_error_hint(&request->err,
                   "take it piece by piece (stream=true), save it (to=path), or raise max_bytes or "
                   "--limit http_body_bytes=...");
    return 0;
}

static size_t keep(struct ctz_http_request *request, const char *bytes, size_t size)
{
    if (ctz_buffer_append(&request->held, bytes, size) < 0) {
        ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
        return 0;
    }
    request->received += size;
    return size;
}

static size_t hold_bytes(struct ctz_http_request *request, const char *bytes, size_t size)
{
    if (request->stream && request->held.length + size > HTTP_HELD_ERROR_BYTES) {
        request->cut = true;
        keep(request, bytes, HTTP_HELD_ERROR_BYTES - request->held.length);
        return 0;
    }
    if (request->held.length + size > request->max_body_bytes ||
        (!request->held.length && request->head.length > (int64_t)request->max_body_bytes))
        return refuse_size(request);
    return keep(request, bytes, size);
}

static size_t on_body(char *bytes, size_t unit, size_t count, void *context)
{
    struct ctz_http_request *request = ((struct http_transfer *)context)->request;
    size_t size = unit * count;
    if (request->discard) {
        request->discarded += size;
        request->cut = request->discarded > HTTP_HELD_ERROR_BYTES;
        return request->cut ? 0 : size;
    }
    if (request->hold)
        return hold_bytes(request, bytes, size);
    if (request->held.length - request->held_offset >= request->window) {
        request->pause_receive = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    request->client->streamed += size;
    ctz_http_touch(request, CTZ_HTTP_DATA);
    size = keep(request, bytes, size);
    // Paused when full, and not when more comes: libcurl would make a copy of that.
    if (size > 0 && request->held.length - request->held_offset >= request->window &&
        !curl_easy_pause(request->transfer->easy,
                         CURLPAUSE_RECV | (request->pause_send ? CURLPAUSE_SEND : 0)))
        request->pause_receive = true;
    return size;
}

static size_t on_pull(char *bytes, size_t unit, size_t count, void *context)
{
    struct ctz_http_request *request = ((struct http_transfer *)context)->request;
    ptrdiff_t got = request->source.pull(request->source.context, bytes, unit * count);
    if (got == CTZ_HTTP_AGAIN) {
        request->pause_send = true;
        return CURL_READFUNC_PAUSE;
    }
    if (got < 0) {
        ctz_error_set(&request->err, CTZ_ERROR_IO, "the body to be sent could not be read");
        return CURL_READFUNC_ABORT;
    }
    if (got > 0)
        ctz_http_touch(request, CTZ_HTTP_ROOM);
    return (size_t)got;
}

static int on_seek(void *context, curl_off_t offset, int origin)
{
    (void)context, (void)offset, (void)origin;
    return CURL_SEEKFUNC_FAIL; // what is sent again is decided by us
}

// A stream may come over a connection that was opened for something else, so all have it.
static void keep_alive(curl_socket_t descriptor)
{
    static const struct {
        int level, name, value;
    } options[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S},
        {IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_EVERY_S},
        {IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT},
    };
    for (size_t i = 0; i < CTZ_COUNT(options); i++)
        setsockopt(descriptor, options[i].level, options[i].name, &options[i].value,
                   sizeof options[i].value);
}

static curl_socket_t on_open(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
    (void)purpose;
    struct ctz_http_request *request = ((struct http_transfer *)context)->request;
    int fault = CTZ_FAULT("connect");
    curl_socket_t descriptor =
        fault ? -1 : socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
    if (descriptor < 0) {
        request->os_errno = fault ? fault : errno;
        return CURL_SOCKET_BAD;
    }
    if (address->family != AF_UNIX)
        keep_alive(descriptor);
    ctz_http_socket_opened(request->client, descriptor);
    return descriptor;
}

static int on_close(void *context, curl_socket_t descriptor)
{
    ctz_http_socket_forget(context, descriptor); // out of the poll set before its number is free
    return close(descriptor);
}

// --- options -----------------------------------------------------------------------------------

// Sets one option unless one failed before.
#define SET(option, value)                                                                         \
    do {                                                                                           \
        if (!code)                                                                                 \
            code = curl_easy_setopt(easy, option, value);                                          \
    } while (0)

// What is the same for every request.
static CURLcode set_callbacks(CURL *easy, struct http_transfer *transfer, struct ctz_http *client)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->words);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
    SET(CURLOPT_OPENSOCKETDATA, transfer);
    SET(CURLOPT_CLOSESOCKETFUNCTION, on_close);
    SET(CURLOPT_CLOSESOCKETDATA, client);
    SET(CURLOPT_PREREQFUNCTION, on_pass);
    SET(CURLOPT_PREREQDATA, transfer);
    return code;
}

// The system's authorities may be named by the environment, as OpenSSL's own programs have it.
static CURLcode set_authorities(CURL *easy, const struct http_tls *tls)
{
    CURLcode code = CURLE_OK;
    const char *file = getenv("SSL_CERT_FILE"), *folder = getenv("SSL_CERT_DIR");
    if (tls->insecure) { // reading them takes 20 ms
        SET(CURLOPT_CAINFO, (char *)NULL);
        SET(CURLOPT_CAPATH, (char *)NULL);
        return code;
    }
    if (tls->ca_pem) {
        struct curl_blob blob = {tls->ca_pem, strlen(tls->ca_pem), CURL_BLOB_NOCOPY};
        SET(CURLOPT_CAINFO_BLOB, &blob);
    }
    if (tls->ca_file)
        SET(CURLOPT_CAINFO, tls->ca_file);
    if (tls->ca_pem || tls->ca_file) {
        SET(CURLOPT_CAPATH, (char *)NULL);
        return code;
    }
    if (file && *file)
        SET(CURLOPT_CAINFO, file);
    if (folder && *folder)
        SET(CURLOPT_CAPATH, folder);
    return code;
}

static CURLcode set_certificate(CURL *easy, const struct http_tls *tls)
{
    CURLcode code = CURLE_OK;
    const char *key_pem = tls->key_pem ? tls->key_pem : tls->key_file ? NULL : tls->cert_pem;
    const char *key_file = tls->key_file ? tls->key_file : tls->key_pem ? NULL : tls->cert_file;
    if (tls->cert_pem) {
        struct curl_blob blob = {tls->cert_pem, strlen(tls->cert_pem), CURL_BLOB_NOCOPY};
        SET(CURLOPT_SSLCERT_BLOB, &blob);
    }
    if (tls->cert_file)
        SET(CURLOPT_SSLCERT, tls->cert_file);
    if (key_pem) {
        struct curl_blob blob = {(char *)key_pem, strlen(key_pem), CURL_BLOB_NOCOPY};
        SET(CURLOPT_SSLKEY_BLOB, &blob);
    }
    if (key_file)
        SET(CURLOPT_SSLKEY, key_file);
    return code;
}

// libcurl would speak HTTP/2 itself when it offers it; here it only connects.
static CURLcode offer_http2(CURL *easy, void *context, void *unused)
{
    (void)easy, (void)unused;
    static const unsigned char names[] = "\x02h2";
    return SSL_CTX_set_alpn_protos(context, names, sizeof names - 1) ? CURLE_OUT_OF_MEMORY
                                                                     : CURLE_OK;
}

static CURLcode set_tls(CURL *easy, struct ctz_http_request *request)
{
    CURLcode code = CURLE_OK;
    if (request->connect && request->version == CTZ_HTTP_2) {
        SET(CURLOPT_SSL_ENABLE_ALPN, 0L);
        SET(CURLOPT_SSL_CTX_FUNCTION, offer_http2);
    }
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, request->tls.insecure ? 0L : 1L);
    SET(CURLOPT_SSL_VERIFYHOST, request->tls.insecure ? 0L : 2L);
    if (request->tls.insecure && !request->tls.probe && request->url.secure)
        ctz_http_warn_insecure(request->client, request->url.host);
    if (!code)
        code = set_authorities(easy, &request->tls);
    if (!code)
        code = set_certificate(easy, &request->tls);
    return code;
}

static CURLcode set_route(CURL *easy, struct ctz_http_request *request, const char *proxy)
{
    CURLcode code = CURLE_OK;
    double connect_s = request->connect_timeout_s > 0 ? request->connect_timeout_s : CONNECT_S;
    SET(CURLOPT_PROXY, proxy ? proxy : ""); // never libcurl's own look at the environment
    if (proxy) {
        SET(CURLOPT_NOPROXY, "");
        SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
        SET(CURLOPT_HTTPPROXYTUNNEL, request->upgrade ? 1L : 0L);
    }
    if (request->unix_socket)
        SET(CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
    SET(CURLOPT_RESOLVE, request->resolve);
    if (request->connect_to)
        SET(CURLOPT_CONNECT_TO, request->connect_to);
    if (request->fresh)
        SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_s < 1e6 ? connect_s * 1000 : 1e9));
    if (!code && (request->stream || request->upgrade))
        // A wish: a handle whose last transfer broke off may have its buffer yet, and keeps it.
        (void)curl_easy_setopt(easy, CURLOPT_BUFFERSIZE,
                               request->compressed ? DECODED_STREAM_BUFFER : STREAM_BUFFER);
    return code;
}

static CURLcode set_source(CURL *easy, struct ctz_http_request *request)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->source.length);
    SET(CURLOPT_READFUNCTION, on_pull);
    SET(CURLOPT_READDATA, request->transfer);
    SET(CURLOPT_SEEKFUNCTION, on_seek);
    SET(CURLOPT_SEEKDATA, request->transfer);
    SET(CURLOPT_UPLOAD_BUFFERSIZE, STREAM_BUFFER);
    return code;
}

static CURLcode set_method(CURL *easy, struct ctz_http_request *request)
{
    CURLcode code = CURLE_OK;
    const char *method = request->method;
    if (request->source.pull) {
        code = set_source(easy, request);
    } else if (request->has_body) {
        SET(CURLOPT_POSTFIELDS, request->body ? request->body : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_size);
    } else if (strcmp(method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
        return code;
    } else if (strcmp(method, "GET") == 0) {
        return code;
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    return code;
}

// libcurl would add "Expect: 100-continue" to large bodies, and call every body a form.
static struct curl_slist *header_list(struct ctz_http_request *request)
{
    struct curl_slist *list = request->headers.first;
    if (!request->has_body)
        return list;
    if (!ctz_http_lines_find(&request->headers, "Content-Type")) {
        request->omit[0] = (struct curl_slist){(char *)"Content-Type:", list};
        list = &request->omit[0];
    }
    if (!ctz_http_lines_find(&request->headers, "Expect")) {
        request->omit[1] = (struct curl_slist){(char *)"Expect:", list};
        list = &request->omit[1];
    }
    return list;
}

// libcurl takes a URL apart and puts it together again byte by byte. Behind a unix socket only the
// target matters, and given by itself it is sent as it is: a sixth of a small request less.
static CURLcode set_url(CURL *easy, struct ctz_http_request *request)
{
    CURLcode code = CURLE_OK;
    const char *text = request->sent_url ? request->sent_url : request->url.text;
    const char *host = strstr(text, "://"), *target = host ? strchr(host + 3, '/') : NULL;
    char origin[ORIGIN_BYTES];
    if (request->unix_socket && target && target - text < ORIGIN_BYTES) {
        snprintf(origin, sizeof origin, "%.*s", (int)(target - text), text);
        SET(CURLOPT_REQUEST_TARGET, target);
        text = origin;
    }
    SET(CURLOPT_URL, text);
    return code;
}

static CURLcode set_http(CURL *easy, struct ctz_http_request *request)
{
    CURLcode code = CURLE_OK;
    bool is_2 = request->version == CTZ_HTTP_2 && !request->stream && !request->upgrade;
    if (!code)
        code = set_url(easy, request);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)(is_2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
    if (is_2)
        SET(CURLOPT_PIPEWAIT, 1L);
    SET(CURLOPT_HTTPHEADER, header_list(request));
    if (!ctz_http_lines_find(&request->headers, "User-Agent"))
        SET(CURLOPT_USERAGENT, "ctz/" CTZ_VERSION);
    if (request->compressed && !ctz_http_lines_find(&request->headers, "Accept-Encoding"))
        SET(CURLOPT_ACCEPT_ENCODING, "");
    if (request->upgrade)
        SET(CURLOPT_CONNECT_ONLY, 1L);
    return code;
}

// --- the usual request ---------------------------------------------------------------------------

static bool is_usual_tls(const struct http_tls *tls)
{
    return !tls->insecure && !tls->ca_file && !tls->ca_pem && !tls->cert_file && !tls->cert_pem &&
           !tls->key_file && !tls->key_pem && !tls->server_name;
}

// A GET with nothing special: its handle can be used for the next such request by changing its URL,
// headers and addresses. Setting all options anew costs a tenth of a small request.
static bool is_usual(const struct ctz_http_request *request, const char *proxy)
{
    return !proxy && !request->unix_socket && !request->connect_to && !request->fresh &&
           !request->stream && !request->upgrade && !request->has_body && request->compressed &&
           request->version == CTZ_HTTP_1_1 && request->connect_timeout_s <= 0 &&
           strcmp(request->method, "GET") == 0 && is_usual_tls(&request->tls) &&
           !ctz_http_lines_find(&request->headers, "User-Agent") &&
           !ctz_http_lines_find(&request->headers, "Accept-Encoding");
}

static CURLcode set_usual(CURL *easy, struct ctz_http_request *request)
{
    CURLcode code = CURLE_OK;
    SET(CURLOPT_URL, request->url.text);
    SET(CURLOPT_HTTPHEADER, request->headers.first);
    SET(CURLOPT_RESOLVE, request->resolve);
    return code;
}

static CURLcode set_all(CURL *easy, struct ctz_http_request *request, const char *proxy)
{
    CURLcode code = set_callbacks(easy, request->transfer, request->client);
    if (!code)
        code = set_http(easy, request);
    if (!code)
        code = set_route(easy, request, proxy);
    if (!code)
        code = set_method(easy, request);
    if (!code && (request->url.secure || proxy))
        code = set_tls(easy, request);
    return code;
}

int ctz_http_transfer_begin(struct ctz_http_request *request, const char *proxy)
{
    struct ctz_http *client = request->client;
    bool usual = is_usual(request, proxy);
    struct http_transfer *transfer = request->transfer = ctz_http_transfer_get(client, usual);
    if (!transfer)
        return ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
    CURL *easy = transfer->easy;
    transfer->request = request;
    transfer->words[0] = '\0';
    CURLcode code = transfer->usual ? set_usual(easy, request) : set_all(easy, request, proxy);
    CURLMcode added = code ? CURLM_OK : curl_multi_add_handle(client->multi, easy);
    transfer->usual = usual && !code;
    if (!code && !added)
        return 0;
    if (code)
        ctz_http_fail_curl(request, code);
    else
        ctz_error_set(&request->err, CTZ_ERROR_IO, "libcurl: %s", curl_multi_strerror(added));
    request->transfer = NULL;
    ctz_http_transfer_put(client, transfer);
    return -1;
}
