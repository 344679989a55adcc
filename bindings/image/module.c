// module.c: the door of the image room. It moves bytes; what goes where is decided in
// lua/stdlib/ctz/image. Names begin with image.assemble: that is what its errors are about.
// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <limits.h>
#include <lua.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "bindings/image/image.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/limits.h"
#include "host/luax.h"
#include "host/op.h"
#include "host/timer.h"

#define PLAN_CLASS     "ctz.image.plan"
#define PROGRESS_CLASS "ctz.image.progress"
#define LOCK_CLASS     "ctz.image.lock"
#define CHUNK_BYTES    (64 * CTZ_KIB)

static int no_memory(lua_State *L)
{
    return luaL_error(L, "not enough memory");
}

// --- a plan: the entries of one layer, copied out of Lua ---------------------------------------

// Strings stand in chunks, so that they never move.
struct chunk {
    struct chunk *next;
    size_t used, size;
    char bytes[];
};

struct plan {
    struct ctz_layer_entry *entries; // owned; their strings are in the chunks
    size_t count, capacity;
    struct chunk *chunks; // owned
};

static char *plan_keep(struct plan *plan, const char *bytes, size_t size)
{
    struct chunk *chunk = plan->chunks;
    if (!chunk || chunk->size - chunk->used < size + 1) {
        size_t room = size + 1 > CHUNK_BYTES ? size + 1 : CHUNK_BYTES;
        chunk = ctz_malloc(sizeof *chunk + room);
        if (!chunk)
            return NULL;
        chunk->next = plan->chunks;
        chunk->used = 0;
        chunk->size = room;
        plan->chunks = chunk;
    }
    char *copy = chunk->bytes + chunk->used;
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    chunk->used += size + 1;
    return copy;
}

static struct ctz_layer_entry *plan_add(struct plan *plan)
{
    if (plan->count == plan->capacity) {
        size_t capacity = plan->capacity ? plan->capacity * 2 : 64;
        struct ctz_layer_entry *entries =
            ctz_realloc(plan->entries, capacity * sizeof *plan->entries);
        if (!entries)
            return NULL;
        plan->entries = entries;
        plan->capacity = capacity;
    }
    struct ctz_layer_entry *entry = &plan->entries[plan->count++];
    memset(entry, 0, sizeof *entry);
    return entry;
}

static void plan_clear(struct plan *plan)
{
    while (plan->chunks) {
        struct chunk *next = plan->chunks->next;
        ctz_free(plan->chunks);
        plan->chunks = next;
    }
    ctz_free(plan->entries);
    memset(plan, 0, sizeof *plan);
}

// --- progress: a counter that a job and Lua share ----------------------------------------------

struct progress {
    atomic_int references;
    atomic_ullong bytes;
    uint64_t since_ns;
};

static void progress_release(struct progress *progress)
{
    if (progress && atomic_fetch_sub(&progress->references, 1) == 1)
        ctz_free(progress);
}

// --- ops ---------------------------------------------------------------------------------------

struct layer_op {
    struct ctz_op op;
    struct plan plan;
    struct progress *progress; // a reference, or NULL
    char *layout;              // owned, or NULL
    enum ctz_compression compression;
    struct ctz_layer_result result;
};

static bool layer_stop(void *context)
{
    return ctz_op_given_up(context);
}

static void layer_read(void *context, size_t bytes)
{
    struct layer_op *layer = context;
    if (layer->progress)
        atomic_fetch_add_explicit(&layer->progress->bytes, bytes, memory_order_relaxed);
}

static void layer_work(struct ctz_op *op)
{
    struct layer_op *layer = (struct layer_op *)op;
    struct ctz_layer_options options = {
        .layout = layer->layout,
        .compression = layer->compression,
        .stop = layer_stop,
        .read = layer_read,
        .context = layer,
    };
    ctz_layer_write(layer->plan.entries, layer->plan.count, &options, &layer->result, &op->err);
}

