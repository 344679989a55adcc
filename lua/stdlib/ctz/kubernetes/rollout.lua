-- kubernetes/rollout.lua: the rollout of a workload: its progress, its history, back and again.
-- SPDX-License-Identifier: MIT
-- Source: kubectl, pkg/polymorphichelpers (rollout_status.go, history.go, rollback.go, objectrestarter.go).
local new_error = require("ctz.core.task").error
local status = require "ctz.kubernetes.status"
local stuck = require "ctz.kubernetes.stuck"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"
local why = require "ctz.kubernetes.why"

local check = require("ctz.options").check
local error, ipairs, pairs, pcall = error, ipairs, pairs, pcall
local setmetatable, tonumber, type = setmetatable, tonumber, type
local sort = table.sort

local OP <const> = "kubernetes.rollout"
local DEFAULT_S <const> = 600
local LOOK_S <const> = 1 -- between two looks at pods that do not get ready
local REVISION <const> = "deployment.kubernetes.io/revision"
local CAUSE <const> = "kubernetes.io/change-cause"
local RESTARTED <const> = "kubectl.kubernetes.io/restartedAt"
local HASH <const> = "pod-template-hash"

local KINDS <const> = { Deployment = true, StatefulSet = true, DaemonSet = true }

local function fail(kind, text, ...)
  error(new_error { kind = kind, op = OP, message = text:format(...) }, 0)
end

local function get(self)
  return self.client:call("GET", self.path, { op = OP, target = self.shown })
end

local function patch(self, body)
  return self.client:call("PATCH", self.path, {
    op = OP, target = self.shown, json = body, content_type = "application/strategic-merge-patch+json",
    plan = self.plan and self.plan .. " " .. self.shown,
  })
end

-- --- revisions ---------------------------------------------------------------------------------

local function owned_by(object, uid)
  for _, owner in ipairs(object.metadata.ownerReferences or {}) do
    if owner.uid == uid and owner.controller then
      return true
    end
  end
  return false
end

local function by_revision(left, right)
  return left.revision < right.revision
end

-- A Deployment keeps its old forms as ReplicaSets, the others as ControllerRevisions.
local function revisions_of(self, workload)
  local is_deployment = workload.kind == "Deployment"
  local kind = is_deployment and "replicasets.apps" or "controllerrevisions.apps"
  local list = self.client:list(kind, { namespace = workload.metadata.namespace })
  local found = {}
  for _, one in ipairs(list.items) do
    if owned_by(one, workload.metadata.uid) then
      local notes = one.metadata.annotations or {}
      found[#found + 1] = {
        revision = is_deployment and tonumber(notes[REVISION]) or one.revision,
        cause = notes[CAUSE],
        template = is_deployment and one.spec.template or one.data.spec.template,
        created = one.metadata.creationTimestamp,
        name = one.metadata.name,
        hash = one.metadata.labels and one.metadata.labels[HASH],
      }
    end
  end
  sort(found, by_revision)
  return found
end

-- --- progress ----------------------------------------------------------------------------------

