-- elect_spec.lua: one of many leads, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local program = require "tests.lua.support.program"

local TESTBED <const>, FOLDER <const> = os.getenv "CTZ_TEST_KUBERNETES_TESTBED", os.getenv "CTZ_TEST_KUBERNETES_FOLDER"

describe("an election #live", function()
  local k, space, namespace

  setup(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
    namespace = space.name
  end)

  teardown(function()
    space.delete()
  end)

  -- Options of an election whose times are short.
  local function quick(name, identity, more)
    local opts = {
      name = name, namespace = namespace, identity = identity, lease_duration = 2, renew_deadline = 1.5,
      retry_period = 0.2,
    }
    for key, value in pairs(more or {}) do
      opts[key] = value
    end
    return opts
  end

  local function lease(name)
    return k:get("lease", name, { namespace = namespace })
  end

  it("has one leader; its record is client-go's, and it is given back", function()
    local a, b, seen = {}, {}, {}
    ctz.scope(function()
      ctz.spawn(function()
        a.result = k:elect(quick("one", "a"), function(leader)
          assert.same({ identity = "a", name = "one", namespace = namespace, transitions = 0 }, leader)
          a.spec = lease("one").spec
          seen[#seen + 1] = "a leads"
          ctz.sleep(1) -- it is renewed meanwhile
          a.later = lease("one").spec
          seen[#seen + 1] = "a ends"
          return "done"
        end)
      end)
      ctz.spawn(function()
        ctz.sleep(0.2)
        k:elect(quick("one", "b", { on_leader = function(who)
          b[#b + 1] = who
        end }), function(leader)
          seen[#seen + 1] = "b leads"
          b.transitions = leader.transitions
        end)
      end)
    end)
    assert.same({ "a leads", "a ends", "b leads" }, seen)
    assert.equal("done", a.result)
    assert.equal("a", a.spec.holderIdentity)
    assert.equal(2, a.spec.leaseDurationSeconds)
    assert.equal(0, a.spec.leaseTransitions)
    assert.matches("^%d+%-%d+%-%d+T%d+:%d+:%d+%.%d%d%d%d%d%dZ$", a.spec.renewTime)
    assert.equal(a.spec.acquireTime, a.later.acquireTime)
    assert.is_true(a.later.renewTime > a.spec.renewTime)
    assert.same({ "a", "b" }, { b[1], b[2] })
    assert.equal(1, b.transitions)
    local left = lease("one").spec
    assert.equal("", left.holderIdentity)
    assert.equal(1, left.leaseDurationSeconds)
    assert.equal(1, left.leaseTransitions)
  end)

  it("is given back when the function fails, and not when that is not wanted", function()
    local _, err = ctz.try(k.elect, k, quick("fails", "a", { release = false }), function()
      error(ctz.error { kind = "exit", message = "no" }, 0)
    end)
    assert.equal("no", err.message)
    assert.equal("a", lease("fails").spec.holderIdentity)
    _, err = ctz.try(k.elect, k, quick("fails", "b", { timeout = 0.5 }), print)
    assert.equal("timeout", err.kind)
    assert.equal("b does not lead after 0.5 s: a leads", err.message)
    local began = ctz.time.monotonic()
    local led = k:elect(quick("fails", "b"), function()
      return ctz.time.monotonic() - began
    end)
    assert.is_true(led > 0.5) -- the lease had to end
    _, err = ctz.try(ctz.timeout, 0.5, k.elect, k, quick("fails", "c"), function()
      ctz.sleep(60)
    end)
    assert.equal("timeout", err.kind)
    assert.equal("", lease("fails").spec.holderIdentity)
  end)

  it("is given back by who was cancelled at any moment of taking it", function()
    for i = 0, 29 do
      local name, contender = "cut" .. i, nil
      ctz.scope(function()
        contender = ctz.spawn(function()
          k:elect(quick(name, "me"), function()
            ctz.sleep(60)
          end)
        end)
        ctz.sleep(i / 1000)
        contender:cancel()
      end)
      local found = ctz.try(lease, name)
      assert.is_true(found == nil or (found.spec.holderIdentity or "") == "", name)
    end
  end)

  it("does not trust the clocks of others", function()
    local spec = {
      holderIdentity = "elsewhere", leaseDurationSeconds = 1, leaseTransitions = 7,
      acquireTime = "2001-01-01T00:00:00.000000Z", renewTime = "2001-01-01T00:00:00.000000Z",
    }
    k:create {
      apiVersion = "coordination.k8s.io/v1", kind = "Lease", spec = spec,
      metadata = { name = "clocks", namespace = namespace, labels = { kept = "yes" } },
    }
    local _, err = ctz.try(k.elect, k, quick("clocks", "a", { timeout = 0.5 }), print)
    assert.equal("timeout", err.kind) -- by its clock it ended long ago, but it may be alive
    local stays = ctz.spawn(function()
      for i = 1, 8 do
        spec.renewTime = ("2001-01-01T00:00:%02d.000000Z"):format(i)
        k:patch("lease/clocks", { spec = spec }, { namespace = namespace, type = "merge" })
        ctz.sleep(0.3)
      end
      return "silent"
    end)
    k:elect(quick("clocks", "a"), function(leader)
      assert.equal("silent", stays:await())
      assert.equal(8, leader.transitions)
      assert.equal("yes", lease("clocks").metadata.labels.kept)
    end)
  end)

  it("goes on when somebody writes the lease meanwhile; and ends when somebody takes it", function()
    local ended
    local _, err = ctz.try(k.elect, k, quick("taken", "a"), function()
      local closing <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
        ended = true
      end })
      for i = 1, 4 do
        k:patch("lease/taken", { metadata = { labels = { n = tostring(i) } } }, { namespace = namespace })
        ctz.sleep(0.25)
      end
      assert.equal("a", lease("taken").spec.holderIdentity)
      k:delete("lease/taken", { namespace = namespace }) -- it is made anew
      ctz.sleep(0.7)
      assert.equal("a", lease("taken").spec.holderIdentity)
      k:patch("lease/taken", { spec = { holderIdentity = "b" } }, { namespace = namespace })
      ctz.sleep(60)
    end)
    assert.is_true(ended)
    assert.equal("conflict", err.kind)
    assert.is_true(err:is "kubernetes")
    assert.equal("a does not lead any more: b has the lease taken in " .. namespace, err.message)
    assert.equal("b", lease("taken").spec.holderIdentity)
  end)

  it("cancels what it runs when the server is away for longer than the deadline #real", function()
    local began
    local _, err = ctz.try(k.elect, k, quick("away", "a"), function()
      assert(os.execute(("%s down %s apiserver --kill >/dev/null"):format(TESTBED, FOLDER)))
      began = ctz.time.monotonic()
      ctz.sleep(60)
    end)
    local seconds = ctz.time.monotonic() - began
    assert(os.execute(("%s up %s apiserver >/dev/null"):format(TESTBED, FOLDER)))
    assert.equal("conflict", err.kind)
    assert.matches("^a does not lead any more: lease away in .* could not be renewed for 1.5 s: the API server of",
      err.message)
    assert.is_true(seconds < 30)
    local led = ctz.spawn(function() -- a server that restarts is no reason to end
      return k:elect(quick("away", "b", { lease_duration = 60, renew_deadline = 50 }), function(leader)
        assert(os.execute(("%s down %s apiserver --kill >/dev/null"):format(TESTBED, FOLDER)))
        ctz.sleep(0.5)
        assert(os.execute(("%s up %s apiserver >/dev/null"):format(TESTBED, FOLDER)))
        local before = lease("away").spec.renewTime
        ctz.timeout(60, function()
          while lease("away").spec.renewTime == before do
            ctz.sleep(0.2)
          end
        end)
        return leader.identity
      end)
    end)
    assert.equal("b", led:await())
  end)

  it("is taken over from a program that is killed, and given back by one that is interrupted #real", function()
    local recipe = os.tmpname()
    local file = assert(io.open(recipe, "w"))
    file:write [[
      local ctz = require "ctz"
      local p = ctz.params { { "namespace" }, { "identity" } }
      ctz.kubernetes.connect { namespace = p.namespace }:elect({
        name = "killed", identity = p.identity, lease_duration = 2,
      }, function()
        print "leads"
        io.stdout:flush()
        ctz.sleep(600)
      end)
    ]]
    file:close()
    local function contend(identity)
      local process = ctz.process.spawn({
        program.path, "run", recipe, "namespace=" .. namespace, "identity=" .. identity,
      })
      assert.equal("leads", process:read("l", { timeout = 60 }))
      return process
    end
    local first = contend "first"
    assert.equal("first", lease("killed").spec.holderIdentity)
    first:kill "KILL"
    first:wait { check = false }
    local second = contend "second"
    assert.equal("second", lease("killed").spec.holderIdentity)
    assert.equal(1, lease("killed").spec.leaseTransitions)
    second:kill "INT"
    second:wait { check = false }
    assert.equal("", lease("killed").spec.holderIdentity)
    os.remove(recipe)
  end)

  it("is understood by client-go: a scheduler waits, leads after it, is followed when killed #real", function()
    local config = FOLDER .. "/config/scheduler"
    local leading = ctz.spawn(function()
      k:elect(quick("peer", "ctz", { lease_duration = 4, renew_deadline = 3 }), function()
        ctz.sleep(4)
        assert.equal("ctz", lease("peer").spec.holderIdentity)
      end)
    end)
    ctz.sleep(0.5)
    local peer <close> = ctz.process.spawn({
      "kube-scheduler", "--kubeconfig=" .. FOLDER .. "/kubeconfigs/admin", "--authentication-kubeconfig=" .. config,
      "--authorization-kubeconfig=" .. config, "--secure-port=0", "--leader-elect=true",
      "--leader-elect-resource-name=peer", "--leader-elect-resource-namespace=" .. namespace,
      "--leader-elect-lease-duration=3s", "--leader-elect-renew-deadline=2s", "--leader-elect-retry-period=500ms",
    }, { stderr = "null", stdout = "null" })
    leading:await()
    local leaders, watch = {}, k:watch("leases", { namespace = namespace, name = "peer" })
    ctz.timeout(60, function()
      for event in watch do
        local holder = event.object and event.object.spec.holderIdentity or ""
        if holder ~= "" and holder ~= "ctz" then
          leaders[1] = event.object.spec
          break
        end
      end
    end)
    watch:close()
    assert.equal(1, leaders[1].leaseTransitions)
    peer:kill "KILL"
    peer:wait { check = false }
    k:elect(quick("peer", "ctz", { timeout = 60 }), function(leader)
      assert.equal(2, leader.transitions)
    end)
  end)

  it("refuses times that cannot work, and users who may not #real", function()
    for _, opts in ipairs {
      { name = "x", lease_duration = 5, renew_deadline = 5 }, { name = "x", renew_deadline = 2, retry_period = 2 },
      { name = "x", lease_duration = 0.5 }, { name = "a/b" }, { name = "x", identity = "" }, {},
      { name = "x", lease_durations = 5 },
    } do
      local _, err = ctz.try(k.elect, k, opts, print)
      assert.equal("usage", err.kind)
    end
    local _, err = ctz.try(k.elect, k, { name = "x" })
    assert.equal("usage", err.kind)
    local reader = ctz.kubernetes.connect { kubeconfig = cluster.kubeconfig "reader" }
    _, err = ctz.try(reader.elect, reader, quick("x", "a"), print)
    assert.equal("denied", err.kind)
  end)
end)
