-- kubernetes/forward.lua: a port of a pod on this machine, or connection by connection.
-- SPDX-License-Identifier: MIT
--
-- Each connection has a WebSocket of its own, v4.channel.k8s.io: channel 0 the bytes, channel 1 what
-- went wrong, each begun by the port. It needs no SPDY inside; it has no end of one direction.
-- Source: kubelet, pkg/cri/streaming/portforward/websocket.go.
local check = require("ctz.options").check
local core = require "ctz.core.kubernetes"
local failure = require "ctz.kubernetes.failure"
local log = require "ctz.log"
local pods_of = require "ctz.kubernetes.pods"
local task = require "ctz.core.task"
local websocket = require "ctz.kubernetes.websocket"

local error, ipairs, math_type, pcall, setmetatable, type = error, ipairs, math.type, pcall, setmetatable, type

local OP <const> = "kubernetes.port_forward"
local PROTOCOLS <const> = { "v4.channel.k8s.io" }
local DATA <const>, PROBLEM <const> = 0, 1
local LINGER_S <const> = 5 -- of silence from the pod after our side has ended
local SERVICES <const> = { service = true, services = true, svc = true }

-- --- a connection ------------------------------------------------------------------------------

local Connection = { __name = "ctz.kubernetes.connection" }
Connection.__index = Connection

local function raise_problem(self, words)
  self.socket:close()
  local kind = words:lower():find("connection refused", 1, true) and "unreachable" or "io"
  failure.fail(kind, OP, ("%s: %s"):format(self.target, words), { target = self.target, retryable = true })
end

--- tunnel:read() -> string|nil
--- What came from the pod, at least one byte; nil at the end.
--- @async
--- @error unreachable nobody listens on that port in the pod, or the connection broke
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Connection:read()
  while not self.ended do
    local ok, channel, bytes = pcall(self.socket.receive, self.socket)
    if not ok then
      local err = channel
      self.ended = true
      if err.kind ~= "unreachable" or not self.greeted[DATA] then
        error(self.client:failure(err, self), 0)
      end -- servers end it without a close frame
    elseif channel == nil then
      self.ended = true
    elseif (channel == DATA or channel == PROBLEM) and not self.greeted[channel] then
      self.greeted[channel] = true -- with the port
      bytes = bytes:sub(3)
    end
    if ok and channel == PROBLEM and bytes ~= "" then
      raise_problem(self, bytes)
    elseif ok and channel == DATA and bytes ~= "" then
      self.received = self.received + #bytes
      return bytes
    end
  end
  return nil
end

--- tunnel:write(bytes) -> true
--- Sends bytes to the pod.
--- @async
--- @param bytes string
--- @error unreachable the connection is closed
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Connection:write(bytes)
  return bytes == "" or self.socket:send(bytes, DATA)
end

--- tunnel:close() -> true
--- Ends both directions: port-forward cannot end one alone.
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Connection:close()
  self.ended = true
  return self.socket:close()
end

Connection.__close = Connection.close

-- Our side's bytes, until it ends; then the pod has LINGER_S of silence.
local function carry_in(self, stream)
  for bytes in stream.read, stream do
    self:write(bytes)
  end
  repeat
    local before = self.received
    task.sleep(LINGER_S)
  until before == self.received
  self:close()
end

--- tunnel:carry(stream) -> true
--- Carries both ways between the pod and a local connection until one of them ends.
--- @async
--- @param stream table  has read() -> bytes or nil, write(bytes), close()
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Connection:carry(stream)
  return task.scope(function()
    task.spawn(function()
      pcall(carry_in, self, stream) -- its end is seen by who reads
    end, { background = true })
    for bytes in self.read, self do
      stream:write(bytes)
    end
    return true
  end)
end

-- --- which pod, which port -----------------------------------------------------------------------

local function port_named(pod, name)
  for _, container in ipairs(pod.spec.containers) do
    for _, port in ipairs(pods_of.is_given(container.ports) and container.ports or {}) do
      if port.name == name then
        return port.containerPort
      end
    end
  end
  return failure.fail("not_found", OP, ("pod %s has no port named %q"):format(pod.metadata.name, name), {
    target = "pod/" .. pod.metadata.name,
  })
end

-- A service's port is another in its pods.
local function port_behind(client, read, port, opts)
  local service = client:get("service", read.name, { namespace = read.namespace, timeout = opts.timeout })
  for _, one in ipairs(service.spec.ports) do
    if one.port == port or one.name == port then
      return pods_of.is_given(one.targetPort) and one.targetPort or one.port
    end
  end
  return failure.fail("not_found", OP, ("service %s has no port %s"):format(read.name, port), {
    target = "service/" .. read.name,
  })
end

