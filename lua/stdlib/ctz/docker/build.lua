-- docker/build.lua: images from Dockerfiles, by the engine's classic builder or by BuildKit.
-- SPDX-License-Identifier: MIT
-- Source: Docker Engine API v1.41 and v1.56, POST /build.
local buildkit = require "ctz.docker.buildkit"
local check = require("ctz.options").check
local contexts = require "ctz.docker.build.context"
local env = require "ctz.env"
local escape = require("ctz.docker.client").escape
local fs = require "ctz.fs"
local is_secret = require("ctz.options").is_secret
local json = require "ctz.json"
local labels = require "ctz.docker.labels"
local new_steps = require("ctz.docker.build.steps").new
local progress = require "ctz.docker.progress"
local task = require "ctz.core.task"
local time = require "ctz.time"
local ui = require "ctz.ui"

local as_build, fail = contexts.as_build, contexts.fail
local error, ipairs, math_type, next, pairs = error, ipairs, math.type, next, pairs
local pcall, require, tostring, type = pcall, require, tostring, type

local OP <const> = "docker.build"
local BUILDKIT_SINCE <const> = "1.42" -- Engine 23.0, the first that builds with it unless told otherwise
local CONTEXT_S <const> = 0.1 -- between two events of what was sent
local MB <const> = 1000000

-- --- which builder -----------------------------------------------------------------------------

-- What only BuildKit understands: flags of instructions, here-documents, a syntax of its own.
local flags <const> = {
  RUN = { "mount", "network", "security", "device" },
  COPY = { "link", "chmod", "parents", "exclude" },
  ADD = { "link", "chmod", "checksum", "keep-git-dir", "exclude" },
}

local function needs_buildkit(text)
  if text:find "^\239?\187?\191?%s*#%s*[Ss][Yy][Nn][Tt][Aa][Xx]%s*=" then
    return true
  end
  for line in text:gmatch "[^\r\n]+" do
    local word, rest = line:match "^%s*(%a+)%s+(.*)$"
    local known = word and flags[word:upper()]
    for flag, value in (known and rest or ""):gmatch "%-%-([%w-]+)(=?)" do
      for _, name in ipairs(known) do
        if flag == name and (value == "=" or name == "link" or name == "parents") then
          return true
        end
      end
    end
    if known and (" " .. rest .. " "):find "%s%d*<<%-?[\"']?[%a_][%w_]*[\"']?%s" then
      return true
    end
  end
  return false
end

-- The option, then DOCKER_BUILDKIT as the docker command reads it, then what the engine prefers, then
-- what the Dockerfile needs.
local function is_classic(client, opts, text)
  local wanted = opts.builder or ({ ["0"] = "classic", ["1"] = "buildkit" })[env.DOCKER_BUILDKIT or ""]
  if opts.secrets and next(opts.secrets) then
    if opts.builder == "classic" then
      fail("usage", "the classic builder has no secrets", 'leave builder = "classic" out: BuildKit has them')
    end
    return false
  elseif wanted then
    return wanted == "classic"
  end
  return not client:at_least(BUILDKIT_SINCE) and not needs_buildkit(text)
end

-- --- options -----------------------------------------------------------------------------------

local rules <const> = {
  context = "string",
  dockerfile = "string",
  args = "table",
  target = "string",
  labels = "table",
  tags = "string|table",
  cache_from = "string|table",
  no_cache = "boolean",
  pull = "boolean",
  platform = "string",
  network = "string",
  extra_hosts = "table",
  secrets = "table",
  builder = "string",
  on_progress = "function",
  timeout = "seconds",
}

local function texts_of(option, list)
  local texts = {}
  for i, value in ipairs(type(list) == "table" and list or { list }) do
    if type(value) ~= "string" or value == "" then
      fail("usage", ("bad argument 'opts.%s' to '%s': expected texts, got %s as number %d"):format(option, OP,
        type(value), i))
    end
    texts[i] = value
  end
  return texts
end

-- {NAME = value} of texts, numbers and booleans
local function map_of(option, fields)
  local map = {}
  for name, value in pairs(fields or {}) do
    if type(name) ~= "string" then
      fail("usage", ("bad argument 'opts.%s' to '%s': a field has a name, got a %s as key"):format(option, OP,
        type(name)))
    elseif is_secret(value) and type(value) ~= "string" then
      fail("usage", ("opts.%s.%s is a secret; the image would show it to everybody"):format(option, name),
        "secrets = {" .. name .. " = {value = ...}} with RUN --mount=type=secret,id=" .. name)
    elseif type(value) == "table" or type(value) == "function" or type(value) == "userdata" then
      fail("usage", ("bad argument 'opts.%s.%s' to '%s': expected text, got %s"):format(option, name, OP, type(value)))
    end
    map[name] = math_type(value) == "float" and ("%.14g"):format(value) or tostring(value)
  end
  return json.object(map)
end

local function tags_of(opts)
  local tags = texts_of("tags", opts.tags or {})
  local parse = require("ctz.registry.reference").parse
  for _, tag in ipairs(tags) do
    if as_build(parse, tag).digest then
      fail("usage", ("the tag %q has a digest; an image that is built gets its own"):format(tag))
    end
  end
  return tags
