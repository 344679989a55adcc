-- docker/simulate/streams.lua: what the engine sends and takes piece by piece, in memory.
-- SPDX-License-Identifier: MIT
local new_error = require("ctz.core.task").error

local error, setmetatable = error, setmetatable
local concat, remove = table.concat, table.remove
local find, pack, sub = string.find, string.pack, string.sub

-- --- pipes -------------------------------------------------------------------------------------

-- Bytes from whoever writes to the one who reads. on_change is called when there are more, or no more.
local Pipe = {}
Pipe.__index = Pipe

local function pipe(on_change)
  return setmetatable({ parts = {}, on_change = on_change or function() end }, Pipe)
end

-- False: nobody will read it.
function Pipe:push(bytes)
  if self.closed or self.abandoned then
    return false
  end
  if bytes ~= "" then
    self.parts[#self.parts + 1] = bytes
    self.on_change()
  end
  return true
end

-- No more is written.
function Pipe:close()
  if not self.closed then
    self.closed = true
    self.on_change()
  end
end

-- No more is read.
function Pipe:abandon()
  self.abandoned, self.parts = true, {}
  self.on_change()
end

-- Bytes, nil when there are none; at most n of them.
function Pipe:take(n)
  local first = self.parts[1]
  if not first then
    return nil
  elseif n and #first > n then
    self.parts[1] = sub(first, n + 1)
    return sub(first, 1, n)
  end
  return remove(self.parts, 1)
end

-- A line with its end, or the rest when no more is written; nil: it has not come yet.
function Pipe:take_line()
  local text = concat(self.parts)
  if text == "" then
    return nil
  end
  local stop = find(text, "\n", 1, true)
  if not stop and not self.closed then
    self.parts = { text }
    return nil
  end
  stop = stop or #text
  self.parts = stop < #text and { sub(text, stop + 1) } or {}
  return sub(text, 1, stop)
end

-- --- frames ------------------------------------------------------------------------------------

local NUMBERS <const> = { stdout = 1, stderr = 2 }

-- The engine's frame of what was written to a stream; with a terminal there are none.
local function frame(stream, bytes, tty)
  return tty and bytes or pack(">I1xxxs4", NUMBERS[stream], bytes)
end

-- --- what the client gives -----------------------------------------------------------------------

-- A stream of ctz.http. source.next() gives bytes, waiting for them, or nil at the end; source.close()
-- is called once.
local Stream = { __name = "ctz.docker.simulate.stream" }
Stream.__index = Stream

local function stream(status, headers, source)
  return setmetatable({ status = status, headers = headers, source = source, rest = "" }, Stream)
end

function Stream:close()
  if not self.ended then
    self.ended = true
    if self.source.close then
      self.source.close()
    end
  end
  return true
end

Stream.__close = Stream.close

local function next_bytes(self)
  if self.rest ~= "" then
    local bytes = self.rest
    self.rest = ""
    return bytes
  end
  local bytes = not self.ended and self.source.next() or nil
  if not bytes then
    self:close()
  end
  return bytes
end

function Stream:read(n)
  local bytes = next_bytes(self)
  if not n or not bytes then
    return bytes
  end
  local parts, size = { bytes }, #bytes
  while size < n do
    bytes = next_bytes(self)
    if not bytes then
      break
    end
    parts[#parts + 1], size = bytes, size + #bytes
  end
  local all = concat(parts)
  self.rest = sub(all, n + 1)
  return sub(all, 1, n)
end

function Stream:chunks()
  return next_bytes, self, nil, self
end

local function next_line(self)
  local parts = {}
  while true do
    local bytes = next_bytes(self)
    if not bytes then
      return #parts > 0 and concat(parts) or nil
    end
    local stop = find(bytes, "\n", 1, true)
    parts[#parts + 1] = stop and sub(bytes, 1, stop - 1) or bytes
    if stop then
      self.rest = sub(bytes, stop + 1)
      return (concat(parts):gsub("\r$", ""))
    end
  end
end

function Stream:lines()
  return next_line, self, nil, self
end

-- Both ways. source.write(bytes) gives false when nobody takes them; source.close_write().
local Connection = setmetatable({ __name = "ctz.docker.simulate.connection" }, { __index = Stream })
Connection.__index = Connection
Connection.__close = Stream.close

local function connection(headers, source)
  return setmetatable({ status = 101, headers = headers, source = source, rest = "" }, Connection)
end

function Connection:write(bytes)
  if self.ended or not self.source.write(bytes) then
    error(new_error { kind = "unreachable", message = "the connection was closed by the other side" }, 0)
  end
  return true
end

function Connection:close_write()
  self.source.close_write()
  return true
end

-- A source of pieces that are all there.
local function source_of(parts)
  local at = 0
  return {
    next = function()
      at = at + 1
      return parts[at]
    end,
  }
end

return { pipe = pipe, frame = frame, stream = stream, connection = connection, source_of = source_of }
