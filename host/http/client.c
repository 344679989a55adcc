// client.c: libcurl's multi interface on the loop: sockets, its clock, its messages, and the
// telling of events.
// SPDX-License-Identifier: MIT
//
// libcurl's callbacks copy bytes and set flags. Transfers are removed, started, paused and told
// about from the loop only: a handle removed inside a callback is freed under libcurl's feet.
#include "host/http/inner.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/log.h"
#include "host/luax.h"

#define IDLE_TRANSFERS   128 // easy handles kept for the next requests
#define IDLE_CONNECTIONS 128 // kept open by libcurl
#define ACTIVE_MAX       256 // transfers at once, streams not counted; the others wait their turn
#define ACTIVE_MIN       1

// A sender that writes line by line would wake us for each. After some wake-ups in close order that
// brought little, the socket gathers for a while: measured with 2,000,000 lines of a log, 168,000
// wake-ups and 4.7 s of CPU become 7,000 and 2.1 s.
// Once it rests, it goes on so until a rest brings much; pieces of a large body never begin it.
#define TRICKLE_BYTES 16384  // less is little
#define REST_BYTES    131072 // less is little for a rest
#define TRICKLES      8      // before the first rest; no answer to a call has so many
#define REST_NS       UINT64_C(1000000)

// --- sockets -----------------------------------------------------------------------------------

// One descriptor of libcurl. Between two requests it stays in the poll set, without keeping the
// loop alive, because taking it out and in again costs two system calls per request; it goes out
// when it wakes the loop for nothing.
struct http_socket {
    uv_poll_t poll;
    struct ctz_http *client;
    struct ctz_http_request *request; // of an upgraded connection, which libcurl does not watch
    curl_socket_t descriptor;
    int wanted, polled; // UV_READABLE, UV_WRITABLE
    struct ctz_timer rest;
    uint64_t awake_ns; // since then it is polled
    unsigned trickles; // in a row
    bool rests;
};

static void flush_events(struct ctz_http *client);
static void read_messages(struct ctz_http *client);

