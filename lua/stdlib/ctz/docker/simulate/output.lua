-- docker/simulate/output.lua: what a simulated container writes: its log, and who is attached.
-- SPDX-License-Identifier: MIT
local create = require "ctz.docker.simulate.create"
local engines = require "ctz.docker.simulate.engine"
local streams = require "ctz.docker.simulate.streams"

local error, ipairs, math, tonumber = error, ipairs, math, tonumber
local find, gsub, sub = string.find, string.gsub, string.sub

local ENTRY_BYTES <const> = 16384 -- a longer line is several entries, as the engine keeps it

local refuse, stamp = engines.refuse, engines.stamp

local output = {}

-- --- writing -----------------------------------------------------------------------------------

local function add_entry(container, stream, text)
  local log = container.log
  log[#log + 1] = { time = container.engine.kernel.clock, stream = stream, text = text }
end

-- Lines become entries when they are complete, or long.
local function log_bytes(container, stream, bytes)
  local rest = container.unfinished[stream] .. bytes
  local at = 1
  while true do
    local stop = find(rest, "\n", at, true)
    if stop and stop - at < ENTRY_BYTES then
      add_entry(container, stream, sub(rest, at, stop))
      at = stop + 1
    elseif #rest - at + 1 >= ENTRY_BYTES then
      add_entry(container, stream, sub(rest, at, at + ENTRY_BYTES - 1))
      at = at + ENTRY_BYTES
    else
      break
    end
  end
  container.unfinished[stream] = sub(rest, at)
end

-- The end of the first process: a last line without its end is an entry too.
function output.finish(container)
  for _, stream in ipairs { "stdout", "stderr" } do
    if container.unfinished[stream] ~= "" then
      add_entry(container, stream, container.unfinished[stream])
      container.unfinished[stream] = ""
    end
  end
  for _, listener in ipairs(container.attached) do
    listener.pipe:close()
  end
  container.attached = {}
end

-- What the first process writes.
function output.write(container, stream, bytes)
  local tty = container.config.Tty
  if tty then
    stream, bytes = "stdout", gsub(bytes, "\n", "\r\n")
  end
  log_bytes(container, stream, bytes)
  for _, listener in ipairs(container.attached) do
    if listener[stream] then
      listener.pipe:push(streams.frame(stream, bytes, tty))
    end
  end
  container.engine.kernel:changed()
end

-- --- logs --------------------------------------------------------------------------------------

local function is_wanted(entry, wish)
  return wish[entry.stream]
    and (not wish.since or entry.time >= wish.since)
    and (not wish.till or entry.time <= wish.till)
end

local function shown(container, entry, wish)
  local text = wish.timestamps and stamp(entry.time) .. " " .. entry.text or entry.text
  return streams.frame(entry.stream, text, container.config.Tty)
end

-- Where the last entries begin: they are counted before streams and times are chosen, as the engine does.
local function tail_begin(container, wish)
  return wish.tail and math.max(1, #container.log - wish.tail + 1) or 1
end

local function is_over(container, wish)
  return not wish.follow
    or container.removed
    or not container.state.running
    or wish.till and container.engine.kernel.clock > wish.till
end

-- A source (see streams.stream) of what the log holds and, with wish.follow, of what comes.
function output.reader(container, wish)
  local kernel, at = container.engine.kernel, tail_begin(container, wish)
  local function next_bytes()
    local parts, size = {}, 0
    while container.log[at] and size < 65536 do
      local entry = container.log[at]
      at = at + 1
      if is_wanted(entry, wish) then
        parts[#parts + 1] = shown(container, entry, wish)
        size = size + #parts[#parts]
      end
    end
    return #parts > 0 and table.concat(parts) or nil
  end
  return {
    next = function()
      local bytes
      kernel:wait(function()
        bytes = next_bytes()
        return bytes or is_over(container, wish)
      end)
      if not bytes and container.failure then
        error(container.failure, 0)
      end
      return bytes
    end,
  }
end

local function is_true(value)
  return value == "1" or value == "true"
end

local function headers_of(container, api_number)
  local form = (api_number < 1042 or container.config.Tty) and "raw" or "multiplexed"
  return { ["content-type"] = ("application/vnd.docker.%s-stream"):format(form) }
end

output.headers_of = headers_of

function output.logs(engine, query, name)
  local container = engine:container(name)
  if not is_true(query.stdout) and not is_true(query.stderr) then
    refuse(400, "Bad parameters: you must choose at least one stream")
  end
  local wish = {
    stdout = is_true(query.stdout),
    stderr = is_true(query.stderr),
    follow = is_true(query.follow),
    timestamps = is_true(query.timestamps),
    tail = math.tointeger(tonumber(query.tail or "")),
    since = engines.time_of(engine, query.since),
    till = engines.time_of(engine, query["until"]),
  }
  local headers = engine.number < 1042 and {} or headers_of(container, engine.number)
  return 200, nil, { stream = output.reader(container, wish), headers = headers }
end

-- --- attach ------------------------------------------------------------------------------------

-- What a terminal does with typed bytes: it shows them.
local function type_bytes(container, stdin, bytes)
  if container.config.Tty then
    output.write(container, "stdout", bytes)
  end
  return stdin:push(bytes)
end

local function wish_of(query)
  return { stdout = is_true(query.stdout), stderr = is_true(query.stderr) }
end

function output.attach(engine, query, name)
  local container, kernel = engine:container(name), engine.kernel
  local wish = wish_of(query)
  if container.state.paused then
    refuse(409, "container %s is paused, unpause the container before attach", container.id)
  end
  local listener = { pipe = streams.pipe(function()
    kernel:changed()
  end), stdout = wish.stdout, stderr = wish.stderr }
  if is_true(query.logs) then
    for _, entry in ipairs(container.log) do
      if is_wanted(entry, wish) then
        listener.pipe:push(shown(container, entry, wish))
      end
    end
  end
  if is_true(query.stream) and (container.state.running or container.state.status == "created") then
    container.attached[#container.attached + 1] = listener
  else
    listener.pipe:close()
  end
  create.tell(container, "attach")
  local stdin = is_true(query.stdin) and container.config.OpenStdin and container.stdin
  return 101, nil, {
    headers = headers_of(container, engine.number),
    connection = output.conversation(container, listener.pipe, stdin, function(bytes)
      return type_bytes(container, stdin, bytes)
    end),
  }
end

-- A source of a connection: what comes out of a pipe, and what goes to the standard input (nil: nothing).
function output.conversation(container, pipe, stdin, write)
  local kernel = container.engine.kernel
  return {
    next = function()
      local bytes
      kernel:wait(function()
        bytes = pipe:take()
        return bytes or pipe.closed
      end)
      if not bytes and container.failure then
        error(container.failure, 0)
      end
      return bytes
    end,
    write = function(bytes)
      kernel:advance()
      local taken = stdin and write(bytes)
      kernel:advance()
      return taken
    end,
    close_write = function()
      if stdin then
        stdin:close()
        kernel:advance()
      end
    end,
    close = function()
      if stdin and container.config.StdinOnce then
        stdin:close()
      end
      pipe:abandon()
      for i, listener in ipairs(container.attached) do
        if listener.pipe == pipe then
          table.remove(container.attached, i)
          break
        end
      end
    end,
  }
end

return output
