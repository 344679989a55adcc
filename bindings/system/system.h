// system.h: what the files of the system room share.
// SPDX-License-Identifier: MIT
#ifndef CTZ_SYSTEM_H
#define CTZ_SYSTEM_H

#include <lua.h>
#include <stdbool.h>

#include "host/process.h"

/// Each pushes one table of functions for the door.
void ctz_system_fs_open(lua_State *L);
void ctz_system_process_open(lua_State *L);
void ctz_system_time_open(lua_State *L);
void ctz_system_env_open(lua_State *L);

struct stat;
/// Pushes a table of what stat tells.
void ctz_system_push_facts(lua_State *L, const struct stat *facts);
/// ctz.fs.walk, and what it needs in the state.
int ctz_system_l_walk(lua_State *L);
void ctz_system_walk_open(lua_State *L);
/// Adds tempdir and tempfile to the table on top of the stack.
void ctz_system_temporary_open(lua_State *L);

/// (argv, opts) at 1 and 2: leaves on the stack what holds the strings. Raises what is wrong with
/// them, and denied or unsupported when the program may not be run. has_handle: for spawn.
void ctz_system_read_options(lua_State *L, bool has_handle, struct ctz_process_options *options);

#endif
