-- kubernetes/discovery.lua: which kinds a cluster has, custom resources included.
-- SPDX-License-Identifier: MIT
-- Source: client-go, discovery/discovery_client.go (aggregated discovery), restmapper/shortcut.go.
--
-- Kept in memory by the client, and on the disk for a while for each server: a kind that is not known is
-- looked for once more before it is refused.
local check = require("ctz.options").check
local env = require "ctz.env"
local failure = require "ctz.kubernetes.failure"
local fs = require "ctz.fs"
local hash = require "ctz.hash"
local json = require "ctz.json"
local nearest = require("ctz.problems").nearest
local task = require "ctz.core.task"
local time = require "ctz.time"

local error, ipairs, pcall, require, type = error, ipairs, pcall, require, type
local sort = table.sort

local KEPT_S <const> = 600 -- on the disk
local FRESH_S <const> = 0.5 -- after which an unknown kind is looked for again
local FORM <const> = 1 -- of the file: another one is not read
local AGGREGATED <const> = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
  .. "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"
local LIST_JOBS <const> = 8

local function list_of(value)
  return type(value) == "table" and value or {}
end

local function set(value)
  return type(value) == "string" and value ~= "" and value or nil
end

-- --- what the server says ----------------------------------------------------------------------

local function new_resource(group, version, fields)
  local kind = fields.kind or ""
  return {
    group = group, version = version, api_version = group == "" and version or group .. "/" .. version,
    name = fields.name, kind = kind, singular = set(fields.singular) or kind:lower(), short = list_of(fields.short),
    categories = list_of(fields.categories), namespaced = fields.namespaced == true, verbs = list_of(fields.verbs),
    subresources = {},
  }
end

