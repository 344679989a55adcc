-- mission_spec.lua: deployments and services of a script, the record of one, and what builders make, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local kubernetes <const> = ctz.kubernetes

describe("a deployment script #live", function()
  local k, space

  setup(function()
    space = cluster.namespace()
    k = kubernetes.connect { namespace = space.name }
  end)

  teardown(function()
    space.delete()
  end)

  it("makes a deployment and a service, and scales", function()
    local made = k:create_deployment {
      name = "web", image = cluster.image, command = { "sleep", "1000" }, ports = { 80 }, termination_grace_period = 0,
    }
    assert.equal("web", made.metadata.name)
    assert.equal("10", k:create_service({ name = "web", ports = { 80 } }).spec.clusterIP:match "^%d+")
    local ready = k:scale_deployment("web", 3, { wait = true, timeout = 120 })
    assert.equal(3, ready.status.availableReplicas)
    assert.equal(0, k:scale_deployment("web", 0).spec.replicas)
    assert.equal("there", k:apply_manifest([[
apiVersion: v1
kind: ConfigMap
metadata: {name: there}
]])[1].metadata.name)
    local _, err = ctz.try(k.create_service, k, k:get "deployment/web")
    assert.matches("expected a Service or its description, got Deployment", err.message)
    _, err = ctz.try(k.create_deployment, k, { name = "web", image = cluster.image })
    assert.equal("conflict", err.kind)
  end)

  it("sends a secret as it is, and prints it nowhere #real", function()
    local manifest = kubernetes.secret { name = "login", data = { password = ctz.secret "hunter22" } }
    assert.is_nil(tostring(manifest):find("hunter22", 1, true))
    k:create(manifest)
    assert.equal(ctz.base64.encode "hunter22", cluster.get("secret", "login", "-n", space.name).data.password)
    k:create_deployment {
      name = "quiet", image = cluster.image, replicas = 0, environment = { TOKEN = ctz.secret "hunter23" },
    }
    local container = cluster.get("deployment", "quiet", "-n", space.name).spec.template.spec.containers[1]
    assert.equal("hunter23", container.env[1].value)
  end)

  it("marks what it makes with the labels of the run, on request", function()
    local made = k:create(kubernetes.configmap { name = "marked", labels = { team = "blue" } }, { mark = true })
    local labels = made.metadata.labels
    assert.equal("blue", labels.team)
    assert.matches("^%x+$", labels["ctz.run"])
    k:create_service({ name = "marked", ports = { 80 } }, { mark = true })
    k:apply(kubernetes.configmap { name = "applied", data = { a = 1 } }, { mark = true })
    local record = kubernetes.orchestrate {
      client = k, deployment_name = "marked", image = cluster.image, command = { "sleep", "100" }, mark = true,
      wait = false,
    }
    assert.equal("marked", record.name)
    for _, kind in ipairs { "configmaps", "services", "deployments" } do
      local found = cluster.get(kind, "-n", space.name, "-l", "ctz.run=" .. labels["ctz.run"]).items
      assert.equal(kind == "configmaps" and 2 or 1, #found)
    end
    assert.is_nil(k:create(kubernetes.configmap { name = "plain" }).metadata.labels)
  end)

  local DESCRIPTIONS <const> = {
    deployment = {
      name = "full", image = cluster.image, replicas = 2, ports = { 80, "53/udp", { port = 8443, name = "tls" } },
      command = { "sleep", "9" }, args = { "-v" }, labels = { tier = "front" }, annotations = { ["a.example/b"] = "1" },
      environment = { A = 1, P = { secret = "db", key = "password" }, N = { field = "metadata.name" },
        M = { config_map = "app", key = "x", optional = true } },
      resources = { requests = { cpu = 0.1, memory = "64Mi" }, limits = { memory = "0.5Gi" } },
      volumes = { data = { path = "/data", claim = "disk" }, tmp = { path = "/tmp", size = "1Mi" },
        host = { path = "/h", host_path = "/etc", read_only = true }, conf = { path = "/c", config_map = "app" } },
      config_maps = { "app", files = "/etc/app" }, secrets = { "db", tls = "/tls" },
      probes = { readiness = { http = "/", port = 80, period = 5 }, liveness = { tcp = 80 },
        startup = { command = { "true" }, failure_threshold = 30 } },
      strategy = { type = "RollingUpdate", max_surge = "25%", max_unavailable = 0 }, service_account = "default",
      image_pull_secrets = { "pull" }, image_pull_policy = "IfNotPresent", node_selector = { disk = "ssd" },
      workdir = "/srv", termination_grace_period = 5, match_labels = { run = "full" }, pod_labels = { a = "b" },
    },
    service = { name = "full", ports = { { port = 80, target = "http", name = "http" }, "53/udp" },
      selector = { run = "full" }, type = "NodePort", labels = { a = "b" } },
    configmap = { name = "full", data = { A = 1, B = true }, binary = { c = "\0\255" }, immutable = true },
    secret = { name = "full", data = { a = "b" }, type = "Opaque", immutable = false },
    ingress = { name = "full", class = "nginx", tls = { { hosts = { "a.example" }, secret = "tls" } },
      rules = { { host = "a.example", path = "/x", path_type = "Exact", service = "web", port = "http" },
        { service = "web", port = 80 } } },
    job = { name = "full", image = cluster.image, command = { "true" }, backoff_limit = 1, completions = 2,
      parallelism = 2, deadline = 60, keep_for = 10, restart = "OnFailure" },
    cronjob = { name = "full", image = cluster.image, schedule = "*/5 * * * *", time_zone = "Europe/Berlin",
      concurrency = "Forbid", suspend = true, keep_succeeded = 1, keep_failed = 2, start_deadline = 30,
      backoff_limit = 0 },
  }

  it("has builders whose text the server takes from kubectl, with every field #real", function()
    for _, name in ipairs { "deployment", "service", "configmap", "secret", "ingress", "job", "cronjob" } do
      local manifest = kubernetes[name](DESCRIPTIONS[name])
      if name == "secret" then -- its text has no values
        manifest.data = nil
      end
      local result = cluster.kubectl(
        { "create", "--dry-run=server", "--validate=strict", "-n", space.name, "-o", "json", "-f", "-" },
        { stdin = tostring(manifest), check = false })
      assert.equal(0, result.exit_code, name .. ": " .. result.stderr)
      assert.equal("full", ctz.json.decode(result.stdout).metadata.name)
      assert.equal("full", k:create(kubernetes[name](DESCRIPTIONS[name]), { dry_run = true }).metadata.name)
    end
  end)
end)

describe("kubernetes.orchestrate #live", function()
  local k, space, folder

  setup(function()
    space = cluster.namespace()
    k = kubernetes.connect { namespace = space.name }
    folder = ctz.fs.tempdir()
  end)

  teardown(function()
    space.delete()
    folder:close()
  end)

  local function web(name)
    return tostring(kubernetes.deployment {
      name = name, image = cluster.image, command = { "sleep", "1000" }, ports = { { port = 80, name = "http" } },
      environment = { MODE = "test", KEY = { secret = "db", key = "k" } }, termination_grace_period = 0,
      resources = { requests = { cpu = "1m" } },
    }):gsub("name: KEY\n.-key: k\n.-name: db", 'name: KEY\n          value: ""')
  end

  it("applies a manifest, waits, and returns the record", function()
    local path = folder.path .. "/web.yaml"
    ctz.fs.write(path, ([[
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}
---
apiVersion: v1
kind: Service
metadata: {name: other}
spec: {selector: {app: other}, ports: [{port: 81}]}
---
]]) .. web "web")
    local before, steps = ctz.time.now(), 0
    local record = kubernetes.orchestrate {
      deployment_name = "web", manifest_path = path, namespace = space.name, replicas = 2, timeout = 120,
      on_progress = function()
        steps = steps + 1
      end,
    }
    assert.same({ "web", space.name, "Deployment", 2, 2, cluster.image, "running" }, {
      record.name, record.namespace, record.kind, record.replicas, record.ready_replicas, record.image, record.status,
    })
    assert.same({ { port = 80, name = "http", protocol = "TCP" } }, record.ports)
    assert.equal("test", record.environment.MODE)
    assert.same({ requests = { cpu = "1m" } }, record.resources)
    assert.equal(2, #record.pods)
    assert.same({ "running", true, 0, cluster.node }, {
      record.pods[1].status, record.pods[1].ready, record.pods[1].restarts, record.pods[1].node,
    })
    assert.equal(1, #record.services)
    assert.same({ { port = 80, target = "http", protocol = "TCP" } }, record.services[1].ports)
    assert.is_true(record.created_at >= before - 2 and record.last_updated >= record.created_at)
    assert.is_true(steps > 0)
    k:scale_deployment("web", 1, { wait = true, timeout = 60 })
    assert.equal(record, record:refresh())
    assert.equal(1, record.replicas)
    assert.is_truthy(ctz.json.encode(record):find('"status":"running"', 1, true))
  end)

  it("makes a deployment of the builder's fields, and waits for one that is there", function()
    local record = kubernetes.orchestrate {
      client = k, deployment_name = "short", image = cluster.image, command = { "sleep", "1000" }, timeout = 60,
    }
    assert.equal("running", record.status)
    record = kubernetes.orchestrate { client = k, deployment_name = "short", replicas = 2, timeout = 60 }
    assert.equal(2, record.ready_replicas)
    record = kubernetes.orchestrate {
      client = k, deployment_name = "later", image = cluster.image, command = { "sleep", "1000" }, wait = false,
    }
    assert.equal("pending", record.status)
  end)

  it("has the failed record and the reason in its error", function()
    local _, err = ctz.try(kubernetes.orchestrate, {
      client = k, deployment_name = "bad", image = "none.invalid/web:3", timeout = 120,
    })
    assert.equal("conflict", err.kind)
    assert.equal("failed", err.result.status)
    assert.matches("none.invalid/web:3", err.result.reason, 1, true)
    assert.equal("bad", err.result.name)
    assert.equal("pending", err.result.pods[1].status)
    assert.equal("failed", err.result:refresh().status)
  end)

  it("is not called failed at the first try to pull an image, and is later", function()
    local record = kubernetes.orchestrate {
      client = k, deployment_name = "soon", image = "none.invalid/web:4", wait = false,
    }
    ctz.timeout(60, function()
      while record:refresh().status ~= "failed" do
        assert.equal("pending", record.status)
        ctz.sleep(0.2)
      end
    end)
    assert.is_true(ctz.time.now() - record.pods[1].created_at >= 5)
  end)

  it("works for a StatefulSet", function()
    local record = kubernetes.orchestrate { client = k, timeout = 60, manifest_path = {
      apiVersion = "apps/v1", kind = "StatefulSet", metadata = { name = "db" },
      spec = {
        serviceName = "db", selector = { matchLabels = { app = "db" } }, replicas = 1,
        template = { metadata = { labels = { app = "db" } },
          spec = cluster.pod("db", nil, { "sleep", "1000" }, { restartPolicy = "Always" }).spec },
      },
    } }
    assert.same({ "StatefulSet", "running", "db-0" }, { record.kind, record.status, record.pods[1].name })
  end)

  it("works for a Job, whose end it waits for", function()
    local function job(name, command)
      return kubernetes.orchestrate { client = k, timeout = 60, manifest_path = kubernetes.job {
        name = name, image = cluster.image, command = command, backoff_limit = 0,
      } }
    end
    local record = job("good", { "true" })
    assert.same({ "succeeded", 0 }, { record.status, record.pods[1].exit_code })
    local _, err = ctz.try(job, "worse", { "sh", "-c", "echo no luck; exit 7" })
    assert.matches("job worse fails: BackoffLimitExceeded", err.message)
    assert.matches("| no luck", err.message, 1, true)
    assert.same({ "failed", 7 }, { err.result.status, err.result.pods[1].exit_code })
    _, err = ctz.try(kubernetes.orchestrate, { client = k, timeout = 60, manifest_path = kubernetes.job {
      name = "never", image = "none.invalid/job:1",
    } })
    assert.matches("none.invalid/job:1", err.message, 1, true)
    assert.equal("failed", err.result.status)
  end)

  it("says which workload it needs", function()
    local text = web "one" .. "---\n" .. web "two"
    local _, err = ctz.try(kubernetes.orchestrate, { client = k, manifest_path = text })
    assert.matches("several workloads: one, two", err.message)
    _, err = ctz.try(kubernetes.orchestrate, { client = k, manifest_path = text, deployment_name = "twoo" })
    assert.equal('did you mean "two"?', err.hint)
    _, err = ctz.try(kubernetes.orchestrate, { client = k, deployment_name = "nobody" })
    assert.equal("not_found", err.kind)
    _, err = ctz.try(kubernetes.orchestrate, { client = k })
    assert.equal("usage", err.kind)
    _, err = ctz.try(kubernetes.orchestrate, { client = k, manifest_path = text, image = "x" })
    assert.matches("not both", err.message)
  end)
end)
