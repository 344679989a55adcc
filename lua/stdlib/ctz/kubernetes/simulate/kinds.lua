-- kubernetes/simulate/kinds.lua: the kinds that a simulated cluster has, and how it tells them.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes, aggregated discovery (apidiscovery.k8s.io/v2).
local values = require "ctz.kubernetes.simulate.values"

local ipairs, require = ipairs, require
local gmatch, match = string.gmatch, string.match

local VERBS <const> = "create delete deletecollection get list patch update watch"
local SUB_VERBS <const> = {
  attach = "create get", binding = "create", eviction = "create", exec = "create get", finalize = "update",
  log = "get", portforward = "create get", token = "create",
}

local kinds = {}

local function words(text)
  local list = {}
  for word in gmatch(text, "%S+") do
    list[#list + 1] = word
  end
  return values.list(list)
end

-- fields: group, version, name, kind, singular, short, categories, namespaced, verbs, subresources (texts)
function kinds.new(fields)
  local resource = {
    group = fields.group, version = fields.version, name = fields.name, kind = fields.kind,
    api_version = fields.group == "" and fields.version or fields.group .. "/" .. fields.version,
    singular = fields.singular, short = words(fields.short), categories = words(fields.categories),
    namespaced = fields.namespaced, verbs = words(fields.verbs ~= "" and fields.verbs or VERBS), subresources = {},
    is_custom = fields.is_custom, key = fields.group .. "/" .. fields.name, order = words(fields.subresources),
  }
  for _, name in ipairs(resource.order) do
    resource.subresources[name] = true
  end
  resource.can = {}
  for _, verb in ipairs(resource.verbs) do
    resource.can[verb] = true
  end
  -- counts changes of what is asked for: nearly all outside of the core group
  resource.counts = fields.group ~= "" or fields.name == "pods" or fields.name == "replicationcontrollers"
  return resource
end

-- All kinds of a new cluster, in the order in which it tells them.
function kinds.built_in()
  local list = {}
  for line in gmatch(require "ctz.kubernetes.simulate.kinds_data", "[^\n]+") do
    local group, version, name, kind, singular, short, scope, verbs, subs, categories =
      match(line, "^([^/]*)/([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)|([^|]*)$")
    if group then
      list[#list + 1] = kinds.new {
        group = group, version = version, name = name, kind = kind, singular = singular, short = short,
        namespaced = scope == "n", verbs = verbs, subresources = subs, categories = categories,
      }
    end
  end
  return list
end

-- The kinds that a definition of custom resources makes, one for each version that is served.
function kinds.of_definition(definition)
  local spec, list = definition.spec, {}
  local names = spec.names
  for _, version in ipairs(spec.versions) do
    if version.served ~= false then
      local subs = values.table_of(version.subresources)
      local sub_names = (subs.scale and "scale " or "") .. (subs.status and "status" or "")
      local resource = kinds.new {
        group = spec.group, version = version.name, name = names.plural, kind = names.kind,
        singular = names.singular or names.kind:lower(), short = table.concat(values.table_of(names.shortNames), " "),
        namespaced = spec.scope ~= "Cluster", verbs = "", subresources = sub_names, is_custom = true,
        categories = table.concat(values.table_of(names.categories), " "),
      }
      resource.scale = subs.scale
      list[#list + 1] = resource
    end
  end
  return list
end

-- --- discovery ---------------------------------------------------------------------------------

local function told(resource)
  local subs = values.list()
  for i, name in ipairs(resource.order) do
    subs[i] = {
      subresource = name, responseKind = { group = resource.group, version = resource.version, kind = resource.kind },
      verbs = words(SUB_VERBS[name] or "get patch update"),
    }
  end
  return {
    resource = resource.name, singularResource = resource.singular, shortNames = resource.short,
    categories = resource.categories, scope = resource.namespaced and "Namespaced" or "Cluster",
    responseKind = { group = resource.group, version = resource.version, kind = resource.kind },
    verbs = resource.verbs, subresources = subs,
  }
end

-- is_core: of the group "" only, or of all others.
function kinds.discovery(resources, is_core)
  local items, groups = values.list(), {}
  for _, resource in ipairs(resources) do
    if (resource.group == "") == is_core then
      local group = groups[resource.group]
      if not group then
        group = { metadata = { name = not is_core and resource.group or nil }, versions = values.list(), by_name = {} }
        groups[resource.group], items[#items + 1] = group, group
      end
      local version = group.by_name[resource.version]
      if not version then
        version = { version = resource.version, freshness = "Current", resources = values.list() }
        group.by_name[resource.version], group.versions[#group.versions + 1] = version, version
      end
      version.resources[#version.resources + 1] = told(resource)
    end
  end
  for _, group in ipairs(items) do
    group.by_name = nil
  end
  return { apiVersion = "apidiscovery.k8s.io/v2", kind = "APIGroupDiscoveryList", metadata = {}, items = items }
end

return kinds
