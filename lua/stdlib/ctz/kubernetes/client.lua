-- kubernetes/client.lua: requests to the API server of one cluster: who asks, how often, its errors.
-- SPDX-License-Identifier: MIT
local again = require "ctz.kubernetes.again"
local core = require "ctz.core.http"
local failure = require "ctz.kubernetes.failure"
local host_core = require "ctz.core.host"
local json = require "ctz.json"
local paces = require "ctz.kubernetes.pace"
local plain = require "ctz.kubernetes.plain"
local task = require "ctz.core.task"

local error, ipairs, next, pairs, pcall, require = error, ipairs, next, pairs, pcall, require
local rawget, setmetatable, tonumber, tostring, type = rawget, setmetatable, tonumber, tostring, type
local concat, sort = table.concat, table.sort
local escape = core.escape

local DRY_RUN <const> = host_core.mode().dry_run
local ANSWER_S <const> = 60 -- for an answer that is no stream
local PATIENCE_S <const> = 30 -- with a server that answered before and is away: it restarts (again.lua)
local TRIES <const> = 8
local ERROR_BYTES <const> = 65536
local BIG <const> = { big = "float" } -- what the server prints beyond 64 bits was a float

-- Methods of the client and the files that have them, loaded when first called.
local METHODS <const> = {
  api_resources = "discovery", apply = "apply", apply_manifest = "mission", attach = "exec", can_i = "access",
  copy_in = "copy", copy_out = "copy", cordon = "nodes", create = "objects", create_deployment = "mission",
  create_service = "mission", delete = "deleting", delete_all = "deleting", diff = "diff", drain = "nodes",
  each = "collection", elect = "elect", events = "events", exec = "exec", explain = "explain", get = "objects",
  informer = "informer", list = "collection", logs = "logs", metrics = "metrics", patch = "objects",
  port_forward = "forward", replace = "objects", rollout = "rollout", scale = "objects", scale_deployment = "mission",
  status = "orchestrate", top = "metrics", uncordon = "nodes", version = "discovery", wait = "wait", watch = "watch",
}

-- --- queries -----------------------------------------------------------------------------------

