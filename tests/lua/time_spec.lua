-- time_spec.lua: ctz.time: clocks, and times and durations as texts.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local time = ctz.time

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

describe("ctz.time", function()
  it("has a wall clock and one that never goes back", function()
    assert.is_true(math.abs(time.now() - os.time()) < 2)
    local last = time.monotonic()
    for _ = 1, 1000 do
      local now = time.monotonic()
      assert.is_true(now >= last)
      last = now
    end
  end)

  it("formats times as the system's date does, from the year 0 to 9999", function()
    local seconds = {
      0, -1, 951782400, 951868799, 1709164800, 4102444800, -62167219200, 253402300799, 68169600, 2 ^ 31,
    }
    for i = 1, 200 do
      seconds[#seconds + 1] = (i * 1234567891) % 253402300800 - 1e9 // 1 | 0
    end
    for _, at in ipairs(seconds) do
      local expected = os.date("!%Y-%m-%dT%H:%M:%SZ", at // 1 | 0)
      expected = expected:gsub("^(%d+)", function(year) return ("%04d"):format(tonumber(year)) end)
      assert.equal(expected, time.format(at))
      assert.equal(at, time.parse(time.format(at)))
    end
  end)

  it("formats fractions and zones", function()
    assert.equal("1970-01-01T00:00:01.250Z", time.format(1.25, { digits = 3 }))
    assert.equal("1970-01-01T00:00:01Z", time.format(1.999))
    assert.equal("1969-12-31T23:59:58.5Z", time.format(-1.5, { digits = 1 }))
    assert.equal("1970-01-01T02:00:00+02:00", time.format(0, { offset = "+02:00" }))
    assert.equal("1969-12-31T18:30:00-05:30", time.format(0, { offset = "-05:30" }))
    assert.equal("1970-01-01T00:00:00+00:00", time.format(0, { offset = "+00:00" }))
  end)

  it("parses RFC 3339", function()
    for text, seconds in pairs {
      ["1970-01-01T00:00:00Z"] = 0, ["1970-01-02t00:00:00z"] = 86400, ["1970-01-01 00:00:01+00:00"] = 1,
      ["2000-02-29T12:00:00Z"] = 951825600, ["1985-04-12T23:20:50.52Z"] = 482196050.52,
      ["1996-12-19T16:39:57-08:00"] = 851042397, ["1990-12-31T23:59:60Z"] = 662688000,
      ["1937-01-01T12:00:27.87+00:20"] = -1041337172.13, ["9999-12-31T23:59:59Z"] = 253402300799,
      ["0000-01-01T00:00:00Z"] = -62167219200,
    } do
      assert.equal(seconds, time.parse(text), text)
    end
    assert.equal("integer", math.type(time.parse "2024-05-01T12:00:00Z"))
  end)

  it("refuses what is no time, or names a day that is not", function()
    for _, text in ipairs {
      "", "now", "2024-05-01", "2024-05-01T12:00:00", "2024-5-1T12:00:00Z", "2024-05-01T12:00Z",
      "2024-13-01T00:00:00Z",
      "2024-00-01T00:00:00Z", "2023-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2024-04-31T00:00:00Z",
      "2024-05-00T00:00:00Z", "2024-05-01T24:00:00Z", "2024-05-01T12:60:00Z", "2024-05-01T12:00:61Z",
      "2024-05-01T12:00:00+24:00", "2024-05-01T12:00:00+0200", "2024-05-01T12:00:00.Z", "2024-05-01T12:00:00Z ",
      " 2024-05-01T12:00:00Z", "2024-05-01T12:00:00.5", "+2024-05-01T12:00:00Z",
    } do
      local err = failure(time.parse, text)
      assert.equal("usage", err.kind, text)
      assert.equal("time.parse", err.op)
    end
    assert.equal("usage", failure(time.parse, 5).kind)
    for _, bad in ipairs { 1 / 0, -1 / 0, 0 / 0, 1e18, 253402300800, -62167219201 } do
      assert.equal("usage", failure(time.format, bad).kind)
    end
    assert.equal("usage", failure(time.format, "0").kind)
    assert.equal("usage", failure(time.format, 0, { offset = "CET" }).kind)
    assert.equal("usage", failure(time.format, 0, { digits = 10 }).kind)
    assert.equal("usage", failure(time.format, 0, { zone = "Z" }).kind)
  end)

  it("parses durations", function()
    for text, seconds in pairs {
      ["1m30s"] = 90, ["2h"] = 7200, ["1.5s"] = 1.5, ["250ms"] = 0.25, ["1d"] = 86400, ["1h0m1s"] = 3601, ["5"] = 5,
      ["0"] = 0, [".5s"] = 0.5, ["10us"] = 1e-5, ["3ns"] = 3e-9, ["1d2h3m4s"] = 93784, ["2.5"] = 2.5, ["0.1h"] = 360,
    } do
      assert.equal(seconds, time.parse_duration(text), text)
    end
    for _, text in ipairs {
      "", "s", "1x", "1m 30s", "-1s", "1..5s", "1e3s", " 1s", "1s ", ".", "1m30", "NaN", "inf",
    } do
      assert.equal("usage", failure(time.parse_duration, text).kind, text)
    end
  end)

  it("formats durations with at most two units", function()
    for text, seconds in pairs {
      ["0s"] = 0, ["1m30s"] = 90, ["250ms"] = 0.25, ["1.5s"] = 1.5, ["2h"] = 7200, ["2h5m"] = 7503, ["1d1h"] = 90000,
      ["1m"] = 59.99, ["59.9s"] = 59.94, ["1s"] = 0.9996, ["15us"] = 1.5e-5, ["1m1s"] = 61.2, ["1d"] = 86401,
      ["-5s"] = -5, ["1h"] = 3600.4, ["999ms"] = 0.999, ["40d"] = 40 * 86400 + 59,
    } do
      assert.equal(text, time.format_duration(seconds))
    end
    assert.equal("forever", time.format_duration(1 / 0))
  end)
end)
