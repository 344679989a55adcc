// json_test.c: json_read.c, json_write.c, walk.c: with jansson as the second opinion.
// SPDX-License-Identifier: MIT
#include "tests/c/test.h"

#include <jansson.h>
#include <lauxlib.h>
#include <math.h>
#include <stdlib.h>

#include "bindings/data/json.h"
#include "bindings/data/value.h"
#include "host/errorlua.h"
#include "tests/c/data.h"

#define JANSSON (JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL)

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

// --- comparing with jansson --------------------------------------------------------------------

static bool equal(lua_State *L, int idx, const json_t *other);

static bool equal_array(lua_State *L, int idx, const json_t *other)
{
    bool same = lua_istable(L, idx) && lua_rawlen(L, idx) == json_array_size(other) &&
                ctz_value_class_of(L, idx) == ctz_value_class(L, CTZ_VALUE_ARRAY);
    for (size_t i = 0; same && i < json_array_size(other); i++) {
        lua_rawgeti(L, idx, (lua_Integer)i + 1);
        same = equal(L, lua_gettop(L), json_array_get(other, i));
        lua_pop(L, 1);
    }
    return same;
}

static bool equal_object(lua_State *L, int idx, json_t *other)
{
    size_t count = 0;
    bool same = lua_istable(L, idx) && !ctz_value_class_of(L, idx);
    for (lua_pushnil(L); same && lua_next(L, idx); lua_pop(L, 1)) {
        const json_t *value = json_object_get(other, lua_tostring(L, -2));
        same = value && equal(L, lua_gettop(L), value);
        count++;
        luaL_checkstack(L, 4, NULL);
    }
    return same && count == json_object_size(other);
}

static bool equal(lua_State *L, int idx, const json_t *other)
{
    size_t size;
    const char *text;
    luaL_checkstack(L, 4, NULL);
    switch (json_typeof(other)) {
    case JSON_OBJECT:
        return equal_object(L, idx, (json_t *)other);
    case JSON_ARRAY:
        return equal_array(L, idx, other);
    case JSON_STRING:
        text = lua_type(L, idx) == LUA_TSTRING ? lua_tolstring(L, idx, &size) : NULL;
        return text && size == json_string_length(other) &&
               memcmp(text, json_string_value(other), size) == 0;
    case JSON_INTEGER: // jansson reads -0 as the integer 0
        return (lua_isinteger(L, idx) || lua_tonumber(L, idx) == 0) &&
               lua_tonumber(L, idx) == (double)json_integer_value(other) &&
               (!lua_isinteger(L, idx) || lua_tointeger(L, idx) == json_integer_value(other));
    case JSON_REAL:
        return lua_type(L, idx) == LUA_TNUMBER && !lua_isinteger(L, idx) &&
               lua_tonumber(L, idx) == json_real_value(other);
    case JSON_NULL:
        return ctz_value_is_null(L, idx);
    default:
        return lua_isboolean(L, idx) && lua_toboolean(L, idx) == json_is_true(other);
    }
}

// jansson takes no NUL in keys; ctz does.
static bool is_known_difference(const json_error_t *error)
{
    return strstr(error->text, "NUL byte in object key") != NULL;
}

// Decodes with both; returns whether ctz accepted it.
static bool compare(const char *text, size_t size)
{
    json_error_t error;
    json_t *other = json_loadb(text, size, JANSSON, &error);
    bool accepted = data_call(&room, ctz_l_json_decode, text, size, NULL) == LUA_OK;
    if (!other && is_known_difference(&error))
        return accepted;
    if (accepted != (other != NULL))
        fail_msg("jansson: %s; ctz: %s; text: %.*s", other ? "accepts" : error.text,
                 accepted ? "accepts" : luaL_tolstring(room.L, -1, NULL), (int)size, text);
    if (!accepted && data_kind(&room) != CTZ_ERROR_PROTOCOL)
        fail_msg("not a protocol error: %s", luaL_tolstring(room.L, -1, NULL));
    if (accepted && !equal(room.L, lua_gettop(room.L), other))
        fail_msg("the values differ: %.*s", (int)size, text);
    json_decref(other);
    return accepted;
}

