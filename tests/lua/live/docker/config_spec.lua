-- config_spec.lua: containers made by the real docker command with to_run_args, and by the API with
-- to_api, are the same for docker inspect.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

local json = ctz.json
local image = engine.image

local function docker(args, env)
  return ctz.process.run({ "docker", table.unpack(args) }, { env = env }).stdout:match "^(.-)%s*$"
end

local function post(path, body)
  return ctz.http.post("http://docker" .. path, { unix_socket = engine.socket(), json = body, check = false })
end

local function created(config, api)
  local body, query = config:to_api(api)
  local query_text = "?"
  for name, value in pairs(query) do
    query_text = query_text .. ("%s=%s&"):format(name, (value:gsub("/", "%%2F")))
  end
  local answer = post(("/v%s/containers/create%s"):format(api, query_text), body)
  assert.equal(201, answer.status, answer.body)
  local id = json.decode(answer.body).Id
  for _, network in ipairs(config:networks_after(api)) do
    local connected = post(("/v%s/networks/%s/connect"):format(api, network.name),
      { Container = id, EndpointConfig = network.settings })
    assert.equal(200, connected.status, connected.body)
  end
  return id
end

-- --- what is compared --------------------------------------------------------------------------

-- What the docker command writes where nothing was asked for; the engine does the same without it.
local CLI_DEFAULTS <const> = {
  ["HostConfig.MemorySwappiness"] = -1, ["HostConfig.OomKillDisable"] = false, ["HostConfig.PidsLimit"] = 0,
  ["HostConfig.Init"] = "never",
}

-- What differs between any two containers, or is a different word for the same process.
local OWN <const> = {
  "Id", "Name", "Created", "ResolvConfPath", "HostnamePath", "HostsPath", "LogPath", "GraphDriver", "State", "Storage",
  "Config.Entrypoint", "Config.Cmd", "NetworkSettings",
}

local function flatten(value, path, out)
  if type(value) == "table" and next(value) ~= nil then
    for key, item in pairs(value) do
      flatten(item, path == "" and tostring(key) or path .. "." .. tostring(key), out)
    end
  elseif value ~= json.null and type(value) ~= "table" and CLI_DEFAULTS[path] ~= value then
    out[path] = value
  end
  return out
end

local function without(found, names)
  for _, name in ipairs(names) do
    local parent, key = found, name
    if name:find ".%." then
      parent, key = found[name:match "^(.-)%."], name:match "%.(.*)$"
    end
    parent[key] = nil
  end
end

local function endpoint_of(endpoint)
  return {
    IPAMConfig = endpoint.IPAMConfig, Links = endpoint.Links, DriverOpts = endpoint.DriverOpts,
    MacAddress = endpoint.MacAddress ~= "" and endpoint.MacAddress or nil, GwPriority = endpoint.GwPriority,
  }
end

local function inspected(id)
  local found = engine.get("/containers/" .. id .. "/json")
  local short, networks, binds = id:sub(1, 12), {}, {}
  for name, endpoint in pairs(found.NetworkSettings.Networks) do
    networks[name] = endpoint_of(endpoint)
    for i, alias in ipairs(endpoint.Aliases ~= json.null and endpoint.Aliases or {}) do
      networks[name][alias == short and "AliasOfItself" or "Alias" .. i] = alias == short or alias
    end
  end
  for _, mount in ipairs(found.Mounts) do
    local is_unnamed = mount.Type == "volume" and #(mount.Name or "") == 64
    binds[mount.Destination] = {
      mount.Type, is_unnamed or mount.Source, mount.RW, mount.Mode, mount.Propagation,
    }
  end
  without(found, OWN)
  found.Networks, found.Mounts = networks, binds
  if found.Config.Hostname == short then
    found.Config.Hostname = "its id"
  end
  for _, list in pairs { found.Config.Env, found.HostConfig.Binds } do -- the docker command keeps no order in them
    if list ~= json.null then
      table.sort(list)
    end
  end
  if found.HostConfig.RestartPolicy.Name == "" then
    found.HostConfig.RestartPolicy.Name = "no"
  end
  return flatten(found, "", {})
