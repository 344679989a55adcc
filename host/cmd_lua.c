// cmd_lua.c: the commands that are written in Lua, and ctz version.
// SPDX-License-Identifier: MIT
#include <string.h>

#include "host/alloc.h"
#include "host/cli.h"
#include "host/egress.h"
#include "host/host.h"
#include "host/luax.h"
#include "host/task.h"

// Pushes {name = value or true}.
static void push_options(lua_State *L, const struct ctz_cli *cli)
{
    lua_newtable(L);
    for (size_t i = 0; i < cli->setting_count; i++) {
        const struct ctz_setting *setting = &cli->settings[i];
        if (setting->option->type == CTZ_OPTION_FLAG)
            lua_pushboolean(L, true);
        else
            lua_pushstring(L, setting->value);
        lua_setfield(L, -2, setting->option->name);
    }
}

static void push_words(lua_State *L, const char *const *words, size_t count)
{
    lua_createtable(L, (int)count, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushstring(L, words[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
}

// (name) -> handle of the root task
static int l_start(lua_State *L)
{
    const struct ctz_cli *cli = ctz_host(L)->cli;
    const char *module = lua_pushfstring(L, "ctz.cmd.%s", lua_tostring(L, 1));
    lua_getglobal(L, "require");
    lua_pushstring(L, module);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "run");
    push_options(L, cli);
    push_words(L, cli->words, cli->word_count);
    push_words(L, cli->rest, cli->rest_count);
    ctz_host(L)->root = ctz_task_spawn(L, NULL, 3, false);
    return 1;
}

int ctz_cmd_lua(struct ctz_host *host, const char *name)
{
    lua_State *L = host->L;
    lua_pushcfunction(L, l_start);
    lua_pushstring(L, name);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK)
        return ctz_report_error(host);
    int code = ctz_run_root(host);
    if (code != CTZ_EXIT_OK || host->root->failed || host->root->results == 0)
        return code;
    return (int)lua_tointeger(host->root->thread, -1) & 255;
}

int ctz_cmd_version(struct ctz_host *host)
{
    const char *text = host->json ? "{\"version\":\"" CTZ_VERSION "\"}\n" : "ctz " CTZ_VERSION "\n";
    ctz_egress_write(host, CTZ_STDOUT, text, strlen(text));
    return CTZ_EXIT_OK;
}
