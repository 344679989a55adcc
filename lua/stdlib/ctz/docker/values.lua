-- docker/values.lua: the engine's answers, where Go's nil is JSON's null.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"

local type = type

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

return { table_of = table_of, present = present }
