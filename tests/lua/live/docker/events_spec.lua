-- events_spec.lua: what happens on real engines, across broken connections and restarts.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local faults = require "tests.lua.support.socket_faults"
local program = require "tests.lua.support.program"

local docker = ctz.docker.connect { host = engine.host() }

-- Makes and removes volumes of the label, and returns their names.
local function make_volumes(on, count, label)
  local names = {}
  for i = 1, count do
    names[i] = engine.name "event"
    on.volumes.create(names[i], { labels = { label } }):remove()
  end
  return names
end

-- "create NAME", "destroy NAME" of each, in this order
local function expected(names)
  local list = {}
  for _, name in ipairs(names) do
    list[#list + 1] = "create " .. name
    list[#list + 1] = "destroy " .. name
  end
  return list
end

-- Watches in the background: seen has what came.
local function watch(on, opts)
  local seen = {}
  opts = opts or {}
  opts.filters = opts.filters or { type = "volume" }
  local events = on.system.events(opts)
  local task = ctz.spawn(function()
    for event in events do
      seen[#seen + 1] = event.action .. " " .. event.name
    end
  end, { background = true })
  return seen, events, task
end

local function wait_for(seen, count)
  while #seen < count do
    ctz.sleep(0.005)
  end
  ctz.sleep(0.05) -- nothing comes twice
end

local function join(...)
  local all = {}
  for _, list in ipairs { ... } do
    table.move(list, 1, #list, #all + 1, all)
  end
  return all
end

describe("docker.system.events #live", function()
  teardown(engine.is_clean)

  it("tells what happens from the call on, in its order", function()
    local label = engine.name "label"
    make_volumes(docker, 2, label) -- before
    local events = docker.system.events { filters = { type = "volume" } }
    local name = engine.name()
    local before = ctz.time.now()
    docker.volumes.create(name):remove()
    local first, second = events(), events()
    assert.equal("volume", first.type)
    assert.equal("create", first.action)
    assert.equal(name, first.name)
    assert.equal(name, first.id)
    assert.equal("local", first.attributes.driver)
    assert.equal("local", first.scope)
    assert.is_true(first.time > before - 1 and first.time < ctz.time.now() + 1)
    assert.equal("integer", math.type(first.raw.timeNano))
    assert.equal("destroy", second.action)
    assert.is_true(second.raw.timeNano > first.raw.timeNano)
    events:close()
    assert.is_nil(events())
  end)

  it("tells the network and the container of a connection, and details apart", function()
    local network = docker.networks.create(engine.name())
    local api = require("ctz.docker.client").new { host = engine.host() }
    local id = api:call("POST", "/containers/create", { json = { Image = engine.image, Cmd = { "sleep", "100" } } }).Id
    api:call("POST", "/containers/" .. id .. "/start", {})
    local events <close> = docker.system.events()
    network:connect(id)
    local event = events()
    assert.same({ "network", "connect", network.name, network.id, id },
      { event.type, event.action, event.name, event.id, event.attributes.container })
    api:call("POST", "/containers/" .. id .. "/exec", { json = { Cmd = { "echo", "a: b" } } })
    event = events()
    assert.same({ "container", "exec_create", "echo a: b", id }, { event.type, event.action, event.detail, event.id })
    api:call("DELETE", "/containers/" .. id, { query = { force = true } })
    network:remove()
  end)

  it("gives what happened since a time, and ends at another", function()
    local label = engine.name "label"
    local start = ctz.time.now()
    local names = make_volumes(docker, 3, label)
    local seen = {}
    for event in docker.system.events { since = start, ["until"] = ctz.time.now(), filters = { type = "volume" } } do
      seen[#seen + 1] = event.action .. " " .. event.name
    end
    assert.same(expected(names), seen)
    seen = {}
    local filters = { event = "destroy", volume = names[2] }
    for event in docker.system.events { since = "1m", ["until"] = "0s", filters = filters } do
      seen[#seen + 1] = event.action .. " " .. event.name
    end
    assert.same({ "destroy " .. names[2] }, seen)
  end)

  it("loses nothing and tells nothing twice when its connection breaks, wherever #real", function()
    for _, cut in ipairs { 0, 1, 700, 1501, 3000 } do
      local proxy <close> = faults.before(engine.socket(), { match = "/events", cut = cut, body = true, times = 3 })
      local through = ctz.docker.connect { host = proxy.host }
      local seen, events = watch(through)
      local names = make_volumes(docker, 20)
      wait_for(seen, 40)
      assert.same(expected(names), seen)
      events:close()
      assert.is_true(#proxy:requests() >= 4, "the connection never broke")
    end
  end)

  it("tells events once when the connection breaks between them and all are asked for again", function()
    local proxy <close> = faults.before(engine.socket(), { match = "/events", slice = 7 })
    local seen, events = watch(ctz.docker.connect { host = proxy.host })
    local names = make_volumes(docker, 5)
    wait_for(seen, 10)
    assert.same(expected(names), seen)
    events:close()
  end)

  it("goes on after the engine restarted, without loss or doubles #real", function()
    local own <close> = engine.own()
    local on = ctz.docker.connect { host = own.host }
    local seen, events = watch(on)
    local before = make_volumes(on, 10)
    wait_for(seen, 20)
    own:down { kill = true }
    own:up()
    local after = make_volumes(on, 10)
    wait_for(seen, 40)
    assert.same(expected(join(before, after)), seen)
    own:down()
    ctz.sleep(0.3)
    own:up()
    local last = make_volumes(on, 3)
    wait_for(seen, 46)
    assert.same(expected(join(before, after, last)), seen)
    events:close()
  end)

  it("raises, or is cancelled, when the engine does not come back #real", function()
    local own <close> = engine.own()
    local on = ctz.docker.connect { host = own.host }
    local events = on.system.events { reconnect = 0.2 }
    local at_once = on.system.events { reconnect = 0 }
    local patient = on.system.events()
    local closed = on.system.events()
    own:down { kill = true }
    local _, err = ctz.try(events)
    assert.equal("unreachable", err.kind)
    assert.equal("docker.system.events", err.op)
    assert.matches("^%d+%.%d+$", err.since)
    assert.is_not_nil(err.hint)
    _, err = ctz.try(at_once)
    assert.is_true(err.kind == "unreachable" or err.kind == "protocol", err.kind)
    _, err = ctz.try(ctz.timeout, 0.3, patient)
    assert.equal("timeout", err.kind)
    local task = ctz.spawn(closed)
    ctz.sleep(0.1)
    closed:close()
    assert.is_nil(task:await())
  end)

  it("ends at its time though the connection broke before #real", function()
    local proxy <close> = faults.before(engine.socket(), { match = "/events", cut = 0, body = true, times = 1 })
    local on = ctz.docker.connect { host = proxy.host }
    local seen, _, task = watch(on, { ["until"] = ctz.time.now() + 3 })
    local names = make_volumes(on, 1)
    task:await()
    assert.same(expected(names), seen)
    assert.is_true(#proxy:requests() > 4)
  end)

  it("raises at once what the engine does not take #real", function()
    local _, err = ctz.try(docker.system.events, { filters = { typ = "volume" } })
    assert.equal("usage", err.kind)
    assert.matches("did you mean 'type'", err.message)
    _, err = ctz.try(docker.system.events, { since = "yesterday" })
    assert.equal("usage", err.kind)
    _, err = ctz.try(ctz.docker.connect({ host = "unix:///none.sock" }).system.events)
    assert.equal("unreachable", err.kind)
  end)

  it("can be cancelled while it waits", function()
    local _, err = ctz.try(ctz.timeout, 0.05, function()
      docker.system.events()()
    end)
    assert.equal("timeout", err.kind)
  end)

  it("wakes nobody while nothing happens #real", function()
    local child <close> = ctz.process.spawn({ program.path, "eval", ([[(function()
      local ctz = require "ctz"
      local events = ctz.docker.connect{host=%q}.system.events()
      print "ready" io.stdout:flush()
      events()
    end)()]]):format(engine.host()) }, {})
    assert.equal("ready", child:read "l")
    local function wakes()
      local count = 0
      for _, thread in ipairs(ctz.fs.list(("/proc/%d/task"):format(child.pid))) do
        local status = ctz.fs.read(("/proc/%d/task/%s/status"):format(child.pid, thread))
        count = count + tonumber(status:match "\nvoluntary_ctxt_switches:%s*(%d+)")
      end
      return count
    end
    local last
    repeat -- until it has settled
      last = wakes()
      ctz.sleep(0.1)
    until wakes() == last
    ctz.sleep(1)
    assert.equal(last, wakes())
    child:kill "SIGKILL"
    child:wait { check = false }
  end)
end)
