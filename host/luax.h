// luax.h: what bindings need beyond Lua's own API: checked options, errors as values, usage errors.
// SPDX-License-Identifier: MIT
//
// All functions here may raise, so a caller holds no bare heap pointer while it calls them.
#ifndef CTZ_LUAX_H
#define CTZ_LUAX_H

#include <lauxlib.h>
#include <lua.h>

#include "host/error.h"
#include "host/host.h"

/// The public name of the door function that runs in this C frame ("fs.read"), or "?".
CTZ_API const char *ctz_function_name(lua_State *L);

// --- failures ----------------------------------------------------------------------------------

/// Raises err as a Lua value and clears it. Never returns (declared int so that one can return it).
CTZ_API int ctz_raise(lua_State *L, struct ctz_error *err);
/// Pushes err as a value of class ctz.error, with op and the caller's place. err stays yours.
CTZ_API void ctz_error_push(lua_State *L, const struct ctz_error *err, const char *op);
/// Raises kind usage. The message starts with the function's name by itself.
CTZ_API int ctz_usage(lua_State *L, const char *format, ...) CTZ_PRINTF(2, 3);
/// Usage: bad argument 'path' to 'fs.read': expected string, got nil. arg is its index.
CTZ_API int ctz_bad_argument(lua_State *L, int arg, const char *name, const char *expected);
/// The kind of the error value at idx; CTZ_ERROR_NONE when it is not a ctz.error.
CTZ_API enum ctz_error_kind ctz_error_kind_at(lua_State *L, int idx);
/// "deploy.lua:14" of the nearest frame that is neither C nor ctz's own Lua; pushes it or nil.
CTZ_API void ctz_push_place(lua_State *L);

// --- arguments ---------------------------------------------------------------------------------

/// Strings as Lua has them; numbers are not taken for strings, nor strings for numbers.
CTZ_API const char *ctz_check_string(lua_State *L, int arg, const char *name, size_t *length);
/// A string without NUL bytes, not empty: a path or a name.
CTZ_API const char *ctz_check_name(lua_State *L, int arg, const char *name);
CTZ_API lua_Integer ctz_check_integer(lua_State *L, int arg, const char *name, lua_Integer min,
                                      lua_Integer max);
/// Seconds: a number >= 0 (infinity allowed).
CTZ_API double ctz_check_seconds(lua_State *L, int arg, const char *name);
CTZ_API void ctz_check_table(lua_State *L, int arg, const char *name);
CTZ_API void ctz_check_function(lua_State *L, int arg, const char *name);

// --- the options table -------------------------------------------------------------------------

/// idx is nil, absent or a table whose every key is in names (ends with NULL); anything else is a
/// usage error that names the nearest option.
CTZ_API void ctz_opts_check(lua_State *L, int idx, const char *const *names);
/// Each returns the default when the table or the field is nil. A string is borrowed from the
/// table: copy it before you wait.
CTZ_API const char *ctz_opt_string(lua_State *L, int idx, const char *name, size_t *length,
                                   const char *otherwise);
CTZ_API bool ctz_opt_bool(lua_State *L, int idx, const char *name, bool otherwise);
CTZ_API lua_Integer ctz_opt_integer(lua_State *L, int idx, const char *name, lua_Integer min,
                                    lua_Integer max, lua_Integer otherwise);
CTZ_API double ctz_opt_number(lua_State *L, int idx, const char *name, double otherwise);
CTZ_API double ctz_opt_seconds(lua_State *L, int idx, const char *name, double otherwise);
/// Index into choices (ends with NULL).
CTZ_API int ctz_opt_choice(lua_State *L, int idx, const char *name, const char *const *choices,
                           int otherwise);
/// Pushes the field (nil when absent) and returns its type, like lua_getfield.
CTZ_API int ctz_opt_field(lua_State *L, int idx, const char *name);

// --- objects -----------------------------------------------------------------------------------

/// A full userdata with that metatable; `size` bytes of zeros, `user_values` nil user values.
CTZ_API void *ctz_object_new(lua_State *L, const char *metatable, size_t size, int user_values);
/// Usage error naming the class when arg is something else.
CTZ_API void *ctz_object_check(lua_State *L, int arg, const char *metatable);

#endif
