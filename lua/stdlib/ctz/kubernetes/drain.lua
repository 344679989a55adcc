-- kubernetes/drain.lua: which pods of a node have to go, and how they are made to.
-- SPDX-License-Identifier: MIT
-- Source: kubectl, pkg/drain (filters.go, drain.go); Kubernetes API v1, pods/eviction.
local channel = require "ctz.core.channel".channel
local new_error = require("ctz.core.task").error
local pods_of = require "ctz.kubernetes.pods"
local task = require "ctz.core.task"
local time = require "ctz.time"

local error, ipairs, next, pairs, pcall, type = error, ipairs, next, pairs, pcall, type
local concat, sort = table.concat, table.sort
local is_given = pods_of.is_given

local OP <const> = "kubernetes.drain"
local MIRROR <const> = "kubernetes.io/config.mirror"
local AWAY_S <const> = 30 -- so long an API server may be away

local drain = {}

-- --- which pods --------------------------------------------------------------------------------

-- {words, the option that takes them nevertheless}, in the order in which they are told.
local PROBLEMS <const> = {
  { "daemonset", "managed by a DaemonSet", "ignore_daemonsets" },
  { "storage", "with local storage, which is lost", "delete_emptydir_data" },
  { "unmanaged", "that nothing makes anew", "force" },
}

local function controller_of(pod)
  for _, owner in ipairs(is_given(pod.metadata.ownerReferences) and pod.metadata.ownerReferences or {}) do
    if owner.controller == true then
      return owner
    end
  end
end

local function has_local_storage(pod)
  for _, volume in ipairs(is_given(pod.spec.volumes) and pod.spec.volumes or {}) do
    if is_given(volume.emptyDir) then
      return true
    end
  end
  return false
end

-- Is there such a DaemonSet? An orphan of one is a pod like others.
local function has_daemon_set(self, namespace, name)
  local key = namespace .. "/" .. name
  if self.daemon_sets[key] == nil then
    local path = ("/apis/apps/v1/namespaces/%s/daemonsets/%s"):format(pods_of.escape(namespace), pods_of.escape(name))
    local _, status = self.client:call("GET", path, { op = OP, target = "daemonset " .. name, ok = { [404] = true } })
    self.daemon_sets[key] = status ~= 404
  end
  return self.daemon_sets[key]
end

-- judge(self, pod) -> "take" | "skip", why | "problem", which
local function judge(self, pod)
  local opts, phase = self.opts, pod.status.phase
  local notes = is_given(pod.metadata.annotations) and pod.metadata.annotations or {}
  local owner = controller_of(pod)
  if notes[MIRROR] then
    return "skip", "mirror"
  elseif phase == "Succeeded" or phase == "Failed" then
    return "take"
  elseif owner and owner.kind == "DaemonSet" and has_daemon_set(self, pod.metadata.namespace, owner.name) then
    return opts.ignore_daemonsets and "skip" or "problem", "daemonset"
  elseif has_local_storage(pod) and not opts.delete_emptydir_data then
    return "problem", "storage"
  elseif (not owner or owner.kind == "DaemonSet") and not opts.force then
    return "problem", "unmanaged"
  end
  return "take"
end

local function name_of(pod)
  return pod.metadata.namespace .. "/" .. pod.metadata.name
end

local function by_name(left, right)
  return name_of(left) < name_of(right)
end

