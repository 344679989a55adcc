// interpose.c: malloc that fails the n-th time, for libraries that take no allocator. LD_PRELOAD.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);

static atomic_ulong calls;
static unsigned long fail_at;

__attribute__((constructor)) static void read_plan(void)
{
    const char *at = getenv("INTERPOSE_AT");
    fail_at = at ? strtoul(at, NULL, 10) : 0;
    atomic_store(&calls, 0);
}

static void write_count(void)
{
    const char *path = getenv("INTERPOSE_COUNT");
    FILE *file = path ? fopen(path, "we") : NULL;
    if (file) {
        fprintf(file, "%lu\n", atomic_load(&calls));
        fclose(file);
    }
}

void _exit(int code)
{
    write_count();
    syscall(SYS_exit_group, code);
    __builtin_unreachable();
}

static int must_fail(void)
{
    if (atomic_fetch_add(&calls, 1) + 1 != fail_at)
        return 0;
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t size)
{
    return must_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
    return must_fail() ? NULL : __libc_realloc(pointer, size);
}
