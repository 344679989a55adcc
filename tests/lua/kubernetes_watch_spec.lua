-- kubernetes_watch_spec.lua: a watch on a server of rules, whose streams are not what they should be.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local kube_server = require "tests.lua.support.kube_server"

local MAPS <const> = "^/api/v1/namespaces/team/configmaps\\?"
local LIST <const>, WATCH <const> = MAPS .. "(?!.*watch=true)", MAPS .. ".*watch=true"

local function map(name, version)
  return {
    apiVersion = "v1", kind = "ConfigMap",
    metadata = { name = name, namespace = "team", uid = "uid-" .. name, resourceVersion = version },
  }
end

local function list(version, ...)
  return {
    path = LIST, times = 1,
    body = { kind = "ConfigMapList", metadata = { resourceVersion = version }, items = ctz.json.array { ... } },
  }
end

-- A stream of events: {TYPE, object} each, or text as it is.
local function stream(...)
  local lines = {}
  for i, event in ipairs { ... } do
    lines[i] = type(event) == "string" and event or ctz.json.encode { type = event[1], object = event[2] }
  end
  return { path = WATCH, times = 1, body = table.concat(lines, "\n") .. "\n" }
end

local END <const> = { path = MAPS, status = 403, body = { kind = "Status", code = 403, message = "enough" } }

describe("a watch whose server", function()
  local folder

  before_each(function()
    folder = ctz.fs.tempdir()
  end)

  after_each(function()
    folder:close()
  end)

  -- What the watch tells until the rules are used up, and what was asked of the server.
  local function watched(...)
    local rules = { kube_server.discovery { resource = "configmaps", kind = "ConfigMap", namespaced = true } }
    for _, rule in ipairs { ... } do
      rules[#rules + 1] = rule
    end
    rules[#rules + 1] = END
    local server <close> = kube_server.start(folder.path, rules)
    local told = {}
    local _, err = ctz.try(function()
      for event in server:connect():watch "configmaps" do
        local meta = event.object and event.object.metadata or {}
        told[#told + 1] = ("%s %s %s"):format(event.type, meta.name or "", meta.resourceVersion or ""):gsub(" *$", "")
      end
    end)
    assert.equal("denied", err.kind, tostring(err))
    local asked = {}
    for _, one in ipairs(server:asked()) do
      local version = one.path:match "resourceVersion=([^&]*)"
      if one.path:find "configmaps" then
        asked[#asked + 1] = one.path:find "watch=true" and "watch " .. (version or "") or "list"
      end
    end
    return table.concat(told, "; "), table.concat(asked, "; ")
  end

  it("has forgotten the version, said in the stream, is listed again", function()
    local told, asked = watched(list("10", map("a", "5"), map("b", "6")),
      stream({ "MODIFIED", map("a", "12") }, { "ERROR", { kind = "Status", code = 410, reason = "Expired" } }),
      list("20", map("a", "12"), map("c", "15")), stream({ "DELETED", map("a", "21") }))
    assert.equal("added a 5; added b 6; sync; modified a 12; added c 15; deleted b; deleted a 21", told)
    assert.equal("list; watch 10; list; watch 20; watch 21", asked)
  end)

  it("has forgotten the version, said by its status, is listed again", function()
    local gone = { path = WATCH, times = 1, status = 410, body = { kind = "Status", code = 410, reason = "Expired" } }
    local told, asked = watched(list("10", map("a", "5")), gone, list("20", map("a", "18")), stream())
    assert.equal("added a 5; sync; modified a 18", told)
    assert.equal("list; watch 10; list; watch 20; watch 20", asked)
  end)

  it("sends bookmarks goes on from them", function()
    local told, asked = watched(list("10"), stream({ "BOOKMARK", { metadata = { resourceVersion = "50" } } }),
      stream({ "ADDED", map("a", "51") }))
    assert.equal("sync; added a 51", told)
    assert.equal("list; watch 10; watch 50; watch 51", asked)
  end)

  it("tells an event twice is not believed the second time", function()
    local told = watched(list("5", map("a", "5")), stream({ "ADDED", map("a", "5") }), -- the list had it
      stream({ "MODIFIED", map("a", "12") }, { "MODIFIED", map("a", "12") }),
      stream({ "ADDED", map("a", "13") }, { "DELETED", map("a", "14") }, { "DELETED", map("a", "14") }))
    assert.equal("added a 5; sync; modified a 12; modified a 13; deleted a 14", told)
  end)

  it("tells events out of their order is listed: what comes out is what is the case", function()
    local told, asked = watched(list("10", map("a", "5")),
      stream({ "MODIFIED", map("a", "14") }, { "ADDED", map("b", "12") }, { "ADDED", map("c", "15") }),
      list("20", map("a", "14"), map("b", "12")), stream { "MODIFIED", map("b", "21") })
    assert.equal("added a 5; sync; modified a 14; added b 12; modified b 21", told)
    assert.equal("list; watch 10; list; watch 20; watch 21", asked)
  end)

  it("knows no versions is listed each time", function()
    local told, asked = watched(list("", map("a", "")), stream({ "ADDED", map("b", "") }), list("", map("b", "")),
      stream())
    assert.equal("added a; sync; added b; deleted a", told)
    assert.equal("list; watch ; list; watch ; list", asked)
  end)

  it("sends what is no event is asked again", function()
    for _, text in ipairs { "nonsense", '{"type":"ADDED"}', '{"type":"ADDED","object":{}}', "[]", "{", "7" } do
      local told = watched(list("10"), stream(text), list("10"), stream { "ADDED", map("a", "11") })
      assert.equal("sync; added a 11", told, text)
    end
  end)

  it("ends in the middle of an event is asked from the one before", function()
    local half = stream({ "ADDED", map("a", "11") }, { "ADDED", map("b", "12") })
    half.cut = -10
    local told, asked = watched(list("10"), half, stream { "ADDED", map("b", "12") })
    assert.equal("sync; added a 11; added b 12", told)
    assert.equal("list; watch 10; watch 11; watch 12", asked)
  end)
end)
