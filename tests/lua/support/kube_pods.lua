-- kube_pods.lua: pods of a real cluster for a spec, in a namespace of its own.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
require "tests.lua.support.cluster" -- which may be the one in memory

local pods = {}

pods.image = "ctz-test/busybox:1"

-- A client whose namespace is new and random.
function pods.client()
  local name = ("ctz-%08x%08x"):format(math.random(0, 0xffffffff), math.random(0, 0xffffffff))
  local k = ctz.kubernetes.connect { namespace = name }
  k:create { apiVersion = "v1", kind = "Namespace", metadata = { name = name } }
  k:wait("serviceaccount/default", { -- pods need it; after API servers that were killed it comes a minute late
    condition = "jsonpath={.metadata.name}=default", namespace = name, timeout = 120,
  })
  return k
end

function pods.remove(k)
  k:call("DELETE", "/api/v1/namespaces/" .. k.namespace, { op = "test", target = k.namespace })
end

local function container(name, fields)
  local one = { name = name, image = pods.image, imagePullPolicy = "Never" }
  for key, value in pairs(fields) do
    one[key] = value
  end
  return one
end

-- {name = fields of the container, ...} in order of their names
function pods.spec(containers)
  local list, names = {}, {}
  for name in pairs(containers) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i, name in ipairs(names) do
    list[i] = container(name, containers[name])
  end
  return { containers = ctz.json.array(list), terminationGracePeriodSeconds = 0 }
end

-- Makes a pod and waits until it runs (or has ended, with phase="Succeeded").
function pods.run(k, name, containers, phase)
  local spec = pods.spec(containers)
  spec.restartPolicy = "Never"
  k:create { apiVersion = "v1", kind = "Pod", metadata = { name = name, labels = { app = name } }, spec = spec }
  pods.wait(k, name, phase)
end

function pods.wait(k, name, phase)
  ctz.timeout(60, function()
    repeat
      ctz.sleep(0.1)
      local pod = k:get("pod", name)
    until pod.status.phase == (phase or "Running")
  end)
end

-- A deployment that runs.
function pods.deploy(k, name, replicas, containers)
  local labels = { app = name }
  k:create {
    apiVersion = "apps/v1", kind = "Deployment", metadata = { name = name },
    spec = {
      replicas = replicas, selector = { matchLabels = labels },
      template = { metadata = { labels = labels }, spec = pods.spec(containers) },
    },
  }
  ctz.timeout(60, function()
    repeat
      ctz.sleep(0.1)
    until k:get("deployment", name).status.readyReplicas == replicas
  end)
end

return pods