static void set_integer(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void set_text(lua_State *L, const char *name, const char *text)
{
    lua_pushstring(L, text);
    lua_setfield(L, -2, name);
}

static int layer_push(lua_State *L, struct ctz_op *op)
{
    const struct ctz_layer_result *result = &((struct layer_op *)op)->result;
    lua_createtable(L, 0, 6);
    set_text(L, "digest", result->digest);
    set_text(L, "diff_id", result->diff_id);
    set_integer(L, "size_bytes", result->size_bytes);
    set_integer(L, "uncompressed_bytes", result->tar_bytes);
    set_integer(L, "entries", result->entries);
    return 1;
}

static void layer_clear(struct ctz_op *op)
{
    struct layer_op *layer = (struct layer_op *)op;
    plan_clear(&layer->plan);
    progress_release(layer->progress);
    ctz_free(layer->layout);
}

static const struct ctz_op_class layer_class = {
    .name = "write a layer", .work = layer_work, .push = layer_push, .clear = layer_clear};

struct tree_op {
    struct ctz_op op;
    char *root; // owned
    size_t max_count;
    struct ctz_tree tree;
};

static bool tree_stop(void *context)
{
    return ctz_op_given_up(context);
}

static void tree_work(struct ctz_op *op)
{
    struct tree_op *tree = (struct tree_op *)op;
    ctz_tree_list(&tree->tree, tree->root, tree->max_count, tree_stop, op, &op->err);
}

static void push_node(lua_State *L, const struct ctz_tree_node *node)
{
    static const char *const types[] = {"file", "dir", "link"};
    lua_createtable(L, 0, 6);
    set_text(L, "path", node->path);
    set_text(L, "type", node->type == CTZ_TREE_OTHER ? node->other : types[node->type]);
    if (node->type == CTZ_TREE_FILE)
        set_integer(L, "size_bytes", node->size_bytes);
    if (node->link)
        set_text(L, "link", node->link);
    if (node->executable) {
        lua_pushboolean(L, true);
        lua_setfield(L, -2, "executable");
    }
}

static int tree_push(lua_State *L, struct ctz_op *op)
{
    const struct ctz_tree *tree = &((struct tree_op *)op)->tree;
    lua_createtable(L, (int)tree->count, 1);
    for (size_t i = 0; i < tree->count; i++) {
        push_node(L, &tree->nodes[i]);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    set_text(L, "root", tree->root);
    return 1;
}

static void tree_clear(struct ctz_op *op)
{
    struct tree_op *tree = (struct tree_op *)op;
    ctz_tree_clear(&tree->tree);
    ctz_free(tree->root);
}

static const struct ctz_op_class tree_class = {
    .name = "list files", .work = tree_work, .push = tree_push, .clear = tree_clear};

// What writes one thing: a layout, a blob of text, a file.
struct write_op {
    struct ctz_op op;
    char *path, *text; // owned; path may be NULL
    size_t size;
    char digest[CTZ_DIGEST_BYTES];
};

static void write_clear(struct ctz_op *op)
{
    struct write_op *write = (struct write_op *)op;
    ctz_free(write->path);
    ctz_free(write->text);
}

static void prepare_work(struct ctz_op *op)
{
    ctz_layout_prepare(((struct write_op *)op)->path, &op->err);
}

static void replace_work(struct ctz_op *op)
{
    const struct write_op *write = (const struct write_op *)op;
    ctz_file_replace(write->path, write->text, write->size, &op->err);
}

static void blob_work(struct ctz_op *op)
{
    struct write_op *write = (struct write_op *)op;
    struct ctz_blob blob;
    if (ctz_blob_open(&blob, write->path, &op->err) == 0 &&
        ctz_blob_write(&blob, write->text, write->size, &op->err) == 0)
        ctz_blob_commit(&blob, write->digest, &op->err);
    ctz_blob_clear(&blob);
}

static int blob_push(lua_State *L, struct ctz_op *op)
{
    lua_pushstring(L, ((const struct write_op *)op)->digest);
    return 1;
}

static const struct ctz_op_class prepare_class = {
    .name = "make an OCI layout", .work = prepare_work, .clear = write_clear};
static const struct ctz_op_class replace_class = {
    .name = "write a file", .work = replace_work, .clear = write_clear};
static const struct ctz_op_class blob_class = {
    .name = "write a blob", .work = blob_work, .push = blob_push, .clear = write_clear};

// --- read --------------------------------------------------------------------------------------

// A string field of the table at idx, kept in the plan; NULL when it is absent.
static const char *read_text(lua_State *L, int idx, const char *name, struct plan *plan,
                             size_t *size)
{
    const char *text = ctz_opt_string(L, idx, name, size, NULL);
    if (!text)
        return NULL;
    const char *copy = plan_keep(plan, text, *size);
    if (!copy)
        no_memory(L);
    return copy;
}

static void read_content(lua_State *L, int idx, struct plan *plan, struct ctz_layer_entry *entry)
{
    size_t size = 0;
    entry->source = read_text(L, idx, "source", plan, &size);
    if (entry->source) {
        ctz_allow(L, CTZ_CAP_READ, entry->source);
        return;
    }
    entry->text = read_text(L, idx, "text", plan, &size);
    if (!entry->text)
        ctz_usage(L, "entry /%s has neither source nor text", entry->tar.path);
    entry->tar.size_bytes = size;
}

static void read_entry(lua_State *L, int idx, struct plan *plan, uint64_t mtime_s)
{
    static const char *const types[] = {"file", "dir", "link", NULL};
    static const enum ctz_tar_type tar_types[] = {CTZ_TAR_FILE, CTZ_TAR_DIR, CTZ_TAR_SYMLINK};
    struct ctz_layer_entry *entry = plan_add(plan);
    size_t size = 0;
    if (!entry)
        no_memory(L);
    entry->tar.path = read_text(L, idx, "path", plan, &size);
    if (!entry->tar.path || size == 0 || strlen(entry->tar.path) != size)
        ctz_usage(L, "an entry has no path");
    entry->tar.type = tar_types[ctz_opt_choice(L, idx, "type", types, 0)];
    entry->tar.mode = (uint32_t)ctz_opt_integer(L, idx, "mode", 0, 07777, 0644);
    entry->tar.uid = (uint32_t)ctz_opt_integer(L, idx, "uid", 0, UINT32_MAX - 1, 0);
    entry->tar.gid = (uint32_t)ctz_opt_integer(L, idx, "gid", 0, UINT32_MAX - 1, 0);
    entry->tar.mtime_s = mtime_s;
    if (entry->tar.type == CTZ_TAR_FILE)
        read_content(L, idx, plan, entry);
    else if (entry->tar.type == CTZ_TAR_SYMLINK)
        entry->tar.link = read_text(L, idx, "link", plan, &size);
}

static struct progress *read_progress(lua_State *L, int idx)
{
    if (ctz_opt_field(L, idx, "progress") == LUA_TNIL)
        return NULL;
    return *(struct progress **)ctz_object_check(L, -1, PROGRESS_CLASS);
}

// --- functions: all for lua/stdlib/ctz/image, none is public -----------------------------------

// tree(root) -> {root=, {path=, type=, size_bytes=, executable=, link=}...}, sorted by path. @async
static int l_tree(lua_State *L)
{
    const char *root = ctz_check_name(L, 1, "root");
    struct tree_op *tree = ctz_op_new(L, &tree_class, sizeof *tree);
    tree->root = ctz_strdup(root);
    tree->max_count = (size_t)ctz_limit(ctz_host(L), CTZ_LIMIT_TAR_ENTRIES);
    if (!tree->root) {
        ctz_op_discard(&tree->op);
        return no_memory(L);
    }
    return ctz_await(L, tree);
}

static int too_many(lua_State *L, lua_Integer count)
{
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_SIZE, "a layer of %lld entries", (long long)count);
    ctz_error_hint(&err, "raise the limit with --limit tar_entries=N, or make several layers");
    return ctz_raise(L, &err);
}

// layer(layout, entries, {compression=, mtime=, progress=}) -> {digest=, diff_id=, ...}. @async
// In a dry run the layer is made and goes nowhere.
static int l_layer(lua_State *L)
{
    static const char *const options[] = {"compression", "mtime", "progress", NULL};
    static const char *const kinds[] = {"gzip", "gzip-fast", "zstd", NULL};
    const char *layout = ctz_check_name(L, 1, "layout");
    ctz_check_table(L, 2, "entries");
    ctz_opts_check(L, 3, options);
    enum ctz_compression kind = (enum ctz_compression)ctz_opt_choice(L, 3, "compression", kinds, 0);
    uint64_t mtime_s = (uint64_t)ctz_opt_integer(L, 3, "mtime", 0, INT64_MAX, 0);
    struct progress *progress = read_progress(L, 3);
    struct plan *plan = ctz_object_new(L, PLAN_CLASS, sizeof *plan, 0);
    lua_Integer count = luaL_len(L, 2);
    if ((uint64_t)count > ctz_limit(ctz_host(L), CTZ_LIMIT_TAR_ENTRIES))
        return too_many(L, count);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, 2, i);
        ctz_check_table(L, -1, "entry");
        read_entry(L, lua_gettop(L), plan, mtime_s);
        lua_pop(L, 1);
    }
    struct layer_op *layer = ctz_op_new(L, &layer_class, sizeof *layer);
    layer->plan = *plan; // the op's from now on
    memset(plan, 0, sizeof *plan);
    layer->compression = kind;
    layer->progress = progress;
    if (progress)
        atomic_fetch_add(&progress->references, 1);
    if (!ctz_host(L)->dry_run && !(layer->layout = ctz_strdup(layout))) {
        ctz_op_discard(&layer->op);
        return no_memory(L);
    }
    return ctz_await(L, layer);
}

