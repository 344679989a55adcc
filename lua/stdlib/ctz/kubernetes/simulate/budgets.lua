-- kubernetes/simulate/budgets.lua: disruption budgets, quotas and claims: what is counted, and what it forbids.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/controller/disruption, pkg/registry/core/pod/storage/eviction.go.
local actor = require "ctz.kubernetes.simulate.actor"
local admit = require "ctz.kubernetes.simulate.admit"
local refusal = require "ctz.kubernetes.simulate.refusal"
local values = require "ctz.kubernetes.simulate.values"
local workload = require "ctz.kubernetes.simulate.workload"

local ipairs, max, next = ipairs, math.max, next

local table_of = values.table_of

local budgets = {}

-- --- disruption budgets ------------------------------------------------------------------------------

local function fits(selector, labels)
  labels = table_of(labels)
  for name, value in next, table_of(selector.matchLabels) do
    if labels[name] ~= value then
      return false
    end
  end
  for _, rule in ipairs(table_of(selector.matchExpressions)) do
    local value = labels[rule.key]
    local is_in = values.find(rule.values, function(one) return one == value end) ~= nil
    if rule.operator == "In" and not is_in or rule.operator == "NotIn" and is_in
      or rule.operator == "Exists" and value == nil or rule.operator == "DoesNotExist" and value ~= nil then
      return false
    end
  end
  return true
end

-- expected, healthy, wanted number of pods
local function counts_of(state, budget)
  local expected, healthy = 0, 0
  for _, pod in ipairs(state:list(state:kind "pods", budget.metadata.namespace)) do
    if workload.is_active(pod) and fits(table_of(budget.spec.selector), pod.metadata.labels) then
      expected = expected + 1
      healthy = healthy + (workload.ready_since(pod) and 1 or 0)
    end
  end
  local spec = budget.spec
  local wanted = spec.maxUnavailable ~= nil and expected - workload.share(spec.maxUnavailable, expected, true)
    or workload.share(spec.minAvailable == nil and 1 or spec.minAvailable, expected, true)
  return expected, healthy, max(0, wanted)
end

local function sync(state, resource, budget)
  local expected, healthy, wanted = counts_of(state, budget)
  local allowed = expected > 0 and max(0, healthy - wanted) or 0
  actor.status(state, resource, budget, function(status)
    status.expectedPods, status.currentHealthy, status.desiredHealthy = expected, healthy, wanted
    status.disruptionsAllowed, status.observedGeneration = allowed, budget.metadata.generation
    actor.set_condition(state, status, actor.condition(state, "DisruptionAllowed", allowed > 0 and "True" or "False",
      allowed > 0 and "SufficientPods" or "InsufficientPods", ""))
  end)
end

-- Raises when a budget forbids that a pod is evicted.
function budgets.check(state, pod)
  if not workload.is_active(pod) or not table_of(pod.spec).nodeName then
    return
  end
  for _, budget in ipairs(state:list(state:kind "policy/poddisruptionbudgets", pod.metadata.namespace)) do
    if fits(table_of(budget.spec.selector), pod.metadata.labels) then
      local _, healthy, wanted = counts_of(state, budget)
      if healthy - wanted <= 0 and workload.ready_since(pod) then
        refusal.refuse(429, "TooManyRequests",
          "Cannot evict pod as it would violate the pod's disruption budget.", { causes = { {
            reason = "DisruptionBudget", message = ("The disruption budget %s needs %d healthy pods and has %d " ..
              "currently"):format(budget.metadata.name, wanted, healthy),
          } } })
      end
    end
  end
end

-- --- quotas, claims ----------------------------------------------------------------------------------

local function sync_quota(state, resource, quota)
  actor.status(state, resource, quota, function(status)
    status.hard, status.used = values.copy(quota.spec.hard), {}
    for name in next, table_of(quota.spec.hard) do
      status.used[name] = ("%d"):format(admit.count(state, admit.counted(state, name), quota.metadata.namespace))
    end
  end)
end

local function bind(state, resource, claim)
  local name = "pvc-" .. claim.metadata.uid
  actor.create(state, "persistentvolumes", nil, {
    metadata = { name = name },
    spec = {
      accessModes = values.copy(claim.spec.accessModes), storageClassName = claim.spec.storageClassName,
      capacity = values.copy(table_of(table_of(claim.spec.resources).requests)),
      claimRef = { apiVersion = "v1", kind = "PersistentVolumeClaim", name = claim.metadata.name,
        namespace = claim.metadata.namespace, uid = claim.metadata.uid },
      persistentVolumeReclaimPolicy = "Delete", volumeMode = claim.spec.volumeMode,
    },
  })
  actor.change(state, resource, claim, function(object)
    object.spec.volumeName = name
    object.status = {
      phase = "Bound", accessModes = values.copy(claim.spec.accessModes),
      capacity = values.copy(table_of(table_of(claim.spec.resources).requests)),
    }
  end)
end

-- A volume whose claim is gone goes with what is in it.
local function release(state)
  local resource = state:kind "persistentvolumes"
  for _, volume in ipairs(state:list(resource)) do
    local claim = table_of(volume.spec.claimRef)
    local owner = claim.name and state:get(state:kind "persistentvolumeclaims", claim.namespace, claim.name)
    if claim.uid and volume.spec.persistentVolumeReclaimPolicy == "Delete"
      and not (owner and owner.metadata.uid == claim.uid) then
      table_of(state.claims)[claim.namespace .. "/" .. claim.name] = nil
      actor.delete(state, resource, volume)
    end
  end
end

function budgets.run(state)
  local claims = state:kind "persistentvolumeclaims"
  for _, claim in ipairs(state:list(claims)) do
    if table_of(claim.status).phase ~= "Bound" and not claim.metadata.deletionTimestamp then
      bind(state, claims, claim)
    end
  end
  release(state)
  local quotas = state:kind "resourcequotas"
  for _, quota in ipairs(state:list(quotas)) do
    sync_quota(state, quotas, quota)
  end
  local resource = state:kind "policy/poddisruptionbudgets"
  for _, budget in ipairs(state:list(resource)) do
    sync(state, resource, budget)
  end
end

return budgets
