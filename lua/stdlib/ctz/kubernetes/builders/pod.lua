-- kubernetes/builders/pod.lua: the pod of a Deployment or Job, from the short description of a builder.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local names = require "ctz.kubernetes.names"
local quantity = require("ctz.kubernetes.quantity").quantity
local shared = require "ctz.kubernetes.builders.shared"

local ipairs, math_type, next, pcall, tointeger, tostring, type = ipairs, math.type, next, pcall, math.tointeger,
  tostring, type
local match = string.match

local FIELDS <const> = {
  "image", "command", "args", "ports", "environment", "resources", "volumes", "config_maps", "secrets", "probes",
  "service_account", "image_pull_secrets", "image_pull_policy", "node_selector", "workdir", "termination_grace_period",
}
local PROTOCOLS <const> = { "TCP", "UDP", "SCTP" }
local PROBES <const> = { liveness = "livenessProbe", readiness = "readinessProbe", startup = "startupProbe" }
local TIMES <const> = {
  initial_delay = "initialDelaySeconds", period = "periodSeconds", timeout = "timeoutSeconds",
  success_threshold = "successThreshold", failure_threshold = "failureThreshold",
}
local VOLUME <const> = { "path", "claim", "empty", "host_path", "config_map", "secret", "read_only", "sub_path",
  "size" }
local SOURCES <const> = { "claim", "empty", "host_path", "config_map", "secret" }

-- A number of a port: 1 to 65535.
local function port_number(problems, value, where)
  if math_type(value) ~= "integer" or value < 1 or value > 65535 then
    problems:usage(where, "expected a port, 1 to 65535, got %s", tostring(value))
    return nil
  end
  return value
end

-- 80, "80", "53/udp" or {port=, name=, protocol=} -> port, protocol, name, the table.
local function read_port(problems, value, where, known)
  local port, protocol, name = value, nil, nil
  if type(value) == "table" then
    problems:check_keys(value, known or { "port", "name", "protocol", "host_port" }, where)
    port, protocol, name = value.port, value.protocol, value.name
  elseif type(value) == "string" then
    local digits, word = match(value, "^(%d+)/?(%a*)$")
    port, protocol = tointeger(tonumber(digits)) or value, word ~= "" and word or nil
  end
  port = port_number(problems, port, where)
  protocol = shared.choice(problems, type(protocol) == "string" and protocol:upper() or protocol,
    where .. ".protocol", PROTOCOLS)
  return port, protocol, shared.name(problems, name, where .. ".name", names.port), type(value) == "table" and value
    or {}
end

local function container_ports(problems, given)
  return shared.each(problems, given, "ports", function(value, where)
    local port, protocol, name, rest = read_port(problems, value, where)
    return {
      containerPort = port, protocol = protocol, name = name,
      hostPort = rest.host_port ~= nil and port_number(problems, rest.host_port, where .. ".host_port") or nil,
    }
  end)
end

-- --- environment -------------------------------------------------------------------------------

local function value_from(problems, value, where)
  problems:check_keys(value, { "secret", "config_map", "key", "field", "optional" }, where)
  if value.field then
    return { fieldRef = { fieldPath = value.field } }
  elseif not value.secret == not value.config_map then
    problems:usage(where, "expected {secret=, key=}, {config_map=, key=} or {field=}")
    return nil
  end
  problems:check(value.key, "string", where .. ".key", true)
  local name = shared.name(problems, value.secret or value.config_map, where)
  return { [value.secret and "secretKeyRef" or "configMapKeyRef"] = {
    name = name, key = value.key, optional = value.optional,
  } }
end

