-- kubernetes/simulate/read.lua: lists, their pages, and watches of a simulated cluster.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API concepts; k8s.io/apiserver, pkg/storage/cacher.
local byte_less = require("ctz.problems").byte_less
local json = require "ctz.json"
local refusal = require "ctz.kubernetes.simulate.refusal"
local selectors = require "ctz.kubernetes.selector"
local values = require "ctz.kubernetes.simulate.values"

local ipairs, math, next, pcall, tonumber, tostring, type = ipairs, math, next, pcall, tonumber, tostring, type
local concat, find, gmatch, match = table.concat, string.find, string.gmatch, string.match

local BOOKMARK_S <const> = 60
local BURST <const> = 200 -- events in one piece

local read = {}

-- --- selectors -----------------------------------------------------------------------------------

-- Fields that lists can be chosen by, beside name and namespace.
local FIELDS <const> = {
  Event = " involvedObject.kind involvedObject.namespace involvedObject.name involvedObject.uid " ..
    "involvedObject.apiVersion involvedObject.resourceVersion involvedObject.fieldPath reason reportingComponent " ..
    "source type ",
  Job = " status.successful ", Namespace = " status.phase ", Node = " spec.unschedulable ",
  Pod = " spec.nodeName spec.restartPolicy spec.schedulerName spec.serviceAccountName spec.hostNetwork " ..
    "status.phase status.podIP status.nominatedNodeName ",
  ReplicaSet = " status.replicas ", Secret = " type ",
}

local function value_at(object, path)
  local node = object
  for name in gmatch(path, "[^.]+") do
    node = type(node) == "table" and node[name] or nil
  end
  return node == nil and "" or tostring(node)
end

