// limits.h: every cap of ctz in one table. `ctz doctor` shows it, --limit name=value changes it.
// SPDX-License-Identifier: MIT
#ifndef CTZ_LIMITS_H
#define CTZ_LIMITS_H

#include "host/api.h"
#include "host/error.h"

#define CTZ_KIB (UINT64_C(1) << 10)
#define CTZ_MIB (UINT64_C(1) << 20)
#define CTZ_GIB (UINT64_C(1) << 30)

/// X(NAME, "name", default, "unit", "what it bounds")
#define CTZ_LIMITS(X)                                                                              \
    X(JSON_DEPTH, "json_depth", 1000, "levels", "nesting of a JSON text")                          \
    X(YAML_DEPTH, "yaml_depth", 1000, "levels", "nesting of a YAML text")                          \
    X(YAML_ALIASES, "yaml_aliases", 10000, "aliases", "aliases in one YAML text")                  \
    X(DOCUMENT_BYTES, "document_bytes", 64 * CTZ_MIB, "bytes", "one JSON or YAML text")            \
    X(HTTP_HEADER_BYTES, "http_header_bytes", 256 * CTZ_KIB, "bytes", "all headers of an answer")  \
    X(HTTP_BODY_BYTES, "http_body_bytes", 64 * CTZ_MIB, "bytes",                                   \
      "a decoded HTTP body that is held in memory (streams have no cap)")                          \
    X(HTTP_REDIRECTS, "http_redirects", 10, "redirects", "redirects followed for one request")     \
    X(MANIFEST_BYTES, "manifest_bytes", 8 * CTZ_MIB, "bytes", "one image manifest or index")       \
    X(TAR_ENTRIES, "tar_entries", 1000000, "entries", "entries of one layer")                      \
    X(EXPANSION_RATIO, "expansion_ratio", 200, "to 1", "unpacked size against packed size")        \
    X(ZSTD_WINDOW_BYTES, "zstd_window_bytes", 128 * CTZ_MIB, "bytes", "window of a zstd stream")   \
    X(LOG_LINE_BYTES, "log_line_bytes", 1 * CTZ_MIB, "bytes", "one line of a stream")              \
    X(MESSAGE_BYTES, "message_bytes", 8 * CTZ_MIB, "bytes",                                        \
      "one JSON message of an engine's stream")                                                    \
    X(CAPTURE_BYTES, "capture_bytes", 64 * CTZ_MIB, "bytes",                                       \
      "captured output of one program, each of stdout and stderr")                                 \
    X(FILE_BYTES, "file_bytes", 1 * CTZ_GIB, "bytes", "a file read into memory at once")           \
    X(CLEANUP_MS, "cleanup_ms", 7000, "milliseconds", "clean-up after a cancel, as a whole")       \
    X(MEMORY_BYTES, "memory_bytes", 0, "bytes", "memory of the Lua state, 0: no cap")

enum ctz_limit {
#define X(name, text, value, unit, meaning) CTZ_LIMIT_##name,
    CTZ_LIMITS(X)
#undef X
        CTZ_LIMIT_COUNT
};

struct ctz_limits {
    uint64_t values[CTZ_LIMIT_COUNT];
};

struct ctz_limit_info {
    const char *name;
    uint64_t default_value;
    const char *unit;
    const char *meaning;
};

CTZ_API void ctz_limits_init(struct ctz_limits *limits);
/// "json_depth=50" or "document_bytes=128m" (suffixes k, m, g: powers of 1024).
CTZ_API int ctz_limits_parse(struct ctz_limits *limits, const char *assignment,
                             struct ctz_error *err);
CTZ_API const struct ctz_limit_info *ctz_limit_info(enum ctz_limit limit);

/// Bytes of "512", "512k", "64MiB", "1.5g"; powers of 1024 (Docker's units, go-units RAMInBytes).
CTZ_API int ctz_parse_bytes(const char *text, uint64_t *bytes, struct ctz_error *err);

/// The name among `names` (ends with NULL) that is nearest to `wrong`; NULL when none is near.
CTZ_API const char *ctz_nearest(const char *wrong, const char *const *names);

#endif
