-- kubernetes/builders/service.lua: the manifest of a Service.
-- SPDX-License-Identifier: MIT
local names = require "ctz.kubernetes.names"
local pod = require "ctz.kubernetes.builders.pod"
local shared = require "ctz.kubernetes.builders.shared"

local ipairs, type = ipairs, type

local FIELDS <const> = { "type", "selector", "ports", "cluster_ip", "external_name", "headless" }
local PORT <const> = { "port", "name", "protocol", "target", "node_port" }

local function read_ports(problems, given)
  local list = shared.each(problems, given, "ports", function(value, where)
    local port, protocol, name, rest = pod.read_port(problems, value, where, PORT)
    local target = rest.target
    if target ~= nil and type(target) ~= "string" then
      target = pod.port_number(problems, target, where .. ".target")
    end
    return {
      port = port, protocol = protocol, name = name, targetPort = target,
      nodePort = rest.node_port ~= nil and pod.port_number(problems, rest.node_port, where .. ".node_port") or nil,
    }
  end)
  for i, port in ipairs(list and #list > 1 and list or {}) do -- the API wants names then
    port.name = port.name or ("port-%d"):format(port.port or i)
  end
  return list
end

local function fill(manifest, given, problems)
  local kind = shared.choice(problems, given.type, "type", { "ClusterIP", "NodePort", "LoadBalancer", "ExternalName" })
  if kind == "ExternalName" then
    problems:check(given.external_name, "string", "external_name", true)
  elseif given.ports == nil and not given.headless then
    problems:usage("ports", "it is required")
  end
  local selector = shared.map(problems, given.selector, "selector", names.key, names.value)
  manifest.spec = {
    type = kind,
    selector = selector or kind ~= "ExternalName" and shared.selector_labels(given) or nil,
    ports = read_ports(problems, given.ports),
    clusterIP = given.headless and "None" or given.cluster_ip,
    externalName = given.external_name,
  }
end

--- ctz.kubernetes.service(description) -> table
--- The manifest of a Service. It leads to the pods with the label app = name unless selector says other.
--- @param description.name string
--- @param description.ports table  {80, "53/udp", {port=80, target=8080|"http", name=, protocol=, node_port=}}
--- @param description.namespace? string
--- @param description.selector? table<string, string>
--- @param description.type? "ClusterIP"|"NodePort"|"LoadBalancer"|"ExternalName"
--- @param description.headless? boolean
--- @param description.cluster_ip? string  also external_name, labels, annotations
--- @return table  the manifest
--- @error usage  what is wrong, with the place of each problem
--- @example local web = ctz.kubernetes.service{name="web", ports={{port=80, target=8080}}}
--- @example assert(web.spec.selector.app == "web" and web.spec.ports[1].targetPort == 8080)
--- Api: v1, Service
local function service(description)
  return shared.build("kubernetes.service", description,
    { api_version = "v1", kind = "Service", fields = FIELDS, name_check = names.service }, fill)
end

return { service = service }
