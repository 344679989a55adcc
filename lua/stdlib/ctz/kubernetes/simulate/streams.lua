-- kubernetes/simulate/streams.lua: programs in containers of pods, and attaching, as a WebSocket carries them.
-- SPDX-License-Identifier: MIT
-- Source: apimachinery, pkg/util/remotecommand/constants.go (v5.channel.k8s.io).
local json = require "ctz.json"
local kubelet = require "ctz.kubernetes.simulate.kubelet"
local new_error = require("ctz.core.task").error
local refusal = require "ctz.kubernetes.simulate.refusal"
local run = require "ctz.docker.simulate.run"
local values = require "ctz.kubernetes.simulate.values"

local error, setmetatable, type = error, setmetatable, type
local unpack = string.unpack

local STDIN <const>, STATUS <const>, RESIZE <const>, CLOSE <const> = 0, 3, 4, 255
local OP <const> = "simulate.cluster"

local table_of = values.table_of

-- --- the socket ------------------------------------------------------------------------------------

local Socket = { __name = "ctz.kubernetes.simulate.socket" }
Socket.__index = Socket

-- connection: of the simulated engine; on_resize(size); status(): what is told at the end.
local function new(fields)
  fields.rest = ""
  return setmetatable(fields, Socket)
end

local function take_frame(self)
  while true do
    if #self.rest >= 8 then
      local channel, size = unpack(">I1xxxI4", self.rest)
      if #self.rest >= 8 + size then
        local bytes = self.rest:sub(9, 8 + size)
        self.rest = self.rest:sub(9 + size)
        return channel, bytes
      end
    end
    local bytes = self.connection:read()
    if not bytes then
      return nil
    end
    self.rest = self.rest .. bytes
  end
end

-- channel, bytes; nil: nothing more comes.
function Socket:receive()
  if self.ended then
    return nil
  end
  local channel, bytes
  if self.tty then
    bytes = self.connection and self.connection:read()
    channel = bytes and 1
  elseif self.connection then
    channel, bytes = take_frame(self)
  end
  if channel then
    return channel, bytes
  end
  self.ended = true
  return STATUS, json.encode(self.status())
end

function Socket:send(bytes, channel)
  if channel == RESIZE then
    local size = json.decode(bytes)
    return self.on_resize and self.on_resize(size.Height, size.Width) or true
  elseif channel == CLOSE then
    return self.connection and self.connection:close_write() or true
  elseif channel ~= STDIN or not self.connection or self.ended then
    error(new_error { kind = "unreachable", message = "the connection was closed by the other side" }, 0)
  end
  return self.connection:write(bytes)
end

function Socket:close()
  self.ended = true
  if self.connection then
    self.connection:close()
  end
  return true
end

-- --- what is told at the end -------------------------------------------------------------------------

local function status_of(code)
  if code == 0 then
    return { metadata = {}, status = "Success" }
  end
  return {
    metadata = {}, status = "Failure", reason = "NonZeroExitCode",
    message = ("command terminated with non-zero exit code: exit status %d"):format(code),
    details = { causes = { { reason = "ExitCode", message = ("%d"):format(code) } } },
  }
end

local function cannot(words)
  return function()
    return { metadata = {}, status = "Failure", reason = "InternalError", code = 500, message = words }
  end
end

-- --- containers --------------------------------------------------------------------------------------

local function container_of(state, pod, query)
  local name = query.container ~= "" and query.container or pod.spec.containers[1].name
  local known = values.find(pod.spec.containers, function(one) return one.name == name end)
    or values.find(pod.spec.initContainers, function(one) return one.name == name end)
  if not known then
    refusal.bad_request("container %s is not valid for pod %s", name, pod.metadata.name)
  elseif not pod.spec.nodeName then
    refusal.bad_request("pod %s does not have a host assigned", pod.metadata.name)
  end
  local one = kubelet.record(state, pod, name)
  local container = one and one.current
  if not container or not container.state.running then
    refusal.refuse(500, "InternalError", ('unable to upgrade connection: container not found ("%s")'):format(name), {})
  end
  return container
end

local function words_of(query)
  return type(query.command) == "table" and query.command or { query.command }
end

local streams = {}

function streams.exec(state, pod, query)
  local container, words = container_of(state, pod, query), words_of(query)
  local tty, client = query.tty == "true", state.runtime
  if not words[1] then
    refusal.bad_request "you must specify at least 1 command for the container"
  elseif not run.find_program(container, words[1]) then
    return 101, nil, { socket = new { status = cannot(("error executing command in container: exec: %q: %s"):format(
      words[1], run.missing_words(words[1]))) } }
  end
  local id = client:call("POST", ("/containers/%s/exec"):format(container.id), { op = OP, json = {
    Cmd = words, AttachStdin = query.stdin == "true", AttachStdout = true, AttachStderr = not tty, Tty = tty,
  } }).Id
  return 101, nil, { socket = new {
    tty = tty,
    connection = client:upgrade("POST", ("/exec/%s/start"):format(id), {
      op = OP, json = { Detach = false, Tty = tty },
    }),
    on_resize = function(rows, columns)
      client:call("POST", ("/exec/%s/resize"):format(id), { op = OP, query = { h = rows, w = columns } })
      return true
    end,
    status = function()
      return status_of(table_of(client:call("GET", ("/exec/%s/json"):format(id), { op = OP })).ExitCode)
    end,
  } }
end

function streams.attach(state, pod, query)
  local container = container_of(state, pod, query)
  local client = state.runtime
  return 101, nil, { socket = new {
    tty = container.config.Tty,
    connection = client:upgrade("POST", ("/containers/%s/attach"):format(container.id), { op = OP, query = {
      stream = true, stdin = query.stdin == "true", stdout = true, stderr = true,
    } }),
    on_resize = function(rows, columns)
      client:call("POST", ("/containers/%s/resize"):format(container.id), {
        op = OP, query = { h = rows, w = columns },
      })
      return true
    end,
    status = function()
      return status_of(0)
    end,
  } }
end

return streams
