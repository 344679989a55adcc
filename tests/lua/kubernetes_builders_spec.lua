-- kubernetes_builders_spec.lua: manifests from short descriptions.
-- SPDX-License-Identifier: MIT
local build = require "ctz.kubernetes.builders"
local ctz = require "ctz"
local manifests = require "ctz.kubernetes.manifests"

local function refused(builder, description, ...)
  local _, err = ctz.try(build[builder], description)
  assert.is_truthy(err, "it was taken")
  assert.is_true(err:is "usage")
  for _, text in ipairs { ... } do
    assert.is_truthy(err.message:find(text, 1, true), err.message)
  end
end

describe("kubernetes.deployment", function()
  it("gives the manifest as the API has it", function()
    local object = build.deployment {
      name = "web", namespace = "shop", image = "nginx:1.27", replicas = 2, ports = { 80, "53/udp", { port = 8443,
      name = "tls" } }, command = { "serve", 5 }, args = "-v", labels = { tier = "front" }, workdir = "/srv",
      environment = { B = 2, A = "x", C = true, P = { secret = "db", key = "password" },
        N = { field = "metadata.name" } },
      resources = { requests = { cpu = 0.1, memory = "64Mi" }, limits = { memory = "0.5Gi" } },
      volumes = { data = { path = "/data", claim = "disk" }, tmp = { path = "/tmp", size = "1024Ki" } },
      config_maps = { "app", files = "/etc/app" }, secrets = { ["tls"] = "/tls" },
      probes = { readiness = { http = "/healthz", port = 80, period = 5 }, liveness = { tcp = 80 } },
      strategy = { max_surge = "25%", max_unavailable = 0 }, service_account = "web", image_pull_secrets = { "pull" },
      termination_grace_period = 5, annotations = { ["example.com/a"] = "1" }, node_selector = { disk = "ssd" },
    }
    local pod = object.spec.template.spec
    local container = pod.containers[1]
    assert.equal("apps/v1", object.apiVersion)
    assert.same({ app = "web" }, object.spec.selector.matchLabels)
    assert.same({ app = "web", tier = "front" }, object.spec.template.metadata.labels)
    assert.same({ { containerPort = 80 }, { containerPort = 53, protocol = "UDP" },
      { containerPort = 8443, name = "tls" } }, container.ports)
    assert.same({ "serve", "5" }, container.command)
    assert.same({ name = "A", value = "x" }, container.env[1])
    assert.same({ name = "P", valueFrom = { secretKeyRef = { name = "db", key = "password" } } }, container.env[5])
    assert.same({ requests = { cpu = "100m", memory = "64Mi" }, limits = { memory = "512Mi" } }, container.resources)
    assert.same({ { configMapRef = { name = "app" } } }, container.envFrom)
    assert.same({ httpGet = { path = "/healthz", port = 80 }, periodSeconds = 5 }, container.readinessProbe)
    assert.same({ type = "RollingUpdate", rollingUpdate = { maxSurge = "25%", maxUnavailable = 0 } },
      object.spec.strategy)
    assert.equal("disk", pod.volumes[1].persistentVolumeClaim.claimName)
    assert.equal("1Mi", pod.volumes[2].emptyDir.sizeLimit)
    assert.same({ name = "config-files", mountPath = "/etc/app", readOnly = true }, container.volumeMounts[3])
  end)

  it("has a text that reads back as the same object", function()
    local object = build.deployment { name = "web", image = "nginx", environment = { ON = "yes", N = "012" },
      volumes = { t = { path = "/t", empty = true } } }
    local text = tostring(object)
    assert.equal("apiVersion: apps/v1\nkind: Deployment\n", text:sub(1, 37))
    assert.equal(ctz.json.encode(object), ctz.json.encode(manifests.read(text)[1].object))
    assert.equal("web", manifests.read(object)[1].object.metadata.name)
  end)

  it("tells all problems at once with their places", function()
    refused("deployment", { name = "Web_1", port = { 80 },
      ports = { 0, "x", { port = 80, name = "TOOLONGNAMEOFAPORT" } },
      replicas = -1, resources = { limits = { cpu = "1K" } }, environment = { ["A=B"] = "x", C = {} },
      probes = { live = {}, readiness = {} }, labels = { ["-a"] = "b", c = "not good" }, strategy = "Rolling" },
      'name: bad name "Web_1"', "image: expected string, got nothing", "did you mean 'ports'",
      "ports[1]: expected a port",
      "ports[2]: expected a port", "ports[3].name", "replicas: expected an integer, 0 or more, got -1",
      'resources.limits.cpu: bad quantity "1K"', "environment.A=B", "environment.C: expected {secret=, key=}",
      "probes: unknown field 'live'", "probes.readiness: expected {http=", 'labels.-a: bad key "-a"',
      'labels.c: bad value "not good"', "strategy: expected one of RollingUpdate, Recreate")
    refused("deployment", { name = "a", image = "b", resources = { requests = { memory = "1Gi" },
      limits = { memory = "1M" } } }, "resources.requests.memory: 1Gi is more than the limit, 1M")
    refused("deployment", { name = "a", image = "b", resources = { requests = { cpu = -1 } } }, "it is negative")
    refused("deployment", nil, "expected table, got nil")
    refused("deployment", { name = ("a"):rep(254), image = "b" }, "longer than 253 characters")
    refused("deployment", { name = "a", image = "b", volumes = { x = { claim = "c", empty = true } } },
      "volumes.x.path: expected string", "volumes.x: it has two sources")
  end)

  it("does not print a secret", function()
    local object = build.deployment { name = "a", image = "b", environment = { TOKEN = ctz.secret "hunter22" } }
    assert.is_nil(tostring(object):find("hunter22", 1, true))
    assert.is_truthy(tostring(object):find("***", 1, true))
  end)
end)

