local json = require "ctz.json"
local program = require "tests.lua.support.program"

-- Checks a recipe given as text, with other files beside it.
local function check(text, files, words)
  local folder = program.folder()
  program.write(folder .. "/r.lua", text)
  for name, content in pairs(files or {}) do
    program.write(folder .. "/" .. name, content)
  end
  local all = { "check", "r.lua" }
  table.move(words or {}, 1, #(words or {}), 3, all)
  local result = program.run(all, { folder = folder })
  local pipe = io.popen("ls " .. folder)
  result.files = pipe:read "a"
  pipe:close()
  program.remove(folder)
  return result
end

local CTZ <const> = 'local ctz = require "ctz"\n'

describe("ctz check", function()
  it("is content with a good recipe and shows its parameters", function()
    local result = check(CTZ .. 'local p = ctz.params{{"image", "ref", help="what to run"}, {"n", "int", default=2}}\n'
      .. "print(p.image, p.n, ctz.hash.sha256 'x')")
    assert.equal(0, result.code, result.out)
    assert.equal("r.lua: parameters:\n  image=ref  what to run (required)\n  n=int      (default 2)\n", result.out)
  end)

  local findings = {
    { "an undeclared global", "pritn(1)", 'r.lua:1:1: undeclared global pritn; did you mean "print"?' },
    { "a field that Lua's libraries do not have", "string.fromat('x')", "r.lua:1:1: string has no field fromat" },
    { "ctz used without a require", "ctz.sleep(1)", 'begin with local ctz = require "ctz"' },
    { "an unknown field of ctz", CTZ .. "ctz.slep(1)", 'r.lua:2:5: ctz has no field slep; did you mean "sleep"?' },
    { "an unknown function of a module", CTZ .. "local h = ctz.hash\nreturn h.sha265('x')",
      'r.lua:3:10: ctz.hash has no field sha265; did you mean "sha256"?' },
    { "one behind a chain of locals", CTZ .. "local a = ctz local b = a.hash return b.nope",
      "r.lua:2:41: ctz.hash has no field nope" },
    { "one behind a direct require", "return require('ctz.hash').sha1024",
      "r.lua:1:28: ctz.hash has no field sha1024" },
    { "an unknown module of ctz", "require 'ctz.hsah'", 'ctz has no module ctz.hsah; did you mean "hash"?' },
    { "a module that is not there", "require 'my.module'", "r.lua:1:1: module my.module is not found" },
    { "work before ctz.params", CTZ .. "print 'hello'\nctz.params{}", "r.lua:2:1: print works before ctz.params" },
    { "a mistake in the declaration", CTZ .. 'ctz.params{{"n", "itn"}}',
      'r.lua:2:1: parameter n: no type is called "itn"' },
    { "an error before ctz.params", CTZ .. "local x = nil + 1\nctz.params{}",
      "r.lua:2:1: fails before ctz.params: attempt to perform arithmetic on a nil value" },
  }
  for _, row in ipairs(findings) do
    it("finds " .. row[1], function()
      local result = check(row[2])
      assert.equal(1, result.code)
      assert.matches(row[3], result.out, 1, true)
    end)
  end

  local fine = {
    { "a global that the recipe itself defines", "function helper() return 1 end\nx = helper()\nprint(x)" },
    { "a module beside the recipe", "return require 'near'", { ["near.lua"] = "return {}" } },
    { "a local that is assigned later", CTZ .. "local c = ctz\nc = {}\nreturn c.whatever" },
    { "a local that hides ctz", CTZ .. "do local ctz = {x = 1} print(ctz.x) end" },
    { "methods of what a call gives", CTZ .. "return ctz.channel(1):nonsense()" },
    { "the words of the recipe", "print(arg[1], ...)" },
    { "a failure of a recipe that declares nothing", "error 'usage: ctz run r.lua FILE'" },
  }
  for _, row in ipairs(fine) do
    it("has nothing to say about " .. row[1], function()
      local result = check(row[2], row[3])
      assert.equal("r.lua: ok\n", result.out)
      assert.equal(0, result.code)
    end)
  end

  it("ends with exit code 4 for a recipe that does not load", function()
    local result = check "if x = 1 then end"
    assert.equal(4, result.code)
    assert.matches("r.lua:1:1: 'then' expected near '='\n  hint: a comparison is written ==", result.out, 1, true)
    assert.equal(4, program.run({ "check", "/nowhere.lua" }).code)
  end)

  it("touches nothing: every door is closed, Lua's own too", function()
    for _, work in ipairs {
      'io.open("made", "w")', 'os.execute "touch made"', 'io.popen "touch made"', 'os.rename("r.lua", "made")',
      'ctz.spawn(function() io.open("made", "w") end)', 'pcall(io.open, "made", "w")', 'io.output "made"',
      'coroutine.wrap(function() io.open("made", "w") end)()', "os.remove 'r.lua'", "os.exit(9)",
      'require("ctz").hash.file "r.lua"', 'require "near"',
    } do
      local near = 'io.open("made", "w") return 1'
      local result = check(CTZ .. work .. "\nctz.params{}\nio.open('made', 'w')", { ["near.lua"] = near })
      assert.equal("near.lua\nr.lua\n", result.files, work)
      assert.is_true(result.code <= 1, work)
    end
  end)

  it("ends a recipe that loops before ctz.params", function()
    local result = check(CTZ .. "while true do end ctz.params{}")
    assert.equal(1, result.code)
    assert.matches("the deadline of 5 s passed", result.out, 1, true)
  end)

  it("looks at several recipes, each with its own modules", function()
    local folder = program.folder()
    for _, name in ipairs { "a", "b" } do
      os.execute(("mkdir %s/%s"):format(folder, name))
      program.write(("%s/%s/own.lua"):format(folder, name), ("return %q"):format(name))
      program.write(("%s/%s/r.lua"):format(folder, name), ('assert(require "own" == "%s")\n'):format(name)
        .. 'require "ctz".params{{"of_' .. name .. '"}}')
    end
    local result = program.run({ "check", "a/r.lua", "b/r.lua" }, { folder = folder })
    program.remove(folder)
    assert.equal(0, result.code, result.out)
    assert.matches("a/r.lua: parameters:\n  of_a=string", result.out, 1, true)
    assert.matches("b/r.lua: parameters:\n  of_b=string", result.out, 1, true)
  end)

  it("prints the same as JSON", function()
    local data = json.decode(check(CTZ .. "ctz.slep(1)", nil, { "--json" }).out)
    assert.equal("r.lua", data[1].recipe)
    assert.is_false(data[1].ok)
    assert.same({ line = 2, column = 5, kind = "field", message = 'ctz has no field slep; did you mean "sleep"?' },
      data[1].findings[1])
  end)

  it("names the package when luacheck is not there", function()
    local folder = program.folder()
    program.write(folder .. "/luacheck.lua", 'require "not.there"')
    local result = program.run({ "check", "x.lua" }, { environment = ("LUA_PATH_5_4='%s/?.lua'"):format(folder) })
    program.remove(folder)
    assert.equal(69, result.code)
    assert.equal("ctz check: luacheck is not installed; install the package lua-check\n", result.err)
  end)

  it("does not check stdin", function()
    assert.equal(2, program.run({ "check", "-" }, { stdin = "x" }).code)
  end)

  it("is content with every recipe of ctz", function()
    local pipe = io.popen "ls recipes/*.lua 2>/dev/null"
    for path in pipe:lines() do
      local result = program.run { "check", path }
      assert.equal(0, result.code, result.out)
    end
    pipe:close()
  end)
end)
