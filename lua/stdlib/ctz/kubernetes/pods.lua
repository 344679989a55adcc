-- kubernetes/pods.lua: the pods that a target means: a pod, or those of a workload, a service, a selector.
-- SPDX-License-Identifier: MIT
local failure = require "ctz.kubernetes.failure"
local json = require "ctz.json"

local ipairs, pairs, type = ipairs, pairs, type
local concat, sort = table.concat, table.sort

local PODS <const> = { po = true, pod = true, pods = true }
local NAME_HINT <const> = '"pod-name", "deployment/web", an object, or {selector="app=web"}'

local pods_of = { escape = require("ctz.core.http").escape }

local function is_given(value)
  return value ~= nil and value ~= json.null
end

local function is_name(text)
  return type(text) == "string" and #text <= 253 and text:find "^%w[%w%.%-]*$" ~= nil
end

-- read(op, target, opts, client) -> {kind=, name=, namespace=, selector=}
function pods_of.read(op, target, opts, client)
  local namespace = opts.namespace or client.namespace
  if type(target) == "string" then
    local kind, name = target:match "^([^/]+)/([^/]+)$"
    if not kind and not target:find("/", 1, true) and target ~= "" then
      kind, name = "pod", target
    end
    if is_name(kind) and is_name(name) and is_name(namespace) then
      return { kind = kind, name = name, namespace = namespace }
    end
  elseif type(target) == "table" and type(target.metadata) == "table" and type(target.kind) == "string" then
    local meta = target.metadata
    return { kind = target.kind, name = meta.name, namespace = meta.namespace or namespace }
  elseif type(target) == "table" and type(target.selector) == "string" then
    return { selector = target.selector, namespace = target.namespace or namespace }
  end
  return failure.usage(op, "bad argument 'target' to '%s': expected %s", op, NAME_HINT)
end

function pods_of.is_pod(read)
  return read.kind ~= nil and PODS[read.kind:lower()] == true
end

function pods_of.path(namespace, name, rest)
  local path = "/api/v1/namespaces/" .. pods_of.escape(namespace) .. "/pods"
  return name and path .. "/" .. pods_of.escape(name) .. (rest or "") or path
end

function pods_of.shown(read)
  local what = read.selector and "pods of " .. read.selector or read.kind .. "/" .. read.name
  return what .. " in namespace " .. read.namespace
end

-- {matchLabels=, matchExpressions=} or a service's map, as a query has it.
local function selector_text(selector)
  local parts = {}
  for name, value in pairs(is_given(selector.matchLabels) and selector.matchLabels or {}) do
    parts[#parts + 1] = name .. "=" .. value
  end
  for _, one in ipairs(is_given(selector.matchExpressions) and selector.matchExpressions or {}) do
    local values = concat(is_given(one.values) and one.values or {}, ",")
    local forms = {
      In = one.key .. " in (" .. values .. ")", NotIn = one.key .. " notin (" .. values .. ")",
      Exists = one.key, DoesNotExist = "!" .. one.key,
    }
    parts[#parts + 1] = forms[one.operator]
  end
  sort(parts)
  return concat(parts, ",")
end

-- The label selector of a workload's or a service's pods.
local function selector_of(client, read, opts)
  local object = client:get(read.kind, read.name, { namespace = read.namespace, timeout = opts.timeout })
  local spec = is_given(object.spec) and object.spec or {}
  local selector = spec.selector
  if object.kind == "CronJob" or not is_given(selector) or type(selector) ~= "table" then
    failure.usage(opts.op, "%s has no pods of its own", pods_of.shown(read))
  end
  local is_map = not is_given(selector.matchLabels) and not is_given(selector.matchExpressions)
  return selector_text(is_map and { matchLabels = selector } or selector)
end

-- selector(client, read, opts) -> text, nil for a pod. opts: op, timeout
function pods_of.selector(client, read, opts)
  if pods_of.is_pod(read) then
    return nil
  end
  read.selector = read.selector or selector_of(client, read, opts)
  return read.selector
end

-- The pod itself.
function pods_of.pod(client, read, name, opts)
  return (client:call("GET", pods_of.path(read.namespace, name), {
    op = opts.op, target = "pod/" .. name .. " in namespace " .. read.namespace, timeout = opts.timeout,
  }))
end

-- pods(client, read, opts) -> list of pods, by name; second, the list's resourceVersion (of a selector).
function pods_of.pods(client, read, opts)
  local selector = pods_of.selector(client, read, opts)
  if not selector then
    return { pods_of.pod(client, read, read.name, opts) }
  end
  local list = client:call("GET", pods_of.path(read.namespace), {
    op = opts.op, target = pods_of.shown(read), timeout = opts.timeout, query = { labelSelector = selector },
  })
  local pods = list.items
  sort(pods, function(a, b)
    return a.metadata.name < b.metadata.name
  end)
  return pods, list.metadata.resourceVersion
end

local function is_ready(pod)
  for _, condition in ipairs(is_given(pod.status.conditions) and pod.status.conditions or {}) do
    if condition.type == "Ready" then
      return condition.status == "True"
    end
  end
  return false
end

local function rank(pod)
  local running = pod.status.phase == "Running"
  return (pod.metadata.deletionTimestamp and 4 or 0) + (running and 0 or 2) + (is_ready(pod) and 0 or 1)
end

-- one(client, read, opts) -> pod: the one that runs best, as kubectl chooses.
function pods_of.one(client, read, opts)
  local best
  for _, pod in ipairs((pods_of.pods(client, read, opts))) do
    if not best or rank(pod) < rank(best) then
      best = pod
    end
  end
  if not best then
    failure.fail("not_found", opts.op, pods_of.shown(read) .. " has no pods", {
      hint = "client:list(\"pods\") shows which there are", target = pods_of.shown(read),
    })
  end
  return best
end

-- All containers of a pod, those that it runs first.
function pods_of.containers(pod)
  local list = {}
  for _, field in ipairs { "containers", "initContainers", "ephemeralContainers" } do
    for _, container in ipairs(is_given(pod.spec[field]) and pod.spec[field] or {}) do
      list[#list + 1] = container
    end
  end
  return list
end

-- Their states by their names.
function pods_of.statuses(pod)
  local by_name = {}
  for _, field in ipairs { "containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses" } do
    for _, status in ipairs(is_given(pod.status[field]) and pod.status[field] or {}) do
      by_name[status.name] = status
    end
  end
  return by_name
end

local function names_of(pod)
  local names = {}
  for i, container in ipairs(pods_of.containers(pod)) do
    names[i] = container.name
  end
  return names
end

-- container(op, pod, wanted) -> name: as kubectl chooses when none is named.
function pods_of.container(op, pod, wanted)
  local annotations = is_given(pod.metadata.annotations) and pod.metadata.annotations or {}
  local names = names_of(pod)
  local name = wanted or annotations["kubectl.kubernetes.io/default-container"]
  for _, one in ipairs(names) do
    if one == name then
      return one
    end
  end
  if not wanted then
    return names[1]
  end
  return failure.fail("not_found", op, ("pod %s has no container %q"):format(pod.metadata.name, wanted), {
    hint = "it has " .. concat(names, ", "), target = "pod/" .. pod.metadata.name,
  })
end

pods_of.is_given, pods_of.container_names = is_given, names_of

return pods_of
