-- params.lua: what a recipe wants to be told on the command line.
-- SPDX-License-Identifier: MIT
--
-- Words of the form name=value before "--" belong to parameters. `ctz run recipe.lua --help` and
-- `ctz check` run the recipe up to this call with every door closed (cmd/declared.lua).
local cli = require "ctz.core.cli"
local host = require "ctz.core.host"
local task = require "ctz.core.task"

local error, ipairs, io_stdin = error, ipairs, io.stdin
local math_type, tointeger, tonumber, tostring, type = math.type, math.tointeger, tonumber, tostring, type
local nearest = host.nearest

local SECRET_BYTES <const> = 1 << 16

local function usage(text, ...)
  error(task.error { kind = "usage", op = "params", message = text:format(...) }, 0)
end

-- --- image references ------------------------------------------------------------------------------

local SCHEMES <const> = { "docker:", "docker-archive:", "oci:", "oci-archive:", "rootfs:" }

local function is_reference(text)
  for _, scheme in ipairs(SCHEMES) do
    if text:sub(1, #scheme) == scheme then
      return #text > #scheme and not text:find "[%z\n]"
    end
  end
  return require("ctz.registry.reference").read(text) ~= nil
end

-- --- values ----------------------------------------------------------------------------------------

local readers = {} -- type -> function(text, declaration) -> value, or nil and what was expected

function readers.string(text)
  return text
end

function readers.int(text)
  local number = text:find "^[+-]?%d+$" and tointeger(tonumber((text:gsub("^%+", ""))))
  return number, "a whole number"
end

function readers.number(text)
  local number = text:find "^[+-]?%.?%d" and not text:find "[xX]" and tonumber((text:gsub("^%+", "")))
  if number and number - number ~= 0 then -- infinite
    number = nil
  end
  return number or nil, "a number"
end

local booleans = {
  ["true"] = true, yes = true, on = true, ["1"] = true,
  ["false"] = false, no = false, off = false, ["0"] = false,
}

function readers.bool(text)
  return booleans[text:lower()], "true or false"
end

function readers.path(text)
  return text ~= "" and not text:find "%z" and text or nil, "a path"
end

function readers.ref(text)
  return is_reference(text) and text or nil, "an image reference, as docker.io/library/alpine:3"
end

function readers.enum(text, declaration)
  for _, choice in ipairs(declaration.choices) do
    if choice == text then
      return text
    end
  end
  local near = nearest(text, declaration.choices)
  local list = table.concat(declaration.choices, ", ")
  return nil, "one of " .. list .. (near and (' (did you mean "%s"?)'):format(near) or "")
end

function readers.seconds(text)
  return cli.seconds(text), "a time, as 90, 500ms, 2m or 1h30m"
end

function readers.bytes(text)
  return cli.bytes(text), "a size, as 512k, 64m or 1g"
end

function readers.list(text, declaration)
  local list = {}
  if text == "" then
    return list
  end
  for item in (text .. ","):gmatch "([^,]*)," do
    local value, expected = readers[declaration.of or "string"](item, declaration)
    if value == nil then
      return nil, "a list of: " .. expected
    end
    list[#list + 1] = value
  end
  return list
end

local function read_stdin()
  local text, message = io_stdin:read(SECRET_BYTES)
  if not text and not message then
    return "" -- the end
  end
  return text, message
end

-- A secret is named, not written: @FILE, @- (stdin) or env:NAME. Returns nil and why not.
local function read_secret(text)
  local value, message
  if text == "@-" then
    value, message = read_stdin()
  elseif text:find "^@." or text:find "^env:." then
    value, message = cli.secret(text)
  else
    return nil, "a secret is not written on the command line: use @FILE, @- (stdin) or env:NAME"
  end
  if not value then
    return nil, message
  end
  value = value:gsub("\r?\n$", "")
  if value == "" then
    return nil, "the secret is empty"
  end
  return value
end

function readers.secret(text)
  local value, message = read_secret(text)
  if not value then
    return nil, message, true
  end
  return require "ctz.secret"(value)
end

-- --- declarations ----------------------------------------------------------------------------------

local type_names = {}
for name in pairs(readers) do
  type_names[#type_names + 1] = name
end
table.sort(type_names)

local fields = { "help", "default", "optional", "choices", "of", "min", "max", 1, 2 }
local known_fields, field_names = {}, {}
for _, field in ipairs(fields) do
  known_fields[field] = true
  field_names[#field_names + 1] = type(field) == "string" and field or nil
end

local function suggestion(wrong, names)
  local near = nearest(wrong, names)
  return near and ('; did you mean "%s"?'):format(near) or ""
end

local function check_fields(declaration, name)
  for field in pairs(declaration) do
    if not known_fields[field] then
      usage("parameter %s: unknown field '%s'%s", name, field, suggestion(tostring(field), field_names))
    end
  end
end

local numeric = { int = true, number = true, seconds = true, bytes = true }

local function check_declaration(declaration, index)
  if type(declaration) ~= "table" or type(declaration[1]) ~= "string" then
    usage('parameter %d: expected {"name", "type", help=...}', index)
  end
  local name, kind = declaration[1], declaration[2] or "string"
  if not name:find "^[%a_][%w_-]*$" then
    usage("parameter %d: \"%s\" is not a name", index, name)
  end
  if not readers[kind] then
    usage("parameter %s: no type is called \"%s\"%s", name, tostring(kind), suggestion(tostring(kind), type_names))
  end
  check_fields(declaration, name)
  if kind == "enum" and type(declaration.choices) ~= "table" then
    usage("parameter %s: an enum needs choices={...}", name)
  end
  local of = declaration.of
  if of and (not readers[of] or of == "list" or of == "secret") then
    usage("parameter %s: no list of type \"%s\"%s", name, of, suggestion(of, type_names))
  end
  if (declaration.min or declaration.max) and not numeric[kind] then
    usage("parameter %s: min and max are for numbers", name)
  end
end

-- The value of one text; nil and the reason.
local function read(declaration, text)
  local kind = declaration[2] or "string"
  local value, expected, is_reason = readers[kind](text, declaration)
  if value == nil then
    return nil, is_reason and expected or ("expected %s, got \"%s\""):format(expected, text)
  end
  if declaration.min and value < declaration.min or declaration.max and value > declaration.max then
    return nil, ("expected %s to %s, got %s"):format(declaration.min or "anything", declaration.max or "anything", text)
  end
  return value
end

local lua_types = { int = "number", number = "number", seconds = "number", bytes = "number", bool = "boolean" }

-- A default is a value of the type, or a text as on the command line.
local function default_of(declaration)
  local kind, value = declaration[2] or "string", declaration.default
  if type(value) == "string" then
    return read(declaration, value)
  elseif kind == "list" and type(value) == "table" or type(value) == lua_types[kind] then
    if kind == "int" and math_type(value) ~= "integer" then
      return nil, "expected a whole number"
    end
    return value
  end
  return nil, ("expected a %s"):format(kind)
end

local function index_of(declarations)
  local by_name, names = {}, {}
  for index, declaration in ipairs(declarations) do
    check_declaration(declaration, index)
    local name = declaration[1]
    if by_name[name] then
      usage("parameter %s is declared twice", name)
    end
    by_name[name] = declaration
    names[index] = name
  end
  return by_name, names
end

-- --- the words -------------------------------------------------------------------------------------

-- Takes name=value out of the first `count` words. Returns name -> list of texts, in order of names.
local function take_words(words, count)
  local given, order, at = {}, {}, 1
  while at <= count do
    local name, text = words[at]:match "^([%a_][%w_-]*)=(.*)$"
    if name then
      if not given[name] then
        given[name] = {}
        order[#order + 1] = name
      end
      table.insert(given[name], text)
      table.remove(words, at)
      count = count - 1
    else
      at = at + 1
    end
  end
  return given, order
end

local function value_of(declaration, texts)
  if not texts then
    if declaration.default ~= nil then
      return default_of(declaration)
    elseif declaration.optional then
      return nil
    end
    return nil, "is required"
  elseif declaration[2] == "list" then
    return read(declaration, table.concat(texts, ","))
  elseif #texts > 1 then
    return nil, "is given twice"
  end
  return read(declaration, texts[1])
end

local function raise_problems(problems)
  local recipe = cli.args()[0]
  local err = task.error {
    kind = "usage",
    op = "params",
    message = #problems == 1 and problems[1]
      or ("%d problems with the parameters:\n    %s"):format(#problems, table.concat(problems, "\n    ")),
    hint = recipe and recipe ~= "-" and ("ctz run %s --help shows the parameters"):format(recipe) or nil,
    exit_status = 2,
  }
  err.at = nil -- it is not the recipe's fault
  error(err, 0)
end

local function guard(values, by_name, names)
  return setmetatable(values, {
    __name = "ctz.params",
    __index = function(_, name)
      if not by_name[name] then
        usage("no parameter is called \"%s\"%s", tostring(name), suggestion(tostring(name), names))
      end
    end,
  })
end

local was_called = false

--- ctz.params(declarations) -> table
--- Declares the parameters of the recipe and returns their values by name. They are given as
--- name=value: `ctz run deploy.lua image=web:1 replicas=3`. A parameter without `default` (and not
--- `optional`) is required. All that is wrong is reported at once, exit code 2. Words that are no
--- parameter stay in ctz.args. Call it once, before any work: `ctz run deploy.lua --help` and
--- `ctz check` run the recipe up to here with every door closed.
---
--- Types: string int number bool path ref enum list secret seconds bytes. An enum has `choices`, a
--- list (parted by commas, or given several times) may have `of`. A secret is named as @FILE, @-
--- (stdin) or env:NAME, and never printed.
--- @param declarations {[1]: string, [2]?: string, help?: string, default?: any, optional?: boolean}[]
--- @return table<string, any>
--- @error usage a parameter is missing, unknown or of the wrong type
--- @example local p = ctz.params{ {"replicas", "int", default=2, help="how many"}, {"name", default="web"} }
--- @example assert(p.replicas == 2 and p.name == "web")
local function params(declarations)
  if type(declarations) ~= "table" then
    usage("bad argument 'declarations' to 'params': expected table, got %s", type(declarations))
  end
  local by_name, names = index_of(declarations)
  if cli.on_params then
    cli.on_params(declarations)
  end
  if was_called then
    usage "ctz.params is called once"
  end
  was_called = true
  local given, order = take_words(cli.args(), cli.word_count())
  local values, problems = {}, {}
  for _, name in ipairs(names) do
    local value, problem = value_of(by_name[name], given[name])
    values[name] = value
    problems[#problems + 1] = problem and ("%s: %s"):format(name, problem)
  end
  for _, name in ipairs(order) do
    if not by_name[name] then
      problems[#problems + 1] = ("%s: no parameter has this name%s"):format(name, suggestion(name, names))
    end
  end
  if #problems > 0 then
    raise_problems(problems)
  end
  return guard(values, by_name, names)
end

return params
