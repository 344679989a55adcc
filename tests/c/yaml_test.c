// yaml_test.c: yaml_read.c, yaml_resolve.c: damaged texts, failing memory, what scalars mean.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "bindings/data/json.h"
#include "bindings/data/yaml.h"
#include "host/buffer.h"
#include "host/errorlua.h"
#include "tests/c/data.h"

static struct data_state room;

static int open_state(void **unused)
{
    (void)unused;
    data_open(&room);
    return 0;
}

static int close_state(void **unused)
{
    (void)unused;
    data_close(&room);
    return 0;
}

// --- scalars -----------------------------------------------------------------------------------

static struct ctz_yaml_scalar meaning(enum ctz_yaml_schema schema, const char *text)
{
    return ctz_yaml_resolve(schema, text, strlen(text));
}

TEST(yaml_scalars_mean_the_same_in_both_schemas_or_not)
{
    static const struct {
        const char *text;
        enum ctz_yaml_type core, k8s;
    } cases[] = {
        {"yes", CTZ_YAML_STRING, CTZ_YAML_BOOL},      {"~", CTZ_YAML_NULL, CTZ_YAML_NULL},
        {"1_000", CTZ_YAML_STRING, CTZ_YAML_INTEGER}, {"0o14", CTZ_YAML_INTEGER, CTZ_YAML_INTEGER},
        {"0b11", CTZ_YAML_STRING, CTZ_YAML_INTEGER},  {"089", CTZ_YAML_INTEGER, CTZ_YAML_FLOAT},
        {"1e400", CTZ_YAML_TOO_BIG, CTZ_YAML_STRING}, {".inf", CTZ_YAML_FLOAT, CTZ_YAML_FLOAT},
        {"1:30", CTZ_YAML_STRING, CTZ_YAML_STRING},   {"x", CTZ_YAML_STRING, CTZ_YAML_STRING},
    };
    for (size_t i = 0; i < CTZ_COUNT(cases); i++) {
        assert_int_equal(meaning(CTZ_YAML_CORE, cases[i].text).type, cases[i].core);
        assert_int_equal(meaning(CTZ_YAML_K8S, cases[i].text).type, cases[i].k8s);
    }
    assert_true(meaning(CTZ_YAML_CORE, "012").integer == 12);
    assert_true(meaning(CTZ_YAML_K8S, "012").integer == 10);
}

TEST(yaml_numbers_of_any_length_are_read_without_harm)
{
    for (size_t size = 1; size < 1000; size += 7) {
        char *text = malloc(size + 1);
        memset(text, '7', size);
        text[size] = '\0';
        enum ctz_yaml_type expected = size < 19 ? CTZ_YAML_INTEGER : CTZ_YAML_TOO_BIG;
        assert_int_equal(meaning(CTZ_YAML_CORE, text).type, expected);
        text[size / 2] = '_';
        meaning(CTZ_YAML_K8S, text);
        free(text);
    }
}

// --- damage ------------------------------------------------------------------------------------

// About 4 KB with everything YAML has.
static char *make_document(size_t *size)
{
    struct ctz_buffer text;
    ctz_buffer_init(&text, SIZE_MAX);
    ctz_buffer_text(&text,
                    "%YAML 1.2\n---\n# services\nbase: &base {a: 1, b: [x, 'y', \"z\\u00e9\"]}\n");
    for (int i = 0; i < 11; i++)
        ctz_buffer_format(
            &text,
            "web%d:\n  image: nginx:1.%d\n  args: [\"-v\", '--x=''1''', plain text]\n"
            "  base: *base\n  env:\n  - {name: A, value: !!str 5}\n  - name: caf\xc3\xa9\n"
            "    value: \"\\x41\\t\\\n      folded\"\n  script: |-\n    echo one\n\n"
            "      two\n  text: >+\n    folded\n    lines\n\n  ? key\n  : - - 1\n"
            "      - 2.5\n    - !!binary aGk=\n  empty:\n  n: ~\n  big: 9223372036854775807\n"
            "  anchor: &a%d yes\n  alias: *a%d\n",
            i, i, i, i);
    *size = text.length;
    return ctz_buffer_take(&text);
}

static const char *const schemas[] = {"return {schema='core'}",
                                      "return {schema='k8s', strict=true}"};

