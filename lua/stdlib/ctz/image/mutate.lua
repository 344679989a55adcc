-- image/mutate.lua: another image made of one: what its config says, and what its layers hold.
-- SPDX-License-Identifier: MIT
-- Source: OCI image-spec v1.1, config.md and manifest.md. Layers that are not touched keep their bytes.
local assemble_core = require "ctz.core.image"
local config_of = require "ctz.image.config"
local core = require "ctz.core.layers"
local ctz = require "ctz"
local document = require "ctz.image.document"
local files = require "ctz.image.files"
local fs = require "ctz.fs"
local json = require "ctz.json"
local layers_of = require "ctz.image.layers"
local layout = require "ctz.image.layout"
local made = require "ctz.image.source.made"
local places = require "ctz.image.source"
local problems_of = require "ctz.problems"
local transfer = require "ctz.image.source.transfer"

local getenv, date = os.getenv, os.date
local ipairs, math_type, next, pairs, pcall, setmetatable, tonumber, tostring, type =
  ipairs, math.type, next, pairs, pcall, setmetatable, tonumber, tostring, type
local fail = document.fail

local OP <const> = "image.mutate"
local FIELDS <const> = {
  "annotations", "append", "cmd", "created", "entrypoint", "env", "flatten", "labels", "platform", "ports", "rebase",
  "recompress", "strip", "to", "user", "workdir",
}
local OCI_LAYER <const> = { gzip = document.LAYER .. "+gzip", zstd = document.LAYER .. "+zstd" }
local DOCKER_LAYER <const> = { gzip = "application/vnd.docker.image.rootfs.diff.tar.gzip" }
local MAX_TIME_S <const> = 253402300799 -- the end of year 9999, the last that RFC 3339 can write

-- --- options -----------------------------------------------------------------------------------

local function read_time(value, where, problems)
  if value == nil or math_type(value) == "integer" and value >= 0 and value <= MAX_TIME_S then
    return value
  end
  problems:usage(where, "expected seconds since 1970, got %s", tostring(value))
end

-- https://reproducible-builds.org/specs/source-date-epoch/; nil when it is not set.
local function source_date_epoch(problems)
  local ok, text = pcall(getenv, "SOURCE_DATE_EPOCH")
  if not ok or not text or text == "" then -- not ok: --allow does not let the run see it
    return nil
  end
  return read_time(text:find "^%d+$" and tonumber(text) or text, "SOURCE_DATE_EPOCH", problems)
end

-- {A="1", B=false} -> what is set, what is removed.
local function split_map(value, where, problems)
  local set, removed = {}, {}
  if problems:check(value, "table", where) then
    for key, text in pairs(value) do
      if text == false and type(key) == "string" then
        removed[key] = true
      else
        set[key] = text
      end
    end
  end
  return set, removed
end

