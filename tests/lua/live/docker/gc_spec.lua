-- gc_spec.lua: what runs leave on an engine, and what `ctz gc` makes of it.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"

local json = ctz.json

-- --- the engine, beside ctz.docker ---------------------------------------------------------------

local function api(method, path, body)
  local answer = ctz.http.request("http://docker/v1.41" .. path, {
    method = method,
    unix_socket = engine.socket(),
    headers = { ["Content-Type"] = "application/json" },
    body = body and json.encode(body) or nil,
    check = false,
  })
  assert(answer.status < 400, answer.body)
  return answer.body ~= "" and json.decode(answer.body) or nil
end

local function exists(kind, name)
  local path = ({
    container = "/containers/%s/json",
    network = "/networks/%s",
    volume = "/volumes/%s",
    image = "/images/%s/json",
  })[kind]:format(name)
  local answer = ctz.http.get("http://docker/v1.41" .. path, { unix_socket = engine.socket(), check = false })
  assert(answer.status == 200 or answer.status == 404, answer.body)
  return answer.status == 200
end

local function labels_of(name)
  return api("GET", "/containers/" .. name .. "/json").Config.Labels
end

-- A container that ctz did not make.
local function foreign(name, labels, image)
  api("POST", "/containers/create?name=" .. name, { Image = image or engine.image, Labels = labels })
  return name
end

local function remove(name)
  api("DELETE", "/containers/" .. name .. "?force=1&v=1")
end

-- --- runs of ctz ---------------------------------------------------------------------------------

local state -- a folder of state for this spec alone

local function environment()
  return { DOCKER_HOST = engine.host(), XDG_STATE_HOME = state.path }
end

-- A run that executes the code, prints "ready" and waits.
local function start(code)
  local recipe = state.path .. "/leaves.lua"
  ctz.fs.write(recipe, ("local ctz = require 'ctz'\n%s\nprint 'ready' ctz.sleep(600)"):format(code))
  local child = ctz.process.spawn({ program.path, "run", recipe }, { env = environment() })
  assert.equal("ready", child:read "l")
  return child
end

local function kill(child)
  child:kill "KILL"
  child:wait { check = false }
end

-- A run from beginning to end.
local function eval(code)
  return ctz.process.run({ program.path, "eval", code }, { env = environment(), check = false })
end

local function gc(...)
  return ctz.process.run({ program.path, "gc", ... }, { env = environment(), check = false })
end

local function gc_json(...)
  local result = gc("--json", ...)
  assert.equal(0, result.exit_code, result.stderr)
  return json.decode(result.stdout)
end

local function sleeper(name, more)
  return ("ctz.docker.run{image=%q, command={'sleep', '1000'}, name=%q, detach=true %s}")
    :format(engine.image, name, more or "")
end

-- The labels of a container of a run that was killed; the container is gone.
local function dead_labels()
  local name = engine.name "dead"
  local child = start(sleeper(name))
  local labels = labels_of(name)
  kill(child)
  remove(name)
  return labels
end

local function with(labels, changes)
  local all = {}
  for name, value in pairs(labels) do
    all[name] = value
  end
  for name, value in pairs(changes) do
    all[name] = value or nil
  end
  return all
end

local OBJECT <const> = "container-0123456789abcdef"

