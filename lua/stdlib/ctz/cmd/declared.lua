-- cmd/declared.lua: what a recipe declares, found by running it up to its ctz.params with every door
-- closed. For ctz check and ctz run RECIPE --help.
-- SPDX-License-Identifier: MIT
local cli = require "ctz.core.cli"
local task = require "ctz.core.task"

local DEADLINE_S <const> = 5
local STOP <const> = {} -- raised by ctz.params

local declared = {}

-- --- Lua's own doors -------------------------------------------------------------------------------

local closed = {
  io = { "open", "popen", "lines", "input", "output", "read", "tmpfile" },
  os = { "execute", "remove", "rename", "tmpname", "exit" },
  package = { "loadlib" },
}

local function place()
  return task.error({ kind = "usage", message = "" }).at
end

-- What was printed before ctz.params: {what=, at=}; it is not shown.
local printed

local function close_lua()
  for library, names in pairs(closed) do
    for _, name in ipairs(names) do
      local what = library .. "." .. name
      _G[library][name] = function()
        error(task.error { kind = "denied", op = what, message = "not before ctz.params" }, 0)
      end
    end
  end
  local function note(what)
    return function()
      printed[#printed + 1] = { what = what, at = place() }
    end
  end
  local library = _G.io
  _G.print = note "print"
  library.write = note "io.write"
  library.stdout = setmetatable({}, { __index = { write = note "io.stdout:write", flush = note "io.stdout:flush" } })
  library.stderr = setmetatable({}, { __index = { write = note "io.stderr:write", flush = note "io.stderr:flush" } })
end

-- Closes every door for the rest of this process.
function declared.close()
  cli.close_doors()
  close_lua()
end

-- --- running ---------------------------------------------------------------------------------------

local function describe(declaration)
  return {
    name = declaration[1],
    type = declaration[2] or "string",
    help = declaration.help,
    default = declaration.default,
    required = declaration.default == nil and not declaration.optional,
    choices = declaration.choices,
    of = declaration.of,
    min = declaration.min,
    max = declaration.max,
  }
end

local function early_of(err)
  if type(err) == "table" and err.kind == "denied" and err.op then
    return { what = err.op, at = err.at }
  end
end

-- Runs a loaded recipe until it calls ctz.params; the doors are closed. Returns {params=, early=,
-- stopped=, failure=}. params is nil when it did not get there: stopped is then the work that it
-- wanted to do first, {what=, at=}, or failure the error that ended it; or it has no ctz.params.
-- early is what it printed before.
function declared.of(recipe)
  local params
  printed = {}
  function cli.on_params(declarations)
    if not params then
      params = {}
      for i, declaration in ipairs(declarations) do
        params[i] = describe(declaration)
      end
    end
    error(STOP, 0)
  end
  local ok, err = pcall(task.timeout, DEADLINE_S, recipe)
  cli.on_params = nil
  local early = not params and not ok and early_of(err)
  local is_failure = not params and not ok and not early
  return { params = params, early = printed, stopped = early or nil, failure = is_failure and err or nil }
end

-- --- for people ------------------------------------------------------------------------------------

local function default_text(param)
  local value = param.default
  if param.required then
    return "required"
  elseif value == nil then
    return "optional"
  elseif type(value) == "table" then
    local list = {}
    for i, item in ipairs(value) do
      list[i] = tostring(item)
    end
    value = table.concat(list, ",")
  end
  return "default " .. tostring(value)
end

local function type_text(param)
  if param.type == "enum" then
    return table.concat(param.choices, "|")
  elseif param.type == "list" then
    return (param.of or "string") .. ",..."
  end
  return param.type
end

-- Lines of text that show the parameters.
function declared.lines(params)
  local lines, width = {}, 0
  local left = {}
  for i, param in ipairs(params) do
    left[i] = ("%s=%s"):format(param.name, type_text(param))
    width = math.max(width, #left[i])
  end
  width = math.min(width, 36)
  for i, param in ipairs(params) do
    local help = param.help and param.help .. " " or ""
    lines[i] = ("  %s  %s(%s)"):format(left[i] .. (" "):rep(width - #left[i]), help, default_text(param))
  end
  return lines
end

return declared
