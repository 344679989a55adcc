-- cmd/inspect.lua: ctz inspect IMAGE: what an image is, wherever it is.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local open = require("ctz.image").open
local try = require("ctz").try
local ui = require "ctz.ui"
local unverified = require("ctz.cmd.tls").unverified

-- Of an index without an image for this machine, what it has is shown all the same.
local function describe(image, opts)
  local report = { name = image.ref, digest = image:digest(), platforms = json.array {} }
  for i, one in ipairs(image:platforms()) do
    report.platforms[i] = one
  end
  local manifest, digest = image:manifest(opts)
  report.manifest_digest = digest
  report.media_type = manifest.mediaType
  report.annotations = manifest.annotations
  report.size_bytes = image:size(opts)
  report.layers = json.array {}
  for i, layer in ipairs(image:layers(opts)) do
    report.layers[i] = layer
  end
  local config, config_digest = image:config(opts)
  report.config_digest = config_digest
  report.created, report.os, report.architecture = config.created, config.os, config.architecture
  report.variant, report.config = config.variant, config.config
  return report
end

local function line(name, value)
  if value ~= nil and value ~= "" then
    print(("%-10s %s"):format(name, ui.clean(tostring(value))))
  end
end

local function words_of(value)
  if type(value) ~= "table" then
    return value
  end
  local list = {}
  for i, one in ipairs(value) do
    list[i] = tostring(one)
  end
  return table.concat(list, " ")
end

local function show(report)
  line("name", report.name)
  line("digest", report.digest)
  local names = {}
  for i, one in ipairs(report.platforms) do
    names[i] = one.platform
  end
  line("platforms", table.concat(names, ", "))
  line("created", report.created)
  line("size", ui.bytes(report.size_bytes))
  local config = type(report.config) == "table" and report.config or {}
  line("entrypoint", words_of(config.Entrypoint))
  line("command", words_of(config.Cmd))
  line("user", config.User)
  line("workdir", config.WorkingDir)
  for _, layer in ipairs(report.layers) do
    line("layer", ("%s  %s"):format(layer.digest, ui.bytes(layer.size_bytes)))
  end
end

local function run(options, words)
  local image <close> = open(words[1], {
    registries = unverified("inspect", { { options["tls-verify"], words[1], "tls-verify" } }),
  })
  local opts = { platform = options.platform }
  if options.raw then
    local bytes = image.root.bytes
    if options.platform then
      local _, _, of_platform = image:manifest(opts)
      bytes = of_platform
    end
    io.write(bytes)
    return 0
  elseif options.config then
    local _, _, bytes = image:config(opts)
    io.write(bytes)
    return 0
  end
  local report, err = try(describe, image, opts)
  if not report then
    if err.kind ~= "not_found" or options.platform then
      error(err, 0)
    end
    local list = image:platforms()
    report = { name = image.ref, digest = image:digest(), platforms = json.array(list), layers = json.array {} }
    report.size_bytes = #image.root.bytes
  end
  if options.json then
    print(json.encode(report))
  else
    show(report)
  end
  return 0
end

return { run = run }
