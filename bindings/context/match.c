// match.c: runs a compiled expression over a text: all instructions that may run at a place at
// once, so the time is that of the text times the program at most. SPDX-License-Identifier: MIT
#include "bindings/context/program.h"

#include <string.h>

#include "host/alloc.h"

// --- runes -------------------------------------------------------------------------------------

uint32_t ctz_rune_decode(const char *text, size_t size, size_t *length)
{
    const unsigned char *at = (const unsigned char *)text;
    unsigned char first = at[0], second = size > 1 ? at[1] : 0;
    *length = 1;
    if (first < 0x80)
        return first;
    size_t count = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (count == 0 || first > 0xf4 || count > size || (first == 0xe0 && second < 0xa0) ||
        (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
        (first == 0xf4 && second > 0x8f))
        return CTZ_NO_RUNE;
    uint32_t rune = first & (0x7fu >> count);
    for (size_t i = 1; i < count; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return CTZ_NO_RUNE;
        rune = rune << 6 | (at[i] & 0x3f);
    }
    *length = count;
    return rune;
}

// --- matching ----------------------------------------------------------------------------------

// Instructions that may run at this place of the text.
struct set {
    uint32_t *list, *seen; // seen: index of the place + 1
    size_t count;
};

struct run {
    const struct ctz_regex *regex;
    struct set now, next;
    uint32_t *stack;
    uint32_t before, after; // the runes beside the place, 0: none
    size_t at;
    bool is_begin, is_end;
};

void ctz_regex_room_clear(struct ctz_regex_room *room)
{
    ctz_free(room->words);
    *room = (struct ctz_regex_room){0};
}

static int open_run(struct run *run, struct ctz_regex_room *room)
{
    size_t count = run->regex->count, words = 7 * count + 2;
    if (room->count < words) {
        uint32_t *grown = ctz_realloc(room->words, words * sizeof *grown);
        if (!grown)
            return -1;
        room->words = grown;
        room->count = words;
    }
    memset(room->words, 0, 2 * count * sizeof *room->words);
    run->now.seen = room->words;
    run->next.seen = room->words + count;
    run->now.list = room->words + 2 * count;
    run->next.list = room->words + 3 * count;
    run->stack = room->words + 4 * count; // each instruction puts at most two there, once
    return 0;
}

static bool holds(const struct run *run, enum kind kind)
{
    bool edge = ctz_is_word(run->before) != ctz_is_word(run->after);
    return kind == BEGIN       ? run->is_begin
           : kind == END       ? run->is_end
           : kind == WORD_EDGE ? edge
                               : !edge;
}

// Adds an instruction and those that follow it without taking a rune.
static void add(struct run *run, struct set *set, size_t first)
{
    size_t depth = 0;
    run->stack[depth++] = (uint32_t)first;
    while (depth > 0) {
        uint32_t index = run->stack[--depth];
        const struct instruction *instruction = &run->regex->program[index];
        if (set->seen[index] == run->at + 1)
            continue;
        set->seen[index] = (uint32_t)(run->at + 1);
        switch (instruction->kind) {
        case SPLIT:
            run->stack[depth++] = (uint32_t)((int32_t)index + instruction->y);
            run->stack[depth++] = (uint32_t)((int32_t)index + instruction->x);
            break;
        case JUMP:
            run->stack[depth++] = (uint32_t)((int32_t)index + instruction->x);
            break;
        case BEGIN:
        case END:
        case WORD_EDGE:
        case NO_WORD_EDGE:
            if (holds(run, instruction->kind))
                run->stack[depth++] = index + 1;
            break;
        default:
            set->list[set->count++] = index;
        }
    }
}

static bool takes(const struct ctz_regex *regex, const struct instruction *instruction,
                  uint32_t rune)
{
    if (instruction->kind == CHAR)
        return instruction->value == rune;
    if (instruction->kind == ANY)
        return rune != '\n';
    if (instruction->kind != CLASS)
        return false;
    const struct range *ranges = regex->ranges + instruction->value;
    for (int32_t i = 0; i < instruction->x; i++)
        if (rune >= ranges[i].low && rune <= ranges[i].high)
            return !instruction->y;
    return instruction->y;
}

static bool has_match(const struct run *run)
{
    for (size_t i = 0; i < run->now.count; i++)
        if (run->regex->program[run->now.list[i]].kind == MATCH)
            return true;
    return false;
}

static uint32_t peek(const char *text, size_t size, size_t *length)
{
    *length = 0;
    return size ? ctz_rune_decode(text, size, length) : 0;
}

static bool fits(const struct ctz_regex *regex, const char *text, size_t size, bool begins)
{
    if (begins) {
        size_t both = size < regex->prefix_size ? size : regex->prefix_size;
        return memcmp(text, regex->prefix, both) == 0;
    }
    return size >= regex->prefix_size + regex->suffix_size &&
           memcmp(text, regex->prefix, regex->prefix_size) == 0 &&
           memcmp(text + size - regex->suffix_size, regex->suffix, regex->suffix_size) == 0;
}

enum ctz_regex_answer ctz_regex_match(const struct ctz_regex *regex, struct ctz_regex_room *room,
                                      const char *text, size_t size, bool begins)
{
    struct run run = {.regex = regex, .is_begin = true, .is_end = size == 0 && !begins};
    if (!fits(regex, text, size, begins))
        return CTZ_REGEX_NO;
    if (open_run(&run, room) != 0)
        return CTZ_REGEX_NO_MEMORY;
    size_t length;
    run.after = peek(text, size, &length);
    add(&run, &run.now, 0);
    while (length > 0 && (run.now.count > 0 || !regex->is_anchored)) {
        if (has_match(&run)) // one without a $
            return CTZ_REGEX_YES;
        uint32_t rune = run.after;
        size_t ahead;
        run.at += length;
        run.before = rune;
        run.after = peek(text + run.at, size - run.at, &ahead);
        run.is_begin = false;
        run.is_end = run.at == size && !begins;
        run.next.count = 0;
        for (size_t i = 0; i < run.now.count; i++)
            if (takes(regex, &regex->program[run.now.list[i]], rune))
                add(&run, &run.next, run.now.list[i] + 1);
        if (!regex->is_anchored)
            add(&run, &run.next, 0);
        struct set old = run.now;
        run.now = run.next;
        run.next = old;
        length = ahead;
    }
    if (begins)
        return run.now.count > 0 ? CTZ_REGEX_YES : CTZ_REGEX_NO;
    return has_match(&run) ? CTZ_REGEX_YES : CTZ_REGEX_NO;
}
