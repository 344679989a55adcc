-- registry/tags.lua: the tags of a repository, what they point to, and their removal.
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec (end-8, end-9); regclient, scheme/reg/tag.go (removal by a manifest of
-- its own).
local check = require("ctz.options").check
local ctz = require "ctz"
local failure = require "ctz.registry.failure"
local json = require "ctz.json"
local manifests = require "ctz.registry.manifests"
local new_error = require("ctz.core.task").error
local pages = require "ctz.registry.pages"
local referrers = require "ctz.registry.referrers"
local time = require "ctz.time"

local copy_of = manifests.copy_of
local error, pcall, type = error, pcall, type
local random = math.random

local JOBS <const> = 8

--- client:tags(repo, opts?) -> iterator
--- for tag in client:tags(repo) do ... end: every tag, page by page as it is read, in the order of the
--- registry.
--- @async
--- @param repo string
--- @param opts.page? integer  tags of one page; default 1000, or the most that the registry gives
--- @param opts.last? string  only tags behind this one
--- @param opts.match? string  a Lua pattern; only tags that it fits
--- @error not_found  there is no such repository
--- @error protocol  the pages run in a circle
--- @error denied  a page is on another host
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local _, err = ctz.try(function() for tag in client:tags("a/b") do print(tag) end end)
--- @example assert(err:is "unreachable")
--- Api: OCI distribution-spec, end-8
local function tags(self, repo, opts)
  local op <const> = "registry.client.tags"
  opts = check(op, opts, { page = "integer", last = "string", match = "string" })
  local path, target = self:repository(op, repo)
  local context = { op = op, target = target, scopes = { ("repository:%s:pull"):format(path) } }
  return pages.each(self, ("/v2/%s/tags/list"):format(path), "tags", context, opts)
end

