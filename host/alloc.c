// alloc.c: the one allocator. In torture builds it can be told to fail.
// SPDX-License-Identifier: MIT
#include "host/alloc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifdef CTZ_TORTURE

static atomic_ulong allocations;
static unsigned long fail_at; // 0: never
static const char *count_file;

static void write_count(void)
{
    FILE *file = fopen(count_file, "we");
    if (file) {
        fprintf(file, "%lu\n", atomic_load(&allocations));
        fclose(file);
    }
}

__attribute__((constructor)) static void read_torture_environment(void)
{
    const char *at = getenv("CTZ_TORTURE_AT");
    if (at)
        fail_at = strtoul(at, NULL, 10);
    count_file = getenv("CTZ_TORTURE_COUNT");
    if (count_file)
        atexit(write_count);
}

static bool must_fail(void)
{
    unsigned long n = atomic_fetch_add(&allocations, 1) + 1;
    return n == fail_at;
}

// CTZ_FAIL=name:n:errno number or one of the names below.
static int errno_of(const char *text)
{
    static const struct {
        const char *name;
        int value;
    } names[] = {{"ENOSPC", ENOSPC},        {"EIO", EIO},       {"EMFILE", EMFILE},
                 {"ENOMEM", ENOMEM},        {"EAGAIN", EAGAIN}, {"EROFS", EROFS},
                 {"EINTR", EINTR},          {"EACCES", EACCES}, {"EPIPE", EPIPE},
                 {"ECONNRESET", ECONNRESET}};
    for (size_t i = 0; i < CTZ_COUNT(names); i++)
        if (strcmp(names[i].name, text) == 0)
            return names[i].value;
    return atoi(text);
}

int ctz_fault(const char *name)
{
    static atomic_int passes;
    const char *plan = getenv("CTZ_FAIL");
    size_t length = strlen(name);
    if (!plan || strncmp(plan, name, length) != 0 || plan[length] != ':')
        return 0;
    char *rest;
    long nth = strtol(plan + length + 1, &rest, 10);
    if (atomic_fetch_add(&passes, 1) + 1 != nth)
        return 0;
    return errno_of(*rest == ':' ? rest + 1 : rest);
}

void ctz_torture_flush(void)
{
    if (count_file)
        write_count();
}

#else

#define must_fail() false

#endif

void *ctz_malloc(size_t size)
{
    return must_fail() ? NULL : malloc(size);
}

void *ctz_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : calloc(count, size);
}

void *ctz_realloc(void *pointer, size_t size)
{
    return must_fail() ? NULL : realloc(pointer, size);
}

void ctz_free(void *pointer)
{
    free(pointer);
}

char *ctz_memdup(const void *bytes, size_t size)
{
    char *copy = ctz_malloc(size + 1);
    if (copy) {
        memcpy(copy, bytes, size);
        copy[size] = '\0';
    }
    return copy;
}

char *ctz_strdup(const char *text)
{
    return ctz_memdup(text, strlen(text));
}

char *ctz_asprintf(const char *format, ...)
{
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : ctz_malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    va_end(arguments);
    return text;
}

void *ctz_lua_alloc(void *unused, void *pointer, size_t old_size, size_t new_size)
{
    (void)unused;
    if (new_size == 0) {
        free(pointer);
        return NULL;
    }
    // Lua relies on shrinking never failing (lua_Alloc in the manual).
    if (pointer && new_size <= old_size) {
        void *shrunk = realloc(pointer, new_size);
        return shrunk ? shrunk : pointer;
    }
    return ctz_realloc(pointer, new_size);
}
