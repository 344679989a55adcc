-- docker/config/simple.lua: the fields that stand for one field of the API and one flag of docker run.
-- SPDX-License-Identifier: MIT
local fs = require "ctz.fs"
local json = require "ctz.json"
local path = require "ctz.path"
local read = require "ctz.docker.config.read"
local sorted_keys = require("ctz.problems").sorted_keys

local ipairs, math_type, pcall, tostring, type = ipairs, math.type, pcall, tostring, type

-- A field: its value goes to body[part][key] and to the flag, in a way that its type tells.
-- since: the first version of the API that knows it.
local function simple(name, reader, place, flag, since)
  local part, key = place:match "^(%w+)%.(%w+)$"
  return {
    name = name,
    read = reader,
    api = function(value, body)
      body.since(since, nil, name, since and value or nil)
      body[part][key] = read.copy(value)
    end,
    args = function(value, put)
      if type(value) == "boolean" then
        put.flag(flag, value)
      elseif type(value) ~= "table" then
        put(flag, tostring(value))
      elseif #value > 0 then
        put.each(flag, value)
      else
        for item, text in read.sorted_pairs(value) do
          put(flag, item .. "=" .. text)
        end
      end
    end,
  }
end

local texts <const> = read.list(read.filled)
local addresses <const> = read.list(read.ip(read.is_ip, "an IP address"))

