-- kubernetes/informer.lua: a copy of the objects of a kind that is kept as the server has them.
-- SPDX-License-Identifier: MIT
-- Source: client-go, tools/cache (shared_informer.go, thread_safe_store.go).
--
-- A watch fills the store. Who takes the changes is told the difference between what it was told last and what is
-- there: however slow it is, no more waits for it than one entry for each object, and it is never told of a state
-- that is no longer so.
local channel = require "ctz.core.channel".channel
local check = require("ctz.options").check
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local problems = require "ctz.problems"
local selectors = require "ctz.kubernetes.selector"
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"

local error, ipairs, next, pairs, pcall, setmetatable, type = error, ipairs, next, pairs, pcall, setmetatable, type
local sort = table.sort

local OP <const> = "kubernetes.informer"

local function usage(text, ...)
  error(new_error { kind = "usage", op = OP, message = text:format(...) }, 0)
end

local function key_of(meta)
  return type(meta.namespace) == "string" and meta.namespace ~= "" and meta.namespace .. "/" .. meta.name or meta.name
end

-- --- the store ---------------------------------------------------------------------------------

-- What an index says of an object: a list of texts.
local function values_of(index, object)
  local value = index.of(object)
  if value == nil or value == json.null then
    return {}
  end
  return type(value) == "table" and value or { value }
end

local function unlink(self, key)
  for _, index in pairs(self.indexes) do
    for _, value in ipairs(index.values[key] or {}) do
      local set = index.keys[value]
      set[key] = nil
      if next(set) == nil then
        index.keys[value] = nil
      end
    end
    index.values[key] = nil
  end
end

local function link(self, key, object)
  for _, index in pairs(self.indexes) do
    local values = values_of(index, object)
    index.values[key] = #values > 0 and values or nil
    for _, value in ipairs(values) do
      index.keys[value] = index.keys[value] or {}
      index.keys[value][key] = true
    end
  end
end

-- Wakes all who wait for something new.
local function ring(self)
  local bell = self.bell
  self.bell = nil
  if bell then
    bell:close()
  end
end

local function listen(self)
  self.bell = self.bell or channel()
  self.bell:receive()
end

local function mark(follower, key, final)
  if not follower.dirty[key] then
    follower.last = follower.last + 1
    follower.queue[follower.last] = key
  end
  follower.dirty[key] = final or true
end

-- final: the last state of an object that is gone.
local function set(self, key, object, final)
  local before = self.objects[key]
  unlink(self, key)
  self.objects[key] = object
  self.count = self.count + (object and 1 or 0) - (before and 1 or 0)
  if object then
    link(self, key, object)
  end
  for follower in pairs(self.followers) do
    mark(follower, key, final)
  end
  ring(self)
end

-- A deletion that a new list found has a name and an uid only. An object made anew under a name may be told before
-- its deletion is.
local function take(self, event)
  if event.type == "sync" then
    self.is_synced = true
    ring(self)
    return
  end
  local object = event.object
  local key = key_of(object.metadata)
  if event.type ~= "deleted" then
    set(self, key, self.transform and self.transform(object) or object)
    return
  end
  local before = self.objects[key]
  if before and before.metadata.uid == object.metadata.uid then
    set(self, key, nil, event.final == false and before or object)
  end
end

local function run(self)
  for event in self.watch do
    take(self, event)
  end
end

local function finish(self)
  self.closed = true
  self.watch:close()
  ring(self)
end

-- An error of the watch is raised by who asks the store: it is no longer what the server has.
local function keep(self)
  local closing <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
    finish(self)
  end })
  local ok, err = pcall(run, self)
  if not ok and type(err) == "table" and err.kind == "cancelled" then
    error(err, 0)
  elseif not ok then
    self.err = err
  end
end

local function check_open(self)
  if self.err then
    error(self.err, 0)
  elseif self.closed then
    usage("the informer of %s is closed", self.target)
  end
end

-- --- changes -----------------------------------------------------------------------------------

local Changes = { __name = "ctz.kubernetes.changes" }
Changes.__index = Changes

function Changes:close()
  self.informer.followers[self] = nil
  self.closed, self.dirty, self.told, self.queue = true, {}, {}, {}
  ring(self.informer)
