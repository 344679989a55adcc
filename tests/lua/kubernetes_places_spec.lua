-- kubernetes_places_spec.lua: manifests from URLs and from folders in folders; odd manifests.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local faults = dofile "tests/testbed/http_faults.lua"
local manifests = require "ctz.kubernetes.manifests"
local program = require "tests.lua.support.program"

local TEXT <const> = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\n"

local function failure(input, opts)
  local value, err = ctz.try(manifests.read, input, "client:apply", opts)
  assert.is_nil(value, "it was taken")
  assert.equal("client:apply", err.op)
  return err
end

local function names(list)
  local found = {}
  for i, entry in ipairs(list) do
    found[i] = entry.object.metadata.name
  end
  return found
end

describe("manifests of a URL", function()
  local server

  setup(function()
    server = faults.start(true)
  end)

  teardown(function()
    server:stop()
  end)

  local function serving(body)
    local answer = ("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s"):format(#body, body)
    return server:url("/raw?" .. ctz.base64.encode(answer, { url = true }))
  end

  it("are read, each with its place, and redirects are followed", function()
    local url = serving(TEXT:format "one" .. "---\n" .. TEXT:format "two")
    local list = manifests.read(url, "client:apply")
    assert.same({ "one", "two" }, names(list))
    assert.equal(url .. ":5", list[2].place)
    assert.same({ "one", "two" }, names(manifests.read(server:url("/redirect/302?" .. url), "client:apply")))
  end)

  it("are not read over plain http when https was asked for", function()
    local url = server:url("/redirect/302?" .. serving(TEXT:format "one"), "good", "https")
    local result = program.run({ "eval", ([[
      local ctz = require "ctz"
      local _, err = ctz.try(require("ctz.kubernetes.manifests").read, "%s", "client:apply")
      print(err.kind, err.message)
    ]]):format(url) }, { environment = "SSL_CERT_FILE=" .. server.folder .. "/ca.crt" })
    assert.matches("^denied\t.*a redirect from https to http://", result.out, 1, false)
  end)

  it("end where redirects go round, where there is none, and where the server is silent", function()
    assert.equal("protocol", failure(server:url "/loop/1").kind)
    local err = failure(server:url "/status/404")
    assert.equal("not_found", err.kind)
    assert.matches("/status/404", err.message, 1, true)
    assert.equal("timeout", failure(server:url "/silent", { timeout = 0.2 }).kind)
    assert.equal("timeout", failure(server:url "/silent_body", { timeout = 0.2 }).kind)
  end)

  it("are not read without end", function()
    local result = program.run { "eval", "--limit", "http_body_bytes=200KiB", ([[
      local ctz = require "ctz"
      local _, err = ctz.try(require("ctz.kubernetes.manifests").read, "%s", "client:apply")
      print(err.kind, err.op)
    ]]):format(server:url "/endless") }
    assert.equal("size\tclient:apply\n", result.out, result.err)
  end)

  it("are told with their URL when they are no manifests", function()
    local url = serving "<!DOCTYPE html>\n<html><body>sign in: here</body></html>\n"
    assert.matches(url, failure(url).message, 1, true)
    url = serving "just: a mapping\n"
    assert.equal(url .. ":1: this is no Kubernetes object: it has no apiVersion", failure(url).message)
  end)
end)

describe("manifests of a folder", function()
  local folder

  before_each(function()
    folder = program.folder()
    for path, name in pairs { ["b.yaml"] = "b", ["a/z.yml"] = "z", ["a/deep/1.json"] = "one", ["c/c.yaml"] = "c" } do
      ctz.fs.mkdir((folder .. "/" .. path):match "^(.*)/", { parents = true })
      ctz.fs.write(folder .. "/" .. path, name == "one"
        and '{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}}' or TEXT:format(name))
    end
  end)

  after_each(function()
    program.remove(folder)
  end)

  it("are those in it, and with recursive those of the folders in it, by their paths", function()
    assert.same({ "b" }, names(manifests.read(folder, "client:apply")))
    assert.same({ "one", "z", "b", "c" }, names(manifests.read(folder, "client:apply", { recursive = true })))
    assert.same({ "one", "z", "c" }, names(manifests.read({ folder .. "/a/", folder .. "/c" }, "client:apply",
      { recursive = true })))
  end)

  it("are read once though a link leads round, and a link to nothing is told", function()
    ctz.fs.symlink("..", folder .. "/a/up")
    ctz.fs.symlink("z.yml", folder .. "/a/same.yml")
    assert.same({ "one", "z", "z", "b", "c" }, names(manifests.read(folder, "client:apply", { recursive = true })))
    ctz.fs.symlink("gone.yaml", folder .. "/lost.yaml")
    assert.matches("lost.yaml", failure(folder).message, 1, true)
  end)

  it("without any are refused, with what would read more", function()
    ctz.fs.mkdir(folder .. "/empty/none", { parents = true })
    assert.equal("folders inside it are read with recursive=true", failure(folder .. "/empty").hint)
    assert.is_nil(failure(folder .. "/empty", { recursive = true }).hint)
  end)
end)

describe("odd manifests", function()
  it("lists in lists keep their places", function()
    local text = [[
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
  - apiVersion: v1
    kind: ConfigMapList
    items:
    - metadata: {name: b}
- {apiVersion: v1, kind: Secret}
]]
    assert.equal("manifest:1: items[2]: Secret has no metadata", failure(text).message)
    local list = manifests.read((text:gsub("%- {apiVersion: v1, kind: Secret}\n", "")), "client:apply")
    assert.same({ "a", "b" }, names(list))
    assert.equal("ConfigMap", list[2].object.kind)
    assert.equal("manifest:1: items[1]: items[2]: items[1]", list[2].place)
    assert.same({}, manifests.read("apiVersion: v1\nkind: List\nitems: []\n", "client:apply"))
    local nested = "apiVersion: v1\nkind: List\nitems: [[]]\n"
    assert.matches("items[1]: this is no Kubernetes object", failure(nested).message, 1, true)
  end)

  it("integers of 64 bits stay what they are, and keys that stand twice are refused in JSON, too", function()
    local big = TEXT:format "ints"
      .. "spec: {most: 9223372036854775807, odd: 9007199254740993, least: -9223372036854775808}\n"
    local spec = manifests.read(big, "client:apply")[1].object.spec
    assert.same({ 9223372036854775807, 9007199254740993, math.mininteger }, { spec.most, spec.odd, spec.least })
    assert.equal("integer", math.type(spec.odd))
    local twice = '{"apiVersion": "v1",\n"kind": "A", "kind": "B", "metadata": {"name": "x"}}'
    assert.matches("manifest:2", failure(twice).message, 1, true)
    assert.matches("manifest:6", failure(TEXT:format "a" .. "data:\n  x: 1\n  x: 2\n").message, 1, true)
  end)

  it("bytes that are no text and depth without end are refused, not read", function()
    assert.matches("manifest:2", failure "apiVersion: v1\nkind: \"\255\254\"\n".message, 1, true)
    assert.matches("manifest:1", failure(("a: {"):rep(5000) .. "\n" .. ("}"):rep(5000)).message, 1, true)
  end)
end)
