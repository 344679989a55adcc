-- kubernetes/inventory.lua: what belongs together, so that what is no longer applied is removed: an ApplySet.
-- SPDX-License-Identifier: MIT
-- Source: KEP-3659, ApplySet specification; kubectl, pkg/cmd/apply/applyset.go and applyset_pruner.go.
--
-- A parent object (a Secret or a ConfigMap, of which the data is not touched) has the inventory's id as a
-- label, and as annotations who manages it and in which kinds and namespaces members lie; each member has
-- the id as a label. Before anything is applied the parent is made to cover what will be; it shrinks again
-- when all that had to go is gone. So a run that breaks off loses sight of nothing.
local check = require("ctz.options").check
local ctz_map = require("ctz").map
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local members = require "ctz.kubernetes.members"
local sorted_keys = require("ctz.problems").sorted_keys
local targets = require "ctz.kubernetes.targets"

local error, ipairs, next, pairs, pcall, require = error, ipairs, next, pairs, pcall, require
local setmetatable, tonumber, type = setmetatable, tonumber, type
local char, concat = string.char, table.concat

local OP <const> = "kubernetes.apply"
local PREFIX <const> = "applyset.kubernetes.io/"
local ID <const>, PART_OF <const> = PREFIX .. "id", members.PART_OF
local TOOLING <const>, KINDS <const> = PREFIX .. "tooling", PREFIX .. "contains-group-kinds"
local NAMESPACES <const> = PREFIX .. "additional-namespaces"
local OLD_KINDS <const> = PREFIX .. "contains-group-resources" -- of kubectl 1.26
local TOOL <const>, MANAGER <const> = "ctz", "ctz-applyset"
local OPTIONS <const> = { adopt = "boolean", allow_empty = "boolean", kind = "string", name = "string!",
  namespace = "string" }
local PARENTS <const> = {
  cm = "ConfigMap", configmap = "ConfigMap", configmaps = "ConfigMap", secret = "Secret", secrets = "Secret",
}
local JOBS <const> = 8

local Inventory = {}
Inventory.__index = Inventory

local function table_of(value)
  return type(value) == "table" and value or {}
end

-- --- names -------------------------------------------------------------------------------------

local function id_of(name, namespace, kind)
  local digest = require("ctz.hash").sha256(concat({ name, namespace, kind, "" }, "."))
  local bytes = digest:gsub("%x%x", function(byte)
    return char(tonumber(byte, 16))
  end)
  local text = require("ctz.base64").encode(bytes, { url = true, pad = false })
  return ("applyset-%s-v1"):format(text)
end

-- The option: "web", "configmap/web" or {name=, kind=, namespace=, adopt=, allow_empty=}.
local function settings_of(value)
  local opts = value
  if type(value) == "string" then
    local kind, name = value:match "^([^/]*)/(.*)$"
    opts = { kind = kind, name = name or value }
  end
  check(OP .. ": prune", opts, OPTIONS)
  local kind = PARENTS[(opts.kind or "secret"):lower()]
  if not kind then
    failure.usage(OP, "bad argument 'opts.prune' to '%s': an inventory is a secret or a configmap, not a %s", OP,
      opts.kind)
  end
  targets.check_name(OP, opts.name)
  return opts, kind
end

-- "a,b" -> {a = true, b = true}
local function set_of(text)
  local set = {}
  for one in (type(text) == "string" and text or ""):gmatch "[^,%s]+" do
    set[one] = true
  end
  return set
end

