-- kubernetes/logs.lua: what the containers of a pod, a workload or a selector have written, merged.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API v1, pods/log; kubectl, pkg/cmd/logs.
local again = require "ctz.kubernetes.again"
local channels = require "ctz.core.channel"
local check = require("ctz.options").check
local failure = require "ctz.kubernetes.failure"
local pods_of = require "ctz.kubernetes.pods"
local task = require "ctz.core.task"
local time = require "ctz.time"
local units = require "ctz.units"

local error, ipairs, next, pcall, setmetatable, tonumber = error, ipairs, next, pcall, setmetatable, tonumber
local huge, min, type = math.huge, math.min, type

local OP <const> = "kubernetes.logs"
local WAITING_LINES <const> = 64 -- of all followed containers, taken by nobody yet
local NO_LIFE_HINT <const> = "it was not started again: without previous=true these are its lines"
local LOOK_S <const> = 1 -- between two looks for new pods and restarted containers
local PATIENCE_S <const> = 60 -- with a server that is away while a log is followed

-- --- one container -----------------------------------------------------------------------------

-- Opens the log of {pod=, container=}; since: text of a time, after which lines are wanted.
local function open(self, source, since)
  local opts = self.opts
  return self.client:stream("GET", pods_of.path(source.namespace, source.pod, "/log"), {
    op = OP,
    target = ("pod/%s in namespace %s (container %s)"):format(source.pod, source.namespace, source.container),
    hint = opts.previous and not source.had_life and NO_LIFE_HINT or nil,
    accept = "*/*",
    timeout = opts.timeout,
    query = {
      container = source.container,
      follow = opts.follow or nil,
      previous = opts.previous or nil,
      timestamps = true,
      sinceTime = since or self.since,
      tailLines = not since and opts.tail or nil,
    },
  })
end

-- "2024-05-01T12:00:00.123456789Z text". A line that the runtime has cut may lack its time.
local function entry_of(self, source, line)
  local stamp, text = line:match "^(%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z?[%d:+-]*) (.*)$"
  if not stamp then
    stamp = line:match "^%d%d%d%d%-%d%d%-%d%dT[%d:.]+Z?[%d:+-]*$"
    text = stamp and "" or line
  end
  local shown = self.opts.timestamps and stamp and stamp .. " " .. text or text
  if self.opts.prefix then
    shown = ("[pod/%s/%s] %s"):format(source.pod, source.container, shown)
  end
  local ok, seconds = pcall(time.parse, stamp or "")
  return { pod = source.pod, container = source.container, text = shown, time = ok and seconds or nil }, stamp
end

-- --- all that is there ---------------------------------------------------------------------------

local function take(self, reader)
  local ok, line = pcall(reader.next_line, reader.stream)
  if not ok then
    error(self.client:failure(line, { op = OP, target = "pod/" .. reader.source.pod }), 0)
  end
  reader.entry, reader.stamp = nil, reader.stamp
  if line then
    reader.entry, reader.stamp = entry_of(self, reader.source, line)
  else
    reader.stream:close()
  end
end

-- The entry of the earliest time of all; a line without a time comes at once.
local function next_merged(self)
  local best
  for _, reader in ipairs(self.readers) do
    local entry = reader.entry
    if entry and (not best or (entry.time or 0) < (best.entry.time or 0)) then
      best = reader
    end
  end
  if not best then
    return nil
  end
  local entry = best.entry
  take(self, best)
  return entry
end

local Merged = {}

function Merged:__close()
  for _, reader in ipairs(self.readers) do
    reader.stream:close()
  end
end

