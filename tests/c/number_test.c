// number_test.c: number.c: shortest floats, exact integers, in every locale.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bindings/data/number.h"

static const char *written(double value)
{
    static char text[CTZ_NUMBER_BYTES];
    size_t size = ctz_number_write(value, text);
    assert_int_equal(size, strlen(text));
    return text;
}

TEST(number_writes_the_shortest_text_that_reads_back)
{
    assert_string_equal(written(0.1), "0.1");
    assert_string_equal(written(0.1 + 0.2), "0.30000000000000004");
    assert_string_equal(written(1.0), "1.0");
    assert_string_equal(written(-0.0), "-0.0");
    assert_string_equal(written(1e21), "1e+21");
    assert_string_equal(written(5e-324), "5e-324");
    assert_string_equal(written(2.2250738585072014e-308), "2.2250738585072014e-308");
    assert_string_equal(written(1.7976931348623157e308), "1.7976931348623157e+308");
    assert_string_equal(written(9007199254740993.0), "9007199254740992.0");
}

TEST(number_reads_back_every_float_it_writes)
{
    srand48(1);
    for (int i = 0; i < 100000; i++) {
        union {
            uint64_t bits;
            double value;
        } any = {.bits = (uint64_t)mrand48() << 32 ^ (uint32_t)mrand48()};
        if (!isfinite(any.value))
            continue;
        assert_true(ctz_number_read(written(any.value)) == any.value);
    }
}

TEST(number_does_not_look_at_the_locale)
{
    char *before = strdup(setlocale(LC_NUMERIC, NULL));
    static const char *const commas[] = {"de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "ru_RU.UTF-8"};
    for (size_t i = 0; i < CTZ_COUNT(commas); i++)
        if (setlocale(LC_NUMERIC, commas[i]))
            break;
    assert_string_equal(written(1.5), "1.5");
    assert_true(ctz_number_read("2.5") == 2.5);
    setlocale(LC_NUMERIC, before);
    free(before);
}

TEST(number_writes_integers_to_both_ends)
{
    char text[CTZ_NUMBER_BYTES];
    static const struct {
        int64_t value;
        const char *text;
    } cases[] = {{0, "0"},
                 {-1, "-1"},
                 {1234567890, "1234567890"},
                 {INT64_MAX, "9223372036854775807"},
                 {INT64_MIN, "-9223372036854775808"}};
    for (size_t i = 0; i < CTZ_COUNT(cases); i++) {
        size_t size = ctz_number_write_integer(cases[i].value, text);
        assert_int_equal(size, strlen(cases[i].text));
        assert_string_equal(text, cases[i].text);
    }
}

static enum ctz_integer digits(const char *text, unsigned base, bool negative, int64_t *value)
{
    return ctz_number_read_digits(text, text + strlen(text), base, negative, value);
}

TEST(number_tells_integers_that_fit_from_those_that_do_not)
{
    int64_t value = 0;
    assert_int_equal(digits("9223372036854775807", 10, false, &value), CTZ_INTEGER_FITS);
    assert_true(value == INT64_MAX);
    assert_int_equal(digits("9223372036854775808", 10, false, &value), CTZ_INTEGER_TOO_BIG);
    assert_int_equal(digits("9223372036854775808", 10, true, &value), CTZ_INTEGER_FITS);
    assert_true(value == INT64_MIN);
    assert_int_equal(digits("9223372036854775809", 10, true, &value), CTZ_INTEGER_TOO_BIG);
    assert_int_equal(digits("99999999999999999999999999", 10, false, &value), CTZ_INTEGER_TOO_BIG);
    assert_int_equal(digits("7fffffffffffffff", 16, false, &value), CTZ_INTEGER_FITS);
    assert_int_equal(digits("8000000000000000", 16, false, &value), CTZ_INTEGER_TOO_BIG);
    assert_int_equal(digits("0000000000000000000000012", 8, false, &value), CTZ_INTEGER_FITS);
    assert_true(value == 10);
    assert_int_equal(digits("8", 8, false, &value), CTZ_INTEGER_NONE);
    assert_int_equal(digits("", 10, false, &value), CTZ_INTEGER_NONE);
    assert_int_equal(digits("999999999999999999999x", 10, false, &value), CTZ_INTEGER_NONE);
}

// Asked from Go 1.26: strconv.FormatFloat(f, 'g', -1, 32).
TEST(number_writes_keys_as_go_does)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{1e5, "100000"},
                 {1e6, "1e+06"},
                 {1234567, "1.234567e+06"},
                 {1e20, "1e+20"},
                 {1.1, "1.1"},
                 {1e-4, "0.0001"},
                 {1e-5, "1e-05"},
                 {123456789.5, "1.2345679e+08"},
                 {0.1, "0.1"},
                 {-2.5, "-2.5"},
                 {0, "0"}};
    char text[CTZ_NUMBER_BYTES];
    for (size_t i = 0; i < CTZ_COUNT(cases); i++) {
        ctz_number_write_go32(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(number_writes_the_shortest_text_that_reads_back),
        cmocka_unit_test(number_reads_back_every_float_it_writes),
        cmocka_unit_test(number_does_not_look_at_the_locale),
        cmocka_unit_test(number_writes_integers_to_both_ends),
        cmocka_unit_test(number_tells_integers_that_fit_from_those_that_do_not),
        cmocka_unit_test(number_writes_keys_as_go_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
