---@meta ctz.time
-- Generated from the doc comments; do not edit.

---clocks, and times and durations as texts.
---@class ctz.time
local time = {}

---@class ctz.time.format.opts
---@field offset? string  of the zone: "Z" (default), "+02:00"
---@field digits? integer  of the fraction of a second, 0 (default) to 9

---A time as RFC 3339 text.
---@param time number  seconds since 1970
---@param opts? ctz.time.format.opts
---@return string
function time.format(time, opts) end

---A duration for people: "1m30s", "2h5m", "1.5s", "250ms". What is small against the whole is left out: at most two units are shown.
---@param seconds ctz.seconds
---@return string
function time.format_duration(seconds) end

---Seconds since some moment, never going back.
---@return number
function time.monotonic() end

---Seconds since 1970-01-01 00:00 UTC, with a fraction. It jumps when the machine's clock is set: durations are differences of ctz.time.monotonic.
---@return number
function time.now() end

---The time that an RFC 3339 text names, in seconds since 1970: an integer unless it has a fraction.
---@param text string  "2024-05-01T12:00:00Z", "2024-05-01 12:00:00.5+02:00"
---@return number
function time.parse(text) end

---A duration such as "1m30s", "2h", "1.5s", "250ms", "1d" in seconds. A number without a unit is seconds.
---@param text string
---@return ctz.seconds
function time.parse_duration(text) end

return time
