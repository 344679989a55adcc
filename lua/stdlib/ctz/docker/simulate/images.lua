-- docker/simulate/images.lua: the images of a simulated engine.
-- SPDX-License-Identifier: MIT
local engines = require "ctz.docker.simulate.engine"
local files_of = require "ctz.docker.simulate.files"
local hash = require "ctz.hash"
local json = require "ctz.json"
local reference = require "ctz.registry.reference"
local streams = require "ctz.docker.simulate.streams"

local ipairs, math, next, pairs, pcall = ipairs, math, next, pairs, pcall
local setmetatable, type = setmetatable, type
local sort = table.sort

local refuse = engines.refuse
local null <const> = json.null
local BASE_BYTES <const> = 1984218 -- of an image without files of its own

local images = {}

-- --- names -------------------------------------------------------------------------------------

-- "alpine" -> "alpine:latest", as the engine shows names.
local function with_tag(name)
  local ok, parsed = pcall(reference.parse, name)
  if not ok then
    refuse(400, "invalid reference format")
  end
  local repository = parsed.domain .. "/" .. parsed.path
  repository = repository:gsub("^docker%.io/library/", ""):gsub("^docker%.io/", "")
  return repository .. ":" .. (parsed.tag or "latest"), repository
end

local function by_digest(engine, digest)
  for _, image in pairs(engine.images) do
    if image.digest == digest then
      return image
    end
  end
end

-- The image of a name, a tag or an id; nil when there is none.
local function find(engine, name)
  local id = name:match "^sha256:(%x+)$" or name:match "^%x+$"
  if engine.images["sha256:" .. (id or "")] then
    return engine.images["sha256:" .. id]
  end
  local ok, tagged, repository = pcall(with_tag, name)
  if ok then
    local digest = name:match "@sha256:%x+$"
    local found = digest and by_digest(engine, repository .. digest)
      or not digest and engine.images[engine.tags[tagged]]
    if found then
      return found
    end
  end
  return id and #id >= 4 and engines.by_prefix(engine.images, "sha256:" .. id) or nil
end

