-- kubernetes/simulate/fields.lua: which fields an object has, what changed, and who owns them (managedFields).
-- SPDX-License-Identifier: MIT
-- Source: sigs.k8s.io/structured-merge-diff, fieldpath and merge; k8s.io/apimachinery, util/managedfields.
--
-- A set of fields is {path = true}. A path is its elements with zero bytes between: f:spec, k:{"name":"a"} for
-- an item of a list with keys, v:"a" for one of a set.
local json = require "ctz.json"
local types = require "ctz.kubernetes.simulate.types"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, next, pairs, type = ipairs, next, pairs, type
local concat, gmatch, sort, sub = table.concat, string.gmatch, table.sort, string.sub

local SPLIT <const> = "\0"
local KEY_DEFAULTS <const> = { protocol = "TCP" }
-- What an object without any field has already: it is nobody's by itself.
local ALWAYS <const> = {
  ["f:containers"] = true, ["f:jobTemplate"] = true, ["f:loadBalancer"] = true, ["f:metadata"] = true,
  ["f:spec"] = true, ["f:status"] = true, ["f:strategy"] = true, ["f:template"] = true, ["f:updateStrategy"] = true,
}

-- What belongs to the server.
local NOT_OWNED <const> = {
  "apiVersion", "kind", "metadata\0name", "metadata\0namespace", "metadata\0uid", "metadata\0creationTimestamp",
  "metadata\0generation", "metadata\0managedFields", "metadata\0resourceVersion", "metadata\0selfLink",
  "metadata\0deletionTimestamp", "metadata\0deletionGracePeriodSeconds",
}

local fields = {}

-- The name of an item among those of its list: k:{"name":"main"}, v:"a".
local function item_name(form, item)
  if form.kind == "set" then
    return "v:" .. json.encode(item)
  end
  local keys = { table.unpack(form.keys) }
  sort(keys)
  local parts = {}
  for i, key in ipairs(keys) do
    local value = values.table_of(item)[key]
    value = value == nil and KEY_DEFAULTS[key] or value
    parts[i] = json.encode(key) .. ":" .. json.encode(value == nil and json.null or value)
  end
  return "k:{" .. concat(parts, ",") .. "}"
end

fields.item_name = item_name

-- A list whose items are told apart.
function fields.is_keyed(form)
  return form.is == "list" and form.kind ~= "atomic"
end

-- A table that is merged field by field.
function fields.is_open(form, value)
  return type(value) == "table" and not form.atomic and (form.is == "type" or form.is == "map" or form.is == "root"
    or form.is == "any" and not json.is_array(value) and value[1] == nil)
end

local function is_always(path, is_custom)
  if is_custom then
    return path == "" or path == "f:metadata"
  end
  for element in gmatch(path, "[^%z]+") do
    if not ALWAYS[element] then
      return false
    end
  end
  return true
end

-- collect(form, value, path, into, parents): the leaves, path -> value, and items of lists. parents(path):
-- is what holds others itself one of them? nil: it is not.
local function collect(form, value, path, into, parents)
  if fields.is_keyed(form) and type(value) == "table" and #value > 0 then
    if parents and parents(path) then
      into[path] = true
    end
    for _, item in ipairs(value) do
      local at = path .. SPLIT .. item_name(form, item)
      into[at] = true
      if form.kind == "map" then
        collect(form.item, item, at, into, parents)
      end
    end
  elseif fields.is_open(form, value) and next(value) ~= nil then
    if parents and parents(path) then
      into[path] = true
    end
    for name, one in next, value do
      if one ~= json.null then
        collect(types.child(form, name), one, path == "" and "f:" .. name or path .. SPLIT .. "f:" .. name, into,
          parents)
      end
    end
  elseif not (parents and type(value) == "table" and not parents(path)) then
    into[path] = value == nil or value
  end
end

local function strip(set)
  for _, name in ipairs(NOT_OWNED) do
    set["f:" .. name:gsub(SPLIT, SPLIT .. "f:")] = nil
  end
  set[""] = nil
  return set
end

-- of(resource, object, with_parents) -> path -> value
function fields.of(resource, object, with_parents)
  local into = {}
  collect(types.of(resource), object, "", into, with_parents and function(path)
    return not is_always(path, resource.is_custom)
  end)
  return strip(into)
end

