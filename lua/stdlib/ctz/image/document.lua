-- image/document.lua: manifests, indexes and descriptors, checked; and which platform is meant.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec v1.1, manifest.md, image-index.md, descriptor.md; Docker image manifest v2.2.
local core = require "ctz.core.image"
local hash = require "ctz.hash"
local host = require "ctz.core.host"
local json = require "ctz.json"
local new_error = require("ctz.core.task").error

local error, ipairs, math_type, pcall, tonumber, tostring, type = error, ipairs, math.type, pcall, tonumber, tostring,
  type
local concat, sort = table.concat, table.sort

local OCI <const> = "application/vnd.oci.image."
local DOCKER <const> = "application/vnd.docker."
local INDEX <const> = OCI .. "index.v1+json"
local MANIFEST <const> = OCI .. "manifest.v1+json"
local DOCKER_LIST <const> = DOCKER .. "distribution.manifest.list.v2+json"
local DOCKER_MANIFEST <const> = DOCKER .. "distribution.manifest.v2+json"
local ARTIFACT <const> = "application/vnd.oci.artifact.manifest.v1+json"
local NESTING <const> = 8 -- indexes in indexes

local KINDS <const> = {
  [INDEX] = "index", [DOCKER_LIST] = "index",
  [MANIFEST] = "image", [DOCKER_MANIFEST] = "image", [ARTIFACT] = "image",
}
local SCHEMA_1 <const> = {
  [DOCKER .. "distribution.manifest.v1+json"] = true,
  [DOCKER .. "distribution.manifest.v1+prettyjws"] = true,
}
local HEX <const> = { sha256 = 64, sha512 = 128 }

local function fail(kind, target, text, hint)
  error(new_error { kind = kind, message = text, target = target, hint = hint }, 0)
end

local function limit(name)
  for _, one in ipairs(host.limits()) do
    if one.name == name then
      return one.value
    end
  end
end

-- --- digests -----------------------------------------------------------------------------------

local function is_digest(text)
  local algorithm, hex = tostring(text):match "^(%l+%d+):(%x+)$"
  return type(text) == "string" and HEX[algorithm] == #(hex or "") and not text:find "%u"
end

local function digest_of(bytes, algorithm)
  return algorithm == "sha512" and "sha512:" .. hash.sha512(bytes) or "sha256:" .. hash.sha256(bytes)
end

