-- docker/simulate/create.lua: a container from the body of POST /containers/create.
-- SPDX-License-Identifier: MIT
local engines = require "ctz.docker.simulate.engine"
local files_of = require "ctz.docker.simulate.files"
local host_config = require "ctz.docker.simulate.host_config"
local images = require "ctz.docker.simulate.images"
local json = require "ctz.json"
local networks = require "ctz.docker.simulate.networks"
local streams = require "ctz.docker.simulate.streams"
local volumes = require "ctz.docker.simulate.volumes"

local ipairs, next, pairs, type = ipairs, next, pairs, type
local concat, sort = table.concat, table.sort

local refuse = engines.refuse
local null <const> = json.null

local LEAST_MEMORY <const> = 6 << 20
local POLICIES <const> = { [""] = true, no = true, always = true, ["on-failure"] = true, ["unless-stopped"] = true }
local ADJECTIVES <const> = { "calm", "bold", "keen", "wise", "kind", "warm", "clear", "brave" }
local NOUNS <const> = { "hopper", "turing", "lovelace", "noether", "curie", "darwin", "kepler", "hamilton" }

local function list_of(value)
  return type(value) == "table" and value or {}
end

local function present(value, default)
  if value == nil or value == null then
    return default
  end
  return value
end

-- --- names -------------------------------------------------------------------------------------

