-- docker/images.lua: the images of an engine.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, /images.
local check = require("ctz.options").check
local image = require "ctz.docker.image"
local object = require "ctz.docker.object"
local table_of = require("ctz.docker.values").table_of

local ipairs, rawset, require, setmetatable = ipairs, rawset, require, setmetatable
local sort = table.sort

local images = {}

-- Functions that have a file of their own, loaded when first called.
local elsewhere <const> = {
  build = "ctz.docker.build",
  import = "ctz.docker.archives",
  load = "ctz.docker.archives",
  pull = "ctz.docker.pull",
  push = "ctz.docker.pull",
  save = "ctz.docker.archives",
}

setmetatable(images, {
  __index = function(self, name)
    local fn = elsewhere[name] and require(elsewhere[name])[name]
    rawset(self, name, fn)
    return fn
  end,
})

-- --- looking -----------------------------------------------------------------------------------

-- By name, those without one last.
local function by_name(left, right)
  if (left.repository == nil) ~= (right.repository == nil) then
    return left.repository ~= nil
  end
  return left.full_name < right.full_name
end

--- ctz.docker.images.list(opts?) -> table
--- The images by name, one entry for each tag: a list of image objects {id, repository, tag, digest,
--- full_name, created, size_bytes, labels, raw}. An image without a name has neither repository nor tag,
--- and its id as full_name; created is in seconds since 1970; raw is the engine's own answer. Their
--- methods are get, history, inspect, push, remove and save.
--- @async
--- @param opts.all? boolean  also the images between the steps of a classic build
--- @param opts.filters? table  {name = value or list}: before, dangling, label, reference, since, until
--- @param opts.timeout? ctz.seconds
--- @return ctz.docker.image[]
--- @error usage there is no such filter
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.list)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /images/json
function images.list(client, opts)
  local op <const> = "docker.images.list"
  opts = check(op, opts, { all = "boolean", filters = "table", timeout = "seconds" })
  local raw = client:call("GET", "/images/json", {
    op = op,
    timeout = opts.timeout,
    query = {
      all = opts.all,
      digests = true,
      filters = object.filters(op, opts.filters, "before dangling label reference since until"),
    },
  })
  local list = {}
  for _, one in ipairs(table_of(raw)) do
    for _, entry in ipairs(image.of_list(client, one)) do
      list[#list + 1] = entry
    end
  end
  sort(list, by_name)
  return list
end

--- ctz.docker.images.get(image) -> ctz.docker.image
--- The object of an image. Beside the fields of ctz.docker.images.list it has tags and digests (all its
--- names), architecture, os, variant, and layers (the digests of their content).
--- @async
--- @param image string|ctz.docker.image  name, id or object
--- @error not_found there is no such image; the hint names the nearest
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.get, "alpine")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /images/{name}/json
function images.get(client, given)
  local op <const> = "docker.images.get"
  local id, name = image.subject(op, given)
  return image.of_inspect(client, (image.call(client, "GET", id, "/json", { op = op })), name)
end

--- ctz.docker.images.find(image) -> ctz.docker.image|nil
--- The object of an image as of ctz.docker.images.get, nil when there is none.
--- @async
--- @param image string|ctz.docker.image  name, id or object
--- @example local _, err = ctz.try(ctz.docker.images.find, "Alpine")
--- @example assert(err.kind == "usage" and err.message:find "lowercase")
--- Api: Docker Engine v1.41, GET /images/{name}/json
function images.find(client, given)
  local op <const> = "docker.images.find"
  local id, name = image.subject(op, given)
  local raw, status = image.call(client, "GET", id, "/json", { op = op, ok = { [404] = true } })
  return status ~= 404 and image.of_inspect(client, raw, name) or nil
end

--- ctz.docker.images.inspect(image, opts?) -> table
--- All that the engine says of an image, as it says it.
--- @async
--- @param image string|ctz.docker.image  name, id or object
--- @param opts.platform? string  "linux/arm64": of an image for several; needs API 1.49
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such image; the hint names the nearest
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.inspect, "alpine")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /images/{name}/json
function images.inspect(client, given, opts)
  local op <const> = "docker.images.inspect"
  opts = check(op, opts, { platform = "string", timeout = "seconds" })
  local id = image.subject(op, given)
  local platform = image.platform(op, opts.platform)
  if platform then
    object.needs(client, "1.49", "platform", op)
  end
  return (image.call(client, "GET", id, "/json", {
    op = op,
    timeout = opts.timeout,
    query = { platform = platform },
  }))
end

