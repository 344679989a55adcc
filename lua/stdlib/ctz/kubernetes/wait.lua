-- kubernetes/wait.lua: waits until an object is what a recipe needs, also one that does not exist yet.
-- SPDX-License-Identifier: MIT
local jsonpath = require "ctz.kubernetes.jsonpath"
local new_error = require("ctz.core.task").error
local status = require "ctz.kubernetes.status"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"

local error, ipairs, pcall, type = error, ipairs, pcall, type

local OP <const> = "kubernetes.wait"
local DEFAULT_S <const> = 300

-- --- conditions: each is a function(object | nil) -> is it met?, text: what is the case instead -----

local function is_ready(object)
  if not object then
    return false, "it does not exist yet"
  end
  local state, text = status.of(object)
  return state == "ready", text
end

local function is_deleted(object)
  return object == nil, "it is still there"
end

local function has_condition(name, wanted)
  wanted = wanted:lower()
  return function(object)
    if not object then
      return false, "it does not exist yet"
    end
    local condition = status.condition(object, name)
    if not condition then
      return false, ("it has no condition %s"):format(name)
    end
    local observed, meta = condition.observedGeneration, object.metadata
    if observed and meta.generation and observed < meta.generation then
      return false, ("%s speaks of an older state of it"):format(condition.type)
    end
    return condition.status:lower() == wanted,
      ("%s is %s%s"):format(condition.type, condition.status, condition.message and ": " .. condition.message or "")
  end
end

-- "jsonpath={.status.phase}=Running"; without a value: there is one
local function has_value(text)
  local path_text, wanted = text:match "^(%b{})=(.*)$"
  local path = jsonpath.parse(path_text or text, OP)
  return function(object)
    if not object then
      return false, "it does not exist yet"
    end
    local found = path:texts(object)
    for _, one in ipairs(found) do
      if wanted == nil and one ~= "" or one == wanted then
        return true
      end
    end
    return false, ("%s is %s"):format(path_text or text, found[1] and ("%q"):format(found[1]) or "not there")
  end
end

local NAMED <const> = {
  available = has_condition("Available", "True"), complete = has_condition("Complete", "True"), deleted = is_deleted,
  exists = function(object) return object ~= nil, "it does not exist yet" end,
  ready = is_ready,
}

local function condition_of(text)
  local path = text:match "^jsonpath=(.*)$"
  if path then
    return has_value(path)
  elseif NAMED[text:lower()] then
    return NAMED[text:lower()]
  end
  local name, wanted = text:match "^([%w%.%-/]+)=(%w+)$"
  if not name and not text:find "^[%w%.%-/]+$" then
    error(new_error {
      kind = "usage", op = OP,
      message = ("bad argument 'condition' to '%s': %q"):format(OP, text),
      hint = "ready, available, complete, deleted, exists, a condition's name, NAME=False or jsonpath={.a}=value",
    }, 0)
  end
  return has_condition(name or text, wanted or "True")
end

-- --- waiting -----------------------------------------------------------------------------------

-- A failure that no time mends ends the wait: only where readiness was asked for.
local function check_failure(object, target, name)
  local state, text = status.of(object)
  if state == "failed" then
    error(new_error {
      kind = "conflict", op = OP, target = target, message = ("%s will not be %s: %s"):format(target, name, text),
    }, 0)
  end
end

local function is_hopeless(name)
  return name == "ready" or name == "available" or name == "complete"
end

local function met(self, object)
  for i, condition in ipairs(self.conditions) do
    local is_met, text = condition(object)
    if is_met then
      return self.names[i]
    end
    self.last = text
    if object and is_hopeless(self.names[i]) and #self.names == 1 then
      check_failure(object, self.target, self.names[i])
    end
  end
end

local function follow(self)
  local object, synced = nil, false
  for event in self.client:watch(self.kind, { name = self.name, namespace = self.namespace }) do
    if event.type == "sync" then
      synced = true
    elseif event.type == "deleted" then
      object = nil
    else
      object = event.object
    end
    local name = (synced or object) and met(self, object)
    if name then
      return object, name
    end
  end
end

local function names_of(opts)
  local names = opts.any or { opts.condition or "ready" }
  if opts.any and opts.condition or #names == 0 then
    error(new_error {
      kind = "usage", op = OP, message = OP .. ": 'condition' or 'any', which is a list of conditions",
    }, 0)
  end
  return names
end

-- As the watch finds the very same kind.
local function kind_of(resource)
  return resource.name .. "." .. resource.version .. (resource.group ~= "" and "." .. resource.group or "")
end

local RULES <const> = { any = "list", condition = "string", namespace = "string", timeout = "seconds" }

local wait = {}

--- client:wait(target, opts?) -> table|nil, string
--- Waits until the object meets a condition, and returns it (nil when it is deleted) and the condition.
--- An object that does not exist is waited for, too. "ready" is what each kind means by it: of a
--- Deployment that all replicas of its newest form are available, of a Job that it is complete, of a
--- claim that it is bound. A wait for "ready", "available" or "complete" ends at once when the object
--- says that it failed.
--- @async
--- @param target string|table  "deployment/web", or an object
--- @param opts.condition? string  "ready" (default), "available", "complete", "deleted", "exists", the name of a
---   condition ("Established", "Ready=False"), "jsonpath={.status.phase}=Running", "jsonpath={.status.loadBalancer}"
--- @param opts.any? string[]  several of these: the first that is met is the second result
--- @param opts.namespace? string
--- @param opts.timeout? ctz.seconds  default 300
--- @return table|nil
--- @return string  which condition
--- @error timeout  it was not met in time; the message says what was the case last
--- @error conflict  it failed
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: kubectl wait; cli-utils, kstatus
function wait.wait(client, ...)
  local place, opts = targets.read(client, OP, RULES, ...)
  local self = {
    client = client, kind = kind_of(place.resource), name = place.name, namespace = place.namespace,
    target = place.shown,
    names = names_of(opts), conditions = {},
    last = "nothing was heard of it",
  }
  for i, text in ipairs(self.names) do
    self.conditions[i] = condition_of(text)
  end
  local seconds = opts.timeout or DEFAULT_S
  local ok, object, met_name = pcall(task.timeout, seconds, follow, self)
  if ok then
    return object, met_name
  elseif type(object) == "table" and object.kind == "timeout" then
    object.op, object.target = OP, self.target
    object.message = ("%s is not %s after %g s: %s"):format(self.target, table.concat(self.names, " or "), seconds,
      self.last)
  end
  error(object, 0)
end

return wait
