// websocket_test.c: messages of a WebSocket, wherever their bytes are cut and whatever is wrong.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <errno.h>
#include <stdlib.h>

#include "bindings/kubernetes/websocket.h"
#include "host/alloc.h"
#include "host/buffer.h"

// --- memory that runs out ----------------------------------------------------------------------
// Of the library too, whose allocations go through these names. Not beside a sanitizer's own.

static long left_to_go; // > 0: the allocation that fails, counted down

#ifndef __SANITIZE_ADDRESS__
#define CAN_FAIL 1
#define VISIBLE  __attribute__((visibility("default")))
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *pointer, size_t size);
VISIBLE void *malloc(size_t size);
VISIBLE void *calloc(size_t count, size_t size);
VISIBLE void *realloc(void *pointer, size_t size);

static bool must_fail(void)
{
    if (left_to_go <= 0 || --left_to_go > 0)
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return must_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *pointer, size_t size)
{
    return must_fail() ? NULL : __libc_realloc(pointer, size);
}
#else
#define CAN_FAIL 0
#endif

// --- the other side ----------------------------------------------------------------------------

struct wire {
    struct ctz_buffer in;  // what the server sends
    size_t at;             // of it, received so far
    size_t most, most_out; // bytes at once; most_out 0: it takes none
    bool stutters, turn;   // every second time it has nothing
    bool ends;             // the connection, behind what it sends
    struct ctz_buffer out; // what we sent
};

static ptrdiff_t wire_recv(void *context, char *bytes, size_t size, struct ctz_error *err)
{
    struct wire *wire = context;
    size_t there = wire->in.length - wire->at;
    (void)err;
    wire->turn = !wire->turn;
    if (wire->stutters && wire->turn)
        return WS_AGAIN;
    if (there == 0)
        return wire->ends ? 0 : WS_AGAIN;
    size = size < there ? size : there;
    size = size < wire->most ? size : wire->most;
    memcpy(bytes, wire->in.bytes + wire->at, size);
    wire->at += size;
    return (ptrdiff_t)size;
}

static ptrdiff_t wire_send(void *context, const char *bytes, size_t size, struct ctz_error *err)
{
    struct wire *wire = context;
    if (wire->most_out == 0)
        return WS_AGAIN;
    size = size < wire->most_out ? size : wire->most_out;
    if (ctz_buffer_append(&wire->out, bytes, size) == 0)
        return (ptrdiff_t)size;
    ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
    return WS_FAIL;
}

static void wire_init(struct wire *wire)
{
    *wire = (struct wire){.most = SIZE_MAX, .most_out = SIZE_MAX};
    ctz_buffer_init(&wire->in, SIZE_MAX / 2);
    ctz_buffer_init(&wire->out, SIZE_MAX / 2);
}

static void wire_clear(struct wire *wire)
{
    ctz_buffer_clear(&wire->in);
    ctz_buffer_clear(&wire->out);
}

enum { MORE = 0, TEXT = 1, BINARY = 2, CLOSE = 8, PING = 9, PONG = 10, FIN = 0x80 };

// An unmasked frame, as servers send them.
static void add_frame(struct wire *wire, int head, const void *bytes, size_t size)
{
    ctz_buffer_byte(&wire->in, (char)head);
    if (size < 126) {
        ctz_buffer_byte(&wire->in, (char)size);
    } else if (size <= UINT16_MAX) {
        char length[] = {126, (char)(size >> 8), (char)size};
        ctz_buffer_append(&wire->in, length, sizeof length);
    } else {
        char length[9] = {127};
        for (int i = 0; i < 8; i++)
            length[1 + i] = (char)(size >> (56 - 8 * i));
        ctz_buffer_append(&wire->in, length, sizeof length);
    }
    ctz_buffer_append(&wire->in, bytes, size);
}

static void add_text(struct wire *wire, int head, const char *text)
{
    add_frame(wire, head, text, strlen(text));
}

struct frame {
    int head;
    size_t size;
    char bytes[70000];
};

