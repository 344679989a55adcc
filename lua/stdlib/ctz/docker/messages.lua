-- docker/messages.lua: JSON objects that follow each other in a stream of the engine.
-- SPDX-License-Identifier: MIT
--
-- Each ends with a line end (application/json, x-ndjson) or begins with a record separator (json-seq);
-- the stream is cut into chunks anywhere. So an object ends where its braces say.
local host = require "ctz.core.host"
local json = require "ctz.json"
local task = require "ctz.core.task"

local error, ipairs, pcall, setmetatable = error, ipairs, pcall, setmetatable
local byte, find, sub = string.byte, string.find, string.sub
local concat = table.concat

local BIG <const> = { big = "float" }
local SHOWN_BYTES <const> = 200
local QUOTE <const>, OPEN <const> = 34, 123

local function message_limit()
  for _, limit in ipairs(host.limits()) do
    if limit.name == "message_bytes" then
      return limit.value
    end
  end
end

local function fail(self, kind, text, ...)
  error(task.error {
    kind = kind,
    op = self.op,
    message = text:format(...),
    target = self.target,
    hint = kind == "size" and "--limit message_bytes=N allows longer ones" or nil,
  }, 0)
end

-- --- cutting -----------------------------------------------------------------------------------

local Cutter = {}
Cutter.__index = Cutter

-- The rest of a chunk, within an object.
local function keep(self, text)
  self.parts[#self.parts + 1] = text
  self.size = self.size + #text
  if self.size > self.limit then
    fail(self, "size", "a message of the engine is longer than %d bytes", self.limit)
  end
end

local function complete(self, text)
  local texts = self.texts
  if #self.parts > 0 then
    keep(self, text)
    text = concat(self.parts)
    self.parts, self.size = {}, 0
  elseif #text > self.limit then
    keep(self, text)
  end
  texts[#texts + 1] = text
end

-- Where a text goes on behind its next quote or backslash, nil when this is in the next chunk.
local function pass_text(self, chunk, at)
  local found = find(chunk, '["\\]', at)
  if not found then
    return nil
  elseif byte(chunk, found) == QUOTE then
    self.in_text = false
    return found + 1
  end
  self.skip = found == #chunk and 1 or 0 -- what is escaped comes with the next chunk
  return found + 2
end

-- Puts the objects that end in this chunk into self.texts.
local function feed(self, chunk)
  local start, at = 1, 1 + self.skip
  self.skip = 0
  while at do
    if self.in_text then
      at = pass_text(self, chunk, at)
    elseif self.depth == 0 then
      start = find(chunk, "[^%s\30]", at)
      if not start then
        return
      elseif byte(chunk, start) ~= OPEN then
        fail(self, "protocol", "the engine sent something else than messages: %q",
          sub(chunk, start, start + SHOWN_BYTES):gsub("%s+$", ""))
      end
      self.depth, at = 1, start + 1
    else
      local found = find(chunk, '["{}]', at)
      local what = found and byte(chunk, found)
      at = found and found + 1
      if what == QUOTE then
        self.in_text = true
      elseif what == OPEN then
        self.depth = self.depth + 1
      elseif what then
        self.depth = self.depth - 1
        if self.depth == 0 then
          complete(self, sub(chunk, start, found))
        end
      end
    end
  end
  keep(self, sub(chunk, start))
end

-- --- reading -----------------------------------------------------------------------------------

local function read(self)
  local ok, chunk = pcall(self.stream.read, self.stream)
  if not ok then
    self:close()
    error(self.client:failure(chunk, self.about), 0)
  elseif chunk then
    self.at, self.texts = 0, {}
    feed(self, chunk)
  else
    self:close()
    if self.depth > 0 then
      fail(self, "protocol", "the engine's answer ends in the middle of a message")
    end
  end
  return chunk
end

local function next_message(self)
  while self.at >= #self.texts do
    if self.ended or not read(self) then
      return nil
    end
  end
  self.at = self.at + 1
  local text = self.texts[self.at]
  local ok, value = pcall(json.decode, text, BIG)
  if not ok then
    self:close()
    fail(self, "protocol", "a message of the engine is not JSON: %s", value.message)
  end
  return value, text
end

function Cutter:close()
  self.ended = true
  return self.stream:close()
end

Cutter.__close = Cutter.close

-- messages(client, stream, about) -> iterator of (value, text): for message in messages(...) do. break
-- closes the stream. about: op and target, for errors; what breaks the stream raises.
local function messages(client, stream, about)
  local self = setmetatable({
    client = client,
    stream = stream,
    about = about,
    op = about.op,
    target = about.target,
    limit = message_limit(),
    depth = 0, -- of braces
    in_text = false,
    skip = 0, -- bytes of the next chunk that a backslash has dealt with
    parts = {},
    size = 0, -- of the parts
    texts = {},
    at = 0,
  }, Cutter)
  return next_message, self, nil, self
end

return messages
