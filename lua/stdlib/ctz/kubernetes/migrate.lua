-- kubernetes/migrate.lua: objects that `kubectl apply` made from the client's side, for server-side apply.
-- SPDX-License-Identifier: MIT
-- Source: client-go, util/csaupgrade/upgrade.go; kubectl, pkg/cmd/apply/apply.go.
--
-- Such an object has the annotation last-applied-configuration, and its fields belong to an entry of
-- managedFields that updates. As long as that stands, a field that is no longer applied would stay for
-- ever: so what that entry owns becomes the applier's, and the object is applied once more.
local json = require "ctz.json"

local error, ipairs, next, pairs, pcall, type = error, ipairs, next, pairs, pcall, type

local CLIENT_SIDE <const> = "kubectl-client-side-apply"
local LAST_APPLIED <const> = "kubectl.kubernetes.io/last-applied-configuration"
local KUBECTL <const> = "kubectl" -- for this one manager the server keeps the annotation up to date
local KEEPER <const> = "kubectl-last-applied"
local TRIES <const> = 5

local function owns_last_applied(entry)
  local at = entry.fieldsV1
  for _, key in ipairs { "f:metadata", "f:annotations", "f:" .. LAST_APPLIED } do
    at = type(at) == "table" and at[key]
  end
  return at and true or false
end

local function is_client_side(entry)
  return entry.operation == "Update" and not entry.subresource
    and (entry.manager == CLIENT_SIDE or owns_last_applied(entry))
end

local function fields_of(object)
  local fields = object.metadata.managedFields
  return type(fields) == "table" and fields or {}
end

local migrate = {}

-- migrate.managers(object) -> set of the managers that applied it from the client's side, nil when none did
function migrate.managers(object)
  local found
  for _, entry in ipairs(fields_of(object)) do
    if is_client_side(entry) then
      found = found or {}
      found[entry.manager] = true
    end
  end
  return found
end

local function merge_fields(into, from)
  for key, value in pairs(from) do
    if type(into[key]) == "table" and type(value) == "table" then
      merge_fields(into[key], value)
    else
      into[key] = value
    end
  end
end

-- migrate.fields(object, manager) -> managedFields in which the manager owns what client-side apply owned;
-- nil when it owns nothing. Entries of another version of the API go, as kubectl has it: their paths may be none.
function migrate.fields(object, manager)
  local rest, own, old = json.array {}, nil, {}
  for _, entry in ipairs(fields_of(object)) do
    if is_client_side(entry) then
      old[#old + 1] = entry
    else
      rest[#rest + 1] = entry
      if entry.manager == manager and entry.operation == "Apply" and not entry.subresource then
        own = entry
      end
    end
  end
  if #old == 0 then
    return nil
  elseif not own then
    own = old[1]
    own.manager, own.operation = manager, "Apply"
    rest[#rest + 1] = own
  end
  for _, entry in ipairs(old) do
    if entry ~= own and entry.apiVersion == own.apiVersion then
      merge_fields(own.fieldsV1, entry.fieldsV1)
    end
  end
  return rest
end

local function has_applied_annotation(object)
  for _, entry in ipairs(fields_of(object)) do
    if entry.operation == "Apply" and owns_last_applied(entry) then
      return true
    end
  end
  return false
end

-- The annotation gets an owner of its own, so that it stays when the rest becomes kubectl's.
local function keep_annotation(client, target, object, request)
  local meta = object.metadata
  local text = type(meta.annotations) == "table" and meta.annotations[LAST_APPLIED]
  if request.manager ~= KUBECTL or not text or has_applied_annotation(object) then
    return object
  end
  return client:call("PATCH", target:path(), {
    op = request.op, target = target.shown, timeout = request.timeout, content_type = "application/apply-patch+yaml",
    query = { fieldManager = KEEPER },
    json = {
      apiVersion = object.apiVersion, kind = object.kind,
      metadata = { name = meta.name, namespace = meta.namespace, annotations = { [LAST_APPLIED] = text } },
    },
  })
end

local function write(client, target, object, request)
  object = keep_annotation(client, target, object, request)
  return client:call("PATCH", target:path(), {
    op = request.op, target = target.shown, timeout = request.timeout, content_type = "application/json-patch+json",
    json = json.array {
      { op = "replace", path = "/metadata/managedFields", value = migrate.fields(object, request.manager) },
      { op = "replace", path = "/metadata/resourceVersion", value = object.metadata.resourceVersion },
    },
    query = { fieldManager = request.manager },
  })
end

-- migrate.object(client, target, object, request) -> boolean: was there something to make ours? Then it is
-- to be applied again. request: op, manager, timeout.
function migrate.object(client, target, object, request)
  if not migrate.managers(object) then
    return false
  end
  for try = 1, TRIES do
    local done, err = pcall(write, client, target, object, request)
    if done then
      return true
    elseif type(err) ~= "table" or err.status ~= 409 or try == TRIES then
      error(err, 0)
    end
    object = client:call("GET", target:path(), { op = request.op, target = target.shown, timeout = request.timeout })
    if not migrate.managers(object) then -- somebody else did it
      return true
    end
  end
end

-- migrate.covers(client, target, managers, request) -> the live object, when all these managers (a table by
-- name) are such that applied it from the client's side
function migrate.covers(client, target, managers, request)
  local object, status = client:call("GET", target:path(), {
    op = request.op, target = target.shown, timeout = request.timeout, ok = { [404] = true },
  })
  local old = status ~= 404 and migrate.managers(object) or {}
  for name in next, managers do
    if not old[name] then
      return nil
    end
  end
  return object
end

return migrate