describe("ctz gc #live", function()
  setup(function()
    state = ctz.fs.tempdir()
  end)

  teardown(function()
    gc "--all"
    state:close()
    engine.is_clean()
  end)

  it("removes containers, networks and volumes of a run that was killed, and nothing of one that lives", function()
    local dead, alive = engine.name "dead", engine.name "alive"
    local anonymous = (", volumes = {'/data'}, networks = {%q}"):format(dead)
    local code = "ctz.docker.networks.create %q ctz.docker.volumes.create %q %s"
    local victim = start(code:format(dead, dead, sleeper(dead, anonymous)))
    local other = start(code:format(alive, alive, sleeper(alive)))
    local mounted = api("GET", "/containers/" .. dead .. "/json").Mounts[1].Name
    local bystander = foreign(engine.name "bystander", { owner = "me" })
    kill(victim)

    local result = gc()
    assert.equal(0, result.exit_code, result.stderr)
    assert.truthy(result.stdout:find("removed container " .. dead .. " (running)", 1, true), result.stdout)
    assert.truthy(result.stdout:find("old, of leaves.lua", 1, true), result.stdout)
    assert.truthy(result.stdout:find("1 container, 1 network, 1 volume removed", 1, true), result.stdout)
    for _, kind in ipairs { "container", "network", "volume" } do
      assert.is_false(exists(kind, dead), kind)
      assert.is_true(exists(kind, alive), kind)
    end
    assert.is_false(exists("volume", mounted))
    assert.equal("running", api("GET", "/containers/" .. alive .. "/json").State.Status)
    assert.is_true(exists("container", bystander))

    assert.truthy(gc().stdout:find("nothing removed; 1 container, 1 network, 1 volume left", 1, true))
    remove(bystander)
    kill(other)
    assert.truthy(gc().stdout:find("1 container, 1 network, 1 volume removed", 1, true))
  end)

  it("can run several times at once, beside a run that makes containers all the time", function()
    local names = {}
    for i = 1, 6 do
      names[i] = sleeper(engine.name "dead")
    end
    local victim = start(table.concat(names, "\n"))
    local busy = start(([[
      ctz.spawn(function()
        while true do
          ctz.docker.run{image=%q, command={"true"}, remove=true}
          print "round" io.stdout:flush()
        end
      end)]]):format(engine.image))
    kill(victim)
    local removed = {}
    ctz.map({ 1, 2, 3, 4 }, function()
      for _, object in ipairs(gc_json().removed) do
        removed[object.name] = true
      end
    end)
    local count = 0
    for name in pairs(removed) do
      assert.is_false(exists("container", name))
      count = count + 1
    end
    assert.equal(6, count)
    for _ = 1, 5 do -- no container of its was taken away under it
      assert.equal("round", busy:read "l")
    end
    kill(busy)
    gc()
  end)

  it("leaves what a run that ended well has left, unless asked by --all", function()
    local name = engine.name "kept"
    assert.equal(0, eval(sleeper(name)).exit_code)
    local function find(list)
      for _, object in ipairs(list) do
        if object.name == name then
          return object
        end
      end
    end
    local report = gc_json()
    assert.is_nil(find(report.removed))
    assert.truthy(find(report.left).reason:find("ended well", 1, true))
    assert.is_true(exists("container", name))
    assert.truthy(find(gc_json("--all").removed))
    assert.is_false(exists("container", name))
  end)

  it("removes what a run that failed has left", function()
    local name = engine.name "failed"
    assert.equal(1, eval(sleeper(name) .. " error 'no'").exit_code)
    assert.equal(name, gc_json().removed[1].name)
    assert.is_false(exists("container", name))
  end)

  it("shows with --dry-run what it would remove", function()
    local name = engine.name "dead"
    kill(start(sleeper(name)))
    local result = gc "--dry-run"
    assert.truthy(result.stdout:find("would remove container " .. name, 1, true), result.stdout)
    assert.truthy(result.stdout:find("1 container to be removed", 1, true), result.stdout)
    assert.equal(true, gc_json("--dry-run").dry_run)
    assert.is_true(exists("container", name))
    gc()
    assert.is_false(exists("container", name))
  end)

  it("touches nothing whose labels are not all there, and as ctz writes them", function()
    local good = dead_labels()
    local made = {}
    for label in pairs(good) do
      if label:find "^ctz%." then
        for _, wrong in ipairs { false, "", "x", "../../etc", "-1", ("f"):rep(4000) } do
          if label ~= "ctz.recipe" or not wrong or wrong == "" then
            made[#made + 1] = foreign(engine.name "forged", with(good, { [label] = wrong }))
          end
        end
      end
    end
    made[#made + 1] = foreign(engine.name "forged", with(good, { ["ctz.object"] = "volume-0123456789abcdef" }))
    made[#made + 1] = foreign(engine.name "forged", with(good, { ["ctz.pid"] = "0" }))
    made[#made + 1] = foreign(engine.name "forged", with(good, { ["ctz.run"] = ("0"):rep(32) })) -- no record
    gc "--images"
    for _, name in ipairs(made) do
      assert.is_true(exists("container", name))
      remove(name)
    end
    local control = foreign(engine.name "control", with(good, { ["ctz.object"] = OBJECT }))
    gc()
    assert.is_false(exists("container", control))
  end)

  it("notices that a process number was used again, and that it was not", function()
    local good = dead_labels()
    local ours = require("ctz.core.docker").facts()
    local boot = good["ctz.started"]:match "^%x+"
    local function made_by(pid, started)
      return foreign(engine.name "pid", with(good, {
        ["ctz.pid"] = tostring(pid),
        ["ctz.started"] = started,
        ["ctz.object"] = OBJECT,
      }))
    end
    local again = made_by(ours.pid, ("%s-%d"):format(boot, ours.start + 1))
    local same = made_by(ours.pid, ("%s-%d"):format(boot, ours.start))
    local before = made_by(ours.pid, ("%s-%d"):format(("0"):rep(16), ours.start)) -- before the last boot
    gc()
    assert.is_false(exists("container", again))
    assert.is_true(exists("container", same))
    assert.is_false(exists("container", before))
    remove(same)
  end)

  it("touches no container that somebody else made of an image of ctz", function()
    local name = engine.name "dead"
    local child = start(sleeper(name))
    local image = api("POST", "/commit?repo=ctz-test/committed&container=" .. name).Id
    kill(child)
    local theirs = foreign(engine.name "theirs", nil, "ctz-test/committed")
    assert.equal(labels_of(name)["ctz.object"], labels_of(theirs)["ctz.object"])
    assert.equal(name, gc_json("--all", "--images").removed[1].name)
    assert.is_true(exists("container", theirs))
    assert.is_true(exists("image", image))
    remove(theirs)
    api("DELETE", "/images/ctz-test/committed")
  end)

  it("touches no container whose image is gone, which could tell whether ctz made it", function()
    local good = dead_labels()
    local base = foreign(engine.name "base", {})
    api("POST", "/commit?repo=ctz-test/gone&container=" .. base)
    local orphan = foreign(engine.name "orphan", with(good, { ["ctz.object"] = OBJECT }), "ctz-test/gone")
    api("DELETE", "/images/ctz-test/gone?force=1")
    local is_kept = exists("image", api("GET", "/containers/" .. orphan .. "/json").Image) -- containerd's store
    local report = gc_json()
    if is_kept then
      assert.equal(orphan, report.removed[1].name)
    else
      assert.equal(0, #report.removed)
      assert.truthy(report.left[1].reason:find("its image is gone", 1, true))
      assert.is_true(exists("container", orphan))
      remove(orphan)
    end
    remove(base)
  end)

  it("leaves a network that somebody's container uses, and says so", function()
    local name = engine.name "dead"
    kill(start(("ctz.docker.networks.create %q"):format(name)))
    local theirs = engine.name "theirs"
    api("POST", "/containers/create?name=" .. theirs, {
      Image = engine.image,
      Cmd = { "sleep", "1000" },
      HostConfig = { NetworkMode = name },
    })
    api("POST", "/containers/" .. theirs .. "/start")
    local report = gc_json()
    assert.equal(0, #report.removed)
    assert.truthy(report.left[1].reason:find("active endpoints", 1, true), report.left[1].reason)
    remove(theirs)
    assert.equal(name, gc_json().removed[1].name)
  end)

  it("removes with --images only those without a name", function()
    local good = dead_labels()
    local base = foreign(engine.name "base", {})
    local function image(query, number)
      local labels = with(good, { ["ctz.object"] = "image-" .. ("%x"):format(number):rep(16) })
      return api("POST", "/commit?container=" .. base .. query, { Labels = labels }).Id
    end
    local nameless, named = image("", 1), image("&repo=ctz-test/named", 2)
    assert.equal(0, #gc_json().removed)
    local report = gc_json "--images"
    assert.equal(1, #report.removed)
    assert.equal("image", report.removed[1].kind)
    assert.is_false(exists("image", nameless))
    assert.is_true(exists("image", named))
    remove(base)
    api("DELETE", "/images/ctz-test/named")
  end)

  it("touches another machine's leftovers only with --host and --older, and first shows the plan", function()
    local good = dead_labels()
    local elsewhere = ("abcd"):rep(8)
    local name = foreign(engine.name "elsewhere", with(good, { ["ctz.host"] = elsewhere, ["ctz.object"] = OBJECT }))
    local report = gc_json()
    assert.equal(0, #report.removed)
    assert.truthy(report.left[1].reason:find("another machine: " .. elsewhere, 1, true))
    assert.equal("it is younger", gc_json("--host", "abcd", "--older", "1h", "--yes").left[1].reason)

    local plan = gc("--host", "abcd", "--older", "0")
    assert.truthy(plan.stdout:find("would remove container " .. name, 1, true), plan.stdout)
    assert.truthy(plan.stdout:find("--yes", 1, true), plan.stdout)
    assert.is_true(exists("container", name))
    assert.equal(name, gc_json("--host", "abcd", "--older", "0", "--yes").removed[1].name)
    assert.is_false(exists("container", name))
  end)

  it("refuses a --host that it cannot mean", function()
    local function refused(text, ...)
      local result = gc(...)
      assert.equal(2, result.exit_code, result.stderr)
      assert.truthy(result.stderr:find(text, 1, true), result.stderr)
    end
    refused("--host needs --older", "--host", "abcd")
    refused("is no machine", "--host", "web1", "--older", "1")
    refused("is no machine", "--host", "abc", "--older", "1")
    refused("nothing here is of such a machine", "--host", "0123456789", "--older", "1")
    refused("is this machine", "--host", require("ctz.docker.labels").host(), "--older", "1")
    refused("not a time", "--older", "soon")
  end)

  it("ends with 69 when no engine answers", function()
    local result = ctz.process.run({ program.path, "gc" }, { env = { DOCKER_HOST = "unix:///none" }, check = false })
    assert.equal(69, result.exit_code)
  end)

  it("keeps a record of a run while it lives, and when it failed, and none when nothing was made", function()
    local function records()
      return #ctz.fs.list(state.path .. "/ctz/runs")
    end
    local before = records()
    assert.equal(0, eval("ctz.docker.system.version()").exit_code)
    assert.equal(before, records())
    local name = engine.name()
    local child = start(sleeper(name))
    assert.equal(before + 1, records())
    child:kill "TERM"
    child:wait { check = false }
    assert.equal(before + 1, records())
    gc()
    assert.is_false(exists("container", name))
    assert.equal(0, eval(("ctz.docker.volumes.create %q ctz.docker.volumes.remove %q"):format(name, name)).exit_code)
    assert.equal(before + 1, records())
  end)
end)
