// layers.c: the door ctz.core.layers: layers of an image listed, squashed, read and rewritten on
// the pool. Which, and where to, is decided in lua/stdlib/ctz/image. SPDX-License-Identifier: MIT
#include <lauxlib.h>
#include <lua.h>
#include <string.h>

#include "bindings/image/extract.h"
#include "bindings/image/files.h"
#include "host/alloc.h"
#include "host/door.h"
#include "host/limits.h"
#include "host/luax.h"
#include "host/op.h"

#define LIST_CLASS   "ctz.layers.list"
#define SQUASH_CLASS "ctz.layers.squash"
#define MAX_LAYERS   10000

static int no_memory(lua_State *L)
{
    return luaL_error(L, "not enough memory");
}

// --- what objects and jobs share; references are counted on the loop's thread
// ---------------------

struct layer {
    unsigned references;
    char *path, *digest, *diff_id; // owned; digests may be NULL
    uint64_t size_bytes;
    struct ctz_file_list list;
    struct ctz_layer_facts facts;
    bool taken; // by a squash, or stripped: its marks are set
};

static void layer_release(struct layer *layer)
{
    if (!layer || --layer->references > 0)
        return;
    ctz_file_list_clear(&layer->list);
    ctz_free(layer->path);
    ctz_free(layer->digest);
    ctz_free(layer->diff_id);
    ctz_free(layer);
}

struct squash {
    unsigned references;
    struct layer **layers;       // owned, a reference each
    struct ctz_file_list *lists; // owned: the layers' while it is made
    size_t count;
    struct ctz_squash squash;
};

static void squash_release(struct squash *squash)
{
    if (!squash || --squash->references > 0)
        return;
    for (size_t i = 0; squash->layers && i < squash->count; i++)
        layer_release(squash->layers[i]);
    ctz_squash_clear(&squash->squash);
    ctz_free(squash->layers);
    ctz_free(squash->lists);
    ctz_free(squash);
}

// --- ops ---------------------------------------------------------------------------------------

struct limits {
    struct ctz_unpack_limits unpack;
    uint64_t entries;
};

static struct limits limits_of(const struct ctz_host *host)
{
    return (struct limits){.unpack = {ctz_limit(host, CTZ_LIMIT_EXPANSION_RATIO),
                                      ctz_limit(host, CTZ_LIMIT_ZSTD_WINDOW_BYTES)},
                           .entries = ctz_limit(host, CTZ_LIMIT_TAR_ENTRIES)};
}

static bool is_given_up(void *context)
{
    return ctz_op_given_up(context);
}

struct list_op {
    struct ctz_op op;
    struct layer *layer; // a reference
    struct limits limits;
};

static void list_work(struct ctz_op *base)
{
    const struct list_op *op = (const struct list_op *)base;
    struct layer *layer = op->layer;
    struct ctz_layer_source source = {.name = layer->digest ? NULL : layer->path,
                                      .digest = layer->digest,
                                      .diff_id = layer->diff_id,
                                      .size_bytes = layer->size_bytes,
                                      .max_entries = op->limits.entries,
                                      .limits = op->limits.unpack,
                                      .events = &ctz_file_list_events,
                                      .owner = &layer->list};
    struct ctz_layer_reader *reader = ctz_layer_reader_new(&source, &base->err);
    if (reader && ctz_layer_reader_file(reader, layer->path, is_given_up, base, &layer->facts,
                                        &base->err) == 0)
        ctz_file_list_finish(&layer->list, &base->err);
    ctz_layer_reader_free(reader);
}

static int list_push(lua_State *L, struct ctz_op *base)
{
    struct layer **slot = ctz_object_new(L, LIST_CLASS, sizeof *slot, 0);
    *slot = ((struct list_op *)base)->layer;
    (*slot)->references++;
    return 1;
}

static void list_clear(struct ctz_op *base)
{
    layer_release(((struct list_op *)base)->layer);
}

static const struct ctz_op_class list_class = {
    .name = "list a layer", .work = list_work, .push = list_push, .clear = list_clear};

struct squash_op {
    struct ctz_op op;
    struct squash *squash; // a reference
};

