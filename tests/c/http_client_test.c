// http_client_test.c: requests under a real loop against a server thread that does as it is told.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/http/inner.h"

// --- the server --------------------------------------------------------------------------------

#define BIG_BYTES (8 << 20)

// Answers by path: /hello; /big (8 MB of the letter x); /echo (the body of the request); /wait (the
// head, then nothing until the other side leaves); /up (101, then what comes, back).
static struct server {
    int listener;
    unsigned port;
    _Atomic unsigned accepted, open, most_open;
} server;

static void send_all(int connection, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(connection, bytes, size, MSG_NOSIGNAL);
        if (sent <= 0)
            return;
        bytes += sent;
        size -= (size_t)sent;
    }
}

static void send_text(int connection, const char *text)
{
    send_all(connection, text, strlen(text));
}

static void serve_big(int connection)
{
    char block[65536];
    char head[100];
    memset(block, 'x', sizeof block);
    snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BIG_BYTES);
    send_text(connection, head);
    for (size_t left = BIG_BYTES; left > 0; left -= sizeof block)
        send_all(connection, block, sizeof block);
}

static void serve_echo(int connection, const char *head, const char *body, size_t have)
{
    const char *length_line = strstr(head, "Content-Length: ");
    size_t length = length_line ? (size_t)atol(length_line + 16) : 0;
    char *all = malloc(length + 1), answer[100];
    memcpy(all, body, have);
    while (have < length) {
        ssize_t got = recv(connection, all + have, length - have, 0);
        if (got <= 0)
            break;
        have += (size_t)got;
    }
    snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", have);
    send_text(connection, answer);
    send_all(connection, all, have);
    free(all);
}

static void serve_upgrade(int connection)
{
    char block[4096];
    send_text(connection, "HTTP/1.1 101 Up\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhi");
    for (ssize_t got; (got = recv(connection, block, sizeof block, 0)) > 0;)
        send_all(connection, block, (size_t)got);
    send_text(connection, "end");
}

// Reads one head; false at the end of the connection.
static bool serve_one(int connection)
{
    char request[8192];
    size_t have = 0;
    char *end = NULL;
    while (!end) {
        ssize_t got = recv(connection, request + have, sizeof request - 1 - have, 0);
        if (got <= 0)
            return false;
        have += (size_t)got;
        request[have] = '\0';
        end = strstr(request, "\r\n\r\n");
    }
    size_t head = (size_t)(end - request) + 4;
    const char *path = strchr(request, ' ') + 1;
    if (strncmp(path, "/big", 4) == 0) {
        serve_big(connection);
    } else if (strncmp(path, "/echo", 5) == 0) {
        serve_echo(connection, request, request + head, have - head);
    } else if (strncmp(path, "/wait", 5) == 0) {
        send_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n");
        return recv(connection, request, 1, 0) > 0;
    } else if (strncmp(path, "/up", 3) == 0) {
        serve_upgrade(connection);
        return false;
    } else {
        send_text(connection, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello");
    }
    return true;
}

static void *serve(void *context)
{
    int connection = (int)(intptr_t)context;
    while (serve_one(connection))
        ;
    close(connection);
    server.open--;
    return NULL;
}

static void *accept_all(void *unused)
{
    (void)unused;
    for (int connection; (connection = accept(server.listener, NULL, NULL)) >= 0;) {
        pthread_t thread;
        server.accepted++;
        unsigned open = ++server.open;
        if (open > server.most_open)
            server.most_open = open;
        pthread_create(&thread, NULL, serve, (void *)(intptr_t)connection);
        pthread_detach(thread);
    }
    return NULL;
}

static int start_server(void **state)
{
    (void)state;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    pthread_t thread;
    server.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server.listener, (struct sockaddr *)&address, length) < 0 ||
        listen(server.listener, 512) < 0)
        return -1;
    getsockname(server.listener, (struct sockaddr *)&address, &length);
    server.port = ntohs(address.sin_port);
    pthread_create(&thread, NULL, accept_all, NULL);
    return pthread_detach(thread);
}

