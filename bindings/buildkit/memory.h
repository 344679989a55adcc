// memory.h: the allocators that nghttp2 and protobuf-c are given.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BINDINGS_BUILDKIT_MEMORY_H
#define CTZ_BINDINGS_BUILDKIT_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <protobuf-c/protobuf-c.h>

#include "host/api.h"

/// For nghttp2, whose frames hold secrets on their way out: what is freed is wiped first.
nghttp2_mem bk_memory_wiping(void);

/// For one message that is unpacked: few bytes can stand for many structs, so there is a bound.
struct bk_budget {
    ProtobufCAllocator allocator;
    size_t left_bytes;
    bool exceeded;
};

void bk_budget_init(struct bk_budget *budget, size_t bytes);

#endif
