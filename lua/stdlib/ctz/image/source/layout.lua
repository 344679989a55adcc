-- image/source/layout.lua: an OCI layout folder as a place where images are.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec v1.1, image-layout.md.
local core = require "ctz.core.image"
local document = require "ctz.image.document"
local fs = require "ctz.fs"
local json = require "ctz.json"
local layout = require "ctz.image.layout"
local store = require "ctz.core.store"
local transfer = require "ctz.image.source.transfer"

local ipairs, pcall, setmetatable, type = ipairs, pcall, setmetatable, type
local concat, sort = table.concat, table.sort
local fail = document.fail

local LAYOUT_BYTES <const> = 4096

local Layout = { __name = "ctz.image.place", kind = "oci", jobs = 4 }
Layout.__index = Layout

-- --- reading -----------------------------------------------------------------------------------

local function blob_path(self, digest)
  local algorithm, hex = digest:match "^(%w+):(%x+)$"
  return ("%s/blobs/%s/%s"):format(self.folder, algorithm, hex)
end

local function check_layout(self)
  local path = self.folder .. "/oci-layout"
  local stat = fs.stat(path)
  if not stat then
    fail("not_found", self.ref, self.folder .. " is no OCI layout: it has no file oci-layout")
  end
  local ok, content = pcall(json.decode, stat.size_bytes <= LAYOUT_BYTES and fs.read(path) or "")
  if not ok or type(content) ~= "table" or content.imageLayoutVersion ~= "1.0.0" then
    fail("unsupported", self.ref, path .. ": not an OCI layout of version 1.0.0")
  end
end

local function read_index(self)
  local path = self.folder .. "/index.json"
  local stat = fs.stat(path)
  if stat and stat.size_bytes > layout.INDEX_BYTES then
    fail("size", self.ref, path .. " is over 8 MiB")
  end
  return layout.parse_index(path, stat and fs.read(path) or nil).manifests
end

