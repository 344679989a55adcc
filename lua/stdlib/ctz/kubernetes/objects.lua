-- kubernetes/objects.lua: one object of any kind: get, create, replace, patch, scale.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API conventions; k8s.io/apimachinery, pkg/types/patch.go.
local asking = require "ctz.kubernetes.asking"
local check = require("ctz.options").check
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local json = require "ctz.json"
local targets = require "ctz.kubernetes.targets"

local math_type, pairs, tostring, type = math.type, pairs, tostring, type
local call, with_target = asking.call, asking.with_target

local PATCHES <const> = {
  json = "application/json-patch+json", merge = "application/merge-patch+json",
  strategic = "application/strategic-merge-patch+json", apply = "application/apply-patch+yaml",
}

--- client:get(kind, name, opts?) -> table
--- An object as the server has it. The kind may be a short name, a plural, or one with its group
--- ("widgets.example.com"); "deployment/web" is kind and name in one, an object with kind and metadata
--- is read again.
--- @async
--- @param kind string|table
--- @param name? string
--- @param opts.namespace? string  default: the client's
--- @param opts.subresource? string  "status", "scale"
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error not_found  there is no such kind or object; the hint names the nearest
--- @error denied  this user may not
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:get("deployment", "web").spec.replicas
--- Api: Kubernetes, GET of a resource
local function get(client, ...)
  local op = "kubernetes.get"
  local target, opts = targets.read(client, op, { namespace = "string", subresource = "string", timeout = "seconds" },
    ...)
  return (call(client, "GET", target, with_target({ subresource = opts.subresource, timeout = opts.timeout }, op,
    target)))
end

-- --- changing ----------------------------------------------------------------------------------

-- The query of what changes something.
local function change_query(opts)
  return {
    dryRun = opts.dry_run and "All" or nil,
    fieldManager = opts.field_manager or "ctz",
    fieldValidation = opts.validate == false and "Ignore" or "Strict",
  }
end

local CHANGE <const> = {
  dry_run = "boolean", field_manager = "string", namespace = "string", subresource = "string", timeout = "seconds",
  validate = "boolean",
}

local CREATE <const> = { mark = "boolean" }
for name, rule in pairs(CHANGE) do
  CREATE[name] = rule
end

local function check_object(op, object)
  if type(object) ~= "table" or object[1] ~= nil then
    failure.usage(op, "bad argument 'object' to '%s': expected an object with apiVersion, kind and metadata, got %s",
      op, type(object) == "table" and "a list" or type(object))
  end
end

--- client:create(object, opts?) -> table
--- Makes an object, and returns it as the server has it. Fields that the kind does not have are refused.
--- @async
--- @param object table  with apiVersion, kind, metadata
--- @param opts.namespace? string  where the object names none; default: the client's
--- @param opts.dry_run? boolean  the server checks it, and makes nothing
--- @param opts.mark? boolean  it gets the labels of this run: ctz.run, ctz.recipe, ctz.host ...
--- @param opts.field_manager? string  default "ctz"
--- @param opts.validate? boolean  false: unknown fields are dropped
--- @param opts.subresource? string  "eviction", "token": of the object that metadata names
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error conflict  there is one of that name
--- @error usage  the server refuses a field; err.causes has {field, message} of each
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:create{apiVersion="v1", kind="Namespace", metadata={name="x"}}
--- Api: Kubernetes, POST to a collection
local function create(client, object, opts)
  local op = "kubernetes.create"
  opts = check(op, opts, CREATE)
  check_object(op, object)
  local target = targets.of_object(client, op, object, opts)
  object = opts.mark and require("ctz.kubernetes.marks").marked(object) or object
  local path = discovery.path(target.resource, target.namespace, opts.subresource and target.name, opts.subresource)
  return (client:call("POST", path, with_target({
    json = object, query = change_query(opts), timeout = opts.timeout, plan = "create " .. target.shown,
  }, op, target)))
end

--- client:replace(object, opts?) -> table
--- Writes a whole object. With the resourceVersion it was read with, it is refused when somebody changed it
--- meanwhile; without one it is written whatever is there.
--- @async
--- @param object table
--- @param opts? table  of client:create; subresource = "status" writes only the status
--- @return table
--- @error conflict  somebody changed it: get it again
--- @error not_found  there is none
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:replace(object)
--- Api: Kubernetes, PUT of a resource
local function replace(client, object, opts)
  local op = "kubernetes.replace"
  opts = check(op, opts, CHANGE)
  check_object(op, object)
  local target = targets.of_object(client, op, object, opts, true)
  return require("ctz.kubernetes.again").replace(object.metadata.resourceVersion, function()
    return (call(client, "PUT", target, with_target({
      json = object, query = change_query(opts), subresource = opts.subresource, timeout = opts.timeout,
      plan = "replace " .. target.shown,
    }, op, target)))
  end, function()
    return (call(client, "GET", target, with_target({ timeout = opts.timeout }, op, target)))
  end)
