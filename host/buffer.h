// buffer.h: a growing byte buffer with a cap.
// SPDX-License-Identifier: MIT
#ifndef CTZ_BUFFER_H
#define CTZ_BUFFER_H

#include "host/api.h"

/// Bytes [0, length) are filled and a NUL follows them. Passing max_bytes or running out of memory
/// frees the buffer and sets failed, so a caller has one path: append, append, look once.
struct ctz_buffer {
    char *bytes; // owned; NULL while empty
    size_t length;
    size_t capacity;
    size_t max_bytes;
    bool failed;
};

CTZ_API void ctz_buffer_init(struct ctz_buffer *buffer, size_t max_bytes);
CTZ_API void ctz_buffer_clear(struct ctz_buffer *buffer);
CTZ_API int ctz_buffer_append(struct ctz_buffer *buffer, const void *bytes, size_t size);
CTZ_API int ctz_buffer_text(struct ctz_buffer *buffer, const char *text);
CTZ_API int ctz_buffer_byte(struct ctz_buffer *buffer, char byte);
CTZ_API int ctz_buffer_format(struct ctz_buffer *buffer, const char *format, ...) CTZ_PRINTF(2, 3);
/// Room for `size` more bytes behind length; NULL on failure. Add to length what you wrote.
CTZ_API char *ctz_buffer_reserve(struct ctz_buffer *buffer, size_t size);
/// Drops the first `size` bytes.
CTZ_API void ctz_buffer_shift(struct ctz_buffer *buffer, size_t size);
/// The bytes (never NULL), which are yours to ctz_free; the buffer is empty afterwards.
/// NULL only when out of memory.
CTZ_API char *ctz_buffer_take(struct ctz_buffer *buffer);

#endif
