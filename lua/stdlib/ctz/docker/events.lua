-- docker/events.lua: what happens on an engine, as it happens, across its restarts.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, GET /events; moby, daemon/events/events.go.
--
-- An engine keeps its last events in memory and gives those since a time, at nanoseconds. Two things
-- forbid to ask for what is later than the last one we saw: several events may have its time, and events
-- made at once may come in another order than that of their times. So we ask for the second before it
-- too, and leave out what we have seen.
local check = require("ctz.options").check
local log = require "ctz.log"
local messages = require "ctz.docker.messages"
local object = require "ctz.docker.object"
local table_of = require("ctz.docker.values").table_of
local task = require "ctz.core.task"
local time = require "ctz.time"
local units = require "ctz.units"

local error, pcall, setmetatable, type = error, pcall, setmetatable, type
local concat, max, min = table.concat, math.max, math.min

local OP <const> = "docker.system.events"
local NANO <const> = 1000000000
local OVERLAP <const> = NANO -- of what is asked for again
local RECONNECT_S <const> = 60
local FIRST_DELAY_S <const>, LONGEST_DELAY_S <const> = 0.05, 2
local STEADY_S <const> = 5 -- a connection that lasted so long was a good one
local FILTERS <const> = "config container daemon event image label network node plugin scope secret service type volume"

-- What means that the engine or the way to it is gone. Others (denied, usage, size) would come again.
local losses <const> = { unreachable = true, protocol = true, io = true }

-- "1714564800.000000005" <-> 1714564800000000005
local function nanoseconds_of(timestamp)
  local seconds, fraction = timestamp:match "^(%d+)%.(%d+)$"
  return seconds * NANO + fraction // 1 | 0
end

