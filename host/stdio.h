// stdio.h: print, io and os as a recipe sees them.
// SPDX-License-Identifier: MIT
#ifndef CTZ_STDIO_H
#define CTZ_STDIO_H

#include <lua.h>

/// Replaces print, io.write, io.stdout, io.stderr, os.exit and what else would pass by the egress.
void ctz_stdio_init(lua_State *L);

#endif
