// secrets.c: values that never print: the store, and the masking of text.
// SPDX-License-Identifier: MIT
//
// A value is looked for in pieces of at most 4 KiB that overlap by two bytes (so that base64 leaves
// no character between them), which bounds what a stream has to keep back. Every byte of every
// occurrence is masked, also where two of them overlap.
#include "host/secrets.h"

#include <string.h>

#include "host/alloc.h"
#include "host/host.h"
#include "host/secretmatch.h"
#include "host/secretview.h"

#define SLICE_BYTES   (64 * CTZ_KIB) // masked at once; bounds the memory of a view
#define SHOWN_AT_REST 3              // bytes of what may become a secret: as many as are no secret
#define OVERLAP_BYTES 2
#define MASK          "***"

struct ctz_secrets {
    struct ctz_secret *first;
    struct ctz_secret **slots; // by hash; slot_count is a power of two, at most half full
    size_t count, slot_count;
    struct ctz_matcher *matcher;
    bool has_space; // in some value: "+" may stand for it
};

// --- the store ---------------------------------------------------------------------------------

static struct ctz_secrets *open_store(struct ctz_host *host)
{
    if (host->secrets)
        return host->secrets;
    struct ctz_secrets *store = ctz_calloc(1, sizeof *store);
    if (!store)
        return NULL;
    store->slot_count = 16;
    store->slots = ctz_calloc(store->slot_count, sizeof *store->slots);
    store->matcher = ctz_matcher_new();
    host->secrets = store;
    if (store->slots && store->matcher)
        return store;
    ctz_secrets_free(host);
    return NULL;
}

static uint64_t hash_of(const char *bytes, size_t size) // FNV-1a
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
    return hash;
}

static struct ctz_secret **slot_of(const struct ctz_secrets *store, uint64_t hash,
                                   const char *bytes, size_t size)
{
    size_t slot = hash & (store->slot_count - 1);
    for (; store->slots[slot]; slot = (slot + 1) & (store->slot_count - 1)) {
        const struct ctz_secret *secret = store->slots[slot];
        if (secret->hash == hash && ctz_secret_equal(secret, bytes, size))
            break;
    }
    return &store->slots[slot];
}

static int grow_slots(struct ctz_secrets *store)
{
    struct ctz_secret **slots = ctz_calloc(store->slot_count * 2, sizeof *slots);
    if (!slots)
        return -1;
    ctz_free(store->slots);
    store->slots = slots;
    store->slot_count *= 2;
    for (struct ctz_secret *secret = store->first; secret; secret = secret->next)
        *slot_of(store, secret->hash, secret->bytes, secret->size) = secret;
    return 0;
}

bool ctz_secret_equal(const struct ctz_secret *secret, const char *bytes, size_t size)
{
    volatile unsigned char difference = secret->size != size;
    size_t at = 0;
    for (size_t i = 0; i < size; i++) { // over the other text: its length is no secret
        difference |= (unsigned char)(secret->bytes[at] ^ bytes[i]);
        at = at + 1 < secret->size ? at + 1 : 0;
    }
    return difference == 0;
}

void ctz_secrets_free(struct ctz_host *host)
{
    struct ctz_secrets *store = host->secrets;
    if (!store)
        return;
    ctz_matcher_free(store->matcher);
    while (store->first) {
        struct ctz_secret *secret = store->first;
        store->first = secret->next;
        explicit_bzero(secret, sizeof *secret + secret->size);
        ctz_free(secret);
    }
    ctz_free(store->slots);
    ctz_free(store);
    host->secrets = NULL;
}

// --- what is looked for ------------------------------------------------------------------------

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static void trim(const char **bytes, size_t *size)
{
    while (*size && is_space(**bytes)) {
        (*bytes)++;
        (*size)--;
    }
    while (*size && is_space((*bytes)[*size - 1]))
        (*size)--;
}

static int add_pieces(struct ctz_matcher *matcher, const char *bytes, size_t size, bool encoded)
{
    while (size > CTZ_SECRET_PIECE_BYTES + OVERLAP_BYTES) {
        size_t piece = CTZ_SECRET_PIECE_BYTES + OVERLAP_BYTES;
        if (ctz_matcher_add(matcher, bytes, piece, encoded) < 0)
            return -1;
        size_t step = size - CTZ_SECRET_PIECE_BYTES < piece ? size - piece : CTZ_SECRET_PIECE_BYTES;
        bytes += step; // the last piece has full length too: it overlaps more
        size -= step;
    }
    if (size < CTZ_SECRET_MIN_BYTES)
        return 0;
    return ctz_matcher_add(matcher, bytes, size, encoded);
}

