-- docker/exec.lua: a program inside a running container.
-- SPDX-License-Identifier: MIT
local attach = require "ctz.docker.attach"
local check = require("ctz.options").check
local failure = require "ctz.docker.failure"
local json = require "ctz.json"
local object = require "ctz.docker.object"
local secret = require "ctz.secret"
local task = require "ctz.core.task"

local error, ipairs, pairs, tostring, type = error, ipairs, pairs, tostring, type
local concat, setmetatable, sort = table.concat, setmetatable, table.sort

local OP <const> = "docker.containers.exec"
local POLL_S <const> = 0.02 -- between two looks whether a program whose streams have ended still runs

local exec = {}

-- {NAME = value} or a list of "NAME=value" -> the engine's list
local function environment(env)
  local list = {}
  for name, value in pairs(env or {}) do
    local text = type(value) == "userdata" and secret(value):reveal() or tostring(value)
    list[#list + 1] = type(name) == "string" and name .. "=" .. text or text
  end
  sort(list)
  return json.array(list)
end

local function words(command)
  if type(command) ~= "table" or #command == 0 then
    error(task.error {
      kind = "usage",
      op = OP,
      message = "the option 'command' is a list of words",
      hint = type(command) == "string" and ('{"sh", "-c", %q} runs it in a shell'):format(command) or nil,
    }, 0)
  end
  local list = {}
  for i, word in ipairs(command) do
    list[i] = tostring(word)
  end
  return list
end

-- --- its end -----------------------------------------------------------------------------------

-- The engine tells the code only when asked, a moment after the streams have ended.
local function exit_code(client, id, about)
  while true do
    local state = client:call("GET", "/exec/" .. id .. "/json", { op = OP, target = about.target })
    if not state.Running and type(state.ExitCode) == "number" then
      return state.ExitCode
    end
    task.sleep(POLL_S)
  end
end

local Program = setmetatable({ __name = "ctz.docker.exec" }, { __index = attach.Attached })
Program.__index = Program
Program.__close = attach.Attached.close

--- program:wait() -> integer
--- Waits until the program has ended and returns its exit code; output nobody took is dropped.
--- @async
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.exec, "web",
--- @example   {command={"true"}})
--- @example assert(err:is "unreachable")
function Program:wait()
  if not self.ended then
    for _ in self:parts() do -- luacheck: ignore 542
    end
  end
  return exit_code(self.client, self.exec_id, self)
end

-- --- exec --------------------------------------------------------------------------------------

local function start(client, container, opts)
  local path, target = object.container(OP, container)
  local created = client:call("POST", path .. "/exec", {
    op = OP,
    target = target,
    timeout = opts.timeout,
    json = {
      AttachStdin = opts.stdin ~= nil and opts.stdin ~= false,
      AttachStdout = true,
      AttachStderr = true,
      Tty = opts.tty or false,
      Cmd = words(opts.command),
      User = opts.user,
      WorkingDir = opts.workdir,
      Env = environment(opts.env),
      Privileged = opts.privileged or false,
    },
  })
  local source = client:upgrade("POST", "/exec/" .. created.Id .. "/start", {
    op = OP,
    target = target,
    timeout = opts.timeout,
    json = { Detach = false, Tty = opts.tty or false },
  })
  local program = attach.wrap({
    client = client,
    source = source,
    op = OP,
    target = target,
    exec_id = created.Id,
    resize_path = "/exec/" .. created.Id .. "/resize",
  }, { tty = opts.tty })
  return setmetatable(program, Program)
end

local function plans(client, container, opts)
  local _, target = object.container(OP, container)
  return client:plans("run %s in %s", concat(words(opts.command), " "), target)
end

--- ctz.docker.containers.exec(container, opts) -> table
--- Runs a program in a running container and returns {exit_code, stdout, stderr}. A code other than 0
--- raises. With stream=true it returns at once an object to talk to: lines(), parts(), write(bytes),
--- close_stdin(), resize(rows, columns), wait() -> exit code, close(). The engine has no way to end
--- such a program: after close() or a cancel it goes on in the container.
--- @async
--- @param container string|ctz.docker.container  name, id or object
--- @param opts.command string[]  program and arguments; no shell
--- @param opts.user? string
--- @param opts.workdir? string
--- @param opts.env? table  {NAME = value}; a ctz.secret stays one in our output
--- @param opts.tty? boolean  with a terminal: both streams are one
--- @param opts.privileged? boolean
--- @param opts.stdin? string|function|true  what it reads; a function gives pieces; true: with stream
--- @param opts.stdout? fun(line: string)  is called with each line instead
--- @param opts.stderr? fun(line: string)
--- @param opts.stream? boolean
--- @param opts.check? boolean  false: any exit code is a result
--- @param opts.timeout? ctz.seconds  until it has started
--- @return {exit_code: integer, stdout: string, stderr: string}
--- @error exit it ended with another code than 0; err.exit_code, err.stdout, err.stderr
--- @error not_found there is no such container
--- @error conflict the container does not run
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.containers.exec, "web",
--- @example   {command={"true"}})
--- @example assert(err:is "unreachable")
function exec.exec(client, container, opts)
  opts = check(OP, opts, {
    command = "any!",
    user = "string",
    workdir = "string",
    env = "table",
    tty = "boolean",
    privileged = "boolean",
    stdin = "string|function|boolean",
    stdout = "function",
    stderr = "function",
    stream = "boolean",
    check = "boolean",
    timeout = "seconds",
  })
  if not opts.stream and plans(client, container, opts) then
    return { exit_code = 0, stdout = "", stderr = "", planned = true }
  end
  local program = start(client, container, opts)
  if opts.stream then
    return program
  end
  local running <close> = program
  local stdout, stderr = attach.converse(running, opts)
  local result = { exit_code = running:wait(), stdout = stdout, stderr = stderr }
  if result.exit_code ~= 0 and opts.check ~= false then
    error(failure.of(OP, ("%s in %s"):format(opts.command[1], running.target), result), 0)
  end
  return result
end

return exec
