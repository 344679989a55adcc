// data.c: a Lua state with the data room, for the tests of JSON and YAML.
// SPDX-License-Identifier: MIT
#include "tests/c/data.h"

#include <lauxlib.h>
#include <lualib.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/data/value.h"
#include "bindings/data/writer.h"
#include "bindings/data/yaml.h"
#include "host/errorlua.h"
#include "host/luax.h"

static void *allocate(void *context, void *pointer, size_t old_size, size_t new_size)
{
    struct data_state *state = context;
    if (!pointer)
        old_size = 0;
    if (new_size > old_size && state->fail_at == 1) {
        state->failed = true;
        return NULL;
    }
    if (new_size > old_size && state->fail_at)
        state->fail_at--;
    state->lua_bytes += new_size - old_size;
    if (new_size == 0) {
        free(pointer);
        return NULL;
    }
    return realloc(pointer, new_size);
}

void data_open(struct data_state *state)
{
    memset(state, 0, sizeof *state);
    ctz_limits_init(&state->host.limits);
    state->L = lua_newstate(allocate, state);
    *(struct ctz_host **)lua_getextraspace(state->L) = &state->host;
    luaL_openlibs(state->L);
    ctz_error_init(state->L);
    ctz_value_init(state->L);
    ctz_writer_init(state->L);
    ctz_yaml_read_init(state->L);
}

void data_close(struct data_state *state)
{
    lua_close(state->L);
}

void data_fail(struct data_state *state, unsigned long n)
{
    state->fail_at = n;
    if (n)
        state->failed = false;
}

int data_call(struct data_state *state, lua_CFunction function, const char *text, size_t size,
              const char *options)
{
    lua_State *L = state->L;
    lua_settop(L, 0);
    lua_pushcfunction(L, function);
    lua_pushlstring(L, text, size);
    if (options && (luaL_loadstring(L, options) || lua_pcall(L, 0, 1, 0)))
        abort();
    return lua_pcall(L, options ? 2 : 1, 1, 0);
}

int data_kind(struct data_state *state)
{
    return (int)ctz_error_kind_at(state->L, -1);
}
