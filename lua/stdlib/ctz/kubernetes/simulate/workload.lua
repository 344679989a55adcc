-- kubernetes/simulate/workload.lua: what the controllers of workloads share: pods of an owner, templates, revisions.
-- SPDX-License-Identifier: MIT
local actor = require "ctz.kubernetes.simulate.actor"
local hash = require "ctz.hash"
local json = require "ctz.json"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, next, require, tonumber, type = ipairs, next, require, tonumber, type
local sub = string.sub

local ALPHABET <const> = "bcdfghjklmnpqrstvwxz2456789"

local table_of = values.table_of

local workload = {}

-- Does the object belong to the one with this uid?
function workload.is_owned(object, uid)
  for _, owner in ipairs(table_of(object.metadata.ownerReferences)) do
    if owner.uid == uid and owner.controller then
      return true
    end
  end
  return false
end

function workload.owned(state, key, owner)
  local found = {}
  for _, object in ipairs(state:list(state:kind(key), owner.metadata.namespace)) do
    if workload.is_owned(object, owner.metadata.uid) then
      found[#found + 1] = object
    end
  end
  return found
end

function workload.reference(owner)
  return values.list { {
    apiVersion = owner.apiVersion, kind = owner.kind, name = owner.metadata.name, uid = owner.metadata.uid,
    controller = true, blockOwnerDeletion = true,
  } }
end

-- A short text that tells templates apart.
function workload.hash(template)
  local hex, parts = hash.sha256(json.encode(template)), {}
  for i = 1, 10 do
    local at = tonumber(sub(hex, i * 2 - 1, i * 2), 16) % #ALPHABET + 1
    parts[i] = sub(ALPHABET, at, at)
  end
  return table.concat(parts)
end

function workload.is_active(pod)
  local phase = table_of(pod.status).phase
  return phase ~= "Succeeded" and phase ~= "Failed" and not pod.metadata.deletionTimestamp
end

function workload.ready_since(pod)
  local ready = values.find(table_of(pod.status).conditions, function(one) return one.type == "Ready" end)
  if ready and ready.status == "True" and not pod.metadata.deletionTimestamp then
    return require("ctz.time").parse(ready.lastTransitionTime)
  end
end

-- Has it been ready for so long? When not yet, it is looked at again when it is time.
function workload.is_available(state, pod, seconds)
  local since = workload.ready_since(pod)
  if not since then
    return false
  elseif since + (seconds or 0) <= state.kernel.clock then
    return true
  end
  state:wake(since + seconds - state.kernel.clock)
  return false
end

-- {all=, ready=, available=} of a list of pods
function workload.count(state, pods, min_ready)
  local all, ready, available = 0, 0, 0
  for _, pod in ipairs(pods) do
    if workload.is_active(pod) then
      all = all + 1
      ready = ready + (workload.ready_since(pod) and 1 or 0)
      available = available + (workload.is_available(state, pod, min_ready) and 1 or 0)
    end
  end
  return { all = all, ready = ready, available = available }
end

-- "25%" or 1 of so many; rounded up or down.
function workload.share(value, of, is_up)
  local percent = type(value) == "string" and tonumber(value:match "^(%d+)%%$")
  if not percent then
    return tonumber(value) or 0
  end
  return is_up and (percent * of + 99) // 100 or percent * of // 100
end

-- A pod of a template -> it; nil, the server's words: it cannot be made.
function workload.create_pod(state, owner, template, fields)
  local meta = values.copy(table_of(template.metadata))
  meta.name, meta.generateName = fields.name, not fields.name and owner.metadata.name .. "-" or nil
  meta.ownerReferences, meta.creationTimestamp = workload.reference(owner), nil
  meta.labels = table_of(meta.labels)
  for name, value in next, fields.labels or {} do
    meta.labels[name] = value
  end
  local spec = values.copy(template.spec)
  if fields.node then
    spec.nodeName = fields.node
  end
  if fields.change then
    fields.change(spec)
  end
  local pod, refused = actor.create(state, "pods", owner.metadata.namespace, { metadata = meta, spec = spec })
  if pod then
    actor.tell(state, owner, "Normal", "SuccessfulCreate", fields.told and fields.told(pod)
      or "Created pod: " .. pod.metadata.name, fields.component)
    return pod
  end
  actor.tell(state, owner, "Warning", "FailedCreate", "Error creating: " .. refused.message, fields.component)
  return nil, refused.message
end

function workload.delete_pod(state, owner, pod, component)
  actor.delete(state, state:kind "pods", pod)
  actor.tell(state, owner, "Normal", "SuccessfulDelete", "Deleted pod: " .. pod.metadata.name, component)
end

return workload