static const char *url(const char *path)
{
    static char texts[8][100];
    static unsigned next;
    char *text = texts[next++ % 8];
    snprintf(text, sizeof texts[0], "http://127.0.0.1:%u%s", server.port, path);
    return text;
}

// --- the loop ----------------------------------------------------------------------------------

static struct ctz_host *host;
static struct ctz_http *client;

static int open_client(void **state)
{
    (void)state;
    struct ctz_error err = {0};
    host = ctz_host_new("http_client_test");
    return host ? ctz_http_open(&client, host, &err) : -1;
}

static int close_client(void **state)
{
    (void)state;
    if (client)
        ctz_http_close(client);
    client = NULL;
    ctz_host_free(host);
    return 0;
}

static void turn(void)
{
    uv_run(&host->loop, UV_RUN_NOWAIT);
    usleep(50);
    ctz_timers_fire(&host->timers, ctz_now());
}

static void turn_until(const bool *flag)
{
    for (int i = 0; i < 100000 && !*flag; i++)
        turn();
    assert_true(*flag);
}

struct seen {
    unsigned heads, data, rooms, dones;
    bool done, head;
    bool inside; // a call of ours is under way
    unsigned free_at;
    struct ctz_http_request *request;
};

static void see(struct ctz_http_request *request, enum ctz_http_event event, void *context)
{
    struct seen *seen = context;
    assert_false(seen->inside);
    assert_false(seen->done); // nothing follows the last event
    seen->heads += event == CTZ_HTTP_HEAD;
    seen->data += event == CTZ_HTTP_DATA;
    seen->rooms += event == CTZ_HTTP_ROOM;
    seen->dones += event == CTZ_HTTP_DONE;
    seen->head |= event == CTZ_HTTP_HEAD;
    seen->done |= event == CTZ_HTTP_DONE;
    if (seen->free_at == (unsigned)event) {
        seen->done = true;
        seen->request = NULL;
        ctz_http_free(request);
    }
}

static struct ctz_http_request *begin(const struct ctz_http_spec *spec, struct seen *seen)
{
    struct ctz_error err = {0};
    struct ctz_http_request *request = ctz_http_new(client, spec, &err);
    assert_non_null(request);
    seen->request = request;
    seen->inside = true;
    ctz_http_start(request, see, seen);
    seen->inside = false;
    return request;
}

static struct ctz_http_request *get(const char *path, struct seen *seen)
{
    struct ctz_http_spec spec = {.url = url(path), .redirects = CTZ_HTTP_REDIRECTS};
    return begin(&spec, seen);
}

// --- tests -------------------------------------------------------------------------------------

TEST(client_tells_the_end_once_and_keeps_the_answer)
{
    struct seen seen = {0};
    struct ctz_http_request *request = get("/hello", &seen);
    turn_until(&seen.done);
    size_t size;
    assert_int_equal(ctz_http_error(request)->kind, CTZ_ERROR_NONE);
    assert_int_equal(ctz_http_status(request), 200);
    assert_string_equal(ctz_http_header(request, "a"), "b");
    assert_memory_equal(ctz_http_body(request, &size), "hello", 5);
    assert_int_equal(size, 5);
    assert_int_equal(seen.heads + seen.data, 0); // it is no stream
    ctz_http_free(request);
}

TEST(client_tells_failures_from_the_loop_too)
{
    struct seen seen = {0};
    struct ctz_http_spec spec = {.url = "http://127.0.0.1:1/"};
    struct ctz_http_request *request = begin(&spec, &seen);
    turn_until(&seen.done);
    assert_int_equal(ctz_http_error(request)->kind, CTZ_ERROR_UNREACHABLE);
    assert_string_equal(ctz_http_error(request)->target, "http://127.0.0.1:1/");
    ctz_http_free(request);
    spec.proxy = "ftp://no"; // fails while it is started
    seen = (struct seen){0};
    request = begin(&spec, &seen);
    turn_until(&seen.done);
    assert_int_equal(ctz_http_error(request)->kind, CTZ_ERROR_USAGE);
    ctz_http_free(request);
}

