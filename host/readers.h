// readers.h: tasks that wait for bytes of one input, first come first served. For input.c.
// SPDX-License-Identifier: MIT
#ifndef CTZ_READERS_H
#define CTZ_READERS_H

#include "host/api.h"

struct ctz_input;
struct ctz_reader;

struct ctz_readers {
    struct ctz_reader *first, **end;
    struct ctz_input *input;
};

void ctz_readers_init(struct ctz_readers *readers, struct ctz_input *input);
bool ctz_readers_wait(const struct ctz_readers *readers);
/// Gives the bytes that are there, or the end, to those who wait.
void ctz_readers_serve(struct ctz_readers *readers);
/// The input goes away: nobody is served any more.
void ctz_readers_drop(struct ctz_readers *readers);

// --- what readers use of input.c ---------------------------------------------------------------

struct ctz_readers *ctz_input_readers(struct ctz_input *input);
struct ctz_host *ctz_input_host(const struct ctz_input *input);
/// The first bytes have been taken.
void ctz_input_take(struct ctz_input *input, size_t size);
/// Somebody waits now, or nobody any more.
void ctz_input_watch(struct ctz_input *input);

#endif
