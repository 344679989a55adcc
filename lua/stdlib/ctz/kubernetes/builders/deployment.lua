-- kubernetes/builders/deployment.lua: the manifest of a Deployment.
-- SPDX-License-Identifier: MIT
local names = require "ctz.kubernetes.names"
local pod = require "ctz.kubernetes.builders.pod"
local shared = require "ctz.kubernetes.builders.shared"

local math_type, pairs, table, type = math.type, pairs, table, type

local FIELDS <const> = { "replicas", "strategy", "match_labels", "pod_labels", table.unpack(pod.FIELDS) }

-- An integer or a share of the replicas: "25%".
local function share(problems, value, where)
  if value ~= nil and not (math_type(value) == "integer" and value >= 0) and
    not (type(value) == "string" and value:find "^%d+%%$") then
    problems:usage(where, 'expected an integer or a share such as "25%%"')
    return nil
  end
  return value
end

local function strategy(problems, given)
  if type(given) == "string" then
    given = { type = given }
  end
  if not problems:check(given, "table", "strategy") then
    return nil
  end
  problems:check_keys(given, { "type", "max_surge", "max_unavailable" }, "strategy")
  local kind = shared.choice(problems, given.type, "strategy", { "RollingUpdate", "Recreate" })
  local surge = share(problems, given.max_surge, "strategy.max_surge")
  local unavailable = share(problems, given.max_unavailable, "strategy.max_unavailable")
  if kind == "Recreate" and (surge or unavailable) then
    problems:usage("strategy", "max_surge and max_unavailable are of RollingUpdate")
  end
  return {
    type = kind or "RollingUpdate",
    rollingUpdate = (surge or unavailable) and { maxSurge = surge, maxUnavailable = unavailable } or nil,
  }
end

local function fill(manifest, given, problems)
  local labels = shared.map(problems, given.match_labels, "match_labels", names.key, names.value)
    or shared.selector_labels(given)
  local pod_labels = shared.map(problems, given.pod_labels, "pod_labels", names.key, names.value)
  local own = shared.merged(shared.merged(manifest.metadata.labels or {}, pod_labels), labels)
  for key, value in pairs(pod_labels or {}) do
    if labels[key] and labels[key] ~= value then
      problems:usage("pod_labels." .. key, "the selector says %q", labels[key])
    end
  end
  manifest.metadata.labels = shared.merged(labels, manifest.metadata.labels)
  manifest.spec = {
    replicas = shared.integer(problems, given.replicas, "replicas"),
    strategy = strategy(problems, given.strategy),
    selector = { matchLabels = labels },
    template = pod.template(own, pod.spec(given, problems)),
  }
end

--- ctz.kubernetes.deployment(description) -> table
--- The manifest of a Deployment with one container, as the API has it; tostring gives YAML for kubectl
--- (a ctz.secret in it is "***"). Its pods have the label app = name unless match_labels says other.
--- All problems of the description are told at once.
--- @param description.name string
--- @param description.image string
--- @param description.namespace? string
--- @param description.replicas? integer
--- @param description.ports? table  {80, "53/udp", {port=80, name="http", protocol=, host_port=}}
--- @param description.environment? table  {NAME = text|number|boolean|secret, or {secret="name", key="key"},
---   {config_map=, key=}, {field="metadata.name"}}
--- @param description.resources? table  {requests={cpu="100m", memory="64Mi"}, limits={...}}
--- @param description.volumes? table  {name = {path="/data", claim=|empty=true|host_path=|config_map=|secret=,
---   read_only=, sub_path=, size=}}
--- @param description.config_maps? table  {"name"}: as environment; {name="/path"}: as files; also secrets
--- @param description.secrets? table
--- @param description.probes? table  {liveness=, readiness=, startup=} each {http="/path", port=}, {tcp=} or
---   {command=}, with initial_delay, period, timeout (seconds), success_threshold, failure_threshold
--- @param description.strategy? string|table  "Recreate" or {type=, max_surge=, max_unavailable=}
--- @param description.command? string[]  also args
--- @param description.labels? table  also annotations, match_labels, pod_labels, node_selector
--- @param description.service_account? string  also image_pull_secrets, image_pull_policy, workdir,
---   termination_grace_period
--- @return table  the manifest
--- @error usage  what is wrong, with the place of each problem
--- @example local web = ctz.kubernetes.deployment{name="web", image="nginx:1.27", replicas=2, ports={80}}
--- @example assert(web.spec.template.spec.containers[1].ports[1].containerPort == 80)
--- @example assert(tostring(web):find("kind: Deployment", 1, true))
--- @example local _, err = ctz.try(ctz.kubernetes.deployment, {name="Web", image="nginx", port={80}})
--- @example assert(err.message:find("did you mean 'ports'", 1, true))
--- Api: apps/v1, Deployment
local function deployment(description)
  return shared.build("kubernetes.deployment", description,
    { api_version = "apps/v1", kind = "Deployment", fields = FIELDS }, fill)
end

return { deployment = deployment }
