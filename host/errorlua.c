// errorlua.c: the class ctz.error: what Lua sees of a failure.
// SPDX-License-Identifier: MIT
//
// A value is a table with the fields kind, op, message, hint, cause, at and the facts of struct
// ctz_error. tostring gives what failed, where, the other side's words and the hint.
#include "host/errorlua.h"

#include <stdio.h>
#include <string.h>

#include "host/alloc.h"
#include "host/buffer.h"
#include "host/door.h"
#include "host/luax.h"

#define CAUSE_DEPTH  8    // causes shown; a chain may be a cycle made by hand
#define SOURCE_WIDTH 120  // characters of the source line that are shown
#define TEXT_MAX     4096 // characters of a message that are shown

// --- where -------------------------------------------------------------------------------------

bool ctz_is_own_source(const char *source)
{
    return strncmp(source, "@ctz:", 5) == 0 || source[0] == '=';
}

void ctz_push_place(lua_State *L)
{
    lua_Debug frame;
    for (int level = 0; lua_getstack(L, level, &frame); level++) {
        lua_getinfo(L, "Sl", &frame);
        if (frame.currentline <= 0 || ctz_is_own_source(frame.source))
            continue;
        if (frame.source[0] == '@')
            lua_pushfstring(L, "%s:%d", frame.source + 1, frame.currentline);
        else
            lua_pushfstring(L, "%s:%d", frame.short_src, frame.currentline);
        return;
    }
    lua_pushnil(L);
}

// --- C to Lua ----------------------------------------------------------------------------------

static void set_text(lua_State *L, const char *field, const char *text)
{
    if (text) {
        lua_pushstring(L, text);
        lua_setfield(L, -2, field);
    }
}

static void push_facts(lua_State *L, const struct ctz_error *err)
{
    set_text(L, "kind", ctz_error_kind_name(err->kind));
    set_text(L, "message", ctz_error_message(err));
    set_text(L, "hint", err->hint);
    set_text(L, "target", err->target);
    set_text(L, "code", err->code);
    set_text(L, "stderr", err->stderr_text);
    if (err->status) {
        lua_pushinteger(L, err->status);
        lua_setfield(L, -2, "status");
    }
    if (err->has_exit_code) {
        lua_pushinteger(L, err->exit_code);
        lua_setfield(L, -2, "exit_code");
    }
    if (err->attempts) {
        lua_pushinteger(L, err->attempts);
        lua_setfield(L, -2, "attempts");
    }
    if (err->retry_after_s > 0) {
        lua_pushnumber(L, err->retry_after_s);
        lua_setfield(L, -2, "retry_after");
    }
    lua_pushboolean(L, err->retryable);
    lua_setfield(L, -2, "retryable");
}

void ctz_error_push(lua_State *L, const struct ctz_error *err, const char *op)
{
    luaL_checkstack(L, 8, "error value");
    lua_newtable(L);
    luaL_setmetatable(L, CTZ_ERROR_CLASS);
    int top = lua_gettop(L);
    for (int depth = 0; err; err = err->cause, depth++) {
        push_facts(L, err);
        if (depth == 0)
            set_text(L, "op", op);
        if (err->cause) {
            luaL_checkstack(L, 4, "error value");
            lua_newtable(L);
            luaL_setmetatable(L, CTZ_ERROR_CLASS);
            lua_pushvalue(L, -1);
            lua_setfield(L, -3, "cause");
        }
    }
    lua_settop(L, top);
    ctz_push_place(L);
    lua_setfield(L, -2, "at");
}

void ctz_error_push_text(lua_State *L, enum ctz_error_kind kind, const char *message)
{
    struct ctz_error err = {.kind = kind, .message = (char *)message}; // borrowed, not cleared
    const char *name = ctz_function_name(L);
    ctz_error_push(L, &err, *name == '?' ? NULL : name);
}

struct push_request {
    const struct ctz_error *err;
    const char *op;
};

static int l_push_protected(lua_State *L)
{
    const struct push_request *request = lua_touserdata(L, 1);
    ctz_error_push(L, request->err, request->op);
    return 1;
}

int ctz_raise(lua_State *L, struct ctz_error *err)
{
    // Protected, so that err is freed when memory runs out on the way. The place is looked up in
    // the caller's frames, which the protected call does not hide.
    const char *name = ctz_function_name(L);
    struct push_request request = {err, *name == '?' ? NULL : name};
    if (!lua_checkstack(L, 3)) {
        ctz_error_clear(err);
        return luaL_error(L, "stack overflow");
    }
    lua_pushcfunction(L, l_push_protected);
    lua_pushlightuserdata(L, &request);
    lua_pcall(L, 1, 1, 0); // on failure the value is Lua's own "not enough memory"
    ctz_error_clear(err);
    return lua_error(L);
}

