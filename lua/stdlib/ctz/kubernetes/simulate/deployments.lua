-- kubernetes/simulate/deployments.lua: Deployments roll out ReplicaSets, which make and delete pods.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/controller/deployment (rolling.go, recreate.go, sync.go), pkg/controller/replicaset.
local actor = require "ctz.kubernetes.simulate.actor"
local time = require "ctz.time"
local values = require "ctz.kubernetes.simulate.values"
local workload = require "ctz.kubernetes.simulate.workload"

local ipairs, pairs, tonumber, tostring = ipairs, pairs, tonumber, tostring
local max, min, sort = math.max, math.min, table.sort

local HASH <const> = "pod-template-hash"
local REVISION <const> = "deployment.kubernetes.io/revision"
local DESIRED <const> = "deployment.kubernetes.io/desired-replicas"
local MOST <const> = "deployment.kubernetes.io/max-replicas"
local LAST_APPLIED <const> = "kubectl.kubernetes.io/last-applied-configuration"

local RETRY_S <const> = 5 -- after a pod was refused

local table_of = values.table_of

local deployments = {}

-- --- replica sets ------------------------------------------------------------------------------------

-- The first to go: not on a node, not running, not ready, the youngest.
local function rank(pod)
  return (not pod.spec.nodeName and 0 or 1) * 4 + (table_of(pod.status).phase == "Running" and 2 or 0)
    + (workload.ready_since(pod) and 1 or 0)
end

local function to_delete(pods, count)
  sort(pods, function(left, right)
    if rank(left) ~= rank(right) then
      return rank(left) < rank(right)
    end
    return tonumber(left.metadata.resourceVersion) > tonumber(right.metadata.resourceVersion)
  end)
  return { table.unpack(pods, 1, count) }
end

