-- registry/push.lua: manifests and indexes into a registry.
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec (end-7, Pushing Manifests with Subject), image-spec (image-index.md).
local check = require("ctz.options").check
local failure = require "ctz.registry.failure"
local json = require "ctz.json"
local manifests = require "ctz.registry.manifests"
local new_error = require("ctz.core.task").error
local referrers = require "ctz.registry.referrers"

local copy_of = manifests.copy_of
local error, ipairs, next, pairs, type = error, ipairs, next, pairs, type

local function usage(op, text, ...)
  error(new_error { kind = "usage", op = op, message = text:format(...) }, 0)
end

-- Bytes, value and type of what is to be pushed: a text, a table, or what client:manifest returned.
local function read_content(context, content, media_type)
  if type(content) == "table" and type(content.bytes) == "string" then
    media_type = media_type or content.mediaType
    content = content.bytes
  elseif type(content) == "table" then
    local value = {}
    for name, item in pairs(content) do
      value[name] = item
    end
    value.schemaVersion = value.schemaVersion or 2
    value.mediaType = value.mediaType or media_type
      or type(value.manifests) == "table" and manifests.OCI_INDEX or manifests.OCI_MANIFEST
    content = json.encode(value)
  elseif type(content) ~= "string" then
    usage(context.op, "bad argument 'manifest' to '%s': expected string or table, got %s", context.op, type(content))
  end
  local value, found = manifests.read_document(content, media_type or "", context)
  return content, value, found
end

-- A server that answers 200 to everything looks like a registry: it has to know the digest, or give
-- the manifest back.
local function check_stored(self, context, answer, digest)
  local said = answer.headers["docker-content-digest"]
  if not said then
    local there = manifests.resolve_in(self, manifests.context_at(context, digest))
    said = there and there.digest
  end
  if said ~= digest then
    error(failure.make(said and "digest" or "protocol", context, said
      and ("the registry has stored something else: %s, and not %s"):format(said, digest)
      or ("the registry answers %d, and the manifest is not there"):format(answer.status)), 0)
  end
end

