-- image/source/archive.lua: tar archives of images: of an OCI layout, or as docker save makes them.
-- SPDX-License-Identifier: MIT
-- One that was packed with gzip or zstd is unpacked first: what is in it is read from its middle.
-- Source: OCI image-spec v1.1, image-layout.md; moby, image/tarexport (manifest.json).
local document = require "ctz.image.document"
local fs = require "ctz.fs"
local hash = require "ctz.hash"
local json = require "ctz.json"
local core = require "ctz.core.layers"
local layout = require "ctz.image.layout"
local reference = require "ctz.registry.reference"
local store = require "ctz.core.store"
local tar = require "ctz.image.source.tar"
local transfer = require "ctz.image.source.transfer"

local ipairs, pcall, setmetatable, tostring, type = ipairs, pcall, setmetatable, tostring, type
local concat, min = table.concat, math.min
local fail = document.fail

local CONFIG_BYTES <const> = 4 << 20
local PACKED <const> = { ["\31\139"] = "+gzip", ["\40\181\47\253"] = "+zstd" }

-- --- what both forms share ---------------------------------------------------------------------

local Archive = { __name = "ctz.image.place", jobs = 4 }
Archive.__index = Archive

-- How a file, or a part of it, is packed, by its first bytes: "+gzip", "+zstd" or "".
local function packing(path, part)
  local reader <close> = store.reader(path, part)
  local chunk = reader:read()
  local first = chunk and chunk:text() or ""
  return PACKED[first:sub(1, 4)] or PACKED[first:sub(1, 2)] or ""
end

-- One that is packed as a whole is unpacked into a temporary file, which is gone when the place is closed.
local function expand(self)
  if packing(self.path, {}) == "" then
    return self.path
  end
  self.expanded = fs.tempfile { prefix = "ctz-archive-" }
  core.expand(self.path, self.expanded.path)
  return self.expanded.path
end

local function members(self)
  if not self.members then
    if not fs.exists(self.path) then
      fail("not_found", self.ref, "there is no file " .. self.path)
    end
    self.file = expand(self)
    self.members = tar.index(self.file, self.path)
  end
  return self.members
end

local function member(self, name)
  local found = members(self)[name]
  if found and found.missing then
    fail("protocol", self.ref, ("%s: %s is a link to nothing"):format(self.path, name))
  end
  return found
end

local function read_member(self, name, most)
  local found = member(self, name)
  if not found then
    return nil
  elseif found.size > most then
    fail("size", self.ref, ("%s: %s has more than %d bytes"):format(self.path, name, most))
  end
  return transfer.read_all(store.reader(self.file, { at = found.at, size = found.size }), most)
end

local function read_json(self, name, most)
  local content = read_member(self, name, most)
  if not content then
    return nil
  end
  local ok, value = pcall(json.decode, content)
  if not ok or type(value) ~= "table" then
    fail("protocol", self.ref, ("%s: %s is not JSON of the kind expected"):format(self.path, name))
  end
  return value, content
end

local function open_member(self, found, offset)
  return store.reader(self.file, { at = found.at, size = found.size, skip = offset })
end

-- The member of a blob; of the form at hand.
local function blob_of(self, descriptor)
  local found = self:find_blob(descriptor.digest)
  if found and found.size ~= descriptor.size then
    fail("size", self.ref, ("%s: %s has %d bytes, its descriptor says %d"):format(self.path, descriptor.digest,
      found.size, descriptor.size))
  end
  return found
end

function Archive:has_blob(descriptor)
  return self:find_blob(descriptor.digest) ~= nil
end

function Archive:has_manifest() -- luacheck: ignore 212
  return false
end

-- opts.verify: what is read is compared with the digest before its end.
function Archive:read_blob(descriptor, offset, opts)
  local found = blob_of(self, descriptor)
  if not found then
    fail("not_found", self.ref, ("%s lacks the blob %s"):format(self.path, descriptor.digest))
  end
  local reader = open_member(self, found, offset)
  return opts and opts.verify and offset == 0 and transfer.checked(reader, descriptor) or reader
