-- kubernetes-kinds.lua: writes what the simulated cluster knows of the kinds of Kubernetes from Kubernetes' own files.
--
-- Usage:       ctz run script/kubernetes-kinds.lua from=FOLDER  (api/ of the sources of Kubernetes)
-- Writes:      lua/stdlib/ctz/kubernetes/simulate/kinds_data.lua, types_data.lua
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params { { "from", "string", help = "api/ of the sources of Kubernetes" } }

local INTO <const> = "lua/stdlib/ctz/kubernetes/simulate/"
local WIDTH <const> = 118

local GROUPS <const> = {
  ["admissionregistration.k8s.io"] = "v1", ["apiextensions.k8s.io"] = "v1", apps = "v1", autoscaling = "v2",
  ["authorization.k8s.io"] = "v1", batch = "v1", ["coordination.k8s.io"] = "v1", ["discovery.k8s.io"] = "v1",
  ["networking.k8s.io"] = "v1", ["node.k8s.io"] = "v1", policy = "v1", ["rbac.authorization.k8s.io"] = "v1",
  ["scheduling.k8s.io"] = "v1", ["storage.k8s.io"] = "v1",
}
local LEFT_OUT <const> = {
  componentstatuses = true, csidrivers = true, csinodes = true, csistoragecapacities = true, volumeattachments = true,
  volumeattributesclasses = true, ipaddresses = true, servicecidrs = true, mutatingadmissionpolicies = true,
  mutatingadmissionpolicybindings = true,
}
-- Kinds that are kept without their fields, and fields whose form is free.
local WITHOUT_TYPES <const> = { ["admissionregistration.k8s.io"] = true, ["authorization.k8s.io"] = true }
local FREE <const> = {
  FieldsV1 = true, IntOrString = true, JSONSchemaProps = true, Quantity = true, RawExtension = true,
}
local VERBS <const> = "create delete deletecollection get list patch update watch"

local function read(name)
  return ctz.json.decode(ctz.fs.read(p.from .. "/" .. name))
end

-- --- kinds -------------------------------------------------------------------------------------

local function sorted(list)
  local copy = { table.unpack(list or {}) }
  table.sort(copy)
  return table.concat(copy, " ")
end

local function kind_line(group, version, one)
  local subs = {}
  for i, sub in ipairs(one.subresources or {}) do
    subs[i] = sub.subresource
  end
  local verbs = sorted(one.verbs)
  return table.concat({
    group .. "/" .. version, one.resource, one.responseKind.kind, one.singularResource,
    table.concat(one.shortNames or {}, " "), one.scope == "Namespaced" and "n" or "",
    verbs == VERBS and "" or verbs, sorted(subs), table.concat(one.categories or {}, " "),
  }, "|")
end

