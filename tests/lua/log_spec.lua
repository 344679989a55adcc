-- log_spec.lua: ctz.log.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local json = require "ctz.json"
local program = require "tests.lua.support.program"

local function run(code, ...)
  local result = program.recipe('local ctz = require "ctz"\n' .. code, { ... })
  assert.equal(0, result.code, result.err)
  assert.equal("", result.out)
  return result.err
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch("([^\n]*)\n") do
    lines[#lines + 1] = line
  end
  return lines
end

describe("ctz.log", function()
  it("writes time, level, message and fields by name to stderr", function()
    local err = run 'ctz.log.info("pulled", {layers=7, image="web:1.2", cached=true})'
    assert.matches("^%d%d:%d%d:%d%d%.%d%d%d info  pulled  cached=true image=web:1%.2 layers=7\n$", err)
  end)

  it("names the task when it is not the recipe itself", function()
    local err = run 'ctz.spawn(function() ctz.log.warn("careful") end):await()'
    assert.matches("warn  careful  task=%d+\n$", err)
  end)

  it("quotes a value that holds spaces, quotes or nothing", function()
    local err = run [[ctz.log.info("m", {a="x y", b='say "hi"', c="", d="k=v"})]]
    assert.matches([[a="x y" b="say \"hi\"" c="" d="k=v"]], err, 1, true)
  end)

  it("shows debug lines with --debug only", function()
    assert.equal("", run 'ctz.log.debug("inner")')
    assert.matches("debug inner", run('ctz.log.debug("inner")', "--debug"))
  end)

  it("shows warnings and errors with --quiet, and nothing else", function()
    local err = run('ctz.log.debug "a" ctz.log.info "b" ctz.log.warn "c" ctz.log.error "d"', "--quiet")
    local lines = lines_of(err)
    assert.equal(2, #lines)
    assert.matches("warn  c$", lines[1])
    assert.matches("error d$", lines[2])
  end)

  it("writes JSON objects with --progress json", function()
    local err = run([[
      ctz.log.info("one", {n=1, x=1.5, s="a\"b\27", yes=true, list={1, 2}, big=math.maxinteger, bad=0/0})
      ctz.log.error("two\nlines")]], "--progress", "json")
    local lines = lines_of(err)
    assert.equal(2, #lines)
    local one, two = json.decode(lines[1]), json.decode(lines[2])
    assert.matches("^%d+%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$", one.time)
    assert.equal("info", one.level)
    assert.equal(1, one.task)
    assert.equal("one", one.message)
    assert.equal(1, one.fields.n)
    assert.equal(1.5, one.fields.x)
    assert.equal('a"b\27', one.fields.s)
    assert.equal(true, one.fields.yes)
    assert.equal(math.maxinteger, one.fields.big)
    assert.equal("string", type(one.fields.bad))
    assert.equal("two\nlines", two.message)
    assert.is_nil(two.fields)
  end)

  it("lets no message look like another line, and none steer the terminal", function()
    local err = run [[ctz.log.info("first\n00:00:00.000 error forged\27[2J", {["k\n"]="v\27"})]]
    local lines = lines_of(err)
    assert.equal(2, #lines)
    assert.matches("^    00:00:00.000 error forged\\x1b%[2J  k\\n=\"v\\u001b\"$", lines[2])
    assert.not_matches("\27", err, 1, true)
  end)

  it("masks secrets, also escaped ones", function()
    local secret = [[
      ctz.secret('pass"word\\1')
      ctz.log.info('is pass"word\\1', {p='pass"word\\1', s=ctz.secret("xyzzy1")})]]
    for _, mode in ipairs { "plain", "json" } do
      local err = run(secret, "--progress", mode)
      assert.not_matches("pass", err, 1, true)
      assert.not_matches("xyzzy", err, 1, true)
      assert.matches("is ***", err, 1, true)
    end
    assert.equal("***", json.decode(lines_of(run(secret, "--progress", "json"))[1]).fields.p)
  end)

  it("takes tables and errors as values", function()
    local err = run [[
      local _, failure = ctz.try(error, ctz.error{kind="io", message="disk is full", hint="free some"})
      ctz.log.error("cannot write", {cause=failure, list={1, {2}}})]]
    assert.matches('cause="disk is full', err, 1, true)
    assert.matches('list="{ 1, { 2 } }"', err, 1, true)
  end)

  it("cuts a message that is longer than a log line may be", function()
    local err = run('ctz.log.info(("x"):rep(5000))', "--limit", "log_line_bytes=1000")
    assert.matches("x ... (5000 bytes)\n", err, 1, true)
    assert.is_true(#err < 1100)
  end)

  it("colours by --color, and never without a terminal", function()
    assert.not_matches("\27", run 'ctz.log.warn "x"', 1, true)
    assert.matches("\27[33mwarn", run('ctz.log.warn "x"', "--color", "always"), 1, true)
  end)

  it("refuses messages that are no text and fields that are no table", function()
    for _, call in ipairs { { nil }, { 7 }, { {} }, { "m", "field" }, { "m", 7 } } do
      local ok, err = pcall(ctz.log.info, call[1], call[2])
      assert.is_false(ok)
      assert.equal("usage", err.kind)
    end
  end)

  it("survives fields with strange keys", function()
    local err = run 'ctz.log.info("m", {[1]="a", [2]="b", [true]="c", [1.5]="d"})'
    assert.matches("1=a 1.5=d 2=b true=c", err, 1, true)
  end)
end)
