// host.c: a run from its first allocation to its last.
// SPDX-License-Identifier: MIT
#include "host/host.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/alloc.h"
#include "host/allow.h"
#include "host/egress.h"
#include "host/errorlua.h"
#include "host/load.h"
#include "host/loop.h"
#include "host/luax.h"
#include "host/process.h"
#include "host/progress.h"
#include "host/secrets.h"
#include "host/signals.h"
#include "host/stdio.h"
#include "host/task.h"

#define POOL_THREADS "8" // libuv gives name look-ups at most half of them

// --- the Lua state -----------------------------------------------------------------------------

static void *allocate(void *context, void *pointer, size_t old_size, size_t new_size)
{
    struct ctz_host *host = context;
    if (new_size == 0 && host->leaving)
        return NULL;
    size_t before = pointer ? old_size : 0;
    uint64_t cap = host->limits.values[CTZ_LIMIT_MEMORY_BYTES];
    if (cap && new_size > before && host->lua_bytes + (new_size - before) > cap)
        return NULL;
    void *block = ctz_lua_alloc(NULL, pointer, before, new_size);
    if (block || new_size == 0)
        host->lua_bytes += new_size - before;
    return block;
}

int ctz_l_message_handler(lua_State *L)
{
    if (!ctz_host(L)->debug)
        return 1;
    if (lua_type(L, 1) == LUA_TSTRING) {
        luaL_traceback(L, L, lua_tostring(L, 1), 1);
    } else if (ctz_is_error(L, 1) && lua_getfield(L, 1, "traceback") == LUA_TNIL) {
        luaL_traceback(L, L, NULL, 1);
        lua_setfield(L, 1, "traceback");
        lua_settop(L, 1);
    }
    return 1;
}

static int l_open(lua_State *L)
{
    luaL_openlibs(L);
    ctz_error_init(L);
    ctz_coroutine_init(L);
    ctz_load_init(L); // before io asks for permission: require reads as it likes
    ctz_stdio_init(L);
    return 0;
}

static int open_lua(struct ctz_host *host)
{
    lua_State *L = host->L = lua_newstate(allocate, host);
    if (!L)
        return -1;
    *(struct ctz_host **)lua_getextraspace(L) = host;
    lua_gc(L, LUA_GCGEN, 0, 0);
    lua_pushcfunction(L, l_open);
    return lua_pcall(L, 0, 0, 0) == LUA_OK ? 0 : -1;
}

// --- paths -------------------------------------------------------------------------------------

// lib/ctz beside the folder of the program: the same in the build tree and after installation.
static int find_library(struct ctz_host *host, const char *program)
{
    char path[4096];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length <= 0 && realpath(program, path))
        length = (ssize_t)strlen(path);
    if (length <= 0)
        return -1;
    path[length] = '\0';
    host->program = ctz_strdup(path);
    for (int i = 0; i < 2; i++) { // off with the name, off with bin
        char *slash = strrchr(path, '/');
        if (slash)
            *slash = '\0';
    }
    host->library = ctz_asprintf("%s/lib/ctz", path);
    return host->library && host->program ? 0 : -1;
}

// --- life --------------------------------------------------------------------------------------

// libuv 1.44 ends the process when its table of watchers cannot grow (uv core.c, maybe_resize), so
// this one call is not made to fail in torture builds: what would be tested is not ours.
static void *reallocate_for_uv(void *pointer, size_t size)
{
    return realloc(pointer, size);
}

struct ctz_host *ctz_host_new(const char *program)
{
    setenv("UV_THREADPOOL_SIZE", POOL_THREADS, 0); // before the first use of the pool
    struct ctz_host *host = ctz_calloc(1, sizeof *host);
    if (!host)
        return NULL;
    ctz_limits_init(&host->limits);
    host->root_deadline_ns = CTZ_NEVER;
#ifdef CTZ_TORTURE
    host->gc_stress = getenv("CTZ_GC_STRESS") != NULL;
#endif
    uv_replace_allocator(ctz_malloc, reallocate_for_uv, ctz_calloc, ctz_free);
    if (ctz_loop_open(host) < 0 || ctz_egress_open(host) < 0 || ctz_signals_open(host) < 0 ||
        ctz_processes_open(host) < 0 || find_library(host, program) < 0 || open_lua(host) < 0) {
        ctz_host_free(host);
        return NULL;
    }
    return host;
}

void ctz_host_free(struct ctz_host *host)
{
    host->root = NULL; // its memory is Lua's
    if (host->L)
        lua_close(host->L);
    host->L = NULL;
    if (host->egress)
        ctz_egress_flush(host);
    ctz_processes_close(host);
    bool closed = !host->loop.data || ctz_loop_close(host);
    if (closed)
        ctz_progress_close(host); // its timer is in the loop
    ctz_signals_close(host);
    ctz_egress_close(host);
    ctz_secrets_free(host);
    ctz_allow_clear(&host->allow);
    ctz_free(host->library);
    ctz_free(host->program);
    if (closed)
        ctz_free(host);
}

_Noreturn void ctz_host_exit(struct ctz_host *host, int code)
{
    host->exit_code = code; // for what is closed now and wants to know how the run ended
#ifndef __SANITIZE_ADDRESS__
    host->leaving = true;
#endif
    ctz_host_free(host);
#ifdef __SANITIZE_ADDRESS__
    uv_library_shutdown(); // threads of the pool free what OpenSSL keeps for each, while it is
                           // there
    exit(code);            // the leak check runs at exit
#else
#ifdef CTZ_TORTURE
    ctz_torture_flush();
#endif
    _exit(code);
#endif
}
