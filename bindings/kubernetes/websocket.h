// websocket.h: messages of a WebSocket (RFC 6455), the client's side, over any two-way connection.
// SPDX-License-Identifier: MIT
//
// No Lua and no loop: whoever owns the connection gives two functions and calls receive and
// transmit when it may be ready. What a function returns by pointer is borrowed, except a message.
#ifndef CTZ_KUBERNETES_WEBSOCKET_H
#define CTZ_KUBERNETES_WEBSOCKET_H

#include "host/api.h"
#include "host/error.h"

#define WS_AGAIN ((ptrdiff_t)-1)
#define WS_FAIL  ((ptrdiff_t)-2)

#define WS_CODE_NORMAL   1000
#define WS_CODE_NONE     1005 // its close frame names no code
#define WS_CODE_ABNORMAL 1006 // there was no close frame

/// Both return how many bytes moved, WS_AGAIN when none can now, or WS_FAIL with err set; recv
/// returns 0 at the end.
struct ws_io {
    ptrdiff_t (*recv)(void *context, char *bytes, size_t size, struct ctz_error *err);
    ptrdiff_t (*send)(void *context, const char *bytes, size_t size, struct ctz_error *err);
    void *context; // outlives the socket
};

struct ws_message {
    struct ws_message *next;
    char *bytes; // owned, with a NUL behind the last one
    size_t size;
    bool text;
};

struct ws;

/// most_bytes: of one message. window_bytes: of messages that nobody has taken, before the other
/// side has to wait. NULL without memory.
struct ws *ws_new(const struct ws_io *io, size_t most_bytes, size_t window_bytes);
void ws_free(struct ws *ws);

/// Receives what is there, as far as there is room. True: ask again when more bytes come; false:
/// nothing more comes, or the window is full (ws_next makes room).
bool ws_receive(struct ws *ws);
/// The next whole message, yours to ws_message_free; NULL: none is there.
struct ws_message *ws_next(struct ws *ws);
bool ws_has_message(const struct ws *ws);
void ws_message_free(struct ws_message *message);

/// Queues one binary message; with channel >= 0 this byte goes before the others. -1 with err set.
int ws_queue(struct ws *ws, int channel, const char *bytes, size_t size, struct ctz_error *err);
int ws_ping(struct ws *ws, struct ctz_error *err);
/// Queues the close frame; what was queued before still goes out.
int ws_close(struct ws *ws, unsigned code, struct ctz_error *err);
/// Sends what is queued, answers to pings first. True: some is left, ask again when there is room.
bool ws_transmit(struct ws *ws);
/// Messages and answers that are queued and not yet sent as a whole.
size_t ws_queued(const struct ws *ws);

/// No message comes after those that are there.
bool ws_is_over(const struct ws *ws);
/// Why, unless it was closed in order; kind CTZ_ERROR_NONE else.
struct ctz_error *ws_error(struct ws *ws);
/// Of the other side's close frame.
unsigned ws_close_code(const struct ws *ws);
const char *ws_close_reason(const struct ws *ws);
/// All bytes that came, frames and pongs too: tells whether the other side lives.
uint64_t ws_received(const struct ws *ws);
/// Is the other side made to wait, because nobody takes its messages?
bool ws_is_paused(const struct ws *ws);
/// Was it, and need not any more? ws_receive goes on.
bool ws_has_room(const struct ws *ws);

// --- handshake.c -------------------------------------------------------------------------------

#define WS_KEY_BYTES    25 // with the NUL
#define WS_ACCEPT_BYTES 29

/// A new Sec-WebSocket-Key, and the Sec-WebSocket-Accept that answers it.
int ws_key(char key[WS_KEY_BYTES], struct ctz_error *err);
int ws_accept(const char *key, char accept[WS_ACCEPT_BYTES], struct ctz_error *err);

#endif
