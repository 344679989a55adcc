// ui.c: what Lua sees of the terminal and of progress: the in-program door ctz.core.ui.
// SPDX-License-Identifier: MIT
#include "host/ui.h"

#include <string.h>

#include "host/door.h"
#include "host/egress.h"
#include "host/luax.h"
#include "host/progress.h"
#include "host/screen.h"

#define PROGRESS_CLASS "ctz.progress"
#define MAX_AMOUNT     (INT64_MAX / 2)

// --- buffers and Lua ---------------------------------------------------------------------------

static int l_push_text(lua_State *L)
{
    const struct ctz_buffer *text = lua_touserdata(L, 1);
    lua_pushlstring(L, text->bytes ? text->bytes : "", text->length);
    return 1;
}

// Pushes the text and frees it, also when that raises.
static int push_text(lua_State *L, struct ctz_buffer *text)
{
    bool failed = text->failed;
    lua_pushcfunction(L, l_push_text);
    lua_pushlightuserdata(L, text);
    int status = failed ? LUA_OK : lua_pcall(L, 1, 1, 0);
    ctz_buffer_clear(text);
    if (failed)
        return luaL_error(L, "not enough memory");
    return status == LUA_OK ? 1 : lua_error(L);
}

// --- text --------------------------------------------------------------------------------------

/// ctz.ui.bytes(n) -> string
/// A size for people, in powers of 1000 as Docker and registries show it.
/// @param n number  bytes
/// @return string
/// @example assert(ctz.ui.bytes(27300000) == "27.3 MB" and ctz.ui.bytes(512) == "512 B")
static int l_bytes(lua_State *L)
{
    struct ctz_buffer text;
    if (lua_type(L, 1) != LUA_TNUMBER)
        return ctz_bad_argument(L, 1, "n", "a number of bytes");
    double n = lua_tonumber(L, 1);
    luaL_checkstack(L, 4, NULL);
    ctz_buffer_init(&text, SIZE_MAX / 2);
    if (n < 0)
        ctz_buffer_byte(&text, '-');
    ctz_screen_bytes(n < 0 ? -n : n, &text);
    return push_text(L, &text);
}

/// ctz.ui.duration(s) -> string
/// A time span for people, in its two largest units.
/// @param s ctz.seconds
/// @return string
/// @example assert(ctz.ui.duration(0.32) == "320 ms" and ctz.ui.duration(185) == "3 min 5 s")
static int l_duration(lua_State *L)
{
    struct ctz_buffer text;
    double seconds = ctz_check_seconds(L, 1, "s");
    luaL_checkstack(L, 4, NULL);
    ctz_buffer_init(&text, SIZE_MAX / 2);
    ctz_screen_duration(seconds, &text);
    return push_text(L, &text);
}

/// ctz.ui.clean(text) -> string
/// The text with everything made visible that could steer a terminal: control characters, escape
/// sequences, changes of the direction of writing, bytes that are no UTF-8. For text from outside.
/// @param text string
/// @return string
/// @example assert(ctz.ui.clean("a\27[31mb\n") == "a\\x1b[31mb\\n")
static int l_clean(lua_State *L)
{
    size_t size;
    const char *bytes = ctz_check_string(L, 1, "text", &size);
    struct ctz_buffer text;
    luaL_checkstack(L, 4, NULL);
    ctz_buffer_init(&text, SIZE_MAX / 2);
    ctz_screen_clean(bytes, size, false, &text);
    return push_text(L, &text);
}

/// ctz.ui.width(text) -> integer
/// The columns that a clean text takes on a terminal: wide characters take two, accents none.
/// @param text string
/// @return integer
/// @example assert(ctz.ui.width("abc") == 3 and ctz.ui.width("日本") == 4)
static int l_width(lua_State *L)
{
    size_t size;
    const char *bytes = ctz_check_string(L, 1, "text", &size);
    lua_pushinteger(L, (lua_Integer)ctz_screen_width(bytes, size));
    return 1;
}

