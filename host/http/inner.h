// inner.h: what the files of libctz_http share with each other and with nobody else.
// SPDX-License-Identifier: MIT
#ifndef CTZ_HTTP_INNER_H
#define CTZ_HTTP_INNER_H

#include <curl/curl.h>
#include <uv.h>

#include "host/alloc.h"
#include "host/buffer.h"
#include "host/host.h"
#include "host/http/http.h"

#define HTTP_HELD_ERROR_BYTES (64 * CTZ_KIB) // of an error or redirect body that is read to its end

// --- url.c -------------------------------------------------------------------------------------

/// Owned strings. All zero: none.
struct http_url {
    char *text;            // without credentials and fragment
    char *host;            // lower case, ASCII, an IPv6 address in brackets
    char *user, *password; // decoded; NULL when the URL names none
    uint16_t port;
    bool secure;
};

/// base may be NULL; with it, text may be relative (a Location).
int ctz_http_url_parse(struct http_url *url, const char *base, const char *text,
                       struct ctz_error *err);
void ctz_http_url_clear(struct http_url *url);
bool ctz_http_same_origin(const struct http_url *a, const struct http_url *b);
/// The URL with another host in it. NULL when out of memory.
char *ctz_http_url_with_host(const struct http_url *url, const char *host);
/// "example.org:443". NULL when out of memory.
char *ctz_http_address_of(const struct http_url *url);
/// Is it an address and no name?
bool ctz_http_is_address(const char *host);

// --- lines.c -----------------------------------------------------------------------------------

/// Request headers, as libcurl takes them; one block of memory each.
struct http_line {
    struct curl_slist node; // node.data is `text`
    size_t name_length;
    char text[];
};

struct http_lines {
    struct curl_slist *first, **end;
};

void ctz_http_lines_init(struct http_lines *lines);
void ctz_http_lines_clear(struct http_lines *lines);
/// Refuses names that are no tokens and values with CR, LF or NUL.
int ctz_http_lines_add(struct http_lines *lines, const char *name, const char *value,
                       struct ctz_error *err);
int ctz_http_lines_basic(struct http_lines *lines, const char *user, const char *password,
                         struct ctz_error *err);
const char *ctz_http_lines_find(const struct http_lines *lines, const char *name);
/// Keeps only what may go to another host.
void ctz_http_lines_strip(struct http_lines *lines);
/// Drops what describes a body.
void ctz_http_lines_strip_body(struct http_lines *lines);
bool ctz_http_is_token(const char *text);

// --- head.c ------------------------------------------------------------------------------------

/// The head of an answer, fed line by line.
struct http_head {
    struct ctz_buffer fields; // name NUL value NUL ...
    size_t total_bytes;       // of all heads so far, 1xx included
    int64_t length;           // Content-Length, -1
    int status;
    char version[4];
    bool complete;
    bool chunked;
};

void ctz_http_head_init(struct http_head *head);
void ctz_http_head_clear(struct http_head *head);
/// One line with its line end. After the head is complete, lines are trailers: only counted.
int ctz_http_head_line(struct http_head *head, const char *line, size_t size, uint64_t max_bytes,
                       struct ctz_error *err);
const char *ctz_http_head_find(const struct http_head *head, const char *name);
const char *ctz_http_head_next(const struct http_head *head, const char *cursor, const char **name,
                               const char **value);
/// Seconds of a Retry-After value, either form; 0 when it is past or no such thing.
double ctz_http_retry_after(const char *value, int64_t now_s);
enum ctz_error_kind ctz_http_kind_of_status(int status);
const char *ctz_http_reason(int status);

// --- proxy.c -----------------------------------------------------------------------------------

/// The proxy that the environment names for this URL; NULL: none. Borrowed from the environment.
const char *ctz_http_proxy_of(const struct http_url *url);
/// Does a NO_PROXY list name the host?
bool ctz_http_no_proxy(const char *list, const char *host);

