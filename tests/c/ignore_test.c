// ignore_test.c: .dockerignore patterns, against the tables of moby/patternmatcher v0.6.1
// (patternmatcher_test.go and ignorefile/ignorefile_test.go, Apache-2.0), and bad input.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "bindings/context/ignore.h"

static struct ctz_ignore *compile(const char *text)
{
    struct ctz_error err = {0};
    struct ctz_ignore *ignore = ctz_ignore_new(text, strlen(text), ".dockerignore", &err);
    if (!ignore)
        fail_msg("\"%s\": %s", text, ctz_error_message(&err));
    return ignore;
}

static bool match(const struct ctz_ignore *ignore, const char *path)
{
    return ctz_ignore_match(ignore, path, strlen(path)) == 1;
}

// As those who walk ask: folder by folder.
static bool match_walking(const struct ctz_ignore *ignore, const char *path)
{
    bool flags[2][64] = {{false}};
    struct ctz_regex_room room = {0};
    int result = 0, turn = 0;
    char *part = strdup(path);
    for (char *slash = part; slash; turn++) {
        slash = strchr(slash + (turn > 0), '/');
        if (slash)
            *slash = '\0';
        result = ctz_ignore_step(ignore, &room, part, turn ? flags[turn % 2] : NULL,
                                 flags[(turn + 1) % 2]);
        if (slash)
            *slash = '/';
    }
    free(part);
    ctz_regex_room_clear(&room);
    return result == 1;
}

static void expect(const char *text, const char *path, bool wanted)
{
    struct ctz_ignore *ignore = compile(text);
    if (match(ignore, path) != wanted)
        fail_msg("patterns \"%s\", path \"%s\": expected %d", text, path, wanted);
    size_t length = strlen(path);
    if (length > 0 && path[length - 1] != '/' && match_walking(ignore, path) != wanted)
        fail_msg("patterns \"%s\", path \"%s\", walking: expected %d", text, path, wanted);
    ctz_ignore_release(ignore);
}

struct row {
    const char *text, *path;
    bool wanted;
};

