// walk.c: a Lua value as a sequence of events, for the writers of JSON and YAML.
// SPDX-License-Identifier: MIT
#include "bindings/data/walk.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/data/value.h"
#include "host/alloc.h"

#define MESSAGE_BYTES   256
#define PATH_BYTES      240 // of a message; the outer part is cut
#define INSERTION_LIMIT 24  // keys that are sorted without qsort
#define FIRST_CAPACITY  16
#define STACK_RESERVE   8 // slots that writers may use

void ctz_walk_begin(struct ctz_walk *walk, lua_State *L, int idx, const char *format,
                    size_t max_depth)
{
    walk->L = L;
    walk->format = format;
    walk->max_depth = max_depth;
    walk->array_mark = ctz_value_class(L, CTZ_VALUE_ARRAY);
    walk->object_mark = ctz_value_class(L, CTZ_VALUE_OBJECT);
    walk->secret = ctz_value_class(L, CTZ_VALUE_SECRET);
    walk->root = idx;
    walk->depth = walk->key_count = 0;
    walk->key = NULL;
}

void ctz_walk_clear(struct ctz_walk *walk)
{
    ctz_free(walk->levels);
    ctz_free(walk->keys);
    memset(walk, 0, sizeof *walk);
}

bool ctz_walk_is_secret(const struct ctz_walk *walk)
{
    return walk->secret && ctz_value_class_of(walk->L, walk->value) == walk->secret;
}

// --- where -------------------------------------------------------------------------------------

static bool is_word(const struct ctz_walk_key *key)
{
    for (size_t i = 0; i < key->size; i++) {
        char c = key->text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!letter && (i == 0 || c < '0' || c > '9'))
            return false;
    }
    return key->size > 0;
}

static void add_key(struct ctz_buffer *path, const struct ctz_walk_key *key)
{
    int size = key->size < PATH_BYTES ? (int)key->size : PATH_BYTES;
    if (is_word(key))
        ctz_buffer_format(path, "%s%.*s", path->length ? "." : "", size, key->text);
    else
        ctz_buffer_format(path, "[\"%.*s\"]", size, key->text);
}

// The path to the item that was handed out last: "spec.args[3]".
static void add_path(const struct ctz_walk *walk, struct ctz_buffer *path)
{
    for (size_t i = 0; i < walk->depth; i++) {
        const struct ctz_walk_level *level = &walk->levels[i];
        if (level->next == 0) // it has just begun: the path ends at the table itself
            return;
        if (level->is_array)
            ctz_buffer_format(path, "[%zu]", level->next);
        else
            add_key(path, &walk->keys[level->first_key + level->next - 1]);
    }
}

int ctz_walk_error(const struct ctz_walk *walk, struct ctz_error *err, enum ctz_error_kind kind,
                   const char *format, ...)
{
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct ctz_buffer path;
    ctz_buffer_init(&path, SIZE_MAX);
    add_path(walk, &path);
    size_t cut = path.length > PATH_BYTES ? path.length - PATH_BYTES : 0;
    if (path.length)
        ctz_error_set(err, kind, "%s%s: %s", cut ? "..." : "", path.bytes + cut, message);
    else
        ctz_error_set(err, kind, "%s", message);
    ctz_buffer_clear(&path);
    return -1;
}

int ctz_walk_refuse(const struct ctz_walk *walk, struct ctz_error *err)
{
    lua_State *L = walk->L;
    if (lua_isnil(L, walk->value)) {
        ctz_walk_error(walk, err, CTZ_ERROR_USAGE, "nil cannot be written as %s", walk->format);
        ctz_error_hint(err, "json.null is written as null");
        return -1;
    }
    return ctz_walk_error(walk, err, CTZ_ERROR_USAGE, "a %s cannot be written as %s",
                          lua_typename(L, lua_type(L, walk->value)), walk->format);
}

static int out_of_memory(struct ctz_error *err)
{
    return ctz_error_set(err, CTZ_ERROR_SIZE, "not enough memory");
}

// --- keys --------------------------------------------------------------------------------------

static uint64_t head_of(const char *text, size_t size)
{
    uint64_t head = 0;
    for (size_t i = 0; i < 8; i++)
        head = head << 8 | (i < size ? (unsigned char)text[i] : 0);
    return head;
}

static int compare_keys(const void *left, const void *right)
{
    const struct ctz_walk_key *a = left, *b = right;
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
    return order ? order : (a->size > b->size) - (a->size < b->size);
}

