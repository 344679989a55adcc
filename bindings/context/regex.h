// regex.h: the regular expressions that ignore patterns become, matched in linear time.
// SPDX-License-Identifier: MIT
//
// The subset of Go's regexp syntax that moby/patternmatcher can produce from a pattern: literals,
// classes, `.`, `*`, `?`, one level of groups, ^ and $, and escapes. Unicode classes (\pL) and
// quotations (\Q) are refused.
#ifndef CTZ_CONTEXT_REGEX_H
#define CTZ_CONTEXT_REGEX_H

#include "host/api.h"

struct ctz_regex;

/// Room for matching, kept between matches. Zero it first.
struct ctz_regex_room {
    uint32_t *words; // owned
    size_t count;
};

/// NULL with *why set to a static text when the expression is not one (NULL: out of memory).
struct ctz_regex *ctz_regex_new(const char *text, size_t size, const char **why);
void ctz_regex_free(struct ctz_regex *regex);

enum ctz_regex_answer {
    CTZ_REGEX_NO,
    CTZ_REGEX_YES,
    CTZ_REGEX_NO_MEMORY,
};

/// Does all of text match? With `begins`: does text, or any text that begins with it, perhaps
/// match?
enum ctz_regex_answer ctz_regex_match(const struct ctz_regex *regex, struct ctz_regex_room *room,
                                      const char *text, size_t size, bool begins);
void ctz_regex_room_clear(struct ctz_regex_room *room);

/// The rune at text (size > 0) as Go decodes it: U+FFFD and one byte for what is no UTF-8.
uint32_t ctz_rune_decode(const char *text, size_t size, size_t *length);

#endif
