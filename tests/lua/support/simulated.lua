-- simulated.lua: the engine in memory for specs written for real ones: CTZ_TEST_DOCKER_HOST=simulate.
-- SPDX-License-Identifier: MIT
local simulate = require "ctz.simulate"

local simulated = {}

local PATH <const> = { "PATH=/bin" }

--- As tests/testbed/docker makes them of busybox.
simulated.images = {
  ["ctz-test/busybox:1"] = { env = PATH, command = { "sh" }, is_known = true },
  ["ctz-test/healthy:1"] = {
    env = PATH,
    entrypoint = { "sh", "-c", 'sleep 0.2; touch /tmp/well; exec "$@"', "entry" },
    command = { "sleep", "1000" },
    healthcheck = { command = "test -e /tmp/well", interval = 1, timeout = 5, retries = 2 },
    ports = { 80 },
    labels = { ["ctz-test"] = "healthy" },
    is_known = true,
  },
}

local engine

--- GETs a path of the engine's API beside ctz.docker.
function simulated.get(path)
  local plain, query = path:gsub("^/v[%d.]+/", "/"):match "^([^?]*)%??(.*)$"
  return engine:get(query ~= "" and plain .. "?" .. query or plain)
end

-- Results say that they are simulated; beside that they are to be the same.
local function without_mark(value)
  if type(value) ~= "table" then
    return value
  end
  local result = {}
  for name, one in pairs(value) do
    result[without_mark(name)] = without_mark(one)
  end
  result.simulated = nil
  return result
end

local function compare_without_mark()
  local luassert, util = require "luassert", require "luassert.util"
  luassert:register("assertion", "same", function(_, arguments)
    arguments[1], arguments[2] = without_mark(arguments[2]), without_mark(arguments[1]) -- the order of its message
    return (util.deepcompare(arguments[1], arguments[2]))
  end, "assertion.same.positive", "assertion.same.negative")
end

--- From now on every connection is to a new engine in memory.
function simulated.begin(docker)
  docker.api, docker.engine = "1.41", "simulated"
  function docker.host()
    return "unix:///simulated"
  end
  engine = simulate.engine({ images = simulated.images }):use()
  local clients, new = require "ctz.docker.client", nil
  new, clients.new = clients.new, function(opts)
    return require("ctz.docker.simulate.stand_in").client(opts) or new(opts)
  end
  compare_without_mark()
end

function simulated.engine()
  return engine
end

return simulated
