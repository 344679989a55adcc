-- testbed_spec.lua: the private cluster itself, by plain HTTP and by kubectl.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"

local function get(path, token)
  local headers = { authorization = token and "Bearer " .. token }
  local opts = { tls = cluster.tls(not token and "admin" or nil), headers = headers, check = false }
  return ctz.http.get(cluster.server() .. path, opts)
end

local function pod(name, script)
  return ctz.json.encode {
    apiVersion = "v1",
    kind = "Pod",
    metadata = { name = name },
    spec = {
      restartPolicy = "Never",
      terminationGracePeriodSeconds = 0,
      containers = ctz.json.array { { name = "main", image = cluster.image, command = { "sh", "-c", script } } },
    },
  }
end

describe("the private cluster of the tests #live", function()
  local space

  setup(function()
    space = cluster.namespace()
  end)

  teardown(function()
    space.delete()
  end)

  local function kubectl(words, opts)
    return cluster.kubectl({ "--namespace", space.name, table.unpack(words) }, opts)
  end

  local function run(script)
    local name = cluster.name "pod"
    kubectl({ "create", "-f", "-" }, { stdin = pod(name, script) })
    return name
  end

  it("gives names that no other spec file of this process gets", function()
    local path <const> = "tests/lua/support/cluster.lua" -- each file loads its own
    assert.not_equal(dofile(path).name(), dofile(path).name())
  end)

  it("has an API server of the version that was built", function()
    local answer = get "/version"
    assert.equal("v1.37.2", ctz.json.decode(answer.body).gitVersion)
  end)

  it("has one real node, which is ready", function()
    local nodes = cluster.get("nodes", "-l", "type!=kwok").items
    assert.equal(1, #nodes)
    assert.equal(cluster.node, nodes[1].metadata.name)
    kubectl { "wait", "--for=condition=Ready", "node/" .. cluster.node, "--timeout=60s" }
  end)

  it("runs a pod whose log is what it printed", function()
    local name = run "echo out; echo err >&2"
    kubectl { "wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/" .. name, "--timeout=60s" }
    local log = kubectl({ "logs", name }).stdout
    assert.is_truthy(log == "out\nerr\n" or log == "err\nout\n", log)
  end)

  it("tells the exit code of a pod that failed", function()
    local name = run "exit 41"
    kubectl { "wait", "--for=jsonpath={.status.phase}=Failed", "pod/" .. name, "--timeout=60s" }
    local status = cluster.get("--namespace", space.name, "pod", name).status
    assert.equal(41, status.containerStatuses[1].state.terminated.exitCode)
  end)

  it("executes commands in a pod, with their exit codes and input", function()
    local name = run "sleep 1000"
    kubectl { "wait", "--for=condition=Ready", "pod/" .. name, "--timeout=60s" }
    local failed = kubectl({ "exec", name, "--", "sh", "-c", "echo to err >&2; exit 7" }, { check = false })
    assert.equal(7, failed.exit_code)
    assert.matches("^to err\n", failed.stderr)
    assert.equal("6\n", kubectl({ "exec", "-i", name, "--", "wc", "-c" }, { stdin = "abcdef" }).stdout)
  end)

  it("runs deployments, by its controllers and its scheduler", function()
    local name = cluster.name "web"
    kubectl { "create", "deployment", name, "--image=" .. cluster.image, "--replicas=2", "--", "sleep", "1000" }
    kubectl { "rollout", "status", "deployment/" .. name, "--timeout=90s" }
    assert.equal(2, cluster.get("--namespace", space.name, "deployment", name).status.readyReplicas)
  end)

  it("lets the reader look, but not at secrets, and change nothing", function()
    assert.equal(0, kubectl({ "get", "pods" }, { user = "reader" }).exit_code)
    local secrets = kubectl({ "get", "secrets" }, { user = "reader", check = false })
    assert.matches("Forbidden", secrets.stderr)
    local made = kubectl({ "create", "configmap", "no" }, { user = "reader", check = false })
    assert.matches("cannot create", made.stderr)
    local path = ("/api/v1/namespaces/%s/pods"):format(space.name)
    assert.equal(200, get(path, "reader-token").status)
  end)

  it("lets the user with the certificate change what is in a namespace", function()
    kubectl({ "create", "configmap", "yes" }, { user = "certificate" })
    local node = kubectl({ "cordon", cluster.node }, { user = "certificate", check = false })
    assert.matches("Forbidden", node.stderr)
  end)

  it("knows nobody with a wrong token", function()
    local answer = get("/api/v1/namespaces", "nobody-has-this-token")
    assert.equal(401, answer.status)
    assert.matches("Unauthorized", kubectl({ "get", "pods" }, { user = "wrong", check = false }).stderr)
  end)

  it("can be had alone, its API server ended and started again with what it knew", function()
    local own <close> = cluster.own()
    own:run { "kubectl", "create", "configmap", "kept" }
    own:down("apiserver", { kill = true })
    assert.not_equal(0, own:run({ "kubectl", "get", "configmap", "kept" }, { check = false }).exit_code)
    own:up "apiserver"
    assert.equal("configmap/kept\n", own:run({ "kubectl", "get", "configmap", "kept", "-o", "name" }).stdout)
  end)
end)
