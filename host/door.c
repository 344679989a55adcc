// door.c: rows of functions become a Lua table; each call passes one trampoline.
// SPDX-License-Identifier: MIT
#include "host/door.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "host/allow.h"
#include "host/egress.h"
#include "host/luax.h"

static const char mark; // upvalue 2 of every trampoline: "upvalue 1 is a struct ctz_reg"

static const char *const capability_names[CTZ_CAP_COUNT] = {
    [CTZ_CAP_UNNAMED] = "unnamed", [CTZ_CAP_PURE] = "pure",
    [CTZ_CAP_HELD] = "held",       [CTZ_CAP_READ] = "read",
    [CTZ_CAP_WRITE] = "write",     [CTZ_CAP_RUN] = "run",
    [CTZ_CAP_NET] = "net",         [CTZ_CAP_ENV] = "env",
    [CTZ_CAP_DOCKER] = "docker",   [CTZ_CAP_KUBERNETES] = "kubernetes",
};

const char *ctz_capability_name(enum ctz_capability capability)
{
    return capability < CTZ_CAP_COUNT ? capability_names[capability] : "unnamed";
}

static const struct ctz_reg *row_at_upvalues(lua_State *L)
{
    if (lua_touserdata(L, lua_upvalueindex(2)) != &mark)
        return NULL;
    return lua_touserdata(L, lua_upvalueindex(1));
}

const char *ctz_function_name(lua_State *L)
{
    const struct ctz_reg *row = row_at_upvalues(L);
    return row ? row->name : "?";
}

lua_CFunction ctz_function_of(lua_State *L, int idx)
{
    lua_CFunction function = lua_tocfunction(L, idx);
    if (!function || !lua_getupvalue(L, idx, 2))
        return function;
    bool ours = lua_touserdata(L, -1) == &mark;
    lua_pop(L, 1);
    if (ours && lua_getupvalue(L, idx, 1)) {
        const struct ctz_reg *row = lua_touserdata(L, -1);
        lua_pop(L, 1);
        return row->function;
    }
    return function;
}

// --- modes -------------------------------------------------------------------------------------

bool ctz_dry_run(lua_State *L)
{
    return ctz_host(L)->dry_run;
}

bool ctz_simulate(lua_State *L)
{
    return ctz_host(L)->simulate;
}

void ctz_plan(lua_State *L, const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    char line[sizeof text + 16];
    int length = snprintf(line, sizeof line, "would %s\n", text);
    ctz_egress_write(ctz_host(L), CTZ_STDERR, line, (size_t)length);
}

// A function that changes something and says nothing of the modes is not called in them.
static void check_modes(lua_State *L, const struct ctz_reg *row)
{
    const struct ctz_host *host = ctz_host(L);
    if (!host->dry_run && !host->simulate)
        return;
    if (row->capability < CTZ_CAP_WRITE || row->capability == CTZ_CAP_ENV)
        return;
    if (row->flags & (CTZ_REG_READS | CTZ_REG_PLANS))
        return;
    if ((row->flags & CTZ_REG_LOCAL) && !host->dry_run)
        return;
    struct ctz_error err = {0};
    const char *mode = host->dry_run ? "--dry-run" : "--simulate";
    ctz_error_set(&err, CTZ_ERROR_UNSUPPORTED, "this cannot be shown under %s", mode);
    ctz_error_hint(&err, "skip the call when ctz.mode() says so, or run without %s", mode);
    ctz_raise(L, &err);
}

// --- the trampoline ----------------------------------------------------------------------------

static int l_trampoline(lua_State *L)
{
    const struct ctz_reg *row = lua_touserdata(L, lua_upvalueindex(1));
    if (row->capability > CTZ_CAP_HELD) {
        if (row->subject && ctz_host(L)->allow) {
            const char *subject =
                lua_type(L, row->subject) == LUA_TSTRING ? lua_tostring(L, row->subject) : NULL;
            ctz_allow(L, row->capability, subject);
        }
        check_modes(L, row);
    }
    return row->function(L);
}

static void push_function(lua_State *L, const struct ctz_reg *row)
{
    if (row->capability == CTZ_CAP_UNNAMED)
        luaL_error(L, "door function %s names no capability", row->name);
    lua_pushlightuserdata(L, (void *)row);
    lua_pushlightuserdata(L, (void *)&mark);
    lua_pushcclosure(L, l_trampoline, 2);
}

// The registry keeps a list of all rows, for the test that walks them.
static void remember(lua_State *L, const struct ctz_reg *row)
{
    luaL_getsubtable(L, LUA_REGISTRYINDEX, CTZ_DOOR_ROWS);
    lua_pushstring(L, ctz_capability_name(row->capability));
    lua_setfield(L, -2, row->name);
    lua_pop(L, 1);
}

static const char *last_word(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

void ctz_door(lua_State *L, const struct ctz_reg *rows)
{
    lua_newtable(L);
    for (; rows->name; rows++) {
        push_function(L, rows);
        lua_setfield(L, -2, last_word(rows->name));
        remember(L, rows);
    }
}

void ctz_class(lua_State *L, const char *metatable, const struct ctz_reg *rows)
{
    if (!luaL_newmetatable(L, metatable)) { // a door that is opened twice
        lua_pop(L, 1);
        return;
    }
    lua_newtable(L);
    for (; rows->name; rows++) {
        const char *field = last_word(rows->name);
        push_function(L, rows);
        lua_setfield(L, strncmp(field, "__", 2) == 0 ? -3 : -2, field);
        remember(L, rows);
    }
    lua_setfield(L, -2, "__index");
    lua_pushliteral(L, "protected");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}
