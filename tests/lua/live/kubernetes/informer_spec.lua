-- informer_spec.lua: a copy of a cluster's objects, kept while they change, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local TESTBED <const>, FOLDER <const> = os.getenv "CTZ_TEST_KUBERNETES_TESTBED", os.getenv "CTZ_TEST_KUBERNETES_FOLDER"

describe("an informer #live", function()
  local k, space, namespace

  before_each(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
    namespace = space.name
  end)

  after_each(function()
    space.delete()
  end)

  local function make(name, data, labels)
    return k:create {
      apiVersion = "v1", kind = "ConfigMap", data = data,
      metadata = { name = name, namespace = namespace, labels = labels or { spec = "informer" } },
    }
  end

  local function delete(name)
    k:delete("configmap/" .. name, { namespace = namespace })
  end

  local function open(opts)
    opts = opts or {}
    opts.namespace, opts.labels = namespace, opts.labels or "spec=informer"
    return k:informer("configmaps", opts)
  end

  local function names(objects)
    local list = {}
    for i, object in ipairs(objects) do
      list[i] = object.metadata.name
    end
    return list
  end

  local function take(changes, count)
    local list = {}
    ctz.timeout(60, function()
      for i = 1, count do
        local event = changes()
        list[i] = event.type .. (event.object and " " .. event.object.metadata.name or "")
      end
    end)
    return list
  end

  -- Until the store has these names.
  local function until_names(store, expected)
    ctz.timeout(90, function()
      for _ in store:changes() do
        if table.concat(names(store:list()), " ") == expected then
          return
        end
      end
    end)
  end

  it("holds what is there, and tells what changes", function()
    make("b", { x = "1" })
    make "a"
    local store <close> = open()
    assert.is_true(store:wait_for_sync { timeout = 60 })
    assert.is_true(store:synced())
    assert.equal(2, #store)
    assert.same({ "a", "b" }, names(store:list()))
    assert.equal("1", store:get("b").data.x)
    assert.equal("ConfigMap", store:get("b", namespace).kind)
    assert.is_nil(store:get "c")
    assert.is_nil(store:get("b", "default"))
    local changes <close> = store:changes()
    assert.same({ "added a", "added b", "sync" }, take(changes, 3))
    make "c"
    assert.same({ "added c" }, take(changes, 1))
    k:patch("configmap/b", { data = { x = "2" } }, { namespace = namespace })
    local event = changes()
    assert.equal("modified", event.type)
    assert.equal("1", event.old.data.x)
    assert.equal("2", event.object.data.x)
    assert.equal(event.object, store:get "b") -- one copy
    delete "a"
    assert.same({ "deleted a" }, take(changes, 1))
    assert.is_nil(store:get "a")
    local seen = {}
    for object in store:each() do
      seen[#seen + 1] = object.metadata.name
    end
    assert.same({ "b", "c" }, seen)
  end)

  it("chooses by labels and by indexes", function()
    make("one", { node = "n1" }, { spec = "informer", tier = "web" })
    make("two", { node = "n1" })
    make("three", { node = "n2" })
    local store <close> = open { indexes = { node = function(object)
      return object.data.node
    end } }
    store:wait_for_sync()
    assert.same({ "one" }, names(store:list { labels = { tier = "web" } }))
    assert.same({ "three", "two" }, names(store:list { labels = "!tier" }))
    assert.same({}, store:list { namespace = "default" })
    assert.same({ "one", "two" }, names(store:by("node", "n1")))
    k:patch("configmap/two", { data = { node = "n2" } }, { namespace = namespace })
    delete "three"
    until_names(store, "one two")
    assert.same({ "one" }, names(store:by("node", "n1")))
    assert.same({ "two" }, names(store:by("node", "n2")))
    assert.same({}, store:by("node", "n3"))
    local _, err = ctz.try(store.by, store, "nodes", "n1")
    assert.matches('no index "nodes"; did you mean .?node', err.message)
  end)

  it("tells a slow one the newest state, once", function()
    make("one", { x = "0" })
    local store <close> = open()
    store:wait_for_sync()
    local changes <close> = store:changes()
    take(changes, 2)
    local other <close> = store:changes()
    for i = 1, 5 do
      k:patch("configmap/one", { data = { x = tostring(i) } }, { namespace = namespace })
    end
    make "brief"
    delete "brief"
    local made = make "two"
    delete "two"
    make "two"
    local last
    ctz.timeout(60, function() -- the quick one sees the last change
      repeat
        last = other()
      until last.object and last.object.metadata.name == "two" and last.object.metadata.uid ~= made.metadata.uid
    end)
    local event = changes()
    assert.equal("modified one 5", ("%s %s %s"):format(event.type, event.object.metadata.name, event.object.data.x))
    assert.same({ "added two" }, take(changes, 1))
  end)

  it("tells what was deleted and made anew while the server forgot what happened", function()
    make "gone"
    make "stays"
    local old = make "anew"
    local store <close> = open()
    -- The server forgets after five minutes; here it says so at once.
    local forgot, may_go_on = false, false
    store.watch.client = setmetatable({
      stream = function(_, ...)
        while not may_go_on do
          ctz.sleep(0.01)
        end
        if not forgot then
          forgot = true
          error(ctz.error { kind = "conflict", message = "too old resource version", status = 410 }, 0)
        end
        return k:stream(...)
      end,
    }, { __index = k })
    local changes <close> = store:changes()
    take(changes, 4)
    delete "gone"
    delete "anew"
    make "anew"
    may_go_on = true
    local seen = take(changes, 3)
    table.sort(seen)
    assert.same({ "added anew", "deleted anew", "deleted gone" }, seen)
    assert.not_equal(old.metadata.uid, store:get("anew").metadata.uid)
    assert.same({ "anew", "stays" }, names(store:list()))
  end)

  it("outlives an API server that restarts #real", function()
    make "one"
    make "two"
    local store <close> = open()
    store:wait_for_sync()
    for _, kill in ipairs { "", " --kill" } do
      assert(os.execute(("%s down %s apiserver%s >/dev/null"):format(TESTBED, FOLDER, kill)))
      assert.same({ "one", "two" }, names(store:list())) -- what is known, is known
      assert(os.execute(("%s up %s apiserver >/dev/null"):format(TESTBED, FOLDER)))
      delete "one"
      make "three"
      until_names(store, "three two")
      delete "three"
      make "one"
      until_names(store, "one two")
    end
  end)

  it("outlives an API server that hangs while its machine answers #real", function()
    make "one"
    local store <close> = open()
    store.watch.silence, store.watch.has_bookmarks = 1, true -- as if they came every second
    store:wait_for_sync()
    ctz.timeout(10, function()
      while not store.watch.stream do
        ctz.sleep(0.01)
      end
    end)
    local file = assert(io.open(FOLDER .. "/cluster.json"))
    local pid = ctz.json.decode(file:read "a").parts.apiserver[1]
    file:close()
    assert(os.execute("kill -STOP " .. pid))
    local stream = store.watch.stream
    local ok, err = pcall(ctz.timeout, 10, function()
      while store.watch.stream == stream do
        ctz.sleep(0.1)
      end
    end)
    -- Who entered the namespaces for it stops with it, and could not reap it later.
    local parent = ctz.fs.read(("/proc/%d/status"):format(pid)):match "PPid:%s*(%d+)"
    assert(os.execute(("kill -CONT %d %s"):format(pid, parent)))
    assert(ok, err)
    make "two"
    until_names(store, "one two")
  end)

  it("raises what does not pass from whoever asks it, and is closed with its scope #real", function()
    local reader = ctz.kubernetes.connect { kubeconfig = cluster.kubeconfig "reader" }
    local store <close> = reader:informer("secrets", { namespace = namespace })
    local _, err = ctz.try(store.wait_for_sync, store, { timeout = 60 })
    assert.equal("denied", err.kind)
    _, err = ctz.try(store.list, store)
    assert.equal("denied", err.kind)
    _, err = ctz.try(k.informer, k, "nothings")
    assert.equal("not_found", err.kind)
    local other
    local events = {}
    ctz.scope(function()
      make "one"
      other = open { on_change = function(event)
        events[#events + 1] = event.type
      end }
      other:wait_for_sync()
      ctz.sleep(0.01)
    end)
    assert.same({ "added", "sync" }, events)
    _, err = ctz.try(other.list, other)
    assert.matches("the informer of configmaps in spec%-.* is closed", err.message)
    local third = open { transform = function(object)
      return { metadata = { name = object.metadata.name, namespace = namespace, uid = object.metadata.uid } }
    end }
    third:wait_for_sync()
    assert.is_nil(third:get("one").kind)
    local changes = third:changes()
    take(changes, 2)
    third:close()
    assert.is_nil(changes())
  end)
end)
