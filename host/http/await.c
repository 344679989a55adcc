// await.c: a request as an op: the whole answer, in one wait.
// SPDX-License-Identifier: MIT
#include "host/http/inner.h"

#include "host/luax.h"

struct http_op {
    struct ctz_op op;
    struct ctz_http_request *request; // owned
    ctz_http_push push;
    bool check;
};

static void on_event(struct ctz_http_request *request, enum ctz_http_event event, void *context)
{
    struct http_op *http = context;
    struct ctz_error *err = ctz_http_error(request);
    if (event != CTZ_HTTP_DONE)
        return;
    if (err->kind)
        ctz_error_move(&http->op.err, err);
    else if (http->check)
        ctz_http_check(request, &http->op.err);
    ctz_op_settle(&http->op);
}

static int start(struct ctz_op *op)
{
    struct http_op *http = (struct http_op *)op;
    ctz_http_start(http->request, on_event, http);
    return 0;
}

static void clear(struct ctz_op *op)
{
    struct http_op *http = (struct http_op *)op;
    if (http->request)
        ctz_http_free(http->request);
    http->request = NULL;
}

static void cancel(struct ctz_op *op)
{
    clear(op);
    ctz_op_settle(op);
}

static int push(lua_State *L, struct ctz_op *op)
{
    struct http_op *http = (struct http_op *)op;
    return http->push(L, http->request);
}

static const struct ctz_op_class http_class = {
    .name = "waits for an HTTP answer",
    .start = start,
    .cancel = cancel,
    .push = push,
    .clear = clear,
};

int ctz_http_no_memory(lua_State *L)
{
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_IO, "out of memory");
    return ctz_raise(L, &err);
}

int ctz_http_await(lua_State *L, struct ctz_http_request *request, bool check,
                   ctz_http_push push_answer)
{
    struct http_op *http = ctz_op_make(ctz_host(L), &http_class, sizeof *http);
    if (!http) {
        ctz_http_free(request);
        return ctz_http_no_memory(L);
    }
    http->request = request;
    http->check = check;
    http->push = push_answer;
    return ctz_await(L, http);
}
