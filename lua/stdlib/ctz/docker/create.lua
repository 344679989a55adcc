-- docker/create.lua: makes a container: its image, its networks, its labels; and reads its end.
-- SPDX-License-Identifier: MIT
local labels = require "ctz.docker.labels"
local new_error = require("ctz.core.task").error
local table_of = require("ctz.docker.values").table_of

local error, ipairs, pairs, pcall, require, type = error, ipairs, pairs, pcall, require, type
local tostring = tostring

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

-- --- create -------------------------------------------------------------------------------------

local function with_labels(body)
  local all = labels.of_run()
  for name, value in pairs(table_of(body.Labels)) do
    all[name] = value
  end
  body.Labels = all
  return body
end

local function post(client, op, config)
  local body, query = config:to_api(client:version(op))
  return client:call("POST", "/containers/create", {
    op = op,
    target = query.name and "container " .. query.name or "image " .. config.image,
    query = query,
    json = with_labels(body),
  })
end

-- Engines before API 1.44 take one network when a container is made.
local function connect_networks(client, op, config, id)
  for _, network in ipairs(config:networks_after(client:version(op))) do
    client:call("POST", "/networks/" .. require("ctz.docker.client").escape(network.name) .. "/connect", {
      op = op,
      target = "network " .. network.name,
      json = { Container = id, EndpointConfig = network.settings },
    })
  end
end

-- For clean-up: returns when the container is gone, also when the engine was removing it already.
local function remove(client, id)
  local path = "/containers/" .. id
  local _, err = pcall(client.call, client, "DELETE", path, { query = { force = true, v = true } })
  if type(err) == "table" and err.kind == "conflict" then
    pcall(client.call, client, "POST", path .. "/wait", { query = { condition = "removed" }, reads = true })
  end
end

-- pull: "missing" (default of docker.run), "always", "never"
local function make(client, op, config, pull)
  if pull == "always" then
    require("ctz.docker.images").pull(client, config.image, { platform = config.platform })
  end
  local ok, answer = pcall(post, client, op, config)
  if not ok and is_missing_image(answer) and pull == "missing" then
    require("ctz.docker.images").pull(client, config.image, { platform = config.platform })
    ok, answer = pcall(post, client, op, config)
  end
  if not ok then
    error(is_missing_image(answer) and with_near_image(client, answer, config.image) or answer, 0)
  end
  return answer
end

-- A container object; nothing is left when a part of it fails.
local function create(client, op, config, pull)
  local shown = config.name or config.image
  if client:plans("create container %s of image %s", shown, config.image) then
    return require("ctz.docker.container").planned(client, config)
  end
  local answer = make(client, op, config, pull)
  local ok, result = pcall(function()
    connect_networks(client, op, config, answer.Id)
    return require("ctz.docker.containers").get(client, answer.Id)
  end)
  if not ok then
    remove(client, answer.Id)
    error(result, 0)
  end
  result.warnings = table_of(answer.Warnings)
  return result
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

return { create = create, remove = remove, read_exit = read_exit }
