-- docker_config_spec.lua: ctz.docker.config: what it reads, what it refuses, the API body, the arguments.
-- That real engines make the same of both: live/docker/config_spec.lua.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local configs = require "ctz.docker.config"
local program = require "tests.lua.support.program"

local json = ctz.json

local function config(given)
  given.image = given.image or "alpine"
  return ctz.docker.config(given)
end

-- The whole message of what is wrong.
local function problem(given)
  given.image = given.image or "alpine"
  local ok, err = pcall(ctz.docker.config, given)
  assert.is_false(ok, "it did not fail")
  assert.equal("usage", err.kind)
  assert.equal("docker.config", err.op)
  return err.message, err
end

local function args(given)
  return table.concat((config(given):to_run_args()), " ")
end

local function plain(object)
  local copy = {}
  for key, value in pairs(object) do
    copy[key] = value
  end
  return copy
end

local CWD <const> = ctz.path.absolute "."

-- --- short and long ----------------------------------------------------------------------------

describe("ctz.docker.config reads as the same", function()
  local rows = { -- field, forms
    { "command", { "sh" }, "sh" },
    { "command", { "sleep", "5" }, { "sleep", 5 } },
    { "entrypoint", {}, "" },
    { "environment", { A = "1", B = 2 }, { "A=1", "B=2" },
      { { name = "A", value = "1" }, { name = "B", value = "2" } } },
    { "ports", { 80 }, { "80" }, 80, "80", { "80/tcp" }, { { target = 80 } }, { { target = "80", protocol = "tcp" } } },
    { "ports", { "8080:80" }, { { target = 80, published = 8080 } }, { { target = 80, published = "8080" } } },
    { "ports", { "127.0.0.1:53:53/udp" }, { "127.0.0.1:53:53/UDP" },
      { { target = 53, published = 53, host_ip = "127.0.0.1", protocol = "udp" } } },
    { "ports", { "[::1]:1:2" }, { "::1:1:2" }, { { target = 2, published = 1, host_ip = "::1" } } },
    { "ports", { "127.0.0.1::80" }, { { target = 80, host_ip = "127.0.0.1" } } },
    { "ports", { "8000-8001:80-81" }, { "8000:80", "8001:81" }, { { target = "80-81", published = "8000-8001" } } },
    { "ports", { "8000-8010:80" }, { { target = 80, published = "8000-8010" } } },
    { "expose", { 80, "3000-3001/udp" }, { "80/tcp", "3000/udp", "3001/udp" } },
    { "volumes", { "name:/path:ro" }, { { source = "name", target = "/path", read_only = true } },
      { { type = "volume", source = "name", target = "/path", read_only = true } }, { name = "/path:ro" } },
    { "volumes", { "./rel:/x" }, { { source = "./rel", target = "/x" } }, { CWD .. "/rel:/x" }, { ["./rel"] = "/x" },
      { { type = "bind", source = CWD .. "/rel", target = "/x", read_only = false } } },
    { "volumes", { "/a:/b:rslave,Z,ro" },
      { { source = "/a", target = "/b", selinux = "Z", read_only = true, bind = { propagation = "rslave" } } } },
    { "volumes", { "/anonymous" }, { { target = "/anonymous" } }, "/anonymous" },
    { "volumes", { "v:/b:nocopy" }, { { source = "v", target = "/b", volume = { nocopy = true } } } },
    { "mounts", { "type=bind,src=/a,dst=/b,ro" }, { { type = "bind", source = "/a", target = "/b", read_only = true } },
      { "type=bind,source=/a,destination=/b,readonly=true" } },
    { "mounts", { "source=v,target=/b,volume-opt=o=a,volume-label=x=y,volume-driver=d" }, { {
      type = "volume", source = "v", target = "/b",
      volume = { driver = "d", driver_opts = { o = "a" }, labels = { x = "y" } } } } },
    { "mounts", { 'type=tmpfs,"target=/a,b",tmpfs-size=1m,tmpfs-mode=700' },
      { { type = "tmpfs", target = "/a,b", tmpfs = { size = 1048576, mode = 448 } } } },
    { "mounts", { "type=bind,source=/a,target=/b,bind-nonrecursive" },
      { { type = "bind", source = "/a", target = "/b", bind = { recursive = "disabled" } } } },
    { "tmpfs", { "/run", "/tmp:mode=1777,size=64m" },
      { ["/run"] = true, ["/tmp"] = { size = "64m", mode = "1777" } }, { "/run", ["/tmp"] = "mode=1777,size=64m" } },
    { "tmpfs", "/run", { "/run" } },
    { "networks", { "a", "b" }, { { name = "a" }, { name = "b" } }, { a = {}, b = true } },
    { "networks", { a = { aliases = { "x" } } }, { a = { aliases = "x" } }, { { name = "a", aliases = { "x" } } } },
    { "resources", { cpu_limit = "1.5", memory_limit = "512m" }, { cpu_limit = 1.5, memory_limit = 536870912 } },
    { "resources", { memory_swap = "-1" }, { memory_swap = -1 } },
    { "resources", { device_read_bps = { "/dev/sda:1m" } }, { device_read_bps = { ["/dev/sda"] = 1048576 } } },
    { "restart_policy", "on-failure:3", { name = "on-failure", max_retries = 3 } },
    { "restart_policy", "always", { name = "always" } },
    { "labels", { a = "1", b = "" }, { "a=1", "b" } },
    { "healthcheck", { command = "true", interval = "1m30s" }, { command = { "CMD-SHELL", "true" }, interval = 90 } },
    { "healthcheck", { command = { "a", "b" } }, { command = { "CMD", "a", "b" } } },
    { "healthcheck", false, { disable = true }, { command = { "NONE" } } },
    { "ulimits", { nofile = "1024:2048" }, { "nofile=1024:2048" }, { nofile = { soft = 1024, hard = 2048 } },
      { { name = "nofile", soft = 1024, hard = 2048 } } },
    { "ulimits", { core = -1, nproc = 64 }, { "nproc=64", "core=-1:-1" } },
    { "caps", { add = { "net_admin" }, drop = "ALL" }, { add = { "CAP_NET_ADMIN" }, drop = { "all" } } },
    { "devices", { "/dev/x" }, { "/dev/x:rwm" }, { { source = "/dev/x" } },
      { { source = "/dev/x", target = "/dev/x", permissions = "rwm" } } },
    { "devices", { "/dev/x:/dev/y:r" }, { { source = "/dev/x", target = "/dev/y", permissions = "r" } } },
    { "gpus", "all", { count = -1 } },
    { "gpus", 2, "2", { count = 2 } },
    { "extra_hosts", { db = "10.0.0.5" }, { "db:10.0.0.5" }, { "db=10.0.0.5" } },
    { "extra_hosts", { "c:::1" }, { c = "::1" }, { "c=[::1]" } },
    { "dns", "10.0.0.1", { "10.0.0.1" } },
    { "sysctls", { ["net.a"] = 1 }, { "net.a=1" } },
    { "shm_size", "64m", 67108864 },
    { "stop_signal", 9, "9" },
    { "user", 1000, "1000" },
    { "mac_address", "92-D0-C6-0A-29-33", "92:d0:c6:0a:29:33" },
  }
  for i, row in ipairs(rows) do
    it(("all forms of %s (%d)"):format(row[1], i), function()
      local first = config { [row[1]] = row[2] }
      for form = 3, #row do
        assert.same(plain(first), plain(config { [row[1]] = row[form] }))
      end
      assert.same(plain(first), plain(config(plain(first)))) -- its own form too
      assert.same(first:to_api "1.56", config(plain(first)):to_api "1.56")
    end)
  end

  it("a description that was read already", function()
    local read = config { ports = { 80 } }
    assert.equal(read, ctz.docker.config(read))
  end)
end)