static int await_write(lua_State *L, const struct ctz_op_class *class, const char *path,
                       const char *text, size_t size)
{
    struct write_op *write = ctz_op_new(L, class, sizeof *write);
    write->path = path ? ctz_strdup(path) : NULL;
    write->text = ctz_memdup(text, size);
    write->size = size;
    if ((path && !write->path) || !write->text) {
        ctz_op_discard(&write->op);
        return no_memory(L);
    }
    return ctz_await(L, write);
}

// prepare(layout) -> true: makes the folder an OCI layout. @async
static int l_prepare(lua_State *L)
{
    const char *layout = ctz_check_name(L, 1, "layout");
    if (ctz_dry_run(L)) {
        lua_pushboolean(L, true);
        return 1;
    }
    return await_write(L, &prepare_class, layout, "", 0);
}

// blob(layout, text) -> digest: writes a config or a manifest. @async
static int l_blob(lua_State *L)
{
    size_t size;
    const char *layout = ctz_check_name(L, 1, "layout");
    const char *text = ctz_check_string(L, 2, "text", &size);
    return await_write(L, &blob_class, ctz_dry_run(L) ? NULL : layout, text, size);
}

// replace(path, text) -> true: the file is old or new, never between. @async
static int l_replace(lua_State *L)
{
    size_t size;
    const char *path = ctz_check_name(L, 1, "path");
    const char *text = ctz_check_string(L, 2, "text", &size);
    if (ctz_dry_run(L)) {
        ctz_plan(L, "write %s", path);
        lua_pushboolean(L, true);
        return 1;
    }
    return await_write(L, &replace_class, path, text, size);
}

