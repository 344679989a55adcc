-- docker/buildkit.lua: the session of a build with BuildKit, and what its progress says.
-- SPDX-License-Identifier: MIT
--
-- The engine asks its client for secrets and for credentials of registries while it builds. Up to
-- API 1.52 it asks over POST /session; from 1.53 on over a gRPC call on its own socket. Both are a
-- connection of their own; what goes over it is in bindings/buildkit/.
local base64 = require "ctz.base64"
local core = require "ctz.core.buildkit"
local options = require "ctz.options"
local secret = require "ctz.secret"
local task = require "ctz.core.task"

local error, ipairs, pairs, pcall, random, type = error, ipairs, pairs, pcall, math.random, type
local setmetatable, tostring = setmetatable, tostring
local new_error = task.error
local concat, sort = table.concat, table.sort

local READY_S <const> = 20 -- until the engine's side of a session stands
local GRPC_SINCE <const> = "1.53"
local HUB <const> = "registry-1.docker.io" -- how BuildKit calls docker.io
local SECRET_BYTES <const> = 500 * 1024 -- as BuildKit's own client has it

-- What the engine may call; it reads these from the headers, whichever way.
local METHODS <const> = {
  "/grpc.health.v1.Health/Check",
  "/moby.filesync.v1.Auth/Credentials",
  "/moby.buildkit.secrets.v1.Secrets/GetSecret",
}

-- --- opening -----------------------------------------------------------------------------------

local function new_id()
  local parts = {}
  for i = 1, 4 do
    parts[i] = ("%016x"):format(random(0))
  end
  return concat(parts)
end

local function when_ready(client, handle, opts)
  local ok, err = pcall(task.timeout, READY_S, handle.ready, handle)
  if not ok then
    handle:close()
    error(client:failure(err, opts), 0)
  end
  return handle
end

