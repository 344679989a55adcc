-- containers_spec.lua: containers from their making to their end, on a real engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

describe("containers #live", function()
  local docker, made

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
  end)

  before_each(function()
    made = {}
  end)

  after_each(function()
    for _, container in ipairs(made) do
      ctz.try(container.remove, container, { force = true, volumes = true })
    end
  end)

  teardown(engine.is_clean)

  local function run(config)
    config.image, config.detach = config.image or engine.image, true
    config.command = config.command or { "sleep", "1000" }
    local container = docker.run(config)
    made[#made + 1] = container
    return container
  end

  local function error_of(fn, ...)
    local value, err = ctz.try(fn, ...)
    assert.is_nil(value)
    assert.is_true(err:is "container")
    return err
  end

  it("run in the foreground and give exit code and both streams", function()
    local result = docker.run {
      image = engine.image,
      command = { "sh", "-c", "echo out; echo err >&2" },
      remove = true,
    }
    assert.same({ exit_code = 0, stdout = "out\n", stderr = "err\n" }, result)
  end)

  it("know what they were made of, and ask for the rest when it is looked at", function()
    local container = docker.containers.create { image = engine.image, command = { "true" }, labels = { part = "b" } }
    made[#made + 1] = container
    assert.equal("created", container.status)
    assert.is_nil(rawget(container, "raw"))
    assert.matches("^%l+_%l+", container.name)
    assert.equal("b", container.labels.part)
    assert.equal(container.id, container.raw.Id)
    local shown = {}
    for name in pairs(docker.containers.create { image = engine.image, name = "seen-" .. container.id:sub(1, 8) }) do
      shown[name] = true
    end
    made[#made + 1] = docker.containers.get("seen-" .. container.id:sub(1, 8))
    assert.is_true(shown.created and shown.labels and shown.raw and shown.ports and shown.image)
  end)

  it("raise kind exit with the code and the streams when a program fails", function()
    local err = error_of(docker.run, {
      image = engine.image,
      command = { "sh", "-c", "echo out; echo broken >&2; exit 7" },
      remove = true,
    })
    assert.equal("exit", err.kind)
    assert.equal(7, err.exit_code)
    assert.equal("out\n", err.stdout)
    assert.equal("broken\n", err.stderr)
    assert.is_true(err:is "management")
  end)

  it("give any exit code as a result with check=false", function()
    local result = docker.run { image = engine.image, command = { "sh", "-c", "exit 3" }, remove = true, check = false }
    assert.equal(3, result.exit_code)
  end)

  it("read a text as their standard input, to its end", function()
    local text = ("0123456789"):rep(100000)
    local result = docker.run { image = engine.image, command = { "wc", "-c" }, stdin = text, remove = true }
    assert.equal(#text, math.tointeger(tonumber(result.stdout)))
  end)

  it("read pieces that a function makes as their standard input", function()
    local count = 0
    local result = docker.run {
      image = engine.image,
      command = { "cat" },
      remove = true,
      stdin = function()
        count = count + 1
        return count <= 3 and ("piece %d\n"):format(count) or nil
      end,
    }
    assert.equal("piece 1\npiece 2\npiece 3\n", result.stdout)
  end)

  it("read a file as their standard input", function()
    local folder <close> = ctz.fs.tempdir()
    ctz.fs.write(folder.path .. "/in", ("x"):rep(200000))
    local result = docker.run {
      image = engine.image,
      command = { "wc", "-c" },
      stdin = { file = folder.path .. "/in" },
      remove = true,
    }
    assert.equal(200000, math.tointeger(tonumber(result.stdout)))
  end)

  it("may end without reading their standard input", function()
    local result = docker.run { image = engine.image, command = { "true" }, stdin = ("x"):rep(1 << 20), remove = true }
    assert.equal(0, result.exit_code)
  end)

  it("hand each line to a function as it comes", function()
    local out, err = {}, {}
    docker.run {
      image = engine.image,
      command = { "sh", "-c", "echo one; echo two; echo bad >&2" },
      remove = true,
      stdout = function(line)
        out[#out + 1] = line
      end,
      stderr = function(line)
        err[#err + 1] = line
      end,
    }
    assert.same({ "one", "two" }, out)
    assert.same({ "bad" }, err)
  end)

  it("have one stream with a terminal", function()
    local result = docker.run {
      image = engine.image,
      command = { "sh", "-c", "test -t 1 && echo terminal; echo err >&2" },
      tty = true,
      remove = true,
    }
    assert.equal("terminal\r\nerr\r\n", result.stdout)
  end)

  it("leave nothing when their program cannot be started", function()
    local name = engine.name()
    local err = error_of(docker.run, { image = engine.image, name = name, command = { "no-such-program" } })
    assert.equal("not_found", err.kind)
    assert.is_nil(docker.containers.find(name))
  end)

  it("are told apart from a missing image, with a near name", function()
    local err = error_of(docker.run, { image = "ctz-test/bussybox:1", command = { "true" }, pull = "never" })
    assert.equal("not_found", err.kind)
    assert.truthy(err.hint:find("ctz-test/busybox:1", 1, true))
  end)

  it("are killed and removed when the call is cancelled", function()
    local name = engine.name()
    local _, err = ctz.try(docker.run, {
      image = engine.image,
      name = name,
      command = { "sleep", "1000" },
      remove = true,
      timeout = 0.7,
    })
    assert.equal("timeout", err.kind)
    assert.is_nil(docker.containers.find(name))
  end)

  it("are objects with the fields of the list, and raw as the engine says it", function()
    local name = engine.name()
    local container = run { name = name, labels = { colour = "red" } }
    assert.equal(name, container.name)
    assert.equal(engine.image, container.image)
    assert.equal("running", container.status)
    assert.is_true(container.is_running)
    assert.equal(64, #container.id)
    assert.near(ctz.time.now(), container.created, 60)
    assert.equal("red", container.labels.colour)
    assert.equal(container.id, container.raw.Id)
    local listed
    for _, one in ipairs(docker.containers.list { filters = { label = "colour=red", name = name } }) do
      listed = one
    end
    for _, field in ipairs { "id", "name", "image", "status", "is_running" } do
      assert.equal(container[field], listed[field])
    end
    assert.near(container.created, listed.created, 1)
  end)

  it("show their ports", function()
    local container = run { ports = { "127.0.0.1:18080:80", "9000/udp" } }
    assert.same({ container_port = 80, protocol = "tcp", host_ip = "127.0.0.1", host_port = 18080 }, container.ports[1])
    assert.equal(9000, container.ports[2].container_port)
    assert.equal("udp", container.ports[2].protocol)
  end)

  it("stop, start again, pause, restart; a repeated call says that nothing changed", function()
    local container = run { command = { "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done" } }
    assert.is_false(container:start())
    assert.is_true(container:pause())
    assert.equal("paused", container:refresh().status)
    assert.is_true(container:unpause())
    assert.is_true(container:stop { grace = 5 })
    assert.is_false(container:stop())
    assert.equal("exited", container:refresh().status)
    assert.is_true(container:start())
    assert.is_true(container:restart { grace = 1 })
    assert.is_true(container:refresh().is_running)
  end)

  it("give five kinds of failure for five causes", function()
    local name = engine.name()
    local container = run { name = name }
    assert.equal("conflict", error_of(docker.run, { image = engine.image, name = name, command = { "true" } }).kind)
    assert.equal("not_found", error_of(docker.containers.start, engine.name()).kind)
    assert.equal("conflict", error_of(container.remove, container).kind)
    assert.equal("usage", error_of(docker.containers.start, "../../x").kind)
    container:kill()
    container:wait()
    assert.equal("conflict", error_of(container.kill, container).kind)
    assert.equal("conflict", error_of(container.exec, container, { command = { "true" } }).kind)
  end)

  it("wait for the exit code, of a signal too, and give up at the deadline", function()
    local container = run {}
    assert.equal("timeout", error_of(container.wait, container, { timeout = 0.3 }).kind)
    container:kill { signal = "SIGKILL" }
    assert.equal(137, container:wait())
    assert.equal(137, container:wait())
  end)

  it("are found or not, without an error", function()
    local container = run {}
    assert.equal(container.id, docker.containers.find(container.name).id)
    assert.is_nil(docker.containers.find(engine.name()))
  end)

  it("are renamed and updated", function()
    local container, name = run {}, engine.name()
    container:rename(name)
    assert.equal(name, container.name)
    assert.equal(container.id, docker.containers.find(name).id)
    container:update { resources = { memory_limit = "64m", memory_swap = "128m" }, restart_policy = "on-failure:2" }
    local host = container:inspect().HostConfig
    assert.equal(64 << 20, host.Memory)
    assert.equal("on-failure", host.RestartPolicy.Name)
    assert.equal(2, host.RestartPolicy.MaximumRetryCount)
  end)

  it("tell their processes and what they changed", function()
    local container = run { command = { "sh", "-c", "echo x > /new; sleep 1000" } }
    container:wait_until { file = "/new" }
    local commands = {}
    for _, process in ipairs(container:top()) do
      commands[#commands + 1] = process.CMD
    end
    assert.truthy(table.concat(commands, "\n"):find("sleep 1000", 1, true))
    local changes = {}
    for _, change in ipairs(container:diff()) do
      changes[change.path] = change.kind
    end
    assert.equal("added", changes["/new"])
  end)

  it("become images by commit", function()
    local container = run { command = { "sh", "-c", "echo x > /new; sleep 1000" } }
    container:wait_until { file = "/new" }
    local id = container:commit { image = "ctz-test/committed:1", changes = { 'CMD ["cat", "/new"]' } }
    local result = docker.run { image = "ctz-test/committed:1", remove = true }
    assert.equal("x\n", result.stdout)
    assert.truthy(id:find "^sha256:%x+$")
    docker.images.remove(id, { force = true })
  end)

  it("live in a scope and go with it, also after an error", function()
    local name = engine.name()
    local _, err = ctz.try(ctz.scope, function()
      docker.run { image = engine.image, name = name, command = { "sleep", "1000" }, detach = true, ephemeral = true }
      error "the recipe fails"
    end)
    assert.truthy(tostring(err):find "the recipe fails")
    assert.is_nil(docker.containers.find(name))
  end)

  it("are many at once", function()
    local codes = ctz.map({ 1, 2, 3, 4, 5, 6, 7, 8 }, function(i)
      return docker.run {
        image = engine.image,
        command = { "sh", "-c", "exit " .. i },
        check = false,
        remove = true,
      }.exit_code
    end, { jobs = 4 })
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8 }, codes)
  end)
end)
