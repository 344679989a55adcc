-- image_mutate_spec.lua: image:mutate: what changes, what keeps its bytes, read back by ctz, skopeo and tar.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local layouts = require "tests.lua.support.layout"
local program = require "tests.lua.support.program"

local sh, output = layouts.sh, layouts.output

describe("image.mutate", function()
  local folder

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    sh("mkdir " .. folder)
  end)

  after_each(function()
    sh("rm -rf " .. folder)
  end)

  local function ref(tag)
    return ("oci:%s/l:%s"):format(folder, tag)
  end

  local function make(tag, layers, config)
    ctz.image.assemble { layers = layers, config = config, to = ref(tag), platform = "linux/amd64" }
    return ctz.image.open(ref(tag))
  end

  local function two_layers(tag)
    return make(tag or "in", {
      { files = {
        ["/etc/a"] = { text = "a" }, ["/var/cache/x"] = { text = "x" }, ["/bin/app"] = { text = "app", mode = "755" },
      } },
      { files = { ["/etc/b"] = { text = "b" } }, comment = "the second" },
    }, { cmd = { "app" }, env = { "PATH=/bin", "A=1" }, labels = { old = "1", keep = "2" }, ports = { 80 } })
  end

  local function mutate(image, opts)
    opts.to = opts.to or ref "out"
    local result = image:mutate(opts)
    return ctz.image.open(opts.to), result
  end

  local function listing(image)
    local lines = {}
    for file in image:files() do
      if file.type ~= "dir" then
        lines[#lines + 1] = ("%s %d"):format(file.path, file.layer)
      end
    end
    return table.concat(lines, "\n")
  end

  -- skopeo reads all of it, and compares every digest.
  local function check(name)
    sh(("skopeo copy -q oci:%s/l:%s dir:%s/dir-%s >/dev/null"):format(folder, name, folder, name))
    return json.decode(output(("skopeo inspect --config oci:%s/l:%s"):format(folder, name)))
  end

  it("gives the same digest when nothing is changed", function()
    local image = two_layers()
    local _, result = mutate(image, {})
    assert.equal(image:digest(), result.digest)
  end)

  it("takes its times from SOURCE_DATE_EPOCH: two runs make the same, another epoch another", function()
    two_layers()
    sh(("mkdir %s/files && echo x > %s/files/f"):format(folder, folder))
    local code = [[
      ctz.fs.write("%s/files/f", "x")
      ctz.image.assemble{layers={{from="%s/files"}}, to="%s"}
      local done = ctz.image.open("%s"):mutate{append={{files={["/n"]={text="n"}}}}, flatten=true, to="%s"}
      print(ctz.image.open("%s"):digest() .. " " .. done.digest)
    ]]
    code = code:format(folder, folder, ref "e", ref "in", ref "made", ref "e")
    local function digests(epoch)
      sh(("touch -d @%d %s/files"):format(epoch + 1000000, folder))
      local run = program.run({ "eval", code }, { environment = "TZ=Asia/Tokyo SOURCE_DATE_EPOCH=" .. epoch })
      assert.equal(0, run.code, run.err)
      return run.out
    end
    local first = digests(1600000000)
    assert.equal("2020-09-13T12:26:40Z", (ctz.image.open(ref "e"):config().created))
    assert.equal("2020-09-13T12:26:40Z", (ctz.image.open(ref "made"):config().created))
    assert.equal(1600000000, ctz.image.open(ref "e"):files()().mtime)
    assert.equal(first, digests(1600000000))
    assert.not_equal(first, digests(1600000001))
    local run = program.run({ "eval", code }, { environment = "SOURCE_DATE_EPOCH=tomorrow" })
    assert.equal(1, run.code)
    assert.matches("SOURCE_DATE_EPOCH", run.err)
  end)

  it("changes what the config says, and keeps the layers' bytes", function()
    local image = two_layers()
    local other = mutate(image, {
      env = { A = "2", B = "3", PATH = false }, labels = { old = false, new = "x" }, annotations = { note = "n" },
      entrypoint = { "/bin/app" }, user = "1000", workdir = "/srv", ports = { "53/udp" }, created = 86400,
    })
    local config = other:config()
    assert.same({ "A=2", "B=3" }, config.config.Env)
    assert.same({ keep = "2", new = "x" }, config.config.Labels)
    assert.same({ "/bin/app" }, config.config.Entrypoint)
    assert.is_nil(config.config.Cmd)
    assert.equal("1000 /srv", config.config.User .. " " .. config.config.WorkingDir)
    assert.same({ ["80/tcp"] = {}, ["53/udp"] = {} }, config.config.ExposedPorts)
    assert.equal("1970-01-02T00:00:00Z", config.created)
    assert.equal("n", other:manifest().annotations.note)
    assert.same(image:layers(), other:layers())
    local seen = check "out"
    assert.equal("1000", seen.config.User)
    assert.same(config.rootfs.diff_ids, seen.rootfs.diff_ids)
  end)

  it("strips paths from every layer; a layer without them keeps its bytes", function()
    local image = two_layers()
    local other = mutate(image, { strip = { "/var/cache", "/etc/a/", "/absent" } })
    assert.equal("/bin/app 1\n/etc/b 2", listing(other))
    assert.equal(image:layers()[2].digest, other:layers()[2].digest)
    assert.not_equal(image:layers()[1].digest, other:layers()[1].digest)
    assert.equal(2, #check("out").history)
    sh(("mkdir %s/x && tar -xzf %s/l/blobs/sha256/%s -C %s/x"):format(folder, folder,
      other:layers()[1].digest:sub(8), folder))
    assert.equal("bin bin/app etc var\n", output(("cd %s/x && find * | sort | xargs"):format(folder)))
  end)

  it("keeps content that hard links still need", function()
    local layout = layouts.new(folder .. "/h")
    sh(("mkdir -p %s/t/a %s/t/b && echo data > %s/t/a/f && ln %s/t/a/f %s/t/b/g && ln %s/t/a/f %s/t/b/h"):format(
      folder, folder, folder, folder, folder, folder, folder))
    sh(("tar -C %s/t -cf %s/t.tar --xattrs a/f b/g b/h"):format(folder, folder))
    layout:tag((layout:image { layouts.read(folder .. "/t.tar") }))
    local image = ctz.image.open("oci:" .. layout.folder)
    for name, opts in pairs { stripped = { strip = { "/a" } }, flat = { strip = { "/a" }, flatten = true } } do
      opts.to = ref(name)
      local other = mutate(image, opts)
      assert.equal("/b/g 1\n/b/h 1", listing(other))
      assert.equal("data\n", other:read "/b/h")
      sh(("mkdir %s/%s && tar -xzf %s/l/blobs/sha256/%s -C %s/%s"):format(folder, name, folder,
        other:layers()[1].digest:sub(8), folder, name))
      assert.equal("2 data\n", output(("cd %s/%s/b && stat -c %%h h | tr '\\n' ' ' && cat g"):format(folder, name)))
    end
  end)

  it("flattens what the layers make, without whiteouts", function()
    local layout = layouts.new(folder .. "/w")
    sh(("cd %s && mkdir -p 1/d 2/d && echo 1 > 1/d/x && echo 1 > 1/d/y && echo 2 > 2/d/y && touch 2/d/.wh.x"):format(
      folder))
    sh(("cd %s && tar -C 1 -cf 1.tar . && tar -C 2 -cf 2.tar ."):format(folder))
    layout:tag((layout:image { layouts.read(folder .. "/1.tar"), layouts.read(folder .. "/2.tar") }))
    local other, result = mutate(ctz.image.open("oci:" .. layout.folder), { flatten = true, recompress = "zstd" })
    assert.equal(1, #result.layers)
    assert.equal("/d/y 1", listing(other))
    assert.equal("2\n", other:read "/d/y")
    assert.equal("./ ./d/ ./d/y\n", output(("zstd -dc %s/l/blobs/sha256/%s | tar -t | sort | xargs"):format(folder,
      result.layers[1].digest:sub(8))))
    assert.equal(1, #check("out").rootfs.diff_ids)
  end)

  it("packs otherwise with the same diff ids, and back", function()
    local image = two_layers()
    local packed = mutate(image, { recompress = "zstd", to = ref "zstd" })
    assert.matches("tar%+zstd$", packed:layers()[1].media_type)
    assert.same(image:config().rootfs.diff_ids, packed:config().rootfs.diff_ids)
    check "zstd"
    local back, result = mutate(packed, { recompress = "gzip" })
    assert.equal(image:digest(), result.digest)
    assert.same(image:layers(), back:layers())
  end)

  it("appends layers with their history", function()
    local other = mutate(two_layers(), { append = { { files = { ["/c"] = { text = "c" } }, comment = "third" } } })
    assert.equal("/bin/app 1\n/c 3\n/etc/a 1\n/etc/b 2\n/var/cache/x 1", listing(other))
    local history = check("out").history
    assert.equal(3, #history)
    assert.equal("third", history[3].comment)
  end)

  it("puts what stands on one base onto another", function()
    local base = { files = { ["/base"] = { text = "old" } } }
    make("base1", { base })
    make("base2", { { files = { ["/base"] = { text = "new" } } }, { files = { ["/more"] = { text = "" } } } })
    local image = make("app", { base, { files = { ["/app"] = { text = "app" } } } }, { cmd = { "/app" } })
    local other = mutate(image, { rebase = { from = ref "base1", to = ref "base2" } })
    assert.equal("/app 3\n/base 1\n/more 2", listing(other))
    assert.equal("new", other:read "/base")
    assert.same({ "/app" }, other:config().config.Cmd)
    assert.equal(3, #check("out").history)
    local ok, err = ctz.try(mutate, image, { rebase = { from = ref "base2", to = ref "base1" } })
    assert.is_nil(ok)
    assert.equal("conflict", err.kind)
    assert.matches("does not stand on", err.message)
  end)

  it("writes into another layout, from an archive too, the same bytes each time", function()
    local image = two_layers()
    local opts = { strip = { "/var" }, labels = { a = "1" }, to = ("oci:%s/other:x"):format(folder) }
    local first = select(2, mutate(image, opts)).digest
    ctz.registry.copy(ref "in", ("oci-archive:%s/a.tar:in"):format(folder))
    local archive <close> = ctz.image.open(("oci-archive:%s/a.tar"):format(folder))
    opts.to = ("oci:%s/third:x"):format(folder)
    assert.equal(first, archive:mutate(opts).digest)
    sh(("skopeo inspect oci:%s/third:x >/dev/null"):format(folder))
  end)

  it("writes into archives too, what stays as it is and what is new", function()
    local image = two_layers()
    local opts = { labels = { old = false, new = "3" }, append = { { files = { ["/c"] = { text = "c" } } } } }
    local expected, made = mutate(image, opts)
    for _, form in ipairs { "oci-archive", "docker-archive" } do
      opts.to = ("%s:%s/%s.tar"):format(form, folder, form)
      local other, result = mutate(image, opts)
      assert.equal(opts.to, result.name)
      assert.equal(made.digest, result.digest)
      assert.equal(made.config_digest, select(2, other:config()))
      assert.equal(listing(expected), listing(other))
      local again <close> = other -- luacheck: ignore again
    end
    sh(("skopeo inspect oci-archive:%s/oci-archive.tar >/dev/null"):format(folder))
    -- What is packed with zstd is packed with gzip again: such an archive holds no other.
    opts.to, opts.recompress = ("docker-archive:%s/z.tar:z:1"):format(folder), "zstd"
    local packed, result = mutate(image, opts)
    assert.equal(result.digest, packed:digest())
    assert.equal(listing(expected), listing(packed))
  end)

  it("leaves nothing where it cannot write", function()
    local image = two_layers()
    for _, to in ipairs { "oci-archive:/nowhere/a.tar", "rootfs:" .. folder, "docker-archive:", "Upper/case:1" } do
      local ok, err = ctz.try(image.mutate, image, { to = to })
      assert.is_nil(ok)
      assert.equal("image.mutate", err.op)
    end
  end)

  it("tells all that is wrong with the options at once", function()
    local image = two_layers()
    local ok, err = ctz.try(image.mutate, image, {
      to = "oci:x:a b", strip = { "relative", "/a/../b", "/" }, recompress = "xz", evn = {}, rebase = { from = "x" },
      created = -1, env = { A = {} },
    })
    assert.is_nil(ok)
    assert.equal("usage", err.kind)
    for _, text in ipairs { "is not a tag", "strip%[1%]", "strip%[2%]", "strip%[3%]", "recompress", "'evn'",
      "rebase.to", "created", "env.A" } do
      assert.matches(text, err.message)
    end
  end)
end)
