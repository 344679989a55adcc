// secrets_test.c: what is masked, in which encodings, and across which boundaries.
// SPDX-License-Identifier: MIT
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "host/alloc.h"
#include "host/host.h"
#include "host/secrets.h"
#include "tests/c/test.h"

#define ROUNDS 400

static struct ctz_host host; // only its secrets are used

// --- helpers -----------------------------------------------------------------------------------

static void add(const char *value)
{
    assert_int_equal(ctz_secret_add(&host, value, strlen(value)), 0);
}

static char *mask_bytes(const char *bytes, size_t size)
{
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    if (!ctz_secrets_mask(&host, bytes, size, &out)) {
        assert_int_equal(out.length, 0);
        ctz_buffer_append(&out, bytes, size);
    }
    assert_false(out.failed);
    return ctz_buffer_take(&out);
}

static void assert_masked(const char *text, const char *expected)
{
    char *masked = mask_bytes(text, strlen(text));
    assert_string_equal(masked, expected);
    ctz_free(masked);
}

static int clear(void **state)
{
    (void)state;
    ctz_secrets_free(&host);
    return 0;
}

// The stream in pieces of these sizes (0 ends the list; then the rest), to one buffer.
static char *mask_stream(const char *text, size_t size, size_t (*next_piece)(size_t left),
                         bool rests)
{
    struct ctz_mask mask = {0};
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    size_t at = 0;
    while (at < size) {
        size_t piece = next_piece(size - at);
        if (!ctz_mask_write(&host, &mask, text + at, piece, CTZ_MASK_MORE, &out))
            ctz_buffer_append(&out, text + at, piece);
        at += piece;
        if (rests && rand() % 2)
            ctz_mask_write(&host, &mask, NULL, 0, CTZ_MASK_REST, &out);
    }
    ctz_mask_write(&host, &mask, NULL, 0, CTZ_MASK_END, &out);
    assert_int_equal(mask.held.length, 0);
    ctz_mask_clear(&mask);
    assert_false(out.failed);
    return ctz_buffer_take(&out);
}

static size_t one_byte(size_t left)
{
    (void)left;
    return 1;
}

static size_t random_piece(size_t left)
{
    size_t piece = 1 + (size_t)rand() % (rand() % 4 ? 8 : 300);
    return piece < left ? piece : left;
}

static void base64(const char *bytes, size_t size, char *out) // RFC 4648, the plain way
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *u = (const unsigned char *)bytes;
    for (size_t i = 0; i < size; i += 3) {
        unsigned group = (unsigned)u[i] << 16;
        group |= i + 1 < size ? (unsigned)u[i + 1] << 8 : 0;
        group |= i + 2 < size ? u[i + 2] : 0;
        *out++ = alphabet[group >> 18];
        *out++ = alphabet[group >> 12 & 63];
        *out++ = i + 1 < size ? alphabet[group >> 6 & 63] : '=';
        *out++ = i + 2 < size ? alphabet[group & 63] : '=';
    }
    *out = '\0';
}

// --- what is masked ----------------------------------------------------------------------------

TEST(text_without_secrets_is_not_touched)
{
    assert_masked("nothing to see", "nothing to see");
    add("hunter22");
    assert_masked("nothing to see", "nothing to see");
    assert_masked("", "");
}

TEST(a_secret_is_masked_wherever_it_stands)
{
    add("hunter22");
    assert_masked("hunter22", "***");
    assert_masked("password=hunter22;", "password=***;");
    assert_masked("hunter22hunter22 hunter22", "*** ***");
}

TEST(values_under_four_bytes_are_not_masked)
{
    add("a");
    add("abc");
    add("");
    add("  xy  ");
    assert_masked("abc a xy", "abc a xy");
    add("abcd");
    assert_masked("abcd", "***");
}

TEST(white_space_around_a_value_does_not_count)
{
    add(" hunter22\n");
    assert_masked("hunter22", "***");
}

