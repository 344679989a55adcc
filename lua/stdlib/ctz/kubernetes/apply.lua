-- kubernetes/apply.lua: server-side apply of manifests: in order, some at once, conflicts told.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, server-side apply; kubectl, pkg/cmd/apply; client-go, util/csaupgrade.
local check = require("ctz.options").check
local ctz_map = require("ctz").map
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local json = require "ctz.json"
local manifests = require "ctz.kubernetes.manifests"
local migrate = require "ctz.kubernetes.migrate"
local plain = require "ctz.kubernetes.plain"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"
local time = require "ctz.time"

local error, ipairs, next, pairs, pcall = error, ipairs, next, pairs, pcall
local type = type
local concat = table.concat

local OP <const> = "kubernetes.apply"
local JOBS <const> = 8
local SHOWN <const> = 10 -- refusals in one error
local DEFINED_S <const> = 30 -- for a new definition of custom resources
local OPTIONS <const> = {
  dry_run = "boolean", field_manager = "string", force = "boolean", mark = "boolean", namespace = "string",
  prune = "string|table", recursive = "boolean", timeout = "seconds", wait = "boolean|seconds|table",
}

local function copy_of(value)
  local copy = {}
  for key, one in next, type(value) == "table" and value or copy do
    copy[key] = one
  end
  return copy
end

-- What is sent: managedFields are the server's. labels: more of them.
local function body_of(object, labels)
  local copy = copy_of(plain(object))
  copy.metadata = copy_of(copy.metadata)
  copy.metadata.managedFields = nil
  if labels then
    copy.metadata.labels = copy_of(copy.metadata.labels)
    for name, value in pairs(labels) do
      copy.metadata.labels[name] = value
    end
  end
  return json.encode(copy)
end

-- --- conflicts ---------------------------------------------------------------------------------

