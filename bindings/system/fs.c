// fs.c: ctz.fs: what Lua sees of files and folders. Short calls run at once, those that may take
// long on the thread pool. SPDX-License-Identifier: MIT
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bindings/system/files.h"
#include "bindings/system/system.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/luax.h"
#include "host/op.h"

#define INLINE_BYTES (128 * CTZ_KIB) // a file up to this size is read without the pool

// --- jobs --------------------------------------------------------------------------------------

// One job for all functions; each uses what it needs.
struct file_op {
    struct ctz_op op;
    char *path, *other; // owned
    char *bytes;        // owned
    struct ctz_writing writing;
    struct ctz_buffer text;
    struct ctz_names names;
    int fd; // -1: none
    bool recursive, hidden, is_absent_fine;
};

static void clear_file(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    ctz_free(file->path);
    ctz_free(file->other);
    ctz_free(file->bytes);
    ctz_buffer_clear(&file->text);
    ctz_names_clear(&file->names);
    if (file->fd >= 0)
        close(file->fd);
}

// An op with copies of the strings (NULL: none). Raises without memory.
static struct file_op *new_file_op(lua_State *L, const struct ctz_op_class *class, const char *path,
                                   const char *other)
{
    struct file_op *file = ctz_op_new(L, class, sizeof *file);
    file->fd = -1;
    file->path = path ? ctz_strdup(path) : NULL;
    file->other = other ? ctz_strdup(other) : NULL;
    if ((path && !file->path) || (other && !file->other)) {
        ctz_op_discard(&file->op);
        luaL_error(L, "not enough memory");
    }
    return file;
}

static void set_bytes(lua_State *L, struct file_op *file, const char *bytes, size_t size)
{
    file->bytes = ctz_memdup(bytes, size);
    if (!file->bytes) {
        ctz_op_discard(&file->op);
        luaL_error(L, "not enough memory");
    }
    file->writing.bytes = file->bytes;
    file->writing.size = size;
}

static void work_read(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    if (file->fd >= 0)
        ctz_files_read(file->fd, file->path, &file->text, op, &op->err);
}

static int start_read(struct ctz_op *op)
{
    work_read(op);
    ctz_op_settle(op);
    return 0;
}

static void work_write(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    ctz_files_write(file->path, &file->writing, op, &op->err);
}

static void work_append(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    ctz_files_append(file->path, file->writing.bytes, file->writing.size, &op->err);
}

static void work_list(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    ctz_names_read(&file->names, file->path, &op->err);
}

static void work_glob(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    ctz_files_glob(file->other, file->path, file->hidden, &file->names, op, &op->err);
}

static void work_remove(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    if (ctz_files_remove(file->path, file->recursive, op, &op->err) < 0 && file->is_absent_fine &&
        op->err.kind == CTZ_ERROR_NOT_FOUND)
        ctz_error_clear(&op->err);
}

// A folder that stands at the other path is not replaced.
static int check_target(struct file_op *file)
{
    struct stat facts;
    if (stat(file->other, &facts) != 0 || !S_ISDIR(facts.st_mode))
        return 0;
    ctz_files_fail(&file->op.err, EEXIST, file->other);
    ctz_error_hint(&file->op.err, "it is a folder; name the new file or folder in it");
    return -1;
}

static void work_copy(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    struct stat facts;
    if (check_target(file) < 0)
        return;
    if (stat(file->path, &facts) != 0) {
        ctz_files_fail(&op->err, errno, file->path);
    } else if (!S_ISDIR(facts.st_mode)) {
        ctz_files_copy(file->path, file->other, false, op, &op->err);
    } else if (file->recursive) {
        ctz_files_copy_tree(file->path, file->other, op, &op->err);
    } else {
        ctz_files_fail(&op->err, EISDIR, file->path);
        ctz_error_hint(&op->err, "recursive=true copies it with all that is in it");
    }
}

