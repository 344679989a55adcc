-- kubernetes_manifests_spec.lua: manifests from tables, texts, files and folders; their order.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local manifests = require "ctz.kubernetes.manifests"

local function config_map(name)
  return { apiVersion = "v1", kind = "ConfigMap", metadata = { name = name } }
end

local function refused(input, message)
  local _, err = ctz.try(manifests.read, input, "client:apply")
  assert.is_truthy(err, "it was taken")
  assert.is_truthy(err.message:find(message, 1, true), err.message)
  assert.equal("client:apply", err.op)
end

local TEXT <const> = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"

describe("manifests.read", function()
  it("takes an object, a list of them and lists in lists", function()
    assert.equal(1, #manifests.read(config_map "a"))
    local list = manifests.read { config_map "a", { config_map "b", TEXT:format "c" } }
    assert.equal("c", list[3].object.metadata.name)
    assert.equal("manifests[1]", list[1].place)
    assert.equal("manifests[2][2]:1", list[3].place)
    assert.equal(0, #manifests.read {})
  end)

  it("takes YAML of several documents, without the empty ones", function()
    local list = manifests.read("# head\n---\n" .. TEXT:format "a" .. "---\n# nothing\n---\n\n" .. TEXT:format "b"
      .. "--- # end\n...\n")
    assert.equal(2, #list)
    assert.equal("manifest:3", list[1].place)
    assert.equal("manifest:10", list[2].place)
    assert.equal(0, #manifests.read "")
    assert.equal(0, #manifests.read "---\n---\n")
  end)

  it("reads YAML as kubectl does", function()
    local object = manifests.read(TEXT:format "a" .. "data: {on: yes, mode: 0644, big: 9007199254740993}\n")[1].object
    assert.is_true(object.data["true"])
    assert.equal(420, object.data.mode)
    assert.equal(9007199254740993, object.data.big)
    object = manifests.read(TEXT:format "a" .. "data:\n  text: |\n    ---\n    x\n")[1].object
    assert.equal("---\nx\n", object.data.text)
    assert.equal("a", manifests.read("\239\187\191" .. TEXT:format "a")[1].object.metadata.name)
    assert.equal("a", manifests.read((TEXT:format "a"):gsub("\n", "\r\n") .. "")[1].object.metadata.name)
  end)

  it("flattens lists of lists, and gives the items of a typed list their kind", function()
    local list = manifests.read { apiVersion = "v1", kind = "List", items = {
      { apiVersion = "v1", kind = "List", items = { config_map "a" } },
      { apiVersion = "v1", kind = "SecretList", items = { { metadata = { name = "b" } } } },
    } }
    assert.equal("a", list[1].object.metadata.name)
    assert.equal("manifest: items[1]: items[1]", list[1].place)
    assert.equal("Secret", list[2].object.kind)
    assert.equal("v1", list[2].object.apiVersion)
  end)

  it("reads JSON with tabs", function()
    local text = '{\n\t"apiVersion": "v1",\n\t"kind": "ConfigMap",\n\t"metadata": {"name": "j"}\n}\n'
    assert.equal("j", manifests.read(text)[1].object.metadata.name)
  end)

  it("reads files, and the files of a folder in order", function()
    local folder = os.tmpname()
    os.remove(folder)
    ctz.fs.mkdir(folder)
    ctz.fs.write(folder .. "/2.yml", TEXT:format "two")
    ctz.fs.write(folder .. "/1.yaml", "\n" .. TEXT:format "one")
    ctz.fs.write(folder .. "/3.json", '{"apiVersion":"v1","kind":"Secret","metadata":{"name":"three"}}')
    ctz.fs.write(folder .. "/README.md", "no manifest: [")
    ctz.fs.mkdir(folder .. "/more.yaml")
    local list = manifests.read(folder)
    assert.equal(3, #list)
    assert.equal(folder .. "/1.yaml:2", list[1].place)
    assert.equal("two", list[2].object.metadata.name)
    assert.equal("three", list[3].object.metadata.name)
    assert.equal("two", manifests.read(folder .. "/2.yml")[1].object.metadata.name)
    refused(folder .. "/more.yaml", "no *.yaml, *.yml or *.json in this folder")
    refused(folder .. "/4.yaml", "4.yaml")
    ctz.fs.remove(folder, { recursive = true })
  end)

  it("names the line of keys that stand twice, of bad YAML and of what is no object", function()
    refused(TEXT:format "a" .. "---\n" .. TEXT:format "b" .. "kind: Secret\n", "manifest:8")
    refused(TEXT:format "a" .. "---\na: [\n", "manifest:")
    refused(TEXT:format "a" .. "---\n- 1\n", "manifest:5: this is no Kubernetes object: expected a mapping")
    refused("services:\n  web: {image: nginx}\n", "manifest:1: this is no Kubernetes object: it has no apiVersion")
    refused("apiVersion: v1\nmetadata: {name: a}\n", "manifest:1: this is no Kubernetes object: it has no kind")
    refused("apiVersion: v1\nkind: Pod\n", "manifest:1: Pod has no metadata")
    refused("apiVersion: v1\nkind: Pod\nmetadata: {}\n", "manifest:1: Pod has no metadata.name")
    refused("apiVersion: v1\nkind: Pod\nmetadata: {name: 5}\n", "manifest:1: Pod has no metadata.name")
    refused("just a text\n", "this is no Kubernetes object")
    refused({ config_map "a", { kind = "Pod" } }, "manifests[2]: this is no Kubernetes object: it has no apiVersion")
    refused({ config_map "a", 5 }, "manifests[2]: expected an object")
    refused(nil, "manifests: expected an object")
    refused(ctz.json.null, "manifests: expected an object")
  end)
end)

describe("manifests.sort", function()
  it("puts objects into Helm's order, those of a kind as they came, and turns it round", function()
    local list = {}
    for _, kind in ipairs { "Widget", "Deployment", "Service", "Apple", "Namespace", "Deployment", "Secret" } do
      list[#list + 1] = { object = { kind = kind }, place = #list + 1 }
    end
    local function kinds(order)
      local names = {}
      for i, entry in ipairs(order) do
        names[i] = entry.object.kind .. entry.place
      end
      return table.concat(names, " ")
    end
    assert.equal("Namespace5 Secret7 Service3 Deployment2 Deployment6 Apple4 Widget1", kinds(manifests.sort(list)))
    assert.equal("Apple4 Widget1 Deployment2 Deployment6 Service3 Secret7 Namespace5",
      kinds(manifests.sort(list, true)))
    assert.equal("Widget", list[1].object.kind)
  end)
end)