local function text_of(set, but)
  local names = {}
  for _, name in ipairs(sorted_keys(set)) do
    names[#names + 1] = name ~= but and name or nil
  end
  return concat(names, ",")
end

local function union(...)
  local all = {}
  for _, set in ipairs { ... } do
    for name in pairs(set) do
      all[name] = true
    end
  end
  return all
end

-- --- the parent --------------------------------------------------------------------------------

local function get_parent(self)
  local object, status = self.client:call("GET", self.path, {
    op = OP, target = self.shown, timeout = self.timeout, ok = { [404] = true },
  })
  return status ~= 404 and object or nil
end

local function refuse(self, text, hint, ...)
  failure.fail("conflict", OP, ("%s cannot be the inventory: %s"):format(self.shown, text:format(...)), {
    target = self.shown, hint = hint,
  })
end

-- It is ours, or is taken over: that of another tool, or an object that is no inventory yet.
local function check_parent(self, parent, adopt)
  local labels, notes = table_of(parent.metadata.labels), table_of(parent.metadata.annotations)
  local tooling, id = notes[TOOLING], labels[ID]
  if id and id ~= self.id then
    refuse(self, "its label %s is %s, of its name and place it has to be %s",
      "it was copied from another one: take the label away, or give another name", ID, id, self.id)
  elseif adopt then
    return
  elseif not tooling and not id then
    refuse(self, "there is one of that name, which is none", "prune={name=..., adopt=true} makes it one,"
      .. " its data stays")
  end
  local name = type(tooling) == "string" and (tooling:match "^(.*)/[^/]*$" or tooling) or nil
  if name ~= TOOL then
    refuse(self, "it is managed by %s", "prune={name=..., adopt=true} takes it over; its tool refuses it from then on",
      name or "nobody knows whom: it has no annotation " .. TOOLING)
  end
end

-- "deployments.apps" -> "Deployment.apps"
local function kinds_of(self, resources)
  local kinds = {}
  for _, one in ipairs(discovery.known(self.client, OP).resources) do
    if resources[one.group == "" and one.name or one.name .. "." .. one.group] then
      kinds[members.group_kind(one.api_version, one.kind)] = true
    end
  end
  return kinds
end

-- In which kinds and namespaces members may lie; kinds: nil when the parent does not say it.
local function read_parent(self, parent)
  local notes = table_of(parent and parent.metadata.annotations)
  local labels = table_of(parent and parent.metadata.labels)
  if not labels[ID] or notes[KINDS] then
    self.kinds = set_of(notes[KINDS])
  elseif notes[OLD_KINDS] then
    self.kinds = kinds_of(self, set_of(notes[OLD_KINDS]))
  end
  self.namespaces = set_of(notes[NAMESPACES])
  self.namespaces[self.namespace] = true
  self.version = parent and parent.metadata.resourceVersion
  self.written = parent and {
    kinds = notes[KINDS], namespaces = notes[NAMESPACES], is_ours = (notes[TOOLING] or ""):find "^ctz/" ~= nil,
  } or {}
end

-- Makes the parent say that members are of these kinds, in these namespaces.
local function write_parent(self, kinds, namespaces, version)
  local kinds_text, namespaces_text = text_of(kinds), text_of(namespaces, self.namespace)
  local written = self.written
  if self.dry_run or written.is_ours and written.kinds == kinds_text and written.namespaces == namespaces_text then
    return
  end
  local object = self.client:call("PATCH", self.path, {
    op = OP, target = self.shown, timeout = self.timeout, content_type = "application/apply-patch+yaml",
    query = { fieldManager = MANAGER, force = "true", fieldValidation = "Strict" },
    json = {
      apiVersion = "v1", kind = self.kind,
      metadata = {
        name = self.name, namespace = self.namespace, labels = { [ID] = self.id }, resourceVersion = version,
        annotations = {
          [TOOLING] = TOOL .. "/v" .. require("ctz.core.host").version, [KINDS] = kinds_text,
          [NAMESPACES] = namespaces_text,
        },
      },
    },
  })
  self.version = object.metadata.resourceVersion
  self.written = { kinds = kinds_text, namespaces = namespaces_text, is_ours = true }
end

-- --- the inventory -----------------------------------------------------------------------------

local function tell_failures(self, failures, results)
  local first = failures[1].err
  local lines, others = {}, {}
  for i, one in ipairs(failures) do
    local what = one.text or ("the list of %s%s"):format(one.kind, one.namespace and " in " .. one.namespace or "")
    lines[i] = ("\n  %s: %s"):format(what, type(one.err) == "table" and one.err.message or one.err)
    others[#others + 1] = i > 1 and one.err or nil
  end
  failure.fail(type(first) == "table" and first.kind or "io", OP,
    ("everything is applied, but %d of what had to go could not be removed:%s"):format(#failures, concat(lines)), {
      target = self.shown, cause = first, others = #others > 0 and others or nil, result = results,
      hint = "the inventory still knows them: the next run tries again",
    })
end

-- Kinds and namespaces of objects, as the parent names them.
local function extent_of(objects, default)
  local kinds, namespaces = {}, {}
  for _, object in ipairs(objects) do
    local namespace = object.metadata and object.metadata.namespace or default or object.namespace
    kinds[members.group_kind(object.apiVersion, object.kind)] = true
    if namespace then
      namespaces[namespace] = true
    end
  end
  return kinds, namespaces
end

-- The name of the inventory of an id, where it lies here.
local function name_of(self, id)
  for _, path in ipairs { "secrets", "configmaps" } do
    local ok, found = pcall(members.list, self, { group = "", version = "v1", name = path, namespaced = true },
      self.namespace, ID .. "=" .. id)
    if ok and found[1] then
      return ("%s/%s"):format(path:sub(1, -2), found[1].metadata.name)
    end
  end
  return id
end

-- What is applied may be no member of another inventory: that one would lose it without a word.
local function check_members(self, entries, kinds, namespaces, force)
  local wanted = {}
  for _, entry in ipairs(entries) do
    local object = entry.object
    local kind, meta = members.group_kind(object.apiVersion, object.kind), object.metadata
    for _, namespace in ipairs { meta.namespace or self.default_namespace, "" } do -- "": of no namespace
      wanted[concat({ kind, namespace, meta.name }, "\n")] = entry
    end
  end
  local places = members.places((members.resources(self, kinds)), namespaces)
  local selector = ("%s,%s!=%s"):format(PART_OF, PART_OF, self.id)
  local answers = ctz_map(places, function(place)
    return members.list(self, place.resource, place.namespace, selector)
  end, { jobs = JOBS })
  for i, items in ipairs(answers) do
    for _, item in ipairs(items) do
      local meta = item.metadata
      local entry = wanted[concat({ places[i].kind, meta.namespace or "", meta.name }, "\n")]
      local text = entry and ("%s %s belongs to the inventory %s"):format(places[i].resource.singular, meta.name,
        name_of(self, meta.labels[PART_OF]))
      if entry and not force then
        failure.fail("conflict", OP, ("%s: %s"):format(entry.place, text), {
          target = places[i].resource.singular .. " " .. meta.name,
          hint = "force=true moves it into this one; then the other one no longer removes it",
        })
      elseif entry then
        require("ctz.log").warn(text .. "; it is moved to " .. self.shown)
      end
    end
  end
end

-- Its label on what is applied.
function Inventory:labels()
  return { [PART_OF] = self.id }
end

local function check_entry(self, entry)
  local object = entry.object
  local meta = object.metadata
  if table_of(meta.labels)[PART_OF] then
    failure.usage(OP, "%s: it has the label %s already; an inventory gives it", entry.place, PART_OF)
  elseif object.apiVersion == "v1" and object.kind == self.kind and meta.name == self.name
    and (meta.namespace or self.default_namespace) == self.namespace then
    failure.usage(OP, "%s: it is the inventory itself; give the inventory another name", entry.place)
  end
  return object
end

-- Before anything is applied: may it be? True when the parent's own namespace is among it, and comes first.
function Inventory:check(entries, force)
  local objects, is_inside = {}, false
  for i, entry in ipairs(entries) do
    local object = check_entry(self, entry)
    objects[i] = object
    is_inside = is_inside or object.kind == "Namespace" and object.metadata.name == self.namespace
  end
  self.next_kinds, self.next_namespaces = extent_of(objects, self.default_namespace)
  check_members(self, entries, self.next_kinds, self.next_namespaces, force)
  return is_inside
end

-- The parent covers what will be applied.
function Inventory:cover()
  if self.kinds then -- else all kinds are looked through
    write_parent(self, union(self.kinds, self.next_kinds), union(self.namespaces, self.next_namespaces))
  end
end

-- inventory:leftover(applied) -> list of members that would go, list of those that are kept
function Inventory:leftover(applied)
  local going, kept, failures = members.leftover(self, applied)
  if #failures > 0 then
    error(failures[1].err, 0)
  end
  return going, kept
end

-- After everything was applied: removes the members that were not, and tells in results.pruned, results.kept.
function Inventory:prune(results)
  local going, kept, failures, unknown = members.leftover(self, results)
  results.kept, results.pruned = kept, members.remove(self, going, failures)
  local kinds, namespaces = extent_of(results)
  local kept_kinds, kept_namespaces = extent_of(kept)
  local failed_kinds, failed_namespaces = {}, {}
  for _, one in ipairs(failures) do
    failed_kinds[one.kind], failed_namespaces[one.namespace or self.namespace] = true, true
  end
  if next(unknown) then
    failed_namespaces = union(failed_namespaces, self.namespaces)
  end
  local ok, err = pcall(write_parent, self, union(kinds, kept_kinds, failed_kinds, unknown),
    union(namespaces, kept_namespaces, failed_namespaces), self.version)
  if not ok and not (type(err) == "table" and err.status == 409) then -- else another run goes on with it
    error(err, 0)
  elseif #failures > 0 then
    tell_failures(self, failures, results)
  end
end

local inventory = {}

-- inventory.open(client, option, opts) -> inventory. opts: namespace, dry_run, timeout, count: of objects
function inventory.open(client, option, opts)
  local settings, kind = settings_of(option)
  local namespace = settings.namespace or opts.namespace or client.namespace
  local self = setmetatable({
    client = client, kind = kind, name = settings.name, namespace = namespace, timeout = opts.timeout,
    dry_run = opts.dry_run or client.dry_run or false, default_namespace = opts.namespace or client.namespace,
    shown = ("%s %s in %s"):format(kind:lower(), settings.name, namespace), id = id_of(settings.name, namespace, kind),
  }, Inventory)
  if opts.count == 0 and not settings.allow_empty then
    failure.usage(OP, "there is nothing to apply: prune would remove all of %s; prune={name=..., allow_empty=true}"
      .. " does that", self.shown)
  end
  local resource = discovery.of(client, { apiVersion = "v1", kind = kind }, OP)
  self.path = discovery.path(resource, namespace, settings.name)
  local parent = get_parent(self)
  if parent then
    check_parent(self, parent, settings.adopt)
  end
  read_parent(self, parent)
  return self
end

inventory.id_of = id_of

return inventory
