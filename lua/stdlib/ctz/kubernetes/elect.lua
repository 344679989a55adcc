-- kubernetes/elect.lua: one of many leads: the election of a leader by a Lease.
-- SPDX-License-Identifier: MIT
-- Source: client-go, tools/leaderelection (leaderelection.go, resourcelock/leaselock.go); coordination.k8s.io/v1.
--
-- The record in the Lease is client-go's. Its times are for people: whether another one's time is over is told by
-- how long the record has not changed as this process sees it, so clocks may differ. The own time counts from before
-- the request that renewed it, so it is over here before it is over for others.
local check = require("ctz.options").check
local discovery = require "ctz.kubernetes.discovery"
local failure = require "ctz.kubernetes.failure"
local json = require "ctz.json"
local log = require "ctz.log"
local new_error = require("ctz.core.task").error
local targets = require "ctz.kubernetes.targets"
local task = require "ctz.core.task"
local time = require "ctz.time"

local error, io, pairs, pcall, setmetatable, type = error, io, pairs, pcall, setmetatable, type
local ceil, max, min, random = math.ceil, math.max, math.min, math.random

local OP <const> = "kubernetes.elect"
local LEASE <const> = { group = "coordination.k8s.io", version = "v1", name = "leases", namespaced = true }
local LEASE_S <const>, RENEW_S <const>, RETRY_S <const> = 15, 10, 2 -- as client-go's controllers have them
local JITTER <const> = 1.2 -- who does not lead asks up to so many times later
local RELEASE_S <const> = 3 -- a server that does not answer does not keep the program from ending
local OTHERS_S <const> = 1 -- what a released lease is worth

local function given(value)
  return value ~= nil and value ~= json.null and value or nil
end

-- --- the record --------------------------------------------------------------------------------

local function now_text()
  return time.format(time.now(), { digits = 6 })
end

local function call(self, method, path, opts)
  opts.op, opts.target, opts.timeout, opts.retry = OP, self.target, self.renew_deadline, false
  return self.client:call(method, path, opts)
end

-- Remembers a lease and when it was first seen so: at, by the clock of this machine.
local function observe(self, lease, at)
  local record = json.encode(lease.spec)
  if record ~= self.record then
    self.record, self.observed_at = record, at
  end
  self.lease = lease
  local holder = given(lease.spec.holderIdentity) or ""
  if holder ~= self.holder then
    self.holder = holder
    if self.on_leader and holder ~= "" then
      self.on_leader(holder)
    end
  end
end

local function is_valid(self)
  local seconds = given(self.lease.spec.leaseDurationSeconds) or 0
  return self.holder ~= "" and time.monotonic() < self.observed_at + seconds
end

-- The lease as it is to be: ours. What others wrote into it stays.
local function claim(self, holder, seconds)
  local before = self.lease and self.lease.spec or {}
  local lease = { apiVersion = "coordination.k8s.io/v1", kind = "Lease", spec = {} }
  lease.metadata = self.lease and self.lease.metadata or { name = self.name, namespace = self.namespace }
  for name, value in pairs(before) do
    lease.spec[name] = value
  end
  local spec, is_same, now = lease.spec, self.holder == holder, now_text()
  spec.holderIdentity, spec.leaseDurationSeconds, spec.renewTime = holder, seconds, now
  spec.acquireTime = is_same and given(before.acquireTime) or now
  local transitions = given(before.leaseTransitions) or 0
  spec.leaseTransitions = self.lease and not is_same and holder ~= "" and transitions + 1 or transitions
  return lease
end

local function write(self, holder, seconds)
  local at, lease = time.monotonic(), claim(self, holder, seconds)
  local query = { fieldManager = "ctz" }
  if self.lease then
    lease = call(self, "PUT", self.path, { json = lease, query = query })
  else
    lease = call(self, "POST", self.collection, { json = lease, query = query })
  end
  observe(self, lease, at)
  self.renewed_at = at
end

local function is_conflict(err)
  return type(err) == "table" and err.status == 409
end

