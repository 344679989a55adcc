-- ctz.path: paths as texts. Nothing is looked up; absolute alone asks for the current folder.
-- SPDX-License-Identifier: MIT
local fs = require "ctz.core.system".fs
local new_error = require "ctz.core.task".error

local concat, select, type = table.concat, select, type

local function check(value, name, fn, level)
  if type(value) ~= "string" then
    error(new_error {
      kind = "usage",
      op = "path." .. fn,
      message = ("bad argument '%s' to 'path.%s': expected string, got %s"):format(name, fn, type(value)),
    }, (level or 2) + 1)
  end
end

--- ctz.path.is_absolute(path) -> boolean
--- Does it begin with a slash?
--- @param path string
--- @return boolean
--- @example assert(ctz.path.is_absolute("/etc") and not ctz.path.is_absolute("etc"))
local function is_absolute(path)
  check(path, "path", "is_absolute")
  return path:sub(1, 1) == "/"
end

--- ctz.path.join(part, ...) -> string
--- Puts parts together with one slash between each two; empty ones are left out. A later part that
--- begins with a slash stays below the first.
--- @param part string
--- @return string
--- @example assert(ctz.path.join("a", "b/", "/c") == "a/b/c")
local function join(...)
  local parts = {}
  for i = 1, select("#", ...) do
    local part = select(i, ...)
    check(part, "part", "join")
    if part ~= "" then
      local is_first = #parts == 0
      part = is_first and part or part:gsub("^/+", "")
      local trimmed = part:gsub("/+$", "")
      if i < select("#", ...) then
        part = (is_first and trimmed == "" and part ~= "") and "/" or trimmed
      end
      parts[#parts + 1] = part
    end
  end
  if parts[1] == "/" and parts[2] then
    parts[1] = ""
  end
  return concat(parts, "/")
end

-- The path without slashes at its end; "/" stays.
local function trim(path)
  return path:match "^(.-)/*$" == "" and path:sub(1, 1) or path:match "^(.-)/*$"
end

--- ctz.path.dirname(path) -> string
--- The folder that it lies in: "." when it names none.
--- @param path string
--- @return string
--- @example assert(ctz.path.dirname("a/b.c") == "a" and ctz.path.dirname("b.c") == ".")
local function dirname(path)
  check(path, "path", "dirname")
  local folder = trim(path):match "^(.*)/[^/]*$"
  if not folder then
    return trim(path) == "/" and "/" or "."
  end
  return trim(folder) == "" and "/" or trim(folder)
end

--- ctz.path.basename(path, suffix?) -> string
--- The last part, without the suffix when it ends with that.
--- @param path string
--- @param suffix? string
--- @return string
--- @example assert(ctz.path.basename("a/b.lua") == "b.lua")
--- @example assert(ctz.path.basename("a/b.lua", ".lua") == "b")
local function basename(path, suffix)
  check(path, "path", "basename")
  local name = trim(path)
  name = name == "/" and name or name:match "[^/]*$"
  if suffix ~= nil then
    check(suffix, "suffix", "basename")
    if #suffix > 0 and #suffix < #name and name:sub(-#suffix) == suffix then
      name = name:sub(1, -#suffix - 1)
    end
  end
  return name
end

--- ctz.path.extension(path) -> string
--- What follows the last dot of the name, with the dot; "" when there is none. A name that begins
--- with its only dot has none.
--- @param path string
--- @return string
--- @example assert(ctz.path.extension("a/b.tar.gz") == ".gz" and ctz.path.extension(".bashrc") == "")
local function extension(path)
  check(path, "path", "extension")
  return basename(path):match "^%.*[^.].-(%.[^.]*)$" or ""
end

-- The parts of a path, "." and empty ones left out, ".." taken back where that can be.
local function parts_of(path)
  local parts, absolute = {}, path:sub(1, 1) == "/"
  for part in path:gmatch "[^/]+" do
    if part == ".." and #parts > 0 and parts[#parts] ~= ".." then
      parts[#parts] = nil
    elseif part ~= "." and not (part == ".." and absolute) then
      parts[#parts + 1] = part
    end
  end
  return parts, absolute
end

--- ctz.path.normalize(path) -> string
--- Takes out double slashes, "." and, where it can be seen, "..". Links are not looked at: where
--- they matter, use ctz.fs.realpath.
--- @param path string
--- @return string
--- @example assert(ctz.path.normalize("a//b/./../c/") == "a/c" and ctz.path.normalize("") == ".")
local function normalize(path)
  check(path, "path", "normalize")
  local parts, absolute = parts_of(path)
  local text = (absolute and "/" or "") .. concat(parts, "/")
  return text == "" and "." or text
end

--- ctz.path.absolute(path, base?) -> string
--- The path seen from the root folder, normalized. A relative one begins in base.
--- @param path string
--- @param base? string  default: the current folder
--- @return string
--- @example assert(ctz.path.absolute("../c", "/a/b") == "/a/c")
local function absolute(path, base)
  check(path, "path", "absolute")
  if path:sub(1, 1) == "/" then
    return normalize(path)
  end
  if base ~= nil then
    check(base, "base", "absolute")
  end
  if not base or base:sub(1, 1) ~= "/" then
    base = join(fs.cwd(), base or "")
  end
  return normalize(base .. "/" .. path)
end

--- ctz.path.relative(path, base?) -> string
--- The same place seen from base.
--- @param path string
--- @param base? string  a folder; default: the current one
--- @return string
--- @example assert(ctz.path.relative("/a/b/c", "/a/d") == "../b/c")
local function relative(path, base)
  check(path, "path", "relative")
  if base ~= nil then
    check(base, "base", "relative")
  end
  local to, from = parts_of(absolute(path)), parts_of(absolute(base or ""))
  local same = 0
  while same < #to and same < #from and to[same + 1] == from[same + 1] do
    same = same + 1
  end
  local parts = {}
  for _ = same + 1, #from do
    parts[#parts + 1] = ".."
  end
  for i = same + 1, #to do
    parts[#parts + 1] = to[i]
  end
  return #parts == 0 and "." or concat(parts, "/")
end

return {
  join = join,
  dirname = dirname,
  basename = basename,
  extension = extension,
  normalize = normalize,
  absolute = absolute,
  relative = relative,
  is_absolute = is_absolute,
}
