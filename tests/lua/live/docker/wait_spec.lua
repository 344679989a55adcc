-- wait_spec.lua: waiting until a container is ready, and what it uses, on a real engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

describe("containers.wait_until #live", function()
  local docker, made

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
  end)

  before_each(function()
    made = {}
  end)

  after_each(function()
    for _, container in ipairs(made) do
      container:remove { force = true }
    end
  end)

  teardown(engine.is_clean)

  local function run(script, config)
    config = config or {}
    config.image, config.detach = config.image or engine.image, true
    config.command = script and { "sh", "-c", script } or nil
    local container = docker.run(config)
    made[#made + 1] = container
    return container
  end

  local function error_of(container, opts)
    local value, err = ctz.try(container.wait_until, container, opts)
    assert.is_nil(value)
    return err
  end

  it("waits for health", function()
    local container = run(nil, { image = engine.healthy })
    assert.is_true(container:wait_until { healthy = true, timeout = 20 })
    assert.equal("healthy", container:inspect().State.Health.Status)
  end)

  it("fails at once for health without a health check", function()
    local err = error_of(run "sleep 1000", { healthy = true })
    assert.equal("usage", err.kind)
    assert.truthy(err.message:find("no health check", 1, true))
  end)

  it("fails when the container becomes unhealthy", function()
    local container = run("sleep 1000", {
      healthcheck = { command = { "sh", "-c", "echo broken; exit 1" }, interval = 0.1, retries = 1 },
    })
    local err = error_of(container, { healthy = true, timeout = 20 })
    assert.equal("exit", err.kind)
    assert.truthy(err.stderr:find "broken")
  end)

  it("waits for a line of the log", function()
    local container = run "sleep 0.2; echo starting; sleep 0.2; echo ready to serve; sleep 1000"
    assert.is_true(container:wait_until { log = "ready to", timeout = 20 })
    assert.is_true(container:wait_until {
      log = function(line)
        return line:match "^start"
      end,
      timeout = 20,
    })
  end)

  it("waits for a published port on which somebody listens", function()
    local container = run("sleep 0.5; exec nc -ll -p 80 -e cat", { ports = { "127.0.0.1:18081:80" } })
    assert.is_true(container:wait_until { port = 80, timeout = 20 })
  end)

  it("waits for an answer by HTTP", function()
    local container = run("mkdir -p /www; echo hi > /www/index.html; sleep 0.3; exec httpd -f -p 80 -h /www", {
      ports = { "127.0.0.1:18082:80" },
    })
    assert.is_true(container:wait_until { http = { port = 80, path = "/index.html", status = 200 }, timeout = 20 })
  end)

  it("waits for a file, and for the end", function()
    local container = run "sleep 0.3; touch /done; sleep 0.3; exit 4"
    assert.is_true(container:wait_until { file = "/done", timeout = 20 })
    assert.is_true(container:wait_until { exit = 4, timeout = 20 })
    assert.equal("exit", error_of(container, { exit = 0 }).kind)
  end)

  it("fails with the end of the log when the container ends before", function()
    local err = error_of(run "echo cannot bind; exit 9", { file = "/never", timeout = 20 })
    assert.equal("exit", err.kind)
    assert.equal(9, err.exit_code)
    assert.truthy(err.stderr:find("cannot bind", 1, true))
  end)

  it("gives up at its deadline", function()
    assert.equal("timeout", error_of(run "sleep 1000", { file = "/never", timeout = 0.5 }).kind)
  end)
end)

describe("containers.stats #live #real", function()
  local docker, container

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
    container = docker.run {
      image = engine.image,
      command = { "sh", "-c", "while :; do :; done" },
      resources = { memory_limit = "64m" },
      detach = true,
    }
  end)

  teardown(function()
    container:remove { force = true }
    engine.is_clean()
  end)

  it("measures what a busy container uses", function()
    local m = container:metrics()
    assert.equal(container.name, m.container_name)
    assert.is_true(m.cpu_usage_percent > 5)
    assert.is_true(m.cpu_usage_percent < 100 * 64)
    assert.is_true(m.memory_usage_bytes > 0)
    assert.equal(64 << 20, m.memory_limit_bytes)
    assert.equal(m.memory_limit_bytes / 1000000, m.memory_limit_mb)
    assert.near(ctz.time.now(), m.timestamp, 60)
    assert.is_true(m.uptime_seconds > 0)
    assert.equal(0, m.restart_count)
    assert.equal("unknown", m.health_status)
    assert.equal(1, m.pids)
    assert.is_nil(m.performance_score)
  end)

  it("comes every second until the container ends", function()
    local short = docker.run { image = engine.image, command = { "sleep", "3" }, detach = true }
    local samples = {}
    for m in short:stats() do
      samples[#samples + 1] = m
    end
    assert.is_true(#samples >= 1)
    assert.is_true(samples[#samples].timestamp >= samples[1].timestamp)
    short:remove()
  end)

  it("is left by break", function()
    for m in container:stats() do -- luacheck: ignore 512
      assert.equal(container.name, m.container_name)
      break
    end
  end)
end)
