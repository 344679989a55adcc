-- kubernetes/simulate/types.lua: the fields that kinds have, and how lists and maps of them are merged.
-- SPDX-License-Identifier: MIT
--
-- A line of types_data.lua is "Type= field ...". A field is a name and its form: nothing: text; :i :n :b
-- integer, number, boolean; :a anything; :T the type T, :!T one that is merged as a whole; :{}F a map of
-- the form F, :{!}F as a whole; :[]F a list as a whole; :[set]F; :[a,b~c]F a list of which a and b tell
-- its items apart, c where a strategic patch does it by another field.
local ipairs, next, require, type = ipairs, next, require, type
local gmatch, match = string.gmatch, string.match

local SCALARS <const> = { [""] = "string", i = "integer", n = "number", b = "boolean", a = "any" }
local ANY <const> = { is = "any" }

local types = {}

local lines -- type -> its fields as text
local parsed = {} -- type -> form

local function load_lines()
  local name
  lines = {}
  for line in gmatch(require "ctz.kubernetes.simulate.types_data", "[^\n]+") do
    local word, rest = match(line, "^(%w+)= ?(.*)$")
    name = word or name
    lines[name] = word and rest or lines[name] .. " " .. line
  end
end

local form_of

local function words_of(text)
  local words = {}
  for word in gmatch(text, "[^,]+") do
    words[#words + 1] = word
  end
  return words
end

local function list_form(inside, rest)
  if inside == "set" then
    return { is = "list", kind = "set", item = form_of(rest), merge = "set" }
  end
  local keys, merge = match(inside, "^([^~]*)~?(.*)$")
  local words = words_of(keys)
  return {
    is = "list", kind = #words > 0 and "map" or "atomic", keys = words, item = form_of(rest),
    merge = merge ~= "" and merge or words[1],
  }
end

function form_of(text)
  local inside, rest = match(text, "^%[([^%]]*)%](.*)$")
  if inside then
    return list_form(inside, rest)
  end
  local mark, item = match(text, "^{(!?)}(.*)$")
  if mark then
    return { is = "map", atomic = mark == "!", item = form_of(item) }
  end
  local atomic, name = match(text, "^(!?)(%u.*)$")
  if name then
    return { is = "type", name = name, atomic = atomic == "!" }
  end
  return { is = SCALARS[text] or "any" }
end

-- Type's fields: name -> form. nil: nothing is known of it.
function types.fields(name)
  if not lines then
    load_lines()
  end
  if not parsed[name] and lines[name] then
    local fields = {}
    for word in gmatch(lines[name], "%S+") do
      local field, form = match(word, "^([^:]+):?(.*)$")
      fields[field] = form_of(form)
    end
    fields.apiVersion, fields.kind = fields.apiVersion or { is = "string" }, fields.kind or { is = "string" }
    parsed[name] = fields
  end
  return parsed[name]
end

-- The form of a field of a table of that form; ANY where nothing is known.
function types.child(form, field)
  if form.is == "type" then
    local fields = types.fields(form.name)
    return fields and fields[field] or ANY
  elseif form.is == "map" then
    return form.item
  elseif form.is == "root" then
    return form.fields[field] or ANY
  end
  return ANY
end

local METADATA <const> = { is = "type", name = "ObjectMeta" }

-- The form of a whole object of a resource. Of custom ones metadata alone is known.
function types.of(resource)
  if resource.is_custom or not types.fields(resource.kind) then
    return { is = "root", fields = { metadata = METADATA, apiVersion = { is = "string" }, kind = { is = "string" } } }
  end
  return { is = "type", name = resource.kind }
end

-- --- what does not fit ---------------------------------------------------------------------------

local GO <const> = { integer = "int32", number = "float64", boolean = "bool", string = "string" }

local function shown_type(value)
  local kind = type(value)
  return kind == "table" and (require("ctz.json").is_array(value) and "array" or "object")
    or kind == "boolean" and "bool" or kind
end

local function fits(form, value)
  local kind = type(value)
  if form.is == "string" or form.is == "boolean" then
    return kind == form.is
  elseif form.is == "integer" or form.is == "number" then
    return kind == "number"
  elseif form.is == "list" then
    return kind == "table" and (value[1] ~= nil or require("ctz.json").is_array(value) or next(value) == nil)
  elseif form.is == "type" or form.is == "map" then
    return kind == "table" and value[1] == nil
  end
  return true
end

-- walk(form, value, path, found, owner): unknown fields as found.unknown {path}, the first wrong type as
-- found.wrong {got, where, wanted}.
local function walk(form, value, path, found, owner)
  if value == nil or type(value) == "userdata" or form.is == "any" then -- null is none
    return
  elseif not fits(form, value) then
    local wanted = GO[form.is] or form.is == "list" and "[]" .. (form.item.name or "string")
      or form.is == "map" and "map[string]string" or form.name
    found.wrong = found.wrong or { shown_type(value), owner .. "." .. path, wanted }
  elseif form.is == "list" then
    for i, item in ipairs(value) do
      walk(form.item, item, ("%s[%d]"):format(path, i - 1), found, owner)
    end
  elseif form.is == "map" then
    for _, item in next, value do
      walk(form.item, item, path, found, owner)
    end
  elseif form.is == "type" and types.fields(form.name) then
    local fields = types.fields(form.name)
    for field, one in next, value do
      local at = path == "" and field or path .. "." .. field
      if fields[field] then
        walk(fields[field], one, at, found, path == "" and owner or form.name)
      else
        found.unknown[#found.unknown + 1] = at
      end
    end
  end
end

-- look(resource, object) -> {unknown = paths, wrong = {got, where, wanted}}
function types.look(resource, object)
  local found = { unknown = {} }
  walk(types.of(resource), object, "", found, resource.kind)
  table.sort(found.unknown)
  return found
end

-- Takes out the fields that a kind does not have.
function types.drop_unknown(resource, object)
  local function drop(form, value)
    if type(value) ~= "table" then
      return
    elseif form.is == "list" then
      for _, item in ipairs(value) do
        drop(form.item, item)
      end
    elseif form.is == "map" then
      for _, item in next, value do
        drop(form.item, item)
      end
    elseif form.is == "type" and types.fields(form.name) then
      local fields = types.fields(form.name)
      for field, one in next, value do
        if fields[field] then
          drop(fields[field], one)
        else
          value[field] = nil
        end
      end
    end
  end
  drop(types.of(resource), object)
end

return types
