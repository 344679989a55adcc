// op_test.c: ops and timers under a real host and loop, driven from C.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/host.h"
#include "host/loop.h"
#include "host/luax.h"
#include "host/task.h"

// --- an op that the test settles by hand -------------------------------------------------------

struct hand_op {
    struct ctz_op op;
    int number;
};

static struct hand_op *held[8]; // started, not settled by the test yet
static int started, cancelled, cleared, pushed;

static int start_by_hand(struct ctz_op *op)
{
    held[started++] = (struct hand_op *)op;
    return 0;
}

static void note_cancel(struct ctz_op *op)
{
    (void)op;
    cancelled++; // it does not settle: the work comes back later
}

static void note_clear(struct ctz_op *op)
{
    (void)op;
    cleared++;
}

static int push_number(lua_State *L, struct ctz_op *op)
{
    pushed++;
    lua_pushinteger(L, ((struct hand_op *)op)->number);
    return 1;
}

static const struct ctz_op_class hand_class = {
    .name = "waits for the test",
    .start = start_by_hand,
    .cancel = note_cancel,
    .push = push_number,
    .clear = note_clear,
};

static int l_wait(lua_State *L)
{
    int number = (int)luaL_checkinteger(L, 1);
    struct hand_op *op = ctz_op_new(L, &hand_class, sizeof *op);
    op->number = number;
    op->op.timeout_s = luaL_optnumber(L, 2, 0);
    return ctz_await(L, op);
}

static int start_settled(struct ctz_op *op)
{
    ctz_op_settle(op);
    return 0;
}

static const struct ctz_op_class ready_class = {
    .name = "is ready at once", .start = start_settled, .push = push_number, .clear = note_clear};

static int l_ready(lua_State *L)
{
    struct hand_op *op = ctz_op_new(L, &ready_class, sizeof *op);
    op->number = 42;
    return ctz_await(L, op);
}

// --- running -----------------------------------------------------------------------------------

static struct ctz_host *host;

static int open_host(void **state)
{
    (void)state;
    started = cancelled = cleared = pushed = 0;
    host = ctz_host_new("op_test");
    assert_non_null(host);
    lua_register(host->L, "wait", l_wait);
    lua_register(host->L, "ready", l_ready);
    return 0;
}

static int close_host(void **state)
{
    (void)state;
    ctz_host_free(host);
    return 0;
}

static void spawn(const char *code)
{
    assert_int_equal(luaL_loadstring(host->L, code), LUA_OK);
    host->root = ctz_task_spawn(host->L, NULL, 0, false);
}

static const char *error_of_root(void)
{
    lua_getiuservalue(host->L, -1, CTZ_USER_ERROR);
    return luaL_tolstring(host->L, -1, NULL);
}

static lua_Integer result_of_root(void)
{
    assert_true(host->root->ended);
    assert_false(host->root->failed);
    return lua_tointeger(host->root->thread, -1);
}

TEST(op_settles_once_and_a_second_settle_is_dropped)
{
    spawn("return wait(5)");
    ctz_tasks_run(host, 10);
    held[0]->op.references++; // so that the test may look at it afterwards
    ctz_op_settle(&held[0]->op);
    ctz_op_settle(&held[0]->op);
    ctz_tasks_run(host, 10);
    assert_int_equal(result_of_root(), 5);
    assert_int_equal(pushed, 1);
    assert_int_equal(cleared, 0);
    ctz_op_discard(&held[0]->op);
    assert_int_equal(cleared, 1);
}

TEST(op_given_up_by_its_task_is_freed_when_its_work_comes_back)
{
    spawn("return wait(5)");
    ctz_tasks_run(host, 10);
    ctz_task_cancel(host->root, CTZ_CANCEL_REQUEST);
    ctz_tasks_run(host, 10);
    assert_true(host->root->failed);
    assert_int_equal(cancelled, 1);
    assert_int_equal(cleared, 0); // the work still holds it
    assert_true(ctz_op_given_up(&held[0]->op));
    ctz_op_settle(&held[0]->op); // a late wake finds nobody
    assert_int_equal(cleared, 1);
    assert_int_equal(pushed, 0);
}

TEST(late_wake_of_a_given_up_op_does_not_reach_the_next_wait_of_the_task)
{
    spawn("pcall(wait, 1, 0.001) return wait(2)");
    ctz_tasks_run(host, 10);
    while (started < 2) {
        usleep(1000);
        ctz_timers_fire(&host->timers, ctz_now());
        ctz_tasks_run(host, 10);
    }
    ctz_op_settle(&held[0]->op);
    assert_false(ctz_tasks_run(host, 10));
    assert_false(host->root->ended);
    ctz_op_settle(&held[1]->op);
    ctz_tasks_run(host, 10);
    assert_int_equal(result_of_root(), 2);
}

