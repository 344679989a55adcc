-- archive_spec.lua: files into a container and out of it, on a real engine and beside docker cp.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"

describe("containers.copy_in and copy_out #live", function()
  local docker, container, folder

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
  end)

  before_each(function()
    folder = ctz.fs.tempdir()
    container = docker.run { image = engine.image, command = { "sleep", "1000" }, detach = true }
  end)

  after_each(function()
    container:remove { force = true }
    ctz.fs.remove(folder.path or folder, { recursive = true })
  end)

  teardown(engine.is_clean)

  local function here(name)
    return (folder.path or folder) .. "/" .. name
  end

  local function sh(script)
    return container:exec({ command = { "sh", "-c", script } }).stdout
  end

  local function tree()
    ctz.fs.mkdir(here "site/css", { parents = true })
    ctz.fs.write(here "site/index.html", "hello")
    ctz.fs.write(here "site/css/a.css", "body {}")
    return here "site"
  end

  it("bring a file in under its name, or under another one", function()
    ctz.fs.write(here "a.txt", "content\n")
    container:copy_in(here "a.txt", "/tmp")
    container:copy_in(here "a.txt", "/tmp/b.txt")
    assert.equal("content\ncontent\n", sh "cat /tmp/a.txt /tmp/b.txt")
  end)

  it("bring a folder in: as a new one, into one that is there, or only what is in it", function()
    local site = tree()
    container:copy_in(site, "/new")
    container:copy_in(site, "/tmp")
    container:copy_in(site .. "/.", "/etc")
    assert.equal("hellohellohello", sh "cat /new/index.html /tmp/site/index.html /etc/index.html")
    assert.equal("body {}", sh "cat /new/css/a.css")
  end)

  it("do as docker cp does, for each form of both paths #real", function()
    local site = tree()
    ctz.fs.write(here "f", "f")
    local cli = docker.run { image = engine.image, command = { "sleep", "1000" }, detach = true }
    ctz.defer(function()
      cli:remove { force = true }
    end)
    for i, pair in ipairs {
      { "f", "/tmp" }, { "f", "/tmp/" }, { "f", "/x1" }, { "f", "/x2/" }, { "f", "/etc/f" }, { "f", "/no/such" },
      { "site", "/tmp" }, { "site", "/y1" }, { "site", "/y2/" }, { "site/", "/y3" }, { "site/.", "/y4" },
      { "site/.", "/etc" }, { "site", "/x1" }, { "site/.", "/x1" }, { "missing", "/tmp" },
    } do
      local ours = ctz.try(container.copy_in, container, here(pair[1]), pair[2]) ~= nil
      local theirs = ctz.process.run({
        "docker", "-H", engine.host(), "cp", here(pair[1]), cli.name .. ":" .. pair[2],
      }, { check = false }).exit_code == 0
      assert.equal(theirs, ours, ("pair %d: %s to %s"):format(i, pair[1], pair[2]))
    end
    local list = "cd /; find tmp etc x1 x2 y1 y2 y3 y4 no -type f -o -type d 2>/dev/null | sort | xargs ls -ld"
      .. " | awk '{print $1, $3, $9}'"
    assert.equal(cli:exec({ command = { "sh", "-c", list } }).stdout, sh(list))
    assert.truthy(site)
  end)

  it("bring a file and a folder out, as docker cp does #real", function()
    sh "mkdir -p /data/sub; echo one > /data/one; echo two > /data/sub/two; ln -s one /data/link"
    for i, pair in ipairs {
      { "/data", "new" }, { "/data", "there" }, { "/data/.", "there" }, { "/data/.", "new2" },
      { "/data/one", "file" }, { "/data/one", "there" }, { "/data/one", "no/" }, { "/data/link", "link" },
      { "/missing", "x" }, { "/data", "file" },
    } do
      for _, who in ipairs { "ours", "theirs" } do
        ctz.fs.mkdir(here(who .. "/there"), { parents = true })
      end
      local ours = ctz.try(container.copy_out, container, pair[1], here("ours/" .. pair[2])) ~= nil
      local theirs = ctz.process.run({
        "docker", "-H", engine.host(), "cp", container.name .. ":" .. pair[1], here("theirs/" .. pair[2]),
      }, { check = false }).exit_code == 0
      assert.equal(theirs, ours, ("pair %d: %s to %s"):format(i, pair[1], pair[2]))
    end
    local diff = ctz.process.run({ "diff", "-r", here "theirs", here "ours" }, { check = false })
    assert.equal("", diff.stdout)
  end)

  it("hand over a tar stream, from one container to another #real", function()
    sh "mkdir -p /data/sub; echo one > /data/sub/one; chown 5:6 /data/sub/one; chmod 640 /data/sub/one"
    local other = docker.run { image = engine.image, command = { "sleep", "1000" }, detach = true }
    ctz.defer(function()
      other:remove { force = true }
    end)
    local files <close> = container:copy_out "/data"
    other:copy_in(function()
      return files:read()
    end, "/tmp", { keep_owner = true })
    local stat = other:exec { command = { "stat", "-c", "%a %u %g", "/tmp/data/sub/one" } }
    assert.equal("640 5 6\n", stat.stdout)
  end)

  it("name what is not there", function()
    local _, err = ctz.try(container.copy_in, container, here "missing", "/tmp")
    assert.equal("not_found", err.kind)
    _, err = ctz.try(container.copy_out, container, "/missing", here "x")
    assert.equal("not_found", err.kind)
    assert.truthy(err.message:find("/missing", 1, true))
    _, err = ctz.try(docker.containers.copy_out, engine.name(), "/etc", here "x")
    assert.equal("not_found", err.kind)
    assert.truthy(err.message:find("No such container", 1, true))
  end)

  it("export all files as a tar", function()
    sh "echo marker > /marker"
    container:export { to = here "all.tar" }
    assert.equal("marker\n", ctz.process.run({ "tar", "-xOf", here "all.tar", "marker" }).stdout)
  end)
end)
