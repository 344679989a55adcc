// regex.c: a small regular expression matcher: no backtracking, so hostile patterns cost nothing.
// Syntax as Go's regexp/syntax has it (parse.go, flags Perl). SPDX-License-Identifier: MIT
#include "bindings/context/program.h"

#include <string.h>

#include "host/alloc.h"

#define MAX_INSTRUCTIONS 100000 // a{1000}{...: Go has a limit too
#define MAX_REPEAT       1000   // Go's

// What is being parsed.
struct parser {
    struct ctz_regex *regex;
    const char *at, *end;
    const char *why;
    size_t atom;   // where the last atom begins
    size_t group;  // where the open group begins
    size_t branch; // where the alternative begins
    bool has_atom, in_group;
};

static uint32_t next_rune(struct parser *parser)
{
    size_t length;
    uint32_t rune = ctz_rune_decode(parser->at, (size_t)(parser->end - parser->at), &length);
    parser->at += length;
    return rune;
}

static bool is_next(const struct parser *parser, char byte)
{
    return parser->at < parser->end && *parser->at == byte;
}

static int refuse(struct parser *parser, const char *why)
{
    parser->why = why;
    return -1;
}

// --- the program -------------------------------------------------------------------------------

static int add_instruction(struct parser *parser, struct instruction instruction)
{
    struct ctz_regex *regex = parser->regex;
    if (regex->count == MAX_INSTRUCTIONS)
        return refuse(parser, "it is too large");
    if (regex->count == regex->capacity) {
        size_t capacity = regex->capacity ? 2 * regex->capacity : 16;
        struct instruction *program = ctz_realloc(regex->program, capacity * sizeof *program);
        if (!program)
            return refuse(parser, NULL);
        regex->program = program;
        regex->capacity = capacity;
    }
    regex->program[regex->count++] = instruction;
    return 0;
}

// An atom of one instruction, which a quantifier may follow.
static int add_atom(struct parser *parser, enum kind kind, uint32_t value)
{
    parser->atom = parser->regex->count;
    parser->has_atom = true;
    return add_instruction(parser, (struct instruction){.kind = kind, .value = value});
}

static int add_range(struct parser *parser, uint32_t low, uint32_t high)
{
    struct ctz_regex *regex = parser->regex;
    if (regex->range_count == regex->range_capacity) {
        size_t capacity = regex->range_capacity ? 2 * regex->range_capacity : 16;
        struct range *ranges = ctz_realloc(regex->ranges, capacity * sizeof *ranges);
        if (!ranges)
            return refuse(parser, NULL);
        regex->ranges = ranges;
        regex->range_capacity = capacity;
    }
    regex->ranges[regex->range_count++] = (struct range){low, high};
    return 0;
}

// Puts a split before the instructions from `at` on: to them, or over `over` more than they are.
static int insert_split(struct parser *parser, size_t at, int32_t over)
{
    struct ctz_regex *regex = parser->regex;
    int32_t size = (int32_t)(regex->count - at);
    if (add_instruction(parser, (struct instruction){.kind = JUMP}) != 0) // room for one
        return -1;
    struct instruction *first = &regex->program[at];
    memmove(first + 1, first, (size_t)size * sizeof *first);
    *first = (struct instruction){.kind = SPLIT, .x = 1, .y = size + 1 + over};
    return 0;
}

// The last atom, once or not at all; with `many` any number of times.
static int make_optional(struct parser *parser, size_t atom, bool many)
{
    int32_t size = (int32_t)(parser->regex->count - atom);
    if (insert_split(parser, atom, many) != 0)
        return -1;
    return many ? add_instruction(parser, (struct instruction){.kind = JUMP, .x = -size - 1}) : 0;
}

static int end_repetition(struct parser *parser)
{
    parser->has_atom = false; // what is repeated is not repeated again
    parser->regex->fixed_from = parser->regex->count;
    return 0;
}

static int quantify(struct parser *parser, bool many)
{
    if (!parser->has_atom)
        return refuse(parser, "a repetition repeats nothing");
    return make_optional(parser, parser->atom, many) != 0 ? -1 : end_repetition(parser);
}

// Appends `copies` of the instructions, each an atom; from copy `min` on they are optional.
static int add_copies(struct parser *parser, const struct instruction *atom, size_t size,
                      int copies, int min, bool many)
{
    for (int i = 0; i < copies; i++) {
        size_t begin = parser->regex->count;
        for (size_t j = 0; j < size; j++)
            if (add_instruction(parser, atom[j]) != 0)
                return -1;
        if (i >= min && make_optional(parser, begin, many) != 0)
            return -1;
    }
    return 0;
}

