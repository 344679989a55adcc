-- docker/names.lua: what a recipe calls an object of the engine, checked before anything is sent.
-- SPDX-License-Identifier: MIT
local escape = require("ctz.docker.client").escape
local new_error = require("ctz.core.task").error

local error, type = error, type

local function usage(op, text, ...)
  error(new_error { kind = "usage", op = op, message = text:format(...) }, 0)
end

-- The id of an object, or the name as it is.
local function name_of(op, what, value)
  if type(value) == "table" and type(value.id) == "string" then
    return value.id, value.name or value.id
  elseif type(value) ~= "string" then
    usage(op, "bad argument '%s' to '%s': expected a name, an id or a %s, got %s", what, op, what, type(value))
  elseif #value > 255 or not value:find "^/?[%w][%w_.%-]*$" then
    usage(op, "bad argument '%s' to '%s': %q is no name: letters, digits and _ . - after a letter or digit",
      what, op, value:sub(1, 80))
  end
  return value, value
end

-- path, target of a container, as a name or an object
local function container(op, value)
  local id, shown = name_of(op, "container", value)
  return "/containers/" .. escape(id), "container " .. shown
end

return { container = container, name_of = name_of }
