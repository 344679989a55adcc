-- docker/simulate/view.lua: what a simulated engine tells of its containers.
-- SPDX-License-Identifier: MIT
local create = require "ctz.docker.simulate.create"
local engines = require "ctz.docker.simulate.engine"
local health = require "ctz.docker.simulate.health"
local images = require "ctz.docker.simulate.images"
local json = require "ctz.json"
local networks = require "ctz.docker.simulate.networks"
local time = require "ctz.time"

local error, ipairs, next, pairs, tonumber, type = error, ipairs, next, pairs, tonumber, type
local concat, sort = table.concat, table.sort

local refuse, stamp = engines.refuse, engines.stamp
local null <const> = json.null

local view = {}

-- --- words -------------------------------------------------------------------------------------

-- "About a minute", as the engine says how long something is.
-- Source: github.com/docker/go-units, duration.go, HumanDuration.
local function human(seconds)
  local minutes, hours = seconds // 60, (seconds / 3600 + 0.5) // 1
  if seconds < 1 then
    return "Less than a second"
  elseif seconds < 2 then
    return "1 second"
  elseif seconds < 60 then
    return ("%d seconds"):format(seconds // 1)
  elseif minutes < 2 then
    return "About a minute"
  elseif minutes < 60 then
    return ("%d minutes"):format(minutes)
  elseif hours < 2 then
    return "About an hour"
  elseif hours < 48 then
    return ("%d hours"):format(hours)
  elseif hours < 24 * 7 * 2 then
    return ("%d days"):format(hours // 24)
  end
  return ("%d weeks"):format(hours // 24 // 7)
end

local function status_text(container)
  local state, now = container.state, container.engine.kernel.clock
  if state.restarting then
    return ("Restarting (%d) %s ago"):format(state.code, human(now - state.finished))
  elseif state.running then
    local checked = state.health
    local suffix = state.paused and " (Paused)"
      or checked and (" (%s)"):format(checked.status == "starting" and "health: starting" or checked.status)
      or ""
    return ("Up %s%s"):format(human(now - state.started), suffix)
  elseif state.status == "created" then
    return "Created"
  end
  return ("Exited (%d) %s ago"):format(state.code, human(now - state.finished))
end

-- --- inspect -----------------------------------------------------------------------------------

local function networks_of(container)
  local map = {}
  for name in pairs(container.endpoints) do
    map[name] = networks.endpoint_body(container, name)
  end
  return json.object(map)
end

local function mounts_of(container)
  local list = {}
  for i, mount in ipairs(container.mounts) do
    list[i] = {}
    for name, value in pairs(mount) do
      list[i][name] = name ~= "nameless" and value or nil
    end
  end
  return json.array(list)
end

local function state_body(container)
  local state = container.state
  return {
    Status = state.status,
    Running = state.running or false,
    Paused = state.paused or false,
    Restarting = state.restarting or false,
    OOMKilled = false,
    Dead = false,
    Pid = state.restarting and 0 or state.pid,
    ExitCode = state.code,
    Error = state.error,
    StartedAt = stamp(state.started),
    FinishedAt = stamp(state.finished),
    Health = health.body(container),
  }
end

local function network_settings(container)
  local bridge = container.endpoints.bridge
  local body = bridge and networks.endpoint_body(container, "bridge") or {}
  return {
    Bridge = "",
    SandboxID = container.state.started and container.id:reverse() or "",
    HairpinMode = false,
    LinkLocalIPv6Address = "",
    LinkLocalIPv6PrefixLen = 0,
    Ports = json.object(container.ports),
    SandboxKey = "",
    SecondaryIPAddresses = null,
    SecondaryIPv6Addresses = null,
    EndpointID = body.EndpointID or "",
    Gateway = body.Gateway or "",
    GlobalIPv6Address = "",
    GlobalIPv6PrefixLen = 0,
    IPAddress = body.IPAddress or "",
    IPPrefixLen = body.IPPrefixLen or 0,
    IPv6Gateway = "",
    MacAddress = body.MacAddress or "",
    Networks = networks_of(container),
  }
end

local function sizes_of(container)
  local changed = 0
  for _, content in pairs(container.files.changes) do
    changed = changed + (type(content) == "string" and #content or 0)
  end
  return changed, container.image.size + changed
end

-- A program that needed something that is not modelled did not do what it should: that is told to who asks.
local function check_modelled(container)
  if container.failure then
    error(container.failure, 0)
  end
end

function view.inspect(engine, query, id)
  local container = engine:container(id)
  check_modelled(container)
  local body = {
    Id = container.id,
    Created = stamp(container.created),
    Path = container.path,
    Args = json.array(container.args),
    State = state_body(container),
    Image = container.image.id,
    ResolvConfPath = "",
    HostnamePath = "",
    HostsPath = "",
    LogPath = "",
    Name = "/" .. container.name,
    RestartCount = container.restart_count,
    Driver = "overlay2",
    Platform = "linux",
    MountLabel = "",
    ProcessLabel = "",
    AppArmorProfile = "",
    ExecIDs = next(container.execs_running or {}) and container.execs or null,
    HostConfig = container.host,
    GraphDriver = { Data = json.object {}, Name = "overlay2" },
    Mounts = mounts_of(container),
    Config = container.config,
    NetworkSettings = network_settings(container),
  }
  if query.size == "1" then
    body.SizeRw, body.SizeRootFs = sizes_of(container)
  end
  return 200, body
end

-- --- list --------------------------------------------------------------------------------------

local function ports_of(container)
  local list = {}
  for name, bindings in pairs(container.ports) do
    local port, protocol = name:match "^(%d+)/(%a+)$"
    if type(bindings) ~= "table" or #bindings == 0 then
      list[#list + 1] = { PrivatePort = tonumber(port), Type = protocol }
    end
    for _, binding in ipairs(type(bindings) == "table" and bindings or {}) do
      list[#list + 1] = {
        IP = binding.HostIp,
        PrivatePort = tonumber(port),
        PublicPort = tonumber(binding.HostPort),
        Type = protocol,
      }
    end
  end
  sort(list, function(left, right)
    return left.PrivatePort < right.PrivatePort
      or left.PrivatePort == right.PrivatePort and (left.IP or "") < (right.IP or "")
  end)
  return json.array(list)
end

local function summary(container, with_sizes)
  local body = {
    Id = container.id,
    Names = { "/" .. container.name },
    Image = container.config.Image,
    ImageID = container.image.id,
    Command = create.command_text(container),
    Created = container.created // 1 | 0,
    Ports = ports_of(container),
    Labels = container.config.Labels,
    State = container.state.status,
    Status = status_text(container),
    HostConfig = { NetworkMode = container.host.NetworkMode },
    NetworkSettings = { Networks = networks_of(container) },
    Mounts = mounts_of(container),
  }
  if with_sizes then
    body.SizeRw, body.SizeRootFs = sizes_of(container)
  end
  return body
end

local STATUSES <const> = " created restarting running removing paused exited dead "
local KNOWN <const> = " ancestor before exited health id is-task isolation label name network since status volume "
  .. "expose publish "

local tests = {}

function tests.status(_, container, value)
  if not STATUSES:find(" " .. value .. " ", 1, true) then
    refuse(400, "Invalid filter 'status=%s'", value)
  end
  return container.state.status == value
end

function tests.name(_, container, value)
  local pattern = value:gsub("^/", "")
  local anchored, closed = pattern:find "^%^" ~= nil, pattern:find "%$$" ~= nil
  pattern = pattern:gsub("^%^/?", ""):gsub("%$$", "")
  if pattern:find "[%[%]()|*+?\\^$]" then
    engines.unsupported(("patterns in the filter name=%s"):format(value))
  end
  local first, last = container.name:find(pattern, 1, true)
  return first and (not anchored or first == 1) and (not closed or last == #container.name)
end

function tests.id(_, container, value)
  return container.id:sub(1, #value) == value
end

function tests.exited(_, container, value)
  return container.state.status == "exited" and container.state.code == tonumber(value)
end

function tests.health(_, container, value)
  local checked = container.state.health
  return (checked and checked.status or "none") == value
end

function tests.network(engine, container, value)
  local network = networks.find(engine, value)
  return network ~= nil and container.endpoints[network.name] ~= nil
end

function tests.volume(_, container, value)
  for _, mount in ipairs(container.mounts) do
    if mount.Name == value or mount.Destination == value then
      return true
    end
  end
  return false
end

function tests.ancestor(engine, container, value)
  return container.image == images.find(engine, value) or container.config.Image == value
end

function tests.before(engine, container, value)
  return container.created < engine:container(value).created
end

function tests.since(engine, container, value)
  return container.created > engine:container(value).created
end

local function is_wanted(engine, container, filters)
  for name, values in pairs(filters) do
    local test = tests[name]
    if name == "label" then
      if not engines.has_labels(container.config.Labels, values) then
        return false
      end
    elseif not test then
      engines.unsupported(("the filter %s of the list of containers"):format(name))
    elseif not engines.any(values, function(value)
      return test(engine, container, value)
    end) then
      return false
    end
  end
  return true
end

function view.list(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters), KNOWN)
  local limit = tonumber(query.limit or 0)
  local all = query.all == "1" or query.all == "true" or limit > 0 or filters.status or filters.exited
  local list = {}
  for i = #engine.order, 1, -1 do
    local container = engine.order[i]
    if (all or container.state.running) and is_wanted(engine, container, filters)
      and (limit == 0 or #list < limit) then
      list[#list + 1] = summary(container, query.size == "1")
    end
  end
  return 200, json.array(list)
end

view.summary = summary

-- --- processes and files -------------------------------------------------------------------------

local function words_of(argv)
  return argv[0] .. (#argv > 0 and " " .. concat(argv, " ") or "")
end

local function add_process(rows, process, pid, clock)
  local function add(argv)
    rows[#rows + 1] = {
      process.io.user ~= "" and process.io.user or "root", ("%d"):format(pid + #rows), ("%d"):format(pid - 1), "0",
      time.format(clock):match "T(%d+:%d+)", "?", "00:00:00", words_of(argv),
    }
  end
  add(process.argv)
  if process.doing and process.doing ~= process.argv then
    add(process.doing)
  end
  for _, child in ipairs(process.children) do
    add_process(rows, child, pid, clock)
  end
end

function view.top(engine, _, id)
  local container = engine:container(id)
  if not container.state.running then
    refuse(409, "Container %s is not running", container.id)
  end
  local rows = {}
  for _, process in ipairs { container.process, table.unpack(container.execs_running) } do
    add_process(rows, process, container.state.pid, engine.kernel.clock)
  end
  create.tell(container, "top")
  return 200, { Processes = rows, Titles = { "UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD" } }
end

function view.changes(engine, _, id)
  local list = engine:container(id).files:diff()
  return 200, #list > 0 and list or null
end

function view.resize(engine, query, id)
  local container = engine:container(id)
  if not container.state.running then
    refuse(409, "Container %s is not running", container.id)
  end
  container.size.rows, container.size.columns = tonumber(query.h), tonumber(query.w)
  create.tell(container, "resize", { height = query.h, width = query.w })
  return 200
end

-- --- commit ------------------------------------------------------------------------------------

local function apply_change(config, change)
  local word, rest = change:match "^%s*(%a+)%s+(.*)$"
  word = (word or ""):upper()
  if word == "CMD" or word == "ENTRYPOINT" then
    local list = rest:find "^%[" and json.decode(rest) or { "/bin/sh", "-c", rest }
    config[word == "CMD" and "Cmd" or "Entrypoint"] = json.array(list)
  elseif word == "ENV" then
    local name, value = rest:match "^([%w_]+)[= ](.*)$"
    config.Env[#config.Env + 1] = name .. "=" .. value
  elseif word == "LABEL" then
    local name, value = rest:match "^([^=]+)=\"?(.-)\"?$"
    config.Labels = type(config.Labels) == "table" and config.Labels or json.object {}
    config.Labels[name] = value
  elseif word == "WORKDIR" or word == "USER" then
    config[word == "USER" and "User" or "WorkingDir"] = rest
  elseif word == "EXPOSE" then
    config.ExposedPorts = config.ExposedPorts or {}
    config.ExposedPorts[rest:find "/" and rest or rest .. "/tcp"] = json.object {}
  elseif (" ONBUILD STOPSIGNAL VOLUME HEALTHCHECK "):find(" " .. word .. " ", 1, true) then
    engines.unsupported(("the change %q"):format(change))
  else
    refuse(400, "%s is not a valid change command", word)
  end
end

view.apply_change = apply_change

function view.commit(engine, query)
  local container = engine:container(query.container)
  local name = query.repo and query.repo ~= "" and query.repo .. (query.tag and ":" .. query.tag or "") or nil
  local image = images.add(engine, name, {
    files = container.files:flatten(),
    programs = container.image.programs,
    is_known = container.image.is_known,
    parent = container.image.id,
    comment = query.comment,
  })
  image.config = json.decode(json.encode(container.config))
  image.config.Hostname = ""
  image.is_known = container.image.is_known
  for _, change in ipairs(query.changes or {}) do
    apply_change(image.config, change)
  end
  create.tell(container, "commit", { comment = query.comment or "", imageID = image.id, imageRef = name or "" })
  return 201, { Id = image.id }
end

return view