// libcurl works on a descriptor, or on what is due. Where it ran out of memory is not told, and a
// transfer that it lost would hang: all that are under way end.
static void act(struct ctz_http *client, curl_socket_t descriptor, int mask)
{
    int running;
    CURLMcode code = curl_multi_socket_action(client->multi, descriptor, mask, &running);
    if (code == CURLM_OUT_OF_MEMORY || code == CURLM_INTERNAL_ERROR)
        for (struct ctz_http_request *request = client->requests; request; request = request->next)
            if (request->state == HTTP_RUNNING)
                ctz_http_touch(request, HTTP_BROKEN);
    read_messages(client);
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void end_rest(struct http_socket *socket)
{
    ctz_timer_stop(socket->client->host, &socket->rest);
    socket->rests = false;
    socket->awake_ns = ctz_now();
    socket->polled = socket->wanted;
    if (socket->wanted)
        uv_poll_start(&socket->poll, socket->wanted, on_poll);
}

static void on_rested(struct ctz_timer *timer)
{
    end_rest(CTZ_CONTAINER(timer, struct http_socket, rest));
}

// size: of what a stream got now.
static void pace(struct http_socket *socket, size_t size)
{
    uint64_t now_ns = ctz_now();
    size_t little = socket->trickles < TRICKLES ? TRICKLE_BYTES : REST_BYTES;
    bool trickles = size > 0 && size < little && now_ns - socket->awake_ns < REST_NS;
    socket->trickles = trickles ? socket->trickles + 1 : 0;
    socket->awake_ns = now_ns;
    if (socket->trickles < TRICKLES || socket->wanted != UV_READABLE ||
        socket->polled != UV_READABLE)
        return;
    uv_poll_stop(&socket->poll);
    socket->polled = 0;
    socket->rests = true;
    ctz_timer_start(socket->client->host, &socket->rest, now_ns + REST_NS, on_rested);
}

static struct http_socket *find_socket(const struct ctz_http *client, curl_socket_t descriptor)
{
    return (size_t)descriptor < client->socket_count ? client->sockets[descriptor] : NULL;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct http_socket *socket = CTZ_CONTAINER(poll, struct http_socket, poll);
    struct ctz_http *client = socket->client;
    if (status < 0) { // libuv has stopped it; who reads or writes gets the reason from the system
        socket->polled = 0;
        events = UV_READABLE | UV_WRITABLE;
    } else if (!(events & socket->wanted)) {
        uv_poll_stop(poll);
        socket->polled = 0;
        return;
    }
    if (socket->request) {
        ctz_http_upgrade_ready(socket->request, events);
    } else {
        int mask = 0;
        mask |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
        mask |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
        curl_socket_t descriptor = socket->descriptor;
        client->streamed = 0;
        act(client, descriptor, mask);
        if (find_socket(client, descriptor) == socket) // libcurl may have closed it
            pace(socket, client->streamed);
    }
    flush_events(client);
}

static void free_socket(uv_handle_t *handle)
{
    ctz_free(CTZ_CONTAINER(handle, struct http_socket, poll));
}

static int grow_sockets(struct ctz_http *client, curl_socket_t descriptor)
{
    size_t count = client->socket_count ? client->socket_count : 64;
    while (count <= (size_t)descriptor)
        count *= 2;
    if (count == client->socket_count)
        return 0;
    struct http_socket **sockets =
        ctz_realloc(client->sockets, count * sizeof(struct http_socket *));
    if (!sockets)
        return -1;
    memset(sockets + client->socket_count, 0,
           (count - client->socket_count) * sizeof(struct http_socket *));
    client->sockets = sockets;
    client->socket_count = count;
    return 0;
}

static struct http_socket *get_socket(struct ctz_http *client, curl_socket_t descriptor)
{
    struct http_socket *socket = find_socket(client, descriptor);
    if (socket)
        return socket;
    if (grow_sockets(client, descriptor) < 0 || !(socket = ctz_calloc(1, sizeof *socket)))
        return NULL;
    if (uv_poll_init(&client->host->loop, &socket->poll, descriptor) < 0) {
        ctz_free(socket);
        return NULL;
    }
    socket->client = client;
    socket->descriptor = descriptor;
    client->sockets[descriptor] = socket;
    return socket;
}

static int watch(struct http_socket *socket, int events)
{
    socket->wanted = events;
    if (!events) {
        uv_unref((uv_handle_t *)&socket->poll);
        return 0;
    }
    uv_ref((uv_handle_t *)&socket->poll);
    if (socket->rests && events == UV_READABLE)
        return 0;
    if (socket->rests)
        end_rest(socket);
    if (socket->polled == events)
        return 0;
    socket->polled = events;
    return uv_poll_start(&socket->poll, events, on_poll);
}

void ctz_http_socket_forget(struct ctz_http *client, curl_socket_t descriptor)
{
    struct http_socket *socket = find_socket(client, descriptor);
    if (!socket)
        return;
    client->sockets[descriptor] = NULL;
    ctz_timer_stop(client->host, &socket->rest);
    uv_close((uv_handle_t *)&socket->poll, free_socket);
}

int ctz_http_socket_watch(struct ctz_http *client, curl_socket_t descriptor,
                          struct ctz_http_request *request, int events)
{
    struct http_socket *socket = get_socket(client, descriptor);
    if (!socket)
        return -1;
    socket->request = request;
    return watch(socket, events);
}

void ctz_http_socket_opened(struct ctz_http *client, curl_socket_t descriptor)
{
    struct http_socket *stale = find_socket(client, descriptor);
    if (!stale)
        return;
    // The number was closed and is used again within one call: libcurl sees no change and will not
    // tell what to watch.
    int events = stale->wanted;
    ctz_http_socket_forget(client, descriptor);
    struct http_socket *socket = get_socket(client, descriptor);
    if (socket)
        watch(socket, events);
}

static void unwatch(struct http_socket *socket, bool may_stay)
{
    watch(socket, 0);
    if (may_stay || !socket->polled)
        return;
    uv_poll_stop(&socket->poll);
    socket->polled = 0;
}

// libcurl's callback. A failure must not be returned: it would kill the whole multi handle.
static int on_socket(CURL *easy, curl_socket_t descriptor, int what, void *context, void *unused)
{
    (void)unused;
    struct ctz_http *client = context;
    struct http_transfer *transfer = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &transfer);
    struct ctz_http_request *request = transfer ? transfer->request : NULL;
    if (what == CURL_POLL_REMOVE) {
        struct http_socket *known = find_socket(client, descriptor);
        if (known && !known->request)
            unwatch(known, request && request->passes > 0 && !transfer->leaving);
        return 0;
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    struct http_socket *socket = get_socket(client, descriptor);
    if (socket && watch(socket, events) == 0)
        return 0;
    if (request)
        ctz_http_touch(request, HTTP_BROKEN);
    return 0;
}

// --- libcurl's clock ---------------------------------------------------------------------------

static void on_curl_due(struct ctz_timer *timer)
{
    struct ctz_http *client = CTZ_CONTAINER(timer, struct ctz_http, curl_timer);
    act(client, CURL_SOCKET_TIMEOUT, 0);
    flush_events(client);
}

static int on_curl_timer(CURLM *multi, long wait_ms, void *context)
{
    (void)multi;
    struct ctz_http *client = context;
    ctz_timer_stop(client->host, &client->curl_timer);
    if (wait_ms >= 0)
        ctz_timer_start(client->host, &client->curl_timer,
                        ctz_now() + (uint64_t)wait_ms * UINT64_C(1000000), on_curl_due);
    return 0;
}

static void read_messages(struct ctz_http *client)
{
    int left;
    for (CURLMsg *message; (message = curl_multi_info_read(client->multi, &left));) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; // the message is gone once the handle is removed
        struct http_transfer *transfer = NULL;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        if (transfer && transfer->request)
            ctz_http_request_ended(transfer->request, code);
    }
}

