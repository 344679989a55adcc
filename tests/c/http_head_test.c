// http_head_test.c: heads of answers, headers of requests, proxies: what needs no connection.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "host/http/inner.h"

#define MOST 4096

// Feeds the text line by line; 0 or the kind of the error.
static enum ctz_error_kind feed(struct http_head *head, const char *text, size_t size)
{
    struct ctz_error err = {0};
    while (size > 0) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) + 1 : size;
        if (ctz_http_head_line(head, text, length, MOST, &err) < 0) {
            enum ctz_error_kind kind = err.kind;
            ctz_error_clear(&err);
            return kind;
        }
        text += length;
        size -= length;
    }
    return CTZ_ERROR_NONE;
}

static enum ctz_error_kind feed_text(struct http_head *head, const char *text)
{
    return feed(head, text, strlen(text));
}

TEST(head_keeps_status_version_and_headers_in_their_order)
{
    struct http_head head;
    ctz_http_head_init(&head);
    assert_int_equal(feed_text(&head, "HTTP/1.1 200 OK\r\nA: 1\r\nB:2\r\na:  3 \t\r\nC:\r\n\r\n"),
                     0);
    assert_true(head.complete);
    assert_int_equal(head.status, 200);
    assert_string_equal(head.version, "1.1");
    assert_string_equal(ctz_http_head_find(&head, "b"), "2");
    assert_string_equal(ctz_http_head_find(&head, "A"), "1");
    assert_string_equal(ctz_http_head_find(&head, "c"), "");
    assert_null(ctz_http_head_find(&head, "D"));
    const char *name, *value;
    char all[64] = "";
    for (const char *at = NULL; (at = ctz_http_head_next(&head, at, &name, &value));)
        snprintf(all + strlen(all), sizeof all - strlen(all), "%s=%s;", name, value);
    assert_string_equal(all, "A=1;B=2;a=3;C=;");
    ctz_http_head_clear(&head);
}

TEST(head_of_an_informational_answer_is_replaced_by_the_next)
{
    struct http_head head;
    ctz_http_head_init(&head);
    assert_int_equal(feed_text(&head, "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n"), 0);
    assert_false(head.complete);
    assert_int_equal(feed_text(&head, "HTTP/2 204 \r\nA: b\r\n\r\n"), 0);
    assert_true(head.complete);
    assert_string_equal(head.version, "2");
    assert_null(ctz_http_head_find(&head, "Link"));
    ctz_http_head_clear(&head);
}

TEST(head_ignores_trailers_but_counts_them)
{
    struct http_head head;
    ctz_http_head_init(&head);
    assert_int_equal(feed_text(&head, "HTTP/1.1 200 OK\r\n\r\nTrailer: x\r\n"), 0);
    assert_null(ctz_http_head_find(&head, "Trailer"));
    char line[MOST];
    memset(line, 'x', sizeof line);
    assert_int_equal(feed(&head, line, sizeof line), CTZ_ERROR_SIZE);
    ctz_http_head_clear(&head);
}

TEST(head_refuses_what_could_be_read_in_two_ways)
{
    static const struct {
        const char *text;
        size_t size;
    } rows[] = {
#define ROW(text) {text, sizeof(text) - 1}
        ROW("HTTP/1.1 20 OK\r\n"),
        ROW("HTTP/1.1 2000\r\n"),
        ROW("HTTP/1.1 099 x\r\n"),
        ROW("HTTP/1.1\r\n"),
        ROW("HTTP/1.111 200 OK\r\n"),
        ROW("HTTP/1.1 200 OK\r\nA: b\r\n c\r\n"),
        ROW("HTTP/1.1 200 OK\r\nA: b\0c\r\n"),
        ROW("HTTP/1.1 200 OK\r\nno colon\r\n"),
        ROW("HTTP/1.1 200 OK\r\n: no name\r\n"),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n"),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n"),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: +1\r\n"),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n"),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: 0x10\r\n"),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: \r\n"),
        ROW("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n"),
#undef ROW
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct http_head head;
        ctz_http_head_init(&head);
        enum ctz_error_kind kind = feed(&head, rows[i].text, rows[i].size);
        if (kind != CTZ_ERROR_PROTOCOL)
            fail_msg("row %zu: kind %d", i, (int)kind);
        ctz_http_head_clear(&head);
    }
}

TEST(head_changed_anywhere_is_read_or_refused)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nA: b\r\n\r\n";
    for (size_t at = 0; at < sizeof text - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = (char)byte;
            struct http_head head;
            ctz_http_head_init(&head);
            feed(&head, changed, sizeof text - 1);
            ctz_http_head_find(&head, "nothing");
            ctz_http_head_clear(&head);
        }
}

