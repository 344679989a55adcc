-- docker/logs.lua: what a container has written.
-- SPDX-License-Identifier: MIT
local attach = require "ctz.docker.attach"
local check = require("ctz.options").check
local object = require "ctz.docker.object"
local units = require "ctz.units"

local error, pcall, setmetatable = error, pcall, setmetatable

local logs = {}

local OPTIONS <const> = {
  follow = "boolean",
  tail = "count",
  since = "time",
  ["until"] = "time",
  timestamps = "boolean",
  stdout = "boolean",
  stderr = "boolean",
  timeout = "seconds",
}

-- API 1.42 and later name the form; before, "raw" is said of frames too (measured with 1.41).
local function is_terminal(stream, ...)
  if (stream.headers["content-type"] or ""):find("multiplexed", 1, true) then
    return false
  end
  return attach.has_terminal(...)
end

-- --- the end of a followed log --------------------------------------------------------------------

-- Before API 1.43 engines may end a followed log before its last lines when its reader is slow (measured
-- with 20.10.24: 10,021 of 20,000 lines, also through curl). So the time of each line is asked for, and
-- at the end the newest line of the log has to be the one that came last; else the rest is read.
local SAFE <const> = "1.43"

local function attach_to(self, query)
  query.stdout, query.stderr = self.query.stdout, self.query.stderr
  query["until"], query.timestamps = self.query["until"], true
  local stream = self.client:stream("GET", self.path .. "/logs", { op = self.op, target = self.target, query = query })
  local about = { client = self.client, source = stream, op = self.op, target = self.target }
  return attach.wrap(about, { tty = self.tty, timestamps = true, hides_times = not self.query.wants_times })
end

local function newest_time(self)
  local newest <close> = attach_to(self, { tail = 1 })
  for _ in newest:lines() do -- luacheck: ignore 542
  end
  return (newest.output:stamp())
end

-- What is missing behind the last line that came, nil when nothing is.
local function open_rest(self)
  local last, count = self.attached.output:stamp()
  if not last and self.query.tail == 0 or newest_time(self) == last then
    return nil
  end
  self.last, self.count = last, count
  if last then
    return attach_to(self, { since = units.timestamp(last) })
  end
  return attach_to(self, { since = self.query.since, tail = self.query.tail })
end

-- Lines of the very time of the last one come again.
local function came_already(self)
  local time, count = self.attached.output:stamp()
  return self.last ~= nil and time == self.last and count <= self.count
end

local function next_followed(self)
  while true do
    local line = self.next_line(self.attached)
    if line and not (self.is_rest and came_already(self)) then
      return line
    elseif not line then
      local rest = not self.is_rest and open_rest(self)
      if not rest then
        return nil
      end
      self.attached, self.is_rest, self.next_line = rest, true, (rest:lines())
    end
  end
end

local Followed = {}

function Followed:__close()
  self.attached:close()
end

--- ctz.docker.containers.logs(container, opts?) -> iterator
--- for line in ctz.docker.containers.logs("web", {follow=true}) do print(line.text) end: each line as
--- {stream="stdout"|"stderr", text=, time=}; time, in seconds since 1970, only with timestamps=true.
--- A line over the limit log_line_bytes comes in parts with partial=true. The order is kept within
--- each stream. break closes the connection; the engine waits while nobody takes lines.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.follow? boolean  go on until the container ends
--- @param opts.tail? integer  only so many last lines, counted over both streams
--- @param opts.since? string|number  a time, or how long ago ("10m")
--- @param opts.until? string|number  a time, or how long ago
--- @param opts.timestamps? boolean
--- @param opts.stdout? boolean  default true
--- @param opts.stderr? boolean  default true
--- @param opts.timeout? ctz.seconds  until the log begins
--- @error not_found there is no such container
--- @error unreachable the engine stopped meanwhile
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.logs, "web")
--- @example assert(err:is "unreachable")
function logs.logs(client, container, opts)
  local op <const> = "docker.containers.logs"
  opts = check(op, opts, OPTIONS)
  local path, target = object.container(op, container)
  local about = { op = op, target = target, timeout = opts.timeout }
  local guarded = opts.follow and not client:at_least(SAFE, op)
  local query = {
    stdout = opts.stdout ~= false,
    stderr = opts.stderr ~= false,
    follow = opts.follow or false,
    timestamps = guarded or opts.timestamps or false,
    tail = opts.tail,
    since = opts.since and units.timestamp(opts.since),
    ["until"] = opts["until"] and units.timestamp(opts["until"]),
  }
  local stream = client:stream("GET", path .. "/logs", {
    op = op,
    target = target,
    timeout = opts.timeout,
    query = query,
  })
  local ok, tty = pcall(is_terminal, stream, client, container, path, about)
  if not ok then
    stream:close()
    error(tty, 0)
  end
  about.client, about.source = client, stream
  if not guarded then
    return attach.wrap(about, { tty = tty, timestamps = opts.timestamps }):lines()
  end
  query.wants_times = opts.timestamps
  local attached = attach.wrap(about, { tty = tty, timestamps = true, hides_times = not opts.timestamps })
  local followed = setmetatable({
    client = client, op = op, target = target, path = path, tty = tty, query = query,
    attached = attached, next_line = (attached:lines()),
  }, Followed)
  return next_followed, followed, nil, followed
end

return logs
