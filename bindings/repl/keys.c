// keys.c: the bytes that a terminal sends, taken apart into whole keys.
// SPDX-License-Identifier: MIT
//
// Source: ECMA-48 5.4 (control sequences), XTerm Control Sequences (cursor keys, bracketed paste).
// A cursor key becomes the control character that does the same in an Emacs key map.
#include "bindings/repl/keys.h"

#include <stdlib.h>

#include "host/screen.h"

#define SEQUENCE_MAX_BYTES 64 // a longer one is none
#define DELETE_CHARACTER   0x7F
#define REPLACEMENT        0xFFFD // for bytes that are no UTF-8

static size_t found(struct ctz_key *key, enum ctz_key_kind kind, uint32_t character, size_t size)
{
    *key = (struct ctz_key){.kind = kind, .character = character};
    return size;
}

static size_t expected_bytes(unsigned char lead)
{
    return lead > 0xF4 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 1;
}

// Is what there is the beginning of a character that may still come?
static bool is_cut(const char *bytes, size_t size)
{
    size_t expected = expected_bytes((unsigned char)bytes[0]);
    if (size >= expected)
        return false;
    for (size_t i = 1; i < size; i++)
        if (((unsigned char)bytes[i] & 0xC0) != 0x80)
            return false;
    return true;
}

static size_t read_character(const char *bytes, size_t size, struct ctz_key *key)
{
    uint32_t character = REPLACEMENT;
    if (size == 0 || is_cut(bytes, size))
        return 0;
    size_t count = ctz_screen_decode(bytes, size, &character);
    return found(key, CTZ_KEY_CHARACTER, count ? character : REPLACEMENT, count ? count : 1);
}

// What a sequence that ends with a letter stands for. modified: with Ctrl, Alt or Shift.
static size_t letter_key(char letter, bool modified, struct ctz_key *key, size_t size)
{
    switch (letter) {
    case 'A':
        return found(key, CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('P'), size);
    case 'B':
        return found(key, CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('N'), size);
    case 'C':
        if (modified)
            return found(key, CTZ_KEY_META, 'f', size);
        return found(key, CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('F'), size);
    case 'D':
        if (modified)
            return found(key, CTZ_KEY_META, 'b', size);
        return found(key, CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('B'), size);
    case 'F':
        return found(key, CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('E'), size);
    case 'H':
        return found(key, CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('A'), size);
    default:
        return found(key, CTZ_KEY_IGNORED, 0, size);
    }
}

static size_t number_key(long number, struct ctz_key *key, size_t size)
{
    switch (number) {
    case 1:
    case 7:
        return letter_key('H', false, key, size);
    case 4:
    case 8:
        return letter_key('F', false, key, size);
    case 3:
        return found(key, CTZ_KEY_DELETE, 0, size);
    case 200:
        return found(key, CTZ_KEY_PASTE_BEGIN, 0, size);
    default:
        return found(key, CTZ_KEY_IGNORED, 0, size);
    }
}

// ESC [ parameters, intermediates, one final byte.
static size_t read_sequence(const char *bytes, size_t size, struct ctz_key *key)
{
    size_t at = 2;
    bool modified = false;
    while (at < size && bytes[at] >= 0x20 && bytes[at] < 0x40)
        modified |= bytes[at++] == ';';
    if (at >= SEQUENCE_MAX_BYTES)
        return found(key, CTZ_KEY_IGNORED, 0, at);
    if (at == size)
        return 0;
    if (bytes[at] < 0x40 || bytes[at] == DELETE_CHARACTER)
        return found(key, CTZ_KEY_IGNORED, 0, at); // broken off by another key
    if (bytes[at] == '~')
        return number_key(strtol(bytes + 2, NULL, 10), key, at + 1);
    return letter_key(bytes[at], modified, key, at + 1);
}

// A key behind Escape. A control character stays what it is: a lone Escape before it was nothing.
static size_t read_meta(const char *bytes, size_t size, struct ctz_key *key)
{
    if (bytes[1] == CTZ_KEY_ESCAPE)
        return found(key, CTZ_KEY_IGNORED, 0, 1);
    size_t count = read_character(bytes + 1, size - 1, key);
    if (count == 0)
        return 0;
    bool erases = key->character == CTZ_KEY_CTRL('H') || key->character == DELETE_CHARACTER;
    if (key->character >= 0x20 || erases)
        key->kind = CTZ_KEY_META;
    return count + 1;
}

size_t ctz_key_read(const char *bytes, size_t size, struct ctz_key *key)
{
    if (size == 0 || bytes[0] != CTZ_KEY_ESCAPE)
        return read_character(bytes, size, key);
    if (size == 1)
        return 0;
    if (bytes[1] == '[')
        return read_sequence(bytes, size, key);
    if (bytes[1] != 'O')
        return read_meta(bytes, size, key);
    if (size == 2)
        return 0;
    return letter_key(bytes[2], false, key, 3);
}
