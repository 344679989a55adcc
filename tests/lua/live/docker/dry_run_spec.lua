-- dry_run_spec.lua: under --dry-run every function that changes an engine tells what it would do, and
-- changes nothing.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"

-- What is done, with c: a running container, s: a stopped one, n, v, i: a network, a volume, an image; and
-- the line of the plan.
local steps <const> = {
  { 'd.run{image=i, command={"true"}, name="planned"}', "create container planned of image IMAGE" },
  { 'd.run{image=i, command={"true"}, detach=true}', "create container IMAGE of image IMAGE" },
  { 'd.containers.create{image=i, name="planned", command={"true"}}', "create container planned of image IMAGE" },
  { 'd.run{image="nobody/none:1", command={"true"}}', "create container nobody/none:1 of image nobody/none:1" },
  { "d.containers.start(s)", "start container STOPPED" },
  { "d.containers.stop(c)", "stop container RUNNING" },
  { "d.containers.get(c):stop()", "stop container RUNNING" },
  { "d.containers.restart(c)", "restart container RUNNING" },
  { "d.containers.kill(c)", "kill container RUNNING" },
  { "d.containers.pause(c)", "pause container RUNNING" },
  { "d.containers.unpause(c)", "unpause container RUNNING" },
  { 'd.containers.rename(c, "planned")', "rename container RUNNING to planned" },
  { 'd.containers.update(c, {resources={memory_limit="64m"}})', "update container RUNNING" },
  { "d.containers.remove(s)", "remove container STOPPED" },
  { "d.containers.remove(c, {force=true})", "remove container RUNNING" },
  { 'd.containers.commit(c, {image="planned:1"})', "commit container RUNNING as planned:1" },
  { "d.containers.prune()", "remove all containers that do not run" },
  { 'd.containers.exec(c, {command={"touch", "/planned"}})', "run touch /planned in container RUNNING" },
  { 'd.containers.copy_in(c, folder, "/planned")', "copy FOLDER to container RUNNING:/planned" },
  { 'd.containers.copy_out(c, "/bin/busybox", folder .. "/planned")',
    "copy container RUNNING:/bin/busybox to FOLDER/planned" },
  { 'd.networks.create("planned")', "create network planned" },
  { "d.networks.connect(n, c)", "connect container RUNNING to network NETWORK" },
  { "d.networks.disconnect(n, c)", "disconnect container RUNNING from network NETWORK" },
  { "d.networks.remove(n)", "remove network NETWORK" },
  { "d.networks.get(n):remove()", "remove network NETWORK" },
  { "d.networks.prune()", "remove all networks that no container is connected to" },
  { 'd.volumes.create("planned")', "create volume planned" },
  { "d.volumes.remove(v)", "remove volume VOLUME" },
  { "d.volumes.prune{all=true}", "remove all volumes that no container uses" },
  { 'd.images.pull("nobody/none:1")', "pull image nobody/none:1" },
  { "d.images.push(i)", "push image IMAGE" },
  { 'd.images.tag(i, "planned:1")', "tag image IMAGE as planned:1" },
  { "d.images.remove(i)", "remove image IMAGE" },
  { "d.images.prune{all=true}", "remove all images that no container uses" },
  { 'd.images.load(folder .. "/none.tar")', "load images from FOLDER/none.tar" },
  { 'd.images.import(folder .. "/none.tar", {name="planned:1"})', "import FOLDER/none.tar as planned:1" },
  { 'd.images.save(i, {to=folder .. "/planned.tar"})', "save image IMAGE as FOLDER/planned.tar" },
  { 'd.build{dockerfile="FROM scratch\\nLABEL a=b", tags="planned:1"}', "build an image planned:1" },
  { 'd.system.prune{what={"build_cache"}}', "remove what no build uses of the build cache" },
  { 'd.manage{operation="stop", container=c}', "stop container RUNNING" },
  -- What a plan gave can be used further, as if it had been made.
  { 'd.run{image=i, name="planned", detach=true}:stop()',
    "create container planned of image IMAGE\nstop container planned" },
  { 'd.containers.create{image=i, name="planned"}:remove{force=true}',
    "create container planned of image IMAGE\nremove container planned" },
  { 'd.networks.create("planned"):connect(d.containers.create{image=i, name="box"})',
    "create network planned\ncreate container box of image IMAGE\nconnect container box to network planned" },
}

