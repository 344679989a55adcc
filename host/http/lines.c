// lines.c: the headers of a request.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <string.h>
#include <strings.h>

// What a redirect to another host may take along; all else may be a credential of the first.
static const char *const carried[] = {
    "Accept",
    "Accept-Charset",
    "Accept-Encoding",
    "Accept-Language",
    "Cache-Control",
    "Content-Encoding",
    "Content-Language",
    "Content-Type",
    "If-Match",
    "If-Modified-Since",
    "If-None-Match",
    "If-Range",
    "If-Unmodified-Since",
    "Pragma",
    "Range",
    "User-Agent",
};

static const char *const of_bodies[] = {
    "Content-Encoding", "Content-Language", "Content-Length", "Content-Location",
    "Content-Type",     "Digest",           "Content-Digest", "Transfer-Encoding",
};

// RFC 9110, 5.6.2
bool ctz_http_is_token(const char *text)
{
    static const char token[] = "!#$%&'*+-.^_`|~0123456789"
                                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
    return *text && text[strspn(text, token)] == '\0';
}

void ctz_http_lines_init(struct http_lines *lines)
{
    lines->first = NULL;
    lines->end = &lines->first;
}

void ctz_http_lines_clear(struct http_lines *lines)
{
    while (lines->first) {
        struct curl_slist *next = lines->first->next;
        ctz_free(CTZ_CONTAINER(lines->first, struct http_line, node));
        lines->first = next;
    }
    lines->end = &lines->first;
}

// Visible characters, spaces, tabs and bytes above ASCII; whatever could end the line is refused.
static bool is_value(const char *value)
{
    for (const unsigned char *at = (const unsigned char *)value; *at; at++)
        if ((*at < 0x20 && *at != '\t') || *at == 0x7F)
            return false;
    return true;
}

int ctz_http_lines_add(struct http_lines *lines, const char *name, const char *value,
                       struct ctz_error *err)
{
    if (!ctz_http_is_token(name))
        return ctz_error_set(err, CTZ_ERROR_USAGE, "\"%.60s\" is no name of a header", name);
    if (!is_value(value))
        return ctz_error_set(err, CTZ_ERROR_USAGE,
                             "the header %s holds a line end or another control byte", name);
    value += strspn(value, " \t");
    size_t name_length = strlen(name), value_length = strlen(value);
    size_t size = name_length + value_length + 3;
    struct http_line *line = ctz_malloc(sizeof *line + size);
    if (!line)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    // "Name: value"; libcurl sends an empty one when it is written "Name;"
    memcpy(line->text, name, name_length);
    memcpy(line->text + name_length, value_length ? ": " : ";", value_length ? 3 : 2);
    if (value_length)
        memcpy(line->text + name_length + 2, value, value_length + 1);
    line->name_length = name_length;
    line->node.data = line->text;
    line->node.next = NULL;
    *lines->end = &line->node;
    lines->end = &line->node.next;
    return 0;
}

static void encode_base64(const unsigned char *bytes, size_t size, char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        unsigned left = (unsigned)(size - i);
        unsigned three = (unsigned)bytes[i] << 16 | (left > 1 ? (unsigned)bytes[i + 1] << 8 : 0) |
                         (left > 2 ? bytes[i + 2] : 0);
        *text++ = digits[three >> 18 & 63];
        *text++ = digits[three >> 12 & 63];
        *text++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *text++ = left > 2 ? digits[three & 63] : '=';
    }
    *text = '\0';
}

int ctz_http_lines_basic(struct http_lines *lines, const char *user, const char *password,
                         struct ctz_error *err)
{
    if (strchr(user, ':'))
        return ctz_error_set(err, CTZ_ERROR_USAGE,
                             "a user name with a colon cannot be sent (RFC 7617)");
    char *pair = ctz_asprintf("%s:%s", user, password);
    size_t size = pair ? strlen(pair) : 0;
    char *value = pair ? ctz_malloc(6 + (size + 2) / 3 * 4 + 1) : NULL;
    int result = -1;
    if (value) {
        memcpy(value, "Basic ", 6);
        encode_base64((const unsigned char *)pair, size, value + 6);
        result = ctz_http_lines_add(lines, "Authorization", value, err);
    } else {
        ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    }
    ctz_free(pair);
    ctz_free(value);
    return result;
}

static bool has_name(const struct http_line *line, const char *name)
{
    return strlen(name) == line->name_length &&
           strncasecmp(name, line->text, line->name_length) == 0;
}

const char *ctz_http_lines_find(const struct http_lines *lines, const char *name)
{
    for (struct curl_slist *node = lines->first; node; node = node->next) {
        const struct http_line *line = CTZ_CONTAINER(node, struct http_line, node);
        if (has_name(line, name)) {
            const char *value = line->text + line->name_length + 1;
            return *value ? value + 1 : value; // behind ": "
        }
    }
    return NULL;
}

static bool is_in(const struct http_line *line, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (has_name(line, names[i]))
            return true;
    return false;
}

// Drops the lines that stand in names (or that do not).
static void drop(struct http_lines *lines, const char *const *names, size_t count, bool listed)
{
    struct curl_slist **link = &lines->first;
    while (*link) {
        struct http_line *line = CTZ_CONTAINER(*link, struct http_line, node);
        if (is_in(line, names, count) == listed) {
            *link = line->node.next;
            ctz_free(line);
        } else {
            link = &line->node.next;
        }
    }
    lines->end = link;
}

void ctz_http_lines_strip(struct http_lines *lines)
{
    drop(lines, carried, CTZ_COUNT(carried), false);
}

void ctz_http_lines_strip_body(struct http_lines *lines)
{
    drop(lines, of_bodies, CTZ_COUNT(of_bodies), true);
}
