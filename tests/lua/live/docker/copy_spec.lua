-- copy_spec.lua: images into an engine and out of it, by ctz.registry.copy.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local copy, open = ctz.registry.copy, ctz.image.open

describe("ctz.registry.copy with an engine #live", function()
  local folder, name, made

  before_each(function()
    folder = ctz.fs.tempdir()
    name = ("ctz-copy-%08x:1"):format(math.random(0, 0xffffffff))
    made = ctz.image.assemble {
      layers = { { files = { ["/a"] = { text = "a" } } }, { files = { ["/b"] = { text = "b" } } } },
      config = { command = { "/a" }, labels = { test = "copy" } },
      to = ("oci:%s/in:1"):format(folder.path),
    }
  end)

  after_each(function()
    pcall(ctz.docker.images.remove, name, { force = true })
    folder:close()
  end)

  it("loads an image and saves it again with the same content", function()
    local done = copy(made.name, "docker:" .. name)
    assert.equal(made.digest, done.digest)
    assert.equal("copy", ctz.docker.images.get(name).labels.test)
    copy("docker:" .. name, ("oci:%s/out:1"):format(folder.path))
    local config = open(("oci:%s/out:1"):format(folder.path)):config()
    assert.same({ made.layers[1].diff_id, made.layers[2].diff_id }, config.rootfs.diff_ids)
    assert.same({ "/a" }, config.config.Cmd)
  end)

  it("opens an engine's image", function()
    copy(made.name, "docker:" .. name)
    local image <close> = open("docker:" .. name)
    assert.equal(2, #image:layers())
    assert.equal("copy", image:config().config.Labels.test)
  end)

  it("says that there is no such image", function()
    local _, err = ctz.try(open, "docker:ctz-there-is-none:1")
    assert.equal("not_found", err.kind)
    assert.equal("usage", select(2, ctz.try(open, "docker:Upper Case")).kind)
  end)
end)
