-- copy_spec.lua: images into an engine and out of it, by ctz.registry.copy.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local registry = require "tests.lua.support.registry"

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

  it("loads layers packed with zstd, packed with gzip where the engine knows no zstd", function()
    local z = ctz.image.assemble {
      layers = { { files = { ["/a"] = { text = "zstd" } } } },
      compression = "zstd", to = ("oci:%s/z:1"):format(folder.path),
    }
    local done = copy(z.name, "docker:" .. name)
    local api = tonumber(ctz.docker.system.ping().newest_api_version:match "%.(%d+)$")
    assert.equal(api < 42 and 1 or 0, done.recompressed)
    assert.equal(api >= 42, done.digest == z.digest)
    local image <close> = open("docker:" .. name)
    assert.equal("zstd", image:read "/a")
    assert.same({ z.layers[1].diff_id }, image:config().rootfs.diff_ids)
  end)

  it("loads a folder of files, and what was made of an image", function()
    ctz.fs.mkdir(folder .. "/root")
    ctz.fs.write(folder .. "/root/motd", "hi")
    copy(("rootfs:%s/root"):format(folder.path), "docker:" .. name)
    local image <close> = open("docker:" .. name)
    assert.equal("hi", image:read "/motd")
    image:mutate { labels = { made = "here" }, to = "docker:" .. name }
    assert.equal("here", ctz.docker.images.get(name).labels.made)
  end)

  it("is a source and a target of ctz.registry.manage, which tells what went and how it ended", function()
    if not registry.is_there then
      pending "docker-registry is not installed"
    end
    local there <close> = registry.start()
    copy(made.name, "docker:" .. name)
    local manage = ctz.registry.manage
    local pushed = manage { operation = "push", image = "team/app:1", registry = there.host, from = "docker:" .. name }
    assert.is_true(pushed.success)
    assert.is_true(pushed.size_mb > 0)
    local at = ("%s/team/app:1"):format(there.host)
    assert.equal(pushed.image_digest, open(at):digest())
    assert.same((open(made.name):config()).rootfs, (open(at):config()).rootfs)
    ctz.docker.images.remove(name, { force = true })
    local pulled = manage { operation = "pull", image = "team/app:1", registry = there.host, to = "docker:" .. name }
    assert.equal(pushed.image_digest, pulled.image_digest)
    assert.equal("copy", ctz.docker.images.get(name).labels.test)
    local missing = manage {
      operation = "push", image = "team/app:2", registry = there.host, from = "docker:ctz-none:1", check = false,
    }
    assert.is_false(missing.success)
    assert.matches("ctz%-none", missing.error_message)
    assert.same({ "1" }, manage({ operation = "list", image = "team/app", registry = there.host }).tags)
  end)

  it("is where quickstart copies its image to, beside the one that the engine builds", function()
    if not ctz.fs.exists "/bin/busybox" then
      return pending "busybox is not installed: apt-get install busybox-static"
    end
    local result = program.run { "run", "--json", "--quiet", "recipes/quickstart.lua",
      ("out=%s/out"):format(folder.path), "docker=yes", "to=docker:" .. name }
    assert.equal(0, result.code, result.err)
    local report = ctz.json.decode(result.out)
    assert.equal("docker:" .. name, report.copied.name)
    local image <close> = open("docker:" .. name)
    assert.matches("<html", image:read "/www/index.html")
    assert.equal("1000:1000", image:config().config.User)
    pcall(ctz.docker.images.remove, report.docker.name, { force = true })
  end)

  it("keeps tags of an engine and of a layout the same", function()
    local repository = name:match "^[^:]*"
    for _, tag in ipairs { "1.0", "1.1", "2.0" } do
      copy(made.name, ("oci:%s/many:%s"):format(folder.path, tag))
    end
    local sync = ctz.registry.sync
    local done = sync { from = ("oci:%s/many"):format(folder.path), to = "docker:" .. repository, versions = "1.x" }
    table.sort(done.copied)
    assert.same({ "1.0", "1.1" }, done.copied)
    local back = sync { from = "docker:" .. repository, to = ("oci:%s/back"):format(folder.path), match = "^1%.1$" }
    assert.same({ "1.1" }, back.copied)
    assert.equal(made.config_digest, select(2, open(("oci:%s/back:1.1"):format(folder.path)):config()))
    for _, tag in ipairs { "1.0", "1.1" } do
      ctz.docker.images.remove(repository .. ":" .. tag, { force = true })
    end
    local _, err = ctz.try(sync, { from = "docker:" .. repository .. ":1", to = "oci:x" })
    assert.equal("usage", err.kind)
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
