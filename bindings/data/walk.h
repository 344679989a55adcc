// walk.h: a Lua value as a sequence of events, for the writers of JSON and YAML.
// SPDX-License-Identifier: MIT
//
// Tables are classified (list or object), keys are sorted by their bytes, cycles and depth are
// bounded, and every refusal names the path. Nothing here raises: tables are read raw, no Lua code
// runs and nothing is allocated in Lua, so the strings that are pointed to stay where they are.
#ifndef CTZ_DATA_WALK_H
#define CTZ_DATA_WALK_H

#include <lua.h>

#include "host/api.h"
#include "host/buffer.h"
#include "host/error.h"

enum ctz_walk_event {
    CTZ_WALK_FAILED = -1,
    CTZ_WALK_DONE,   // the value is complete
    CTZ_WALK_ARRAY,  // a list begins; `count` items follow, then END
    CTZ_WALK_OBJECT, // an object begins; `count` pairs follow, then END
    CTZ_WALK_END,    // of the innermost one; `count` is its own again
    CTZ_WALK_VALUE,  // anything but a table stands at stack index `value`
};

struct ctz_walk_key {
    uint64_t head; // its first 8 bytes, big end first: most comparisons end here
    const char *text;
    size_t size;
    int slot; // stack index of the key; its value is the next one
};

struct ctz_walk_level {
    const void *table;
    int slot; // stack index of the table
    int top;  // of the stack below its items
    size_t count, next;
    size_t first_key; // index into keys
    bool is_array;
    size_t indent; // the writer's
};

struct ctz_walk {
    lua_State *L;
    const char *format; // "JSON": for messages
    size_t max_depth;
    const void *array_mark, *object_mark, *secret; // metatables
    int root;                                      // stack index; 0 once it has been visited

    struct ctz_walk_level *levels; // owned
    size_t depth, level_capacity;
    struct ctz_walk_key *keys; // owned; those of all open objects
    size_t key_count, key_capacity;

    // of the last event
    int value;
    size_t count;
    bool is_array;                  // what ended
    size_t index;                   // 0-based place in its list or object
    const struct ctz_walk_key *key; // in an object; NULL in a list and at the root
};

/// idx is absolute. What walk held before is reused. May raise, as the only one here.
void ctz_walk_begin(struct ctz_walk *walk, lua_State *L, int idx, const char *format,
                    size_t max_depth);
enum ctz_walk_event ctz_walk_next(struct ctz_walk *walk, struct ctz_error *err);
/// Is the value of the last event one that is shown as "***" wherever it goes?
bool ctz_walk_is_secret(const struct ctz_walk *walk);
void ctz_walk_clear(struct ctz_walk *walk);

/// Sets err to "spec.args[3]: <message>" for the value of the last event. Returns -1.
int ctz_walk_error(const struct ctz_walk *walk, struct ctz_error *err, enum ctz_error_kind kind,
                   const char *format, ...) CTZ_PRINTF(4, 5);
/// The same with the message that a value of this type has no place in the format.
int ctz_walk_refuse(const struct ctz_walk *walk, struct ctz_error *err);

#endif