TEST(each_line_of_a_value_is_masked)
{
    add("-----BEGIN KEY-----\r\nMIIEvQIBADAN\n  indented-line\nxy\n-----END KEY-----\n");
    assert_masked("MIIEvQIBADAN", "***");
    assert_masked("a indented-line b", "a *** b");
    assert_masked("xy", "xy");
    assert_masked("{\"key\":\"-----BEGIN KEY-----\\r\\nMIIEvQIBADAN\\n\"}",
                  "{\"key\":\"***\\r\\n***\\n\"}");
}

TEST(base64_is_masked_at_each_place_in_its_group)
{
    char text[128];
    add("s3cret-value");
    const char *around[] = {"s3cret-value", "as3cret-value", "abs3cret-valuex", "abcs3cret-value"};
    for (size_t i = 0; i < CTZ_COUNT(around); i++) {
        base64(around[i], strlen(around[i]), text);
        char *masked = mask_bytes(text, strlen(text));
        assert_non_null(strstr(masked, "***"));
        assert_true(strlen(masked) <= 8 + 3); // at most the characters it shares with others
        ctz_free(masked);
    }
}

TEST(base64_of_the_url_alphabet_is_masked)
{
    add("\xfb\xff\xfe\xfb\xff\xfe");
    assert_masked("-__--__-", "***");
    assert_masked("+//++//+", "***");
}

TEST(base64_folded_into_lines_is_masked)
{
    char value[201], text[300], folded[320];
    for (size_t i = 0; i < 200; i++)
        value[i] = (char)('!' + i * 7 % 90);
    value[200] = '\0';
    add(value);
    base64(value, 200, text);
    size_t length = 0;
    for (size_t i = 0; text[i]; i++) {
        if (i > 0 && i % 76 == 0)
            folded[length++] = '\n';
        folded[length++] = text[i];
    }
    folded[length] = '\0';
    char *masked = mask_bytes(folded, length);
    assert_true(strlen(masked) < 10);
    ctz_free(masked);
    masked = mask_stream(folded, length, one_byte, false);
    assert_true(strlen(masked) < 10);
    ctz_free(masked);
}

TEST(hex_is_masked_in_both_cases)
{
    add("\xde\xad\xbe\xef!");
    assert_masked("x=deadbeef21", "x=***");
    assert_masked("x=DEADBEEF21", "x=***");
}

TEST(url_escapes_are_masked_however_much_is_escaped)
{
    add("p@ss w/rd&100%");
    assert_masked("p%40ss%20w%2Frd%26100%25", "***");
    assert_masked("p%40ss%20w%2frd%26100%25", "***");
    assert_masked("p@ss%20w/rd&100%25", "***");
    assert_masked("p%40ss+w%2Frd%26100%25", "***");
    assert_masked("?q=%70%40%73%73%20%77%2f%72%64%26%31%30%30%25&x=1", "?q=***&x=1");
    assert_masked("50% done", "50% done");
}

TEST(a_form_with_plus_for_space_needs_no_other_escape)
{
    add("correct horse battery");
    assert_masked("q=correct+horse+battery", "q=***");
}

TEST(json_escapes_are_masked_and_json_stays_json)
{
    add("quote\" slash/ back\\ \xc3\xa9 \xf0\x9f\x98\x80 end");
    assert_masked("{\"a\":\"quote\\\" slash/ back\\\\ \xc3\xa9 \xf0\x9f\x98\x80 end\"}",
                  "{\"a\":\"***\"}");
    assert_masked("{\"a\":\"quote\\\" slash\\/ back\\\\ \\u00e9 \\uD83D\\ude00 end\"}",
                  "{\"a\":\"***\"}");
    add("nabcd");
    assert_masked("\"first\\nabcd\"", "\"first***\""); // not a lone backslash
    assert_masked("\"first\\\\nabcd\"", "\"first\\\\***\"");
}

TEST(xml_escapes_are_masked)
{
    add("a<b>&\"c'd\xc3\xa9");
    assert_masked("<t>a&lt;b&gt;&amp;&quot;c&apos;d&#233;</t>", "<t>***</t>");
    assert_masked("<t>a&#60;b&#x3E;&amp;&quot;c&#39;d&#xe9;</t>", "<t>***</t>");
    assert_masked("AT&T &nbsp; & co", "AT&T &nbsp; & co");
}