// {min,max} of the last atom; max < 0: any number.
static int repeat(struct parser *parser, int min, int max)
{
    struct ctz_regex *regex = parser->regex;
    if (!parser->has_atom)
        return refuse(parser, "a repetition repeats nothing");
    if (min > MAX_REPEAT || max > MAX_REPEAT || (max >= 0 && min > max))
        return refuse(parser, "a number of repetitions is too large");
    size_t size = regex->count - parser->atom;
    struct instruction *atom =
        (void *)ctz_memdup(regex->program + parser->atom, size * sizeof *atom);
    if (!atom)
        return refuse(parser, NULL);
    regex->count = parser->atom;
    int result = add_copies(parser, atom, size, max < 0 ? min + 1 : max, min, max < 0);
    ctz_free(atom);
    return result != 0 ? -1 : end_repetition(parser);
}

static bool read_number(const char **at, const char *end, int *number)
{
    const char *from = *at;
    if (end - from >= 2 && from[0] == '0' && ctz_is_digit((unsigned char)from[1]))
        return false; // as Go has it
    *number = 0;
    for (; *at < end && ctz_is_digit((unsigned char)**at); ++*at)
        if (*number <= MAX_REPEAT)
            *number = 10 * *number + (**at - '0');
    return *at > from;
}

// {2} {2,} {2,5} behind the brace; anything else is text.
static int read_repeat(struct parser *parser)
{
    const char *at = parser->at;
    int min, max;
    bool is_one = read_number(&at, parser->end, &min);
    max = min;
    if (is_one && at < parser->end && *at == ',') {
        at++;
        max = -1;
        if (at < parser->end && *at != '}')
            is_one = read_number(&at, parser->end, &max);
    }
    if (!is_one || at == parser->end || *at != '}')
        return add_atom(parser, CHAR, '{');
    parser->at = at + 1;
    return repeat(parser, min, max);
}

// One alternative ends. Only the first has the ^ before it, only the last has the $ behind it.
static int end_branch(struct parser *parser)
{
    if (add_instruction(parser, (struct instruction){.kind = MATCH}) != 0 ||
        insert_split(parser, parser->branch, 0) != 0)
        return -1;
    parser->branch = parser->regex->count;
    parser->has_atom = false;
    return 0;
}

// --- escapes and classes -----------------------------------------------------------------------

static int hex_value(uint32_t rune)
{
    if (ctz_is_digit(rune))
        return (int)(rune - '0');
    rune |= 0x20;
    return rune >= 'a' && rune <= 'f' ? (int)(rune - 'a') + 10 : -1;
}

// \x41 and \x{1F40B}
static int hex_escape(struct parser *parser, uint32_t *rune)
{
    bool braces = is_next(parser, '{');
    uint32_t value = 0;
    int digits = 0;
    parser->at += braces;
    while (parser->at < parser->end && (braces || digits < 2)) {
        int digit = hex_value((unsigned char)*parser->at);
        if (digit < 0)
            break;
        value = value * 16 + (uint32_t)digit;
        if (value > CTZ_MAX_RUNE)
            return refuse(parser, "an escape is no character");
        parser->at++;
        digits++;
    }
    if (braces ? digits == 0 || !is_next(parser, '}') : digits != 2)
        return refuse(parser, "\\x needs two hex digits");
    parser->at += braces;
    *rune = value;
    return 0;
}

// \0, \012; \1 alone would be a reference back.
static int octal_escape(struct parser *parser, uint32_t first, uint32_t *rune)
{
    if (first != '0' && !(parser->at < parser->end && *parser->at >= '0' && *parser->at <= '7'))
        return refuse(parser, "there are no references back");
    uint32_t value = first - '0';
    for (int i = 1; i < 3 && parser->at < parser->end && *parser->at >= '0' && *parser->at <= '7';
         i++)
        value = value * 8 + (uint32_t)(*parser->at++ - '0');
    *rune = value;
    return 0;
}

// The character behind a backslash.
static int escape(struct parser *parser, uint32_t *rune)
{
    static const char names[] = "afnrtv", values[] = "\a\f\n\r\t\v";
    if (parser->at == parser->end)
        return refuse(parser, "a backslash ends it");
    uint32_t c = next_rune(parser);
    if (c >= '0' && c <= '7')
        return octal_escape(parser, c, rune);
    if (c == 'x')
        return hex_escape(parser, rune);
    const char *name = c && c < 0x80 ? strchr(names, (int)c) : NULL;
    if (name) {
        *rune = (uint32_t)values[name - names];
        return 0;
    }
    if (c >= 0x80 || (ctz_is_word(c) && c != '_'))
        return refuse(parser, "a letter or a digit has no escape of that meaning");
    *rune = c;
    return 0;
}

