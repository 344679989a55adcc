-- events_spec.lua: what a real cluster tells of its objects.
-- SPDX-License-Identifier: MIT
local pods = require "tests.lua.support.kube_pods"

describe("kubernetes events #live", function()
  local k

  setup(function()
    k = pods.client()
    pods.run(k, "web", { main = { command = { "true" } } }, "Succeeded")
    pods.run(k, "other", { main = { command = { "true" } } }, "Succeeded")
  end)

  teardown(function()
    pods.remove(k)
  end)

  it("lists those of one object in the order of their times", function()
    local reasons, last = {}, 0
    for _, event in ipairs(k:events "pod/web") do
      assert.equal("pod/web", event.object)
      assert.is_true(event.time >= last)
      last = event.time
      reasons[event.reason] = event.message
    end
    assert.is_string(reasons.Scheduled)
    assert.is_string(reasons.Started)
    assert.same(#k:events "web", #k:events(k:get("pod", "web")))
  end)

  it("lists those of a namespace, of one type", function()
    assert.is_true(#k:events() > #k:events "pod/web")
    for _, event in ipairs(k:events(nil, { type = "Warning" })) do
      assert.equal("Warning", event.type)
    end
    assert.is_true(#k:events(nil, { all_namespaces = true }) >= #k:events())
  end)
end)
