-- apply_faults_spec.lua: what a real cluster refuses of an apply, and objects that others made before.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local program = require "tests.lua.support.program"

local LAST_APPLIED <const> = "kubectl.kubernetes.io/last-applied-configuration"

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

  local function kubectl_apply(object, ...)
    return cluster.kubectl({ "-n", space.name, "apply", "-f", "-", ... }, { stdin = tostring(object) })
  end

  local function managers(object)
    local found = {}
    for _, entry in ipairs(object.metadata.managedFields) do
      found[#found + 1] = entry.manager .. " " .. entry.operation
    end
    table.sort(found)
    return found
  end

  local function failure(...)
    local value, err = ctz.try(client.apply, client, ...)
    assert.is_nil(value)
    return err
  end

  -- The error of the first that is refused: the server knows a new policy after a while.
  local function refusal(object)
    for i = 1, 100 do
      local _, err = ctz.try(client.apply, client, object(i))
      if err then
        return err
      end
      ctz.sleep(0.1)
    end
  end

  -- --- what kubectl applied ------------------------------------------------------------------------

  it("removes what kubectl applied and the manifest no longer has, also where it changes nothing else", function()
    kubectl_apply(map("m1", { A = "1", STALE = "x" }))
    local object = client:apply(map("m1", { A = "1" }))[1]
    assert.same({ A = "1" }, object.data)
    assert.same({ "ctz Apply" }, managers(object))
    assert.is_nil((object.metadata.annotations or {})[LAST_APPLIED])
  end)

  it("takes over what was applied under another manager's name", function()
    kubectl_apply(map("m2", { A = "1", STALE = "x" }), "--field-manager=ci")
    local object = client:apply(map("m2", { A = "2" }))[1]
    assert.same({ A = "2" }, object.data)
    assert.same({ "ctz Apply" }, managers(object))
  end)

  it("leaves what others own, and a conflict with them stands", function()
    kubectl_apply(map("m3", { A = "1", B = "1" }))
    cluster.kubectl { "-n", space.name, "patch", "configmap", "m3", "-p", '{"data":{"C":"9"}}',
      "--field-manager=other" }
    local object = client:apply(map("m3", { A = "2" }))[1]
    assert.same({ A = "2", C = "9" }, object.data)
    local err = failure(map("m3", { A = "2", C = "1" }))
    assert.equal("manifest: configmap m3: fields belong to other (.data.C)", err.message)
  end)

  it("as kubectl keeps the annotation, so that kubectl can go back to the client's side", function()
    kubectl_apply(map("m4", { A = "1", STALE = "x" }))
    local ours = client:apply(map("m4", { A = "2" }), { field_manager = "kubectl" })[1]
    kubectl_apply(map("m5", { A = "1", STALE = "x" }))
    kubectl_apply(map("m5", { A = "2" }), "--server-side", "--force-conflicts")
    local theirs = cluster.get("-n", space.name, "configmap", "m5", "--show-managed-fields")
    assert.same(theirs.data, ours.data)
    assert.same(managers(theirs), managers(ours))
    local function text(object)
      return object.metadata.annotations[LAST_APPLIED]:gsub("m[45]", "m"):gsub(',"namespace":"[^"]*"', "")
    end
    assert.equal(text(theirs), text(ours))
    kubectl_apply(map("m4", { A = "3" }))
    assert.same({ A = "3" }, client:get("configmap", "m4").data)
  end)

  it("checks a takeover with dry_run, and changes nothing", function()
    kubectl_apply(map("m6", { A = "1" }))
    assert.equal("2", client:apply(map("m6", { A = "2" }), { dry_run = true })[1].data.A)
    local object = cluster.get("-n", space.name, "configmap", "m6", "--show-managed-fields")
    assert.same({ "kubectl-client-side-apply Update" }, managers(object))
    assert.equal("1", object.data.A)
  end)

  -- --- written back ----------------------------------------------------------------------------------

  it("an object that was read, changed in one label and written back differs in nothing else", function()
    local definition = {
      apiVersion = "apiextensions.k8s.io/v1", kind = "CustomResourceDefinition",
      metadata = { name = "gauges." .. space.name .. ".example.com" },
      spec = {
        group = space.name .. ".example.com", scope = "Namespaced",
        names = { plural = "gauges", singular = "gauge", kind = "Gauge" },
        versions = ctz.json.array { { name = "v1", served = true, storage = true, schema = {
          openAPIV3Schema = { type = "object", ["x-kubernetes-preserve-unknown-fields"] = true } } } },
      },
    }
    local file = os.tmpname()
    ctz.fs.write(file, ([==[
apiVersion: %s.example.com/v1
kind: Gauge
metadata:
  name: g
spec:
  big: 9223372036854775807
  small: -9223372036854775808
  over: 9007199254740993
  ratio: 0.1
  whole: 3.0
  empty: {}
  none: []
  text: "0x10"
  nested: [[], [{}], [{a: []}]]
  unicode: "é\u2028\U0001F600"
]==]):format(space.name))
    client:apply { definition, ctz.fs.read(file) }
    os.remove(file)
    local resources = {
      { "gauges." .. space.name .. ".example.com", "g" }, { "configmap", "kube-root-ca.crt" },
      { "serviceaccount", "default" },
    }
    client:apply(ctz.k8s.deployment { name = "rt", image = cluster.image, replicas = 0 }, { wait = 30 })
    resources[4] = { "deployment", "rt" }
    for _, one in ipairs(resources) do
      local before = client:get(one[1], one[2])
      local shown = cluster.get("-n", space.name, one[1], one[2])
      before.metadata.labels = before.metadata.labels or {}
      before.metadata.labels.touched = "yes"
      client:replace(before)
      local after = cluster.get("-n", space.name, one[1], one[2])
      assert.equal("yes", after.metadata.labels.touched)
      after.metadata.labels.touched = nil
      if next(after.metadata.labels) == nil and not shown.metadata.labels then
        after.metadata.labels = nil
      end
      after.metadata.resourceVersion = shown.metadata.resourceVersion
      assert.same(shown, after)
    end
    local spec = client:get(resources[1][1], "g").spec
    assert.equal(9223372036854775807, spec.big)
    assert.equal(9007199254740993, spec.over)
    assert.equal("integer", math.type(spec.small))
    client:delete("customresourcedefinition", definition.metadata.name)
  end)

  -- --- refusals --------------------------------------------------------------------------------------

  it("tells all refusals of a kind, and applies the others of it", function()
    local bad1, bad2 = map("x1", { A = "1" }), map("x2", { A = "1" })
    bad1.metadata.name, bad2.dat = "UPPER", { A = "1" }
    local err = failure { bad1, bad2, map("x3", { A = "1" }), ctz.k8s.service { name = "behind", ports = { 80 } } }
    assert.is_true(err:is "usage")
    assert.is_truthy(err.message:find("manifests[1]: ", 1, true), err.message)
    assert.is_truthy(err.message:find("manifests[2]: ", 1, true), err.message)
    assert.is_truthy(err.message:find(".dat: field not declared in schema", 1, true), err.message)
    assert.equal(1, #err.others)
    assert.equal("x3", err.result[1].metadata.name)
    assert.is_table(client:get("configmap", "x3"))
    assert.is_nil((ctz.try(client.get, client, "service", "behind")))
  end)

  it("says of a field that cannot be changed what to do", function()
    client:apply(ctz.k8s.job { name = "fixed", image = cluster.image, command = { "true" } })
    local err = failure(ctz.k8s.job { name = "fixed", image = cluster.image, command = { "false" } })
    assert.is_true(err:is "usage")
    assert.is_truthy(err.message:find("spec.template: ", 1, true), err.message)
    assert.is_truthy(err.hint:find("make it anew", 1, true), err.hint)
  end)

  it("names the nearest kind before anything is changed", function()
    local err = failure { map("early"), { apiVersion = "apps/v1", kind = "Deploymnet", metadata = { name = "w" } } }
    assert.is_true(err:is "not_found")
    assert.is_truthy(err.message:find("manifests[2]: ", 1, true), err.message)
    assert.is_truthy(err.hint:find("deployment", 1, true), err.hint)
    assert.is_nil((ctz.try(client.get, client, "configmap", "early")))
  end)

  it("says which webhook denies it, in its own words", function()
    local folder = program.folder()
    local server = ctz.process.spawn({ "python3", "tests/lua/support/webhook.py", folder, "only on Fridays" })
    ctz.defer(function()
      server:close()
      program.remove(folder)
    end)
    while not ctz.fs.exists(folder .. "/port") do
      ctz.sleep(0.02)
    end
    local hook = {
      apiVersion = "admissionregistration.k8s.io/v1", kind = "ValidatingWebhookConfiguration",
      metadata = { name = space.name },
      webhooks = ctz.json.array { {
        name = "gate.example.com", admissionReviewVersions = { "v1" }, sideEffects = "None", timeoutSeconds = 2,
        clientConfig = { url = ("https://127.0.0.1:%s/deny"):format(program.read(folder .. "/port")),
          caBundle = ctz.base64.encode(program.read(folder .. "/ca.crt")) },
        namespaceSelector = { matchLabels = { ["kubernetes.io/metadata.name"] = space.name } },
        rules = { { apiGroups = { "" }, apiVersions = { "v1" }, operations = { "CREATE" },
          resources = { "configmaps" } } },
      } },
    }
    client:apply(hook)
    ctz.defer(function()
      client:delete("validatingwebhookconfiguration", space.name)
    end)
    local err = refusal(function(i)
      return map("hooked" .. i)
    end)
    assert.is_true(err:is "denied")
    assert.is_truthy(err.message:find("manifest: admission webhook \"gate.example.com\" denied the request: only on"
      .. " Fridays", 1, true), err.message)
  end)

  it("says which policy denies it, in its own words", function()
    local policy = {
      apiVersion = "admissionregistration.k8s.io/v1", kind = "ValidatingAdmissionPolicy",
      metadata = { name = space.name },
      spec = {
        matchConstraints = { resourceRules = { { apiGroups = { "" }, apiVersions = { "v1" },
          operations = { "CREATE" }, resources = { "secrets" } } },
          namespaceSelector = { matchLabels = { ["kubernetes.io/metadata.name"] = space.name } } },
        validations = { { expression = "has(object.metadata.labels)", message = "no labels, no secret" } },
      },
    }
    local binding = {
      apiVersion = "admissionregistration.k8s.io/v1", kind = "ValidatingAdmissionPolicyBinding",
      metadata = { name = space.name }, spec = { policyName = space.name, validationActions = { "Deny" } },
    }
    client:apply { policy, binding }
    ctz.defer(function()
      client:delete("validatingadmissionpolicybinding", space.name)
      client:delete("validatingadmissionpolicy", space.name)
    end)
    local err = refusal(function(i)
      return ctz.k8s.secret { name = "s" .. i, data = { a = "b" } }
    end)
    assert.is_true(err:is "denied")
    assert.is_truthy(err.message:find("no labels, no secret", 1, true), err.message)
  end)

  it("a quota that is used up is a denial with what is used", function()
    client:apply { apiVersion = "v1", kind = "ResourceQuota", metadata = { name = "few" },
      spec = { hard = { ["count/services"] = "1" } } }
    client:wait("resourcequota/few", { condition = "jsonpath={.status.hard}", timeout = 30 })
    client:apply(ctz.k8s.service { name = "q1", ports = { 80 } })
    local err = failure(ctz.k8s.service { name = "q2", ports = { 80 } })
    client:delete("resourcequota", "few")
    assert.is_true(err:is "denied")
    assert.is_truthy(err.message:find("exceeded quota: few", 1, true), err.message)
    assert.is_truthy(err.hint:find("resourcequotas", 1, true))
  end)

  it("a namespace that terminates takes nothing, and the message says so", function()
    local dying = cluster.name "dying"
    client:apply { { apiVersion = "v1", kind = "Namespace", metadata = { name = dying } },
      { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "held", namespace = dying,
        finalizers = { "example.com/held" } } } }
    client:delete("namespace", dying)
    local inside = map("late")
    inside.metadata.namespace = dying
    local err = failure(inside)
    cluster.kubectl { "-n", dying, "patch", "configmap", "held", "--type=json", "-p",
      '[{"op":"remove","path":"/metadata/finalizers"}]' }
    assert.is_true(err:is "conflict")
    assert.is_truthy(err.message:find("it is being terminated", 1, true), err.message)
    assert.is_truthy(err.hint:find("being deleted", 1, true), err.hint)
  end)

  it("a dry run of the whole program changes nothing, and plans everything", function()
    client:apply({ map("kept1"), map("kept2") }, { prune = "drier" })
    local file = os.tmpname()
    ctz.fs.write(file, ([[
      local ctz = require "ctz"
      local k = ctz.k8s.connect { namespace = "%s" }
      k:apply({ ctz.k8s.configmap { name = "kept1" }, ctz.k8s.configmap { name = "new" } }, { prune = "drier" })
      k:delete("configmap/kept1")
      k:delete_all("configmaps", { all = true })
    ]]):format(space.name))
    local result = program.run { "run", "--dry-run", file }
    os.remove(file)
    assert.equal(0, result.code, result.err)
    local told = result.out .. result.err
    assert.is_truthy(told:find("would apply configmap new", 1, true), told)
    assert.is_truthy(told:find("would delete ConfigMap kept2 in " .. space.name .. ": it is no longer applied", 1,
      true), told)
    assert.is_table(client:get("configmap", "kept1"))
    assert.is_table(client:get("configmap", "kept2"))
    assert.is_nil((ctz.try(client.get, client, "configmap", "new")))
  end)
end)
