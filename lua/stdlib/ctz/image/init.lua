-- image/init.lua: images without an engine.
-- SPDX-License-Identifier: MIT
local config_of = require "ctz.image.config"
local core = require "ctz.core.image"
local ctz = require "ctz"
local json = require "ctz.json"
local layers_of = require "ctz.image.layers"
local layout = require "ctz.image.layout"
local problems_of = require "ctz.problems"

local getenv, date = os.getenv, os.date
local error, ipairs, math_type, pcall = error, ipairs, math.type, pcall
local tonumber, tostring, type = tonumber, tostring, type

local OP <const> = "image.assemble"
local MANIFEST_TYPE <const> = "application/vnd.oci.image.manifest.v1+json"
local CONFIG_TYPE <const> = "application/vnd.oci.image.config.v1+json"
local LAYER_TYPES <const> = {
  gzip = "application/vnd.oci.image.layer.v1.tar+gzip",
  zstd = "application/vnd.oci.image.layer.v1.tar+zstd",
}
local MAX_TIME_S <const> = 253402300799 -- the end of year 9999, the last that RFC 3339 can write
local PROGRESS_PAUSE_S <const> = 0.1
local LAYER_JOBS <const> = 4 -- of the pool's eight threads

local FIELDS <const> = {
  "annotations", "compression", "config", "created", "fast", "layers", "on_progress", "platform", "timeout", "to",
}

-- Go's names of what uname calls machine: the names that images use.
local ARCHITECTURES <const> = {
  x86_64 = "amd64", aarch64 = "arm64", armv7l = "arm/v7", armv6l = "arm/v6", i386 = "386", i586 = "386",
  i686 = "386", ppc64le = "ppc64le", riscv64 = "riscv64", s390x = "s390x", loongarch64 = "loong64",
}

-- --- options -----------------------------------------------------------------------------------

local function read_time(value, where, problems)
  if math_type(value) == "integer" and value >= 0 and value <= MAX_TIME_S then
    return value
  end
  problems:usage(where, "expected seconds since 1970, got %s", tostring(value))
  return 0
end

-- https://reproducible-builds.org/specs/source-date-epoch/
local function source_date_epoch(problems)
  local ok, text = pcall(getenv, "SOURCE_DATE_EPOCH")
  if not ok or not text or text == "" then -- not ok: --allow does not let the run see it
    return 0
  end
  return read_time(text:find("^%d+$") and tonumber(text) or text, "SOURCE_DATE_EPOCH", problems)
end

-- "linux/arm/v7" -> {os=, architecture=, variant=}
local function read_platform(value, problems)
  local machine = core.machine()
  value = value == nil and "linux/" .. (ARCHITECTURES[machine] or machine) or value
  local system, architecture, variant
  if type(value) == "string" then
    system, architecture, variant = value:match("^([%w]+)/([%w_]+)/?([%w.]*)$")
  end
  if not system then
    problems:usage("platform", "expected \"linux/amd64\" or \"linux/arm/v7\", got %s", tostring(value))
    return {}
  end
  return { os = system, architecture = architecture, variant = variant ~= "" and variant or nil }
end

local function read_compression(opts, problems)
  local compression = opts.compression == nil and "gzip" or opts.compression
  if not LAYER_TYPES[compression] then
    problems:usage("compression", "expected \"gzip\" or \"zstd\", got %s", tostring(compression))
  elseif opts.fast and compression ~= "gzip" then
    problems:usage("fast", "it is about gzip only")
  end
  problems:check(opts.fast, "boolean", "fast")
  return compression
end

-- All of the options, checked; raises one error that tells every problem.
local function read_options(opts)
  local problems = problems_of.new()
  if not problems:check(opts, "table", "opts", true) then
    problems:raise(OP)
  end
  problems:check_keys(opts, FIELDS, "opts")
  problems:check(opts.on_progress, "function", "on_progress")
  local epoch = source_date_epoch(problems)
  local folder, name = layout.parse(opts.to, problems)
  local image = {
    folder = folder,
    name = name,
    compression = read_compression(opts, problems),
    fast = opts.fast,
    mtime = epoch,
    created = opts.created == nil and epoch or read_time(opts.created, "created", problems),
    platform = read_platform(opts.platform, problems),
    annotations = config_of.read_strings(opts.annotations, "annotations", problems),
    config = config_of.build(opts.config, problems),
    layers = layers_of.plan(opts.layers, problems),
    on_progress = opts.on_progress,
  }
  problems:raise(OP)
  return image
