-- exec_spec.lua: programs inside a running container, and attaching to it, on a real engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

describe("containers.exec #live", function()
  local docker, container

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
    container = docker.run { image = engine.image, command = { "sleep", "1000" }, detach = true }
  end)

  teardown(function()
    container:remove { force = true }
    engine.is_clean()
  end)

  it("gives exit code and both streams", function()
    local result = container:exec { command = { "sh", "-c", "echo out; echo err >&2; exit 0" } }
    assert.same({ exit_code = 0, stdout = "out\n", stderr = "err\n" }, result)
  end)

  it("raises kind exit for another code than 0, and not with check=false", function()
    local _, err = ctz.try(container.exec, container, { command = { "sh", "-c", "echo no >&2; exit 5" } })
    assert.equal("exit", err.kind)
    assert.equal(5, err.exit_code)
    assert.equal("no\n", err.stderr)
    assert.equal(5, container:exec({ command = { "sh", "-c", "exit 5" }, check = false }).exit_code)
  end)

  it("tells a missing program by its exit code and a hint", function()
    local _, err = ctz.try(container.exec, container, { command = { "no-such-program" } })
    assert.equal("exit", err.kind)
    assert.is_true(err.exit_code == 126 or err.exit_code == 127)
    assert.equal("the image has no such program", err.hint)
  end)

  it("takes user, folder and environment; a secret is not shown", function()
    local token = ctz.secret "hidden-value-4711"
    local result = container:exec {
      command = { "sh", "-c", "id -u; pwd; echo $WORD; echo ${#TOKEN}" },
      user = "1000",
      workdir = "/tmp",
      env = { WORD = "hello", TOKEN = token },
    }
    assert.equal("1000\n/tmp\nhello\n17\n", result.stdout)
  end)

  it("feeds standard input to its end", function()
    local text = ("line\n"):rep(200000)
    local result = container:exec { command = { "wc", "-l" }, stdin = text }
    assert.equal(200000, math.tointeger(tonumber(result.stdout)))
  end)

  it("passes every byte", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    local all = table.concat(bytes):rep(500)
    assert.equal(all, container:exec({ command = { "cat" }, stdin = all }).stdout)
  end)

  it("is a conversation with stream=true", function()
    local program <close> = container:exec { command = { "cat" }, stdin = true, stream = true }
    program:write "one\n"
    local lines = program:lines()
    assert.same({ stream = "stdout", text = "one" }, lines(program))
    program:write "two\n"
    assert.same({ stream = "stdout", text = "two" }, lines(program))
    program:close_stdin()
    assert.is_nil(lines(program))
    assert.equal(0, program:wait())
  end)

  it("has a terminal that can be resized", function()
    local program <close> = container:exec {
      command = { "sh", "-c", "read wait; stty size" },
      stdin = true,
      tty = true,
      stream = true,
    }
    program:resize(33, 101)
    program:write "\n"
    local seen = {}
    for line in program:lines() do
      seen[#seen + 1] = line.text
    end
    assert.equal("33 101", seen[#seen])
    assert.equal(0, program:wait())
  end)

  it("is left by break without waiting for the program", function()
    local program = container:exec { command = { "sh", "-c", "while :; do echo x; sleep 0.01; done" }, stream = true }
    local count = 0
    for _ in program:lines() do
      count = count + 1
      if count == 5 then
        break
      end
    end
    assert.equal(5, count)
  end)

  it("refuses a command that is no list, with the way to a shell", function()
    local _, err = ctz.try(container.exec, container, { command = "ls /" })
    assert.equal("usage", err.kind)
    assert.truthy(err.hint:find("sh", 1, true))
  end)

  it("names a misspelt option", function()
    local _, err = ctz.try(container.exec, container, { comand = { "ls" } })
    assert.equal("usage", err.kind)
    assert.truthy(err.message:find("command", 1, true))
  end)
end)

describe("containers.attach #live", function()
  local docker

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
  end)

  teardown(engine.is_clean)

  it("talks with the first process both ways", function()
    local container = docker.containers.create { image = engine.image, command = { "cat" }, stdin = true }
    do
      local attached <close> = container:attach { stdin = true }
      container:start()
      attached:write "hello\n"
      local lines = attached:lines()
      assert.same({ stream = "stdout", text = "hello" }, lines(attached))
      attached:close_stdin()
      assert.is_nil(lines(attached))
    end
    assert.equal(0, container:wait())
    container:remove()
  end)
end)
