-- docker.lua: the engine that tests/testbed/docker gave this spec.
--
--   local engine = require "tests.lua.support.docker"
--   describe("...", function()
--     teardown(engine.is_clean)
--     it("...", function() docker.connect{host = engine.host()} ... engine.image ... engine.name() end)
--
-- Ports that containers publish are on this process's own 127.0.0.1: it runs in the engine's network.
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"
local programs = require "tests.lua.support.programs"

local docker = {
  image = "ctz-test/busybox:1", -- every applet of busybox, CMD sh
  healthy = "ctz-test/healthy:1", -- well after 0.2 s while /tmp/well exists; runs its CMD (sleep 1000) by an entrypoint
  program = "tests/testbed/docker",
  engine = os.getenv "CTZ_TEST_DOCKER_ENGINE", -- "packaged" or "newest"
  api = os.getenv "CTZ_TEST_DOCKER_API", -- "1.41" or "1.56"
}

--- unix://PATH of the engine.
function docker.host()
  local hint = "run this by ctest, or by: tests/testbed/docker exec DIR ENGINE -- ctz test SPEC"
  return assert(os.getenv "CTZ_TEST_DOCKER_HOST", hint)
end

--- Is this the engine in memory (CTZ_TEST_DOCKER_HOST=simulate)? It has the same images.
docker.is_simulated = os.getenv "CTZ_TEST_DOCKER_HOST" == "simulate"

--- Path of its socket.
function docker.socket()
  return (docker.host():gsub("^unix://", ""))
end

--- GETs a path of the engine's API as plain HTTP, beside ctz.docker, and decodes the answer.
function docker.get(path, socket)
  if docker.is_simulated then
    return require("tests.lua.support.simulated").get(path)
  end
  local answer = ctz.http.get("http://docker" .. path, { unix_socket = socket or docker.socket() })
  return ctz.json.decode(answer.body, { big = "float" }), answer
end

--- A name that no other object of this engine has.
local made = 0
function docker.name(word)
  made = made + 1
  return ("%s-%d-%d"):format(word or "test", programs.self(), made)
end

-- What carries the label ctz.run: a list of {text = "kind name", path = where it is removed}.
local function labelled()
  local found = {}
  local filter = "filters=%7B%22label%22%3A%5B%22ctz.run%22%5D%7D" -- {"label":["ctz.run"]}
  local function add(kind, list, name, path)
    for _, item in ipairs(list or {}) do
      found[#found + 1] = { text = kind .. " " .. name(item), path = path:format(item.Id or item.Name) }
    end
  end
  add("container", docker.get("/v1.41/containers/json?all=1&" .. filter), function(item)
    return item.Names[1] or item.Id
  end, "/containers/%s?force=1&v=1")
  add("network", docker.get("/v1.41/networks?" .. filter), function(item)
    return item.Name
  end, "/networks/%s")
  local volumes = docker.get("/v1.41/volumes?" .. filter).Volumes
  add("volume", volumes ~= ctz.json.null and volumes, function(item)
    return item.Name
  end, "/volumes/%s?force=1")
  add("image", docker.get("/v1.41/images/json?all=1&" .. filter), function(item)
    return item.Id
  end, "/images/%s?force=1")
  return found
end

-- Takes what is still in a network off it, so that it can be removed.
local function empty(path)
  for id in pairs(docker.get("/v1.41" .. path).Containers or {}) do
    ctz.try(ctz.http.post, "http://docker/v1.41" .. path .. "/disconnect", {
      unix_socket = docker.socket(), json = { Container = id, Force = true },
    })
  end
end

local of_others = {} -- path -> true: what was there already when this spec began, and its maker was blamed for

--- Raises when something that ctz made is left on the engine, and removes it. For teardown and after_each.
function docker.is_clean()
  local texts = {}
  for _, left in ipairs(labelled()) do
    texts[#texts + 1] = not of_others[left.path] and left.text or nil
    if not docker.is_simulated then
      if left.path:find("^/networks/") then
        ctz.try(empty, left.path)
      end
      ctz.try(ctz.http.delete, "http://docker/v1.41" .. left.path, { unix_socket = docker.socket() })
    end
  end
  assert(#texts == 0, "left behind on the engine: " .. table.concat(texts, ", "))
end

-- Runs tests/testbed/docker; returns what it prints.
local function testbed(...)
  return ctz.process.run({ docker.program, ... }).stdout
end

local Own = {}
Own.__index = Own
Own.__close = function(self)
  testbed("stop", self.folder)
end

--- Ends the daemon (kill: by SIGKILL, its containers go on).
function Own:down(opts)
  testbed("down", self.folder, docker.engine, opts and opts.kill and "--kill" or nil)
end

function Own:up()
  testbed("up", self.folder, docker.engine)
end

--- An engine of this spec's own, of the same kind, to be ended and started: {host=, socket=}. Close it by <close>.
function docker.own()
  local folder = testbed("start", docker.engine):match "^(.-)\n"
  local socket = ("%s/%s/docker.sock"):format(folder, docker.engine)
  return setmetatable({ folder = folder, socket = socket, host = "unix://" .. socket }, Own)
end

if docker.is_simulated then
  require("tests.lua.support.simulated").begin(docker)
elseif os.getenv "CTZ_TEST_DOCKER_HOST" then
  for _, left in ipairs(labelled()) do
    of_others[left.path] = true
  end
end

return docker
