-- image/config.lua: what a recipe says of a container's process becomes the OCI image config.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec v1.0, config.md; Healthcheck is Docker's addition to it.
local json = require "ctz.json"
local sorted_keys = require("ctz.problems").sorted_keys

local ipairs, math_type, pairs, tostring, type = ipairs, math.type, pairs, tostring, type

local FIELDS <const> = {
  "cmd", "command", "entrypoint", "env", "healthcheck", "labels", "ports", "stop_signal", "user", "volumes",
  "workdir",
}
local HEALTH_FIELDS <const> = { "command", "interval", "timeout", "start_period", "retries" }
local PROTOCOLS <const> = { tcp = true, udp = true, sctp = true }

local function has_nul(text)
  return text:find("\0", 1, true) ~= nil
end

-- Is every element a string, from 1 on without a hole?
local function check_strings(list, where, problems)
  local count = 0
  for key in pairs(list) do
    if math_type(key) ~= "integer" then
      problems:usage(where, "expected a list, got a field '%s'", tostring(key))
      return false
    end
    count = count + 1
  end
  for i = 1, count do
    if not problems:check(list[i], "string", ("%s[%d]"):format(where, i), true) then
      return false
    elseif has_nul(list[i]) then
      problems:usage(("%s[%d]"):format(where, i), "it holds a NUL byte")
      return false
    end
  end
  return true
end

local function read_command(value, where, problems)
  if value == nil then
    return nil
  elseif type(value) == "string" then
    problems:add("usage", where, "expected a list of words, got a string",
      { hint = ('{"sh", "-c", %q} runs it in a shell'):format(value) })
  elseif problems:check(value, "table", where) and check_strings(value, where, problems) then
    return json.array(value)
  end
  return nil
end

local function text_of(value)
  if type(value) == "string" then
    return value
  elseif math_type(value) == "integer" or type(value) == "boolean" then
    return tostring(value)
  end
  return nil
end

