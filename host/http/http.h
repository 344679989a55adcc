// http.h: HTTP for every room: requests, streams with back-pressure, upgraded connections.
// SPDX-License-Identifier: MIT
//
// One client belongs to one run. Its functions are called from the loop's thread and never wait.
// What happens to a request is told by one callback, always from the loop and never from inside a
// call, so the callback may call everything here and may free the request. Names are resolved by
// libuv, redirects are followed here (credentials stay with their host), bodies are counted after
// decoding. What a request returns by pointer is borrowed until it is freed.
#ifndef CTZ_HTTP_H
#define CTZ_HTTP_H

#include <lua.h>

#include "host/api.h"
#include "host/error.h"
#include "host/op.h"

struct ctz_http;
struct ctz_http_request;

/// The client of this run, made by the first call. Raises when it cannot be made.
CTZ_API struct ctz_http *ctz_http_client(lua_State *L);

// --- what is asked -----------------------------------------------------------------------------

struct ctz_http_header {
    const char *name, *value;
};

/// A body that is asked for piece by piece. pull is called inside libcurl: it only copies bytes and
/// calls nothing of this header.
struct ctz_http_source {
    /// Bytes copied to `bytes` (at most size), 0 at the end, CTZ_HTTP_AGAIN when none are there yet
    /// (call ctz_http_feed when some are), CTZ_HTTP_FAIL to give up.
    ptrdiff_t (*pull)(void *context, char *bytes, size_t size);
    /// Starts again from the first byte, for a redirect or the one retry. NULL, or -1: cannot.
    int (*rewind)(void *context);
    void *context;  // outlives the request
    int64_t length; // -1: unknown, the body is sent in chunks
};

#define CTZ_HTTP_AGAIN ((ptrdiff_t)-1)
#define CTZ_HTTP_FAIL  ((ptrdiff_t)-2)

/// Who the other side has to be, and who we are. It holds for the host of the URL: a redirect to
/// another host goes on with the system's authorities and without our certificate.
struct ctz_http_tls {
    const char *ca_file, *ca_pem; // instead of the system's authorities
    const char *cert_file, *cert_pem;
    const char *key_file, *key_pem;
    const char *server_name; // instead of the URL's host, for SNI and the check
    bool insecure;           // no check at all; warned of once per host
    bool probe;              // insecure without a warning: is TLS spoken at all?
};

/// With `connect`, version 2 offers TLS nothing but HTTP/2 (ALPN h2).
enum ctz_http_version { CTZ_HTTP_1_1, CTZ_HTTP_2 };

/// All pointers are borrowed until ctz_http_new returns, except source.context.
struct ctz_http_spec {
    const char *method; // NULL: GET
    const char *url;    // http or https; user:password@ in it becomes Authorization: Basic
    const struct ctz_http_header *headers;
    size_t header_count;
    const void *body; // copied; NULL: none
    size_t body_size;
    const struct ctz_http_source *source; // instead of body
    const char *user, *password;          // Authorization: Basic
    const char *bearer;                   // Authorization: Bearer
    const char *unix_socket;              // a path; the URL's host is only a name then
    const char *proxy;                    // NULL: as the environment says; "": none
    struct ctz_http_tls tls;
    enum ctz_http_version version; // streams and upgrades have HTTP/1.1 always
    double timeout_s;              // until the whole answer, of a stream until its head; 0: none
    double idle_timeout_s;         // without a byte in either direction; 0: none
    double connect_timeout_s;      // 0: 30 s
    uint64_t max_body_bytes; // of a body held in memory, decoded; 0: the limit http_body_bytes
    int redirects;           // 0: none; CTZ_HTTP_REDIRECTS: the limit http_redirects
    bool stream;             // the body is taken piece by piece
    bool collect_errors;     // a stream's answer of status >= 400 is held instead: its first 64 KiB
    bool compressed;         // asks for gzip, deflate, br, zstd and decodes the answer
    bool once;               // never sent twice, also where HTTP has the method idempotent
    bool upgrade;            // the connection is wanted: put Connection and Upgrade into headers
    bool connect;            // as upgrade, but nothing is asked: the caller writes the first byte
};

#define CTZ_HTTP_REDIRECTS (-1)

/// "example.org:443", "[::1]:80" or "unix:PATH": the subject of the capability net. Yours to free.
CTZ_API char *ctz_http_subject(const struct ctz_http_spec *spec, struct ctz_error *err);

/// The same of a proxy's URL.
CTZ_API char *ctz_http_proxy_subject(const char *proxy, struct ctz_error *err);
/// The beginning of a URL, for people: without a password. Returns buffer.
CTZ_API const char *ctz_http_shown(const char *url, char *buffer, size_t size);

// --- a request ---------------------------------------------------------------------------------

enum ctz_http_event {
    CTZ_HTTP_HEAD = 1, // of a stream: status and headers are there; of an upgrade: it succeeded
    CTZ_HTTP_DATA = 2, // of a stream: more bytes are there; of an upgrade: try ctz_http_recv again
    CTZ_HTTP_ROOM = 4, // of a source: bytes were taken; of an upgrade: try ctz_http_send again
    CTZ_HTTP_DONE = 8, // the last one: ctz_http_error tells whether all went well
};

typedef void (*ctz_http_fn)(struct ctz_http_request *request, enum ctz_http_event event,
                            void *context);

