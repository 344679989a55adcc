-- docker/system.lua: the engine itself.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, /version, /info, /_ping, /system/df, /build/prune;
-- docker/cli, cli/command/formatter/disk_usage.go.
local check = require("ctz.options").check
local object = require "ctz.docker.object"
local sorted_keys = require("ctz.problems").sorted_keys
local table_of = require("ctz.docker.values").table_of

local ipairs, pairs, require = ipairs, pairs, require
local tonumber, tostring, type = tonumber, tostring, type
local max = math.max

local system = {}

-- --- what it is --------------------------------------------------------------------------------

--- ctz.docker.system.version(opts?) -> table
--- {version=, api_version=, os=, arch=, kernel=, raw=}: api_version is the one that ctz speaks to it.
--- @async
--- @param opts.timeout? ctz.seconds
--- @return {version: string, api_version: string, os: string, arch: string, kernel: string, raw: table}
--- @error unreachable no engine answers
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.system.version)
--- @example assert(err:is "unreachable")
function system.version(client, opts)
  local op <const> = "docker.system.version"
  opts = check(op, opts, { timeout = "seconds" })
  local raw = client:call("GET", "/version", { op = op, timeout = opts.timeout })
  return {
    version = raw.Version,
    api_version = client.api,
    os = raw.Os,
    arch = raw.Arch,
    kernel = raw.KernelVersion,
    raw = raw,
  }
end

--- ctz.docker.system.ping(opts?) -> table
--- Asks the engine whether it is there: {api_version=, newest_api_version=, os=, builder=,
--- experimental=}. api_version is the one that ctz speaks to it, builder is "2" where BuildKit is the
--- default.
--- @async
--- @param opts.timeout? ctz.seconds
--- @return {api_version: string, newest_api_version: string, os: string, builder: string?, experimental: boolean}
--- @error unreachable no engine answers
--- @error timeout it does not answer by then
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.system.ping)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /_ping
function system.ping(client, opts)
  local op <const> = "docker.system.ping"
  opts = check(op, opts, { timeout = "seconds" })
  local stream <close> = client:stream("GET", "/_ping", { op = op, timeout = opts.timeout })
  local headers = stream.headers
  return {
    api_version = client.api,
    newest_api_version = headers["api-version"],
    os = headers["ostype"],
    builder = headers["builder-version"],
    experimental = headers["docker-experimental"] == "true",
  }
end

local function has(list, word)
  for _, item in ipairs(table_of(list)) do
    if item:find(word, 1, true) then
      return true
    end
  end
  return false
end

--- ctz.docker.system.info() -> table
--- What the engine is and has: {id, name, version, os, os_type, arch, kernel, cpus, memory_bytes,
--- containers = {all, running, paused, stopped}, images, storage_driver, root_dir, cgroup_driver,
--- cgroup_version, runtimes, default_runtime, rootless, containerd_store, swarm, labels, warnings, raw}.
--- @async
--- @return table
--- @error unreachable no engine answers
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.system.info)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /info
function system.info(client)
  local raw = client:call("GET", "/info", { op = "docker.system.info" })
  local status = table_of(table_of(raw.DriverStatus)[1])
  return {
    id = raw.ID,
    name = raw.Name,
    version = raw.ServerVersion,
    os = raw.OperatingSystem,
    os_type = raw.OSType,
    arch = raw.Architecture,
    kernel = raw.KernelVersion,
    cpus = raw.NCPU,
    memory_bytes = raw.MemTotal,
    containers = {
      all = raw.Containers,
      running = raw.ContainersRunning,
      paused = raw.ContainersPaused,
      stopped = raw.ContainersStopped,
    },
    images = raw.Images,
    storage_driver = raw.Driver,
    root_dir = raw.DockerRootDir,
    cgroup_driver = raw.CgroupDriver,
    cgroup_version = tonumber(raw.CgroupVersion),
    runtimes = sorted_keys(table_of(raw.Runtimes)),
    default_runtime = raw.DefaultRuntime,
    rootless = has(raw.SecurityOptions, "name=rootless"),
    containerd_store = status[1] == "driver-type" and status[2] == "io.containerd.snapshotter.v1",
    swarm = table_of(raw.Swarm).LocalNodeState,
    labels = table_of(raw.Labels),
    warnings = table_of(raw.Warnings),
    raw = raw,
  }
end

-- Its doc comment stands where it is made.
function system.events(client, opts)
  return require("ctz.docker.events").events(client, opts)
end

-- --- what takes space --------------------------------------------------------------------------

local function positive(value)
  return type(value) == "number" and max(value, 0) or 0
end

-- {count, active, size_bytes, reclaimable_bytes}. size(item) -> bytes of it, those that others use too;
-- in_use(item) -> boolean
local function usage(list, size, in_use)
  local sum = { count = 0, active = 0, size_bytes = 0, reclaimable_bytes = 0 }
  for _, item in ipairs(table_of(list)) do
    local bytes = positive(size(item))
    sum.count, sum.size_bytes = sum.count + 1, sum.size_bytes + bytes
    if in_use(item) then
      sum.active = sum.active + 1
    else
      sum.reclaimable_bytes = sum.reclaimable_bytes + bytes
    end
  end
  return sum
end

local function images_usage(raw)
  local used = 0
  local sum = usage(raw.Images, function(image)
    return image.Size
  end, function(image)
    local is_used = positive(image.Containers) > 0
    if is_used and positive(image.Size) > 0 and type(image.SharedSize) == "number" and image.SharedSize >= 0 then
      used = used + image.Size - image.SharedSize
    end
    return is_used
  end)
  sum.size_bytes = positive(raw.LayersSize)
  sum.reclaimable_bytes = max(sum.size_bytes - used, 0)
  return sum
