// secretmatch.c: finds any of many byte strings, and their base64 and hex forms, in a text.
// SPDX-License-Identifier: MIT
//
// A pattern is a string in one form. Forms are computed when they are compared and never stored,
// but for their beginnings: those stand in a tree whose nodes are words of 4 characters, reached
// through one hash table, and only as deep as needed to tell them apart. The scan moves a window of
// 8 characters (4 for short patterns) over the text; a table tells for the last 4 of it how far it
// may move (Wu and Manber, "A fast algorithm for multi-pattern searching", 1994). So the cost
// hardly depends on how many patterns there are or how long they are.
#include "host/secretmatch.h"

#include <string.h>

#include "host/alloc.h"

#define WORD_BYTES      4  // of a node of the tree, and what the shift table looks at
#define MAX_WORDS       16 // depth of the tree
#define ROOT            0
#define MAX_CHAIN       8 // patterns of one node; when there are more, they move a word down
#define NONE            UINT32_MAX
#define LEAST_BITS      12 // of the table sizes
#define MOST_BITS       18 // they stay in the processor's cache
#define ENTRIES_EACH    16 // in the shift table, for each pattern: five of its blocks are entered
#define HEAD_BITS_ABOVE 3  // the set of heads is so many powers of two larger, in bits

enum form {
    FORM_RAW,
    FORM_BASE64, // and the next two: with 1 and 2 bytes of something else before it in its group
    FORM_BASE64_1,
    FORM_BASE64_2,
    FORM_URL64, // RFC 4648 section 5
    FORM_URL64_1,
    FORM_URL64_2,
    FORM_HEX,
    FORM_HEX_UPPER,
};

struct pattern {
    const unsigned char *bytes;
    uint32_t size;
    uint32_t next; // of the same node
    enum form form;
};

struct node {
    uint32_t word;
    uint32_t parent;
    uint32_t child, sibling;
    uint32_t pattern; // the first of those that end here, or that nothing below tells apart yet
    uint8_t depth;    // words from the root on
    bool split;       // longer patterns stand below
};

// Long ones are looked for with a wider window, which moves faster.
enum kind { KIND_LONG, KIND_SHORT, KIND_COUNT };

static const unsigned window_bytes[KIND_COUNT] = {8, 4};

struct matcher_tables {
    unsigned bits[KIND_COUNT];
    unsigned head_bits;
    unsigned char *shift[KIND_COUNT]; // by hash of a word
    unsigned char *heads;             // bit set: is it the beginning of a pattern, under a word?
};

struct ctz_matcher {
    struct pattern *patterns;
    struct node *nodes;
    uint32_t *slots; // hash table over nodes; a power of two, at most half full
    uint32_t pattern_count, pattern_capacity;
    uint32_t node_count, node_capacity, slot_count;
    uint32_t kind_count[KIND_COUNT];
    struct matcher_tables tables;
};

// --- forms -------------------------------------------------------------------------------------

static const char standard_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Bits of the first byte that share a character with what stands before it.
static unsigned lost_bits(enum form form)
{
    static const unsigned lost[3] = {0, 4, 2};
    return lost[(form - FORM_BASE64) % 3];
}

// Only characters that depend on nothing but the string: its ends may lack a few bits.
static size_t length_of(enum form form, size_t size)
{
    if (form == FORM_RAW)
        return size;
    if (form >= FORM_HEX)
        return size * 2;
    return (size * 8 - lost_bits(form)) / 6;
}

static unsigned char base64_at(enum form form, const unsigned char *bytes, size_t i)
{
    size_t bit = lost_bits(form) + i * 6, byte = bit / 8;
    unsigned shift = (unsigned)(bit % 8);
    unsigned value = (unsigned)bytes[byte] << 8;
    if (shift > 2) // it reaches into the next byte
        value |= bytes[byte + 1];
    value = (value >> (10 - shift)) & 63;
    return (unsigned char)(form >= FORM_URL64 ? url_alphabet : standard_alphabet)[value];
}

static unsigned char char_at(enum form form, const unsigned char *bytes, size_t i)
{
    if (form == FORM_RAW)
        return bytes[i];
    if (form < FORM_HEX)
        return base64_at(form, bytes, i);
    const char *digits = form == FORM_HEX ? "0123456789abcdef" : "0123456789ABCDEF";
    return (unsigned char)digits[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
}

static bool forms_differ(enum form a, enum form b, const unsigned char *bytes, size_t size)
{
    size_t length = length_of(a, size);
    for (size_t i = 0; i < length; i++)
        if (char_at(a, bytes, i) != char_at(b, bytes, i))
            return true;
    return false;
}

// --- tables ------------------------------------------------------------------------------------

static uint32_t load32(const unsigned char *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof value);
    return value;
}

