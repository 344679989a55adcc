-- docker/config.lua: ContainerConfig, the one description of a container: read, checked, and turned
-- into the body of the API or into arguments of docker run.
-- SPDX-License-Identifier: MIT
--
-- Every field is a row {name=, read=, api=, args=, check=} of a file in config/. read brings a value
-- into its one form, so that short and long ways to write it are the same from then on.
local json = require "ctz.json"
local mounts = require "ctz.docker.config.mounts"
local networks = require "ctz.docker.config.networks"
local new_error = require("ctz.core.task").error
local ports = require "ctz.docker.config.ports"
local problems_of = require "ctz.problems"
local process = require "ctz.docker.config.process"
local resources = require "ctz.docker.config.resources"
local simple = require "ctz.docker.config.simple"

local error, getmetatable, ipairs, pairs, setmetatable = error, getmetatable, ipairs, pairs, setmetatable
local tonumber, tostring, type = tonumber, tostring, type
local sort = table.sort

local OP <const> = "docker.config"
local DEFAULT_API <const> = "1.41"

-- Names that others use for a field of ours.
local FOREIGN <const> = {
  auto_remove = "remove", cap_add = "caps.add", cap_drop = "caps.drop", cmd = "command",
  cpu_shares = "resources.cpu_shares",
  cpus = "resources.cpu_limit", cpuset_cpus = "resources.cpuset_cpus", env = "environment", gpu = "gpus",
  interactive = "stdin", ip = "networks", ipc_mode = "ipc", log_config = "log_driver", log_opt = "log_options",
  logging = "log_driver", mem_limit = "resources.memory_limit", mem_reservation = "resources.memory_reservation",
  memory = "resources.memory_limit", memory_limit = "resources.memory_limit", cpu_limit = "resources.cpu_limit",
  memswap_limit = "resources.memory_swap", nano_cpus = "resources.cpu_limit", network = "networks",
  pid_mode = "pid", pids_limit = "resources.pids_limit", publish = "ports", restart = "restart_policy", rm = "remove",
  stdin_open = "stdin", stop_grace_period = "stop_timeout", userns_mode = "userns", uts_mode = "uts",
  volume = "volumes", working_dir = "workdir", device = "devices", label = "labels", expose_all = "publish_all",
  links_to = "links", security_opts = "security_opt", add_host = "extra_hosts", host_name = "hostname",
}