end

local busy <const> = { running = true, paused = true, restarting = true }

local function containers_usage(raw)
  return usage(raw.Containers, function(container)
    return container.SizeRw
  end, function(container)
    return busy[container.State]
  end)
end

local function volumes_usage(raw)
  return usage(raw.Volumes, function(volume)
    return table_of(volume.UsageData).Size
  end, function(volume)
    return positive(table_of(volume.UsageData).RefCount) > 0
  end)
end

local function cache_usage(raw)
  return usage(raw.BuildCache, function(record)
    return record.Shared and 0 or record.Size
  end, function(record)
    return record.InUse
  end)
end

--- ctz.docker.system.df(opts?) -> table
--- What takes space: {images=, containers=, volumes=, build_cache=, raw=}, each as {count, active,
--- size_bytes, reclaimable_bytes}; active are those that are in use.
--- @async
--- @param opts.timeout? ctz.seconds
--- @error unreachable no engine answers
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.system.df)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /system/df
function system.df(client, opts)
  local op <const> = "docker.system.df"
  opts = check(op, opts, { timeout = "seconds" })
  local new_form = client:at_least("1.52", op)
  local raw = client:call("GET", "/system/df", {
    op = op,
    timeout = opts.timeout,
    query = { verbose = new_form or nil },
  })
  if new_form then -- it has the sums, and the lists by other names
    raw.Images = raw.Images or table_of(raw.ImageUsage).Items
    raw.LayersSize = raw.LayersSize or table_of(raw.ImageUsage).TotalSize
    raw.Containers = raw.Containers or table_of(raw.ContainerUsage).Items
    raw.Volumes = raw.Volumes or table_of(raw.VolumeUsage).Items
    raw.BuildCache = raw.BuildCache or table_of(raw.BuildCacheUsage).Items
  end
  return {
    images = images_usage(raw),
    containers = containers_usage(raw),
    volumes = volumes_usage(raw),
    build_cache = cache_usage(raw),
    raw = raw,
  }
end

-- --- prune -------------------------------------------------------------------------------------

local function prune_cache(client, op, opts)
  if client:plans("remove %s of the build cache", opts.all and "all" or "what no build uses") then
    return { removed = {}, bytes_freed = 0 }
  end
  local raw = client:call("POST", "/build/prune", {
    op = op,
    timeout = opts.timeout,
    query = {
      all = opts.all or nil,
      filters = object.filters(op, opts.filters, "until id parent type description inuse shared private"),
    },
  })
  return { removed = table_of(raw.CachesDeleted), bytes_freed = raw.SpaceReclaimed }
end

-- In this order: what uses others goes first.
local ORDER <const> = { "containers", "networks", "volumes", "images", "build_cache" }
local DEFAULT <const> = { "containers", "networks", "images", "build_cache" }

local pruners <const> = {
  containers = function(client, _, opts)
    return require("ctz.docker.containers").prune(client, { filters = opts.filters })
  end,
  networks = function(client, _, opts)
    return require("ctz.docker.networks").prune(client, { filters = opts.filters, timeout = opts.timeout })
  end,
  volumes = function(client, _, opts)
    return require("ctz.docker.volumes").prune(client, opts)
  end,
  images = function(client, _, opts)
    return require("ctz.docker.images").prune(client, opts)
  end,
  build_cache = prune_cache,
}

-- Which kinds: those that were named, else the default, without what knows no labels when one is asked for.
local function kinds_of(op, opts)
  local wanted = {}
  for _, kind in ipairs(opts.what or DEFAULT) do
    if not pruners[kind] then
      object.usage(op, "there is no %q to prune: containers, networks, volumes, images, build_cache", tostring(kind))
    end
    wanted[kind] = true
  end
  if not opts.what then
    for name in pairs(opts.filters or {}) do
      wanted.build_cache = wanted.build_cache and name == "until"
    end
  end
  return wanted
end

--- ctz.docker.system.prune(opts?) -> table
--- Removes what is not in use: containers that do not run, networks without containers, images without a
--- name, the build cache. Returns {containers={ids}, networks={names}, volumes={names}, images={ids},
--- build_cache={ids}, bytes_freed=}: what was removed.
--- @async
--- @param opts.what? string[]  of containers, networks, volumes, images, build_cache; default: all but volumes
--- @param opts.all? boolean  also images with a name that no container uses, volumes with a name, all of the cache
--- @param opts.filters? table  {name = value or list}: label, label!, until; a label leaves the build cache alone
--- @param opts.timeout? ctz.seconds  for each kind
--- @error usage there is no such kind
--- @example local _, err = ctz.try(ctz.docker.system.prune, {what={"image"}})
--- @example assert(err.kind == "usage" and err.message:find "images")
--- Api: Docker Engine v1.41, POST /containers/prune, /networks/prune, /volumes/prune, /images/prune, /build/prune
function system.prune(client, opts)
  local op <const> = "docker.system.prune"
  opts = check(op, opts, { what = "list", all = "boolean", filters = "table", timeout = "seconds" })
  local wanted, result = kinds_of(op, opts), { bytes_freed = 0 }
  for _, kind in ipairs(ORDER) do
    if wanted[kind] then
      local one = pruners[kind](client, op, { all = opts.all, filters = opts.filters, timeout = opts.timeout })
      result[kind] = one.removed
      result.bytes_freed = result.bytes_freed + (one.bytes_freed or 0)
    end
  end
  return result
end

return system
