-- docker/marked.lua: what a simulated engine gave says so.
-- SPDX-License-Identifier: MIT
local error, ipairs, next, pcall, rawset, type = error, ipairs, next, pcall, rawset, type

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

local function mark(first, ...)
  if type(first) == "function" then
    return mark_items(first), ...
  end
  mark_one(first)
  return first, ...
end

local function results(ok, first, ...)
  if ok then
    return mark(first, ...)
  elseif type(first) == "table" and first.kind then
    first.simulated = true
  end
  return error(first, 0)
end

-- marked(client, fn, ...) -> what fn(client, ...) returns or raises: of a simulated engine with
-- simulated=true in each table, error, and item of a list or of an iterator; of a real one as it is.
local function marked(client, fn, ...)
  if client and client.simulated then
    return results(pcall(fn, client, ...))
  end
  return fn(client, ...)
end

return marked
