// program.h: what a regular expression is compiled to: between regex.c and match.c.
// SPDX-License-Identifier: MIT
#ifndef CTZ_CONTEXT_PROGRAM_H
#define CTZ_CONTEXT_PROGRAM_H

#include "bindings/context/regex.h"

#define CTZ_NO_RUNE  0xFFFDu // also what is no UTF-8
#define CTZ_MAX_RUNE 0x10FFFFu

enum kind { CHAR, CLASS, ANY, SPLIT, JUMP, BEGIN, END, WORD_EDGE, NO_WORD_EDGE, MATCH };

struct instruction {
    uint32_t kind;
    uint32_t value; // CHAR: the rune; CLASS: index of its first range
    int32_t x, y;   // SPLIT: both ways, JUMP: x; relative. CLASS: x ranges, y: negated
};

struct range {
    uint32_t low, high;
};

struct ctz_regex {
    struct instruction *program; // owned
    size_t count, capacity;
    struct range *ranges; // owned
    size_t range_count, range_capacity;
    size_t fixed_from; // from here on every match passes every instruction
    bool is_anchored;  // a match begins with the text
    // Bytes that each match begins and ends with: most paths are done with them.
    char *prefix, *suffix; // owned
    size_t prefix_size, suffix_size;
};

static inline bool ctz_is_digit(uint32_t rune)
{
    return rune >= '0' && rune <= '9';
}

static inline bool ctz_is_word(uint32_t rune)
{
    return ctz_is_digit(rune) || (rune >= 'a' && rune <= 'z') || (rune >= 'A' && rune <= 'Z') ||
           rune == '_';
}

#endif
