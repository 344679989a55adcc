-- analyze_spec.lua: what an engine's image is made of, on a real engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

describe("an image of an engine #live", function()
  teardown(engine.is_clean)

  it("tells its layers with their sizes and what made them", function()
    local docker = ctz.docker.connect { host = engine.host() }
    local built = docker.build {
      dockerfile = ("FROM %s\nRUN head -c 3000000 /dev/urandom > /big\n"):format(engine.image),
      tags = { "ctz-test/analyze:1" },
    }
    finally(function()
      docker.images.remove("ctz-test/analyze:1", { force = true })
    end)
    local report = docker.images.get("ctz-test/analyze:1"):analyze()
    assert.equal("ctz-test/analyze:1", report.name)
    assert.equal(#built.layers, #report.layers)
    local big = report.layers[2]
    assert.truthy(big.created_by:find("head -c 3000000", 1, true))
    assert.is_true(big.size_bytes >= 3000000 and big.share > 0.3)
    assert.equal("linux/amd64", report.platform)
  end)
end)