static void squash_work(struct ctz_op *base)
{
    struct squash *squash = ((struct squash_op *)base)->squash;
    ctz_squash_make(&squash->squash, squash->lists, squash->count, &base->err);
}

static int squash_push(lua_State *L, struct ctz_op *base)
{
    struct squash **slot = ctz_object_new(L, SQUASH_CLASS, sizeof *slot, 0);
    *slot = ((struct squash_op *)base)->squash;
    (*slot)->references++;
    return 1;
}

static void squash_clear(struct ctz_op *base)
{
    squash_release(((struct squash_op *)base)->squash);
}

static const struct ctz_op_class squash_class = {
    .name = "squash layers", .work = squash_work, .push = squash_push, .clear = squash_clear};

// What streams layers once more: rewrites, extracts, or reads one file.
struct rewrite_op {
    struct ctz_op op;
    struct squash *squash; // a reference to it, or to one layer; the other is NULL
    struct layer *layer;
    struct ctz_layer_place *places; // owned
    size_t count;
    char *target; // owned: the layout or the folder; NULL: nowhere
    struct ctz_rewrite_options options;
    struct ctz_layer_result result;
    struct ctz_extract_counts counts;
    struct ctz_buffer content;
    uint32_t order;
};

static struct ctz_rewrite_options *prepare(struct rewrite_op *op)
{
    struct ctz_rewrite_options *options = &op->options;
    options->layers = op->places;
    options->count = op->count;
    options->layout = options->folder = op->target;
    options->stop = is_given_up;
    options->context = op;
    return options;
}

static void rewrite_work(struct ctz_op *base)
{
    struct rewrite_op *op = (struct rewrite_op *)base;
    ctz_rewrite_layers(prepare(op), &op->result, &base->err);
}

static void extract_work(struct ctz_op *base)
{
    struct rewrite_op *op = (struct rewrite_op *)base;
    ctz_rewrite_extract(prepare(op), &op->counts, &base->err);
}

static void read_work(struct ctz_op *base)
{
    struct rewrite_op *op = (struct rewrite_op *)base;
    ctz_rewrite_read(prepare(op), op->order, &op->content, &base->err);
}

static void rewrite_clear(struct ctz_op *base)
{
    struct rewrite_op *op = (struct rewrite_op *)base;
    squash_release(op->squash);
    layer_release(op->layer);
    ctz_buffer_clear(&op->content);
    ctz_free(op->places);
    ctz_free(op->target);
}

// --- push --------------------------------------------------------------------------------------

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

static void set_path(lua_State *L, const char *name, const struct ctz_file *file)
{
    lua_pushliteral(L, "/");
    lua_pushlstring(L, file->path, file->path_bytes);
    lua_concat(L, 2);
    lua_setfield(L, -2, name);
}

static void set_xattrs(lua_State *L, const struct ctz_file *file)
{
    struct ctz_untar_xattr xattr;
    size_t at = 0;
    if (!file->xattrs)
        return;
    lua_newtable(L);
    while (ctz_untar_next_xattr(file->xattrs, file->xattrs_bytes, &at, &xattr)) {
        lua_pushlstring(L, xattr.value, xattr.value_bytes);
        lua_setfield(L, -2, xattr.name);
    }
    lua_setfield(L, -2, "xattrs");
}

static const char *type_name(char type)
{
    static const char *const names[] = {"file", "file", "link", "device", "device", "dir", "fifo"};
    return names[type - '0'];
}

static void push_file(lua_State *L, const struct ctz_file *file)
{
    const struct ctz_file *facts = file->type == '1' && file->data ? file->data : file;
    lua_createtable(L, 0, 10);
    set_path(L, "path", file);
    set_text(L, "type", type_name(facts->type));
    set_integer(L, "layer", file->layer + 1u);
    set_integer(L, "mode", facts->mode);
    set_integer(L, "uid", facts->uid);
    set_integer(L, "gid", facts->gid);
    set_integer(L, "mtime", (uint64_t)facts->mtime_s);
    if (facts->type == '0')
        set_integer(L, "size_bytes", facts->size_bytes);
    if (facts->type == '2')
        set_text(L, "link", facts->link);
    if (file->type == '1' && file->data)
        set_path(L, "hardlink", file->data);
    if (facts->type == '3' || facts->type == '4') {
        set_text(L, "device", facts->type == '3' ? "character" : "block");
        set_integer(L, "major", facts->major);
        set_integer(L, "minor", facts->minor);
    }
    set_xattrs(L, facts);
}

