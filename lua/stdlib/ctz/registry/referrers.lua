-- registry/referrers.lua: what belongs to an image: signatures, SBOMs and other artifacts.
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec (end-12, Referrers Tag Schema), image-spec (manifest.md, artifacts).
local challenges = require "ctz.registry.challenge"
local check = require("ctz.options").check
local failure = require "ctz.registry.failure"
local hold = require("ctz.registry.pace").hold
local json = require "ctz.json"
local manifests = require "ctz.registry.manifests"
local new_error = require("ctz.core.task").error
local time = require "ctz.time"
local urls = require "ctz.registry.url"

local copy_of = manifests.copy_of
local error, ipairs, pcall, require, type = error, ipairs, pcall, require, type

local EMPTY_TYPE <const> = "application/vnd.oci.empty.v1+json"
local EMPTY_DIGEST <const> = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" -- of {}
local PAGES <const> = 1000
local RACES <const> = 5

-- The tag under which clients keep the list of referrers for registries that keep none.
local function tag_of(digest)
  local algorithm, encoded = digest:match "^([^:]*):(.*)$"
  return (algorithm:sub(1, 32) .. "-" .. encoded:sub(1, 64)):gsub("[^%w._-]", "-")
end

-- The descriptor of an artifact as a list of referrers has it.
local function describe(descriptor, value)
  local config = type(value.config) == "table" and value.config.mediaType
  return {
    mediaType = descriptor.mediaType, digest = descriptor.digest, size = descriptor.size,
    artifactType = value.artifactType or config or nil, annotations = value.annotations,
  }
end

-- --- the list that a tag keeps -------------------------------------------------------------------

-- The entries under the tag, its ETag. GitLab gives the subject itself for such a tag, so what comes
-- must be another document, and an index. strict: anything else raises, for it would be overwritten.
local function read_tag(self, context, subject, strict)
  local ok, found, answer = pcall(manifests.get, self, manifests.context_at(context, tag_of(subject)))
  if not ok then
    if type(found) == "table" and (found.kind == "not_found" or not strict and found.kind == "protocol") then
      return json.array {}
    end
    error(found, 0)
  elseif found.digest == subject then
    return json.array {}
  elseif not found.is_index then
    if strict then
      error(failure.make("conflict", context, ("the tag %s keeps no list of referrers: %s"):format(tag_of(subject),
        found.mediaType)), 0)
    end
    return json.array {}
  end
  return found.value.manifests, answer.headers.etag
end

local function put_tag(self, context, subject, list, etag)
  local value = { schemaVersion = 2, mediaType = manifests.OCI_INDEX, manifests = list }
  local at = manifests.context_at(context, tag_of(subject))
  at.if_match = etag
  return pcall(require("ctz.registry.push").put, self, at, json.encode(value), value, manifests.OCI_INDEX)
end

local function find(list, digest)
  for i, entry in ipairs(list) do
    if entry.digest == digest then
      return i
    end
  end
  return nil
end

-- Changes the list under the tag: change(list) says whether there is anything to do. Two clients that
-- write at the same time overwrite each other: it is read again afterwards, and written where ETags are
-- known only over what was read.
local function update(self, context, subject, change)
  local turn <close> = hold(self.pace.load.lists) -- luacheck: ignore 211
  local last
  for _ = 1, RACES do
    local list, etag = read_tag(self, context, subject, true)
    if not change(list) then
      return
    end
    local ok, err = put_tag(self, context, subject, list, etag)
    if not ok and (type(err) ~= "table" or err.kind ~= "conflict") then
      error(err, 0)
    end
    last = err
  end
  if change(read_tag(self, context, subject, true)) then
    error(type(last) == "table" and last.kind and last or failure.make("conflict", context,
      "others change the list of referrers all the time"), 0)
  end
end

