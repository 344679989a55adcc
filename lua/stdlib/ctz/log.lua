-- log.lua: what a recipe says about itself, on stderr.
-- SPDX-License-Identifier: MIT
local core = require "ctz.core.log"
local new_error = require("ctz.core.task").error

local error, next, pairs, tostring, type = error, next, pairs, tostring, type
local sort = table.sort
local shows, write = core.shows, core.write

local function usage(name, expected, value, fn)
  local text = ("bad argument '%s' to 'log.%s': expected %s, got %s"):format(name, fn, expected, type(value))
  error(new_error { kind = "usage", message = text }, 3)
end

local function text_of(value)
  local kind = type(value)
  if kind == "string" or kind == "number" or kind == "boolean" then
    return value
  end
  if kind == "table" then
    local meta = getmetatable(value)
    if not (type(meta) == "table" and meta.__tostring or meta and type(meta) ~= "table") then
      return require("ctz.inspect")(value, { width = math.huge })
    end
  end
  return tostring(value)
end

-- {name, value, name, value...}, sorted by name.
local function flat(fields)
  local names, values = {}, {}
  for key, value in pairs(fields) do
    local name = tostring(key)
    names[#names + 1] = name
    values[name] = value
  end
  sort(names)
  local list = {}
  for i, name in ipairs(names) do
    list[2 * i - 1] = name
    list[2 * i] = text_of(values[name])
  end
  return list
end

local function log(level, message, fields)
  if type(message) ~= "string" then
    usage("message", "string", message, level)
  end
  if fields ~= nil and type(fields) ~= "table" then
    usage("fields", "table", fields, level)
  end
  if shows(level) then
    write(level, message, fields and next(fields) ~= nil and flat(fields) or nil)
  end
end

--- ctz.log.debug(message, fields?)
--- Writes a line that only --debug shows.
--- @param message string
--- @param fields? table  names and values that belong to it, shown as name=value
--- @example ctz.log.debug("cache miss", {key="base"})
local function debug(message, fields)
  log("debug", message, fields)
end

--- ctz.log.info(message, fields?)
--- Writes a line to stderr, with the time and the task: for people as "12:34:56.789 info  message
--- name=value", with --progress json as a JSON object. Not with --quiet. Secrets are masked, control
--- characters made visible.
--- @param message string
--- @param fields? table  names and values that belong to it
--- @example ctz.log.info("pulled", {image="web:1.2", layers=7})
local function info(message, fields)
  log("info", message, fields)
end

--- ctz.log.warn(message, fields?)
--- As ctz.log.info for what somebody should look at; --quiet shows it too.
--- @param message string
--- @param fields? table
--- @example ctz.log.warn("no tag given, using latest")
local function warn(message, fields)
  log("warn", message, fields)
end

--- ctz.log.error(message, fields?)
--- As ctz.log.warn for a failure that the recipe survives; what it does not survive is raised.
--- @param message string
--- @param fields? table  an error value may be among them
--- @example local _, err = ctz.try(error, ctz.error{kind="io", message="disk is full"})
--- @example ctz.log.error("cannot write the report", {cause=err})
local function log_error(message, fields)
  log("error", message, fields)
end

return { debug = debug, info = info, warn = warn, error = log_error }