local function field_rules(resource, text)
  local rules = {}
  for part in gmatch(text, "[^,]+") do
    local path, sign, wanted = match(part, "^([^!=]+)(!?==?)(.*)$")
    if not path then
      refusal.bad_request("invalid selector: '%s'; can't understand '%s'", text, part)
    elseif path ~= "metadata.name" and path ~= "metadata.namespace"
      and not find(FIELDS[resource.kind] or "", " " .. path .. " ", 1, true) then
      if not FIELDS[resource.kind] then
        refusal.bad_request('"%s" is not a known field selector: only "metadata.name", "metadata.namespace"', path)
      end
      refusal.bad_request('Unable to find "%s, Resource=%s" that match label selector "", field selector "%s": ' ..
        'field label not supported: %s', resource.group .. "/" .. resource.version, resource.name, text, path)
    end
    rules[#rules + 1] = { path = path, wanted = wanted, is_not = sign == "!=" }
  end
  return rules
end

local function label_rules(text)
  local ok, selector = pcall(selectors.selector, text)
  if not ok then
    refusal.bad_request("unable to parse requirement: %s", selector.message)
  end
  return selector
end

-- A function(object) -> is it asked for?
local function filter(request)
  local query = request.query
  local labels = query.labelSelector and query.labelSelector ~= "" and label_rules(query.labelSelector)
  local rules = field_rules(request.resource, query.fieldSelector or "")
  local namespace = request.namespace
  return function(object)
    local meta = object.metadata
    if namespace and meta.namespace ~= namespace or labels and not labels:matches(meta.labels) then
      return false
    end
    for _, rule in ipairs(rules) do
      if (value_at(object, rule.path) == rule.wanted) == rule.is_not then
        return false
      end
    end
    return true
  end
end

-- --- lists ---------------------------------------------------------------------------------------

local function key_of(object)
  return (object.metadata.namespace or "") .. "\0" .. object.metadata.name
end

local function chosen(state, request, behind)
  local is_wanted, items = filter(request), values.list()
  for _, object in ipairs(state:list(request.resource, request.namespace)) do
    if is_wanted(object) and (not behind or byte_less(behind, key_of(object))) then
      items[#items + 1] = object
    end
  end
  return items
end

local function expired(state, last)
  local token = ("a%d"):format(state.version)
  state.pages[token] = { behind = last }
  refusal.refuse(410, "Expired", "The provided continue parameter is too old to display a consistent list result. " ..
    "You can start a new list without the continue parameter, or use the continue token in this response to " ..
    "retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - " ..
    "objects that were created, modified, or deleted between the time the first chunk was returned and now may show " ..
    "up in the list.", nil, { continue = token })
end

-- items, version: of a list that was begun, or of a new one.
local function begin(state, request)
  local token = request.query.continue
  if not token or token == "" then
    return chosen(state, request), state.version
  end
  local page = state.pages[token]
  state.pages[token] = nil
  if page and page.items then
    return page.items, page.version
  elseif page then
    return chosen(state, request, page.behind), state.version
  end
  local last = match(token, "^p%d+%-%d+%-(.*)$")
  if not last then
    refusal.bad_request "continue key is not valid: illegal base64 data at input byte 0"
  end
  return expired(state, last:gsub("/", "\0"))
end

-- Items of a list do not tell their kind.
local function bare(object)
  local copy = {}
  for name, value in next, object do
    copy[name] = value
  end
  copy.kind, copy.apiVersion = nil, nil
  return copy
end

function read.list(state, request)
  local resource = request.resource
  local items, version = begin(state, request)
  local limit = tonumber(request.query.limit)
  local meta, shown = { resourceVersion = tostring(version) }, values.list()
  for i, object in ipairs(items) do
    if limit and limit > 0 and i > limit then
      break
    end
    shown[i] = resource.is_custom and object or bare(object)
  end
  if #shown < #items then
    state.page_count = (state.page_count or 0) + 1
    local token = ("p%d-%d-%s"):format(version, state.page_count, (key_of(items[#shown]):gsub("%z", "/")))
    state.pages[token] = { items = values.list { table.unpack(items, #shown + 1) }, version = version }
    meta.continue, meta.remainingItemCount = token, #items - #shown
  end
  return 200, { apiVersion = resource.api_version, kind = resource.kind .. "List", metadata = meta, items = shown }
end

-- All that delete_all is about.
function read.chosen(state, request)
  return chosen(state, request)
end

-- --- watches -------------------------------------------------------------------------------------

-- What a change means to who watches a part of the objects; nil: nothing.
local function event_of(change, is_wanted)
  local is_in = change.type ~= "DELETED" and is_wanted(change.object)
  local was_in = change.before ~= nil and is_wanted(change.before)
  if is_in then
    return was_in and "MODIFIED" or "ADDED", change.object
  elseif was_in then
    return "DELETED", change.object
  end
end

local function line_of(kind, object)
  return json.encode { type = kind, object = object } .. "\n"
end

local function too_old(state, version)
  return line_of("ERROR", {
    apiVersion = "v1", kind = "Status", metadata = {}, status = "Failure", reason = "Expired", code = 410,
    message = ("too old resource version: %d (%d)"):format(version, state.version),
  })
end

-- The changes since `version`: a piece of text, and the version that it comes to.
local function pieces(state, watch)
  local parts = {}
  while watch.at <= state.last and #parts < BURST do
    local change = state.history[watch.at]
    watch.at = watch.at + 1
    if change.key == watch.key and change.version > watch.version then
      local kind, object = event_of(change, watch.is_wanted)
      if kind then
        parts[#parts + 1] = line_of(kind, object)
      end
    end
    watch.seen = change.version
  end
  return #parts > 0 and concat(parts) or nil
end

local function bookmark(watch)
  return line_of("BOOKMARK", {
    apiVersion = watch.resource.api_version, kind = watch.resource.kind, metadata = {
      resourceVersion = tostring(watch.seen), creationTimestamp = json.null,
    },
  })
end

local function initial(state, request, watch)
  local parts = {}
  for i, object in ipairs(chosen(state, request)) do
    parts[i] = line_of("ADDED", object)
  end
  watch.version = state.version
  return concat(parts)
end

local function next_piece(state, watch)
  if watch.first then
    local text = watch.first
    watch.first = nil
    if text ~= "" then
      return text
    end
  end
  local piece
  state.kernel:wait(function()
    state:check()
    if watch.generation ~= state.history and watch.seen < state.oldest then
      watch.is_over, piece = true, too_old(state, watch.seen)
      return true
    elseif watch.at < state.first then
      watch.at = state.first
    end
    piece = not watch.is_over and pieces(state, watch) or nil
    return piece or watch.is_over or state.kernel.clock >= watch.until_s or state.kernel.clock >= watch.mark_s
  end)
  if piece then
    return piece
  elseif state.kernel.clock >= watch.mark_s and not watch.is_over and watch.bookmarks then
    watch.mark_s = state.kernel.clock + BOOKMARK_S
    state.kernel:at(watch.mark_s, function() end)
    return bookmark(watch)
  end
  watch.is_over = true
end

function read.watch(state, request)
  local query, kernel = request.query, state.kernel
  local version = tonumber(query.resourceVersion or "") or 0
  local watch = {
    key = request.resource.key, resource = request.resource, is_wanted = filter(request), version = version,
    seen = version, at = state.first, generation = state.history, bookmarks = query.allowWatchBookmarks == "true",
    until_s = kernel.clock + (tonumber(query.timeoutSeconds or "") or 1800), mark_s = math.huge,
  }
  if version == 0 then
    watch.first = initial(state, request, watch)
    watch.seen = watch.version
  elseif version < state.oldest then
    watch.first, watch.is_over = too_old(state, version), true
  end
  if watch.bookmarks then
    watch.mark_s = kernel.clock + BOOKMARK_S
    kernel:at(watch.mark_s, function() end)
  end
  kernel:at(watch.until_s, function() end)
  return 200, nil, { stream = {
    next = function()
      return (not watch.is_over or watch.first) and next_piece(state, watch) or nil
    end,
    close = function()
      watch.is_over = true
    end,
  } }
end

read.filter = filter

return read
