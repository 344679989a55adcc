-- docker/simulate/programs.lua: the small programs that every simulated image has.
-- SPDX-License-Identifier: MIT
--
-- Each does what scripts of tests and health checks ask of it, as busybox does; an option it does not
-- know raises unsupported.
local files_of = require "ctz.docker.simulate.files"
local options = require("ctz.docker.simulate.program_options").options
local time = require "ctz.time"
local unsupported = require("ctz.docker.simulate.program_options").unsupported

local getmetatable, ipairs, math, next, pairs = getmetatable, ipairs, math, next, pairs
local pcall, require, select, tonumber = pcall, require, select, tonumber
local concat = table.concat
local find, gsub, match, rep, sub = string.find, string.gsub, string.match, string.rep, string.sub

local programs = {}
for name, program in pairs(require "ctz.docker.simulate.programs_files") do
  programs[name] = program
end

local ZEROS <const> = rep("\0", 4096)

-- function(n) -> bytes at most n, nil at the end; nil, words when the file is not there.
local function open(io, path)
  if path == "-" or path == "/dev/stdin" then
    return io.read
  elseif path == "/dev/null" then
    return function() end
  elseif path == "/dev/zero" then
    return function(n)
      return n and n < #ZEROS and sub(ZEROS, 1, n) or ZEROS
    end
  end
  local content = io.files:get(files_of.resolve(path, io.cwd))
  if content == nil then
    return nil, "No such file or directory"
  elseif content == true then
    return nil, "Is a directory"
  end
  local at = 1
  return function(n)
    if at > #content then
      return nil
    end
    local bytes = sub(content, at, n and at + n - 1 or nil)
    at = at + #bytes
    return bytes
  end
end