local by_name, names, order = {}, {}, {}
local checks = {} -- what looks at a whole description
for _, group in ipairs { process.fields, simple, ports, mounts, networks.fields, resources.fields } do
  for _, field in ipairs(group) do
    names[#names + 1] = field.name
    by_name[field.name], order[field] = field, #names
    checks[#checks + 1] = field.check
  end
end

local function in_order(left, right)
  return order[left] < order[right]
end

-- The fields that a description has, in their order.
local function fields_of(description)
  local fields = {}
  for name in pairs(description) do
    fields[#fields + 1] = by_name[name]
  end
  sort(fields, in_order)
  return fields
end

local ContainerConfig = { __name = "ctz.docker.ContainerConfig" }
ContainerConfig.__index = ContainerConfig

local op_of = setmetatable({}, { __mode = "k" }) -- for errors of a description that was read: who read it

-- --- reading -----------------------------------------------------------------------------------

local function are_known(given)
  for key in pairs(given) do
    if not by_name[key] then
      return false
    end
  end
  return true
end

local function check_names(given, also, problems)
  if are_known(given) then -- nearly always
    return
  end
  local known = { table.unpack(names) }
  table.move(also, 1, #also, #known + 1, known)
  local strangers = {}
  for key in pairs(given) do
    local near = FOREIGN[key]
    if near and not by_name[key] then
      problems:usage(key, "unknown field '%s'; did you mean '%s'?", key, near)
    else
      strangers[key] = true
    end
  end
  problems:check_keys(strangers, known, "config")
end

-- new(table, op?, also?) -> ContainerConfig. op: the public name for errors; also: names of fields
-- that belong to somebody else (the options of docker.run) and are left out.
local function new(given, op, also)
  if getmetatable(given) == ContainerConfig then
    return given
  end
  op = op or OP
  if type(given) ~= "table" then
    error(new_error {
      kind = "usage", op = op,
      message = ("bad argument 'config' to '%s': expected table, got %s"):format(op, type(given)),
    }, 0)
  end
  local problems, config = problems_of.new(), {}
  check_names(given, also or {}, problems)
  for _, field in ipairs(fields_of(given)) do
    local value = given[field.name]
    if value ~= json.null then
      config[field.name] = field.read(value, field.name, problems)
    end
  end
  if given.image == nil or given.image == json.null then
    problems:usage("image", "it is required")
  end
  for _, check in ipairs(checks) do
    check(config, problems)
  end
  problems:raise(op)
  op_of[config] = op
  return setmetatable(config, ContainerConfig)
end

--- ctz.docker.config(config) -> ctz.docker.ContainerConfig
--- A description of a container, checked: all problems are told at once, each with the place of it.
--- Short forms as docker run takes them and long tables may be mixed; the result has the long ones.
--- docker.run and docker.containers.create take the same table. Secrets (ctz.secret) are taken in
--- environment and are never part of an argument.
--- @param config table
--- @param config.image string  "alpine:3.20", or the id of an image
--- @param config.name? string
--- @param config.command? string[]  the words; a single word may be a string
--- @param config.entrypoint? string[]  {} or "": none, also not that of the image
--- @param config.environment? table  {NAME = text|number|secret|false (takes it away)} or {"NAME=value", "NAME"}
--- @param config.ports? table  {"8080:80", "127.0.0.1:53:53/udp", {target=80, published=8080, host_ip=, protocol=}}
--- @param config.expose? table  {80, "53/udp", "3000-3010"}
--- @param config.publish_all? boolean
--- @param config.volumes? table  {"name:/path:ro", "./folder:/path"}; {type=, source=, target=, read_only=, selinux=,
---   consistency=, bind={propagation=, create_host_path=, recursive=}, volume={nocopy=, subpath=, labels=, driver=,
---   driver_opts=}}; or {["./folder"] = "/path:ro"}
--- @param config.mounts? table  {"type=bind,source=/a,target=/b,readonly"} or tables as in volumes, also of type
---   tmpfs with tmpfs={size=, mode=} and image with image={subpath=}; what is missing on the host is an error
--- @param config.tmpfs? table  {"/run", "/tmp:size=64m"} or {["/tmp"] = {size="64m", mode="1777"}}
--- @param config.networks? table  {"front", "back"} or {front = {aliases=, address=, address6=, mac_address=,
---   link_local=, links=, driver_opts=, priority=}}
--- @param config.network_mode? string  "bridge", "host", "none", "container:NAME"
--- @param config.mac_address? string
--- @param config.links? string[]
--- @param config.resources? table  {cpu_limit=, memory_limit=, cpu_reservation=, memory_reservation=, memory_swap=,
---   memory_swappiness=, cpu_shares=, cpu_period=, cpu_quota=, cpuset_cpus=, cpuset_mems=, pids_limit=,
---   oom_kill_disable=, blkio_weight=, device_read_bps=, ...}; a reservation of 1 CPU is 1024 shares
--- @param config.restart_policy? string|table  "always", "on-failure:3" or {name=, max_retries=}
--- @param config.labels? table  {name = value} or {"name=value"}
--- @param config.healthcheck? table|false  {command= line for a shell or words, interval=, timeout=, start_period=,
---   start_interval=, retries=}; false switches the image's off
--- @param config.user? string
--- @param config.workdir? string
--- @param config.hostname? string
--- @param config.ulimits? table  {nofile = "1024:2048"} or {nofile = {soft=, hard=}}
--- @param config.caps? table  {add = {"NET_ADMIN"}, drop = {"ALL"}}
--- @param config.devices? table  {"/dev/fuse", "/dev/a:/dev/b:rw", {source=, target=, permissions=}}
--- @param config.gpus? string|integer|table  "all", 2 or {count=, device_ids=, driver=, capabilities=, options=}
--- @param config.init? boolean
--- @param config.read_only? boolean
--- @param config.privileged? boolean
--- @param config.platform? string  "linux/arm64"
--- @param config.pull? string  "missing" (default), "always", "never"
--- @param config.remove? boolean  the engine removes the container when it ends
--- @param config.detach? boolean
--- @param config.tty? boolean
--- @param config.stdin? boolean|string|ctz.secret|table  true, or what the process reads
--- @param config.extra_hosts? table  {db = "10.0.0.5"} or {"db:10.0.0.5"}
--- @param config.dns? string[]  also dns_search, dns_options
--- @param config.shm_size? string|integer
--- @param config.log_driver? string
--- @param config.log_options? table
--- @param config.stop_signal? string
--- @param config.stop_timeout? integer  seconds
--- @param config.security_opt? string[]  also sysctls, group_add, pid, ipc, uts, userns, cgroupns, cgroup_parent,
---   runtime, storage_opt, volumes_from, volume_driver, device_cgroup_rules, oom_score_adj, annotations, domainname
--- @return ctz.docker.ContainerConfig
--- @error usage  what is wrong, with the place of each problem
--- @example local config = ctz.docker.config{image="nginx", ports={"8080:80"}, resources={memory_limit="512m"}}
--- @example assert(config.ports[1].published == 8080 and config.resources.memory_limit == 512 * 1024 * 1024)
--- @example local _, err = ctz.try(ctz.docker.config, {image="Nginx", port={"80"}})
--- @example assert(err.message:find("image: ", 1, true) and err.message:find("did you mean 'ports'", 1, true))
--- Api: Docker Engine v1.41, POST /containers/create; docker run --help
local function config(given)
  return new(given)
end

-- --- the API -----------------------------------------------------------------------------------

local function version_number(text)
  local major, minor = tostring(text):match "^(%d+)%.(%d+)$"
  if not major then
    error(new_error {
      kind = "usage", op = OP,
      message = ("bad argument 'api_version': expected a version such as \"1.41\", got %s"):format(tostring(text)),
    }, 0)
  end
  return tonumber(major) * 1000 + tonumber(minor)
end

-- What the fields write into. since(version, where, name, value) notes a value that this version of
-- the API does not know: it would be dropped without a word.
local function new_body(api_version)
  api_version = api_version or DEFAULT_API
  local spoken = version_number(api_version)
  local body = {
    Config = json.object {}, HostConfig = json.object {}, query = {}, problems = problems_of.new(),
  }
  function body.at_least(version)
    return spoken >= version_number(version)
  end
  function body.since(version, where, name, value)
    if version and value ~= nil and not body.at_least(version) then
      body.problems:add("unsupported", where and where .. "." .. name or name,
        ("needs API version %s, the engine speaks %s"):format(version, api_version))
    end
  end
  return body
end

--- config:to_api(api_version?) -> table, table
--- The body of POST /containers/create, and what goes into its query: name and platform. Secrets
--- are in it as plain texts.
--- @param api_version? string  that of the connection, default "1.41"
--- @return table  the body
--- @return {name: string?, platform: string?}  the query
--- @error unsupported  a field that this version of the API does not know
--- @example local body, query = ctz.docker.config{image="alpine", name="web", command={"sleep", 5}}:to_api("1.41")
--- @example assert(body.Image == "alpine" and body.Cmd[2] == "5" and query.name == "web")
--- Api: Docker Engine v1.41, POST /containers/create
function ContainerConfig:to_api(api_version)
  local body = new_body(api_version)
  body.Config.Image, body.query.name = self.image, self.name
  for _, field in ipairs(fields_of(self)) do
    if field.api then
      field.api(self[field.name], body)
    end
  end
  process.streams_to_api(self, body)
  networks.to_api(self, body)
  body.problems:raise(op_of[self])
  local result = body.Config
  result.HostConfig, result.NetworkingConfig = body.HostConfig, body.NetworkingConfig
  return result, body.query
end

--- config:networks_after(api_version?) -> table[]
--- The networks that are connected after the container was created: before API 1.44 create takes
--- one network only. Each is {name=, settings=}, and settings is the EndpointConfig of
--- POST /networks/{name}/connect.
--- @param api_version? string  that of the connection, default "1.41"
--- @return {name: string, settings: table}[]
--- @error unsupported  a field that this version of the API does not know
--- @example local config = ctz.docker.config{image="alpine", networks={"front", "back"}}
--- @example assert(config:networks_after("1.41")[1].name == "back" and #config:networks_after("1.44") == 0)
--- Api: Docker Engine v1.41, POST /networks/{id}/connect
function ContainerConfig:networks_after(api_version)
  local body = new_body(api_version)
  local result = networks.after(self, body)
  body.problems:raise(op_of[self])
  return result
end

-- --- docker run --------------------------------------------------------------------------------

-- What the fields write arguments with: put(flag, value).
local function new_put()
  local put = { args = {}, words = {}, env = {}, notes = {} }
  function put.some(flag, value)
    if value ~= nil then
      put.args[#put.args + 1] = flag
      put.args[#put.args + 1] = tostring(value)
    end
  end
  function put.each(flag, values)
    for _, value in ipairs(values or {}) do
      put.some(flag, value)
    end
  end
  function put.flag(flag, value)
    put.args[#put.args + 1] = value and flag or flag .. "=false"
  end
  function put.word(word)
    put.words[#put.words + 1] = word
  end
  function put.environment(name, value)
    put.env[name] = value
  end
  function put.note(text)
    put.notes[#put.notes + 1] = text
  end
  return setmetatable(put, {
    __call = function(_, flag, value)
      put.some(flag, value)
    end,
  })
end

--- config:to_run_args() -> string[], table, string[]
--- The same container as arguments behind `docker run`: process.run{"docker", "run",
--- table.unpack(args)}. Secrets are not among them: docker reads these variables from its own
--- environment, which the second result is for (env= of process.run). The third says what docker run
--- has no words for; it is empty nearly always.
--- @return string[]  the arguments
--- @return table<string, string|ctz.secret|false>  the environment for docker
--- @return string[]  notes
--- @example local config = ctz.docker.config{image="alpine", entrypoint={"sh", "-c"}, command={"echo hi"}}
--- @example assert(table.concat(config:to_run_args(), "|") == "--entrypoint|sh|alpine|-c|echo hi")
--- @example config = ctz.docker.config{image="alpine", environment={TOKEN=ctz.secret "hunter22"}}
--- @example local args, env = config:to_run_args()
--- @example assert(args[2] == "TOKEN" and env.TOKEN:equals("hunter22"))
--- Api: docker/cli, docker run
function ContainerConfig:to_run_args()
  local put = new_put()
  put.some("--name", self.name)
  process.streams_to_args(self, put)
  for _, field in ipairs(fields_of(self)) do
    if field.args then
      field.args(self[field.name], put)
    end
  end
  networks.to_args(self, put)
  put.args[#put.args + 1] = self.image
  table.move(put.words, 1, #put.words, #put.args + 1, put.args)
  return put.args, put.env, put.notes
end

-- --- update ------------------------------------------------------------------------------------

-- update(op, resources?, restart_policy?) -> the body of POST /containers/{id}/update.
local function update(op, given, restart_policy)
  local problems, body = problems_of.new(), { HostConfig = json.object {} }
  local read = given ~= nil and resources.read(given, "resources", problems)
  local policy = restart_policy ~= nil and resources.read_policy(restart_policy, "restart_policy", problems)
  problems:raise(op)
  resources.to_host(read or {}, body.HostConfig)
  if policy then
    body.HostConfig.RestartPolicy = { Name = policy.name, MaximumRetryCount = policy.max_retries or 0 }
  end
  return body.HostConfig
end

return { config = config, new = new, update = update, names = names }
