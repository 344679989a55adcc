-- sync_spec.lua: ctz.registry.sync beside real registries.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local registry = require "tests.lua.support.registries"

local TAGS <const> = { "1.9", "1.10", "2.0-rc1", "2.0", "latest", "ci-7" }

describe("ctz.registry.sync #live", function()
  local client, from, to, digests

  setup(function()
    client, from, digests = registry.connect "plain", registry.repo(), {}
    for _, tag in ipairs(TAGS) do
      digests[tag] = registry.push(client, from, tag, tag).digest
    end
    client:attach(from, "2.0", { type = "application/spdx+json" })
  end)

  before_each(function()
    to = registry.repo()
  end)

  local function sync(opts)
    local all = { from = registry.host "plain" .. "/" .. from, to = registry.host "plain" .. "/" .. to }
    for name, value in pairs(opts or {}) do
      all[name] = value
    end
    return ctz.registry.sync(all)
  end

  local function tags()
    local list = {}
    for tag in client:tags(to) do
      list[#list + 1] = not tag:find "^sha256%-" and tag or nil
    end
    table.sort(list)
    return list
  end

  it("copies all tags with what refers to them, and the second time none", function()
    local record = sync()
    assert.equal(#TAGS, #record.copied)
    assert.same(digests, client:digests(to, TAGS))
    assert.equal("application/spdx+json", client:referrers(to, "2.0")[1].artifactType)
    record = sync()
    assert.same({}, record.copied)
    assert.equal(#TAGS, #record.unchanged)
    assert.equal(0, record.bytes)
  end)

  it("copies what a pattern fits, a range of versions, the newest of them", function()
    assert.same({ "ci-7" }, sync({ match = "^ci%-" }).copied)
    assert.same({ "1.10", "1.9" }, sync({ versions = ">=1.9 <2" }).copied)
    to = registry.repo()
    assert.same({ "2.0", "2.0-rc1" }, sync({ newest = 2 }).copied)
    assert.same({ "latest" }, sync({ newest = 1, by = "tag", match = "^%a+" }).copied)
  end)

  it("goes through what is the same with recheck, for what refers to it now", function()
    sync { match = "^1%.9$" }
    client:attach(from, "1.9", { type = "application/x-signature" })
    assert.same({ "1.9" }, sync({ match = "^1%.9$" }).unchanged)
    assert.equal(0, #client:referrers(to, "1.9"))
    assert.same({ "1.9" }, sync({ match = "^1%.9$", recheck = true }).copied)
    assert.equal(1, #client:referrers(to, "1.9"))
  end)

  it("removes nothing, and plans what is too much", function()
    for _, tag in ipairs { "0.1", "1.9", "other" } do
      registry.push(client, to, tag, "old " .. tag)
    end
    local record = sync { versions = ">=1", prune = true }
    assert.same({ "0.1", "1.10", "1.9", "2.0", "other" }, tags())
    assert.same({}, record.plan.goes) -- 0.1 is not in the range, so it is not ours
    record = sync { newest = 2, prune = true }
    local goes = {}
    for _, item in ipairs(record.plan.goes) do
      goes[#goes + 1] = not item.subject and item.tag or nil -- else the list of referrers of one
    end
    assert.same({ "0.1", "1.9", "1.10" }, goes)
    assert.same({ "0.1", "1.10", "1.9", "2.0", "2.0-rc1", "other" }, tags())
    record.plan:apply()
    assert.same({ "2.0", "2.0-rc1", "other" }, tags())
  end)

  it("goes on after one that fails, and raises with the record", function()
    local broken = registry.repo()
    for _, tag in ipairs { "1", "2", "3" } do
      registry.push(client, broken, tag, "broken " .. tag)
    end
    local layer = client:manifest(broken, "2").value.layers[1].digest
    client:delete_blob(broken, layer)
    local opts = { from = registry.host "plain" .. "/" .. broken, to = registry.host "plain" .. "/" .. to }
    local value, err = ctz.try(ctz.registry.sync, opts)
    assert.is_nil(value)
    assert.matches("1 of 3 tags could not be copied", err.message)
    assert.equal("2", err.result.failed[1].tag)
    assert.same({ "3", "1" }, err.result.copied)
    assert.same({ "1", "3" }, tags())
  end)

  it("fills a layout, and a registry from it", function()
    local folder <close> = ctz.fs.tempdir()
    local layout = "oci:" .. tostring(folder.path) .. "/images"
    assert.same({ "1.10", "1.9" }, sync({ to = layout, versions = "1.x" }).copied)
    assert.same({ "1.10", "1.9" }, sync({ to = layout, versions = "1.x" }).unchanged)
    assert.same({ "1.10", "1.9" }, sync({ from = layout }).copied)
    assert.same({ ["1.9"] = digests["1.9"], ["1.10"] = digests["1.10"] }, client:digests(to, { "1.9", "1.10" }))
  end)

  it("tells which tag comes next, and is only a plan in a dry run", function()
    local told = {}
    sync { versions = "1.x", on_tag = function(tag)
      told[#told + 1] = tag
    end }
    assert.same({ "1.10", "1.9" }, told)
    to = registry.repo()
    local result = program.run { "eval", "--dry-run",
      ("ctz.registry.sync{from=%q, to=%q, versions='1.x', prune=true}.copied"):format(
        registry.host "plain" .. "/" .. from, registry.host "plain" .. "/" .. to) }
    assert.equal(0, result.code, result.err)
    assert.matches("would write manifest", result.out .. result.err)
    assert.equal("not_found", select(2, ctz.try(tags)).kind)
  end)

  it("refuses what means nothing", function()
    local function kind(opts)
      local value, err = ctz.try(sync, opts)
      assert.is_nil(value)
      return err.kind
    end
    assert.equal("usage", kind { from = registry.host "plain" .. "/" .. from .. ":1.9" })
    assert.equal("usage", kind { to = "docker-archive:x.tar" })
    assert.equal("usage", kind { to = "oci:x:1" })
    assert.equal("usage", kind { versions = ">=x" })
    assert.equal("usage", kind { by = "tag" })
    assert.equal("usage", kind { newest = 1, by = "age" })
    assert.equal("usage", kind { to = "oci:x", prune = true })
    assert.equal("usage", kind { tag = "1" })
    assert.equal("not_found", kind { from = registry.host "plain" .. "/test/nowhere" })
  end)
end)
