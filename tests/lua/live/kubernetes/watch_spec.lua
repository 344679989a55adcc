-- watch_spec.lua: watches and waits on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local function config_map(name, namespace, data)
  return { apiVersion = "v1", kind = "ConfigMap", metadata = { name = name, namespace = namespace }, data = data }
end

describe("a watch #live", function()
  local k, space, namespace

  before_each(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
    namespace = space.name
  end)

  after_each(function()
    space.delete()
  end)

  local function names(events)
    local list = {}
    for i, event in ipairs(events) do
      list[i] = event.type .. (event.object and " " .. event.object.metadata.name or "")
    end
    return list
  end

  -- Events of the config maps that these specs make, until `count` have come.
  local function take(watch, count)
    local events = {}
    ctz.timeout(60, function()
      while #events < count do
        local event = watch()
        if not event.object or event.object.metadata.name ~= "kube-root-ca.crt" then
          events[#events + 1] = event
        end
      end
    end)
    return events
  end

  it("gives what is there, then sync, then each change", function()
    k:create(config_map("one", namespace, { a = "1" }))
    local watch = k:watch("configmaps", { namespace = namespace })
    assert.same({ "added one", "sync" }, names(take(watch, 2)))
    k:create(config_map("two", namespace))
    k:patch("configmap/one", { data = { a = "2" } }, { namespace = namespace })
    k:delete("configmap/two", { namespace = namespace })
    local events = take(watch, 3)
    assert.same({ "added two", "modified one", "deleted two" }, names(events))
    assert.equal("2", events[2].object.data.a)
    assert.equal("ConfigMap", events[1].object.kind)
    watch:close()
    assert.is_nil(watch())
  end)

  it("takes selectors and one name", function()
    k:create(config_map("one", namespace))
    k:create(config_map("two", namespace))
    local events = {}
    for event in k:watch("cm", { namespace = namespace, name = "two" }) do
      if event.type == "sync" then
        break
      end
      events[#events + 1] = event
    end
    assert.same({ "added two" }, names(events))
  end)

  it("goes on from a version that is given", function()
    local made = k:create(config_map("one", namespace))
    k:create(config_map("two", namespace))
    local watch <close> = k:watch("configmaps", {
      namespace = namespace,
      resource_version = made.metadata.resourceVersion,
    })
    assert.same({ "added two" }, names(take(watch, 1)))
  end)

  it("tells the difference when the server has forgotten the version", function()
    k:create(config_map("one", namespace))
    k:create(config_map("two", namespace, { a = "1" }))
    local watch <close> = k:watch("configmaps", { namespace = namespace })
    take(watch, 3)
    -- The server forgets after five minutes; here it says so at once.
    local forgot = false
    watch.client = setmetatable({
      stream = function(_, ...)
        if not forgot then
          forgot = true
          error(ctz.error { kind = "not_found", message = "too old resource version", status = 410 }, 0)
        end
        return k:stream(...)
      end,
    }, { __index = k })
    k:delete("configmap/one", { namespace = namespace })
    k:patch("configmap/two", { data = { a = "2" } }, { namespace = namespace })
    k:create(config_map("three", namespace))
    assert.is_nil(watch.stream)
    local events = take(watch, 3)
    local seen = names(events)
    table.sort(seen)
    assert.same({ "added three", "deleted one", "modified two" }, seen)
    k:delete("configmap/three", { namespace = namespace })
    assert.same({ "deleted three" }, names(take(watch, 1)))
  end)

  it("raises what does not pass: a kind that is not there, a user who may not #real", function()
    local _, err = ctz.try(k.watch, k, "nothings")
    assert.equal("not_found", err.kind)
    local reader = ctz.kubernetes.connect { kubeconfig = cluster.kubeconfig "reader" }
    _, err = ctz.try(reader:watch("secrets", { namespace = namespace }))
    assert.equal("denied", err.kind)
  end)
end)

describe("a wait #live", function()
  local k, space, namespace

  setup(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
    namespace = space.name
  end)

  teardown(function()
    space.delete()
  end)

  it("is for objects that do not exist yet, for a field, and for their end", function()
    ctz.scope(function()
      ctz.spawn(function()
        ctz.sleep(0.5)
        k:create(cluster.pod("late", namespace, { "sh", "-c", "sleep 1" }))
      end)
      local pod = k:wait("pod/late", { condition = "ready", namespace = namespace, timeout = 60 })
      assert.equal("late", pod.metadata.name)
      pod = k:wait("pod/late", {
        condition = "jsonpath={.status.phase}=Succeeded",
        namespace = namespace,
        timeout = 60,
      })
      assert.equal("Succeeded", pod.status.phase)
    end)
    k:delete("pod/late", { namespace = namespace })
    local object, met = k:wait("pod/late", { condition = "deleted", namespace = namespace, timeout = 60 })
    assert.is_nil(object)
    assert.equal("deleted", met)
  end)

  it("says which of several conditions is met first", function()
    k:create(cluster.pod("brief", namespace, { "false" }))
    local _, met = k:wait("pod", "brief", {
      any = { "jsonpath={.status.phase}=Succeeded", "jsonpath={.status.phase}=Failed" },
      namespace = namespace,
      timeout = 60,
    })
    assert.equal("jsonpath={.status.phase}=Failed", met)
  end)

  it("ends at once when the object says that it failed", function()
    local pod = cluster.pod("broken", nil, { "false" })
    k:create {
      apiVersion = "batch/v1", kind = "Job", metadata = { name = "broken", namespace = namespace },
      spec = { backoffLimit = 0, template = { metadata = { labels = { app = "broken" } }, spec = pod.spec } },
    }
    local _, err = ctz.try(k.wait, k, "job/broken", { condition = "complete", namespace = namespace, timeout = 60 })
    assert.equal("conflict", err.kind)
    assert.matches("^job broken will not be complete: BackoffLimitExceeded", err.message)
  end)

  it("says what was the case last when its time is over", function()
    local _, err = ctz.try(k.wait, k, "pod/never", { namespace = namespace, timeout = 0.5 })
    assert.equal("timeout", err.kind)
    assert.equal("pod never is not ready after 0.5 s: it does not exist yet", err.message)
  end)

  it("refuses a condition that is none", function()
    local _, err = ctz.try(k.wait, k, "pod/x", { condition = "is it?", namespace = namespace })
    assert.equal("usage", err.kind)
    _, err = ctz.try(k.wait, k, "pod/x", { condition = "jsonpath={.a[}", namespace = namespace })
    assert.matches("JSONPath", err.message)
  end)
end)
