-- docker/volumes.lua: the volumes of an engine.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, /volumes.
local check = require("ctz.options").check
local merge_labels = require("ctz.docker.labels").merge
local object = require "ctz.docker.object"
local sheltered = require "ctz.docker.sheltered"
local table_of = require("ctz.docker.values").table_of
local units = require "ctz.units"

local ipairs = ipairs
local sort = table.sort

local volumes = {}

local make <const> = object.class("ctz.docker.volume", volumes, "inspect remove")

-- UsageData is there when the engine has looked (system.df), -1 means that it has not.
local function counted(raw, name)
  local value = table_of(raw.UsageData)[name]
  return value and value >= 0 and value or nil
end

local function volume_of(client, raw)
  return make(client, {
    id = raw.Name,
    name = raw.Name,
    driver = raw.Driver,
    scope = raw.Scope,
    created = units.unix_time(raw.CreatedAt),
    mountpoint = raw.Mountpoint,
    options = table_of(raw.Options),
    labels = table_of(raw.Labels),
    size_bytes = counted(raw, "Size"),
    used_by = counted(raw, "RefCount"),
    raw = raw,
  })
end

-- Asks about one volume, with a hint when there is none.
local function call(client, method, path, opts)
  opts.shows = "docker.volumes.list()"
  function opts.names()
    local names = {}
    for i, raw in ipairs(table_of(client:call("GET", "/volumes", { op = opts.op }).Volumes)) do
      names[i] = raw.Name
    end
    return names
  end
  opts.name = opts.target:match "%S+$"
  return object.call(client, method, path, opts)
end

-- --- looking -----------------------------------------------------------------------------------

--- ctz.docker.volumes.list(opts?) -> table
--- The volumes by name: a list of volume objects {id, name, driver, scope, created, mountpoint, options,
--- labels, raw}. The id of a volume is its name; created is in seconds since 1970; raw is the engine's
--- own answer. Their methods are inspect and remove.
--- @async
--- @param opts.filters? table  {name = value or list}: dangling, driver, label, name
--- @param opts.timeout? ctz.seconds
--- @return ctz.docker.volume[]
--- @error usage there is no such filter
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.volumes.list)
--- @example assert(err:is "unreachable" and err:is "volume")
--- Api: Docker Engine v1.41, GET /volumes
function volumes.list(client, opts)
  local op <const> = "docker.volumes.list"
  opts = check(op, opts, { filters = "table", timeout = "seconds" })
  local raw = client:call("GET", "/volumes", {
    op = op,
    timeout = opts.timeout,
    query = { filters = object.filters(op, opts.filters, "dangling driver label name") },
  })
  for _, warning in ipairs(table_of(raw.Warnings)) do
    object.warn(warning)
  end
  local list = object.list_of(raw.Volumes, function(one)
    return volume_of(client, one)
  end)
  sort(list, object.by_name)
  return list
end

--- ctz.docker.volumes.get(volume) -> ctz.docker.volume
--- The object of a volume: see ctz.docker.volumes.list.
--- @async
--- @param volume string|ctz.docker.volume  name or object
--- @error not_found there is no such volume; the hint names the nearest
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.volumes.get, "data")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /volumes/{name}
function volumes.get(client, volume)
  local op <const> = "docker.volumes.get"
  local id, target = object.subject(op, "volume", volume)
  return volume_of(client, (call(client, "GET", "/volumes/" .. id, { op = op, target = target })))
end

--- ctz.docker.volumes.find(volume) -> ctz.docker.volume|nil
--- The object of a volume, nil when there is none.
--- @async
--- @param volume string|ctz.docker.volume  name or object
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.volumes.find, "data")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /volumes/{name}
function volumes.find(client, volume)
  local op <const> = "docker.volumes.find"
  local id, target = object.subject(op, "volume", volume)
  local raw, status = client:call("GET", "/volumes/" .. id, { op = op, target = target, ok = { [404] = true } })
  return status ~= 404 and volume_of(client, raw) or nil
end

--- ctz.docker.volumes.inspect(volume, opts?) -> table
--- All that the engine says of a volume, as it says it.
--- @async
--- @param volume string|ctz.docker.volume  name or object
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such volume; the hint names the nearest
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.volumes.inspect, "data")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /volumes/{name}
function volumes.inspect(client, volume, opts)
  local op <const> = "docker.volumes.inspect"
  opts = check(op, opts, { timeout = "seconds" })
  local id, target = object.subject(op, "volume", volume)
  return (call(client, "GET", "/volumes/" .. id, { op = op, target = target, timeout = opts.timeout }))
end

-- --- changing ----------------------------------------------------------------------------------

