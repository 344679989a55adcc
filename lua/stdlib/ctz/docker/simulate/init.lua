-- docker/simulate: an engine in memory, and the client that stands in the place of one with a socket.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41; the answers of an engine 20.10.24.
--
-- It keeps names, states, conflicts, exit codes and events, so that recipes can be tested without Docker.
-- What it does not model raises unsupported and says what.
local archive = require "ctz.docker.simulate.archive"
local clean = require("ctz.core.ui").clean
local clients = require "ctz.docker.client"
local create = require "ctz.docker.simulate.create"
local engines = require "ctz.docker.simulate.engine"
local exec = require "ctz.docker.simulate.exec"
local fs = require "ctz.fs"
local host_core = require "ctz.core.host"
local images = require "ctz.docker.simulate.images"
local json = require "ctz.json"
local life = require "ctz.docker.simulate.life"
local networks = require "ctz.docker.simulate.networks"
local output = require "ctz.docker.simulate.output"
local streams = require "ctz.docker.simulate.streams"
local system = require "ctz.docker.simulate.system"
local task = require "ctz.core.task"
local view = require "ctz.docker.simulate.view"
local volumes = require "ctz.docker.simulate.volumes"

local error, ipairs, pairs, pcall, setmetatable = error, ipairs, pairs, pcall, setmetatable
local tonumber, tostring, type = tonumber, tostring, type
local gsub, match = string.gsub, string.match

local BIG <const> = { big = "float" }
local CALLS_KEPT <const> = 10000

-- --- what it answers -----------------------------------------------------------------------------

-- {method, path, function(engine, query, captures..., body)}: the first that fits.
local routes <const> = {
  { "GET", "^/_ping$", system.ping },
  { "GET", "^/version$", system.version },
  { "GET", "^/info$", system.info },
  { "GET", "^/events$", system.events },
  { "GET", "^/system/df$", system.df },
  { "GET", "^/containers/json$", view.list },
  { "POST", "^/containers/create$", create.create },
  { "POST", "^/containers/prune$", life.prune },
  { "GET", "^/containers/([^/]+)/json$", view.inspect },
  { "GET", "^/containers/([^/]+)/top$", view.top },
  { "GET", "^/containers/([^/]+)/changes$", view.changes },
  { "GET", "^/containers/([^/]+)/logs$", output.logs },
  { "HEAD", "^/containers/([^/]+)/archive$", archive.look },
  { "GET", "^/containers/([^/]+)/archive$", archive.read },
  { "PUT", "^/containers/([^/]+)/archive$", archive.write },
  { "GET", "^/containers/([^/]+)/export$", archive.export },
  { "POST", "^/containers/([^/]+)/start$", life.start },
  { "POST", "^/containers/([^/]+)/stop$", life.stop },
  { "POST", "^/containers/([^/]+)/restart$", life.restart },
  { "POST", "^/containers/([^/]+)/kill$", life.kill },
  { "POST", "^/containers/([^/]+)/pause$", life.pause },
  { "POST", "^/containers/([^/]+)/unpause$", life.unpause },
  { "POST", "^/containers/([^/]+)/wait$", life.wait },
  { "POST", "^/containers/([^/]+)/attach$", output.attach },
  { "POST", "^/containers/([^/]+)/resize$", view.resize },
  { "POST", "^/containers/([^/]+)/rename$", create.rename },
  { "POST", "^/containers/([^/]+)/update$", create.update },
  { "POST", "^/containers/([^/]+)/exec$", exec.create },
  { "DELETE", "^/containers/([^/]+)$", life.remove },
  { "POST", "^/exec/([^/]+)/start$", exec.start },
  { "POST", "^/exec/([^/]+)/resize$", exec.resize },
  { "GET", "^/exec/([^/]+)/json$", exec.inspect },
  { "POST", "^/commit$", view.commit },
  { "GET", "^/images/json$", images.list },
  { "POST", "^/images/create$", archive.create_image },
  { "POST", "^/images/prune$", images.prune },
  { "GET", "^/images/(.+)/json$", images.inspect },
  { "GET", "^/images/(.+)/history$", images.history },
  { "POST", "^/images/(.+)/tag$", images.tag },
  { "DELETE", "^/images/(.+)$", images.remove },
  { "GET", "^/networks$", networks.list },
  { "POST", "^/networks/create$", networks.create },
  { "POST", "^/networks/prune$", networks.prune },
  { "POST", "^/networks/([^/]+)/connect$", networks.connect },
  { "POST", "^/networks/([^/]+)/disconnect$", networks.disconnect },
  { "GET", "^/networks/([^/]+)$", networks.inspect },
  { "DELETE", "^/networks/([^/]+)$", networks.remove },
  { "GET", "^/volumes$", volumes.list },
  { "POST", "^/volumes/create$", volumes.create },
  { "POST", "^/volumes/prune$", volumes.prune },
  { "GET", "^/volumes/([^/]+)$", volumes.inspect },
  { "DELETE", "^/volumes/([^/]+)$", volumes.remove },
}

