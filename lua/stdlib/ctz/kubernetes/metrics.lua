-- kubernetes/metrics.lua: what containers and nodes use now, where the cluster has a metrics server.
-- SPDX-License-Identifier: MIT
-- Source: k8s.io/metrics, pkg/apis/metrics/v1beta1/types.go; kubectl, pkg/cmd/top.
local check = require("ctz.options").check
local failure = require "ctz.kubernetes.failure"
local pods_of = require "ctz.kubernetes.pods"
local targets = require "ctz.kubernetes.targets"
local time = require "ctz.time"
local units = require "ctz.units"

local error, ipairs, max, pcall, tonumber = error, ipairs, math.max, pcall, tonumber
local floor, tostring, type = math.floor, tostring, type
local sort = table.sort

local BASE <const> = "/apis/metrics.k8s.io/v1beta1"
local MB <const> = 1000000
local SCALES <const> = {
  n = 1e-9, u = 1e-6, m = 1e-3, k = 1e3, M = 1e6, G = 1e9, T = 1e12, P = 1e15, E = 1e18,
  Ki = 2 ^ 10, Mi = 2 ^ 20, Gi = 2 ^ 30, Ti = 2 ^ 40, Pi = 2 ^ 50, Ei = 2 ^ 60,
}
local SORTS <const> = { cpu = "cpu_cores", memory = "memory_bytes", name = "name" }

local function given(value)
  return pods_of.is_given(value) and value or nil
end

-- What is measured is no sum of money: a float does.
local function number_of(quantity)
  local text = tostring(quantity)
  local digits, suffix = text:match "^([%d.]+)(%a+)$"
  return digits and SCALES[suffix] and tonumber(digits) * SCALES[suffix] or tonumber(text)
end

local function bytes_of(quantity)
  local bytes = number_of(quantity)
  return bytes and floor(bytes)
end

-- Who serves the group says what it is that is not found.
local function is_not_served(err)
  local words = err.message or ""
  return err.status == 404 and (not err.reason or words:find("could not find the requested resource", 1, true))
end

local function ask(client, op, path, opts, query)
  local ok, value = pcall(client.call, client, "GET", BASE .. path, {
    op = op, target = "metrics", timeout = opts.timeout, query = query, retry = false,
  })
  if ok then
    return value
  end
  if type(value) == "table" and is_not_served(value) then
    failure.fail("unsupported", op, "the cluster has no metrics: metrics.k8s.io is not served", {
      hint = "install metrics-server, https://github.com/kubernetes-sigs/metrics-server", cause = value,
    })
  elseif type(value) == "table" and value.status == 503 then
    failure.fail("unreachable", op, "the metrics server of the cluster does not answer", {
      hint = 'client:get("apiservice", "v1beta1.metrics.k8s.io").status says why', cause = value, status = 503,
      retryable = true,
    })
  end
  return error(value, 0)
end

-- --- containers ----------------------------------------------------------------------------------

local function set(metrics, name, bytes)
  metrics[name .. "_bytes"] = bytes
  metrics[name .. "_mb"] = bytes and bytes / MB
end

local function limit_of(container)
  local resources = given(container.resources)
  local limits = resources and given(resources.limits)
  return limits and bytes_of(limits.memory)
end

-- measured: {name, usage}; container, status: of the pod
local function metrics_of(of_pod, measured, container, status)
  local state = given(status.state) or {}
  local started = given(state.running) and units.unix_time(state.running.startedAt)
  local cores = number_of(measured.usage.cpu)
  local metrics = {
    container_name = measured.name,
    pod = of_pod.metadata.name,
    namespace = of_pod.metadata.namespace,
    timestamp = units.unix_time(of_pod.timestamp) or time.now(),
    cpu_usage_percent = cores and cores * 100,
    uptime_seconds = started and max(0, time.now() - started) or 0,
    restart_count = given(status.restartCount),
    health_status = status.ready == true and "healthy" or status.ready == false and "unhealthy" or "unknown",
    raw = measured,
  }
  set(metrics, "memory_usage", bytes_of(measured.usage.memory))
  set(metrics, "memory_limit", limit_of(container))
  return metrics
end

