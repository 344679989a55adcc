-- kubernetes/ready.lua: waits until applied objects are ready, and says why one will not be.
-- SPDX-License-Identifier: MIT
-- Source: helm, pkg/kube (what --wait looks at); kubectl, pkg/polymorphichelpers/rollout_status.go.
local check = require("ctz.options").check
local ctz_map = require("ctz").map
local new_error = require("ctz.core.task").error
local status = require "ctz.kubernetes.status"
local stuck = require "ctz.kubernetes.stuck"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"
local time = require "ctz.time"
local why = require "ctz.kubernetes.why"

local error, ipairs, pcall, require, type = error, ipairs, pcall, require, type
local concat, max = table.concat, math.max

local OP <const> = "kubernetes.apply"
local DEFAULT_S <const> = 300
local LOOK_S <const>, SLOWEST_LOOK_S <const> = 0.1, 1
local JOBS <const> = 16
local OPTIONS <const> = { jobs = "boolean", on_progress = "function", timeout = "seconds" }

-- What ends early by itself, with the reason.
local ROLLOUTS <const> = { ["Deployment"] = true, ["StatefulSet"] = true, ["DaemonSet"] = true }

local function shown(object)
  return object.kind:lower() .. " " .. object.metadata.name
end

local function group_of(object)
  return object.apiVersion:match "^(.*)/" or ""
end

local function is_rollout(object)
  return group_of(object) == "apps" and ROLLOUTS[object.kind]
end

-- Paused or suspended is what was asked for: nothing more comes.
local function is_held(object, opts)
  local spec = type(object.spec) == "table" and object.spec or {}
  if object.kind == "Job" and group_of(object) == "batch" then
    return spec.suspend == true or opts.jobs == false
  end
  return object.kind == "Deployment" and is_rollout(object) and spec.paused == true
end

-- --- pods, jobs and the rest -------------------------------------------------------------------

local function pods_of(client, object)
  if object.kind == "Pod" then
    return { object }
  elseif object.kind == "Job" or object.kind == "ReplicaSet" then
    return why.pods(client, object)
  end
end

local function fail(client, object, text, pods, reasons)
  local events = why.events(client, object, pods or {})
  local told = why.text(reasons, events)
  local err = new_error {
    kind = "conflict", op = OP, target = shown(object),
    message = ("%s does not get ready: %s%s"):format(shown(object), text, told ~= "" and "\n  " .. told or ""),
  }
  err.reasons, err.events = reasons, events
  error(err, 0)
end

-- Looks again and again: the kinds that have no rollout.
local function follow(client, object, self)
  local target = targets.of_object(client, OP, object, {}, true)
  local last, stuck_on, pause = nil, stuck.watch(), LOOK_S
  while true do
    local state, text = status.of(object)
    if state == "ready" then
      return object
    elseif text ~= last then
      last = text
      self.tell(object, text)
    end
    local pods = (state == "failed" or pause >= SLOWEST_LOOK_S) and pods_of(client, object)
    local reasons = pods and why.of(client, object, pods) or {}
    local reason = stuck_on(object, reasons)
    if state == "failed" then
      fail(client, object, text, pods, reasons)
    elseif reason then
      fail(client, object, reason.reason, pods, reasons)
    end
    task.sleep(pause)
    pause = pause * 1.5 < SLOWEST_LOOK_S and pause * 1.5 or SLOWEST_LOOK_S
    object = client:call("GET", target:path(), { op = OP, target = target.shown })
  end
end

local function await(client, object, self)
  local seconds = max(0, self.until_s - time.monotonic())
  if is_rollout(object) then
    return client:rollout(object):status {
      timeout = seconds,
      on_progress = function(step)
        self.tell(step.object, step.text)
      end,
    }
  end
  return task.timeout(seconds, follow, client, object, self)
end

-- --- all of them -------------------------------------------------------------------------------

local function late(self, seconds, names)
  local lines = {}
  for _, object in ipairs(names) do
    lines[#lines + 1] = ("%s: %s"):format(shown(object), self.said[object.metadata.uid])
  end
  error(new_error {
    kind = "timeout", op = OP, target = shown(names[1]),
    message = ("%s after %g s: %s"):format(#names == 1 and "it is not ready" or #names .. " objects are not ready",
      seconds, concat(lines, "; ")),
    hint = "everything is applied; wait = {timeout = SECONDS} waits longer",
  }, 0)
end

local ready = {}

-- ready.options(value) -> the option `wait` of apply: true, seconds, or {timeout=, jobs=, on_progress=};
-- nil: no waiting
function ready.options(value)
  if not value then
    return nil
  elseif type(value) == "number" then
    value = { timeout = value }
  elseif value == true then
    value = {}
  end
  return check(OP .. ": wait", value, OPTIONS)
end

-- ready.wait(client, objects, opts): until all are ready; each is put into the list anew as it is then.
-- The first that will not be ends it; when the time is over all that are not ready are named.
function ready.wait(client, objects, opts)
  local seconds, places = opts.timeout or DEFAULT_S, {}
  local self = { until_s = time.monotonic() + seconds, said = {} }
  for i, object in ipairs(objects) do
    local state, text = status.of(object)
    if state ~= "ready" and not is_held(object, opts) then
      places[#places + 1], self.said[object.metadata.uid] = i, text
    end
  end
  function self.tell(object, text)
    self.said[object.metadata.uid] = text
    if opts.on_progress then
      opts.on_progress { object = object, text = text }
    end
  end
  local show <close> = #places > 0 and not opts.on_progress
    and require("ctz.ui").progress { title = "wait until all is ready", total = #places } or nil
  local missing = {}
  ctz_map(places, function(i)
    local ok, object = pcall(await, client, objects[i], self)
    if ok then
      objects[i] = object
      if show then
        show:step()
      end
    elseif type(object) == "table" and object.kind == "timeout" and time.monotonic() >= self.until_s then
      missing[#missing + 1] = objects[i]
    else
      error(object, 0)
    end
  end, { jobs = JOBS })
  if #missing > 0 then
    late(self, seconds, missing)
  end
end

return ready
