-- One JSON round trip; every failure must be an error or the right result.
local json = require "ctz.json"
local text = [[{"a":[1,2.5,"three",null,true,{"deep":[[],{}]}],"empty":{},"n":9223372036854775807}]]
local value = json.decode(text)
assert(json.encode(value) == text, json.encode(value))
