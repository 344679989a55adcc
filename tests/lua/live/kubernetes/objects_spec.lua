-- objects_spec.lua: objects of a real cluster: get, list, each, create, replace, patch, scale, delete.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local program = require "tests.lua.support.program"

local function user(name)
  return ctz.k8s.connect { kubeconfig = cluster.kubeconfig(name) }
end

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  assert.equal("table", type(err), tostring(err))
  assert.is_true(err:is "kubernetes", tostring(err))
  return err
end

describe("objects of a cluster", function()
  local client, namespace

  setup(function()
    client = ctz.k8s.connect()
    namespace = ("objects-%d"):format(math.random(1 << 40))
    client:create { apiVersion = "v1", kind = "Namespace", metadata = { name = namespace } }
    client = ctz.k8s.connect { namespace = namespace }
  end)
  teardown(function()
    client:delete("namespace", namespace, { wait = true, timeout = 60 })
  end)

  local function configmap(name, data, labels)
    return { apiVersion = "v1", kind = "ConfigMap", metadata = { name = name, labels = labels }, data = data }
  end

  local function deployment(name)
    return {
      apiVersion = "apps/v1", kind = "Deployment", metadata = { name = name },
      spec = {
        replicas = 0, selector = { matchLabels = { app = name } },
        template = { metadata = { labels = { app = name } }, spec = { containers = {
          { name = "main", image = "ctz-test/busybox:1" } } } },
      },
    }
  end

  it("are made, read under every name of their kind, and deleted", function()
    local made = client:create(configmap("one", { a = "1" }))
    assert.equal(namespace, made.metadata.namespace)
    for _, kind in ipairs { "configmap", "configmaps", "cm", "ConfigMap", "configmaps.v1" } do
      assert.equal(made.metadata.uid, client:get(kind, "one").metadata.uid)
      assert.equal(made.metadata.uid, client:get(kind .. "/one").metadata.uid)
    end
    assert.equal(made.metadata.uid, client:get(made).metadata.uid)
    assert.is_true(client:delete("cm/one"))
    assert.is_false(client:delete("cm/one", { absent_ok = true }))
    local err = failure(client.delete, client, "cm/one")
    assert.equal("not_found", err.kind)
    assert.equal("NotFound", err.reason)
  end)

  it("are known in their group and version", function()
    for _, kind in ipairs { "deploy", "deployments.apps", "deployments.v1.apps", "Deployment", "deployment.apps" } do
      assert.equal("not_found", failure(client.get, client, kind, "none").kind)
    end
    local err = failure(client.get, client, "deploymnet", "web")
    assert.equal('did you mean "deployment"?', err.hint)
    assert.equal("not_found", failure(client.get, client, "deployments.v7.apps", "web").kind)
  end)

  it("are written back with one label more and no other difference", function()
    local pattern = { apiVersion = "v1", kind = "PodTemplate", metadata = { name = "same" },
      template = deployment("same").spec.template } -- nobody else writes those
    client:create(pattern)
    local read = client:get "podtemplate/same"
    local before = ctz.json.encode(read.template)
    read.metadata.labels = { mark = "x" }
    local written = client:replace(read)
    assert.equal(before, ctz.json.encode(written.template))
    assert.equal("x", written.metadata.labels.mark)
    assert.is_truthy(before:find('"securityContext":{}', 1, true)) -- an empty map of the server's own
    local err = failure(client.replace, client, read)
    assert.equal("conflict", err.kind)
  end)

  it("are custom ones too, as soon as they are defined, with exact integers, empty lists and nulls", function()
    local group = ("g%d.example.com"):format(math.random(1 << 40))
    client:api_resources()
    client:create {
      apiVersion = "apiextensions.k8s.io/v1", kind = "CustomResourceDefinition",
      metadata = { name = "gears." .. group },
      spec = {
        group = group, scope = "Namespaced", names = { plural = "gears", singular = "gear", kind = "Gear" },
        versions = { { name = "v1", served = true, storage = true, schema = { openAPIV3Schema = {
          type = "object", ["x-kubernetes-preserve-unknown-fields"] = true } } } },
      },
    }
    ctz.retry(function()
      client:list("gears." .. group)
    end, { times = 100, backoff = { 0.1, 0.3 }, on = { "not_found" } })
    local object = {
      apiVersion = group .. "/v1", kind = "Gear", metadata = { name = "g" },
      spec = { big = 9223372036854775807, odd = 9007199254740993, list = ctz.json.array {}, map = ctz.json.object {},
        float = 0.5 },
    }
    client:create(object)
    local read = client:get("gear." .. group, "g")
    assert.equal(ctz.json.encode(object.spec), ctz.json.encode(read.spec))
    read.metadata.labels = { a = "b" }
    assert.equal(ctz.json.encode(object.spec), ctz.json.encode(client:replace(read).spec))
    local err = failure(client.patch, client, "gear." .. group, "g", { spec = { odd = 1 } })
    assert.equal("unsupported", err.kind)
    assert.matches("merge", err.hint)
    assert.is_nil(client:patch("gear." .. group, "g", { spec = { odd = ctz.json.null } }, { type = "merge" }).spec.odd)
    client:delete("crd", "gears." .. group)
  end)

  it("are listed by selectors, in pages, all of them", function()
    ctz.map({ 1, 2, 3, 4, 5, 6, 7 }, function(i)
      client:create(configmap("page-" .. i, { i = tostring(i) }, { page = "yes", odd = tostring(i % 2 == 1) }))
    end)
    local list = client:list("cm", { labels = { page = "yes" }, page = 3 })
    assert.equal(7, #list.items)
    assert.equal("ConfigMap", list.items[5].kind)
    assert.equal("v1", list.items[5].apiVersion)
    assert.matches("^%d+$", list.resource_version)
    assert.equal(4, #client:list("cm", { labels = "page=yes,odd in (true)" }).items)
    assert.equal(1, #client:list("cm", { fields = { ["metadata.name"] = "page-2" } }).items)
    assert.equal(2, #client:list("cm", { labels = { page = "yes" }, limit = 2 }).items)
    local some = client:list("cm", { labels = { page = "yes" }, limit = 5, page = 3 })
    assert.equal(5, #some.items)
    assert.is_string(some.metadata.continue)
    local names = {}
    for object in client:each("cm", { labels = { page = "yes" }, page = 2 }) do
      names[#names + 1] = object.metadata.name
    end
    assert.same({ "page-1", "page-2", "page-3", "page-4", "page-5", "page-6", "page-7" }, names)
    assert.is_true(#client:list("cm", { all_namespaces = true }).items > 7)
    assert.equal(7, client:delete_all("cm", { labels = { page = "yes" } }))
    assert.equal(0, #client:list("cm", { labels = { page = "yes" } }).items)
    assert.equal("usage", failure(client.delete_all, client, "cm").kind)
  end)

  -- Each way in a process of its own. Returns objects, bytes of their data, and in KB the most that Lua and that the
  -- whole process had.
  local function peaks(way, labels)
    local recipe = program.recipe(([[
      local ctz = require "ctz"
      local k = ctz.k8s.connect { kubeconfig = %q, namespace = %q }
      k:get("cm", "many-1")
      local count, bytes, peak, held = 0, 0, 0, {}
      local function look(object)
        count, bytes = count + 1, bytes + #object.data.text
        held[1] = object
        peak = math.max(peak, collectgarbage "count")
      end
      local opts = { labels = %q }
      if %q == "each" then
        for object in k:each("cm", opts) do look(object) end
      else
        for _, object in ipairs(k:list("cm", opts).items) do look(object) end
      end
      print(count, bytes, math.floor(peak), io.open("/proc/self/status"):read("a"):match "VmHWM:%%s*(%%d+)")
    ]]):format(cluster.kubeconfig "admin", namespace, labels, way))
    assert.equal("", recipe.err)
    local numbers = {}
    for number in recipe.out:gmatch "%d+" do
      numbers[#numbers + 1] = tonumber(number)
    end
    return table.unpack(numbers)
  end

  it("are gone through by each in the memory of one page, however many there are #real", function()
    local text = ("x"):rep(4000)
    local numbers = {}
    for i = 1, 3000 do
      numbers[i] = i
    end
    local fast = ctz.k8s.connect { kubeconfig = cluster.kubeconfig "admin", namespace = namespace, rps = 0 }
    ctz.map(numbers, function(i)
      fast:create(configmap("many-" .. i, { text = text }, { many = "yes", first = i <= 600 and "yes" or "no" }))
    end, { jobs = 16 })
    local few, _, few_lua, few_whole = peaks("each", "first=yes")
    local count, bytes, lua, whole = peaks("each", "many=yes")
    local listed, listed_bytes, listed_lua, listed_whole = peaks("list", "many=yes")
    assert.same({ 600, 3000, 12000000 }, { few, count, bytes })
    assert.same({ 3000, 12000000 }, { listed, listed_bytes })
    local told = ("KB of Lua and of the process: 600 %d %d, 3000 %d %d, list %d %d"):format(
      few_lua, few_whole, lua, whole, listed_lua, listed_whole)
    assert.is_true(lua < few_lua * 2 and lua < 9000, told) -- a page is 2.3 MB of text
    assert.is_true(listed_lua > 12000, told)
    if not program.read("/proc/self/maps"):find("libasan", 1, true) then
      assert.is_true(whole < few_whole + 9000 and whole < listed_whole - 6000, told)
    end
    assert.equal(3000, fast:delete_all("cm", { labels = { many = "yes" } }))
  end)

  it("are patched in four ways", function()
    client:create(configmap("patched", { a = "1", b = "2" }))
    local path = "cm/patched"
    assert.is_nil(client:patch(path, { data = { a = ctz.json.null } }, { type = "merge" }).data.a)
    assert.equal("4", client:patch(path, { { op = "add", path = "/data/d", value = "4" } }).data.d)
    assert.equal("3", client:patch("cm", "patched", { data = { c = "3" } }).data.c)
    local apply = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "patched" }, data = { c = "9" } }
    local err = failure(client.patch, client, path, apply, { type = "apply", field_manager = "other" })
    assert.equal("conflict", err.kind)
    assert.equal(".data.c", err.causes[1].field)
    assert.equal("9", client:patch(path, apply, { type = "apply", field_manager = "other", force = true }).data.c)
    assert.equal("usage", failure(client.patch, client, path, {}, { type = "x" }).kind)
  end)

  it("are scaled, and their status is written apart", function()
    client:create(deployment "scaled")
    assert.equal(2, client:scale("deploy", "scaled", 2, { dry_run = true }).spec.replicas)
    assert.equal(0, client:get("deploy/scaled").spec.replicas)
    assert.equal(1, client:scale("deploy/scaled", 1).spec.replicas)
    assert.equal(1, client:get("deploy/scaled", { subresource = "scale" }).spec.replicas)
    local err = failure(client.scale, client, "namespace/" .. namespace, 1)
    assert.equal("unsupported", err.kind)
    client:patch("deploy/scaled", { status = { conditions = { { type = "Mine", status = "True" } } } },
      { subresource = "status" })
    assert.is_truthy(ctz.json.encode(client:get("deploy/scaled").status):find("Mine", 1, true))
    assert.equal("usage", failure(client.scale, client, "deploy/scaled", -1).kind)
    assert.is_true(client:delete("deploy/scaled", { propagation = "foreground", wait = true, timeout = 60 }))
    assert.equal(0, #client:list("replicasets", { labels = { app = "scaled" } }).items)
  end)

  it("are refused with every field that is wrong", function()
    local wrong = deployment "wrong"
    wrong.spec.replicas, wrong.spec.selector = -1, { matchLabels = { app = "other" } }
    local err = failure(client.create, client, wrong)
    assert.equal("usage", err.kind)
    assert.equal(422, err.status)
    local fields = {}
    for i, cause in ipairs(err.causes) do
      fields[i] = cause.field
    end
    assert.same({ "spec.replicas", "spec.template.metadata.labels" }, fields)
    local misspelt = deployment "misspelt"
    misspelt.spec.replicsa = 1
    assert.matches('unknown field "spec.replicsa"', failure(client.create, client, misspelt).message)
    client:create(configmap "twice")
    assert.equal("AlreadyExists", failure(client.create, client, configmap "twice").reason)
  end)

  it("that are kept by a finalizer say so when the time is over", function()
    local kept = configmap "kept"
    kept.metadata.finalizers = { "example.com/keeper" }
    client:create(kept)
    local err = failure(client.delete, client, "cm/kept", { wait = true, timeout = 0.3 })
    assert.equal("timeout", err.kind)
    assert.matches("example.com/keeper", err.message)
    client:patch("cm/kept", { metadata = { finalizers = ctz.json.null } }, { type = "merge" })
    assert.is_false(client:delete("cm/kept", { absent_ok = true }))
  end)

  it("are shown to whom RBAC allows them #real", function()
    local reader = user "reader"
    assert.is_table(reader:list("cm", { namespace = namespace }))
    local err = failure(reader.list, reader, "secrets", { namespace = namespace })
    assert.equal("denied", err.kind)
    assert.equal(403, err.status)
    assert.equal("denied", failure(reader.create, reader, configmap "no", { namespace = namespace }).kind)
    local wrong = user "wrong"
    assert.equal("auth", failure(wrong.list, wrong, "cm").kind)
    assert.is_table(user("certificate"):list("cm", { namespace = namespace }))
    local someone = ctz.k8s.connect { as = "someone", as_groups = { "nobody" }, namespace = namespace }
    assert.matches('User "someone"', failure(someone.list, someone, "cm").message)
  end)

  it("are refused in a namespace that ends", function()
    local name = namespace .. "-end"
    client:create { apiVersion = "v1", kind = "Namespace", metadata = { name = name } }
    local kept = configmap "kept"
    kept.metadata.finalizers = { "example.com/keeper" }
    client:create(kept, { namespace = name })
    client:delete("ns", name)
    local err = failure(client.create, client, configmap "late", { namespace = name })
    assert.equal("conflict", err.kind)
    assert.matches("being deleted", err.hint)
    client:patch("cm/kept", { metadata = { finalizers = ctz.json.null } }, { type = "merge", namespace = name })
    client:delete("ns", name, { absent_ok = true })
  end)

  it("are only asked for under --dry-run #real", function()
    local folder <close> = ctz.fs.tempdir()
    ctz.fs.write(folder.path .. "/r.lua", ([[
      local ctz = require "ctz"
      local k = ctz.k8s.connect{namespace = %q}
      k:create{apiVersion = "v1", kind = "ConfigMap", metadata = {name = "dry"}, data = {a = "b"}}
      assert(not ctz.try(k.get, k, "cm/dry"))
      local _, err = ctz.try(k.create, k, {apiVersion = "v1", kind = "ConfigMap", metadata = {name = "d"}, dat = {}})
      assert(err.status == 400)
    ]]):format(namespace))
    local result = ctz.process.run { program.path, "run", "--dry-run", folder.path .. "/r.lua" }
    assert.matches("would create configmap dry", result.stdout .. result.stderr)
    assert.equal("not_found", failure(client.get, client, "cm/dry").kind)
  end)
end)
