// server.h: what the engine asks of a build's client: an HTTP/2 server with three gRPC services.
// SPDX-License-Identifier: MIT
//
// Bytes in, bytes out, calls in between: it knows no socket and no Lua. grpc.health.v1.Health/Check
// is answered here; a secret and a registry's credentials are asked for by bk_server_next; all
// else is UNIMPLEMENTED. No pointer it gives out lives longer than the next call.
#ifndef CTZ_BINDINGS_BUILDKIT_SERVER_H
#define CTZ_BINDINGS_BUILDKIT_SERVER_H

#include "bindings/buildkit/grpc.h"

#define BK_PATH_HEALTH      "/grpc.health.v1.Health/Check"
#define BK_PATH_CREDENTIALS "/moby.filesync.v1.Auth/Credentials"
#define BK_PATH_SECRET      "/moby.buildkit.secrets.v1.Secrets/GetSecret"

enum bk_method { BK_METHOD_OTHER, BK_METHOD_HEALTH, BK_METHOD_CREDENTIALS, BK_METHOD_SECRET };

/// A call that waits for an answer.
struct bk_call {
    int32_t id;
    enum bk_method method;
    const char *subject; // the secret's id, the registry's host; borrowed
};

struct bk_server;

/// NULL when memory ran out.
struct bk_server *bk_server_new(void);
void bk_server_free(struct bk_server *server);
/// Takes all bytes. -1 with err set: the connection is of no use any more, but what is still to be
/// sent tells the other side why.
int bk_server_feed(struct bk_server *server, const uint8_t *bytes, size_t size,
                   struct ctz_error *err);
/// The next bytes to be sent: their number, 0: none now, -1 with err set.
ptrdiff_t bk_server_pull(struct bk_server *server, const uint8_t **bytes, struct ctz_error *err);
/// Is something to be sent?
bool bk_server_wants_to_send(const struct bk_server *server);
/// The engine's side of the connection stands.
bool bk_server_is_ready(const struct bk_server *server);
/// Both sides have said that they end it.
bool bk_server_is_over(const struct bk_server *server);
/// Tells the other side that we end it.
void bk_server_end(struct bk_server *server);

/// Is there a call that was not given out yet?
bool bk_server_has_call(const struct bk_server *server);
/// Gives it out.
bool bk_server_next(struct bk_server *server, struct bk_call *call);
/// Each answers a call; one whose stream has gone meanwhile is dropped. -1 when memory ran out.
int bk_server_secret(struct bk_server *server, int32_t id, const char *value, size_t size);
int bk_server_credentials(struct bk_server *server, int32_t id, const char *user, size_t user_size,
                          const char *secret, size_t secret_size);
int bk_server_refuse(struct bk_server *server, int32_t id, int status, const char *message);

#endif
