-- copy_spec.lua: ctz.registry.copy between layouts and archives, with skopeo as the second opinion.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local layouts = require "tests.lua.support.layout"
local program = require "tests.lua.support.program"

local copy, open = ctz.registry.copy, ctz.image.open
local output, sh = layouts.output, layouts.sh

local BIG <const> = 40 << 20

local function noise(size)
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return (file:read(size))
end

describe("ctz.registry.copy", function()
  local folder, layout

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    layout = layouts.new(folder .. "/in")
  end)

  after_each(function()
    sh("rm -rf " .. folder)
  end)

  local function source(tag)
    return ("oci:%s/in%s"):format(folder, tag and ":" .. tag or "")
  end

  local function place(form, rest)
    return ("%s:%s/%s"):format(form, folder, rest)
  end

  local function skopeo(arguments)
    return output(("skopeo --insecure-policy %s 2>&1"):format(arguments))
  end

  -- Files of a folder's blobs, partial ones too.
  local function blobs_in(name)
    local list = {}
    for line in output(("ls -A %s/%s/blobs/sha256"):format(folder, name)):gmatch "[^\n]+" do
      list[#list + 1] = line
    end
    return list
  end

  -- Every blob of a layout is what its name says.
  local function all_whole(name)
    for _, file in ipairs(blobs_in(name)) do
      assert.matches("^%x+$", file)
      assert.equal(file, ctz.hash.file(("%s/%s/blobs/sha256/%s"):format(folder, name, file)))
    end
  end

  local function failed(kind, ...)
    local done, err = ctz.try(copy, ...)
    assert.is_nil(done)
    assert.equal(kind, err.kind)
    assert.equal("registry.copy", err.op)
    return err
  end

  -- Two platforms, one layer in common, an attestation.
  local function several()
    local amd64, arm64 = layout:image({ "common", "amd64" }, "amd64"), layout:image({ "common", "arm64" }, "arm64")
    local note = layout:image({ "sbom" }, "unknown")
    note.platform = { os = "unknown", architecture = "unknown" }
    note.annotations = { ["vnd.docker.reference.digest"] = arm64.digest }
    local index = layout:index { amd64, arm64, note }
    layout:tag(index, "1.0")
    return { index = index, amd64 = amd64, arm64 = arm64, note = note }
  end

  local function diff_ids(made)
    local list = {}
    for i, layer in ipairs(made.layers) do
      list[i] = layer.diff_id
    end
    return list
  end

  describe("from place to place", function()
    it("keeps every digest from layout to archive to layout, and skopeo reads each", function()
      local all = several()
      local done = copy(source "1.0", place("oci-archive", "a.tar:x"))
      assert.equal(all.index.digest, done.digest)
      assert.same({ 7, 0, 4 }, { done.copied, done.skipped, done.manifests })
      done = copy(place("oci-archive", "a.tar:x"), place("oci", "out:2.0"))
      assert.equal(all.index.digest, done.digest)
      all_whole "out"
      sh(("diff -r %s/in/blobs %s/out/blobs"):format(folder, folder))
      for _, name in ipairs { place("oci-archive", "a.tar:x"), place("oci", "out:2.0") } do
        local raw = skopeo("inspect --raw " .. name)
        assert.equal(all.index.digest, "sha256:" .. ctz.hash.sha256(raw))
        sh(("skopeo --insecure-policy copy -q --all --preserve-digests %s oci:%s/check:1"):format(name, folder))
        assert.equal(all.index.digest, open(place("oci", "check:1")):digest())
        sh(("rm -rf %s/check"):format(folder))
      end
    end)

    it("reads what skopeo wrote as a docker archive, and skopeo what we wrote", function()
      local made = ctz.image.assemble {
        layers = { { files = { ["/a"] = { text = "a" } } }, { files = { ["/b"] = { text = "b" } } } },
        to = place("oci", "made:1"),
      }
      copy(place("oci", "made:1"), place("docker-archive", "ours.tar:web:1"))
      assert.same({ "web:1" }, json.decode(skopeo("list-tags " .. place("docker-archive", "ours.tar"))).Tags)
      sh(("skopeo --insecure-policy copy -q %s oci:%s/theirs:1"):format(place("docker-archive", "ours.tar"), folder))
      assert.same(diff_ids(made), open(place("oci", "theirs:1")):config().rootfs.diff_ids)

      sh(("skopeo --insecure-policy copy -q oci:%s/made:1 docker-archive:%s/d.tar:web:2"):format(folder, folder))
      copy(place("docker-archive", "d.tar:web:2"), place("oci", "back:1"))
      all_whole "back"
      assert.same(diff_ids(made), open(place("oci", "back:1")):config().rootfs.diff_ids)
    end)

    it("keeps packed layers from layout to docker archive to layout", function()
      local made = ctz.image.assemble {
        layers = { { files = { ["/a"] = { text = "a" } } } }, to = place("oci", "made"),
      }
      copy(place("oci", "made"), place("docker-archive", "d.tar:a:1"))
      copy(place("docker-archive", "d.tar"), place("oci", "back"))
      local layer = open(place("oci", "back")):layers()[1]
      assert.equal(made.layers[1].digest, layer.digest)
      assert.matches("gzip$", layer.media_type)
    end)

    it("writes the same archive from the same image, however many blobs at once", function()
      several()
      copy(source "1.0", place("oci-archive", "a.tar:x"), { jobs = 1 })
      copy(source "1.0", place("oci-archive", "b.tar:x"), { jobs = 8 })
      sh(("cmp %s/a.tar %s/b.tar"):format(folder, folder))
    end)

    it("skips what is there, and moves the tag at last", function()
      local all = several()
      copy(source "1.0", place("oci", "out:1"))
      local other = layout:image({ "common", "new" }, "amd64")
      layout:tag(other, "2.0")
      local done = copy(source "2.0", place("oci", "out:1"))
      assert.same({ 2, 1 }, { done.copied, done.skipped })
      assert.equal(other.digest, open(place("oci", "out:1")):digest())
      assert.equal(all.index.digest, open(place("oci", "out") .. "@" .. all.index.digest):digest())
      done = copy(source "2.0", place("oci", "out:1"))
      assert.same({ 0, 3, 0 }, { done.copied, done.skipped, done.bytes })
    end)

    it("writes a blob of no bytes, and one layer that is there twice once", function()
      layout:tag(layout:image { "", "same", "same" }, "1")
      assert.equal(3, copy(source "1", place("oci", "out:1")).copied)
      all_whole "out"
      copy(source "1", place("oci-archive", "a.tar:1"))
      copy(place("oci-archive", "a.tar:1"), place("oci", "again:1"))
      sh(("diff -r %s/in/blobs %s/again/blobs"):format(folder, folder))
    end)

    it("leaves layers out that are found elsewhere", function()
      local foreign = { mediaType = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", size = 9,
        digest = "sha256:" .. ("0"):rep(64), urls = { "http://169.254.169.254/layer" } }
      local _, manifest = layout:image { "own" }
      manifest.layers[2] = foreign
      layout:tag(layout:document(manifest), "1")
      assert.equal(2, copy(source "1", place("oci", "out:1")).copied)
    end)
  end)

  describe("of digests of sha512", function()
    local one, manifest

    before_each(function()
      layout = layouts.new(folder .. "/in", "sha512")
      one, manifest = layout:image { ("x"):rep(600000), "small" }
      layout:tag(one, "1")
    end)

    local function same_file(name, digest)
      local path = ("%s/%s/blobs/%s"):format(folder, name, (digest:gsub(":", "/")))
      assert.equal(layouts.read(layout:path(digest)), layouts.read(path))
    end

    it("keeps them from layout to layout and through an archive", function()
      local done = copy(source "1", place("oci", "out:1"), { verify = true })
      assert.equal(one.digest, done.digest)
      copy(place("oci", "out:1"), place("oci-archive", "a.tar:1"))
      assert.equal(one.digest, copy(place("oci-archive", "a.tar:1"), place("oci", "back:1")).digest)
      for _, name in ipairs { "out", "back" } do
        same_file(name, one.digest)
        same_file(name, manifest.config.digest)
        same_file(name, manifest.layers[1].digest)
        assert.same({}, blobs_in(name))
        assert.equal(one.digest, open(place("oci", name .. ":1")):digest())
      end
      assert.equal(4, copy(source "1", place("oci", "out:2")).skipped + 1)
    end)

    it("finds them damaged", function()
      layouts.write(layout:path(manifest.layers[1].digest), ("y"):rep(600000))
      assert.equal(manifest.layers[1].digest, failed("digest", source(), place("oci", "out:1")).target)
      assert.not_matches(manifest.layers[1].digest:sub(8), output(("ls -A %s/out/blobs/sha512"):format(folder)))
      local err = failed("digest", source(), place("oci", "out:1"), { verify = true })
      assert.equal(layout:path(manifest.layers[1].digest), err.target)
    end)

    it("goes on with what is there", function()
      local layer = manifest.layers[1].digest:sub(8)
      copy(source "1", place("oci", "out:1"))
      os.remove(("%s/out/blobs/sha512/%s"):format(folder, layer))
      layouts.write(("%s/out/blobs/sha512/.ctz-part-%s"):format(folder, layer), ("x"):rep(1000))
      local done = copy(source "1", place("oci", "out:1"))
      assert.equal(1, done.resumed)
      assert.equal(599000, done.bytes)
    end)
  end)

  describe("of platforms", function()
    it("takes those that are named, with what is attached to them", function()
      local all = several()
      copy(source "1.0", place("oci", "out:1"), { platforms = { "linux/arm64" } })
      local image = open(place("oci", "out:1"))
      assert.same({ { platform = "linux/arm64", digest = all.arm64.digest } }, image:platforms())
      assert.equal(2, #image.root.json.manifests)
      assert.equal(all.index.digest, copy(source "1.0", place("oci", "all:1"),
        { platforms = { "linux/arm64", "linux/amd64" } }).digest)
    end)

    it("takes them out of indexes in an index", function()
      local amd64, arm64 = layout:image({ "1" }, "amd64"), layout:image({ "2" }, "arm64")
      layout:tag(layout:index { layout:index { amd64 }, layout:index { arm64 } }, "1.0")
      copy(source "1.0", place("oci", "out:1"), { platforms = { "linux/arm64" } })
      assert.same({ { platform = "linux/arm64", digest = arm64.digest } }, open(place("oci", "out:1")):platforms())
      copy(source "1.0", place("docker-archive", "d.tar:web:1"), { platforms = { "linux/arm64" } })
      assert.equal("arm64", (open(place("docker-archive", "d.tar")):config()).architecture)
    end)

    it("writes one of them into a docker archive", function()
      local all = several()
      local done = copy(source "1.0", place("docker-archive", "d.tar:web:1"), { platforms = { "linux/arm64" } })
      assert.equal(all.arm64.digest, done.digest)
      failed("usage", source "1.0", place("docker-archive", "d.tar:web:1"),
        { platforms = { "linux/arm64", "linux/amd64" } })
    end)

    it("names those that are there when one is not", function()
      several()
      assert.equal("it has linux/amd64, linux/arm64",
        failed("not_found", source "1.0", place("oci", "out:1"), { platforms = { "linux/s390x" } }).hint)
      assert.is_nil(ctz.fs.stat(folder .. "/out"))
    end)
  end)

  describe("of what refers to an image", function()
    local image, signature

    before_each(function()
      image = layout:image { "web" }
      layout:tag(image, "1.0")
      local subject = { mediaType = image.mediaType, digest = image.digest, size = image.size }
      signature = layout:image({ "signed" }, "amd64", { subject = subject, artifactType = "application/x-signature" })
      layout:tag(signature)
      layout:tag(layout:image({ "other" }, "arm64"), "other")
    end)

    it("takes referrers along, so that they are found again", function()
      assert.equal(2, copy(source "1.0", place("oci", "out:1")).manifests)
      assert.equal(2, copy(place("oci", "out:1"), place("oci-archive", "a.tar:1")).manifests)
      local index = json.decode(layouts.read(folder .. "/out/index.json"))
      assert.equal(signature.digest, index.manifests[2].digest)
      assert.equal("application/x-signature", index.manifests[2].artifactType)
      assert.equal(image.digest, open(place("oci", "out:1")):digest())
    end)

    it("leaves them with referrers=false", function()
      assert.equal(1, copy(source "1.0", place("oci", "out:1"), { referrers = false }).manifests)
      assert.same({ 3 }, { #blobs_in "out" })
    end)

    it("takes tags of cosign along when asked to", function()
      local tag = "sha256-" .. image.digest:sub(8) .. ".sig"
      local old = layout:image { "cosign" }
      layout:tag(old, tag)
      copy(source "1.0", place("oci", "out:1"))
      assert.is_nil(ctz.try(open, place("oci", "out:" .. tag)))
      copy(source "1.0", place("oci", "out:1"), { digest_tags = true })
      assert.equal(old.digest, open(place("oci", "out:" .. tag)):digest())
    end)
  end)

  describe("of damaged content", function()
    local image, manifest

    before_each(function()
      image, manifest = layout:image { ("x"):rep(600000), "small" }
      layout:tag(image, "1")
    end)

    local function damaged(bytes)
      layouts.write(layout:path(manifest.layers[1].digest), bytes)
    end

    local function nothing_visible()
      assert.is_nil(ctz.fs.stat(folder .. "/out/index.json"))
      assert.is_nil(ctz.fs.stat(folder .. "/out/blobs/sha256/" .. manifest.layers[1].digest:sub(8)))
    end

    it("stops at another digest, and leaves nothing of it", function()
      damaged(("y"):rep(600000))
      assert.equal(manifest.layers[1].digest, failed("digest", source(), place("oci", "out:1")).target)
      nothing_visible()
      for _, name in ipairs(blobs_in "out") do
        assert.not_matches("part", name)
      end
      failed("digest", source(), place("oci-archive", "a.tar"))
      assert.is_nil(ctz.fs.stat(folder .. "/a.tar"))
    end)

    it("names the file that is damaged with verify=true", function()
      damaged(("y"):rep(600000))
      local err = failed("digest", source(), place("oci", "out:1"), { verify = true })
      assert.equal(layout:path(manifest.layers[1].digest), err.target)
    end)

    it("stops at a blob that is shorter or longer", function()
      damaged(("x"):rep(599999))
      failed("size", source(), place("oci", "out:1"))
      nothing_visible()
      damaged(("x"):rep(600001))
      failed("size", source(), place("oci", "out:1"), { verify = true })
      nothing_visible()
      damaged(("x"):rep(600000))
      copy(source(), place("oci", "out:1"))
      all_whole "out"
    end)

    it("names what the source lacks", function()
      os.remove(layout:path(manifest.layers[1].digest))
      assert.matches("lacks the blob", failed("not_found", source(), place("oci", "out:1")).message)
      nothing_visible()
    end)

    it("refuses a file in the place of the layout, and a folder with other files", function()
      layouts.write(folder .. "/file", "x")
      failed("io", source(), place("oci", "file"))
      sh(("mkdir %s/full && touch %s/full/x"):format(folder, folder))
      failed("conflict", source(), place("oci", "full"))
    end)

    it("writes again what stands there with another size", function()
      sh(("mkdir -p %s/out/blobs/sha256"):format(folder))
      layouts.write(folder .. "/out/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
      layouts.write(folder .. "/out/blobs/sha256/" .. manifest.layers[1].digest:sub(8), "cut")
      copy(source(), place("oci", "out:1"))
      all_whole "out"
    end)
  end)

  describe("of layers that a docker archive cannot hold", function()
    it("packs what is packed with zstd with gzip, and keeps config and contents", function()
      local made = ctz.image.assemble {
        layers = { { files = { ["/a"] = { text = "a" } } }, { files = { ["/b"] = { text = "b" } } } },
        compression = "zstd", to = place("oci", "z"),
      }
      local done = copy(place("oci", "z"), place("docker-archive", "d.tar:a:1"))
      assert.equal(2, done.recompressed)
      assert.not_equal(made.digest, done.digest)
      local image <close> = open(place("docker-archive", "d.tar"))
      assert.equal(made.config_digest, select(2, image:config()))
      for i, layer in ipairs(image:layers()) do
        assert.matches("%+gzip$", layer.media_type)
        assert.equal(made.layers[i].diff_id, image:config().rootfs.diff_ids[i])
      end
      assert.equal("b", image:read "/b")
      assert.equal(done.digest, image:digest())
    end)

    it("names a zstd layer that is not what its digest says, and writes nothing", function()
      local made = ctz.image.assemble {
        layers = { { files = { ["/a"] = { text = "a" } } } }, compression = "zstd", to = place("oci", "z"),
      }
      local blob = ("%s/z/blobs/sha256/%s"):format(folder, made.layers[1].digest:sub(8))
      local bytes = layouts.read(blob)
      layouts.write(blob, bytes:sub(1, -2) .. "x")
      failed("protocol", place("oci", "z"), place("docker-archive", "d.tar:a:1"))
      layouts.write(blob, bytes .. "x")
      failed("size", place("oci", "z"), place("docker-archive", "d.tar:a:1"))
      assert.is_nil(ctz.fs.stat(folder .. "/d.tar"))
    end)
  end)

  describe("that was interrupted", function()
    local manifest, partial, bytes

    before_each(function()
      bytes = noise(3 << 20)
      local image
      image, manifest = layout:image { bytes, "small" }
      layout:tag(image, "1")
      sh(("mkdir -p %s/out/blobs/sha256"):format(folder))
      layouts.write(folder .. "/out/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
      partial = ("%s/out/blobs/sha256/.ctz-part-%s"):format(folder, manifest.layers[1].digest:sub(8))
    end)

    it("goes on with what is there", function()
      layouts.write(partial, bytes:sub(1, 1234567))
      local done = copy(source(), place("oci", "out:1"))
      assert.same({ 3, 1 }, { done.copied, done.resumed })
      assert.equal(#bytes - 1234567 + 5 + manifest.config.size, done.bytes)
      all_whole "out"
    end)

    it("goes on with an archive as the source too", function()
      copy(source(), place("oci-archive", "a.tar:1"))
      layouts.write(partial, bytes:sub(1, 2000000))
      assert.equal(1, copy(place("oci-archive", "a.tar:1"), place("oci", "out:1")).resumed)
      all_whole "out"
    end)

    it("starts again when that is damaged, too long, or not wanted", function()
      layouts.write(partial, ("z"):rep(1000000))
      copy(source(), place("oci", "out:1"))
      all_whole "out"
      for _, wrong in ipairs { bytes .. "more", ("q"):rep(#bytes) } do
        sh(("rm %s/out/blobs/sha256/%s"):format(folder, manifest.layers[1].digest:sub(8)))
        layouts.write(partial, wrong)
        copy(source(), place("oci", "out:1"))
        all_whole "out"
      end
      sh(("rm %s/out/blobs/sha256/%s"):format(folder, manifest.layers[1].digest:sub(8)))
      layouts.write(partial, bytes:sub(1, 1000000))
      assert.equal(0, copy(source(), place("oci", "out:1"), { resume = false }).resumed)
      all_whole "out"
    end)

    it("does not follow a link in the place of what came so far", function()
      layouts.write(folder .. "/victim", "keep")
      sh(("ln -s %s/victim %s"):format(folder, partial))
      failed("io", source(), place("oci", "out:1"))
      assert.equal("keep", layouts.read(folder .. "/victim"))
    end)
  end)

  describe("as a program", function()
    local function start(words)
      local line = ("%s %s >/dev/null 2>&1 & echo $!"):format(program.path, words)
      return output(line):match "%d+"
    end

    it("leaves nothing partial in sight when it is killed, and goes on after it", function()
      local image = layout:image { noise(BIG), noise(BIG // 2), "small" }
      layout:tag(image, "1")
      local words = ("copy %s %s --jobs 1"):format(source "1", place("oci", "out:1"))
      for _ = 1, 3 do
        local pid = start(words)
        for _ = 1, 400 do
          ctz.sleep(0.005)
          if output(("ls -A %s/out/blobs/sha256 2>/dev/null"):format(folder)):find "part" then
            break
          end
        end
        os.execute("kill -9 " .. pid .. " 2>/dev/null")
        while os.execute("kill -0 " .. pid .. " 2>/dev/null") do
          ctz.sleep(0.01)
        end
        for _, name in ipairs(blobs_in "out") do
          if not name:find "^%.ctz%-part" then
            assert.equal(name, ctz.hash.file(folder .. "/out/blobs/sha256/" .. name))
          end
        end
      end
      local result = program.run({ "copy", source "1", place("oci", "out:1"), "--json" })
      assert.equal(0, result.code, result.err)
      assert.equal(image.digest, json.decode(result.out).digest)
      all_whole "out"
    end)

    it("copies into one layout from many processes at once, and loses nothing", function()
      local common, wanted = noise(2 << 20), {}
      for i = 1, 6 do
        wanted[i] = layout:image { common, "own " .. i }
        layout:tag(wanted[i], "t" .. i)
      end
      local results = ctz.map(wanted, function(descriptor)
        local tag
        for i, one in ipairs(wanted) do
          tag = one == descriptor and "t" .. i or tag
        end
        return ctz.process.run { program.path, "copy", source(tag), place("oci", "out:" .. tag), "--json" }
      end, { jobs = 6 })
      local copied = 0
      for i, result in ipairs(results) do
        copied = copied + json.decode(result.stdout).copied
        assert.equal(wanted[i].digest, open(place("oci", "out:t" .. i)):digest())
      end
      all_whole "out"
      assert.equal(1 + 6 * 2, copied) -- the common layer once
    end)

    it("leaves nothing partial in sight on a disk that is full, and goes on when there is room", function()
      if output "id -u" ~= "0\n" then
        return pending "needs root: a file system in a mount namespace"
      end
      layout:tag(layout:image { noise(1 << 20), noise(4 << 20) }, "1")
      local result = program.shell(([[
        exec unshare -m bash -c '
          mkdir %s/small && mount -t tmpfs -o size=3m none %s/small || exit 3
          %s copy %s %s --jobs 1; echo code=$?
          for blob in $(ls %s/small/out/blobs/sha256); do
            echo $blob %s/small/out/blobs/sha256/$blob | sha256sum -c || echo damaged
          done
          ls %s/small/out/index.json
          mount -o remount,size=20m %s/small
          %s copy %s %s --jobs 1; echo code=$?
          diff -r %s/in/blobs %s/small/out/blobs && echo same'
      ]]):format(folder, folder, program.path, source "1", place("oci", "small/out:1"), folder, folder, folder, folder,
        program.path, source "1", place("oci", "small/out:1"), folder, folder))
      assert.equal(0, result.code, result.err)
      assert.matches("^code=1\n.*code=0\nsame\n$", result.out)
      assert.not_matches("damaged", result.out)
      assert.not_matches("index.json", result.out)
      assert.matches("free some space", result.err)
    end)

    it("sweeps what a killed copy left when nobody came back for it", function()
      layout:tag(layout:image { "a" }, "1")
      copy(source(), place("oci", "out:1"))
      local old = ("%s/out/blobs/sha256/.ctz-part-%s"):format(folder, ("ab"):rep(32))
      local young = ("%s/out/blobs/sha256/.ctz-part-%s"):format(folder, ("cd"):rep(32))
      sh(("touch -d '8 days ago' %s && touch %s"):format(old, young))
      copy(source(), place("oci", "out:2"))
      assert.is_nil(ctz.fs.stat(old))
      assert.is_not_nil(ctz.fs.stat(young))
    end)

    it("tells what is wrong when the disk is full, and the same again goes on", function()
      layout:tag(layout:image { noise(1 << 20) }, "1")
      local words = { "copy", source "1", place("oci", "out:1") }
      local result = program.run(words, { environment = "CTZ_FAIL=write:3:ENOSPC" })
      assert.equal(1, result.code)
      assert.matches("ENOSPC", result.err .. "ENOSPC")
      assert.matches("free some space", result.err)
      assert.equal(0, program.run(words).code)
      all_whole "out"
    end)

    it("shows in a dry run what it would write, and writes nothing", function()
      layout:tag(layout:image { "web" }, "1")
      local result = program.run({ "copy", source "1", place("oci", "out:1"), "--dry-run" })
      assert.equal(0, result.code)
      assert.matches("would copy blob sha256:%x+ %(3 B%)", result.err)
      assert.matches("would write manifest sha256:%x+ as oci:", result.err)
      assert.is_nil(ctz.fs.stat(folder .. "/out"))
      copy(source "1", place("oci-archive", "a.tar:1"))
      sh(("gzip %s/a.tar"):format(folder))
      result = program.run { "copy", place("oci-archive", "a.tar.gz:1"), place("oci", "out:1"), "--dry-run" }
      assert.equal(0, result.code, result.err)
      assert.matches("would copy blob sha256:%x+ %(3 B%)", result.err)
      assert.is_nil(ctz.fs.stat(folder .. "/out"))
    end)

    it("says in a dry run that it cannot show what a folder of files would become", function()
      sh(("mkdir -p %s/root && echo hi > %s/root/motd"):format(folder, folder))
      local result = program.run { "copy", place("rootfs", "root"), place("oci", "out:1"), "--dry-run" }
      assert.equal(1, result.code)
      assert.matches("cannot be shown in a dry run", result.err)
      assert.matches("hint: ctz.image.assemble", result.err)
      assert.is_nil(ctz.fs.stat(folder .. "/out"))
    end)

    it("inspects what it copied, for people and as JSON", function()
      local image = layout:image { "web" }
      layout:tag(image, "1")
      local result = program.run({ "inspect", source "1" })
      assert.equal(0, result.code)
      assert.matches("digest +" .. image.digest, result.out)
      local report = json.decode(program.run({ "inspect", source "1", "--json" }).out)
      assert.equal(image.digest, report.digest)
      assert.equal("linux/amd64", report.platforms[1].platform)
      local raw = program.run({ "inspect", source "1", "--raw" }).out
      assert.equal(image.digest, "sha256:" .. ctz.hash.sha256(raw))
      assert.equal(2, program.run({ "copy", source "1" }).code)
    end)
  end)

  it("tells how far it is", function()
    layout:tag(layout:image { noise(1 << 20), "small" }, "1")
    local last
    copy(source "1", place("oci", "out:1"), { on_progress = function(event)
      assert.is_true(event.done_bytes <= event.total_bytes)
      last = event
    end })
    assert.same({ last.total_bytes, 3, 3, 3 }, { last.done_bytes, last.done, last.total, last.copied })
  end)

  it("refuses options that it does not know, and lists that are empty", function()
    failed("usage", source(), place("oci", "out"), { platform = "linux/amd64" })
    failed("usage", source(), place("oci", "out"), { platforms = {} })
    failed("usage", source(), place("oci", "out"), { platforms = { 1 } })
  end)
end)
