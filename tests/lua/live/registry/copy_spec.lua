-- copy_spec.lua: ctz.registry.copy and ctz.image.open with real registries, skopeo as the second opinion.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local layouts = require "tests.lua.support.layout"
local program = require "tests.lua.support.program"
local registry = require "tests.lua.support.registries"

local copy, open = ctz.registry.copy, ctz.image.open
local output, sh = layouts.output, layouts.sh

local function noise(size)
  local file <close> = assert(io.open("/dev/urandom", "rb"))
  return (file:read(size))
end

describe("ctz.registry.copy with a registry #live", function()
  local folder, layout, repo

  before_each(function()
    folder = os.tmpname()
    os.remove(folder)
    layout = layouts.new(folder .. "/in")
    repo = registry.host "plain" .. "/" .. registry.repo()
  end)

  after_each(function()
    sh("rm -rf " .. folder)
  end)

  local function source(tag)
    return ("oci:%s/in:%s"):format(folder, tag)
  end

  local function target(name)
    return ("oci:%s/%s"):format(folder, name)
  end

  local function same_blobs(name)
    sh(("diff -r %s/in/blobs %s/%s/blobs"):format(folder, folder, name))
  end

  local function several()
    local amd64, arm64 = layout:image({ "common", noise(3 << 20) }, "amd64"), layout:image({ "common", "arm" }, "arm64")
    local index = layout:index { amd64, arm64 }
    layout:tag(index, "1")
    return index, amd64, arm64
  end

  it("keeps every digest from layout to registry to layout, and skopeo reads it", function()
    local index = several()
    local done = copy(source "1", repo .. ":1")
    assert.same({ index.digest, 5, 0 }, { done.digest, done.copied, done.skipped })
    local raw = output("skopeo --insecure-policy inspect --raw --tls-verify=false docker://" .. repo .. ":1")
    assert.equal(index.digest, "sha256:" .. ctz.hash.sha256(raw))
    assert.equal(index.digest, copy(repo .. ":1", target "out:1").digest)
    same_blobs "out"
  end)

  it("reads what skopeo pushed", function()
    local _, amd64 = several()
    local line = "skopeo --insecure-policy copy -q --preserve-digests --override-arch amd64 --dest-tls-verify=false"
    sh(("%s %s docker://%s:s"):format(line, source "1", repo))
    local image = open(repo .. ":s")
    assert.equal(amd64.digest, image:digest())
    assert.equal("amd64", (image:config()).architecture)
    copy(repo .. ":s", ("docker-archive:%s/d.tar:web:1"):format(folder))
    assert.equal("amd64", (open(("docker-archive:%s/d.tar"):format(folder)):config()).architecture)
  end)

  it("skips what is there, and mounts what another repository has", function()
    several()
    copy(source "1", repo .. ":1")
    assert.same({ 0, 0 }, (function(done)
      return { done.copied, done.bytes }
    end)(copy(source "1", repo .. ":2")))
    local done = copy(repo .. ":1", repo .. "/other:1")
    assert.same({ 0, 5 }, { done.copied, done.mounted })
    assert.equal(open(repo .. ":1"):digest(), open(repo .. "/other:1"):digest())
  end)

  it("copies from registry to registry", function()
    local index = several()
    copy(source "1", repo .. ":1")
    local other = registry.host "fixed" .. "/" .. registry.repo()
    assert.same({ 5, 0 }, (function(done)
      return { done.copied, done.mounted }
    end)(copy(repo .. ":1", other .. ":1")))
    assert.equal(index.digest, copy(other .. ":1", target "out:1").digest)
    same_blobs "out"
  end)

  it("takes referrers along", function()
    local image = layout:image { "web" }
    layout:tag(image, "1")
    local subject = { mediaType = image.mediaType, digest = image.digest, size = image.size }
    layout:tag(layout:image({ "signed" }, "amd64", { subject = subject, artifactType = "application/x-signature" }))
    copy(source "1", repo .. ":1")
    local client = registry.connect "plain"
    local name = repo:match "/(.*)$"
    assert.equal("application/x-signature", client:referrers(name, image.digest)[1].artifactType)
    assert.equal(2, copy(repo .. ":1", target "out:1").manifests)
    same_blobs "out"
  end)

  it("reaches each registry as registries says, by options or by a client", function()
    local index = several()
    local host, name = registry.host "tls", registry.host "basic"
    local there = ("%s/%s:1"):format(host, registry.repo())
    local registries = {
      [host] = { tls = { ca = registry.ca }, connections = 2 },
      [name] = ctz.registry.connect(name, { auth = registry.user }),
    }
    assert.equal(index.digest, copy(source "1", there, { registries = registries }).digest)
    assert.not_equal(nil, select(2, ctz.try(copy, source "1", there)))
    local here = ("%s/%s:1"):format(name, registry.repo())
    assert.equal(5, copy(there, here, { registries = registries }).copied)
    assert.equal(index.digest, copy(there, there .. "b", { registries = registries }).digest) -- two connections
    assert.equal(index.digest, open(here, { registries = registries }):digest())
    assert.equal("auth", select(2, ctz.try(open, here)).kind)
    local repository = here:gsub(":1$", "")
    local done = ctz.registry.sync { from = repository, to = there:gsub(":1$", "") .. "/more", registries = registries }
    assert.same({ "1" }, done.copied)
    assert.equal(0, #ctz.registry.retain(repository, { newest = 1, registries = registries }).goes)
    local listed = ctz.registry.manage { operation = "list", image = repository, registries = registries }
    assert.same({ "1" }, listed.tags)
  end)

  it("takes what was made of its image, and mounts the rest", function()
    several()
    copy(source "1", repo .. ":1")
    local opts = { labels = { team = "web" }, append = { { files = { ["/new"] = { text = "new" } } } } }
    local image <close> = open(repo .. ":1", { registries = {} })
    opts.to, opts.platform = repo .. "/made:1", "linux/amd64"
    local made = image:mutate(opts)
    local pushed <close> = open(opts.to)
    assert.equal(made.digest, pushed:digest())
    assert.equal("web", pushed:config().config.Labels.team)
    assert.equal(3, #pushed:layers())
    opts.to = target "made:1"
    assert.equal(made.digest, image:mutate(opts).digest)
    sh("skopeo --insecure-policy inspect --tls-verify=false docker://" .. repo .. "/made:1 >/dev/null")
    for _, layer in ipairs(pushed:layers()) do -- all of them are there
      assert.is_not_nil(registry.connect("plain"):has_blob(repo:match "/(.*)$" .. "/made", layer.digest))
    end
  end)

  it("takes a folder of files", function()
    sh(("mkdir -p %s/root/etc && echo hi > %s/root/etc/motd"):format(folder, folder))
    copy(("rootfs:%s/root"):format(folder), repo .. ":root")
    local image <close> = open(repo .. ":root")
    assert.equal("hi\n", image:read "/etc/motd")
  end)

  it("is where quickstart copies its image to", function()
    local lines = {}
    for _, to in ipairs { repo .. ":quick", ("docker-archive:%s/q.tar:quick:1"):format(folder) } do
      local result = program.run({ "run", "--json", "--quiet", "recipes/quickstart.lua",
        ("out=%s/out"):format(folder), "docker=no", "to=" .. to })
      assert.equal(0, result.code, result.err)
      local report = json.decode(result.out)
      local image <close> = open(to)
      assert.equal(report.digest, image:digest())
      assert.same({ to, report.digest }, { report.copied.name, report.copied.digest })
      lines[#lines + 1] = to
    end
    local raw = output("skopeo --insecure-policy inspect --raw --tls-verify=false docker://" .. repo .. ":quick")
    assert.equal(open(lines[2]):digest(), "sha256:" .. ctz.hash.sha256(raw))
    local failed = program.run { "run", "recipes/quickstart.lua", ("out=%s/out"):format(folder), "docker=no",
      "to=127.0.0.1:1/a:1" }
    assert.equal(69, failed.code)
  end)

  it("needs two connections to copy within one registry", function()
    several()
    copy(source "1", repo .. ":1")
    local one = { [registry.host "plain"] = { connections = 1 } }
    local _, err = ctz.try(copy, repo .. ":1", repo .. "/other:1", { registries = one })
    assert.equal("usage", err.kind)
    one[registry.host "plain"].connections = 2
    assert.equal(5, copy(repo .. ":1", repo .. "/more:1", { registries = one }).mounted)
  end)

  it("refuses registries that are none", function()
    for _, wrong in ipairs { { 1 }, { [""] = {} }, { x = true }, { ["x.example"] = { tsl = {} } } } do
      local _, err = ctz.try(copy, source "1", repo .. ":1", { registries = wrong })
      assert.equal("usage", err.kind)
    end
  end)

  it("goes on with what a download that was killed left", function()
    local bytes = noise(3 << 20)
    local _, manifest = layout:image { bytes }
    layout:tag(layout:document(manifest), "1")
    copy(source "1", repo .. ":1")
    sh(("mkdir -p %s/out/blobs/sha256"):format(folder))
    layouts.write(folder .. "/out/oci-layout", '{"imageLayoutVersion":"1.0.0"}')
    layouts.write(("%s/out/blobs/sha256/.ctz-part-%s"):format(folder, manifest.layers[1].digest:sub(8)),
      bytes:sub(1, 1000000))
    local done = copy(repo .. ":1", target "out:1")
    assert.same({ 1, #bytes - 1000000 + manifest.config.size }, { done.resumed, done.bytes })
    same_blobs "out"
  end)

  it("leaves nothing partial in sight when a download is killed, and goes on after it", function()
    local image = layout:image { noise(60 << 20), noise(20 << 20), "small" }
    layout:tag(image, "1")
    copy(source "1", repo .. ":1")
    local words = ("copy %s %s"):format(repo .. ":1", target "out:1")
    for i = 1, 4 do
      local pid = output(("%s %s >/dev/null 2>&1 & echo $!"):format(program.path, words)):match "%d+"
      ctz.sleep(0.03 * i)
      os.execute("kill -9 " .. pid .. " 2>/dev/null")
      for hex in output(("ls %s/out/blobs/sha256 2>/dev/null"):format(folder)):gmatch "%x+" do
        assert.equal(hex, ctz.hash.file(("%s/out/blobs/sha256/%s"):format(folder, hex)))
      end
      local found = ctz.try(open, target "out:1")
      assert.is_true(not found or found:digest() == image.digest)
    end
    assert.equal(image.digest, copy(repo .. ":1", target "out:1").digest)
    same_blobs "out"
  end)

  it("names a damaged blob before the registry has seen its end", function()
    local _, manifest = layout:image { ("x"):rep(600000) }
    layout:tag(layout:document(manifest), "1")
    layouts.write(layout:path(manifest.layers[1].digest), ("y"):rep(600000))
    local _, err = ctz.try(copy, source "1", repo .. ":1", { verify = true })
    assert.equal("digest", err.kind)
    assert.is_truthy(tostring(err):find(layout:path(manifest.layers[1].digest), 1, true), tostring(err))
    _, err = ctz.try(copy, source "1", repo .. ":1")
    assert.equal("digest", err.kind)
    assert.is_nil((ctz.try(open, repo .. ":1")))
  end)

  it("uses the credentials of docker login, with passwords and with tokens", function()
    local index = several()
    for _, kind in ipairs { "basic", "token" } do
      local host = registry.host(kind)
      local name = host .. "/" .. registry.repo() .. ":1"
      assert.equal("auth", select(2, ctz.try(copy, source "1", name)).kind)
      sh("mkdir -p " .. folder .. "/docker")
      layouts.write(folder .. "/docker/config.json", json.encode {
        auths = { [host] = { auth = ctz.base64.encode "user:secret word" } },
      })
      local opts = { environment = ("DOCKER_CONFIG=%s/docker"):format(folder) }
      assert.equal(index.digest .. "\n", program.run({ "copy", source "1", name }, opts).out)
      local result = program.run({ "copy", name, target(kind .. ":1") }, opts)
      assert.equal(0, result.code, result.err)
      same_blobs(kind)
    end
  end)

  it("shows in a dry run what it would send, and sends nothing", function()
    several()
    local result = program.run { "copy", source "1", repo .. ":1", "--dry-run" }
    assert.equal(0, result.code)
    assert.matches("would copy blob", result.err)
    assert.is_nil((ctz.try(open, repo .. ":1")))
  end)

  it("leaves nothing that cannot be pulled when a push is killed, and goes on after it", function()
    local image = layout:image { noise(60 << 20), noise(20 << 20), "small" }
    layout:tag(image, "1")
    local words = ("copy %s %s"):format(source "1", repo .. ":1")
    for i = 1, 3 do
      local pid = output(("%s %s >/dev/null 2>&1 & echo $!"):format(program.path, words)):match "%d+"
      ctz.sleep(0.05 * i)
      os.execute("kill -9 " .. pid .. " 2>/dev/null")
      local found = ctz.try(open, repo .. ":1")
      assert.is_true(not found or found:digest() == image.digest)
    end
    assert.equal(image.digest, copy(source "1", repo .. ":1").digest)
    copy(repo .. ":1", target "out:1")
    same_blobs "out"
  end)
end)
