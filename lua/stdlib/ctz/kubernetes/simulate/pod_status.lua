-- kubernetes/simulate/pod_status.lua: what a pod tells of itself: its phase, conditions and containers.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/kubelet/kubelet_pods.go, pkg/kubelet/status/generate.go.
local actor = require "ctz.kubernetes.simulate.actor"
local runtime = require "ctz.kubernetes.simulate.runtime"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, next = ipairs, next

local table_of = values.table_of

local function terminated(state, facts)
  return {
    containerID = facts.id ~= "" and "simulated://" .. facts.id or nil, exitCode = facts.code,
    reason = facts.reason or (facts.code == 0 and "Completed" or "Error"), message = facts.message,
    startedAt = state:stamp(facts.started), finishedAt = state:stamp(facts.finished),
  }
end

local function state_of(state, pod, one)
  local clock = state.kernel.clock
  if one.current then
    return { running = { startedAt = state:stamp(one.current.state.started) } }, one.ended
  elseif one.waiting then
    return { waiting = { reason = one.waiting.reason, message = one.waiting.message } }, one.ended
  elseif one.ended and (one.done or one.next_at <= clock) then
    return { terminated = terminated(state, one.ended) }, one.before
  elseif one.ended then
    return { waiting = { reason = "CrashLoopBackOff",
      message = ("back-off %s restarting failed container=%s pod=%s_%s(%s)"):format(
        one.backoff < 60 and ("%ds"):format(one.backoff) or ("%dm%ds"):format(one.backoff // 60, one.backoff % 60),
        one.name, pod.metadata.name, pod.metadata.namespace, pod.metadata.uid) } }, one.ended
  end
  return { waiting = { reason = one.is_init and "PodInitializing" or "ContainerCreating" } }
end

local function container_status(state, pod, spec, one, is_held)
  local now, last = state_of(state, pod, one)
  if is_held and now.waiting and now.waiting.reason == "ContainerCreating" then
    now.waiting.reason = "PodInitializing"
  end
  local container = one.current or one.previous
  return {
    name = spec.name, image = spec.image, imageID = container and container.image.id or "",
    containerID = container and "simulated://" .. container.id or nil, ready = one.is_init and one.done == true
      or one.ready == true, started = one.started == true, restartCount = one.restarts,
    state = now, lastState = last and { terminated = terminated(state, last) } or {}, resources = {},
  }
end

local function statuses(state, pod, run, list, is_held)
  local result = values.list()
  for i, spec in ipairs(table_of(list)) do
    result[i] = container_status(state, pod, spec, run.by_name[spec.name], is_held)
  end
  return result
end

local function phase_of(pod, run, init_failed)
  local all_done, any_failed, any_begun = true, false, false
  for _, spec in ipairs(pod.spec.containers) do
    local one = run.by_name[spec.name]
    all_done = all_done and one.done == true
    any_failed = any_failed or one.done and one.ended.code ~= 0
    any_begun = any_begun or one.current ~= nil or one.ended ~= nil
  end
  if init_failed then
    return "Failed"
  elseif all_done then
    return any_failed and "Failed" or "Succeeded"
  end
  return any_begun and "Running" or "Pending"
end

local function unready(list)
  local names = {}
  for _, one in ipairs(list) do
    names[#names + 1] = not one.ready and one.name or nil
  end
  return names
end

local REASONS <const> = { Succeeded = "PodCompleted", Failed = "PodFailed" }

-- fill(state, pod, run, status, init_failed): writes all of it into a status.
return function(state, pod, run, status, init_failed)
  local function condition(kind, holds, reason, message)
    actor.set_condition(state, status, actor.condition(state, kind, holds and "True" or "False", reason, message))
  end
  local is_initialized = run.initialized_at ~= nil
  status.containerStatuses = statuses(state, pod, run, pod.spec.containers, not is_initialized)
  if next(table_of(pod.spec.initContainers)) ~= nil then
    status.initContainerStatuses = statuses(state, pod, run, pod.spec.initContainers)
  end
  status.phase = phase_of(pod, run, init_failed)
  status.hostIP, status.podIP = "10.99.0.1", runtime.address(pod)
  status.hostIPs, status.podIPs = values.list { { ip = status.hostIP } }, values.list { { ip = status.podIP } }
  status.startTime = status.startTime or state:stamp(run.began)
  local names = unready(status.containerStatuses)
  local is_ready = #names == 0
  local reason = REASONS[status.phase] or not is_ready and "ContainersNotReady" or nil
  local message = reason == "ContainersNotReady" and ("containers with unready status: [%s]"):format(
    table.concat(names, " ")) or nil
  condition("PodReadyToStartContainers", not REASONS[status.phase])
  condition("Initialized", is_initialized, not is_initialized and "ContainersNotInitialized" or nil)
  condition("ContainersReady", is_ready, reason, message)
  condition("Ready", is_ready, reason, message)
end