/// Checks and copies; nothing is sent yet. NULL with err set.
CTZ_API struct ctz_http_request *
ctz_http_new(struct ctz_http *client, const struct ctz_http_spec *spec, struct ctz_error *err);
CTZ_API void ctz_http_start(struct ctz_http_request *request, ctz_http_fn on_event, void *context);
/// From now on these events go there. Events that came while on_event was NULL come again.
CTZ_API void ctz_http_listen(struct ctz_http_request *request, ctz_http_fn on_event, void *context);
/// Stops what is under way, without an event, and frees.
CTZ_API void ctz_http_free(struct ctz_http_request *request);
/// The source that answered CTZ_HTTP_AGAIN has bytes now.
CTZ_API void ctz_http_feed(struct ctz_http_request *request);

CTZ_API bool ctz_http_is_done(const struct ctz_http_request *request);
/// The failure of a request that is done; kind CTZ_ERROR_NONE when there is none.
CTZ_API struct ctz_error *ctz_http_error(struct ctz_http_request *request);

// --- its answer --------------------------------------------------------------------------------

/// 0 before the head has arrived.
CTZ_API int ctz_http_status(const struct ctz_http_request *request);
/// As it was sent last: a redirect may have made it GET.
CTZ_API const char *ctz_http_method(const struct ctz_http_request *request);
/// After redirects; without credentials and fragment.
CTZ_API const char *ctz_http_url(const struct ctz_http_request *request);
/// "1.1"
CTZ_API const char *ctz_http_version(const struct ctz_http_request *request);
/// The first header of that name, in any case; NULL when there is none.
CTZ_API const char *ctz_http_header(const struct ctz_http_request *request, const char *name);
/// All headers in their order: begin with a NULL cursor, stop when NULL is returned.
CTZ_API const char *ctz_http_next_header(const struct ctz_http_request *request, const char *cursor,
                                         const char **name, const char **value);
/// Content-Length of the answer; -1: it does not say.
CTZ_API int64_t ctz_http_length(const struct ctz_http_request *request);
/// Bytes of body so far: received (decoded), and sent.
CTZ_API uint64_t ctz_http_received(const struct ctz_http_request *request);
CTZ_API uint64_t ctz_http_sent(const struct ctz_http_request *request);
/// Bytes of the body that will be sent; -1: unknown.
CTZ_API int64_t ctz_http_to_send(const struct ctz_http_request *request);

/// The body held in memory; of a stream what has arrived and is not consumed. Never NULL.
CTZ_API const char *ctz_http_body(const struct ctz_http_request *request, size_t *size);
/// Drops the first bytes of a stream's body; when there is room again the sender goes on.
CTZ_API void ctz_http_consume(struct ctz_http_request *request, size_t size);
/// All of a stream's body that has arrived, yours to free, consumed; NULL when memory ran out.
CTZ_API char *ctz_http_take(struct ctz_http_request *request, size_t *size);
/// How many bytes a stream holds before its sender is paused; at first 256 KiB.
CTZ_API void ctz_http_window(struct ctz_http_request *request, size_t size);

/// The error that a status >= 400 stands for: its kind, the server's words, Retry-After. Returns -1
/// with err set, or 0 for a lower status.
CTZ_API int ctz_http_check(const struct ctz_http_request *request, struct ctz_error *err);

// --- an upgraded connection --------------------------------------------------------------------

/// Bytes received, 0 at the end, CTZ_HTTP_AGAIN (ask ctz_http_watch) or CTZ_HTTP_FAIL with err set.
CTZ_API ptrdiff_t ctz_http_recv(struct ctz_http_request *request, char *bytes, size_t size,
                                struct ctz_error *err);
/// Bytes taken, CTZ_HTTP_AGAIN or CTZ_HTTP_FAIL with err set.
CTZ_API ptrdiff_t ctz_http_send(struct ctz_http_request *request, const char *bytes, size_t size,
                                struct ctz_error *err);
/// Asks for one CTZ_HTTP_DATA, one CTZ_HTTP_ROOM. What was asked for before stays asked for.
CTZ_API void ctz_http_watch(struct ctz_http_request *request, bool data, bool room);
/// We send no more; the other side may go on.
CTZ_API int ctz_http_half_close(struct ctz_http_request *request, struct ctz_error *err);

// --- from room to room -------------------------------------------------------------------------

/// Pushes a handle of an upgraded connection, which another room can go on with. Takes the request
/// once it is pushed: when this raises, the request is still the caller's.
CTZ_API void ctz_http_push_handle(lua_State *L, struct ctz_http_request *take_request);
/// The connection of the handle at that argument, which is the caller's now: listen to it, free it.
/// Raises usage when it is no handle, or was taken before.
CTZ_API struct ctz_http_request *ctz_http_take_handle(lua_State *L, int arg);

// --- as an op ----------------------------------------------------------------------------------

typedef int (*ctz_http_push)(lua_State *L, struct ctz_http_request *request);

/// Starts the request, waits for its end, then returns what `push` pushes. Takes the request. With
/// `check` a status >= 400 raises. Use as `return ctz_http_await(...)`.
CTZ_API int ctz_http_await(lua_State *L, struct ctz_http_request *take_request, bool check,
                           ctz_http_push push);
/// Raises kind io: out of memory.
CTZ_API int ctz_http_no_memory(lua_State *L);

#endif