end

-- --- layers ------------------------------------------------------------------------------------

local function report_progress(image, progress, state)
  local last
  return function()
    local done = progress:read()
    if done ~= last or state.finished == #image.layers then
      last = done
      image.on_progress {
        phase = "layers",
        done_bytes = done,
        total_bytes = state.total_bytes,
        done = state.finished,
        total = #image.layers,
      }
    end
  end
end

-- Writes all layers at once, and tells how far it is meanwhile.
local function write_layers(image, progress)
  local state = { finished = 0, total_bytes = 0 }
  for _, layer in ipairs(image.layers) do
    state.total_bytes = state.total_bytes + layer.content_bytes
  end
  local kind = image.compression .. (image.fast and "-fast" or "")
  local report = image.on_progress and report_progress(image, progress, state)
  return ctz.scope(function()
    if report then
      ctz.spawn(function()
        while true do
          report()
          ctz.sleep(PROGRESS_PAUSE_S)
        end
      end, { background = true })
    end
    local written = ctz.map(image.layers, function(layer)
      local result = core.layer(image.folder, layer.entries, {
        compression = kind, mtime = image.mtime, progress = progress,
      })
      layer.entries = nil
      state.finished = state.finished + 1
      return result
    end, { jobs = LAYER_JOBS })
    if report then
      report()
    end
    return written
  end)
end

-- --- documents ---------------------------------------------------------------------------------

local function config_text(image, written)
  local created = date("!%Y-%m-%dT%H:%M:%SZ", image.created)
  local diff_ids, history = json.array {}, json.array {}
  for i, layer in ipairs(written) do
    diff_ids[i] = layer.diff_id
    history[i] = { created = created, created_by = "ctz.image.assemble", comment = image.layers[i].comment }
  end
  return json.encode {
    created = created,
    architecture = image.platform.architecture,
    os = image.platform.os,
    variant = image.platform.variant,
    config = image.config,
    rootfs = { type = "layers", diff_ids = diff_ids },
    history = history,
  }
end

local function manifest_text(image, config, written)
  local descriptors = json.array {}
  for i, layer in ipairs(written) do
    descriptors[i] = { mediaType = layer.media_type, digest = layer.digest, size = layer.size_bytes }
  end
  return json.encode {
    schemaVersion = 2,
    mediaType = MANIFEST_TYPE,
    config = config,
    layers = descriptors,
    annotations = image.annotations,
  }
end

