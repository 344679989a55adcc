-- system_spec.lua: what real engines say of themselves, and what they clean up.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local faults = require "tests.lua.support.socket_faults"
local program = require "tests.lua.support.program"

local docker = ctz.docker.connect { host = engine.host() }
local api = require("ctz.docker.client").new { host = engine.host() }

describe("docker.system #live", function()
  teardown(engine.is_clean)

  it("tells the versions of the engine", function()
    local version = docker.system.version()
    assert.equal(engine.api, version.api_version)
    assert.equal(version.version, version.raw.Version)
    local ping = docker.system.ping()
    assert.equal(engine.api, ping.api_version)
    assert.equal(engine.api, ping.newest_api_version)
    assert.equal("linux", ping.os)
    assert.is_false(ping.experimental)
  end)

  it("tells what the engine is and has", function()
    local info = docker.system.info()
    assert.equal(engine.get("/info").ID, info.id)
    assert.equal(docker.system.version().version, info.version)
    assert.equal("linux", info.os_type)
    assert.equal(engine.engine == "newest", info.containerd_store)
    assert.is_true(info.cpus >= 1 and info.memory_bytes > 1 << 20)
    assert.is_true(info.cgroup_version == 1 or info.cgroup_version == 2)
    assert.is_false(info.rootless)
    assert.equal("runc", info.default_runtime)
    assert.matches("runc", table.concat(info.runtimes, " "))
    assert.equal(info.containers.all, info.containers.running + info.containers.paused + info.containers.stopped)
    assert.equal(info.raw.NCPU, info.cpus)
  end)

  it("tells what takes space, and what of it is in use", function()
    local before = docker.system.df()
    local volume = docker.volumes.create(engine.name())
    local body = {
      Image = engine.image,
      Cmd = { "sh", "-c", "head -c 300000 /dev/zero > /data/f; head -c 200000 /dev/zero > /f; exec sleep 1000" },
      HostConfig = { Binds = { volume.name .. ":/data" } },
    }
    local id = api:call("POST", "/containers/create", { json = body }).Id
    finally(function()
      ctz.try(api.call, api, "DELETE", "/containers/" .. id .. "?force=1", {})
      ctz.try(volume.remove, volume)
    end)
    api:call("POST", "/containers/" .. id .. "/start", {})
    local df
    repeat
      df = docker.system.df()
    until df.containers.size_bytes - before.containers.size_bytes >= 200000
      and df.volumes.size_bytes - before.volumes.size_bytes >= 300000
    assert.equal(before.containers.count + 1, df.containers.count)
    assert.equal(before.containers.active + 1, df.containers.active)
    assert.equal(before.containers.reclaimable_bytes, df.containers.reclaimable_bytes)
    assert.equal(before.volumes.count + 1, df.volumes.count)
    assert.equal(before.volumes.active + 1, df.volumes.active)
    assert.equal(before.volumes.reclaimable_bytes, df.volumes.reclaimable_bytes)
    assert.is_true(df.images.active >= 1 and df.images.active >= before.images.active)
    assert.is_true(df.images.count >= 2 and df.images.size_bytes > 1000000)
    assert.is_true(df.images.reclaimable_bytes <= df.images.size_bytes)

    api:call("POST", "/containers/" .. id .. "/kill", {})
    api:call("POST", "/containers/" .. id .. "/wait", {})
    local idle = docker.system.df()
    assert.equal(before.containers.active, idle.containers.active)
    assert.is_true(idle.containers.reclaimable_bytes >= 200000)
    api:call("DELETE", "/containers/" .. id, {})
    idle = docker.system.df()
    assert.is_true(idle.volumes.reclaimable_bytes - before.volumes.reclaimable_bytes >= 300000)
    volume:remove()
  end)

  it("removes what is not in use, of the kinds that are named", function()
    local label = engine.name "label"
    local network = docker.networks.create(engine.name(), { labels = { label } })
    local volume = docker.volumes.create(nil, { labels = { label } })
    local named = docker.volumes.create(engine.name(), { labels = { label } })
    local result = docker.system.prune { what = { "networks" }, filters = { label = label } }
    assert.same({ networks = { network.name }, bytes_freed = 0 }, result)
    result = docker.system.prune { what = { "volumes" }, filters = { label = label } }
    assert.same({ volume.name }, result.volumes)
    result = docker.system.prune { what = { "volumes" }, all = true, filters = { label = label } }
    assert.same({ named.name }, result.volumes)
    assert.is_nil(result.networks)
  end)

  it("removes containers, networks and images by label, and leaves volumes and the build cache alone", function()
    local label = engine.name "label"
    local network = docker.networks.create(engine.name(), { labels = { label } })
    local volume = docker.volumes.create(nil, { labels = { label } })
    local labels = { [label] = "1" }
    local container = docker.containers.create { image = engine.image, command = { "true" }, labels = labels }
    local result = docker.system.prune { filters = { label = label } }
    assert.same({ container.id }, result.containers)
    assert.same({ network.name }, result.networks)
    assert.same({}, result.images)
    assert.is_nil(result.volumes)
    assert.is_nil(result.build_cache)
    volume:remove()
  end)

  it("plans in a dry run and removes nothing #real", function()
    local network = docker.networks.create(engine.name())
    local result = program.recipe(([[
      local ctz = require "ctz"
      local docker = ctz.docker.connect{host=%q}
      local result = docker.system.prune{what={"networks", "volumes", "images", "build_cache"}}
      print(#result.networks, #result.volumes, #result.images, #result.build_cache, result.bytes_freed)]])
      :format(engine.host()), { "--dry-run" })
    assert.equal("0\t0\t0\t0\t0\n", result.out, result.err)
    assert.equal([[
would remove all networks that no container is connected to
would remove all volumes that no container uses and that have no name
would remove all images without a name that no container uses
would remove what no build uses of the build cache
]], result.err)
    network:remove()
  end)

  it("refuses a kind that there is not", function()
    local _, err = ctz.try(docker.system.prune, { what = { "image" } })
    assert.equal("usage", err.kind)
    assert.equal('there is no "image" to prune: containers, networks, volumes, images, build_cache', err.message)
  end)

  it("gives up asking in time #real", function()
    local proxy <close> = faults.before(engine.socket(), { match = "/v1.*/(_ping|system/df|events)", stall = 0 })
    local stuck = ctz.docker.connect { host = proxy.host }.system
    for _, name in ipairs { "ping", "df", "events" } do
      local _, err = ctz.try(stuck[name], { timeout = 0.1 })
      assert.equal("timeout", err.kind)
      assert.equal("docker.system." .. name, err.op)
    end
  end)
end)