local function add_aggregated(found, list)
  for _, group in ipairs(list_of(list.items)) do
    local group_name = set(list_of(group.metadata).name) or ""
    for _, version in ipairs(list_of(group.versions)) do
      if version.freshness == "Stale" then
        found.broken[#found.broken + 1] = group_name .. "/" .. version.version
      end
      for _, one in ipairs(list_of(version.resources)) do
        local resource = new_resource(group_name, version.version, {
          name = one.resource, kind = set(list_of(one.responseKind).kind), singular = one.singularResource,
          short = one.shortNames, categories = one.categories, namespaced = one.scope == "Namespaced",
          verbs = one.verbs,
        })
        for _, sub in ipairs(list_of(one.subresources)) do
          resource.subresources[sub.subresource] = list_of(sub.verbs)
        end
        found.resources[#found.resources + 1] = resource
      end
    end
  end
end

-- The classic list of one group and version.
local function add_classic(found, group, version, list)
  local by_name, first = {}, #found.resources
  for _, one in ipairs(list_of(list.resources)) do
    local name, sub = one.name:match "^([^/]+)/?(.*)$"
    if sub == "" then
      local resource = new_resource(group, version, {
        name = name, kind = one.kind, singular = one.singularName, short = one.shortNames, categories = one.categories,
        namespaced = one.namespaced, verbs = one.verbs,
      })
      by_name[name], first = resource, first + 1
      found.resources[first] = resource
    end
  end
  for _, one in ipairs(list_of(list.resources)) do
    local name, sub = one.name:match "^([^/]+)/(.+)$"
    if sub and by_name[name] then
      by_name[name].subresources[sub] = list_of(one.verbs)
    end
  end
end

-- {path, group, version} of each, the preferred version of a group first.
local function classic_places(core_list, groups)
  local places = {}
  for _, version in ipairs(list_of(core_list.versions)) do
    places[#places + 1] = { path = "/api/" .. version, group = "", version = version }
  end
  for _, group in ipairs(list_of(groups.groups)) do
    local preferred = list_of(group.preferredVersion).version
    local versions = {}
    for i, one in ipairs(list_of(group.versions)) do
      versions[i] = { version = one.version, at = one.version == preferred and 0 or i }
    end
    sort(versions, function(left, right)
      return left.at < right.at
    end)
    for _, one in ipairs(versions) do
      places[#places + 1] = {
        path = ("/apis/%s/%s"):format(group.name, one.version), group = group.name, version = one.version,
      }
    end
  end
  return places
end

-- A group that does not answer (an aggregated API that is down) does not take the others along.
local function walk(client, op, core_list, groups)
  local found, places = { resources = {}, broken = {} }, classic_places(core_list, groups)
  local lists = require("ctz").map(places, function(place)
    local ok, list = pcall(client.call, client, "GET", place.path, { op = op, retry = false })
    if not ok and type(list) == "table" and (list.kind == "cancelled" or list.kind == "auth") then
      error(list, 0)
    end
    return ok and list or false
  end, { jobs = LIST_JOBS })
  for i, place in ipairs(places) do
    if lists[i] then
      add_classic(found, place.group, place.version, lists[i])
    else
      found.broken[#found.broken + 1] = ("%s/%s"):format(place.group, place.version)
    end
  end
  return found
end

local function ask(client, op)
  local core_list, groups
  task.scope(function()
    task.spawn(function()
      core_list = client:call("GET", "/api", { op = op, accept = AGGREGATED })
    end)
    groups = client:call("GET", "/apis", { op = op, accept = AGGREGATED })
  end)
  if list_of(core_list).kind ~= "APIGroupDiscoveryList" or list_of(groups).kind ~= "APIGroupDiscoveryList" then
    if list_of(groups).kind == "APIGroupDiscoveryList" then
      groups = client:call("GET", "/apis", { op = op })
    elseif list_of(core_list).kind == "APIGroupDiscoveryList" then
      core_list = client:call("GET", "/api", { op = op })
    end
    if type(core_list) ~= "table" or type(core_list.versions) ~= "table" then
      local text = "%s is no Kubernetes API server: it does not tell what it has"
      failure.fail("protocol", op, text:format(client.server), { hint = "`server` of the kubeconfig says where it is" })
    end
    return walk(client, op, core_list, list_of(groups))
  end
  local found = { resources = {}, broken = {} }
  add_aggregated(found, core_list)
  add_aggregated(found, groups)
  return found
end

-- --- the copy on the disk ----------------------------------------------------------------------

-- cache_file(client) -> the path of the copy, false when there is no folder for it
local function file_of(client)
  if client.cache_file == nil then
    local ok, folder = pcall(function()
      local cache = set(env.XDG_CACHE_HOME)
      return cache or set(env.HOME) and env.HOME .. "/.cache"
    end)
    local who = client.cluster.tls.ca or ""
    client.cache_file = ok and folder
      and ("%s/ctz/kubernetes/%s.json"):format(folder, hash.sha256(client.server .. "\n" .. who):sub(1, 24)) or false
  end
  return client.cache_file
end

-- What was kept, unless it is old, broken, or may not be read.
local function recall(client)
  local path = file_of(client)
  local ok, kept = pcall(function()
    return json.decode(fs.read(path))
  end)
  local is_good = path and ok and type(kept) == "table" and kept.form == FORM and kept.server == client.server
    and type(kept.at) == "number" and kept.at <= time.now() and kept.at + KEPT_S > time.now()
  return is_good and { resources = list_of(kept.resources), broken = list_of(kept.broken) } or nil
end

-- A disk that is full or may not be written is no reason to fail. A dry run writes nothing.
local function keep(client, found)
  local path = file_of(client)
  if path and not client.dry_run then
    local _, err = pcall(function()
      fs.mkdir(path:match "^(.*)/", { parents = true, mode = "0700" })
      fs.write(path, json.encode {
        form = FORM, server = client.server, at = time.now(), resources = found.resources, broken = found.broken,
      })
    end)
    if type(err) == "table" and err.kind == "cancelled" then
      error(err, 0)
    end
  end
end

-- --- what is asked -----------------------------------------------------------------------------

-- All that the cluster has: {resources, broken, is_fresh}; fresh: ask the server now.
local function known(client, op, fresh)
  if client.found and not fresh then
    return client.found
  end
  local found = not fresh and recall(client)
  if not found then
    found = ask(client, op)
    found.is_fresh, client.found_at = true, time.monotonic()
    keep(client, found)
  end
  client.found = found
  return found
end

local function is_named(resource, word)
  if resource.name == word or resource.singular == word or resource.kind:lower() == word then
    return true
  end
  for _, short in ipairs(resource.short) do
    if short == word then
      return true
    end
  end
  return false
end

-- "deployments.v1.apps", "deploy.apps", "widgets.example.com" -> how well it fits: 0 not, 1 the group
-- begins so, 2 all of it.
local function fit(resource, word, group)
  if not is_named(resource, word) then
    return 0
  elseif group == "" then
    return 2
  end
  local version, rest = group:match "^(v%d+%w*)%.?(.*)$"
  if version == resource.version and (rest == resource.group) then
    return 2
  elseif group == resource.group then
    return 2
  end
  return resource.group:sub(1, #group) == group and 1 or 0
end

local function search(found, text)
  local word, group = text:lower():match "^([^.]+)%.?(.*)$"
  local best, best_fit = nil, 0
  for _, resource in ipairs(found.resources) do
    local how = word and fit(resource, word, group) or 0
    if how > best_fit then
      best, best_fit = resource, how
    end
  end
  return best
end

local function names_of(found)
  local names, seen = {}, {}
  for _, resource in ipairs(found.resources) do
    for _, name in ipairs { resource.name, resource.singular } do
      if not seen[name] then
        seen[name], names[#names + 1] = true, name
      end
    end
  end
  return names
end

local function unknown(client, found, text, op)
  local near = nearest(text:lower(), names_of(found))
  local silent = #found.broken > 0 and " These APIs do not answer: " .. table.concat(found.broken, ", ") or ""
  failure.fail("not_found", op, ("the cluster of %s has no kind %q"):format(client.cluster.shown, text), {
    hint = (near and ("did you mean %q?"):format(near) or "client:api_resources() shows all;"
      .. " a custom resource needs its definition first") .. silent,
    target = text,
  })
end

-- Twice at most: what was kept, then what the server says now.
local function look(client, op, matcher)
  local found = known(client, op)
  local resource = matcher(found)
  if not resource and not found.is_fresh then
    found = known(client, op, true)
    resource = matcher(found)
  elseif not resource and time.monotonic() - client.found_at > FRESH_S then
    found = known(client, op, true) -- a definition may have come since
    resource = matcher(found)
  end
  return resource, found
end

-- find(client, "deploy" | "deployments.apps" | "deployments.v1.apps" | "Deployment", op) -> resource:
-- {group, version, api_version, name (plural), kind, singular, short, categories, namespaced, verbs,
-- subresources = {scale = verbs}}
local function find(client, text, op)
  if type(text) ~= "string" or text == "" or #text > 300 then
    failure.usage(op, "bad argument 'kind' to '%s': expected a kind such as \"deployment\", got %s", op,
      text == "" and '""' or type(text))
  end
  local resource, found = look(client, op, function(list)
    return search(list, text)
  end)
  return resource or unknown(client, found, text, op)
end

-- of(client, object, op) -> the resource of an object's apiVersion and kind.
local function of(client, object, op)
  local version, kind = object.apiVersion, object.kind
  if not set(version) or not set(kind) then
    failure.usage(op, "bad argument 'object' to '%s': it has no %s", op, set(version) and "kind" or "apiVersion")
  end
  local resource, found = look(client, op, function(list)
    for _, one in ipairs(list.resources) do
      if one.kind == kind and one.api_version == version then
        return one
      end
    end
  end)
  return resource or unknown(client, found, kind .. (version:find "/" and "." .. version:match "^[^/]+" or ""), op)
end

-- path(resource, namespace | nil, name | nil, subresource | nil)
local function path(resource, namespace, name, subresource)
  local escape = require("ctz.kubernetes.client").escape
  local root = resource.group == "" and "/api/" .. resource.version
    or ("/apis/%s/%s"):format(resource.group, resource.version)
  local place = resource.namespaced and namespace and "/namespaces/" .. escape(namespace) or ""
  return root .. place .. "/" .. resource.name .. (name and "/" .. escape(name) or "")
    .. (subresource and "/" .. subresource or "")
end

-- Forgets what was found: a kind was not where it should be.
local function forget(client)
  client.found = client.found and client.found.is_fresh and client.found or nil
end

--- client:api_resources(opts?) -> ctz.kubernetes.Resource[]
--- The kinds that the cluster has now, custom resources included: {name (plural), kind, group, version,
--- api_version, singular, short, categories, namespaced, verbs, subresources}. The list's field `broken`
--- names APIs that do not answer.
--- @async
--- @param opts.group? string  of this API group only: "apps", "" for the core
--- @param opts.namespaced? boolean  only those in namespaces, or only the others
--- @return ctz.kubernetes.Resource[]
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes")
--- Api: Kubernetes, aggregated discovery; GET /api, /apis
local function api_resources(client, opts)
  local op = "kubernetes.api_resources"
  opts = check(op, opts, { group = "string", namespaced = "boolean" })
  local found, list = known(client, op, true), {}
  for _, resource in ipairs(found.resources) do
    local wanted = (opts.group == nil or resource.group == opts.group)
      and (opts.namespaced == nil or resource.namespaced == opts.namespaced)
    list[#list + 1] = wanted and resource or nil
  end
  list.broken = found.broken
  return list
end

--- client:version() -> table
--- What the API server says of itself: {major, minor, gitVersion, platform, ...}.
--- @async
--- @return table
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes")
--- Api: Kubernetes, GET /version
local function version(client)
  return (client:call("GET", "/version", { op = "kubernetes.version" }))
end

return { find = find, of = of, path = path, forget = forget, known = known, api_resources = api_resources,
  version = version, cache_file = file_of }
