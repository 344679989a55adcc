-- docker/build/steps.lua: what both builders say while they build, as the same events.
-- SPDX-License-Identifier: MIT
--
-- Events: {type = "step", name=, number?=, total?=, stage?=, state = "started"|"done"|"cached"|"failed",
-- seconds?=} and {type = "output", step=, stream = "stdout"|"stderr", text=}.
local time = require "ctz.time"

local ipairs, setmetatable, tonumber = ipairs, setmetatable, tonumber
local concat, remove = table.concat, table.remove

local SHOWN_LINES <const> = 20 -- of a failed step's output
local LINE_BYTES <const> = 4096

-- --- the last lines ----------------------------------------------------------------------------

local Tail = {}
Tail.__index = Tail

local function new_tail()
  return setmetatable({ lines = {}, open = "" }, Tail)
end

function Tail:add(text)
  text = self.open .. text
  local at = 1
  for line, behind in text:gmatch "([^\n]*)\n()" do
    at = behind
    self.lines[#self.lines + 1] = line:sub(1, LINE_BYTES)
    if #self.lines > SHOWN_LINES then
      remove(self.lines, 1)
    end
  end
  self.open = text:sub(at):sub(1, LINE_BYTES)
end

function Tail:text()
  local text = concat(self.lines, "\n")
  if self.open ~= "" then
    text = text == "" and self.open or text .. "\n" .. self.open
  end
  return text
end

-- --- the classic builder -----------------------------------------------------------------------

local Classic = {}
Classic.__index = Classic

local function end_step(self, state)
  local step = self.step
  if not step then
    return
  end
  self.step = nil
  self.emit {
    type = "step",
    name = step.name,
    number = step.number,
    total = step.total,
    state = state or step.cached and "cached" or "done",
    seconds = time.monotonic() - step.since,
  }
end

-- The labels of the request are steps behind those of the Dockerfile: they are not shown.
local function begin_step(self, number, total, name)
  end_step(self)
  number, total = tonumber(number), tonumber(total) - self.hidden
  if number > total then
    return
  end
  self.step = { name = name, number = number, total = total, since = time.monotonic() }
  self.tail = new_tail()
  self.emit { type = "step", name = name, number = self.step.number, total = self.step.total, state = "started" }
end

-- What a step writes to stderr is coloured.
local function output(self, text)
  local plain, count = text:gsub("\27%[91m", "")
  local ended
  plain, ended = plain:gsub("\27%[0m", "")
  local is_stderr = count > 0 or self.in_stderr
  self.in_stderr = is_stderr and ended == 0
  self.tail:add(plain)
  self.emit {
    type = "output",
    step = self.step and self.step.name,
    stream = is_stderr and "stderr" or "stdout",
    text = plain,
  }
end

function Classic:text(text)
  local number, total, name = text:match "^Step (%d+)/(%d+) : (.*)$"
  if number then
    begin_step(self, number, total, name:gsub("%s+$", ""))
  elseif text:find "^ %-%-%->" then
    if text:find("Using cache", 1, true) and self.step then
      self.step.cached = true
    end
  elseif text:find "^%[Warning%] " then
    self.warnings[#self.warnings + 1] = text:match "^%[Warning%] (.-)%s*$"
  elseif text:find "^Successfully tagged " or text:find "^Removing intermediate container " then
    return
  elseif text:find "^Successfully built " then
    self.id = self.id or text:match "^Successfully built (%x+)"
  elseif text ~= "\n" or self.in_output then
    self.in_output = true
    output(self, text)
    return
  end
  self.in_output = false
end

function Classic:event(event)
  if event.text then
    self:text(event.text)
  elseif event.aux and event.aux.ID then
    self.id = event.aux.ID
  elseif event.status then
    self.emit { type = "pull", id = event.id, status = event.status, current = event.current, total = event.total }
  end
end

function Classic:finish()
  end_step(self)
end

-- {step=, output=, exit_code=} of a build that failed with this error.
function Classic:failed(err)
  local step = self.step
  local said = err.message:match "returned a non%-zero code: (%d+)"
  local code = err.detail and tonumber(err.detail.code) or tonumber(said)
  end_step(self, "failed")
  return {
    step = step and step.name,
    number = step and step.number,
    total = step and step.total,
    output = self.tail:text(),
    exit_code = code and code ~= 0 and code or nil,
  }
end

-- --- BuildKit ----------------------------------------------------------------------------------

local BuildKit = {}
BuildKit.__index = BuildKit

-- "[base 2/7] RUN make" -> its parts
local function parts_of(name)
  local stage, number, total, what = name:match "^%[([^%]]-)%s*(%d+)/(%d+)%] (.*)$"
  if not number then
    return { name = name }
  end
  return { name = what, stage = stage ~= "" and stage or nil, number = tonumber(number), total = tonumber(total) }
end

local function emit_step(self, step, state, seconds)
  step.state = state
  self.emit {
    type = "step",
    name = step.name,
    stage = step.stage,
    number = step.number,
    total = step.total,
    state = state,
    seconds = seconds,
  }
end

-- BuildKit tells a vertex again whenever something of it changes.
local function on_vertex(self, vertex)
  local step = self.steps[vertex.digest]
  if not step then
    step = parts_of(vertex.name)
    step.tail = new_tail()
    self.steps[vertex.digest] = step
  end
  if vertex.error and vertex.error ~= "" then
    if step.state ~= "failed" then
      emit_step(self, step, "failed", vertex.started and vertex.completed and vertex.completed - vertex.started)
    end
    -- Those that were cancelled because of another one say so.
    if not self.failure or self.failure.error:find("context canceled", 1, true) then
      self.failure = { step = step, error = vertex.error }
    end
  elseif vertex.completed and step.state ~= "done" and step.state ~= "cached" then
    emit_step(self, step, vertex.cached and "cached" or "done", vertex.started and vertex.completed - vertex.started)
  elseif vertex.started and not step.state then
    emit_step(self, step, "started")
  end
end

local function on_log(self, log)
  local step = self.steps[log.vertex]
  if step then
    step.tail:add(log.text)
  end
  self.emit { type = "output", step = step and step.name, stream = log.stream, text = log.text }
end

local function on_warning(self, warning)
  local text = warning.text
  if warning.detail[1] then
    text = text .. ": " .. warning.detail[1]
  end
  if warning.line then
    text = ("%s (%s:%d)"):format(text, warning.file or "Dockerfile", warning.line)
  end
  self.warnings[#self.warnings + 1] = text
end

function BuildKit:event(event)
  if event.id == "moby.buildkit.trace" then
    local trace = self.trace(event.raw.aux)
    for _, vertex in ipairs(trace.vertexes) do
      on_vertex(self, vertex)
    end
    for _, log in ipairs(trace.logs) do
      on_log(self, log)
    end
    for _, warning in ipairs(trace.warnings) do
      on_warning(self, warning)
    end
  elseif event.aux and event.aux.ID then
    self.id = event.aux.ID
  end
end

function BuildKit:finish() -- luacheck: ignore 212
end

function BuildKit:failed(err)
  local failure = self.failure
  local step = failure and failure.step
  local code = err.message:match "exit code: (%d+)" or failure and failure.error:match "exit code: (%d+)"
  return {
    step = step and step.name,
    number = step and step.number,
    total = step and step.total,
    output = step and step.tail:text() or "",
    exit_code = tonumber(code),
  }
end

-- --- the one interface -------------------------------------------------------------------------

-- new(is_classic, emit, labels) -> steps: event(event of progress.lua), finish(), failed(err); afterwards
-- id and warnings. labels: how many the request has.
local function new(is_classic, emit, labels)
  local steps = { emit = emit, warnings = {}, steps = {}, tail = new_tail(), hidden = labels }
  if not is_classic then
    steps.trace = require("ctz.docker.buildkit").trace
  end
  return setmetatable(steps, is_classic and Classic or BuildKit)
end

return { new = new }
