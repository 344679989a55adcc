-- image/source/transfer.lua: how a blob gets from a reader into a layout, a file or nowhere.
-- SPDX-License-Identifier: MIT
local store = require "ctz.core.store"
local task = require "ctz.core.task"

local error, pcall, type = error, pcall, type

local BUSY_PAUSE_S <const> = 0.05

-- Waits while another task or process writes the same blob. -> "open"|"whole", offset
local function open_writer(writer)
  while true do
    local state, begun = writer:open()
    if state ~= "busy" then
      return state, begun and writer:read_again() or 0
    end
    task.sleep(BUSY_PAUSE_S)
  end
end

local function pump(reader, writer, on_bytes)
  for chunk in reader.read, reader do
    local size = #chunk
    writer:write(chunk)
    on_bytes(size)
  end
end

local function try_blob(folder, descriptor, open, opts, resume)
  local writer <close> = store.blob(folder, descriptor.digest, descriptor.size,
    { resume = resume })
  local state, offset = open_writer(writer)
  if state == "whole" then
    return "exists", 0
  end
  opts.on_bytes(offset)
  if offset < descriptor.size or descriptor.size == 0 then
    local reader <close> = open(offset)
    pump(reader, writer, opts.on_bytes)
  end
  local ok, err = pcall(writer.commit, writer)
  if not ok then
    return "failed", offset, err
  end
  return offset > 0 and "resumed" or "copied", offset
end

-- to_layout(folder, descriptor, open, opts) -> "copied"|"resumed"|"exists". open(offset) gives a reader
-- from there on; opts: on_bytes(n), resume=. What a process that died left may be damaged: then all
-- is read once more.
local function to_layout(folder, descriptor, open, opts)
  local state, offset, err = try_blob(folder, descriptor, open, opts, opts.resume ~= false)
  if state == "failed" and offset > 0 and type(err) == "table" and err.kind == "digest" then
    opts.on_bytes(-descriptor.size)
    state, offset, err = try_blob(folder, descriptor, open, opts, false)
  end
  if state == "failed" then
    error(err, 0)
  end
  return state, offset
end

-- A reader whose bytes are compared with the descriptor; the last of them come only when all is right.
local Checked = { __name = "ctz.image.checked" }
Checked.__index = Checked

function Checked:read()
  local chunk = self.next
  if chunk == nil then
    return nil
  end
  self.next = self:take()
  return chunk
end

function Checked:take()
  local chunk = self.reader:read()
  if chunk ~= nil then
    return self.check:write(chunk)
  end
  self.check:commit()
end

function Checked:close()
  self.check:close()
  self.reader:close()
end

Checked.__close = Checked.close

local function checked(reader, descriptor)
  local self = setmetatable({ reader = reader, check = store.check(descriptor.digest, descriptor.size) }, Checked)
  local ok, err = pcall(function()
    self.check:open()
    self.next = self:take()
  end)
  if not ok then
    self:close()
    error(err, 0)
  end
  return self
end

-- All of a small blob, as a string.
local function read_all(reader, most)
  local parts, size = {}, 0
  local closing <close> = reader -- luacheck: ignore closing
  for chunk in reader.read, reader do
    local text = type(chunk) == "string" and chunk or chunk:text()
    parts[#parts + 1] = text
    size = size + #text
    if size > most then
      error(task.error { kind = "size", message = ("a document of more than %d bytes"):format(most) }, 0)
    end
  end
  return table.concat(parts)
end

return { to_layout = to_layout, checked = checked, read_all = read_all }
