-- kubernetes/pace.lua: how fast a cluster is asked, by all tasks together: requests at once, requests a
-- second, and the pause that all make when the server says it has too much to do.
-- SPDX-License-Identifier: MIT
local channels = require "ctz.core.channel"
local monotonic = require("ctz.time").monotonic
local task = require "ctz.core.task"

local error, pcall, setmetatable = error, pcall, setmetatable
local max, min, random = math.max, math.min, math.random

local BURST <const> = 300 -- requests that go without waiting for the rate
local FIRST_S <const>, LONGEST_S <const> = 0.1, 5 -- of our own pauses

local Pace = {}
Pace.__index = Pace

local Permit = {
  __close = function(self)
    self.places:receive()
  end,
}

-- A bucket of tokens that fills by `rps` a second.
local function take_token(self)
  local now = monotonic()
  self.tokens = min(BURST, self.tokens + (now - self.at) * self.rps) - 1
  self.at = now
  if self.tokens < 0 then
    task.sleep(-self.tokens / self.rps)
  end
end

local function wait_for_turn(self)
  if self.rps then
    take_token(self)
  end
  while self.until_at > monotonic() do
    task.sleep(self.until_at - monotonic())
  end
end

-- Waits until one more request may be sent; close the permit when its answer was read.
function Pace:enter()
  self.places:send(true)
  local ok, err = pcall(wait_for_turn, self)
  if not ok then
    self.places:receive()
    error(err, 0)
  end
  return setmetatable({ places = self.places }, Permit)
end

-- Seconds before the next try of a request: at least as long as the server asked. Full jitter between
-- half and all of an exponential step.
function Pace:pause_of(asked, try) -- luacheck: ignore 212
  local pause = min(LONGEST_S, FIRST_S * 2 ^ (try - 1)) * (0.5 + random() / 2)
  return asked and max(pause, asked * (1 + random() / 20)) or pause
end

-- The server has too much to do: nobody asks it for so long.
function Pace:slow_down(pause)
  self.until_at = max(self.until_at, monotonic() + pause)
end

-- new{requests = most at once, rps = most a second, 0: no bound}
local function new(opts)
  local rps = opts.rps or 100
  return setmetatable({
    places = channels.channel(max(1, opts.requests or 8)),
    rps = rps > 0 and rps or nil,
    tokens = BURST,
    at = monotonic(),
    until_at = 0,
  }, Pace)
end

return { new = new }
