// buildkit_test.c: gRPC framing, the services of a session, and its two ways to the engine.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <malloc.h>
#include <stdlib.h>

#include "bindings/buildkit/messages.pb-c.h"
#include "host/alloc.h"
#include "tests/c/buildkit_engine.h"

// --- what is freed -----------------------------------------------------------------------------

static const char *forbidden; // bytes that no freed block may hold
static unsigned found;

void __real_ctz_free(void *pointer);
void __wrap_ctz_free(void *pointer);

void __wrap_ctz_free(void *pointer)
{
    if (pointer && forbidden &&
        memmem(pointer, malloc_usable_size(pointer), forbidden, strlen(forbidden)))
        found++;
    __real_ctz_free(pointer);
}

// --- what cannot be had ------------------------------------------------------------------------

static int left_to_go; // > 0: the allocation that fails, counted down

void *__real_ctz_malloc(size_t size);
void *__wrap_ctz_malloc(size_t size);

void *__wrap_ctz_malloc(size_t size)
{
    return left_to_go > 0 && --left_to_go == 0 ? NULL : __real_ctz_malloc(size);
}

// --- messages in a stream ----------------------------------------------------------------------

struct seen {
    unsigned count;
    size_t sizes[8];
    char text[64];
};

static int see(void *context, const uint8_t *bytes, size_t size, struct ctz_error *err)
{
    (void)err;
    struct seen *seen = context;
    seen->sizes[seen->count++ % 8] = size;
    strncat(seen->text, (const char *)bytes, size);
    strcat(seen->text, "|");
    return 0;
}

static const uint8_t three[] = {0, 0, 0, 0, 3, 'o', 'n', 'e', 0,   0,
                                0, 0, 0, 0, 0, 0,   0,   2,   'a', 'b'};

TEST(reader_gives_the_same_messages_wherever_the_bytes_are_cut)
{
    struct ctz_error err = {0};
    for (size_t first = 0; first <= sizeof three; first++)
        for (size_t second = first; second <= sizeof three; second++) {
            struct bk_reader reader = {.max_bytes = 3};
            struct seen seen = {0};
            assert_int_equal(bk_reader_feed(&reader, three, first, see, &seen, &err), 0);
            assert_int_equal(
                bk_reader_feed(&reader, three + first, second - first, see, &seen, &err), 0);
            assert_int_equal(
                bk_reader_feed(&reader, three + second, sizeof three - second, see, &seen, &err),
                0);
            assert_int_equal(seen.count, 3);
            assert_string_equal(seen.text, "one||ab|");
            assert_true(bk_reader_is_between(&reader));
            bk_reader_clear(&reader);
        }
}

TEST(reader_knows_that_a_message_is_not_whole)
{
    struct ctz_error err = {0};
    for (size_t size = 1; size < 8; size++) {
        struct bk_reader reader = {.max_bytes = 10};
        struct seen seen = {0};
        assert_int_equal(bk_reader_feed(&reader, three, size, see, &seen, &err), 0);
        assert_int_equal(seen.count, 0);
        assert_false(bk_reader_is_between(&reader));
        bk_reader_clear(&reader);
    }
}

static enum ctz_error_kind kind_of(const uint8_t *bytes, size_t size)
{
    struct bk_reader reader = {.max_bytes = 1000};
    struct seen seen = {0};
    struct ctz_error err = {0};
    int result = bk_reader_feed(&reader, bytes, size, see, &seen, &err);
    enum ctz_error_kind kind = result < 0 ? err.kind : CTZ_ERROR_NONE;
    ctz_error_clear(&err);
    bk_reader_clear(&reader);
    return kind;
}

TEST(reader_refuses_what_is_too_long_compressed_or_no_message)
{
    static const uint8_t fits[] = {0, 0, 0, 3, 0xE8}, longer[] = {0, 0, 0, 3, 0xE9},
                         longest[] = {0, 0xFF, 0xFF, 0xFF, 0xFF}, packed[] = {1, 0, 0, 0, 0};
    assert_int_equal(kind_of(fits, 5), CTZ_ERROR_NONE);
    assert_int_equal(kind_of(longer, 5), CTZ_ERROR_SIZE);
    assert_int_equal(kind_of(longest, 5), CTZ_ERROR_SIZE);
    assert_int_equal(kind_of(packed, 5), CTZ_ERROR_PROTOCOL);
    assert_int_equal(kind_of((const uint8_t *)"HTTP/1.1 400", 12), CTZ_ERROR_PROTOCOL);
}

