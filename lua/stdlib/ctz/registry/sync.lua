-- registry/sync.lua: tags of one repository into another, by pattern or range of versions.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local clients_of = require "ctz.registry.clients"
local copy = require("ctz.registry.copy").copy
local graphs = require "ctz.registry.graph"
local host = require "ctz.core.host"
local map = require("ctz").map
local new_error = require("ctz.core.task").error
local places = require "ctz.image.source"
local plans = require "ctz.registry.plan"
local problems = require "ctz.problems"
local reference = require "ctz.registry.reference"
local retain = require "ctz.registry.retain"
local versions = require "ctz.registry.versions"

local error, ipairs, pairs, pcall, setmetatable, type = error, ipairs, pairs, pcall, setmetatable, type
local sort = table.sort

local OP <const> = "registry.sync"
local LOOKS <const> = 8 -- digests asked for at once
local ORDERS <const> = { "semver", "tag" }
local RULES <const> = {
  from = "string!", to = "string!", match = "string", versions = "string", newest = "count", by = "string",
  platforms = "list", referrers = "boolean", digest_tags = "boolean", jobs = "count", recheck = "boolean",
  prune = "boolean", check = "boolean", on_tag = "function", registries = "table",
}

local function usage(text, hint)
  error(new_error { kind = "usage", op = OP, message = text, hint = hint }, 0)
end

-- --- what is meant -----------------------------------------------------------------------------

-- A repository of a registry or an engine, or a layout, without a tag.
local function open_place(text, name, clients, for_writing)
  local engine = text:match "^docker:(.*)$"
  if not engine and text:find "^%l[%l-]*:" and not text:find "^oci:" and not text:find "^[^/]*:%d+/" then
    usage(("opts.%s %q: expected HOST/NAME, oci:DIR or docker:NAME"):format(name, text))
  elseif text:find "^oci:" then
    local place = places.open(text, for_writing, clients)
    if text:find "^oci:.*:" then
      usage(("opts.%s %q: expected a layout without a tag"):format(name, text))
    end
    return place
  end
  local parts = reference.parse(engine or text)
  if parts.tag or parts.digest then
    usage(("opts.%s %q: expected a repository without a tag or digest"):format(name, text))
  end
  return places.open(text, for_writing, clients)
end

local function chooser(opts)
  local fits, within = opts.match and retain.matcher(opts.match, OP), nil
  if opts.versions then
    local wrong
    within, wrong = versions.range(opts.versions)
    if not within then
      usage(("opts.versions %q: %q is no bound"):format(opts.versions, wrong), '">=1.2 <3", "^1.2", "~1.2.3", "1.x"')
    end
  end
  local needs_version = within or opts.newest and (opts.by or "semver") == "semver"
  return function(tag)
    if graphs.subject_of_tag(tag) or fits and not fits(tag) then
      return nil -- what is attached to an image is copied with it
    end
    local version = versions.parse(tag)
    if needs_version and not version or within and not within(version) then
      return nil
    end
    return { tag = tag, version = version }
  end
end

local orders = {}

function orders.semver(a, b)
  return versions.less(b.version, a.version)
end

function orders.tag(a, b)
  local order = versions.compare_texts(b.tag, a.tag)
  return order < 0 or order == 0 and problems.byte_less(b.tag, a.tag)
end

