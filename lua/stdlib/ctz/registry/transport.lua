-- registry/transport.lua: one request and the redirects that it is led through.
-- SPDX-License-Identifier: MIT
--
-- Redirects are followed here and not by ctz.http: a registry may not lead us into a private network,
-- and the storage that it leads to must not see who we are.
local hosts = require "ctz.registry.hosts"
local http = require "ctz.http"
local make = require("ctz.registry.failure").make
local urls = require "ctz.registry.url"

local error, pairs, tostring, type = error, pairs, tostring, type
local concat = table.concat

local REDIRECTS <const> = 10
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

-- send(url, options, policy) -> answer of ctz.http; answer.at is the URL that answered. options as of
-- ctz.http, and make_body: is called for each body that is sent. A status is never raised.
local function send(url, options, policy)
  local first = url
  for _ = 0, REDIRECTS do
    local answer = http.request(urls.text_of(url), options_for(url, first, options))
    local location = redirects[answer.status] and answer.headers.location
    if options.stream and (location or answer.status >= 400) then
      answer.body = read_rest(answer)
    end
    if not location then
      answer.at = url
      return answer
    end
    local to = check(urls.resolve(url, location), url, policy, "a redirect")
    check_method(answer, options.method, to, policy)
    if options.body and type(options.body) == "function" and not options.make_body then
      error(make("unsupported", policy.context, "the registry redirects an upload that cannot be sent twice"), 0)
    end
    url = to
  end
  error(make("protocol", policy.context, ("more than %s redirects"):format(tostring(REDIRECTS))), 0)
end

return { send = send, check = check }
