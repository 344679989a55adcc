// tunnel.h: a build's session as one gRPC call on the engine's own socket.
// SPDX-License-Identifier: MIT
//
// From API 1.53 on the engine speaks HTTP/2 from the first byte. ctz calls
// moby.buildkit.v1.Control/Session, a stream of BytesMessage both ways, and in those bytes the
// engine is the HTTP/2 client of a bk_server. Bytes in, bytes out, as there.
#ifndef CTZ_BINDINGS_BUILDKIT_TUNNEL_H
#define CTZ_BINDINGS_BUILDKIT_TUNNEL_H

#include "bindings/buildkit/server.h"

#define BK_PATH_SESSION "/moby.buildkit.v1.Control/Session"

struct bk_field {
    const char *name, *value; // name in lower case
};

struct bk_tunnel;

/// server is borrowed and outlives the tunnel. NULL when memory ran out.
struct bk_tunnel *bk_tunnel_new(struct bk_server *server, const char *authority,
                                const struct bk_field *fields, size_t count);
void bk_tunnel_free(struct bk_tunnel *tunnel);
/// As of bk_server.
int bk_tunnel_feed(struct bk_tunnel *tunnel, const uint8_t *bytes, size_t size,
                   struct ctz_error *err);
ptrdiff_t bk_tunnel_pull(struct bk_tunnel *tunnel, const uint8_t **bytes, struct ctz_error *err);
bool bk_tunnel_is_over(const struct bk_tunnel *tunnel);
void bk_tunnel_end(struct bk_tunnel *tunnel);

#endif
