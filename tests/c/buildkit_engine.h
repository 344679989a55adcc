// buildkit_engine.h: the engine's side of a build's session, in memory.
// SPDX-License-Identifier: MIT
#ifndef CTZ_TEST_BUILDKIT_ENGINE_H
#define CTZ_TEST_BUILDKIT_ENGINE_H

#include <nghttp2/nghttp2.h>

#include "bindings/buildkit/server.h"
#include "bindings/buildkit/tunnel.h"

#define ENGINE_REPLIES 300

/// How a call of the engine ended.
struct engine_reply {
    int http_status, grpc_status; // -1: none came
    char words[256];
    struct ctz_buffer body; // the message without its prefix
    bool closed;
    uint32_t code; // of a RST_STREAM
};

/// An HTTP/2 client as the engine is one. With a front it sits behind a gRPC call, as from
/// API 1.53.
struct engine {
    nghttp2_session *session;
    struct engine_reply replies[ENGINE_REPLIES]; // by number of the call
    unsigned calls, pongs;
    bool went_away;           // the other side said GOAWAY
    struct ctz_buffer *heard; // NULL, or gets what the engine sends in engine_talk

    // the front
    nghttp2_session *front;
    int32_t front_stream;
    struct bk_reader reader;
    struct ctz_buffer out;
    bool deferred, ended;
    char fields[1024];            // "name: value\n" of the call
    int refuse_http, refuse_grpc; // answer the call with these instead
};

void engine_open(struct engine *engine, bool with_front);
void engine_close(struct engine *engine);

/// Calls a method with a message; returns the number of the reply.
unsigned engine_call(struct engine *engine, const char *path, const void *message, size_t size);
/// The same with the raw bytes of the body.
unsigned engine_call_raw(struct engine *engine, const char *path, const void *body, size_t size);
void engine_give_up(struct engine *engine, unsigned call);
void engine_ping(struct engine *engine);

/// Carries bytes both ways in pieces until nothing moves. tunnel may be NULL. -1 with err set.
int engine_talk(struct engine *engine, struct bk_server *server, struct bk_tunnel *tunnel,
                size_t piece, struct ctz_error *err);

#endif
