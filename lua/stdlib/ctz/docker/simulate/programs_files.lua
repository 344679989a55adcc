-- docker/simulate/programs_files.lua: those of the small programs that are about files, and test.
-- SPDX-License-Identifier: MIT
local files_of = require "ctz.docker.simulate.files"
local options = require("ctz.docker.simulate.program_options").options
local unsupported = require("ctz.docker.simulate.program_options").unsupported

local error, ipairs, math, pairs, pcall, tonumber, type = error, ipairs, math, pairs, pcall, tonumber, type
local concat, unpack = table.concat, table.unpack
local find, match, sub = string.find, string.match, string.sub

local programs = {}

-- --- files -------------------------------------------------------------------------------------

function programs.touch(argv, io)
  local _, at = options(argv, "c")
  local code = 0
  for i = at, #argv do
    local path = files_of.resolve(argv[i], io.cwd)
    if io.files:get(path) == nil and not io.files:put(path, "") then
      io.stderr(("touch: %s: No such file or directory\n"):format(argv[i]))
      code = 1
    end
  end
  return code
end

function programs.mkdir(argv, io)
  local chosen, at = options(argv, "p")
  local code = 0
  for i = at, #argv do
    local path, whole = files_of.resolve(argv[i], io.cwd), ""
    for part in path:gmatch "[^/]+" do
      whole = whole .. "/" .. part
      if chosen.p and io.files:get(whole) == nil then
        io.files:put(whole, true)
      end
    end
    if not chosen.p and (io.files:get(path) ~= nil or not io.files:put(path, true)) then
      local why = io.files:get(path) ~= nil and "File exists" or "No such file or directory"
      io.stderr(("mkdir: can't create directory '%s': %s\n"):format(argv[i], why))
      code = 1
    end
  end
  return code
end

function programs.rm(argv, io)
  local chosen, at = options(argv, "rfR")
  local code = 0
  for i = at, #argv do
    local path = files_of.resolve(argv[i], io.cwd)
    local content = io.files:get(path)
    local why = content == nil and "No such file or directory"
      or content == true and not (chosen.r or chosen.R) and "Is a directory"
    if not why then
      io.files:remove(path)
    elseif not chosen.f or content ~= nil then
      io.stderr(("rm: can't remove '%s': %s\n"):format(argv[i], why))
      code = 1
    end
  end
  return code
end

local function copy(argv, io, keeps)
  local from, to = files_of.resolve(argv[1], io.cwd), files_of.resolve(argv[2], io.cwd)
  local content = io.files:get(from)
  if type(content) ~= "string" then
    io.stderr(("%s: can't stat '%s': No such file or directory\n"):format(argv[0], argv[1]))
    return 1
  end
  if io.files:get(to) == true then
    to = to .. "/" .. match(from, "[^/]+$")
  end
  io.files:put(to, content)
  if not keeps then
    io.files:remove(from)
  end
  return 0
end

function programs.cp(argv, io)
  return copy(argv, io, true)
end

function programs.mv(argv, io)
  return copy(argv, io, false)
end

function programs.ls(argv, io)
  local _, at = options(argv, "1a")
  local path = files_of.resolve(argv[at] or ".", io.cwd)
  local content = io.files:get(path)
  if content == nil then
    io.stderr(("ls: %s: No such file or directory\n"):format(argv[at]))
    return 1
  elseif content ~= true then
    io.write(argv[at], "\n")
    return 0
  end
  local prefix = path == "/" and "/" or path .. "/"
  for _, inside in ipairs(io.files:list(path)) do
    local name = sub(inside, #prefix + 1)
    if not find(name, "/", 1, true) then
      io.write(name, "\n")
    end
  end
end

-- --- test --------------------------------------------------------------------------------------

local unary <const> = {
  ["-n"] = function(text)
    return text ~= ""
  end,
  ["-z"] = function(text)
    return text == ""
  end,
  ["-t"] = function(number, io)
    local fd = io.fds[tonumber(number)]
    return fd ~= nil and fd.is_terminal == true
  end,
}
for letter, holds in pairs {
  e = function(content)
    return content ~= nil
  end,
  f = function(content)
    return content ~= nil and content ~= true
  end,
  d = function(content)
    return content == true
  end,
  s = function(content)
    return content == true or content ~= nil and content ~= ""
  end,
} do
  unary["-" .. letter] = function(path, io)
    return holds(io.files:get(files_of.resolve(path, io.cwd)))
  end
end
unary["-r"], unary["-w"], unary["-x"] = unary["-e"], unary["-e"], unary["-e"]

local function number_of(text)
  return math.tointeger(tonumber(text)) or error(("bad number '%s'"):format(text), 0)
end

local binary <const> = {
  ["="] = function(a, b)
    return a == b
  end,
  ["!="] = function(a, b)
    return a ~= b
  end,
  ["-eq"] = function(a, b)
    return number_of(a) == number_of(b)
  end,
  ["-ne"] = function(a, b)
    return number_of(a) ~= number_of(b)
  end,
  ["-lt"] = function(a, b)
    return number_of(a) < number_of(b)
  end,
  ["-le"] = function(a, b)
    return number_of(a) <= number_of(b)
  end,
  ["-gt"] = function(a, b)
    return number_of(a) > number_of(b)
  end,
  ["-ge"] = function(a, b)
    return number_of(a) >= number_of(b)
  end,
}
binary["=="] = binary["="]

local function evaluate(words, io)
  if words[1] == "!" and #words > 1 then
    return not evaluate({ unpack(words, 2) }, io)
  elseif #words == 3 and binary[words[2]] then
    return binary[words[2]](words[1], words[3])
  elseif #words == 2 and unary[words[1]] then
    return unary[words[1]](words[2], io)
  elseif #words < 2 then
    return (words[1] or "") ~= ""
  end
  return unsupported("test " .. concat(words, " "))
end

function programs.test(argv, io)
  local ok, value = pcall(evaluate, { unpack(argv) }, io)
  if not ok then
    if type(value) == "table" then
      error(value, 0)
    end
    io.stderr(("%s: %s\n"):format(argv[0], value))
    return 2
  end
  return value and 0 or 1
end

programs["["] = function(argv, io)
  local words = { unpack(argv) }
  words[0] = "["
  if words[#words] ~= "]" then
    io.stderr "[: missing ]\n"
    return 2
  end
  words[#words] = nil
  return programs.test(words, io)
end

return programs
