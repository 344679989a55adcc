// channel.c: values from task to task, in order, with a bounded buffer.
// SPDX-License-Identifier: MIT
#include <math.h>

#include "host/door.h"
#include "host/luax.h"
#include "host/task.h"

#define CHANNEL_CLASS "ctz.channel"
#define MAX_CAPACITY  (1 << 24)
#define VALUES        1 // user value: the buffered values, at [head, tail)

struct waiter; // an op that sends or receives

struct queue {
    struct waiter *first, **end;
};

struct channel {
    struct queue senders, receivers;
    lua_Integer head, tail;
    lua_Integer reserved; // values that belong to receivers which are about to run
    lua_Integer capacity;
    bool closed;
};

struct waiter {
    struct ctz_op op;
    struct channel *channel; // anchored by argument 1 of the waiting frame
    struct queue *queue;     // NULL once taken out
    struct waiter *next, **link;
    bool reserved;
};

// --- plain C -----------------------------------------------------------------------------------

static void enqueue(struct queue *queue, struct waiter *waiter)
{
    waiter->queue = queue;
    waiter->next = NULL;
    waiter->link = queue->end;
    *queue->end = waiter;
    queue->end = &waiter->next;
}

static void dequeue(struct waiter *waiter)
{
    *waiter->link = waiter->next;
    if (waiter->next)
        waiter->next->link = waiter->link;
    else
        waiter->queue->end = waiter->link;
    waiter->queue = NULL;
}

static int start_send(struct ctz_op *op)
{
    struct waiter *waiter = (struct waiter *)op;
    enqueue(&waiter->channel->senders, waiter);
    return 0;
}

static int start_receive(struct ctz_op *op)
{
    struct waiter *waiter = (struct waiter *)op;
    enqueue(&waiter->channel->receivers, waiter);
    return 0;
}

static void cancel_wait(struct ctz_op *op)
{
    struct waiter *waiter = (struct waiter *)op;
    if (waiter->queue)
        dequeue(waiter);
    ctz_op_settle(op);
}

// --- Lua ---------------------------------------------------------------------------------------

static bool has_room(const struct channel *channel)
{
    return channel->tail - channel->head < channel->capacity + channel->reserved;
}

// Moves the value on top of the stack to the end of the buffer.
static void append(lua_State *L, struct channel *channel)
{
    lua_getiuservalue(L, 1, VALUES);
    lua_insert(L, -2);
    lua_rawseti(L, -2, channel->tail);
    channel->tail++;
    lua_pop(L, 1);
}

// The value of a waiting sender is argument 2 of the frame where it waits.
static void append_from(lua_State *L, struct channel *channel, struct waiter *sender)
{
    lua_State *thread = sender->op.task->waiting_thread;
    lua_pushvalue(thread, 2);
    lua_xmove(thread, L, 1);
    append(L, channel);
    dequeue(sender);
    ctz_op_settle(&sender->op);
}

// Pushes the first value of the buffer; a sender that waited for room moves up.
static int take(lua_State *L, struct channel *channel)
{
    lua_getiuservalue(L, 1, VALUES);
    lua_rawgeti(L, -1, channel->head);
    lua_pushnil(L);
    lua_rawseti(L, -3, channel->head);
    lua_remove(L, -2);
    channel->head++;
    if (channel->head == channel->tail)
        channel->head = channel->tail = 1; // small keys stay in the array part of the table
    if (channel->senders.first && has_room(channel))
        append_from(L, channel, channel->senders.first);
    return 1;
}

static int push_received(lua_State *L, struct ctz_op *op)
{
    struct waiter *waiter = (struct waiter *)op;
    if (!waiter->reserved) { // closed meanwhile
        lua_pushnil(L);
        return 1;
    }
    waiter->channel->reserved--;
    return take(L, waiter->channel);
}

static const struct ctz_op_class send_class = {
    .name = "sends to a channel",
    .start = start_send,
    .cancel = cancel_wait,
};

static const struct ctz_op_class receive_class = {
    .name = "receives from a channel",
    .start = start_receive,
    .cancel = cancel_wait,
    .push = push_received,
};

static int await_channel(lua_State *L, struct channel *channel, const struct ctz_op_class *class,
                         double timeout_s)
{
    struct waiter *waiter = ctz_op_new(L, class, sizeof *waiter);
    waiter->channel = channel;
    waiter->op.timeout_s = timeout_s;
    return ctz_await(L, waiter);
}

static struct channel *check_channel(lua_State *L)
{
    return ctz_object_check(L, 1, CHANNEL_CLASS);
}

static double read_timeout(lua_State *L, int idx)
{
    static const char *const options[] = {"timeout", NULL};
    if (lua_isnoneornil(L, idx))
        return INFINITY;
    ctz_opts_check(L, idx, options);
    return ctz_opt_seconds(L, idx, "timeout", INFINITY);
}

