// yaml_resolve.c: what a plain scalar of YAML means.
// SPDX-License-Identifier: MIT
//
// CORE is the table of YAML 1.2.2, section 10.3.2. K8S follows go.yaml.in/yaml/v2, resolve.go, step
// by step, with the one difference that integers beyond int64 are told apart instead of rounded.
#include "bindings/data/yaml.h"

#include <math.h>

#include "bindings/data/number.h"

#define PLAIN_BYTES 400 // longest number with underscores; a longer text is a string
#define WORD_BYTES  5   // of the longest word

struct word {
    const char *text;
    struct ctz_yaml_scalar scalar;
};

#define WORD_NULL(text)                                                                            \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .type = CTZ_YAML_NULL                                                                  \
        }                                                                                          \
    }
#define WORD_BOOL(text, b)                                                                         \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .type = CTZ_YAML_BOOL, .boolean = b                                                    \
        }                                                                                          \
    }
#define WORD_FLOAT(text, n)                                                                        \
    {                                                                                              \
        text,                                                                                      \
        {                                                                                          \
            .type = CTZ_YAML_FLOAT, .number = n                                                    \
        }                                                                                          \
    }
#define WORDS_NULL                                                                                 \
    WORD_NULL(""), WORD_NULL("~"), WORD_NULL("null"), WORD_NULL("Null"), WORD_NULL("NULL")
#define WORDS_BOOL(a, b, c, v)  WORD_BOOL(a, v), WORD_BOOL(b, v), WORD_BOOL(c, v)
#define WORDS_FLOAT(a, b, c, v) WORD_FLOAT(a, v), WORD_FLOAT(b, v), WORD_FLOAT(c, v)

static const struct word core_words[] = {
    WORDS_NULL,
    WORDS_BOOL("true", "True", "TRUE", true),
    WORDS_BOOL("false", "False", "FALSE", false),
    WORDS_FLOAT(".nan", ".NaN", ".NAN", NAN),
    WORDS_FLOAT(".inf", ".Inf", ".INF", INFINITY),
    WORDS_FLOAT("+.inf", "+.Inf", "+.INF", INFINITY),
    WORDS_FLOAT("-.inf", "-.Inf", "-.INF", -INFINITY),
};

// What YAML 1.1 adds.
static const struct word more_words[] = {
    WORD_BOOL("y", true),
    WORD_BOOL("Y", true),
    WORDS_BOOL("yes", "Yes", "YES", true),
    WORDS_BOOL("on", "On", "ON", true),
    WORD_BOOL("n", false),
    WORD_BOOL("N", false),
    WORDS_BOOL("no", "No", "NO", false),
    WORDS_BOOL("off", "Off", "OFF", false),
};

static bool find_word(const struct word *words, size_t count, const char *text, size_t size,
                      struct ctz_yaml_scalar *scalar)
{
    for (size_t i = 0; i < count; i++)
        if (strlen(words[i].text) == size && memcmp(words[i].text, text, size) == 0) {
            *scalar = words[i].scalar;
            return true;
        }
    return false;
}

// --- numbers -----------------------------------------------------------------------------------

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at)
{
    while (is_digit(*at))
        at++;
    return at;
}

// [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, of the whole text
static bool is_float(const char *at)
{
    at += *at == '-' || *at == '+';
    const char *digits = at;
    at = skip_digits(at);
    bool some = at > digits;
    if (*at == '.') {
        const char *decimals = at + 1;
        at = skip_digits(decimals);
        some = some || at > decimals;
    }
    if (!some)
        return false;
    if (*at == 'e' || *at == 'E') {
        at++;
        at += *at == '-' || *at == '+';
        if (!is_digit(*at))
            return false;
        at = skip_digits(at);
    }
    return *at == '\0';
}

static struct ctz_yaml_scalar string(void)
{
    return (struct ctz_yaml_scalar){.type = CTZ_YAML_STRING};
}

// A text that is_float accepts.
static struct ctz_yaml_scalar float_of(const char *text)
{
    struct ctz_yaml_scalar scalar = {.type = CTZ_YAML_FLOAT, .number = ctz_number_read(text)};
    bool is_big_integer = fabs(scalar.number) >= 0x1p63 && !strpbrk(text, ".eE");
    if (is_big_integer || !isfinite(scalar.number))
        scalar.type = CTZ_YAML_TOO_BIG;
    return scalar;
}

static double digits_as_float(const char *digits, unsigned base)
{
    double sum = 0;
    for (; *digits; digits++)
        sum = sum * base + ctz_number_digit(*digits);
    return sum;
}

static bool resolve_digits(const char *at, unsigned base, bool negative,
                           struct ctz_yaml_scalar *scalar)
{
    enum ctz_integer kind =
        ctz_number_read_digits(at, at + strlen(at), base, negative, &scalar->integer);
    scalar->type = CTZ_YAML_INTEGER;
    return kind == CTZ_INTEGER_FITS;
}

// Digits that fit a uint64 but not an int64.
static bool is_big_unsigned(const char *digits, unsigned base, struct ctz_yaml_scalar *scalar)
{
    uint64_t sum = 0;
    for (const char *at = digits; *at; at++) {
        unsigned digit = ctz_number_digit(*at);
        if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return false;
    }
    scalar->type = CTZ_YAML_TOO_BIG;
    scalar->number = (double)sum;
    return *digits != '\0';
}

// --- core --------------------------------------------------------------------------------------

