// stdio.h: print, io and os as a recipe sees them.
// SPDX-License-Identifier: MIT
#ifndef CTZ_STDIO_H
#define CTZ_STDIO_H

#include <lua.h>

#include "host/api.h"

struct ctz_op_class;

/// Replaces print, io and os where they would pass by the egress, the loop or --allow.
void ctz_stdio_init(lua_State *L);
/// What io has of it; in io.c.
void ctz_io_init(lua_State *L);
/// Waits for a program; the results are those of os.execute.
extern const struct ctz_op_class ctz_exit_class;
/// Text for stdout; raises when that has failed. Ends the run quietly when the reader has gone.
void ctz_stdout_write(lua_State *L, const char *bytes, size_t size);
void ctz_stdout_flush(lua_State *L);
/// Asks for write of a path. True under --dry-run, when the plan has got the line "would <verb>
/// <path>" and nothing is to be done.
bool ctz_stdio_plans(lua_State *L, const char *verb, const char *path);

#endif
