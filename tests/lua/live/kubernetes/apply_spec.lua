-- apply_spec.lua: server-side apply on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

describe("client:apply #live", function()
  local space, client

  setup(function()
    space = cluster.namespace()
    client = ctz.k8s.connect { namespace = space.name }
  end)

  teardown(function()
    space.delete()
  end)

  local function map(name, data)
    return ctz.k8s.configmap { name = name, data = data }
  end

  it("makes and changes what builders give, in order", function()
    local made = client:apply {
      ctz.k8s.deployment { name = "web", image = cluster.image, replicas = 0 },
      ctz.k8s.service { name = "web", ports = { 80 } },
      ctz.k8s.secret { name = "db", data = { password = "hunter22" } },
      map("app", { A = 1 }),
      ctz.k8s.job { name = "once", image = cluster.image, command = { "true" } },
      ctz.k8s.cronjob { name = "cron", image = cluster.image, schedule = "@daily", suspend = true },
      ctz.k8s.ingress { name = "web", rules = { { host = "a.example", service = "web", port = 80 } } },
    }
    assert.equal(7, made.created)
    assert.equal("Secret", made[1].kind)
    assert.equal("aHVudGVyMjI=", client:get("secret", "db").data.password)
    local again = client:apply(map("app", { A = 2 }))
    assert.equal(0, again.created)
    assert.equal("2", client:get("configmap", "app").data.A)
    assert.equal("ctz", again[1].metadata.managedFields[1].manager)
  end)

  it("checks only with dry_run", function()
    client:apply(map("dry"), { dry_run = true })
    local _, err = ctz.try(client.get, client, "configmap", "dry")
    assert.is_true(err:is "not_found")
  end)

  it("names the manager and the fields of a conflict, and takes them with force", function()
    client:apply(map("fought", { A = 1 }), { field_manager = "one" })
    local _, err = ctz.try(client.apply, client, map("fought", { A = 2 }), { field_manager = "two" })
    assert.is_true(err:is "conflict")
    assert.equal("manifest: configmap fought: fields belong to one (.data.A)", err.message)
    assert.is_truthy(err.hint:find("force=true", 1, true))
    client:apply(map("fought", { A = 2 }), { field_manager = "two", force = true })
    assert.equal("2", client:get("configmap", "fought").data.A)
  end)

  it("takes over what kubectl applied from the client's side #real", function()
    local file = os.tmpname()
    ctz.fs.write(file, tostring(map("old", { A = 1, B = 2 })))
    cluster.kubectl { "-n", space.name, "apply", "-f", file }
    local object = client:apply(map("old", { A = 5 }))[1]
    assert.same({ A = "5" }, object.data)
    for _, entry in ipairs(object.metadata.managedFields) do
      assert.not_equal("kubectl-client-side-apply", entry.manager)
    end
    os.remove(file)
  end)

  it("waits for a definition before its objects, and says the place of what is refused", function()
    local group = space.name .. ".example.com"
    local definition = {
      apiVersion = "apiextensions.k8s.io/v1", kind = "CustomResourceDefinition",
      metadata = { name = "widgets." .. group },
      spec = {
        group = group, scope = "Namespaced", names = { plural = "widgets", singular = "widget", kind = "Widget" },
        versions = ctz.json.array { { name = "v1", served = true, storage = true, schema = {
          openAPIV3Schema = { type = "object", ["x-kubernetes-preserve-unknown-fields"] = true } } } },
      },
    }
    local widget = { apiVersion = group .. "/v1", kind = "Widget", metadata = { name = "w" }, size = 3 }
    assert.equal(2, client:apply({ widget, definition }).created)
    assert.equal(3, client:get("widgets." .. group, "w").size)
    client:delete("customresourcedefinition", definition.metadata.name)
    local bad = map("bad")
    bad.dat = { A = "1" }
    local _, err = ctz.try(client.apply, client, { map "good", bad })
    assert.is_truthy(err.message:find("manifests[2]: ", 1, true), err.message)
    assert.is_truthy(err.message:find("dat", 1, true))
  end)

  it("applies 300 objects", function()
    local list = {}
    for i = 1, 300 do
      list[i] = map("many-" .. i, { N = i })
    end
    assert.equal(300, client:apply(list).created)
  end)
end)
