-- kubernetes/simulate/logs.lua: what the containers of pods have written.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API v1, pods/log; pkg/registry/core/pod/strategy.go (LogLocation), pkg/kubelet.
local kubelet = require "ctz.kubernetes.simulate.kubelet"
local refusal = require "ctz.kubernetes.simulate.refusal"
local time = require "ctz.time"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, math, tonumber = ipairs, math, tonumber
local concat, sub = table.concat, string.sub

local PIECE_BYTES <const> = 65536

local table_of = values.table_of

local function names_of(pod)
  local names = {}
  for _, field in ipairs { "containers", "initContainers" } do
    for _, one in ipairs(table_of(pod.spec[field])) do
      names[#names + 1] = one.name
    end
  end
  return names
end

local function container_name(pod, wanted)
  local names = names_of(pod)
  if not wanted or wanted == "" then
    if #pod.spec.containers > 1 then
      refusal.bad_request("a container name must be specified for pod %s, choose one of: [%s]", pod.metadata.name,
        concat(names, " "))
    end
    return pod.spec.containers[1].name
  end
  return values.find(names, function(name) return name == wanted end)
    or refusal.bad_request("container %s is not valid for pod %s", wanted, pod.metadata.name)
end

-- The container whose log is asked for.
local function source(state, pod, query)
  local name = container_name(pod, query.container)
  local one = kubelet.record(state, pod, name)
  if query.previous == "true" then
    local before = one and not one.done and one.previous
    return before or refusal.bad_request("previous terminated container %q in pod %q not found", name,
      pod.metadata.name)
  end
  local found = one and (one.current or one.previous)
  if not found then
    local waiting = one and one.waiting
    refusal.bad_request("container %q in pod %q is waiting to start: %s", name, pod.metadata.name,
      not pod.spec.nodeName and "ContainerCreating" or not waiting and "ContainerCreating"
      or waiting.reason == "ErrImagePull" and "image can't be pulled"
      or waiting.reason == "ImagePullBackOff" and "trying and failing to pull image" or waiting.message)
  end
  return found
end

local function since_of(state, query)
  if query.sinceTime then
    return time.parse(query.sinceTime)
  end
  local seconds = tonumber(query.sinceSeconds or "")
  return seconds and state.kernel.clock - seconds
end

local function reader(state, container, query)
  local kernel, since = state.kernel, since_of(state, query)
  local tail, left = tonumber(query.tailLines or ""), tonumber(query.limitBytes or "")
  local follows, stamps = query.follow == "true", query.timestamps == "true"
  local at = tail and math.max(1, #container.log - tail + 1) or 1
  local function next_bytes()
    local parts, size = {}, 0
    while container.log[at] and size < PIECE_BYTES do
      local entry = container.log[at]
      at = at + 1
      if not since or entry.time >= since then
        parts[#parts + 1] = stamps and time.format(entry.time, { digits = 9 }) .. " " .. entry.text or entry.text
        size = size + #parts[#parts]
      end
    end
    return #parts > 0 and concat(parts) or nil
  end
  return {
    next = function()
      local bytes
      if left and left <= 0 then
        return nil
      end
      kernel:wait(function()
        state:check()
        bytes = next_bytes()
        return bytes or not follows or container.removed or not container.state.running
      end)
      if bytes and left then
        bytes = sub(bytes, 1, left)
        left = left - #bytes
      end
      return bytes
    end,
  }
end

-- logs(state, pod, query) -> what a handler answers
return function(state, pod, query)
  local container = source(state, pod, query)
  return 200, nil, { stream = reader(state, container, query) }
end