local function names_of(manifests)
  local names = {}
  for _, descriptor in ipairs(manifests) do
    names[#names + 1] = layout.name_of(descriptor) or nil
  end
  sort(names)
  return names
end

-- The entry that the reference means; nil, a hint.
local function find(self, manifests)
  local named = self.tag or #manifests > 1 and not self.digest and "latest" or nil
  for _, descriptor in ipairs(manifests) do
    if self.digest and descriptor.digest == self.digest or named and layout.name_of(descriptor) == named
      or not self.digest and not named then
      return descriptor
    end
  end
  local names = names_of(manifests)
  return nil, #names > 0 and "it has " .. concat(names, ", ") or nil
end

local function plain(descriptor)
  return { digest = descriptor.digest, size = descriptor.size, mediaType = descriptor.mediaType }
end

-- place:resolve() -> descriptor of what the reference names, or nil and a hint.
function Layout:resolve()
  check_layout(self)
  local descriptor, hint = find(self, read_index(self))
  if descriptor and document.is_digest(descriptor.digest) then
    return plain(descriptor)
  elseif self.digest then
    local stat = fs.stat(blob_path(self, self.digest))
    return stat and { digest = self.digest, size = stat.size_bytes } or nil
  end
  return nil, hint
end

-- place:manifest(descriptor) -> document, checked.
function Layout:manifest(descriptor)
  local path = blob_path(self, descriptor.digest)
  local stat = fs.stat(path)
  if not stat then
    fail("not_found", self.ref, ("%s lacks the manifest %s"):format(self.folder, descriptor.digest))
  elseif stat.size_bytes > document.limit "manifest_bytes" then
    fail("size", self.ref, ("a manifest of %d bytes"):format(stat.size_bytes),
      "raise the limit with --limit manifest_bytes=N")
  end
  return document.read(fs.read(path), descriptor.mediaType, descriptor, self.ref)
end

function Layout:has_manifest() -- luacheck: ignore 212
  return false -- its children may be missing
end

function Layout:has_blob(descriptor)
  local stat = fs.stat(blob_path(self, descriptor.digest), { follow = false })
  return stat ~= nil and stat.type == "file" and stat.size_bytes == descriptor.size
end

-- place:read_blob(descriptor, offset, {verify=}) -> reader: what is damaged is named before its end.
function Layout:read_blob(descriptor, offset, opts)
  local path = blob_path(self, descriptor.digest)
  if not fs.exists(path) then
    fail("not_found", self.ref, ("%s lacks the blob %s"):format(self.folder, descriptor.digest))
  end
  return store.reader(path, {
    size = descriptor.size,
    skip = offset,
    digest = opts and opts.verify and descriptor.digest or nil,
  })
end

-- place:referrers(digest) -> descriptors of what names it as its subject.
function Layout:referrers(digest)
  local found, seen = {}, {}
  local function look(descriptor)
    local kind = document.KINDS[descriptor.mediaType]
    if seen[descriptor.digest] or kind ~= "image" and kind ~= "index" then
      return
    end
    seen[descriptor.digest] = true
    local ok, manifest = pcall(self.manifest, self, descriptor)
    local subject = ok and manifest.json.subject
    if subject and subject.digest == digest then
      found[#found + 1] = descriptor
    end
  end
  local fallback = digest:gsub(":", "-")
  for _, descriptor in ipairs(read_index(self)) do
    look(descriptor)
    if layout.name_of(descriptor) == fallback and document.KINDS[descriptor.mediaType] == "index" then
      for _, child in ipairs(self:manifest(descriptor).json.manifests) do
        look(child)
      end
    end
  end
  return found
end

-- place:tags() -> iterator of names.
function Layout:tags()
  check_layout(self)
  local names, i = names_of(read_index(self)), 0
  return function()
    i = i + 1
    return names[i]
  end
end

-- place:tagged(tag) -> the same place, meaning another tag.
function Layout:tagged(tag)
  return setmetatable({ ref = ("oci:%s:%s"):format(self.folder, tag), folder = self.folder, tag = tag }, Layout)
end

-- --- writing -----------------------------------------------------------------------------------

-- place:begin(): before the first blob.
function Layout:begin()
  core.prepare(self.folder)
end

function Layout:write_blob(descriptor, open, opts)
  return transfer.to_layout(self.folder, descriptor, open, opts)
end

-- Under the digest by which it is known: of sha256, or of another algorithm.
local function write_document(self, manifest)
  if manifest.digest:find "^sha256:" then
    return core.blob(self.folder, manifest.bytes)
  end
  local function open()
    local left = manifest.bytes
    return setmetatable({ read = function()
      local text = left
      left = nil
      return text
    end }, { __close = function() end })
  end
  transfer.to_layout(self.folder, { digest = manifest.digest, size = #manifest.bytes }, open,
    { on_bytes = function() end })
end

-- place:write_manifest(document, tag|nil, {listed=}): its children are there. listed: it is found without a
-- tag too.
function Layout:write_manifest(manifest, tag, opts)
  write_document(self, manifest)
  if tag or opts and opts.listed then
    local content = manifest.json
    layout.tag(self.folder, tag, {
      mediaType = manifest.media_type,
      digest = manifest.digest,
      size = #manifest.bytes,
      platform = opts and opts.platform,
      artifactType = content.artifactType,
    })
  end
end

function Layout:finish() end -- luacheck: ignore 212

function Layout:close() end -- luacheck: ignore 212

-- --- references ----------------------------------------------------------------------------------

-- "DIR", "DIR:TAG", "DIR@DIGEST"; the folder ends at the first colon, as in skopeo.
local function open(rest, ref, for_writing)
  local before, digest = rest:match "^(.*)@(%l+%d+:%x+)$"
  local folder, tag = (before or rest):match "^([^:]*):?(.*)$"
  if folder == "" or rest:find("\0", 1, true) then
    fail("usage", nil, ("\"%s\" names no folder"):format(ref), "oci:out/site:1.0")
  elseif tag ~= "" and not layout.is_name(tag) then
    fail("usage", nil, ("\"%s\" is not a tag"):format(tag),
      "a tag is of letters, digits and - . _ : @ + / between them")
  elseif digest and not document.is_digest(digest) then
    fail("usage", nil, ("\"%s\" is no digest"):format(digest))
  elseif for_writing and tag == "" and not digest then
    tag = "latest"
  end
  return setmetatable({
    ref = ref,
    folder = folder:find "^/+$" and folder or folder:gsub("/+$", ""),
    tag = tag ~= "" and tag or nil,
    digest = digest,
  }, Layout)
end

return { open = open }
