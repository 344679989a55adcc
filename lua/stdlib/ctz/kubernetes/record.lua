-- kubernetes/record.lua: a workload as one flat record: what was asked for, what runs, and what leads to it.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local status = require "ctz.kubernetes.status"
local stuck = require "ctz.kubernetes.stuck"
local time = require "ctz.time"
local units = require "ctz.units"
local why = require "ctz.kubernetes.why"

local ipairs, max, next, pairs, type = ipairs, math.max, next, pairs, type

local HASH <const> = "pod-template-hash"

local function list_of(value)
  return type(value) == "table" and value or {}
end

local function given(value)
  return value ~= json.null and value or nil
end

-- --- what was asked for ------------------------------------------------------------------------

local function ports_of(containers)
  local ports = json.array {}
  for _, container in ipairs(containers) do
    for _, port in ipairs(list_of(container.ports)) do
      ports[#ports + 1] = { port = port.containerPort, name = given(port.name), protocol = port.protocol or "TCP" }
    end
  end
  return ports
end

-- As the builders take it: {NAME = text}, {secret=, key=}, {config_map=, key=}, {field=}.
local function environment_of(container)
  local environment = json.object {}
  for _, one in ipairs(list_of(container.env)) do
    local from = list_of(one.valueFrom)
    local secret, map, field = from.secretKeyRef, from.configMapKeyRef, from.fieldRef or from.resourceFieldRef
    environment[one.name] = secret and { secret = secret.name, key = secret.key }
      or map and { config_map = map.name, key = map.key }
      or field and { field = field.fieldPath or field.resource }
      or given(one.value) or ""
  end
  return environment
end

local function replicas_of(object)
  local spec, now = object.spec, list_of(object.status)
  if object.kind == "Job" then
    return given(spec.completions) or given(spec.parallelism) or 1
  elseif object.kind == "DaemonSet" then
    return now.desiredNumberScheduled or 0
  end
  return given(spec.replicas) or 1
end

local function ready_of(object)
  local now = list_of(object.status)
  return now.readyReplicas or now.numberReady or object.kind == "Job" and now.succeeded or 0
end

local function images_of(containers)
  local images = json.array {}
  for i, container in ipairs(containers) do
    images[i] = container.image
  end
  return images
end

-- When somebody wrote it last: conditions and managed fields have times.
local function updated_at(object)
  local latest = units.unix_time(object.metadata.creationTimestamp) or 0
  for _, entry in ipairs(list_of(object.metadata.managedFields)) do
    latest = max(latest, units.unix_time(given(entry.time)) or 0)
  end
  for _, condition in ipairs(list_of(list_of(object.status).conditions)) do
    latest = max(latest, units.unix_time(given(condition.lastTransitionTime)) or 0)
  end
  return latest
end

-- --- what runs ---------------------------------------------------------------------------------

local function pod_record(pod)
  local now = list_of(pod.status)
  local ready = status.condition(pod, "Ready")
  local record = {
    name = pod.metadata.name, status = (given(now.phase) or "Pending"):lower(),
    ready = ready ~= nil and ready.status == "True", restarts = 0, node = given(pod.spec.nodeName),
    ip = given(now.podIP), created_at = units.unix_time(pod.metadata.creationTimestamp),
  }
  for _, container in ipairs(list_of(now.containerStatuses)) do
    local ended = list_of(container.state).terminated
    record.restarts = record.restarts + (container.restartCount or 0)
    record.exit_code = max(record.exit_code or 0, ended and ended.exitCode or 0)
    record.exit_code = (ended or record.exit_code > 0) and record.exit_code or nil
  end
  return record
end

-- Does a Service lead to pods with these labels?
local function leads_to(service, labels)
  local selector = list_of(service.spec.selector)
  for name, value in pairs(selector) do
    if labels[name] ~= value then
      return false
    end
  end
  return next(selector) ~= nil
end

local function service_record(service)
  local ports = json.array {}
  for i, port in ipairs(list_of(service.spec.ports)) do
    ports[i] = {
      port = port.port, target = given(port.targetPort), node_port = given(port.nodePort), name = given(port.name),
      protocol = port.protocol or "TCP",
    }
  end
  return {
    name = service.metadata.name, type = service.spec.type, cluster_ip = given(service.spec.clusterIP), ports = ports,
  }
end

local function services_of(client, object)
  local services, labels = json.array {}, list_of(list_of(object.spec.template.metadata).labels)
  for _, service in ipairs(client:list("services", { namespace = object.metadata.namespace }).items) do
    if leads_to(service, labels) then
      services[#services + 1] = service_record(service)
    end
  end
  return services
end

-- Pods of the form that came last: those of older forms may fail as they like.
local function newest(pods)
  local last
  for _, pod in ipairs(pods) do
    last = (not last or pod.metadata.creationTimestamp > last.metadata.creationTimestamp) and pod or last
  end
  local hash, kept = last and list_of(last.metadata.labels)[HASH], {}
  for _, pod in ipairs(pods) do
    kept[#kept + 1] = list_of(pod.metadata.labels)[HASH] == hash and pod or nil
  end
  return kept
end

-- Those that are old enough to be judged, as a wait has it.
-- By the clock of this machine; one that is behind the server's judges at once.
local function settled(pods)
  local kept, now = {}, time.now()
  for _, pod in ipairs(pods) do
    local age = now - (units.unix_time(pod.metadata.creationTimestamp) or 0)
    kept[#kept + 1] = (age < 0 or age >= stuck.PATIENCE_S) and pod or nil
  end
  return kept
end

local function any_runs(pods)
  for _, pod in ipairs(pods) do
    if list_of(pod.status).phase == "Running" then
      return true
    end
  end
  return false
end

-- -> "pending" | "running" | "failed" | "succeeded", why it is not what it should be
local function state_of(client, object, pods)
  local is_job = object.kind == "Job"
  local state, text = status.of(object)
  if state == "ready" then
    return is_job and "succeeded" or "running"
  end
  local reasons = why.of(client, object, settled(newest(pods)))
  if state == "failed" or stuck.reason(object, reasons) then
    local told = why.text(reasons, {})
    return "failed", told ~= "" and told or text
  end
  return is_job and any_runs(pods) and "running" or "pending", text
end

-- fill(record, client, object): sets all fields of the record from the workload as it is; simulated and
-- dry-run ones have no pods yet.
local function fill(record, client, object)
  local containers = list_of(object.spec.template.spec.containers)
  local pods = object.metadata.uid and list_of(object.spec.selector) and why.pods(client, object) or {}
  record.name, record.namespace, record.kind = object.metadata.name, object.metadata.namespace, object.kind
  record.replicas, record.ready_replicas = replicas_of(object), ready_of(object)
  record.image, record.images = containers[1].image, images_of(containers)
  record.ports, record.environment = ports_of(containers), environment_of(containers[1])
  record.resources = list_of(containers[1].resources)
  record.status, record.reason = state_of(client, object, pods)
  record.pods, record.services = json.array {}, services_of(client, object)
  for i, pod in ipairs(pods) do
    record.pods[i] = pod_record(pod)
  end
  record.created_at, record.last_updated = units.unix_time(object.metadata.creationTimestamp), updated_at(object)
  return record
end

return { fill = fill, newest = newest }
