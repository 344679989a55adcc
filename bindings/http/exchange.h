// exchange.h: a request that Lua holds in its hand: a stream, an upload, an upgraded connection.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_HTTP_EXCHANGE_H
#define CTZ_BINDINGS_HTTP_EXCHANGE_H

#include "bindings/http/module.h"
#include "host/buffer.h"

#define EXCHANGE_CLASS "ctz.http.exchange"

struct exchange_op;

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

struct exchange *http_check_exchange(lua_State *L);
/// What has arrived and is not read; of an upgraded connection after trying to receive `want`.
const char *http_peek(struct exchange *exchange, size_t *size);
void http_take(struct exchange *exchange, size_t size);

// --- save.c ------------------------------------------------------------------------------------

void http_save_release(struct save_file *file);
int http_l_save_open(lua_State *L);
int http_l_save_write(lua_State *L);
int http_l_save_close(lua_State *L);

#endif
