-- registry/manifests.lua: manifests and indexes of a registry: verified when they come, as they are when
-- they go.
-- SPDX-License-Identifier: MIT
-- Source: OCI distribution-spec (end-3, end-7, end-9), image-spec (manifest.md, image-index.md).
local check = require("ctz.options").check
local failure = require "ctz.registry.failure"
local hash = require "ctz.hash"
local host_core = require "ctz.core.host"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local number_of = require("ctz.registry.client").number_of
local reference = require "ctz.registry.reference"

local error, ipairs, pairs, pcall, setmetatable, type = error, ipairs, pairs, pcall, setmetatable, type
local concat = table.concat

local OCI_MANIFEST <const> = "application/vnd.oci.image.manifest.v1+json"
local OCI_INDEX <const> = "application/vnd.oci.image.index.v1+json"
local DOCKER_MANIFEST <const> = "application/vnd.docker.distribution.manifest.v2+json"
local DOCKER_INDEX <const> = "application/vnd.docker.distribution.manifest.list.v2+json"
local ACCEPT <const> = concat({ OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_INDEX }, ", ")
local SCHEMA_1 <const> = "^application/vnd%.docker%.distribution%.manifest%.v1%+"
local PUSH_BYTES <const> = 4 << 20 -- what every registry has to take

local indexes <const> = { [OCI_INDEX] = true, [DOCKER_INDEX] = true }
-- Types that servers of plain files send; they say nothing of the content.
local vague <const> = {
  [""] = true, ["application/json"] = true, ["application/octet-stream"] = true, ["text/plain"] = true,
  ["binary/octet-stream"] = true,
}

local hashes <const> = { sha256 = hash.sha256, sha512 = hash.sha512 }

local function limit_bytes()
  for _, limit in ipairs(host_core.limits()) do
    if limit.name == "manifest_bytes" then
      return limit.value
    end
  end
end

-- --- reading -----------------------------------------------------------------------------------

local function media_type_of(answer)
  return (answer.headers["content-type"] or ""):match("^%s*([^;]*)"):gsub("%s+$", ""):lower()
end

local function has(value, name)
  return type(value[name]) == "table"
end

-- What a document is by its content; nil when it is none. Raises for one that is two things at once.
local function kind_of(value, context)
  local is_index, is_image = has(value, "manifests"), has(value, "layers") or has(value, "config")
  if is_index and is_image then
    error(failure.make("protocol", context, "it is an index and a manifest at once: who reads it sees what suits them",
      { hint = "such a document is an attack, or made by a broken tool" }), 0)
  end
  return is_index and "index" or is_image and "manifest" or nil
end

-- Checks a document and returns its value and type. said: the type that came with it, "" for none.
local function read_document(bytes, said, context)
  local ok, value = pcall(json.decode, bytes, { big = "float" })
  if not ok or type(value) ~= "table" or json.is_array(value) then
    error(failure.make("protocol", context, "it is no manifest" .. (ok and "" or ": " .. value.message),
      { hint = "is there a registry at that address?" }), 0)
  elseif said:find(SCHEMA_1) or value.schemaVersion == 1 then
    error(failure.make("unsupported", context, "its manifest is of schema 1, which no registry keeps any more",
      { hint = "docker pull and docker push of version 1.10 to 27 convert it" }), 0)
  end
  local kind = kind_of(value, context)
  local declared = type(value.mediaType) == "string" and value.mediaType or nil
  if declared and not vague[said] and declared ~= said then
    local text = ("its type is told twice and differs: %s and %s"):format(said, declared)
    error(failure.make("protocol", context, text), 0)
  end
  local media_type = not vague[said] and said or declared or kind == "index" and OCI_INDEX or OCI_MANIFEST
  if kind and indexes[media_type] ~= nil ~= (kind == "index") and (indexes[media_type] or media_type == OCI_MANIFEST
    or media_type == DOCKER_MANIFEST) then
    error(failure.make("protocol", context, ("it is called %s and holds %s"):format(media_type,
      kind == "index" and "manifests" or "layers")), 0)
  elseif not kind and (vague[said] or indexes[media_type] or media_type == OCI_MANIFEST
    or media_type == DOCKER_MANIFEST) then
    error(failure.make("protocol", context, "it is no manifest: it has neither layers nor manifests",
      { hint = "is there a registry at that address?" }), 0)
  end
  return value, media_type
end

local function digest_of(bytes, algorithm, context)
  local fn = hashes[algorithm]
  if not fn then
    error(failure.make("unsupported", context, ("digests of %s are not computed here"):format(algorithm)), 0)
  end
  return algorithm .. ":" .. fn(bytes)
end

-- The digest of the bytes received, checked against what was asked for and what the registry says.
local function verify(bytes, wanted, said, context)
  local digest = digest_of(bytes, wanted and wanted:match "^[^:]+" or "sha256", context)
  if wanted and wanted ~= digest then
    error(failure.make("digest", context, ("the registry sent something else: %s"):format(digest)), 0)
  end
  local algorithm = said and said:match "^([%w]+):%x+$"
  if hashes[algorithm] and digest_of(bytes, algorithm, context) ~= said then
    error(failure.make("digest", context, ("the registry calls it %s, and it is %s"):format(said, digest)), 0)
  end
  return digest
end

-- "latest", "sha256:..." -> the last part of the path, the text behind the repository, is it a digest?
local function check_reference(op, text)
  if type(text) ~= "string" then
    error(new_error { kind = "usage", op = op,
      message = ("bad argument 'reference' to '%s': expected a tag or a digest, got %s"):format(op, type(text)) }, 0)
  end
  local is_digest = text:find(":", 1, true) ~= nil
  return (is_digest and "@" or ":") .. text, is_digest
