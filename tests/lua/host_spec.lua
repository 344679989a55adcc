-- The sentences of the runtime on the run as a whole: signals, deadlines, the end. Each test runs ctz as a program.
local ctz = require "ctz"
local host = require "ctz.core.host"
local process = require "ctz.process"

local function ctz_run(arguments, options)
  options = options or {}
  options.check = false
  return process.run({ host.program, table.unpack(arguments) }, options)
end

local function eval(code, ...)
  local words = { "eval", ... }
  words[#words + 1] = 'local ctz = require "ctz"\n' .. code
  return ctz_run(words)
end

-- Starts code, waits for its line "ready", sends the signals in turn, returns the outcome and the seconds it took.
local function interrupt(code, signals, arguments)
  local words = { host.program, "eval", table.unpack(arguments or {}) }
  words[#words + 1] = 'local ctz = require "ctz"\n' .. code
  local child <close> = process.spawn(words, { stderr = "capture" })
  for line in child:lines() do
    if line == "ready" then
      break
    end
  end
  ctz.sleep(0.05) -- the line after "ready" is under way
  local start = ctz.time.monotonic()
  for _, signal in ipairs(signals) do
    child:kill(signal)
    ctz.sleep(0.2)
  end
  local outcome = child:wait { check = false }
  return outcome, ctz.time.monotonic() - start
end

local READY = "io.stdout:write('ready\\n') io.stdout:flush() "

describe("the recipe", function()
  it("is the first task and the root scope: the run waits for what it spawned", function()
    local outcome = eval [[
      assert(ctz.tasks()[1].id == 1)
      ctz.spawn(function() ctz.sleep(0.01) print "child ended" end)
    ]]
    assert.equal("child ended\n", outcome.stdout)
    assert.equal(0, outcome.exit_code)
  end)

  it("fails when one of its tasks fails, awaited or not", function()
    local outcome = eval [[
      ctz.spawn(function() error(ctz.error{kind="io", message="task broke"}) end)
      ctz.sleep(60)
    ]]
    assert.equal(1, outcome.exit_code)
    assert.matches("task broke", outcome.stderr)
  end)

  it("ends at once, with every waiting line, when all tasks wait on each other", function()
    local outcome = eval [[
      local channel = ctz.channel()
      ctz.spawn(function() channel:receive() end)
      ctz.defer(function() print "cleaned up" end)
      channel:receive()
    ]]
    assert.equal(1, outcome.exit_code)
    assert.matches("all tasks wait on each other", outcome.stderr)
    assert.matches("task 1 at .-:5: receives from a channel", outcome.stderr)
    assert.matches("task 2 at .-:3: receives from a channel", outcome.stderr)
    assert.equal("cleaned up\n", outcome.stdout)
  end)
end)

describe("Ctrl-C", function()
  it("cancels the root task, says so, cleans up and ends with 130", function()
    local outcome = interrupt(
      "ctz.defer(function() ctz.sleep(0.01) print 'cleaned up' end) " .. READY .. "ctz.sleep(60)",
      { "SIGINT" }
    )
    assert.equal(130, outcome.exit_code)
    assert.matches("interrupted; cleaning up", outcome.stderr)
    assert.matches("cleaned up", outcome.stdout)
  end)

  it("interrupts a Lua loop that never waits, also inside pcall", function()
    local outcome = interrupt(READY .. "while true do pcall(function() while true do end end) end", { "SIGINT" })
    assert.equal(130, outcome.exit_code)
  end)

  it("twice ends at once and lists what is left behind", function()
    local outcome, seconds = interrupt(
      "ctz.defer(function()\nctz.sleep(60) end) " .. READY .. "ctz.sleep(60)",
      { "SIGINT", "SIGINT" }
    )
    assert.equal(130, outcome.exit_code)
    assert.matches("ended at once; these tasks were left", outcome.stderr)
    assert.matches("task 1 at .-: sleeps", outcome.stderr)
    assert.is_true(seconds < 5)
  end)

  it("twice ends a C function that does not return", function()
    local outcome = interrupt(
      READY .. "string.find(('a'):rep(200000), ('.-'):rep(30) .. 'b')",
      { "SIGINT", "SIGINT" }
    )
    assert.equal(130, outcome.exit_code)
    assert.matches("a C function did not return", outcome.stderr)
  end)

  it("gives the clean-up its budget and no more", function()
    local outcome, seconds = interrupt(
      "ctz.defer(function() ctz.sleep(60) end) " .. READY .. "ctz.sleep(60)",
      { "SIGINT" },
      { "--limit", "cleanup_ms=300" }
    )
    assert.equal(130, outcome.exit_code)
    assert.matches("clean%-up took longer than 0.3 s", outcome.stderr)
    assert.is_true(seconds < 5)
  end)

  it("does not wait for a job of the pool", function()
    local huge <close> = ctz.fs.tempfile()
    process.run { "truncate", "-s", "100G", huge.path } -- a hole: minutes to read, nothing on the disk
    local outcome, seconds = interrupt(
      "ctz.spawn(function() ctz.hash.file('" .. huge.path .. "') end) ctz.sleep(0.01) " .. READY .. "ctz.sleep(60)",
      { "SIGINT" }
    )
    assert.equal(130, outcome.exit_code)
    assert.is_true(seconds < 5)
  end)
end)

describe("SIGTERM and SIGHUP", function()
  it("clean up and end with 143", function()
    for _, signal in ipairs { "SIGTERM", "SIGHUP" } do
      local outcome = interrupt("ctz.defer(function() print 'cleaned up' end) " .. READY .. "ctz.sleep(60)", { signal })
      assert.equal(143, outcome.exit_code)
      assert.matches("cleaned up", outcome.stdout)
    end
  end)
end)

describe("--timeout", function()
  it("ends a waiting run with 124 after its clean-up", function()
    local outcome = eval("ctz.defer(function() print 'cleaned up' end) ctz.sleep(60)", "--timeout", "0.1")
    assert.equal(124, outcome.exit_code)
    assert.equal("cleaned up\n", outcome.stdout)
    assert.matches("the deadline of 0.1 s passed", outcome.stderr)
  end)

  it("ends an endless Lua loop", function()
    assert.equal(124, eval("while true do end", "--timeout", "0.1").exit_code)
  end)

  it("ends a C function that does not return a second later", function()
    local outcome = eval("string.find(('a'):rep(200000), ('.-'):rep(30) .. 'b')", "--timeout", "0.1")
    assert.equal(124, outcome.exit_code)
    assert.matches("a C function did not return", outcome.stderr)
  end)

  it("of a part of the run is an ordinary failure", function()
    assert.equal(1, eval("ctz.timeout(0.01, ctz.sleep, 60)").exit_code)
  end)
end)

describe("os.exit", function()
  it("from any task cancels the root, cleans up, and pcall does not stop it", function()
    local outcome = eval [[
      ctz.defer(function() ctz.sleep(0.001) print "cleaned up" end)
      ctz.spawn(function()
        pcall(os.exit, 7)
        print "still here"
      end)
      ctz.sleep(60)
    ]]
    assert.equal(7, outcome.exit_code)
    assert.equal("cleaned up\n", outcome.stdout)
  end)

  it("in a pcall of the recipe itself ends it at that line", function()
    local outcome = eval "pcall(os.exit, true) print 'still here'"
    assert.equal(0, outcome.exit_code)
    assert.equal("", outcome.stdout)
  end)
end)

describe("doors", function()
  local rooms = { "task", "channel", "host" }
  setup(function()
    local library = host.program:gsub("/bin/[^/]*$", "/lib/ctz")
    for name in io.popen("ls '" .. library .. "'"):read("a"):gmatch "ctz_core_([%l_]+)%.so" do
      rooms[#rooms + 1] = name
    end
  end)

  it("opened a second time are the same table", function()
    for _, name in ipairs(rooms) do
      local door = require("ctz.core." .. name)
      package.loaded["ctz.core." .. name] = nil
      assert.equal(door, require("ctz.core." .. name))
    end
    assert.is_true(#rooms > 4)
  end)

  it("name a capability for each of their functions", function()
    local count = 0
    for name, capability in pairs(host.doors()) do
      count = count + 1
      assert.is_true(capability ~= "unnamed", name)
    end
    assert.is_true(count > 30)
  end)

  it("of an unknown name are refused", function()
    assert.is_false(pcall(require, "ctz.core.../evil"))
    assert.matches("no module of ctz", select(2, pcall(require, "ctz.nonsense")))
  end)
end)

describe("--allow", function()
  it("denies everything that was not granted, with the flag that would grant it", function()
    local outcome = eval("ctz.fs.read '/etc/hostname'", "--allow", "read=/usr")
    assert.equal(1, outcome.exit_code)
    assert.matches("this run may not read /etc/hostname", outcome.stderr)
    assert.matches("%-%-allow read=/etc/hostname", outcome.stderr)
    assert.equal(0, eval("assert(#ctz.fs.read '/etc/hostname' > 0)", "--allow", "read=/etc").exit_code)
    assert.matches("may not run true", eval("ctz.process.run{'true'}", "--allow", "run=git").stderr)
    assert.equal(0, eval("ctz.process.run{'true'}", "--allow", "run=true").exit_code)
    assert.matches("may not reach", eval("ctz.http.get 'http://127.0.0.1:9/'", "--allow", "read").stderr)
    assert.matches("may not env HOME", eval("return os.getenv 'HOME'", "--allow", "read").stderr)
  end)
end)

describe("require", function()
  it("looks in the recipe's folder and its lua_modules, waits at top level, and runs a module once", function()
    local folder <close> = ctz.fs.tempdir()
    local path = tostring(folder.path or folder)
    ctz.fs.mkdir(path .. "/lua_modules/deep", { parents = true })
    ctz.fs.write(path .. "/slow.lua", 'count = (count or 0) + 1 require("ctz").sleep(0.01) return {n = count}')
    ctz.fs.write(path .. "/lua_modules/deep/init.lua", "return 'from lua_modules'")
    ctz.fs.write(path .. "/circle.lua", "return require 'circle'")
    ctz.fs.write(path .. "/broken.lua", "local x = = 1")
    ctz.fs.write(
      path .. "/main.lua",
      [[
      secret_of_recipe = 1
      local ctz = require "ctz"
      ctz.map({1, 2, 3}, function() assert(require("slow").n == 1) end)
      assert(require "deep" == "from lua_modules")
      assert(require("cjson").encode({1}) == "[1]")
      local ok, err = pcall(require, "circle")
      assert(not ok and tostring(err):find("requires itself", 1, true), err)
      ok, err = pcall(require, "broken")
      assert(not ok and tostring(err):find("broken.lua:1", 1, true), err)
      ok, err = pcall(require, "no.such.module")
      assert(not ok and tostring(err):find("lua_modules/no/such/module.lua", 1, true), err)
      assert(_G.secret_of_recipe == nil, "globals of a recipe are its own")
      assert(count == 1, "a module's globals are seen by all")
    ]]
    )
    local outcome = ctz_run({ "run", path .. "/main.lua" }, { cwd = "/" })
    assert.equal("", outcome.stderr)
    assert.equal(0, outcome.exit_code)
  end)

  it("loads text only", function()
    local outcome = eval [[
      local dumped = string.dump(function() end)
      for _, mode in ipairs{"b", "bt", "t"} do
        local ok, chunk = pcall(load, dumped, "x", mode)
        assert(not ok or chunk == nil)
      end
      local parts = {dumped}
      assert(not load(function() return table.remove(parts) end))
      local name = os.tmpname()
      local file = io.open(name, "w") file:write(dumped) file:close()
      assert(not loadfile(name))
      assert(not pcall(dofile, name))
      os.remove(name)
    ]]
    assert.equal("", outcome.stderr)
    assert.equal(0, outcome.exit_code)
  end)
end)

describe("ctz.core.host.plan", function()
  it("is a line of the plan in a dry run, and nothing else", function()
    local code = [[print(require("ctz.core.host").plan "remove network web")]]
    local outcome = ctz_run { "eval", "--dry-run", code }
    assert.equal("true\n", outcome.stdout)
    assert.equal("would remove network web\n", outcome.stderr)
    outcome = ctz_run { "eval", code }
    assert.equal("false\n", outcome.stdout)
    assert.equal("", outcome.stderr)
  end)
end)
