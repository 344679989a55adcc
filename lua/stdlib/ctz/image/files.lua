-- image/files.lua: the files of an image: the tree that its layers make, one file, all below a folder.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec v1.1, layer.md. What a layer has lies over what the layers below it have; a file
-- that has the place of a folder (or a folder that of a link) takes it, as in the engines' overlays.
local core = require "ctz.core.layers"
local ctz = require "ctz"
local document = require "ctz.image.document"
local fs = require "ctz.fs"
local transfer = require "ctz.image.source.transfer"

local ipairs, type = ipairs, type
local fail = document.fail

local JOBS <const> = 4 -- of the pool's eight threads

-- A layout that lacks most of what a layout has: blobs that come from elsewhere.
local function scratch_layout()
  local dir = fs.tempdir()
  fs.mkdir(dir .. "/blobs/sha256", { parents = true })
  return dir
end

-- The path of a blob on this disk. state.dir is made when it has to come from elsewhere.
local function blob_path(place, descriptor, state)
  local algorithm, hex = descriptor.digest:match "^(%w+):(%x+)$"
  local name = ("/blobs/%s/%s"):format(algorithm, hex)
  if place.kind == "oci" then
    if not fs.exists(place.folder .. name) then
      fail("not_found", place.ref, ("%s lacks the blob %s"):format(place.folder, descriptor.digest),
        descriptor.urls and "it is a foreign layer, which is found elsewhere" or nil)
    end
    return place.folder .. name
  end
  transfer.to_layout(state.dir.path, descriptor, function(offset)
    return place:read_blob(descriptor, offset)
  end, { on_bytes = function() end })
  return state.dir.path .. name
end

-- The diff ids that the config names for those layers; nil when it is no image's config.
local function diff_ids_of(config, layers, ref)
  local rootfs = type(config) == "table" and config.rootfs
  local list = type(rootfs) == "table" and rootfs.diff_ids
  if type(list) ~= "table" then
    return {}
  elseif #list ~= #layers then
    fail("protocol", ref, ("its manifest has %d layers, its config %d diff_ids"):format(#layers, #list))
  end
  for i, diff_id in ipairs(list) do
    if not document.is_digest(diff_id) then
      fail("protocol", ref, ("rootfs.diff_ids[%d] is no digest"):format(i))
    end
  end
  return list
end

-- list(place, descriptor, diff_id, number, state) -> list of one layer, compared with its digests.
local function list(place, descriptor, diff_id, number, state)
  return core.list(blob_path(place, descriptor, state), {
    digest = descriptor.digest,
    diff_id = diff_id,
    size_bytes = descriptor.size,
    layer = number,
  })
end

-- lists(place, layers, config) -> the list of each layer, read side by side; and the folder that holds what
-- came from elsewhere. layers are descriptors of a manifest.
local function lists(place, layers, config)
  local diff_ids = diff_ids_of(config, layers, place.ref)
  local state = { dir = place.kind ~= "oci" and scratch_layout() or nil }
  local numbers = {}
  for i in ipairs(layers) do
    numbers[i] = i
  end
  return ctz.map(numbers, function(i)
    return list(place, layers[i], diff_ids[i], i, state)
  end, { jobs = JOBS }), state.dir
end

-- squash(place, layers, config) -> the tree of those layers, and the folder of what came from elsewhere.
local function squash(place, layers, config)
  local all, dir = lists(place, layers, config)
  return core.squash(all), dir
end

-- iterate(tree) -> iterator of its files, sorted, without the root.
local function iterate(tree)
  local i, count = 0, tree:count()
  return function()
    local file
    repeat
      i = i + 1
      file = i <= count and tree:get(i) or nil
    until not file or file.path ~= "/"
    return file
  end
end

-- extract(tree, folder, {keep_owner=}) -> {files=, bytes=, skipped={path...}}
local function extract(tree, folder, opts)
  local skipped = {}
  for file in iterate(tree) do
    if file.type == "device" then
      skipped[#skipped + 1] = file.path
    end
  end
  local result = core.extract(folder, tree, opts.keep_owner or false)
  result.skipped = skipped
  return result
end

return {
  scratch_layout = scratch_layout, diff_ids_of = diff_ids_of, list = list, squash = squash, iterate = iterate,
  read = core.read, extract = extract, JOBS = JOBS,
}
