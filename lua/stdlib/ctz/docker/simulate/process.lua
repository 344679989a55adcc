-- docker/simulate/process.lua: a simulated program that runs: its streams, its signals, its time.
-- SPDX-License-Identifier: MIT
--
-- A program is function(argv, io) -> exit code; argv[0] is its name. It runs in a coroutine and waits by
-- io.sleep and io.read only. The kernel of a container gives its first process no default for signals:
-- one without a handler is ignored, as Linux does for process 1.
local coroutine, error, ipairs, math = coroutine, error, ipairs, math
local setmetatable, tonumber, tostring, type = setmetatable, tonumber, tostring, type
local concat, remove = table.concat, table.remove
local huge = math.huge

local BUSY_STEPS <const>, BUSY_S <const> = 1000, 0.001 -- a loop that never waits passes this time

local SIGNALS <const> = {
  HUP = 1, INT = 2, QUIT = 3, ILL = 4, TRAP = 5, ABRT = 6, BUS = 7, FPE = 8, KILL = 9, USR1 = 10, SEGV = 11,
  USR2 = 12, PIPE = 13, ALRM = 14, TERM = 15, CHLD = 17, CONT = 18, STOP = 19, TSTP = 20, TTIN = 21, TTOU = 22,
  WINCH = 28,
}
local HARMLESS <const> = { [17] = true, [18] = true, [20] = true, [21] = true, [22] = true, [28] = true }
local KILL <const>, PIPE <const> = 9, 13

-- "SIGTERM", "term", "15" or 15 -> 15; nil: there is none such.
local function signal_of(value)
  local text = tostring(value):upper():gsub("^SIG", "")
  local number = math.tointeger(tonumber(text))
  if number then
    return number > 0 and number < 65 and number or nil
  end
  return SIGNALS[text]
end

local Process = {}
Process.__index = Process

-- --- running -----------------------------------------------------------------------------------

local function finish(self, code)
  if self.ended then
    return
  end
  self.ended, self.code = true, code
  for _, child in ipairs(self.children) do
    child:kill()
  end
  for _, waiter in ipairs(self.awaited_by) do
    waiter:wake()
  end
  self.on_end(code)
end

local function code_of(value)
  if value == nil or value == true then
    return 0
  elseif type(value) == "number" then
    return math.tointeger(value) & 255
  end
  return 1
end

local function fail(self, err)
  if type(err) == "table" and (err.kind == "cancelled" or err.kind == "unsupported") then
    if err.kind == "cancelled" then -- a wait of the task's own, in the program: it is the task that is to end
      finish(self, 128 + KILL)
      error(err, 0)
    end
    self.on_unsupported(err)
    return finish(self, 127)
  end
  self.fds[2]:write(("%s: %s\n"):format(self.argv[0], tostring(err)))
  finish(self, 1)
end

local step

local function plan(self, due)
  self.turn = self.turn + 1
  local turn = self.turn
  self.kernel:at(due, function()
    if turn == self.turn then
      step(self)
    end
  end)
end

-- Signals that came before it did anything wait for its handlers: a real program is not that late.
local function deliver_early(self)
  local early = self.early
  self.early = nil
  for _, signal in ipairs(early or {}) do
    self:kill(signal)
  end
end

function step(self)
  if self.ended then
    return
  elseif self.is_frozen() then
    self.thawing = true
    return
  end
  local ok, value = coroutine.resume(self.coroutine)
  if self.ended then
    return
  elseif coroutine.status(self.coroutine) ~= "dead" then
    if value < huge then
      plan(self, value)
    end
    deliver_early(self)
  elseif not ok then
    fail(self, value)
  else
    finish(self, code_of(value))
  end
end

-- It looks again at what it waits for.
function Process:wake()
  if not self.ended and self.started then
    plan(self, self.kernel.clock)
  end
end

function Process:thaw()
  if self.thawing then
    self.thawing = false
    self:wake()
  end
  for _, child in ipairs(self.children) do
    child:thaw()
  end
end

function Process:start()
  self.started, self.began = true, self.kernel.clock
  plan(self, self.kernel.clock)
end

-- --- signals -----------------------------------------------------------------------------------

