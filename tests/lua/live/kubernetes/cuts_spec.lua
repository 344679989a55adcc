-- cuts_spec.lua: the API server of a real cluster is killed in the middle of what a recipe does.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local TESTBED <const>, FOLDER <const> = os.getenv "CTZ_TEST_KUBERNETES_TESTBED", os.getenv "CTZ_TEST_KUBERNETES_FOLDER"
local MAPS <const> = 300

local function testbed(...)
  return ctz.process.run({ TESTBED, ... }, { timeout = 120 }).stdout
end

describe("an API server that is killed #live", function()
  local k, space, namespace

  setup(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
    namespace = space.name
    -- Before the first kill: after one the scheduler and the kubelet may take half a minute to look again.
    k:create(cluster.pod("talker", namespace, {
      "sh", "-c", "while [ ! -e /tmp/go ]; do sleep 0.1; done; i=0;"
        .. " while [ $i -lt 80 ]; do echo line $i; i=$((i + 1)); sleep 0.1; done; sleep 1000",
    }))
    k:wait("pod/talker", { namespace = namespace, timeout = 50 })
  end)

  teardown(function()
    space.delete()
  end)

  -- Kills it after so many seconds, and starts it again.
  local function kill_after(seconds)
    return ctz.spawn(function()
      ctz.sleep(seconds)
      testbed("down", FOLDER, "apiserver", "--kill")
      ctz.sleep(0.5)
      testbed("up", FOLDER, "apiserver")
    end)
  end

  local function maps()
    local list = {}
    for i = 1, MAPS do
      list[i] = {
        apiVersion = "v1", kind = "ConfigMap", data = { number = tostring(i), text = ("x"):rep(2000) },
        metadata = { name = ("map-%03d"):format(i), namespace = namespace, labels = { of = "cuts" } },
      }
    end
    return list
  end

  local function names(list)
    local found = {}
    for i, object in ipairs(list) do
      found[i] = object.metadata.name
    end
    return found
  end

  it("keeps an apply of 300 objects waiting, and a list: all is there, once", function()
    local wanted = maps()
    local killed = kill_after(0.15)
    local results = k:apply(wanted, { namespace = namespace })
    killed:await()
    assert.same(names(wanted), names(results))
    local found = k:list("configmaps", { namespace = namespace, labels = { of = "cuts" } }).items
    assert.same(names(wanted), names(found))
    for i, object in ipairs(found) do
      assert.equal(tostring(i), object.data.number)
    end
    killed = kill_after(0.05)
    local page = {}
    for object in k:each("configmaps", { namespace = namespace, labels = { of = "cuts" }, page = 20 }) do
      page[#page + 1] = object
      if #page % 40 == 0 then -- it dies between two pages, or in one
        ctz.sleep(0.1)
      end
    end
    killed:await()
    assert.same(names(wanted), names(page))
  end)

  it("does not end a wait, a watch or a followed log: nothing is missing, nothing comes twice", function()
    k:exec("talker", { "touch", "/tmp/go" }, { namespace = namespace })
    k:apply { { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "seen", namespace = namespace } } }
    local watch <close> = k:watch("configmaps", { namespace = namespace, name = "seen" })
    local function next_event()
      return ctz.timeout(60, watch)
    end
    assert.equal("added", next_event().type)
    assert.equal("sync", next_event().type)
    local killed = kill_after(0.5)
    local met = ctz.spawn(function()
      return k:wait("configmap/seen", {
        condition = "jsonpath={.data.step}=3", namespace = namespace, timeout = 60,
      }).data.step
    end)
    local followed = ctz.spawn(function()
      local lines = {}
      for line in k:logs("talker", { namespace = namespace, follow = true }) do
        lines[#lines + 1] = line.text
        if line.text == "line 79" then
          break
        end
      end
      return lines
    end)
    ctz.sleep(0.3)
    for step = 1, 3 do
      k:apply({ {
        apiVersion = "v1", kind = "ConfigMap", metadata = { name = "seen", namespace = namespace },
        data = { step = tostring(step) },
      } })
      ctz.sleep(0.4)
    end
    killed:await()
    assert.equal("3", met:await())
    local last = 0 -- a server that starts has forgotten what lies between: then the watch tells the difference
    repeat
      local event = next_event()
      assert.equal("modified", event.type)
      local step = tonumber(event.object.data.step)
      assert.is_true(step > last)
      last = step
    until step == 3
    local wanted = {}
    for i = 1, 80 do
      wanted[i] = "line " .. i - 1
    end
    assert.same(wanted, ctz.timeout(60, followed.await, followed))
  end)

  it("is told of a create: the object says whether it was made", function()
    local killed = kill_after(0.1)
    local made, uncertain, until_at = {}, {}, ctz.time.monotonic() + 20
    for i = 1, 400 do -- one of them is on its way when the server dies, or all have been before
      local name = "made-" .. i
      local ok, err = pcall(k.create, k, {
        apiVersion = "v1", kind = "ConfigMap", metadata = { name = name, namespace = namespace },
      })
      if not ok then
        assert.equal("unreachable", err.kind, tostring(err))
        assert.matches("whether the server did it is not known", err.hint)
        uncertain[#uncertain + 1] = name
      else
        made[#made + 1] = name
      end
      if #uncertain > 0 or ctz.time.monotonic() > until_at then
        break
      end
    end
    killed:await()
    for _, name in ipairs(made) do
      assert.equal(name, k:get("configmap", name, { namespace = namespace }).metadata.name)
    end
    for _, name in ipairs(uncertain) do
      local ok, err = pcall(k.get, k, "configmap", name, { namespace = namespace })
      assert.is_true(ok or err.kind == "not_found")
    end
    assert.is_true(#made > 0)
  end)
end)
