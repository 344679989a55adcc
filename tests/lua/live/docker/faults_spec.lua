-- faults_spec.lua: engines that stop, stall, answer half, and callers that leave.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local faults = require "tests.lua.support.socket_faults"
local program = require "tests.lua.support.program"

local LOOP <const> = { "sh", "-c", "i=0; while :; do echo line $i; i=$((i+1)); sleep 0.02; done" }

describe("an engine that stops #live", function()
  -- Runs `wait` against an engine of its own, kills that meanwhile and gives the error.
  local function error_when_killed(wait)
    local own <close> = engine.own()
    local docker = ctz.docker.connect { host = own.host }
    local container = docker.run { image = engine.image, command = LOOP, detach = true }
    local begun, err = false, nil
    ctz.scope(function()
      ctz.spawn(function()
        err = select(2, ctz.try(wait, container, function()
          begun = true
        end))
      end)
      while not begun do
        ctz.sleep(0.02)
      end
      ctz.sleep(0.2)
      own:down { kill = true }
    end)
    return err
  end

  local function check(err)
    assert.equal("unreachable", err.kind)
    assert.is_true(err.retryable)
    assert.is_true(err:is "container")
    assert.truthy(err.op:find("docker.containers.", 1, true))
  end

  it("ends a wait with a retryable error", function()
    check(error_when_killed(function(container, begin)
      begin()
      container:wait()
    end))
  end)

  it("ends a followed log with a retryable error", function()
    check(error_when_killed(function(container, begin)
      for _ in container:logs { follow = true } do
        begin()
      end
    end))
  end)

  it("ends an exec with a retryable error", function()
    check(error_when_killed(function(container, begin)
      container:exec { command = LOOP, stdout = begin }
    end))
  end)

  it("ends samples with a retryable error", function()
    check(error_when_killed(function(container, begin)
      for _ in container:stats() do
        begin()
      end
    end))
  end)
end)

describe("an engine's answer #live", function()
  local docker, container

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
    container = docker.run {
      image = engine.image,
      command = { "sh", "-c", "echo one; echo two >&2; echo three" },
      detach = true,
    }
    container:wait()
  end)

  teardown(function()
    container:remove { force = true }
    engine.is_clean()
  end)

  local function log_of(proxy)
    local lines = {}
    for line in ctz.docker.connect({ host = proxy.host }).containers.logs(container.id) do
      lines[line.stream] = (lines[line.stream] or "") .. line.text .. "\n"
    end
    return lines
  end

  it("is the same byte by byte", function()
    local proxy <close> = faults.before(engine.socket(), { slice = 1, match = "/logs" })
    assert.same({ stdout = "one\nthree\n", stderr = "two\n" }, log_of(proxy))
  end)

  it("that is cut at any byte fails, and is never taken for the whole", function()
    for cut = 0, 40 do
      local proxy <close> = faults.before(engine.socket(), { cut = cut, body = true, match = "/logs" })
      local lines, err = ctz.try(log_of, proxy)
      assert.is_nil(lines)
      assert.is_true(err.kind == "unreachable" or err.kind == "protocol")
    end
  end)

  it("to a wait that is cut is no exit code", function()
    for cut = 0, 15, 3 do
      local proxy <close> = faults.before(engine.socket(), { cut = cut, body = true, match = "/wait" })
      local client = ctz.docker.connect { host = proxy.host }
      local code, err = ctz.try(client.containers.wait, container.id)
      assert.is_nil(code)
      assert.is_true(err.kind == "unreachable" or err.kind == "protocol")
    end
  end)

  it("that does not come ends at the deadline of the call", function()
    local proxy <close> = faults.before(engine.socket(), { stall = 0, match = "/json" })
    local client = ctz.docker.connect { host = proxy.host }
    local _, err = ctz.try(client.containers.list, { timeout = 0.3 })
    assert.equal("timeout", err.kind)
    assert.equal("docker.containers.list", err.op)
  end)

  it("in plain text is told as it is", function()
    local reply = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nbad thing\n"
    local proxy <close> = faults.before(engine.socket(), { reply = reply, match = "/json" })
    local _, err = ctz.try(ctz.docker.connect({ host = proxy.host }).containers.list)
    assert.equal("usage", err.kind)
    assert.truthy(err.message:find("bad thing", 1, true))
  end)

  it("that is no JSON is a protocol error", function()
    local reply = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\n{\"a\":"
    local proxy <close> = faults.before(engine.socket(), { reply = reply, match = "/json" })
    local _, err = ctz.try(ctz.docker.connect({ host = proxy.host }).containers.list)
    assert.equal("protocol", err.kind)
  end)

  it("of something that is no engine says so", function()
    local reply = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
    local proxy <close> = faults.before(engine.socket(), { reply = reply })
    local _, err = ctz.try(ctz.docker.connect({ host = proxy.host }).containers.list)
    assert.equal("protocol", err.kind)
    assert.truthy(err.message:find("no Docker Engine", 1, true))
  end)
end)

