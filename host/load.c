// load.c: where Lua text and doors come from: the door ctz.core.load.
// SPDX-License-Identifier: MIT
//
// Doors are reached through one table, so that a static build only fills it differently.
#include "host/load.h"

#include <dlfcn.h>
#include <errno.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

#include "host/alloc.h"
#include "host/buffer.h"
#include "host/cli.h"
#include "host/door.h"
#include "host/hostlua.h"
#include "host/log.h"
#include "host/luax.h"
#include "host/secrets.h"
#include "host/task.h"
#include "host/ui.h"

#define OPEN_DOORS "ctz.doors" // registry: name -> the door's table
#define LOAD_DOOR  "ctz.load"  // registry: the table that boot.lua got
#define NAME_BYTES 64
#define TEXT_MAX   (64 * CTZ_MIB)

// --- text --------------------------------------------------------------------------------------

int ctz_load_text(lua_State *L, const char *text, size_t size, const char *chunk_name)
{
    if (size >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        size -= 3;
    }
    if (size > 0 && text[0] == LUA_SIGNATURE[0]) {
        lua_pushfstring(L, "%s: compiled Lua; only source text is run",
                        chunk_name + (chunk_name[0] == '@' || chunk_name[0] == '='));
        return LUA_ERRSYNTAX;
    }
    if (size > 0 &&
        text[0] == '#') { // for the kernel; the line end stays, so lines keep their number
        const char *end = memchr(text, '\n', size);
        size = end ? size - (size_t)(end - text) : 0;
        text = end ? end : text;
    }
    return luaL_loadbufferx(L, text, size, chunk_name, "t");
}

static int l_text(lua_State *L)
{
    size_t size;
    const char *text = ctz_check_string(L, 1, "text", &size);
    const char *name = ctz_check_string(L, 2, "name", NULL);
    bool has_environment = !lua_isnoneornil(L, 3);
    if (ctz_load_text(L, text, size, name) != LUA_OK) {
        lua_pushnil(L);
        lua_insert(L, -2);
        return 2;
    }
    if (has_environment) {
        lua_pushvalue(L, 3);
        lua_setupvalue(L, -2, 1);
    }
    return 1;
}

// --- our own library ---------------------------------------------------------------------------

static const struct ctz_embedded *find_embedded(const char *path)
{
    for (const struct ctz_embedded *module = ctz_embedded; module->path; module++)
        if (strcmp(module->path, path) == 0)
            return module;
    return NULL;
}

// Development: the tree itself, through lib/ctz/lua. Pushes the text or nothing.
static bool push_file(lua_State *L, const char *path)
{
    lua_pushfstring(L, "%s/lua/%s", ctz_host(L)->library, path);
    FILE *file = fopen(lua_tostring(L, -1), "re");
    lua_pop(L, 1);
    if (!file)
        return false;
    struct ctz_buffer text;
    ctz_buffer_init(&text, TEXT_MAX);
    char block[16384];
    size_t got;
    while ((got = fread(block, 1, sizeof block, file)) > 0)
        ctz_buffer_append(&text, block, got);
    fclose(file);
    if (text.failed) {
        struct ctz_error err = {0};
        ctz_error_set(&err, CTZ_ERROR_IO, "out of memory for %s", path);
        ctz_raise(L, &err);
    }
    lua_pushlstring(L, text.bytes ? text.bytes : "", text.length);
    ctz_buffer_clear(&text);
    return true;
}

// "ctz.json" is ctz/json.lua or ctz/json/init.lua; pushes a loaded chunk or nil, or raises.
static int l_stdlib(lua_State *L)
{
    const char *name = ctz_check_string(L, 1, "name", NULL);
    const char *stem = luaL_gsub(L, name, ".", "/");
    static const char *const patterns[] = {"%s.lua", "%s/init.lua"};
    for (size_t i = 0; i < CTZ_COUNT(patterns); i++) {
        const char *path = lua_pushfstring(L, patterns[i], stem);
        const char *chunk_name =
            lua_pushfstring(L, "@ctz:%s", path + (strncmp(path, "ctz/", 4) ? 0 : 4));
        const struct ctz_embedded *module = find_embedded(path);
        int status;
        if (module) {
            status = luaL_loadbufferx(L, module->code, module->size, chunk_name, "b");
        } else {
            if (!push_file(L, path))
                continue;
            size_t size;
            const char *text = lua_tolstring(L, -1, &size);
            status = ctz_load_text(L, text, size, chunk_name);
        }
        return status == LUA_OK ? 1 : lua_error(L);
    }
    lua_pushnil(L);
    return 1;
}

