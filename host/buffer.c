// buffer.c: a growing byte buffer with a cap.
// SPDX-License-Identifier: MIT
#include "host/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/alloc.h"

#define FIRST_CAPACITY 64

void ctz_buffer_init(struct ctz_buffer *buffer, size_t max_bytes)
{
    memset(buffer, 0, sizeof *buffer);
    buffer->max_bytes = max_bytes;
}

void ctz_buffer_clear(struct ctz_buffer *buffer)
{
    ctz_free(buffer->bytes);
    ctz_buffer_init(buffer, buffer->max_bytes);
}

static char *fail(struct ctz_buffer *buffer)
{
    ctz_buffer_clear(buffer);
    buffer->failed = true;
    return NULL;
}

char *ctz_buffer_reserve(struct ctz_buffer *buffer, size_t size)
{
    if (buffer->failed)
        return NULL;
    if (size > buffer->max_bytes - buffer->length) // length <= max_bytes always
        return fail(buffer);
    size_t needed = buffer->length + size + 1;
    if (needed > buffer->capacity) {
        size_t capacity = buffer->capacity ? buffer->capacity : FIRST_CAPACITY;
        while (capacity < needed)
            capacity += capacity / 2;
        char *bytes = ctz_realloc(buffer->bytes, capacity);
        if (!bytes)
            return fail(buffer);
        buffer->bytes = bytes;
        buffer->capacity = capacity;
    }
    return buffer->bytes + buffer->length;
}

int ctz_buffer_append(struct ctz_buffer *buffer, const void *bytes, size_t size)
{
    char *room = ctz_buffer_reserve(buffer, size);
    if (!room)
        return -1;
    if (size)
        memcpy(room, bytes, size);
    room[size] = '\0';
    buffer->length += size;
    return 0;
}

int ctz_buffer_text(struct ctz_buffer *buffer, const char *text)
{
    return ctz_buffer_append(buffer, text, strlen(text));
}

int ctz_buffer_byte(struct ctz_buffer *buffer, char byte)
{
    return ctz_buffer_append(buffer, &byte, 1);
}

int ctz_buffer_format(struct ctz_buffer *buffer, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *room = length < 0 ? NULL : ctz_buffer_reserve(buffer, (size_t)length);
    if (!room)
        return -1;
    va_start(arguments, format);
    vsnprintf(room, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buffer->length += (size_t)length;
    return 0;
}

void ctz_buffer_shift(struct ctz_buffer *buffer, size_t size)
{
    buffer->length -= size;
    if (buffer->bytes)
        memmove(buffer->bytes, buffer->bytes + size, buffer->length + 1);
}

char *ctz_buffer_take(struct ctz_buffer *buffer)
{
    char *bytes = buffer->bytes;
    if (!bytes && !buffer->failed)
        bytes = ctz_strdup("");
    ctz_buffer_init(buffer, buffer->max_bytes);
    return bytes;
}
