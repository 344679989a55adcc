-- kubernetes/simulate/scheduler.lua: which node a pod comes to, and why it comes to none.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/scheduler: NodeResourcesFit, NodeAffinity (nodeSelector), TaintToleration, NodeUnschedulable.
local actor = require "ctz.kubernetes.simulate.actor"
local quantity = require("ctz.kubernetes.quantity").quantity
local refusal = require "ctz.kubernetes.simulate.refusal"
local sorted_keys = require("ctz.problems").sorted_keys
local values = require "ctz.kubernetes.simulate.values"

local ipairs, pairs = ipairs, pairs
local concat = table.concat

local table_of = values.table_of

local scheduler = {}

-- name -> thousandths that the containers of a pod ask for
local function requests_of(pod)
  local sums = { pods = 1000 }
  for _, container in ipairs(pod.spec.containers) do
    for name, amount in pairs(table_of(table_of(container.resources).requests)) do
      sums[name] = (sums[name] or 0) + quantity(amount):milli()
    end
  end
  return sums
end

local function is_over(pod)
  return table_of(pod.status).phase == "Succeeded" or table_of(pod.status).phase == "Failed"
end

local function tolerates(pod, taint)
  return values.find(pod.spec.tolerations, function(one)
    local fits_key = one.key == nil or one.key == taint.key
      and (one.operator == "Exists" or (one.value or "") == (taint.value or ""))
    return fits_key and (one.effect == nil or one.effect == taint.effect)
  end) ~= nil
end

-- Why a pod cannot be on a node; nil: it can.
local function obstacle(pod, node, used)
  for name, value in pairs(table_of(pod.spec.nodeSelector)) do
    if table_of(node.metadata.labels)[name] ~= value then
      return "node(s) didn't match Pod's node affinity/selector"
    end
  end
  if node.spec.unschedulable and not tolerates(pod, { key = "node.kubernetes.io/unschedulable", effect = "NoSchedule" })
  then
    return "node(s) were unschedulable"
  end
  for _, taint in ipairs(table_of(node.spec.taints)) do
    if taint.effect ~= "PreferNoSchedule" and not tolerates(pod, taint) then
      return "node(s) had untolerated taint(s)"
    end
  end
  local allocatable = table_of(table_of(node.status).allocatable)
  local asked = requests_of(pod)
  for _, name in ipairs(sorted_keys(asked)) do
    local room = allocatable[name] and quantity(allocatable[name]):milli() or 0
    if (used[name] or 0) + asked[name] > room then
      return name == "pods" and "Too many pods" or "Insufficient " .. name
    end
  end
end

local function usage(pods)
  local used = {}
  for _, pod in ipairs(pods) do
    local name = pod.spec.nodeName
    if name and not is_over(pod) then
      used[name] = used[name] or {}
      for what, amount in pairs(requests_of(pod)) do
        used[name][what] = (used[name][what] or 0) + amount
      end
    end
  end
  return used
end

local function check_modelled(pod)
  local affinity = table_of(pod.spec.affinity)
  for _, name in ipairs { "nodeAffinity", "podAffinity", "podAntiAffinity" } do
    if table_of(affinity[name]).requiredDuringSchedulingIgnoredDuringExecution then
      refusal.unsupported("required " .. name)
    end
  end
end

local function cannot(state, resource, pod, text)
  actor.status(state, resource, pod, function(status)
    actor.set_condition(state, status, actor.condition(state, "PodScheduled", "False", "Unschedulable", text))
  end, "kube-scheduler")
  actor.tell(state, pod, "Warning", "FailedScheduling", text, "default-scheduler")
end

local function missing_claim(state, pod)
  for _, volume in ipairs(table_of(pod.spec.volumes)) do
    local name = table_of(volume.persistentVolumeClaim).claimName
    if name and not state:get(state:kind "persistentvolumeclaims", pod.metadata.namespace, name) then
      return name
    end
  end
end

local function place(state, resource, pod, nodes, used)
  check_modelled(pod)
  local reasons, count = {}, 0
  local claim = missing_claim(state, pod)
  for _, node in ipairs(claim and {} or nodes) do
    local name = node.metadata.name
    local reason = obstacle(pod, node, used[name] or {})
    if not reason then
      local bound = actor.change(state, resource, pod, function(object)
        object.spec.nodeName = name
        object.status = table_of(object.status)
        actor.set_condition(state, object.status, actor.condition(state, "PodScheduled", "True"))
      end, nil, "kube-scheduler")
      used[name] = used[name] or {}
      for what, amount in pairs(requests_of(pod)) do
        used[name][what] = (used[name][what] or 0) + amount
      end
      actor.tell(state, bound, "Normal", "Scheduled", ("Successfully assigned %s/%s to %s"):format(
        pod.metadata.namespace, pod.metadata.name, name), "default-scheduler")
      return
    end
    reasons[reason] = (reasons[reason] or 0) + 1
  end
  for _, reason in ipairs(sorted_keys(reasons)) do
    count = count + 1
    reasons[count] = ("%d %s"):format(reasons[reason], reason)
  end
  local text = claim and ("0/%d nodes are available: persistentvolumeclaim %q not found."):format(#nodes, claim)
    or ("0/%d nodes are available: %s. preemption: 0/%d nodes are available: %d Preemption is not helpful for " ..
      "scheduling."):format(#nodes, concat(reasons, ", "), #nodes, #nodes)
  cannot(state, resource, pod, text)
end

scheduler.tolerates = tolerates

-- Puts pods that are on no node onto one.
function scheduler.run(state)
  local resource, nodes, used = state:kind "pods", nil, nil
  for _, pod in ipairs(state:list(resource)) do
    local is_ours = pod.spec.schedulerName == "default-scheduler"
    if is_ours and not pod.spec.nodeName and not pod.metadata.deletionTimestamp then
      nodes = nodes or state:list(state:kind "nodes")
      used = used or usage(state:list(resource))
      place(state, resource, pod, nodes, used)
    end
  end
end

return scheduler
