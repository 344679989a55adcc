-- fs_spec.lua: ctz.fs: files and folders.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local faults = require "tests.lua.support.faults"
local program = require "tests.lua.support.program"
local programs = require "tests.lua.support.programs"

local fs, run = ctz.fs, ctz.process.run

local function failure(fn, ...)
  local ok, err = pcall(fn, ...)
  assert.is_false(ok, "it did not fail")
  return err
end

local function sh(script, ...)
  return run({ "sh", "-c", script, "sh", ... }).stdout
end

describe("ctz.fs", function()
  local dir, d

  before_each(function()
    dir = fs.tempdir { prefix = "ctz-fs-spec-" }
    d = dir.path
  end)

  after_each(function()
    dir:close()
  end)

  -- Names of what is in the folder, hidden ones too.
  local function names(path)
    return table.concat(fs.list(path or d), " ")
  end

  local function tree(path)
    return (sh("cd \"$1\" && find . -printf '%P:%y%m:%l\n' | sort", path))
  end

  describe("read", function()
    it("gives what write wrote, whatever the bytes and however many", function()
      for _, size in ipairs { 0, 1, 4095, 131072, 131073, 5000000 } do
        local text = ("\0\255ab\n"):rep(size // 5 + 1):sub(1, size)
        assert.is_true(fs.write(d .. "/f", text))
        assert.is_true(fs.read(d .. "/f") == text)
      end
    end)

    it("reads files of /proc, whose size is not known before", function()
      assert.matches("^Name:", fs.read "/proc/self/status")
      assert.equal("", fs.read "/dev/null")
    end)

    it("waits for the writer of a fifo, and can be cancelled", function()
      run { "mkfifo", d .. "/pipe" }
      local err = failure(fs.read, d .. "/pipe", { timeout = 0.05 })
      assert.equal("timeout", err.kind)
      local text
      ctz.scope(function()
        ctz.spawn(function()
          text = fs.read(d .. "/pipe")
        end)
        ctz.sleep(0.01)
        sh("(printf ab; sleep 0.05; printf c) > \"$1\"", d .. "/pipe")
      end)
      assert.equal("abc", text)
    end)

    it("names the nearest file, or the missing folder", function()
      fs.write(d .. "/config.yaml", "")
      local err = failure(fs.read, d .. "/confg.yaml")
      assert.equal("not_found", err.kind)
      assert.equal("fs.read", err.op)
      assert.equal("ENOENT", err.code)
      assert.equal(d .. "/confg.yaml", err.target)
      assert.equal("did you mean " .. d .. "/config.yaml?", err.hint)
      assert.matches("there is no folder", failure(fs.read, d .. "/none/x").hint, 1, true)
    end)

    it("refuses a folder, with a hint to list", function()
      local err = failure(fs.read, d)
      assert.equal("EISDIR", err.code)
      assert.matches("fs.list", err.hint, 1, true)
    end)

    it("refuses a file over the limit file_bytes", function()
      fs.write(d .. "/f", ("x"):rep(1001))
      local result = program.run { "eval", "--limit", "file_bytes=1000", ("ctz.fs.read %q"):format(d .. "/f") }
      assert.equal(1, result.code)
      assert.matches("has more than 1000 bytes", result.err, 1, true)
      result = program.run { "eval", "--limit", "file_bytes=1001", ("#ctz.fs.read %q"):format(d .. "/f") }
      assert.equal("1001\n", result.out)
      result = program.run { "eval", "--limit", "file_bytes=100", 'ctz.fs.read "/proc/self/status"' }
      assert.equal(1, result.code)
    end)

    it("checks its arguments", function()
      assert.equal("usage", failure(fs.read).kind)
      assert.equal("usage", failure(fs.read, "").kind)
      assert.equal("usage", failure(fs.read, "a\0b").kind)
      assert.equal("usage", failure(fs.read, 5).kind)
      assert.matches("did you mean 'timeout'?", failure(fs.read, "x", { timout = 1 }).message, 1, true)
    end)
  end)

  describe("write", function()
    it("replaces the whole file and leaves nothing else", function()
      fs.write(d .. "/f", ("old"):rep(100))
      fs.write(d .. "/f", "new")
      assert.equal("new", fs.read(d .. "/f"))
      assert.equal("f", names())
    end)

    it("keeps the permissions of an existing file, and sets given ones", function()
      fs.write(d .. "/f", "1", { mode = "0640" })
      assert.equal(416, fs.stat(d .. "/f").mode)
      fs.write(d .. "/f", "2")
      assert.equal(416, fs.stat(d .. "/f").mode)
      fs.write(d .. "/f", "3", { mode = 384 })
      assert.equal(384, fs.stat(d .. "/f").mode)
      fs.write(d .. "/f", "4", { mode = "4711" })
      assert.equal(2505, fs.stat(d .. "/f").mode)
      for _, mode in ipairs { "rw", "0999", "", 4096, -1, 1.5, true } do
        assert.equal("usage", failure(fs.write, d .. "/f", "x", { mode = mode }).kind, tostring(mode))
      end
      assert.equal("4", fs.read(d .. "/f"))
    end)

    it("gives a new file what the umask leaves", function()
      local result = program.shell(("umask 027; '%s' eval 'ctz.fs.write(%q, \"\")'"):format(program.path, d .. "/f"))
      assert.equal(0, result.code, result.err)
      assert.equal(416, fs.stat(d .. "/f").mode)
    end)

    it("follows a link and replaces the file it leads to", function()
      fs.mkdir(d .. "/sub")
      fs.write(d .. "/sub/real", "old")
      fs.symlink("sub/real", d .. "/link")
      fs.write(d .. "/link", "new")
      assert.equal("symlink", fs.stat(d .. "/link", { follow = false }).type)
      assert.equal("new", fs.read(d .. "/sub/real"))
      assert.equal("real", names(d .. "/sub"))
      fs.symlink("sub/later", d .. "/dangling")
      fs.write(d .. "/dangling", "made")
      assert.equal("made", fs.read(d .. "/sub/later"))
    end)

    it("writes to devices and fifos instead of replacing them", function()
      fs.write("/dev/null", "x")
      assert.equal("character device", fs.stat("/dev/null").type)
      run { "mkfifo", d .. "/pipe" }
      local text
      ctz.scope(function()
        ctz.spawn(function()
          text = run({ "cat", d .. "/pipe" }).stdout
        end)
        local big = ("x"):rep(300000)
        repeat
          ctz.sleep(0.005) -- no reader yet: ENXIO
        until pcall(fs.write, d .. "/pipe", big)
      end)
      assert.equal(300000, #text)
      assert.equal("fifo", fs.stat(d .. "/pipe").type)
    end)

    it("writes in place with atomic=false", function()
      fs.write(d .. "/f", "old text")
      local inode = fs.stat(d .. "/f").inode
      fs.write(d .. "/f", "new", { atomic = false })
      assert.equal("new", fs.read(d .. "/f"))
      assert.equal(inode, fs.stat(d .. "/f").inode)
      fs.write(d .. "/f", "atomic")
      assert.not_equal(inode, fs.stat(d .. "/f").inode)
    end)

    it("fails with what is wrong with the place", function()
      assert.equal("not_found", failure(fs.write, d .. "/none/f", "").kind)
      assert.equal("EISDIR", failure(fs.write, d, "").code)
      fs.write(d .. "/file", "")
      local err = failure(fs.write, d .. "/file/f", "")
      assert.equal("ENOTDIR", err.code)
      assert.matches("is a file", err.hint, 1, true)
      assert.equal("usage", failure(fs.write, d .. "/f").kind)
      assert.equal("usage", failure(fs.write, d .. "/f", 5).kind)
      assert.equal("file", names())
    end)

    it("keeps the old file and leaves nothing when a call fails", function()
      if not faults.possible() then
        pending "this build's calls cannot be made to fail"
        return
      end
      fs.write(d .. "/f", "old")
      local code = ("ctz.fs.write(%q, ('new'):rep(1000))"):format(d .. "/f")
      for _, plan in ipairs {
        "write:1:ENOSPC", "write:1:EIO", "fsync:1:EIO", "rename:1:EIO", "open:1:EMFILE", "tmpfile:1:EIO",
      } do
        local result = faults.eval(plan, code)
        local fell_back = plan == "tmpfile:1:EIO" or plan == "open:1:EMFILE"
        if result.exit_code == 0 then
          assert.is_true(fell_back, plan)
          assert.equal(3000, #fs.read(d .. "/f"))
          fs.write(d .. "/f", "old")
        else
          assert.equal(1, result.exit_code, plan)
          assert.equal("old", fs.read(d .. "/f"), plan)
        end
        assert.equal("f", names(), plan)
      end
      assert.matches("no space left on device", faults.eval("write:1:ENOSPC", code).stderr, 1, true)
      assert.matches("what stood there before is intact", faults.eval("write:1:ENOSPC", code).stderr, 1, true)
      -- The new content stands there, but whether it survives a crash is not known.
      assert.equal(1, faults.eval("fsync_folder:1:EIO", code).exit_code)
    end)

    it("keeps the old file when the file would grow too large for the system", function()
      fs.write(d .. "/f", "old")
      local result = program.shell(("trap '' XFSZ; ulimit -f 100; '%s' eval 'ctz.fs.write(%q, (\"x\"):rep(200000))'")
        :format(program.path, d .. "/f"))
      assert.equal(1, result.code)
      assert.matches("file too large", result.err, 1, true)
      assert.equal("old", fs.read(d .. "/f"))
      assert.equal("f", names())
    end)

    it("leaves the old file when it is cancelled, and nothing else", function()
      fs.write(d .. "/f", "old")
      local text = ("x"):rep(64 << 20)
      local err = failure(ctz.timeout, 0.001, fs.write, d .. "/f", text)
      assert.equal("timeout", err.kind)
      ctz.sleep(0.3)
      assert.is_true(fs.stat(d .. "/f").size_bytes == 3 or fs.stat(d .. "/f").size_bytes == #text)
      assert.equal("f", names())
    end)

    it("leaves old or new content when the program is killed at any moment", function()
      local sizes = {}
      for i = 1, 15 do
        fs.write(d .. "/f", "old")
        local child <close> = ctz.process.spawn({ program.path, "eval",
          ("ctz.fs.write(%q, ('x'):rep(20 << 20))"):format(d .. "/f") })
        ctz.sleep(0.004 * i)
        child:kill "KILL"
        child:wait { check = false }
        sizes[fs.stat(d .. "/f").size_bytes] = true
      end
      sizes[3], sizes[20 << 20] = nil, nil
      assert.same({}, sizes)
    end)

    it("writes one file from many tasks without mixing them", function()
      local numbers = {}
      for i = 1, 40 do
        numbers[i] = i
      end
      ctz.map(numbers, function(i)
        fs.write(d .. "/f", ("%02d"):format(i):rep(50000))
      end, { jobs = 20 })
      local text = fs.read(d .. "/f")
      assert.equal(text:sub(1, 2):rep(50000), text)
      assert.equal("f", names())
    end)
  end)

  describe("append", function()
    it("adds to the end, and makes the file", function()
      fs.append(d .. "/f", "a")
      fs.append(d .. "/f", "b\n")
      assert.equal("ab\n", fs.read(d .. "/f"))
    end)

    it("leaves nothing of a text that did not fit", function()
      if not faults.possible() then
        pending "this build's calls cannot be made to fail"
        return
      end
      fs.write(d .. "/f", "old")
      local code = ("ctz.fs.append(%q, ('x'):rep(6 << 20))"):format(d .. "/f")
      local result = faults.eval("write:2:ENOSPC", code)
      assert.equal(1, result.exit_code)
      assert.equal("old", fs.read(d .. "/f"))
    end)
  end)

  describe("stat and exists", function()
    it("tell type, size, mode, times and owner", function()
      fs.write(d .. "/f", "12345", { mode = "0600" })
      local stat = fs.stat(d .. "/f")
      assert.equal("file", stat.type)
      assert.equal(5, stat.size_bytes)
      assert.equal("integer", math.type(stat.size_bytes))
      assert.equal(384, stat.mode)
      assert.is_true(math.abs(stat.mtime - ctz.time.now()) < 60)
      assert.equal(1, stat.links)
      assert.equal(sh "id -u", stat.uid .. "\n")
      assert.equal("directory", fs.stat(d).type)
    end)

    it("give nil and false for what is not there", function()
      fs.write(d .. "/f", "")
      fs.symlink("nowhere", d .. "/dangling")
      for _, path in ipairs { d .. "/none", d .. "/none/x", d .. "/f/x", d .. "/dangling" } do
        assert.is_nil(fs.stat(path))
        assert.is_false(fs.exists(path))
      end
      assert.equal("symlink", fs.stat(d .. "/dangling", { follow = false }).type)
      assert.is_true(fs.exists(d .. "/f"))
    end)

    it("fail for what cannot be a path", function()
      assert.equal("size", failure(fs.stat, ("x"):rep(5000)).kind)
      fs.symlink("loop", d .. "/loop")
      assert.equal("ELOOP", failure(fs.stat, d .. "/loop").code)
    end)
  end)

  describe("mkdir", function()
    it("makes one, or all on the way", function()
      fs.mkdir(d .. "/a")
      assert.equal("conflict", failure(fs.mkdir, d .. "/a").kind)
      assert.equal("not_found", failure(fs.mkdir, d .. "/b/c").kind)
      assert.is_true(fs.mkdir(d .. "/b//c/d/", { parents = true }))
      assert.is_true(fs.mkdir(d .. "/b/c/d", { parents = true }))
      assert.equal("directory", fs.stat(d .. "/b/c/d").type)
      fs.write(d .. "/file", "")
      assert.equal("ENOTDIR", failure(fs.mkdir, d .. "/file/x/y", { parents = true }).code)
      assert.equal("conflict", failure(fs.mkdir, d .. "/file", { parents = true }).kind)
      fs.mkdir(d .. "/private", { mode = "0700" })
      assert.equal(448, fs.stat(d .. "/private").mode)
    end)
  end)

  describe("list", function()
    it("gives names in the order of their bytes", function()
      for _, name in ipairs { "b", "a", "B", ".h", "ä", "a b", "10", "9" } do
        fs.write(d .. "/" .. name, "")
      end
      assert.same({ ".h", "10", "9", "B", "a", "a b", "b", "ä" }, fs.list(d))
      assert.equal("not_found", failure(fs.list, d .. "/none").kind)
      assert.equal("ENOTDIR", failure(fs.list, d .. "/a").code)
    end)
  end)

  describe("glob", function()
    local function glob(pattern, opts)
      opts = opts or {}
      opts.root = opts.root or d
      local found = fs.glob(pattern, opts)
      for i, path in ipairs(found) do
        found[i] = path:sub(#d + 2)
      end
      return table.concat(found, " ")
    end

    before_each(function()
      for _, path in ipairs {
        "a.c", "b.c", "b.h", ".hidden.c", "src/x.c", "src/deep/y.c", "src/.git/z.c", "ä.c", "[x].c",
      } do
        fs.mkdir(ctz.path.dirname(d .. "/" .. path), { parents = true })
        fs.write(d .. "/" .. path, "")
      end
      fs.symlink("src", d .. "/link")
      fs.symlink("..", d .. "/src/up")
    end)

    it("knows * ? [set] and \\", function()
      assert.equal("[x].c a.c b.c ä.c", glob "*.c")
      assert.equal("a.c b.c ä.c", glob "?.c")
      assert.equal("a.c b.c", glob "[a-b].c")
      assert.equal("a.c ä.c", glob "[!b].c")
      assert.equal("ä.c", glob "[ä-ö].c")
      assert.equal("[x].c", glob "\\[x\\].c")
      assert.equal("[x].c", glob "[[]x].c")
      assert.equal("b.c b.h", glob "b.*")
      assert.equal("", glob "*.lua")
    end)

    it("finds hidden names only when asked", function()
      assert.equal(".hidden.c", glob ".*.c")
      assert.equal(".hidden.c [x].c a.c b.c ä.c", glob("*.c", { hidden = true }))
    end)

    it("goes through folders with **, without hidden ones and links", function()
      assert.equal("[x].c a.c b.c src/deep/y.c src/x.c ä.c", glob "**/*.c")
      assert.equal("src/deep/y.c src/x.c", glob "src/**/*.c")
      assert.equal("src/.git/z.c src/deep/y.c src/x.c", glob("src/**/*.c", { hidden = true }))
      assert.equal("src/deep src/deep/y.c src/up src/x.c", glob "src/**")
      assert.equal("src/deep/y.c", glob "**/deep/**/y.c")
      assert.equal("a.c", glob "**/a.c")
    end)

    it("follows a link that a part names or matches", function()
      assert.equal("link/x.c", glob "link/*.c")
      assert.equal("link/x.c src/x.c", glob "*/x.c")
    end)

    it("takes parts without wildcards as they are", function()
      assert.equal("src/x.c", glob "src/x.c")
      assert.equal("", glob "src/none.c")
      assert.equal("", glob "none/*.c")
      assert.equal("", glob "a.c/*")
    end)

    it("takes absolute and relative patterns", function()
      assert.same({ d .. "/b.h" }, fs.glob(d .. "/*.h"))
      assert.equal("usage", failure(fs.glob, "/x", { root = d }).kind)
      local result = program.run({ "eval", 'table.concat(ctz.fs.glob "s*/*.c", " ")' }, { folder = d })
      assert.equal("src/x.c\n", result.out)
    end)

    it("does not take long for patterns made to", function()
      fs.write(d .. "/" .. ("a"):rep(250), "")
      assert.equal("", glob(("*a"):rep(100) .. "b"))
    end)
  end)

  describe("walk", function()
    it("gives paths and facts, sorted, folders before what is in them, links as links", function()
      fs.mkdir(d .. "/b/c", { parents = true })
      fs.write(d .. "/a", "123")
      fs.write(d .. "/b/c/x", "")
      fs.write(d .. "/b/a", "")
      fs.symlink("..", d .. "/b/up")
      local seen = {}
      for path, stat in fs.walk(d) do
        local size = stat.type == "file" and stat.size_bytes or ""
        seen[#seen + 1] = path:sub(#d + 2) .. ":" .. stat.type .. ":" .. size
      end
      assert.equal("a:file:3 b:directory: b/a:file:0 b/c:directory: b/c/x:file:0 b/up:symlink:",
        table.concat(seen, " "))
      seen = {}
      for path in fs.walk(d, { depth = 1 }) do
        seen[#seen + 1] = path:sub(#d + 2)
      end
      assert.equal("a b", table.concat(seen, " "))
    end)

    it("goes over many files with few descriptors", function()
      sh('cd "$1" && for i in 1 2 3 4 5; do mkdir $i && (cd $i && seq 1 300 | xargs touch); done', d)
      local count = 0
      for _ in fs.walk(d) do
        count = count + 1
      end
      assert.equal(1505, count)
    end)

    it("can be left early, and closes what it opened", function()
      sh('cd "$1" && seq 1 500 | xargs touch', d)
      local before = programs.descriptors()
      for path in fs.walk(d) do -- luacheck: ignore 512
        assert.is_not_nil(path)
        break
      end
      assert.equal(before, programs.descriptors())
    end)

    it("skips what vanishes meanwhile, and fails for what is not there", function()
      sh('cd "$1" && seq 1 300 | xargs touch', d)
      local count = 0
      for path in fs.walk(d) do
        count = count + 1
        if count == 1 then
          assert.is_not_nil(path)
          sh('cd "$1" && rm 9*', d)
        end
      end
      assert.is_true(count >= 280 and count <= 300)
      assert.equal("not_found", failure(function()
        for _ in fs.walk(d .. "/none") do end
      end).kind)
    end)

    it("is read by one task at a time", function()
      fs.write(d .. "/f", "")
      local next_entry, walk = fs.walk(d)
      local kinds = {}
      ctz.scope(function()
        for i = 1, 2 do
          ctz.spawn(function()
            local ok, err = pcall(next_entry, walk)
            kinds[i] = ok and "ok" or err.kind
          end)
        end
      end)
      table.sort(kinds)
      assert.same({ "ok", "usage" }, kinds)
    end)
  end)

  describe("remove", function()
    it("removes a file, a link and not what it leads to, an empty folder", function()
      fs.mkdir(d .. "/keep")
      fs.write(d .. "/keep/f", "")
      fs.symlink("keep", d .. "/link")
      fs.remove(d .. "/link")
      fs.symlink("keep", d .. "/link")
      fs.remove(d .. "/link/", { recursive = true })
      assert.equal("keep", names())
      assert.equal("f", names(d .. "/keep"))
      fs.remove(d .. "/keep/f")
      fs.remove(d .. "/keep")
      assert.equal("", names())
    end)

    it("removes a full folder with recursive only", function()
      fs.mkdir(d .. "/a/b", { parents = true })
      fs.write(d .. "/a/b/f", "")
      local err = failure(fs.remove, d .. "/a")
      assert.equal("conflict", err.kind)
      assert.matches("recursive=true", err.hint, 1, true)
      fs.remove(d .. "/a", { recursive = true })
      assert.equal("", names())
    end)

    it("never follows links out of the tree", function()
      fs.mkdir(d .. "/outside")
      fs.write(d .. "/outside/f", "")
      fs.mkdir(d .. "/tree/sub", { parents = true })
      fs.symlink("../outside", d .. "/tree/link")
      fs.symlink(d .. "/outside", d .. "/tree/sub/link")
      fs.remove(d .. "/tree", { recursive = true })
      assert.equal("outside", names())
      assert.equal("f", names(d .. "/outside"))
    end)

    it("removes a tree deeper than any path, with 16 descriptors", function()
      local result = program.shell(([[
        cd '%s' && mkdir deep && cd deep
        for i in $(seq 300); do mkdir dddddddddddddddddddd && cd dddddddddddddddddddd && touch f; done
        ulimit -n 16; exec '%s' eval 'ctz.fs.remove("%s/deep", {recursive = true})']]):format(d, program.path, d))
      assert.equal("true\n", result.out, result.err)
      assert.equal("", names())
    end)

    it("reports what is not there, unless that is fine", function()
      assert.equal("not_found", failure(fs.remove, d .. "/none").kind)
      assert.is_true(fs.remove(d .. "/none", { absent_ok = true }))
      assert.is_true(fs.remove(d .. "/none", { absent_ok = true, recursive = true }))
    end)

    it("refuses the root, the current and the parent folder", function()
      for _, path in ipairs { "/", "//", ".", "..", "./", "a/..", d .. "/.", d .. "/../" } do
        assert.equal("usage", failure(fs.remove, path, { recursive = true }).kind, path)
      end
    end)
  end)

  describe("copy", function()
    it("copies content and permissions, and replaces a file", function()
      fs.write(d .. "/a", ("x"):rep(300000), { mode = "0750" })
      fs.write(d .. "/b", "old", { mode = "0600" })
      assert.is_true(fs.copy(d .. "/a", d .. "/b"))
      assert.equal(300000, #fs.read(d .. "/b"))
      assert.equal(488, fs.stat(d .. "/b").mode)
      fs.copy("/proc/self/status", d .. "/c")
      assert.matches("^Name:", fs.read(d .. "/c"))
      assert.equal("a b c", names())
    end)

    it("copies a tree whole: modes, links, empty folders", function()
      sh([[cd "$1" && mkdir -p from/sub/empty && echo 1 >from/f && echo 2 >from/sub/g && chmod 700 from/sub &&
        ln -s sub/g from/link && ln -s /nowhere from/dangling && chmod 604 from/f]], d)
      fs.copy(d .. "/from", d .. "/to", { recursive = true })
      assert.equal(tree(d .. "/from"), tree(d .. "/to"))
      assert.equal("2\n", fs.read(d .. "/to/sub/g"))
      assert.equal("from to", names())
    end)

    it("wants recursive for a folder, and a new name for it", function()
      fs.mkdir(d .. "/from")
      fs.mkdir(d .. "/to")
      assert.equal("EISDIR", failure(fs.copy, d .. "/from", d .. "/x").code)
      assert.equal("conflict", failure(fs.copy, d .. "/from", d .. "/to", { recursive = true }).kind)
      assert.equal("usage", failure(fs.copy, d .. "/from", d .. "/from/in", { recursive = true }).kind)
      assert.equal("not_found", failure(fs.copy, d .. "/none", d .. "/x").kind)
      assert.equal("from to", names())
    end)

    it("leaves nothing of a copy that failed or was cancelled", function()
      sh('cd "$1" && mkdir from && echo >from/a && mkfifo from/pipe', d)
      assert.equal("unsupported", failure(fs.copy, d .. "/from", d .. "/to", { recursive = true }).kind)
      assert.equal("from", names())
      sh('cd "$1" && rm from/pipe && head -c 50000000 /dev/zero >from/big', d)
      local err = failure(ctz.timeout, 0.001, fs.copy, d .. "/from", d .. "/to", { recursive = true })
      assert.equal("timeout", err.kind)
      ctz.sleep(0.3)
      assert.is_nil(names():find ".ctz", 1, true)
    end)

    it("fails without a trace when the disk is full", function()
      if not faults.possible() then
        pending "this build's calls cannot be made to fail"
        return
      end
      fs.write(d .. "/b", "old")
      local result = faults.eval("write:1:ENOSPC", ("ctz.fs.copy('/proc/self/status', %q)"):format(d .. "/b"))
      assert.equal(1, result.exit_code)
      assert.equal("old", fs.read(d .. "/b"))
      assert.equal("b", names())
    end)
  end)

  describe("move", function()
    it("renames files and folders, and replaces a file", function()
      fs.write(d .. "/a", "a")
      fs.write(d .. "/b", "b")
      fs.move(d .. "/a", d .. "/b")
      assert.equal("a", fs.read(d .. "/b"))
      fs.mkdir(d .. "/x/y", { parents = true })
      fs.move(d .. "/x", d .. "/z/")
      assert.equal("b z", names())
      assert.equal("not_found", failure(fs.move, d .. "/none", d .. "/n").kind)
      assert.equal("conflict", failure(fs.move, d .. "/b", d .. "/z").kind)
      assert.equal("usage", failure(fs.move, d .. "/z", d .. "/z/in").kind)
    end)

    it("copies and removes between file systems", function()
      if not faults.possible() then
        pending "this build's calls cannot be made to fail"
        return
      end
      sh('cd "$1" && mkdir -p a/b && echo 1 >a/b/f && ln -s b a/link && echo 2 >g && ln -s g h', d)
      local before = tree(d .. "/a")
      for _, name in ipairs { "a", "g", "h" } do
        local result = faults.eval("rename:1:EXDEV", ("ctz.fs.move('%s/%s', '%s/new-%s')"):format(d, name, d, name))
        assert.equal(0, result.exit_code, result.stderr)
      end
      assert.equal("new-a new-g new-h", names())
      assert.equal(before, tree(d .. "/new-a"))
      assert.equal("g", fs.readlink(d .. "/new-h"))
    end)
  end)

  it("makes and reads links, sets permissions, resolves paths", function()
    fs.symlink("some where", d .. "/l")
    assert.equal("some where", fs.readlink(d .. "/l"))
    assert.equal("conflict", failure(fs.symlink, "x", d .. "/l").kind)
    fs.write(d .. "/f", "")
    assert.equal("usage", failure(fs.readlink, d .. "/f").kind)
    fs.chmod(d .. "/f", "0604")
    assert.equal(388, fs.stat(d .. "/f").mode)
    fs.chmod(d .. "/f", 384)
    assert.equal(384, fs.stat(d .. "/f").mode)
    assert.equal("usage", failure(fs.chmod, d .. "/f").kind)
    assert.equal("usage", failure(fs.chmod, d .. "/f", "u+x").kind)
    fs.symlink("f", d .. "/g")
    assert.equal(fs.realpath(d) .. "/f", fs.realpath(d .. "/./g"))
    assert.equal("not_found", failure(fs.realpath, d .. "/none").kind)
    assert.equal(sh("cd \"$1\" && pwd -P", fs.cwd()), fs.realpath(fs.cwd()) .. "\n")
  end)

  describe("tempdir and tempfile", function()
    it("are gone at the end of the block, the scope, after an error and after a cancel", function()
      local paths = {}
      do
        local one <close> = fs.tempdir()
        fs.write(one .. "/f", "")
        assert.equal(448, fs.stat(one.path).mode)
        paths[1] = one.path
      end
      ctz.scope(function()
        local two = fs.tempfile()
        assert.equal(384, fs.stat(two.path).mode)
        paths[2] = two.path
      end)
      pcall(ctz.scope, function()
        paths[3] = fs.tempdir().path
        error "x"
      end)
      pcall(ctz.timeout, 0.02, function()
        paths[4] = fs.tempdir().path
        assert.is_true(fs.exists(paths[4]))
        ctz.sleep(10)
      end)
      assert.equal(4, #paths)
      for _, path in ipairs(paths) do
        assert.is_false(fs.exists(path), path)
      end
    end)

    it("can be closed early and twice, and removed by others", function()
      local one = fs.tempdir()
      assert.is_true(one:close())
      assert.is_true(one:close())
      local two = fs.tempdir()
      fs.remove(two.path)
      assert.is_true(two:close())
    end)

    it("are named by prefix and dir, and show their path", function()
      local file <close> = fs.tempfile { dir = d, prefix = "spec-" }
      assert.matches("^" .. d:gsub("%p", "%%%0") .. "/spec%-%d+%-%w+$", file.path)
      assert.equal(file.path, tostring(file))
      assert.equal(file.path .. ".x", file .. ".x")
      assert.equal("usage", failure(fs.tempdir, { prefix = "a/b" }).kind)
      assert.equal("usage", failure(fs.tempdir, { foo = 1 }).kind)
      assert.equal("not_found", failure(fs.tempdir, { dir = d .. "/none" }).kind)
    end)

    it("are gone when the run ends, by os.exit and by a signal too", function()
      local code = ('(function() local t = ctz.fs.tempdir{dir = %q} print(t) io.flush() %%s end)()'):format(d)
      for _, ending in ipairs { "", "os.exit(3)", "error 'x'" } do
        program.run { "eval", code:format(ending) }
        assert.equal("", names(), ending)
      end
      local child <close> = ctz.process.spawn({ program.path, "eval", code:format "ctz.sleep(60)" },
        { stderr = "null" })
      assert.is_not_nil(child:read "l")
      child:kill "TERM"
      assert.equal(143, child:wait({ check = false }).exit_code)
      assert.equal("", names())
    end)

    it("follow TMPDIR", function()
      local result = run({ program.path, "eval", "tostring(ctz.fs.tempdir())" }, { env = { TMPDIR = d } })
      assert.equal(d, result.stdout:sub(1, #d))
    end)
  end)

  it("fails clearly with too many open files, and leaks none", function()
    local result = program.shell(([[ulimit -n 16; exec '%s' eval '(function()
      ctz.fs.list "/"
      local files = {}
      for i = 1, 20 do files[i] = io.open "/dev/null" end
      local ok, err = pcall(ctz.fs.read, "/dev/null")
      assert(not ok and err.code == "EMFILE" and err.hint:find "ulimit %%-n", tostring(err))
      for _, call in ipairs { "list", "walk", "glob" } do
        ok = pcall(function() for _ in ctz.fs.walk "/" do end ctz.fs[call] "/*" end)
        assert(not ok, call)
      end
      ok, err = pcall(ctz.fs.write, "%s/f", "x")
      assert(not ok and err.code == "EMFILE", tostring(err))
      for _, file in ipairs(files) do file:close() end
      for i = 1, 50 do ctz.fs.write("%s/f", "x") assert(ctz.fs.read "%s/f" == "x") ctz.fs.list "/" end
      print "well"
    end)()']]):format(program.path, d, d, d))
    assert.equal("well\n", result.out, result.err)
  end)

  it("works as well from many tasks at once", function()
    local numbers = {}
    for i = 1, 100 do
      numbers[i] = i
    end
    local before = programs.descriptors()
    ctz.map(numbers, function(i)
      local path = ("%s/%d"):format(d, i)
      fs.mkdir(path)
      fs.write(path .. "/f", tostring(i))
      fs.copy(path, path .. "b", { recursive = true })
      assert.equal(tostring(i), fs.read(path .. "b/f"))
      fs.remove(path, { recursive = true })
    end, { jobs = 30 })
    assert.equal(100, #fs.list(d))
    assert.equal(before, programs.descriptors())
  end)

  it("is left in order by cancels at any point", function()
    sh('cd "$1" && mkdir from && for i in $(seq 200); do echo $i >from/$i; done', d)
    local before = programs.descriptors()
    for round = 1, 60 do
      ctz.scope(function()
        local task = ctz.spawn(function()
          fs.copy(d .. "/from", d .. "/to" .. round, { recursive = true })
          for _ in fs.walk(d) do end
          fs.glob("**/*", { root = d })
          fs.remove(d .. "/to" .. round, { recursive = true })
        end)
        ctz.sleep((round % 12) * 0.001)
        task:cancel()
      end)
    end
    repeat
      ctz.sleep(0.01) -- jobs that were given up come to their end
    until programs.descriptors() == before and not names():find(".ctz", 1, true)
    for _, name in ipairs(fs.list(d)) do
      assert.is_true(#fs.list(d .. "/" .. name) <= 200)
    end
  end)

  describe("under --dry-run", function()
    it("plans every change and makes none", function()
      sh('cd "$1" && mkdir sub && echo 1 >f && echo 2 >sub/g', d)
      local before = tree(d)
      local result = program.run({ "eval", "--dry-run", [[(function()
        local fs = ctz.fs
        assert(fs.write("n", "text") == true)
        assert(fs.append("f", "x") == true)
        assert(fs.mkdir "new" == true)
        assert(fs.remove "f" == true)
        assert(fs.remove("sub", {recursive = true}) == true)
        assert(fs.copy("f", "h") == true)
        assert(fs.move("f", "i") == true)
        assert(fs.symlink("f", "l") == true)
        assert(fs.chmod("f", "0600") == true)
        assert(fs.read "f" == "1\n")
        local dir = fs.tempdir()
        assert(fs.exists(dir.path))
      end)()]] }, { folder = d })
      assert.equal(0, result.code, result.err)
      assert.equal([[
would write n (4 bytes)
would append to f (1 bytes)
would make folder new
would remove f
would remove sub and all in it
would copy f to h
would move f to i
would link l to f
would set permissions of f to 0600
]], result.err)
      assert.equal(before, tree(d))
    end)

    it("writes for real under --simulate", function()
      local result = program.run({ "eval", "--simulate", 'ctz.fs.write("f", "x")' }, { folder = d })
      assert.equal(0, result.code, result.err)
      assert.equal("x", fs.read(d .. "/f"))
    end)
  end)

  describe("under --allow", function()
    local function eval(code, ...)
      local words = { "eval" }
      for _, grant in ipairs { ... } do
        table.move({ "--allow", grant }, 1, 2, #words + 1, words)
      end
      words[#words + 1] = (code:gsub("DIR", function() return d end))
      return program.run(words)
    end

    it("reads what is granted", function()
      sh('cd "$1" && mkdir in out && echo 1 >in/f && echo 2 >out/f && ln -s ../out in/link && ln -s f in/own', d)
      local grant = "read=" .. d .. "/in"
      for _, code in ipairs {
        'ctz.fs.read "DIR/%s/f"', 'ctz.fs.stat "DIR/%s/f".type', 'ctz.fs.exists "DIR/%s/f"', 'ctz.fs.list "DIR/%s"',
        'ctz.fs.walk "DIR/%s"', 'ctz.fs.glob "DIR/%s/*"', 'ctz.fs.realpath "DIR/%s/f"',
        'ctz.fs.readlink("DIR/%s/" .. ("%s" == "in" and "own" or "f"))',
      } do
        local good = eval(code:gsub("%%s", "in"), grant)
        assert.equal(0, good.code, code .. good.err)
        local bad = eval(code:gsub("%%s", "out"), grant)
        assert.equal(1, bad.code, code)
        assert.matches("may not read " .. d .. "/out", bad.err, 1, true)
        assert.matches("--allow read=", bad.err, 1, true)
      end
      assert.equal(1, eval('ctz.fs.read "DIR/in/link/f"', grant).code)
      assert.equal("1\n", eval('#ctz.fs.glob "DIR/in/*/f" + 1', grant).out)
    end)

    it("writes what is granted, and not what a link elsewhere leads to", function()
      sh([[cd "$1" && mkdir in out && echo 1 >in/f && echo 2 >out/f && ln -s ../in/f out/link &&
        ln -s ../out in/link]], d)
      local grants = { "write=" .. d .. "/in", "read=" .. d }
      for _, code in ipairs {
        'ctz.fs.write("DIR/%s/new", "")', 'ctz.fs.append("DIR/%s/new", "")', 'ctz.fs.mkdir "DIR/%s/folder"',
        'ctz.fs.copy("DIR/in/f", "DIR/%s/copy")', 'ctz.fs.move("DIR/%s/copy", "DIR/%s/moved")',
        'ctz.fs.symlink("f", "DIR/%s/l")', 'ctz.fs.chmod("DIR/%s/f", "0600")', 'ctz.fs.remove "DIR/%s/folder"',
        'ctz.fs.tempdir{dir = "DIR/%s"}',
      } do
        local good = eval(code:gsub("%%s", "in"), table.unpack(grants))
        assert.equal(0, good.code, code .. good.err)
        local bad = eval(code:gsub("%%s", "out"), table.unpack(grants))
        assert.equal(1, bad.code, code)
        assert.matches("may not write " .. d .. "/out", bad.err, 1, true)
      end
      -- The link lies in out, though it leads into in; the one in in may go, though it leads to out.
      assert.equal(1, eval('ctz.fs.remove "DIR/out/link"', table.unpack(grants)).code)
      assert.equal(0, eval('ctz.fs.remove "DIR/in/link"', table.unpack(grants)).code)
      assert.equal(1, eval('ctz.fs.write("DIR/in/../out/f", "")', table.unpack(grants)).code)
    end)
  end)
end)
