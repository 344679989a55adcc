-- docker/values.lua: the engine's answers, where Go's nil is JSON's null.
-- SPDX-License-Identifier: MIT
local type = type

-- A list or a map as it is, an empty table for null and for what is absent.
local function table_of(value)
  return type(value) == "table" and value or {}
end

return { table_of = table_of }
