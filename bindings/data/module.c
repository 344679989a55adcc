// module.c: the door of the data room: JSON, YAML, base64.
// SPDX-License-Identifier: MIT
#include <lauxlib.h>

#include "bindings/data/base64.h"
#include "bindings/data/json.h"
#include "bindings/data/value.h"
#include "bindings/data/writer.h"
#include "bindings/data/yaml.h"
#include "host/door.h"

static const struct ctz_reg json_functions[] = {
    {"json.decode", ctz_l_json_decode, CTZ_CAP_PURE, 0, 0},
    {"json.encode", ctz_l_json_encode, CTZ_CAP_PURE, 0, 0},
    {"json.array", ctz_l_json_array, CTZ_CAP_PURE, 0, 0},
    {"json.object", ctz_l_json_object, CTZ_CAP_PURE, 0, 0},
    {"json.is_array", ctz_l_json_is_array, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg yaml_functions[] = {
    {"yaml.decode", ctz_l_yaml_decode, CTZ_CAP_PURE, 0, 0},
    {"yaml.decode_all", ctz_l_yaml_decode_all, CTZ_CAP_PURE, 0, 0},
    {"yaml.encode", ctz_l_yaml_encode, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

static const struct ctz_reg base64_functions[] = {
    {"base64.encode", ctz_l_base64_encode, CTZ_CAP_PURE, 0, 0},
    {"base64.decode", ctz_l_base64_decode, CTZ_CAP_PURE, 0, 0},
    {NULL, NULL, CTZ_CAP_UNNAMED, 0, 0},
};

CTZ_API int luaopen_ctz_core_data(lua_State *L);

int luaopen_ctz_core_data(lua_State *L)
{
    ctz_value_init(L);
    ctz_writer_init(L);
    ctz_yaml_read_init(L);
    lua_newtable(L);
    ctz_door(L, json_functions);
    ctz_value_push_null(L);
    lua_setfield(L, -2, "null");
    lua_setfield(L, -2, "json");
    ctz_door(L, yaml_functions);
    lua_setfield(L, -2, "yaml");
    ctz_door(L, base64_functions);
    lua_setfield(L, -2, "base64");
    return 1;
}
