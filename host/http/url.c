// url.c: a URL as its parts: who is asked, and with which credentials.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// Longer ones are an attack or an accident; libcurl itself takes 8 MB.
#define URL_BYTES   (64 * CTZ_KIB)
#define SHOWN_BYTES 256 // of a URL in a message

bool ctz_http_is_address(const char *host)
{
    struct in_addr address;
    return host[0] == '[' || inet_pton(AF_INET, host, &address) == 1;
}

bool ctz_http_same_origin(const struct http_url *a, const struct http_url *b)
{
    return a->secure == b->secure && a->port == b->port && strcmp(a->host, b->host) == 0;
}

void ctz_http_url_clear(struct http_url *url)
{
    ctz_free(url->text);
    ctz_free(url->host);
    ctz_free(url->user);
    ctz_free(url->password);
    memset(url, 0, sizeof *url);
}

// A part as a string of ours; NULL when it is absent, *failed when memory ran out.
static char *take_part(CURLU *handle, CURLUPart part, unsigned flags, bool *failed)
{
    char *text = NULL;
    CURLUcode code = curl_url_get(handle, part, &text, flags);
    if (code == CURLUE_OUT_OF_MEMORY)
        *failed = true;
    if (code != CURLUE_OK)
        return NULL;
    char *copy = ctz_strdup(text);
    curl_free(text);
    *failed |= !copy;
    return copy;
}

const char *ctz_http_shown(const char *text, char *buffer, size_t size)
{
    const char *slashes = strstr(text, "://");
    const char *user = slashes ? slashes + 3 : text;
    const char *at = memrchr(user, '@', strcspn(user, "/?#"));
    int scheme = at ? (int)(user - text) : 0;
    snprintf(buffer, size, "%.*s%s%s", scheme, text, at ? "***" : "", at ? at : text);
    return buffer;
}

static int refuse(const char *given, CURLUcode code, struct ctz_error *err)
{
    char buffer[SHOWN_BYTES];
    const char *text = ctz_http_shown(given, buffer, sizeof buffer);
    switch (code) {
    case CURLUE_OUT_OF_MEMORY:
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    case CURLUE_UNSUPPORTED_SCHEME:
        return ctz_error_set(err, CTZ_ERROR_USAGE, "%s: only http and https are spoken here", text);
    case CURLUE_BAD_SCHEME:
        ctz_error_set(err, CTZ_ERROR_USAGE, "\"%s\" is no URL", text);
        ctz_error_hint(err, "it begins with http:// or https://");
        return -1;
    case CURLUE_MALFORMED_INPUT:
        return ctz_error_set(err, CTZ_ERROR_USAGE, "\"%s\" is no URL: it holds a control byte",
                             text);
    default:
        return ctz_error_set(err, CTZ_ERROR_USAGE, "\"%s\" is no URL: %s", text,
                             curl_url_strerror(code));
    }
}

static int read_parts(struct http_url *url, CURLU *handle, const char *text, struct ctz_error *err)
{
    bool failed = false;
    char buffer[SHOWN_BYTES];
    char *scheme = take_part(handle, CURLUPART_SCHEME, 0, &failed);
    char *port = take_part(handle, CURLUPART_PORT, CURLU_DEFAULT_PORT, &failed);
    bool spoken = scheme && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
    url->secure = spoken && scheme[4] == 's';
    url->port = port ? (uint16_t)atoi(port) : 0;
    ctz_free(scheme);
    ctz_free(port);
    url->host = take_part(handle, CURLUPART_HOST, 0, &failed);
    url->user = take_part(handle, CURLUPART_USER, CURLU_URLDECODE, &failed);
    url->password = take_part(handle, CURLUPART_PASSWORD, CURLU_URLDECODE, &failed);
    curl_url_set(handle, CURLUPART_USER, NULL, 0);
    curl_url_set(handle, CURLUPART_PASSWORD, NULL, 0);
    curl_url_set(handle, CURLUPART_FRAGMENT, NULL, 0);
    url->text = take_part(handle, CURLUPART_URL, 0, &failed);
    if (failed)
        return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    if (!spoken)
        return refuse(text, CURLUE_UNSUPPORTED_SCHEME, err);
    if (!url->host || !*url->host || !url->text)
        return ctz_error_set(err, CTZ_ERROR_USAGE, "\"%s\" is no URL: it names no host",
                             ctz_http_shown(text, buffer, sizeof buffer));
    for (char *at = url->host; *at; at++) {
        if ((unsigned char)*at >= 0x80) {
            ctz_error_set(err, CTZ_ERROR_USAGE, "\"%s\" is no URL: its host is not in ASCII",
                          ctz_http_shown(text, buffer, sizeof buffer));
            ctz_error_hint(err, "such names have an ASCII form that begins with xn--");
            return -1;
        }
        *at = (char)tolower((unsigned char)*at);
    }
    return 0;
}

