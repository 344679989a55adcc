-- docker/values.lua: the engine's answers, where Go's nil is JSON's null; filters as the engine wants them.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local new_error = require("ctz.core.task").error

local error, ipairs, pairs, tostring, type = error, ipairs, pairs, tostring, type

-- A list or a map as it is, an empty table for null and for what is absent.
local function table_of(value)
  return type(value) == "table" and value or {}
end

-- The value, nil for null.
local function present(value)
  if value == json.null then
    return nil
  end
  return value
end

-- {label = "a=b", status = {"running", "paused"}, dangling = true} -> lists of texts
local function filters(op, wanted)
  local result = {}
  for name, values in pairs(wanted or {}) do
    local list = {}
    for _, value in ipairs(type(values) == "table" and values or { values }) do
      list[#list + 1] = tostring(value)
    end
    if type(name) ~= "string" then
      error(new_error { kind = "usage", op = op, message = "a filter has a name: {status = \"running\"}" }, 0)
    end
    result[name] = json.array(list)
  end
  return json.object(result)
end

return { table_of = table_of, present = present, filters = filters }
