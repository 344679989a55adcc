-- units.lua: sizes, durations, CPUs and times as people write them and as engines want them.
-- SPDX-License-Identifier: MIT
--
-- Each reader gives the value, or nil and what was expected.
local time = require "ctz.time"

local floor, math_type, tointeger = math.floor, math.type, math.tointeger
local pcall, tonumber, type = pcall, tonumber, type

local MAX <const> = 2 ^ 63 -- the first that int64 cannot hold
local NANO <const> = 1000000000
local FACTORS <const> = { b = 1, k = 1 << 10, m = 1 << 20, g = 1 << 30, t = 1 << 40, p = 1 << 50 }

local SIZE <const> = "a size such as \"512m\", \"1.5g\" or a number of bytes"
local DURATION <const> = "a duration such as \"1m30s\" or a number of seconds"
local CPUS <const> = "a number of CPUs such as \"1.5\""
local TIMESTAMP <const> = "a time such as \"2024-05-01T12:00:00Z\" or seconds since 1970"

local function to_integer(value)
  if value >= 0 and value < MAX then -- not nan
    return tointeger(floor(value))
  end
  return nil
end

-- "512m", "1.5g", "2GiB", "1024" or a number -> bytes. The units are binary, as in docker run.
-- Source: github.com/docker/go-units, size.go, RAMInBytes.
local function bytes(value)
  if type(value) == "number" then
    return tointeger(value) and to_integer(value), SIZE
  elseif type(value) ~= "string" then
    return nil, SIZE
  end
  local number, suffix = value:lower():match "^(%d*%.?%d*) ?(%a*)$"
  number = number and (tointeger(number) or tonumber(number))
  local unit, rest = (suffix or ""):match "^(%a?)(%a*)$"
  local factor = unit == "" and 1 or FACTORS[unit]
  if not number or not factor or not (rest == "" or unit ~= "b" and (rest == "b" or rest == "ib")) then
    return nil, SIZE
  end
  return to_integer(number * 1.0 * factor), SIZE
end

-- "1m30s", "250ms" or seconds -> nanoseconds.
local function nanoseconds(value)
  local seconds = value
  if type(value) == "string" then
    local ok, parsed = pcall(time.parse_duration, value)
    seconds = ok and parsed
  end
  if type(seconds) ~= "number" then
    return nil, DURATION
  elseif math_type(seconds) == "integer" and seconds >= 0 and seconds < MAX // NANO then
    return seconds * NANO
  end
  return to_integer(seconds * NANO + 0.5), DURATION
end

-- "1.5" or 1.5 -> 1500000000.
local function nano_cpus(value)
  local number = value
  if type(value) == "string" then
    number = (value:find "^%d+%.?%d*$" or value:find "^%.%d+$") and tonumber(value)
  end
  if type(number) ~= "number" then
    return nil, CPUS
  end
  return to_integer(number * NANO + 0.5), CPUS
end

-- What the engine says -> seconds since 1970, nil for Go's zero time and for "": it did not happen.
local function unix_time(text)
  if type(text) ~= "string" or text == "" or text:find "^0001%-01%-01T00:00:00" then
    return nil
  end
  return time.parse(text)
end

-- Text of a time -> seconds, and the digits of its fraction, for a float of today's seconds keeps
-- no more than about 200 ns.
local function read_time(text)
  local ok, seconds = pcall(time.parse, text)
  if ok then
    return seconds, text:match "^[^.]*%.(%d+)"
  end
  ok, seconds = pcall(time.parse_duration, text)
  if ok and text:find "%a" then -- so long ago
    return time.now() - seconds
  end
  return ok and seconds, text:match "^%d*%.(%d+)$"
end

-- A time for since= and until= of the API: seconds, RFC 3339 text, or how long ago ("10m") ->
-- "1714564800.000000000".
local function timestamp(value)
  local seconds, digits = value, nil
  if type(value) == "string" then
    seconds, digits = read_time(value)
  end
  if type(seconds) ~= "number" or not (seconds >= 0 and seconds < MAX) then
    return nil, TIMESTAMP
  end
  local whole = floor(seconds)
  if digits then
    return ("%d.%s"):format(whole, (digits .. "000000000"):sub(1, 9))
  end
  return ("%d.%09d"):format(whole, floor((seconds - whole) * NANO))
end

return {
  bytes = bytes,
  nanoseconds = nanoseconds,
  nano_cpus = nano_cpus,
  unix_time = unix_time,
  timestamp = timestamp,
}
