-- docker/config/resources.lua: limits, devices, capabilities.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41, Resources; docker/cli, opts/ulimit.go, opts/gpus.go.
local json = require "ctz.json"
local read = require "ctz.docker.config.read"
local problems_of = require "ctz.problems"
local units = require "ctz.units"

local sorted_keys, suggestion = problems_of.sorted_keys, problems_of.suggestion
local ipairs, math_type, tonumber, tostring, type = ipairs, math.type, tonumber, tostring, type

local SHARES_OF_A_CPU <const> = 1024

-- --- resources ---------------------------------------------------------------------------------

-- A size, or -1 for no limit.
local function swap(value, where, problems)
  if value == -1 or value == "-1" then
    return -1
  end
  return read.bytes(value, where, problems)
end

-- {"/dev/sda:1m"} or {["/dev/sda"] = "1m"} -> {["/dev/sda"] = 1048576}
local function per_device(read_rate)
  return function(value, where, problems)
    if type(value) == "string" then
      value = { value }
    elseif type(value) ~= "table" then
      return read.refuse(problems, where, 'a table such as {["/dev/sda"] = "1m"}', value)
    end
    local result = {}
    for _, key in ipairs(sorted_keys(value)) do
      local at, device, rate = ("%s[%s]"):format(where, tostring(key)), key, value[key]
      if math_type(key) == "integer" and type(rate) == "string" then
        device, rate = rate:match "^(.*):([^:]*)$"
      end
      if type(device) ~= "string" or device:sub(1, 5) ~= "/dev/" then
        problems:usage(at, 'expected a device and its rate: {["/dev/sda"] = "1m"}')
      else
        result[device] = read_rate(rate, at, problems)
      end
    end
    return result
  end
end

local rate <const> = per_device(read.bytes)
local operations <const> = per_device(read.integer(0))
local int64 <const> = read.integer(math.mininteger)
local count <const> = read.integer(0)

