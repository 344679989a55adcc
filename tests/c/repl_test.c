// repl_test.c: keys of a terminal, the place of the cursor, the file of the history.
// SPDX-License-Identifier: MIT
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#include "bindings/repl/editor.h"
#include "bindings/repl/history.h"
#include "bindings/repl/keys.h"
#include "scratch.h"

// --- keys --------------------------------------------------------------------------------------

static struct ctz_key key;

static size_t take(const char *bytes)
{
    key = (struct ctz_key){.kind = CTZ_KEY_IGNORED};
    return ctz_key_read(bytes, strlen(bytes), &key);
}

static void expect_key(const char *bytes, enum ctz_key_kind kind, uint32_t character, size_t size)
{
    assert_int_equal(take(bytes), size);
    assert_int_equal(key.kind, kind);
    if (kind != CTZ_KEY_IGNORED)
        assert_int_equal(key.character, character);
}

TEST(characters_are_keys_one_by_one)
{
    expect_key("ab", CTZ_KEY_CHARACTER, 'a', 1);
    expect_key("\r", CTZ_KEY_CHARACTER, '\r', 1);
    expect_key("\xc3\xbc!", CTZ_KEY_CHARACTER, 0xFC, 2);
    expect_key("\xe6\xbc\xa2", CTZ_KEY_CHARACTER, 0x6F22, 3);
    expect_key("\xf0\x9f\x98\x80", CTZ_KEY_CHARACTER, 0x1F600, 4);
}

TEST(a_character_that_is_cut_waits_for_its_rest)
{
    assert_int_equal(take(""), 0);
    assert_int_equal(take("\xc3"), 0);
    assert_int_equal(take("\xe6\xbc"), 0);
    assert_int_equal(take("\xf0\x9f\x98"), 0);
    assert_int_equal(take("\033\xe6\xbc"), 0);
}

TEST(bytes_that_are_no_utf8_become_one_replacement_each)
{
    expect_key("\xff", CTZ_KEY_CHARACTER, 0xFFFD, 1);
    expect_key("\x80", CTZ_KEY_CHARACTER, 0xFFFD, 1);
    expect_key("\xe6xy", CTZ_KEY_CHARACTER, 0xFFFD, 1);
    expect_key("\xed\xa0\x80", CTZ_KEY_CHARACTER, 0xFFFD, 1); // a surrogate
}

TEST(cursor_keys_become_what_they_do_in_every_mode_of_the_terminal)
{
    expect_key("\033[A", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('P'), 3);
    expect_key("\033OA", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('P'), 3);
    expect_key("\033[B", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('N'), 3);
    expect_key("\033[C", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('F'), 3);
    expect_key("\033OD", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('B'), 3);
    expect_key("\033[1;5C", CTZ_KEY_META, 'f', 6);
    expect_key("\033[1;3D", CTZ_KEY_META, 'b', 6);
    expect_key("\033[H", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('A'), 3);
    expect_key("\033[1~", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('A'), 4);
    expect_key("\033[7~", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('A'), 4);
    expect_key("\033[4~", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('E'), 4);
    expect_key("\033OF", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('E'), 3);
    expect_key("\033[3~", CTZ_KEY_DELETE, 0, 4);
    expect_key("\033[200~text", CTZ_KEY_PASTE_BEGIN, 0, 6);
}

TEST(keys_without_a_use_are_taken_whole)
{
    expect_key("\033[5~x", CTZ_KEY_IGNORED, 0, 4);   // page up
    expect_key("\033[Zx", CTZ_KEY_IGNORED, 0, 3);    // shift-tab
    expect_key("\033[15;2~", CTZ_KEY_IGNORED, 0, 7); // shift-F5
    expect_key("\033OPx", CTZ_KEY_IGNORED, 0, 3);    // F1
    expect_key("\033[?1;2cx", CTZ_KEY_IGNORED, 0, 7);
    expect_key("\033[201~", CTZ_KEY_IGNORED, 0, 6); // the end of no paste
}

TEST(a_sequence_that_is_cut_waits_and_one_that_is_broken_does_not_take_the_next_key)
{
    assert_int_equal(take("\033"), 0);
    assert_int_equal(take("\033["), 0);
    assert_int_equal(take("\033[1;"), 0);
    assert_int_equal(take("\033O"), 0);
    expect_key("\033[1\r", CTZ_KEY_IGNORED, 0, 3);
    expect_key("\033[1\033", CTZ_KEY_IGNORED, 0, 3);
    char endless[200] = "\033[";
    memset(endless + 2, '1', sizeof endless - 3);
    assert_int_not_equal(take(endless), 0);
    assert_int_equal(key.kind, CTZ_KEY_IGNORED);
}

