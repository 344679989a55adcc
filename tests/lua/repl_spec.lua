-- ctz repl on a terminal of its own (a pseudo terminal): keys go in, what a person would see comes out.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local chunk = require "ctz.cmd.repl_chunk"
local host = require "ctz.core.host"
local process = require "ctz.process"

local ENTER <const>, TAB <const>, ESCAPE <const>, UP <const> = "\r", "\t", "\27", "\27[A"
local CTRL_C <const>, CTRL_D <const>, CTRL_V <const>, CTRL_Z <const> = "\3", "\4", "\22", "\26"
local PASTE <const>, PASTE_END <const> = "\27[200~", "\27[201~"
local PATIENCE_S <const> = 20

-- --- a terminal ------------------------------------------------------------------------------------

local Terminal = {}
Terminal.__index = Terminal

-- A shell line on a terminal; $0 is the program.
local function open_terminal(line, env)
  local child = process.spawn({ "sh", "-c", "stty sane; " .. line, host.program }, {
    stdin = "pipe",
    pty = { rows = 24, columns = 80 },
    env = env,
  })
  return setmetatable({ child = child, seen = "", all = "" }, Terminal)
end

-- What switches bracketed paste on and off is not seen.
function Terminal:take(text)
  self.all = self.all .. text
  self.seen = (self.seen .. text):gsub("\27%[%?2004[hl]", "")
end

-- Waits for a text and returns what was seen up to its end.
function Terminal:expect(text)
  local ok, err = pcall(ctz.timeout, PATIENCE_S, function()
    while not self.seen:find(text, 1, true) do
      local more = self.child:read()
      assert(more, "the session ended")
      self:take(more)
    end
  end)
  assert.is_true(ok, ("waiting for %q: %s; seen: %q"):format(text, tostring(err), self.seen))
  local last = select(2, self.seen:find(text, 1, true))
  local before = self.seen:sub(1, last)
  self.seen = self.seen:sub(last + 1)
  return before
end

function Terminal:send(text)
  self.child:write(text)
end

-- Reads to the end of the program; returns all that was seen and the exit code.
function Terminal:finish()
  ctz.timeout(PATIENCE_S, function()
    for more in function() return self.child:read() end do
      self:take(more)
    end
  end)
  return self.seen, self.child:wait({ check = false, timeout = PATIENCE_S }).exit_code
end

function Terminal:__close()
  self.child:close()
end

-- --- sessions --------------------------------------------------------------------------------------

