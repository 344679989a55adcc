// spec.c: what is asked for, checked and copied.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define WINDOW (256 * CTZ_KIB)

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
}

// Copies a text that may be absent.
static int copy_text(char **to, const char *text, struct ctz_error *err)
{
    if (!text)
        return 0;
    *to = ctz_strdup(text);
    return *to ? 0 : no_memory(err);
}

static int copy_tls(struct http_tls *to, const struct ctz_http_tls *from, struct ctz_error *err)
{
    to->insecure = from->insecure || from->probe;
    to->probe = from->probe;
    if (copy_text(&to->ca_file, from->ca_file, err) || copy_text(&to->ca_pem, from->ca_pem, err) ||
        copy_text(&to->cert_file, from->cert_file, err) ||
        copy_text(&to->cert_pem, from->cert_pem, err) ||
        copy_text(&to->key_file, from->key_file, err) ||
        copy_text(&to->key_pem, from->key_pem, err) ||
        copy_text(&to->server_name, from->server_name, err))
        return -1;
    return 0;
}

void ctz_http_tls_clear(struct http_tls *tls)
{
    ctz_free(tls->ca_file);
    ctz_free(tls->ca_pem);
    ctz_free(tls->cert_file);
    ctz_free(tls->cert_pem);
    ctz_free(tls->key_file);
    ctz_free(tls->key_pem);
    ctz_free(tls->server_name);
    memset(tls, 0, sizeof *tls);
}

static int copy_method(struct ctz_http_request *request, const char *method, struct ctz_error *err)
{
    if (!method)
        method = "GET";
    if (!ctz_http_is_token(method))
        return ctz_error_set(err, CTZ_ERROR_USAGE, "\"%.40s\" is no method", method);
    return copy_text(&request->method, method, err);
}

// What we write ourselves: a second one would let two readers see two messages.
static int check_header(const struct ctz_http_header *header, struct ctz_error *err)
{
    if (strcasecmp(header->name, "Content-Length") == 0 ||
        strcasecmp(header->name, "Transfer-Encoding") == 0)
        return ctz_error_set(err, CTZ_ERROR_USAGE,
                             "the header %s follows from the body and cannot be set", header->name);
    return 0;
}

static int copy_headers(struct ctz_http_request *request, const struct ctz_http_spec *spec,
                        struct ctz_error *err)
{
    struct http_lines *lines = &request->headers;
    for (size_t i = 0; i < spec->header_count; i++)
        if (check_header(&spec->headers[i], err) < 0 ||
            ctz_http_lines_add(lines, spec->headers[i].name, spec->headers[i].value, err) < 0)
            return -1;
    return 0;
}

// The most explicit wins: a header, then bearer or user, then what stands in the URL.
static int add_authorization(struct ctz_http_request *request, const struct ctz_http_spec *spec,
                             struct ctz_error *err)
{
    struct http_lines *lines = &request->headers;
    const struct http_url *url = &request->url;
    if (ctz_http_lines_find(lines, "Authorization"))
        return 0;
    if (spec->bearer) {
        char *value = ctz_asprintf("Bearer %s", spec->bearer);
        int result =
            value ? ctz_http_lines_add(lines, "Authorization", value, err) : no_memory(err);
        ctz_free(value);
        return result;
    }
    if (spec->user || spec->password)
        return ctz_http_lines_basic(lines, spec->user ? spec->user : "",
                                    spec->password ? spec->password : "", err);
    if (url->user || url->password)
        return ctz_http_lines_basic(lines, url->user ? url->user : "",
                                    url->password ? url->password : "", err);
    return 0;
}

// The URL's host stays the Host when TLS expects another name.
static int add_host(struct ctz_http_request *request, struct ctz_error *err)
{
    struct http_url *url = &request->url;
    if (!request->tls.server_name || !url->secure || ctz_http_lines_find(&request->headers, "Host"))
        return 0;
    char *address = url->port == 443 ? ctz_strdup(url->host) : ctz_http_address_of(url);
    int result =
        address ? ctz_http_lines_add(&request->headers, "Host", address, err) : no_memory(err);
    ctz_free(address);
    return result;
}