-- manager -> its fields, from the causes of a conflict; nil when it is another one.
local function managers_of(err)
  local found
  for _, cause in ipairs(type(err) == "table" and err.status == 409 and err.causes or {}) do
    if cause.reason == "FieldManagerConflict" then
      local manager = cause.message:match '^conflict with "([^"]*)"' or cause.message
      found = found or {}
      found[manager] = found[manager] or {}
      found[manager][#found[manager] + 1] = cause.field
    end
  end
  return found
end

local function tell_conflict(err, target, managers)
  local parts = {}
  for _, manager in ipairs(require("ctz.problems").sorted_keys(managers)) do
    parts[#parts + 1] = ("%s (%s)"):format(manager, concat(managers[manager], ", "))
  end
  failure.fail("conflict", OP, ("%s: fields belong to %s"):format(target.shown, concat(parts, "; ")), {
    hint = "force=true takes them over; or leave these fields out of the manifest",
    target = target.shown, status = 409, reason = err.reason, causes = err.causes,
  })
end

-- --- one object --------------------------------------------------------------------------------

local function send(client, target, body, opts, force)
  return client:call("PATCH", target:path(), {
    op = OP, target = target.shown, body = body, content_type = "application/apply-patch+yaml",
    timeout = opts.timeout, plan = "apply " .. target.shown,
    query = {
      fieldManager = opts.field_manager, force = (force or opts.force) and "true" or nil,
      dryRun = opts.dry_run and "All" or nil, fieldValidation = "Strict",
    },
  })
end

local function is_dry(opts)
  return opts.dry_run or require("ctz.kubernetes.client").dry_run
end

-- A conflict only with what the object was applied by from the client's side is none: it is taken over.
local function settle(client, target, body, opts, err)
  local managers = managers_of(err)
  if not managers then
    error(err, 0)
  end
  local request = { op = OP, manager = opts.field_manager, timeout = opts.timeout }
  local live = migrate.covers(client, target, managers, request)
  if not live then
    tell_conflict(err, target, managers)
  elseif is_dry(opts) then
    return send(client, target, body, opts, true)
  end
  migrate.object(client, target, live, request)
  return send(client, target, body, opts)
end

local function apply_one(client, entry, opts)
  local target = targets.of_object(client, OP, entry.object, opts, true)
  local body = body_of(entry.object, opts.labels)
  local done, object, status = pcall(send, client, target, body, opts)
  if not done then
    return settle(client, target, body, opts, object)
  elseif not is_dry(opts) and type(object) == "table" then
    local request = { op = OP, manager = opts.field_manager, timeout = opts.timeout }
    if migrate.object(client, target, object, request) then
      object = send(client, target, body, opts) -- now what is no longer applied goes
    end
  end
  return object, status
end

-- The place of the manifest, in what is raised of it.
local function placed(entry, err)
  if type(err) == "table" and err.kind and err.kind ~= "cancelled" then
    err.message = ("%s: %s"):format(entry.place, err.message)
  end
  return err
end

local function is_definition(object)
  return object.kind == "CustomResourceDefinition" and object.apiVersion:find("^apiextensions%.k8s%.io/") ~= nil
end

-- A dry run leaves nothing behind: what lies in a namespace, or is of a kind, that this same apply would
-- make cannot be checked.
local function is_unchecked(opts, object, err)
  if not is_dry(opts) or type(err) ~= "table" or err.kind ~= "not_found" then
    return false
  end
  return opts.coming["kind " .. object.kind] or opts.coming["namespace " .. (object.metadata.namespace
    or opts.namespace or opts.client_namespace)] or false
end

local function apply_entry(client, entry, opts)
  local done, object, status = pcall(apply_one, client, entry, opts)
  if done then
    return { object = object, created = status == 201 }
  elseif is_unchecked(opts, entry.object, object) then
    return { object = entry.object, created = true, unchecked = entry.place }
  end
  error(placed(entry, object), 0)
end

-- --- definitions of custom resources -----------------------------------------------------------

local function is_established(object)
  local conditions = object.status and object.status.conditions
  for _, condition in ipairs(type(conditions) == "table" and conditions or {}) do -- null at first
    if condition.type == "Established" and condition.status == "True" then
      return true
    end
  end
  return false
end

local function is_known(client, definition)
  for _, resource in ipairs(discovery.known(client, OP, true).resources) do
    if resource.group == definition.spec.group and resource.kind == definition.spec.names.kind then
      return true
    end
  end
  return false
end

-- Until the server takes objects of that kind.
local function await_definition(client, definition)
  local until_s, target = time.monotonic() + DEFINED_S, targets.of_object(client, OP, definition, {}, true)
  local object, pause_s = definition, 0.05
  while not (is_established(object) and is_known(client, definition)) do
    if time.monotonic() > until_s then
      failure.fail("timeout", OP, ("%s is not established after %d s"):format(target.shown, DEFINED_S),
        { target = target.shown })
    end
    task.sleep(pause_s)
    pause_s = pause_s < 0.5 and pause_s * 2 or 0.5
    object = client:call("GET", target:path(), { op = OP, target = target.shown })
  end
end

-- --- all of them -------------------------------------------------------------------------------

-- What this apply itself makes: "kind Widget", "namespace shop".
local function coming_of(entries)
  local coming = {}
  for _, entry in ipairs(entries) do
    local object = entry.object
    local names = is_definition(object) and type(object.spec) == "table" and object.spec.names
    if type(names) == "table" and type(names.kind) == "string" then
      coming["kind " .. names.kind] = true
    elseif object.kind == "Namespace" and object.apiVersion == "v1" then
      coming["namespace " .. object.metadata.name] = true
    end
  end
  return coming
end

-- A kind that the cluster does not have is told before anything is changed.
local function check_kinds(client, entries, opts)
  local seen = {}
  for _, entry in ipairs(entries) do
    local object = entry.object
    local key = object.apiVersion .. " " .. object.kind
    if not seen[key] and not opts.coming["kind " .. object.kind] then
      seen[key] = true
      local ok, err = pcall(discovery.of, client, object, OP)
      if not ok then
        error(placed(entry, err), 0)
      end
    end
  end
end

-- Entries in groups of one rank: those of a group are applied at once.
local function groups_of(list)
  local groups, rank = {}, nil
  for _, entry in ipairs(manifests.sort(list)) do
    local own = manifests.rank(entry.object.kind)
    if own ~= rank then
      groups[#groups + 1], rank = {}, own
    end
    local group = groups[#groups]
    group[#group + 1] = entry
  end
  return groups
end

-- The first failure, with the messages of the others.
local function tell_failures(failures, results)
  local first, others, lines = failures[1], {}, {}
  for i = 2, #failures do
    others[i - 1] = failures[i]
    lines[i - 1] = i <= SHOWN and "\n" .. failures[i].message or nil
  end
  if #failures > SHOWN then
    lines[SHOWN] = ("\nand %d more are refused"):format(#failures - SHOWN)
  end
  first.message = first.message .. concat(lines)
  first.others, first.result = #others > 0 and others or nil, results
  error(first, 0)
end

-- One group: what is refused does not hold up the rest of it, but the groups behind.
local function apply_group(client, group, opts, results)
  local failures = {}
  local applied = ctz_map(group, function(entry)
    local ok, one = pcall(apply_entry, client, entry, opts)
    if ok then
      return one
    elseif type(one) ~= "table" or one.kind == "auth" or not one.status then
      error(one, 0) -- no answer about this one object: it would be the same for all
    end
    failures[#failures + 1] = one
    return false
  end, { jobs = JOBS })
  for _, one in ipairs(applied) do
    if one then
      results[#results + 1] = one.object
      results.created = results.created + (one.created and 1 or 0)
      results.unchecked[#results.unchecked + 1] = one.unchecked
    end
  end
  if #failures > 0 then
    tell_failures(failures, results)
  end
  for _, one in ipairs(applied) do
    if is_definition(one.object) and not is_dry(opts) then
      await_definition(client, one.object)
    end
  end
end

local function settings_of(client, opts)
  local settings = { client_namespace = client.namespace }
  for name, value in pairs(check(OP, opts, OPTIONS)) do
    settings[name] = value
  end
  settings.field_manager = settings.field_manager or "ctz"
  settings.wait = require("ctz.kubernetes.ready").options(settings.wait)
  return settings
end

local function inventory_of(client, entries, settings)
  return require("ctz.kubernetes.inventory").open(client, settings.prune, {
    namespace = settings.namespace, dry_run = settings.dry_run, timeout = settings.timeout, count = #entries,
  })
end

--- client:apply(manifests, opts?) -> table[]
--- Server-side apply: makes what is missing and changes what differs, and returns the objects as the
--- server has them; the list's field `created` says how many are new. Objects are applied in Helm's order
--- of kinds, those of one kind eight at once; definitions of custom resources are waited for. What
--- `kubectl apply` owned before is taken over. What is refused does not hold up the others of its kind;
--- then it ends.
---
--- With wait it returns when all are ready: Deployments, StatefulSets and DaemonSets when their rollout is
--- done, Jobs when they are complete, Pods when they are ready, claims when they are bound, load balancers
--- when they have an address, custom kinds when their condition Ready says so, all others at once. It ends
--- early, with the reason, when one of them will not be ready. Paused and suspended ones are not waited for.
---
--- With prune the objects belong to an inventory, and those that an earlier apply with the same inventory
--- made and this one does not have are deleted, when all is applied (and ready): the fields `pruned` and
--- `kept` of the result list them, each deletion is a line of the log. An object with the annotation
--- helm.sh/resource-policy: keep stays. The inventory is an ApplySet, as of kubectl apply --prune --applyset.
--- @async
--- @param manifests any  an object, YAML or JSON text, a file, a folder, an http(s) URL, or a list of these
--- @param opts.field_manager? string  who owns the fields, default "ctz"
--- @param opts.force? boolean  take fields that others own
--- @param opts.dry_run? boolean  the server checks it and keeps nothing; the field `unchecked` has the places of
---   what lies in a namespace, or is of a kind, that only this apply would make
--- @param opts.mark? boolean  the objects get the labels of this run: ctz.run, ctz.recipe, ctz.host ...
--- @param opts.namespace? string  of objects that name none; default: the client's
--- @param opts.prune? string|table  the name of the inventory, a Secret ("web", "configmap/web"), or {name=, kind=,
---   namespace=, adopt=, allow_empty=}; adopt: that of another tool is taken over, allow_empty: all may go
--- @param opts.recursive? boolean  the folders in a folder, too
--- @param opts.timeout? ctz.seconds  of each answer
--- @param opts.wait? boolean|ctz.seconds|table  true: up to 300 s; or {timeout=, jobs=, on_progress=}; jobs=false: Jobs
---   are not waited for; on_progress is called with {object=, text=}
--- @return table[]
--- @error conflict  fields belong to others, the message names them; the inventory is that of another tool; what was
---   waited for failed
--- @error denied  a quota, a webhook or a policy refuses it, or this user may not
--- @error timeout  what was waited for is not ready in time
--- @error usage  a manifest is none, or the server refuses a field; the message has the place
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:apply("manifests/", {prune="web", wait=true})
--- Api: Kubernetes, PATCH with application/apply-patch+yaml; KEP-3659
local function apply(client, input, opts)
  local settings, results = settings_of(client, opts), { created = 0, unchecked = {} }
  local entries = manifests.read(input, OP, settings)
  settings.coming = coming_of(entries)
  check_kinds(client, entries, settings)
  local set, is_inside = settings.prune and inventory_of(client, entries, settings) or nil, false
  if set then
    is_inside, settings.labels = set:check(entries, settings.force), set:labels()
    if not is_inside then
      set:cover()
    end
  end
  if settings.mark then
    settings.labels = require("ctz.kubernetes.marks").add(settings.labels)
  end
  for _, group in ipairs(groups_of(entries)) do
    apply_group(client, group, settings, results)
    if is_inside and group[1].object.kind == "Namespace" then
      set:cover()
    end
  end
  if settings.wait and not is_dry(settings) then
    require("ctz.kubernetes.ready").wait(client, results, settings.wait)
  end
  if set then
    set:prune(results)
  end
  return results
end

return { apply = apply, body_of = body_of, coming_of = coming_of, is_unchecked = is_unchecked, placed = placed }