local function raise_problems(node, problems)
  local lines, hints, list = {}, {}, {}
  for _, problem in ipairs(PROBLEMS) do
    local names = problems[problem[1]]
    if names then
      lines[#lines + 1] = ("\n  pods %s: %s"):format(problem[2], concat(names, ", "))
      hints[#hints + 1] = problem[3] .. "=true"
      list[#list + 1] = { reason = problem[1], option = problem[3], pods = names }
    end
  end
  local err = new_error {
    kind = "conflict", op = OP, target = "node " .. node,
    message = ("node %s is not drained, nothing was evicted:%s"):format(node, concat(lines)),
    hint = ("%s; the node stays cordoned: client:uncordon"):format(concat(hints, ", ")),
  }
  err.problems = list
  error(err, 0)
end

-- Parts the pods; raises when there are some that may not be taken.
local function choose(self, pods)
  local take, skipped, problems = {}, {}, {}
  sort(pods, by_name)
  for _, pod in ipairs(pods) do
    local verdict, why = judge(self, pod)
    if verdict == "take" then
      take[#take + 1] = pod
    elseif verdict == "skip" then
      skipped[#skipped + 1] = {
        namespace = pod.metadata.namespace, name = pod.metadata.name, node = self.node, reason = why,
      }
    else
      problems[why] = problems[why] or {}
      problems[why][#problems[why] + 1] = name_of(pod)
    end
  end
  if next(problems) then
    raise_problems(self.node, problems)
  end
  return take, skipped
end

-- --- what is there now ---------------------------------------------------------------------------

-- Wakes who waits for a change.
local function ring(self)
  local bell = self.bell
  self.bell = channel()
  bell:close()
end

local function note(self, event)
  if event.type == "deleted" then
    self.present[event.object.metadata.uid] = nil
  elseif event.type ~= "sync" then
    self.present[event.object.metadata.uid] = event.object
  end
  ring(self)
end

-- Starts to watch the node's pods; returns those that are there.
local function look(self)
  local watch = self.client:watch("pods", {
    all_namespaces = true, fields = "spec.nodeName=" .. self.node, labels = self.opts.pod_selector,
  })
  local pods = {}
  for event in watch do
    if event.type == "sync" then
      break
    end
    note(self, event)
    pods[#pods + 1] = event.object
  end
  return pods, watch
end

-- Waits for so long, or until the pod is gone; is it?
local function is_gone(self, uid, seconds)
  local until_at = seconds and time.monotonic() + seconds
  while self.present[uid] do
    local left = until_at and until_at - time.monotonic()
    if left and left <= 0 then
      return false
    end
    local ok, err = pcall(self.bell.receive, self.bell, { timeout = left })
    if not ok and (type(err) ~= "table" or err.kind ~= "timeout" or not left) then
      error(err, 0)
    elseif not ok and time.monotonic() < until_at then
      error(err, 0) -- the deadline of a scope around
    end
  end
  return true
end

-- --- evictions ---------------------------------------------------------------------------------

local function tell(self, pod, event, facts)
  if self.opts.on_progress then
    local step = { event = event, node = self.node, namespace = pod.metadata.namespace, pod = pod.metadata.name }
    for name, value in pairs(facts or {}) do
      step[name] = value
    end
    step.text = step.text or ("%s %s"):format(event, name_of(pod))
    self.opts.on_progress(step)
  end
end

-- The numbers of the budgets that the refusal names.
local function budgets_of(self, pod, err)
  local budgets, words = {}, {}
  for _, cause in ipairs(err.causes or {}) do
    local name = cause.reason == "DisruptionBudget" and cause.message:match "^The disruption budget (%S+) "
    if name then
      local found, budget = pcall(self.client.get, self.client, "poddisruptionbudgets.policy", name, {
        namespace = pod.metadata.namespace,
      })
      local now = found and is_given(budget.status) and budget.status or {}
      budgets[#budgets + 1] = {
        name = name, allowed = now.disruptionsAllowed, current = now.currentHealthy, desired = now.desiredHealthy,
        expected = now.expectedPods,
      }
      words[#words + 1] = found and ("the budget %s needs %d healthy pods of %d and has %d"):format(name,
        now.desiredHealthy or 0, now.expectedPods or 0, now.currentHealthy or 0) or cause.message
    end
  end
  return budgets, #words > 0 and concat(words, "; ") or err.message
end

local function blocked(self, pod, err)
  local uid = pod.metadata.uid
  local budgets, text = budgets_of(self, pod, err)
  local before = self.blocked[uid]
  self.blocked[uid] = { text = text, budgets = budgets }
  if not before or before.text ~= text then
    tell(self, pod, "blocked", { budgets = budgets, text = ("%s waits: %s"):format(name_of(pod), text) })
  end
end

local function ask(self, pod)
  local meta, opts = pod.metadata, self.opts
  local delete_options = {
    apiVersion = "v1", kind = "DeleteOptions",
    gracePeriodSeconds = opts.grace_period and opts.grace_period // 1 | 0,
    preconditions = { uid = meta.uid },
  }
  local request = {
    op = OP, target = "pod " .. name_of(pod), retry = false, json = delete_options,
    query = { dryRun = opts.dry_run and "All" or nil },
    plan = ("evict pod %s of node %s"):format(name_of(pod), self.node),
  }
  if opts.disable_eviction then
    return self.client:call("DELETE", pods_of.path(meta.namespace, meta.name), request)
  end
  request.json = {
    apiVersion = "policy/v1", kind = "Eviction", metadata = { name = meta.name, namespace = meta.namespace },
    deleteOptions = delete_options,
  }
  return self.client:call("POST", pods_of.path(meta.namespace, meta.name, "/eviction"), request)
end

local function is_terminating(err)
  for _, cause in ipairs(err.causes or {}) do
    if cause.reason == "NamespaceTerminating" then
      return true
    end
  end
  return false
end

-- May it be asked again after that refusal? Several budgets for one pod are an error that stays.
local function may_ask_again(self, pod, err, since)
  if type(err) ~= "table" then
    return false
  elseif err.status == 429 then
    blocked(self, pod, err)
    return true
  elseif is_terminating(err) then
    return true
  end
  local is_away = err.kind == "unreachable" or err.kind == "timeout" and err.status or err.kind == "io" and err.status
  return is_away and not err.message:find("PodDisruptionBudget", 1, true) and time.monotonic() - since < AWAY_S
end

-- Asks until the server has taken it, or the pod is gone.
local function evict(self, pod)
  local uid, since = pod.metadata.uid, time.monotonic()
  while self.present[uid] do
    local ok, err = pcall(ask, self, pod)
    if ok then
      self.blocked[uid] = nil
      return
    elseif type(err) == "table" and (err.status == 404 or err.status == 409) then
      return -- it is gone; another may have its name
    elseif not may_ask_again(self, pod, err, since) then
      error(err, 0)
    end
    since = err.status == 429 and time.monotonic() or since
    if is_terminating(err) and is_given(pod.metadata.deletionTimestamp) or is_gone(self, uid, self.opts.retry) then
      return
    end
  end
end

local function remove(self, pod)
  tell(self, pod, "evicting")
  evict(self, pod)
  if not self.dry then
    is_gone(self, pod.metadata.uid)
    tell(self, pod, "evicted")
  end
  self.evicted[#self.evicted + 1] = {
    namespace = pod.metadata.namespace, name = pod.metadata.name, uid = pod.metadata.uid, node = self.node,
  }
end

local function reason_of(self, pod)
  local is_blocked = self.blocked[pod.metadata.uid]
  if is_blocked then
    return is_blocked.text
  elseif not is_given(pod.metadata.deletionTimestamp) then
    return "it was not evicted yet"
  end
  local finalizers = is_given(pod.metadata.finalizers) and concat(pod.metadata.finalizers, ", ") or ""
  return ("it is ending, since %s%s"):format(pod.metadata.deletionTimestamp,
    finalizers ~= "" and "; its finalizers are: " .. finalizers or "")
end

-- What the deadline raised, in words about the pods that are left.
local function too_late(self, pods, err)
  local lines, left = {}, {}
  for _, pod in ipairs(pods) do
    local now = self.present[pod.metadata.uid]
    if now then
      local reason, is_blocked = reason_of(self, now), self.blocked[pod.metadata.uid]
      lines[#lines + 1] = ("\n  %s: %s"):format(name_of(pod), reason)
      left[#left + 1] = {
        namespace = pod.metadata.namespace, name = pod.metadata.name, reason = reason,
        budgets = is_blocked and is_blocked.budgets or nil,
      }
    end
  end
  local made = new_error {
    kind = "timeout", op = OP, target = "node " .. self.node, cause = err,
    message = ("node %s is not drained after %g s, %d pods are left:%s"):format(self.node, self.opts.timeout, #left,
      concat(lines)),
    hint = "the node stays cordoned: client:uncordon, or drain it again",
  }
  made.left = left
  error(made, 0)
end

local function remove_all(self, pods, watch)
  task.scope(function()
    task.spawn(function()
      for event in watch do
        note(self, event)
      end
    end, { background = true })
    for _, pod in ipairs(pods) do
      task.spawn(function()
        remove(self, pod)
      end)
    end
  end)
end

--- drain.node(client, node, opts) -> evicted, skipped
-- opts: as of client:drain, and retry: seconds between two tries of what a budget refuses.
function drain.node(client, node, opts)
  local self = {
    client = client, node = node, opts = opts, dry = opts.dry_run or client.dry_run, daemon_sets = {}, present = {},
    blocked = {}, evicted = {}, bell = channel(),
  }
  local pods, watch = look(self)
  local closing <close> = watch -- luacheck: ignore 211
  local take, skipped = choose(self, pods)
  for _, one in ipairs(skipped) do
    tell(self, { metadata = one }, "skipped", {
      reason = one.reason, text = ("%s/%s stays: %s"):format(one.namespace, one.name, one.reason),
    })
  end
  if not opts.timeout then
    remove_all(self, take, watch)
    return self.evicted, skipped
  end
  local ok, err = pcall(task.timeout, opts.timeout, remove_all, self, take, watch)
  if not ok and type(err) == "table" and err.kind == "timeout" and err.op ~= OP then
    too_late(self, take, err)
  elseif not ok then
    error(err, 0)
  end
  return self.evicted, skipped
end

return drain
