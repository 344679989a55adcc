-- kubernetes/simulate/subresources.lua: status, scale, logs, evictions and programs of pods.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, pkg/registry/core/pod/rest and storage/eviction.go.
local refusal = require "ctz.kubernetes.simulate.refusal"
local values = require "ctz.kubernetes.simulate.values"
local write = require "ctz.kubernetes.simulate.write"

local ipairs, require, tostring, type = ipairs, require, tostring, type
local gmatch = string.gmatch

local table_of = values.table_of

local of = {}

local function get(state, request)
  return state:get(request.resource, request.namespace, request.name)
    or refusal.not_found(request.resource, request.name)
end

local VERBS <const> = { GET = "get", PUT = "update", PATCH = "patch" }

function of.status(state, request, handlers)
  local verb = VERBS[request.method] or refusal.no_method()
  request.writes = "status"
  return handlers[verb](state, request)
end

-- --- scale -----------------------------------------------------------------------------------------

-- ".spec.replicas" of an object; with a value: sets it.
local function at(object, path, value)
  local node, names = object, {}
  for name in gmatch(path, "[^.]+") do
    names[#names + 1] = name
  end
  for i = 1, #names - 1 do
    if value ~= nil and type(node[names[i]]) ~= "table" then
      node[names[i]] = {}
    end
    node = table_of(node[names[i]])
  end
  if value ~= nil then
    node[names[#names]] = value
  end
  return node[names[#names]]
end

local function selector_text(object)
  local list, labels = {}, table_of(table_of(table_of(object.spec).selector).matchLabels)
  for _, name in ipairs(require("ctz.problems").sorted_keys(labels)) do
    list[#list + 1] = name .. "=" .. labels[name]
  end
  return table.concat(list, ",")
end

local function scale_of(resource, object)
  local paths, meta = table_of(resource.scale), object.metadata
  local wanted = at(object, paths.specReplicasPath or ".spec.replicas")
  return {
    apiVersion = "autoscaling/v1", kind = "Scale", metadata = {
      name = meta.name, namespace = meta.namespace, uid = meta.uid, resourceVersion = meta.resourceVersion,
      creationTimestamp = meta.creationTimestamp,
    },
    spec = { replicas = wanted ~= 0 and wanted or nil }, -- 0 is not told
    status = {
      replicas = at(object, paths.statusReplicasPath or ".status.replicas") or 0, selector = selector_text(object),
    },
  }
end

function of.scale(state, request, _, body_of)
  local resource, old = request.resource, get(state, request)
  if request.method == "GET" then
    return 200, scale_of(resource, old)
  elseif request.method ~= "PUT" and request.method ~= "PATCH" then
    refusal.no_method()
  elseif (request.content_type or ""):find("apply", 1, true) then
    refusal.unsupported "server-side apply of a scale"
  end
  local wanted = table_of(table_of(body_of(request)).spec).replicas
  if type(wanted) ~= "number" or wanted < 0 then
    refusal.check({ group = "autoscaling", kind = "Scale" }, request.name, { { "spec.replicas", "FieldValueInvalid",
      ("Invalid value: %s: must be greater than or equal to 0"):format(tostring(wanted)) } })
  end
  local object = values.copy(old)
  at(object, table_of(resource.scale).specReplicasPath or ".spec.replicas", wanted)
  request.query.fieldValidation, request.writes_scale = nil, true
  return 200, scale_of(resource, write.update(state, request, old, object, "patch"))
end

-- --- pods ------------------------------------------------------------------------------------------

function of.log(state, request)
  return require "ctz.kubernetes.simulate.logs"(state, get(state, request), request.query)
end

function of.exec(state, request)
  return require("ctz.kubernetes.simulate.streams").exec(state, get(state, request), request.query)
end

function of.attach(state, request)
  return require("ctz.kubernetes.simulate.streams").attach(state, get(state, request), request.query)
end

function of.eviction(state, request, _, body_of)
  if request.method ~= "POST" then
    refusal.no_method()
  end
  local pod, body = get(state, request), table_of(body_of(request))
  local budgets = require "ctz.kubernetes.simulate.budgets"
  budgets.check(state, pod)
  local options = table_of(body.deleteOptions)
  request.dry = request.dry or table_of(options.dryRun)[1] == "All"
  write.delete(state, request, pod, options)
  return 201, { apiVersion = "v1", kind = "Status", metadata = {}, status = "Success", code = 201 }
end

-- --- namespaces --------------------------------------------------------------------------------------

function of.finalize(state, request, _, body_of)
  local old = get(state, request)
  local object = values.copy(old)
  object.spec = table_of(body_of(request)).spec
  request.is_controller = true
  return 200, write.update(state, request, old, object, "update")
end

return function(state, request, handlers, body_of)
  local handler = of[request.sub]
    or refusal.unsupported(("the subresource %s of %s"):format(request.sub, request.resource.name))
  return handler(state, request, handlers, body_of)
end
