// request.c: the life of a request: look-ups, its turn, attempts, redirects, its end.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <errno.h>
#include <string.h>

#define IDLE_LOOKS 4 // times a request looks for silence within its idle timeout

// --- turns -------------------------------------------------------------------------------------

static void run(struct ctz_http_request *request);

// Streams last: they do not take a turn, or a handful of them would hold all others.
static bool takes_turn(const struct ctz_http_request *request)
{
    return !request->stream && !request->upgrade;
}

static void start_queued(struct ctz_http *client)
{
    if (client->starting) // a start that fails gives its turn back: no recursion
        return;
    client->starting = true;
    while (client->queue && client->active < client->max_active) {
        struct ctz_http_request *request = client->queue;
        client->queue = request->queue_next;
        if (!client->queue)
            client->queue_end = &client->queue;
        run(request);
    }
    client->starting = false;
}

static void leave_queue(struct ctz_http_request *request)
{
    struct ctz_http *client = request->client;
    struct ctz_http_request **link = &client->queue;
    while (*link != request)
        link = &(*link)->queue_next;
    *link = request->queue_next;
    if (!*link)
        client->queue_end = link;
}

static void give_turn_back(struct ctz_http_request *request)
{
    if (!request->counted)
        return;
    request->counted = false;
    request->client->active--;
    start_queued(request->client);
}

static void take_turn(struct ctz_http_request *request)
{
    struct ctz_http *client = request->client;
    if (!takes_turn(request) || request->counted || client->active < client->max_active) {
        run(request);
        return;
    }
    request->state = HTTP_QUEUED;
    request->queue_next = NULL;
    *client->queue_end = request;
    client->queue_end = &request->queue_next;
}

// --- stopping ----------------------------------------------------------------------------------

static void clear_attempt(struct ctz_http_request *request)
{
    curl_slist_free_all(request->resolve);
    curl_slist_free_all(request->connect_to);
    request->resolve = request->connect_to = NULL;
    ctz_free(request->sent_url);
    request->sent_url = NULL;
    ctz_free(request->proxy_now);
    request->proxy_now = NULL;
    ctz_free(request->proxy_at.host);
    memset(&request->proxy_at, 0, sizeof request->proxy_at);
    request->passes = 0;
    request->pause_receive = request->pause_send = false;
}

static void release_transfer(struct ctz_http_request *request)
{
    struct http_transfer *transfer = request->transfer;
    if (!transfer)
        return;
    transfer->leaving = true;
    curl_multi_remove_handle(request->client->multi, transfer->easy);
    transfer->leaving = false;
    request->transfer = NULL;
    ctz_http_transfer_put(request->client, transfer);
}

// Lets go of the look-up, the queue, libcurl and the turn.
static void stop(struct ctz_http_request *request)
{
    ctz_http_resolve_cancel(&request->wait);
    if (request->state == HTTP_QUEUED)
        leave_queue(request);
    if (request->descriptor != CURL_SOCKET_BAD) {
        ctz_http_socket_forget(request->client, request->descriptor);
        request->descriptor = CURL_SOCKET_BAD;
    }
    release_transfer(request);
    request->state = HTTP_DONE; // before somebody else's turn begins
    give_turn_back(request);
}

static void stop_clocks(struct ctz_http_request *request)
{
    ctz_timer_stop(request->client->host, &request->deadline);
    ctz_timer_stop(request->client->host, &request->idle);
}

void ctz_http_request_done(struct ctz_http_request *request)
{
    stop(request);
    stop_clocks(request);
    ctz_http_touch(request, CTZ_HTTP_DONE);
}

// "GET http://host/path: " goes in front of what libcurl or we have to say.
static void name_target(struct ctz_http_request *request)
{
    struct ctz_error *err = &request->err;
    char *message =
        ctz_asprintf("%s %.300s: %s", request->method, request->url.text, ctz_error_message(err));
    if (message) {
        ctz_free(err->message);
        err->message = message;
    }
    ctz_error_target(err, request->url.text);
}

void ctz_http_request_fail(struct ctz_http_request *request)
{
    if (request->state == HTTP_DONE)
        return;
    name_target(request);
    ctz_http_request_done(request);
}

