-- image/source/docker.lua: an engine's image, through docker save and docker load.
-- SPDX-License-Identifier: MIT
local archive_write = require "ctz.image.source.archive_write"
local archives = require "ctz.image.source.archive"
local document = require "ctz.image.document"
local fs = require "ctz.fs"
local host = require "ctz.core.host"
local reference = require "ctz.registry.reference"

local ipairs, rawget, setmetatable, tonumber, type = ipairs, rawget, setmetatable, tonumber, type
local fail = document.fail

local ZSTD_API_MINOR <const> = 42 -- of 1.42

local function images()
  return require("ctz.docker").images
end

local function no_progress() end

-- --- from an engine ------------------------------------------------------------------------------

-- The engine gives an image as one stream, so it is a file of ours first.
local Saved = { __name = "ctz.image.place", kind = "docker", jobs = 4 }

function Saved.resolve(self)
  if not self.archive then
    if host.mode().dry_run then
      fail("unsupported", self.ref, "what an engine would send cannot be shown in a dry run")
    end
    local folder = fs.tempdir()
    self.folder = folder
    local path = folder.path .. "/image.tar"
    images().save(self.name, { to = path, on_progress = no_progress })
    self.archive = archives.open(path, self.ref, false, "docker-archive")
  end
  return self.archive:resolve()
end

-- The tags that the engine has of that repository.
function Saved.tags(self)
  local wanted, names, i = reference.parse(self.name), {}, 0
  for _, one in ipairs(images().list()) do
    local parts = one.full_name and reference.read(one.full_name)
    if parts and parts.tag and parts.domain == wanted.domain and parts.path == wanted.path then
      names[#names + 1] = parts.tag
    end
  end
  return function()
    i = i + 1
    return names[i]
  end
end

local function tagged(class)
  return function(self, tag)
    local name = reference.format(reference.parse(("%s:%s"):format(self.name, tag)), { familiar = true })
    return setmetatable({ ref = "docker:" .. name, name = name }, class)
  end
end

Saved.tagged = tagged(Saved)

function Saved.close(self)
  if self.folder then
    self.folder:close()
    self.folder = nil
  end
end

-- All else is as in the archive.
function Saved.__index(self, name)
  if Saved[name] ~= nil then
    return Saved[name]
  end
  local archive = rawget(self, "archive")
  local field = archive and archive[name]
  return type(field) == "function" and function(_, ...)
    return field(archive, ...)
  end or field
end

-- --- into an engine ------------------------------------------------------------------------------

local Loading = { __name = "ctz.image.place", kind = "docker", jobs = 1, single = true }
Loading.__index = Loading

function Loading:begin()
  self.folder = fs.tempdir()
  local fields = { ref = self.ref, path = self.folder.path .. "/image.tar", tag = self.name, blobs = {} }
  self.archive = archive_write.new(fields, "docker-archive")
  self.archive:begin()
end

-- Engines from 23.0 on read it.
function Loading:takes_zstd() -- luacheck: ignore 212
  local major, minor = (require("ctz.docker").system.ping().newest_api_version or ""):match "^(%d+)%.(%d+)"
  return major ~= nil and (tonumber(major) > 1 or tonumber(minor) >= ZSTD_API_MINOR)
end

function Loading:has_blob(descriptor)
  return self.archive ~= nil and self.archive:has_blob(descriptor)
end

Loading.tagged = tagged(Loading)

-- What an engine has is known under other digests.
function Loading:resolve() -- luacheck: ignore 212
  return nil
end

function Loading:has_manifest() -- luacheck: ignore 212
  return false
end

function Loading:write_blob(...)
  return self.archive:write_blob(...)
end

function Loading:write_manifest(...)
  return self.archive:write_manifest(...)
end

function Loading:finish()
  self.archive:finish()
  images().load(self.archive.path, { on_progress = no_progress })
end

function Loading:close()
  if self.archive then
    self.archive:close()
  end
  if self.folder then
    self.folder:close()
    self.folder = nil
  end
end

-- --- references ----------------------------------------------------------------------------------

local function open(rest, ref, for_writing)
  local parts, problem, hint = reference.read(rest)
  local is_id = rest:find "^sha256:%x+$" or rest:find "^%x+$" and #rest >= 12
  if not parts and (for_writing or not is_id) then
    fail("usage", nil, ("\"%s\" is no name for an image: %s"):format(rest, problem), hint)
  elseif for_writing and parts.digest then
    fail("usage", nil, ("%s: an engine names an image that it loads by a tag"):format(ref))
  end
  return setmetatable({ ref = ref, name = rest }, for_writing and Loading or Saved)
end

return { open = open }
