-- registry/graph.lua: what hangs together in a repository: indexes, their images, and what refers to them.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec (image-index.md), distribution-spec (Referrers Tag Schema).
local json = require "ctz.json"
local map = require("ctz").map
local time = require "ctz.time"

local error, ipairs, pairs, pcall, setmetatable, type = error, ipairs, pairs, pcall, setmetatable, type
local concat, max = table.concat, math.max

local JOBS <const> = 8
local CONFIG_BYTES <const> = 4 << 20
local CREATED <const> = "org.opencontainers.image.created"
local ATTACHED <const> = "^sha256%-(%x+)" -- the list of referrers, and what cosign attaches

local Graph = { __name = "ctz.registry.graph" }
Graph.__index = Graph

-- "sha256-<hex>.sig" -> the digest of the image that it belongs to; nil for other tags.
local function subject_of_tag(tag)
  local hex = tag:match(ATTACHED)
  return hex and #hex == 64 and not hex:find "%u" and "sha256:" .. hex or nil
end

local function table_of(value)
  return type(value) == "table" and value or {}
end

local function descriptors(list)
  local found = {}
  for _, one in ipairs(table_of(list)) do
    if type(one) == "table" and type(one.digest) == "string" then
      found[#found + 1] = one
    end
  end
  return found
end

-- What counts as a manifest below an index; the rest of its entries are blobs.
local function is_manifest(descriptor)
  local kind = descriptor.mediaType
  return type(kind) ~= "string" or kind:find("manifest", 1, true) ~= nil or kind:find("image.index", 1, true) ~= nil
end

-- One manifest: {digest, size, children and below = {digests}, blobs = {digest = bytes}, config,
-- annotations}. gone: there is none; opaque: one of the old form, which has nothing below.
local function read_node(self, digest)
  local node = { digest = digest, size = 0, children = {}, below = {}, blobs = {} }
  local ok, found = pcall(self.client.manifest, self.client, self.repo, digest)
  if not ok then
    local kind = type(found) == "table" and found.kind
    if kind ~= "not_found" and (kind ~= "unsupported" or found.status) then
      error(found, 0) -- what may be below it is not known
    end
    node[kind == "not_found" and "gone" or "opaque"] = true
    return node
  end
  local value = found.value
  node.size, node.is_index, node.annotations = found.size, found.is_index, table_of(value.annotations)
  node.config = type(value.config) == "table" and value.config or nil
  for _, one in ipairs(descriptors(value.manifests)) do
    if is_manifest(one) then
      node.children[#node.children + 1], node.below[#node.below + 1] = one.digest, one.digest
    else
      node.blobs[one.digest] = one.size
    end
  end
  for _, list in ipairs { descriptors(value.layers), descriptors { value.config } } do
    for _, one in ipairs(list) do
      node.blobs[one.digest] = one.urls == nil and type(one.size) == "number" and one.size or nil
    end
  end
  for _, one in ipairs(descriptors(self.client:referrers(self.repo, digest))) do
    node.below[#node.below + 1] = one.digest
  end
  return node
end

-- Reads these manifests and all that belongs to them.
function Graph:read(digests)
  local wanted = digests
  repeat
    local fresh = {}
    for _, digest in ipairs(wanted) do
      if self.nodes[digest] == nil then
        self.nodes[digest] = false
        fresh[#fresh + 1] = digest
      end
    end
    local nodes = map(fresh, function(digest)
      return read_node(self, digest)
    end, { jobs = JOBS })
    wanted = {}
    for i, node in ipairs(nodes) do
      for _, digest in ipairs(self.attached[fresh[i]] or {}) do
        node.below[#node.below + 1] = digest
      end
      self.nodes[node.digest] = node
      for _, digest in ipairs(node.below) do
        wanted[#wanted + 1] = digest
      end
    end
  until #wanted == 0
end

-- closure({{digest=, tag=}, ...}) -> {digest = tag}: all that belongs to these, each with the tag by which
-- it was reached first.
function Graph:closure(roots)
  local reached, open = {}, {}
  local function reach(digest, name)
    if not reached[digest] then
      reached[digest] = name
      open[#open + 1] = digest
    end
  end
  for _, root in ipairs(roots) do
    reach(root.digest, root.tag or root.digest)
  end
  local at = 0
  while at < #open do
    at = at + 1
    local digest = open[at]
    for _, below in ipairs(self.nodes[digest] and self.nodes[digest].below or {}) do
      reach(below, reached[digest])
    end
  end
  return reached
end

-- Bytes of the manifests in `going`, and of blobs that no other manifest known here has.
function Graph:bytes_of(going)
  local used, freed, bytes = {}, {}, 0
  for digest, node in pairs(self.nodes) do
    for blob, size in pairs(node.blobs) do
      (going[digest] and freed or used)[blob] = size
    end
    bytes = bytes + (going[digest] and node.size or 0)
  end
  for blob, size in pairs(freed) do
    bytes = bytes + (used[blob] and 0 or size)
  end
  return bytes
end

-- --- when it was made --------------------------------------------------------------------------

local function read_config(self, config)
  if type(config.digest) ~= "string" or type(config.size) ~= "number" or config.size > CONFIG_BYTES then
    return {}
  end
  local parts = {}
  local blob <close> = self.client:blob(self.repo, config.digest, { size = config.size })
  for part in function()
    return blob:read()
  end do
    parts[#parts + 1] = part
  end
  local ok, value = pcall(json.decode, concat(parts), { big = "float" })
  return ok and table_of(value) or {}
end

-- Seconds since 1970; nil for what is no time, and for the times by which a build says nothing of it.
local function seconds_of(text)
  local ok, seconds = pcall(time.parse, type(text) == "string" and text or "")
  return ok and seconds > 0 and seconds or nil
end

-- When an image was made, as its config says, else its annotations; of an index the youngest of its
-- images. label: the label of the config that tells it instead.
function Graph:created(digest, label, depth)
  local node = self.nodes[digest]
  if not node or node.gone or node.opaque then
    return nil
  elseif node.created == nil then
    local value
    if node.is_index and (depth or 0) < 8 then
      for _, child in ipairs(node.children) do
        local one = self:created(child, label, (depth or 0) + 1)
        value = one and max(one, value or one) or value
      end
    elseif node.config then
      local config = read_config(self, node.config)
      if label then
        value = seconds_of(table_of(table_of(config.config).Labels)[label])
      else
        value = seconds_of(config.created)
      end
    end
    node.created = value or not label and seconds_of(node.annotations[CREATED]) or false
  end
  return node.created or nil
end

-- new(client, repo, attached) -> graph. attached: {digest = {digests}}, what tags such as sha256-<hex>.sig
-- attach to a manifest.
local function new(client, repo, attached)
  return setmetatable({ client = client, repo = repo, nodes = {}, attached = attached or {} }, Graph)
end

return { new = new, subject_of_tag = subject_of_tag }
