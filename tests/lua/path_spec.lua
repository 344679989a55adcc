-- path_spec.lua: ctz.path: paths as texts.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local path = ctz.path

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

describe("ctz.path", function()
  it("joins parts with one slash", function()
    for _, case in ipairs {
      { "a/b", "a", "b" }, { "a/b", "a/", "b" }, { "a/b", "a", "/b" }, { "a/b/c", "a//", "//b/", "c" },
      { "/a", "/", "a" }, { "/a", "/", "/a" }, { "a", "", "a", "" }, { "a", "a" }, { "", "" }, { "" }, { "/", "/" },
      { "a/", "a/" }, { "../a", "..", "a" }, { "a/../b", "a", "../b" }, { "//a", "//a" }, { "a/b/", "a", "b/" },
    } do
      assert.equal(case[1], path.join(table.unpack(case, 2)))
    end
  end)

  it("takes paths apart", function()
    for _, case in ipairs {
      { "a/b.c", "a", "b.c", ".c" }, { "b.c", ".", "b.c", ".c" }, { "/b", "/", "b", "" }, { "/", "/", "/", "" },
      { "a/b/", "a", "b", "" }, { "a//b", "a", "b", "" }, { "/a/b", "/a", "b", "" }, { "", ".", "", "" },
      { ".", ".", ".", "" }, { "..", ".", "..", "" }, { "a/..", "a", "..", "" },
      { "x.tar.gz", ".", "x.tar.gz", ".gz" },
      { ".bashrc", ".", ".bashrc", "" }, { ".a.b", ".", ".a.b", ".b" }, { "a.", ".", "a.", "." },
      { "a.d/b", "a.d", "b", "" },
      { "//", "/", "/", "" }, { "..a", ".", "..a", "" }, { "a..b", ".", "a..b", ".b" },
    } do
      assert.equal(case[2], path.dirname(case[1]), "dirname of " .. case[1])
      assert.equal(case[3], path.basename(case[1]), "basename of " .. case[1])
      assert.equal(case[4], path.extension(case[1]), "extension of " .. case[1])
    end
    assert.equal("b", path.basename("a/b.lua", ".lua"))
    assert.equal("b.lua", path.basename("a/b.lua", ".c"))
    assert.equal(".lua", path.basename(".lua", ".lua"))
  end)

  it("agrees with dirname and basename of the system", function()
    for _, text in ipairs { "/usr/lib", "/usr/", "usr", "/", ".", "..", "a//b//", "//a", "/a" } do
      local result = ctz.process.run { "sh", "-c", 'dirname -- "$1"; basename -- "$1"', "sh", text }
      assert.equal(result.stdout, path.dirname(text) .. "\n" .. path.basename(text) .. "\n", text)
    end
  end)

  it("normalizes without looking anything up", function()
    for from, to in pairs {
      ["a//b/./../c/"] = "a/c", [""] = ".", ["."] = ".", ["a/.."] = ".", ["../a"] = "../a", ["a/../.."] = "..",
      ["/.."] = "/", ["/../a"] = "/a", ["/a/./b"] = "/a/b", ["../../a/.."] = "../..", ["//"] = "/", ["a/b/.."] = "a",
    } do
      assert.equal(to, path.normalize(from), from)
    end
  end)

  it("makes absolute and relative", function()
    assert.equal("/a/c", path.absolute("../c", "/a/b"))
    assert.equal("/x", path.absolute("/x", "/a"))
    assert.equal(path.normalize(ctz.fs.cwd() .. "/x"), path.absolute "x")
    assert.equal(path.normalize(ctz.fs.cwd() .. "/b/x"), path.absolute("x", "b"))
    for _, case in ipairs {
      { "../b/c", "/a/b/c", "/a/d" }, { ".", "/a", "/a" }, { "b", "/a/b", "/a" }, { "..", "/a", "/a/b" },
      { "../../x", "/x", "/a/b" }, { "a", "/a", "/" }, { "x", "x" }, { "../x", "x", "y" },
    } do
      assert.equal(case[1], path.relative(table.unpack(case, 2)))
    end
    assert.is_true(path.is_absolute "/")
    assert.is_false(path.is_absolute "a/b")
  end)

  it("refuses what is no text", function()
    for name, fn in pairs(path) do
      local err = failure(fn, 5)
      assert.equal("usage", err.kind, name)
      assert.equal("path." .. name, err.op)
      assert.matches("path." .. name, err.message, 1, true)
    end
    assert.equal("usage", failure(path.join, "a", nil, "b").kind)
  end)
end)