TEST(messages_of_a_status_survive_their_encoding)
{
    char encoded[400], back[200];
    const char *text = "100 % of \"s\xC3\xA9"
                       "cret\"\n\x01";
    bk_percent_encode(encoded, sizeof encoded, text);
    assert_string_equal(encoded, "100 %25 of \"s%C3%A9cret\"%0A%01");
    bk_percent_decode(back, sizeof back, encoded, strlen(encoded));
    assert_string_equal(back, text);
    bk_percent_decode(back, sizeof back, "%zz%4", 5);
    assert_string_equal(back, "%zz%4");
    for (size_t room = 1; room < 12; room++) { // cut between characters, never inside of %XX
        bk_percent_encode(encoded, room, "a%b%");
        size_t size = strlen(encoded);
        assert_true(size < room);
        assert_false(size > 0 && encoded[size - 1] == '%');
        assert_false(size > 1 && encoded[size - 2] == '%');
        bk_percent_decode(back, 3, "%41%42%43", 9);
        assert_string_equal(back, "AB");
    }
}

TEST(statuses_have_names_and_kinds)
{
    assert_int_equal(bk_status_of("not_found"), 5);
    assert_int_equal(bk_status_of("nonsense"), -1);
    assert_string_equal(bk_status_name(12), "UNIMPLEMENTED");
    assert_string_equal(bk_status_name(99), "UNKNOWN");
    assert_string_equal(bk_status_name(-1), "UNKNOWN");
    assert_int_equal(bk_status_kind(16), CTZ_ERROR_AUTH);
}

// --- the services, both ways -------------------------------------------------------------------

// One session; what is tested holds with the engine on the connection and behind a call.
struct pair {
    struct engine engine;
    struct bk_server *server;
    struct bk_tunnel *tunnel;
    struct ctz_error err;
};

static const struct bk_field fields[] = {{"x-docker-expose-session-uuid", "abc"},
                                         {"x-docker-expose-session-grpc-method", "/a/B"},
                                         {"x-docker-expose-session-grpc-method", "/c/D"}};

static void open_pair(struct pair *pair, bool tunnel)
{
    memset(pair, 0, sizeof *pair);
    engine_open(&pair->engine, tunnel);
    pair->server = bk_server_new();
    if (tunnel)
        pair->tunnel = bk_tunnel_new(pair->server, "localhost", fields, CTZ_COUNT(fields));
}

static void close_pair(struct pair *pair)
{
    engine_close(&pair->engine);
    bk_tunnel_free(pair->tunnel);
    bk_server_free(pair->server);
    ctz_error_clear(&pair->err);
}

static int talk(struct pair *pair, size_t piece)
{
    return engine_talk(&pair->engine, pair->server, pair->tunnel, piece, &pair->err);
}

static unsigned ask(struct pair *pair, const char *path, const char *subject)
{
    uint8_t message[300];
    Bk__GetSecretRequest request = BK__GET_SECRET_REQUEST__INIT; // both requests look like this
    request.id = (char *)subject;
    return engine_call(&pair->engine, path, message,
                       bk__get_secret_request__pack(&request, message));
}

static void check_secret(const struct engine_reply *reply, const char *value, size_t size)
{
    assert_true(reply->closed);
    assert_int_equal(reply->http_status, 200);
    assert_int_equal(reply->grpc_status, 0);
    Bk__GetSecretResponse *response = bk__get_secret_response__unpack(
        NULL, reply->body.length, (const uint8_t *)(reply->body.bytes ? reply->body.bytes : ""));
    assert_non_null(response);
    assert_int_equal(response->data.len, size);
    assert_true(size == 0 || memcmp(response->data.data, value, size) == 0);
    bk__get_secret_response__free_unpacked(response, NULL);
}