local function manage(state, set, pods)
  local active = {}
  for _, pod in ipairs(pods) do
    active[#active + 1] = workload.is_active(pod) and pod or nil
  end
  local missing, uid = (set.spec.replicas or 1) - #active, set.metadata.uid
  local refused = state.refused[uid]
  if missing > 0 and refused and refused.until_s > state.kernel.clock then
    return refused.words
  end
  refused, state.refused[uid] = nil, nil
  for _ = 1, missing do
    local made, why = workload.create_pod(state, set, set.spec.template, { component = "replicaset-controller" })
    if not made then
      refused = why
      state.refused[uid] = { words = why, until_s = state.kernel.clock + RETRY_S }
      state:wake(RETRY_S)
      break
    end
  end
  for _, pod in ipairs(missing < 0 and to_delete(active, -missing) or {}) do
    workload.delete_pod(state, set, pod, "replicaset-controller")
  end
  return refused
end

local function sync_set(state, resource, set)
  local pods = workload.owned(state, "pods", set)
  local refused = not set.metadata.deletionTimestamp and manage(state, set, pods) or nil
  local counts = workload.count(state, workload.owned(state, "pods", set), set.spec.minReadySeconds)
  actor.status(state, resource, set, function(status)
    status.replicas, status.observedGeneration = counts.all, set.metadata.generation
    status.fullyLabeledReplicas = counts.all > 0 and counts.all or nil
    status.readyReplicas = counts.ready > 0 and counts.ready or nil
    status.availableReplicas = counts.available > 0 and counts.available or nil
    if refused then
      actor.set_condition(state, status, actor.condition(state, "ReplicaFailure", "True", "FailedCreate", refused))
    else
      status.conditions = nil
    end
  end)
end

function deployments.sets(state)
  local resource = state:kind "apps/replicasets"
  for _, set in ipairs(state:list(resource)) do
    sync_set(state, resource, set)
  end
end

-- --- forms -------------------------------------------------------------------------------------------

local function revision_of(set)
  return tonumber(table_of(set.metadata.annotations)[REVISION]) or 0
end

local function without_hash(template)
  local copy = values.copy(template)
  copy.metadata.labels = table_of(copy.metadata.labels)
  copy.metadata.labels[HASH] = nil
  return copy
end

-- The set of the form that is asked for, all others with the youngest last.
local function split(deployment, sets)
  local newest, old = nil, {}
  local wanted = values.copy(deployment.spec.template)
  wanted.metadata.labels = table_of(wanted.metadata.labels)
  sort(sets, function(left, right)
    return revision_of(left) < revision_of(right)
  end)
  for _, set in ipairs(sets) do
    if not newest and values.same(without_hash(set.spec.template), wanted) then
      newest = set
    else
      old[#old + 1] = set
    end
  end
  return newest, old
end

local function notes_of(deployment, revision, set)
  local notes = values.copy(table_of(set and set.metadata.annotations))
  for name, value in pairs(table_of(deployment.metadata.annotations)) do
    if name ~= LAST_APPLIED then
      notes[name] = value
    end
  end
  notes[REVISION] = tostring(revision)
  return notes
end

local function highest(sets)
  local most = 0
  for _, set in ipairs(sets) do
    most = max(most, revision_of(set))
  end
  return most
end

local function make_set(state, deployment, revision)
  local hash = workload.hash(deployment.spec.template)
  local template = values.copy(deployment.spec.template)
  template.metadata.labels = table_of(template.metadata.labels)
  template.metadata.labels[HASH] = hash
  local selector = values.copy(deployment.spec.selector)
  selector.matchLabels = table_of(selector.matchLabels)
  selector.matchLabels[HASH] = hash
  return actor.create(state, "apps/replicasets", deployment.metadata.namespace, {
    metadata = {
      name = deployment.metadata.name .. "-" .. hash, labels = values.copy(template.metadata.labels),
      annotations = notes_of(deployment, revision), ownerReferences = workload.reference(deployment),
    },
    spec = {
      replicas = 0, minReadySeconds = deployment.spec.minReadySeconds, selector = selector, template = template,
    },
  })
end

-- The newest set, made or brought to the front when it is not there yet.
local function newest_set(state, resource, deployment, newest, old)
  local revision = highest(old) + 1
  if not newest then
    return make_set(state, deployment, revision)
  elseif revision_of(newest) < revision then
    return actor.change(state, resource, newest, function(set)
      set.metadata.annotations = notes_of(deployment, revision, newest)
    end)
  end
  return newest
end

-- --- scaling -----------------------------------------------------------------------------------------

local function most_of(deployment)
  local wanted, rolling = deployment.spec.replicas, table_of(deployment.spec.strategy.rollingUpdate)
  return wanted + workload.share(rolling.maxSurge, wanted, true)
end

local function scale(state, resource, deployment, set, count)
  if set.spec.replicas == count then
    return set
  end
  local is_up = count > set.spec.replicas
  actor.tell(state, deployment, "Normal", "ScalingReplicaSet", ("Scaled %s replica set %s from %d to %d"):format(
    is_up and "up" or "down", set.metadata.name, set.spec.replicas, count), "deployment-controller")
  return actor.change(state, resource, set, function(object)
    object.spec.replicas = count
    object.metadata.annotations = table_of(object.metadata.annotations)
    object.metadata.annotations[DESIRED] = tostring(deployment.spec.replicas)
    object.metadata.annotations[MOST] = tostring(most_of(deployment))
  end)
end

local function replicas(sets)
  local sum = 0
  for _, set in ipairs(sets) do
    sum = sum + set.spec.replicas
  end
  return sum
end

local function available(set)
  return table_of(set.status).availableReplicas or 0
end

local function roll_up(state, resource, deployment, newest, old)
  local room = most_of(deployment) - replicas(old) - newest.spec.replicas
  local wanted = deployment.spec.replicas
  if newest.spec.replicas > wanted then
    return scale(state, resource, deployment, newest, wanted)
  elseif room > 0 then
    return scale(state, resource, deployment, newest, min(wanted, newest.spec.replicas + room))
  end
  return newest
end

local function roll_down(state, resource, deployment, newest, old)
  local wanted = deployment.spec.replicas
  local rolling = table_of(deployment.spec.strategy.rollingUpdate)
  local gone = workload.share(rolling.maxUnavailable, wanted, false)
  if gone == 0 and workload.share(rolling.maxSurge, wanted, true) == 0 then
    gone = 1
  end
  local least = wanted - gone
  local cannot = newest.spec.replicas - available(newest)
  local left = replicas(old) + newest.spec.replicas - least - cannot
  for _, set in ipairs(old) do -- what is broken goes first
    local broken = min(left, set.spec.replicas - available(set))
    if broken > 0 then
      scale(state, resource, deployment, set, set.spec.replicas - broken)
      left = left - broken
    end
  end
  local spare = available(newest) - least
  for _, set in ipairs(old) do
    spare = spare + available(set)
  end
  for _, set in ipairs(old) do
    local now = state:get(resource, set.metadata.namespace, set.metadata.name)
    local count = min(spare, now.spec.replicas)
    if count > 0 then
      scale(state, resource, deployment, now, now.spec.replicas - count)
      spare = spare - count
    end
  end
end

local function has_pods(state, sets)
  for _, set in ipairs(sets) do
    if #workload.owned(state, "pods", set) > 0 then
      return true
    end
  end
  return false
end

local function roll(state, resource, deployment, newest, old)
  if deployment.spec.strategy.type == "Recreate" then
    for _, set in ipairs(old) do
      scale(state, resource, deployment, set, 0)
    end
    if not has_pods(state, old) then
      scale(state, resource, deployment, newest, deployment.spec.replicas)
    end
  elseif replicas(old) == 0 then
    scale(state, resource, deployment, newest, deployment.spec.replicas)
  else
    newest = roll_up(state, resource, deployment, newest, old)
    roll_down(state, resource, deployment, newest, old)
  end
end

-- --- its status --------------------------------------------------------------------------------------

local function progress(state, deployment, status, newest, is_complete, before)
  local text = ("ReplicaSet %q"):format(newest and newest.metadata.name or "")
  local old = values.find(status.conditions, function(one) return one.type == "Progressing" end)
  local function set(holds, reason, message, is_news)
    local condition = actor.condition(state, "Progressing", holds, reason, message)
    condition.lastUpdateTime = not is_news and old and old.lastUpdateTime or state:stamp()
    actor.set_condition(state, status, condition)
  end
  if deployment.spec.paused and not is_complete then
    return set("Unknown", "DeploymentPaused", "Deployment is paused", not old or old.reason ~= "DeploymentPaused")
  elseif is_complete then
    return set("True", "NewReplicaSetAvailable", text .. " has successfully progressed.",
      not old or old.reason ~= "NewReplicaSetAvailable")
  end
  local moved = not old or old.reason == "DeploymentPaused" or not values.same(before, {
    status.replicas, status.updatedReplicas, status.readyReplicas, status.availableReplicas, status.observedGeneration,
  })
  local deadline = deployment.spec.progressDeadlineSeconds
  local due = old and time.parse(old.lastUpdateTime or old.lastTransitionTime) + deadline
  if not moved and (old.reason == "ProgressDeadlineExceeded" or due <= state.kernel.clock) then
    return set("False", "ProgressDeadlineExceeded", text .. " has timed out progressing.",
      old.reason ~= "ProgressDeadlineExceeded")
  end
  set("True", "ReplicaSetUpdated", text .. " is progressing.", moved)
  state:wake(moved and deadline or due - state.kernel.clock)
end

local function set_status(state, resource, deployment, newest, old)
  local sum = { all = 0, ready = 0, available = 0 }
  local all = { table.unpack(old) }
  all[#all + 1] = newest
  local failure
  for _, set in ipairs(all) do
    local status = table_of(set.status)
    sum.all = sum.all + (status.replicas or 0)
    sum.ready, sum.available = sum.ready + (status.readyReplicas or 0), sum.available + (status.availableReplicas or 0)
    failure = failure or values.find(status.conditions, function(one) return one.type == "ReplicaFailure" end)
  end
  local updated = newest and table_of(newest.status).replicas or 0
  local wanted = deployment.spec.replicas
  local is_complete = newest ~= nil and updated == wanted and sum.all == wanted and sum.available >= wanted
    and table_of(newest.status).observedGeneration == newest.metadata.generation
  actor.status(state, resource, deployment, function(status)
    local before = {
      status.replicas, status.updatedReplicas, status.readyReplicas, status.availableReplicas,
      status.observedGeneration,
    }
    local function positive(count)
      return count > 0 and count or nil
    end
    status.observedGeneration = deployment.metadata.generation
    status.replicas, status.updatedReplicas = positive(sum.all), positive(updated)
    status.readyReplicas, status.availableReplicas = positive(sum.ready), positive(sum.available)
    status.unavailableReplicas = positive(max(0, max(sum.all, wanted) - sum.available))
    local rolling = table_of(deployment.spec.strategy.rollingUpdate)
    local is_enough = sum.available >= wanted - workload.share(rolling.maxUnavailable, wanted, false)
    local now = actor.condition(state, "Available", is_enough and "True" or "False",
      is_enough and "MinimumReplicasAvailable" or "MinimumReplicasUnavailable",
      ("Deployment %s minimum availability."):format(is_enough and "has" or "does not have"))
    local was = values.find(status.conditions, function(one) return one.type == "Available" end)
    now.lastUpdateTime = was and was.status == now.status and was.lastUpdateTime or state:stamp()
    actor.set_condition(state, status, now)
    progress(state, deployment, status, newest, is_complete, before)
    local _, at = values.find(status.conditions, function(one) return one.type == "ReplicaFailure" end)
    if failure then
      local condition = values.copy(failure)
      condition.lastUpdateTime = failure.lastTransitionTime
      status.conditions[at or #status.conditions + 1] = condition
    elseif at then
      table.remove(status.conditions, at)
    end
  end)
end

-- Old sets beyond the history that is kept go.
local function clean(state, resource, deployment, old)
  local idle = {}
  for _, set in ipairs(old) do
    if set.spec.replicas == 0 and (table_of(set.status).replicas or 0) == 0 then
      idle[#idle + 1] = set
    end
  end
  for i = 1, #idle - (deployment.spec.revisionHistoryLimit or 10) do
    actor.delete(state, resource, idle[i])
  end
end

local function sync(state, resource, sets_resource, deployment)
  local newest, old = split(deployment, workload.owned(state, "apps/replicasets", deployment))
  if deployment.spec.paused then
    local active = newest or old[#old]
    if active and replicas(old) + (newest and newest.spec.replicas or 0) > 0 then
      scale(state, sets_resource, deployment, active, deployment.spec.replicas
        - (replicas(old) + (newest and newest.spec.replicas or 0) - active.spec.replicas))
    end
  else
    newest = newest_set(state, sets_resource, deployment, newest, old)
    if newest then
      roll(state, sets_resource, deployment, newest, old)
    end
  end
  newest, old = split(deployment, workload.owned(state, "apps/replicasets", deployment))
  local revision = newest and tostring(revision_of(newest))
  if revision and table_of(deployment.metadata.annotations)[REVISION] ~= revision then
    deployment = actor.change(state, resource, deployment, function(object)
      object.metadata.annotations = table_of(object.metadata.annotations)
      object.metadata.annotations[REVISION] = revision
    end)
  end
  set_status(state, resource, deployment, newest, old)
  clean(state, sets_resource, deployment, old)
end

function deployments.run(state)
  local resource, sets_resource = state:kind "apps/deployments", state:kind "apps/replicasets"
  for _, deployment in ipairs(state:list(resource)) do
    if not deployment.metadata.deletionTimestamp then
      sync(state, resource, sets_resource, deployment)
    end
  end
end

return deployments
