-- inspect_spec.lua: ctz.inspect.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local inspect, json = ctz.inspect, ctz.json

describe("inspect", function()
  it("shows scalars as Lua writes them", function()
    local shown = {
      [1] = "1", [1.5] = "1.5", [0.1] = "0.1", [1e100] = "1e+100", [math.mininteger] = "-9223372036854775808",
      [math.huge] = "math.huge", [-math.huge] = "-math.huge", [true] = "true", [json.null] = "null", text = '"text"',
    }
    for value, text in pairs(shown) do
      assert.equal(text, inspect(value))
    end
    assert.equal("2.0", inspect(2.0))
    assert.equal("0/0", inspect(0 / 0))
    assert.equal("nil", inspect(nil))
  end)

  it("escapes what a terminal would act on, and nothing else", function()
    assert.equal([["a\"b\\c\n\t\x1b[31m\x00\x7f é ☕ 😀"]], inspect 'a"b\\c\n\t\27[31m\0\x7f é ☕ 😀')
    assert.equal([["\u{9b}\u{202e}\u{2066}\u{feff}"]], inspect "\u{9b}\u{202e}\u{2066}\u{feff}")
    assert.equal([["\xff\xc3"]], inspect "\xff\xc3")
  end)

  it("puts a table on one line where it fits, keys in order", function()
    assert.equal("{}", inspect {})
    assert.equal('{ 1, 2, a = "x", b = { c = true } }', inspect { b = { c = true }, a = "x", 1, 2 })
    assert.equal("{ 1, nil, 3 }", inspect { 1, nil, 3 })
    assert.equal(
      '{ "l", [-1] = 1, [1.5] = 2, [9] = 3, ["a b"] = 4, ["end"] = 5, z = 6, [false] = 7, [true] = 8 }',
      inspect { "l", [1.5] = 2, [-1] = 1, [9] = 3, ["a b"] = 4, ["end"] = 5, z = 6, [true] = 8, [false] = 7 }
    )
  end)

  it("breaks lines where it does not fit", function()
    local value = { name = "web", ports = { { from = 8080, to = 80 }, { from = 8443, to = 443 } }, tags = json.array() }
    assert.equal([[
{
  name = "web",
  ports = {
    { from = 8080, to = 80 },
    { from = 8443, to = 443 }
  },
  tags = json.array {}
}]], inspect(value, { width = 30 }))
  end)

  it("never passes the width with lines that can be broken", function()
    local value = {}
    for i = 1, 50 do
      value["key" .. i] = { ("x"):rep(i), { i, i, i }, n = { i } }
    end
    for width = 20, 120 do
      for line in inspect(value, { width = width }):gmatch "[^\n]+" do
        if line:find("{ ", 1, true) then
          assert.is_true(#line <= width, line)
        end
      end
    end
  end)

  it("puts all on one line when the newline is empty", function()
    local value = { list = {} }
    for i = 1, 50 do
      value.list[i] = "item " .. i
    end
    assert.is_nil(inspect(value, { newline = "" }):find("\n", 1, true))
  end)

  it("names tables that are shown twice", function()
    local own = { 1 }
    own.own = own
    assert.equal("<1>{ 1, own = <table 1> }", inspect(own))
    local shared = { "s" }
    local text = inspect { a = shared, b = shared, c = { shared } }
    assert.equal('{ a = <1>{ "s" }, b = <table 1>, c = { <table 1> } }', text)
    local a, b = {}, {}
    a.b, b.a = b, a
    assert.equal("<1>{ b = { a = <table 1> } }", inspect(a))
  end)

  it("cuts at depth, number of items and length of strings", function()
    assert.equal("{ a = { b = {...} } }", inspect({ a = { b = { c = {} } } }, { depth = 2 }))
    assert.equal("{ 1, 2, ... (3 more) }", inspect({ 1, 2, 3, 4, 5 }, { items = 2 }))
    assert.equal("{ 1, a = 2, ... (1 more) }", inspect({ 1, a = 2, b = 3 }, { items = 2 }))
    assert.equal('"' .. ("x"):rep(200) .. '"... (5000 bytes)', inspect(("x"):rep(5000), { width = 20 }))
    assert.equal('{\n  "' .. ("é"):rep(20) .. '"... (10000 bytes)\n}', inspect({ ("é"):rep(5000) }, { width = 20 }))
    local shared = { 1 }
    assert.equal("{ { { {...} } }, { 1 } }", inspect({ { { shared } }, shared }, { depth = 3 }))
  end)

  it("shows other values by what they are", function()
    assert.matches("^<function tests/lua/inspect_spec%.lua:%d+>$", inspect(function() end))
    assert.equal("<function>", inspect(print))
    assert.equal("<thread>", inspect(coroutine.create(print)))
    assert.equal("{ [<table>] = 1 }", inspect { [{}] = 1 })
    assert.matches("^file %(", inspect(io.stdout))
  end)

  it("shows secrets as three stars, whatever their __tostring says", function()
    local file = io.tmpfile()
    file:close()
    debug.setmetatable(file, {
      __name = "ctz.secret",
      __tostring = function()
        return "hunter2"
      end,
    })
    assert.equal("{ password = *** }", inspect { password = file })
    debug.setmetatable(file, {
      __name = "broken",
      __tostring = function()
        error "no"
      end,
    })
    assert.equal("<broken>", inspect(file))
  end)

  it("shows the class of a table and calls none of its metamethods", function()
    local class = {
      __name = "Thing",
      __index = error, __pairs = error, __len = error, __tostring = error,
    }
    assert.equal("Thing { a = 1 }", inspect(setmetatable({ a = 1 }, class)))
    local _, err = ctz.try(json.decode, "[")
    assert.matches("^ctz%.error {\n  at = ", inspect(err))
  end)

  it("takes a large value within bounds", function()
    local value = {}
    for i = 1, 20000 do
      value[i] = { id = i, name = "n" .. i }
    end
    local text = inspect(value)
    assert.matches("%.%.%. %(19900 more%)\n}$", text)
    assert.is_true(#text < 10000)
    local deep = {}
    for _ = 1, 100000 do
      deep = { deep }
    end
    assert.equal("{ { { { { { { { {...} } } } } } } } }", inspect(deep))
  end)

  it("checks its options", function()
    local ok, err = pcall(inspect, 1, { dept = 1 })
    assert.is_false(ok)
    assert.equal("usage", err.kind)
    assert.equal("unknown option 'dept' to 'inspect'; did you mean 'depth'?", err.message)
    ok, err = pcall(inspect, 1, { width = "wide" })
    assert.is_false(ok)
    assert.equal("bad argument 'opts.width' to 'inspect': expected number, got string", err.message)
  end)
end)
