-- kubernetes/collection.lua: the objects of a kind, in pages: list, each.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API concepts, "Retrieving large results sets in chunks".
local asking = require "ctz.kubernetes.asking"
local check = require("ctz.options").check
local json = require "ctz.json"
local listings = require "ctz.kubernetes.listing"
local targets = require "ctz.kubernetes.targets"

local byte_less = require("ctz.problems").byte_less
local min = math.min
local error, pcall, type = error, pcall, type
local call, with_target = asking.call, asking.with_target

local PAGE <const> = 500 -- objects in one answer

local LIST <const> = {
  all_namespaces = "boolean", fields = "string|table", labels = "string|table", limit = "count", namespace = "string",
  page = "count", resource_version = "string", timeout = "seconds",
}

local function list_query(op, opts)
  return {
    labelSelector = targets.selector_text(op, "labels", opts.labels),
    fieldSelector = targets.selector_text(op, "fields", opts.fields),
    resourceVersion = opts.resource_version,
  }
end

-- Items of a list have no kind of their own; written back they need it.
local function complete(target, item)
  item.apiVersion = item.apiVersion or target.resource.api_version
  item.kind = item.kind or target.resource.kind
  return item
end

-- The next page; nil, error when the server does not keep the list any longer.
local function ask_page(walk)
  local request = with_target({ query = walk.query, timeout = walk.opts.timeout, items = true }, walk.op, walk.target)
  local ok, page = pcall(call, walk.client, "GET", walk.target, request)
  if ok then
    return listings.of(page)
  elseif type(page) == "table" and page.status == 410 and walk.query.continue then
    return nil, page
  end
  error(page, 0)
end

-- When the server forgot the list it is gone on with behind the last object that was given, in the state of
-- now.
local function next_page(walk)
  local query, opts = walk.query, walk.opts
  query.limit = opts.limit and min(opts.page or PAGE, opts.limit - walk.given) or opts.page or PAGE
  local page, gone = ask_page(walk)
  while not page do
    query.continue, walk.is_skipping = gone.continue, gone.continue == nil and walk.last ~= nil
    query.resourceVersion = nil
    page, gone = ask_page(walk)
  end
  return page
end

-- Where the server keeps an object among those of its kind: the order of a list.
local function key_of(metadata)
  return (metadata.namespace or "") .. "\0" .. metadata.name
end

local function was_given(walk, metadata)
  walk.is_skipping = walk.is_skipping and not byte_less(key_of(walk.last), key_of(metadata))
  return walk.is_skipping
end

local function end_page(walk)
  local query, metadata = walk.query, walk.page.head.metadata or {}
  walk.head, walk.version = walk.page.head, walk.version or metadata.resourceVersion
  query.continue = metadata.continue ~= "" and metadata.continue or nil
  query.resourceVersion = nil
  walk.page, walk.has_ended = nil, query.continue == nil
end

-- The next object; nil at the end, or when opts.limit are given. Then walk.head and walk.version are set.
local function next_item(walk)
  while not walk.has_ended do
    walk.page = walk.page or next_page(walk)
    local item = walk.page:next()
    if not item then
      end_page(walk)
      walk.has_ended = walk.has_ended or walk.given == walk.opts.limit
    elseif walk.given == walk.opts.limit then -- a server that keeps to no limit
      end_page(walk)
      walk.has_ended = true
    elseif not was_given(walk, item.metadata) then
      walk.last, walk.given = item.metadata, walk.given + 1
      return complete(walk.target, item)
    end
  end
end

local function walk_of(client, op, kind, opts)
  return {
    client = client, op = op, opts = opts, target = targets.collection(client, op, kind, opts),
    query = list_query(op, opts), given = 0,
  }
end

--- client:list(kind, opts?) -> table
--- All objects of a kind: {items, resource_version, kind, apiVersion, metadata}. It is asked for in pages;
--- each item has its apiVersion and kind.
--- @async
--- @param kind string
--- @param opts.namespace? string  default: the client's
--- @param opts.all_namespaces? boolean
--- @param opts.labels? string|table  "app=web,tier!=db" or {app = "web"}
--- @param opts.fields? string|table  "status.phase=Running" or {["metadata.name"] = "web"}
--- @param opts.limit? integer  no more than these; metadata.continue tells whether there are more
--- @param opts.page? integer  objects in one answer, default 500
--- @param opts.resource_version? string  "0": what the server has at hand
--- @param opts.timeout? ctz.seconds  of each answer
--- @return table
--- @error not_found  there is no such kind
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- #client:list("pods", {labels = {app = "web"}}).items
--- Api: Kubernetes, GET of a collection
local function list(client, kind, opts)
  local op = "kubernetes.list"
  local walk, items = walk_of(client, op, kind, check(op, opts, LIST)), json.array {}
  for item in next_item, walk do
    items[#items + 1] = item
  end
  local head = walk.head
  return {
    apiVersion = head.apiVersion, kind = head.kind, metadata = head.metadata, items = items,
    resource_version = walk.version,
  }
end

--- client:each(kind, opts?) -> iterator
--- for object in client:each("pods", {all_namespaces=true}) do ... end: one object at a time, of which no
--- more than a page is held. A list that takes so long that the server forgets it is gone on with where it
--- was, in the state of that moment; no object is given twice.
--- @async
--- @param kind string
--- @param opts? table  of client:list
--- @return fun(): table
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- for pod in client:each "pods" do print(pod.metadata.name) end
--- Api: Kubernetes, GET of a collection, limit and continue
local function each(client, kind, opts)
  local op = "kubernetes.each"
  local walk = walk_of(client, op, kind, check(op, opts, LIST))
  return function()
    return next_item(walk)
  end
end

return { list = list, each = each }
