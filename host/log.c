// log.c: what a run says about itself: the in-program door ctz.core.log.
// SPDX-License-Identifier: MIT
#include "host/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/door.h"
#include "host/egress.h"
#include "host/luax.h"
#include "host/screen.h"
#include "host/task.h"

#define FORMAT_BYTES 4096 // of a message from C
#define DIM          "\033[2m"
#define PLAIN        "\033[0m"

static const char *const level_names[] = {"debug", "info", "warn", "error", NULL};
static const char *const level_colors[] = {DIM, "", "\033[33m", "\033[31m"};

bool ctz_log_shows(const struct ctz_host *host, enum ctz_log_level level)
{
    return level >= (host->debug ? CTZ_LOG_DEBUG : host->quiet ? CTZ_LOG_WARN : CTZ_LOG_INFO);
}

// --- lines -------------------------------------------------------------------------------------

// One line that is being put together.
struct line {
    struct ctz_host *host;
    struct ctz_buffer text;
    bool is_json, has_color, has_fields;
};

// A message of several lines: the others are indented, so that none looks like a line of the log.
static void put_message(struct line *line, const char *message, size_t size)
{
    size_t most = (size_t)ctz_limit(line->host, CTZ_LIMIT_LOG_LINE_BYTES);
    size_t shown = size < most ? size : most;
    for (size_t at = 0; at < shown;) {
        const char *end = memchr(message + at, '\n', shown - at);
        size_t length = end ? (size_t)(end - message) - at : shown - at;
        ctz_screen_clean(message + at, length, false, &line->text);
        at += length + 1;
        if (at < shown)
            ctz_buffer_text(&line->text, "\n    ");
    }
    if (shown < size)
        ctz_buffer_format(&line->text, " ... (%zu bytes)", size);
}

static void begin(struct line *line, struct ctz_host *host, enum ctz_log_level level,
                  const char *message, size_t size)
{
    memset(line, 0, sizeof *line);
    line->host = host;
    line->is_json = host->progress == CTZ_PROGRESS_JSON;
    line->has_color = !line->is_json && ctz_egress_color(host, CTZ_STDERR);
    ctz_buffer_init(&line->text, SIZE_MAX / 2);
    if (line->is_json) {
        ctz_buffer_text(&line->text, "{\"time\":\"");
        ctz_screen_time(line->is_json, &line->text);
        ctz_buffer_format(&line->text,
                          "\",\"level\":\"%s\",\"task\":%llu,\"message\":", level_names[level],
                          host->current ? (unsigned long long)host->current->id : 0);
        ctz_screen_json(message, size, &line->text);
        return;
    }
    ctz_buffer_text(&line->text, line->has_color ? DIM : "");
    ctz_screen_time(line->is_json, &line->text);
    ctz_buffer_format(&line->text, line->has_color ? PLAIN " %s%-5s" PLAIN " " : " %s%-5s ",
                      line->has_color ? level_colors[level] : "", level_names[level]);
    put_message(line, message, size);
    line->has_fields = host->current && host->current != host->root;
    if (line->has_fields)
        ctz_buffer_format(&line->text, "  task=%llu", (unsigned long long)host->current->id);
}

static bool needs_quotes(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)text[i] <= ' ' || text[i] == '"' || text[i] == '=')
            return true;
    return size == 0;
}

static void put_field(struct line *line, const char *name, size_t name_size, const char *value,
                      size_t size, bool is_literal)
{
    if (line->is_json) {
        ctz_buffer_text(&line->text, line->has_fields ? "," : ",\"fields\":{");
        line->has_fields = true;
        ctz_screen_json(name, name_size, &line->text);
        ctz_buffer_byte(&line->text, ':');
        if (is_literal)
            ctz_buffer_append(&line->text, value, size);
        else
            ctz_screen_json(value, size, &line->text);
        return;
    }
    ctz_buffer_text(&line->text, line->has_fields ? " " : "  ");
    line->has_fields = true;
    ctz_screen_clean(name, name_size, false, &line->text);
    ctz_buffer_byte(&line->text, '=');
    if (is_literal || !needs_quotes(value, size))
        ctz_screen_clean(value, size, false, &line->text);
    else
        ctz_screen_json(value, size, &line->text);
}

static void finish(struct line *line)
{
    if (line->is_json)
        ctz_buffer_text(&line->text, line->has_fields ? "}}" : "}");
    ctz_buffer_byte(&line->text, '\n');
    if (!line->text.failed)
        ctz_egress_write(line->host, CTZ_STDERR, line->text.bytes, line->text.length);
    ctz_buffer_clear(&line->text);
}

void ctz_log(struct ctz_host *host, enum ctz_log_level level, const char *format, ...)
{
    if (!ctz_log_shows(host, level))
        return;
    char message[FORMAT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct line line;
    size_t size = length < 0 ? 0 : (size_t)length;
    begin(&line, host, level, message, size < sizeof message ? size : sizeof message - 1);
    finish(&line);
}

// --- Lua ---------------------------------------------------------------------------------------

// shows(level) -> boolean
static int l_shows(lua_State *L)
{
    int level = luaL_checkoption(L, 1, NULL, level_names);
    lua_pushboolean(L, ctz_log_shows(ctz_host(L), (enum ctz_log_level)level));
    return 1;
}

// Numbers and booleans stand in JSON as they are; 1/0 and 0/0 are no JSON.
static bool is_literal(lua_State *L, int idx)
{
    if (lua_type(L, idx) != LUA_TNUMBER)
        return lua_isboolean(L, idx);
    double number = lua_tonumber(L, idx);
    return number - number == 0;
}

// write(level, message, fields): fields is {name, value, name, value...}; a value is a string,
// number or boolean.
static int l_write(lua_State *L)
{
    int level = luaL_checkoption(L, 1, NULL, level_names);
    size_t size, name_size;
    const char *message = ctz_check_string(L, 2, "message", &size);
    lua_Integer count = lua_istable(L, 3) ? (lua_Integer)lua_rawlen(L, 3) : 0;
    lua_settop(L, 3);
    luaL_checkstack(L, (int)count + 8, "fields");
    for (lua_Integer i = 1; i <= count; i++) { // all texts first: from begin on nothing may raise
        lua_rawgeti(L, 3, i);
        bool literal = is_literal(L, -1);
        luaL_tolstring(L, -1, NULL);
        lua_replace(L, -2);
        if (i % 2 == 0) {
            lua_pushboolean(L, literal);
            lua_rawseti(L, 3, i);
        }
    }
    struct line line;
    begin(&line, ctz_host(L), (enum ctz_log_level)level, message, size);
    for (int i = 1; i + 1 <= (int)count; i += 2) {
        size_t value_size;
        const char *name = lua_tolstring(L, 3 + i, &name_size);
        const char *value = lua_tolstring(L, 4 + i, &value_size);
        lua_rawgeti(L, 3, i + 1);
        put_field(&line, name, name_size, value, value_size, lua_toboolean(L, -1));
        lua_pop(L, 1);
    }
    finish(&line);
    return 0;
}

static const struct ctz_reg functions[] = {
    {"log.shows", l_shows, CTZ_CAP_PURE, 0, 0},
    {"log.write", l_write, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

int ctz_open_log(lua_State *L)
{
    ctz_door(L, functions);
    return 1;
}
