// main.c: ctz run FILE | ctz eval CODE.
// SPDX-License-Identifier: MIT
#include <stdio.h>
#include <string.h>

#include "host/egress.h"
#include "host/errorlua.h"
#include "host/host.h"
#include "host/load.h"
#include "host/loop.h"
#include "host/luax.h"
#include "host/task.h"

static int l_start(lua_State *L)
{
    const char *path = lua_isinteger(L, 1) ? NULL : lua_tostring(L, 1);
    const char *code = lua_tostring(L, 2);
    if (lua_isinteger(L, 1)) { // ctz test: the words that follow
        int count = lua_gettop(L) - 1;
        lua_getglobal(L, "require");
        lua_pushliteral(L, "ctz.cmd.test");
        lua_call(L, 1, 1);
        lua_replace(L, 1);
        ctz_host(L)->root = ctz_task_spawn(L, NULL, count, false);
        return 1;
    }
    int status =
        code ? ctz_load_text(L, code, strlen(code), "=eval") : luaL_loadfilex(L, path, "t");
    if (status != LUA_OK)
        return lua_error(L);
    ctz_host(L)->root = ctz_task_spawn(L, NULL, 0, false);
    return 1;
}

int main(int argc, char **argv)
{
    struct ctz_host *host = ctz_host_new(argv[0]);
    if (!host || argc < 2) {
        fputs("usage: ctz run FILE | ctz eval CODE\n", stderr);
        return 2;
    }
    bool eval = strcmp(argv[1], "eval") == 0;
    lua_State *L = host->L;
    lua_pushcfunction(L, l_start);
    if (strcmp(argv[1], "test") == 0) {
        lua_pushinteger(L, 0);
        for (int i = 2; i < argc; i++)
            lua_pushstring(L, argv[i]);
    } else {
        lua_pushstring(L, eval ? NULL : argv[2]);
        lua_pushstring(L, eval ? argv[2] : NULL);
    }
    int code = 0;
    if (lua_pcall(L, lua_gettop(L) - 1, 1, 0) != LUA_OK) {
        fprintf(stderr, "%s\n", luaL_tolstring(L, -1, NULL));
        ctz_host_exit(host, 4);
    }
    ctz_loop_run(host);
    fflush(NULL); // what C libraries and io.write left in stdio
    if (host->root->failed && !host->ending) {
        lua_getiuservalue(L, -1, CTZ_USER_ERROR);
        const char *text = luaL_tolstring(L, -1, NULL);
        ctz_egress_write(host, CTZ_STDERR, text, strlen(text));
        ctz_egress_write(host, CTZ_STDERR, "\n", 1);
        code = 1;
    }
    const struct ctz_task *root = host->root;
    if (!root->failed && root->results > 0 && lua_isinteger(root->thread, -1) &&
        strcmp(argv[1], "test") == 0)
        code = (int)lua_tointeger(root->thread, -1) & 255;
    ctz_host_exit(host, host->ending ? host->exit_code : code);
}
