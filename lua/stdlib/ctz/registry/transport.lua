-- registry/transport.lua: one request and the redirects that it is led through.
-- SPDX-License-Identifier: MIT
--
-- Redirects are followed here and not by ctz.http: a registry may not lead us into a private network,
-- and the storage that it leads to must not see who we are.
local challenges = require "ctz.registry.challenge"
local hosts = require "ctz.registry.hosts"
local http = require "ctz.http"
local json = require "ctz.json"
local make = require("ctz.registry.failure").make
local secret = require "ctz.secret"
local urls = require "ctz.registry.url"

local error, ipairs, pairs, pcall, tostring, type = error, ipairs, pairs, pcall, tostring, type
local concat = table.concat

local REDIRECTS <const> = 10
local TOKEN_BYTES <const> = 65536
local TOKEN_S <const> = 60
local KEPT_BYTES <const> = 65536 -- of the body of an error or a redirect

-- What is left of a stream, as far as it is worth keeping.
local function read_rest(stream)
  local parts, size = {}, 0
  for chunk in stream:chunks() do
    parts[#parts + 1], size = chunk, size + #chunk
    if size > KEPT_BYTES then
      break
    end
  end
  return concat(parts)
end

-- Raises unless the registry may lead us from one URL to another. policy: {secure =, private =, context =}.
local function check(to, from, policy, what)
  local context = policy.context
  if not to then
    error(make("protocol", context, what .. " is no URL"), 0)
  elseif (policy.secure or from.scheme == "https") and to.scheme ~= "https" then
    error(make("denied", context, ("%s leads from https to %s"):format(what, urls.shown(to)),
      { hint = "what is sent there would be readable by all; the registry is set up wrongly" }), 0)
  elseif not policy.private and urls.is_private(to.host) then
    error(make("denied", context, ("%s leads from a public registry into a private network: %s")
      :format(what, urls.shown(to))), 0)
  end
  return to
end

-- 307 and 308 keep method and body; the others make a GET, which only a GET or HEAD can stand for.
local function check_method(answer, method, to, policy)
  local status = answer.status
  if status ~= 307 and status ~= 308 and method ~= "GET" and method ~= "HEAD" then
    error(make("protocol", policy.context, ("the registry answers %d to a %s and points to %s")
      :format(status, method, urls.shown(to))), 0)
  end
end

local redirects <const> = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }

local function options_for(url, first, options)
  local copy = {}
  for name, value in pairs(options) do
    copy[name] = value
  end
  if copy.make_body then
    copy.body = copy.make_body()
  end
  if not urls.same_origin(url, first) then
    copy.auth, copy.bearer = nil, nil
    copy.tls = hosts.tls_of(urls.authority_of(url))
  end
  copy.make_body = nil
  copy.redirects, copy.check = 0, false
  return copy
end

-- A storage that we were led to may want a token of its own: one for anybody, of this request alone. Nil when
-- it has none for us.
local function storage_token(answer, url, policy)
  for _, challenge in ipairs(challenges.parse(answer.headers["www-authenticate"] or "")) do
    local params = challenge.params
    local realm = challenge.scheme == "bearer" and params.realm and urls.parse(params.realm)
    if realm then
      check(realm, url, policy, "the realm of a storage")
      realm.target = urls.add_query(realm.target, { service = params.service, scope = params.scope })
      local given = http.request(urls.text_of(realm), {
        method = "GET", redirects = 0, check = false, max_bytes = TOKEN_BYTES, timeout = TOKEN_S,
        tls = hosts.tls_of(urls.authority_of(realm)),
      })
      local ok, value = pcall(json.decode, given.status == 200 and given.body or "")
      local token = ok and type(value) == "table" and (value.token or value.access_token)
      return type(token) == "string" and token ~= "" and secret(token) or nil
    end
  end
  return nil
end

-- send(url, options, policy) -> answer of ctz.http; answer.at is the URL that answered. options as of
-- ctz.http, and make_body: is called for each body that is sent. A status is never raised.
local function send(url, options, policy)
  local first, token, challenger = url, nil, nil
  for _ = 0, REDIRECTS do
    local settings = options_for(url, first, options)
    settings.bearer = challenger and urls.same_origin(url, challenger) and token or settings.bearer
    local answer = http.request(urls.text_of(url), settings)
    local location = redirects[answer.status] and answer.headers.location
    if options.stream and (location or answer.status >= 400) then
      answer.body = read_rest(answer)
    end
    if answer.status == 401 and not challenger and not urls.same_origin(url, first) then
      challenger, token = url, storage_token(answer, url, policy)
    end
    local again = token and answer.status == 401 and settings.bearer == nil
    if not location and not again then
      answer.at = url
      return answer
    end
    local to = url
    if location then
      to = check(urls.resolve(url, location), url, policy, "a redirect")
      check_method(answer, options.method, to, policy)
    end
    if options.body and type(options.body) == "function" and not options.make_body then
      error(make("unsupported", policy.context, "the registry redirects an upload that cannot be sent twice"), 0)
    end
    url = to
  end
  error(make("protocol", policy.context, ("more than %s redirects"):format(tostring(REDIRECTS))), 0)
end

return { send = send, check = check }
