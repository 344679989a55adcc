-- docker/image.lua: the object that stands for one name of an image, and names of images as arguments.
-- SPDX-License-Identifier: MIT
local escape = require("ctz.docker.client").escape
local new_error = require("ctz.core.task").error
local object = require "ctz.docker.object"
local reference = require "ctz.registry.reference"
local table_of = require("ctz.docker.values").table_of
local units = require "ctz.units"

local error, ipairs, require, setmetatable, type = error, ipairs, require, setmetatable, type

local image = {}

-- --- names -------------------------------------------------------------------------------------

local function usage(op, message, hint)
  error(new_error { kind = "usage", op = op, message = message, hint = hint }, 0)
end

-- The parts of a name, checked before anything is sent. Without tag and digest the tag is "latest".
function image.parse(op, what, name)
  if type(name) ~= "string" then
    usage(op, ("bad argument '%s' to '%s': expected the name of an image, got %s"):format(what, op, type(name)))
  end
  local parts, problem, hint = reference.read(name)
  if not parts then
    usage(op, ("invalid reference %q: %s"):format(name:sub(1, 100), problem), hint)
  end
  if not parts.tag and not parts.digest then
    parts.tag = "latest"
  end
  return parts
end

-- The short text of the parts, as Docker shows it.
function image.text(parts, fields)
  return reference.format({
    domain = parts.domain,
    path = parts.path,
    tag = (not fields or fields.tag) and parts.tag or nil,
    digest = (not fields or fields.digest) and parts.digest or nil,
  }, { familiar = true })
end

local function is_id(text)
  return text:find "^sha256:%x+$" ~= nil or #text == 64 and not text:find "[^0-9a-f]"
end

-- The name as the engine writes it: "docker.io/library/web" is "web:latest"; an id as it is.
function image.canonical(name)
  local parts = not is_id(name) and reference.read(name) or nil
  if not parts then
    return name
  elseif parts.digest then
    return image.text(parts, { digest = true })
  end
  parts.tag = parts.tag or "latest"
  return image.text(parts)
end

-- What the engine shall look for, and what people call it: of an id, a name, or an object, whose name may
-- be another image's by now.
function image.subject(op, value)
  if type(value) == "table" and type(value.id) == "string" then
    return value.id, value.full_name or value.id
  elseif type(value) ~= "string" then
    usage(op, ("bad argument 'image' to '%s': expected a name, an id or an image, got %s"):format(op, type(value)))
  elseif not is_id(value) then
    image.parse(op, "image", value)
  end
  return value, value
end

-- The same for what is done to a name, which must still be that image's.
function image.named_subject(client, op, value)
  local id, name = image.subject(op, value)
  if id ~= name and not value.planned and image.call(client, "GET", name, "/json", { op = op }).Id ~= id then
    error(new_error {
      kind = "conflict",
      op = op,
      message = ("image %s is another one now"):format(name),
      target = "image " .. name,
      hint = "get it again, or name it by its id " .. id:sub(1, 19),
    }, 0)
  end
  return name
end

-- "/images/..." of a name, whose slashes stay.
function image.path(name, rest)
  return "/images/" .. name:gsub("[^/]+", escape) .. (rest or "")
end