-- One try to lead, or to go on with it -> boolean. Somebody else's write meanwhile is no error.
local function try_once(self)
  if not self.leading or not self.lease then -- who leads knows what it wrote
    local lease, status = call(self, "GET", self.path, { ok = { [404] = true } })
    if status == 404 then
      self.lease, self.holder, self.record = nil, "", nil
    else
      observe(self, lease, time.monotonic())
    end
  end
  if self.lease and self.holder ~= self.identity and (self.leading or is_valid(self)) then
    return false -- who led is told, also when nobody leads now
  end
  local ok, err = pcall(write, self, self.identity, self.seconds)
  self.unsure = not ok and not is_conflict(err) -- the server may have taken what broke off
  if not ok then
    if self.leading then
      self.lease = nil -- look again before the next try
    end
    if not is_conflict(err) and not (type(err) == "table" and err.status == 404) then
      error(err, 0)
    end
  end
  return ok
end

-- --- waiting and holding -----------------------------------------------------------------------

local PASSING <const> = { unreachable = true, protocol = true, io = true, timeout = true, rate_limited = true }

local function passes(err)
  return type(err) == "table" and (PASSING[err.kind] or (err.status or 0) >= 500) and err.kind ~= "cancelled"
end

-- Until it leads. A server that was never reached is told at once.
local function acquire(self)
  while true do
    local ok, result = pcall(try_once, self)
    if ok and result then
      return
    elseif not ok and (not passes(result) or not self.client.answered) then
      error(result, 0)
    elseif not ok then
      log.debug("a lease cannot be looked at", { lease = self.target, reason = result.message })
    end
    task.sleep(self.retry_period * (1 + random() * JITTER))
  end
end

local function lost(self, reason, cause)
  self.leading = false
  error(new_error {
    kind = "conflict", op = OP, target = self.target, cause = type(cause) == "table" and cause or nil,
    message = ("%s does not lead any more: %s"):format(self.identity, reason),
    hint = "what it did was cancelled; contend again by another client:elect",
  }, 0)
end

-- Raises when a try to renew it says that somebody else leads, or that no try will do.
local function check_renewal(self, ok, result)
  if ok and not result and self.lease then
    lost(self, ("%s has the %s"):format(self.holder ~= "" and self.holder or "nobody", self.target))
  elseif not ok and type(result) == "table" and result.kind == "cancelled" then
    error(result, 0)
  elseif not ok and not passes(result) then
    local words = type(result) == "table" and result.message or result
    lost(self, ("%s cannot be renewed: %s"):format(self.target, words), result)
  end
end

-- Renews it until that fails for too long, or somebody else has it: both raise.
local function hold(self)
  local failed
  while true do
    local left = self.renewed_at + self.renew_deadline - time.monotonic()
    task.sleep(max(0, min(self.retry_period, left)))
    left = self.renewed_at + self.renew_deadline - time.monotonic()
    if left <= 0 then
      lost(self, ("%s could not be renewed for %g s%s"):format(self.target, self.renew_deadline,
        failed and ": " .. failed.message or ""), failed)
    end
    local ok, result = pcall(task.timeout, left, try_once, self)
    check_renewal(self, ok, result)
    if ok then
      failed = nil
    elseif not failed or result.op == OP then -- the deadline says less than the server did
      failed = result
    end
  end
end

-- Gives it back, so that others need not wait for its end. It is not ours any more when somebody wrote it.
local function release(self)
  if not self.leading and not self.unsure or not self.releases then
    return
  end
  local unsure = self.unsure
  self.leading, self.unsure = false, false
  pcall(task.timeout, RELEASE_S, function()
    if unsure or not self.lease then
      observe(self, call(self, "GET", self.path, {}), time.monotonic())
    end
    if self.holder == self.identity then
      write(self, "", OTHERS_S)
    end
  end)
end

local function lead(self, fn)
  return task.scope(function()
    task.spawn(function()
      hold(self)
    end, { background = true })
    return task.scope(function()
      return fn(self.leader)
    end)
  end)
end

-- --- options -----------------------------------------------------------------------------------

local function host_name()
  local ok, file = pcall(io.open, "/proc/sys/kernel/hostname", "rb")
  local name = ok and file and file:read "l"
  if ok and file then
    file:close()
  end
  return name or "ctz"
end

local OPTIONS <const> = {
  identity = "string", lease_duration = "seconds", name = "string!", namespace = "string", on_leader = "function",
  release = "boolean", renew_deadline = "seconds", retry_period = "seconds", timeout = "seconds",
}

