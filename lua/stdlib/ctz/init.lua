-- ctz: tasks and what they are composed of; the other modules load on first use.
-- SPDX-License-Identifier: MIT
local task = require "ctz.core.task"
local channel = require "ctz.core.channel"
local cli = require "ctz.core.cli"
local host = require "ctz.core.host"

local error, ipairs, next, pairs, pcall, type = error, ipairs, next, pairs, pcall, type
local min, random, tointeger = math.min, math.random, math.tointeger
local pack, unpack = table.pack, table.unpack
local scope, sleep, spawn, remaining, new_error = task.scope, task.sleep, task.spawn, task.remaining, task.error

local function usage(level, text, ...)
  error(new_error { kind = "usage", message = text:format(...) }, level + 1)
end

local function check(value, expected, name, fn)
  if type(value) ~= expected then
    usage(3, "bad argument '%s' to '%s': expected %s, got %s", name, fn, expected, type(value))
  end
end

-- Options of a function: every key known, every value of its type.
local function check_options(opts, types, fn)
  if opts == nil then
    return {}
  end
  check(opts, "table", "opts", fn)
  for key, value in pairs(opts) do
    if not types[key] then
      usage(3, "unknown option '%s' to '%s'", key, fn)
    elseif type(value) ~= types[key] then
      usage(3, "bad argument 'opts.%s' to '%s': expected %s, got %s", key, fn, types[key], type(value))
    end
  end
  return opts
end

-- --- failures ----------------------------------------------------------------------------------

local function value_or_error(ok, ...)
  if ok then
    return ...
  end
  return nil, (...)
end

--- ctz.try(fn, ...) -> any... | nil, error
--- Calls fn(...) and returns its results; after a failure nil and the error. The one way to branch on
--- a failure.
--- @param fn function
--- @example local text, err = ctz.try(error, ctz.error{kind="not_found", message="no such file"})
--- @example assert(text == nil and err:is "not_found")
local function try(fn, ...)
  return value_or_error(pcall(fn, ...))
end

--- ctz.fail(message, opts?)
--- Ends the recipe as failed, after clean-up: for gates and policies.
--- @param message string
--- @param opts.code? integer  the exit code of the run, 1 to 125; default 1, a gate uses 3
--- @param opts.hint? string
--- @error exit always
--- @example local _, err = ctz.try(ctz.fail, "2 critical findings", {code=3}) assert(err.exit_code == 3)
local function fail(message, opts)
  check(message, "string", "message", "fail")
  opts = check_options(opts, { code = "number", hint = "string" }, "fail")
  local code = tointeger(opts.code or 1)
  if not code or code < 1 or code > 125 then
    usage(2, "bad argument 'opts.code' to 'fail': expected 1 to 125, got %s", opts.code)
  end
  error(new_error { kind = "exit", message = message, hint = opts.hint, exit_code = code, exit_status = code })
end

local function is_retryable(err, kinds)
  if type(err) ~= "table" or not err.kind or err.kind == "cancelled" then
    return false
  end
  if not kinds then
    return err.retryable == true
  end
  for _, kind in ipairs(kinds) do
    if err.kind == kind then
      return true
    end
  end
  return false
end

-- Full jitter between half and all of an exponential step; what the server asked for is a minimum.
local function delay_before(attempt, backoff, err)
  local step = min(backoff[2], backoff[1] * 2 ^ (attempt - 1))
  local delay = step * (0.5 + random() / 2)
  local asked = type(err) == "table" and tonumber(err.retry_after) or 0
  return asked > delay and asked * (1 + random() / 10) or delay
end

--- ctz.retry(fn, opts?) -> any...
--- Calls fn(attempt) until it succeeds. Repeats errors marked retryable, or of the kinds in `on`;
--- waits between attempts with jitter, at least as long as the server asked (Retry-After). When the
--- wait would pass the deadline, the error is raised at once. err.attempts tells how often it tried.
--- @async
--- @param fn fun(attempt: integer): any...
--- @param opts.times? integer  attempts in all, default 5
--- @param opts.backoff? {[1]: ctz.seconds, [2]: ctz.seconds}  first and longest wait, default {0.2, 10}
--- @param opts.on? string[]  kinds to repeat instead of those marked retryable
--- @example local n = 0
--- @example local value = ctz.retry(function(attempt) n = n + 1
--- @example   if attempt < 3 then error(ctz.error{kind="unreachable", message="not yet", retryable=true}) end
--- @example   return "up" end, {backoff={0.001, 0.01}})
--- @example assert(value == "up" and n == 3)
local function retry(fn, opts)
  check(fn, "function", "fn", "retry")
  opts = check_options(opts, { times = "number", backoff = "table", on = "table" }, "retry")
  local times, backoff = opts.times or 5, opts.backoff or { 0.2, 10 }
  if not tointeger(times) or times < 1 then
    usage(2, "bad argument 'opts.times' to 'retry': expected 1 or more, got %s", times)
  elseif type(backoff[1]) ~= "number" or type(backoff[2]) ~= "number" then
    usage(2, "bad argument 'opts.backoff' to 'retry': expected {first, longest} in seconds")
  end
  for attempt = 1, times do
    local results = pack(pcall(fn, attempt))
    if results[1] then
      return unpack(results, 2, results.n)
    end
    local err = results[2]
    local delay = delay_before(attempt, backoff, err)
    if attempt == times or not is_retryable(err, opts.on) or delay > remaining() then
      if type(err) == "table" and err.kind then
        err.attempts = attempt
      end
      error(err, 0)
    end
    sleep(delay)
  end
