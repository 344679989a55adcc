-- exec_spec.lua: programs inside running pods, and attaching to them, on a real cluster.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local pods = require "tests.lua.support.kube_pods"

describe("kubernetes exec #live", function()
  local k

  setup(function()
    k = pods.client()
    pods.run(k, "web", {
      main = { command = { "sleep", "1000" } },
      talks = { command = { "sh", "-c", "while read line; do echo got $line; done; exit 4" }, stdin = true },
    })
    pods.deploy(k, "app", 2, { main = { command = { "sleep", "1000" } } })
  end)

  teardown(function()
    pods.remove(k)
  end)

  local function failure(...)
    local value, err = ctz.try(...)
    assert.is_nil(value)
    return err
  end

  it("gives exit code and both streams", function()
    local result = k:exec("web", { "sh", "-c", "echo out; echo err >&2" })
    assert.same({ exit_code = 0, stdout = "out\n", stderr = "err\n" }, result)
    for _, code in ipairs { 1, 5, 126, 127, 137, 255 } do
      assert.equal(code, k:exec("web", { "sh", "-c", "exit " .. code }, { check = false }).exit_code)
    end
    local err = failure(k.exec, k, "web", { "sh", "-c", "echo no >&2; exit 5" })
    assert.equal("exit", err.kind)
    assert.equal(5, err.exit_code)
    assert.equal("no\n", err.stderr)
  end)

  it("passes every byte both ways", function()
    local bytes = {}
    for i = 0, 255 do
      bytes[#bytes + 1] = string.char(i)
    end
    local text = table.concat(bytes):rep(4096) -- 1 MB
    local result = k:exec("web", { "cat" }, { stdin = text })
    assert.equal(text, result.stdout)
    assert.equal("0\n", k:exec("web", { "wc", "-c" }, { stdin = "" }).stdout)
    assert.equal(ctz.hash.sha256(text), k:exec("web", { "sha256sum" }, { stdin = text }).stdout:match "%x+")
  end)

  it("passes every word as it is", function()
    local words = { "a b", "$HOME", "'", "&x=1", "é", "%41", "*" }
    local result = k:exec("web", { "printf", "%s|", table.unpack(words) })
    assert.equal(table.concat(words, "|") .. "|", result.stdout)
  end)

  it("has a terminal of the size it is told", function()
    local program <close> = k:exec("web", { "sh" }, { tty = true, stdin = true, stream = true })
    program:resize(33, 77)
    program:write "stty size; exit 3\n"
    local text = {}
    for _, bytes in program:parts() do
      text[#text + 1] = bytes
    end
    assert.matches("33 77", table.concat(text))
    assert.equal(3, program:wait())
  end)

  it("chooses a pod of a deployment and of a selector, and the container that is named", function()
    assert.matches("^app%-", k:exec("deployment/app", { "hostname" }).stdout)
    assert.matches("^app%-", k:exec({ selector = "app=app" }, { "hostname" }).stdout)
    assert.matches("^app%-", k:exec(k:get("deployment", "app"), { "hostname" }).stdout)
    assert.equal("web\n", k:exec("pod/web", { "hostname" }, { container = "talks" }).stdout)
  end)

  it("tells what is not there", function()
    assert.equal("not_found", failure(k.exec, k, "none", { "true" }).kind)
    assert.equal("not_found", failure(k.exec, k, "deployment/none", { "true" }).kind)
    assert.equal("not_found", failure(k.exec, k, { selector = "app=none" }, { "true" }).kind)
    local err = failure(k.exec, k, "web", { "no-such-program" })
    assert.equal("not_found", err.kind)
    assert.equal("the image has no such program", err.hint)
    assert.is_true(failure(k.exec, k, "web", { "true" }, { container = "none" }).kind ~= nil)
  end)

  it("streams more than memory holds, and stops when its reader does #real", function()
    local zeros = { "sh", "-c", "dd if=/dev/zero bs=1M count=64 2>/dev/null" }
    local program <close> = k:exec("web", zeros, { stream = true })
    local size = 0
    for _, bytes in program:parts() do
      size = size + #bytes
    end
    assert.equal(64 << 20, size)
    assert.equal(0, program:wait())
    local endless <close> = k:exec("web", { "yes" }, { stream = true })
    local count = 0
    for _ in endless:lines() do
      count = count + 1
      if count == 1000 then
        break
      end
    end
    assert.equal(1000, count)
  end)

  it("runs many at once", function()
    local list = {}
    for i = 1, 12 do
      list[i] = i
    end
    local codes = ctz.map(list, function(i)
      return k:exec("web", { "sh", "-c", "exit " .. i }, { check = false }).exit_code
    end, { jobs = 6 })
    assert.same(list, codes)
  end)

  it("attaches to the first process, whose end it tells", function()
    local attached <close> = k:attach("web", { container = "talks", stdin = true })
    attached:write "one\n"
    local lines = attached:lines()
    assert.equal("got one", lines(attached).text)
    attached:close_stdin()
    assert.is_true(attached:wait() >= 0)
  end)
end)
