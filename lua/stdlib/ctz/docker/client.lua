-- docker/client.lua: requests to one engine: its API version, its errors.
-- SPDX-License-Identifier: MIT
local channel = require "ctz.core.channel"
local clean = require("ctz.core.ui").clean
local core = require "ctz.core.http"
local endpoints = require "ctz.docker.endpoint"
local fs = require "ctz.fs"
local host_core = require "ctz.core.host"
local http = require "ctz.http"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error

local error, ipairs, pairs, pcall = error, ipairs, pairs, pcall
local setmetatable, tonumber, tostring, type = setmetatable, tonumber, tostring, type
local concat, sort = table.concat, table.sort
local escape = core.escape

local NEWEST <const> = "1.56" -- the newest version of the API that this code was tried with
local OLDEST <const> = "1.24"
local ERROR_BYTES <const> = 65536
local DRY_RUN <const> = host_core.mode().dry_run
local BIG <const> = { big = "float" } -- "no limit" is 2^64 - 1 in some counters

-- --- versions ----------------------------------------------------------------------------------

local function version_number(text)
  local major, minor = text:match "^(%d+)%.(%d+)$"
  return major and tonumber(major) * 1000 + tonumber(minor)
end

-- --- errors ------------------------------------------------------------------------------------

local kinds <const> = {
  [400] = "usage",
  [401] = "auth",
  [403] = "denied",
  [404] = "not_found",
  [406] = "unsupported",
  [409] = "conflict",
  [429] = "rate_limited",
  [501] = "unsupported",
  [503] = "unreachable",
  [504] = "timeout",
}

-- What the engine means where its status does not say it: {its words, kind, hint}.
local meanings <const> = {
  { "port is already allocated", "conflict", "another container has this port: docker.containers.list shows ports" },
  { "address already in use", "conflict", "a program of this machine has this port" },
  { "is already in use by container", "conflict", "choose another name, or remove that container" },
  { "has active endpoints", "conflict", "docker.networks.get(name).containers are still connected" },
  { "already exists in network", "conflict" },
  { "pool overlaps with other one", "conflict", "another network has these addresses: docker.networks.list" },
  { "executable file not found", "not_found", "the image has no such program" },
  { "no space left on device", "io", "docker.system.df shows what takes it, docker.system.prune frees it" },
  { "toomanyrequests", "rate_limited" },
  { "no basic auth credentials", "auth", "docker login, or a credential helper in config.json" },
  { "unauthorized", "auth", "docker login, or a credential helper in config.json" },
  { "authentication required", "auth", "docker login, or a credential helper in config.json" },
  { "denied: ", "denied", "the name may be wrong, or docker login is needed" },
  { "pull access denied", "not_found", "the name may be wrong, or docker login is needed" },
  { "manifest unknown", "not_found" },
  { "connection refused", "unreachable" },
  { "minimum supported api version", "unsupported", "the engine is newer than this ctz knows" },
  { "no such host", "unreachable" },
  { "i/o timeout", "unreachable" },
}

local function meaning_of(status, words)
  local lower = words:lower()
  for _, meaning in ipairs(meanings) do
    if lower:find(meaning[1], 1, true) then
      return meaning[2], meaning[3]
    end
  end
  return kinds[status] or status and status < 500 and "usage" or "io"
end

-- The engine's words: {"message": ...} or plain text, as old versions and proxies answer.
local function words_of(body)
  local ok, value = pcall(json.decode, body)
  if ok and type(value) == "table" and type(value.message) == "string" then
    return value.message
  end
  local text = body:gsub("%s+$", "")
  return text ~= "" and text or "it gives no reason"
end

-- The error for words that the engine said, in an answer of this status or inside of a stream (nil).
local function engine_error(words, opts, status)
  local kind, hint = meaning_of(status, words)
  local name = opts.target and opts.target:match "%S+$"
  local is_named = not name or words:find(name, 1, true)
  return new_error {
    kind = kind,
    op = opts.op,
    message = is_named and words or ("%s: %s"):format(opts.target, words),
    hint = opts.hint or hint,
    status = status,
    target = opts.target,
    retryable = kind == "rate_limited" or kind == "unreachable",
  }
end

local hints <const> = {
  ENOENT = "is an engine installed and started? DOCKER_HOST or docker.connect{host=...} names another one",
  ECONNREFUSED = "is the engine started?",
}

-- With TLS 1.3 an engine that refuses a client only closes the connection.
local TLS_HINT <const> = "it may want another certificate of ours, or any: tls={ca=, cert=, key=}, DOCKER_CERT_PATH"

