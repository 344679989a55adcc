-- registry/auth.lua: who we are at one registry: basic, or tokens that a server of its own hands out.
-- SPDX-License-Identifier: MIT
-- Source: distribution, docs/spec/auth/token.md and oauth.md; RFC 6750 (insufficient_scope).
local challenges = require "ctz.registry.challenge"
local channel = require "ctz.core.channel"
local credentials = require "ctz.registry.credentials"
local failure = require "ctz.registry.failure"
local hosts = require "ctz.registry.hosts"
local hold = require("ctz.registry.pace").hold
local http_core = require "ctz.core.http"
local json = require "ctz.json"
local monotonic = require("ctz.time").monotonic
local secret = require "ctz.secret"
local transport = require "ctz.registry.transport"
local urls = require "ctz.registry.url"

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local setmetatable, tonumber, type = setmetatable, tonumber, type
local max, min = math.max, math.min
local concat = table.concat

local TOKEN_BYTES <const> = 65536
local SHORTEST_S <const> = 60 -- what a token lives at least, as the protocol has it
local MARGIN_S <const> = 10 -- renewed so long before its end, or a tenth of its life
local KEPT_S <const> = 300 -- what a credential helper said
local TRIES <const> = 4
local CLIENT_ID <const> = "ctz"
local ANYBODY <const> = { ["<token>"] = true, ["00000000-0000-0000-0000-000000000000"] = true }

local Auth = {}
Auth.__index = Auth

-- --- scopes ------------------------------------------------------------------------------------

-- {"repository:a/b:pull,push"} -> {["repository:a/b pull"] = true, ["repository:a/b push"] = true}
local function grants_of(scopes)
  local grants = {}
  for _, scope in ipairs(scopes) do
    local subject, actions = scope:match "^(.*):([^:]*)$"
    for action in (actions or ""):gmatch "[^,]+" do
      grants[subject .. " " .. action] = true
    end
  end
  return grants
end

local function covers(grants, wanted)
  for grant in pairs(wanted) do
    if not grants[grant] then
      return false
    end
  end
  return true
end