struct http_proxy {
    char *host;
    uint16_t port;
    bool resolves; // SOCKS with names: the proxy looks the target up
};
int ctz_http_proxy_parse(struct http_proxy *proxy, const char *text, struct ctz_error *err);

// --- resolve.c ---------------------------------------------------------------------------------

struct http_lookup;

/// One request's wait for a name.
struct http_wait {
    struct http_lookup *lookup; // NULL: does not wait
    struct http_wait *next, **link;
    /// From the loop: addresses as "1.2.3.4,[::1]" or NULL with a libuv code.
    void (*done)(struct http_wait *wait, const char *addresses, int code);
};

/// Addresses known already (borrowed until the next call), or NULL and `wait` is told later.
const char *ctz_http_resolve(struct ctz_http *client, const char *name, struct http_wait *wait,
                             struct ctz_error *err);
void ctz_http_resolve_cancel(struct http_wait *wait);
void ctz_http_resolve_close(struct ctz_http *client);

// --- client.c ----------------------------------------------------------------------------------

/// An easy handle; they are used again and again.
struct http_transfer {
    CURL *easy;
    struct ctz_http_request *request; // NULL while idle
    struct http_transfer *next;
    bool usual;                  // set up for is_usual in transfer.c
    bool leaving;                // it is being removed
    char words[CURL_ERROR_SIZE]; // libcurl's own
};

struct http_socket;

struct ctz_http {
    struct ctz_host *host;
    CURLM *multi;
    struct ctz_timer curl_timer;  // when libcurl wants to be called
    struct ctz_timer kick;        // events are to be told
    struct http_socket **sockets; // by descriptor
    size_t socket_count;
    struct http_transfer *idle;
    unsigned idle_count;
    struct ctz_http_request *requests;               // all
    struct ctz_http_request *touched, **touched_end; // with events to be told
    struct ctz_http_request *queue, **queue_end;     // wait for a connection
    unsigned active, max_active;
    bool starting, flushing;
    size_t streamed;             // what the streams of one socket got since it was ready
    struct http_lookup *lookups; // known names, and those being looked up
    unsigned lookup_count, lookups_running, lookups_abandoned;
    struct http_warned *warned; // hosts whose insecure use was told
};

int ctz_http_open(struct ctz_http **client, struct ctz_host *host, struct ctz_error *err);
void ctz_http_close(struct ctz_http *client);
/// One with no options set, or, when `usual`, perhaps one that a usual request had (then it says
/// so).
struct http_transfer *ctz_http_transfer_get(struct ctz_http *client, bool usual);
void ctz_http_transfer_put(struct ctz_http *client, struct http_transfer *transfer);
/// Sets the events aside; the loop tells them soon.
void ctz_http_touch(struct ctz_http_request *request, unsigned events);
void ctz_http_untouch(struct ctz_http_request *request);
#define HTTP_BROKEN 16 // an event for ourselves: libcurl cannot go on with it
void ctz_http_warn_insecure(struct ctz_http *client, const char *host);

/// Watches the descriptor of an upgraded connection instead of libcurl.
int ctz_http_socket_watch(struct ctz_http *client, curl_socket_t descriptor,
                          struct ctz_http_request *request, int events);
/// libcurl has a new descriptor.
void ctz_http_socket_opened(struct ctz_http *client, curl_socket_t descriptor);
void ctz_http_socket_forget(struct ctz_http *client, curl_socket_t descriptor);

// --- request.c ---------------------------------------------------------------------------------

enum http_state {
    HTTP_NEW,
    HTTP_RESOLVING,
    HTTP_QUEUED,
    HTTP_RUNNING,
    HTTP_UPGRADING, // connected: our own request is being sent, its head read
    HTTP_UPGRADED,
    HTTP_DONE,
};

struct http_tls { // owned
    char *ca_file, *ca_pem, *cert_file, *cert_pem, *key_file, *key_pem, *server_name;
    bool insecure, probe;
};

