-- kubernetes/simulate/admit.lua: what a simulated API server looks at before it takes a new object.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, admission plugins ServiceAccount, ResourceQuota, Priority, DefaultTolerationSeconds.
local refusal = require "ctz.kubernetes.simulate.refusal"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, next, pairs, setmetatable, tonumber, type = ipairs, next, pairs, setmetatable, tonumber, type
local concat = table.concat

local table_of = values.table_of

-- Kinds that act on others in a way that nobody plays here.
local NOT_MODELLED <const> = {
  LimitRange = "limit ranges", MutatingWebhookConfiguration = "admission webhooks",
  ValidatingAdmissionPolicy = "admission policies", ValidatingAdmissionPolicyBinding = "admission policies",
  ValidatingWebhookConfiguration = "admission webhooks",
}

-- --- quotas --------------------------------------------------------------------------------------

local COUNTED <const> = {
  configmaps = true, persistentvolumeclaims = true, pods = true, replicationcontrollers = true, resourcequotas = true,
  secrets = true, services = true,
}

-- "pods", "count/deployments.apps" -> the kind that is counted; nil: it is something else.
local function counted(state, name)
  if COUNTED[name] then
    return state:kind(name)
  end
  local plural, group = name:match "^count/([^.]+)%.?(.*)$"
  return plural and state:kind(group .. "/" .. plural) or nil
end

local function check_hard(state, object)
  for name in next, table_of(table_of(object.spec).hard) do
    if not counted(state, name) then
      refusal.unsupported(("quotas of %s: counts of objects only"):format(name))
    end
  end
  if table_of(object.spec).scopes or table_of(object.spec).scopeSelector then
    refusal.unsupported "scopes of quotas"
  end
end

local function is_alive(object)
  local phase = object.kind == "Pod" and table_of(object.status).phase
  return phase ~= "Succeeded" and phase ~= "Failed"
end

local function count(state, resource, namespace)
  local number = 0
  for _, one in ipairs(state:list(resource, namespace)) do
    number = number + (is_alive(one) and 1 or 0)
  end
  return number
end

local function check_quota(state, request, object)
  for _, quota in ipairs(state:list(state:kind "resourcequotas", object.metadata.namespace)) do
    local asked, used, limited = {}, {}, {}
    local names = require("ctz.problems").sorted_keys(table_of(quota.spec.hard))
    for _, name in ipairs(names) do
      if counted(state, name) == request.resource then
        local now, hard = count(state, request.resource, object.metadata.namespace), quota.spec.hard[name]
        if now + 1 > (tonumber(hard) or 0) then
          asked[#asked + 1], used[#used + 1] = name .. "=1", ("%s=%d"):format(name, now)
          limited[#limited + 1] = ("%s=%s"):format(name, hard)
        end
      end
    end
    if #asked > 0 then
      refusal.forbidden(request.resource, object.metadata.name, ("exceeded quota: %s, requested: %s, used: %s, " ..
        "limited: %s"):format(quota.metadata.name, concat(asked, ","), concat(used, ","), concat(limited, ",")))
    end
  end
end

-- --- pods ----------------------------------------------------------------------------------------

local function tolerations(spec)
  local list = values.list(spec.tolerations)
  for _, key in ipairs { "node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable" } do
    if not values.find(list, function(one) return one.key == key or one.key == nil end) then
      list[#list + 1] = { effect = "NoExecute", key = key, operator = "Exists", tolerationSeconds = 300 }
    end
  end
  spec.tolerations = list
end

local function pod(state, request, object)
  local spec = object.spec
  local account = spec.serviceAccountName or "default"
  if account ~= "default" and not state:get(state:kind "serviceaccounts", object.metadata.namespace, account) then
    refusal.forbidden(request.resource, object.metadata.name,
      ("error looking up service account %s/%s: serviceaccount %q not found"):format(object.metadata.namespace, account,
        account))
  end
  spec.serviceAccountName, spec.serviceAccount = account, account
  spec.priority, spec.preemptionPolicy = spec.priority or 0, spec.preemptionPolicy or "PreemptLowerPriority"
  tolerations(spec)
  object.status = { phase = "Pending", qosClass = "BestEffort" }
  for _, one in ipairs(spec.containers) do
    if next(table_of(one.resources)) ~= nil then
      object.status.qosClass = "Burstable"
    end
  end
end

-- --- definitions ---------------------------------------------------------------------------------

local function definition(object)
  local spec = object.spec
  if object.metadata.name ~= ("%s.%s"):format(spec.names.plural, spec.group) then
    refusal.check({ group = "apiextensions.k8s.io", kind = "CustomResourceDefinition" }, object.metadata.name, { {
      "metadata.name", "FieldValueInvalid", ("Invalid value: %q: must be spec.names.plural+\".\"+spec.group"):format(
        object.metadata.name) } })
  end
  for _, version in ipairs(spec.versions) do
    for name in pairs(table_of(version.subresources)) do
      if name ~= "status" and name ~= "scale" then
        refusal.bad_request('strict decoding error: unknown field "spec.versions[0].subresources.%s"', name)
      end
    end
  end
end

-- Ways to end that nobody plays here.
local function job(object)
  local spec = table_of(object.spec)
  for _, field in ipairs { "podFailurePolicy", "successPolicy", "backoffLimitPerIndex", "maxFailedIndexes" } do
    if spec[field] ~= nil then
      refusal.unsupported(("the field %s of jobs"):format(field))
    end
  end
  if spec.completionMode == "Indexed" then
    refusal.unsupported "indexed jobs"
  end
end

local admit = {
  count = count, counted = counted,
}

-- admit(state, request, object): raises, or completes it.
return setmetatable(admit, {
  __call = function(_, state, request, object)
    local resource = request.resource
    if NOT_MODELLED[resource.kind] and not resource.is_custom then
      refusal.unsupported(NOT_MODELLED[resource.kind])
    elseif resource.kind == "ResourceQuota" then
      check_hard(state, object)
    elseif resource.kind == "Job" and not resource.is_custom then
      job(object)
    elseif resource.kind == "CustomResourceDefinition" and type(object.spec) == "table" then
      definition(object)
    end
    if resource.namespaced then
      check_quota(state, request, object)
    end
    if resource.kind == "Pod" and not resource.is_custom then
      pod(state, request, object)
    end
  end,
})
