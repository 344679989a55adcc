-- simulate_compare_spec.lua: the same steps on a real engine and on the one in memory give the same.
-- SPDX-License-Identifier: MIT
--
-- Ids, times and addresses differ; everything else is compared: fields, errors (kind, message, hint,
-- status), exit codes, output, events. The engine's own answers and words, as raw and inspect tell them,
-- are those of API 1.41; with a newer engine ours alone are compared.
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local images = require("tests.lua.support.simulated").images
local simulate = require "ctz.simulate"

local WITH_RAW <const> = engine.api == "1.41"

-- What tells of the machine, or is measured there.
local LEFT_OUT <const> = {
  simulated = true, client = true, traceback = true, at = true,
  GraphDriver = true, LogPath = true, HostnamePath = true, HostsPath = true, ResolvConfPath = true, SandboxKey = true,
  SandboxID = true, Pid = true, Size = true, VirtualSize = true, size_bytes = true, size = true, SizeRootFs = true,
  created = true, Created = true, CreatedAt = true, StartedAt = true, FinishedAt = true, time = true, timeNano = true,
  Start = true, End = true, LastTagTime = true, RootFS = true, DockerVersion = true, Metadata = true,
  ContainerConfig = true, Comment = true, Runtime = true, Status = true, PID = true, PPID = true, STIME = true,
  C = true, last_tagged = true, IPPrefixLen = true,
}

local function plain_text(text)
  return (text
    :gsub("%f[%x]" .. ("%x"):rep(64) .. "%f[^%x]", "ID")
    :gsub("%f[%x]" .. ("%x"):rep(12) .. "%f[^%x]", "ID")
    :gsub("%f[%d]%d+%.%d+%.%d+%.%d+", "ADDRESS")
    :gsub("ADDRESS/%d+", "ADDRESS")
    :gsub("02:42:%x%x:%x%x:%x%x:%x%x", "MAC")
    :gsub("/[^ :]*/volumes/", "/volumes/")
    :gsub("^fe80::[%x:]+", "ADDRESS"))
end

-- A value with what may differ made equal; null and empty stay apart.
local function plain(value)
  if value == ctz.json.null then
    return "null"
  elseif type(value) == "string" then
    return plain_text(value)
  elseif type(value) == "function" then
    return "function"
  elseif type(value) ~= "table" then
    return value
  end
  local result = {}
  for name, one in pairs(value) do
    local is_label = type(name) == "string" and name:find "^ctz%." -- of a run
    local is_raw = type(name) == "string" and (name == "raw" or name:find "^%u")
    if not LEFT_OUT[name] and not is_label and (WITH_RAW or not is_raw) then
      result[type(name) == "string" and plain_text(name) or name] = plain(one)
    end
  end
  return result
end

