-- restart_spec.lua: an API server that goes away while a recipe uses it.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local TESTBED <const>, FOLDER <const> = os.getenv "CTZ_TEST_KUBERNETES_TESTBED", os.getenv "CTZ_TEST_KUBERNETES_FOLDER"

local function testbed(verb)
  assert(os.execute(("%s %s %s apiserver >/dev/null"):format(TESTBED, verb, FOLDER)))
end

describe("an API server that restarts", function()
  it("is waited for by those who used it before; others are told at once", function()
    local client = ctz.k8s.connect()
    assert.equal("default", client:get("ns/default").metadata.name)
    testbed "down"
    local other = ctz.k8s.connect()
    local _, err = ctz.try(other.version, other)
    assert.equal("unreachable", err.kind)
    assert.is_true(err:is "kubernetes")
    local name = ("restart-%d"):format(math.random(1 << 40))
    local read = ctz.spawn(function()
      return client:get("ns/default").metadata.name
    end)
    local made = ctz.spawn(function() -- nobody listens: it was certainly not done
      return client:create({ apiVersion = "v1", kind = "Namespace", metadata = { name = name } }).metadata.name
    end)
    testbed "up"
    assert.equal("default", read:await())
    assert.equal(name, made:await())
    client:delete("ns", name)
  end)
end)