TEST(client_pauses_a_stream_that_nobody_reads)
{
    struct seen seen = {0};
    struct ctz_http_spec spec = {.url = url("/big"), .stream = true};
    struct ctz_http_request *request = begin(&spec, &seen);
    turn_until(&seen.head);
    size_t size = 0, total = 0;
    for (int i = 0; i < 2000; i++)
        turn();
    const char *bytes = ctz_http_body(request, &size);
    assert_in_range(size, 1, 256 * CTZ_KIB + 128 * CTZ_KIB);
    while (!seen.done || size > 0) {
        bytes = ctz_http_body(request, &size);
        for (size_t i = 0; i < size; i += 4093)
            assert_int_equal(bytes[i], 'x');
        total += size;
        seen.inside = true;
        ctz_http_consume(request, size);
        seen.inside = false;
        turn();
    }
    assert_int_equal(total, BIG_BYTES);
    assert_int_equal(ctz_http_received(request), BIG_BYTES);
    assert_int_equal(ctz_http_error(request)->kind, CTZ_ERROR_NONE);
    ctz_http_free(request);
}

TEST(client_holds_events_while_nobody_listens)
{
    struct seen seen = {0};
    struct ctz_http_spec spec = {.url = url("/hello"), .stream = true};
    struct ctz_error err = {0};
    struct ctz_http_request *request = ctz_http_new(client, &spec, &err);
    ctz_http_start(request, NULL, NULL);
    for (int i = 0; i < 100000 && !ctz_http_is_done(request); i++)
        turn();
    assert_true(ctz_http_is_done(request));
    ctz_http_listen(request, see, &seen);
    turn_until(&seen.done);
    assert_int_equal(seen.heads, 1);
    assert_int_equal(seen.data, 1);
    ctz_http_free(request);
}

TEST(client_lets_an_event_free_its_request)
{
    static const unsigned events[] = {CTZ_HTTP_HEAD, CTZ_HTTP_DATA, CTZ_HTTP_DONE};
    for (size_t i = 0; i < CTZ_COUNT(events); i++) {
        struct seen seen = {.free_at = events[i]};
        struct ctz_http_spec spec = {.url = url("/hello"), .stream = true};
        begin(&spec, &seen);
        turn_until(&seen.done);
        assert_null(seen.request);
    }
    assert_null(client->requests);
}

TEST(client_frees_a_request_at_any_turn)
{
    static const char *const paths[] = {"/hello", "/big", "/wait", "/up", "/echo"};
    for (int i = 0; i < 600; i++) {
        struct seen seen = {0};
        struct ctz_http_spec spec = {
            .url = url(paths[i % 5]),
            .stream = i % 2,
            .upgrade = i % 5 == 3,
            .method = i % 5 == 4 ? "POST" : "GET",
            .body = i % 5 == 4 ? "abc" : NULL,
            .body_size = i % 5 == 4 ? 3 : 0,
        };
        struct ctz_http_request *request = begin(&spec, &seen);
        for (int turns = i % 31; turns > 0; turns--)
            turn();
        ctz_http_free(request);
    }
    struct seen seen = {0};
    struct ctz_http_request *request = get("/hello", &seen);
    turn_until(&seen.done);
    assert_int_equal(ctz_http_status(request), 200);
    ctz_http_free(request);
}

TEST(client_that_closes_leaves_requests_done)
{
    struct seen seen = {0};
    struct ctz_http_request *request = get("/wait", &seen);
    for (int i = 0; i < 50; i++)
        turn();
    ctz_http_close(client);
    client = NULL;
    assert_true(ctz_http_is_done(request));
    assert_int_equal(ctz_http_error(request)->kind, CTZ_ERROR_CANCELLED);
    assert_false(seen.done);
    ctz_http_free(request);
}

struct parts {
    const char *next;
    size_t left;
    bool open; // AGAIN until then
    bool rewound;
};

