// yaml_read.c: YAML text becomes Lua values: libyaml's events, own anchors, merges and limits.
// SPDX-License-Identifier: MIT
//
// Mappings become tables with string keys and sequences marked lists, as in JSON. An alias gives a
// copy, so that changing one place changes no other; how much aliases may add is bounded as in
// go-yaml. Depth is counted at the events: libyaml 0.2.5 needs quadratic time for deep texts.
#include <lauxlib.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <yaml.h>

#include "bindings/data/base64.h"
#include "bindings/data/number.h"
#include "bindings/data/value.h"
#include "bindings/data/yaml.h"
#include "host/alloc.h"
#include "host/luax.h"

#define PARSER_CLASS  "ctz.data.yaml"
#define STACK_RESERVE 24 // slots that one event may use beyond its levels
#define FIRST_LEVELS  32

// go-yaml's bounds on what aliases add (decode.go, allowedAliasRatio): small documents may consist
// of aliases nearly alone, large ones to a tenth.
#define ALIASED_FREE     100
#define NODES_FREE       1000
#define RATIO_LOW_NODES  400000
#define RATIO_HIGH_NODES 4000000

// One open sequence or mapping. Stack: anchor name or nil, table, then the key that waits for its
// value.
struct level {
    int slot; // of the table
    bool is_array;
    bool has_key;  // of a mapping: the next node is a value
    bool is_merge; // that key is <<
    lua_Integer count;
    yaml_mark_t key_mark;
    size_t nodes_before;
    size_t height; // of the highest value inside
};

struct reader {
    lua_State *L;
    const struct ctz_text *text;
    const struct ctz_yaml_reading *reading;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_parser, has_event;
    struct level *levels; // owned
    size_t depth, capacity;
    size_t nodes, aliased, aliases; // of the document; nodes and aliased with what aliases add
    int anchors, array_mark;        // stack slots
};

// --- the parser: freed whatever happens --------------------------------------------------------

static void clear(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    if (r->has_parser)
        yaml_parser_delete(&r->parser);
    r->has_event = r->has_parser = false;
    ctz_free(r->levels);
    r->levels = NULL;
}

static int l_reader_gc(lua_State *L)
{
    clear(lua_touserdata(L, 1));
    return 0;
}

void ctz_yaml_read_init(lua_State *L)
{
    if (luaL_newmetatable(L, PARSER_CLASS)) {
        lua_pushcfunction(L, l_reader_gc);
        lua_setfield(L, -2, "__gc");
    }
    lua_pop(L, 1);
}

// --- failure -----------------------------------------------------------------------------------

static _Noreturn void raise_clear(struct reader *r, struct ctz_error *err)
{
    clear(r);
    ctz_raise(r->L, err);
    __builtin_unreachable();
}

