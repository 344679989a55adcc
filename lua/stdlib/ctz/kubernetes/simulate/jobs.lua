-- kubernetes/simulate/jobs.lua: Jobs make pods until enough of them have succeeded, or too many failed.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/controller/job/job_controller.go.
local actor = require "ctz.kubernetes.simulate.actor"
local time = require "ctz.time"
local values = require "ctz.kubernetes.simulate.values"
local workload = require "ctz.kubernetes.simulate.workload"

local ipairs, math, min = ipairs, math, math.min

local COMPONENT <const> = "job-controller"
local FIRST_RETRY_S <const>, LONGEST_RETRY_S <const> = 1, 60 -- shorter than a real one's 10 s and 10 minutes

local table_of = values.table_of

local jobs = {}

local function is_over(job)
  for _, condition in ipairs(table_of(table_of(job.status).conditions)) do
    if (condition.type == "Complete" or condition.type == "Failed") and condition.status == "True" then
      return condition
    end
  end
end

local function restarts_of(pod)
  local sum = 0
  for _, one in ipairs(table_of(table_of(pod.status).containerStatuses)) do
    sum = sum + one.restartCount
  end
  return sum
end

local function count(pods)
  local sums = { active = 0, ready = 0, succeeded = 0, failed = 0, restarts = 0, terminating = 0 }
  for _, pod in ipairs(pods) do
    local phase = table_of(pod.status).phase
    if phase == "Succeeded" then
      sums.succeeded = sums.succeeded + 1
    elseif phase == "Failed" then
      sums.failed = sums.failed + 1
    elseif pod.metadata.deletionTimestamp then
      sums.terminating = sums.terminating + 1
    else
      sums.active = sums.active + 1
      sums.ready = sums.ready + (workload.ready_since(pod) and 1 or 0)
      sums.restarts = sums.restarts + restarts_of(pod)
    end
  end
  return sums
end

local function finish(state, resource, job, sums, kind, reason, message)
  for _, pod in ipairs(workload.owned(state, "pods", job)) do
    if workload.is_active(pod) then
      workload.delete_pod(state, job, pod, COMPONENT)
    end
  end
  actor.tell(state, job, kind == "Complete" and "Normal" or "Warning", kind == "Complete" and "Completed" or reason,
    kind == "Complete" and "Job completed" or message, COMPONENT)
  local first = kind == "Complete" and "SuccessCriteriaMet" or "FailureTarget"
  actor.status(state, resource, job, function(status)
    status.conditions = values.list(table_of(status.conditions))
    for _, name in ipairs { first, kind } do
      local condition = actor.condition(state, name, "True", reason, message)
      condition.lastProbeTime = state:stamp()
      status.conditions[#status.conditions + 1] = condition
    end
    status.active, status.ready, status.terminating = nil, 0, 0
    status.succeeded = sums.succeeded > 0 and sums.succeeded or nil
    status.failed = sums.failed > 0 and sums.failed or nil
    status.completionTime = kind == "Complete" and state:stamp() or nil
  end)
end

local function verdict(state, job, sums)
  local spec, status = job.spec, table_of(job.status)
  if spec.completions and sums.succeeded >= spec.completions
    or not spec.completions and sums.succeeded > 0 and sums.active == 0 then
    return "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
  elseif sums.failed + sums.restarts > spec.backoffLimit then
    return "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
  elseif spec.activeDeadlineSeconds and status.startTime then
    local left = time.parse(status.startTime) + spec.activeDeadlineSeconds - state.kernel.clock
    if left <= 0 then
      return "Failed", "DeadlineExceeded", "Job was active longer than specified deadline"
    end
    state:wake(left)
  end
end

-- Seconds until one more pod may be made after one failed.
local function pause_of(state, pods, failed)
  if failed == 0 then
    return 0
  end
  local last = 0
  for _, pod in ipairs(pods) do
    local ended = table_of(table_of(table_of(table_of(pod.status).containerStatuses)[1]).state).terminated
    last = ended and math.max(last, time.parse(ended.finishedAt)) or last
  end
  return last + min(FIRST_RETRY_S * 2 ^ (failed - 1), LONGEST_RETRY_S) - state.kernel.clock
end

local function make(state, job, pods, sums)
  local wanted = job.spec.parallelism
  if job.spec.completions then
    wanted = min(wanted, job.spec.completions - sums.succeeded)
  elseif sums.succeeded > 0 then
    wanted = 0
  end
  local pause = pause_of(state, pods, sums.failed)
  if wanted > sums.active and pause > 0 then
    state:wake(pause)
    return
  end
  for _ = 1, wanted - sums.active do
    if not workload.create_pod(state, job, job.spec.template, { component = COMPONENT }) then
      state:wake(1)
      return
    end
  end
end

local function suspend(state, job, pods)
  for _, pod in ipairs(pods) do
    if workload.is_active(pod) then
      workload.delete_pod(state, job, pod, COMPONENT)
    end
  end
end

local function sync(state, resource, job)
  local done = is_over(job)
  if done then
    local ttl = job.spec.ttlSecondsAfterFinished
    if ttl then
      local left = time.parse(done.lastTransitionTime) + ttl - state.kernel.clock
      if left <= 0 then
        actor.delete(state, resource, job)
      else
        state:wake(left)
      end
    end
    return
  end
  local pods = workload.owned(state, "pods", job)
  local sums = count(pods)
  local kind, reason, message = verdict(state, job, sums)
  if kind then
    finish(state, resource, job, sums, kind, reason, message)
    return
  elseif job.spec.suspend then
    suspend(state, job, pods)
  else
    make(state, job, pods, sums)
  end
  sums = count(workload.owned(state, "pods", job))
  actor.status(state, resource, job, function(status)
    status.startTime = not job.spec.suspend and (status.startTime or state:stamp()) or nil
    status.active = sums.active > 0 and sums.active or nil
    status.ready, status.terminating = sums.ready, sums.terminating
    status.succeeded = sums.succeeded > 0 and sums.succeeded or nil
    status.failed = sums.failed > 0 and sums.failed or nil
    status.uncountedTerminatedPods = {}
  end)
end

function jobs.run(state)
  local resource = state:kind "batch/jobs"
  for _, job in ipairs(state:list(resource)) do
    if not job.metadata.deletionTimestamp then
      sync(state, resource, job)
    end
  end
end

return jobs
