-- kubernetes/plain.lua: what is sent of a manifest: its secrets as they are.
-- SPDX-License-Identifier: MIT
local is_secret = require("ctz.options").is_secret
local json = require "ctz.json"

local getmetatable, next, setmetatable, type = getmetatable, next, setmetatable, type

local function has_secret(value)
  if type(value) == "userdata" then
    return value ~= json.null and is_secret(value)
  elseif type(value) == "table" then
    for _, one in next, value do
      if (type(one) == "table" or type(one) == "userdata") and has_secret(one) then
        return true
      end
    end
  end
  return false
end

local function copy_of(value)
  if type(value) == "userdata" then
    return value ~= json.null and is_secret(value) and value:reveal() or value
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, one in next, value do
    copy[key] = copy_of(one)
  end
  return setmetatable(copy, getmetatable(value))
end

-- plain(value) -> the value, or where there are secrets in it a copy with what they hide: for the body of
-- a request, and nothing else.
return function(value)
  return has_secret(value) and copy_of(value) or value
end
