-- kubernetes/apply.lua: server-side apply of manifests: in order, some at once, conflicts told.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, server-side apply; kubectl, pkg/cmd/apply; client-go, util/csaupgrade.
local check = require("ctz.options").check
local ctz_map = require("ctz").map
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local is_secret = require("ctz.options").is_secret
local json = require "ctz.json"
local manifests = require "ctz.kubernetes.manifests"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"
local time = require "ctz.time"

local error, getmetatable, ipairs, next, pairs, pcall = error, getmetatable, ipairs, next, pairs, pcall
local setmetatable, type = setmetatable, type
local concat = table.concat

local OP <const> = "kubernetes.apply"
local JOBS <const> = 8
local DEFINED_S <const> = 30 -- for a new definition of custom resources
local CLIENT_SIDE <const> = "kubectl-client-side-apply"
local OPTIONS <const> = {
  dry_run = "boolean", field_manager = "string", force = "boolean", namespace = "string", timeout = "seconds",
}

-- A copy in which secrets are plain, for the body of a request.
local function plain(value)
  if type(value) == "userdata" then
    return value ~= json.null and is_secret(value) and value:reveal() or value
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  for key, one in next, value do
    copy[key] = plain(one)
  end
  return setmetatable(copy, getmetatable(value))
end

-- What is sent: managedFields are the server's.
local function body_of(object)
  local copy = plain(object)
  if copy.metadata.managedFields ~= nil then
    copy.metadata.managedFields = nil
  end
  return json.encode(setmetatable(copy, nil))
end

-- --- conflicts ---------------------------------------------------------------------------------

