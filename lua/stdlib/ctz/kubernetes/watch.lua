-- kubernetes/watch.lua: what happens to the objects of a kind, without an end and without a gap.
-- SPDX-License-Identifier: MIT
-- Source: Kubernetes API concepts, "Efficient detection of changes"; client-go, tools/cache/reflector.go.
--
-- First all objects are listed, page by page, then changes are watched from that version on. A watch
-- that ends goes on from the last version seen, which bookmarks keep fresh. When the server has
-- forgotten that version (410), all is listed again and compared with what is known, so that what
-- happened in between is told: also what was deleted. A peer that is silently gone is noticed by TCP
-- itself within a minute (host/http/transfer.c), so an idle watch wakes up for bookmarks only. A server
-- that hangs while its kernel still answers is noticed when its bookmarks, or the end of the watch, fail
-- to come.
local check = require("ctz.options").check
local json = require "ctz.json"
local listings = require "ctz.kubernetes.listing"
local log = require "ctz.log"
local new_error = require("ctz.core.task").error
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"

local error, next, pairs, pcall = error, next, pairs, pcall
local setmetatable, type = setmetatable, type
local concat, max, min, random, tointeger = table.concat, math.max, math.min, math.random, math.tointeger
local monotonic = require("ctz.time").monotonic

local OP <const> = "kubernetes.watch"
local PAGE <const> = 500 -- objects of a list at once
local SESSION_S <const> = 300 -- the server ends a watch after so long, or up to twice that
local LATE_S <const> = 30 -- and not later than so long after that
local SILENCE_S <const> = 150 -- a server that sends bookmarks does so every minute
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

-- What is kept of an object: enough to tell later that it is gone. One text each, there may be many.
local function kept_of(meta)
  return ("%s %s %s"):format(meta.resourceVersion or "", meta.name, meta.namespace or "")
end

-- Objects of a server beside the cluster's own may have no uid.
local function id_of(meta)
  return meta.uid or ("%s/%s"):format(meta.namespace or "", meta.name)
end

local function keep(self, object)
  self.known[id_of(object.metadata)] = kept_of(object.metadata)
end

-- --- the list ----------------------------------------------------------------------------------

local function query_of(self, fields)
  fields.labelSelector, fields.fieldSelector = self.labels, self.fields
  return fields
end

local function tell_listed(self, object)
  local meta = object.metadata
  local known = self.known[id_of(meta)]
  if self.seen then
    self.seen[id_of(meta)] = true
  end
  if known ~= kept_of(meta) then
    keep(self, object)
    push(self, { type = known and "modified" or "added", object = complete(self, object) })
  end
end

-- What is known and was not in the list is gone; of it only the name is known.
local function tell_gone(self)
  for id, known in pairs(self.seen and self.known or {}) do
    if not self.seen[id] then
      local name, namespace = known:match " (%S+) (%S*)$"
      namespace = namespace ~= "" and namespace or nil
      self.known[id] = nil
      push(self, {
        type = "deleted",
        final = false,
        object = complete(self, {
          metadata = { name = name, namespace = namespace, uid = not id:find("/", 1, true) and id or nil },
        }),
      })
    end
  end
end

local function end_list(self, version)
  tell_gone(self)
  self.seen, self.version, self.is_whole = nil, version or "", true
  if not self.synced then
    self.synced = true
    push(self, { type = "sync" })
  end
end

-- Takes one object of the page, so that no more of it than its text is held.
local function list_some(self)
  self.page = self.page or listings.of(self.client:call("GET", self.path, {
    op = OP,
    target = self.target,
    query = query_of(self, { limit = PAGE, continue = self.continue }),
    items = true,
  }))
  local object = self.page:next()
  if object then
    tell_listed(self, object)
    return
  end
  local metadata = self.page.head.metadata
  self.page, self.continue = nil, metadata.continue ~= "" and metadata.continue or nil
  if not self.continue then
    end_list(self, metadata.resourceVersion)
  end
end

local function begin_list(self)
  self.version, self.continue, self.seen = nil, nil, next(self.known) and {} or nil
end

-- --- the watch ---------------------------------------------------------------------------------

local function close(self)
  if self.stream then
    self.stream:close()
  end
  self.stream, self.page, self.parts, self.size = nil, nil, {}, 0
end

local function open(self)
  local seconds = SESSION_S + random(0, SESSION_S)
  local stream = self.client:stream("GET", self.path, {
    op = OP,
    target = self.target,
    timeout = self.client.timeout,
    query = query_of(self, {
      watch = true,
      allowWatchBookmarks = true,
      resourceVersion = self.version,
      timeoutSeconds = seconds,
    }),
  })
  self.ends_at = monotonic() + seconds + LATE_S
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

-- What came is not what the server means: said, and listed anew when that may be amiss.
local function broken(self, text, relist)
  local err = new_error {
    kind = "protocol", op = OP, target = self.target, retryable = true,
    message = ("watch %s: the server sent %s"):format(self.target, text),
  }
  err.relist = relist
  error(err, 0)
end

-- Versions of one kind count up.
-- Source: Kubernetes API concepts, "Resource versions"
local function is_before(left, right)
  return left:find "^%d+$" and right:find "^%d+$" and tointeger(left) < tointeger(right)
end

-- Is this what was told already?
local function is_known(self, name, object)
  local known = self.known[id_of(object.metadata)]
  if name == "deleted" then
    return self.is_whole and not known
  end
  return known == kept_of(object.metadata)
end

local function tell(self, name, object)
  local id = id_of(object.metadata)
  if is_known(self, name, object) then
    return
  elseif name == "deleted" then
    self.known[id] = nil
  else
    name = self.known[id] and "modified" or name
    keep(self, object)
  end
  push(self, { type = name, object = object })
end

local function take(self, line)
  local ok, event = pcall(json.decode, line, BIG)
  local object = ok and type(event) == "table" and event.object
  if type(object) ~= "table" then
    broken(self, "what is no event: " .. line:sub(1, 80))
  elseif event.type == "ERROR" then
    error(failure_of(self, object), 0)
  end
  local version = type(object.metadata) == "table" and object.metadata.resourceVersion
  if type(version) ~= "string" then
    broken(self, "an object without a version: " .. line:sub(1, 80), true)
  elseif is_before(version, self.version) then
    broken(self, ("version %s after %s"):format(version, self.version), true)
  end
  if version ~= "" and self.version ~= "" then -- a server without versions is listed again when the watch ends
    self.version = version
  end
  self.delay = nil
  self.has_bookmarks = self.has_bookmarks or event.type == "BOOKMARK"
  if TYPES[event.type] then
    tell(self, TYPES[event.type], object)
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

-- A watch that the server ends goes on at the same version, or with a list where there is none.
local function read(self)
  local left = max(0.001, self.ends_at - monotonic())
  if self.has_bookmarks then
    left = min(left, self.silence)
  end
  local chunk = task.timeout(left, self.chunks, self.stream)
  if chunk then
    feed(self, chunk)
    return
  end
  close(self)
  if self.version == "" then
    begin_list(self)
    task.sleep(FIRST_DELAY_S)
  end
end

local function step(self)
  if not self.version then
    list_some(self)
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
  elseif err.relist then
    begin_list(self)
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
    known = {}, -- id -> "VERSION NAME NAMESPACE"
    seen = nil, -- ids of a list that is compared with them
    queue = {}, first = 1, last = 0,
    parts = {}, size = 0,
    silence = SILENCE_S,
  }, Watch)
  return self, nil, nil, self
end

return watch
