-- docker/simulate/shell: sh of a simulated container.
-- SPDX-License-Identifier: MIT
local expand = require "ctz.docker.simulate.shell.expand"
local files_of = require "ctz.docker.simulate.files"
local open = require("ctz.docker.simulate.programs").open
local parse = require "ctz.docker.simulate.shell.parse"
local processes = require "ctz.docker.simulate.process"
local streams = require "ctz.docker.simulate.streams"
local unsupported = require("ctz.docker.simulate.program_options").unsupported

local error, getmetatable, ipairs, pcall, setmetatable = error, getmetatable, ipairs, pcall, setmetatable
local tonumber, type = tonumber, type
local concat, remove, unpack = table.concat, table.remove, table.unpack
local find, match = string.find, string.match

local run_list

-- What leaves a script or a loop: raised, and caught where it ends.
local Leave = {}

local function leave(what, code)
  error(setmetatable({ what = what, code = code }, Leave), 0)
end

local function is_leave(err)
  return type(err) == "table" and getmetatable(err) == Leave
end

-- --- redirections ------------------------------------------------------------------------------

local function file_writer(shell, path, appends)
  local io = shell.io
  if path == "/dev/null" then
    return processes.writer(function() end)
  elseif path == "/dev/stdout" or path == "/proc/1/fd/1" then
    return io.fds[1]
  elseif path == "/dev/stderr" or path == "/proc/1/fd/2" then
    return io.fds[2]
  end
  local whole = files_of.resolve(path, io.cwd)
  local before = appends and io.files:get(whole) or ""
  if io.files:get(whole) == true or not io.files:put(whole, before) then
    local why = io.files:get(whole) == true and "Is a directory" or "nonexistent directory"
    error({ syntax = ("can't create %s: %s"):format(path, why), code = 1 }, 0)
  end
  return processes.writer(function(bytes)
    io.files:put(whole, (io.files:get(whole) or "") .. bytes)
  end)
end

local function file_reader(shell, path)
  local read, words = open(shell.io, path)
  if not read then
    error({ syntax = ("can't open %s: %s"):format(path, words), code = 1 }, 0)
  end
  local pipe = streams.pipe()
  for bytes in read do
    pipe:push(bytes)
  end
  pipe:close()
  return processes.reader(pipe)
end

-- The io of a command: the shell's own, or one with other descriptors.
local function redirected(shell, redirections)
  if #redirections == 0 then
    return shell.io
  end
  local fds = { [0] = shell.io.fds[0], shell.io.fds[1], shell.io.fds[2] }
  for _, one in ipairs(redirections) do
    if one.to == "-" then
      fds[one.number] = processes.writer(function() end)
    elseif one.to then
      fds[one.number] = fds[one.to]
    elseif one.operator == "<" then
      fds[one.number] = file_reader(shell, expand.text_of(shell, one.word))
    else
      fds[one.number] = file_writer(shell, expand.text_of(shell, one.word), one.operator == ">>")
    end
  end
  return processes.with_fds(shell.io, fds)
end

-- --- traps -------------------------------------------------------------------------------------

-- Between two commands: what the traps of signals that came meanwhile say.
local function run_traps(shell)
  while #shell.signals > 0 do
    local script = remove(shell.signals, 1)
    local code = shell.code
    run_list(shell, parse(script))
    shell.code = code
  end
end

local builtins = {}

