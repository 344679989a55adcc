-- kubernetes/builders/shared.lua: what the builders of manifests have in common: metadata, and readers of fields.
-- SPDX-License-Identifier: MIT
local is_secret = require("ctz.options").is_secret
local json = require "ctz.json"
local names = require "ctz.kubernetes.names"
local new_error = require("ctz.core.task").error
local problems_of = require "ctz.problems"
local yaml = require "ctz.yaml"

local error, ipairs, math_type, next, pairs, setmetatable, tostring, type = error, ipairs, math.type, next, pairs,
  setmetatable, tostring, type
local sorted_keys = problems_of.sorted_keys

-- tostring of a manifest is YAML; a secret in it is "***".
local Manifest = { __name = "ctz.kubernetes.Manifest" }

function Manifest:__tostring()
  return yaml.encode(self, { schema = "k8s" })
end

local METADATA <const> = { "name", "namespace", "labels", "annotations" }

-- --- single values -----------------------------------------------------------------------------

-- A text, number or boolean as the text that it is in the API; a secret stays one.
local function text(problems, value, where)
  local kind = type(value)
  if kind == "string" or is_secret(value) then
    return value
  elseif math_type(value) == "integer" or kind == "boolean" then
    return tostring(value)
  elseif kind == "number" and value == value and value - value == 0 then
    return ("%.14g"):format(value)
  end
  problems:usage(where, "expected a text, got %s", value == json.null and "null" or kind)
  return nil
end

local function integer(problems, value, where, least)
  if value ~= nil and (math_type(value) ~= "integer" or value < (least or 0)) then
    problems:usage(where, "expected an integer, %d or more, got %s", least or 0, tostring(value))
    return nil
  end
  return value
end

-- A name that the check of names.lua takes.
local function name(problems, value, where, check, required)
  if value == nil and not required then
    return nil
  elseif problems:check(value, "string", where, required) then
    local wrong = (check or names.subdomain)(value)
    if wrong then
      problems:usage(where, "bad name %q: %s", value, wrong)
    end
    return value
  end
  return nil
end

-- {name = text} with checked keys and values.
local function map(problems, given, where, check_key, check_value)
  if not problems:check(given, "table", where) then
    return nil
  end
  local result = json.object {}
  for _, key in ipairs(sorted_keys(given)) do
    local place = ("%s.%s"):format(where, tostring(key))
    if type(key) ~= "string" then
      problems:usage(where, "expected {name = value}, got a list")
      return nil
    end
    local value = text(problems, given[key], place)
    local wrong = check_key and check_key(key)
    local bad_value = check_value and type(value) == "string" and check_value(value)
    if wrong then
      problems:usage(place, "bad key %q: %s", key, wrong)
    elseif bad_value then
      problems:usage(place, "bad value %q: %s", value, bad_value)
    end
    result[key] = value
  end
  return result
end

-- A list of texts; a single one may stand alone.
local function words(problems, given, where)
  if given == nil then
    return nil
  elseif type(given) ~= "table" then
    given = { given }
  elseif #given == 0 and next(given) ~= nil then
    problems:usage(where, "expected a list of texts")
    return nil
  end
  local result = json.array {}
  for i, value in ipairs(given) do
    result[i] = text(problems, value, ("%s[%d]"):format(where, i))
  end
  return result
end

-- Each of a list through read(value, place); nil results are left out.
local function each(problems, given, where, read)
  if given == nil then
    return nil
  elseif type(given) ~= "table" or #given == 0 and next(given) ~= nil then
    problems:usage(where, "expected a list, got %s", type(given) == "table" and "a table with names" or type(given))
    return nil
  end
  local result = json.array {}
  for i, value in ipairs(given) do
    result[#result + 1] = read(value, ("%s[%d]"):format(where, i))
  end
  return result
end

local function choice(problems, value, where, allowed)
  for _, one in ipairs(allowed) do
    if value == nil or value == one then
      return value
    end
  end
  problems:usage(where, "expected one of %s, got %s", table.concat(allowed, ", "), tostring(value))
  return nil
end

-- --- the whole ---------------------------------------------------------------------------------

-- build(op, given, {api_version=, kind=, fields=, name_check=}, fill): checks names of fields and metadata,
-- calls fill(manifest, given, problems), raises all problems at once.
local function build(op, given, what, fill)
  if type(given) ~= "table" or given == json.null then
    error(new_error {
      kind = "usage", op = op,
      message = ("bad argument 'description' to '%s': expected table, got %s"):format(op, type(given)),
    }, 0)
  end
  local problems = problems_of.new()
  local known = { table.unpack(METADATA) }
  table.move(what.fields, 1, #what.fields, #known + 1, known)
  problems:check_keys(given, known, what.kind:lower())
  local manifest = {
    apiVersion = what.api_version,
    kind = what.kind,
    metadata = {
      name = name(problems, given.name, "name", what.name_check, true),
      namespace = name(problems, given.namespace, "namespace", names.label),
      labels = map(problems, given.labels, "labels", names.key, names.value),
      annotations = map(problems, given.annotations, "annotations", names.key),
    },
  }
  fill(manifest, given, problems)
  problems:raise(op)
  return setmetatable(manifest, Manifest)
end

-- The labels that bind a workload to its pods: those given, or app = name.
local function selector_labels(given)
  return { app = type(given.name) == "string" and given.name:sub(1, 63):gsub("[^%w]+$", "") or nil }
end

local function merged(base, over)
  local result = {}
  for key, value in pairs(base) do
    result[key] = value
  end
  for key, value in pairs(over or {}) do
    result[key] = value
  end
  return result
end

return {
  build = build, choice = choice, each = each, integer = integer, is_secret = is_secret, map = map, merged = merged,
  name = name, selector_labels = selector_labels, sorted_keys = sorted_keys, text = text, words = words,
}
