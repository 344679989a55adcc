-- kubernetes/exec.lua: a program inside a container of a pod, and attaching to the one that runs there.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API v1, pods/exec and pods/attach; client-go, tools/remotecommand.
local check = require("ctz.options").check
local remote = require "ctz.kubernetes.remote"
local pods_of = require "ctz.kubernetes.pods"
local task = require "ctz.core.task"
local websocket = require "ctz.kubernetes.websocket"

local error, ipairs, tostring, type = error, ipairs, tostring, type
local concat = table.concat

local exec = {}

local function words(op, command)
  if type(command) ~= "table" or #command == 0 then
    error(task.error {
      kind = "usage",
      op = op,
      message = ("bad argument 'command' to '%s': expected a list of words"):format(op),
      hint = type(command) == "string" and ('{"sh", "-c", %q} runs it in a shell'):format(command) or nil,
    }, 0)
  end
  local list = {}
  for i, word in ipairs(command) do
    list[i] = tostring(word)
  end
  return list
end

-- The pod and its container, as texts. A pod named with its container is not asked for.
local function place(client, op, target, opts)
  local read = pods_of.read(op, target, opts, client)
  if pods_of.is_pod(read) and opts.container then
    return read.namespace, read.name, opts.container
  end
  local pod = pods_of.one(client, read, { op = op, timeout = opts.timeout })
  return pod.metadata.namespace, pod.metadata.name, pods_of.container(op, pod, opts.container)
end

local function wants_stdin(opts)
  return opts.stdin ~= nil and opts.stdin ~= false
end

local function connect(client, op, what, target, opts, command)
  local namespace, name, container = place(client, op, target, opts)
  local about = ("pod/%s in namespace %s (container %s)"):format(name, namespace, container)
  local socket, protocol = websocket.open(client, pods_of.path(namespace, name, "/" .. what), {
    op = op,
    target = about,
    timeout = opts.timeout,
    protocols = remote.protocols,
    channels = true,
    query = {
      command = command,
      container = container,
      stdin = wants_stdin(opts),
      stdout = true,
      stderr = not opts.tty, -- a terminal has one stream
      tty = opts.tty or false,
    },
  })
  local program = remote.wrap {
    client = client, socket = socket, protocol = protocol, op = op, target = about, tty = opts.tty,
    pod = name, namespace = namespace, container = container,
  }
  local has_end = wants_stdin(opts) and opts.stdin ~= true
  if has_end and protocol ~= remote.V5 then
    local closing <close> = program -- luacheck: ignore 211
    program:close_stdin() -- raises why it cannot
  end
  return program
end

local hints <const> = {
  [126] = "the program is there, but cannot be executed",
  [127] = "the image has no such program",
  [137] = "it was killed: SIGKILL, or because memory ran out",
  [139] = "it crashed: segmentation fault",
  [143] = "it was asked to end (SIGTERM)",
}

local function last_line(text)
  return text and text:match "([^\n]*%S[^\n]*)%s*$"
end

local function check_code(op, what, result)
  local said = not last_line(result.stderr) and last_line(result.stdout)
  local err = task.error {
    kind = "exit",
    op = op,
    message = ("%s ended with exit code %d%s"):format(what, result.exit_code, said and ": " .. said:sub(1, 400) or ""),
    hint = hints[result.exit_code],
    target = what,
    exit_code = result.exit_code,
    stderr = result.stderr,
  }
  err.stdout, err.result = result.stdout, result
  error(err, 0)
end

local RULES <const> = {
  namespace = "string",
  container = "string",
  stdin = "string|function|boolean",
  tty = "boolean",
  stdout = "function",
  stderr = "function",
  stream = "boolean",
  check = "boolean",
  timeout = "seconds",
}

--- client:exec(target, command, opts?) -> table
--- Runs a program in a container of a running pod and returns {exit_code, stdout, stderr}. A code other
--- than 0 raises. With stream=true it returns at once an object to talk to: lines(), parts(),
--- write(bytes), close_stdin(), resize(rows, columns), wait() -> exit code, close(). Of a workload the
--- pod that runs best is taken. The user needs `create` and `get` on pods/exec.
--- @async
--- @param target string|table  "pod-name", "deployment/web", an object, {selector="app=web"}
--- @param command string[]  program and arguments; no shell
--- @param opts.namespace? string  default: the client's
--- @param opts.container? string  default: as annotated, else the first
--- @param opts.stdin? string|function|true  what it reads; a function gives pieces; true: with stream
--- @param opts.tty? boolean  with a terminal: both streams are one
--- @param opts.stdout? fun(line: string)  is called with each line instead
--- @param opts.stderr? fun(line: string)
--- @param opts.stream? boolean
--- @param opts.check? boolean  false: any exit code is a result
--- @param opts.timeout? ctz.seconds  until it has started
--- @return {exit_code: integer, stdout: string, stderr: string}
--- @error exit it ended with another code than 0; err.exit_code, err.stdout, err.stderr
--- @error not_found there is no such pod, container or program
--- @error unsupported stdin has an end, but the server speaks v4.channel.k8s.io
--- @error denied the user may not
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: Kubernetes API v1, GET /api/v1/namespaces/{ns}/pods/{name}/exec
function exec.exec(client, target, command, opts)
  local op <const> = "kubernetes.exec"
  opts = check(op, opts, RULES)
  local list = words(op, command)
  if not opts.stream and client.plans and client:plans("run %s in %s", concat(list, " "),
    pods_of.shown(pods_of.read(op, target, opts, client))) then
    return { exit_code = 0, stdout = "", stderr = "", planned = true }
  end
  local program = connect(client, op, "exec", target, opts, list)
  if opts.stream then
    return program
  end
  local running <close> = program
  local stdout, stderr = remote.converse(running, opts)
  local result = { exit_code = running:wait(), stdout = stdout, stderr = stderr }
  if result.exit_code ~= 0 and opts.check ~= false then
    check_code(op, ("%s in %s"):format(list[1], running.target), result)
  end
  return result
end

--- client:attach(target, opts?) -> remote
--- Connects to the streams of the process that a container runs: lines(), parts(), write(bytes),
--- close_stdin(), resize(rows, columns), wait() -> exit code, close(). Only what comes from now on:
--- client:logs has what was written before. Standard input and a terminal only where the pod's
--- container has stdin and tty.
--- @async
--- @param target string|table  "pod-name", "deployment/web", an object
--- @param opts.namespace? string
--- @param opts.container? string  default: as annotated, else the first
--- @param opts.stdin? boolean  connect the standard input too; default false
--- @param opts.tty? boolean
--- @param opts.timeout? ctz.seconds  until it is connected
--- @error not_found there is no such pod or container
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: Kubernetes API v1, GET /api/v1/namespaces/{ns}/pods/{name}/attach
function exec.attach(client, target, opts)
  local op <const> = "kubernetes.attach"
  opts = check(op, opts, {
    namespace = "string", container = "string", stdin = "boolean", tty = "boolean", timeout = "seconds",
  })
  return connect(client, op, "attach", target, opts)
end

return exec
