-- endpoint_spec.lua: an engine on TCP, plain and with certificates on both sides.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"

local READY_S <const> = 40

-- A certificate authority, and what it signed: ca.pem, server-*.pem, client-*.pem; other-*.pem is of another one.
local function certificates(path)
  local script = [[
    set -e; cd "$1"
    for ca in ca otherca; do
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj "/CN=$ca" \
        -keyout $ca-key.pem -out $ca.pem
    done
    sign() { # name, its CA, extensions
      openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" -keyout $1-key.pem -out $1.csr
      printf '%s\n' "$3" > $1.ext
      openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2-key.pem -CAcreateserial -days 2 -extfile $1.ext -out $1-cert.pem
    }
    sign server ca 'subjectAltName=IP:127.0.0.1
extendedKeyUsage=serverAuth'
    sign client ca extendedKeyUsage=clientAuth
    sign other otherca extendedKeyUsage=clientAuth
    for name in client other; do
      mkdir $name; cp ca.pem $name/ca.pem; cp $name-cert.pem $name/cert.pem; cp $name-key.pem $name/key.pem
    done]]
  ctz.process.run({ "sh", "-c", script, "sh", path }, { stderr = "capture" })
end

-- A daemon on TCP beside the engine, with a bridge of its own (with --bridge=none it would remove the
-- engine's); with words: its options.
local function start(port, ...)
  local folder = ctz.fs.tempdir()
  local path, bridge = folder.path, "ctz" .. port
  ctz.process.run { "ip", "link", "add", bridge, "type", "bridge" }
  ctz.process.run { "ip", "address", "add", "10.98.0.1/24", "dev", bridge }
  ctz.fs.write(path .. "/daemon.json", "{}")
  local words = { "dockerd", "--data-root", path .. "/data", "--exec-root", path .. "/exec", "--pidfile",
    path .. "/pid", "--config-file", path .. "/daemon.json", "--bridge", bridge, "--iptables=false",
    "--ip6tables=false", "--host", ("tcp://127.0.0.1:%d"):format(port), ... }
  local log = io.open(path .. "/log", "w")
  log:close()
  local child = ctz.process.spawn({ "sh", "-c", 'exec "$@" 2>"$0"', path .. "/log", table.unpack(words) },
    { stdout = "null", env = { DOCKER_HOST = false } })
  return setmetatable({ path = path }, {
    __close = function()
      child:close()
      ctz.process.run({ "sh", "-c", 'mount | grep -F " $0/" | cut -d" " -f3 | xargs -r umount -l', path },
        { check = false })
      ctz.process.run { "ip", "link", "delete", bridge }
      folder:close()
    end,
  })
end

-- Is retried until the daemon listens.
local function ask(opts)
  local last
  for _ = 1, READY_S * 10 do
    local ok, err = pcall(function()
      return ctz.docker.connect(opts).system.version()
    end)
    last = err
    if ok or err.code ~= "ECONNREFUSED" then
      break
    end
    ctz.sleep(0.1)
  end
  return last
end

local function port_of(which)
  return 40000 + which * 10000 + programs.self() % 10000
end

describe("an engine on TCP #live", function()
  it("is reached with the certificates of both sides, and without them not", function()
    local keys <close> = ctz.fs.tempdir()
    certificates(keys.path)
    local port = port_of(0)
    local daemon <close> = start(port, "--tlsverify", "--tlscacert", keys.path .. "/ca.pem", "--tlscert",
      keys.path .. "/server-cert.pem", "--tlskey", keys.path .. "/server-key.pem")
    local host = ("tcp://127.0.0.1:%d"):format(port)
    local function tls(name)
      local path = keys.path .. "/" .. name
      return { ca = path .. "/ca.pem", cert = path .. "/cert.pem", key = path .. "/key.pem" }
    end

    local version = ask { host = host, tls = tls "client" }
    assert.truthy(version.api_version, tostring(version) .. ctz.fs.read(daemon.path .. "/log"))
    local client = ctz.docker.connect { host = host, tls = tls "client" }
    assert.same({}, client.containers.list { all = true })

    -- as the environment says it
    local result = ctz.process.run({ program.path, "eval", "ctz.docker.system.version().api_version" }, {
      env = { DOCKER_HOST = host, DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = keys.path .. "/client" },
    })
    assert.equal(version.api_version .. "\n", result.stdout)
    result = ctz.process.run({ program.path, "eval", "--allow", ("docker=127.0.0.1:%d"):format(port),
      "ctz.docker.system.version().api_version" }, {
      env = { DOCKER_HOST = host, DOCKER_TLS_VERIFY = "1", DOCKER_CERT_PATH = keys.path .. "/client" },
    })
    assert.equal(version.api_version .. "\n", result.stdout)

    for name, opts in pairs {
      ["no key of ours"] = { host = host, tls = { ca = keys.path .. "/ca.pem" } },
      ["a key of another authority"] = { host = host, tls = tls "other" },
      ["an engine of another authority"] = { host = host, tls = { ca = keys.path .. "/otherca.pem" } },
      ["an authority nobody knows"] = { host = host, tls = {} },
    } do
      local err = ask(opts)
      assert.is_true(err:is "container", name)
      assert.truthy(err.message:find(host, 1, true), tostring(err))
      assert.truthy(tostring(err):lower():find "certificate", tostring(err))
    end
    local plain = ask { host = host }
    assert.equal("protocol", plain.kind)
    assert.truthy(plain.hint:find("it wants TLS", 1, true), plain.hint)
  end)

  it("is reached without any", function()
    local port = port_of(1)
    local daemon <close> = start(port, "--tls=false")
    local host = ("tcp://127.0.0.1:%d"):format(port)
    local version = ask { host = host }
    assert.truthy(version.api_version, tostring(version) .. ctz.fs.read(daemon.path .. "/log"))
    assert.equal(engine.host() ~= host, true)
    local err = ask { host = host, tls = { insecure = true } }
    assert.is_true(err:is "container")
  end)
end)
