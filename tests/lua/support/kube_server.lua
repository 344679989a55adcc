-- kube_server.lua: a Kubernetes API server of rules (tests/testbed/scripted.py), and clients of it.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local discovery = require "ctz.kubernetes.discovery"

local kube_server = {}

-- The kinds that it has: {resource =, kind =, namespaced =} of the core group.
function kube_server.discovery(...)
  local resources = ctz.json.array {}
  for i, one in ipairs { ... } do
    resources[i] = {
      resource = one.resource, responseKind = { kind = one.kind }, scope = one.namespaced and "Namespaced" or "Cluster",
      singularResource = one.kind:lower(), verbs = { "get", "list" },
    }
  end
  return { path = "^/api(\\?|$)", body = { kind = "APIGroupDiscoveryList", items = { {
    metadata = ctz.json.object {}, versions = { { version = "v1", freshness = "Current", resources = resources } },
  } } } }, { path = "^/apis(\\?|$)", body = { kind = "APIGroupDiscoveryList", items = ctz.json.array {} } }
end

local Server = {}
Server.__index = Server

function Server:__close()
  self.child:close()
end

--- All requests: {method, path, headers, body}.
function Server:asked()
  local list = {}
  for line in ctz.fs.read(self.log):gmatch "[^\n]+" do
    list[#list + 1] = ctz.json.decode(line)
  end
  return list
end

--- A client; user: the YAML fields of its user, cluster: of its cluster beside the server.
function Server:connect(user, cluster)
  local path = self.folder .. "/config"
  ctz.fs.write(path, ([[
apiVersion: v1
kind: Config
current-context: main
clusters:
- name: here
  cluster: {server: '%s'%s}
users:
- name: me
  user: {%s}
contexts:
- name: main
  context: {cluster: here, user: me, namespace: team}
]]):format(self.url, cluster and ", " .. cluster or "", user or "token: t"))
  return ctz.kubernetes.connect { kubeconfig = path, rps = 0 }
end

--- A server that answers as the rules say, closed by <close>. tls: {certificate, key, ca}, then it wants certificates.
function kube_server.start(folder, rules, tls)
  local path, log = folder .. "/rules.json", folder .. "/log"
  ctz.fs.write(path, ctz.json.encode(ctz.json.array(rules)))
  ctz.fs.write(log, "")
  local words = { "python3", "tests/testbed/scripted.py", path, log, table.unpack(tls or {}) }
  local child = ctz.process.spawn(words, { stdin = "pipe", stderr = "null" })
  local url = (tls and "https" or "http") .. "://127.0.0.1:" .. child:read "l"
  os.remove(discovery.cache_file { server = url, cluster = { tls = {} } }) -- of an earlier server of this port
  return setmetatable({ child = child, folder = folder, log = log, url = url }, Server)
end

return kube_server