--- ctz.docker.images.history(image) -> table
--- What made an image, the last step first: a list of {id, created, created_by, size_bytes, comment, tags,
--- raw}. id is nil where the engine does not know it.
--- @async
--- @param image string|ctz.docker.image  name, id or object
--- @error not_found there is no such image; the hint names the nearest
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.history, "alpine")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /images/{name}/history
function images.history(client, given)
  local op <const> = "docker.images.history"
  local raw = image.call(client, "GET", (image.subject(op, given)), "/history", { op = op })
  return object.list_of(raw, function(step)
    return {
      id = step.Id ~= "<missing>" and step.Id ~= "" and step.Id or nil,
      created = step.Created,
      created_by = step.CreatedBy,
      size_bytes = step.Size,
      comment = step.Comment ~= "" and step.Comment or nil,
      tags = table_of(step.Tags),
      raw = step,
    }
  end)
end

-- --- changing ----------------------------------------------------------------------------------

--- ctz.docker.images.tag(image, name, opts?) -> true
--- Gives an image one more name. An image that had it loses it.
--- @async
--- @param image string|ctz.docker.image  name, id or object
--- @param name string  "repository:tag"; without a tag it is "latest"
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such image; the hint names the nearest
--- @error usage the name is none
--- @example local _, err = ctz.try(ctz.docker.images.tag, "alpine", "Mine:1")
--- @example assert(err.kind == "usage" and err.message:find "lowercase")
--- Api: Docker Engine v1.41, POST /images/{name}/tag
function images.tag(client, given, name, opts)
  local op <const> = "docker.images.tag"
  local id, shown = image.subject(op, given)
  local parts = image.parse(op, "name", name)
  opts = check(op, opts, { timeout = "seconds" })
  if parts.digest then
    object.usage(op, "%q: a new name has a tag, no digest", name)
  elseif client:plans("tag image %s as %s", shown, image.text(parts)) then
    return true
  end
  image.call(client, "POST", id, "/tag", {
    op = op,
    timeout = opts.timeout,
    query = { repo = image.text(parts, {}), tag = parts.tag },
  })
  return true
end

-- [{Untagged=}, {Deleted=}] -> {untagged, deleted}
local function removed_of(raw)
  local untagged, deleted = {}, {}
  for _, one in ipairs(table_of(raw)) do
    untagged[#untagged + 1] = one.Untagged
    deleted[#deleted + 1] = one.Deleted
  end
  return untagged, deleted
end

--- ctz.docker.images.remove(image, opts?) -> table
--- Takes a name off an image, and removes the image when that was its last one. By its id an image with
--- one name is removed. Returns {untagged={names}, deleted={ids}}, in a dry run with empty lists.
--- @async
--- @param image string|ctz.docker.image  name, id or object, which stands for its name
--- @param opts.force? boolean  also when a stopped container uses it; by id: with all its names
--- @param opts.noprune? boolean  keeps those it was made from that have no name
--- @param opts.timeout? ctz.seconds
--- @return {untagged: string[], deleted: string[]}
--- @error not_found there is no such image; the hint names the nearest
--- @error conflict a container uses it, it has several names, or the object's name is another image's now
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.remove, "alpine")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, DELETE /images/{name}
function images.remove(client, given, opts)
  local op <const> = "docker.images.remove"
  local _, shown = image.subject(op, given)
  opts = check(op, opts, { force = "boolean", noprune = "boolean", timeout = "seconds" })
  if client:plans("remove image %s", shown) then
    return { untagged = {}, deleted = {} }
  end
  local name = image.named_subject(client, op, given)
  local untagged, deleted = removed_of((image.call(client, "DELETE", name, "", {
    op = op,
    timeout = opts.timeout,
    query = { force = opts.force, noprune = opts.noprune },
  })))
  return { untagged = untagged, deleted = deleted }
end

--- ctz.docker.images.prune(opts?) -> table
--- Removes the images that have no name and that no container uses; with all=true also those with a name.
--- Returns {removed={ids}, untagged={names}, bytes_freed=}, in a dry run with empty lists.
--- @async
--- @param opts.all? boolean
--- @param opts.filters? table  {name = value or list}: label, label!, until
--- @param opts.timeout? ctz.seconds
--- @return {removed: string[], untagged: string[], bytes_freed: ctz.bytes}
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.prune)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, POST /images/prune
function images.prune(client, opts)
  local op <const> = "docker.images.prune"
  opts = check(op, opts, { all = "boolean", filters = "table", timeout = "seconds" })
  local filters = object.filters(op, opts.filters, "label label! until") or {}
  if client:plans("remove all images%s that no container uses", opts.all and "" or " without a name") then
    return { removed = {}, untagged = {}, bytes_freed = 0 }
  end
  filters.dangling = { opts.all and "false" or "true" }
  local raw = client:call("POST", "/images/prune", { op = op, timeout = opts.timeout, query = { filters = filters } })
  local untagged, deleted = removed_of(raw.ImagesDeleted)
  return { removed = deleted, untagged = untagged, bytes_freed = raw.SpaceReclaimed }
end

return images
