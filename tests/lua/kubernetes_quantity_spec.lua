-- kubernetes_quantity_spec.lua: amounts, held to the tables of k8s.io/apimachinery, quantity_test.go.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local quantity = require("ctz.kubernetes.quantity").quantity

local function refused(text)
  local _, err = ctz.try(quantity, text)
  assert.is_true(err:is "usage")
  return err
end

describe("kubernetes.quantity reads", function()
  -- text -> canonical form. TestQuantityParse, TestQuantityString and TestQuantityParseEmit.
  local forms = {
    ["0"] = "0", ["0n"] = "0", ["0Ki"] = "0", ["0T"] = "0", ["00"] = "0", ["-0"] = "0", ["1"] = "1", ["1Ki"] = "1Ki",
    ["8Ki"] = "8Ki", ["7Mi"] = "7Mi", ["6Gi"] = "6Gi", ["5Ti"] = "5Ti", ["4Pi"] = "4Pi", ["3Ei"] = "3Ei",
    ["100Ti"] = "100Ti", ["5n"] = "5n", ["4u"] = "4u", ["3m"] = "3m", ["8k"] = "8k", ["7M"] = "7M", ["6G"] = "6G",
    ["300T"] = "300T", ["2P"] = "2P", ["1E"] = "1E", ["12E"] = "12E", ["1E-3"] = "1e-3", ["1e3"] = "1e3",
    ["1E6"] = "1e6", ["1E18"] = "1e18", ["1e14"] = "100e12", ["1e13"] = "10e12", ["100.035k"] = "100035",
    ["0.001"] = "1m", ["0.0005k"] = "500m", ["0.05"] = "50m", ["0.00050k"] = "500m", ["0.50000"] = "500m",
    ["0.5e0"] = "500e-3", ["0.5e-2"] = "5e-3", ["10.035M"] = "10035k", ["1.2e3"] = "1200", ["1.3E+6"] = "1300e3",
    ["1.7E18"] = "1700e15", ["9.01"] = "9010m", ["8.1k"] = "8100", ["6.987654321G"] = "6987654321",
    ["5.444T"] = "5444G", ["1.01E"] = "1010P", ["3.001n"] = "4n", ["1.1E-9"] = "2e-9", ["0.0000000001"] = "1n",
    ["0.5e-9"] = "1e-9", ["0.9n"] = "1n", ["0.00000012345"] = "124n", ["9Ei"] = "9223372036854775807",
    ["9223372036854775807Ki"] = "9223372036854775807", ["-9Ei"] = "-9223372036854775807",
    ["100.035Ki"] = "102435840m", ["0.5Mi"] = "512Ki", ["0.05Gi"] = "53687091200m", ["0.000000000001Ki"] = "2n",
    [".001"] = "1m", [".0001k"] = "100m", ["1."] = "1", ["1.G"] = "1G", ["1024Mi"] = "1Gi", ["307200Ki"] = "300Mi",
    ["1025024Mi"] = "1001Gi", ["1000M"] = "1G", ["0.001T"] = "1G", ["1080000000n"] = "1080m", [".001e12"] = "1e9",
    ["1000e-12"] = "1e-9", ["0.001e0"] = "1e-3", [".001Ki"] = "1024m", [".000001Ki"] = "1024u",
    [".000000000001Ki"] = "2n", ["1.5"] = "1500m", ["1.234"] = "1234m", ["+1.5k"] = "1500", ["+5k"] = "5k",
    ["-1"] = "-1", ["-1.5"] = "-1500m", ["007"] = "7", ["5."] = "5", [".5"] = "500m", ["0.5Gi"] = "512Mi",
    ["1025Ki"] = "1025Ki", ["1.5Mi"] = "1536Ki", ["0.1Ki"] = "102400m", ["1024"] = "1024", ["1e21"] = "1e21",
    ["1e-10"] = "1e-9", ["1000E"] = "1000E", ["-1.0000000000000000000005"] = "-1000000001n",
    ["123456789012345678901234567890"] = "123456789012345678901234567890", ["1e-99"] = "1e-9",
    ["9223372036854775808"] = "9223372036854775808", ["1536Mi"] = "1536Mi", ["1.5Gi"] = "1536Mi",
  }
  for text, canonical in pairs(forms) do
    it(("%s as %s"):format(text, canonical), function()
      assert.equal(canonical, tostring(quantity(text)))
      if text:find "^[%d.]" then
        assert.equal(canonical, tostring(quantity("+" .. text)))
        assert.equal(canonical == "0" and "0" or "-" .. canonical, tostring(quantity("-" .. text)))
      end
      assert.equal(quantity(text), quantity(canonical)) -- nothing is lost
    end)
  end

  it("numbers, whole and broken", function()
    assert.equal("9007199254740993", tostring(quantity(9007199254740993)))
    assert.equal("100m", tostring(quantity(0.1)))
    assert.equal("-9223372036854775808", tostring(quantity(math.mininteger)))
    assert.equal("1G", tostring(quantity(1e9)))
    assert.equal("100E", tostring(quantity(1e20)))
  end)

  for _, text in ipairs {
    "", "1.1.M", "1+1.0M", "0.1mi", "0.1am", "aoeu", ".5i", "1i", "-3.01i", "-3.01e-", " 1", "1 ", "1K", "1ki", "0x10",
    "1e", "1e3.5", ".", "-", "+", "k", "Ki", "--1", "+-1", "1,5", "1_000", "1Ei3", "1e99999999999", "1e-129", "nan",
    "1\n", "1\0", "1kk", "1GiB", ("9"):rep(129),
  } do
    it(("not %q"):format(text), function()
      assert.is_string(refused(text).hint)
    end)
  end

  it("says what was meant", function()
    assert.equal("did you mean M? write 512M for 512MB", refused("512MB").hint)
    assert.equal("did you mean Ki or k? write 64Ki for 64K", refused("64K").hint)
    assert.equal('bad quantity "64K": unknown suffix "K"', refused("64K").message)
    refused(0 / 0)
    refused(1 / 0)
    assert.equal("bad argument 'text' to 'kubernetes.quantity': expected string or number, got nil", refused().message)
  end)
end)

