// temporary.c: ctz.fs.tempdir and tempfile: what is removed at the end of its scope.
// SPDX-License-Identifier: MIT
//
// Nothing of it stays, so a dry run makes it as well.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/system/files.h"
#include "bindings/system/system.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/log.h"
#include "host/luax.h"
#include "host/op.h"
#include "host/task.h"

#define TEMPORARY_CLASS "ctz.fs.Temporary"

struct temporary {
    char *path;  // owned
    bool exists; // it was made and not removed yet
};

struct remove_op {
    struct ctz_op op;
    char *path; // owned
};

static void work_remove(struct ctz_op *op)
{
    if (ctz_files_remove(((struct remove_op *)op)->path, true, NULL, &op->err) < 0 &&
        op->err.kind == CTZ_ERROR_NOT_FOUND)
        ctz_error_clear(&op->err); // the recipe was faster
}

static void clear_remove(struct ctz_op *op)
{
    ctz_free(((struct remove_op *)op)->path);
}

// A cancelled task waits for it all the same.
static const struct ctz_op_class remove_class = {
    .name = "removes a temporary", .work = work_remove, .clear = clear_remove, .shielded = true};

static int remove_now(struct temporary *temporary)
{
    struct ctz_error err = {0};
    int result = ctz_files_remove(temporary->path, true, NULL, &err);
    ctz_error_clear(&err);
    return result;
}

/// temporary:close() -> true
/// Removes it now, with all that is in it; the end of its scope and `<close>` do it by themselves.
/// @async
/// @example local dir = ctz.fs.tempdir() dir:close() assert(not ctz.fs.exists(dir.path))
static int l_close(lua_State *L)
{
    struct temporary *temporary = ctz_object_check(L, 1, TEMPORARY_CLASS);
    if (!temporary->exists) {
        lua_pushboolean(L, true);
        return 1;
    }
    if (ctz_task_why_not_waitable(L)) {
        temporary->exists = false;
        remove_now(temporary);
        lua_pushboolean(L, true);
        return 1;
    }
    struct remove_op *op = ctz_op_new(L, &remove_class, sizeof *op);
    op->path = ctz_strdup(temporary->path);
    if (!op->path) {
        ctz_op_discard(&op->op);
        return luaL_error(L, "not enough memory");
    }
    temporary->exists = false;
    return ctz_await(L, op);
}

// Upvalue: the temporary.
static int l_deferred_close(lua_State *L)
{
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    return l_close(L);
}

static int l_gc(lua_State *L)
{
    struct temporary *temporary = ctz_object_check(L, 1, TEMPORARY_CLASS);
    if (temporary->exists) {
        ctz_log(ctz_host(L), CTZ_LOG_DEBUG, "%s: removed, it was collected unclosed",
                temporary->path);
        remove_now(temporary);
    }
    temporary->exists = false;
    ctz_free(temporary->path);
    temporary->path = NULL;
    return 0;
}

static void push_text(lua_State *L, int idx)
{
    const struct temporary *temporary = luaL_testudata(L, idx, TEMPORARY_CLASS);
    if (temporary)
        lua_pushstring(L, temporary->path);
    else
        luaL_tolstring(L, idx, NULL);
}

static int l_tostring(lua_State *L)
{
    push_text(L, 1);
    return 1;
}

static int l_concat(lua_State *L)
{
    push_text(L, 1);
    push_text(L, 2);
    lua_concat(L, 2);
    return 1;
}

// Upvalue: the methods. path is a field.
static int l_index(lua_State *L)
{
    const struct temporary *temporary = ctz_object_check(L, 1, TEMPORARY_CLASS);
    lua_pushvalue(L, 2);
    if (lua_rawget(L, lua_upvalueindex(1)) == LUA_TNIL && lua_type(L, 2) == LUA_TSTRING &&
        strcmp(lua_tostring(L, 2), "path") == 0)
        lua_pushstring(L, temporary->path);
    return 1;
}

// --- making ------------------------------------------------------------------------------------

