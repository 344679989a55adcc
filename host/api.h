// api.h: what every file of ctz may rely on.
// SPDX-License-Identifier: MIT
//
// Ownership, for all headers: X_new/X_free is heap, X_init/X_clear is in place, X_dup is yours to
// free, a parameter called take_x changes owner, const T * is borrowed until the call returns.
#ifndef CTZ_API_H
#define CTZ_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Marks what the program offers to the rooms; everything else is hidden.
#define CTZ_API __attribute__((visibility("default")))

#define CTZ_PRINTF(text, first) __attribute__((format(printf, text, first)))
#define CTZ_UNUSED              __attribute__((unused))
#define CTZ_COUNT(array)        (sizeof(array) / sizeof((array)[0]))

/// The structure that holds `member` at `pointer`.
#define CTZ_CONTAINER(pointer, type, member)                                                       \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif
