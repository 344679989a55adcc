-- kubernetes/orchestrate.lua: one call for a deployment: applied, waited for, told as a record.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local failure = require "ctz.kubernetes.failure"
local manifests = require "ctz.kubernetes.manifests"
local nearest = require("ctz.problems").nearest
local records = require "ctz.kubernetes.record"
local status = require "ctz.kubernetes.status"
local stuck = require "ctz.kubernetes.stuck"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"
local why = require "ctz.kubernetes.why"

local concat = table.concat
local error, ipairs, next, pairs, pcall, require = error, ipairs, next, pairs, pcall, require
local setmetatable, type = setmetatable, type

local OP <const> = "kubernetes.orchestrate"
local DEFAULT_S <const> = 600
local LOOK_S <const> = 1
local WORKLOADS <const> = { DaemonSet = "apps", Deployment = "apps", Job = "batch", StatefulSet = "apps" }

-- --- options -----------------------------------------------------------------------------------

local RULES <const> = {
  client = "table", context = "string", deployment_name = "string", field_manager = "string", force = "boolean",
  kubeconfig = "string|list", manifest_path = "string|table", mark = "boolean", namespace = "string",
  on_progress = "function", replicas = "count", timeout = "seconds", wait = "boolean",
}

-- Of ctz.kubernetes.deployment, when there is no manifest.
local DESCRIPTION <const> = {
  "annotations", "args", "command", "config_maps", "environment", "image", "image_pull_policy", "image_pull_secrets",
  "labels", "node_selector", "ports", "probes", "resources", "secrets", "service_account", "strategy", "volumes",
}

local function rules()
  local all = {}
  for _, name in ipairs(DESCRIPTION) do
    all[name] = "any"
  end
  for name, rule in pairs(RULES) do
    all[name] = rule
  end
  return all
end

local function description_of(opts)
  local description
  for _, name in ipairs(DESCRIPTION) do
    if opts[name] ~= nil then
      description = description or { name = opts.deployment_name, namespace = opts.namespace, replicas = opts.replicas }
      description[name] = opts[name]
    end
  end
  if description and opts.manifest_path then
    failure.usage(OP, "'%s' takes a manifest or the fields of one (%s), not both", OP, next(description))
  elseif not description and not opts.manifest_path and not opts.deployment_name then
    failure.usage(OP, "'%s' needs manifest_path, or deployment_name", OP)
  end
  return description
end

-- --- which workload ----------------------------------------------------------------------------

local function is_workload(object)
  return WORKLOADS[object.kind] == object.apiVersion:match "^(.-)/"
end

-- The one of the manifest that is meant.
local function workload_of(list, name)
  local found, names = nil, {}
  for _, entry in ipairs(list) do
    local object = entry.object
    if is_workload(object) then
      names[#names + 1] = object.metadata.name
      found = (name == nil or object.metadata.name == name) and object or found
    end
  end
  if name == nil and #names > 1 then
    failure.usage(OP, "the manifest has several workloads: %s; deployment_name says which", concat(names, ", "))
  elseif not found then
    local near = name and nearest(name, names)
    failure.fail("not_found", OP, name and ("the manifest has no workload %q"):format(name)
      or "the manifest has no Deployment, StatefulSet, DaemonSet or Job", {
        hint = near and ("did you mean %q?"):format(near) or #names > 0 and "it has " .. concat(names, ", ") or nil,
      })
  end
  return found
end

local function with_replicas(object, replicas)
  if object.kind ~= "Deployment" and object.kind ~= "StatefulSet" then
    failure.usage(OP, "a %s has no replicas", object.kind)
  end
  local copy, spec = {}, {}
  for key, value in pairs(object) do
    copy[key] = value
  end
  for key, value in pairs(object.spec) do
    spec[key] = value
  end
  copy.spec, spec.replicas = spec, replicas
  return copy
end

-- What is applied, and the workload in it.
local function input_of(opts, description)
  if description then
    local object = require("ctz.kubernetes").deployment(description)
    return object, object
  end
  local list = manifests.read(opts.manifest_path, OP)
  local workload = workload_of(list, opts.deployment_name)
  if opts.replicas == nil then
    return opts.manifest_path, workload
  end
  local objects = {}
  for i, entry in ipairs(list) do
    objects[i] = entry.object == workload and with_replicas(workload, opts.replicas) or entry.object
  end
  return objects, workload
end

local function applied(client, opts, description)
  local input, workload = input_of(opts, description)
  local results = client:apply(input, {
    namespace = opts.namespace, field_manager = opts.field_manager, force = opts.force, mark = opts.mark,
  })
  for _, object in ipairs(results) do
    if object.kind == workload.kind and object.metadata.name == workload.metadata.name then
      return object
    end
  end
end

-- One that is there already.
local function existing(client, opts)
  local name, namespace = opts.deployment_name, opts.namespace or client.namespace
  for _, kind in ipairs { "deployment", "statefulset", "daemonset", "job" } do
    local ok, object = pcall(client.get, client, kind, name, { namespace = namespace })
    if ok then
      if opts.replicas then
        client:scale(object, opts.replicas)
      end
      return object
    elseif type(object) ~= "table" or object.kind ~= "not_found" then
      error(object, 0)
    end
  end
  failure.fail("not_found", OP, ("there is no workload %q in namespace %s"):format(name, namespace), {
    hint = "manifest_path or image say what to make",
  })
end

-- --- waiting -----------------------------------------------------------------------------------

local function job_failed(client, shown, job, pods, reasons, text)
  local events = why.events(client, job, pods)
  local told = why.text(reasons, events)
  local ok, err = pcall(failure.fail, "conflict", OP, ("%s fails: %s%s"):format(shown, text,
    told ~= "" and "\n  " .. told or ""), { target = shown })
  err.reasons, err.events = reasons, events
  return not ok and error(err, 0)
end

-- A Job is ready when it is complete; what it waits for in vain ends it, too.
local function follow_job(self, place, on_progress)
  local last, stuck_on = nil, stuck.watch()
  while true do
    local job = self.client:call("GET", place:path(), { op = OP, target = place.shown })
    local state, text = status.of(job)
    if state == "ready" then
      return
    elseif text ~= last and on_progress then
      on_progress { text = text, object = job }
    end
    last, self.last = text, text
    local pods = why.pods(self.client, job)
    local reasons = why.of(self.client, job, pods)
    local reason = stuck_on(job, reasons)
    if state == "failed" then
      job_failed(self.client, place.shown, job, pods, reasons, text)
    elseif reason then
      job_failed(self.client, place.shown, job, pods, reasons, reason.reason)
    end
    task.sleep(LOOK_S)
  end
end

local function await_job(self, place, opts)
  local seconds = opts.timeout or DEFAULT_S
  local ok, err = pcall(task.timeout, seconds, follow_job, self, place, opts.on_progress)
  if not ok then
    if type(err) == "table" and err.kind == "timeout" then
      err.op, err.target = OP, place.shown
      err.message = ("%s is not complete after %g s: %s"):format(place.shown, seconds,
        self.last or "nothing was heard of it")
    end
    error(err, 0)
  end
end

local function await(self, object, opts)
  if object.kind == "Job" then
    return await_job(self, targets.of_object(self.client, OP, object, {}, true), opts)
  end
  self.client:rollout(object):status { timeout = opts.timeout, on_progress = opts.on_progress }
end

-- --- the record --------------------------------------------------------------------------------

-- Its one method, so that its fields are data only.
local function new_record(client, object)
  local place = targets.of_object(client, OP, object, {}, true)
  local methods = {}
  local record = setmetatable({}, { __name = "ctz.kubernetes.Orchestration", __index = methods })

  --- record:refresh() -> table
  --- Reads the workload, its pods and its services again, and returns the record.
  --- @async
  --- @return table
  --- @error not_found  it was deleted
  --- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
  --- @example assert(err:is "not_found")
  function methods.refresh(self)
    return records.fill(self, client, (client:call("GET", place:path(), { op = OP, target = place.shown })))
  end

  return record
end

-- What it is like after a failure; what fails then does not hide that.
local function add_record(err, record)
  local ok = pcall(record.refresh, record)
  if err.kind ~= "timeout" then
    record.status = "failed"
  end
  record.reason = err.message
  err.result = (ok or record.name) and record or nil
end

local orchestrate = {}

--- ctz.kubernetes.orchestrate(opts) -> table
--- Applies a manifest (or makes a Deployment of the fields of ctz.kubernetes.deployment), waits until its
--- workload is there, and returns the record of it: {name, namespace, kind, replicas, ready_replicas, image,
--- images, ports, environment, resources, status, reason, pods, services, created_at, last_updated}. status is
--- "pending", "running", "failed" or, of a Job, "succeeded"; reason says why it is not ready. pods are
--- {name, status, ready, restarts, node, ip, exit_code, created_at}, services those that lead to the pods.
--- Times are seconds since 1970. record:refresh() reads all of it again. Without a manifest and an image
--- the workload is one that is there. What does not get ready raises; the error has the record as
--- err.result, with the status "failed".
--- @async
--- @param opts.deployment_name? string  of the Deployment, StatefulSet, DaemonSet or Job; of a manifest with one
---   workload it may be left out
--- @param opts.manifest_path? any  a file, folder, URL, text or object, as of client:apply
--- @param opts.namespace? string
--- @param opts.replicas? integer  instead of those of the manifest
--- @param opts.image? string  and the other fields of ctz.kubernetes.deployment, instead of a manifest
--- @param opts.wait? boolean  false: return when it is applied
--- @param opts.timeout? ctz.seconds  until it is ready, default 600
--- @param opts.on_progress? fun(step: table)  {text=, object=}
--- @param opts.client? ctz.kubernetes.Client  default: a new one, of kubeconfig and context
--- @param opts.field_manager? string  also force and mark, of client:apply
--- @return table
--- @error conflict  it does not get ready: the message has the reason, err.result the record
--- @error timeout  it did not in time
--- @error not_found  there is no such workload
--- @error usage  options or the manifest are wrong
--- @example local _, err = ctz.try(ctz.kubernetes.orchestrate, {manifest_path="web.yaml", replica=3})
--- @example assert(err.kind == "usage" and err.message:find "replicas")
--- Api: Kubernetes, server-side apply; kubectl rollout status
function orchestrate.orchestrate(opts)
  opts = check(OP, opts, rules())
  local description = description_of(opts)
  local client = opts.client or require("ctz.kubernetes").connect {
    kubeconfig = opts.kubeconfig, context = opts.context, namespace = opts.namespace,
  }
  local makes = description or opts.manifest_path
  local object = makes and applied(client, opts, description) or existing(client, opts)
  local record = new_record(client, object)
  if client.dry_run then
    return records.fill(record, client, object)
  elseif opts.wait ~= false then
    local ok, err = pcall(await, { client = client }, object, opts)
    if not ok then
      if type(err) == "table" and err.kind ~= "cancelled" then
        add_record(err, record)
      end
      error(err, 0)
    end
  end
  return record:refresh()
end

--- client:status(target, opts?) -> table
--- How a Deployment, StatefulSet, DaemonSet or Job is now: the record of ctz.kubernetes.orchestrate.
--- @async
--- @param target string|table  "deployment/web", or an object
--- @param opts.namespace? string
--- @return table
--- @error not_found  there is none
--- @error usage  it is none of these kinds
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:status("deployment/web").reason
--- Api: Kubernetes, GET of the workload, its pods and the services
function orchestrate.status(client, ...)
  local op <const> = "kubernetes.status"
  local target = targets.read(client, op, { namespace = "string" }, ...)
  if WORKLOADS[target.resource.kind] ~= target.resource.group then
    failure.usage(op, "%s is no workload: a deployment, statefulset, daemonset or job", target.shown)
  end
  local object = client:call("GET", target:path(), { op = op, target = target.shown })
  return records.fill(new_record(client, object), client, object)
end

return orchestrate
