// writer.h: what the encoders of JSON and YAML have in common: walk, append, bound, hand over.
// SPDX-License-Identifier: MIT
#ifndef CTZ_DATA_WRITER_H
#define CTZ_DATA_WRITER_H

#include <lua.h>

#include "bindings/data/walk.h"
#include "host/buffer.h"

/// Appends what an event means to out. Returns -1 with err set when the value has no such form;
/// whether out has failed is looked at by the caller. Does not raise.
typedef int (*ctz_writer_event)(struct ctz_walk *walk, enum ctz_walk_event event, const void *style,
                                struct ctz_buffer *out, struct ctz_error *err);

struct ctz_writer {
    const char *format; // "JSON"
    size_t max_depth, max_bytes;
    ctz_writer_event event;
    const void *style;
};

/// Pushes the text of the value at idx, or raises. Returns 1.
int ctz_writer_run(lua_State *L, int idx, const struct ctz_writer *writer);

/// Registers the class of its scratch memory.
void ctz_writer_init(lua_State *L);

#endif