static inline uint32_t block_hash(uint32_t block, unsigned bits)
{
    return (block * UINT32_C(2654435761)) >> (32 - bits);
}

static uint32_t mix(uint64_t value)
{
    value *= UINT64_C(0x9E3779B97F4A7C15);
    return (uint32_t)(value >> 32);
}

static uint32_t head_bit(const struct matcher_tables *tables, const unsigned char *bytes,
                         size_t size)
{
    uint64_t value = 0;
    memcpy(&value, bytes, size);
    return mix(value + size) >> (32 - tables->head_bits);
}

static bool has_head(const struct matcher_tables *tables, const unsigned char *bytes, size_t size)
{
    uint32_t bit = head_bit(tables, bytes, size);
    return tables->heads[bit / 8] >> bit % 8 & 1;
}

static void free_tables(struct matcher_tables *tables)
{
    for (int kind = 0; kind < KIND_COUNT; kind++)
        ctz_free(tables->shift[kind]);
    ctz_free(tables->heads);
    memset(tables, 0, sizeof *tables);
}

static unsigned bits_for(uint32_t patterns)
{
    unsigned bits = LEAST_BITS;
    while (bits < MOST_BITS && (UINT32_C(1) << bits) < patterns * ENTRIES_EACH)
        bits++;
    return bits;
}

static int make_tables(struct matcher_tables *tables, const uint32_t *patterns)
{
    bool made = true;
    for (int kind = 0; kind < KIND_COUNT; kind++) {
        size_t size = (size_t)1 << bits_for(patterns[kind]);
        tables->bits[kind] = bits_for(patterns[kind]);
        tables->shift[kind] = ctz_malloc(size);
        if (tables->shift[kind])
            memset(tables->shift[kind], (int)window_bytes[kind] - WORD_BYTES + 1, size);
        made = made && tables->shift[kind];
    }
    tables->head_bits = bits_for(patterns[KIND_LONG] + patterns[KIND_SHORT]) + HEAD_BITS_ABOVE;
    tables->heads = ctz_calloc(1, (size_t)1 << (tables->head_bits - 3));
    if (made && tables->heads)
        return 0;
    free_tables(tables);
    return -1;
}

static enum kind kind_of(const struct pattern *pattern)
{
    bool is_short = length_of(pattern->form, pattern->size) < window_bytes[KIND_LONG];
    return is_short ? KIND_SHORT : KIND_LONG;
}

static void enter_head(struct matcher_tables *tables, const unsigned char *window, size_t size)
{
    uint32_t bit = head_bit(tables, window, size);
    tables->heads[bit / 8] |= (unsigned char)(1 << bit % 8);
}

static void enter_pattern(struct matcher_tables *tables, const struct pattern *pattern)
{
    unsigned char window[8];
    enum kind kind = kind_of(pattern);
    for (size_t i = 0; i < window_bytes[kind]; i++)
        window[i] = char_at(pattern->form, pattern->bytes, i);
    unsigned char last = (unsigned char)(window_bytes[kind] - WORD_BYTES);
    for (unsigned char at = 0; at <= last; at++) {
        unsigned char *shift =
            &tables->shift[kind][block_hash(load32(window + at), tables->bits[kind])];
        if (*shift > last - at)
            *shift = (unsigned char)(last - at);
    }
    for (size_t size = 1; size < WORD_BYTES; size++)
        enter_head(tables, window, size);
    enter_head(tables, window, window_bytes[kind]);
}

// --- the tree ----------------------------------------------------------------------------------

static uint32_t first_slot(const struct ctz_matcher *matcher, uint32_t parent, uint32_t word)
{
    return mix(word | (uint64_t)parent << 32) & (matcher->slot_count - 1);
}

static uint32_t find_node(const struct ctz_matcher *matcher, uint32_t parent, uint32_t word)
{
    uint32_t slot = first_slot(matcher, parent, word);
    for (;; slot = (slot + 1) & (matcher->slot_count - 1)) {
        uint32_t at = matcher->slots[slot];
        if (at == NONE)
            return NONE;
        const struct node *node = &matcher->nodes[at];
        if (node->word == word && node->parent == parent)
            return at;
    }
}