// --- telling -----------------------------------------------------------------------------------

static void on_kick(struct ctz_timer *timer)
{
    flush_events(CTZ_CONTAINER(timer, struct ctz_http, kick));
}

static void link_touched(struct ctz_http *client, struct ctz_http_request *request)
{
    request->is_touched = true;
    request->touched_next = NULL;
    *client->touched_end = request;
    client->touched_end = &request->touched_next;
}

void ctz_http_touch(struct ctz_http_request *request, unsigned events)
{
    struct ctz_http *client = request->client;
    request->pending |= events;
    if (!client || request->is_touched)
        return;
    link_touched(client, request);
    if (!client->flushing && !client->kick.armed)
        ctz_timer_start(client->host, &client->kick, ctz_now(), on_kick);
}

void ctz_http_untouch(struct ctz_http_request *request)
{
    struct ctz_http *client = request->client;
    if (!request->is_touched)
        return;
    struct ctz_http_request **link = &client->touched;
    while (*link != request)
        link = &(*link)->touched_next;
    *link = request->touched_next;
    if (!*link)
        client->touched_end = link;
    request->is_touched = false;
}

static struct ctz_http_request *pop_touched(struct ctz_http *client)
{
    struct ctz_http_request *request = client->touched;
    client->touched = request->touched_next;
    if (!client->touched)
        client->touched_end = &client->touched;
    request->is_touched = false;
    return request;
}

// Tells one event; the request may be gone afterwards.
static void tell(struct ctz_http_request *request)
{
    if (request->pending & HTTP_BROKEN) {
        request->pending &= ~(unsigned)HTTP_BROKEN;
        ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
        ctz_http_request_fail(request);
    }
    if (!request->on_event || !request->pending)
        return;                                                  // ctz_http_listen comes back to it
    unsigned event = request->pending & (~request->pending + 1); // the lowest bit
    request->pending &= ~event;
    if (event == CTZ_HTTP_HEAD)
        ctz_timer_stop(request->client->host, &request->deadline);
    if (request->pending)
        ctz_http_touch(request, 0);
    request->on_event(request, (enum ctz_http_event)event, request->context);
}

// Each request that is touched now gets one event; the rest waits for the next round of the loop.
static void flush_events(struct ctz_http *client)
{
    size_t count = 0;
    for (const struct ctz_http_request *at = client->touched; at; at = at->touched_next)
        count++;
    client->flushing = true;
    for (; count > 0 && client->touched; count--)
        tell(pop_touched(client));
    client->flushing = false;
    if (client->touched && !client->kick.armed)
        ctz_timer_start(client->host, &client->kick, ctz_now(), on_kick);
}

// --- transfers ---------------------------------------------------------------------------------

struct http_transfer *ctz_http_transfer_get(struct ctz_http *client, bool usual)
{
    struct http_transfer *transfer = client->idle;
    if (transfer) {
        client->idle = transfer->next;
        client->idle_count--;
        if (transfer->usual && !usual) {
            curl_easy_reset(transfer->easy);
            transfer->usual = false;
        }
        return transfer;
    }
    transfer = ctz_calloc(1, sizeof *transfer);
    if (transfer && !(transfer->easy = curl_easy_init())) {
        ctz_free(transfer);
        return NULL;
    }
    return transfer;
}

static void free_transfer(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    ctz_free(transfer);
}

// Keys and the like do not stay in an idle handle; a usual one has none and stays as it is.
void ctz_http_transfer_put(struct ctz_http *client, struct http_transfer *transfer)
{
    transfer->request = NULL;
    if (client->idle_count >= IDLE_TRANSFERS) {
        free_transfer(transfer);
        return;
    }
    if (!transfer->usual)
        curl_easy_reset(transfer->easy);
    transfer->next = client->idle;
    client->idle = transfer;
    client->idle_count++;
}

