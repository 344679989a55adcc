-- simulate_spec.lua: the engine in memory, as tests of recipes use it. What it has in common with real
-- engines is in tests/lua/live/docker, which is run beside both.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local simulate = require "ctz.simulate"

local IMAGE <const> = "box:1"

local function box(more)
  local opts = { images = { [IMAGE] = { command = { "sh" }, programs = {} } } }
  for name, value in pairs(more or {}) do
    opts[name] = value
  end
  return simulate.engine(opts)
end

local function error_of(kind, fn, ...)
  local value, err = ctz.try(fn, ...)
  assert.is_nil(value)
  assert.equal(kind, err.kind, tostring(err))
  return err
end

local function first_line(container, opts)
  for line in container:logs(opts) do -- luacheck: ignore 512
    return line
  end
end

describe("ctz.simulate.engine", function()
  local engine, docker

  before_each(function()
    engine = box()
    docker = engine.docker
  end)

  local function run(command, config)
    config = config or {}
    config.image, config.command = IMAGE, command
    return docker.run(config)
  end

  local function start(command, config)
    config = config or {}
    config.detach = true
    return run(command, config)
  end

  it("says of each result that it is simulated, also of items and of what methods give", function()
    assert.is_true(run({ "true" }).simulated)
    local container = start { "sleep", "1000" }
    assert.is_true(container.simulated)
    assert.is_true(container:inspect().simulated)
    assert.is_true(container:exec({ command = { "true" } }).simulated)
    assert.is_true(docker.containers.list()[1].simulated)
    assert.is_true(docker.networks.list()[1].simulated)
    assert.is_true(docker.networks.create("front"):inspect().simulated)
    assert.is_true(docker.volumes.create("data").simulated)
    assert.is_true(docker.images.list()[1].simulated)
    assert.is_true(docker.system.version().simulated)
    local writer = start { "echo", "x" }
    writer:wait()
    for line in writer:logs() do
      assert.same({ stream = "stdout", text = "x", simulated = true }, line)
    end
    local err = error_of("not_found", docker.containers.get, "nobody")
    assert.is_true(err.simulated)
    assert.is_true(error_of("exit", run, { "false" }).simulated)
    assert.is_true(error_of("exit", container.exec, container, { command = { "false" } }).simulated)
  end)

  it("runs programs of the test, with arguments, environment and streams", function()
    engine = simulate.engine {
      images = { "app:1" },
      programs = {
        migrate = function(argv, io)
          io.write(argv[0], " ", argv[1], " ", io.env.TARGET, " ", io.cwd, " ", io.container.name, "\n")
          io.stderr "warning\n"
          io.write((io.read()))
          return 4
        end,
      },
    }
    local result = engine.docker.run {
      image = "app:1",
      name = "job",
      command = { "migrate", "up" },
      environment = { TARGET = "test" },
      workdir = "/srv",
      stdin = "typed",
      check = false,
    }
    assert.equal("migrate up test /srv job\ntyped", result.stdout)
    assert.equal("warning\n", result.stderr)
    assert.equal(4, result.exit_code)
  end)

  it("runs programs of an image only there", function()
    engine = simulate.engine {
      images = {
        ["app:1"] = {
          command = { "serve" },
          programs = {
            serve = function(_, io)
              io.write "serving\n"
            end,
          },
        },
        ["other:1"] = { command = { "serve" }, programs = {} },
      },
    }
    assert.equal("serving\n", engine.docker.run({ image = "app:1" }).stdout)
    local err = error_of("not_found", engine.docker.run, { image = "other:1" })
    assert.matches('exec: "serve": executable file not found in $PATH', err.message, 1, true)
  end)

  it("lets a program of the test answer signals, or be ended by them", function()
    engine = simulate.engine {
      images = { "app:1" },
      programs = {
        polite = function(_, io)
          io.trap("TERM", function()
            io.write "bye\n"
            io.exit(3)
          end)
          io.sleep(1000)
        end,
        plain = function(_, io)
          io.sleep(1000)
        end,
        deaf = function(_, io)
          io.trap("TERM", false)
          io.sleep(1000)
        end,
      },
    }
    local codes = {}
    for i, name in ipairs { "polite", "plain", "deaf" } do
      local container = engine.docker.run { image = "app:1", command = { name }, detach = true }
      container:stop { grace = 1 }
      codes[i] = container:wait()
      if name == "polite" then
        assert.equal("bye", first_line(container).text)
      end
    end
    assert.same({ 3, 143, 137 }, codes)
  end)

  it("ends a program that fails with code 1, and tells why on its error stream", function()
    engine = simulate.engine {
      images = { "app:1" },
      programs = {
        broken = function()
          error("no such table", 0)
        end,
      },
    }
    local err = error_of("exit", engine.docker.run, { image = "app:1", command = { "broken" } })
    assert.equal(1, err.exit_code)
    assert.equal("broken: no such table\n", err.stderr)
  end)

  it("notes what was asked of it, and what happened", function()
    run({ "true" }, { name = "job", remove = true })
    local paths = {}
    for _, call in ipairs(engine:calls "^docker%.run$") do
      paths[#paths + 1] = call.method .. " " .. call.path:gsub("%x+", function(digits)
        return #digits == 64 and "ID" or nil
      end) .. " " .. call.status
    end
    assert.equal("POST /containers/create 201", paths[1])
    assert.truthy(table.concat(paths, "\n"):find("POST /containers/ID/start 204", 1, true))
    assert.equal("job", engine:calls("^docker%.run$")[1].query.name)
    local actions = {}
    for _, event in ipairs(engine:events()) do
      actions[#actions + 1] = event.Type .. " " .. event.Action
    end
    assert.same({
      "container create", "container attach", "network connect", "container start", "container die",
      "network disconnect", "container destroy",
    }, actions)
  end)

  it("is as at the beginning after reset", function()
    start({ "sleep", "1000" }, { name = "job" })
    docker.networks.create "front"
    engine:reset()
    assert.same({}, engine:calls())
    assert.same({}, engine:events())
    assert.is_nil(engine.docker.containers.find "job")
    assert.is_nil(engine.docker.networks.find "front")
    assert.equal(1, #engine.docker.images.list())
  end)

  it("is what ctz.docker means while it is used", function()
    do
      local used <close> = engine:use()
      assert.truthy(used)
      ctz.docker.volumes.create "data"
      assert.is_true(ctz.docker.connect({ host = "tcp://elsewhere:2375" }).volumes.get("data").simulated)
    end
    local _, err = ctz.try(ctz.docker.connect({ host = "unix:///none.sock" }).volumes.get, "data")
    assert.equal("unreachable", err.kind)
    assert.equal("data", docker.volumes.list()[1].name)
  end)

  it("keeps engines apart", function()
    local other = box()
    docker.volumes.create "data"
    assert.same({}, other.docker.volumes.list())
  end)

  it("lets time pass at once: what sleeps, restarts and is checked goes on", function()
    local sleeper = start { "sh", "-c", "sleep 3600; echo done" }
    local checked = start({ "sh", "-c", "sleep 60; touch /ready; sleep 100000" }, {
      healthcheck = { command = { "test", "-e", "/ready" }, interval = 30, retries = 10 },
    })
    local restarted = start({ "sh", "-c", "echo again; sleep 10; exit 1" }, { restart_policy = "on-failure:3" })
    assert.equal("starting", checked:inspect().State.Health.Status)
    engine:skip(3601)
    assert.equal(0, sleeper:wait())
    assert.equal("healthy", checked:inspect().State.Health.Status)
    local state = restarted:inspect()
    assert.equal("exited", state.State.Status)
    assert.equal(3, state.RestartCount)
    local count = 0
    for _ in restarted:logs() do
      count = count + 1
    end
    assert.equal(4, count)
  end)

  it("restarts until it is stopped", function()
    local container = start({ "sh", "-c", "exit 2" }, { restart_policy = "always" })
    engine:skip(1)
    local state = container:inspect()
    assert.equal("restarting", state.State.Status)
    assert.is_true(state.RestartCount > 1)
    assert.is_true(container:stop())
    engine:skip(100)
    assert.equal("exited", container:refresh().status)
    assert.equal(2, container:wait())
  end)

  it("freezes what is paused", function()
    local container = start { "sh", "-c", "while :; do echo x; sleep 1; done" }
    engine:skip(5)
    container:pause()
    local function count()
      local lines = 0
      for _ in container:logs() do
        lines = lines + 1
      end
      return lines
    end
    local before = count()
    assert.is_true(before >= 5)
    engine:skip(10)
    assert.equal(before, count())
    container:unpause()
    engine:skip(2)
    assert.is_true(count() > before)
  end)

  it("tells when it makes up for time that passed while nobody asked", function()
    local container = start { "sh", "-c", "sleep 0.05; echo late" }
    local began = ctz.time.now()
    ctz.sleep(0.2)
    local line = first_line(container, { timestamps = true })
    assert.equal("late", line.text)
    assert.near(began + 0.05, line.time, 0.04)
    assert.near(began + 0.05, ctz.time.parse(container:inspect().State.FinishedAt), 0.04)
  end)

  it("wakes a task that waits when another one changes something", function()
    local container = start { "sleep", "1000" }
    local code
    ctz.scope(function()
      ctz.spawn(function()
        code = container:wait()
      end)
      ctz.sleep(0.01)
      container:kill()
    end)
    assert.equal(137, code)
  end)

  it("is left by a deadline and by a cancel like any wait", function()
    local container = start { "sleep", "1000" }
    error_of("timeout", ctz.timeout, 0.05, container.wait, container)
    ctz.scope(function(scope)
      ctz.spawn(function()
        container:wait()
      end)
      ctz.sleep(0.01)
      scope:cancel()
    end)
    assert.is_true(container:refresh().is_running)
  end)

  it("refuses a port that is taken, and gives one that is free", function()
    start({ "sleep", "1000" }, { ports = { "8080:80" } })
    local other = docker.containers.create { image = IMAGE, command = { "sleep", "1000" }, ports = { "8080:80" } }
    local err = error_of("conflict", other.start, other)
    assert.matches("port is already allocated", err.message)
    local free = start({ "sleep", "1000" }, { ports = { "80" } })
    assert.is_true(free.ports[1].host_port > 1024)
  end)

  it("shares volumes between containers, and files go with their container", function()
    run({ "sh", "-c", "echo kept > /data/f; echo lost > /f" }, { volumes = { "store:/data" } })
    local result = run({ "sh", "-c", "cat /data/f; cat /f" }, { volumes = { "store:/data" }, check = false })
    assert.equal("kept\n", result.stdout)
    assert.equal(1, result.exit_code)
  end)

  it("takes files in and gives them out, with names of any length", function()
    local folder <close> = ctz.fs.tempdir()
    local long = ("deep"):rep(20) .. "/" .. ("name"):rep(30) .. ".txt"
    ctz.fs.mkdir(folder.path .. "/site/" .. ("deep"):rep(20), { parents = true })
    ctz.fs.write(folder.path .. "/site/index.html", "hello\n")
    ctz.fs.write(folder.path .. "/site/" .. long, ("x"):rep(1500))
    local container = start { "sleep", "1000" }
    container:copy_in(folder.path .. "/site", "/srv")
    assert.equal("hello\n", container:exec({ command = { "cat", "/srv/index.html" } }).stdout)
    assert.equal("1500\n", container:exec({ command = { "sh", "-c", "cat /srv/" .. long .. " | wc -c" } }).stdout)
    container:exec { command = { "sh", "-c", "echo more > /srv/new" } }
    container:copy_out("/srv", folder.path .. "/out")
    assert.equal("more\n", ctz.fs.read(folder.path .. "/out/new"))
    assert.equal(1500, #ctz.fs.read(folder.path .. "/out/" .. long))
    error_of("not_found", container.copy_out, container, "/none", folder.path .. "/none")
    error_of("conflict", container.copy_in, container, folder.path .. "/site", "/srv/new")
    container:export { to = folder.path .. "/all.tar" }
    assert.matches("srv/index.html", ctz.fs.read(folder.path .. "/all.tar"), 1, true)
  end)

  it("pulls what a registry has, and everything when none is named", function()
    assert.equal("any:1", docker.images.pull("any:1").full_name)
    engine = simulate.engine { registry = { "there:1" } }
    assert.equal("there:1", engine.docker.images.pull("there:1").full_name)
    local err = error_of("denied", engine.docker.images.pull, "nope:1")
    assert.matches("pull access denied for nope", err.message, 1, true)
    err = error_of("not_found", engine.docker.containers.create, { image = "there:2" })
    assert.matches("did you mean there:1", err.hint, 1, true)
  end)

  it("works as a service in an image of which nothing is known", function()
    local container = docker.run { image = "web:7", ports = { "80" }, detach = true }
    assert.is_true(container:wait_until { port = 80, http = 80, timeout = 5 })
    assert.is_true(container:stop())
    assert.equal(0, container:wait())
  end)

  it("speaks a newer API when it is told to", function()
    engine = box { api = "1.44" }
    assert.equal("1.44", engine.docker.system.version().api_version)
    engine.docker.networks.create "a"
    engine.docker.networks.create "b"
    local container = engine.docker.run {
      image = IMAGE,
      command = { "sleep", "9" },
      networks = { "a", "b" },
      detach = true,
    }
    local names = {}
    for name in pairs(container:inspect().NetworkSettings.Networks) do
      names[#names + 1] = name
    end
    table.sort(names)
    assert.same({ "a", "b" }, names)
  end)

  it("lets a program wait by what is not its own, while others ask the engine", function()
    engine = simulate.engine {
      images = { "app:1" },
      programs = {
        slow = function(_, io)
          ctz.sleep(0.1)
          io.write "slept\n"
        end,
      },
    }
    local first, second
    ctz.scope(function()
      ctz.spawn(function()
        first = engine.docker.run { image = "app:1", command = { "slow" } }
      end)
      ctz.spawn(function()
        ctz.sleep(0.03)
        second = engine.docker.run { image = "app:1", command = { "echo", "other" } }
      end)
    end)
    assert.same({ "slept\n", "other\n" }, { first.stdout, second.stdout })
  end)

  it("ends a program that waits by what is not its own with the task that drove it", function()
    engine = simulate.engine {
      images = { "app:1" },
      programs = {
        stuck = function()
          ctz.sleep(1000)
        end,
      },
    }
    local container = engine.docker.run { image = "app:1", command = { "stuck" }, detach = true }
    ctz.scope(function(scope)
      ctz.spawn(function()
        container:wait()
      end)
      ctz.sleep(0.05)
      scope:cancel()
    end)
    assert.equal(137, container:wait())
  end)

  it("lets a program ask the engine that it runs on", function()
    engine = simulate.engine {
      images = { "app:1" },
      programs = {
        inner = function(_, io)
          engine.docker.volumes.create "made-inside"
          io.write(#engine.docker.containers.list(), "\n")
        end,
      },
    }
    assert.equal("1\n", engine.docker.run({ image = "app:1", command = { "inner" } }).stdout)
    assert.equal("made-inside", engine.docker.volumes.list()[1].name)
  end)

  it("refuses options that are wrong, and names them", function()
    for opts, words in pairs {
      [{ program = {} }] = "did you mean 'programs'",
      [{ programs = { x = 1 } }] = "the program x is a function(argv, io), got number",
      [{ programs = { print } }] = "the program 1 is a function",
      [{ images = { 7 } }] = "images: 7 is no name of an image",
      [{ images = { "A B" } }] = "images: A B is no name of an image",
      [{ images = { ["a:1"] = { comand = {} } } }] = "did you mean 'command'",
      [{ images = { ["a:1"] = { programs = { x = true } } } }] = "a:1: the program x is a function",
      [{ images = { ["a:1"] = { healthcheck = {} } } }] = "needs the option 'command'",
      [{ registry = { ["a:1"] = 4 } }] = "registry a:1",
      [{ api = "newest" }] = "expected a version",
    } do
      assert.matches(words, error_of("usage", simulate.engine, opts).message, 1, true)
    end
  end)

  it("knows nothing of what happened before the last 10,000 calls", function()
    for _ = 1, 10010 do
      engine:get "/_ping"
      docker.volumes.find "none"
    end
    assert.equal(10000, #engine:calls())
  end)

  it("keeps up with many at once", function()
    local codes = ctz.map({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, function(i)
      return run({ "sh", "-c", ("sleep 0.0%d; echo %d; exit %d"):format(i, i, i) }, { check = false }).exit_code
    end, { jobs = 10 })
    assert.same({ 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 }, codes)
  end)
end)

describe("what the simulated engine does not model", function()
  local docker

  before_each(function()
    docker = simulate.engine({ images = { [IMAGE] = { command = { "sh" }, is_known = true } } }).docker
  end)

  it("is unsupported, and named", function()
    local container = docker.run { image = IMAGE, command = { "sleep", "1000" }, detach = true }
    local err = error_of("unsupported", container.metrics, container)
    assert.matches("does not model GET /containers/%x+/stats", err.message)
    assert.is_true(err:is "container")
    error_of("unsupported", docker.images.push, IMAGE)
    err = error_of("unsupported", docker.build, { dockerfile = "FROM scratch\nLABEL a=b", tags = "made:1" })
    assert.matches("does not model POST /build", err.message, 1, true)
    error_of("unsupported", docker.images.save, IMAGE)
    error_of("unsupported", docker.networks.create, "wide", { driver = "overlay" })
  end)

  it("is a program of which nothing is known", function()
    local err = error_of("unsupported", docker.run, { image = "web:7", command = { "nginx", "-t" } })
    assert.matches('the program "nginx" of the image web:7', err.message, 1, true)
    assert.matches("ctz.simulate.engine{programs", err.hint, 1, true)
    assert.is_nil(docker.containers.list({ all = true })[1])
  end)

  it("is told by the container when a script comes to it", function()
    local container = docker.run { image = IMAGE, command = { "sh", "-c", "sleep 0.01; awk 1 /f" }, detach = true }
    assert.matches('the program "awk"', error_of("unsupported", container.wait, container).message, 1, true)
    error_of("unsupported", container.inspect, container)
    assert.is_true(container:remove())
  end)

  it("is a script that the small shell cannot read", function()
    for _, script in ipairs { "case x in x) ;; esac", "f() { echo; }", "cat <<E\nE", "echo ${x%y}", "ls *.txt" } do
      error_of("unsupported", docker.run, { image = IMAGE, command = { "sh", "-c", script } })
    end
  end)
end)

describe("sh of the simulated engine", function()
  local docker

  setup(function()
    docker = simulate.engine({ images = { [IMAGE] = { command = { "sh" }, is_known = true } } }).docker
  end)

  -- script, what it writes, its exit code
  local scripts <const> = {
    { "echo a; echo b", "a\nb\n", 0 },
    { "echo 'a  b' \"c  d\" e\\ f", "a  b c  d e f\n", 0 },
    { "x='1  2'; echo $x \"$x\"", "1 2 1  2\n", 0 },
    { "true && echo yes || echo no; false && echo yes || echo no", "yes\nno\n", 0 },
    { "! true; echo $?; ! false; echo $?", "1\n0\n", 0 },
    { "exit 7", "", 7 },
    { "false", "", 1 },
    { "no-such-thing; echo $?", "127\n", 0 },
    { "if [ a = a ]; then echo same; else echo other; fi", "same\n", 0 },
    { "if false; then :; elif test -z ''; then echo empty; fi", "empty\n", 0 },
    { "for i in 1 2 3; do echo $i; [ $i = 2 ] && break; done", "1\n2\n", 0 },
    { "i=0; while [ $i -lt 3 ]; do i=$((i + 1)); [ $i -eq 2 ] && continue; echo $i; done", "1\n3\n", 0 },
    { "until true; do echo never; done; echo end", "end\n", 0 },
    { "echo $((2 + 3 * 4)) $(((2 + 3) * 4)) $((7 / 2)) $((-7 % 3)) $((1 < 2 && 3 != 3))", "14 20 3 -1 0\n", 0 },
    { "echo $(echo in; echo ner) `echo old`", "in ner old\n", 0 },
    { "x=$(exit 3); echo $?", "3\n", 0 },
    { "echo ${A:-none} ${B:=set} $B ${B:+more} ${#B}", "none set set more 3\n", 0 },
    { "(x=1; exit 4); echo $? $x", "4\n", 0 },
    { "{ echo a; echo b; } | wc -l", "2\n", 0 },
    { "printf 'c\\na\\nb\\n' | sort | head -n 2", "a\nb\n", 0 },
    { "yes | head -n 2", "y\ny\n", 0 },
    { "echo x | tr a-z A-Z", "X\n", 0 },
    { "echo one > /f; echo two >> /f; cat < /f; rm /f; test -e /f || echo gone", "one\ntwo\ngone\n", 0 },
    { "echo hidden > /dev/null; echo shown 2>&1", "shown\n", 0 },
    { "echo x > /no/where || echo no", "", 1 },
    { "cd /tmp && pwd; cd /none", "/tmp\n", 1 },
    { "set -e; echo a; false; echo b", "a\n", 1 },
    { "trap 'echo out' EXIT; echo in; exit 2", "in\nout\n", 2 },
    { "echo $0 $1 $# \"$@\"", "name one 2 one two words\n", 0, { "name", "one", "two words" } },
    { "shift; echo $1; set -- x y; echo $#", "two words\n2\n", 0, { "name", "one", "two words" } },
    { "sleep 0.01 & echo first; wait; echo last", "first\nlast\n", 0 },
    { "A=1 env | grep -q A=1 && echo passed; echo ${A:-unset}", "passed\nunset\n", 0 },
    { "export X=5; sh -c 'echo $X'", "5\n", 0 },
    { "eval 'echo evaluated'", "evaluated\n", 0 },
    { "# a comment\necho a # another\n", "a\n", 0 },
    { "echo 'unfinished", "", 2 },
    { "if true; then echo", "", 2 },
    { "exec echo replaced; echo never", "replaced\n", 0 },
    { "mkdir -p /a/b && touch /a/b/c && ls /a/b", "c\n", 0 },
    { "printf '%s-%d|' a 1 b 2", "a-1|b-2|", 0 },
    { "kill $$; echo deaf", "deaf\n", 0 }, -- the first process of a container
    { "sh -c 'trap \"echo told\" TERM; kill $$; echo on'", "told\non\n", 0 },
  }

  for _, case in ipairs(scripts) do
    it("runs " .. case[1]:gsub("\n", "\\n"), function()
      local command = { "sh", "-c", case[1], table.unpack(case[4] or {}) }
      local result = docker.run { image = IMAGE, command = command, check = false, remove = true }
      assert.same({ case[2], case[3] }, { result.stdout, result.exit_code }, result.stderr)
    end)
  end

  it("reads a script line by line from its standard input", function()
    local result = docker.run { image = IMAGE, command = { "sh" }, stdin = "x=4\necho $x\nexit $x\n", check = false }
    assert.same({ "4\n", 4 }, { result.stdout, result.exit_code })
  end)

  it("passes a loop that never waits without holding up the others", function()
    local busy = docker.run { image = IMAGE, command = { "sh", "-c", "while :; do :; done" }, detach = true }
    assert.equal("x\n", docker.run({ image = IMAGE, command = { "echo", "x" } }).stdout)
    busy:kill()
    assert.equal(137, busy:wait())
  end)
end)

describe("--simulate", function()
  local function recipe(text, flags)
    local folder = program.folder()
    local file = assert(io.open(folder .. "/recipe.lua", "w"))
    file:write(text)
    file:close()
    local words = { "run" }
    for _, flag in ipairs(flags or { "--simulate" }) do
      words[#words + 1] = flag
    end
    words[#words + 1] = "recipe.lua"
    local result = program.run(words, { folder = folder })
    program.remove(folder)
    return result
  end

  it("says so once, in the first line, when an engine is asked", function()
    local result = recipe [[
      local docker = require("ctz.docker")
      io.stderr:write "before\n"
      local r = docker.run{image="app:1", command={"echo", "hello"}}
      docker.volumes.create "data"
      print(r.stdout, r.simulated)]]
    assert.equal(0, result.code, result.err)
    assert.equal("hello\n\ttrue\n", result.out)
    assert.matches("^before\nsimulated: no engine is used\n", result.err)
    assert.equal(1, select(2, result.err:gsub("simulated:", "")))
  end)

  it("says nothing when no engine is asked", function()
    assert.equal("", recipe("print(1)").err)
  end)

  it("asks no socket, whatever is named", function()
    local result = recipe [[
      local ctz = require "ctz"
      local a, b = ctz.docker.connect{host="unix:///none/a"}, ctz.docker.connect{host="tcp://127.0.0.1:1"}
      a.volumes.create "data"
      print(#a.volumes.list(), #b.volumes.list(), #ctz.docker.connect{host="unix:///none/a"}.volumes.list())]]
    assert.equal("1\t0\t1\n", result.out, result.err)
  end)

  it("is a field of the report of a failure", function()
    local result = recipe([[require("ctz.docker").containers.get "nobody"]], { "--simulate", "--json" })
    local report = ctz.json.decode(result.out)
    assert.is_true(report.simulated)
    assert.equal("not_found", report.error.kind)
    assert.is_true(report.error.simulated)
  end)

  it("changes nothing with --dry-run", function()
    local result = recipe([[
      local docker = require("ctz.docker")
      docker.volumes.create "data"
      print(#docker.volumes.list())]], { "--simulate", "--dry-run" })
    assert.equal("0\n", result.out, result.err)
    assert.truthy(result.err:find("would create volume data", 1, true))
  end)
end)