local function add_variable(list, seen, name, value, where, problems)
  if name == "" or has_nul(name) or has_nul(value) then
    problems:usage(where, "a variable has a name, and no NUL byte")
  elseif seen[name] then
    problems:usage(where, "%s is given twice", name)
  else
    seen[name] = true
    list[#list + 1] = name .. "=" .. value
  end
end

-- {"A=1", "B=2"} keeps its order; {A=1, B="2"} is sorted by name.
local function read_env(value, problems)
  if not problems:check(value, "table", "config.env") then
    return nil
  end
  local list, seen = json.array {}, {}
  for _, key in ipairs(sorted_keys(value)) do
    if math_type(key) ~= "integer" then
      local where = "config.env." .. tostring(key)
      local text = text_of(value[key])
      if type(key) ~= "string" or key:find("=", 1, true) then
        problems:usage(where, "a variable's name is a string without =")
      elseif not text then
        problems:usage(where, "expected a string, an integer or a boolean, got %s", type(value[key]))
      else
        add_variable(list, seen, key, text, where, problems)
      end
    end
  end
  for i, assignment in ipairs(value) do
    local where = ("config.env[%d]"):format(i)
    local name, text = tostring(assignment):match("^([^=]+)=(.*)$")
    if type(assignment) ~= "string" or not name then
      problems:usage(where, "expected \"NAME=value\"")
    else
      add_variable(list, seen, name, text, where, problems)
    end
  end
  return list
end

-- 8080, "8080", "53/udp" -> {"8080/tcp": {}, "53/udp": {}}
local function read_ports(value, problems)
  if not problems:check(value, "table", "config.ports") then
    return nil
  end
  local ports = json.object {}
  for _, key in ipairs(sorted_keys(value)) do
    local where = ("config.ports[%s]"):format(tostring(key))
    local number, protocol = tostring(value[key]):match("^(%d+)/?(%l*)$")
    number = tonumber(number)
    protocol = protocol == "" and "tcp" or protocol
    if math_type(key) ~= "integer" then
      problems:usage("config.ports", "expected a list such as {8080, \"53/udp\"}, got a field '%s'", tostring(key))
    elseif not number or not PROTOCOLS[protocol] or number < 1 or number > 65535 then
      problems:usage(where, "expected a port such as 8080 or \"53/udp\", got %s", tostring(value[key]))
    else
      ports[("%d/%s"):format(number, protocol)] = json.object {}
    end
  end
  return ports
end

local function read_strings(value, where, problems)
  if not problems:check(value, "table", where) then
    return nil
  end
  local out = json.object {}
  for _, key in ipairs(sorted_keys(value)) do
    local text = text_of(value[key])
    if type(key) ~= "string" or key == "" then
      problems:usage(where, "expected names with values, got [%s]", tostring(key))
    elseif not text then
      problems:usage(where .. "." .. key, "expected a string, got %s", type(value[key]))
    else
      out[key] = text
    end
  end
  return out
end

local function is_absolute(path)
  return type(path) == "string" and path:sub(1, 1) == "/" and not has_nul(path)
end

local function read_volumes(value, problems)
  if not problems:check(value, "table", "config.volumes") or not check_strings(value, "config.volumes", problems) then
    return nil
  end
  local volumes = json.object {}
  for i, path in ipairs(value) do
    if not is_absolute(path) then
      problems:usage(("config.volumes[%d]"):format(i), "\"%s\" is not absolute", path)
    end
    volumes[path] = json.object {}
  end
  return volumes
end

local function read_workdir(value, problems)
  if value ~= nil and not is_absolute(value) then
    problems:usage("config.workdir", "expected an absolute path such as \"/srv\"")
    return nil
  end
  return value
end

local function read_user(value, problems)
  local text = math_type(value) == "integer" and tostring(value) or value
  if text ~= nil and not (type(text) == "string" and text:find("^[%w_][%w_.%-]*:?[%w_.%-]*$")) then
    problems:usage("config.user", "expected \"1000:1000\", a number or a name")
    return nil
  end
  return text
end

local function read_stop_signal(value, problems)
  local text = math_type(value) == "integer" and tostring(value) or value
  if text ~= nil and not (type(text) == "string" and (text:find("^SIG[%u%d+-]+$") or text:find("^%d+$"))) then
    problems:usage("config.stop_signal", "expected a signal such as \"SIGTERM\"")
    return nil
  end
  return text
end

local function read_healthcheck(value, problems)
  local where = "config.healthcheck"
  if not problems:check(value, "table", where) then
    return nil
  end
  problems:check_keys(value, HEALTH_FIELDS, where)
  local command = read_command(value.command, where .. ".command", problems)
  if value.command == nil then
    problems:usage(where, "it needs a command")
  end
  local function nanoseconds(name)
    local seconds = value[name]
    if seconds == nil then
      return nil
    elseif type(seconds) ~= "number" or not (seconds >= 0.001 and seconds < 1e6) then
      problems:usage(where .. "." .. name, "expected seconds, 0.001 or more")
      return nil
    end
    return math.floor(seconds * 1000 + 0.5) * 1000000
  end
  if value.retries ~= nil and not (math_type(value.retries) == "integer" and value.retries >= 1) then
    problems:usage(where .. ".retries", "expected a number, 1 or more")
  end
  local test = json.array { "CMD" }
  for i, word in ipairs(command or {}) do
    test[i + 1] = word
  end
  return json.object {
    Test = test,
    Interval = nanoseconds "interval",
    Timeout = nanoseconds "timeout",
    StartPeriod = nanoseconds "start_period",
    Retries = value.retries,
  }
end

-- build(config, problems) -> the "config" object of an image config.
local function build(given, problems)
  given = given == nil and {} or given
  if not problems:check(given, "table", "config") then
    return nil
  end
  problems:check_keys(given, FIELDS, "config")
  if given.cmd ~= nil and given.command ~= nil then
    problems:usage("config", "cmd and command are the same; give one")
  end
  return json.object {
    Cmd = read_command(given.command or given.cmd, given.command and "config.command" or "config.cmd", problems),
    Entrypoint = read_command(given.entrypoint, "config.entrypoint", problems),
    Env = read_env(given.env, problems),
    ExposedPorts = read_ports(given.ports, problems),
    Healthcheck = read_healthcheck(given.healthcheck, problems),
    Labels = read_strings(given.labels, "config.labels", problems),
    StopSignal = read_stop_signal(given.stop_signal, problems),
    User = read_user(given.user, problems),
    Volumes = read_volumes(given.volumes, problems),
    WorkingDir = read_workdir(given.workdir, problems),
  }
end

return { build = build, read_strings = read_strings }
