-- units_spec.lua: sizes, durations, CPUs and times; the check of an options table.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local options = require "ctz.options"
local units = require "ctz.units"

local function is_integer(expected, value)
  assert.equal("integer", math.type(value))
  assert.equal(expected, value)
end

describe("sizes", function()
  -- Most rows are those of github.com/docker/go-units, size_test.go, TestRAMInBytes.
  local sizes = {
    ["32"] = 32, ["32b"] = 32, ["32B"] = 32, ["32k"] = 32 << 10, ["32K"] = 32 << 10, ["32kb"] = 32 << 10,
    ["32Kb"] = 32 << 10, ["32Kib"] = 32 << 10, ["32KIB"] = 32 << 10, ["32Mb"] = 32 << 20, ["32Gb"] = 32 << 30,
    ["32Tb"] = 32 << 40, ["32Pb"] = 32 << 50, ["32 mb"] = 32 << 20, ["32."] = 32, ["32.3"] = 32,
    ["32.3kb"] = 33075, ["32.3 kb"] = 33075, ["0.5m"] = 512 << 10, [".5m"] = 512 << 10, ["1.5g"] = 3 << 29,
    ["512m"] = 512 << 20, ["0"] = 0, ["8191P"] = 8191 << 50,
  }
  for text, bytes in pairs(sizes) do
    it(("reads %s"):format(text), function()
      is_integer(bytes, (units.bytes(text)))
    end)
  end

  for _, wrong in ipairs {
    "", " ", "hello", ".", "-32", "-1", "+1", " 32 ", "32  mb", "32m b", "32bm", "32 bb", "32mbi", "32ki", "32x",
    "1e3", "0x10", "1,5g", "nan", "inf", "8192P", "9223372036854775808", "32m\0", "1.2.3m", "32\n",
  } do
    it(("refuses %q"):format(wrong), function()
      local value, expected = units.bytes(wrong)
      assert.is_nil(value)
      assert.equal('a size such as "512m", "1.5g" or a number of bytes', expected)
    end)
  end

  it("takes numbers that are whole bytes", function()
    is_integer(1024, (units.bytes(1024)))
    is_integer(1024, (units.bytes(1024.0)))
    for _, wrong in ipairs { -1, 1.5, 2 ^ 63, 0 / 0, math.huge } do
      assert.is_nil((units.bytes(wrong)))
    end
    assert.is_nil((units.bytes {}))
    assert.is_nil((units.bytes(true)))
    assert.is_nil((units.bytes(nil)))
  end)
end)

describe("durations", function()
  it("are seconds or texts, and become nanoseconds", function()
    is_integer(90000000000, (units.nanoseconds "1m30s"))
    is_integer(250000000, (units.nanoseconds "250ms"))
    is_integer(1, (units.nanoseconds "1ns"))
    is_integer(2000000000, (units.nanoseconds(2)))
    is_integer(1500000000, (units.nanoseconds(1.5)))
    is_integer(100000000, (units.nanoseconds(0.1)))
    is_integer(0, (units.nanoseconds(0)))
    is_integer(30000000000, (units.nanoseconds "30"))
  end)

  it("are refused when they are none, negative or too long", function()
    for _, wrong in ipairs { "", "1x", "-1s", "s", -1, 0 / 0, math.huge, 1e10, 9223372037, {}, true } do
      local value, expected = units.nanoseconds(wrong)
      assert.is_nil(value)
      assert.matches("duration", expected, 1, true)
    end
  end)
end)

describe("cpus", function()
  it("become nano CPUs", function()
    is_integer(1500000000, (units.nano_cpus "1.5"))
    is_integer(500000000, (units.nano_cpus ".5"))
    is_integer(100000000, (units.nano_cpus(0.1)))
    is_integer(2000000000, (units.nano_cpus(2)))
  end)

  it("are refused when they are none", function()
    for _, wrong in ipairs { "", "1/2", "1e1", "0x1", "-1", -1, 0 / 0, math.huge, {}, "two" } do
      assert.is_nil((units.nano_cpus(wrong)))
    end
  end)
end)