-- put(client, context, bytes, value, media_type) -> descriptor
local function put(self, context, bytes, value, media_type)
  local algorithm = context.digest and context.digest:match "^[^:]+" or "sha256"
  local digest = manifests.digest_of(bytes, algorithm, context)
  if context.digest and context.digest ~= digest then
    error(failure.make("digest", context, ("the content is %s"):format(digest)), 0)
  elseif #bytes > manifests.limit_bytes() then
    error(failure.make("size", context, ("the manifest has %d bytes"):format(#bytes),
      { hint = "--limit manifest_bytes=N allows longer ones; registries take 4 MiB at least" }), 0)
  end
  local descriptor = { mediaType = media_type, digest = digest, size = #bytes }
  local headers = { ["Content-Type"] = media_type }
  headers["If-Match"] = context.if_match
  local answer = self:request("PUT", context.path, copy_of(context, {
    body = bytes, headers = headers, pushes = true,
  }))
  check_stored(self, context, answer, digest)
  local subject = type(value.subject) == "table" and value.subject.digest
  if type(subject) == "string" and not answer.headers["oci-subject"] then
    referrers.remember(self, context, subject, referrers.describe(descriptor, value))
  end
  return descriptor
end

--- client:put_manifest(repo, reference, manifest, opts?) -> table
--- Puts a manifest or an index into a repository and returns its descriptor {mediaType, digest, size}.
--- What it names has to be there before. One with a subject is entered into the list of referrers where
--- the registry does not do that itself.
--- @async
--- @param repo string
--- @param reference string  a tag, or the digest of the bytes
--- @param manifest string|table  its bytes as they are, a table, or what client:manifest returned
--- @param opts.media_type? string  of bytes that do not tell it
--- @param opts.tags? string[]  more tags for it
--- @param opts.timeout? ctz.seconds  of each request
--- @return {mediaType: string, digest: string, size: ctz.bytes}
--- @error digest  the reference is the digest of something else
--- @error not_found  something that it names is not there
--- @error denied  we may not push there
--- @error protocol  it is no manifest
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local index = {manifests=ctz.json.array{}}
--- @example local _, err = ctz.try(client.put_manifest, client, "a/b", "1.0", index)
--- @example assert(err:is "unreachable")
--- Api: OCI distribution-spec, end-7a
local function put_manifest(self, repo, text, content, opts)
  local op <const> = "registry.client.put_manifest"
  opts = check(op, opts, { media_type = "string", tags = "list", timeout = "seconds" })
  local context = manifests.context_of(self, op, repo, text, "pull,push", opts)
  local bytes, value, media_type = read_content(context, content, opts.media_type)
  local contexts = { context }
  for i, tag in ipairs(opts.tags or {}) do
    contexts[i + 1] = manifests.context_of(self, op, repo, tag, "pull,push", opts)
  end
  local descriptor = { mediaType = media_type, digest = manifests.digest_of(bytes, "sha256", context), size = #bytes }
  for _, one in ipairs(contexts) do
    if not self:plans("push %s", one.target) then
      descriptor = put(self, one, bytes, value, media_type)
    end
  end
  return descriptor
end

-- --- indexes -----------------------------------------------------------------------------------

local KEPT <const> = { "mediaType", "digest", "size", "platform", "annotations", "artifactType", "urls", "data" }

-- A descriptor for an index: as given, or of a tag or digest in the repository.
local function entry_of(self, context, repo, given)
  if type(given) == "string" then
    given = { reference = given }
  end
  if type(given) ~= "table" or type(given.reference or given.digest) ~= "string" then
    usage(context.op, "bad argument 'entries' to '%s': expected tags, digests or descriptors", context.op)
  end
  local entry = {}
  for _, name in ipairs(KEPT) do
    entry[name] = given[name]
  end
  if not entry.size or not entry.mediaType then
    local at = manifests.context_of(self, context.op, repo, given.reference or given.digest, "pull")
    local found = manifests.resolve_in(self, at)
    if not found then
      error(failure.make("not_found", at, "there is no such image"), 0)
    end
    entry.mediaType, entry.digest, entry.size = found.mediaType, found.digest, found.size
  end
  return entry
end

-- The platform of an image, from its config; nil when it tells none.
local function platform_of(self, context, repo, entry)
  if manifests.indexes[entry.mediaType] then
    return nil
  end
  local found = manifests.get(self, manifests.context_of(self, context.op, repo, entry.digest, "pull"))
  local config = found.value.config
  if type(config) ~= "table" or type(config.digest) ~= "string" then
    return nil
  end
  local parts = {}
  local blob <close> = self:blob(repo, config.digest, { size = config.size })
  local size = 0
  for chunk in function()
    return blob:read()
  end do
    parts[#parts + 1], size = chunk, size + #chunk
    if size > manifests.limit_bytes() then
      return nil
    end
  end
  local value = json.decode(table.concat(parts), { big = "float" })
  if type(value) ~= "table" or type(value.os) ~= "string" then
    return nil
  end
  return {
    os = value.os, architecture = value.architecture, variant = value.variant, ["os.version"] = value["os.version"],
  }
end

local function add_entries(self, context, repo, list, entries)
  for _, given in ipairs(entries) do
    local entry = entry_of(self, context, repo, given)
    if entry.platform == nil then
      entry.platform = platform_of(self, context, repo, entry)
    end
    local at = #list + 1
    for i, one in ipairs(list) do
      at = one.digest == entry.digest and i or at
    end
    list[at] = entry
  end
end

local INDEX_RULES <const> = { annotations = "table", media_type = "string", artifact_type = "string", tags = "list" }

--- client:create_index(repo, reference, entries, opts?) -> table
--- Puts an index of several images into a repository and returns its descriptor. The platform of an
--- entry is read from its config unless it is given.
--- @async
--- @param repo string
--- @param reference string  a tag
--- @param entries (string|table)[]  tags, digests or descriptors {digest=, platform={os=, architecture=}}
--- @param opts.annotations? table<string, string>
--- @param opts.artifact_type? string
--- @param opts.media_type? string  default the index of OCI
--- @param opts.tags? string[]  more tags for it
--- @return {mediaType: string, digest: string, size: ctz.bytes}
--- @error not_found  there is no such image
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local _, err = ctz.try(client.create_index, client, "a/b", "1.0", {"1.0-amd64"})
--- @example assert(err:is "unreachable")
--- Api: OCI image-spec, image-index.md
local function create_index(self, repo, text, entries, opts)
  local op <const> = "registry.client.create_index"
  opts = check(op, opts, INDEX_RULES)
  if type(entries) ~= "table" then
    usage(op, "bad argument 'entries' to '%s': expected table, got %s", op, type(entries))
  end
  local context = manifests.context_of(self, op, repo, text, "pull,push")
  local list = json.array {}
  add_entries(self, context, repo, list, entries)
  return put_manifest(self, repo, text, {
    mediaType = opts.media_type or manifests.OCI_INDEX, manifests = list, artifactType = opts.artifact_type,
    annotations = opts.annotations and next(opts.annotations) and opts.annotations or nil,
  }, { tags = opts.tags })
end

local function removes(remove, entry)
  for _, one in ipairs(remove) do
    if one == entry.digest then
      return true
    end
  end
  return false
end

--- client:edit_index(repo, reference, opts) -> table
--- Changes an index: takes entries out, puts others in, sets annotations (false removes one), and puts
--- it back under its tag or another one. The old index stays where its digest names it.
--- @async
--- @param repo string
--- @param reference string  a tag, or a digest
--- @param opts.add? (string|table)[]  as for create_index; one that is there is replaced
--- @param opts.remove? string[]  digests, or tags of what they point to
--- @param opts.annotations? table<string, string|false>
--- @param opts.to? string  the tag for the result; default the reference when it is a tag
--- @return {mediaType: string, digest: string, size: ctz.bytes}
--- @error not_found  there is no such index, or no such image
--- @error usage  it is no index
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local _, err = ctz.try(client.edit_index, client, "a/b", "1.0", {remove={"1.0-amd64"}})
--- @example assert(err:is "unreachable")
--- Api: OCI image-spec, image-index.md
local function edit_index(self, repo, text, opts)
  local op <const> = "registry.client.edit_index"
  opts = check(op, opts, { add = "list", remove = "list", annotations = "table", to = "string" })
  local context = manifests.context_of(self, op, repo, text, "pull,push")
  local found = manifests.get(self, context)
  if not found.is_index then
    usage(op, "%s is no index: %s", context.target, found.mediaType)
  elseif context.digest and not opts.to then
    usage(op, "'%s' of a digest needs opts.to: the tag for the result", op)
  end
  local remove, list = {}, json.array {}
  for i, one in ipairs(opts.remove or {}) do
    remove[i] = entry_of(self, context, repo, one).digest
  end
  for _, entry in ipairs(found.value.manifests) do
    if not removes(remove, entry) then
      list[#list + 1] = entry
    end
  end
  add_entries(self, context, repo, list, opts.add or {})
  local value = copy_of(found.value, { manifests = list })
  if opts.annotations then
    local annotations = copy_of(type(value.annotations) == "table" and value.annotations or {}, opts.annotations)
    for name, one in pairs(opts.annotations) do
      annotations[name] = one or nil
    end
    value.annotations = next(annotations) and annotations or nil
  end
  return put_manifest(self, repo, opts.to or text, value, { media_type = found.mediaType })
end

return { put_manifest = put_manifest, create_index = create_index, edit_index = edit_index, put = put }