static ptrdiff_t pull(void *context, char *bytes, size_t size)
{
    struct parts *parts = context;
    if (!parts->open)
        return CTZ_HTTP_AGAIN;
    size = parts->left < size ? parts->left : size;
    size = size > 3 ? 3 : size;
    memcpy(bytes, parts->next, size);
    parts->next += size;
    parts->left -= size;
    parts->open = false;
    return (ptrdiff_t)size;
}

TEST(client_waits_for_a_source_that_has_nothing_yet)
{
    struct seen seen = {0};
    struct parts parts = {.next = "0123456789", .left = 10};
    struct ctz_http_source source = {.pull = pull, .context = &parts, .length = 10};
    struct ctz_http_spec spec = {.url = url("/echo"), .method = "PUT", .source = &source};
    struct ctz_http_request *request = begin(&spec, &seen);
    for (int i = 0; i < 100000 && !seen.done; i++) {
        turn();
        if (i % 20 == 0) {
            parts.open = true;
            seen.inside = true;
            ctz_http_feed(request);
            seen.inside = false;
        }
    }
    size_t size;
    assert_true(seen.done);
    assert_memory_equal(ctz_http_body(request, &size), "0123456789", 10);
    assert_true(seen.rooms > 0);
    ctz_http_free(request);
}

static ptrdiff_t fail_to_pull(void *context, char *bytes, size_t size)
{
    (void)context, (void)bytes, (void)size;
    return CTZ_HTTP_FAIL;
}

TEST(client_ends_when_the_source_fails)
{
    struct seen seen = {0};
    struct ctz_http_source source = {.pull = fail_to_pull, .length = 10};
    struct ctz_http_spec spec = {.url = url("/echo"), .method = "PUT", .source = &source};
    struct ctz_http_request *request = begin(&spec, &seen);
    turn_until(&seen.done);
    assert_int_equal(ctz_http_error(request)->kind, CTZ_ERROR_IO);
    ctz_http_free(request);
}

TEST(client_upgrades_and_talks_both_ways)
{
    struct seen seen = {0};
    static const struct ctz_http_header headers[] = {{"Connection", "Upgrade"}, {"Upgrade", "x"}};
    struct ctz_http_spec spec = {
        .url = url("/up"), .upgrade = true, .headers = headers, .header_count = 2};
    struct ctz_http_request *request = begin(&spec, &seen);
    struct ctz_error err = {0};
    turn_until(&seen.head);
    char text[16] = "";
    size_t have = 0;
    assert_int_equal(ctz_http_send(request, "abc", 3, &err), 3);
    assert_int_equal(ctz_http_half_close(request, &err), 0);
    for (int i = 0; i < 100000 && have < 8; i++) {
        ptrdiff_t got = ctz_http_recv(request, text + have, sizeof text - have, &err);
        if (got == CTZ_HTTP_AGAIN)
            ctz_http_watch(request, true, false);
        else if (got > 0)
            have += (size_t)got;
        turn();
    }
    assert_memory_equal(text, "hiabcend", 8);
    ptrdiff_t last = CTZ_HTTP_AGAIN;
    for (int i = 0; i < 10000 && last == CTZ_HTTP_AGAIN; i++, turn())
        last = ctz_http_recv(request, text, sizeof text, &err);
    assert_int_equal(last, 0);
    ctz_http_free(request);
}

TEST(client_keeps_to_its_number_of_connections_in_the_order_of_asking)
{
    struct seen seen[12] = {0};
    struct ctz_http_request *requests[12];
    client->max_active = 2;
    server.most_open = server.open;
    unsigned before = server.open;
    for (size_t i = 0; i < CTZ_COUNT(seen); i++)
        requests[i] = get("/hello", &seen[i]);
    assert_true(requests[5]->state == HTTP_QUEUED);
    ctz_http_free(requests[5]); // out of the middle of the queue
    for (size_t i = 0; i < CTZ_COUNT(seen); i++) {
        if (i == 5)
            continue;
        turn_until(&seen[i].done);
        assert_int_equal(ctz_http_status(requests[i]), 200);
        ctz_http_free(requests[i]);
    }
    assert_true(server.most_open <= before + 2);
    assert_int_equal(client->active, 0);
}

