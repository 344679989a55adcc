// head.c: the head of an answer, line by line, and what its parts mean.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FIRST_FIELDS 512 // bytes set aside for the usual head

void ctz_http_head_init(struct http_head *head)
{
    memset(head, 0, sizeof *head);
    ctz_buffer_init(&head->fields, SIZE_MAX / 2);
    head->length = -1;
}

void ctz_http_head_clear(struct http_head *head)
{
    ctz_buffer_clear(&head->fields);
    ctz_http_head_init(head);
}

// "HTTP/1.1 200 OK": a new head; what came before was informational.
static int read_status_line(struct http_head *head, const char *line, size_t size,
                            struct ctz_error *err)
{
    const char *end = line + size, *version = line + 5;
    const char *space = memchr(line, ' ', size);
    size_t length = space ? (size_t)(space - version) : 0;
    bool well = space && length >= 1 && length < sizeof head->version && end - space >= 4 &&
                (end - space == 4 || space[4] == ' ');
    int status = 0;
    for (int i = 1; well && i <= 3; i++) {
        well = space[i] >= '0' && space[i] <= '9';
        status = status * 10 + (space[i] - '0');
    }
    if (!well || status < 100)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "the answer begins with \"%.*s\"",
                             (int)(size < 60 ? size : 60), line);
    head->fields.length = 0;
    head->length = -1;
    head->chunked = false;
    head->status = status;
    memcpy(head->version, version, length);
    head->version[length] = '\0';
    ctz_buffer_reserve(&head->fields, FIRST_FIELDS);
    return 0;
}

static bool name_is(const char *name, size_t length, const char *wanted)
{
    return strlen(wanted) == length && strncasecmp(name, wanted, length) == 0;
}

static int read_length(struct http_head *head, const char *value, struct ctz_error *err)
{
    char *end;
    long long length = strtoll(value, &end, 10);
    if (*value < '0' || *value > '9' || *end || length == INT64_MAX)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "Content-Length is \"%.40s\"", value);
    if (head->length >= 0 && head->length != length)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "two different Content-Length headers");
    head->length = length;
    return 0;
}

// Keeps name and value; what libcurl and we ourselves act upon is looked at here.
static int read_field(struct http_head *head, const char *line, size_t size, struct ctz_error *err)
{
    const char *colon = memchr(line, ':', size);
    if (line[0] == ' ' || line[0] == '\t')
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "a folded header line (RFC 9112, 5.2)");
    if (!colon || colon == line)
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "\"%.*s\" is no header",
                             (int)(size < 60 ? size : 60), line);
    const char *value = colon + 1, *end = line + size;
    while (value < end && (*value == ' ' || *value == '\t'))
        value++;
    while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    size_t name_length = (size_t)(colon - line), value_length = (size_t)(end - value);
    if (memchr(line, '\0', size))
        return ctz_error_set(err, CTZ_ERROR_PROTOCOL, "a NUL byte in a header");
    char *room = ctz_buffer_reserve(&head->fields, name_length + value_length + 2);
    if (!room)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    memcpy(room, line, name_length);
    room[name_length] = '\0';
    char *kept = room + name_length + 1;
    memcpy(kept, value, value_length);
    kept[value_length] = '\0';
    head->fields.length += name_length + value_length + 2;
    if (name_is(line, name_length, "Content-Length"))
        return read_length(head, kept, err);
    if (name_is(line, name_length, "Transfer-Encoding"))
        head->chunked = true;
    return 0;
}

int ctz_http_head_line(struct http_head *head, const char *line, size_t size, uint64_t max_bytes,
                       struct ctz_error *err)
{
    head->total_bytes += size;
    if (head->total_bytes > max_bytes) {
        ctz_error_set(err, CTZ_ERROR_SIZE, "the headers are longer than %llu bytes",
                      (unsigned long long)max_bytes);
        ctz_error_hint(err, "--limit http_header_bytes=... raises it");
        return -1;
    }
    while (size > 0 && (line[size - 1] == '\n' || line[size - 1] == '\r'))
        size--;
    if (head->complete)
        return 0;
    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0)
        return read_status_line(head, line, size, err);
    if (size > 0)
        return read_field(head, line, size, err);
    head->complete = head->status >= 200 || head->status == 101;
    return 0;
}

const char *ctz_http_head_next(const struct http_head *head, const char *cursor, const char **name,
                               const char **value)
{
    const char *begin = head->fields.bytes, *end = begin + head->fields.length;
    const char *at = cursor ? cursor : begin;
    if (!begin || at >= end)
        return NULL;
    *name = at;
    *value = at + strlen(at) + 1;
    return *value + strlen(*value) + 1;
}

const char *ctz_http_head_find(const struct http_head *head, const char *wanted)
{
    const char *name, *value;
    for (const char *at = NULL; (at = ctz_http_head_next(head, at, &name, &value));)
        if (strcasecmp(name, wanted) == 0)
            return value;
    return NULL;
}

// --- meaning -----------------------------------------------------------------------------------

double ctz_http_retry_after(const char *value, int64_t now_s)
{
    if (!value)
        return 0;
    if (value[0] && strspn(value, "0123456789") == strlen(value))
        return strlen(value) > 9 ? 999999999.0 : (double)atol(value);
    time_t when = curl_getdate(value, NULL);
    return when > now_s ? (double)(when - now_s) : 0;
}

enum ctz_error_kind ctz_http_kind_of_status(int status)
{
    switch (status) {
    case 401:
    case 407:
        return CTZ_ERROR_AUTH;
    case 403:
    case 451:
        return CTZ_ERROR_DENIED;
    case 404:
    case 410:
        return CTZ_ERROR_NOT_FOUND;
    case 408:
    case 504:
        return CTZ_ERROR_TIMEOUT;
    case 409:
    case 412:
    case 423:
        return CTZ_ERROR_CONFLICT;
    case 413:
        return CTZ_ERROR_SIZE;
    case 429:
        return CTZ_ERROR_RATE_LIMITED;
    case 405:
    case 501:
    case 505:
        return CTZ_ERROR_UNSUPPORTED;
    default:
        return status >= 500 ? CTZ_ERROR_UNREACHABLE : CTZ_ERROR_USAGE;
    }
}

const char *ctz_http_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } reasons[] = {
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {402, "Payment Required"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {407, "Proxy Authentication Required"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {410, "Gone"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {415, "Unsupported Media Type"},
        {416, "Range Not Satisfiable"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {423, "Locked"},
        {425, "Too Early"},
        {426, "Upgrade Required"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {451, "Unavailable For Legal Reasons"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < CTZ_COUNT(reasons); i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "";
}