TEST(late_wake_of_a_cancelled_op_does_not_reach_the_wait_of_its_clean_up)
{
    spawn(
        "local _ <close> = setmetatable({}, {__close = function() cleaned = wait(2) end}) wait(1)");
    ctz_tasks_run(host, 10);
    ctz_task_cancel(host->root, CTZ_CANCEL_REQUEST);
    ctz_tasks_run(host, 10);
    assert_int_equal(started, 2);
    ctz_op_settle(&held[0]->op);
    ctz_tasks_run(host, 10);
    assert_false(host->root->ended);
    ctz_op_settle(&held[1]->op);
    ctz_tasks_run(host, 10);
    lua_getglobal(host->L, "cleaned");
    assert_int_equal(lua_tointeger(host->L, -1), 2);
}

TEST(op_that_is_ready_at_once_returns_without_a_yield)
{
    spawn("return ready()");
    ctz_tasks_run(host, 1);
    assert_int_equal(result_of_root(), 42);
    assert_int_equal(cleared, 1);
}

TEST(op_that_was_ready_at_once_does_not_wake_the_next_wait)
{
    spawn("ready() return wait(5)");
    ctz_tasks_run(host, 10);
    assert_int_equal(started, 1);
    assert_false(host->root->ended);
    assert_int_equal(pushed, 1);
    ctz_op_settle(&held[0]->op);
    ctz_tasks_run(host, 10);
    assert_int_equal(result_of_root(), 5);
}

TEST(op_settled_before_the_cancel_still_delivers_its_result)
{
    spawn("local n = wait(7) got = n wait(8)");
    ctz_tasks_run(host, 10);
    ctz_op_settle(&held[0]->op);
    ctz_task_cancel(host->root, CTZ_CANCEL_REQUEST);
    ctz_tasks_run(host, 10);
    assert_int_equal(started, 1); // the next wait raised before its work began
    lua_getglobal(host->L, "got");
    assert_int_equal(lua_tointeger(host->L, -1), 7);
    lua_pop(host->L, 1);
    assert_non_null(strstr(error_of_root(), "the task was cancelled"));
}

TEST(ready_queue_is_first_in_first_out)
{
    lua_State *L = host->L;
    for (int i = 0; i < 4; i++) {
        char code[64];
        snprintf(code, sizeof code, "local n = wait(%d) order = (order or '') .. n", i);
        spawn(code);
    }
    ctz_tasks_run(host, 10);
    for (int i = 0; i < 4; i++)
        assert_int_equal(held[i]->number, i);
    for (int i = 3; i >= 0; i--)
        ctz_op_settle(&held[i]->op);
    ctz_tasks_run(host, 10);
    lua_getglobal(L, "order");
    assert_string_equal(lua_tostring(L, -1), "3210");
}

// --- timers ------------------------------------------------------------------------------------

struct noted_timer {
    struct ctz_timer timer;
    int number;
};

static int fired[2000];
static int fired_count;

static void note_fired(struct ctz_timer *timer)
{
    fired[fired_count++] = CTZ_CONTAINER(timer, struct noted_timer, timer)->number;
}

TEST(timers_fire_in_order_of_their_time_and_then_of_their_arming)
{
    enum { COUNT = 1000 };
    static struct noted_timer timers[COUNT];
    unsigned seed = 7;
    for (int i = 0; i < COUNT; i++) {
        timers[i].number = (int)(rand_r(&seed) % 50);
        ctz_timer_start(host, &timers[i].timer, (uint64_t)timers[i].number, note_fired);
    }
    for (int i = 0; i < COUNT; i += 3)
        ctz_timer_stop(host, &timers[i].timer);
    fired_count = 0;
    ctz_timers_fire(&host->timers, 100);
    assert_int_equal(fired_count, COUNT - (COUNT + 2) / 3);
    for (int i = 1; i < fired_count; i++)
        assert_true(fired[i - 1] <= fired[i]);
    assert_true(ctz_timers_next(&host->timers) == CTZ_NEVER);
}

static void arm_again(struct ctz_timer *timer)
{
    fired_count++;
    ctz_timer_start(host, timer, 0, arm_again);
}

TEST(timer_armed_by_its_own_callback_waits_for_the_next_round)
{
    struct ctz_timer timer = {0};
    fired_count = 0;
    ctz_timer_start(host, &timer, 0, arm_again);
    ctz_timers_fire(&host->timers, 10);
    assert_int_equal(fired_count, 1);
    ctz_timer_stop(host, &timer);
}

#define HOST_TEST(name) cmocka_unit_test_setup_teardown(name, open_host, close_host)

int main(void)
{
    const struct CMUnitTest tests[] = {
        HOST_TEST(op_settles_once_and_a_second_settle_is_dropped),
        HOST_TEST(op_given_up_by_its_task_is_freed_when_its_work_comes_back),
        HOST_TEST(late_wake_of_a_given_up_op_does_not_reach_the_next_wait_of_the_task),
        HOST_TEST(late_wake_of_a_cancelled_op_does_not_reach_the_wait_of_its_clean_up),
        HOST_TEST(op_that_is_ready_at_once_returns_without_a_yield),
        HOST_TEST(op_that_was_ready_at_once_does_not_wake_the_next_wait),
        HOST_TEST(op_settled_before_the_cancel_still_delivers_its_result),
        HOST_TEST(ready_queue_is_first_in_first_out),
        HOST_TEST(timers_fire_in_order_of_their_time_and_then_of_their_arming),
        HOST_TEST(timer_armed_by_its_own_callback_waits_for_the_next_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
