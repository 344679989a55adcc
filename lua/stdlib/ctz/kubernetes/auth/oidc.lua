-- kubernetes/auth/oidc.lua: users of an OpenID Connect provider: the id-token, renewed by the refresh-token.
-- SPDX-License-Identifier: MIT
-- Source: client-go, plugin/pkg/client/auth/oidc/oidc.go; OpenID Connect Core 1.0, section 12.
local base64 = require "ctz.base64"
local channels = require "ctz.core.channel"
local core = require "ctz.core.http"
local failure = require "ctz.kubernetes.failure"
local fs = require "ctz.fs"
local json = require "ctz.json"
local log = require "ctz.log"
local secret = require "ctz.secret"
local time = require "ctz.time"

local error, pairs, pcall, require, tostring, type = error, pairs, pcall, require, tostring, type

local EARLY_S <const> = 10 -- before a token expires it is renewed

local function set(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- Is the token (a JWT) good for a while?
local function is_fresh(token)
  local ok, claims = pcall(function()
    return json.decode(base64.decode(token:match "^[^.]+%.([^.]+)%.", { url = true }))
  end)
  return ok and type(claims) == "table" and type(claims.exp) == "number" and claims.exp - EARLY_S > time.now()
end

local function refuse(source, op, text, facts)
  failure.fail("auth", op, ("the OIDC login of the user %q: %s"):format(source.name, text), facts)
end

local function ask(source, op, url, options)
  options.check, options.redirects = false, 0
  local ok, answer = pcall(require("ctz.http").request, url, options)
  if not ok then
    if type(answer) == "table" and answer.kind ~= "cancelled" and answer.message then
      answer.op, answer.message = op, ("the OIDC provider of the user %q: %s"):format(source.name, answer.message)
    end
    error(answer, 0)
  end
  local decoded, value = pcall(json.decode, answer.body)
  value = decoded and type(value) == "table" and value or {}
  if answer.status ~= 200 then
    refuse(source, op, ("%s answers %d: %s"):format(url, answer.status,
      set(value.error_description) or set(value.error) or "no more"), { status = answer.status, hint = "log in again" })
  end
  return value
end

-- The tokens of the file are replaced where they stand: its comments and form stay, kubectl goes on.
local function persist(source, old, new)
  local path, changed = source.file.path, false
  local ok, text = pcall(fs.read, path)
  for before, after in pairs { [old.id or false] = new.id, [old.refresh or false] = new.refresh } do
    local at, last = nil, nil
    if ok and before and before ~= after then
      at, last = text:find(before, 1, true)
    end
    if at then
      text, changed = text:sub(1, at - 1) .. after .. text:sub(last + 1), true
    end
  end
  local written, err = pcall(function()
    return changed and fs.write(path, text)
  end)
  if not written then
    log.warn(("%s: the new OIDC tokens could not be kept: %s"):format(path, err.message or err))
  end
end

local function renew(config, tokens, source, op)
  if not tokens.refresh or not set(config["idp-issuer-url"]) then
    local why = tokens.refresh and "it names no idp-issuer-url"
      or "the id-token has expired, and there is no refresh-token"
    refuse(source, op, why, { hint = "log in again, as kubectl's user would" })
  end
  local ca = set(config["idp-certificate-authority"])
  local data = set(config["idp-certificate-authority-data"])
  if ca and not data and ca:sub(1, 1) ~= "/" then
    ca = source.file.folder .. ca
  end
  local tls = (data or ca) and { ca = data and base64.decode(data) or ca } or nil
  local issuer = config["idp-issuer-url"]:gsub("/+$", "")
  local about = ask(source, op, issuer .. "/.well-known/openid-configuration", { tls = tls })
  local endpoint = set(about.token_endpoint)
  if not endpoint then
    refuse(source, op, issuer .. " names no token_endpoint")
  end
  local address = endpoint:match "^https?://([^/?#]+)" or ""
  address = address:find ":%d+$" and address or address .. (endpoint:find "^https" and ":443" or ":80")
  local reply = ask(source, op, endpoint, {
    method = "POST", tls = tls, grant = core.grant("net", address, true),
    form = { grant_type = "refresh_token", refresh_token = tokens.refresh, client_id = set(config["client-id"]),
      client_secret = set(config["client-secret"]) },
  })
  local id = set(reply.id_token)
  if not id then
    refuse(source, op, "the provider gave no id_token", { hint = "its scope openid is needed" })
  end
  local new = { id = id, refresh = set(reply.refresh_token) or tokens.refresh }
  persist(source, tokens, new)
  return new
end

-- authorizer(provider, source) -> authorize
local function authorizer(provider, source)
  local config = type(provider.config) == "table" and provider.config or {}
  if provider.name ~= "oidc" then
    local text = "%s: the auth-provider %s of the user %q is no longer there"
    failure.fail("unsupported", "kubernetes.connect", text:format(source.place, tostring(provider.name), source.name), {
      hint = "an exec plugin took its place: gke-gcloud-auth-plugin, kubelogin",
    })
  end
  local tokens = { id = set(config["id-token"]), refresh = set(config["refresh-token"]) }
  local turn = channels.channel(1) -- a refresh-token may be good for one renewal only
  return function(headers, opts)
    local seen = tokens
    turn:send(true)
    local ok, err = pcall(function()
      if opts.fresh and tokens == seen or not tokens.id or not is_fresh(tokens.id) then
        tokens = renew(config, tokens, source, opts.op)
      end
    end)
    turn:receive()
    if not ok then
      error(err, 0)
    end
    headers.Authorization = secret("Bearer " .. tokens.id)
  end
end

return { authorizer = authorizer }