-- Nobody listens: the engine that did has ended, or the path is that of something else.
local function hint_of_refusal(endpoint)
  local path = endpoint.unix_socket
  local ok, facts = pcall(fs.stat, path or "")
  if path and ok and facts and facts.type ~= "socket" then
    return ("that is a %s, not a socket: DOCKER_HOST or docker.connect{host=...} names the engine's"):format(facts.type)
  end
  return path and "the socket is there, but nobody listens: start the engine" or hints.ECONNREFUSED
end

-- What HTTP raised, as a failure of the engine.
local function transport_error(self, err, opts)
  if type(err) ~= "table" or err.kind == "cancelled" or err.kind == "denied" and not err.code then
    return err
  end
  if self.endpoint.relay then
    err = require("ctz.docker.ssh").explain(self.endpoint, err)
  end
  local host, source = self.endpoint.host, self.endpoint.source
  local refused = err.code == "EACCES"
  local words = err.message:gsub("^%u+ http%S+: ", "")
  local broke_off = err.kind == "protocol" and words:find("truncated", 1, true) ~= nil -- it was stopped
  return new_error {
    kind = refused and "denied" or broke_off and "unreachable" or err.kind,
    op = opts.op,
    message = ("the engine at %s%s: %s"):format(host, source and " (" .. source .. ")" or "", words),
    hint = refused and "be a member of the group docker, or run as root"
      or err.code == "ECONNREFUSED" and hint_of_refusal(self.endpoint)
      or hints[err.code]
      or err.hint
      or self.endpoint.tls and TLS_HINT
      or nil,
    target = opts.target or host,
    code = err.code,
    retryable = broke_off or err.retryable,
  }
end

-- --- queries -----------------------------------------------------------------------------------

