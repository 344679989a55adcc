-- ui_spec.lua: ctz.ui where stderr is no terminal; live/progress_spec.lua has the terminal.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local program = require "tests.lua.support.program"
local ui = ctz.ui

local function run(code, ...)
  return program.recipe('local ctz = require "ctz"\n' .. code, { ... })
end

local function events_of(text)
  local events = {}
  for line in text:gmatch("([^\n]*)\n") do
    events[#events + 1] = json.decode(line)
  end
  return events
end

describe("ctz.ui.progress", function()
  it("never writes to stdout", function()
    for _, mode in ipairs { "auto", "tty", "plain", "json", "none" } do
      local result = run([[
        local p <close> = ctz.ui.progress{title="t", total=3}
        for _ = 1, 3 do p:step() end]], "--progress", mode)
      assert.equal(0, result.code, result.err)
      assert.equal("", result.out)
    end
  end)

  it("says in one plain line how it ended", function()
    local result = run [[
      local p = ctz.ui.progress{title="layer app", total=27300000, unit="bytes"}
      p:set(27300000)
      p:done()
      local q = ctz.ui.progress{title="files"}
      q:step(7):done("all copied")
      ctz.ui.progress{title="push"}:fail("no such repository")]]
    assert.matches("^layer app: 27%.3 MB in %d+ ms\nfiles: 7 in %d+ ms, all copied\n"
      .. "push: failed after %d+ ms: no such repository\n$", result.err)
  end)

  it("ends as done at the end of its block, and as failed when an error passes", function()
    local result = run [[
      do local p <close> = ctz.ui.progress{title="one"} p:step(2) end
      pcall(function() local p <close> = ctz.ui.progress{title="two"} error("x") end)]]
    assert.matches("^one: 2 in .*\ntwo: failed after .*\n$", result.err)
  end)

  it("counts the first end only", function()
    local result = run [[
      local p <close> = ctz.ui.progress{title="one"}
      p:fail("early")
      p:step(5):set(9)
      p:done("late")]]
    assert.matches("^one: failed after %d+ ms: early\n$", result.err)
  end)

  it("goes silently when it is collected unended", function()
    local result = run [[
      ctz.ui.progress{title="lost"}:step()
      collectgarbage() collectgarbage()]]
    assert.equal("", result.err)
  end)

  it("writes JSON events with --progress json, at most one a second for each", function()
    local result = run([[
      local p <close> = ctz.ui.progress{title='q"\27', total=1000, unit="bytes"}
      for _ = 1, 1000 do p:step() end
      ctz.sleep(1.2)
      p:set(1500, 2000)]], "--progress", "json")
    local events = events_of(result.err)
    assert.is_true(#events >= 3 and #events <= 5, result.err)
    for _, event in ipairs(events) do
      assert.equal("progress", event.event)
      assert.equal('q"\\x1b', event.title)
      assert.equal("bytes", event.unit)
    end
    assert.equal("running", events[1].state)
    assert.equal(0, events[1].done)
    local last = events[#events]
    assert.equal("done", last.state)
    assert.equal(1500, last.done)
    assert.equal(2000, last.total)
  end)

  it("shows nothing with --progress none and with --quiet", function()
    local code = 'local p <close> = ctz.ui.progress{title="t"} p:step()'
    assert.equal("", run(code, "--progress", "none").err)
    assert.equal("", run(code, "--quiet").err)
    assert.matches("^t: 1 in", run(code, "--quiet", "--progress", "plain").err)
  end)

  it("lets no title steer the terminal", function()
    local result = run 'ctz.ui.progress{title="a\\27[2J\\nb"}:done("\\27c")'
    assert.matches("^a\\x1b%[2J\\nb: done in .*, \\x1bc\n$", result.err)
  end)

  it("masks secrets in titles and messages", function()
    local result = run 'ctz.secret("hunter22") ctz.ui.progress{title="as hunter22"}:fail("hunter22?")'
    assert.matches("^as %*%*%*: failed after .*: %*%*%*%?\n$", result.err)
  end)

  it("does not hide that all tasks wait on each other", function()
    local result = run [[
      local p <close> = ctz.ui.progress{title="stuck"}
      p:step()
      ctz.channel():receive()]]
    assert.equal(1, result.code)
    assert.matches("all tasks wait on each other", result.err, 1, true)
  end)

  it("counts up to the largest amount and no further", function()
    local result = run [[
      local p <close> = ctz.ui.progress{title="much", unit="bytes"}
      p:set(math.maxinteger // 2)
      for _ = 1, 5 do p:step(math.maxinteger // 2) end]]
    assert.matches("^much: 18.4 EB in", result.err)
  end)

  it("is cheap to step a million times", function()
    local result = run('local p <close> = ctz.ui.progress{title="t", total=1000000} for _ = 1, 1000000 do p:step() end',
      "--timeout", "20")
    assert.equal(0, result.code, result.err)
    assert.matches("^t: 1000000 in", result.err)
  end)

  it("refuses what makes no sense", function()
    local p = ui.progress { title = "refuse" }
    local bad = {
      function() ui.progress() end,
      function() ui.progress {} end,
      function() ui.progress { title = 7 } end,
      function() ui.progress { title = "t", totl = 1 } end,
      function() ui.progress { title = "t", total = -1 } end,
      function() ui.progress { title = "t", total = 1.5 } end,
      function() ui.progress { title = "t", unit = "meters" } end,
      function() p:step(-1) end,
      function() p:step("x") end,
      function() p:set() end,
      function() p:set(1, -1) end,
      function() p:done(7) end,
      function() p.step({}) end,
    }
    for i, call in ipairs(bad) do
      local ok, err = pcall(call)
      assert.is_false(ok, "call " .. i)
      assert.equal("usage", err.kind, "call " .. i)
    end
  end)
end)

describe("ctz.ui.table", function()
  it("aligns columns, numbers to the right", function()
    assert.equal("web  12\ndb    7\n", ui.table { { "web", 12 }, { "db", 7 } })
    assert.equal("NAME  SIZE\nweb     12\ndb       7\n",
      ui.table({ { name = "web", size = 12 }, { name = "db", size = 7 } }, { columns = { "name", "size" } }))
  end)

  it("takes a header, a gap, and cuts lines to a width", function()
    assert.equal("A B\nx y\n", ui.table({ { "x", "y" } }, { header = { "A", "B" }, gap = 1 }))
    assert.equal("abc\n", ui.table({ { "abcdef", "g" } }, { width = 3 }))
  end)

  it("counts wide characters as two columns", function()
    assert.equal("日本  x\nab    y\n", ui.table { { "日本", "x" }, { "ab", "y" } })
  end)

  it("makes text harmless", function()
    assert.equal("a\\x1b[2J  \\n\n", ui.table { { "a\27[2J", "\n" } })
  end)

  it("takes short rows, missing fields, other values and no rows", function()
    assert.equal("", ui.table {})
    assert.equal("a\nb  true\n", ui.table { { "a" }, { "b", true } })
    assert.equal("X  Y\n1\n   2\n", ui.table({ { x = 1 }, { y = 2 } }, { columns = { "x", "y" } }))
    assert.equal("***\n", ui.table { { ctz.secret "abc" } })
  end)

  it("names the nearest option", function()
    local ok, err = pcall(ui.table, {}, { collumns = {} })
    assert.is_false(ok)
    assert.equal("usage", err.kind)
    assert.matches("did you mean 'columns'", err.message, 1, true)
    assert.is_false((pcall(ui.table, "rows")))
  end)
end)

describe("ctz.ui", function()
  it("writes sizes and durations for people", function()
    assert.equal("27.3 MB", ui.bytes(27300000))
    assert.equal("-1.0 kB", ui.bytes(-1000))
    assert.equal("3 min 5 s", ui.duration(185))
    assert.equal("ages", ui.duration(math.huge))
    for _, value in ipairs { "7", {}, true } do
      assert.is_false((pcall(ui.bytes, value)))
      assert.is_false((pcall(ui.duration, value)))
    end
    assert.is_false((pcall(ui.duration, -1)))
    assert.is_false((pcall(ui.duration, 0 / 0)))
  end)

  it("measures and cuts text by columns", function()
    assert.equal(4, ui.width("日本"))
    assert.equal("日本", ui.fit("日本語", 5))
    assert.equal("", ui.fit("日", 1))
    assert.equal("a\\nb", ui.clean("a\nb"))
  end)

  it("tells what the screen is", function()
    local screen = ui.screen()
    assert.is_true(screen.columns > 0 and screen.rows > 0)
    assert.equal("boolean", type(screen.terminal))
  end)
end)