static void sort_keys(struct ctz_walk_key *keys, size_t count)
{
    if (count > INSERTION_LIMIT) {
        qsort(keys, count, sizeof *keys, compare_keys);
        return;
    }
    for (size_t i = 1; i < count; i++) {
        struct ctz_walk_key key = keys[i];
        size_t j = i;
        for (; j > 0 && compare_keys(&key, &keys[j - 1]) < 0; j--)
            keys[j] = keys[j - 1];
        keys[j] = key;
    }
}

// An array of `size`-byte items with room for one more than `count`; NULL when memory ran out.
static void *grow(void *array, size_t count, size_t *capacity, size_t size)
{
    if (count < *capacity)
        return array;
    size_t wanted = *capacity ? *capacity * 2 : FIRST_CAPACITY;
    void *bigger = ctz_realloc(array, wanted * size);
    if (bigger)
        *capacity = wanted;
    return bigger;
}

// The key at -2 of the stack, whose value is at -1, stays there.
static int take_key(struct ctz_walk *walk, struct ctz_error *err)
{
    struct ctz_walk_key *keys =
        grow(walk->keys, walk->key_count, &walk->key_capacity, sizeof *walk->keys);
    if (!keys)
        return out_of_memory(err);
    walk->keys = keys;
    struct ctz_walk_key *key = &keys[walk->key_count++];
    key->text = lua_tolstring(walk->L, -2, &key->size);
    key->head = head_of(key->text, key->size);
    key->slot = lua_gettop(walk->L) - 1;
    return 0;
}

// --- tables ------------------------------------------------------------------------------------

// What one pass over a table's keys has found.
struct shape {
    size_t integers;
    lua_Integer highest;
    size_t strings;
};

static int refuse_key(const struct ctz_walk *walk, struct ctz_error *err)
{
    lua_State *L = walk->L;
    if (lua_type(L, -2) == LUA_TNUMBER)
        return ctz_walk_error(walk, err, CTZ_ERROR_USAGE,
                              "a table with the key %.14g is neither a list (1, 2, ... n) nor an "
                              "object (strings)",
                              lua_tonumber(L, -2));
    return ctz_walk_error(walk, err, CTZ_ERROR_USAGE, "a %s cannot be a key in %s",
                          lua_typename(L, lua_type(L, -2)), walk->format);
}

static int refuse_mixed(const struct ctz_walk *walk, struct ctz_error *err, const char *key)
{
    return ctz_walk_error(walk, err, CTZ_ERROR_USAGE,
                          "a table with list items and the key \"%.60s\" is neither a list nor an "
                          "object",
                          key);
}

// Looks at the pair on top of the stack; leaves the key on top for lua_next.
static int look_at_pair(struct ctz_walk *walk, struct shape *shape, struct ctz_error *err)
{
    lua_State *L = walk->L;
    if (lua_type(L, -2) == LUA_TSTRING) {
        if (shape->integers)
            return refuse_mixed(walk, err, lua_tostring(L, -2));
        shape->strings++;
        if (!lua_checkstack(L, 3 + STACK_RESERVE))
            return ctz_walk_error(walk, err, CTZ_ERROR_SIZE, "the object has too many keys");
        if (take_key(walk, err) < 0)
            return -1;
        lua_pushvalue(L, -2);
        return 0;
    }
    if (!lua_isinteger(L, -2) || lua_tointeger(L, -2) < 1)
        return refuse_key(walk, err);
    if (shape->strings)
        return refuse_mixed(walk, err, walk->keys[walk->key_count - 1].text);
    shape->integers++;
    if (lua_tointeger(L, -2) > shape->highest)
        shape->highest = lua_tointeger(L, -2);
    lua_pop(L, 1);
    return 0;
}

// level is not counted yet: it is, for the path of the message.
static int refuse_hole(struct ctz_walk *walk, struct ctz_walk_level *level, lua_Integer highest,
                       struct ctz_error *err)
{
    level->is_array = true;
    while (lua_rawgeti(walk->L, level->slot, (lua_Integer)++level->next) != LUA_TNIL)
        lua_pop(walk->L, 1);
    walk->depth++;
    ctz_walk_error(walk, err, CTZ_ERROR_USAGE,
                   "nothing is here but item [%lld] follows: a list has no holes",
                   (long long)highest);
    ctz_error_hint(err, "json.null stands for an item that is absent");
    return -1;
}

