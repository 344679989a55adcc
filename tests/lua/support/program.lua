-- program.lua: runs ctz as a user does, for specs.
-- SPDX-License-Identifier: MIT
local host = require "ctz.core.host"

local program = { path = host.program }

local function quote(text)
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

function program.read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "a"
  file:close()
  return text
end

local function read_and_remove(path)
  local text = program.read(path)
  os.remove(path)
  return text
end

-- program.run({"run", "x.lua"}, {stdin=text, folder=path, redirect="</dev/null", environment="A=1"})
-- returns {code=, out=, err=}.
function program.run(words, opts)
  opts = opts or {}
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = quote(word)
  end
  local out, err, input = os.tmpname(), os.tmpname(), os.tmpname()
  local file = assert(io.open(input, "wb"))
  file:write(opts.stdin or "")
  file:close()
  local line = ("cd %s && %s %s %s <%s >%s 2>%s %s; echo $?"):format(
    quote(opts.folder or "."), opts.environment or "", quote(opts.program or program.path),
    table.concat(quoted, " "), input, out, err, opts.redirect or ""
  )
  local pipe = io.popen(line)
  local code = tonumber(pipe:read "l")
  pipe:close()
  os.remove(input)
  return { code = code, out = read_and_remove(out), err = read_and_remove(err) }
end

-- Runs a line of shell; returns {code=, out=, err=}.
function program.shell(line)
  return program.run({ "-c", line }, { program = "/bin/bash" })
end

-- A new empty folder; remove it with program.remove.
function program.folder()
  local pipe = io.popen "mktemp -d"
  local path = pipe:read "l"
  pipe:close()
  return path
end

function program.remove(path)
  os.execute("rm -rf " .. quote(path))
end

function program.write(path, text)
  local file = assert(io.open(path, "wb"))
  file:write(text)
  file:close()
  return path
end

-- Runs a recipe given as text; what is in `words` follows its name.
function program.recipe(text, words, opts)
  local folder = program.folder()
  program.write(folder .. "/recipe.lua", text)
  local all = { "run", "recipe.lua" }
  table.move(words or {}, 1, #(words or {}), 3, all)
  opts = opts or {}
  opts.folder = folder
  local result = program.run(all, opts)
  program.remove(folder)
  return result
end

return program
