-- kubernetes/simulate/apply.lua: server-side apply: what is merged, what is taken out, who is in the way.
-- SPDX-License-Identifier: MIT
-- Source: sigs.k8s.io/structured-merge-diff, merge/update.go; apimachinery, util/managedfields, conflict.go.
local fields = require "ctz.kubernetes.simulate.fields"
local json = require "ctz.json"
local refusal = require "ctz.kubernetes.simulate.refusal"
local types = require "ctz.kubernetes.simulate.types"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, next, pairs, type = ipairs, next, pairs, type
local concat, gsub, sort = table.concat, string.gsub, table.sort
local remove = table.remove

local apply = {}

-- --- merging -------------------------------------------------------------------------------------

local merge

local function merge_list(form, live, patch)
  local result, at = values.copy(live), {}
  for i, item in ipairs(result) do
    at[fields.item_name(form, item)] = i
  end
  for _, item in ipairs(patch) do
    local name = fields.item_name(form, item)
    if at[name] then
      result[at[name]] = form.kind == "map" and merge(form.item, result[at[name]], item) or item
    else
      result[#result + 1] = values.copy(item)
      at[name] = #result
    end
  end
  return result
end

function merge(form, live, patch)
  if fields.is_keyed(form) and type(live) == "table" and type(patch) == "table" then
    return merge_list(form, live, patch)
  elseif fields.is_open(form, patch) and type(live) == "table" then
    local result = values.copy(live)
    for name, one in next, patch do
      result[name] = merge(types.child(form, name), result[name], one)
    end
    return result
  end
  return values.copy(patch)
end

-- --- taking out ----------------------------------------------------------------------------------

local function index_of(form, list, name)
  for i, item in ipairs(list) do
    if fields.item_name(form, item) == name then
      return i
    end
  end
end

local function take_out(form, object, path)
  local node, elements = object, fields.elements(path)
  local holder, field
  for i, element in ipairs(elements) do
    if type(node) ~= "table" then
      return
    end
    local is_last = i == #elements
    if element:sub(1, 2) == "f:" then
      local name = element:sub(3)
      form = types.child(form, name)
      if is_last then
        node[name] = nil
        return
      end
      holder, field, node = node, name, node[name]
    else
      local at = index_of(form, node, element)
      if not at then
        return
      elseif is_last then
        remove(node, at)
        if #node == 0 then -- an empty list is none
          holder[field] = nil
        end
        return
      end
      node, form = node[at], form.item
    end
  end
end

local function is_owned(list, own, path)
  for _, one in ipairs(list) do
    if one ~= own then
      for held in next, one.set do
        if held == path or fields.begins(held, path) then
          return true
        end
      end
    end
  end
  return false
end

-- What was applied before and is not any more goes, unless others have it.
local function take_out_dropped(form, merged, list, own, set)
  local dropped = {}
  for path in next, own.set do
    if not set[path] and not is_owned(list, own, path) then
      dropped[#dropped + 1] = path
    end
  end
  sort(dropped, function(left, right)
    return #left < #right -- an item is told by its keys: it goes before they do
  end)
  for _, path in ipairs(dropped) do
    take_out(form, merged, path)
  end
end

-- --- conflicts -----------------------------------------------------------------------------------

-- As the server shows a path: .spec.containers[name="main"].image
local function shown(path)
  local parts = {}
  for i, element in ipairs(fields.elements(path)) do
    local rest = element:sub(3)
    if element:sub(1, 2) == "f:" then
      parts[i] = "." .. rest
    elseif element:sub(1, 2) == "v:" then
      parts[i] = "[=" .. rest .. "]"
    else
      parts[i] = "[" .. gsub(gsub(rest:sub(2, -2), '^"(.-)":', "%1="), ',"(.-)":', ",%1=") .. "]"
    end
  end
  return concat(parts)
end

local function name_of(one)
  local text = json.encode(one.manager)
  if one.subresource then
    text = ("%s with subresource %q"):format(text, one.subresource)
  end
  if one.operation == "Update" then
    text = ("%s using %s"):format(text, one.apiVersion)
  end
  return text
end

-- As the server goes through a set: what ends at a place comes before what goes on below it.
local function is_before(left, right)
  local one, other = fields.elements(left), fields.elements(right)
  for i = 1, #one do
    if one[i] ~= other[i] then
      local ends, other_ends = i == #one, i >= #other
      if ends ~= other_ends then
        return ends
      end
      return one[i] < (other[i] or "")
    end
  end
  return #one < #other
end

local function conflicts_of(list, own, set, changed)
  local found = {}
  for _, one in ipairs(list) do
    local paths = {}
    for path in next, one ~= own and one.set or {} do
      if set[path] and changed[path] then
        paths[#paths + 1] = path
      end
    end
    sort(paths, is_before)
    if #paths > 0 then
      found[#found + 1] = { entry = one, paths = paths }
    end
  end
  return found
end

local function refuse_conflicts(found)
  local causes, lines, count = {}, {}, 0
  for _, one in ipairs(found) do
    for _, path in ipairs(one.paths) do
      count = count + 1
      causes[count] = {
        reason = "FieldManagerConflict", field = shown(path), message = "conflict with " .. name_of(one.entry),
      }
    end
    local fields_shown = {}
    for i, path in ipairs(one.paths) do
      fields_shown[i] = "- " .. shown(path)
    end
    lines[#lines + 1] = ("conflicts with %s:\n%s"):format(name_of(one.entry), concat(fields_shown, "\n"))
  end
  local text = count == 1 and ("Apply failed with 1 conflict: %s: %s"):format(causes[1].message, causes[1].field)
    or ("Apply failed with %d conflicts: %s"):format(count, concat(lines, "\n"))
  refusal.refuse(409, "Conflict", text, { causes = causes })
end

-- --- the whole -----------------------------------------------------------------------------------

-- apply.merge(resource, live | nil, patch, by) -> the object, with managedFields. by: manager, force,
-- subresource, time.
function apply.merge(resource, live, patch, by)
  local form = types.of(resource)
  patch = values.without_nulls(values.copy(patch))
  if not by.subresource and resource.subresources.status then
    patch.status = nil
  end
  local set = {}
  for path in pairs(fields.of(resource, patch)) do
    set[path] = true
  end
  local base = live or { apiVersion = patch.apiVersion, kind = patch.kind, metadata = {} }
  local list = fields.managers(live)
  local own = fields.manager(list, by.manager, "Apply", by.subresource)
  if not own then
    own = { manager = by.manager, operation = "Apply", subresource = by.subresource, set = {} }
    list[#list + 1] = own
  end
  local merged = merge(form, base, patch)
  take_out_dropped(form, merged, list, own, set)
  local changed = live and fields.changes(live, merged, resource) or {}
  local found = conflicts_of(list, own, set, changed)
  if #found > 0 and not by.force then
    refuse_conflicts(found)
  end
  for _, one in ipairs(found) do
    for _, path in ipairs(one.paths) do
      one.entry.set[path] = nil
    end
  end
  if not own.time or next(changed) ~= nil or not values.same(own.set, set) then
    own.time = by.time
  end
  own.set, own.apiVersion = set, resource.api_version
  fields.write(merged, list)
  return merged
end

return apply
