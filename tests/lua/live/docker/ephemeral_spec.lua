-- ephemeral_spec.lua: containers that end with their scope, however it ends; nothing is left of a call that was left.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local faults = require "tests.lua.support.socket_faults"
local program = require "tests.lua.support.program"

local POINTS <const> = 30 -- random moments of a cancel, for each way to make a container
local LATEST_S <const> = 0.6 -- by then a container runs

describe("a container #live", function()
  local docker

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
  end)

  teardown(engine.is_clean)

  local function settings(name, more)
    local all = { image = engine.image, command = { "sleep", "1000" }, name = name, detach = true, ephemeral = true }
    for key, value in pairs(more or {}) do
      all[key] = value
    end
    return all
  end

  -- All containers whose name begins so.
  local function left(prefix)
    return #docker.containers.list { all = true, filters = { name = "^/" .. prefix } }
  end

  it("with ephemeral=true is there until its scope ends, and is then gone with its nameless volumes #real", function()
    local name, volume = engine.name(), nil
    ctz.scope(function()
      local container = docker.run(settings(name, { volumes = { "/data" } }))
      assert.is_true(container.is_running)
      volume = docker.containers.inspect(container).Mounts[1].Name
    end)
    assert.is_nil(docker.containers.find(name))
    local answer = ctz.http.get("http://docker/v1.41/volumes/" .. volume, {
      unix_socket = engine.socket(),
      check = false,
    })
    assert.equal(404, answer.status)
  end)

  it("with ephemeral=true is gone when its scope ends by an error, a deadline or a cancel", function()
    local name = engine.name()
    local function fails()
      docker.run(settings(name))
      error "no"
    end
    local function waits()
      docker.run(settings(name))
      ctz.sleep(60)
    end
    assert.is_false(pcall(ctz.scope, fails))
    assert.is_nil(docker.containers.find(name))
    assert.equal("timeout", select(2, ctz.try(ctz.timeout, 2, waits)).kind)
    assert.is_nil(docker.containers.find(name))
    local task = ctz.spawn(waits)
    repeat
      ctz.sleep(0.02)
      local found = docker.containers.find(name)
    until found and found.is_running
    task:cancel()
    ctz.try(task.await, task)
    assert.is_nil(docker.containers.find(name))
  end)

  it("with ephemeral=true is gone when it was removed by hand before", function()
    local name = engine.name()
    ctz.scope(function()
      docker.run(settings(name)):remove { force = true }
    end)
    assert.is_nil(docker.containers.find(name))
  end)

  it("with ephemeral=true is removed in turn with what was deferred before and behind it", function()
    local first, network, second = engine.name "first", engine.name "network", engine.name "second"
    local order = {}
    ctz.scope(function()
      docker.run(settings(first))
      docker.networks.create(network)
      ctz.defer(function()
        order = { docker.containers.find(first) ~= nil, docker.containers.find(second) ~= nil }
        docker.networks.remove(network) -- which a container in it would refuse
      end)
      docker.run(settings(second, { networks = { network } }))
      docker.run(settings(second .. "b", { networks = { network } }))
    end)
    assert.same({ true, false }, order)
    assert.equal(0, left(first))
  end)

  -- A cancel at a random moment, in every way a container is made.
  local ways = {
    ["an ephemeral one"] = function(name)
      docker.run(settings(name))
      ctz.sleep(60)
    end,
    ["an ephemeral one in two networks"] = function(name, networks)
      docker.run(settings(name, { networks = networks }))
      ctz.sleep(60)
    end,
    ["a foreground run with remove=true"] = function(name)
      docker.run(settings(name, { detach = false, ephemeral = false, remove = true }))
    end,
    ["an ephemeral foreground run"] = function(name)
      docker.run(settings(name, { detach = false }))
    end,
    ["one that is made only"] = function(name)
      local container = docker.containers.create { image = engine.image, name = name }
      ctz.defer(function()
        container:remove()
      end)
      ctz.sleep(60)
    end,
  }
  for way, make in pairs(ways) do
    it("leaves nothing when " .. way .. " is cancelled at any moment", function()
      local prefix = engine.name "cancelled"
      local networks = { prefix .. "a", prefix .. "b" }
      docker.networks.create(networks[1])
      docker.networks.create(networks[2])
      local numbers = {}
      for i = 1, POINTS do
        numbers[i] = i
      end
      ctz.map(numbers, function(i)
        local task = ctz.spawn(function()
          ctz.try(make, ("%s-%d"):format(prefix, i), networks)
        end)
        ctz.sleep(math.random() * LATEST_S)
        task:cancel()
        ctz.try(task.await, task)
      end, { jobs = 6 })
      assert.equal(0, left(prefix))
      docker.networks.remove(networks[1])
      docker.networks.remove(networks[2])
    end)
  end

  it("is made or not, as networks and volumes are, when its maker is cancelled at any moment", function()
    local prefix = engine.name "made"
    local numbers = {}
    for i = 1, POINTS do
      numbers[i] = i
    end
    ctz.map(numbers, function(i)
      local name = ("%s-%d"):format(prefix, i)
      local task = ctz.spawn(function()
        ctz.try(function()
          local network = docker.networks.create(name)
          ctz.defer(function()
            docker.networks.remove(network)
          end)
          local volume = docker.volumes.create(name)
          ctz.defer(function()
            docker.volumes.remove(volume)
          end)
          ctz.sleep(60)
        end)
      end)
      ctz.sleep(math.random() * LATEST_S / 2)
      task:cancel()
      ctz.try(task.await, task)
    end, { jobs = 4 })
    for _, list in ipairs { docker.networks.list(), docker.volumes.list() } do
      for _, object in ipairs(list) do
        assert.falsy(object.name:find(prefix, 1, true), object.name)
      end
    end
  end)

  it("leaves nothing when the cancel comes while the engine makes it #real", function()
    local proxy <close> = faults.before(engine.socket(), { match = "POST .*/containers/create", delay = 0.5 })
    local name = engine.name()
    local slow = ctz.docker.connect { host = proxy.host }
    slow.system.version() -- agrees on a version before
    local task = ctz.spawn(function()
      slow.run(settings(name))
    end)
    repeat
      ctz.sleep(0.01)
    until #proxy:requests() > 2 -- the last is create
    task:cancel()
    local _, err = ctz.try(task.await, task)
    assert.equal("cancelled", err.kind)
    assert.is_nil(docker.containers.find(name))
  end)

  it("leaves nothing when the engine made it and its answer was lost #real", function()
    local proxy <close> = faults.before(engine.socket(), { match = "POST .*/containers/create", cut = 20 })
    local name = engine.name()
    local _, err = ctz.try(ctz.docker.connect({ host = proxy.host }).run, settings(name))
    assert.is_true(err:is "unreachable" or err:is "protocol", tostring(err))
    assert.is_nil(docker.containers.find(name))
    local _, again = ctz.try(ctz.docker.connect({ host = proxy.host }).containers.create, {
      image = engine.image,
      name = name,
    })
    assert.equal(err.kind, again.kind)
    assert.is_nil(docker.containers.find(name))
  end)

  it("leaves nothing when it cannot be started", function()
    local name = engine.name()
    for _, more in ipairs { { detach = true }, { detach = false, ephemeral = false } } do
      more.command = { "no-such-program" }
      assert.equal("not_found", select(2, ctz.try(docker.run, settings(name, more))).kind)
      assert.is_nil(docker.containers.find(name))
    end
  end)

  -- --- a run that ends from outside ----------------------------------------------------------------

  local function start(code, ...)
    local folder = ctz.fs.tempdir()
    ctz.fs.write(folder.path .. "/recipe.lua", 'local ctz = require "ctz" local docker = ctz.docker\n' .. code)
    local child = ctz.process.spawn({ program.path, "run", folder.path .. "/recipe.lua", ... }, {
      env = { DOCKER_HOST = engine.host(), XDG_STATE_HOME = folder.path },
      stderr = "capture",
    })
    return setmetatable({ child = child }, {
      __close = function()
        child:close()
        folder:close()
      end,
    })
  end

  it("is gone with the nineteen others when the run is asked to end #real", function()
    local prefix = engine.name "many"
    local run <close> = start(([[
      local numbers = {}
      for i = 1, 20 do
        docker.run{image=%q, command={"sleep", "1000"}, name=%q .. i, detach=true, ephemeral=true}
      end
      print "ready" ctz.sleep(600)]]):format(engine.image, prefix))
    assert.equal("ready", run.child:read "l")
    run.child:kill "TERM"
    local result = run.child:wait { check = false }
    assert.equal(143, result.exit_code)
    assert.falsy(result.stderr:find("left behind", 1, true), result.stderr)
    assert.equal(0, left(prefix))
  end)

  it("is gone when --timeout ends the run #real", function()
    local name = engine.name()
    local run <close> = start(([[
      docker.run{image=%q, command={"sleep", "1000"}, name=%q, detach=true, ephemeral=true} ctz.sleep(600)]])
      :format(engine.image, name), "--timeout", "2")
    assert.equal(124, run.child:wait({ check = false }).exit_code)
    assert.is_nil(docker.containers.find(name))
  end)

  it("is gone when Ctrl-C comes at any moment #real", function()
    local prefix = engine.name "interrupted"
    local code = [[
      print "ready" io.stdout:flush()
      for i = 1, 3 do
        docker.run{image=%q, command={"sleep", "1000"}, name=%q .. i, detach=true, ephemeral=true}
      end
      docker.run{image=%q, command={"sleep", "1000"}, name=%q, remove=true}]]
    ctz.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 }, function(i)
      local name = ("%s-%d-"):format(prefix, i)
      local run <close> = start(code:format(engine.image, name, engine.image, name))
      assert.equal("ready", run.child:read "l")
      ctz.sleep(math.random() * 3 * LATEST_S)
      run.child:kill "INT"
      assert.equal(130, run.child:wait({ check = false }).exit_code)
    end, { jobs = 3 })
    assert.equal(0, left(prefix))
  end)
end)
