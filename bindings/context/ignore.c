// ignore.c: .dockerignore: lines become patterns, patterns match paths. The rules are those of
// moby/patternmatcher v0.6 (ignorefile.go, patternmatcher.go) on Unix, its quirks included: a
// pattern becomes a regular expression word for word, so `\d` is a digit and `[*]` is not a star.
// SPDX-License-Identifier: MIT
#include "bindings/context/ignore.h"

#include <string.h>

#include "host/alloc.h"
#include "host/buffer.h"
#include "host/limits.h"

#define MAX_LINE_BYTES (64 * CTZ_KIB) // bufio.MaxScanTokenSize, where moby gives up too

struct span {
    const char *at;
    size_t size;
};

// --- text --------------------------------------------------------------------------------------

// unicode.IsSpace
static bool is_space(uint32_t rune)
{
    return (rune >= '\t' && rune <= '\r') || rune == ' ' || rune == 0x85 || rune == 0xa0 ||
           rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200a) || rune == 0x2028 ||
           rune == 0x2029 || rune == 0x202f || rune == 0x205f || rune == 0x3000;
}

static struct span trim(struct span text)
{
    size_t length;
    while (text.size && is_space(ctz_rune_decode(text.at, text.size, &length))) {
        text.at += length;
        text.size -= length;
    }
    while (text.size) {
        size_t back = 1;
        while (back < text.size && back < 4 && (text.at[text.size - back] & 0xc0) == 0x80)
            back++;
        const char *last = text.at + text.size - back;
        if (!is_space(ctz_rune_decode(last, back, &length)) || length != back)
            break;
        text.size -= back;
    }
    return text;
}

// path.Clean; out has room for size + 1 bytes. Returns the length, at least 1.
static size_t clean(struct span path, char *out)
{
    bool rooted = path.size && path.at[0] == '/';
    size_t length = 0, floor = rooted; // ".." does not go back behind floor
    if (rooted)
        out[length++] = '/';
    for (size_t at = 0; at < path.size;) {
        const char *part = path.at + at, *slash = memchr(part, '/', path.size - at);
        size_t size = slash ? (size_t)(slash - part) : path.size - at;
        at += size + 1;
        if (size == 0 || (size == 1 && part[0] == '.'))
            continue;
        bool is_up = size == 2 && part[0] == '.' && part[1] == '.';
        if (is_up && length > floor) {
            while (--length > floor && out[length] != '/')
                ;
            continue;
        }
        if (is_up && rooted)
            continue;
        if (length > rooted)
            out[length++] = '/';
        memcpy(out + length, part, size);
        length += size;
        if (is_up)
            floor = length;
    }
    if (length == 0)
        out[length++] = '.';
    return length;
}

// --- what Go's filepath.Match refuses ----------------------------------------------------------
//
// patternmatcher.New asks filepath.Match(pattern, ".") for its error only. A part of the pattern
// behind a star is looked at when what stands before it matches ".", so that is tried here too.

static void skip(struct span *text, size_t size)
{
    text->at += size;
    text->size -= size;
}

// One end of a range, which something must follow.
static bool read_end(struct span *chunk, uint32_t *rune)
{
    size_t length;
    if (chunk->size == 0 || chunk->at[0] == '-' || chunk->at[0] == ']')
        return false;
    if (chunk->at[0] == '\\')
        skip(chunk, 1);
    if (chunk->size == 0)
        return false;
    *rune = ctz_rune_decode(chunk->at, chunk->size, &length);
    bool is_broken = *rune == 0xfffd && length == 1;
    skip(chunk, length);
    return !is_broken && chunk->size > 0;
}

// Behind the bracket. -1: malformed.
static int match_class(struct span *chunk, uint32_t rune)
{
    bool matched = false, negated = chunk->size && chunk->at[0] == '^';
    skip(chunk, negated);
    for (bool first = true; first || chunk->size == 0 || chunk->at[0] != ']'; first = false) {
        uint32_t low, high;
        if (!read_end(chunk, &low))
            return -1;
        high = low;
        if (chunk->at[0] == '-') {
            skip(chunk, 1);
            if (!read_end(chunk, &high))
                return -1;
        }
        matched |= low <= rune && rune <= high;
    }
    skip(chunk, 1);
    return matched != negated;
}