static void serve_one_secret(bool tunnel, size_t piece)
{
    struct pair pair;
    struct bk_call call;
    open_pair(&pair, tunnel);
    assert_false(bk_server_is_ready(pair.server));
    assert_int_equal(talk(&pair, piece), 0);
    assert_true(bk_server_is_ready(pair.server));
    unsigned asked = ask(&pair, BK_PATH_SECRET, "token");
    assert_false(bk_server_has_call(pair.server));
    assert_int_equal(talk(&pair, piece), 0);
    assert_true(bk_server_next(pair.server, &call));
    assert_int_equal(call.method, BK_METHOD_SECRET);
    assert_string_equal(call.subject, "token");
    assert_false(bk_server_has_call(pair.server)); // it is given out once
    assert_int_equal(bk_server_secret(pair.server, call.id, "a\0b", 3), 0);
    assert_int_equal(talk(&pair, piece), 0);
    check_secret(&pair.engine.replies[asked], "a\0b", 3);
    close_pair(&pair);
}

TEST(secrets_are_served_however_the_bytes_are_cut)
{
    for (size_t piece = 1; piece < 60; piece++)
        serve_one_secret(false, piece);
    serve_one_secret(false, 1 << 20);
}

TEST(secrets_are_served_behind_a_call_however_the_bytes_are_cut)
{
    for (size_t piece = 1; piece < 60; piece++)
        serve_one_secret(true, piece);
    serve_one_secret(true, 1 << 20);
}

TEST(a_session_behind_a_call_says_who_it_is)
{
    struct pair pair;
    open_pair(&pair, true);
    assert_int_equal(talk(&pair, 1000), 0);
    const char *said = pair.engine.fields;
    assert_non_null(strstr(said, ":method: POST\n"));
    assert_non_null(strstr(said, ":path: /moby.buildkit.v1.Control/Session\n"));
    assert_non_null(strstr(said, "content-type: application/grpc\n"));
    assert_non_null(strstr(said, "te: trailers\n"));
    assert_non_null(strstr(said, "x-docker-expose-session-uuid: abc\n"));
    assert_non_null(strstr(said, "grpc-method: /a/B\n"));
    assert_non_null(strstr(said, "grpc-method: /c/D\n"));
    close_pair(&pair);
}

static void serve_sizes(bool tunnel)
{
    static const size_t sizes[] = {0, 1, 127, 128, 16379, 16380, 65535, 65536, 500 * 1024};
    for (size_t i = 0; i < CTZ_COUNT(sizes); i++) {
        struct pair pair;
        struct bk_call call;
        char *value = malloc(sizes[i] + 1);
        for (size_t at = 0; at < sizes[i]; at++)
            value[at] = (char)(at * 7);
        open_pair(&pair, tunnel);
        unsigned asked = ask(&pair, BK_PATH_SECRET, "big");
        assert_int_equal(talk(&pair, 5000), 0);
        assert_true(bk_server_next(pair.server, &call));
        bk_server_secret(pair.server, call.id, value, sizes[i]);
        assert_int_equal(talk(&pair, 5000), 0);
        check_secret(&pair.engine.replies[asked], value, sizes[i]);
        close_pair(&pair);
        free(value);
    }
}

TEST(secrets_of_any_size_arrive_whole)
{
    serve_sizes(false);
    serve_sizes(true);
}

TEST(credentials_are_served)
{
    struct pair pair;
    struct bk_call call;
    open_pair(&pair, false);
    unsigned asked = ask(&pair, BK_PATH_CREDENTIALS, "registry.example:5000");
    talk(&pair, 100);
    assert_true(bk_server_next(pair.server, &call));
    assert_int_equal(call.method, BK_METHOD_CREDENTIALS);
    assert_string_equal(call.subject, "registry.example:5000");
    bk_server_credentials(pair.server, call.id, "me", 2, "pass", 4);
    talk(&pair, 100);
    const struct engine_reply *reply = &pair.engine.replies[asked];
    assert_int_equal(reply->grpc_status, 0);
    assert_int_equal(reply->body.length, 10);
    assert_memory_equal(reply->body.bytes, "\x0a\x02me\x12\x04pass", 10);
    close_pair(&pair);
}