// --- the usual ones ----------------------------------------------------------------------------

#define HOST_BYTES "abcdefghijklmnopqrstuvwxyz0123456789.-"
#define PATH_BYTES HOST_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZ_~/?=&+,;:!$*"

// A name as it is written everywhere, or four decimal numbers; the many other ways to write an IPv4
// address are libcurl's business.
static bool is_plain_host(const char *host)
{
    const char *dot = strrchr(host, '.');
    const char *last = dot ? dot + 1 : host;
    return isalpha((unsigned char)*last) || ctz_http_is_address(host);
}

// http(s)://host[:port]/path of bytes that no reader takes in two ways: 1 when that is all it is.
// libcurl's parser costs a tenth of a small request; what is not plain is left to it.
static int parse_plain(struct http_url *url, const char *text)
{
    size_t scheme = strncmp(text, "http://", 7) == 0    ? 7
                    : strncmp(text, "https://", 8) == 0 ? 8
                                                        : 0;
    const char *host = text + scheme;
    size_t length = strspn(host, HOST_BYTES);
    const char *at = host + length;
    unsigned port = scheme == 8 ? 443 : 80;
    if (!scheme || !length)
        return 0;
    if (*at == ':') {
        size_t digits = strspn(at + 1, "0123456789");
        port = digits > 0 && digits < 6 && at[1] != '0' ? (unsigned)atoi(at + 1) : 0;
        at += 1 + digits;
    }
    if (*at != '/' || port == 0 || port > UINT16_MAX || at[strspn(at, PATH_BYTES)] ||
        strstr(at, "/.") || at[strlen(at) - 1] == '?')
        return 0;
    url->host = ctz_memdup(host, length);
    if (!url->host || !is_plain_host(url->host)) {
        ctz_http_url_clear(url);
        return 0;
    }
    url->text = ctz_strdup(text);
    url->port = (uint16_t)port;
    url->secure = scheme == 8;
    return 1;
}

int ctz_http_url_parse(struct http_url *url, const char *base, const char *text,
                       struct ctz_error *err)
{
    memset(url, 0, sizeof *url);
    if (strlen(text) > URL_BYTES)
        return ctz_error_set(err, CTZ_ERROR_USAGE, "a URL of %zu bytes is longer than %zu",
                             strlen(text), (size_t)URL_BYTES);
    if (!base && parse_plain(url, text)) {
        if (url->text)
            return 0;
        ctz_http_url_clear(url);
        return refuse(text, CURLUE_OUT_OF_MEMORY, err);
    }
    const char *slashes = base ? NULL : strstr(text, ":/");
    if (slashes && strncmp(text, "http", 4) == 0 &&
        strspn(slashes + 1, "/") != 2) // libcurl takes 1 to 3
        return refuse(text, CURLUE_BAD_SLASHES, err);
    CURLU *handle = curl_url();
    CURLUcode code = handle ? CURLUE_OK : CURLUE_OUT_OF_MEMORY;
    if (code == CURLUE_OK && base)
        code = curl_url_set(handle, CURLUPART_URL, base, 0);
    if (code == CURLUE_OK)
        code = curl_url_set(handle, CURLUPART_URL, text,
                            CURLU_URLENCODE | (base ? CURLU_ALLOW_SPACE : 0));
    int result = code ? refuse(text, code, err) : read_parts(url, handle, text, err);
    curl_url_cleanup(handle);
    if (result < 0)
        ctz_http_url_clear(url);
    return result;
}

char *ctz_http_address_of(const struct http_url *url)
{
    return ctz_asprintf("%s:%u", url->host, url->port);
}

char *ctz_http_url_with_host(const struct http_url *url, const char *host)
{
    bool failed = false;
    char *text = NULL;
    CURLU *handle = curl_url();
    if (handle && !curl_url_set(handle, CURLUPART_URL, url->text, 0) &&
        !curl_url_set(handle, CURLUPART_HOST, host, 0))
        text = take_part(handle, CURLUPART_URL, 0, &failed);
    curl_url_cleanup(handle);
    return text;
}