static int raise_read(lua_State *L, int error_number, const char *path)
{
    struct ctz_error err = {0};
    ctz_error_system(&err, error_number, "read %s", path);
    ctz_error_target(&err, path);
    err.kind = CTZ_ERROR_IO;
    return ctz_raise(L, &err);
}

// current(path, most) -> text | nil: what stands in a file that is to be replaced, up to `most`
// bytes: who may replace it may see it.
static int l_current(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path");
    lua_Integer most = ctz_check_integer(L, 2, "most", 0, INT_MAX);
    struct stat facts;
    if (stat(path, &facts) != 0)
        return errno == ENOENT ? 0 : raise_read(L, errno, path);
    size_t size = (size_t)(facts.st_size < most ? facts.st_size : most);
    char *text = lua_newuserdatauv(L, size + 1, 0);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t got = fd < 0 ? -1 : read(fd, text, size);
    int error_number = errno;
    if (fd >= 0)
        close(fd);
    if (got < 0)
        return raise_read(L, error_number, path);
    lua_pushlstring(L, text, (size_t)got);
    return 1;
}

// lock(folder) -> lock | nil: nil while another task or process holds it. To be closed.
static int l_lock(lua_State *L)
{
    const char *folder = ctz_check_name(L, 1, "folder");
    int *fd = ctz_object_new(L, LOCK_CLASS, sizeof *fd, 0);
    *fd = -1;
    if (ctz_dry_run(L))
        return 1;
    *fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) == 0)
        return 1;
    int error_number = errno;
    if (*fd >= 0 && error_number == EWOULDBLOCK) {
        close(*fd);
        *fd = -1;
        lua_pushnil(L);
        return 1;
    }
    struct ctz_error err = {0};
    ctz_error_system(&err, error_number, "lock %s", folder);
    return ctz_raise(L, &err);
}

