-- kubernetes/simulate/kubelet.lua: pods that are on a node: their containers start, end, start again, and go.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/kubelet: kuberuntime, images/image_manager.go (backoff), prober.
local actor = require "ctz.kubernetes.simulate.actor"
local probes = require "ctz.kubernetes.simulate.probes"
local runtime = require "ctz.kubernetes.simulate.runtime"
local status_of = require "ctz.kubernetes.simulate.pod_status"
local values = require "ctz.kubernetes.simulate.values"

local error, ipairs, next, pairs, pcall, require, type = error, ipairs, next, pairs, pcall, require, type
local min = math.min

local START_S <const> = 0.2 -- until a container starts, once its pod is on a node
local FIRST_BACKOFF_S <const>, LONGEST_BACKOFF_S <const> = 10, 300
local SHIFT_S <const> = 0.5 -- from ErrImagePull to ImagePullBackOff
local CANNOT_START <const>, NOT_MODELLED <const> = 128, 127

local table_of = values.table_of

local kubelet = {}

-- --- what runs ---------------------------------------------------------------------------------------

local function new_run(state, pod)
  local run = { uid = pod.metadata.uid, held = {}, by_name = {}, began = state.kernel.clock }
  for _, field in ipairs { "initContainers", "containers" } do
    for _, spec in ipairs(table_of(pod.spec[field])) do
      run.by_name[spec.name] = {
        name = spec.name, is_init = field == "initContainers", next_at = state.kernel.clock + START_S, restarts = 0,
      }
    end
  end
  state.pods[run.uid] = run
  return run
end

local function teller(state, pod)
  return function(kind, reason, text)
    actor.tell(state, pod, kind, reason, text, "kubelet")
  end
end

local function restarts(pod, one, code)
  local policy = pod.spec.restartPolicy
  if one.is_init then
    return code ~= 0 and policy ~= "Never"
  end
  return policy == "Always" or policy == "OnFailure" and code ~= 0
end

-- A container has ended: what becomes of it.
local function ended(state, pod, one, facts)
  local clock = state.kernel.clock
  one.before, one.ended = one.ended, facts
  one.waiting, one.ready, one.started = nil, false, false
  if not restarts(pod, one, facts.code) then
    one.done = true
    return
  end
  local pause = one.backoff and min(one.backoff * 2, LONGEST_BACKOFF_S) or one.crashed and FIRST_BACKOFF_S or 0
  one.backoff, one.crashed = pause > 0 and pause or nil, true
  one.next_at = clock + pause
  if pause > 0 then
    actor.tell(state, pod, "Warning", "BackOff", ("Back-off restarting failed container %s in pod %s_%s(%s)"):format(
      one.name, pod.metadata.name, pod.metadata.namespace, pod.metadata.uid), "kubelet")
  end
end

local function take_end(state, pod, one)
  local container = one.current
  if one.previous then
    runtime.remove(state, one.previous)
  end
  one.previous, one.current = container, nil
  if container.failure then
    state.failure = state.failure or container.failure
  end
  ended(state, pod, one, {
    id = container.id, code = container.state.code, started = container.state.started,
    finished = container.state.finished,
  })
end

local function cannot_pull(state, one, err)
  local clock = state.kernel.clock
  one.waiting = { reason = err.waiting, message = err.message }
  if err.waiting ~= "ErrImagePull" then
    one.next_at = clock + 1
    return
  end
  one.pull_backoff = one.pull_backoff and min(one.pull_backoff * 2, LONGEST_BACKOFF_S) or FIRST_BACKOFF_S
  one.next_at, one.shift_at = clock + one.pull_backoff, clock + SHIFT_S
  one.pull_message = err.message
  state:wake(SHIFT_S)
end

local function try_start(state, pod, run, spec, one)
  local tell = teller(state, pod)
  local done, container = pcall(function()
    runtime.pull(state, spec, tell)
    return runtime.start(state, pod, spec, run.held)
  end)
  if done then
    one.restarts = one.ended and one.restarts + 1 or 0
    one.current, one.waiting, one.shift_at, one.pull_backoff = container, nil, nil, nil
    one.ready, one.started = false, false
    tell("Normal", "Created", "Container created")
    tell("Normal", "Started", "Container started")
    probes.begin(state, pod, spec, one)
  elseif type(container) == "table" and container.waiting then
    cannot_pull(state, one, container)
  elseif type(container) == "table" and container.failed then
    tell("Warning", "Failed", "Error: " .. container.failed)
    ended(state, pod, one, { code = CANNOT_START, reason = "StartError", message = container.failed,
      started = 0, finished = state.kernel.clock, id = "" })
  elseif type(container) == "table" and container.kind == "unsupported" then
    state.failure = state.failure or container
    ended(state, pod, one, { code = NOT_MODELLED, message = container.message, started = 0,
      finished = state.kernel.clock, id = "" })
  else
    error(container, 0)
  end
