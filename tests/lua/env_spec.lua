-- env_spec.lua: ctz.env: the environment of the run.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"

describe("ctz.env", function()
  it("gives the value of a variable, nil when it is not set", function()
    assert.equal(os.getenv "PATH", ctz.env.PATH)
    assert.is_nil(ctz.env.NO_SUCH_NAME)
    assert.is_nil(ctz.env[""])
    assert.is_nil(ctz.env[1])
    assert.is_nil(ctz.env["A\0"])
  end)

  it("gives all of them to pairs", function()
    local result = ctz.process.run({ program.path, "eval", [[(function()
      local list = {}
      for name, value in pairs(ctz.env) do
        if name ~= "UV_THREADPOOL_SIZE" then list[#list + 1] = name .. "=" .. value end
      end
      table.sort(list)
      return table.concat(list, " ")
    end)()]] }, { env = { A = "1", B = "x=y", C = "" }, env_clear = true })
    assert.equal("A=1 B=x=y C=\n", result.stdout)
  end)

  it("cannot be changed", function()
    local ok, err = pcall(function()
      ctz.env.A = "1"
    end)
    assert.is_false(ok)
    assert.equal("unsupported", err.kind)
    assert.matches("env = {A = ...}", err.hint, 1, true)
    assert.matches("env_spec.lua:", tostring(err), 1, true)
  end)

  it("shows what --allow env grants", function()
    local result = program.run { "eval", "--allow", "env=HOME", "ctz.env.HOME" }
    assert.equal(0, result.code)
    result = program.run { "eval", "--allow", "env=HOME", "ctz.env.PATH" }
    assert.equal(1, result.code)
    assert.matches("--allow env=PATH grants it", result.err, 1, true)
    result = program.run { "eval", "--allow", "env=HOME",
      "(function() local n = 0 for name in pairs(ctz.env) do n = n + 1 end return n end)()" }
    assert.equal("1\n", result.out)
  end)
end)