struct named {
    const char *name;
    const char *ranges; // pairs of bytes
};

// The ranges of a class, or what is outside of them: pairs in rising order, "\001" for NUL.
static int add_ranges(struct parser *parser, const char *pairs, bool negated)
{
    uint32_t low = 0;
    for (; *pairs; pairs += 2) {
        uint32_t from = *pairs == '\001' ? 0 : (uint32_t)pairs[0];
        if (!negated && add_range(parser, from, (uint32_t)pairs[1]) != 0)
            return -1;
        if (negated && from > low && add_range(parser, low, from - 1) != 0)
            return -1;
        low = (uint32_t)pairs[1] + 1;
    }
    return negated ? add_range(parser, low, CTZ_MAX_RUNE) : 0;
}

// \d \s \w inside or outside of a class. 1: it was one, 0: it is none.
static int perl_class(struct parser *parser)
{
    static const struct named classes[] = {{"d", "09"}, {"s", "\t\n\f\r  "}, {"w", "09AZ__az"}};
    if (parser->end - parser->at < 2 || *parser->at != '\\')
        return 0;
    char letter = parser->at[1];
    for (size_t i = 0; i < CTZ_COUNT(classes); i++) {
        if ((letter | 0x20) != classes[i].name[0])
            continue;
        parser->at += 2;
        return add_ranges(parser, classes[i].ranges, letter != classes[i].name[0]) != 0 ? -1 : 1;
    }
    return 0;
}

// [:alpha:] inside a class. 1: it was one, 0: it is none.
static int posix_class(struct parser *parser)
{
    static const struct named classes[] = {
        {"alnum", "09AZaz"},
        {"alpha", "AZaz"},
        {"ascii", "\001\177"},
        {"blank", "\t\t  "},
        {"cntrl", "\001\037\177\177"},
        {"digit", "09"},
        {"graph", "!~"},
        {"lower", "az"},
        {"print", " ~"},
        {"punct", "!/:@[`{~"},
        {"space", "\t\r  "},
        {"upper", "AZ"},
        {"word", "09AZ__az"},
        {"xdigit", "09AFaf"},
    };
    size_t left = (size_t)(parser->end - parser->at);
    if (left < 3 || memcmp(parser->at, "[:", 2) != 0)
        return 0;
    const char *close = memmem(parser->at + 2, left - 2, ":]", 2);
    if (!close)
        return 0;
    const char *name = parser->at + 2;
    bool negated = *name == '^';
    name += negated;
    for (size_t i = 0; i < CTZ_COUNT(classes); i++) {
        size_t size = strlen(classes[i].name);
        if ((size_t)(close - name) != size || memcmp(name, classes[i].name, size) != 0)
            continue;
        parser->at = close + 2;
        return add_ranges(parser, classes[i].ranges, negated) != 0 ? -1 : 1;
    }
    return refuse(parser, "no class has that name");
}

static int class_character(struct parser *parser, uint32_t *rune)
{
    if (parser->at == parser->end)
        return refuse(parser, "a [ has no ]");
    *rune = next_rune(parser);
    return *rune == '\\' ? escape(parser, rune) : 0;
}

// One character or a range of them.
static int class_range(struct parser *parser)
{
    uint32_t low, high;
    if (is_next(parser, '\\') && parser->end - parser->at > 1 && (parser->at[1] | 0x20) == 'p')
        return refuse(parser, "classes of Unicode (\\p) are not supported");
    if (class_character(parser, &low) != 0)
        return -1;
    high = low;
    if (is_next(parser, '-') && parser->end - parser->at > 1 && parser->at[1] != ']') {
        parser->at++;
        if (class_character(parser, &high) != 0)
            return -1;
    }
    if (high < low)
        return refuse(parser, "a range runs backwards");
    return add_range(parser, low, high);
}

static int read_class(struct parser *parser)
{
    bool negated = is_next(parser, '^');
    size_t begin = parser->regex->range_count;
    parser->at += negated;
    for (bool first = true; first || !is_next(parser, ']'); first = false) {
        int found = posix_class(parser);
        if (found == 0)
            found = perl_class(parser);
        if (found == 0)
            found = class_range(parser);
        if (found < 0)
            return -1;
    }
    parser->at++;
    if (add_atom(parser, CLASS, (uint32_t)begin) != 0)
        return -1;
    struct instruction *class = &parser->regex->program[parser->regex->count - 1];
    class->x = (int32_t)(parser->regex->range_count - begin);
    class->y = negated;
    return 0;
}

