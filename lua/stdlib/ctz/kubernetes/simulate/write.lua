-- kubernetes/simulate/write.lua: how an object gets into a simulated cluster: made, changed, deleted.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API conventions; k8s.io/apiserver, pkg/registry/generic/registry/store.go.
local admit = require "ctz.kubernetes.simulate.admit"
local fields = require "ctz.kubernetes.simulate.fields"
local fill = require "ctz.kubernetes.simulate.defaults"
local refusal = require "ctz.kubernetes.simulate.refusal"
local types = require "ctz.kubernetes.simulate.types"
local validate = require "ctz.kubernetes.simulate.validate"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, pairs, type = ipairs, pairs, type
local concat, remove = table.concat, table.remove

local table_of = values.table_of

local write = {}

-- --- what was sent -------------------------------------------------------------------------------

local function check_kind(resource, object)
  local kind, version = object.kind or resource.kind, object.apiVersion or resource.api_version
  local own = version:match "[^/]+$"
  if kind ~= resource.kind then
    refusal.bad_request('%s in version "%s" cannot be handled as a %s: converting (%s.%s) to (%s.%s): unknown ' ..
      "conversion", kind, own, resource.kind, own, kind, resource.group == "" and "core" or resource.group,
      resource.kind)
  elseif version ~= resource.api_version then
    refusal.bad_request('the API version in the data (%s) does not match the expected API version (%s)', version,
      resource.api_version)
  end
  object.kind, object.apiVersion = resource.kind, resource.api_version
end

-- Checks the form of an object, and makes it one that can be stored.
local function accept(request, object, verb)
  local resource = request.resource
  if type(object) ~= "table" then
    refusal.bad_request('the body of the request is no object')
  end
  check_kind(resource, object)
  object.metadata = table_of(object.metadata)
  values.without_nulls(resource.is_custom and object.metadata or object)
  local found = types.look(resource, object)
  local head = verb == "patch" and "" or ('%s in version "%s" cannot be handled as a %s: '):format(resource.kind,
    resource.version, resource.kind)
  if found.wrong then
    refusal.bad_request('%sjson: cannot unmarshal %s into Go struct field %s of type %s', head,
      table.unpack(found.wrong))
  elseif #found.unknown > 0 and request.query.fieldValidation == "Strict" then
    for i, path in ipairs(found.unknown) do
      found.unknown[i] = ('unknown field "%s"'):format(path)
    end
    refusal.bad_request('%sstrict decoding error: %s', head, concat(found.unknown, ", "))
  end
  types.drop_unknown(resource, object)
  return object
end

local function by_of(state, request)
  return {
    manager = request.manager, subresource = request.writes, time = state:stamp(),
    force = request.query.force == "true",
  }
end

-- --- made ----------------------------------------------------------------------------------------

local function check_namespace(state, request)
  local resource, namespace = request.resource, request.namespace
  if not resource.namespaced then
    return
  end
  local space = state:get(state:kind "namespaces", nil, namespace)
  if not space then
    refusal.not_found(state:kind "namespaces", namespace)
  elseif space.metadata.deletionTimestamp then
    refusal.forbidden(resource, request.name or "", ("unable to create new content in namespace %s because it is " ..
      "being terminated"):format(namespace), { {
      reason = "NamespaceTerminating", field = "metadata.namespace",
      message = ("namespace %s is being terminated"):format(namespace),
    } })
  end
end

local function name_it(state, request, object)
  local meta = object.metadata
  if request.namespace and meta.namespace and meta.namespace ~= request.namespace then
    refusal.bad_request("the namespace of the provided object does not match the namespace sent on the request")
  end
  meta.namespace = request.resource.namespaced and request.namespace or nil
  if not meta.name and meta.generateName and meta.generateName ~= "" then
    meta.name = meta.generateName .. state:suffix()
  end
  request.name = meta.name
end

-- What every new object gets.
local function begin(state, resource, object)
  local meta = object.metadata
  meta.uid, meta.creationTimestamp = state:new_uid(), state:stamp()
  meta.generation = resource.counts and 1 or nil
  meta.resourceVersion, meta.deletionTimestamp, meta.deletionGracePeriodSeconds, meta.selfLink = nil, nil, nil, nil
  if resource.subresources.status and not resource.is_custom then
    object.status = nil
  elseif resource.is_custom and resource.subresources.status then
    object.status = nil
  end
end

local function finish_new(state, request, object)
  local resource = request.resource
  fill.form(resource, object)
  fill.rest(state, resource, object)
  refusal.check(resource, object.metadata.name, validate(resource, object))
  if state:get(resource, object.metadata.namespace, object.metadata.name) then
    refusal.exists(resource, object.metadata.name)
  end
  admit(state, request, object)
  return request.dry and object or state:put(resource, object)
end

-- create(state, request, object) -> the object as it is stored
function write.create(state, request, object)
  accept(request, object, "create")
  name_it(state, request, object)
  check_namespace(state, request)
  object.metadata.managedFields = nil
  begin(state, request.resource, object)
  fill.form(request.resource, object)
  fields.updated(request.resource, nil, object, by_of(state, request))
  return finish_new(state, request, object)