-- manager -> its fields, from the causes of a conflict; nil when it is another one.
local function managers_of(err)
  local found
  for _, cause in ipairs(type(err) == "table" and err.status == 409 and err.causes or {}) do
    if cause.reason == "FieldManagerConflict" then
      local manager = cause.message:match '^conflict with "([^"]*)"' or cause.message
      found = found or {}
      found[manager] = found[manager] or {}
      found[manager][#found[manager] + 1] = cause.field
    end
  end
  return found
end

local function tell_conflict(err, target, managers)
  local parts = {}
  for _, manager in ipairs(require("ctz.problems").sorted_keys(managers)) do
    parts[#parts + 1] = ("%s (%s)"):format(manager, concat(managers[manager], ", "))
  end
  failure.fail("conflict", OP, ("%s: fields belong to %s"):format(target.shown, concat(parts, "; ")), {
    hint = "force=true takes them over; or leave these fields out of the manifest",
    target = target.shown, status = 409, reason = err.reason, causes = err.causes,
  })
end

-- --- what kubectl applied before ---------------------------------------------------------------

local function merge_fields(into, from)
  for key, value in pairs(from) do
    if type(into[key]) == "table" and type(value) == "table" then
      merge_fields(into[key], value)
    else
      into[key] = value
    end
  end
end

local function is_client_side(entry)
  return entry.manager == CLIENT_SIDE and entry.operation == "Update" and not entry.subresource
end

-- managedFields in which what client-side apply owned is ours; nil when it owns nothing.
local function migrated(fields, manager)
  local rest, own, old = json.array {}, nil, nil
  for _, entry in ipairs(fields or {}) do
    if is_client_side(entry) then
      old = entry
    else
      rest[#rest + 1] = entry
      if entry.manager == manager and entry.operation == "Apply" and not entry.subresource then
        own = entry
      end
    end
  end
  if not old then
    return nil
  elseif own then
    merge_fields(own.fieldsV1, old.fieldsV1)
  else
    old.manager, old.operation = manager, "Apply"
    rest[#rest + 1] = old
  end
  return rest
end

-- Makes what kubectl apply (client-side) owns of the object ours; true when there was something.
local function migrate(client, target, object, opts)
  local fields = migrated(object.metadata.managedFields, opts.field_manager)
  if not fields then
    return false
  end
  client:call("PATCH", target:path(), {
    op = OP, target = target.shown, timeout = opts.timeout, content_type = "application/json-patch+json",
    json = json.array {
      { op = "replace", path = "/metadata/managedFields", value = fields },
      { op = "replace", path = "/metadata/resourceVersion", value = object.metadata.resourceVersion },
    },
    query = { fieldManager = opts.field_manager },
  })
  return true
end

-- --- one object --------------------------------------------------------------------------------

local function send(client, target, body, opts)
  return client:call("PATCH", target:path(), {
    op = OP, target = target.shown, body = body, content_type = "application/apply-patch+yaml",
    timeout = opts.timeout, plan = "apply " .. target.shown,
    query = {
      fieldManager = opts.field_manager, force = opts.force and "true" or nil,
      dryRun = opts.dry_run and "All" or nil, fieldValidation = "Strict",
    },
  })
end

local function is_dry(opts)
  return opts.dry_run or require("ctz.kubernetes.client").dry_run
end

local function apply_one(client, entry, opts)
  local target = targets.of_object(client, OP, entry.object, opts, true)
  local body = body_of(entry.object)
  local done, object, status = pcall(send, client, target, body, opts)
  if not done then
    local managers = managers_of(object)
    if managers and managers[CLIENT_SIDE] and next(managers, next(managers)) == nil and not is_dry(opts) then
      local now = client:call("GET", target:path(), { op = OP, target = target.shown, timeout = opts.timeout })
      if migrate(client, target, now, opts) then
        object, status = send(client, target, body, opts)
        return object, status
      end
    elseif managers then
      tell_conflict(object, target, managers)
    end
    error(object, 0)
  end
  if not is_dry(opts) and type(object) == "table" and migrate(client, target, object, opts) then
    object = send(client, target, body, opts)
  end
  return object, status
end

-- The same, with the place of the manifest in what it raises.
local function apply_entry(client, entry, opts)
  local done, object, status = pcall(apply_one, client, entry, opts)
  if not done then
    if type(object) == "table" and object.kind and object.kind ~= "cancelled" then
      object.message = ("%s: %s"):format(entry.place, object.message)
    end
    error(object, 0)
  end
  return { object = object, created = status == 201 }
end

-- --- definitions of custom resources -----------------------------------------------------------

local function is_established(object)
  local conditions = object.status and object.status.conditions
  for _, condition in ipairs(type(conditions) == "table" and conditions or {}) do -- null at first
    if condition.type == "Established" and condition.status == "True" then
      return true
    end
  end
  return false
end

local function is_known(client, definition)
  for _, resource in ipairs(discovery.known(client, OP, true).resources) do
    if resource.group == definition.spec.group and resource.kind == definition.spec.names.kind then
      return true
    end
  end
  return false
end

-- Until the server takes objects of that kind.
local function await_definition(client, definition)
  local until_s, target = time.monotonic() + DEFINED_S, targets.of_object(client, OP, definition, {}, true)
  local object, pause_s = definition, 0.05
  while not (is_established(object) and is_known(client, definition)) do
    if time.monotonic() > until_s then
      failure.fail("timeout", OP, ("%s is not established after %d s"):format(target.shown, DEFINED_S),
        { target = target.shown })
    end
    task.sleep(pause_s)
    pause_s = pause_s < 0.5 and pause_s * 2 or 0.5
    object = client:call("GET", target:path(), { op = OP, target = target.shown })
  end
end

-- --- all of them -------------------------------------------------------------------------------

-- Entries in groups of one rank: those of a group are applied at once.
local function groups_of(list)
  local groups, rank = {}, nil
  for _, entry in ipairs(manifests.sort(list)) do
    local own = manifests.rank(entry.object.kind)
    if own ~= rank then
      groups[#groups + 1], rank = {}, own
    end
    local group = groups[#groups]
    group[#group + 1] = entry
  end
  return groups
end

--- client:apply(manifests, opts?) -> table[]
--- Server-side apply: makes what is missing and changes what differs, and returns the objects as the
--- server has them; the list's field `created` says how many are new. Objects are applied in Helm's order
--- of kinds, those of one kind eight at once; definitions of custom resources are waited for. What
--- `kubectl apply` owned before is taken over. It ends at the first failure.
--- @async
--- @param manifests any  an object, YAML or JSON text, a file, a folder, an http(s) URL, or a list of these
--- @param opts.field_manager? string  who owns the fields, default "ctz"
--- @param opts.force? boolean  take fields that others own
--- @param opts.dry_run? boolean  the server checks it and keeps nothing
--- @param opts.namespace? string  of objects that name none; default: the client's
--- @param opts.timeout? ctz.seconds  of each answer
--- @return table[]
--- @error conflict  fields belong to others; the message names them
--- @error usage  a manifest is none, or the server refuses a field; the message has the place
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:apply("manifests/", {force=true})
--- Api: Kubernetes, PATCH with application/apply-patch+yaml
local function apply(client, input, opts)
  local given, settings = check(OP, opts, OPTIONS), {}
  for name, value in pairs(given) do
    settings[name] = value
  end
  settings.field_manager = settings.field_manager or "ctz"
  local results = { created = 0 }
  for _, group in ipairs(groups_of(manifests.read(input, OP))) do
    local applied = ctz_map(group, function(entry)
      return apply_entry(client, entry, settings)
    end, { jobs = JOBS })
    for i, one in ipairs(applied) do
      results[#results + 1] = one.object
      results.created = results.created + (one.created and 1 or 0)
      if group[i].object.kind == "CustomResourceDefinition" and not is_dry(settings) then
        await_definition(client, one.object)
      end
    end
  end
  return results
end

return { apply = apply, body_of = body_of }
