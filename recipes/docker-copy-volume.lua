-- docker-copy-volume.lua: copies all files of one volume into another, on one engine or between two.
--
-- A helper container is made on each side and never started; the files go through as one stream, with
-- their owners and modes, and need no room on this machine's disk.
--
-- Usage:       ctz run recipes/docker-copy-volume.lua from=VOLUME to=VOLUME image=IMAGE [to_host=unix:///...]
-- Parameters:  from     volume to read
--              to       volume to fill; it is made when there is none
--              image    any image that both engines have: only a container made of it is needed
--              to_host  the other engine; default the same
-- Needs:       a Docker Engine, one image
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "from", "string", help = "volume to read" },
  { "to", "string", help = "volume to fill" },
  { "image", "ref", help = "any image that both engines have" },
  { "to_host", "string", default = "", help = "the other engine" },
}

local source = ctz.docker
local target = p.to_host ~= "" and ctz.docker.connect { host = p.to_host } or source

if not source.volumes.find(p.from) then
  ctz.fail(("there is no volume %s"):format(p.from))
end
if not target.volumes.find(p.to) then
  target.volumes.create(p.to)
end

-- A container that only holds the volume; it goes with the recipe.
local function holder(docker, volume)
  local container = docker.containers.create {
    image = p.image,
    command = { "true" },
    volumes = { volume .. ":/volume" },
  }
  ctz.defer(function()
    container:remove { force = true }
  end)
  return container
end

local progress <close> = ctz.ui.progress { title = ("%s to %s"):format(p.from, p.to), unit = "bytes" }
local bytes = 0
local files <close> = holder(source, p.from):copy_out "/volume"
holder(target, p.to):copy_in(function()
  local chunk = files:read()
  bytes = bytes + #(chunk or "")
  progress:set(bytes)
  return chunk
end, "/", { keep_owner = true })
progress:done(("%s copied"):format(ctz.ui.bytes(bytes)))
