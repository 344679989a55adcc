-- ctz repl in a real terminal (tmux): what stands on the screen after what a person does.
-- SPDX-License-Identifier: MIT
local host = require "ctz.core.host"
local tmux = require "tests.lua.support.tmux"

local WIDE <const> = ("漢字"):rep(15)

local function rows_of(screen)
  local rows = {}
  for row in screen:gmatch "([^\n]*)\n" do
    rows[#rows + 1] = row
  end
  return rows
end

-- How often a text stands on the screen; rows are joined.
local function count(screen, text)
  local joined, found, at = screen:gsub("\n", ""), 0, 1
  while true do
    local first, last = joined:find(text, at, true)
    if not first then
      return found
    end
    found, at = found + 1, last + 1
  end
end

describe("ctz repl in a terminal #live", function()
  if not tmux.is_there then
    pending "tmux is not installed: apt-get install tmux"
    return
  end

  -- Each test ends at a prompt: then the session writes nothing any more.
  local function open(opts)
    return tmux.open(host.program .. " repl", opts)
  end

  it("puts output above a line of wide characters that takes two rows", function()
    local terminal <close> = open { columns = 60 }
    terminal:wait "ctz>\n"
    terminal:line "ctz.spawn(function() ctz.sleep(0.5) print 'from behind' end, {background=true})"
    terminal:wait "ctz.task"
    terminal:type("'" .. WIDE .. "' .. 'x")
    local screen = terminal:wait "from behind\nctz> '漢字"
    assert.equal(1, count(screen, WIDE .. "' .. 'x"))
    terminal:line "'"
    terminal:wait('"' .. ("漢字"):rep(14))
    terminal:wait("\nctz>\n$", { pattern = true })
  end)

  it("draws the line anew when the terminal gets another size", function()
    local terminal <close> = open { columns = 60 }
    terminal:wait "ctz>\n"
    terminal:line "for i = 1, 12 do print 'above' end" -- what tmux moves out of sight, not the line
    terminal:wait "above\nctz>"
    terminal:type("'" .. WIDE .. "end'")
    terminal:wait "end'"
    for i, columns in ipairs { 40, 23, 100 } do
      terminal:resize(columns, 24)
      terminal:type "x" -- shown when the new size is known
      terminal:wait(function(screen)
        return count(screen, WIDE .. "end'" .. ("x"):rep(i)) == 1 and count(screen, "ctz> '漢") == 1
      end)
    end
  end)

  it("comes back after Ctrl-Z and fg with the line that was being typed", function()
    local terminal <close> = tmux.open("exec bash --norc -i", { environment = "PS1='shell> ' HISTFILE=/dev/null" })
    terminal:wait "shell>\n"
    terminal:line(host.program .. " repl")
    terminal:wait "ctz>\n"
    terminal:type "20 +"
    terminal:keys "C-z"
    terminal:wait "Stopped"
    terminal:line "echo the shell"
    terminal:wait "\nthe shell"
    terminal:line "fg"
    local rows = rows_of(terminal:wait(function(screen)
      return screen:find "repl\nctz> 20 %+\n$"
    end))
    assert.equal("ctz> 20 +", rows[#rows])
    terminal:type " 22"
    terminal:keys "Enter"
    terminal:wait "\n42\nctz>"
    terminal:line "while ctz.sleep(0.05) do print 'beat' end" -- stopped while it evaluates
    terminal:wait "\nbeat"
    terminal:keys "C-z"
    terminal:wait(function(screen)
      return select(2, screen:gsub("Stopped", "")) == 2
    end)
    terminal:line "fg"
    terminal:wait "repl\nbeat"
    terminal:keys "C-c"
    terminal:wait "cancelled\nctz>"
    terminal:keys "C-d"
    terminal:wait(function(screen)
      return screen:find "ctz>[ \n]*shell>"
    end)
  end)

  it("keeps progress lines right above the prompt and leaves none behind", function()
    local terminal <close> = open()
    terminal:wait "ctz>\n"
    terminal:line "p = ctz.ui.progress{title='loading', total=50}"
    terminal:line "ctz.spawn(function() for i=1,49 do ctz.sleep(0.1) p:set(i) end end)"
    terminal:type "half"
    terminal:wait("of 50[^\n]*\nctz> half", { pattern = true })
    terminal:keys "C-c"
    terminal:line "print 'one'"
    terminal:line "x = 1"
    local screen = terminal:wait("ctz> half^C\nctz> print 'one'\none\nctz> x = 1\n", {})
    assert.is_true(count(screen, "of 50") <= 1)
    terminal:wait("x = 1\nloading[^\n]*of 50[^\n]*\nctz>", { pattern = true })
    terminal:line "p:done()"
    screen = terminal:wait "ctz> p:done()\nloading: "
    assert.equal(0, count(screen, "of 50"))
    terminal:wait("\nctz>\n$", { pattern = true })
  end)

  it("takes a paste as one input, tabs and all", function()
    local terminal <close> = open()
    terminal:wait "ctz>\n"
    terminal:paste("for i = 1, 2 do\n\tprint('row', i)\nend\n", { bracketed = true })
    terminal:wait "print('row', i)\nend"
    terminal:keys "Enter"
    terminal:wait("row%s+1\nrow%s+2\nctz>", { pattern = true })
    terminal:keys "Up"
    terminal:wait(function(screen)
      return count(screen, "print('row', i)end") == 2
    end)
  end)

  it("takes a lone Escape for nothing", function()
    local terminal <close> = open()
    terminal:wait "ctz>\n"
    terminal:keys "Escape"
    terminal:keys "Enter"
    terminal:wait "ctz>\nctz>"
    terminal:line "6 * 7"
    terminal:wait "\n42\nctz>"
  end)
end)
