-- kubernetes/remote.lua: a program in a container that we talk to: its streams, its end, its exit code.
-- SPDX-License-Identifier: MIT
-- Source: client-go, tools/remotecommand; apimachinery, pkg/util/remotecommand/constants.go.
local failure = require "ctz.kubernetes.failure"
local host = require "ctz.core.host"
local json = require "ctz.json"
local task = require "ctz.core.task"

local error, ipairs, pcall, setmetatable, tonumber, type = error, ipairs, pcall, setmetatable, tonumber, type
local char, concat = string.char, table.concat

local STDIN <const>, STDOUT <const>, STDERR <const>, STATUS <const>, RESIZE <const>, CLOSE <const> = 0, 1, 2, 3, 4, 255
local NAMES <const> = { [STDOUT] = "stdout", [STDERR] = "stderr" }
local STATUS_BYTES <const> = 1 << 20
local V5 <const>, V4 <const> = "v5.channel.k8s.io", "v4.channel.k8s.io"

local function limit(name)
  for _, one in ipairs(host.limits()) do
    if one.name == name then
      return one.value
    end
  end
end

-- --- the end -----------------------------------------------------------------------------------

-- What runtimes say of a program that cannot be started: {words, kind, hint}.
local meanings <const> = {
  { "executable file not found", "not_found", "the image has no such program" },
  { "no such file or directory", "not_found", "the image has no such program, or not its interpreter" },
  { "permission denied", "denied", "the program is there, but cannot be executed" },
  { "container not found", "not_found" },
  { "is not running", "conflict" },
}

local function cannot_start(self, status)
  local err = failure.of_status(status, self)
  local words = (status.message or ""):lower()
  for _, meaning in ipairs(meanings) do
    if words:find(meaning[1], 1, true) then
      err.kind, err.hint, err.retryable = meaning[2], meaning[3] or err.hint, false
      break
    end
  end
  error(err, 0)
end

local function causes_of(status)
  local details = type(status.details) == "table" and status.details or {}
  return type(details.causes) == "table" and details.causes or {}
end

-- The exit code that a Status tells; raises what else it says.
local function code_of(self, status)
  if status.status == "Success" then
    return 0
  end
  for _, cause in ipairs(causes_of(status)) do
    local code = cause.reason == "ExitCode" and tonumber(cause.message)
    if code then
      return code // 1
    end
  end
  return cannot_start(self, status)
end

local function keep_status(self, bytes)
  self.status_text = (self.status_text or "") .. bytes
  if #self.status_text > STATUS_BYTES then
    error(task.error { kind = "size", op = self.op, message = self.target .. ": its status is too long" }, 0)
  end
end

-- --- reading -----------------------------------------------------------------------------------

local function end_of(self)
  self.ended = true
  self.socket:close()
end

-- The next bytes: stream, bytes; nil at the end.
local function next_part(self)
  while not self.ended do
    local ok, channel, bytes = pcall(self.socket.receive, self.socket)
    if not ok then
      local err = channel
      self.socket:close()
      self.ended = true
      if not self.status_text then -- some servers only close the connection behind it
        error(self.client:failure(err, self), 0)
      end
    elseif channel == nil then
      end_of(self)
    elseif channel == STATUS then
      keep_status(self, bytes)
    elseif NAMES[channel] and bytes ~= "" then
      return NAMES[channel], bytes
    end
  end
end