TEST(retry_after_is_seconds_or_a_date)
{
    int64_t now_s = 784111777; // Sun, 06 Nov 1994 08:49:37 GMT
    assert_float_equal(ctz_http_retry_after("120", now_s), 120, 0);
    assert_float_equal(ctz_http_retry_after("0", now_s), 0, 0);
    assert_float_equal(ctz_http_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", now_s), 60, 0);
    assert_float_equal(ctz_http_retry_after("Sunday, 06-Nov-94 08:50:37 GMT", now_s), 60, 0);
    assert_float_equal(ctz_http_retry_after("Sun, 06 Nov 1994 08:49:00 GMT", now_s), 0, 0);
    assert_float_equal(ctz_http_retry_after("99999999999999", now_s), 999999999, 0);
    static const char *const garbage[] = {"-1", "1.5", "soon", "", " ", "12x", NULL};
    for (size_t i = 0; i < CTZ_COUNT(garbage); i++)
        assert_float_equal(ctz_http_retry_after(garbage[i], now_s), 0, 0);
}

// --- headers of a request ----------------------------------------------------------------------

static char *join(const struct http_lines *lines)
{
    struct ctz_buffer text;
    ctz_buffer_init(&text, MOST);
    for (const struct curl_slist *node = lines->first; node; node = node->next)
        ctz_buffer_format(&text, "%s|", node->data);
    return ctz_buffer_take(&text);
}

static void add(struct http_lines *lines, const char *name, const char *value)
{
    struct ctz_error err = {0};
    assert_int_equal(ctz_http_lines_add(lines, name, value, &err), 0);
}

TEST(lines_to_another_host_hold_no_credential)
{
    static const char *const names[] = {
        "Authorization", "Cookie", "X-Vault-Token",       "X-Registry-Auth", "Accept",
        "authorization", "Host",   "Proxy-Authorization", "User-Agent",      "range",
    };
    struct http_lines lines;
    ctz_http_lines_init(&lines);
    for (size_t i = 0; i < CTZ_COUNT(names); i++)
        add(&lines, names[i], "v");
    ctz_http_lines_strip(&lines);
    add(&lines, "Last", "v"); // the end of the list is where it should be
    char *text = join(&lines);
    assert_string_equal(text, "Accept: v|User-Agent: v|range: v|Last: v|");
    ctz_free(text);
    ctz_http_lines_clear(&lines);
}

TEST(lines_of_a_body_go_with_it)
{
    struct http_lines lines;
    ctz_http_lines_init(&lines);
    add(&lines, "content-type", "a/b");
    add(&lines, "Accept", "");
    add(&lines, "Content-Encoding", "gzip");
    ctz_http_lines_strip_body(&lines);
    char *text = join(&lines);
    assert_string_equal(text, "Accept;|");
    ctz_free(text);
    ctz_http_lines_clear(&lines);
}

TEST(lines_refuse_what_could_end_the_line)
{
    struct http_lines lines;
    struct ctz_error err = {0};
    ctz_http_lines_init(&lines);
    for (int byte = 1; byte < 256; byte++) {
        char value[] = {'a', (char)byte, 'b', '\0'};
        bool refused = ctz_http_lines_add(&lines, "N", value, &err) < 0;
        assert_int_equal(refused, (byte < 0x20 && byte != '\t') || byte == 0x7F);
        bool is_token = strchr("!#$%&'*+-.^_`|~", byte) || (byte >= '0' && byte <= '9') ||
                        (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z');
        assert_int_equal(ctz_http_lines_add(&lines, value, "v", &err) < 0, !is_token);
    }
    ctz_error_clear(&err);
    ctz_http_lines_clear(&lines);
}

TEST(lines_encode_user_and_password)
{
    static const char *const rows[][3] = {
        {"Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, // RFC 7617
        {"", "", "Basic Og=="},
        {"a", "", "Basic YTo="},
        {"a", "b", "Basic YTpi"},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct http_lines lines;
        struct ctz_error err = {0};
        ctz_http_lines_init(&lines);
        assert_int_equal(ctz_http_lines_basic(&lines, rows[i][0], rows[i][1], &err), 0);
        assert_string_equal(ctz_http_lines_find(&lines, "authorization"), rows[i][2]);
        ctz_http_lines_clear(&lines);
    }
}

// --- proxies -----------------------------------------------------------------------------------

TEST(no_proxy_names_hosts_domains_and_networks)
{
    static const struct {
        const char *list, *host;
        bool covered;
    } rows[] = {
        {"*", "anything", true},
        {"", "a", false},
        {"a", "a", true},
        {"A", "a", true},
        {"a", "b.a", true},
        {".a", "b.a", true},
        {".a", "a", true},
        {"a.", "a", true},
        {"a", "ba", false},
        {"b.a", "a", false},
        {"x, a ,y", "a", true},
        {"x y\ta", "a", true},
        {"10.0.0.0/8", "10.1.2.3", true},
        {"10.0.0.0/8", "11.1.2.3", false},
        {"10.0.0.0/31", "10.0.0.1", true},
        {"10.0.0.0/31", "10.0.0.2", false},
        {"10.0.0.0/33", "10.0.0.0", false},
        {"0.0.0.0/0", "8.8.8.8", true},
        {"127.0.0.1", "127.0.0.1", true},
        {"::1", "[::1]", true},
        {"fe80::/10", "[fe80::1]", true},
        {"fe80::/10", "[2001::1]", false},
        {"10.0.0.0/8", "[::1]", false},
        {"*.a", "b.a", false},
        {",,,", "a", false},
        {".", "a", false},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++)
        if (ctz_http_no_proxy(rows[i].list, rows[i].host) != rows[i].covered)
            fail_msg("\"%s\" and \"%s\"", rows[i].list, rows[i].host);
}

TEST(proxy_comes_from_the_environment)
{
    static const char *const names[] = {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY",
                                        "all_proxy",  "ALL_PROXY",  "no_proxy",    "NO_PROXY"};
    for (size_t i = 0; i < CTZ_COUNT(names); i++)
        unsetenv(names[i]);
    struct http_url plain = {.host = (char *)"a.test", .port = 80};
    struct http_url secure = {.host = (char *)"a.test", .port = 443, .secure = true};
    assert_null(ctz_http_proxy_of(&plain));
    setenv("HTTP_PROXY", "http://cgi", 1); // capitals only: a CGI's header "Proxy:"
    assert_null(ctz_http_proxy_of(&plain));
    setenv("ALL_PROXY", "http://all", 1);
    assert_string_equal(ctz_http_proxy_of(&plain), "http://all");
    setenv("http_proxy", "http://small", 1);
    setenv("HTTPS_PROXY", "http://secure", 1);
    assert_string_equal(ctz_http_proxy_of(&plain), "http://small");
    assert_string_equal(ctz_http_proxy_of(&secure), "http://secure");
    setenv("NO_PROXY", "test", 1);
    assert_null(ctz_http_proxy_of(&plain));
    setenv("no_proxy", "other", 1);
    assert_non_null(ctz_http_proxy_of(&plain));
    for (size_t i = 0; i < CTZ_COUNT(names); i++)
        unsetenv(names[i]);
}

TEST(proxy_has_a_host_and_a_port)
{
    static const struct {
        const char *text, *host;
        unsigned port;
        bool resolves;
    } rows[] = {
        {"http://p:3128", "p", 3128, true},
        {"p:3128", "p", 3128, true},
        {"P", "p", 1080, true},
        {"https://p", "p", 443, true},
        {"socks5h://u:p@h:9", "h", 9, true},
        {"socks5://h", "h", 1080, false},
        {"socks4://h", "h", 1080, false},
        {"http://[::1]:3128/", "[::1]", 3128, true},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct http_proxy proxy;
        struct ctz_error err = {0};
        assert_int_equal(ctz_http_proxy_parse(&proxy, rows[i].text, &err), 0);
        assert_string_equal(proxy.host, rows[i].host);
        assert_int_equal(proxy.port, rows[i].port);
        assert_int_equal(proxy.resolves, rows[i].resolves);
        ctz_free(proxy.host);
    }
    static const char *const wrong[] = {"ftp://p", "http://", "://", "http://a b"};
    for (size_t i = 0; i < CTZ_COUNT(wrong); i++) {
        struct http_proxy proxy;
        struct ctz_error err = {0};
        assert_int_equal(ctz_http_proxy_parse(&proxy, wrong[i], &err), -1);
        assert_int_equal(err.kind, CTZ_ERROR_USAGE);
        ctz_error_clear(&err);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(head_keeps_status_version_and_headers_in_their_order),
        cmocka_unit_test(head_of_an_informational_answer_is_replaced_by_the_next),
        cmocka_unit_test(head_ignores_trailers_but_counts_them),
        cmocka_unit_test(head_refuses_what_could_be_read_in_two_ways),
        cmocka_unit_test(head_changed_anywhere_is_read_or_refused),
        cmocka_unit_test(retry_after_is_seconds_or_a_date),
        cmocka_unit_test(lines_to_another_host_hold_no_credential),
        cmocka_unit_test(lines_of_a_body_go_with_it),
        cmocka_unit_test(lines_refuse_what_could_end_the_line),
        cmocka_unit_test(lines_encode_user_and_password),
        cmocka_unit_test(no_proxy_names_hosts_domains_and_networks),
        cmocka_unit_test(proxy_comes_from_the_environment),
        cmocka_unit_test(proxy_has_a_host_and_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
