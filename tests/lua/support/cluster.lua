-- cluster.lua: the Kubernetes cluster that tests/testbed/cluster gave this spec.
--
--   local cluster = require "tests.lua.support.cluster"
--   describe("...", function()
--     local space <const> = cluster.namespace()
--     teardown(space.delete)
--     it("...", function() ... cluster.kubectl{"get", "pods", "-n", space.name} ... end)
--
-- KUBECONFIG is the administrator's. This process runs in the cluster's network.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local programs = require "tests.lua.support.programs"

local cluster = {
  image = "ctz-test/busybox:1", -- every applet of busybox, CMD sh
  other_image = "ctz-test/busybox:2", -- the same with another label
  node = os.getenv "CTZ_TEST_KUBERNETES_NODE",
  program = "tests/testbed/cluster",
  is_simulated = os.getenv "CTZ_TEST_KUBERNETES" == "simulate", -- the cluster in memory; it has the same images
}

--- Path of the kubeconfig of "admin", "reader" (a token, may look), "certificate" (may edit) or "wrong" (401).
function cluster.kubeconfig(user)
  local hint = "run this by ctest, or by: tests/testbed/cluster exec DIR -- ctz test SPEC"
  return ("%s/kubeconfigs/%s"):format(assert(os.getenv "CTZ_TEST_KUBERNETES_FOLDER", hint), user or "admin")
end

--- https://ADDRESS:PORT of the API server.
function cluster.server()
  return assert(os.getenv "CTZ_TEST_KUBERNETES_SERVER")
end

--- TLS options of ctz.http for the API server; user: "admin" or "certificate" signs in by its certificate.
function cluster.tls(user)
  local keys = os.getenv "CTZ_TEST_KUBERNETES_FOLDER" .. "/keys/"
  return { ca = keys .. "ca.crt", cert = user and keys .. user .. ".crt", key = user and keys .. user .. ".key" }
end

--- Runs kubectl, the second opinion; opts as ctz.process.run has them, and user=. Returns its result.
function cluster.kubectl(words, opts)
  opts = opts or {}
  local argv = { "kubectl", "--kubeconfig", cluster.kubeconfig(opts.user), table.unpack(words) }
  return ctz.process.run(argv, { check = opts.check, stdin = opts.stdin, timeout = opts.timeout or 120 })
end

--- The decoded answer of `kubectl get WORDS -o json`.
function cluster.get(...)
  if cluster.is_simulated then
    return require("tests.lua.support.simulated_cluster").get(...)
  end
  return ctz.json.decode(cluster.kubectl({ "get", "-o", "json", ... }).stdout)
end

--- A name that no other spec that runs at this time uses. Two files of one process have this module each.
function cluster.name(word)
  return ("%s-%d-%08x"):format(word or "test", programs.self(), math.random(0, 0xffffffff))
end

--- A new namespace: {name=, delete=function}. delete returns at once, the cluster goes on with it.
function cluster.namespace()
  local space = { name = cluster.name "spec" }
  if cluster.is_simulated then
    local client = ctz.k8s.connect()
    client:create { apiVersion = "v1", kind = "Namespace", metadata = { name = space.name } }
    function space.delete()
      client:delete("namespace", space.name)
    end
    return space
  end
  cluster.kubectl { "create", "namespace", space.name }
  -- Pods need it; after a restart of the API server its controller comes a little later.
  cluster.kubectl { "wait", "--for=create", "serviceaccount/default", "-n", space.name, "--timeout=90s" }
  function space.delete()
    cluster.kubectl { "delete", "namespace", space.name, "--wait=false" }
  end
  return space
end

--- A Pod that runs a command and is not started again. more: fields of its spec.
function cluster.pod(name, namespace, command, more)
  local pod = {
    apiVersion = "v1", kind = "Pod",
    metadata = { name = name, namespace = namespace, labels = { app = name } },
    spec = {
      restartPolicy = "Never", terminationGracePeriodSeconds = 0,
      containers = { { name = "main", image = cluster.image, command = command } },
    },
  }
  for key, value in pairs(more or {}) do
    pod.spec[key] = value
  end
  return pod
end

local function testbed(...)
  return ctz.process.run({ cluster.program, ... }, { timeout = 300 }).stdout
end

local Own = {}
Own.__index = Own
Own.__close = function(self)
  testbed("stop", self.folder)
end

--- Ends a part ("apiserver", "kubelet" ...).
function Own:down(part, opts)
  testbed("down", self.folder, part, opts and opts.kill and "--kill" or nil)
end

function Own:up(part)
  testbed("up", self.folder, part)
end

--- Runs a command in its network.
function Own:run(words, opts)
  return ctz.process.run({ cluster.program, "exec", self.folder, "--", table.unpack(words) }, opts)
end

--- A cluster of this spec's own, to be harmed: {folder=, down=, up=, run=}. It takes 6 s. Close it by <close>.
--- Its network is another one: what shall reach it is run by own:run{}.
function cluster.own()
  return setmetatable({ folder = testbed("start"):match "^(.-)\n" }, Own)
end

if cluster.is_simulated then
  require("tests.lua.support.simulated_cluster").begin(cluster)
end

return cluster
