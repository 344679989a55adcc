-- recipes_spec.lua: the recipes of Kubernetes, as their headers say, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local program = require "tests.lua.support.program"

describe("deploy.lua #live", function()
  local space

  setup(function()
    space = cluster.namespace()
  end)

  teardown(function()
    space.delete()
  end)

  local function deploy(image)
    return ctz.process.run({
      program.path, "run", "recipes/deploy.lua", "name=web", "image=" .. image, "namespace=" .. space.name,
      "replicas=2", "wait=50", "--", "sleep", "1000",
    }, { check = false, stderr = "capture", timeout = 300 })
  end

  it("makes a deployment, changes it, and goes back from an image that cannot be had", function()
    local first = deploy(cluster.image)
    assert.equal(0, first.exit_code, first.stderr)
    assert.matches("2 of 2 replicas run " .. cluster.image, first.stdout, 1, true)
    local second = deploy(cluster.other_image)
    assert.equal(0, second.exit_code, second.stderr)
    local bad = deploy "none.invalid/web:3"
    assert.equal(1, bad.exit_code)
    assert.matches("rolled back to " .. cluster.other_image, bad.stdout, 1, true)
    assert.matches("deployment web does not get ready", bad.stderr, 1, true)
    assert.matches("none.invalid/web:3", bad.stderr, 1, true)
    local now = cluster.get("deployment", "web", "-n", space.name)
    assert.equal(cluster.other_image, now.spec.template.spec.containers[1].image)
    assert.equal(2, now.status.availableReplicas)
  end)
end)
