-- manage_spec.lua: ctz.registry.manage beside real registries.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local layouts = require "tests.lua.support.layout"
local registry = require "tests.lua.support.registries"

describe("ctz.registry.manage #live", function()
  local client, repo, host, folder

  before_each(function()
    client, repo, host = registry.connect "plain", registry.repo(), registry.host "plain"
    folder = ctz.fs.tempdir()
  end)

  after_each(function()
    folder:close()
  end)

  local function manage(operation, image, opts)
    local all = { operation = operation, image = image, registry = host }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    return ctz.registry.manage(all)
  end

  it("pushes, tags, lists, pulls and deletes, each with its record", function()
    local layout = "oci:" .. folder.path .. "/out"
    local made = ctz.image.assemble { layers = { { files = { ["/a"] = { text = "a" } } } }, to = layout .. ":1.0" }
    local pushed = manage("push", repo .. ":1.0", { from = layout .. ":1.0" })
    assert.is_true(pushed.size_mb > 0 and pushed.size_mb < 0.01)
    pushed.size_mb = nil
    assert.same({
      operation = "push", image_name = ("%s/%s:1.0"):format(host, repo), registry_url = "http://" .. host,
      success = true, image_digest = made.digest, tags = { "1.0" },
    }, pushed)
    local tagged = manage("tag", repo .. ":1.0", { tags = { "1", "latest" } })
    assert.same({ "1", "latest" }, tagged.tags)
    assert.equal(made.digest, tagged.image_digest)
    assert.same({ "1", "1.0", "latest" }, manage("list", repo).tags)
    local pulled = manage("pull", repo, { to = layout .. ":again" })
    assert.equal(made.digest, pulled.image_digest)
    assert.equal(made.digest, ctz.image.open(layout .. ":again"):digest())
    local deleted = manage("delete", repo .. ":1")
    assert.equal(made.digest, deleted.image_digest)
    assert.same({ "1.0", "latest" }, registry.list(client:tags(repo)))
  end)

  it("pulls one platform of several, and what is packed with zstd, and tells its digest and size", function()
    local layout = layouts.new(folder.path .. "/in")
    local amd64, arm64 = layout:image({ "amd64" }, "amd64"), layout:image({ "arm64" }, "arm64")
    layout:tag(layout:index { amd64, arm64 }, "1")
    manage("push", repo .. ":1", { from = ("oci:%s/in:1"):format(folder.path) })
    local to = ("oci:%s/out:1"):format(folder.path)
    local pulled = manage("pull", repo .. ":1", { to = to, platforms = { "linux/arm64" } })
    assert.equal(ctz.image.open(to):digest(), pulled.image_digest)
    assert.is_true(pulled.size_mb > 0)
    local z = ctz.image.assemble {
      layers = { { files = { ["/a"] = { text = "a" } } } },
      compression = "zstd", to = ("oci:%s/z:1"):format(folder.path),
    }
    manage("push", repo .. ":z", { from = z.name })
    pulled = manage("pull", repo .. ":z", { to = ("docker-archive:%s/z.tar"):format(folder.path) })
    assert.equal(z.digest, pulled.image_digest)
  end)

  it("raises with the record, or returns it with check=false", function()
    local value, err = ctz.try(manage, "delete", repo .. ":none")
    assert.is_nil(value)
    assert.equal("not_found", err.kind)
    assert.is_false(err.result.success)
    local record = manage("pull", repo .. ":none", { to = "oci:" .. folder.path .. "/x", check = false })
    assert.is_false(record.success)
    assert.equal("string", type(record.error_message))
    assert.equal("http://" .. host, record.registry_url)
  end)

  it("takes the host in the image's name, and says where nobody answers", function()
    registry.push(client, repo, "1.0")
    assert.same({ "1.0" }, ctz.registry.manage({ operation = "list", image = host .. "/" .. repo }).tags)
    local record = ctz.registry.manage { operation = "list", image = "127.0.0.1:1/a/b", check = false }
    assert.equal("https://127.0.0.1:1", record.registry_url)
    assert.is_false(record.success)
  end)

  it("refuses an operation that lacks something, before anything is done", function()
    for _, opts in ipairs {
      { operation = "push", image = "a/b" }, { operation = "pull", image = "a/b" },
      { operation = "tag", image = "a/b" }, { operation = "delete", image = "a/b" },
      { operation = "list", image = "a/b", tags = { "1" } }, { operation = "list", image = "A" },
      { operation = "remove", image = "a/b" }, { operation = "list" },
      { operation = "push", image = "a/b@sha256:" .. ("0"):rep(64), from = "oci:x" },
    } do
      local value, err = ctz.try(ctz.registry.manage, opts)
      assert.is_nil(value)
      assert.equal("usage", err.kind)
    end
  end)
end)
