// exchange.h: a request that Lua holds in its hand: a stream, an upload, an upgraded connection.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_HTTP_EXCHANGE_H
#define CTZ_BINDINGS_HTTP_EXCHANGE_H

#include "bindings/http/module.h"
#include "host/buffer.h"

#define EXCHANGE_CLASS "ctz.http.exchange"

/// Lives in a userdata. At most one task waits in each slot.
struct exchange {
    struct ctz_host *host;
    struct ctz_http_request *request; // owned; NULL once closed
    struct exchange_op *reader, *writer;
    struct ctz_buffer out; // of an upload: not yet taken by libcurl
    size_t out_offset;     // of what it took of that
    struct ctz_buffer in;  // of an upgraded connection: received, not yet read
    int64_t left;          // of the declared length, -1: not declared
    size_t line_scanned;   // bytes of what is there that hold no line end
    uint64_t begun_ns;
    struct save_file *file; // a reference; NULL: nothing is saved
    bool check, upgrade;
    bool has_head; // the head was told
    bool out_ended, in_ended, failed;
};

/// Waits for what the exchange may become.
struct exchange_op {
    struct ctz_op op;
    struct exchange *exchange; // anchored by argument 1 of the waiting frame
    struct exchange_op **slot; // NULL: does not wait any more
    bool (*ready)(struct exchange_op *op);
    size_t want;       // bytes to read; SIZE_MAX: all
    const char *bytes; // to write: argument 2 of the waiting frame, or owned
    char *owned;       // of a chunk
    size_t size;
    double seconds; // of a step
};

struct exchange *http_check_exchange(lua_State *L);
/// A new op of this class, in a slot that must be free. It waits until ready() says true.
struct exchange_op *http_exchange_op(lua_State *L, const struct ctz_op_class *class,
                                     struct exchange *exchange, struct exchange_op **slot,
                                     bool (*ready)(struct exchange_op *op));
/// The exchange of an op that has settled; raises when another task has closed it since.
struct exchange *http_exchange_of(lua_State *L, struct ctz_op *op);
int http_exchange_start(struct ctz_op *op);
void http_exchange_cancel(struct ctz_op *op);
/// Gives the op the error with which the request has ended, if it has. Whoever asks later is told
/// the same by http_check_exchange.
void http_exchange_fail(struct exchange_op *op);
/// What has arrived and is not read; of an upgraded connection after trying to receive `want`.
const char *http_peek(struct exchange *exchange, size_t *size);
void http_take(struct exchange *exchange, size_t size);

// --- exchange_read.c ---------------------------------------------------------------------------

/// {timeout=} at idx, seconds; 0: none.
double http_read_timeout(lua_State *L, int idx);
int http_l_read(lua_State *L);
int http_l_line(lua_State *L);
int http_l_chunk(lua_State *L);
int http_l_fill(lua_State *L);

// --- exchange_write.c --------------------------------------------------------------------------

/// The source of an upload (struct ctz_http_source), called inside libcurl.
ptrdiff_t http_exchange_pull(void *context, char *bytes, size_t size);
int http_l_write(lua_State *L);
int http_l_finish(lua_State *L);

// --- save.c ------------------------------------------------------------------------------------

void http_save_release(struct save_file *file);
int http_l_save_open(lua_State *L);
int http_l_save_write(lua_State *L);
int http_l_save_close(lua_State *L);

#endif