TEST(health_is_answered_without_anybody_asking_the_recipe)
{
    struct pair pair;
    open_pair(&pair, true);
    unsigned asked = engine_call(&pair.engine, BK_PATH_HEALTH, "", 0);
    engine_ping(&pair.engine);
    talk(&pair, 100);
    const struct engine_reply *reply = &pair.engine.replies[asked];
    assert_int_equal(reply->grpc_status, 0);
    assert_int_equal(reply->body.length, 2);
    assert_memory_equal(reply->body.bytes, "\x08\x01", 2);
    assert_int_equal(pair.engine.pongs, 1);
    assert_false(bk_server_has_call(pair.server));
    close_pair(&pair);
}

static void check_refused(const char *path, const void *body, size_t size, int status)
{
    struct pair pair;
    open_pair(&pair, false);
    unsigned asked = engine_call_raw(&pair.engine, path, body, size);
    assert_int_equal(talk(&pair, 4096), 0);
    const struct engine_reply *reply = &pair.engine.replies[asked];
    assert_int_equal(reply->grpc_status, status);
    assert_int_equal(reply->http_status, 200);
    assert_true(*reply->words);
    assert_false(bk_server_has_call(pair.server));
    unsigned next = engine_call(&pair.engine, BK_PATH_HEALTH, "", 0); // the session goes on
    assert_int_equal(talk(&pair, 4096), 0);
    assert_int_equal(pair.engine.replies[next].grpc_status, 0);
    close_pair(&pair);
}

TEST(methods_that_are_not_served_are_unimplemented)
{
    static const char *const paths[] = {"/moby.filesync.v1.Auth/FetchToken",
                                        "/moby.filesync.v1.Auth/GetTokenAuthority",
                                        "/moby.filesync.v1.Auth/VerifyTokenAuthority",
                                        "/moby.filesync.v1.FileSync/DiffCopy",
                                        "/grpc.health.v1.Health/Watch",
                                        "/",
                                        "/a/very/long/path/that/is/none/of/ours/a/very/long/path/"
                                        "that/is/none/of/ours/and/longer/than/the/room/for/it"};
    for (size_t i = 0; i < CTZ_COUNT(paths); i++)
        check_refused(paths[i], "\0\0\0\0\0", 5, BK_UNIMPLEMENTED);
}

TEST(requests_that_are_no_message_are_refused_and_the_session_goes_on)
{
    static const uint8_t good[] = {0, 0, 0, 0, 3, 0x0a, 1, 'x'};
    for (size_t size = 0; size < sizeof good; size++)
        check_refused(BK_PATH_SECRET, good, size, BK_INTERNAL);
    check_refused(BK_PATH_SECRET, "\0\0\0\0\3\x0a\1x\0\0\0\0\3\x0a\1x", 16, BK_INTERNAL);
    check_refused(BK_PATH_SECRET, "\1\0\0\0\3\x0a\1x", 8, BK_INTERNAL);
    check_refused(BK_PATH_SECRET, "\0\0\0\0\3\x0a\x7fx", 8, BK_INTERNAL);
    check_refused(BK_PATH_CREDENTIALS, "\0\0\0\0\1\xff", 6, BK_INTERNAL);
    size_t much = 300 * 1024;
    uint8_t *body = calloc(1, much);
    check_refused(BK_PATH_SECRET, body, much, BK_RESOURCE_EXHAUSTED);
    free(body);
}

TEST(a_refusal_carries_its_words)
{
    struct pair pair;
    struct bk_call call;
    open_pair(&pair, true);
    unsigned asked = ask(&pair, BK_PATH_SECRET, "x");
    talk(&pair, 100);
    assert_true(bk_server_next(pair.server, &call));
    bk_server_refuse(pair.server, call.id, BK_NOT_FOUND, "no secret \"x\": 100 %");
    talk(&pair, 100);
    assert_int_equal(pair.engine.replies[asked].grpc_status, BK_NOT_FOUND);
    assert_string_equal(pair.engine.replies[asked].words, "no secret \"x\": 100 %");
    close_pair(&pair);
}

TEST(an_answer_to_a_call_that_was_given_up_is_dropped)
{
    struct pair pair;
    struct bk_call call;
    open_pair(&pair, false);
    unsigned first = ask(&pair, BK_PATH_SECRET, "x"), second = ask(&pair, BK_PATH_SECRET, "y");
    talk(&pair, 100);
    assert_true(bk_server_next(pair.server, &call));
    engine_give_up(&pair.engine, first);
    engine_give_up(&pair.engine, second); // nobody was told of it yet, and nobody will be
    talk(&pair, 100);
    assert_false(bk_server_has_call(pair.server));
    assert_int_equal(bk_server_secret(pair.server, call.id, "value", 5), 0);
    assert_int_equal(bk_server_refuse(pair.server, 12345, BK_NOT_FOUND, "x"), 0);
    assert_int_equal(bk_server_secret(pair.server, -1, "value", 5), 0);
    assert_int_equal(talk(&pair, 100), 0);
    assert_int_equal(pair.engine.replies[first].body.length, 0);
    close_pair(&pair);
}

