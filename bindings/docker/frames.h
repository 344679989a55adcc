// frames.h: the engine's multiplexed streams: stdout and stderr of a container over one connection.
// SPDX-License-Identifier: MIT
//
// Each frame is a header of 8 bytes (stream, three zeros, length in big-endian order) and a
// payload. Both may be cut anywhere by reads. Source: moby, api/pkg/stdcopy/stdcopy.go. With a TTY
// there are no frames: everything is stdout.
#ifndef CTZ_BINDINGS_DOCKER_FRAMES_H
#define CTZ_BINDINGS_DOCKER_FRAMES_H

#include "host/api.h"
#include "host/error.h"

enum frame_stream { FRAME_STDIN, FRAME_STDOUT, FRAME_STDERR, FRAME_ERROR, FRAME_STREAMS };

/// Zero it to begin; raw: there are no frames.
struct frames {
    unsigned char header[8];
    unsigned header_size; // bytes of it that have come
    uint32_t left;        // of the payload
    bool raw;
};

struct frame_part {
    enum frame_stream stream; // stdin, which echoes, is told as stdout
    const char *bytes;        // borrowed from the input
    size_t size;
    bool begins, ends; // the payload begins, ends with it
};

/// Takes the next part of a payload from the input: returns how many bytes of it are used up. A
/// part of size 0 means that more is needed, or that the payload is empty. -1: these are no frames.
ptrdiff_t frames_next(struct frames *frames, const char *bytes, size_t size,
                      struct frame_part *part, struct ctz_error *err);

/// Between two frames? An end anywhere else means that the connection broke.
bool frames_at_border(const struct frames *frames);

/// RFC 3339 ("2026-11-23T10:00:00.123456789Z") as seconds since 1970; false: it is none.
bool frames_read_time(const char *text, size_t size, double *seconds);

#endif
