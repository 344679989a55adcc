-- versions_spec.lua: the order of tags, and ranges of versions.
-- SPDX-License-Identifier: MIT
local versions = require "ctz.registry.versions"

local parse = versions.parse

local function sorted(list)
  local parsed = {}
  for i, text in ipairs(list) do
    parsed[i] = assert(parse(text), text)
  end
  table.sort(parsed, versions.less)
  local texts = {}
  for i, version in ipairs(parsed) do
    texts[i] = version.text
  end
  return texts
end

describe("versions", function()
  it("are in the order of semver, with rc2 before rc10 and 3 before 3.1", function()
    local expected = {
      "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
      "1.0.0-rc1", "1.0.0-rc2", "1.0.0-rc10", "1.0.0", "v1.2", "1.9", "1.10", "3", "3.1rc1", "3.1", "3.1.1",
      "99999999999999999998", "99999999999999999999",
    }
    local shuffled = {}
    for i = #expected, 1, -2 do
      shuffled[#shuffled + 1] = expected[i]
    end
    for i = #expected - 1, 1, -2 do
      shuffled[#shuffled + 1] = expected[i]
    end
    assert.same(expected, sorted(shuffled))
  end)

  it("that differ in zeros only are equal, and still have an order", function()
    assert.equal(0, versions.compare(parse "3", parse "3.0.0"))
    assert.equal(0, versions.compare(parse "v1.02", parse "1.2"))
    assert.same({ "3", "3.0", "3.0.0" }, sorted { "3.0.0", "3", "3.0" })
  end)

  it("do not count what they were built from", function()
    assert.equal(0, versions.compare(parse "1.0.0+a", parse "1.0.0+b"))
  end)

  it("are not words, digests of commits, or numbers with holes", function()
    for _, text in ipairs { "latest", "", "v", "3f2a91c", "1..2", "1.", "1.2-", "main-3", ".1", "-1", "1e5", "vv1" } do
      assert.is_nil(parse(text), text)
    end
  end)
end)

describe("texts", function()
  it("are in the order of their numbers", function()
    local list = { "ci-10", "ci-9", "ci-9b", "b", "ci-009", "testing-20240102", "testing-20231231", "10", "9" }
    table.sort(list, function(a, b)
      local order = versions.compare_texts(a, b)
      return order < 0 or order == 0 and a < b
    end)
    assert.same({ "9", "10", "b", "ci-009", "ci-9", "ci-9b", "ci-10", "testing-20231231", "testing-20240102" }, list)
  end)
end)

describe("ranges of versions", function()
  local function fits(range, ...)
    local test = assert(versions.range(range))
    local found = {}
    for _, text in ipairs { ... } do
      found[#found + 1] = test(parse(text)) and text or nil
    end
    return found
  end

  it("have bounds, alternatives and short forms", function()
    assert.same({ "1.2", "1.9.9" }, fits(">=1.2 <2", "1.1", "1.2", "1.9.9", "2", "2.0"))
    assert.same({ "1.2.1", "2" }, fits("> 1.2, <= 2", "1.2", "1.2.1", "2", "2.0.1"))
    assert.same({ "1.2.3", "1.9" }, fits("^1.2.3", "1.2.2", "1.2.3", "1.9", "2.0"))
    assert.same({ "0.2.3", "0.2.9" }, fits("^0.2.3", "0.2.2", "0.2.3", "0.2.9", "0.3"))
    assert.same({ "1.2.3", "1.2.9" }, fits("~1.2.3", "1.2.2", "1.2.3", "1.2.9", "1.3"))
    assert.same({ "1.2", "1.2.7" }, fits("1.2.x", "1.1", "1.2", "1.2.7", "1.3"))
    assert.same({ "9.9", "9.10" }, fits("9.x", "8", "9.9", "9.10", "10"))
    assert.same({ "3.0", "5" }, fits("=3 || 5", "2", "3.0", "4", "5"))
    assert.same({ "99.1" }, fits("99.x", "98", "99.1", "100"))
  end)

  it("hold pre-releases only where they name one", function()
    assert.same({ "2.0" }, fits(">=1", "2.0-rc1", "2.0"))
    assert.same({ "2.0-rc1", "2.0" }, fits(">=2.0-rc1", "2.0-beta", "2.0-rc1", "2.0"))
  end)

  it("that are none are refused, with the part that is wrong", function()
    for range, part in pairs { ["abc"] = "abc", [">=1 <x"] = "<x", ["=>1"] = "=>1", [""] = "", ["1 ||"] = "" } do
      local test, wrong = versions.range(range)
      assert.is_nil(test)
      assert.equal(part, wrong)
    end
  end)
end)
