-- stdio_spec.lua: print, io and os as a recipe sees them.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

-- What a recipe prints, given a stdin and redirections.
local function recipe(code, opts, words)
  return program.recipe('local ctz = require "ctz"\n' .. code, words, opts)
end

local function output(code, opts)
  local result = recipe(code, opts)
  assert.equal(0, result.code, result.err)
  return result.out
end

describe("print, io.write and io.stdout", function()
  it("print to one stream in the order of the calls", function()
    assert.equal("1\t2.5\tnil\ntable\nabc1 x2\n", output [[
      print(1, 2.5, nil)
      print((tostring({}):gsub(":.*", "")))
      io.write("a", "b") io.stdout:write("c", 1) io.write(" ", "x", 2, "\n")]])
  end)

  it("write numbers as Lua's own io.write does", function()
    local code = [[for _, n in ipairs{1, 1.0, 2^53, 2^63, 1e100, -0.0, 1/3, math.huge, math.mininteger} do
      io.write(n, " ") end]]
    assert.equal(program.run({ "-e", code }, { program = "/usr/bin/lua5.4" }).out, output(code))
  end)

  it("return the file, so that calls can be chained", function()
    assert.equal("ab\ntrue\ttrue\n", output [[
      io.write("a"):write("b"):write("\n")
      print(io.write() == io.stdout, io.stdout:flush() == io.stdout)]])
  end)

  it("refuse what is no text, before anything is written", function()
    assert.equal("false\nfalse\n", output [[
      print((pcall(io.write, "x", {})))
      print((pcall(io.stdout.write, io.stdout, "x", nil)))]])
  end)

  it("are files to io.type, tostring and Lua's methods", function()
    assert.equal("file\tfile\tfile\tnil\nfile (0x\ntrue\nIllegal seek 29\ncannot close standard file\n", output [[
      print(io.type(io.stdin), io.type(io.stdout), io.type(io.stderr), io.type(1))
      print((tostring(io.stdout):match "^file %(0x"))
      print(io.stdout:setvbuf "full")
      local _, message, code = io.stdout:seek()
      print(message .. " " .. code)
      print((select(2, io.stdout:close())))]])
  end)

  it("mask secrets", function()
    assert.equal("***\n***\n", output [[
      local token = ctz.secret "s3cr3t-s3cr3t"
      print(token:reveal())
      io.stdout:write(token:reveal(), "\n")]])
  end)

  it("show what was written with setvbuf no at once, and print too", function()
    local child <close> = ctz.process.spawn({ program.path, "eval", [[(function()
      io.stdout:setvbuf "no" io.write "a" print "b" local done = io.read() end)()]] }, { stdin = "pipe" })
    assert.equal("ab\n", child:read(3))
    child:write "\n"
    child:wait()
  end)

  it("show what was printed before the program rests", function()
    local code = "(function() io.write 'question? ' io.read() end)()"
    local child <close> = ctz.process.spawn({ program.path, "eval", code }, { stdin = "pipe" })
    assert.equal("question? ", child:read(10))
    child:write "\n"
    child:wait()
  end)

  it("go to another file after io.output", function()
    local dir <close> = ctz.fs.tempdir()
    assert.equal("true\nback\n", output(([[
      local old = io.output()
      io.output(%q)
      io.write("to the file ", 1)
      io.close()
      io.output(old)
      print(io.output() == io.stdout)
      io.write "back\n"]]):format(dir .. "/out")))
    assert.equal("to the file 1", ctz.fs.read(dir .. "/out"))
  end)

  it("end the run quietly with 141 when the reader has gone, after clean-up", function()
    local dir <close> = ctz.fs.tempdir()
    for _, line in ipairs { 'print "yyyyyyyyyyyyyyyy"', [[io.write("y\n")]], [[io.stdout:write("y\n"):flush()]],
      'pcall(print, "y")' } do
      program.write(dir .. "/r.lua", ([[
        local ctz = require "ctz"
        ctz.defer(function() ctz.sleep(0.01) io.stderr:write "cleaned\n" end)
        while true do %s end]]):format(line))
      local command = ("'%s' run %s/r.lua | head -n1; echo ${PIPESTATUS[0]}"):format(program.path, dir.path)
      local result = program.shell(command)
      assert.matches("^y+\n141\n$", result.out, line)
      assert.equal("cleaned\n", result.err)
    end
  end)

  it("raise kind io when the disk of stdout is full, and fail the run at the last flush", function()
    local result = recipe("for i = 1, 1e6 do print(i) end", { redirect = ">/dev/full" })
    assert.equal(1, result.code)
    assert.matches("print: stdout: no space left on device", result.err, 1, true)
    result = recipe("local ok, err = pcall(function() for i = 1, 1e6 do io.write(i, '\\n') end end)\n"
      .. "io.stderr:write(err.kind, '\\n')", { redirect = ">/dev/full" })
    assert.equal("io", result.err:match "^%a+")
    assert.equal(1, result.code)
    result = recipe("io.stdout:write 'x'", { redirect = ">/dev/full" })
    assert.equal(1, result.code)
    assert.matches("stdout: No space left on device", result.err, 1, true)
    result = recipe("local ok, err = pcall(function() io.write 'x' io.flush() end) io.stderr:write(err.kind)",
      { redirect = ">/dev/full" })
    assert.equal(1, result.code)
    assert.matches("^io", result.err)
  end)

  it("fail the run when stdout is closed", function()
    local result = recipe("print 'x'", { redirect = ">&-" })
    assert.equal(1, result.code)
    assert.matches("stdout: Bad file descriptor", result.err, 1, true)
    assert.equal(0, recipe("local x = 1", { redirect = ">&-" }).code)
  end)

  it("print to io.stderr at once", function()
    local result = recipe [[print "out" io.stderr:write("err ", 1, "\n")]]
    assert.equal("out\n", result.out)
    assert.equal("err 1\n", result.err)
  end)
end)

