-- kubernetes/explain.lua: what the fields of a kind are and mean, custom kinds too.
-- SPDX-License-Identifier: MIT
-- Source: kubectl, pkg/explain/v2/templates/plaintext.tmpl: the text is the same.
local check = require("ctz.options").check
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local nearest = require("ctz.problems").nearest
local schemas_of = require "ctz.kubernetes.openapi"
local sorted_keys = require("ctz.problems").sorted_keys
local wordwrap = require "ctz.kubernetes.wordwrap"

local concat, unpack = table.concat, table.unpack
local huge, ipairs, pairs, setmetatable, tostring, type = math.huge, ipairs, pairs, setmetatable, tostring, type
local indent, wrap = wordwrap.indent, wordwrap.wrap

local OP <const> = "kubernetes.explain"
local SHORT_ENUM <const> = 4 -- values of a field in a list of fields
local WIDTH <const> = 76

-- --- schemas -----------------------------------------------------------------------------------

local function table_of(value)
  return type(value) == "table" and value or nil
end

local function text_of(value)
  return type(value) == "string" and value ~= "" and value or nil
end

local Document = {}
Document.__index = Document

-- What "$ref" of a schema names, or the schema itself.
function Document:resolve(schema)
  local name = type(schema["$ref"]) == "string" and schema["$ref"]:match "^#/components/schemas/(.+)$"
  return name and table_of(self.schemas[name]) or schema
end

