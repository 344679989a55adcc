-- docker/stats.lua: what a container uses, once or every second.
-- SPDX-License-Identifier: MIT
-- Source: docker/cli, cli/command/container/stats_helpers.go, for both versions of cgroups.
local check = require("ctz.options").check
local json = require "ctz.json"
local object = require "ctz.docker.object"
local time = require "ctz.time"
local units = require "ctz.units"
local table_of = require("ctz.docker.values").table_of

local error, ipairs, pairs, pcall, setmetatable = error, ipairs, pairs, pcall, setmetatable
local max = math.max

local MB <const> = 1000000
local NO_LIMIT <const> = 1 << 60 -- cgroup v1 says 2^63 - 4096 where there is none
local HEALTH <const> = { healthy = "healthy", unhealthy = "unhealthy" }

-- --- one sample --------------------------------------------------------------------------------

-- Of all CPUs of the machine: 100 is one of them. nil: there is no sample before.
local function cpu_percent(raw)
  local now, before = table_of(raw.cpu_stats), table_of(raw.precpu_stats)
  local usage, earlier = table_of(now.cpu_usage), table_of(before.cpu_usage)
  if not now.system_cpu_usage or not before.system_cpu_usage then
    return nil
  end
  local used = (usage.total_usage or 0) - (earlier.total_usage or 0)
  local system = now.system_cpu_usage - before.system_cpu_usage
  local cpus = now.online_cpus or 0
  if cpus == 0 then
    cpus = max(1, #table_of(usage.percpu_usage))
  end
  return used > 0 and system > 0 and used / system * cpus * 100 or 0.0
end

-- Without the pages that the kernel would give back at once.
local function memory_used(memory)
  local stats = table_of(memory.stats)
  local cache = stats.total_inactive_file -- cgroup v1
  if not cache or cache >= (memory.usage or 0) then
    cache = stats.inactive_file or 0
  end
  return cache < (memory.usage or 0) and memory.usage - cache or memory.usage
end

local function network_bytes(networks)
  local received, sent
  for _, one in pairs(table_of(networks)) do
    received, sent = (received or 0) + one.rx_bytes, (sent or 0) + one.tx_bytes
  end
  return received, sent
end

local function disk_bytes(blkio)
  local read, written
  for _, entry in ipairs(table_of(table_of(blkio).io_service_bytes_recursive)) do
    local what = entry.op:lower()
    if what == "read" then
      read = (read or 0) + entry.value
    elseif what == "write" then
      written = (written or 0) + entry.value
    end
  end
  return read, written
end

local function set(metrics, name, bytes)
  metrics[name .. "_bytes"] = bytes
  metrics[name .. "_mb"] = bytes and bytes / MB
end

-- raw: of stats, state: of inspect
local function metrics_of(raw, inspected)
  local memory = table_of(raw.memory_stats)
  local state = inspected.State
  local limit = memory.limit
  local started = units.unix_time(state.StartedAt)
  local metrics = {
    container_name = inspected.Name:gsub("^/", ""),
    timestamp = units.unix_time(raw.read) or time.now(),
    cpu_usage_percent = cpu_percent(raw),
    uptime_seconds = state.Running and started and max(0, time.now() - started) or 0,
    restart_count = inspected.RestartCount,
    health_status = HEALTH[table_of(state.Health).Status] or "unknown",
    pids = table_of(raw.pids_stats).current,
    raw = raw,
  }
  set(metrics, "memory_usage", memory_used(memory))
  set(metrics, "memory_limit", limit and limit < NO_LIMIT and limit or nil)
  local received, sent = network_bytes(raw.networks)
  set(metrics, "network_rx", received)
  set(metrics, "network_tx", sent)
  local read, written = disk_bytes(raw.blkio_stats)
  set(metrics, "disk_read", read)
  set(metrics, "disk_write", written)
  return metrics
end

-- --- the functions -----------------------------------------------------------------------------

local stats = {}

local function inspect(client, path, about)
  return client:call("GET", path .. "/json", about)
end

--- ctz.docker.containers.metrics(container, opts?) -> table
--- What a container uses now: ContainerMetrics {container_name, timestamp, cpu_usage_percent (100 is
--- one CPU), memory_usage_mb (without cache), memory_limit_mb, network_rx_mb, network_tx_mb,
--- disk_read_mb, disk_write_mb, uptime_seconds, restart_count, health_status ("healthy", "unhealthy",
--- "unknown"), pids, raw}. Beside each _mb (1,000,000 bytes) stands _bytes. What the engine does not
--- know is nil. It takes the engine a second to measure the CPU.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.timeout? ctz.seconds
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.metrics, "web")
--- @example assert(err:is "unreachable")
function stats.metrics(client, container, opts)
  local op <const> = "docker.containers.metrics"
  opts = check(op, opts, { timeout = "seconds" })
  local path, target = object.container(op, container)
  local about = { op = op, target = target, timeout = opts.timeout }
  local inspected = inspect(client, path, about)
  about.query = { stream = false }
  return metrics_of(client:call("GET", path .. "/stats", about), inspected)
end

local Samples = {}
Samples.__index = Samples

function Samples:__close()
  self.stream:close()
end

-- The engine goes on with empty samples after a container has ended (measured with 1.41).
local function has_ended(raw)
  return units.unix_time(raw.read) == nil
end

local function next_sample(self)
  local ok, line = pcall(self.next_line, self.stream)
  if not ok then
    error(self.client:failure(line, self), 0)
  elseif line == nil then
    return nil
  end
  local raw = json.decode(line, { big = "float" })
  if has_ended(raw) then
    self.stream:close()
    return nil
  end
  return metrics_of(raw, inspect(self.client, self.path, { op = self.op, target = self.target }))
end

--- ctz.docker.containers.stats(container, opts?) -> iterator
--- for m in ctz.docker.containers.stats("web") do ... end: the same as ctz.docker.containers.metrics,
--- every second, until the container ends. break closes the connection.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.timeout? ctz.seconds  until the first sample comes
--- @error not_found there is no such container
--- @error unreachable the engine stopped meanwhile
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.stats, "web")
--- @example assert(err:is "unreachable")
function stats.stats(client, container, opts)
  local op <const> = "docker.containers.stats"
  opts = check(op, opts, { timeout = "seconds" })
  local path, target = object.container(op, container)
  local stream = client:stream("GET", path .. "/stats", {
    op = op,
    target = target,
    timeout = opts.timeout,
    query = { stream = true },
  })
  local samples = setmetatable({
    client = client,
    stream = stream,
    next_line = stream:lines(),
    path = path,
    op = op,
    target = target,
  }, Samples)
  return next_sample, samples, nil, samples
end

return stats
