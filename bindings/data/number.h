// number.h: numbers as JSON and YAML write them, in every locale the same.
// SPDX-License-Identifier: MIT
#ifndef CTZ_DATA_NUMBER_H
#define CTZ_DATA_NUMBER_H

#include "host/api.h"

#define CTZ_NUMBER_BYTES 32

/// A finite double as the shortest text that reads back to it; always with a point or an exponent,
/// so that it stays a float ("5.0", "1e+100"). Returns its length.
size_t ctz_number_write(double value, char out[CTZ_NUMBER_BYTES]);
size_t ctz_number_write_integer(int64_t value, char out[CTZ_NUMBER_BYTES]);
/// strtod with a point whatever the locale says; the text has been checked already.
double ctz_number_read(const char *text);
/// A key's number as Go writes it: strconv.FormatFloat(value, 'g', -1, 32).
size_t ctz_number_write_go32(double value, char out[CTZ_NUMBER_BYTES]);

/// Value of a digit of base 16, 99 for anything else.
unsigned ctz_number_digit(char c);

enum ctz_integer { CTZ_INTEGER_NONE, CTZ_INTEGER_FITS, CTZ_INTEGER_TOO_BIG };

/// Reads [at, end) as digits of the base (2 to 16), without sign or prefix. TOO_BIG: beyond int64.
enum ctz_integer ctz_number_read_digits(const char *at, const char *end, unsigned base,
                                        bool negative, int64_t *value);

#endif