/// channel:send(value, opts?) -> true
/// Hands a value to the task that receives it; waits while the channel is full.
/// @async
/// @param value any  not nil
/// @param opts.timeout? ctz.seconds
/// @error conflict the channel is closed
/// @example local ch = ctz.channel(1) ch:send("a") assert(ch:receive() == "a")
static int l_send(lua_State *L)
{
    struct channel *channel = check_channel(L);
    if (lua_isnoneornil(L, 2))
        return ctz_usage(L, "nil cannot be sent: it is how receive tells the end");
    double timeout_s = read_timeout(L, 3);
    ctz_task_check(L);
    if (channel->closed) {
        struct ctz_error err = {0};
        ctz_error_set(&err, CTZ_ERROR_CONFLICT, "the channel is closed");
        return ctz_raise(L, &err);
    }
    lua_settop(L, 2);
    struct waiter *receiver = channel->receivers.first;
    if (!receiver && !has_room(channel))
        return await_channel(L, channel, &send_class, timeout_s);
    append(L, channel);
    if (receiver) {
        channel->reserved++;
        receiver->reserved = true;
        dequeue(receiver);
        ctz_op_settle(&receiver->op);
    }
    lua_pushboolean(L, true);
    return 1;
}

/// channel:receive(opts?) -> any
/// The next value; waits for one. nil when the channel is closed and empty.
/// @async
/// @param opts.timeout? ctz.seconds
/// @example local ch = ctz.channel(2) ch:send(1) ch:close() assert(ch:receive() == 1 and
/// ch:receive() == nil)
static int l_receive(lua_State *L)
{
    struct channel *channel = check_channel(L);
    double timeout_s = read_timeout(L, 2);
    ctz_task_check(L);
    lua_settop(L, 1);
    if (channel->tail - channel->head > channel->reserved)
        return take(L, channel);
    if (channel->senders.first && channel->reserved == 0) { // no buffer: straight from the sender
        append_from(L, channel, channel->senders.first);
        return take(L, channel);
    }
    if (channel->closed) {
        lua_pushnil(L);
        return 1;
    }
    return await_channel(L, channel, &receive_class, timeout_s);
}

/// channel:close() -> true
/// No more values: what is in it can still be received, then receive returns nil. A task that waits
/// to send raises kind conflict.
/// @example local ch = ctz.channel() ch:close() assert(ch:receive() == nil)
static int l_close(lua_State *L)
{
    struct channel *channel = check_channel(L);
    channel->closed = true;
    while (channel->receivers.first) {
        struct waiter *receiver = channel->receivers.first;
        dequeue(receiver);
        ctz_op_settle(&receiver->op);
    }
    while (channel->senders.first) {
        struct waiter *sender = channel->senders.first;
        dequeue(sender);
        ctz_error_set(&sender->op.err, CTZ_ERROR_CONFLICT, "the channel was closed");
        ctz_op_settle(&sender->op);
    }
    lua_pushboolean(L, true);
    return 1;
}

// The generic for passes (channel, control): receive would take control for its options.
static int l_each_next(lua_State *L)
{
    lua_settop(L, 1);
    return l_receive(L);
}

/// channel:each() -> iterator
/// For loops: every value until the channel is closed and empty.
/// @async
/// @example local ch = ctz.channel(2) ch:send(1) ch:send(2) ch:close()
/// @example local sum = 0 for v in ch:each() do sum = sum + v end assert(sum == 3)
static int l_each(lua_State *L)
{
    check_channel(L);
    lua_pushcfunction(L, l_each_next);
    lua_pushvalue(L, 1);
    return 2;
}

static int l_length(lua_State *L)
{
    struct channel *channel = check_channel(L);
    lua_pushinteger(L, channel->tail - channel->head);
    return 1;
}

/// ctz.channel(capacity?) -> ctz.channel
/// A queue between tasks: channel:send(v), channel:receive(), channel:each(), channel:close().
/// @param capacity? integer  values held before send waits; default 0: send waits for the receiver
/// @example local ch = ctz.channel(4) ch:send("x") assert(#ch == 1)
static int l_channel(lua_State *L)
{
    lua_Integer capacity = 0;
    if (!lua_isnoneornil(L, 1))
        capacity = ctz_check_integer(L, 1, "capacity", 0, MAX_CAPACITY);
    struct channel *channel = ctz_object_new(L, CHANNEL_CLASS, sizeof *channel, 1);
    channel->senders.end = &channel->senders.first;
    channel->receivers.end = &channel->receivers.first;
    channel->head = channel->tail = 1;
    channel->capacity = capacity;
    lua_newtable(L);
    lua_setiuservalue(L, -2, VALUES);
    return 1;
}

static const struct ctz_reg methods[] = {
    {"channel.send", l_send, CTZ_CAP_PURE, 0, 0},
    {"channel.receive", l_receive, CTZ_CAP_PURE, 0, 0},
    {"channel.close", l_close, CTZ_CAP_PURE, 0, 0},
    {"channel.each", l_each, CTZ_CAP_PURE, 0, 0},
    {"channel.__len", l_length, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"channel", l_channel, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

int ctz_open_channel(lua_State *L)
{
    ctz_class(L, CHANNEL_CLASS, methods);
    ctz_door(L, functions);
    return 1;
}
