// error.h: a failure as plain C data. errorlua.h carries it into Lua.
// SPDX-License-Identifier: MIT
#ifndef CTZ_ERROR_H
#define CTZ_ERROR_H

#include "host/api.h"

/// The closed list of kinds: what a caller can branch on. X(NAME, "name", "meaning")
#define CTZ_ERROR_KINDS(X)                                                                         \
    X(USAGE, "usage", "the call itself is wrong")                                                  \
    X(NOT_FOUND, "not_found", "the named thing does not exist")                                    \
    X(CONFLICT, "conflict", "the named thing is in another state, or exists already")              \
    X(DENIED, "denied", "not allowed: by --allow, by the system or by the server")                 \
    X(AUTH, "auth", "who you are was not accepted")                                                \
    X(UNREACHABLE, "unreachable", "no answer: nobody listens, no route, no such host")             \
    X(TIMEOUT, "timeout", "a deadline passed")                                                     \
    X(CANCELLED, "cancelled", "somebody cancelled the task")                                       \
    X(RATE_LIMITED, "rate_limited", "the server asks to wait")                                     \
    X(PROTOCOL, "protocol", "the other side sent what it must not send")                           \
    X(DIGEST, "digest", "content does not match its digest")                                       \
    X(SIZE, "size", "a limit on size, depth or number was passed")                                 \
    X(EXIT, "exit", "a program ended with a code other than 0")                                    \
    X(IO, "io", "the system could not read or write")                                              \
    X(UNSUPPORTED, "unsupported", "this cannot be done here, or not in this mode")                 \
    X(INTERNAL, "internal", "a bug of ctz")

enum ctz_error_kind {
    CTZ_ERROR_NONE,
#define X(name, text, meaning) CTZ_ERROR_##name,
    CTZ_ERROR_KINDS(X)
#undef X
        CTZ_ERROR_COUNT
};

/// One failure. All pointers are owned by it; an empty one is all zero. When memory ran out while
/// it was made, message is NULL and reads as "out of memory".
struct ctz_error {
    enum ctz_error_kind kind;
    char *message;
    char *hint;
    char *target;            // what it was about: a path, a URL, an image
    char *code;              // the other side's own word: ENOENT, MANIFEST_UNKNOWN
    char *stderr_text;       // of a program
    struct ctz_error *cause; // what led to it
    double retry_after_s;    // 0: not said
    int status;              // HTTP status, 0: none
    int exit_code;           // of a program, -1 unless has_exit_code
    int attempts;            // 0: not counted
    bool has_exit_code;
    bool retryable;
};

/// Sets a fresh error (what err held before is freed). Returns -1, so that a caller can return it.
CTZ_API int ctz_error_set(struct ctz_error *err, enum ctz_error_kind kind, const char *format, ...)
    CTZ_PRINTF(3, 4);

/// As ctz_error_set for an errno or a libuv code (either sign): the kind is chosen from it, its
/// name becomes err->code and its text is put behind the message.
CTZ_API int ctz_error_system(struct ctz_error *err, int error_number, const char *format, ...)
    CTZ_PRINTF(3, 4);

/// Puts a new message above err; the old error becomes its cause, kind and facts stay.
CTZ_API int ctz_error_wrap(struct ctz_error *err, const char *format, ...) CTZ_PRINTF(2, 3);

CTZ_API void ctz_error_hint(struct ctz_error *err, const char *format, ...) CTZ_PRINTF(2, 3);
CTZ_API void ctz_error_target(struct ctz_error *err, const char *target);
CTZ_API void ctz_error_code(struct ctz_error *err, const char *code);

/// Moves src into dst (which is cleared first); src is empty afterwards.
CTZ_API void ctz_error_move(struct ctz_error *dst, struct ctz_error *src);
/// Copies src into dst, which is cleared first. Texts for which there is no memory are left out.
CTZ_API void ctz_error_copy(struct ctz_error *dst, const struct ctz_error *src);
CTZ_API void ctz_error_clear(struct ctz_error *err);

/// "not_found" for CTZ_ERROR_NOT_FOUND; never NULL.
CTZ_API const char *ctz_error_kind_name(enum ctz_error_kind kind);
/// CTZ_ERROR_NONE when there is no such kind.
CTZ_API enum ctz_error_kind ctz_error_kind_of(const char *name);
CTZ_API const char *ctz_error_message(const struct ctz_error *err);

#endif
