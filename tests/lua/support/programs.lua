-- programs.lua: which programs run, for specs that must leave none behind.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local programs = {}

local function content(path)
  local file <close> = io.open(path, "rb")
  return file and file:read "a" or nil
end

-- Processes that hold the text in their command line: a list of {pid=, state=, text=}. Zombies too.
function programs.with(text)
  local found = {}
  for _, name in ipairs(ctz.fs.list "/proc") do
    local line = name:find "^%d+$" and content("/proc/" .. name .. "/cmdline")
    if line and line:find(text, 1, true) then
      found[#found + 1] = { pid = tonumber(name), text = line:gsub("\0", " ") }
    end
  end
  return found
end

-- Waits until that many hold the text, and returns them. (A program that was just started has no
-- command line for a moment.)
function programs.await(text, count)
  local found
  repeat
    found = programs.with(text)
    ctz.sleep(#found == count and 0 or 0.005)
  until #found == count
  return found
end

-- Our own children that have ended and that nobody has reaped.
function programs.zombies()
  local count = 0
  for _, name in ipairs(ctz.fs.list "/proc") do
    local stat = name:find "^%d+$" and content("/proc/" .. name .. "/stat")
    local state, parent = (stat or ""):match "%) (%a) (%d+)"
    if state == "Z" and tonumber(parent) == programs.self() then
      count = count + 1
    end
  end
  return count
end

function programs.self()
  return tonumber((content "/proc/self/stat"):match "^%d+")
end

-- A number of seconds that no other sleep has: a mark to find it by.
local last = 0
function programs.nap()
  last = last + 1
  return ("%d.%06d"):format(3000 + programs.self() % 1000, last)
end

-- Open descriptors of this process.
function programs.descriptors()
  return #ctz.fs.list "/proc/self/fd"
end

return programs
