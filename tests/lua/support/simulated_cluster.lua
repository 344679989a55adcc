-- simulated_cluster.lua: the cluster in memory for specs written for real ones: CTZ_TEST_KUBERNETES=simulate.
-- SPDX-License-Identifier: MIT
local simulate = require "ctz.simulate"

local simulated = {}

local PATH <const> = { "PATH=/bin" }

--- As tests/testbed/cluster makes them of busybox.
simulated.images = {
  ["ctz-test/busybox:1"] = { env = PATH, command = { "sh" }, is_known = true },
  ["ctz-test/busybox:2"] = { env = PATH, command = { "sh" }, is_known = true },
}

-- What the simulation has not of busybox and these specs use.
local programs = {}

function programs.sha256sum(_, io)
  local parts = {}
  for bytes in io.read do
    parts[#parts + 1] = bytes
  end
  io.write(require("ctz.hash").sha256(table.concat(parts)), "  -\n")
end

-- The played nodes of tests/testbed/cluster.
local function add_nodes(client)
  for i = 0, 2 do
    local name = "kwok-" .. i
    client:create {
      apiVersion = "v1", kind = "Node",
      metadata = { name = name, labels = { ["kubernetes.io/hostname"] = name, type = "kwok" } },
      spec = { taints = { { key = "kwok.x-k8s.io/node", value = "fake", effect = "NoSchedule" } } },
    }
    client:patch("node/" .. name, { status = { allocatable = { cpu = "32", memory = "256Gi", pods = "110" } } },
      { subresource = "status" })
  end
end

--- What `kubectl get WORDS -o json` gives: a kind, a name, -n NAMESPACE, -l SELECTOR.
function simulated.get(kind, ...)
  local words, name, opts = { ... }, nil, {}
  for i, word in ipairs(words) do
    local before = words[i - 1]
    if before == "-n" then
      opts.namespace = word
    elseif before == "-l" then
      opts.labels = word
    elseif word ~= "-n" and word ~= "-l" then
      name = word
    end
  end
  local client = simulated.cluster.kubernetes
  return name and client:get(kind, name, opts) or client:list(kind, opts)
end

--- From now on every connection is to a new cluster in memory.
function simulated.begin(cluster)
  cluster.node = "node-1"
  simulated.cluster = simulate.cluster({ images = simulated.images, programs = programs }):use()
  add_nodes(simulated.cluster.kubernetes)
end

return simulated
