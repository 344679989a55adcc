-- kubernetes/mission.lua: the four calls of a deployment script, each on what does the work.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local failure = require "ctz.kubernetes.failure"

local require, tostring, type = require, tostring, type

local mission = {}

local CREATE <const> = {
  dry_run = "boolean", field_manager = "string", mark = "boolean", namespace = "string", timeout = "seconds",
  validate = "boolean",
}

-- The manifest itself, or what the builder of its kind makes of a description.
local function manifest_of(op, given, kind)
  if type(given) == "table" and given.kind == nil and given.apiVersion == nil then
    return require("ctz.kubernetes")[kind:lower()](given)
  elseif type(given) ~= "table" or given.kind ~= kind then
    failure.usage(op, "bad argument 'description' to '%s': expected a %s or its description, got %s", op, kind,
      type(given) == "table" and tostring(given.kind) or type(given))
  end
  return given
end

local function create(client, op, given, kind, opts)
  opts = check(op, opts, CREATE)
  return client:create(manifest_of(op, given, kind), opts)
end

--- client:create_deployment(description, opts?) -> table
--- Makes a Deployment of what ctz.kubernetes.deployment takes, or of a manifest, and returns it as the
--- server has it. client:rollout waits for it; client:apply changes one that is there.
--- @async
--- @param description table
--- @param opts? table  of client:create
--- @return table
--- @error usage  the description is wrong; all problems are told
--- @error conflict  there is one of that name
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:create_deployment{name="web", image="nginx:1.27", ports={80}}
--- Api: apps/v1, POST of a Deployment
function mission.create_deployment(client, description, opts)
  return create(client, "kubernetes.create_deployment", description, "Deployment", opts)
end

--- client:create_service(description, opts?) -> table
--- Makes a Service of what ctz.kubernetes.service takes, or of a manifest.
--- @async
--- @param description table
--- @param opts? table  of client:create
--- @return table
--- @error usage  the description is wrong; all problems are told
--- @error conflict  there is one of that name
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:create_service{name="web", ports={{port=80, target=8080}}}
--- Api: v1, POST of a Service
function mission.create_service(client, description, opts)
  return create(client, "kubernetes.create_service", description, "Service", opts)
end

--- client:scale_deployment(name, replicas, opts?) -> table
--- Sets how many replicas a Deployment has, and returns it; with wait=true when they are available, or
--- gone.
--- @async
--- @param name string
--- @param replicas integer
--- @param opts.namespace? string
--- @param opts.wait? boolean
--- @param opts.timeout? ctz.seconds  with wait: until they are there, default 600
--- @param opts.dry_run? boolean
--- @return table
--- @error not_found  there is none
--- @error conflict  its pods do not get ready; the message says why
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:scale_deployment("web", 3, {wait=true})
--- Api: apps/v1, PATCH of the subresource scale
function mission.scale_deployment(client, name, replicas, opts)
  local op <const> = "kubernetes.scale_deployment"
  opts = check(op, opts, { dry_run = "boolean", namespace = "string", timeout = "seconds", wait = "boolean" })
  client:scale("deployment", name, replicas, { namespace = opts.namespace, dry_run = opts.dry_run })
  if opts.wait and not opts.dry_run and not client.dry_run then
    return client:rollout("deployment", name, { namespace = opts.namespace }):status { timeout = opts.timeout }
  end
  return client:get("deployment", name, { namespace = opts.namespace })
end

--- client:apply_manifest(manifest, opts?) -> table[]
--- Applies a manifest: its path, its text or the object. It is client:apply under the name that deployment
--- scripts know.
--- @async
--- @param manifest any  of client:apply
--- @param opts? table  of client:apply
--- @return table[]
--- @error usage  it is no manifest, or the server refuses a field
--- @error conflict  fields belong to others
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:apply_manifest "deploy/web.yaml"
--- Api: Kubernetes, PATCH with application/apply-patch+yaml
function mission.apply_manifest(client, manifest, opts)
  return client:apply(manifest, opts)
end

return mission