-- Only pods of the newest form are looked at: the old ones may fail as they like.
local function newest_pods(self, workload)
  local revisions = workload.kind == "Deployment" and revisions_of(self, workload) or {}
  local newest = revisions[#revisions]
  return why.pods(self.client, workload, newest and newest.hash and function(pod)
    return pod.metadata.labels[HASH] == newest.hash
  end or nil)
end

local function failure(self, workload, pods, reasons, text)
  local events = why.events(self.client, workload, pods)
  local told = why.text(reasons, events)
  local err = new_error {
    kind = "conflict", op = OP, target = self.shown,
    message = ("%s does not get ready: %s%s"):format(self.shown, text, told ~= "" and "\n  " .. told or ""),
    hint = "client:rollout(target):undo() goes back to the form before",
  }
  err.reasons, err.events = reasons, events
  error(err, 0)
end

-- Ends when it is ready, or when what keeps it from that has stayed for a while.
local function follow(self, opts)
  local last, stuck_on = nil, stuck.watch()
  while true do
    local workload = get(self)
    local state, text = status.of(workload)
    if state == "ready" then
      return workload
    elseif text ~= last then
      last, self.last = text, text
      if opts.on_progress then
        opts.on_progress { text = text, object = workload }
      end
    end
    local pods = newest_pods(self, workload)
    local reasons = why.of(self.client, workload, pods)
    local reason = stuck_on(workload, reasons)
    if state == "failed" then
      failure(self, workload, pods, reasons, text)
    elseif reason then
      failure(self, workload, pods, reasons, reason.reason)
    end
    task.sleep(LOOK_S)
  end
end

-- --- the object --------------------------------------------------------------------------------

local Rollout = { __name = "ctz.kubernetes.rollout" }
Rollout.__index = Rollout

--- rollout:status(opts?) -> table
--- Waits until all replicas of the newest form are there and returns the workload. It ends early when
--- what it waits for will not come: an image that cannot be pulled, a container that crashes again and
--- again, a pod that fits on no node, a quota, the deadline of the rollout. The error has the reasons,
--- the last warnings and the last lines of the log: err.reasons, err.events.
--- @async
--- @param opts.timeout? ctz.seconds  default 600
--- @param opts.on_progress? fun(step: table)  {text=, object=} when it changes
--- @return table
--- @error conflict  it does not get ready
--- @error timeout  it did not in time
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Rollout:status(opts)
  opts = check("kubernetes.rollout.status", opts, { on_progress = "function", timeout = "seconds" })
  local seconds = opts.timeout or DEFAULT_S
  local ok, result = pcall(task.timeout, seconds, follow, self, opts)
  if ok then
    return result
  elseif type(result) == "table" and result.kind == "timeout" then
    result.op, result.target = OP, self.shown
    result.message = ("%s is not ready after %g s: %s"):format(self.shown, seconds,
      self.last or "nothing was heard of it")
  end
  error(result, 0)
end

--- rollout:history() -> table
--- The forms that can be gone back to, oldest first: {revision=, cause=, created=, template=}; the last
--- one is what runs.
--- @async
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Rollout:history()
  return revisions_of(self, get(self))
end

local function revision_of(self, wanted)
  local revisions = self:history()
  if not wanted then
    if #revisions < 2 then
      fail("not_found", "%s has no form before this one", self.shown)
    end
    return revisions[#revisions - 1]
  end
  for _, one in ipairs(revisions) do
    if one.revision == wanted then
      return one
    end
  end
  fail("not_found", "%s has no revision %d", self.shown, wanted)
end

local function without_hash(template)
  local copy = {}
  for key, value in pairs(template) do
    copy[key] = value
  end
  copy.metadata = {}
  for key, value in pairs(template.metadata or {}) do
    copy.metadata[key] = value
  end
  local labels = {}
  for key, value in pairs(copy.metadata.labels or {}) do
    labels[key] = key ~= HASH and value or nil
  end
  copy.metadata.labels, copy.metadata.creationTimestamp = labels, nil
  return copy
end

--- rollout:undo(opts?) -> table
--- Goes back to the form before, or to a revision of the history, and returns the workload.
--- @async
--- @param opts.to? integer  revision
--- @error not_found  there is no such revision
--- @error conflict  it is paused
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Rollout:undo(opts)
  opts = check("kubernetes.rollout.undo", opts, { to = "count" })
  local workload = get(self)
  if workload.spec.paused then
    fail("conflict", "%s is paused; rollout:resume() first", self.shown)
  end
  local template = without_hash(revision_of(self, opts.to).template)
  return self.client:call("PATCH", self.path, {
    op = OP, target = self.shown, content_type = "application/json-patch+json",
    json = { { op = "replace", path = "/spec/template", value = template } },
    plan = "undo the rollout of " .. self.shown,
  })
end

--- rollout:restart() -> table
--- Makes all pods anew, as the strategy of the workload has it.
--- @async
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Rollout:restart()
  self.plan = "restart the pods of"
  return patch(self, { spec = { template = { metadata = { annotations = {
    [RESTARTED] = require("ctz.time").format(require("ctz.time").now()),
  } } } } })
end

local function pause(self, paused)
  if self.kind ~= "Deployment" then
    fail("unsupported", "%s: only a deployment can be paused", self.shown)
  end
  self.plan = paused and "pause the rollout of" or "resume the rollout of"
  return patch(self, { spec = { paused = paused } })
end

--- rollout:pause() -> table
--- Changes of a Deployment wait until resume.
--- @async
--- @error unsupported  it is no Deployment
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Rollout:pause()
  return pause(self, true)
end

--- rollout:resume() -> table
--- @async
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Rollout:resume()
  return pause(self, false)
end

local rollout = {}

--- client:rollout(target, opts?) -> ctz.kubernetes.rollout
--- The rollout of a Deployment, StatefulSet or DaemonSet: status() waits for it, history(), undo(),
--- restart(), pause(), resume().
--- @async
--- @param target string|table  "deployment/web", or an object
--- @param opts.namespace? string
--- @error usage  this kind has no rollout
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: kubectl rollout
function rollout.rollout(client, ...)
  local target = targets.read(client, OP, { namespace = "string" }, ...)
  local kind = target.resource.kind
  if target.resource.group ~= "apps" or not KINDS[kind] then
    fail("usage", "%s has no rollout; a deployment, a statefulset or a daemonset has one", target.shown)
  end
  return setmetatable({
    client = client, kind = kind, path = target:path(), shown = target.shown,
  }, Rollout)
end

return rollout
