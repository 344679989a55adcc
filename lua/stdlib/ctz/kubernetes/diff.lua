-- kubernetes/diff.lua: what an apply would change.
-- SPDX-License-Identifier: MIT
-- Source: kubectl, pkg/cmd/diff/diff.go.
local apply = require "ctz.kubernetes.apply"
local check = require("ctz.options").check
local ctz_map = require("ctz").map
local lines = require "ctz.kubernetes.lines"
local manifests = require "ctz.kubernetes.manifests"
local targets = require "ctz.kubernetes.targets"
local yaml = require "ctz.yaml"

local concat, ipairs, next, type = table.concat, ipairs, next, type

local OP <const> = "kubernetes.diff"
local OPTIONS <const> = { field_manager = "string", force = "boolean", namespace = "string", timeout = "seconds" }

-- The values of Secrets: what is equal is "***", what is not says which it is.
local function mask(live, merged)
  for _, field in ipairs { "data", "stringData" } do
    local before, after = live and live[field], merged and merged[field]
    before, after = type(before) == "table" and before or {}, type(after) == "table" and after or {}
    for key in next, before do
      local is_changed = after[key] ~= nil and after[key] ~= before[key]
      after[key] = after[key] ~= nil and (is_changed and "*** (after)" or "***") or nil
      before[key] = is_changed and "*** (before)" or "***"
    end
    for key, value in next, after do
      after[key] = type(value) == "string" and value:find "^%*%*%*" and value or "***"
    end
  end
end

local function text_of(object)
  if not object then
    return ""
  end
  object.metadata.managedFields, object.metadata.resourceVersion = nil, nil
  return yaml.encode(object, { schema = "k8s" })
end

-- between(live | nil, merged | nil, name) -> a unified diff of their YAML, "" when nothing differs.
-- Changes both: managedFields and resourceVersion go, the values of Secrets are masked.
local function between(live, merged, name)
  if (merged or live).kind == "Secret" then
    mask(live, merged)
  end
  if live and merged then
    merged.metadata.generation = live.metadata.generation -- a dry run counts, too
  end
  return lines.diff(text_of(live), text_of(merged), name)
end

local function one(client, entry, opts)
  local target = targets.of_object(client, OP, entry.object, opts, true)
  local live, status = client:call("GET", target:path(), {
    op = OP, target = target.shown, timeout = opts.timeout, ok = { [404] = true },
  })
  local merged = client:call("PATCH", target:path(), {
    op = OP, target = target.shown, timeout = opts.timeout, reads = true, body = apply.body_of(entry.object),
    content_type = "application/apply-patch+yaml",
    query = {
      fieldManager = opts.field_manager or "ctz", force = opts.force == false and "false" or "true", dryRun = "All",
      fieldValidation = "Strict",
    },
  })
  local name = concat({ target.resource.name, target.namespace or "-", target.name }, "/")
  return between(status ~= 404 and live or nil, merged, name)
end

--- client:diff(manifests, opts?) -> string, integer
--- What client:apply would change, as a unified diff of YAML, and kubectl's exit code for it: "" and 0 when
--- nothing differs, else 1. The server works it out (a dry run); values of Secrets are masked.
--- @async
--- @param manifests any  as of client:apply
--- @param opts.field_manager? string  default "ctz"
--- @param opts.force? boolean  false: fields that others own are a conflict
--- @param opts.namespace? string  of objects that name none
--- @param opts.timeout? ctz.seconds  of each answer
--- @return string
--- @return integer
--- @error usage  a manifest is none, or the server refuses a field
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- local text, code = client:diff "web.yaml"
--- Api: kubectl diff
local function diff(client, input, opts)
  opts = check(OP, opts, OPTIONS)
  local parts = ctz_map(manifests.sort(manifests.read(input, OP)), function(entry)
    return one(client, entry, opts)
  end)
  local text = concat(parts)
  return text, text == "" and 0 or 1
end

return { diff = diff, between = between }
