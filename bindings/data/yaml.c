// yaml.c: the functions of ctz.yaml.
// SPDX-License-Identifier: MIT
#include "bindings/data/yaml.h"

#include "bindings/data/writer.h"
#include "host/luax.h"

static const char *const schemas[] = {"core", "k8s", NULL};

static int decode(lua_State *L, bool all)
{
    static const char *const options[] = {"schema", "strict", "big", "name", NULL};
    static const char *const bigs[] = {"error", "float", NULL};
    struct ctz_text text = {0};
    text.bytes = ctz_check_string(L, 1, "text", &text.size);
    lua_settop(L, 2);
    ctz_opts_check(L, 2, options);
    text.name = ctz_opt_string(L, 2, "name", NULL, NULL);
    const struct ctz_host *host = ctz_host(L);
    struct ctz_yaml_reading reading = {
        .schema = (enum ctz_yaml_schema)ctz_opt_choice(L, 2, "schema", schemas, CTZ_YAML_CORE),
        .strict = ctz_opt_bool(L, 2, "strict", false),
        .big_as_float = ctz_opt_choice(L, 2, "big", bigs, 0) == 1,
        .all = all,
        .max_depth = ctz_limit(host, CTZ_LIMIT_YAML_DEPTH),
        .max_aliases = ctz_limit(host, CTZ_LIMIT_YAML_ALIASES),
    };
    ctz_text_check_size(L, &text);
    ctz_yaml_read(L, &text, &reading);
    return 1;
}

/// ctz.yaml.decode(text, opts?) -> any
/// Reads one YAML document. Mappings become tables with string keys, sequences lists that are
/// marked as in ctz.json, null is `ctz.json.null`; an empty text is null. An alias gives a copy.
/// Schema "core" is YAML 1.2: `no` and `1_000` are strings, `012` is 12, `0o14` is 12, keys are as
/// written, keys that stand twice are refused, tags other than YAML's own are refused. Schema "k8s"
/// reads what kubectl reads: `no` is false, `014` is 12, `<<` merges, numbers and keys become what
/// JSON has, tags of others are passed over, and of keys that stand twice the last one counts
/// unless strict is set.
/// @param text string
/// @param opts.schema? "core"|"k8s"  default: "core"
/// @param opts.strict? boolean  k8s: refuse keys that stand twice
/// @param opts.big? "error"|"float"  integers beyond 64 bits: refuse (default) or round
/// @param opts.name? string  what messages call the text: a file name
/// @return any
/// @error protocol    it is not YAML, or holds several documents; the message has line:column
/// @error unsupported a tag that has no meaning
/// @error size        it passes document_bytes, yaml_depth or yaml_aliases, or is an alias bomb
/// @example local web = ctz.yaml.decode("image: nginx\nports: [80, 443]\ntty: no\n")
/// @example assert(web.ports[2] == 443 and web.tty == "no")
/// @example assert(ctz.yaml.decode("tty: no", {schema = "k8s"}).tty == false)
int ctz_l_yaml_decode(lua_State *L)
{
    return decode(L, false);
}

/// ctz.yaml.decode_all(text, opts?) -> any[]
/// Reads all documents of a YAML text, with the options of ctz.yaml.decode. With schema "k8s",
/// documents that hold nothing are passed over, as kubectl does.
/// @param text string
/// @param opts? table
/// @return any[]
/// @error protocol    it is not YAML; the message has line:column
/// @error unsupported a tag that has no meaning
/// @error size        it passes a limit
/// @example local docs = ctz.yaml.decode_all "kind: Service\n---\nkind: Deployment\n"
/// @example assert(#docs == 2 and docs[2].kind == "Deployment")
int ctz_l_yaml_decode_all(lua_State *L)
{
    return decode(L, true);
}

/// ctz.yaml.encode(value, opts?) -> string
/// Writes a value as a YAML document in block style, keys in the order of their bytes. Both schemas
/// (and YAML 1.1) read the same strings back: what could be taken for something else is quoted.
/// Tables are taken as in ctz.json.encode; a secret is written as "***".
/// @param value any
/// @param opts.schema? "core"|"k8s"  "k8s" refuses NaN and infinity; default: "core"
/// @return string
/// @error usage a value has no YAML form; the message has its path
/// @error size  longer or deeper than the limits document_bytes and yaml_depth
/// @example assert(ctz.yaml.encode{tag = "1.20", args = {"-v"}} == 'args:\n- -v\ntag: "1.20"\n')
int ctz_l_yaml_encode(lua_State *L)
{
    static const char *const options[] = {"schema", NULL};
    lua_settop(L, 2);
    ctz_opts_check(L, 2, options);
    enum ctz_yaml_schema schema =
        (enum ctz_yaml_schema)ctz_opt_choice(L, 2, "schema", schemas, CTZ_YAML_CORE);
    const struct ctz_host *host = ctz_host(L);
    struct ctz_writer writer = {
        .format = "YAML",
        .max_depth = ctz_limit(host, CTZ_LIMIT_YAML_DEPTH),
        .max_bytes = ctz_limit(host, CTZ_LIMIT_DOCUMENT_BYTES),
        .event = ctz_yaml_write,
        .style = &schema,
    };
    return ctz_writer_run(L, 1, &writer);
}
