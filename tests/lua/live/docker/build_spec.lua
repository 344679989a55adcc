-- build_spec.lua: docker.build on real engines, by both builders.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"

local docker, folder

-- The newest engine keeps what the classic builder made between the steps.
local function remove_images()
  local labelled = "/images/json?all=1&filters=%7B%22label%22%3A%5B%22ctz.run%22%5D%7D"
  for _ = 1, 10 do -- those that others are made of go after them
    local images = engine.get(labelled)
    for _, image in ipairs(images) do
      local path = "http://docker/images/" .. image.Id .. "?force=1"
      ctz.http.delete(path, { unix_socket = engine.socket(), check = false })
    end
    if #images == 0 then
      return
    end
  end
end

setup(function()
  docker = ctz.docker.connect { host = engine.host() }
end)

before_each(function()
  folder = program.folder()
end)

after_each(function()
  remove_images()
  program.remove(folder)
end)

local function write(files)
  for name, text in pairs(files) do
    ctz.fs.mkdir(ctz.path.dirname(folder .. "/" .. name), { parents = true })
    ctz.fs.write(folder .. "/" .. name, text)
  end
end

local function build(opts)
  opts.network = opts.network or "host"
  opts.on_progress = opts.on_progress or function() end
  return docker.build(opts)
end

local function failure(opts)
  opts.on_progress = opts.on_progress or function() end
  local value, err = ctz.try(docker.build, opts)
  assert.is_nil(value)
  assert.is_true(err:is "build")
  assert.is_true(err:is "container")
  return err
end

local function from(lines)
  return "FROM " .. engine.image .. "\n" .. lines
end

-- What stands in a folder of an image, sorted.
local function files_of(image, path)
  local command = { "sh", "-c", "cd " .. path .. " && find . -type f | sort" }
  local found = docker.run({ image = image, command = command, remove = true }).stdout
  return (found:gsub("%./", ""):gsub("\n", " "):gsub(" $", ""))
end

local function read(image, path)
  return docker.run({ image = image, command = { "cat", path }, remove = true }).stdout
end