local function write_document(image, text, media_type)
  return { mediaType = media_type, digest = core.blob(image.folder, text), size = #text }
end

local function assemble_image(opts)
  local progress = core.progress()
  local image = read_options(opts)
  core.prepare(image.folder)
  local written = write_layers(image, progress)
  local size_bytes = 0
  for _, layer in ipairs(written) do
    layer.media_type = LAYER_TYPES[image.compression]
    size_bytes = size_bytes + layer.size_bytes
  end
  local config = write_document(image, config_text(image, written), CONFIG_TYPE)
  local manifest = write_document(image, manifest_text(image, config, written), MANIFEST_TYPE)
  local config_digest, digest = config.digest, manifest.digest
  size_bytes = size_bytes + config.size + manifest.size
  manifest.platform = image.platform
  layout.tag(image.folder, image.name, manifest)
  local _, seconds = progress:read()
  return {
    name = ("oci:%s:%s"):format(image.folder, image.name),
    digest = digest,
    config_digest = config_digest,
    layers = written,
    size_bytes = size_bytes,
    seconds = seconds,
  }
end

-- What failed on the way, in a task of ours or behind the door, is a failure of the call itself.
local function value_or_raise(ok, value)
  if not ok and type(value) == "table" and value.op and value.op:find("^image%.assemble") then
    value.op = OP
    value.at = value.at or ctz.error({ kind = "internal", message = "" }).at
  end
  return ok and value or error(value, 0)
end

-- --- the module --------------------------------------------------------------------------------

--- ctz.image.assemble(opts) -> ctz.image.Assembled
--- Makes an image of files, without an engine, and writes it as an OCI layout folder. The same content
--- gives the same digest on every machine. A name that the folder has already is moved to the new image;
--- other names stay. All that is wrong with the description is told in one error, before anything is
--- written.
---
--- A layer is a table, or a list of them: `{from="site", to="/www"}` puts a folder's content (or one
--- file) at a place in the image; `{files={...}}` names each file: `["/etc/motd"]={text="hello\n"}`,
--- `["/bin/busybox"]={from="/bin/busybox", mode="755"}`, `["/bin/sh"]={link="busybox"}`,
--- `["/tmp"]={dir=true, mode="1777"}`. Everything belongs to 0:0 unless `owner="uid:gid"` says otherwise.
--- Files are 0644, or 0755 when their owner may execute them; folders are 0755; `mode` (and `dir_mode`)
--- say otherwise, in octal. `include` and `exclude` are lists of patterns for a folder's paths: `*` and
--- `?` within a name, `**` for any folders; a pattern without a slash is compared with names alone. Times
--- are SOURCE_DATE_EPOCH, or 0. Links are kept as links. `comment` goes into the image's history.
---
--- `config` may hold: command (or cmd) and entrypoint, lists of words; env, a map or a list of "A=b";
--- ports, a list of 8080 or "53/udp"; labels, a map; workdir; user; volumes, a list of paths;
--- stop_signal; healthcheck = {command=, interval=, timeout=, start_period=, retries=} in seconds.
--- @async
--- @param opts.layers table[]  the lowest first
--- @param opts.to string  "oci:DIR" or "oci:DIR:TAG"; the default tag is "latest"
--- @param opts.config? table  how a container of it runs, see above
--- @param opts.compression? "gzip"|"zstd"  default "gzip"; zstd is several times faster, and unknown to docker archives
--- @param opts.fast? boolean  gzip ten times faster, with a digest that depends on the CPU
--- @param opts.created? integer  seconds since 1970; default SOURCE_DATE_EPOCH, or 0
--- @param opts.platform? string  "linux/arm64"; default: this machine's
--- @param opts.annotations? table<string, string>  of the manifest
--- @param opts.on_progress? fun(progress: ctz.image.Progress)  called about ten times a second with
---   {phase=, done_bytes=, total_bytes=, done=, total=}; done and total count layers
--- @param opts.timeout? ctz.seconds  default: what is left of the task's deadline
--- @return ctz.image.Assembled  {name=, digest=, config_digest=, layers=, size_bytes=, seconds=}; each of
---   layers is {digest=, diff_id=, size_bytes=, uncompressed_bytes=, media_type=, entries=}
--- @error usage        the description is wrong: a field, a path, two files in one place
--- @error not_found    a source is missing
--- @error unsupported  a source is a socket, a device or a fifo
--- @error conflict     a file changed while it was read, or the folder holds other things than a layout
--- @error size         more entries than the limit tar_entries
--- @error protocol     the folder's index.json is not one
--- @error io           the disk is full, or fails; what stood in the folder before is intact
--- @example local image = ctz.image.assemble{
--- @example   layers = { {files={["/etc/motd"]={text="hello\n"}}} },
--- @example   config = {command={"cat", "/etc/motd"}, env={LANG="C"}},
--- @example   platform = "linux/amd64",
--- @example   to = "oci:out:1.0" }
--- @example assert(image.name == "oci:out:1.0" and image.digest:find "^sha256:")
local function assemble(opts)
  local function work()
    return assemble_image(opts)
  end
  local limit = type(opts) == "table" and opts.timeout or nil
  if limit then
    return value_or_raise(pcall(ctz.timeout, limit, work))
  end
  return value_or_raise(pcall(work))
end

return {
  assemble = assemble,
  analyze = require("ctz.image.analyze").analyze,
  open = require("ctz.image.open").open,
}
