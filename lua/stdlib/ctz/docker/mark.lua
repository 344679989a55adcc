-- docker/mark.lua: what a simulated engine gave says so.
-- SPDX-License-Identifier: MIT
local ipairs, next, rawset, type = ipairs, next, rawset, type

local function mark_one(value)
  if type(value) ~= "table" then
    return
  elseif value[1] == nil then
    if next(value) ~= nil then
      rawset(value, "simulated", true)
    end
    return
  end
  for _, item in ipairs(value) do
    mark_one(item)
  end
end

local function mark_items(iterator)
  return function(...)
    local first, second = iterator(...)
    mark_one(first)
    return first, second
  end
end

-- mark(client, results...) -> results...: with simulated=true in each table, and in each item of a list
-- or of an iterator. Results of a real engine stay as they are.
local function mark(client, first, ...)
  if client and client.simulated then
    if type(first) == "function" then
      return mark_items(first), ...
    end
    mark_one(first)
  end
  return first, ...
end

return mark