-- --- mistakes ----------------------------------------------------------------------------------

describe("ctz.docker.config", function()
  it("tells all problems at once, each with its place", function()
    assert.equal(table.concat({
      "6 problems:",
      "  cmd: unknown field 'cmd'; did you mean 'command'?",
      "  config: unknown field 'comand'; did you mean 'command'?",
      '  image: "Alpine": repository name must be lowercase ("alpine" would be one)',
      '  environment[2]: expected {NAME = "value"} or "NAME=value"; a name has no =',
      '  ports[2]: no port of the container: "http"',
      '  resources.memory_limit: expected a size such as "512m", "1.5g" or a number of bytes, got "12q"',
    }, "\n"), (problem {
      image = "Alpine", cmd = { "a" }, comand = { "b" }, ports = { 80, "8080:http" },
      environment = { "A=1", "=x" }, resources = { memory_limit = "12q" },
    }))
  end)

  it("needs an image", function()
    local _, err = pcall(ctz.docker.config, {})
    assert.equal("image: it is required", err.message)
    _, err = pcall(ctz.docker.config, "alpine")
    assert.equal("bad argument 'config' to 'docker.config': expected table, got string", err.message)
  end)

  local wrong = { -- field, value, a part of the message
    { "image", "", "image: it is empty" },
    { "image", 5 .. "\0", "NUL" },
    { "image", "--rm", "path component" },
    { "name", "a", "a name of letters" },
    { "name", "-x", "a name of letters" },
    { "command", "echo hi", "expected a list of words, got a line" },
    { "command", { "a", {} }, "command[2]: expected a text, got table" },
    { "command", { "a", nil, "c" }, "command[2]: it is nil, and others follow" },
    { "command", { "a\0" }, "NUL" },
    { "command", { x = 1 }, 'expected a list, got a field "x"' },
    { "environment", { A = true }, 'environment.A: expected a text, a number, a secret or false' },
    { "environment", { ["A=B"] = "1" }, "a name has no =" },
    { "environment", { "A=1", "A=2" }, "environment[2]: A is given twice" },
    { "environment", { A = "x\0" }, "environment.A: it holds a NUL byte" },
    { "environment", { A = {} }, "expected a text, got table" },
    { "environment", true, "expected variables such as" },
    { "environment", { [{}] = 1 }, "a name has no =" },
    { "ports", { 0 }, "no port of the container" },
    { "ports", { 65536 }, "no port of the container" },
    { "ports", { "80:x" }, 'no port of the container: "x"' },
    { "ports", { "x:80" }, 'no port of the host: "x"' },
    { "ports", { "1.2.3:80:80" }, "is no IP address" },
    { "ports", { "300.1.1.1:80:80" }, "is no IP address" },
    { "ports", { ":::80" }, "is no IP address" },
    { "ports", { "80/xyz" }, 'no protocol is called "xyz"' },
    { "ports", { "8000-8001:80-82" }, "are not as many ports as" },
    { "ports", { "82-80" }, "no port of the container" },
    { "ports", { 80.5 }, "no port" },
    { "ports", { { published = 80 } }, "ports[1]: it needs target" },
    { "ports", { { target = 80, hostip = "::1" } }, "did you mean 'host_ip'" },
    { "ports", { { target = {} } }, "expected a port or a range of ports, got table" },
    { "ports", { [3] = 80 }, "ports[1]: it is nil" },
    { "expose", { "a" }, "expected a port such as" },
    { "volumes", { "" }, "expected a volume such as" },
    { "volumes", { "a:" }, "expected a volume such as" },
    { "volumes", { "a:/b:ro:x" }, "expected a volume such as" },
    { "volumes", { "a:/b:rx" }, 'no mode of a volume is called "rx"' },
    { "volumes", { "a:b" }, "is not absolute" },
    { "volumes", { "a/b:/c" }, 'no volume is called "a/b"' },
    { "volumes", { "~/x:/c" }, 'no volume is called "~/x"' },
    { "volumes", { "a:/c:rslave" }, 'volumes[1].bind: it is about type "bind", this is "volume"' },
    { "volumes", { "/a:/c:nocopy" }, "it is about type \"volume\"" },
    { "volumes", { "a:/c", "b:/c/" }, 'volumes[2]: "/c/" is the place of volumes[1] already' },
    { "volumes", { { source = "a" } }, "it needs target" },
    { "volumes", { { source = "a", target = "/x", readonly = true } }, "did you mean 'read_only'" },
    { "volumes", { { source = "a", target = "/x", selinux = "Z", volume = { subpath = "y" } } }, "selinux" },
    { "volumes", { 7 }, "expected a volume such as" },
    { "mounts", { "type=bind,target=/x" }, 'type "bind" needs a source' },
    { "mounts", { "target=/x,surce=y" }, "did you mean 'source'" },
    { "mounts", { 'target="x' }, "expected a mount such as" },
    { "mounts", { "type=tmpfs,source=/a,target=/x" }, 'type "tmpfs" has no source' },
    { "mounts", { "type=disk,target=/x" }, 'expected "bind", "volume", "tmpfs" or "image", got "disk"' },
    { "mounts", { "type=tmpfs,target=/x,tmpfs-mode=9" }, "an octal mode" },
    { "mounts", { "type=bind,source=a,target=/x" }, 'write "./a"' },
    { "mounts", { "target=/x,readonly=maybe" }, 'expected true or false, got "maybe"' },
    { "tmpfs", { "run" }, "expected an absolute path" },
    { "tmpfs", { ["/run"] = { 1 } }, "expected options such as" },
    { "networks", { "a", "a" }, '"a" is given twice' },
    { "networks", { "host", "a" }, '"host" is no network beside others' },
    { "networks", { bridge = { aliases = { "x" } } }, 'networks.bridge.aliases: networks of users have it' },
    { "networks", { a = { adress = "10.0.0.1" } }, "did you mean 'address'" },
    { "networks", { a = { address = "10.0.0.256" } }, "expected an IPv4 address" },
    { "networks", { a = { address6 = "fd00:::1" } }, "expected an IPv6 address" },
    { "networks", { { aliases = {} } }, "networks[1]: it needs a name" },
    { "networks", { a = 5 }, "networks.a: expected a table such as" },
    { "networks", { "a b" }, "the name of a network" },
    { "network_mode", "", "network_mode: expected" },
    { "mac_address", "92:d0", "expected a MAC address" },
    { "resources", { cpu_limit = -1 }, "expected a number of CPUs" },
    { "resources", { cpu_limit = "1/2" }, "expected a number of CPUs" },
    { "resources", { memory_limit = -5 }, "expected a size such as" },
    { "resources", { memory_limit = "64m", memory_reservation = "128m" }, "it is more than memory_limit" },
    { "resources", { memory_swap = "64m" }, "give memory_limit too" },
    { "resources", { memory_limit = "64m", memory_swap = "32m" }, "not less than memory_limit" },
    { "resources", { cpu_reservation = 1, cpu_shares = 5 }, "give one of the two" },
    { "resources", { cpu_limit = 1, cpu_quota = 5 }, "without cpu_period and cpu_quota" },
    { "resources", { pids_limit = 1.5 }, "a whole number" },
    { "resources", { cpuset_cpus = "a" }, 'expected CPUs such as "0-3"' },
    { "resources", { memory = "1g" }, "unknown field 'memory'" },
    { "resources", "512m", "expected a table such as" },
    { "restart_policy", "sometimes", 'got "sometimes"' },
    { "restart_policy", "always:3", "belongs to on-failure only" },
    { "restart_policy", "on-failure:x", "restart_policy.name" },
    { "labels", { a = true }, "labels.a: expected a text, got true" },
    { "labels", { [""] = "x" }, "expected a name and a value" },
    { "labels", "a", "a table of names and values" },
    { "healthcheck", { command = "" }, "healthcheck.command: it is empty" },
    { "healthcheck", { command = "a", interval = "1x" }, "expected a duration" },
    { "healthcheck", { command = "a", interval = 0.0001 }, "at least 1ms" },
    { "healthcheck", { command = "a", retries = -1 }, "a whole number, 0 to" },
    { "healthcheck", { disable = true, interval = 5 }, "has no other fields" },
    { "healthcheck", { comand = "a" }, "did you mean 'command'" },
    { "healthcheck", true, "expected a table such as" },
    { "ulimits", { nofile = "x" }, "ulimits.nofile.soft: expected a whole number" },
    { "ulimits", { nofile = "20:10" }, "the soft limit is more than the hard limit" },
    { "ulimits", { nofile = "1:2:3" }, "expected limits such as" },
    { "ulimits", { "nofile" }, "expected a limit such as" },
    { "ulimits", { nofiles = 5 }, "no limit is called \"nofiles\"; did you mean 'nofile'?" },
    { "ulimits", { nofile = {} }, "it needs a name and a limit" },
    { "caps", { add = { "NET ADMIN" } }, "expected a capability such as" },
    { "caps", { "ALL" }, "its fields have names: add, drop" },
    { "devices", { "dev/x" }, "expected an absolute path" },
    { "devices", { "/dev/x:/dev/y:rwx" }, '"r", "w" and "m" together' },
    { "devices", { "/dev/x:/dev/y:rr" }, '"r", "w" and "m" together' },
    { "devices", { "/a:/b:r:w" }, "expected a device such as" },
    { "gpus", 0, "a whole number, 1 or more" },
    { "gpus", { count = 1, device_ids = { "0" } }, "exclude each other" },
    { "init", "yes", "expected true or false" },
    { "user", "", "user: it is empty" },
    { "workdir", "srv", "expected an absolute path" },
    { "dns", { "one" }, "dns[1]: expected an IP address" },
    { "extra_hosts", { "a" }, 'expected "name:address"' },
    { "extra_hosts", { a = "nowhere" }, 'expected "name:address"' },
    { "shm_size", "64mm", "expected a size" },
    { "stop_signal", "term", "expected a signal" },
    { "stop_timeout", "soon", "a whole number" },
    { "security_opt", { "no-new-priviliges" }, "security_opt[1]: expected" },
    { "pid", "mine", 'expected "host" or "container:NAME"' },
    { "ipc", "container:", "expected" },
    { "platform", "linux/amd64/v2/x", "expected a platform" },
    { "pull", "sometimes", 'expected "always", "missing" or "never"' },
    { "device_cgroup_rules", { "x 1:3 r" }, "expected a rule" },
    { "annotations", { "=" }, "expected a name and a value" },
    { "stdin", 5, "expected true, a text, a secret" },
    { "sysctls", { a = {} }, "sysctls.a: expected a text" },
  }
  for i, row in ipairs(wrong) do
    it(("refuses a wrong %s (%d)"):format(row[1], i), function()
      assert.matches(row[3], problem { [row[1]] = row[2] }, 1, true)
    end)
  end

  it("hints at what was probably meant", function()
    assert.matches('did you mean "./a/b"', select(2, problem { volumes = { "a/b:/c" } }).hint, 1, true)
    assert.matches("~ is not read", select(2, problem { volumes = { "~/x:/c" } }).hint, 1, true)
    assert.equal('{"sh", "-c", "echo hi"} runs it in a shell', select(2, problem { command = "echo hi" }).hint)
  end)

  it("refuses what excludes each other", function()
    assert.matches("give one of the two", problem { remove = true, restart_policy = "always" }, 1, true)
    assert.matches("network_mode: networks names", problem { networks = { "a" }, network_mode = "host" }, 1, true)
    assert.matches('the driver "none" has no options',
      problem { log_driver = "none", log_options = { a = "b" } }, 1, true)
    assert.matches("has another",
      problem { mac_address = "92:d0:c6:0a:29:33", networks = { a = { mac_address = "92:d0:c6:0a:29:34" } } }, 1, true)
    assert.matches("is the place of volumes[1] already", problem { volumes = { "a:/x" }, tmpfs = { "/x" } }, 1, true)
  end)

  it("takes names that belong to its caller, and offers them as near names too", function()
    local given = { image = "alpine", check = false, timeout = 5 }
    assert.equal("alpine", configs.new(given, "docker.run", { "check", "timeout" }).image)
    given.chekc = 1
    local _, err = pcall(configs.new, given, "docker.run", { "check", "timeout" })
    assert.equal("docker.run", err.op)
    assert.matches("did you mean 'check'", err.message, 1, true)
  end)

  it("raises usage and nothing else for garbage, and reads its own form as the same", function()
    local random = math.random
    math.randomseed(42)
    local leaves = {
      "", "a", "x:y", "8080:80", "/a:/b", ":", "=", "a=b", ",", '"', "-1", 0, -1, 1.5, 0 / 0, math.huge,
      math.mininteger, true, false, json.null, ctz.secret "tok-config-12345", print, io.stdout, "/", ".",
      "host", "container:", "\0", "[::1]:1:2", "1-2:3-4", "%s%n",
      "type=bind,source=/a,target=/b", "512m", "1m30s", {}, "/dev/x:/dev/y:rwm",
    }
    local keys = {
      1, 2, 3, 5, "a", "name", "source", "target", "type", "bind", "volume", "command", "soft", "add", "published",
      "aliases", "address", "memory_limit", "interval", "", "a=b", true, 1.5, -1, {}, "value", "count", "labels",
      "mode",
    }
    local function garbage(depth)
      local value = leaves[random(#leaves)]
      if depth > 0 and random() < 0.55 then
        value = {}
        for _ = 1, random(0, 4) do
          value[keys[random(#keys)]] = garbage(depth - 1)
        end
      end
      return value
    end
    local right = 0
    for _ = 1, 4000 do
      local given = { image = "alpine", [configs.names[random(#configs.names)]] = garbage(3) }
      local ok, read = pcall(configs.new, given)
      if ok then
        right = right + 1
        assert.equal(ctz.inspect(read), ctz.inspect(configs.new(plain(read))))
        for _, word in ipairs((read:to_run_args())) do
          assert.not_matches("tok-config", word, 1, true)
        end
        local made, err = pcall(read.to_api, read, "1.41")
        assert.is_true(made or err.kind == "unsupported" or err.kind == "usage")
      else
        assert.equal("usage", read.kind)
        assert.not_matches("tok-config", read.message, 1, true)
      end
    end
    assert.is_true(right > 100)
  end)

  it("reads large and odd tables in good time", function()
    local ports, variables = {}, {}
    for i = 1, 20000 do
      ports[i], variables[i] = i, "V" .. i .. "=x"
    end
    local body = config { ports = ports, environment = variables }:to_api()
    assert.equal(20000, #body.Env)
    assert.equal("", body.HostConfig.PortBindings["20000/tcp"][1].HostPort)
    assert.equal(65535, #config { ports = "1-65535" }.ports)
    assert.is_true(#problem { name = ("x "):rep(100000) } < 400)
  end)
end)

-- --- the API -----------------------------------------------------------------------------------

describe("config:to_api", function()
  it("gives the body, and the query apart", function()
    local body, query = config {
      name = "web", platform = "linux/amd64", command = { "sleep", "5" }, remove = true, networks = { "a" },
    }:to_api "1.41"
    assert.same({ name = "web", platform = "linux/amd64" }, query)
    assert.equal(json.encode {
      AttachStderr = true, AttachStdin = false, AttachStdout = true, Cmd = { "sleep", "5" }, OpenStdin = false,
      HostConfig = { AutoRemove = true, NetworkMode = "a" }, Image = "alpine", StdinOnce = false,
    }, json.encode(body))
  end)

  it("keeps empty lists lists", function()
    local text = json.encode((config { dns = {}, labels = {}, command = {} }:to_api()))
    assert.matches('"Dns":[]', text, 1, true)
    assert.matches('"Labels":{}', text, 1, true)
    assert.matches('"Cmd":[]', text, 1, true)
  end)

  it("writes durations in nanoseconds and CPUs in billionths", function()
    local body = config {
      healthcheck = { command = "true", interval = "1m30s", timeout = 0.1, start_period = 0 },
      resources = { cpu_limit = 0.1, cpu_reservation = 0.5 },
    }:to_api()
    assert.equal("integer", math.type(body.Healthcheck.Interval))
    assert.equal(90000000000, body.Healthcheck.Interval)
    assert.equal(100000000, body.Healthcheck.Timeout)
    assert.equal(0, body.Healthcheck.StartPeriod)
    assert.equal(100000000, body.HostConfig.NanoCpus)
    assert.equal(512, body.HostConfig.CpuShares)
  end)

  it("puts the hardware address where that version looks for it", function()
    local given = config { mac_address = "92:d0:c6:0a:29:33" }
    local old, new = given:to_api "1.43", given:to_api "1.44"
    assert.equal("92:d0:c6:0a:29:33", old.MacAddress)
    assert.is_nil(old.NetworkingConfig)
    assert.is_nil(new.MacAddress)
    assert.equal("92:d0:c6:0a:29:33", new.NetworkingConfig.EndpointsConfig.default.MacAddress)
    local named = config { networks = { a = { mac_address = "92:d0:c6:0a:29:33" } } }
    assert.equal("92:d0:c6:0a:29:33", named:to_api("1.41").MacAddress)
    assert.equal("92:d0:c6:0a:29:33", named:to_api("1.52").NetworkingConfig.EndpointsConfig.a.MacAddress)
  end)

  it("connects one network before API 1.44 and names the others, then all at once", function()
    local given = config { networks = { "a", b = { aliases = { "x" }, address = "10.0.0.5" } } }
    local body = given:to_api "1.43"
    assert.equal("a", body.HostConfig.NetworkMode)
    assert.same({ a = {} }, body.NetworkingConfig.EndpointsConfig)
    local settings = { Aliases = { "x" }, IPAMConfig = { IPv4Address = "10.0.0.5" } }
    assert.same({ { name = "b", settings = settings } }, given:networks_after "1.43")
    assert.same({ a = {}, b = settings }, given:to_api("1.44").NetworkingConfig.EndpointsConfig)
    assert.same({}, given:networks_after "1.44")
  end)

  it("raises unsupported for what that version would drop without a word", function()
    local rows = {
      { { healthcheck = { command = "true", start_interval = 1 } }, "1.43", "healthcheck.start_interval", "1.44" },
      { { annotations = { a = "b" } }, "1.42", "annotations", "1.43" },
      { { networks = { a = { priority = 1 } } }, "1.47", "networks.a.priority", "1.48" },
      { { mounts = { "source=v,target=/x,volume-subpath=y" } }, "1.44", "mounts[1].volume.subpath", "1.45" },
      { { platform = "linux/arm64" }, "1.40", "platform", "1.41" },
    }
    for _, row in ipairs(rows) do
      local given = config(row[1])
      local ok, err = pcall(given.to_api, given, row[2])
      assert.is_false(ok)
      assert.equal("unsupported", err.kind)
      assert.equal(("%s: needs API version %s, the engine speaks %s"):format(row[3], row[4], row[2]), err.message)
      assert.equal("table", type((given:to_api(row[4]))))
    end
    local given = config { networks = { "a", b = { mac_address = "92:d0:c6:0a:29:33" } } }
    assert.equal("unsupported", select(2, pcall(given.networks_after, given, "1.41")).kind)
    assert.equal("usage", select(2, pcall(given.to_api, given, "newest")).kind)
  end)

  it("reads a seccomp profile when it is needed", function()
    local folder <close> = ctz.fs.tempdir()
    ctz.fs.write(folder.path .. "/p.json", '{ "defaultAction": "SCMP_ACT_ALLOW" }\n')
    local body = config { security_opt = { "seccomp=" .. folder.path .. "/p.json" } }:to_api()
    assert.same({ 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}' }, body.HostConfig.SecurityOpt)
    local missing = config { security_opt = { "seccomp=" .. folder.path .. "/none.json" } }
    assert.equal("usage", select(2, pcall(missing.to_api, missing)).kind)
  end)

  it("attaches when somebody waits for it", function()
    local body = config { stdin = "text", detach = true }:to_api()
    assert.same({ true, false, false }, { body.OpenStdin, body.AttachStdin, body.StdinOnce })
    body = config { stdin = "text" }:to_api()
    assert.same({ true, true, true }, { body.OpenStdin, body.AttachStdin, body.StdinOnce })
    body = config { stdin = false }:to_api()
    assert.is_false(body.OpenStdin)
  end)
end)

-- --- secrets -----------------------------------------------------------------------------------

describe("a secret in a container's environment", function()
  local token = ctz.secret "tok-config-12345"

  it("is in the body and in no argument", function()
    local given = config { environment = { TOKEN = token, PLAIN = "x" } }
    assert.same({ "PLAIN=x", "TOKEN=tok-config-12345" }, (given:to_api()).Env)
    local arguments, env = given:to_run_args()
    assert.equal("--env PLAIN=x --env TOKEN alpine", table.concat(arguments, " "))
    assert.same({ TOKEN = token }, env)
  end)

  it("shows *** wherever the description is printed", function()
    local result = program.recipe [[
      local ctz = require "ctz"
      local given = ctz.docker.config{image="a", environment={TOKEN=ctz.secret "tok-config-12345"}}
      print(ctz.inspect(given), ctz.json.encode((given:to_api())), table.concat((given:to_run_args())))
      local _, err = ctz.try(ctz.docker.config, {image="a", name=ctz.secret "tok-config-12345"})
      print(err)
    ]]
    assert.equal(0, result.code, result.err)
    assert.not_matches("tok-config", result.out .. result.err, 1, true)
    assert.matches("got a secret", result.out, 1, true)
  end)

  it("is refused where everybody could see it", function()
    local message, err = problem { command = { "login", token } }
    assert.equal("command[2]: it is a secret: everybody could see it in the list of processes", message)
    assert.equal("environment takes secrets", err.hint)
    assert.matches("labels.a: expected a text, got a secret", problem { labels = { a = token } }, 1, true)
  end)

  it("may be what the process reads", function()
    assert.equal(token, config { stdin = token }.stdin)
  end)
end)

describe("a variable", function()
  it("by its bare name is that of this program's environment, and no argument", function()
    local result = program.recipe([[
      local ctz = require "ctz"
      local given = ctz.docker.config{image="a", environment={"CTZ_X", "CTZ_NONE"}}
      print(table.concat((given:to_api()).Env, "|"))
      local args, env = given:to_run_args()
      print(table.concat(args, " "), env.CTZ_X, env.CTZ_NONE)
    ]], {}, { environment = "CTZ_X=inherited" })
    assert.equal("CTZ_X=inherited|CTZ_NONE\n--env CTZ_X --env CTZ_NONE a\tinherited\tfalse\n", result.out)
  end)

  it("that is false is taken away", function()
    local given = config { environment = { PATH = false } }
    assert.same({ "PATH" }, (given:to_api()).Env)
    local arguments, env = given:to_run_args()
    assert.equal("--env PATH alpine", table.concat(arguments, " "))
    assert.is_false(env.PATH)
  end)
end)

-- --- docker run --------------------------------------------------------------------------------

describe("config:to_run_args", function()
  it("puts more words of the entrypoint before the command", function()
    assert.equal("--entrypoint sh alpine -c echo hi", args { entrypoint = { "sh", "-c" }, command = { "echo hi" } })
    assert.equal("--entrypoint  alpine", args { entrypoint = {} })
  end)

  it("says what docker run has no words for", function()
    local given = config { healthcheck = { command = { "test", "-e", "/a b", "it's" } } }
    local arguments, _, notes = given:to_run_args()
    assert.equal([[--health-cmd test -e '/a b' 'it'\''s' alpine]], table.concat(arguments, " "))
    assert.same({ "healthcheck.command: docker run knows a line for a shell only, so the words are quoted for one" },
      notes)
    assert.same({}, select(3, config({}):to_run_args()))
  end)

  local rows = {
    { { name = "web", detach = true, tty = true, stdin = true, remove = true },
      "--name web --detach --interactive --tty --rm alpine" },
    { { ports = { 80, "1:2/udp", "127.0.0.1::3", "[::1]:4:5" } },
      "--publish 80 --publish 1:2/udp --publish 127.0.0.1::3 --publish [::1]:4:5 alpine" },
    { { init = false, read_only = false, privileged = true },
      "--init=false --read-only=false --privileged alpine" },
    { { healthcheck = false }, "--no-healthcheck alpine" },
    { { healthcheck = { interval = 1.5, retries = 2 } }, "--health-interval 1.5s --health-retries 2 alpine" },
    { { mounts = { { type = "bind", source = '/a,"b', target = "/c" } } },
      '--mount type=bind,"source=/a,""b",target=/c alpine' },
    { { volumes = { { source = "/a:b", target = "/c" } } }, "--mount type=bind,source=/a:b,target=/c alpine" },
    { { networks = { { name = "a", aliases = { "x" }, address = "10.0.0.1" },
      { name = "b", aliases = { "y", "z" } } } },
      "--network a --network-alias x --ip 10.0.0.1 --network name=b,alias=y,alias=z alpine" },
    { { networks = { a = { driver_opts = { k = "v,w" }, aliases = { "x" } } } },
      '--network name=a,alias=x,"driver-opt=k=v,w" alpine' },
    { { mounts = { { type = "bind", source = "/a", target = "/b", bind = { create_host_path = true } } } },
      "--volume /a:/b alpine" },
    { { volumes = { { source = "/a", target = "/b", bind = { create_host_path = false } } } },
      "--mount type=bind,source=/a,target=/b alpine" },
    { { gpus = { device_ids = { "0", "1" }, capabilities = { "utility" } } },
      '--gpus "device=0,1",capabilities=utility alpine' },
    { { resources = { oom_kill_disable = true, memory_swap = -1, cpu_limit = 0.25 } },
      "--cpus 0.25 --memory-swap -1 --oom-kill-disable alpine" },
    { { restart_policy = "on-failure:3", ulimits = { nofile = 5 } },
      "--restart on-failure:3 --ulimit nofile=5:5 alpine" },
    { { tmpfs = { "/a", "/b:size=1m" } }, "--tmpfs /a --tmpfs /b:size=1m alpine" },
    { { labels = { a = "b c" }, sysctls = { ["net.x"] = 1 } }, "--label a=b c --sysctl net.x=1 alpine" },
    { { pull = "always", platform = "linux/arm64" }, "--platform linux/arm64 --pull always alpine" },
    { { links = { "db:database" }, networks = { "a" } }, "--network a --link db:database alpine" },
  }
  for _, row in ipairs(rows) do
    it("gives " .. row[2], function()
      assert.equal(row[2], args(row[1]))
    end)
  end
end)

describe("ctz.docker.config.update", function()
  it("gives the body of an update", function()
    assert.equal('{"Memory":67108864,"NanoCpus":500000000,"RestartPolicy":{"MaximumRetryCount":2,"Name":"on-failure"}}',
      json.encode(configs.update("docker.x", { memory_limit = "64m", cpu_limit = 0.5 }, "on-failure:2")))
    local _, err = pcall(configs.update, "docker.containers.update", { memory_limit = "x" })
    assert.equal("docker.containers.update", err.op)
  end)
end)