// The byte where libyaml's mark points: it counts characters, without a byte order mark.
static const char *place_of(const struct reader *r, const yaml_mark_t *mark)
{
    const char *at = r->text->bytes, *end = at + r->text->size;
    if (r->text->size >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        at += 3;
    for (size_t i = 0; i < mark->index && at < end; i++) {
        size_t size = ctz_text_sequence(at, end);
        at += size ? size : 1;
    }
    return at;
}

static _Noreturn void fail(struct reader *r, const yaml_mark_t *mark, enum ctz_error_kind kind,
                           const char *format, ...) CTZ_PRINTF(4, 5);

static _Noreturn void fail(struct reader *r, const yaml_mark_t *mark, enum ctz_error_kind kind,
                           const char *format, ...)
{
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    struct ctz_error err = {0};
    ctz_text_error(r->text, place_of(r, mark), &err, kind, "%s", message);
    raise_clear(r, &err);
}

static _Noreturn void fail_depth(struct reader *r)
{
    struct ctz_error err = {0};
    ctz_text_error(r->text, place_of(r, &r->event.start_mark), &err, CTZ_ERROR_SIZE,
                   "nesting is deeper than %zu levels", r->reading->max_depth);
    ctz_error_hint(&err, "--limit yaml_depth=NUMBER raises the limit");
    raise_clear(r, &err);
}

static _Noreturn void fail_memory(struct reader *r)
{
    struct ctz_error err = {0};
    ctz_error_set(&err, CTZ_ERROR_SIZE, "not enough memory for the YAML text");
    raise_clear(r, &err);
}

// What libyaml said.
static _Noreturn void fail_parser(struct reader *r)
{
    const yaml_parser_t *p = &r->parser;
    if (p->error == YAML_MEMORY_ERROR)
        fail_memory(r);
    if (p->error == YAML_READER_ERROR) {
        struct ctz_error err = {0};
        size_t offset = p->problem_offset < r->text->size ? p->problem_offset : r->text->size;
        ctz_text_error(r->text, r->text->bytes + offset, &err, CTZ_ERROR_PROTOCOL, "%s at byte %zu",
                       p->problem, offset + 1);
        raise_clear(r, &err);
    }
    if (!p->context)
        fail(r, &p->problem_mark, CTZ_ERROR_PROTOCOL, "%s", p->problem);
    char place[CTZ_PLACE_BYTES];
    ctz_text_place(r->text, place_of(r, &p->context_mark), place);
    fail(r, &p->problem_mark, CTZ_ERROR_PROTOCOL, "%s %s (which begins at %s)", p->problem,
         p->context, place);
}

static yaml_event_type_t next_event(struct reader *r)
{
    if (r->has_event)
        yaml_event_delete(&r->event);
    r->has_event = false;
    if (!yaml_parser_parse(&r->parser, &r->event))
        fail_parser(r);
    r->has_event = true;
    return r->event.type;
}

// --- scalars -----------------------------------------------------------------------------------

// "int" for "tag:yaml.org,2002:int", the tag itself for others, NULL without one.
static const char *short_tag(const char *tag)
{
    size_t prefix = sizeof CTZ_YAML_TAG - 1;
    return tag && strncmp(tag, CTZ_YAML_TAG, prefix) == 0 ? tag + prefix : tag;
}

static bool is_own_tag(const char *tag)
{
    return strncmp(tag, CTZ_YAML_TAG, sizeof CTZ_YAML_TAG - 1) == 0;
}

static _Noreturn void fail_tag(struct reader *r, const char *tag)
{
    bool own = is_own_tag(tag);
    fail(r, &r->event.start_mark, CTZ_ERROR_UNSUPPORTED, "the tag %s%.60s has no meaning here",
         own ? "!!" : "", short_tag(tag));
}

static void push_binary(struct reader *r, const char *text, size_t size)
{
    luaL_Buffer buffer;
    char *out = luaL_buffinitsize(r->L, &buffer, CTZ_BASE64_DECODED(size));
    size_t out_size;
    if (ctz_base64_decode(text, size, 0, out, &out_size))
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL, "the !!binary is not base64");
    luaL_pushresultsize(&buffer, out_size);
}

// The meaning of the scalar of the current event.
static struct ctz_yaml_scalar resolve(struct reader *r, const char *tag, const char *text,
                                      size_t size)
{
    enum ctz_yaml_schema schema = r->reading->schema;
    struct ctz_yaml_scalar scalar = {.type = CTZ_YAML_STRING};
    if (tag && strcmp(tag, "!") == 0) // "not a plain scalar"
        return scalar;
    if (!tag)
        return r->event.data.scalar.plain_implicit ? ctz_yaml_resolve(schema, text, size) : scalar;
    const char *name = is_own_tag(tag) ? short_tag(tag) : "";
    if (!ctz_yaml_resolve_tag(schema, name, text, size, &scalar))
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL, "\"%.60s\" is not a !!%s", text, name);
    if (schema == CTZ_YAML_CORE && scalar.type == CTZ_YAML_STRING && strcmp(name, "str") != 0)
        fail_tag(r, tag);
    return scalar;
}

static _Noreturn void fail_big(struct reader *r, const char *text)
{
    fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL,
         "%.40s does not fit into %s (put it in quotes, or decode with big=\"float\")", text,
         strpbrk(text, ".eE") && text[1] != 'x' ? "a float" : "64 bits");
}

