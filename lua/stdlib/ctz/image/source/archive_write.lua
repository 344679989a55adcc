-- image/source/archive_write.lua: tar archives of images, written as they come, once, in one order.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec v1.1, image-layout.md; moby, image/tarexport (manifest.json).
local document = require "ctz.image.document"
local json = require "ctz.json"
local reference = require "ctz.registry.reference"
local store = require "ctz.core.store"
local tar = require "ctz.image.source.tar"
local transfer = require "ctz.image.source.transfer"

local ipairs, setmetatable = ipairs, setmetatable
local fail = document.fail

local REF_NAME <const> = "org.opencontainers.image.ref.name"
local LAYOUT_TEXT <const> = '{"imageLayoutVersion":"1.0.0"}'

-- One blob after the other, in the order of the plan: the archive's bytes depend on the images alone.
local Writer = { __name = "ctz.image.place", jobs = 1 }
Writer.__index = Writer

local function pad(self, size)
  local rest = -size % tar.BLOCK
  if rest > 0 then
    self.file:write(("\0"):rep(rest))
  end
end

local function add_text(self, name, text)
  self.file:write(store.tar_header(name, #text))
  self.file:write(text)
  pad(self, #text)
end

local function add_blob(self, name, descriptor, open, opts)
  self.file:write(store.tar_header(name, descriptor.size))
  local reader <close> = transfer.checked(open(0), descriptor)
  for chunk in reader.read, reader do
    local size = #chunk
    self.file:write(chunk)
    opts.on_bytes(size)
  end
  pad(self, descriptor.size)
  self.written[descriptor.digest] = name
end

function Writer:begin()
  self.file = store.file(self.path)
  if self.file:open() == "busy" then
    fail("conflict", self.ref, "another process writes " .. self.path .. " now")
  end
  self.written = {}
end

function Writer:has_blob(descriptor)
  return self.written ~= nil and self.written[descriptor.digest] ~= nil
end

function Writer:has_manifest() -- luacheck: ignore 212
  return false
end

function Writer:close()
  if self.file then
    self.file:close()
  end
end

local function finish(self)
  self.file:write(("\0"):rep(2 * tar.BLOCK))
  self.file:commit()
end

-- --- oci-archive -----------------------------------------------------------------------------------

local OciWriter = setmetatable({ kind = "oci-archive" }, Writer)
OciWriter.__index = OciWriter

function OciWriter:begin()
  Writer.begin(self)
  self.listed = json.array {}
  add_text(self, "oci-layout", LAYOUT_TEXT)
end

local function blob_name(digest)
  return "blobs/" .. digest:gsub(":", "/")
end

function OciWriter:write_blob(descriptor, open, opts)
  add_blob(self, blob_name(descriptor.digest), descriptor, open, opts)
  return "copied"
end

function OciWriter:write_manifest(manifest, tag, opts)
  if not self.written[manifest.digest] then
    add_text(self, blob_name(manifest.digest), manifest.bytes)
    self.written[manifest.digest] = true
  end
  if tag or opts and opts.listed then
    self.listed[#self.listed + 1] = {
      mediaType = manifest.media_type,
      digest = manifest.digest,
      size = #manifest.bytes,
      platform = opts and opts.platform,
      artifactType = manifest.json.artifactType,
      annotations = tag and { [REF_NAME] = tag } or nil,
    }
  end
end

function OciWriter:finish()
  add_text(self, "index.json", json.encode { schemaVersion = 2, mediaType = document.INDEX, manifests = self.listed })
  finish(self)
end

-- --- docker-archive --------------------------------------------------------------------------------

local DockerWriter = setmetatable({ kind = "docker-archive", single = true }, Writer)
DockerWriter.__index = DockerWriter

-- Layers stay packed: what loads such archives looks at their first bytes.
local function member_name(descriptor, role)
  local hex = descriptor.digest:match ":(%x+)$"
  if role == "config" then
    return hex .. ".json"
  end
  return hex .. (descriptor.mediaType:find "gzip$" and ".tar.gz" or ".tar")
end

-- docker load of every engine reads it; copies pack such layers anew.
function DockerWriter:takes_zstd() -- luacheck: ignore 212
  return false
end

function DockerWriter:check_layer(descriptor)
  if not descriptor.mediaType:find "tar" then
    fail("unsupported", self.ref, ("a docker archive holds images, and this has a blob of type %s")
      :format(descriptor.mediaType), "oci-archive: holds artifacts too")
  end
end

function DockerWriter:write_blob(descriptor, open, opts)
  if opts.role ~= "config" then
    self:check_layer(descriptor)
  end
  add_blob(self, member_name(descriptor, opts.role), descriptor, open, opts)
  return "copied"
end

function DockerWriter:write_manifest(manifest)
  if manifest.kind ~= "image" then
    fail("unsupported", self.ref, "a docker archive holds one platform, not an index")
  end
  self.manifest = manifest
end

function DockerWriter:finish()
  local content, layers = self.manifest.json, json.array {}
  for i, descriptor in ipairs(content.layers) do
    layers[i] = self.written[descriptor.digest]
  end
  local names = json.array {}
  if self.tag then
    local parts = reference.parse(self.tag, { default_tag = true })
    names[1] = reference.format(parts, { familiar = true })
  end
  add_text(self, "manifest.json", json.encode {
    { Config = self.written[content.config.digest], RepoTags = names, Layers = layers },
  })
  finish(self)
end

local function new(fields, form)
  return setmetatable(fields, form == "oci-archive" and OciWriter or DockerWriter)
end

return { new = new }
