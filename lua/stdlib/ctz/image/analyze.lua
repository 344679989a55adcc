-- image/analyze.lua: what an image is made of: its layers, what made each, and what share each has.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local open = require("ctz.image.open").open
local time = require "ctz.time"

local ipairs, pcall, type = ipairs, pcall, type

-- What made each layer, from the history: entries without a layer (ENV, CMD ...) are left out.
local function makers(config)
  local list = {}
  for _, entry in ipairs(type(config.history) == "table" and config.history or {}) do
    if entry.empty_layer ~= true then
      list[#list + 1] = entry
    end
  end
  return list
end

local function seconds(text)
  local ok, value = pcall(time.parse, text)
  return ok and value or nil
end

local function platform_of(config)
  return ("%s/%s%s"):format(config.os, config.architecture, config.variant and "/" .. config.variant or "")
end

--- ctz.image.analyze(ref, opts?) -> table
--- What an image is made of: {name, digest, platform, created (seconds since 1970), size_bytes, size_mb (of
--- 1,000,000 bytes), layers}, each layer {digest, diff_id, size_bytes, share (0 to 1), created_by, created}.
--- created_by is what the history says of it; an image without a history has none.
--- @async
--- @param ref string  as of ctz.image.open
--- @param opts.platform? string  default: this machine's
--- @param opts.registries? table<string, table>  as of ctz.image.open
--- @error not_found there is no such image
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}, comment="a file"}}, to="oci:out"}
--- @example local report = ctz.image.analyze "oci:out"
--- @example assert(#report.layers == 1 and report.layers[1].share > 0)
local function analyze(ref, opts)
  opts = check("image.analyze", opts, { platform = "string", registries = "table" })
  local image <close> = open(ref, { registries = opts.registries })
  opts = { platform = opts.platform }
  local config = image:config(opts)
  local report = {
    name = ref,
    digest = image:digest(opts),
    platform = platform_of(config),
    created = seconds(config.created),
    size_bytes = image:size(opts),
    layers = {},
  }
  report.size_mb = report.size_bytes / 1000000
  local made = makers(config)
  for i, layer in ipairs(image:layers(opts)) do
    local maker = made[i] or {}
    report.layers[i] = {
      digest = layer.digest,
      diff_id = config.rootfs.diff_ids[i],
      size_bytes = layer.size_bytes,
      share = layer.size_bytes / report.size_bytes,
      created_by = maker.created_by or maker.comment,
      created = seconds(maker.created),
    }
  end
  return report
end

return { analyze = analyze }
