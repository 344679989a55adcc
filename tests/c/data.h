// data.h: a Lua state with the data room, for the tests of JSON and YAML.
// SPDX-License-Identifier: MIT
#ifndef CTZ_TEST_DATA_H
#define CTZ_TEST_DATA_H

#include <lua.h>

#include "host/host.h"

struct data_state {
    struct ctz_host host; // only its limits are used
    lua_State *L;
    size_t lua_bytes;
    unsigned long fail_at; // allocations of Lua until they fail; 0: they do not
    bool failed;
};

void data_open(struct data_state *state);
void data_close(struct data_state *state);
/// From now on the n-th allocation of Lua and all after it fail; 0: none.
void data_fail(struct data_state *state, unsigned long n);
/// Calls function with text and, when options is not NULL, with the table that Lua code makes.
/// Leaves the result or the error on top of the stack and returns the status.
int data_call(struct data_state *state, lua_CFunction function, const char *text, size_t size,
              const char *options);
/// The kind of the error on top of the stack.
int data_kind(struct data_state *state);

#endif
