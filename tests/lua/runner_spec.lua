-- `ctz test` itself, run as a program over small specs.
local program = io.popen("readlink /proc/$PPID/exe"):read("l")

local function run(spec, options)
  local path = os.tmpname() .. ".lua"
  local file = assert(io.open(path, "w"))
  file:write('local ctz = require "ctz"\n' .. spec)
  file:close()
  local pipe = io.popen(("'%s' test -o TAP %s '%s' 2>&1; echo exit=$?"):format(program, options or "", path))
  local text = pipe:read("a")
  pipe:close()
  os.remove(path)
  os.remove((path:gsub("%.lua$", "")))
  return text, tonumber(text:match("exit=(%d+)"))
end

describe("ctz test", function()
  it("lets tests, before_each and after_each wait", function()
    local text, code = run [[
      before_each(function() ctz.sleep(0.001) end)
      after_each(function() ctz.sleep(0.001) end)
      it("waits", function() assert.is_true(ctz.sleep(0.001)) end)]]
    assert.equal(0, code, text)
    assert.matches("ok 1", text)
  end)

  it("exits with 1 when a test fails and names its line", function()
    local text, code = run 'it("is wrong", function()\n ctz.sleep(0)\n assert.equal(1, 2) end)'
    assert.equal(1, code)
    assert.matches("not ok 1", text)
    assert.matches(":4: Expected objects to be equal", text, 1, true)
  end)

  it("fails a test that leaves a task, with the line where that task waits", function()
    local text, code = run 'it("leaves", function()\n ctz.spawn(function() ctz.sleep(1000) end) end)'
    assert.equal(1, code)
    assert.matches("tasks were left over", text)
    assert.matches("task 2 at %S+:3: sleeps", text)
  end)

  it("lets a background task and a cancelled one end with the test", function()
    local text, code = run [[
      it("leaves none", function()
        ctz.spawn(function() ctz.sleep(1000) end, { background = true })
        ctz.spawn(function() ctz.sleep(1000) end):cancel()
      end)]]
    assert.equal(0, code, text)
  end)

  it("keeps a task that before_each started until the test has ended", function()
    local text, code = run [[
      local alive
      before_each(function()
        alive = false
        ctz.spawn(function() while true do ctz.sleep(0.001) alive = true end end, { background = true })
      end)
      for i = 1, 2 do
        it("sees it " .. i, function() ctz.sleep(0.02) assert.is_true(alive) end)
      end]]
    assert.equal(0, code, text)
  end)

  it("fails the test whose task failed with that task's error", function()
    local text, code = run 'it("breaks", function()\n ctz.spawn(function() error("oops") end)\n ctz.sleep(9) end)'
    assert.equal(1, code)
    assert.matches(":3: oops", text)
  end)

  it("ends a test at its deadline and goes on with the next", function()
    local text, code = run('it("hangs", function() ctz.sleep(99) end) it("works", function() end)',
      "--test-timeout 0.05")
    assert.equal(1, code)
    assert.matches("not ok 1", text)
    assert.matches("ok 2", text)
    assert.matches("0.05 s", text, 1, true)
  end)

  it("reports error values of every type", function()
    local text, code = run [[
      it("table", function() error({ a = 1 }) end)
      it("nothing", function() error() end)
      it("error", function() ctz.sleep(-1) end)]]
    assert.equal(1, code)
    for i = 1, 3 do
      assert.matches("not ok " .. i, text, 1, true)
    end
    assert.matches("bad argument 'seconds'", text, 1, true)
  end)

  it("names the package in one line when busted is not there", function()
    local pipe = io.popen(("LUA_PATH_5_4='/nowhere/?.lua' '%s' test 2>&1; echo exit=$?"):format(program))
    local text = pipe:read "a"
    pipe:close()
    assert.equal("ctz test: busted is not installed; install the package lua-busted\nexit=69\n", text)
  end)

  it("ends a hanging before_each, and goes on", function()
    local text, code = run("before_each(function() ctz.sleep(99) end) it('a', function() end) it('b', function() end)",
      "--test-timeout=0.02")
    assert.equal(1, code)
    assert.matches("before_each", text, 1, true)
  end)

  it("is not content with files that hold no test", function()
    local text, code = run ""
    assert.equal(1, code)
    assert.matches("no test was found", text)
  end)

  it("writes JUnit", function()
    local text, code = run('it("a", function() end)', "-o junit")
    assert.equal(0, code)
    assert.matches("<testsuites.*<testcase [^>]*name='a'", text)
  end)
end)
