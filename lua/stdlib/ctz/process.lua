-- ctz.process: programs. Functions that get lines are called in the task that runs the program.
-- SPDX-License-Identifier: MIT
local core = require "ctz.core.system".process
local task = require "ctz.core.task"

local pairs, type = pairs, type

local function each_line(child, stream, fn)
  for line in child:lines { stream = stream } do
    fn(line)
  end
end

-- run with a function for the lines of stdout, stderr or both.
local function run_with_lines(argv, opts)
  local plain, functions = {}, {}
  for name, value in pairs(opts) do
    plain[name] = value
  end
  for _, stream in pairs { "stdout", "stderr" } do
    if type(opts[stream]) == "function" then
      plain[stream], functions[stream] = "stream", opts[stream]
    else
      plain[stream] = opts[stream] or "capture"
    end
  end
  plain.check = nil
  local child <close> = core.begin(argv, plain)
  task.scope(function()
    if functions.stderr then
      task.spawn(function()
        each_line(child, "stderr", functions.stderr)
      end)
    end
    if functions.stdout then
      each_line(child, "stdout", functions.stdout)
    end
  end)
  local result = core.finish(child, { check = opts.check })
  for stream in pairs(functions) do
    result[stream] = nil
  end
  return result
end

local function run(argv, opts)
  if type(opts) == "table" and (type(opts.stdout) == "function" or type(opts.stderr) == "function") then
    return run_with_lines(argv, opts)
  end
  return core.run(argv, opts)
end

return { run = run, spawn = core.spawn, find = core.find }