// Takes one masked frame from what we sent. False: there is no whole one.
static bool take_frame(struct wire *wire, struct frame *frame)
{
    const unsigned char *bytes = (const unsigned char *)wire->out.bytes;
    size_t there = wire->out.length, head = 2;
    if (there < 6)
        return false;
    assert_true(bytes[1] & 0x80); // a client masks
    frame->head = bytes[0];
    frame->size = bytes[1] & 0x7F;
    if (frame->size == 126) {
        frame->size = (size_t)bytes[2] << 8 | bytes[3];
        head = 4;
    } else if (frame->size == 127) {
        frame->size = 0;
        for (int i = 0; i < 8; i++)
            frame->size = frame->size << 8 | bytes[2 + i];
        head = 10;
    }
    if (there < head + 4 + frame->size)
        return false;
    assert_true(frame->size < sizeof frame->bytes);
    for (size_t i = 0; i < frame->size; i++)
        frame->bytes[i] = (char)(bytes[head + 4 + i] ^ bytes[head + i % 4]);
    frame->bytes[frame->size] = '\0';
    ctz_buffer_shift(&wire->out, head + 4 + frame->size);
    return true;
}

static struct ws *open_ws(struct wire *wire, size_t most, size_t window)
{
    struct ws_io io = {.recv = wire_recv, .send = wire_send, .context = wire};
    return ws_new(&io, most, window);
}

// All that comes, as "text|text|".
static void gather(struct ws *ws, char *text, size_t size)
{
    struct ws_message *message;
    *text = '\0';
    for (int i = 0; i < 10000; i++) {
        ws_receive(ws);
        ws_transmit(ws);
        while ((message = ws_next(ws))) {
            assert_true(strlen(text) + message->size + 2 < size);
            strcat(strcat(text, message->bytes), "|");
            ws_message_free(message);
        }
    }
}

// --- what is received --------------------------------------------------------------------------

static void add_conversation(struct wire *wire)
{
    add_text(wire, BINARY | FIN, "one");
    add_text(wire, BINARY, "frag");
    add_text(wire, PING | FIN, "between");
    add_text(wire, MORE, "men");
    add_text(wire, PONG | FIN, "");
    add_text(wire, MORE | FIN, "ted");
    add_text(wire, BINARY | FIN, "");
    add_text(wire, TEXT | FIN, "s\xC3\xA9");
    add_text(wire, CLOSE | FIN, "\x03\xE8over");
}

TEST(messages_are_the_same_however_few_bytes_come_at_once)
{
    char text[200];
    struct frame frame;
    for (size_t most = 1; most < 60; most++)
        for (int stutters = 0; stutters < 2; stutters++) {
            struct wire wire;
            wire_init(&wire);
            add_conversation(&wire);
            wire.most = most;
            wire.most_out = most;
            wire.stutters = stutters;
            struct ws *ws = open_ws(&wire, 1000, 1000);
            gather(ws, text, sizeof text);
            assert_string_equal(text, "one|fragmented||s\xC3\xA9|");
            assert_true(ws_is_over(ws));
            assert_int_equal(ws_error(ws)->kind, CTZ_ERROR_NONE);
            assert_int_equal(ws_close_code(ws), 1000);
            assert_string_equal(ws_close_reason(ws), "over");
            assert_true(take_frame(&wire, &frame));
            if (most == 1 || frame.head != (CLOSE | FIN)) { // an end needs no answers before it
                assert_int_equal(frame.head, PONG | FIN);
                assert_string_equal(frame.bytes, "between");
                assert_true(take_frame(&wire, &frame));
            }
            assert_int_equal(frame.head, CLOSE | FIN);
            assert_false(take_frame(&wire, &frame));
            ws_free(ws);
            wire_clear(&wire);
        }
}

// Opens a socket on these bytes, reads all, and gives the kind of its failure.
static enum ctz_error_kind kind_of(struct wire *wire, size_t most)
{
    char text[1000];
    struct ws *ws = open_ws(wire, most, 100000);
    gather(ws, text, sizeof text);
    enum ctz_error_kind kind = ws_error(ws)->kind;
    assert_true(ws_is_over(ws) || kind == CTZ_ERROR_NONE);
    ws_free(ws);
    return kind;
}