static void enter_slot(struct ctz_matcher *matcher, uint32_t at)
{
    const struct node *node = &matcher->nodes[at];
    uint32_t slot = first_slot(matcher, node->parent, node->word);
    while (matcher->slots[slot] != NONE)
        slot = (slot + 1) & (matcher->slot_count - 1);
    matcher->slots[slot] = at;
}

static uint32_t add_node(struct ctz_matcher *matcher, uint32_t parent, uint32_t word)
{
    uint32_t at = matcher->node_count++;
    matcher->nodes[at] = (struct node){.word = word,
                                       .parent = parent,
                                       .child = NONE,
                                       .sibling = matcher->nodes[parent].child,
                                       .pattern = NONE,
                                       .depth = (uint8_t)(matcher->nodes[parent].depth + 1)};
    matcher->nodes[parent].child = at;
    enter_slot(matcher, at);
    return at;
}

static void wipe_free(void *block, size_t size)
{
    if (block)
        explicit_bzero(block, size);
    ctz_free(block);
}

// Not realloc: the old block is wiped.
static int grow_nodes(struct ctz_matcher *matcher)
{
    uint32_t capacity = matcher->node_capacity * 2;
    struct node *nodes = ctz_malloc(capacity * sizeof *nodes);
    uint32_t *slots = ctz_malloc((size_t)capacity * 2 * sizeof *slots);
    if (!nodes || !slots) {
        ctz_free(nodes);
        ctz_free(slots);
        return -1;
    }
    memcpy(nodes, matcher->nodes, matcher->node_count * sizeof *nodes);
    memset(slots, 0xff, (size_t)capacity * 2 * sizeof *slots);
    wipe_free(matcher->nodes, matcher->node_count * sizeof *nodes);
    ctz_free(matcher->slots);
    matcher->nodes = nodes;
    matcher->slots = slots;
    matcher->node_capacity = capacity;
    matcher->slot_count = capacity * 2;
    for (uint32_t at = ROOT + 1; at < matcher->node_count; at++)
        enter_slot(matcher, at);
    return 0;
}

// Room for twice the patterns, and tables to match.
static int grow_patterns(struct ctz_matcher *matcher)
{
    struct matcher_tables tables = {0};
    uint32_t capacity = matcher->pattern_capacity * 2;
    const uint32_t *counts = matcher->kind_count;
    uint32_t expected[KIND_COUNT] = {counts[KIND_LONG] * 2, counts[KIND_SHORT] * 2};
    struct pattern *patterns = ctz_malloc(capacity * sizeof *patterns);
    if (!patterns || make_tables(&tables, expected) < 0) {
        ctz_free(patterns);
        return -1;
    }
    if (matcher->pattern_count)
        memcpy(patterns, matcher->patterns, matcher->pattern_count * sizeof *patterns);
    for (uint32_t i = 0; i < matcher->pattern_count; i++)
        enter_pattern(&tables, &patterns[i]);
    ctz_free(matcher->patterns);
    free_tables(&matcher->tables);
    matcher->patterns = patterns;
    matcher->pattern_capacity = capacity;
    matcher->tables = tables;
    return 0;
}

struct ctz_matcher *ctz_matcher_new(void)
{
    struct ctz_matcher *matcher = ctz_calloc(1, sizeof *matcher);
    if (!matcher)
        return NULL;
    matcher->node_capacity = matcher->pattern_capacity = 8;
    matcher->nodes = ctz_malloc(matcher->node_capacity * sizeof *matcher->nodes);
    if (!matcher->nodes) {
        ctz_free(matcher);
        return NULL;
    }
    matcher->node_count = 1;
    matcher->nodes[ROOT] = (struct node){
        .parent = NONE, .child = NONE, .sibling = NONE, .pattern = NONE, .split = true};
    if (grow_nodes(matcher) < 0 || grow_patterns(matcher) < 0) {
        ctz_matcher_free(matcher);
        return NULL;
    }
    return matcher;
}

void ctz_matcher_free(struct ctz_matcher *matcher)
{
    if (!matcher)
        return;
    wipe_free(matcher->nodes, matcher->node_count * sizeof *matcher->nodes);
    ctz_free(matcher->slots);
    ctz_free(matcher->patterns);
    free_tables(&matcher->tables);
    ctz_free(matcher);
}

// Its word at that depth; false when it has none.
static bool read_word(const struct pattern *pattern, unsigned depth, uint32_t *word)
{
    unsigned char bytes[WORD_BYTES];
    size_t at = (size_t)depth * WORD_BYTES;
    if (at + WORD_BYTES > length_of(pattern->form, pattern->size))
        return false;
    for (size_t i = 0; i < WORD_BYTES; i++)
        bytes[i] = char_at(pattern->form, pattern->bytes, at + i);
    *word = load32(bytes);
    return true;
}