-- {command = {"a", "b"}} is one field for each.
local function query_of(fields)
  local parts = {}
  for name, value in pairs(fields) do
    for _, one in ipairs(type(value) == "table" and value or { value }) do
      parts[#parts + 1] = { name, tostring(one) }
    end
  end
  if #parts == 0 then
    return ""
  end
  local at = {}
  for i, part in ipairs(parts) do
    at[part] = i
  end
  sort(parts, function(left, right)
    return left[1] < right[1] or left[1] == right[1] and at[left] < at[right] -- values keep their order
  end)
  for i, part in ipairs(parts) do
    parts[i] = escape(part[1]) .. "=" .. escape(part[2])
  end
  return "?" .. concat(parts, "&")
end

-- --- the client --------------------------------------------------------------------------------

local Client = {
  __name = "ctz.kubernetes.client",
  __tostring = function(self)
    return ("ctz.kubernetes.client(%s)"):format(self.cluster.shown)
  end,
}

-- A method by its name, from the file that has it; nil: there is none.
local function method_of(name)
  local method = rawget(Client, name)
  local file = not method and METHODS[name]
  if file then
    method = require("ctz.kubernetes." .. file)[name]
    Client[name] = method
  end
  return method
end

function Client.__index(_, name)
  return method_of(name)
end

local function set_impersonation(headers, who)
  headers["Impersonate-User"] = who.user
  headers["Impersonate-Uid"] = who.uid
  headers["Impersonate-Group"] = who.groups
  for name, values in pairs(who.extra or {}) do
    headers["Impersonate-Extra-" .. escape(name)] = values
  end
end

-- What the client changes, a dry run only asks for: with dryRun=All the server keeps nothing.
local function is_dry(method, opts)
  return DRY_RUN and method ~= "GET" and not opts.reads
end

local function dry_delete(options)
  local copy = { dryRun = { "All" } }
  for name, value in pairs(options) do
    copy[name] = copy[name] or value
  end
  return json.encode(plain(copy))
end

-- The options of ctz.http; fresh: credentials that were refused are not used again.
local function http_options(self, method, opts, fresh)
  local cluster = self.cluster
  local headers = { Accept = opts.accept or "application/json", ["User-Agent"] = self.agent }
  for name, value in pairs(opts.headers or {}) do
    headers[name] = value
  end
  local body = opts.body
  if opts.json ~= nil then
    body = json.encode(plain(opts.json))
    if method == "DELETE" and is_dry(method, opts) then -- of what has a body the server does not read the query
      body = dry_delete(opts.json)
    end
  end
  if body then
    headers["Content-Type"] = opts.content_type or "application/json"
  end
  local tls = cluster.tls
  local own = cluster.authorize and cluster.authorize(headers, { fresh = fresh, op = opts.op })
  if own then
    tls = { ca = tls.ca, server_name = tls.server_name, insecure = tls.insecure, cert = own.cert, key = own.key }
  end
  if cluster.impersonate then
    set_impersonation(headers, cluster.impersonate)
  end
  return {
    method = method,
    headers = headers,
    body = body,
    tls = next(tls) and tls or nil,
    proxy = cluster.proxy,
    grant = (opts.reads or method == "GET" or is_dry(method, opts)) and self.reading or self.changing,
    timeout = opts.timeout,
    redirects = 0,
    once = method ~= "GET", -- again.lua decides
    check = false,
    compressed = not opts.is_stream and not cluster.disable_compression and self.is_far or false,
  }
end

local function url_of(self, method, path, opts)
  local query = opts.query or {}
  if is_dry(method, opts) then
    local copy = { dryRun = "All" }
    for name, value in pairs(query) do
      copy[name] = value
    end
    query = copy
  end
  return self.cluster.server .. path .. query_of(query)
end

local function seconds_of(text)
  local seconds = text and tonumber(text)
  return seconds and seconds >= 0 and seconds <= 3600 and seconds or nil
end

-- Was it certainly not done, or may it be done twice?
local function is_repeatable(method, status, retry_after)
  return status == 429 or status == 503 and retry_after ~= nil
    or (method == "GET") and (status == 500 or status == 502 or status == 503 or status == 504)
end

-- Credentials that may be old: what the server, or its side of TLS, refuses is tried once more with fresh ones.
local function is_refused(self, answer)
  return self.cluster.authorize ~= nil and type(answer) == "table" and (answer.status == 401
    or answer.kind == "auth" and answer.status == nil and not (answer.op or ""):find "^kubernetes%.")
end

-- Waits before the next try; false when no more is made.
local function pause(self, try, asked, deadline_at)
  local wait = self.pace:pause_of(asked, try)
  if try >= TRIES and not deadline_at or wait >= task.remaining() then
    return false
  elseif deadline_at and self.monotonic() + wait > deadline_at then
    return false
  end
  task.sleep(wait)
  return true
end

local function ask(self, method, url, opts, fresh)
  local permit <close> = self.pace:enter() -- luacheck: ignore 211
  local ok, answer = pcall(core.request, url, http_options(self, method, opts, fresh))
  if ok then
    return answer
  elseif type(answer) == "table" and answer.code == "REASON_CUT" then
    return { status = answer.status, headers = {}, body = "" }
  end
  error(answer, 0)
end

-- One request with its repetitions -> the answer of HTTP.
local function exchange(self, method, path, opts)
  local url, fresh, gone_at = url_of(self, method, path, opts), false, nil
  local try = 0
  while true do
    try = try + 1
    local done, answer = pcall(ask, self, method, url, opts, fresh)
    if not fresh and is_refused(self, answer) then
      fresh = true
    elseif not done then
      gone_at = gone_at or self.monotonic()
      self.answered = self.answered or type(answer) == "table" and answer.code == "BODY_CUT"
      if not self.answered or opts.retry == false or not again.may_repeat(method, opts, answer)
        or not pause(self, try, nil, gone_at + PATIENCE_S) then
        error(failure.of_transport(answer, opts, self.cluster, again.hint(method, opts, answer)), 0)
      end
    else
      self.answered, gone_at = true, nil
      local retry_after = seconds_of(answer.headers["retry-after"])
      if is_repeatable(method, answer.status, retry_after) and opts.retry ~= false then
        if answer.status == 429 and retry_after then
          self.pace:slow_down(retry_after)
        end
        if not pause(self, try, retry_after) then
          return answer, try
        end
      else
        return answer, try
      end
    end
  end
end

local function is_good(status, opts)
  return status >= 200 and status < 300 or opts.ok and opts.ok[status]
end

local function decode(self, answer, opts)
  local body = answer.body
  local function refuse(reason)
    failure.fail("protocol", opts.op, ("the API server of %s: its answer is no JSON: %s"):format(self.cluster.shown,
      reason), { target = opts.target })
  end
  if opts.items then
    answer.body = nil -- the listing lets it go when it is read
    return require("ctz.kubernetes.listing").open(body, refuse)
  elseif body == "" or opts.raw then
    return opts.raw and body or nil
  elseif not (answer.headers["content-type"] or ""):find("json", 1, true) then
    return body
  end
  local ok, value = pcall(json.decode, body, BIG)
  if not ok then
    refuse(value.message)
  end
  return value
end

-- client:call(method, path, opts) -> value, status, headers: the decoded answer, nil when it has no
-- body. opts: op, target (for errors), query, json | body, content_type, accept, headers, timeout,
-- ok = {[404] = true}, raw = true: the body as it is, reads = true: it changes nothing whatever its
-- method, retry = false: never sent twice, plan: what a dry run says that it would do, items = true: the
-- answer is a list, for listing.of.
function Client:call(method, path, opts)
  opts.timeout = opts.timeout or self.timeout
  local answer, tries = exchange(self, method, path, opts)
  if not is_good(answer.status, opts) then
    error(failure.of_answer(answer, opts, {
      retry_after = seconds_of(answer.headers["retry-after"]), attempts = tries > 1 and tries or nil,
    }), 0)
  end
  if opts.plan and is_dry(method, opts) then
    host_core.plan(opts.plan .. " (the server takes it)")
  end
  return decode(self, answer, opts), answer.status, answer.headers
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

-- One that is opened; a refusal of credentials is tried once more with fresh ones.
local function open(self, method, path, opts, begin, is_open)
  local http = require "ctz.http"
  local url = url_of(self, method, path, opts)
  opts.is_stream = true
  for attempt = 1, 2 do
    local done, stream = pcall(function()
      local options = http_options(self, method, opts, attempt == 2)
      options.stream, options.idle_timeout = begin == "request" or nil, opts.idle_timeout or 0
      options.protocol = opts.protocol
      if begin == "upgrade" then
        options.compressed, options.idle_timeout = nil, opts.idle_timeout
      end
      return http[begin](url, options)
    end)
    local is_last = attempt == 2 or not is_refused(self, stream)
    if not done and is_last then
      error(failure.of_transport(stream, opts, self.cluster), 0)
    elseif done then
      self.answered = true
      if is_open(stream) then
        return stream
      end
      local answer = { status = stream.status, headers = stream.headers, body = stream.body or read_all(stream) }
      stream:close()
      if is_last then
        error(failure.of_answer(answer, opts, { retry_after = seconds_of(answer.headers["retry-after"]) }), 0)
      end
    end
  end
end

-- client:stream(method, path, opts) -> a stream of ctz.http whose status is good. opts as of client:call,
-- and idle_timeout: seconds without a byte, 0 (default): none.
function Client:stream(method, path, opts)
  return open(self, method, path, opts, "request", function(stream)
    return is_good(stream.status, opts)
  end)
end

-- client:upgrade(path, opts) -> a connection of ctz.http, both ways, behind its answer 101. opts as of
-- client:call, protocol ("websocket"), headers.
function Client:upgrade(path, opts)
  opts.protocol = opts.protocol or "websocket"
  return open(self, "GET", path, opts, "upgrade", function(connection)
    return connection.status == 101
  end)
end

-- What a stream of the server raised while it was read.
function Client:failure(err, opts)
  return failure.of_transport(err, opts, self.cluster)
end

-- client:plans(text, ...) -> boolean: is this a dry run? Then it prints "would <text>", and the caller
-- changes nothing. For what the server has no dry run of: exec, port_forward.
function Client:plans(text, ...) -- luacheck: ignore 212
  return DRY_RUN and host_core.plan(require("ctz.core.ui").clean(text:format(...)))
end

-- What --allow grants of the cluster; reads: for requests that only look.
local function grant(cluster, reads)
  local ok, granted = pcall(core.grant, "kubernetes", cluster.address, reads)
  if not ok then
    granted.op = "kubernetes.connect"
    error(granted, 0)
  end
  return granted
end

-- Compression pays on a network, not on this machine.
local function is_far(address)
  return not (address:find "^127%." or address:find "^localhost:" or address:find "^%[::1%]")
end

-- A client of a cluster of kubeconfig.load. opts: requests, rps, timeout.
local function new(cluster, opts)
  return setmetatable({
    cluster = cluster,
    context = cluster.context,
    namespace = cluster.namespace,
    server = cluster.server,
    reading = grant(cluster, true),
    changing = grant(cluster, false),
    pace = paces.new(opts),
    timeout = opts.timeout or ANSWER_S,
    is_far = is_far(cluster.address),
    agent = "ctz/" .. host_core.version,
    dry_run = DRY_RUN,
    monotonic = require("ctz.time").monotonic,
  }, Client)
end

return { new = new, escape = escape, dry_run = DRY_RUN, method = method_of }
