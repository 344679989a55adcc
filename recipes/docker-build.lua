-- docker-build.lua: builds an image from a folder, and pushes it when asked.
--
-- The folder is sent as it is read, without what .dockerignore leaves out. A step that fails ends the
-- recipe with the step, its command and its last lines of output. Secrets are for
-- `RUN --mount=type=secret,id=NAME` and are in no layer and no log.
--
-- Usage:       ctz run recipes/docker-build.lua tag=NAME[:TAG] [context=.] [dockerfile=PATH] [target=STAGE]
--                                               [secrets=id=ENVIRONMENT_NAME,...] [push=true] [-- NAME=VALUE ...]
-- Parameters:  tag         name of the image
--              context     the folder, default the current one
--              dockerfile  path, default Dockerfile in the folder
--              target      the stage to build, default the last
--              secrets     which variables of the environment are secrets of the build
--              push        push it when it is built
--              NAME=VALUE  arguments for ARG
-- Needs:       a Docker Engine
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "tag", "ref", help = "name of the image" },
  { "context", "path", default = ".", help = "the folder" },
  { "dockerfile", "string", default = "", help = "path of the Dockerfile" },
  { "target", "string", default = "", help = "the stage to build" },
  { "secrets", "list", default = {}, help = "id=ENVIRONMENT_NAME of each secret" },
  { "push", "bool", default = false, help = "push it when it is built" },
}

local function pair_of(text, what)
  local name, value = text:match "^([^=]+)=(.*)$"
  if not name then
    ctz.fail(("%s: expected %s"):format(text, what), { code = 2 })
  end
  return name, value
end

local args, secrets = {}, {}
for _, word in ipairs(ctz.args) do
  local name, value = pair_of(word, "NAME=VALUE")
  args[name] = value
end
for _, word in ipairs(p.secrets) do
  local id, variable = pair_of(word, "id=ENVIRONMENT_NAME")
  secrets[id] = { env = variable }
end

local docker = ctz.docker
local image = docker.build {
  context = p.context,
  dockerfile = p.dockerfile ~= "" and p.dockerfile or nil,
  target = p.target ~= "" and p.target or nil,
  tags = { p.tag },
  args = args,
  secrets = next(secrets) and secrets or nil,
}

for _, warning in ipairs(image.warnings) do
  ctz.log.warn(warning)
end
if p.push then
  docker.push(p.tag)
end

print((ctz.ui.table({
  { "image", image.image_name },
  { "id", image.image_id },
  { "layers", #image.layers },
  { "size", ctz.ui.bytes(image.size_bytes) },
  { "time", ctz.ui.duration(image.build_time) },
}):gsub("\n$", "")))
return image