-- A port of this network that takes connections and says nothing.
local SILENT <const> = [[
import socket, sys
silent = socket.create_server(("127.0.0.1", 0))
print(silent.getsockname()[1], flush=True)
sys.stdin.read()
]]

describe("Ctrl-C #live", function()
  local docker, silent

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
    silent = { child = ctz.process.spawn({ "python3", "-c", SILENT }, { stdin = "pipe" }) }
    silent.port = silent.child:read "l"
  end)

  teardown(function()
    silent.child:kill()
    ctz.try(silent.child.wait, silent.child)
    engine.is_clean()
  end)

  -- The recipe prints "ready" when it is about to wait.
  local function interrupt(code)
    local folder <close> = ctz.fs.tempdir()
    local path = folder.path .. "/recipe.lua"
    ctz.fs.write(path, 'local ctz = require "ctz"\nlocal docker = ctz.docker\n' .. code)
    local child <close> = ctz.process.spawn({ program.path, "run", path }, {
      env = { DOCKER_HOST = engine.host() },
      stderr = "capture",
    })
    assert.equal("ready", child:read "l")
    ctz.sleep(0.3)
    child:kill "INT"
    return child:wait { check = false }
  end

  for name, code in pairs {
    ["a foreground run"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sh", "-c", "echo ready; sleep 1000"}, remove=true,
        stdout=print}]],
    ["a wait"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sleep", "1000"},
        detach=true, ephemeral=true} print "ready" docker.containers.wait(NAME)]],
    ["a followed log"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sleep", "1000"}, detach=true, ephemeral=true}
      print "ready" for _ in docker.containers.logs(NAME, {follow=true}) do end]],
    ["an exec"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sleep", "1000"}, detach=true, ephemeral=true}
      print "ready" docker.containers.exec(NAME, {command={"sleep", "1000"}})]],
    ["samples"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sleep", "1000"}, detach=true, ephemeral=true}
      print "ready" for _ in docker.containers.stats(NAME) do end]],
    ["an attach"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sleep", "1000"}, detach=true, ephemeral=true}
      local attached <close> = docker.containers.attach(NAME)
      print "ready" for _ in attached:lines() do end]],
    ["a stop with a long grace"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sh", "-c", "trap : TERM; while :; do sleep 1; done"},
        detach=true, ephemeral=true}
      print "ready" docker.containers.stop(NAME, {grace=1000})]],
    ["a watch of events"] = [[
      print "ready" for _ in docker.system.events{filters={container=NAME}} do end]],
    ["a build"] = [[
      print "ready"
      docker.build{dockerfile="FROM ctz-test/busybox:1\nRUN sleep 1000\n", no_cache=true}]],
    ["a pull of a registry that says nothing"] = [[
      print "ready" docker.pull("127.0.0.1:SILENT/" .. NAME .. ":1")]],
    ["a push to a registry that says nothing"] = [[
      docker.images.tag("ctz-test/busybox:1", "127.0.0.1:SILENT/" .. NAME .. ":1")
      ctz.defer(function() docker.images.remove("127.0.0.1:SILENT/" .. NAME .. ":1") end)
      print "ready" docker.push("127.0.0.1:SILENT/" .. NAME .. ":1")]],
    ["a wait_until"] = [[
      docker.run{image="ctz-test/busybox:1", name=NAME, command={"sleep", "1000"}, detach=true, ephemeral=true}
      print "ready" docker.containers.wait_until(NAME, {file="/never"})]],
  } do
    it("in " .. name .. " ends with 130 and leaves no container", function()
      local container = engine.name()
      local result = interrupt((code:gsub("NAME", ("%q"):format(container)):gsub("SILENT", silent.port)))
      assert.equal(130, result.exit_code)
      assert.is_nil(docker.containers.find(container))
    end)
  end
end)
