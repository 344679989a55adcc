-- retain_spec.lua: ctz.registry.retain beside real registries.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local registry = require "tests.lua.support.registries"

local DAY <const> = 24 * 3600
local IMAGE <const> = "application/vnd.oci.image.manifest.v1+json"

describe("ctz.registry.retain #live", function()
  local client, repo, words

  before_each(function()
    client, repo, words = registry.connect "plain", registry.repo(), 0
  end)

  -- Pushes an image that was made so many days ago, with a layer of its own unless layer is given.
  local function push(tag, days, opts)
    opts, words = opts or {}, words + 1
    local config = ctz.json.encode {
      architecture = opts.architecture or "amd64", os = "linux", word = words, config = { Labels = opts.labels },
      created = days and ctz.time.format(ctz.time.now() - days * DAY, { digits = 9 }) or opts.created,
    }
    local layer = opts.layer or ("layer %s %d"):format(repo, words)
    local manifest = {
      schemaVersion = 2, mediaType = IMAGE,
      config = { mediaType = "application/vnd.oci.image.config.v1+json", size = #config,
        digest = client:put_blob(repo, config).digest },
      layers = ctz.json.array { { mediaType = "application/vnd.oci.image.layer.v1.tar", size = #layer,
        digest = client:put_blob(repo, layer).digest } },
    }
    local bytes = ctz.json.encode(manifest)
    local descriptor = client:put_manifest(repo, tag or "sha256:" .. ctz.hash.sha256(bytes), bytes)
    return descriptor.digest, #bytes + #config + #layer
  end

  local function tags()
    return registry.list(client:tags(repo))
  end

  local function names(items)
    local list = {}
    for i, item in ipairs(items) do
      list[i] = item.tag
    end
    table.sort(list)
    return list
  end

  local function whys(items)
    local map = {}
    for _, item in ipairs(items) do
      map[item.tag] = item.why
    end
    return map
  end

  local function plan(opts)
    return ctz.registry.retain(registry.host "plain" .. "/" .. repo, opts)
  end

  it("keeps the newest by the time of their config, and what is younger", function()
    for i, days in ipairs { 50, 10, 40, 1, 20 } do
      push("ci-" .. i, days)
    end
    push("main", 90)
    local made = plan { match = "^ci%-", newest = 1, younger = "15d" }
    assert.same({ "ci-1", "ci-3", "ci-5" }, names(made.goes))
    assert.same({
      ["ci-2"] = "is younger than 15d", ["ci-4"] = "is number 1 of the newest 1", main = "does not match",
    }, whys(made.stays))
    assert.equal(3, #made.manifests)
    local events = {}
    local record = made:apply { on_event = function(event)
      events[#events + 1] = event.state
    end }
    assert.same({ "ci-2", "ci-4", "main" }, tags())
    assert.equal(6, #record.removed)
    assert.equal(6, #events)
    assert.equal(made.bytes, record.bytes)
    for _, one in ipairs(made.manifests) do
      assert.is_nil(client:resolve(repo, one.digest))
    end
  end)

  it("counts the bytes that no image that stays has", function()
    local _, size = push("old", 9)
    local _, shared = push("shared", 8, { layer = "of both " .. repo })
    push("new", 1, { layer = "of both " .. repo })
    local made = plan { newest = 1 }
    assert.equal(size + shared - #("of both " .. repo), made.bytes)
  end)

  it("orders by version: rc1 before rc2 before the release, 3 before 3.1; what is none stays", function()
    for _, tag in ipairs { "3", "3.1-rc1", "3.1-rc10", "3.1-rc2", "3.1", "2.9", "latest" } do
      push(tag, 1)
    end
    local made = plan { by = "semver", newest = 2 }
    assert.same({ "3.1", "3.1-rc10", "latest" }, names(made.stays))
    assert.equal("is no version", whys(made.stays).latest)
    assert.same({ "2.9", "3", "3.1-rc1", "3.1-rc2" }, names(made.goes))
  end)

  it("orders by tag with its numbers", function()
    for _, tag in ipairs { "b-9", "b-10", "b-11" } do
      push(tag)
    end
    assert.same({ "b-10", "b-11" }, names(plan({ by = "tag", newest = 2 }).stays))
  end)

  it("never lets a tag go of which nothing tells the age", function()
    push("none")
    push("zero", nil, { created = "1970-01-01T00:00:00Z" })
    push("go", nil, { created = "0001-01-01T00:00:00Z" })
    push("odd", nil, { created = "yesterday" })
    local made = plan { younger = 0 }
    assert.equal(0, #made.goes)
    assert.equal("nothing tells when it was made", whys(made.stays).odd)
  end)

  it("reads the age from a label", function()
    push("a", 90, { labels = { ["org.opencontainers.image.created"] = ctz.time.format(ctz.time.now()) } })
    push("b", 1, { labels = { ["org.opencontainers.image.created"] = "2020-01-01T00:00:00Z" } })
    push("c", 90)
    assert.same({ "b" }, names(plan({ younger = "30d", label = "org.opencontainers.image.created" }).goes))
  end)

  it("keeps what is protected: tags, patterns, digests", function()
    local digest = push("one", 5)
    for _, tag in ipairs { "v1.0", "v1x0", "latest", "other" } do
      push(tag, 5)
    end
    local made = plan { newest = 0, protect = { "latest", "v1.*", digest } }
    assert.same({ "other", "v1x0" }, names(made.goes))
  end)

  it("removes a tag and no other one of the same image", function()
    local digest = push("old", 9)
    client:put_manifest(repo, "stable", client:manifest(repo, digest))
    local made = plan { newest = 0, protect = { "stable" } }
    assert.same({ "old" }, names(made.goes))
    assert.matches("its manifest belongs to stable$", made.goes[1].why)
    assert.equal(0, #made.manifests)
    assert.equal(0, made.bytes)
    made:apply()
    assert.same({ "stable" }, tags())
    assert.equal(digest, client:resolve(repo, "stable").digest)
  end)

  it("keeps the images of an index that stays, and what refers to them", function()
    local amd, arm = push("amd", 9), push("arm", 9, { architecture = "arm64" })
    local index = client:create_index(repo, "all", { "amd", "arm" }).digest
    local sbom = client:attach(repo, amd, { type = "application/spdx+json" }).digest
    local signature = client:attach(repo, sbom, { type = "application/x-signature" }).digest
    local made = plan { newest = 0, protect = { "all" } }
    assert.same({ "amd", "arm" }, names(made.goes))
    assert.equal(0, #made.manifests)
    made:apply()
    for _, digest in ipairs { amd, arm, index, sbom, signature } do
      assert.truthy(client:resolve(repo, digest), digest)
    end
    assert.equal(sbom, client:referrers(repo, amd)[1].digest)
  end)

  it("removes an index with its images and what refers to them, and leaves those of another one", function()
    local old, both, new = push(nil, 9), push(nil, 9), push(nil, 1)
    local first = client:create_index(repo, "1.0", { old, both }).digest
    client:create_index(repo, "2.0", { both, new })
    local sbom = client:attach(repo, old, { type = "application/spdx+json" }).digest
    local kept = client:attach(repo, both, { type = "application/spdx+json" }).digest
    local made = plan { newest = 1 }
    assert.same({ "1.0" }, { made.goes[1].tag })
    made:apply()
    for _, digest in ipairs { first, old, sbom } do
      assert.is_nil(client:resolve(repo, digest), digest)
    end
    for _, digest in ipairs { both, new, kept } do
      assert.truthy(client:resolve(repo, digest), digest)
    end
    assert.equal(kept, client:referrers(repo, both)[1].digest)
    for _, tag in ipairs(tags()) do
      assert.is_nil(tag:find(old:sub(8), 1, true), "the list of referrers of what is gone is gone: " .. tag)
    end
  end)

  it("keeps signatures under tags with their image, and removes them with it", function()
    local old, new = push("old", 9), push("new", 1)
    push(("sha256-%s.sig"):format(old:sub(8)), 9)
    push(("sha256-%s.sig"):format(new:sub(8)), 9)
    push(("sha256-%s.sig"):format(("0"):rep(64)), 9)
    local made = plan { newest = 1 }
    assert.equal(2, #made.goes)
    made:apply()
    assert.same({ "new", "sha256-" .. ("0"):rep(64) .. ".sig", "sha256-" .. new:sub(8) .. ".sig" }, tags())
  end)

  it("leaves the manifests with keep_untagged", function()
    local digest = push("old", 9)
    push("new", 1)
    local made = plan { newest = 1, keep_untagged = true }
    assert.equal(0, #made.manifests)
    made:apply()
    assert.same({ "new" }, tags())
    assert.truthy(client:resolve(repo, digest))
  end)

  it("leaves what was tagged or moved since the plan was made", function()
    local first, second = push("a", 9), push("b", 9)
    push("c", 9)
    local made = plan { newest = 0 }
    client:put_manifest(repo, "wanted", client:manifest(repo, first))
    local moved = push("b", 1)
    local record = made:apply()
    assert.same({ "b", "wanted" }, tags())
    assert.truthy(client:resolve(repo, first))
    assert.equal(moved, client:resolve(repo, "b").digest)
    assert.is_nil(client:resolve(repo, second))
    assert.same({ "b" }, names({ record.stayed[1] }))
  end)

  it("goes on after a failure, tells all of them, and leaves what belongs to them", function()
    for i = 1, 3 do
      push("t" .. i, i)
    end
    local made = plan { newest = 0 }
    local digest = made.goes[2].digest
    local real = made.client
    made.client = setmetatable({ delete = function(_, path, reference)
      if reference == "t2" then
        error(ctz.error { kind = "denied", message = "t2 is locked" })
      end
      return real:delete(path, reference)
    end }, { __index = function(_, name)
      return function(_, ...)
        return real[name](real, ...)
      end
    end })
    local _, err = ctz.try(made.apply, made)
    assert.equal("denied", err.kind)
    assert.matches("1 of 5 could not be removed", err.message)
    assert.equal("t2 is locked", err.cause.message)
    assert.equal("t2", err.result.failed[1].tag)
    assert.same({ "t2" }, tags())
    assert.truthy(client:resolve(repo, digest))
  end)

  it("says that a registry removes nothing", function()
    local fixed = registry.connect "fixed"
    local pushed = registry.push(fixed, repo, "one")
    local made = fixed:retain(repo, { newest = 0, by = "tag" })
    local record = made:apply { check = false }
    assert.equal(1, #record.failed)
    assert.equal("unsupported", record.failed[1].error.kind)
    assert.equal(0, record.bytes)
    assert.equal(pushed.digest, fixed:resolve(repo, "one").digest)
  end)

  it("believes the registry, and not a mirror that is behind", function()
    push("a", 5)
    push("b", 1)
    registry.push(registry.connect "fixed", repo, "a", "behind")
    local mirrored = registry.connect("plain", { mirrors = { (registry.host "fixed") } })
    local made = mirrored:retain(repo, { newest = 1 })
    assert.equal(client:resolve(repo, "a").digest, made.goes[1].digest)
    made:apply()
    assert.same({ "b" }, tags())
  end)

  it("uses the retention policy of the client", function()
    push("a", 5)
    push("b", 1)
    client.retention_policy = { newest = 1 }
    assert.same({ "a" }, names(client:retain(repo).goes))
  end)

  it("refuses what says nothing, is no pattern, no order, no repository", function()
    push("a", 5)
    local function kind(opts, name)
      local value, err = ctz.try(ctz.registry.retain, registry.host "plain" .. "/" .. (name or repo), opts)
      assert.is_nil(value)
      return err.kind
    end
    assert.equal("usage", kind { match = "a" })
    assert.equal("usage", kind { newest = 1, match = "[a" })
    assert.equal("usage", kind { newest = 1, by = "age" })
    assert.equal("usage", kind { newest = -1 })
    assert.equal("usage", kind { newest = 1, keep = 3 })
    assert.equal("usage", kind { newest = 1, protect = { 1 } })
    assert.equal("usage", kind({ newest = 1 }, repo .. ":a"))
    assert.equal("not_found", kind({ newest = 1 }, "test/nowhere"))
  end)
end)
