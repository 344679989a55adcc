-- kubernetes_selector_spec.lua: label selectors, held to k8s.io/apimachinery, pkg/labels, selector_test.go.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local selector = require("ctz.kubernetes.selector").selector

describe("kubernetes.selector reads", function()
  local texts = {
    [""] = "", ["  "] = "", ["a"] = "a", ["!a"] = "!a", ["! a"] = "!a", ["a=b"] = "a=b", ["a==b"] = "a==b",
    ["a!=b"] = "a!=b", ["a in (c,b)"] = "a in (b,c)", ["a notin (c,b)"] = "a notin (b,c)", ["a>5"] = "a>5",
    ["x in (foo,,baz),y,z notin ()"] = "x in (,baz,foo),y,z notin ()", ["a="] = "a=",
    ["a=,b"] = "a=,b", ["in in (in)"] = "in in (in)", [" a = b , c "] = "a=b,c", ["a.b/c=d"] = "a.b/c=d",
    ["x in (,)"] = "x in ()", ["a in ()"] = "a in ()", ["a=in"] = "a=in", ["a=notin"] = "a=notin",
    ["x=a,x!=b"] = "x=a,x!=b", ["a in (b,b)"] = "a in (b)", ["a\tin(b)"] = "a in (b)", ["a!="] = "a!=",
  }
  for text, canonical in pairs(texts) do
    it(("%q as %q"):format(text, canonical), function()
      assert.equal(canonical, tostring(selector(text)))
      assert.equal(canonical, tostring(selector(canonical)))
    end)
  end

  local wrong = {
    ["a,"] = "at 3: expected a label, found the end",
    [",a"] = 'at 1: expected a label, found ","',
    ["a in"] = 'at 5: expected "(", found the end',
    ["a in ("] = 'at 7: expected "," or ")", found the end',
    ["a in (b"] = 'at 8: expected "," or ")", found the end',
    ["a in (b c)"] = 'at 9: expected "," or ")", found "c"',
    ["!a=b"] = 'at 3: expected "," or the end, found "="',
    ["a b"] = 'at 3: expected one of = == != in notin > <, found "b"',
    ["a in b"] = 'at 6: expected "(", found "b"',
    ["a=b=c"] = 'at 4: expected "," or the end, found "="',
    ["=b"] = 'at 1: expected a label, found "="',
    ["!"] = "at 2: expected a label, found the end",
    ["a!b"] = 'at 2: expected one of = == != in notin > <, found "!"',
    ["a=>b"] = 'at 3: expected a value, found ">"',
    ["a<-5"] = 'at 3: bad value "-5"',
    ["a===b"] = 'at 4: expected a value, found "="',
    ["()"] = 'at 1: expected a label, found "("',
    ["-a=b"] = 'at 1: bad label "-a": a key has',
    ["a=-b"] = 'at 3: bad value "-b": a value has',
    ["a/b/c"] = 'at 1: bad label "a/b/c"',
    ["A!/c"] = 'at 2',
    ["/c"] = 'bad label "/c": what stands before',
    ["Up.er/c"] = "is a DNS name",
    ["a>x"] = "'>' and '<' take an integer, got \"x\"",
    ["a="  .. ("x"):rep(64)] = "longer than 63 characters",
    ["a=b\0"] = "bad value",
  }
  for text, message in pairs(wrong) do
    it(("not %q"):format(text), function()
      local _, err = ctz.try(selector, text)
      assert.is_true(err:is "usage")
      assert.is_truthy(err.message:find(message, 1, true), err.message)
    end)
  end

  it("texts only", function()
    local _, err = ctz.try(selector, {})
    assert.equal("bad argument 'text' to 'kubernetes.selector': expected string, got table", err.message)
    assert.is_false((pcall(function()
      return selector("a"):matches("a=b")
    end)))
  end)
end)

describe("selector:matches", function()
  -- TestSelectorMatches
  for _, row in ipairs {
    { "", { x = "y" }, true }, { "x=y", { x = "y" }, true }, { "x=y,z=w", { x = "y", z = "w" }, true },
    { "x!=y,z!=w", { x = "z", z = "a" }, true }, { "notin=in", { notin = "in" }, true }, { "x", { x = "z" }, true },
    { "!x", { y = "z" }, true }, { "x>1", { x = "2" }, true }, { "x<1", { x = "0" }, true },
    { "x=z", {}, false }, { "x=y", { x = "z" }, false }, { "x=y,z=w", { x = "w", z = "w" }, false },
    { "x!=y,z!=w", { x = "z", z = "w" }, false }, { "x", { y = "z" }, false }, { "!x", { x = "z" }, false },
    { "x>1", { x = "0" }, false }, { "x<1", { x = "2" }, false }, { "x>1", { x = "a" }, false }, { "x>1", {}, false },
    { "a in (b,c)", { a = "c" }, true }, { "a in (b,c)", { a = "d" }, false }, { "a in (b)", {}, false },
    { "a notin (b,c)", { a = "b" }, false }, { "a notin (b)", {}, true }, { "a notin ()", { a = "" }, false },
    { "a!=b", {}, true }, { "a=", { a = "" }, true }, { "a=", {}, false }, { "a in (,)", { a = "" }, true },
    { "a==b", { a = "b" }, true }, { "x>1", { x = "9223372036854775808" }, false }, { "!x", nil, true },
  } do
    it(("says %s for %q"):format(row[3], row[1]), function()
      assert.equal(row[3], selector(row[1]):matches(row[2]))
    end)
  end
end)
