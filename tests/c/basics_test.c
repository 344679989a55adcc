// basics_test.c: error.c, buffer.c, limits.c, allow.c: plain C without a host.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/allow.h"
#include "host/buffer.h"
#include "host/error.h"
#include "host/limits.h"

// --- error -------------------------------------------------------------------------------------

TEST(error_set_returns_minus_one_and_replaces_what_was_there)
{
    struct ctz_error err = {0};
    assert_int_equal(ctz_error_set(&err, CTZ_ERROR_NOT_FOUND, "no %s", "cat"), -1);
    ctz_error_set(&err, CTZ_ERROR_DENIED, "again: %s", ctz_error_message(&err));
    assert_int_equal(err.kind, CTZ_ERROR_DENIED);
    assert_string_equal(err.message, "again: no cat");
    ctz_error_clear(&err);
    assert_null(err.message);
}

TEST(error_system_chooses_the_kind_from_the_number)
{
    struct ctz_error err = {0};
    ctz_error_system(&err, ENOENT, "open %s", "x");
    assert_int_equal(err.kind, CTZ_ERROR_NOT_FOUND);
    assert_string_equal(err.message, "open x: no such file or directory");
    assert_string_equal(err.code, "ENOENT");
    ctz_error_system(&err, -ENOSPC, "write");
    assert_int_equal(err.kind, CTZ_ERROR_IO);
    assert_string_equal(err.code, "ENOSPC");
    ctz_error_clear(&err);
}

TEST(error_wrap_keeps_kind_and_facts_and_moves_the_old_one_to_cause)
{
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_RATE_LIMITED, "slow down");
    err.status = 429;
    ctz_error_hint(&err, "wait");
    ctz_error_wrap(&err, "pull %s", "a/b");
    assert_int_equal(err.kind, CTZ_ERROR_RATE_LIMITED);
    assert_int_equal(err.status, 429);
    assert_string_equal(err.message, "pull a/b");
    assert_string_equal(err.hint, "wait");
    assert_string_equal(err.cause->message, "slow down");
    assert_null(err.cause->hint);
    struct ctz_error other = {0};
    ctz_error_move(&other, &err);
    assert_null(err.message);
    ctz_error_clear(&other);
}

TEST(error_copy_copies_facts_texts_and_what_led_to_it)
{
    struct ctz_error err = {0}, copy = {0};
    ctz_error_system(&err, ECONNRESET, "read");
    ctz_error_hint(&err, "again");
    err.retryable = true;
    ctz_error_wrap(&err, "pull %s", "a/b");
    ctz_error_set(&copy, CTZ_ERROR_IO, "before");
    ctz_error_copy(&copy, &err);
    ctz_error_clear(&err);
    assert_int_equal(copy.kind, CTZ_ERROR_UNREACHABLE);
    assert_true(copy.retryable);
    assert_string_equal(copy.message, "pull a/b");
    assert_string_equal(copy.hint, "again");
    assert_string_equal(copy.cause->code, "ECONNRESET");
    assert_null(copy.cause->cause);
    ctz_error_clear(&copy);
}

TEST(error_clear_frees_a_chain_of_a_hundred_thousand_causes)
{
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_IO, "first");
    for (int i = 0; i < 100000; i++)
        ctz_error_wrap(&err, "more");
    ctz_error_clear(&err);
    assert_null(err.cause);
}

TEST(error_kind_names_and_kinds_are_inverse)
{
    for (int kind = 1; kind < CTZ_ERROR_COUNT; kind++)
        assert_int_equal(ctz_error_kind_of(ctz_error_kind_name((enum ctz_error_kind)kind)), kind);
    assert_int_equal(ctz_error_kind_of("nonsense"), CTZ_ERROR_NONE);
}

// --- buffer ------------------------------------------------------------------------------------

