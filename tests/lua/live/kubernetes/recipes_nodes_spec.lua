-- recipes_nodes_spec.lua: recipes about nodes and events, as their headers say, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local program = require "tests.lua.support.program"

describe("drain-and-upgrade.lua #live", function()
  local k, folder

  setup(function()
    k = ctz.kubernetes.connect()
    folder = program.folder()
  end)

  teardown(function()
    for node in k:each("nodes", { labels = "type=kwok" }) do
      local none = ctz.json.null
      k:patch(node, {
        metadata = { annotations = {
          ["ctz.upgrade/done"] = none, ["ctz.upgrade/step"] = none, ["ctz.upgrade/keep-cordoned"] = none,
        } },
        spec = { unschedulable = none },
      })
    end
    program.remove(folder)
  end)

  -- Writes down which nodes it is called for; fails for the node that a file names.
  local SCRIPT <const> = [[
    echo "$1 $2 $CTZ_NODE $CTZ_RELEASE" >>log
    test "$(cat fail 2>/dev/null)" != "$1"
  ]]

  local function upgrade(flag, release)
    return ctz.process.run({
      program.path, "run", flag, "recipes/drain-and-upgrade.lua", "release=" .. release,
      "selector=type=kwok", "force=true", "drain=60", "ready=60", "--", "sh", "-c", "cd " .. folder .. "\n" .. SCRIPT,
      "x", "{node}", "{release}",
    }, { check = false, stderr = "capture", timeout = 300 })
  end

  local function log()
    local file = io.open(folder .. "/log")
    local text = file and file:read "a" or ""
    return text, file and file:close()
  end

  local function is_cordoned(name)
    return k:get("node", name).spec.unschedulable == true
  end

  it("upgrades node after node, stops at a failure, and goes on where it stopped", function()
    local dry = upgrade("--dry-run", "v1")
    assert.equal(0, dry.exit_code, dry.stderr)
    assert.equal("", (log()))
    assert.is_false(is_cordoned "kwok-0")
    k:cordon "kwok-2"
    program.shell("echo kwok-1 >" .. folder .. "/fail")
    local first = upgrade("--color=never", "v1")
    assert.equal(1, first.exit_code)
    assert.equal("kwok-0 v1 kwok-0 v1\nkwok-1 v1 kwok-1 v1\n", (log()))
    assert.is_false(is_cordoned "kwok-0")
    assert.is_true(is_cordoned "kwok-1")
    assert.equal("v1 drain", k:get("node", "kwok-1").metadata.annotations["ctz.upgrade/step"])
    os.remove(folder .. "/fail")
    local second = upgrade("--color=never", "v1")
    assert.equal(0, second.exit_code, second.stderr)
    assert.matches("kwok-1: goes on at: drain", second.stdout, 1, true)
    assert.matches("2 nodes upgraded, 1 were done before", second.stdout, 1, true)
    assert.equal("kwok-0 v1 kwok-0 v1\nkwok-1 v1 kwok-1 v1\nkwok-1 v1 kwok-1 v1\nkwok-2 v1 kwok-2 v1\n", (log()))
    assert.is_false(is_cordoned "kwok-1")
    assert.is_true(is_cordoned "kwok-2") -- as it was
    local third = upgrade("--json", "v1")
    assert.matches('"upgraded": ?%[%]', third.stdout)
  end)

  it("wants a command, and nodes", function()
    local recipe = "recipes/drain-and-upgrade.lua"
    local result = program.run { "run", recipe, "release=1", "selector=type=kwok" }
    assert.equal(2, result.code)
    result = program.run { "run", recipe, "release=1", "selector=type=none", "--", "true" }
    assert.equal(1, result.code)
    assert.matches("no node has the labels type=none", result.err, 1, true)
  end)
end)

describe("watch-events.lua #live", function()
  local space

  setup(function()
    space = cluster.namespace()
  end)

  teardown(function()
    space.delete()
  end)

  local function event(name, kind, reason, object)
    local now = ctz.time.format(ctz.time.now())
    ctz.kubernetes.connect():create {
      apiVersion = "v1", kind = "Event", type = kind, reason = reason, message = "it is\nso", count = 3,
      metadata = { name = name, namespace = space.name }, firstTimestamp = now, lastTimestamp = now,
      involvedObject = { kind = "Pod", name = object, namespace = space.name }, source = { component = "spec" },
    }
  end

  local function watch(flag, ...)
    return ctz.process.run({
      program.path, "run", flag, "recipes/watch-events.lua", "namespace=" .. space.name, "seconds=2",
      ...,
    }, { check = false, stderr = "capture", timeout = 60 })
  end

  it("prints events that were and that come, as lines or as JSON, and filters them", function()
    event("one", "Warning", "BackOff", "web")
    event("two", "Normal", "Pulled", "web")
    event("three", "Warning", "BackOff", "db")
    local later = ctz.spawn(function()
      ctz.sleep(1)
      event("four", "Warning", "Failed", "web")
    end)
    local all = watch("--color=never")
    later:await()
    assert.equal(0, all.exit_code, all.stderr)
    assert.matches("^%d+:%d+:%d+  Warning  BackOff +pod/%w+  it is so %(x3%)\n", all.stdout)
    assert.equal(4, select(2, all.stdout:gsub("\n", "")))
    assert.matches("Failed +pod/web  it is so %(x3%)\n$", all.stdout)
    local some = watch("--json", "type=Warning", "object=pod/web", "reason=BackOff")
    local record = ctz.json.decode(some.stdout:match "^[^\n]*")
    assert.matches('"events": ?1', some.stdout)
    record.time = nil
    assert.same({
      type = "Warning", reason = "BackOff", object = "pod/web", namespace = space.name, message = "it is\nso",
      count = 3, source = "spec",
    }, record)
    assert.equal("", watch("--color=never", "object=service").stdout)
    assert.equal("", watch("--color=never", "since=0").stdout)
    local wide = watch("--color=never", "all=true", "type=Warning", "object=pod").stdout
    assert.equal(3, select(2, wide:gsub(space.name:gsub("%-", "%%-") .. "/", "")))
  end)
end)
