-- kubernetes/objects.lua: objects of any kind: get, list, create, replace, patch, delete, scale.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API conventions; k8s.io/apimachinery, pkg/types/patch.go.
local check = require("ctz.options").check
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local json = require "ctz.json"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"

local error, ipairs, math_type, pairs, pcall, tostring, type = error, ipairs, math.type, pairs, pcall, tostring, type

local PAGE <const> = 500 -- objects in one answer
local PATCHES <const> = {
  json = "application/json-patch+json", merge = "application/merge-patch+json",
  strategic = "application/strategic-merge-patch+json", apply = "application/apply-patch+yaml",
}
local PROPAGATION <const> = { background = "Background", foreground = "Foreground", orphan = "Orphan" }
local POLL_S <const>, SLOWEST_POLL_S <const> = 0.05, 1

local function with_target(opts, op, target)
  opts.op, opts.target = op, target.shown
  return opts
end

-- client:call; a name that is not there is not always missing: its hint names the nearest that is.
local function call(client, method, target, opts)
  local done, value, status = pcall(client.call, client, method, target:path(opts.subresource), opts)
  if done then
    return value, status
  end
  if type(value) == "table" and value.status == 404 and not value.reason then
    discovery.forget(client)
  elseif method == "GET" and target.name and type(value) == "table" and value.kind == "not_found"
    and not value.hint then
    local listed, list = pcall(client.call, client, "GET", discovery.path(target.resource, target.namespace), {
      op = opts.op, query = { limit = 200 }, retry = false,
      accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
    })
    local names = {}
    for i, one in ipairs(listed and type(list) == "table" and type(list.items) == "table" and list.items or {}) do
      names[i] = one.metadata.name
    end
    local near = #names > 0 and require("ctz.core.host").nearest(target.name, names)
    value.hint = near and ("did you mean %q?"):format(near)
      or target.namespace and ("it was looked for in the namespace %s"):format(target.namespace) or nil
  end
  error(value, 0)
end

local function choice(op, option, value, choices)
  if value ~= nil and not choices[value] then
    local names = require("ctz.problems").sorted_keys(choices)
    failure.usage(op, "bad argument 'opts.%s' to '%s': expected one of %s, got %q", option, op,
      table.concat(names, ", "), value)
  end
  return choices[value]
end

-- The query of what changes something.
local function change_query(opts)
  return {
    dryRun = opts.dry_run and "All" or nil,
    fieldManager = opts.field_manager or "ctz",
    fieldValidation = opts.validate == false and "Ignore" or "Strict",
  }
end

-- --- reading -----------------------------------------------------------------------------------

--- client:get(kind, name, opts?) -> table
--- An object as the server has it. The kind may be a short name, a plural, or one with its group
--- ("widgets.example.com"); "deployment/web" is kind and name in one, an object with kind and metadata
--- is read again.
--- @async
--- @param kind string|table
--- @param name? string
--- @param opts.namespace? string  default: the client's
--- @param opts.subresource? string  "status", "scale"
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error not_found  there is no such kind or object; the hint names the nearest
--- @error denied  this user may not
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:get("deployment", "web").spec.replicas
--- Api: Kubernetes, GET of a resource
local function get(client, ...)
  local op = "kubernetes.get"
  local target, opts = targets.read(client, op, { namespace = "string", subresource = "string", timeout = "seconds" },
    ...)
  return (call(client, "GET", target, with_target({ subresource = opts.subresource, timeout = opts.timeout }, op,
    target)))
end

local LIST <const> = {
  all_namespaces = "boolean", fields = "string|table", labels = "string|table", limit = "count", namespace = "string",
  page = "count", resource_version = "string", timeout = "seconds",
}

