-- kubernetes/simulate/state.lua: the objects of a simulated cluster, their versions and what happened to them.
-- SPDX-License-Identifier: MIT
--
-- What is stored is never changed in place: a change puts another table there. So history, lists that are
-- read page by page and watches hold objects without copying them.
local byte_less = require("ctz.problems").byte_less
local docker = require "ctz.docker.simulate"
local hash = require "ctz.hash"
local kinds = require "ctz.kubernetes.simulate.kinds"
local time = require "ctz.time"
local values = require "ctz.kubernetes.simulate.values"

local error, ipairs, next, setmetatable, tonumber, tostring = error, ipairs, next, setmetatable, tonumber, tostring
local sort = table.sort

local HISTORY <const> = 10000 -- changes that a watch can go on from
local FIRST_VERSION <const> = 1000
local ALPHABET <const> = "bcdfghjklmnpqrstvwxz2456789" -- of names that the server makes
local CONTROLLERS_S <const> = 0.005 -- after a change

local State = {}
State.__index = State

-- --- time and names ------------------------------------------------------------------------------

-- The clock's time as objects tell it.
function State:stamp(seconds)
  return time.format((seconds or self.kernel.clock) // 1 | 0)
end

function State:micro_stamp()
  return time.format(self.kernel.clock, { digits = 6 })
end

local function number(self)
  self.made = self.made + 1
  return self.made
end

function State:new_uid()
  local hex = hash.sha256(("simulated %d"):format(number(self)))
  return ("%s-%s-4%s-8%s-%s"):format(hex:sub(1, 8), hex:sub(9, 12), hex:sub(13, 15), hex:sub(16, 18), hex:sub(19, 30))
end

-- What is put behind generateName: the same in each run.
function State:suffix()
  local hex, parts = hash.sha256(("name %d"):format(number(self))), {}
  for i = 1, 5 do
    local at = tonumber(hex:sub(i * 2 - 1, i * 2), 16) % #ALPHABET + 1
    parts[i] = ALPHABET:sub(at, at)
  end
  return table.concat(parts)
end

-- --- kinds ---------------------------------------------------------------------------------------

function State:resource(group, version, name)
  return self.by_path[group .. "/" .. version .. "/" .. name]
end

-- One of a built-in kind, by "deployments" or "group/plural".
function State:kind(key)
  return self.by_key[key] or self.by_key["/" .. key]
end

function State:index_kinds()
  self.by_path, self.by_key = {}, {}
  for _, resource in ipairs(self.resources) do
    self.by_path[resource.group .. "/" .. resource.version .. "/" .. resource.name] = resource
    self.by_key[resource.key] = self.by_key[resource.key] or resource
  end
end

-- The kinds that definitions make, beside those that are always there.
function State:read_definitions()
  self.resources = { table.unpack(self.built_in) }
  for _, definition in ipairs(self:list(self:kind "apiextensions.k8s.io/customresourcedefinitions")) do
    for _, resource in ipairs(kinds.of_definition(definition)) do
      self.resources[#self.resources + 1] = resource
    end
  end
  self:index_kinds()
end

-- --- objects -------------------------------------------------------------------------------------

local function collection(self, key)
  local found = self.objects[key]
  if not found then
    found = { by_name = {} }
    self.objects[key] = found
  end
  return found
end

local function name_of(namespace, name)
  return (namespace or "") .. "\0" .. name
end

function State:get(resource, namespace, name)
  return collection(self, resource.key).by_name[name_of(resource.namespaced and namespace or nil, name)]
end

-- All of a kind, or of one namespace, by namespace and name.
function State:list(resource, namespace)
  local all = collection(self, resource.key)
  if not all.sorted then
    local names, sorted = {}, {}
    for name in next, all.by_name do
      names[#names + 1] = name
    end
    sort(names, byte_less)
    for i, name in ipairs(names) do
      sorted[i] = all.by_name[name]
    end
    all.sorted = sorted
  end
  if not namespace or not resource.namespaced then
    return all.sorted
  end
  local found = {}
  for _, object in ipairs(all.sorted) do
    if object.metadata.namespace == namespace then
      found[#found + 1] = object
    end
  end
  return found
end

local function remember(self, kind, resource, object, before)
  self.last = self.last + 1
  self.history[self.last] = {
    type = kind, key = resource.key, resource = resource, object = object, before = before, version = self.version,
  }
  if self.last - self.first >= HISTORY then
    self.oldest = self.history[self.first].version
    self.history[self.first] = nil
    self.first = self.first + 1
  end
end

-- Controllers look at what there is.
function State:wake(delay)
  local due = self.kernel.clock + (delay or CONTROLLERS_S)
  if self.planned and self.planned.fn and self.planned.due <= due then
    return
  elseif self.planned then
    self.planned.fn = nil
  end
  self.planned = self.kernel:at(due, function()
    self.planned = nil
    self.controllers(self)
  end)
end

-- Writes an object that is new, or other than the one that is there: with the next version.
function State:put(resource, object)
  local meta = object.metadata
  local all, name = collection(self, resource.key), name_of(meta.namespace, meta.name)
  local before = all.by_name[name]
  self.version = self.version + 1
  meta.resourceVersion = tostring(self.version)
  all.by_name[name], all.sorted = object, nil
  remember(self, before and "MODIFIED" or "ADDED", resource, object, before)
  if resource.kind == "CustomResourceDefinition" then
    self:read_definitions()
  end
  if resource.kind ~= "Event" then
    self:wake()
  end
  return object
end

-- Takes an object out.
function State:remove(resource, object)
  local meta = object.metadata
  local all = collection(self, resource.key)
  all.by_name[name_of(meta.namespace, meta.name)], all.sorted = nil, nil
  self.version = self.version + 1
  local last = values.copy(object)
  last.metadata.resourceVersion = tostring(self.version)
  remember(self, "DELETED", resource, last, object)
  if resource.kind == "CustomResourceDefinition" then
    for _, custom in ipairs(kinds.of_definition(object)) do
      for _, one in ipairs(self:list(custom)) do
        self:remove(custom, one)
      end
    end
    self:read_definitions()
  end
  self:wake()
  return last
end

-- Watches cannot go on from what was before now, nor lists that were begun.
function State:forget()
  self.history, self.first, self.last, self.oldest, self.pages = {}, 1, 0, self.version, {}
end

-- Raises, once, what a container did that is not modelled: who asks next is told.
function State:check()
  local err = self.failure
  if err then
    self.failure = nil
    error(err, 0)
  end
end

-- --- a cluster -----------------------------------------------------------------------------------

-- settings: images, registry, programs (see ctz.simulate.cluster), nodes; controllers(state): what acts.
local function new(settings, controllers)
  local engine = docker.new_engine {
    images = settings.images, registry = settings.registry, programs = settings.programs,
  }
  local state = setmetatable({
    settings = settings,
    engine = engine, -- runs the containers of all nodes
    runtime = docker.new_client(engine),
    kernel = engine.kernel,
    controllers = controllers,
    version = FIRST_VERSION,
    made = 0,
    objects = {}, -- key of a kind -> {by_name, sorted}
    history = {}, first = 1, last = 0, -- changes by number, {type, key, object, before, version}
    oldest = 0, -- versions before it are forgotten
    pages = {}, -- lists that are read page by page
    pods = {}, -- uid -> what runs (see kubelet.lua)
    refused = {}, -- uid of a set -> {words, until_s}: its pods are refused, and not tried again before that
    calls = {},
  }, State)
  state.built_in = kinds.built_in()
  state.resources = state.built_in
  state:index_kinds()
  return state
end

return { new = new }
