-- rollout_spec.lua: rollouts of real workloads, good ones and bad ones.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

describe("a rollout #live", function()
  local k, space

  setup(function()
    k = ctz.kubernetes.connect()
    space = cluster.namespace()
  end)

  teardown(function()
    space.delete()
  end)

  local function deploy(name, image, command)
    local spec = cluster.pod(name, nil, command or { "sleep", "1000" }, { restartPolicy = "Always" }).spec
    spec.containers[1].image = image
    return k:create {
      apiVersion = "apps/v1", kind = "Deployment",
      metadata = { name = name, namespace = space.name },
      spec = {
        replicas = 2, revisionHistoryLimit = 5,
        minReadySeconds = command and 5, -- what ends at once is ready for a moment
        selector = { matchLabels = { app = name } },
        template = { metadata = { labels = { app = name } }, spec = spec },
      },
    }
  end

  local function set_image(name, image)
    k:patch("deployment/" .. name, {
      spec = { template = { spec = { containers = { { name = "main", image = image } } } } },
    }, { type = "strategic", namespace = space.name })
  end

  it("is waited for, with its progress, and can be gone back from", function()
    local steps = {}
    local rollout = k:rollout(deploy("web", cluster.image))
    local ready = rollout:status {
      timeout = 60,
      on_progress = function(step)
        steps[#steps + 1] = step.text
      end,
    }
    assert.equal(2, ready.status.availableReplicas)
    assert.is_true(#steps > 0)
    set_image("web", cluster.other_image)
    rollout:status { timeout = 60 }
    assert.same({ 1, 2 }, { rollout:history()[1].revision, rollout:history()[2].revision })
    rollout:undo()
    local back = rollout:status { timeout = 60 }
    assert.equal(cluster.image, back.spec.template.spec.containers[1].image)
    assert.equal(3, rollout:history()[2].revision)
  end)

  it("makes all pods anew, and stands still while it is paused", function()
    local rollout = k:rollout(deploy("again", cluster.image))
    rollout:status { timeout = 60 }
    local before = k:list("pods", { namespace = space.name, labels = "app=again" }).items[1].metadata.uid
    rollout:restart()
    rollout:status { timeout = 60 }
    for _, pod in ipairs(k:list("pods", { namespace = space.name, labels = "app=again" }).items) do
      assert.not_equal(before, pod.metadata.uid)
    end
    rollout:pause()
    assert.is_true(k:get("deployment/again", { namespace = space.name }).spec.paused)
    local _, err = ctz.try(rollout.undo, rollout)
    assert.matches("is paused", err.message)
    rollout:resume()
    _, err = ctz.try(rollout.undo, rollout, { to = 77 })
    assert.equal("not_found", err.kind)
  end)

  it("ends early when an image cannot be pulled, and says so", function()
    local _, err = ctz.try(function()
      k:rollout(deploy("missing", "none.invalid/nothing:1")):status { timeout = 120 }
    end)
    assert.equal("conflict", err.kind)
    assert.matches("^deployment missing does not get ready: %a+", err.message)
    assert.matches("container main: %a*I[mP]%a+", err.message)
    assert.matches("none.invalid/nothing:1", err.message, 1, true)
    assert.matches("undo", err.hint)
  end)

  it("ends early when a container crashes again and again, with its last lines", function()
    local _, err = ctz.try(function()
      k:rollout(deploy("crash", cluster.image, { "sh", "-c", "echo no database; exit 3" })):status { timeout = 120 }
    end)
    assert.matches("container main: %a+: it ended with 3, %d+ times", err.message)
    assert.matches("| no database", err.message, 1, true)
    assert.equal("crash", err.reasons[1].pod:match "^%a+")
  end)

  it("ends early when no node has room", function()
    local made = deploy("big", cluster.image)
    made.spec.template.spec.containers[1].resources = { requests = { cpu = "1000" } }
    made.metadata.name, made.metadata.uid, made.metadata.resourceVersion = "bigger", nil, nil
    made.spec.selector.matchLabels.app, made.spec.template.metadata.labels.app = "bigger", "bigger"
    made.status, made.metadata.managedFields = nil, nil
    local _, err = ctz.try(function()
      k:rollout(k:create(made)):status { timeout = 120 }
    end)
    assert.matches("Unschedulable: .*Insufficient cpu", err.message)
  end)

  it("ends early when a quota forbids pods", function()
    k:create {
      apiVersion = "v1", kind = "ResourceQuota", metadata = { name = "none", namespace = space.name },
      spec = { hard = { ["count/pods"] = "0" } },
    }
    k:wait("resourcequota/none", { condition = "jsonpath={.status.hard}", namespace = space.name, timeout = 30 })
    local _, err = ctz.try(function()
      k:rollout(deploy("poor", cluster.image)):status { timeout = 120 }
    end)
    assert.matches("exceeded quota", err.message)
  end)

  it("ends when its own deadline is over, and a container is never ready", function()
    local made = ctz.k8s.deployment {
      name = "never", image = cluster.image, command = { "sleep", "1000" }, replicas = 1,
      probes = { readiness = { command = { "false" }, period = 1 } },
    }
    made.spec.progressDeadlineSeconds = 3
    local _, err = ctz.try(function()
      k:rollout(k:create(made)):status { timeout = 120 }
    end)
    assert.equal("conflict", err.kind, tostring(err))
    assert.matches("deployment never does not get ready: .*ProgressDeadlineExceeded", err.message)
    assert.matches("event: pod/never%-.*Unhealthy", err.message)
  end)

  it("is no matter of a service", function()
    local _, err = ctz.try(k.rollout, k, "service/web", { namespace = space.name })
    assert.equal("usage", err.kind)
  end)
end)