describe("io.read and io.lines on stdin", function()
  it("know all of Lua's formats", function()
    assert.equal("12 255 -3.5|x\n|li|ne 2||rest\nof it||nil\n", output([[
      local a, b, c = io.read("n", "n", "n")
      io.write(a, " ", b, " ", c, "|", io.read "L", "|", io.read(2), "|", io.read "l", "|", io.read(0), "|")
      io.write(io.read "a", "|", io.read "a", "|", tostring(io.read "l"), "\n")]],
      { stdin = "12 0xff\t-3.5x\nline 2\nrest\nof it" }))
  end)

  it("read numerals as Lua's own io.read does, also those that are none", function()
    local code = [[
      for i = 1, 40 do
        local n = io.read "n"
        io.write(tostring(n), n and " " or "[" .. tostring(io.read(1)) .. "] ")
      end]]
    local stdin = "1 2. .5 5e3 5e 0x 0xAp1 0x.8 - +7 1e+ nan inf 0x1p-2 08 1.5.5 --1 abc 1e400 9223372036854775808 "
      .. ("1"):rep(250) .. " 3"
    assert.equal(program.run({ "-e", code }, { program = "/usr/bin/lua5.4", stdin = stdin }).out,
      output(code, { stdin = stdin }))
  end)

  it("give nil at the end, and an empty text for a", function()
    assert.equal("nil nil nil 0 nil\n",
      output [[print(io.read(), io.read "n", io.read(1), #io.read "a", io.read(0))]]:gsub("\t", " "))
  end)

  it("give nil when stdin is closed", function()
    local result = recipe("print(io.read(), io.read 'a', io.stdin:read())", { redirect = "<&-" })
    assert.equal("nil\t\tnil\n", result.out)
  end)

  it("stop at the first value that is missing", function()
    assert.equal("2\ta\tnil\n", output([[
      local t = table.pack(io.read("l", "l", "l"))
      print(t.n, t[1], t[2])]], { stdin = "a" }))
  end)

  it("iterate over lines, with and without their ends, and over formats", function()
    assert.equal("[a][][b]", output("for line in io.lines() do io.write('[', line, ']') end", { stdin = "a\n\nb" }))
    assert.equal("[a\n][b]",
      output("for line in io.lines(nil, 'L') do io.write('[', line, ']') end", { stdin = "a\nb" }))
    assert.equal("[1 2][3 4]",
      output("for a, b in io.stdin:lines('n', 'n') do io.write('[', a, ' ', b, ']') end", { stdin = "1 2\n3 4\n" }))
  end)

  it("read from pipes, files and devices", function()
    for _, redirect in ipairs { "< /proc/self/comm", "< <(cat /proc/self/comm)", "< /dev/null" } do
      local result = program.shell(("'%s' eval '#io.read \"a\" < 40' %s"):format(program.path, redirect))
      assert.equal("true\n", result.out, result.err)
    end
  end)

  it("wait as tasks do: others run meanwhile", function()
    local child <close> = ctz.process.spawn({ program.path, "eval", [[(function()
      local ctz, ticks = require "ctz", 0
      ctz.spawn(function() while true do ctz.sleep(0.001) ticks = ticks + 1 end end, {background = true})
      print "ready"
      local line = io.read()
      print(line, ticks > 5)
    end)()]] }, { stdin = "pipe" })
    assert.equal("ready", child:read "l")
    ctz.sleep(0.1)
    child:write "line\n"
    assert.equal("line\ttrue", child:read "l")
  end)

  it("can be timed out, and lose nothing by that", function()
    local child <close> = ctz.process.spawn({ program.path, "eval", [[(function()
      local ctz = require "ctz"
      local ok, err = pcall(ctz.timeout, 0.02, io.read)
      print(err.kind)
      print(io.read())
    end)()]] }, { stdin = "pipe" })
    assert.equal("timeout", child:read "l")
    child:write "late\n"
    assert.equal("late", child:read "l")
  end)

  it("are ended by Ctrl-C", function()
    local child <close> = ctz.process.spawn({ program.path, "eval", "print(1), io.stdout:flush(), io.read()" },
      { stdin = "pipe", stderr = "null" })
    child:read "l"
    child:kill "INT"
    assert.equal(130, child:wait({ check = false }).exit_code)
  end)

  it("leave stdin blocking for those who share it", function()
    local result = program.shell(("(sleep 0.1; echo a; sleep 0.2; echo b) | ('%s' eval 'io.read()'; cat)")
      :format(program.path))
    assert.equal("a\nb\n", result.out)
  end)

  it("read large input", function()
    local text = ("0123456789abcdef\n"):rep(1 << 17)
    assert.equal(#text .. "\n", output("print(#io.read 'a')", { stdin = text }))
    local code = "local n = 0 for _ in io.lines() do n = n + 1 end print(n)"
    assert.equal((1 << 17) .. "\n", output(code, { stdin = text }))
    assert.equal("size\n", recipe("print(select(2, pcall(io.read, 'a')).kind)", { stdin = text },
      { "--limit", "capture_bytes=1000000" }).out)
  end)

  it("read a real file after io.input", function()
    local dir <close> = ctz.fs.tempdir()
    ctz.fs.write(dir .. "/in", "one\ntwo\n")
    assert.equal("one\ntwo\nfrom stdin\n", output(([[
      io.input(%q)
      print(io.read())
      for line in io.lines() do print(line) end
      io.input(io.stdin)
      print(io.read())]]):format(dir .. "/in"), { stdin = "from stdin" }))
  end)
end)

describe("files of io.open", function()
  it("are Lua's own", function()
    local dir <close> = ctz.fs.tempdir()
    local path = dir .. "/f"
    local file = assert(io.open(path, "w"))
    assert.equal("file", io.type(file))
    assert.equal(file, file:write("a\n", 1, "\n"))
    assert.is_true(file:setvbuf "full")
    assert.equal(4, file:seek "cur")
    file:flush()
    assert.is_true(file:close())
    assert.equal("closed file", io.type(file))
    assert.is_false((pcall(file.read, file)))
    local lines = {}
    for line in io.lines(path) do
      lines[#lines + 1] = line
    end
    assert.same({ "a", "1" }, lines)
    file = io.open(path)
    assert.equal("a", file:read "l")
    assert.equal(1, file:read "n")
    file:close()
    local missing, message, code = io.open(dir .. "/none")
    assert.is_nil(missing)
    assert.matches("No such file", message)
    assert.equal(2, code)
  end)
end)

describe("os.execute", function()
  it("returns what Lua's does", function()
    assert.same({ true, "exit", 0 }, { os.execute "true" })
    assert.same({ nil, "exit", 3 }, { os.execute "exit 3" })
    assert.same({ nil, "signal", 9 }, { os.execute "kill -9 $$" })
    assert.is_true(os.execute())
  end)

  it("lets the command print, in turn with us", function()
    assert.equal("before\nin between\nafter\n", output [[
      print "before" os.execute "echo in between" print "after"]])
  end)

  it("does not freeze the loop", function()
    local ticks = 0
    ctz.spawn(function()
      while true do
        ctz.sleep(0.005)
        ticks = ticks + 1
      end
    end, { background = true })
    os.execute "sleep 0.2"
    assert.is_true(ticks > 3)
  end)

  it("is killed when its task is cancelled", function()
    local nap = programs.nap()
    failure(ctz.timeout, 0.1, os.execute, ("sleep %s; true"):format(nap))
    assert.same({}, programs.with("sleep\0" .. nap))
  end)
end)

describe("io.popen", function()
  it("reads what a command prints, by all formats", function()
    local pipe = io.popen "echo 'a b'; echo 12 0x10; printf rest"
    assert.equal("file", io.type(pipe))
    assert.equal("a b", pipe:read())
    assert.same({ 12, 16 }, { pipe:read("n", "n") })
    assert.equal("\nrest", pipe:read "a")
    assert.is_nil(pipe:read "l")
    assert.same({ true, "exit", 0 }, { pipe:close() })
    assert.equal("closed file", io.type(pipe))
    assert.is_false((pcall(pipe.read, pipe)))
  end)

  it("iterates over lines", function()
    local lines = {}
    for line in io.popen("seq 3"):lines() do
      lines[#lines + 1] = line
    end
    assert.same({ "1", "2", "3" }, lines)
  end)

  it("returns the exit code with close", function()
    assert.same({ nil, "exit", 4 }, { io.popen("exit 4"):close() })
    assert.same({ nil, "signal", 15 }, { io.popen("kill $$"):close() })
  end)

  it("writes to a command", function()
    local dir <close> = ctz.fs.tempdir()
    local pipe = io.popen(("cat > '%s/out'"):format(dir.path), "w")
    assert.equal(pipe, pipe:write("a", 1, "\n"))
    pipe:write(("x"):rep(1 << 20))
    assert.same({ true, "exit", 0 }, { pipe:close() })
    assert.equal(3 + (1 << 20), #ctz.fs.read(dir .. "/out"))
  end)

  it("can be the default output and input", function()
    assert.equal("A\nx\n", output [[
      local old = io.output()
      io.output(io.popen("tr a A", "w"))
      io.write("a\n")
      io.close()
      io.output(old)
      io.input(io.popen "echo x")
      print(io.read())]])
  end)

  it("ends a command whose output nobody reads any more", function()
    local pipe = io.popen "yes"
    assert.equal("y", pipe:read())
    local ok, how = pipe:close()
    assert.is_nil(ok)
    assert.is_true(how == "signal" or how == "exit")
  end)

  it("is killed when an error leaves its block, its scope is cancelled, or it is collected", function()
    local nap = programs.nap()
    local function running()
      return #programs.with("sleep\0" .. nap)
    end
    local command = ("sleep %s; true"):format(nap)
    pcall(function()
      local pipe <close> = io.popen(command) -- luacheck: ignore pipe
      error "out"
    end)
    assert.equal(0, running())
    local err = failure(ctz.timeout, 0.1, function()
      local pipe = io.popen(command)
      pipe:read "a"
    end)
    assert.equal("timeout", err.kind)
    programs.await("sleep\0" .. nap, 0)
    local kept = { pipe = io.popen(command) }
    repeat
      ctz.sleep(0.005)
    until running() == 1 and io.type(kept.pipe)
    kept.pipe = nil
    collectgarbage()
    collectgarbage()
    programs.await("sleep\0" .. nap, 0)
  end)

  it("refuses other modes, and reading what is written to", function()
    assert.equal("usage", failure(io.popen, "true", "rw").kind)
    local pipe <close> = io.popen("cat >/dev/null", "w")
    assert.same({ nil, "Bad file descriptor", 9 }, { pipe:read() })
  end)
end)

describe("os", function()
  it("has getenv, tmpname, remove, rename, time, date, clock as in Lua", function()
    assert.equal("string", type(os.getenv "PATH"))
    assert.is_nil(os.getenv "NO_SUCH_VARIABLE")
    local path = os.tmpname()
    assert.is_true(os.rename(path, path .. ".b"))
    assert.is_true(os.remove(path .. ".b"))
    local ok, message, code = os.remove(path)
    assert.is_nil(ok)
    assert.equal(path .. ": No such file or directory", message)
    assert.equal(2, code)
    assert.equal("1970", os.date("!%Y", 0))
    assert.equal("number", type(os.clock()))
    assert.equal(60, os.difftime(60, 0))
  end)

  it("keeps the C locale", function()
    assert.equal("C", os.setlocale())
    assert.equal("C", os.setlocale "")
    assert.is_nil(os.setlocale "de_DE.UTF-8")
  end)
end)

describe("a run with --allow", function()
  local dir

  before_each(function()
    dir = ctz.fs.tempdir()
    ctz.fs.write(dir .. "/in", "text")
    ctz.fs.write(dir .. "/code.lua", "return 7")
  end)

  local function eval(code, ...)
    local words = { "eval" }
    for _, grant in ipairs { ... } do
      table.move({ "--allow", grant }, 1, 2, #words + 1, words)
    end
    words[#words + 1] = code:gsub("DIR", dir.path)
    return program.run(words)
  end

  it("asks for read", function()
    for _, code in ipairs {
      'io.open("DIR/in"):read()', 'io.lines("DIR/in")()', 'io.input("DIR/in") and io.read()',
      'loadfile("DIR/code.lua")()', 'dofile "DIR/code.lua"',
    } do
      local result = eval(code, "read=" .. dir.path .. "/other")
      assert.equal(1, result.code, code)
      assert.matches("may not read " .. dir.path, result.err, 1, true)
      assert.equal(0, eval(code, "read=" .. dir.path).code, code)
    end
  end)

  it("asks for write", function()
    for _, code in ipairs {
      'io.open("DIR/out", "w"):close()', 'io.open("DIR/out", "a"):close()', 'io.output("DIR/out") and 1',
      'os.rename("DIR/in", "DIR/moved")', 'os.remove "DIR/moved"',
    } do
      local result = eval(code, "read=/")
      assert.equal(1, result.code, code)
      assert.matches("may not write " .. dir.path, result.err, 1, true)
      result = eval(code, "write=" .. dir.path)
      assert.equal(0, result.code, result.err)
    end
    assert.equal(1, eval('io.open("DIR/in", "r+")', "write=" .. dir.path).code)
    assert.equal(1, eval("os.tmpname()", "read=/").code)
    assert.equal(1, eval("io.tmpfile()", "read=/").code)
  end)

  it("asks for env", function()
    assert.equal(1, eval('os.getenv "HOME"', "env=PATH").code)
    assert.equal(0, eval('os.getenv "HOME"', "env=HOME").code)
  end)

  it("lets the recipe's own modules be required", function()
    program.write(dir .. "/own.lua", "return 7")
    program.write(dir .. "/recipe.lua", 'print((require "own"))')
    local result = program.run { "run", "--allow", "env=X", dir .. "/recipe.lua" }
    assert.equal("7\n", result.out, result.err)
  end)
end)

describe("a dry run", function()
  it("plans what os and io would write, and writes nothing", function()
    local dir <close> = ctz.fs.tempdir()
    ctz.fs.write(dir .. "/in", "text")
    local result = recipe(([[
      local dir = %q
      local file = io.open(dir .. "/out", "w")
      file:write "lost"
      file:close()
      io.output(dir .. "/out2") io.write "x" io.close() io.output(io.stdout)
      assert(os.rename(dir .. "/in", dir .. "/moved"))
      assert(os.remove(dir .. "/in"))
      print(pcall(io.open, dir .. "/in", "r+"))]]):format(dir.path), nil, { "--dry-run" })
    assert.equal(0, result.code, result.err)
    assert.equal((("would write D/out\nwould write D/out2\nwould rename D/in to D/moved\nwould remove D/in\n")
      :gsub("D", function() return dir.path end)), result.err)
    assert.matches("cannot be shown under --dry-run", result.out, 1, true)
    assert.same({ "in" }, ctz.fs.list(dir.path))
  end)
end)