struct ctz_http_request {
    struct ctz_http *client; // NULL once it has closed
    struct ctz_http_request *next, **link;
    struct ctz_http_request *touched_next, *queue_next;
    ctz_http_fn on_event;
    void *context;
    unsigned pending; // events to be told
    bool is_touched;
    enum http_state state;

    // what is asked; owned
    char *method;
    struct http_url url;
    struct http_lines headers;
    char *body;
    size_t body_size;
    struct ctz_http_source source; // pull NULL: none
    char *unix_socket;
    char *proxy; // NULL: the environment's, "": none
    struct http_tls tls;
    enum ctz_http_version version;
    double timeout_s, idle_timeout_s, connect_timeout_s;
    uint64_t max_body_bytes;
    unsigned redirects_left, redirects_most;
    bool follow; // redirects, or else they are answers like others
    bool stream, collect_errors, compressed, once, upgrade, connect;
    bool has_body; // also an empty one

    // this attempt
    struct http_transfer *transfer;
    struct http_wait wait;
    char *proxy_now;               // of this hop; owned, NULL: none
    struct http_proxy proxy_at;    // host owned; NULL: none
    unsigned step;                 // which name is looked up
    struct curl_slist *resolve;    // owned
    struct curl_slist *connect_to; // owned
    char *sent_url;                // owned; NULL: url.text
    struct curl_slist omit[2];     // in front of headers
    unsigned passes;               // how often libcurl was about to send it
    int os_errno;                  // why no socket could be made
    bool retried, fresh;           // fresh: no connection is used again
    bool counted;                  // in client->active

    // the answer
    struct http_head head;
    struct ctz_buffer held;
    size_t held_offset; // of what is consumed
    size_t window;
    uint64_t received, discarded;
    bool hold;    // the body is held, not streamed
    bool discard; // the body of a redirect
    bool cut;     // enough of an error or redirect body was read
    bool pause_receive, pause_send;

    // clocks
    struct ctz_timer deadline, idle;
    uint64_t last_byte_ns, last_bytes;

    // an upgraded connection
    curl_socket_t descriptor;
    struct ctz_buffer raw; // our request, then what came behind the head
    size_t raw_offset;
    uint64_t raw_bytes; // over the wire, both ways
    bool watch_data, watch_room;

    struct ctz_error err;
};

/// The transfer has ended with that code.
void ctz_http_request_ended(struct ctz_http_request *request, CURLcode code);
/// Ends it with request->err.
void ctz_http_request_fail(struct ctz_http_request *request);
void ctz_http_request_done(struct ctz_http_request *request);
/// The client closes.
void ctz_http_request_orphan(struct ctz_http_request *request);
void ctz_http_tls_clear(struct http_tls *tls);
/// Can the body be sent from its first byte? -1: no.
int ctz_http_rewind(struct ctz_http_request *request);
/// Bytes that went over the wire so far.
uint64_t ctz_http_request_bytes(const struct ctz_http_request *request);

// --- transfer.c --------------------------------------------------------------------------------

int ctz_http_transfer_begin(struct ctz_http_request *request, const char *proxy);

// --- redirect.c --------------------------------------------------------------------------------

/// Is the answer a redirect that is to be followed?
bool ctz_http_redirects(const struct ctz_http_request *request);
/// Makes the request that the answer points to. -1 with request->err set.
int ctz_http_redirect(struct ctz_http_request *request);

// --- fail.c ------------------------------------------------------------------------------------

/// Sets request->err from libcurl's code, unless something set it before.
void ctz_http_fail_curl(struct ctz_http_request *request, CURLcode code);
void ctz_http_fail_timeout(struct ctz_http_request *request, const char *what, double seconds);
/// May it be sent again when nobody knows whether it came?
bool ctz_http_may_repeat(const struct ctz_http_request *request);

// --- upgrade.c ---------------------------------------------------------------------------------

/// libcurl has connected: our own request goes out.
void ctz_http_upgrade_begin(struct ctz_http_request *request);
/// The descriptor is ready (UV_READABLE, UV_WRITABLE).
void ctz_http_upgrade_ready(struct ctz_http_request *request, int events);

#endif