-- Cuts what comes into lines. A line over the cap comes in parts.
local function cut(self, stream, bytes)
  local kept, from = self.kept[stream] or "", 1
  local lines = self.lines_ready
  while true do
    local stop = bytes:find("\n", from, true)
    local text = kept .. bytes:sub(from, (stop or 0) - 1)
    kept = ""
    while #text > self.cap do
      lines[#lines + 1] = { stream = stream, text = text:sub(1, self.cap), partial = true }
      text = text:sub(self.cap + 1)
    end
    if not stop then
      self.kept[stream] = text
      return
    end
    lines[#lines + 1] = { stream = stream, text = self.tty and text:gsub("\r$", "") or text }
    from = stop + 1
  end
end

local function flush(self)
  for _, stream in ipairs { "stdout", "stderr" } do
    local text = self.kept[stream]
    if text and text ~= "" then
      self.lines_ready[#self.lines_ready + 1] = { stream = stream, text = text }
    end
    self.kept[stream] = nil
  end
end

local function next_line(self)
  while true do
    local line = self.lines_ready[self.line_at]
    if line then
      self.line_at = self.line_at + 1
      return line
    end
    self.lines_ready, self.line_at = {}, 1
    if self.ended then
      return nil
    end
    local stream, bytes = next_part(self)
    if stream then
      cut(self, stream, bytes)
    else
      flush(self)
    end
  end
end

local function too_much(self, stream, most)
  error(task.error {
    kind = "size",
    op = self.op,
    message = ("%s: more than %d bytes of %s"):format(self.target, most, stream),
    hint = ("take it line by line: %s = function(line) ... end"):format(stream),
    target = self.target,
  }, 0)
end

local function capture(self)
  local parts, sizes, most = { stdout = {}, stderr = {} }, { stdout = 0, stderr = 0 }, limit "capture_bytes"
  for stream, bytes in next_part, self do
    local list = parts[stream]
    list[#list + 1] = bytes
    sizes[stream] = sizes[stream] + #bytes
    if sizes[stream] > most then
      too_much(self, stream, most)
    end
  end
  return concat(parts.stdout), concat(parts.stderr)
end

-- --- the object --------------------------------------------------------------------------------

local Remote = { __name = "ctz.kubernetes.remote" }
Remote.__index = Remote

--- remote:lines() -> iterator
--- for line in remote:lines() do ... end: {stream=, text=} of both streams as they come; a line over the
--- limit log_line_bytes comes in parts with partial=true. break closes the connection.
--- @async
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Remote:lines()
  return next_line, self, nil, self
end

--- remote:parts() -> iterator
--- for stream, bytes in remote:parts() do ... end: the bytes as they come, not cut into lines.
--- @async
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Remote:parts()
  return next_part, self, nil, self
end

--- remote:write(bytes) -> true
--- Sends bytes to the standard input; waits while the program does not read.
--- @async
--- @param bytes string
--- @error unreachable the connection is closed
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Remote:write(bytes)
  return self.socket:send(bytes, STDIN)
end

--- remote:close_stdin() -> true
--- The end of the standard input; output may still come. Only servers that speak v5.channel.k8s.io
--- (Kubernetes 1.30 and later) can be told so.
--- @async
--- @error unsupported the server speaks v4.channel.k8s.io, which has no end of the standard input
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Remote:close_stdin()
  if self.protocol ~= V5 then
    failure.fail("unsupported", self.op,
      ("%s: the server speaks %s, which cannot end the standard input"):format(self.target, self.protocol), {
        hint = "Kubernetes 1.30 and later can; here let the program know by what it reads how much there is",
        target = self.target,
      })
  end
  return self.socket:send(char(STDIN), CLOSE)
end

--- remote:resize(rows, columns) -> true
--- The size of the terminal; only where there is one (tty=true).
--- @async
--- @param rows integer
--- @param columns integer
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Remote:resize(rows, columns)
  return self.socket:send(json.encode { Width = columns, Height = rows }, RESIZE)
end

--- remote:wait() -> integer
--- Waits until the program has ended and returns its exit code; output nobody took is dropped.
--- @async
--- @error not_found the image has no such program
--- @error unreachable the connection ended before the program
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Remote:wait()
  for _ in next_part, self do -- luacheck: ignore 542
  end
  local ok, status = pcall(json.decode, self.status_text or "")
  if not ok or type(status) ~= "table" then
    failure.fail("unreachable", self.op,
      ("%s: the connection ended before the server told the exit code"):format(self.target), { target = self.target })
  end
  return code_of(self, status)
end

--- remote:close() -> true
--- Leaves the container. The runtime ends the program's standard input; it may go on without us.
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Remote:close()
  self.ended = true
  return self.socket:close()
end

Remote.__close = Remote.close

-- {client, socket, protocol, op, target, tty}
local function wrap(fields)
  fields.kept, fields.lines_ready, fields.line_at = {}, {}, 1
  fields.cap = limit "log_line_bytes"
  return setmetatable(fields, Remote)
end

-- --- both directions ---------------------------------------------------------------------------

local function write_stdin(self, stdin)
  if type(stdin) == "function" then
    for bytes in stdin do
      self:write(bytes)
    end
  elseif stdin ~= "" then
    self:write(stdin)
  end
  self:close_stdin()
end

local function feed(self, stdin)
  -- A program may end without reading all: what it does not want is no failure.
  local ok, err = pcall(write_stdin, self, stdin)
  if not ok and (type(err) ~= "table" or err.kind ~= "unreachable" and err.kind ~= "conflict") then
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

-- Talks until the output ends: writes opts.stdin (text or iterator function) and gives both streams as
-- texts, or each line to opts.stdout, opts.stderr where there is one.
local function converse(self, opts)
  return task.scope(function()
    if opts.stdin ~= nil and opts.stdin ~= true and opts.stdin ~= false then
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

return { wrap = wrap, converse = converse, protocols = { V5, V4 }, V5 = V5 }