end

-- --- many at once ------------------------------------------------------------------------------

--- ctz.map(list, fn, opts?) -> table
--- Calls fn(item, index) for every item, at most `jobs` at once, and returns the results in the
--- order of the list. The first failure cancels the rest and is raised, unless collect is true.
--- @async
--- @param list any[]
--- @param fn fun(item: any, index: integer): any
--- @param opts.jobs? integer  default 8
--- @param opts.collect? boolean  true: each result is {ok=, value=, err=} and nothing is raised
--- @example local doubled = ctz.map({1, 2, 3}, function(n) ctz.sleep(0.001) return n * 2 end, {jobs=2})
--- @example assert(doubled[1] == 2 and doubled[3] == 6)
local function map(list, fn, opts)
  check(list, "table", "list", "map")
  check(fn, "function", "fn", "map")
  opts = check_options(opts, { jobs = "number", collect = "boolean" }, "map")
  local jobs = opts.jobs or 8
  if not tointeger(jobs) or jobs < 1 then
    usage(2, "bad argument 'opts.jobs' to 'map': expected 1 or more, got %s", jobs)
  end
  local count, at, results = #list, 0, {}
  local function one(index)
    if not opts.collect then
      results[index] = fn(list[index], index)
      return
    end
    local ok, value = pcall(fn, list[index], index)
    if not ok and type(value) == "table" and value.kind == "cancelled" and value.reason then
      error(value, 0) -- the map itself is cancelled
    end
    results[index] = ok and { ok = true, value = value } or { ok = false, err = value }
  end
  scope(function()
    for _ = 1, min(jobs, count) do
      spawn(function()
        while at < count do
          at = at + 1
          one(at)
        end
      end)
    end
  end)
  return results
end

--- ctz.race(fns) -> any...
--- Calls all functions at once and returns the results of the first that returns; the others are
--- cancelled. When one raises first, its error is raised.
--- @async
--- @param fns (fun(): any...)[]
--- @example local winner = ctz.race{
--- @example   function() ctz.sleep(5) return "slow" end,
--- @example   function() ctz.sleep(0.001) return "fast" end}
--- @example assert(winner == "fast")
local function race(fns)
  check(fns, "table", "fns", "race")
  if next(fns) == nil then
    usage(2, "bad argument 'fns' to 'race': the list is empty")
  end
  local winner
  scope(function()
    local finished = channel.channel(1)
    for _, fn in ipairs(fns) do
      spawn(function()
        local results = pack(fn())
        if not winner then
          winner = results
          finished:close()
        end
      end, { background = true })
    end
    finished:receive()
  end)
  return unpack(winner, 1, winner.n)
end

-- --- semaphore ---------------------------------------------------------------------------------

local Permit = {
  __name = "ctz.permit",
  __close = function(self)
    self:release()
  end,
}
Permit.__index = Permit

--- permit:release() -> true
--- Gives the permit back; a second call does nothing. `<close>` does it by itself.
--- @example local p = ctz.semaphore(1):acquire() assert(p:release())
function Permit:release()
  if self.semaphore then
    self.semaphore.free:receive()
    self.semaphore = nil
  end
  return true
end

local Semaphore = { __name = "ctz.semaphore" }
Semaphore.__index = Semaphore

--- semaphore:acquire(opts?) -> ctz.permit
--- Waits for one of the permits: `local permit <close> = semaphore:acquire()`.
--- @async
--- @param opts.timeout? ctz.seconds
--- @example local s = ctz.semaphore(2) do local permit <close> = s:acquire() end
function Semaphore:acquire(opts)
  self.free:send(true, opts)
  return setmetatable({ semaphore = self }, Permit)
end

--- ctz.semaphore(count) -> ctz.semaphore
--- Lets at most `count` tasks at once past semaphore:acquire().
--- @param count integer
--- @example local s = ctz.semaphore(1) local permit = s:acquire()
--- @example assert(not pcall(s.acquire, s, {timeout=0.001})) permit:release()
local function semaphore(count)
  if not tointeger(count) or count < 1 then
    usage(2, "bad argument 'count' to 'semaphore': expected 1 or more, got %s", count)
  end
  return setmetatable({ free = channel.channel(count) }, Semaphore)
end

-- --- the module --------------------------------------------------------------------------------

local ctz = {
  spawn = spawn,
  scope = scope,
  map = map,
  race = race,
  sleep = sleep,
  timeout = task.timeout,
  retry = retry,
  try = try,
  defer = task.defer,
  fail = fail,
  channel = channel.channel,
  semaphore = semaphore,
  tasks = task.tasks,
  remaining = remaining,
  error = new_error,
  mode = host.mode,
  args = cli.args(),
}

-- One file or folder each, loaded when first named.
local modules = {}
for name in
  ([[
  base64 docker env fs hash http ignore image inspect json k8s kubernetes log params path process registry secret time
  ui version yaml
]]):gmatch("%S+")
do
  modules[name] = true
end

return setmetatable(ctz, {
  __index = function(self, name)
    if modules[name] then
      local module = require("ctz." .. name)
      rawset(self, name, module)
      return module
    end
  end,
})
