-- kubernetes/deleting.lua: objects are deleted, one or many, and waited for.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API conventions, DeleteOptions.
local asking = require "ctz.kubernetes.asking"
local check = require("ctz.options").check
local failure = require "ctz.kubernetes.failure"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"

local error, pcall, type = error, pcall, type
local call, with_target = asking.call, asking.with_target

local PROPAGATION <const> = { background = "Background", foreground = "Foreground", orphan = "Orphan" }
local POLL_S <const>, SLOWEST_POLL_S <const> = 0.05, 1

local DELETE <const> = {
  absent_ok = "boolean", dry_run = "boolean", grace = "seconds", namespace = "string", propagation = "string",
  resource_version = "string", timeout = "seconds", uid = "string", wait = "boolean",
}

local function delete_options(op, opts)
  local precondition = (opts.uid or opts.resource_version)
    and { uid = opts.uid, resourceVersion = opts.resource_version } or nil
  return {
    apiVersion = "v1", kind = "DeleteOptions", propagationPolicy = asking.choice(op, "propagation", opts.propagation,
      PROPAGATION), gracePeriodSeconds = opts.grace and opts.grace // 1 | 0, preconditions = precondition,
    dryRun = opts.dry_run and { "All" } or nil,
  }
end

-- Waits until the object of this uid is gone; what keeps it is named when the time is over.
local function wait_until_gone(client, op, target, uid, seconds)
  local last
  local function is_gone()
    local value, status = client:call("GET", target:path(), with_target({ ok = { [404] = true } }, op, target))
    last = value
    return status == 404 or value.metadata.uid ~= uid
  end
  local function poll()
    local pause = POLL_S
    while not is_gone() do
      task.sleep(pause)
      pause = math.min(SLOWEST_POLL_S, pause * 1.5)
    end
  end
  local ok, err = pcall(function()
    return seconds and task.timeout(seconds, poll) or poll()
  end)
  if ok then
    return
  elseif type(err) ~= "table" or err.kind ~= "timeout" then
    error(err, 0)
  end
  local finalizers = last and last.metadata and last.metadata.finalizers
  local spec = last and type(last.spec) == "table" and type(last.spec.finalizers) == "table" and last.spec.finalizers
  local names = finalizers and table.concat(finalizers, ", ") or spec and table.concat(spec, ", ")
  failure.fail("timeout", op, ("%s is still there%s"):format(target.shown,
    names and "; its finalizers are: " .. names or ""), {
    target = target.shown, cause = err,
    hint = names and "who set a finalizer takes it out when it has cleaned up" or nil,
  })
end

--- client:delete(kind, name, opts?) -> boolean
--- Deletes an object. True when it was there; false when there was none and absent_ok is set. It returns
--- when the server has taken the request: with wait, when the object is gone.
--- @async
--- @param kind string|table  or "kind/name", or the object
--- @param name? string
--- @param opts.namespace? string
--- @param opts.propagation? "background"|"foreground"|"orphan"  what becomes of what it made
--- @param opts.grace? ctz.seconds  for pods to end; 0: at once
--- @param opts.wait? boolean  until it is gone
--- @param opts.timeout? ctz.seconds  with wait: until it is gone
--- @param opts.absent_ok? boolean  no error when there is none
--- @param opts.uid? string  only this very object
--- @param opts.resource_version? string  only in this state
--- @param opts.dry_run? boolean
--- @return boolean
--- @error not_found  there is none
--- @error timeout  it is still there; the message names its finalizers
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:delete("deployment/web", {wait = true})
--- Api: Kubernetes, DELETE of a resource
local function delete(client, ...)
  local op = "kubernetes.delete"
  local target, opts = targets.read(client, op, DELETE, ...)
  local answer, status = call(client, "DELETE", target, with_target({
    json = delete_options(op, opts), ok = opts.absent_ok and { [404] = true } or nil,
    timeout = not opts.wait and opts.timeout or nil, plan = "delete " .. target.shown,
  }, op, target))
  if status == 404 then
    return false
  end
  if opts.wait and not opts.dry_run and not client.dry_run then
    local uid = type(answer) == "table" and (answer.details and answer.details.uid
      or answer.metadata and answer.metadata.uid)
    wait_until_gone(client, op, target, uid, opts.timeout)
  end
  return true
end

local DELETE_ALL <const> = {
  all = "boolean", dry_run = "boolean", fields = "string|table", grace = "seconds", labels = "string|table",
  namespace = "string", propagation = "string", timeout = "seconds",
}

--- client:delete_all(kind, opts) -> integer
--- Deletes the objects of a kind in one namespace that the selectors choose, in one request; returns how
--- many they were.
--- @async
--- @param kind string
--- @param opts.labels? string|table
--- @param opts.fields? string|table
--- @param opts.all? boolean  true: without a selector all of them
--- @param opts.namespace? string
--- @param opts.propagation? "background"|"foreground"|"orphan"
--- @param opts.grace? ctz.seconds
--- @param opts.dry_run? boolean
--- @param opts.timeout? ctz.seconds
--- @return integer
--- @error usage  neither a selector nor all=true
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:delete_all("pods", {labels = {app = "web"}})
--- Api: Kubernetes, DELETE of a collection
local function delete_all(client, kind, opts)
  local op = "kubernetes.delete_all"
  opts = check(op, opts, DELETE_ALL)
  if not opts.labels and not opts.fields and not opts.all then
    failure.usage(op, "'%s' needs labels, fields, or all=true", op)
  end
  local target = targets.collection(client, op, kind, opts)
  local answer = client:call("DELETE", target:path(), with_target({
    json = delete_options(op, opts), timeout = opts.timeout,
    query = {
      labelSelector = targets.selector_text(op, "labels", opts.labels),
      fieldSelector = targets.selector_text(op, "fields", opts.fields),
    },
    plan = ("delete all %s%s"):format(target.resource.name, opts.all and "" or " that the selectors choose"),
  }, op, target))
  return type(answer) == "table" and type(answer.items) == "table" and #answer.items or 0
end

return { delete = delete, delete_all = delete_all }