end

-- "HostConfig.Init: true, nil"
local function differences(one, other)
  local lines, all = {}, {}
  for _, found in ipairs { one, other } do
    for path in pairs(found) do
      all[path] = true
    end
  end
  for path in pairs(all) do
    if one[path] ~= other[path] then
      lines[#lines + 1] = ("%s: %s, %s"):format(path, tostring(one[path]), tostring(other[path]))
    end
  end
  table.sort(lines)
  return lines
end

-- --- the containers ----------------------------------------------------------------------------

local HOUR <const> = { "sleep", "3600" }
local mac <const> = "92:d0:c6:0a:29:33"
local net_a, net_b = engine.name "net-a", engine.name "net-b"
local scratch = ctz.fs.tempdir()
local folder = scratch.path

local cases = {
  { "nothing but an image", {} },
  { "a command", { command = { "echo", "a b", "-c", "" } } },
  { "an entrypoint of several words", { entrypoint = { "sh", "-c" }, command = { "echo $0", "x" } } },
  { "an entrypoint without a command", { entrypoint = { "sleep", "3600" } } },
  { "no entrypoint", { entrypoint = {}, command = HOUR, image = engine.healthy } },
  { "an image's own entrypoint", { image = engine.healthy, command = HOUR } },
  { "variables", { environment = { A = "1", B = 2, EMPTY = "", EQ = "a=b", SPACE = " x y " } } },
  { "variables as a list", { environment = { "B=2", "A=1" } } },
  { "a secret variable", { environment = { TOKEN = ctz.secret "hunter22-config" } } },
  { "the image's variable taken away", { environment = { PATH = false } } },
  { "labels", { labels = { a = "1", ["x.y/z"] = "", ["q"] = "a=b" } } },
  { "published ports", { ports = { 8080, "18081:80", "127.0.0.1:18082:53/udp", "127.0.0.1::90" } } },
  { "ranges of ports", { ports = { "18100-18102:100-102", "200-201", "18200-18210:300" } } },
  { "ports at IPv6 addresses", { ports = { "[::1]:18300:80", { target = 81, published = 18301, host_ip = "::1" } } } },
  { "exposed ports", { expose = { 80, "53/udp", "3000-3002" }, publish_all = true } },
  { "volumes", { volumes = { "data:/data", "data2:/data2:ro", "/anonymous", "/tmp:/host:ro,rslave" } } },
  { "a folder by its relative path", { volumes = { "./tests:/tests:ro" } } },
  { "volumes by tables", { volumes = { { source = "data", target = "/data", volume = { nocopy = true } },
    { type = "tmpfs", target = "/t", tmpfs = { size = "1m" } } } } },
  { "mounts", { mounts = { "type=bind,source=/tmp,target=/host,readonly,bind-propagation=rslave",
    { type = "volume", source = "data", target = "/data", volume = { nocopy = true, labels = { a = "b" } } },
    { type = "tmpfs", target = "/t", tmpfs = { size = "1m", mode = "1777" } } } } },
  { "a path with a comma and a quote", { mounts = { { type = "bind", source = folder .. '/a,"b', target = "/ab" } } } },
  { "tmpfs", { tmpfs = { "/run", ["/tmp"] = { size = "64m", mode = "1777", noexec = true } } } },
  { "limits", { resources = { cpu_limit = "1.5", memory_limit = "64m", memory_reservation = "32m",
    cpu_reservation = 0.5, memory_swap = "128m", pids_limit = 100, cpuset_cpus = "0" } } },
  { "CPU quotas", { resources = { cpu_period = 50000, cpu_quota = 25000, cpu_shares = 512 } } },
  { "swap without an end", { resources = { memory_limit = "64m", memory_swap = -1 } } },
  { "a weight of disks", { resources = { device_read_bps = { ["/dev/null"] = "1m" },
    device_write_iops = { ["/dev/null"] = 100 } } } },
  { "a policy of restarts", { restart_policy = "on-failure:3" } },
  { "a policy that always restarts", { restart_policy = "unless-stopped" } },
  { "a check of health", { healthcheck = { command = "test -e /tmp/well", interval = "1m30s", timeout = 0.5,
    retries = 2, start_period = "250ms" } } },
  { "other times for the image's check", { image = engine.healthy, healthcheck = { interval = 5 } } },
  { "no check of health", { image = engine.healthy, healthcheck = false } },
  { "a user, a folder, a host name", { user = "1000:1000", workdir = "/srv", hostname = "web",
    domainname = "x.test" } },
  { "limits of processes", { ulimits = { nofile = "1024:2048", nproc = 64, core = -1 } } },
  { "capabilities", { caps = { add = { "net_admin", "CAP_SYS_TIME" }, drop = { "MKNOD" } } } },
  { "devices", { devices = { "/dev/null", "/dev/zero:/dev/nothing:r", { source = "/dev/full", permissions = "rw" } },
    device_cgroup_rules = { "c 1:3 rwm" } } },
  { "an init, a read-only root", { init = true, read_only = true } },
  { "no init", { init = false } },
  { "a privileged one", { privileged = true } },
  { "a terminal and stdin", { tty = true, stdin = true } },
  { "one that is removed", { remove = true } },
  { "names of hosts", { dns = { "10.0.0.1", "fd00::1" }, dns_search = { "x.test" }, dns_options = { "ndots:2" },
    extra_hosts = { db = "10.0.0.5", "h:host-gateway" } } },
  { "names of hosts as a list", { extra_hosts = { "a:10.0.0.1", "b:host-gateway", "c:fd00::5" } } },
  { "logs", { log_driver = "json-file", log_options = { ["max-size"] = "1m", ["max-file"] = "2" } } },
  { "no logs", { log_driver = "none" } },
  { "signals", { stop_signal = "SIGINT", stop_timeout = 3 } },
  { "security options", { security_opt = { "no-new-privileges", "systempaths=unconfined", "label=disable" } } },
  { "no filter of system calls", { security_opt = { "seccomp=unconfined" } } },
  { "a filter of system calls of its own", { security_opt = { "seccomp=" .. folder .. "/seccomp.json" } } },
  { "namespaces", { pid = "host", ipc = "shareable", uts = "host", cgroupns = "host" } },
  { "kernel settings", { sysctls = { ["net.ipv4.ip_forward"] = 1 }, shm_size = "32m", oom_score_adj = 100 } },
  { "groups", { group_add = { "10", 20 }, cgroup_parent = "/ctz-test" } },
  { "a runtime by its name", { runtime = "runc" } },
  { "a platform", { platform = "linux/amd64" } },
  { "no network", { network_mode = "none" } },
  { "the host's network", { network_mode = "host" } },
  { "a network", { networks = { net_a } } },
  { "a network with names and an address", { networks = { [net_a] = { aliases = { "web", "www" },
    address = "10.213.0.77" } } } },
  { "options of a network's driver", { networks = { [net_a] = { driver_opts = { ["x.test"] = "1" } } } } },
  { "a hardware address", { mac_address = mac }, api = "1.44", older = { "Config", "MacAddress", mac } },
  { "a hardware address in a network", { networks = { [net_a] = { mac_address = mac } } }, api = "1.44",
    older = { "Config", "MacAddress", mac } },
  { "several networks", { networks = { net_a, [net_b] = { aliases = { "x" } } } }, api = "1.44",
    older = { "NetworkSettings", "Networks", net_b, "Aliases", 1, "x" } },
  { "priorities of networks", { networks = { net_a, [net_b] = { priority = 5 } } }, api = "1.48" },
  { "a check that begins slowly", { healthcheck = { command = "true", start_interval = "2s" } }, api = "1.44" },
  { "annotations", { annotations = { a = "b" } }, api = "1.43" },
  { "a part of a volume", { mounts = { "type=volume,source=data,target=/d,volume-subpath=x" } }, api = "1.45" },
  { "mounts that are not followed", { mounts = { { type = "bind", source = "/tmp", target = "/h", read_only = true,
    bind = { recursive = "writable" } } } }, api = "1.44" },
}

local function version_of(text)
  local major, minor = text:match "^(%d+)%.(%d+)"
  return tonumber(major) * 1000 + tonumber(minor)
end

describe("docker.config #live", function()
  local cli_api
  local made = {}

  local function keep(id)
    made[#made + 1] = id
    return id
  end

  -- What the engine is too old for raises, or is made in another way than by the docker command.
  local function check_older(case, config)
    if not case.older then
      local _, err = ctz.try(created, config, engine.api)
      assert.equal("unsupported", err.kind)
      assert.matches("needs API version " .. case.api, err.message, 1, true)
      return
    end
    local place = engine.get("/containers/" .. keep(created(config, engine.api)) .. "/json")
    for i = 1, #case.older - 1 do
      place = place[case.older[i]]
    end
    assert.equal(case.older[#case.older], place)
  end

  setup(function()
    cli_api = docker { "version", "--format", "{{.Client.APIVersion}}" }
    ctz.fs.mkdir(folder .. '/a,"b')
    ctz.fs.write(folder .. "/seccomp.json", '{ "defaultAction" : "SCMP_ACT_ALLOW" }')
    docker { "network", "create", "--subnet", "10.213.0.0/24", net_a }
    docker { "network", "create", "--subnet", "10.214.0.0/24", net_b }
  end)

  after_each(function()
    for i = #made, 1, -1 do
      docker { "rm", "--force", "--volumes", table.remove(made, i) }
    end
  end)

  teardown(function()
    docker { "network", "rm", net_a, net_b }
    docker { "volume", "rm", "--force", "data", "data2" }
    scratch:close()
    engine.is_clean()
  end)

  for _, case in ipairs(cases) do
    local given = case[2]
    given.image = given.image or image
    given.command = given.command or not given.entrypoint and HOUR or nil
    it("makes the same of " .. case[1], function()
      local config = ctz.docker.config(given)
      local versions = { engine.api }
      if version_of(cli_api) >= version_of(case.api or "1.41") and engine.api ~= cli_api then
        versions = { cli_api, engine.api }
      elseif case.api and version_of(engine.api) < version_of(case.api) then
        return check_older(case, config)
      elseif version_of(cli_api) < version_of(case.api or "1.41") then
        keep(created(config, engine.api))
        pending(("the docker command, API %s, cannot say it; the engine takes it"):format(cli_api))
      end
      local args, env = config:to_run_args()
      local by_cli = inspected(keep(docker({ "create", table.unpack(args) }, env)))
      for _, version in ipairs(versions) do
        local by_api = inspected(keep(created(config, version)))
        if version_of(version) >= 1044 and version_of(cli_api) < 1044 then -- the engine adds it for old clients
          by_cli["HostConfig.Mounts.1.BindOptions.ReadOnlyNonRecursive"] = nil
        end
        assert.same({}, differences(by_cli, by_api))
      end
    end)
  end

  it("runs the same process, which gets its secret, while no argument has it", function()
    local given = ctz.docker.config {
      image = image, remove = true, entrypoint = { "sh", "-c" },
      command = { 'echo "$0 $#"; echo $TOKEN | tr a-z A-Z', "zero" },
      environment = { TOKEN = ctz.secret "swordfish-7", PATH = "/bin" },
    }
    local args, env, notes = given:to_run_args()
    assert.same({}, notes)
    assert.not_matches("swordfish", table.concat(args, " "), 1, true)
    assert.equal("zero 0\nSWORDFISH-7", docker({ "run", table.unpack(args) }, env))
  end)
end)
