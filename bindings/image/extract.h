// extract.h: a tar stream becomes files below one folder, or one file.
// SPDX-License-Identifier: MIT
#ifndef CTZ_IMAGE_EXTRACT_H
#define CTZ_IMAGE_EXTRACT_H

#include "bindings/image/untar.h"

struct ctz_extract_options {
    const char *path; // the folder, which is made when it is missing; or the file
    bool is_file;     // the stream holds one file, which becomes `path` when it is whole
    bool keep_owner;  // else the files belong to who runs this, and lose setuid and setgid
    unsigned strip;   // how many leading folders of each path are dropped
    uint64_t max_entries;
};

struct ctz_extract_counts {
    uint64_t entries, bytes;
    uint64_t skipped; // devices, and what strip left no name of
};

struct ctz_extract;

/// Copies the options; touches no file. NULL when out of memory.
CTZ_API struct ctz_extract *ctz_extract_new(const struct ctz_extract_options *options);
/// Removes what is unfinished.
CTZ_API void ctz_extract_free(struct ctz_extract *extract);
/// Nothing outside of the folder is written to, whatever the stream says: neither by "..", nor
/// through links, those that were there before included. -1 with err set.
CTZ_API int ctz_extract_feed(struct ctz_extract *extract, const char *bytes, size_t size,
                             struct ctz_error *err);
/// The stream has ended: folders get their modes and times, a file its name.
CTZ_API int ctz_extract_finish(struct ctz_extract *extract, struct ctz_error *err);
/// Instead of a stream: entries one by one (the extract is the owner), then ctz_extract_settle. The
/// folder is made by the first call.
CTZ_API int ctz_extract_begin(struct ctz_extract *extract, struct ctz_error *err);
CTZ_API extern const struct ctz_untar_events ctz_extract_events;
CTZ_API int ctz_extract_settle(struct ctz_extract *extract, struct ctz_error *err);
CTZ_API const struct ctz_extract_counts *ctz_extract_counts(const struct ctz_extract *extract);

#endif