TEST(an_answer_is_given_once)
{
    struct pair pair;
    struct bk_call call;
    open_pair(&pair, false);
    unsigned asked = ask(&pair, BK_PATH_SECRET, "x");
    talk(&pair, 100);
    assert_true(bk_server_next(pair.server, &call));
    assert_int_equal(bk_server_secret(pair.server, call.id, "one", 3), 0);
    assert_int_equal(bk_server_secret(pair.server, call.id, "two", 3), 0);
    assert_int_equal(bk_server_refuse(pair.server, call.id, BK_INTERNAL, "no"), 0);
    talk(&pair, 100);
    check_secret(&pair.engine.replies[asked], "one", 3);
    close_pair(&pair);
}

TEST(many_calls_are_given_out_in_their_order)
{
    struct pair pair;
    struct bk_call call;
    unsigned answered = 0;
    open_pair(&pair, true);
    talk(&pair, 1000); // so that the engine knows how many it may have open
    for (int i = 0; i < 200; i++) {
        char name[16];
        snprintf(name, sizeof name, "s%d", i);
        ask(&pair, BK_PATH_SECRET, name);
    }
    for (int round = 0; round < 20; round++) {
        assert_int_equal(talk(&pair, 1000), 0);
        unsigned open = 0;
        while (bk_server_next(pair.server, &call)) {
            char name[16];
            snprintf(name, sizeof name, "s%u", answered++);
            assert_string_equal(call.subject, name);
            bk_server_secret(pair.server, call.id, name, strlen(name));
            open++;
        }
        assert_true(open <= 64);
    }
    assert_int_equal(answered, 200);
    check_secret(&pair.engine.replies[199], "s199", 4);
    close_pair(&pair);
}

TEST(the_end_is_told_both_ways)
{
    struct pair pair;
    open_pair(&pair, false);
    talk(&pair, 100);
    bk_server_end(pair.server);
    assert_int_equal(talk(&pair, 100), 0);
    assert_true(pair.engine.went_away);
    assert_true(bk_server_is_over(pair.server));
    close_pair(&pair);
    open_pair(&pair, true);
    talk(&pair, 100);
    assert_false(bk_tunnel_is_over(pair.tunnel));
    pair.engine.ended = true;
    assert_int_equal(talk(&pair, 100), -1);
    assert_true(bk_tunnel_is_over(pair.tunnel));
    assert_int_equal(pair.err.kind, CTZ_ERROR_CANCELLED);
    assert_string_equal(pair.err.message, "the engine ended the session: all done");
    close_pair(&pair);
}

TEST(an_engine_that_refuses_the_call_is_told_of)
{
    static const struct {
        int http, grpc;
        enum ctz_error_kind kind;
        const char *message;
    } cases[] = {
        {0, 12, CTZ_ERROR_UNSUPPORTED, "the engine ended the session: not here"},
        {0, 7, CTZ_ERROR_DENIED, "the engine ended the session: not here"},
        {404, 0, CTZ_ERROR_UNSUPPORTED, "the engine serves no gRPC on its socket: it answers 404"},
    };
    for (size_t i = 0; i < CTZ_COUNT(cases); i++) {
        struct pair pair;
        open_pair(&pair, true);
        pair.engine.refuse_http = cases[i].http;
        pair.engine.refuse_grpc = cases[i].grpc;
        assert_int_equal(talk(&pair, 1), -1);
        assert_int_equal(pair.err.kind, cases[i].kind);
        assert_string_equal(pair.err.message, cases[i].message);
        close_pair(&pair);
    }
}

// --- the other side is broken ------------------------------------------------------------------