local function merge(self, sources)
  self.readers = {}
  local guard <close> = setmetatable({ readers = self.readers }, { __close = function(held)
    if not self.opened then
      Merged.__close(held)
    end
  end })
  for _, source in ipairs(sources) do
    local reader = { source = source, stream = open(self, source) }
    reader.next_line = reader.stream:lines()
    guard.readers[#guard.readers + 1] = reader
    take(self, reader)
  end
  self.opened = true
  local merged = setmetatable(self, Merged)
  return next_merged, merged, nil, merged
end

-- --- what comes --------------------------------------------------------------------------------

-- Reads one container until its log ends; of one that was read before, what is later than that.
local function follow_one(self, source)
  local key = source.key
  local last = self.seen[key]
  local stream <close> = open(self, source, last)
  source.gone_at = huge
  for line in stream:lines() do
    local entry, stamp = entry_of(self, source, line)
    if not (last and stamp and stamp <= last) then
      self.seen[key] = stamp or self.seen[key]
      self.entries:send(entry)
    end
  end
end

local function is_gone(err)
  return type(err) == "table" and (err.kind == "not_found" or err.kind == "usage")
end

-- A log that breaks off goes on behind its last line, which its time tells: the server restarts.
local function follow_on(self, source)
  while true do
    local ok, err = pcall(follow_one, self, source)
    if ok then
      return
    elseif type(err) ~= "table" or err.kind ~= "unreachable" and not again.is_cut(err) or not source.gone_at then
      error(err, 0)
    end
    source.gone_at = min(source.gone_at, time.monotonic())
    if time.monotonic() - source.gone_at > PATIENCE_S then
      error(err, 0)
    end
    task.sleep(LOOK_S)
  end
end

-- A pod of a workload may be deleted under its log: others go on.
local function follow(self, source)
  self.running[source.key] = source.instance
  self.count = self.count + 1
  task.spawn(function()
    local ok, err = pcall(follow_on, self, source)
    self.count = self.count - 1
    if not ok and type(err) == "table" and err.kind == "cancelled" then
      error(err, 0)
    elseif not ok and not (self.selector and is_gone(err)) then
      self.entries:send { failure = self.client:failure(err, { op = OP, target = "pod/" .. source.pod }) }
    elseif not self.selector and self.count == 0 then
      self.entries:send { ended = true }
    end
  end, { background = true })
end

local function had_life(status)
  local last = status and pods_of.is_given(status.lastState) and status.lastState or {}
  return pods_of.is_given(last.terminated)
end

-- {pod, namespace, container, key, instance, had_life}: instance is nil while it has not begun; had_life: it has
-- been started again.
local function sources_of(self, pod)
  local names = self.opts.all_containers and pods_of.container_names(pod)
    or { pods_of.container(OP, pod, self.opts.container) }
  local known, list = pods_of.statuses(pod), {}
  for i, name in ipairs(names) do
    local status = known[name]
    local id = status and status.containerID
    list[i] = {
      pod = pod.metadata.name, namespace = pod.metadata.namespace, container = name,
      key = pod.metadata.uid .. "/" .. name, instance = type(id) == "string" and id ~= "" and id or nil,
      had_life = had_life(status),
    }
  end
  return list
end

local function look(self)
  for _, pod in ipairs((pods_of.pods(self.client, self.read, { op = OP }))) do
    for _, source in ipairs(sources_of(self, pod)) do
      if source.instance and self.running[source.key] ~= source.instance then
        follow(self, source)
      end
    end
  end
end

local function keep_looking(self)
  while true do
    task.sleep(LOOK_S)
    local ok, err = pcall(look, self)
    if not ok and (err.kind == "cancelled" or not err.retryable) then
      error(err, 0)
    end
  end
end

local function next_followed(self)
  if self.closed then
    return nil
  end
  local entry = self.entries:receive()
  if entry.failure then
    error(entry.failure, 0)
  end
  return not entry.ended and entry or nil
end

local Followed = {}

function Followed:__close()
  self.closed = true
  self.work:cancel()
end

local function begin_following(self, sources)
  self.entries, self.seen, self.running, self.count = channels.channel(WAITING_LINES), {}, {}, 0
  setmetatable(self, Followed)
  self.work = task.spawn(function()
    local ok, err = pcall(function()
      for _, source in ipairs(sources) do
        if source.instance or not self.selector then
          follow(self, source)
        end
      end
      if self.selector then
        keep_looking(self)
      end
      task.sleep(huge)
    end)
    if not ok and type(err) == "table" and err.kind == "cancelled" then
      error(err, 0)
    elseif not ok then
      self.entries:send { failure = err }
    end
  end, { background = true })
  return next_followed, self, nil, self
end

-- --- the function ------------------------------------------------------------------------------

local logs = {}

local function since_of(value)
  local text = value and units.timestamp(value)
  return text and time.format(tonumber(text) // 1) or nil
end

--- client:logs(target, opts?) -> iterator
--- for line in client:logs("deployment/web", {follow=true}) do print(line.text) end: each line as
--- {pod=, container=, text=, time=}, time in seconds since 1970. What is there already comes in the order
--- of its times over all pods and containers; with follow=true lines come as they arrive. Following a
--- workload or a selector goes on with pods that are made later and containers that start again, until
--- break; following one pod ends with its container. A followed log goes on behind its last line when the
--- server restarts. The server waits while nobody takes lines.
--- @async
--- @param target string|table  "pod-name", "deployment/web", an object, {selector="app=web"}
--- @param opts.follow? boolean
--- @param opts.container? string  default: as annotated, else the first
--- @param opts.all_containers? boolean
--- @param opts.previous? boolean  of the container before its last restart; of a workload those that had one
--- @param opts.since? string|number  a time, or how long ago ("10m")
--- @param opts.tail? integer  only so many last lines of each container
--- @param opts.timestamps? boolean  the time stands before the text
--- @param opts.prefix? boolean  "[pod/NAME/CONTAINER] " stands before the text
--- @param opts.namespace? string
--- @param opts.timeout? ctz.seconds  until each log begins
--- @error not_found there is no such pod or container
--- @error usage the container has not begun, or with previous=true was not started again
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: Kubernetes API v1, GET /api/v1/namespaces/{ns}/pods/{name}/log
function logs.logs(client, target, opts)
  opts = check(OP, opts, {
    follow = "boolean", container = "string", all_containers = "boolean", previous = "boolean", since = "time",
    tail = "count", timestamps = "boolean", prefix = "boolean", namespace = "string", timeout = "seconds",
  })
  if opts.follow and opts.previous then
    failure.usage(OP, "bad argument 'opts' to '%s': what ended before writes nothing more: follow or previous", OP)
  end
  local read = pods_of.read(OP, target, opts, client)
  local self = { client = client, opts = opts, read = read, since = since_of(opts.since) }
  local about = { op = OP, timeout = opts.timeout }
  self.selector = pods_of.selector(client, read, about)
  local sources = {}
  for _, pod in ipairs((pods_of.pods(client, read, about))) do
    for _, source in ipairs(sources_of(self, pod)) do
      if not self.selector or source.instance and (source.had_life or not opts.previous) then
        sources[#sources + 1] = source
      end
    end
  end
  if next(sources) == nil and not opts.follow then
    pods_of.one(client, read, about) -- raises when there are no pods at all
    if opts.previous then
      failure.usage(OP, "no container of %s has been started again", pods_of.shown(read))
    end
  end
  return (opts.follow and begin_following or merge)(self, sources)
end

return logs
