-- docker/progress.lua: what the engine tells while it pulls, pushes, builds, loads and imports.
-- SPDX-License-Identifier: MIT
-- Source: github.com/moby/moby, api/types/jsonstream; docker/cli internal/jsonstream.
--
-- The status of the answer is 200 whatever happens: a failure is a message of the stream.
local base64 = require "ctz.base64"
local engine_error = require("ctz.docker.client").engine_error
local messages = require "ctz.docker.messages"
local ui = require "ctz.ui"

local error, pcall, setmetatable, type = error, pcall, setmetatable, type
local tointeger = math.tointeger

-- --- events ------------------------------------------------------------------------------------

local function text_of(value)
  return type(value) == "string" and value or nil
end

local function integer_of(value)
  return type(value) == "number" and value >= 0 and tointeger(value // 1) or nil
end

-- What the engine attaches: a table, or bytes (which it sends as base64).
local function aux_of(value)
  if type(value) ~= "string" then
    return type(value) == "table" and value or nil
  end
  local ok, bytes = pcall(base64.decode, value)
  return ok and bytes or value
end

-- errorDetail is the current form, error the old one (deprecated in API 1.48).
local function raise_error_of(message, about)
  local detail = type(message.errorDetail) == "table" and message.errorDetail or nil
  local words = text_of(detail and detail.message) or text_of(message.error)
  if words or detail then
    local err = engine_error((words or "it gives no reason"):gsub("%s+$", ""), about)
    err.detail = detail
    error(err, 0)
  end
end

local function event_of(message)
  local detail = type(message.progressDetail) == "table" and message.progressDetail or {}
  return {
    id = text_of(message.id),
    status = text_of(message.status),
    current = integer_of(detail.current),
    total = integer_of(detail.total),
    units = text_of(detail.units), -- nil: bytes
    text = text_of(message.stream),
    aux = aux_of(message.aux),
    raw = message,
  }
end

local function next_event(self)
  local message = self.next(self.reader)
  if not message then
    return nil
  end
  local event = event_of(message)
  local ok, err = pcall(raise_error_of, message, self.about)
  if not ok then
    self:close()
    error(err, 0)
  end
  return event
end

local Events = {}
Events.__index = Events

function Events:close()
  return self.reader:close()
end

Events.__close = Events.close

-- events(client, stream, about) -> iterator of {id, status, current, total, units, text, aux, raw}:
-- text is a piece of a build's output, aux a table or bytes. A message that tells a failure raises it,
-- with the engine's words and err.detail = {code=, message=}.
local function events(client, stream, about)
  local next, reader = messages(client, stream, about)
  local self = setmetatable({ next = next, reader = reader, about = about }, Events)
  return next_event, self, nil, self
end

-- --- sums --------------------------------------------------------------------------------------

-- What moves bytes over the wire or into the store. The others only follow it.
local moving <const> = { Downloading = true, Pushing = true, ["Loading layer"] = true, Importing = true }
local complete <const> = {
  ["Verifying Checksum"] = true,
  ["Download complete"] = true,
  ["Pull complete"] = true,
  Extracting = true,
  Pushed = true,
}

local Tally = {}
Tally.__index = Tally

function Tally:set(id, current, total)
  local layer = self.layers[id]
  if not layer then
    layer = { current = 0, total = 0 }
    self.layers[id] = layer
  end
  self.current = self.current - layer.current + current
  self.total = self.total - layer.total + total
  layer.current, layer.total = current, total
end

-- Is the sum another one now?
function Tally:add(event)
  local status, layer = event.status, event.id and self.layers[event.id]
  if moving[status] and event.current and not event.units then
    local total = event.total and event.total > 0 and event.total or layer and layer.total or 0
    self:set(event.id or "", event.current, event.current > total and event.current or total)
    return true
  elseif complete[status] and layer and layer.current ~= layer.total then
    self:set(event.id, layer.total, layer.total)
    return true
  end
  return false
end

local function new_tally()
  return setmetatable({ layers = {}, current = 0, total = 0 }, Tally)
end

-- --- following ---------------------------------------------------------------------------------

local function each(client, stream, opts, show)
  local tally = new_tally()
  for event in events(client, stream, opts) do
    local changed = tally:add(event)
    event.sum_current, event.sum_total = tally.current, tally.total
    if show and changed then
      show:set(tally.current, tally.total)
    end
    if opts.on_progress then
      opts.on_progress(event)
    end
    if opts.on_event then
      opts.on_event(event)
    end
  end
  if opts.on_end then
    opts.on_end()
  end
end

-- follow(client, stream, opts): reads to the end; raises what the engine tells of a failure. opts: op,
-- target, hint (for errors); on_event(event); on_end(), which may raise what is missing; title: a line of
-- progress with the bytes of all layers is shown; on_progress(event): is called instead.
local function follow(client, stream, opts)
  if opts.on_progress or not opts.title then
    return each(client, stream, opts)
  end
  local show <close> = ui.progress { title = opts.title, unit = "bytes" }
  each(client, stream, opts, show)
end

return { events = events, follow = follow, new_tally = new_tally }