for _, builder in ipairs { "classic", "buildkit" } do
  describe("docker.build, " .. builder .. " #live", function()
    teardown(engine.is_clean)

    local function with(opts)
      opts.builder = builder
      return opts
    end

    it("returns what was built", function()
      write { Dockerfile = from "RUN echo built > /result\nLABEL own=1\n" }
      local name = engine.name "build"
      local tags = { name .. ":1", name .. ":2" }
      local result = build(with { context = folder, tags = tags, labels = { a = 1, b = "x y" } })
      assert.equal(name .. ":1", result.image_name)
      assert.matches("^sha256:%x+$", result.image_id)
      assert.same({ name .. ":1", name .. ":2" }, result.tags)
      assert.is_true(result.build_time > 0)
      assert.is_true(result.size_bytes > 500000)
      assert.equal(result.size_bytes / 1000000, result.size_mb)
      assert.equal(2, #result.layers)
      assert.same({}, result.warnings)
      local labels = result.raw.Config.Labels
      assert.equal("1", labels.a)
      assert.equal("x y", labels.b)
      assert.equal("1", labels.own)
      assert.equal("built\n", read(name .. ":2", "/result"))
    end)

    it("tells steps with their times, their output, and what was sent", function()
      write { Dockerfile = from "RUN echo to-out; echo to-err >&2\nRUN echo second\n", data = ("x"):rep(3000000) }
      local steps, said, sent = {}, {}, nil
      build(with {
        context = folder,
        no_cache = true,
        on_progress = function(event)
          if event.type == "step" and event.name:find "^RUN" and event.state ~= "started" then
            steps[#steps + 1] = { event.name, event.state, event.number, event.total }
            assert.is_true(event.seconds >= 0)
          elseif event.type == "output" then
            said[event.stream] = (said[event.stream] or "") .. event.text
          elseif event.type == "context" then
            sent = event
          end
        end,
      })
      assert.same({
        { "RUN echo to-out; echo to-err >&2", "done", 2, 3 },
        { "RUN echo second", "done", 3, 3 },
      }, steps)
      assert.equal("to-out\nsecond\n", said.stdout)
      assert.equal("to-err\n", said.stderr)
      assert.is_true(sent.done)
      assert.is_true(sent.bytes > 3000000)
      assert.equal(2, sent.files)
    end)

    it("tells steps that come from the cache", function()
      write { Dockerfile = from("RUN echo " .. engine.name "cached" .. "\n") }
      build(with { context = folder })
      local states = {}
      local function on_progress(event)
        if event.type == "step" and event.name:find "^RUN" and event.state ~= "started" then
          states[#states + 1] = event.state
        end
      end
      build(with { context = folder, on_progress = on_progress })
      build(with { context = folder, on_progress = on_progress, no_cache = true })
      assert.same({ "cached", "done" }, states)
    end)

    it("raises what a failed step said, with its exit code", function()
      write { Dockerfile = from [[
RUN echo first
RUN for i in $(seq 30); do echo line $i; done; sleep 0.3; echo last words >&2; sleep 0.3; exit 42
]] }
      local states = {}
      local err = failure(with {
        context = folder,
        network = "host",
        on_progress = function(event)
          states[#states + 1] = event.state
        end,
      })
      assert.equal("exit", err.kind)
      assert.equal(42, err.exit_code)
      assert.matches("^RUN for i in", err.step)
      assert.equal(3, err.number)
      assert.matches("last words", err.output, 1, true)
      assert.matches("line 30", err.output, 1, true)
      assert.is_nil(err.output:find("line 5\n", 1, true))
      assert.equal(err.output, err.stderr)
      assert.matches("%(step 3 of 3%)", err.message)
      assert.equal("failed", states[#states])
    end)

    it("says which base image is missing", function()
      write { Dockerfile = "FROM no-such-image.invalid/x:1\n" }
      local err = failure(with { context = folder })
      assert.matches("no-such-image.invalid", err.message, 1, true)
      assert.is_nil(err.exit_code)
    end)

    it("says what is wrong with a Dockerfile", function()
      write { Dockerfile = from "RUNN echo\n" }
      local err = failure(with { context = folder })
      assert.matches("[Uu]nknown instruction: RUNN", err.message)
    end)

    it("sends what the ignore file leaves, and keeps the modes of files", function()
      write {
        Dockerfile = from "COPY . /all\n",
        [".dockerignore"] = "**/*.log\nsecret\n!keep.log\ndir\n!dir/*.md\n",
        ["a.txt"] = "a", ["a.log"] = "", ["keep.log"] = "", ["sub/b.log"] = "", ["sub/b.txt"] = "",
        ["secret/key"] = "", ["dir/x.md"] = "", ["dir/y"] = "",
      }
      ctz.fs.chmod(folder .. "/a.txt", 448) -- 0700
      ctz.fs.symlink("a.txt", folder .. "/link")
      local result = build(with { context = folder })
      assert.equal(".dockerignore Dockerfile a.txt dir/x.md keep.log sub/b.txt", files_of(result.image_id, "/all"))
      local command = { "ls", "-ln", "/all/a.txt", "/all/link" }
      local listed = docker.run { image = result.image_id, command = command, remove = true }
      assert.matches("^%-rwx%-%-%-%-%-%-%s+1 0%s+0 ", listed.stdout)
      assert.matches("link %-> a.txt", listed.stdout)
    end)

    it("finds the Dockerfile also when the ignore file names it", function()
      write { Dockerfile = from "COPY . /all\n", [".dockerignore"] = "*\n!a\n", a = "" }
      local files = files_of(build(with { context = folder }).image_id, "/all")
      assert.equal(builder == "classic" and "a" or "Dockerfile a", files) -- docs/docker.md has the reason
    end)

    it("prefers the ignore file of the Dockerfile", function()
      write {
        ["build/Other"] = from "COPY . /all\n",
        ["build/Other.dockerignore"] = "build\nx\n.dockerignore\n",
        [".dockerignore"] = "y\n",
        x = "", y = "", z = "",
      }
      local files = files_of(build(with { context = folder, dockerfile = "build/Other" }).image_id, "/all")
      assert.matches("y z$", files)
      assert.is_nil(files:find "x")
    end)

    it("takes a Dockerfile outside of the context", function()
      write { ["other/My.dockerfile"] = from "COPY a /a\n", ["ctx/a"] = "inside" }
      write { ["ctx/Dockerfile"] = "FROM broken:(\n" }
      write { ["other/All"] = from "COPY . /all\n", ["other/All.dockerignore"] = "Dockerfile\n" }
      local outside = folder .. "/other/My.dockerfile"
      local result = build(with { context = folder .. "/ctx", dockerfile = outside })
      assert.equal("inside", read(result.image_id, "/a"))
      result = build(with { context = folder .. "/ctx", dockerfile = folder .. "/other/All" })
      local files = files_of(result.image_id, "/all"):gsub("%.dockerfile%.%x+", ".dockerfile.X")
      assert.equal(builder == "classic" and "a" or ".dockerfile.X a", files)
    end)

    it("takes the text of a Dockerfile, with a context and without", function()
      write { a = "from the context" }
      local result = build(with { context = folder, dockerfile = from "COPY a /a\n" })
      assert.equal("from the context", read(result.image_id, "/a"))
      result = build(with { dockerfile = from "RUN echo alone > /a\n" })
      assert.equal("alone\n", read(result.image_id, "/a"))
    end)

    it("gives args, stops at the target, and has several stages", function()
      write {
        Dockerfile = from("ARG WORD=none\nRUN echo $WORD > /word\nFROM " .. engine.image
          .. " AS two\nCOPY --from=0 /word /two\nFROM two AS three\nRUN echo never > /three\n"),
      }
      local result = build(with { context = folder, target = "two", args = { WORD = "given" } })
      assert.equal("given\n", read(result.image_id, "/two"))
      assert.is_nil(files_of(result.image_id, "/"):find("three", 1, true))
    end)

    it("builds for a platform and with more hosts", function()
      write { Dockerfile = from "RUN cat /etc/hosts > /hosts\n" }
      local result = build(with {
        context = folder, platform = "linux/amd64", extra_hosts = { "mirror:10.1.2.3" }, no_cache = true,
        network = "none",
      })
      assert.matches("10.1.2.3%s+mirror", read(result.image_id, "/hosts"))
      assert.equal("amd64", result.raw.Architecture)
    end)

    it("leaves nothing when a file changes while it is sent", function()
      write { Dockerfile = from "COPY . /x\n", big = ("x"):rep(20000000) }
      local err = failure(with {
        context = folder,
        on_progress = function(event)
          if event.type == "context" and not event.done then
            ctz.process.run { "truncate", "-s", "100", folder .. "/big" }
          end
        end,
      })
      assert.equal("conflict", err.kind)
      assert.equal(folder .. "/big", err.target)
    end)

    it("ends when it is cancelled or its time is over, and on the engine too", function()
      local seconds = ("6%d7"):format(programs.self())
      write { Dockerfile = from("RUN sleep " .. seconds .. "\n") }
      local function runs()
        return #programs.with(seconds) > 0
      end
      local function wait_until(wanted)
        while runs() ~= wanted do
          ctz.sleep(0.05)
        end
      end
      local task = ctz.spawn(function()
        build(with { context = folder })
      end, { background = true })
      wait_until(true)
      task:cancel()
      wait_until(false)
      local err = failure(with { context = folder, timeout = 0.5, network = "host" })
      assert.equal("timeout", err.kind)
      wait_until(false)
    end)
  end)
end

describe("docker.build #live", function()
  teardown(engine.is_clean)

  it("takes BuildKit where the engine prefers it, or where the Dockerfile needs it", function()
    local newer = tonumber(engine.api:match "%d+$") >= 42
    local function comment(dockerfile)
      write { Dockerfile = dockerfile, x = "" }
      return build({ context = folder, no_cache = true }).raw.Comment
    end
    local plain = comment(from "RUN true\n")
    assert.equal(newer and "buildkit.dockerfile.v0" or nil, plain ~= "" and plain or nil)
    assert.equal("buildkit.dockerfile.v0", comment(from "RUN --mount=type=tmpfs,target=/t true\n"))
    assert.equal("buildkit.dockerfile.v0", comment(from "COPY --chmod=600 x /x\n"))
  end)

  it("gives secrets from the environment, from files and as values, and leaves none behind", function()
    write { Dockerfile = from [[
RUN --mount=type=secret,id=e --mount=type=secret,id=f --mount=type=secret,id=v \
    cat /run/secrets/e /run/secrets/f /run/secrets/v | sha256sum > /sum
]], token = "from-a-file", [".dockerignore"] = "token\n" }
    local result = build {
      context = folder,
      secrets = { e = { env = "PATH" }, f = { file = folder .. "/token" }, v = { value = ctz.secret "a-value" } },
    }
    local wanted = ctz.hash.sha256(ctz.env.PATH .. "from-a-file" .. "a-value")
    assert.matches("^" .. wanted, read(result.image_id, "/sum"))
  end)

  it("says which secret is missing, before and while it builds", function()
    write { Dockerfile = from "RUN --mount=type=secret,id=tokn,required=true cat /run/secrets/tokn\n" }
    local err = failure { context = folder, secrets = { token = { value = "x" } } }
    assert.matches('did you mean "token"', err.hint, 1, true)
    err = failure { context = folder, secrets = { token = { env = "NO_SUCH_NAME_HERE" } } }
    assert.equal("not_found", err.kind)
    err = failure { context = folder, secrets = { token = { file = folder .. "/none" } } }
    assert.equal("not_found", err.kind)
    err = failure { context = folder, secrets = { token = { env = "A", file = "b" } } }
    assert.equal("usage", err.kind)
    err = failure { context = folder, secrets = { token = { value = "x" } }, builder = "classic" }
    assert.equal("usage", err.kind)
  end)

  it("tells args that nothing takes", function()
    write { Dockerfile = from "RUN true\n" }
    local result = build { context = folder, args = { NOBODY = "1" }, builder = "classic" }
    assert.matches("NOBODY", result.warnings[1])
  end)

  it("refuses what is wrong before anything is sent", function()
    write { Dockerfile = from "", [".dockerignore"] = "ok\n[\n", ["b/Dockerfile"] = from "" }
    local kinds = {
      { {}, "usage" },
      { { context = folder .. "/none" }, "not_found" },
      { { context = folder .. "/Dockerfile" }, "usage" },
      { { context = folder, dockerfile = "none" }, "not_found" },
      { { context = folder }, "usage", "%.dockerignore:2" },
      { { context = folder .. "/b", tags = "UPPER" }, "usage" },
      { { context = folder .. "/b", tags = { "a", "../b" } }, "usage" },
      { { context = folder .. "/b", tags = 1 }, "usage" },
      { { context = folder .. "/b", args = { A = {} } }, "usage" },
      { { context = folder .. "/b", args = { A = ctz.secret "xyz" } }, "usage", "secret" },
      { { context = folder .. "/b", builder = "kaniko" }, "usage" },
      { { context = folder .. "/b", dockerfle = "x" }, "usage", "did you mean 'dockerfile'" },
    }
    for _, one in ipairs(kinds) do
      local err = failure(one[1])
      assert.equal(one[2], err.kind, err.message)
      assert.matches(one[3] or "", err.message)
    end
  end)

  it("fails when the engine ends in the middle", function()
    local own <close> = engine.own()
    local client = ctz.docker.connect { host = own.host }
    for _, builder in ipairs { "classic", "buildkit" } do
      local killed
      local _, err = ctz.try(client.build, {
        dockerfile = from "RUN echo begun; sleep 600\n",
        builder = builder,
        network = "host",
        on_progress = function(event)
          if not killed and event.type == "step" and event.name:find "^RUN" then
            killed = true
            own:down { kill = true }
          end
        end,
      })
      assert.is_true(killed)
      assert.is_truthy(err.kind == "unreachable" or err.kind == "protocol", err.kind .. ": " .. err.message)
      own:up()
    end
  end)
end)