-- Enters an artifact into the list of its subject, for a registry that does not.
local function remember(self, context, subject, descriptor)
  update(self, context, subject, function(list)
    if find(list, descriptor.digest) then
      return false
    end
    list[#list + 1] = descriptor
    return true
  end)
end

-- --- the list of the registry ------------------------------------------------------------------

-- Statuses of registries that keep no list.
local none <const> = { [400] = true, [404] = true, [405] = true, [406] = true, [501] = true }

local function has_filtered(answer)
  for name in (answer.headers["oci-filters-applied"] or ""):gmatch "[^,%s]+" do
    if name == "artifactType" then
      return true
    end
  end
  return false
end

local function read_index(answer, context)
  local ok, value = pcall(json.decode, answer.body, { big = "float" })
  if not ok or type(value) ~= "table" or value.manifests ~= json.null and type(value.manifests) ~= "table" then
    error(failure.make("protocol", context, "the list of referrers is no index"), 0)
  end
  return value.manifests ~= json.null and value.manifests or {}
end

-- nil when the registry keeps no list. Is the list filtered already?
local function read_api(self, context, subject, artifact_type)
  local path = ("/v2/%s/referrers/%s"):format(context.repo, subject)
  local at = copy_of(context, { path = urls.add_query(path, { artifactType = artifact_type }), ok = none })
  local list, visited, filtered = json.array {}, {}, true
  for _ = 1, PAGES do
    local answer = self:request("GET", at.path, at)
    local is_index = (answer.headers["content-type"] or ""):find("json", 1, true)
    if none[answer.status] or not is_index and answer.body:find "^%s*<" then
      return nil
    end
    for _, entry in ipairs(read_index(answer, context)) do
      if type(entry) == "table" and not find(list, entry.digest) then
        list[#list + 1] = entry
      end
    end
    filtered = filtered and has_filtered(answer)
    local link = challenges.next_link(answer.headers.link)
    if not link then
      return list, filtered
    end
    at.url = self:follow(answer, link, context, "the next page", true)
    local text = urls.text_of(at.url)
    if visited[text] then
      error(failure.make("protocol", context, "the pages run in a circle"), 0)
    end
    visited[text] = true
  end
  error(failure.make("size", context, ("more than %d pages"):format(PAGES)), 0)
end

local function list_of(self, context, subject, artifact_type)
  local list, filtered = read_api(self, context, subject, artifact_type)
  if not list then
    list, filtered = read_tag(self, context, subject), false
  end
  if not artifact_type or filtered then
    return list
  end
  local chosen = json.array {}
  for _, entry in ipairs(list) do
    if entry.artifactType == artifact_type then
      chosen[#chosen + 1] = entry
    end
  end
  return chosen
end

-- The digest of an image that is named by tag or digest.
local function subject_of(self, context)
  if context.digest then
    return context.digest
  end
  local found = manifests.resolve_in(self, context)
  if not found then
    error(failure.make("not_found", context, "there is no such image", { status = 404 }), 0)
  end
  return found.digest
end

--- client:referrers(repo, reference, opts?) -> table[]
--- The descriptors of what belongs to an image: {mediaType, digest, size, artifactType, annotations}.
--- They come from the registry, or from the tag that clients keep where it has no list.
--- @async
--- @param repo string
--- @param reference string  a tag, or a digest
--- @param opts.type? string  only artifacts of this type
--- @return table[]
--- @error not_found  there is no such tag
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example assert(select(2, ctz.try(client.referrers, client, "a/b", "1.0")):is "unreachable")
--- Api: OCI distribution-spec, end-12
local function referrers(self, repo, text, opts)
  local op <const> = "registry.client.referrers"
  opts = check(op, opts, { type = "string" })
  local context = manifests.context_of(self, op, repo, text, "pull")
  return list_of(self, context, subject_of(self, context), opts.type)
end

-- Takes an artifact that was removed out of the list of its subject, where the registry keeps none.
local function forget(self, context, subject, digest)
  if read_api(self, context, subject) then
    return
  end
  update(self, context, subject, function(list)
    local at = find(list, digest)
    if at then
      table.remove(list, at)
    end
    return at ~= nil
  end)
end

-- --- attaching ---------------------------------------------------------------------------------

local function usage(op, text, ...)
  error(new_error { kind = "usage", op = op, message = text:format(...) }, 0)
end

local FILE_RULES <const> = { content = "string", path = "string", media_type = "string", title = "string",
  annotations = "table" }

-- Pushes one file of an artifact; returns its descriptor.
local function push_file(self, op, repo, file, artifact_type)
  check(op .. " (files)", file, FILE_RULES)
  if (file.content == nil) == (file.path == nil) then
    usage(op, "a file of an artifact has either content or a path")
  end
  local descriptor = self:put_blob(repo, file.content or { path = file.path })
  local title = file.title or file.path and file.path:match "[^/]*$"
  return {
    mediaType = file.media_type or artifact_type, digest = descriptor.digest, size = descriptor.size,
    annotations = (file.annotations or title) and copy_of({ ["org.opencontainers.image.title"] = title },
      file.annotations or {}) or nil,
  }
end

--- client:attach(repo, reference, opts) -> table
--- Puts an artifact into a repository that belongs to an image: an SBOM, a signature, a report. Returns
--- its descriptor; client:referrers finds it.
--- @async
--- @param repo string
--- @param reference string  a tag, or a digest; the image need not be there yet when it is a digest with opts.subject
--- @param opts.type string  what it is: a media type such as "application/spdx+json"
--- @param opts.files? table[]  {content= | path=, media_type=, title=, annotations=} each
--- @param opts.annotations? table<string, string>
--- @param opts.subject? table  the descriptor of the image, when it is known
--- @return {mediaType: string, digest: string, size: ctz.bytes}
--- @error not_found  there is no such image
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example local sbom = {type="application/spdx+json", files={{content="{}"}}}
--- @example assert(select(2, ctz.try(client.attach, client, "a/b", "1.0", sbom)):is "unreachable")
--- Api: OCI distribution-spec, Pushing Manifests with Subject
local function attach(self, repo, text, opts)
  local op <const> = "registry.client.attach"
  opts = check(op, opts, { type = "string!", files = "list", annotations = "table", subject = "table" })
  local context = manifests.context_of(self, op, repo, text, "pull,push")
  local subject = opts.subject or manifests.resolve_in(self, context)
  if not subject then
    error(failure.make("not_found", context, "there is no such image", { status = 404 }), 0)
  end
  local empty = { mediaType = EMPTY_TYPE, digest = EMPTY_DIGEST, size = 2 }
  local layers = json.array {}
  for i, file in ipairs(opts.files or {}) do
    layers[i] = push_file(self, op, repo, file, opts.type)
  end
  self:put_blob(repo, "{}")
  if #layers == 0 then
    layers[1] = empty
  end
  local bytes = json.encode {
    schemaVersion = 2, mediaType = manifests.OCI_MANIFEST, artifactType = opts.type, config = empty, layers = layers,
    subject = { mediaType = subject.mediaType, digest = subject.digest, size = subject.size },
    annotations = copy_of({ ["org.opencontainers.image.created"] = time.format(time.now()) }, opts.annotations or {}),
  }
  return self:put_manifest(repo, manifests.digest_of(bytes, "sha256", context), bytes)
end

return { referrers = referrers, attach = attach, remember = remember, forget = forget, describe = describe }
