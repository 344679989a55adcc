-- kubernetes_simulate_spec.lua: the cluster in memory, as tests of recipes use it. What it has in common with
-- real clusters is in tests/lua/live/kubernetes, which is run beside both.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local simulate = require "ctz.simulate"

local k8s = ctz.k8s

local function error_of(kind, fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  assert.equal(kind, err.kind, tostring(err))
  return err
end

local function cluster_with(programs, more)
  local opts = { images = { ["app:1"] = { command = { "sh" }, programs = programs or {} } } }
  for name, value in pairs(more or {}) do
    opts[name] = value
  end
  return simulate.cluster(opts)
end

local function text_of(k, ...)
  local lines = {}
  for line in k:logs(...) do
    lines[#lines + 1] = line.text
  end
  return table.concat(lines, "\n")
end

local function config_map(name, data)
  return { apiVersion = "v1", kind = "ConfigMap", metadata = { name = name }, data = data }
end

describe("a simulated cluster", function()
  it("has no metrics, and says so", function()
    local k = simulate.cluster().kubernetes
    assert.matches("metrics-server", error_of("unsupported", k.top, k).hint, 1, true)
    assert.matches("metrics-server", error_of("unsupported", k.top, k, "nodes").hint, 1, true)
  end)

  it("says of what it gives that it is simulated, without a field in the object", function()
    local k = simulate.cluster().kubernetes
    local made = k:create(config_map("a", { x = "1" }))
    assert.is_true(made.simulated)
    assert.is_true(k:list("cm").items[1].simulated)
    assert.is_nil(ctz.json.encode(made):find("simulated", 1, true))
    assert.is_true(error_of("not_found", k.get, k, "cm/none").simulated)
    assert.equal("a", k:replace(made).metadata.name)
  end)

  it("is meant by those who connect while it is used", function()
    local cluster = simulate.cluster():use()
    k8s.connect():create(config_map "a")
    local calls = cluster:calls "^kubernetes.create$"
    assert.equal("/api/v1/namespaces/default/configmaps", calls[#calls].path)
    cluster:close()
    error_of("not_found", k8s.connect, { kubeconfig = "none.yaml" })
  end)

  it("refuses options that are wrong", function()
    error_of("usage", simulate.cluster, { images = { "A B" } })
    error_of("usage", simulate.cluster, { node = 3 })
  end)

  it("tells watches and lists that were begun to begin anew", function()
    local cluster = simulate.cluster()
    local k = cluster.kubernetes
    for i = 1, 5 do
      k:create(config_map("map-" .. i))
    end
    local names, count = {}, 0
    for object in k:each("cm", { page = 2 }) do
      count = count + 1
      if count == 2 then
        k:delete "cm/map-4"
        cluster:forget()
      end
      names[#names + 1] = object.metadata.name
    end
    assert.same({ "kube-root-ca.crt", "map-1", "map-2", "map-3", "map-5" }, names)
    local seen = {}
    for event in k:watch "cm" do
      seen[#seen + 1] = event.type
      if event.type == "sync" then
        k:delete "cm/map-1"
        cluster:forget()
        k:create(config_map "late")
      elseif event.type == "added" and event.object.metadata.name == "late" then
        break
      end
    end
    assert.same({ "added", "added", "added", "added", "added", "sync", "added" }, seen)
  end)

  it("gives containers their environment and files", function()
    local k = cluster_with({}).kubernetes
    k:create(config_map("app", { A = "one", ["app.conf"] = "x=1\n" }))
    k:create { apiVersion = "v1", kind = "Secret", metadata = { name = "db" }, stringData = { password = "p" } }
    k:create {
      apiVersion = "v1", kind = "Pod", metadata = { name = "p", labels = { app = "p" } },
      spec = {
        restartPolicy = "Never", volumes = { { name = "conf", configMap = { name = "app" } }, { name = "tmp" } },
        initContainers = { { name = "first", image = "app:1", command = { "sh", "-c", "echo made > /tmp/x/f" },
          volumeMounts = { { name = "tmp", mountPath = "/tmp/x" } } } },
        containers = { {
          name = "main", image = "app:1", envFrom = { { configMapRef = { name = "app" } } },
          command = { "sh", "-c", "echo $A $B $NAME $(A); cat /etc/app/app.conf /tmp/x/f" },
          env = { { name = "B", valueFrom = { secretKeyRef = { name = "db", key = "password" } } },
            { name = "NAME", valueFrom = { fieldRef = { fieldPath = "metadata.name" } } } },
          volumeMounts = { { name = "conf", mountPath = "/etc/app" }, { name = "tmp", mountPath = "/tmp/x" } },
        } },
      },
    }
    k:wait("pod/p", { condition = "jsonpath={.status.phase}=Succeeded", timeout = 20 })
    assert.equal("one p p one\nx=1\nmade", text_of(k, "p"))
  end)

  it("waits with a container whose environment is missing", function()
    local k = cluster_with({}).kubernetes
    k:apply(k8s.deployment { name = "web", image = "app:1", command = { "sleep", "9" }, config_maps = {} })
    k:create { apiVersion = "v1", kind = "Pod", metadata = { name = "p" }, spec = { containers = { {
      name = "main", image = "app:1", envFrom = { { configMapRef = { name = "late" } } },
      command = { "sleep", "99" } } } } }
    k:wait("pod/p", { timeout = 10,
      condition = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CreateContainerConfigError" })
    k:create(config_map "late")
    k:wait("pod/p", { timeout = 10 })
  end)

  it("asks probes, and starts again what does not live", function()
    local k = cluster_with({ serve = function(_, io)
      io.listen(80, function(path)
        return path == "/well" and 200 or 500
      end)
      io.sleep(1000)
    end }).kubernetes
    local function pod(name, probes)
      local one = { name = "main", image = "app:1", command = { "serve" } }
      one.ports = { { containerPort = 80, name = "web" } }
      for field, path in pairs(probes) do
        one[field] = { httpGet = { port = "web", path = path }, periodSeconds = 1, failureThreshold = 1 }
      end
      k:create { apiVersion = "v1", kind = "Pod", metadata = { name = name }, spec = {
        terminationGracePeriodSeconds = 0, containers = { one } } }
    end
    pod("well", { readinessProbe = "/well", livenessProbe = "/well", startupProbe = "/well" })
    pod("ill", { readinessProbe = "/ill" })
    pod("dead", { livenessProbe = "/dead" })
    k:wait("pod/well", { timeout = 10 })
    k:wait("pod/dead", { condition = "jsonpath={.status.containerStatuses[0].restartCount}=1", timeout = 10 })
    assert.is_false(k:get("pod/ill").status.containerStatuses[1].ready)
    assert.matches("statuscode: 500", k:events("pod/ill", { type = "Warning" })[1].message)
  end)

  it("runs jobs to their end, tries again, and gives up", function()
    local tries = 0
    local k = cluster_with({ flaky = function()
      tries = tries + 1
      return tries > 1 and 0 or 3
    end }).kubernetes
    local function job(name, command, more)
      local spec = { template = { spec = { restartPolicy = "Never", containers = { {
        name = "main", image = "app:1", command = command } } } } }
      for field, value in pairs(more or {}) do
        spec[field] = value
      end
      k:create { apiVersion = "batch/v1", kind = "Job", metadata = { name = name }, spec = spec }
    end
    job("flaky", { "flaky" })
    job("three", { "true" }, { completions = 3, parallelism = 2 })
    job("slow", { "sleep", "1000" }, { activeDeadlineSeconds = 1 })
    k:wait("job/flaky", { timeout = 20 })
    assert.equal(1, k:get("job/flaky").status.failed)
    assert.equal(3, k:wait("job/three", { timeout = 20 }).status.succeeded)
    assert.matches("DeadlineExceeded", error_of("conflict", k.wait, k, "job/slow", { timeout = 20 }).message)
    assert.equal(3, #k:list("pods", { labels = "job-name=three" }).items)
    k:delete("job/three", { propagation = "foreground", wait = true, timeout = 20 })
    assert.equal(0, #k:list("pods", { labels = "job-name=three" }).items)
  end)

  it("rolls stateful sets out one after the other, daemon sets on all nodes, and back", function()
    local k = cluster_with({}, { nodes = 2 }).kubernetes
    local function set(kind, name, image)
      local labels = { app = name }
      return {
        apiVersion = "apps/v1", kind = kind, metadata = { name = name },
        spec = {
          selector = { matchLabels = labels }, serviceName = kind == "StatefulSet" and name or nil,
          replicas = kind == "StatefulSet" and 2 or nil,
          template = { metadata = { labels = labels }, spec = { terminationGracePeriodSeconds = 0, containers = { {
            name = "main", image = image or "app:1", command = { "sleep", "1000" } } } } },
          volumeClaimTemplates = kind == "StatefulSet" and { { metadata = { name = "data" }, spec = {
            accessModes = { "ReadWriteOnce" }, resources = { requests = { storage = "1Gi" } } } } } or nil,
        },
      }
    end
    for kind, name in pairs { StatefulSet = "db", DaemonSet = "agent" } do
      k:apply(set(kind, name))
      local rollout = k:rollout(kind .. "/" .. name)
      rollout:status { timeout = 20 }
      local names = {}
      for pod in k:each("pods", { labels = { app = name } }) do
        names[#names + 1] = pod.metadata.name
      end
      assert.equal(2, #names)
      k:apply(set(kind, name, "app:2"))
      rollout:status { timeout = 20 }
      rollout:undo()
      assert.equal("app:1", rollout:status({ timeout = 20 }).spec.template.spec.containers[1].image)
      assert.equal(2, #rollout:history())
    end
    assert.equal("Bound", k:get("pvc/data-db-1").status.phase)
    assert.same({ "db-0", "db-1" }, { k:list("pods", { labels = "app=db" }).items[1].metadata.name,
      k:list("pods", { labels = "app=db" }).items[2].metadata.name })
  end)

  it("respects disruption budgets", function()
    local k = cluster_with({}).kubernetes
    k:apply(k8s.deployment { name = "web", image = "app:1", command = { "sleep", "1000" } })
    k:create { apiVersion = "policy/v1", kind = "PodDisruptionBudget", metadata = { name = "web" }, spec = {
      minAvailable = 1, selector = k:get("deployment/web").spec.selector } }
    k:rollout("deployment/web"):status { timeout = 20 }
    local pod = k:list("pods").items[1].metadata.name
    local body = { apiVersion = "policy/v1", kind = "Eviction", metadata = { name = pod } }
    local path = ("/api/v1/namespaces/default/pods/%s/eviction"):format(pod)
    local err = error_of("rate_limited", k.call, k, "POST", path, { op = "test", json = body })
    assert.matches("needs 1 healthy pods and has 1 currently", err.message)
    k:delete "pdb/web"
    k:call("POST", path, { op = "test", json = body })
    assert.is_truthy(k:get("pod", pod).metadata.deletionTimestamp)
  end)

  it("lets time pass at once", function()
    local cluster = cluster_with {}
    local k = cluster.kubernetes
    k:create { apiVersion = "v1", kind = "Pod", metadata = { name = "p" }, spec = { restartPolicy = "Never",
      containers = { { name = "main", image = "app:1", command = { "sleep", "3600" } } } } }
    k:wait("pod/p", { timeout = 10 })
    cluster:skip(3601)
    assert.equal("Succeeded", k:get("pod/p").status.phase)
  end)

  it("raises what it does not model", function()
    local k = cluster_with({}).kubernetes
    local range = { apiVersion = "v1", kind = "LimitRange", metadata = { name = "x" }, spec = {} }
    error_of("unsupported", k.create, k, range)
    error_of("unsupported", k.create, k, { apiVersion = "admissionregistration.k8s.io/v1",
      kind = "ValidatingWebhookConfiguration", metadata = { name = "x" } })
    k:create { apiVersion = "v1", kind = "Pod", metadata = { name = "p" }, spec = { containers = { {
      name = "main", image = "other:1", command = { "postgres" } } } } }
    local err = error_of("unsupported", k.wait, k, "pod/p", { timeout = 10 })
    assert.matches('the program "postgres" of the image other:1', err.message)
    error_of("unsupported", k.call, k, "GET", "/openapi/v3", { op = "test" })
  end)

  it("goes back from an image that is not there", function()
    local cluster <close> = cluster_with({ serve = function(_, io)
      io.sleep(1000)
    end }, { registry = { "app:2" } })
    local k = cluster:use().kubernetes
    k:apply(k8s.deployment { name = "web", image = "app:1", command = { "serve" }, replicas = 2 })
    k:rollout("deployment/web"):status { timeout = 20 }
    k:apply(k8s.deployment { name = "web", image = "app:3", command = { "serve" }, replicas = 2 })
    local err = error_of("conflict", function()
      k:rollout("deployment/web"):status { timeout = 30 }
    end)
    assert.matches("pull access denied for app", err.message)
    k:rollout("deployment/web"):undo()
    assert.equal(2, k:rollout("deployment/web"):status({ timeout = 20 }).status.availableReplicas)
  end)
end)

describe("ctz run --simulate", function()
  it("runs deploy.lua without a kubeconfig, in a namespace that is there", function()
    local result = ctz.process.run({
      program.path, "run", "--simulate", "recipes/deploy.lua", "name=web", "image=nginx:1", "namespace=shop",
      "replicas=2",
    }, { stderr = "capture", env = { KUBECONFIG = "/nonexistent" } })
    assert.matches("2 of 2 replicas run nginx:1", result.stdout, 1, true)
    assert.matches("simulated: no cluster is used", result.stderr, 1, true)
  end)

  it("keeps nothing under --dry-run", function()
    local folder <close> = ctz.fs.tempdir()
    ctz.fs.write(folder.path .. "/r.lua", [[
      local ctz = require "ctz"
      local k = ctz.k8s.connect()
      k:create{apiVersion = "v1", kind = "ConfigMap", metadata = {name = "dry"}}
      assert(not ctz.try(k.get, k, "cm/dry"))
    ]])
    local result = ctz.process.run({ program.path, "run", "--simulate", "--dry-run", folder.path .. "/r.lua" },
      { check = false, stderr = "capture" })
    assert.matches("would create configmap dry", result.stdout .. result.stderr, 1, true)
    assert.equal(0, result.exit_code, result.stderr)
  end)
end)
