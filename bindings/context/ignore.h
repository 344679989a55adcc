// ignore.h: .dockerignore patterns, as moby/patternmatcher v0.6 reads and matches them.
// SPDX-License-Identifier: MIT
#ifndef CTZ_CONTEXT_IGNORE_H
#define CTZ_CONTEXT_IGNORE_H

#include <stdatomic.h>

#include "bindings/context/regex.h"
#include "host/error.h"

struct ctz_ignore_pattern {
    char *text; // owned: clean, without `!`, in UTF-8
    size_t size;
    struct ctz_regex *regex; // owned; of a REGEX
    enum { CTZ_IGNORE_EXACT, CTZ_IGNORE_PREFIX, CTZ_IGNORE_SUFFIX, CTZ_IGNORE_REGEX } type;
    bool is_exception; // `!`
};

/// Once made it does not change, so several threads may match. Shared by references.
struct ctz_ignore {
    struct ctz_ignore_pattern *patterns; // owned
    size_t count, capacity;
    atomic_uint references;
    bool has_exceptions;
};

/// Reads the text of an ignore file: comments, a byte order mark, spaces and leading slashes as
/// moby reads them. name is for errors. NULL with err set when a line is no pattern.
struct ctz_ignore *ctz_ignore_new(const char *text, size_t size, const char *name,
                                  struct ctz_error *err);
void ctz_ignore_retain(struct ctz_ignore *ignore);
void ctz_ignore_release(struct ctz_ignore *ignore);

/// Is the path left out, by itself or with a folder above it? moby's MatchesOrParentMatches.
/// 1, 0, or -1 when out of memory.
int ctz_ignore_match(const struct ctz_ignore *ignore, const char *path, size_t size);

/// The same question for one who walks from the top down: moby's MatchesUsingParentResults.
/// parent (NULL at the top) and own have one flag for each pattern.
int ctz_ignore_step(const struct ctz_ignore *ignore, struct ctz_regex_room *room, const char *path,
                    const bool *parent, bool *own);
/// May an exception apply to something below this folder? 1, 0, or -1 when out of memory.
int ctz_ignore_looks_below(const struct ctz_ignore *ignore, struct ctz_regex_room *room,
                           const char *folder);

#endif