// JSON, which is what kubectl makes of it, has one kind of number and neither NaN nor infinity.
static void push_k8s_float(struct reader *r, double value)
{
    if (!isfinite(value))
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL, "%s is not a number in JSON",
             isnan(value) ? "NaN" : "infinity");
    if (value == trunc(value) && fabs(value) < 0x1p63 && !(value == 0 && signbit(value)))
        lua_pushinteger(r->L, (lua_Integer)value);
    else
        lua_pushnumber(r->L, value);
}

static void push_scalar(struct reader *r)
{
    lua_State *L = r->L;
    const char *tag = (const char *)r->event.data.scalar.tag;
    const char *text = (const char *)r->event.data.scalar.value;
    size_t size = r->event.data.scalar.length;
    if (tag && strcmp(tag, CTZ_YAML_TAG "binary") == 0) {
        push_binary(r, text, size);
        return;
    }
    struct ctz_yaml_scalar scalar = resolve(r, tag, text, size);
    switch (scalar.type) {
    case CTZ_YAML_STRING:
        lua_pushlstring(L, text, size);
        break;
    case CTZ_YAML_NULL:
        ctz_value_push_null(L);
        break;
    case CTZ_YAML_BOOL:
        lua_pushboolean(L, scalar.boolean);
        break;
    case CTZ_YAML_INTEGER:
        lua_pushinteger(L, scalar.integer);
        break;
    case CTZ_YAML_TOO_BIG:
        if (!r->reading->big_as_float)
            fail_big(r, text);
        lua_pushnumber(L, scalar.number);
        break;
    case CTZ_YAML_FLOAT:
        if (r->reading->schema == CTZ_YAML_K8S)
            push_k8s_float(r, scalar.number);
        else
            lua_pushnumber(L, scalar.number);
        break;
    }
}

// Keys are strings. CORE: as they are written. K8S: what their value is in JSON.
static void push_key(struct reader *r)
{
    lua_State *L = r->L;
    char number[CTZ_NUMBER_BYTES];
    const char *tag = (const char *)r->event.data.scalar.tag;
    const char *text = (const char *)r->event.data.scalar.value;
    size_t size = r->event.data.scalar.length;
    if (tag && strcmp(tag, CTZ_YAML_TAG "binary") == 0) {
        push_binary(r, text, size);
        return;
    }
    struct ctz_yaml_scalar scalar = resolve(r, tag, text, size);
    if (r->reading->schema == CTZ_YAML_CORE)
        scalar.type = CTZ_YAML_STRING;
    switch (scalar.type) {
    case CTZ_YAML_STRING:
        lua_pushlstring(L, text, size);
        break;
    case CTZ_YAML_BOOL:
        lua_pushstring(L, scalar.boolean ? "true" : "false");
        break;
    case CTZ_YAML_INTEGER:
        lua_pushlstring(L, number, ctz_number_write_integer(scalar.integer, number));
        break;
    case CTZ_YAML_FLOAT:
        if (isfinite((float)scalar.number))
            lua_pushlstring(L, number, ctz_number_write_go32(scalar.number, number));
        else
            lua_pushstring(L, isnan(scalar.number) ? ".nan" : scalar.number > 0 ? ".inf" : "-.inf");
        break;
    case CTZ_YAML_NULL:
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL, "null cannot be a key");
    case CTZ_YAML_TOO_BIG:
        fail_big(r, text);
    }
}

// --- nodes -------------------------------------------------------------------------------------

static struct level *innermost(struct reader *r)
{
    return r->depth ? &r->levels[r->depth - 1] : NULL;
}

static _Noreturn void fail_duplicate(struct reader *r, const yaml_mark_t *mark, int key)
{
    fail(r, mark, CTZ_ERROR_PROTOCOL, "the key \"%.100s\" stands twice in one mapping",
         lua_tostring(r->L, key));
}

// table[key] = value, both on top of the stack, which are popped.
static void set_pair(struct reader *r, int table, const yaml_mark_t *mark)
{
    lua_State *L = r->L;
    if (r->reading->strict || r->reading->schema == CTZ_YAML_CORE) {
        lua_pushvalue(L, -2);
        if (lua_rawget(L, table) != LUA_TNIL)
            fail_duplicate(r, mark, -3);
        lua_pop(L, 1);
    }
    lua_rawset(L, table);
}

