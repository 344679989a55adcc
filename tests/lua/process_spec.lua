-- process_spec.lua: ctz.process: programs that run, and that none is left behind.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"

local process = ctz.process
local run, spawn = process.run, process.spawn

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

local function sh(script, opts)
  return run({ "sh", "-c", script }, opts)
end

local function lines_of(child, opts)
  local lines = {}
  for line in child:lines(opts) do
    lines[#lines + 1] = line
  end
  return lines
end

describe("ctz.process.run", function()
  it("returns exit code, output and seconds", function()
    local result = sh "printf out; printf err >&2"
    assert.equal(0, result.exit_code)
    assert.equal("out", result.stdout)
    assert.equal("err", result.stderr)
    assert.is_true(result.seconds > 0 and result.seconds < 60)
    assert.is_nil(result.signal)
  end)

  it("hands arguments over as they are", function()
    local words = { "a b", "$HOME", "*", "'", '"', "\\", "\n", "", "-n", "ä€", "\255\1", ";", "`x`" }
    local result = run { "sh", "-c", 'for i in "$@"; do printf "%s|" "$i"; done', "sh", table.unpack(words) }
    assert.equal(table.concat(words, "|") .. "|", result.stdout)
  end)

  it("takes numbers as arguments", function()
    assert.equal("1 2.5\n", run({ "echo", 1, 2.5 }).stdout)
  end)

  it("keeps NUL bytes and a missing line end in the output", function()
    assert.equal("a\0b\255", sh([[printf 'a\0b\377']]).stdout)
  end)

  it("refuses a string, an empty list, holes, NUL bytes and other types as argv", function()
    local bad = { "git tag", {}, { "echo", nil, "x" }, { "echo", "a\0b" }, { "echo", true }, { {} }, 7 }
    for _, argv in pairs(bad) do
      if type(argv) == "table" and argv[1] == "echo" and argv[2] == nil then
        argv = { "echo", false, "x" }
      end
      assert.equal("usage", failure(run, argv).kind)
    end
    assert.matches('{"git", "tag"}', failure(run, "git tag").message, 1, true)
  end)

  it("refuses a secret as an argument, because everybody sees those", function()
    local err = failure(run, { "echo", ctz.secret "hunter2hunter2" })
    assert.equal("usage", err.kind)
    assert.matches("argument 2 of 'process.run' is a secret", err.message, 1, true)
    assert.matches("env or stdin", err.message, 1, true)
  end)

  it("names the nearest option for an unknown one", function()
    assert.matches("did you mean 'stdin'?", failure(run, { "true" }, { sdtin = "x" }).message, 1, true)
    assert.equal("usage", failure(run, { "true" }, { stdout = "captured" }).kind)
    assert.equal("usage", failure(run, { "true" }, { stdin = true }).kind)
    assert.equal("usage", failure(run, { "true" }, { stdin = {} }).kind)
    assert.equal("usage", failure(run, { "true" }, { env = "A=1" }).kind)
    assert.equal("usage", failure(run, { "true" }, { env = { ["A=B"] = "1" } }).kind)
    assert.equal("usage", failure(run, { "true" }, { env = { A = true } }).kind)
    assert.equal("usage", failure(run, { "true" }, { env = { A = "x\0" } }).kind)
    assert.equal("usage", failure(run, { "true" }, { timeout = -1 }).kind)
  end)

  describe("with a code other than 0", function()
    it("raises kind exit with code, stdout and the end of stderr", function()
      local err = failure(sh, "echo data; echo one >&2; echo two >&2; exit 7")
      assert.equal("exit", err.kind)
      assert.equal("process.run", err.op)
      assert.equal(7, err.exit_code)
      assert.equal("data\n", err.stdout)
      assert.equal("one\ntwo", err.stderr)
      assert.matches("sh -c echo data", err.message, 1, true)
      assert.matches("exit code 7", err.message, 1, true)
    end)

    it("keeps whole last lines of a long stderr", function()
      local err = failure(sh, "seq 100000 >&2; exit 1")
      assert.is_true(#err.stderr <= 4096)
      assert.matches("^%d+\n", err.stderr)
      assert.matches("\n100000$", err.stderr)
    end)

    it("shows what both streams wrote when they are one", function()
      assert.equal("a\nb", failure(sh, "echo a; echo b >&2; exit 1", { combined = true }).stderr)
    end)

    it("returns it with check=false", function()
      assert.equal(7, sh("exit 7", { check = false }).exit_code)
    end)

    it("reports a signal as 128 + its number", function()
      local result = sh("kill -KILL $$", { check = false })
      assert.equal(137, result.exit_code)
      assert.equal(9, result.signal)
      local err = failure(sh, "kill -TERM $$")
      assert.equal(143, err.exit_code)
      assert.equal(15, err.signal)
      assert.matches("ended by signal 15 (SIGTERM)", err.message, 1, true)
    end)
  end)

  describe("stdin", function()
    it("is empty unless it is given", function()
      assert.equal("", run({ "cat" }).stdout)
    end)

    it("is a text, also one larger than any pipe", function()
      local text = ("0123456789abcdef"):rep(1 << 18)
      assert.equal(text, run({ "cat" }, { stdin = text }).stdout)
    end)

    it("is a text that a program may leave unread", function()
      assert.equal(0, run({ "true" }, { stdin = ("x"):rep(10 << 20) }).exit_code)
      assert.equal("x\n", sh("head -c1; echo; exec <&-; sleep 0.05", { stdin = ("x"):rep(1 << 20) }).stdout)
    end)

    it("is a file with {file=}", function()
      local dir <close> = ctz.fs.tempdir()
      ctz.fs.write(dir .. "/in", "from a file")
      assert.equal("from a file", run({ "cat" }, { stdin = { file = dir .. "/in" } }).stdout)
      local err = failure(run, { "cat" }, { stdin = { file = dir .. "/none" } })
      assert.equal("not_found", err.kind)
      assert.matches("stdin from " .. dir.path .. "/none", err.message, 1, true)
    end)

    it("is any word with {text=}", function()
      assert.equal("inherit", run({ "cat" }, { stdin = { text = "inherit" } }).stdout)
    end)

    it("is a secret's text", function()
      local result = run({ "cat" }, { stdin = ctz.secret "correct horse" })
      assert.equal("correct horse", result.stdout)
    end)

    it("is our own with inherit", function()
      local result = program.run({ "eval", 'ctz.process.run({"cat"}, {stdin="inherit"}).stdout' }, { stdin = "mine" })
      assert.equal("mine\n", result.out)
    end)
  end)

  describe("stdout and stderr", function()
    it("are left out of the result with null", function()
      local result = sh("echo a; echo b >&2", { stdout = "null", stderr = "null" })
      assert.is_nil(result.stdout)
      assert.is_nil(result.stderr)
    end)

    it("are one stream in the order of writing with combined", function()
      local result = sh("echo 1; echo 2 >&2; echo 3", { combined = true })
      assert.equal("1\n2\n3\n", result.stdout)
      assert.is_nil(result.stderr)
    end)

    it("are printed with inherit, each where it belongs, in turn with our own lines", function()
      local result = program.recipe [[
        local ctz = require "ctz"
        print "before"
        ctz.process.run({"sh", "-c", "echo out; echo err >&2"}, {stdout="inherit", stderr="inherit"})
        print "after"]]
      assert.equal("before\nout\nafter\n", result.out)
      assert.equal("err\n", result.err)
    end)

    it("are masked with inherit, also when a secret comes in two pieces", function()
      local result = program.recipe [[
        local ctz = require "ctz"
        local token = ctz.secret "tok-0123456789"
        ctz.process.run({"sh", "-c", "echo $T; printf tok-0123; sleep 0.01; echo 456789"},
          {stdout="inherit", env={T=token}})]]
      assert.equal("***\n***\n", result.out)
    end)

    it("go line by line to functions, in the task that runs the program", function()
      local out, err = {}, {}
      local result = sh("echo a; echo b >&2; printf c", {
        stdout = function(line)
          ctz.sleep(0)
          out[#out + 1] = line
        end,
        stderr = function(line)
          err[#err + 1] = line
        end,
      })
      assert.same({ "a", "c" }, out)
      assert.same({ "b" }, err)
      assert.equal(0, result.exit_code)
      assert.is_nil(result.stdout)
    end)

    it("collects the one that no function takes", function()
      local lines = {}
      local result = sh("seq 3; seq 200000 >&2; seq 4 6", {
        stdout = function(line)
          lines[#lines + 1] = line
        end,
      })
      assert.equal("1 2 3 4 5 6", table.concat(lines, " "))
      assert.equal(1288895, #result.stderr)
    end)

    it("stops the program when a function raises", function()
      local nap = programs.nap()
      local err = failure(sh, "echo go; sleep " .. nap, {
        stdout = function()
          error(ctz.error { kind = "conflict", message = "enough" })
        end,
      })
      assert.equal("conflict", err.kind)
      assert.same({}, programs.with("sleep\0" .. nap))
    end)

    it("raise exit after the last line went to a function", function()
      local count = 0
      local err = failure(sh, "seq 5; exit 2", {
        stdout = function()
          count = count + 1
        end,
      })
      assert.equal("process.run", err.op)
      assert.equal(2, err.exit_code)
      assert.equal(5, count)
    end)

    it("are bounded by the limit capture_bytes", function()
      local result = program.run { "eval", "--limit", "capture_bytes=1000",
        'ctz.process.run{"sh", "-c", "yes; echo done"}' }
      assert.equal(1, result.code)
      assert.matches("killed, its stdout passed the limit of captured bytes", result.err, 1, true)
      assert.matches("--limit capture_bytes", result.err, 1, true)
    end)

    it("may be as large as the limit", function()
      local result = program.run { "eval", "--limit", "capture_bytes=1000",
        '#ctz.process.run{"sh", "-c", "head -c1000 /dev/zero"}.stdout' }
      assert.equal("1000\n", result.out)
    end)
  end)

  describe("environment and folder", function()
    it("adds, replaces and takes out variables", function()
      local result = run({ "env" }, { env = { CTZ_SPEC = "a=b", HOME = "/elsewhere", PATH = false } })
      assert.matches("\nCTZ_SPEC=a=b\n", "\n" .. result.stdout, 1, true)
      assert.matches("\nHOME=/elsewhere\n", "\n" .. result.stdout, 1, true)
      assert.is_nil(("\n" .. result.stdout):find("\nPATH=", 1, true))
    end)

    it("begins empty with env_clear", function()
      assert.equal("A=1\n", run({ "env" }, { env = { A = 1 }, env_clear = true }).stdout)
      assert.equal("", run({ "env" }, { env_clear = true }).stdout)
    end)

    it("hands a secret over, which the list of processes does not show", function()
      local nap = programs.nap()
      local child <close> = spawn({ "sleep", nap }, { env = { TOKEN = ctz.secret "s3cr3t-s3cr3t" } })
      local found = programs.await("sleep\0" .. nap, 1)
      assert.is_nil(found[1].text:find("s3cr3t", 1, true))
      assert.matches("TOKEN=s3cr3t-s3cr3t", ctz.fs.read("/proc/" .. child.pid .. "/environ"), 1, true)
    end)

    it("starts in cwd, from where a relative program is seen", function()
      local dir <close> = ctz.fs.tempdir()
      ctz.fs.write(dir .. "/here", "#!/bin/sh\npwd\n", { mode = "0755" })
      local real = ctz.fs.realpath(dir.path)
      assert.equal(real .. "\n", run({ "pwd" }, { cwd = dir.path }).stdout)
      assert.equal(real .. "\n", run({ "./here" }, { cwd = dir.path }).stdout)
      local err = failure(run, { "true" }, { cwd = dir .. "/none" })
      assert.equal("not_found", err.kind)
      assert.matches("folder " .. dir.path .. "/none", err.message, 1, true)
    end)

    it("gives the program signals as they were before us, and no descriptor of ours", function()
      local file <close> = assert(io.open "/dev/null")
      local status = sh("grep -E 'SigBlk|SigIgn' /proc/self/status; ls /proc/self/fd").stdout
      assert.matches("SigBlk:\t0000000000000000", status, 1, true)
      local ignored = tonumber(status:match "SigIgn:\t(%x+)", 16)
      assert.equal(0, ignored & (1 << (13 - 1)), "SIGPIPE is ignored")
      assert.equal("0\n1\n2\n3\n", status:match "\n(0\n.*)$") -- 3 is the folder that ls reads
      assert.is_not_nil(file)
    end)
  end)

  describe("a program that cannot be started", function()
    it("is not_found with its name and where it was looked for", function()
      local err = failure(run, { "no-such-program-x" })
      assert.equal("not_found", err.kind)
      assert.equal("no-such-program-x", err.target)
      assert.matches("looked in PATH: " .. ctz.env.PATH, err.hint, 1, true)
      assert.matches("separate strings", failure(run, { "git tag" }).hint, 1, true)
      assert.equal("not_found", failure(run, { "/no/such/file" }).kind)
    end)

    it("is denied when it is not executable, or a folder", function()
      local dir <close> = ctz.fs.tempdir()
      ctz.fs.write(dir .. "/plain", "#!/bin/sh\n", { mode = "0644" })
      local err = failure(run, { dir .. "/plain" })
      assert.equal("denied", err.kind)
      assert.matches("chmod +x", err.hint, 1, true)
      assert.equal("denied", failure(run, { dir.path }).kind)
      err = failure(run, { "plain" }, { env = { PATH = dir.path } })
      assert.equal("not_found", err.kind) -- our own PATH counts, not the one it gets
    end)

    it("says so when its interpreter is missing, and when it is no program", function()
      local dir <close> = ctz.fs.tempdir()
      ctz.fs.write(dir .. "/a", "#!/no/such/interpreter\n", { mode = "0755" })
      ctz.fs.write(dir .. "/b", "just text\n", { mode = "0755" })
      assert.matches("interpreter", failure(run, { dir .. "/a" }).hint, 1, true)
      assert.matches("#!/bin/sh", failure(run, { dir .. "/b" }).hint, 1, true)
    end)

    it("says so when its arguments are too large", function()
      local err = failure(run, { "true", ("x"):rep(4 << 20) })
      assert.equal("size", err.kind)
      assert.matches("stdin", err.hint, 1, true)
    end)

    it("leaves no descriptor and no zombie behind", function()
      local before = programs.descriptors()
      for _ = 1, 50 do
        pcall(run, { "no-such-program-x" })
        pcall(run, { "/etc/passwd" })
        pcall(run, { "true" }, { cwd = "/none" })
      end
      assert.equal(before, programs.descriptors())
      assert.equal(0, programs.zombies())
    end)

    it("is a clear error with 16 descriptors, and none leaks", function()
      local result = program.shell(("ulimit -n 16; exec '%s' run --progress none '%s'"):format(program.path,
        program.write(os.tmpname(), [[
          local ctz = require "ctz"
          local children, err = {}
          for i = 1, 10 do
            local ok
            ok, err = pcall(ctz.process.spawn, {"sleep", "60"}, {stderr = "null"})
            if not ok then break end
            children[i] = err
          end
          assert(err.kind == "io" and err.code == "EMFILE", tostring(err))
          assert(err.hint:find "ulimit %-n")
          for _, child in ipairs(children) do child:close() end
          for _ = 1, 30 do assert(ctz.process.run{"echo", "x"}.stdout == "x\n") end
          print(#children > 0 and "well")]])))
      assert.equal("well\n", result.out, result.err)
    end)
  end)

  describe("that runs too long", function()
    it("is killed at its timeout, with what it wrote to stderr", function()
      local nap = programs.nap()
      local err = failure(sh, "echo slow >&2; sleep " .. nap, { timeout = 0.2 })
      assert.equal("timeout", err.kind)
      assert.equal("slow", err.stderr)
      assert.matches("killed, it ran longer than 0.2 s", err.message, 1, true)
      assert.same({}, programs.with("sleep\0" .. nap))
    end)

    it("is killed by the deadline around it, before that error goes on", function()
      local nap = programs.nap()
      local err = failure(ctz.timeout, 0.1, run, { "sleep", nap })
      assert.equal("timeout", err.kind)
      assert.same({}, programs.with("sleep\0" .. nap))
    end)

    it("is killed with its children when its task is cancelled", function()
      local nap = programs.nap()
      ctz.scope(function()
        local task = ctz.spawn(function()
          sh(("sleep %s & sleep %s & wait"):format(nap, nap))
        end)
        programs.await("sleep\0" .. nap, 2)
        task:cancel()
        failure(task.await, task)
        assert.same({}, programs.with("sleep\0" .. nap))
      end)
    end)

    it("is killed although it ignores SIGTERM", function()
      local nap = programs.nap()
      local err = failure(ctz.timeout, 0.1, sh, ("trap '' TERM; sleep %s; sleep %s"):format(nap, nap))
      assert.equal("timeout", err.kind)
      assert.same({}, programs.with("sleep\0" .. nap))
    end)

    it("is killed also when it is stopped", function()
      local nap = programs.nap()
      local err = failure(ctz.timeout, 0.2, sh, "kill -STOP $$; sleep " .. nap)
      assert.equal("timeout", err.kind)
      assert.same({}, programs.with(nap))
    end)

    it("gets its group killed when only a child that holds the pipe is left", function()
      local nap = programs.nap()
      local err = failure(ctz.timeout, 0.2, sh, ("sleep %s & echo started"):format(nap))
      assert.equal("timeout", err.kind)
      assert.same({}, programs.with("sleep\0" .. nap))
    end)
  end)

  it("does not wait for ever for what a program leaves behind with its output open", function()
    local nap = programs.nap()
    local result = sh(("sleep %s & echo $!; echo more"):format(nap))
    local pid = result.stdout:match "^(%d+)\nmore\n$"
    assert.is_not_nil(pid)
    run { "kill", pid }
  end)

  it("still gets what a program left behind writes without a long silence", function()
    assert.equal("now\nlater\n", sh("(sleep 0.2; echo later) & echo now").stdout)
  end)

  it("runs many programs at once", function()
    local numbers = {}
    for i = 1, 200 do
      numbers[i] = i
    end
    local results = ctz.map(numbers, function(i)
      return run({ "echo", i }).stdout
    end, { jobs = 40 })
    for i, text in ipairs(results) do
      assert.equal(i .. "\n", text)
    end
    assert.equal(0, programs.zombies())
  end)

  it("lets other tasks run meanwhile", function()
    local ticks = 0
    ctz.spawn(function()
      while true do
        ctz.sleep(0.005)
        ticks = ticks + 1
      end
    end, { background = true })
    run { "sleep", "0.2" }
    assert.is_true(ticks > 3)
  end)

  it("starts nothing in a task that was cancelled", function()
    local mark = os.tmpname()
    os.remove(mark)
    ctz.scope(function()
      local task
      task = ctz.spawn(function()
        task:cancel()
        pcall(run, { "touch", mark })
        pcall(spawn, { "touch", mark })
      end)
      pcall(task.await, task)
    end)
    assert.is_nil(ctz.fs.stat(mark))
  end)

  it("leaves nothing when it is cancelled over and over at any point", function()
    local nap = programs.nap()
    run { "true" }
    local before = programs.descriptors()
    for round = 1, tonumber(os.getenv "CTZ_CANCEL_ROUNDS" or 300) do
      ctz.scope(function()
        local task = ctz.spawn(function()
          run({ "sleep", nap }, { stdin = "text", stderr = round % 3 == 0 and "inherit" or nil })
        end)
        if round % 4 > 0 then
          ctz.sleep((round % 4) * 0.0005)
        end
        task:cancel()
      end)
    end
    assert.same({}, programs.with("sleep\0" .. nap))
    assert.equal(0, programs.zombies())
    assert.equal(before, programs.descriptors())
  end)

  describe("with a pty", function()
    it("gives the program a terminal of that size, for all three streams", function()
      local result = sh("test -t 0 && test -t 1 && test -t 2 && stty size", { pty = { rows = 11, columns = 22 } })
      assert.equal("11 22\n", result.stdout)
      assert.is_nil(result.stderr)
      assert.equal("24 80\n", sh("stty size", { pty = true }).stdout)
    end)

    it("makes it the controlling terminal", function()
      local result = sh("exec </dev/null; echo typed >/dev/tty; tty <&1; cut -d' ' -f7 /proc/$$/stat", { pty = true })
      local device = result.stdout:match "^typed\n(/dev/pts/%d+)\n"
      assert.is_not_nil(device)
      assert.not_equal("0", result.stdout:match "\n(%d+)\n$")
    end)

    it("gives it a text as typed, and its end", function()
      assert.equal("hello", run({ "cat" }, { pty = true, stdin = "hello" }).stdout)
      assert.equal("a\nb\n", run({ "cat" }, { pty = true, stdin = "a\nb\n" }).stdout)
      assert.equal("", run({ "cat" }, { pty = true }).stdout)
    end)

    it("is closed when it is cancelled", function()
      local nap = programs.nap()
      failure(ctz.timeout, 0.1, run, { "sleep", nap }, { pty = true })
      assert.same({}, programs.with("sleep\0" .. nap))
    end)

    it("can be talked to", function()
      local child <close> = spawn({ "sh", "-c", "read a; echo got $a; read b; echo got $b" },
        { pty = true, stdin = "pipe" })
      child:write "one\n"
      assert.equal("got one", child:read "l")
      child:write "two\n"
      assert.equal("got two", child:read "l")
      assert.equal(0, child:wait().exit_code)
    end)

    it("cannot be combined with another stdin", function()
      assert.equal("usage", failure(run, { "true" }, { pty = true, stdin = "inherit" }).kind)
      assert.equal("usage", failure(run, { "true" }, { pty = 80 }).kind)
      assert.equal("usage", failure(run, { "true" }, { pty = { rows = 0 } }).kind)
    end)
  end)

  it("waits inside the recipe's own coroutine, and says where it cannot", function()
    local co = coroutine.wrap(function()
      return run({ "echo", "in" }).stdout
    end)
    assert.equal("in\n", co())
    local err = failure(table.sort, { 2, 1 }, function()
      run { "true" }
    end)
    assert.matches("cannot wait in a callback", tostring(err))
  end)
end)

describe("ctz.process.spawn", function()
  it("gives lines as they come, and the code at the end", function()
    local child <close> = spawn { "sh", "-c", "echo a; echo; printf b; exit 3" }
    assert.same({ "a", "", "b" }, lines_of(child))
    assert.equal(3, child:wait({ check = false }).exit_code)
    assert.equal(3, failure(child.wait, child).exit_code)
  end)

  it("gives bytes as they come with read, and by Lua's formats", function()
    local child <close> = spawn({ "cat" }, { stdin = "pipe" })
    child:write "hello"
    assert.equal("hello", child:read())
    child:write "12 0x10 rest of line\nnext\n"
    assert.equal(12, child:read "n")
    assert.equal(16, child:read "n")
    assert.equal(" rest of line\n", child:read "L")
    assert.equal("ne", child:read(2))
    child:close_stdin()
    assert.equal("xt\n", child:read "a")
    assert.equal("", child:read "a")
    assert.is_nil(child:read())
    assert.is_nil(child:read "l")
  end)

  it("slows down a program that writes faster than it is read", function()
    local child <close> = spawn { "sh", "-c", "head -c 10000000 /dev/zero; echo" }
    ctz.sleep(0.2)
    assert.equal("S", ctz.fs.read("/proc/" .. child.pid .. "/stat"):match "%) (%a)")
    local size = 0
    for _ = 1, 10 do
      size = size + #child:read(1000000)
    end
    assert.equal(10000000, size)
    child:close()
  end)

  it("slows down a writer until the program reads", function()
    local child <close> = spawn({ "sh", "-c", "read go; cat | wc -c" }, { stdin = "pipe" })
    local text, done = ("x"):rep(1 << 20), false
    ctz.scope(function()
      ctz.spawn(function()
        pcall(child.write, child, text)
        done = true
      end)
      ctz.sleep(0.1)
      assert.is_false(done)
      local err = failure(child.write, child, "late", { timeout = 0.05 })
      assert.equal("timeout", err.kind)
      child:kill "KILL"
      pcall(child.wait, child)
    end)
  end)

  it("reports a write to a program that has closed its stdin", function()
    local child <close> = spawn({ "sh", "-c", "exec <&-; sleep 60" }, { stdin = "pipe" })
    local err
    repeat
      local ok
      ok, err = pcall(child.write, child, "x")
      ctz.sleep(0.005)
    until not ok
    assert.equal("io", err.kind)
    assert.equal("EPIPE", err.code)
    assert.matches("closed its stdin", err.hint, 1, true)
  end)

  it("returns unread output with wait", function()
    local child <close> = spawn({ "sh", "-c", "seq 100000; echo err >&2" }, { stderr = "capture" })
    assert.equal("1", child:read "l")
    local result = child:wait()
    assert.equal(588895 - 2, #result.stdout)
    assert.equal("err\n", result.stderr)
    assert.equal(#result.stdout, #child:wait().stdout)
  end)

  it("reads stderr as a stream of its own", function()
    local child <close> = spawn({ "sh", "-c", "echo out; echo err1 >&2; echo err2 >&2" }, { stderr = "stream" })
    assert.same({ "err1", "err2" }, lines_of(child, { stream = "stderr" }))
    assert.same({ "out" }, lines_of(child))
  end)

  it("gives the next line to the reader that waits longest", function()
    local child <close> = spawn({ "cat" }, { stdin = "pipe" })
    local got = {}
    ctz.scope(function()
      for i = 1, 3 do
        ctz.spawn(function()
          got[i] = child:read "l"
        end)
      end
      ctz.sleep(0.01)
      child:write "a\nb\nc\n"
    end)
    assert.same({ "a", "b", "c" }, got)
  end)

  -- The first read is made before the second; returns what both got.
  local function read_both(child, first, second, meanwhile)
    local greedy, patient
    ctz.scope(function()
      ctz.spawn(function()
        greedy = table.pack(pcall(child.read, child, table.unpack(first)))
      end)
      ctz.spawn(function()
        patient = table.pack(child:read(second))
      end)
      ctz.sleep(0.01)
      meanwhile()
    end)
    return greedy, patient
  end

  it("serves the reader behind a greedy one with what that leaves", function()
    local child <close> = spawn({ "cat" }, { stdin = "pipe" })
    local much = ("x"):rep(300000) -- more than is read ahead
    local greedy, patient = read_both(child, { #much }, "l", function()
      child:write(much .. "left\n")
    end)
    assert.is_true(greedy[1] and greedy[2] == much)
    assert.equal("left", patient[1])
  end)

  it("serves the reader behind a greedy one that gives up with what is there", function()
    local child <close> = spawn({ "cat" }, { stdin = "pipe" })
    local greedy, patient = read_both(child, { 1000, { timeout = 0.2 } }, "l", function()
      child:write "there\n"
    end)
    assert.equal("timeout", greedy[2].kind)
    assert.equal("there", patient[1])
  end)

  it("serves the reader behind one that takes all with the end", function()
    local child <close> = spawn({ "cat" }, { stdin = "pipe" })
    local greedy, patient = read_both(child, { "a" }, "l", function()
      child:write "one\ntwo\n"
      child:close_stdin()
    end)
    assert.equal("one\ntwo\n", greedy[2])
    assert.is_nil(patient[1])
  end)

  it("skips a reader that has gone", function()
    local child <close> = spawn({ "cat" }, { stdin = "pipe" })
    assert.equal("timeout", failure(child.read, child, "l", { timeout = 0.02 }).kind)
    ctz.scope(function()
      local task = ctz.spawn(function()
        child:read "l"
      end)
      ctz.sleep(0.01)
      task:cancel()
    end)
    child:write "mine\n"
    assert.equal("mine", child:read "l")
  end)

  it("raises timeout after idle_timeout without a line", function()
    local child <close> = spawn { "sh", "-c", "echo a; sleep 0.05; echo b; sleep 60" }
    local seen = {}
    local err = failure(function()
      for line in child:lines { idle_timeout = 0.5 } do
        seen[#seen + 1] = line
      end
    end)
    assert.equal("timeout", err.kind)
    assert.same({ "a", "b" }, seen)
  end)

  it("raises size for a line over the limit log_line_bytes", function()
    local child <close> = spawn { "sh", "-c", "head -c 3000000 /dev/zero; sleep 60" }
    assert.equal("size", failure(lines_of, child).kind)
  end)

  it("ends the program with its block, its scope, its collection, its task", function()
    local nap = programs.nap()
    local function running()
      return #programs.with("sleep\0" .. nap)
    end
    do
      local child <close> = spawn { "sleep", nap } -- luacheck: ignore child
      programs.await("sleep\0" .. nap, 1)
    end
    assert.equal(0, running())
    local kept = {}
    ctz.scope(function()
      kept[1] = spawn { "sleep", nap }
      programs.await("sleep\0" .. nap, 1)
    end)
    programs.await("sleep\0" .. nap, 0)
    assert.is_not_nil(kept[1])
    kept[1] = spawn { "sleep", nap }
    programs.await("sleep\0" .. nap, 1)
    kept[1] = nil
    collectgarbage()
    collectgarbage()
    programs.await("sleep\0" .. nap, 0)
    ctz.spawn(function()
      spawn { "sleep", nap }
    end):await()
    programs.await("sleep\0" .. nap, 0)
    assert.equal(0, programs.zombies())
  end)

  it("sends signals by name and number", function()
    local child <close> = spawn({ "sh", "-c",
      "trap 'echo hup' HUP; trap 'echo usr; exit 5' USR1; echo up; while :; do sleep 0.01; done" }, { stderr = "null" })
    assert.equal("up", child:read "l")
    child:kill "HUP"
    assert.equal("hup", child:read "l")
    child:kill "SIGUSR1"
    assert.equal("usr", child:read "l")
    assert.equal(5, child:wait({ check = false }).exit_code)
    assert.is_true(child:kill(9))
    assert.equal("usage", failure(child.kill, child, "NOPE").kind)
    assert.equal("usage", failure(child.kill, child, 0).kind)
  end)

  it("closes twice, and tells its pid and what it is", function()
    local child = spawn { "sleep", "60" }
    assert.is_true(ctz.fs.exists("/proc/" .. child.pid))
    assert.matches("ctz.process.Child (sleep 60)", tostring(child), 1, true)
    assert.is_true(child:close())
    assert.is_true(child:close())
    assert.is_nil(child:read())
    assert.equal(15, child:wait({ check = false }).signal)
  end)

  it("ends a program at the timeout of its life", function()
    local child <close> = spawn({ "sleep", "60" }, { timeout = 0.05 })
    assert.equal("timeout", failure(child.wait, child).kind)
  end)

  it("goes on when only the waiting for it timed out", function()
    local child <close> = spawn { "sh", "-c", "sleep 0.2; echo done" }
    assert.equal("timeout", failure(child.wait, child, { timeout = 0.01 }).kind)
    assert.equal("done\n", child:wait().stdout)
  end)

  it("refuses to read what is no stream, and to write without stdin", function()
    local child <close> = spawn({ "true" }, { stdout = "null" })
    assert.matches('started without stdout="stream"', failure(child.read, child).message, 1, true)
    assert.matches('without stdin="pipe"', failure(child.write, child, "x").message, 1, true)
    assert.equal("usage", failure(child.read, child, "q").kind)
  end)
end)

describe("ctz.process.find", function()
  it("gives the file of a program, or nil", function()
    assert.equal("/", process.find("sh"):sub(1, 1))
    assert.is_nil(process.find "no-such-program-x")
  end)
end)

describe("a run with programs", function()
  local function eval(code, words)
    local all = { "eval" }
    table.move(words or {}, 1, #(words or {}), 2, all)
    all[#all + 1] = code
    return program.run(all)
  end

  it("runs none under --dry-run and --simulate, unless --allow run names it", function()
    for _, mode in ipairs { "--dry-run", "--simulate" } do
      for _, code in ipairs {
        'ctz.process.run{"echo"}', 'ctz.process.spawn{"echo"}', 'os.execute "echo"', 'io.popen "echo"',
      } do
        local result = eval(code, { mode })
        assert.equal(1, result.code)
        assert.matches("is not run under " .. mode, result.err, 1, true)
        assert.matches("--allow run=", result.err, 1, true)
      end
      assert.equal("x\n\n", eval('ctz.process.run{"echo", "x"}.stdout', { mode, "--allow", "run=echo" }).out)
      assert.equal(1, eval('ctz.process.run{"true"}', { mode, "--allow", "run=echo" }).code)
    end
  end)

  it("runs what --allow grants", function()
    assert.equal(0, eval('ctz.process.run{"true"}', { "--allow", "run=true" }).code)
    assert.equal(0, eval('ctz.process.run{"true"}', { "--allow", "run" }).code)
    local result = eval('ctz.process.run{"false"}', { "--allow", "run=true" })
    assert.equal(1, result.code)
    assert.matches("may not run false", result.err, 1, true)
    assert.matches("--allow run=false grants it", result.err, 1, true)
    assert.equal(1, eval('ctz.process.run({"cat"}, {stdin={file="/etc/passwd"}})', { "--allow", "run=cat" }).code)
    assert.equal(0, eval('os.execute "true"', { "--allow", "run=sh" }).code)
    assert.equal(1, eval('os.execute "true"', { "--allow", "run=true" }).code)
  end)

  local function interrupted(code, signal, opts)
    local nap = programs.nap()
    local child <close> = spawn({ program.path, "eval", code:gsub("NAP", nap) },
      { stderr = "capture", stdin = opts and opts.stdin })
    repeat
      ctz.sleep(0.01)
    until #programs.with("sleep\0" .. nap) > 0
    child:kill(signal)
    local result = child:wait { check = false }
    return result, programs.with("sleep\0" .. nap)
  end

  it("ends them on Ctrl-C with exit code 130, wherever they are waited for", function()
    for _, code in ipairs {
      'ctz.process.run{"sleep", "NAP"}',
      'os.execute "sleep NAP; true"',
      'io.popen("sleep NAP; true"):read "a"',
      '(function() local c = ctz.process.spawn{"sleep", "NAP"} c:wait() end)()',
      '(function() local c = ctz.process.spawn{"sleep", "NAP"} ctz.sleep(60) return c end)()',
      '(function() for line in ctz.process.spawn{"sleep", "NAP"}:lines() do print(line) end end)()',
      '(function() local c = ctz.process.spawn{"sleep", "NAP"} while c do end end)()',
    } do
      local result, left = interrupted(code, "INT")
      assert.equal(130, result.exit_code, code)
      assert.same({}, left, code)
    end
  end)

  it("ends them on SIGTERM with exit code 143", function()
    local result, left = interrupted('ctz.process.run{"sh", "-c", "sleep NAP & sleep NAP"}', "TERM")
    assert.equal(143, result.exit_code)
    assert.same({}, left)
  end)

  it("ends them when the run ends, also what nobody waits for", function()
    local nap = programs.nap()
    local result = program.run { "eval", ('ctz.process.spawn{"sh", "-c", "sleep %s"} and nil'):format(nap) }
    assert.equal(0, result.code, result.err)
    assert.same({}, programs.with("sleep\0" .. nap))
    result = program.run { "eval", ('ctz.process.spawn{"sleep", "%s"} os.exit(5)'):format(nap) }
    assert.equal(5, result.code)
    assert.same({}, programs.with("sleep\0" .. nap))
  end)

  it("says at debug level that a handle was collected unclosed, and nothing otherwise", function()
    local code = [[(function()
      ctz.process.spawn{"sleep", "60"}
      collectgarbage() collectgarbage()
      local child <close> = ctz.process.spawn{"sleep", "60"}
      ctz.process.spawn{"true"}:wait()
      collectgarbage()
    end)()]]
    local _, count = eval(code, { "--debug" }).err:gsub("sleep 60: killed, its handle was collected unclosed", "")
    assert.equal(1, count)
    assert.equal("", eval(code).err)
  end)

  it("takes them along when it is killed itself", function()
    local nap = programs.nap()
    local child <close> = spawn { program.path, "eval", ('ctz.process.run{"sleep", "%s"}'):format(nap) }
    programs.await("sleep\0" .. nap, 1)
    child:kill "KILL"
    assert.equal(9, child:wait({ check = false }).signal)
    programs.await("sleep\0" .. nap, 0)
  end)
end)

describe("our terminal", function()
  -- A ctz that evaluates code on a terminal of its own, to be typed at.
  local function on_terminal(code)
    return spawn({ program.path, "eval", code }, { pty = true, stdin = "pipe", timeout = 20 })
  end

  it("is lent to a program whose stdin it is, and comes back", function()
    local child <close> = on_terminal [[(function()
      print(ctz.process.run({"sh", "-c", "read a; echo got $a"}, {stdin = "inherit"}).stdout)
      os.execute "read b; echo then $b"
      print(io.read())
    end)()]]
    child:write "one\n"
    assert.equal("got one", child:read "l")
    child:read "l"
    child:write "two\n"
    assert.equal("then two", child:read "l")
    child:write "three\n"
    assert.equal("three", child:read "l")
    assert.equal(0, child:wait().exit_code)
  end)

  it("has a Ctrl-C that ends the program and the run", function()
    local nap = programs.nap()
    local child <close> = on_terminal(([[ctz.process.run({"sh", "-c", "echo up; sleep %s"},
      {stdin = "inherit", stdout = "inherit"})]]):format(nap))
    assert.equal("up", child:read "l")
    programs.await("sleep\0" .. nap, 1)
    child:write "\3"
    local result = child:wait { check = false }
    assert.equal(130, result.exit_code, result.stdout)
    assert.matches("interrupted; cleaning up", result.stdout, 1, true)
    assert.same({}, programs.with("sleep\0" .. nap))
  end)

  it("is not read behind our back: a program that tries is ended with a hint", function()
    local child <close> = on_terminal [[ctz.process.run{"sh", "-c", "read a </dev/tty"}]]
    local result = child:wait { check = false }
    assert.equal(1, result.exit_code)
    assert.matches("wanted to use the terminal", result.stdout, 1, true)
    assert.matches('stdin="inherit"', result.stdout, 1, true)
  end)
end)
