-- registry/client.lua: requests to one registry: how it is reached, who we are, its pace, its errors.
-- SPDX-License-Identifier: MIT
local auth = require "ctz.registry.auth"
local challenges = require "ctz.registry.challenge"
local channel = require "ctz.core.channel"
local check = require("ctz.options").check
local clean = require("ctz.core.ui").clean
local failure = require "ctz.registry.failure"
local hosts = require "ctz.registry.hosts"
local host_core = require "ctz.core.host"
local log = require "ctz.log"
local new_error = require("ctz.core.task").error
local options = require "ctz.options"
local paces = require "ctz.registry.pace"
local problems = require "ctz.problems"
local reference = require "ctz.registry.reference"
local secret = require "ctz.secret"
local task = require "ctz.core.task"
local time = require "ctz.time"
local transport = require "ctz.registry.transport"
local urls = require "ctz.registry.url"

local sorted_keys, suggestion = problems.sorted_keys, problems.suggestion
local error, ipairs, pairs, pcall, rawset, require = error, ipairs, pairs, pcall, rawset, require
local setmetatable, tonumber, type = setmetatable, tonumber, type

local TRIES <const> = 5
local LONGEST_WAIT_S <const> = 300 -- a registry that asks for more gets an error instead
local IDLE_S <const> = 60
local PROBE_S <const> = 10 -- a registry of this machine that does not answer TLS in that time speaks none
local WARNING_BYTES <const> = 4096
local ROUNDS <const> = 3 -- of one request: without a token, with one, with a wider one
local DRY_RUN <const> = host_core.mode().dry_run

local CONNECT <const> = "registry.connect"

local Client = { __name = "ctz.registry.client" }

-- --- how it is reached -------------------------------------------------------------------------

local function settle(self, scheme)
  local url = urls.parse(("%s://%s/"):format(scheme, self.authority))
  self.origin = url
  self.policy.secure, self.policy.private = scheme == "https", urls.is_private(url.host)
  self.policy.tls = scheme == "https" and self.tls or nil
  local who = self.auth
  who.origin, who.host, who.secure, who.private = url, url.host, self.policy.secure, self.policy.private
  who.tls = self.policy.tls
  if scheme == "http" and not urls.is_loopback(url.host) then
    log.warn(("the registry %s is spoken to without TLS: passwords and images can be read and changed on the way")
      :format(self.name))
  end
end

-- Is it worth asking a registry of this machine by http after https went wrong like this?
local function speaks_no_tls(err)
  return type(err) == "table" and not (err.code and err.code:find "^CERT_")
    and (err.kind == "unreachable" or err.kind == "protocol" or err.kind == "timeout" and task.remaining() > 0)
end

local function probe(self, scheme, tls, context)
  local url = urls.parse(("%s://%s/v2/"):format(scheme, self.authority))
  return pcall(transport.send, url, { method = "GET", tls = tls, timeout = PROBE_S },
    { secure = false, private = true, context = context })
end

-- Whose certificate it has is not looked at before it is known that it has one: most registries of this
-- machine have none, and to read the system's authorities takes 20 ms.
local function probing(tls)
  local result = { probe = true }
  for name, value in pairs(tls or {}) do
    result[name] = value
  end
  return result
end

local function find_scheme(self, context)
  local ok, err = probe(self, "https", probing(self.tls), context)
  if ok then
    return "https"
  elseif not speaks_no_tls(err) then
    error(failure.of_transport(err, context, self.authority), 0)
  end
  local plain, second = probe(self, "http", nil, context)
  if not plain then
    error(failure.of_transport(second, context, self.authority), 0)
  end
  return "http"
end

-- The first request finds it out, others wait for it. Only a registry of this machine may be without TLS
-- unless the recipe says so.
local function origin_of(self, context)
  if self.origin then
    return self.origin
  end
  local turn <close> = paces.hold(self.turn) -- luacheck: ignore 211
  if not self.origin then
    self.tls = hosts.tls_of(self.name, self.tls)
    local is_local = urls.is_loopback(self.authority:gsub(":%d+$", ""))
    settle(self, self.plain and "http" or is_local and find_scheme(self, context) or "https")
  end
  return self.origin
