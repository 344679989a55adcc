-- inventory_spec.lua: pruning by an inventory on a real cluster, beside kubectl's ApplySets.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local PREFIX <const> = "applyset.kubernetes.io/"

describe("client:apply with prune #live", function()
  local space, other, client

  setup(function()
    space, other = cluster.namespace(), cluster.namespace()
    client = ctz.k8s.connect { namespace = space.name }
  end)

  teardown(function()
    space.delete()
    other.delete()
  end)

  local function map(name, more)
    local object = ctz.k8s.configmap { name = name, data = { A = "1" } }
    for key, value in pairs(more or {}) do
      object.metadata[key] = value
    end
    return object
  end

  local function is_there(kind, name, namespace)
    return (ctz.try(client.get, client, kind, name, { namespace = namespace })) ~= nil
  end

  local function names(list)
    local found = {}
    for i, one in ipairs(list) do
      found[i] = one.kind .. " " .. one.name
    end
    table.sort(found)
    return found
  end

  local function eventually(fn)
    for _ = 1, 100 do
      if pcall(fn) then
        return
      end
      ctz.sleep(0.1)
    end
    fn()
  end

  -- kubectl apply --prune --applyset=NAME of these objects
  local function kubectl_apply(name, list, opts)
    local text = {}
    for i, object in ipairs(list) do
      text[i] = tostring(object)
    end
    return ctz.process.run({ "kubectl", "--kubeconfig", cluster.kubeconfig(), "-n", space.name, "apply", "--prune",
      "--applyset=" .. name, "-f", "-" }, {
        stdin = table.concat(text, "---\n"), env = { KUBECTL_APPLYSET = "true" }, timeout = 60,
        check = not opts or opts.check,
      })
  end

  it("removes nothing without it, and with it what is no longer applied, and says what", function()
    client:apply { map "stays" }
    local first = client:apply({ map "a", map "b", ctz.k8s.secret { name = "c", data = { x = "y" } } },
      { prune = "web" })
    assert.same({}, first.pruned)
    local parent = client:get("secret", "web")
    assert.equal("ConfigMap,Secret", parent.metadata.annotations[PREFIX .. "contains-group-kinds"])
    assert.equal(parent.metadata.labels[PREFIX .. "id"], first[1].metadata.labels[PREFIX .. "part-of"])
    local second = client:apply({ map "a" }, { prune = "web" })
    assert.same({ "ConfigMap b", "Secret c" }, names(second.pruned))
    assert.is_true(is_there("configmap", "a") and is_there("configmap", "stays"))
    assert.is_false(is_there("configmap", "b") or is_there("secret", "c"))
    assert.equal("ConfigMap", client:get("secret", "web").metadata.annotations[PREFIX .. "contains-group-kinds"])
    assert.same({}, client:apply({ map "a" }, { prune = "web" }).pruned)
  end)

  it("only tells with dry_run", function()
    client:apply({ map "d1", map "d2" }, { prune = "configmap/dry" })
    local version = client:get("configmap", "dry").metadata.resourceVersion
    local told = client:apply({ map "d1" }, { prune = "configmap/dry", dry_run = true })
    assert.same({ "ConfigMap d2" }, names(told.pruned))
    assert.is_true(is_there("configmap", "d2"))
    assert.equal(version, client:get("configmap", "dry").metadata.resourceVersion)
    assert.is_false(is_there("configmap", "new"))
    client:apply({ map "new1" }, { prune = "unmade", dry_run = true })
    assert.is_false(is_there("secret", "unmade"))
  end)

  it("keeps what says so, until it no longer does", function()
    local kept = map("k2", { annotations = { ["helm.sh/resource-policy"] = "keep" } })
    client:apply({ map "k1", kept }, { prune = "keep" })
    local result = client:apply({ map "k1" }, { prune = "keep" })
    assert.same({}, result.pruned)
    assert.same({ "ConfigMap k2" }, names(result.kept))
    client:patch("configmap", "k2", { metadata = { annotations = { ["helm.sh/resource-policy"] = ctz.json.null } } })
    assert.same({ "ConfigMap k2" }, names(client:apply({ map "k1" }, { prune = "keep" }).pruned))
  end)

  it("looks into every namespace and at kinds without one", function()
    local role = {
      apiVersion = "rbac.authorization.k8s.io/v1", kind = "ClusterRole", metadata = { name = space.name .. "-role" },
      rules = ctz.json.array {},
    }
    client:apply({ map("far", { namespace = other.name }), role, map "near" }, { prune = "wide" })
    assert.equal(other.name, client:get("secret", "wide").metadata.annotations[PREFIX .. "additional-namespaces"])
    local result = client:apply({ map "near" }, { prune = "wide" })
    assert.same({ "ClusterRole " .. role.metadata.name, "ConfigMap far" }, names(result.pruned))
    assert.is_false(is_there("configmap", "far", other.name))
    assert.equal("", client:get("secret", "wide").metadata.annotations[PREFIX .. "additional-namespaces"])
  end)

  it("removes nothing when something is refused", function()
    client:apply({ map "r1", map "r2" }, { prune = "refused" })
    local bad = map "r3"
    bad.dat = {}
    local _, err = ctz.try(client.apply, client, { map "r1", bad }, { prune = "refused" })
    assert.is_true(err:is "usage")
    assert.is_true(is_there("configmap", "r2"))
    assert.same({ "ConfigMap r2" }, names(client:apply({ map "r1" }, { prune = "refused" }).pruned))
  end)

  it("goes on when one cannot go, names it, and tries it again the next time #real", function()
    client:apply({ map "f1", map "f2", map "f3", map "f4" }, { prune = "failing" })
    local policy = {
      apiVersion = "admissionregistration.k8s.io/v1", kind = "ValidatingAdmissionPolicy",
      metadata = { name = space.name },
      spec = {
        failurePolicy = "Fail",
        matchConstraints = { resourceRules = { {
          apiGroups = { "" }, apiVersions = { "v1" }, operations = { "DELETE" }, resources = { "configmaps" } } },
          namespaceSelector = { matchLabels = { ["kubernetes.io/metadata.name"] = space.name } } },
        validations = { { expression = "oldObject.metadata.name != 'f2'", message = "f2 is holy" } },
      },
    }
    local binding = {
      apiVersion = "admissionregistration.k8s.io/v1", kind = "ValidatingAdmissionPolicyBinding",
      metadata = { name = space.name }, spec = { policyName = space.name, validationActions = { "Deny" } },
    }
    client:apply { policy, binding }
    ctz.defer(function()
      client:delete("validatingadmissionpolicybinding", space.name, { absent_ok = true })
      client:delete("validatingadmissionpolicy", space.name)
    end)
    eventually(function() -- the policy holds
      assert(not ctz.try(client.delete, client, "configmap", "f2", { dry_run = true }))
    end)
    local _, err = ctz.try(client.apply, client, { map "f1" }, { prune = "failing" })
    assert.is_true(err:is "denied", tostring(err))
    assert.is_truthy(err.message:find("ConfigMap f2 in " .. space.name .. ": ", 1, true), err.message)
    assert.is_truthy(err.message:find("f2 is holy", 1, true), err.message)
    assert.same({ "ConfigMap f3", "ConfigMap f4" }, names(err.result.pruned))
    assert.is_true(is_there("configmap", "f2"))
    assert.is_false(is_there("configmap", "f3"))
    client:delete("validatingadmissionpolicybinding", space.name)
    eventually(function()
      assert.same({ "ConfigMap f2" }, names(client:apply({ map "f1" }, { prune = "failing" }).pruned))
    end)
  end)

  it("refuses what is not its own: another tool's inventory, a plain object, a copied one #real", function()
    kubectl_apply("theirs", { map "t1", map "t2" })
    local _, err = ctz.try(client.apply, client, map "t1", { prune = "theirs" })
    assert.is_true(err:is "conflict")
    assert.equal(("secret theirs in %s cannot be the inventory: it is managed by kubectl"):format(space.name),
      err.message)
    client:apply(ctz.k8s.configmap { name = "plain", data = { a = "b" } })
    _, err = ctz.try(client.apply, client, map "t1", { prune = "configmap/plain" })
    assert.is_truthy(err.message:find("there is one of that name, which is none", 1, true), err.message)
    client:apply(map "p1", { prune = { name = "plain", kind = "configmap", adopt = true } })
    assert.equal("b", client:get("configmap", "plain").data.a)
    client:apply(map("copied", { labels = { [PREFIX .. "id"] = "applyset-x-v1" } }))
    _, err = ctz.try(client.apply, client, map "t1", { prune = "configmap/copied" })
    assert.is_truthy(err.message:find("applyset-x-v1", 1, true), err.message)
    _, err = ctz.try(client.apply, client, map "t1", { prune = "deployment/web" })
    assert.is_true(err:is "usage")
    _, err = ctz.try(client.apply, client, map "theirs2", { prune = "configmap/theirs2" })
    assert.is_truthy(err.message:find("it is the inventory itself", 1, true), err.message)
  end)

  it("takes over kubectl's inventory, and kubectl takes over one of ours #real", function()
    kubectl_apply("shared", { map "s1", map "s2", map "s3" })
    local result = client:apply({ map "s1", map "s2" }, { prune = { name = "shared", adopt = true }, force = true })
    assert.same({ "ConfigMap s3" }, names(result.pruned))
    local refused = kubectl_apply("shared", { map "s1" }, { check = false })
    assert.is_truthy(refused.stderr:find('managed by tooling "ctz"', 1, true), refused.stderr)
    client:patch("secret", "shared", { metadata = { annotations = { [PREFIX .. "tooling"] = "kubectl/v1.37.2" } } })
    local told = kubectl_apply("shared", { map "s1" })
    assert.is_truthy(told.stdout:find("configmap/s2 pruned", 1, true), told.stdout)
    assert.is_true(is_there("configmap", "s1"))
    assert.is_false(is_there("configmap", "s2"))
  end)

  it("makes an inventory that kubectl reads: its id, kinds and namespaces #real", function()
    client:apply({ map "u1", map "u2", map("u3", { namespace = other.name }), ctz.k8s.service { name = "u4",
      ports = { 80 } } }, { prune = "configmap/ours" })
    client:patch("configmap", "ours", { metadata = { annotations = { [PREFIX .. "tooling"] = "kubectl/v1.37.2" } } })
    local told = kubectl_apply("configmaps/ours", { map "u1" }).stdout
    for _, gone in ipairs { "configmap/u2 pruned", "configmap/u3 pruned", "service/u4 pruned" } do
      assert.is_truthy(told:find(gone, 1, true), told)
    end
    assert.is_nil(told:find("u1 pruned", 1, true), told)
    assert.is_false(is_there("configmap", "u3", other.name))
  end)

  it("does not take what another inventory has, unless it is told to", function()
    client:apply({ map "m1" }, { prune = "one" })
    local _, err = ctz.try(client.apply, client, { map "m1", map "m2" }, { prune = "two" })
    assert.is_true(err:is "conflict")
    assert.is_truthy(err.message:find("configmap m1 belongs to the inventory secret/one", 1, true), err.message)
    assert.is_false(is_there("configmap", "m2"))
    client:apply({ map "m1", map "m2" }, { prune = "two", force = true })
    assert.same({}, client:apply({}, { prune = { name = "one", allow_empty = true } }).pruned)
    assert.is_true(is_there("configmap", "m1"))
  end)

  it("removes all only when it is told that all may go", function()
    client:apply({ map "e1" }, { prune = "empty" })
    local _, err = ctz.try(client.apply, client, "# nothing\n", { prune = "empty" })
    assert.is_true(err:is "usage")
    assert.is_true(is_there("configmap", "e1"))
    assert.same({ "ConfigMap e1" },
      names(client:apply("# nothing\n", { prune = { name = "empty", allow_empty = true } }).pruned))
  end)

  it("makes its own namespace when that is applied, too", function()
    local name = cluster.name "inside"
    local namespace = { apiVersion = "v1", kind = "Namespace", metadata = { name = name } }
    local inside = ctz.k8s.connect { namespace = name }
    local told = inside:apply({ namespace, map "i1" }, { prune = "all", dry_run = true })
    assert.same({ "manifests[2]" }, told.unchecked)
    assert.equal(2, inside:apply({ namespace, map "i1" }, { prune = "all" }).created)
    assert.same({ "ConfigMap i1" }, names(inside:apply({ namespace }, { prune = "all" }).pruned))
    client:delete("namespace", name)
  end)

  it("tells what this user may not look at or delete, and does the rest #real", function()
    local role = {
      apiVersion = "rbac.authorization.k8s.io/v1", kind = "ClusterRole", metadata = { name = space.name .. "-limited" },
      rules = ctz.json.array {},
    }
    client:apply({ role, map "l1", map "l2" }, { prune = "limited" })
    local limited = ctz.k8s.connect { kubeconfig = cluster.kubeconfig "certificate", namespace = space.name }
    local _, err = ctz.try(limited.apply, limited, { map "l1" }, { prune = "limited" })
    assert.is_true(err:is "denied", tostring(err))
    assert.is_truthy(err.message:find("the list of ClusterRole.rbac.authorization.k8s.io: ", 1, true), err.message)
    assert.same({ "ConfigMap l2" }, names(err.result.pruned))
    assert.equal("ClusterRole.rbac.authorization.k8s.io,ConfigMap",
      client:get("secret", "limited").metadata.annotations[PREFIX .. "contains-group-kinds"])
    assert.same({ "ClusterRole " .. role.metadata.name }, names(client:apply(map "l1", { prune = "limited" }).pruned))
  end)

  it("removes many", function()
    local list = {}
    for i = 1, 600 do
      list[i] = map("many-" .. i)
    end
    local fast = ctz.k8s.connect { namespace = space.name, rps = 5000 }
    fast:apply(list, { prune = "many" })
    assert.equal(599, #fast:apply({ list[1] }, { prune = "many", dry_run = true }).pruned)
    assert.equal(599, #fast:apply({ list[1] }, { prune = "many" }).pruned)
    assert.is_true(is_there("configmap", "many-1"))
    assert.is_false(is_there("configmap", "many-600"))
  end)

  it("leaves alone what a controller made of a member, and forgets kinds that are gone", function()
    local group = space.name .. ".example.com"
    local definition = {
      apiVersion = "apiextensions.k8s.io/v1", kind = "CustomResourceDefinition", metadata = { name = "cogs." .. group },
      spec = {
        group = group, scope = "Namespaced", names = { plural = "cogs", singular = "cog", kind = "Cog" },
        versions = ctz.json.array { { name = "v1", served = true, storage = true, schema = {
          openAPIV3Schema = { type = "object", ["x-kubernetes-preserve-unknown-fields"] = true } } } },
      },
    }
    local cog = { apiVersion = group .. "/v1", kind = "Cog", metadata = { name = "c" } }
    client:apply({ definition, cog, map "o1", map "o2" }, { prune = "owned" })
    local owner = client:get("configmap", "o1")
    local made = map("made", { labels = { [PREFIX .. "part-of"] = owner.metadata.labels[PREFIX .. "part-of"] },
      ownerReferences = ctz.json.array { { apiVersion = "v1", kind = "ConfigMap", name = "o1",
        uid = owner.metadata.uid, controller = true } } })
    client:create(made)
    client:delete("customresourcedefinition", definition.metadata.name, { wait = true, timeout = 60 })
    assert.same({ "ConfigMap o2" }, names(client:apply({ map "o1" }, { prune = "owned" }).pruned))
    assert.is_true(is_there("configmap", "made"))
    assert.equal("ConfigMap", client:get("secret", "owned").metadata.annotations[PREFIX .. "contains-group-kinds"])
  end)
end)
