-- base64_spec.lua: ctz.base64.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local base64 = ctz.base64

local function refused(text, message, opts)
  local ok, err = pcall(base64.decode, text, opts)
  assert.is_false(ok)
  assert.equal("protocol", err.kind)
  assert.equal(message, err.message)
end

describe("base64", function()
  it("agrees with the test vectors of RFC 4648, section 10", function()
    local vectors = {
      [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=", foobar = "Zm9vYmFy",
    }
    for bytes, text in pairs(vectors) do
      assert.equal(text, base64.encode(bytes))
      assert.equal(bytes, base64.decode(text))
    end
  end)

  it("gives back any bytes of any length, in both alphabets", function()
    math.randomseed(1)
    for size = 0, 300 do
      local bytes = {}
      for i = 1, size do
        bytes[i] = string.char(math.random(0, 255))
      end
      local text = table.concat(bytes)
      assert.equal(text, base64.decode(base64.encode(text)))
      assert.equal(text, base64.decode(base64.encode(text, { url = true }), { url = true }))
      assert.equal(text, base64.decode(base64.encode(text, { url = true, pad = false }), { url = true }))
    end
  end)

  it("has the alphabet of URLs", function()
    assert.equal("+/+/", base64.encode "\xfb\xff\xbf")
    assert.equal("-_-_", base64.encode("\xfb\xff\xbf", { url = true }))
    refused("-_-_", "not base64 at byte 1")
    refused("+/+/", "not base64 at byte 1", { url = true })
  end)

  it("skips line breaks only", function()
    assert.equal("foobar", base64.decode "Zm9v\r\nYmFy\n")
    assert.equal("f", base64.decode "Z\ng=\n=\n")
    refused("Zm9v YmFy", "not base64 at byte 5")
    refused("Zm9v\tYmFy", "not base64 at byte 5")
  end)

  it("refuses wrong padding, stray bits and foreign bytes, with the place", function()
    refused("Zg", "not base64 at byte 3: the text ends too early")
    refused("Zg=", "not base64 at byte 4: the text ends too early")
    refused("Z", "not base64 at byte 2: the text ends too early")
    refused("Z===", "not base64 at byte 2")
    refused("Zg===", "not base64 at byte 5")
    refused("=", "not base64 at byte 1")
    refused("Zm9v=", "not base64 at byte 5")
    refused("Zg==Zg==", "not base64 at byte 5")
    refused("Zh==", "not base64 at byte 3")
    refused("Zm9=", "not base64 at byte 4")
    refused("Zm9\0", "not base64 at byte 4")
    refused("Zm9\xff", "not base64 at byte 4")
    refused("Zg=", "not base64 at byte 4: the text ends too early", { url = true })
  end)

  it("checks its arguments", function()
    local ok, err = pcall(base64.encode, nil)
    assert.is_false(ok)
    assert.equal("bad argument 'bytes' to 'base64.encode': expected string, got nil", err.message)
    ok, err = pcall(base64.decode, "", { pad = true })
    assert.is_false(ok)
    assert.equal("usage", err.kind)
  end)
end)
