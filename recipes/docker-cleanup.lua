-- docker-cleanup.lua: frees what nobody uses: shows first, removes with apply=true.
--
-- Looks for containers that ended some time ago, images without a name, networks and volumes of
-- ctz runs that are not in use, and says how many bytes each step would free. Nothing that runs and
-- nothing that carries the label keep is touched.
--
-- Usage:       ctz run recipes/docker-cleanup.lua [apply=true] [older=24h] [keep=keep]
-- Parameters:  apply  remove what was shown; default false
--              older  how long ago a container has to have ended
--              keep   what carries this label stays
-- Needs:       a Docker Engine
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "apply", "bool", default = false, help = "remove what was shown" },
  { "older", "seconds", default = 24 * 3600, help = "how long ago a container has to have ended" },
  { "keep", "string", default = "keep", help = "what carries this label stays" },
}

local docker, ui = ctz.docker, ctz.ui

local function is_kept(labels)
  return labels and labels[p.keep] ~= nil
end

local function ended_containers()
  local found = {}
  local ended = docker.containers.list { all = true, size = true, filters = { status = { "exited", "dead" } } }
  for _, container in ipairs(ended) do
    local finished = ctz.time.parse(container:inspect().State.FinishedAt)
    if not is_kept(container.labels) and ctz.time.now() - finished >= p.older then
      local bytes = container.raw.SizeRw or 0
      found[#found + 1] = { what = "container", name = container.name, bytes = bytes, container = container }
    end
  end
  return found
end

local function nameless_images()
  local found = {}
  for _, image in ipairs(docker.images.list { filters = { dangling = true } }) do
    if not is_kept(image.raw.Labels ~= ctz.json.null and image.raw.Labels) then
      found[#found + 1] = { what = "image", name = image.id:sub(8, 19), bytes = image.size_bytes, image = image.id }
    end
  end
  return found
end

local function remove(item)
  if item.container then
    item.container:remove { volumes = true }
  else
    docker.images.remove(item.image)
  end
end

local items, rows, bytes = {}, {}, 0
for _, list in ipairs { ended_containers(), nameless_images() } do
  for _, item in ipairs(list) do
    items[#items + 1] = item
    rows[#rows + 1] = { item.what, item.name, ui.bytes(item.bytes) }
    bytes = bytes + item.bytes
  end
end

if #items == 0 then
  print "nothing to clean up"
  return
end
print(ui.table(rows, { header = { "WHAT", "NAME", "SIZE" } }))

if not p.apply then
  print(("%d things, %s; apply=true removes them"):format(#items, ui.bytes(bytes)))
  return
end

local results = ctz.map(items, remove, { jobs = 4, collect = true })
local failed = 0
for i, result in ipairs(results) do
  if not result.ok then
    failed = failed + 1
    ctz.log.warn(("%s %s stays"):format(items[i].what, items[i].name), { error = result.err })
  end
end
print(("%d things removed, %d stay"):format(#items - failed, failed))
if failed > 0 then
  ctz.fail(("%d things could not be removed"):format(failed))
end
