-- kubernetes/simulate/sets.lua: StatefulSets and DaemonSets, and the history of their forms.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/controller/statefulset/stateful_set_control.go, pkg/controller/daemon.
local actor = require "ctz.kubernetes.simulate.actor"
local scheduler = require "ctz.kubernetes.simulate.scheduler"
local values = require "ctz.kubernetes.simulate.values"
local workload = require "ctz.kubernetes.simulate.workload"

local ipairs, math, next, tonumber = ipairs, math, next, tonumber
local sort = table.sort

local HASH <const> = "controller-revision-hash"

local table_of = values.table_of

local sets = {}

-- --- forms -------------------------------------------------------------------------------------------

local function template_of(set)
  local template = values.copy(set.spec.template)
  template["$patch"] = "replace"
  return { spec = { template = template } }
end

-- The revision of the form that is asked for, made when there is none yet.
local function newest_revision(state, set)
  local list, data = workload.owned(state, "apps/controllerrevisions", set), template_of(set)
  sort(list, function(left, right)
    return left.revision < right.revision
  end)
  local resource, last = state:kind "apps/controllerrevisions", list[#list]
  local found = values.find(list, function(one) return values.same(one.data, data) end)
  if found and found ~= last then
    return actor.change(state, resource, found, function(object)
      object.revision = last.revision + 1
    end)
  elseif found then
    return found
  end
  local hash = workload.hash(data)
  return actor.create(state, "apps/controllerrevisions", set.metadata.namespace, {
    metadata = {
      name = set.metadata.name .. "-" .. hash, ownerReferences = workload.reference(set),
      labels = { [HASH] = hash },
    },
    revision = last and last.revision + 1 or 1, data = data,
  })
end

local function has_form(pod, name)
  return table_of(pod.metadata.labels)[HASH] == name
end

-- --- stateful sets -----------------------------------------------------------------------------------

local function ordinal_of(set, pod)
  return tonumber(pod.metadata.name:sub(#set.metadata.name + 2))
end

local function make_stateful(state, set, ordinal, form)
  local name = ("%s-%d"):format(set.metadata.name, ordinal)
  for _, claim in ipairs(table_of(set.spec.volumeClaimTemplates)) do
    local claim_name = ("%s-%s"):format(claim.metadata.name, name)
    if not state:get(state:kind "persistentvolumeclaims", set.metadata.namespace, claim_name) then
      actor.create(state, "persistentvolumeclaims", set.metadata.namespace, {
        metadata = { name = claim_name, labels = values.copy(table_of(set.spec.selector.matchLabels)) },
        spec = values.copy(claim.spec),
      })
    end
  end
  return workload.create_pod(state, set, set.spec.template, {
    name = name, component = "statefulset-controller", labels = {
      [HASH] = form, ["statefulset.kubernetes.io/pod-name"] = name,
      ["apps.kubernetes.io/pod-index"] = ("%d"):format(ordinal),
    },
    told = function(pod)
      return ("create Pod %s in StatefulSet %s successful"):format(pod.metadata.name, set.metadata.name)
    end,
    change = function(spec)
      spec.hostname, spec.subdomain = name, set.spec.serviceName
      for _, claim in ipairs(table_of(set.spec.volumeClaimTemplates)) do
        spec.volumes = values.list(spec.volumes)
        spec.volumes[#spec.volumes + 1] = {
          name = claim.metadata.name,
          persistentVolumeClaim = { claimName = ("%s-%s"):format(claim.metadata.name, name) },
        }
      end
    end,
  })
end

local function by_ordinal(set, pods)
  local found, most = {}, -1
  for _, pod in ipairs(pods) do
    local ordinal = ordinal_of(set, pod)
    if ordinal then
      found[ordinal], most = pod, math.max(most, ordinal)
    end
  end
  return found, most
end

-- One step: what is missing is made, what is too much or of an old form goes, one after the other.
local function step_stateful(state, set, form)
  local found, most = by_ordinal(set, workload.owned(state, "pods", set))
  local resource, wanted = state:kind "pods", set.spec.replicas
  local ordered = set.spec.podManagementPolicy ~= "Parallel"
  for ordinal = 0, wanted - 1 do
    local pod = found[ordinal]
    if not pod then
      make_stateful(state, set, ordinal, form)
    elseif not workload.is_active(pod) and not pod.metadata.deletionTimestamp then
      actor.delete(state, resource, pod)
    end
    if ordered and not (pod and workload.is_available(state, pod, set.spec.minReadySeconds)) then
      return
    end
  end
  for ordinal = most, wanted, -1 do
    if found[ordinal] then
      if not found[ordinal].metadata.deletionTimestamp then
        actor.delete(state, resource, found[ordinal])
      end
      return
    end
  end
  if set.spec.updateStrategy.type == "OnDelete" then
    return
  end
  local partition = table_of(set.spec.updateStrategy.rollingUpdate).partition or 0
  for ordinal = wanted - 1, partition, -1 do
    local pod = found[ordinal]
    if not pod or pod.metadata.deletionTimestamp then
      return
    elseif not has_form(pod, form) then
      actor.delete(state, resource, pod)
      return
    elseif not workload.is_available(state, pod, set.spec.minReadySeconds) then
      return
    end
  end
end

local function sync_stateful(state, resource, set)
  local revision = newest_revision(state, set)
  local form = revision.metadata.name
  step_stateful(state, set, form)
  local pods, updated = workload.owned(state, "pods", set), 0
  local counts = workload.count(state, pods, set.spec.minReadySeconds)
  for _, pod in ipairs(pods) do
    updated = updated + (workload.is_active(pod) and has_form(pod, form) and 1 or 0)
  end
  actor.status(state, resource, set, function(status)
    local is_done = updated == set.spec.replicas and #pods == updated and counts.ready == updated
    status.currentRevision = (is_done or not status.currentRevision) and form or status.currentRevision
    status.updateRevision, status.observedGeneration, status.collisionCount = form, set.metadata.generation, 0
    status.replicas, status.updatedReplicas, status.availableReplicas = #pods, updated, counts.available
    status.readyReplicas, status.currentReplicas = counts.ready > 0 and counts.ready or nil, nil
    if status.currentRevision == form then
      status.currentReplicas = updated
    end
  end)
end

-- --- daemon sets -------------------------------------------------------------------------------------

local function fits(set, node)
  for name, value in next, table_of(set.spec.template.spec.nodeSelector) do
    if table_of(node.metadata.labels)[name] ~= value then
      return false
    end
  end
  for _, taint in ipairs(table_of(node.spec.taints)) do
    if taint.effect ~= "PreferNoSchedule" and not scheduler.tolerates({ spec = set.spec.template.spec }, taint) then
      return false
    end
  end
  return true
end

local function by_node(pods)
  local found = {}
  for _, pod in ipairs(pods) do
    if not found[pod.spec.nodeName] or not pod.metadata.deletionTimestamp then
      found[pod.spec.nodeName] = pod
    end
  end
  return found
end

local function step_daemon(state, set, form)
  local found, resource = by_node(workload.owned(state, "pods", set)), state:kind "pods"
  local wanted, is_busy = 0, false
  for _, node in ipairs(state:list(state:kind "nodes")) do
    if fits(set, node) then
      local pod = found[node.metadata.name]
      wanted = wanted + 1
      if not pod then
        workload.create_pod(state, set, set.spec.template, {
          component = "daemonset-controller", node = node.metadata.name, labels = { [HASH] = form },
        })
        is_busy = true
      elseif not workload.is_active(pod) or not workload.is_available(state, pod, set.spec.minReadySeconds) then
        is_busy = true
      end
    end
  end
  for _, pod in next, found do
    if not is_busy and not has_form(pod, form) and set.spec.updateStrategy.type ~= "OnDelete" then
      actor.delete(state, resource, pod)
      is_busy = true
    end
  end
  return wanted
end

local function sync_daemon(state, resource, set)
  local revision = newest_revision(state, set)
  local form = revision.metadata.labels[HASH]
  local wanted = step_daemon(state, set, form)
  local pods, updated = workload.owned(state, "pods", set), 0
  local counts = workload.count(state, pods, set.spec.minReadySeconds)
  for _, pod in ipairs(pods) do
    updated = updated + (workload.is_active(pod) and has_form(pod, form) and 1 or 0)
  end
  actor.status(state, resource, set, function(status)
    status.observedGeneration, status.desiredNumberScheduled = set.metadata.generation, wanted
    status.currentNumberScheduled, status.numberMisscheduled = counts.all, 0
    status.numberReady = counts.ready
    status.updatedNumberScheduled = updated > 0 and updated or nil
    status.numberAvailable = counts.available > 0 and counts.available or nil
    status.numberUnavailable = wanted > counts.available and wanted - counts.available or nil
  end)
end

-- --- all of them -------------------------------------------------------------------------------------

function sets.run(state)
  for key, sync in next, { ["apps/statefulsets"] = sync_stateful, ["apps/daemonsets"] = sync_daemon } do
    local resource = state:kind(key)
    for _, set in ipairs(state:list(resource)) do
      if not set.metadata.deletionTimestamp then
        sync(state, resource, set)
      end
    end
  end
end

return sets