-- The schemas that a schema is more of: those that it takes over, its items, its values.
local function others_of(schema)
  local list = {}
  for _, one in ipairs(table_of(schema.allOf) or {}) do
    list[#list + 1] = one
  end
  list[#list + 1] = table_of(schema.items)
  list[#list + 1] = table_of(schema.additionalProperties)
  return list
end

local function with(history, schema)
  local copy = {}
  for name in pairs(history) do
    copy[name] = true
  end
  copy[schema["$ref"] or ""] = schema["$ref"] and true or nil
  return copy
end

local function is_cycle(history, schema)
  return schema["$ref"] ~= nil and history[schema["$ref"]] == true
end

-- The schema of a field, wherever the schema has its fields; nil when it has none of that name.
function Document:property(schema, name, history)
  if is_cycle(history, schema) then
    return nil
  end
  local own, next_history = self:resolve(schema), with(history, schema)
  local property = table_of(own.properties) and table_of(own.properties[name])
  if property then
    return property
  elseif table_of(own.items) then
    return self:property(own.items, name, next_history)
  elseif table_of(own.additionalProperties) then
    return self:property(own.additionalProperties, name, next_history)
  end
  for _, one in ipairs(table_of(own.allOf) or {}) do
    property = self:property(one, name, next_history)
    if property then
      return property
    end
  end
end

-- "string", "[]Container", "map[string]string"
function Document:type_of(schema)
  local all = table_of(schema.allOf)
  if table_of(schema.items) then
    return "[]" .. self:type_of(schema.items)
  elseif table_of(schema.additionalProperties) then
    return "map[string]" .. self:type_of(schema.additionalProperties)
  elseif all and #all == 1 and not table_of(schema.properties) then
    return self:type_of(all[1])
  elseif type(schema["$ref"]) == "string" then
    local own = self:resolve(schema)
    if own ~= schema and own.type and own.type ~= "object" then
      return own.type
    end
    return schema["$ref"]:match "([^./]+)$" or "Object"
  end
  return schema.type == "object" and "Object" or text_of(schema.type) or "Object"
end

-- The descriptions of a schema and of what it is more of, each on lines of its own.
function Document:description(schema)
  local own, parts = self:resolve(schema), {}
  if text_of(own.description) then
    parts[1] = own.description .. "\n"
  end
  for _, one in ipairs(others_of(own)) do
    parts[#parts + 1] = self:description(one)
  end
  return concat(parts)
end

local function is_required(schema, name)
  for _, one in ipairs(table_of(schema.required) or {}) do
    if one == name then
      return true
    end
  end
  return false
end

-- All fields -> {name=, type=, description=, required=, enum=, default=, schema=}; with depth, their fields, too.
function Document:fields(schema, depth, history)
  local list = {}
  if is_cycle(history, schema) then
    return list
  end
  local own, next_history = self:resolve(schema), with(history, schema)
  local properties = table_of(own.properties) or {}
  for _, name in ipairs(sorted_keys(properties)) do
    local property = properties[name]
    local field = {
      name = name, type = self:type_of(property), description = text_of(property.description) or "",
      required = is_required(own, name), enum = table_of(property.enum), default = property.default,
      docs = table_of(property.externalDocs),
    }
    if depth > 1 then
      local below = self:fields(property, depth - 1, next_history)
      field.fields = #below > 0 and below or nil
    end
    list[#list + 1] = field
  end
  for _, one in ipairs(others_of(own)) do
    for _, field in ipairs(self:fields(one, depth, next_history)) do
      list[#list + 1] = field
    end
  end
  return list
end

-- --- texts -------------------------------------------------------------------------------------

local function value_text(value)
  return value == "" and '""' or tostring(value)
end

local function short_enum(values, count)
  local parts = {}
  for i, value in ipairs(values) do
    parts[i] = i <= SHORT_ENUM and value_text(value) or nil
  end
  return ("\n%senum: %s%s"):format((" "):rep(count), concat(parts, ", "), #values > SHORT_ENUM and ", ...." or "")
end

local function long_enum(values)
  local parts = { "ENUM:" }
  for _, value in ipairs(values) do
    parts[#parts + 1] = "\n    " .. value_text(value)
  end
  return concat(parts)
end

local function docs_text(docs, count, width)
  local parts = { "\n", indent("EXTERNAL DOCS:", count), "\n" }
  if text_of(docs.description) then
    parts[#parts + 1] = indent(wrap(docs.description, width), count + 4 - (count > 0 and 2 or 0)) .. "\n"
  end
  if text_of(docs.url) then
    parts[#parts + 1] = indent("URL: " .. docs.url, count + 4 - (count > 0 and 2 or 0)) .. "\n"
  end
  return concat(parts)
end

local function fields_text(fields, level, is_short, parts)
  local count = level * 2
  for _, field in ipairs(fields) do
    parts[#parts + 1] = ("%s%s\t<%s>%s%s\n"):format((" "):rep(count), field.name, field.type,
      field.required and " -required-" or "", field.enum and short_enum(field.enum, count) or "")
    if is_short then
      fields_text(field.fields or {}, level + 1, true, parts)
    else
      local text = field.description ~= "" and field.description or "<no description>"
      parts[#parts + 1] = indent(wrap(text, 78 - count), count + 2) .. "\n"
      parts[#parts + 1] = field.docs and docs_text(field.docs, count + 2, WIDTH - count) or ""
      parts[#parts + 1] = "\n"
    end
  end
  return concat(parts)
end

local function text_of_result(result, schema, document, is_short)
  local parts = { result.group ~= "" and ("GROUP:      %s\n"):format(result.group) or "" }
  parts[2] = ("KIND:       %s\nVERSION:    %s\n\n"):format(result.kind, result.version)
  if result.field then
    local values = result.enum and long_enum(result.enum) or ""
    parts[3] = ("FIELD: %s <%s>\n%s\n\n"):format(result.field, result.type, values)
  end
  local description = document:description(schema)
  parts[#parts + 1] = "DESCRIPTION:\n"
    .. indent(wrap(description ~= "" and description or "<empty>", WIDTH), 4) .. "\n"
  local docs = table_of(document:resolve(schema).externalDocs)
  parts[#parts + 1] = docs and docs_text(docs, 0, WIDTH) or ""
  local listed = fields_text(result.fields, 1, is_short, {})
  parts[#parts + 1] = listed ~= "" and "FIELDS:\n" .. listed or ""
  return concat(parts) .. "\n"
end

-- --- what is asked -----------------------------------------------------------------------------

local function words_of(path)
  local words = {}
  for word in (path .. "."):gmatch "([^.]*)%." do
    words[#words + 1] = word
  end
  return words
end

local function is_named(resource, word)
  return resource.name == word or resource.singular == word or resource.kind:lower() == word
end

-- "widgets.example.com.spec": how many words name the kind, its version and group with it.
local function words_of_kind(client, words)
  for count = #words, 2, -1 do
    local rest = concat(words, ".", 2, count):lower()
    for _, resource in ipairs(discovery.known(client, OP).resources) do
      local is_group = rest == resource.group or rest == resource.version .. "." .. resource.group
      if is_group and resource.group ~= "" and is_named(resource, words[1]:lower()) then
        return count
      end
    end
  end
  return 1
end

local function resource_of(client, words, api_version)
  local count = words_of_kind(client, words)
  local resource = discovery.find(client, concat(words, ".", 1, count), OP)
  if api_version then
    resource = discovery.of(client, { apiVersion = api_version, kind = resource.kind }, OP)
  end
  return resource, { unpack(words, count + 1) }
end

local function schema_of(document, resource)
  for _, name in ipairs(sorted_keys(document.schemas)) do
    local schema = document.schemas[name]
    for _, kind in ipairs(table_of(schema["x-kubernetes-group-version-kind"]) or {}) do
      if kind.group == resource.group and kind.version == resource.version and kind.kind == resource.kind then
        return schema
      end
    end
  end
  failure.fail("not_found", OP, ("the server publishes no schema of %s %s"):format(resource.api_version,
    resource.kind), { target = resource.name })
end

local function no_field(document, schema, resource, words, at)
  local names = {}
  for i, field in ipairs(document:fields(schema, 1, {})) do
    names[i] = field.name
  end
  local near = nearest(words[at], names)
  local of = resource.kind .. (at > 1 and "." .. concat(words, ".", 1, at - 1) or "")
  failure.fail("not_found", OP, ("%s has no field %q"):format(of, words[at]), {
    target = of, hint = near and ("did you mean %q?"):format(near)
      or #names > 0 and "it has " .. concat(names, ", ") or "it has no fields",
  })
end

local explain = {}

--- client:explain(path, opts?) -> table
--- What a kind or one of its fields is, as the server describes it: {kind, group, version, field, type,
--- description, enum, fields, text}. fields is a list of {name, type, description, required, enum, default},
--- with recursive=true of fields in turn. text, and tostring of the result, is what `kubectl explain`
--- prints. Descriptions are kept on the disk as long as the server's are the same.
--- @async
--- @param path string  "deployment.spec.strategy", "widgets.example.com.spec"
--- @param opts.recursive? boolean  fields of fields, too
--- @param opts.max_depth? integer  with recursive: how deep
--- @param opts.api_version? string  "autoscaling/v1": another version than the server prefers
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error not_found  there is no such kind or field; the hint names the nearest
--- @error unsupported  the server has no OpenAPI v3
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- print(client:explain "deployment.spec.strategy")
--- Api: kubectl explain; Kubernetes, GET /openapi/v3
function explain.explain(client, path, opts)
  opts = check(OP, opts, { api_version = "string", max_depth = "count", recursive = "boolean", timeout = "seconds" })
  if type(path) ~= "string" or path == "" or #path > 1000 or path:find "%.%." or path:find "^%." then
    failure.usage(OP, "bad argument 'path' to '%s': expected a kind and fields such as \"deployment.spec\"", OP)
  end
  local resource, words = resource_of(client, words_of((path:gsub("%.$", ""))), opts.api_version)
  local document = setmetatable({ schemas = schemas_of(client, OP, resource.api_version, opts.timeout) }, Document)
  local schema = schema_of(document, resource)
  for at, word in ipairs(words) do
    schema = document:property(schema, word, {}) or no_field(document, schema, resource, words, at)
  end
  local depth = not opts.recursive and 1 or opts.max_depth and opts.max_depth > 0 and opts.max_depth or huge
  local result = {
    kind = resource.kind, group = resource.group, version = resource.version, field = words[#words],
    type = document:type_of(schema), description = (document:description(schema):gsub("\n$", "")),
    enum = table_of(schema.enum), fields = document:fields(schema, depth, {}),
  }
  result.text = text_of_result(result, schema, document, opts.recursive)
  return setmetatable(result, { __name = "ctz.kubernetes.Explanation", __tostring = function(self)
    return (self.text:gsub("\n$", ""))
  end })
end

return explain