/// ctz.ui.fit(text, columns) -> string
/// The longest beginning of a clean text that takes at most so many columns.
/// @param text string
/// @param columns integer
/// @return string
/// @example assert(ctz.ui.fit("日本語", 5) == "日本")
static int l_fit(lua_State *L)
{
    size_t size;
    const char *bytes = ctz_check_string(L, 1, "text", &size);
    lua_Integer columns = ctz_check_integer(L, 2, "columns", 0, INT32_MAX);
    lua_pushlstring(L, bytes, ctz_screen_fit(bytes, size, (size_t)columns, NULL));
    return 1;
}

/// ctz.ui.screen() -> table
/// What stderr is now: {columns=, rows=, terminal=, color=, progress="tty"|"plain"|"json"|"none"}.
/// Without a terminal columns and rows are 80 and 24. stdout_color: whether stdout takes colours.
/// @return {columns: integer, rows: integer, terminal: boolean, color: boolean,
///   stdout_color: boolean, progress: string}
/// @example assert(ctz.ui.screen().columns > 0)
static int l_screen(lua_State *L)
{
    static const char *const modes[] = {"auto", "tty", "plain", "json", "none"};
    const struct ctz_host *host = ctz_host(L);
    unsigned columns, rows;
    ctz_egress_size(&columns, &rows);
    lua_createtable(L, 0, 6);
    lua_pushinteger(L, columns);
    lua_setfield(L, -2, "columns");
    lua_pushinteger(L, rows);
    lua_setfield(L, -2, "rows");
    lua_pushboolean(L, ctz_egress_is_terminal(host, CTZ_STDERR));
    lua_setfield(L, -2, "terminal");
    lua_pushboolean(L, ctz_egress_color(host, CTZ_STDERR));
    lua_setfield(L, -2, "color");
    lua_pushboolean(L, ctz_egress_color(host, CTZ_STDOUT));
    lua_setfield(L, -2, "stdout_color");
    lua_pushstring(L, modes[ctz_progress_mode(host)]);
    lua_setfield(L, -2, "progress");
    return 1;
}

// --- progress ----------------------------------------------------------------------------------

struct handle {
    struct ctz_progress_item *progress; // NULL once it was collected or closed
};

static struct ctz_progress_item *check_progress(lua_State *L)
{
    struct handle *handle = ctz_object_check(L, 1, PROGRESS_CLASS);
    return handle->progress;
}

static uint64_t read_total(lua_State *L, int idx)
{
    lua_Integer total = ctz_opt_integer(L, idx, "total", 0, MAX_AMOUNT, -1);
    return total < 0 ? CTZ_TOTAL_UNKNOWN : (uint64_t)total;
}

/// ctz.ui.progress(opts) -> ctz.progress
/// Shows on stderr how far something has come, with rate and time left: as a moving line on a
/// terminal, else as a line now and then (--progress chooses). Several may be shown at once. Hold
/// it in a `local p <close>`: it then ends as done, or as failed when an error passes.
/// @param opts.title string
/// @param opts.total? integer  how many there are; without it no bar and no time left
/// @param opts.unit? "items"|"bytes"  default "items"
/// @return ctz.progress
/// @example local p <close> = ctz.ui.progress{title="layers", total=3}
/// @example for i = 1, 3 do p:step() end
static int l_progress(lua_State *L)
{
    static const char *const options[] = {"title", "total", "unit", NULL};
    static const char *const units[] = {"items", "bytes", NULL};
    ctz_check_table(L, 1, "opts");
    ctz_opts_check(L, 1, options);
    size_t size;
    const char *title = ctz_opt_string(L, 1, "title", &size, NULL);
    if (!title)
        return ctz_usage(L, "bad argument 'opts.title' to 'ui.progress': expected string, got nil");
    int unit = ctz_opt_choice(L, 1, "unit", units, 0);
    uint64_t total = read_total(L, 1);
    struct handle *handle = ctz_object_new(L, PROGRESS_CLASS, sizeof *handle, 0);
    handle->progress =
        ctz_progress_new(ctz_host(L), title, size, (enum ctz_progress_unit)unit, total);
    return handle->progress ? 1 : luaL_error(L, "not enough memory");
}