end

function Archive:referrers() -- luacheck: ignore 212
  return {}
end

function Archive:close()
  if self.expanded then
    self.expanded:close()
  end
end

-- --- oci-archive, read ---------------------------------------------------------------------------

local OciArchive = setmetatable({ kind = "oci-archive" }, Archive)
OciArchive.__index = OciArchive

function OciArchive:find_blob(digest)
  return member(self, "blobs/" .. digest:gsub(":", "/"))
end

local function read_index(self)
  if not member(self, "oci-layout") then
    fail("protocol", self.ref, self.path .. " is no OCI layout: it has no file oci-layout",
      member(self, "manifest.json") and ("docker-archive:%s reads it"):format(self.path) or nil)
  end
  local content = read_member(self, "index.json", layout.INDEX_BYTES)
  if not content then
    fail("protocol", self.ref, self.path .. " has no index.json")
  end
  return layout.parse_index(self.path .. ": index.json", content).manifests
end

function OciArchive:resolve()
  local list, names = read_index(self), {}
  local wanted = self.tag or #list > 1 and "latest" or nil
  for _, descriptor in ipairs(list) do
    local name = layout.name_of(descriptor)
    if not wanted or name == wanted then
      return { digest = descriptor.digest, size = descriptor.size, mediaType = descriptor.mediaType }
    end
    names[#names + 1] = name or nil
  end
  return nil, #names > 0 and "it has " .. concat(names, ", ") or nil
end

function OciArchive:manifest(descriptor)
  local name = "blobs/" .. descriptor.digest:gsub(":", "/")
  local bytes = read_member(self, name, document.limit "manifest_bytes")
  if not bytes then
    fail("not_found", self.ref, ("%s lacks the manifest %s"):format(self.path, descriptor.digest))
  end
  return document.read(bytes, descriptor.mediaType, descriptor, self.ref)
end

function OciArchive:tagged(tag)
  return setmetatable({ tag = tag }, { __index = self })
end

function OciArchive:tags()
  local list, i = read_index(self), 0
  return function()
    local name
    repeat
      i = i + 1
      name = list[i] and layout.name_of(list[i])
    until name or not list[i]
    return name or nil
  end
end

-- --- docker-archive, read ------------------------------------------------------------------------

local DockerArchive = setmetatable({ kind = "docker-archive", single = true }, Archive)
DockerArchive.__index = DockerArchive

local function broken(self, why)
  fail("protocol", self.ref, ("%s: %s"):format(self.path, why))
end

local function read_items(self)
  local items = read_json(self, "manifest.json", CONFIG_BYTES)
  if not items then
    fail("protocol", self.ref, self.path .. " is no archive of docker save: it has no manifest.json",
      member(self, "oci-layout") and ("oci-archive:%s reads it"):format(self.path) or nil)
  end
  for _, item in ipairs(items) do
    local is_item = type(item) == "table" and type(item.Config) == "string" and type(item.Layers) == "table"
    if not is_item then
      broken(self, "its manifest.json is not as docker save writes it")
    end
    item.RepoTags = type(item.RepoTags) == "table" and item.RepoTags or {}
  end
  return items
end

-- "alpine:3" and "docker.io/library/alpine:3" are one name.
local function full_name(name)
  local parts = reference.read(name)
  return parts and tostring(parts) or name
end

local function find_item(self, items)
  if not self.tag then
    return #items == 1 and items[1] or nil
  end
  local wanted = full_name(self.tag:find "[:@]" and self.tag or self.tag .. ":latest")
  for _, item in ipairs(items) do
    for _, name in ipairs(item.RepoTags) do
      if full_name(name) == wanted then
        return item
      end
    end
  end
end

local function hash_of(self, found)
  local reader <close> = open_member(self, found, 0)
  local stream = hash.new()
  for chunk in reader.read, reader do
    stream:update(chunk:text())
    chunk:free()
  end
  return "sha256:" .. stream:digest()
end

-- A layer as its descriptor. Not packed, its digest is in the config.
local function layer_of(self, name, diff_id)
  local found = member(self, name)
  if not found then
    broken(self, "it lacks the layer " .. name)
  end
  local packed = packing(self.file, { at = found.at, size = min(found.size, 4) })
  local digest = packed == "" and diff_id or nil
  local hex = name:match "^blobs/sha256/(%x+)$"
  digest = digest or hex and "sha256:" .. hex or hash_of(self, found)
  if not document.is_digest(digest) then
    broken(self, ("the config says no digest of the layer %s"):format(name))
  end
  self.blobs[digest] = found
  return { mediaType = document.LAYER .. packed, digest = digest, size = found.size }
end

-- The manifest that the image would have in a registry: made here, so its digest is of ours.
local function make_manifest(self, item)
  local config, bytes = read_json(self, item.Config, CONFIG_BYTES)
  if not config then
    broken(self, "it lacks the config " .. item.Config)
  end
  local diff_ids = type(config.rootfs) == "table" and config.rootfs.diff_ids
  if type(diff_ids) ~= "table" or #diff_ids ~= #item.Layers then
    broken(self, "its config does not name as many layers as its manifest.json")
  end
  local digest = document.digest_of(bytes)
  self.blobs[digest] = member(self, item.Config)
  local layers = json.array {}
  for i, name in ipairs(item.Layers) do
    layers[i] = layer_of(self, name, diff_ids[i])
  end
  local text = json.encode {
    schemaVersion = 2,
    mediaType = document.MANIFEST,
    config = { mediaType = document.CONFIG, digest = digest, size = #bytes },
    layers = layers,
  }
  return document.read(text, document.MANIFEST, nil, self.ref)
end

function DockerArchive:find_blob(digest)
  return self.blobs[digest]
end

function DockerArchive:resolve()
  if not self.made then
    local items = read_items(self)
    local item = find_item(self, items)
    if not item then
      local names = {}
      for _, one in ipairs(items) do
        names[#names + 1] = concat(one.RepoTags, ", ")
      end
      return nil, "it has " .. concat(names, ", ")
    end
    self.made = make_manifest(self, item)
    self.name = item.RepoTags[1]
  end
  return { digest = self.made.digest, size = #self.made.bytes, mediaType = self.made.media_type }
end

function DockerArchive:manifest(descriptor)
  if not self.made then
    self:resolve()
  end
  if descriptor.digest ~= self.made.digest then
    fail("not_found", self.ref, ("%s lacks the manifest %s"):format(self.path, descriptor.digest))
  end
  return self.made
end

function DockerArchive:tags()
  local names, i = {}, 0
  for _, item in ipairs(read_items(self)) do
    for _, name in ipairs(item.RepoTags) do
      names[#names + 1] = name
    end
  end
  return function()
    i = i + 1
    return names[i]
  end
end

-- --- references ----------------------------------------------------------------------------------

-- "FILE" or "FILE:NAME"; the file ends at the first colon, as in skopeo.
local function open(rest, ref, for_writing, form)
  local path, tag = rest:match "^([^:]*):?(.*)$"
  if path == "" or rest:find("\0", 1, true) then
    fail("usage", nil, ("\"%s\" names no file"):format(ref), form .. ":out.tar")
  end
  tag = tag ~= "" and tag or nil
  if form == "docker-archive" and tag then
    local parts, problem, hint = reference.read(tag)
    if not parts or parts.digest then
      fail("usage", nil, ("\"%s\" is no name for an image: %s"):format(tag, problem or "it has a digest"), hint)
    end
  elseif tag and not layout.is_name(tag) then
    fail("usage", nil, ("\"%s\" is not a tag"):format(tag))
  end
  local fields = { ref = ref, path = path, tag = tag, blobs = {} }
  if for_writing then
    return require("ctz.image.source.archive_write").new(fields, form)
  end
  return setmetatable(fields, form == "oci-archive" and OciArchive or DockerArchive)
end

return { open = open }