static int send_all(struct bk_server *server, struct bk_tunnel *front, struct ctz_error *err)
{
    const uint8_t *out;
    ptrdiff_t got = 1;
    while (got > 0)
        got = front ? bk_tunnel_pull(front, &out, err) : bk_server_pull(server, &out, err);
    return (int)got;
}

static int feed(struct bk_server *server, struct bk_tunnel *front, const void *bytes, size_t size,
                struct ctz_error *err)
{
    return front ? bk_tunnel_feed(front, bytes, size, err)
                 : bk_server_feed(server, bytes, size, err);
}

static enum ctz_error_kind fail_with(const void *bytes, size_t size, bool tunnel)
{
    struct bk_server *server = bk_server_new();
    struct bk_tunnel *front = tunnel ? bk_tunnel_new(server, "localhost", NULL, 0) : NULL;
    struct ctz_error err = {0};
    int result = send_all(server, front, &err); // the call goes out before it is answered
    if (result == 0)
        result = feed(server, front, bytes, size, &err);
    if (result == 0)
        result = send_all(server, front, &err);
    enum ctz_error_kind kind = result < 0 ? err.kind : CTZ_ERROR_NONE;
    ctz_error_clear(&err);
    bk_tunnel_free(front);
    bk_server_free(server);
    return kind;
}

TEST(what_is_no_http_2_is_a_protocol_error)
{
    static const char answer[] = "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    assert_int_equal(fail_with(answer, sizeof answer - 1, false), CTZ_ERROR_PROTOCOL);
    assert_int_equal(fail_with(answer, sizeof answer - 1, true), CTZ_ERROR_PROTOCOL);
    char zeros[200] = "";
    assert_int_equal(fail_with(zeros, sizeof zeros, false), CTZ_ERROR_PROTOCOL);
    assert_int_equal(fail_with(zeros, sizeof zeros, true), CTZ_ERROR_PROTOCOL);
}

// What an engine says that asks for five things, as the server or the tunnel receives it.
static uint8_t *record(bool tunnel, size_t *size)
{
    struct pair pair;
    struct ctz_buffer all;
    ctz_buffer_init(&all, SIZE_MAX / 2);
    open_pair(&pair, tunnel);
    for (int i = 0; i < 5; i++)
        ask(&pair, i % 2 ? BK_PATH_SECRET : BK_PATH_CREDENTIALS, "some-name");
    pair.engine.heard = &all;
    assert_int_equal(talk(&pair, 1000), 0);
    close_pair(&pair);
    *size = all.length;
    return (uint8_t *)ctz_buffer_take(&all);
}

// One byte of it is changed or left out, or the rest is missing.
TEST(spoiled_bytes_never_harm)
{
    for (int tunnel = 0; tunnel < 2; tunnel++) {
        size_t size;
        unsigned kinds[CTZ_ERROR_COUNT] = {0};
        uint8_t *bytes = record(tunnel, &size);
        srand(42);
        for (int i = 0; i < 4000; i++) {
            uint8_t *copy = (uint8_t *)ctz_memdup(bytes, size);
            size_t at = (size_t)rand() % size, length = size;
            if (i % 3 == 0)
                copy[at] = (uint8_t)rand();
            else if (i % 3 == 1)
                memmove(copy + at, copy + at + 1, --length - at);
            else
                length = at;
            kinds[fail_with(copy, length, tunnel)]++;
            ctz_free(copy);
        }
        assert_true(kinds[CTZ_ERROR_NONE] > 100 && kinds[CTZ_ERROR_PROTOCOL] > 100);
        assert_int_equal(kinds[CTZ_ERROR_INTERNAL], 0);
        ctz_free(bytes);
    }
}

// --- memory ------------------------------------------------------------------------------------