-- What is looked at only: it is done.
local looks <const> = {
  "d.containers.list{all=true}", "d.containers.get(c)", "d.containers.inspect(c)", "d.containers.top(c)",
  "d.containers.diff(c)", "d.containers.wait(s)", "for _ in d.containers.logs(c) do end",
  "d.containers.attach(c):close()", "d.networks.list()", "d.networks.inspect(n)", "d.volumes.list()",
  "d.volumes.inspect(v)", "d.images.list()", "d.images.inspect(i)", "d.images.history(i)", "d.system.info()",
  "d.system.version()", "d.system.df()", "d.system.ping()",
}

-- What is refused: it cannot be shown.
local refused <const> = {
  'd.containers.exec(c, {command={"cat"}, stream=true, stdin=true})',
  "d.containers.attach(c, {stdin=true})",
}

describe("--dry-run with Docker #live #real", function()
  local docker, names, folder

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
    names = { c = engine.name "running", s = engine.name "stopped", n = engine.name "net", v = engine.name "data" }
    folder = ctz.fs.tempdir()
    docker.run { image = engine.image, name = names.c, command = { "sleep", "1000" }, detach = true }
    docker.containers.create { image = engine.image, name = names.s, command = { "true" } }
    docker.networks.create(names.n)
    docker.volumes.create(names.v)
  end)

  teardown(function()
    docker.containers.remove(names.c, { force = true })
    docker.containers.remove(names.s)
    docker.networks.remove(names.n)
    docker.volumes.remove(names.v)
    folder:close()
    engine.is_clean()
  end)

  -- All that the engine holds, without what changes by itself.
  local function state()
    local found = {}
    for _, path in ipairs { "/containers/json?all=1", "/networks", "/volumes", "/images/json?all=1" } do
      local list = engine.get("/v1.41" .. path)
      for _, item in ipairs(list.Volumes or list) do
        item.Status, item.UsageData = nil, nil
        found[#found + 1] = ctz.json.encode(item)
      end
    end
    for _, name in ipairs { names.c, names.s } do
      found[#found + 1] = ctz.json.encode((engine.get("/v1.41/containers/" .. name .. "/json")))
    end
    found[#found + 1] = ctz.json.encode((engine.get("/v1.41/containers/" .. names.c .. "/changes")))
    table.sort(found)
    return found
  end

  local function recipe(line)
    return program.recipe(([[
      local ctz = require "ctz"
      local d = ctz.docker.connect{host=%q}
      local c, s, n, v, i, folder = %q, %q, %q, %q, %q, %q
      %s]]):format(engine.host(), names.c, names.s, names.n, names.v, engine.image, folder.path, line), { "--dry-run" })
  end

  local function expected(plan)
    local words = {
      IMAGE = engine.image, RUNNING = names.c, STOPPED = names.s, NETWORK = names.n, VOLUME = names.v,
      FOLDER = folder.path,
    }
    return ("would " .. plan:gsub("\n", "\nwould ") .. "\n"):gsub("%u+", words)
  end

  for _, one in ipairs(steps) do
    it("tells and does not do " .. one[1], function()
      local before = state()
      local result = recipe(one[1])
      assert.equal(expected(one[2]), result.err)
      assert.equal(0, result.code)
      assert.same(before, state())
      assert.same({}, ctz.fs.list(folder.path))
    end)
  end

  for _, line in ipairs(looks) do
    it("does " .. line, function()
      local result = recipe(line)
      assert.equal("", result.err)
      assert.equal(0, result.code)
    end)
  end

  for _, line in ipairs(refused) do
    it("refuses " .. line, function()
      local before = state()
      local result = recipe(line)
      assert.equal(1, result.code)
      assert.matches("which changes things, is not done under --dry-run", result.err, 1, true)
      assert.same(before, state())
    end)
  end
end)