static int check_marks(struct ctz_walk *walk, struct ctz_walk_level *level,
                       const struct shape *shape, struct ctz_error *err)
{
    const void *mark = ctz_value_class_of(walk->L, level->slot);
    if (shape->strings && mark == walk->array_mark)
        return ctz_walk_error(walk, err, CTZ_ERROR_USAGE,
                              "the table is marked as a list but has the key \"%.60s\"",
                              walk->keys[walk->key_count - 1].text);
    if (shape->integers && mark == walk->object_mark)
        return ctz_walk_error(walk, err, CTZ_ERROR_USAGE,
                              "the table is marked as an object but has list items");
    if (shape->integers && (lua_Integer)shape->integers != shape->highest)
        return refuse_hole(walk, level, shape->highest, err);
    level->is_array = shape->integers > 0 || (!shape->strings && mark == walk->array_mark);
    return 0;
}

// Too deep. A table that contains itself always comes to this, and then what leads here repeats
// itself: the path is shown up to where the circle closes first.
static int refuse_depth(const struct ctz_walk *walk, const void *table, struct ctz_error *err)
{
    size_t period = 1;
    while (period <= walk->depth && walk->levels[walk->depth - period].table != table)
        period++;
    if (period > walk->depth)
        return ctz_walk_error(walk, err, CTZ_ERROR_SIZE, "nesting is deeper than %zu levels",
                              walk->max_depth);
    struct ctz_walk cut = *walk;
    cut.depth = period;
    while (cut.depth < walk->depth &&
           walk->levels[cut.depth].table != walk->levels[cut.depth - period].table)
        cut.depth++;
    return ctz_walk_error(&cut, err, CTZ_ERROR_USAGE, "the table contains itself");
}

static enum ctz_walk_event enter(struct ctz_walk *walk, int slot, struct ctz_error *err)
{
    lua_State *L = walk->L;
    const void *table = lua_topointer(L, slot);
    if (walk->depth >= walk->max_depth) {
        refuse_depth(walk, table, err);
        return CTZ_WALK_FAILED;
    }
    struct ctz_walk_level *levels =
        grow(walk->levels, walk->depth, &walk->level_capacity, sizeof *walk->levels);
    if (!levels || !lua_checkstack(L, 4 + STACK_RESERVE)) {
        out_of_memory(err);
        return CTZ_WALK_FAILED;
    }
    walk->levels = levels;
    struct ctz_walk_level *level = &levels[walk->depth]; // counts once it is known to be good
    struct shape shape = {0};
    *level = (struct ctz_walk_level){.table = table, .slot = slot, .top = lua_gettop(L)};
    level->first_key = walk->key_count;
    lua_pushnil(L);
    while (lua_next(L, slot))
        if (look_at_pair(walk, &shape, err) < 0)
            return CTZ_WALK_FAILED;
    if (check_marks(walk, level, &shape, err) < 0)
        return CTZ_WALK_FAILED;
    sort_keys(walk->keys + level->first_key, shape.strings);
    level->count = level->is_array ? shape.integers : shape.strings;
    walk->count = level->count;
    walk->depth++;
    return level->is_array ? CTZ_WALK_ARRAY : CTZ_WALK_OBJECT;
}

static enum ctz_walk_event leave(struct ctz_walk *walk)
{
    struct ctz_walk_level *level = &walk->levels[--walk->depth];
    lua_settop(walk->L, level->top);
    walk->key_count = level->first_key;
    walk->count = level->count;
    walk->is_array = level->is_array;
    return CTZ_WALK_END;
}

static enum ctz_walk_event visit(struct ctz_walk *walk, int idx, struct ctz_error *err)
{
    if (lua_type(walk->L, idx) == LUA_TTABLE)
        return enter(walk, idx, err);
    walk->value = idx;
    return CTZ_WALK_VALUE;
}

static enum ctz_walk_event visit_root(struct ctz_walk *walk, struct ctz_error *err)
{
    int root = walk->root;
    walk->root = 0;
    return root ? visit(walk, root, err) : CTZ_WALK_DONE;
}

enum ctz_walk_event ctz_walk_next(struct ctz_walk *walk, struct ctz_error *err)
{
    walk->key = NULL;
    if (walk->depth == 0)
        return visit_root(walk, err);
    struct ctz_walk_level *level = &walk->levels[walk->depth - 1];
    if (level->next == level->count)
        return leave(walk);
    walk->index = level->next++;
    if (level->is_array) {
        lua_settop(walk->L, level->top);
        lua_rawgeti(walk->L, level->slot, (lua_Integer)level->next);
        return visit(walk, lua_gettop(walk->L), err);
    }
    size_t key = level->first_key + walk->index;
    enum ctz_walk_event event = visit(walk, walk->keys[key].slot + 1, err);
    walk->key = &walk->keys[key]; // after the visit, which may have moved them
    return event;
}