local function environment(problems, given)
  if not problems:check(given, "table", "environment") then
    return nil
  end
  local list = json.array {}
  for _, name in ipairs(shared.sorted_keys(given)) do
    local value, where = given[name], "environment." .. tostring(name)
    if type(name) ~= "string" or name == "" or name:find "[=%c%s]" then
      problems:usage(where, "expected {NAME = value}")
    elseif type(value) == "table" and value ~= json.null then
      list[#list + 1] = { name = name, valueFrom = value_from(problems, value, where) }
    else
      list[#list + 1] = { name = name, value = shared.text(problems, value, where) }
    end
  end
  return list
end

-- --- resources ---------------------------------------------------------------------------------

local function amounts(problems, given, where)
  if not problems:check(given, "table", where) then
    return nil, {}
  end
  local result, read = json.object {}, {}
  for _, name in ipairs(shared.sorted_keys(given)) do
    local ok, value = pcall(quantity, given[name])
    if ok and value < quantity "0" then
      ok, value = false, { kind = "usage", message = "it is negative" }
    end
    if ok then
      result[name], read[name] = tostring(value), value
    else
      problems:add_error(("%s.%s"):format(where, tostring(name)), value)
    end
  end
  return result, read
end

local function resources(problems, given)
  if not problems:check(given, "table", "resources") then
    return nil
  end
  problems:check_keys(given, { "requests", "limits" }, "resources")
  local requests, asked = amounts(problems, given.requests, "resources.requests")
  local limits, allowed = amounts(problems, given.limits, "resources.limits")
  for _, name in ipairs(shared.sorted_keys(asked)) do
    if allowed[name] and allowed[name] < asked[name] then
      problems:usage("resources.requests." .. name, "%s is more than the limit, %s", tostring(asked[name]),
        tostring(allowed[name]))
    end
  end
  return { requests = requests, limits = limits }
end

-- --- probes ------------------------------------------------------------------------------------

local function probe(problems, given, where)
  if not problems:check(given, "table", where) then
    return nil
  end
  problems:check_keys(given, { "http", "tcp", "command", "port", "scheme", "initial_delay", "period", "timeout",
    "success_threshold", "failure_threshold" }, where)
  local result = {}
  for _, name in ipairs(shared.sorted_keys(TIMES)) do
    result[TIMES[name]] = shared.integer(problems, given[name], where .. "." .. name)
  end
  local port = type(given.port) == "string" and given.port or given.port ~= nil and
    port_number(problems, given.port, where .. ".port") or nil
  if given.http then
    if not given.port then
      problems:usage(where, "http needs a port")
    end
    result.httpGet = { path = given.http, port = port, scheme = given.scheme }
  elseif given.tcp then
    result.tcpSocket = { port = port_number(problems, given.tcp, where .. ".tcp") }
  elseif given.command then
    result.exec = { command = shared.words(problems, given.command, where .. ".command") }
  else
    problems:usage(where, "expected {http=, port=}, {tcp=} or {command=}")
  end
  return result
end

local function add_probes(problems, container, given)
  if problems:check(given, "table", "probes") then
    problems:check_keys(given, { "liveness", "readiness", "startup" }, "probes")
    for _, name in ipairs(shared.sorted_keys(PROBES)) do
      container[PROBES[name]] = probe(problems, given[name], "probes." .. name)
    end
  end
end

-- --- volumes -----------------------------------------------------------------------------------

local function mount(pod, container, name, source, path, more)
  source.name = name
  pod.volumes = pod.volumes or json.array {}
  container.volumeMounts = container.volumeMounts or json.array {}
  pod.volumes[#pod.volumes + 1] = source
  container.volumeMounts[#container.volumeMounts + 1] = {
    name = name, mountPath = path, readOnly = more.read_only, subPath = more.sub_path,
  }
end

local function source_of(problems, given, where)
  local source
  for _, kind in ipairs(SOURCES) do
    if given[kind] ~= nil and source then
      problems:usage(where, "it has two sources")
    elseif given[kind] ~= nil then
      source = kind
    end
  end
  if source == "claim" then
    return { persistentVolumeClaim = { claimName = shared.name(problems, given.claim, where .. ".claim") } }
  elseif source == "host_path" then
    return { hostPath = { path = given.host_path } }
  elseif source == "config_map" then
    return { configMap = { name = shared.name(problems, given.config_map, where .. ".config_map") } }
  elseif source == "secret" then
    return { secret = { secretName = shared.name(problems, given.secret, where .. ".secret") } }
  end
  local _, read = amounts(problems, { size = given.size }, where)
  return { emptyDir = json.object { sizeLimit = read.size and tostring(read.size) or nil } }
end

local function add_volumes(problems, pod, container, given)
  if not problems:check(given, "table", "volumes") then
    return
  end
  for _, name in ipairs(shared.sorted_keys(given)) do
    local volume, where = given[name], "volumes." .. tostring(name)
    shared.name(problems, name, where, names.label)
    if problems:check(volume, "table", where, true) then
      problems:check_keys(volume, VOLUME, where)
      problems:check(volume.path, "string", where .. ".path", true)
      mount(pod, container, name, source_of(problems, volume, where), volume.path, volume)
    end
  end
end

-- {"name"}: all keys as environment; {name = "/path"}: as files.
local function add_references(problems, pod, container, given, field)
  if not problems:check(given, "table", field) then
    return
  end
  local is_map = field == "config_maps"
  for i, name in ipairs(given) do
    container.envFrom = container.envFrom or json.array {}
    container.envFrom[#container.envFrom + 1] = { [is_map and "configMapRef" or "secretRef"] = {
      name = shared.name(problems, name, ("%s[%d]"):format(field, i), nil, true),
    } }
  end
  for _, name in ipairs(shared.sorted_keys(given)) do
    local path, where = given[name], ("%s.%s"):format(field, tostring(name))
    if type(name) == "string" and problems:check(path, "string", where) then
      shared.name(problems, name, where)
      mount(pod, container, (is_map and "config-" or "secret-") .. name:gsub("%.", "-"):sub(1, 50),
        is_map and { configMap = { name = name } } or { secret = { secretName = name } }, path, { read_only = true })
    end
  end
end

-- --- the pod -----------------------------------------------------------------------------------

-- The spec of a pod with one container.
local function spec(given, problems)
  problems:check(given.image, "string", "image", true)
  if type(given.image) == "string" and (given.image == "" or given.image:find "%s") then
    problems:usage("image", "%q is no name of an image", given.image)
  end
  local container = {
    name = type(given.name) == "string" and given.name:gsub("%.", "-"):sub(1, 63) or nil,
    image = given.image,
    command = shared.words(problems, given.command, "command"),
    args = shared.words(problems, given.args, "args"),
    workingDir = given.workdir,
    ports = container_ports(problems, given.ports),
    env = environment(problems, given.environment),
    resources = resources(problems, given.resources),
    imagePullPolicy = shared.choice(problems, given.image_pull_policy, "image_pull_policy",
      { "Always", "IfNotPresent", "Never" }),
  }
  problems:check(given.workdir, "string", "workdir")
  add_probes(problems, container, given.probes)
  local pod = {
    containers = json.array { container },
    serviceAccountName = shared.name(problems, given.service_account, "service_account"),
    nodeSelector = shared.map(problems, given.node_selector, "node_selector", names.key, names.value),
    terminationGracePeriodSeconds = shared.integer(problems, given.termination_grace_period,
      "termination_grace_period"),
    imagePullSecrets = shared.each(problems, given.image_pull_secrets, "image_pull_secrets", function(name, where)
      return { name = shared.name(problems, name, where, nil, true) }
    end),
  }
  add_volumes(problems, pod, container, given.volumes)
  add_references(problems, pod, container, given.config_maps, "config_maps")
  add_references(problems, pod, container, given.secrets, "secrets")
  return pod
end

local function template(labels, pod)
  return { metadata = { labels = next(labels) and labels or nil }, spec = pod }
end

return { FIELDS = FIELDS, port_number = port_number, read_port = read_port, spec = spec, template = template }