static int read_escape(struct parser *parser)
{
    uint32_t rune;
    size_t begin = parser->regex->range_count;
    parser->at--;
    int found = perl_class(parser);
    if (found < 0)
        return -1;
    if (found) {
        if (add_atom(parser, CLASS, (uint32_t)begin) != 0)
            return -1;
        parser->regex->program[parser->regex->count - 1].x =
            (int32_t)(parser->regex->range_count - begin);
        return 0;
    }
    parser->at++;
    char letter = parser->at < parser->end ? *parser->at : '\0';
    if (letter && strchr("pPQ", letter))
        return refuse(parser, "\\p, \\P and \\Q are not supported");
    if (letter && strchr("AzbB", letter)) {
        parser->at++;
        return add_atom(parser,
                        letter == 'A'   ? BEGIN
                        : letter == 'z' ? END
                        : letter == 'b' ? WORD_EDGE
                                        : NO_WORD_EDGE,
                        0);
    }
    return escape(parser, &rune) != 0 ? -1 : add_atom(parser, CHAR, rune);
}

// --- parsing -----------------------------------------------------------------------------------

static int read_item(struct parser *parser)
{
    uint32_t rune = next_rune(parser);
    switch (rune) {
    case '(':
        parser->group = parser->regex->count;
        parser->in_group = true;
        parser->has_atom = false;
        return 0;
    case ')':
        if (!parser->in_group)
            return refuse(parser, "a ) has no (");
        parser->atom = parser->group;
        parser->has_atom = true;
        parser->in_group = false;
        return 0;
    case '*':
    case '?':
        return quantify(parser, rune == '*');
    case '{':
        return read_repeat(parser);
    case '|':
        return end_branch(parser);
    case '.':
        return add_atom(parser, ANY, 0);
    case '^':
        return add_atom(parser, BEGIN, 0);
    case '$':
        return add_atom(parser, END, 0);
    case '[':
        return read_class(parser);
    case '\\':
        return read_escape(parser);
    default:
        return add_atom(parser, CHAR, rune);
    }
}

static size_t encode(uint32_t rune, char bytes[4])
{
    if (rune < 0x80) {
        bytes[0] = (char)rune;
        return 1;
    }
    size_t length = rune < 0x800 ? 2 : rune < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        bytes[i] = (char)(0x80 | (rune & 0x3f));
        rune >>= 6;
    }
    bytes[0] = (char)((0xf00 >> length & 0xff) | rune);
    return length;
}

static bool is_plain(const struct instruction *instruction)
{
    // U+FFFD also matches bytes that are no UTF-8.
    return instruction->kind == CHAR && instruction->value != CTZ_NO_RUNE;
}

static char *encode_all(const struct instruction *program, size_t count, size_t *size)
{
    char *bytes = ctz_malloc(4 * count + 1);
    for (size_t i = 0; bytes && i < count; i++)
        *size += encode(program[i].value, bytes + *size);
    return bytes;
}

// What stands fixed at the begin and at the end.
static int find_fixed(struct parser *parser)
{
    struct ctz_regex *regex = parser->regex;
    regex->is_anchored = regex->program[0].kind == BEGIN;
    size_t from = regex->is_anchored, to = from, last = regex->count;
    if (!from) // alternatives, where a split comes first, or a ^ that was made optional
        regex->fixed_from = last;
    while (from && is_plain(&regex->program[to]))
        to++;
    regex->prefix = encode_all(regex->program + from, to - from, &regex->prefix_size);
    if (last >= 2 && regex->program[last - 2].kind == END) // before MATCH
        last -= 2;
    size_t begin = last;
    while (last != regex->count && begin > regex->fixed_from && begin > to &&
           is_plain(&regex->program[begin - 1]))
        begin--;
    regex->suffix = encode_all(regex->program + begin, last - begin, &regex->suffix_size);
    return regex->prefix && regex->suffix ? 0 : refuse(parser, NULL);
}

struct ctz_regex *ctz_regex_new(const char *text, size_t size, const char **why)
{
    struct parser parser = {.at = text, .end = text + size};
    parser.regex = ctz_calloc(1, sizeof *parser.regex);
    int result = parser.regex ? 0 : -1;
    while (result == 0 && parser.at < parser.end)
        result = read_item(&parser);
    if (result == 0 && parser.in_group)
        result = refuse(&parser, "a ( has no )");
    if (result == 0)
        result = add_instruction(&parser, (struct instruction){.kind = MATCH});
    if (result == 0)
        result = find_fixed(&parser);
    if (result == 0)
        return parser.regex;
    *why = parser.why;
    ctz_regex_free(parser.regex);
    return NULL;
}

void ctz_regex_free(struct ctz_regex *regex)
{
    if (!regex)
        return;
    ctz_free(regex->program);
    ctz_free(regex->ranges);
    ctz_free(regex->prefix);
    ctz_free(regex->suffix);
    ctz_free(regex);
}
