-- docker/simulate/life.lua: from the start of a container to its end, and again.
-- SPDX-License-Identifier: MIT
local create = require "ctz.docker.simulate.create"
local engines = require "ctz.docker.simulate.engine"
local health = require "ctz.docker.simulate.health"
local json = require "ctz.json"
local networks = require "ctz.docker.simulate.networks"
local output = require "ctz.docker.simulate.output"
local processes = require "ctz.docker.simulate.process"
local run = require "ctz.docker.simulate.run"
local streams = require "ctz.docker.simulate.streams"
local volumes = require "ctz.docker.simulate.volumes"

local error, ipairs, math, next, pairs, pcall = error, ipairs, math, next, pairs, pcall
local tonumber, type = tonumber, type
local min, remove = math.min, table.remove

local START_S <const> = 0.003 -- until the first process does something: an engine is not faster
local GRACE_S <const> = 10
local FIRST_BACKOFF_S <const>, LONGEST_BACKOFF_S <const> = 0.1, 60
local GOOD_RUN_S <const> = 10 -- after it the backoff begins anew
local KILL <const> = 9

local refuse, tell = engines.refuse, create.tell

local life = {}
local start_process

-- --- ports -------------------------------------------------------------------------------------

local function is_taken(engine, container, wanted)
  for _, other in pairs(engine.containers) do
    for _, bindings in pairs(other ~= container and other.ports or {}) do
      for _, binding in ipairs(type(bindings) == "table" and bindings or {}) do
        if binding.HostPort == wanted then
          return true
        end
      end
    end
  end
  return false
end

local function free_port(engine, container)
  repeat
    local port = ("%d"):format(engine.next_port)
    engine.next_port = engine.next_port + 1
    if not is_taken(engine, container, port) then
      return port
    end
  until false
end

local function bind(container, binding)
  local engine, ip, port = container.engine, binding.HostIp or "", binding.HostPort or ""
  if port == "" or port == "0" then
    port = free_port(engine, container)
  elseif is_taken(engine, container, port) then
    refuse(500, "driver failed programming external connectivity on endpoint %s (%s): Bind for %s:%s failed: port " ..
      "is already allocated", container.name, engines.new_id(), ip == "" and "0.0.0.0" or ip, port)
  end
  if ip ~= "" then
    return { { HostIp = ip, HostPort = port } }
  end
  return { { HostIp = "0.0.0.0", HostPort = port }, { HostIp = "::", HostPort = port } }
end

