// docker_record_test.c: records of runs, and whether a process still lives.
// SPDX-License-Identifier: MIT
#include "bindings/docker/record.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/c/scratch.h"
#include "tests/c/test.h"

#define RUN   "0123456789abcdef0123456789abcdef"
#define OTHER "fedcba9876543210fedcba9876543210"

static int fresh_state(void **state)
{
    return scratch_make(state) < 0 ? -1 : setenv("XDG_STATE_HOME", *state, 1);
}

static void begin(struct record *record, const char *run)
{
    struct ctz_error err = {0};
    assert_int_equal(record_begin(record, run, &err), 0);
}

TEST(this_process_is_told_from_all_others)
{
    struct record_facts facts;
    record_read_facts(&facts);
    assert_int_equal(facts.pid, getpid());
    assert_true(facts.start > 0);
    assert_string_not_equal(facts.boot, "");
    assert_true(record_lives(facts.pid, facts.start));
    assert_false(record_lives(facts.pid, facts.start + 1));
}

TEST(a_process_that_ended_does_not_live_even_while_nobody_has_reaped_it)
{
    int gate[2];
    assert_int_equal(pipe(gate), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        close(gate[1]);
        _exit((int)read(gate[0], &byte, 1));
    }
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)child);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, sizeof line, file));
    fclose(file);
    unsigned long long start;
    assert_int_equal(sscanf(strrchr(line, ')'),
                            ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                            "%*d %*d %*d %llu",
                            &start),
                     1);
    assert_true(record_lives(child, start));
    close(gate[1]);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT), 0);
    assert_false(record_lives(child, start));
    waitpid(child, NULL, 0);
    assert_false(record_lives(child, start));
    close(gate[0]);
}

TEST(no_process_has_a_number_below_one)
{
    assert_false(record_lives(0, 1));
    assert_false(record_lives(-1, 1));
}

TEST(a_record_is_held_until_its_run_ends)
{
    struct record record;
    assert_int_equal(record_look(RUN), RECORD_NONE);
    begin(&record, RUN);
    assert_int_equal(record_look(RUN), RECORD_HELD);
    assert_int_equal(record_look(OTHER), RECORD_NONE);
    record_end(&record, false);
    assert_int_equal(record_look(RUN), RECORD_FREE);
}

TEST(the_record_of_a_run_that_ended_well_is_removed)
{
    struct record record;
    begin(&record, RUN);
    record_end(&record, true);
    assert_int_equal(record_look(RUN), RECORD_NONE);
    record_end(&record, true); // nothing is left to end
}

TEST(the_folder_of_records_is_private)
{
    struct record record;
    struct stat facts;
    mode_t before = umask(0);
    begin(&record, RUN);
    umask(before);
    assert_int_equal(stat(scratch_path(*state, "ctz/runs"), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0700);
    assert_int_equal(stat(scratch_path(*state, "ctz/runs/" RUN), &facts), 0);
    assert_int_equal(facts.st_mode & 0777, 0600);
    record_end(&record, true);
}

TEST(a_record_is_never_made_twice)
{
    struct record record, again;
    struct ctz_error err = {0};
    begin(&record, RUN);
    assert_int_equal(record_begin(&again, RUN, &err), -1);
    assert_string_equal(err.code, "EEXIST");
    ctz_error_clear(&err);
    record_end(&record, true);
}

TEST(what_is_no_name_of_a_run_is_not_looked_for)
{
    assert_int_equal(mkdir(scratch_path(*state, "ctz"), 0700), 0);
    scratch_write(scratch_path(*state, "ctz/outside"), "", 0);
    assert_int_equal(record_look("../outside"), RECORD_NONE);
    assert_int_equal(record_look(""), RECORD_NONE);
}

static void touch_old(const char *path, time_t age_s)
{
    struct timeval times[2] = {{.tv_sec = time(NULL) - age_s}, {.tv_sec = time(NULL) - age_s}};
    assert_int_equal(utimes(path, times), 0);
}

// As if the last look for old records had been age_s ago.
static void swept(void **state, time_t age_s)
{
    touch_old(scratch_path(*state, "ctz/runs/swept"), age_s);
}

TEST(old_records_are_looked_for_once_a_day)
{
    static const char old_run[] = "00000000000000000000000000000001";
    struct record old, record;
    begin(&old, old_run);
    record_end(&old, false);
    touch_old(old.path, 31 * 24 * 3600);
    swept(state, 23 * 3600);
    begin(&record, RUN);
    record_end(&record, true);
    assert_int_equal(record_look(old_run), RECORD_FREE);
    swept(state, 25 * 3600);
    begin(&record, RUN);
    record_end(&record, true);
    assert_int_equal(record_look(old_run), RECORD_NONE);
}

TEST(records_of_a_month_ago_are_removed_unless_they_are_held)
{
    static const char old_run[] = "00000000000000000000000000000001";
    static const char held_run[] = "00000000000000000000000000000002";
    struct record old, held, record;
    begin(&old, old_run);
    record_end(&old, false);
    begin(&held, held_run);
    touch_old(old.path, 31 * 24 * 3600);
    touch_old(held.path, 31 * 24 * 3600);
    swept(state, 25 * 3600);
    begin(&record, RUN);
    assert_int_equal(record_look(old_run), RECORD_NONE);
    assert_int_equal(record_look(held_run), RECORD_HELD);
    record_end(&record, true);
    record_end(&held, true);
}

TEST(without_a_folder_of_state_a_private_one_is_used)
{
    struct record record;
    char expected[64];
    setenv("XDG_STATE_HOME", "/proc/none", 1);
    begin(&record, RUN);
    snprintf(expected, sizeof expected, "/var/tmp/ctz-%u/%s", (unsigned)geteuid(), RUN);
    assert_string_equal(record.path, expected);
    assert_int_equal(record_look(RUN), RECORD_HELD);
    record_end(&record, true);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, fresh_state, scratch_remove)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(this_process_is_told_from_all_others),
        cmocka_unit_test(a_process_that_ended_does_not_live_even_while_nobody_has_reaped_it),
        cmocka_unit_test(no_process_has_a_number_below_one),
        T(a_record_is_held_until_its_run_ends),
        T(the_record_of_a_run_that_ended_well_is_removed),
        T(the_folder_of_records_is_private),
        T(a_record_is_never_made_twice),
        T(what_is_no_name_of_a_run_is_not_looked_for),
        T(old_records_are_looked_for_once_a_day),
        T(records_of_a_month_ago_are_removed_unless_they_are_held),
        T(without_a_folder_of_state_a_private_one_is_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
