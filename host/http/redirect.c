// redirect.c: what a redirect may change, and what it may take along.
// SPDX-License-Identifier: MIT
//
// libcurl strips Authorization and Cookie when the host changes and sends every other header along
// (a registry's or a vault's token). So redirects are followed here: to another scheme, host or
// port go only headers from a list that holds no credential.
#include "host/http/inner.h"

#include <string.h>

#include "host/door.h"

bool ctz_http_redirects(const struct ctz_http_request *request)
{
    switch (request->head.status) {
    case 301:
    case 302:
    case 303:
    case 307:
    case 308:
        return request->follow && ctz_http_head_find(&request->head, "Location");
    default:
        return false;
    }
}

// A body is not sent again, and the method becomes GET: 303 for all but HEAD, 301 and 302 for POST
// as every browser does it (RFC 9110, 15.4).
static int change_method(struct ctz_http_request *request)
{
    int status = request->head.status;
    const char *method = request->method;
    bool to_get = (status == 303 && strcmp(method, "HEAD") != 0) ||
                  ((status == 301 || status == 302) && strcmp(method, "POST") == 0);
    if (!to_get)
        return 0;
    char *get = ctz_strdup("GET");
    if (!get)
        return ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
    ctz_free(request->method);
    request->method = get;
    ctz_free(request->body);
    request->body = NULL;
    request->has_body = false;
    memset(&request->source, 0, sizeof request->source);
    ctz_http_lines_strip_body(&request->headers);
    return 0;
}

int ctz_http_rewind(struct ctz_http_request *request)
{
    if (!request->source.pull)
        return 0;
    return request->source.rewind ? request->source.rewind(request->source.context) : -1;
}

static int check_target(struct ctz_http_request *request, const struct http_url *url)
{
    if (request->url.secure && !url->secure) {
        ctz_error_set(&request->err, CTZ_ERROR_DENIED, "a redirect from https to %s", url->text);
        ctz_error_hint(&request->err, "what is sent would be readable by all; ask that URL itself");
        return -1;
    }
    bool foreign = !ctz_http_same_origin(&request->url, url);
    if (request->unix_socket && foreign)
        return ctz_error_set(&request->err, CTZ_ERROR_DENIED, "a redirect from the socket %s to %s",
                             request->unix_socket, url->text);
    char *subject = request->unix_socket ? NULL : ctz_http_address_of(url);
    int result = 0;
    if (!request->unix_socket && !subject) {
        result = ctz_error_set(&request->err, CTZ_ERROR_IO, "out of memory");
    } else if (subject && !ctz_allowed(request->client->host->L, CTZ_CAP_NET, subject)) {
        result = ctz_error_set(&request->err, CTZ_ERROR_DENIED,
                               "a redirect to %s, which this run may not reach", url->text);
        ctz_error_hint(&request->err, "--allow net=%s grants it", subject);
    }
    ctz_free(subject);
    return result;
}

// The new URL's own credentials are not ours and are ignored.
static void take_url(struct ctz_http_request *request, struct http_url *url)
{
    if (!ctz_http_same_origin(&request->url, url)) {
        ctz_http_lines_strip(&request->headers);
        ctz_http_tls_clear(&request->tls);
    }
    ctz_http_url_clear(&request->url);
    request->url = *url;
}

int ctz_http_redirect(struct ctz_http_request *request)
{
    const char *location = ctz_http_head_find(&request->head, "Location");
    struct http_url url;
    if (request->redirects_left == 0) {
        ctz_error_set(&request->err, CTZ_ERROR_PROTOCOL, "more than %u redirects",
                      request->redirects_most);
        ctz_error_hint(&request->err, "the last one points to %.300s", location);
        return -1;
    }
    request->redirects_left--;
    if (ctz_http_url_parse(&url, request->url.text, location, &request->err) < 0) {
        if (request->err.kind != CTZ_ERROR_USAGE) // out of memory
            return -1;
        request->err.kind = CTZ_ERROR_PROTOCOL;
        return ctz_error_wrap(&request->err, "a redirect that cannot be followed");
    }
    if (check_target(request, &url) < 0 || change_method(request) < 0) {
        ctz_http_url_clear(&url);
        return -1;
    }
    if (request->has_body && ctz_http_rewind(request) < 0) {
        ctz_error_set(&request->err, CTZ_ERROR_UNSUPPORTED,
                      "a redirect (%d) asks for the body again, and it cannot be sent twice",
                      request->head.status);
        ctz_http_url_clear(&url);
        return -1;
    }
    take_url(request, &url);
    return 0;
}
