-- nodes_spec.lua: nodes that are cordoned and drained, on a real cluster's played nodes.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local NODE <const>, OTHER <const>, THIRD <const> = "kwok-0", "kwok-1", "kwok-2"
local TAINT <const> = { key = "kwok.x-k8s.io/node", operator = "Exists", effect = "NoSchedule" }

describe("a node #live", function()
  local k, space, namespace

  -- A pod on the played node. more: fields of its metadata.
  local function pod(name, spec, more)
    local object = cluster.pod(name, namespace, { "sleep", "1000" }, { nodeName = NODE, tolerations = { TAINT } })
    for key, value in pairs(spec or {}) do
      object.spec[key] = value
    end
    for key, value in pairs(more or {}) do
      object.metadata[key] = value
    end
    return k:create(object)
  end

  local function ready(name)
    k:wait("pod/" .. name, { namespace = namespace, timeout = 60 })
  end

  local function deployment(name, replicas)
    local object = ctz.kubernetes.deployment {
      name = name, namespace = namespace, image = cluster.image, replicas = replicas, command = { "sleep", "1000" },
    }
    object.spec.template.spec.tolerations = { TAINT }
    object.spec.template.spec.nodeSelector = { type = "kwok" }
    object.spec.template.spec.terminationGracePeriodSeconds = 1
    k:cordon(OTHER)
    k:cordon(THIRD)
    k:create(object)
    k:wait("deployment/" .. name, { namespace = namespace, timeout = 60 })
    k:uncordon(OTHER)
    k:uncordon(THIRD)
  end

  local function budget(name, app, least)
    k:create {
      apiVersion = "policy/v1", kind = "PodDisruptionBudget", metadata = { name = name, namespace = namespace },
      spec = { minAvailable = least, selector = { matchLabels = { app = app } } },
    }
    k:wait("pdb/" .. name, {
      condition = "jsonpath={.status.desiredHealthy}=" .. least, namespace = namespace, timeout = 30,
    })
  end

  local function names(list)
    local texts = {}
    for i, one in ipairs(list) do
      texts[i] = one.name
    end
    table.sort(texts)
    return texts
  end

  before_each(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
    namespace = space.name
  end)

  after_each(function()
    k:uncordon(nil, { selector = "type=kwok" })
    k:delete_all("deployments", { namespace = namespace, all = true })
    k:delete_all("pods", { namespace = namespace, all = true, grace = 0 })
    space.delete()
  end)

  it("takes no pods while it is cordoned", function()
    assert.is_true(k:cordon(NODE).spec.unschedulable)
    assert.is_true(cluster.get("node", NODE).spec.unschedulable)
    assert.is_true(k:cordon("node/" .. NODE).spec.unschedulable) -- twice is once
    assert.is_nil(k:uncordon(k:get("node", NODE)).spec.unschedulable)
    assert.is_nil(cluster.get("node", NODE).spec.unschedulable)
    assert.is_true(k:cordon(NODE, { dry_run = true }).spec.unschedulable)
    assert.is_nil(cluster.get("node", NODE).spec.unschedulable)
    assert.equal(3, #k:cordon(nil, { selector = { type = "kwok" } }))
    assert.equal(3, #k:uncordon(nil, { selector = { type = "kwok" } }))
  end)

  it("is named, one way, and there", function()
    local _, err = ctz.try(k.cordon, k, "nothing")
    assert.equal("not_found", err.kind)
    _, err = ctz.try(k.cordon, k)
    assert.equal("usage", err.kind)
    _, err = ctz.try(k.drain, k, NODE, { selector = "type=kwok" })
    assert.equal("usage", err.kind)
    _, err = ctz.try(k.drain, k, nil, { selector = "type=none" })
    assert.equal("no node has the labels type=none", err.message)
  end)

  it("is drained by those who may #real", function()
    local editor = ctz.kubernetes.connect { kubeconfig = cluster.kubeconfig "certificate" }
    local _, err = ctz.try(editor.drain, editor, NODE)
    assert.equal("denied", err.kind)
  end)

  it("is drained: pods of controllers and finished ones go, static ones stay, and come up elsewhere", function()
    deployment("web", 2)
    pod("static", nil, { annotations = { ["kubernetes.io/config.mirror"] = "x" } })
    pod "done"
    k:wait("pod/done", { condition = "Ready", namespace = namespace, timeout = 30 }) -- or kwok starts it after that
    k:patch("pod/done", { status = { phase = "Succeeded" } }, { namespace = namespace, subresource = "status" })
    local steps = {}
    local result = k:drain(NODE, {
      timeout = 60,
      on_progress = function(step)
        steps[#steps + 1] = step.event
        assert.equal(NODE, step.node)
      end,
    })
    assert.same({ NODE }, result.nodes)
    assert.equal(3, #result.evicted)
    assert.equal("done", names(result.evicted)[1])
    assert.same({ { namespace = namespace, name = "static", node = NODE, reason = "mirror" } }, result.skipped)
    table.sort(steps)
    assert.same({ "cordoned", "evicted", "evicted", "evicted", "evicting", "evicting", "evicting", "skipped" }, steps)
    local left = k:list("pods", { namespace = namespace, fields = { ["spec.nodeName"] = NODE } }).items
    assert.equal(1, #left)
    k:wait("deployment/web", { namespace = namespace, timeout = 60 })
    assert.same({ nodes = { NODE }, evicted = {}, skipped = result.skipped }, k:drain(NODE))
  end)

  it("is refused with all that is in the way at once, as kubectl, and nothing is evicted", function()
    pod "alone"
    pod("scratch", { volumes = { { name = "data", emptyDir = {} } } })
    local set = k:create {
      apiVersion = "apps/v1", kind = "DaemonSet", metadata = { name = "agents", namespace = namespace },
      spec = {
        selector = { matchLabels = { app = "agents" } },
        template = {
          metadata = { labels = { app = "agents" } },
          spec = {
            containers = { { name = "main", image = cluster.image } },
            nodeSelector = { ["kubernetes.io/hostname"] = NODE }, tolerations = { TAINT },
          },
        },
      },
    }
    ctz.timeout(60, function()
      while #k:list("pods", { namespace = namespace, labels = "app=agents" }).items == 0 do
        ctz.sleep(0.1)
      end
    end)
    local agent = k:list("pods", { namespace = namespace, labels = "app=agents" }).items[1].metadata.name
    local _, err = ctz.try(k.drain, k, NODE)
    assert.equal("conflict", err.kind)
    assert.equal(("node kwok-0 is not drained, nothing was evicted:" ..
      "\n  pods managed by a DaemonSet: %s/%s" ..
      "\n  pods with local storage, which is lost: %s/scratch" ..
      "\n  pods that nothing makes anew: %s/alone"):format(namespace, agent, namespace, namespace), err.message)
    assert.matches("ignore_daemonsets=true, delete_emptydir_data=true, force=true", err.hint, 1, true)
    assert.same({ "daemonset", "storage", "unmanaged" }, {
      err.problems[1].reason, err.problems[2].reason, err.problems[3].reason,
    })
    local peer = not cluster.is_simulated and cluster.kubectl({ "drain", NODE, "--timeout=5s" }, { check = false })
    assert.equal(1, peer and peer.exit_code or 1)
    for _, name in ipairs { agent, "scratch", "alone" } do
      assert.matches(name, peer and peer.stderr or name, 1, true)
      assert.is_nil(k:get("pod/" .. name, { namespace = namespace }).metadata.deletionTimestamp)
    end
    local result = k:drain(NODE, { ignore_daemonsets = true, delete_emptydir_data = true, force = true, timeout = 60 })
    assert.same({ "alone", "scratch" }, names(result.evicted))
    assert.same({ { namespace = namespace, name = agent, node = NODE, reason = "daemonset" } }, result.skipped)
    k:delete(set, { wait = true, timeout = 60, propagation = "foreground" })
  end)

  it("waits for a budget, and says which and its numbers", function()
    deployment("web", 2)
    budget("keep", "web", 2)
    local steps = {}
    local task = ctz.spawn(function()
      return k:drain(NODE, {
        retry = 0.2, timeout = 60,
        on_progress = function(step)
          if step.event == "blocked" then
            steps[#steps + 1] = step
            if #steps == 2 then
              k:patch("pdb/keep", { spec = { minAvailable = 1 } }, { namespace = namespace, type = "merge" })
            end
          end
        end,
      })
    end)
    assert.equal(2, #task:await().evicted)
    assert.equal("keep", steps[1].budgets[1].name)
    assert.equal(2, steps[1].budgets[1].desired)
    assert.equal(2, steps[1].budgets[1].current)
    assert.equal(0, steps[1].budgets[1].allowed)
    assert.matches("waits: the budget keep needs 2 healthy pods of 2 and has 2", steps[1].text, 1, true)
  end)

  it("names what blocks when its time is over", function()
    deployment("web", 1)
    budget("keep", "web", 1)
    local _, err = ctz.try(k.drain, k, NODE, { retry = 0.2, timeout = 1.5 })
    assert.equal("timeout", err.kind)
    assert.is_true(err:is "kubernetes")
    assert.matches("^node kwok%-0 is not drained after 1.5 s, 1 pods are left:\n  " .. namespace:gsub("%-", "%%-") ..
      "/web%-[%w-]+: the budget keep needs 1 healthy pods of 1 and has 1$", err.message)
    assert.equal("keep", err.left[1].budgets[1].name)
    assert.equal(1, #k:drain(NODE, { disable_eviction = true, timeout = 60 }).evicted)
  end)

  it("waits for the pods to be gone, by their uid, and names the finalizer that keeps one", function()
    local made = pod("sticky", nil, { finalizers = { "ctz.test/keep" } })
    ready "sticky"
    local _, err = ctz.try(k.drain, k, NODE, { force = true, timeout = 1.5, grace_period = 0 })
    assert.matches("sticky: it is ending, since .*Z; its finalizers are: ctz.test/keep", err.message)
    local task = ctz.spawn(function()
      return k:drain(NODE, { force = true, timeout = 60 })
    end)
    ctz.sleep(0.3)
    k:patch("pod/sticky", { metadata = { finalizers = ctz.json.null } }, { namespace = namespace, type = "merge" })
    assert.equal(made.metadata.uid, task:await().evicted[1].uid)
  end)

  it("takes only some pods, and only says what it would do", function()
    pod("one", nil, { labels = { group = "a" } })
    pod("two", nil, { labels = { group = "b" } })
    local result = k:drain(NODE, { force = true, dry_run = true, timeout = 60 })
    assert.same({ "one", "two" }, names(result.evicted))
    assert.is_nil(cluster.get("node", NODE).spec.unschedulable)
    assert.equal(2, #k:list("pods", { namespace = namespace }).items)
    result = k:drain(NODE, { force = true, pod_selector = { group = "a" }, timeout = 60 })
    assert.same({ "one" }, names(result.evicted))
    result = k:drain(nil, { selector = "type=kwok", force = true, timeout = 60 })
    assert.equal(3, #result.nodes)
    assert.same({ "two" }, names(result.evicted))
    assert.is_true(cluster.get("node", OTHER).spec.unschedulable)
  end)
end)
