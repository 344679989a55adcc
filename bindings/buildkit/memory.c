// memory.c: the allocators that nghttp2 and protobuf-c are given.
// SPDX-License-Identifier: MIT
#include "bindings/buildkit/memory.h"

#include <string.h>

#include "host/alloc.h"

// In front of each block; keeps what follows aligned for everything.
union block {
    size_t size;
    max_align_t alignment;
};

static void *wiping_malloc(size_t size, void *context)
{
    (void)context;
    union block *block = size <= SIZE_MAX / 2 ? ctz_malloc(sizeof *block + size) : NULL;
    if (!block)
        return NULL;
    block->size = size;
    return block + 1;
}

static void wiping_free(void *pointer, void *context)
{
    (void)context;
    if (!pointer)
        return;
    union block *block = (union block *)pointer - 1;
    explicit_bzero(pointer, block->size);
    ctz_free(block);
}

static void *wiping_calloc(size_t count, size_t size, void *context)
{
    if (size && count > SIZE_MAX / 2 / size)
        return NULL;
    void *pointer = wiping_malloc(count * size, context);
    if (pointer)
        memset(pointer, 0, count * size);
    return pointer;
}

static void *wiping_realloc(void *old, size_t size, void *context)
{
    void *pointer = wiping_malloc(size, context);
    if (!pointer || !old)
        return pointer;
    size_t old_size = ((union block *)old - 1)->size;
    memcpy(pointer, old, old_size < size ? old_size : size);
    wiping_free(old, context);
    return pointer;
}

nghttp2_mem bk_memory_wiping(void)
{
    return (nghttp2_mem){.malloc = wiping_malloc,
                         .free = wiping_free,
                         .calloc = wiping_calloc,
                         .realloc = wiping_realloc};
}

// --- messages that are unpacked ----------------------------------------------------------------

static void *take(void *context, size_t size)
{
    struct bk_budget *budget = context;
    if (size > budget->left_bytes) {
        budget->exceeded = true;
        return NULL;
    }
    budget->left_bytes -= size;
    return ctz_malloc(size);
}

static void release(void *context, void *pointer)
{
    (void)context;
    ctz_free(pointer);
}

void bk_budget_init(struct bk_budget *budget, size_t bytes)
{
    budget->allocator =
        (ProtobufCAllocator){.alloc = take, .free = release, .allocator_data = budget};
    budget->left_bytes = bytes;
    budget->exceeded = false;
}
