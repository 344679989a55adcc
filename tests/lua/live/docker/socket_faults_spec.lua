-- socket_faults_spec.lua: the proxy that spoils an engine's answers, before an engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local faults = require "tests.lua.support.socket_faults"

local REPLY <const> = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'

local function version(proxy)
  return ctz.http.get("http://docker/version", { unix_socket = proxy.socket, timeout = 10 }).body
end

describe("the proxy that spoils answers #live", function()
  local whole

  setup(function()
    whole = version { socket = engine.socket() }
  end)

  it("passes on what it is not told to spoil, and says what was asked", function()
    local proxy <close> = faults.before(engine.socket(), { cut = 3, match = "^POST" })
    assert.equal(whole, version(proxy))
    assert.same({ "GET /version" }, proxy:requests())
  end)

  it("cuts an answer behind its head", function()
    local proxy <close> = faults.before(engine.socket(), { cut = 3, body = true })
    local stream = ctz.http.get("http://docker/version", { unix_socket = proxy.socket, stream = true })
    assert.equal(whole:sub(1, 3), stream:read())
    assert.equal("protocol", select(2, ctz.try(stream.read, stream)).kind)
  end)

  it("cuts an answer at a byte of its head, only as often as it is told", function()
    local proxy <close> = faults.before(engine.socket(), { cut = 9, times = 1 })
    assert.equal("unreachable", select(2, ctz.try(version, proxy)).kind)
    assert.equal(whole, version(proxy))
    assert.same({ "GET /version", "GET /version" }, proxy:requests())
  end)

  it("hands an answer over byte by byte", function()
    local proxy <close> = faults.before(engine.socket(), { slice = 1 })
    local stream <close> = ctz.http.get("http://docker/version", { unix_socket = proxy.socket, stream = true })
    assert.equal(1, #stream:read())
    local text = whole:sub(1, 1)
    for part in stream:chunks() do
      text = text .. part
    end
    assert.equal(whole, text)
  end)

  it("keeps silent in the middle", function()
    local proxy <close> = faults.before(engine.socket(), { stall = 20, body = true })
    local url, opts = "http://docker/version", { unix_socket = proxy.socket, timeout = 0.3 }
    assert.equal("timeout", select(2, ctz.try(ctz.http.get, url, opts)).kind)
  end)

  it("answers by itself, with no engine behind it", function()
    local proxy <close> = faults.before("/nowhere", { reply = REPLY })
    assert.equal("{}", version(proxy))
  end)
end)