// Copies the pairs of the mapping on top of the stack into table; go-yaml v2 lets them replace what
// stands there already.
static void merge_one(struct reader *r, int table, const yaml_mark_t *mark)
{
    lua_State *L = r->L;
    int source = lua_gettop(L);
    if (lua_type(L, source) != LUA_TTABLE || ctz_value_class_of(L, source))
        fail(r, mark, CTZ_ERROR_PROTOCOL, "<< takes a mapping or a sequence of mappings");
    for (lua_pushnil(L); lua_next(L, source);) {
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        set_pair(r, table, mark);
    }
}

// The value of << on top of the stack: a mapping, or a sequence of which the first one wins.
static void merge(struct reader *r, struct level *level, bool from_alias)
{
    lua_State *L = r->L;
    int value = lua_gettop(L);
    bool is_list = lua_type(L, value) == LUA_TTABLE && ctz_value_class_of(L, value);
    if (!is_list || from_alias) {
        merge_one(r, level->slot, &level->key_mark);
        return;
    }
    for (lua_Integer i = (lua_Integer)lua_rawlen(L, value); i > 0; i--) {
        lua_rawgeti(L, value, i);
        merge_one(r, level->slot, &level->key_mark);
        lua_pop(L, 1);
    }
}

// The value on top of the stack is complete: it goes where it belongs. height: 0 for a scalar.
static void add_value(struct reader *r, size_t height, bool from_alias)
{
    lua_State *L = r->L;
    struct level *level = innermost(r);
    if (!level)
        return; // the document itself stays on the stack
    if (height > level->height)
        level->height = height;
    if (level->is_array) {
        lua_rawseti(L, level->slot, ++level->count);
        return;
    }
    level->has_key = false;
    if (!level->is_merge) {
        set_pair(r, level->slot, &level->key_mark);
        return;
    }
    merge(r, level, from_alias);
    lua_settop(L, level->slot);
}

// anchors[name] = {value, nodes, height}; value is on top of the stack and stays.
static void set_anchor(struct reader *r, const char *name, size_t nodes, size_t height)
{
    lua_State *L = r->L;
    lua_createtable(L, 3, 0);
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, (lua_Integer)nodes);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, (lua_Integer)height);
    lua_rawseti(L, -2, 3);
    lua_setfield(L, r->anchors, name);
}

static bool wants_key(const struct level *level)
{
    return level && !level->is_array && !level->has_key;
}

static bool is_merge_key(const struct reader *r)
{
    const char *tag = (const char *)r->event.data.scalar.tag;
    return r->reading->schema == CTZ_YAML_K8S &&
           strcmp((const char *)r->event.data.scalar.value, "<<") == 0 &&
           (r->event.data.scalar.plain_implicit || (tag && strcmp(tag, CTZ_YAML_TAG "merge") == 0));
}

static void take_scalar(struct reader *r)
{
    struct level *level = innermost(r);
    const char *anchor = (const char *)r->event.data.scalar.anchor;
    bool is_key = wants_key(level);
    r->nodes++;
    if (is_key) {
        level->has_key = true;
        level->key_mark = r->event.start_mark;
        level->is_merge = is_merge_key(r);
        push_key(r);
    }
    if (anchor || !is_key)
        push_scalar(r);
    if (anchor)
        set_anchor(r, anchor, 1, 0);
    if (anchor && is_key)
        lua_pop(r->L, 1);
    if (!is_key)
        add_value(r, 0, false);
}

// --- aliases -----------------------------------------------------------------------------------

static double allowed_ratio(size_t nodes)
{
    if (nodes <= RATIO_LOW_NODES)
        return 0.99;
    if (nodes >= RATIO_HIGH_NODES)
        return 0.10;
    return 0.99 - 0.89 * ((double)(nodes - RATIO_LOW_NODES) / (RATIO_HIGH_NODES - RATIO_LOW_NODES));
}

