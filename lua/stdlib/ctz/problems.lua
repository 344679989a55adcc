-- problems.lua: collects what is wrong with a description, to tell all of it at once.
-- SPDX-License-Identifier: MIT
local host_nearest = require("ctz.core.host").nearest
local new_error = require("ctz.core.task").error

local concat, move, sort = table.concat, table.move, table.sort
local byte, error, min, pairs, setmetatable, tostring, type = string.byte, error, math.min, pairs, setmetatable,
  tostring, type

local SHOWN <const> = 20 -- problems in one message
local NAMES_AT_ONCE <const> = 200 -- that the host compares in one call

-- The order of bytes; < on strings follows the locale, which may not change an image.
local function byte_less(a, b)
  for i = 1, min(#a, #b) do
    local left, right = byte(a, i), byte(b, i)
    if left ~= right then
      return left < right
    end
  end
  return #a < #b
end

local function sorted_keys(map)
  local keys = {}
  for key in pairs(map) do
    keys[#keys + 1] = key
  end
  sort(keys, function(a, b)
    if type(a) ~= "string" or type(b) ~= "string" then
      return type(a) ~= "string" and type(b) == "string"
    end
    return byte_less(a, b)
  end)
  return keys
end

-- The one of the names, however many, that was probably meant; nil when none is near.
local function nearest(wrong, names)
  if #names <= NAMES_AT_ONCE then
    return host_nearest(wrong, names)
  end
  local best = {}
  for at = 1, #names, NAMES_AT_ONCE do
    best[#best + 1] = host_nearest(wrong, move(names, at, at + NAMES_AT_ONCE - 1, 1, {}))
  end
  return nearest(wrong, best)
end

-- What to say of a name that is not among names.
local function suggestion(wrong, names)
  local near = nearest(wrong, names)
  return near and ("did you mean '%s'?"):format(near) or "it takes " .. concat(names, ", ")
end

local Problems = {}
Problems.__index = Problems

-- One problem. where: "layers[1].from"; kind: of ctz.error; facts: hint, target.
function Problems:add(kind, where, text, facts)
  facts = facts or {}
  self[#self + 1] = {
    kind = kind,
    message = where .. ": " .. text,
    hint = facts.hint,
    target = facts.target,
    code = facts.code,
  }
end

function Problems:usage(where, format, ...)
  self:add("usage", where, format:format(...))
end

-- What a door raised, as a problem of that place; a cancel goes on.
function Problems:add_error(where, err)
  if type(err) ~= "table" or not err.kind or err.kind == "cancelled" or err.kind == "timeout" then
    error(err, 0)
  end
  self:add(err.kind, where, err.message, err)
end

-- Is it a value of that type? nil passes unless required.
function Problems:check(value, expected, where, required)
  if value == nil and not required then
    return false
  elseif type(value) ~= expected then
    self:usage(where, "expected %s, got %s", expected, value == nil and "nothing" or type(value))
    return false
  end
  return true
end

-- Every key of map is among names.
function Problems:check_keys(map, names, where)
  local known = {}
  for _, name in ipairs(names) do
    known[name] = true
  end
  for _, key in ipairs(sorted_keys(map)) do
    if type(key) ~= "string" then
      self:usage(where, "unexpected [%s]; its fields have names: %s", tostring(key), concat(names, ", "))
    elseif not known[key] then
      self:usage(where, "unknown field '%s'; %s", key, suggestion(key, names))
    end
  end
end

-- Raises one error for all problems; returns when there is none.
function Problems:raise(op)
  if #self == 0 then
    return
  elseif #self == 1 then
    self[1].op = op
    error(new_error(self[1]), 0)
  end
  local kind, lines = self[1].kind, { #self .. " problems:" }
  for i, problem in ipairs(self) do
    kind = problem.kind == kind and kind or "usage"
    if i <= SHOWN then
      lines[#lines + 1] = "  " .. problem.message .. (problem.hint and " (" .. problem.hint .. ")" or "")
    end
  end
  if #self > SHOWN then
    lines[#lines + 1] = ("  and %d more"):format(#self - SHOWN)
  end
  error(new_error { kind = kind, op = op, message = concat(lines, "\n") }, 0)
end

return {
  new = function()
    return setmetatable({}, Problems)
  end,
  byte_less = byte_less,
  nearest = nearest,
  sorted_keys = sorted_keys,
  suggestion = suggestion,
}