TEST(buffer_grows_and_keeps_a_nul_behind)
{
    struct ctz_buffer buffer;
    ctz_buffer_init(&buffer, 1000000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(ctz_buffer_format(&buffer, "%d,", i), 0);
    assert_int_equal(strlen(buffer.bytes), buffer.length);
    ctz_buffer_shift(&buffer, 2);
    assert_memory_equal(buffer.bytes, "1,2,", 4);
    char *taken = ctz_buffer_take(&buffer);
    assert_int_equal(buffer.length, 0);
    ctz_free(taken);
}

TEST(buffer_past_its_cap_fails_once_and_stays_failed)
{
    struct ctz_buffer buffer;
    ctz_buffer_init(&buffer, 10);
    assert_int_equal(ctz_buffer_text(&buffer, "0123456789"), 0);
    assert_int_equal(ctz_buffer_byte(&buffer, 'x'), -1);
    assert_true(buffer.failed);
    assert_null(buffer.bytes);
    assert_int_equal(ctz_buffer_text(&buffer, ""), -1);
}

// --- limits ------------------------------------------------------------------------------------

TEST(limits_are_parsed_with_units_and_refused_with_the_nearest_name)
{
    struct ctz_limits limits;
    struct ctz_error err = {0};
    ctz_limits_init(&limits);
    assert_int_equal(ctz_limits_parse(&limits, "document_bytes=128m", &err), 0);
    assert_int_equal(limits.values[CTZ_LIMIT_DOCUMENT_BYTES], 128 * CTZ_MIB);
    assert_int_equal(ctz_limits_parse(&limits, "json_dept=3", &err), -1);
    assert_string_equal(err.message, "no limit is called \"json_dept\"");
    assert_non_null(strstr(err.hint, "json_depth"));
    assert_int_equal(ctz_limits_parse(&limits, "json_depth", &err), -1);
    assert_int_equal(ctz_limits_parse(&limits, "json_depth=x", &err), -1);
    ctz_error_clear(&err);
}

TEST(bytes_are_read_as_docker_writes_them)
{
    static const struct {
        const char *text;
        int64_t bytes; // -1: refused
    } cases[] = {
        {"0", 0},          {"512", 512},     {"1k", 1024}, {"1.5k", 1536}, {"64MiB", 67108864},
        {"2G", 1LL << 31}, {"10 kb", 10240}, {"3b", 3},    {"", -1},       {"-1", -1},
        {"k", -1},         {"1x", -1},       {"1kk", -1},  {"nan", -1},    {"1e30", -1},
        {"1kib", 1024}};
    for (size_t i = 0; i < CTZ_COUNT(cases); i++) {
        uint64_t bytes = 0;
        struct ctz_error err = {0};
        int result = ctz_parse_bytes(cases[i].text, &bytes, &err);
        assert_int_equal(result, cases[i].bytes < 0 ? -1 : 0);
        if (result == 0)
            assert_int_equal(bytes, cases[i].bytes);
        ctz_error_clear(&err);
    }
}

TEST(nearest_finds_slips_and_leaves_strangers)
{
    static const char *const names[] = {"timeout", "check", "cwd", NULL};
    assert_string_equal(ctz_nearest("timeuot", names), "timeout");
    assert_string_equal(ctz_nearest("chek", names), "check");
    assert_null(ctz_nearest("environment", names));
}

// --- allow -------------------------------------------------------------------------------------

static bool allows(const char *grant, enum ctz_capability capability, const char *subject)
{
    struct ctz_allow_list *list = NULL;
    struct ctz_error err = {0};
    assert_int_equal(ctz_allow_add(&list, grant, &err), 0);
    bool matches = ctz_allow_matches(list, capability, subject);
    ctz_allow_clear(&list);
    return matches;
}

TEST(allow_matches_a_path_at_and_below_the_granted_one)
{
    char root[] = "/tmp/ctz-allow-XXXXXX", inside[64], beside[64], link[64], escape[128], grant[64];
    assert_non_null(mkdtemp(root));
    snprintf(grant, sizeof grant, "read=%s", root);
    snprintf(inside, sizeof inside, "%s/a/b", root);
    snprintf(beside, sizeof beside, "%sx", root);
    snprintf(escape, sizeof escape, "%s/none/../../etc/passwd", root);
    snprintf(link, sizeof link, "%s/link", root);
    assert_int_equal(symlink("/etc", link), 0);
    assert_true(allows(grant, CTZ_CAP_READ, root));
    assert_true(allows(grant, CTZ_CAP_READ, inside));
    assert_false(allows(grant, CTZ_CAP_READ, beside));
    assert_false(allows(grant, CTZ_CAP_READ, escape));
    assert_false(allows(grant, CTZ_CAP_WRITE, inside));
    char through[80];
    snprintf(through, sizeof through, "%s/passwd", link);
    assert_false(allows(grant, CTZ_CAP_READ, through));
    unlink(link);
    rmdir(root);
}

TEST(allow_matches_hosts_programs_and_whole_kinds)
{
    assert_true(allows("net=example.org", CTZ_CAP_NET, "example.org:443"));
    assert_true(allows("net=example.org:443", CTZ_CAP_NET, "example.org:443"));
    assert_false(allows("net=example.org:443", CTZ_CAP_NET, "example.org:80"));
    assert_false(allows("net=example.org", CTZ_CAP_NET, "example.org.evil:443"));
    assert_true(allows("run=git", CTZ_CAP_RUN, "git"));
    assert_false(allows("run=git", CTZ_CAP_RUN, "/tmp/git"));
    assert_true(allows("env", CTZ_CAP_ENV, "HOME"));
    struct ctz_allow_list *list = NULL;
    struct ctz_error err = {0};
    assert_int_equal(ctz_allow_add(&list, "reed=x", &err), -1);
    assert_string_equal(err.hint, "did you mean read?");
    ctz_error_clear(&err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_set_returns_minus_one_and_replaces_what_was_there),
        cmocka_unit_test(error_system_chooses_the_kind_from_the_number),
        cmocka_unit_test(error_wrap_keeps_kind_and_facts_and_moves_the_old_one_to_cause),
        cmocka_unit_test(error_copy_copies_facts_texts_and_what_led_to_it),
        cmocka_unit_test(error_clear_frees_a_chain_of_a_hundred_thousand_causes),
        cmocka_unit_test(error_kind_names_and_kinds_are_inverse),
        cmocka_unit_test(buffer_grows_and_keeps_a_nul_behind),
        cmocka_unit_test(buffer_past_its_cap_fails_once_and_stays_failed),
        cmocka_unit_test(limits_are_parsed_with_units_and_refused_with_the_nearest_name),
        cmocka_unit_test(bytes_are_read_as_docker_writes_them),
        cmocka_unit_test(nearest_finds_slips_and_leaves_strangers),
        cmocka_unit_test(allow_matches_a_path_at_and_below_the_granted_one),
        cmocka_unit_test(allow_matches_hosts_programs_and_whole_kinds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