-- --- a request ---------------------------------------------------------------------------------

local function unescape(text)
  return (gsub(text, "%%(%x%x)", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

-- As the engine would read it: texts.
local function query_of(fields, in_path)
  local query = {}
  for name, value in (in_path or ""):gmatch "([^&=]+)=([^&]*)" do
    query[name] = unescape(value)
  end
  for name, value in pairs(fields or {}) do
    if type(value) == "boolean" then
      value = value and "1" or "0"
    elseif type(value) == "table" and value.each then
      value = { table.unpack(value.each) }
    elseif type(value) == "table" then
      value = json.encode(value)
    end
    query[name] = type(value) == "table" and value or tostring(value)
  end
  return query
end

-- A copy with the marks of what was read: nothing is shared with who asked.
local function copy(value)
  return value ~= nil and json.decode(json.encode(value), BIG) or nil
end

local function route_of(method, path)
  for _, route in ipairs(routes) do
    if route[1] == method then
      local captures = { match(path, route[2]) }
      if captures[1] then
        return route[3], captures[1] ~= path and captures or {}
      end
    end
  end
  return engines.unsupported(("%s %s"):format(method, path))
end

-- status, body, extra (stream, connection, later, headers, text)
local function answer(engine, method, path, opts)
  local plain, in_path = match(path, "^([^?]*)%??(.*)$")
  engine.kernel:advance()
  local handler, arguments = route_of(method, unescape(plain))
  arguments[#arguments + 1] = opts.body or copy(opts.json)
  return handler(engine, query_of(opts.query, in_path), table.unpack(arguments))
end

-- --- the client --------------------------------------------------------------------------------

local Client = { __name = "ctz.docker.client", simulated = true }
Client.__index = Client

local function version_number(text)
  local major, minor = match(text, "^(%d+)%.(%d+)$")
  return tonumber(major) * 1000 + tonumber(minor)
end

-- What a test may look at: every request, and how it was answered.
local function note(self, method, path, opts, status)
  local calls = self.engine.calls
  if #calls >= CALLS_KEPT then
    table.remove(calls, 1)
  end
  calls[#calls + 1] = {
    op = opts.op,
    method = method,
    path = match(path, "^[^?]*"),
    query = opts.query,
    body = copy(opts.json),
    status = status,
  }
end

-- Facts for people, as the client with a socket gives them.
local function told(err, opts)
  if type(err) == "table" and err.kind and err.kind ~= "cancelled" then
    err.op, err.target = err.op or opts.op, err.target or opts.target
    err.simulated = true
  end
  return err
end

-- What the door of HTTP does under --dry-run.
local function check_mode(self, method, opts)
  if self.dry_run and method ~= "GET" and method ~= "HEAD" and not opts.reads then
    error(told(task.error {
      kind = "unsupported",
      message = ("%s, which changes things, is not done under --dry-run"):format(method),
      hint = "branch on ctz.mode(), or run without it",
    }, opts), 0)
  end
end

local function perform(self, method, path, opts)
  check_mode(self, method, opts)
  if self.announce then
    self.announce()
  end
  local done, status, body, extra = pcall(answer, self.engine, method, path, opts)
  if done then
    note(self, method, path, opts, status)
    self.engine.kernel:advance()
    self.engine.kernel:changed()
    return status, body, extra or {}
  elseif not engines.is_refusal(status) then
    error(told(status, opts), 0)
  end
  local refusal = status
  note(self, method, path, opts, refusal.status)
  self.engine.kernel:changed()
  if opts.ok and opts.ok[refusal.status] then
    return refusal.status, { message = refusal.words }, {}
  end
  return error(told(clients.engine_error(refusal.words, opts, refusal.status), opts), 0)
end

local function in_time(opts, fn, ...)
  if not opts.timeout then
    return fn(...)
  end
  local done, first, second, third = pcall(task.timeout, opts.timeout, fn, ...)
  if done then
    return first, second, third
  elseif type(first) == "table" and first.kind == "timeout" and first.op ~= opts.op then
    first = task.error {
      kind = "timeout",
      message = ("the engine at simulated: no answer within %s s"):format(opts.timeout),
    }
  end
  return error(told(first, opts), 0)
end

local function read_all(source)
  local parts = {}
  for bytes in source.next do
    parts[#parts + 1] = bytes
  end
  return table.concat(parts)
end

local function call(self, method, path, opts)
  local status, body, extra = perform(self, method, path, opts)
  if extra.later then
    local done, value = pcall(extra.later)
    if not done then
      error(told(value, opts), 0)
    end
    body = value
  elseif extra.stream then
    return read_all(extra.stream), status
  end
  return extra.text or copy(body), status, extra.headers or {}
end

function Client:call(method, path, opts)
  return in_time(opts, call, self, method, path, opts)
end

function Client:stream(method, path, opts)
  local status, body, extra = perform(self, method, path, opts)
  local source = extra.stream
  if extra.later then
    local told_once
    source = {
      next = function()
        if not told_once then
          told_once = json.encode(extra.later())
          return told_once
        end
      end,
    }
  end
  if opts.to then
    fs.write(opts.to, read_all(source))
    source = streams.source_of {}
  end
  source = source or streams.source_of { extra.text or body ~= nil and json.encode(body) or nil }
  return streams.stream(status, extra.headers or { ["content-type"] = "application/json" }, source)
end

function Client:upgrade(method, path, opts)
  local _, _, extra = perform(self, method, path, opts)
  if not extra.connection then
    engines.unsupported(("a connection to %s"):format(path))
  end
  return streams.connection(extra.headers, extra.connection)
end

function Client:connect(opts) -- luacheck: ignore 212
  error(told(task.error {
    kind = "unsupported",
    message = "the simulated engine has no connection",
    hint = "such a test needs a real engine: run it without --simulate",
  }, opts), 0)
end

function Client:version()
  return self.api
end

function Client:at_least(version)
  return self.number >= version_number(version)
end

function Client:plans(text, ...)
  return self.dry_run and host_core.plan(clean(text:format(...)))
end

-- What a stream raised while it was read.
function Client:failure(err, opts) -- luacheck: ignore 212
  return told(err, opts)
end

-- Does somebody answer on a port of a container; with a path: with which status, by HTTP?
function Client:answers(container, port, path)
  self.engine.kernel:advance()
  return system.answers(self.engine, container, port, path)
end

-- --- engines -----------------------------------------------------------------------------------

local function new_engine(settings)
  local engine = engines.new(settings)
  engine.api = settings.api or "1.41"
  engine.number = version_number(engine.api)
  networks.setup(engine)
  images.setup(engine)
  return engine
end

-- A client of an engine. announce: called before each request.
local function new_client(engine, announce)
  return setmetatable({
    engine = engine,
    announce = announce,
    api = engine.api,
    number = engine.number,
    dry_run = host_core.mode().dry_run,
    endpoint = { host = "simulated", address = "simulated", base = "http://simulated" },
  }, Client)
end

return { new_engine = new_engine, new_client = new_client }
