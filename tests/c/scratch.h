// scratch.h: a folder for one test, and whole files.
// SPDX-License-Identifier: MIT
#ifndef CTZ_TEST_SCRATCH_H
#define CTZ_TEST_SCRATCH_H

#include <stddef.h>

/// cmocka set-up and tear-down: *state is the path of a new folder, removed with all in it.
int scratch_make(void **state);
int scratch_remove(void **state);

/// Path of a file in the folder; valid until the eighth next call.
const char *scratch_path(void *state, const char *name);
void scratch_write(const char *path, const void *bytes, size_t size);
/// The content with a NUL behind it, to be given to free(); NULL when there is no such file.
char *scratch_read(const char *path, size_t *size);
/// How many names the folder holds.
int scratch_count(const char *folder);

#endif
