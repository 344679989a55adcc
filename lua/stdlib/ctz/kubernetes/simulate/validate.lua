-- kubernetes/simulate/validate.lua: what an API server refuses of an object whose fields are known.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes 1.37, pkg/apis/*/validation; k8s.io/apimachinery, pkg/util/validation.
local json = require "ctz.json"
local names = require "ctz.kubernetes.names"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, math_type, next, type = ipairs, math.type, next, type

local table_of = values.table_of

local SUBDOMAIN <const> = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' " ..
  "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is " ..
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
local LABEL <const> = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " ..
  "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is " ..
  "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
local KEY <const> = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end " ..
  "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is " ..
  "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
local VALUE <const> = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or " ..
  "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex " ..
  "used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
local DATA_KEY <const> = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. " ..
  "'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"

local function shown(value)
  return value == nil and "null" or json.encode(value)
end

local function add(problems, field, reason, message)
  problems[#problems + 1] = { field, reason, message }
end

local function invalid(problems, field, value, why)
  add(problems, field, "FieldValueInvalid", ("Invalid value: %s: %s"):format(shown(value), why))
end

local function required(problems, field, why)
  add(problems, field, "FieldValueRequired", "Required value" .. (why and ": " .. why or ""))
end

local function not_supported(problems, field, value, known)
  local list = {}
  for i, one in ipairs(known) do
    list[i] = ("%q"):format(one)
  end
  add(problems, field, "FieldValueNotSupported",
    ("Unsupported value: %s: supported values: %s"):format(shown(value), table.concat(list, ", ")))
end

-- --- metadata ------------------------------------------------------------------------------------

local function labels(problems, field, map, is_labels)
  for name, value in next, table_of(map) do
    if names.key(name) then
      invalid(problems, field, name, KEY)
    end
    if is_labels and type(value) == "string" and names.value(value) then
      invalid(problems, field, value, VALUE)
    end
  end
end

local function metadata(problems, resource, object)
  local meta = object.metadata
  if not values.is_given(meta.name) or meta.name == "" then
    required(problems, "metadata.name", "name or generateName is required")
  elseif (resource.kind == "Namespace" or resource.kind == "Service") and names.label(meta.name) then
    invalid(problems, "metadata.name", meta.name, LABEL)
  elseif resource.group ~= "rbac.authorization.k8s.io" and names.subdomain(meta.name) then
    invalid(problems, "metadata.name", meta.name, SUBDOMAIN)
  end
  labels(problems, "metadata.labels", meta.labels, true)
  labels(problems, "metadata.annotations", meta.annotations, false)
end

-- --- pods ----------------------------------------------------------------------------------------

local function container(problems, path, one, seen, spec)
  if not one.name or one.name == "" then
    required(problems, path .. ".name")
  elseif names.label(one.name) then
    invalid(problems, path .. ".name", one.name, LABEL)
  end
  if not one.image or one.image == "" then
    required(problems, path .. ".image")
  end
  for i, port in ipairs(table_of(one.ports)) do
    local at = ("%s.ports[%d].containerPort"):format(path, i - 1)
    if not port.containerPort then
      required(problems, at)
    elseif port.containerPort < 1 or port.containerPort > 65535 then
      invalid(problems, at, port.containerPort, "must be between 1 and 65535, inclusive")
    end
  end
  for i, mount in ipairs(table_of(one.volumeMounts)) do
    if not values.find(spec.volumes, function(volume) return volume.name == mount.name end) then
      add(problems, ("%s.volumeMounts[%d].name"):format(path, i - 1), "FieldValueNotFound",
        "Not found: " .. shown(mount.name))
    end
  end
  if one.name and seen[one.name] then
    add(problems, path .. ".name", "FieldValueDuplicate", "Duplicate value: " .. shown(one.name))
  end
  seen[one.name or ""] = true
end

local POLICIES <const> = { Always = true, OnFailure = true, Never = true }

local function pod_spec(problems, path, spec)
  spec = table_of(spec)
  local seen = {}
  for _, field in ipairs { "containers", "initContainers" } do
    for i, one in ipairs(table_of(spec[field])) do
      container(problems, ("%s.%s[%d]"):format(path, field, i - 1), one, seen, spec)
    end
  end
  if #table_of(spec.containers) == 0 then
    required(problems, path .. ".containers")
  end
  if spec.restartPolicy and not POLICIES[spec.restartPolicy] then
    not_supported(problems, path .. ".restartPolicy", spec.restartPolicy, { "Always", "Never", "OnFailure" })
  end
end

-- --- workloads -----------------------------------------------------------------------------------

local function count(problems, field, value)
  if math_type(value) and value < 0 then
    invalid(problems, field, value, "must be greater than or equal to 0")
  end
end

local function matches(selector, own)
  for name, value in next, table_of(selector.matchLabels) do
    if table_of(own)[name] ~= value then
      return false
    end
  end
  return true
end

local function selected_template(problems, spec)
  local template = table_of(spec.template)
  local own = table_of(template.metadata).labels
  if type(spec.selector) ~= "table" then
    required(problems, "spec.selector")
    invalid(problems, "spec.template.metadata.labels", own, "`selector` does not match template `labels`")
  elseif next(table_of(spec.selector.matchLabels)) == nil and not table_of(spec.selector.matchExpressions)[1] then
    invalid(problems, "spec.selector", spec.selector, "empty selector is invalid for deployment")
  elseif not matches(spec.selector, own) then
    invalid(problems, "spec.template.metadata.labels", own, "`selector` does not match template `labels`")
  end
  labels(problems, "spec.template.labels", own, true)
  pod_spec(problems, "spec.template.spec", template.spec)
end

local of <const> = {}

function of.Pod(problems, object)
  pod_spec(problems, "spec", object.spec)
end

local function workload(problems, object)
  local spec = table_of(object.spec)
  count(problems, "spec.replicas", spec.replicas)
  selected_template(problems, spec)
  local policy = table_of(table_of(spec.template).spec).restartPolicy
  if policy and POLICIES[policy] and policy ~= "Always" then
    not_supported(problems, "spec.template.spec.restartPolicy", policy, { "Always" })
  end
end

of.Deployment, of.ReplicaSet, of.StatefulSet, of.DaemonSet = workload, workload, workload, workload

local function job_spec(problems, path, spec)
  spec = table_of(spec)
  for _, field in ipairs { "parallelism", "completions", "backoffLimit", "activeDeadlineSeconds" } do
    count(problems, path .. "." .. field, spec[field])
  end
  local template = table_of(table_of(spec.template).spec)
  pod_spec(problems, path .. ".template.spec", template)
  if template.restartPolicy == "Always" then
    not_supported(problems, path .. ".template.spec.restartPolicy", "Always", { "OnFailure", "Never" })
  end
end

function of.Job(problems, object)
  job_spec(problems, "spec", object.spec)
end

function of.CronJob(problems, object)
  local spec = table_of(object.spec)
  if not spec.schedule or spec.schedule == "" then
    required(problems, "spec.schedule")
  end
  job_spec(problems, "spec.jobTemplate.spec", table_of(spec.jobTemplate).spec)
end

function of.Service(problems, object)
  local spec = table_of(object.spec)
  if #table_of(spec.ports) == 0 and spec.type ~= "ExternalName" and spec.clusterIP ~= "None" then
    required(problems, "spec.ports")
  end
  for i, port in ipairs(table_of(spec.ports)) do
    local at = ("spec.ports[%d]"):format(i - 1)
    if #spec.ports > 1 and not port.name then
      required(problems, at .. ".name")
    end
    if type(port.port) ~= "number" or port.port < 1 or port.port > 65535 then
      invalid(problems, at .. ".port", port.port, "must be between 1 and 65535, inclusive")
    end
  end
end

local function data(problems, object)
  for _, field in ipairs { "data", "binaryData" } do
    for name in next, table_of(object[field]) do
      if names.data_key(name) then
        invalid(problems, ("%s[%s]"):format(field, name), name, DATA_KEY)
      end
    end
  end
end

of.ConfigMap, of.Secret = data, data

-- --- what does not change --------------------------------------------------------------------------

local FIXED <const> = {
  Deployment = { "selector" }, ReplicaSet = { "selector" }, DaemonSet = { "selector" },
  Job = { "selector", "completions", "template" },
}

local function fixed(problems, resource, old, object)
  for _, field in ipairs(FIXED[resource.kind] or {}) do
    if not values.same(table_of(old.spec)[field], table_of(object.spec)[field]) then
      invalid(problems, "spec." .. field, table_of(object.spec)[field], "field is immutable")
    end
  end
  if (resource.kind == "ConfigMap" or resource.kind == "Secret") and old.immutable == true
    and not (values.same(old.data, object.data) and object.immutable == true) then
    add(problems, "data", "FieldValueForbidden", "Forbidden: field is immutable when `immutable` is set")
  end
end

-- Of a pod only images, tolerations that are added and deadlines change.
local function fixed_pod(problems, old, object)
  local before, after = values.copy(old.spec), values.copy(object.spec)
  for _, spec in ipairs { before, after } do
    spec.tolerations, spec.activeDeadlineSeconds, spec.terminationGracePeriodSeconds = nil, nil, nil
    spec.ephemeralContainers = nil
    for _, field in ipairs { "containers", "initContainers" } do
      for _, one in ipairs(table_of(spec[field])) do
        one.image = nil
      end
    end
  end
  if not values.same(before, after) then
    add(problems, "spec", "FieldValueForbidden", "Forbidden: pod updates may not change fields other than " ..
      "`spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` " ..
      "(only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it " ..
      "was previously negative)")
  end
end

-- validate(resource, object, old | nil) -> list of {field, reason, message}
return function(resource, object, old)
  local problems = {}
  metadata(problems, resource, object)
  if not resource.is_custom and of[resource.kind] then
    of[resource.kind](problems, object)
  end
  if old and not resource.is_custom then
    fixed(problems, resource, old, object)
    if resource.kind == "Pod" and #problems == 0 then
      fixed_pod(problems, old, object)
    end
  end
  return problems
end