// Before anything is copied.
static void count_alias(struct reader *r, size_t nodes, size_t height)
{
    const yaml_mark_t *mark = &r->event.start_mark;
    if (++r->aliases > r->reading->max_aliases)
        fail(r, mark, CTZ_ERROR_SIZE, "the text has more than %zu aliases",
             r->reading->max_aliases);
    if (r->depth + height > r->reading->max_depth)
        fail_depth(r);
    r->nodes += nodes;
    r->aliased += nodes;
    if (r->aliased > ALIASED_FREE && r->nodes > NODES_FREE &&
        (double)r->aliased / (double)r->nodes > allowed_ratio(r->nodes))
        fail(r, mark, CTZ_ERROR_SIZE,
             "aliases make up nearly all of the document (an alias bomb?)");
}

// Replaces the value on top of the stack by a copy of it, all tables inside included.
static void copy_value(lua_State *L)
{
    if (lua_type(L, -1) != LUA_TTABLE)
        return;
    int bottom = lua_gettop(L);
    lua_newtable(L);
    lua_pushnil(L);
    while (lua_gettop(L) > bottom) { // ..., source, copy, key
        if (!lua_next(L, -3)) {
            if (lua_getmetatable(L, -2))
                lua_setmetatable(L, -2);
            lua_remove(L, -2); // the source; the copy is what the level outside waits for
            if (lua_gettop(L) > bottom) {
                lua_pushvalue(L, -2);
                lua_insert(L, -2);
                lua_rawset(L, -4);
            }
            continue;
        }
        if (lua_type(L, -1) == LUA_TTABLE) {
            luaL_checkstack(L, STACK_RESERVE, "YAML alias");
            lua_newtable(L);
            lua_pushnil(L);
        } else {
            lua_pushvalue(L, -2);
            lua_insert(L, -2);
            lua_rawset(L, -4);
        }
    }
}

// The anchored value on top of the stack becomes the key.
static void take_alias_key(struct reader *r, struct level *level)
{
    if (lua_type(r->L, -1) != LUA_TSTRING)
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL,
             "a key that is an alias must stand for a string");
    level->has_key = true;
    level->is_merge = false;
    level->key_mark = r->event.start_mark;
}

static void take_alias(struct reader *r)
{
    lua_State *L = r->L;
    const char *name = (const char *)r->event.data.alias.anchor;
    struct level *level = innermost(r);
    int type = lua_getfield(L, r->anchors, name);
    int record = lua_gettop(L);
    if (type == LUA_TBOOLEAN)
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL, "the anchor \"%.60s\" contains itself",
             name);
    if (type == LUA_TNIL)
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL, "no anchor \"%.60s\" stands before this",
             name);
    lua_rawgeti(L, record, 1);
    lua_rawgeti(L, record, 2);
    lua_rawgeti(L, record, 3);
    size_t nodes = (size_t)lua_tointeger(L, -2), height = (size_t)lua_tointeger(L, -1);
    lua_pop(L, 2);
    lua_replace(L, record);
    count_alias(r, nodes, height);
    if (wants_key(level)) {
        take_alias_key(r, level);
        return;
    }
    copy_value(L);
    add_value(r, height, true);
}

// --- collections -------------------------------------------------------------------------------

static struct level *push_level(struct reader *r)
{
    if (r->depth == r->reading->max_depth)
        fail_depth(r);
    if (r->depth == r->capacity) {
        size_t capacity = r->capacity ? r->capacity * 2 : FIRST_LEVELS;
        struct level *levels = ctz_realloc(r->levels, capacity * sizeof *levels);
        if (!levels)
            fail_memory(r);
        r->levels = levels;
        r->capacity = capacity;
    }
    luaL_checkstack(r->L, STACK_RESERVE, "YAML");
    return &r->levels[r->depth++];
}

static void check_collection_tag(struct reader *r, const char *tag, bool is_array)
{
    if (!tag || strcmp(tag, "!") == 0 ||
        r->reading->schema == CTZ_YAML_K8S) // where go-yaml does not look at it
        return;
    if (strcmp(tag, is_array ? CTZ_YAML_TAG "seq" : CTZ_YAML_TAG "map") != 0)
        fail_tag(r, tag);
}

