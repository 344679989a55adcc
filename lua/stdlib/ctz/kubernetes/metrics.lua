-- kubernetes/metrics.lua: what containers and nodes use now, where the cluster has a metrics server.
-- SPDX-License-Identifier: MIT
-- Source: k8s.io/metrics, pkg/apis/metrics/v1beta1/types.go.
local check = require("ctz.options").check
local failure = require "ctz.kubernetes.failure"
local pods_of = require "ctz.kubernetes.pods"
local time = require "ctz.time"
local units = require "ctz.units"

local error, ipairs, max, pcall, tonumber = error, ipairs, math.max, pcall, tonumber
local tostring, type = tostring, type
local sort = table.sort

local BASE <const> = "/apis/metrics.k8s.io/v1beta1"
local MB <const> = 1000000
local SCALES <const> = {
  n = 1e-9, u = 1e-6, m = 1e-3, [""] = 1, k = 1e3, M = 1e6, G = 1e9, T = 1e12, P = 1e15, E = 1e18,
  Ki = 2 ^ 10, Mi = 2 ^ 20, Gi = 2 ^ 30, Ti = 2 ^ 40, Pi = 2 ^ 50, Ei = 2 ^ 60,
}

local function given(value)
  return pods_of.is_given(value) and value or nil
end

-- What is measured is no sum of money: a float does.
local function number_of(quantity)
  local digits, suffix = tostring(quantity or ""):match "^([%d.]+)(%a*)$"
  return digits and SCALES[suffix] and tonumber(digits) * SCALES[suffix] or nil
end

local function ask(client, op, path, opts, query)
  local ok, value = pcall(client.call, client, "GET", BASE .. path, {
    op = op, target = "metrics", timeout = opts.timeout, query = query, retry = false,
  })
  if ok then
    return value
  end
  local is_missing = type(value) == "table"
    and (value.kind == "not_found" and not (value.message or ""):find("metrics.k8s.io", 1, true)
      or value.status == 503)
  if is_missing then
    failure.fail("unsupported", op, "the cluster has no metrics: metrics.k8s.io is not served", {
      hint = "install metrics-server, https://github.com/kubernetes-sigs/metrics-server", cause = value,
    })
  end
  return error(value, 0)
end

local function set(metrics, name, bytes)
  metrics[name .. "_bytes"] = bytes and bytes // 1 or nil
  metrics[name .. "_mb"] = bytes and bytes / MB
end

local function status_of(pod, name)
  for _, status in ipairs(pod and given(pod.status.containerStatuses) or {}) do
    if status.name == name then
      return status
    end
  end
  return {}
end

local function limit_of(pod, name)
  for _, container in ipairs(pod and pod.spec.containers or {}) do
    local resources = container.name == name and given(container.resources)
    local limits = resources and given(resources.limits)
    if limits then
      return number_of(limits.memory)
    end
  end
end

local function metrics_of(measured, container, pod)
  local status = status_of(pod, container.name)
  local state = given(status.state) or {}
  local started = state.running and units.unix_time(state.running.startedAt)
  local cores = number_of(container.usage.cpu)
  local metrics = {
    container_name = container.name,
    pod = measured.metadata.name,
    namespace = measured.metadata.namespace,
    timestamp = units.unix_time(measured.timestamp) or time.now(),
    cpu_usage_percent = cores and cores * 100,
    uptime_seconds = started and max(0, time.now() - started) or 0,
    restart_count = given(status.restartCount),
    health_status = status.ready == true and "healthy" or status.ready == false and "unhealthy" or "unknown",
    raw = container,
  }
  set(metrics, "memory_usage", number_of(container.usage.memory))
  set(metrics, "memory_limit", limit_of(pod, container.name))
  return metrics
end

local metrics = {}

--- client:metrics(target, opts?) -> table[]
--- What each container of the pods of a target uses now: ContainerMetrics with the fields of
--- ctz.docker.containers.metrics {container_name, timestamp, cpu_usage_percent (100 is one CPU),
--- memory_usage_mb, memory_limit_mb, uptime_seconds, restart_count, health_status, raw}, and pod and
--- namespace. Beside each _mb (1,000,000 bytes) stands _bytes. The cluster's metrics server does not
--- know networks and disks: those fields are nil.
--- @async
--- @param target string|table  "pod-name", "deployment/web", an object, {selector="app=web"}
--- @param opts.namespace? string
--- @param opts.timeout? ctz.seconds
--- @return table[]
--- @error unsupported the cluster has no metrics server
--- @error not_found there is no such target
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function metrics.metrics(client, target, opts)
  local op <const> = "kubernetes.metrics"
  opts = check(op, opts, { namespace = "string", timeout = "seconds" })
  local read = pods_of.read(op, target, opts, client)
  ask(client, op, "", opts) -- is it there at all?
  local list = {}
  for _, pod in ipairs((pods_of.pods(client, read, { op = op, timeout = opts.timeout }))) do
    local path = ("/namespaces/%s/pods/%s"):format(pod.metadata.namespace, pod.metadata.name)
    local ok, measured = pcall(ask, client, op, path, opts)
    if ok then
      for _, container in ipairs(measured.containers) do
        list[#list + 1] = metrics_of(measured, container, pod)
      end
    elseif type(measured) ~= "table" or measured.kind ~= "not_found" then -- not measured yet
      error(measured, 0)
    end
  end
  return list
end

--- client:top(what?, opts?) -> table[]
--- Who uses most, as `kubectl top`: of "pods" (default) or "nodes" {name, namespace, cpu_cores,
--- memory_bytes, timestamp}, the most CPU first.
--- @async
--- @param what? "pods"|"nodes"
--- @param opts.namespace? string
--- @param opts.all_namespaces? boolean
--- @param opts.labels? string  label selector
--- @param opts.timeout? ctz.seconds
--- @return table[]
--- @error unsupported the cluster has no metrics server
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function metrics.top(client, what, opts)
  local op <const> = "kubernetes.top"
  opts = check(op, opts, { namespace = "string", all_namespaces = "boolean", labels = "string", timeout = "seconds" })
  what = what or "pods"
  if what ~= "pods" and what ~= "nodes" then
    failure.usage(op, "bad argument 'what' to '%s': expected \"pods\" or \"nodes\"", op)
  end
  local path = (what == "nodes" or opts.all_namespaces) and "/" .. what
    or ("/namespaces/%s/pods"):format(pods_of.escape(opts.namespace or client.namespace))
  local list = {}
  for i, item in ipairs(ask(client, op, path, opts, { labelSelector = opts.labels }).items) do
    local cores, bytes = 0, 0
    for _, one in ipairs(what == "nodes" and { item } or item.containers) do
      cores, bytes = cores + (number_of(one.usage.cpu) or 0), bytes + (number_of(one.usage.memory) or 0)
    end
    list[i] = {
      name = item.metadata.name, namespace = given(item.metadata.namespace), cpu_cores = cores,
      memory_bytes = bytes // 1, timestamp = units.unix_time(item.timestamp), raw = item,
    }
  end
  sort(list, function(a, b)
    return a.cpu_cores > b.cpu_cores or a.cpu_cores == b.cpu_cores and a.name < b.name
  end)
  return list
end

return metrics