// --- doors -------------------------------------------------------------------------------------

static const luaL_Reg inner_doors[] = {
    {"task", ctz_open_task},     {"channel", ctz_open_channel},
    {"host", ctz_open_host},     {"cli", ctz_open_cli},
    {"secret", ctz_open_secret}, {"log", ctz_open_log},
    {"ui", ctz_open_ui},         {NULL, NULL},
};

static lua_CFunction find_inner_door(const char *name)
{
    for (const luaL_Reg *door = inner_doors; door->name; door++)
        if (strcmp(door->name, name) == 0)
            return door->func;
    return NULL;
}

static lua_CFunction find_outer_door(lua_State *L, const char *name)
{
    const char *path = lua_pushfstring(L, "%s/ctz_core_%s.so", ctz_host(L)->library, name);
    const char *symbol = lua_pushfstring(L, "luaopen_ctz_core_%s", name);
    // Lazily, for the libraries below: ours are linked so that all they need is there (-z now).
    void *module = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    void *found = module ? dlsym(module, symbol) : NULL;
    if (!found) {
        struct ctz_error err = {0};
        ctz_error_set(&err, CTZ_ERROR_IO, "ctz.core.%s cannot be loaded: %s", name, dlerror());
        ctz_error_hint(&err, "is the installation whole? its parts stand in %s",
                       ctz_host(L)->library);
        ctz_raise(L, &err);
    }
    lua_CFunction function;
    memcpy(&function, &found, sizeof function);
    return function;
}

// A door is opened once a state, also when package.loaded is cleared.
static int l_door(lua_State *L)
{
    const char *name = ctz_check_name(L, 1, "name");
    if (strlen(name) > NAME_BYTES || strspn(name, "abcdefghijklmnopqrstuvwxyz_") != strlen(name))
        return ctz_usage(L, "no door has that name");
    luaL_getsubtable(L, LUA_REGISTRYINDEX, OPEN_DOORS);
    if (lua_getfield(L, -1, name) != LUA_TNIL)
        return 1;
    lua_CFunction open = find_inner_door(name);
    lua_pushcfunction(L, open ? open : find_outer_door(L, name));
    lua_call(L, 0, 1);
    lua_pushvalue(L, -1);
    lua_setfield(L, 2, name);
    return 1;
}

// (path): asks for read of a file that the recipe names; modules that it requires are code of ours.
static int l_loadfile(lua_State *L)
{
    ctz_check_name(L, 1, "path");
    return 0;
}

// --- boot --------------------------------------------------------------------------------------

static const struct ctz_reg functions[] = {
    {"load.text", l_text, CTZ_CAP_PURE, 0, 0}, {"load.stdlib", l_stdlib, CTZ_CAP_PURE, 0, 0},
    {"load.door", l_door, CTZ_CAP_PURE, 0, 0}, {"loadfile", l_loadfile, CTZ_CAP_READ, 1, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_load_init(lua_State *L)
{
    ctz_door(L, functions);
    lua_getfield(L, -1, "stdlib");
    lua_pushliteral(L, "ctz.boot");
    lua_call(L, 1, 1);
    if (lua_isnil(L, -1))
        luaL_error(L, "%s holds no standard library", ctz_host(L)->library);
    lua_insert(L, -2);
    lua_pushvalue(L, -1);
    lua_setfield(L, LUA_REGISTRYINDEX, LOAD_DOOR);
    lua_call(L, 1, 0); // boot.lua gets the door
}

void ctz_load_set_folder(lua_State *L)
{
    lua_getfield(L, LUA_REGISTRYINDEX, LOAD_DOOR);
    lua_getfield(L, -1, "set_folder"); // put there by boot.lua
    lua_rotate(L, -3, -1);
    lua_call(L, 1, 0);
    lua_pop(L, 1);
}
