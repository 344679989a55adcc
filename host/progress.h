// progress.h: how far several things have come, shown on stderr and never on stdout.
// SPDX-License-Identifier: MIT
//
// Modes (--progress): moving lines at the bottom of a terminal, a plain line now and then, one JSON
// object a line, or nothing. Lines are redrawn ten times a second at most, by the loop, or by the
// call that tells the progress when the loop does not get its turn.
#ifndef CTZ_PROGRESS_H
#define CTZ_PROGRESS_H

#include "host/api.h"
#include "host/host.h"

struct ctz_progress_item;

enum ctz_progress_unit { CTZ_UNIT_ITEMS, CTZ_UNIT_BYTES };

#define CTZ_TOTAL_UNKNOWN UINT64_MAX

/// The mode that --progress auto comes down to; never CTZ_PROGRESS_AUTO.
CTZ_API enum ctz_progress ctz_progress_mode(const struct ctz_host *host);

/// NULL when memory ran out. Title is any text.
CTZ_API struct ctz_progress_item *ctz_progress_new(struct ctz_host *host, const char *title,
                                                   size_t size, enum ctz_progress_unit unit,
                                                   uint64_t total);
CTZ_API void ctz_progress_set(struct ctz_progress_item *progress, uint64_t done);
CTZ_API void ctz_progress_add(struct ctz_progress_item *progress, uint64_t more);
CTZ_API void ctz_progress_total(struct ctz_progress_item *progress, uint64_t total);
/// The last line: how it ended, with a message unless that is NULL. Later calls do nothing.
CTZ_API void ctz_progress_end(struct ctz_progress_item *progress, bool well, const char *message,
                              size_t size);
/// Takes it away; without a last line unless it was ended.
CTZ_API void ctz_progress_free(struct ctz_progress_item *progress);

/// After the loop is closed.
void ctz_progress_close(struct ctz_host *host);

#endif
