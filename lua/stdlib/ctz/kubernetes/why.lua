-- kubernetes/why.lua: why the pods of a workload do not get ready: what they, their conditions and events say.
-- SPDX-License-Identifier: MIT
-- Source: kubelet, pkg/kubelet/images/types.go and container/sync_result.go (reasons of a waiting container).
local json = require "ctz.json"
local sorted_keys = require("ctz.problems").sorted_keys

local ipairs, pcall, type = ipairs, pcall, type
local concat, sort = table.concat, table.sort

local OP <const> = "kubernetes.rollout"
local EVENTS <const> = 5 -- the last warnings that are told
local LINES <const>, LOG_BYTES <const> = 10, 4096 -- of the log of a container that failed

-- Reasons of a waiting container that time does not mend.
local HOPELESS <const> = {
  CrashLoopBackOff = true, CreateContainerConfigError = true, CreateContainerError = true, ErrImageNeverPull = true,
  ErrImagePull = true, ImageInspectError = true, ImagePullBackOff = true, InvalidImageName = true,
  RunContainerError = true,
}

local function list_of(value)
  return type(value) == "table" and value ~= json.null and value or {}
end

-- --- pods --------------------------------------------------------------------------------------

local function log_of(client, pod, container, previous)
  local path = ("/api/v1/namespaces/%s/pods/%s/log"):format(pod.metadata.namespace, pod.metadata.name)
  local ok, text = pcall(client.call, client, "GET", path, {
    op = OP, raw = true,
    query = { container = container, tailLines = LINES, limitBytes = LOG_BYTES, previous = previous or nil },
  })
  return ok and type(text) == "string" and text ~= "" and text or nil
end

local function of_container(client, pod, container)
  local state, last = list_of(container.state), list_of(container.lastState)
  local waiting, ended = state.waiting, state.terminated or last.terminated
  if waiting and HOPELESS[waiting.reason] then
    local crashed = waiting.reason == "CrashLoopBackOff" and ended
    return {
      reason = waiting.reason, pod = pod.metadata.name, container = container.name, hopeless = true,
      message = crashed and ("it ended with %d, %d times"):format(ended.exitCode, container.restartCount)
        or waiting.message,
      log = crashed and log_of(client, pod, container.name, true) or nil,
    }
  elseif state.terminated and ended.exitCode ~= 0 then
    local again = container.restartCount > 0 -- newer kubelets show the last end while they wait
    return {
      reason = ended.reason or "Error", pod = pod.metadata.name, container = container.name, hopeless = again,
      message = ("it ended with %d%s"):format(ended.exitCode,
        again and (", %d times"):format(container.restartCount + 1) or ""),
      log = log_of(client, pod, container.name),
    }
  end
end

