-- cmd/test.lua: ctz test: the machine's busted inside the host, so that specs may wait.
-- SPDX-License-Identifier: MIT
--
-- busted runs every block through busted.safe(descriptor, run, element). For `it`, `describe` and
-- files it does so twice: around the executor (before_each, the test, after_each) and around the
-- body itself. The first gets a scope, so that helpers started by a block end with it; the body of
-- a test gets a deadline and is looked at for tasks that it left behind.
local cli = require "ctz.core.cli"
local task = require "ctz.core.task"

local REST_S <const> = 10 -- at most, for before_each and after_each beside the test itself
local DEFAULT_FOLDERS <const> = { "tests/lua", "spec" }

local body_s = 60 -- deadline of a test; --test-timeout

local NOTHING <const> = {} -- stands for the error value nil

local first_traces = {} -- of the test that runs: error value -> busted's trace of it

-- --- tasks that outlive their block --------------------------------------------------------------

local function ids()
  local known = {}
  for _, other in ipairs(task.tasks()) do
    known[other.id] = true
  end
  return known
end

local function left_over(known)
  local lines = {}
  for _, other in ipairs(task.tasks()) do
    if not known[other.id] and not other.background then
      lines[#lines + 1] = ("  task %d at %s: %s"):format(other.id, other.at or "?", other.doing)
    end
  end
  table.sort(lines)
  return lines
end

-- Calls run inside a scope. Tasks that it left are a failure; what it raised itself comes first.
local function scoped(run, fail)
  local known
  return task.scope(function(scope)
    known = ids()
    local results = table.pack(run())
    if #left_over(known) > 0 then
      task.sleep(0) -- tasks that were cancelled or are done end now
    end
    local lines = left_over(known)
    if #lines > 0 then
      scope:cancel()
      fail("tasks were left over; await or cancel them:\n" .. table.concat(lines, "\n"), 0)
    end
    return table.unpack(results, 1, results.n)
  end)
end

-- --- busted ---------------------------------------------------------------------------------------

-- busted looks for the place of an error from inside its message handler. The scope raises a second
-- time, from a place of its own, so the first place is kept beside the error.
local function keeping_trace(trace_of, run)
  return function()
    local results = table.pack(xpcall(run, function(message)
      first_traces[message == nil and NOTHING or message] = trace_of(message)
      return message
    end))
    if not results[1] then
      error(results[2], 0)
    end
    return table.unpack(results, 2, results.n)
  end
end

local test_count = 0

local function adapt(busted)
  local function count()
    test_count = test_count + 1
    return nil, true -- the next subscriber is asked too
  end
  busted.subscribe({ "register", "it" }, count)
  busted.subscribe({ "register", "pending" }, count)

  local safe, get_trace, fail = busted.safe, busted.getTrace, busted.fail
  local executors = { it = body_s + math.min(REST_S, body_s), describe = math.huge, file = math.huge }

  function busted.getTrace(element, level, message)
    local trace = first_traces[message == nil and NOTHING or message]
    if trace then
      return trace
    end
    trace = get_trace(element, (level or 3) + 1, message)
    local is_ours = trace.source and trace.source:find("^@ctz:cmd/test")
    return is_ours and element.trace or trace
  end

  function busted.safe(descriptor, run, element)
    local limit = descriptor == element.descriptor and executors[descriptor]
    if not limit or (run == element.run and descriptor ~= "it") then
      return safe(descriptor, run, element)
    end
    local body = run
    if run == element.run then
      limit = body_s
      first_traces = {}
      body = keeping_trace(function(message)
        return get_trace(element, 4, message)
      end, run)
    end
    return safe(descriptor, function()
      return task.timeout(limit, scoped, body, fail)
    end, element)
  end
  return busted
end

local function load_busted()
  local found, runner = pcall(require, "busted.runner")
  if not found then
    if tostring(runner):find("module 'busted", 1, true) then
      io.stderr:write("ctz test: busted is not installed; install the package lua-busted\n")
      os.exit(69)
    end
    error(runner, 0)
  end
  local make = require "busted.core"
  package.loaded["busted.core"] = function()
    return adapt(make())
  end
  return runner
end

-- --- arguments -------------------------------------------------------------------------------------

local function exists(path)
  local file = io.open(path)
  if file then
    file:close()
  end
  return file ~= nil
end

local function takes_value()
  local flags = {}
  for _, command in ipairs(cli.commands()) do
    if command.name == "test" then
      for _, option in ipairs(command.options) do
        flags["--" .. option.name] = option.value ~= nil
        flags["-" .. (option.letter or "")] = option.value ~= nil
      end
    end
  end
  return flags
end

local function names_a_file(words)
  local flags, skip = takes_value(), false
  for _, word in ipairs(words) do
    if skip then
      skip = false
    elseif word:sub(1, 1) == "-" then
      skip = flags[word]
    else
      return true
    end
  end
  return false
end

local function with_defaults(words)
  if not names_a_file(words) then
    for _, folder in ipairs(DEFAULT_FOLDERS) do
      if exists(folder) then
        words[#words + 1] = folder
        break
      end
    end
  end
  return words
end

local function run(options, words, rest)
  local runner = load_busted()
  if options["test-timeout"] then
    body_s = cli.seconds(options["test-timeout"])
  end
  table.move(rest, 1, #rest, #words + 1, words)
  _G.arg = with_defaults(words) -- busted reads its options there
  -- The runner names itself after the chunk that calls it.
  assert(load("local run, options = ...; run(options)", "@ctz test"))(runner, { standalone = false })
  if test_count == 0 then
    io.stderr:write("ctz test: no test was found\n")
    return 1
  end
  return 0
end

return { run = run }
