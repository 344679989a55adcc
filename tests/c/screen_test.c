// screen_test.c: text for a terminal.
// SPDX-License-Identifier: MIT
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <wchar.h>

#include "host/alloc.h"
#include "host/screen.h"
#include "tests/c/test.h"

static char *clean(const char *text, size_t size, bool keep_lines)
{
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    ctz_screen_clean(text, size, keep_lines, &out);
    return ctz_buffer_take(&out);
}

static void assert_clean(const char *text, const char *expected)
{
    char *got = clean(text, strlen(text), false);
    assert_string_equal(got, expected);
    ctz_free(got);
}

TEST(controls_escapes_and_changes_of_direction_become_visible)
{
    assert_clean("plain text, \xc3\xa9\xe6\x97\xa5", "plain text, \xc3\xa9\xe6\x97\xa5");
    assert_clean("a\033[31mb\007", "a\\x1b[31mb\\x07");
    assert_clean("a\nb\rc\td", "a\\nb\\rc\\td");
    assert_clean("\x7f", "\\x7f");
    assert_clean("\xc2\x9b"
                 "31m",
                 "\\u009b31m"); // CSI as one character
    assert_clean("\xe2\x80\xae"
                 "gnp.exe",
                 "\\u202egnp.exe");
    assert_clean("\xe2\x80\xa8", "\\u2028");
}

TEST(bytes_that_are_no_utf8_become_visible)
{
    assert_clean("\xff\xfe", "\\xff\\xfe");
    assert_clean("a\x80z", "a\\x80z");
    assert_clean("\xc0\xaf", "\\xc0\\xaf");                   // overlong /
    assert_clean("\xed\xa0\x80", "\\xed\\xa0\\x80");          // a surrogate
    assert_clean("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"); // past U+10FFFF
    assert_clean("\xe6\x97", "\\xe6\\x97");                   // cut
}

TEST(lines_and_tabs_stay_when_asked)
{
    char *got = clean("a\n\tb\r", 5, true);
    assert_string_equal(got, "a\n\tb\\r");
    ctz_free(got);
}

TEST(nothing_that_is_cleaned_holds_a_control)
{
    for (unsigned round = 0; round < 2000; round++) {
        char text[64];
        srand(round);
        for (size_t i = 0; i < sizeof text; i++)
            text[i] = (char)(rand() % 3 ? rand() : "\033\x9b[\n\xe2\x80\xc2"[rand() % 7]);
        char *got = clean(text, sizeof text, false);
        for (const char *at = got; *at;) {
            uint32_t c;
            size_t count = ctz_screen_decode(at, strlen(at), &c);
            assert_true(count > 0);
            assert_true(c >= 0x20 && (c < 0x7f || c > 0x9f));
            at += count;
        }
        ctz_free(got);
    }
}

TEST(wide_characters_take_two_columns_and_accents_none)
{
    assert_int_equal(ctz_screen_width("abc", 3), 3);
    assert_int_equal(ctz_screen_width("", 0), 0);
    assert_int_equal(ctz_screen_width("\xe6\x97\xa5\xe6\x9c\xac", 6), 4);
    assert_int_equal(ctz_screen_width("e\xcc\x81", 3), 1);
    assert_int_equal(ctz_screen_width("\xf0\x9f\x9a\x80", 4), 2);
}

// glibc's table is a second opinion; unassigned and rare characters may differ.
TEST(widths_agree_with_the_c_library)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    assert_non_null(utf8);
    locale_t before = uselocale(utf8);
    int different = 0, compared = 0;
    for (uint32_t c = 0x20; c < 0x20000; c++) {
        char bytes[8];
        int width = wcwidth((wchar_t)c);
        if (width < 0 || (c >= 0x7f && c < 0xa0) || (c >= 0xD800 && c < 0xE000))
            continue;
        mbstate_t shift = {0};
        size_t count = wcrtomb(bytes, (wchar_t)c, &shift);
        compared++;
        different += ctz_screen_width(bytes, count) != (size_t)width;
    }
    uselocale(before);
    freelocale(utf8);
    print_message("  %d of %d characters differ\n", different, compared);
    assert_true(different * 50 < compared);
}

TEST(a_cut_never_takes_half_a_character)
{
    const char text[] = "a\xe6\x97\xa5\xe6\x9c\xac";
    size_t taken;
    assert_int_equal(ctz_screen_fit(text, 7, 0, &taken), 0);
    assert_int_equal(ctz_screen_fit(text, 7, 2, &taken), 1);
    assert_int_equal(taken, 1);
    assert_int_equal(ctz_screen_fit(text, 7, 3, &taken), 4);
    assert_int_equal(ctz_screen_fit(text, 7, 4, &taken), 4);
    assert_int_equal(ctz_screen_fit(text, 7, 99, &taken), 7);
    assert_int_equal(taken, 5);
}

TEST(json_strings_hold_every_text)
{
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    ctz_screen_json("a\"\\\n\033\xff\xc3\xa9", 8, &out);
    assert_string_equal(out.bytes, "\"a\\\"\\\\\\n\\u001b\\ufffd\xc3\xa9\"");
    ctz_buffer_clear(&out);
}

static void assert_bytes(double bytes, const char *expected)
{
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    ctz_screen_bytes(bytes, &out);
    assert_string_equal(out.bytes, expected);
    ctz_buffer_clear(&out);
}

TEST(sizes_are_short_and_in_powers_of_a_thousand)
{
    assert_bytes(0, "0 B");
    assert_bytes(999, "999 B");
    assert_bytes(1000, "1.0 kB");
    assert_bytes(99949, "99.9 kB");
    assert_bytes(99950, "100 kB");
    assert_bytes(999499, "999 kB");
    assert_bytes(999500, "1.0 MB");
    assert_bytes(27300000, "27.3 MB");
    assert_bytes(9.2e18, "9.2 EB");
    assert_bytes(1e25, "10000000 EB");
}

static void assert_duration(double seconds, const char *expected)
{
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    ctz_screen_duration(seconds, &out);
    assert_string_equal(out.bytes, expected);
    ctz_buffer_clear(&out);
}

TEST(durations_show_their_two_largest_units)
{
    assert_duration(0, "0 ms");
    assert_duration(0.32, "320 ms");
    assert_duration(0.9996, "1.0 s");
    assert_duration(9.94, "9.9 s");
    assert_duration(9.96, "10 s");
    assert_duration(59.6, "1 min 0 s");
    assert_duration(3599.4, "59 min 59 s");
    assert_duration(3599.6, "1 h 0 min");
    assert_duration(7500, "2 h 5 min");
    assert_duration(90000, "1 d 1 h");
    assert_duration(1.0 / 0.0, "ages");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(controls_escapes_and_changes_of_direction_become_visible),
        cmocka_unit_test(bytes_that_are_no_utf8_become_visible),
        cmocka_unit_test(lines_and_tabs_stay_when_asked),
        cmocka_unit_test(nothing_that_is_cleaned_holds_a_control),
        cmocka_unit_test(wide_characters_take_two_columns_and_accents_none),
        cmocka_unit_test(widths_agree_with_the_c_library),
        cmocka_unit_test(a_cut_never_takes_half_a_character),
        cmocka_unit_test(json_strings_hold_every_text),
        cmocka_unit_test(sizes_are_short_and_in_powers_of_a_thousand),
        cmocka_unit_test(durations_show_their_two_largest_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
