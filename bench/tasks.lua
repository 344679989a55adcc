-- tasks.lua sleep|coroutines|wake: bytes of one sleeping task, of one bare coroutine, wake-ups a CPU second.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

-- Resident memory in bytes (/proc/self/statm counts pages of 4 KiB).
local function resident()
  local file <close> = assert(io.open "/proc/self/statm")
  return tonumber(file:read("a"):match "%d+ (%d+)") * 4096
end

-- The same number of Lua's own coroutines, for comparison.
local function coroutines(count)
  collectgarbage()
  local before, kept = resident(), {}
  for i = 1, count do
    kept[i] = coroutine.create(function()
      coroutine.yield()
    end)
    coroutine.resume(kept[i])
  end
  return (resident() - before) / count
end

local function sleep(count)
  collectgarbage()
  local before, during = resident(), nil
  ctz.scope(function()
    for _ = 1, count do
      ctz.spawn(function()
        ctz.sleep(0.3)
      end)
    end
    ctz.sleep(0.2)
    during = resident()
  end)
  collectgarbage()
  return (during - before) / count
end

-- Two tasks hand values to and fro, so that each value wakes its receiver.
local function wake(count)
  local there, back = ctz.channel(), ctz.channel()
  local start = os.clock() -- CPU seconds: the figure is of one core, whatever else runs
  ctz.scope(function()
    ctz.spawn(function()
      for i = 1, count do
        there:send(i)
        back:receive()
      end
      there:close()
    end)
    ctz.spawn(function()
      for _ in there:each() do
        back:send(true)
      end
    end)
  end)
  return 2 * count / (os.clock() - start)
end

local measure = { sleep = sleep, wake = wake, coroutines = coroutines }
local count = { sleep = 100000, wake = 1000000, coroutines = 100000 }
local which = ...
print(("%.0f"):format(measure[which](count[which])))
