-- registry/catalog.lua: the repositories of a registry.
-- SPDX-License-Identifier: MIT
-- Source: distribution, docs/spec/api.md (GET /v2/_catalog); it is not part of the OCI specification.
local check = require("ctz.options").check
local failure = require "ctz.registry.failure"
local pages = require "ctz.registry.pages"

local error = error

--- client:catalog(opts?) -> iterator
--- for repo in client:catalog() do ... end: every repository that we may see. Many registries do not
--- tell. for repo in client.repositories do ... end is the same.
--- @async
--- @param opts.page? integer  names of one page; default 1000, or the most that the registry gives
--- @param opts.last? string  only names behind this one
--- @param opts.match? string  a Lua pattern; only names that it fits
--- @error unsupported  the registry does not list its repositories
--- @error auth  only who is known to it may see the list
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local _, err = ctz.try(function() for repo in client:catalog() do print(repo) end end)
--- @example assert(err:is "unreachable")
--- Api: distribution, GET /v2/_catalog
local function catalog(self, opts)
  local op <const> = "registry.client.catalog"
  opts = check(op, opts, { page = "integer", last = "string", match = "string" })
  local context = { op = op, target = self.name, scopes = { "registry:catalog:*" } }
  if self.quirks.catalog then
    error(failure.make("unsupported", context, self.quirks.catalog), 0)
  end
  return pages.each(self, "/v2/_catalog", "repositories", context, opts)
end

return { catalog = catalog }