describe("the other builders", function()
  it("make services", function()
    local object = build.service { name = "web", ports = { { port = 80, target = "http" }, "53/udp" } }
    assert.same({ { port = 80, name = "port-80", targetPort = "http" }, { port = 53, name = "port-53",
      protocol = "UDP" } }, object.spec.ports)
    assert.equal("None", build.service({ name = "db", headless = true }).spec.clusterIP)
    refused("service", { name = "1web" }, "begins with a letter", "ports: it is required")
    refused("service", { name = "a.b", ports = { 80 }, type = "NodePorts" }, "name: bad name", "type: expected one of")
  end)

  it("make ConfigMaps and Secrets, whose values never print", function()
    local map = build.configmap { name = "app", data = { A = 1, ["b.txt"] = "x\ny\n" }, binary = { c = "\0\1" } }
    assert.same({ A = "1", ["b.txt"] = "x\ny\n" }, map.data)
    assert.equal("AAE=", map.binaryData.c)
    refused("configmap", { name = "a", data = { ["a b"] = "", S = ctz.secret "hunter22" } }, 'bad key "a b"',
      "use kubernetes.secret")
    local object = build.secret { name = "db", data = { password = "hunter22", token = ctz.secret "tok-12345" } }
    assert.is_true(object.data.password:equals "aHVudGVyMjI=")
    assert.is_true(object.data.token:equals "dG9rLTEyMzQ1")
    assert.is_nil(tostring(object):find("aHVudGVyMjI", 1, true))
  end)

  it("make Ingresses, Jobs and CronJobs", function()
    local ingress = build.ingress { name = "web", class = "nginx", rules = {
      { host = "a.example", service = "web", port = 80 }, { host = "a.example", path = "/api", service = "api",
        port = "http" }, { host = "*.b.example", service = "b", port = 1 } }, tls = { { hosts = { "a.example" },
      secret = "cert" } } }
    assert.equal(2, #ingress.spec.rules)
    assert.equal("http", ingress.spec.rules[1].http.paths[2].backend.service.port.name)
    refused("ingress", { name = "a", rules = { { host = "A", service = "w" } } }, "rules[1].host", "rules[1].port")
    refused("ingress", { name = "a" }, "rules: expected table, got nothing")
    local job = build.job { name = "once", image = "b", deadline = 60, keep_for = 5 }
    assert.equal("Never", job.spec.template.spec.restartPolicy)
    assert.equal(60, job.spec.activeDeadlineSeconds)
    local cron = build.cronjob { name = "n", image = "b", schedule = "@daily", concurrency = "Forbid" }
    assert.equal("Forbid", cron.spec.concurrencyPolicy)
    refused("cronjob", { name = "n", image = "b", schedule = "* * * *" }, "schedule: expected five fields")
    refused("job", { name = "n", image = "b", restart = "Always" }, "restart: expected one of Never, OnFailure")
  end)
end)
