-- kubernetes/members.lua: the members of an inventory in the cluster: found by their label, removed.
-- SPDX-License-Identifier: MIT
-- Source: KEP-3659, ApplySet specification; kubectl, pkg/cmd/apply/applyset_pruner.go.
local ctz_map = require("ctz").map
local discovery = require "ctz.kubernetes.discovery"
local manifests = require "ctz.kubernetes.manifests"
local sorted_keys = require("ctz.problems").sorted_keys
local targets = require "ctz.kubernetes.targets"

local ipairs, pairs, require, type = ipairs, pairs, require, type

local OP <const> = "kubernetes.apply"
local PART_OF <const> = "applyset.kubernetes.io/part-of"
local KEEP <const> = "helm.sh/resource-policy" -- "keep": Helm's word for what an update does not remove
local METADATA <const> = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
local JOBS <const>, PAGE <const> = 8, 500

-- In all functions self is an inventory: {client, id, kinds, namespaces, dry_run, timeout}.
local members = { PART_OF = PART_OF }

local function table_of(value)
  return type(value) == "table" and value or {}
end

-- members.group_kind("apps/v1", "Deployment") -> "Deployment.apps"; of the core "ConfigMap"
function members.group_kind(api_version, kind)
  local group = api_version:match "^(.*)/"
  return group and kind .. "." .. group or kind
end

-- --- finding -----------------------------------------------------------------------------------

