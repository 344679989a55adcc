-- access_spec.lua: what users of a real cluster may do.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

describe("what a user may do #live", function()
  local admin, reader

  setup(function()
    admin = ctz.kubernetes.connect()
    reader = ctz.kubernetes.connect { kubeconfig = cluster.kubeconfig "reader" }
  end)

  it("is said for a kind, a subresource and all namespaces", function()
    assert.is_true((admin:can_i("delete", "nodes")))
    assert.is_true((reader:can_i("list", "deploy", { namespace = "default" })))
    assert.is_true((reader:can_i("get", "pods", { subresource = "log", all_namespaces = true })))
    assert.is_false((reader:can_i("create", "pods", { subresource = "exec" })))
    assert.is_false((reader:can_i("get", "secrets", { name = "any" })))
  end)

  it("needs a verb and a kind that there are", function()
    local _, err = ctz.try(reader.can_i, reader, "Is it?", "pods")
    assert.equal("usage", err.kind)
    _, err = ctz.try(reader.can_i, reader, "get", "podz")
    assert.equal("not_found", err.kind)
    assert.matches("pods", err.hint)
  end)
end)
