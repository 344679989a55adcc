// alloc.h: the one allocator, and the fault points that make failure testable.
// SPDX-License-Identifier: MIT
//
// Lua, libuv, libcurl, zlib and zstd are all given these functions. In builds with CTZ_TORTURE the
// environment variable CTZ_TORTURE_AT=n makes the n-th allocation fail, CTZ_TORTURE_COUNT=file
// writes how many there were, and CTZ_FAIL=name:n:ERRNO makes the n-th pass of a fault point fail.
#ifndef CTZ_ALLOC_H
#define CTZ_ALLOC_H

#include "host/api.h"

/// As malloc and friends: NULL when there is no memory. ctz_free(NULL) is fine.
CTZ_API void *ctz_malloc(size_t size);
CTZ_API void *ctz_calloc(size_t count, size_t size);
CTZ_API void *ctz_realloc(void *pointer, size_t size);
CTZ_API void ctz_free(void *pointer);
CTZ_API char *ctz_strdup(const char *text);
CTZ_API char *ctz_memdup(const void *bytes, size_t size); // with a NUL behind the last byte
CTZ_API char *ctz_asprintf(const char *format, ...) CTZ_PRINTF(1, 2);

/// lua_Alloc over the functions above.
CTZ_API void *ctz_lua_alloc(void *unused, void *pointer, size_t old_size, size_t new_size);

#ifdef CTZ_TORTURE
/// The errno that this pass of the fault point `name` shall fail with, or 0.
CTZ_API int ctz_fault(const char *name);
#define CTZ_FAULT(name) ctz_fault(name)
/// Writes CTZ_TORTURE_COUNT; for a program that ends by _exit.
void ctz_torture_flush(void);
#else
#define CTZ_FAULT(name) 0
#endif

#endif
