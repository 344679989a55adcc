-- cmd/repl.lua: ctz repl, and bare ctz on a terminal: lines become evaluations.
-- SPDX-License-Identifier: MIT
--
-- Each evaluation is a task of its own, whose failure is printed and goes no further. The prompt comes
-- back when the evaluated code has ended; tasks that it spawned live on, and end with the session.
local ctz = require "ctz"
local channel = require "ctz.core.channel"
local core = require "ctz.core.repl"
local load_door = require "ctz.core.load"
local task = require "ctz.core.task"

local HISTORY_MAX <const> = 10000 -- lines kept
local PROMPT <const>, MORE <const> = "ctz> ", "...> "

local env = setmetatable({ ctz = ctz }, { __index = _G })

-- --- showing -------------------------------------------------------------------------------------

local function complain(text)
  io.stderr:write(text, "\n")
end

local function doctext()
  return require "ctz.cmd.doctext"
end

-- As `ctz doc NAME`, which says by itself what it does not find.
local function show_doc(name)
  require("ctz.cmd.doc").run({}, { name ~= "" and name or nil })
end

-- help(x): the reference of a function or module, by value or by name.
function env.help(subject)
  if subject == nil then
    print "?ctz.fs.read or help(ctz.fs.read) shows the reference; .help the commands of this prompt"
    return
  end
  local entry = type(subject) ~= "string" and doctext().of_value(subject)
  if entry or type(subject) == "string" then
    show_doc(entry and entry.name or subject)
  else
    complain("there is no reference of this " .. type(subject))
  end
end

local function show_values(values)
  for i = 1, values.n do
    print(ctz.inspect(values[i]))
  end
end

local function error_text(err)
  if type(err) == "table" and err.kind == "cancelled" and err.reason == "request" then
    return "cancelled"
  end
  return type(err) == "string" and err or tostring(err)
end

-- --- evaluating ----------------------------------------------------------------------------------

-- A local of one line would be gone in the next: at the beginning of a line it becomes a variable of
-- the session. Other locals stay what they are.
local function promote(source)
  local names, rest = source:match "^%s*local%s+([%a_][%w_%s,]*)(=[^=].*)$"
  if names and not names:find "function" then
    return names .. rest
  end
  local fn = source:match "^%s*local%s+(function%s+[%a_].*)$"
  if fn then
    return fn
  end
  names = source:match "^%s*local%s+([%a_][%w_%s,]*)$"
  return names and names .. " = nil" or source
end

local text_of = load_door.text

-- The chunk; or nil and the message; or nil, the message and true when more lines are needed.
local function compile(source)
  local chunk = text_of("return " .. source, "=repl", env)
  if chunk then
    return chunk
  end
  local message
  chunk, message = text_of(promote(source), "=repl", env)
  if chunk then
    return chunk
  end
  return nil, message, message:sub(-5) == "<eof>"
end

-- Runs the chunk to its end and shows what it gives. Its tasks may live on.
local function evaluate(chunk)
  local done = channel.channel()
  local values, failure
  local evaluation = task.spawn(function()
    task.defer(function() -- also when Ctrl-C interrupted a loop: no further line runs then
      done:close()
    end)
    local ok, err = pcall(task.scope, function()
      values = table.pack(chunk())
      done:close()
    end)
    if not ok and values then
      complain("a task failed: " .. error_text(err))
    elseif not ok then
      failure = { err }
    end
  end, { background = true })
  core.evaluating(evaluation)
  done:receive()
  core.evaluating(nil)
  if not values then
    complain(failure and error_text(failure[1]) or "cancelled")
  elseif values.n > 0 then
    env._ = values[1]
    show_values(values)
  end
end

-- --- completion ----------------------------------------------------------------------------------

local keywords = {}
for word in
  ([[and break do else elseif end false for function goto if in local nil not or repeat return
  then true until while]]):gmatch "%S+"
do
  keywords[word] = true
end

-- The names that a value offers after "." or ":": its own keys and those of its metatable's __index.
local function add_names(names, value, methods_only)
  for _ = 1, 10 do
    if type(value) == "table" then
      for key, field in next, value do
        if type(key) == "string" and key:find "^[%a_][%w_]*$" and (not methods_only or type(field) == "function") then
          names[key] = true
        end
      end
    end
    local metatable = debug.getmetatable(value)
    value = type(metatable) == "table" and rawget(metatable, "__index") or nil
    if value == nil then
      return
    end
  end
end

-- Follows a.b.c without calling anything but ctz's own loading of modules.
local function resolve(path)
  local value = env
  for name in path:gmatch "[%a_][%w_]*" do
    if value == env then
      value = rawget(env, name)
      if value == nil then
        value = rawget(_G, name)
      end
    elseif value == ctz then
      value = ctz[name]
    elseif type(value) == "table" then
      value = rawget(value, name)
    else
      return nil
    end
    if value == nil then
      return nil
    end
  end
  return value
end