TEST(overlapping_secrets_are_masked_whole)
{
    add("abcd1234");
    add("1234efgh");
    add("cd12");
    assert_masked("[abcd1234efgh]", "[***]");
    assert_masked("[1234efgh]", "[***]");
}

TEST(a_secret_that_begins_another_is_masked)
{
    add("token");
    add("token-with-a-tail-0123456789");
    assert_masked("token-with-a-tail-0123456789", "***");
    assert_masked("token-with-a-tail", "***-with-a-tail");
}

TEST(bytes_of_all_kinds_may_be_in_a_secret)
{
    const char value[] = "\0\x01\xff\0zz";
    assert_int_equal(ctz_secret_add(&host, value, sizeof value - 1), 0);
    char text[] = "a\0\x01\xff\0zzb";
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    assert_true(ctz_secrets_mask(&host, text, sizeof text - 1, &out));
    assert_string_equal(out.bytes, "a***b");
    ctz_buffer_clear(&out);
}

TEST(the_same_value_is_one_secret)
{
    const struct ctz_secret *one = ctz_secret_keep(&host, "hunter22", 8);
    for (int i = 0; i < 100; i++) {
        char value[32];
        snprintf(value, sizeof value, "other secret %d", i);
        add(value);
    }
    assert_ptr_equal(ctz_secret_keep(&host, "hunter22", 8), one);
    assert_true(ctz_secret_equal(one, "hunter22", 8));
    assert_false(ctz_secret_equal(one, "hunter23", 8));
    assert_false(ctz_secret_equal(one, "hunter2", 7));
    assert_false(ctz_secret_equal(one, "hunter22hunter22", 16));
    assert_false(ctz_secret_equal(one, "", 0));
}

TEST(a_long_secret_is_masked_in_every_encoding)
{
    enum { SIZE = 50000 };
    static char value[SIZE], text[SIZE * 2];
    for (size_t i = 0; i < SIZE; i++)
        value[i] = (char)('!' + rand() % 90);
    assert_int_equal(ctz_secret_add(&host, value, SIZE), 0);
    char *masked = mask_bytes(value, SIZE);
    assert_string_equal(masked, "***");
    ctz_free(masked);
    for (size_t skip = 0; skip < 3; skip++) {
        base64(value + skip, SIZE - skip, text);
        masked = mask_bytes(text, strlen(text));
        assert_true(strlen(masked) < 3 + 8 + 5500); // the first piece lacks its first bytes
        ctz_free(masked);
    }
    base64(value, SIZE, text);
    masked = mask_bytes(text, strlen(text));
    assert_true(strlen(masked) < 3 + 8);
    ctz_free(masked);
}

// --- streams -----------------------------------------------------------------------------------

TEST(a_secret_split_over_writes_is_masked)
{
    add("hunter22");
    const char text[] = "user=me password=hunter22 done\n";
    char *masked = mask_stream(text, sizeof text - 1, one_byte, false);
    assert_string_equal(masked, "user=me password=*** done\n");
    ctz_free(masked);
}

TEST(what_cannot_begin_a_secret_is_not_kept_back)
{
    struct ctz_mask mask = {0};
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    add("hunter22");
    assert_false(ctz_mask_write(&host, &mask, "Password: ", 10, CTZ_MASK_MORE, &out));
    assert_true(ctz_mask_write(&host, &mask, "the hunt", 8, CTZ_MASK_MORE, &out));
    assert_string_equal(out.bytes, "the ");
    assert_true(ctz_mask_write(&host, &mask, NULL, 0, CTZ_MASK_REST, &out));
    assert_string_equal(out.bytes, "the ");
    assert_true(ctz_mask_write(&host, &mask, " begins\n", 8, CTZ_MASK_MORE, &out));
    assert_string_equal(out.bytes, "the hunt begins\n");
    assert_int_equal(mask.held.length, 0);
    ctz_buffer_clear(&out);
    ctz_mask_clear(&mask);
}

