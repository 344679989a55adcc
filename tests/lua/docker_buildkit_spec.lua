-- docker_buildkit_spec.lua: what BuildKit's progress says, and sessions over connections that spoil them.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local buildkit = require "ctz.docker.buildkit"
local core = require "ctz.core.buildkit"
local faults = dofile "tests/testbed/http_faults.lua"
local http = ctz.http

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  return err
end

-- --- protobuf, as the engine writes it -----------------------------------------------------------

local function varint(value)
  local out = ""
  repeat
    local low = value & 0x7F
    value = value >> 7
    out = out .. string.char(value ~= 0 and low | 0x80 or low)
  until value == 0
  return out
end

local function number(field, value)
  return varint(field << 3) .. varint(value)
end

local function bytes(field, value)
  return varint(field << 3 | 2) .. varint(#value) .. value
end

local function time(field, seconds, nanos)
  return bytes(field, number(1, seconds) .. number(2, nanos))
end

local digest = "sha256:" .. ("ab"):rep(32)
local vertex = bytes(1, digest) .. bytes(2, "sha256:one") .. bytes(2, "sha256:two") .. bytes(3, "[1/2] FROM x")
  .. number(4, 1) .. time(5, 1700000000, 250000000) .. time(6, 1700000001, 500000000) .. bytes(7, "went wrong")
  .. bytes(8, bytes(1, "g") .. bytes(2, "group") .. number(3, 1))
local status = bytes(1, "extracting") .. bytes(2, digest) .. bytes(3, "sha") .. number(4, 1 << 40) .. number(5, 7)
  .. time(6, 1700000002, 0) .. time(7, 1700000003, 0) .. time(8, 1700000004, 0)
local log = bytes(1, digest) .. time(2, 1700000005, 0) .. number(3, 2) .. bytes(4, "a\0b\255\n")
local warning = bytes(1, digest) .. number(2, 1) .. bytes(3, "StageNameCasing") .. bytes(4, "one") .. bytes(4, "two")
  .. bytes(5, "https://example.org/rule") .. bytes(6, bytes(1, "Dockerfile") .. bytes(2, "FROM x"))
  .. bytes(7, bytes(1, number(1, 12) .. number(2, 3)) .. bytes(2, number(1, 13)))
local whole = bytes(1, vertex) .. bytes(2, status) .. bytes(3, log) .. bytes(4, warning)
local empty = { vertexes = {}, statuses = {}, logs = {}, warnings = {} }

describe("docker.buildkit.trace", function()
  it("gives vertexes, statuses, logs and warnings", function()
    assert.same({
      vertexes = { {
        digest = digest, name = "[1/2] FROM x", inputs = { "sha256:one", "sha256:two" }, cached = true,
        started = 1700000000.25, completed = 1700000001.5, error = "went wrong", group = "group",
      } },
      statuses = { {
        id = "extracting", vertex = digest, name = "sha", current = 1 << 40, total = 7, time = 1700000002.0,
        started = 1700000003.0, completed = 1700000004.0,
      } },
      logs = { { vertex = digest, stream = "stderr", text = "a\0b\255\n", time = 1700000005.0 } },
      warnings = { {
        vertex = digest, level = 1, text = "StageNameCasing", detail = { "one", "two" },
        url = "https://example.org/rule", file = "Dockerfile", line = 12,
      } },
    }, buildkit.trace(ctz.base64.encode(whole)))
  end)

  it("leaves out what is not said", function()
    assert.same(empty, buildkit.trace "")
    local said = core.trace(bytes(1, bytes(1, "d")) .. bytes(2, "") .. bytes(3, "") .. bytes(4, ""))
    assert.same({ digest = "d", inputs = {}, cached = false }, said.vertexes[1])
    assert.same({ current = 0, total = 0 }, said.statuses[1])
    assert.same({ stream = "stdout", text = "" }, said.logs[1])
    assert.same({ level = 0, text = "", detail = {} }, said.warnings[1])
  end)

  it("skips fields that it does not know", function()
    local later = bytes(99, "new") .. number(98, 5)
    assert.same(core.trace(whole), core.trace(later .. whole .. later))
    assert.same("d", core.trace(bytes(1, later .. bytes(1, "d"))).vertexes[1].digest)
  end)

  it("keeps the order of several", function()
    local many = {}
    for i = 1, 1000 do
      many[i] = bytes(3, bytes(4, tostring(i)))
    end
    local logs = core.trace(table.concat(many)).logs
    assert.equal(1000, #logs)
    assert.equal("1000", logs[1000].text)
  end)

  it("of a text that is cut anywhere is whole messages or kind protocol", function()
    local ends = { [0] = true }
    local at = 0
    for i, part in ipairs { vertex, status, log, warning } do
      at = at + #bytes(i, part)
      ends[at] = true
    end
    for size = 0, #whole do
      local said, err = ctz.try(core.trace, whole:sub(1, size))
      assert.equal(ends[size] or false, said ~= nil, "cut at " .. size)
      assert.is_true(said ~= nil or err.kind == "protocol")
    end
  end)

  it("of garbage is kind protocol or harmless", function()
    local random = 12345
    for _ = 1, 3000 do
      random = (random * 1103515245 + 12345) & 0x7FFFFFFF
      local at = random % #whole + 1
      local spoiled = whole:sub(1, at - 1) .. string.char(random >> 8 & 0xFF) .. whole:sub(at + 1)
      local said, err = ctz.try(core.trace, spoiled)
      assert.is_true(type(said) == "table" or err.kind == "protocol")
    end
    assert.equal("protocol", failure(core.trace, "\255\255\255").kind)
    assert.equal("protocol", failure(core.trace, "\10\255\255\255\255\15").kind)
  end)

  it("has a bound on its size and on what it unpacks to", function()
    assert.equal("size", failure(core.trace, ("x"):rep(16 * 1024 * 1024 + 1)).kind)
    assert.equal("size", failure(core.trace, bytes(3, ""):rep(2 * 1024 * 1024)).kind)
  end)

  it("raises when it is no base64", function()
    assert.is_truthy(failure(buildkit.trace, "***").kind)
    assert.equal("usage", failure(core.trace, 5).kind)
  end)
end)

describe("docker.buildkit.open", function()
  local function refused(opts)
    return failure(buildkit.open, {}, opts)
  end

  it("checks what it is given before it talks to the engine", function()
    assert.equal("usage", refused({ secret = {} }).kind)
    assert.equal("usage", refused({ secrets = { [1] = "x" } }).kind)
    assert.equal("usage", refused({ secrets = { [""] = "x" } }).kind)
    assert.equal("usage", refused({ auth = "x" }).kind)
    local err = refused { op = "docker.build", secrets = { token = 5 } }
    assert.equal("usage", err.kind)
    assert.equal('the secret "token": expected string, ctz.secret or function, got number', err.message)
    err = refused { secrets = { token = ("x"):rep(500 * 1024 + 1) } }
    assert.equal("size", err.kind)
    assert.matches("takes at most 512000", err.message, 1, true)
  end)
end)

describe("a session of BuildKit", function()
  local server

  setup(function()
    server = faults.start()
  end)

  teardown(function()
    server:stop()
  end)

  -- What the other side answers instead of a session.
  local function upgraded(answer)
    local raw = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n" .. answer
    local path = "/raw?" .. ctz.base64.encode(raw):gsub("+", "-"):gsub("/", "_")
    return http.upgrade(server:url(path), { protocol = "h2c" }).exchange:hand_over()
  end

  local function bare()
    return http.connect(server:url "/").exchange:hand_over()
  end

  it("with something that speaks no HTTP/2 is a protocol error", function()
    local session <close> = core.open(upgraded "greetings to all of you, this is no HTTP/2\n")
    local err = failure(session.ready, session)
    assert.equal("protocol", err.kind)
    assert.matches("does not speak HTTP/2", err.message, 1, true)
  end)

  it("with a server of HTTP/1.1 only is an error", function()
    local session <close> = core.open(bare(), "localhost", { "x-docker-expose-session-uuid", "abc" })
    local kind = failure(session.ready, session).kind
    assert.is_true(kind == "protocol" or kind == "unreachable") -- it may be gone before its answer is read
  end)

  it("that ends before it stands is unreachable", function()
    local session <close> = core.open(upgraded "")
    assert.equal("unreachable", failure(session.ready, session).kind)
    assert.is_nil(session:next())
  end)

  it("that never stands is bounded by a deadline, and closed twice without harm", function()
    local session = core.open(bare())
    assert.equal("timeout", failure(ctz.timeout, 0.02, session.ready, session).kind)
    assert.is_true(session:close())
    assert.is_true(session:close())
    assert.equal("usage", failure(session.ready, session).kind)
  end)

  it("is waited for by one task, which a close wakes", function()
    local session = core.open(bare())
    local waiting = ctz.spawn(function()
      return session:next()
    end)
    ctz.sleep(0)
    assert.equal("usage", failure(session.next, session).kind)
    session:close()
    assert.is_nil(waiting:await())
  end)

  it("takes over a connection once, and no other value", function()
    local handle = bare()
    local session <close> = core.open(handle)
    assert.equal("usage", failure(core.open, handle).kind)
    assert.equal("usage", failure(core.open, {}).kind)
    assert.equal("usage", failure(core.open, nil).kind)
    assert.equal("usage", failure(core.open, bare(), "localhost", { "odd" }).kind)
    assert.is_true(session:close())
  end)

  it("checks what it answers", function()
    local session <close> = core.open(bare())
    assert.equal("usage", failure(session.secret, session, 1, 5).kind)
    assert.equal("usage", failure(session.secret, session, 0, "x").kind)
    assert.equal("usage", failure(session.secret, session, 1, ("x"):rep(500 * 1024 + 1)).kind)
    assert.equal("usage", failure(session.credentials, session, 1, "me").kind)
    assert.equal("usage", failure(session.refuse, session, 1, "nonsense", "x").kind)
    assert.equal("usage", failure(session.refuse, session, 1, "ok", "x").kind)
    assert.is_true(session:secret(1, "nobody asked")) -- dropped
  end)

  it("that is collected unclosed closes its connection", function()
    local function open_connections()
      return tonumber(http.get(server:url("/count/x?http", "other")).body:match "%d+$")
    end
    local before = open_connections()
    for _ = 1, 20 do
      core.open(bare())
    end
    collectgarbage()
    collectgarbage()
    while open_connections() > before do -- the server sees it a moment later
      ctz.sleep(0.001)
    end
  end)
end)