describe("ctz repl", function()
  local folder, terminal, env

  local function open_session()
    local session = open_terminal('exec "$0" repl', env)
    session:expect "ctz> "
    return session
  end

  local function expect(text)
    return terminal:expect(text)
  end

  local function send(text)
    terminal:send(text)
  end

  local function eval(line, answer)
    send(line .. ENTER)
    expect(answer)
    expect "ctz> "
  end

  local function read_history()
    return ctz.fs.read(folder.path .. "/ctz/history")
  end

  before_each(function()
    folder = ctz.fs.tempdir()
    env = { XDG_STATE_HOME = folder.path, TERM = "xterm", LC_ALL = "C.UTF-8", TOKEN = "from-outside" }
    terminal = open_session()
  end)

  after_each(function()
    terminal.child:close()
    ctz.fs.remove(folder.path, { recursive = true })
  end)

  local function finish()
    send(CTRL_D)
    local seen, code = terminal:finish()
    assert.equal(0, code, seen)
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
      expect "begun\r\n"
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

  it("has commands of its own", function()
    eval(".tasks", "")
    eval(".time ctz.sleep(0.01)", " s")
    eval(".halp", ".halp is not a command of the prompt")
    eval(".load", ".load needs the path of a file")
    eval(".load /no/such/file", "No such file")
    local path = folder.path .. "/loaded.lua"
    ctz.fs.write(path, "from_file = ... or 'loaded' return 1, 2")
    eval(".load " .. path, "2")
    eval("from_file", '"loaded"')
    send(".quit" .. ENTER)
    local _, code = terminal:finish()
    assert.equal(0, code)
  end)

  it("keeps every local outside of a block, wherever it stands in a line", function()
    eval("local a = 1; local b <const> = 2 local c", "")
    eval("a + b, c", "nil")
    eval("do local hidden = 1 end local function f() local inner = 2 return inner end local d = f()", "")
    eval("hidden, inner, d", "2")
    finish()
  end)

  it("goes on reading an expression that is not whole", function()
    send("1 +" .. ENTER)
    expect "...> "
    eval("2", "3")
    send("{" .. ENTER)
    expect "...> "
    send("1," .. ENTER)
    expect "...> "
    eval("2}", "{ 1, 2 }")
    finish()
  end)

  it("survives values and functions that raise while they are shown", function()
    eval("setmetatable({}, {__tostring = function() error('no text') end, __index = error})", "")
    eval("?no.such.name", "no.such.name")
    eval("error(setmetatable({}, {__tostring = function() return 'own text' end}))", "own text")
    eval("error()", "nil")
    eval("'alive'", '"alive"')
    finish()
  end)

  it("ends an evaluation in which all tasks wait on each other, and goes on", function()
    eval("x = 5", "")
    eval("ctz.channel():receive()", "all tasks wait on each other")
    eval("t = ctz.spawn(function() ctz.channel():receive() end) t:await()", "all tasks wait on each other")
    eval("x", "5")
    finish()
  end)

  it("keeps background tasks of an evaluation until the session ends", function()
    eval("ch = ctz.channel()", "")
    eval("ctz.spawn(function() for v in ch:each() do print('got ' .. v) end end, {background=true})", "ctz.task")
    eval("ch:send(1)", "true")
    eval("ch:send(2)", "true")
    finish()
  end)

  -- --- keys ----------------------------------------------------------------------------------------

  it("shows what is typed right after Ctrl-C once", function()
    send("abc" .. CTRL_C .. "40 + 2" .. ENTER)
    expect "^C"
    local seen = expect "\n42"
    assert.equal(1, select(2, seen:gsub("40 %+ 2", "")))
    expect "ctz> "
    send(CTRL_C .. "50 + 2" .. ENTER)
    expect "^C"
    seen = expect "\n52"
    assert.equal(1, select(2, seen:gsub("50 %+ 2", "")))
    expect "ctz> "
    finish()
  end)

  it("cancels what a line runs when Ctrl-C comes along with its Enter", function()
    send("ctz.sleep(60)" .. ENTER .. "dropped" .. CTRL_C)
    expect "cancelled"
    expect "ctz> "
    eval("'alive'", '"alive"')
    finish()
  end)

  it("keeps a paste together, tabs and line ends in it, until Enter", function()
    send(PASTE .. "function g()\r\tlocal tab = '\ttostr'\r\n\treturn tab\rend\r" .. PASTE_END)
    expect "end"
    send(ENTER)
    expect "ctz> "
    eval("g()", '"\\ttostr"')
    finish()
  end)

  it("takes nothing in a paste for a key, and finds its end when it comes in pieces", function()
    send(PASTE .. "x = '" .. CTRL_C .. CTRL_D .. ESCAPE .. "[A'" .. "\27[20")
    send "1~"
    send(ENTER)
    expect "ctz> "
    eval("#x, x:byte(1, 2)", "5")
    finish()
  end)

  it("refuses a paste above 1 MiB and goes on", function()
    send(PASTE)
    for _ = 1, 20 do
      send(("y"):rep(64 * 1024))
    end
    send(PASTE_END)
    expect "\a"
    eval("'alive'", '"alive"')
    finish()
  end)

  it("does not wait for what may follow Escape", function()
    send("ctz.spawn(function() ctz.sleep(0.2) print 'meanwhile' end, {background=true})" .. ENTER)
    expect "ctz.task"
    expect "ctz> "
    send(ESCAPE)
    expect "meanwhile"
    expect "ctz> "
    send(ESCAPE .. ENTER) -- the first one was nothing by now, or is by this one
    expect "ctz> "
    eval("2 + 2", "4")
    finish()
  end)

  it("edits with cursor keys, Home, End and Delete", function()
    send("xreturn 13" .. "\27[H" .. "\27[3~" .. "\27[F" .. "\27OD" .. "2" .. ENTER)
    expect "\n123"
    expect "ctz> "
    send("\27[3~") -- on an empty line it is not the end
    eval("'alive'", '"alive"')
    send("one two" .. "\27[1;5D" .. "\27b" .. "= 3 --" .. ENTER)
    expect "ctz> "
    finish()
  end)

  it("indents with Tab where there is nothing to complete, and takes any key as text after Ctrl-V", function()
    send(TAB .. "return '" .. CTRL_V .. TAB .. "'" .. ENTER)
    expect '"\\t"'
    expect "ctz> "
    finish()
  end)

  it("ends at a Ctrl-D that was typed while something ran", function()
    send("print('begun') ctz.sleep(0.3)" .. ENTER)
    expect "begun\r\n"
    send(CTRL_D)
    local _, code = terminal:finish()
    assert.equal(0, code)
  end)

  it("draws the line again after Ctrl-Z", function() -- nobody can stop it here: it goes on at once
    send("20 +" .. CTRL_Z)
    expect "^Z"
    expect "ctz> 20 +"
    eval(" 22", "42")
    finish()
  end)

  it("draws the line again after progress lines", function()
    send("ctz.spawn(function() p = ctz.ui.progress{title='loading', total=9} ctz.sleep(0.2) p:set(5) end)" .. ENTER)
    expect "ctz.task"
    expect "ctz> "
    send "half a line"
    expect "half a line"
    expect "5 of 9"
    expect "ctz> half a line"
    send(CTRL_C)
    expect "^C"
    expect "ctz> "
    finish()
  end)

  it("reads a line of input for the code that it runs", function()
    send("print 'asked' x = io.read()" .. ENTER)
    expect "asked\r\n"
    send("hello" .. ENTER)
    expect "ctz> "
    eval("x", '"hello"')
    finish()
  end)

  it("lives through any keys", function()
    local random = math.random
    math.randomseed(7)
    for _ = 1, 40 do
      local bytes = {}
      for i = 1, 100 do
        local byte = random(0, 255)
        if random(4) == 1 then
          byte = 27
        elseif byte == 4 or byte == 10 or byte == 13 or byte == 26 or byte == 28 or byte == 19 then
          byte = 91
        end
        bytes[i] = string.char(byte)
      end
      send(table.concat(bytes))
    end
    for _ = 1, 5 do -- a key before may have asked for the next one as it is, or a lone Escape still waits
      send(PASTE_END .. "x" .. CTRL_C .. CTRL_C)
      send("'ali' .. 've'" .. ENTER)
      ctz.sleep(0.6)
    end
    expect '"alive"'
    expect "ctz> "
    finish()
  end)

  -- --- completion ----------------------------------------------------------------------------------

  it("completes names of modules in require and after ?", function()
    send("(require 'ctz.ya" .. TAB .. "').encode({1})" .. ENTER)
    expect "- 1"
    expect "ctz> "
    send("?ctz.slee" .. TAB .. ENTER)
    expect "Suspends this task"
    expect "ctz> "
    finish()
  end)

  it("shows a choice once the names go apart, and keeps what was typed after Tab", function()
    eval("tabl = {alpha = 1, alpine = 2}", "")
    send("tabl.a" .. TAB .. TAB)
    expect "alpha   alpine"
    expect "ctz> tabl.alp"
    send("ha" .. TAB .. " + 1" .. ENTER)
    expect "\n2"
    expect "ctz> "
    finish()
  end)

  -- --- the history ---------------------------------------------------------------------------------

  it("writes each input at once into a history of its own mode", function()
    eval("'remember me'", "remember me")
    assert.equal("'remember me'\n", read_history())
    assert.equal(tonumber("600", 8), ctz.fs.stat(folder.path .. "/ctz/history").mode & 511)
    assert.equal(tonumber("700", 8), ctz.fs.stat(folder.path .. "/ctz").mode & 511)
    eval("'remember me'", "remember me") -- the same again is one
    eval("x = = 1", "unexpected symbol")
    assert.equal("'remember me'\nx = = 1\n", read_history())
    finish()
  end)

  it("shares the history between sessions", function()
    local other <close> = open_session()
    eval("'first'", "first")
    other:send("'second'" .. ENTER)
    other:expect '"second"'
    other:expect "ctz> "
    eval("'third'", "third")
    assert.equal("'first'\n'second'\n'third'\n", read_history())
    local later <close> = open_session()
    later:send(UP .. UP .. ENTER)
    later:expect '"second"'
    finish()
  end)

  it("keeps an input of several lines as one", function()
    send("s = 'back\\\\slash' ..\r" .. "'\\n'" .. ENTER)
    expect "ctz> "
    finish()
    terminal = open_session()
    send(UP .. " print('again', #s)" .. ENTER)
    expect "again\t11"
    expect "ctz> "
    finish()
  end)

  it("keeps no line that holds the value of a secret after its evaluation", function()
    eval("wrap = function(text) return ctz.secret(text) end", "")
    eval("s = wrap('hunter2-hunter2')", "") -- a secret by the end of this very line
    eval("t = 'say hunter2-hunter2 again'", "")
    eval("u = '" .. ctz.base64.encode "hunter2-hunter2" .. "'", "")
    eval("v = ctz.secret('abc')", "") -- too short to be known
    eval("w = ctz.secret('never-known'))", "unexpected symbol")
    eval("x = ctz.secret(ctz.env.TOKEN)", "")
    eval("x", "***")
    send("if true then" .. ENTER)
    expect "...> "
    send("y = 'hunter2-hunter2'" .. ENTER)
    expect "...> "
    eval("end", "")
    finish()
    local kept = { "wrap = function(text) return ctz.secret(text) end", "x = ctz.secret(ctz.env.TOKEN)", "x", "" }
    assert.equal(table.concat(kept, "\n"), read_history())
  end)

  it("says once that the history cannot be kept", function()
    finish()
    env.XDG_STATE_HOME = "/proc/no/such/folder"
    terminal = open_terminal('exec "$0" repl', env)
    expect "the history is not kept"
    expect "ctz> "
    eval("1 + 1", "2")
    send(CTRL_D)
    local seen = terminal:finish()
    assert.is_nil(seen:find("not kept", 1, true))
  end)

  -- --- the terminal --------------------------------------------------------------------------------

  it("leaves the terminal as it was, also when it is asked to end", function()
    finish()
    for _, case in ipairs {
      { ending = CTRL_D, code = "0" },
      { ending = "os.exit(7)" .. ENTER, code = "7" },
      { ending = "ctz.process.run{'sh', '-c', 'kill -TERM $PPID'}" .. ENTER, code = "143" },
    } do
      local line = ('D=%s; stty -a > $D/a; "$0" repl; echo code $?; stty -a > $D/b'):format(folder.path)
      terminal = open_terminal(line, env)
      expect "ctz> "
      send(case.ending)
      local seen = terminal:finish()
      assert.matches("code " .. case.code, seen)
      assert.matches("\27%[%?2004l", terminal.all)
      assert.equal(ctz.fs.read(folder.path .. "/a"), ctz.fs.read(folder.path .. "/b"))
    end
  end)

  it("works on terminals that know nothing, and without a locale", function()
    finish()
    for _, other in ipairs { { TERM = "dumb" }, { TERM = "no-such-terminal" }, { LC_ALL = "C", TERM = "xterm" } } do
      env = { XDG_STATE_HOME = folder.path, TERM = other.TERM, LC_ALL = other.LC_ALL }
      terminal = open_session()
      eval("'grüße ' .. 6 * 7", '"grüße 42"')
      finish()
    end
  end)

  it("has one session at a time, and can have another after it", function()
    finish()
    terminal = open_terminal([[exec "$0" eval '
      local core = require "ctz.core.repl"
      local one = core.open()
      print(pcall(core.open))
      one:close()
      local two <close> = core.open()
      print(pcall(one.read, one, "> "))
      print "done"']], env)
    local seen, code = terminal:finish()
    assert.equal(0, code, seen)
    assert.matches("there is a session already", seen)
    assert.matches("the session is closed", seen)
    assert.matches("done", seen)
  end)

  it("runs piped input as a script", function()
    local outcome = process.run({ host.program, "repl" }, { stdin = "local a = 1\nctz.sleep(0)\nprint(a + 1)\n" })
    assert.equal("2\n", outcome.stdout)
    outcome = process.run({ host.program, "repl" }, { stdin = "x = = 1", check = false })
    assert.equal(4, outcome.exit_code)
    assert.matches("stdin:1: unexpected symbol", outcome.stderr)
  end)
end)

describe("locals of an input", function()
  for source, expected in pairs {
    ["local a = 1"] = "      a = 1",
    ["local a"] = "      a = nil",
    ["local a, b"] = "      a, b = nil",
    ["f() local a = 1 g()"] = "f()       a = 1 g()",
    ["local a <const> = 1"] = "      a         = 1",
    ["local function f() local x = 1 end"] = "      function f() local x = 1 end",
    ["if a then local b = 1 end local c = 2"] = "if a then local b = 1 end       c = 2",
    ["while a do local b = 1 end local c"] = "while a do local b = 1 end       c = nil",
    ["repeat local b = 1 until b local c"] = "repeat local b = 1 until b       c = nil",
    ["x = function() local y end local z"] = "x = function() local y end       z = nil",
    ["t = {'local', [[local a]], --[==[ local b ]==] \"end\"} local c"] =
      "t = {'local', [[local a]], --[==[ local b ]==] \"end\"}       c = nil",
    ["-- local a\nlocal b"] = "-- local a\n      b = nil",
    ["local a --[[x]] , b = 1"] = "      a --[[x]] , b = 1",
    ["local f <close> = open()"] = "local f <close> = open()",
    ["local _ENV = {}"] = "local _ENV = {}",
    ["x = 'it\\'s' local y"] = "x = 'it\\'s'       y = nil",
  } do
    it(("turns %q into variables that live on"):format(source), function()
      assert.equal(expected, chunk.promote(source))
    end)
  end

  it("comes to an end with any text", function()
    math.randomseed(3)
    local words = { "local", "function", "end", "<", ">", "a", ",", "=", "0x" }
    table.move({ "[[", "]]", "'", '"', "--", "\n", "[=[", "\\" }, 1, 8, #words + 1, words)
    for _ = 1, 2000 do
      local parts = {}
      for i = 1, math.random(12) do
        parts[i] = words[math.random(#words)]
      end
      assert.is_string(chunk.promote(table.concat(parts, " ")))
    end
  end)
end)
