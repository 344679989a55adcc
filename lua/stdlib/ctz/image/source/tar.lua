-- image/source/tar.lua: where in a tar file each member is. Content is passed over, not read.
-- SPDX-License-Identifier: MIT
-- Source: POSIX pax (ustar and extended headers), GNU tar's long names.
local document = require "ctz.image.document"
local task = require "ctz.core.task"

local fail = document.fail
local io, pairs, tonumber = io, pairs, tonumber
local concat = table.concat

local BLOCK <const> = 512
local EXTENDED_BYTES <const> = 1 << 20 -- of a pax header
local LINKS <const> = 16 -- from link to link
local TURN <const> = 1000 -- members between two looks at the deadline

-- Numbers are octal digits, or with the first bit set big-endian binary.
local function number(field)
  local first = field:byte(1)
  if first and first >= 128 then
    local value = first & 127
    for i = 2, #field do
      if value > (1 << 54) then
        return nil
      end
      value = value << 8 | field:byte(i)
    end
    return value
  end
  local digits = field:match "^[ %z]*([0-7]*)[ %z]*"
  return digits == "" and 0 or tonumber(digits, 8)
end

local function is_valid(header)
  local wanted = number(header:sub(149, 156))
  local sum = 8 * 32
  for i = 1, BLOCK do
    if i < 149 or i > 156 then
      sum = sum + header:byte(i)
    end
  end
  return sum == wanted
end

local function text(header, from, to)
  return header:sub(from, to):match "^[^%z]*"
end

-- "27 path=some/name\n"... -> {path=}
local function pax_records(content)
  local records, at = {}, 1
  while at <= #content do
    local length, key, start = content:match("^(%d+) ([^=]+)=()", at)
    length = length and tonumber(length)
    if not length or length < 5 or at + length - 1 > #content then
      return nil
    end
    records[key] = content:sub(start, at + length - 2)
    at = at + length
  end
  return records
end

-- "./a//b/" is a/b.
local function clean(name)
  local parts = {}
  for part in name:gmatch "[^/]+" do
    if part == ".." then
      parts[#parts] = nil
    elseif part ~= "." then
      parts[#parts + 1] = part
    end
  end
  return concat(parts, "/")
end

local function broken(path, why)
  fail("protocol", path, ("%s is no whole tar archive: %s"):format(path, why))
end

local function read_header(file, path, at)
  file:seek("set", at)
  local header = file:read(BLOCK)
  if not header or header == ("\0"):rep(BLOCK) then
    return nil
  elseif #header < BLOCK or not is_valid(header) then
    if at == 0 and (header:find "^BZh" or header:find "^\2537zXZ") then
      fail("unsupported", path, path .. " is packed with bzip2 or xz", "gzip and zstd are read; unpack it first")
    end
    broken(path, ("there is no header at byte %d"):format(at))
  end
  return header
end

-- What a header for the next one says, kept in `coming`; false: it is none of those.
local function read_extended(file, path, kind, size, coming)
  if kind ~= "x" and kind ~= "L" and kind ~= "K" then
    return kind == "g"
  elseif size > EXTENDED_BYTES then
    broken(path, "a header of more than 1 MiB")
  end
  local content = file:read(size) or ""
  if kind == "L" then
    coming.path = content:match "^[^%z]*"
  elseif kind == "K" then
    coming.linkpath = content:match "^[^%z]*"
  else
    local records = pax_records(content)
    if not records then
      broken(path, "a malformed pax header")
    end
    for key, value in pairs(records) do
      coming[key] = value
    end
  end
  return true
end

local function name_of(header)
  local prefix = header:sub(258, 262) == "ustar" and header:sub(263, 263) == "\0" and text(header, 346, 500) or ""
  return (prefix ~= "" and prefix .. "/" or "") .. text(header, 1, 100)
end

local function add(members, header, coming, at, size)
  local kind = header:sub(157, 157)
  local name = clean(coming.path or name_of(header))
  if kind == "1" or kind == "2" then
    local target = coming.linkpath or text(header, 158, 257)
    local folder = kind == "2" and not target:find "^/" and name:match "^(.*/)" or ""
    members[name] = { link = clean(folder .. target) }
  elseif kind == "0" or kind == "\0" or kind == "7" then
    members[name] = { at = at, size = size }
  end
end

-- Of links, devices and folders a size says nothing; nil: it is no size.
local function size_of(header, kind, coming)
  if kind >= "1" and kind <= "6" then
    return 0
  end
  local size = number(header:sub(125, 136))
  if coming.size then
    size = coming.size:find "^%d+$" and #coming.size < 18 and tonumber(coming.size) or nil
  end
  return size
end

local function scan(file, path)
  local members, at, count, coming = {}, 0, 0, {}
  local end_of_file, most = file:seek "end", document.limit "tar_entries"
  while true do
    local header = read_header(file, path, at)
    if not header then
      if at == 0 then
        broken(path, "it is empty")
      end
      return members
    end
    local kind = header:sub(157, 157)
    local size = size_of(header, kind, coming) or broken(path, "a size that is none")
    at = at + BLOCK
    if at + size > end_of_file then
      broken(path, ("it ends at byte %d, a member would end at %d"):format(end_of_file, at + size))
    elseif not read_extended(file, path, kind, size, coming) then
      add(members, header, coming, at, size)
      coming = {}
    end
    at = at + (size + BLOCK - 1) // BLOCK * BLOCK
    count = count + 1
    if count > most then
      fail("size", path, ("%s has more than %d members"):format(path, most), "--limit tar_entries=N raises it")
    elseif count % TURN == 0 then
      task.sleep(0)
    end
  end
end

-- index(path, name) -> name -> {at=, size=}, links followed. name: that of the archive, for errors.
local function index(from, path)
  local file <close>, why = io.open(from, "rb")
  if not file then
    fail("not_found", path, "cannot read " .. why)
  end
  local members = scan(file, path)
  for name, member in pairs(members) do
    local last, steps = member, 0
    while last and last.link and steps < LINKS do
      last, steps = members[last.link], steps + 1
    end
    members[name] = last and last.at and last or { missing = true }
  end
  return members
end

return { index = index, BLOCK = BLOCK }