static enum ctz_error_kind kind_of_bytes(const void *bytes, size_t size)
{
    struct wire wire;
    wire_init(&wire);
    ctz_buffer_append(&wire.in, bytes, size);
    enum ctz_error_kind kind = kind_of(&wire, 1000);
    wire_clear(&wire);
    return kind;
}

#define KIND(text) kind_of_bytes(text, sizeof text - 1)

TEST(frames_that_break_the_rules_are_an_error)
{
    assert_int_equal(KIND("\x82\x81"
                          "abcd"
                          "x"),
                     CTZ_ERROR_PROTOCOL);                             // masked by a server
    assert_int_equal(KIND("\xC2\x01x"), CTZ_ERROR_PROTOCOL);          // a reserved bit
    assert_int_equal(KIND("\x83\x01x"), CTZ_ERROR_PROTOCOL);          // a reserved opcode
    assert_int_equal(KIND("\x09\x01x"), CTZ_ERROR_PROTOCOL);          // a fragmented ping
    assert_int_equal(KIND("\x89\x7E\x00\x80"), CTZ_ERROR_PROTOCOL);   // a long ping
    assert_int_equal(KIND("\x80\x01x"), CTZ_ERROR_PROTOCOL);          // goes on with nothing
    assert_int_equal(KIND("\x02\x01x\x82\x01y"), CTZ_ERROR_PROTOCOL); // begins in between
    assert_int_equal(KIND("\x82\x7E\x00\x05"
                          "abcde"),
                     CTZ_ERROR_PROTOCOL); // a length too long
    assert_int_equal(KIND("\x82\x7F\x80\x00\x00\x00\x00\x00\x00\x00"), CTZ_ERROR_PROTOCOL);
    assert_int_equal(KIND("\x81\x02\xC3("), CTZ_ERROR_PROTOCOL);    // no UTF-8
    assert_int_equal(KIND("\x88\x02\x03\xEE"), CTZ_ERROR_PROTOCOL); // close with code 1006
    assert_int_equal(KIND("\x88\x01x"), CTZ_ERROR_NONE);
    assert_int_equal(KIND("HTTP/1.1 400 Bad Request\r\n\r\n"), CTZ_ERROR_PROTOCOL);
}

TEST(a_connection_that_ends_without_a_close_frame_is_unreachable_after_its_messages)
{
    struct wire wire;
    char text[100];
    wire_init(&wire);
    add_text(&wire, BINARY | FIN, "all of it");
    add_text(&wire, BINARY, "half");
    wire.ends = true;
    struct ws *ws = open_ws(&wire, 1000, 1000);
    gather(ws, text, sizeof text);
    assert_string_equal(text, "all of it|");
    assert_int_equal(ws_error(ws)->kind, CTZ_ERROR_UNREACHABLE);
    assert_int_equal(ws_close_code(ws), WS_CODE_ABNORMAL);
    ws_free(ws);
    wire_clear(&wire);
}

TEST(a_message_over_the_limit_is_refused_whole_or_in_fragments)
{
    struct wire wire;
    struct frame frame;
    wire_init(&wire);
    add_text(&wire, BINARY | FIN, "0123456789");
    add_text(&wire, BINARY | FIN, "0123456789+");
    assert_int_equal(kind_of(&wire, 10), CTZ_ERROR_SIZE);
    assert_true(take_frame(&wire, &frame));
    assert_int_equal(frame.head, CLOSE | FIN);
    assert_memory_equal(frame.bytes, "\x03\xF1", 2); // 1009
    wire_clear(&wire);
    wire_init(&wire);
    add_text(&wire, BINARY, "01234");
    add_text(&wire, MORE, "56789");
    add_text(&wire, MORE | FIN, "+");
    assert_int_equal(kind_of(&wire, 10), CTZ_ERROR_SIZE);
    wire_clear(&wire);
    assert_int_equal(KIND("\x82\x7F\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFFx"), CTZ_ERROR_SIZE);
}