-- Tables become JSON; {each = list} is one field for each element.
local function query_of(fields)
  local parts = {}
  for name, value in pairs(fields) do
    if type(value) == "boolean" then
      value = value and "1" or "0"
    elseif type(value) == "table" and not value.each then
      value = json.encode(value)
    end
    for _, one in ipairs(type(value) == "table" and value.each or { value }) do
      parts[#parts + 1] = name .. "=" .. escape(tostring(one))
    end
  end
  sort(parts)
  return #parts > 0 and "?" .. concat(parts, "&") or ""
end

-- --- the client --------------------------------------------------------------------------------

local Client = { __name = "ctz.docker.client" }
Client.__index = Client

local function http_options(self, method, opts)
  local endpoint = self.endpoint
  return {
    method = method,
    headers = opts.headers,
    body = opts.body,
    length = opts.length,
    unix_socket = endpoint.unix_socket,
    tls = endpoint.tls,
    proxy = endpoint.unix_socket and "" or nil,
    grant = opts.reads and self.reading or self.changing,
    timeout = opts.timeout,
    idle_timeout = 0, -- a wait says nothing for hours
    check = false,
  }
end

local function with_json(options, value)
  if value ~= nil then
    local headers = { ["Content-Type"] = "application/json" }
    for name, text in pairs(options.headers or {}) do
      headers[name] = text
    end
    options.headers, options.body = headers, json.encode(value)
  end
  return options
end

local function hint_of_stranger(answer)
  local speaks_tls = answer.status == 400 and answer.body:find("HTTPS", 1, true)
  return speaks_tls and "it wants TLS: DOCKER_TLS_VERIFY=1 with DOCKER_CERT_PATH, or tls={ca=, cert=, key=}"
    or "check DOCKER_HOST or the host of docker.connect"
end

local function negotiate(self, opts)
  local options = http_options(self, "GET", { timeout = opts.timeout })
  local ok, answer = pcall(core.request, self.endpoint.base .. "/_ping", options)
  if not ok then
    error(transport_error(self, answer, opts), 0)
  end
  local theirs = answer.headers["api-version"]
  local number = theirs and version_number(theirs)
  if not number then
    error(new_error {
      kind = "protocol",
      op = opts.op,
      message = ("%s answers %d, but is no Docker Engine: its answer names no API version")
        :format(self.endpoint.host, answer.status),
      hint = hint_of_stranger(answer),
      target = self.endpoint.host,
    }, 0)
  elseif number < version_number(OLDEST) then
    error(new_error {
      kind = "unsupported",
      op = opts.op,
      message = ("the engine at %s speaks API %s; ctz needs %s"):format(self.endpoint.host, theirs, OLDEST),
      hint = "a newer engine is needed: Docker 1.12 or later",
      target = self.endpoint.host,
    }, 0)
  end
  self.api = number < version_number(NEWEST) and theirs or NEWEST
  self.number = version_number(self.api)
end

-- The first call asks, others wait for its answer.
local function url_of(self, path, opts)
  if not self.api then
    self.turn:send(true)
    local ok, err = true, nil
    if not self.api then
      ok, err = pcall(negotiate, self, opts)
    end
    self.turn:receive()
    if not ok then
      error(err, 0)
    end
  end
  return self.endpoint.base .. "/v" .. self.api .. path .. (opts.query and query_of(opts.query) or "")
end

-- The version of the API that is spoken: "1.41". op: for the error when no engine answers.
function Client:version(op)
  url_of(self, "", { op = op })
  return self.api
end

-- Has the engine at least this version of the API? op: for the error when no engine answers.
function Client:at_least(version, op)
  url_of(self, "", { op = op })
  return self.number >= version_number(version)
end

local function decode(answer)
  local body = answer.body
  if body == "" then
    return nil
  elseif (answer.headers["content-type"] or ""):find("json", 1, true) then
    return json.decode(body, BIG)
  end
  return body
end

-- client:call(method, path, opts) -> value, status, headers: the decoded answer, nil when it has no
-- body. opts: op, target (for errors), query, json | body (text or function), headers, timeout,
-- ok = {status = true}, reads = true: it changes nothing whatever its method.
function Client:call(method, path, opts)
  local url = url_of(self, path, opts)
  local request = type(opts.body) == "function" and http.request or core.request
  local done, answer = pcall(request, url, with_json(http_options(self, method, opts), opts.json))
  if not done then
    error(transport_error(self, answer, opts), 0)
  end
  local status = answer.status
  if (status >= 300 or status < 200) and not (opts.ok and opts.ok[status]) then
    error(engine_error(words_of(answer.body), opts, status), 0)
  end
  return decode(answer), status, answer.headers
end

local function read_all(stream)
  local parts, size = {}, 0
  for chunk in stream:chunks() do
    parts[#parts + 1] = chunk
    size = size + #chunk
    if size > ERROR_BYTES then
      break
    end
  end
  return concat(parts)
end

-- client:stream(method, path, opts) -> a stream of ctz.http. A body may be a function. With opts.to
-- the answer is saved as this file, which appears when it is whole.
function Client:stream(method, path, opts)
  local url = url_of(self, path, opts)
  local options = with_json(http_options(self, method, opts), opts.json)
  options.stream, options.to, options.on_progress = not opts.to, opts.to, opts.on_progress
  local done, stream = pcall(http.request, url, options)
  if not done then
    error(transport_error(self, stream, opts), 0)
  elseif stream.status >= 300 then
    error(engine_error(words_of(stream.body or read_all(stream)), opts, stream.status), 0)
  end
  return stream
end

-- client:upgrade(method, path, opts) -> a connection of ctz.http, both ways. opts.protocol: "tcp".
function Client:upgrade(method, path, opts)
  local url = url_of(self, path, opts)
  local options = with_json(http_options(self, method, opts), opts.json)
  options.idle_timeout, options.protocol = nil, opts.protocol or "tcp"
  local done, connection = pcall(http.upgrade, url, options)
  if not done then
    error(transport_error(self, connection, opts), 0)
  elseif connection.status ~= 101 then
    local body = connection.body or ""
    connection:close()
    error(engine_error(words_of(body), opts, connection.status), 0)
  end
  return connection
end

-- client:plans(text, ...) -> boolean: is this a dry run? Then it prints "would <text>", and the caller
-- changes nothing.
function Client:plans(text, ...) -- luacheck: ignore 212
  return DRY_RUN and host_core.plan(clean(text:format(...)))
end

-- client:connect(opts) -> a connection of ctz.http to the engine, on which nothing was asked.
-- opts.http_version: "2" offers TLS nothing else.
function Client:connect(opts)
  local options = http_options(self, "GET", opts)
  options.idle_timeout, options.http_version = nil, opts.http_version
  local done, connection = pcall(http.connect, self.endpoint.base .. "/", options)
  if not done then
    error(transport_error(self, connection, opts), 0)
  end
  return connection
end

-- What a stream of the engine raised while it was read.
function Client:failure(err, opts)
  return transport_error(self, err, opts)
end

-- What --allow grants of the engine; reads: for requests that only look.
local function grant(endpoint, reads)
  local ok, granted = pcall(core.grant, "docker", endpoint.address, reads)
  if not ok then
    granted.op = "docker.connect"
    error(granted, 0)
  end
  return granted
end

local function new(opts)
  local endpoint = endpoints.resolve(opts)
  if endpoint.ssh then
    require("ctz.docker.ssh").relay(endpoint)
  end
  return setmetatable({
    endpoint = endpoint,
    reading = grant(endpoint, true),
    changing = grant(endpoint, false),
    turn = channel.channel(1),
  }, Client)
end

return { new = new, engine_error = engine_error, escape = escape }