static int rewrite_push(lua_State *L, struct ctz_op *base)
{
    const struct ctz_layer_result *result = &((struct rewrite_op *)base)->result;
    lua_createtable(L, 0, 5);
    set_text(L, "digest", result->digest);
    set_text(L, "diff_id", result->diff_id);
    set_integer(L, "size_bytes", result->size_bytes);
    set_integer(L, "uncompressed_bytes", result->tar_bytes);
    return 1;
}

static int extract_push(lua_State *L, struct ctz_op *base)
{
    const struct ctz_extract_counts *counts = &((struct rewrite_op *)base)->counts;
    lua_createtable(L, 0, 3);
    set_integer(L, "files", counts->entries - counts->skipped);
    set_integer(L, "bytes", counts->bytes);
    return 1;
}

static int read_push(lua_State *L, struct ctz_op *base)
{
    const struct ctz_buffer *content = &((struct rewrite_op *)base)->content;
    lua_pushlstring(L, content->length ? content->bytes : "", content->length);
    return 1;
}

static const struct ctz_op_class rewrite_class = {
    .name = "rewrite layers", .work = rewrite_work, .push = rewrite_push, .clear = rewrite_clear};
static const struct ctz_op_class extract_class = {
    .name = "extract an image", .work = extract_work, .push = extract_push, .clear = rewrite_clear};
static const struct ctz_op_class read_class = {.name = "read a file of an image",
                                               .work = read_work,
                                               .push = read_push,
                                               .clear = rewrite_clear};

struct expand_op {
    struct ctz_op op;
    char *path, *to; // owned
    struct ctz_unpack_limits limits;
};

static void expand_work(struct ctz_op *base)
{
    const struct expand_op *op = (const struct expand_op *)base;
    ctz_expand_file(op->path, op->to, &op->limits, is_given_up, base, &base->err);
}

static void expand_clear(struct ctz_op *base)
{
    ctz_free(((struct expand_op *)base)->path);
    ctz_free(((struct expand_op *)base)->to);
}

static const struct ctz_op_class expand_class = {
    .name = "unpack a file", .work = expand_work, .clear = expand_clear};

// --- read --------------------------------------------------------------------------------------

static struct layer *check_list(lua_State *L, int idx)
{
    return *(struct layer **)ctz_object_check(L, idx, LIST_CLASS);
}

static struct squash *check_squash(lua_State *L, int idx)
{
    return *(struct squash **)ctz_object_check(L, idx, SQUASH_CLASS);
}

static struct ctz_file *check_file(lua_State *L, const struct squash *squash, int idx)
{
    lua_Integer at = ctz_check_integer(L, idx, "index", 1, (lua_Integer)squash->squash.count);
    return squash->squash.files[at - 1];
}

// NULL when the field is absent, or when memory ran out: then *failed.
static char *dup_field(lua_State *L, int idx, const char *name, bool *failed)
{
    size_t size;
    const char *text = ctz_opt_string(L, idx, name, &size, NULL);
    char *copy = text ? ctz_memdup(text, size) : NULL;
    *failed |= text && !copy;
    return copy;
}

// --- functions: all for lua/stdlib/ctz/image, none is public -----------------------------------