--- client:digests(repo, tags?, opts?) -> table
--- What tags point to, {tag = digest}, asked for several at once; tags that are gone are left out.
--- @async
--- @param repo string
--- @param tags? string[]  default all
--- @param opts.jobs? integer  questions at once, default 8
--- @return table<string, string>
--- @error not_found  there is no such repository
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example assert(select(2, ctz.try(client.digests, client, "a/b", {"1"})):is "unreachable")
local function digests(self, repo, list, opts)
  local op <const> = "registry.client.digests"
  opts = check(op, opts, { jobs = "integer" })
  if list == nil then
    list = {}
    for tag in self:tags(repo) do
      list[#list + 1] = tag
    end
  elseif type(list) ~= "table" then
    error(new_error { kind = "usage", op = op,
      message = ("bad argument 'tags' to '%s': expected table, got %s"):format(op, type(list)) }, 0)
  end
  local found = {}
  ctz.map(list, function(tag)
    local descriptor = manifests.resolve_in(self, manifests.context_of(self, op, repo, tag, "pull"))
    found[tag] = descriptor and descriptor.digest
  end, { jobs = opts.jobs or JOBS })
  return found
end

-- --- removal -----------------------------------------------------------------------------------

local removed <const> = { [200] = true, [202] = true, [204] = true }

-- What is gone when it is asked for again was removed the first time.
local function is_removed(answer)
  return removed[answer.status] or answer.status == 404 and answer.tries > 1
end

-- Statuses by which registries say that they do not remove a tag by its name.
local no_tags <const> = { [400] = true, [405] = true, [501] = true }

local function refuse(answer, self, context, words, hint)
  local err = self:refusal(answer, context, { words = words, hint = hint })
  err.kind = err.kind == "usage" and "unsupported" or err.kind
  error(err, 0)
end

local DELETING <const> = "it may be switched off: REGISTRY_STORAGE_DELETE_ENABLED=true for distribution"

-- A manifest that nobody else has.
local function unique_manifest()
  local config = { mediaType = "application/vnd.oci.empty.v1+json", size = 2,
    digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" }
  return json.encode {
    schemaVersion = 2, mediaType = manifests.OCI_MANIFEST, config = config, layers = json.array { config },
    annotations = { ["io.ctz.removed"] = ("%s %x"):format(time.format(time.now()), random(0)) },
  }
end

local function put(self, context, reference, bytes, media_type)
  local at = manifests.context_at(context, reference)
  at.body, at.headers, at.ok = bytes, { ["Content-Type"] = media_type }, "any"
  return self:request("PUT", at.path, at)
end

local function remove_digest(self, context, digest)
  local at = manifests.context_at(context, digest)
  at.ok = "any"
  return self:request("DELETE", at.path, at)
end

-- For a registry that removes manifests only: the tag is moved to a manifest of its own, which is
-- removed then; so no other tag can be lost. Whether it removes at all is tried before.
-- One at a time in a repository: distribution 2 loses the end of one of two removals at once, and
-- leaves its tag (measured with 2.8.2).
local function remove_by_manifest(self, context, refused)
  local turn <close> = self.pace:turn_for("removal in " .. context.repo) -- luacheck: ignore 211
  local original = manifests.get(self, context)
  local bytes = unique_manifest()
  local digest = manifests.digest_of(bytes, "sha256", context)
  self:put_blob(context.repo, "{}")
  local stored = put(self, context, digest, bytes, manifests.OCI_MANIFEST)
  local tried = stored.status == 201 and remove_digest(self, context, digest) or stored
  if not is_removed(tried) then
    refuse(refused, self, context, "the registry does not remove a tag by its name", stored ~= tried and DELETING
      or "removing the manifest would remove its other tags too")
  end
  local function give_back(answer)
    put(self, context, context.tag, original.bytes, original.mediaType)
    refuse(answer, self, context, "the registry does not remove the tag", DELETING)
  end
  local moved = put(self, context, context.tag, bytes, manifests.OCI_MANIFEST)
  if moved.status ~= 201 then
    refuse(moved, self, context, "the registry does not move the tag")
  end
  local ok, last = pcall(remove_digest, self, context, digest)
  if not ok then
    pcall(put, self, context, context.tag, original.bytes, original.mediaType)
    error(last, 0)
  elseif not is_removed(last) then
    give_back(last)
  end
end

local function delete_tag(self, context)
  local answer = self:request("DELETE", context.path, copy_of(context, { ok = "any" }))
  if is_removed(answer) then
    return true
  elseif not no_tags[answer.status] then
    error(self:refusal(answer, context), 0)
  end
  local there = manifests.resolve_in(self, context)
  if not there then
    error(failure.make("not_found", context, "there is no such tag", { status = 404 }), 0)
  end
  remove_by_manifest(self, context, answer)
  return true
end

-- The list of referrers that a tag keeps loses the manifest, where the registry keeps no list itself.
local function delete_manifest(self, context)
  local ok, found = pcall(manifests.get, self, copy_of(context, {}))
  local subject = ok and type(found.value.subject) == "table" and found.value.subject.digest
  local answer = self:request("DELETE", context.path, copy_of(context, { ok = "any" }))
  if no_tags[answer.status] then
    refuse(answer, self, context, "the registry does not remove it", DELETING)
  elseif not is_removed(answer) then
    error(self:refusal(answer, context), 0)
  end
  if type(subject) == "string" then
    referrers.forget(self, context, subject, context.digest)
  end
  return true
end

--- client:delete(repo, reference, opts?) -> true
--- Removes a tag and nothing else, or by its digest a manifest with all its tags. Where a registry
--- cannot remove a tag by its name, the tag is moved to a manifest of its own, and that is removed.
--- @async
--- @param repo string
--- @param reference string  a tag, or a digest
--- @param opts.timeout? ctz.seconds  of each request
--- @return true
--- @error not_found  there is no such tag or manifest
--- @error unsupported  the registry removes nothing, or cannot without removing other tags
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example assert(select(2, ctz.try(client.delete, client, "a/b", "1.0")):is "unreachable")
--- Api: OCI distribution-spec, end-9
local function delete(self, repo, text, opts)
  local op <const> = "registry.client.delete"
  opts = check(op, opts, { timeout = "seconds" })
  local context = manifests.context_of(self, op, repo, text, "pull,push,delete", opts)
  context.tag = not context.digest and text or nil
  if self:plans("remove %s", context.target) then
    return true
  end
  return (context.digest and delete_manifest or delete_tag)(self, context)
end

return { tags = tags, digests = digests, delete = delete }