describe("times", function()
  it("of the engine become seconds, and what did not happen nil", function()
    assert.equal(1714564800.5, units.unix_time "2024-05-01T12:00:00.500000000Z")
    assert.equal(1714564800, units.unix_time "2024-05-01T14:00:00+02:00")
    assert.near(1714564800.123456789, units.unix_time "2024-05-01T12:00:00.123456789Z", 1e-6)
    assert.is_nil(units.unix_time "0001-01-01T00:00:00Z")
    assert.is_nil(units.unix_time "")
    assert.is_nil(units.unix_time(nil))
    assert.equal("usage", select(2, pcall(units.unix_time, "yesterday")).kind)
  end)

  it("for since and until keep each digit", function()
    assert.equal("1714564800.000000000", units.timestamp(1714564800))
    assert.equal("1714564800.500000000", units.timestamp(1714564800.5))
    assert.equal("1714564800.123456789", units.timestamp "2024-05-01T12:00:00.123456789Z")
    assert.equal("1714564800.120000000", units.timestamp "2024-05-01T14:00:00.12+02:00")
    assert.equal("1714564800.123456789", units.timestamp "1714564800.123456789")
    assert.equal("1714564800.000000000", units.timestamp "1714564800")
  end)

  it("for since and until may be so long ago", function()
    local before = ctz.time.now() - 600
    local at = tonumber((units.timestamp "10m"))
    assert.is_true(at >= before - 1e-3 and at <= ctz.time.now() - 600 + 1e-3)
  end)

  it("for since and until are refused when they are none", function()
    for _, wrong in ipairs { "", "yesterday", "2024-05-01", -1, 0 / 0, math.huge, {}, "2024-02-30T00:00:00Z" } do
      local value, expected = units.timestamp(wrong)
      assert.is_nil(value)
      assert.matches("a time such as", expected, 1, true)
    end
  end)
end)

describe("options", function()
  local rules = {
    name = "string!", timeout = "seconds", memory = "bytes", command = "string|list", all = "boolean", n = "count",
    env = "table", value = "string|secret", since = "time", cpus = "cpus", wait = "duration", fn = "function",
  }

  local function problem(opts, with)
    local ok, err = pcall(options.check, "docker.x.y", opts, with or rules)
    assert.is_false(ok)
    assert.equal("usage", err.kind)
    assert.equal("docker.x.y", err.op)
    return err.message
  end

  it("are handed back when they are right", function()
    local opts = {
      name = "a", timeout = 0.5, memory = "1g", command = { "a" }, all = false, n = 0, env = {}, since = "10m",
      value = ctz.secret "hunter22", cpus = "1.5", wait = 3, fn = print,
    }
    assert.equal(opts, options.check("docker.x.y", opts, rules))
    assert.same({}, options.check("docker.x.y", nil, { a = "string" }))
  end)

  it("name the nearest of an unknown one, or all", function()
    assert.equal("unknown option 'nmae' to 'docker.x.y'; did you mean 'name'?", problem { nmae = "a" })
    assert.equal("unknown option 'zzzzzz' to 'docker.x.y'; it takes a, b",
      problem({ zzzzzz = 1 }, { b = "any", a = "any" }))
    assert.equal("unknown option 'a' to 'docker.x.y'; it takes none", problem({ a = 1 }, {}))
    assert.equal("bad argument 'opts' to 'docker.x.y': an option has a name, got a number as key",
      problem { "name" })
  end)

  it("tell the expected type and the value", function()
    assert.equal("bad argument 'opts' to 'docker.x.y': expected table, got \"web\"", problem "web")
    assert.equal("bad argument 'opts.name' to 'docker.x.y': expected string, got 7", problem { name = 7 })
    assert.equal("bad argument 'opts.timeout' to 'docker.x.y': expected seconds, 0 or more, got -1",
      problem { name = "a", timeout = -1 })
    assert.equal("bad argument 'opts.memory' to 'docker.x.y': expected a size such as \"512m\" or a number of "
      .. "bytes, got \"12q\"", problem { name = "a", memory = "12q" })
    assert.equal("bad argument 'opts.command' to 'docker.x.y': expected string or a list, got table",
      problem { name = "a", command = { a = 1 } })
    assert.equal("bad argument 'opts.value' to 'docker.x.y': expected string or secret, got userdata",
      problem { name = "a", value = io.stdout })
    assert.equal("bad argument 'opts.n' to 'docker.x.y': expected an integer, 0 or more, got 1.5",
      problem { name = "a", n = 1.5 })
  end)

  it("that hold a secret in the wrong place do not show it", function()
    assert.equal("bad argument 'opts.name' to 'docker.x.y': expected string, got a secret",
      problem { name = ctz.secret "hunter22" })
  end)

  it("tell what is required", function()
    assert.equal("'docker.x.y' needs the option 'name': string", problem {})
  end)

  it("tell the same problem each time when there are several", function()
    for _ = 1, 20 do
      assert.matches("'aa'", problem { zz = 1, aa = 1, mm = 1, name = "a" }, 1, true)
    end
  end)
end)
