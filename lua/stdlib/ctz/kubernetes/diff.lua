-- kubernetes/diff.lua: what an apply would change.
-- SPDX-License-Identifier: MIT
-- Source: kubectl, pkg/cmd/diff/diff.go.
local apply = require "ctz.kubernetes.apply"
local check = require("ctz.options").check
local ctz_map = require("ctz").map
local json = require "ctz.json"
local lines = require "ctz.kubernetes.lines"
local manifests = require "ctz.kubernetes.manifests"
local targets = require "ctz.kubernetes.targets"
local yaml = require "ctz.yaml"

local concat, error, io, ipairs, next = table.concat, error, io, ipairs, next
local pairs, pcall, require, type = pairs, pcall, require, type

local OP <const> = "kubernetes.diff"
local LAST_APPLIED <const> = "kubectl.kubernetes.io/last-applied-configuration"
local OPTIONS <const> = {
  field_manager = "string", force = "boolean", namespace = "string", print = "boolean", prune = "string|table",
  recursive = "boolean", timeout = "seconds",
}

-- The values of Secrets, as kubectl masks them: what is equal is "***", what is not says which it is.
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
  for _, object in ipairs { live or {}, merged or {} } do -- kubectl's copy of what was applied has them, too
    local notes = object.metadata and object.metadata.annotations
    if type(notes) == "table" and notes[LAST_APPLIED] then
      notes[LAST_APPLIED] = "***"
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

-- kubectl's name of it: "apps.v1.Deployment.shop.web"
local function name_of(object, namespace)
  local version = object.apiVersion:gsub("/", ".")
  return concat({ version, object.kind, namespace or "", object.metadata.name }, ".")
end

local function get(client, target, opts)
  local live, status = client:call("GET", target:path(), {
    op = OP, target = target.shown, timeout = opts.timeout, ok = { [404] = true },
  })
  return status ~= 404 and live or nil
end

local function merge(client, target, object, opts)
  return (client:call("PATCH", target:path(), {
    op = OP, target = target.shown, timeout = opts.timeout, reads = true, body = apply.body_of(object, opts.labels),
    content_type = "application/apply-patch+yaml",
    query = {
      fieldManager = opts.field_manager, force = opts.force == false and "false" or "true", dryRun = "All",
      fieldValidation = "Strict",
    },
  }))
end

local function compare(client, entry, opts)
  local object = entry.object
  local target = targets.of_object(client, OP, object, opts, true)
  local live = get(client, target, opts)
  return live, merge(client, target, object, opts), target.namespace
end

local function change_of(live, merged, namespace)
  local object = merged or live
  local meta = object.metadata
  local uid = meta.uid
  local text = between(live, merged, name_of(object, namespace))
  return {
    kind = object.kind, name = meta.name, namespace = namespace, text = text, uid = uid,
    change = text == "" and "none" or not live and "created" or merged and "changed" or "removed",
  }
end

-- What an apply would find to be made by itself cannot be asked for: all of it is new.
local function one(client, entry, opts)
  local ok, live, merged, namespace = pcall(compare, client, entry, opts)
  if ok then
    return change_of(live, merged, namespace)
  elseif apply.is_unchecked(opts, entry.object, live) then
    local object = json.decode(apply.body_of(entry.object, opts.labels))
    return change_of(nil, object, object.metadata.namespace or opts.namespace or client.namespace)
  end
  error(apply.placed(entry, live), 0)
end

-- Members of the inventory that would go.
local function add_pruned(client, set, changes, opts)
  local applied = {}
  for i, change in ipairs(changes) do
    applied[i] = { metadata = { uid = change.uid } }
  end
  for _, member in ipairs((set:leftover(applied))) do
    local target = targets.of_object(client, OP, {
      apiVersion = member.apiVersion, kind = member.kind,
      metadata = { name = member.name, namespace = member.namespace },
    }, {}, true)
    local live = get(client, target, opts)
    changes[#changes + 1] = live and change_of(live, nil, member.namespace)
  end
end

local function show(text)
  local is_colored = text ~= "" and require("ctz.core.ui").screen().stdout_color
  io.write(is_colored and lines.colored(text) or text)
end

--- client:diff(manifests, opts?) -> string, integer, table[]
--- What client:apply would change, as a unified diff of YAML, and kubectl's exit code for it: "" and 0 when
--- nothing differs, else 1; os.exit(code) ends a recipe with it. The server works it out (a dry run).
--- managedFields, resourceVersion and generation are left out, values of Secrets are masked.
--- The third result has every object: {kind=, name=, namespace=, text=, change=}, change is "created", "changed",
--- "removed" (with prune) or "none".
--- @async
--- @param manifests any  as of client:apply
--- @param opts.field_manager? string  default "ctz"
--- @param opts.force? boolean  false: fields that others own are a conflict
--- @param opts.namespace? string  of objects that name none
--- @param opts.print? boolean  prints it, too: in colours on a terminal, unless NO_COLOR is set
--- @param opts.prune? string|table  the inventory, as of client:apply: shows what would be removed
--- @param opts.recursive? boolean  the folders in a folder, too
--- @param opts.timeout? ctz.seconds  of each answer
--- @return string
--- @return integer
--- @return table[]
--- @error usage  a manifest is none, or the server refuses a field
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- local text, code = client:diff "web.yaml"
--- Api: kubectl diff --server-side
local function diff(client, input, opts)
  local settings = { client_namespace = client.namespace }
  for name, value in pairs(check(OP, opts, OPTIONS)) do
    settings[name] = value
  end
  settings.field_manager = settings.field_manager or "ctz"
  local entries = manifests.sort(manifests.read(input, OP, settings))
  settings.coming, settings.dry_run = apply.coming_of(entries), true
  local set = settings.prune and require("ctz.kubernetes.inventory").open(client, settings.prune, {
    namespace = settings.namespace, dry_run = true, timeout = settings.timeout, count = #entries,
  })
  settings.labels = set and set:labels()
  local changes = ctz_map(entries, function(entry)
    return one(client, entry, settings)
  end)
  if set then
    add_pruned(client, set, changes, settings)
  end
  local parts = {}
  for i, change in ipairs(changes) do
    parts[i], change.uid = change.text, nil
  end
  local text = concat(parts)
  if settings.print then
    show(text)
  end
  return text, text == "" and 0 or 1, changes
end

return { diff = diff, between = between }