TEST(at_a_rest_up_to_three_bytes_are_shown_and_the_rest_is_still_masked)
{
    struct ctz_mask mask = {0};
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    add("hunter22");
    const char text[] = "hunter22!";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        if (!ctz_mask_write(&host, &mask, text + i, 1, CTZ_MASK_MORE, &out))
            ctz_buffer_append(&out, text + i, 1);
        ctz_mask_write(&host, &mask, NULL, 0, CTZ_MASK_REST, &out);
    }
    assert_string_equal(out.bytes, "hun***!");
    ctz_mask_clear(&mask);
    ctz_buffer_clear(&out);
}

TEST(at_the_end_everything_leaves)
{
    struct ctz_mask mask = {0};
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    add("hunter22");
    ctz_mask_write(&host, &mask, "hunter2", 7, CTZ_MASK_MORE, &out);
    assert_int_equal(out.length, 0);
    ctz_mask_write(&host, &mask, NULL, 0, CTZ_MASK_END, &out);
    assert_string_equal(out.bytes, "hunter2");
    ctz_buffer_clear(&out);
}

TEST(an_escape_cut_by_the_end_of_a_write_is_waited_for)
{
    add("p@ss\"word");
    const char *const texts[] = {"u=p%40ss%22word;", "{\"p@ss\\\"word\"}", "p\\u0040ss\\u0022word",
                                 "p&#64;ss&quot;word"};
    const char *const expected[] = {"u=***;", "{\"***\"}", "***", "***"};
    for (size_t i = 0; i < CTZ_COUNT(texts); i++) {
        char *masked = mask_stream(texts[i], strlen(texts[i]), one_byte, false);
        assert_string_equal(masked, expected[i]);
        ctz_free(masked);
    }
}

TEST(a_large_write_is_masked_across_its_slices)
{
    enum { SIZE = 300000 };
    char *text = ctz_malloc(SIZE + 1);
    add("hunter22");
    for (size_t at = 0; at < SIZE; at += 10)
        memcpy(text + at, "hunter22 \n", 10);
    text[SIZE] = '\0';
    char *masked = mask_bytes(text, SIZE);
    assert_null(strstr(masked, "hunter22"));
    assert_int_equal(strlen(masked), SIZE / 10 * 5);
    ctz_free(masked);
    ctz_free(text);
}

// --- properties --------------------------------------------------------------------------------

struct word {
    char text[64];
    size_t size;
};

// Few letters, so that secrets begin, contain and overlap each other often.
static struct word random_word(const char *letters, size_t least, size_t most)
{
    struct word word = {.size = least + (size_t)rand() % (most - least + 1)};
    for (size_t i = 0; i < word.size; i++)
        word.text[i] = letters[(size_t)rand() % strlen(letters)];
    return word;
}

// The plain way: every byte of every occurrence.
static char *mask_plainly(const char *text, const struct word *secrets, size_t count)
{
    size_t size = strlen(text);
    char *cover = calloc(1, size + 1), *out = malloc(size * 3 + 1), *to = out;
    for (size_t i = 0; i < count; i++)
        for (size_t at = 0; at + secrets[i].size <= size; at++)
            if (memcmp(text + at, secrets[i].text, secrets[i].size) == 0)
                memset(cover + at, 1, secrets[i].size);
    for (size_t i = 0; i < size; i++) {
        if (!cover[i])
            *to++ = text[i];
        else if (i == 0 || !cover[i - 1])
            to += sprintf(to, "***");
    }
    *to = '\0';
    free(cover);
    return out;
}

TEST(random_secrets_in_random_chunks_are_masked_as_in_one_piece)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        srand(round);
        struct word secrets[6];
        char text[600];
        size_t length = 0;
        const char *letters = round % 2 ? "ab" : "abcdef";
        for (size_t i = 0; i < CTZ_COUNT(secrets); i++) {
            secrets[i] = random_word(letters, 4, round % 3 ? 12 : 60);
            assert_int_equal(ctz_secret_add(&host, secrets[i].text, secrets[i].size), 0);
        }
        while (length < 500) {
            struct word piece = random_word(letters, 1, 8);
            if (rand() % 2)
                piece = secrets[(size_t)rand() % CTZ_COUNT(secrets)];
            memcpy(text + length, piece.text, piece.size);
            length += piece.size;
        }
        text[length] = '\0';
        char *expected = mask_plainly(text, secrets, CTZ_COUNT(secrets));
        assert_masked(text, expected);
        char *streamed = mask_stream(text, length, random_piece, false);
        assert_string_equal(streamed, expected);
        free(expected);
        ctz_free(streamed);
        ctz_secrets_free(&host);
    }
}

