-- images_spec.lua: images of real engines; pull and push with a real registry.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local engine = require "tests.lua.support.docker"
local faults = require "tests.lua.support.socket_faults"
local program = require "tests.lua.support.program"
local registry = require "tests.lua.support.registry"

local docker = ctz.docker.connect { host = engine.host() }
local api = require("ctz.docker.client").new { host = engine.host() }
local NOBODY <const> = { auth = false, on_progress = function() end }

local function fails(kind, fn, ...)
  local _, err = ctz.try(fn, ...)
  assert.equal(kind, err and err.kind, err and tostring(err) or "it succeeded")
  return err
end

-- A small root file system as a tar archive: one file with this text.
local function rootfs(text)
  local folder <close> = ctz.fs.tempdir()
  ctz.fs.write(folder.path .. "/file", text)
  return ctz.process.run({ "tar", "c", "-C", folder.path, "file" }).stdout
end

local function quiet() end

-- A new small image of that name.
local function make(name, opts)
  opts = opts or {}
  return docker.images.import({ bytes = rootfs(opts.text or name) }, {
    name = name,
    changes = opts.changes,
    on_progress = quiet,
  })
end

describe("docker.images #live", function()
  teardown(engine.is_clean)

  it("are listed with one entry for each name", function()
    local name, label = engine.name "repo", engine.name "label"
    local before = ctz.time.now()
    local image = make(name .. ":1", { changes = { "LABEL " .. label .. "=front", 'CMD ["sh"]' } })
    assert.is_true(docker.images.tag(image, name .. ":2"))
    assert.is_true(docker.images.tag(image.id, "127.0.0.1:5000/team/" .. name))
    local list = docker.images.list { filters = { label = label .. "=front" } }
    local names = {}
    for i, entry in ipairs(list) do
      names[i] = entry.full_name
      assert.equal(image.id, entry.id)
      assert.equal(entry.full_name, entry.repository .. ":" .. entry.tag)
      assert.equal("front", entry.labels[label])
      assert.is_true(entry.size_bytes > 0)
      assert.is_true(entry.created > before - 2 and entry.created < ctz.time.now() + 2)
      assert.equal(image.id, entry.raw.Id)
    end
    assert.same({ "127.0.0.1:5000/team/" .. name .. ":latest", name .. ":1", name .. ":2" }, names)
    assert.equal(2, #docker.images.list { filters = { reference = name } })

    assert.same({ untagged = { name .. ":1" }, deleted = {} }, list[2]:remove())
    assert.is_nil(docker.images.find(name .. ":1"))
    assert.is_not_nil(docker.images.find(name .. ":2"))
    fails("conflict", docker.images.remove, image.id)
    assert.is_true(#docker.images.remove(image.id, { force = true }).deleted > 0)
    assert.is_nil(docker.images.find(image.id))
  end)

  it("have their names, their platform and their layers when they are looked at", function()
    local name = engine.name "repo"
    make(name .. ":1", { changes = { 'LABEL a="b"' } })
    docker.images.tag(name .. ":1", name)
    local image = docker.images.get("docker.io/library/" .. name)
    assert.equal(name .. ":latest", image.full_name)
    assert.equal(name, image.repository)
    assert.equal("latest", image.tag)
    table.sort(image.tags)
    assert.same({ name .. ":1", name .. ":latest" }, image.tags)
    assert.equal("linux", image.os)
    assert.equal("amd64", image.architecture)
    assert.equal(1, #image.layers)
    assert.matches("^sha256:%x+$", image.layers[1])
    assert.equal("b", image.labels.a)
    assert.is_number(image.created)
    assert.equal(image.id, docker.images.inspect(image.id).Id)
    assert.equal(image.id, docker.images.find(image.id:match("^sha256:(.*)")).id)
    local steps = image:history()
    assert.equal(1, #steps)
    assert.is_number(steps[1].created)
    assert.is_true(steps[1].size_bytes > 0)
    docker.images.remove(image.id, { force = true })
  end)

  it("without a name have their id", function()
    local name = engine.name "repo"
    local first = make(name .. ":1", { text = "one" })
    local second = make(name .. ":1", { text = "two" })
    assert.not_equal(first.id, second.id)
    local found
    for _, image in ipairs(docker.images.list { filters = { dangling = true } }) do
      found = image.id == first.id and image or found
    end
    if found then -- the classic store keeps it
      assert.is_nil(found.tag)
      assert.is_nil(found.repository)
      assert.equal(first.id, found.full_name)
      assert.matches(first.id, table.concat(docker.images.prune().removed, " "), 1, true)
    end
    assert.is_nil(docker.images.find(first.id))
    second:remove()
  end)

  it("name the nearest when there is none of that name", function()
    local err = fails("not_found", docker.images.get, "ctz-test/busybox:2")
    assert.equal('did you mean "ctz-test/busybox:1"? docker.images.list() shows all', err.hint)
    err = fails("not_found", docker.images.remove, "ctz-test/bsybox:1")
    assert.equal('did you mean "ctz-test/busybox:1"? docker.images.list() shows all', err.hint)
    for _, name in ipairs { "history", "save", "inspect", "push" } do
      err = fails("not_found", docker.images[name], "ctz-test/busybox:2")
      assert.matches("did you mean", err.hint, nil, name)
      assert.equal("docker.images." .. name, err.op)
    end
    assert.matches("did you mean", fails("not_found", docker.images.tag, "ctz-test/busybox:2", "x:1").hint)
    assert.is_nil(docker.images.find "ctz-test/busybox:2")
  end)

  it("are not removed while a container uses them", function()
    local image = make(engine.name "repo" .. ":1", { changes = { 'CMD ["sh"]' } })
    local id = api:call("POST", "/containers/create", { json = { Image = image.full_name } }).Id
    fails("conflict", image.remove, image)
    api:call("DELETE", "/containers/" .. id, {})
    image:remove()
  end)

  it("are pruned by label", function()
    local label = engine.name "label"
    local image = make(engine.name "repo" .. ":1", { changes = { "LABEL " .. label .. "=1" } })
    assert.same({}, docker.images.prune({ filters = { label = label } }).removed)
    local result = docker.images.prune { all = true, filters = { label = label } }
    assert.same({ image.full_name }, result.untagged)
    assert.is_true(#result.removed >= 1)
    assert.is_number(result.bytes_freed)
    assert.is_nil(docker.images.find(image.id))
  end)

  it("are not taken for another image that has their name now", function()
    local name = engine.name "repo" .. ":1"
    local first = make(name, { text = "one" })
    local second = make(name, { text = "two" })
    for _, verb in ipairs { "remove", "push", "save" } do
      local _, err = ctz.try(first[verb], first)
      assert.equal("conflict", err.kind, verb)
      assert.equal(("image %s is another one now"):format(name), err.message)
    end
    assert.equal(second.id, docker.images.get(name).id)
    second:remove()
    docker.images.prune()
  end)
end)

describe("docker.images.save and load #live #real", function()
  teardown(engine.is_clean)

  it("carry images through a file, and tell their names", function()
    local folder <close> = ctz.fs.tempdir()
    local one, two = make(engine.name "repo" .. ":1"), make(engine.name "repo" .. ":2")
    local path = folder.path .. "/images.tar"
    local result = docker.images.save({ one, two.full_name }, { to = path, on_progress = quiet })
    assert.equal(path, result.path)
    assert.equal(ctz.fs.stat(path).size_bytes, result.size_bytes)
    assert.same({ "images.tar" }, ctz.fs.list(folder.path))
    one:remove()
    two:remove()
    local events = {}
    local names = docker.images.load(path, { on_progress = function(event)
      events[#events + 1] = event
    end })
    local expected = { one.full_name, two.full_name }
    table.sort(names)
    table.sort(expected)
    assert.same(expected, names)
    assert.equal(two.id, docker.images.get(two.full_name).id)
    assert.equal("Sending", events[1].status)
    assert.equal(result.size_bytes, events[1].total)
    one:remove()
    two:remove()
  end)

  it("carry an image through a stream and a function", function()
    local image = make(engine.name "repo" .. ":1")
    local parts, count = {}, 0
    for chunk in image:save() do
      parts[#parts + 1] = chunk
    end
    image:remove()
    local bytes = table.concat(parts)
    assert.same({ image.full_name }, docker.images.load(function()
      count = count + 1
      local piece = bytes:sub((count - 1) * 1000 + 1, count * 1000)
      return piece ~= "" and piece or nil
    end, { on_progress = quiet }))
    docker.images.remove(image.full_name)
    assert.same({ image.full_name }, docker.images.load({ bytes = bytes }, { on_progress = quiet }))
    image:remove()
  end)

  it("fail with the engine's words inside of an answer that is well", function()
    local err = fails("io", docker.images.load, { bytes = "this is no archive" }, { on_progress = quiet })
    assert.matches("load an archive of 18 bytes: .*unexpected EOF", err.message)
    assert.is_true(err:is "container")
    err = fails("not_found", docker.images.load, "/none.tar")
    assert.equal("there is no file /none.tar", err.message)
  end)

  it("leave no file when the archive is not complete", function()
    local folder <close> = ctz.fs.tempdir()
    local path = folder.path .. "/image.tar"
    ctz.fs.write(path, "before")
    for _, cut in ipairs { 0, 100, 20000 } do
      local proxy <close> = faults.before(engine.socket(), { match = "images/get", cut = cut, body = true })
      local through = ctz.docker.connect { host = proxy.host }
      local _, err = ctz.try(through.images.save, engine.image, { to = path, on_progress = quiet })
      assert.is_true(err.kind == "protocol" or err.kind == "unreachable", tostring(err))
      assert.equal("docker.images.save", err.op)
    end
    assert.same({ "image.tar" }, ctz.fs.list(folder.path))
    assert.equal("before", ctz.fs.read(path))
  end)

  it("tell that the file cannot be written, and leave none", function()
    local err = fails("io", docker.images.save, engine.image, { to = "/none/image.tar", on_progress = quiet })
    assert.equal("cannot write /none/image.tar: No such file or directory", err.message)
    local folder <close> = ctz.fs.tempdir()
    local line = ([[unshare --mount bash -c "mount -t tmpfs -o size=64k none %s && cd %s && '%s' eval '%s' ; ls -A"]])
      :format(folder.path, folder.path, program.path, ([[ctz.docker.images.save(\"%s\", {to=\"x.tar\"})]])
        :format(engine.image))
    local result = program.shell(line)
    assert.equal("", result.out)
    assert.matches("docker.images.save: cannot write x.tar: No space left on device", result.err, 1, true)
  end)

  it("tell what the engine writes behind an archive that it could not finish", function()
    local function answer(body)
      local head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-tar\r\nContent-Length: %d\r\n\r\n"
      return head:format(#body) .. body
    end
    local tar = rootfs "x"
    local detail = '{"errorDetail":{"message":"no space left on device"},"error":"x"}\r\n'
    for body, expected in pairs {
      [tar:sub(1, 1536) .. detail] = { "io", "no space left on device" },
      [tar:sub(1, 1536) .. '{"message":"open /layer: gone"}'] = { "io", "open /layer: gone" },
      [tar:sub(1, 1536)] = { "protocol", "the engine's archive ends before its end" },
      [""] = { "protocol", "the engine's archive ends before its end" },
    } do
      local proxy <close> = faults.before(engine.socket(), { match = "images/get", reply = answer(body) })
      local through = ctz.docker.connect { host = proxy.host }
      local err = fails(expected[1], function()
        for _ in through.images.save(engine.image) do -- luacheck: ignore 542
        end
      end)
      assert.equal(("image %s: %s"):format(engine.image, expected[2]), err.message)
    end
  end)

  it("stop when the loop is left", function()
    for _ in docker.images.save(engine.image) do -- luacheck: ignore 512
      break
    end
    assert.is_not_nil(docker.images.find(engine.image))
  end)
end)

describe("docker.images.import #live", function()
  teardown(engine.is_clean)

  it("makes an image of a root file system", function()
    local folder <close> = ctz.fs.tempdir()
    local name = engine.name "repo"
    ctz.fs.write(folder.path .. "/root.tar", rootfs "content")
    local image = docker.images.import(folder.path .. "/root.tar", {
      name = name .. ":base",
      changes = { "ENV A=b", 'CMD ["/file"]' },
      message = "from a test",
      on_progress = quiet,
    })
    assert.equal(name .. ":base", image.full_name)
    assert.same({ "/file" }, image.raw.Config.Cmd)
    assert.equal("from a test", image:history()[1].comment)
    image:remove()
  end)

  it("fails with the engine's words", function()
    local name = engine.name "repo" .. ":1"
    local err = fails("io", docker.images.import, { bytes = ("x"):rep(2000) }, {
      name = name,
      on_progress = quiet,
    })
    assert.equal("docker.images.import", err.op)
    ctz.try(docker.images.remove, name) -- the newest engine leaves it
    fails("usage", docker.images.import, { bytes = rootfs "x" }, {
      changes = { "NONSENSE" },
      on_progress = quiet,
    })
  end)
end)

describe("docker.images.pull and push #live #real", function()
  if not registry.is_there then
    pending "docker-registry is not installed"
    return
  end
  teardown(engine.is_clean)

  it("carry an image to a registry and back", function()
    local place <close> = registry.start()
    local name = place.host .. "/team/web:1"
    local image = make(name)
    local events = {}
    local pushed = docker.push(name, { auth = false, on_progress = function(event)
      events[#events + 1] = event
    end })
    assert.equal(name, pushed.name)
    assert.equal("1", pushed.tag)
    assert.matches("^sha256:%x+$", pushed.digest)
    assert.is_true(pushed.size_bytes > 100)
    assert.matches("The push refers to repository", events[1].status)
    assert.is_number(events[#events].sum_total)
    image:remove()
    assert.is_nil(docker.images.find(name))

    local pulled = docker.pull(name, NOBODY)
    assert.equal(image.id, pulled.id)
    assert.equal(name, pulled.full_name)
    assert.equal(pushed.digest, pulled.digest)
    assert.equal(image.id, docker.pull(name, NOBODY).id) -- it is there
    pulled:remove()

    pulled = docker.pull(place.host .. "/team/web@" .. pushed.digest, NOBODY)
    assert.equal(image.id, pulled.id)
    assert.equal(pushed.digest, pulled.digest)
    docker.images.remove(pulled.id, { force = true })
  end)

  it("show one line of progress by themselves", function()
    local place <close> = registry.start()
    local name = place.host .. "/team/web:1"
    make(name)
    local result = program.recipe(([[
      local ctz = require "ctz"
      local docker = ctz.docker.connect{host=%q}
      docker.push(%q, {auth=false})
      docker.images.remove(%q)
      docker.pull(%q, {auth=false, on_progress=function() end})
      docker.pull(%q, {auth=false})]]):format(engine.host(), name, name, name, name))
    assert.equal(0, result.code, result.err)
    local size <const>, span <const> = "[%d.]+ k?B", "[%d.]+ m?s"
    assert.matches(("^push %s: %s in %s\npull %s: %s in %s\n$")
      :format(name:gsub("%p", "%%%0"), size, span, name:gsub("%p", "%%%0"), size, span), result.err)
    docker.images.remove(name)
  end)

  it("ask as who is told, and fail as auth otherwise", function()
    local place <close> = registry.start { auth = true }
    local name = place.host .. "/team/web:1"
    local image = make(name)
    local auth = { username = registry.username, password = ctz.secret(registry.password) }
    local err = fails("auth", docker.push, name, NOBODY)
    assert.matches("docker login", err.hint)
    fails("auth", docker.push, name, { auth = { username = "user", password = "wrong" }, on_progress = quiet })
    docker.push(name, { auth = auth, on_progress = quiet })
    image:remove()
    err = fails("auth", docker.pull, name, NOBODY)
    assert.matches("no basic auth credentials", err.message)
    docker.pull(name, { auth = auth, on_progress = quiet }):remove()
  end)

  it("ask as docker login left it", function()
    local place <close> = registry.start { auth = true }
    local folder <close> = ctz.fs.tempdir()
    local name = place.host .. "/team/web:1"
    make(name)
    local code = ("ctz.docker.connect{host=%q}.%%s(%q)"):format(engine.host(), name)
    local function run(verb)
      return program.run({ "eval", code:format(verb) }, { environment = "DOCKER_CONFIG=" .. folder.path })
    end
    ctz.fs.write(folder.path .. "/config.json", ctz.json.encode {
      auths = { [place.host] = { auth = ctz.base64.encode(registry.username .. ":" .. registry.password) } },
    })
    local result = run "push"
    assert.equal(0, result.code, result.err)
    docker.images.remove(name)
    result = run "pull"
    assert.equal(0, result.code, result.err)

    ctz.fs.write(folder.path .. "/config.json", ctz.json.encode { credHelpers = { [place.host] = "none-of-that" } })
    result = run "pull"
    assert.equal(1, result.code)
    assert.matches("asking as nobody, because .*docker%-credential%-none%-of%-that", result.err)
    assert.matches("no basic auth credentials", result.err)
    docker.images.remove(name)
  end)

  it("say what the registry does not have", function()
    local place <close> = registry.start()
    local name = place.host .. "/team/web"
    local image = make(name .. ":1")
    docker.push(name .. ":1", NOBODY)
    fails("not_found", docker.pull, name .. ":2", NOBODY)
    fails("not_found", docker.pull, place.host .. "/none/web:1", NOBODY)
    local err = fails("not_found", docker.pull, name .. ":1", {
      platform = "linux/s390x",
      auth = false,
      on_progress = quiet,
    })
    assert.matches("linux/s390x", err.message)
    image:remove()
    place:close()
    fails("unreachable", docker.pull, name .. ":1", NOBODY)
  end)

  it("fail with the engine's words inside of an answer that is well, and when it ends early", function()
    local function chunked(...)
      local parts = { "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" }
      for _, text in ipairs { ... } do
        parts[#parts + 1] = ("%x\r\n%s\r\n"):format(#text, text)
      end
      return table.concat(parts)
    end
    local begin <const> = '{"status":"Pulling from web","id":"1"}\r\n'
    local detail <const> = '{"errorDetail":{"message":"toomanyrequests: slow down"},"error":"old"}\r\n'
    local last <const> = "0\r\n\r\n"
    for answer, expected in pairs {
      [chunked(begin, detail) .. last] = { "rate_limited", "image web:1: toomanyrequests: slow down" },
      [chunked(begin, detail)] = { "rate_limited", "image web:1: toomanyrequests: slow down" },
      [chunked(begin .. detail:sub(1, 30), detail:sub(31)) .. last] = { "rate_limited",
        "image web:1: toomanyrequests: slow down" },
      [chunked(begin) .. last] = { "protocol", "image web:1: the engine's messages end before it was done" },
      [chunked() .. last] = { "protocol", "image web:1: the engine's messages end before it was done" },
      [chunked(begin, '{"status":') .. last] = { "protocol", "the engine's answer ends in the middle of a message" },
      [chunked(begin, "oops") .. last] = { "protocol", 'the engine sent something else than messages: "oops"' },
      [chunked(begin)] = { "unreachable" }, -- as when the engine is killed
    } do
      local proxy <close> = faults.before(engine.socket(), { match = "images/create|/push", reply = answer })
      local through = ctz.docker.connect { host = proxy.host }
      local err = fails(expected[1], through.pull, "web:1", NOBODY)
      assert.equal(expected[2] or err.message, err.message)
      assert.equal("docker.images.pull", err.op)
      fails(expected[1], through.push, engine.image, NOBODY)
    end
  end)

  it("can be cancelled while the engine says nothing", function()
    local proxy <close> = faults.before(engine.socket(), { match = "images/create|/push|images/load", stall = 0 })
    local images = ctz.docker.connect({ host = proxy.host }).images
    for _, call in ipairs {
      { images.pull, "web:1", NOBODY },
      { images.push, engine.image, NOBODY },
      { images.load, { bytes = rootfs "x" }, { on_progress = quiet } },
    } do
      local _, err = ctz.try(ctz.timeout, 0.2, function()
        call[1](call[2], call[3])
      end)
      assert.equal("timeout", err.kind)
    end
  end)

  it("fail when the engine is killed in the middle", function()
    local own <close> = engine.own()
    local on = ctz.docker.connect { host = own.host }
    local count = 0
    local _, err = ctz.try(on.images.load, function()
      count = count + 1
      if count == 3 then
        own:down { kill = true }
      end
      return count < 100 and ("x"):rep(100000) or nil
    end, { on_progress = quiet })
    assert.equal("docker.images.load", err.op)
    assert.equal("unreachable", err.kind)
    own:up()
  end)

  it("plan in a dry run and change nothing", function()
    local image = make(engine.name "repo" .. ":1")
    local result = program.recipe(([[
      local ctz = require "ctz"
      local docker = ctz.docker.connect{host=%q}
      local pulled = docker.pull("alpine")
      print(pulled.full_name, pulled.repository, pulled.tag, pulled.planned)
      print(docker.push("web:1").name, #docker.images.load("x.tar"))
      print(docker.images.tag(pulled, "mine"), #pulled:remove().deleted, docker.images.save("web", {to="web.tar"}).path)
      print(docker.images.import("x.tar", {name="base:2"}).full_name)
      print(#docker.images.prune({all=true}).removed, #docker.images.get(%q):remove().deleted)]])
      :format(engine.host(), image.full_name), { "--dry-run" })
    assert.equal("alpine:latest\talpine\tlatest\ttrue\nweb:1\t0\ntrue\t0\tweb.tar\nbase:2\n0\t0\n", result.out,
      result.err)
    assert.equal(([[
would pull image alpine:latest
would push image web:1
would load images from x.tar
would tag image alpine:latest as mine:latest
would remove image alpine:latest
would save image web as web.tar
would import x.tar as base:2
would remove all images that no container uses
would remove image %s
]]):format(image.full_name), result.err)
    assert.is_not_nil(docker.images.find(image))
    image:remove()
  end)
end)
