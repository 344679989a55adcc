-- docker/pull.lua: images from and to registries, carried by the engine.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, POST /images/create, /images/{name}/push.
local base64 = require "ctz.base64"
local check = require("ctz.options").check
local image = require "ctz.docker.image"
local json = require "ctz.json"
local log = require "ctz.log"
local new_error = require("ctz.core.task").error
local object = require "ctz.docker.object"
local progress = require "ctz.docker.progress"
local secret = require "ctz.secret"

local error, next, pcall, require, tointeger, type = error, next, pcall, require, math.tointeger, type

local HUB <const> = "https://index.docker.io/v1/" -- what every client calls Docker Hub here
local NOBODY <const> = base64.encode("{}", { url = true }) -- an empty header upsets old engines
local AUTH <const> = {
  username = "string",
  password = "string|secret",
  identity_token = "string|secret",
  registry_token = "string|secret",
}

-- --- who we are --------------------------------------------------------------------------------

local function reveal(value)
  return type(value) == "userdata" and secret(value):reveal() or value
end

local function given_auth(op, auth, domain)
  check(op .. " (auth)", auth, AUTH)
  if not next(auth) then
    return NOBODY
  end
  local text = json.encode {
    username = auth.username,
    password = reveal(auth.password),
    identitytoken = reveal(auth.identity_token),
    registrytoken = reveal(auth.registry_token),
    serveraddress = domain == "docker.io" and HUB or domain,
  }
  return secret(base64.encode(text, { url = true }))
end

-- The header, and the error when config.json or a helper could not tell: the image may be for everybody.
local function auth_header(op, auth, parts)
  if auth == false then
    return NOBODY
  elseif type(auth) == "table" then
    return given_auth(op, auth, parts.domain)
  end
  local credentials = require "ctz.registry.credentials"
  local found, header = pcall(credentials.x_registry_auth, parts.domain .. "/" .. parts.path)
  if found then
    return header
  elseif type(header) ~= "table" or header.kind == "cancelled" then
    error(header, 0)
  end
  log.warn(("%s: asking as nobody, because %s"):format(op, header.message))
  return NOBODY, header
end

-- --- the stream --------------------------------------------------------------------------------

local function is_podman(stream)
  return stream.headers["libpod-api-version"] ~= nil
end

local function ended_early(request)
  error(new_error {
    kind = "protocol",
    op = request.op,
    message = ("%s: the engine's messages end before it was done"):format(request.target),
    target = request.target,
  }, 0)
end

-- Sends the request and follows its messages; on_event(event) returns true for one that proves success.
local function carry(client, path, opts)
  local stream = client:stream("POST", path, opts.request)
  local done = is_podman(stream)
  progress.follow(client, stream, {
    op = opts.request.op,
    target = opts.request.target,
    title = opts.title,
    on_progress = opts.on_progress,
    on_event = function(event)
      done = opts.proves(event) or done
    end,
    on_end = function()
      if not done then
        ended_early(opts.request)
      end
    end,
  })
end

-- A failure to know who we are explains a refusal.
local function carry_as(client, path, opts, trouble)
  local done, err = pcall(carry, client, path, opts)
  if not done then
    if trouble and type(err) == "table" and (err.kind == "auth" or err.kind == "denied") then
      err.cause = err.cause or trouble
    end
    error(err, 0)
  end
end

-- --- pull --------------------------------------------------------------------------------------

-- Engines give what a name without platforms has, whatever was asked for.
local function check_platform(op, got, wanted)
  if wanted and (got.os ~= wanted.os or wanted.architecture and got.architecture ~= wanted.architecture) then
    error(new_error {
      kind = "not_found",
      op = op,
      message = ("image %s is for %s/%s, not for %s/%s; it was pulled all the same"):format(got.full_name, got.os,
        got.architecture, wanted.os, wanted.architecture or "any"),
      target = "image " .. got.full_name,
    }, 0)
  end
end

local function pulled(client, op, name, wanted)
  local query = wanted and client:at_least("1.49", op) and { platform = wanted } or nil
  local raw = image.call(client, "GET", name, "/json", { op = op, query = query })
  local got = image.of_inspect(client, raw, name)
  check_platform(op, got, wanted)
  return got
end

local pull = {}