static size_t append_url(char *out, const struct word *word)
{
    size_t length = 0;
    for (size_t i = 0; i < word->size; i++) {
        unsigned char c = (unsigned char)word->text[i];
        bool escape = !(c >= 'a' && c <= 'z') || rand() % 8 == 0;
        length += (size_t)sprintf(out + length,
                                  !escape      ? "%c"
                                  : rand() % 2 ? "%%%02X"
                                               : "%%%02x",
                                  c);
    }
    return length;
}

static size_t append_json(char *out, const struct word *word)
{
    size_t length = 0;
    for (size_t i = 0; i < word->size; i++) {
        unsigned char c = (unsigned char)word->text[i];
        const char *format = c == '"' || c == '\\' ? "\\%c" : rand() % 8 == 0 ? "\\u%04x" : "%c";
        length += (size_t)sprintf(out + length, format, c);
    }
    return length;
}

static size_t append_encoded(char *out, const struct word *word, int form)
{
    char padded[80] = "xyz";
    size_t lead = (size_t)form % 3, length = 0;
    switch (form) {
    case 0:
    case 1:
    case 2:
        memcpy(padded + lead, word->text, word->size);
        base64(padded, lead + word->size, out);
        return strlen(out);
    case 3:
    case 4:
        for (size_t i = 0; i < word->size; i++)
            length += (size_t)sprintf(out + length, form == 3 ? "%02x" : "%02X",
                                      (unsigned char)word->text[i]);
        return length;
    case 5:
        return append_url(out, word);
    case 6:
        return append_json(out, word);
    default:
        memcpy(out, word->text, word->size);
        return word->size;
    }
}

// Of each secret in each form, what shows is less than four characters in a row.
TEST(random_secrets_never_show_in_any_form_however_the_text_is_cut)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        srand(round);
        struct word secret = random_word("abcdeXYZ0189+/\"\\<&% @=", 8, 40);
        if (secret.text[0] == ' ' || secret.text[secret.size - 1] == ' ')
            continue; // trimmed: its ends would show
        assert_int_equal(ctz_secret_add(&host, secret.text, secret.size), 0);
        for (int form = 0; form < 8; form++) {
            char text[512] = "{ ", encoded[300];
            size_t length = 2, size = append_encoded(encoded, &secret, form);
            memcpy(text + length, encoded, size);
            length += size;
            length += (size_t)sprintf(text + length, " } and on");
            char *masked = mask_stream(text, length, random_piece, false);
            char *end = strstr(masked, " } and on");
            assert_non_null(end);
            assert_non_null(strstr(masked, "***"));
            assert_in_range(end - masked, 5, 2 + 3 + 6); // the ends of base64 are shared
            ctz_free(masked);
            masked = mask_stream(text, length, random_piece, true);
            assert_non_null(strstr(masked, "***"));
            end = strstr(masked, " } and on");
            assert_in_range(end - masked, 5, 2 + 3 + 3 + 6);
            ctz_free(masked);
        }
        ctz_secrets_free(&host);
    }
}

TEST(random_text_is_unchanged_without_a_secret_in_it)
{
    struct word secret = random_word("ABCDEFGH", 24, 24);
    assert_int_equal(ctz_secret_add(&host, secret.text, secret.size), 0);
    for (unsigned round = 0; round < ROUNDS; round++) {
        char text[400];
        srand(round);
        for (size_t i = 0; i < sizeof text - 1; i++)
            text[i] = "abc\\\"%&;+ \n\r/u0041x#ABC"[rand() % 24];
        text[sizeof text - 1] = '\0';
        char *streamed = mask_stream(text, sizeof text - 1, random_piece, round % 2);
        assert_string_equal(streamed, text);
        ctz_free(streamed);
    }
}

