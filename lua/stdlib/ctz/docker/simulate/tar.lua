-- docker/simulate/tar.lua: files of a simulated container as a tar archive, in and out.
-- SPDX-License-Identifier: MIT
-- Source: POSIX ustar and pax; the long names of GNU. Files and folders only: ours have no links, modes or
-- owners.
local unsupported = require("ctz.docker.simulate.program_options").unsupported

local ipairs, math, tonumber, tostring = ipairs, math, tonumber, tostring
local concat = table.concat
local byte, find, format, match = string.byte, string.find, string.format, string.match
local rep, sub = string.rep, string.sub

local BLOCK <const> = 512
local NAME_BYTES <const> = 100
local FOLDER <const>, FILE <const>, PAX <const>, LONG_NAME <const> = "5", "0", "x", "L"

-- --- reading -----------------------------------------------------------------------------------

local function text_at(header, first, size)
  return match(sub(header, first, first + size - 1), "^[^\0]*")
end

-- Octal digits, or the big-endian number of GNU.
local function number_at(header, first, size)
  if byte(header, first) >= 128 then
    local value = 0
    for at = first + 1, first + size - 1 do
      value = value * 256 + byte(header, at)
    end
    return value
  end
  return tonumber(match(sub(header, first, first + size - 1), "[0-7]+") or "0", 8)
end

-- The path= of a pax header: "27 path=folder/name\n" ...
local function path_of(pax)
  local at, path = 1, nil
  while at <= #pax do
    local length, key = match(pax, "^(%d+) ([^=]+)=", at)
    if not length then
      break
    end
    local first = at + #length + 1 + #key + 1
    if key == "path" then
      path = sub(pax, first, at + tonumber(length) - 2)
    end
    at = at + math.tointeger(tonumber(length))
  end
  return path
end

-- A list of {path, content | true for a folder}; nil: these bytes are no archive.
local function read(bytes)
  local list, at, long = {}, 1, nil
  while at + BLOCK - 1 <= #bytes do
    local header = sub(bytes, at, at + BLOCK - 1)
    if not find(header, "[^\0]") then
      return list
    elseif sub(header, 258, 262) ~= "ustar" then
      return nil
    end
    local size, kind = number_at(header, 125, 12), sub(header, 157, 157)
    local content = sub(bytes, at + BLOCK, at + BLOCK + size - 1)
    if #content < size then
      return nil
    end
    at = at + BLOCK + (size + BLOCK - 1) // BLOCK * BLOCK
    if kind == PAX then
      long = path_of(content)
    elseif kind == LONG_NAME then
      long = match(content, "^[^\0]*")
    elseif kind == FOLDER or kind == FILE or kind == "\0" then
      local name, prefix = text_at(header, 1, NAME_BYTES), text_at(header, 346, 155)
      local path = long or (prefix ~= "" and prefix .. "/" .. name or name)
      list[#list + 1] = { path = path:gsub("^%./", ""):gsub("/$", ""), content = kind == FOLDER or content }
      long = nil
    elseif kind ~= "g" then
      unsupported "links and devices in archives"
    end
  end
  return #list > 0 and list or nil
end

-- --- writing -----------------------------------------------------------------------------------

local function padded(text, size)
  return text .. rep("\0", size - #text)
end

local function header_of(name, mode, size, kind)
  local before = padded(name, NAME_BYTES) .. format("%07o\0%07o\0%07o\0%011o\0%011o\0", mode, 0, 0, size, 0)
  local after = kind .. rep("\0", 100) .. "ustar\00000" .. padded("root", 32) .. padded("root", 32) .. rep("\0", 183)
  local sum = 8 * 32
  for _, part in ipairs { before, after } do
    for at = 1, #part do
      sum = sum + byte(part, at)
    end
  end
  return before .. format("%06o\0 ", sum) .. after
end

local function block(text)
  return text .. rep("\0", -#text % BLOCK)
end

local function pax_of(path)
  local record = " path=" .. path .. "\n"
  local length = #record + 1
  while #tostring(length) + #record ~= length do
    length = #tostring(length) + #record
  end
  local text = length .. record
  return header_of("PaxHeaders/path", 420, #text, PAX) .. block(text)
end

-- list: {path, content | true for a folder} -> bytes
local function write(list)
  local parts = {}
  for _, entry in ipairs(list) do
    local folder = entry.content == true
    local path = folder and entry.path .. "/" or entry.path
    if #path > NAME_BYTES then
      parts[#parts + 1] = pax_of(path)
    end
    local name = sub(path, -NAME_BYTES)
    if folder then
      parts[#parts + 1] = header_of(name, 493, 0, FOLDER)
    else
      parts[#parts + 1] = header_of(name, 420, #entry.content, FILE) .. block(entry.content)
    end
  end
  parts[#parts + 1] = rep("\0", 2 * BLOCK)
  return concat(parts)
end

return { read = read, write = write }