local function choose(client, read, port, opts)
  if read.kind and SERVICES[read.kind:lower()] then
    port = port_behind(client, read, port, opts)
  end
  local pod = pods_of.one(client, read, { op = OP, timeout = opts.timeout })
  if pod.status.phase ~= "Running" then
    failure.fail("conflict", OP, ("pod %s is %s, not running"):format(pod.metadata.name, pod.status.phase), {
      hint = "client:wait(\"pod/" .. pod.metadata.name .. "\", {condition=\"ready\"})",
      target = "pod/" .. pod.metadata.name,
    })
  end
  return pod, type(port) == "string" and port_named(pod, port) or port
end

-- --- the object --------------------------------------------------------------------------------

local Forward = { __name = "ctz.kubernetes.forward" }
Forward.__index = Forward

--- forward:connect() -> tunnel
--- A connection to the pod's port, without a local port: read() -> bytes or nil, write(bytes), close().
--- @async
--- @error not_found the pod is gone
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Forward:connect()
  local target = ("port %d of pod/%s in namespace %s"):format(self.port, self.pod, self.namespace)
  local socket = websocket.open(self.client, pods_of.path(self.namespace, self.pod, "/portforward"), {
    op = OP,
    target = target,
    timeout = self.timeout,
    protocols = PROTOCOLS,
    channels = true,
    query = { ports = self.port },
  })
  return setmetatable({
    client = self.client, socket = socket, op = OP, target = target, greeted = {}, received = 0,
  }, Connection)
end

local function next_connection(self)
  local ok, stream = pcall(self.listener.accept, self.listener)
  if ok then
    return stream
  elseif stream.kind == "conflict" then
    return nil -- closed
  end
  return error(stream, 0)
end

--- forward:connections() -> iterator
--- for stream in forward:connections() do ... end: connections to the local port, of a forward with
--- serve=false: read(), write(bytes), finish(), close(). `forward:connect():carry(stream)` joins one to
--- the pod.
--- @async
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Forward:connections()
  return next_connection, self, nil, self
end

--- forward:close() -> true
--- Gives the local port back; connections that are open end.
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Forward:close()
  local ended = self.listener:close()
  if self.serving then
    self.serving:cancel()
  end
  return ended
end

Forward.__close = Forward.close

-- One that fails is told in the log: the port goes on.
local function serve_one(self, stream)
  local closing <close> = stream -- luacheck: ignore 211
  local ok, err = pcall(function()
    local connection <close> = self:connect()
    connection:carry(stream)
  end)
  if not ok and type(err) == "table" and err.kind == "cancelled" then
    error(err, 0)
  elseif not ok then
    log.warn(("port_forward: %s"):format(type(err) == "table" and err.message or err))
  end
end

local function serve(self)
  for stream in next_connection, self do
    task.spawn(function()
      serve_one(self, stream)
    end, { background = true })
  end
end

--- client:port_forward(target, opts) -> forward
--- Makes a port of a pod reachable on this machine: forward.local_port on 127.0.0.1, served until
--- forward:close() or the end of the scope. forward:connect() connects without the local port. Of a
--- workload the pod that runs best is taken, once; of a service its port is translated. When a local
--- program ends, the pod is told so after 5 s in which it sends nothing: the protocol cannot end one
--- direction alone.
--- @async
--- @param target string|table  "pod-name", "deployment/web", "service/web", an object
--- @param opts.port integer|string  in the pod, or its name; of a service: the service's
--- @param opts.local_port? integer  default: one that is free
--- @param opts.address? string  default 127.0.0.1
--- @param opts.serve? boolean  false: nothing is carried, take forward:connections()
--- @param opts.namespace? string
--- @param opts.timeout? ctz.seconds  until a connection stands
--- @return {local_port: integer, address: string, port: integer, pod: string}
--- @error not_found no such pod, service or port
--- @error conflict the pod does not run
--- @error io the local port is taken
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: Kubernetes API v1, GET /api/v1/namespaces/{ns}/pods/{name}/portforward
local function port_forward(client, target, opts)
  opts = check(OP, opts, {
    port = "integer|string!",
    local_port = "count",
    address = "string",
    serve = "boolean",
    namespace = "string",
    timeout = "seconds",
  })
  local port = opts.port
  if math_type(port) == "integer" and (port < 1 or port > 65535) or (opts.local_port or 0) > 65535 then
    failure.usage(OP, "bad argument 'opts.port' to '%s': a port is 1 to 65535", OP)
  end
  local read = pods_of.read(OP, target, opts, client)
  local pod, number = choose(client, read, port, opts)
  local address = opts.address or "127.0.0.1"
  local listener = core.listen(("%s:%d"):format(address:find(":", 1, true) and "[" .. address .. "]" or address,
    opts.local_port or 0))
  local self = setmetatable({
    client = client,
    listener = listener,
    address = address,
    local_port = listener:port(),
    port = number,
    pod = pod.metadata.name,
    namespace = pod.metadata.namespace,
    timeout = opts.timeout,
  }, Forward)
  if opts.serve ~= false then
    self.serving = task.spawn(function()
      serve(self)
    end, { background = true })
  end
  return self
end

return { port_forward = port_forward }