TEST(escape_before_a_letter_is_meta_and_before_a_control_nothing)
{
    expect_key("\033b", CTZ_KEY_META, 'b', 2);
    expect_key("\033\x7f", CTZ_KEY_META, 0x7f, 2);
    expect_key("\033\b", CTZ_KEY_META, '\b', 2);
    expect_key("\033\r", CTZ_KEY_CHARACTER, '\r', 2);
    expect_key("\033\x03", CTZ_KEY_CHARACTER, CTZ_KEY_CTRL('C'), 2);
    expect_key("\033\033[A", CTZ_KEY_IGNORED, 0, 1);
}

// Any bytes at all: each round takes some of them, or asks for more of what is short.
TEST(any_bytes_come_to_an_end)
{
    static const char alphabet[] = "\033\033\033[[O~;1203AZ\x9b\xc3\xe6\xf0\x80 a\r";
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t size = (size_t)rand_r(&seed) % sizeof bytes;
        for (size_t i = 0; i < size; i++)
            bytes[i] = alphabet[(size_t)rand_r(&seed) % (sizeof alphabet - 1)];
        size_t at = 0;
        while (at < size) {
            size_t taken = ctz_key_read(bytes + at, size - at, &key);
            assert_true(taken <= size - at);
            if (taken == 0)
                break;
            at += taken;
        }
    }
}

// --- the place of the cursor -------------------------------------------------------------------

static unsigned rows_now(const wchar_t *text, wchar_t next, unsigned columns, unsigned now_columns)
{
    locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    locale_t before = uselocale(utf8);
    unsigned result =
        ctz_editor_rows("ctz> ", text, text + wcslen(text), next, columns, now_columns);
    uselocale(before);
    freelocale(utf8);
    return result;
}

static unsigned rows(const wchar_t *text, wchar_t next, unsigned columns)
{
    return rows_now(text, next, columns, columns);
}

TEST(a_line_takes_a_row_when_the_one_before_is_full)
{
    assert_int_equal(rows(L"", 0, 10), 0);
    assert_int_equal(rows(L"1234", 0, 10), 0);
    assert_int_equal(rows(L"12345", 0, 10), 1); // the cursor stands on the next one
    assert_int_equal(rows(L"12345123456789", 0, 10), 1);
    assert_int_equal(rows(L"123451234567890", 0, 10), 2);
}

TEST(wide_characters_take_two_columns_and_are_not_split)
{
    assert_int_equal(rows(L"漢字", 0, 10), 0);
    assert_int_equal(rows(L"漢字", L'漢', 10), 1); // the cursor stands on the third
    assert_int_equal(rows(L"漢字漢", 0, 10), 1);
    assert_int_equal(rows(L"漢字漢字漢字", 0, 10), 1);
    assert_int_equal(rows(L"漢字漢字漢字漢", 0, 10), 2);               // the second row is full
    assert_int_equal(rows(L"e\u0301e\u0301e\u0301e\u0301", 0, 10), 0); // combining: none
}

TEST(tabs_line_ends_and_controls_take_what_libedit_gives_them)
{
    assert_int_equal(rows(L"\t", 0, 10), 0); // to column 8
    assert_int_equal(rows(L"\t12", 0, 10), 1);
    assert_int_equal(rows(L"a\nb\nc", 0, 10), 2);
    assert_int_equal(rows(L"\001\001", 0, 10), 0); // ^A^A
    assert_int_equal(rows(L"\001\001\001", 0, 10), 1);
}

TEST(a_terminal_of_other_columns_lays_full_rows_out_anew_and_keeps_line_ends)
{
    assert_int_equal(rows_now(L"12345123456789", 0, 10, 40), 0);
    assert_int_equal(rows_now(L"1234512345", 0, 40, 10), 1);
    assert_int_equal(rows_now(L"12345", 0, 40, 10), 1);
    assert_int_equal(rows_now(L"12345\n6", 0, 40, 10), 1); // the end of a full row is one
    assert_int_equal(rows_now(L"1\n2", 0, 10, 40), 1);
    assert_int_equal(rows_now(L"漢字漢字", 0, 10, 40), 1); // libedit ended the row before the third
    assert_int_equal(rows_now(L"1漢字漢字", 0, 10, 40), 0);
}

// --- the file of the history -------------------------------------------------------------------

static char *read_history(const char *path, size_t max_bytes)
{
    struct ctz_buffer text;
    struct ctz_error err = {0};
    ctz_buffer_init(&text, SIZE_MAX / 2);
    assert_int_equal(ctz_history_read(path, max_bytes, &text, &err), 0);
    char *copy = strndup(text.bytes ? text.bytes : "", text.length);
    ctz_buffer_clear(&text);
    return copy;
}

static void append(const char *path, const char *text)
{
    struct ctz_error err = {0};
    assert_int_equal(ctz_history_append(path, text, strlen(text), &err), 0);
}

