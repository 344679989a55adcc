-- kubernetes/simulate/server.lua: which request a path and a method are, and who answers it.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API reference, 1.37.
local kinds = require "ctz.kubernetes.simulate.kinds"
local json = require "ctz.json"
local patches = require "ctz.kubernetes.simulate.patch"
local read = require "ctz.kubernetes.simulate.read"
local refusal = require "ctz.kubernetes.simulate.refusal"
local subresources = require "ctz.kubernetes.simulate.subresources"
local values = require "ctz.kubernetes.simulate.values"
local write = require "ctz.kubernetes.simulate.write"

local ipairs, pairs, pcall, table, tonumber, tostring, type = ipairs, pairs, pcall, table, tonumber, tostring, type
local char, gmatch, gsub, match = string.char, string.gmatch, string.gsub, string.match

local VERSION <const> = {
  major = "1", minor = "37", gitVersion = "v1.37.2", gitCommit = "", gitTreeState = "", buildDate =
  "1970-01-01T00:00:00Z", goVersion = "", compiler = "", platform = "linux/amd64",
}
local REVIEWS <const> = {
  LocalSubjectAccessReview = true, SelfSubjectAccessReview = true, SubjectAccessReview = true,
}

-- --- one object ----------------------------------------------------------------------------------

local function get(state, request)
  return state:get(request.resource, request.namespace, request.name)
    or refusal.not_found(request.resource, request.name)
end

local function body_of(request)
  if type(request.body) ~= "string" then
    return values.copy(request.body)
  end
  local ok, value = pcall(json.decode, request.body, { big = "float" })
  if not ok and (request.content_type or ""):find("yaml", 1, true) then
    ok, value = pcall(require("ctz.yaml").decode, request.body, { schema = "k8s" })
  end
  if not ok then
    refusal.bad_request("error decoding the body of the request: %s", value.message)
  end
  return value
end

local function changed_by_patch(request, old, change)
  local kind = request.content_type
  if kind == "application/json-patch+json" then
    return patches.json(old, change)
  elseif kind == "application/merge-patch+json" then
    return patches.merge(old, change)
  elseif kind == "application/strategic-merge-patch+json" then
    return patches.strategic(request.resource, old, change)
  end
  return refusal.refuse(415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted " ..
    "media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml", {})
end

local handlers = {}

function handlers.get(state, request)
  return 200, get(state, request)
end

function handlers.update(state, request)
  local old = get(state, request)
  return 200, write.update(state, request, old, body_of(request), "update")
end

function handlers.patch(state, request)
  local change = body_of(request)
  if (request.content_type or ""):find("apply-patch", 1, true) then
    local old = state:get(request.resource, request.namespace, request.name)
    local object, is_new = write.apply(state, request, old, change)
    return is_new and 201 or 200, object
  end
  local old = get(state, request)
  return 200, write.update(state, request, old, changed_by_patch(request, old, change), "patch")
end

function handlers.delete(state, request)
  return 200, write.delete(state, request, get(state, request), body_of(request))
end

-- --- many ----------------------------------------------------------------------------------------

handlers.list, handlers.watch = read.list, read.watch

local function review(request)
  local object = body_of(request)
  object.status = { allowed = true, reason = "simulated" }
  return 201, object
end

function handlers.create(state, request)
  local kind = request.resource.kind
  if request.resource.group == "authorization.k8s.io" then
    if not REVIEWS[kind] then
      refusal.unsupported("a " .. kind)
    end
    return review(request)
  elseif kind == "Binding" then
    refusal.unsupported "bindings"
  end
  return 201, write.create(state, request, body_of(request))
end

function handlers.deletecollection(state, request)
  local items, options = read.chosen(state, request), body_of(request)
  for _, object in ipairs(items) do
    write.delete(state, {
      resource = request.resource, dry = request.dry, namespace = object.metadata.namespace, query = request.query,
      manager = request.manager,
    }, object, options)
  end
  return 200, {
    apiVersion = request.resource.api_version, kind = request.resource.kind .. "List", items = items,
    metadata = { resourceVersion = tostring(state.version) },
  }
end

-- --- paths ---------------------------------------------------------------------------------------

local function unescape(text)
  return (gsub(text, "%%(%x%x)", function(digits)
    return char(tonumber(digits, 16))
  end))
end

-- group, version, the rest's parts
local function parts_of(path)
  local parts = {}
  for part in gmatch(path, "[^/]+") do
    parts[#parts + 1] = unescape(part)
  end
  if parts[1] == "api" and #parts > 2 then
    return "", parts[2], { table.unpack(parts, 3) }
  elseif parts[1] == "apis" and #parts > 3 then
    return parts[2], parts[3], { table.unpack(parts, 4) }
  end
end

local function read_path(state, path, request)
  local group, version, rest = parts_of(path)
  if not group then
    return refusal.no_resource()
  end
  if rest[1] == "namespaces" and #rest > 2 and rest[3] ~= "status" and rest[3] ~= "finalize" then
    request.namespace = rest[2]
    rest = { table.unpack(rest, 3) }
  end
  request.resource = state:resource(group, version, rest[1])
  request.name, request.sub = rest[2], rest[3]
  if not request.resource or request.namespace and not request.resource.namespaced then
    refusal.no_resource()
  elseif request.sub and not request.resource.subresources[request.sub] then
    refusal.no_resource()
  end
end

local VERBS <const> = {
  GET = { "get", "list" }, POST = { nil, "create" }, PUT = { "update" }, PATCH = { "patch" },
  DELETE = { "delete", "deletecollection" },
}

local function verb_of(request)
  if request.method == "GET" and (request.query.watch == "true" or request.query.watch == "1") then
    if request.name then
      request.query.fieldSelector, request.name = "metadata.name=" .. request.name, nil
    end
    return "watch"
  end
  return (VERBS[request.method] or {})[request.name and 1 or 2]
end

-- Texts, as a server reads a query; what is there several times is a list.
local function query_of(given)
  local query = {}
  for name, value in pairs(given or {}) do
    if type(value) == "table" then
      query[name] = values.list()
      for i, one in ipairs(value) do
        query[name][i] = tostring(one)
      end
    else
      query[name] = tostring(value)
    end
  end
  return query
end

local function answer_whole(state, path)
  if path == "/api" or path == "/apis" then
    return 200, kinds.discovery(state.resources, path == "/api")
  elseif path == "/version" then
    return 200, VERSION
  elseif match(path, "^/%l*z$") or match(path, "^/%l*z/") then
    return 200, nil, { text = "ok" }
  end
  return refusal.unsupported(path)
end

-- server(state, method, path, opts) -> status, value, extra {stream, text, socket}
return function(state, method, path, opts)
  local request = {
    method = method, query = query_of(opts.query), content_type = opts.content_type, path = path,
  }
  request.body = opts.body
  if opts.json ~= nil then
    request.body = json.decode(json.encode(opts.json), { big = "float" })
  end
  request.manager = request.query.fieldManager or "ctz"
  request.dry = request.query.dryRun == "All" or type(request.body) == "table" and request.body.kind == "DeleteOptions"
    and values.table_of(request.body.dryRun)[1] == "All"
  if not match(path, "^/apis?/[^/]+/.") then
    return answer_whole(state, path)
  end
  read_path(state, path, request)
  if request.sub then
    return subresources(state, request, handlers, body_of)
  end
  local verb = verb_of(request)
  if not verb or not request.resource.can[verb] then
    refusal.no_method()
  end
  return handlers[verb](state, request)
end