TEST(client_joins_look_ups_of_one_name_and_counts_abandoned_ones)
{
    struct seen seen[3] = {0};
    struct ctz_http_request *requests[3];
    struct ctz_http_spec spec = {.url = "http://no-such-host.invalid/"};
    for (size_t i = 0; i < 3; i++)
        requests[i] = begin(&spec, &seen[i]);
    assert_int_equal(client->lookups_running, 1);
    ctz_http_free(requests[1]);
    assert_int_equal(client->lookups_abandoned, 0);
    turn_until(&seen[2].done);
    turn_until(&seen[0].done);
    assert_int_equal(ctz_http_error(requests[0])->kind, CTZ_ERROR_UNREACHABLE);
    assert_int_equal(client->lookup_count, 0); // failures are not remembered
    ctz_http_free(requests[0]);
    ctz_http_free(requests[2]);
    seen[0] = (struct seen){0};
    ctz_http_free(begin(&spec, &seen[0]));
    assert_int_equal(client->lookups_abandoned, 1);
    seen[0] = (struct seen){0};
    requests[0] = begin(&spec, &seen[0]); // joins it, even when it was cancelled in the pool
    assert_int_equal(client->lookups_abandoned, 0);
    turn_until(&seen[0].done);
    assert_int_equal(ctz_http_error(requests[0])->kind, CTZ_ERROR_UNREACHABLE);
    assert_int_equal(client->lookups_running, 0);
    ctz_http_free(requests[0]);
}

#ifdef CTZ_TORTURE
TEST(client_without_descriptors_says_so)
{
    struct seen seen = {0};
    setenv("CTZ_FAIL", "connect:1:EMFILE", 1);
    struct ctz_http_request *request = get("/hello", &seen);
    turn_until(&seen.done);
    unsetenv("CTZ_FAIL");
    assert_int_equal(ctz_http_error(request)->kind, CTZ_ERROR_IO);
    assert_string_equal(ctz_http_error(request)->code, "EMFILE");
    ctz_http_free(request);
}
#endif

TEST(client_leaves_the_loop_idle_between_requests)
{
    struct seen seen = {0};
    struct ctz_http_request *request = get("/hello", &seen);
    turn_until(&seen.done);
    ctz_http_free(request);
    for (int i = 0; i < 20; i++)
        turn();
    assert_null(host->timers.root);
    // The connection is kept, but it keeps nobody waiting: else a deadlock would not be seen.
    assert_false(uv_loop_alive(&host->loop));
}

#define CLIENT_TEST(name) cmocka_unit_test_setup_teardown(name, open_client, close_client)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CLIENT_TEST(client_tells_the_end_once_and_keeps_the_answer),
        CLIENT_TEST(client_tells_failures_from_the_loop_too),
        CLIENT_TEST(client_pauses_a_stream_that_nobody_reads),
        CLIENT_TEST(client_holds_events_while_nobody_listens),
        CLIENT_TEST(client_lets_an_event_free_its_request),
        CLIENT_TEST(client_frees_a_request_at_any_turn),
        CLIENT_TEST(client_that_closes_leaves_requests_done),
        CLIENT_TEST(client_waits_for_a_source_that_has_nothing_yet),
        CLIENT_TEST(client_ends_when_the_source_fails),
        CLIENT_TEST(client_upgrades_and_talks_both_ways),
        CLIENT_TEST(client_keeps_to_its_number_of_connections_in_the_order_of_asking),
        CLIENT_TEST(client_joins_look_ups_of_one_name_and_counts_abandoned_ones),
#ifdef CTZ_TORTURE
        CLIENT_TEST(client_without_descriptors_says_so),
#endif
        CLIENT_TEST(client_leaves_the_loop_idle_between_requests),
    };
    return cmocka_run_group_tests(tests, start_server, NULL);
}
