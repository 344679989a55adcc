-- secret_spec.lua: ctz.secret, and what leaves the program once a value is one.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local program = require "tests.lua.support.program"

-- Runs code in a ctz of its own; returns stdout and stderr apart.
local function run(code)
  local result = program.recipe('local ctz = require "ctz"\n' .. code)
  return result.out, result.err
end

describe("ctz.secret", function()
  local token = ctz.secret("tok-en-0123456789")

  it("shows *** in tostring, .. and %s", function()
    assert.equal("***", tostring(token))
    assert.equal("Bearer ***", "Bearer " .. token)
    assert.equal("***!", token .. "!")
    assert.equal("7***", 7 .. token)
    assert.equal("******", token .. token)
    assert.equal("[***]", ("[%s]"):format(token))
  end)

  it("gives the text to reveal only", function()
    assert.equal("tok-en-0123456789", token:reveal())
    assert.is_nil(token.text)
    assert.equal("protected", getmetatable(token))
  end)

  it("hides its length", function()
    local ok, err = pcall(function() return #token end)
    assert.is_false(ok)
    assert.equal("usage", err.kind)
    assert.matches("reveal", err.message, 1, true)
  end)

  it("is equal to another secret of the same text, and to nothing else", function()
    assert.is_true(token == ctz.secret("tok-en-0123456789"))
    assert.is_false(token == ctz.secret("tok-en-012345678"))
    assert.is_false(token == "tok-en-0123456789")
    assert.is_true(token:equals("tok-en-0123456789"))
    assert.is_true(token:equals(ctz.secret("tok-en-0123456789")))
    assert.is_false(token:equals("tok-en-0123456780"))
    assert.is_false(token:equals(""))
  end)

  it("takes a secret as it is", function()
    assert.equal(token, ctz.secret(token))
  end)

  it("takes any bytes, also none", function()
    for _, text in ipairs { "", "a", "\0\0\0\0", ("x"):rep(100000), "\xff\xfe" } do
      assert.equal(text, ctz.secret(text):reveal())
    end
  end)

  it("refuses what is no text", function()
    for _, value in ipairs { 12345, {}, true } do
      local ok, err = pcall(ctz.secret, value)
      assert.is_false(ok)
      assert.equal("usage", err.kind)
    end
    assert.has_error(function() return token .. {} end)
    assert.has_error(function() return token < token end)
    assert.has_error(function() return token:equals(nil) end)
  end)

  it("is masked on stdout and stderr, in print, io.write and errors", function()
    local out, err = run [[
      local s = ctz.secret("hunter22")
      print("hunter22", s, s:reveal())
      io.write("io: hunter22\n")
      error("cannot log in with hunter22")]]
    assert.equal("***\t***\t***\nio: ***\n", out)
    assert.matches("cannot log in with ***", err, 1, true)
    assert.not_matches("hunter22", err .. out, 1, true)
  end)

  it("shows *** when it is raised itself", function()
    local _, err = run 'error(ctz.secret("hunter22"))'
    assert.matches("***", err, 1, true)
    assert.not_matches("hunter22", err, 1, true)
  end)

  it("is masked when it is written in pieces with waits between them", function()
    local out = run [[
      ctz.secret("hunter22")
      for c in ("my hunter22, your hunter2"):gmatch(".") do
        io.write(c)
        ctz.sleep(0.002)
      end]]
    assert.equal("my hun***, your hunter2", out)
  end)

  it("is masked when it stands across the end of a buffer", function()
    local out = run [[
      ctz.secret("hunter22")
      for pad = 65530, 65540 do
        io.write(("."):rep(pad), "hunter22\n")
      end]]
    local lines = 0
    for line in out:gmatch("[^\n]+") do
      lines = lines + 1
      assert.equal("***", (line:gsub("^%.+", "")))
    end
    assert.equal(11, lines)
  end)

  it("is masked in what was printed before it became known and has not left yet", function()
    local out = run 'io.write("hunter22\\n") ctz.secret("hunter22")'
    assert.equal("***\n", out)
  end)

  it("keeps the order of stdout and stderr", function()
    local recipe = program.write(os.tmpname(), [[
      require("ctz").secret("hunter22")
      print "one"
      io.stderr:write "two\n"
      print "three"]])
    local result = program.shell(("'%s' run %s 2>&1"):format(program.path, recipe))
    os.remove(recipe)
    assert.equal("one\ntwo\nthree\n", result.out)
  end)

  it("never shows in random output of five hundred secrets", function()
    local out = run [[
      math.randomseed(7)
      local values = {}
      for i = 1, 500 do
        values[i] = ("%08x%04x"):format(math.random(0xffffffff), i)
        ctz.secret(values[i])
      end
      for i = 1, 5000 do
        local value = values[math.random(500)]
        local cut = math.random(#value)
        io.write(value:sub(1, cut))
        if i % 500 == 0 then ctz.sleep(0.001) end
        io.write(value:sub(cut + 1), i % 7 == 0 and "\n" or " ")
      end]]
    for word in out:gmatch("%S+") do
      assert.matches("^%x?%x?%x?%*%*%*$", word)
    end
  end)
end)