local function call_engine(client, id, opts)
  local fields = { "x-docker-expose-session-uuid", id, "x-docker-expose-session-name", "ctz" }
  for _, method in ipairs(METHODS) do
    fields[#fields + 1] = "x-docker-expose-session-grpc-method"
    fields[#fields + 1] = method
  end
  local connection <close> = client:connect { op = opts.op, target = opts.target, http_version = "2" }
  return when_ready(client, core.open(connection.exchange:hand_over(), "localhost", fields), opts)
end

local function upgrade(client, id, opts)
  local connection <close> = client:upgrade("POST", "/session", {
    op = opts.op,
    target = opts.target,
    protocol = "h2c",
    headers = {
      ["X-Docker-Expose-Session-Uuid"] = id,
      ["X-Docker-Expose-Session-Name"] = "ctz",
      ["X-Docker-Expose-Session-Grpc-Method"] = METHODS,
    },
  })
  return when_ready(client, core.open(connection.exchange:hand_over()), opts)
end

local otherwise <const> = { unsupported = true, protocol = true, unreachable = true }

-- Something between us and a new engine (a proxy, TLS without HTTP/2) may speak HTTP/1.1 only: the
-- old way is still there then.
local function connect(client, id, opts)
  local why
  if client:at_least(GRPC_SINCE) then
    local ok, handle = pcall(call_engine, client, id, opts)
    if ok then
      return handle
    elseif type(handle) ~= "table" or not otherwise[handle.kind] then
      error(handle, 0)
    end
    why = handle
  end
  local ok, handle = pcall(upgrade, client, id, opts)
  if not ok then
    error(why or handle, 0)
  end
  return handle
end

-- --- answering ---------------------------------------------------------------------------------

local Session = { __name = "ctz.docker.buildkit.session" }
Session.__index = Session

local function names_of(secrets)
  local names = {}
  for name in pairs(secrets) do
    names[#names + 1] = name
  end
  sort(names)
  return names
end

-- BuildKit looks for these by itself before it reads from a URL or clones; nobody misses them.
local function is_optional(name)
  return name:find "^HTTP_AUTH_" or name:find "^GIT_AUTH_"
end

local function answer_secret(session, id, name)
  local value = session.secrets[name]
  if type(value) == "function" then
    value = value(name)
    value = value ~= nil and secret(value) or nil
  end
  if value ~= nil then
    return session.handle:secret(id, value)
  end
  if not is_optional(name) then
    session.missing[#session.missing + 1] = name
  end
  session.handle:refuse(id, "not_found", ("the build was given no secret %q"):format(name))
end

local function answer_credentials(session, id, host)
  local found = session.auth and session.auth(host == HUB and "docker.io" or host) or {}
  local token = found.identity_token
  local password = token or found.password or found.secret
  session.handle:credentials(id, not token and found.username or "", password and secret(password) or "")
end

local answers <const> = { secret = answer_secret, credentials = answer_credentials }

-- A failure of one answer is the build's: the engine tells it, and the first is kept as it is.
local function answer(session, id, what, subject)
  local ok, err = pcall(answers[what], session, id, subject)
  if ok or session.closed or type(err) == "table" and err.kind == "cancelled" then
    return
  end
  session.err = session.err or err
  local words = type(err) == "table" and err.message or tostring(err)
  session.handle:refuse(id, "internal", ("%s %q: %s"):format(what, subject, words))
end

local function serve(session)
  local handle = session.handle
  while true do
    local id, what, subject = handle:next()
    if not id then
      return
    end
    task.spawn(function()
      answer(session, id, what, subject)
    end)
  end
end

-- --- the session -------------------------------------------------------------------------------

-- Ends the session. A second call does nothing.
function Session:close()
  self.closed = true
  self.handle:close()
  return true
end

Session.__close = Session.close

-- What a failed build should be told because of what was asked here; nil when nothing.
function Session:hint()
  local name = self.missing[1]
  if not name then
    return nil
  end
  local names = names_of(self.secrets)
  local near = #names > 0 and require("ctz.core.host").nearest(name, names)
  return near and ("the Dockerfile asks for the secret %q: did you mean %q?"):format(name, near)
    or ("the Dockerfile asks for the secret %q: secrets = {%s = {env = ...}} gives it"):format(name, name)
end

local function checked_secrets(op, given)
  local secrets = {}
  local function refuse(kind, text, ...)
    error(new_error { kind = kind, op = op, message = text:format(...) }, 0)
  end
  for name, value in pairs(given or {}) do
    if type(name) ~= "string" or name == "" then
      refuse("usage", "a secret has an id, a text that is not empty")
    elseif type(value) == "string" and #value > SECRET_BYTES then
      refuse("size", "the secret %q has %d bytes, BuildKit takes at most %d", name, #value, SECRET_BYTES)
    elseif type(value) ~= "function" and type(value) ~= "string" and not options.is_secret(value) then
      refuse("usage", "the secret %q: expected string, ctz.secret or function, got %s", name, type(value))
    end
    secrets[name] = type(value) == "function" and value or secret(value)
  end
  return secrets
end

-- open(client, {op=, target=, secrets=, auth=}) -> session
-- Opens a session and serves it as a background task of the current scope, until it is closed or the
-- scope ends: `local session <close> = buildkit.open(client, {...})`, then POST /build with
-- version=2 and session=session.id. secrets: id -> text, ctz.secret or function(id) -> one of both
-- (nil: there is none). auth(host) -> what ctz.registry.credentials.get gives: {username=, password=},
-- {identity_token=} or nil; secret= is one of both. Afterwards session.missing lists the ids that
-- were asked for and not there, session.err is the first failure of a function or of the connection.
local function open(client, opts)
  local op = opts.op or "docker.build"
  options.check(op, opts, { op = "string", target = "string", secrets = "table", auth = "function" })
  local session = setmetatable({
    id = new_id(),
    secrets = checked_secrets(op, opts.secrets),
    auth = opts.auth,
    missing = {},
  }, Session)
  local about = { op = op, target = opts.target }
  session.handle = connect(client, session.id, about)
  task.defer(function()
    session:close()
  end)
  task.spawn(function()
    local ok, err = pcall(serve, session)
    if not ok and not session.closed then
      session.err = session.err or client:failure(err, about)
    end
  end, { background = true })
  return session
end

-- trace(aux) -> {vertexes=, statuses=, logs=, warnings=}: what a line with the id
-- moby.buildkit.trace says; aux is its base64 text. All four are lists, empty or not:
--   vertexes {digest, name, inputs = {digest}, cached, started?, completed?, error?, group?}
--   statuses {id, vertex, name?, current, total, time?, started?, completed?}
--   logs     {vertex, stream = "stdout"|"stderr", text, time?}
--   warnings {vertex, level, text, detail = {text}, url?, file?, line?}
-- Times are unix seconds, texts are bytes as the program wrote them.
local function trace(aux)
  return core.trace(base64.decode(aux))
end

return { open = open, trace = trace }