// Is it there already? Many secrets may share a line.
static bool is_known(const struct ctz_matcher *matcher, uint32_t node, const struct pattern *new)
{
    uint32_t at = matcher->nodes[node].pattern;
    for (int i = 0; i <= MAX_CHAIN && at != NONE; i++, at = matcher->patterns[at].next) {
        const struct pattern *old = &matcher->patterns[at];
        if (old->form == new->form &&
            old->size == new->size &&memcmp(old->bytes, new->bytes, new->size) == 0)
            return true;
    }
    return false;
}

static void link_pattern(struct ctz_matcher *matcher, uint32_t node, uint32_t pattern)
{
    matcher->patterns[pattern].next = matcher->nodes[node].pattern;
    matcher->nodes[node].pattern = pattern;
}

// Goes down to where the pattern belongs, with a new node at most.
static uint32_t descend(struct ctz_matcher *matcher, uint32_t node, const struct pattern *pattern)
{
    uint32_t word;
    while (matcher->nodes[node].split && read_word(pattern, matcher->nodes[node].depth, &word)) {
        uint32_t child = find_node(matcher, node, word);
        node = child == NONE ? add_node(matcher, node, word) : child;
    }
    return node;
}

static bool is_crowded(const struct ctz_matcher *matcher, uint32_t node)
{
    int count = 0;
    for (uint32_t at = matcher->nodes[node].pattern; at != NONE; at = matcher->patterns[at].next)
        count++;
    return count > MAX_CHAIN && !matcher->nodes[node].split &&
           matcher->nodes[node].depth < MAX_WORDS;
}

// Moves the patterns of a crowded node a word down: as many new nodes at most.
static void split(struct ctz_matcher *matcher, uint32_t node)
{
    uint32_t at = matcher->nodes[node].pattern;
    matcher->nodes[node].split = true;
    matcher->nodes[node].pattern = NONE;
    while (at != NONE) {
        uint32_t next = matcher->patterns[at].next;
        link_pattern(matcher, descend(matcher, node, &matcher->patterns[at]), at);
        at = next;
    }
}

static int add_pattern(struct ctz_matcher *matcher, const unsigned char *bytes, size_t size,
                       enum form form)
{
    if (matcher->pattern_count == matcher->pattern_capacity && grow_patterns(matcher) < 0)
        return -1;
    if (matcher->node_count + 2 + MAX_CHAIN > matcher->node_capacity && grow_nodes(matcher) < 0)
        return -1;
    struct pattern pattern = {.bytes = bytes, .size = (uint32_t)size, .form = form};
    uint32_t node = descend(matcher, ROOT, &pattern);
    if (is_known(matcher, node, &pattern))
        return 0;
    matcher->patterns[matcher->pattern_count] = pattern;
    link_pattern(matcher, node, matcher->pattern_count++);
    matcher->kind_count[kind_of(&pattern)]++;
    enter_pattern(&matcher->tables, &pattern);
    if (is_crowded(matcher, node))
        split(matcher, node);
    return 0;
}

int ctz_matcher_add(struct ctz_matcher *matcher, const char *string, size_t size, bool encoded)
{
    const unsigned char *bytes = (const unsigned char *)string;
    if (add_pattern(matcher, bytes, size, FORM_RAW) < 0)
        return -1;
    for (enum form form = FORM_BASE64; encoded && form <= FORM_HEX_UPPER; form++) {
        if (form >= FORM_URL64 && form <= FORM_URL64_2 &&
            !forms_differ(form, form - FORM_URL64 + FORM_BASE64, bytes, size))
            continue;
        if (form == FORM_HEX_UPPER && !forms_differ(form, FORM_HEX, bytes, size))
            continue;
        if (add_pattern(matcher, bytes, size, form) < 0)
            return -1;
    }
    return 0;
}

// --- the scan ----------------------------------------------------------------------------------

struct scan {
    const struct ctz_matcher *matcher;
    const unsigned char *text;
    size_t size;
    struct ctz_hits *hits;
};

static size_t place(const struct ctz_hits *hits, size_t at)
{
    return hits->map ? hits->map[at] : at;
}

static void mark(struct ctz_hits *hits, size_t from, size_t to)
{
    size_t first = place(hits, from), end = place(hits, to);
    memset(hits->cover + first, 1, end - first);
    hits->any = true;
}