TEST(the_other_side_waits_while_nobody_takes_its_messages)
{
    struct wire wire;
    char bytes[1000] = "";
    wire_init(&wire);
    for (int i = 0; i < 1000; i++)
        add_frame(&wire, BINARY | FIN, bytes, sizeof bytes);
    struct ws *ws = open_ws(&wire, 10000, 20000);
    assert_false(ws_receive(ws));
    assert_true(ws_is_paused(ws));
    assert_true(wire.at < 30000);
    size_t count = 0;
    for (struct ws_message *message; (message = ws_next(ws)); count++) {
        assert_int_equal(message->size, sizeof bytes);
        ws_message_free(message);
        ws_receive(ws);
    }
    assert_int_equal(count, 1000);
    ws_free(ws);
    wire_clear(&wire);
}

TEST(a_flood_of_pings_is_not_heaped_up_when_the_answers_do_not_get_out)
{
    struct wire wire;
    struct frame frame;
    wire_init(&wire);
    for (int i = 0; i < 100000; i++)
        add_text(&wire, PING | FIN, "0123456789");
    wire.most_out = 0;
    struct ws *ws = open_ws(&wire, 1000, 1000);
    for (int i = 0; i < 1000; i++) {
        ws_receive(ws);
        ws_transmit(ws);
    }
    assert_true(ws_queued(ws) < 1000);
    wire.most_out = SIZE_MAX;
    int count = 0;
    do {
        ws_receive(ws);
        ws_transmit(ws);
        while (take_frame(&wire, &frame))
            count++;
    } while (wire.at < wire.in.length);
    assert_int_equal(count, 100000);
    ws_free(ws);
    wire_clear(&wire);
}

// --- what is sent ------------------------------------------------------------------------------

TEST(messages_are_one_masked_frame_each_with_their_channel_in_front)
{
    struct wire wire;
    struct ctz_error err = {0};
    struct frame frame;
    char big[66000];
    memset(big, 'x', sizeof big);
    wire_init(&wire);
    wire.most_out = 7;
    struct ws *ws = open_ws(&wire, 1000, 1000);
    assert_int_equal(ws_queue(ws, 0, "in", 2, &err), 0);
    assert_int_equal(ws_queue(ws, 255, "", 0, &err), 0);
    assert_int_equal(ws_queue(ws, -1, "plain", 5, &err), 0);
    assert_int_equal(ws_queue(ws, 4, big, sizeof big, &err), 0);
    assert_int_equal(ws_ping(ws, &err), 0);
    assert_int_equal(ws_queued(ws), 5);
    while (ws_transmit(ws))
        ;
    assert_int_equal(ws_queued(ws), 0);
    assert_true(take_frame(&wire, &frame));
    assert_int_equal(frame.head, PING | FIN); // control frames overtake
    assert_true(take_frame(&wire, &frame));
    assert_int_equal(frame.head, BINARY | FIN);
    assert_int_equal(frame.size, 3);
    assert_memory_equal(frame.bytes, "\0in", 3);
    assert_true(take_frame(&wire, &frame));
    assert_int_equal(frame.size, 1);
    assert_memory_equal(frame.bytes, "\xFF", 1);
    assert_true(take_frame(&wire, &frame));
    assert_string_equal(frame.bytes, "plain");
    assert_true(take_frame(&wire, &frame));
    assert_int_equal(frame.size, 1 + sizeof big);
    assert_memory_equal(frame.bytes + 1, big, sizeof big);
    ws_free(ws);
    wire_clear(&wire);
}

