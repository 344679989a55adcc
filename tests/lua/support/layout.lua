-- support/layout.lua: OCI layouts made by hand, so that every byte of them can be wrong.
-- SPDX-License-Identifier: MIT
local hash = require "ctz.hash"
local json = require "ctz.json"

local OCI <const> = "application/vnd.oci.image."

local layouts = {
  INDEX = OCI .. "index.v1+json",
  MANIFEST = OCI .. "manifest.v1+json",
  CONFIG = OCI .. "config.v1+json",
  LAYER = OCI .. "layer.v1.tar",
}

function layouts.sh(command)
  assert(os.execute(command), command)
end

function layouts.write(path, content)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(content))
end

function layouts.read(path)
  local file <close> = assert(io.open(path, "rb"))
  return (file:read("a"))
end

-- What a program prints.
function layouts.output(command)
  local pipe <close> = assert(io.popen(command))
  return (pipe:read("a"))
end

local Layout = {}
Layout.__index = Layout

-- algorithm: of all digests, default sha256.
function layouts.new(folder, algorithm)
  layouts.sh(("mkdir -p %s/blobs/%s"):format(folder, algorithm or "sha256"))
  layouts.write(folder .. "/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
  return setmetatable({ folder = folder, algorithm = algorithm or "sha256", entries = json.array {} }, Layout)
end

function Layout:path(digest)
  return ("%s/blobs/%s"):format(self.folder, (digest:gsub(":", "/")))
end

-- Writes a blob; returns its descriptor.
function Layout:blob(bytes, media_type)
  local digest = self.algorithm .. ":" .. hash[self.algorithm](bytes)
  layouts.write(self:path(digest), bytes)
  return { mediaType = media_type, digest = digest, size = #bytes }
end

function Layout:document(content, media_type)
  return self:blob(json.encode(content), media_type or content.mediaType)
end

-- A one-platform image of those layers (texts); more: members of its manifest.
function Layout:image(layers, architecture, more)
  local descriptors, diff_ids = json.array {}, json.array {}
  for i, bytes in ipairs(layers) do
    descriptors[i] = self:blob(bytes, layouts.LAYER)
    diff_ids[i] = descriptors[i].digest
  end
  local config = self:document({
    architecture = architecture or "amd64", os = "linux", config = json.object {},
    rootfs = { type = "layers", diff_ids = diff_ids },
  }, layouts.CONFIG)
  local manifest = { schemaVersion = 2, mediaType = layouts.MANIFEST, config = config, layers = descriptors }
  for name, value in pairs(more or {}) do
    manifest[name] = value
  end
  local descriptor = self:document(manifest)
  descriptor.platform = { os = "linux", architecture = architecture or "amd64" }
  return descriptor, manifest
end

function Layout:index(descriptors)
  return self:document { schemaVersion = 2, mediaType = layouts.INDEX, manifests = json.array(descriptors) }
end

-- Enters it into index.json.
function Layout:tag(descriptor, tag)
  local entry = { mediaType = descriptor.mediaType, digest = descriptor.digest, size = descriptor.size }
  entry.annotations = tag and { ["org.opencontainers.image.ref.name"] = tag } or nil
  self.entries[#self.entries + 1] = entry
  layouts.write(self.folder .. "/index.json",
    json.encode { schemaVersion = 2, mediaType = layouts.INDEX, manifests = self.entries })
end

return layouts
