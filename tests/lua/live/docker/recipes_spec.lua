-- recipes_spec.lua: the recipes for Docker as their headers say to run them.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local program = require "tests.lua.support.program"

describe("recipes #live", function()
  local docker, folder

  setup(function()
    docker = ctz.docker.connect { host = engine.host() }
  end)

  before_each(function()
    folder = program.folder()
  end)

  after_each(function()
    program.remove(folder)
  end)

  teardown(engine.is_clean)

  local function run(recipe, words)
    local all = { "run", ("recipes/%s.lua"):format(recipe), table.unpack(words) }
    return program.run(all, { environment = "DOCKER_HOST=" .. engine.host() })
  end

  local function check(...)
    local result = run(...)
    assert.equal(0, result.code, result.out .. result.err)
    return result.out
  end

  it("docker-run-and-wait uses a service and leaves nothing", function()
    local out = check("docker-run-and-wait", {
      "image=" .. engine.image, "port=8080", "path=/index.html", "--",
      "sh", "-c", "mkdir /w; echo hello > /w/index.html; sleep 0.3; exec httpd -f -v -p 8080 -h /w",
    })
    assert.truthy(out:find("GET /index.html: 200, 6 bytes", 1, true))
    assert.is_nil(docker.containers.find(out:match "runs as (%S+)"))
  end)

  it("docker-run-and-wait tells why a service does not come up", function()
    local result = run("docker-run-and-wait", {
      "image=" .. engine.image, "--", "sh", "-c", "echo no config >&2; exit 3",
    })
    assert.equal(1, result.code)
    assert.truthy(result.err:find("ended with exit code 3", 1, true))
    assert.truthy(result.err:find("no config", 1, true))
  end)

  it("docker-build builds a folder with its arguments and secrets", function()
    program.write(folder .. "/Dockerfile", table.concat({
      "FROM " .. engine.image,
      "ARG WORD",
      "RUN --mount=type=secret,id=token test $(cat /run/secrets/token) = hidden-4711 && echo $WORD > /word",
      'CMD ["cat", "/word"]',
    }, "\n"))
    local result = program.run({
      "run", "recipes/docker-build.lua", "tag=ctz-test/recipe:1", "context=" .. folder, "secrets=token=TOKEN",
      "--", "WORD=hi",
    }, { environment = "TOKEN=hidden-4711 DOCKER_HOST=" .. engine.host() })
    assert.equal(0, result.code, result.out .. result.err)
    assert.is_nil((result.out .. result.err):find("hidden-4711", 1, true))
    assert.equal("hi\n", docker.run({ image = "ctz-test/recipe:1", remove = true }).stdout)
    docker.images.remove("ctz-test/recipe:1", { force = true })
  end)

  it("docker-copy-volume copies files with their owners", function()
    local from, to = engine.name "from", engine.name "to"
    docker.run {
      image = engine.image,
      command = { "sh", "-c", "echo x > /v/f; chown 7:8 /v/f" },
      volumes = { from .. ":/v" },
      remove = true,
    }
    check("docker-copy-volume", { "from=" .. from, "to=" .. to, "image=" .. engine.image })
    local result = docker.run {
      image = engine.image,
      command = { "stat", "-c", "%u:%g %n", "/v/f" },
      volumes = { to .. ":/v" },
      remove = true,
    }
    assert.equal("7:8 /v/f\n", result.stdout)
    docker.volumes.remove(from)
    docker.volumes.remove(to)
  end)

  it("docker-cleanup shows first and removes with apply", function()
    local container = docker.run { image = engine.image, command = { "true" }, detach = true }
    local kept = docker.run { image = engine.image, command = { "true" }, labels = { keep = "1" }, detach = true }
    container:wait()
    kept:wait()
    local out = check("docker-cleanup", { "older=0" })
    assert.truthy(out:find(container.name, 1, true))
    assert.is_nil(out:find(kept.name, 1, true))
    assert.truthy(docker.containers.find(container))
    check("docker-cleanup", { "older=0", "apply=true" })
    assert.is_nil(docker.containers.find(container))
    kept:remove()
  end)

  it("docker-stats prints samples and ends in time", function()
    local container = docker.run {
      image = engine.image,
      command = { "sleep", "1000" },
      labels = { mine = "1" },
      detach = true,
    }
    local out = check("docker-stats", { "seconds=3", "label=mine=1" })
    assert.truthy(out:find("CONTAINER", 1, true))
    assert.truthy(out:find(container.name, 1, true))
    container:remove { force = true }
  end)

  it("quickstart builds with the engine, and the image serves its page", function()
    local result = ctz.json.decode(program.run({
      "run", "--json", "--quiet", "recipes/quickstart.lua", "out=" .. folder .. "/out",
    }, { environment = "DOCKER_HOST=" .. engine.host() }).out)
    assert.truthy(result.digest:find "^sha256:")
    assert.equal("quickstart:1.0", result.docker.name)
    local web = docker.run { image = "quickstart:1.0", ports = { "127.0.0.1::8080" }, detach = true }
    web:wait_until { http = { port = 8080, status = 200 }, timeout = 20 }
    web:remove { force = true }
    docker.images.remove("quickstart:1.0", { force = true })
  end)
end)