// A value of several lines is looked for line by line, and as a whole only where an encoding has
// made one of it: so no text is kept back beyond the end of a line.
static int add_lines(struct ctz_matcher *matcher, const char *bytes, size_t size)
{
    while (size > 0) {
        const char *end = memchr(bytes, '\n', size);
        size_t length = end ? (size_t)(end - bytes) : size, next = end ? length + 1 : length;
        const char *line = bytes;
        trim(&line, &length);
        if (add_pieces(matcher, line, length, false) < 0)
            return -1;
        bytes += next;
        size -= next;
    }
    return 0;
}

static int look_for(struct ctz_secrets *store, const struct ctz_secret *secret)
{
    const char *bytes = secret->bytes;
    size_t size = secret->size;
    trim(&bytes, &size);
    if (size && memchr(bytes, ' ', size))
        store->has_space = true;
    if (size && memchr(bytes, '\n', size) && add_lines(store->matcher, bytes, size) < 0)
        return -1;
    return add_pieces(store->matcher, bytes, size, true);
}

const struct ctz_secret *ctz_secret_keep(struct ctz_host *host, const char *value, size_t size)
{
    struct ctz_secrets *store = open_store(host);
    if (!store || (store->count * 2 >= store->slot_count && grow_slots(store) < 0))
        return NULL;
    uint64_t hash = hash_of(value, size);
    struct ctz_secret **slot = slot_of(store, hash, value, size);
    if (*slot)
        return *slot;
    struct ctz_secret *secret = ctz_malloc(sizeof *secret + size + 1);
    if (!secret)
        return NULL;
    *secret = (struct ctz_secret){.next = store->first, .hash = hash, .size = size};
    memcpy(secret->bytes, value, size);
    secret->bytes[size] = '\0';
    store->first = secret; // from here on it stays, also when looking for it fails half way
    if (look_for(store, secret) < 0)
        return NULL;
    store->count++;
    *slot = secret;
    return secret;
}

int ctz_secret_add(struct ctz_host *host, const char *value, size_t size)
{
    return ctz_secret_keep(host, value, size) ? 0 : -1;
}

// --- masking -----------------------------------------------------------------------------------

static int scan_view(const struct ctz_secrets *store, enum ctz_view view, const char *text,
                     size_t size, struct ctz_hits *hits)
{
    if (!ctz_view_applies(view, text, size))
        return 0;
    char *decoded = ctz_malloc(size);
    uint32_t *map = ctz_malloc((size + 1) * sizeof *map);
    if (decoded && map) {
        bool cut;
        size_t length = ctz_view_make(view, text, size, decoded, map, &cut);
        hits->map = map;
        ctz_matcher_scan(store->matcher, decoded, length, hits);
        hits->map = NULL;
        if (cut && map[length] < hits->open)
            hits->open = map[length];
        explicit_bzero(decoded, length);
    }
    bool failed = !decoded || !map;
    ctz_free(decoded);
    ctz_free(map);
    return failed ? -1 : 0;
}

static int scan_all(const struct ctz_secrets *store, const char *text, size_t size,
                    struct ctz_hits *hits)
{
    ctz_matcher_scan(store->matcher, text, size, hits);
    for (enum ctz_view view = 0; view < CTZ_VIEW_COUNT; view++) {
        if (view == CTZ_VIEW_FORM && !store->has_space)
            continue;
        if (scan_view(store, view, text, size, hits) < 0)
            return -1;
    }
    return 0;
}

// The backslash of an escape whose other half is masked goes too: JSON stays JSON.
static void cover_backslashes(const char *text, size_t size, unsigned char *cover)
{
    bool escapes = false; // an odd number of backslashes stands before this byte
    for (size_t i = 0; i < size; i++) {
        if (escapes && cover[i])
            cover[i - 1] = 1;
        escapes = text[i] == '\\' && !escapes;
    }
}

// One *** for all that is covered in a row. *masked: the row began before.
static void put_masked(const char *text, const unsigned char *cover, size_t from, size_t to,
                       bool *masked, struct ctz_buffer *out)
{
    while (from < to) {
        size_t end = from + 1;
        while (end < to && cover[end] == cover[from])
            end++;
        if (!cover[from])
            ctz_buffer_append(out, text + from, end - from);
        else if (!*masked)
            ctz_buffer_text(out, MASK);
        *masked = cover[from];
        from = end;
    }
}