end

-- --- secrets and credentials -------------------------------------------------------------------

local function secret_of(id, from)
  if type(from) ~= "table" then
    return from
  end
  local source, value = next(from)
  if next(from, source) ~= nil or source ~= "env" and source ~= "file" and source ~= "value" then
    fail("usage", ("the secret %q: expected one of env, file and value"):format(id))
  elseif source == "value" then
    return value
  elseif type(value) ~= "string" then
    fail("usage", ("the secret %q: %s is a name, got %s"):format(id, source, type(value)))
  elseif source == "file" then
    return as_build(fs.read, value)
  end
  return env[value] or fail("not_found", ("the secret %q: the environment has no %s"):format(id, value))
end

local function secrets_of(opts)
  local secrets = {}
  for id, from in pairs(opts.secrets or {}) do
    secrets[id] = secret_of(tostring(id), from)
  end
  return secrets
end

local function auth(host)
  local found = require("ctz.registry.credentials").get(host)
  if found and found.identity_token then
    return { secret = found.identity_token }
  end
  return found and { username = found.username, secret = found.password }
end

-- --- the request -------------------------------------------------------------------------------

local function query_of(opts, plan, classic, session)
  local tags, cache_from = tags_of(opts), opts.cache_from and texts_of("cache_from", opts.cache_from)
  return {
    dockerfile = plan.name,
    t = { each = tags },
    buildargs = opts.args and map_of("args", opts.args),
    labels = json.object(labels.merge("image", map_of("labels", opts.labels))),
    target = opts.target,
    cachefrom = cache_from and json.array(cache_from),
    nocache = opts.no_cache,
    pull = opts.pull and "1" or nil,
    platform = opts.platform,
    networkmode = opts.network,
    extrahosts = opts.extra_hosts and { each = texts_of("extra_hosts", opts.extra_hosts) },
    version = classic and "1" or "2",
    rm = classic and true or nil,
    forcerm = classic and true or nil,
    session = session and session.id,
  }
end

-- The credentials of all registries go along: the classic builder asks for none.
local function headers_of(classic)
  local headers = { ["Content-Type"] = "application/x-tar" }
  if classic then
    headers["X-Registry-Config"] = as_build(require("ctz.registry.credentials").x_registry_config)
  end
  return headers
end

-- A failure of the reader is kept as it is.
local function body_of(reader, emit)
  local told, body = 0, {}
  function body.next()
    local ok, chunk = pcall(reader.read, reader)
    if not ok then
      body.err = chunk
      error(chunk, 0)
    end
    local now = time.monotonic()
    if not chunk or now - told >= CONTEXT_S then
      told = now
      local bytes, files = reader:progress()
      emit { type = "context", bytes = bytes, files = files, done = not chunk }
    end
    return chunk
  end
  return body
end

-- --- the outcome -------------------------------------------------------------------------------

-- The engine's words, with the step that failed, its last output and its exit code.
local function failure(err, steps, session, body, target)
  local own = body.err or session and session.err
  if type(err) ~= "table" or err.kind == "cancelled" or err.kind == "timeout" then
    return err
  elseif type(own) == "table" and own.kind ~= "cancelled" then
    own.op = OP
    return own
  end
  local facts = steps:failed(err)
  local place = facts.number and (" (step %d of %d)"):format(facts.number, facts.total) or ""
  local result = task.error {
    kind = facts.exit_code and "exit" or err.kind,
    op = OP,
    message = facts.step and ("%s%s: %s"):format(facts.step, place, err.message) or err.message,
    hint = session and session:hint() or err.hint,
    target = target,
    status = err.status,
    exit_code = facts.exit_code,
    stderr = facts.output ~= "" and facts.output or nil,
    retryable = err.retryable,
  }
  result.step, result.number, result.output = facts.step, facts.number, facts.output
  return result
end

local function result_of(client, steps, opts, seconds)
  local tags = texts_of("tags", opts.tags or {})
  local id = steps.id
  if not id then
    error(task.error { kind = "protocol", op = OP, message = "the engine's answer ends without an image" }, 0)
  end
  local raw = client:call("GET", "/images/" .. escape(id) .. "/json", { op = OP, target = "image " .. id })
  local layers = type(raw.RootFS) == "table" and raw.RootFS.Layers
  return {
    image_name = tags[1],
    image_id = raw.Id,
    tags = tags,
    build_time = seconds,
    size_bytes = raw.Size,
    size_mb = raw.Size / MB,
    layers = type(layers) == "table" and layers or {},
    warnings = steps.warnings,
    raw = raw,
  }
end

-- --- building ----------------------------------------------------------------------------------

-- Events go to the recipe, or to a line of progress: how many steps are done.
local function listener(opts, target)
  if opts.on_progress then
    return opts.on_progress
  end
  local bar, done = ui.progress { title = "build " .. target }, 0
  return function(event)
    if event.type == "step" and event.number and event.state ~= "started" then
      done = done + 1
      bar:set(done)
    end
  end, bar
end