end

-- --- one request -------------------------------------------------------------------------------

local function show_warnings(self, answer)
  local text = answer.headers.warning
  for _, words in ipairs(text and challenges.warnings(text:sub(1, WARNING_BYTES)) or {}) do
    words = clean(words)
    if not self.warned[words] then
      self.warned[words] = true
      log.warn(("the registry %s says: %s"):format(self.name, words))
    end
  end
end

local function options_of(self, method, opts)
  local headers = { ["User-Agent"] = self.agent }
  if opts.compressed ~= true then
    headers["Accept-Encoding"] = "identity" -- what is hashed is what was stored
  end
  for name, value in pairs(opts.headers or {}) do
    headers[name] = value
  end
  local body = opts.body
  if body == nil and not opts.make_body and (method == "POST" or method == "PUT" or method == "PATCH") then
    body = "" -- without a body its length is said to be 0
  end
  return {
    method = method, headers = headers, body = body, make_body = opts.make_body, length = opts.length,
    stream = opts.stream, timeout = opts.timeout, idle_timeout = IDLE_S, max_bytes = opts.max_bytes,
    compressed = opts.compressed == true,
  }
end

-- Asks, and tells who we are when the registry wants to know. Other hosts are told nothing.
local function ask(self, method, path, opts)
  local origin = origin_of(self, opts)
  local url = opts.url
  if not url then
    url = { scheme = origin.scheme, host = origin.host, port = origin.port, target = path }
    if self.ns then
      url.target = urls.add_query(path, { ns = self.ns })
    end
  end
  local policy = { secure = self.policy.secure, private = self.policy.private, context = opts }
  local own = urls.same_origin(url, origin)
  for round = 1, ROUNDS do
    local settings = options_of(self, method, opts)
    settings.tls = own and self.policy.tls or not own and hosts.tls_of(urls.authority_of(url)) or nil
    local used = own and self.auth:apply(settings, opts.scopes, opts)
    local answer = transport.send(url, settings, policy)
    if answer.status ~= 401 or not own or not urls.same_origin(answer.at, origin) or round == ROUNDS
      or not self.auth:challenged(answer, opts.scopes, used, round) then
      return answer
    end
    if answer.close then
      answer:close()
    end
  end
end

local function is_repeatable(method, opts)
  if opts.retry ~= nil then
    return opts.retry
  end
  return method ~= "PATCH" and (opts.body == nil or type(opts.body) == "string")
end

-- Seconds until the next try; nil when there is none.
local function pause_before(self, try, asked, repeatable)
  if try >= TRIES or not repeatable or asked and asked > LONGEST_WAIT_S then
    return nil
  end
  local pause = self.pace:pause_of(asked, try)
  return pause <= task.remaining() and pause or nil
end

local function is_busy(answer)
  return failure.busy[answer.status]
end

-- Nobody listens there, and nobody ever did: that is told at once.
local function is_nobody(self, err)
  return not self.reached and type(err) == "table" and err.code == "ECONNREFUSED"
end

-- Repeats what the registry was too busy for, or what broke on the way.
local function ask_often(self, method, path, opts)
  local repeatable = is_repeatable(method, opts)
  for try = 1, TRIES do
    local permit <close> = self.pace:enter()
    local ok, answer = pcall(ask, self, method, path, opts)
    self.reached = self.reached or ok
    local asked = ok and challenges.retry_after(answer.headers["retry-after"], time.now()) or nil
    if ok and not is_busy(answer) then
      self.pace:answered()
      show_warnings(self, answer)
      if opts.stream and answer.close then
        answer.permit = permit:hand_on()
      end
      return answer, asked, try
    end
    local err = not ok and failure.of_transport(answer, opts, self.authority) or nil
    local lost = type(err) == "table" and (err.retryable or opts.retry and err.kind == "unreachable")
    local may_repeat = ok or lost and not is_nobody(self, err)
    local again = may_repeat and pause_before(self, try, asked, repeatable)
    if not again then
      if err then
        if type(err) == "table" and try > 1 then
          err.attempts = try
        end
        error(err, 0)
      end
      return answer, asked, try
    end
    if answer.close then
      answer:close()
    end
    self.pace:slow_down(again)
  end