-- Scopes of a request, with what the registry said that it needs beyond them.
local function scopes_with(self, scopes)
  local key = concat(scopes, " ")
  local more = self.wider[key]
  if not more then
    return scopes
  end
  local list = { table.unpack(scopes) }
  for _, scope in ipairs(more) do
    list[#list + 1] = scope
  end
  return list
end

local function widen(self, scopes, text)
  local key, had = concat(scopes, " "), grants_of(scopes_with(self, scopes))
  for scope in (text or ""):gmatch "%S+" do
    if not covers(had, grants_of { scope }) then
      self.wider[key] = self.wider[key] or {}
      self.wider[key][#self.wider[key] + 1] = scope
    end
  end
end

-- --- credentials -------------------------------------------------------------------------------

local function repository_of(scopes)
  return (scopes[1] or ""):match "^repository:(.*):[^:]*$" or ""
end

-- {username =, password =, identity_token =}; nil for nobody.
local function user(self, scopes)
  local given = self.given
  if given ~= nil then
    return given and (given.password or given.identity_token) and given or nil
  end
  local repository = repository_of(scopes)
  local name = repository == "" and self.name or self.name .. "/" .. repository
  local kept = self.users[name]
  if not kept or kept.at + KEPT_S < monotonic() then
    local ok, found = pcall(credentials.get, name)
    if not ok and (type(found) ~= "table" or found.kind ~= "denied") then
      error(found, 0)
    end
    kept = { at = monotonic(), user = ok and found or nil }
    self.users[name] = kept
  end
  return kept.user
end

local function login_hint(self)
  return ("ctz login %s, docker login %s, or registry.connect(host, {auth={username=, password=}})%s"):format(self.name,
    self.name, self.quirks.login and "; " .. self.quirks.login or "")
end

-- --- the token server --------------------------------------------------------------------------

local function parent_of(host)
  local parent = host:match "^[^.]+%.(.+)$"
  return parent and parent:find(".", 1, true) and parent or nil
end

-- May the server at this host be told the password? The registry decides whom it names, so it must be
-- itself, a neighbour of the same domain, known for this registry, or named by the caller.
local function is_trusted(self, realm)
  local host = self.host
  local named = type(self.given) == "table" and self.given.realm and urls.parse(self.given.realm)
  if realm.host == host or (self.quirks.realms or {})[realm.host] or named and urls.same_origin(named, realm) then
    return true
  elseif urls.is_loopback(realm.host) and urls.is_loopback(host) then
    return true
  elseif host:find "^[%d.]+$" or host:find "^%[" then
    return false
  end
  local parent = parent_of(host)
  return parent ~= nil and (realm.host == parent or realm.host:sub(-#parent - 1) == "." .. parent)
    or realm.host:sub(-#host - 1) == "." .. host
end

local function realm_of(self, context)
  local realm = urls.parse(self.realm)
  if realm and self.secure and realm.scheme ~= "https" then
    error(failure.make("auth", context, ("the registry speaks https and hands tokens out at %s"):format(
      urls.shown(realm)), { hint = "its external URL is set up wrongly: a password would be sent in plain text" }), 0)
  end
  local policy = { secure = self.secure, private = self.private, context = context }
  return transport.check(realm, realm, policy, ("the realm %q"):format(self.realm:sub(1, 100))), policy
end

local function to_json(self, answer, context)
  local ok, value = pcall(json.decode, answer.body)
  local token = ok and type(value) == "table" and (value.token or value.access_token)
  if type(token) ~= "string" or token == "" then
    error(failure.make("protocol", context, ("the token server of %s gives no token"):format(self.name)), 0)
  end
  return value, token
end

-- One question to the token server, repeated while it is busy.
local function ask(self, url, options, policy)
  options.tls = urls.same_origin(url, self.origin) and self.tls or hosts.tls_of(urls.authority_of(url))
  options.max_bytes, options.timeout = TOKEN_BYTES, SHORTEST_S
  if options.method == "POST" then -- it asks and changes nothing: also in a dry run
    options.grant = http_core.grant("net", url.host .. ":" .. url.port, true)
  end
  for try = 1, TRIES do
    local ok, answer = pcall(transport.send, url, options, policy)
    local again = try < TRIES and (ok and failure.busy[answer.status] or not ok and type(answer) == "table"
      and answer.retryable) and self.pace:take_breath(try)
    if ok and not again then
      return answer
    elseif not again then
      error(failure.of_transport(answer, policy.context, "the token server " .. urls.shown(url)), 0)
    end
  end
end

local function by_refresh_token(self, realm, policy, scopes, identity)
  local answer = ask(self, realm, {
    method = "POST",
    form = {
      grant_type = "refresh_token", service = self.service or "", client_id = CLIENT_ID,
      scope = concat(scopes, " "), refresh_token = identity:reveal(),
    },
  }, policy)
  return answer.status ~= 404 and answer.status ~= 405 and answer or nil
end

local function by_get(self, realm, policy, scopes, username, password)
  local fields = { service = self.service, scope = #scopes > 0 and scopes or nil }
  if password then
    fields.account = username
  end
  local url = { scheme = realm.scheme, host = realm.host, port = realm.port,
    target = urls.add_query(realm.target, fields) }
  return ask(self, url, { method = "GET", auth = password and { user = username, password = password } }, policy)
end

local function request_token(self, scopes, context)
  local realm, policy = realm_of(self, context)
  local who = user(self, scopes)
  local distrusted = who and not is_trusted(self, realm)
  if distrusted then
    who = nil
  end
  local identity = who and (self.refresh or who.identity_token or ANYBODY[who.username] and who.password)
  local answer = identity and by_refresh_token(self, realm, policy, scopes, identity)
  if not answer then
    local password = who and (who.password or identity)
    answer = by_get(self, realm, policy, scopes, who and (who.username or "<token>"), password)
  end
  if answer.status >= 300 then
    local hint = login_hint(self)
    if distrusted then
      hint = ("the password was not sent to %s, another host: registry.connect(host, {auth={..., realm=%q}}) trusts it")
        :format(realm.host, urls.text_of(realm):gsub("%?.*", ""))
    end
    local words = ("the token server %s gives no token"):format(urls.shown(realm))
    local err = failure.of_answer(answer, context, { hint = hint, words = words })
    if err.kind ~= "rate_limited" and err.kind ~= "unreachable" then
      err.kind = answer.status == 403 and "denied" or "auth"
    end
    error(err, 0)
  end
  return to_json(self, answer, context)
end

local function find_token(self, scopes)
  local wanted, now = grants_of(scopes), monotonic()
  for i = #self.tokens, 1, -1 do
    local entry = self.tokens[i]
    if entry.ends_at <= now then
      table.remove(self.tokens, i)
    elseif covers(entry.grants, wanted) and (next(wanted) ~= nil or next(entry.grants) == nil) then
      return entry
    end
  end
  return nil
end

local function fetch(self, scopes, context)
  local asked_at = monotonic()
  local value, token = request_token(self, scopes, context)
  local life = max(SHORTEST_S, tonumber(value.expires_in) or 0)
  if type(value.refresh_token) == "string" and value.refresh_token ~= "" then
    self.refresh = secret(value.refresh_token)
  end
  local entry = {
    token = secret(token), grants = grants_of(scopes), ends_at = asked_at + life - min(MARGIN_S, life / 10),
  }
  self.tokens[#self.tokens + 1] = entry
  return entry
end

-- One task asks, others wait for what it gets.
local function token_for(self, scopes, context)
  local entry = find_token(self, scopes)
  if entry then
    return entry
  end
  local turn <close> = hold(self.turn) -- luacheck: ignore 211
  return find_token(self, scopes) or fetch(self, scopes, context)
end

-- --- what a request needs ----------------------------------------------------------------------

-- Puts into the options what the registry asked for so far; returns what was used, for challenged().
function Auth:apply(options, scopes, context)
  local given = self.given
  if given and given.token then
    options.bearer = given.token
    return { kind = "given" }
  elseif self.scheme == "bearer" then
    local entry = token_for(self, scopes_with(self, scopes), context)
    options.bearer = entry.token
    return { kind = "bearer", entry = entry }
  elseif self.scheme == "basic" then
    local who = user(self, scopes)
    if who and who.password then
      options.auth = { user = who.username or "", password = who.password }
      return { kind = "basic" }
    end
  end
  return { kind = "none" }
end

local function choose(list)
  local found = {}
  for _, challenge in ipairs(list) do
    if challenge.scheme == "bearer" and challenge.params.realm or challenge.scheme == "basic" then
      found[challenge.scheme] = found[challenge.scheme] or challenge
    end
  end
  return found.bearer or found.basic
end

local function forget(self, entry)
  for i, one in ipairs(self.tokens) do
    if one == entry then
      table.remove(self.tokens, i)
      return
    end
  end
end

-- Reads the challenges of a 401. True: with what is known now the request is worth another try; round
-- counts them.
function Auth:challenged(answer, scopes, used, round)
  local challenge = choose(challenges.parse(answer.headers["www-authenticate"] or ""))
  if not challenge or used.kind == "given" then
    return false
  end
  local params = challenge.params
  self.scheme = challenge.scheme
  if challenge.scheme == "basic" then
    if used.kind == "basic" then
      self.users = {} -- a helper may know a newer one
      return round == 1 and self.given == nil and self.quirks.fresh == true
    end
    return user(self, scopes) ~= nil
  end
  self.realm, self.service = params.realm, params.service
  self.on_challenge(params)
  if used.kind == "bearer" then
    forget(self, used.entry)
  end
  if used.kind ~= "bearer" or params.error == "insufficient_scope" or round == 1 then
    widen(self, scopes, params.scope)
    return true
  end
  return false
end

function Auth:hint()
  return login_hint(self)
end

-- Who we are, for people: {username =, password = secret}; nil for nobody.
function Auth:shown()
  if self.given and self.given.token then
    return { token = self.given.token }
  end
  return user(self, {})
end

-- new{name, given, quirks, pace, on_challenge}; the client adds origin, host, secure, private and tls
-- when it knows how the registry is reached.
local function new(fields)
  local self = setmetatable(fields, Auth)
  self.tokens, self.users, self.wider, self.turn = {}, {}, {}, channel.channel(1)
  return self
end

return { new = new }
