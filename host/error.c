// error.c: a failure as plain C data.
// SPDX-License-Identifier: MIT
#include "host/error.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "host/alloc.h"

static char *format_text(const char *format, va_list arguments)
{
    va_list again;
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    char *text = length < 0 ? NULL : ctz_malloc((size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text;
}

static enum ctz_error_kind kind_of_system(int code)
{
    switch (code) {
    case UV_ENOENT:
    case UV_ESRCH:
        return CTZ_ERROR_NOT_FOUND;
    case UV_EEXIST:
    case UV_ENOTEMPTY:
    case UV_EBUSY:
    case UV_ETXTBSY:
        return CTZ_ERROR_CONFLICT;
    case UV_EACCES:
    case UV_EPERM:
    case UV_EROFS:
        return CTZ_ERROR_DENIED;
    case UV_ECONNREFUSED:
    case UV_ECONNRESET:
    case UV_EHOSTUNREACH:
    case UV_ENETUNREACH:
    case UV_EAI_NONAME:
    case UV_EAI_AGAIN:
    case UV_EAI_FAIL:
    case UV_EAI_NODATA:
        return CTZ_ERROR_UNREACHABLE;
    case UV_ETIMEDOUT:
        return CTZ_ERROR_TIMEOUT;
    case UV_ECANCELED:
        return CTZ_ERROR_CANCELLED;
    case UV_EFBIG:
    case UV_E2BIG:
    case UV_ENAMETOOLONG:
        return CTZ_ERROR_SIZE;
    case UV_EINVAL:
        return CTZ_ERROR_USAGE;
    case UV_ENOSYS:
    case UV_ENOTSUP:
        return CTZ_ERROR_UNSUPPORTED;
    default:
        return CTZ_ERROR_IO;
    }
}

int ctz_error_set(struct ctz_error *err, enum ctz_error_kind kind, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *message = format_text(format, arguments);
    va_end(arguments);
    ctz_error_clear(err); // after formatting: the arguments may point into it
    err->kind = kind;
    err->message = message;
    return -1;
}

// libuv does not know all (ENOEXEC, EDQUOT), and its functions that return text leak for those.
static void describe_system(int code, char *text, size_t text_size, char *name, size_t name_size)
{
    const char *known = strerrorname_np(-code);
    uv_strerror_r(code, text, text_size);
    uv_err_name_r(code, name, name_size);
    if (strncmp(name, "Unknown ", 8) == 0 && known) {
        snprintf(text, text_size, "%s", strerrordesc_np(-code));
        snprintf(name, name_size, "%s", known);
        text[0] = (char)tolower((unsigned char)text[0]);
    }
}

int ctz_error_system(struct ctz_error *err, int error_number, const char *format, ...)
{
    int code = error_number > 0 ? -error_number : error_number;
    va_list arguments;
    va_start(arguments, format);
    char *what = format_text(format, arguments);
    va_end(arguments);
    char text[128], name[64];
    describe_system(code, text, sizeof text, name, sizeof name);
    ctz_error_set(err, kind_of_system(code), "%s: %s", what ? what : "out of memory", text);
    ctz_error_code(err, name);
    ctz_free(what);
    return -1;
}

int ctz_error_wrap(struct ctz_error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *message = format_text(format, arguments);
    va_end(arguments);
    struct ctz_error *cause = ctz_malloc(sizeof *cause);
    if (!cause) { // the inner message says more than the outer one
        ctz_free(message);
        return -1;
    }
    *cause = *err;
    memset(err, 0, sizeof *err);
    err->kind = cause->kind;
    err->status = cause->status;
    err->retryable = cause->retryable;
    err->retry_after_s = cause->retry_after_s;
    err->message = message;
    err->cause = cause;
    if (cause->hint) { // shown once, on the outermost
        err->hint = cause->hint;
        cause->hint = NULL;
    }
    return -1;
}

void ctz_error_hint(struct ctz_error *err, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    char *hint = format_text(format, arguments);
    va_end(arguments);
    ctz_free(err->hint);
    err->hint = hint;
}

void ctz_error_target(struct ctz_error *err, const char *target)
{
    char *copy = ctz_strdup(target);
    ctz_free(err->target);
    err->target = copy;
}

void ctz_error_code(struct ctz_error *err, const char *code)
{
    char *copy = ctz_strdup(code);
    ctz_free(err->code);
    err->code = copy;
}

void ctz_error_move(struct ctz_error *dst, struct ctz_error *src)
{
    ctz_error_clear(dst);
    *dst = *src;
    memset(src, 0, sizeof *src);
}

static char *copy_text(const char *text)
{
    return text ? ctz_strdup(text) : NULL;
}

// Without what led to it.
static void copy_one(struct ctz_error *dst, const struct ctz_error *src)
{
    *dst = *src;
    dst->message = copy_text(src->message);
    dst->hint = copy_text(src->hint);
    dst->target = copy_text(src->target);
    dst->code = copy_text(src->code);
    dst->stderr_text = copy_text(src->stderr_text);
    dst->cause = NULL;
}

void ctz_error_copy(struct ctz_error *dst, const struct ctz_error *src)
{
    ctz_error_clear(dst);
    copy_one(dst, src);
    for (const struct ctz_error *cause = src->cause; cause; cause = cause->cause) {
        dst->cause = ctz_malloc(sizeof *dst->cause);
        if (!dst->cause)
            return;
        dst = dst->cause;
        copy_one(dst, cause);
    }
}

void ctz_error_clear(struct ctz_error *err)
{
    struct ctz_error *cause = err->cause;
    ctz_free(err->message);
    ctz_free(err->hint);
    ctz_free(err->target);
    ctz_free(err->code);
    ctz_free(err->stderr_text);
    memset(err, 0, sizeof *err);
    while (cause) { // a loop, not a recursion: chains may be long
        struct ctz_error *next = cause->cause;
        cause->cause = NULL;
        ctz_error_clear(cause);
        ctz_free(cause);
        cause = next;
    }
}

const char *ctz_error_kind_name(enum ctz_error_kind kind)
{
    static const char *const names[] = {"none",
#define X(name, text, meaning) text,
                                        CTZ_ERROR_KINDS(X)
#undef X
    };
    return (size_t)kind < CTZ_COUNT(names) ? names[kind] : "internal";
}

enum ctz_error_kind ctz_error_kind_of(const char *name)
{
    for (int kind = 1; kind < CTZ_ERROR_COUNT; kind++)
        if (strcmp(ctz_error_kind_name((enum ctz_error_kind)kind), name) == 0)
            return (enum ctz_error_kind)kind;
    return CTZ_ERROR_NONE;
}

const char *ctz_error_message(const struct ctz_error *err)
{
    return err->message ? err->message : "out of memory";
}