// list(path, {digest=, diff_id=, size_bytes=, layer=}) -> list: the entries of a stored layer, read
// once and compared with its digests. @async
static int l_list(lua_State *L)
{
    static const char *const names[] = {"digest", "diff_id", "size_bytes", "layer", NULL};
    const char *path = ctz_check_name(L, 1, "path");
    ctz_opts_check(L, 2, names);
    uint64_t size_bytes = (uint64_t)ctz_opt_integer(L, 2, "size_bytes", 0, INT64_MAX, 0);
    lua_Integer number = ctz_opt_integer(L, 2, "layer", 1, MAX_LAYERS, 1);
    ctz_opt_string(L, 2, "digest", NULL, NULL);
    ctz_opt_string(L, 2, "diff_id", NULL, NULL);
    bool failed = false;
    struct list_op *op = ctz_op_new(L, &list_class, sizeof *op);
    struct layer *layer = op->layer = ctz_calloc(1, sizeof *layer);
    op->limits = limits_of(ctz_host(L));
    if (layer) {
        layer->references = 1;
        layer->path = ctz_strdup(path);
        layer->digest = dup_field(L, 2, "digest", &failed);
        layer->diff_id = dup_field(L, 2, "diff_id", &failed);
        layer->size_bytes = size_bytes;
        layer->list.layer = (uint16_t)(number - 1);
    }
    if (!layer || !layer->path || failed) {
        ctz_op_discard(&op->op);
        return no_memory(L);
    }
    return ctz_await(L, op);
}

// list:facts() -> {digest=, diff_id=, size_bytes=, uncompressed_bytes=, entries=, format=}
static int l_list_facts(lua_State *L)
{
    const struct layer *layer = check_list(L, 1);
    lua_createtable(L, 0, 6);
    set_text(L, "digest", layer->facts.digest);
    set_text(L, "diff_id", layer->facts.diff_id);
    set_text(L, "format", layer->facts.format);
    set_integer(L, "size_bytes", layer->facts.size_bytes);
    set_integer(L, "uncompressed_bytes", layer->facts.tar_bytes);
    set_integer(L, "entries", layer->facts.entries);
    return 1;
}

static int take(lua_State *L, struct layer *layer)
{
    if (layer->taken)
        return ctz_usage(L, "a list is squashed or stripped once");
    layer->taken = true;
    return 0;
}

// list:strip(paths) -> count: marks what is at or below those clean paths (without a slash at
// either end) as gone; how many entries that are.
static int l_list_strip(lua_State *L)
{
    struct layer *layer = check_list(L, 1);
    ctz_check_table(L, 2, "paths");
    size_t count = (size_t)luaL_len(L, 2);
    const char **paths = lua_newuserdatauv(L, (count + 1) * sizeof *paths, 0);
    for (size_t i = 0; i < count; i++) {
        if (lua_rawgeti(L, 2, (lua_Integer)i + 1) != LUA_TSTRING)
            return ctz_usage(L, "a path is a string");
        paths[i] = lua_tostring(L, -1); // the table has it
        lua_pop(L, 1);
    }
    take(L, layer);
    lua_pushinteger(L, (lua_Integer)ctz_file_list_strip(&layer->list, paths, count));
    return 1;
}

static int l_list_gc(lua_State *L)
{
    struct layer **slot = ctz_object_check(L, 1, LIST_CLASS);
    layer_release(*slot);
    *slot = NULL;
    return 0;
}

static struct squash *new_squash(size_t count)
{
    struct squash *squash = ctz_calloc(1, sizeof *squash);
    if (!squash)
        return NULL;
    squash->references = 1;
    squash->layers = ctz_calloc(count + 1, sizeof(struct layer *));
    squash->lists = ctz_calloc(count + 1, sizeof *squash->lists);
    if (squash->layers && squash->lists)
        return squash;
    squash_release(squash);
    return NULL;
}

// squash(lists) -> squash: the tree that the layers make, the lowest first. @async
static int l_squash(lua_State *L)
{
    ctz_check_table(L, 1, "lists");
    size_t count = (size_t)luaL_len(L, 1);
    for (size_t i = 1; i <= count; i++) {
        lua_rawgeti(L, 1, (lua_Integer)i);
        struct layer *layer = check_list(L, -1);
        if (layer->list.layer != i - 1)
            return ctz_usage(L, "list %d is that of another layer", (int)i);
        take(L, layer);
        lua_pop(L, 1);
    }
    struct squash_op *op = ctz_op_new(L, &squash_class, sizeof *op);
    struct squash *squash = op->squash = new_squash(count);
    if (!squash) {
        ctz_op_discard(&op->op);
        return no_memory(L);
    }
    for (; squash->count < count; squash->count++) {
        lua_rawgeti(L, 1, (lua_Integer)squash->count + 1);
        struct layer *layer = *(struct layer **)lua_touserdata(L, -1);
        lua_pop(L, 1);
        layer->references++;
        squash->layers[squash->count] = layer;
        squash->lists[squash->count] = layer->list; // a view: the layer owns what it points to
    }
    return ctz_await(L, op);
}

