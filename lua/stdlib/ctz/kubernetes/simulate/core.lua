-- kubernetes/simulate/core.lua: namespaces, definitions, nodes and owners of a simulated cluster.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/controller/namespace, pkg/controller/garbagecollector.
local actor = require "ctz.kubernetes.simulate.actor"
local values = require "ctz.kubernetes.simulate.values"
local write = require "ctz.kubernetes.simulate.write"

local ipairs = ipairs

local table_of = values.table_of

local core = {}

-- --- namespaces ------------------------------------------------------------------------------------

local function furnish(state, name)
  if not state:get(state:kind "serviceaccounts", name, "default") then
    actor.create(state, "serviceaccounts", name, { metadata = { name = "default" } })
  end
  if not state:get(state:kind "configmaps", name, "kube-root-ca.crt") then
    actor.create(state, "configmaps", name, { metadata = { name = "kube-root-ca.crt" }, data = {
      ["ca.crt"] = "-----BEGIN CERTIFICATE-----\nsimulated\n-----END CERTIFICATE-----\n" } })
  end
end

-- Deletes what is in it; true when nothing is left.
local function empty(state, name)
  local is_empty = true
  for _, resource in ipairs(state.resources) do
    if resource.namespaced and state.by_key[resource.key] == resource then
      for _, object in ipairs(state:list(resource, name)) do
        if not object.metadata.deletionTimestamp then
          actor.delete(state, resource, object)
        end
        is_empty = is_empty and state:get(resource, name, object.metadata.name) == nil
      end
    end
  end
  return is_empty
end

function core.namespaces(state)
  local resource = state:kind "namespaces"
  for _, space in ipairs(state:list(resource)) do
    local name = space.metadata.name
    if not space.metadata.deletionTimestamp then
      furnish(state, name)
    elseif empty(state, name) and #table_of(space.spec.finalizers) > 0 then
      actor.change(state, resource, space, function(object)
        object.spec.finalizers = nil
      end)
    end
  end
end

-- Under --simulate the namespace that a recipe names is there.
function core.begin_namespace(state, name)
  if not state:get(state:kind "namespaces", nil, name) then
    actor.create(state, "namespaces", nil, { metadata = { name = name } })
    furnish(state, name)
  end
end

-- --- definitions -----------------------------------------------------------------------------------

function core.definitions(state)
  local resource = state:kind "customresourcedefinitions.apiextensions.k8s.io"
    or state:kind "apiextensions.k8s.io/customresourcedefinitions"
  for _, definition in ipairs(state:list(resource)) do
    if not table_of(definition.status).conditions then
      actor.status(state, resource, definition, function(status)
        status.acceptedNames = values.copy(definition.spec.names)
        status.conditions = values.list {
          actor.condition(state, "NamesAccepted", "True", "NoConflicts", "no conflicts found"),
          actor.condition(state, "Established", "True", "InitialNamesAccepted",
            "the initial names have been accepted"),
        }
        status.storedVersions = values.list()
        for _, version in ipairs(definition.spec.versions) do
          status.storedVersions[#status.storedVersions + 1] = version.storage and version.name or nil
        end
      end)
    end
  end
end

-- --- owners ----------------------------------------------------------------------------------------

local function owners(state)
  local alive, owned = {}, {}
  for _, resource in ipairs(state.resources) do
    if state.by_key[resource.key] == resource then
      for _, object in ipairs(state:list(resource)) do
        alive[object.metadata.uid] = object
        if object.metadata.ownerReferences then
          owned[#owned + 1] = { resource, object }
        end
      end
    end
  end
  return alive, owned
end

local function has_finalizer(object, name)
  return values.find(object.metadata.finalizers, function(one) return one == name end) ~= nil
end

local function remove(state, resource, object, policy)
  if not object.metadata.deletionTimestamp then
    actor.delete(state, resource, object, { propagationPolicy = policy })
  end
end

local function without_owner(state, resource, object, uid)
  actor.change(state, resource, object, function(next_form)
    local meta, kept = next_form.metadata, values.list()
    for _, reference in ipairs(meta.ownerReferences) do
      kept[#kept + 1] = reference.uid ~= uid and reference or nil
    end
    meta.ownerReferences = #kept > 0 and kept or nil
  end)
end

-- What its owners are gone of goes; who waits for what it owns goes after it.
function core.garbage(state)
  local alive, owned = owners(state)
  local blocked = {}
  for _, entry in ipairs(owned) do
    local resource, object = entry[1], entry[2]
    local has_owner, foreground = false, false
    for _, reference in ipairs(object.metadata.ownerReferences) do
      local owner = alive[reference.uid]
      if owner and has_finalizer(owner, "orphan") then
        without_owner(state, resource, object, reference.uid)
        has_owner = true
      elseif owner then
        local waits = has_finalizer(owner, "foregroundDeletion")
        blocked[reference.uid] = blocked[reference.uid] or waits
        has_owner, foreground = has_owner or not waits, foreground or waits
      end
    end
    if not has_owner then
      remove(state, resource, object, foreground and "Foreground" or "Background")
    end
  end
  for _, resource in ipairs(state.resources) do
    for _, object in ipairs(state:list(resource)) do
      local meta = object.metadata
      if meta.deletionTimestamp and has_finalizer(object, "orphan") then
        write.finalize(state, resource, object, "orphan")
      elseif meta.deletionTimestamp and has_finalizer(object, "foregroundDeletion") and not blocked[meta.uid] then
        write.finalize(state, resource, object, "foregroundDeletion")
      end
    end
  end
end

-- --- the beginning ---------------------------------------------------------------------------------

local function node(state, name)
  local conditions = {}
  for i, one in ipairs {
    { "MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available" },
    { "DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure" },
    { "PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available" },
    { "Ready", "True", "KubeletReady", "kubelet is posting ready status" },
  } do
    conditions[i] = actor.condition(state, table.unpack(one))
    conditions[i].lastHeartbeatTime = state:stamp()
  end
  local amounts = { cpu = "4", memory = "8Gi", pods = "110" }
  local made = actor.create(state, "nodes", nil, { metadata = { name = name, labels = {
    ["kubernetes.io/arch"] = "amd64", ["kubernetes.io/hostname"] = name, ["kubernetes.io/os"] = "linux",
  } }, spec = {} })
  actor.status(state, state:kind "nodes", made, function(status)
    status.addresses = values.list {
      { address = "10.99.0.1", type = "InternalIP" }, { address = name, type = "Hostname" },
    }
    status.allocatable, status.capacity = amounts, values.copy(amounts)
    status.conditions = values.list(conditions)
    status.nodeInfo = {
      architecture = "amd64", containerRuntimeVersion = "simulated://1", kernelVersion = "0",
      kubeletVersion = "v1.37.2", operatingSystem = "linux", osImage = "simulated",
    }
  end)
end

function core.setup(state)
  for _, name in ipairs { "default", "kube-system", "kube-public", "kube-node-lease" } do
    core.begin_namespace(state, name)
  end
  for i = 1, state.settings.nodes or 1 do
    node(state, "node-" .. i)
  end
end

return core