-- All names that the engine has, for hints: "web:1" and "web".
local function names_of(client, op)
  local names = {}
  for _, raw in ipairs(client:call("GET", "/images/json", { op = op })) do
    for _, name in ipairs(table_of(raw.RepoTags)) do
      names[#names + 1] = name
      names[#names + 1] = name:match "^(.*):"
    end
  end
  return names
end

-- Asks about one image, with a hint when there is none.
function image.call(client, method, name, rest, opts)
  opts.target, opts.name, opts.shows = "image " .. name, name, "docker.images.list()"
  function opts.names()
    return names_of(client, opts.op)
  end
  return object.call(client, method, image.path(name, rest), opts)
end

-- "linux/arm64/v8" -> {os=, architecture=, variant=}, as the newer API wants it in JSON.
function image.platform(op, text)
  if not text then
    return nil
  end
  local os, rest = text:match "^(%a[%w]*)/?(.*)$"
  local architecture, variant = (rest or ""):match "^(%w*)/?(%w*)$"
  if not os or not architecture then
    usage(op, ("bad argument 'opts.platform' to '%s': %q is no platform such as linux/arm64"):format(op, text))
  end
  return {
    os = os,
    architecture = architecture ~= "" and architecture or nil,
    variant = variant ~= "" and variant or nil,
  }
end

-- --- the object --------------------------------------------------------------------------------

local METHODS <const> = {} -- not tag: that is a field
for name in ("get history inspect push remove save"):gmatch "%S+" do
  METHODS[name] = function(self, ...)
    return require("ctz.docker.images")[name](self.client, self, ...)
  end
end

--- image:analyze(opts?) -> table
--- What the image is made of, as ctz.image.analyze tells it. The engine's image is saved for it as a file
--- that goes again.
--- @async
--- @param opts.platform? string  default: this machine's
--- @error not_found it has been removed
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.images.get, "web:1")
--- @example assert(err:is "unreachable")
function METHODS:analyze(opts)
  local folder <close> = require("ctz.fs").tempdir()
  local path = folder.path .. "/image.tar"
  self:save { to = path }
  local report = require("ctz.image.analyze").analyze("docker-archive:" .. path, opts)
  report.name = self.full_name or self.id
  return report
end

local function make(client, fields)
  return setmetatable(fields, {
    __name = "ctz.docker.image",
    __index = function(_, name)
      return name == "client" and client or METHODS[name]
    end,
  })
end

-- "host:5000/web:1" -> "host:5000/web", "1"
local function split(name)
  local repository, tag = name:match "^(.*):([^:/]*)$"
  return repository ~= "<none>" and repository or nil, tag ~= "<none>" and tag or nil
end

local function digest_of(raw, repository)
  for _, name in ipairs(table_of(raw.RepoDigests)) do
    local own, digest = name:match "^(.*)@(.*)$"
    if own == repository then
      return digest
    end
  end
  return nil
end

-- What an image is called: a list of {repository, tag, digest, full_name}, one for each tag; without tags
-- (or with all) one for each digest; without those its id alone.
local function names(raw, all)
  local list = {}
  for _, name in ipairs(table_of(raw.RepoTags)) do
    local repository, tag = split(name)
    if tag then
      list[#list + 1] = {
        repository = repository,
        tag = tag,
        digest = digest_of(raw, repository),
        full_name = name,
      }
    end
  end
  for _, name in ipairs((all or #list == 0) and table_of(raw.RepoDigests) or {}) do
    local repository, digest = name:match "^(.*)@(.*)$"
    if repository and repository ~= "<none>" then
      list[#list + 1] = { repository = repository, digest = digest, full_name = name }
    end
  end
  return #list > 0 and list or { { full_name = raw.Id } }
end

local function with_facts(fields, raw)
  fields.id, fields.size_bytes, fields.raw = raw.Id, raw.Size, raw
  return fields
end

-- The objects for an entry of the engine's list.
function image.of_list(client, raw)
  local list = names(raw)
  for i, fields in ipairs(list) do
    fields.created = raw.Created
    fields.labels = table_of(raw.Labels)
    list[i] = make(client, with_facts(fields, raw))
  end
  return list
end

-- The object for the answer of inspect, by the name that was asked for.
function image.of_inspect(client, raw, asked)
  local all, tags = names(raw, true), {}
  local wanted = image.canonical(asked)
  local fields = all[1]
  for _, one in ipairs(all) do
    tags[#tags + 1] = one.tag and one.full_name
    if one.full_name == wanted then
      fields = one
    end
  end
  with_facts(fields, raw)
  fields.tags, fields.digests = tags, table_of(raw.RepoDigests)
  fields.created = units.unix_time(raw.Created)
  fields.labels = table_of(table_of(raw.Config).Labels)
  fields.architecture, fields.os = raw.Architecture, raw.Os
  fields.variant = raw.Variant ~= "" and raw.Variant or nil
  fields.layers = table_of(table_of(raw.RootFS).Layers)
  return make(client, fields)
end

-- What a dry run gives in the place of an image that would come.
function image.planned(client, parts)
  local name = image.text(parts)
  return make(client, {
    id = name,
    repository = image.text(parts, {}),
    tag = parts.tag,
    digest = parts.digest,
    full_name = name,
    labels = {},
    planned = true,
  })
end

return image
