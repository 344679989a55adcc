// number.c: numbers as JSON and YAML write them, in every locale the same.
// SPDX-License-Identifier: MIT
#include "bindings/data/number.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The C locale is a constant of the C library: asking for it allocates nothing.
static locale_t c_locale(void)
{
    return newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static size_t format(char out[CTZ_NUMBER_BYTES], const char *how, int precision, double value)
{
    locale_t before = uselocale(c_locale());
    int length = snprintf(out, CTZ_NUMBER_BYTES, how, precision, value);
    uselocale(before);
    return (size_t)length;
}

double ctz_number_read(const char *text)
{
    return strtod_l(text, NULL, c_locale());
}

size_t ctz_number_write(double value, char out[CTZ_NUMBER_BYTES])
{
    // Every decimal of 15 digits has a double of its own, so %.15g finds the shortest text when it
    // has that many or fewer; only subnormal doubles are coarser than that.
    int precision = fabs(value) < DBL_MIN && value != 0 ? 1 : DBL_DIG;
    size_t length = format(out, "%.*g", precision, value);
    while (precision < DBL_DECIMAL_DIG && ctz_number_read(out) != value)
        length = format(out, "%.*g", ++precision, value);
    if (!strpbrk(out, ".e"))
        length += (size_t)sprintf(out + length, ".0");
    return length;
}

size_t ctz_number_write_integer(int64_t value, char out[CTZ_NUMBER_BYTES])
{
    char digits[24], *at = digits + sizeof digits;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        *--at = '-';
    size_t length = (size_t)(digits + sizeof digits - at);
    memcpy(out, at, length);
    out[length] = '\0';
    return length;
}

// Go takes the exponent form below 1e-4 and from 1e+06 on (strconv, ftoa.go: "if precision was the
// shortest possible, use precision 6 for this decision").
size_t ctz_number_write_go32(double value, char out[CTZ_NUMBER_BYTES])
{
    float single = (float)value; // infinite and NaN values are the caller's
    int precision = 0;
    do
        format(out, "%.*e", precision++, (double)single);
    while (precision < FLT_DECIMAL_DIG && strtof_l(out, NULL, c_locale()) != single);
    int exponent = atoi(strchr(out, 'e') + 1);
    if (exponent < -4 || exponent >= 6)
        return strlen(out);
    int decimals = precision - 1 - exponent;
    return format(out, "%.*f", decimals > 0 ? decimals : 0, (double)single);
}

unsigned ctz_number_digit(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    unsigned char lower = (unsigned char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10u : 99;
}

enum ctz_integer ctz_number_read_digits(const char *at, const char *end, unsigned base,
                                        bool negative, int64_t *value)
{
    if (at == end)
        return CTZ_INTEGER_NONE;
    uint64_t most = (uint64_t)INT64_MAX + negative, sum = 0;
    bool too_big = false;
    for (; at < end; at++) {
        unsigned digit = ctz_number_digit(*at);
        if (digit >= base)
            return CTZ_INTEGER_NONE;
        too_big = too_big || sum > (most - digit) / base;
        sum = sum * base + digit;
    }
    if (too_big)
        return CTZ_INTEGER_TOO_BIG;
    *value = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return CTZ_INTEGER_FITS;
}
