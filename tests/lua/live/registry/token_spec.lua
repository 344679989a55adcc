-- token_spec.lua: retain, sync, copy and login beside a registry that asks a token server who we are.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local registry = require "tests.lua.support.registries"

local TAGS <const> = { "1.0", "1.1", "2.0", "ci-1", "ci-2", "ci-3" }

describe("beside a registry with tokens #live", function()
  local client, repo, digests

  before_each(function()
    client, repo, digests = registry.connect("token", { auth = registry.user }), registry.repo(), {}
    for _, tag in ipairs(TAGS) do
      digests[tag] = registry.push(client, repo, tag, repo .. tag).digest
    end
  end)

  local function place(name)
    return registry.host "token" .. "/" .. name
  end

  local function registries(password)
    return { [registry.host "token"] = { auth = { username = "user", password = password or registry.user.password } } }
  end

  local function tags_of(name)
    return registry.list(client:tags(name))
  end

  -- Of the scopes that tokens were asked for, those of a repository.
  local function scopes_of(name)
    local found = {}
    for _, one in ipairs(registry.asked()) do
      for _, scope in ipairs(one.scopes) do
        found[scope] = scope:find(name .. ":", 1, true) and true or nil
      end
    end
    return found
  end

  it("retain plans and removes, with a token that may", function()
    local rules = { match = "^ci%-", newest = 1, by = "tag", registries = registries() }
    local plan = ctz.registry.retain(place(repo), rules)
    assert.equal(2, #plan.goes)
    assert.same(TAGS, tags_of(repo))
    plan:apply()
    assert.same({ "1.0", "1.1", "2.0", "ci-3" }, tags_of(repo))
    local by_client = client:retain(repo, { match = "^%d", newest = 1, by = "semver" })
    by_client:apply()
    assert.same({ "2.0", "ci-3" }, tags_of(repo))
  end)

  it("retain removes nothing for who may not look", function()
    for _, given in ipairs { registries "wrong", { [registry.host "token"] = { auth = false } } } do
      local value, err = ctz.try(ctz.registry.retain, place(repo), { newest = 1, by = "tag", registries = given })
      assert.is_nil(value)
      assert.equal("auth", err.kind)
    end
    assert.same(TAGS, tags_of(repo))
  end)

  it("sync reads and writes, also within it, and prunes", function()
    local plain, out = registry.connect "plain", registry.repo()
    local record = ctz.registry.sync {
      from = place(repo), to = registry.host "plain" .. "/" .. out, match = "^%d", registries = registries(),
    }
    assert.same({ "2.0", "1.1", "1.0" }, record.copied)
    assert.equal(digests["1.0"], plain:resolve(out, "1.0").digest)
    local within = registry.repo()
    record = ctz.registry.sync { from = place(repo), to = place(within), registries = registries() }
    assert.equal(#TAGS, #record.copied)
    assert.same(digests, client:digests(within, TAGS))
    assert.is_true(scopes_of(within)[("repository:%s:pull,push"):format(within)])
    client:delete(repo, "ci-1")
    record = ctz.registry.sync { from = place(repo), to = place(within), prune = true, registries = registries() }
    assert.same({}, record.copied)
    assert.equal("ci-1", record.plan.goes[1].tag)
    record.plan:apply()
    assert.same(tags_of(repo), tags_of(within))
  end)

  it("sync with a wrong password writes nothing and says who refuses", function()
    local out = registry.repo()
    local value, err = ctz.try(ctz.registry.sync, {
      from = place(repo), to = registry.host "plain" .. "/" .. out, registries = registries "wrong",
    })
    assert.is_nil(value)
    assert.equal("auth", err.kind)
    assert.matches("token server", err.message)
    local plain = registry.connect "plain"
    assert.equal("not_found", select(2, ctz.try(registry.list, plain:tags(out))).kind)
    local other = registry.repo()
    registry.push(plain, other, "1")
    value, err = ctz.try(ctz.registry.sync, {
      from = registry.host "plain" .. "/" .. other, to = place(out),
      registries = { [registry.host "token"] = { auth = false } },
    })
    assert.is_nil(value)
    assert.equal("auth", err.kind)
    assert.matches("ctz login", err.hint)
  end)

  describe("ctz login", function()
    local folder

    before_each(function()
      folder = program.folder()
    end)

    after_each(function()
      program.remove(folder)
    end)

    local function run(words, input)
      local environment = ("HOME=%s DOCKER_CONFIG=%s/.docker"):format(folder, folder)
      return program.run(words, { environment = environment, stdin = input })
    end

    it("keeps what the token server takes, which is used then", function()
      local result = run({ "login", registry.host "token", "--username", "user", "--plain" }, "secret word\n")
      assert.equal(0, result.code, result.err)
      result = run { "tags", place(repo) }
      assert.same(TAGS, registry.list(result.out:gmatch "[^\n]+"))
      result = run { "copy", place(repo .. ":1.0"), ("oci:%s/out:1"):format(folder) }
      assert.equal(0, result.code, result.err)
      assert.equal(digests["1.0"], ctz.image.open(("oci:%s/out:1"):format(folder)):digest())
    end)

    it("keeps nothing that the token server refuses", function()
      local result = run({ "login", registry.host "token", "--username", "user", "--plain" }, "hidden-4711\n")
      assert.equal(1, result.code)
      assert.matches("wrong user or password", result.err)
      assert.is_nil((result.out .. result.err):find("hidden-4711", 1, true))
      assert.is_nil(ctz.fs.stat(folder .. "/.docker/config.json"))
      assert.equal(1, run({ "tags", place(repo) }).code)
    end)
  end)
end)
