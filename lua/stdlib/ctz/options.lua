-- options.lua: the options table of a function: names, types, what is required.
-- SPDX-License-Identifier: MIT
local new_error = require("ctz.core.task").error
local problems = require "ctz.problems"
local secret = require "ctz.secret"
local units = require "ctz.units"

local sorted_keys, suggestion = problems.sorted_keys, problems.suggestion
local error, math_type, next = error, math.type, next
local byte = string.byte
local pairs, pcall, tostring, type = pairs, pcall, tostring, type

local REQUIRED <const> = byte "!"

local function usage(op, text, ...)
  error(new_error { kind = "usage", op = op, message = text:format(...) }, 0)
end

local function is_secret(value)
  return type(value) == "userdata" and (pcall(secret, value)) -- it takes texts and secrets only
end

-- What the names of Lua's types do not tell. Each is a function(value) -> is it one?
local kinds = {
  any = function()
    return true
  end,
  integer = function(value)
    return math_type(value) == "integer"
  end,
  count = function(value)
    return math_type(value) == "integer" and value >= 0
  end,
  seconds = function(value)
    return type(value) == "number" and value >= 0
  end,
  list = function(value)
    return type(value) == "table" and (#value > 0 or next(value) == nil)
  end,
  secret = is_secret,
  bytes = function(value)
    return units.bytes(value) ~= nil
  end,
  duration = function(value)
    return units.nanoseconds(value) ~= nil
  end,
  cpus = function(value)
    return units.nano_cpus(value) ~= nil
  end,
  time = function(value)
    return units.timestamp(value) ~= nil
  end,
}

-- The same in words.
local words <const> = {
  any = "a value",
  count = "an integer, 0 or more",
  seconds = "seconds, 0 or more",
  list = "a list",
  bytes = "a size such as \"512m\" or a number of bytes",
  duration = "a duration such as \"1m30s\" or a number of seconds",
  cpus = "a number of CPUs such as 1.5",
  time = "a time such as \"2024-05-01T12:00:00Z\", \"10m\" ago or seconds since 1970",
}

local function is_of(value, rule)
  for name in rule:gmatch "%a+" do
    local kind = kinds[name]
    if kind and kind(value) or not kind and type(value) == name then
      return true
    end
  end
  return false
end

local function expected(rule)
  return (rule:gsub("!", ""):gsub("%a+", words):gsub("|", " or "))
end

local function got(value)
  local kind = type(value)
  if kind == "number" or kind == "boolean" then
    return tostring(value)
  elseif kind == "string" and #value <= 40 then
    return '"' .. value .. '"'
  end
  return is_secret(value) and "a secret" or kind
end

-- Raises the first problem in the order of names, so that the same mistake gives the same message.
local function raise(op, opts, rules)
  for _, name in pairs(sorted_keys(opts)) do
    local rule, value = rules[name], opts[name]
    if type(name) ~= "string" then
      usage(op, "bad argument 'opts' to '%s': an option has a name, got a %s as key", op, type(name))
    elseif not rule then
      usage(op, "unknown option '%s' to '%s'; %s", name, op,
        next(rules) and suggestion(name, sorted_keys(rules)) or "it takes none")
    elseif not is_of(value, rule) then
      usage(op, "bad argument 'opts.%s' to '%s': expected %s, got %s", name, op, expected(rule), got(value))
    end
  end
  for _, name in pairs(sorted_keys(rules)) do
    if opts[name] == nil and byte(rules[name], -1) == REQUIRED then
      usage(op, "'%s' needs the option '%s': %s", op, name, expected(rules[name]))
    end
  end
end

-- check(op, opts, rules) -> opts, or {} for nil. op: the public name ("docker.containers.start").
-- rules: name -> "string", "table|string"; "!" behind it: required. Beside Lua's types there are
-- any integer count seconds list secret, and what units.lua reads: bytes duration cpus time.
local function check(op, opts, rules)
  if opts == nil then
    opts = {}
  elseif type(opts) ~= "table" then
    usage(op, "bad argument 'opts' to '%s': expected table, got %s", op, got(opts))
  end
  for name, value in pairs(opts) do
    local rule = rules[name]
    if not rule or rule ~= type(value) and not is_of(value, rule) then
      raise(op, opts, rules)
    end
  end
  for name, rule in pairs(rules) do
    if opts[name] == nil and byte(rule, -1) == REQUIRED then
      raise(op, opts, rules)
    end
  end
  return opts
end

return { check = check, is_secret = is_secret }
