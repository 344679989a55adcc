-- docker/logs.lua: what a container has written.
-- SPDX-License-Identifier: MIT
local attach = require "ctz.docker.attach"
local check = require("ctz.docker.options").check
local object = require "ctz.docker.object"
local units = require "ctz.docker.units"

local error, pcall = error, pcall

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
  local stream = client:stream("GET", path .. "/logs", {
    op = op,
    target = target,
    timeout = opts.timeout,
    query = {
      stdout = opts.stdout ~= false,
      stderr = opts.stderr ~= false,
      follow = opts.follow or false,
      timestamps = opts.timestamps or false,
      tail = opts.tail,
      since = opts.since and units.timestamp(opts.since),
      ["until"] = opts["until"] and units.timestamp(opts["until"]),
    },
  })
  local ok, tty = pcall(is_terminal, stream, client, container, path, about)
  if not ok then
    stream:close()
    error(tty, 0)
  end
  about.client, about.source = client, stream
  return attach.wrap(about, { tty = tty, timestamps = opts.timestamps }):lines()
end

return logs
