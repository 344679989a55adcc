-- docker/simulate/exec.lua: programs inside a simulated container that runs.
-- SPDX-License-Identifier: MIT
local create = require "ctz.docker.simulate.create"
local engines = require "ctz.docker.simulate.engine"
local json = require "ctz.json"
local output = require "ctz.docker.simulate.output"
local processes = require "ctz.docker.simulate.process"
local run = require "ctz.docker.simulate.run"
local streams = require "ctz.docker.simulate.streams"

local error, ipairs, tonumber, type = error, ipairs, tonumber, type
local concat, remove = table.concat, table.remove

local refuse = engines.refuse
local null <const> = json.null
local CANNOT <const> = 126

local exec = {}

-- As events tell a command: "cat " has no arguments.
local function text_of(command)
  return command[1] .. " " .. concat(command, " ", 2)
end

local function tell_start(one)
  create.tell(one.container, "exec_start: " .. text_of(one.command), { execID = one.id })
end

local function new(container, command, fields)
  local one = {
    id = engines.new_id(),
    container = container,
    command = command,
    config = fields or {},
    size = { rows = 0, columns = 0 },
  }
  container.engine.execs[one.id] = one
  container.execs[#container.execs + 1] = one.id
  create.tell(container, "exec_create: " .. text_of(command), { execID = one.id })
  return one
end

local function get(engine, id)
  return engine.execs[id] or refuse(404, "No such exec instance: %s", id)
end

local function check_running(container, shown)
  local state = container.state
  if not state.running then
    refuse(409, "Container %s is not running", container.id)
  elseif state.restarting then
    refuse(409, "Container %s is restarting, wait until the container is running", container.id)
  elseif state.paused then
    refuse(409, "Container %s is paused, unpause the container before exec", shown)
  end
end

function exec.create(engine, _, id, body)
  local container = engine:container(id)
  check_running(container, id)
  if type(body.Cmd) ~= "table" or #body.Cmd == 0 then
    refuse(400, "No exec command specified")
  end
  return 201, { Id = new(container, body.Cmd, body).id }
end

-- --- running -----------------------------------------------------------------------------------

local function finished(one, code)
  local container = one.container
  one.running, one.code = false, code
  for i, process in ipairs(container.execs_running) do
    if process == one.process then
      remove(container.execs_running, i)
      break
    end
  end
  create.tell(container, "exec_die", { execID = one.id, exitCode = ("%d"):format(code) })
  container.engine.kernel:changed()
end

local function launch(one, program, stdin, write, on_end)
  local container, config = one.container, one.config
  local process = processes.new(run.spec(container, {
    program = program,
    argv = { [0] = one.command[1], table.unpack(one.command, 2) },
    stdin = stdin,
    write = write,
    is_first = false,
    env = config.Env,
    cwd = type(config.WorkingDir) == "string" and config.WorkingDir ~= "" and config.WorkingDir or nil,
    user = type(config.User) == "string" and config.User ~= "" and config.User or nil,
    tty = config.Tty == true,
    size = one.size,
    on_end = function(code)
      finished(one, code)
      on_end(code)
    end,
  }))
  process.ports = container.listening
  one.process, one.running = process, true
  one.pid, container.engine.next_pid = container.engine.next_pid, container.engine.next_pid + 1
  container.execs_running[#container.execs_running + 1] = process
  process:start()
  return process
end

local function closed_pipe()
  local pipe = streams.pipe()
  pipe:close()
  return pipe
end

-- A health check: write(stream, bytes), on_end(code).
function exec.probe(container, command, write, on_end)
  local one = new(container, command)
  tell_start(one)
  local program = run.find_program(container, command[1])
  if not program then
    one.code = CANNOT
    write("stdout", run.missing_words(command[1]))
    on_end(CANNOT)
    return { kill = function() end }
  end
  return launch(one, program, closed_pipe(), write, on_end)
end

local function missing(one)
  return ("OCI runtime exec failed: exec failed: unable to start container process: exec: %q: %s: unknown\r\n")
    :format(one.command[1], run.missing_words(one.command[1]))
end

local function start_attached(one, program, tty)
  local kernel = one.container.engine.kernel
  local pipe = streams.pipe(function()
    kernel:changed()
  end)
  local stdin = one.config.AttachStdin and streams.pipe() or closed_pipe()
  local function write(stream, bytes)
    if tty then
      stream, bytes = "stdout", bytes:gsub("\n", "\r\n")
    end
    pipe:push(streams.frame(stream, bytes, tty))
  end
  if program then
    launch(one, program, stdin, write, function()
      stdin:abandon()
      pipe:close()
    end)
  else
    one.code = CANNOT
    pipe:push(streams.frame("stdout", missing(one), tty))
    pipe:close()
  end
  return output.conversation(one.container, pipe, one.config.AttachStdin and stdin, function(bytes)
    if tty then
      write("stdout", bytes)
    end
    return stdin:push(bytes)
  end)
end

function exec.start(engine, _, id, body)
  local one = get(engine, id)
  if one.running or one.code then
    refuse(409, "Error: Exec command %s has already run", id)
  end
  check_running(one.container, one.container.id)
  local program = run.find_program(one.container, one.command[1])
  tell_start(one)
  if body.Detach then
    if not program then
      one.code = CANNOT
      refuse(400, "%s", (missing(one):gsub("%s+$", "")))
    end
    launch(one, program, closed_pipe(), function() end, function() end)
    return 200
  end
  local tty = one.config.Tty == true
  return 101, nil, {
    headers = output.headers_of({ config = { Tty = tty } }, engine.number),
    connection = start_attached(one, program, tty),
  }
end

function exec.inspect(engine, _, id)
  local one = get(engine, id)
  if one.container.failure then
    error(one.container.failure, 0)
  end
  local config = one.config
  return 200, {
    ID = one.id,
    Running = one.running or false,
    ExitCode = one.code or null,
    ProcessConfig = {
      tty = config.Tty == true,
      entrypoint = one.command[1],
      arguments = json.array { table.unpack(one.command, 2) },
      privileged = config.Privileged == true,
      user = type(config.User) == "string" and config.User or nil,
    },
    OpenStdin = config.AttachStdin == true,
    OpenStderr = config.AttachStderr == true,
    OpenStdout = config.AttachStdout == true,
    CanRemove = false,
    ContainerID = one.container.id,
    DetachKeys = "",
    Pid = one.pid or 0,
  }
end

function exec.resize(engine, query, id)
  local one = get(engine, id)
  one.size.rows, one.size.columns = tonumber(query.h), tonumber(query.w)
  return 201
end

return exec