-- Raises unless the bytes are what the descriptor says.
local function verify(bytes, descriptor, target)
  if descriptor.size and #bytes ~= descriptor.size then
    fail("size", target, ("%s has %d bytes, its descriptor says %d"):format(descriptor.digest, #bytes, descriptor.size))
  end
  local digest = digest_of(bytes, descriptor.digest:match "^%w+")
  if digest ~= descriptor.digest then
    fail("digest", target, ("%s: its content has the digest %s"):format(descriptor.digest, digest))
  end
end

-- --- documents ---------------------------------------------------------------------------------

-- "application/json; charset=utf-8" is application/json.
local function plain_type(media_type)
  return type(media_type) == "string" and media_type:match "^%s*([^;%s]*)":lower() or nil
end

local function check_descriptor(descriptor, where, target)
  if type(descriptor) ~= "table" then
    fail("protocol", target, where .. " is no descriptor")
  elseif not is_digest(descriptor.digest) then
    fail("protocol", target, ("%s: \"%s\" is no digest"):format(where, tostring(descriptor.digest):sub(1, 100)))
  elseif math_type(descriptor.size) ~= "integer" or descriptor.size < 0 then
    fail("protocol", target, ("%s: the size of %s is none"):format(where, descriptor.digest))
  elseif type(descriptor.mediaType) ~= "string" then
    fail("protocol", target, ("%s: %s has no mediaType"):format(where, descriptor.digest))
  end
end

-- Encoders of Go write an empty list as null.
local function list_of(value)
  return value ~= nil and value ~= json.null and value or json.array {}
end

local function check_list(list, where, target)
  if type(list) ~= "table" then
    fail("protocol", target, where .. " is no list")
  end
  for i, descriptor in ipairs(list) do
    check_descriptor(descriptor, ("%s[%d]"):format(where, i), target)
  end
end

-- What the members say that it is; a document of two kinds is an attack (CVE-2021-41190).
local function kind_of(document, media_type, target)
  local kind = KINDS[media_type]
  local has_manifests, has_layers = document.manifests ~= nil, document.layers ~= nil or document.config ~= nil
  if has_manifests and has_layers then
    fail("protocol", target, "it is a manifest and an index at once: it has manifests and layers")
  elseif kind == "index" and has_layers or kind == "image" and has_manifests then
    fail("protocol", target, ("its content is not what its type %s says"):format(media_type))
  end
  return kind or has_manifests and "index" or has_layers and "image"
end

local function refuse_schema_1(target)
  fail("unsupported", target, "it is an image manifest of schema 1, which is not safe and no longer in use",
    "pull and push it with a current docker: it then has schema 2")
end

-- read(bytes, media_type, descriptor?, target?) -> {kind="image"|"index", media_type=, digest=, bytes=,
-- json=}, checked. media_type may be nil. With a descriptor the bytes are compared with it.
local function read(bytes, media_type, descriptor, target)
  if #bytes > limit "manifest_bytes" then
    fail("size", target, ("a manifest of %d bytes"):format(#bytes), "raise the limit with --limit manifest_bytes=N")
  end
  if descriptor then
    verify(bytes, descriptor, target)
  end
  media_type = plain_type(media_type)
  if SCHEMA_1[media_type] then
    refuse_schema_1(target)
  end
  local ok, document = pcall(json.decode, bytes)
  if not ok or type(document) ~= "table" or json.is_array(document) then
    fail("protocol", target, "the manifest is no JSON object" .. (ok and "" or ": " .. tostring(document.message)))
  elseif document.schemaVersion == 1 then
    refuse_schema_1(target)
  end
  local own = plain_type(document.mediaType)
  if own and KINDS[media_type] and own ~= media_type then
    fail("protocol", target, ("it was sent as %s and says that it is %s"):format(media_type, own))
  end
  media_type = KINDS[media_type] and media_type or own or media_type
  local kind = kind_of(document, media_type, target)
  if not kind or document.schemaVersion ~= 2 and media_type ~= ARTIFACT then
    fail("protocol", target, "it is neither an image manifest nor an index of schema 2")
  end
  if kind == "index" then
    document.manifests = list_of(document.manifests)
    check_list(document.manifests, "manifests", target)
  else
    document.layers = list_of(document.layers or document.blobs)
    check_list(document.layers, "layers", target)
    if media_type ~= ARTIFACT then
      check_descriptor(document.config, "config", target)
    end
  end
  if document.subject ~= nil then
    check_descriptor(document.subject, "subject", target)
  end
  return {
    kind = kind,
    media_type = KINDS[media_type] and media_type or kind == "index" and INDEX or MANIFEST,
    digest = descriptor and descriptor.digest or digest_of(bytes),
    bytes = bytes,
    json = document,
  }
end

-- --- platforms ---------------------------------------------------------------------------------

local ARCHITECTURES <const> = {
  x86_64 = "amd64", aarch64 = "arm64", armv7l = "arm/v7", armv6l = "arm/v6", i386 = "386", i586 = "386",
  i686 = "386", loongarch64 = "loong64",
}
local DEFAULT_VARIANTS <const> = { arm = "v7", arm64 = "v8", amd64 = "v1" }

local function own_platform()
  local machine = core.machine()
  return "linux/" .. (ARCHITECTURES[machine] or machine)
end

-- "linux/arm/v7", "windows/amd64:10.0.20348" -> {os=, architecture=, variant=, version=}; nil: it is none.
local function parse_platform(text)
  local name, version = text:match "^([^:]+):?(.*)$"
  local os, architecture, variant = (name or ""):match "^(%w+)/([%w_]+)/?([%w.]*)$"
  if not os then
    return nil
  end
  architecture = ARCHITECTURES[architecture] or architecture
  if architecture:find "/" then
    architecture, variant = architecture:match "^(.*)/(.*)$"
  end
  return { os = os, architecture = architecture, variant = variant ~= "" and variant or nil,
    version = version ~= "" and version or nil }
end

local function read_platform(text)
  local platform = parse_platform(text)
  if not platform then
    fail("usage", nil, ("\"%s\" is no platform"):format(text), "linux/amd64 or linux/arm/v7")
  end
  return platform
end

local function format_platform(platform)
  if type(platform) ~= "table" or not platform.os or platform.os == "unknown" then
    return nil
  end
  local version = platform["os.version"] or platform.version
  return ("%s/%s%s%s"):format(platform.os, platform.architecture, platform.variant and "/" .. platform.variant or "",
    version and ":" .. version or "")
end

local function level(platform)
  local variant = platform.variant or DEFAULT_VARIANTS[platform.architecture]
  return tonumber((variant or "v0"):match "^v(%d+)") or 0
end

-- How well a platform of an image serves the wanted one; nil: not at all. A machine of a higher variant
-- runs what was made for a lower one.
local function score(platform, wanted)
  if type(platform) ~= "table" or platform.os ~= wanted.os or platform.architecture ~= wanted.architecture then
    return nil
  end
  local has = level(platform)
  local version = platform["os.version"]
  if has > level(wanted) then
    return nil
  elseif wanted.version and version and version:sub(1, #wanted.version) ~= wanted.version then
    return nil
  end
  return has
end

local function list_platforms(manifests)
  local names = {}
  for _, descriptor in ipairs(manifests) do
    names[#names + 1] = format_platform(descriptor.platform)
  end
  sort(names)
  return names
end

-- The descriptor in an index that serves that platform best; nil when none does.
local function choose(manifests, wanted)
  local best, best_score
  for _, descriptor in ipairs(manifests) do
    local this = score(descriptor.platform, wanted)
    if this and (not best or this > best_score) then
      best, best_score = descriptor, this
    end
  end
  return best
end

-- leaves(place, manifests, ref) -> what stands in an index and in the indexes within it.
local function leaves(place, manifests, ref)
  local list, seen = {}, {}
  local function add(descriptors, depth)
    if depth > NESTING then
      fail("protocol", ref, ("indexes in indexes, more than %d deep"):format(NESTING))
    end
    for _, descriptor in ipairs(descriptors) do
      if KINDS[descriptor.mediaType] ~= "index" then
        list[#list + 1] = descriptor
      elseif not seen[descriptor.digest] then
        seen[descriptor.digest] = true
        add(place:manifest(descriptor).json.manifests, depth + 1)
      end
    end
  end
  add(manifests, 1)
  return list
end

local function no_platform(manifests, wanted, target)
  local names = list_platforms(manifests)
  fail("not_found", target, ("it has no image for %s"):format(format_platform(wanted)),
    #names > 0 and "it has " .. concat(names, ", ") or "its index names no platform")
end

return {
  INDEX = INDEX, MANIFEST = MANIFEST, DOCKER_LIST = DOCKER_LIST, DOCKER_MANIFEST = DOCKER_MANIFEST,
  NESTING = NESTING, KINDS = KINDS,
  CONFIG = OCI .. "config.v1+json", LAYER = OCI .. "layer.v1.tar",
  limit = limit, is_digest = is_digest, digest_of = digest_of, verify = verify, read = read, fail = fail,
  own_platform = own_platform, read_platform = read_platform, format_platform = format_platform,
  choose = choose, leaves = leaves, no_platform = no_platform, score = score,
}