local function tags_of(engine, image)
  local tags = {}
  for tag, id in pairs(engine.tags) do
    if id == image.id then
      tags[#tags + 1] = tag
    end
  end
  sort(tags)
  return tags
end

local function get(engine, name)
  return find(engine, name) or refuse(404, "No such image: %s", name:find("sha256:", 1, true) and name or
    (name:find(":[^/]*$") and name or name .. ":latest"))
end

-- --- making ------------------------------------------------------------------------------------

local function list_or_null(list)
  return list and json.array(list) or null
end

local function ports_of(ports)
  local map = {}
  for _, port in ipairs(ports or {}) do
    map[type(port) == "number" and ("%d/tcp"):format(port) or port] = json.object {}
  end
  return next(map) and map
end

local function words(command)
  return type(command) == "string" and { "/bin/sh", "-c", command } or command
end

local function nano(seconds)
  return seconds and math.tointeger(seconds * 1000000000 // 1)
end

-- check: {command = text for a shell | list, interval=, timeout=, start_period=, retries=}
local function health_of(check)
  if not check then
    return nil
  end
  local command = check.command
  return {
    Test = type(command) == "string" and { "CMD-SHELL", command } or { "CMD", table.unpack(command) },
    Interval = nano(check.interval),
    Timeout = nano(check.timeout),
    StartPeriod = nano(check.start_period),
    Retries = check.retries,
  }
end

-- Config as the engine tells it.
local function config_of(spec)
  local env = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" }
  for name, value in pairs(spec.environment or {}) do
    env[#env + 1] = type(name) == "string" and name .. "=" .. value or value
  end
  return {
    Hostname = "",
    Domainname = "",
    User = spec.user or "",
    AttachStdin = false,
    AttachStdout = false,
    AttachStderr = false,
    ExposedPorts = ports_of(spec.ports),
    Tty = false,
    OpenStdin = false,
    StdinOnce = false,
    Env = json.array(spec.env or env),
    Cmd = list_or_null(words(spec.command)),
    Healthcheck = health_of(spec.healthcheck),
    Image = "",
    Volumes = null,
    WorkingDir = spec.workdir or "",
    Entrypoint = list_or_null(words(spec.entrypoint)),
    OnBuild = null,
    Labels = spec.labels and json.object(spec.labels) or null,
  }
end

-- spec: command, entrypoint, environment, labels, ports, user, workdir, healthcheck, files, programs;
-- is_known: all programs that it has are known. name: nil for an image without one.
function images.add(engine, name, spec)
  local tagged, repository
  if name then
    tagged, repository = with_tag(name)
  end
  local id = "sha256:" .. engines.new_id()
  local image = {
    id = id,
    created = engine.kernel.clock,
    spec = spec,
    config = config_of(spec),
    files = files_of.new(spec.files):flatten(),
    programs = spec.programs or {},
    is_known = spec.is_known or spec.programs ~= nil,
    digest = spec.pulled and repository .. "@sha256:" .. hash.sha256(tagged) or nil,
    size = BASE_BYTES + files_of.new(spec.files):bytes(),
    comment = spec.comment or "",
    parent = spec.parent,
    layers = { "sha256:" .. hash.sha256(id) },
  }
  engine.images[id] = image
  if tagged then
    engine.tags[tagged] = id
  end
  return image
end

-- An image that says nothing of its command works as a service.
local function with_command(spec)
  if spec.command or spec.entrypoint then
    return spec
  end
  return setmetatable({ command = { "simulated" } }, { __index = spec })
end

-- What is there from the beginning: {"name", ["name"] = spec}.
function images.setup(engine)
  for name, spec in pairs(engine.settings.images or {}) do
    if type(name) == "number" then
      images.add(engine, spec, { command = { "simulated" } })
    else
      images.add(engine, name, with_command(spec))
    end
  end
end

-- --- looking -----------------------------------------------------------------------------------

local function summary(engine, image, containers, tags)
  tags = tags or tags_of(engine, image)
  return {
    Containers = containers or -1,
    Created = image.created // 1 | 0,
    Id = image.id,
    Labels = image.config.Labels,
    ParentId = image.parent or "",
    RepoDigests = image.digest and { image.digest } or #tags > 0 and null or { "<none>@<none>" },
    RepoTags = #tags > 0 and tags or { "<none>:<none>" },
    SharedSize = -1,
    Size = image.size,
    VirtualSize = image.size,
  }
end

local function is_dangling(engine, image)
  return #tags_of(engine, image) == 0
end

local function fits(pattern, name)
  pattern = pattern:gsub("[%^$()%%.%[%]+%-?]", "%%%0"):gsub("%*", "[^/]*")
  return name:find("^" .. pattern .. "$") ~= nil or name:gsub(":[^:/]*$", ""):find("^" .. pattern .. "$") ~= nil
end

-- The names that the filter reference asks for; nil: it asks for none.
local function wanted_tags(engine, image, patterns)
  if not patterns then
    return nil
  end
  local tags = {}
  for _, tag in ipairs(tags_of(engine, image)) do
    if engines.any(patterns, function(pattern)
      return fits(pattern, tag)
    end) then
      tags[#tags + 1] = tag
    end
  end
  return tags
end

local function is_wanted(engine, image, filters)
  return engines.has_labels(image.config.Labels, filters.label)
    and engines.any(filters.dangling, function(value)
      return (value == "true" or value == "1") == is_dangling(engine, image)
    end)
    and engines.any(filters.before, function(name)
      return image.created < get(engine, name).created
    end)
    and engines.any(filters.since, function(name)
      return image.created > get(engine, name).created
    end)
end

local function newest_first(left, right)
  if left.Created ~= right.Created then
    return left.Created > right.Created
  end
  return left.Id < right.Id
end

function images.list(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters),
    " dangling label before since reference until ")
  local list = {}
  for _, image in pairs(engine.images) do
    local tags = wanted_tags(engine, image, filters.reference)
    if is_wanted(engine, image, filters) and not (tags and #tags == 0) then
      list[#list + 1] = summary(engine, image, nil, tags)
    end
  end
  sort(list, newest_first)
  return 200, json.array(list)
end

function images.inspect(engine, _, name)
  local image = find(engine, name) or refuse(404, "no such image: %s: No such image: %s", name,
    name:find ":[^/]*$" and name or name .. ":latest")
  return 200, {
    Id = image.id,
    RepoTags = json.array(tags_of(engine, image)),
    RepoDigests = json.array { image.digest },
    Parent = image.parent or "",
    Comment = image.comment,
    Created = engines.stamp(image.created),
    Container = "",
    ContainerConfig = image.config,
    DockerVersion = "20.10.24",
    Author = "",
    Config = image.config,
    Architecture = "amd64",
    Os = "linux",
    Size = image.size,
    VirtualSize = image.size,
    GraphDriver = { Data = json.object {}, Name = "overlay2" },
    RootFS = { Type = "layers", Layers = image.layers },
    Metadata = { LastTagTime = engines.stamp(image.created) },
  }
end

function images.history(engine, _, name)
  local image = get(engine, name)
  local tags = tags_of(engine, image)
  return 200, {
    {
      Comment = image.comment,
      Created = image.created // 1 | 0,
      CreatedBy = "",
      Id = image.id,
      Size = image.size,
      Tags = #tags > 0 and tags or null,
    },
  }
end

-- --- changing ----------------------------------------------------------------------------------

local function tell(engine, action, image, name)
  local attributes = { name = name }
  for label, value in pairs(type(image.config.Labels) == "table" and image.config.Labels or {}) do
    attributes[label] = value
  end
  engine:tell("image", action, image.id, attributes, { status = action, id = image.id })
end

function images.tag(engine, query, name)
  local image = get(engine, name)
  local tagged = with_tag(query.repo .. (query.tag and query.tag ~= "" and ":" .. query.tag or ""))
  engine.tags[tagged] = image.id
  tell(engine, "tag", image, tagged)
  return 201
end

-- Containers of an image: the first that runs, the first that does not.
local function users(engine, image)
  local running, stopped
  for _, container in ipairs(engine.order) do
    if container.image == image then
      if container.state.running then
        running = running or container
      else
        stopped = stopped or container
      end
    end
  end
  return running, stopped
end

local function check_unused(engine, image, name, forced)
  local running, stopped = users(engine, image)
  local short = image.id:sub(8, 19)
  if name and (running or stopped) and not forced then
    refuse(409,
      'conflict: unable to remove repository reference "%s" (must force) - container %s is using its referenced ' ..
        "image %s",
      name, (running or stopped).id:sub(1, 12), short)
  elseif running and not name then
    refuse(409, "conflict: unable to delete %s (cannot be forced) - image is being used by running container %s",
      short, running.id:sub(1, 12))
  elseif stopped and not name and not forced then
    refuse(409, "conflict: unable to delete %s (must be forced) - image is being used by stopped container %s",
      short, stopped.id:sub(1, 12))
  end
end

local function untag(engine, image, tag, done)
  engine.tags[tag] = nil
  tell(engine, "untag", image, image.id)
  done[#done + 1] = { Untagged = tag }
end

local function delete(engine, image, done)
  if image.digest then
    done[#done + 1] = { Untagged = image.digest }
  end
  engine.images[image.id] = nil
  tell(engine, "delete", image, image.id)
  done[#done + 1] = { Deleted = image.id }
end

function images.remove(engine, query, name)
  local image = get(engine, name)
  local forced, done = query.force == "1" or query.force == "true", {}
  local tags = tags_of(engine, image)
  local is_id = image.id == name or image.id:sub(8, 7 + #name) == name
  local tag = not is_id and with_tag(name) or nil
  if tag and #tags > 1 then
    untag(engine, image, tag, done)
    return 200, done
  end
  if #tags > 1 and not forced then
    refuse(409, "conflict: unable to delete %s (must be forced) - image is referenced in multiple repositories",
      image.id:sub(8, 19))
  end
  check_unused(engine, image, tag, forced)
  for _, one in ipairs(tags) do
    untag(engine, image, one, done)
  end
  if not users(engine, image) then
    delete(engine, image, done)
  end
  return 200, done
end

function images.prune(engine, query)
  local filters = engines.check_filters(engines.filters_of(query.filters), " dangling label label! until ")
  local all, done, bytes = false, {}, 0
  for _, value in ipairs(filters.dangling or {}) do
    all = all or value == "false" or value == "0"
  end
  for _, image in pairs(engine.images) do
    local running, stopped = users(engine, image)
    if not running and not stopped and (all or is_dangling(engine, image))
      and engines.has_labels(image.config.Labels, filters.label) then
      for _, tag in ipairs(tags_of(engine, image)) do
        untag(engine, image, tag, done)
      end
      delete(engine, image, done)
      bytes = bytes + image.size
    end
  end
  engine:tell("image", "prune", "", { reclaimed = ("%d"):format(bytes) })
  return 200, { ImagesDeleted = #done > 0 and done or null, SpaceReclaimed = bytes }
end

-- --- pull --------------------------------------------------------------------------------------

-- What a registry has: settings.registry {"name", ["name"] = spec}; without it, everything.
local function offered(engine, tagged)
  local registry = engine.settings.registry
  if not registry then
    return { command = { "simulated" } }
  end
  for name, spec in pairs(registry) do
    if type(name) == "number" and with_tag(spec) == tagged then
      return { command = { "simulated" } }
    elseif type(name) == "string" and with_tag(name) == tagged then
      return with_command(spec)
    end
  end
  return nil
end

local function messages(list)
  local texts = {}
  for i, message in ipairs(list) do
    texts[i] = json.encode(message) .. "\r\n"
  end
  return streams.source_of(texts)
end

function images.pull(engine, query)
  local name = query.fromImage
  local tag = query.tag and query.tag ~= "" and query.tag or nil
  if tag then
    name = name .. (tag:find(":", 1, true) and "@" or ":") .. tag
  end
  local tagged, repository = with_tag(name)
  local spec = offered(engine, tagged)
  if not spec then
    refuse(404, "pull access denied for %s, repository does not exist or may require 'docker login': denied: " ..
      "requested access to the resource is denied", repository)
  end
  local old, status = find(engine, tagged), "Image is up to date for "
  if not old then
    local copy = setmetatable({ pulled = true }, { __index = spec })
    images.add(engine, tagged, copy)
    status = "Downloaded newer image for "
  end
  local image = find(engine, tagged)
  tell(engine, "pull", image, tagged)
  return 200, nil, {
    stream = messages {
      { status = "Pulling from " .. repository, id = tagged:match ":([^:]*)$" },
      { status = "Digest: " .. (image.digest or image.id):match "sha256:%x+$" },
      { status = "Status: " .. status .. tagged },
    },
  }
end

images.find = find
images.messages = messages
images.get = get
images.with_tag = with_tag
images.tags_of = tags_of
images.summary = summary

return images