static int copy_body(struct ctz_http_request *request, const struct ctz_http_spec *spec,
                     struct ctz_error *err)
{
    const char *method = request->method;
    // These always have a body, be it empty: servers want its length (RFC 9110, 8.6).
    bool always =
        strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0 || strcmp(method, "PATCH") == 0;
    request->has_body = spec->body || spec->source || (always && !spec->upgrade && !spec->connect);
    if (spec->source)
        request->source = *spec->source;
    if (spec->body_size) {
        request->body = ctz_memdup(spec->body, spec->body_size);
        request->body_size = spec->body_size;
        return request->body ? 0 : no_memory(err);
    }
    if (strcmp(method, "HEAD") == 0 && request->has_body)
        return ctz_error_set(err, CTZ_ERROR_USAGE, "HEAD has no body");
    return 0;
}

static int copy_unix_socket(struct ctz_http_request *request, const char *path,
                            struct ctz_error *err)
{
    size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;
    if (path && strlen(path) > most)
        return ctz_error_set(err, CTZ_ERROR_USAGE,
                             "the socket path %s has %zu bytes; the system takes %zu", path,
                             strlen(path), most);
    return copy_text(&request->unix_socket, path, err);
}

static void copy_numbers(struct ctz_http_request *request, const struct ctz_http_spec *spec)
{
    const struct ctz_host *host = request->client->host;
    uint64_t redirects = ctz_limit(host, CTZ_LIMIT_HTTP_REDIRECTS);
    request->version = spec->version;
    request->timeout_s = spec->timeout_s;
    request->idle_timeout_s = spec->idle_timeout_s;
    request->connect_timeout_s = spec->connect_timeout_s;
    request->max_body_bytes =
        spec->max_body_bytes ? spec->max_body_bytes : ctz_limit(host, CTZ_LIMIT_HTTP_BODY_BYTES);
    request->redirects_most =
        spec->redirects >= 0 ? (unsigned)spec->redirects : (unsigned)redirects;
    request->redirects_left = request->redirects_most;
    request->follow = spec->redirects != 0 && !spec->upgrade && !spec->connect;
    request->stream = spec->stream;
    request->collect_errors = spec->collect_errors;
    request->once = spec->once;
    request->compressed = spec->compressed;
    request->upgrade = spec->upgrade || spec->connect;
    request->connect = spec->connect;
    request->window = WINDOW;
}

static int copy_spec(struct ctz_http_request *request, const struct ctz_http_spec *spec,
                     struct ctz_error *err)
{
    copy_numbers(request, spec);
    if (ctz_http_url_parse(&request->url, NULL, spec->url, err) < 0 ||
        copy_method(request, spec->method, err) < 0 || copy_headers(request, spec, err) < 0 ||
        add_authorization(request, spec, err) < 0 || copy_body(request, spec, err) < 0 ||
        copy_unix_socket(request, spec->unix_socket, err) < 0 ||
        copy_text(&request->proxy, spec->proxy, err) < 0 ||
        copy_tls(&request->tls, &spec->tls, err) < 0 || add_host(request, err) < 0)
        return -1;
    return 0;
}

struct ctz_http_request *ctz_http_new(struct ctz_http *client, const struct ctz_http_spec *spec,
                                      struct ctz_error *err)
{
    struct ctz_http_request *request = ctz_calloc(1, sizeof *request);
    if (!request) {
        no_memory(err);
        return NULL;
    }
    request->client = client;
    request->next = client->requests;
    request->link = &client->requests;
    if (request->next)
        request->next->link = &request->next;
    client->requests = request;
    request->descriptor = CURL_SOCKET_BAD;
    ctz_http_lines_init(&request->headers);
    ctz_http_head_init(&request->head);
    ctz_buffer_init(&request->held, SIZE_MAX / 2);
    ctz_buffer_init(&request->raw, SIZE_MAX / 2);
    if (copy_spec(request, spec, err) < 0) {
        ctz_http_free(request);
        return NULL;
    }
    return request;
}

char *ctz_http_subject(const struct ctz_http_spec *spec, struct ctz_error *err)
{
    struct http_url url = {0};
    char *subject = NULL;
    if (spec->unix_socket)
        subject = ctz_asprintf("unix:%s", spec->unix_socket);
    else if (ctz_http_url_parse(&url, NULL, spec->url, err) == 0)
        subject = ctz_http_address_of(&url);
    else
        return NULL;
    ctz_http_url_clear(&url);
    if (!subject)
        no_memory(err);
    return subject;
}
