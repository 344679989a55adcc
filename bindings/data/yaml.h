// yaml.h: YAML text to and from Lua values: libyaml's events, and what a plain scalar means.
// SPDX-License-Identifier: MIT
#ifndef CTZ_DATA_YAML_H
#define CTZ_DATA_YAML_H

#include <lua.h>

#include "bindings/data/text.h"
#include "bindings/data/walk.h"

/// What plain scalars and keys mean. CORE: the core schema of YAML 1.2. K8S: what kubectl reads
/// (sigs.k8s.io/yaml), which is YAML 1.1 read into JSON.
enum ctz_yaml_schema { CTZ_YAML_CORE, CTZ_YAML_K8S };

// --- scalars (yaml_resolve.c) ------------------------------------------------------------------

enum ctz_yaml_type {
    CTZ_YAML_STRING,
    CTZ_YAML_NULL,
    CTZ_YAML_BOOL,
    CTZ_YAML_INTEGER,
    CTZ_YAML_FLOAT,
    CTZ_YAML_TOO_BIG, // an integer beyond int64; number is its rounded value
};

struct ctz_yaml_scalar {
    enum ctz_yaml_type type;
    bool boolean;
    int64_t integer;
    double number;
};

/// What text means as a plain scalar without a tag. A NUL follows the text.
struct ctz_yaml_scalar ctz_yaml_resolve(enum ctz_yaml_schema schema, const char *text, size_t size);

/// The prefix of YAML's own tags.
#define CTZ_YAML_TAG "tag:yaml.org,2002:"
/// The same for a scalar with one of YAML's own tags ("int", without the prefix). Returns false
/// when the text is no such thing. Tags that are not about plain types give a string.
bool ctz_yaml_resolve_tag(enum ctz_yaml_schema schema, const char *tag, const char *text,
                          size_t size, struct ctz_yaml_scalar *scalar);

/// Would a reader of either schema (or of YAML 1.1 at large) take the plain text for something
/// else than this very string?
bool ctz_yaml_needs_quotes(const char *text, size_t size);

// --- texts -------------------------------------------------------------------------------------

struct ctz_yaml_reading {
    enum ctz_yaml_schema schema;
    bool strict; // K8S: keys that stand twice are refused (CORE: always)
    bool big_as_float;
    bool all; // a list of documents instead of one
    size_t max_depth, max_aliases;
};

/// Pushes the value or values of the text, or raises. The caller anchors the text.
void ctz_yaml_read(lua_State *L, const struct ctz_text *text,
                   const struct ctz_yaml_reading *reading);
/// Registers the class of its parser.
void ctz_yaml_read_init(lua_State *L);

/// A ctz_writer_event; style is an enum ctz_yaml_schema.
int ctz_yaml_write(struct ctz_walk *walk, enum ctz_walk_event event, const void *style,
                   struct ctz_buffer *out, struct ctz_error *err);

int ctz_l_yaml_decode(lua_State *L);
int ctz_l_yaml_decode_all(lua_State *L);
int ctz_l_yaml_encode(lua_State *L);

#endif