end

-- --- requests for the files beside this one ----------------------------------------------------

local function hint_for(self, answer, opts)
  local known = self.type
  if answer.status == 401 or answer.status == 403 then
    return self.auth:hint()
  elseif answer.status == 404 and opts.pushes and hosts.types[known].create then
    return hosts.types[known].create:format(opts.repo or "REPOSITORY")
  end
  return opts.hint
end

-- The error for an answer that the caller cannot use.
function Client:refusal(answer, opts, facts)
  facts = facts or {}
  facts.hint = facts.hint or hint_for(self, answer, opts)
  return failure.of_answer(answer, opts, facts)
end

-- client:request(method, path, opts) -> answer {status, headers, body, at, tries}
-- opts: op, target (for errors); scopes = {"repository:name:pull"}; ok = {[404] = true} or "any": statuses
-- that are answers; headers, body | make_body, length, max_bytes, compressed, stream, timeout; url
-- (parsed) instead of path; retry = false: it is sent once, true: again also when nobody knows whether it
-- came; pushes, repo, hint: for hints.
function Client:request(method, path, opts)
  opts.scopes = opts.scopes or {}
  local answer, asked, tries = ask_often(self, method, path, opts)
  local status = answer.status
  answer.tries = tries
  if status >= 200 and status < 300 or opts.ok == "any" or opts.ok and opts.ok[status] then
    return answer
  end
  if answer.close then
    answer:close()
    if answer.permit then
      answer.permit:release()
    end
  end
  error(self:refusal(answer, opts, { retry_after = asked, attempts = tries > 1 and tries or nil }), 0)
end

-- client:read(method, path, opts): as request, asked of the mirrors first.
function Client:read(method, path, opts)
  for _, mirror in ipairs(self.mirror_clients) do
    local copy = {}
    for name, value in pairs(opts) do
      copy[name] = value
    end
    copy.ok = opts.mirror_ok
    local ok, answer = pcall(mirror.request, mirror, method, path, copy)
    if ok then
      return answer
    elseif type(answer) ~= "table" or answer.kind == "cancelled" or task.remaining() <= 0 then
      error(answer, 0)
    end
    log.debug(("mirror %s: %s"):format(mirror.name, answer.message))
  end
  return self:request(method, path, opts)
end

-- The parsed URL of a Location or Link header of an answer; raises unless one may go there. host_only:
-- it has to be the registry itself.
function Client:follow(answer, reference_text, opts, what, host_only)
  local to = reference_text and urls.resolve(answer.at, reference_text)
  local origin = self.origin
  if to and to.host == origin.host and to.scheme == "http" and origin.scheme == "https" then
    to.scheme, to.port = origin.scheme, origin.port -- a registry behind a proxy knows its scheme wrongly
  end
  local policy = { secure = self.policy.secure, private = self.policy.private, context = opts }
  transport.check(to, answer.at, policy, what)
  if host_only and not urls.same_origin(to, origin) then
    error(failure.make("denied", opts, ("%s points to another host: %s"):format(what, urls.shown(to))), 0)
  end
  return to
end

-- Is this a dry run? Then it prints "would <text>", and the caller changes nothing.
function Client:plans(text, ...) -- luacheck: ignore 212
  return DRY_RUN and host_core.plan(clean(text:format(...)))
end

