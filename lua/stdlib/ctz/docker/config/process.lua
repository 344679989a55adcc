-- docker/config/process.lua: the image, and the process that a container runs.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local read = require "ctz.docker.config.read"
local reference = require "ctz.registry.reference"
local sorted_keys = require("ctz.problems").sorted_keys
local units = require "ctz.units"

local concat, unpack = table.concat, table.unpack
local getenv = os.getenv
local ipairs, math_type, pcall, tostring, type = ipairs, math.type, pcall, tostring, type

-- --- image, name -------------------------------------------------------------------------------

local last_image -- that was right: one image is run many times

local function read_image(value, where, problems)
  value = read.filled(value, where, problems)
  if not value or value == last_image or value:find "^%x+$" and #value == 64 or value:find "^sha256:%x+$" then -- an id
    return value
  end
  local parts, problem, hint = reference.read(value)
  if not parts then
    problems:add("usage", where, ("%s: %s"):format((read.show(value)), problem), { hint = hint })
    return nil
  end
  last_image = value
  return value
end

local read_name <const> = read.like("a name of letters, digits, _, . and -, beginning with a letter or digit",
  "^[%w][%w_.-]+$")

-- --- words -------------------------------------------------------------------------------------

local function word(value, where, problems)
  if read.is_secret(value) then
    problems:add("usage", where, "it is a secret: everybody could see it in the list of processes",
      { hint = "environment takes secrets" })
    return nil
  end
  return read.text(value, where, problems)
end

local words <const> = read.list(word)

-- A list. One word may be a string; a line for a shell is not cut at blanks by guess.
local function read_words(value, where, problems)
  if type(value) == "string" and value:find "[%s'\"$`\\;&|<>*?()]" then
    problems:add("usage", where, "expected a list of words, got a line",
      { hint = ('{"sh", "-c", %q} runs it in a shell'):format(value) })
    return nil
  elseif value == "" then
    return json.array {}
  end
  return words(value, where, problems)
end

local function command_to_api(command, body)
  body.Config.Cmd = json.array { unpack(command) }
end