// About 4 KB with everything JSON has.
static char *make_document(size_t *size)
{
    struct ctz_buffer text;
    ctz_buffer_init(&text, SIZE_MAX);
    ctz_buffer_text(&text, "[");
    for (int i = 0; i < 11; i++)
        ctz_buffer_format(
            &text,
            "%s{\"Id\":\"%08x\",\"Names\":[\"/web-%d\",\"caf\xc3\xa9\"],\"Size\":%d,\n"
            "  \"Big\": -9223372036854775808, "
            "\"f\":[0.5,-1.25e3,1E5,0,-0],\"ok\":true,\"no\":false,"
            "\"none\":null,\"esc\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\","
            "\"e\":{},\"l\":[],\"deep\":[[[{\"x\":[1,[2,{\"y\":\"\xf0\x9f\x98\x80\"}]]}]]],"
            "\"Labels\":{\"a.b/c\":\"\",\"long\":\"0123456789012345678901234567890123456789\"}}",
            i ? "," : "", 0x1234567 * i, i, i * 1000003);
    ctz_buffer_text(&text, "]");
    *size = text.length;
    return ctz_buffer_take(&text);
}

TEST(json_agrees_with_jansson_on_a_document_and_reads_back_what_it_writes)
{
    size_t size;
    char *text = make_document(&size);
    assert_in_range(size, 3500, 5000);
    assert_true(compare(text, size));
    lua_State *L = room.L;
    json_t *other = json_loadb(text, size, JANSSON, NULL);
    lua_pushcfunction(L, ctz_l_json_encode);
    lua_insert(L, -2);
    assert_int_equal(lua_pcall(L, 1, 1, 0), LUA_OK);
    size_t written_size;
    const char *written = lua_tolstring(L, -1, &written_size);
    json_t *again = json_loadb(written, written_size, JANSSON, NULL);
    assert_non_null(again);
    // -0 is the one number that jansson changes: we write it as -0.0.
    char *copy = strdup(written);
    for (char *at = copy; (at = strstr(at, "-0.0")); at += 4)
        memcpy(at, "-0  ", 4);
    json_decref(again);
    again = json_loads(copy, JANSSON, NULL);
    assert_true(json_equal(again, other));
    free(copy);
    json_decref(again);
    json_decref(other);
    free(text);
}

TEST(json_cut_at_every_byte_is_refused_as_jansson_refuses_it)
{
    size_t size;
    char *text = make_document(&size);
    for (size_t cut = 0; cut < size; cut++) {
        char *part = malloc(cut + 1); // so that ASan sees a read behind the end
        memcpy(part, text, cut);
        assert_false(compare(part, cut));
        free(part);
    }
    free(text);
}