TEST(after_our_close_frame_nothing_is_sent_and_theirs_ends_it)
{
    struct wire wire;
    struct ctz_error err = {0};
    wire_init(&wire);
    struct ws *ws = open_ws(&wire, 1000, 1000);
    assert_int_equal(ws_close(ws, WS_CODE_NORMAL, &err), 0);
    assert_int_equal(ws_queue(ws, 0, "late", 4, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_UNREACHABLE);
    ctz_error_clear(&err);
    assert_false(ws_transmit(ws));
    assert_false(ws_is_over(ws));
    add_text(&wire, CLOSE | FIN, "");
    ws_receive(ws);
    assert_true(ws_is_over(ws));
    assert_int_equal(ws_close_code(ws), WS_CODE_NONE);
    assert_int_equal(ws_error(ws)->kind, CTZ_ERROR_NONE);
    ws_free(ws);
    wire_clear(&wire);
}

// --- the handshake -----------------------------------------------------------------------------

TEST(the_answer_to_a_key_is_that_of_the_standard)
{
    char key[WS_KEY_BYTES], other[WS_KEY_BYTES], accept[WS_ACCEPT_BYTES];
    struct ctz_error err = {0};
    assert_int_equal(ws_accept("dGhlIHNhbXBsZSBub25jZQ==", accept, &err), 0);
    assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="); // RFC 6455, 1.3
    assert_int_equal(ws_key(key, &err), 0);
    assert_int_equal(ws_key(other, &err), 0);
    assert_int_equal(strlen(key), 24);
    assert_string_not_equal(key, other);
    assert_int_equal(ws_accept("short", accept, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_USAGE);
    ctz_error_clear(&err);
}

// --- without memory, and with nonsense ---------------------------------------------------------

TEST(every_allocation_may_fail)
{
    if (!CAN_FAIL)
        return; // the interposed allocator is the sanitizer's here; the plain build runs this
    char text[1000];
    bool failed = true;
    for (long n = 1; failed; n++) {
        struct wire wire;
        struct ctz_error err = {0};
        wire_init(&wire);
        add_conversation(&wire);
        ctz_buffer_reserve(&wire.out, 4096);
        left_to_go = n;
        struct ws *ws = open_ws(&wire, 1000, 1000);
        int queued = ws ? ws_queue(ws, 0, "hello", 5, &err) : -1;
        if (ws)
            gather(ws, text, sizeof text);
        failed = left_to_go == 0;
        left_to_go = 0;
        bool whole = ws && queued == 0 && ws_error(ws)->kind == CTZ_ERROR_NONE;
        assert_true(failed || whole);
        if (whole)
            assert_string_equal(text, "one|fragmented||s\xC3\xA9|");
        assert_true(n < 1000);
        ctz_error_clear(&err);
        ws_free(ws);
        wire_clear(&wire);
    }
}

static uint64_t random_of(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

// Whatever comes: no crash, no message over the limit, and an end once the connection ends.
TEST(nonsense_ends_in_an_error_or_in_messages_within_the_limit)
{
    uint64_t seed = 88172645463325252u;
    for (int round = 0; round < 3000; round++) {
        struct wire wire;
        wire_init(&wire);
        wire.most = 1 + random_of(&seed) % 9;
        if (round % 2)
            add_conversation(&wire);
        for (uint64_t size = random_of(&seed) % 80; round % 2 == 0 && size > 0; size--)
            ctz_buffer_byte(&wire.in, (char)(random_of(&seed) % 4 ? random_of(&seed) : 0x82));
        for (int flips = 0; wire.in.length && flips < 3; flips++)
            wire.in.bytes[random_of(&seed) % wire.in.length] ^= (char)(1 << random_of(&seed) % 8);
        wire.ends = true;
        struct ws *ws = open_ws(&wire, 64, 128);
        for (int i = 0; i < 1000 && !ws_is_over(ws); i++) {
            ws_receive(ws);
            ws_transmit(ws);
            for (struct ws_message *message; (message = ws_next(ws));) {
                assert_true(message->size <= 64);
                ws_message_free(message);
            }
        }
        assert_true(ws_is_over(ws));
        ws_free(ws);
        wire_clear(&wire);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages_are_the_same_however_few_bytes_come_at_once),
        cmocka_unit_test(frames_that_break_the_rules_are_an_error),
        cmocka_unit_test(
            a_connection_that_ends_without_a_close_frame_is_unreachable_after_its_messages),
        cmocka_unit_test(a_message_over_the_limit_is_refused_whole_or_in_fragments),
        cmocka_unit_test(the_other_side_waits_while_nobody_takes_its_messages),
        cmocka_unit_test(a_flood_of_pings_is_not_heaped_up_when_the_answers_do_not_get_out),
        cmocka_unit_test(messages_are_one_masked_frame_each_with_their_channel_in_front),
        cmocka_unit_test(after_our_close_frame_nothing_is_sent_and_theirs_ends_it),
        cmocka_unit_test(the_answer_to_a_key_is_that_of_the_standard),
        cmocka_unit_test(every_allocation_may_fail),
        cmocka_unit_test(nonsense_ends_in_an_error_or_in_messages_within_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