// --- warnings ----------------------------------------------------------------------------------

struct http_warned {
    struct http_warned *next;
    char host[];
};

void ctz_http_warn_insecure(struct ctz_http *client, const char *host)
{
    for (const struct http_warned *at = client->warned; at; at = at->next)
        if (strcmp(at->host, host) == 0)
            return;
    size_t length = strlen(host);
    struct http_warned *warned = ctz_calloc(1, sizeof *warned + length + 1);
    if (warned) {
        memcpy(warned->host, host, length);
        warned->next = client->warned;
        client->warned = warned;
    }
    ctz_log(
        client->host, CTZ_LOG_WARN,
        "TLS is not checked for %s (insecure): anybody on the way can read and change what is sent",
        host);
}

// --- life --------------------------------------------------------------------------------------

// Half of the descriptors that are left to this process: the lowest free number tells how many are
// in use.
static unsigned most_active(void)
{
    struct rlimit limit;
    int lowest = dup(STDERR_FILENO);
    if (lowest >= 0)
        close(lowest);
    if (lowest < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return ACTIVE_MIN;
    rlim_t left = limit.rlim_cur > (rlim_t)lowest ? limit.rlim_cur - (rlim_t)lowest : 0;
    if (left / 2 > ACTIVE_MAX)
        return ACTIVE_MAX;
    return left / 2 < ACTIVE_MIN ? ACTIVE_MIN : (unsigned)(left / 2);
}

int ctz_http_open(struct ctz_http **out, struct ctz_host *host, struct ctz_error *err)
{
    struct ctz_http *client = ctz_calloc(1, sizeof *client);
    CURLcode code = curl_global_init_mem(CURL_GLOBAL_DEFAULT, ctz_malloc, ctz_free, ctz_realloc,
                                         ctz_strdup, ctz_calloc);
    if (!client || code || !(client->multi = curl_multi_init())) {
        ctz_free(client);
        return ctz_error_set(err, CTZ_ERROR_IO, "libcurl does not start: %s",
                             code ? curl_easy_strerror(code) : "out of memory");
    }
    client->host = host;
    client->touched_end = &client->touched;
    client->queue_end = &client->queue;
    client->max_active = most_active();
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    long kept = client->max_active < IDLE_CONNECTIONS ? client->max_active : IDLE_CONNECTIONS;
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, kept);
    *out = client;
    return 0;
}

void ctz_http_close(struct ctz_http *client)
{
    client->starting = true; // whoever gives a turn back lets nobody begin
    while (client->requests)
        ctz_http_request_orphan(client->requests);
    while (client->idle) {
        struct http_transfer *transfer = client->idle;
        client->idle = transfer->next;
        free_transfer(transfer);
    }
    curl_multi_cleanup(client->multi); // closes the connections kept open
    ctz_http_resolve_close(client);
    for (size_t i = 0; i < client->socket_count; i++)
        ctz_http_socket_forget(client, (curl_socket_t)i);
    while (client->warned) {
        struct http_warned *next = client->warned->next;
        ctz_free(client->warned);
        client->warned = next;
    }
    ctz_timer_stop(client->host, &client->curl_timer);
    ctz_timer_stop(client->host, &client->kick);
    ctz_free(client->sockets);
    ctz_free(client);
}

// --- one client of a run -----------------------------------------------------------------------

#define CLIENT_CLASS "ctz.http.client"

static const char registry_key; // its address names the client in Lua's registry

static int l_client_gc(lua_State *L)
{
    struct ctz_http **box = lua_touserdata(L, 1);
    if (*box)
        ctz_http_close(*box);
    *box = NULL;
    return 0;
}

struct ctz_http *ctz_http_client(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &registry_key);
    struct ctz_http **box = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (box)
        return *box;
    box = lua_newuserdatauv(L, sizeof(struct ctz_http *), 0);
    *box = NULL;
    lua_createtable(L, 0, 1);
    lua_pushcfunction(L, l_client_gc);
    lua_setfield(L, -2, "__gc");
    lua_setmetatable(L, -2);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
    struct ctz_error err = {0};
    int result = ctz_http_open(box, ctz_host(L), &err);
    lua_pop(L, 1);
    if (result < 0) {
        lua_pushnil(L);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &registry_key);
        ctz_raise(L, &err);
    }
    return *box;
}
