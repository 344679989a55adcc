-- quickstart_spec.lua: recipes/quickstart.lua from end to end: other tools read its image, and it runs.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"

local program = io.popen("readlink /proc/$PPID/exe"):read("l")
local here = io.popen("pwd"):read("l")
local recipe = here .. "/recipes/quickstart.lua"

-- Runs a shell command; returns what it prints (both streams) and its exit code.
local function sh(format, ...)
  local pipe <close> = assert(io.popen(("{ %s\n} 2>&1; echo exit=$?"):format(format:format(...))))
  local text = pipe:read("a")
  return text:gsub("exit=%d+\n$", ""), tonumber(text:match("exit=(%d+)\n$"))
end

local function check(...)
  local text, code = sh(...)
  assert.equal(0, code, text)
  return text
end

local function is_there(command)
  local _, code = sh("command -v %s", command)
  return code == 0
end

local function is_root()
  return check("id -u") == "0\n"
end

describe("recipes/quickstart.lua #live", function()
  local folder, layout

  before_each(function()
    folder = check("mktemp -d"):gsub("\n", "")
    layout = folder .. "/out/quickstart"
  end)

  after_each(function()
    check("rm -rf %s", folder)
  end)

  local function run(options, before)
    return sh("cd %s && %s '%s' run %s '%s'", folder, before or "", program, options or "", recipe)
  end

  local function image(before)
    local text, code = sh("cd %s && %s '%s' run --json --quiet '%s' 2>/dev/null", folder, before or "", program, recipe)
    assert.equal(0, code, text)
    return json.decode(text)
  end

  -- The image's root, as its layers make it.
  local function unpack(result)
    check("mkdir %s/root", folder)
    for _, layer in ipairs(result.layers) do
      check("tar -xzf %s/blobs/sha256/%s -C %s/root", layout, layer.digest:sub(8), folder)
    end
  end

  local function config(result)
    local file <close> = assert(io.open(layout .. "/blobs/sha256/" .. result.config_digest:sub(8)))
    return json.decode(file:read("a")).config
  end

  local function page()
    local file <close> = assert(io.open(here .. "/recipes/quickstart/index.html"))
    return (file:read("a"))
  end

  it("ends with a summary of name, digest, layers, sizes and time", function()
    local text, code = run()
    assert.equal(0, code, text)
    assert.matches("image   oci:out/quickstart:1%.0\n", text)
    assert.matches("digest  sha256:%x+\n", text)
    assert.matches("layers  sha256:%x+  %d+ entries, [%d.]+ MB, unpacked [%d.]+ MB\n", text)
    assert.matches("size    [%d.]+ MB\n", text)
    assert.matches("time    [%d.]+ m?s\n", text)
  end)

  it("shows its progress on stderr, as --progress says", function()
    local function progress(mode)
      return check("cd %s && '%s' run --progress %s '%s' 2>&1 >/dev/null", folder, program, mode, recipe)
    end
    assert.equal("", progress "none")
    assert.matches("layers", progress "plain")
    local lines = {}
    for line in progress("json"):gmatch("[^\n]+") do
      lines[#lines + 1] = json.decode(line)
    end
    assert.is_true(#lines >= 1)
  end)

  it("prints its result, and nothing else, with --json", function()
    local result = image()
    assert.equal("oci:out/quickstart:1.0", result.name)
    assert.equal(2, #result.layers)
  end)

  it("gives the same digest in other folders, umasks, time zones and locales, with 1 and 8 threads", function()
    local expected = image().digest
    local circumstances = {
      "umask 077;", "umask 000;", "export TZ=America/St_Johns;", "export TZ=Asia/Kathmandu LC_ALL=C;",
      "export LC_ALL=C.UTF-8;", "export LC_ALL=POSIX LANG=de_DE.UTF-8;", "export UV_THREADPOOL_SIZE=1;",
      "export UV_THREADPOOL_SIZE=8;", "mkdir other; cd other;",
      "export HOME=/nowhere TMPDIR=/dev/shm;",
    }
    for _, before in ipairs(circumstances) do
      check("rm -rf %s/out", folder)
      assert.equal(expected, image(before).digest, before)
    end
    -- A copy of the recipe, with other times and rights.
    check("cp -r '%s/recipes' %s/copied", here, folder)
    check("cd %s/copied/quickstart && chmod 600 * && touch -d 2001-01-01 *", folder)
    local text = check("cd %s && '%s' run --json copied/quickstart.lua 2>/dev/null", folder, program)
    assert.equal(expected, json.decode(text).digest)
  end)

  it("is read by skopeo, and copied to an archive that docker loads", function()
    if not is_there "skopeo" then
      return pending "skopeo is not installed: apt-get install skopeo"
    end
    local result = image()
    local seen = json.decode(check("cd %s && skopeo inspect oci:out/quickstart:1.0", folder))
    assert.equal(result.digest, seen.Digest)
    assert.same({ result.layers[1].digest, result.layers[2].digest }, seen.Layers)
    assert.equal("quickstart", seen.Labels["org.opencontainers.image.title"])
    check("cd %s && skopeo copy oci:out/quickstart:1.0 docker-archive:web.tar:web:1.0", folder)
    local manifest = json.decode(check("tar -xOf %s/web.tar manifest.json", folder))
    assert.same({ "docker.io/library/web:1.0" }, manifest[1].RepoTags)
    assert.equal(2, #manifest[1].Layers)
  end)

  it("serves its page with the image's own command, in a chroot", function()
    if not is_root() then
      return pending "needs root: chroot and a network namespace"
    end
    local result = image()
    unpack(result)
    local settings = config(result)
    local served = check([[unshare --net sh -c '
      busybox ip link set lo up
      chroot --userspec=%s %s/root %s &
      for i in $(seq 100); do
        busybox wget -qO- http://127.0.0.1:8080/ 2>/dev/null && break
        sleep 0.05
      done
      kill $!']], settings.User, folder, table.concat(settings.Cmd, " "))
    assert.equal(page(), served)
  end)

  it("serves its page in a container of runc", function()
    if not is_root() or not is_there "runc" then
      return pending "needs root and runc: apt-get install runc"
    end
    local result = image()
    unpack(result)
    local settings = config(result)
    check("mv %s/root %s/rootfs && cd %s && runc spec", folder, folder, folder)
    local file = assert(io.open(folder .. "/config.json"))
    local bundle = json.decode(file:read("a"))
    file:close()
    local uid, gid = settings.User:match("(%d+):(%d+)")
    bundle.process.terminal = false
    bundle.process.user = { uid = tonumber(uid), gid = tonumber(gid) }
    bundle.process.cwd = settings.WorkingDir
    bundle.process.env = settings.Env
    bundle.process.args = { "sh", "-c", table.concat(settings.Cmd, " ") .. [[ &
      for i in $(seq 100); do
        wget -qO- http://127.0.0.1:8080/ 2>/dev/null && break
        sleep 0.05
      done]] }
    file = assert(io.open(folder .. "/config.json", "w"))
    file:write(json.encode(bundle))
    file:close()
    local served = check("runc run --bundle %s ctz-quickstart-%s", folder, folder:match("[^/]+$"))
    assert.equal(page(), served)
  end)

  it("names the package when busybox is missing or needs shared libraries", function()
    local text, code = sh("cd %s && '%s' run '%s' busybox=/nowhere/busybox", folder, program, recipe)
    assert.equal(1, code)
    assert.matches("/nowhere/busybox is not there", text, 1, true)
    assert.matches("apt-get install busybox-static", text, 1, true)
    text, code = sh("cd %s && '%s' run '%s' busybox=/bin/ls", folder, program, recipe)
    assert.equal(1, code)
    assert.matches("/bin/ls needs shared libraries", text, 1, true)
    assert.matches("apt-get install busybox-static", text, 1, true)
    local _, made = sh("ls %s/out", folder)
    assert.not_equal(0, made)
  end)

  it("writes nothing in a dry run, and says what it would write", function()
    local text, code = run "--dry-run"
    assert.equal(0, code, text)
    assert.matches("would write out/quickstart/index.json", text, 1, true)
    assert.matches("digest  sha256:%x+\n", text)
    local _, made = sh("ls %s/out", folder)
    assert.not_equal(0, made)
  end)

  it("copies its image to an archive with to=, and says so; in a dry run where it would go", function()
    local text = check("cd %s && '%s' run '%s' to=docker-archive:web.tar:web:1 2>&1", folder, program, recipe)
    assert.matches("copied to  docker%-archive:web.tar:web:1\n", text)
    local manifest = json.decode(check("tar -xOf %s/web.tar manifest.json", folder))
    assert.same({ "web:1" }, manifest[1].RepoTags)
    assert.equal(2, #manifest[1].Layers)
    text = check("cd %s && '%s' run --dry-run '%s' to=docker-archive:none.tar 2>&1", folder, program, recipe)
    assert.matches("would go to  docker%-archive:none.tar\n", text)
    local _, made = sh("ls %s/none.tar", folder)
    assert.not_equal(0, made)
  end)

  it("keeps what the folder held when it runs again with another tag", function()
    image()
    check("cd %s && '%s' run '%s' tag=2.0", folder, program, recipe)
    local index = json.decode(check("cat %s/index.json", layout))
    assert.equal(2, #index.manifests)
    assert.equal(index.manifests[1].digest, index.manifests[2].digest)
  end)
end)
