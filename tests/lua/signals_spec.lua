-- signals_spec.lua: what signals and deadlines do to a run, and what it tells when nothing can go on.
-- SPDX-License-Identifier: MIT
local program = require "tests.lua.support.program"

-- Runs a recipe that prints "ready", then the lines of shell in `act`, with $pid, $out and $err set
-- and `until_seen FILE TEXT` to wait; returns code, stdout and stderr of the recipe.
local function run_with(recipe, act)
  local folder = program.folder()
  program.write(folder .. "/recipe.lua", 'local ctz = require "ctz"\n' .. recipe)
  local result = program.shell(([[
    cd '%s'
    out=$PWD/out err=$PWD/err
    until_seen() {
      for _ in $(seq 1000); do
        grep -qsF -- "$2" "$1" && return
        sleep 0.01
      done
      echo "never seen: $2" >&2
    }
    '%s' run recipe.lua >$out 2>$err &
    pid=$!
    until_seen $out ready
    %s
    wait $pid
    echo "code=$?"]]):format(folder, program.path, act))
  local out, err = program.read(folder .. "/out"), program.read(folder .. "/err")
  program.remove(folder)
  assert.equal("", result.err)
  return tonumber(result.out:match("code=(%d+)")), out, err
end

local ASK <const> = "kill -USR1 $pid; until_seen $err 'task 1 at'; "

describe("SIGUSR1", function()
  it("prints every task with its waiting line and age to stderr, and the run goes on", function()
    local code, out, err = run_with([[
      ctz.spawn(function() ctz.sleep(60) end, {background=true})
      local channel = ctz.channel()
      ctz.spawn(function() channel:receive() end, {background=true})
      print "ready"
      ctz.sleep(0)
      io.stdout:flush()
      local started = os.time()
      while not io.open("go") do ctz.sleep(0.01) end
      print "went on"]], ASK .. "until_seen $err 'task 3 at'; touch go")
    assert.equal(0, code)
    assert.equal("ready\nwent on\n", out)
    assert.matches("tasks:\n", err, 1, true)
    assert.matches("task 2 at recipe%.lua:2: sleeps, %d+%.%d s\n", err)
    assert.matches("task 3 at recipe%.lua:4: receives from a channel, %d+%.%d s\n", err)
    assert.matches("task 1 at recipe%.lua:%d+: %a+, %d+%.%d s\n", err)
  end)

  it("is answered by Lua code that never waits", function()
    local code, _, err = run_with([[
      print "ready"
      ctz.sleep(0.001)
      while true do end]], [[
        for _ in $(seq 1000); do
          kill -USR1 $pid
          grep -qs running $err && break
          sleep 0.01
        done
        kill -TERM $pid]])
    assert.equal(143, code)
    assert.matches("task 1 at recipe%.lua:4: running", err)
  end)

  it("may come often", function()
    local code, out = run_with([[
      print "ready"
      while not io.open("go") do ctz.sleep(0.001) end
      print "went on"]], "for _ in $(seq 50); do kill -USR1 $pid; done; " .. ASK .. "touch go")
    assert.equal(0, code)
    assert.equal("ready\nwent on\n", out)
  end)
end)

describe("a run where all tasks wait on each other", function()
  it("ends at once with the lines where they wait, exit 1, and runs the close handlers", function()
    local result = program.recipe [[
      local ctz = require "ctz"
      local a, b = ctz.channel(), ctz.channel()
      ctz.spawn(function() a:receive() b:send(1) end)
      ctz.spawn(function() b:receive() a:send(1) end)
      local closed <close> = setmetatable({}, {__close = function() print "closed" end})
      ctz.channel():receive()]]
    assert.equal(1, result.code)
    assert.equal("closed\n", result.out)
    assert.matches("all tasks wait on each other", result.err, 1, true)
    assert.matches("task 1 at recipe%.lua:6: receives from a channel", result.err)
    assert.matches("task 2 at recipe%.lua:3: receives from a channel", result.err)
    assert.matches("task 3 at recipe%.lua:4: receives from a channel", result.err)
  end)

  it("is noticed although the run has a deadline", function()
    local result = program.recipe("require('ctz').channel():receive()", { "--timeout", "60" })
    assert.equal(1, result.code)
    assert.matches("wait on each other", result.err, 1, true)
  end)

  it("is not taken for one while a task sleeps", function()
    local result = program.recipe [[
      local ctz = require "ctz"
      local channel = ctz.channel()
      ctz.spawn(function() ctz.sleep(0.05) channel:send("late") end)
      print((channel:receive()))]]
    assert.equal(0, result.code, result.err)
    assert.equal("late\n", result.out)
  end)
end)