-- Calls fn(read, path) for each file; returns the exit code.
local function each_file(argv, io, at, fn)
  local code = 0
  for i = at, math.max(at, #argv) do
    local path = argv[i] or "-"
    local read, words = open(io, path)
    if read then
      fn(read, path)
    else
      io.stderr(("%s: can't open '%s': %s\n"):format(argv[0], path, words))
      code = 1
    end
  end
  return code
end

local function read_all(read)
  local parts = {}
  for bytes in read do
    parts[#parts + 1] = bytes
  end
  return concat(parts)
end

-- --- words -------------------------------------------------------------------------------------

programs["true"] = function()
  return 0
end

programs["false"] = function()
  return 1
end

local ESCAPES <const> = {
  n = "\n", t = "\t", r = "\r", a = "\a", b = "\b", f = "\f", v = "\v", ["\\"] = "\\", ['"'] = '"', e = "\27",
}

local function unescape(text)
  return (gsub(text, "\\(0?[0-7]?[0-7]?[0-7]?)(.?)", function(octal, letter)
    if octal ~= "" then
      return string.char(tonumber(octal, 8) & 255) .. letter
    end
    return ESCAPES[letter] or "\\" .. letter
  end))
end

function programs.echo(argv, io)
  local at, stop, escapes = 1, "\n", false
  while argv[at] and find(argv[at], "^%-[neE]+$") do
    stop = find(argv[at], "n", 1, true) and "" or stop
    escapes = find(argv[at], "e", 1, true) ~= nil
    at = at + 1
  end
  local text = concat(argv, " ", at)
  io.write(escapes and unescape(text) or text, stop)
end

function programs.printf(argv, io)
  local format, at = unescape(argv[1] or ""), 2
  repeat
    local begin = at
    io.write((gsub(format, "%%([-+ #0]*%d*%.?%d*)(.)", function(flags, kind)
      if kind == "%" then
        return "%"
      end
      local value = argv[at]
      at = at + 1
      if find("diuxXo", kind, 1, true) then
        return ("%" .. flags .. (kind == "u" and "d" or kind)):format(math.tointeger(tonumber(value or 0)) or 0)
      elseif kind == "s" or kind == "b" then
        return ("%" .. flags .. "s"):format(kind == "b" and unescape(value or "") or value or "")
      elseif kind == "c" then
        return sub(value or "", 1, 1)
      end
      return unsupported("the conversion %" .. kind .. " of printf")
    end)))
  until at > #argv or at == begin
end

function programs.seq(argv, io)
  local first, last = tonumber(argv[2] and argv[1] or 1), tonumber(argv[3] or argv[2] or argv[1])
  for i = first, last, tonumber(argv[3] and argv[2] or 1) do
    io.write(("%d\n"):format(i))
  end
end

function programs.yes(argv, io)
  local line = (#argv > 0 and concat(argv, " ") or "y") .. "\n"
  while true do
    io.write(line)
  end
end

function programs.basename(argv, io)
  io.write(match(argv[1], "([^/]+)/*$") or "/", "\n")
end

function programs.dirname(argv, io)
  io.write(match(argv[1], "^(.+)/[^/]+/*$") or find(argv[1], "^/") and "/" or ".", "\n")
end

-- --- time --------------------------------------------------------------------------------------

function programs.sleep(argv, io)
  local sum = 0
  for _, word in ipairs(argv) do
    local ok, seconds = pcall(time.parse_duration, word)
    if not ok then
      io.stderr(("sleep: invalid number '%s'\n"):format(word))
      return 1
    end
    sum = sum + seconds
  end
  io.sleep(sum)
end

function programs.date(argv, io)
  local clock = io.process.kernel.clock
  if argv[1] == "+%s" then
    io.write(("%d\n"):format(clock // 1))
  elseif argv[1] then
    unsupported "date with a format"
  else
    io.write(time.format(clock), "\n")
  end
end

-- --- text --------------------------------------------------------------------------------------

function programs.cat(argv, io)
  local _, at = options(argv, "u")
  return each_file(argv, io, at, function(read)
    for bytes in read do
      io.write(bytes)
    end
  end)
end

function programs.tee(argv, io)
  local _, at = options(argv, "a")
  local text = {}
  for bytes in io.read do
    text[#text + 1] = bytes
    io.write(bytes)
  end
  for i = at, #argv do
    io.files:put(files_of.resolve(argv[i], io.cwd), concat(text))
  end
end

function programs.wc(argv, io)
  local chosen, at = options(argv, "lwc")
  local all = not next(chosen)
  return each_file(argv, io, at, function(read, path)
    local lines, words, bytes, in_word = 0, 0, 0, false
    for text in read do
      bytes = bytes + #text
      lines = lines + select(2, gsub(text, "\n", ""))
      if all or chosen.w then
        local _, count = gsub(text, "%S+", "")
        words = words + count - (in_word and find(text, "^%S") and 1 or 0)
        in_word = find(text, "%S$") ~= nil
      end
    end
    local counts = {}
    for _, count in ipairs { { "l", lines }, { "w", words }, { "c", bytes } } do
      if all or chosen[count[1]] then
        counts[#counts + 1] = ("%d"):format(count[2])
      end
    end
    io.write(concat(counts, " "), path ~= "-" and " " .. path or "", "\n")
  end)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "([^\n]*\n?)" do
    if line ~= "" then
      lines[#lines + 1] = line
    end
  end
  return lines
end

function programs.head(argv, io)
  local chosen, at = options(argv, "", "nc")
  if chosen.c then
    return each_file(argv, io, at, function(read)
      local left = tonumber(chosen.c)
      while left > 0 do
        local bytes = read(left)
        if not bytes then
          break
        end
        io.write(bytes)
        left = left - #bytes
      end
    end)
  end
  return each_file(argv, io, at, function(read)
    local left = tonumber(chosen.n or 10)
    while left > 0 do
      local text = read == io.read and io.line() or read ~= io.read and read()
      if not text then
        break
      end
      for _, line in ipairs(lines_of(text)) do
        if left > 0 then
          io.write(line)
          left = left - 1
        end
      end
    end
  end)
end

function programs.tail(argv, io)
  local chosen, at = options(argv, "f", "nc")
  local code = each_file(argv, io, at, function(read, path)
    if chosen.f and path == "/dev/null" then
      return
    elseif chosen.c then
      io.write(sub(read_all(read), -tonumber(chosen.c)))
      return
    end
    local lines = lines_of(read_all(read))
    io.write(concat(lines, "", math.max(1, #lines - tonumber(chosen.n or 10) + 1)))
  end)
  if chosen.f then
    io.sleep(math.huge) -- no file grows here but by what this container does: use the log
  end
  return code
end

function programs.sort(argv, io)
  local chosen, at = options(argv, "rnu")
  local lines = {}
  local code = each_file(argv, io, at, function(read)
    for _, line in ipairs(lines_of(read_all(read))) do
      lines[#lines + 1] = gsub(line, "\n$", "") .. "\n"
    end
  end)
  table.sort(lines, function(left, right)
    if chosen.n then
      local a, b = tonumber(match(left, "^%s*(-?%d+)")) or 0, tonumber(match(right, "^%s*(-?%d+)")) or 0
      if a ~= b then
        return a < b
      end
    end
    return left < right
  end)
  local first, last, by = 1, #lines, 1
  if chosen.r then
    first, last, by = #lines, 1, -1
  end
  for i = first, last, by do
    if not chosen.u or lines[i] ~= lines[i - by] then
      io.write(lines[i])
    end
  end
  return code
end

local CLASSES <const> = { ["[:upper:]"] = "A-Z", ["[:lower:]"] = "a-z", ["[:digit:]"] = "0-9", ["[:space:]"] = " \t\n" }

local function set_of(text)
  text = unescape(gsub(text, "%[:%a+:%]", CLASSES))
  local list, at = {}, 1
  while at <= #text do
    local first, last = text:byte(at), nil
    if sub(text, at + 1, at + 1) == "-" and at + 2 <= #text then
      last, at = text:byte(at + 2), at + 2
    end
    for byte = first, last or first do
      list[#list + 1] = string.char(byte)
    end
    at = at + 1
  end
  return list
end

function programs.tr(argv, io)
  local chosen, at = options(argv, "d")
  local from, map = set_of(argv[at]), {}
  local to = not chosen.d and set_of(argv[at + 1])
  for i, char in ipairs(from) do
    map[char] = chosen.d and "" or to[i] or to[#to]
  end
  for bytes in io.read do
    io.write((gsub(bytes, ".", map)))
  end
end

function programs.grep(argv, io)
  local chosen, at = options(argv, "qcFvi")
  local wanted, count = argv[at], 0
  if not chosen.F and find(wanted, "[%[%]*.^$\\]") then
    unsupported "patterns of grep"
  end
  wanted = chosen.i and wanted:lower() or wanted
  each_file(argv, io, at + 1, function(read)
    for _, line in ipairs(lines_of(read_all(read))) do
      if (find(chosen.i and line:lower() or line, wanted, 1, true) == nil) == (chosen.v or false) then
        count = count + 1
        if not chosen.q and not chosen.c then
          io.write((gsub(line, "\n$", "")), "\n")
        end
      end
    end
  end)
  if chosen.c then
    io.write(("%d\n"):format(count))
  end
  return count > 0 and 0 or 1
end

-- --- who and where -----------------------------------------------------------------------------

function programs.pwd(_, io)
  io.write(io.cwd, "\n")
end

function programs.id(argv, io)
  local user, group = match(io.user, "^([^:]*):?(.*)$")
  local uid = (user == "" or user == "root") and "0" or user
  local gid = group ~= "" and group or (uid == "0" and "0" or "0")
  if argv[1] == "-u" then
    io.write(uid, "\n")
  elseif argv[1] == "-g" then
    io.write(gid, "\n")
  else
    io.write(("uid=%s gid=%s\n"):format(uid, gid))
  end
end

function programs.whoami(_, io)
  io.write((io.user == "" or io.user == "0") and "root" or io.user, "\n")
end

function programs.hostname(_, io)
  io.write(io.container.hostname, "\n")
end

function programs.uname(argv, io)
  io.write(argv[1] == "-m" and "x86_64" or "Linux", "\n")
end

function programs.stty(argv, io)
  if argv[1] ~= "size" then
    unsupported("stty " .. concat(argv, " "))
  end
  local size = io.fds[0].size
  if not size then
    io.stderr "stty: standard input: Not a tty\n"
    return 1
  end
  io.write(("%d %d\n"):format(size.rows, size.columns))
end

function programs.env(argv, io)
  if #argv > 0 then
    unsupported "env with arguments"
  end
  local lines, seen, env = {}, {}, io.env
  while env do
    for name, value in pairs(env) do
      if not seen[name] then
        seen[name] = true
        lines[#lines + 1] = ("%s=%s\n"):format(name, value)
      end
    end
    local meta = getmetatable(env)
    env = meta and meta.__index
  end
  table.sort(lines)
  io.write(concat(lines))
end

programs.printenv = programs.env

-- --- what listens ------------------------------------------------------------------------------

function programs.nc(argv, io)
  local chosen = options(argv, "lkn", "pew")
  if not chosen.l or not chosen.p then
    unsupported "nc that does not listen"
  end
  io.listen(tonumber(chosen.p))
  io.sleep(math.huge)
end

function programs.httpd(argv, io)
  local chosen = options(argv, "fv", "ph")
  local home = files_of.resolve(chosen.h or ".", io.cwd)
  if not chosen.f then
    unsupported "httpd in the background"
  end
  io.listen(tonumber(match(chosen.p or "80", "%d+$")), function(path)
    local content = io.files:get(files_of.resolve(home .. path, "/"))
    if content == true then
      content = io.files:get(files_of.resolve(home .. path .. "/index.html", "/"))
    end
    return content and content ~= true and 200 or 404
  end)
  io.sleep(math.huge)
end

local function well()
  return 200
end

-- What an image does of which nothing is known: it works until it is told to end, and answers on its ports.
function programs.simulated(_, io)
  io.trap("TERM", function()
    io.exit(0)
  end)
  io.trap("INT", function()
    io.exit(0)
  end)
  for _, port in ipairs(io.container.ports) do
    io.listen(port, well)
  end
  io.sleep(math.huge)
end

return { programs = programs, open = open }