-- members.list(self, resource, namespace, selector) -> metadata of all objects of the kind that it chooses
function members.list(self, resource, namespace, selector)
  local items, query = {}, { labelSelector = selector, limit = PAGE }
  repeat
    local page = self.client:call("GET", discovery.path(resource, namespace), {
      op = OP, target = resource.name, timeout = self.timeout, query = query, accept = METADATA, ok = { [404] = true },
    })
    if type(page) ~= "table" or page.kind == "Status" then -- its definition is gone meanwhile
      discovery.forget(self.client)
      return {}
    end
    for _, item in ipairs(table_of(page.items)) do
      items[#items + 1] = item
    end
    query.continue = table_of(page.metadata).continue
  until not query.continue or query.continue == ""
  return items
end

local function has_verb(resource, verb)
  for _, one in ipairs(resource.verbs) do
    if one == verb then
      return true
    end
  end
  return false
end

local function is_broken(found, group)
  for _, name in ipairs(found.broken) do
    if name:match "^(.*)/" == group then
      return true
    end
  end
  return false
end

-- "Kind.group" -> its resource, in the version that the server prefers; kinds: nil for all of them
local function match_kinds(found, kinds)
  local by_kind = {}
  for _, one in ipairs(found.resources) do
    local name = members.group_kind(one.api_version, one.kind)
    if (not kinds or kinds[name]) and not by_kind[name] and has_verb(one, "list") and has_verb(one, "delete") then
      by_kind[name] = one
    end
  end
  return by_kind
end

-- members.resources(self, kinds) -> "Kind.group" -> resource, set of kinds whose API does not answer now.
-- Other kinds that are not there are gone, and their objects with them.
function members.resources(self, kinds)
  local found, unknown = discovery.known(self.client, OP), {}
  local by_kind = match_kinds(found, kinds)
  for name in pairs(kinds or {}) do
    if not by_kind[name] and not found.is_fresh then
      found = discovery.known(self.client, OP, true)
      by_kind = match_kinds(found, kinds)
    end
  end
  for name in pairs(kinds or {}) do
    if not by_kind[name] and is_broken(found, name:match "^[^.]+%.?(.*)$") then
      unknown[name] = true
    end
  end
  return by_kind, unknown
end

-- members.places(resources, namespaces) -> {kind, resource, namespace} of each place where members may lie
function members.places(by_kind, namespaces)
  local places = {}
  for _, name in ipairs(sorted_keys(by_kind)) do
    local resource = by_kind[name]
    if resource.namespaced then
      for _, namespace in ipairs(sorted_keys(namespaces)) do
        places[#places + 1] = { kind = name, resource = resource, namespace = namespace }
      end
    else
      places[#places + 1] = { kind = name, resource = resource }
    end
  end
  return places
end

-- What a controller made of a member may have its labels: it goes with its owner.
local function is_made(item)
  for _, owner in ipairs(table_of(item.metadata.ownerReferences)) do
    if owner.controller then
      return true
    end
  end
  return false
end

-- members.text(one) -> "ConfigMap a in shop"
function members.text(one)
  return one.namespace and ("%s %s in %s"):format(one.kind, one.name, one.namespace) or one.kind .. " " .. one.name
end

-- members.leftover(self, applied) -> those that were not applied now: to go, to be kept; failures, and kinds
-- whose API does not answer
function members.leftover(self, applied)
  local is_seen, going, kept, failures = {}, {}, {}, {}
  for _, object in ipairs(applied) do
    is_seen[object.metadata.uid or object] = true
  end
  local by_kind, unknown = members.resources(self, self.kinds)
  local places = members.places(by_kind, self.namespaces)
  local answers = ctz_map(places, function(place)
    return members.list(self, place.resource, place.namespace, PART_OF .. "=" .. self.id)
  end, { jobs = JOBS, collect = true })
  for i, answer in ipairs(answers) do
    local place = places[i]
    if not answer.ok then
      failures[#failures + 1] = { err = answer.err, kind = place.kind, namespace = place.namespace }
    end
    for _, item in ipairs(answer.ok and answer.value or {}) do
      local meta = item.metadata
      if not is_seen[meta.uid] and not is_made(item) then
        is_seen[meta.uid] = true -- some kinds are served by two groups
        local into = table_of(meta.annotations)[KEEP] == "keep" and kept or going
        into[#into + 1] = {
          apiVersion = place.resource.api_version, kind = place.resource.kind, name = meta.name,
          namespace = meta.namespace, uid = meta.uid,
        }
      end
    end
  end
  return going, kept, failures, unknown
end

-- --- removing ----------------------------------------------------------------------------------

local TAKES_ALONG <const> = {
  CustomResourceDefinition = ", with all objects of its kind", Namespace = ", with all that lies in it",
}

local function remove(self, one)
  local target = targets.of_object(self.client, OP, {
    apiVersion = one.apiVersion, kind = one.kind, metadata = { name = one.name, namespace = one.namespace },
  }, {}, true)
  local is_dry, text = self.client.dry_run, members.text(one) .. (TAKES_ALONG[one.kind] or "")
  if not is_dry then
    require("ctz.log").info((self.dry_run and "prune: would delete " or "prune: delete ") .. text)
  end
  self.client:call("DELETE", target:path(), {
    op = OP, target = target.shown, timeout = self.timeout, ok = { [404] = true },
    plan = ("delete %s: it is no longer applied"):format(text),
    json = {
      apiVersion = "v1", kind = "DeleteOptions", propagationPolicy = "Background", preconditions = { uid = one.uid },
      dryRun = self.dry_run and { "All" } or nil,
    },
  })
  return one
end

-- members.remove(self, going, failures) -> those that are gone. Those of one kind at once, in the order in which
-- Helm takes down; what cannot go is added to failures and does not hold up the rest.
function members.remove(self, going, failures)
  local entries, removed = {}, {}
  for i, one in ipairs(going) do
    entries[i] = { object = one }
  end
  local group, last = {}, nil
  local function flush()
    local answers = ctz_map(group, function(one)
      return remove(self, one)
    end, { jobs = JOBS, collect = true })
    for i, answer in ipairs(answers) do
      local one = group[i]
      removed[#removed + 1] = answer.ok and one or nil
      failures[#failures + 1] = not answer.ok and {
        err = answer.err, kind = members.group_kind(one.apiVersion, one.kind), namespace = one.namespace,
        text = members.text(one),
      } or nil
    end
    group = {}
  end
  for _, entry in ipairs(manifests.sort(entries, true)) do
    if entry.object.kind ~= last then
      flush()
      last = entry.object.kind
    end
    group[#group + 1] = entry.object
  end
  flush()
  return removed
end

return members