local function namespace(...)
  local names = { ... }
  local patterns = {}
  for i, name in ipairs(names) do
    patterns[i] = "^" .. name .. "$"
  end
  patterns[#patterns + 1] = "^container:."
  return read.like('"' .. table.concat(names, '", "') .. '" or "container:NAME"', table.unpack(patterns))
end

-- --- hosts -------------------------------------------------------------------------------------

local function read_host(value, where, problems)
  value = read.text(value, where, problems)
  local name, address = (value or ""):match "^([^:=]+)[:=](.+)$"
  address = address and (address:match "^%[(.*)%]$" or address)
  if value and not (name and (address == "host-gateway" or read.is_ip(address))) then
    return read.refuse(problems, where, '"name:address"', value)
  end
  return value and name .. ":" .. address
end

-- {"db:10.0.0.5"} or {db = "10.0.0.5"} -> {"db:10.0.0.5"}
local function read_hosts(value, where, problems)
  if type(value) == "string" then
    value = { value }
  elseif type(value) ~= "table" then
    return read.refuse(problems, where, 'hosts such as {db = "10.0.0.5"} or {"db:10.0.0.5"}', value)
  end
  local list = json.array {}
  for _, key in ipairs(sorted_keys(value)) do
    if type(key) == "string" then
      local at = ("%s.%s"):format(where, key)
      local address = read.text(value[key], at, problems)
      list[#list + 1] = address and read_host(key .. ":" .. address, at, problems)
    end
  end
  for i, item in ipairs(value) do
    list[#list + 1] = read_host(item, ("%s[%d]"):format(where, i), problems)
  end
  return list
end

-- --- security options --------------------------------------------------------------------------

local SECURITY <const> = {
  "^no%-new%-privileges$", "^no%-new%-privileges[:=]%l+$", "^label[:=].", "^apparmor[:=].", "^seccomp[:=].",
  "^systempaths=unconfined$", "^writable%-cgroups=%l+$", "^credentialspec[:=].",
}
local like_security <const> = read.like(
  '"no-new-privileges", "seccomp=FILE", "apparmor=PROFILE", "label=..." or "systempaths=unconfined"',
  table.unpack(SECURITY))

-- A seccomp profile is a file of this machine, as docker run reads it.
local function read_security(value, where, problems)
  value = like_security(value, where, problems)
  local profile = value and value:match "^seccomp[:=](.*)$"
  if profile and profile ~= "unconfined" and profile ~= "builtin" and profile:sub(1, 1) ~= "{" then
    return "seccomp=" .. path.absolute(profile)
  end
  return value
end

local function read_profile(file, body)
  local ok, text = pcall(fs.read, file)
  local is_json, profile = false, nil
  if ok then
    is_json, profile = pcall(json.decode, text)
  end
  if not is_json then
    body.problems:usage("security_opt", "%s: %s", file, tostring((ok and profile or text).message))
    return nil
  end
  return json.encode(profile)
end

local function security_to_api(security, body)
  local list = json.array {}
  for _, option in ipairs(security) do
    local file = option:match "^seccomp=(/.*)$"
    if option == "systempaths=unconfined" then
      body.HostConfig.MaskedPaths, body.HostConfig.ReadonlyPaths = json.array {}, json.array {}
    else
      list[#list + 1] = file and "seccomp=" .. (read_profile(file, body) or "") or option
    end
  end
  body.HostConfig.SecurityOpt = list
end

local function security_to_args(security, put)
  put.each("--security-opt", security)
end

-- --- logs, signals, platforms ------------------------------------------------------------------

local function signal(value, where, problems)
  value = math_type(value) == "integer" and tostring(value) or value
  return read.like('a signal such as "SIGTERM"', "^%u[%u%d+-]*$", "^%d+$")(value, where, problems)
end

local function log_config(body)
  body.HostConfig.LogConfig = body.HostConfig.LogConfig or { Type = "", Config = json.object {} }
  return body.HostConfig.LogConfig
end

local log_driver <const> = simple("log_driver", read.filled, "HostConfig.LogConfig", "--log-driver")
local log_options <const> = simple("log_options", read.map(), "HostConfig.LogConfig", "--log-opt")

function log_driver.api(value, body)
  log_config(body).Type = value
end

function log_options.api(value, body)
  log_config(body).Config = read.copy(value)
end

function log_options.check(config, problems)
  if config.log_driver == "none" and config.log_options then
    problems:usage("log_options", 'the driver "none" has no options')
  end
end

local function set_query(name, since)
  return function(value, body)
    body.since(since, nil, name, value)
    body.query[name] = value
  end
end

local platform <const> = simple("platform", read.like('a platform such as "linux/arm64"', "^%l+$", "^[%w]+/[%w_]+$",
  "^[%w]+/[%w_]+/[%w.]+$"), "Config.none", "--platform")
platform.api = set_query("platform", "1.41")

local pull <const> = simple("pull", read.choice("always", "missing", "never"), "Config.none", "--pull")
pull.api = nil -- what the client does before it creates the container

return {
  platform,
  pull,
  simple("tty", read.boolean, "Config.Tty", "--tty"),
  simple("remove", read.boolean, "HostConfig.AutoRemove", "--rm"),
  simple("init", read.boolean, "HostConfig.Init", "--init"),
  simple("read_only", read.boolean, "HostConfig.ReadonlyRootfs", "--read-only"),
  simple("privileged", read.boolean, "HostConfig.Privileged", "--privileged"),
  simple("publish_all", read.boolean, "HostConfig.PublishAllPorts", "--publish-all"),
  simple("hostname", read.filled, "Config.Hostname", "--hostname"),
  simple("domainname", read.filled, "Config.Domainname", "--domainname"),
  simple("user", read.filled, "Config.User", "--user"),
  simple("workdir", read.absolute, "Config.WorkingDir", "--workdir"),
  simple("labels", read.map(), "Config.Labels", "--label"),
  simple("stop_signal", signal, "Config.StopSignal", "--stop-signal"),
  simple("stop_timeout", read.integer(-1, 2147483647), "Config.StopTimeout", "--stop-timeout"),
  simple("group_add", texts, "HostConfig.GroupAdd", "--group-add"),
  simple("dns", addresses, "HostConfig.Dns", "--dns"),
  simple("dns_search", texts, "HostConfig.DnsSearch", "--dns-search"),
  simple("dns_options", texts, "HostConfig.DnsOptions", "--dns-option"),
  simple("extra_hosts", read_hosts, "HostConfig.ExtraHosts", "--add-host"),
  simple("shm_size", read.bytes, "HostConfig.ShmSize", "--shm-size"),
  simple("sysctls", read.map(), "HostConfig.Sysctls", "--sysctl"),
  simple("storage_opt", read.map(), "HostConfig.StorageOpt", "--storage-opt"),
  simple("annotations", read.map(), "HostConfig.Annotations", "--annotation", "1.43"),
  simple("volumes_from", texts, "HostConfig.VolumesFrom", "--volumes-from"),
  simple("volume_driver", read.filled, "HostConfig.VolumeDriver", "--volume-driver"),
  simple("device_cgroup_rules", read.list(read.like('a rule such as "c 1:3 rwm"', "^[abc] [%d*]+:[%d*]+ [rwm]+$")),
    "HostConfig.DeviceCgroupRules", "--device-cgroup-rule"),
  simple("pid", namespace "host", "HostConfig.PidMode", "--pid"),
  simple("ipc", namespace("none", "private", "host", "shareable"), "HostConfig.IpcMode", "--ipc"),
  simple("uts", read.choice "host", "HostConfig.UTSMode", "--uts"),
  simple("userns", read.choice "host", "HostConfig.UsernsMode", "--userns"),
  simple("cgroupns", read.choice("host", "private"), "HostConfig.CgroupnsMode", "--cgroupns", "1.41"),
  simple("cgroup_parent", read.filled, "HostConfig.CgroupParent", "--cgroup-parent"),
  simple("runtime", read.filled, "HostConfig.Runtime", "--runtime"),
  simple("oom_score_adj", read.integer(-1000, 1000), "HostConfig.OomScoreAdj", "--oom-score-adj"),
  log_driver,
  log_options,
  {
    name = "security_opt", read = read.list(read_security), api = security_to_api, args = security_to_args,
  },
}