-- The path of a repository as the API has it, and the text of an image for errors. what: ":tag" or
-- "@digest" or nil.
function Client:repository(op, repo, what)
  if type(repo) ~= "string" then
    error(new_error { kind = "usage", op = op,
      message = ("bad argument 'repo' to '%s': expected string, got %s"):format(op, type(repo)) }, 0)
  end
  local library = hosts.types[self.type].library
  local path = library and not repo:find("/", 1, true) and library .. repo or repo
  local parts, problem, hint = reference.read(("x.invalid/%s%s"):format(path, what or ""))
  if parts and (parts.path ~= path or not what and (parts.tag or parts.digest)) then
    parts, problem = nil, "it is a repository with something behind it"
    hint = "the tag or digest is an argument of its own"
  end
  if not parts then
    local given = clean(repo .. (what or "")):sub(1, 200)
    error(new_error { kind = "usage", op = op, target = repo, hint = hint,
      message = ("bad argument 'repo' to '%s': %q: %s"):format(op, given, problem) }, 0)
  end
  return path, ("%s/%s%s"):format(self.name, repo, what or "")
end

-- --- the object --------------------------------------------------------------------------------

local fields = {}

function fields:url()
  return urls.text_of(origin_of(self, { op = CONNECT, target = self.name, scopes = {} })):gsub("/$", "")
end

function fields:credentials()
  return self.auth:shown()
end

function fields:repositories()
  return self:catalog()
end

function fields.security_scan_enabled()
  return false
end

function Client:retain(repo, opts)
  return require("ctz.registry.retain").of_client(self, repo, opts)
end

-- Where the operations are that other files define.
local files <const> = {
  ping = "ping", quota = "ping", catalog = "catalog", tags = "tags", digests = "tags", delete = "tags",
  manifest = "manifests", resolve = "manifests", put_manifest = "push",
  create_index = "push", edit_index = "push",
  blob = "blobs", has_blob = "blobs", delete_blob = "blobs", put_blob = "upload", mount_blob = "upload",
  referrers = "referrers", attach = "referrers",
}

function Client.__index(self, name)
  if Client[name] then
    return Client[name]
  elseif fields[name] then
    return (fields[name](self))
  elseif files[name] then
    Client[name] = require("ctz.registry." .. files[name])[name]
    return Client[name]
  end
  return nil
end

local function no_scanning()
  error(new_error { kind = "unsupported", op = CONNECT, message = "security_scan_enabled: images are not scanned yet",
    hint = "leave it out" }, 0)
end

function Client.__newindex(self, name, value)
  if name == "security_scan_enabled" then
    return value and no_scanning()
  end
  rawset(self, name, value)
end

function Client.__tostring(self)
  return ("ctz.registry.client(%s)"):format(self.name)
end

-- --- connecting --------------------------------------------------------------------------------

local CONNECT_RULES <const> = {
  auth = "table|boolean", tls = "table", http = "boolean", mirrors = "list", rps = "number", connections = "integer",
  type = "string", retention_policy = "table", security_scan_enabled = "boolean",
}
local AUTH_RULES <const> = {
  username = "string|secret", password = "string|secret", token = "string|secret", identity_token = "string|secret",
  realm = "string",
}

local function usage(text, hint)
  error(new_error { kind = "usage", op = CONNECT, message = text, hint = hint }, 0)
end

local function read_auth(given)
  if type(given) ~= "table" then
    return given == false and false or nil
  end
  check(CONNECT .. " (auth)", given, AUTH_RULES)
  local copy = { username = given.username, realm = given.realm }
  for _, name in ipairs { "password", "token", "identity_token" } do
    copy[name] = given[name] and secret(given[name])
  end
  if copy.password and not copy.username then
    usage("auth has a password and no username", "auth={username=, password=}, {token=} or {identity_token=}")
  elseif options.is_secret(copy.username) then
    copy.username = copy.username:reveal()
  end
  if copy.realm and not urls.parse(copy.realm) then
    usage(("auth.realm %q is no URL"):format(copy.realm))
  end
  return copy
end

