// proxy.c: which proxy is asked, as libcurl's documentation has it for the environment.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_PROXY_PORT 1080 // libcurl's

// --- NO_PROXY ----------------------------------------------------------------------------------

// "10.0.0.0/8" or one address, either family.
static bool address_is_in(const char *host, const char *network, size_t length)
{
    char text[80];
    unsigned char base[16], address[16];
    if (length >= sizeof text)
        return false;
    memcpy(text, network, length);
    text[length] = '\0';
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    int family = strchr(text, ':') ? AF_INET6 : AF_INET;
    unsigned all = family == AF_INET6 ? 128 : 32;
    unsigned bits = slash ? (unsigned)atoi(slash) : all;
    if (inet_pton(family, text, base) != 1 || inet_pton(family, host, address) != 1 || bits > all)
        return false;
    unsigned rest = bits % 8;
    if (memcmp(base, address, bits / 8) != 0)
        return false;
    return rest == 0 || (base[bits / 8] ^ address[bits / 8]) >> (8 - rest) == 0;
}

// A name covers itself and what ends with it behind a dot; a dot in front means nothing.
static bool name_covers(const char *name, size_t length, const char *host)
{
    while (length > 0 && *name == '.') {
        name++;
        length--;
    }
    while (length > 0 && name[length - 1] == '.')
        length--;
    size_t host_length = strlen(host);
    if (length == 0 || length > host_length)
        return false;
    const char *tail = host + host_length - length;
    return strncasecmp(tail, name, length) == 0 && (tail == host || tail[-1] == '.');
}

bool ctz_http_no_proxy(const char *list, const char *host)
{
    char bare[256] = "";
    size_t host_length = strlen(host);
    if (host[0] == '[' && host_length - 2 < sizeof bare) { // an IPv6 address without brackets
        memcpy(bare, host + 1, host_length - 2);
        host = bare;
    }
    static const char separators[] = ", \t";
    for (list += strspn(list, separators); *list; list += strspn(list, separators)) {
        size_t length = strcspn(list, separators);
        if ((length == 1 && *list == '*') || name_covers(list, length, host) ||
            address_is_in(host, list, length))
            return true;
        list += length;
    }
    return false;
}

// --- the environment ---------------------------------------------------------------------------

static const char *variable(const char *small, const char *capital)
{
    const char *value = getenv(small);
    if (!value || !*value)
        value = capital ? getenv(capital) : NULL;
    return value && *value ? value : NULL;
}

const char *ctz_http_proxy_of(const struct http_url *url)
{
    // HTTP_PROXY in capitals is not read: a CGI gets it from a request's header Proxy.
    const char *proxy =
        url->secure ? variable("https_proxy", "HTTPS_PROXY") : variable("http_proxy", NULL);
    if (!proxy)
        proxy = variable("all_proxy", "ALL_PROXY");
    if (!proxy)
        return NULL;
    const char *exempt = variable("no_proxy", "NO_PROXY");
    return exempt && ctz_http_no_proxy(exempt, url->host) ? NULL : proxy;
}

// --- its address -------------------------------------------------------------------------------

int ctz_http_proxy_parse(struct http_proxy *proxy, const char *text, struct ctz_error *err)
{
    static const char *const schemes[] = {"http",   "https",   "socks4", "socks4a",
                                          "socks5", "socks5h", NULL};
    memset(proxy, 0, sizeof *proxy);
    char *whole = ctz_asprintf("%s%s", strstr(text, "://") ? "" : "http://", text);
    CURLU *handle = whole ? curl_url() : NULL;
    char *scheme = NULL, *host = NULL, *port = NULL;
    bool well = handle && !curl_url_set(handle, CURLUPART_URL, whole, CURLU_NON_SUPPORT_SCHEME) &&
                !curl_url_get(handle, CURLUPART_SCHEME, &scheme, 0) &&
                !curl_url_get(handle, CURLUPART_HOST, &host, 0);
    bool known = false;
    for (int i = 0; well && schemes[i]; i++)
        known |= strcmp(schemes[i], scheme) == 0;
    if (known) {
        curl_url_get(handle, CURLUPART_PORT, &port, 0);
        bool secure = strcmp(scheme, "https") == 0;
        proxy->port = (uint16_t)(port ? atoi(port) : secure ? 443 : DEFAULT_PROXY_PORT);
        proxy->resolves = strcmp(scheme, "socks4") != 0 && strcmp(scheme, "socks5") != 0;
        proxy->host = ctz_strdup(host);
        for (char *at = proxy->host; at && *at; at++)
            *at = (char)tolower((unsigned char)*at);
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(handle);
    ctz_free(whole);
    if (proxy->host)
        return 0;
    return ctz_error_set(err, CTZ_ERROR_USAGE,
                         known ? "out of memory"
                               : "the proxy is no URL with the scheme http, https or socks");
}

char *ctz_http_proxy_subject(const char *text, struct ctz_error *err)
{
    struct http_proxy proxy;
    if (ctz_http_proxy_parse(&proxy, text, err) < 0)
        return NULL;
    char *subject = ctz_asprintf("%s:%u", proxy.host, proxy.port);
    ctz_free(proxy.host);
    if (!subject)
        ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    return subject;
}
