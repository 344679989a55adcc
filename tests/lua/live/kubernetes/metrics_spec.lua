-- metrics_spec.lua: what a real metrics server tells of containers and nodes, through the API server.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local cluster = require "tests.lua.support.cluster"
local pods = require "tests.lua.support.kube_pods"

local MIB <const> = 1048576
local KNOWN_S <const> = 120 -- it looks every 10 s, and needs two looks at each container

describe("kubernetes metrics #live", function()
  local k

  local function with_limit(command)
    return { command = { "sh", "-c", command }, resources = { limits = { memory = "64e6" } } }
  end

  local function by_container(list)
    local found = {}
    for _, one in ipairs(list) do
      found[one.container_name] = one
    end
    return found
  end

  setup(function()
    k = pods.client()
    -- b holds 16 MiB in a variable of its shell
    pods.run(k, "busy", {
      a = with_limit "while :; do :; done",
      b = { command = { "sh", "-c", "x=$(yes | head -c 16777216); exec 3<&0; while sleep 1; do :; done" } },
    })
    pods.deploy(k, "idle", 2, { main = { command = { "sleep", "1000" } } })
    ctz.timeout(KNOWN_S, function()
      repeat
        ctz.sleep(1)
      until #k:metrics "busy" == 2 and #k:metrics "deployment/idle" == 2
    end)
  end)

  teardown(function()
    pods.remove(k)
  end)

  it("has the fields of ContainerMetrics for each container of a pod", function()
    local list = k:metrics "busy"
    assert.equal(2, #list)
    local a, b = list[1], list[2]
    assert.equal("a b", a.container_name .. " " .. b.container_name)
    for _, one in ipairs(list) do
      assert.equal("busy", one.pod)
      assert.equal(k.namespace, one.namespace)
      assert.equal("integer", math.type(one.memory_usage_bytes))
      assert.is_true(one.memory_usage_bytes > 0)
      assert.equal(one.memory_usage_bytes / 1000000, one.memory_usage_mb)
      assert.is_true(math.abs(ctz.time.now() - one.timestamp) < 90)
      assert.is_true(one.uptime_seconds > 1 and one.uptime_seconds < 600)
      assert.equal(0, one.restart_count)
      assert.equal("healthy", one.health_status)
      assert.equal(one.container_name, one.raw.name)
      for _, name in ipairs { "network_rx_mb", "network_tx_mb", "disk_read_mb", "disk_write_mb" } do
        assert.is_nil(one[name])
      end
    end
    assert.is_true(a.cpu_usage_percent > 5 and a.cpu_usage_percent < 150, a.cpu_usage_percent)
    assert.is_true(b.cpu_usage_percent < a.cpu_usage_percent)
    assert.equal(64000000, a.memory_limit_bytes)
    assert.equal(64.0, a.memory_limit_mb)
    assert.is_nil(b.memory_limit_bytes)
    assert.is_true(b.memory_usage_bytes > 16 * MIB and b.memory_usage_bytes < 128 * MIB, b.memory_usage_bytes)
    assert.is_true(a.memory_usage_bytes < 16 * MIB, a.memory_usage_bytes)
  end)

  it("has what kubectl top has", function()
    local words = { "top", "pod", "busy", "-n", k.namespace, "--containers", "--no-headers" }
    ctz.timeout(60, function() -- the server may look again between both
      local same
      repeat
        local before = by_container(k:metrics "busy")
        local shown = {}
        for name, cores, mib in cluster.kubectl(words).stdout:gmatch "busy%s+(%S+)%s+(%d+)m%s+(%d+)Mi" do
          shown[name] = { cores = tonumber(cores), mib = tonumber(mib) }
        end
        same = by_container(k:metrics "busy").a.timestamp == before.a.timestamp
        for name, one in pairs(same and before or {}) do
          assert.is_true(math.abs(one.cpu_usage_percent * 10 - shown[name].cores) <= 1)
          assert.equal(one.memory_usage_bytes // MIB, shown[name].mib)
        end
      until same
    end)
  end)

  it("measures the pods of a workload and of a selector", function()
    for _, target in ipairs { "deployment/idle", "deploy/idle", { selector = "app=idle" } } do
      local list = k:metrics(target)
      assert.equal(2, #list)
      assert.is_true(list[1].pod < list[2].pod)
    end
    assert.same({ "a", "b", "main", "main" }, (function()
      local names = {}
      for i, one in ipairs(k:metrics { selector = "app in (busy,idle)" }) do
        names[i] = one.container_name
      end
      return names
    end)())
    assert.same({}, k:metrics { selector = "app=none" })
  end)

  it("leaves out what is not measured: it has just begun, or has ended", function()
    pods.run(k, "young", { main = { command = { "sleep", "1000" } } })
    pods.run(k, "over", { main = { command = { "true" } } }, "Succeeded")
    assert.same({}, k:metrics "young")
    assert.same({}, k:metrics "over")
    assert.equal(2, #k:metrics { selector = "app in (busy,young,over)" })
    local _, err = ctz.try(k.metrics, k, "none")
    assert.equal("not_found", err.kind)
    _, err = ctz.try(k.metrics, k, "deployment/none")
    assert.equal("not_found", err.kind)
  end)

  it("tops the pods of a namespace, the most first", function()
    local list = k:top()
    assert.equal("busy", list[1].name)
    assert.equal(3, #list)
    local sum = 0
    for _, one in ipairs(list[1].raw.containers) do
      sum = sum + ctz.kubernetes.quantity(one.usage.memory):value()
    end
    assert.equal(sum, list[1].memory_bytes)
    assert.equal("integer", math.type(list[1].memory_bytes))
    assert.is_true(list[1].cpu_cores > 0.05 and list[1].cpu_cores < 2)
    assert.equal(k.namespace, list[1].namespace)
    for _, sort in ipairs { "cpu", "memory", "name" } do
      local key = ({ cpu = "cpu_cores", memory = "memory_bytes", name = "name" })[sort]
      local last
      for _, one in ipairs(k:top("pods", { sort = sort })) do
        assert.is_true(not last or (sort == "name" and last <= one[key]) or (sort ~= "name" and last >= one[key]))
        last = one[key]
      end
    end
    assert.equal(2, #k:top("pods", { labels = { app = "idle" } }))
    assert.equal(2, #k:top("pods", { labels = "app=idle" }))
    assert.is_true(#k:top("pods", { all_namespaces = true }) >= 3)
    assert.same({}, k:top("pods", { namespace = "kube-node-lease" }))
  end)

  it("tops the nodes, beside what they have for pods", function()
    local list = k:top "nodes"
    assert.equal(1, #list) -- played nodes have no kubelet
    local node = list[1]
    assert.equal(cluster.node, node.name)
    assert.is_nil(node.namespace)
    local allocatable = k:get("node", cluster.node).status.allocatable
    local cpus = ctz.kubernetes.quantity(allocatable.cpu):milli() / 1000
    assert.is_true(node.cpu_cores > 0.05 and node.cpu_cores < 2 * cpus)
    assert.is_true(math.abs(node.cpu_percent - node.cpu_cores / cpus * 100) < 0.001)
    assert.is_true(node.memory_bytes > 16 * MIB)
    local memory = ctz.kubernetes.quantity(allocatable.memory):value()
    assert.is_true(math.abs(node.memory_percent - node.memory_bytes / memory * 100) < 0.001)
  end)

  it("says who may not read them", function()
    local reader = ctz.kubernetes.connect { kubeconfig = cluster.kubeconfig "reader", namespace = k.namespace }
    for _, call in ipairs { "metrics", "top" } do
      local _, err = ctz.try(reader[call], reader, call == "metrics" and "busy" or nil)
      assert.equal("denied", err.kind)
      assert.matches("metrics.k8s.io", err.message, 1, true)
    end
  end)

  it("refuses what it does not know", function()
    for _, words in ipairs { { "services" }, { "pods", { sort = "age" } }, { "pods", { sorted = "cpu" } } } do
      local _, err = ctz.try(k.top, k, table.unpack(words))
      assert.equal("usage", err.kind)
    end
  end)

  local function errors(check)
    for _, call in ipairs { "metrics", "top" } do
      local _, err = ctz.try(k[call], k, call == "metrics" and "busy" or nil)
      check(err)
    end
  end

  it("says that the metrics server does not answer", function()
    local folder = os.getenv "CTZ_TEST_KUBERNETES_FOLDER"
    ctz.process.run { cluster.program, "down", folder, "metrics" }
    local up <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
      ctz.process.run({ cluster.program, "up", folder, "metrics" }, { timeout = 180 })
    end })
    errors(function(err)
      assert.equal("unreachable", err.kind)
      assert.equal("the metrics server of the cluster does not answer", err.message)
      assert.matches("v1beta1.metrics.k8s.io", err.hint, 1, true)
    end)
  end)

  it("says that there are no metrics, and how they come", function()
    local service = k:get("apiservice", "v1beta1.metrics.k8s.io")
    k:delete("apiservice", service.metadata.name)
    local again <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
      k:create { apiVersion = service.apiVersion, kind = service.kind, metadata = { name = service.metadata.name },
        spec = service.spec }
      ctz.timeout(60, function()
        repeat
          ctz.sleep(0.1)
        until ctz.try(k.top, k, "nodes")
      end)
    end })
    ctz.timeout(30, function() -- the API server takes a moment to forget it
      repeat
        ctz.sleep(0.1)
        local _, err = ctz.try(k.top, k)
      until err and err.kind == "unsupported"
    end)
    errors(function(err)
      assert.equal("unsupported", err.kind)
      assert.equal("the cluster has no metrics: metrics.k8s.io is not served", err.message)
      assert.matches("metrics-server", err.hint, 1, true)
    end)
  end)
end)
