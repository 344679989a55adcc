---@meta ctz.docker
-- Generated from the doc comments; do not edit.

---a Docker Engine from a recipe. The module itself acts on the default engine.
---@class ctz.docker
local docker = {}

---@class ctz.docker.config.config
---@field image string  "alpine:3.20", or the id of an image
---@field name? string
---@field command? string[]  the words; a single word may be a string
---@field entrypoint? string[]  {} or "": none, also not that of the image
---@field environment? table  {NAME = text|number|secret|false (takes it away)} or {"NAME=value", "NAME"}
---@field ports? table  {"8080:80", "127.0.0.1:53:53/udp", {target=80, published=8080, host_ip=, protocol=}}
---@field expose? table  {80, "53/udp", "3000-3010"}
---@field publish_all? boolean
---@field volumes? table  {"name:/path:ro", "./folder:/path"}; {type=, source=, target=, read_only=, selinux=, consistency=, bind={propagation=, create_host_path=, recursive=}, volume={nocopy=, subpath=, labels=, driver=, driver_opts=}}; or {["./folder"] = "/path:ro"}
---@field mounts? table  {"type=bind,source=/a,target=/b,readonly"} or tables as in volumes, also of type tmpfs with tmpfs={size=, mode=} and image with image={subpath=}; what is missing on the host is an error
---@field tmpfs? table  {"/run", "/tmp:size=64m"} or {["/tmp"] = {size="64m", mode="1777"}}
---@field networks? table  {"front", "back"} or {front = {aliases=, address=, address6=, mac_address=, link_local=, links=, driver_opts=, priority=}}
---@field network_mode? string  "bridge", "host", "none", "container:NAME"
---@field mac_address? string
---@field links? string[]
---@field resources? table  {cpu_limit=, memory_limit=, cpu_reservation=, memory_reservation=, memory_swap=, memory_swappiness=, cpu_shares=, cpu_period=, cpu_quota=, cpuset_cpus=, cpuset_mems=, pids_limit=, oom_kill_disable=, blkio_weight=, device_read_bps=, ...}; a reservation of 1 CPU is 1024 shares
---@field restart_policy? string|table  "always", "on-failure:3" or {name=, max_retries=}
---@field labels? table  {name = value} or {"name=value"}
---@field healthcheck? table|false  {command= line for a shell or words, interval=, timeout=, start_period=, start_interval=, retries=}; false switches the image's off
---@field user? string
---@field workdir? string
---@field hostname? string
---@field ulimits? table  {nofile = "1024:2048"} or {nofile = {soft=, hard=}}
---@field caps? table  {add = {"NET_ADMIN"}, drop = {"ALL"}}
---@field devices? table  {"/dev/fuse", "/dev/a:/dev/b:rw", {source=, target=, permissions=}}
---@field gpus? string|integer|table  "all", 2 or {count=, device_ids=, driver=, capabilities=, options=}
---@field init? boolean
---@field read_only? boolean
---@field privileged? boolean
---@field platform? string  "linux/arm64"
---@field pull? string  "missing" (default), "always", "never"
---@field remove? boolean  the engine removes the container when it ends
---@field detach? boolean
---@field tty? boolean
---@field stdin? boolean|string|ctz.secret|table  true, or what the process reads
---@field extra_hosts? table  {db = "10.0.0.5"} or {"db:10.0.0.5"}
---@field dns? string[]  also dns_search, dns_options
---@field shm_size? string|integer
---@field log_driver? string
---@field log_options? table
---@field stop_signal? string
---@field stop_timeout? integer  seconds
---@field security_opt? string[]  also sysctls, group_add, pid, ipc, uts, userns, cgroupns, cgroup_parent, runtime, storage_opt, volumes_from, volume_driver, device_cgroup_rules, oom_score_adj, annotations, domainname

---A description of a container, checked: all problems are told at once, each with the place of it. Short forms as docker run takes them and long tables may be mixed; the result has the long ones. docker.run and docker.containers.create take the same table. Secrets (ctz.secret) are taken in environment and are never part of an argument.
---@param config ctz.docker.config.config
---@return ctz.docker.ContainerConfig
function docker.config(config) end

---@class ctz.docker.connect.opts
---@field host? string  "unix:///PATH", "tcp://HOST:PORT", "ssh://[USER@]HOST"
---@field context? string  name of a context
---@field tls? table  {ca=, cert=, key=} files or PEM texts, insecure=; default as the environment says

---An engine to work with: the result has all that ctz.docker has. Without options it is the engine that the docker command would use: DOCKER_HOST, else DOCKER_CONTEXT, else the current context of config.json, else the local socket. Nothing is sent yet.
---@param opts? ctz.docker.connect.opts
---@return ctz.docker
function docker.connect(opts) end

docker.system = {}

---{version=, api_version=, os=, arch=, kernel=, raw=}: api_version is the one that ctz speaks to it.
---@async
---@return {version: string, api_version: string, os: string, arch: string, kernel: string, raw: table}
function docker.system.version() end

---@class ctz.docker.ContainerConfig
local containerconfig = {}

---The networks that are connected after the container was created: before API 1.44 create takes one network only. Each is {name=, settings=}, and settings is the EndpointConfig of POST /networks/{name}/connect.
---@param api_version? string  that of the connection, default "1.41"
---@return {name: string, settings: table}[]
function containerconfig:networks_after(api_version) end

---The body of POST /containers/create, and what goes into its query: name and platform. Secrets are in it as plain texts.
---@param api_version? string  that of the connection, default "1.41"
---@return table # the body
---@return {name: string?, platform: string?} # the query
function containerconfig:to_api(api_version) end

---The same container as arguments behind `docker run`: process.run{"docker", "run", table.unpack(args)}. Secrets are not among them: docker reads these variables from its own environment, which the second result is for (env= of process.run). The third says what docker run has no words for; it is empty nearly always.
---@return string[] # the arguments
---@return table<string, string|ctz.secret|false> # the environment for docker
---@return string[] # notes
function containerconfig:to_run_args() end

return docker
