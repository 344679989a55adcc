-- copy_spec.lua: files into pods and out of them, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local fs = ctz.fs
local pods = require "tests.lua.support.kube_pods"

describe("kubernetes copies #live", function()
  local k, folder

  setup(function()
    k = pods.client()
    folder = fs.tempdir()
    pods.run(k, "web", { main = { command = { "sleep", "1000" } } })
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    fs.mkdir(folder.path .. "/tree/deep/er", { parents = true })
    fs.write(folder.path .. "/tree/all", table.concat(bytes):rep(5000))
    fs.write(folder.path .. "/tree/empty", "")
    fs.write(folder.path .. "/tree/deep/er/name with 'blanks'", "text\n")
    fs.write(folder.path .. "/run", "#!/bin/sh\necho runs\n")
    os.execute("chmod 755 '" .. folder.path .. "/run'; ln -s all '" .. folder.path .. "/tree/link'")
  end)

  teardown(function()
    pods.remove(k)
    folder:close()
  end)

  local function sha(path)
    return k:exec("web", { "sha256sum", path }).stdout:match "%x+"
  end

  it("copies a file byte for byte with tar and with cat", function()
    for _, method in ipairs { "tar", "cat" } do
      local there = "/tmp/" .. method
      assert.same({ method = method }, k:copy_in("web", folder.path .. "/tree/all", there, { method = method }))
      assert.equal(ctz.hash.file(folder.path .. "/tree/all"), sha(there))
      local back = folder.path .. "/back-" .. method
      assert.same({ path = back, method = method }, k:copy_out("pod/web", there, back, { method = method }))
      assert.equal(fs.read(folder.path .. "/tree/all"), fs.read(back))
      k:copy_in("web", folder.path .. "/run", "/tmp/run-" .. method, { method = method })
      assert.equal("runs\n", k:exec("web", { "/tmp/run-" .. method }).stdout)
    end
  end)

  it("copies folders both ways, and what is in them", function()
    assert.same({ method = "tar" }, k:copy_in("web", folder.path .. "/tree", "/opt-new"))
    assert.equal("text\n", k:exec("web", { "cat", "/opt-new/deep/er/name with 'blanks'" }).stdout)
    assert.equal("all\n", k:exec("web", { "readlink", "/opt-new/link" }).stdout)
    k:copy_in("web", folder.path .. "/tree", "/tmp/") -- into a folder that is there
    assert.equal(ctz.hash.file(folder.path .. "/tree/all"), sha "/tmp/tree/all")
    k:exec("web", { "mkdir", "/tmp/content" })
    k:copy_in("web", folder.path .. "/tree/.", "/tmp/content")
    assert.equal(ctz.hash.file(folder.path .. "/tree/all"), sha "/tmp/content/all")
    local out = k:copy_out("web", "/opt-new", folder.path .. "/out")
    assert.equal(folder.path .. "/out", out.path)
    assert.equal(fs.read(folder.path .. "/tree/all"), fs.read(out.path .. "/all"))
    assert.equal("", fs.read(out.path .. "/empty"))
    assert.equal("text\n", fs.read(out.path .. "/deep/er/name with 'blanks'"))
  end)

  it("says what cannot be", function()
    local function kind(...)
      local value, err = ctz.try(...)
      assert.is_nil(value)
      return err.kind
    end
    assert.equal("not_found", kind(k.copy_out, k, "web", "/none", folder.path .. "/x"))
    assert.is_nil(fs.stat(folder.path .. "/x"))
    assert.equal("not_found", kind(k.copy_in, k, "web", folder.path .. "/none", "/tmp/x"))
    assert.equal("not_found", kind(k.copy_in, k, "web", folder.path .. "/run", "/tmp/none/"))
    assert.equal("not_found", kind(k.copy_in, k, "web", folder.path .. "/run", "/none/deep/x"))
    assert.equal("not_found", kind(k.copy_in, k, "none", folder.path .. "/run", "/tmp/x"))
    assert.equal("conflict", kind(k.copy_in, k, "web", folder.path .. "/tree", "/bin/sh"))
    assert.equal("conflict", kind(k.copy_out, k, "web", "/tmp", folder.path .. "/run"))
    assert.equal("unsupported", kind(k.copy_in, k, "web", folder.path .. "/tree", "/tmp/y", { method = "cat" }))
    assert.equal("usage", kind(k.copy_in, k, "web", "x", "relative"))
    assert.equal("usage", kind(k.copy_in, k, "web", "x", "/y", { method = "zip" }))
  end)
end)