enum ctz_error_kind ctz_error_kind_at(lua_State *L, int idx)
{
    if (!ctz_is_error(L, idx))
        return CTZ_ERROR_NONE;
    idx = lua_absindex(L, idx);
    lua_pushliteral(L, "kind");
    lua_rawget(L, idx);
    const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    enum ctz_error_kind kind = ctz_error_kind_of(name);
    lua_pop(L, 1);
    return kind;
}

bool ctz_is_error(lua_State *L, int idx)
{
    if (lua_type(L, idx) != LUA_TTABLE || !lua_getmetatable(L, idx))
        return false;
    luaL_getmetatable(L, CTZ_ERROR_CLASS);
    bool same = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return same;
}

// --- families ----------------------------------------------------------------------------------

// Which operations belong to a family, by the beginning of their name. The families are the
// mission's exception classes; docs/errors.md has the table.
static const struct {
    const char *family, *prefix;
} families[] = {
    {"container", "docker."},
    {"container", "compose."},
    {"container", "kubernetes."},
    {"container", "registry."},
    {"container", "image."},
    {"container", "scan."},
    {"container", "optimize."},
    {"container", "dockerfile."},
    {"build", "docker.build"},
    {"build", "docker.images.build"},
    {"build", "image.build"},
    {"build", "image.assemble"},
    {"build", "compose.build"},
    {"build", "dockerfile."},
    {"management", "docker.containers."},
    {"management", "docker.run"},
    {"management", "docker.manage"},
    {"management", "compose."},
    {"network", "docker.networks."},
    {"volume", "docker.volumes."},
    {"registry", "registry."},
    {"kubernetes", "kubernetes."},
    {"scan", "scan."},
    {"optimization", "optimize."},
};

static bool is_of_family(const char *op, const char *family)
{
    for (size_t i = 0; i < CTZ_COUNT(families); i++)
        if (strcmp(families[i].family, family) == 0 &&
            strncmp(op, families[i].prefix, strlen(families[i].prefix)) == 0)
            return true;
    return false;
}

static bool is_family_name(const char *name)
{
    for (size_t i = 0; i < CTZ_COUNT(families); i++)
        if (strcmp(families[i].family, name) == 0)
            return true;
    return false;
}

// --- text --------------------------------------------------------------------------------------

static const char *text_field(lua_State *L, int idx, const char *field)
{
    lua_pushstring(L, field);
    lua_rawget(L, idx);
    const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    lua_pop(L, 1); // the table keeps it alive
    return text;
}

// The line `at` ("file:14") points to, without its indentation; false when it cannot be read.
static bool read_source_line(const char *at, char *line, size_t size)
{
    const char *colon = strrchr(at, ':');
    char path[4096];
    int number;
    if (!colon || (size_t)(colon - at) >= sizeof path || sscanf(colon + 1, "%d", &number) != 1)
        return false;
    memcpy(path, at, (size_t)(colon - at));
    path[colon - at] = '\0';
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool found = false, at_start = true;
    while (!found && fgets(line, (int)size, file)) { // a long line comes in several pieces
        found = at_start && --number == 0;
        at_start = strchr(line, '\n') != NULL;
    }
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    size_t indent = strspn(line, " \t");
    memmove(line, line + indent, strlen(line + indent) + 1);
    return found && *line;
}

static void add_place(luaL_Buffer *text, const char *at)
{
    char line[SOURCE_WIDTH];
    luaL_addstring(text, "\n  at ");
    luaL_addstring(text, at);
    if (read_source_line(at, line, sizeof line)) {
        luaL_addstring(text, ": ");
        luaL_addstring(text, line);
    }
}

static void add_bounded(luaL_Buffer *buffer, const char *text)
{
    size_t length = strlen(text);
    luaL_addlstring(buffer, text, length < TEXT_MAX ? length : TEXT_MAX);
    if (length >= TEXT_MAX)
        luaL_addstring(buffer, " ...");
}

static void add_subject(lua_State *L, luaL_Buffer *text, int error)
{
    const char *op = text_field(L, error, "op");
    const char *message = text_field(L, error, "message");
    if (op) {
        add_bounded(text, op);
        luaL_addstring(text, ": ");
    }
    add_bounded(text, message ? message : "(no message)");
}