end

Changes.__close = Changes.close

-- The difference for one object; second, whether there is more of it: made anew, it is deleted and added.
local function difference(self, key)
  local told, now, final = self.told[key], self.informer.objects[key], self.dirty[key]
  if told and (not now or told.metadata.uid ~= now.metadata.uid) then
    self.told[key] = nil
    return { type = "deleted", object = type(final) == "table" and final or told }, now ~= nil
  end
  self.told[key] = now
  if now and not told then
    return { type = "added", object = now }
  elseif now and told ~= now then
    return { type = "modified", object = now, old = told }
  end
end

local function pop(self)
  while self.first <= self.last do
    local key = self.queue[self.first]
    local event, more = difference(self, key)
    if not more then
      self.queue[self.first], self.dirty[key] = nil, nil
      self.first = self.first + 1
    end
    if event then
      return event
    end
  end
end

function Changes:__call()
  while not self.closed do
    local informer = self.informer
    local event = pop(self)
    if event then
      return event
    elseif informer.is_synced and not self.synced then
      self.synced = true
      return { type = "sync" }
    elseif informer.err then
      error(informer.err, 0)
    elseif informer.closed then
      return nil
    end
    listen(informer)
  end
end

-- --- the informer ------------------------------------------------------------------------------

local Informer = { __name = "ctz.kubernetes.informer" }
Informer.__index = Informer

--- #informer -> integer
--- How many objects there are.
function Informer:__len()
  return self.count
end

--- informer:synced() -> boolean
--- Has it all objects that there were when it began?
--- @return boolean
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Informer:synced()
  return self.is_synced
end

--- informer:wait_for_sync(opts?) -> true
--- Waits until it has all objects that there were when it began.
--- @async
--- @param opts.timeout? ctz.seconds
--- @return true
--- @error denied  the user may not list or watch the kind
--- @error timeout  it has them not in time
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Informer:wait_for_sync(opts)
  opts = check("kubernetes.informer.wait_for_sync", opts, { timeout = "seconds" })
  local function wait()
    check_open(self)
    while not self.is_synced do
      listen(self)
      check_open(self)
    end
    return true
  end
  return opts.timeout and task.timeout(opts.timeout, wait) or wait()
end

--- informer:get(name, namespace?) -> table|nil
--- An object of the store. It is the store's own: a change of it is seen by all.
--- @param name string
--- @param namespace? string  default: the informer's, else the client's
--- @return table|nil
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Informer:get(name, namespace)
  check_open(self)
  targets.check_name("kubernetes.informer.get", name)
  return self.objects[self.namespaced and (namespace or self.namespace) .. "/" .. name or name]
end

local function sorted(self, keys)
  sort(keys, problems.byte_less)
  for i, key in ipairs(keys) do
    keys[i] = self.objects[key]
  end
  return keys
end

