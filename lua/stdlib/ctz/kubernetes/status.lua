-- kubernetes/status.lua: whether an object is what it was asked to be: ready, on its way, or failed.
-- SPDX-License-Identifier: MIT
-- Source: sigs.k8s.io/cli-utils, pkg/kstatus/status; kubectl, pkg/polymorphichelpers/rollout_status.go.
local ipairs, tostring, type = ipairs, tostring, type

local status = {}

local function fields_of(object)
  return type(object.status) == "table" and object.status or {}
end

-- status.condition(object, "Ready") -> its condition {type=, status=, reason=, message=}, nil when it has none
function status.condition(object, name)
  local conditions = fields_of(object).conditions
  for _, condition in ipairs(type(conditions) == "table" and conditions or {}) do
    if condition.type:lower() == name:lower() then
      return condition
    end
  end
end

local function has(object, name)
  local condition = status.condition(object, name)
  return condition and condition.status == "True" and condition or nil
end

local function ready()
  return "ready"
end

local function progressing(text, ...)
  return "progressing", text:format(...)
end

local function failed(condition)
  return "failed", (condition.reason or condition.type) .. (condition.message and ": " .. condition.message or "")
end

-- --- workloads ---------------------------------------------------------------------------------

local function deployment(object)
  local spec, now = object.spec, fields_of(object)
  local wanted = spec.replicas or 1
  local progress = status.condition(object, "Progressing")
  if progress and progress.reason == "ProgressDeadlineExceeded" then
    return failed(progress)
  end
  local updated, all, available = now.updatedReplicas or 0, now.replicas or 0, now.availableReplicas or 0
  if updated < wanted then
    return progressing("%d of %d new replicas have been made", updated, wanted)
  elseif all > updated then
    return progressing("%d old replicas are to end", all - updated)
  elseif available < updated then
    return progressing("%d of %d replicas are available", available, updated)
  end
  return "ready"
end

local function replica_set(object)
  local wanted, now = object.spec.replicas or 1, fields_of(object)
  local failure = has(object, "ReplicaFailure")
  if failure then
    return failed(failure)
  elseif (now.availableReplicas or 0) < wanted then
    return progressing("%d of %d replicas are available", now.availableReplicas or 0, wanted)
  elseif (now.replicas or 0) > wanted then
    return progressing("%d replicas are to end", now.replicas - wanted)
  end
  return "ready"
end

local function stateful_set(object)
  local spec, now = object.spec, fields_of(object)
  local wanted = spec.replicas or 1
  if spec.updateStrategy and spec.updateStrategy.type == "OnDelete" then
    return ready()
  elseif (now.readyReplicas or 0) < wanted then
    return progressing("%d of %d replicas are ready", now.readyReplicas or 0, wanted)
  end
  local rolling = spec.updateStrategy and spec.updateStrategy.rollingUpdate
  local partition = rolling and rolling.partition or 0
  if partition > 0 then
    if (now.updatedReplicas or 0) < wanted - partition then
      return progressing("%d of %d replicas are updated", now.updatedReplicas or 0, wanted - partition)
    end
    return "ready"
  elseif now.updateRevision ~= now.currentRevision then
    return progressing("%d of %d replicas are updated", now.updatedReplicas or 0, wanted)
  end
  return "ready"
end

local function daemon_set(object)
  local spec, now = object.spec, fields_of(object)
  local wanted = now.desiredNumberScheduled or 0
  if spec.updateStrategy and spec.updateStrategy.type == "OnDelete" then
    return ready()
  elseif (now.updatedNumberScheduled or 0) < wanted then
    return progressing("%d of %d pods are updated", now.updatedNumberScheduled or 0, wanted)
  elseif (now.numberAvailable or 0) < wanted then
    return progressing("%d of %d pods are available", now.numberAvailable or 0, wanted)
  end
  return "ready"
end

local function pod(object)
  local now = fields_of(object)
  if now.phase == "Succeeded" then
    return "ready"
  elseif now.phase == "Failed" then
    return "failed", now.reason or now.message or "a container failed"
  elseif has(object, "Ready") then
    return "ready"
  end
  return progressing("it is %s", (now.phase or "Pending"):lower())
end

local function job(object)
  local failure = has(object, "Failed")
  if failure then
    return failed(failure)
  elseif has(object, "Complete") then
    return "ready"
  end
  local now = fields_of(object)
  return progressing("%d succeeded, %d active, %d failed", now.succeeded or 0, now.active or 0, now.failed or 0)
end

-- --- the rest ----------------------------------------------------------------------------------

local function claim(object)
  local phase = fields_of(object).phase
  if phase == "Bound" then
    return "ready"
  end
  return progressing("it is %s", tostring(phase or "Pending"):lower())
end

local function service(object)
  if object.spec.type ~= "LoadBalancer" then
    return "ready"
  end
  local balancer = fields_of(object).loadBalancer
  if balancer and balancer.ingress and #balancer.ingress > 0 then
    return "ready"
  end
  return progressing "it has no address yet"
end

local function definition(object)
  local names = status.condition(object, "NamesAccepted")
  if names and names.status == "False" then
    return failed(names)
  elseif has(object, "Established") then
    return "ready"
  end
  return progressing "it is not established yet"
end

local function namespace(object)
  local phase = fields_of(object).phase
  if phase == "Terminating" then
    return progressing "it is terminating"
  end
  return "ready"
end

-- Custom kinds: what their conditions say; without any, to exist is all.
local function other(object)
  local stalled = has(object, "Stalled")
  if stalled then
    return failed(stalled)
  end
  local condition = status.condition(object, "Ready") or status.condition(object, "Available")
  if condition and condition.status ~= "True" then
    return progressing("%s is %s%s", condition.type, condition.status,
      condition.message and condition.message ~= "" and ": " .. condition.message or "")
  elseif has(object, "Reconciling") then
    return progressing "it is being reconciled"
  end
  return "ready"
end

local KINDS <const> = {
  ["apps/Deployment"] = deployment, ["apps/ReplicaSet"] = replica_set, ["apps/StatefulSet"] = stateful_set,
  ["apps/DaemonSet"] = daemon_set, ["/Pod"] = pod, ["batch/Job"] = job, ["/PersistentVolumeClaim"] = claim,
  ["/Service"] = service, ["apiextensions.k8s.io/CustomResourceDefinition"] = definition, ["/Namespace"] = namespace,
  ["/ReplicationController"] = replica_set,
}

local HAS_CONTROLLER <const> = { [deployment] = true, [stateful_set] = true, [daemon_set] = true, [replica_set] = true }

-- status.of(object) -> "ready" | "progressing" | "failed", text: why it is not ready
function status.of(object)
  local meta = object.metadata
  if meta.deletionTimestamp then
    return progressing "it is being deleted"
  end
  local observed = fields_of(object).observedGeneration
  if observed and meta.generation and observed < meta.generation then
    return progressing "its controller has not seen the change yet"
  end
  local group = object.apiVersion:match "^(.*)/" or ""
  local of_kind = KINDS[group .. "/" .. object.kind]
  if HAS_CONTROLLER[of_kind] and not observed then
    return progressing "its controller has not seen it yet"
  end
  return (of_kind or other)(object)
end

return status
