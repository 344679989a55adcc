// answer.c: what can be read of a request.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

bool ctz_http_is_done(const struct ctz_http_request *request)
{
    return request->state == HTTP_DONE;
}

struct ctz_error *ctz_http_error(struct ctz_http_request *request)
{
    return &request->err;
}

int ctz_http_status(const struct ctz_http_request *request)
{
    return request->head.complete ? request->head.status : 0;
}

const char *ctz_http_method(const struct ctz_http_request *request)
{
    return request->method;
}

const char *ctz_http_url(const struct ctz_http_request *request)
{
    return request->url.text;
}

const char *ctz_http_version(const struct ctz_http_request *request)
{
    return request->head.version;
}

const char *ctz_http_header(const struct ctz_http_request *request, const char *name)
{
    return ctz_http_head_find(&request->head, name);
}

const char *ctz_http_next_header(const struct ctz_http_request *request, const char *cursor,
                                 const char **name, const char **value)
{
    return ctz_http_head_next(&request->head, cursor, name, value);
}

int64_t ctz_http_length(const struct ctz_http_request *request)
{
    return request->head.length;
}

uint64_t ctz_http_received(const struct ctz_http_request *request)
{
    return request->received;
}

uint64_t ctz_http_sent(const struct ctz_http_request *request)
{
    curl_off_t sent = 0;
    if (request->transfer)
        curl_easy_getinfo(request->transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    else if (request->head.complete)
        return request->body_size;
    return (uint64_t)sent;
}

int64_t ctz_http_to_send(const struct ctz_http_request *request)
{
    return request->source.pull ? request->source.length : (int64_t)request->body_size;
}

const char *ctz_http_body(const struct ctz_http_request *request, size_t *size)
{
    *size = request->held.length - request->held_offset;
    return request->held.bytes ? request->held.bytes + request->held_offset : "";
}