// Either a value that JSON can carry, or an error of ours with a place.
static bool reads(const char *text, size_t size, const char *options)
{
    if (data_call(&room, ctz_l_yaml_decode, text, size, options) == LUA_OK) {
        lua_State *L = room.L;
        lua_pushcfunction(L, ctz_l_json_encode);
        lua_insert(L, -2);
        if (lua_pcall(L, 1, 1, 0) != LUA_OK) // an infinity, or bytes of !!binary
            assert_int_equal(data_kind(&room), CTZ_ERROR_USAGE);
        return true;
    }
    int kind = data_kind(&room);
    assert_true(kind == CTZ_ERROR_PROTOCOL || kind == CTZ_ERROR_SIZE ||
                kind == CTZ_ERROR_UNSUPPORTED);
    lua_getfield(room.L, -1, "message");
    unsigned line, column;
    assert_int_equal(sscanf(lua_tostring(room.L, -1), "%u:%u: ", &line, &column), 2);
    return false;
}

TEST(yaml_cut_at_every_byte_gives_a_value_or_an_error_with_a_place)
{
    size_t size;
    char *text = make_document(&size);
    assert_in_range(size, 3500, 5000);
    for (size_t i = 0; i < CTZ_COUNT(schemas); i++) {
        assert_true(reads(text, size, schemas[i]));
        for (size_t cut = 0; cut < size; cut++) {
            char *part = malloc(cut + 1); // so that ASan sees a read behind the end
            memcpy(part, text, cut);
            reads(part, cut, schemas[i]);
            free(part);
        }
    }
    free(text);
}

// Every third bit: all eight bits get their turn, and ASan runs take a third of the time.
TEST(yaml_with_any_bit_flipped_gives_a_value_or_an_error_with_a_place)
{
    size_t size;
    char *text = make_document(&size);
    for (size_t bit = 0; bit < size * 8; bit += 3) {
        text[bit / 8] ^= (char)(1 << bit % 8);
        reads(text, size, schemas[bit % 2]);
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
    free(text);
}

// --- memory ------------------------------------------------------------------------------------

static bool survives(const char *text, unsigned long n)
{
    struct data_state fresh;
    data_open(&fresh);
    lua_State *L = fresh.L;
    lua_pushcfunction(L, ctz_l_yaml_encode);
    lua_pushcfunction(L, ctz_l_yaml_decode);
    lua_pushstring(L, text);
    data_fail(&fresh, n);
    int status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_OK)
        status = lua_pcall(L, 1, 1, 0);
    data_fail(&fresh, 0);
    assert_int_equal(fresh.failed, status != LUA_OK);
    data_close(&fresh); // ASan tells what was lost
    return !fresh.failed;
}

TEST(yaml_survives_the_failure_of_any_allocation)
{
    static const char text[] =
        "a: &a [1, 2.5, three, {k: v, l: [1, [2]]}]\nb: *a\nc: &c text\nd: |\n"
        "  several\n  lines that are longer than forty bytes, all in all\n";
    unsigned long n = 1;
    while (!survives(text, n))
        n++;
    assert_in_range(n, 10, 1000);
}

TEST(yaml_limits_are_those_of_the_run)
{
    room.host.limits.values[CTZ_LIMIT_DOCUMENT_BYTES] = 20;
    room.host.limits.values[CTZ_LIMIT_YAML_DEPTH] = 3;
    room.host.limits.values[CTZ_LIMIT_YAML_ALIASES] = 1;
    assert_true(reads("a: [[1,2,3]]        ", 20, NULL));
    assert_int_equal(data_call(&room, ctz_l_yaml_decode, "a: [[1,2,3]]         ", 21, NULL),
                     LUA_ERRRUN);
    assert_int_equal(data_kind(&room), CTZ_ERROR_SIZE);
    assert_false(reads("a: [[[1]]]", 10, NULL));
    assert_true(reads("[&a 1,*a,1]", 11, NULL));
    assert_false(reads("[&a 1,*a,*a]", 12, NULL));
    ctz_limits_init(&room.host.limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_scalars_mean_the_same_in_both_schemas_or_not),
        cmocka_unit_test(yaml_numbers_of_any_length_are_read_without_harm),
        cmocka_unit_test(yaml_cut_at_every_byte_gives_a_value_or_an_error_with_a_place),
        cmocka_unit_test(yaml_with_any_bit_flipped_gives_a_value_or_an_error_with_a_place),
        cmocka_unit_test(yaml_survives_the_failure_of_any_allocation),
        cmocka_unit_test(yaml_limits_are_those_of_the_run),
    };
    return cmocka_run_group_tests(tests, open_state, close_state);
}
