-- docker/attach.lua: what a container writes while we listen, and what we write to it.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local core = require "ctz.core.docker"
local host = require "ctz.core.host"
local task = require "ctz.core.task"

local error, ipairs, pcall, setmetatable, type = error, ipairs, pcall, setmetatable, type
local concat = table.concat

-- --- reading ------------------------------------------------------------------------------------

-- Feeds from the source (a stream or a connection) until take(output) gives something.
local function next_of(self, take)
  local output = self.output
  while true do
    local first, second = take(output)
    if first then
      return first, second
    elseif self.ended then
      self.source:close()
      return nil
    end
    local ok, chunk = pcall(self.source.read, self.source)
    if not ok then
      self.source:close()
      error(self.client:failure(chunk, self), 0)
    elseif chunk then
      output:feed(chunk)
    else
      self.ended = true
      output:finish()
    end
  end
end

local function next_line(self)
  return (next_of(self, self.output.line))
end

local function next_part(self)
  return next_of(self, self.output.part)
end

-- What was read so far of one stream, up to the limit capture_bytes.
local function capture_limit()
  for _, limit in ipairs(host.limits()) do
    if limit.name == "capture_bytes" then
      return limit.value
    end
  end
end

local function too_much(self, stream, limit)
  error(task.error {
    kind = "size",
    op = self.op,
    message = ("%s: more than %d bytes of %s"):format(self.target, limit, stream),
    hint = ("take it line by line: %s = function(line) ... end"):format(stream),
    target = self.target,
  }, 0)
end

-- All of both streams, as texts.
local function capture(self)
  local parts, sizes, limit = { stdout = {}, stderr = {} }, { stdout = 0, stderr = 0 }, capture_limit()
  for stream, bytes in next_part, self do
    local list = parts[stream]
    list[#list + 1] = bytes
    sizes[stream] = sizes[stream] + #bytes
    if sizes[stream] > limit then
      too_much(self, stream, limit)
    end
  end
  return concat(parts.stdout), concat(parts.stderr)
end

-- --- the object --------------------------------------------------------------------------------

local Attached = { __name = "ctz.docker.attached" }
Attached.__index = Attached

--- attached:lines() -> iterator
--- for line in attached:lines() do ... end: {stream=, text=} of both streams as they come; a line over
--- the limit log_line_bytes comes in parts with partial=true. break closes the connection.
--- @async
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.attach, "web")
--- @example assert(err:is "unreachable")
function Attached:lines()
  return next_line, self, nil, self
end

--- attached:parts() -> iterator
--- for stream, bytes in attached:parts() do ... end: the bytes as they come, not cut into lines.
--- @async
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.attach, "web")
--- @example assert(err:is "unreachable")
function Attached:parts()
  return next_part, self, nil, self
end

--- attached:write(bytes) -> true
--- Sends bytes to the standard input.
--- @async
--- @param bytes string
--- @error unreachable the connection broke
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.attach, "web")
--- @example assert(err:is "unreachable")
function Attached:write(bytes)
  return self.source:write(bytes)
end

--- attached:close_stdin() -> true
--- The end of the standard input; output may still come.
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.attach, "web")
--- @example assert(err:is "unreachable")
function Attached:close_stdin()
  return self.source:close_write()
end

--- attached:resize(rows, columns) -> true
--- The size of the terminal; only where there is one (tty=true).
--- @async
--- @param rows integer
--- @param columns integer
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.attach, "web")
--- @example assert(err:is "unreachable")
function Attached:resize(rows, columns)
  self.client:call("POST", self.resize_path, {
    op = self.op,
    target = self.target,
    query = { h = rows, w = columns },
  })
  return true
end

--- attached:close() -> true
--- Leaves the container; what runs there goes on.
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.attach, "web")
--- @example assert(err:is "unreachable")
function Attached:close()
  return self.source:close()
end

Attached.__close = Attached.close

-- {client, source, op, target, resize_path}, and how its bytes are to be read.
local function wrap(fields, output_options)
  fields.output = core.output(output_options)
  return setmetatable(fields, Attached)
end

-- --- both directions ----------------------------------------------------------------------------

local function write_stdin(self, stdin)
  if type(stdin) == "function" then
    for bytes in stdin do
      self:write(bytes)
    end
  else
    self:write(stdin)
  end
  self:close_stdin()
end

local function feed(self, stdin)
  -- A program may end without reading all: what it does not want is no failure.
  local ok, err = pcall(write_stdin, self, stdin)
  if not ok and type(err) == "table" and err.kind ~= "unreachable" and err.kind ~= "conflict" then
    error(err, 0)
  end
end

local function call_with_lines(self, functions)
  for line in next_line, self do
    local fn = functions[line.stream]
    if fn then
      fn(line.text)
    end
  end
end

-- Talks to the container until its output ends: writes `stdin` (text or iterator function) and gives
-- both streams as texts, or each line to a function where there is one.
local function converse(self, opts)
  return task.scope(function()
    if opts.stdin ~= nil and opts.stdin ~= true then
      task.spawn(function()
        feed(self, opts.stdin)
      end, { background = true })
    end
    if opts.stdout or opts.stderr then
      return call_with_lines(self, opts)
    end
    return capture(self)
  end)
end

-- --- containers.attach --------------------------------------------------------------------------

local attach = {}

-- A container keeps its terminal, so of an object that knows it the engine is not asked.
function attach.has_terminal(client, container, path, about)
  local known = nil
  if type(container) == "table" then
    known = container.tty
  end
  if known ~= nil then
    return known
  end
  return client:call("GET", path .. "/json", about).Config.Tty
end

--- ctz.docker.containers.attach(container, opts?) -> attached
--- Connects to the streams of a container's first process: lines(), parts(), write(bytes),
--- close_stdin(), resize(rows, columns), close(). Only what comes from now on, unless logs=true.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.stdin? boolean  connect the standard input too; default false
--- @param opts.stdout? boolean  default true
--- @param opts.stderr? boolean  default true
--- @param opts.logs? boolean  what was written before comes first
--- @param opts.timeout? ctz.seconds  until it is connected
--- @error not_found there is no such container
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.attach, "web")
--- @example assert(err:is "unreachable")
function attach.attach(client, container, opts)
  local op <const> = "docker.containers.attach"
  opts = check(op, opts, {
    stdin = "boolean",
    stdout = "boolean",
    stderr = "boolean",
    logs = "boolean",
    timeout = "seconds",
    tty = "boolean",
  })
  local object = require "ctz.docker.object"
  local path, target = object.container(op, container)
  local tty = opts.tty
  if tty == nil then
    tty = attach.has_terminal(client, container, path, { op = op, target = target, timeout = opts.timeout })
  end
  local source = client:upgrade("POST", path .. "/attach", {
    op = op,
    target = target,
    timeout = opts.timeout,
    reads = not opts.stdin,
    query = {
      stream = true,
      stdin = opts.stdin or false,
      stdout = opts.stdout ~= false,
      stderr = opts.stderr ~= false,
      logs = opts.logs or false,
    },
  })
  local fields = { client = client, source = source, op = op, target = target, resize_path = path .. "/resize" }
  return wrap(fields, { tty = tty })
end

return {
  attach = attach.attach,
  has_terminal = attach.has_terminal,
  wrap = wrap,
  converse = converse,
  Attached = Attached,
}
