-- kubernetes/simulate/actor.lua: how the controllers of a simulated cluster write: by the same way as everybody.
-- SPDX-License-Identifier: MIT
local refusal = require "ctz.kubernetes.simulate.refusal"
local values = require "ctz.kubernetes.simulate.values"
local write = require "ctz.kubernetes.simulate.write"

local error, pcall = error, pcall

local MANAGER <const> = "kube-controller-manager"

local actor = { MANAGER = MANAGER }

-- create(state, kind, namespace | nil, object) -> the object; nil, Status: the server refuses it.
function actor.create(state, key, namespace, object)
  local resource = state:kind(key)
  object.apiVersion, object.kind = resource.api_version, resource.kind
  local done, made = pcall(write.create, state, {
    resource = resource, namespace = namespace, query = {}, manager = MANAGER,
  }, object)
  if done then
    return made
  end
  local refused = refusal.status_of(made)
  if not refused then
    error(made, 0)
  end
  return nil, refused
end

-- change(state, resource, object, fn): fn changes a copy, status and all, which is then stored.
function actor.change(state, resource, object, fn, subresource, manager)
  local next_form = values.copy(object)
  fn(next_form)
  return write.update(state, {
    resource = resource, namespace = object.metadata.namespace, name = object.metadata.name, query = {},
    manager = manager or MANAGER, writes = subresource, is_controller = true,
  }, object, next_form)
end

-- status(state, resource, object, fn): fn(status) changes its status.
function actor.status(state, resource, object, fn, manager)
  return actor.change(state, resource, object, function(next_form)
    next_form.status = values.table_of(next_form.status)
    fn(next_form.status)
  end, "status", manager)
end

function actor.condition(state, kind, status, reason, message)
  return {
    type = kind, status = status, reason = reason, message = message, lastTransitionTime = state:stamp(),
  }
end

-- Sets a condition of a list; its time changes with its status.
function actor.set_condition(state, status, condition)
  status.conditions = values.list(values.table_of(status.conditions))
  local old, at = values.find(status.conditions, function(one) return one.type == condition.type end)
  if old and old.status == condition.status then
    condition.lastTransitionTime = old.lastTransitionTime
  else
    condition.lastTransitionTime = state:stamp()
  end
  status.conditions[at or #status.conditions + 1] = condition
end

function actor.delete(state, resource, object, options)
  return write.delete(state, {
    resource = resource, namespace = object.metadata.namespace, query = {}, manager = MANAGER,
  }, object, options or {})
end

-- --- events ----------------------------------------------------------------------------------------

-- tell(state, object, "Normal" | "Warning", reason, message, component): one that is told again is counted.
function actor.tell(state, object, kind, reason, message, component)
  local meta = object.metadata
  local resource, namespace = state:kind "events", meta.namespace or "default"
  state.told = state.told or {}
  local key = table.concat({ meta.uid, reason, message }, "\0")
  local old = state.told[key] and state:get(resource, namespace, state.told[key])
  if old then
    return actor.change(state, resource, old, function(event)
      event.count, event.lastTimestamp = event.count + 1, state:stamp()
    end, nil, component)
  end
  local space = state:get(state:kind "namespaces", nil, namespace)
  if not space or space.metadata.deletionTimestamp then
    return
  end
  local name = ("%s.%s%s"):format(meta.name, state:suffix(), state:suffix())
  state.told[key] = name
  actor.create(state, "events", namespace, {
    metadata = { name = name }, type = kind, reason = reason, message = message, count = 1,
    involvedObject = {
      apiVersion = object.apiVersion, kind = object.kind, name = meta.name, namespace = meta.namespace, uid = meta.uid,
      resourceVersion = meta.resourceVersion,
    },
    firstTimestamp = state:stamp(), lastTimestamp = state:stamp(), reportingComponent = component,
    reportingInstance = "", source = { component = component },
  })
end

return actor
