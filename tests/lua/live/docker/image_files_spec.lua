-- image_files_spec.lua: the tree of an image as ctz sees it beside what an engine makes of the same layers; an
-- image that ctz changed, run by the engine.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

local docker = ctz.docker.connect { host = engine.host() }

local function quiet() end

describe("ctz.image and an engine #live", function()
  teardown(engine.is_clean)

  -- "path type mode size link" of each entry of a tar, sorted.
  local PYTHON <const> = [[
import sys, tarfile
types = {tarfile.REGTYPE: "file", tarfile.DIRTYPE: "dir", tarfile.SYMTYPE: "link", tarfile.LNKTYPE: "file",
         tarfile.FIFOTYPE: "fifo", tarfile.CHRTYPE: "device", tarfile.BLKTYPE: "device"}
tar = tarfile.open(sys.argv[1])
for m in tar:
    f = m
    while f.islnk():
        f = tar.getmember(f.linkname)
    if types[m.type] != "dir":
        mode = "-" if f.issym() else oct(f.mode & 0o7777)[2:]
        print("/" + m.name, types[f.type], mode, f.size, f.linkname if f.issym() else "-", f.uid)
]]

  -- Runs a shell script in a container of that image and makes an image of it.
  local function step(from, script, to)
    local container = docker.containers.create { image = from, command = { "sh", "-c", script } }
    container:start()
    assert.equal(0, container:wait())
    container:commit { image = to }
    container:remove { force = true }
  end

  it("see the same files in layers with whiteouts, opaque folders, hard links and changed types", function()
    local folder <close> = ctz.fs.tempdir()
    local name = engine.name "tree"
    step("ctz-test/busybox:1", "mkdir -p /d/sub /e /t; echo 1 > /d/x; echo 1 > /d/sub/y; echo 1 > /e/old; "
      .. "echo data > /h; ln /h /h2; ln -s d /l; echo f > /t/f; mkfifo /pipe; chmod 4755 /h", name .. ":1")
    step(name .. ":1", "rm /d/x; rm -r /e; mkdir /e; echo new > /e/new; rm /h; rm -r /t; echo now > /t; "
      .. "rm /l; mkdir /l; echo in > /l/in; chmod 700 /d/sub", name .. ":2")
    local container = docker.containers.create { image = name .. ":2" }
    local tar = folder.path .. "/export.tar"
    ctz.process.run { "sh", "-c", ("docker -H %s export %s > %s"):format(engine.host(), container.id, tar) }
    container:remove { force = true }
    ctz.fs.write(folder.path .. "/list.py", PYTHON)
    local truth = {}
    for line in ctz.process.run({ "python3", folder.path .. "/list.py", tar }).stdout:gmatch "[^\n]+" do
      -- What an engine puts into each container.
      if not line:find "^/%.dockerenv " and not line:find "^/dev/" and not line:find "^/etc/" then
        truth[#truth + 1] = line
      end
    end
    table.sort(truth)
    docker.images.save(name .. ":2", { to = folder.path .. "/saved.tar", on_progress = quiet })
    local image <close> = ctz.image.open(("docker-archive:%s/saved.tar"):format(folder.path))
    local ours = {}
    for file in image:files() do
      if file.type ~= "dir" and not file.path:find "^/etc/" then
        local mode = file.link and "-" or ("%o"):format(file.mode) -- a file system gives links all rights
        ours[#ours + 1] = ("%s %s %s %d %s %d"):format(file.path, file.type, mode, file.size_bytes or 0,
          file.link or "-", file.uid)
      end
    end
    table.sort(ours)
    assert.same(truth, ours)
    assert.equal("now\n", image:read "/t")
    docker.images.remove(name .. ":2", { force = true })
    docker.images.remove(name .. ":1", { force = true })
  end)

  it("runs an image that was changed, stripped and flattened", function()
    local folder <close> = ctz.fs.tempdir()
    local name = engine.name "mutated"
    docker.images.save("ctz-test/busybox:1", { to = folder.path .. "/saved.tar", on_progress = quiet })
    local image <close> = ctz.image.open(("docker-archive:%s/saved.tar"):format(folder.path))
    image:mutate {
      append = { { files = { ["/say"] = { mode = "755",
        text = "#!/bin/sh\necho $WORD $(pwd) $(ls /gone 2>/dev/null)\n" }, ["/gone/x"] = { text = "x" } } } },
      env = { WORD = "hello" }, entrypoint = { "/say" }, workdir = "/tmp", flatten = true,
      to = ("oci:%s/l:flat"):format(folder.path),
    }
    ctz.image.open(("oci:%s/l:flat"):format(folder.path)):mutate {
      strip = { "/gone" }, to = ("oci:%s/l:out"):format(folder.path),
    }
    local archive = folder.path .. "/out.tar"
    ctz.registry.copy(("oci:%s/l:out"):format(folder.path), ("docker-archive:%s:%s:1"):format(archive, name),
      { on_progress = quiet })
    docker.images.load(archive, { on_progress = quiet })
    local result = docker.run { image = name .. ":1", remove = true }
    assert.equal("hello /tmp\n", result.stdout)
    docker.images.remove(name .. ":1", { force = true })
  end)
end)