-- "/var/cache/apt/" -> "var/cache/apt"
local function read_strip(paths, problems)
  local list = {}
  if not problems:check(paths, "table", "strip") then
    return nil
  end
  for i, path in ipairs(paths) do
    local parts = {}
    for part in (type(path) == "string" and path or ""):gmatch "[^/]+" do
      parts[#parts + 1] = part ~= "." and part or nil
    end
    list[i] = table.concat(parts, "/")
    if type(path) ~= "string" or path:sub(1, 1) ~= "/" or #parts == 0 or ("/" .. list[i] .. "/"):find("/../", 1, true)
      or path:find("\0", 1, true) then
      problems:usage(("strip[%d]"):format(i), "expected a path such as \"/var/cache\", got %s", tostring(path))
    end
  end
  return #list > 0 and list or nil
end

-- The part of the config that the options name; false in them removes.
local function read_config(opts, plan, problems)
  plan.env, plan.env_removed = split_map(opts.env, "env", problems)
  plan.labels, plan.labels_removed = split_map(opts.labels, "labels", problems)
  plan.annotations, plan.annotations_removed = split_map(opts.annotations, "annotations", problems)
  plan.annotations = config_of.read_strings(plan.annotations, "annotations", problems) or {}
  plan.fields = {}
  for option, field in pairs { cmd = "Cmd", entrypoint = "Entrypoint", user = "User", workdir = "WorkingDir",
    ports = "ExposedPorts" } do
    plan.fields[field] = { given = opts[option] ~= nil, removed = opts[option] == false }
  end
  plan.config = config_of.build({
    cmd = opts.cmd or nil, entrypoint = opts.entrypoint or nil, user = opts.user or nil,
    workdir = opts.workdir or nil, ports = opts.ports or nil, env = plan.env, labels = plan.labels,
  }, problems) or {}
end

local function read_rebase(rebase, problems)
  if problems:check(rebase, "table", "rebase") then
    problems:check_keys(rebase, { "from", "to" }, "rebase")
    problems:check(rebase.from, "string", "rebase.from", true)
    problems:check(rebase.to, "string", "rebase.to", true)
    return rebase
  end
end

local function read_options(opts)
  local problems = problems_of.new()
  if not problems:check(opts, "table", "opts", true) then
    problems:raise(OP)
  end
  problems:check_keys(opts, FIELDS, "opts")
  local plan = { flatten = opts.flatten, recompress = opts.recompress, platform = opts.platform }
  if type(opts.to) == "string" and not opts.to:find "^oci:" then
    plan.to = opts.to
  else
    plan.folder, plan.name = layout.parse(opts.to, problems)
  end
  plan.epoch = source_date_epoch(problems)
  plan.created = read_time(opts.created, "created", problems) or plan.epoch
  plan.strip = read_strip(opts.strip, problems)
  plan.rebase = read_rebase(opts.rebase, problems)
  plan.append = opts.append ~= nil and layers_of.plan(opts.append, problems) or {}
  problems:check(opts.flatten, "boolean", "flatten")
  problems:check(opts.platform, "string", "platform")
  if opts.recompress ~= nil and not OCI_LAYER[opts.recompress] then
    problems:usage("recompress", "expected \"gzip\" or \"zstd\", got %s", tostring(opts.recompress))
  end
  read_config(opts, plan, problems)
  problems:raise(OP)
  return plan
end

-- --- an image as a list of layers ----------------------------------------------------------------

local function copy_of(map)
  local out = {}
  for key, value in pairs(map or {}) do
    out[key] = value
  end
  return out
end

-- {place=, layers={{descriptor=, diff_id=, place=}...}, history=}
local function read_image(image, platform)
  local opts = { platform = platform }
  local manifest, _, bytes = image:manifest(opts)
  local config, _, config_bytes = image:config(opts)
  local diff_ids = files.diff_ids_of(config, manifest.layers, image.ref)
  local layers = {}
  for i, descriptor in ipairs(manifest.layers) do
    layers[i] = { descriptor = descriptor, diff_id = diff_ids[i], place = image.place }
    if not diff_ids[i] then
      fail("unsupported", image.ref, "its config is not that of an image: it names no diff_ids")
    end
  end
  return {
    ref = image.ref, place = image.place, manifest = manifest, bytes = bytes, config = config,
    config_bytes = config_bytes, layers = layers,
    history = type(config.history) == "table" and #config.history > 0 and config.history or nil,
  }
end

local function check_base(source, from)
  for i, layer in ipairs(from.layers) do
    local own = source.layers[i]
    if not own or own.diff_id ~= layer.diff_id then
      fail("conflict", source.ref, ("it does not stand on %s: layer %d is another"):format(from.ref, i),
        "rebase.from is the image that it was built on")
    end
  end
end

-- The layers above one base stand on another.
local function rebase(source, plan)
  local open = require("ctz.image.open").open
  local opts = { registries = plan.clients }
  local from <close> = open(plan.rebase.from, opts)
  local base = open(plan.rebase.to, opts)
  local old, new = read_image(from, plan.platform), read_image(base, plan.platform)
  check_base(source, old)
  local layers, history = copy_of(new.layers), json.array {}
  for i = #old.layers + 1, #source.layers do
    layers[#layers + 1] = source.layers[i]
  end
  for _, entry in ipairs(new.history or {}) do
    history[#history + 1] = entry
  end
  for i = #(old.history or {}) + 1, #(source.history or {}) do
    history[#history + 1] = source.history[i]
  end
  source.layers = layers
  source.history = (source.history and new.history) and history or nil
  return base -- to be closed when its layers were copied
end

-- --- layers --------------------------------------------------------------------------------------

local function set_layer(layer, result, compression, folder)
  layer.descriptor = { digest = result.digest, size = result.size_bytes }
  layer.compression = compression
  layer.diff_id = result.diff_id
  layer.place = { kind = "oci", folder = folder, ref = folder }
  layer.written = true
end

local function compression_of(list)
  return list:facts().format == "zstd" and "zstd" or "gzip"
end

local function each_layer(layers, fn)
  local numbers = {}
  for i in ipairs(layers) do
    numbers[i] = i
  end
  ctz.map(numbers, function(i)
    fn(layers[i], i)
    return true
  end, { jobs = files.JOBS })
end

local function read_list(layer, number, state)
  return files.list(layer.place, layer.descriptor, layer.diff_id, number, state)
end

-- A layer that holds nothing of what is stripped keeps its bytes.
local function strip(source, plan, folder, state)
  each_layer(source.layers, function(layer, i)
    local list = read_list(layer, i, state)
    if list:strip(plan.strip) > 0 then
      local compression = plan.recompress or compression_of(list)
      set_layer(layer, core.repack(folder, list, compression), compression, folder)
    end
  end)
end

local function append(source, plan, folder)
  local compression = plan.recompress or "gzip"
  for _, planned in ipairs(plan.append) do
    local layer = {}
    set_layer(layer, assemble_core.layer(folder, planned.entries, {
      compression = compression, mtime = plan.epoch or 0,
    }), compression, folder)
    source.layers[#source.layers + 1] = layer
    if source.history then
      source.history[#source.history + 1] = {
        created = plan.created_text, created_by = "ctz " .. OP .. " append", comment = planned.comment,
      }
    end
  end
end

local function flatten(source, plan, state)
  local lists = {}
  each_layer(source.layers, function(layer, i)
    lists[i] = read_list(layer, i, state)
  end)
  local compression = plan.recompress or "gzip"
  local layer = {}
  set_layer(layer, core.flatten(plan.folder, core.squash(lists), compression), compression, plan.folder)
  source.layers = { layer }
  source.history = json.array {
    { created = plan.created_text, created_by = "ctz " .. OP .. " flatten" },
  }
end

local function is_packed_as(layer, compression)
  local media_type = layer.descriptor.mediaType or ""
  return layer.compression == compression or media_type:sub(-#compression) == compression
end

local function recompress(source, plan, state)
  each_layer(source.layers, function(layer, i)
    if not is_packed_as(layer, plan.recompress) then
      local list = read_list(layer, i, state)
      if list:facts().format ~= plan.recompress then
        set_layer(layer, core.repack(plan.folder, list, plan.recompress), plan.recompress, plan.folder)
      else
        layer.compression = plan.recompress
      end
    end
  end)
end

local function is_foreign(descriptor)
  return descriptor.urls and #descriptor.urls > 0
end

-- What was not written anew comes as it is.
local function copy_layers(source, plan)
  each_layer(source.layers, function(layer)
    local descriptor = layer.descriptor
    if not layer.written and not is_foreign(descriptor) then
      transfer.to_layout(plan.folder, descriptor, function(offset)
        return layer.place:read_blob(descriptor, offset)
      end, { on_bytes = function() end })
    end
  end)
end

local function make_layers(source, plan)
  local scratch = plan.flatten and (plan.strip or #plan.append > 0) and files.scratch_layout() or nil
  local folder = scratch and scratch.path or plan.folder
  local state = { dir = files.scratch_layout() }
  if plan.strip then
    strip(source, plan, folder, state)
  end
  append(source, plan, folder)
  if plan.flatten then
    flatten(source, plan, state)
  elseif plan.recompress then
    recompress(source, plan, state)
  end
  if not plan.target then
    copy_layers(source, plan)
  end
  state.dir:close()
  if scratch then
    scratch:close()
  end
end

-- --- documents -----------------------------------------------------------------------------------

-- Sets and removes variables; those that were there keep their place.
local function change_env(config, plan)
  local list, values, rest = json.array {}, {}, {}
  for _, assignment in ipairs(plan.config.Env or {}) do
    local name = assignment:match "^[^=]+"
    values[name] = assignment
    rest[#rest + 1] = name
  end
  for _, assignment in ipairs(config.Env or {}) do
    local name = assignment:match "^[^=]*"
    if not plan.env_removed[name] then
      list[#list + 1] = values[name] or assignment
    end
    values[name] = nil
  end
  for _, name in ipairs(rest) do
    list[#list + 1] = values[name]
  end
  return list
end

-- nil when nothing is left, and nothing was there.
local function change_map(old, set, removed)
  local map, count = json.object {}, 0
  for key, value in pairs(type(old) == "table" and old or {}) do
    map[key] = value
  end
  for key, value in pairs(set or {}) do
    map[key] = value
  end
  for key in pairs(removed) do
    map[key] = nil
  end
  for _ in pairs(map) do
    count = count + 1
  end
  return (count > 0 or old ~= nil) and map or nil
end

local function change_config(config, plan)
  for field, how in pairs(plan.fields) do
    if how.removed then
      config[field] = nil
    elseif how.given and field ~= "ExposedPorts" then
      config[field] = plan.config[field]
    end
  end
  if plan.fields.Entrypoint.given and not plan.fields.Cmd.given then
    config.Cmd = nil -- its words were for the old one
  end
  config.ExposedPorts = change_map(config.ExposedPorts, plan.config.ExposedPorts, {})
  if next(plan.env) or next(plan.env_removed) then
    config.Env = change_env(config, plan)
  end
  config.Labels = change_map(config.Labels, plan.config.Labels, plan.labels_removed)
end

-- The text of a document: the old bytes when it says what it said.
local function text_of(old, old_bytes, new)
  local text = json.encode(new)
  return text == json.encode(old) and old_bytes or text
end

local function config_text(source, plan)
  local config = copy_of(source.config)
  config.config = json.object(copy_of(type(config.config) == "table" and config.config or {}))
  change_config(config.config, plan)
  if source.config.config == nil and next(config.config) == nil then
    config.config = nil
  end
  config.created = plan.created_text or config.created
  config.rootfs = { type = "layers", diff_ids = json.array {} }
  for i, layer in ipairs(source.layers) do
    config.rootfs.diff_ids[i] = layer.diff_id
  end
  config.history = source.history or not (plan.rebase or plan.flatten) and config.history or nil
  return text_of(source.config, source.config_bytes, config)
end

-- Docker's manifests know no zstd: with it all becomes OCI.
local function descriptors_of(source, manifest)
  local is_docker = manifest.mediaType == document.DOCKER_MANIFEST
  for _, layer in ipairs(source.layers) do
    is_docker = is_docker and layer.compression ~= "zstd"
  end
  local was_docker = manifest.mediaType == document.DOCKER_MANIFEST
  local list = json.array {}
  for i, layer in ipairs(source.layers) do
    local descriptor = copy_of(layer.descriptor)
    local old = descriptor.mediaType or ""
    if layer.compression then
      descriptor.mediaType = (is_docker and DOCKER_LAYER or OCI_LAYER)[layer.compression]
    elseif not is_docker and old == DOCKER_LAYER.gzip then
      descriptor.mediaType = OCI_LAYER.gzip
    elseif is_docker and old == OCI_LAYER.gzip then
      descriptor.mediaType = DOCKER_LAYER.gzip
    end
    list[i] = descriptor
  end
  return list, was_docker and not is_docker
end

local function write_documents(source, plan)
  local text = config_text(source, plan)
  local manifest = copy_of(source.manifest)
  local list, becomes_oci = descriptors_of(source, manifest)
  manifest.layers = list
  manifest.config = copy_of(manifest.config)
  manifest.config.digest = assemble_core.blob(plan.folder, text)
  manifest.config.size = #text
  if becomes_oci then
    manifest.mediaType, manifest.config.mediaType = document.MANIFEST, document.CONFIG
  end
  manifest.annotations = change_map(manifest.annotations, plan.annotations, plan.annotations_removed)
  local bytes = text_of(source.manifest, source.bytes, manifest)
  local digest = assemble_core.blob(plan.folder, bytes)
  local config = source.config
  if not plan.target then
    layout.tag(plan.folder, plan.name, {
      mediaType = manifest.mediaType or document.MANIFEST, digest = digest, size = #bytes,
      platform = { os = config.os, architecture = config.architecture, variant = config.variant },
    })
  end
  local result = {
    name = plan.to or ("oci:%s:%s"):format(plan.folder, plan.name), digest = digest,
    config_digest = manifest.config.digest, layers = {}, size_bytes = #text + #bytes,
  }
  for i, layer in ipairs(source.layers) do
    result.layers[i] = {
      digest = layer.descriptor.digest, diff_id = layer.diff_id, size_bytes = layer.descriptor.size,
      media_type = list[i].mediaType,
    }
    result.size_bytes = result.size_bytes + layer.descriptor.size
  end
  return result, document.read(bytes, manifest.mediaType, nil, source.ref)
end

-- What was written here, and the rest from where it is, to a place that is no layout.
local function send(source, plan, result, root)
  local elsewhere = {}
  for _, layer in ipairs(source.layers) do
    elsewhere[#elsewhere + 1] = not layer.written and layer or nil
  end
  local place = made.new(source.place, plan.scratch, root, elsewhere)
  local done = require("ctz.registry.copy").between(place, plan.target, { referrers = false })
  result.digest = done.digest
end

local Closing <const> = {
  __close = function(self)
    for i = 1, 3 do
      if self[i] then
        self[i]:close()
      end
    end
  end,
}

-- mutate(image, opts) -> {name=, digest=, config_digest=, layers=, size_bytes=}
local function mutate(image, opts)
  local plan = read_options(opts)
  plan.created_text = plan.created and date("!%Y-%m-%dT%H:%M:%SZ", plan.created)
  plan.clients = image.clients
  local source = read_image(image, plan.platform)
  if source.history then
    source.history = json.array(copy_of(source.history))
  end
  local closing <close> = setmetatable({}, Closing)
  if plan.to then
    plan.target = places.open(plan.to, true, plan.clients)
    plan.scratch = fs.tempdir()
    plan.folder = plan.scratch.path
    closing[1], closing[2] = plan.target, plan.scratch
  end
  closing[3] = plan.rebase and rebase(source, plan) or nil
  assemble_core.prepare(plan.folder)
  make_layers(source, plan)
  local result, root = write_documents(source, plan)
  if plan.target then
    send(source, plan, result, root)
  end
  return result
end

return { mutate = mutate }