local kinds, lines = {}, {}
local function add_group(group, versions)
  for _, version in ipairs(versions) do
    for _, one in ipairs(group == "" and version.resources or GROUPS[group] == version.version and version.resources
      or {}) do
      if not LEFT_OUT[one.resource] then
        lines[#lines + 1] = kind_line(group, version.version, one)
        kinds[#kinds + 1] = { group = group, version = version.version, kind = one.responseKind.kind }
      end
    end
  end
end

local function core_versions()
  local list, by_name = read "discovery/api__v1.json", {}
  local resources = {}
  for _, one in ipairs(list.resources) do
    local name, sub = one.name:match "^([^/]+)/?(.*)$"
    if sub == "" then
      by_name[name] = {
        resource = name, responseKind = { kind = one.kind }, singularResource = one.singularName,
        shortNames = one.shortNames, scope = one.namespaced and "Namespaced" or "Cluster", verbs = one.verbs,
        categories = one.categories, subresources = {},
      }
      resources[#resources + 1] = by_name[name]
    end
  end
  for _, one in ipairs(list.resources) do
    local name, sub = one.name:match "^([^/]+)/(.+)$"
    if sub then
      table.insert(by_name[name].subresources, { subresource = sub })
    end
  end
  return { { version = "v1", resources = resources } }
end

add_group("", core_versions())
for _, group in ipairs(read("discovery/aggregated_v2.json").items) do
  add_group(group.metadata.name, group.versions)
end

-- --- types -------------------------------------------------------------------------------------

local definitions = read("openapi-spec/swagger.json").definitions
local names, types, waiting = {}, {}, {}

local function short_of(path)
  local word = path:match "[^.]+$"
  local version = path:match "api%.(.-)%.[^.]+$"
  local name = word
  if names[name] and names[name] ~= path then
    name = (version or "x"):gsub("[^%w]", ""):gsub("^%l", string.upper) .. word
  end
  names[name] = path
  return name
end

local SCALARS <const> = { string = "", integer = ":i", number = ":n", boolean = ":b", object = ":a" }
local form_of

local function reference(field)
  local path = field["$ref"]:match "[^/]+$"
  local definition, word = definitions[path], path:match "[^.]+$"
  if FREE[word] or word:find "^JSON" then
    return ":a"
  elseif not definition.properties then
    return SCALARS[definition.type or "object"]
  end
  local name = short_of(path)
  if not types[name] and not waiting[name] then
    waiting[name] = path
    waiting[#waiting + 1] = name
  end
  local is_atomic = definition["x-kubernetes-map-type"] == "atomic" or field["x-kubernetes-map-type"] == "atomic"
  return (is_atomic and ":!" or ":") .. name
end

function form_of(field)
  if field["$ref"] then
    return reference(field)
  elseif field.type == "array" then
    local inner = form_of(field.items):gsub("^:", "")
    local kind, keys = field["x-kubernetes-list-type"], field["x-kubernetes-list-map-keys"]
    local merge = (field["x-kubernetes-patch-strategy"] or ""):find "merge" and field["x-kubernetes-patch-merge-key"]
    if kind == "set" or (field["x-kubernetes-patch-strategy"] == "merge" and not merge) then
      return ":[set]" .. inner
    end
    local words = keys and kind == "map" and table.concat(keys, ",") or ""
    return (":[%s%s]%s"):format(words, merge and merge ~= words and "~" .. merge or "", inner)
  elseif field.additionalProperties then
    local inner = form_of(field.additionalProperties):gsub("^:", "")
    return (field["x-kubernetes-map-type"] == "atomic" and ":{!}" or ":{}") .. inner
  end
  return SCALARS[field.type or "object"]
end

local function add_type(name, path)
  local fields, definition = {}, definitions[path]
  for field, form in pairs(definition.properties) do
    if not (field == "apiVersion" or field == "kind") or not definition["x-kubernetes-group-version-kind"] then
      fields[#fields + 1] = field .. form_of(form)
    end
  end
  table.sort(fields)
  types[name] = table.concat(fields, " ")
end

local roots = {}
for _, one in ipairs(kinds) do
  if not WITHOUT_TYPES[one.group] then
    for path, definition in pairs(definitions) do
      for _, gvk in ipairs(definition["x-kubernetes-group-version-kind"] or {}) do
        if gvk.group == one.group and gvk.version == one.version and gvk.kind == one.kind
          and path:match "[^.]+$" == one.kind then
          roots[#roots + 1] = { kind = one, path = path }
        end
      end
    end
  end
end
for _, root in ipairs(roots) do
  local name = short_of(root.path)
  if name ~= root.kind.kind then
    error(("%s is called %s"):format(root.path, name))
  end
  waiting[name] = root.path
  waiting[#waiting + 1] = name
end
local at = 1
while waiting[at] do
  local name = waiting[at]
  at = at + 1
  if not types[name] then
    add_type(name, waiting[name])
  end
end

-- --- writing -----------------------------------------------------------------------------------

local function folded(text)
  local parts, line = {}, ""
  for word in text:gmatch "%S+" do
    if #line + #word + 1 > WIDTH then
      parts[#parts + 1], line = line, "  " .. word
    else
      line = line == "" and word or line .. " " .. word
    end
  end
  parts[#parts + 1] = line
  return table.concat(parts, "\n")
end

local HEAD <const> = [[
-- kubernetes/simulate/%s: %s
-- SPDX-License-Identifier: MIT
-- luacheck: no max line length
-- Written by script/kubernetes-kinds.lua from api/ of Kubernetes %s.
return [=[
%s
]=]
]]

local VERSION <const> = "1.37"
ctz.fs.write(INTO .. "kinds_data.lua", HEAD:format("kinds_data.lua",
  "group/version|plural|kind|singular|short|n: in namespaces|verbs|...", VERSION,
  table.concat(lines, "\n")))

local order, texts = {}, {}
for name in pairs(types) do
  order[#order + 1] = name
end
table.sort(order)
for i, name in ipairs(order) do
  texts[i] = folded(name .. "= " .. types[name])
end
ctz.fs.write(INTO .. "types_data.lua", HEAD:format("types_data.lua",
  "the fields of kinds; how to read them: types.lua.", VERSION, table.concat(texts, "\n")))
print(#lines .. " kinds, " .. #order .. " types")