--- informer:list(opts?) -> table[]
--- The objects of the store, by namespace and name.
--- @param opts.labels? string|table  selector: "app=web,tier!=cache", {app = "web"}
--- @param opts.namespace? string
--- @return table[]
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Informer:list(opts)
  check_open(self)
  opts = check("kubernetes.informer.list", opts, { labels = "string|table", namespace = "string" })
  local text = targets.selector_text("kubernetes.informer.list", "labels", opts.labels)
  local selector = text and selectors.selector(text)
  local keys = {}
  for key, object in pairs(self.objects) do
    local meta = object.metadata
    if (not opts.namespace or meta.namespace == opts.namespace)
      and (not selector or selector:matches(type(meta.labels) == "table" and meta.labels or nil)) then
      keys[#keys + 1] = key
    end
  end
  return sorted(self, keys)
end

--- informer:each() -> iterator
--- for object in informer:each() do ... end: the objects of the store, by namespace and name.
--- @return fun(): table
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Informer:each()
  local list, at = self:list(), 0
  return function()
    at = at + 1
    return list[at]
  end
end

--- informer:by(index, value) -> table[]
--- The objects of which the index says this value.
--- @param index string  a name of opts.indexes
--- @param value string
--- @return table[]
--- @error usage  there is no such index
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:informer("pods", {indexes = {node = function(pod) ... end}})
function Informer:by(index, value)
  check_open(self)
  local found = self.indexes[index]
  if not found then
    usage("the informer has no index %q; %s", index, problems.suggestion(index, problems.sorted_keys(self.indexes)))
  end
  local keys = {}
  for key in pairs(found.keys[value] or {}) do
    keys[#keys + 1] = key
  end
  return sorted(self, keys)
end

--- informer:changes() -> iterator
--- for event in informer:changes() do ... end: first each object that there is, as type "added", then one
--- event of type "sync", then what changes: {type="added"|"modified"|"deleted", object=, old=}. Any number
--- of tasks may take changes. Who is slow is told the newest state, not each step to it; an object made
--- anew under the same name is deleted and added. It ends with the informer.
--- @async
--- @return fun(): table
--- @error denied  the user may not list or watch the kind any more
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Informer:changes()
  check_open(self)
  local follower = setmetatable({
    informer = self, told = {}, dirty = {}, queue = {}, first = 1, last = 0,
  }, Changes)
  local keys = problems.sorted_keys(self.objects)
  for _, key in ipairs(keys) do
    mark(follower, key)
  end
  self.followers[follower] = true
  return follower, nil, nil, follower
end

--- informer:close()
--- Ends the watch and gives the objects back. A scope that ends closes its informers.
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
function Informer:close()
  if not self.closed then
    finish(self)
    self.keeper:cancel()
  end
  self.objects, self.count, self.indexes = {}, 0, {}
end

Informer.__close = Informer.close

local OPTIONS <const> = {
  all_namespaces = "boolean", fields = "string|table", indexes = "table", labels = "string|table", name = "string",
  namespace = "string", on_change = "function", transform = "function",
}

local function read_indexes(given)
  local indexes = {}
  for name, of in pairs(given or {}) do
    if type(name) ~= "string" or type(of) ~= "function" then
      usage("bad argument 'opts.indexes' to '%s': expected {name = function(object) -> text or list}", OP)
    end
    indexes[name] = { of = of, values = {}, keys = {} }
  end
  return indexes
end

local informer = {}

--- client:informer(kind, opts?) -> ctz.kubernetes.Informer
--- Keeps a copy of the objects of a kind as the server has them: get, list, each and by look at it without
--- a request, changes tells what happens. One watch fills it, which outlives broken connections and restarts
--- of the server; also what was deleted meanwhile is told. It ends with the scope it was made in, or by
--- close.
--- @async
--- @param kind string  "pods", "deployments.apps", "deploy"
--- @param opts.namespace? string  default: that of the client
--- @param opts.all_namespaces? boolean
--- @param opts.name? string  this object only
--- @param opts.labels? string|table  selector: "app=web,tier!=cache", {app = "web"}
--- @param opts.fields? string|table  selector: "status.phase=Running", {["status.phase"] = "Running"}
--- @param opts.indexes? table<string, fun(object: table): string|string[]|nil>  for informer:by
--- @param opts.transform? fun(object: table): table  what of an object is kept; metadata has to stay
--- @param opts.on_change? fun(event: table)  called with each event of changes
--- @return ctz.kubernetes.Informer
--- @error not_found  the server has no such kind
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- local pods <close> = client:informer "pods" pods:wait_for_sync()
--- Api: client-go, tools/cache
function informer.informer(client, kind, opts)
  opts = check(OP, opts, OPTIONS)
  local indexes = read_indexes(opts.indexes)
  local watch = client:watch(kind, {
    namespace = opts.namespace, all_namespaces = opts.all_namespaces, name = opts.name, labels = opts.labels,
    fields = opts.fields,
  })
  local self = setmetatable({
    watch = watch,
    target = watch.target,
    namespaced = watch.resource.namespaced,
    namespace = opts.namespace or client.namespace,
    transform = opts.transform,
    indexes = indexes,
    objects = {}, -- "namespace/name" -> the object
    followers = {},
    count = 0,
    is_synced = false,
  }, Informer)
  self.keeper = task.spawn(function()
    keep(self)
  end, { background = true })
  if opts.on_change then
    task.spawn(function()
      for event in self:changes() do
        opts.on_change(event)
      end
    end, { background = true })
  end
  return self
end

return informer