// A part without stars against the begin of name, which is taken from it. -1: malformed.
static int match_chunk(struct span chunk, struct span *name)
{
    bool failed = false;
    struct span left = *name;
    while (chunk.size) {
        failed |= left.size == 0;
        char c = chunk.at[0];
        skip(&chunk, 1);
        if (c == '[') {
            int matched = match_class(&chunk, failed ? 0 : (unsigned char)left.at[0]);
            if (matched < 0)
                return -1;
            failed |= !matched;
        } else if (c != '?') {
            if (c == '\\') {
                if (chunk.size == 0)
                    return -1;
                c = chunk.at[0];
                skip(&chunk, 1);
            }
            failed |= !failed && c != left.at[0];
        }
        skip(&left, left.size > 0);
    }
    *name = left;
    return !failed;
}

// Up to the next star outside of brackets.
static size_t chunk_size(struct span pattern)
{
    bool in_class = false;
    for (size_t i = 0; i < pattern.size; i++) {
        char c = pattern.at[i];
        if (c == '\\')
            i++;
        else if (c == '[' || c == ']')
            in_class = c == '[';
        else if (c == '*' && !in_class)
            return i;
    }
    return pattern.size;
}

static bool is_glob(struct span pattern)
{
    struct span name = {".", 1};
    while (pattern.size) {
        bool star = false;
        for (; pattern.size && pattern.at[0] == '*'; skip(&pattern, 1))
            star = true;
        struct span chunk = {pattern.at, chunk_size(pattern)};
        skip(&pattern, chunk.size);
        if (chunk.size == 0)
            return true;
        for (size_t from = 0;; from++) { // a star may take the dot
            struct span left = {name.at + from, name.size - from};
            int matched = match_chunk(chunk, &left);
            if (matched < 0)
                return false;
            if (matched && (left.size == 0 || pattern.size)) {
                name = left;
                break;
            }
            if (!star || from == name.size)
                return true;
        }
    }
    return true;
}

// --- a pattern as a regular expression ---------------------------------------------------------

struct translation {
    struct ctz_buffer regex;
    const char *at, *end;
    int type;
};

static bool is_next(const struct translation *to, char byte)
{
    return to->at < to->end && *to->at == byte;
}

static void translate_stars(struct translation *to, bool is_first)
{
    if (!is_next(to, '*')) {
        ctz_buffer_text(&to->regex, "[^/]*");
        to->type = CTZ_IGNORE_REGEX;
        return;
    }
    to->at++;
    to->at += is_next(to, '/'); // **/ is as **
    if (to->at < to->end) {
        ctz_buffer_text(&to->regex, "(.*/)?");
        to->type = CTZ_IGNORE_REGEX;
    } else if (to->type == CTZ_IGNORE_EXACT) {
        to->type = CTZ_IGNORE_PREFIX;
    } else {
        ctz_buffer_text(&to->regex, ".*");
        to->type = CTZ_IGNORE_REGEX;
    }
    if (is_first)
        to->type = CTZ_IGNORE_SUFFIX;
}

// Copies one character; what is no UTF-8 becomes U+FFFD, as Go's scanner has it.
static void translate_rune(struct translation *to)
{
    size_t length;
    uint32_t rune = ctz_rune_decode(to->at, (size_t)(to->end - to->at), &length);
    if (rune == 0xfffd)
        ctz_buffer_text(&to->regex, "\xef\xbf\xbd");
    else
        ctz_buffer_append(&to->regex, to->at, length);
    to->at += length;
}

