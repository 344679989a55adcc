-- kubernetes/simulate/values.lua: copies and comparisons of decoded JSON.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"

local getmetatable, ipairs, next, setmetatable, type = getmetatable, ipairs, next, setmetatable, type

local values = {}

-- Shares nothing with what it is a copy of.
local function copy(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for key, one in next, value do
    result[key] = copy(one)
  end
  return setmetatable(result, getmetatable(value))
end

local function same(left, right)
  if left == right then
    return true
  elseif type(left) ~= "table" or type(right) ~= "table" then
    return false
  end
  for key, value in next, left do
    if not same(value, right[key]) then
      return false
    end
  end
  for key in next, right do
    if left[key] == nil then
      return false
    end
  end
  return true
end

-- nil and null are none.
function values.is_given(value)
  return value ~= nil and value ~= json.null
end

-- A table to look into, whatever it is.
function values.table_of(value)
  return type(value) == "table" and value or {}
end

-- Takes out nulls of maps, as a server does that decodes them into fields.
function values.without_nulls(value)
  if type(value) == "table" then
    for key, one in next, value do
      if one == json.null and type(key) == "string" then
        value[key] = nil
      else
        values.without_nulls(one)
      end
    end
  end
  return value
end

function values.list(items)
  return json.array(items or {})
end

-- The one item of a list for which fn is true.
function values.find(list, fn)
  for i, one in ipairs(values.table_of(list)) do
    if fn(one) then
      return one, i
    end
  end
end

values.copy, values.same = copy, same

return values
