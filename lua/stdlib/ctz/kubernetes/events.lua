-- kubernetes/events.lua: what a cluster tells of its objects.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API v1, Event; kubectl, pkg/cmd/events.
local check = require("ctz.options").check
local escape = require("ctz.kubernetes.client").escape
local pods_of = require "ctz.kubernetes.pods"
local units = require "ctz.units"

local ipairs, type = ipairs, type
local concat, sort = table.concat, table.sort

local OP <const> = "kubernetes.events"

local function given(value)
  return pods_of.is_given(value) and value or nil
end

-- An event that repeats has its last time in a series; old ones in lastTimestamp.
local function time_of(event)
  local series = given(event.series)
  local text = series and given(series.lastObservedTime) or given(event.lastTimestamp) or given(event.eventTime)
    or given(event.firstTimestamp) or given(event.metadata.creationTimestamp)
  return units.unix_time(text)
end

local function entry_of(event)
  local about = event.involvedObject
  local source = given(event.source) or {}
  return {
    time = time_of(event),
    type = given(event.type),
    reason = given(event.reason),
    message = given(event.message),
    count = given(event.count) or given(event.series) and event.series.count or 1,
    object = ("%s/%s"):format((about.kind or "?"):lower(), about.name or "?"),
    namespace = given(about.namespace) or given(event.metadata.namespace),
    source = given(source.component) or given(event.reportingComponent),
    raw = event,
  }
end

-- {kind=, name=} of the target, as the fields of an event have them.
local function fields_of(client, target, opts)
  if target == nil then
    return nil
  end
  local read = pods_of.read(OP, target, opts, client)
  local resource = read.kind and require("ctz.kubernetes.discovery").find(client, read.kind, OP)
  local fields = { "involvedObject.name=" .. (read.name or "") }
  if resource then
    fields[2] = "involvedObject.kind=" .. resource.kind
  end
  return read.name and concat(fields, ",") or nil
end

local events = {}

--- client:events(target?, opts?) -> table[]
--- Events of an object, or of a namespace, the newest last: {time, type ("Normal", "Warning"), reason,
--- message, count, object ("pod/web"), namespace, source, raw}. A cluster keeps them for an hour.
--- @async
--- @param target? string|table  "pod/web", an object; nil: all of the namespace
--- @param opts.namespace? string
--- @param opts.all_namespaces? boolean
--- @param opts.type? "Normal"|"Warning"
--- @param opts.timeout? ctz.seconds
--- @return table[]
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: Kubernetes API v1, GET /api/v1/namespaces/{ns}/events
function events.events(client, target, opts)
  opts = check(OP, opts, { namespace = "string", all_namespaces = "boolean", type = "string", timeout = "seconds" })
  local fields = fields_of(client, target, opts)
  local namespace = type(target) == "table" and type(target.metadata) == "table" and target.metadata.namespace
    or opts.namespace or client.namespace
  local path = opts.all_namespaces and "/api/v1/events" or ("/api/v1/namespaces/%s/events"):format(escape(namespace))
  if opts.type then
    fields = (fields and fields .. "," or "") .. "type=" .. opts.type
  end
  local list, continue = {}, nil
  repeat
    local page = client:call("GET", path, {
      op = OP, target = "events", timeout = opts.timeout,
      query = { fieldSelector = fields, limit = 500, continue = continue },
    })
    for _, event in ipairs(given(page.items) or {}) do
      list[#list + 1] = entry_of(event)
    end
    continue = given(page.metadata.continue)
  until not continue or continue == ""
  local at = {}
  for i, entry in ipairs(list) do
    at[entry] = i
  end
  sort(list, function(left, right)
    local a, b = left.time or 0, right.time or 0
    return a < b or a == b and at[left] < at[right]
  end)
  return list
end

return events