TEST(json_with_any_bit_flipped_is_accepted_or_refused_as_by_jansson)
{
    size_t size, accepted = 0;
    char *text = make_document(&size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        text[bit / 8] ^= (char)(1 << bit % 8);
        accepted += compare(text, size);
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
    assert_in_range(accepted, 1000, size * 8 - 1000);
    free(text);
}

TEST(json_agrees_with_jansson_on_a_corpus)
{
    // clang-format off
    static const char *const texts[] = {
        "0", "-0", "-", "--1", "1", "01", "-01", "1.", ".1", "1.0", "1e", "1e5", "1E+5", "1e-5",
        "1e+", "1.5e", "0e0", "0.0", "-0.0", "00", "1e400", "-1e400", "1e-400",
        "123456789012345678", "1234567890123456789", "9223372036854775807", "9223372036854775808",
        "-9223372036854775808", "-9223372036854775809", "18446744073709551615",
        "99999999999999999999999", "0x10", "1_0", "2.2250738585072014e-308",
        "1.7976931348623157e308", "4.9406564584124654e-324", "NaN", "nan", "Infinity", "-Infinity",
        "true", "false", "null", "tru", "truex", "nulll", "True", "\"\"", "\"a\"", "\"", "\"a",
        "a\"", "\"\\\"", "\"\\\\\"", "\"\\\\\\\"", "\"\\u0041\"", "\"\\u004\"", "\"\\u00g1\"",
        "\"\\U0041\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\uDC00\"", "\"\\uDBFF\\uDFFF\"",
        "\"\\uD800\\u0041\"", "\"\\uD800x\"", "\"\\uD800\\n\"", "\"\\a\"", "\"\\'\"", "\"\\0\"",
        "\"\\", "\"\\u", "\"\t\"", "\"\n\"", "\"\x7f\"", "\"\x01\"", "\"\x1f\"", "\"\xc3\xa9\"",
        "\"\xc3\"", "\"\xa9\"", "\"\xc0\x80\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"",
        "\"\xed\x9f\xbf\"", "\"\xee\x80\x80\"", "\"\xef\xbf\xbf\"", "\"\xf0\x8f\xbf\xbf\"",
        "\"\xf0\x90\x80\x80\"", "\"\xf4\x8f\xbf\xbf\"", "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"", "\"\xfe\"", "\"\xff\"", "\"\xe2\x82\"", "\"\xe2\x28\xa1\"", "[]",
        "[", "]", "[1", "[1,", "[1,]", "[,]", "[1 2]", "[1,,2]", "[[]]", "[[]", "[]]", "[1]x",
        "[1] ", " [1]", "\t[\n1\r]\n", "\f[]", "\v[]", "{}", "{", "}", "{\"a\"}", "{\"a\":}",
        "{\"a\":1", "{\"a\":1,}", "{\"a\":1,\"b\":2}", "{\"a\" : 1}", "{\"a\":1 \"b\":2}", "{a:1}",
        "{1:1}", "{'a':1}", "{\"a\":1,\"a\":2}", "{\"a\":1,\"\\u0061\":2}", "{\"\":1}",
        "{\"a\":{\"a\":1}}", "{,}", "{\"a\":1}}", "[{]}", "{[}]", "", " ", "\n", "// c\n1",
        "/**/1", "#\n1", "\xef\xbb\xbf[]", "1 1", "\"a\" \"b\"", "[\"a\"\"b\"]", "\xc3\xa9",
        "[\xff]", "{\"\xff\":1}", "'a'", "(1)", "undefined",
    };
    // clang-format on
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        compare(texts[i], strlen(texts[i]));
}

// --- memory ------------------------------------------------------------------------------------

// Decodes and encodes while the n-th allocation of Lua and all after it fail. Returns whether the
// two got by without it.
static bool survives(const char *text, unsigned long n)
{
    struct data_state fresh;
    data_open(&fresh);
    lua_State *L = fresh.L;
    lua_pushcfunction(L, ctz_l_json_encode);
    lua_pushcfunction(L, ctz_l_json_decode);
    lua_pushstring(L, text);
    data_fail(&fresh, n);
    int status = lua_pcall(L, 1, 1, 0);
    if (status == LUA_OK)
        status = lua_pcall(L, 1, 1, 0);
    data_fail(&fresh, 0);
    assert_int_equal(fresh.failed, status != LUA_OK);
    if (status == LUA_OK)
        assert_string_equal(lua_tostring(L, -1), text);
    data_close(&fresh); // ASan tells what was lost
    return !fresh.failed;
}

TEST(json_survives_the_failure_of_any_allocation)
{
    static const char text[] = "{\"list\":[1,2.5,\"three\",[[[[{\"k\":\"a\\nb\"}]]]]],"
                               "\"s\":\"\xc3\xa9 a string that is longer than forty bytes\"}";
    unsigned long n = 1;
    while (!survives(text, n))
        n++;
    assert_in_range(n, 10, 1000);
}

TEST(json_writes_a_secret_as_three_stars)
{
    lua_State *L = room.L;
    lua_settop(L, 0);
    lua_pushcfunction(L, ctz_l_json_encode);
    lua_newtable(L);
    lua_newuserdatauv(L, 8, 0);
    luaL_newmetatable(L, "ctz.secret");
    lua_setmetatable(L, -2);
    lua_setfield(L, -2, "password");
    assert_int_equal(lua_pcall(L, 1, 1, 0), LUA_OK);
    assert_string_equal(lua_tostring(L, -1), "{\"password\":\"***\"}");
}

TEST(json_limits_are_those_of_the_run)
{
    room.host.limits.values[CTZ_LIMIT_DOCUMENT_BYTES] = 10;
    room.host.limits.values[CTZ_LIMIT_JSON_DEPTH] = 3;
    assert_int_equal(data_call(&room, ctz_l_json_decode, "[12345678]", 10, NULL), LUA_OK);
    assert_int_equal(data_call(&room, ctz_l_json_decode, "[123456789]", 11, NULL), LUA_ERRRUN);
    assert_int_equal(data_kind(&room), CTZ_ERROR_SIZE);
    assert_int_equal(data_call(&room, ctz_l_json_decode, "[[[]]]", 6, NULL), LUA_OK);
    assert_int_equal(data_call(&room, ctz_l_json_decode, "[[[[]]]]", 8, NULL), LUA_ERRRUN);
    assert_int_equal(data_kind(&room), CTZ_ERROR_SIZE);
    ctz_limits_init(&room.host.limits);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_agrees_with_jansson_on_a_document_and_reads_back_what_it_writes),
        cmocka_unit_test(json_cut_at_every_byte_is_refused_as_jansson_refuses_it),
        cmocka_unit_test(json_with_any_bit_flipped_is_accepted_or_refused_as_by_jansson),
        cmocka_unit_test(json_agrees_with_jansson_on_a_corpus),
        cmocka_unit_test(json_survives_the_failure_of_any_allocation),
        cmocka_unit_test(json_writes_a_secret_as_three_stars),
        cmocka_unit_test(json_limits_are_those_of_the_run),
    };
    return cmocka_run_group_tests(tests, open_state, close_state);
}
