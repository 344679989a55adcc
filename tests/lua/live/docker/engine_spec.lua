-- engine_spec.lua: the private engines themselves, by plain HTTP.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

local function tags()
  local found = {}
  for _, image in ipairs(engine.get "/images/json") do
    for _, tag in ipairs(image.RepoTags) do
      found[tag] = true
    end
  end
  return found
end

describe("the private engine of the tests #live", function()
  teardown(engine.is_clean)

  it("speaks the API that the spec is told", function()
    local answer = ctz.http.get("http://docker/_ping", { unix_socket = engine.socket() })
    assert.equal("OK", answer.body)
    assert.equal(engine.api, answer.headers["api-version"])
    assert.equal(engine.api, engine.get("/version").ApiVersion)
  end)

  it("has the base images, made without a network", function()
    assert.is_true(tags()[engine.image])
    assert.is_true(tags()[engine.healthy])
  end)

  it("gives names that differ", function()
    assert.not_equal(engine.name(), engine.name())
  end)

  it("can be had alone, ended and started again", function()
    local socket
    do
      local own <close> = engine.own()
      socket = own.socket
      assert.equal(engine.api, engine.get("/version", socket).ApiVersion)
      own:down { kill = true }
      assert.equal("unreachable", select(2, ctz.try(engine.get, "/version", socket)).kind)
      own:up()
      assert.equal(engine.api, engine.get("/version", socket).ApiVersion)
    end
    assert.is_false(ctz.fs.exists(socket))
  end)
end)
