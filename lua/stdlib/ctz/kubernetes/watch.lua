-- kubernetes/watch.lua: what happens to the objects of a kind, without an end and without a gap.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API concepts, "Efficient detection of changes"; client-go, tools/cache/reflector.go.
--
-- First all objects are listed, page by page, then changes are watched from that version on. A watch
-- that ends goes on from the last version seen, which bookmarks keep fresh. When the server has
-- forgotten that version (410), all is listed again and compared with what is known, so that what
-- happened in between is told: also what was deleted. A peer that is silently gone is noticed by TCP
-- itself within a minute (host/http/transfer.c), so an idle watch wakes up for bookmarks only.
local check = require("ctz.options").check
local json = require "ctz.json"
local log = require "ctz.log"
local new_error = require("ctz.core.task").error
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"

local error, ipairs, pairs, pcall = error, ipairs, pairs, pcall
local setmetatable, type = setmetatable, type
local concat, min, random = table.concat, math.min, math.random

local OP <const> = "kubernetes.watch"
local PAGE <const> = 500 -- objects of a list at once
local SESSION_S <const> = 300 -- the server ends a watch after so long, or up to twice that
local OBJECT_BYTES <const> = 16 * 1024 * 1024 -- one event; etcd keeps objects of 1.5 MB at most
local FIRST_DELAY_S <const>, LONGEST_DELAY_S <const> = 0.1, 15
local GONE <const> = 410
local BIG <const> = { big = "float" }

local TYPES <const> = { ADDED = "added", MODIFIED = "modified", DELETED = "deleted" }

-- What passes: the server restarts, is busy, or the way to it broke. Others would come again.
local PASSING <const> = { unreachable = true, protocol = true, io = true, timeout = true, busy = true }

local function passes(err)
  if type(err) ~= "table" then
    return false
  end
  return PASSING[err.kind] or err.retryable or err.status == 429 or (err.status or 0) >= 500
end

-- --- events ------------------------------------------------------------------------------------

local function push(self, event)
  local last = self.last + 1
  self.queue[last], self.last = event, last
end

local function pop(self)
  local event = self.queue[self.first]
  if event then
    self.queue[self.first] = nil
    self.first = self.first + 1
  end
  return event
end

-- An object by itself says what it is; in a list the list says it.
local function complete(self, object)
  object.kind = object.kind or self.resource.kind
  object.apiVersion = object.apiVersion or self.resource.api_version
  return object
end

-- What is kept of an object: enough to tell later that it is gone.
local function keep(self, object)
  local meta = object.metadata
  self.known[meta.uid] = { meta.resourceVersion, meta.name, meta.namespace }
end

-- --- the list ----------------------------------------------------------------------------------

local function query_of(self, fields)
  fields.labelSelector, fields.fieldSelector = self.labels, self.fields
  return fields
end

local function tell_listed(self, object)
  local meta = object.metadata
  local known = self.known[meta.uid]
  self.seen[meta.uid] = true
  if not known or known[1] ~= meta.resourceVersion then
    keep(self, object)
    push(self, { type = known and "modified" or "added", object = complete(self, object) })
  end
end

-- What is known and was not in the list is gone; of it only the name is known.
local function tell_gone(self)
  for uid, known in pairs(self.known) do
    if not self.seen[uid] then
      self.known[uid] = nil
      push(self, {
        type = "deleted",
        final = false,
        object = complete(self, { metadata = { name = known[2], namespace = known[3], uid = uid } }),
      })
    end
  end
end

local function list_page(self)
  local list = self.client:call("GET", self.path, {
    op = OP,
    target = self.target,
    query = query_of(self, { limit = PAGE, continue = self.continue }),
  })
  for _, object in ipairs(list.items) do
    tell_listed(self, object)
  end
  self.continue = list.metadata.continue
  if self.continue == "" then
    self.continue = nil
  end
  if self.continue then
    return
  end
  tell_gone(self)
  self.seen = {}
  self.version = list.metadata.resourceVersion
  if not self.synced then
    self.synced = true
    push(self, { type = "sync" })
  end
end

local function begin_list(self)
  self.version, self.continue, self.seen = nil, nil, {}
end

-- --- the watch ---------------------------------------------------------------------------------

local function close(self)
  if self.stream then
    self.stream:close()
  end
  self.stream, self.parts, self.size = nil, {}, 0
end

local function open(self)
  local stream = self.client:stream("GET", self.path, {
    op = OP,
    target = self.target,
    query = query_of(self, {
      watch = true,
      allowWatchBookmarks = true,
      resourceVersion = self.version,
      timeoutSeconds = SESSION_S + random(0, SESSION_S),
    }),
  })
  self.stream, self.parts, self.size = stream, {}, 0
  self.chunks = stream:chunks()
end

-- What the server said instead of an event: {code=, message=} of its Status.
local function failure_of(self, status)
  return new_error {
    kind = status.code == GONE and "not_found" or "unreachable",
    op = OP,
    message = ("watch %s: %s"):format(self.target, status.message or status.reason or "the server ended it"),
    target = self.target,
    status = status.code,
    reason = status.reason,
    retryable = true,
  }
end