static void translate(struct translation *to)
{
    ctz_buffer_byte(&to->regex, '^');
    if (to->end - to->at >= 3 && memcmp(to->at, "\xef\xbb\xbf", 3) == 0)
        to->at += 3; // Go's scanner drops it
    for (bool is_first = true; to->at < to->end; is_first = false) {
        char c = *to->at;
        if (c == '*') {
            to->at++;
            translate_stars(to, is_first);
        } else if (c == '?') {
            to->at++;
            ctz_buffer_text(&to->regex, "[^/]");
            to->type = CTZ_IGNORE_REGEX;
        } else if (c == '\\') {
            to->at++;
            ctz_buffer_byte(&to->regex, '\\');
            if (to->at == to->end) // it escapes the $ below: so does moby
                break;
            translate_rune(to);
            to->type = CTZ_IGNORE_REGEX;
        } else {
            if (c && strchr(".+()$", c)) // moby means to quote | { } too, but shifts bits out
                ctz_buffer_byte(&to->regex, '\\');
            else if (c == '[' || c == ']')
                to->type = CTZ_IGNORE_REGEX;
            translate_rune(to);
        }
    }
    ctz_buffer_byte(&to->regex, '$');
}

static int no_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_IO, "out of memory");
}

// Reads pattern->text. 0, -1 with err set (why != NULL: it is no pattern).
static int compile(struct ctz_ignore_pattern *pattern, const char **why, struct ctz_error *err)
{
    struct translation to = {.at = pattern->text, .end = pattern->text + pattern->size};
    ctz_buffer_init(&to.regex, 8 * MAX_LINE_BYTES);
    translate(&to);
    pattern->type = to.type;
    if (!to.regex.failed && to.type == CTZ_IGNORE_REGEX)
        pattern->regex = ctz_regex_new(to.regex.bytes, to.regex.length, why);
    bool failed = to.regex.failed || (to.type == CTZ_IGNORE_REGEX && !pattern->regex);
    ctz_buffer_clear(&to.regex);
    return failed ? no_memory(err) : 0;
}

// --- lines -------------------------------------------------------------------------------------

struct reading {
    struct ctz_ignore *ignore;
    const char *name;
    size_t line;
    struct ctz_error *err;
    char *first, *second; // owned, room for a line each
};

static int refuse(struct reading *reading, struct span line, const char *why)
{
    int shown = line.size < 80 ? (int)line.size : 80;
    ctz_error_set(reading->err, CTZ_ERROR_USAGE, "%s:%zu: \"%.*s\" is not a pattern: %s",
                  reading->name, reading->line, shown, line.at, why);
    ctz_error_target(reading->err, reading->name);
    return -1;
}

static struct ctz_ignore_pattern *new_pattern(struct ctz_ignore *ignore)
{
    if (ignore->count == ignore->capacity) {
        size_t capacity = ignore->capacity ? 2 * ignore->capacity : 16;
        struct ctz_ignore_pattern *patterns =
            ctz_realloc(ignore->patterns, capacity * sizeof *patterns);
        if (!patterns)
            return NULL;
        ignore->patterns = patterns;
        ignore->capacity = capacity;
    }
    struct ctz_ignore_pattern *pattern = &ignore->patterns[ignore->count];
    memset(pattern, 0, sizeof *pattern);
    return pattern;
}

// What ignorefile.ReadAll makes of a line, in reading->first: absolute paths are relative ones.
static struct span normalize(struct reading *reading, struct span line)
{
    char *out = reading->first;
    size_t length = 0;
    if (line.at[0] == '!') {
        out[length++] = '!';
        line = trim((struct span){line.at + 1, line.size - 1});
    }
    if (line.size) {
        size_t size = clean(line, out + length);
        if (size > 1 && out[length] == '/')
            memmove(out + length, out + length + 1, --size);
        length += size;
    }
    return (struct span){out, length};
}

// What patternmatcher.New makes of it, as pattern->text.
static int add_pattern(struct reading *reading, struct span line, struct span shown)
{
    struct span text = trim(line);
    if (text.size == 0)
        return 0;
    text = (struct span){reading->second, clean(text, reading->second)};
    bool is_exception = text.at[0] == '!';
    if (is_exception)
        text = (struct span){text.at + 1, text.size - 1};
    if (text.size == 0)
        return refuse(reading, shown, "a ! stands alone");
    const char *why = NULL;
    if (!is_glob(text))
        return refuse(reading, shown, "a [class] or a backslash is malformed");
    struct ctz_ignore_pattern *pattern = new_pattern(reading->ignore);
    if (!pattern)
        return no_memory(reading->err);
    pattern->text = ctz_memdup(text.at, text.size);
    pattern->size = text.size;
    pattern->is_exception = is_exception;
    if (!pattern->text)
        return no_memory(reading->err);
    reading->ignore->count++; // it is freed with the others from here on
    reading->ignore->has_exceptions |= is_exception;
    if (compile(pattern, &why, reading->err) == 0)
        return 0;
    return why ? refuse(reading, shown, why) : -1;
}

