// output.c: what a container writes, as parts or as lines.
// SPDX-License-Identifier: MIT
//
// Lua feeds what it has read and takes entries until there are none, so the same code serves a log,
// an attached container, an exec and a stream that a test made. Memory is one fed chunk and one
// unfinished line of each stream, which is cut at the limit log_line_bytes.
#include "bindings/docker/output.h"

#include <string.h>

#include "bindings/docker/frames.h"
#include "host/buffer.h"
#include "host/door.h"
#include "host/limits.h"
#include "host/luax.h"

#define OUTPUT_CLASS "ctz.docker.output"
#define STAMP_BYTES  40 // the longest time in front of a line, with its space

struct line {
    struct ctz_buffer text; // its beginning, when the rest has not come
    double time;
    bool has_time;
};

struct output {
    struct frames frames;
    struct ctz_buffer fed;
    size_t at;              // bytes of it that are used up
    struct frame_part part; // of fed, what is left of it
    struct line lines[FRAME_STREAMS];
    char stamp[STAMP_BYTES];
    size_t stamp_size;
    char last[STAMP_BYTES]; // the last whole time, and how many lines had it
    size_t last_size, last_count;
    size_t cap;                  // bytes of a line
    bool timestamps, in_stamp;   // in_stamp: a time is due, or cut
    bool hides_times;            // they are read, and not told
    bool line_begins, has_ended; // line_begins: only with a TTY
};

static struct output *check_output(lua_State *L)
{
    return ctz_object_check(L, 1, OUTPUT_CLASS);
}

static int fail(lua_State *L, enum ctz_error_kind kind, const char *text)
{
    struct ctz_error err = {0};
    ctz_error_set(&err, kind, "%s", text);
    err.retryable = kind == CTZ_ERROR_UNREACHABLE;
    return ctz_raise(L, &err);
}

static void append(lua_State *L, struct ctz_buffer *buffer, const char *bytes, size_t size)
{
    if (ctz_buffer_append(buffer, bytes, size) < 0)
        fail(L, CTZ_ERROR_IO, "out of memory");
}

// --- parts -------------------------------------------------------------------------------------

// What the engine itself has to say, in a frame of its own.
static void read_error(lua_State *L, struct output *output)
{
    struct ctz_buffer *text = &output->lines[FRAME_ERROR].text;
    append(L, text, output->part.bytes, output->part.size);
    output->part.size = 0;
    if (!output->part.ends)
        return;
    lua_pushlstring(L, text->bytes ? text->bytes : "", text->length);
    ctz_buffer_clear(text);
    fail(L, CTZ_ERROR_IO, lua_tostring(L, -1));
}

// True when output->part holds bytes of a stream; false when more has to be fed.
static bool next_part(lua_State *L, struct output *output)
{
    while (output->part.size == 0) {
        if (output->at == output->fed.length) {
            output->fed.length = output->at = 0;
            return false;
        }
        struct ctz_error err = {0};
        ptrdiff_t used = frames_next(&output->frames, output->fed.bytes + output->at,
                                     output->fed.length - output->at, &output->part, &err);
        if (used < 0)
            ctz_raise(L, &err);
        output->at += (size_t)used;
        output->in_stamp |= output->timestamps && output->part.begins;
        if (output->part.stream == FRAME_ERROR && output->part.size > 0)
            read_error(L, output);
    }
    return true;
}

static void drop(struct frame_part *part, size_t size)
{
    part->bytes += size;
    part->size -= size;
}

static void check_end(lua_State *L, struct output *output)
{
    if (output->has_ended && !frames_at_border(&output->frames))
        fail(L, CTZ_ERROR_UNREACHABLE, "the engine's stream broke off in the middle of a frame");
}

static const char *name_of(enum frame_stream stream)
{
    return stream == FRAME_STDERR ? "stderr" : "stdout";
}

// output:part() -> stream, bytes | nil
static int l_part(lua_State *L)
{
    struct output *output = check_output(L);
    if (!next_part(L, output)) {
        check_end(L, output);
        return 0;
    }
    lua_pushstring(L, name_of(output->part.stream));
    lua_pushlstring(L, output->part.bytes, output->part.size);
    output->part.size = 0;
    return 2;
}

// --- lines -------------------------------------------------------------------------------------

static void keep_stamp(struct output *output)
{
    bool same = output->stamp_size == output->last_size &&
                memcmp(output->stamp, output->last, output->last_size) == 0;
    output->last_count = same ? output->last_count + 1 : 1;
    output->last_size = output->stamp_size;
    memcpy(output->last, output->stamp, output->stamp_size);
}

// The time in front of a line is taken off. False: its rest has not come.
static bool take_stamp(lua_State *L, struct output *output)
{
    struct frame_part *part = &output->part;
    struct line *line = &output->lines[part->stream];
    while (output->in_stamp && part->size > 0) {
        char byte = *part->bytes;
        drop(part, 1);
        if (byte != ' ' && output->stamp_size < sizeof output->stamp) {
            output->stamp[output->stamp_size++] = byte;
            continue;
        }
        double time;
        if (!frames_read_time(output->stamp, output->stamp_size, &time))
            fail(L, CTZ_ERROR_PROTOCOL, "the engine sent a line without its time");
        if (line->text.length == 0) { // a long line has a time in each of its frames
            line->time = time;
            line->has_time = true;
        }
        keep_stamp(output);
        output->in_stamp = false;
        output->stamp_size = 0;
    }
    return !output->in_stamp;
}