// --- clocks ------------------------------------------------------------------------------------

uint64_t ctz_http_request_bytes(const struct ctz_http_request *request)
{
    curl_off_t received = 0, sent = 0;
    if (request->transfer) {
        curl_easy_getinfo(request->transfer->easy, CURLINFO_SIZE_DOWNLOAD_T, &received);
        curl_easy_getinfo(request->transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    }
    return (uint64_t)received + (uint64_t)sent + request->head.total_bytes + request->raw_bytes;
}

static void on_deadline(struct ctz_timer *timer)
{
    struct ctz_http_request *request = CTZ_CONTAINER(timer, struct ctz_http_request, deadline);
    ctz_http_fail_timeout(request, request->stream ? "no answer" : "no complete answer",
                          request->timeout_s);
    ctz_http_request_fail(request);
}

static void on_idle_look(struct ctz_timer *timer);

static void start_idle_clock(struct ctz_http_request *request)
{
    if (request->idle_timeout_s > 0)
        ctz_timer_start(request->client->host, &request->idle,
                        ctz_due(request->idle_timeout_s / IDLE_LOOKS), on_idle_look);
}

// Silence counts while the other side is to move: not while we have paused it, nor in the queue.
static void on_idle_look(struct ctz_timer *timer)
{
    struct ctz_http_request *request = CTZ_CONTAINER(timer, struct ctz_http_request, idle);
    uint64_t now_ns = ctz_now(), bytes = ctz_http_request_bytes(request);
    bool ours = request->pause_receive || request->pause_send || request->state == HTTP_QUEUED ||
                request->state == HTTP_UPGRADED;
    if (bytes != request->last_bytes || ours) {
        request->last_bytes = bytes;
        request->last_byte_ns = now_ns;
    } else if ((double)(now_ns - request->last_byte_ns) >= request->idle_timeout_s * 1e9) {
        ctz_http_fail_timeout(request, "not a byte", request->idle_timeout_s);
        ctz_http_request_fail(request);
        return;
    }
    start_idle_clock(request);
}

// --- an attempt --------------------------------------------------------------------------------

// Hands libcurl the addresses of a name; "+" lets the entry expire.
static int hand_over(struct ctz_http_request *request, const char *host, unsigned port,
                     const char *addresses)
{
    char *entry = ctz_asprintf("+%s:%u:%s", host, port, addresses);
    struct curl_slist *list = entry ? curl_slist_append(request->resolve, entry) : NULL;
    ctz_free(entry);
    if (!list)
        return ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
    request->resolve = list;
    return 0;
}

// libcurl itself knows localhost and addresses.
static bool needs_lookup(const char *host)
{
    size_t length = strlen(host);
    static const char local[] = ".localhost";
    size_t tail = sizeof local - 1;
    return strcmp(host, "localhost") != 0 && !ctz_http_is_address(host) &&
           !(length > tail && strcmp(host + length - tail, local) == 0);
}

// The names that are needed, one after the other: the proxy's, the target's. NULL: no more.
static const char *next_name(struct ctz_http_request *request, unsigned *port)
{
    for (; request->step < 2; request->step++) {
        const char *host = NULL;
        if (request->step == 0 && request->proxy_at.host) {
            host = request->proxy_at.host;
            *port = request->proxy_at.port;
        } else if (request->step == 1 && !request->unix_socket &&
                   (!request->proxy_at.host || !request->proxy_at.resolves)) {
            host = request->url.host;
            *port = request->url.port;
        }
        if (host && needs_lookup(host))
            return host;
    }
    return NULL;
}

static void look_up(struct ctz_http_request *request)
{
    unsigned port = 0;
    for (const char *name; (name = next_name(request, &port)); request->step++) {
        const char *addresses =
            ctz_http_resolve(request->client, name, &request->wait, &request->err);
        if (!addresses && request->wait.lookup)
            return;
        if (!addresses || hand_over(request, name, port, addresses) < 0) {
            ctz_http_request_fail(request);
            return;
        }
    }
    take_turn(request);
}

static void on_looked_up(struct http_wait *wait, const char *addresses, int code)
{
    struct ctz_http_request *request = CTZ_CONTAINER(wait, struct ctz_http_request, wait);
    unsigned port = 0;
    const char *name = next_name(request, &port);
    if (code) {
        ctz_error_system(&request->err, code, "cannot find the host \"%s\"", name);
        request->err.retryable = code == UV_EAI_AGAIN;
        ctz_http_request_fail(request);
        return;
    }
    if (hand_over(request, name, port, addresses) < 0) {
        ctz_http_request_fail(request);
        return;
    }
    request->step++;
    look_up(request);
}

static const char *proxy_of(const struct ctz_http_request *request)
{
    if (request->unix_socket)
        return NULL;
    if (request->proxy)
        return *request->proxy ? request->proxy : NULL;
    return ctz_http_proxy_of(&request->url);
}

// TLS expects another name: libcurl is given that name, and connects to the host all the same.
static int set_server_name(struct ctz_http_request *request)
{
    const struct http_url *url = &request->url;
    const char *name = request->tls.server_name;
    if (!name || !url->secure)
        return 0;
    request->sent_url = ctz_http_url_with_host(url, name);
    char *entry = ctz_asprintf("%s:%u:%s:%u", name, url->port, url->host, url->port);
    request->connect_to = entry ? curl_slist_append(NULL, entry) : NULL;
    ctz_free(entry);
    if (request->sent_url && request->connect_to)
        return 0;
    return ctz_error_set(&request->err, CTZ_ERROR_USAGE, "\"%s\" is no name of a server", name);
}

static void begin_attempt(struct ctz_http_request *request)
{
    clear_attempt(request);
    request->state = HTTP_RESOLVING;
    request->step = 0;
    request->wait.done = on_looked_up;
    const char *proxy = proxy_of(request);
    if (proxy && !(request->proxy_now = ctz_strdup(proxy)))
        ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
    if (request->err.kind ||
        (proxy && ctz_http_proxy_parse(&request->proxy_at, proxy, &request->err) < 0) ||
        set_server_name(request) < 0) {
        ctz_http_request_fail(request);
        return;
    }
    look_up(request);
}

static void run(struct ctz_http_request *request)
{
    if (takes_turn(request) && !request->counted) {
        request->counted = true;
        request->client->active++;
    }
    request->state = HTTP_RUNNING;
    if (ctz_http_transfer_begin(request, request->proxy_now) < 0)
        ctz_http_request_fail(request);
}

// --- its end -----------------------------------------------------------------------------------

static void forget_answer(struct ctz_http_request *request)
{
    ctz_http_head_clear(&request->head);
    ctz_buffer_clear(&request->held);
    request->held_offset = 0;
    request->received = request->discarded = 0;
    request->hold = request->discard = request->cut = false;
}

// A connection that was used again died before a byte came: the server had closed it meanwhile.
static bool may_retry(struct ctz_http_request *request, CURLcode code)
{
    if (request->retried || request->head.total_bytes || request->err.kind)
        return false;
    long connects = 1;
    curl_easy_getinfo(request->transfer->easy, CURLINFO_NUM_CONNECTS, &connects);
    bool was_dead = request->passes > 1 ||
                    (connects == 0 && (code == CURLE_GOT_NOTHING || code == CURLE_SEND_ERROR ||
                                       code == CURLE_RECV_ERROR));
    return was_dead && ctz_http_may_repeat(request) && ctz_http_rewind(request) == 0;
}

static void retry(struct ctz_http_request *request)
{
    release_transfer(request);
    request->retried = request->fresh = true;
    forget_answer(request);
    begin_attempt(request);
}

static void follow(struct ctz_http_request *request)
{
    release_transfer(request);
    if (ctz_http_redirect(request) < 0) {
        ctz_http_request_fail(request);
        return;
    }
    request->fresh = request->retried = false;
    forget_answer(request);
    begin_attempt(request);
}

void ctz_http_request_ended(struct ctz_http_request *request, CURLcode code)
{
    if (code == CURLE_WRITE_ERROR && request->cut && !request->err.kind)
        code = CURLE_OK; // on_body had enough
    if (code == CURLE_OK && request->upgrade) {
        ctz_http_upgrade_begin(request);
    } else if (code == CURLE_OK && request->discard) {
        follow(request);
    } else if (code == CURLE_OK) {
        ctz_http_request_done(request);
    } else if (may_retry(request, code)) {
        retry(request);
    } else {
        ctz_http_fail_curl(request, code);
        ctz_http_request_fail(request);
    }
}

void ctz_http_request_orphan(struct ctz_http_request *request)
{
    ctz_http_untouch(request);
    stop(request);
    stop_clocks(request);
    *request->link = request->next;
    if (request->next)
        request->next->link = request->link;
    ctz_error_set(&request->err, CTZ_ERROR_CANCELLED, "the run has ended");
    request->client = NULL;
}

// --- from outside ------------------------------------------------------------------------------

void ctz_http_start(struct ctz_http_request *request, ctz_http_fn on_event, void *context)
{
    request->on_event = on_event;
    request->context = context;
    if (!request->client || request->state != HTTP_NEW)
        return;
    request->last_byte_ns = ctz_now();
    if (request->timeout_s > 0)
        ctz_timer_start(request->client->host, &request->deadline, ctz_due(request->timeout_s),
                        on_deadline);
    start_idle_clock(request);
    begin_attempt(request);
}

void ctz_http_listen(struct ctz_http_request *request, ctz_http_fn on_event, void *context)
{
    request->on_event = on_event;
    request->context = context;
    if (request->pending)
        ctz_http_touch(request, 0);
}

void ctz_http_free(struct ctz_http_request *request)
{
    if (request->client)
        ctz_http_request_orphan(request);
    clear_attempt(request);
    ctz_free(request->method);
    ctz_http_url_clear(&request->url);
    ctz_http_lines_clear(&request->headers);
    ctz_free(request->body);
    ctz_free(request->unix_socket);
    ctz_free(request->proxy);
    ctz_http_tls_clear(&request->tls);
    ctz_http_head_clear(&request->head);
    ctz_buffer_clear(&request->held);
    ctz_buffer_clear(&request->raw);
    ctz_error_clear(&request->err);
    ctz_free(request);
}

// Unpausing delivers data at once; this is never called inside libcurl's callbacks.
static void apply_pauses(struct ctz_http_request *request)
{
    if (!request->transfer || request->state != HTTP_RUNNING)
        return;
    int mask =
        (request->pause_receive ? CURLPAUSE_RECV : 0) | (request->pause_send ? CURLPAUSE_SEND : 0);
    CURLcode code = curl_easy_pause(request->transfer->easy, mask);
    if (code) {
        ctz_http_fail_curl(request, code);
        ctz_http_request_fail(request);
    }
}

void ctz_http_feed(struct ctz_http_request *request)
{
    if (!request->pause_send)
        return;
    request->pause_send = false;
    apply_pauses(request);
}

static void go_on_receiving(struct ctz_http_request *request)
{
    size_t waiting = request->held.length - request->held_offset;
    if (!request->pause_receive || waiting >= (request->window + 1) / 2)
        return;
    request->pause_receive = false;
    apply_pauses(request);
}

void ctz_http_consume(struct ctz_http_request *request, size_t size)
{
    struct ctz_buffer *held = &request->held;
    request->held_offset += size;
    if (request->held_offset >= held->length) {
        held->length = request->held_offset = 0; // the memory stays for what comes next
    } else if (request->held_offset > held->length / 2) {
        ctz_buffer_shift(held, request->held_offset);
        request->held_offset = 0;
    }
    go_on_receiving(request);
}

char *ctz_http_take(struct ctz_http_request *request, size_t *size)
{
    struct ctz_buffer *held = &request->held;
    *size = held->length - request->held_offset;
    if (request->held_offset > 0 || !held->bytes) {
        char *copy = ctz_memdup(ctz_http_body(request, size), *size);
        if (copy)
            ctz_http_consume(request, *size);
        return copy;
    }
    char *bytes = ctz_buffer_take(held);
    ctz_buffer_reserve(held, *size); // the next piece is likely as long
    go_on_receiving(request);
    return bytes;
}

void ctz_http_window(struct ctz_http_request *request, size_t size)
{
    request->window = size;
    go_on_receiving(request);
}