local function throttle(name)
  return function(value)
    local list = json.array {}
    for device, amount in read.sorted_pairs(value) do
      list[#list + 1] = { Path = device, [name] = amount }
    end
    return list
  end
end

local function as_is(value)
  return value
end

local function shares_of(cpus)
  return math.max(2, math.floor(cpus * SHARES_OF_A_CPU + 0.5)) -- 2 is the least the kernel takes
end

local function amounts(value)
  return value
end

-- {name, reader, name in the API, flag, value -> API's, value -> flag's text}
local RESOURCES <const> = {
  { "cpu_limit", read.cpus, "NanoCpus", "--cpus", units.nano_cpus, read.number_text },
  { "memory_limit", read.bytes, "Memory", "--memory" },
  { "cpu_reservation", read.cpus, "CpuShares", "--cpu-shares", shares_of, shares_of },
  { "memory_reservation", read.bytes, "MemoryReservation", "--memory-reservation" },
  { "memory_swap", swap, "MemorySwap", "--memory-swap" },
  { "memory_swappiness", read.integer(0, 100), "MemorySwappiness", "--memory-swappiness" },
  { "cpu_shares", read.integer(0, 262144), "CpuShares", "--cpu-shares" },
  { "cpu_period", count, "CpuPeriod", "--cpu-period" },
  { "cpu_quota", int64, "CpuQuota", "--cpu-quota" },
  { "cpu_rt_period", count, "CpuRealtimePeriod", "--cpu-rt-period" },
  { "cpu_rt_runtime", count, "CpuRealtimeRuntime", "--cpu-rt-runtime" },
  { "cpuset_cpus", read.like('CPUs such as "0-3" or "0,1"', "^[%d,-]+$"), "CpusetCpus", "--cpuset-cpus" },
  { "cpuset_mems", read.like('memory nodes such as "0-3" or "0,1"', "^[%d,-]+$"), "CpusetMems", "--cpuset-mems" },
  { "pids_limit", read.integer(-1), "PidsLimit", "--pids-limit" },
  { "oom_kill_disable", read.boolean, "OomKillDisable", "--oom-kill-disable" },
  { "blkio_weight", read.integer(0, 1000), "BlkioWeight", "--blkio-weight" },
  { "blkio_weight_device", per_device(read.integer(0, 1000)), "BlkioWeightDevice", "--blkio-weight-device",
    throttle "Weight", amounts },
  { "device_read_bps", rate, "BlkioDeviceReadBps", "--device-read-bps", throttle "Rate", amounts },
  { "device_write_bps", rate, "BlkioDeviceWriteBps", "--device-write-bps", throttle "Rate", amounts },
  { "device_read_iops", operations, "BlkioDeviceReadIOps", "--device-read-iops", throttle "Rate", amounts },
  { "device_write_iops", operations, "BlkioDeviceWriteIOps", "--device-write-iops", throttle "Rate", amounts },
}
local read_record <const> = read.record(RESOURCES, 'a table such as {cpu_limit = "1.5", memory_limit = "512m"}')

local function check_resources(config, problems)
  local resources = config.resources
  if not resources then
    return
  end
  local memory, swap_bytes = resources.memory_limit, resources.memory_swap
  if resources.cpu_reservation and resources.cpu_shares then
    problems:usage("resources.cpu_shares", "cpu_reservation sets it too; give one of the two")
  end
  if resources.cpu_limit and (resources.cpu_period or resources.cpu_quota) then
    problems:usage("resources.cpu_limit", "the engine takes it without cpu_period and cpu_quota only")
  end
  if memory and resources.memory_reservation and memory ~= 0 and resources.memory_reservation > memory then
    problems:usage("resources.memory_reservation", "it is more than memory_limit")
  end
  if swap_bytes and swap_bytes > 0 and (memory or 0) == 0 then
    problems:usage("resources.memory_swap", "it is memory and swap together; give memory_limit too")
  elseif swap_bytes and swap_bytes > 0 and swap_bytes < memory then
    problems:usage("resources.memory_swap", "it is memory and swap together, so not less than memory_limit")
  end
end

-- The part of HostConfig, and the body of an update.
local function resources_to_host(resources, host)
  for _, field in ipairs(RESOURCES) do
    local value = resources[field[1]]
    if value ~= nil then
      host[field[3]] = (field[5] or as_is)(value)
    end
  end
end

local function resources_to_api(resources, body)
  resources_to_host(resources, body.HostConfig)
end

local function resources_to_args(resources, put)
  for _, field in ipairs(RESOURCES) do
    local value, flag = resources[field[1]], field[4]
    if field[6] == amounts then
      for device, amount in read.sorted_pairs(value or {}) do
        put(flag, ("%s:%d"):format(device, amount))
      end
    elseif type(value) == "boolean" then
      put.flag(flag, value)
    elseif value ~= nil then
      put(flag, tostring((field[6] or as_is)(value)))
    end
  end
end

-- --- ulimits -----------------------------------------------------------------------------------

-- Source: github.com/docker/go-units, ulimit.go
local ULIMITS <const> = {
  "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
  "rttime", "sigpending", "stack",
}
local is_ulimit <const> = {}
for _, name in ipairs(ULIMITS) do
  is_ulimit[name] = true
end

local limit <const> = read.integer(-1)
local read_limits <const> = read.record({
  { "name", read.filled }, { "soft", limit }, { "hard", limit },
}, "a table such as {soft = 1024, hard = 2048}")

local function read_limit(name, value, where, problems)
  if type(value) == "string" and value:find ":" then
    local soft, hard = value:match "^(%-?%d+):(%-?%d+)$"
    value = { soft = soft, hard = hard }
    if not soft then
      return problems:usage(where, 'expected limits such as "1024" or "1024:2048"')
    end
  elseif type(value) ~= "table" then
    value = { soft = value, hard = value }
  end
  local limits = read_limits(value, where, problems)
  if not limits then
    return nil
  end
  limits.name = name or limits.name
  limits.soft = limits.soft or limits.hard
  limits.hard = limits.hard or limits.soft
  if not limits.soft or not limits.name then
    return value.soft == nil and value.hard == nil and problems:usage(where, "it needs a name and a limit") or nil
  elseif not is_ulimit[limits.name] then
    return problems:usage(where, "no limit is called %s; %s", (read.show(limits.name)),
      suggestion(limits.name, ULIMITS))
  elseif limits.hard >= 0 and (limits.soft > limits.hard or limits.soft < 0) then
    return problems:usage(where, "the soft limit is more than the hard limit")
  end
  return limits
end

-- {nofile = 1024}, {"nofile=1024:2048"}, {nofile = {soft=, hard=}} -> list of {name=, soft=, hard=}
local function read_ulimits(value, where, problems)
  if type(value) == "string" then
    value = { value }
  elseif type(value) ~= "table" then
    return read.refuse(problems, where, 'limits such as {nofile = "1024:2048"}', value)
  end
  local result, seen = {}, {}
  for _, key in ipairs(sorted_keys(value)) do
    local name, item, at = key, value[key], ("%s.%s"):format(where, tostring(key))
    if type(key) ~= "string" then
      name, at = nil, ("%s[%s]"):format(where, tostring(key))
      if type(item) == "string" then
        name, item = item:match "^([^=]+)=(.*)$"
      end
    end
    if item == nil or not name and type(item) ~= "table" then
      problems:usage(at, 'expected a limit such as "nofile=1024:2048"')
    else
      local limits = read_limit(name, item, at, problems)
      if limits and seen[limits.name] then
        problems:usage(at, "%s is given twice", limits.name)
      elseif limits then
        seen[limits.name] = true
        result[#result + 1] = limits
      end
    end
  end
  table.sort(result, function(a, b)
    return a.name < b.name
  end)
  return result
end

local function ulimits_to_api(ulimits, body)
  local list = json.array {}
  for i, limits in ipairs(ulimits) do
    list[i] = { Name = limits.name, Soft = limits.soft, Hard = limits.hard }
  end
  body.HostConfig.Ulimits = list
end

local function ulimits_to_args(ulimits, put)
  for _, limits in ipairs(ulimits) do
    put("--ulimit", ("%s=%d:%d"):format(limits.name, limits.soft, limits.hard))
  end
end

-- --- devices -----------------------------------------------------------------------------------

local function is_permissions(text)
  return text:find "^[rwm]+$" and #text <= 3 and not text:find "(.).*%1"
end

local function permissions(value, where, problems)
  if type(value) ~= "string" or not is_permissions(value) then
    return read.refuse(problems, where, '"r", "w" and "m" together, such as "rwm"', value)
  end
  return value
end

local read_device_table <const> = read.record({
  { "source", read.absolute }, { "target", read.absolute }, { "permissions", permissions },
}, 'a device such as "/dev/fuse" or {source = "/dev/fuse", permissions = "rw"}', "source")

-- "/dev/x", "/dev/x:/dev/y", "/dev/x:r", "/dev/x:/dev/y:rwm"
local function read_device(value, where, problems)
  local long = value
  if type(value) == "string" then
    local source, second, third = value:match "^([^:]+):?([^:]*):?([^:]*)$"
    if not source or value:find ":$" then
      return read.refuse(problems, where, 'a device such as "/dev/fuse" or "/dev/a:/dev/b:rw"', value)
    elseif third == "" and is_permissions(second) then
      second, third = "", second
    end
    long = { source = source, target = second ~= "" and second or nil, permissions = third ~= "" and third or nil }
  end
  local device = read_device_table(long, where, problems)
  if device then
    device.target = device.target or device.source
    device.permissions = device.permissions or "rwm"
  end
  return device
end

local function devices_to_api(devices, body)
  local list = json.array {}
  for i, device in ipairs(devices) do
    list[i] = {
      PathOnHost = device.source, PathInContainer = device.target, CgroupPermissions = device.permissions,
    }
  end
  body.HostConfig.Devices = list
end

local function devices_to_args(devices, put)
  for _, device in ipairs(devices) do
    put("--device", ("%s:%s:%s"):format(device.source, device.target, device.permissions))
  end
end

-- --- gpus --------------------------------------------------------------------------------------

local read_gpu_table <const> = read.record({
  { "count", read.integer(-1) },
  { "driver", read.filled },
  { "device_ids", read.list(read.filled) },
  { "capabilities", read.list(read.filled) },
  { "options", read.map() },
}, '"all", a number, or {count=, device_ids=, driver=, capabilities=, options=}')

local function read_gpus(value, where, problems)
  if value == "all" then
    return { count = -1 }
  elseif type(value) ~= "table" then
    local number = read.integer(1)(value, where, problems)
    return number and { count = number }
  end
  local gpus = read_gpu_table(value, where, problems)
  if gpus and gpus.count and gpus.device_ids then
    return problems:usage(where, "count and device_ids exclude each other")
  elseif gpus and not gpus.count and not gpus.device_ids then
    gpus.count = 1
  end
  return gpus
end

local function gpu_capabilities(gpus)
  local list, has_gpu = json.array {}, false
  for i, name in ipairs(gpus.capabilities or {}) do
    list[i], has_gpu = name, has_gpu or name == "gpu"
  end
  if not has_gpu then
    list[#list + 1] = "gpu"
  end
  return list
end

local function gpus_to_api(gpus, body)
  body.HostConfig.DeviceRequests = json.array {
    {
      Driver = gpus.driver or "",
      Count = gpus.count or 0,
      DeviceIDs = read.copy(gpus.device_ids),
      Capabilities = json.array { gpu_capabilities(gpus) },
      Options = read.copy(gpus.options or {}),
    },
  }
end

local function gpus_to_args(gpus, put)
  local fields = {}
  local function add(key, value)
    if value then
      fields[#fields + 1] = read.csv(("%s=%s"):format(key, value))
    end
  end
  local function add_list(key, list)
    add(key, list and table.concat(list, ","))
  end
  add("count", gpus.count == -1 and "all" or gpus.count)
  add("driver", gpus.driver)
  add_list("device", gpus.device_ids)
  add_list("capabilities", gpus.capabilities)
  for key, value in read.sorted_pairs(gpus.options or {}) do
    add("options", key .. "=" .. value)
  end
  put("--gpus", table.concat(fields, ","))
end

-- --- capabilities, the restart policy ----------------------------------------------------------

local function capability(value, where, problems)
  value = read.filled(value, where, problems)
  if value and not value:find "^[%a_]+$" then
    return read.refuse(problems, where, 'a capability such as "NET_ADMIN" or "ALL"', value)
  end
  value = value and value:upper()
  return value and (value == "ALL" or value:find "^CAP_") and value or value and "CAP_" .. value
end

local capabilities <const> = read.list(capability)
local read_caps <const> = read.record({ { "add", capabilities }, { "drop", capabilities } },
  'a table such as {add = {"NET_ADMIN"}, drop = {"ALL"}}')

local function caps_to_api(caps, body)
  body.HostConfig.CapAdd = read.copy(caps.add)
  body.HostConfig.CapDrop = read.copy(caps.drop)
end

local function caps_to_args(caps, put)
  put.each("--cap-add", caps.add)
  put.each("--cap-drop", caps.drop)
end

local POLICIES <const> = { "no", "always", "unless-stopped", "on-failure" }
local read_policy_table <const> = read.record({
  { "name", read.choice(table.unpack(POLICIES)) }, { "max_retries", count },
}, 'a policy such as "always" or "on-failure:3"', "name")

-- "on-failure:3" or {name=, max_retries=} -> {name=, max_retries=}
local function read_policy(value, where, problems)
  if type(value) == "string" then
    local name, retries = value:match "^([^:]*):(%d+)$"
    value = { name = name or value, max_retries = tonumber(retries) }
  end
  local policy = read_policy_table(value, where, problems)
  if policy and policy.max_retries and policy.name ~= "on-failure" then
    return problems:usage(where, "a number of retries belongs to on-failure only")
  end
  return policy
end

local function check_policy(config, problems)
  local policy = config.restart_policy
  if config.remove and policy and policy.name and policy.name ~= "no" then
    problems:usage("restart_policy", "remove = true removes the container when it ends; give one of the two")
  end
end

local function policy_to_api(policy, body)
  body.HostConfig.RestartPolicy = { Name = policy.name, MaximumRetryCount = policy.max_retries or 0 }
end

local function policy_to_args(policy, put)
  put("--restart", policy.name .. (policy.max_retries and (":%d"):format(policy.max_retries) or ""))
end

return {
  fields = {
    {
      name = "resources", read = read_record, api = resources_to_api, args = resources_to_args,
      check = check_resources,
    },
    { name = "restart_policy", read = read_policy, api = policy_to_api, args = policy_to_args, check = check_policy },
    { name = "ulimits", read = read_ulimits, api = ulimits_to_api, args = ulimits_to_args },
    { name = "caps", read = read_caps, api = caps_to_api, args = caps_to_args },
    { name = "devices", read = read.list(read_device), api = devices_to_api, args = devices_to_args },
    { name = "gpus", read = read_gpus, api = gpus_to_api, args = gpus_to_args },
  },
  read = read_record,
  to_host = resources_to_host,
  read_policy = read_policy,
}
