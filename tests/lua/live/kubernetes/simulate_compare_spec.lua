-- simulate_compare_spec.lua: the cluster in memory beside a real one: the same requests, the same answers.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local simulate = require "ctz.simulate"

local MERGE <const> = "application/merge-patch+json"

-- What differs between two clusters, and from one second to the next.
local VOLATILE <const> = {
  creationTimestamp = true, resourceVersion = true, uid = true, time = true, lastTransitionTime = true,
  lastUpdateTime = true, lastProbeTime = true, clusterIP = true, clusterIPs = true, deletionTimestamp = true,
  annotations = true, status = true, ["controller-uid"] = true, ["batch.kubernetes.io/controller-uid"] = true,
}

describe("a simulated cluster and a real one #live #real", function()
  local real, played, space

  setup(function()
    space = cluster.namespace()
    real = ctz.k8s.connect { namespace = space.name }
    played = simulate.cluster({ images = { [cluster.image] = { command = { "sh" }, programs = {} } } }).kubernetes
    played.namespace = space.name
    played:create { apiVersion = "v1", kind = "Namespace", metadata = { name = space.name } }
  end)

  teardown(function()
    space.delete()
  end)

  local function plain(value)
    if type(value) ~= "table" then
      return type(value) == "string" and value:gsub("%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x+%-%x+%-%x+", "UID")
        :gsub("%d%d%d%d%-%d%d%-%d%dT[%d:]+Z", "TIME") or value
    end
    if value[1] ~= nil then -- controllers write when they come to it
      local list = ctz.json.array {}
      for _, one in ipairs(value) do
        list[#list + 1] = not (type(one) == "table" and one.manager == "kube-controller-manager") and plain(one) or nil
      end
      return list
    end
    local result = {}
    for key, one in next, value do
      if not VOLATILE[key] then
        result[key] = plain(one)
      end
    end
    return result
  end

  -- Sends it to both: what each answers, without what cannot be the same.
  local function ask(client, method, path, opts)
    local copy = { op = "test" }
    for name, value in pairs(opts or {}) do
      copy[name] = value
    end
    local done, value, status = pcall(client.call, client, method, path, copy)
    if done then
      return ctz.json.encode { code = status, value = plain(value) }, value
    end
    return ctz.json.encode {
      status = value.status, reason = value.reason, message = plain(value.message), causes = plain(value.causes),
      kind = value.kind,
    }
  end

  local function both(method, path, opts)
    path = path:gsub("NS", space.name)
    local first, one = ask(real, method, path, opts)
    local second, other = ask(played, method, path, opts)
    assert.equal(first, second, method .. " " .. path)
    return one, other
  end

  local function post(path, object, query)
    return both("POST", path, { json = object, query = query or { fieldManager = "t", fieldValidation = "Strict" } })
  end

  local function apply(path, object, manager, more)
    local query = { fieldManager = manager, fieldValidation = "Strict" }
    for name, value in pairs(more or {}) do
      query[name] = value
    end
    return both("PATCH", path, { json = object, content_type = "application/apply-patch+yaml", query = query })
  end

  local MAPS <const> = "/api/v1/namespaces/NS/configmaps"
  local DEPLOYMENTS <const> = "/apis/apps/v1/namespaces/NS/deployments"

  local function map(name, data, more)
    local object = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = name }, data = data }
    for key, value in pairs(more or {}) do
      object[key] = value
    end
    return object
  end

  local function deployment(name, more)
    local object = {
      apiVersion = "apps/v1", kind = "Deployment", metadata = { name = name },
      spec = {
        replicas = 0, selector = { matchLabels = { app = name } },
        template = { metadata = { labels = { app = name } }, spec = {
          containers = { { name = "main", image = cluster.image, ports = { { containerPort = 80 } },
            env = { { name = "A", value = "1" } }, resources = { limits = { cpu = "1" } },
            readinessProbe = { httpGet = { port = 80 } },
            volumeMounts = { { name = "c", mountPath = "/c" }, { name = "e", mountPath = "/e" } } } },
          volumes = { { name = "c", configMap = { name = "c" } }, { name = "e" } },
        } },
      },
    }
    for key, value in pairs(more or {}) do
      object.spec[key] = value
    end
    return object
  end

  it("make, change and refuse config maps alike", function()
    post(MAPS, map("one", { a = "1" }))
    post(MAPS, map "one")
    post(MAPS, map("two", nil, { dat = {}, more = 1 }))
    post(MAPS, map("two", { a = 1 }))
    post(MAPS, map "Bad_")
    post(MAPS, map("x", { ["a b"] = "1" }))
    post(MAPS, map("x", nil, { metadata = { name = "x", labels = { ["a b"] = "c d" } } }))
    post(MAPS, map("x", nil, { metadata = {} }))
    post(MAPS, map("x", nil, { kind = "Secret" }))
    post("/api/v1/namespaces/none-such/configmaps", map "x")
    both("GET", MAPS .. "/none")
    both("GET", MAPS .. "/one")
    both("GET", "/api/v1/namespaces/NS/nones")
    both("GET", MAPS, { query = { fieldSelector = "data=c" } })
    both("PATCH", MAPS .. "/one", { json = { data = { b = "2" } }, content_type = MERGE,
      query = { fieldManager = "other" } })
    both("PATCH", MAPS .. "/one", { json = { metadata = { resourceVersion = "1" } }, content_type = MERGE })
    both("PUT", MAPS .. "/one", { json = map("other"), query = { fieldManager = "t" } })
    both("PUT", MAPS .. "/none", { json = map("none"), query = { fieldManager = "t" } })
    both("DELETE", MAPS .. "/one", { json = { apiVersion = "v1", kind = "DeleteOptions",
      preconditions = { uid = "x" } } })
    both("DELETE", MAPS .. "/one")
    both("DELETE", MAPS .. "/one")
  end)

  it("fill in and refuse deployments alike", function()
    post(DEPLOYMENTS, deployment "web")
    post(DEPLOYMENTS, deployment("wrong", { replicas = -1, selector = { matchLabels = { app = "x" } } }))
    post(DEPLOYMENTS, deployment("wrong", { replicas = "x" }))
    post(DEPLOYMENTS, deployment("wrong", { replicsa = 1 }))
    local bare = deployment "wrong"
    bare.spec = { template = { spec = { containers = { { name = "m a" }, { name = "b" }, { name = "b", image = "x",
      ports = { { name = "p" } }, volumeMounts = { { name = "none", mountPath = "/x" } } } } } } }
    post(DEPLOYMENTS, bare)
    both("PATCH", DEPLOYMENTS .. "/web", { json = { spec = { selector = { matchLabels = { app = "z" } } } },
      content_type = MERGE })
    both("GET", DEPLOYMENTS .. "/web/scale")
    both("DELETE", DEPLOYMENTS .. "/web")
  end)

  it("fill in other kinds alike", function()
    post("/api/v1/namespaces/NS/services", { apiVersion = "v1", kind = "Service", metadata = { name = "s" },
      spec = { selector = { app = "x" }, ports = { { port = 80 } } } })
    post("/api/v1/namespaces/NS/services", { apiVersion = "v1", kind = "Service", metadata = { name = "1s" },
      spec = { ports = { { port = 80 }, { port = 81 } } } })
    post("/api/v1/namespaces/NS/secrets", { apiVersion = "v1", kind = "Secret", metadata = { name = "s" },
      stringData = { a = "b" } })
    post("/apis/batch/v1/namespaces/NS/cronjobs", { apiVersion = "batch/v1", kind = "CronJob",
      metadata = { name = "c" }, spec = { schedule = "@daily", suspend = true, jobTemplate = { spec = { template = {
        spec = { restartPolicy = "Never", containers = { { name = "m", image = "x:1" } } } } } } } })
    post("/apis/apps/v1/namespaces/NS/statefulsets", { apiVersion = "apps/v1", kind = "StatefulSet",
      metadata = { name = "s" }, spec = { replicas = 0, serviceName = "s", selector = { matchLabels = { a = "b" } },
        template = { metadata = { labels = { a = "b" } }, spec = { containers = { { name = "m", image = "x" } } } } } })
    post("/apis/networking.k8s.io/v1/namespaces/NS/ingresses", { apiVersion = "networking.k8s.io/v1", kind = "Ingress",
      metadata = { name = "i" }, spec = { rules = { { host = "a.example", http = { paths = { { path = "/",
        pathType = "Prefix", backend = { service = { name = "s", port = { number = 80 } } } } } } } } } })
    post("/apis/batch/v1/namespaces/NS/jobs", { apiVersion = "batch/v1", kind = "Job", metadata = { name = "j" },
      spec = { suspend = true, template = { spec = { restartPolicy = "Never", containers = { {
        name = "m", image = "x:1" } } } } } })
  end)

  it("apply alike, with the same owners, conflicts and what goes", function()
    apply(MAPS .. "/own", map("own", { a = "1", b = "1" }), "one")
    apply(MAPS .. "/own", map("own", { a = "2" }), "two")
    apply(MAPS .. "/own", map("own", { a = "2" }), "two", { force = "true" })
    apply(MAPS .. "/own", map("own", { c = "3" }), "one")
    both("PATCH", MAPS .. "/own", { json = { data = { c = "4" } }, content_type = MERGE,
      query = { fieldManager = "editor" } })
    apply(MAPS .. "/own", map("own", { c = "5" }), "one")
    apply(MAPS .. "/own", map("own", nil, { dat = { a = "1" } }), "one")
    apply(DEPLOYMENTS .. "/app", deployment "app", "one")
    local other = deployment "app"
    other.spec.template.spec.containers[1].image = "other:1"
    other.spec.template.spec.containers[1].env = { { name = "A", value = "2" }, { name = "B", value = "3" } }
    apply(DEPLOYMENTS .. "/app", other, "two")
    apply(DEPLOYMENTS .. "/app", other, "two", { force = "true", dryRun = "All" })
    local less = deployment "app"
    less.spec.template.spec.containers[1].env, less.spec.template.spec.containers[1].ports = nil, nil
    apply(DEPLOYMENTS .. "/app", less, "one", { dryRun = "All" })
    both("PATCH", DEPLOYMENTS .. "/app", { json = { spec = { template = { spec = { containers = { {
      name = "main", env = { { name = "A", value = "3" } } }, { name = "side", image = "side:1" } } } } } },
      content_type = "application/strategic-merge-patch+json", query = { fieldManager = "editor", dryRun = "All" } })
  end)

  it("orders the lists of strategic patches the same", function()
    local function pod_of(change)
      return { json = { spec = { template = { spec = change } } },
        content_type = "application/strategic-merge-patch+json" }
    end
    local function env(...)
      local list = {}
      for i, name in ipairs { ... } do
        list[i] = { name = name, value = "of " .. name }
      end
      return pod_of { containers = { { name = "main", env = list } } }
    end
    both("POST", DEPLOYMENTS, { json = deployment "ordered" })
    local path = DEPLOYMENTS .. "/ordered"
    both("PATCH", path, env("A", "C", "E"))
    both("PATCH", path, env("E", "B", "A")) -- against the order of before, with a new one within
    both("PATCH", path, env "D")
    both("PATCH", path, pod_of { containers = { { name = "first", image = "first:1" } } })
    both("PATCH", path, pod_of { containers = { { name = "last", image = "last:1" } },
      ["$setElementOrder/containers"] = { { name = "main" }, { name = "last" }, { name = "first" } } })
    both("PATCH", path, pod_of { ["$setElementOrder/containers"] = { { name = "first" }, { name = "main" } },
      containers = { { name = "last", ["$patch"] = "delete" } } })
    both("PATCH", path, { json = { metadata = { finalizers = { "a.io/x", "b.io/y" } } },
      content_type = "application/strategic-merge-patch+json" })
    both("PATCH", path, { json = { metadata = { finalizers = { "c.io/z", "b.io/y" } } },
      content_type = "application/strategic-merge-patch+json" })
    both("PATCH", path, { json = { metadata = { ["$deleteFromPrimitiveList/finalizers"] = { "a.io/x", "b.io/y",
      "c.io/z" } } }, content_type = "application/strategic-merge-patch+json" })
  end)
end)
