-- docker/wait.lua: waits until a container is ready for work, or has done it.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local escape = require("ctz.docker.client").escape
local http = require "ctz.http"
local object = require "ctz.docker.object"
local time = require "ctz.time"
local table_of = require("ctz.docker.values").table_of
local task = require "ctz.core.task"

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local require, tostring, type = require, tostring, type
local concat, min = table.concat, math.min

local OP <const> = "docker.containers.wait_until"
local DEADLINE_S <const> = 60
local FIRST_S <const>, LONGEST_S <const> = 0.05, 1 -- between two looks
local SILENCE_S <const> = 0.2 -- a connection that the engine's proxy cannot pass on ends sooner
local TAIL <const>, TAIL_S <const> = 20, 2 -- lines of log in an error; an engine that hangs gives none

local function fail(kind, waiting, text, hint)
  error(task.error {
    kind = kind,
    op = OP,
    message = ("%s: %s"):format(waiting.target, text),
    hint = hint,
    target = waiting.target,
    stderr = waiting.tail,
    exit_code = waiting.exit_code,
  }, 0)
end

-- --- what goes wrong meanwhile --------------------------------------------------------------------

local function read_tail(waiting)
  local lines = {}
  pcall(task.timeout, TAIL_S, function()
    for line in require("ctz.docker.logs").logs(waiting.client, waiting.container, { tail = TAIL }) do
      lines[#lines + 1] = line.text
    end
  end)
  return #lines > 0 and concat(lines, "\n") or nil
end

local function inspect(waiting)
  return (waiting.client:call("GET", waiting.path .. "/json", { op = OP, target = waiting.target }))
end

local function check_runs(waiting, state)
  if not state.Running and state.Status ~= "created" and not state.Restarting then
    waiting.tail, waiting.exit_code = read_tail(waiting), state.ExitCode
    fail("exit", waiting, ("it ended with exit code %d before %s"):format(state.ExitCode, waiting.what))
  end
end

-- Calls ready(inspected) until it gives a true value.
local function poll(waiting, ready)
  local pause = FIRST_S
  while true do
    local inspected = inspect(waiting)
    check_runs(waiting, inspected.State)
    if inspected.State.Running and ready(inspected) then
      return
    end
    task.sleep(pause)
    pause = min(pause * 1.5, LONGEST_S)
  end
end

-- --- addresses ---------------------------------------------------------------------------------

local function engine_host(client)
  local endpoint = client.endpoint
  return endpoint.unix_socket and "127.0.0.1" or (endpoint.address:gsub(":%d+$", ""))
end

-- "127.0.0.1:32768": where a port of the container is reached from here; nil: nowhere yet.
local function address_of(client, inspected, port)
  local network = inspected.NetworkSettings
  for name, bindings in pairs(table_of(network.Ports)) do
    local binding = name:match "^%d+" == tostring(port) and table_of(bindings)[1]
    if binding then
      local ip = binding.HostIp
      local any = ip == "" or ip == "0.0.0.0" or ip == "::"
      return (any and engine_host(client) or ip) .. ":" .. binding.HostPort
    end
  end
  for _, one in pairs(table_of(network.Networks)) do
    if one.IPAddress and one.IPAddress ~= "" and client.endpoint.unix_socket then
      return one.IPAddress .. ":" .. port
    end
  end
  return inspected.HostConfig.NetworkMode == "host" and engine_host(client) .. ":" .. port or nil
end

local function needs_address(waiting, inspected, port)
  return address_of(waiting.client, inspected, port)
    or fail("usage", waiting, ("its port %d cannot be reached from here"):format(port), "publish it: ports = {...}")
end

-- --- the conditions ----------------------------------------------------------------------------

local conditions = {}

function conditions.healthy(waiting)
  waiting.what = "it was healthy"
  poll(waiting, function(inspected)
    local health = inspected.State.Health
    if type(health) ~= "table" or health.Status == "none" then
      fail("usage", waiting, "it has no health check, so it never becomes healthy", "healthcheck = {command = {...}}")
    elseif health.Status == "unhealthy" then
      local log = table_of(health.Log)
      waiting.tail = #log > 0 and log[#log].Output or nil
      fail("exit", waiting, "it is unhealthy")
    end
    return health.Status == "healthy"
  end)
end

function conditions.log(waiting, wanted)
  waiting.what = "its log said so"
  local function matches(text)
    if type(wanted) == "function" then
      return wanted(text)
    end
    return text:find(wanted, 1, true)
  end
  for line in require("ctz.docker.logs").logs(waiting.client, waiting.container, { follow = true }) do
    if matches(line.text) then
      return
    end
  end
  check_runs(waiting, inspect(waiting).State)
  fail("exit", waiting, "its log ended before it said so")
end

-- The engine's own proxy takes connections for a port on which nobody listens, and ends them at once.
local function is_open(address)
  local ok, connection = pcall(http.connect, "http://" .. address .. "/", { connect_timeout = 2, timeout = 2 })
  if not ok then
    return false
  end
  local guard <close> = connection
  local read, bytes = pcall(guard.read, guard, nil, { timeout = SILENCE_S })
  return read and bytes ~= nil or not read and type(bytes) == "table" and bytes.kind == "timeout"
end

function conditions.port(waiting, port)
  waiting.what = ("port %d was open"):format(port)
  poll(waiting, function(inspected)
    if waiting.client.simulated then
      return waiting.client:answers(inspected.Id, port)
    end
    return is_open(needs_address(waiting, inspected, port))
  end)
end

-- What is answered by HTTP, nil: nothing yet.
local function status_of(waiting, inspected, port, path)
  if waiting.client.simulated then
    return waiting.client:answers(inspected.Id, port, path)
  end
  local url = "http://" .. needs_address(waiting, inspected, port) .. path
  local ok, answer = pcall(http.get, url, { check = false, timeout = 5, redirects = 0 })
  return ok and answer.status or nil
end

function conditions.http(waiting, wanted)
  if type(wanted) == "number" then
    wanted = { port = wanted }
  end
  wanted = check(OP, wanted, { port = "integer!", path = "string", status = "integer" })
  local path = wanted.path or "/"
  waiting.what = ("port %d answered"):format(wanted.port)
  poll(waiting, function(inspected)
    local status = status_of(waiting, inspected, wanted.port, path)
    if not status then
      return false
    elseif wanted.status then
      return status == wanted.status
    end
    return status < 400
  end)
end

function conditions.file(waiting, path)
  waiting.what = ("%s was there"):format(path)
  poll(waiting, function()
    local _, status = waiting.client:call("HEAD", waiting.path .. "/archive?path=" .. escape(path), {
      op = OP,
      target = waiting.target,
      ok = { [404] = true },
    })
    return status ~= 404
  end)
end

function conditions.exit(waiting, wanted)
  waiting.what = "it ended"
  local code = require("ctz.docker.containers").wait(waiting.client, waiting.container)
  if wanted ~= true and code ~= wanted then
    waiting.tail, waiting.exit_code = read_tail(waiting), code
    fail("exit", waiting, ("it ended with exit code %d, not %d"):format(code, wanted))
  end
end

-- Our own deadline is told in words of what was waited for; one from outside passes as it is.
local function within(seconds, waiting, fn)
  local due = time.monotonic() + seconds
  local ok, err = pcall(task.timeout, seconds, fn)
  if ok then
    return
  elseif type(err) == "table" and err.kind == "timeout" and time.monotonic() >= due then
    waiting.tail = read_tail(waiting)
    fail("timeout", waiting, ("%g s passed before %s"):format(seconds, waiting.what))
  end
  error(err, 0)
end

-- --- wait_until --------------------------------------------------------------------------------

local wait = {}

--- ctz.docker.containers.wait_until(container, opts) -> true
--- Waits until all that is asked for holds. A container that ends before fails at once, with the end
--- of its log; so does one that is unhealthy, or that has no health check at all.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.healthy? boolean  its health check succeeds
--- @param opts.log? string|fun(line: string): any  a line of its log holds this text, or the function says so
--- @param opts.port? integer  somebody listens on this port of the container
--- @param opts.http? integer|table  {port=, path="/", status=}: it answers there, without status with less than 400
--- @param opts.file? string  this path exists in it
--- @param opts.exit? boolean|integer  true: it has ended; a number: with this exit code
--- @param opts.timeout? ctz.seconds  default 60
--- @error timeout it does not hold by then
--- @error exit the container ended, or became unhealthy
--- @example local _, err = ctz.try(ctz.docker.containers.wait_until, "web", {})
--- @example assert(err.kind == "usage")
function wait.wait_until(client, container, opts)
  opts = check(OP, opts, {
    healthy = "boolean",
    log = "string|function",
    port = "integer",
    http = "integer|table",
    file = "string",
    exit = "boolean|integer",
    timeout = "seconds",
  })
  local path, target = object.container(OP, container)
  local asked = {}
  for _, name in ipairs { "healthy", "log", "port", "http", "file", "exit" } do
    if opts[name] ~= nil and opts[name] ~= false then
      asked[name] = opts[name]
    end
  end
  if next(asked) == nil then
    local message = "'wait_until' waits for one of healthy, log, port, http, file, exit"
    error(task.error { kind = "usage", op = OP, message = message }, 0)
  end
  local waiting = { client = client, container = container, path = path, target = target }
  within(opts.timeout or DEADLINE_S, waiting, function()
    for _, name in ipairs { "log", "healthy", "port", "http", "file", "exit" } do
      if asked[name] ~= nil then
        conditions[name](waiting, asked[name])
      end
    end
  end)
  return true
end

return wait
