-- ssh_spec.lua: an engine behind ssh: a program in place of ssh, and a real sshd.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"

-- A folder with a program named ssh, to be looked at first in PATH.
local function fake(text)
  local folder = ctz.fs.tempdir()
  ctz.fs.write(folder.path .. "/ssh", "#!/bin/sh\n" .. text, { mode = 493 }) -- 0755
  return folder
end

-- What follows the host is run beside the engine; all words are noted.
local REMOTE <const> = [[
echo "$*" >> "$0.log"
while [ "$1" != -- ]; do shift; done
shift 2
DOCKER_HOST=]] .. engine.host() .. [[ "$@"
]]

local function environment(folder, host)
  return {
    PATH = folder.path .. ":" .. os.getenv "PATH",
    DOCKER_HOST = host,
    DOCKER_CONTEXT = false,
    XDG_STATE_HOME = folder.path,
  }
end

local function run(folder, host, words)
  return ctz.process.run({ program.path, table.unpack(words) }, { env = environment(folder, host), check = false })
end

local function eval(folder, host, code)
  return run(folder, host, { "eval", code })
end

local function evaluates(expected, folder, host, code)
  local result = eval(folder, host, code)
  assert.equal("", result.stderr)
  assert.equal(expected .. "\n", result.stdout)
end

-- The error of a first call.
local function failure(folder, host)
  local result = run(folder, host, { "eval", "--json", [[
    local _, err = ctz.try(function() return ctz.docker.system.version() end)
    return {kind=err.kind, op=err.op, text=tostring(err), is_container=err:is "container"}]] })
  assert.equal(0, result.exit_code, result.stderr)
  return ctz.json.decode(result.stdout)
end

-- Nobody else makes such a user.
local function mark()
  return "joe" .. programs.nap():gsub("%.", "-")
end