local function free_name(engine)
  local count = #engine.order
  for number = 0, 1000000 do
    local at = count + number
    local name = ("%s_%s"):format(ADJECTIVES[at % 8 + 1], NOUNS[at // 8 % 8 + 1]) .. (number < 64 and "" or number)
    if not engine.names[name] then
      return name
    end
  end
end

-- Refuses a name that is none, or taken.
local function check_name(engine, name)
  local plain = name:gsub("^/", "")
  if not plain:find "^[%w][%w_.%-]+$" then
    refuse(400, "Invalid container name (%s), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name)
  elseif engine.names[plain] then
    refuse(409, 'Conflict. The container name "/%s" is already in use by container "%s". You have to remove (or ' ..
      "rename) that container to be able to reuse that name.", plain, engine.names[plain])
  end
  return plain
end

-- --- Config ------------------------------------------------------------------------------------

-- The container's environment, then what the image has beside it.
local function merge_env(own, of_image)
  local merged, seen = {}, {}
  for _, list in ipairs { list_of(own), list_of(of_image) } do
    for _, entry in ipairs(list) do
      local name = entry:match "^[^=]*"
      if list == own or not seen[name] then
        merged[#merged + 1] = entry
      end
      seen[name] = true
    end
  end
  return json.array(merged)
end

local function merge_maps(own, of_image)
  local merged = {}
  for _, map in ipairs { list_of(of_image), list_of(own) } do
    for name, value in pairs(map) do
      merged[name] = value
    end
  end
  return json.object(merged)
end

-- Times that the container does not set are those of the image.
local function merge_health(own, of_image)
  if type(own) ~= "table" then
    return of_image
  end
  local merged = {}
  for name, value in pairs(of_image or {}) do
    merged[name] = value
  end
  for name, value in pairs(own) do
    if name == "Test" and #value > 0 or name ~= "Test" and value ~= 0 and value ~= null then
      merged[name] = value
    end
  end
  return merged
end

local function command_of(body, image)
  local entrypoint, command = present(body.Entrypoint), present(body.Cmd)
  if type(entrypoint) == "string" then
    entrypoint = { entrypoint }
  end
  if not entrypoint or #entrypoint == 0 then
    if (not command or #command == 0) and not entrypoint then
      command = present(image.Cmd)
    end
    entrypoint = not entrypoint and present(image.Entrypoint) or nil
  elseif entrypoint[1] == "" then
    entrypoint = nil
  end
  if not (entrypoint and #entrypoint > 0) and not (command and #command > 0) then
    refuse(400, "No command specified")
  end
  return entrypoint and json.array(entrypoint) or null, command and json.array(command) or null
end

local function or_null(map)
  return next(map) and map or nil
end

local function config_of(body, image, id)
  local entrypoint, command = command_of(body, image)
  local user, workdir = present(body.User, ""), present(body.WorkingDir, "")
  return {
    Hostname = present(body.Hostname, "") ~= "" and body.Hostname or id:sub(1, 12),
    Domainname = present(body.Domainname, ""),
    User = user ~= "" and user or image.User,
    AttachStdin = present(body.AttachStdin, false),
    AttachStdout = present(body.AttachStdout, false),
    AttachStderr = present(body.AttachStderr, false),
    ExposedPorts = or_null(merge_maps(body.ExposedPorts, image.ExposedPorts)),
    Tty = present(body.Tty, false),
    OpenStdin = present(body.OpenStdin, false),
    StdinOnce = present(body.StdinOnce, false),
    Env = merge_env(body.Env, image.Env),
    Cmd = command,
    Healthcheck = merge_health(body.Healthcheck, image.Healthcheck),
    Image = body.Image,
    Volumes = or_null(merge_maps(body.Volumes, image.Volumes)) or null,
    WorkingDir = workdir ~= "" and workdir or image.WorkingDir,
    Entrypoint = entrypoint,
    OnBuild = null,
    Labels = merge_maps(body.Labels, image.Labels),
    StopSignal = present(body.StopSignal),
    StopTimeout = present(body.StopTimeout),
  }
end

-- --- HostConfig --------------------------------------------------------------------------------

local function check_policy(policy)
  if not POLICIES[policy.Name or ""] then
    refuse(400, "invalid restart policy '%s'", policy.Name)
  end
end

local function host_of(body)
  local host, given = json.decode(host_config), list_of(body.HostConfig)
  for name, value in pairs(given) do
    if value ~= null then
      host[name] = value
    end
  end
  local policy = host.RestartPolicy
  policy.Name, policy.MaximumRetryCount = policy.Name or "", policy.MaximumRetryCount or 0
  check_policy(policy)
  if host.AutoRemove and policy.Name ~= "" and policy.Name ~= "no" then
    refuse(400, "can't create 'AutoRemove' container with restart policy")
  elseif host.Memory > 0 and host.Memory < LEAST_MEMORY then
    refuse(400, "Minimum memory limit allowed is 6MB")
  elseif host.Memory > 0 and host.MemorySwap == 0 then
    host.MemorySwap = host.Memory * 2
  end
  host.NetworkMode = host.NetworkMode ~= "" and host.NetworkMode or "default"
  host.ShmSize = host.ShmSize > 0 and host.ShmSize or 67108864
  return host
end

-- --- mounts ------------------------------------------------------------------------------------

local function volume_mount(engine, name, target, mode, writable)
  volumes.ensure(engine, name)
  return {
    Type = "volume",
    Name = name,
    Source = volumes.source(name),
    Destination = target,
    Driver = "local",
    Mode = mode,
    RW = writable,
    Propagation = "",
  }
end

local function bind_mount(source, target, mode, writable)
  return {
    Type = "bind",
    Source = source,
    Destination = target,
    Mode = mode,
    RW = writable,
    Propagation = "rprivate",
  }
end

local function of_binds(engine, host, mounts)
  for _, bind in ipairs(list_of(host.Binds)) do
    local source, target, mode = bind:match "^([^:]+):([^:]+):?(.*)$"
    local writable = not ("," .. mode .. ","):find(",ro,", 1, true)
    local mount = source:find "^/" and bind_mount(source, target, mode, writable)
      or volume_mount(engine, source, target, mode == "" and "z" or mode, writable)
    mounts[#mounts + 1] = mount
  end
end

local function of_mounts(engine, host, mounts)
  for _, one in ipairs(list_of(host.Mounts)) do
    local writable = not one.ReadOnly
    if one.Type == "volume" then
      local name = present(one.Source, "") ~= "" and one.Source or engines.new_id()
      local mount = volume_mount(engine, name, one.Target, "z", writable)
      mount.nameless = name ~= one.Source or nil
      mounts[#mounts + 1] = mount
    elseif one.Type == "bind" then
      mounts[#mounts + 1] = bind_mount(one.Source, one.Target, "", writable)
    else
      mounts[#mounts + 1] = {
        Type = one.Type, Source = "", Destination = one.Target, Mode = "", RW = writable, Propagation = "",
      }
    end
  end
end

local function mounts_of(engine, config, host)
  local mounts, taken = {}, {}
  of_binds(engine, host, mounts)
  of_mounts(engine, host, mounts)
  for _, mount in ipairs(mounts) do
    taken[mount.Destination] = true
  end
  local paths = {}
  for path in pairs(list_of(config.Volumes)) do
    paths[#paths + 1] = path
  end
  sort(paths)
  for _, path in ipairs(paths) do
    if not taken[path] then
      local mount = volume_mount(engine, engines.new_id(), path, "", true)
      mount.nameless = true
      mounts[#mounts + 1] = mount
    end
  end
  return mounts
end

-- --- networks ----------------------------------------------------------------------------------

local function endpoints_of(body, host)
  local mode, endpoints = host.NetworkMode, {}
  if mode:find "^container:" then
    return endpoints
  end
  for name, settings in pairs(list_of(list_of(body.NetworkingConfig).EndpointsConfig)) do
    endpoints[name] = networks.endpoint(settings)
  end
  local name = mode == "default" and "bridge" or mode
  endpoints[name] = endpoints[name] or networks.endpoint()
  return endpoints
end

-- --- a container -------------------------------------------------------------------------------

local function path_of(config)
  local words = {}
  for _, list in ipairs { list_of(config.Entrypoint), list_of(config.Cmd) } do
    for _, word in ipairs(list) do
      words[#words + 1] = word
    end
  end
  return words[1], { table.unpack(words, 2) }
end

-- Volumes are shared; a folder of the machine is not looked into.
local function with_volumes(engine, files, mounts)
  for _, mount in ipairs(mounts) do
    local volume = mount.Type == "volume" and engine.volumes[mount.Name]
    files:mount(mount.Destination, volume and volume.files or files_of.new_volume())
  end
  return files
end

local function new_container(engine, name, body, image)
  local id = engines.new_id()
  local config = config_of(body, image.config, id)
  local host = host_of(body)
  local path, args = path_of(config)
  local mounts = mounts_of(engine, config, host)
  return {
    engine = engine,
    id = id,
    name = name,
    image = image,
    config = config,
    host = host,
    path = path,
    args = args,
    created = engine.kernel.clock,
    endpoints = endpoints_of(body, host),
    mounts = mounts,
    files = with_volumes(engine, files_of.new(image.files), mounts),
    state = { status = "created", code = 0, error = "", pid = 0 },
    restart_count = 0,
    exits = 0, -- how often its first process ended: what waiting looks at
    ports = {}, -- "80/tcp" -> {{HostIp=, HostPort=}} while it runs
    log = {},
    unfinished = { stdout = "", stderr = "" },
    attached = {},
    stdin = streams.pipe(),
    execs = {},
    listening = {},
  }
end

local create = {}

-- What every event of a container has; extra: {name = text}.
function create.tell(container, action, extra)
  local attributes = { image = container.config.Image, name = container.name }
  for label, value in pairs(container.config.Labels) do
    attributes[label] = value
  end
  for name, value in pairs(extra or {}) do
    attributes[name] = value
  end
  container.engine:tell("container", action, container.id, attributes, {
    status = action,
    id = container.id,
    from = container.config.Image,
  })
end

function create.create(engine, query, body)
  local name = query.name and check_name(engine, query.name) or free_name(engine)
  local image = images.find(engine, body.Image or "") or refuse(404, "No such image: %s",
    (body.Image or ""):find "[:@][^/]*$" and body.Image or (body.Image or "") .. ":latest")
  local container = new_container(engine, name, body, image)
  engine.containers[container.id] = container
  engine.names[name] = container.id
  engine.order[#engine.order + 1] = container
  create.tell(container, "create")
  return 201, { Id = container.id, Warnings = json.array {} }
end

function create.rename(engine, query, id)
  local container = engine:container(id)
  local name = query.name or ""
  if name == "" then
    refuse(400, "Neither old nor new names may be empty")
  elseif name:gsub("^/", "") == container.name then
    refuse(400, "Renaming a container with the same name as its current name")
  end
  local taken = engine.names[name:gsub("^/", "")]
  if taken then
    refuse(409, 'Error when allocating new name: Conflict. The container name "/%s" is already in use by container ' ..
      '"%s". You have to remove (or rename) that container to be able to reuse that name.', name, taken)
  end
  local plain = check_name(engine, name)
  engine.names[container.name], engine.names[plain] = nil, container.id
  local old = container.name
  container.name = plain
  create.tell(container, "rename", { oldName = "/" .. old })
  return 204
end

local UPDATED <const> = {
  "NanoCpus", "Memory", "MemoryReservation", "MemorySwap", "CpuShares", "CpuPeriod", "CpuQuota", "CpusetCpus",
  "CpusetMems", "PidsLimit", "BlkioWeight",
}

function create.update(engine, _, id, body)
  local container = engine:container(id)
  local host, policy = container.host, body.RestartPolicy
  if type(policy) == "table" and present(policy.Name, "") ~= "" then
    check_policy(policy)
    if host.AutoRemove and policy.Name ~= "no" then
      refuse(409, "Restart policy cannot be updated because AutoRemove is enabled for the container")
    end
    host.RestartPolicy = { Name = policy.Name, MaximumRetryCount = policy.MaximumRetryCount or 0 }
  end
  local memory, swap = present(body.Memory, 0), present(body.MemorySwap, 0)
  if memory > 0 and swap == 0 and host.MemorySwap ~= -1 and memory > host.MemorySwap then
    refuse(409, "Cannot update container %s: Memory limit should be smaller than already set memoryswap limit, " ..
      "update the memoryswap at the same time", container.id)
  end
  for _, name in ipairs(UPDATED) do
    local value = present(body[name])
    if value and value ~= 0 and value ~= "" then
      host[name] = value
    end
  end
  create.tell(container, "update")
  return 200, { Warnings = null }
end

-- "sh -c 'echo x'", as the list of containers shows it.
function create.command_text(container)
  local words = {}
  for i, word in ipairs { container.path, table.unpack(container.args) } do
    words[i] = word:find "[^%w_%-./:=,@%%+]" and "'" .. word:gsub("'", "'\\''") .. "'" or word
  end
  return concat(words, " ")
end

return create
