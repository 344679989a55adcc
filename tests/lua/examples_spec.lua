-- Every @example of the reference, run as a recipe in an empty folder.
local docdata = require "ctz.docdata"
local program = require "tests.lua.support.program"

describe("the example of", function()
  for _, entry in ipairs(docdata.entries) do
    if entry.example then
      it(entry.name .. " runs", function()
        local recipe = "local ctz = require 'ctz' " .. entry.example .. "\n"
        local result = program.recipe(recipe, { "--timeout", "30" }, { environment = "LC_ALL=C" })
        assert.equal(0, result.code, ("%s:%d\n%s"):format(entry.file, entry.line, result.err))
      end)
    end
  end
end)