describe("an engine behind ssh #live", function()
  teardown(engine.is_clean)

  it("is reached by the command that docker uses", function()
    local folder <close> = fake(REMOTE)
    evaluates(engine.api, folder, "ssh://joe@build:2222", "ctz.docker.system.version().raw.ApiVersion")
    assert.equal("-T -o ConnectTimeout=30 -l joe -p 2222 -- build docker system dial-stdio\n",
      ctz.fs.read(folder.path .. "/ssh.log"))
  end)

  it("runs containers, feeds them and streams what they write", function()
    local folder <close> = fake(REMOTE)
    evaluates("hello", folder, "ssh://build", ([[
      local text = {}
      ctz.docker.run{image=%q, command={"cat"}, stdin=("hello\n"), remove=true, stdout=function(line)
        text[#text + 1] = line end}
      return table.concat(text)]]):format(engine.image))
    evaluates("20", folder, "ssh://build", ([[
      local n = 0
      ctz.scope(function()
        local c = ctz.docker.run{image=%q, command={"sh", "-c", "while true; do echo x; done"}, detach=true,
          ephemeral=true}
        for _ in c:logs{follow=true} do n = n + 1 if n == 20 then break end end
      end)
      return n]]):format(engine.image))
  end)

  it("uses its connections again and opens more for calls at once", function()
    local folder <close> = fake(REMOTE)
    evaluates("8", folder, "ssh://build", [[
      for _ = 1, 5 do ctz.docker.system.version() end
      return #ctz.map({1, 2, 3, 4, 5, 6, 7, 8}, function() return ctz.docker.system.version() end, {jobs = 4})]])
    local count = select(2, ctz.fs.read(folder.path .. "/ssh.log"):gsub("\n", ""))
    assert.is_true(count >= 2 and count <= 5, count)
  end)

  it("leaves no program and no file behind, also when ctz is killed", function()
    local user = mark()
    local folder <close> = fake(REMOTE)
    local before = #ctz.fs.glob "/tmp/ctz-??????"
    evaluates("true", folder, "ssh://" .. user .. "@build", "ctz.docker.system.version() ~= nil")
    assert.equal(0, #programs.await(user, 0))

    local child = ctz.process.spawn({ program.path, "eval", "ctz.docker.system.version() print 'ready' ctz.sleep(60)" },
      { env = environment(folder, "ssh://" .. user .. "@build") })
    assert.equal("ready", child:read "l")
    assert.is_true(#programs.with(user) > 0)
    child:kill "KILL"
    child:wait { check = false }
    assert.equal(0, #programs.await(user, 0))
    assert.equal(before, #ctz.fs.glob "/tmp/ctz-??????")
  end)

  it("ends with the words of ssh, and a hint", function()
    local host = "ssh://joe@build"
    for words, expected in pairs {
      ["joe@build: Permission denied (publickey)."] = { "auth", "needs a key" },
      ["Host key verification failed."] = { "auth", "by hand once" },
      ["ssh: Could not resolve hostname build: Name or service not known"] = { "unreachable", "check the name" },
      ["ssh: connect to host build port 22: Connection refused"] = { "unreachable" },
      ["bash: line 1: docker: command not found"] = { "not_found", "not installed there" },
      ["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"] =
        { "unreachable", "started over there" },
    } do
      local folder <close> = fake(("echo 'a first line' >&2; echo '%s' >&2; exit 255"):format(words))
      local err = failure(folder, host)
      assert.equal(expected[1], err.kind, err.text)
      assert.equal("docker.system.version", err.op)
      assert.is_true(err.is_container)
      assert.truthy(err.text:find("the engine at ssh://joe@build (DOCKER_HOST): ssh: ", 1, true), err.text)
      assert.truthy(err.text:find(words, 1, true), err.text)
      assert.falsy(err.text:find("a first line", 1, true), err.text)
      assert.truthy(not expected[2] or err.text:find(expected[2], 1, true), err.text)
    end
  end)

  it("ends with the exit code of an ssh that says nothing, and with its signal", function()
    local ended <close> = fake "exit 7"
    assert.truthy(failure(ended, "ssh://build").text:find("ssh ended with 7", 1, true))
    local killed <close> = fake "kill -9 $$"
    assert.truthy(failure(killed, "ssh://build").text:find("ssh was ended by signal 9", 1, true))
  end)

  it("tells when the connection breaks in the middle of a stream", function()
    local folder <close> = fake([[
      echo $$ > "$0.pid"; exec 3<&0
      trap 'echo "Timeout, server build not responding." >&2; kill $!; exit 255' USR1
      ]] .. REMOTE:gsub('"%$@"%s*$', '"$@" <&3 & wait\n'))
    local result = eval(folder, "ssh://build", ([[
      ctz.scope(function()
        local c = ctz.docker.connect{host=%q}.run{image=%q, command={"sleep", "1000"}, detach=true, ephemeral=true}
        local waiting = ctz.spawn(function() return select(2, ctz.try(ctz.docker.containers.wait, c.id)) end)
        while ctz.tasks()[2].doing == "ready" do ctz.sleep(0.05) end
        ctz.sleep(1)
        for _, path in ipairs(ctz.fs.glob(%q)) do
          ctz.process.run({"kill", "-USR1", (ctz.fs.read(path):gsub("\n", ""))}, {check=false})
        end
        local err = waiting:await()
        print(err.kind) print(err.message)
      end)]]):format(engine.host(), engine.image, folder.path .. "/ssh.pid"))
    assert.truthy(result.stdout:find("unreachable\n", 1, true), result.stdout .. result.stderr)
    assert.truthy(result.stdout:find("Timeout, server build not responding", 1, true), result.stdout)
  end)

  it("is not held up by an ssh that is verbose", function()
    local folder <close> = fake(([[yes "debug1: a line" | head -c 3000000 >&2
      ]]) .. REMOTE)
    evaluates(engine.api, folder, "ssh://build", "ctz.docker.system.version().raw.ApiVersion")
  end)

  it("asks nobody: ssh has no terminal", function()
    local folder <close> = fake [[
      if (: < /dev/tty) 2>/dev/null; then echo "there is a terminal" >&2; else echo "there is none" >&2; fi; exit 255]]
    assert.truthy(failure(folder, "ssh://build").text:find("there is none", 1, true))
  end)

  it("needs an address of ssh, and ssh", function()
    local folder <close> = fake "exit 1"
    for _, host in ipairs { "ssh://", "ssh://-oProxyCommand=id", "ssh://a b", "ssh://a/$(id)", "ssh://a:x" } do
      local err = failure(folder, host)
      assert.equal("usage", err.kind)
      assert.equal("docker.connect", err.op)
    end
    local secret = failure(folder, "ssh://joe:geheim@build").text
    assert.falsy(secret:find("geheim", 1, true), secret)
    local result = ctz.process.run({ program.path, "eval", "ctz.docker.system.version()" }, {
      env = { PATH = "/nowhere", DOCKER_HOST = "ssh://build" },
      check = false,
    })
    assert.truthy(result.stderr:find('no program "ssh"', 1, true), result.stderr)
    assert.truthy(result.stderr:find("openssh-client", 1, true), result.stderr)
  end)

  it("is one of the engines that --allow names", function()
    local folder <close> = fake(REMOTE)
    local function allowed(grant)
      return run(folder, "ssh://joe@build", { "eval", "--allow", grant, "ctz.docker.system.version().raw.ApiVersion" })
    end
    assert.equal(engine.api .. "\n", allowed("docker=ssh://joe@build").stdout)
    assert.equal(engine.api .. "\n", allowed("docker").stdout)
    for _, other in ipairs { "docker=ssh://build", "docker=unix:/var/run/docker.sock", "run=ssh", "net" } do
      local result = allowed(other)
      assert.equal(1, result.exit_code)
      assert.truthy(result.stderr:find("--allow docker=ssh://joe@build grants it", 1, true), result.stderr)
    end
    assert.equal(2, select(2, ctz.fs.read(folder.path .. "/ssh.log"):gsub("\n", ""))) -- of the two that may
  end)

  it("is looked at, and not changed, in a dry run", function()
    local folder <close> = fake(REMOTE)
    local name = engine.name()
    local result = run(folder, "ssh://build", { "eval", "--dry-run",
      ("ctz.docker.system.version() ctz.docker.volumes.create %q"):format(name) })
    assert.equal(0, result.exit_code, result.stderr)
    assert.truthy((result.stdout .. result.stderr):find("would create volume " .. name, 1, true))
  end)

  it("does not keep a run alive whose tasks wait on each other", function()
    local folder <close> = fake(REMOTE)
    local result = eval(folder, "ssh://build", "ctz.docker.system.version() ctz.channel():receive()")
    assert.equal(1, result.exit_code)
    assert.truthy(result.stderr:find("all tasks wait on each other", 1, true), result.stderr)
  end)
end)

-- --- a real sshd -----------------------------------------------------------------------------------

-- {folder=, host=}: an sshd on loopback with one key that it knows; its users find the engine.
local function start_sshd()
  local folder = ctz.fs.tempdir()
  local path = folder.path
  for _, name in ipairs { "host", "user", "stranger" } do
    ctz.process.run { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path .. "/" .. name }
  end
  ctz.fs.copy(path .. "/user.pub", path .. "/authorized")
  ctz.fs.mkdir("/run/sshd", { parents = true })
  local port = 20000 + programs.self() % 20000
  ctz.fs.write(path .. "/sshd_config", ([[
Port %d
ListenAddress 127.0.0.1
HostKey %s/host
AuthorizedKeysFile %s/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin yes
SetEnv DOCKER_HOST=%s PATH=%s
]]):format(port, path, path, engine.host(), os.getenv "PATH"))
  local child = ctz.process.spawn({ ctz.process.find "sshd", "-D", "-e", "-f", path .. "/sshd_config" },
    { stderr = "stream" })
  for line in child:lines { stream = "stderr" } do
    if line:find("listening", 1, true) then
      break
    end
  end
  return { child = child, folder = folder, port = port }
end

local has_sshd = os.execute "command -v sshd ssh ssh-keygen >/dev/null 2>&1"

describe("an engine behind a real sshd #live", function()
  local sshd

  if not has_sshd then
    pending "sshd, ssh and ssh-keygen are not installed: apt-get install openssh-client openssh-server"
    return
  end

  setup(function()
    sshd = start_sshd()
  end)

  teardown(function()
    sshd.child:close()
    sshd.folder:close()
    engine.is_clean()
  end)

  -- ssh with a configuration of its own, so that no file of the user's is read or written.
  local function client(key, known)
    local path = sshd.folder.path
    local folder = fake(('exec %s -F "$0.config" "$@"\n'):format(ctz.process.find "ssh"))
    ctz.fs.write(folder.path .. "/known", known and
      ("[127.0.0.1]:%d %s"):format(sshd.port, ctz.fs.read(path .. "/host.pub")) or "")
    ctz.fs.write(folder.path .. "/ssh.config", ([[
IdentityFile %s/%s
IdentitiesOnly yes
UserKnownHostsFile %s/known
GlobalKnownHostsFile /dev/null
]]):format(path, key, folder.path))
    return folder
  end

  local function host()
    return ("ssh://root@127.0.0.1:%d"):format(sshd.port)
  end

  it("runs containers", function()
    local folder <close> = client("user", true)
    evaluates("over there", folder, host(), ([[
      return ctz.docker.run{image=%q, command={"cat"}, stdin="over there", remove=true}.stdout]]):format(engine.image))
  end)

  it("refuses a key that it does not know", function()
    local folder <close> = client("stranger", true)
    local err = failure(folder, host())
    assert.equal("auth", err.kind)
    assert.truthy(err.text:find("Permission denied (publickey)", 1, true), err.text)
  end)

  it("is refused when its own key is not known", function()
    local folder <close> = client("user", false)
    local err = failure(folder, host())
    assert.equal("auth", err.kind)
    assert.truthy(err.text:find("Host key verification failed", 1, true), err.text)
  end)
end)