-- Appends in the order of the pod: the server has none.
local function add(list, of_pod, pod)
  local by_name, statuses = {}, pods_of.statuses(pod)
  for _, measured in ipairs(of_pod.containers) do
    by_name[measured.name] = measured
  end
  for _, container in ipairs(pods_of.containers(pod)) do
    local name = container.name
    if by_name[name] then
      list[#list + 1] = metrics_of(of_pod, by_name[name], container, statuses[name] or {})
    end
  end
end

-- What is known of a pod, or of those of a selector, by their names. One that runs for some seconds only is not known.
local function measured_of(client, op, read, opts)
  local path, by_name = ("/namespaces/%s/pods"):format(pods_of.escape(read.namespace)), {}
  if read.selector then
    for _, one in ipairs(ask(client, op, path, opts, { labelSelector = read.selector }).items) do
      by_name[one.metadata.name] = one
    end
    return by_name
  end
  local ok, one = pcall(ask, client, op, path .. "/" .. pods_of.escape(read.name), opts)
  if ok then
    by_name[read.name] = one
  elseif type(one) ~= "table" or one.kind ~= "not_found" then
    error(one, 0)
  end
  return by_name
end

-- --- sums ----------------------------------------------------------------------------------------

local function sum_of(item)
  local cores, bytes = 0, 0
  for _, one in ipairs(item.containers or { item }) do
    cores, bytes = cores + (number_of(one.usage.cpu) or 0), bytes + (bytes_of(one.usage.memory) or 0)
  end
  return {
    name = item.metadata.name, namespace = given(item.metadata.namespace), cpu_cores = cores,
    memory_bytes = bytes, timestamp = units.unix_time(item.timestamp), raw = item,
  }
end

-- Of what pods may take of each node.
local function add_percents(client, list, opts)
  local by_name = {}
  for _, node in ipairs(client:list("nodes", { labels = opts.labels, timeout = opts.timeout }).items) do
    by_name[node.metadata.name] = given(node.status.allocatable)
  end
  for _, one in ipairs(list) do
    local allocatable = by_name[one.name] or {}
    local cores, bytes = number_of(allocatable.cpu), number_of(allocatable.memory)
    one.cpu_percent = cores and cores > 0 and one.cpu_cores / cores * 100 or nil
    one.memory_percent = bytes and bytes > 0 and one.memory_bytes / bytes * 100 or nil
  end
end

local function order(key)
  return function(a, b)
    if key ~= "name" and a[key] ~= b[key] then
      return a[key] > b[key]
    end
    return a.name < b.name or a.name == b.name and (a.namespace or "") < (b.namespace or "")
  end
end

-- --- the functions -------------------------------------------------------------------------------

local metrics = {}

--- client:metrics(target, opts?) -> table[]
--- What each container of the pods of a target uses now: ContainerMetrics with the fields of
--- ctz.docker.containers.metrics {container_name, timestamp, cpu_usage_percent (100 is one CPU),
--- memory_usage_mb, memory_limit_mb, uptime_seconds, restart_count, health_status, raw}, and pod and
--- namespace. Beside each _mb (1,000,000 bytes) stands _bytes. The cluster's metrics server does not
--- know networks and disks: those fields are nil. It knows a container 15 to 75 seconds after its
--- start; until then, and when it has ended, the container is not in the list.
--- @async
--- @param target string|table  "pod-name", "deployment/web", an object, {selector="app=web"}
--- @param opts.namespace? string
--- @param opts.timeout? ctz.seconds
--- @return table[]
--- @error unsupported the cluster has no metrics server
--- @error unreachable it has one that does not answer
--- @error not_found there is no such target
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function metrics.metrics(client, target, opts)
  local op <const> = "kubernetes.metrics"
  opts = check(op, opts, { namespace = "string", timeout = "seconds" })
  local read = pods_of.read(op, target, opts, client)
  local pods = pods_of.pods(client, read, { op = op, timeout = opts.timeout })
  local by_name, list = measured_of(client, op, read, opts), {}
  for _, pod in ipairs(pods) do
    local of_pod = by_name[pod.metadata.name]
    if of_pod then
      add(list, of_pod, pod)
    end
  end
  return list
end

--- client:top(what?, opts?) -> table[]
--- Who uses most, as `kubectl top`: of "pods" (default) or "nodes" {name, namespace, cpu_cores,
--- memory_bytes, timestamp, raw}, the most CPU first. Nodes have cpu_percent and memory_percent too,
--- of what the node has for pods.
--- @async
--- @param what? "pods"|"nodes"
--- @param opts.namespace? string
--- @param opts.all_namespaces? boolean
--- @param opts.labels? string|table  "app=web,tier!=db" or {app = "web"}
--- @param opts.sort? "cpu"|"memory"|"name"  the most first; default "cpu"
--- @param opts.timeout? ctz.seconds
--- @return table[]
--- @error unsupported the cluster has no metrics server
--- @error unreachable it has one that does not answer
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function metrics.top(client, what, opts)
  local op <const> = "kubernetes.top"
  opts = check(op, opts, {
    namespace = "string", all_namespaces = "boolean", labels = "string|table", sort = "string", timeout = "seconds",
  })
  what = what or "pods"
  if what ~= "pods" and what ~= "nodes" then
    failure.usage(op, "bad argument 'what' to '%s': expected \"pods\" or \"nodes\"", op)
  elseif not SORTS[opts.sort or "cpu"] then
    failure.usage(op, "bad argument 'opts.sort' to '%s': expected one of cpu, memory, name, got %q", op, opts.sort)
  end
  local path = (what == "nodes" or opts.all_namespaces) and "/" .. what
    or ("/namespaces/%s/pods"):format(pods_of.escape(opts.namespace or client.namespace))
  local query, list = { labelSelector = targets.selector_text(op, "labels", opts.labels) }, {}
  for i, item in ipairs(ask(client, op, path, opts, query).items) do
    list[i] = sum_of(item)
  end
  if what == "nodes" then
    add_percents(client, list, opts)
  end
  sort(list, order(SORTS[opts.sort or "cpu"]))
  return list
end

return metrics
