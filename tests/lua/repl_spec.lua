-- ctz repl on a terminal of its own (a pseudo terminal): keys go in, what a person would see comes out.
local ctz = require "ctz"
local host = require "ctz.core.host"
local process = require "ctz.process"

local ENTER <const>, TAB <const>, CTRL_C <const>, CTRL_D <const> = "\r", "\t", "\3", "\4"

describe("ctz repl", function()
  local folder, child, seen

  local function expect(text)
    local ok, err = pcall(ctz.timeout, 5, function()
      while not seen:find(text, 1, true) do
        local more = child:read()
        assert(more, "the session ended")
        seen = seen .. more
      end
    end)
    assert.is_true(ok, ("waiting for %q: %s; seen: %q"):format(text, tostring(err), seen))
    seen = seen:sub(select(2, seen:find(text, 1, true)) + 1)
  end

  local function send(text)
    child:write(text)
  end

  local function eval(line, answer)
    send(line .. ENTER)
    expect(answer)
    expect "ctz> "
  end

  before_each(function()
    folder = ctz.fs.tempdir()
    seen = ""
    child = process.spawn({ "sh", "-c", "stty sane; exec \"$0\" repl", host.program }, { -- the editor needs echo
      stdin = "pipe",
      pty = { rows = 24, columns = 80 },
      env = { XDG_STATE_HOME = folder.path, TERM = "xterm", LC_ALL = "C.UTF-8" },
    })
    expect "ctz> "
  end)

  after_each(function()
    child:close()
    ctz.fs.remove(folder.path, { recursive = true })
  end)

  local function finish()
    send(CTRL_D)
    local outcome = child:wait { check = false, timeout = 5 }
    assert.equal(0, outcome.exit_code)
  end

  it("prints the values of expressions readably and keeps the last in _", function()
    eval("1 + 1", "2")
    eval("_ * 21", "42")
    eval("{b=1, a={true}}", "{ a = { true }, b = 1 }")
    eval("1, nil, 'two'", '"two"')
    finish()
  end)

  it("keeps variables, and locals of a line too", function()
    eval("x = 20", "")
    eval("local y, z = 1, 2", "")
    eval("x + y + z", "23")
    eval("local function f(n) return n * 2 end", "")
    eval("f(21)", "42")
    finish()
  end)

  it("waits at the prompt", function()
    eval("ctz.sleep(0.01)", "true")
    eval("ctz.map({1, 2, 3}, function(n) ctz.sleep(0.01) return n * n end)", "{ 1, 4, 9 }")
    finish()
  end)

  it("reads on until a chunk is whole", function()
    send("for i = 1, 2 do" .. ENTER)
    expect "...> "
    send("print('row', i)" .. ENTER)
    expect "...> "
    send("end" .. ENTER)
    expect "row\t1"
    expect "row\t2"
    expect "ctz> "
    finish()
  end)

  it("shows errors and goes on", function()
    eval("error('plain')", "plain")
    eval("ctz.fs.read('/no/such/file')", "no such file or directory")
    eval("x = = 1", "unexpected symbol")
    eval("'alive'", '"alive"')
    finish()
  end)

  it("cancels the evaluation at Ctrl-C and not the session, waiting or busy", function()
    for _, code in ipairs { "ctz.sleep(60)", "while true do end", "pcall(ctz.sleep, 60) ctz.sleep(60)" } do
      send("print('begun') " .. code .. ENTER)
      expect "\nbegun"
      ctz.sleep(0.05)
      send(CTRL_C)
      expect "cancelled"
      expect "ctz> "
    end
    eval("'alive'", '"alive"')
    finish()
  end)

  it("drops the line at Ctrl-C", function()
    send "error('never run')"
    expect "run')"
    send(CTRL_C)
    expect "^C"
    expect "ctz> "
    eval("'alive'", '"alive"')
    finish()
  end)

  it("shows what background tasks print above the prompt, and their failures", function()
    send("ctz.spawn(function() ctz.sleep(0.2) print('from behind') error('broke', 0) end)" .. ENTER)
    expect "ctz.task"
    expect "ctz> "
    send "1 + "
    expect "from behind"
    expect "a task failed: broke"
    expect "1 + "
    send("1" .. ENTER)
    expect "2"
    finish()
  end)

  it("completes globals, fields, methods and modules", function()
    eval("tabl = {alpha = 1, beta = function() end}", "")
    send("tabl.al" .. TAB .. ENTER)
    expect "pha" -- libedit writes what is new
    expect "1"
    expect "ctz> "
    send("tostri" .. TAB .. "(7)" .. ENTER)
    expect '"7"'
    expect "ctz> "
    send("ctz.inspe" .. TAB .. "({})" .. ENTER)
    expect '"{}"'
    expect "ctz> "
    send "ctz.fs.rea"
    send(TAB .. TAB)
    expect "readlink"
    send(CTRL_C)
    expect "^C"
    expect "ctz> "
    eval("ch = ctz.channel()", "")
    send("ch:rec" .. TAB)
    expect "eive"
    send(CTRL_C)
    expect "^C"
    expect "ctz> "
    finish()
  end)

  it("shows the reference of a name and of a value", function()
    eval("?ctz.sleep", "ctz.sleep(seconds) -> true")
    eval("help(ctz.sleep)", "Suspends this task")
    eval("?not_found", "does not exist")
    finish()
  end)

  it("takes UTF-8 and a paste of fifty lines", function()
    eval("'grüße 漢字'", '"grüße 漢字"')
    local lines = {}
    for i = 1, 50 do
      lines[i] = ("v%d = %d"):format(i, i)
    end
    send(table.concat(lines, ENTER) .. ENTER)
    expect "v50 = 50"
    expect "ctz> "
    eval("v1 + v25 + v50", "76")
    finish()
  end)

  it("keeps a history of its own mode, without lines that name a secret", function()
    eval("'remember me'", "remember me")
    eval("s = ctz.secret('hunter2-hunter2')", "")
    eval("s", "***")
    finish()
    local path = folder.path .. "/ctz/history"
    local text = ctz.fs.read(path)
    assert.matches("remember me", text)
    assert.is_nil(text:find("hunter2", 1, true))
    assert.equal(tonumber("600", 8), ctz.fs.stat(path).mode & 511)
  end)

  it("has commands of its own", function()
    eval(".tasks", "")
    eval(".time ctz.sleep(0.01)", " s")
    eval(".halp", ".halp is not a command of the prompt")
    send(".quit" .. ENTER)
    assert.equal(0, child:wait({ check = false }).exit_code)
  end)

  it("runs piped input as a script", function()
    local outcome = process.run({ host.program, "repl" }, { stdin = "local a = 1\nctz.sleep(0)\nprint(a + 1)\n" })
    assert.equal("2\n", outcome.stdout)
    outcome = process.run({ host.program, "repl" }, { stdin = "x = = 1", check = false })
    assert.equal(4, outcome.exit_code)
    assert.matches("stdin:1: unexpected symbol", outcome.stderr)
  end)
end)