--- ctz.docker.volumes.create(name?, opts?) -> ctz.docker.volume
--- Makes a volume. One that is there already, with the same driver, is the result as it is. In a dry run
--- the object has planned=true.
--- @async
--- @param name? string  without one the engine chooses 64 hex digits
--- @param opts.driver? string  default "local"
--- @param opts.options? table  {name = value} of the driver: {type="tmpfs", device="tmpfs", o="size=10m"}
--- @param opts.labels? table  {name = value} or {"name=value"}
--- @param opts.timeout? ctz.seconds
--- @error conflict there is one of that name with another driver
--- @error not_found there is no such driver
--- @example local _, err = ctz.try(ctz.docker.volumes.create, "../x")
--- @example assert(err.kind == "usage" and err.message:find "is no name")
--- Api: Docker Engine v1.41, POST /volumes/create
function volumes.create(client, name, opts)
  local op <const> = "docker.volumes.create"
  if name ~= nil then
    object.check_name(op, "name", name)
  end
  opts = check(op, opts, { driver = "string", options = "table", labels = "table", timeout = "seconds" })
  if client:plans("create volume %s", name or "without a name") then
    name = name or "planned"
    return make(client, {
      id = name,
      name = name,
      driver = opts.driver or "local",
      labels = object.map_of(opts.labels) or {},
      planned = true,
    })
  end
  local body = {
    Name = name or "",
    Driver = opts.driver,
    DriverOpts = object.map_of(opts.options),
    Labels = merge_labels("volume", object.map_of(opts.labels)),
  }
  -- The caller gets it also when it is cancelled meanwhile.
  return sheltered(function()
    return volume_of(client, (client:call("POST", "/volumes/create", {
      op = op,
      target = name and "volume " .. name,
      timeout = opts.timeout,
      json = body,
    })))
  end)
end

--- ctz.docker.volumes.remove(volume, opts?) -> true
--- Removes a volume and all that is in it.
--- @async
--- @param volume string|ctz.docker.volume  name or object
--- @param opts.force? boolean  also when there is none, or its driver is gone
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such volume; the hint names the nearest
--- @error conflict a container uses it
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.volumes.remove, "data")
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, DELETE /volumes/{name}
function volumes.remove(client, volume, opts)
  local op <const> = "docker.volumes.remove"
  local id, target = object.subject(op, "volume", volume)
  opts = check(op, opts, { force = "boolean", timeout = "seconds" })
  if not client:plans("remove %s", target) then
    call(client, "DELETE", "/volumes/" .. id, {
      op = op,
      target = target,
      timeout = opts.timeout,
      query = { force = opts.force },
    })
  end
  return true
end

-- --- prune -------------------------------------------------------------------------------------

-- The sizes of volumes by name, as far as the engine tells.
local function sizes_of(client, op)
  local sizes = {}
  for _, raw in ipairs(table_of(client:call("GET", "/system/df", { op = op }).Volumes)) do
    sizes[raw.Name] = counted(raw, "Size")
  end
  return sizes
end

-- Does a volume carry one of these labels ("name" or "name=value")?
local function has_label(raw, labels)
  local own = table_of(raw.Labels)
  for _, label in ipairs(labels or {}) do
    local name, value = label:match "^([^=]*)=?(.*)$"
    if own[name] and (own[name] == value or not label:find("=", 1, true)) then
      return true
    end
  end
  return false
end

-- Before API 1.42 the engine prunes named volumes too, and no label tells which have no name of theirs:
-- then we remove those with 64 hex digits one by one.
local function prune_nameless(client, op, opts, filters)
  local sizes, removed, bytes = sizes_of(client, op), {}, 0
  local raw = client:call("GET", "/volumes", {
    op = op,
    timeout = opts.timeout,
    query = { filters = { dangling = { "true" }, label = filters.label } },
  })
  for _, volume in ipairs(table_of(raw.Volumes)) do
    local name = volume.Name
    if #name == 64 and not name:find "[^0-9a-f]" and not has_label(volume, filters["label!"]) then
      local _, status = client:call("DELETE", "/volumes/" .. name, {
        op = op,
        ok = { [404] = true, [409] = true }, -- somebody removed or took it meanwhile
      })
      if status < 300 then
        removed[#removed + 1], bytes = name, bytes + (sizes[name] or 0)
      end
    end
  end
  return { removed = removed, bytes_freed = bytes }
end

--- ctz.docker.volumes.prune(opts?) -> table
--- Removes the volumes that no container uses: those without a name of theirs, with all=true all. Returns
--- {removed = {names}, bytes_freed=}, in a dry run with an empty list.
--- @async
--- @param opts.all? boolean  also those with a name
--- @param opts.filters? table  {name = value or list}: label, label!
--- @param opts.timeout? ctz.seconds
--- @return {removed: string[], bytes_freed: ctz.bytes}
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.volumes.prune)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, POST /volumes/prune (the filter all is of v1.42)
function volumes.prune(client, opts)
  local op <const> = "docker.volumes.prune"
  opts = check(op, opts, { all = "boolean", filters = "table", timeout = "seconds" })
  local filters = object.filters(op, opts.filters, "label label!")
  if client:plans("remove all volumes that no container uses%s", opts.all and "" or " and that have no name") then
    return { removed = {}, bytes_freed = 0 }
  end
  local knows_all = client:at_least("1.42", op)
  if not knows_all and not opts.all then
    return prune_nameless(client, op, opts, filters or {})
  elseif knows_all and opts.all then
    filters = filters or {}
    filters.all = { "true" }
  end
  local raw = client:call("POST", "/volumes/prune", { op = op, timeout = opts.timeout, query = { filters = filters } })
  return { removed = table_of(raw.VolumesDeleted), bytes_freed = raw.SpaceReclaimed }
end

return volumes
