-- recipes_spec.lua: the recipes for registries as their headers say to run them.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local registry = require "tests.lua.support.registries"

local DAY <const> = 24 * 3600
local CREATED <const> = "org.opencontainers.image.created"

describe("recipes for registries #live", function()
  local client, repo, host

  before_each(function()
    client, repo, host = registry.connect "plain", registry.repo(), registry.host "plain"
  end)

  -- Pushes an image that its config and its label say to be so many days old.
  local function push(path, tag, days)
    local created = ctz.time.format(ctz.time.now() - (days or 0) * DAY)
    local config = ctz.json.encode { architecture = "amd64", os = "linux", created = created, word = tag,
      config = { Labels = { [CREATED] = created } } }
    local blob = client:put_blob(path, config)
    return client:put_manifest(path, tag, { layers = ctz.json.array {}, config = {
      mediaType = "application/vnd.oci.image.config.v1+json", digest = blob.digest, size = #config,
    } }).digest
  end

  local function run(recipe, words, options)
    local all = { "run", ("recipes/%s.lua"):format(recipe) }
    for _, word in ipairs(words) do
      all[#all + 1] = word
    end
    for _, word in ipairs(options or {}) do
      all[#all + 1] = word
    end
    local result = program.run(all)
    assert.equal(0, result.code, result.out .. result.err)
    return result.out
  end

  local function tags(path)
    return registry.list(client:tags(path))
  end

  it("retain shows first, and removes with apply", function()
    for tag, days in pairs { ["ci-1"] = 40, ["ci-2"] = 20, latest = 90, ["v1"] = 90 } do
      push(repo, tag, days)
    end
    local words = { ("repo=%s/%s"):format(host, repo), "younger=30d", "match=^ci%-%d+$" }
    assert.matches("goes +ci%-1 ", run("retain", words))
    assert.same({ "ci-1", "ci-2", "latest", "v1" }, tags(repo))
    words[4] = "apply=true"
    run("retain", words)
    assert.same({ "ci-2", "latest", "v1" }, tags(repo))
  end)

  it("retain prints its plan as JSON with --json", function()
    push(repo, "ci-1", 40)
    local out = run("retain", { ("repo=%s/%s"):format(host, repo) }, { "--json" })
    local plan = ctz.json.decode(out:match "^[^\n]+")
    assert.equal("ci-1", plan.goes[1].tag)
    assert.equal(host .. "/" .. repo, plan.repository)
  end)

  it("mirror-tags copies the highest versions, and drops those that no longer are", function()
    local image = repo .. "/alpine"
    for _, tag in ipairs { "3.9", "3.10", "3.11", "3.12", "3.12.1", "edge" } do
      push(image, tag)
    end
    local words = { ("to=%s/%s/mirror"):format(host, repo), ("images=%s/%s"):format(host, image), "newest=3" }
    run("mirror-tags", words)
    local copy = repo .. "/mirror/alpine"
    assert.same({ "3.10", "3.11", "3.12" }, tags(copy))
    push(image, "3.13")
    assert.matches("goes +3%.10 ", run("mirror-tags", words))
    assert.same({ "3.10", "3.11", "3.12", "3.13" }, tags(copy))
    words[4] = "prune=true"
    run("mirror-tags", words)
    assert.same({ "3.11", "3.12", "3.13" }, tags(copy))
  end)

  it("mirror-dated copies the newest dates, and drops older ones of the pattern", function()
    local copy = repo .. "/copy"
    for _, date in ipairs { "20240101", "20240201", "20240301", "20240401" } do
      push(repo, "testing-" .. date)
    end
    push(copy, "testing-20230101")
    push(copy, "stable-20230101")
    run("mirror-dated", { ("to=%s/%s"):format(host, copy), ("from=%s/%s"):format(host, repo) })
    assert.same({ "stable-20230101", "testing-20240201", "testing-20240301", "testing-20240401" }, tags(copy))
  end)

  it("delete-old-builds removes by the label; a dry run only shows it", function()
    for tag, days in pairs { ["ci-1"] = 40, ["ci-2"] = 20, ["ci-x"] = 90 } do
      push(repo, tag, days)
    end
    local words = { ("repo=%s/%s"):format(host, repo) }
    local result = program.run { "run", "--dry-run", "recipes/delete-old-builds.lua", words[1] }
    assert.equal(0, result.code, result.err)
    assert.matches(("would remove %s/%s:ci-1"):format(host, repo), result.out .. result.err, 1, true)
    assert.same({ "ci-1", "ci-2", "ci-x" }, tags(repo))
    run("delete-old-builds", words)
    assert.same({ "ci-2", "ci-x" }, tags(repo))
  end)

  it("rebase puts an image onto a newer base, each platform of an index onto its own", function()
    local folder <close> = ctz.fs.tempdir()
    local function make(tag, platform, ...)
      local layers = {}
      for i, text in ipairs { ... } do
        layers[i] = { files = { [("/%d"):format(i)] = { text = text } } }
      end
      local to = ("oci:%s/in:%s-%s"):format(folder, tag, (platform:gsub("/", "-")))
      local made = ctz.image.assemble { layers = layers, platform = platform, to = to }
      ctz.registry.copy(to, ("%s/%s:%s-%s"):format(host, repo, tag, (platform:gsub("/", "-"))))
      return made.digest
    end
    local platforms = { "linux/amd64", "linux/arm64" }
    for tag, texts in pairs { old = { "old" }, new = { "new" }, app = { "old", "app" } } do
      local digests = {}
      for i, platform in ipairs(platforms) do
        digests[i] = make(tag, platform, table.unpack(texts))
      end
      client:create_index(repo, tag, digests)
    end
    local function name(tag)
      return ("%s/%s:%s"):format(host, repo, tag)
    end
    run("rebase", { "image=" .. name "app", "from=" .. name "old", "to=" .. name "new", "target=" .. name "done" })
    local image <close> = ctz.image.open(name "done")
    assert.equal(2, #image:platforms())
    for _, platform in ipairs(platforms) do
      assert.equal("new", image:read("/1", { platform = platform }))
      assert.equal("app", image:read("/2", { platform = platform }))
    end
    assert.equal("old", ctz.image.open(name "app"):read("/1", { platform = "linux/arm64" }))
    run("rebase", { "image=" .. name "app-linux-arm64", "from=" .. name "old", "to=" .. name "new" })
    assert.equal("new", ctz.image.open(name "app-linux-arm64"):read "/1")
    local again = program.run { "run", "recipes/rebase.lua", "image=" .. name "done", "from=" .. name "old",
      "to=" .. name "new" }
    assert.equal(1, again.code)
    assert.matches("does not stand on", again.err)
  end)

  it("copy-to-airgap carries images out and in", function()
    local folder <close> = ctz.fs.tempdir()
    local usb = "folder=" .. folder.path .. "/usb"
    local digest = registry.push(client, repo, "1.0", "carried").digest
    client:attach(repo, "1.0", { type = "application/spdx+json" })
    run("copy-to-airgap", { "mode=out", usb, ("images=%s/%s:1.0"):format(host, repo) })
    local inside = registry.host "plain" .. "/inside"
    run("copy-to-airgap", { "mode=in", usb, "registry=" .. inside })
    assert.equal(digest, client:resolve("inside/" .. repo, "1.0").digest)
    assert.equal(1, #client:referrers("inside/" .. repo, "1.0"))
    assert.equal(2, program.run({ "run", "recipes/copy-to-airgap.lua", "mode=out", usb }).code)
  end)
end)