function Process:kill(signal)
  signal = signal or KILL
  local handler = self.handlers[signal]
  if self.ended or handler == "ignore" then
    return
  elseif signal == KILL then
    finish(self, 128 + KILL)
  elseif self.early then
    self.early[#self.early + 1] = signal
  elseif handler then
    self.pending[#self.pending + 1] = handler
    self:wake()
  elseif not self.is_first and not HARMLESS[signal] then
    finish(self, 128 + signal)
  end
end

local function run_handlers(self)
  while #self.pending > 0 do
    remove(self.pending, 1)()
  end
end

-- Suspends the program until `due` or until it is woken. Called by the program only.
function Process:wait(due)
  coroutine.yield(due or huge)
  run_handlers(self)
end

-- A step of work: a program that works without end does not hold up the others, also when it takes longer
-- than the time that it passes.
function Process:work()
  self.steps = self.steps + 1
  if self.steps % BUSY_STEPS == 0 then
    self:wait(self.kernel:present() + BUSY_S)
  end
end

-- --- what the program is given ---------------------------------------------------------------------

local Io = {}
Io.__index = Io

-- Writes to a descriptor; who writes to a pipe that nobody reads is killed.
local function put(io, number, ...)
  local process = io.process
  process:work()
  if io.fds[number]:write(concat({ ... })) == false then
    finish(process, 128 + PIPE)
    coroutine.yield(huge)
  end
  return true
end

-- Each function is a field, to be called with a dot, as those of Lua's own io.
local function functions_of(io)
  local process = io.process
  function io.write(...)
    return put(io, 1, ...)
  end
  function io.stderr(...)
    return put(io, 2, ...)
  end
  -- Bytes as they come, at most n; nil at the end.
  function io.read(n)
    return io.fds[0]:read(process, n)
  end
  -- A line with its end; nil at the end.
  function io.line()
    return io.fds[0]:line(process)
  end
  function io.sleep(seconds)
    local due = process.kernel.clock + seconds
    while process.kernel.clock < due do
      process:wait(due)
    end
  end
  -- fn is called when the signal comes, at the next wait; false: it is ignored; nil: as at the beginning.
  function io.trap(signal, fn)
    process.handlers[signal_of(signal)] = fn == false and "ignore" or fn
  end
  -- From now on the port answers; with fn(path) -> status, by HTTP.
  function io.listen(port, fn)
    process.ports[port] = fn or true
  end
  -- Ends the program.
  function io.exit(code)
    finish(process, code_of(code or 0))
    coroutine.yield(huge)
  end
  return io
end

-- The io of a process with other descriptors.
local function with_fds(io, fds)
  return functions_of(setmetatable({
    fds = fds,
    process = io.process,
    env = io.env,
    cwd = io.cwd,
    user = io.user,
    files = io.files,
    container = io.container,
  }, Io))
end

-- spec: kernel, program, argv, fds, env, cwd, user, files, container (facts), is_first, is_frozen(),
-- on_end(code), on_unsupported(err)
local function new(spec)
  local self = setmetatable({
    kernel = spec.kernel,
    argv = spec.argv,
    fds = spec.fds,
    is_first = spec.is_first,
    is_frozen = spec.is_frozen,
    on_end = spec.on_end,
    on_unsupported = spec.on_unsupported,
    handlers = {}, -- number -> function | "ignore"
    pending = {}, -- handlers to be called
    early = {}, -- signals that came before its first step
    ports = {}, -- number -> true | function(path)
    children = {},
    awaited_by = {},
    steps = 0,
    turn = 0, -- of the last step planned: earlier ones are void
  }, Process)
  self.io = functions_of(setmetatable({
    fds = spec.fds,
    process = self,
    env = spec.env,
    cwd = spec.cwd,
    user = spec.user,
    files = spec.files,
    container = spec.container,
  }, Io))
  self.coroutine = coroutine.create(function()
    return spec.program(spec.argv, self.io)
  end)
  return self
end

-- A process beside this one: of a pipeline, or behind &. It ends with its parent.
function Process:spawn(program, argv, fds, io, on_end)
  local child = new {
    kernel = self.kernel,
    program = program,
    argv = argv,
    fds = fds,
    env = setmetatable({}, { __index = io.env }),
    cwd = io.cwd,
    user = io.user,
    files = io.files,
    container = io.container,
    is_frozen = self.is_frozen,
    on_end = on_end or function() end,
    on_unsupported = self.on_unsupported,
  }
  child.ports = self.ports
  self.children[#self.children + 1] = child
  child:start()
  return child
end

-- Waits until a child has ended; nil: a signal came before.
function Process:await(child, interruptible)
  child.awaited_by[#child.awaited_by + 1] = self
  while not child.ended do
    coroutine.yield(huge)
    local signalled = #self.pending > 0
    run_handlers(self)
    if signalled and interruptible and not child.ended then
      return nil
    end
  end
  for i, one in ipairs(self.children) do
    if one == child then
      remove(self.children, i)
      break
    end
  end
  return child.code
end

-- --- descriptors -------------------------------------------------------------------------------

-- What is read from a pipe, by one process at a time.
local Reader = {}
Reader.__index = Reader

local function reader(pipe)
  return setmetatable({ pipe = pipe }, Reader)
end

local function take(self, process, fn, n)
  local pipe = self.pipe
  while true do
    local bytes = fn(pipe, n)
    if bytes then
      process:work()
      return bytes
    elseif pipe.closed then
      return nil
    end
    function pipe.on_change()
      process:wake()
    end
    process:wait()
  end
end

function Reader:read(process, n)
  return take(self, process, self.pipe.take, n)
end

function Reader:line(process)
  return take(self, process, self.pipe.take_line)
end

-- What is written to a function: false from it means that nobody reads.
local function writer(fn)
  return {
    write = function(_, bytes)
      return fn(bytes)
    end,
  }
end

return { new = new, with_fds = with_fds, reader = reader, writer = writer, signal_of = signal_of }