end

-- The patch stands behind the name: patch("deployment", "web", {...}, opts), patch("deployment/web", {...}).
local function patch_arguments(op, subject, ...)
  local name, patch, opts = ...
  if type(subject) == "table" or type(subject) == "string" and subject:find("/", 1, true) then
    patch, opts = name, patch
    name = nil
  end
  if type(patch) ~= "table" then
    failure.usage(op, "bad argument 'patch' to '%s': expected a table, got %s", op, type(patch))
  end
  return name, patch, opts
end

--- client:patch(kind, name, patch, opts?) -> table
--- Changes parts of an object. A list is a JSON patch; a table is a strategic merge patch, as kubectl
--- sends it, of custom resources type="merge" is needed. json.null takes a field out.
--- @async
--- @param kind string|table  or "kind/name"
--- @param name? string
--- @param patch table
--- @param opts.type? "json"|"merge"|"strategic"|"apply"
--- @param opts.subresource? string  "status", "scale"
--- @param opts.force? boolean  apply: take fields from other managers
--- @param opts.namespace? string
--- @param opts.dry_run? boolean
--- @param opts.field_manager? string  default "ctz"
--- @param opts.validate? boolean  false: unknown fields are dropped
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error unsupported  a strategic patch of a custom resource
--- @error conflict  a test of the JSON patch fails, or apply: others own the field
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:patch("deployment/web", {spec = {paused = true}})
--- Api: Kubernetes, PATCH of a resource
local function patch(client, subject, ...)
  local op = "kubernetes.patch"
  local name, body, given = patch_arguments(op, subject, ...)
  local rules = { type = "string", force = "boolean" }
  for option, rule in pairs(CHANGE) do
    rules[option] = rule
  end
  local target, opts
  if name then
    target, opts = targets.read(client, op, rules, subject, name, given)
  else
    target, opts = targets.read(client, op, rules, subject, given)
  end
  local content_type = asking.choice(op, "type", opts.type or json.is_array(body) and "json" or "strategic", PATCHES)
  local query = change_query(opts)
  if opts.force then
    query.force = "true"
  end
  return (call(client, "PATCH", target, with_target({
    json = body, content_type = content_type, query = query, subresource = opts.subresource, timeout = opts.timeout,
    plan = "patch " .. target.shown,
  }, op, target)))
end

--- client:scale(kind, name, replicas, opts?) -> table
--- Sets how many there are, of any kind that can be scaled; returns its Scale. It does not wait for them.
--- @async
--- @param kind string|table  or "kind/name"
--- @param name? string
--- @param replicas integer
--- @param opts.namespace? string
--- @param opts.dry_run? boolean
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error not_found  there is none, or its kind cannot be scaled
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:scale("deployment", "web", 3)
--- Api: Kubernetes, PATCH of the subresource scale
local function scale(client, subject, ...)
  local op = "kubernetes.scale"
  local name, replicas, given = ...
  if type(subject) == "table" or type(subject) == "string" and subject:find("/", 1, true) then
    name, replicas, given = nil, name, replicas
  end
  if math_type(replicas) ~= "integer" or replicas < 0 then
    failure.usage(op, "bad argument 'replicas' to '%s': expected an integer, 0 or more, got %s", op, tostring(replicas))
  end
  local rules = { namespace = "string", dry_run = "boolean", timeout = "seconds" }
  local target, opts
  if name then
    target, opts = targets.read(client, op, rules, subject, name, given)
  else
    target, opts = targets.read(client, op, rules, subject, given)
  end
  if not target.resource.subresources.scale then
    failure.fail("unsupported", op, ("a %s cannot be scaled"):format(target.resource.singular), {
      hint = "deployments, statefulsets, replicasets and what has the subresource scale", target = target.shown,
    })
  end
  return (call(client, "PATCH", target, with_target({
    json = { spec = { replicas = replicas } }, content_type = PATCHES.merge, subresource = "scale",
    query = { dryRun = opts.dry_run and "All" or nil, fieldManager = "ctz" }, timeout = opts.timeout,
    plan = ("scale %s to %d"):format(target.shown, replicas),
  }, op, target)))
end

return { get = get, create = create, replace = replace, patch = patch, scale = scale }
