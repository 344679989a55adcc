local program = require "tests.lua.support.program"

local function params(declarations, words, opts)
  return program.recipe(
    'local ctz = require "ctz"\nlocal p = ctz.params ' .. declarations .. "\n"
      .. [[
        local names = {}
        for name in pairs(p) do names[#names + 1] = name end
        table.sort(names)
        for _, name in ipairs(names) do
          local value = p[name]
          local shown = type(value) == "table" and "{" .. table.concat(value, ";") .. "}" or value
          print(name, math.type(value) or type(value), shown)
        end
        print("args", #ctz.args, table.concat(ctz.args, " "))
      ]], words, opts)
end

local function value_of(declarations, words)
  local result = params(declarations, words)
  assert.equal(0, result.code, result.err)
  return result.out:match "^[^\t]*\t([^\n]*)"
end

describe("ctz.params", function()
  local types = {
    { "string", "a b", "string\ta b" },
    { "int", "-42", "integer\t-42" },
    { "int", "+7", "integer\t7" },
    { "int", "9223372036854775807", "integer\t9223372036854775807" },
    { "number", "1.5", "float\t1.5" },
    { "number", "1e3", "float\t1000.0" },
    { "bool", "yes", "boolean\ttrue" },
    { "bool", "off", "boolean\tfalse" },
    { "path", "a/b.txt", "string\ta/b.txt" },
    { "ref", "alpine", "string\talpine" },
    { "ref", "host.example:5000/a/b__c:v1", "string\thost.example:5000/a/b__c:v1" },
    { "ref", "localhost/x@sha256:" .. ("ab"):rep(32), "string\tlocalhost/x@sha256:" .. ("ab"):rep(32) },
    { "ref", "oci:out/site:1.0", "string\toci:out/site:1.0" },
    { "list", "a,b", "table\t{a;b}" },
    { "seconds", "1h30m", "float\t5400.0" },
    { "seconds", "500ms", "float\t0.5" },
    { "seconds", "90", "float\t90.0" },
    { "bytes", "64m", "integer\t67108864" },
    { "bytes", "1.5k", "integer\t1536" },
  }
  for _, row in ipairs(types) do
    it(("reads %s=%s"):format(row[1], row[2]), function()
      assert.equal(row[3], value_of(('{{"x", "%s"}}'):format(row[1]), { "x=" .. row[2] }))
    end)
  end

  local wrong = {
    { "int", "1.5" }, { "int", "0x10" }, { "int", "9223372036854775808" }, { "int", "" },
    { "number", "0x1p4" }, { "number", "1e999" }, { "number", "nan" }, { "number", "inf" },
    { "bool", "maybe" }, { "path", "" },
    { "ref", "a/Upper" }, { "ref", "a b" }, { "ref", "a//b" }, { "ref", "a@sha256:12" }, { "ref", "x:" },
    { "ref", "oci:" }, { "ref", "a/b:" .. ("t"):rep(129) },
    { "seconds", "5y" }, { "seconds", "30m1h" }, { "seconds", "-1" }, { "seconds", "1e3" }, { "seconds", "" },
    { "bytes", "12q" }, { "bytes", "-1" },
  }
  for _, row in ipairs(wrong) do
    it(("refuses %s=%s with exit code 2"):format(row[1], row[2]:sub(1, 20)), function()
      local result = params(('{{"x", "%s"}}'):format(row[1]), { "x=" .. row[2] })
      assert.equal(2, result.code)
      assert.matches("^params: x: expected ", result.err)
      assert.equal("", result.out)
    end)
  end

  it("takes an enum's choices only and names the nearest", function()
    local declaration = '{{"mode", "enum", choices={"dev", "prod"}}}'
    assert.equal("string\tprod", value_of(declaration, { "mode=prod" }))
    local result = params(declaration, { "mode=prd" })
    assert.equal(2, result.code)
    assert.matches('one of dev, prod (did you mean "prod"?), got "prd"', result.err, 1, true)
  end)

  it("reads a list of a type, also when it is given several times", function()
    local result = params('{{"ports", "list", of="int"}}', { "ports=80,81", "ports=443" })
    assert.matches("{80;81;443}", result.out, 1, true)
    assert.equal(2, params('{{"ports", "list", of="int"}}', { "ports=80,x" }).code)
  end)

  it("keeps min and max", function()
    local declaration = '{{"n", "int", min=1, max=3}}'
    assert.equal("integer\t3", value_of(declaration, { "n=3" }))
    assert.matches("expected 1 to 3, got 4", params(declaration, { "n=4" }).err, 1, true)
  end)

  it("uses defaults, as values or as written on the command line", function()
    assert.equal("integer\t2", value_of('{{"n", "int", default=2}}'))
    assert.equal("float\t120.0", value_of('{{"n", "seconds", default="2m"}}'))
    assert.equal("boolean\tfalse", value_of('{{"n", "bool", default=false}}'))
    assert.equal("table\t{a}", value_of('{{"n", "list", default={"a"}}}'))
  end)

  it("reports all problems at once", function()
    local result = params('{{"image", "ref"}, {"replicas", "int"}, {"wait", "seconds", default=1}}',
      { "replicas=two", "imag=x", "wait=1", "wait=2" })
    assert.equal(2, result.code)
    assert.equal([[
params: 4 problems with the parameters:
    image: is required
    replicas: expected a whole number, got "two"
    wait: is given twice
    imag: no parameter has this name; did you mean "image"?
  hint: ctz run recipe.lua --help shows the parameters
]], result.err)
  end)

  it("leaves words that are no parameter, and all after --, in ctz.args", function()
    local result = params('{{"x", "int"}}', { "a", "x=1", "http://h/?q=1", "--", "x=2", "--flag" })
    assert.equal(0, result.code, result.err)
    assert.matches("args\t4\ta http://h/%?q=1 x=2 %-%-flag", result.out)
  end)

  it("leaves name=value words alone in a recipe that declares nothing", function()
    local result = program.recipe('print(#arg, ...) assert(arg == require("ctz").args)', { "a=1", "b" })
    assert.equal("2\ta=1\tb\n", result.out, result.err)
  end)

  it("raises usage for a name that was not declared", function()
    local result = program.recipe('local p = require "ctz".params{{"image", default="x"}}\nprint(p.imge)')
    assert.equal(1, result.code)
    assert.matches('no parameter is called "imge"; did you mean "image"?', result.err, 1, true)
    assert.matches("recipe.lua:2", result.err, 1, true)
  end)

  it("gives nil for an optional one", function()
    assert.equal(0, program.recipe('assert(require"ctz".params{{"x", optional=true}}.x == nil)').code)
  end)

  local mistakes = {
    { '{{"x", "itn"}}', 'no type is called "itn"; did you mean "int"?' },
    { '{{"x", hlep="y"}}', "unknown field 'hlep'; did you mean \"help\"?" },
    { '{{"x"}, {"x"}}', "parameter x is declared twice" },
    { '{{"x", "enum"}}', "an enum needs choices" },
    { "{{}}", "parameter 1: expected" },
    { "7", "expected table, got number" },
  }
  for _, row in ipairs(mistakes) do
    it("finds the mistake in the declaration " .. row[1], function()
      local result = program.recipe("require'ctz'.params(" .. row[1] .. ")")
      assert.equal(1, result.code)
      assert.matches(row[2], result.err, 1, true)
      assert.matches("recipe.lua:1", result.err, 1, true)
    end)
  end

  it("refuses a wrong default as a problem of that parameter", function()
    local result = params('{{"n", "int", default="many"}}')
    assert.matches('n: expected a whole number, got "many"', result.err, 1, true)
  end)

  it("prints its problems as data under --json", function()
    local result = params('{{"n", "int"}}', { "n=x", "--json" })
    assert.equal(2, result.code)
    local data = require("cjson").decode(result.out)
    assert.equal("usage", data.error.kind)
    assert.equal("params", data.error.op)
  end)
end)

describe("a secret parameter", function()
  local recipe = [[
    local p = require"ctz".params{{"token", "secret"}}
    assert(p.token:reveal() == "s3cr3t-value")
    print(p.token)]]

  it("comes from a file, the environment or stdin, and never prints", function()
    local folder = program.folder()
    program.write(folder .. "/token", "s3cr3t-value\n")
    local from_file = program.recipe(recipe, { "token=@" .. folder .. "/token" })
    local from_env = program.recipe(recipe, { "token=env:MY_TOKEN" }, { environment = "MY_TOKEN=s3cr3t-value" })
    local from_stdin = program.recipe(recipe, { "token=@-" }, { stdin = "s3cr3t-value" })
    program.remove(folder)
    for _, result in ipairs { from_file, from_env, from_stdin } do
      assert.equal(0, result.code, result.err)
      assert.equal("***\n", result.out)
    end
  end)

  it("is refused when it is written on the command line, and not repeated", function()
    local result = program.recipe(recipe, { "token=s3cr3t-value" })
    assert.equal(2, result.code)
    assert.matches("a secret is not written on the command line", result.err, 1, true)
    assert.is_nil((result.err .. result.out):find("s3cr3t-value", 1, true))
  end)

  it("may be read under --allow when the user named its source, not when the recipe did", function()
    local folder = program.folder()
    program.write(folder .. "/token", "s3cr3t-value")
    local granted = { "--allow", "read=/nowhere", "token=@" .. folder .. "/token" }
    assert.equal(0, program.recipe(recipe, granted).code)
    granted[3] = "token=env:MY_TOKEN"
    assert.equal(0, program.recipe(recipe, granted, { environment = "MY_TOKEN=s3cr3t-value" }).code)
    local own = ('require"ctz".params{{"token", "secret", default="@%s/token"}}'):format(folder)
    local denied = program.recipe(own, { "--allow", "read=/nowhere" })
    assert.equal(1, denied.code)
    assert.matches("this run may not read", denied.err, 1, true)
    program.remove(folder)
  end)

  it("is refused when its source is not there or empty", function()
    assert.matches("NOT_SET_XY is not set", program.recipe(recipe, { "token=env:NOT_SET_XY" }).err, 1, true)
    assert.matches("No such file", program.recipe(recipe, { "token=@/nowhere/x" }).err, 1, true)
    assert.matches("the secret is empty", program.recipe(recipe, { "token=@-" }).err, 1, true)
  end)
end)

describe("ctz run RECIPE --help", function()
  it("shows the head of the recipe and its parameters and runs nothing", function()
    local result = program.recipe([[
-- Deploys a web site.
local ctz = require "ctz"
local p = ctz.params{ {"image", "ref", help="what to run"}, {"n", "int", default=2} }
io.open("touched", "w")
print "running"]], { "--help" })
    assert.equal(0, result.code, result.err)
    assert.matches("^Deploys a web site%.\n\nusage: ctz run", result.out)
    assert.matches("image=ref  what to run (required)", result.out, 1, true)
    assert.matches("n=int      (default 2)", result.out, 1, true)
    assert.is_nil(result.out:find "running")
  end)

  it("closes every door before ctz.params and names the line of the work", function()
    local folder = program.folder()
    program.write(folder .. "/r.lua", 'local ctz = require "ctz"\nos.execute("touch made")\nctz.params{}')
    local result = program.run({ "run", "r.lua", "-h" }, { folder = folder })
    assert.equal(0, result.code, result.err)
    assert.matches("os.execute at r.lua:2", result.out, 1, true)
    assert.is_nil(io.open(folder .. "/made"))
    program.remove(folder)
  end)

  it("says so when there are none", function()
    assert.matches("declares no parameters", program.recipe("return 1", { "--help" }).out)
  end)
end)
