-- docker/simulate/system.lua: the simulated engine itself: version, info, disk usage, events.
-- SPDX-License-Identifier: MIT
local engines = require "ctz.docker.simulate.engine"
local images = require "ctz.docker.simulate.images"
local json = require "ctz.json"
local view = require "ctz.docker.simulate.view"
local volumes = require "ctz.docker.simulate.volumes"

local ipairs, pairs, tonumber, type = ipairs, pairs, tonumber, type

local null <const> = json.null
local VERSION <const> = "0.0.0-simulated"
local NANO <const> = 1000000000

local system = {}

function system.ping(engine)
  return 200, nil, {
    headers = { ["api-version"] = engine.api, ["ostype"] = "linux", ["docker-experimental"] = "false" },
    text = "OK",
  }
end

function system.version(engine)
  return 200, {
    Platform = { Name = "simulated" },
    Components = json.array {},
    Version = VERSION,
    ApiVersion = engine.api,
    MinAPIVersion = "1.12",
    GitCommit = "",
    GoVersion = "",
    Os = "linux",
    Arch = "amd64",
    KernelVersion = "",
    BuildTime = "",
  }
end

local function count(engine)
  local counts = { all = 0, running = 0, paused = 0 }
  for _, container in pairs(engine.containers) do
    counts.all = counts.all + 1
    if container.state.paused then
      counts.paused = counts.paused + 1
    elseif container.state.running then
      counts.running = counts.running + 1
    end
  end
  return counts
end

local function size_of(map)
  local size = 0
  for _ in pairs(map) do
    size = size + 1
  end
  return size
end

function system.info(engine)
  local counts = count(engine)
  return 200, {
    ID = engine.id,
    Containers = counts.all,
    ContainersRunning = counts.running,
    ContainersPaused = counts.paused,
    ContainersStopped = counts.all - counts.running - counts.paused,
    Images = size_of(engine.images),
    Driver = "overlay2",
    DriverStatus = json.array {},
    Plugins = { Volume = { "local" }, Network = { "bridge", "host", "null" }, Authorization = null,
      Log = { "json-file" } },
    SystemTime = engines.stamp(engine.kernel.clock),
    LoggingDriver = "json-file",
    CgroupDriver = "cgroupfs",
    CgroupVersion = "2",
    KernelVersion = "",
    OperatingSystem = "simulated",
    OSType = "linux",
    Architecture = "x86_64",
    IndexServerAddress = "https://index.docker.io/v1/",
    NCPU = 2,
    MemTotal = 4 << 30,
    DockerRootDir = "/var/lib/docker",
    Name = "simulated",
    Labels = json.array {},
    ServerVersion = VERSION,
    Runtimes = { runc = { path = "runc" } },
    DefaultRuntime = "runc",
    Swarm = { NodeID = "", NodeAddr = "", LocalNodeState = "inactive", ControlAvailable = false, Error = "" },
    SecurityOptions = json.array {},
    Warnings = null,
  }
end

function system.df(engine)
  local list, bytes, containers = {}, 0, {}
  for _, image in pairs(engine.images) do
    local users = 0
    for _, container in ipairs(engine.order) do
      users = users + (container.image == image and 1 or 0)
    end
    local body = images.summary(engine, image, users)
    body.SharedSize = 0
    list[#list + 1], bytes = body, bytes + image.size
  end
  for i, container in ipairs(engine.order) do
    containers[i] = view.summary(container, true)
  end
  return 200, {
    LayersSize = bytes,
    Images = json.array(list),
    Containers = json.array(containers),
    Volumes = json.array(volumes.usage(engine)),
    BuildCache = null,
    BuilderSize = 0,
  }
end

-- --- events ------------------------------------------------------------------------------------

local KNOWN <const> = " config container daemon event image label network node plugin scope secret service type volume "

local function label_fits(event, value)
  return engines.has_labels(event.Actor.Attributes, { value })
end

-- A container by id or name, an image or volume or network by what it is called.
local function is_about(event, kind, value)
  local actor = event.Actor
  local image = kind == "image" and (actor.Attributes.image or actor.Attributes.name) or nil
  if image and (image == value or image:gsub(":[^:/]*$", "") == value) then
    return true
  end
  return event.Type == kind
    and (actor.ID == value or actor.Attributes.name == value or actor.ID:sub(1, #value) == value)
end

local function is_wanted(event, filters)
  for name, values in pairs(filters) do
    if not engines.any(values, function(value)
      if name == "type" then
        return event.Type == value
      elseif name == "event" then
        return event.Action == value or event.Action:match "^[^:]*" == value
      elseif name == "label" then
        return label_fits(event, value)
      elseif name == "scope" then
        return value == "local"
      end
      return is_about(event, name, value)
    end) then
      return false
    end
  end
  return true
end

-- Of since= and until= with nine digits, without what a float loses.
local function nano_of(engine, text)
  local whole, fraction = (text or ""):match "^(%d+)%.?(%d*)$"
  if whole then
    return tonumber(whole) * NANO + tonumber((fraction .. "000000000"):sub(1, 9))
  end
  local seconds = engines.time_of(engine, text)
  return seconds and seconds * NANO // 1 | 0
end

function system.events(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters), KNOWN)
  local since, till = nano_of(engine, query.since), nano_of(engine, query["until"])
  local kernel, at = engine.kernel, #engine.events + engine.events_dropped
  if since then
    at = engine.events_dropped
  end
  if till then
    kernel:at(till / NANO, function() end)
  end
  local function next_event()
    while engine.events[at + 1 - engine.events_dropped] do
      at = at + 1
      local event = engine.events[at - engine.events_dropped]
      local in_time = (not since or event.timeNano >= since) and (not till or event.timeNano <= till)
      if in_time and is_wanted(event, filters) then
        return event
      end
    end
    return nil
  end
  return 200, nil, {
    stream = {
      next = function()
        local event
        kernel:wait(function()
          at = at < engine.events_dropped and engine.events_dropped or at
          event = next_event()
          return event or till and kernel.clock >= till / NANO
        end)
        return event and json.encode(event) .. "\n" or nil
      end,
    },
  }
end

-- Is a port of a container answered? By HTTP: with which status? nil: it is not.
function system.answers(engine, id, port, path)
  local container = engine:container(id)
  local listener = container.state.running and not container.state.paused and container.listening[port]
  if not listener or not path then
    return listener and true or nil
  elseif type(listener) ~= "function" then
    engines.unsupported(("what the program on port %d answers by HTTP"):format(port))
  end
  return listener(path)
end

return system
