-- kubernetes/simulate: a cluster in memory, and the client that stands in the place of one with an API server.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API 1.37; the answers of a kube-apiserver of that version.
--
-- It is put in at the level of requests: objects, apply, watch, rollout and all else above them are the same
-- code. Containers run as those of ctz.docker's simulated engine do. What it does not model raises
-- unsupported and says what.
local clean = require("ctz.core.ui").clean
local client_of = require "ctz.kubernetes.client"
local controllers = require "ctz.kubernetes.simulate.controllers"
local failure = require "ctz.kubernetes.failure"
local host_core = require "ctz.core.host"
local json = require "ctz.json"
local refusal = require "ctz.kubernetes.simulate.refusal"
local server = require "ctz.kubernetes.simulate.server"
local states = require "ctz.kubernetes.simulate.state"
local streams = require "ctz.docker.simulate.streams"
local values = require "ctz.kubernetes.simulate.values"

local error, getmetatable, pairs, pcall, setmetatable, type = error, getmetatable, pairs, pcall, setmetatable, type
local remove = table.remove

local CALLS_KEPT <const> = 10000
local MARK <const> = { __index = { simulated = true }, __name = "ctz.kubernetes.simulated" }

-- --- the client ------------------------------------------------------------------------------------

local METHODS <const> = {}

local Client = {
  __name = "ctz.kubernetes.client",
  __tostring = function()
    return "ctz.kubernetes.client(simulated)"
  end,
  __index = function(_, name)
    local own = METHODS[name]
    if own == nil then
      own = client_of.method(name)
    end
    return own
  end,
}

-- What a test may look at: every request, and how it was answered.
local function note(self, method, path, opts, status)
  local calls = self.state.calls
  if #calls >= CALLS_KEPT then
    remove(calls, 1)
  end
  calls[#calls + 1] = {
    op = opts.op, method = method, path = path, query = opts.query, status = status,
    body = opts.json ~= nil and json.decode(json.encode(opts.json), { big = "float" }) or opts.body,
  }
end

local function told(err, opts)
  if type(err) == "table" and err.kind and err.kind ~= "cancelled" then
    err.op, err.target = err.op or opts.op, err.target or opts.target
    err.simulated = true
  end
  return err
end

local function is_dry(self, method, opts)
  return self.dry_run and method ~= "GET" and not opts.reads
end

local function request_of(self, method, opts)
  if not is_dry(self, method, opts) then
    return opts
  end
  local query = { dryRun = "All" }
  for name, value in pairs(opts.query or {}) do
    query[name] = value
  end
  return setmetatable({ query = query }, { __index = opts })
end

-- status, value, extra; a refusal that opts.ok takes is a value.
local function perform(self, method, path, opts)
  if self.announce then
    self.announce()
  end
  local state = self.state
  state.kernel:advance()
  local done, status, value, extra = pcall(function()
    state:check()
    return server(state, method, path, request_of(self, method, opts))
  end)
  if done then
    note(self, method, path, opts, status)
    state.kernel:advance()
    state.kernel:changed()
    return status, value, extra or {}
  end
  local refused = refusal.status_of(status)
  if not refused then
    error(told(status, opts), 0)
  end
  note(self, method, path, opts, refused.code)
  if opts.ok and opts.ok[refused.code] then
    return refused.code, setmetatable(values.copy(refused), nil), {}
  end
  return error(told(failure.of_status(refused, opts), opts), 0)
end

-- Says of itself that it is simulated; what is encoded, compared or gone through is the object alone.
local function marked(value)
  if type(value) == "table" and getmetatable(value) == nil then
    setmetatable(value, MARK)
    for _, item in pairs(type(value.items) == "table" and value.items or {}) do
      marked(item)
    end
  end
  return value
end

local function read_all(source)
  local parts = {}
  for bytes in source.next do
    parts[#parts + 1] = bytes
  end
  return table.concat(parts)
end

-- As client:call of a real one.
function METHODS:call(method, path, opts)
  local status, value, extra = perform(self, method, path, opts)
  if opts.plan and is_dry(self, method, opts) then
    host_core.plan(opts.plan .. " (the simulated server takes it)")
  end
  if extra.stream then
    value = read_all(extra.stream)
  elseif extra.text then
    value = extra.text
  else
    value = marked(values.copy(value))
    if opts.raw then
      value = json.encode(value)
    end
  end
  return value, status, { ["content-type"] = extra.stream and "text/plain" or "application/json" }
end

-- As client:stream of a real one.
function METHODS:stream(method, path, opts)
  local status, value, extra = perform(self, method, path, opts)
  local source = extra.stream or streams.source_of { extra.text or value and json.encode(value) }
  return streams.stream(status, { ["content-type"] = "application/json" }, source)
end

-- In the place of a WebSocket: the connection and its protocol (see websocket.open).
function METHODS:open_socket(path, opts)
  local _, _, extra = perform(self, "GET", path, opts)
  if not extra.socket then
    local status = { code = 400, reason = "BadRequest", message = "Upgrade request required" }
    error(told(failure.of_status(status, opts), opts), 0)
  end
  return extra.socket, opts.protocols[1]
end

function METHODS:upgrade(path, opts) -- luacheck: ignore 212
  local ok, err = pcall(refusal.unsupported, "a connection to " .. path)
  error(not ok and told(err, opts), 0)
end

function METHODS:failure(err, opts) -- luacheck: ignore 212
  return told(err, opts)
end

function METHODS:plans(text, ...)
  return self.dry_run and host_core.plan(clean(text:format(...)))
end

METHODS.simulated = true

-- --- clusters --------------------------------------------------------------------------------------

-- settings: see ctz.simulate.cluster.
local function new_cluster(settings)
  local state = states.new(settings, controllers.run)
  controllers.setup(state)
  return state
end

-- A client of a cluster. opts: context, namespace; announce: called before each request.
local function new_client(state, opts, announce)
  local context = opts.context or "simulated"
  local namespace = opts.namespace or "default"
  return setmetatable({
    state = state, announce = announce, context = context, namespace = namespace, server = "https://simulated",
    cluster = {
      name = context, context = context, shown = context, server = "https://simulated", address = "simulated:443",
      namespace = namespace, tls = {},
    },
    cache_file = false, -- of discovery: nothing is kept of it
    dry_run = client_of.dry_run,
  }, Client)
end

return { new_cluster = new_cluster, new_client = new_client }
