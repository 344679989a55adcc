-- context_spec.lua: the door ctz.core.context: folders as streams. What the streams hold is tested
-- in tests/c/context_test.c.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local core = require "ctz.core.context"

local function read_all(reader)
  local parts = {}
  for chunk in reader.read, reader do
    parts[#parts + 1] = chunk
  end
  return table.concat(parts)
end

describe("ctz.core.context.open", function()
  local scratch, folder

  before_each(function()
    scratch = ctz.fs.tempdir()
    folder = scratch.path
    ctz.fs.write(folder .. "/a.txt", ("a"):rep(700 * 1024))
    ctz.fs.mkdir(folder .. "/sub")
    ctz.fs.write(folder .. "/sub/b.log", "b")
  end)

  after_each(function()
    scratch:close()
  end)

  it("gives a tar that tar reads", function()
    local stream = read_all(core.open { root = folder, ignore = ctz.ignore.compile "**/*.log" })
    local result = ctz.process.run({ "tar", "tv" }, { stdin = stream })
    assert.truthy(result.stdout:find "716800 .* a.txt\n")
    assert.truthy(result.stdout:find "0/0 .* sub/\n")
    assert.falsy(result.stdout:find "b.log")
  end)

  it("counts what it has given, and goes on saying that it ended", function()
    local reader <close> = core.open { root = folder, name = "top" }
    local size = #read_all(reader)
    local bytes, files = reader:progress()
    assert.equal(size, bytes)
    assert.equal(4, files)
    assert.is_nil(reader:read())
  end)

  it("takes files that are not on disk", function()
    local reader = core.open { root = folder, extra = { { path = "Dockerfile", text = "FROM scratch", mode = 384 } } }
    local result = ctz.process.run({ "tar", "xO", "Dockerfile" }, { stdin = read_all(reader) })
    assert.equal("FROM scratch", result.stdout)
  end)

  it("feeds a request body", function()
    local reader <close> = core.open { root = folder }
    local parts = {}
    local body = function() -- as ctz.http takes one
      return reader:read()
    end
    for part in body do
      parts[#parts + 1] = part
    end
    assert.equal(0, #table.concat(parts) % 512)
  end)

  it("raises what could not be read, and again conflict afterwards", function()
    local reader = core.open { root = folder .. "/missing" }
    local _, err = ctz.try(reader.read, reader)
    assert.equal("not_found", err.kind)
    assert.equal(folder .. "/missing", err.target)
    _, err = ctz.try(reader.read, reader)
    assert.equal("conflict", err.kind)
  end)

  it("can be closed at any moment, also while a piece is being made", function()
    local reader = core.open { root = folder }
    assert.is_true(reader:close())
    local _, err = ctz.try(reader.read, reader)
    assert.equal("conflict", err.kind)
    reader = core.open { root = folder }
    assert.is_string(reader:read()) -- the next piece is under way
    assert.is_true(reader:close())
    assert.is_true(reader:close())
  end)

  it("gives the same piece to the next reader when one was cancelled", function()
    local reader <close> = core.open { root = folder }
    local whole = read_all(core.open { root = folder })
    local task = ctz.spawn(function()
      return reader:read()
    end, { background = true })
    task:cancel()
    ctz.sleep(0)
    assert.equal(whole, read_all(reader))
  end)

  it("says which option is wrong", function()
    for _, wrong in ipairs {
      {}, { root = "" }, { root = 1 }, { root = "x", roots = 1 }, { root = "x", name = "/a" },
      { root = "x", name = "a/" }, { root = "x", ignore = {} }, { root = "x", always = { "/a" } },
      { root = "x", always = { 1 } }, { root = "x", extra = { {} } },
      { root = "x", extra = { { path = "a", txt = "" } } },
    } do
      local _, err = ctz.try(core.open, wrong)
      assert.equal("usage", err.kind)
    end
  end)
end)

describe("ctz.core.context.extract", function()
  local scratch, folder

  before_each(function()
    scratch = ctz.fs.tempdir()
    folder = scratch.path
    ctz.fs.mkdir(folder .. "/from/sub", { parents = true })
    ctz.fs.write(folder .. "/from/a.txt", ("a"):rep(700 * 1024))
    ctz.fs.write(folder .. "/from/sub/b", "b")
  end)

  after_each(function()
    scratch:close()
  end)

  local function pass(reader, writer)
    for chunk in reader.read, reader do
      assert.is_true(writer:write(chunk))
    end
    return writer:finish()
  end

  it("puts in a folder what open reads", function()
    local counts = pass(core.open { root = folder .. "/from" }, core.extract(folder .. "/to"))
    assert.same({ entries = 3, bytes = 700 * 1024 + 1, skipped = 0 }, counts)
    assert.equal(0, ctz.process.run({ "diff", "-r", folder .. "/from", folder .. "/to" }).exit_code)
  end)

  it("writes a single file under any name", function()
    local reader = core.open { root = folder .. "/from/sub/b", name = "b" }
    assert.equal(1, pass(reader, core.extract(folder .. "/c", { file = true })).bytes)
    assert.equal("b", ctz.fs.read(folder .. "/c"))
  end)

  it("leaves no part of a single file when the stream ends early", function()
    local writer <close> = core.extract(folder .. "/c", { file = true })
    local reader <close> = core.open { root = folder .. "/from/a.txt", name = "a" }
    writer:write(reader:read())
    local _, err = ctz.try(writer.finish, writer)
    assert.equal("protocol", err.kind)
    assert.is_nil(ctz.fs.stat(folder .. "/c"))
    writer:close()
    assert.equal(1, #ctz.fs.list(folder))
  end)

  it("takes nothing more after a failure, or when it was closed", function()
    local writer <close> = core.extract(folder .. "/to")
    local _, err = ctz.try(writer.write, writer, ("x"):rep(512))
    assert.equal("protocol", err.kind)
    _, err = ctz.try(writer.write, writer, "x")
    assert.equal("conflict", err.kind)
    local other = core.extract(folder .. "/to")
    assert.is_true(other:close())
    assert.is_true(other:close())
    _, err = ctz.try(other.finish, other)
    assert.equal("conflict", err.kind)
  end)

  it("says which argument is wrong", function()
    local bad = { { "" }, { 1 }, { "x", { files = true } }, { "x", { strip = -1 } }, { "x", { file = 1 } } }
    for _, wrong in ipairs(bad) do
      local _, err = ctz.try(core.extract, wrong[1], wrong[2])
      assert.equal("usage", err.kind)
    end
  end)
end)
