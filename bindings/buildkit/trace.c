// trace.c: what a build's progress says: moby.buildkit.v1.StatusResponse as a Lua table.
// SPDX-License-Identifier: MIT
//
// The engine sends it in base64 as {"id":"moby.buildkit.trace","aux":"..."} among the lines of a
// build's answer; the rest of that line is read elsewhere.
#include "bindings/buildkit/memory.h"
#include "bindings/buildkit/messages.pb-c.h"
#include "bindings/buildkit/module.h"
#include "host/limits.h"

#define TRACE_CLASS  "ctz.buildkit.trace"
#define TRACE_BYTES  (16 * CTZ_MIB) // what gRPC lets through in the engine
#define UNPACK_BYTES (64 * CTZ_MIB) // and what it may become

// Lives in a userdata, so that the message has an owner when something raises.
struct trace {
    struct bk_budget budget;
    Bk__StatusResponse *message; // owned; NULL: freed
};

static void free_trace(struct trace *trace)
{
    if (trace->message)
        bk__status_response__free_unpacked(trace->message, &trace->budget.allocator);
    trace->message = NULL;
}

// --- pushing -----------------------------------------------------------------------------------

// Unix seconds; nothing when there is no time.
static void set_time(lua_State *L, const char *field, const Bk__Timestamp *time)
{
    if (!time)
        return;
    lua_pushnumber(L, (double)time->seconds + (double)time->nanos / 1e9);
    lua_setfield(L, -2, field);
}

// Empty is absent.
static void set_text(lua_State *L, const char *field, const char *text)
{
    if (!text || !*text)
        return;
    lua_pushstring(L, text);
    lua_setfield(L, -2, field);
}

static void set_integer(lua_State *L, const char *field, int64_t value)
{
    lua_pushinteger(L, value);
    lua_setfield(L, -2, field);
}

static void push_bytes(lua_State *L, const ProtobufCBinaryData *data)
{
    lua_pushlstring(L, data->data ? (const char *)data->data : "", data->len);
}

static void push_vertex(lua_State *L, const Bk__Vertex *vertex)
{
    lua_createtable(L, 0, 8);
    set_text(L, "digest", vertex->digest);
    set_text(L, "name", vertex->name);
    set_text(L, "error", vertex->error);
    set_time(L, "started", vertex->started);
    set_time(L, "completed", vertex->completed);
    lua_pushboolean(L, vertex->cached);
    lua_setfield(L, -2, "cached");
    if (vertex->group)
        set_text(L, "group", vertex->group->name);
    lua_createtable(L, (int)vertex->n_inputs, 0);
    for (size_t i = 0; i < vertex->n_inputs; i++) {
        lua_pushstring(L, vertex->inputs[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "inputs");
}

static void push_status(lua_State *L, const Bk__VertexStatus *status)
{
    lua_createtable(L, 0, 8);
    set_text(L, "id", status->id);
    set_text(L, "vertex", status->vertex);
    set_text(L, "name", status->name);
    set_integer(L, "current", status->current);
    set_integer(L, "total", status->total);
    set_time(L, "time", status->timestamp);
    set_time(L, "started", status->started);
    set_time(L, "completed", status->completed);
}

static void push_log(lua_State *L, const Bk__VertexLog *log)
{
    lua_createtable(L, 0, 4);
    set_text(L, "vertex", log->vertex);
    set_text(L, "stream", log->stream == 2 ? "stderr" : "stdout");
    set_time(L, "time", log->timestamp);
    push_bytes(L, &log->msg);
    lua_setfield(L, -2, "text");
}

static void push_warning(lua_State *L, const Bk__VertexWarning *warning)
{
    lua_createtable(L, 0, 7);
    set_text(L, "vertex", warning->vertex);
    set_integer(L, "level", warning->level);
    push_bytes(L, &warning->short_);
    lua_setfield(L, -2, "text");
    set_text(L, "url", warning->url);
    if (warning->info)
        set_text(L, "file", warning->info->filename);
    if (warning->n_ranges > 0 && warning->ranges[0]->start)
        set_integer(L, "line", warning->ranges[0]->start->line);
    lua_createtable(L, (int)warning->n_detail, 0);
    for (size_t i = 0; i < warning->n_detail; i++) {
        push_bytes(L, &warning->detail[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    lua_setfield(L, -2, "detail");
}

// One list of the message: push is called for each of its items.
#define PUSH_LIST(L, message, field, push)                                                         \
    do {                                                                                           \
        lua_createtable(L, (int)(message)->n_##field, 0);                                          \
        for (size_t i = 0; i < (message)->n_##field; i++) {                                        \
            push(L, (message)->field[i]);                                                          \
            lua_rawseti(L, -2, (lua_Integer)i + 1);                                                \
        }                                                                                          \
        lua_setfield(L, -2, #field);                                                               \
    } while (0)

static void push_trace(lua_State *L, const Bk__StatusResponse *message)
{
    lua_createtable(L, 0, 4);
    PUSH_LIST(L, message, vertexes, push_vertex);
    PUSH_LIST(L, message, statuses, push_status);
    PUSH_LIST(L, message, logs, push_log);
    PUSH_LIST(L, message, warnings, push_warning);
}

// --- the function ------------------------------------------------------------------------------

static int refuse(lua_State *L, const struct trace *trace)
{
    struct ctz_error err = {0};
    if (trace->budget.exceeded)
        ctz_error_set(&err, CTZ_ERROR_SIZE, "the build's progress unpacks to more than %llu bytes",
                      (unsigned long long)UNPACK_BYTES);
    else
        ctz_error_set(&err, CTZ_ERROR_PROTOCOL, "the build's progress is malformed");
    return ctz_raise(L, &err);
}

// trace(bytes) -> {vertexes=, statuses=, logs=, warnings=}
int bk_l_trace(lua_State *L)
{
    size_t size;
    struct ctz_error err = {0};
    const char *bytes = ctz_check_string(L, 1, "bytes", &size);
    if (size > TRACE_BYTES) {
        ctz_error_set(&err, CTZ_ERROR_SIZE, "the build's progress has %zu bytes at once", size);
        return ctz_raise(L, &err);
    }
    struct trace *trace = ctz_object_new(L, TRACE_CLASS, sizeof *trace, 0);
    bk_budget_init(&trace->budget, UNPACK_BYTES);
    trace->message =
        bk__status_response__unpack(&trace->budget.allocator, size, (const uint8_t *)bytes);
    if (!trace->message)
        return refuse(L, trace);
    push_trace(L, trace->message);
    free_trace(trace);
    return 1;
}

static int l_gc(lua_State *L)
{
    free_trace(ctz_object_check(L, 1, TRACE_CLASS));
    return 0;
}

void bk_open_trace(lua_State *L)
{
    static const struct ctz_reg methods[] = {
        {"buildkit.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
        {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
    };
    ctz_class(L, TRACE_CLASS, methods);
}