end

-- --- changed -------------------------------------------------------------------------------------

-- What a change may not touch is as it was. request.writes: the subresource that is written.
local function keep_fixed(resource, request, old, object)
  local meta, before = object.metadata, old.metadata
  for _, name in ipairs { "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
    "name", "namespace", "selfLink", "generateName" } do
    meta[name] = before[name]
  end
  if request.writes == "status" then
    local status, managed = object.status, meta.managedFields
    local version = meta.resourceVersion
    for name in pairs(values.copy(object)) do
      object[name] = nil
    end
    for name, value in pairs(values.copy(old)) do
      object[name] = value
    end
    object.status, object.metadata.managedFields, object.metadata.resourceVersion = status, managed, version
  elseif resource.subresources.status and not request.is_controller then
    object.status = values.copy(old.status)
  end
end

local function check_same(request, old, object)
  local meta = object.metadata
  if meta.name and meta.name ~= old.metadata.name then
    refusal.bad_request("the name of the object (%s) does not match the name on the URL (%s)", meta.name,
      old.metadata.name)
  elseif meta.uid and meta.uid ~= old.metadata.uid then
    refusal.conflict(request.resource, old.metadata.name, ("Precondition failed: UID in precondition: %s, UID in " ..
      "object meta: %s"):format(meta.uid, old.metadata.uid))
  elseif values.is_given(meta.resourceVersion) and meta.resourceVersion ~= ""
    and meta.resourceVersion ~= old.metadata.resourceVersion then
    refusal.changed(request.resource, old.metadata.name)
  end
end

local function asks_the_same(old, object)
  for name, value in pairs(old) do
    if name ~= "metadata" and name ~= "status" and not values.same(value, object[name]) then
      return false
    end
  end
  for name in pairs(object) do
    if old[name] == nil and name ~= "status" then
      return false
    end
  end
  return true
end

local function is_no_change(old, object)
  local left, right = values.copy(old), values.copy(object)
  right.metadata.resourceVersion = left.metadata.resourceVersion
  for _, one in ipairs { left, right } do
    for _, entry in ipairs(table_of(one.metadata.managedFields)) do
      entry.time = nil
    end
  end
  return values.same(left, right)
end

-- The last finalizer was taken out of what is being deleted.
local function is_over(resource, object)
  local meta = object.metadata
  if not meta.deletionTimestamp or #table_of(meta.finalizers) > 0 then
    return false
  elseif resource.kind == "Namespace" then
    return #table_of(table_of(object.spec).finalizers) == 0
  end
  return resource.kind ~= "Pod"
end

-- Stores a changed object, once it is complete but for its managers.
local function store(state, request, old, object)
  local resource = request.resource
  fill.form(resource, object)
  fill.rest(state, resource, object)
  refusal.check(resource, old.metadata.name, request.is_controller and {} or validate(resource, object, old))
  object.metadata.resourceVersion = old.metadata.resourceVersion
  if #table_of(object.metadata.finalizers) == 0 then
    object.metadata.finalizers = nil
  end
  if is_no_change(old, object) then
    return old
  elseif resource.counts and not asks_the_same(old, object) then
    object.metadata.generation = (old.metadata.generation or 0) + 1
  end
  if request.dry then
    return object
  elseif is_over(resource, object) then
    state:put(resource, object)
    return state:remove(resource, object)
  end
  return state:put(resource, object)
end

-- update(state, request, old, object, verb) -> the object as it is stored
function write.update(state, request, old, object, verb)
  if not request.is_controller then
    accept(request, object, verb)
    check_same(request, old, object)
  end
  keep_fixed(request.resource, request, old, object)
  fill.form(request.resource, object)
  fields.updated(request.resource, old, object, by_of(state, request))
  return store(state, request, old, object)
end

-- --- applied -------------------------------------------------------------------------------------

local function check_applied(request, patch)
  local resource = request.resource
  if type(patch) ~= "table" then
    refusal.bad_request("error decoding YAML: the body of the request is no object")
  end
  check_kind(resource, patch)
  patch.metadata = table_of(patch.metadata)
  if values.is_given(patch.metadata.managedFields) then
    refusal.bad_request("metadata.managedFields must be nil")
  elseif not request.query.fieldManager or request.query.fieldManager == "" then
    refusal.check({ group = "", kind = "PatchOptions.meta.k8s.io" }, nil, { { "fieldManager", "FieldValueRequired",
      "Required value: is required for apply patch" } })
  end
  local found = types.look(resource, patch)
  if #found.unknown > 0 or found.wrong then
    local what = found.unknown[1] and (".%s: field not declared in schema"):format(found.unknown[1])
      or (".%s: expected %s, got %s"):format(found.wrong[2]:gsub("^[^.]*%.", ""), found.wrong[3], found.wrong[1])
    refusal.refuse(500, nil, ("failed to create typed patch object (%s/%s; %s/%s, Kind=%s): %s"):format(
      type(patch.metadata.namespace) == "string" and patch.metadata.namespace or "", request.name, resource.group,
      resource.version, resource.kind, what))
  end
