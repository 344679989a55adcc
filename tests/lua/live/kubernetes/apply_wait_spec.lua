-- apply_wait_spec.lua: apply that waits until all is ready, on a real cluster with real pods.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

describe("client:apply with wait #live", function()
  local space, client

  setup(function()
    space = cluster.namespace()
    client = ctz.k8s.connect { namespace = space.name }
  end)

  teardown(function()
    space.delete()
  end)

  local function deployment(name, image, more)
    local object = ctz.k8s.deployment { name = name, image = image or cluster.image, replicas = 1,
      command = { "sleep", "1000" } }
    for key, value in pairs(more or {}) do
      object.spec[key] = value
    end
    return object
  end

  local function job(name, command)
    local object = ctz.k8s.job { name = name, image = cluster.image, command = command }
    object.spec.backoffLimit = 0
    return object
  end

  it("returns when every kind is ready, with the objects as they are then", function()
    local daemon = {
      apiVersion = "apps/v1", kind = "DaemonSet", metadata = { name = "each" },
      spec = { selector = { matchLabels = { app = "each" } }, template = deployment("each").spec.template },
    }
    daemon.spec.template.metadata = { labels = { app = "each" } }
    local stateful = {
      apiVersion = "apps/v1", kind = "StatefulSet", metadata = { name = "kept" },
      spec = { serviceName = "kept", replicas = 1, selector = { matchLabels = { app = "kept" } },
        template = deployment("kept").spec.template },
    }
    stateful.spec.template.metadata = { labels = { app = "kept" } }
    local steps = {}
    local result = client:apply({
      deployment "web", daemon, stateful, job("once", { "true" }), ctz.k8s.configmap { name = "c" },
      ctz.k8s.service { name = "web", ports = { 80 } }, cluster.pod("alone", space.name, { "sleep", "1000" }),
    }, { wait = { timeout = 100, on_progress = function(step)
      steps[step.object.kind] = step.text
    end } })
    local seen = {}
    for _, object in ipairs(result) do
      seen[object.kind] = object.status
    end
    assert.equal(1, seen.Deployment.availableReplicas)
    assert.equal(1, seen.DaemonSet.numberAvailable)
    assert.equal(1, seen.StatefulSet.readyReplicas)
    assert.equal(1, seen.Job.succeeded)
    assert.equal("Running", seen.Pod.phase)
    assert.is_string(steps.Deployment)
    assert.is_string(steps.DaemonSet)
  end)

  it("does not wait for what is paused, suspended, or a job that shall not be waited for", function()
    local suspended = job("later", { "true" })
    suspended.spec.suspend = true
    client:apply({ deployment("paused", "none.invalid/x:1", { paused = true }), suspended }, { wait = 30 })
    client:apply({ job("long", { "sleep", "1000" }) }, { wait = { jobs = false, timeout = 30 } })
  end)

  it("ends early with the reason: an image that cannot be had, a job that fails", function()
    local _, err = ctz.try(client.apply, client, { deployment("bad", "none.invalid/web:1"), ctz.k8s.configmap {
      name = "beside" } }, { wait = 120 })
    assert.is_true(err:is "conflict")
    assert.is_truthy(err.message:find("deployment bad does not get ready", 1, true), err.message)
    assert.is_truthy(err.message:find("none.invalid/web:1", 1, true), err.message)
    assert.is_table(client:get("configmap", "beside"))
    _, err = ctz.try(client.apply, client, job("fails", { "sh", "-c", "echo no such table; exit 3" }), { wait = 120 })
    assert.is_true(err:is "conflict")
    assert.is_truthy(err.message:find("job fails does not get ready", 1, true), err.message)
    assert.is_truthy(err.message:find("no such table", 1, true), err.message)
    local crashes = cluster.pod("crashes", space.name, { "sh", "-c", "echo no key; exit 4" }, {
      restartPolicy = "Always" })
    crashes.spec.containers[1].readinessProbe = { exec = { command = { "false" } } } -- else it is ready until it ends
    _, err = ctz.try(client.apply, client, crashes, { wait = 120 })
    assert.is_truthy(err.message:find("pod crashes does not get ready", 1, true), err.message)
    assert.is_truthy(err.message:find("| no key", 1, true), err.message)
    _, err = ctz.try(client.apply, client, cluster.pod("nowhere", space.name, { "true" }, {
      nodeSelector = { nothing = "has-this" } }), { wait = 120 })
    assert.is_truthy(err.message:find("pod nowhere does not get ready", 1, true), err.message)
    assert.is_truthy(err.message:find("Unschedulable", 1, true), err.message)
  end)

  it("names all that are not ready in time", function()
    local sleeper = { "sleep", "1000" }
    local _, err = ctz.try(client.apply, client, { job("slow1", sleeper), job("slow2", sleeper) }, { wait = 2 })
    assert.is_true(err:is "timeout")
    assert.is_truthy(err.message:find("2 objects are not ready after 2 s: job slow", 1, true), err.message)
    assert.is_truthy(err.message:find("job slow1: ", 1, true) and err.message:find("job slow2: ", 1, true), err.message)
  end)

  it("does not prune when what is new is not ready", function()
    client:apply({ ctz.k8s.configmap { name = "old" } }, { prune = "both" })
    local _, err = ctz.try(client.apply, client, deployment("broken", "none.invalid/web:1"), {
      prune = "both", wait = 60 })
    assert.is_true(err:is "conflict")
    assert.is_table(client:get("configmap", "old"))
  end)
end)
