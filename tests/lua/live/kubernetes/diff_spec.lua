-- diff_spec.lua: what an apply would change, beside kubectl diff.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local program = require "tests.lua.support.program"

describe("client:diff #live", function()
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

  local function secret(data)
    return { apiVersion = "v1", kind = "Secret", metadata = { name = "k2" }, data = data }
  end

  -- What kubectl says of the same objects and the same manager; its exit code.
  local function kubectl_diff(...)
    local text = {}
    for i, object in ipairs { ... } do
      text[i] = ctz.yaml.encode(object, { schema = "k8s" })
    end
    local result = cluster.kubectl({ "-n", space.name, "diff", "--server-side", "--force-conflicts",
      "--field-manager=ctz", "-f", "-" }, { stdin = table.concat(text, "---\n"), check = false })
    return result.stdout, result.exit_code
  end

  -- Without what differs from run to run (times, folders, uids), in the quotes that need not be double ones, and
  -- where a hunk lies: kubectl has a line with resourceVersion above it.
  local function plain(text)
    return (text:gsub("/tmp/", ""):gsub("(LIVE)%-%d+", "%1"):gsub("(MERGED)%-%d+", "%1")
      :gsub("(\n%-%-%- %S+)[^\n]*", "%1"):gsub("(\n%+%+%+ %S+)[^\n]*", "%1")
      :gsub("%x+%-%x+%-%x+%-%x+%-%x+", "UID"):gsub("%d+%-%d+%-%d+T[%d:]+Z", "TIME")
      :gsub("'([^'\n]*)'\n", '"%1"\n'):gsub("@@ [^\n]* @@", "@@"):gsub("\n[+ ] resourceVersion: [^\n]*", ""))
  end

  it("is empty when nothing differs, and 0; else a diff, and 1", function()
    local text, code, changes = client:diff(map("a", { A = 1 }))
    assert.equal(1, code)
    assert.equal("created", changes[1].change)
    assert.is_truthy(text:find("\n+kind: ConfigMap\n", 1, true), text)
    client:apply(map("a", { A = 1 }))
    text, code, changes = client:diff(map("a", { A = 1 }))
    assert.same({ "", 0, { { kind = "ConfigMap", name = "a", namespace = space.name, change = "none", text = "" } } },
      { text, code, changes })
    text, code = client:diff(map("a", { A = 2 }))
    assert.equal(1, code)
    assert.is_truthy(text:find('\n-  A: "1"\n+  A: "2"\n', 1, true), text)
    assert.equal("1", client:get("configmap", "a").data.A)
  end)

  it("is what kubectl diff prints #real", function()
    local before = {
      map("k1", { A = "1", B = "two\nlines\n", C = "a:b", D = "yes", E = "no newline\nat the end", F = "" }),
      secret { same = "YWJj", changed = "b2xk", gone = "eA==" },
      ctz.k8s.service { name = "k3", ports = { 80, 443 } },
    }
    client:apply(before)
    local after = {
      map("k1", { A = "2", B = "two\nother lines\n", C = "a:b", D = "no", E = "no newline\nat all", G = "0x1f" }),
      secret { same = "YWJj", changed = "bmV3", added = "eQ==" },
      ctz.k8s.service { name = "k3", ports = { 80, 8443 } },
      map("k4", { made = "new" }),
    }
    for _, object in ipairs(after) do
      local theirs, their_code = kubectl_diff(object)
      local text, code = client:diff(object)
      assert.equal(plain(theirs), plain(text))
      assert.equal(their_code, code)
      assert.is_nil(text:find("bmV3", 1, true)) -- "new" of the Secret
    end
    for _, object in ipairs(before) do
      assert.same({ kubectl_diff(object) }, { (client:diff(object)), 0 })
    end
  end)

  it("of a workload, differs from kubectl's in the generation alone #real", function()
    local web = ctz.k8s.deployment { name = "w", image = cluster.image, replicas = 0, environment = { A = "1" } }
    client:apply(web, { wait = 60 }) -- its controller writes no more
    web = ctz.k8s.deployment { name = "w", image = cluster.other_image, replicas = 0,
      environment = { A = "1", B = "2" } }
    local function changes(text)
      local list = {}
      for line in plain(text):gmatch "[^\n]+" do
        if line:find "^[-+]" and not line:find("generation:", 1, true) then
          list[#list + 1] = line
        end
      end
      return list
    end
    local ours = client:diff(web)
    assert.same(changes((kubectl_diff(web))), changes(ours))
    assert.is_nil(ours:find("generation", 1, true))
    assert.is_nil(ours:find("managedFields", 1, true))
  end)

  it("hides what kubectl keeps of a Secret in its annotation #real", function()
    local object = { apiVersion = "v1", kind = "Secret", metadata = { name = "noted" }, data = { a = "aHVudGVyMjI=" } }
    cluster.kubectl({ "-n", space.name, "apply", "-f", "-" }, { stdin = ctz.yaml.encode(object, { schema = "k8s" }) })
    object.data.a = "b3RoZXIyMg=="
    local text = client:diff(object)
    assert.is_truthy(text:find("*** (before)", 1, true), text)
    assert.is_nil(text:find("aHVudGVyMjI=", 1, true), text)
    assert.is_nil(text:find("b3RoZXIyMg==", 1, true), text)
  end)

  it("shows what prune would remove, and what a new namespace would hold", function()
    client:apply({ map("p1", { A = "1" }), map("p2", { B = "1" }) }, { prune = "set" })
    local text, code, changes = client:diff(map("p1", { A = "1" }), { prune = "set" })
    assert.equal(1, code)
    assert.is_truthy(text:find("\n-  name: p2\n", 1, true), text)
    assert.is_nil(text:find("^[-+ ]  name: p1\n") or text:find("\n[-+ ]  name: p1\n"), text)
    assert.is_nil(text:find(".p1\n", 1, true), text) -- no file of it; the name alone may be in a hash
    assert.equal("removed", changes[2].change)
    assert.is_table(client:get("configmap", "p2"))
    local name = cluster.name "later"
    local inside = map("in", { A = "1" })
    inside.metadata.namespace = name
    text = client:diff { { apiVersion = "v1", kind = "Namespace", metadata = { name = name } }, inside }
    assert.is_truthy(text:find("+++ MERGED/v1.ConfigMap." .. name .. ".in\n", 1, true), text)
    assert.is_truthy(text:find("+++ MERGED/v1.Namespace.." .. name .. "\n", 1, true), text)
  end)

  it("has the place of what is refused", function()
    local bad = map "bad"
    bad.dat = {}
    local _, err = ctz.try(client.diff, client, { map "good", bad })
    assert.is_true(err:is "usage")
    assert.is_truthy(err.message:find("manifests[2]: ", 1, true), err.message)
  end)

  it("prints it, plain where there is no terminal, and gives a recipe its exit code #real", function()
    local file = os.tmpname()
    ctz.fs.write(file, ([[
      local ctz = require "ctz"
      local k = ctz.k8s.connect { namespace = "%s" }
      local _, code = k:diff(ctz.k8s.configmap { name = "printed", data = { A = "1" } }, { print = true })
      os.exit(code)
    ]]):format(space.name))
    local result = program.run { "run", file }
    assert.equal(1, result.code, result.err)
    assert.is_truthy(result.out:find('\n+  A: "1"\n', 1, true), result.out)
    assert.is_nil(result.out:find "\27")
    result = program.run({ "run", "--color", "always", file })
    assert.is_truthy(result.out:find("\27[32m+kind: ConfigMap\27[0m\n", 1, true), result.out)
    client:apply(map("printed", { A = "1" }))
    result = program.run { "run", file }
    assert.same({ 0, "" }, { result.code, result.out }, result.err)
    os.remove(file)
  end)
end)
