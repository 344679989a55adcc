// text_test.c: text.c: plain runs, UTF-8, places.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>
#include <stdlib.h>

#include "bindings/data/text.h"

TEST(text_plain_stops_at_the_first_byte_that_is_not_plain_wherever_it_stands)
{
    for (size_t size = 0; size < 40; size++) {
        char *text = malloc(size + 1); // so that ASan sees a read behind the end
        memset(text, 'a', size);
        assert_ptr_equal(ctz_text_plain(text, text + size), text + size);
        for (size_t at = 0; at < size; at++)
            for (int byte = 0; byte < 256; byte++) {
                bool plain = byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
                text[at] = (char)byte;
                assert_ptr_equal(ctz_text_plain(text, text + size), text + (plain ? size : at));
                text[at] = 'a';
            }
        free(text);
    }
}

TEST(text_takes_every_code_point_and_no_surrogate)
{
    char bytes[4];
    for (uint32_t c = 0; c <= 0x10ffff; c++) {
        size_t size = ctz_text_put(bytes, c);
        size_t expected = c >= 0xd800 && c <= 0xdfff ? 0 : size;
        assert_int_equal(ctz_text_sequence(bytes, bytes + size), expected);
        assert_int_equal(ctz_text_codepoint(bytes, size), c);
        if (size > 1)
            assert_int_equal(ctz_text_sequence(bytes, bytes + size - 1), 0);
    }
}

// The definition: decode by arithmetic, then look whether it is the shortest form of a scalar
// value.
static size_t slow_sequence(const unsigned char *b, size_t size)
{
    size_t length = size == 0     ? 0
                    : b[0] < 0x80 ? 1
                    : b[0] < 0xc0 ? 0
                    : b[0] < 0xe0 ? 2
                    : b[0] < 0xf0 ? 3
                    : b[0] < 0xf8 ? 4
                                  : 0;
    if (length > size)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    if (length < 2)
        return length;
    uint32_t c = ctz_text_codepoint((const char *)b, length);
    char shortest[4];
    bool scalar = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
    return scalar && ctz_text_put(shortest, c) == length ? length : 0;
}

TEST(text_agrees_with_the_definition_of_utf8_on_all_short_byte_strings)
{
    static const unsigned char edges[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0,
                                          0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xed,
                                          0xef, 0xf0, 0xf4, 0xf5, 0xf7, 0xf8, 0xff};
    for (unsigned first = 0; first < 256; first++)
        for (unsigned second = 0; second < 256; second++)
            for (size_t third = 0; third < sizeof edges; third++)
                for (size_t size = 0; size <= 4; size++) {
                    unsigned char b[] = {(unsigned char)first, (unsigned char)second, edges[third],
                                         0x80};
                    assert_int_equal(ctz_text_sequence((char *)b, (char *)b + size),
                                     slow_sequence(b, size));
                }
}

static const char *place(const char *bytes, size_t at)
{
    static char out[CTZ_PLACE_BYTES];
    struct ctz_text text = {bytes, strlen(bytes), NULL};
    return ctz_text_place(&text, bytes + at, out);
}

TEST(text_places_count_lines_of_all_systems_and_columns_in_characters)
{
    assert_string_equal(place("", 0), "1:1");
    assert_string_equal(place("ab", 2), "1:3");
    assert_string_equal(place("a\nb", 2), "2:1");
    assert_string_equal(place("a\r\nb\r\nc", 6), "3:1");
    assert_string_equal(place("a\rb\rc", 4), "3:1");
    assert_string_equal(place("a\n\n\nb", 4), "4:1");
    assert_string_equal(place("\xc3\xa9\xe2\x98\x95x", 5), "1:3");
}

static void expect_message(const char *bytes, size_t at, const char *name, const char *message)
{
    struct ctz_text text = {bytes, strlen(bytes), name};
    struct ctz_error err = {0};
    assert_int_equal(ctz_text_error(&text, bytes + at, &err, CTZ_ERROR_PROTOCOL, "%s", "bad"), -1);
    assert_string_equal(err.message, message);
    ctz_error_clear(&err);
}

TEST(text_errors_show_the_line_around_the_place_cut_between_characters)
{
    expect_message("", 0, NULL, "1:1: bad");
    expect_message("abc", 1, "x.json", "x.json:1:2: bad near `abc`");
    expect_message("one\ntwo\nthree", 5, NULL, "2:2: bad near `two`");
    expect_message("\x01\xff\x7f", 0, NULL, "1:1: bad near `...`");
    expect_message("0123456789012345678901234567890123456789012345678901234567890", 30, NULL,
                   "1:31: bad near `...0123456789012345678901234567890123456789...`");
    expect_message("\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95"
                   "\xe2\x98\x95\xe2\x98\x95",
                   24, NULL,
                   "1:9: bad near `...\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95\xe2\x98\x95"
                   "\xe2\x98\x95`");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_plain_stops_at_the_first_byte_that_is_not_plain_wherever_it_stands),
        cmocka_unit_test(text_takes_every_code_point_and_no_surrogate),
        cmocka_unit_test(text_agrees_with_the_definition_of_utf8_on_all_short_byte_strings),
        cmocka_unit_test(text_places_count_lines_of_all_systems_and_columns_in_characters),
        cmocka_unit_test(text_errors_show_the_line_around_the_place_cut_between_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
