// door.h: how a room shows its functions to Lua, and the one place where permission is asked.
// SPDX-License-Identifier: MIT
#ifndef CTZ_DOOR_H
#define CTZ_DOOR_H

#include <lua.h>

#include "host/api.h"

/// What a function touches outside of the program. --allow KIND=SUBJECT grants them one by one.
enum ctz_capability {
    CTZ_CAP_UNNAMED, // refused at registration: say what you touch, or say pure
    CTZ_CAP_PURE,    // nothing
    CTZ_CAP_HELD,    // what the handle in argument 1 was granted when it was made
    CTZ_CAP_READ,
    CTZ_CAP_WRITE,
    CTZ_CAP_RUN,
    CTZ_CAP_NET,
    CTZ_CAP_ENV,
    CTZ_CAP_DOCKER,
    CTZ_CAP_KUBERNETES,
    CTZ_CAP_COUNT
};

/// Flags of a function whose capability can change the world (write, run, net, docker, kubernetes).
/// Without one, the call raises unsupported under --dry-run and --simulate: it never goes on.
enum {
    CTZ_REG_READS = 1, // only looks: runs as ever in both modes
    CTZ_REG_PLANS = 2, // asks ctz_dry_run and ctz_simulate itself and honours them
    CTZ_REG_LOCAL = 4, // changes local files only: runs under --simulate, plans under --dry-run
};

struct ctz_reg {
    const char *name; // public, without "ctz.": "fs.read"; the last word is the field of the door
    lua_CFunction function;
    enum ctz_capability capability;
    int subject; // index of the string argument that is the subject; 0: the function asks ctz_allow
    unsigned flags;
};

/// Pushes a table with one field per row (rows end with a NULL name). Each function is called
/// through one trampoline, which asks for the capability and knows the function's name.
CTZ_API void ctz_door(lua_State *L, const struct ctz_reg *rows);
/// Registers a metatable whose __index has these methods ("fs.file.read" becomes read; names that
/// begin with two underscores become metamethods). Leaves nothing on the stack.
CTZ_API void ctz_class(lua_State *L, const char *metatable, const struct ctz_reg *rows);

/// Raises denied unless the run may do this. subject may be NULL (any).
CTZ_API void ctz_allow(lua_State *L, enum ctz_capability capability, const char *subject);
/// The same question without raising.
CTZ_API bool ctz_allowed(lua_State *L, enum ctz_capability capability, const char *subject);

CTZ_API bool ctz_dry_run(lua_State *L);
CTZ_API bool ctz_simulate(lua_State *L);
/// Prints a line of the plan of a dry run: "would <text>".
CTZ_API void ctz_plan(lua_State *L, const char *format, ...) CTZ_PRINTF(2, 3);

CTZ_API const char *ctz_capability_name(enum ctz_capability capability);

/// Registry field: public function name -> capability, of every door opened so far.
#define CTZ_DOOR_ROWS "ctz.door.rows"
/// The C function at idx, looked up behind the trampoline.
lua_CFunction ctz_function_of(lua_State *L, int idx);

#endif
