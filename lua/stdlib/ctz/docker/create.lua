-- docker/create.lua: makes a container: its image, its networks, its labels; and reads its end.
-- SPDX-License-Identifier: MIT
local container_of = require "ctz.docker.container"
local labels = require "ctz.docker.labels"
local log = require "ctz.log"
local new_error = require("ctz.core.task").error
local sheltered = require "ctz.docker.sheltered"
local table_of = require("ctz.docker.values").table_of

local error, ipairs, pcall, require, setmetatable = error, ipairs, pcall, require, setmetatable
local tostring, type = tostring, type

-- --- the image that is not there ------------------------------------------------------------------

local function image_names(client)
  local ok, images = pcall(client.call, client, "GET", "/images/json", {})
  local list = {}
  for _, image in ipairs(ok and images or {}) do
    for _, name in ipairs(table_of(image.RepoTags)) do
      list[#list + 1] = name
    end
  end
  return list
end

local function with_near_image(client, err, image)
  local near = require("ctz.core.host").nearest(image, image_names(client))
  if near then
    err.hint = ("did you mean %s?"):format(near)
  end
  return err
end

local function is_missing_image(err)
  return type(err) == "table" and err.kind == "not_found" and tostring(err.message):find "[Nn]o such image"
end

-- --- what is to be removed ------------------------------------------------------------------------

-- Returns when the container is gone, also when the engine was removing it already.
local function remove(client, id)
  local path = "/containers/" .. id
  local ok, err = pcall(client.call, client, "DELETE", path, { query = { force = true, v = true } })
  local kind = not ok and type(err) == "table" and err.kind
  if kind == "conflict" then
    pcall(client.call, client, "POST", path .. "/wait", { query = { condition = "removed" }, reads = true })
  elseif not ok and kind ~= "not_found" then
    log.warn("a container was left behind; `ctz gc` finds it", { container = id:sub(1, 12), reason = tostring(err) })
  end
end

-- A request whose answer did not come may have made it all the same: it is known by its label.
local function find(client, object)
  local ok, list = pcall(client.call, client, "GET", "/containers/json", {
    query = { all = true, filters = { label = { "ctz.object=" .. object } } },
  })
  return ok and list[1] and list[1].Id
end

-- A container that is made: held before it is asked for, so that no error and no cancel comes between.
-- Leaving the block removes it unless it is kept.
local Held = {}
Held.__index = Held

function Held:remove()
  local id = self.id or self.object and find(self.client, self.object)
  self.id, self.object = nil, nil
  if id then
    remove(self.client, id)
  end
end

function Held:keep()
  self.kept = true
end

Held.__close = function(self)
  if not self.kept then
    self:remove()
  end
end

local function hold(client)
  return setmetatable({ client = client }, Held)
end

-- --- create -------------------------------------------------------------------------------------

local function post(client, op, config, held)
  local body, query = config:to_api(client:version(op))
  body.Labels = labels.merge("container", body.Labels)
  return sheltered(function()
    held.object = body.Labels["ctz.object"]
    local ok, answer = pcall(client.call, client, "POST", "/containers/create", {
      op = op,
      target = query.name and "container " .. query.name or "image " .. config.image,
      query = query,
      json = body,
    })
    if ok or type(answer) == "table" and answer.status then
      held.id, held.object = ok and answer.Id or nil, nil
    end
    return ok and answer or error(answer, 0)
  end)
end

-- Engines before API 1.44 take one network when a container is made. Sheltered, for a connect that is still
-- under way while its container is removed leaves an endpoint, and the network can not be removed any more.
local function connect_networks(client, op, config, id)
  for _, network in ipairs(config:networks_after(client:version(op))) do
    sheltered(function()
      client:call("POST", "/networks/" .. require("ctz.docker.client").escape(network.name) .. "/connect", {
        op = op,
        target = "network " .. network.name,
        json = { Container = id, EndpointConfig = network.settings },
      })
    end)
  end
end

-- pull: "missing" (default of docker.run), "always", "never"
local function make(client, op, config, pull, held)
  if pull == "always" then
    require("ctz.docker.images").pull(client, config.image, { platform = config.platform })
  end
  local ok, answer = pcall(post, client, op, config, held)
  if not ok and is_missing_image(answer) and pull == "missing" then
    require("ctz.docker.images").pull(client, config.image, { platform = config.platform })
    ok, answer = pcall(post, client, op, config, held)
  end
  if not ok then
    error(is_missing_image(answer) and with_near_image(client, answer, config.image) or answer, 0)
  end
  return answer
end

local function make_with_networks(client, op, config, pull, held)
  local answer = make(client, op, config, pull, held)
  connect_networks(client, op, config, answer.Id)
  return container_of.created(client, answer.Id, config, table_of(answer.Warnings))
end

-- A container object. held: who removes it, when it is not what the caller wanted; without it nothing
-- is left when a part of it fails.
local function create(client, op, config, pull, held)
  local shown = config.name or config.image
  if client:plans("create container %s of image %s", shown, config.image) then
    return container_of.planned(client, config)
  elseif held then
    return make_with_networks(client, op, config, pull, held)
  end
  local own <close> = hold(client)
  local container = make_with_networks(client, op, config, pull, own)
  own:keep()
  return container
end

-- --- the end ------------------------------------------------------------------------------------

-- The answer of wait -> exit code.
local function read_exit(op, target, answer)
  if type(answer) ~= "table" or type(answer.StatusCode) ~= "number" then
    error(new_error {
      kind = "unreachable",
      op = op,
      message = ("%s: the engine stopped telling before the container ended"):format(target),
      target = target,
      retryable = true,
    }, 0)
  end
  local failure = answer.Error
  if type(failure) == "table" and failure.Message then
    error(new_error { kind = "io", op = op, message = target .. ": " .. failure.Message, target = target }, 0)
  end
  return answer.StatusCode
end

return { create = create, hold = hold, read_exit = read_exit }