function builtins.trap(shell, argv)
  local action = argv[1]
  for i = 2, #argv do
    if argv[i] == "EXIT" or argv[i] == "0" then
      shell.at_exit = action ~= "-" and action or nil
    elseif not processes.signal_of(argv[i]) then
      shell.io.stderr(("sh: trap: %s: invalid signal specification\n"):format(argv[i]))
      return 1
    elseif action == "-" then
      shell.io.trap(argv[i], nil)
    elseif action == "" then
      shell.io.trap(argv[i], false)
    else
      shell.io.trap(argv[i], function()
        shell.signals[#shell.signals + 1] = action
      end)
    end
  end
  return 0
end

-- --- the commands of the shell itself -----------------------------------------------------------------

builtins[":"] = function()
  return 0
end

function builtins.exit(shell, argv)
  leave("exit", argv[1] and tonumber(argv[1]) & 255 or shell.code)
end

builtins["return"] = builtins.exit

builtins["break"] = function()
  leave "break"
end

builtins["continue"] = function()
  leave "continue"
end

function builtins.cd(shell, argv)
  local path = files_of.resolve(argv[1] or shell.io.env.HOME or "/", shell.io.cwd)
  if shell.io.files:get(path) ~= true then
    shell.io.stderr(("sh: cd: can't cd to %s: No such file or directory\n"):format(argv[1]))
    return 1
  end
  shell.io.cwd = path
  return 0
end

function builtins.export(shell, argv)
  for _, word in ipairs(argv) do
    local name, value = match(word, "^([^=]+)=(.*)$")
    if name then
      shell.io.env[name] = value
    end
  end
  return 0
end

function builtins.unset(shell, argv)
  for _, name in ipairs(argv) do
    shell.io.env[name] = nil
  end
  return 0
end

function builtins.set(shell, argv)
  for i, word in ipairs(argv) do
    if word == "--" then
      shell.parameters = { [0] = shell.parameters[0], unpack(argv, i + 1) }
      return 0
    elseif word == "-e" or word == "-eu" or word == "-ex" then
      shell.fails_early = true
    elseif word ~= "-u" and word ~= "-x" and word ~= "+x" and word ~= "+e" then
      unsupported("set " .. word .. " of the shell")
    end
  end
  return 0
end

function builtins.shift(shell)
  shell.parameters = { [0] = shell.parameters[0], unpack(shell.parameters, 2) }
  return 0
end

function builtins.read(shell, argv, io)
  local names = {}
  for _, word in ipairs(argv) do
    if word ~= "-r" then
      names[#names + 1] = word
    end
  end
  local line = io.line()
  local rest = (line or ""):gsub("\n$", ""):match "^%s*(.-)%s*$"
  for i, name in ipairs(names) do
    local first, more = match(rest, "^(%S*)%s*(.*)$")
    shell.io.env[name] = i == #names and rest or first
    rest = more
  end
  return line and find(line, "\n$") and 0 or 1
end

function builtins.wait(shell)
  for _, child in ipairs { unpack(shell.io.process.children) } do
    if not shell.io.process:await(child, true) then
      return 143
    end
  end
  return 0
end

function builtins.eval(shell, argv)
  run_list(shell, parse(concat(argv, " ")))
  return shell.code
end

local SIGNALS_TO_SELF <const> = { ["1"] = true, ["7"] = true }

function builtins.kill(shell, argv)
  local signal, target = "TERM", argv[1]
  if find(argv[1] or "", "^%-") then
    signal, target = argv[1]:sub(2), argv[2]
    if signal == "s" then
      signal, target = argv[2], argv[3]
    end
  end
  local process = shell.io.process
  if target == "8" and shell.last_background then
    shell.last_background:kill(processes.signal_of(signal))
  elseif SIGNALS_TO_SELF[target] then
    process:kill(processes.signal_of(signal))
    process:wait(process.kernel.clock)
  else
    unsupported("kill " .. concat(argv, " "))
  end
  return 0
end

-- --- simple commands -----------------------------------------------------------------------------

local function run_program(shell, argv, io)
  local program = io.container.find_program(argv[0])
  if not program then
    io.stderr(("sh: %s: not found\n"):format(argv[0]))
    return 127
  end
  local process = shell.io.process
  process.doing = argv
  local code = program(argv, io)
  process.doing = nil
  if code == nil or code == true then
    return 0
  end
  return code or 1
end

function builtins.exec(shell, argv, io)
  if #argv == 0 then
    shell.io = io
    return 0
  end
  local words = { [0] = argv[1], unpack(argv, 2) }
  shell.io.process.handlers = {}
  shell.io.process.argv = words
  leave("exit", run_program(shell, words, io))
end

local function assign(shell, command, env)
  for _, one in ipairs(command.assignments) do
    env[one.name] = expand.text_of(shell, one.word)
  end
end

local function run_simple(shell, command)
  shell.io.process:work()
  shell.substituted = nil
  local fields = expand.fields_of(shell, command.words)
  local io = redirected(shell, command.redirections)
  local name = fields[1]
  if not name then
    assign(shell, command, shell.io.env)
    return shell.substituted or 0
  end
  local argv = { [0] = name, unpack(fields, 2) }
  if #command.assignments > 0 then
    local env = setmetatable({}, { __index = shell.io.env })
    assign(shell, command, env)
    io = processes.with_fds(io, io.fds)
    io.env = env
  end
  local builtin = builtins[name]
  if builtin then
    return builtin(shell, argv, io)
  end
  return run_program(shell, argv, io)
end

-- --- the rest ----------------------------------------------------------------------------------

local substitution

local function new_shell(io, parameters)
  local shell = { io = io, parameters = parameters, code = 0, signals = {} }
  shell.substitute = substitution(shell)
  return shell
end

-- Runs a list in a shell of its own, in the same process; gives its exit code.
local function run_inside(shell, list, io)
  local inner = new_shell(processes.with_fds(io, io.fds), shell.parameters)
  inner.io.env = setmetatable({}, { __index = shell.io.env })
  local ok, err = pcall(run_list, inner, list)
  if not ok then
    if not is_leave(err) then
      error(err, 0)
    end
    return err.code or inner.code
  end
  return inner.code
end

-- $(script): a function that runs it and gives what it writes.
function substitution(shell)
  return function(script)
    local texts = {}
    local fds = { [0] = shell.io.fds[0], processes.writer(function(bytes)
      texts[#texts + 1] = bytes
    end), shell.io.fds[2] }
    shell.substituted = run_inside(shell, parse(script), processes.with_fds(shell.io, fds))
    return (concat(texts):gsub("\n+$", ""))
  end
end

local kinds = {}

kinds.simple = run_simple

function kinds.group(shell, command)
  local before = shell.io
  shell.io = redirected(shell, command.redirections)
  local ok, err = pcall(run_list, shell, command.body)
  shell.io = before
  if not ok then
    error(err, 0)
  end
  return shell.code
end

function kinds.subshell(shell, command)
  return run_inside(shell, command.body, redirected(shell, command.redirections))
end

local function condition_holds(shell, list)
  local early = shell.fails_early
  shell.fails_early = false
  run_list(shell, list)
  shell.fails_early = early
  return shell.code == 0
end

kinds["if"] = function(shell, command)
  for _, branch in ipairs(command.branches) do
    if condition_holds(shell, branch.condition) then
      run_list(shell, branch.body)
      return shell.code
    end
  end
  shell.code = 0
  if command.otherwise then
    run_list(shell, command.otherwise)
  end
  return shell.code
end

-- False: the loop is left.
local function run_body(shell, body)
  local ok, err = pcall(run_list, shell, body)
  if not ok and not (is_leave(err) and err.what ~= "exit") then
    error(err, 0)
  end
  return ok or err.what == "continue"
end

kinds["while"] = function(shell, command)
  local code = 0
  while condition_holds(shell, command.condition) ~= command.until_true do
    if not run_body(shell, command.body) then
      return 0
    end
    code = shell.code
  end
  return code
end

kinds["for"] = function(shell, command)
  shell.code = 0
  for _, value in ipairs(command.words and expand.fields_of(shell, command.words) or shell.parameters) do
    shell.io.env[command.name] = value
    if not run_body(shell, command.body) then
      break
    end
  end
  return shell.code
end

-- Loops and conditions with redirections are groups.
local function run_command(shell, command)
  local kind = command.kind
  if kind ~= "simple" and kind ~= "subshell" and kind ~= "group" and #command.redirections > 0 then
    local before = shell.io
    shell.io = redirected(shell, command.redirections)
    local ok, result = pcall(kinds[kind], shell, command)
    shell.io = before
    return ok and result or error(result, 0)
  end
  return kinds[kind](shell, command)
end

-- Words of a failure of the shell itself, which ends the script.
local function guarded(shell, fn, ...)
  local ok, result = pcall(fn, ...)
  if ok then
    return result
  elseif is_leave(result) then
    return result.code or shell.code
  elseif type(result) == "table" and result.syntax then
    shell.io.stderr(("sh: %s\n"):format(result.syntax))
    return result.code or 2
  end
  error(result, 0)
end

local function program_of(shell, command)
  return function(_, io)
    local inner = new_shell(io, shell.parameters)
    return guarded(inner, run_command, inner, command)
  end
end

-- Each command is a process of its own, joined by pipes; the code is that of the last one.
local function run_pipeline(shell, pipeline)
  local commands, process = pipeline.commands, shell.io.process
  if #commands == 1 then
    return run_command(shell, commands[1])
  end
  local input, children = shell.io.fds[0], {}
  for i, command in ipairs(commands) do
    local pipe, before = i < #commands and streams.pipe(), input
    local output = pipe and processes.writer(function(bytes)
      return pipe:push(bytes)
    end) or shell.io.fds[1]
    local fds = { [0] = before, output, shell.io.fds[2] }
    children[i] = process:spawn(program_of(shell, command), { [0] = "sh" }, fds, shell.io, function()
      if pipe then
        pipe:close()
      end
      if i > 1 then
        before.pipe:abandon()
      end
    end)
    input = pipe and processes.reader(pipe)
  end
  local code
  for _, child in ipairs(children) do
    code = process:await(child)
  end
  return code
end

local function run_item(shell, pipeline)
  local code = run_pipeline(shell, pipeline)
  if pipeline.inverted then
    code = code == 0 and 1 or 0
  end
  shell.code = code
  run_traps(shell)
end

local function run_chain(shell, chain)
  run_item(shell, chain[1])
  for i = 2, #chain do
    if (shell.code == 0) == (chain[i].operator == "&&") then
      run_item(shell, chain[i].pipeline)
    end
  end
  if shell.fails_early and shell.code ~= 0 and #chain == 1 then
    leave("exit", shell.code)
  end
end

function run_list(shell, list)
  for _, item in ipairs(list) do
    if item.background then
      local body = { kind = "group", body = { { chain = item.chain } }, redirections = {} }
      local nothing = streams.pipe()
      nothing:close()
      local fds = { [0] = processes.reader(nothing), shell.io.fds[1], shell.io.fds[2] }
      shell.last_background = shell.io.process:spawn(program_of(shell, body), { [0] = "sh" }, fds, shell.io)
      shell.code = 0
    else
      run_chain(shell, item.chain)
    end
  end
end

-- --- sh ----------------------------------------------------------------------------------------

local function read_script(argv, io)
  if argv[1] == "-c" or argv[1] == "-ec" or argv[1] == "-lc" or argv[1] == "-exc" then
    return argv[2] or "", { [0] = argv[3] or "sh", unpack(argv, 4) }, find(argv[1], "e", 1, true) ~= nil
  elseif argv[1] and find(argv[1], "^-") then
    return unsupported("sh " .. argv[1])
  elseif argv[1] then
    local script = io.files:get(files_of.resolve(argv[1], io.cwd))
    return type(script) == "string" and script or nil, { [0] = argv[1], unpack(argv, 2) }, false
  end
  return nil, { [0] = "sh" }, false
end

local function run_script(shell, script)
  run_list(shell, parse(script))
  return shell.code
end

-- Without a script: lines of the standard input, one command each.
local function run_input(shell)
  local io = shell.io
  for line in io.line do
    run_list(shell, parse(line))
  end
  return shell.code
end

-- sh [-c SCRIPT [NAME [PARAMETER...]] | FILE [PARAMETER...]]
local function sh(argv, io)
  local script, parameters, early = read_script(argv, io)
  if not script and argv[1] then
    io.stderr(("sh: can't open '%s': No such file or directory\n"):format(argv[1]))
    return 2
  end
  local shell = new_shell(io, parameters)
  shell.fails_early = early
  local code = guarded(shell, script and run_script or run_input, shell, script)
  if shell.at_exit then
    shell.code = code
    code = guarded(shell, function()
      run_list(shell, parse(shell.at_exit))
      return code
    end)
  end
  return code
end

return sh
