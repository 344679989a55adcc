-- ctz.time: clocks, and times and durations as texts.
-- SPDX-License-Identifier: MIT
--
-- Times are seconds since 1970-01-01 00:00 UTC, without leap seconds; the text form is RFC 3339.
local core = require "ctz.core.system".time
local new_error = require "ctz.core.task".error

local floor, huge, tointeger = math.floor, math.huge, math.tointeger
local concat = table.concat
local ipairs, tonumber, type = ipairs, tonumber, type

local DAY_S <const> = 86400
local FIRST_S <const>, LAST_S <const> = -62167219200, 253402300800 -- the years 0000 to 9999

local function usage(fn, text, ...)
  error(new_error { kind = "usage", op = "time." .. fn, message = text:format(...) }, 3)
end

local function check(value, expected, name, fn)
  if type(value) ~= expected then
    usage(fn, "bad argument '%s' to 'time.%s': expected %s, got %s", name, fn, expected, type(value))
  end
end

-- Days since 1970-01-01 and back, in the Gregorian calendar: Howard Hinnant, "chrono-Compatible
-- Low-Level Date Algorithms". An era has 400 years, a year begins in March.
local function days_of(year, month, day)
  year = month <= 2 and year - 1 or year
  local era = year // 400
  local year_of_era = year - era * 400
  local day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
  return era * 146097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719468
end

local function date_of(days)
  days = days + 719468
  local era = days // 146097
  local day_of_era = days - era * 146097
  local year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
  local day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
  local shifted = (5 * day_of_year + 2) // 153
  local month = (shifted + 2) % 12 + 1
  local year = year_of_era + era * 400 + (month <= 2 and 1 or 0)
  return year, month, day_of_year - (153 * shifted + 2) // 5 + 1
end

-- "+02:00" in seconds; nil when it is none.
local function offset_of(text)
  if text == "Z" or text == "z" then
    return 0
  end
  local sign, hours, minutes = text:match "^([+-])(%d%d):(%d%d)$"
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then
    return nil
  end
  return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
end

