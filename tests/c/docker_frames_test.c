// docker_frames_test.c: frames.c: multiplexed frames cut anywhere, times of the engine.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <string.h>

#include "bindings/docker/frames.h"

// stdout "ab\n", an empty frame, stderr "c", stdin's echo "d"
static const char stream[] = "\1\0\0\0\0\0\0\3ab\n"
                             "\2\0\0\0\0\0\0\0"
                             "\2\0\0\0\0\0\0\1c"
                             "\0\0\0\0\0\0\0\1d";
#define STREAM_BYTES (sizeof stream - 1)

struct collected {
    char text[FRAME_STREAMS][16];
    size_t sizes[FRAME_STREAMS];
    int begun, ended;
};

static void collect(struct frames *frames, const char *bytes, size_t size, struct collected *out)
{
    struct ctz_error err = {0};
    while (size > 0) {
        struct frame_part part;
        ptrdiff_t used = frames_next(frames, bytes, size, &part, &err);
        assert_true(used > 0);
        assert_true(out->sizes[part.stream] + part.size <= sizeof out->text[0]);
        memcpy(out->text[part.stream] + out->sizes[part.stream], part.bytes, part.size);
        out->sizes[part.stream] += part.size;
        out->begun += part.begins;
        out->ended += part.ends;
        bytes += used;
        size -= (size_t)used;
    }
}

TEST(frames_give_the_same_wherever_the_stream_is_cut)
{
    for (size_t first = 0; first <= STREAM_BYTES; first++) {
        for (size_t second = first; second <= STREAM_BYTES; second++) {
            struct frames frames = {0};
            struct collected out = {0};
            collect(&frames, stream, first, &out);
            collect(&frames, stream + first, second - first, &out);
            collect(&frames, stream + second, STREAM_BYTES - second, &out);
            assert_true(frames_at_border(&frames));
            assert_int_equal(out.sizes[FRAME_STDOUT], 4);
            assert_memory_equal(out.text[FRAME_STDOUT], "ab\nd", 4);
            assert_int_equal(out.sizes[FRAME_STDERR], 1);
            assert_int_equal(out.begun, 4);
        }
    }
}

TEST(frames_tell_an_end_in_the_middle)
{
    for (size_t size = 0; size <= 11; size++) {
        struct frames frames = {0};
        struct collected out = {0};
        collect(&frames, stream, size, &out);
        assert_int_equal(frames_at_border(&frames), size == 0 || size == 11);
    }
}

TEST(frames_refuse_what_is_not_made_of_them)
{
    struct frames frames = {0};
    struct frame_part part;
    struct ctz_error err = {0};
    assert_int_equal(frames_next(&frames, "hello, world", 12, &part, &err), -1);
    assert_int_equal(err.kind, CTZ_ERROR_PROTOCOL);
    ctz_error_clear(&err);
}

TEST(frames_of_a_terminal_are_the_bytes_themselves)
{
    struct frames frames = {.raw = true};
    struct frame_part part;
    struct ctz_error err = {0};
    assert_int_equal(frames_next(&frames, "hello", 5, &part, &err), 5);
    assert_int_equal(part.stream, FRAME_STDOUT);
    assert_int_equal(part.size, 5);
    assert_true(frames_at_border(&frames));
}

static double time_of(const char *text)
{
    double seconds = -1;
    return frames_read_time(text, strlen(text), &seconds) ? seconds : -1;
}

TEST(times_of_the_engine_become_seconds)
{
    assert_true(time_of("1970-01-01T00:00:00Z") == 0);
    assert_true(time_of("2026-11-23T10:00:00Z") == 1795428000);
    assert_true(time_of("2026-11-23T10:00:00.5Z") == 1795428000.5);
    assert_true(time_of("2026-11-23T10:00:00.500000000+01:00") == 1795424400.5);
    assert_true(time_of("2024-02-29T23:59:59Z") == 1709251199);
    assert_true(time_of("0001-01-01T00:00:00Z") == -62135596800.0);
}

TEST(texts_that_are_no_times_are_told)
{
    static const char *const wrong[] = {"",
                                        "x",
                                        "2026-11-23",
                                        "2026-11-23T10:00:00",
                                        "2026-13-23T10:00:00Z",
                                        "2026-11-23 10:00:00Z",
                                        "2026-11-23T10:00:00+1",
                                        "2026-11-23T10:00:00.Zx"};
    for (size_t i = 0; i < CTZ_COUNT(wrong); i++)
        assert_true(time_of(wrong[i]) == -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_give_the_same_wherever_the_stream_is_cut),
        cmocka_unit_test(frames_tell_an_end_in_the_middle),
        cmocka_unit_test(frames_refuse_what_is_not_made_of_them),
        cmocka_unit_test(frames_of_a_terminal_are_the_bytes_themselves),
        cmocka_unit_test(times_of_the_engine_become_seconds),
        cmocka_unit_test(texts_that_are_no_times_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
