-- registry/ping.lua: is there a registry, and how much may still be pulled from it?
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec, end-1; docs.docker.com, Docker Hub usage and limits.
local check = require("ctz.options").check
local failure = require "ctz.registry.failure"
local monotonic = require("ctz.time").monotonic

local error, tonumber = error, tonumber

--- client:ping(opts?) -> table
--- Asks the registry whether it is one and whether we may come in: {seconds, version}.
--- @async
--- @param opts.timeout? ctz.seconds
--- @return {seconds: number, version: string?}
--- @error auth  it wants to know who we are, and does not take what we say
--- @error not_found  there is a server, but no registry
--- @error unreachable  nobody answers
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local _, err = ctz.try(client.ping, client)
--- @example assert(err:is "registry" and err:is "unreachable")
--- Api: OCI distribution-spec, end-1
local function ping(self, opts)
  opts = check("registry.client.ping", opts, { timeout = "seconds" })
  local context = {
    op = "registry.client.ping", target = self.name, timeout = opts.timeout, ok = { [404] = true, [405] = true },
  }
  local before = monotonic()
  local answer = self:request("GET", "/v2/", context)
  if answer.status ~= 200 then
    error(failure.make("not_found", context, ("its server has no registry: %d for /v2/"):format(answer.status),
      { status = answer.status, hint = "is the name right, and the port?" }), 0)
  end
  return { seconds = monotonic() - before, version = answer.headers["docker-distribution-api-version"] }
end

-- "100;w=21600" -> 100, 21600
local function limit_of(text)
  local count, window = (text or ""):match "^%s*(%d+)%s*;%s*w=(%d+)"
  return tonumber(count or (text or ""):match "^%s*(%d+)"), tonumber(window)
end

--- client:quota(repo?, tag?) -> table | nil
--- How many pulls the registry still allows, as Docker Hub tells it: {limit, remaining, window_s,
--- source}. Nil where none is told. Asking costs no pull.
--- @async
--- @param repo? string  at other registries than Docker Hub: an image that is there
--- @param tag? string  default latest
--- @return {limit: integer, remaining: integer, window_s: integer?, source: string?}?
--- @error usage  a registry that is not Docker Hub needs the name of an image
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example assert(select(2, ctz.try(client.quota, client, "a/b")):is "unreachable")
--- Api: Docker Hub, ratelimit-limit and ratelimit-remaining
local function quota(self, repo, tag)
  local op <const> = "registry.client.quota"
  repo = repo or self.quirks.quota
  if not repo then
    error(failure.make("usage", { op = op, target = self.name }, "an image has to be named: client:quota(repo)"), 0)
  end
  local path, target = self:repository(op, repo, ":" .. (tag or "latest"))
  local answer = self:request("HEAD", ("/v2/%s/manifests/%s"):format(path, tag or "latest"), {
    op = op, target = target, scopes = { ("repository:%s:pull"):format(path) },
    headers = { Accept = require("ctz.registry.manifests").ACCEPT },
  })
  local limit, window = limit_of(answer.headers["ratelimit-limit"])
  local remaining = limit_of(answer.headers["ratelimit-remaining"])
  if not limit then
    return nil
  end
  return { limit = limit, remaining = remaining, window_s = window, source = answer.headers["docker-ratelimit-source"] }
end

return { ping = ping, quota = quota }