local function open_ports(container)
  local host = container.host
  local asked = type(host.PortBindings) == "table" and host.PortBindings or {}
  for name in pairs(container.config.ExposedPorts or {}) do
    local bindings = {}
    for _, binding in ipairs(type(asked[name]) == "table" and asked[name] or {}) do
      for _, one in ipairs(bind(container, binding)) do
        bindings[#bindings + 1] = one
      end
    end
    if #bindings == 0 and host.PublishAllPorts then
      bindings = bind(container, {})
    end
    container.ports[name] = #bindings > 0 and bindings or json.null
  end
end

-- --- the end -----------------------------------------------------------------------------------

-- Takes networks, ports and volumes from it.
local function release(container)
  for name in pairs(container.endpoints) do
    networks.detach(container.engine, container, name)
  end
  container.ports = {}
  for _, mount in ipairs(container.state.started and container.mounts or {}) do
    if mount.Type == "volume" then
      volumes.tell_unmount(container, mount)
    end
  end
end

local function destroy(container, with_volumes)
  local engine = container.engine
  engine.containers[container.id], engine.names[container.name] = nil, nil
  for i, other in ipairs(engine.order) do
    if other == container then
      remove(engine.order, i)
      break
    end
  end
  container.removed = true
  for _, mount in ipairs(with_volumes and container.mounts or {}) do
    if mount.nameless and engine.volumes[mount.Name] then
      volumes.delete(engine, engine.volumes[mount.Name])
    end
  end
  tell(container, "destroy")
  engine.kernel:changed()
end

local function restarts(container, code)
  local policy = container.host.RestartPolicy
  if container.is_stopped then
    return false
  elseif policy.Name == "always" or policy.Name == "unless-stopped" then
    return true
  end
  local left = policy.MaximumRetryCount == 0 or container.restart_count < policy.MaximumRetryCount
  return policy.Name == "on-failure" and code ~= 0 and left
end

local function begin(container)
  if not container.config.OpenStdin then
    container.stdin:close()
  end
  local state = container.state
  state.status, state.running, state.restarting, state.error = "running", true, false, ""
  state.code, state.started = 0, container.engine.kernel.clock
  container.listening, container.execs_running = {}, {}
  start_process(container)
  health.begin(container)
end

local function restart_later(container)
  local kernel, state = container.engine.kernel, container.state
  local lasted = state.finished - state.started
  local backoff = lasted < GOOD_RUN_S and container.backoff and container.backoff * 2 or FIRST_BACKOFF_S
  container.backoff = min(backoff, LONGEST_BACKOFF_S)
  container.restart_count = container.restart_count + 1
  state.status, state.restarting = "restarting", true
  container.restart_step = kernel:at(kernel.clock + container.backoff, function()
    life.connect(container)
    begin(container)
    tell(container, "start")
  end)
end

local function end_execs(container)
  for _, process in ipairs(container.execs_running) do
    process:kill(KILL)
  end
end

-- What happens when the first process has ended.
local function ended(container, code)
  local kernel, state = container.engine.kernel, container.state
  end_execs(container)
  health.stop(container)
  container.stdin:abandon()
  container.stdin = streams.pipe()
  output.finish(container)
  container.process, container.exits = nil, container.exits + 1
  state.code, state.finished, state.pid, state.paused = code, kernel.clock, 0, false
  container.last_code = code
  tell(container, "die", { exitCode = ("%d"):format(code) })
  release(container)
  if restarts(container, code) then
    restart_later(container)
  else
    state.status, state.running, state.restarting = "exited", false, false
    if container.host.AutoRemove then
      destroy(container, true)
    end
  end
  kernel:changed()
end

-- --- the beginning -------------------------------------------------------------------------------

function start_process(container)
  local engine, kernel = container.engine, container.engine.kernel
  local program, is_given = run.find_program(container, container.path)
  local process = processes.new(run.spec(container, {
    program = program,
    argv = { [0] = container.path, table.unpack(container.args) },
    stdin = container.stdin,
    write = function(stream, bytes)
      output.write(container, stream, bytes)
    end,
    is_first = not (container.host.Init == true or is_given),
    on_end = function(code)
      ended(container, code)
    end,
  }))
  process.ports = container.listening
  container.process = process
  container.state.pid, engine.next_pid = engine.next_pid, engine.next_pid + 1
  kernel:at(kernel.clock + START_S, function()
    if container.process == process and not process.ended then
      process:start()
    end
  end)
end

-- Mounts its volumes and connects it.
function life.connect(container)
  for name in pairs(container.endpoints) do
    networks.attach(container.engine, container, name)
  end
  for _, mount in ipairs(container.mounts) do
    container.files:make_mount_point(mount.Destination)
    if mount.Type == "volume" then
      volumes.tell_mount(container, mount)
    end
  end
end

-- What keeps a container from starting is told in its state too.
local function prepare(container)
  local ok, err = pcall(function()
    for name in pairs(container.endpoints) do
      if not networks.find(container.engine, name) then
        refuse(404, "network %s not found", name)
      end
    end
    open_ports(container)
    if not run.find_program(container, container.path) then
      refuse(400, "failed to create shim task: OCI runtime create failed: runc create failed: unable to start " ..
        "container process: exec: %q: %s: unknown", container.path, run.missing_words(container.path))
    end
    life.connect(container)
  end)
  if ok then
    return
  end
  container.ports = {}
  if engines.is_refusal(err) then
    container.state.code = err.status == 400 and 127 or 128
    container.state.error = err.words
    for name, endpoint in pairs(container.endpoints) do
      endpoint.network = networks.find(container.engine, name)
    end
    if err.status ~= 404 then
      release(container)
    end
    if container.host.AutoRemove then
      destroy(container, true)
    end
  end
  error(err, 0)
end

local function start(container)
  local state = container.state
  if container.restart_step then
    container.restart_step.fn = nil
  end
  container.is_stopped, container.failure = false, nil
  state.restarting = false
  prepare(container)
  begin(container)
  tell(container, "start")
end

function life.start(engine, _, id)
  local container = engine:container(id)
  if container.state.paused then
    refuse(409, "cannot start a paused container, try unpause instead")
  elseif container.state.running and not container.state.restarting then
    return 304
  end
  container.restart_count, container.backoff = 0, nil
  start(container)
  return 204
end

-- --- signals -----------------------------------------------------------------------------------

local function signal(container, number)
  tell(container, "kill", { signal = ("%d"):format(number) })
  if container.process then
    container.process:kill(number)
  end
end

function life.kill(engine, query, id)
  local container = engine:container(id)
  local name = query.signal and query.signal ~= "" and query.signal or "KILL"
  local number = processes.signal_of(name) or refuse(400, "Invalid signal: %s", name)
  if not container.state.running or container.state.restarting then
    refuse(409, "Cannot kill container: %s: Container %s is not running", id, container.id)
  end
  if number == KILL then
    container.is_stopped = true
  end
  signal(container, number)
  return 204
end

-- Waits for the first process to end, no longer than `seconds`. True when it has.
local function wait_for_end(container, seconds)
  local kernel, exits = container.engine.kernel, container.exits
  local due = kernel.clock + seconds
  kernel:at(due, function() end)
  kernel:wait(function()
    return container.exits > exits or kernel.clock >= due
  end)
  return container.exits > exits
end

local function grace_of(container, query)
  return tonumber(query.t or "") or container.config.StopTimeout or GRACE_S
end

local function end_backoff(container)
  container.restart_step.fn = nil
  local state = container.state
  state.status, state.running, state.restarting = "exited", false, false
  container.exits = container.exits + 1
end

local function stop(container, grace)
  container.is_stopped = true
  if container.state.restarting then
    end_backoff(container)
    return tell(container, "stop")
  end
  local number = processes.signal_of(container.config.StopSignal or "TERM") or 15
  local exits = container.exits
  signal(container, number)
  if container.exits == exits and not wait_for_end(container, grace) then
    tell(container, "kill", { signal = "9" })
    if container.state.paused then
      tell(container, "unpause")
    end
    if container.process then
      container.process:kill(KILL)
    end
  end
  tell(container, "stop")
end

function life.stop(engine, query, id)
  local container = engine:container(id)
  if not container.state.running then
    return 304
  end
  stop(container, grace_of(container, query))
  return 204
end

function life.restart(engine, query, id)
  local container = engine:container(id)
  if container.state.running then
    local removes = container.host.AutoRemove
    container.host.AutoRemove = false -- it is to be started again
    stop(container, grace_of(container, query))
    container.host.AutoRemove = removes
  end
  start(container)
  tell(container, "restart")
  return 204
end

-- --- pause -------------------------------------------------------------------------------------

function life.pause(engine, _, id)
  local container = engine:container(id)
  local state = container.state
  if not state.running then
    refuse(409, "Container %s is not running", container.id)
  elseif state.paused then
    refuse(409, "Container %s is already paused", container.id)
  elseif state.restarting then
    refuse(409, "Container %s is restarting, wait until the container is running", container.id)
  end
  state.status, state.paused = "paused", true
  tell(container, "pause")
  return 204
end

function life.unpause(engine, _, id)
  local container = engine:container(id)
  local state = container.state
  if not state.paused then
    refuse(500, "Container %s is not paused", container.id)
  end
  state.status, state.paused = "running", false
  for _, process in ipairs { container.process, table.unpack(container.execs_running) } do
    process:thaw()
  end
  tell(container, "unpause")
  return 204
end

-- --- wait --------------------------------------------------------------------------------------

local function answer(code)
  return { Error = json.null, StatusCode = code }
end

-- The end that is waited for is fixed when the request comes, not when its answer is read.
function life.wait(engine, query, id)
  local container = engine:container(id)
  local condition, exits = query.condition, container.exits
  local function holds()
    if container.failure then
      error(container.failure, 0)
    elseif condition == "removed" then
      return container.removed
    elseif condition == "next-exit" then
      return container.exits > exits
    end
    return not container.state.running or container.exits > exits
  end
  return 200, nil, {
    later = function()
      engine.kernel:wait(holds)
      return answer(container.last_code or container.state.code)
    end,
  }
end

-- --- remove ------------------------------------------------------------------------------------

function life.remove(engine, query, id)
  local container = engine:container(id)
  local state, forced = container.state, query.force == "1"
  if state.running and not forced then
    if state.paused then
      refuse(409, "You cannot remove a paused container %s. Unpause and then stop the container before attempting " ..
        "removal or force remove", container.id)
    end
    refuse(409, "You cannot remove a %s container %s. Stop the container before attempting removal or force remove",
      state.restarting and "restarting" or "running", container.id)
  elseif state.running then
    container.is_stopped = true
    local removes = container.host.AutoRemove
    container.host.AutoRemove = false
    if state.restarting then
      end_backoff(container)
    else
      signal(container, KILL)
    end
    container.host.AutoRemove = removes
  end
  destroy(container, query.v == "1" or container.host.AutoRemove)
  return 204
end

function life.prune(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters), " label label! until ")
  local removed = {}
  for i = #engine.order, 1, -1 do
    local container = engine.order[i]
    local fits = engines.has_labels(container.config.Labels, filters.label)
    for _, label in ipairs(filters["label!"] or {}) do
      fits = fits and not engines.has_labels(container.config.Labels, { label })
    end
    local before = engines.time_of(engine, (filters["until"] or {})[1])
    if not container.state.running and fits and (not before or container.created < before) then
      destroy(container, false)
      removed[#removed + 1] = container.id
    end
  end
  engine:tell("container", "prune", "", { reclaimed = "0" })
  return 200, { ContainersDeleted = next(removed) and removed or json.null, SpaceReclaimed = 0 }
end

return life