end

-- One look at one container.
local function step(state, pod, run, spec, one)
  local clock = state.kernel.clock
  if one.current and not one.current.state.running then
    take_end(state, pod, one)
  end
  if one.current or one.done then
    return
  elseif one.shift_at and clock >= one.shift_at and clock < one.next_at then
    local text = ("Back-off pulling image %q"):format(spec.image)
    one.waiting = { reason = "ImagePullBackOff", message = text .. ": ErrImagePull: " .. one.pull_message }
    one.shift_at = nil
    actor.tell(state, pod, "Normal", "BackOff", text, "kubelet")
    actor.tell(state, pod, "Warning", "Failed", "Error: ImagePullBackOff", "kubelet")
  end
  if clock >= one.next_at then
    try_start(state, pod, run, spec, one)
  end
  if not one.current and not one.done then
    state:wake(one.next_at - clock)
  end
end

-- True when all containers that come before the others have done what they do.
local function initialized(state, pod, run)
  for _, spec in ipairs(table_of(pod.spec.initContainers)) do
    local one = run.by_name[spec.name]
    if spec.restartPolicy == "Always" then
      require("ctz.kubernetes.simulate.refusal").unsupported "init containers that go on running"
    end
    step(state, pod, run, spec, one)
    if not one.done or one.ended.code ~= 0 then
      return false, one.done
    end
  end
  return true
end

local function work(state, resource, pod)
  local run = state.pods[pod.metadata.uid] or new_run(state, pod)
  local phase = table_of(pod.status).phase
  if phase == "Succeeded" or phase == "Failed" then
    return
  end
  local is_initialized, failed = initialized(state, pod, run)
  if is_initialized then
    run.initialized_at = run.initialized_at or state.kernel.clock
    for _, spec in ipairs(pod.spec.containers) do
      step(state, pod, run, spec, run.by_name[spec.name])
    end
  end
  actor.status(state, resource, pod, function(status)
    status_of(state, pod, run, status, failed)
  end, "kubelet")
end

-- --- the end -----------------------------------------------------------------------------------------

local function clear(state, run)
  for _, one in pairs(run.by_name) do
    for _, container in pairs { one.current or nil, one.previous or nil } do
      runtime.remove(state, container)
    end
  end
  state.pods[run.uid] = nil
end

local function terminate(state, resource, pod)
  local run = state.pods[pod.metadata.uid] or new_run(state, pod)
  local clock, is_running = state.kernel.clock, false
  run.kill_at = run.kill_at or clock + (pod.metadata.deletionGracePeriodSeconds or 0)
  for _, one in pairs(run.by_name) do
    local container = one.current
    if container and container.state.running then
      is_running = true
      if not one.told then
        one.told = true
        actor.tell(state, pod, "Normal", "Killing", "Stopping container " .. one.name, "kubelet")
        runtime.signal(state, container, "TERM")
      elseif clock >= run.kill_at then
        runtime.signal(state, container, "KILL")
      end
      is_running = is_running and container.state.running
    end
  end
  if is_running then
    state:wake(run.kill_at - clock)
  elseif #table_of(pod.metadata.finalizers) == 0 then
    clear(state, run)
    state:remove(resource, pod)
  end
end

-- --- all pods ----------------------------------------------------------------------------------------

function kubelet.run(state)
  local resource, alive = state:kind "pods", {}
  for _, pod in ipairs(state:list(resource)) do
    alive[pod.metadata.uid] = true
    if pod.metadata.deletionTimestamp then
      terminate(state, resource, pod)
    elseif pod.spec.nodeName then
      local done, err = pcall(work, state, resource, pod)
      if not done and type(err) == "table" and err.kind == "unsupported" then
        state.failure = state.failure or err
      elseif not done then
        error(err, 0)
      end
    end
  end
  for uid, run in next, state.pods do
    if not alive[uid] then
      clear(state, run)
    end
  end
end

-- Ends of containers are looked at when they come.
function kubelet.setup(state)
  local engine = state.engine
  local tell = engine.tell
  function engine.tell(self, kind, action, ...)
    tell(self, kind, action, ...)
    if kind == "container" and action == "die" then
      state:wake(0)
    end
  end
end

-- The record of a container of a pod; nil: the pod is on no node yet.
function kubelet.record(state, pod, name)
  local run = state.pods[pod.metadata.uid]
  return run and run.by_name[name]
end

return kubelet
