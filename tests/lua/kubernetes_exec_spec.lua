-- kubernetes_exec_spec.lua: exec and attach over WebSockets that are cut, late, old or wrong.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local core = require "ctz.core.kubernetes"
local streams = require "tests.lua.support.kube_streams"

describe("kubernetes exec", function()
  local server, k

  setup(function()
    server = streams.start()
    k = server:client()
  end)

  teardown(function()
    server:stop()
  end)

  local function failure(...)
    local value, err = ctz.try(...)
    assert.is_nil(value)
    return err
  end

  local function exec(target, opts)
    return k:exec(target, { "program" }, opts)
  end

  it("gives the exit code and both streams, also of a fragmented message", function()
    assert.same({ exit_code = 7, stdout = "one two\n", stderr = "no\n" }, exec("code", { check = false }))
    local err = failure(exec, "code")
    assert.equal("exit", err.kind)
    assert.equal(7, err.exit_code)
    assert.equal("no\n", err.stderr)
    assert.equal("one two\n", err.stdout)
    assert.matches("^program in pod/code in namespace default %(container main%) ended with exit code 7", err.message)
  end)

  it("sends every word by itself, and says what it wants", function()
    local result = k:exec("pod/words", { "sh", "-c", "echo 'a b' & $x", "", 5 }, { container = "side" })
    local query = ctz.json.decode(result.stdout)
    assert.same({ "sh", "-c", "echo 'a b' & $x", "5" }, query.command) -- Python leaves empty ones out
    assert.same({ "side" }, query.container)
    assert.same({ "false" }, query.stdin)
    assert.same({ "true" }, query.stderr)
  end)

  it("feeds standard input to its end and gets every byte back", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    local text = table.concat(bytes):rep(4000) -- 1 MB
    assert.equal(text, exec("echo", { stdin = text }).stdout)
    assert.equal("", exec("echo", { stdin = "" }).stdout)
    local count = 0
    local function pieces()
      count = count + 1
      return count <= 3 and "piece " .. count .. "\n" or nil
    end
    assert.equal("piece 1\npiece 2\npiece 3\n", exec("echo", { stdin = pieces }).stdout)
  end)

  it("calls functions with lines as they come", function()
    local out, err = {}, {}
    local result = exec("slices", {
      check = false,
      stdout = function(line)
        out[#out + 1] = line
      end,
      stderr = function(line)
        err[#err + 1] = line
      end,
    })
    assert.same({ exit_code = 3 }, result)
    assert.same({ ("x"):rep(300) }, out)
    assert.same({ "err" }, err)
  end)

  it("takes data that comes with the answer 101", function()
    assert.equal("at once", exec("together").stdout)
  end)

  it("talks both ways, resizes and leaves with stream=true", function()
    local program <close> = exec("echo", { stream = true, stdin = true, tty = true })
    program:write "hello"
    local parts = program:parts()
    local stream, bytes = parts(program)
    assert.equal("stdout", stream)
    assert.equal("hello", bytes)
    program:resize(24, 80)
    stream, bytes = parts(program)
    assert.equal("stderr", stream)
    assert.same({ Width = 80, Height = 24 }, ctz.json.decode(bytes))
    program:close_stdin()
    assert.equal(0, program:wait())
  end)

  it("says that an old server cannot end the standard input, and does without it", function()
    local err = failure(exec, "old", { stdin = "text" })
    assert.equal("unsupported", err.kind)
    assert.matches("speaks v4.channel.k8s.io, which cannot end the standard input", err.message)
    local program <close> = exec("old", { stream = true, stdin = true })
    program:write "hello"
    local _, bytes = program:parts()(program)
    assert.equal("hello", bytes)
  end)

  it("tells what is wrong on the way by its kind", function()
    assert.equal("not_found", failure(exec, "missing").kind)
    assert.equal("the image has no such program", failure(exec, "missing").hint)
    assert.equal("denied", failure(exec, "forbidden").kind)
    assert.equal("not_found", failure(exec, "none").kind)
    assert.equal("usage", failure(exec, "spdy").kind)
    assert.equal("protocol", failure(exec, "liar").kind)
    local other = failure(exec, "other")
    assert.equal("unsupported", other.kind)
    assert.matches("speaks v1.channel.k8s.io; ctz speaks v5.channel.k8s.io or v4.channel.k8s.io", other.message)
    assert.equal("unreachable", failure(exec, "drop").kind)
    assert.equal(9, exec("late", { check = false }).exit_code)
  end)

  it("refuses wrong calls before anything is sent", function()
    assert.equal("usage", failure(exec, "a/b/c").kind)
    assert.equal("usage", failure(exec, "").kind)
    assert.matches("expected a list of words", failure(k.exec, k, "echo", "ls -l").message)
    assert.matches("did you mean 'stdin'", failure(exec, "echo", { stdn = "x" }).message)
  end)

  it("holds what nobody takes within bounds", function()
    local program <close> = exec("flood", { stream = true })
    local size = 0
    collectgarbage()
    local before = collectgarbage "count"
    for _, bytes in program:parts() do
      size = size + #bytes
      if size % (1 << 20) == 0 then
        collectgarbage()
        assert.is_true(collectgarbage "count" - before < 4096)
      end
    end
    assert.equal(4 << 20, size)
    assert.equal(0, program:wait())
  end)

  it("answers a flood of pings", function()
    assert.equal("20000", exec("pings").stdout)
  end)

  it("ends when its task is cancelled, and can be closed twice", function()
    local err = failure(ctz.timeout, 0.2, exec, "echo", { stdin = true, stream = false })
    assert.equal("timeout", err.kind)
    local program = exec("echo", { stream = true, stdin = true })
    program:close()
    program:close()
    assert.equal("conflict", failure(program.write, program, "x").kind)
  end)

  it("attaches to what runs", function()
    local attached <close> = k:attach("pod/echo", { stdin = true })
    attached:write "line\nrest"
    attached:close_stdin()
    local lines = {}
    for line in attached:lines() do
      lines[#lines + 1] = line.text
    end
    assert.same({ "line", "rest" }, lines)
  end)
end)

describe("kubernetes.listen", function()
  it("carries bytes of a local connection both ways", function()
    local listener <close> = core.listen "127.0.0.1:0"
    assert.is_true(listener:port() > 0)
    local answer
    ctz.scope(function()
      ctz.spawn(function()
        local stream <close> = listener:accept()
        local request = stream:read()
        assert.matches("^GET /", request)
        stream:write "HTTP/1.0 200 OK\r\n\r\n"
        stream:write(("x"):rep(300000))
        stream:finish()
      end)
      answer = ctz.http.get("http://127.0.0.1:" .. listener:port() .. "/")
    end)
    assert.equal(300000, #answer.body)
  end)

  it("refuses what is no address and a port that is taken", function()
    for _, text in ipairs { "localhost:1", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "1:2", "[::1:5" } do
      local _, err = ctz.try(core.listen, text)
      assert.equal("usage", err.kind)
    end
    local listener <close> = core.listen "127.0.0.1:0"
    local _, err = ctz.try(core.listen, "127.0.0.1:" .. listener:port())
    assert.equal("EADDRINUSE", err.code)
  end)

  it("wakes who waits when it is closed", function()
    local listener = core.listen "127.0.0.1:0"
    local kind
    ctz.scope(function()
      ctz.spawn(function()
        local _, err = ctz.try(listener.accept, listener)
        kind = err.kind
      end)
      ctz.sleep(0.01)
      listener:close()
    end)
    assert.equal("conflict", kind)
  end)
end)
