-- ignore_spec.lua: ctz.ignore. The tables of moby are in tests/c/ignore_test.c.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

describe("ctz.ignore", function()
  it("takes the text of a file or its lines", function()
    local text = "# comment\n*.log\n!keep.log\n"
    local lines = { "# comment", "*.log", "!keep.log" }
    for _, patterns in ipairs { text, lines } do
      local ignore = ctz.ignore.compile(patterns)
      assert.is_true(ignore:match "a.log")
      assert.is_false(ignore:match "keep.log")
      assert.is_false(ignore:match "dir/a.log")
      assert.is_false(ignore:match "# comment")
    end
  end)

  it("tells the file and the line of what is no pattern", function()
    local _, err = ctz.try(ctz.ignore.compile, "a\n[b\n", ".dockerignore")
    assert.equal("usage", err.kind)
    assert.equal('.dockerignore:2: "[b" is not a pattern: a [class] or a backslash is malformed', err.message)
  end)

  it("says what it takes", function()
    for _, wrong in ipairs { 1, true, { 1 }, { "a\nb" } } do
      local _, err = ctz.try(ctz.ignore.compile, wrong)
      assert.equal("usage", err.kind)
    end
    local _, err = ctz.try(function()
      return ctz.ignore.compile(""):match(nil)
    end)
    assert.equal("usage", err.kind)
    assert.is_false(ctz.ignore.compile({}):match "anything")
  end)
end)
