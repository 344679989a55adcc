-- docker/object.lua: what the collections of networks, volumes and images have in common.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local escape = require("ctz.docker.client").escape
local host = require "ctz.core.host"
local marked = require "ctz.docker.marked"
local new_error = require("ctz.core.task").error
local table_of = require("ctz.docker.values").table_of

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local rawget, setmetatable, tostring, type = rawget, setmetatable, tostring, type
local find, format = string.find, string.format
local move, sort = table.move, table.sort

local NAMES_AT_ONCE <const> = 200 -- that host.nearest compares in one call
local NAME <const> = "^[%w][%w_.%-]*$"
local NAME_BYTES <const> = 255

local function usage(op, text, ...)
  error(new_error { kind = "usage", op = op, message = text:format(...) }, 0)
end

-- --- names -------------------------------------------------------------------------------------

-- A name that the engine would take, refused before anything is sent.
local function check_name(op, what, value)
  if type(value) ~= "string" then
    usage(op, "bad argument '%s' to '%s': expected a name, an id or a %s, got %s", what, op, what, type(value))
  elseif #value > NAME_BYTES or not find(value, NAME) then
    usage(op, "bad argument '%s' to '%s': %q is no name: letters, digits and _ . - after a letter or digit",
      what, op, value:sub(1, 80))
  end
  return value
end

-- The part of a path, and the text for errors, of a name, an id or an object.
local function subject(op, what, value)
  if type(value) == "table" and type(value.id) == "string" then
    return escape(value.id), what .. " " .. (rawget(value, "name") or value.id)
  end
  return escape(check_name(op, what, value)), what .. " " .. value
end

-- The path of a container, and the text for errors.
local function container(op, value)
  local part, shown = subject(op, "container", value)
  return "/containers/" .. part, shown
end

-- --- near names --------------------------------------------------------------------------------

-- The one of the names that was probably meant, nil when none is near.
local function nearest(wrong, names)
  local best = {}
  for at = 1, #names, NAMES_AT_ONCE do
    best[#best + 1] = host.nearest(wrong, move(names, at, at + NAMES_AT_ONCE - 1, 1, {}))
  end
  return #best > 1 and host.nearest(wrong, best) or best[1]
end

-- client:call; when the engine has no such thing the hint names the nearest that it has. opts as of
-- client:call, and name: what was asked for, names(): those that there are, shows: who lists them.
local function call(client, method, path, opts)
  local done, value, status = pcall(client.call, client, method, path, opts)
  if done then
    return value, status
  end
  if type(value) == "table" and value.kind == "not_found" and not value.hint and opts.names then
    local listed, names = pcall(opts.names)
    local near = listed and nearest(opts.name, names)
    value.hint = (near and format("did you mean %q? ", near) or "") .. opts.shows .. " shows all"
  end
  error(value, 0)
end

-- --- values ------------------------------------------------------------------------------------

-- {name = value} or {"name=value", "name"} -> the engine's map of texts, nil when there is none
local function map_of(fields)
  local map = {}
  for name, value in pairs(fields or {}) do
    if type(name) == "string" then
      map[name] = tostring(value)
    else
      local before, after = tostring(value):match "^([^=]*)=(.*)$"
      map[before or tostring(value)] = after or ""
    end
  end
  return next(map) and map or nil
end

local function texts_of(value)
  if type(value) ~= "table" then
    return { tostring(value) }
  end
  local texts = {}
  for name, one in pairs(value) do
    texts[#texts + 1] = type(name) == "string" and name .. "=" .. tostring(one) or tostring(one)
  end
  sort(texts)
  return texts
end

-- {label = "a=b", label = {a = "b"}, name = {"x", "y"}} -> the engine's map of lists, nil when empty.
-- known: names as "name label ..."; the engine's answer to another one does not name those.
local function filters(op, wanted, known)
  if wanted == nil then
    return nil
  end
  local rules = {}
  for name in known:gmatch "%S+" do
    rules[name] = "string|number|boolean|table"
  end
  check(op .. " (filters)", wanted, rules)
  local map = {}
  for name, value in pairs(wanted) do
    map[name] = texts_of(value)
  end
  return next(map) and map or nil
end

local function by_name(left, right)
  return left.name < right.name
end

-- --- objects -----------------------------------------------------------------------------------

-- class("ctz.docker.network", networks, "inspect remove") -> function(client, fields): makes an object
-- whose methods are those functions of the collection: network:remove(opts) is networks.remove(network,
-- opts). What pairs shows is what the engine said; the client stands behind.
local function class(name, functions, words)
  local methods = {}
  for verb in words:gmatch "%S+" do
    methods[verb] = function(self, ...)
      return marked(self.client, functions[verb], self, ...)
    end
  end
  return function(client, fields)
    return setmetatable(fields, {
      __name = name,
      __index = function(_, key)
        return key == "client" and client or methods[key]
      end,
    })
  end
end

-- A list of objects from the engine's list.
local function list_of(raw, make)
  local list = {}
  for i, one in ipairs(table_of(raw)) do
    list[i] = make(one)
  end
  return list
end

-- Raises unless the engine knows the option.
local function needs(client, version, option, op)
  if not client:at_least(version, op) then
    error(new_error {
      kind = "unsupported",
      op = op,
      message = format("the option '%s' needs API %s; this engine has %s", option, version, client.api),
    }, 0)
  end
end

-- Tells what the engine warns of.
local function warn(text)
  if type(text) == "string" and text ~= "" then
    require("ctz.log").warn(text)
  end
end

return {
  by_name = by_name,
  call = call,
  check_name = check_name,
  class = class,
  container = container,
  filters = filters,
  list_of = list_of,
  map_of = map_of,
  nearest = nearest,
  needs = needs,
  subject = subject,
  usage = usage,
  warn = warn,
}
