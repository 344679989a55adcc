-- image_open_spec.lua: ctz.image.open: what an image is, wherever it is, and what is refused.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local layouts = require "tests.lua.support.layout"
local program = require "tests.lua.support.program"

local open = ctz.image.open
local sh = layouts.sh

describe("ctz.image.open", function()
  local folder, layout

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    layout = layouts.new(folder .. "/in")
  end)

  after_each(function()
    sh("rm -rf " .. folder)
  end)

  local function ref(tag)
    return "oci:" .. layout.folder .. (tag and ":" .. tag or "")
  end

  local function refused(kind, pattern, name)
    local image, err = ctz.try(open, name or ref())
    assert.is_nil(image)
    assert.equal(kind, err.kind)
    assert.equal("image.open", err.op)
    assert.matches(pattern, err.message)
    return err
  end

  -- A document whose members say what they want, as the only image.
  local function tag_document(content, media_type)
    layout:tag(layout:document(content, media_type or content.mediaType))
  end

  it("tells manifest, config, layers, size and digest of a layout's image", function()
    local descriptor, manifest = layout:image { "one", "three" }
    layout:tag(descriptor, "1.0")
    local image = open(ref "1.0")
    assert.equal(descriptor.digest, image:digest())
    local got, digest, bytes = image:manifest()
    assert.equal(descriptor.digest, digest)
    assert.equal(descriptor.size, #bytes)
    assert.equal(2, #got.layers)
    assert.equal("amd64", (image:config()).architecture)
    assert.same({ { digest = manifest.layers[1].digest, size_bytes = 3, media_type = layouts.LAYER },
      { digest = manifest.layers[2].digest, size_bytes = 5, media_type = layouts.LAYER } }, image:layers())
    assert.equal(descriptor.size + manifest.config.size + 8, image:size())
  end)

  it("takes null for an empty list of layers or manifests, as encoders of Go write it", function()
    layout:tag((layout:image({}, nil, { layers = json.null })))
    assert.same({}, open(ref()):layers())
    layout.entries = json.array {}
    layout:tag(layout:document { schemaVersion = 2, mediaType = layouts.INDEX, manifests = json.null })
    assert.same({}, open(ref()):platforms())
  end)

  it("counts a layer that is there twice once", function()
    local descriptor, manifest = layout:image { "same", "same" }
    layout:tag(descriptor)
    assert.equal(descriptor.size + manifest.config.size + 4, open(ref()):size())
  end)

  it("finds an image by tag, by digest, and alone without either", function()
    local one, two = layout:image { "1" }, layout:image { "2" }
    layout:tag(one, "one")
    assert.equal(one.digest, open(ref()):digest())
    layout:tag(two, "latest")
    assert.equal(one.digest, open(ref "one"):digest())
    assert.equal(two.digest, open(ref()):digest())
    assert.equal(one.digest, open(ref() .. "@" .. one.digest):digest())
  end)

  it("names the tags that are there when one is not", function()
    layout:tag(layout:image { "1" }, "one")
    layout:tag(layout:image { "2" }, "two")
    assert.equal("it has one, two", refused("not_found", "there is no image", ref "three").hint)
    refused("not_found", "there is no image") -- neither alone nor latest
  end)

  describe("of several platforms", function()
    local arm5, arm7, amd64, v3

    before_each(function()
      amd64 = layout:image({ "amd64" }, "amd64")
      arm5, arm7, v3 = layout:image({ "5" }, "arm"), layout:image({ "7" }, "arm"), layout:image({ "v3" }, "amd64")
      arm5.platform.variant, arm7.platform.variant, v3.platform.variant = "v5", "v7", "v3"
    end)

    local function tag_all(list)
      layout:tag(layout:index(list))
      return open(ref())
    end

    it("chooses the highest variant that the machine runs", function()
      local image = tag_all { arm5, arm7, v3, amd64 }
      assert.equal(arm7.digest, image:digest { platform = "linux/arm" })
      assert.equal(arm7.digest, image:digest { platform = "linux/arm/v8" })
      assert.equal(arm5.digest, image:digest { platform = "linux/arm/v6" })
      assert.equal(amd64.digest, image:digest { platform = "linux/amd64" })
      assert.equal(v3.digest, image:digest { platform = "linux/amd64/v4" })
    end)

    it("lists platforms without attestations, and never chooses one", function()
      local attestation = layout:image({ "sbom" }, "unknown")
      attestation.platform = { os = "unknown", architecture = "unknown" }
      local image = tag_all { attestation, amd64 }
      assert.same({ { platform = "linux/amd64", digest = amd64.digest } }, image:platforms())
      assert.equal(amd64.digest, image:digest { platform = "linux/amd64" })
    end)

    it("names the platforms it has when there is none for the machine", function()
      local image = tag_all { arm7, amd64 }
      local _, err = ctz.try(image.manifest, image, { platform = "linux/s390x" })
      assert.equal("not_found", err.kind)
      assert.equal("it has linux/amd64, linux/arm/v7", err.hint)
    end)

    it("chooses Windows by the beginning of its version", function()
      local old, new = layout:image({ "o" }, "amd64"), layout:image({ "n" }, "amd64")
      old.platform = { os = "windows", architecture = "amd64", ["os.version"] = "10.0.17763.1" }
      new.platform = { os = "windows", architecture = "amd64", ["os.version"] = "10.0.20348.9" }
      assert.equal(new.digest, tag_all({ old, new }):digest { platform = "windows/amd64:10.0.20348" })
    end)

    it("goes through an index in an index", function()
      local inner = layout:index { amd64, arm7 }
      layout:tag(layout:index { inner })
      assert.equal(arm7.digest, open(ref()):digest { platform = "linux/arm/v7" })
    end)

    it("finds a platform in any index within it, after those that it names itself", function()
      local inner, beside = layout:index { amd64 }, layout:index { arm7 }
      layout:tag(layout:index { inner, beside, inner })
      local image = open(ref())
      assert.equal(arm7.digest, image:digest { platform = "linux/arm/v7" })
      assert.equal(amd64.digest, image:digest { platform = "linux/amd64" })
      local names = {}
      for i, one in ipairs(image:platforms()) do
        names[i] = one.platform
      end
      assert.same({ "linux/amd64", "linux/arm/v7" }, names)
      local _, err = ctz.try(image.manifest, image, { platform = "linux/s390x" })
      assert.equal("not_found", err.kind)
      assert.equal("it has linux/amd64, linux/arm/v7", err.hint)
    end)

    it("stops at indexes in indexes without end", function()
      local inner = layout:index { amd64 }
      for _ = 1, 20 do
        inner = layout:index { inner }
      end
      layout:tag(inner)
      local image = open(ref())
      local _, err = ctz.try(image.manifest, image, { platform = "linux/amd64" })
      assert.equal("protocol", err.kind)
      assert.matches("indexes in indexes", err.message)
    end)

    it("refuses what is no platform", function()
      local image = tag_all { amd64 }
      local _, err = ctz.try(image.manifest, image, { platform = "amd64" })
      assert.equal("usage", err.kind)
    end)
  end)

  describe("refuses", function()
    it("a manifest that is also an index", function()
      local _, manifest = layout:image { "1" }
      manifest.manifests = json.array {}
      tag_document(manifest)
      refused("protocol", "manifest and an index at once")
    end)

    it("an index that contains itself: no document has its own digest in it", function()
      local digest, size = "sha256:" .. ("1"):rep(64), 100
      local bytes
      repeat
        local last = size
        bytes = json.encode { schemaVersion = 2, mediaType = layouts.INDEX, manifests = { {
          mediaType = layouts.INDEX, digest = digest, size = size,
        } } }
        size = #bytes
      until size == last
      layouts.write(layout:path(digest), bytes)
      layout:tag(layout:blob(bytes, layouts.INDEX))
      local image = open(ref())
      for _, value in ipairs { { image.manifest, image }, { ctz.registry.copy, ref(), ref "other" },
        { image.platforms, image } } do
        local _, err = ctz.try(table.unpack(value))
        assert.equal("digest", err.kind)
      end
    end)

    it("an index whose type says manifest, and the other way round", function()
      tag_document({ schemaVersion = 2, manifests = json.array {} }, layouts.MANIFEST)
      refused("protocol", "not what its type")
      local _, manifest = layout:image { "1" }
      manifest.mediaType = nil
      layout.entries = json.array {}
      tag_document(manifest, layouts.INDEX)
      refused("protocol", "not what its type")
    end)

    it("a document that says another type than it was sent as", function()
      tag_document({ schemaVersion = 2, mediaType = layouts.INDEX, manifests = json.array {} },
        "application/vnd.docker.distribution.manifest.list.v2+json")
      refused("protocol", "says that it is")
    end)

    it("a manifest of schema 1", function()
      tag_document({ schemaVersion = 1, name = "a", fsLayers = json.array {} },
        "application/vnd.docker.distribution.manifest.v1+prettyjws")
      refused("unsupported", "schema 1")
    end)

    it("descriptors without digest, size or type", function()
      local _, manifest = layout:image { "1" }
      for _, change in ipairs {
        { "digest", "sha256:abc" }, { "digest", "md5:" .. ("0"):rep(32) }, { "size", -1 }, { "size", 1.5 },
        { "mediaType", json.null }, { "digest", "sha256:../../../../etc/passwd" },
      } do
        local kept = manifest.layers[1]
        manifest.layers[1] = { digest = kept.digest, size = kept.size, mediaType = kept.mediaType }
        manifest.layers[1][change[1]] = change[2]
        layout.entries = json.array {}
        tag_document(manifest)
        refused("protocol", "layers%[1%]")
        manifest.layers[1] = kept
      end
    end)

    it("a manifest over the limit, before it is read", function()
      local _, manifest = layout:image { "1" }
      manifest.annotations = { a = ("x"):rep(9 << 20) }
      tag_document(manifest)
      assert.matches("manifest_bytes", refused("size", "a manifest of").hint)
    end)

    it("content that its digest does not name, or of another size", function()
      local descriptor = layout:image { "1" }
      layout:tag(descriptor)
      local path = layout:path(descriptor.digest)
      local bytes = layouts.read(path)
      layouts.write(path, (bytes:gsub("amd64", "amd65"):gsub("schemaVersion", "schemaversion")))
      refused("digest", "its content has the digest")
      layouts.write(path, bytes .. " ")
      refused("size", "its descriptor says")
    end)

    it("what is no JSON, no object, or empty", function()
      for _, text in ipairs { "", "[]", "{", "null", '{"schemaVersion":2}', "\0" } do
        layout.entries = json.array {}
        layout:tag(layout:blob(text, layouts.MANIFEST))
        refused("protocol", "")
      end
    end)

    it("a layout of another version, and a folder that is none", function()
      layout:tag(layout:image { "1" })
      layouts.write(layout.folder .. "/oci-layout", '{"imageLayoutVersion":"2.0.0"}')
      refused("unsupported", "not an OCI layout of version")
      refused("not_found", "is no OCI layout", "oci:" .. folder)
    end)

    it("references that are none", function()
      for _, text in ipairs { "", "oci:", "oci::tag", "oci:a:b c", "docker-archive:", "oci-archive:a:b c" } do
        refused("usage", "", text)
      end
      assert.equal("usage", select(2, ctz.try(open, 1)).kind)
      refused("usage", "names no folder", "rootfs:")
    end)
  end)

  describe("of a folder of files", function()
    local root

    before_each(function()
      root = folder .. "/root"
      layouts.sh(("mkdir -p %s/etc %s/bin && echo hi > %s/etc/motd"):format(root, root, root))
      layouts.sh(("echo app > %s/bin/app && chmod 700 %s/bin/app && ln -s app %s/bin/a"):format(root, root, root))
    end)

    it("has one layer, the same for the same files", function()
      local image <close> = open("rootfs:" .. root)
      local layers = image:layers()
      assert.equal(1, #layers)
      local made = ctz.image.assemble { layers = { { from = root } }, to = ("oci:%s/made"):format(folder) }
      assert.equal(made.digest, image:digest())
      assert.equal("hi\n", image:read "/etc/motd")
      assert.equal(made.config_digest, select(2, image:config()))
      layouts.sh(("cp -r %s %s-copy && touch -d 2001-01-01 %s-copy/etc/motd"):format(root, root, root))
      local again <close> = open(("rootfs:%s-copy"):format(root))
      assert.equal(image:digest(), again:digest())
      local report = ctz.image.analyze("rootfs:" .. root)
      assert.equal(layers[1].digest, report.layers[1].digest)
    end)

    it("is copied and changed like any image", function()
      local to = ("docker-archive:%s/root.tar:root:1"):format(folder)
      local done = ctz.registry.copy("rootfs:" .. root, to)
      assert.equal(2, done.copied)
      assert.equal("hi\n", open(to):read "/etc/motd")
      local image <close> = open("rootfs:" .. root)
      image:mutate { cmd = { "/bin/app" }, to = ("oci:%s/app:1"):format(folder) }
      local app = open(("oci:%s/app:1"):format(folder))
      assert.same({ "/bin/app" }, app:config().config.Cmd)
      assert.equal("app\n", app:read "/bin/a")
    end)

    it("may be empty; is refused when it is none, or holds what is no file", function()
      layouts.sh(("mkdir %s/empty && mkfifo %s/etc/pipe"):format(folder, root))
      local image <close> = open(("rootfs:%s/empty"):format(folder))
      assert.equal(1, #image:layers())
      assert.is_nil(image:files()())
      refused("not_found", "there is no folder", "rootfs:" .. folder .. "/nowhere")
      refused("usage", "is no folder", ("rootfs:%s/etc/motd"):format(root))
      refused("unsupported", "fifo", "rootfs:" .. root)
      local _, err = ctz.try(ctz.registry.copy, "rootfs:" .. folder .. "/empty", "rootfs:" .. folder)
      assert.equal("unsupported", err.kind)
    end)
  end)

  describe("of an archive", function()
    local function damage(path, at, bytes)
      local file <close> = assert(io.open(path, "r+b"))
      file:seek("set", at)
      file:write(bytes)
    end

    before_each(function()
      layout:tag(layout:image { ("a"):rep(3000), "b" }, "1.0")
      sh(("skopeo --insecure-policy copy -q --preserve-digests oci:%s:1.0 oci-archive:%s/o.tar:1.0")
        :format(layout.folder, folder))
    end)

    it("reads what skopeo wrote", function()
      local image, same = open("oci-archive:" .. folder .. "/o.tar:1.0"), open(ref "1.0")
      assert.equal(same:digest(), image:digest())
      assert.same(same:layers(), image:layers())
      assert.same((same:config()), (image:config()))
      refused("not_found", "there is no image", "oci-archive:" .. folder .. "/o.tar:2.0")
    end)

    it("reads a tar of GNU tar with long names and pax headers", function()
      for _, format in ipairs { "gnu", "pax", "ustar" } do
        local long = ("d"):rep(90) .. "/" .. ("e"):rep(90)
        sh(("mkdir -p %s/%s && touch %s/%s/file"):format(layout.folder, long, layout.folder, long))
        sh(("tar --format=%s -C %s -cf %s/t.tar ."):format(format, layout.folder, folder))
        assert.equal(open(ref "1.0"):digest(), open("oci-archive:" .. folder .. "/t.tar:1.0"):digest())
      end
    end)

    it("refuses archives that are cut, damaged, packed or something else", function()
      local path, name = folder .. "/o.tar", "oci-archive:" .. folder .. "/o.tar"
      local bytes = layouts.read(path)
      layouts.write(path, bytes:sub(1, bytes:find(("a"):rep(2000)) + 1000))
      refused("protocol", "ends at byte", name)
      layouts.write(path, bytes:sub(1, 300))
      refused("protocol", "no header", name)
      layouts.write(path, "")
      refused("protocol", "it is empty", name)
      layouts.write(path, bytes)
      damage(path, 100, "xxxx")
      refused("protocol", "no header", name)
      sh(("bzip2 < %s > %s/g.tar"):format(path, folder))
      refused("unsupported", "bzip2", "oci-archive:" .. folder .. "/g.tar")
      sh(("tar -C / -cf %s/p.tar etc/passwd"):format(folder))
      refused("protocol", "no file oci%-layout", "oci-archive:" .. folder .. "/p.tar")
      refused("protocol", "no manifest.json", "docker-archive:" .. folder .. "/p.tar")
      refused("not_found", "there is no file", "docker-archive:" .. folder .. "/none.tar")
    end)

    it("reads one that is packed with gzip or zstd as a whole, and leaves nothing behind", function()
      local scratch, same = folder .. "/tmp", open(ref "1.0")
      sh("mkdir " .. scratch)
      sh(("skopeo --insecure-policy copy -q oci:%s:1.0 docker-archive:%s/d.tar:web:1"):format(layout.folder, folder))
      for _, packer in ipairs { "gzip -n", "zstd -q" } do
        for _, pair in ipairs { { "oci-archive", "o.tar" }, { "docker-archive", "d.tar" } } do
          local form, file = table.unpack(pair)
          sh(("%s < %s/%s > %s/packed"):format(packer, folder, file, folder))
          local name = ("%s:%s/packed"):format(form, folder)
          local image <close> = open(name)
          assert.same((same:config()), (image:config()))
          local out = ("%s/out-%s"):format(folder, form)
          ctz.registry.copy(name, ("oci:%s:1"):format(out))
          local unpacked = ctz.registry.copy(("%s:%s/%s"):format(form, folder, file), ("oci:%s:2"):format(out))
          assert.equal(unpacked.digest, open(("oci:%s:1"):format(out)):digest())
        end
      end
      local run = ctz.process.run({ program.path, "inspect", "oci-archive:" .. folder .. "/packed" },
        { env = { TMPDIR = scratch }, check = false })
      assert.equal(1, run.exit_code) -- the last one is of the other form
      run = ctz.process.run({ program.path, "inspect", "docker-archive:" .. folder .. "/packed" },
        { env = { TMPDIR = scratch }, check = false })
      assert.equal(0, run.exit_code)
      assert.equal("", layouts.output("ls -A " .. scratch))
    end)

    it("refuses one that is packed and damaged, cut, a bomb or no archive", function()
      local name = "oci-archive:" .. folder .. "/packed"
      sh(("gzip -n < %s/o.tar > %s/packed"):format(folder, folder))
      local bytes = layouts.read(folder .. "/packed")
      for _, part in ipairs { 3, 12, 100, #bytes // 2, #bytes - 1 } do
        layouts.write(folder .. "/packed", bytes:sub(1, part))
        refused("protocol", "ends early", name)
      end
      layouts.write(folder .. "/packed", bytes:sub(1, -8) .. "xxxxxxx")
      refused("protocol", "malformed", name)
      sh(("printf hello | gzip -n > %s/packed"):format(folder))
      refused("protocol", "no header", name)
      sh(("head -c 300M /dev/zero | gzip -n > %s/packed"):format(folder))
      refused("size", "expand to more", name)
    end)

    it("reads what docker save wrote, by name or alone", function()
      sh(("mkdir -p %s/s/aa && printf x > %s/s/aa/layer.tar"):format(folder, folder))
      local config = json.encode {
        architecture = "arm64", os = "linux",
        rootfs = { type = "layers", diff_ids = { "sha256:" .. ctz.hash.sha256 "x", "sha256:" .. ctz.hash.sha256 "x" } },
      }
      layouts.write(folder .. "/s/c.json", config)
      sh(("cd %s/s && mkdir bb && ln -s ../aa/layer.tar bb/layer.tar"):format(folder))
      local item = { Config = "c.json", RepoTags = { "web:1" }, Layers = { "aa/layer.tar", "bb/layer.tar" } }
      layouts.write(folder .. "/s/manifest.json", json.encode { item })
      sh(("tar -C %s/s -cf %s/s.tar ."):format(folder, folder))
      local name = "docker-archive:" .. folder .. "/s.tar"
      local image = open(name .. ":docker.io/library/web:1")
      assert.equal("arm64", (image:config()).architecture)
      assert.equal(2, #image:layers())
      assert.equal("sha256:" .. ctz.hash.sha256 "x", image:layers()[2].digest)
      assert.equal(image:digest(), open(name):digest())
      assert.equal("it has web:1", refused("not_found", "there is no image", name .. ":db").hint)
      item.Layers = { "aa/layer.tar" }
      layouts.write(folder .. "/s/manifest.json", json.encode { item })
      sh(("tar -C %s/s -cf %s/s.tar ."):format(folder, folder))
      refused("protocol", "as many layers", name)
      item.Layers = { "aa/layer.tar", "cc/../../../etc/passwd" }
      layouts.write(folder .. "/s/manifest.json", json.encode { item })
      sh(("tar -C %s/s -cf %s/s.tar ."):format(folder, folder))
      refused("protocol", "lacks the layer", name)
    end)
  end)
end)
