-- progress_spec.lua: progress on a real terminal.
-- SPDX-License-Identifier: MIT
local program = require "tests.lua.support.program"
local tmux = require "tests.lua.support.tmux"

-- A recipe that goes on when a file of that name exists: steps of the test decide, not time.
local PRELUDE <const> = [[
local ctz = require "ctz"
local function go(name)
  while not io.open(name) do ctz.sleep(0.01) end
end
]]

local function open(recipe, opts)
  local path = program.write(os.tmpname(), PRELUDE .. recipe)
  local terminal = tmux.open(("'%s' run %s %s"):format(program.path, opts and opts.options or "", path), opts)
  return terminal, function(name)
    program.write(terminal.folder .. "/" .. name, "")
  end
end

describe("ctz.ui.progress on a terminal #live", function()
  if not tmux.is_there then
    pending "tmux is not installed: apt-get install tmux"
    return
  end

  it("moves in place below the lines that are printed", function()
    local terminal <close>, go = open [[
      local p <close> = ctz.ui.progress{title="layer app", total=200, unit="bytes"}
      p:set(50)
      go "half"
      p:set(100)
      print "a line of output"
      ctz.log.info("a line of the log")
      go "end"
      p:set(200)]]
    terminal:wait "layer app [#"
    terminal:wait "25% 50 B of 200 B"
    go "half"
    local screen = terminal:wait "50% 100 B of 200 B"
    assert.matches("^a line of output\n%d[%d:.]+ info  a line of the log\n"
      .. "layer app %[#+%-+%]  50%% 100 B of 200 B", screen)
    go "end"
    screen = terminal:wait "exit=0"
    assert.matches("^a line of output\n[^\n]+a line of the log\nlayer app: 200 B in [^\n]+\nexit=0\n$", screen)
  end)

  it("shows several at once, each on its own line, and keeps the last lines", function()
    local terminal <close>, go = open [[
      local list = {}
      for i = 1, 4 do list[i] = ctz.ui.progress{title="job " .. i, total=10} list[i]:set(i) end
      go "two"
      list[2]:done()
      list[3]:fail "no space"
      go "end"
      list[1]:done() list[4]:done()]]
    local screen = terminal:wait "40% 4 of 10"
    assert.matches("^job 1 [^\n]+ 10%% 1 of 10[^\n]*\njob 2 [^\n]+\njob 3 [^\n]+\njob 4 [^\n]+\n$", screen)
    go "two"
    screen = terminal:wait(function(text) return select(2, text:gsub("\n", "")) == 4 and text:find "no space" end)
    assert.matches("^job 2: 2 in [^\n]+\njob 3: failed after [^\n]+: no space\njob 1 [^\n]+\njob 4 [^\n]+\n$", screen)
    go "end"
    terminal:wait "exit=0"
  end)

  it("shows as many as fit and counts the others", function()
    local terminal <close>, go = open [[
      local list = {}
      for i = 1, 30 do list[i] = ctz.ui.progress{title=("job %02d"):format(i)} end
      go "end"
      for _, p in ipairs(list) do p:done() end]]
    local screen = terminal:wait "and 18 more"
    assert.matches("^job 01 [^\n]*\n.*job 12[^\n]*\nand 18 more\n$", screen)
    go "end"
    screen = terminal:wait("exit=0", { history = true })
    assert.equal(31, select(2, screen:gsub("\n", "\n")))
    assert.not_matches("more", screen, 1, true)
  end)

  it("follows the width of the window", function()
    local terminal <close>, go = open [[
      local p <close> = ctz.ui.progress{title="a title that is not short at all", total=1000000, unit="bytes"}
      p:set(500000)
      local q <close> = ctz.ui.progress{title="日本語のレイヤー", total=10}
      q:set(5)
      print "printed before"
      go "print"
      print "printed after"
      go "end"]]
    terminal:wait "50% 5 of 10"
    terminal:resize(30, 20)
    local screen
    terminal:wait(function(text)
      for line in text:gmatch "[^\n]+" do
        if #line > 40 then return false end
      end
      return text:find("a titl", 1, true) and text:find "50%%"
    end)
    screen = terminal:screen { history = true }
    assert.matches("^printed before\n.*a ti[^\n]+50%%[^\n]*\n日本[^\n]+50%%[^\n]*\n$", screen)
    terminal:resize(120, 20)
    terminal:wait "500 kB of 1.0 MB"
    go "print"
    terminal:wait "printed after\na title"
    screen = terminal:screen { history = true }
    assert.matches("^printed before\n.*printed after\na ti[^\n]+\n日本[^\n]+\n$", screen)
    go "end"
    terminal:wait "exit=0"
  end)

  it("stands back while a line is open", function()
    local terminal <close>, go = open [[
      local p <close> = ctz.ui.progress{title="pull", total=10}
      p:set(1)
      go "ask"
      io.stdout:write "Continue? " io.stdout:flush()
      p:set(2)
      go "answer"
      p:set(3)
      io.stdout:write "yes\n" io.stdout:flush()
      go "end"]]
    terminal:wait "10% 1 of 10"
    go "ask"
    local screen = terminal:wait "Continue?"
    assert.equal("Continue?\n", screen)
    go "answer"
    screen = terminal:wait "30% 3 of 10"
    assert.matches("^Continue%? yes\npull [^\n]+30%%[^\n]*\n$", screen)
    go "end"
    terminal:wait "exit=0"
  end)

  it("is a plain line with TERM=dumb and with --progress plain", function()
    for _, opts in ipairs { { environment = "TERM=dumb" }, { options = "--progress plain" } } do
      local terminal <close> = open([[
        local p <close> = ctz.ui.progress{title="pull", total=10}
        for _ = 1, 10 do p:step() ctz.sleep(0.03) end]], opts)
      assert.matches("^pull: 10 in [^\n]+\nexit=0\n$", terminal:wait "exit=")
    end
  end)

  it("leaves a clean screen after an error and after Ctrl-C", function()
    local terminal <close> = open [[
      local p <close> = ctz.ui.progress{title="pull", total=10}
      p:set(5)
      ctz.sleep(0.2)
      error "broken"]]
    local screen = terminal:wait "exit=1"
    assert.matches("^pull: failed after [^\n]+\n[^\n]*broken", screen)
    local other <close> = open [[
      local p <close> = ctz.ui.progress{title="pull", total=10}
      p:set(5)
      ctz.sleep(60)]]
    other:wait "50% 5 of 10"
    other:keys "C-c"
    screen = other:wait "exit=130"
    assert.matches("interrupted", screen, 1, true)
    assert.not_matches("50%%", screen)
  end)

  it("keeps moving while a task computes without waiting", function()
    local terminal <close>, go = open [[
      local p <close> = ctz.ui.progress{title="busy", total=1000000000}
      local open = io.open
      while not open "end" do p:step() end]]
    terminal:wait("busy [^\n]*, %d%d+/s", { pattern = true })
    go "end"
    terminal:wait "exit=0"
  end)

  it("masks secrets in moving lines", function()
    local terminal <close>, go = open [[
      ctz.secret "hunter22"
      local p <close> = ctz.ui.progress{title="login hunter22", total=2}
      go "end"]]
    assert.matches("^login %*%*%*", terminal:wait "login")
    go "end"
    terminal:wait "exit=0"
  end)
end)