local function timestamp_of(nanoseconds)
  return ("%d.%09d"):format(nanoseconds // NANO, nanoseconds % NANO)
end

-- --- one event ---------------------------------------------------------------------------------

local function event_of(raw)
  local actor = table_of(raw.Actor)
  local attributes = table_of(actor.Attributes)
  -- "exec_create: sh -c ls", "health_status: healthy"
  local action, detail = (raw.Action or raw.status or ""):match "^([^:]*):? ?(.*)$"
  return {
    type = raw.Type,
    action = action,
    detail = detail ~= "" and detail or nil,
    id = actor.ID or raw.id,
    name = attributes.name or raw.Type == "volume" and actor.ID or nil,
    attributes = attributes,
    scope = raw.scope,
    time = raw.timeNano and raw.timeNano / NANO or raw.time,
    raw = raw,
  }
end

-- --- which ones were seen ----------------------------------------------------------------------

local function key_of(raw)
  local actor = table_of(raw.Actor)
  local container = table_of(actor.Attributes).container
  return concat({ raw.timeNano or raw.time, raw.Type or "", raw.Action or "", actor.ID or "", container or "" }, " ")
end

-- Is this the first time? Two sets hold what the last second at least has brought.
local function is_new(self, raw)
  local at = raw.timeNano or (raw.time or 0) * NANO
  local key = key_of(raw)
  if self.recent[key] or self.older[key] then
    return false
  end
  if at >= self.turn + OVERLAP then
    self.older, self.recent, self.turn = self.recent, {}, at
  end
  self.recent[key] = true
  self.last = max(self.last or at, at)
  return true
end

-- --- the connection ----------------------------------------------------------------------------

local function engine_time(self)
  local info = self.client:call("GET", "/info", { op = OP, timeout = self.opts.timeout })
  return nanoseconds_of(units.timestamp(info.SystemTime))
end

local function connect(self)
  local since = self.since
  if self.last then
    since = max(since, self.last - OVERLAP)
  end
  local stream = self.client:stream("GET", "/events", {
    op = OP,
    timeout = self.opts.timeout,
    query = {
      since = timestamp_of(since),
      ["until"] = self.till and timestamp_of(self.till),
      filters = self.filters,
    },
  })
  local next, reader = messages(self.client, stream, { op = OP })
  self.next, self.reader, self.connected = next, reader, time.monotonic()
end

-- The end of the stream: of the wish (until), or of the engine.
local function is_over(self)
  return self.till and engine_time(self) >= self.till
end

local function wait(self, err)
  local now = time.monotonic()
  if now >= self.give_up then
    err.since = timestamp_of(self.last or self.since)
    err.hint = err.hint or ("since=%q goes on where it ended"):format(err.since)
    error(err, 0)
  end
  task.sleep(min(self.delay, max(self.give_up - now, 0)))
  self.delay = min(self.delay * 2, LONGEST_DELAY_S)
end

local function reconnect(self, err)
  if not self.delay or time.monotonic() - self.connected > STEADY_S then
    self.delay = FIRST_DELAY_S
    self.give_up = time.monotonic() + (self.opts.reconnect or RECONNECT_S)
    log.debug("the engine is gone: its events go on when it is back", { reason = err.message })
  end
  repeat
    wait(self, err)
    if self.ended then
      return
    end
    local done, failure = pcall(connect, self)
    if not done then
      if type(failure) ~= "table" or not losses[failure.kind] then
        error(failure, 0)
      end
      err = failure
    end
  until done
end

local function ended_early()
  return task.error { kind = "unreachable", op = OP, message = "the engine ended the stream of its events" }
end

-- One message, nil at the end that was wished for, false and why when the engine is gone.
local function try_message(self)
  local done, raw = pcall(self.next, self.reader)
  if done and raw then
    return raw
  end
  self.reader:close()
  if self.ended then -- another task closed it meanwhile
    return nil
  end
  local over = false
  if done then
    done, over = pcall(is_over, self)
    raw = done and ended_early() or over
  end
  if done and over then
    return nil
  elseif type(raw) ~= "table" or not losses[raw.kind] then
    error(raw, 0)
  end
  return false, raw
end

local Events = { __name = "ctz.docker.events" }
Events.__index = Events

function Events:__call()
  while not self.ended do
    local raw, err = try_message(self)
    if raw == nil then
      self:close()
    elseif not raw then
      reconnect(self, err)
    elseif is_new(self, raw) then
      self.delay = nil
      return event_of(raw)
    end
  end
  return nil
end

function Events:close()
  self.ended = true
  return self.reader:close()
end

Events.__close = Events.close

--- ctz.docker.system.events(opts?) -> iterator
--- for event in ctz.docker.system.events() do print(event.type, event.action, event.name) end: what
--- happens on the engine from now on, each as {type, action, detail, id, name, attributes, scope, time,
--- raw}: "container", "health_status", "healthy", ... time is in seconds since 1970, raw the engine's own
--- answer, raw.timeNano its exact time. When the engine restarts or the connection breaks it goes on as
--- soon as the engine answers: what the engine still knows of the time between is neither lost nor told
--- twice. break closes the connection; nothing wakes while nothing happens. The
--- iterator may be held: `local events <close> = ...`, events(), events:close().
--- @async
--- @param opts.since? string|number  what happened since then comes first; a time, or how long ago ("10m")
--- @param opts.until? string|number  ends there
--- @param opts.filters? table  {name = value or list}: type, event, container, image, label, network, volume, ...
--- @param opts.reconnect? ctz.seconds  to try to reach the engine again; default 60, 0: not at all
--- @param opts.timeout? ctz.seconds  until it has begun
--- @error unreachable  the engine is gone and does not come back; err.since is where to go on
--- @error usage  there is no such filter
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.system.events)
--- @example assert(err:is "unreachable")
--- Api: Docker Engine v1.41, GET /events
local function events(client, opts)
  opts = check(OP, opts, {
    since = "time",
    ["until"] = "time",
    filters = "table",
    reconnect = "seconds",
    timeout = "seconds",
  })
  local self = setmetatable({
    client = client,
    opts = opts,
    filters = object.filters(OP, opts.filters, FILTERS),
    till = opts["until"] and nanoseconds_of(units.timestamp(opts["until"])),
    recent = {},
    older = {},
    turn = 0, -- where recent begins
  }, Events)
  -- The engine answers before it begins to listen, so its own time is asked for first.
  self.since = opts.since and nanoseconds_of(units.timestamp(opts.since)) or engine_time(self)
  connect(self)
  return self, nil, nil, self
end

return { events = events }