local function open_session(client, opts, classic, target)
  if classic then
    return nil
  end
  return buildkit.open(client, { op = OP, target = target, secrets = secrets_of(opts), auth = auth })
end

local function follow(client, opts, plan, classic, target, emit)
  local session <close> = open_session(client, opts, classic, target)
  local reader <close> = plan:open(classic)
  local query, count = query_of(opts, plan, classic, session), 0
  for _ in pairs(query.labels) do
    count = count + 1
  end
  local steps, body = new_steps(classic, emit, count), body_of(reader, emit)
  local ok, err = pcall(function()
    local stream <close> = client:stream("POST", "/build", {
      op = OP,
      query = query,
      headers = headers_of(classic),
      body = body.next,
    })
    for event in progress.events(client, stream, { op = OP }) do
      steps:event(event)
    end
  end)
  if not ok then
    error(failure(err, steps, session, body, target), 0)
  end
  steps:finish()
  return steps
end

local function build_now(client, opts)
  local begun = time.monotonic()
  local plan = contexts.plan(opts.context, opts.dockerfile)
  local classic = is_classic(client, opts, plan.text)
  local target = texts_of("tags", opts.tags or {})[1] or plan.name
  local emit, bar = listener(opts, target)
  local _ <close> = bar
  local steps = follow(client, opts, plan, classic, target, emit)
  return result_of(client, steps, opts, time.monotonic() - begun)
end

local function check_options(opts)
  opts = check(OP, opts, rules)
  if opts.builder and opts.builder ~= "classic" and opts.builder ~= "buildkit" then
    fail("usage", ("bad argument 'opts.builder' to '%s': expected classic or buildkit, got %q"):format(OP,
      opts.builder))
  elseif not opts.context and not opts.dockerfile then
    fail("usage", "there is nothing to build: neither context nor dockerfile is given",
      'docker.build{context = "."} builds the folder of the Dockerfile')
  end
  tags_of(opts)
  map_of("args", opts.args)
  map_of("labels", opts.labels)
  return opts
end

local build = {}

--- ctz.docker.build(opts) -> table
--- Builds an image and returns {image_name, image_id, tags, build_time, size_bytes, size_mb, layers,
--- warnings, raw}: image_name is the first tag, build_time is in seconds, size_mb in 1,000,000 bytes,
--- layers the digests of the image's layers, raw what the engine says of it. The folder is sent as it is
--- read, without what DOCKERFILE.dockerignore or else .dockerignore leaves out. The builder is BuildKit
--- on engines that prefer it (API 1.42 and newer), and on older ones when the Dockerfile or a secret
--- needs it; DOCKER_BUILDKIT=0 or 1 chooses as for the docker command. Events of on_progress are
--- {type="context", bytes=, files=, done=}, {type="step", name=, number?=, total?=, stage?=, state=,
--- seconds?=} with the states started, done, cached and failed, {type="output", step=, stream=, text=}
--- and {type="pull", id=, status=, current?=, total?=}; without it a line of progress is shown.
--- @async
--- @param opts.context? string  the folder; without it the Dockerfile is all there is
--- @param opts.dockerfile? string  path, below the context or from here; or its text, of several lines
--- @param opts.tags? string|string[]
--- @param opts.args? table  {NAME = value} for ARG; seen by everybody who has the image
--- @param opts.secrets? table  {id = {env=NAME} or {file=PATH} or {value=text}} for RUN --mount=type=secret,id=
--- @param opts.target? string  the stage to build
--- @param opts.labels? table  {name = value}
--- @param opts.cache_from? string|string[]  images whose layers may be used
--- @param opts.no_cache? boolean  runs every step
--- @param opts.pull? boolean  looks for newer base images
--- @param opts.platform? string  "os/arch/variant"
--- @param opts.network? string  of RUN: "host", "none", a network's name
--- @param opts.extra_hosts? string[]  "name:address"
--- @param opts.builder? "classic"|"buildkit"  default as above
--- @param opts.on_progress? fun(event: table)
--- @param opts.timeout? ctz.seconds
--- @return {image_name: string?, image_id: string, build_time: number, size_mb: number, layers: string[], raw: table}
--- @error exit a step failed: err.exit_code, err.step, err.number, err.output (its last lines)
--- @error not_found there is no such folder, Dockerfile, base image or secret
--- @error usage an option, the Dockerfile or the ignore file is wrong
--- @error conflict a file changed while it was read
--- @error unreachable no engine answers
--- @example local _, err = ctz.try(ctz.docker.connect{host="unix:///none.sock"}.build, {context="."})
--- @example assert(err:is "not_found" and err:is "build")
--- Api: Docker Engine v1.41, POST /build
function build.build(client, opts)
  opts = check_options(opts)
  local target = texts_of("tags", opts.tags or {})[1] or opts.dockerfile or opts.context
  if client:plans("build an image %s", target:match "[^\n]*") then
    return { image_name = opts.tags and texts_of("tags", opts.tags)[1], tags = {}, layers = {}, warnings = {} }
  end
  if opts.timeout then
    return task.timeout(opts.timeout, build_now, client, opts)
  end
  return build_now(client, opts)
end

return build