// --- size and speed ----------------------------------------------------------------------------

static double now(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

TEST(a_ten_megabyte_secret_and_five_thousand_more_mask_as_one_does)
{
    enum { BIG = 10 << 20, TEXT = 4 << 20, COUNT = 5000 };
    char *big = malloc(BIG), *text = malloc(TEXT + 1);
    srand(1);
    for (size_t i = 0; i < BIG; i++)
        big[i] = (char)rand();
    for (size_t i = 0; i < TEXT; i++)
        text[i] = "etaoin shrdlu\n"[(size_t)rand() % 14];
    text[TEXT] = '\0';
    double start = now();
    assert_int_equal(ctz_secret_add(&host, big, BIG), 0);
    print_message("  10 MB secret: known after %.3f s\n", now() - start);
    start = now();
    for (int i = 0; i < COUNT; i++) {
        char value[64];
        snprintf(value, sizeof value, "ghp_%08x%08x%08x", rand(), rand(), rand());
        add(value);
    }
    print_message("  5000 secrets: known after %.3f s\n", now() - start);
    start = now();
    char *masked = mask_bytes(text, TEXT);
    print_message("  %d MB of text: %.0f MB/s\n", TEXT >> 20, (TEXT >> 20) / (now() - start));
    assert_string_equal(masked, text);
    ctz_free(masked);
    start = now();
    masked = mask_bytes(big, BIG);
    print_message("  the secret itself: %.3f s\n", now() - start);
    assert_string_equal(masked, "***");
    ctz_free(masked);
    free(big);
    free(text);
}

// --- wiping ------------------------------------------------------------------------------------

static const char *watched; // no block that is freed may hold it

void __real_ctz_free(void *pointer);
void __wrap_ctz_free(void *pointer);
void __wrap_ctz_free(void *pointer)
{
    if (watched && pointer)
        assert_null(memmem(pointer, malloc_usable_size(pointer), watched, 8));
    __real_ctz_free(pointer);
}

TEST(what_held_a_secret_is_wiped_before_it_is_freed)
{
    struct ctz_mask mask = {0};
    struct ctz_buffer out;
    ctz_buffer_init(&out, SIZE_MAX / 2);
    watched = "hunter22";
    add("hunter22-and-a-tail");
    for (int i = 0; i < 2000; i++) { // tables grow, old ones go
        char value[32];
        snprintf(value, sizeof value, "filler secret %d", i);
        add(value);
    }
    ctz_mask_write(&host, &mask, "%20hunter22-and", 15, CTZ_MASK_MORE, &out);
    ctz_mask_write(&host, &mask, "-a-tail", 7, CTZ_MASK_MORE, &out);
    assert_string_equal(out.bytes, "%20***");
    ctz_mask_write(&host, &mask, "hunter22-", 9, CTZ_MASK_MORE, &out);
    ctz_mask_clear(&mask);
    ctz_buffer_clear(&out);
    ctz_secrets_free(&host);
    watched = NULL;
}

// --- without memory ----------------------------------------------------------------------------

static int allocations_left = -1; // -1: as many as wanted

static bool must_fail(void)
{
    return allocations_left >= 0 && allocations_left-- == 0;
}

void *__real_ctz_malloc(size_t size);
void *__wrap_ctz_malloc(size_t size);
void *__wrap_ctz_malloc(size_t size)
{
    return must_fail() ? NULL : __real_ctz_malloc(size);
}

void *__real_ctz_calloc(size_t count, size_t size);
void *__wrap_ctz_calloc(size_t count, size_t size);
void *__wrap_ctz_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_ctz_calloc(count, size);
}

void *__real_ctz_realloc(void *pointer, size_t size);
void *__wrap_ctz_realloc(void *pointer, size_t size);
void *__wrap_ctz_realloc(void *pointer, size_t size)
{
    return must_fail() ? NULL : __real_ctz_realloc(pointer, size);
}