end

-- What every operation on one manifest begins with.
local function context_of(self, op, repo, text, actions, opts)
  local behind, is_digest = check_reference(op, text)
  local path, target = self:repository(op, repo, behind)
  return {
    op = op, target = target, path = ("/v2/%s/manifests/%s"):format(path, text), repo = path,
    scopes = { ("repository:%s:%s"):format(path, actions) }, timeout = opts and opts.timeout,
    headers = { Accept = ACCEPT }, digest = is_digest and text or nil,
  }
end

local function copy_of(context, changes)
  local copy = {}
  for name, value in pairs(context) do
    copy[name] = value
  end
  for name, value in pairs(changes) do
    copy[name] = value
  end
  return copy
end

-- The same for another tag or digest of the repository.
local function context_at(context, text)
  return {
    op = context.op, target = context.target, path = ("/v2/%s/manifests/%s"):format(context.repo, text),
    repo = context.repo, scopes = context.scopes, timeout = context.timeout, headers = { Accept = ACCEPT },
    digest = text:find(":", 1, true) and text or nil,
  }
end

local Manifest = { __name = "ctz.registry.Manifest" }

local function get(self, context)
  local limit = limit_bytes()
  local ok, answer = pcall(self.read, self, "GET", context.path, copy_of(context, { max_bytes = limit }))
  if not ok then
    if type(answer) == "table" and answer.kind == "size" and not answer.status then
      answer.message = ("%s: its manifest is longer than %d bytes"):format(context.target, limit)
      answer.hint = "--limit manifest_bytes=N allows longer ones"
    end
    error(answer, 0)
  end
  local digest = verify(answer.body, context.digest, answer.headers["docker-content-digest"], context)
  local value, media_type = read_document(answer.body, media_type_of(answer), context)
  return setmetatable({
    digest = digest, size = #answer.body, mediaType = media_type, bytes = answer.body, value = value,
    is_index = indexes[media_type] ~= nil,
  }, Manifest), answer
end

--- client:manifest(repo, reference, opts?) -> ctz.registry.Manifest
--- A manifest or an index, as the registry keeps it: bytes is what was received and verified, value
--- what it says.
--- @async
--- @param repo string  "library/alpine", "team/app"
--- @param reference string  a tag, or a digest
--- @param opts.timeout? ctz.seconds
--- @return {digest: string, size: ctz.bytes, mediaType: string, is_index: boolean, bytes: string, value: table}
--- @error not_found  there is no such image
--- @error digest  what came is not what was asked for
--- @error size  it is longer than the limit manifest_bytes
--- @error unsupported  it is of schema 1
--- @error protocol  it is no manifest, or two things at once
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example assert(select(2, ctz.try(client.manifest, client, "a/b", "1.0")):is "unreachable")
--- Api: OCI distribution-spec, end-3
local function manifest(self, repo, text, opts)
  local op <const> = "registry.client.manifest"
  opts = check(op, opts, { timeout = "seconds" })
  return (get(self, context_of(self, op, repo, text, "pull", opts)))
end

-- Statuses of servers that know GET only.
local no_head <const> = { [400] = true, [405] = true, [406] = true, [500] = true, [501] = true }

local function resolve_in(self, context)
  local ok = copy_of(no_head, { [404] = true })
  local answer = self:read("HEAD", context.path, copy_of(context, { ok = ok }))
  if answer.status == 404 then
    return nil
  end
  local said, size = answer.headers["docker-content-digest"], number_of(answer, "content-length")
  local media_type = media_type_of(answer)
  local known = said and reference.read("x.invalid/x@" .. said) and (not context.digest or context.digest == said)
  if no_head[answer.status] or not known or not size or size == 0 or vague[media_type] then
    local done, found = pcall(get, self, context)
    if not done then
      if type(found) == "table" and found.kind == "not_found" then
        return nil
      end
      error(found, 0)
    end
    return { mediaType = found.mediaType, digest = found.digest, size = found.size }
  end
  return { mediaType = media_type, digest = said, size = size }
end

--- client:resolve(repo, reference, opts?) -> table | nil
--- The descriptor of an image, {mediaType, digest, size}, without fetching it; nil when there is none.
--- At Docker Hub this is no pull.
--- @async
--- @param repo string
--- @param reference string  a tag, or a digest
--- @param opts.timeout? ctz.seconds
--- @return {mediaType: string, digest: string, size: ctz.bytes}?
--- @example local client = ctz.registry.connect("127.0.0.1:1")
--- @example assert(select(2, ctz.try(client.resolve, client, "a/b", "1.0")):is "unreachable")
--- Api: OCI distribution-spec, end-3
local function resolve(self, repo, text, opts)
  local op <const> = "registry.client.resolve"
  opts = check(op, opts, { timeout = "seconds" })
  return resolve_in(self, context_of(self, op, repo, text, "pull", opts))
end

return {
  ACCEPT = ACCEPT, OCI_MANIFEST = OCI_MANIFEST, OCI_INDEX = OCI_INDEX, DOCKER_MANIFEST = DOCKER_MANIFEST,
  DOCKER_INDEX = DOCKER_INDEX, PUSH_BYTES = PUSH_BYTES, indexes = indexes,
  manifest = manifest, resolve = resolve, get = get, resolve_in = resolve_in, context_of = context_of,
  context_at = context_at, copy_of = copy_of, read_document = read_document, digest_of = digest_of,
  limit_bytes = limit_bytes,
}
