-- image/source/made.lua: an image that was made here, of layers that were written anew and others that are
-- still where they came from. It is copied like any other.
-- SPDX-License-Identifier: MIT
local document = require "ctz.image.document"
local files = require "ctz.image.files"
local json = require "ctz.json"
local layout = require "ctz.image.source.layout"
local map = require("ctz").map

local error, ipairs, pairs, pcall, setmetatable = error, ipairs, pairs, pcall, setmetatable

local Made = { __name = "ctz.image.place", jobs = 4 }
Made.__index = Made

function Made:resolve()
  local root = self.root
  return { digest = root.digest, size = #root.bytes, mediaType = root.media_type }
end

function Made:manifest()
  return self.root
end

function Made:has_blob(descriptor)
  return self.written:has_blob(descriptor) or (self.elsewhere[descriptor.digest] or self.base):has_blob(descriptor)
end

function Made:read_blob(descriptor, offset, opts)
  local place = self.elsewhere[descriptor.digest] or self.base
  if self.written:has_blob(descriptor) then
    place = self.written
  end
  return place:read_blob(descriptor, offset, opts)
end

-- What refers to the image that this was made of is about that one.
function Made:referrers() -- luacheck: ignore 212
  return {}
end

function Made:tags() -- luacheck: ignore 212
  return function() end
end

function Made:close()
  self.dir:close()
end

-- new(base, dir, root, layers) -> place. base: where the rest is; dir: a scratch layout, which this owns, of
-- what was written; root: the manifest's document; layers: {{descriptor=, place=}...}, those of other places.
local function new(base, dir, root, layers)
  local elsewhere = {}
  for _, layer in ipairs(layers or {}) do
    elsewhere[layer.descriptor.digest] = layer.place
  end
  return setmetatable({
    base = base, dir = dir, root = root, elsewhere = elsewhere, ref = base.ref,
    written = layout.open(dir.path, base.ref),
    kind = base.kind == "registry" and base.kind or "made", client = base.client, path = base.path, -- to mount blobs
  }, Made)
end

-- Which layers are packed with zstd: their numbers.
local function zstd_layers(root)
  local numbers = {}
  for i, layer in ipairs(root.json.layers) do
    numbers[#numbers + 1] = layer.mediaType:find "zstd$" and i or nil
  end
  return numbers
end

-- Packs those layers into a scratch layout; contents have to stay as they are.
local function repack(place, root, numbers, dir)
  local core = require "ctz.core.layers"
  local config = require("ctz.image.open").config_of(place, root)
  local diff_ids = files.diff_ids_of(config, root.json.layers, place.ref)
  local from <close> = files.scratch_layout()
  return map(numbers, function(i)
    local layer = root.json.layers[i]
    return core.repack(dir.path, files.list(place, layer, diff_ids[i], i, { dir = from }), "gzip")
  end, { jobs = files.JOBS })
end

local function with_layers(place, root, numbers, results)
  local content, layers = {}, json.array {}
  for name, value in pairs(root.json) do
    content[name] = value
  end
  for i, layer in ipairs(root.json.layers) do
    layers[i] = layer
  end
  for n, i in ipairs(numbers) do
    layers[i] = {
      mediaType = document.LAYER .. "+gzip", digest = results[n].digest, size = results[n].size_bytes,
      annotations = layers[i].annotations,
    }
  end
  content.layers = layers
  return document.read(json.encode(content), root.media_type, nil, place.ref)
end

-- regzip(place, root) -> place, its root, and how many layers: those packed with zstd are packed with gzip, for
-- who knows no other. Contents, and with them the config, stay as they are. Nil when there are none.
local function regzip(place, root)
  local numbers = zstd_layers(root)
  if #numbers == 0 then
    return nil
  end
  local dir = files.scratch_layout()
  local ok, results = pcall(repack, place, root, numbers, dir)
  if not ok then
    dir:close()
    error(results, 0)
  end
  local packed = with_layers(place, root, numbers, results)
  return new(place, dir, packed), packed, #numbers
end

return { new = new, regzip = regzip }
