// limits.c: every cap of ctz in one table, and the small parsers that read one.
// SPDX-License-Identifier: MIT
#include "host/limits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const struct ctz_limit_info table[] = {
#define X(name, text, value, unit, meaning) {text, value, unit, meaning},
    CTZ_LIMITS(X)
#undef X
};

void ctz_limits_init(struct ctz_limits *limits)
{
    for (size_t i = 0; i < CTZ_LIMIT_COUNT; i++)
        limits->values[i] = table[i].default_value;
}

const struct ctz_limit_info *ctz_limit_info(enum ctz_limit limit)
{
    return &table[limit];
}

// Power of 1024 for a unit as Docker writes it: "", b, k, kb, kib, ... t; -1 for anything else.
static int unit_power(const char *unit)
{
    static const char letters[] = "bkmgtp";
    if (*unit == '\0')
        return 0;
    const char *found = strchr(letters, tolower((unsigned char)*unit));
    if (!found)
        return -1;
    int power = (int)(found - letters);
    const char *rest = unit + 1;
    bool ends =
        *rest == '\0' || (power > 0 && (strcasecmp(rest, "b") == 0 || strcasecmp(rest, "ib") == 0));
    return ends ? power : -1;
}

int ctz_parse_bytes(const char *text, uint64_t *bytes, struct ctz_error *err)
{
    char *rest = NULL;
    double value = isdigit((unsigned char)*text) ? strtod(text, &rest) : -1;
    while (rest && *rest == ' ')
        rest++;
    int power = rest ? unit_power(rest) : -1;
    for (int i = 0; i < power; i++)
        value *= 1024;
    if (power < 0 || !(value >= 0 && value < 9.2e18))
        return ctz_error_set(err, CTZ_ERROR_USAGE,
                             "not a size: \"%s\" (a number with an optional k, m, g or t)", text);
    *bytes = (uint64_t)value;
    return 0;
}

int ctz_limits_parse(struct ctz_limits *limits, const char *assignment, struct ctz_error *err)
{
    const char *equals = strchr(assignment, '=');
    if (!equals)
        return ctz_error_set(err, CTZ_ERROR_USAGE, "--limit takes NAME=VALUE, got \"%s\"",
                             assignment);
    size_t length = (size_t)(equals - assignment);
    for (size_t i = 0; i < CTZ_LIMIT_COUNT; i++)
        if (strlen(table[i].name) == length && memcmp(table[i].name, assignment, length) == 0) {
            if (ctz_parse_bytes(equals + 1, &limits->values[i], err) < 0)
                return ctz_error_wrap(err, "limit %s", table[i].name);
            return 0;
        }
    const char *names[CTZ_LIMIT_COUNT + 1] = {0};
    for (size_t i = 0; i < CTZ_LIMIT_COUNT; i++)
        names[i] = table[i].name;
    char wrong[64];
    size_t copied = length < sizeof wrong - 1 ? length : sizeof wrong - 1;
    memcpy(wrong, assignment, copied);
    wrong[copied] = '\0';
    const char *near = ctz_nearest(wrong, names);
    ctz_error_set(err, CTZ_ERROR_USAGE, "no limit is called \"%s\"", wrong);
    if (near)
        ctz_error_hint(err, "did you mean %s? `ctz doctor` lists all limits", near);
    else
        ctz_error_hint(err, "`ctz doctor` lists all limits");
    return -1;
}

// Optimal string alignment distance, cut off at 64 characters a word.
static size_t distance(const char *a, const char *b)
{
    enum { MAX = 64 };
    size_t la = strnlen(a, MAX), lb = strnlen(b, MAX);
    size_t rows[3][MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    for (size_t j = 0; j <= lb; j++)
        last[j] = j;
    memcpy(before, last, sizeof rows[0]);
    for (size_t i = 1; i <= la; i++) {
        now[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t best = last[j - 1] + (a[i - 1] != b[j - 1]);
            if (last[j] + 1 < best)
                best = last[j] + 1;
            if (now[j - 1] + 1 < best)
                best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                before[j - 2] + 1 < best)
                best = before[j - 2] + 1;
            now[j] = best;
        }
        size_t *oldest = before;
        before = last;
        last = now;
        now = oldest;
    }
    return last[lb];
}

const char *ctz_nearest(const char *wrong, const char *const *names)
{
    const char *best = NULL;
    size_t best_distance = strlen(wrong) / 3 + 1; // one slip in a short word, more in a long one
    for (; *names; names++) {
        size_t d = distance(wrong, *names);
        if (d <= best_distance && (!best || d < best_distance)) {
            best = *names;
            best_distance = d;
        }
    }
    return best;
}
