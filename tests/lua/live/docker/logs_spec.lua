-- logs_spec.lua: what containers have written, on a real engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

describe("containers.logs #live", function()
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
    config.image, config.detach, config.command = engine.image, true, { "sh", "-c", script }
    local container = docker.run(config)
    made[#made + 1] = container
    return container
  end

  local function collect(container, opts)
    local lines = {}
    for line in container:logs(opts) do
      lines[#lines + 1] = line
    end
    return lines
  end

  local function texts(container, opts)
    local found = {}
    for i, line in ipairs(collect(container, opts)) do
      found[i] = line.text
    end
    return found
  end

  it("tells each line with its stream", function()
    local container = run "echo out; echo err >&2"
    container:wait()
    local lines = collect(container)
    table.sort(lines, function(a, b)
      return a.stream > b.stream
    end)
    assert.same({ { stream = "stdout", text = "out" }, { stream = "stderr", text = "err" } }, lines)
  end)

  it("takes one stream, the last lines, and what came since a time", function()
    local container = run "echo a; echo b; sleep 1.2; echo c; echo bad >&2"
    container:wait()
    assert.same({ "bad" }, texts(container, { stdout = false }))
    assert.same({ "c" }, texts(container, { tail = 2, stderr = false }))
    local times = collect(container, { timestamps = true, stderr = false })
    assert.same({ "c" }, texts(container, { since = times[3].time - 0.5, stderr = false }))
    assert.same({ "a", "b" }, texts(container, { ["until"] = times[3].time - 0.5, stderr = false }))
  end)

  it("has the time of each line only with timestamps=true", function()
    local container = run "echo a"
    container:wait()
    assert.is_nil(collect(container)[1].time)
    local line = collect(container, { timestamps = true })[1]
    assert.equal("a", line.text)
    assert.near(ctz.time.now(), line.time, 60)
  end)

  it("follows until the container ends", function()
    local container = run "for i in 1 2 3 4 5; do echo $i; sleep 0.05; done"
    assert.same({ "1", "2", "3", "4", "5" }, texts(container, { follow = true }))
  end)

  it("is left by break while it is followed", function()
    local container = run "while :; do echo x; sleep 0.01; done"
    for _ in container:logs { follow = true } do -- luacheck: ignore 512
      break
    end
    assert.is_true(container:refresh().is_running)
  end)

  it("gives a long line whole, and one over the limit in parts", function()
    local container = run "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end"
    container:wait()
    local lines = collect(container, { timestamps = true })
    assert.equal(("x"):rep(300000), lines[1].text)
    assert.is_nil(lines[1].partial)
    assert.equal("end", lines[2].text)
    local big = run "head -c 2500000 /dev/zero | tr '\\0' x; echo; echo end"
    big:wait()
    local parts = collect(big)
    assert.equal(4, #parts)
    assert.is_true(parts[1].partial and parts[2].partial)
    assert.is_nil(parts[3].partial)
    assert.equal(2500000, #parts[1].text + #parts[2].text + #parts[3].text)
    assert.equal("end", parts[4].text)
  end)

  it("reads a container with a terminal", function()
    local container = run("echo a; echo b", { tty = true })
    container:wait()
    assert.same({ "a", "b" }, texts(container))
  end)

  it("gives a last line without a line end", function()
    local container = run "printf 'a\\nb'"
    container:wait()
    assert.same({ "a", "b" }, texts(container))
  end)

  it("loses nothing to a slow consumer", function()
    local container = run "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"
    local count = 0
    for line in container:logs { follow = true } do
      assert.equal("line " .. count, line.text)
      count = count + 1
      if count % 5000 == 0 then
        ctz.sleep(0.3)
      end
    end
    assert.equal(20000, count)
  end)

  it("of a missing container is kind not_found", function()
    local _, err = ctz.try(docker.containers.logs, engine.name())
    assert.equal("not_found", err.kind)
  end)
end)