-- The tags of the source that are wanted, the newest first.
local function choose(source, opts, wants)
  local list = {}
  for tag in source:tags() do
    list[#list + 1] = wants(tag)
  end
  sort(list, opts.newest and orders[opts.by or "semver"] or orders.tag)
  for i = opts.newest and opts.newest + 1 or #list + 1, #list do
    list[i] = nil
  end
  return list
end

-- --- copying -----------------------------------------------------------------------------------

local function digest_of(place, tag)
  local ok, found = pcall(function()
    return (place:tagged(tag):resolve())
  end)
  if not ok and (type(found) ~= "table" or found.kind ~= "not_found") then
    error(found, 0)
  end
  return ok and found and found.digest or nil
end

-- Tags that point to the same on both sides are left alone: that costs no pull.
local function split(source, target, list, opts, record)
  if opts.recheck or opts.platforms then
    return list
  end
  local same = map(list, function(item)
    local there = digest_of(target, item.tag)
    return there ~= nil and there == digest_of(source, item.tag)
  end, { jobs = LOOKS })
  local changed = {}
  for i, item in ipairs(list) do
    local into = same[i] and record.unchanged or changed
    into[#into + 1] = same[i] and item.tag or item
  end
  return changed
end

local function copy_one(opts, tag, record)
  local ok, done = pcall(copy, ("%s:%s"):format(opts.from, tag), ("%s:%s"):format(opts.to, tag), {
    platforms = opts.platforms, referrers = opts.referrers, digest_tags = opts.digest_tags, jobs = opts.jobs,
    registries = opts.registries,
  })
  if ok then
    record.copied[#record.copied + 1] = tag
    record.bytes = record.bytes + done.bytes
  elseif type(done) ~= "table" or done.kind == "cancelled" then
    error(done, 0)
  else
    record.failed[#record.failed + 1] = { tag = tag, error = done }
  end
end

local Closing <const> = {
  __close = function(self)
    for _, place in ipairs(self) do
      place:close()
    end
  end,
}

-- What of the target's tags is no longer wanted, as a plan. In a dry run there may be no such repository.
local function prune_plan(target, opts, list, wants)
  local wanted = {}
  for _, item in ipairs(list) do
    wanted[item.tag] = true
  end
  local function judge(items)
    for _, item in ipairs(items) do
      if not wants(item.tag) then
        item.why = "is not of those that are kept the same"
      elseif wanted[item.tag] then
        item.why = "is in " .. opts.from
      else
        item.goes, item.why = true, ("is not among the tags chosen from %s"):format(opts.from)
      end
    end
  end
  local ok, plan = pcall(retain.plan_of, target.client, target.path, judge, {})
  if not ok and (type(plan) ~= "table" or plan.kind ~= "not_found") then
    error(plan, 0)
  end
  return ok and plan or plans.make(target.client, target.path, { stays = {}, goes = {}, attached = {} })
end

local function raise(record, total)
  local first = record.failed[1].error
  error(new_error {
    kind = first.kind, op = OP, target = first.target, cause = first, hint = first.hint, result = record,
    message = ("%d of %d tags could not be copied"):format(#record.failed, total),
  }, 0)
end

local function check_options(given)
  local opts = {}
  for name, value in pairs(check(OP, given, RULES)) do
    opts[name] = value
  end
  if opts.by and not orders[opts.by] then
    usage(("opts.by: there is no order %q"):format(opts.by), problems.suggestion(opts.by, ORDERS))
  elseif opts.by and not opts.newest then
    usage "opts.by says what opts.newest means, which is missing"
  end
  opts.registries = clients_of.new(OP, opts.registries)
  return opts
end

--- ctz.registry.sync(opts) -> table
--- Copies the tags of a repository that match into another one, or into a layout, with all that belongs
--- to them; what is the same on both sides is left alone. One that fails does not stop the others, and
--- raises at the end, with the record as err.result. Nothing is removed: with prune the record has a
--- plan of the tags that are too many in the target, for plan:show() and plan:apply().
--- @async
--- @param opts.from string  "HOST/NAME", "oci:DIR" or "docker:NAME"
--- @param opts.to string  the same; into an engine each tag is loaded again, for this machine's platform
--- @param opts.match? string  a Lua pattern of tags
--- @param opts.versions? string  a range: ">=1.2 <3", "^1.2", "~1.2.3", "1.x", parts joined by ||; it holds
---   pre-releases only where it names one
--- @param opts.newest? integer  only so many of them
--- @param opts.by? string  what newest means: "semver" (default; other tags are left out) or "tag"
--- @param opts.platforms? string[]  as for ctz.registry.copy, like the next three
--- @param opts.referrers? boolean
--- @param opts.digest_tags? boolean
--- @param opts.jobs? integer
--- @param opts.registries? table<string, table>  how registries are reached, as for ctz.registry.copy
--- @param opts.recheck? boolean  true: also what has the same digest is gone through, for new signatures
--- @param opts.prune? boolean  true: with a plan for what the target has too much; the target is a registry
--- @param opts.check? boolean  false: failures are in the record and not raised
--- @param opts.on_tag? fun(tag: string)  before each tag that is copied; it may wait
--- @return {copied: string[], unchanged: string[], failed: table[], bytes: ctz.bytes, plan: ctz.registry.Plan?}
--- @error usage  a name, a pattern or a range is none
--- @error not_found  there is no such repository
--- @example ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:one:1.0"}
--- @example ctz.image.assemble{layers={{files={["/a"]={text="b"}}}}, to="oci:one:2.0"}
--- @example local done = ctz.registry.sync{from="oci:one", to="oci:two", versions="^1.0"}
--- @example assert(#done.copied == 1 and done.copied[1] == "1.0")
local function sync(given)
  local opts = check_options(given)
  local wants = chooser(opts)
  local closing <close> = setmetatable({}, Closing)
  local source = open_place(opts.from, "from", opts.registries)
  closing[1] = source
  local target = open_place(opts.to, "to", opts.registries, true)
  closing[2] = target
  if opts.prune and target.kind ~= "registry" then
    usage("opts.prune needs a registry as target")
  end
  local record = { copied = {}, unchanged = {}, failed = {}, bytes = 0, dry_run = host.mode().dry_run or nil }
  local list = choose(source, opts, wants)
  for _, item in ipairs(split(source, target, list, opts, record)) do
    if opts.on_tag then
      opts.on_tag(item.tag)
    end
    copy_one(opts, item.tag, record)
  end
  if opts.prune then
    record.plan = prune_plan(target, opts, list, wants)
  end
  if #record.failed > 0 and opts.check ~= false then
    raise(record, #list)
  end
  return record
end

return { sync = sync }