describe("SIGTERM and SIGHUP", function()
  for _, name in ipairs { "TERM", "HUP" } do
    it(name .. " ends the run with 143 after its clean-up", function()
      local code, out, err = run_with([[
        ctz.defer(function() ctz.sleep(0.01) print "cleaned up" end)
        print "ready"
        ctz.sleep(60)]], "kill -" .. name .. " $pid")
      assert.equal(143, code)
      assert.equal("ready\ncleaned up\n", out)
      assert.matches("asked to end", err, 1, true)
    end)
  end
end)

describe("Ctrl-C", function()
  it("cancels the run, cleans up and exits with 130", function()
    local code, out, err = run_with([[
      ctz.defer(function() ctz.sleep(0.01) print "cleaned up" end)
      print "ready"
      ctz.sleep(60)]], "kill -INT $pid")
    assert.equal(130, code)
    assert.equal("ready\ncleaned up\n", out)
    assert.matches("interrupted", err, 1, true)
  end)

  it("pressed twice ends at once and lists what is left", function()
    local code, out, err = run_with([[
      ctz.defer(function() ctz.sleep(60) print "cleaned up" end)
      print "ready"
      ctz.sleep(60)]], "kill -INT $pid; until_seen $err interrupted; kill -INT $pid")
    assert.equal(130, code)
    assert.equal("ready\n", out)
    assert.matches("task 1 at recipe%.lua:2: sleeps", err)
  end)

  it("ends Lua code that never waits, in a pcall too", function()
    local code = run_with([[
      print "ready"
      ctz.sleep(0.001)
      while true do pcall(function() while true do end end) end]], "kill -INT $pid")
    assert.equal(130, code)
  end)
end)

describe("Lua code that never waits", function()
  it("is ended by a deadline that passed before it began", function()
    local result = program.recipe([[
      local ctz = require "ctz"
      ctz.spawn(function()
        ctz.timeout(0.05, function()
          ctz.sleep(0.01)
          while true do end
        end)
      end)
      ctz.sleep(0)
      local started = os.clock()
      while os.clock() - started < 0.2 do end]], { "--timeout", "60" })
    assert.equal(1, result.code)
    assert.matches("the deadline of 0.05 s passed", result.err, 1, true)
  end)

  it("is ended by its deadline when another task had an earlier one", function()
    local result = program.recipe([[
      local ctz = require "ctz"
      ctz.spawn(function() ctz.try(ctz.timeout, 0.05, ctz.sleep, 0.01) end)
      ctz.sleep(0)
      local _, err = ctz.try(ctz.timeout, 0.15, function() while true do end end)
      print(err.kind)]], { "--timeout", "60" })
    assert.equal(0, result.code, result.err)
    assert.equal("timeout\n", result.out)
  end)

  it("is ended in a close handler when the time for clean-up is used up", function()
    local result = program.recipe([[
      local ctz = require "ctz"
      local endless <close> = setmetatable({}, {__close = function() while true do end end})
      ctz.sleep(60)]], { "--timeout", "0.05", "--limit", "cleanup_ms=100" })
    assert.equal(124, result.code)
    assert.matches("the clean-up took longer than 0.1 s", result.err, 1, true)
  end)
end)