// squash:count() -> how many files are seen
static int l_squash_count(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)check_squash(L, 1)->squash.count);
    return 1;
}

// squash:get(index) -> {path=, type=, layer=, mode=, uid=, gid=, mtime=, size_bytes=, link=, ...}
static int l_squash_get(lua_State *L)
{
    push_file(L, check_file(L, check_squash(L, 1), 2));
    return 1;
}

// squash:resolve(path) -> the entry as get gives it, with links followed inside of the tree.
static int l_squash_resolve(lua_State *L)
{
    struct ctz_error err = {0};
    const struct squash *squash = check_squash(L, 1);
    const char *path = ctz_check_name(L, 2, "path");
    const struct ctz_file *file = ctz_squash_resolve(&squash->squash, path, &err);
    if (!file)
        return ctz_raise(L, &err);
    push_file(L, file);
    return 1;
}

static struct rewrite_op *new_rewrite(lua_State *L, const struct ctz_op_class *class)
{
    struct rewrite_op *op = ctz_op_new(L, class, sizeof *op);
    struct limits limits = limits_of(ctz_host(L));
    op->options.limits = limits.unpack;
    op->options.max_entries = limits.entries;
    return op;
}

static int add_place(struct rewrite_op *op, const struct layer *layer, bool listed)
{
    if (!op->places)
        return -1;
    op->places[op->count++] = (struct ctz_layer_place){.path = layer->path,
                                                       .digest = layer->facts.digest,
                                                       .diff_id = layer->facts.diff_id,
                                                       .size_bytes = layer->facts.size_bytes,
                                                       .list = listed ? &layer->list : NULL};
    return 0;
}

static int await_rewrite(lua_State *L, struct rewrite_op *op, const char *target)
{
    op->target = target ? ctz_strdup(target) : NULL;
    if (op->places && (!target || op->target))
        return ctz_await(L, op);
    ctz_op_discard(&op->op);
    return no_memory(L);
}

static void use_squash(struct rewrite_op *op, struct squash *squash)
{
    op->squash = squash;
    squash->references++;
    op->places = ctz_calloc(squash->count + 1, sizeof *op->places);
    for (size_t i = 0; i < squash->count; i++)
        add_place(op, squash->layers[i], true);
}

static void use_layer(struct rewrite_op *op, struct layer *layer, bool listed)
{
    op->layer = layer;
    layer->references++;
    op->places = ctz_calloc(1, sizeof *op->places);
    add_place(op, layer, listed);
}

// read(squash, path) -> bytes of a file, with links followed. @async
static int l_read(lua_State *L)
{
    struct ctz_error err = {0};
    struct squash *squash = check_squash(L, 1);
    const char *path = ctz_check_name(L, 2, "path");
    const struct ctz_file *file = ctz_squash_resolve(&squash->squash, path, &err);
    if (!file)
        return ctz_raise(L, &err);
    const struct ctz_file *data = file->type == '1' ? file->data : file;
    if (data->type != '0') {
        ctz_error_set(&err, CTZ_ERROR_CONFLICT, "%s is no file, but a %s", path,
                      type_name(data->type));
        ctz_error_target(&err, path);
        return ctz_raise(L, &err);
    }
    struct rewrite_op *op = new_rewrite(L, &read_class);
    use_layer(op, squash->layers[data->layer], true);
    op->order = data->order;
    ctz_buffer_init(&op->content, (size_t)ctz_limit(ctz_host(L), CTZ_LIMIT_FILE_BYTES));
    return await_rewrite(L, op, NULL);
}

// extract(folder, squash, keep_owner) -> {files=, bytes=}. @async
static int l_extract(lua_State *L)
{
    const char *folder = ctz_check_name(L, 1, "folder");
    struct squash *squash = check_squash(L, 2);
    struct rewrite_op *op = new_rewrite(L, &extract_class);
    op->options.keep_owner = lua_toboolean(L, 3);
    use_squash(op, squash);
    return await_rewrite(L, op, folder);
}

