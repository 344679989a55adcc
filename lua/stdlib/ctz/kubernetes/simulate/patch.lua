-- kubernetes/simulate/patch.lua: JSON, merge and strategic patches of an object.
-- SPDX-License-Identifier: MIT
-- Source: RFC 6902, RFC 7386; k8s.io/apimachinery, pkg/util/strategicpatch/patch.go.
local json = require "ctz.json"
local refusal = require "ctz.kubernetes.simulate.refusal"
local types = require "ctz.kubernetes.simulate.types"
local values = require "ctz.kubernetes.simulate.values"

local error, ipairs, math, next, tonumber, type = error, ipairs, math, next, tonumber, type
local gmatch, gsub = string.gmatch, string.gsub
local insert, remove, sort = table.insert, table.remove, table.sort

local patch = {}

-- --- merge ---------------------------------------------------------------------------------------

function patch.merge(object, change)
  if type(change) ~= "table" or json.is_array(change) or change[1] ~= nil then
    return values.copy(change)
  end
  local result = type(object) == "table" and not json.is_array(object) and values.copy(object) or {}
  for name, one in next, change do
    if one == json.null then
      result[name] = nil
    else
      result[name] = patch.merge(result[name], one)
    end
  end
  return result
end

-- --- JSON ----------------------------------------------------------------------------------------

local function fail(text, ...)
  refusal.refuse(422, "Invalid", text:format(...), {})
end

