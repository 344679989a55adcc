-- watch-events.lua: the events of a Kubernetes cluster as they come: who complains, about what.
--
-- First the events of the last hour that the cluster still has, the oldest first, then new ones, until Ctrl-C or for
-- `seconds`. An event that repeats is a line each time, with its count. With --json each event is a line of JSON:
-- {time, type, reason, object, namespace, message, count, source}; the last value is {events = how many}.
--
-- Usage:       ctz run [--json] recipes/watch-events.lua [namespace=...|all=true] [type=Warning] [object=pod/web]
--                [reason=...] [since=3600] [seconds=N]
-- Parameters:  namespace  default: that of the kubeconfig's context
--              all        true: of all namespaces
--              type       Normal or Warning; default both
--              object     only about this one: kind/name, or a kind: pod
--              reason     only with this reason: FailedScheduling
--              since      seconds: older events are left out; 0: only new ones
--              seconds    how long; default until Ctrl-C
-- Needs:       a kubeconfig, as kubectl does
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "namespace", "string", default = "", help = "default: that of the kubeconfig's context" },
  { "all", "bool", default = false, help = "of all namespaces" },
  { "type", "enum", choices = { "Normal", "Warning" }, optional = true, help = "default both" },
  { "object", "string", default = "", help = "kind/name, or a kind" },
  { "reason", "string", default = "", help = "only with this reason" },
  { "since", "seconds", default = 3600, help = "older events are left out" },
  { "seconds", "seconds", default = math.huge, help = "how long" },
}

local as_json <const> = ctz.mode().json
local ui = ctz.ui

local function text_of(value)
  return type(value) == "string" and value ~= "" and value or nil
end

local function record_of(event)
  local series = type(event.series) == "table" and event.series or {}
  local about = event.involvedObject
  local source = type(event.source) == "table" and event.source or {}
  local time = text_of(series.lastObservedTime) or text_of(event.lastTimestamp) or text_of(event.eventTime)
    or event.metadata.creationTimestamp
  return {
    time = time,
    type = text_of(event.type),
    reason = text_of(event.reason),
    object = ((about.kind or "?") .. "/" .. (about.name or "?")):lower(),
    namespace = event.metadata.namespace,
    message = text_of(event.message),
    count = math.tointeger(series.count) or math.tointeger(event.count) or 1,
    source = text_of(source.component) or text_of(event.reportingComponent),
  }
end

local function is_wanted(record)
  local object = p.object:lower()
  return (not p.type or record.type == p.type)
    and (p.reason == "" or record.reason == p.reason)
    and (object == "" or record.object == object or record.object:match "^[^/]*" == object)
end

local shown = 0
local function show(record)
  shown = shown + 1
  if as_json then
    print(ctz.json.encode(record))
    return
  end
  local place = p.all and record.namespace .. "/" or ""
  local many = record.count > 1 and (" (x%d)"):format(record.count) or ""
  local line = ("%s  %-7s  %-18s  %s%s  %s%s"):format(record.time:match "T(%d+:%d+:%d+)", record.type or "-",
    record.reason or "-", place, record.object, (record.message or ""):gsub("%s+", " "), many)
  print(ui.clean(line))
end

local function by_time(left, right)
  return left.time < right.time
end

local k = ctz.kubernetes.connect { namespace = p.namespace ~= "" and p.namespace or nil }
local oldest = ctz.time.now() - p.since

local function follow()
  local before = {} -- until the first list is complete
  for event in k:watch("events", { all_namespaces = p.all or nil }) do
    if event.type == "sync" then
      table.sort(before, by_time)
      for _, record in ipairs(before) do
        show(record)
      end
      before = nil
    elseif event.type ~= "deleted" then -- deleted: it is an hour old
      local record = record_of(event.object)
      if is_wanted(record) and not before then
        show(record)
      elseif is_wanted(record) and p.since > 0 and ctz.time.parse(record.time) >= oldest then
        before[#before + 1] = record
      end
    end
  end
end

local _, err = ctz.try(ctz.timeout, p.seconds, follow)
if err and err.kind ~= "timeout" then
  error(err, 0)
end
return { events = shown }