end

-- apply(state, request, old | nil, patch) -> the object, whether it is new
function write.apply(state, request, old, patch)
  local merge = require("ctz.kubernetes.simulate.apply").merge
  check_applied(request, patch)
  if patch.metadata.name and patch.metadata.name ~= request.name then
    refusal.bad_request("the name of the object (%s) does not match the name on the URL (%s)", patch.metadata.name,
      request.name)
  end
  local by = by_of(state, request)
  if old then
    check_same(request, old, patch)
    local object = merge(request.resource, old, patch, by)
    keep_fixed(request.resource, request, old, object)
    return store(state, request, old, object), false
  elseif request.writes then
    refusal.not_found(request.resource, request.name)
  end
  patch.metadata.name = request.name
  name_it(state, request, patch)
  check_namespace(state, request)
  local object = merge(request.resource, nil, patch, by)
  begin(state, request.resource, object)
  return finish_new(state, request, object), true
end

-- --- deleted -------------------------------------------------------------------------------------

local function check_preconditions(request, object, options)
  local wanted, meta = table_of(options.preconditions), object.metadata
  if wanted.uid and wanted.uid ~= meta.uid then
    refusal.refuse(409, "Conflict", ('Operation cannot be fulfilled on %s "%s": the UID in the precondition (%s) ' ..
      "does not match the UID in record (%s). The object might have been deleted and then recreated"):format(
      request.resource.kind, meta.name, wanted.uid, meta.uid), { name = meta.name, kind = request.resource.kind })
  elseif wanted.resourceVersion and wanted.resourceVersion ~= meta.resourceVersion then
    refusal.conflict(request.resource, meta.name, ("Precondition failed: ResourceVersion in precondition: %s, " ..
      "ResourceVersion in object meta: %s"):format(wanted.resourceVersion, meta.resourceVersion))
  end
end

local FINALIZERS <const> = { Foreground = "foregroundDeletion", Orphan = "orphan" }

-- Seconds that a pod has to end; nil: it goes at once.
local function grace_of(object, options)
  local status = table_of(object.status)
  if not table_of(object.spec).nodeName or status.phase == "Succeeded" or status.phase == "Failed" then
    return nil
  end
  local seconds = options.gracePeriodSeconds or object.spec.terminationGracePeriodSeconds or 30
  return seconds > 0 and seconds or nil
end

local function mark(state, object, grace)
  local meta = object.metadata
  if not meta.deletionTimestamp then
    meta.deletionTimestamp = state:stamp(state.kernel.clock + (grace or 0))
    meta.deletionGracePeriodSeconds = grace or 0
    meta.generation = meta.generation and meta.generation + 1
  elseif grace and grace < (meta.deletionGracePeriodSeconds or 0) then
    meta.deletionTimestamp, meta.deletionGracePeriodSeconds = state:stamp(state.kernel.clock + grace), grace
  end
end

local function success(resource, object)
  return {
    apiVersion = "v1", kind = "Status", metadata = {}, status = "Success", details = {
      name = object.metadata.name, group = resource.group ~= "" and resource.group or nil, kind = resource.name,
      uid = object.metadata.uid,
    },
  }
end

-- delete(state, request, object, options) -> what is answered
function write.delete(state, request, object, options)
  local resource = request.resource
  options = table_of(options)
  check_preconditions(request, object, options)
  local next_form = values.copy(object)
  local meta = next_form.metadata
  local finalizer = FINALIZERS[options.propagationPolicy]
  if finalizer and not meta.deletionTimestamp then
    meta.finalizers = values.list(meta.finalizers)
    meta.finalizers[#meta.finalizers + 1] = finalizer
  end
  local grace = resource.kind == "Pod" and grace_of(object, options) or nil
  local waits = #table_of(meta.finalizers) > 0 or grace or resource.kind == "Namespace"
  if waits then
    mark(state, next_form, grace)
    if resource.kind == "Namespace" then
      meta.deletionGracePeriodSeconds = nil
      next_form.status.phase = "Terminating"
    end
  end
  if request.dry then
    return waits and next_form or success(resource, object)
  elseif not waits then
    state:remove(resource, object)
    return success(resource, object)
  elseif not values.same(object, next_form) then
    state:put(resource, next_form)
  end
  return next_form
end

-- Takes a finalizer out, of an object as it is now.
function write.finalize(state, resource, object, finalizer)
  local next_form = values.copy(object)
  local list = table_of(next_form.metadata.finalizers)
  for i = #list, 1, -1 do
    if list[i] == finalizer then
      remove(list, i)
    end
  end
  next_form.metadata.finalizers = #list > 0 and list or nil
  if is_over(resource, next_form) then
    return state:remove(resource, next_form)
  end
  return state:put(resource, next_form)
end

write.check_namespace = check_namespace

return write
