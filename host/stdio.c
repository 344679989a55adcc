// stdio.c: print, io and os as a recipe sees them.
// SPDX-License-Identifier: MIT
#include "host/stdio.h"

#include <string.h>

#include "host/egress.h"
#include "host/luax.h"
#include "host/signals.h"
#include "host/task.h"

static int l_print(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    int count = lua_gettop(L);
    luaL_Buffer line;
    for (int i = 1; i <= count; i++) {
        luaL_tolstring(L, i, NULL);
        lua_replace(L, i);
    }
    luaL_buffinit(L, &line);
    for (int i = 1; i <= count; i++) {
        size_t length;
        const char *text = lua_tolstring(L, i, &length);
        luaL_addlstring(&line, text, length);
        luaL_addchar(&line, i < count ? '\t' : '\n');
    }
    if (count == 0)
        luaL_addchar(&line, '\n');
    luaL_pushresult(&line);
    size_t length;
    const char *text = lua_tolstring(L, -1, &length);
    if (ctz_egress_write(host, CTZ_STDOUT, text, length) < 0) {
        struct ctz_error err = {0};
        ctz_error_system(&err, ctz_egress_error(host, CTZ_STDOUT), "stdout");
        return ctz_raise(L, &err);
    }
    return 0;
}

static int l_exit(lua_State *L)
{
    struct ctz_host *host = ctz_host(L);
    int code = 0;
    if (lua_isboolean(L, 1))
        code = lua_toboolean(L, 1) ? 0 : 1;
    else if (!lua_isnoneornil(L, 1))
        code = (int)ctz_check_integer(L, 1, "code", 0, 255);
    host->ending = true;
    host->exit_code = code;
    ctz_task_cancel(host->root, CTZ_CANCEL_EXIT);
    ctz_signals_interrupt(host); // pcall does not stop it
    ctz_task_check(L);
    return 0;
}

void ctz_stdio_init(lua_State *L)
{
    lua_pushcfunction(L, l_print);
    lua_setglobal(L, "print");
    lua_getglobal(L, "os");
    lua_pushcfunction(L, l_exit);
    lua_setfield(L, -2, "exit");
    lua_pop(L, 1);
}
