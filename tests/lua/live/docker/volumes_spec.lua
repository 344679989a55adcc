-- volumes_spec.lua: volumes of real engines.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"

local docker = ctz.docker.connect { host = engine.host() }
local api = require("ctz.docker.client").new { host = engine.host() }

local function fails(kind, fn, ...)
  local _, err = ctz.try(fn, ...)
  assert.equal(kind, err and err.kind, err and tostring(err) or "it succeeded")
  assert.is_true(err:is "volume")
  return err
end

local function container_with(volume)
  local name = engine.name "box"
  api:call("POST", "/containers/create", {
    query = { name = name },
    json = { Image = engine.image, Cmd = { "true" }, HostConfig = { Binds = { volume .. ":/data" } } },
  })
  return name
end

describe("docker.volumes #live", function()
  teardown(engine.is_clean)

  it("makes a volume that is found, listed, inspected and removed", function()
    local before, name = ctz.time.now(), engine.name()
    local volume = docker.volumes.create(name, {
      labels = { "keep", "tier=data" },
      options = { type = "tmpfs", device = "tmpfs", o = "size=1m" },
    })
    assert.equal(name, volume.name)
    assert.equal(name, volume.id)
    assert.equal("local", volume.driver)
    assert.equal("local", volume.scope)
    assert.matches(name, volume.mountpoint, 1, true)
    assert.equal("", volume.labels.keep)
    assert.equal("data", volume.labels.tier)
    assert.equal("tmpfs", volume.options.type)
    assert.is_true(volume.created > before - 2 and volume.created < ctz.time.now() + 1)
    assert.equal(name, volume.raw.Name)

    assert.equal(name, docker.volumes.find(name).name)
    assert.equal(name, docker.volumes.get(volume).name)
    assert.equal(name, volume:inspect().Name)
    local listed = docker.volumes.list { filters = { label = "tier=data", name = name } }
    assert.equal(1, #listed)
    assert.equal(name, listed[1].name)
    assert.is_true(listed[1]:remove())
    assert.is_nil(docker.volumes.find(name))
    fails("not_found", volume.remove, volume)
    assert.is_true(volume:remove { force = true })
  end)

  it("makes one without a name", function()
    local volume = docker.volumes.create()
    assert.matches("^%x+$", volume.name)
    assert.equal(64, #volume.name)
    volume:remove()
  end)

  it("gives what is there already", function()
    local name = engine.name()
    local volume = docker.volumes.create(name, { labels = { first = "1" } })
    assert.equal("1", docker.volumes.create(name).labels.first)
    volume:remove()
  end)

  it("does not remove what a container uses", function()
    local volume = docker.volumes.create(engine.name())
    local container = container_with(volume.name)
    local err = fails("conflict", volume.remove, volume)
    assert.matches("in use", err.message)
    api:call("DELETE", "/containers/" .. container, {})
    volume:remove()
  end)

  it("names the nearest when there is none of that name", function()
    local volume = docker.volumes.create("near" .. engine.name())
    local err = fails("not_found", docker.volumes.get, volume.name:gsub("near", "nera"))
    assert.equal(("did you mean %q? docker.volumes.list() shows all"):format(volume.name), err.hint)
    volume:remove()
  end)

  it("prunes those without a name, with all=true also the others", function()
    local label = engine.name "label"
    local named = docker.volumes.create(engine.name(), { labels = { label } })
    local nameless = docker.volumes.create(nil, { labels = { label } })
    local kept = docker.volumes.create(nil, { labels = { label, "keep" } })
    local used = docker.volumes.create(nil, { labels = { label } })
    local container = container_with(used.name)
    local result = docker.volumes.prune { filters = { label = label, ["label!"] = "keep" } }
    assert.same({ nameless.name }, result.removed)
    assert.equal(0, result.bytes_freed)
    assert.is_not_nil(docker.volumes.find(named))
    result = docker.volumes.prune { all = true, filters = { label = label } }
    table.sort(result.removed)
    local expected = { named.name, kept.name }
    table.sort(expected)
    assert.same(expected, result.removed)
    api:call("DELETE", "/containers/" .. container, {})
    used:remove()
  end)

  it("plans in a dry run and changes nothing #real", function()
    local volume = docker.volumes.create(engine.name())
    local result = program.recipe(([[
      local ctz = require "ctz"
      local docker = ctz.docker.connect{host=%q}
      local made = docker.volumes.create("planned")
      print(made.name, made.id, made:remove(), docker.volumes.create().name)
      print(docker.volumes.get(%q):remove(), #docker.volumes.prune({all=true}).removed)]])
      :format(engine.host(), volume.name), { "--dry-run" })
    assert.equal("planned\tplanned\ttrue\tplanned\ntrue\t0\n", result.out, result.err)
    assert.equal(([[
would create volume planned
would remove volume planned
would create volume without a name
would remove volume %s
would remove all volumes that no container uses
]]):format(volume.name), result.err)
    assert.is_not_nil(docker.volumes.find(volume))
    assert.is_nil(docker.volumes.find "planned")
    volume:remove()
  end)
end)
