// grpc.h: gRPC over HTTP/2: messages in a stream of bytes, and how a call ends.
// SPDX-License-Identifier: MIT
//
// https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
#ifndef CTZ_BINDINGS_BUILDKIT_GRPC_H
#define CTZ_BINDINGS_BUILDKIT_GRPC_H

#include "host/api.h"
#include "host/buffer.h"
#include "host/error.h"

#define BK_PREFIX_BYTES 5 // one byte "compressed", the length in four, big end first

/// How a call ended; the numbers travel. X(NAME, number, kind of our error)
#define BK_STATUSES(X)                                                                             \
    X(OK, 0, NONE)                                                                                 \
    X(CANCELLED, 1, CANCELLED)                                                                     \
    X(UNKNOWN, 2, PROTOCOL)                                                                        \
    X(INVALID_ARGUMENT, 3, USAGE)                                                                  \
    X(DEADLINE_EXCEEDED, 4, TIMEOUT)                                                               \
    X(NOT_FOUND, 5, NOT_FOUND)                                                                     \
    X(ALREADY_EXISTS, 6, CONFLICT)                                                                 \
    X(PERMISSION_DENIED, 7, DENIED)                                                                \
    X(RESOURCE_EXHAUSTED, 8, SIZE)                                                                 \
    X(FAILED_PRECONDITION, 9, CONFLICT)                                                            \
    X(ABORTED, 10, CONFLICT)                                                                       \
    X(OUT_OF_RANGE, 11, USAGE)                                                                     \
    X(UNIMPLEMENTED, 12, UNSUPPORTED)                                                              \
    X(INTERNAL, 13, PROTOCOL)                                                                      \
    X(UNAVAILABLE, 14, UNREACHABLE)                                                                \
    X(DATA_LOSS, 15, PROTOCOL)                                                                     \
    X(UNAUTHENTICATED, 16, AUTH)

enum bk_status {
#define X(name, number, kind) BK_##name = number,
    BK_STATUSES(X)
#undef X
};

enum ctz_error_kind bk_status_kind(int status);
/// "NOT_FOUND"; "UNKNOWN" for a number that is no status.
const char *bk_status_name(int status);
/// The status of a lower-case name ("not_found"), -1 when there is none.
int bk_status_of(const char *name);

/// Writes the prefix of a message of that size.
void bk_prefix_write(uint8_t prefix[BK_PREFIX_BYTES], size_t size);

/// Messages out of a stream of bytes, whole ones whatever the pieces are. All zero but max_bytes.
struct bk_reader {
    uint8_t prefix[BK_PREFIX_BYTES];
    size_t prefix_have;
    size_t size;             // of the message under way
    struct ctz_buffer bytes; // what is there of it
    size_t max_bytes;
};

typedef int (*bk_message_fn)(void *context, const uint8_t *bytes, size_t size,
                             struct ctz_error *err);

/// Calls on_message for each message that is complete now. -1 with err set, also by on_message.
int bk_reader_feed(struct bk_reader *reader, const uint8_t *bytes, size_t size,
                   bk_message_fn on_message, void *context, struct ctz_error *err);
/// Is the last message whole?
bool bk_reader_is_between(const struct bk_reader *reader);
void bk_reader_clear(struct bk_reader *reader);

/// A text as grpc-message carries it (percent-encoded), and back. Cuts what is too long.
void bk_percent_encode(char *out, size_t out_size, const char *text);
void bk_percent_decode(char *out, size_t out_size, const char *text, size_t size);

#endif