/// progress:step(n?) -> ctz.progress
/// So many more are done.
/// @param n? integer  default 1
/// @example ctz.ui.progress{title="files"}:step():step(10):done()
static int l_step(lua_State *L)
{
    struct ctz_progress_item *progress = check_progress(L);
    lua_Integer more = lua_isnoneornil(L, 2) ? 1 : ctz_check_integer(L, 2, "n", 0, MAX_AMOUNT);
    if (progress)
        ctz_progress_add(progress, (uint64_t)more);
    lua_settop(L, 1);
    return 1;
}

/// progress:set(done, total?) -> ctz.progress
/// So many are done now, of so many.
/// @param done integer
/// @param total? integer  a new total
/// @example ctz.ui.progress{title="pull", unit="bytes"}:set(1000, 4000):done()
static int l_set(lua_State *L)
{
    struct ctz_progress_item *progress = check_progress(L);
    lua_Integer done = ctz_check_integer(L, 2, "done", 0, MAX_AMOUNT);
    lua_Integer total =
        lua_isnoneornil(L, 3) ? -1 : ctz_check_integer(L, 3, "total", 0, MAX_AMOUNT);
    if (progress && total >= 0)
        ctz_progress_total(progress, (uint64_t)total);
    if (progress)
        ctz_progress_set(progress, (uint64_t)done);
    lua_settop(L, 1);
    return 1;
}

static int end_progress(lua_State *L, bool well)
{
    struct ctz_progress_item *progress = check_progress(L);
    size_t size = 0;
    const char *message = lua_isnoneornil(L, 2) ? NULL : ctz_check_string(L, 2, "message", &size);
    if (progress)
        ctz_progress_end(progress, well, message, size);
    return 0;
}

/// progress:done(message?)
/// Ends it: the moving line goes, a last line stays. Only the first end counts.
/// @param message? string  stands behind it
/// @example ctz.ui.progress{title="push"}:done("sha256:2c26b4...")
static int l_done(lua_State *L)
{
    return end_progress(L, true);
}

/// progress:fail(message?)
/// Ends it as failed.
/// @param message? string  why
/// @example ctz.ui.progress{title="push"}:fail("no such repository")
static int l_fail(lua_State *L)
{
    return end_progress(L, false);
}

static int l_close(lua_State *L)
{
    struct ctz_progress_item *progress = check_progress(L);
    if (progress)
        ctz_progress_end(progress, lua_isnoneornil(L, 2), NULL, 0);
    return 0;
}

static int l_gc(lua_State *L)
{
    struct handle *handle = ctz_object_check(L, 1, PROGRESS_CLASS);
    ctz_progress_free(handle->progress);
    handle->progress = NULL;
    return 0;
}

static const struct ctz_reg methods[] = {
    {"progress.step", l_step, CTZ_CAP_PURE, 0, 0},
    {"progress.set", l_set, CTZ_CAP_PURE, 0, 0},
    {"progress.done", l_done, CTZ_CAP_PURE, 0, 0},
    {"progress.fail", l_fail, CTZ_CAP_PURE, 0, 0},
    {"progress.__close", l_close, CTZ_CAP_PURE, 0, 0},
    {"progress.__gc", l_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"ui.bytes", l_bytes, CTZ_CAP_PURE, 0, 0},
    {"ui.duration", l_duration, CTZ_CAP_PURE, 0, 0},
    {"ui.clean", l_clean, CTZ_CAP_PURE, 0, 0},
    {"ui.width", l_width, CTZ_CAP_PURE, 0, 0},
    {"ui.fit", l_fit, CTZ_CAP_PURE, 0, 0},
    {"ui.screen", l_screen, CTZ_CAP_PURE, 0, 0},
    {"ui.progress", l_progress, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

int ctz_open_ui(lua_State *L)
{
    ctz_class(L, PROGRESS_CLASS, methods);
    ctz_door(L, functions);
    return 1;
}