local ERROR_FACTS <const> = { "kind", "op", "target", "exit_code", "stdout", "stderr" }
if WITH_RAW then
  table.move({ "message", "hint", "status" }, 1, 3, #ERROR_FACTS + 1, ERROR_FACTS)
end

local function outcome(fn, ...)
  local results = table.pack(pcall(fn, ...))
  if results[1] then
    return plain { table.unpack(results, 2, results.n) }
  end
  local err, facts = results[2], {}
  if type(err) ~= "table" or not rawget(err, "kind") then
    error(err, 0)
  end
  for _, name in ipairs(ERROR_FACTS) do
    facts[name] = plain(rawget(err, name))
  end
  return { error = facts }
end

local function sorted(list, by)
  table.sort(list, function(left, right)
    return tostring(left[by]) < tostring(right[by])
  end)
  return list
end

local function lines_of(container, opts)
  local found = {}
  for line in container:logs(opts) do
    found[#found + 1] = { stream = line.stream, text = line.text }
  end
  return sorted(found, "text")
end

-- --- the steps ---------------------------------------------------------------------------------

-- Each is {what, function(docker, names)}: names.x is a name of this run, the same on both engines.
local steps <const> = {}

local function step(what, fn)
  steps[#steps + 1] = { what, fn }
end

-- What engines of different age tell differently in our own fields too (a missing program ends with 126 or
-- 127, some have addresses where others have none): the step is done, and compared for API 1.41.
local TELLS_AGE <const> = {
  ["exec of a missing program"] = true,
  ["images by name"] = true,
  ["a container in it"] = true,
  ["networks of every engine"] = true,
}

local IMAGE <const> = engine.image

local function config(n, more)
  local all = { image = IMAGE, name = n.web, command = { "sleep", "1000" } }
  for name, value in pairs(more or {}) do
    all[name] = value
  end
  return all
end

step("foreground", function(d)
  return d.run { image = IMAGE, command = { "sh", "-c", "echo out; echo err >&2" }, remove = true }
end)
step("foreground that fails", function(d, n)
  return d.run(config(n, { command = { "sh", "-c", "echo no >&2; exit 7" }, remove = true }))
end)
step("create", function(d, n)
  return d.containers.create(config(n, {
    labels = { colour = "red" },
    environment = { A = "b" },
    ports = { "127.0.0.1:18099:80" },
    volumes = { n.data .. ":/data" },
    workdir = "/tmp",
    resources = { memory_limit = "64m" },
    healthcheck = { command = { "test", "-e", "/data" }, interval = 60 },
  }))
end)
step("create with a name that is taken", function(d, n)
  return d.containers.create(config(n))
end)
step("create of a missing image", function(d)
  return d.containers.create { image = "ctz-test/bussybox:1", command = { "true" } }
end)
step("inspect what was created", function(d, n)
  return d.containers.inspect(n.web)
end)
step("list with one that was created", function(d, n)
  return d.containers.list { all = true, filters = { name = n.web } }
end)
for _, verb in ipairs { "kill", "pause", "unpause", "stop", "top" } do
  step(verb .. " what was not started", function(d, n)
    return d.containers[verb](n.web)
  end)
end
step("exec in what was not started", function(d, n)
  return d.containers.exec(n.web, { command = { "true" } })
end)
step("logs of what was not started", function(d, n)
  return lines_of(d.containers.get(n.web))
end)
step("start", function(d, n)
  return d.containers.start(n.web)
end)
step("start again", function(d, n)
  return d.containers.start(n.web)
end)
step("get what runs", function(d, n)
  return d.containers.get(n.web)
end)
step("list what runs", function(d, n)
  return d.containers.list { filters = { name = n.web, status = "running", label = "colour=red" } }
end)
step("processes", function(d, n)
  return d.containers.top(n.web)
end)
step("exec", function(d, n)
  return d.containers.exec(n.web, {
    command = { "sh", "-c", "echo $X; pwd; id -u; echo e >&2" },
    env = { X = "y" },
    user = "1000",
  })
end)
step("exec that fails", function(d, n)
  return d.containers.exec(n.web, { command = { "sh", "-c", "exit 9" } })
end)
step("exec of a missing program", function(d, n)
  return d.containers.exec(n.web, { command = { "no-such-program" }, check = false })
end)
step("exec with input", function(d, n)
  return d.containers.exec(n.web, { command = { "cat" }, stdin = "typed\n" })
end)
step("what changed", function(d, n)
  d.containers.exec(n.web, { command = { "sh", "-c", "echo x > /new; mkdir /folder; touch /folder/f" } })
  return sorted(d.containers.diff(n.web), "path")
end)
step("remove what runs", function(d, n)
  return d.containers.remove(n.web)
end)
step("pause", function(d, n)
  return d.containers.pause(n.web)
end)
step("pause again", function(d, n)
  return d.containers.pause(n.web)
end)
step("inspect what is paused", function(d, n)
  return d.containers.inspect(n.web)
end)
step("exec in what is paused", function(d, n)
  return d.containers.exec(n.web, { command = { "true" } })
end)
step("remove what is paused", function(d, n)
  return d.containers.remove(n.web)
end)
step("unpause", function(d, n)
  return d.containers.unpause(n.web)
end)
step("unpause again", function(d, n)
  return d.containers.unpause(n.web)
end)
step("an unknown signal", function(d, n)
  return d.containers.kill(n.web, { signal = "SIGNONE" })
end)
step("update", function(d, n)
  return d.containers.update(n.web, { restart_policy = "on-failure:3", resources = { memory_limit = "32m" } })
end)
step("rename to its own name", function(d, n)
  return d.containers.rename(n.web, n.web)
end)
step("rename", function(d, n)
  return d.containers.rename(n.web, n.other)
end)
step("get by the old name", function(d, n)
  return d.containers.get(n.web)
end)
step("rename back", function(d, n)
  return d.containers.rename(n.other, n.web)
end)
step("a second one takes the port", function(d, n)
  return d.run(config(n, { name = n.other, ports = { "127.0.0.1:18099:80" }, detach = true }))
end)
step("stop", function(d, n)
  return d.containers.stop(n.web, { grace = 0 })
end)
step("stop again", function(d, n)
  return d.containers.stop(n.web)
end)
step("inspect what was stopped", function(d, n)
  return d.containers.inspect(n.web)
end)
step("wait for what was stopped", function(d, n)
  return d.containers.wait(n.web)
end)
step("start once more", function(d, n)
  return d.containers.start(n.web)
end)
step("restart", function(d, n)
  return d.containers.restart(n.web, { grace = 0 })
end)
step("kill", function(d, n)
  return d.containers.kill(n.web)
end)
step("wait after a kill", function(d, n)
  return d.containers.wait(n.web)
end)
step("remove a volume in use", function(d, n)
  return d.volumes.remove(n.data)
end)
step("commit", function(d, n)
  local changes = { 'CMD ["cat", "/new"]', "LABEL a=b" }
  d.containers.commit(n.web, { image = n.web .. ":v1", changes = changes, message = "why" })
  return d.run { image = n.web .. ":v1", remove = true }
end)
step("images by name", function(d, n)
  return d.images.list { filters = { reference = n.web } }
end)
step("tag", function(d, n)
  return d.images.tag(n.web .. ":v1", n.web .. ":v2")
end)
step("remove one of two tags", function(d, n)
  return d.images.remove(n.web .. ":v2")
end)
step("inspect a missing image", function(d)
  return d.images.inspect "nobody/nothing:1"
end)
step("remove an image", function(d, n)
  local removed = d.images.remove(n.web .. ":v1")
  return #removed.untagged, #removed.deleted > 0
end)
step("remove", function(d, n)
  return d.containers.remove(n.web, { volumes = true })
end)
step("remove again", function(d, n)
  return d.containers.remove(n.web)
end)
step("remove a volume", function(d, n)
  return d.volumes.remove(n.data)
end)
step("a missing program", function(d, n)
  return d.containers.start(d.containers.create(config(n, { command = { "no-such-program" } })))
end)
step("inspect after a missing program", function(d, n)
  return d.containers.inspect(n.web)
end)
step("remove after a missing program", function(d, n)
  return d.containers.remove(n.web)
end)
step("logs", function(d, n)
  local container = d.run(config(n, { command = { "sh", "-c", "echo a; echo b >&2; printf c" }, detach = true }))
  container:wait()
  local lines = { lines_of(container), lines_of(container, { stdout = false }) }
  container:remove()
  return lines
end)
step("a terminal", function(d, n)
  local container = d.run(config(n, { command = { "sh", "-c", "echo a; echo b >&2" }, tty = true, detach = true }))
  container:wait()
  local lines, state = lines_of(container), container:inspect().Config.Tty
  container:remove()
  return lines, state
end)
step("restarts that fail", function(d, n)
  local container = d.run(config(n, {
    command = { "sh", "-c", "echo again; exit 3" },
    restart_policy = "on-failure:2",
    detach = true,
  }))
  container:wait_until { exit = 3, timeout = 20 }
  repeat
    ctz.sleep(0.05)
    local raw = container:inspect()
  until raw.RestartCount == 2 and not raw.State.Running
  return container:inspect(), lines_of(container), container:remove()
end)
step("health", function(d, n)
  local container = d.run { image = engine.healthy, name = n.web, detach = true }
  container:wait_until { healthy = true, timeout = 20 }
  container:refresh()
  local log = container.raw.State.Health.Log
  container.raw.State.Health.Log = { log[1] }
  local seen = { container.raw, container.ports, container.status }
  container:kill()
  container:wait()
  container:remove()
  return seen
end)
step("a network", function(d, n)
  return d.networks.create(n.net, { labels = { x = "y" } })
end)
step("a network that is there", function(d, n)
  return d.networks.create(n.net)
end)
step("a container in it", function(d, n)
  d.run(config(n, { networks = { [n.net] = { aliases = { "db" } } }, detach = true }))
  return d.containers.inspect(n.web), d.networks.inspect(n.net), d.networks.get(n.net)
end)
step("remove a network in use", function(d, n)
  return d.networks.remove(n.net)
end)
step("connect twice", function(d, n)
  return d.networks.connect(n.net, n.web)
end)
step("disconnect", function(d, n)
  return d.networks.disconnect(n.net, n.web)
end)
step("disconnect twice", function(d, n)
  return d.networks.disconnect(n.net, n.web)
end)
step("connect", function(d, n)
  d.networks.connect(n.net, n.web, { aliases = { "cache" } })
  return d.containers.inspect(n.web).NetworkSettings.Networks
end)
step("remove by force", function(d, n)
  return d.containers.remove(n.web, { force = true })
end)
step("remove a network", function(d, n)
  return d.networks.remove(n.net)
end)
step("remove a missing network", function(d, n)
  return d.networks.remove(n.net)
end)
step("networks of every engine", function(d)
  return sorted(d.networks.list { filters = { type = "builtin" } }, "name")
end)
step("volumes", function(d, n)
  local volume = d.volumes.create(n.data, { labels = { q = "r" } })
  return volume, d.volumes.inspect(n.data), d.volumes.list { filters = { label = "q=r" } }, volume:remove()
end)
step("a missing volume", function(d, n)
  return d.volumes.get(n.data)
end)
step("what removes itself", function(d, n)
  local container = d.run(config(n, { command = { "sleep", "0.2" }, remove = true, detach = true }))
  local code = container:wait { condition = "removed" }
  return code, d.containers.find(n.web)
end)

-- What an engine told of the things of this run, as texts in order of each thing.
local function events_of(docker, since, names)
  local told = {}
  for event in docker.system.events { since = since, ["until"] = ctz.time.now() + 0.1 } do
    local attributes = {}
    for name, value in pairs(event.attributes) do
      if not name:find "^ctz%." then
        attributes[#attributes + 1] = name .. "=" .. value
      end
    end
    table.sort(attributes)
    local name = event.name or ""
    local is_check = event.attributes.image == engine.healthy and event.action:find "^exec_" -- how many there were
    if (name == names.web or name == names.other or name == names.net or name == names.data) and not is_check then
      told[#told + 1] = plain_text(("%s %s %s: %s"):format(event.type, event.action, event.detail or "",
        table.concat(attributes, " ")))
    end
  end
  return told
end

-- Events that every engine tells as often. (Not pause and unpause: the newest tells both once more when containerd's
-- word of the pause comes after the unpause.)
local CHANGES <const> = {
  create = true, start = true, die = true, kill = true, stop = true, restart = true, rename = true, update = true,
  destroy = true,
}

describe("the simulated engine beside a real one #live", function()
  local sides, names

  setup(function()
    names = { web = engine.name "web", other = engine.name "other", data = engine.name "data", net = engine.name "net" }
    local memory = simulate.engine { images = images, registry = {}, api = WITH_RAW and "1.41" or engine.api }
    sides = { real = ctz.docker.connect { host = engine.host() }, memory = memory.docker }
    sides.since = ctz.time.now() - 0.5
  end)

  teardown(engine.is_clean)

  for i, one in ipairs(steps) do
    it(("gives the same: %d, %s"):format(i, one[1]), function()
      local real = outcome(one[2], sides.real, names)
      local memory = outcome(one[2], sides.memory, names)
      if WITH_RAW or not TELLS_AGE[one[1]] then
        assert.same(real, memory)
      else
        assert.equal(real.error == nil, memory.error == nil)
      end
    end)
  end

  it("tells the same events", function()
    if not WITH_RAW then -- "stop" comes before "die" there, and more is told
      local told = {}
      for name, side in pairs { real = sides.real, memory = sides.memory } do
        told[name] = {}
        for _, text in ipairs(events_of(side, sides.since, names)) do
          local what = text:match "^container (%l+)"
          if CHANGES[what] then
            told[name][what] = (told[name][what] or 0) + 1
          end
        end
      end
      assert.same(told.real, told.memory)
      return
    end
    assert.same(events_of(sides.real, sides.since, names), events_of(sides.memory, sides.since, names))
  end)
end)
