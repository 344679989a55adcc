-- cmd/repl.lua: ctz repl, and bare ctz on a terminal: what is typed is evaluated.
-- SPDX-License-Identifier: MIT
--
-- Each evaluation is a task of its own, whose failure is printed and goes no further. Ctrl-C cancels a
-- scope inside that task. The prompt comes back when the evaluated code has ended; tasks that it
-- spawned live on, and end with the session.
local ctz = require "ctz"
local channel = require "ctz.core.channel"
local core = require "ctz.core.repl"
local load_door = require "ctz.core.load"
local task = require "ctz.core.task"
local chunks = require "ctz.cmd.repl_chunk"

local PROMPT <const>, MORE <const> = "ctz> ", "...> "

local function complain(text)
  io.stderr:write(text, "\n")
end

local function error_text(err)
  if type(err) == "table" and err.kind == "cancelled" and err.reason == "request" then
    return "\ncancelled" -- behind the ^C that the terminal shows
  end
  return type(err) == "string" and err or tostring(err)
end

-- --- the reference -------------------------------------------------------------------------------

-- As `ctz doc NAME`, which says by itself what it does not find.
local function show_doc(name)
  require("ctz.cmd.doc").run({}, { name ~= "" and name or nil })
end

-- help(x): the reference of a function or module, by value or by name.
local function help(subject)
  if subject == nil then
    print "?ctz.fs.read or help(ctz.fs.read) shows the reference; .help the commands of this prompt"
    return
  end
  local entry = type(subject) ~= "string" and require("ctz.cmd.doctext").of_value(subject)
  if entry or type(subject) == "string" then
    show_doc(entry and entry.name or subject)
  else
    complain("there is no reference of this " .. type(subject))
  end
end

-- What the session's code sees: globals of its own over _G.
local function new_env()
  return setmetatable({ ctz = ctz, help = help }, { __index = _G })
end

-- --- evaluating ----------------------------------------------------------------------------------

local Session = {}
Session.__index = Session

function Session:show(values)
  if values.n == 0 then
    return
  end
  self.env._ = values[1]
  for i = 1, values.n do
    print(ctz.inspect(values[i]))
  end
end

-- Runs fn to its end and shows what it gives, or its failure. Tasks that it spawned may live on.
function Session:evaluate(fn, ...)
  local arguments = table.pack(...)
  local done, is_done = channel.channel(), false
  local function finish()
    if not is_done then
      is_done = true
      local has_background = self.terminal:evaluating(nil)
      done:close()
      return has_background
    end
  end
  self.terminal:rest()
  task.spawn(function()
    local ok, err = pcall(task.scope, function(scope)
      self.terminal:evaluating(scope)
      self:show(table.pack(fn(table.unpack(arguments, 1, arguments.n))))
      if finish() then
        self.the_end:receive() -- background tasks end with their scope
      end
    end)
    if not ok then
      complain((is_done and "a task failed: " or "") .. error_text(err))
    end
    finish()
  end, { background = true })
  done:receive()
end

-- --- commands of the prompt ------------------------------------------------------------------------

local commands = {}

function commands.help()
  print [[
?NAME            the reference of a function, module or error kind: ?ctz.fs.read
help(VALUE)      the same, of a value
_                the last value
.load FILE       run a file in this session
.time CODE       run code and say how long it took
.tasks           tasks that have not ended
.quit            end the session (or Ctrl-D)
Tab completes names. Ctrl-R looks for what is typed in the history. Ctrl-C cancels what runs, or
the line. Waiting works at the prompt.]]
end

function commands.tasks()
  for _, other in ipairs(task.tasks()) do
    if other.id ~= 1 then
      print(("task %d at %s: %s, %.1f s"):format(other.id, other.at or "?", other.doing, other.age))
    end
  end
end

function commands.quit(session)
  session.ends = true
end

function commands.load(session, path)
  if path == "" then
    complain ".load needs the path of a file"
    return
  end
  local chunk, message = loadfile(path, "t", session.env)
  if chunk then
    session:evaluate(chunk)
  else
    complain(message)
  end
end

function commands.time(session, source)
  local chunk, message = chunks.compile(source, session.env)
  if not chunk then
    complain(message)
    return
  end
  local start = ctz.time.monotonic()
  session:evaluate(chunk)
  print(("%.3f s"):format(ctz.time.monotonic() - start))
end

-- A command works like an evaluation, but for what it evaluates itself.
function Session:command(line)
  local name, rest = line:match "^%s*%.(%a+)%s*(.-)%s*$"
  local command = commands[name]
  if not command then
    complain((".%s is not a command of the prompt; .help lists them"):format(name))
    return
  end
  local ok, err = pcall(command, self, rest)
  if not ok then
    complain(error_text(err))
  end
end

-- --- the session -----------------------------------------------------------------------------------

function Session:complete(line, columns)
  local complete = require("ctz.cmd.repl_complete").complete
  local ok, insert, list = pcall(complete, line:match "[^\n]*$", self.env, columns)
  if not ok or not insert then
    self.terminal:beep()
  elseif insert ~= "" then
    self.terminal:insert(insert)
  elseif list then
    self.terminal:show(list)
  end
end

-- Does what was typed in all; false when more lines are needed.
function Session:take(source)
  if not source:find "%S" then
    return true
  elseif source:find "^%s*%?" then
    self:evaluate(show_doc, source:match "^%s*%?%s*(.-)%s*$")
  elseif source:find "^%s*%.%a" then
    self:command(source)
  else
    local chunk, message, unfinished = chunks.compile(source, self.env)
    if unfinished then
      return false
    elseif chunk then
      self:evaluate(chunk)
    else
      complain(message)
    end
  end
  self.history:add(source)
  return true
end

-- Reads lines until they are an input, and does it.
function Session:step()
  local source
  repeat
    local event, text, columns = self.terminal:read(source and MORE or PROMPT)
    if event == "complete" then
      self:complete(text, columns)
    elseif event == "line" then
      source = source and source .. "\n" .. text or text
    end
    self.ends = self.ends or event == "end"
  until event == "end" or event == "interrupt" or (event == "line" and self:take(source))
end

local function interactive()
  local terminal <close> = core.open()
  local session = setmetatable({ terminal = terminal, env = new_env(), the_end = channel.channel() }, Session)
  print(("ctz %s  Lua 5.4  .help shows what this prompt can do"):format(tostring(ctz.version)))
  session.history = require("ctz.cmd.repl_history").open(terminal)
  repeat
    session:step()
  until session.ends
end

-- Input that is no terminal is a script.
local function script()
  local source = io.read "a"
  local chunk, message = load_door.text(source, "=stdin", new_env())
  if not chunk then
    error(ctz.error { kind = "usage", message = message, exit_status = 4 }, 0)
  end
  chunk()
end

return {
  run = function()
    if core.is_terminal() then
      interactive()
    else
      script()
    end
    return 0
  end,
}
