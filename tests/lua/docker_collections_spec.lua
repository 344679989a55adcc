-- docker_collections_spec.lua: what docker.networks, volumes, images and system do without an engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local image = require "ctz.docker.image"
local object = require "ctz.docker.object"

local nowhere = ctz.docker.connect { host = "unix:///none.sock" }
local NOBODY <const> = { auth = false, on_progress = function() end }

local function fails(kind, fn, ...)
  local _, err = ctz.try(fn, ...)
  assert.equal(kind, err and err.kind, err and tostring(err) or "it succeeded")
  return err
end

describe("docker.networks", function()
  it("refuses what is wrong before anything is sent", function()
    local networks = nowhere.networks
    for _, name in ipairs { "", "../x", "-v", "a b", ("x"):rep(300), "a/b", "a\0b", "ä" } do
      fails("usage", networks.create, name)
      fails("usage", networks.remove, name)
    end
    fails("usage", networks.get)
    fails("usage", networks.get, {})
    local err = fails("usage", networks.create, "web", { driven = "bridge" })
    assert.equal("unknown option 'driven' to 'docker.networks.create'; did you mean 'driver'?", err.message)
    err = fails("usage", networks.create, "web", { ipam = { subnets = "10.0.0.0/8" } })
    assert.matches("did you mean 'subnet'", err.message)
    err = fails("usage", networks.list, { filters = { nam = "x" } })
    assert.matches("did you mean 'name'", err.message)
    fails("unreachable", networks.create, "web")
  end)
end)

describe("docker.volumes", function()
  it("refuses what is wrong before anything is sent", function()
    local volumes = nowhere.volumes
    for _, name in ipairs { "", "../x", "-v", "a b", ("x"):rep(300), "a/b", "a\0b" } do
      fails("usage", volumes.create, name)
      fails("usage", volumes.remove, name)
    end
    fails("usage", volumes.get)
    local err = fails("usage", volumes.create, "data", { label = {} })
    assert.equal("unknown option 'label' to 'docker.volumes.create'; did you mean 'labels'?", err.message)
    fails("unreachable", volumes.create, "data")
  end)
end)

describe("docker.images", function()
  it("refuse what is wrong before anything is sent", function()
    local images = nowhere.images
    local long = ("x/"):rep(300) .. "x"
    for _, name in ipairs { "", "../../x", "-v", "a b", "UPPER", "a:b/c", "a:-x", "a@sha256:12", long } do
      for _, verb in ipairs { "get", "remove", "pull", "push", "history", "save" } do
        local err = fails("usage", images[verb], name)
        assert.equal("docker.images." .. verb, err.op)
      end
      fails("usage", images.tag, "web", name)
      fails("usage", images.import, { bytes = "" }, { name = name })
    end
    fails("usage", images.get)
    fails("usage", images.save, {})
    fails("usage", images.load, 5)
    fails("usage", images.pull, "web", { platform = "linux arm" })
    fails("usage", images.pull, "web", { auth = { user = "x" } })
    fails("unreachable", images.pull, "web", NOBODY)
  end)

  -- As the engines of API 1.41 (classic store) and 1.56 (containerd) list them.
  it("are one entry for each tag, else for each digest, else for the id", function()
    local function names(tags, digests)
      local list = {}
      local raw = { Id = "sha256:12", RepoTags = tags, RepoDigests = digests, Size = 5, Created = 1 }
      for i, entry in ipairs(image.of_list(nil, raw)) do
        list[i] = { entry.full_name, entry.repository or "nil", entry.tag or "nil", entry.digest or "nil" }
      end
      return list
    end
    local null = ctz.json.null
    assert.same({ { "a:1", "a", "1", "nil" }, { "h:5000/b:2", "h:5000/b", "2", "sha256:3" } },
      names({ "a:1", "h:5000/b:2" }, { "h:5000/b@sha256:3" }))
    assert.same({ { "h:5000/b@sha256:3", "h:5000/b", "nil", "sha256:3" } }, names({}, { "h:5000/b@sha256:3" }))
    assert.same({ { "h:5000/b@sha256:3", "h:5000/b", "nil", "sha256:3" } },
      names({ "<none>:<none>" }, { "h:5000/b@sha256:3" }))
    for _, nothing in ipairs { { "<none>:<none>" }, {}, null } do
      assert.same({ { "sha256:12", "nil", "nil", "nil" } }, names(nothing, { "<none>@<none>" }))
      assert.same({ { "sha256:12", "nil", "nil", "nil" } }, names(nothing, null))
    end
  end)

  it("are called as the engine calls them", function()
    local digest = "sha256:" .. ("a"):rep(64)
    for name, expected in pairs {
      ["web"] = "web:latest",
      ["docker.io/library/web:1"] = "web:1",
      ["docker.io/team/web"] = "team/web:latest",
      ["localhost:5000/web"] = "localhost:5000/web:latest",
      ["web:1@" .. digest] = "web@" .. digest,
      [digest] = digest,
      [("a"):rep(64)] = ("a"):rep(64),
    } do
      assert.equal(expected, image.canonical(name))
    end
  end)

  it("are found by a path in which only slashes stay", function()
    assert.equal("/images/localhost%3A5000/a/web%3A1/json", image.path("localhost:5000/a/web:1", "/json"))
  end)

  it("are for a platform", function()
    assert.same({ os = "linux", architecture = "arm64", variant = "v8" }, image.platform("op", "linux/arm64/v8"))
    assert.same({ os = "linux", architecture = "amd64" }, image.platform("op", "linux/amd64"))
    assert.same({ os = "linux" }, image.platform("op", "linux"))
    for _, wrong in ipairs { "", "/", "linux arm", "linux/arm/v8/x", "linux/a b" } do
      fails("usage", image.platform, "op", wrong)
    end
  end)
end)

describe("the filters of a list", function()
  it("are lists of texts for the engine", function()
    assert.same({ label = { "a=b", "c" }, dangling = { "true" }, name = { "x" } }, object.filters("op", {
      label = { a = "b", "c" },
      dangling = true,
      name = "x",
    }, "dangling label name"))
    assert.is_nil(object.filters("op", nil, "label"))
    assert.is_nil(object.filters("op", {}, "label"))
    assert.matches("did you mean 'label'", fails("usage", object.filters, "op", { lable = "x" }, "label").message)
  end)
end)

describe("near names", function()
  it("are found among any number", function()
    local names = {}
    for i = 1, 1000 do
      names[i] = ("image-%04d-%s"):format(i, ("x"):rep(i % 7))
    end
    names[777] = "ctz-test/busybox:1"
    assert.equal("ctz-test/busybox:1", object.nearest("ctz-test/bsybox:1", names))
    assert.is_nil(object.nearest("zzzzzzzzzzzzzzzz", names))
    assert.is_nil(object.nearest("web", {}))
  end)
end)

describe("docker.system", function()
  it("tells that no engine answers, and what is wrong", function()
    for _, name in ipairs { "version", "ping", "info", "df", "events", "prune" } do
      local err = fails("unreachable", nowhere.system[name])
      assert.is_true(err:is "container", name)
    end
    fails("usage", nowhere.system.prune, { what = { "image" } })
    fails("usage", nowhere.events, { since = "yesterday" })
  end)
end)
