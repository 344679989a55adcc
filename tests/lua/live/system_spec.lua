-- system_spec.lua: a disk that is really full, process 1 of a container, a shell's job control.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"
local tmux = require "tests.lua.support.tmux"

local function is_root()
  return ctz.process.run({ "id", "-u" }).stdout == "0\n"
end

-- Runs a line of shell with mounts and processes of its own.
local function isolated(line)
  return program.shell("unshare --mount --pid --fork --mount-proc bash -c " .. "'" .. line:gsub("'", "'\\''") .. "'")
end

describe("with namespaces of its own #live", function()
  if not is_root() then
    pending "this needs root"
    return
  end

  it("a file on a full disk stays as it was, and nothing lies beside it", function()
    local dir <close> = ctz.fs.tempdir()
    local result = isolated((([[
      mount -t tmpfs -o size=64k none D && cd D || exit 99
      CTZ eval 'ctz.fs.write("f", "old")' >/dev/null
      CTZ eval 'ctz.fs.write("f", ("x"):rep(100000))'; echo $?
      CTZ eval 'ctz.fs.append("f", ("x"):rep(100000))'; echo $?
      CTZ eval 'ctz.fs.copy("/bin/bash", "f")'; echo $?
      CTZ eval 'ctz.fs.copy("/etc", "etc", {recursive = true})'; echo $?
      cat f; echo; ls -A
      CTZ eval 'ctz.fs.write("f", ("y"):rep(30000))'; wc -c < f]])
      :gsub("D", function() return dir.path end):gsub("CTZ", function() return program.path end)))
    assert.equal("1\n1\n1\n1\nold\nf\ntrue\n30000\n", result.out, result.err)
    local count = select(2, result.err:gsub("no space left on device", ""))
    assert.equal(4, count, result.err)
    assert.matches("what stood there before is intact", result.err, 1, true)
  end)

  it("as process 1 the orphans of its programs are reaped", function()
    local result = isolated(("exec '%s' eval '%s'"):format(program.path, [[(function()
      local ctz = require "ctz"
      for i = 1, 20 do ctz.process.run{"sh", "-c", "(sleep 0.02 >/dev/null 2>&1 &)"} end
      local function zombies()
        local count = 0
        for _, name in ipairs(ctz.fs.list "/proc") do
          local ok, stat = pcall(ctz.fs.read, "/proc/" .. name .. "/stat")
          if ok and stat:find "%%) Z" then count = count + 1 end
        end
        return count
      end
      repeat ctz.sleep(0.02) until #ctz.fs.glob "/proc/[0-9]*" == 1 and zombies() == 0
      return "clean"
    end)()]]))
    assert.equal("clean\n", result.out, result.err)
  end)
end)

describe("under a shell with job control #live", function()
  if not tmux.is_there then
    pending "tmux is not installed: apt-get install tmux"
    return
  end

  it("Ctrl-Z stops ctz together with the program that has the terminal, fg goes on with both", function()
    local nap = programs.nap()
    local terminal <close> = tmux.open "bash --norc"
    terminal:line(([['%s' eval 'os.execute "echo on=$((40+2)); sleep %s; true"']]):format(program.path, nap))
    terminal:wait "on=42"
    programs.await("sleep\0" .. nap, 1)
    terminal:keys "C-z"
    terminal:wait "Stopped"
    local pid = programs.with("sleep\0" .. nap)[1].pid
    assert.equal("T", ctz.fs.read("/proc/" .. pid .. "/stat"):match "%) (%a)")
    terminal:line "fg"
    repeat
      ctz.sleep(0.01)
    until ctz.fs.read("/proc/" .. pid .. "/stat"):match "%) (%a)" == "S"
    terminal:keys "C-c"
    terminal:wait "interrupted; cleaning up"
    terminal:line "echo code=$?"
    terminal:wait "code=130"
    assert.same({}, programs.with("sleep\0" .. nap))
  end)
end)