--- ctz.docker.images.pull(name, opts?) -> ctz.docker.image
--- Has the engine fetch an image from its registry and returns its object; docker.pull for short. Shows
--- the bytes of all layers as one line of progress, unless on_progress is given. In a dry run the object
--- has planned=true.
--- @async
--- @param name string  "alpine", "ghcr.io/owner/name:1.2", "name@sha256:..."; without a tag it is "latest"
--- @param opts.platform? string  "linux/arm64"
--- @param opts.auth? table|false  {username=, password=} or {identity_token=}; false: nobody; default: as
---   docker login left it (ctz.registry.credentials)
--- @param opts.on_progress? fun(event: table)  {id, status, current, total, sum_current, sum_total, raw}; id is a layer
--- @param opts.timeout? ctz.seconds  until it begins
--- @return ctz.docker.image
--- @error not_found the registry has no such image, or not for this platform
--- @error auth the registry wants to know who asks
--- @error denied the registry refuses
--- @error unreachable the engine does not reach the registry, or stopped meanwhile
--- @error protocol the stream ended before it was done
--- @example local _, err = ctz.try(ctz.docker.pull, "alpine:a tag")
--- @example assert(err.kind == "usage" and err.message:find "invalid tag format")
--- Api: Docker Engine v1.41, POST /images/create
function pull.pull(client, name, opts)
  local op <const> = "docker.images.pull"
  local parts = image.parse(op, "name", name)
  opts = check(op, opts, {
    platform = "string",
    auth = "table|boolean",
    on_progress = "function",
    timeout = "seconds",
  })
  local wanted = image.platform(op, opts.platform)
  local text = image.text(parts)
  if client:plans("pull image %s", text) then
    return image.planned(client, parts)
  end
  local header, trouble = auth_header(op, opts.auth, parts)
  carry_as(client, "/images/create", {
    title = "pull " .. text,
    on_progress = opts.on_progress,
    request = {
      op = op,
      target = "image " .. text,
      timeout = opts.timeout,
      headers = { ["X-Registry-Auth"] = header },
      query = { fromImage = image.text(parts, {}), tag = parts.digest or parts.tag, platform = opts.platform },
    },
    proves = function(event)
      return event.status and event.status:find "^Status: " ~= nil
    end,
  }, trouble)
  return pulled(client, op, image.canonical(text), wanted)
end

-- --- push --------------------------------------------------------------------------------------

-- What was pushed, of an event: {Tag, Digest, Size} or "1: digest: sha256:... size: 405".
local function read_result(event, result)
  local tag, digest, size = (event.status or ""):match "^(%S+): digest: (%S+) size: (%d+)$"
  local aux = type(event.aux) == "table" and event.aux or {}
  if aux.Digest then
    tag, digest, size = aux.Tag, aux.Digest, aux.Size
  end
  if digest then
    result.tag, result.digest, result.size_bytes = tag, digest, tointeger(size)
  end
  return digest ~= nil
end

--- ctz.docker.images.push(name, opts?) -> table
--- Has the engine send an image to its registry; docker.push for short. Returns {name, tag, digest,
--- size_bytes}: of its manifest there. Shows the bytes of all layers as one line of progress, unless
--- on_progress is given. In a dry run there is no digest.
--- @async
--- @param name string|ctz.docker.image  "registry.example/team/web:1"; without a tag it is "latest"
--- @param opts.platform? string  only this one of an image for several; needs API 1.46
--- @param opts.auth? table|false  {username=, password=} or {identity_token=}; false: nobody; default: as
---   docker login left it (ctz.registry.credentials)
--- @param opts.on_progress? fun(event: table)  {id, status, current, total, sum_current, sum_total, raw}; id is a layer
--- @param opts.timeout? ctz.seconds  until it begins
--- @return {name: string, tag: string, digest: string, size_bytes: ctz.bytes}
--- @error not_found the engine has no such image; the hint names the nearest
--- @error conflict the object's name is another image's now
--- @error auth the registry wants to know who asks
--- @error denied the registry refuses
--- @error unreachable the engine does not reach the registry, or stopped meanwhile
--- @error protocol the stream ended before it was done
--- @example local _, err = ctz.try(ctz.docker.push, "web@sha256:" .. ("0"):rep(64))
--- @example assert(err.kind == "usage" and err.message:find "a tag, no digest")
--- Api: Docker Engine v1.41, POST /images/{name}/push
function pull.push(client, name, opts)
  local op <const> = "docker.images.push"
  local _, shown = image.subject(op, name)
  local parts = image.parse(op, "name", shown)
  opts = check(op, opts, {
    platform = "string",
    auth = "table|boolean",
    on_progress = "function",
    timeout = "seconds",
  })
  if parts.digest then
    object.usage(op, "%q: what is pushed has a tag, no digest", image.text(parts))
  end
  local wanted = image.platform(op, opts.platform)
  local text = image.text(parts)
  local result = { name = text, tag = parts.tag }
  if client:plans("push image %s", text) then
    return result
  elseif wanted then
    object.needs(client, "1.46", "platform", op)
  end
  if type(name) == "table" then
    image.named_subject(client, op, name)
  else
    image.call(client, "GET", text, "/json", { op = op }) -- so that a missing one has its hint
  end
  local header, trouble = auth_header(op, opts.auth, parts)
  carry_as(client, image.path(image.text(parts, {}), "/push"), {
    title = "push " .. text,
    on_progress = opts.on_progress,
    request = {
      op = op,
      target = "image " .. text,
      timeout = opts.timeout,
      headers = { ["X-Registry-Auth"] = header },
      query = { tag = parts.tag, platform = wanted },
    },
    proves = function(event)
      return read_result(event, result)
    end,
  }, trouble)
  return result
end

return pull
