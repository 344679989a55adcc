-- http_upgrade_spec.lua: connections that a recipe holds: nothing asked, both ways, over a unix socket.
local ctz = require "ctz"
local faults = dofile "tests/testbed/http_faults.lua"
local program = require "tests.lua.support.program"
local http = ctz.http

local server, folder

setup(function()
  server = faults.start()
end)

teardown(function()
  server:stop()
end)

before_each(function()
  folder = program.folder()
end)

after_each(function()
  program.remove(folder)
end)

local function url(path, name)
  return server:url(path, name)
end

local function failure(fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  return err
end

describe("ctz.http.connect", function()
  local request = "POST /upgrade HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"

  it("gives a connection on which nothing was asked", function()
    local connection <close> = http.connect(url "/ignored")
    connection:write(request)
    assert.equal("HTTP/1.1 101", connection:read(12))
    connection:close_write()
    assert.matches("greeting\nbye\n$", connection:read(10000))
  end)

  it("works over a unix socket", function()
    local connection <close> = http.connect("http://docker/", { unix_socket = server.folder .. "/http.sock" })
    connection:write "GET /hello HTTP/1.0\r\n\r\n"
    assert.equal("HTTP/1.1 200", connection:read(12))
  end)

  it("raises unreachable when nobody listens, and unknown options as usage", function()
    assert.equal("unreachable", failure(http.connect, "http://127.0.0.1:1/").kind)
    assert.equal("unreachable", failure(http.connect, "http://a/", { unix_socket = "/no/such.sock" }).kind)
    assert.equal("usage", failure(http.connect, url "/", { protocl = "x" }).kind)
  end)

  it("is handed on once, and not while somebody waits on it or when bytes were taken from it", function()
    local connection = http.connect(url "/ignored")
    connection:write(request)
    assert.equal("H", connection:read(1))
    assert.equal("usage", failure(connection.exchange.hand_over, connection.exchange).kind)
    connection:close()
    connection = http.connect(url "/ignored")
    local reader = ctz.spawn(function()
      return ctz.try(connection.read, connection)
    end)
    ctz.sleep(0)
    assert.equal("usage", failure(connection.exchange.hand_over, connection.exchange).kind)
    reader:cancel()
    ctz.sleep(0)
    assert.equal("userdata", type(connection.exchange:hand_over()))
    assert.equal("conflict", failure(connection.exchange.hand_over, connection.exchange).kind)
    assert.equal("conflict", failure(connection.write, connection, "x").kind)
    collectgarbage() -- nobody took it: it closes
  end)
end)

describe("ctz.http.upgrade", function()
  it("gives a connection both ways, with what came behind the head", function()
    local connection <close> = http.upgrade(url "/upgrade", { protocol = "tcp", method = "POST" })
    assert.equal(101, connection.status)
    assert.equal("greeting\n", connection:read(9))
    assert.is_true(connection:write "hello")
    assert.equal("HELLO", connection:read(5))
    connection:close_write()
    assert.equal("bye\n", connection:read(100))
    assert.is_nil(connection:read())
  end)

  it("reads lines", function()
    local connection <close> = http.upgrade(url "/upgrade", { protocol = "tcp" })
    connection:write "a\nb\n"
    local lines = {}
    for line in connection:lines() do
      lines[#lines + 1] = line
      if #lines == 3 then
        connection:close_write()
      end
    end
    assert.same({ "greeting", "A", "B", "bye" }, lines)
  end)

  it("carries 4 MB both ways at once", function()
    local connection <close> = http.upgrade(url "/upgrade", { protocol = "tcp" })
    connection:read(9)
    local block = ("abcdefgh"):rep(8192)
    ctz.scope(function()
      ctz.spawn(function()
        for _ = 1, 64 do
          connection:write(block)
        end
        connection:close_write()
      end)
      local count = 0
      for chunk in connection:chunks() do
        count = count + #chunk
      end
      assert.equal(64 * #block + 4, count)
    end)
  end)

  it("works over a unix socket", function()
    local connection <close> = http.upgrade("http://docker/upgrade", {
      protocol = "tcp", unix_socket = server.folder .. "/http.sock",
    })
    assert.equal("greeting\n", connection:read(9))
  end)

  it("raises with the server's words when it is no 101", function()
    local err = failure(http.upgrade, url "/upgrade", { protocol = "other" })
    assert.equal("usage", err.kind)
    assert.matches("no upgrade", err.message)
    err = failure(http.upgrade, url "/chunked-error", { protocol = "tcp" })
    assert.equal(500, err.status)
    assert.matches("broken !", err.message)
    assert.equal("protocol", failure(http.upgrade, url "/hello", { protocol = "tcp" }).kind)
    assert.equal("timeout", failure(http.upgrade, url "/silent", { protocol = "tcp", timeout = 0.05 }).kind)
    assert.equal("unreachable", failure(http.upgrade, "http://127.0.0.1:1/", { protocol = "tcp" }).kind)
    assert.equal("protocol", failure(http.upgrade, url "/raw?U1NILTIuMAo=", { protocol = "tcp" }).kind)
    assert.equal("size", failure(http.upgrade, url "/headers/10000/100", { protocol = "tcp" }).kind)
  end)

  it("is cancelled at random points without harm", function()
    for i = 1, tonumber(os.getenv "CTZ_CANCELS" or 500) // 2 do
      local task = ctz.spawn(function()
        local connection <close> = http.upgrade(url "/upgrade", { protocol = "tcp" })
        connection:write(("x"):rep(100000))
        for _ in connection:chunks() do
          ctz.sleep(0)
        end
      end)
      for _ = 1, i % 17 do
        ctz.sleep(0)
      end
      if i % 3 == 0 then
        ctz.sleep(0.001)
      end
      task:cancel()
    end
    assert.equal("hello", http.get(url "/hello").body)
  end)
end)

describe("a unix socket", function()
  local function over(socket, opts)
    opts = opts or {}
    opts.unix_socket = socket
    return http.get("http://docker/hello", opts)
  end

  it("carries requests; no proxy is asked", function()
    assert.equal("hello", over(server.folder .. "/http.sock").body)
    assert.equal("hello", over(server.folder .. "/http.sock", { proxy = "http://127.0.0.1:1" }).body)
  end)

  it("that cannot be used is named, with the reason", function()
    local err = failure(over, folder .. "/none.sock")
    assert.equal("unreachable", err.kind)
    assert.matches("cannot connect to " .. folder .. "/none.sock: no such file", err.message, 1, true)
    program.write(folder .. "/plain", "")
    assert.matches("/plain: ", failure(over, folder .. "/plain").message, 1, true)
    os.execute(("python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('%s/stale')\""):format(folder))
    err = failure(over, folder .. "/stale")
    assert.matches("left over", err.hint)
    err = failure(over, "/" .. ("x"):rep(108))
    assert.equal("usage", err.kind)
    assert.matches("109 bytes", err.message)
  end)

  it("redirects to itself only", function()
    local opts = { unix_socket = server.folder .. "/http.sock" }
    assert.equal("http://docker/hello", http.get("http://docker/redirect/302?/hello", opts).url)
    local err = failure(http.get, "http://docker/redirect/302?" .. url "/hello", opts)
    assert.equal("denied", err.kind)
  end)
end)