local function parts_of(path)
  local parts = {}
  for part in gmatch(path, "/([^/]*)") do
    parts[#parts + 1] = gsub(gsub(part, "~1", "/"), "~0", "~")
  end
  return parts
end

-- The table that holds what a path leads to, and its key there.
local function lead(object, op, path)
  local node, parts = object, parts_of(path)
  for i = 1, #parts - 1 do
    local key = type(node) == "table" and json.is_array(node) and (math.tointeger(tonumber(parts[i])) or -2) + 1
      or parts[i]
    node = type(node) == "table" and node[key] or nil
    if type(node) ~= "table" then
      fail('the server rejected our request due to an error in our request: %s operation does not apply: doc is ' ..
        'missing path: "%s": missing value', op, path)
    end
  end
  local last = parts[#parts]
  if json.is_array(node) then
    local at = last == "-" and #node + 1 or (math.tointeger(tonumber(last)) or -2) + 1
    if at < 1 or at > #node + (op == "add" and 1 or 0) then
      fail('%s operation does not apply: doc is missing path: "%s": missing value', op, path)
    end
    return node, at, true
  end
  return node, last, false
end

local OPERATIONS <const> = {}

function OPERATIONS.add(object, step)
  local node, key, is_list = lead(object, "add", step.path)
  if is_list then
    insert(node, key, values.copy(step.value))
  else
    node[key] = values.copy(step.value)
  end
end

function OPERATIONS.remove(object, step)
  local node, key, is_list = lead(object, "remove", step.path)
  if node[key] == nil then
    fail('remove operation does not apply: doc is missing key: %s: missing value', step.path)
  elseif is_list then
    remove(node, key)
  else
    node[key] = nil
  end
end

function OPERATIONS.replace(object, step)
  local node, key = lead(object, "replace", step.path)
  if node[key] == nil then
    fail('replace operation does not apply: doc is missing key: %s: missing value', step.path)
  end
  node[key] = values.copy(step.value)
end

function OPERATIONS.test(object, step)
  local node, key = lead(object, "test", step.path)
  if not values.same(node[key], step.value) then
    fail('testing value %s failed', step.path)
  end
end

function OPERATIONS.copy(object, step)
  local node, key = lead(object, "copy", step.from)
  OPERATIONS.add(object, { path = step.path, value = node[key] })
end

function OPERATIONS.move(object, step)
  local node, key = lead(object, "move", step.from)
  local value = node[key]
  OPERATIONS.remove(object, { path = step.from })
  OPERATIONS.add(object, { path = step.path, value = value })
end

function patch.json(object, steps)
  if type(steps) ~= "table" or not json.is_array(steps) then
    refusal.bad_request "error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch"
  end
  local result = values.copy(object)
  for _, step in ipairs(steps) do
    local operation = OPERATIONS[step.op] or fail('unexpected kind: %s', step.op)
    operation(result, step)
  end
  return result
end

-- --- strategic -----------------------------------------------------------------------------------

local strategic

-- What an item of a list is known by; a list of texts or numbers is a set of them.
local function key_of(form, item)
  return form.merge == "set" and item or form.merge ~= "set" and values.table_of(item)[form.merge] or false
end

local function places_of(form, list)
  local places = {}
  for i, item in ipairs(values.table_of(list)) do
    local key = key_of(form, item)
    places[key] = places[key] or i
  end
  return places
end

-- As the server orders a patched list: what the patch names in the patch's order, and before the others as far as
-- these did not stand before it.
local function in_order(form, list, wanted, before)
  local rank, place = places_of(form, wanted), places_of(form, before)
  local named, others, result = {}, {}, json.array {}
  for _, item in ipairs(list) do
    local part = rank[key_of(form, item)] and named or others
    part[#part + 1] = item
  end
  sort(named, function(left, right)
    return rank[key_of(form, left)] < rank[key_of(form, right)]
  end)
  local i, j = 1, 1
  while named[i] or others[j] do
    local at = named[i] and place[key_of(form, named[i])]
    local takes_other = not named[i] or others[j] and at and place[key_of(form, others[j])] < at
    if takes_other then
      result[#result + 1], j = others[j], j + 1
    else
      result[#result + 1], i = named[i], i + 1
    end
  end
  return result
end

-- wanted: the order that a patch asks for beside its items
local function patch_list(form, list, change, wanted)
  if not form.merge or #change > 0 and type(change[1]) == "table" and change[1]["$patch"] == "replace" then
    local result = values.copy(change)
    if #result > 0 and type(result[1]) == "table" and result[1]["$patch"] == "replace" then
      remove(result, 1)
    end
    return result
  end
  local result = values.copy(type(list) == "table" and list or json.array {})
  for _, item in ipairs(change) do
    local _, at = values.find(result, function(one)
      return key_of(form, one) == key_of(form, item)
    end)
    if type(item) == "table" and item["$patch"] == "delete" then
      if at then
        remove(result, at)
      end
    elseif not at then
      result[#result + 1] = values.without_nulls(values.copy(item))
    elseif form.merge ~= "set" then
      result[at] = strategic(form.item, result[at], item)
    end
  end
  return in_order(form, result, wanted or change, list)
end

local function keep_only(result, names)
  local kept = {}
  for _, name in ipairs(names) do
    kept[name] = true
  end
  for name in next, result do
    if not kept[name] then
      result[name] = nil
    end
  end
end

function strategic(form, object, change, wanted)
  if form.is == "list" and type(change) == "table" then
    return patch_list(form, object, change, wanted)
  elseif type(change) ~= "table" or json.is_array(change) or change[1] ~= nil then
    return values.copy(change)
  elseif change["$patch"] == "replace" then
    local result = values.copy(change)
    result["$patch"] = nil
    return result
  end
  local result = type(object) == "table" and values.copy(object) or {}
  for name, one in next, change do
    local primitive = name:match "^%$deleteFromPrimitiveList/(.*)$"
    if primitive then
      for _, value in ipairs(one) do
        local _, at = values.find(result[primitive], function(held) return held == value end)
        if at then
          remove(result[primitive], at)
        end
      end
      if #values.table_of(result[primitive]) == 0 then
        result[primitive] = nil
      end
    elseif one == json.null or type(one) == "table" and one["$patch"] == "delete" then
      result[name] = nil
    elseif name:sub(1, 1) ~= "$" then
      result[name] = strategic(types.child(form, name), result[name], one, change["$setElementOrder/" .. name])
    end
  end
  if type(change["$retainKeys"]) == "table" then
    keep_only(result, change["$retainKeys"])
  end
  return result
end

function patch.strategic(resource, object, change)
  if resource.is_custom then
    refusal.refuse(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media " ..
      "types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml, " ..
      "application/apply-patch+cbor", {})
  elseif type(change) ~= "table" then
    error("a patch is a table", 0)
  end
  return strategic(types.of(resource), object, change)
end

return patch
