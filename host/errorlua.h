// errorlua.h: the class ctz.error.
// SPDX-License-Identifier: MIT
#ifndef CTZ_ERRORLUA_H
#define CTZ_ERRORLUA_H

#include <lua.h>

#include "host/api.h"
#include "host/error.h"

#define CTZ_ERROR_CLASS "ctz.error"

/// Pushes an error of that kind with the running function's name and place.
void ctz_error_push_text(lua_State *L, enum ctz_error_kind kind, const char *message);
void ctz_error_init(lua_State *L);
int ctz_l_error_new(lua_State *L);
/// Is the value at idx of class ctz.error?
CTZ_API bool ctz_is_error(lua_State *L, int idx);
/// Is that chunk name ctz's own Lua, or code that has no file?
bool ctz_is_own_source(const char *source);

#endif
