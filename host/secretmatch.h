// secretmatch.h: finds any of many byte strings, and their base64 and hex forms, in a text.
// SPDX-License-Identifier: MIT
#ifndef CTZ_SECRETMATCH_H
#define CTZ_SECRETMATCH_H

#include "host/api.h"

#define CTZ_SECRET_MIN_BYTES   4
#define CTZ_SECRET_PIECE_BYTES 4096 // no string that is looked for is longer than this and 2

struct ctz_matcher;

/// The result of scans: which bytes of the text are to be masked.
struct ctz_hits {
    unsigned char *cover; // one for each byte of the text: 1 when it belongs to a secret
    const uint32_t *map;  // of a decoded view: where each byte, and the end, stand in the text
    size_t open;          // where a secret may begin that goes on behind the end; size: nowhere
    bool any;
};

/// NULL when memory ran out.
struct ctz_matcher *ctz_matcher_new(void);
/// Wipes what it holds.
void ctz_matcher_free(struct ctz_matcher *matcher);
/// Looks for these bytes from now on, CTZ_SECRET_MIN_BYTES to CTZ_SECRET_PIECE_BYTES + 2 of them,
/// which must stay where they are. With `encoded` also for their base64 and hex forms.
int ctz_matcher_add(struct ctz_matcher *matcher, const char *bytes, size_t size, bool encoded);
/// Marks every occurrence, also those that overlap, and moves hits->open down.
void ctz_matcher_scan(const struct ctz_matcher *matcher, const char *text, size_t size,
                      struct ctz_hits *hits);

#endif