// What is left of text from `open` on becomes what is held; `done` of it have left.
static int hold(struct ctz_mask *mask, const char *text, size_t size, size_t open, size_t done)
{
    struct ctz_buffer held;
    ctz_buffer_init(&held, SIZE_MAX / 2);
    if (size > open && ctz_buffer_append(&held, text + open, size - open) < 0)
        return -1;
    mask->held = held; // the old one went into text
    mask->done = done;
    return 0;
}

// How much of the text leaves now. It is kept back from `open` on, but a *** is written whole, and
// at a rest the little that is open is shown.
static size_t leaving(const struct ctz_hits *hits, size_t size, size_t open, enum ctz_mask_end end)
{
    if (end == CTZ_MASK_REST && size - open <= SHOWN_AT_REST)
        return size;
    size_t leaves = open;
    if (open > 0 && hits->cover[open - 1])
        while (leaves < size && hits->cover[leaves])
            leaves++;
    return leaves;
}

// A text that begins with what was held (the first `done` bytes of which have left). Returns 1 when
// out has got what is to leave; 0, only when nothing was held, when that is all of text as it is;
// -1 when memory ran out.
static int mask_text(struct ctz_host *host, struct ctz_mask *mask, const char *text, size_t size,
                     size_t held, size_t done, enum ctz_mask_end end, struct ctz_buffer *out)
{
    struct ctz_hits hits = {.cover = ctz_calloc(1, size + 1), .open = size};
    if (!hits.cover || scan_all(host->secrets, text, size, &hits) < 0) {
        ctz_free(hits.cover);
        return -1;
    }
    if (hits.any)
        cover_backslashes(text, size, hits.cover);
    size_t open = end == CTZ_MASK_END ? size : hits.open;
    size_t leaves = leaving(&hits, size, open, end);
    bool unchanged = !hits.any && leaves == size && held == 0;
    if (!unchanged)
        put_masked(text, hits.cover, done, leaves, &mask->masked, out);
    else if (size > 0)
        mask->masked = false;
    ctz_free(hits.cover);
    size_t left = leaves > done ? leaves : done;
    if (out->failed || hold(mask, text, size, open, left - open) < 0)
        return -1;
    return unchanged ? 0 : 1;
}

// The held bytes and one slice of the new ones.
static int mask_slice(struct ctz_host *host, struct ctz_mask *mask, const char *bytes, size_t size,
                      enum ctz_mask_end end, struct ctz_buffer *out)
{
    if (mask->held.length == 0)
        return mask_text(host, mask, bytes, size, 0, 0, end, out);
    struct ctz_buffer text = mask->held;
    size_t held = text.length, done = mask->done;
    ctz_buffer_init(&mask->held, 0);
    text.max_bytes = SIZE_MAX / 2;
    int result = ctz_buffer_append(&text, bytes, size);
    if (result == 0)
        result = mask_text(host, mask, text.bytes, text.length, held, done, end, out);
    if (text.bytes)
        explicit_bzero(text.bytes, text.length);
    ctz_buffer_clear(&text);
    return result;
}

bool ctz_mask_write(struct ctz_host *host, struct ctz_mask *mask, const char *bytes, size_t size,
                    enum ctz_mask_end end, struct ctz_buffer *out)
{
    if (!host->secrets || (size == 0 && mask->held.length == 0))
        return false;
    bool whole = size <= SLICE_BYTES;
    size_t at = 0;
    do {
        size_t left = size - at, slice = left < SLICE_BYTES ? left : SLICE_BYTES;
        enum ctz_mask_end slice_end = slice == left ? end : CTZ_MASK_MORE;
        int result = mask_slice(host, mask, bytes + at, slice, slice_end, out);
        if (result == 0 && whole)
            return false;
        if (result == 0)
            result = ctz_buffer_append(out, bytes + at, slice);
        if (result < 0) {
            ctz_buffer_clear(out);
            out->failed = true;
            return true;
        }
        at += slice;
    } while (at < size);
    return true;
}

void ctz_mask_clear(struct ctz_mask *mask)
{
    if (mask->held.bytes)
        explicit_bzero(mask->held.bytes, mask->held.length);
    ctz_buffer_clear(&mask->held);
    mask->done = 0;
    mask->masked = false;
}

bool ctz_secrets_mask(struct ctz_host *host, const char *bytes, size_t size, struct ctz_buffer *out)
{
    struct ctz_mask mask = {0};
    bool changed = ctz_mask_write(host, &mask, bytes, size, CTZ_MASK_END, out);
    ctz_mask_clear(&mask);
    return changed;
}
