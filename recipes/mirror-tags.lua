-- mirror-tags.lua: mirrors the highest versions of some images into a registry.
--
-- Of each image the highest tags of the form 3.20 are copied with all platforms and what refers to them;
-- what is there already costs no pull. While Docker Hub allows fewer pulls than `reserve`, it waits.
-- Versions that are no longer among the highest are shown, and removed with prune=true.
--
-- Usage:       ctz run recipes/mirror-tags.lua to=localhost:5000/mirror [images=alpine,debian]
-- Parameters:  to       where the copies go; each under its last name
--              images   the images; default alpine,debian
--              newest   how many versions of each; default 3
--              match    a Lua pattern of their tags; default two numbers, 3.20
--              reserve  pulls to leave; default 100
--              prune    remove what was shown; default false
-- Needs:       both registries
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "to", "string", help = "where the copies go" },
  { "images", "list", of = "string", default = { "alpine", "debian" }, help = "the images" },
  { "newest", "int", default = 3, help = "how many versions of each" },
  { "match", "string", default = "^%d+%.%d+$", help = "a Lua pattern of their tags" },
  { "reserve", "int", default = 100, help = "pulls to leave" },
  { "prune", "bool", default = false, help = "remove older versions from the copies" },
}

local PAUSE_S <const> = 300

-- Asking costs no pull. Registries that count none say nothing.
local function wait_for_pulls(client, path, tag)
  local quota = client:quota(path, tag)
  while quota and quota.remaining < p.reserve do
    ctz.log.info("waiting for pulls", { remaining = quota.remaining })
    ctz.sleep(PAUSE_S)
    quota = client:quota(path, tag)
  end
end

for _, image in ipairs(p.images) do
  local source = ctz.registry.reference.parse(image)
  local client = ctz.registry.connect(source.domain)
  local target = p.to .. "/" .. source.path:match "[^/]+$"
  local done = ctz.registry.sync {
    from = image, to = target, match = p.match, newest = p.newest, prune = true,
    on_tag = function(tag)
      wait_for_pulls(client, source.path, tag)
    end,
  }
  print(("%s: %d copied, %d there already"):format(target, #done.copied, #done.unchanged))
  if #done.plan.goes > 0 then
    done.plan:show()
  end
  if p.prune then
    done.plan:apply()
  end
end