// 0o and 0x, without a sign.
static struct ctz_yaml_scalar resolve_core_base(const char *digits, unsigned base)
{
    struct ctz_yaml_scalar scalar = string();
    if (resolve_digits(digits, base, false, &scalar))
        return scalar;
    for (const char *at = digits; *at; at++)
        if (ctz_number_digit(*at) >= base)
            return string();
    if (!*digits)
        return string();
    scalar.type = CTZ_YAML_TOO_BIG;
    scalar.number = digits_as_float(digits, base);
    return scalar;
}

static struct ctz_yaml_scalar resolve_core_number(const char *text)
{
    if (text[0] == '0' && (text[1] == 'o' || text[1] == 'x'))
        return resolve_core_base(text + 2, text[1] == 'o' ? 8 : 16);
    struct ctz_yaml_scalar scalar = string();
    bool negative = *text == '-';
    if (!is_float(text))
        return scalar;
    if (!resolve_digits(text + (negative || *text == '+'), 10, negative, &scalar))
        return float_of(text);
    if (negative && scalar.integer == 0) // an integer has no -0
        return (struct ctz_yaml_scalar){.type = CTZ_YAML_FLOAT, .number = -0.0};
    return scalar;
}

// --- k8s ---------------------------------------------------------------------------------------

// strconv.ParseInt(text, 0, 64), then ParseUint, without underscores.
static bool resolve_go_integer(const char *text, struct ctz_yaml_scalar *scalar)
{
    bool negative = *text == '-', sign = negative || *text == '+';
    const char *at = text + sign;
    unsigned base = 10;
    if (*at == '0') {
        char letter = (char)(at[1] | 0x20);
        base = letter == 'b' ? 2 : letter == 'x' ? 16 : 8;
        bool prefix = letter == 'b' || letter == 'o' || letter == 'x';
        if (prefix && !at[2])
            return false;
        at += prefix ? 2 : at[1] != '\0';
    }
    if (resolve_digits(at, base, negative, scalar))
        return true;
    return !sign && is_big_unsigned(at, base, scalar);
}

// text has no underscores.
static struct ctz_yaml_scalar resolve_go_number(const char *text)
{
    struct ctz_yaml_scalar scalar = string();
    if (resolve_go_integer(text, &scalar))
        return scalar;
    if (is_float(text)) {
        scalar = float_of(text);
        return isfinite(scalar.number) ? scalar : string();
    }
    // 0b is followed by what ParseInt takes as base 2, a sign included.
    bool sign = strncmp(text, "0b", 2) == 0 && (text[2] == '-' || text[2] == '+');
    return sign && resolve_digits(text + 3, 2, text[2] == '-', &scalar) ? scalar : string();
}

// Copies text without its underscores. Numbers that begin with a point go to strconv.ParseFloat as
// they are, which takes underscores between digits only.
static bool drop_underscores(const char *text, size_t size, char plain[PLAIN_BYTES])
{
    if (size >= PLAIN_BYTES)
        return false;
    for (const char *at = text; *at; at++) {
        if (*at != '_')
            *plain++ = *at;
        else if (*text == '.' && !(is_digit(at[-1]) && is_digit(at[1])))
            return false;
    }
    *plain = '\0';
    return true;
}

static struct ctz_yaml_scalar resolve_k8s(const char *text, size_t size)
{
    struct ctz_yaml_scalar scalar = string();
    char plain[PLAIN_BYTES];
    if (size <= WORD_BYTES && find_word(more_words, CTZ_COUNT(more_words), text, size, &scalar))
        return scalar;
    if (!is_digit(*text) && !strchr("-+.", *text))
        return scalar;
    if (memchr(text, '_', size)) {
        if (!drop_underscores(text, size, plain))
            return scalar;
        text = plain;
    }
    return resolve_go_number(text);
}

struct ctz_yaml_scalar ctz_yaml_resolve(enum ctz_yaml_schema schema, const char *text, size_t size)
{
    struct ctz_yaml_scalar scalar;
    if (size <= WORD_BYTES && find_word(core_words, CTZ_COUNT(core_words), text, size, &scalar))
        return scalar;
    if (strlen(text) != size) // a NUL inside
        return string();
    return schema == CTZ_YAML_CORE ? resolve_core_number(text) : resolve_k8s(text, size);
}

// --- tags --------------------------------------------------------------------------------------

bool ctz_yaml_resolve_tag(enum ctz_yaml_schema schema, const char *tag, const char *text,
                          size_t size, struct ctz_yaml_scalar *scalar)
{
    static const struct {
        const char *tag;
        enum ctz_yaml_type type;
    } types[] = {{"null", CTZ_YAML_NULL},
                 {"bool", CTZ_YAML_BOOL},
                 {"int", CTZ_YAML_INTEGER},
                 {"float", CTZ_YAML_FLOAT}};
    for (size_t i = 0; i < CTZ_COUNT(types); i++) {
        if (strcmp(types[i].tag, tag) != 0)
            continue;
        *scalar = ctz_yaml_resolve(schema, text, size);
        if (types[i].type == CTZ_YAML_FLOAT && scalar->type == CTZ_YAML_INTEGER) {
            scalar->type = CTZ_YAML_FLOAT;
            scalar->number = (double)scalar->integer;
        }
        return scalar->type == types[i].type ||
               (types[i].type == CTZ_YAML_INTEGER && scalar->type == CTZ_YAML_TOO_BIG);
    }
    *scalar = string();
    if (schema != CTZ_YAML_K8S || strcmp(tag, "timestamp") != 0)
        return true;
    return strspn(text, "0123456789") == 4 && text[4] == '-';
}