static void open_collection(struct reader *r, const char *anchor, const char *tag, bool is_array)
{
    lua_State *L = r->L;
    if (wants_key(innermost(r)))
        fail(r, &r->event.start_mark, CTZ_ERROR_PROTOCOL, "a key must be a scalar");
    check_collection_tag(r, tag, is_array);
    struct level *level = push_level(r);
    size_t nodes_before = r->nodes++;
    if (anchor) {
        lua_pushboolean(L, false); // until it is complete
        lua_setfield(L, r->anchors, anchor);
    }
    lua_pushstring(L, anchor); // or nil
    lua_newtable(L);
    if (is_array) {
        lua_pushvalue(L, r->array_mark);
        lua_setmetatable(L, -2);
    }
    *level =
        (struct level){.slot = lua_gettop(L), .is_array = is_array, .nodes_before = nodes_before};
}

static void close_collection(struct reader *r)
{
    lua_State *L = r->L;
    struct level level = r->levels[--r->depth];
    const char *anchor = lua_tostring(L, -2);
    if (anchor)
        set_anchor(r, anchor, r->nodes - level.nodes_before, level.height + 1);
    lua_remove(L, -2);
    add_value(r, level.height + 1, false);
}

// --- documents ---------------------------------------------------------------------------------

// Takes one node's events, and all that are inside of it.
static void take_node(struct reader *r)
{
    do {
        switch (next_event(r)) {
        case YAML_SCALAR_EVENT:
            take_scalar(r);
            break;
        case YAML_ALIAS_EVENT:
            take_alias(r);
            break;
        case YAML_SEQUENCE_START_EVENT:
            open_collection(r, (const char *)r->event.data.sequence_start.anchor,
                            (const char *)r->event.data.sequence_start.tag, true);
            break;
        case YAML_MAPPING_START_EVENT:
            open_collection(r, (const char *)r->event.data.mapping_start.anchor,
                            (const char *)r->event.data.mapping_start.tag, false);
            break;
        default:
            close_collection(r);
        }
    } while (r->depth > 0);
}

// Pushes the next document's value; false at the end of the text.
static bool push_document(struct reader *r)
{
    if (next_event(r) == YAML_STREAM_END_EVENT)
        return false;
    r->nodes = r->aliased = r->aliases = 0;
    lua_newtable(r->L);
    lua_replace(r->L, r->anchors);
    take_node(r);
    next_event(r); // the document's end
    return true;
}

static void push_only_document(struct reader *r)
{
    if (!push_document(r))
        ctz_value_push_null(r->L);
    else if (next_event(r) != YAML_STREAM_END_EVENT) {
        struct ctz_error err = {0};
        ctz_text_error(r->text, place_of(r, &r->event.start_mark), &err, CTZ_ERROR_PROTOCOL,
                       "a second document begins here");
        ctz_error_hint(&err, "yaml.decode_all returns a list of all documents");
        raise_clear(r, &err);
    }
}

// kubectl passes over documents that hold nothing.
static void push_all_documents(struct reader *r)
{
    lua_State *L = r->L;
    lua_newtable(L);
    lua_pushvalue(L, r->array_mark);
    lua_setmetatable(L, -2);
    int list = lua_gettop(L);
    for (lua_Integer count = 0; push_document(r);)
        if (r->reading->schema == CTZ_YAML_K8S && ctz_value_is_null(L, -1))
            lua_pop(L, 1);
        else
            lua_rawseti(L, list, ++count);
}

void ctz_yaml_read(lua_State *L, const struct ctz_text *text,
                   const struct ctz_yaml_reading *reading)
{
    luaL_checkstack(L, STACK_RESERVE, "YAML");
    struct reader *r = ctz_object_new(L, PARSER_CLASS, sizeof *r, 0);
    r->L = L;
    r->text = text;
    r->reading = reading;
    lua_newtable(L);
    r->anchors = lua_gettop(L);
    luaL_getmetatable(L, CTZ_VALUE_ARRAY);
    r->array_mark = lua_gettop(L);
    if (!yaml_parser_initialize(&r->parser))
        fail_memory(r);
    r->has_parser = true;
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)text->bytes, text->size);
    next_event(r); // the stream's start
    if (reading->all)
        push_all_documents(r);
    else
        push_only_document(r);
    clear(r);
}