static int read_line(struct reading *reading, struct span line)
{
    if (line.size > MAX_LINE_BYTES)
        return ctz_error_set(reading->err, CTZ_ERROR_SIZE, "%s:%zu: a line of more than %llu bytes",
                             reading->name, reading->line, (unsigned long long)MAX_LINE_BYTES);
    if (reading->line == 1 && line.size >= 3 && memcmp(line.at, "\xef\xbb\xbf", 3) == 0)
        line = (struct span){line.at + 3, line.size - 3};
    if (line.size == 0 || line.at[0] == '#')
        return 0;
    line = trim(line);
    if (line.size == 0)
        return 0;
    if (memchr(line.at, '\0', line.size))
        return refuse(reading, line, "it holds a NUL byte (a file in UTF-16?)");
    return add_pattern(reading, normalize(reading, line), line);
}

static int read_lines(struct reading *reading, struct span text)
{
    while (text.size > 0) {
        const char *newline = memchr(text.at, '\n', text.size);
        size_t size = newline ? (size_t)(newline - text.at) : text.size;
        reading->line++;
        if (read_line(reading, (struct span){text.at, size}) != 0)
            return -1;
        size += newline != NULL;
        text = (struct span){text.at + size, text.size - size};
    }
    return 0;
}

struct ctz_ignore *ctz_ignore_new(const char *text, size_t size, const char *name,
                                  struct ctz_error *err)
{
    struct reading reading = {.name = name, .err = err};
    reading.ignore = ctz_calloc(1, sizeof *reading.ignore);
    reading.first = ctz_malloc(MAX_LINE_BYTES + 2);
    reading.second = ctz_malloc(MAX_LINE_BYTES + 2);
    int result = -1;
    if (!reading.ignore || !reading.first || !reading.second)
        no_memory(err);
    else
        result = read_lines(&reading, (struct span){text, size});
    ctz_free(reading.first);
    ctz_free(reading.second);
    if (reading.ignore)
        atomic_init(&reading.ignore->references, 1);
    if (result == 0)
        return reading.ignore;
    ctz_ignore_release(reading.ignore);
    return NULL;
}

void ctz_ignore_retain(struct ctz_ignore *ignore)
{
    atomic_fetch_add(&ignore->references, 1);
}

void ctz_ignore_release(struct ctz_ignore *ignore)
{
    if (!ignore || atomic_fetch_sub(&ignore->references, 1) > 1)
        return;
    for (size_t i = 0; i < ignore->count; i++) {
        ctz_free(ignore->patterns[i].text);
        ctz_regex_free(ignore->patterns[i].regex);
    }
    ctz_free(ignore->patterns);
    ctz_free(ignore);
}

// --- matching ----------------------------------------------------------------------------------

static bool has_suffix(const struct ctz_ignore_pattern *pattern, const char *path, size_t size)
{
    const char *suffix = pattern->text + 2; // behind the stars
    size_t length = pattern->size - 2;
    if (size >= length && memcmp(path + size - length, suffix, length) == 0)
        return true;
    // **/foo is also foo
    return length > 0 && suffix[0] == '/' && size == length - 1 &&
           memcmp(path, suffix + 1, size) == 0;
}