local function add_of_pod(client, pod, found)
  local now = list_of(pod.status)
  for _, condition in ipairs(list_of(now.conditions)) do
    if condition.type == "PodScheduled" and condition.status == "False" then
      found[#found + 1] = {
        reason = condition.reason, message = condition.message, pod = pod.metadata.name,
        hopeless = condition.reason == "Unschedulable",
      }
    end
  end
  for _, name in ipairs { "initContainerStatuses", "containerStatuses" } do
    for _, container in ipairs(list_of(now[name])) do
      found[#found + 1] = of_container(client, pod, container)
    end
  end
end

-- --- selectors ---------------------------------------------------------------------------------

local SIGNS <const> = { In = "in", NotIn = "notin" }

-- {matchLabels=, matchExpressions=} of the API -> the text of a selector
local function selector_text(selector)
  local parts = {}
  local labels = list_of(selector.matchLabels)
  for _, name in ipairs(sorted_keys(labels)) do
    parts[#parts + 1] = name .. "=" .. labels[name]
  end
  for _, rule in ipairs(list_of(selector.matchExpressions)) do
    if SIGNS[rule.operator] then
      parts[#parts + 1] = ("%s %s (%s)"):format(rule.key, SIGNS[rule.operator], concat(rule.values, ","))
    else
      parts[#parts + 1] = rule.operator == "Exists" and rule.key or "!" .. rule.key
    end
  end
  return concat(parts, ",")
end

-- --- events ------------------------------------------------------------------------------------

local function time_of(event)
  local times = { list_of(event.series).lastObservedTime, event.lastTimestamp, event.eventTime }
  for i = 1, 3 do
    if type(times[i]) == "string" then -- null is none
      return times[i]
    end
  end
  return event.metadata.creationTimestamp
end

-- The last warnings about these objects (uid -> true), oldest first.
local function warnings(client, namespace, uids)
  local ok, list = pcall(client.call, client, "GET", ("/api/v1/namespaces/%s/events"):format(namespace), {
    op = OP, query = { fieldSelector = "type=Warning", limit = 500 },
  })
  local found = {}
  for _, event in ipairs(ok and list.items or {}) do
    if uids[event.involvedObject.uid] then
      found[#found + 1] = event
    end
  end
  sort(found, function(left, right)
    return time_of(left) < time_of(right)
  end)
  local texts = {}
  for i = #found > EVENTS and #found - EVENTS + 1 or 1, #found do
    local about = found[i].involvedObject
    texts[#texts + 1] = ("%s/%s: %s: %s"):format(about.kind:lower(), about.name, found[i].reason, found[i].message)
  end
  return texts
end

local why = {}

-- why.pods(client, workload, is_ours?) -> pods that its selector chooses; is_ours(pod) leaves out others.
function why.pods(client, workload, is_ours)
  local pods = {}
  local list = client:list("pods", {
    namespace = workload.metadata.namespace,
    labels = selector_text(workload.spec.selector),
  })
  for _, pod in ipairs(list.items) do
    if not is_ours or is_ours(pod) then
      pods[#pods + 1] = pod
    end
  end
  return pods
end

-- why.of(client, workload, pods) -> list of {reason=, message=, pod=, container=, log=, hopeless=}: what
-- keeps the workload from being ready. hopeless: it will not mend by itself.
function why.of(client, workload, pods)
  local found = {}
  for _, condition in ipairs(list_of(list_of(workload.status).conditions)) do
    if condition.type == "ReplicaFailure" and condition.status == "True" then
      found[#found + 1] = { reason = condition.reason, message = condition.message, hopeless = true }
    elseif condition.reason == "ProgressDeadlineExceeded" then
      found[#found + 1] = { reason = condition.reason, message = condition.message, hopeless = true }
    end
  end
  for _, pod in ipairs(pods) do
    add_of_pod(client, pod, found)
  end
  return found
end

-- why.events(client, workload, pods) -> texts of the last warnings about them
function why.events(client, workload, pods)
  local uids = { [workload.metadata.uid] = true }
  for _, pod in ipairs(pods) do
    uids[pod.metadata.uid] = true
    for _, owner in ipairs(list_of(pod.metadata.ownerReferences)) do
      uids[owner.uid] = true
    end
  end
  return warnings(client, workload.metadata.namespace, uids)
end

-- why.text(reasons, events) -> lines for an error
function why.text(reasons, events)
  local lines, seen = {}, {}
  for _, one in ipairs(reasons) do
    local about = (one.container and "container " .. one.container .. ": " or "") .. one.reason
    local line = about .. (one.message and ": " .. one.message or "")
    if not seen[line] then
      seen[line] = true
      lines[#lines + 1] = (one.pod and "pod " .. one.pod .. ", " or "") .. line
      for text in (one.log or ""):gmatch "[^\n]+" do
        lines[#lines + 1] = "    | " .. text
      end
    end
  end
  for _, text in ipairs(events) do
    lines[#lines + 1] = "event: " .. text
  end
  return concat(lines, "\n  ")
end

return why
