// http_url_test.c: URLs become parts, the same parts whichever parser reads them.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>

#include "host/http/inner.h"

static struct http_url parse(const char *base, const char *text)
{
    struct http_url url;
    struct ctz_error err = {0};
    assert_int_equal(ctz_http_url_parse(&url, base, text, &err), 0);
    return url;
}

static enum ctz_error_kind kind_of(const char *base, const char *text)
{
    struct http_url url;
    struct ctz_error err = {0};
    assert_int_equal(ctz_http_url_parse(&url, base, text, &err), -1);
    assert_null(url.text);
    assert_null(url.host);
    enum ctz_error_kind kind = err.kind;
    ctz_error_clear(&err);
    return kind;
}

TEST(url_has_host_port_and_scheme)
{
    static const struct {
        const char *text, *host;
        unsigned port;
        bool secure;
    } rows[] = {
        {"http://example.org/", "example.org", 80, false},
        {"https://example.org/a/b?c=d", "example.org", 443, true},
        {"http://EXAMPLE.org:8080/", "example.org", 8080, false},
        {"http://127.0.0.1:1/", "127.0.0.1", 1, false},
        {"http://[::1]:81/x", "[::1]", 81, false},
        {"http://user:pw@h/", "h", 80, false},
        {"http://127.1/", "127.0.0.1", 80, false},
        {"http://0x7f000001/", "127.0.0.1", 80, false},
        {"http://2130706433/", "127.0.0.1", 80, false},
        {"http://017700000001/", "127.0.0.1", 80, false},
        {"http://a.b.c.65535.example:65535/", "a.b.c.65535.example", 65535, false},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct http_url url = parse(NULL, rows[i].text);
        assert_string_equal(url.host, rows[i].host);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.secure, rows[i].secure);
        ctz_http_url_clear(&url);
    }
}

// The quick reader takes plain URLs only; all of them have to mean what libcurl reads. With a base,
// libcurl's reader is used.
TEST(url_reads_the_same_in_both_readers)
{
    static const char *const texts[] = {
        "http://example.org/", "https://example.org:444/a/b/c.d?e=f&g=h,i;j",
        "http://a/",           "http://a-b.c_d/",
        "http://1.2.3.4/",     "http://1.2.3.4:80/x",
        "http://1.2.3/",       "http://1.2.3.4.5/",
        "http://01.2.3.4/",    "http://256.2.3.4/",
        "http://1.2.3.4./",    "http://example.org./",
        "http://x.1/",         "http://1x/",
        "http://a:0/",         "http://a:080/",
        "http://a:65536/",     "http://a:/",
        "http://a/b/../c",     "http://a/b/./c",
        "http://a/.b",         "http://a/b//c",
        "http://a/b:c",        "http://a/~b!*$",
        "http://a/?x/../y",    "http://-a/",
        "http://a..b/",        "http://.a/",
        "http://0x7f.1/",      "http://0x7f000001/",
        "http://1.0x2/",       "http://a/?",
        "http://a/b?c?d",      "https://registry-1.docker.io/v2/library/alpine/manifests/3.19",
    };
    for (size_t i = 0; i < CTZ_COUNT(texts); i++) {
        struct http_url quick, full;
        struct ctz_error err = {0};
        int quick_result = ctz_http_url_parse(&quick, NULL, texts[i], &err);
        int full_result = ctz_http_url_parse(&full, "http://base/", texts[i], &err);
        if (quick_result < 0 || full_result < 0) {
            assert_int_equal(quick_result, full_result);
            ctz_error_clear(&err);
            continue;
        }
        assert_string_equal(quick.host, full.host);
        assert_string_equal(quick.text, full.text);
        assert_int_equal(quick.port, full.port);
        assert_int_equal(quick.secure, full.secure);
        ctz_http_url_clear(&quick);
        ctz_http_url_clear(&full);
    }
}

TEST(url_text_shows_neither_credentials_nor_fragment)
{
    struct http_url url = parse(NULL, "https://me:p%40ss@example.org/a?b#c");
    assert_string_equal(url.text, "https://example.org/a?b");
    assert_string_equal(url.user, "me");
    assert_string_equal(url.password, "p@ss");
    ctz_http_url_clear(&url);
}

TEST(url_that_is_relative_is_read_against_its_base)
{
    static const char *const rows[][2] = {
        {"/x", "http://a:81/x"},         {"x", "http://a:81/b/x"},
        {"../x", "http://a:81/x"},       {"?q", "http://a:81/b/c?q"},
        {"//other/x", "http://other/x"}, {"https://b/y z", "https://b/y%20z"},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct http_url url = parse("http://a:81/b/c", rows[i][0]);
        assert_string_equal(url.text, rows[i][1]);
        ctz_http_url_clear(&url);
    }
}

TEST(url_of_another_scheme_or_shape_is_refused)
{
    static const char *const texts[] = {
        "",
        "x",
        "example.org",
        "ftp://a/",
        "file:///etc/passwd",
        "gopher://",
        "javascript:",
        "http:",
        "http:/a",
        "http:///a",
        "http://",
        "http://a b/",
        "http://a\tb/",
        "http://[::1",
        "http://[zz]/",
        "http://:80/",
        "http://a:b/",
        "http://a:99999/",
        "unix:/run/sock",
        "https://a\r\n.b/",
        "http://b\xC3\xBC.example/", // names are written in ASCII (xn--...)
    };
    for (size_t i = 0; i < CTZ_COUNT(texts); i++)
        assert_int_equal(kind_of(NULL, texts[i]), CTZ_ERROR_USAGE);
    assert_int_equal(kind_of("http://a/", "file:///etc/passwd"), CTZ_ERROR_USAGE);
}

TEST(url_cut_or_changed_anywhere_is_read_or_refused)
{
    static const char text[] = "https://us%er:pw@ex-ample.org:8443/a/../b%2Fc?d=e&f#g";
    for (size_t at = 0; at < sizeof text - 1; at++)
        for (int byte = 0; byte < 256; byte++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            changed[at] = (char)byte; // 0 cuts
            struct http_url url;
            struct ctz_error err = {0};
            if (ctz_http_url_parse(&url, NULL, changed, &err) == 0) {
                assert_null(strpbrk(url.text, " \r\n\t"));
                assert_null(strpbrk(url.host, " \r\n\t/@?#"));
            }
            ctz_http_url_clear(&url);
            ctz_error_clear(&err);
        }
}

TEST(url_origin_is_scheme_host_and_port)
{
    struct http_url a = parse(NULL, "http://h/x");
    static const struct {
        const char *text;
        bool same;
    } rows[] = {{"http://H:80/y", true}, {"http://h:81/x", false}, {"https://h/x", false},
                {"http://h.x/x", false}, {"https://h:80/", false}, {"http://h/", true}};
    for (size_t i = 0; i < CTZ_COUNT(rows); i++) {
        struct http_url b = parse(NULL, rows[i].text);
        assert_int_equal(ctz_http_same_origin(&a, &b), rows[i].same);
        ctz_http_url_clear(&b);
    }
    ctz_http_url_clear(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(url_has_host_port_and_scheme),
        cmocka_unit_test(url_reads_the_same_in_both_readers),
        cmocka_unit_test(url_text_shows_neither_credentials_nor_fragment),
        cmocka_unit_test(url_that_is_relative_is_read_against_its_base),
        cmocka_unit_test(url_of_another_scheme_or_shape_is_refused),
        cmocka_unit_test(url_cut_or_changed_anywhere_is_read_or_refused),
        cmocka_unit_test(url_origin_is_scheme_host_and_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
