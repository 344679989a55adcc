-- docker/simulate/volumes.lua: the volumes of a simulated engine, with what is in them.
-- SPDX-License-Identifier: MIT
local engines = require "ctz.docker.simulate.engine"
local files_of = require "ctz.docker.simulate.files"
local json = require "ctz.json"

local ipairs, pairs, type = ipairs, pairs, type
local sort = table.sort

local refuse = engines.refuse
local null <const> = json.null

local volumes = {}

local function map_or_null(map)
  return type(map) == "table" and json.object(map) or null
end

local function body_of(volume)
  return {
    CreatedAt = engines.stamp(volume.created // 1),
    Driver = volume.driver,
    Labels = map_or_null(volume.labels),
    Mountpoint = "/var/lib/docker/volumes/" .. volume.name .. "/_data",
    Name = volume.name,
    Options = map_or_null(volume.options),
    Scope = "local",
  }
end

local function tell(engine, volume, action)
  engine:tell("volume", action, volume.name, { driver = volume.driver })
end

-- The volume of that name, made when there is none.
function volumes.ensure(engine, name, fields)
  local volume = engine.volumes[name]
  if not volume then
    volume = {
      name = name,
      created = engine.kernel.clock,
      driver = fields and fields.Driver and fields.Driver ~= "" and fields.Driver or "local",
      labels = fields and fields.Labels,
      options = fields and fields.DriverOpts,
      files = files_of.new_volume(),
    }
    engine.volumes[name] = volume
  end
  tell(engine, volume, "create")
  return volume
end

function volumes.tell_mount(container, mount)
  container.engine:tell("volume", "mount", mount.Name, {
    container = container.id,
    destination = mount.Destination,
    driver = mount.Driver,
    propagation = "",
    ["read/write"] = mount.RW and "true" or "false",
  })
end

function volumes.tell_unmount(container, mount)
  container.engine:tell("volume", "unmount", mount.Name, { container = container.id, driver = mount.Driver })
end

function volumes.source(name)
  return "/var/lib/docker/volumes/" .. name .. "/_data"
end

-- Ids of the containers that use a volume.
local function users(engine, volume)
  local ids = {}
  for _, container in ipairs(engine.order) do
    for _, mount in ipairs(container.mounts) do
      if mount.Name == volume.name then
        ids[#ids + 1] = container.id
        break
      end
    end
  end
  return ids
end

local function get(engine, name)
  return engine.volumes[name] or refuse(404, "get %s: no such volume", name)
end

function volumes.list(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters), " dangling driver label name ")
  local list = {}
  for name, volume in pairs(engine.volumes) do
    if engines.has_labels(volume.labels, filters.label)
      and engines.any(filters.name, function(value)
        return name:find(value, 1, true)
      end)
      and engines.any(filters.driver, function(value)
        return value == volume.driver
      end)
      and engines.any(filters.dangling, function(value)
        return (value == "true" or value == "1") == (#users(engine, volume) == 0)
      end) then
      list[#list + 1] = body_of(volume)
    end
  end
  sort(list, function(left, right)
    return left.Name < right.Name
  end)
  return 200, { Volumes = json.array(list), Warnings = null }
end

function volumes.inspect(engine, _, name)
  return 200, body_of(get(engine, name))
end

function volumes.create(engine, _, body)
  local name = body.Name and body.Name ~= "" and body.Name or engines.new_id()
  if body.Driver and body.Driver ~= "" and body.Driver ~= "local" then
    engines.unsupported(("volumes of the driver %s"):format(body.Driver))
  end
  return 201, body_of(volumes.ensure(engine, name, body))
end

function volumes.delete(engine, volume)
  engine.volumes[volume.name] = nil
  tell(engine, volume, "destroy")
end

function volumes.remove(engine, query, name)
  local volume = engine.volumes[name]
  if not volume and query.force == "1" then
    return 204
  end
  volume = get(engine, name)
  local ids = users(engine, volume)
  if #ids > 0 then
    refuse(409, "remove %s: volume is in use - [%s]", name, table.concat(ids, ", "))
  end
  volumes.delete(engine, volume)
  return 204
end

function volumes.prune(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters), " label label! all ")
  local removed = {}
  for name, volume in pairs(engine.volumes) do
    if #users(engine, volume) == 0 and engines.has_labels(volume.labels, filters.label) then
      volumes.delete(engine, volume)
      removed[#removed + 1] = name
    end
  end
  engine:tell("volume", "prune", "", { reclaimed = "0" })
  return 200, { VolumesDeleted = json.array(removed), SpaceReclaimed = 0 }
end

-- As GET /system/df lists them.
function volumes.usage(engine)
  local list = {}
  for _, volume in pairs(engine.volumes) do
    local body = body_of(volume)
    body.UsageData = { RefCount = #users(engine, volume), Size = volume.files:bytes() }
    list[#list + 1] = body
  end
  return list
end

return volumes