static void serve_forbidden(bool tunnel)
{
    struct pair pair;
    struct bk_call call;
    char value[] = "x-marks-the-spot", many[40000];
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = value[i % (sizeof value - 1)];
    open_pair(&pair, tunnel);
    ask(&pair, BK_PATH_SECRET, "a");
    ask(&pair, BK_PATH_SECRET, "b");
    ask(&pair, BK_PATH_CREDENTIALS, "c");
    talk(&pair, 100);
    assert_true(bk_server_next(pair.server, &call));
    bk_server_secret(pair.server, call.id, many, sizeof many);
    assert_true(bk_server_next(pair.server, &call));
    bk_server_secret(pair.server, call.id, value, strlen(value));
    assert_true(bk_server_next(pair.server, &call));
    bk_server_credentials(pair.server, call.id, "me", 2, value, strlen(value));
    const uint8_t *out;
    struct ctz_error err = {0};
    for (int i = 0; i < 4; i++) // part of it stays unsent
        if (tunnel)
            bk_tunnel_pull(pair.tunnel, &out, &err);
        else
            bk_server_pull(pair.server, &out, &err);
    found = 0;
    forbidden = value;
    bk_tunnel_free(pair.tunnel);
    bk_server_free(pair.server);
    forbidden = NULL;
    assert_int_equal(found, 0);
    engine_close(&pair.engine);
}

TEST(secrets_are_wiped_before_their_memory_is_free)
{
    serve_forbidden(false);
    serve_forbidden(true);
    char *block = ctz_strdup("x-marks-the-spot"); // the test itself would notice
    found = 0;
    forbidden = "x-marks-the-spot";
    ctz_free(block);
    forbidden = NULL;
    assert_int_equal(found, 1);
}

// Opens, asks, answers, ends, whatever fails on the way.
static void live_through(const uint8_t *bytes, size_t size, bool tunnel)
{
    struct ctz_error err = {0};
    struct bk_call call;
    struct bk_server *server = bk_server_new();
    struct bk_tunnel *front = NULL;
    if (server && tunnel)
        front = bk_tunnel_new(server, "localhost", fields, CTZ_COUNT(fields));
    if (server && (front || !tunnel)) {
        int result = send_all(server, front, &err);
        if (result == 0)
            result = feed(server, front, bytes, size, &err);
        while (result == 0 && bk_server_next(server, &call))
            result = call.method == BK_METHOD_SECRET
                         ? bk_server_secret(server, call.id, "value", 5)
                         : bk_server_refuse(server, call.id, BK_NOT_FOUND, "none");
        send_all(server, front, &err);
        bk_server_end(server);
    }
    bk_tunnel_free(front);
    bk_server_free(server);
    ctz_error_clear(&err);
}

TEST(memory_may_run_out_at_any_point)
{
    for (int tunnel = 0; tunnel < 2; tunnel++) {
        size_t size;
        uint8_t *bytes = record(tunnel, &size);
        int failures = 0;
        do {
            left_to_go = ++failures;
            live_through(bytes, size, tunnel);
        } while (left_to_go == 0); // else there were fewer allocations
        left_to_go = 0;
        assert_true(failures > 50);
        ctz_free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reader_gives_the_same_messages_wherever_the_bytes_are_cut),
        cmocka_unit_test(reader_knows_that_a_message_is_not_whole),
        cmocka_unit_test(reader_refuses_what_is_too_long_compressed_or_no_message),
        cmocka_unit_test(messages_of_a_status_survive_their_encoding),
        cmocka_unit_test(statuses_have_names_and_kinds),
        cmocka_unit_test(secrets_are_served_however_the_bytes_are_cut),
        cmocka_unit_test(secrets_are_served_behind_a_call_however_the_bytes_are_cut),
        cmocka_unit_test(a_session_behind_a_call_says_who_it_is),
        cmocka_unit_test(secrets_of_any_size_arrive_whole),
        cmocka_unit_test(credentials_are_served),
        cmocka_unit_test(health_is_answered_without_anybody_asking_the_recipe),
        cmocka_unit_test(methods_that_are_not_served_are_unimplemented),
        cmocka_unit_test(requests_that_are_no_message_are_refused_and_the_session_goes_on),
        cmocka_unit_test(a_refusal_carries_its_words),
        cmocka_unit_test(an_answer_to_a_call_that_was_given_up_is_dropped),
        cmocka_unit_test(an_answer_is_given_once),
        cmocka_unit_test(many_calls_are_given_out_in_their_order),
        cmocka_unit_test(the_end_is_told_both_ways),
        cmocka_unit_test(an_engine_that_refuses_the_call_is_told_of),
        cmocka_unit_test(what_is_no_http_2_is_a_protocol_error),
        cmocka_unit_test(spoiled_bytes_never_harm),
        cmocka_unit_test(secrets_are_wiped_before_their_memory_is_free),
        cmocka_unit_test(memory_may_run_out_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
