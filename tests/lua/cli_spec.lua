local host = require "ctz.core.host"
local json = require "ctz.json"
local program = require "tests.lua.support.program"

local function run(words, opts)
  return program.run(words, opts)
end

local function eval(code, words)
  local all = { "eval", code }
  table.move(words or {}, 1, #(words or {}), 3, all)
  return run(all)
end

describe("the command line", function()
  it("names the nearest command", function()
    local result = run { "rnu", "x.lua" }
    assert.equal(2, result.code)
    assert.equal('ctz: no command is called "rnu"; did you mean "run"?\n  hint: ctz help lists the commands\n',
      result.err)
  end)

  it("says how to run a file that stands where the command should", function()
    local folder = program.folder()
    program.write(folder .. "/x.lua", "")
    local result = run({ "x.lua" }, { folder = folder })
    program.remove(folder)
    assert.equal(2, result.code)
    assert.matches("hint: ctz run x.lua", result.err, 1, true)
  end)

  it("names the nearest option", function()
    local result = run { "run", "--timout", "5", "x" }
    assert.equal(2, result.code)
    assert.matches("unknown option --timout; did you mean --timeout?", result.err, 1, true)
  end)

  it("takes --flag=value and --flag value, before and after the recipe", function()
    local recipe = 'io.write(require"ctz".remaining() < 100 and "bounded" or "free", " ", #arg)'
    for _, words in ipairs { { "--timeout=99" }, { "--timeout", "99" }, { "-t", "99" } } do
      assert.equal("bounded 0", program.recipe(recipe, words).out)
      local before = { "run" }
      table.move(words, 1, #words, 2, before)
      before[#before + 1] = "-"
      assert.equal("bounded 0", run(before, { stdin = recipe }).out)
    end
  end)

  it("ends options at --", function()
    assert.equal("1 --json", program.recipe('io.write(#arg, " ", ...)', { "--", "--json" }).out)
  end)

  it("refuses a value for a flag, a flag without its value, and a wrong value", function()
    for words, text in pairs {
      ["--json=yes"] = "--json takes no value",
      ["--timeout"] = "--timeout needs a value",
      ["--timeout=soon"] = 'not a time: "soon"',
      ["--progress=dots"] = "--progress takes auto|tty|plain|json|none",
      ["--limit=json_depht=3"] = "did you mean json_depth?",
      ["--limit=json_depth=x"] = "not a size",
      ["--allow=red=x"] = "did you mean read?",
    } do
      local result = run { "run", "x.lua", words }
      assert.equal(2, result.code, words)
      assert.matches(text, result.err, 1, true)
    end
  end)

  it("counts the words of a command", function()
    assert.matches("one word too many: \"b\"", run({ "doc", "a", "b" }).err, 1, true)
    assert.matches("one word too many: \"b\"", run({ "doc", "a", "--", "b" }).err, 1, true)
    assert.matches("RECIPE|- is missing", run({ "run" }).err, 1, true)
  end)

  it("has a help page for every command and for itself", function()
    local commands = json.decode(run({ "help", "--json" }).out).commands
    assert.is_true(#commands >= 11)
    for _, command in ipairs(commands) do
      local long, short = run { command.name, "--help" }, run { command.name, "-h" }
      assert.equal(0, long.code, command.name)
      assert.equal(long.out, short.out)
      if command.name ~= "help" then
        assert.equal(long.out, run({ "help", command.name }).out)
      end
    end
    assert.equal(0, run({ "--help" }).code)
    assert.equal(2, run({ "help", "rnu" }).code)
  end)

  it("shows no line that is longer than a terminal", function()
    for _, name in ipairs { "run", "test", "check", "repl", "help" } do
      for line in run({ "help", name }).out:gmatch "[^\n]+" do
        assert.is_true(#line <= 80, line)
      end
    end
  end)

  it("prints its version", function()
    assert.equal("ctz " .. host.version .. "\n", run({ "version" }).out)
    assert.equal(run({ "version" }).out, run({ "--version" }).out)
    assert.equal(host.version, json.decode(run({ "version", "--json" }).out).version)
  end)

  it("is described in docs/reference/commands.md as the table says", function()
    local file = assert(io.open "docs/reference/commands.md")
    local text = file:read "a"
    file:close()
    assert.equal(run({ "help", "--format", "markdown" }).out, text)
  end)

  it("has man pages that groff reads without a complaint", function()
    for _, name in ipairs { "", "run", "test", "check" } do
      local page = run { "help", name ~= "" and name or "--format=man", "--format=man" }
      assert.equal(0, page.code)
      assert.matches('^%.TH CTZ', page.out)
      assert.is_nil(page.out:find "\n'")
    end
  end)
end)

describe("a recipe", function()
  it("gets its words as ..., arg and ctz.args, and its name as arg[0]", function()
    local recipe = 'print(arg[0], #arg, ...) assert(arg == require"ctz".args)'
    local result = program.recipe(recipe, { "a", "b=1", "--", "-c" })
    assert.equal("recipe.lua\t3\ta\tb=1\t-c\n", result.out, result.err)
  end)

  it("has globals of its own over _G", function()
    local result = program.recipe('x = 1 assert(x == 1 and rawget(_G, "x") == nil and print == _G.print)')
    assert.equal(0, result.code, result.err)
  end)

  it("finds modules beside it, from another folder too", function()
    local folder = program.folder()
    os.execute("mkdir -p " .. folder .. "/sub/lua_modules " .. folder .. "/sub/pack")
    program.write(folder .. "/sub/r.lua", 'print((require "near"), (require "pack"), (require "rock"))')
    program.write(folder .. "/sub/near.lua", "return 1")
    program.write(folder .. "/sub/pack/init.lua", "return 2")
    program.write(folder .. "/sub/lua_modules/rock.lua", "return 3")
    assert.equal("1\t2\t3\n", run({ "run", "sub/r.lua" }, { folder = folder }).out)
    assert.equal("1\t2\t3\n", run({ "run", folder .. "/sub/r.lua" }, { folder = "/" }).out)
    program.remove(folder)
  end)

  it("comes from stdin as -", function()
    local result = run({ "run", "-", "word" }, { stdin = 'print(..., arg[0]) error "oops"' })
    assert.equal("word\t-\n", result.out)
    assert.equal(1, result.code)
    assert.matches("oops\n  at <stdin>:1", result.err, 1, true)
  end)

  local loads = {
    ["a BOM"] = "\xEF\xBB\xBFprint 'ok'",
    ["CRLF lines"] = "print\r\n'ok'\r\n",
    ["a line for the kernel"] = "#!/usr/bin/env ctz\nprint 'ok'",
    ["BOM, kernel line and CRLF"] = "\xEF\xBB\xBF#!/x\r\nprint 'ok'\r\n",
    ["no final line end"] = "print 'ok' -- end",
    ["nothing but a comment after it"] = "print 'ok'\n--[[\n]]",
    ["a NUL inside a comment"] = "print 'ok' -- \0 \n",
  }
  for name, text in pairs(loads) do
    it("may have " .. name, function()
      local result = program.recipe(text)
      assert.equal("ok\n", result.out, result.err)
      assert.equal(0, result.code)
    end)
  end

  it("may be empty", function()
    assert.equal(0, program.recipe("").code)
  end)

  local refused = {
    ["a syntax error"] = {
      "local a = 1\nif a = 2 then end", "'then' expected near '='", "recipe.lua:2", "hint: a comparison is written ==",
    },
    ["a missing end"] = { "if true then\n", "'end' expected", "recipe.lua:2", 'hint: an "end" is missing' },
    ["another language's not"] = { "if x != 1 then end", "near '!'", "recipe.lua:1", "~=" },
    ["compiled Lua"] = { string.dump(function() end), "compiled Lua", "only source text is run" },
    ["bytes that are no text"] = { "\1\2\3\255", "does not load" },
    ["a million brackets"] = { ("("):rep(1000000), "does not load" },
  }
  for name, row in pairs(refused) do
    it("with " .. name .. " ends in one clear error and exit code 4", function()
      local result = program.recipe(row[1])
      assert.equal(4, result.code)
      assert.matches("^recipe.lua does not load: ", result.err)
      for i = 2, #row do
        assert.matches(row[i], result.err, 1, true)
      end
      assert.equal("", result.out)
    end)
  end

  it("that is not there ends with exit code 4 and the nearest name", function()
    local folder = program.folder()
    program.write(folder .. "/deploy.lua", "")
    local result = run({ "run", "deplyo.lua" }, { folder = folder })
    assert.equal(4, result.code)
    assert.equal("cannot read recipe deplyo.lua: no such file or directory\n  hint: did you mean deploy.lua?\n",
      result.err)
    assert.matches(folder .. "/deploy.lua?", run({ "run", folder .. "/deplyo.lua" }).err, 1, true)
    assert.equal(4, run({ "run", folder }).code)
    program.remove(folder)
  end)

  it("that requires a missing module says where it was looked for", function()
    local result = program.recipe('require "no.such"')
    assert.equal(1, result.code)
    assert.matches("module 'no.such' not found", result.err, 1, true)
    assert.matches("./no/such.lua", result.err, 1, true)
    assert.matches("at recipe.lua:1", result.err, 1, true)
  end)
end)

describe("the exit code", function()
  local ctz = 'local ctz = require "ctz" '
  local codes = {
    { "0 when all went well", "return 7", 0 },
    { "1 when the recipe failed", 'error "x"', 1 },
    { "3 for a gate", ctz .. 'ctz.fail("2 critical findings", {code=3})', 3 },
    { "1 for ctz.fail without a code", ctz .. 'ctz.fail "no"', 1 },
    { "69 when a service is not reachable", ctz .. 'error(ctz.error{kind="unreachable", message="no"})', 69 },
    { "70 for a bug of ctz", ctz .. 'error(ctz.error{kind="internal", message="no"})', 70 },
    { "1 for a timeout of the recipe's own", ctz .. "ctz.timeout(0.01, ctz.sleep, 9)", 1 },
    { "1 for a usage error of the recipe's own", ctz .. "ctz.sleep(-1)", 1 },
    { "that of os.exit", "pcall(os.exit, 9)", 9 },
    { "1 when all tasks wait on each other", ctz .. "ctz.channel():receive()", 1 },
  }
  for _, row in ipairs(codes) do
    it("is " .. row[1], function()
      assert.equal(row[3], program.recipe(row[2]).code)
    end)
  end

  it("is 124 when --timeout ends the run, also a loop that never waits", function()
    for _, recipe in ipairs { "require'ctz'.sleep(99)", "while true do end", "while true do pcall(error) end" } do
      local result = program.recipe(recipe, { "--timeout", "0.2" })
      assert.equal(124, result.code)
      assert.matches("the deadline of 0.2 s passed", result.err, 1, true)
    end
  end)

  it("is 130 after SIGINT and 143 after SIGTERM and SIGHUP, with clean-up", function()
    for signal, code in pairs { INT = 130, TERM = 143, HUP = 143 } do
      local result = program.recipe([[
        local ctz = require "ctz"
        ctz.defer(function() print "cleaned" end)
        io.popen("kill -]] .. signal .. [[ $PPID"):close()
        ctz.sleep(9)]])
      assert.equal(code, result.code, signal)
      assert.equal("cleaned\n", result.out)
    end
  end)

  it("is that of the signal while the recipe is awaited on stdin", function()
    for signal, code in pairs { INT = 130, TERM = 143 } do
      local folder = program.folder()
      -- The signal is sent when the program catches SIGINT (0x2 of SigCgt).
      local line = [[
        cd '%s'; mkfifo f; exec 3<>f; '%s' run - <&3 2>err & pid=$!
        until grep -q 'SigCgt:.*[2367abef]$' /proc/$pid/status; do sleep 0.01; done
        kill -%s $pid; wait $pid; echo $?]]
      local result = program.shell(line:format(folder, program.path, signal))
      program.remove(folder)
      assert.equal(code .. "\n", result.out)
    end
  end)

  it("is 70 for a mistake in a module of ctz itself", function()
    local result = program.recipe('local f = load("local x = nil + 1", "@ctz:broken.lua") f()')
    assert.equal(70, result.code)
    assert.matches("at ctz:broken.lua:1\n  hint: this is a bug of ctz", result.err, 1, true)
  end)

  it("is 141, without a word, when nobody reads stdout any more", function()
    local recipe = 'local ctz = require "ctz" ctz.defer(function() io.open("cleaned", "w"):close() end)\n'
      .. 'while true do pcall(print, ("x"):rep(999)) end'
    local folder = program.folder()
    program.write(folder .. "/r.lua", recipe)
    local line = "cd %s; { %s run r.lua; echo $? >code; } | head -1 >out"
    local result = program.shell(line:format(folder, program.path))
    assert.equal("", result.err)
    assert.equal("141\n", program.read(folder .. "/code"))
    assert.is_truthy(io.open(folder .. "/cleaned"))
    program.remove(folder)
  end)

  it("is 1 with an error when stdout is full or closed", function()
    for redirect, text in pairs { [">/dev/full"] = "No space left on device", [">&-"] = "Bad file descriptor" } do
      for _, words in ipairs { { "eval", "print(1)" }, { "eval", "1" }, { "help" }, { "version" } } do
        local result = run(words, { redirect = redirect })
        assert.equal(1, result.code, words[1] .. redirect)
        assert.matches("stdout: " .. text, result.err, 1, true)
      end
    end
  end)

  it("is 4 when stdin is closed and the recipe should come from there", function()
    assert.equal(4, run({ "run", "-" }, { redirect = "<&-" }).code)
  end)
end)

describe("an uncaught error", function()
  local values = {
    ["a text"] = { 'error "oops"', "oops\n  at recipe.lua:1: error \"oops\"\n" },
    ["a text without a place"] = { 'error("oops", 0)', "oops\n" },
    ["nil"] = { "error(nil)", "error(nil): the recipe failed and does not say why\n" },
    ["a number"] = { "error(12)", "12\n" },
    ["a boolean"] = { "error(false)", "false\n" },
    ["a value whose __tostring fails"] = {
      "error(setmetatable({}, {__tostring = function() error 'x' end}))",
      "an error value whose __tostring raises an error\n",
    },
    ["a value whose __tostring gives no text"] = {
      "error(setmetatable({}, {__tostring = function() return {} end}))",
      "an error value whose __tostring raises an error\n",
    },
    ["a value with __tostring"] = { "error(setmetatable({}, {__tostring = function() return 'me' end}))", "me\n" },
  }
  for name, row in pairs(values) do
    it("may be " .. name, function()
      local result = program.recipe(row[1])
      assert.equal(1, result.code)
      assert.equal(row[2], result.err)
    end)
  end

  it("may be a table or a function", function()
    for _, value in ipairs { "{code = 5}", "print", "coroutine.create(print)", "io.stdout" } do
      local result = program.recipe("error(" .. value .. ")")
      assert.equal(1, result.code)
      assert.is_true(#result.err > 5 and #result.err < 300)
    end
  end)

  it("of 100 MB is shown in part", function()
    local result = program.recipe 'error(("x"):rep(100 * 1000 * 1000), 0)'
    assert.equal(1, result.code)
    assert.is_true(#result.err < 9000)
    assert.matches("%(100000000 bytes%)", result.err)
  end)

  it("is the only thing on stderr, and stdout keeps what was printed", function()
    local result = program.recipe 'print "first" error "oops"'
    assert.equal("first\n", result.out)
    assert.equal('oops\n  at recipe.lua:1: print "first" error "oops"\n', result.err)
  end)

  it("has a traceback under --debug", function()
    local result = program.recipe("local function inner() error 'oops' end\ninner()", { "--debug" })
    assert.matches("^oops\n  at recipe.lua:1: ", result.err)
    assert.matches("stack traceback:.*recipe.lua:1: in .*recipe.lua:2: in main chunk", result.err)
    local structured = program.recipe("local function inner() require'ctz'.sleep(-1) end\ninner()", { "--debug" })
    assert.matches("stack traceback:.*recipe.lua:1: in .*recipe.lua:2: in main chunk", structured.err)
  end)

  it("is data on stdout under --json", function()
    local result = program.recipe("require'ctz'.sleep(-1)", { "--json" })
    local err = json.decode(result.out).error
    assert.equal("usage", err.kind)
    assert.equal("sleep", err.op)
    assert.equal("recipe.lua:1", err.at)
    assert.matches("expected 0 seconds", err.message)
    assert.matches("oops", json.decode(program.recipe("error 'oops'", { "--json" }).out).error.message)
    assert.equal("usage", json.decode(program.recipe("x x", { "--json" }).out).error.kind)
  end)
end)

describe("ctz run --json", function()
  it("prints what the recipe returns", function()
    assert.equal('{"a":[1,2],"b":null}\n',
      program.recipe('local j = require "ctz".json return {a = {1, 2}, b = j.null}', { "--json" }).out)
    assert.equal("null\n", program.recipe("", { "--json" }).out)
    assert.equal("9223372036854775807\n", program.recipe("return math.maxinteger, 2", { "--json" }).out)
  end)

  it("fails when that is no data", function()
    local result = program.recipe("return {f = print}", { "--json" })
    assert.equal(1, result.code)
    assert.matches("function", result.err)
  end)
end)

describe("ctz eval", function()
  it("prints the value of an expression", function()
    assert.equal("2\n", eval("1 + 1").out)
    assert.equal("a b\n", eval('"a b"').out)
    assert.equal("", eval("local x = 1").out)
    assert.equal("x\n", eval('print "x"').out)
    assert.equal("[1,2]\n", eval("{1, 2}", { "--json" }).out)
  end)

  it("has ctz and its words at hand", function()
    assert.equal("7\n", eval("ctz.spawn(function() return 7 end):await()").out)
    assert.equal("b\n", eval("select(2, ...)", { "a", "b" }).out)
  end)

  it("ends with exit code 4 when it is no Lua", function()
    local result = eval "1 +"
    assert.equal(4, result.code)
    assert.matches("<eval> does not load", result.err, 1, true)
  end)
end)

describe("--allow", function()
  it("denies what was not granted, and says how to grant it", function()
    local result = program.recipe("require'ctz'.hash.file('/etc/passwd')", { "--allow", "read=src" })
    assert.equal(1, result.code)
    assert.matches("hash.file: this run may not read /etc/passwd", result.err, 1, true)
    assert.matches("hint: --allow read=/etc/passwd grants it", result.err, 1, true)
  end)

  it("grants what was named", function()
    local result = program.recipe("print(#require'ctz'.hash.file('/etc/passwd'))", { "--allow=read=/etc" })
    assert.equal("64\n", result.out, result.err)
  end)
end)