static void history_is_appended_to_a_file_of_its_owner(void **state)
{
    const char *path = scratch_path(*state, "history");
    char *text = read_history(path, 1000);
    assert_string_equal(text, ""); // there is none yet
    free(text);
    append(path, "one\n");
    assert_int_equal(chmod(path, 0644), 0);
    append(path, "two\n");
    text = read_history(path, 1000);
    assert_string_equal(text, "one\ntwo\n");
    free(text);
    struct stat facts;
    assert_int_equal(stat(path, &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
}

static void a_long_history_loses_its_older_half(void **state)
{
    const char *path = scratch_path(*state, "history");
    append(path, "one\ntwo\nthree\nfour\n");
    char *text = read_history(path, 10);
    assert_string_equal(text, "four\n");
    free(text);
    text = read_history(path, 10); // the file is shorter
    assert_string_equal(text, "four\n");
    free(text);
    assert_int_equal(scratch_count(*state), 1);
}

static void history_that_cannot_be_written_is_an_error_with_its_path(void **state)
{
    struct ctz_error err = {0};
    const char *path = scratch_path(*state, "no/such/folder/history");
    assert_int_equal(ctz_history_append(path, "x\n", 2, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_NOT_FOUND);
    assert_string_equal(err.target, path);
    ctz_error_clear(&err);
}

#define WRITERS 4
#define LINES   200

static void append_lines(const char *path, int writer)
{
    for (int i = 0; i < LINES; i++) {
        char line[64];
        struct ctz_error err = {0};
        int size = snprintf(line, sizeof line, "writer %d line %d\n", writer, i);
        if (ctz_history_append(path, line, (size_t)size, &err) < 0)
            _exit(1);
    }
    _exit(0);
}

static void sessions_that_append_at_once_lose_nothing(void **state)
{
    const char *path = scratch_path(*state, "history");
    for (int writer = 0; writer < WRITERS; writer++)
        if (fork() == 0)
            append_lines(path, writer);
    for (int running = WRITERS; running > 0; running--) {
        int status = 0;
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    char *text = read_history(path, 1000000);
    int lines = 0;
    for (const char *at = text; *at; at++)
        lines += *at == '\n';
    assert_int_equal(lines, WRITERS * LINES);
    free(text);
}

static void sessions_append_whole_lines_while_one_shortens_the_file(void **state)
{
    const char *path = scratch_path(*state, "history");
    for (int writer = 0; writer < WRITERS; writer++)
        if (fork() == 0)
            append_lines(path, writer);
    for (int running = WRITERS; running > 0;) {
        free(read_history(path, 4000)); // shortens it again and again
        int status = 0;
        if (waitpid(-1, &status, WNOHANG) > 0) {
            assert_int_equal(status, 0);
            running--;
        }
    }
    append(path, "the last\n");
    char *text = read_history(path, 1000000);
    char *end = text + strlen(text);
    assert_string_equal(end - 9, "the last\n");
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) { // whole lines only
        int writer, number;
        if (strcmp(line, "the last") != 0)
            assert_int_equal(sscanf(line, "writer %d line %d", &writer, &number), 2);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(characters_are_keys_one_by_one),
        cmocka_unit_test(a_character_that_is_cut_waits_for_its_rest),
        cmocka_unit_test(bytes_that_are_no_utf8_become_one_replacement_each),
        cmocka_unit_test(cursor_keys_become_what_they_do_in_every_mode_of_the_terminal),
        cmocka_unit_test(keys_without_a_use_are_taken_whole),
        cmocka_unit_test(
            a_sequence_that_is_cut_waits_and_one_that_is_broken_does_not_take_the_next_key),
        cmocka_unit_test(escape_before_a_letter_is_meta_and_before_a_control_nothing),
        cmocka_unit_test(any_bytes_come_to_an_end),
        cmocka_unit_test(a_line_takes_a_row_when_the_one_before_is_full),
        cmocka_unit_test(wide_characters_take_two_columns_and_are_not_split),
        cmocka_unit_test(tabs_line_ends_and_controls_take_what_libedit_gives_them),
        cmocka_unit_test(a_terminal_of_other_columns_lays_full_rows_out_anew_and_keeps_line_ends),
        cmocka_unit_test_setup_teardown(history_is_appended_to_a_file_of_its_owner, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(a_long_history_loses_its_older_half, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(history_that_cannot_be_written_is_an_error_with_its_path,
                                        scratch_make, scratch_remove),
        cmocka_unit_test_setup_teardown(sessions_that_append_at_once_lose_nothing, scratch_make,
                                        scratch_remove),
        cmocka_unit_test_setup_teardown(sessions_append_whole_lines_while_one_shortens_the_file,
                                        scratch_make, scratch_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