--- ctz.time.format(time, opts?) -> string
--- A time as RFC 3339 text.
--- @param time number  seconds since 1970
--- @param opts.offset? string  of the zone: "Z" (default), "+02:00"
--- @param opts.digits? integer  of the fraction of a second, 0 (default) to 9
--- @return string
--- @error usage  it is no time between the years 0 and 9999
--- @example assert(ctz.time.format(0) == "1970-01-01T00:00:00Z")
--- @example assert(ctz.time.format(1.25, {offset = "+01:30", digits = 3}) == "1970-01-01T01:30:01.250+01:30")
local function format(time, opts)
  check(time, "number", "time", "format")
  opts = opts or {}
  check(opts, "table", "opts", "format")
  for name in pairs(opts) do
    if name ~= "offset" and name ~= "digits" then
      usage("format", "unknown option '%s' to 'time.format'; it takes offset, digits", name)
    end
  end
  local zone, digits = opts.offset or "Z", opts.digits or 0
  local offset_s = type(zone) == "string" and offset_of(zone)
  if not offset_s then
    usage("format", "bad argument 'opts.offset' to 'time.format': expected \"Z\" or \"+02:00\"")
  elseif not tointeger(digits) or digits < 0 or digits > 9 then
    usage("format", "bad argument 'opts.digits' to 'time.format': expected 0 to 9")
  end
  local scale = 10 ^ digits
  local whole = floor(time)
  local fraction = floor((time - whole) * scale)
  whole = tointeger(whole + offset_s) -- nil: inf, nan and what is too far away
  if not whole or whole < FIRST_S or whole >= LAST_S then
    usage("format", "no time between the years 0 and 9999: %s", time)
  end
  local year, month, day = date_of(whole // DAY_S)
  local rest = whole % DAY_S
  local text = ("%04d-%02d-%02dT%02d:%02d:%02d"):format(year, month, day, rest // 3600, rest // 60 % 60, rest % 60)
  if digits > 0 then
    text = text .. (".%0" .. tointeger(digits) .. "d"):format(tointeger(fraction))
  end
  return text .. (offset_s == 0 and zone:upper() == "Z" and "Z" or zone)
end

local function days_in(year, month)
  local next_year, next_month = month == 12 and year + 1 or year, month % 12 + 1
  return days_of(next_year, next_month, 1) - days_of(year, month, 1)
end

--- ctz.time.parse(text) -> number
--- The time that an RFC 3339 text names, in seconds since 1970: an integer unless it has a fraction.
--- @param text string  "2024-05-01T12:00:00Z", "2024-05-01 12:00:00.5+02:00"
--- @return number
--- @error usage  it is no such text, or names a day that does not exist
--- @example assert(ctz.time.parse("1970-01-02T00:00:00Z") == 86400)
--- @example assert(ctz.time.parse("1970-01-01T01:00:00.5+01:00") == 0.5)
local function parse(text)
  check(text, "string", "text", "parse")
  local year, month, day, hour, minute, second, rest =
    text:match "^(%d%d%d%d)%-(%d%d)%-(%d%d)[Tt ](%d%d):(%d%d):(%d%d)(.+)$"
  local fraction, zone = (rest or ""):match "^(%.%d+)(.+)$"
  local offset_s = offset_of(zone or rest or "")
  if not year or not offset_s then
    usage("parse", "not a time: \"%s\" (RFC 3339: 2024-05-01T12:00:00Z)", text)
  end
  year, month, day = tointeger(year), tointeger(month), tointeger(day)
  hour, minute, second = tointeger(hour), tointeger(minute), tointeger(second)
  local is_day = month >= 1 and month <= 12 and day >= 1 and day <= days_in(year, month)
  if not is_day or hour > 23 or minute > 59 or second > 60 then -- 60: a leap second
    usage("parse", "no such time: \"%s\"", text)
  end
  local time = days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second - offset_s
  return fraction and time + tonumber(fraction) or time
end

local UNITS <const> = {
  { "d", 86400 },
  { "h", 3600 },
  { "m", 60 },
  { "s", 1 },
  { "ms", 1e-3 },
  { "us", 1e-6 },
  { "ns", 1e-9 },
}
local SECONDS_OF <const> = {}
for _, unit in ipairs(UNITS) do
  SECONDS_OF[unit[1]] = unit[2]
end

--- ctz.time.parse_duration(text) -> ctz.seconds
--- A duration such as "1m30s", "2h", "1.5s", "250ms", "1d" in seconds. A number without a unit is
--- seconds.
--- @param text string
--- @return ctz.seconds
--- @error usage  it is no duration
--- @example assert(ctz.time.parse_duration("1m30s") == 90 and ctz.time.parse_duration("250ms") == 0.25)
local function parse_duration(text)
  check(text, "string", "text", "parse_duration")
  local plain = text:match "^%d+%.?%d*$" or text:match "^%.%d+$"
  if plain then
    return tonumber(plain)
  end
  local total, at = 0, 1
  while at <= #text do
    local number, unit, next_at = text:match("^(%d*%.?%d*)(%a+)()", at)
    if not number or not tonumber(number) or not SECONDS_OF[unit] then
      at = nil
      break
    end
    local value = tointeger(number) or tonumber(number)
    -- Divided where a unit is a fraction of a second: 250 / 1000 is exact where 250 * 0.001 is not.
    local seconds = SECONDS_OF[unit]
    total = total + (seconds < 1 and value / floor(1 / seconds + 0.5) or value * seconds)
    at = next_at
  end
  if not at or at == 1 then
    usage("parse_duration", "not a duration: \"%s\" (1m30s, 2h, 250ms)", text)
  end
  return total
end

--- ctz.time.format_duration(seconds) -> string
--- A duration for people: "1m30s", "2h5m", "1.5s", "250ms". What is small against the whole is left
--- out: at most two units are shown.
--- @param seconds ctz.seconds
--- @return string
--- @example assert(ctz.time.format_duration(90) == "1m30s" and ctz.time.format_duration(0.25) == "250ms")
local function format_duration(seconds)
  check(seconds, "number", "seconds", "format_duration")
  if seconds < 0 then
    return "-" .. format_duration(-seconds)
  elseif seconds ~= seconds or seconds == huge then
    return seconds == huge and "forever" or "?"
  elseif seconds < 0.9995 then
    return seconds == 0 and "0s" or seconds < 0.0009995 and ("%.3gus"):format(seconds * 1e6)
      or ("%.3gms"):format(seconds * 1e3)
  elseif seconds < 59.95 then
    return (("%.1f"):format(seconds):gsub("%.0$", "")) .. "s"
  end
  local left, parts = floor(seconds + 0.5), {}
  for i = 1, 4 do
    local name, size = UNITS[i][1], UNITS[i][2]
    local count = left // size
    left = left % size
    if count > 0 then
      parts[#parts + 1] = ("%d%s"):format(count, name)
    end
    if #parts == 2 or (#parts == 1 and count == 0) then
      break
    end
  end
  return concat(parts)
end

return {
  now = core.now,
  monotonic = core.monotonic,
  format = format,
  parse = parse,
  parse_duration = parse_duration,
  format_duration = format_duration,
}
