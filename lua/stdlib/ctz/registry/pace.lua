-- registry/pace.lua: how fast a registry is asked: connections, requests a second, and the pause that all
-- tasks make when it is busy.
-- SPDX-License-Identifier: MIT
local channels = require "ctz.core.channel"
local log = require "ctz.log"
local monotonic = require("ctz.time").monotonic
local task = require "ctz.core.task"

local setmetatable = setmetatable
local max, min, random = math.max, math.min, math.random

local FIRST_S <const>, LONGEST_S <const> = 0.25, 30 -- of our own pauses
local SHOWN_S <const> = 2 -- longer ones are told
local FORGET_S <const> = 60 -- after which a busy registry is one like others

local Pace = {}
Pace.__index = Pace

-- What several clients of one registry have in common, while one of them is used: how busy it is, the turn
-- of who changes a list of referrers that only clients keep, and the turns of who sends a blob.
local loads = setmetatable({}, { __mode = "v" })

local Permit = {
  __close = function(self)
    self:release()
  end,
}
Permit.__index = Permit

function Permit:release()
  if self.channel then
    self.channel:receive()
    self.channel = nil
  end
end

-- The same permit for somebody else to release.
function Permit:hand_on()
  local other = setmetatable({ channel = self.channel }, Permit)
  self.channel = nil
  return other
end

-- Waits for a place in a channel; close what is returned to leave it.
local function hold(channel)
  if channel then
    channel:send(true)
  end
  return setmetatable({ channel = channel }, Permit)
end

-- Waits until one more request may be sent; close the permit when its answer was read.
function Pace:enter()
  local permit <close> = hold(self.connections)
  if self.interval_s then
    local at = max(monotonic(), self.next_at)
    self.next_at = at + self.interval_s
    if at > monotonic() then
      task.sleep(at - monotonic())
    end
  end
  while self.load.until_at > monotonic() do
    task.sleep(self.load.until_at - monotonic())
  end
  return permit:hand_on()
end

-- The turn to send one blob, and whether somebody else may have sent it just now: distribution 2 loses
-- blobs that are written twice at the same time.
function Pace:turn_for(blob)
  local uploads = self.load.uploads
  local turn = uploads[blob]
  local was_there = turn ~= nil
  turn = turn or channels.channel(1)
  uploads[blob] = turn
  return hold(turn), was_there
end

-- Full jitter between half and all of an exponential step.
local function step_of(exponent)
  return min(LONGEST_S, FIRST_S * 2 ^ exponent) * (0.5 + random() / 2)
end

-- Seconds before the next try of a request: at least as long as the registry asked, and as long as it was
-- found busy by others.
function Pace:pause_of(asked, try)
  local load = self.load
  if monotonic() - load.until_at > FORGET_S then
    load.level = 0
  end
  local pause = step_of(max(try - 1, load.level))
  return asked and max(pause, asked * (1 + random() / 20)) or pause
end

-- The registry is busy: nobody asks it for so long. What several tasks hear at the same time counts once.
function Pace:slow_down(pause)
  local load, now = self.load, monotonic()
  if load.until_at <= now then
    load.level = min(load.level + 1, 8)
  end
  load.until_at = max(load.until_at, now + pause)
  if pause >= SHOWN_S then
    log.info(("the registry %s is busy: the next request goes in %.0f s"):format(self.name, pause))
  end
end

function Pace:answered()
  self.load.level = self.load.level // 2
end

-- Waits before the n-th try to take up what broke; no concern of others. False when the deadline is
-- nearer.
function Pace:take_breath(try) -- luacheck: ignore 212
  local pause = step_of(try - 1)
  if pause > task.remaining() then
    return false
  end
  task.sleep(pause)
  return true
end

-- new(name, {rps =, connections =})
local function new(name, opts)
  local load = loads[name] or {
    level = 0, until_at = 0, lists = channels.channel(1), uploads = setmetatable({}, { __mode = "v" }),
  }
  loads[name] = load
  return setmetatable({
    name = name,
    load = load,
    next_at = 0,
    interval_s = opts.rps and 1 / opts.rps,
    connections = opts.connections and channels.channel(opts.connections),
  }, Pace)
end

return { new = new, hold = hold }