// TestMatches: MatchesOrParentMatches and MatchesUsingParentResults.
TEST(the_table_of_moby_holds)
{
    static const struct row rows[] = {
        {"**", "file", true},
        {"**", "file/", true},
        {"**/", "file", true},
        {"**/", "file/", true},
        {"**", "/", true},
        {"**/", "/", true},
        {"**", "dir/file", true},
        {"**/", "dir/file", true},
        {"**", "dir/file/", true},
        {"**/", "dir/file/", true},
        {"**/**", "dir/file", true},
        {"**/**", "dir/file/", true},
        {"dir/**", "dir/file", true},
        {"dir/**", "dir/file/", true},
        {"dir/**", "dir/dir2/file", true},
        {"dir/**", "dir/dir2/file/", true},
        {"**/dir", "dir", true},
        {"**/dir", "dir/file", true},
        {"**/dir2/*", "dir/dir2/file", true},
        {"**/dir2/*", "dir/dir2/file/", true},
        {"**/dir2/**", "dir/dir2/dir3/file", true},
        {"**/dir2/**", "dir/dir2/dir3/file/", true},
        {"**file", "file", true},
        {"**file", "dir/file", true},
        {"**/file", "dir/file", true},
        {"**file", "dir/dir/file", true},
        {"**/file", "dir/dir/file", true},
        {"**/file*", "dir/dir/file", true},
        {"**/file*", "dir/dir/file.txt", true},
        {"**/file*txt", "dir/dir/file.txt", true},
        {"**/file*.txt", "dir/dir/file.txt", true},
        {"**/file*.txt*", "dir/dir/file.txt", true},
        {"**/**/*.txt", "dir/dir/file.txt", true},
        {"**/**/*.txt2", "dir/dir/file.txt", false},
        {"**/*.txt", "file.txt", true},
        {"**/**/*.txt", "file.txt", true},
        {"a**/*.txt", "a/file.txt", true},
        {"a**/*.txt", "a/dir/file.txt", true},
        {"a**/*.txt", "a/dir/dir/file.txt", true},
        {"a/*.txt", "a/dir/file.txt", false},
        {"a/*.txt", "a/file.txt", true},
        {"a/*.txt**", "a/file.txt", true},
        {"a[b-d]e", "ae", false},
        {"a[b-d]e", "ace", true},
        {"a[b-d]e", "aae", false},
        {"a[^b-d]e", "aze", true},
        {".*", ".foo", true},
        {".*", "foo", false},
        {"abc.def", "abcdef", false},
        {"abc.def", "abc.def", true},
        {"abc.def", "abcZdef", false},
        {"abc?def", "abcZdef", true},
        {"abc?def", "abcdef", false},
        {"a\\\\", "a\\", true},
        {"**/foo/bar", "foo/bar", true},
        {"**/foo/bar", "dir/foo/bar", true},
        {"**/foo/bar", "dir/dir2/foo/bar", true},
        {"abc/**", "abc", false},
        {"abc/**", "abc/def", true},
        {"abc/**", "abc/def/ghi", true},
        {"**/.foo", ".foo", true},
        {"**/.foo", "bar.foo", false},
        {"a(b)c/def", "a(b)c/def", true},
        {"a(b)c/def", "a(b)c/xyz", false},
        {"a.|)$(}+{bc", "a.|)$(}+{bc", true},
        {"dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
         "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true},
        {"dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true},
        {"a\\*b", "a*b", true},
        {"**\n!util/docker/web", "util/docker/web/foo", false},
        {"**\n!util/docker/web\nutil/docker/web/foo", "util/docker/web/foo", true},
        {"**\n!dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
         "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", false},
        {"**\n!dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", false},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++)
        expect(rows[i].text, rows[i].path, rows[i].wanted);
}

// TestMatch and the single tests before TestMatches.
TEST(the_table_of_go_and_the_single_cases_of_moby_hold)
{
    static const struct row rows[] = {
        {"abc", "abc", true},
        {"*", "abc", true},
        {"*c", "abc", true},
        {"a*", "a", true},
        {"a*", "abc", true},
        {"a*", "ab/c", true},
        {"a*/b", "abc/b", true},
        {"a*/b", "a/c/b", false},
        {"a*b*c*d*e*/f", "axbxcxdxe/f", true},
        {"a*b*c*d*e*/f", "axbxcxdxexxx/f", true},
        {"a*b*c*d*e*/f", "axbxcxdxe/xxx/f", false},
        {"a*b*c*d*e*/f", "axbxcxdxexxx/fff", false},
        {"a*b?c*x", "abxbbxdbxebxczzx", true},
        {"a*b?c*x", "abxbbxdbxebxczzy", false},
        {"ab[c]", "abc", true},
        {"ab[b-d]", "abc", true},
        {"ab[e-g]", "abc", false},
        {"ab[^c]", "abc", false},
        {"ab[^b-d]", "abc", false},
        {"ab[^e-g]", "abc", true},
        {"a\\*b", "ab", false},
        {"a?b", "a\u263ab", true},
        {"a[^a]b", "a\u263ab", true},
        {"a???b", "a\u263ab", false},
        {"a[^a][^a][^a]b", "a\u263ab", false},
        {"[a-\u03b6]*", "\u03b1", true},
        {"*[a-\u03b6]", "A", false},
        {"a?b", "a/b", false},
        {"a*b", "a/b", false},
        {"[\\]a]", "]", true},
        {"[\\-]", "-", true},
        {"[x\\-]", "x", true},
        {"[x\\-]", "-", true},
        {"[x\\-]", "z", false},
        {"[\\-x]", "x", true},
        {"[\\-x]", "-", true},
        {"[\\-x]", "a", false},
        {"*x", "xxx", true},
        {"*", "fileutils.go", true},
        {"*.go", "fileutils.go", true},
        {"!fileutils.go\n*.go", "fileutils.go", true},
        {"docs\n!docs/README.md", "docs/README.md", false},
        {"docs/\n!docs/README.md", "docs/README.md", false},
        {"docs/*\n!docs/README.md", "docs/README.md", false},
        {"*.go\n!fileutils.go", "fileutils.go", false},
        {"*.go", ".", false},
        {"", "/any/path/there", false},
    };
    for (size_t i = 0; i < CTZ_COUNT(rows); i++)
        expect(rows[i].text, rows[i].path, rows[i].wanted);
}

TEST(malformed_patterns_are_refused_with_their_line)
{
    static const char *const bad[] = {"[]a]",    "[-]",   "[x-]", "[-x]",          "\\",
                                      "[a-b-c]", "[",     "[^",   "[^bc",          "a[",
                                      "!",       "! ",    "!/",   "[Local-Only]/", "a*[b-a]",
                                      "*\\1",    "*\\pL", "*\\Q", "a?{1001}",      "?\\\303\251"};
    for (size_t i = 0; i < CTZ_COUNT(bad); i++) {
        struct ctz_error err = {0};
        char text[64];
        int size = snprintf(text, sizeof text, "fine\n%s\n", bad[i]);
        struct ctz_ignore *ignore = ctz_ignore_new(text, (size_t)size, "x.ignore", &err);
        if (ignore)
            fail_msg("\"%s\" was taken", bad[i]);
        assert_int_equal(err.kind, CTZ_ERROR_USAGE);
        assert_non_null(strstr(ctz_error_message(&err), "x.ignore:2: \""));
        ctz_error_clear(&err);
    }
}

static void assert_patterns(const char *text, size_t size, const char *const *wanted, size_t count)
{
    struct ctz_error err = {0};
    struct ctz_ignore *ignore = ctz_ignore_new(text, size, "x", &err);
    assert_non_null(ignore);
    assert_int_equal(ignore->count, count);
    for (size_t i = 0; i < count; i++) {
        const struct ctz_ignore_pattern *pattern = &ignore->patterns[i];
        assert_int_equal(pattern->is_exception, wanted[i][0] == '!');
        assert_string_equal(pattern->text, wanted[i] + pattern->is_exception);
    }
    ctz_ignore_release(ignore);
}

TEST(lines_are_read_as_moby_reads_them)
{
    static const char text[] = "test1\n/test2\n/a/file/here\n\nlastfile\n# this is a comment\n"
                               "! /inverted/abs/path\n";
    static const char *const wanted[] = {"test1", "test2", "a/file/here", "lastfile",
                                         "!inverted/abs/path"};
    assert_patterns(text, sizeof text - 1, wanted, CTZ_COUNT(wanted));
    static const char more[] = "\xef\xbb\xbf# comment\r\n #pattern\r\n\tdocs/ \t\r\n"
                               "\xc2\xa0./a/../b//c\xe3\x80\x80\r\n//d\n../e\nf";
    static const char *const rest[] = {"#pattern", "docs", "b/c", "d", "../e", "f"};
    assert_patterns(more, sizeof more - 1, rest, CTZ_COUNT(rest));
}

TEST(a_line_of_more_than_64_KiB_is_an_error_of_kind_size)
{
    struct ctz_error err = {0};
    size_t size = 65 * 1024;
    char *text = malloc(size + 1);
    memset(text, 'a', size);
    text[size] = '\0';
    assert_null(ctz_ignore_new(text, size, "x", &err));
    assert_int_equal(err.kind, CTZ_ERROR_SIZE);
    ctz_error_clear(&err);
    free(text);
}

TEST(a_file_in_utf16_is_refused)
{
    struct ctz_error err = {0};
    assert_null(ctz_ignore_new("\xff\xfe*\0.\0l\0o\0g\0\n\0", 14, "x", &err));
    assert_non_null(strstr(ctz_error_message(&err), "UTF-16"));
    ctz_error_clear(&err);
}

// What follows from patterns becoming Go regular expressions word for word: checked with the
// original, patternmatcher v0.6.1 under Go 1.26.
TEST(the_quirks_of_moby_are_kept)
{
    expect("[*]", "*", false);
    expect("[*]", "[^[/]", true);
    expect("?\\d", "a1", true);
    expect("?\\d", "ad", false);
    expect("*.{js,ts}", "a.js", false);
    expect("*.{js,ts}", "a.{js,ts}", true);
    expect("[[:alpha:]]x", "ax", true);
    expect("a{2}?", "aab", true);
    expect("*|b", "x/b", true);
    expect("a*\\", "ab$c", true);
    expect("a^?", "a^b", false);
    expect("a?b", "a\nb", true);
    expect("**?x", "a\nb/cx", false); // the dot of .* is no line end
    expect("*\xff", "a\xfe", true);
    expect("a\xff", "a\xfe", false);
}

TEST(a_walk_differs_from_a_single_question_where_moby_does)
{
    struct ctz_ignore *ignore = compile("foo/bar\n!foo");
    assert_false(match(ignore, "foo/bar"));        // MatchesOrParentMatches
    assert_true(match_walking(ignore, "foo/bar")); // MatchesUsingParentResults
    ctz_ignore_release(ignore);
}

static int looks(const char *text, const char *folder)
{
    struct ctz_ignore *ignore = compile(text);
    struct ctz_regex_room room = {0};
    int result = ctz_ignore_looks_below(ignore, &room, folder);
    ctz_regex_room_clear(&room);
    ctz_ignore_release(ignore);
    return result;
}

TEST(folders_are_looked_into_only_where_an_exception_may_apply)
{
    assert_int_equal(looks("*", "a"), 0);
    assert_int_equal(looks("*\n!b", "a"), 0);
    assert_int_equal(looks("*\n!a/b", "a"), 1);
    assert_int_equal(looks("*\n!a/b", "a/b"), 0);
    assert_int_equal(looks("*\n!a/b", "ab"), 0);
    assert_int_equal(looks("*\n!a/**", "a/b/c"), 1);
    assert_int_equal(looks("*\n!b/**", "a"), 0);
    assert_int_equal(looks("*\n!**/x", "a"), 1);
    assert_int_equal(looks("*\n!*/x", "a"), 1);
    assert_int_equal(looks("*\n!*/x", "a/b"), 0);
    assert_int_equal(looks("*\n!a?c/*.txt", "abc"), 1);
    assert_int_equal(looks("*\n!a?c/*.txt", "abd"), 0);
    assert_int_equal(looks("*\n!a**b", "a"), 1);
    assert_int_equal(looks("*\n!a**b", "b"), 0);
}

TEST(hostile_patterns_take_linear_time)
{
    char text[4000] = "", path[4000];
    for (int i = 0; i < 400; i++)
        strcat(text, i % 2 ? "**/" : "*a");
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    strcat(text, "b");
    struct ctz_ignore *ignore = compile(text);
    clock_t begin = clock();
    assert_false(match(ignore, path));
    // Backtracking would take longer than the universe has; a slow machine may take its time.
    assert_true((clock() - begin) / CLOCKS_PER_SEC < 20);
    ctz_ignore_release(ignore);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_table_of_moby_holds),
        cmocka_unit_test(the_table_of_go_and_the_single_cases_of_moby_hold),
        cmocka_unit_test(malformed_patterns_are_refused_with_their_line),
        cmocka_unit_test(lines_are_read_as_moby_reads_them),
        cmocka_unit_test(a_line_of_more_than_64_KiB_is_an_error_of_kind_size),
        cmocka_unit_test(a_file_in_utf16_is_refused),
        cmocka_unit_test(the_quirks_of_moby_are_kept),
        cmocka_unit_test(a_walk_differs_from_a_single_question_where_moby_does),
        cmocka_unit_test(folders_are_looked_into_only_where_an_exception_may_apply),
        cmocka_unit_test(hostile_patterns_take_linear_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