-- changes(old | nil, new, resource) -> paths that are new or changed, paths that are gone
function fields.changes(old, new, resource)
  local before = old and fields.of(resource, old, true) or {}
  local after, changed, gone = fields.of(resource, new, true), {}, {}
  for path, value in next, after do
    if before[path] == nil or not values.same(before[path], value) then
      changed[path] = true
    end
  end
  for path in next, before do
    if after[path] == nil then
      gone[path] = true
    end
  end
  return changed, gone
end

-- --- fieldsV1 ------------------------------------------------------------------------------------

local function elements(path)
  local list = {}
  for one in gmatch(path, "[^%z]+") do
    list[#list + 1] = one
  end
  return list
end

fields.elements = elements

-- As managedFields tell a set.
local function told(set)
  local root = json.object {}
  for path in next, set do
    local node = root
    for _, one in ipairs(elements(path)) do
      node[one] = node[one] or json.object {}
      node = node[one]
    end
    node["\0member"] = true
  end
  local function finish(node)
    local is_member = node["\0member"]
    node["\0member"] = nil
    if is_member and next(node) ~= nil then
      node["."] = json.object {}
    end
    for name, inside in next, node do
      if name ~= "." then
        finish(inside)
      end
    end
  end
  finish(root)
  return root
end

-- The set that fieldsV1 tell.
local function read(node, path, set)
  if next(node) == nil and path ~= "" then
    set[path] = true
  end
  for name, inside in next, node do
    if name == "." then
      set[path] = true
    elseif type(inside) == "table" then
      read(inside, path == "" and name or path .. SPLIT .. name, set)
    end
  end
  return set
end

-- --- managers ----------------------------------------------------------------------------------

-- Entries of managedFields with their sets: {manager, operation, apiVersion, subresource, time, set}.
function fields.managers(object)
  local list = {}
  for _, entry in ipairs(values.table_of(object and object.metadata.managedFields)) do
    list[#list + 1] = {
      manager = entry.manager, operation = entry.operation, apiVersion = entry.apiVersion,
      subresource = values.is_given(entry.subresource) and entry.subresource ~= "" and entry.subresource or nil,
      time = entry.time, set = read(values.table_of(entry.fieldsV1), "", {}),
    }
  end
  return list
end

function fields.manager(list, name, operation, subresource)
  for i, one in ipairs(list) do
    if one.manager == name and one.operation == operation and one.subresource == subresource then
      return one, i
    end
  end
end

local function is_before(left, right)
  if left.operation ~= right.operation then
    return left.operation < right.operation
  elseif left.time ~= right.time then
    return (left.time or "") < (right.time or "")
  end
  return left.manager < right.manager
end

-- Puts them into an object; those that own nothing are left out.
function fields.write(object, list)
  sort(list, is_before)
  local entries = json.array {}
  for _, one in ipairs(list) do
    if next(one.set) ~= nil then
      entries[#entries + 1] = {
        manager = one.manager, operation = one.operation, apiVersion = one.apiVersion, subresource = one.subresource,
        time = one.time, fieldsType = "FieldsV1", fieldsV1 = told(one.set),
      }
    end
  end
  object.metadata.managedFields = #entries > 0 and entries or nil
end

function fields.take(set, other)
  for path in next, other do
    set[path] = nil
  end
end

-- updated(resource, old | nil, new, by): writes who owns what after a change that is no apply. by: manager,
-- subresource, time.
function fields.updated(resource, old, new, by)
  local changed, gone = fields.changes(old, new, resource)
  local given = values.table_of(new.metadata.managedFields)
  local list = fields.managers(given[1] and new or old)
  if next(changed) == nil and next(gone) == nil then
    fields.write(new, list)
    return
  end
  local own = fields.manager(list, by.manager, "Update", by.subresource)
  if not own then
    own = { manager = by.manager, operation = "Update", subresource = by.subresource, set = {} }
    list[#list + 1] = own
  end
  for _, one in ipairs(list) do
    fields.take(one.set, gone)
    if one ~= own then
      fields.take(one.set, changed)
    end
  end
  for path in pairs(changed) do
    own.set[path] = true
  end
  own.apiVersion, own.time = resource.api_version, by.time
  fields.write(new, list)
end

fields.begins = function(path, prefix)
  return sub(path, 1, #prefix + 1) == prefix .. SPLIT
end

return fields
