-- docker: a Docker Engine from a recipe. The module itself acts on the default engine.
-- SPDX-License-Identifier: MIT
local bind = require "ctz.docker.bind"
local check = require("ctz.options").check
local clients = require "ctz.docker.client"
local stand_in = require "ctz.docker.simulate.stand_in"

local rawset, require, setmetatable = rawset, require, setmetatable

-- Collections of a client, and the functions that stand beside them. Loaded when first named.
local collections <const> = {
  containers = "ctz.docker.containers",
  images = "ctz.docker.images",
  networks = "ctz.docker.networks",
  system = "ctz.docker.system",
  volumes = "ctz.docker.volumes",
}

-- Its doc comment stands where it is made.
local function config(given)
  return require("ctz.docker.config").config(given)
end

-- Functions that stand beside the collections, and where they are.
local functions <const> = {
  build = "ctz.docker.build",
  build_containers = "ctz.docker.manage",
  events = "ctz.docker.system",
  manage = "ctz.docker.manage",
  pull = "ctz.docker.images",
  push = "ctz.docker.images",
  run = "ctz.docker.containers",
}

local function open(client)
  return setmetatable({ config = config }, {
    __name = "ctz.docker",
    __index = function(self, name)
      local value
      if collections[name] then
        value = bind(require(collections[name]), client)
      elseif functions[name] then
        value = bind(require(functions[name]), client)[name]
      end
      rawset(self, name, value)
      return value
    end,
  })
end

local docker = { config = config }

--- ctz.docker.connect(opts?) -> ctz.docker
--- An engine to work with: the result has all that ctz.docker has. Without options it is the engine
--- that the docker command would use: DOCKER_HOST, else DOCKER_CONTEXT, else the current context of
--- config.json, else the local socket. Nothing is sent yet. Under --simulate it is an engine in
--- memory, one for each address.
--- @param opts.host? string  "unix:///PATH", "tcp://HOST:PORT", "ssh://[USER@]HOST"
--- @param opts.context? string  name of a context
--- @param opts.tls? table  {ca=, cert=, key=} files or PEM texts, insecure=; default as the environment says
--- @error usage the address is none
--- @error not_found there is no such context
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.system.version)
--- @example assert(err:is "unreachable" and err:is "container")
function docker.connect(opts)
  opts = check("docker.connect", opts, { host = "string", context = "string", tls = "table" })
  return open(stand_in.client(opts) or clients.new(opts))
end

local default, default_of

return setmetatable(docker, {
  __index = function(_, name)
    local engine = stand_in.current()
    if not default or default_of ~= engine then
      default, default_of = docker.connect(), engine
    end
    return default[name]
  end,
})
