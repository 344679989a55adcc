-- docker/simulate/engine.lua: what a simulated engine holds, how it refuses, what it tells as events.
-- SPDX-License-Identifier: MIT
local hash = require "ctz.hash"
local json = require "ctz.json"
local kernels = require "ctz.docker.simulate.kernel"
local new_error = require("ctz.core.task").error
local time = require "ctz.time"

local error, getmetatable, ipairs, math, pairs = error, getmetatable, ipairs, math, pairs
local select, setmetatable, tonumber, type = select, setmetatable, tonumber, type
local find, format, sub = string.find, string.format, string.sub
local remove = table.remove

local EVENTS_KEPT <const> = 10000
local NANO <const> = 1000000000
local ZERO_TIME <const> = "0001-01-01T00:00:00Z"

-- --- refusals ----------------------------------------------------------------------------------

local Refusal = {}

-- Answers with a status and the engine's words.
local function refuse(status, text, ...)
  error(setmetatable({ status = status, words = select("#", ...) > 0 and format(text, ...) or text }, Refusal), 0)
end

local function is_refusal(value)
  return type(value) == "table" and getmetatable(value) == Refusal
end

local function unsupported(what, hint)
  error(new_error {
    kind = "unsupported",
    message = ("the simulated engine does not model %s"):format(what),
    hint = hint or "such a test needs a real engine: run it without --simulate",
  }, 0)
end

-- --- values ------------------------------------------------------------------------------------

local ids_made = 0

-- 64 hex digits, another one each time.
local function new_id()
  ids_made = ids_made + 1
  return hash.sha256("simulated " .. ids_made .. " " .. time.monotonic())
end

-- A time of the engine's clock as it tells it.
local function stamp(seconds)
  return seconds and time.format(seconds, { digits = 9 }) or ZERO_TIME
end

-- {"status": ["running"]} or the older {"status": {"running": true}} -> name -> list of texts
local function filters_of(text)
  local filters = {}
  for name, values in pairs(text and json.decode(text) or {}) do
    filters[name] = {}
    for key, value in pairs(values) do
      filters[name][#filters[name] + 1] = type(key) == "string" and key or value
    end
  end
  return filters
end

-- Refuses names of filters that the engine does not know.
local function check_filters(filters, known)
  for name in pairs(filters) do
    if not find(known, " " .. name .. " ", 1, true) then
      refuse(400, "Invalid filter '%s'", name)
    end
  end
  return filters
end

-- Do labels hold all of "name" and "name=value"?
local function has_labels(labels, wanted)
  for _, label in ipairs(wanted or {}) do
    local name, value = label:match "^([^=]*)=(.*)$"
    local own = type(labels) == "table" and labels[name or label]
    if not own or value and own ~= value then
      return false
    end
  end
  return true
end

-- Does one of the wanted texts fit? nil: everything does.
local function any(wanted, fits)
  if not wanted or #wanted == 0 then
    return true
  end
  for _, value in ipairs(wanted) do
    if fits(value) then
      return true
    end
  end
  return false
end

local UNITS <const> = { s = 1, m = 60, h = 3600 }

-- since= and until= of the API: seconds with a fraction, RFC 3339, or how long ago -> seconds
local function time_of(engine, text)
  if not text or text == "" then
    return nil
  elseif tonumber(text) then
    return tonumber(text)
  end
  local count, unit = text:match "^([%d.]+)([smh])$"
  return count and engine.kernel.clock - tonumber(count) * UNITS[unit] or time.parse(text)
end

-- --- events ------------------------------------------------------------------------------------

local Engine = {}
Engine.__index = Engine

-- extra: fields beside those of every event.
function Engine:tell(kind, action, id, attributes, extra)
  self.last_nano = math.max(self.last_nano + 1, math.tointeger(self.kernel.clock * NANO // 1))
  local event = {
    Type = kind,
    Action = action,
    Actor = { ID = id, Attributes = json.object(attributes) },
    scope = "local",
    time = self.last_nano // NANO,
    timeNano = self.last_nano,
  }
  for name, value in pairs(extra or {}) do
    event[name] = value
  end
  self.events[#self.events + 1] = event
  if #self.events > EVENTS_KEPT then
    remove(self.events, 1)
    self.events_dropped = self.events_dropped + 1
  end
end

-- --- finding -----------------------------------------------------------------------------------

-- The one whose id begins so; nil when there is none or more than one.
local function by_prefix(map, prefix)
  local found
  for id, value in pairs(map) do
    if sub(id, 1, #prefix) == prefix then
      if found then
        return nil
      end
      found = value
    end
  end
  return found
end

function Engine:container(name)
  local plain = name:gsub("^/", "")
  local container = self.containers[name] or self.containers[self.names[plain]] or by_prefix(self.containers, plain)
  return container or refuse(404, "No such container: %s", name)
end

-- settings: api, images, programs, registry (see ctz.simulate.engine)
local function new(settings)
  return setmetatable({
    settings = settings,
    kernel = kernels.new(),
    containers = {}, -- by id
    names = {}, -- name -> id
    order = {}, -- containers as they were made
    execs = {}, -- by id
    images = {}, -- by id
    tags = {}, -- "repository:tag" -> id
    networks = {}, -- by id
    volumes = {}, -- by name
    events = {},
    events_dropped = 0,
    last_nano = 0,
    next_pid = 100,
    next_port = 49153,
    calls = {},
    id = new_id(),
  }, Engine)
end

return {
  any = any,
  by_prefix = by_prefix,
  check_filters = check_filters,
  filters_of = filters_of,
  has_labels = has_labels,
  is_refusal = is_refusal,
  new = new,
  new_id = new_id,
  refuse = refuse,
  stamp = stamp,
  time_of = time_of,
  unsupported = unsupported,
}
