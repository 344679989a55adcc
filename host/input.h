// input.h: bytes that come from a descriptor: a program's output, or our own stdin.
// SPDX-License-Identifier: MIT
//
// An input lives until its owner releases it. What is read ahead is bounded: a slow reader pauses
// the descriptor, and with it the program that writes.
#ifndef CTZ_INPUT_H
#define CTZ_INPUT_H

#include <lua.h>

#include "host/api.h"
#include "host/buffer.h"
#include "host/egress.h"
#include "host/error.h"

struct ctz_host;
struct ctz_input;

/// What becomes of the bytes.
enum ctz_input_use {
    CTZ_INPUT_HOLD, // kept for readers, a little ahead
    CTZ_INPUT_PULL, // read when a reader waits
    CTZ_INPUT_KEEP, // all kept, up to max_bytes
    CTZ_INPUT_PASS, // printed through the egress, line by line
};

/// Takes the descriptor, also on failure. One that blocks is read only when the loop says that
/// bytes are there; a regular file is read at once.
struct ctz_input *ctz_input_new(struct ctz_host *host, int take_fd, bool blocks,
                                struct ctz_error *err);
/// on_change is called after bytes came and at the end.
void ctz_input_begin(struct ctz_input *input, enum ctz_input_use use, uint64_t max_bytes,
                     void (*on_change)(void *owner), void *owner);
/// For CTZ_INPUT_PASS.
void ctz_input_pass_to(struct ctz_input *input, enum ctz_stream stream);
/// From now on all bytes are kept for ctz_input_bytes.
void ctz_input_keep(struct ctz_input *input);
/// Reads what is there now.
void ctz_input_pump(struct ctz_input *input);
/// As if the end had come: waiting readers get what there is.
void ctz_input_end(struct ctz_input *input);
/// Ends it and lets go.
void ctz_input_release(struct ctz_input *input);

bool ctz_input_has_ended(const struct ctz_input *input);
/// All bytes have passed max_bytes and what followed was dropped.
bool ctz_input_overflowed(const struct ctz_input *input);
/// errno of a read that failed; 0.
int ctz_input_error(const struct ctz_input *input);
/// Is it paused because nobody takes what it has?
bool ctz_input_is_paused(const struct ctz_input *input);
/// Bytes read so far, in all.
uint64_t ctz_input_total(const struct ctz_input *input);
/// What is read and not taken.
const char *ctz_input_bytes(const struct ctz_input *input, size_t *size);

/// Pushes what was read in each of the formats at indices first...top, as file:read of Lua has them
/// ("n", "l", "L", "a", a number of bytes; none: "l"), or waits for it. Also "s": some bytes, as
/// they come. timeout_s bounds the wait (0: no bound). A line or block above max_bytes raises size.
CTZ_API int ctz_input_read(lua_State *L, struct ctz_input *input, int first, double timeout_s,
                           uint64_t max_bytes);

#endif