static void work_move(struct ctz_op *op)
{
    struct file_op *file = (struct file_op *)op;
    if (check_target(file) == 0)
        ctz_files_move(file->path, file->other, op, &op->err);
}

static int push_text(lua_State *L, struct ctz_op *op)
{
    const struct file_op *file = (const struct file_op *)op;
    lua_pushlstring(L, file->text.bytes ? file->text.bytes : "", file->text.length);
    return 1;
}

static int push_names(lua_State *L, struct ctz_op *op)
{
    const struct file_op *file = (const struct file_op *)op;
    lua_createtable(L, (int)(file->names.count < INT_MAX ? file->names.count : 0), 0);
    for (size_t i = 0; i < file->names.count; i++) {
        lua_pushstring(L, file->names.list[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

// What a pattern finds by way of a link may lie outside of what --allow grants.
static int push_found(lua_State *L, struct ctz_op *op)
{
    const struct file_op *file = (const struct file_op *)op;
    lua_Integer count = 0;
    lua_newtable(L);
    for (size_t i = 0; i < file->names.count; i++) {
        if (!ctz_allowed(L, CTZ_CAP_READ, file->names.list[i]))
            continue;
        lua_pushstring(L, file->names.list[i]);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

static const struct ctz_op_class
    small_read_class = {.name = "reads a file",
                        .start = start_read,
                        .push = push_text,
                        .clear = clear_file},
    read_class = {.name = "reads a file",
                  .work = work_read,
                  .push = push_text,
                  .clear = clear_file},
    write_class = {.name = "writes a file", .work = work_write, .clear = clear_file},
    append_class = {.name = "appends to a file", .work = work_append, .clear = clear_file},
    list_class = {.name = "lists a folder",
                  .work = work_list,
                  .push = push_names,
                  .clear = clear_file},
    glob_class = {.name = "looks for files",
                  .work = work_glob,
                  .push = push_found,
                  .clear = clear_file},
    remove_class = {.name = "removes files", .work = work_remove, .clear = clear_file},
    copy_class = {.name = "copies files", .work = work_copy, .clear = clear_file},
    move_class = {.name = "moves files", .work = work_move, .clear = clear_file};

// --- push and read -----------------------------------------------------------------------------

static int raise_errno(lua_State *L, int code, const char *path)
{
    struct ctz_error err = {0};
    ctz_files_fail(&err, code, path);
    return ctz_raise(L, &err);
}

static int push_true(lua_State *L)
{
    lua_pushboolean(L, true);
    return 1;
}

// The value on top of the stack, which is popped: a number, or octal digits in a string ("0644").
// false: it is nil.
static bool take_mode(lua_State *L, const char *name, mode_t *mode)
{
    int type = lua_type(L, -1);
    lua_Integer value = -1;
    if (type == LUA_TSTRING) {
        char *rest;
        const char *text = lua_tostring(L, -1);
        value = (lua_Integer)strtol(text, &rest, 8);
        if (*rest || rest == text)
            value = -1;
    } else if (lua_isinteger(L, -1)) {
        value = lua_tointeger(L, -1);
    }
    lua_pop(L, 1);
    if (type != LUA_TNIL && (value < 0 || value > 07777))
        ctz_usage(L, "bad argument '%s' to '%s': expected \"0644\" or a number up to 4095", name,
                  ctz_function_name(L));
    *mode = (mode_t)value;
    return type != LUA_TNIL;
}

static bool read_mode(lua_State *L, int idx, mode_t *mode)
{
    ctz_opt_field(L, idx, "mode");
    return take_mode(L, "opts.mode", mode);
}

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "directory";
    case S_IFLNK:
        return "symlink";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    case S_IFCHR:
        return "character device";
    default:
        return "block device";
    }
}

static void set_integer(lua_State *L, const char *field, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, field);
}

void ctz_system_push_facts(lua_State *L, const struct stat *facts)
{
    lua_createtable(L, 0, 8);
    lua_pushstring(L, type_name(facts->st_mode));
    lua_setfield(L, -2, "type");
    set_integer(L, "size_bytes", (uint64_t)facts->st_size);
    set_integer(L, "mode", facts->st_mode & 07777);
    lua_pushnumber(L, (double)facts->st_mtim.tv_sec + (double)facts->st_mtim.tv_nsec / 1e9);
    lua_setfield(L, -2, "mtime");
    set_integer(L, "uid", facts->st_uid);
    set_integer(L, "gid", facts->st_gid);
    set_integer(L, "inode", facts->st_ino);
    set_integer(L, "device", facts->st_dev);
    set_integer(L, "links", facts->st_nlink);
}

// Asks for what acts on a name and not on what a link behind it leads to: then the folder counts.
static void allow_name(lua_State *L, enum ctz_capability capability, const char *path)
{
    struct stat facts;
    if (!ctz_host(L)->allow)
        return;
    if (lstat(path, &facts) != 0 || !S_ISLNK(facts.st_mode)) {
        ctz_allow(L, capability, path);
        return;
    }
    char *folder = ctz_files_folder(path);
    lua_pushstring(L, folder ? folder : path);
    ctz_free(folder);
    ctz_allow(L, capability, lua_tostring(L, -1));
    lua_pop(L, 1);
}

// --- content -----------------------------------------------------------------------------------

/// ctz.fs.read(path, opts?) -> string
/// The whole content of a file.
/// @async
/// @param path string
/// @param opts.timeout? ctz.seconds
/// @return string
/// @error not_found  no such file; the hint names the nearest one
/// @error denied  it may not be read
/// @error size  it is larger than the limit file_bytes
/// @example ctz.fs.write("a.txt", "hello") assert(ctz.fs.read("a.txt") == "hello")
static int l_read(lua_State *L)
{
    static const char *const options[] = {"timeout", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    ctz_opts_check(L, 2, options);
    double timeout_s = ctz_opt_seconds(L, 2, "timeout", 0);
    struct stat facts = {0};
    struct file_op *file = new_file_op(L, &small_read_class, path, NULL);
    file->op.timeout_s = timeout_s;
    ctz_buffer_init(&file->text, ctz_limit(ctz_host(L), CTZ_LIMIT_FILE_BYTES));
    file->fd = ctz_files_open(path, &facts, &file->op.err);
    bool is_small =
        S_ISREG(facts.st_mode) && facts.st_size > 0 && (uint64_t)facts.st_size <= INLINE_BYTES;
    if (file->fd >= 0 && !is_small)
        file->op.class = &read_class;
    return ctz_await(L, file);
}

/// ctz.fs.write(path, text, opts?) -> true
/// Writes a file whole or not at all: the text goes into a new file, which is on the disk before it
/// takes the old one's place, so that a full disk, a crash or a cancel leave the old content. The
/// mode of an existing file is kept; a link is followed; a device or a fifo is written to.
/// @async
/// @param path string
/// @param text string
/// @param opts.mode? string|integer  permissions: "0644"; default: those of the old file, else what
/// the umask leaves
/// @param opts.atomic? boolean  false: write into the file itself; default true
/// @param opts.timeout? ctz.seconds
/// @return true
/// @error not_found  no such folder
/// @error denied  it may not be written
/// @error io  the disk is full, or fails
/// @example assert(ctz.fs.write("run.sh", "#!/bin/sh\n", {mode = "0755"}))
/// @example assert(ctz.fs.stat("run.sh").mode == 493)
static int l_write(lua_State *L)
{
    static const char *const options[] = {"mode", "atomic", "timeout", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    size_t size;
    const char *text = ctz_check_string(L, 2, "text", &size);
    ctz_opts_check(L, 3, options);
    struct ctz_writing writing = {.in_place = !ctz_opt_bool(L, 3, "atomic", true)};
    writing.has_mode = read_mode(L, 3, &writing.mode);
    double timeout_s = ctz_opt_seconds(L, 3, "timeout", 0);
    if (ctz_dry_run(L)) {
        ctz_plan(L, "write %s (%zu bytes)", path, size);
        return push_true(L);
    }
    struct file_op *file = new_file_op(L, &write_class, path, NULL);
    file->op.timeout_s = timeout_s;
    file->writing = writing;
    set_bytes(L, file, text, size);
    return ctz_await(L, file);
}

/// ctz.fs.append(path, text) -> true
/// Adds to the end of a file, which is made when there is none. When the disk is full nothing of
/// the text stays.
/// @async
/// @param path string
/// @param text string
/// @return true
/// @error io  the disk is full, or fails
/// @example ctz.fs.append("log", "one\n") ctz.fs.append("log", "two\n")
/// @example assert(ctz.fs.read("log") == "one\ntwo\n")
static int l_append(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    size_t size;
    const char *text = ctz_check_string(L, 2, "text", &size);
    if (ctz_dry_run(L)) {
        ctz_plan(L, "append to %s (%zu bytes)", path, size);
        return push_true(L);
    }
    struct file_op *file = new_file_op(L, &append_class, path, NULL);
    set_bytes(L, file, text, size);
    return ctz_await(L, file);
}

// --- facts -------------------------------------------------------------------------------------

/// ctz.fs.stat(path, opts?) -> ctz.fs.Stat|nil
/// What is known of a file: {type, size_bytes, mode, mtime, uid, gid, inode, device, links}; nil
/// when there is none. type is file, directory, symlink, fifo, socket, "character device" or
/// "block device"; mtime is in seconds since 1970.
/// @param path string
/// @param opts.follow? boolean  false: of a link itself; default true
/// @return ctz.fs.Stat|nil
/// @error denied  a folder on the way may not be searched
/// @example ctz.fs.write("a", "12345")
/// @example assert(ctz.fs.stat("a").size_bytes == 5 and ctz.fs.stat("b") == nil)
static int l_stat(lua_State *L)
{
    static const char *const options[] = {"follow", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    ctz_opts_check(L, 2, options);
    bool follow = ctz_opt_bool(L, 2, "follow", true);
    struct stat facts;
    if (follow)
        ctz_allow(L, CTZ_CAP_READ, path);
    else
        allow_name(L, CTZ_CAP_READ, path);
    if ((follow ? stat(path, &facts) : lstat(path, &facts)) == 0)
        ctz_system_push_facts(L, &facts);
    else if (errno == ENOENT || errno == ENOTDIR)
        lua_pushnil(L);
    else
        return raise_errno(L, errno, path);
    return 1;
}

/// ctz.fs.exists(path) -> boolean
/// Is there a file, a folder or another thing of that name? A link that leads nowhere is none.
/// @param path string
/// @return boolean
/// @example assert(ctz.fs.exists("/") and not ctz.fs.exists("nothing"))
static int l_exists(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    struct stat facts;
    bool exists = stat(path, &facts) == 0;
    if (!exists && errno != ENOENT && errno != ENOTDIR)
        return raise_errno(L, errno, path);
    lua_pushboolean(L, exists);
    return 1;
}

/// ctz.fs.realpath(path) -> string
/// The absolute path without links and dots.
/// @param path string
/// @return string
/// @error not_found  a part of it does not exist
/// @example assert(ctz.fs.realpath("/usr/../usr/.") == "/usr")
static int l_realpath(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    char real[PATH_MAX];
    if (!realpath(path, real))
        return raise_errno(L, errno, path);
    lua_pushstring(L, real);
    return 1;
}

/// ctz.fs.cwd() -> string
/// The folder that relative paths begin in.
/// @return string
/// @example assert(ctz.fs.cwd():sub(1, 1) == "/")
static int l_cwd(lua_State *L)
{
    char path[PATH_MAX];
    if (!getcwd(path, sizeof path))
        return raise_errno(L, errno, ".");
    lua_pushstring(L, path);
    return 1;
}

/// ctz.fs.readlink(path) -> string
/// Where a symbolic link leads, as it was written.
/// @param path string
/// @return string
/// @error usage  it is no link
/// @error not_found  there is no such link
/// @example ctz.fs.symlink("target", "link") assert(ctz.fs.readlink("link") == "target")
static int l_readlink(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    char target[PATH_MAX];
    allow_name(L, CTZ_CAP_READ, path);
    ssize_t size = readlink(path, target, sizeof target);
    if (size < 0)
        return raise_errno(L, errno, path);
    lua_pushlstring(L, target, (size_t)size);
    return 1;
}

// --- folders -----------------------------------------------------------------------------------

/// ctz.fs.list(path) -> string[]
/// The names in a folder, sorted, without "." and "..".
/// @async
/// @param path string
/// @return string[]
/// @error not_found  no such folder
/// @example ctz.fs.mkdir("d") ctz.fs.write("d/b", "") ctz.fs.write("d/a", "")
/// @example assert(table.concat(ctz.fs.list("d"), " ") == "a b")
static int l_list(lua_State *L)
{
    return ctz_await(L, new_file_op(L, &list_class, ctz_check_name(L, 1, "path"), NULL));
}

// Pushes the folder in which a search begins: what is before the first part with a wildcard.
static const char *push_base(lua_State *L, const char *root, const char *pattern)
{
    size_t length = strcspn(pattern, "*?[\\");
    while (length > 0 && pattern[length - 1] != '/')
        length--;
    if (root)
        return lua_pushstring(L, root);
    return length ? lua_pushlstring(L, pattern, length) : lua_pushliteral(L, ".");
}

/// ctz.fs.glob(pattern, opts?) -> string[]
/// The paths that match a pattern, sorted: * any text, ? one character, [a-z] one of a set, [!a-z]
/// none of it, \ the next character as it is, and ** as a part of its own any number of folders.
/// Paths can be used as they are: with a root they begin with it. Names that begin with a dot match
/// only a pattern that does.
/// @async
/// @param pattern string
/// @param opts.root? string  the folder to look in; default: the current one
/// @param opts.hidden? boolean  * and ** find names that begin with a dot, too
/// @return string[]
/// @example ctz.fs.mkdir("src/sub", {parents = true})
/// @example ctz.fs.write("src/a.c", "") ctz.fs.write("src/sub/b.c", "")
/// @example assert(table.concat(ctz.fs.glob("src/**/*.c"), " ") == "src/a.c src/sub/b.c")
static int l_glob(lua_State *L)
{
    static const char *const options[] = {"root", "hidden", NULL};
    const char *pattern = ctz_check_name(L, 1, "pattern");
    ctz_opts_check(L, 2, options);
    const char *root = ctz_opt_string(L, 2, "root", NULL, NULL);
    bool hidden = ctz_opt_bool(L, 2, "hidden", false);
    if (root && *pattern == '/')
        ctz_usage(L, "bad argument 'pattern' to '%s': an absolute pattern has no root",
                  ctz_function_name(L));
    ctz_allow(L, CTZ_CAP_READ, push_base(L, root, pattern));
    struct file_op *file = new_file_op(L, &glob_class, pattern, root);
    file->hidden = hidden;
    return ctz_await(L, file);
}

/// ctz.fs.mkdir(path, opts?) -> true
/// Makes a folder.
/// @param path string
/// @param opts.parents? boolean  also those it lies in; and it may exist already
/// @param opts.mode? string|integer  permissions, default "0777" less the umask
/// @return true
/// @error conflict  it exists already
/// @example assert(ctz.fs.mkdir("a/b/c", {parents = true}) and ctz.fs.stat("a/b").type ==
/// "directory")
static int l_mkdir(lua_State *L)
{
    static const char *const options[] = {"parents", "mode", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    ctz_opts_check(L, 2, options);
    bool parents = ctz_opt_bool(L, 2, "parents", false);
    mode_t mode;
    if (!read_mode(L, 2, &mode))
        mode = 0777;
    if (ctz_dry_run(L)) {
        ctz_plan(L, "make folder %s", path);
        return push_true(L);
    }
    struct ctz_error err = {0};
    if (ctz_files_mkdir(path, mode, parents, &err) < 0)
        return ctz_raise(L, &err);
    return push_true(L);
}

// --- changes -----------------------------------------------------------------------------------

// "." and ".." and "/" are not removed, by whatever name.
static void check_removable(lua_State *L, const char *path)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    const char *name = path + length;
    while (name > path && name[-1] != '/')
        name--;
    size_t size = (size_t)(path + length - name);
    if (size == 0 || (name[0] == '.' && (size == 1 || (size == 2 && name[1] == '.'))))
        ctz_usage(L, "'%s' does not remove \"%s\"; name the folder itself", ctz_function_name(L),
                  path);
}

// Pushes the path without slashes at its end: behind a link they would follow it.
static const char *push_trimmed(lua_State *L, const char *path)
{
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/')
        length--;
    return lua_pushlstring(L, path, length);
}

/// ctz.fs.remove(path, opts?) -> true
/// Removes a file, a link or an empty folder; with recursive a folder and all that is in it. Links
/// are removed, never followed.
/// @async
/// @param path string
/// @param opts.recursive? boolean
/// @param opts.absent_ok? boolean  true also when there is none
/// @return true
/// @error not_found  there is none
/// @error conflict  the folder is not empty
/// @error usage  the path is "/", "." or ".."
/// @example ctz.fs.mkdir("a/b", {parents = true})
/// @example assert(not pcall(ctz.fs.remove, "a") and ctz.fs.remove("a", {recursive = true}))
static int l_remove(lua_State *L)
{
    static const char *const options[] = {"recursive", "absent_ok", NULL};
    lua_settop(L, 2);
    const char *path = push_trimmed(L, ctz_check_name(L, 1, "path"));
    ctz_opts_check(L, 2, options);
    bool recursive = ctz_opt_bool(L, 2, "recursive", false);
    bool absent_ok = ctz_opt_bool(L, 2, "absent_ok", false);
    check_removable(L, path);
    allow_name(L, CTZ_CAP_WRITE, path);
    if (ctz_dry_run(L)) {
        ctz_plan(L, "remove %s%s", path, recursive ? " and all in it" : "");
        return push_true(L);
    }
    struct file_op *file = new_file_op(L, &remove_class, path, NULL);
    file->recursive = recursive;
    file->is_absent_fine = absent_ok;
    return ctz_await(L, file);
}

/// ctz.fs.copy(from, to, opts?) -> true
/// Copies a file, or with recursive a folder. The copy appears under its name when it is whole; a
/// file there is replaced, a folder is not. Permissions are kept; links in a folder stay links.
/// @async
/// @param from string
/// @param to string  the name of the copy
/// @param opts.recursive? boolean
/// @return true
/// @error not_found  there is no such file
/// @error conflict  there is a folder at `to`
/// @example ctz.fs.write("a", "text") ctz.fs.copy("a", "b") assert(ctz.fs.read("b") == "text")
static int l_copy(lua_State *L)
{
    static const char *const options[] = {"recursive", NULL};
    lua_settop(L, 3);
    const char *from = ctz_check_name(L, 1, "from");
    const char *to = push_trimmed(L, ctz_check_name(L, 2, "to"));
    ctz_opts_check(L, 3, options);
    bool recursive = ctz_opt_bool(L, 3, "recursive", false);
    ctz_allow(L, CTZ_CAP_READ, from);
    if (ctz_dry_run(L)) {
        ctz_plan(L, "copy %s to %s", from, to);
        return push_true(L);
    }
    struct file_op *file = new_file_op(L, &copy_class, from, to);
    file->recursive = recursive;
    return ctz_await(L, file);
}

/// ctz.fs.move(from, to) -> true
/// Gives a file or a folder another name, also on another file system. A file at `to` is replaced,
/// a folder is not.
/// @async
/// @param from string
/// @param to string
/// @return true
/// @error not_found  there is no such file
/// @error conflict  there is a folder at `to`
/// @example ctz.fs.write("a", "text") ctz.fs.move("a", "b") assert(not ctz.fs.exists("a"))
static int l_move(lua_State *L)
{
    lua_settop(L, 2);
    const char *from = push_trimmed(L, ctz_check_name(L, 1, "from"));
    const char *to = push_trimmed(L, ctz_check_name(L, 2, "to"));
    allow_name(L, CTZ_CAP_WRITE, from);
    allow_name(L, CTZ_CAP_WRITE, to);
    if (ctz_dry_run(L)) {
        ctz_plan(L, "move %s to %s", from, to);
        return push_true(L);
    }
    return ctz_await(L, new_file_op(L, &move_class, from, to));
}

/// ctz.fs.symlink(target, path) -> true
/// Makes a symbolic link at path that leads to target.
/// @param target string
/// @param path string
/// @return true
/// @error conflict  something of that name exists
/// @example ctz.fs.symlink("b", "a") assert(ctz.fs.stat("a", {follow = false}).type == "symlink")
static int l_symlink(lua_State *L)
{
    const char *target = ctz_check_name(L, 1, "target");
    const char *path = ctz_check_name(L, 2, "path");
    allow_name(L, CTZ_CAP_WRITE, path);
    if (ctz_dry_run(L))
        ctz_plan(L, "link %s to %s", path, target);
    else if (symlink(target, path) != 0)
        return raise_errno(L, errno, path);
    return push_true(L);
}

/// ctz.fs.chmod(path, mode) -> true
/// Sets permissions.
/// @param path string
/// @param mode string|integer  "0644", or a number
/// @return true
/// @error not_found  there is no such file
/// @error denied  it belongs to somebody else
/// @example ctz.fs.write("a", "") ctz.fs.chmod("a", "0600") assert(ctz.fs.stat("a").mode == 384)
static int l_chmod(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    mode_t mode;
    lua_settop(L, 2);
    if (!take_mode(L, "mode", &mode))
        ctz_bad_argument(L, 2, "mode", "\"0644\" or a number");
    if (ctz_dry_run(L))
        ctz_plan(L, "set permissions of %s to %04o", path, (unsigned)mode);
    else if (chmod(path, mode) != 0)
        return raise_errno(L, errno, path);
    return push_true(L);
}

// --- the table ---------------------------------------------------------------------------------

static const struct ctz_reg functions[] = {
    {"fs.read", l_read, CTZ_CAP_READ, 1, 0},
    {"fs.write", l_write, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"fs.append", l_append, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"fs.stat", l_stat, CTZ_CAP_READ, 0, 0},
    {"fs.exists", l_exists, CTZ_CAP_READ, 1, 0},
    {"fs.realpath", l_realpath, CTZ_CAP_READ, 1, 0},
    {"fs.cwd", l_cwd, CTZ_CAP_PURE, 0, 0},
    {"fs.readlink", l_readlink, CTZ_CAP_READ, 0, 0},
    {"fs.list", l_list, CTZ_CAP_READ, 1, 0},
    {"fs.glob", l_glob, CTZ_CAP_READ, 0, 0},
    {"fs.walk", ctz_system_l_walk, CTZ_CAP_READ, 1, 0},
    {"fs.mkdir", l_mkdir, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"fs.remove", l_remove, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"fs.copy", l_copy, CTZ_CAP_WRITE, 2, CTZ_REG_PLANS},
    {"fs.move", l_move, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"fs.symlink", l_symlink, CTZ_CAP_WRITE, 0, CTZ_REG_PLANS},
    {"fs.chmod", l_chmod, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

void ctz_system_fs_open(lua_State *L)
{
    ctz_system_walk_open(L);
    ctz_door(L, functions);
    ctz_system_temporary_open(L);
}