-- {} or "": no entrypoint, also not the image's. The engine knows that by one empty word.
local function entrypoint_to_api(entrypoint, body)
  body.Config.Entrypoint = json.array(#entrypoint == 0 and { "" } or { unpack(entrypoint) })
end

-- docker run takes one word; the others come before the command.
local function entrypoint_to_args(entrypoint, put)
  put("--entrypoint", entrypoint[1] or "")
  for i = 2, #entrypoint do
    put.word(entrypoint[i])
  end
end

local function command_to_args(command, put)
  for _, item in ipairs(command) do
    put.word(item)
  end
end

-- --- environment -------------------------------------------------------------------------------

local function is_variable(name)
  return type(name) == "string" and name ~= "" and not name:find "[=%z]"
end

local function read_value(value, where, problems)
  if read.is_secret(value) or value == false then
    return value
  elseif value == true then
    return problems:usage(where, 'expected a text, a number, a secret or false (takes it away); write "true"')
  end
  return read.text(value, where, problems)
end

-- The value that this program's environment has; false when there is none, as docker run -e NAME.
local function inherit(name)
  local ok, value = pcall(getenv, name)
  return { name = name, value = ok and value or false, inherited = true }
end

local function read_variable(key, item, where, problems)
  if type(item) == "string" and math_type(key) == "integer" then
    local name, value = item:match "^([^=]*)=(.*)$"
    if not name and is_variable(item) then
      return inherit(item)
    end
    key, item = name, value
  elseif type(item) == "table" and math_type(key) == "integer" then
    if item.inherited and is_variable(item.name) then
      return inherit(item.name)
    end
    key, item = item.name, item.value
  end
  if not is_variable(key) then
    return problems:usage(where, 'expected {NAME = "value"} or "NAME=value"; a name has no =')
  end
  local value = read_value(item, where, problems)
  return value ~= nil and { name = key, value = value } or nil
end

-- {A = "1"}, {"A=1", "HOME"} -> list of {name=, value= text | secret | false, inherited=}
local function read_environment(value, where, problems)
  if type(value) == "string" then
    value = { value }
  elseif type(value) ~= "table" then
    return read.refuse(problems, where, 'variables such as {NAME = "value"} or {"NAME=value"}', value)
  end
  local result, seen = {}, {}
  for _, key in ipairs(sorted_keys(value)) do
    if math_type(key) ~= "integer" then
      local at = ("%s.%s"):format(where, tostring(key))
      local variable = read_variable(key, value[key], at, problems)
      result[#result + 1] = variable
      seen[variable and variable.name or 0] = true
    end
  end
  for i, item in ipairs(value) do
    local at = ("%s[%d]"):format(where, i)
    local variable = read_variable(i, item, at, problems)
    if variable and seen[variable.name] then
      problems:usage(at, "%s is given twice", variable.name)
    elseif variable then
      seen[variable.name] = true
      result[#result + 1] = variable
    end
  end
  return result
end

local function plain(value)
  return read.is_secret(value) and value:reveal() or value
end

-- A bare name takes the image's variable away.
local function environment_to_api(environment, body)
  local list = json.array {}
  for i, variable in ipairs(environment) do
    local value = plain(variable.value)
    list[i] = value and variable.name .. "=" .. value or variable.name
  end
  body.Config.Env = list
end

-- Everybody sees arguments: docker takes secrets, and what is inherited, from its own environment.
local function environment_to_args(environment, put)
  for _, variable in ipairs(environment) do
    local value = variable.value
    if variable.inherited or type(value) ~= "string" then
      put("--env", variable.name)
      put.environment(variable.name, value)
    else
      put("--env", variable.name .. "=" .. value)
    end
  end
end

-- --- healthcheck -------------------------------------------------------------------------------

local function read_test(value, where, problems)
  if type(value) == "string" then
    return read.filled(value, where, problems)
  end
  local list = words(value, where, problems)
  if not list or #list == 0 then
    return list and problems:usage(where, "it is empty")
  elseif list[1] == "CMD-SHELL" then
    return concat(list, " ", 2)
  elseif list[1] == "CMD" then
    table.remove(list, 1)
  end
  return list
end

local read_health_table <const> = read.record({
  { "command", read_test },
  { "interval", read.seconds },
  { "timeout", read.seconds },
  { "start_period", read.seconds },
  { "start_interval", read.seconds },
  { "retries", read.integer(0, 2147483647) },
  { "disable", read.boolean },
}, 'a table such as {command = "curl -f http://localhost/", interval = "30s"}, or false')

-- false, {disable = true} and {command = {"NONE"}} switch the image's check off.
local function read_health(value, where, problems)
  if value == false then
    return { disable = true }
  end
  local health = read_health_table(value, where, problems)
  if not health then
    return nil
  elseif type(health.command) == "table" and health.command[1] == "NONE" and #health.command == 1 then
    health.command, health.disable = nil, true
  elseif health.disable == false then
    health.disable = nil
  end
  if health.disable and next(health, next(health)) then
    return problems:usage(where, "it is switched off, so it has no other fields")
  end
  return health
end

local function health_to_api(health, body)
  local test = health.disable and { "NONE" } or type(health.command) == "string" and { "CMD-SHELL", health.command }
    or health.command and { "CMD", unpack(health.command) }
  body.since("1.44", "healthcheck", "start_interval", health.start_interval)
  local function nanoseconds(name)
    return health[name] and (units.nanoseconds(health[name]))
  end
  body.Config.Healthcheck = {
    Test = test and json.array(test) or nil,
    Interval = nanoseconds "interval",
    Timeout = nanoseconds "timeout",
    StartPeriod = nanoseconds "start_period",
    StartInterval = nanoseconds "start_interval",
    Retries = health.retries,
  }
end

local function health_to_args(health, put)
  if health.disable then
    put.flag("--no-healthcheck", true)
    return
  end
  if type(health.command) == "table" then
    put("--health-cmd", read.quote_words(health.command))
    put.note "healthcheck.command: docker run knows a line for a shell only, so the words are quoted for one"
  else
    put.some("--health-cmd", health.command)
  end
  for _, name in ipairs { "interval", "timeout", "start_period", "start_interval" } do
    local seconds = health[name]
    put.some("--health-" .. name:gsub("_", "-"), seconds and read.number_text(seconds) .. "s")
  end
  put.some("--health-retries", health.retries)
end

-- --- streams -----------------------------------------------------------------------------------

-- true, or what the process reads: a text, a secret, a function that gives pieces, {file=} or {text=}.
local function read_stdin(value, where, problems)
  local kind = type(value)
  if kind == "boolean" or kind == "string" or kind == "function" or read.is_secret(value) then
    return value
  elseif kind == "table" and (type(value.file) == "string" or value.text ~= nil) then
    return value
  end
  return read.refuse(problems, where, "true, a text, a secret or {file = path}", value)
end

-- Which streams somebody is attached to: docker inspect shows it, the engine acts on StdinOnce.
local function streams_to_api(config, body)
  local has_stdin, is_attached = config.stdin ~= nil and config.stdin ~= false, not config.detach
  body.Config.OpenStdin = has_stdin
  body.Config.AttachStdin = has_stdin and is_attached
  body.Config.StdinOnce = has_stdin and is_attached
  body.Config.AttachStdout = is_attached
  body.Config.AttachStderr = is_attached
end

local function streams_to_args(config, put)
  if config.detach then
    put.flag("--detach", true)
  end
  if config.stdin then
    put.flag("--interactive", true)
  end
end

return {
  fields = {
    { name = "image", read = read_image },
    { name = "name", read = read_name },
    { name = "detach", read = read.boolean },
    { name = "stdin", read = read_stdin },
    { name = "entrypoint", read = read_words, api = entrypoint_to_api, args = entrypoint_to_args },
    { name = "command", read = read_words, api = command_to_api, args = command_to_args },
    { name = "environment", read = read_environment, api = environment_to_api, args = environment_to_args },
    { name = "healthcheck", read = read_health, api = health_to_api, args = health_to_args },
  },
  streams_to_api = streams_to_api,
  streams_to_args = streams_to_args,
}
