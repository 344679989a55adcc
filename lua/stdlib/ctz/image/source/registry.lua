-- image/source/registry.lua: a repository of a registry as a place where images are.
-- SPDX-License-Identifier: MIT
local clients_of = require "ctz.registry.clients"
local document = require "ctz.image.document"
local reference = require "ctz.registry.reference"
local transfer = require "ctz.image.source.transfer"

local setmetatable = setmetatable
local fail = document.fail

local PIECE_BYTES <const> = 256 * 1024 -- worth a job of the pool that hashes and writes

-- piece: of what is sent to it; it is hashed and sent on, never written: memory counts.
local Repository = { __name = "ctz.image.place", kind = "registry", jobs = 64, piece = 128 * 1024 }
Repository.__index = Repository

-- --- reading -----------------------------------------------------------------------------------

function Repository:resolve()
  local found = self.client:resolve(self.path, self.digest or self.tag)
  return found and { digest = found.digest, size = found.size, mediaType = found.mediaType }
end

function Repository:manifest(descriptor)
  local found = self.client:manifest(self.path, descriptor.digest)
  return document.read(found.bytes, found.mediaType, { digest = descriptor.digest, size = descriptor.size }, self.ref)
end

-- A registry takes a manifest only when what it names is there.
function Repository:has_manifest(descriptor)
  return self.client:resolve(self.path, descriptor.digest) ~= nil
end

function Repository:has_blob(descriptor)
  local size = self.client:has_blob(self.path, descriptor.digest)
  return size ~= nil and (size == 0 or size == descriptor.size)
end

-- The bytes are not compared with the digest here: who writes does that. opts.piece: read at once.
function Repository:read_blob(descriptor, offset, opts)
  local reader = self.client:blob(self.path, descriptor.digest, {
    size = descriptor.size, offset = offset, piece = opts and opts.piece or PIECE_BYTES,
  })
  return opts and opts.verify and offset == 0 and transfer.checked(reader, descriptor) or reader
end

function Repository:referrers(digest)
  return self.client:referrers(self.path, digest)
end

function Repository:tags()
  return self.client:tags(self.path)
end

function Repository:tagged(tag)
  return setmetatable({ tag = tag, ref = ("%s/%s:%s"):format(self.client.name, self.path, tag) }, { __index = self })
end

-- --- writing -----------------------------------------------------------------------------------

function Repository:begin() end -- luacheck: ignore 212

-- Counts what is read; what is sent again counts once.
local function counted(reader, state, on_bytes)
  return {
    read = function()
      local chunk = reader:read()
      if chunk then
        state.sent = state.sent + #chunk
        on_bytes(#chunk)
      end
      return chunk
    end,
    close = function()
      reader:close()
    end,
  }
end

-- What comes from another registry is compared with its digest before this one sees its end.
function Repository:write_blob(descriptor, open, opts)
  local state, from = { sent = 0 }, opts.from
  local is_remote = from and from.kind == "registry"
  local function again(offset)
    opts.on_bytes(-state.sent + offset)
    state.sent = offset
    if state.reader then
      state.reader:close()
    end
    local reader = open(offset, offset > 0)
    state.reader = is_remote and offset == 0 and transfer.checked(reader, descriptor) or reader
    return counted(state.reader, state, opts.on_bytes)
  end
  local closing <close> = setmetatable(state, { -- luacheck: ignore closing
    __close = function()
      if state.reader then
        state.reader:close()
      end
    end,
  })
  local mount = is_remote and from.client.name == self.client.name and from.path ~= self.path and from.path or nil
  local _, how, stored = self.client:put_blob(self.path, again, {
    digest = descriptor.digest, size = descriptor.size, mount = mount, check = false, resume = opts.resume ~= false,
  })
  return how == "pushed" and "copied" or how, stored
end

function Repository:write_manifest(manifest, tag)
  self.client:put_manifest(self.path, tag or manifest.digest, manifest.bytes, { media_type = manifest.media_type })
end

function Repository:finish() end -- luacheck: ignore 212

function Repository:close() end -- luacheck: ignore 212

-- --- references ----------------------------------------------------------------------------------

local function open(text, ref, for_writing, _, clients)
  local parts = reference.parse(text, { default_tag = true })
  if for_writing and parts.digest and not parts.tag then
    fail("usage", nil, ("%s: what is written has a digest of its own"):format(ref), "name a tag")
  end
  return setmetatable({
    ref = ref,
    path = parts.path,
    tag = parts.tag,
    digest = not for_writing and parts.digest or nil,
    client = (clients or clients_of.new()):of(parts.domain),
  }, Repository)
end

return { open = open }