static int make(struct temporary *temporary, bool is_folder)
{
    int fd = is_folder ? 0 : mkostemp(temporary->path, O_CLOEXEC);
    if (is_folder && !mkdtemp(temporary->path))
        return -1;
    if (fd > 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static int push_temporary(lua_State *L, bool is_folder)
{
    static const char *const options[] = {"dir", "prefix", NULL};
    ctz_opts_check(L, 1, options);
    const char *dir = ctz_opt_string(L, 1, "dir", NULL, getenv("TMPDIR"));
    const char *prefix = ctz_opt_string(L, 1, "prefix", NULL, "ctz-");
    if (!dir || !*dir)
        dir = "/tmp";
    if (strchr(prefix, '/'))
        ctz_usage(L, "bad argument 'opts.prefix' to '%s': it holds a slash", ctz_function_name(L));
    ctz_allow(L, CTZ_CAP_WRITE, dir);
    struct temporary *temporary = ctz_object_new(L, TEMPORARY_CLASS, sizeof *temporary, 0);
    temporary->path = ctz_asprintf("%s/%s%ld-XXXXXX", dir, prefix, (long)getpid());
    if (!temporary->path)
        return luaL_error(L, "not enough memory");
    if (ctz_host(L)->current) { // before it is made, as this may raise
        lua_pushvalue(L, -1);
        lua_pushcclosure(L, l_deferred_close, 1);
        ctz_scope_defer(L, ctz_host(L)->current->scope, -1);
        lua_pop(L, 1);
    }
    if (make(temporary, is_folder) < 0) {
        struct ctz_error err = {0};
        ctz_files_fail(&err, errno, dir);
        return ctz_raise(L, &err);
    }
    temporary->exists = true;
    return 1;
}

/// ctz.fs.tempdir(opts?) -> ctz.fs.Temporary
/// Makes a new empty folder that only this user can look into. It is removed with all that is in it
/// at the end of the scope, or of the block with `local dir <close> = ...`. dir.path is its path,
/// and `dir .. "/name"` a path in it.
/// @param opts.dir? string  where; default $TMPDIR or /tmp
/// @param opts.prefix? string  of its name, default "ctz-"
/// @return ctz.fs.Temporary
/// @example local dir <close> = ctz.fs.tempdir()
/// @example ctz.fs.write(dir .. "/a", "x") assert(ctz.fs.exists(dir.path .. "/a"))
static int l_tempdir(lua_State *L)
{
    return push_temporary(L, true);
}

/// ctz.fs.tempfile(opts?) -> ctz.fs.Temporary
/// Makes a new empty file that only this user can read. It is removed as a tempdir is.
/// @param opts.dir? string  where; default $TMPDIR or /tmp
/// @param opts.prefix? string  of its name, default "ctz-"
/// @return ctz.fs.Temporary
/// @example local file <close> = ctz.fs.tempfile() assert(ctz.fs.read(file.path) == "")
static int l_tempfile(lua_State *L)
{
    return push_temporary(L, false);
}

static const struct ctz_reg methods[] = {
    {"temporary.close", l_close, CTZ_CAP_HELD, 0, 0},
    {"temporary.__close", l_close, CTZ_CAP_HELD, 0, 0},
    {"temporary.__gc", l_gc, CTZ_CAP_HELD, 0, 0},
    {"temporary.__tostring", l_tostring, CTZ_CAP_PURE, 0, 0},
    {"temporary.__concat", l_concat, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"fs.tempdir", l_tempdir, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"fs.tempfile", l_tempfile, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_system_temporary_open(lua_State *L)
{
    ctz_class(L, TEMPORARY_CLASS, methods);
    luaL_getmetatable(L, TEMPORARY_CLASS);
    if (lua_getfield(L, -1, "__index") == LUA_TTABLE) { // the first time
        lua_pushcclosure(L, l_index, 1);
        lua_setfield(L, -2, "__index");
    } else {
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    ctz_door(L, functions);
    lua_getfield(L, -1, "tempdir");
    lua_setfield(L, -3, "tempdir");
    lua_getfield(L, -1, "tempfile");
    lua_setfield(L, -3, "tempfile");
    lua_pop(L, 1);
}
