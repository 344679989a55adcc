local docdata = require "ctz.docdata"
local doctext = require "ctz.cmd.doctext"
local host = require "ctz.core.host"
local json = require "ctz.json"
local program = require "tests.lua.support.program"

local function doc(...)
  return program.run { "doc", ... }
end

describe("ctz doc", function()
  it("shows signature, text, parameters, errors, example and file:line of a function", function()
    local result = doc "ctz.timeout"
    assert.equal(0, result.code)
    assert.matches("^ctz%.timeout%(seconds, fn, %.%.%.%) %-> any", result.out)
    assert.matches("Calls fn(...) with a deadline", result.out, 1, true)
    assert.matches("It waits", result.out, 1, true)
    assert.matches("parameters:\n  seconds  ctz.seconds\n", result.out, 1, true)
    assert.matches("errors:\n  timeout  the deadline passed", result.out, 1, true)
    assert.matches("example:\n  local _, err", result.out, 1, true)
    assert.matches("host/tasklua%.c:%d+\n$", result.out)
  end)

  it("takes short names and methods", function()
    assert.equal(doc("ctz.hash.file").out, doc("hash.file").out)
    assert.equal(doc("ctz.task:await").out, doc("task:await").out)
    assert.matches("^ctz%.retry", doc("retry").out)
  end)

  it("lists the functions of a module, and all modules", function()
    assert.matches("ctz.hash.sha256(text)", doc("hash").out, 1, true)
    assert.matches("\n  ctz%.hash +SHA%-256", doc().out)
  end)

  it("lists what a word means when it means several", function()
    local result = doc "cancel"
    assert.matches("task:cancel", result.out, 1, true)
    assert.matches("scope:cancel", result.out, 1, true)
  end)

  it("says what an error kind means and who raises it", function()
    local result = doc "usage"
    assert.matches("^error kind usage: the call itself is wrong\n\nraised by:\n", result.out)
    assert.matches("task:await(opts?)", result.out, 1, true)
    assert.matches("^ctz%.timeout%(", doc("timeout").out)
  end)

  it("names the nearest", function()
    local result = doc "ctz.slep"
    assert.equal(1, result.code)
    assert.equal('ctz doc: nothing is called "ctz.slep"; did you mean ctz.sleep?\n', result.err)
    assert.matches("did you mean ctz.sleep?", doc("slepe").err, 1, true)
  end)

  it("prints the same as JSON", function()
    local data = json.decode(doc("ctz.sleep", "--json").out)
    assert.equal("ctz.sleep", data[1].name)
    assert.equal("seconds", data[1].params[1].name)
    assert.is_true(#json.decode(doc("--list", "--json").out) > 20)
  end)

  it("shows no line that is longer than a terminal, but signatures and examples", function()
    for _, page in ipairs(docdata.pages) do
      for line in doctext.page_text(page):gmatch "[^\n]+" do
        assert.is_true(#line <= 80 or not line:find "^%s%s%s%s", line)
      end
    end
  end)
end)

describe("the reference", function()
  it("names an error kind of the closed list at every @error", function()
    local kinds = {}
    for _, kind in ipairs(docdata.kinds) do
      kinds[kind.name] = true
    end
    for _, entry in ipairs(docdata.entries) do
      for _, err in ipairs(entry.errors or {}) do
        assert.is_true(kinds[err.kind], entry.name .. ": @error " .. err.kind)
      end
    end
  end)

  it("names a parameter of the signature at every @param", function()
    for _, entry in ipairs(docdata.entries) do
      for _, param in ipairs(entry.params or {}) do
        local name = param.name:match "^[%w_]+" or param.name
        assert.is_truthy((entry.arguments or ""):find(name, 1, true), entry.name .. ": @param " .. param.name)
      end
    end
  end)

  it("has an entry for every function that a module of ctz offers", function()
    local documented, missing = {}, {}
    for _, entry in ipairs(docdata.entries) do
      documented[entry.name] = true
    end
    for _, page in ipairs(docdata.pages) do
      local module = require(page.name)
      for name, value in pairs(type(module) == "table" and module or {}) do
        local full = page.name .. "." .. tostring(name)
        if type(value) == "function" and not documented[full] then
          missing[#missing + 1] = full
        end
      end
    end
    table.sort(missing)
    assert.same({}, missing)
  end)

  it("finds the entry of a function value, for help(f)", function()
    local ctz = require "ctz"
    assert.equal("ctz.sleep", doctext.of_value(ctz.sleep).name)
    assert.is_nil(doctext.of_value(print))
    assert.is_nil(doctext.of_value(nil))
  end)

  it("is part of the program", function()
    assert.is_string(host.version)
    assert.is_true(#docdata.entries > 20)
  end)
end)