TEST(without_memory_nothing_leaves_rather_than_a_secret)
{
    const char text[] = "a hunter22 b %68unter22 c \\u0068unter22\n";
    bool went_well = false;
    for (int n = 0; !went_well; n++) {
        struct ctz_mask mask = {0};
        struct ctz_buffer out;
        ctz_buffer_init(&out, SIZE_MAX / 2);
        allocations_left = n;
        bool known = ctz_secret_add(&host, "other-secret", 12) == 0 &&
                     ctz_secret_add(&host, "hunter22", 8) == 0;
        bool changed = known;
        for (size_t at = 0; changed && at < sizeof text - 1; at += 8) {
            size_t left = sizeof text - 1 - at;
            if (!ctz_mask_write(&host, &mask, text + at, left < 8 ? left : 8, CTZ_MASK_MORE, &out))
                ctz_buffer_append(&out, text + at, left < 8 ? left : 8);
            changed = !out.failed;
        }
        went_well = known && !out.failed && allocations_left > 0;
        allocations_left = -1;
        if (out.bytes)
            assert_null(strstr(out.bytes, "unter22"));
        if (went_well)
            assert_string_equal(out.bytes, "a *** b *** c ***\n");
        ctz_buffer_clear(&out);
        ctz_mask_clear(&mask);
        ctz_secrets_free(&host);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(text_without_secrets_is_not_touched, clear),
        cmocka_unit_test_teardown(a_secret_is_masked_wherever_it_stands, clear),
        cmocka_unit_test_teardown(values_under_four_bytes_are_not_masked, clear),
        cmocka_unit_test_teardown(white_space_around_a_value_does_not_count, clear),
        cmocka_unit_test_teardown(each_line_of_a_value_is_masked, clear),
        cmocka_unit_test_teardown(base64_is_masked_at_each_place_in_its_group, clear),
        cmocka_unit_test_teardown(base64_of_the_url_alphabet_is_masked, clear),
        cmocka_unit_test_teardown(base64_folded_into_lines_is_masked, clear),
        cmocka_unit_test_teardown(hex_is_masked_in_both_cases, clear),
        cmocka_unit_test_teardown(url_escapes_are_masked_however_much_is_escaped, clear),
        cmocka_unit_test_teardown(a_form_with_plus_for_space_needs_no_other_escape, clear),
        cmocka_unit_test_teardown(json_escapes_are_masked_and_json_stays_json, clear),
        cmocka_unit_test_teardown(xml_escapes_are_masked, clear),
        cmocka_unit_test_teardown(overlapping_secrets_are_masked_whole, clear),
        cmocka_unit_test_teardown(a_secret_that_begins_another_is_masked, clear),
        cmocka_unit_test_teardown(bytes_of_all_kinds_may_be_in_a_secret, clear),
        cmocka_unit_test_teardown(the_same_value_is_one_secret, clear),
        cmocka_unit_test_teardown(a_long_secret_is_masked_in_every_encoding, clear),
        cmocka_unit_test_teardown(a_secret_split_over_writes_is_masked, clear),
        cmocka_unit_test_teardown(what_cannot_begin_a_secret_is_not_kept_back, clear),
        cmocka_unit_test_teardown(
            at_a_rest_up_to_three_bytes_are_shown_and_the_rest_is_still_masked, clear),
        cmocka_unit_test_teardown(at_the_end_everything_leaves, clear),
        cmocka_unit_test_teardown(an_escape_cut_by_the_end_of_a_write_is_waited_for, clear),
        cmocka_unit_test_teardown(a_large_write_is_masked_across_its_slices, clear),
        cmocka_unit_test_teardown(random_secrets_in_random_chunks_are_masked_as_in_one_piece,
                                  clear),
        cmocka_unit_test_teardown(random_secrets_never_show_in_any_form_however_the_text_is_cut,
                                  clear),
        cmocka_unit_test_teardown(random_text_is_unchanged_without_a_secret_in_it, clear),
        cmocka_unit_test_teardown(a_ten_megabyte_secret_and_five_thousand_more_mask_as_one_does,
                                  clear),
        cmocka_unit_test_teardown(what_held_a_secret_is_wiped_before_it_is_freed, clear),
        cmocka_unit_test_teardown(without_memory_nothing_leaves_rather_than_a_secret, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