local function documented_names(names, prefix)
  for _, name in ipairs(doctext().names()) do
    local rest = name:sub(1, #prefix) == prefix and name:sub(#prefix + 1)
    if rest and rest:find "^[%a_][%w_]*$" then
      names[rest] = true
    end
  end
end

local function complete(word)
  local before, path, separator, start = word:match "^(.-)([%a_][%w_%.]*)([%.:])([%a_]?[%w_]*)$"
  local names = {}
  if path then
    local value = resolve(path)
    if value ~= nil then
      add_names(names, value, separator == ":")
    end
    if path:match "^ctz" then
      documented_names(names, path .. separator)
    end
  else
    before, start = word:match "^(.-)([%a_]?[%w_]*)$"
    path, separator = "", ""
    add_names(names, env)
    add_names(names, _G)
    for keyword in pairs(keywords) do
      names[keyword] = true
    end
  end
  local found = {}
  for name in pairs(names) do
    if name:sub(1, #start) == start then
      found[#found + 1] = before .. path .. separator .. name
    end
  end
  table.sort(found)
  return found
end

-- --- history -------------------------------------------------------------------------------------

local history = { lines = {} }

local function history_path()
  local state = ctz.env.XDG_STATE_HOME
  if not state or state:sub(1, 1) ~= "/" then
    state = ctz.env.HOME and ctz.env.HOME .. "/.local/state"
  end
  return state and state .. "/ctz/history"
end

function history.add(line)
  if line == history.lines[#history.lines] or line:find "^%s*$" then
    return
  end
  core.remember(line)
  if not line:find "secret" then -- what is typed into ctz.secret is not written down
    history.lines[#history.lines + 1] = line
  end
end

function history.load()
  local path = history_path()
  local text = path and ctz.try(ctz.fs.read, path)
  for line in (text or ""):gmatch "[^\n]+" do
    history.add(line)
  end
end

function history.save()
  local path = history_path()
  if not path or #history.lines == 0 then
    return
  end
  local first = math.max(1, #history.lines - HISTORY_MAX + 1)
  local _, err = ctz.try(function()
    ctz.fs.mkdir(path:match "^(.*)/", { parents = true, mode = "0700" })
    ctz.fs.write(path, table.concat(history.lines, "\n", first) .. "\n", { mode = "0600" })
    return true
  end)
  if err then
    complain("the history is not kept: " .. tostring(err.message))
  end
end

-- --- commands of the prompt ------------------------------------------------------------------------

local quit = false
local commands = {}

commands.help = function()
  print [[
?NAME            the reference of a function, module or error kind: ?ctz.fs.read
help(VALUE)      the same, of a value
_                the last value
.load FILE       run a file in this session
.time CODE       run code and say how long it took
.tasks           tasks that have not ended
.quit            end the session (or Ctrl-D)
Tab completes names. Ctrl-C cancels what runs, or the line. Waiting works at the prompt.]]
end

commands.tasks = function()
  for _, other in ipairs(task.tasks()) do
    if other.id ~= 1 then
      print(("task %d at %s: %s, %.1f s"):format(other.id, other.at or "?", other.doing, other.age))
    end
  end
end

commands.quit = function()
  quit = true
end

commands.load = function(path)
  local chunk, message = loadfile(path, "t", env)
  if not chunk then
    complain(message)
    return
  end
  evaluate(chunk)
end

commands.time = function(source)
  local chunk, message = compile(source)
  if not chunk then
    complain(message)
    return
  end
  local start = ctz.time.monotonic()
  evaluate(chunk)
  print(("%.3f s"):format(ctz.time.monotonic() - start))
end

local function run_command(line)
  local name, rest = line:match "^%.(%a+)%s*(.-)%s*$"
  if not commands[name] then
    complain((".%s is not a command of the prompt; .help lists them"):format(name))
    return
  end
  commands[name](rest)
end

-- --- the session -----------------------------------------------------------------------------------

-- Reads lines until they are a chunk. Returns it, or nil when there is nothing to evaluate; ends the
-- session at the end of input.
local function read_chunk()
  local source
  while true do
    local line = core.read(source and MORE or PROMPT)
    if line == nil then
      quit = true
      return nil
    elseif line == false then -- Ctrl-C
      return nil
    end
    history.add(line)
    if not source and line:find "^%s*%?" then
      show_doc(line:match "^%s*%?%s*(.-)%s*$")
      return nil
    elseif not source and line:find "^%s*%.%a" then
      run_command(line:match "^%s*(.*)$")
      return nil
    end
    source = source and source .. "\n" .. line or line
    if not source:find "%S" then
      return nil
    end
    local chunk, message, unfinished = compile(source)
    if chunk then
      return chunk
    elseif not unfinished then
      complain(message)
      return nil
    end
  end
end

local function interactive()
  print(("ctz %s  Lua 5.4  .help shows what this prompt can do"):format(tostring(ctz.version)))
  core.completer(complete)
  history.load()
  while not quit do
    local chunk = read_chunk()
    if chunk then
      evaluate(chunk)
    end
  end
  history.save()
end

-- Input that is no terminal is a script.
local function script()
  local source = io.read "a"
  local chunk, message = text_of(source, "=stdin", env)
  if not chunk then
    error(ctz.error { kind = "usage", message = message, exit_status = 4 }, 0)
  end
  chunk()
end

return {
  run = function()
    if not core.is_terminal() then
      script()
      return 0
    end
    ctz.defer(core.close)
    interactive()
    return 0
  end,
  complete = complete,
}
