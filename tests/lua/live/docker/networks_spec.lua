-- networks_spec.lua: networks of real engines.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"

local docker = ctz.docker.connect { host = engine.host() }
local api = require("ctz.docker.client").new { host = engine.host() }

-- A container that runs until it is removed.
local function start_container()
  local name = engine.name "box"
  local body = { Image = engine.image, Cmd = { "sleep", "1000" }, HostConfig = { Init = false } }
  local id = api:call("POST", "/containers/create", { query = { name = name }, json = body }).Id
  api:call("POST", "/containers/" .. id .. "/start", {})
  return name, id
end

local function remove_container(name)
  api:call("DELETE", "/containers/" .. name, { query = { force = true } })
end

local function fails(kind, fn, ...)
  local _, err = ctz.try(fn, ...)
  assert.equal(kind, err and err.kind, err and tostring(err) or "it succeeded")
  assert.is_true(err:is "network")
  return err
end

describe("docker.networks #live", function()
  teardown(engine.is_clean)

  it("makes a network that is found, listed, inspected and removed", function()
    local before, name = ctz.time.now(), engine.name()
    local network = docker.networks.create(name, { labels = { tier = "front", flag = true }, internal = true })
    assert.matches("^%x+$", network.id)
    assert.equal(name, network.name)
    assert.equal("bridge", network.driver)
    assert.equal("local", network.scope)
    assert.is_true(network.internal)
    assert.is_false(network.ipv6)
    assert.same("front", network.labels.tier)
    assert.same("true", network.labels.flag)
    assert.is_true(network.created > before - 1 and network.created < ctz.time.now() + 1)
    assert.same({}, network.containers)
    assert.equal(network.id, network.raw.Id)

    assert.equal(network.id, docker.networks.find(name).id)
    assert.equal(network.id, docker.networks.find(network.id:sub(1, 12)).id)
    assert.equal(network.id, docker.networks.get(network).id)
    assert.equal(name, network:inspect().Name)
    local listed = docker.networks.list { filters = { label = { tier = "front" }, name = name } }
    assert.equal(1, #listed)
    assert.equal(network.id, listed[1].id)
    assert.is_nil(listed[1].containers)

    assert.is_true(listed[1]:remove())
    assert.is_nil(docker.networks.find(name))
    fails("not_found", docker.networks.remove, network)
  end)

  it("gives the addresses that are asked for", function()
    local name = engine.name()
    local network = docker.networks.create(name, {
      ipam = { subnet = "10.213.7.0/24", ip_range = "10.213.7.128/25", gateway = "10.213.7.1",
        aux_addresses = { printer = "10.213.7.200" } },
      options = { ["com.docker.network.bridge.enable_icc"] = false },
    })
    assert.equal("10.213.7.0/24", network.ipam.config[1].subnet)
    assert.equal("10.213.7.128/25", network.ipam.config[1].ip_range)
    assert.equal("10.213.7.1", network.ipam.config[1].gateway)
    assert.equal("10.213.7.200", network.ipam.config[1].aux_addresses.printer)
    assert.equal("false", network.options["com.docker.network.bridge.enable_icc"])
    local overlapping = engine.name()
    local err = select(2, ctz.try(docker.networks.create, overlapping, { ipam = { { subnet = "10.213.7.0/25" } } }))
    assert.matches("overlap", err.message)
    assert.equal("conflict", err.kind)
    assert.matches("docker.networks.list", err.hint, 1, true)
    assert.is_nil(docker.networks.find(overlapping))
    network:remove()
  end)

  it("takes several subnets and the driver that is named", function()
    local network = docker.networks.create(engine.name(), {
      driver = "bridge",
      ipv6 = true,
      ipam = { driver = "default", config = { { subnet = "10.214.1.0/24" }, { subnet = "fd00:1::/64" } } },
    })
    assert.equal("bridge", network.driver)
    assert.is_true(network.ipv6)
    local subnets = { network.ipam.config[1].subnet, network.ipam.config[2].subnet }
    table.sort(subnets)
    assert.same({ "10.214.1.0/24", "fd00:1::/64" }, subnets)
    network:remove()
  end)

  it("refuses a name that is taken", function()
    local name = engine.name()
    local network = docker.networks.create(name)
    local err = fails("conflict", docker.networks.create, name)
    assert.matches("already exists", err.message)
    assert.equal(409, err.status)
    network:remove()
  end)

  it("connects and disconnects a container", function()
    local network = docker.networks.create(engine.name(), { ipam = { subnet = "10.215.1.0/24" } })
    local name, id = start_container()
    assert.is_true(network:connect(name, { aliases = { "db", "cache" }, address = "10.215.1.77" }))
    local connected = docker.networks.get(network).containers
    assert.equal(1, #connected)
    assert.equal(id, connected[1].id)
    assert.equal(name, connected[1].name)
    assert.equal("10.215.1.77", connected[1].address)
    local aliases = api:call("GET", "/containers/" .. id .. "/json", {}).NetworkSettings.Networks[network.name].Aliases
    assert.matches("db", table.concat(aliases, " "))
    assert.matches("cache", table.concat(aliases, " "))

    local err = fails("conflict", network.remove, network)
    assert.matches("active endpoints", err.message)
    fails("conflict", network.connect, network, name)
    assert.is_true(network:disconnect(name))
    assert.same({}, docker.networks.get(network).containers)
    remove_container(name)
    network:remove()
  end)

  it("says which of both is missing", function()
    local network = docker.networks.create(engine.name())
    local err = fails("not_found", network.connect, network, "nobody-here")
    assert.matches("nobody-here", err.message, 1, true)
    local name = start_container()
    err = fails("not_found", docker.networks.connect, network.name .. "x", name)
    assert.matches(network.name .. "x", err.message, 1, true)
    assert.equal(("did you mean %q? docker.networks.list() shows all"):format(network.name), err.hint)
    remove_container(name)
    network:remove()
  end)

  it("names the nearest when there is none of that name", function()
    local network = docker.networks.create("near" .. engine.name())
    local err = fails("not_found", docker.networks.get, network.name:gsub("near", "nera"))
    assert.equal(("did you mean %q? docker.networks.list() shows all"):format(network.name), err.hint)
    assert.equal(404, err.status)
    err = fails("not_found", docker.networks.inspect, "zzzzzzzzzzzzzzzzzzzzzzzzz")
    assert.equal("docker.networks.list() shows all", err.hint)
    network:remove()
  end)

  it("does not remove the engine's own", function()
    local err = fails("denied", docker.networks.remove, "bridge")
    assert.matches("pre%-defined", err.message)
  end)

  it("prunes what nobody uses, by label", function()
    local label = engine.name "label"
    local gone = docker.networks.create(engine.name(), { labels = { label } })
    local kept = docker.networks.create(engine.name())
    local used = docker.networks.create(engine.name(), { labels = { label } })
    local container = start_container()
    used:connect(container)
    local result = docker.networks.prune { filters = { label = label } }
    assert.same({ gone.name }, result.removed)
    assert.is_nil(docker.networks.find(gone))
    remove_container(container)
    used:remove()
    kept:remove()
    assert.same({}, docker.networks.prune({ filters = { label = label } }).removed)
  end)

  it("plans in a dry run and changes nothing #real", function()
    local network = docker.networks.create(engine.name())
    local result = program.recipe(([[
      local ctz = require "ctz"
      local docker = ctz.docker.connect{host=%q}
      local made = docker.networks.create("planned")
      print(made.name, made.id, made.driver, made.planned)
      print(made:connect("box"), made:disconnect("box", {force=true}), made:remove())
      print(docker.networks.get(%q):remove(), #docker.networks.prune().removed)]])
      :format(engine.host(), network.name), { "--dry-run" })
    assert.equal("planned\tplanned\tbridge\ttrue\ntrue\ttrue\ttrue\ntrue\t0\n", result.out, result.err)
    assert.equal(([[
would create network planned
would connect container box to network planned
would disconnect container box from network planned
would remove network planned
would remove network %s
would remove all networks that no container is connected to
]]):format(network.name), result.err)
    assert.is_not_nil(docker.networks.find(network))
    assert.is_nil(docker.networks.find "planned")
    network:remove()
  end)
end)
