-- kubernetes_cuts_spec.lua: requests to a server of rules that break off at exact places: what is sent again.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local kube_server = require "tests.lua.support.kube_server"

local MAPS <const> = "^/api/v1/namespaces/team/configmaps"
local REVIEWS <const> = "^/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

local function map(version, data)
  return {
    apiVersion = "v1", kind = "ConfigMap", data = data,
    metadata = { name = "x", namespace = "team", resourceVersion = version },
  }
end

describe("a request that breaks off", function()
  local folder

  before_each(function()
    folder = ctz.fs.tempdir()
  end)

  after_each(function()
    folder:close()
  end)

  local function start(...)
    local rules = { kube_server.discovery { resource = "configmaps", kind = "ConfigMap", namespaced = true } }
    for _, rule in ipairs { ... } do
      rules[#rules + 1] = rule
    end
    return kube_server.start(folder.path, rules)
  end

  -- The methods of the requests that are no discovery.
  local function methods(server)
    local list = {}
    for _, one in ipairs(server:asked()) do
      if not one.path:find "^/apis?%?" and not one.path:find "^/apis?$" then
        list[#list + 1] = one.method
      end
    end
    return table.concat(list, " ")
  end

  for name, fault in pairs { ["before its answer"] = { deaf = true }, ["in its body"] = { cut = 10 },
    ["behind the head"] = { cut = 0 }, ["one byte before its end"] = { cut = -1 } } do
    local function broken(rule)
      rule.times = rule.times or 2
      for key, value in pairs(fault) do
        rule[key] = value
      end
      return rule
    end

    it("is sent again when it reads: " .. name, function()
      local server <close> = start(broken { path = MAPS, body = map("1") }, { path = MAPS, body = map("1") })
      assert.equal("x", server:connect():get("configmap/x").metadata.name)
      assert.equal("GET GET GET", methods(server))
    end)

    it("is sent again when it reviews: " .. name, function()
      local review = { kind = "SelfSubjectAccessReview", status = { allowed = true } }
      local server <close> = start(broken { path = REVIEWS, body = review }, { path = REVIEWS, body = review })
      assert.is_true((server:connect():can_i("get", "configmaps")))
      assert.equal("POST POST POST", methods(server))
    end)

    it("is sent again when it applies: " .. name, function()
      local server <close> = start(broken { path = MAPS, body = map("1") }, { path = MAPS, body = map("1") })
      local k = server:connect()
      assert.equal("x", k:apply({ map() })[1].metadata.name)
      assert.equal("PATCH PATCH PATCH", methods(server))
    end)

    it("is not sent again when it makes, deletes or patches: " .. name, function()
      local server <close> = start(broken { path = MAPS, times = 9, body = map("1") })
      local k = server:connect()
      k:api_resources()
      for _, call in ipairs {
        { k.create, map() }, { k.delete, "configmap/x" }, { k.patch, "configmap/x", { data = { a = "1" } } },
      } do
        local _, err = ctz.try(call[1], k, table.unpack(call, 2))
        assert.equal("unreachable", err.kind, tostring(err))
        assert.matches("whether the server did it is not known", err.hint)
        assert.is_falsy(err.retryable)
      end
      assert.equal("POST DELETE PATCH", methods(server))
    end)
  end

  it("was sent, also when the server that took it is gone", function()
    local server <close> = start({ path = MAPS, method = "GET", body = map("1") }, { path = MAPS, gone = true })
    local url = server.url .. "/api/v1/namespaces/team/configmaps"
    ctz.http.get(url)
    local _, err = ctz.try(ctz.http.post, url, { body = "x" }) -- on the connection of before
    assert.matches("the connection ended before an answer came$", err.message)
    assert.is_false(err.retryable)
    assert.equal("GET POST", methods(server))
  end)

  it("was a replacement that did not come about: it is written then", function()
    local server <close> = start({ path = MAPS, method = "PUT", deaf = true, times = 1 },
      { path = MAPS, method = "GET", body = map("7", { a = "1" }) },
      { path = MAPS, method = "PUT", body = map("8", { a = "2" }) })
    assert.equal("2", server:connect():replace(map("7", { a = "2" })).data.a)
    assert.equal("PUT GET PUT", methods(server))
  end)

  it("was a replacement, and the server has another version: whose is not known", function()
    local server <close> = start({ path = MAPS, method = "PUT", deaf = true },
      { path = MAPS, body = map("9", { a = "2" }) })
    local k = server:connect()
    local _, err = ctz.try(k.replace, k, map("7", { a = "2" }))
    assert.equal("unreachable", err.kind)
    assert.matches("whether the server did it is not known", err.hint)
    assert.equal("PUT GET", methods(server))
  end)

  it("was a replacement that came late: the conflict of the second is not told as one", function()
    local server <close> = start({ path = MAPS, method = "PUT", deaf = true, times = 1 },
      { path = MAPS, method = "GET", body = map("7", { a = "1" }) },
      { path = MAPS, method = "PUT", status = 409, body = { kind = "Status", code = 409, reason = "Conflict" } })
    local k = server:connect()
    local _, err = ctz.try(k.replace, k, map("7", { a = "2" }))
    assert.equal("unreachable", err.kind)
    assert.equal("PUT GET PUT", methods(server))
  end)

  it("keeps its status when only the reason of a refusal is cut off", function()
    local server <close> = start({ path = MAPS, status = 403, body = { kind = "Status", message = "no" }, cut = 5 })
    local k = server:connect()
    local _, err = ctz.try(k.create, k, map())
    assert.equal("denied", err.kind, tostring(err))
    assert.equal(403, err.status)
    _, err = ctz.try(ctz.http.get, server.url .. "/api/v1/namespaces/team/configmaps")
    assert.equal(403, err.status)
    assert.equal("denied", err.kind)
    assert.matches("the server answers 403 Forbidden; the connection ended after 5 bytes of its reason", err.message)
  end)

  it("ends with the task's deadline", function()
    local server <close> = start({ path = MAPS, deaf = true })
    local k = server:connect()
    k:api_resources()
    local began = ctz.time.monotonic()
    local _, err = ctz.try(ctz.timeout, 1, k.get, k, "configmap/x")
    assert.is_true(err.kind == "timeout" or err.kind == "unreachable")
    assert.is_true(ctz.time.monotonic() - began < 3)
    assert.is_true(select(2, methods(server):gsub("GET", "")) > 1)
  end)
end)