local function read_name(host)
  if type(host) ~= "string" then
    usage(("bad argument 'host' to '%s': expected string, got %s"):format(CONNECT, type(host)))
  end
  local scheme, rest = host:match "^(%a+)://([^/]*)/*$"
  local name = hosts.canonical((rest or host):lower())
  local read = reference.read(name .. "/x/y")
  if scheme and scheme ~= "http" and scheme ~= "https" or not read or read.path ~= "x/y"
    or not urls.parse("https://" .. name .. "/") then
    usage(("%q is no registry"):format(clean(host):sub(1, 200)), "\"ghcr.io\", \"localhost:5000\", \"docker.io\"")
  end
  return name, scheme
end

local connect

local function mirrors_of(list, name)
  local clients = {}
  for i, one in ipairs(list or {}) do
    local opts = {}
    for key, value in pairs(type(one) == "table" and one or { host = one }) do
      opts[key] = value
    end
    local host = opts.host
    opts.host = nil
    clients[i] = connect(host, opts)
    clients[i].ns = name
  end
  return clients
end

--- ctz.registry.connect(host, opts?) -> ctz.registry.Client
--- A registry to work with; nothing is sent yet. It is spoken to by https; one on this machine by http
--- when it speaks no TLS. Who you are there is what docker login, podman login or a credential helper
--- knows, unless opts.auth says it; certificates come from certs.d, as for docker and podman. The
--- client has the fields url, type, credentials (masked), repositories (an iterator),
--- retention_policy and security_scan_enabled.
--- @param host string  "ghcr.io", "localhost:5000", "docker.io"
--- @param opts.auth? table|false  {username=, password=}, {token=} as it is, {identity_token=}; realm=URL
---   trusts a token server on another host; false: nobody
--- @param opts.tls? table  {ca=, cert=, key=} files or PEM texts, insecure=true: no check, with a warning
--- @param opts.http? boolean  true: plain HTTP
--- @param opts.mirrors? (string|table)[]  are asked first for what is read; {host=, and options of this function}
--- @param opts.rps? number  requests a second at most
--- @param opts.connections? integer  requests at once at most
--- @param opts.type? string  dockerhub ecr acr gcr harbor ghcr quay gitlab generic; else the name tells
--- @param opts.retention_policy? table  for ctz.registry.retain
--- @param opts.security_scan_enabled? boolean  true is not supported yet
--- @return ctz.registry.Client
--- @error usage  it is no name of a registry, or an option is wrong
--- @error unsupported  security_scan_enabled
--- @example local client = ctz.registry.connect("docker.io", {rps=5})
--- @example assert(client.type == "dockerhub")
function connect(host, opts)
  opts = check(CONNECT, opts, CONNECT_RULES)
  local name, scheme = read_name(host)
  local kind = opts.type or hosts.type_of(name)
  local quirks = hosts.types[kind]
  if not quirks then
    usage(("no type of registry is called %q"):format(kind), suggestion(kind, sorted_keys(hosts.types)))
  elseif opts.auth == true then
    usage "bad argument 'opts.auth': expected table or false, got true"
  elseif opts.rps and opts.rps <= 0 or opts.connections and opts.connections < 1 then
    usage "rps and connections are more than 0"
  elseif opts.security_scan_enabled then
    no_scanning()
  end
  local self = {
    name = name, authority = quirks.api or name, type = kind, quirks = quirks, tls = opts.tls,
    plain = opts.http == true or scheme == "http", turn = channel.channel(1), warned = {}, policy = {},
    agent = "ctz", retention_policy = opts.retention_policy, pace = paces.new(name, opts),
    connections = opts.connections,
  }
  self.auth = auth.new {
    name = name, given = read_auth(opts.auth), quirks = quirks, pace = self.pace,
    on_challenge = function(params)
      local found = self.type == "generic" and hosts.type_of_challenge(params)
      if found then
        self.type, self.quirks, self.auth.quirks = found, hosts.types[found], hosts.types[found]
      end
    end,
  }
  self.mirror_clients = mirrors_of(opts.mirrors, name)
  return setmetatable(self, Client)
end

-- The number in a header, nil when there is none.
local function number_of(answer, name)
  return tonumber((answer.headers[name] or ""):match "^%s*(%d+)%s*$")
end

return { connect = connect, number_of = number_of }