static int match_one(const struct ctz_ignore_pattern *pattern, struct ctz_regex_room *room,
                     const char *path, size_t size)
{
    switch (pattern->type) {
    case CTZ_IGNORE_EXACT:
        return size == pattern->size && memcmp(path, pattern->text, size) == 0;
    case CTZ_IGNORE_PREFIX:
        return size >= pattern->size - 2 && memcmp(path, pattern->text, pattern->size - 2) == 0;
    case CTZ_IGNORE_SUFFIX:
        return has_suffix(pattern, path, size);
    default:
        break;
    }
    enum ctz_regex_answer answer = ctz_regex_match(pattern->regex, room, path, size, false);
    return answer == CTZ_REGEX_NO_MEMORY ? -1 : answer == CTZ_REGEX_YES;
}

// Does it match one of the folders above the path?
static int match_parents(const struct ctz_ignore_pattern *pattern, struct ctz_regex_room *room,
                         const char *path, size_t size)
{
    int match = 0;
    for (size_t i = 0; match == 0 && i < size; i++)
        if (path[i] == '/')
            match = match_one(pattern, room, path, i);
    if (match == 0 && path[0] == '/' && !memchr(path + 1, '/', size - 1))
        match = match_one(pattern, room, "/", 1);
    return match;
}

static int match_path(const struct ctz_ignore *ignore, struct ctz_regex_room *room,
                      const char *path, size_t size)
{
    bool matched = false;
    for (size_t i = 0; i < ignore->count; i++) {
        const struct ctz_ignore_pattern *pattern = &ignore->patterns[i];
        if (pattern->is_exception != matched) // it would change nothing
            continue;
        int match = match_one(pattern, room, path, size);
        if (match == 0)
            match = match_parents(pattern, room, path, size);
        if (match < 0)
            return -1;
        if (match)
            matched = !pattern->is_exception;
    }
    return matched;
}

int ctz_ignore_match(const struct ctz_ignore *ignore, const char *path, size_t size)
{
    struct ctz_regex_room room = {0};
    char *cleaned = ctz_malloc(size + 2);
    if (!cleaned)
        return -1;
    size = clean((struct span){path, size}, cleaned);
    bool is_root = size == 1 && cleaned[0] == '.';
    int result = is_root ? 0 : match_path(ignore, &room, cleaned, size);
    ctz_regex_room_clear(&room);
    ctz_free(cleaned);
    return result;
}

int ctz_ignore_step(const struct ctz_ignore *ignore, struct ctz_regex_room *room, const char *path,
                    const bool *parent, bool *own)
{
    size_t size = strlen(path);
    bool matched = false;
    for (size_t i = 0; i < ignore->count; i++) {
        const struct ctz_ignore_pattern *pattern = &ignore->patterns[i];
        int match = parent && parent[i];
        if (!match && pattern->is_exception == matched)
            match = match_one(pattern, room, path, size);
        if (match < 0)
            return -1;
        own[i] = match;
        if (match)
            matched = !pattern->is_exception;
    }
    return matched;
}

// May a path that begins with these bytes match?
static int begins(const struct ctz_ignore_pattern *pattern, struct ctz_regex_room *room,
                  const char *path, size_t size)
{
    if (pattern->type == CTZ_IGNORE_SUFFIX)
        return 1;
    if (pattern->type == CTZ_IGNORE_REGEX) {
        enum ctz_regex_answer answer = ctz_regex_match(pattern->regex, room, path, size, true);
        return answer == CTZ_REGEX_NO_MEMORY ? -1 : answer == CTZ_REGEX_YES;
    }
    bool is_prefix = pattern->type == CTZ_IGNORE_PREFIX;
    size_t length = is_prefix ? pattern->size - 2 : pattern->size;
    if (length < size)
        return is_prefix && memcmp(path, pattern->text, length) == 0;
    return memcmp(path, pattern->text, size) == 0;
}

int ctz_ignore_looks_below(const struct ctz_ignore *ignore, struct ctz_regex_room *room,
                           const char *folder)
{
    if (!ignore->has_exceptions)
        return 0;
    size_t size = strlen(folder) + 1;
    char *path = ctz_memdup(folder, size);
    if (!path)
        return -1;
    path[size - 1] = '/';
    int result = 0;
    for (size_t i = 0; result == 0 && i < ignore->count; i++)
        if (ignore->patterns[i].is_exception)
            result = begins(&ignore->patterns[i], room, path, size);
    ctz_free(path);
    return result;
}
