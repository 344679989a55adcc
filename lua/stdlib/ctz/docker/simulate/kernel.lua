-- docker/simulate/kernel.lua: the clock of a simulated engine, what is due, and who waits for a change.
-- SPDX-License-Identifier: MIT
--
-- Simulated programs are coroutines that nobody's task owns: every call first brings the engine to the
-- present, step by step in the order of time, so a program that was due a second ago ran a second ago.
-- A task that waits sleeps until the next step is due or another task changes something.
local channel = require "ctz.core.channel"
local task = require "ctz.core.task"
local time = require "ctz.time"

local error, ipairs, pcall, setmetatable, type = error, ipairs, pcall, setmetatable, type
local max = math.max

local Kernel = {}
Kernel.__index = Kernel

local function new()
  return setmetatable({
    skipped = 0, -- seconds that a test let pass at once
    clock = time.now(), -- seconds since 1970; behind the present only while steps are made up for
    count = 0, -- of steps ever planned: the order of those at the same time
    heap = {}, -- steps by {due, count}, the first one at 1
    waiters = {}, -- channels of tasks that wait for a change
  }, Kernel)
end

-- --- steps -------------------------------------------------------------------------------------

local function is_before(left, right)
  if left.due ~= right.due then
    return left.due < right.due
  end
  return left.count < right.count
end

local function push(heap, step)
  local at = #heap + 1
  heap[at] = step
  while at > 1 and is_before(step, heap[at // 2]) do
    heap[at], heap[at // 2] = heap[at // 2], step
    at = at // 2
  end
end

local function pop(heap)
  local first, last = heap[1], heap[#heap]
  heap[#heap] = nil
  local size, at = #heap, 1
  while size > 0 do
    local child = at * 2
    if child < size and is_before(heap[child + 1], heap[child]) then
      child = child + 1
    end
    if child > size or not is_before(heap[child], last) then
      heap[at] = last
      break
    end
    heap[at], at = heap[child], child
  end
  return first
end

-- Calls fn when the clock has come to `due`; step.fn = nil takes it back.
function Kernel:at(due, fn)
  self.count = self.count + 1
  local step = { due = max(due, self.clock), count = self.count, fn = fn }
  push(self.heap, step)
  return step
end

local function drop_taken_back(heap)
  while heap[1] and not heap[1].fn do
    pop(heap)
  end
  return heap[1]
end

-- Tasks that wait look again.
function Kernel:changed()
  local waiters = self.waiters
  if #waiters > 0 then
    self.waiters = {}
    for _, waiter in ipairs(waiters) do
      waiter:send(true) -- it holds one value, so nobody waits here
    end
  end
end

-- The time that the clock is to come to.
local function present(self)
  return time.now() + self.skipped
end

Kernel.present = present

local function run_due(self)
  local now, moved = present(self), false
  while true do
    local step = drop_taken_back(self.heap)
    if not step or step.due > now then
      break
    end
    pop(self.heap)
    self.clock, moved = max(self.clock, step.due), true
    step.fn()
  end
  self.clock = max(self.clock, now)
  return moved
end

-- Does all that is due by now. A task that comes meanwhile (a program's own function may wait) does not
-- do it a second time.
function Kernel:advance()
  if self.advancing then
    return
  end
  self.advancing = true
  local ok, moved = pcall(run_due, self)
  self.advancing = false
  if moved then
    self:changed()
  end
  if not ok then
    error(moved, 0)
  end
end

-- Time passes at once.
function Kernel:skip(seconds)
  self:advance()
  self.skipped = self.skipped + seconds
  self:advance()
  self:changed()
end

-- --- waiting -----------------------------------------------------------------------------------

-- nil: there is no next step.
local function pause(self)
  local step = drop_taken_back(self.heap)
  return step and max(0, step.due - present(self))
end

local function sleep_until_change(self)
  local seconds = pause(self)
  if self.advancing then
    seconds = nil -- who advances tells of it
  elseif seconds == 0 then
    return task.sleep(0)
  end
  local waiter = channel.channel(1)
  self.waiters[#self.waiters + 1] = waiter
  local ok, err = pcall(waiter.receive, waiter, { timeout = seconds })
  for i, other in ipairs(self.waiters) do
    if other == waiter then
      table.remove(self.waiters, i)
      break
    end
  end
  if not ok then
    if type(err) ~= "table" or err.kind ~= "timeout" then
      error(err, 0)
    end
    task.sleep(0) -- raises when it was not our own time that ran out
  end
end

-- Waits until ready() gives a true value, and returns it.
function Kernel:wait(ready)
  while true do
    self:advance()
    local value = ready()
    if value then
      return value
    end
    sleep_until_change(self)
  end
end

return { new = new }