static enum ctz_compression check_compression(lua_State *L, int idx)
{
    static const char *const kinds[] = {"gzip", "gzip-fast", "zstd", NULL};
    return (enum ctz_compression)luaL_checkoption(L, idx, NULL, kinds);
}

// repack(layout, list, compression) -> {digest=, diff_id=, size_bytes=, uncompressed_bytes=}: the
// layer without what was stripped; as it is when nothing was. @async
static int l_repack(lua_State *L)
{
    const char *layout = ctz_check_name(L, 1, "layout");
    struct layer *layer = check_list(L, 2);
    enum ctz_compression kind = check_compression(L, 3);
    struct rewrite_op *op = new_rewrite(L, &rewrite_class);
    op->options.compression = kind;
    use_layer(op, layer, layer->taken);
    return await_rewrite(L, op, ctz_host(L)->dry_run ? NULL : layout);
}

// flatten(layout, squash, compression) -> as repack: all layers as one. @async
static int l_flatten(lua_State *L)
{
    const char *layout = ctz_check_name(L, 1, "layout");
    struct squash *squash = check_squash(L, 2);
    enum ctz_compression kind = check_compression(L, 3);
    struct rewrite_op *op = new_rewrite(L, &rewrite_class);
    op->options.compression = kind;
    op->options.flatten = true;
    use_squash(op, squash);
    return await_rewrite(L, op, ctz_host(L)->dry_run ? NULL : layout);
}

// expand(path, to) -> true: unpacks a file into an empty one that is there. @async
static int l_expand(lua_State *L)
{
    const char *path = ctz_check_name(L, 1, "path"), *to = ctz_check_name(L, 2, "to");
    ctz_allow(L, CTZ_CAP_READ, path);
    struct expand_op *op = ctz_op_new(L, &expand_class, sizeof *op);
    op->limits = limits_of(ctz_host(L)).unpack;
    op->path = ctz_strdup(path);
    op->to = ctz_strdup(to);
    if (op->path && op->to)
        return ctz_await(L, op);
    ctz_op_discard(&op->op);
    return no_memory(L);
}

static int l_squash_gc(lua_State *L)
{
    struct squash **slot = ctz_object_check(L, 1, SQUASH_CLASS);
    squash_release(*slot);
    *slot = NULL;
    return 0;
}

// --- the door ----------------------------------------------------------------------------------

static const struct ctz_reg list_methods[] = {
    {"image.layers.facts", l_list_facts, CTZ_CAP_HELD, 0, 0},
    {"image.layers.strip", l_list_strip, CTZ_CAP_HELD, 0, 0},
    {"image.layers.__gc", l_list_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg squash_methods[] = {
    {"image.files.count", l_squash_count, CTZ_CAP_HELD, 0, 0},
    {"image.files.get", l_squash_get, CTZ_CAP_HELD, 0, 0},
    {"image.files.resolve", l_squash_resolve, CTZ_CAP_HELD, 0, 0},
    {"image.files.__gc", l_squash_gc, CTZ_CAP_HELD, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg functions[] = {
    {"image.files.list", l_list, CTZ_CAP_READ, 1, 0},
    {"image.files.squash", l_squash, CTZ_CAP_PURE, 0, 0},
    {"image.files.read", l_read, CTZ_CAP_HELD, 0, 0},
    {"image.files.expand", l_expand, CTZ_CAP_WRITE, 2, CTZ_REG_PLANS}, // a temporary file
    {"image.files.extract", l_extract, CTZ_CAP_WRITE, 1, CTZ_REG_LOCAL},
    {"image.mutate.repack", l_repack, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {"image.mutate.flatten", l_flatten, CTZ_CAP_WRITE, 1, CTZ_REG_PLANS},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_layers(lua_State *L);

int luaopen_ctz_core_layers(lua_State *L)
{
    ctz_class(L, LIST_CLASS, list_methods);
    ctz_class(L, SQUASH_CLASS, squash_methods);
    ctz_door(L, functions);
    return 1;
}