local function list_query(op, opts)
  return {
    labelSelector = targets.selector_text(op, "labels", opts.labels),
    fieldSelector = targets.selector_text(op, "fields", opts.fields),
    limit = opts.page or PAGE,
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
local function next_page(client, op, target, query, opts)
  local request = with_target({ query = query, timeout = opts.timeout }, op, target)
  local ok, page = pcall(call, client, "GET", target, request)
  if ok then
    return page
  elseif type(page) == "table" and page.status == 410 and query.continue then
    return nil, page
  end
  error(page, 0)
end

-- Where the server keeps an object among those of its kind: the order of a list.
local function key_of(item)
  return (item.metadata.namespace or "") .. "\0" .. item.metadata.name
end

-- each_page(...) -> function: the next page's items, then nil. When the server forgot the list it is gone
-- on with behind the last object that was given, in the state of now.
local function pages(client, op, target, opts)
  local query, last, ended, at_version = list_query(op, opts), nil, false, nil
  local byte_less = require("ctz.problems").byte_less
  local skipping = false
  return function()
    if ended then
      return nil
    end
    local page, gone = next_page(client, op, target, query, opts)
    while not page do
      query.continue, skipping = gone.continue, gone.continue == nil
      query.resourceVersion = nil
      page, gone = next_page(client, op, target, query, opts)
    end
    local items = type(page.items) == "table" and page.items or {} -- Go's nil is JSON's null
    if skipping and last then
      local kept = json.array {}
      for _, item in ipairs(items) do
        if byte_less(last, key_of(item)) then
          kept[#kept + 1] = item
        end
      end
      items = kept
    end
    if #items > 0 then
      last = key_of(items[#items])
      skipping = false
    end
    at_version = page.metadata and page.metadata.resourceVersion
    query.continue = page.metadata and page.metadata.continue
    query.resourceVersion = nil
    ended = not query.continue or query.continue == ""
    return items, at_version, page
  end
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
  opts = check(op, opts, LIST)
  local target = targets.collection(client, op, kind, opts)
  local items, version, head = json.array {}, nil, nil
  if opts.limit then
    opts.page = math.min(opts.limit, opts.page or PAGE)
  end
  for page_items, page_version, page in pages(client, op, target, opts) do
    for _, item in ipairs(page_items) do
      items[#items + 1] = complete(target, item)
    end
    version, head = version or page_version, page
    if opts.limit and #items >= opts.limit then
      break
    end
  end
  return {
    apiVersion = head.apiVersion, kind = head.kind, metadata = head.metadata, items = items, resource_version = version,
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
  opts = check(op, opts, LIST)
  local target = targets.collection(client, op, kind, opts)
  local next_items, items, at, given = pages(client, op, target, opts), {}, 0, 0
  return function()
    if opts.limit and given >= opts.limit then
      return nil
    end
    at = at + 1
    while items and not items[at] do
      items, at = next_items(), 1
    end
    if not items then
      next_items = function() end
      return nil
    end
    given = given + 1
    local item = items[at]
    items[at] = false -- given is not held
    return complete(target, item)
  end
end

-- --- changing ----------------------------------------------------------------------------------

local CHANGE <const> = {
  dry_run = "boolean", field_manager = "string", namespace = "string", subresource = "string", timeout = "seconds",
  validate = "boolean",
}

local function check_object(op, object)
  if type(object) ~= "table" or object[1] ~= nil then
    failure.usage(op, "bad argument 'object' to '%s': expected an object with apiVersion, kind and metadata, got %s",
      op, type(object) == "table" and "a list" or type(object))
  end
end

--- client:create(object, opts?) -> table
--- Makes an object, and returns it as the server has it. Fields that the kind does not have are refused.
--- @async
--- @param object table  with apiVersion, kind, metadata
--- @param opts.namespace? string  where the object names none; default: the client's
--- @param opts.dry_run? boolean  the server checks it, and makes nothing
--- @param opts.field_manager? string  default "ctz"
--- @param opts.validate? boolean  false: unknown fields are dropped
--- @param opts.subresource? string  "eviction", "token": of the object that metadata names
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error conflict  there is one of that name
--- @error usage  the server refuses a field; err.causes has {field, message} of each
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:create{apiVersion="v1", kind="Namespace", metadata={name="x"}}
--- Api: Kubernetes, POST to a collection
local function create(client, object, opts)
  local op = "kubernetes.create"
  opts = check(op, opts, CHANGE)
  check_object(op, object)
  local target = targets.of_object(client, op, object, opts)
  local path = discovery.path(target.resource, target.namespace, opts.subresource and target.name, opts.subresource)
  return (client:call("POST", path, with_target({
    json = object, query = change_query(opts), timeout = opts.timeout, plan = "create " .. target.shown,
  }, op, target)))
end

--- client:replace(object, opts?) -> table
--- Writes a whole object. With the resourceVersion it was read with, it is refused when somebody changed it
--- meanwhile; without one it is written whatever is there.
--- @async
--- @param object table
--- @param opts? table  of client:create; subresource = "status" writes only the status
--- @return table
--- @error conflict  somebody changed it: get it again
--- @error not_found  there is none
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:replace(object)
--- Api: Kubernetes, PUT of a resource
local function replace(client, object, opts)
  local op = "kubernetes.replace"
  opts = check(op, opts, CHANGE)
  check_object(op, object)
  local target = targets.of_object(client, op, object, opts, true)
  return (call(client, "PUT", target, with_target({
    json = object, query = change_query(opts), subresource = opts.subresource, timeout = opts.timeout,
    plan = "replace " .. target.shown,
  }, op, target)))
end

-- The patch stands behind the name: patch("deployment", "web", {...}, opts), patch("deployment/web", {...}).
local function patch_arguments(op, subject, ...)
  local name, patch, opts = ...
  if type(subject) == "table" or type(subject) == "string" and subject:find("/", 1, true) then
    patch, opts = name, patch
    name = nil
  end
  if type(patch) ~= "table" then
    failure.usage(op, "bad argument 'patch' to '%s': expected a table, got %s", op, type(patch))
  end
  return name, patch, opts
end

--- client:patch(kind, name, patch, opts?) -> table
--- Changes parts of an object. A list is a JSON patch; a table is a strategic merge patch, as kubectl
--- sends it, of custom resources type="merge" is needed. json.null takes a field out.
--- @async
--- @param kind string|table  or "kind/name"
--- @param name? string
--- @param patch table
--- @param opts.type? "json"|"merge"|"strategic"|"apply"
--- @param opts.subresource? string  "status", "scale"
--- @param opts.force? boolean  apply: take fields from other managers
--- @param opts.namespace? string
--- @param opts.dry_run? boolean
--- @param opts.field_manager? string  default "ctz"
--- @param opts.validate? boolean  false: unknown fields are dropped
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error unsupported  a strategic patch of a custom resource
--- @error conflict  a test of the JSON patch fails, or apply: others own the field
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:patch("deployment/web", {spec = {paused = true}})
--- Api: Kubernetes, PATCH of a resource
local function patch(client, subject, ...)
  local op = "kubernetes.patch"
  local name, body, given = patch_arguments(op, subject, ...)
  local rules = { type = "string", force = "boolean" }
  for option, rule in pairs(CHANGE) do
    rules[option] = rule
  end
  local target, opts
  if name then
    target, opts = targets.read(client, op, rules, subject, name, given)
  else
    target, opts = targets.read(client, op, rules, subject, given)
  end
  local content_type = choice(op, "type", opts.type or json.is_array(body) and "json" or "strategic", PATCHES)
  local query = change_query(opts)
  if opts.force then
    query.force = "true"
  end
  return (call(client, "PATCH", target, with_target({
    json = body, content_type = content_type, query = query, subresource = opts.subresource, timeout = opts.timeout,
    plan = "patch " .. target.shown,
  }, op, target)))
end

--- client:scale(kind, name, replicas, opts?) -> table
--- Sets how many there are, of any kind that can be scaled; returns its Scale. It does not wait for them.
--- @async
--- @param kind string|table  or "kind/name"
--- @param name? string
--- @param replicas integer
--- @param opts.namespace? string
--- @param opts.dry_run? boolean
--- @param opts.timeout? ctz.seconds
--- @return table
--- @error not_found  there is none, or its kind cannot be scaled
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:scale("deployment", "web", 3)
--- Api: Kubernetes, PATCH of the subresource scale
local function scale(client, subject, ...)
  local op = "kubernetes.scale"
  local name, replicas, given = ...
  if type(subject) == "table" or type(subject) == "string" and subject:find("/", 1, true) then
    name, replicas, given = nil, name, replicas
  end
  if math_type(replicas) ~= "integer" or replicas < 0 then
    failure.usage(op, "bad argument 'replicas' to '%s': expected an integer, 0 or more, got %s", op, tostring(replicas))
  end
  local rules = { namespace = "string", dry_run = "boolean", timeout = "seconds" }
  local target, opts
  if name then
    target, opts = targets.read(client, op, rules, subject, name, given)
  else
    target, opts = targets.read(client, op, rules, subject, given)
  end
  if not target.resource.subresources.scale then
    failure.fail("unsupported", op, ("a %s cannot be scaled"):format(target.resource.singular), {
      hint = "deployments, statefulsets, replicasets and what has the subresource scale", target = target.shown,
    })
  end
  return (call(client, "PATCH", target, with_target({
    json = { spec = { replicas = replicas } }, content_type = PATCHES.merge, subresource = "scale",
    query = { dryRun = opts.dry_run and "All" or nil, fieldManager = "ctz" }, timeout = opts.timeout,
    plan = ("scale %s to %d"):format(target.shown, replicas),
  }, op, target)))
end

-- --- deleting ----------------------------------------------------------------------------------

local DELETE <const> = {
  absent_ok = "boolean", dry_run = "boolean", grace = "seconds", namespace = "string", propagation = "string",
  resource_version = "string", timeout = "seconds", uid = "string", wait = "boolean",
}

local function delete_options(op, opts)
  local precondition = (opts.uid or opts.resource_version)
    and { uid = opts.uid, resourceVersion = opts.resource_version } or nil
  return {
    apiVersion = "v1", kind = "DeleteOptions", propagationPolicy = choice(op, "propagation", opts.propagation,
      PROPAGATION), gracePeriodSeconds = opts.grace and opts.grace // 1 | 0, preconditions = precondition,
    dryRun = opts.dry_run and { "All" } or nil,
  }
end

-- Waits until the object of this uid is gone; what keeps it is named when the time is over.
local function wait_until_gone(client, op, target, uid, seconds)
  local last
  local function is_gone()
    local value, status = client:call("GET", target:path(), with_target({ ok = { [404] = true } }, op, target))
    last = value
    return status == 404 or value.metadata.uid ~= uid
  end
  local function poll()
    local pause = POLL_S
    while not is_gone() do
      task.sleep(pause)
      pause = math.min(SLOWEST_POLL_S, pause * 1.5)
    end
  end
  local ok, err = pcall(function()
    return seconds and task.timeout(seconds, poll) or poll()
  end)
  if ok then
    return
  elseif type(err) ~= "table" or err.kind ~= "timeout" then
    error(err, 0)
  end
  local finalizers = last and last.metadata and last.metadata.finalizers
  local spec = last and type(last.spec) == "table" and type(last.spec.finalizers) == "table" and last.spec.finalizers
  local names = finalizers and table.concat(finalizers, ", ") or spec and table.concat(spec, ", ")
  failure.fail("timeout", op, ("%s is still there%s"):format(target.shown,
    names and "; its finalizers are: " .. names or ""), {
    target = target.shown, cause = err,
    hint = names and "who set a finalizer takes it out when it has cleaned up" or nil,
  })
end

--- client:delete(kind, name, opts?) -> boolean
--- Deletes an object. True when it was there; false when there was none and absent_ok is set. It returns
--- when the server has taken the request: with wait, when the object is gone.
--- @async
--- @param kind string|table  or "kind/name", or the object
--- @param name? string
--- @param opts.namespace? string
--- @param opts.propagation? "background"|"foreground"|"orphan"  what becomes of what it made
--- @param opts.grace? ctz.seconds  for pods to end; 0: at once
--- @param opts.wait? boolean  until it is gone
--- @param opts.timeout? ctz.seconds  with wait: until it is gone
--- @param opts.absent_ok? boolean  no error when there is none
--- @param opts.uid? string  only this very object
--- @param opts.resource_version? string  only in this state
--- @param opts.dry_run? boolean
--- @return boolean
--- @error not_found  there is none
--- @error timeout  it is still there; the message names its finalizers
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:delete("deployment/web", {wait = true})
--- Api: Kubernetes, DELETE of a resource
local function delete(client, ...)
  local op = "kubernetes.delete"
  local target, opts = targets.read(client, op, DELETE, ...)
  local answer, status = call(client, "DELETE", target, with_target({
    json = delete_options(op, opts), ok = opts.absent_ok and { [404] = true } or nil,
    timeout = not opts.wait and opts.timeout or nil, plan = "delete " .. target.shown,
  }, op, target))
  if status == 404 then
    return false
  end
  if opts.wait and not opts.dry_run and not client.dry_run then
    local uid = type(answer) == "table" and (answer.details and answer.details.uid
      or answer.metadata and answer.metadata.uid)
    wait_until_gone(client, op, target, uid, opts.timeout)
  end
  return true
end

local DELETE_ALL <const> = {
  all = "boolean", dry_run = "boolean", fields = "string|table", grace = "seconds", labels = "string|table",
  namespace = "string", propagation = "string", timeout = "seconds",
}

--- client:delete_all(kind, opts) -> integer
--- Deletes the objects of a kind in one namespace that the selectors choose, in one request; returns how
--- many they were.
--- @async
--- @param kind string
--- @param opts.labels? string|table
--- @param opts.fields? string|table
--- @param opts.all? boolean  true: without a selector all of them
--- @param opts.namespace? string
--- @param opts.propagation? "background"|"foreground"|"orphan"
--- @param opts.grace? ctz.seconds
--- @param opts.dry_run? boolean
--- @param opts.timeout? ctz.seconds
--- @return integer
--- @error usage  neither a selector nor all=true
--- @example local _, err = ctz.try(ctz.k8s.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "kubernetes") -- client:delete_all("pods", {labels = {app = "web"}})
--- Api: Kubernetes, DELETE of a collection
local function delete_all(client, kind, opts)
  local op = "kubernetes.delete_all"
  opts = check(op, opts, DELETE_ALL)
  if not opts.labels and not opts.fields and not opts.all then
    failure.usage(op, "'%s' needs labels, fields, or all=true", op)
  end
  local target = targets.collection(client, op, kind, opts)
  local answer = client:call("DELETE", target:path(), with_target({
    json = delete_options(op, opts), timeout = opts.timeout,
    query = {
      labelSelector = targets.selector_text(op, "labels", opts.labels),
      fieldSelector = targets.selector_text(op, "fields", opts.fields),
    },
    plan = ("delete all %s%s"):format(target.resource.name, opts.all and "" or " that the selectors choose"),
  }, op, target))
  return type(answer) == "table" and type(answer.items) == "table" and #answer.items or 0
end

return {
  get = get, list = list, each = each, create = create, replace = replace, patch = patch, scale = scale,
  delete = delete, delete_all = delete_all,
}