describe("a kubernetes.quantity", function()
  it("is compared by value", function()
    assert.is_true(quantity "1024Mi" == quantity "1Gi")
    assert.is_true(quantity "1000m" == quantity(1))
    assert.is_true(quantity "999m" < quantity "1" and quantity "-2" < quantity "-1" and quantity "-1" < quantity "1n")
    assert.is_true(quantity "1G" < quantity "1Gi" and quantity "1Gi" <= quantity "1Gi" and quantity "1Gi" >= "1G")
    assert.is_false(quantity "1" < quantity "1.0")
    assert.is_true(quantity "-0" == quantity "0" and quantity "12E" > quantity "9Ei")
  end)

  it("adds and subtracts with the suffixes of the left one", function()
    assert.equal("1600m", tostring(quantity "100m" + quantity "1.5"))
    assert.equal("1Gi", tostring(quantity "512Mi" + quantity "0.5Gi"))
    assert.equal("2Ki", tostring(quantity "1Ki" + 1024))
    assert.equal("1Ki", tostring(quantity "0" + quantity "1Ki"))
    assert.equal("-1Ki", tostring(quantity "0" - quantity "1Ki"))
    assert.equal("0", tostring(quantity "1Gi" - "1Gi"))
    assert.equal("-1", tostring(quantity "1" - quantity "2"))
    assert.equal("3", tostring(quantity "1" - quantity "-2"))
    assert.equal("-500m", tostring(quantity "-1" + quantity "0.5"))
    assert.equal("18446744073709551614", tostring(quantity(math.maxinteger) + quantity(math.maxinteger)))
    assert.equal("-5", tostring(-quantity "5"))
  end)

  it("comes back after a hundred random sums", function()
    local suffixes = { "n", "u", "m", "", "k", "M", "Ki", "Mi", "Gi", "E" }
    for _ = 1, 100 do
      local a = quantity(math.random(0, 1 << 40) .. suffixes[math.random(#suffixes)])
      local b = quantity("-" .. math.random(0, 1 << 40) .. suffixes[math.random(#suffixes)])
      assert.equal(a, a + b - b)
      assert.equal(a, quantity(tostring(a)))
      assert.is_true(b <= a + b)
    end
  end)

  it("gives integers, rounded up", function()
    local function both(text, value, milli)
      assert.equal("integer", math.type(quantity(text):value()))
      assert.equal(value, quantity(text):value())
      assert.equal(milli, quantity(text):milli())
    end
    both("100m", 1, 100)
    both("1.5", 2, 1500)
    both("-1.5", -2, -1500)
    both("1n", 1, 1)
    both("0", 0, 0)
    both("1025Ki", 1049600, 1049600000)
    both("1100n", 1, 1)
    both("10", 10, 10000)
    assert.equal(math.maxinteger, quantity("9Ei"):value())
    assert.equal(math.mininteger, quantity(math.mininteger):value())
  end)

  it("says when 64 bits do not hold it", function()
    local _, err = ctz.try(function()
      return quantity("12E"):value()
    end)
    assert.is_true(err:is "size")
    assert.is_truthy(err.message:find("12E does not fit in 64 bits", 1, true))
    assert.is_false((pcall(function()
      return quantity("1Ei"):milli()
    end)))
  end)
end)
