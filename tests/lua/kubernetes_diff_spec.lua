-- kubernetes_diff_spec.lua: unified diffs, held to diff -u; what of two objects is compared.
-- SPDX-License-Identifier: MIT
local between = require("ctz.kubernetes.diff").between
local lines = require "ctz.kubernetes.lines"

describe("lines.diff", function()
  it("is empty for equal texts, and has hunks with three lines around", function()
    assert.equal("", lines.diff("a\n", "a\n", "x"))
    local head = "diff -u -N LIVE/x MERGED/x\n--- LIVE/x\n+++ MERGED/x\n"
    assert.equal(head .. "@@ -1,5 +1,5 @@\n a\n-b\n+B\n c\n d\n e\n",
      lines.diff("a\nb\nc\nd\ne\nf\n", "a\nB\nc\nd\ne\nf\n", "x"))
    assert.equal(head .. "@@ -0,0 +1,2 @@\n+a\n+b\n", lines.diff("", "a\nb\n", "x"))
    assert.equal(head .. "@@ -1 +0,0 @@\n-a\n", lines.diff("a\n", "", "x"))
  end)

  it("shows an item that is added to a list as one block, as diff does", function()
    local before = "spec:\n  ports:\n  - name: a\n    port: 1\n  - name: b\n    port: 1\n"
    local text = lines.diff(before, before .. "  - name: c\n    port: 1\n", "x")
    assert.is_truthy(text:find("\n   - name: b\n     port: 1\n+  - name: c\n+    port: 1\n", 1, true), text)
  end)

  it("tells of two texts that have nothing in common that all is changed, soon", function()
    local a, b = {}, {}
    for i = 1, 20000 do
      a[i], b[i] = "a" .. i .. "\n", "b" .. i .. "\n"
    end
    local text = lines.diff(table.concat(a), table.concat(b), "x")
    assert.is_truthy(text:find("\n@@ -1,20000 +1,20000 @@\n-a1\n", 1, true))
  end)

  it("is coloured by what a line is", function()
    local text = lines.diff("a\n--x\n", "a\n++y\n", "x")
    assert.equal("\27[1mdiff -u -N LIVE/x MERGED/x\27[0m\n\27[1m--- LIVE/x\27[0m\n\27[1m+++ MERGED/x\27[0m\n"
      .. "\27[36m@@ -1,2 +1,2 @@\27[0m\n a\n\27[31m---x\27[0m\n\27[32m+++y\27[0m\n", lines.colored(text))
    assert.equal("", lines.colored "")
  end)

  it("gives what patch turns the one into the other with, for random texts", function()
    for _ = 1, 30 do
      local function text()
        local list = {}
        for i = 1, math.random(0, 30) do
          list[i] = string.char(96 + math.random(1, 5)) .. "\n"
        end
        return table.concat(list)
      end
      local a, b = text(), text()
      local list, at, rest = {}, 1, lines.diff(a, b, "x")
      local old = {}
      for line in a:gmatch "[^\n]*\n" do
        old[#old + 1] = line
      end
      rest = rest:gsub("^diff .-\n%-%-%- .-\n%+%+%+ .-\n", "")
      for line in rest:gmatch "([^\n]*)\n" do
        local from, count = line:match "^@@ %-(%d+),?(%d*)"
        local mark = line:sub(1, 1)
        if from then
          local upto = tonumber(from) + (count == "0" and 1 or 0)
          while at < upto do
            list[#list + 1], at = old[at], at + 1
          end
        elseif mark == "+" then
          list[#list + 1] = line:sub(2) .. "\n"
        else
          assert.equal(old[at], line:sub(2) .. "\n")
          list[#list + 1], at = mark == " " and old[at] or nil, at + 1
        end
      end
      while at <= #old do
        list[#list + 1], at = old[at], at + 1
      end
      assert.equal(b, table.concat(list))
    end
  end)
end)

describe("a diff of objects", function()
  it("leaves out what the server counts, and masks Secrets", function()
    local live = { kind = "Secret", metadata = { name = "s", resourceVersion = "1", managedFields = {} },
      data = { a = "MQ==", b = "Mg==", c = "Mw==" } }
    local merged = { kind = "Secret", metadata = { name = "s", resourceVersion = "2" },
      data = { a = "MQ==", b = "OQ==", d = "NA==" } }
    local text = between(live, merged, "s")
    assert.is_truthy(text:find("*** (before)", 1, true) and text:find("*** (after)", 1, true))
    assert.is_truthy(text:find("\n-  c: '?\"?%*%*%*") and text:find("\n+  d: ", 1, true))
    assert.is_nil(text:find("==", 1, true))
    assert.is_nil(text:find("resourceVersion", 1, true))
    assert.equal("", between({ kind = "A", metadata = { generation = 1 } }, { kind = "A", metadata = {
      generation = 2 } }, "a"))
  end)
end)