static void mark_open(struct ctz_hits *hits, size_t at)
{
    if (place(hits, at) < hits->open)
        hits->open = place(hits, at);
}

static void compare(const struct scan *scan, const struct pattern *pattern, size_t at)
{
    const unsigned char *text = scan->text + at;
    size_t length = length_of(pattern->form, pattern->size), left = scan->size - at;
    size_t common = length < left ? length : left;
    if (pattern->form == FORM_RAW) {
        if (memcmp(text, pattern->bytes, common) != 0)
            return;
    } else {
        for (size_t i = 0; i < common; i++)
            if (text[i] != char_at(pattern->form, pattern->bytes, i))
                return;
    }
    if (length <= left)
        mark(scan->hits, at, at + length);
    else
        mark_open(scan->hits, at);
}

// Does a word below the node begin with these bytes, fewer than a word?
static bool has_child(const struct ctz_matcher *matcher, uint32_t node, const unsigned char *bytes,
                      size_t size)
{
    for (uint32_t at = matcher->nodes[node].child; at != NONE; at = matcher->nodes[at].sibling)
        if (memcmp(&matcher->nodes[at].word, bytes, size) == 0)
            return true;
    return false;
}

// A pattern may begin here: goes down the tree along the text.
static void look(const struct scan *scan, size_t at)
{
    const struct ctz_matcher *matcher = scan->matcher;
    uint32_t node = ROOT;
    for (size_t next = at;; next += WORD_BYTES) {
        size_t left = scan->size - next;
        if (left < WORD_BYTES) {
            if (has_child(matcher, node, scan->text + next, left))
                mark_open(scan->hits, at);
            return;
        }
        node = find_node(matcher, node, load32(scan->text + next));
        if (node == NONE)
            return;
        for (uint32_t i = matcher->nodes[node].pattern; i != NONE; i = matcher->patterns[i].next)
            compare(scan, &matcher->patterns[i], at);
    }
}

// How far the window at `at` may move.
static inline size_t step(const struct scan *scan, enum kind kind, const unsigned char *last_word,
                          unsigned bits, size_t at)
{
    const struct matcher_tables *tables = &scan->matcher->tables;
    unsigned by = tables->shift[kind][block_hash(load32(last_word + at), bits)];
    if (by > 0)
        return by;
    if (has_head(tables, scan->text + at, window_bytes[kind]))
        look(scan, at);
    return 1;
}

// Four windows move over a quarter each: one alone spends its time waiting for the table.
static inline void scan_kind(const struct scan *scan, enum kind kind)
{
    const unsigned bits = scan->matcher->tables.bits[kind];
    if (scan->matcher->kind_count[kind] == 0 || scan->size < window_bytes[kind])
        return;
    const unsigned char *word = scan->text + window_bytes[kind] - WORD_BYTES;
    size_t end = scan->size - window_bytes[kind] + 1, quarter = end / 4;
    size_t a = 0, b = quarter, c = b + quarter, d = c + quarter;
    while (a < quarter && b < quarter * 2 && c < quarter * 3 && d < end) {
        a += step(scan, kind, word, bits, a);
        b += step(scan, kind, word, bits, b);
        c += step(scan, kind, word, bits, c);
        d += step(scan, kind, word, bits, d);
    }
    while (a < quarter)
        a += step(scan, kind, word, bits, a);
    while (b < quarter * 2)
        b += step(scan, kind, word, bits, b);
    while (c < quarter * 3)
        c += step(scan, kind, word, bits, c);
    while (d < end)
        d += step(scan, kind, word, bits, d);
}

// The last characters, too few for a window: could a pattern begin there? Of one to three it is
// enough to be nearly sure: they are shown at a rest anyway.
static void scan_end(const struct scan *scan)
{
    const struct matcher_tables *tables = &scan->matcher->tables;
    for (size_t size = window_bytes[KIND_LONG] - 1; size > 0; size--) {
        size_t at = scan->size - size;
        if (size > scan->size)
            continue;
        if (size >= WORD_BYTES)
            look(scan, at);
        else if (has_head(tables, scan->text + at, size))
            mark_open(scan->hits, at);
    }
}

void ctz_matcher_scan(const struct ctz_matcher *matcher, const char *text, size_t size,
                      struct ctz_hits *hits)
{
    struct scan scan = {matcher, (const unsigned char *)text, size, hits};
    scan_kind(&scan, KIND_LONG);
    scan_kind(&scan, KIND_SHORT);
    scan_end(&scan);
}