// Pushes the text of the error at idx. Below it in the stack nothing changes.
static void push_text(lua_State *L, int idx)
{
    idx = lua_absindex(L, idx);
    luaL_checkstack(L, CAUSE_DEPTH + 16, "error text");
    luaL_Buffer text;
    int causes = 0;
    // Values are fetched before the buffer begins: it wants the top of the stack for itself.
    lua_pushliteral(L, "cause");
    lua_rawget(L, idx);
    while (causes < CAUSE_DEPTH && ctz_is_error(L, -1)) {
        causes++;
        lua_pushliteral(L, "cause");
        lua_rawget(L, -2);
    }
    int first_cause = lua_gettop(L) - causes;
    lua_pushliteral(L, "status");
    lua_rawget(L, idx);
    lua_Integer status = lua_tointeger(L, -1);
    lua_pushliteral(L, "others");
    lua_rawget(L, idx);
    int others = lua_gettop(L);
    bool other = lua_istable(L, others) && lua_rawgeti(L, others, 1) != LUA_TNIL;
    if (other)
        luaL_tolstring(L, -1, NULL);
    const char *other_text = other ? lua_tostring(L, -1) : NULL;
    lua_Unsigned other_count = other ? lua_rawlen(L, others) : 0;

    luaL_buffinit(L, &text);
    add_subject(L, &text, idx);
    if (status) {
        char number[16];
        snprintf(number, sizeof number, " (%d)", (int)status);
        luaL_addstring(&text, number);
    }
    const char *at = text_field(L, idx, "at");
    if (at)
        add_place(&text, at);
    for (int i = 0; i < causes; i++) {
        luaL_addstring(&text, "\n  cause: ");
        add_subject(L, &text, first_cause + i);
    }
    const char *err_output = text_field(L, idx, "stderr");
    if (err_output && *err_output) {
        luaL_addstring(&text, "\n  stderr: ");
        add_bounded(&text, err_output);
    }
    if (other_text) {
        char also[48];
        snprintf(also, sizeof also, "\n  also failed (%llu): ", (unsigned long long)other_count);
        luaL_addstring(&text, also);
        luaL_addlstring(&text, other_text, strcspn(other_text, "\n"));
    }
    const char *hint = text_field(L, idx, "hint");
    if (hint) {
        luaL_addstring(&text, "\n  hint: ");
        add_bounded(&text, hint);
    }
    luaL_pushresult(&text);
    lua_replace(L, first_cause);
    lua_settop(L, first_cause);
}

static int l_error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    push_text(L, 1);
    return 1;
}

/// err:is(kind_or_family) -> boolean
/// True when the error is of that kind ("not_found") or of that family ("container").
/// @param kind_or_family string
/// @error usage no kind or family has that name
/// @example local _, err = ctz.try(ctz.sleep, -1) assert(err:is "usage")
static int l_error_is(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    const char *name = ctz_check_string(L, 2, "name", NULL);
    if (ctz_error_kind_of(name) == CTZ_ERROR_NONE && !is_family_name(name))
        return ctz_usage(L, "no kind or family of errors is called \"%s\"", name);
    const char *kind = text_field(L, 1, "kind");
    const char *op = text_field(L, 1, "op");
    bool is = (kind && strcmp(kind, name) == 0) || (op && is_of_family(op, name));
    lua_pushboolean(L, is);
    return 1;
}

/// ctz.error(fields) -> error
/// Makes an error value, to be raised with error(). kind and message are required; hint, op,
/// target, code, cause, retryable and other facts are kept as given.
/// @param fields table
/// @error usage kind is not one of the closed list, or message is missing
/// @example local err = ctz.error{kind="conflict", message="port 80 is taken"}; assert(err:is
/// "conflict")
int ctz_l_error_new(lua_State *L)
{
    ctz_check_table(L, 1, "fields");
    const char *kind = ctz_opt_string(L, 1, "kind", NULL, "");
    if (ctz_error_kind_of(kind) == CTZ_ERROR_NONE) {
        const char *names[CTZ_ERROR_COUNT + 1] = {0};
        for (int i = 1; i < CTZ_ERROR_COUNT; i++)
            names[i - 1] = ctz_error_kind_name((enum ctz_error_kind)i);
        const char *near = *kind ? ctz_nearest(kind, names) : NULL;
        return ctz_usage(L, "bad field 'kind': no kind is called \"%s\"%s%s", kind,
                         near ? "; did you mean " : "", near ? near : "");
    }
    if (ctz_opt_field(L, 1, "message") != LUA_TSTRING)
        return ctz_usage(L, "bad field 'message': expected string, got %s", luaL_typename(L, -1));
    lua_settop(L, 1);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 1);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 2);
    }
    luaL_setmetatable(L, CTZ_ERROR_CLASS);
    if (ctz_opt_field(L, 2, "at") == LUA_TNIL) {
        ctz_push_place(L);
        lua_setfield(L, 2, "at");
    }
    lua_settop(L, 2);
    return 1;
}

static const struct ctz_reg error_methods[] = {
    {"error.is", l_error_is, CTZ_CAP_PURE, 0, 0},
    {"error.__tostring", l_error_tostring, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_error_init(lua_State *L)
{
    ctz_class(L, CTZ_ERROR_CLASS, error_methods);
}
