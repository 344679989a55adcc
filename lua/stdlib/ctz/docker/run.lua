-- docker/run.lua: docker.run: a container from its configuration to its end.
-- SPDX-License-Identifier: MIT
local attach = require "ctz.docker.attach"
local check = require("ctz.options").check
local configs = require "ctz.docker.config"
local creating = require "ctz.docker.create"
local failure = require "ctz.docker.failure"
local json = require "ctz.json"
local shown = require("ctz.docker.container").shown
local sheltered = require "ctz.docker.sheltered"
local task = require "ctz.core.task"

local map = require("ctz").map

local error, pairs, pcall, setmetatable, type = error, pairs, pcall, setmetatable, type
local concat = table.concat

local OP <const> = "docker.run"
local STDIN_BYTES <const> = 65536 -- of our own standard input, at once
local REMOVALS_AT_ONCE <const> = 8

-- What concerns the call and not the container.
local CALL <const> = {
  check = "boolean",
  ephemeral = "boolean",
  stderr = "function",
  stdout = "function",
  timeout = "seconds",
}

local CALL_NAMES <const> = {}
for name in pairs(CALL) do
  CALL_NAMES[#CALL_NAMES + 1] = name
end

local function usage(text, ...)
  error(task.error { kind = "usage", op = OP, message = text:format(...) }, 0)
end

local function pieces_of(path)
  local file, message = io.open(path, "rb")
  if not file then
    error(task.error { kind = "not_found", op = OP, message = "stdin: " .. message, target = path }, 0)
  end
  return function()
    return file:read(STDIN_BYTES)
  end
end

-- What is written to the standard input: a text or a function; nil: nothing.
local function stdin_of(config)
  local stdin = config.stdin
  if stdin == true and not config.detach then
    return function()
      return io.read(STDIN_BYTES)
    end
  elseif type(stdin) == "table" then
    stdin = stdin.text or pieces_of(stdin.file)
  end
  return type(stdin) == "userdata" and stdin:reveal() or type(stdin) ~= "boolean" and stdin or nil
end

-- opts, config: what concerns the call, and the container.
local function split(settings)
  local opts = {}
  if type(settings) == "table" then
    for name in pairs(CALL) do
      opts[name] = settings[name]
    end
  end
  local config = configs.new(settings, OP, CALL_NAMES)
  check(OP, opts, CALL)
  opts.stdin = stdin_of(config)
  if opts.stdin and config.detach then
    usage "a container that is detached is not fed: attach{stdin=true} writes to it"
  end
  return opts, config
end

-- Sheltered, for an engine of 20.10 that removes a container while it starts it keeps an endpoint of it, and
-- the network can not be removed any more.
local function start(client, container, opts)
  sheltered(function()
    client:call("POST", "/containers/" .. container.id .. "/start", {
      op = OP,
      target = shown(container),
      timeout = opts.timeout,
    })
  end)
end

-- --- removed at the end of the scope --------------------------------------------------------------

local together = setmetatable({}, { __mode = "k" }) -- a deferred function -> the containers that it removes

local function remove_all(list)
  map(list, function(held)
    held:remove()
  end, { jobs = REMOVALS_AT_ONCE })
end

-- Containers that nothing was deferred between are removed at once: many of them are to go within the
-- budget for clean-up.
local function remove_at_end(held)
  local list = together[task.deferred() or false]
  if list then
    list[#list + 1] = held
    return
  end
  list = { held }
  local function run_at_end()
    remove_all(list)
  end
  together[run_at_end] = list
  task.defer(run_at_end)
end

-- --- in the foreground --------------------------------------------------------------------------

-- Ends what still runs when the call is left by an error or a cancel. What never ran is not kept.
local Guard = {
  __close = function(self)
    if self.container and not self.removes then
      pcall(self.client.call, self.client, "POST", "/containers/" .. self.container.id .. "/kill", {})
      self.held:keep()
    end
  end,
}

-- The engine answers at once and tells the exit code when there is one, so nothing is missed between
-- start and wait. Not "removed": Podman 4.3 gives 0 for it, whatever the code (measured).
local function begin_wait(client, container)
  return client:stream("POST", "/containers/" .. container.id .. "/wait", {
    op = OP,
    target = shown(container),
    query = { condition = "next-exit" },
    reads = true,
  })
end

local function wait_for_removal(client, container)
  pcall(client.call, client, "POST", "/containers/" .. container.id .. "/wait", {
    query = { condition = "removed" },
    reads = true,
  })
end

local function end_wait(client, waiting, container)
  local target = shown(container)
  local parts = {}
  local ok, err = pcall(function()
    for chunk in waiting:chunks() do
      parts[#parts + 1] = chunk
    end
  end)
  if not ok then
    error(client:failure(err, { op = OP, target = target }), 0)
  end
  local decoded, answer = pcall(json.decode, concat(parts))
  return creating.read_exit(OP, target, decoded and answer)
end

local function run_attached(client, container, opts, config, held)
  local guard <close> = setmetatable({ client = client, held = held, removes = config.remove }, Guard)
  local streams <close> = attach.attach(client, container, { stdin = opts.stdin ~= nil, tty = config.tty or false })
  local waiting <close> = begin_wait(client, container)
  start(client, container, opts)
  guard.container = container
  local stdout, stderr = attach.converse(streams, opts)
  local result = { exit_code = end_wait(client, waiting, container), stdout = stdout, stderr = stderr }
  guard.container = nil
  if config.remove then
    wait_for_removal(client, container)
  else
    result.container = container
  end
  return result
end

local function run_detached(client, container, opts)
  start(client, container, opts)
  return container:refresh()
end

-- --- run ---------------------------------------------------------------------------------------

local run = {}

--- ctz.docker.run(config) -> table | ctz.docker.container
--- Makes a container, starts it, waits for its end and returns {exit_code, stdout, stderr}; a code
--- other than 0 raises. With detach=true it returns the running container's object at once. What is
--- in config beside the following is that of ctz.docker.config. A call left by an error, a cancel or
--- Ctrl-C kills the container, and with remove=true removes it.
--- @async
--- @param config.image string
--- @param config.command? string[]  program and arguments
--- @param config.detach? boolean
--- @param config.remove? boolean  the container is removed when it has ended
--- @param config.ephemeral? boolean  with detach: removed when the innermost ctz.scope ends, also by an error or Ctrl-C
--- @param config.stdin? string|function|boolean  what it reads; a function gives pieces until nil
--- @param config.stdout? fun(line: string)  is called with each line; then the result has no stdout
--- @param config.stderr? fun(line: string)
--- @param config.check? boolean  false: any exit code is a result
--- @param config.timeout? ctz.seconds  until the container has ended, with detach until it runs
--- @return {exit_code: integer, stdout: string, stderr: string}
--- @error usage the configuration is wrong: all problems at once
--- @error exit it ended with another code than 0; err.exit_code, err.stdout, err.stderr
--- @error not_found no such image, or no such program in it
--- @error conflict the name or a port is taken
--- @example local _, err = ctz.try(ctz.docker.run, {image="busybox", comand={"true"}})
--- @example assert(err.kind == "usage" and err.message:find "command")
function run.run(client, settings)
  local opts, config = split(settings)
  local function go()
    local held <close> = creating.hold(client)
    if opts.ephemeral then
      remove_at_end(held)
    end
    local container = creating.create(client, OP, config, config.pull or "missing", held)
    if container.planned then
      return config.detach and container or { exit_code = 0, stdout = "", stderr = "", planned = true }
    end
    local result = (config.detach and run_detached or run_attached)(client, container, opts, config, held)
    held:keep()
    return result
  end
  local result = opts.timeout and not config.detach and task.timeout(opts.timeout, go) or go()
  if result.exit_code and result.exit_code ~= 0 and opts.check ~= false then
    error(failure.of(OP, config.name and "container " .. config.name or "a container of " .. config.image, result), 0)
  end
  return result
end

return run