static int l_lock_close(lua_State *L)
{
    int *fd = ctz_object_check(L, 1, LOCK_CLASS);
    if (*fd >= 0)
        close(*fd); // and with it the lock
    *fd = -1;
    return 0;
}

// progress() -> object: :read() tells how many content bytes went into layers since it was made,
// and how many seconds passed.
static int l_progress(lua_State *L)
{
    struct progress **progress = ctz_object_new(L, PROGRESS_CLASS, sizeof(struct progress *), 0);
    *progress = ctz_calloc(1, sizeof **progress);
    if (!*progress)
        return no_memory(L);
    atomic_store(&(*progress)->references, 1);
    (*progress)->since_ns = ctz_now();
    return 1;
}

static int l_progress_read(lua_State *L)
{
    struct progress **progress = ctz_object_check(L, 1, PROGRESS_CLASS);
    lua_pushinteger(L, (lua_Integer)atomic_load(&(*progress)->bytes));
    lua_pushnumber(L, (lua_Number)(ctz_now() - (*progress)->since_ns) / 1e9);
    return 2;
}

static int l_progress_gc(lua_State *L)
{
    struct progress **progress = ctz_object_check(L, 1, PROGRESS_CLASS);
    progress_release(*progress);
    *progress = NULL;
    return 0;
}

static int l_plan_gc(lua_State *L)
{
    plan_clear(ctz_object_check(L, 1, PLAN_CLASS));
    return 0;
}

// machine() -> "x86_64": as uname says.
static int l_machine(lua_State *L)
{
    struct utsname names;
    uname(&names);
    lua_pushstring(L, names.machine);
    return 1;
}

// --- the door ----------------------------------------------------------------------------------

static const struct ctz_reg plan_methods[] = {
    {"image.plan.__gc", l_plan_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg progress_methods[] = {
    {"image.progress.read", l_progress_read, CTZ_CAP_PURE, 0, 0},
    {"image.progress.__gc", l_progress_gc, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg lock_methods[] = {
    {"image.lock.__close", l_lock_close, CTZ_CAP_HELD, 0, 0},
    {"image.lock.__gc", l_lock_close, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"image.assemble.tree", l_tree, CTZ_CAP_READ, 1, 0},
    {"image.assemble.layer", l_layer, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"image.assemble.prepare", l_prepare, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"image.assemble.blob", l_blob, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"image.assemble.replace", l_replace, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"image.assemble.current", l_current, CTZ_CAP_WRITE, 1, CTZ_REG_READS},
    {"image.assemble.lock", l_lock, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"image.assemble.progress", l_progress, CTZ_CAP_PURE, 0, 0},
    {"image.assemble.machine", l_machine, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_image(lua_State *L);

int luaopen_ctz_core_image(lua_State *L)
{
    ctz_class(L, PLAN_CLASS, plan_methods);
    ctz_class(L, PROGRESS_CLASS, progress_methods);
    ctz_class(L, LOCK_CLASS, lock_methods);
    ctz_door(L, functions);
    return 1;
}