local function take(self, line)
  local ok, event = pcall(json.decode, line, BIG)
  if not ok or type(event) ~= "table" or type(event.object) ~= "table" then
    error(new_error {
      kind = "protocol", op = OP, target = self.target, retryable = true,
      message = ("watch %s: the server sent what is no event: %s"):format(self.target, line:sub(1, 80)),
    }, 0)
  end
  local object = event.object
  if event.type == "ERROR" then
    error(failure_of(self, object), 0)
  end
  self.version = object.metadata.resourceVersion
  self.delay = nil
  local name = TYPES[event.type]
  if name == "deleted" then
    self.known[object.metadata.uid] = nil
  elseif name then
    keep(self, object)
  end
  if name then
    push(self, { type = name, object = object })
  end
end

-- Cuts what came into lines; the end of the last one may be missing yet.
local function feed(self, chunk)
  local from = 1
  while true do
    local at = chunk:find("\n", from, true)
    if not at then
      break
    end
    self.parts[#self.parts + 1] = chunk:sub(from, at - 1)
    local line = concat(self.parts)
    self.parts, self.size = {}, 0
    from = at + 1
    if line ~= "" then
      take(self, line)
    end
  end
  local rest = from == 1 and chunk or chunk:sub(from)
  if rest ~= "" then
    self.parts[#self.parts + 1], self.size = rest, self.size + #rest
  end
  if self.size > OBJECT_BYTES then
    error(new_error {
      kind = "size", op = OP, target = self.target,
      message = ("watch %s: one event is longer than %d bytes"):format(self.target, OBJECT_BYTES),
    }, 0)
  end
end

-- A watch that the server ends goes on at the same version.
local function read(self)
  local chunk = self.chunks(self.stream)
  if chunk then
    feed(self, chunk)
  else
    close(self)
  end
end

local function step(self)
  if not self.version then
    list_page(self)
  elseif not self.stream then
    open(self)
  else
    read(self)
  end
end

-- --- what goes wrong ---------------------------------------------------------------------------

local function rest(self, err)
  local delay = self.delay or FIRST_DELAY_S
  self.delay = min(delay * 2, LONGEST_DELAY_S)
  log.debug("a watch is taken up again", { of = self.target, after_s = delay, reason = err.message })
  task.sleep(delay * (0.5 + random() / 2))
end

local function mend(self, err)
  if self.stream and type(err) == "table" and not err.status then
    err = self.client:failure(err, { op = OP, target = self.target })
  end
  close(self)
  if type(err) == "table" and err.status == GONE then
    begin_list(self)
    return
  elseif not passes(err) then
    error(err, 0)
  end
  rest(self, err)
end

local function next_event(self)
  while not self.closed do
    local event = pop(self)
    if event then
      return event
    end
    local ok, err = pcall(step, self)
    if not ok then
      mend(self, err)
    end
  end
end

-- --- the iterator ------------------------------------------------------------------------------

local Watch = { __name = "ctz.kubernetes.watch", __call = next_event }
Watch.__index = Watch

function Watch:close()
  self.closed = true
  close(self)
end

Watch.__close = Watch.close

local OPTIONS <const> = {
  all_namespaces = "boolean", fields = "string|table", labels = "string|table", name = "string", namespace = "string",
  resource_version = "string",
}

-- The field selector of one name, and what else is asked for.
local function fields_of(opts)
  local text = targets.selector_text(OP, "fields", opts.fields)
  local name = opts.name and "metadata.name=" .. targets.check_name(OP, opts.name)
  return text and name and name .. "," .. text or name or text
end

local watch = {}

--- client:watch(kind, opts?) -> iterator
--- for event in k:watch("pods") do ... end: every change of the objects of a kind, for ever. First each
--- object that there is, as type "added", then one event of type "sync", then changes as they come:
--- {type="added"|"modified"|"deleted", object=}. It outlives ended and broken connections and restarts
--- of the server; when the server has forgotten what happened meanwhile it lists again and tells the
--- difference. A deletion found in this way has final=false: its object has name, namespace and uid
--- only. break ends it.
--- @async
--- @param kind string  "pods", "deployments.apps", "deploy"
--- @param opts.namespace? string  default: that of the client
--- @param opts.all_namespaces? boolean
--- @param opts.name? string  this object only
--- @param opts.labels? string|table  selector: "app=web,tier!=cache", {app = "web"}
--- @param opts.fields? string|table  selector: "status.phase=Running", {["status.phase"] = "Running"}
--- @param opts.resource_version? string  to go on from, instead of a list; then no "sync" comes
--- @error not_found  the server has no such kind
--- @error denied  the user may not list or watch it
--- @example local k = ctz.kubernetes
--- @example local _, err = ctz.try(k.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found")
--- Api: Kubernetes API, watch
function watch.watch(client, kind, opts)
  opts = check(OP, opts, OPTIONS)
  local target = targets.collection(client, OP, kind, opts)
  local self = setmetatable({
    client = client,
    resource = target.resource,
    path = target:path(),
    target = target.resource.name .. (target.namespace and " in " .. target.namespace or ""),
    labels = targets.selector_text(OP, "labels", opts.labels),
    fields = fields_of(opts),
    version = opts.resource_version,
    synced = opts.resource_version ~= nil,
    known = {}, -- uid -> {resource version, name, namespace}
    seen = {},
    queue = {}, first = 1, last = 0,
    parts = {}, size = 0,
  }, Watch)
  return self, nil, nil, self
end

return watch