local function check_times(lease, renew, retry)
  if lease < 1 then
    failure.usage(OP, "bad argument 'opts.lease_duration' to '%s': expected 1 s or more, got %g", OP, lease)
  elseif lease <= renew then
    failure.usage(OP, "'%s': lease_duration (%g s) has to be longer than renew_deadline (%g s)", OP, lease, renew)
  elseif retry <= 0 or renew <= retry * JITTER then
    failure.usage(OP, "'%s': renew_deadline (%g s) has to be longer than %g times retry_period (%g s)", OP, renew,
      JITTER, retry)
  end
end

local function read(client, opts)
  local lease, renew, retry = opts.lease_duration or LEASE_S, opts.renew_deadline, opts.retry_period
  renew = renew or min(RENEW_S, lease * RENEW_S / LEASE_S)
  retry = retry or min(RETRY_S, renew * RETRY_S / RENEW_S)
  check_times(lease, renew, retry)
  local name, namespace = targets.check_name(OP, opts.name), opts.namespace or client.namespace
  targets.check_name(OP, namespace)
  local identity = opts.identity or ("%s_%016x"):format(host_name(), random(0))
  if identity == "" then
    failure.usage(OP, "bad argument 'opts.identity' to '%s': it is empty", OP)
  end
  return {
    client = client, name = name, namespace = namespace, identity = identity,
    target = ("lease %s in %s"):format(name, namespace),
    collection = discovery.path(LEASE, namespace), path = discovery.path(LEASE, namespace, name),
    seconds = ceil(lease), renew_deadline = renew, retry_period = retry,
    releases = opts.release ~= false, on_leader = opts.on_leader, holder = "",
  }
end

local elect = {}

--- client:elect(opts, fn) -> any...
--- Waits until this program leads, calls fn(leader), and returns what it returned. Of all that contend for
--- the Lease `name`, in ctz or in client-go, one leads at a time. fn runs in a scope of its own: when the
--- leadership is lost, all in it is cancelled and kind conflict is raised. When fn ends, fails or is
--- cancelled, the leadership is given back at once. leader is {identity, name, namespace, transitions}.
--- @async
--- @param opts.name string  of the Lease
--- @param opts.namespace? string  default: that of the client
--- @param opts.identity? string  who this is; default: the host's name and a random number
--- @param opts.lease_duration? ctz.seconds  how long others wait for a leader that is silent; default 15
--- @param opts.renew_deadline? ctz.seconds  how long this leader tries to renew it; default 10, or two thirds
--- @param opts.retry_period? ctz.seconds  between two tries; default 2, or a fifth of renew_deadline
--- @param opts.release? boolean  false: others have to wait until the lease ends
--- @param opts.timeout? ctz.seconds  until it leads; default: without an end
--- @param opts.on_leader? fun(identity: string)  called when there is another leader, this one too
--- @param fn fun(leader: table): any...
--- @return any...  what fn returned
--- @error conflict  the leadership was lost
--- @error timeout  it did not lead in time
--- @error denied  the user may not write the Lease
--- @example local _, err = ctz.try(ctz.kubernetes.connect, {kubeconfig="none.yaml"})
--- @example assert(err:is "not_found") -- client:elect({name = "nightly"}, function() ctz.sleep(60) end)
--- Api: client-go, tools/leaderelection; coordination.k8s.io/v1 Lease
function elect.elect(client, opts, fn)
  opts = check(OP, opts, OPTIONS)
  if type(fn) ~= "function" then
    failure.usage(OP, "bad argument 'fn' to '%s': expected a function, got %s", OP, type(fn))
  end
  local self = read(client, opts)
  self.leader = { identity = self.identity, name = self.name, namespace = self.namespace }
  if client:plans("lead %s as %s", self.target, self.identity) then
    return task.scope(function()
      return fn(self.leader)
    end)
  end
  local giving_back <close> = setmetatable({}, { __close = function() -- luacheck: ignore 211
    release(self)
  end })
  if opts.timeout then
    local ok, err = pcall(task.timeout, opts.timeout, acquire, self)
    if not ok and type(err) == "table" and err.kind == "timeout" and err.op ~= OP then
      failure.fail("timeout", OP, ("%s does not lead after %g s: %s"):format(self.identity, opts.timeout,
        self.holder ~= "" and self.holder .. " leads" or "the lease was not to be had"), { target = self.target })
    elseif not ok then
      error(err, 0)
    end
  else
    acquire(self)
  end
  self.leading = true
  self.leader.transitions = self.lease.spec.leaseTransitions
  return lead(self, fn)
end

return elect