static int push_line(lua_State *L, struct output *output, enum frame_stream stream,
                     const char *text, size_t size, bool partial)
{
    struct line *line = &output->lines[stream];
    if (output->frames.raw && !partial && size > 0 && text[size - 1] == '\r')
        size--; // of the terminal
    lua_createtable(L, 0, 4);
    lua_pushstring(L, name_of(stream));
    lua_setfield(L, -2, "stream");
    lua_pushlstring(L, text, size);
    lua_setfield(L, -2, "text");
    if (line->has_time && !output->hides_times) {
        lua_pushnumber(L, line->time);
        lua_setfield(L, -2, "time");
    }
    if (partial) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "partial");
    }
    line->text.length = 0;
    return 1;
}

// The bytes kept and the first `size` of the part; `skip` more are used up.
static int push_from_part(lua_State *L, struct output *output, size_t size, size_t skip,
                          bool partial)
{
    struct frame_part *part = &output->part;
    struct ctz_buffer *kept = &output->lines[part->stream].text;
    const char *bytes = part->bytes;
    drop(part, size + skip);
    output->in_stamp |= skip > 0 && output->frames.raw && output->timestamps;
    if (kept->length == 0)
        return push_line(L, output, part->stream, bytes, size, partial);
    append(L, kept, bytes, size);
    return push_line(L, output, part->stream, kept->bytes, kept->length, partial);
}

// A last line needs no line end.
static int push_rest(lua_State *L, struct output *output)
{
    check_end(L, output);
    for (int stream = FRAME_STDOUT; output->has_ended && stream <= FRAME_STDERR; stream++) {
        struct ctz_buffer *text = &output->lines[stream].text;
        if (text->length > 0)
            return push_line(L, output, (enum frame_stream)stream, text->bytes, text->length,
                             false);
    }
    return 0;
}

// output:line() -> {stream=, text=, time=, partial=} | nil: more has to be fed
static int l_line(lua_State *L)
{
    struct output *output = check_output(L);
    struct frame_part *part = &output->part;
    while (next_part(L, output)) {
        if (output->in_stamp && (!take_stamp(L, output) || part->size == 0))
            continue;
        struct ctz_buffer *kept = &output->lines[part->stream].text;
        size_t most = output->cap - kept->length;
        const char *end = memchr(part->bytes, '\n', part->size);
        size_t size = end ? (size_t)(end - part->bytes) : part->size;
        if (size > most)
            return push_from_part(L, output, most, 0, true);
        if (end)
            return push_from_part(L, output, size, 1, false);
        append(L, kept, part->bytes, size);
        part->size = 0;
    }
    return push_rest(L, output);
}

// --- the object --------------------------------------------------------------------------------

// docker.output{tty=, timestamps=, hides_times=} -> output
int docker_l_output(lua_State *L)
{
    static const char *const names[] = {"tty", "timestamps", "hides_times", NULL};
    ctz_opts_check(L, 1, names);
    bool raw = ctz_opt_bool(L, 1, "tty", false);
    bool timestamps = ctz_opt_bool(L, 1, "timestamps", false);
    bool hides_times = ctz_opt_bool(L, 1, "hides_times", false);
    struct output *output = ctz_object_new(L, OUTPUT_CLASS, sizeof *output, 0);
    output->cap = (size_t)ctz_limit(ctz_host(L), CTZ_LIMIT_LOG_LINE_BYTES);
    output->frames.raw = raw;
    output->timestamps = timestamps;
    output->hides_times = hides_times;
    output->in_stamp = raw && timestamps;
    ctz_buffer_init(&output->fed, SIZE_MAX);
    for (int i = 0; i < FRAME_STREAMS; i++)
        ctz_buffer_init(&output->lines[i].text, SIZE_MAX);
    return 1;
}

// output:stamp() -> text, count: the last time that was read, and how many lines in a row had it
static int l_stamp(lua_State *L)
{
    const struct output *output = check_output(L);
    if (output->last_size == 0)
        return 0;
    lua_pushlstring(L, output->last, output->last_size);
    lua_pushinteger(L, (lua_Integer)output->last_count);
    return 2;
}

// output:feed(bytes)
static int l_feed(lua_State *L)
{
    struct output *output = check_output(L);
    size_t size;
    const char *bytes = ctz_check_string(L, 2, "bytes", &size);
    if (output->part.size > 0 || output->at < output->fed.length)
        ctz_usage(L, "what was fed before is not used up");
    output->fed.length = output->at = 0;
    append(L, &output->fed, bytes, size);
    return 0;
}

// output:finish(): nothing more comes
static int l_finish(lua_State *L)
{
    check_output(L)->has_ended = true;
    return 0;
}

static int l_collect(lua_State *L)
{
    struct output *output = check_output(L);
    ctz_buffer_clear(&output->fed);
    for (int i = 0; i < FRAME_STREAMS; i++)
        ctz_buffer_clear(&output->lines[i].text);
    return 0;
}

void docker_open_output(lua_State *L)
{
    static const struct ctz_reg methods[] = {
        {"docker.output.feed", l_feed, CTZ_CAP_PURE, 0, 0},
        {"docker.output.line", l_line, CTZ_CAP_PURE, 0, 0},
        {"docker.output.part", l_part, CTZ_CAP_PURE, 0, 0},
        {"docker.output.stamp", l_stamp, CTZ_CAP_PURE, 0, 0},
        {"docker.output.finish", l_finish, CTZ_CAP_PURE, 0, 0},
        {"docker.output.__gc", l_collect, CTZ_CAP_PURE, 0, 0},
        {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
    };
    ctz_class(L, OUTPUT_CLASS, methods);
}
