-- registry/retain.lua: which tags of a repository stay, by age, number or version.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local clients_of = require "ctz.registry.clients"
local graphs = require "ctz.registry.graph"
local new_error = require("ctz.core.task").error
local plans = require "ctz.registry.plan"
local problems = require "ctz.problems"
local reference = require "ctz.registry.reference"
local time = require "ctz.time"
local units = require "ctz.units"
local versions = require "ctz.registry.versions"

local suggestion = problems.suggestion
local error, ipairs, map, pairs, pcall, setmetatable, type =
  error, ipairs, require("ctz").map, pairs, pcall, setmetatable, type
local sort = table.sort

local OP <const> = "registry.retain"
local JOBS <const> = 8
local ORDERS <const> = { "created", "semver", "tag" }
local RULES <const> = {
  match = "string", newest = "count", younger = "duration", protect = "list", by = "string", keep_untagged = "boolean",
  label = "string",
}

local function usage(text, hint)
  error(new_error { kind = "usage", op = OP, message = text, hint = hint }, 0)
end

-- --- names -------------------------------------------------------------------------------------

-- A function(tag) -> does the Lua pattern fit? One that is none raises.
local function matcher(pattern, op)
  return function(tag)
    local ok, found = pcall(tag.find, tag, pattern)
    if not ok then
      error(new_error { kind = "usage", op = op,
        message = ("opts.match %q is no Lua pattern: %s"):format(pattern, found:gsub("^.-:%d+: ", "")) }, 0)
    end
    return found ~= nil
  end
end

-- "v1.*" -> a Lua pattern: * and ? stand for any characters.
local function glob(text)
  return "^" .. text:gsub("[%^%$%(%)%%%.%[%]%+%-]", "%%%0"):gsub("%*", ".*"):gsub("%?", ".") .. "$"
end

-- A function(tag, digest) -> is it protected?
local function protector(list)
  local patterns, digests = {}, {}
  for i, name in ipairs(list or {}) do
    if type(name) ~= "string" then
      usage(("bad argument 'opts.protect[%d]': expected a tag or a digest, got %s"):format(i, type(name)))
    elseif name:find(":", 1, true) then
      digests[name] = true
    else
      patterns[#patterns + 1] = glob(name)
    end
  end
  return function(tag, digest)
    for _, pattern in ipairs(patterns) do
      if tag:find(pattern) then
        return true
      end
    end
    return digests[digest] or false
  end
end

-- --- what is there -----------------------------------------------------------------------------

-- {tag=, digest=} of all tags; tags that attach something apart, and what they attach to what.
local function list_tags(client, repo)
  local items, attached, edges = {}, {}, {}
  for tag, digest in pairs(client:digests(repo)) do
    local subject = graphs.subject_of_tag(tag)
    if subject and subject ~= digest then
      attached[#attached + 1] = { tag = tag, digest = digest, subject = subject }
      edges[subject] = edges[subject] or {}
      edges[subject][#edges[subject] + 1] = digest
    elseif subject == nil then
      items[#items + 1] = { tag = tag, digest = digest }
    end
  end
  local function by_tag(a, b)
    local order = versions.compare_texts(a.tag, b.tag)
    return order < 0 or order == 0 and problems.byte_less(a.tag, b.tag)
  end
  sort(items, by_tag)
  sort(attached, by_tag)
  return items, attached, edges
end

local function read_ages(graph, items, label)
  local digests = {}
  for i, item in ipairs(items) do
    digests[i] = item.digest
  end
  graph:read(digests)
  map(items, function(item)
    item.created = graph:created(item.digest, label)
  end, { jobs = JOBS })
end

-- --- what stays --------------------------------------------------------------------------------

-- Those among which is chosen; the others get their reason.
local function candidates_of(items, opts)
  local fits, is_protected = opts.match and matcher(opts.match, OP), protector(opts.protect)
  local chosen = {}
  for _, item in ipairs(items) do
    if fits and not fits(item.tag) then
      item.why = "does not match"
    elseif is_protected(item.tag, item.digest) then
      item.why = "is protected"
    elseif opts.by == "semver" then
      item.version = versions.parse(item.tag)
      item.why = not item.version and "is no version" or nil
    end
    chosen[#chosen + 1] = not item.why and item or nil
  end
  return chosen
end

-- The newest first. Equal ones are in the order of their tags, which is the order they come in.
local orders = {}

function orders.created(a, b)
  if a.created == b.created then
    return a.at > b.at
  end
  return a.created > b.created
end

function orders.semver(a, b)
  return versions.less(b.version, a.version)
end

function orders.tag(a, b)
  return a.at > b.at
end

local function choose(items, opts, now)
  local seconds = opts.younger and units.nanoseconds(opts.younger) / 1e9
  local ordered = {}
  for at, item in ipairs(items) do
    item.at = at
    if (opts.by == "created" or seconds) and not item.created then
      item.why = opts.label and ("its label %s tells no time"):format(opts.label) or "nothing tells when it was made"
    else
      ordered[#ordered + 1] = item
    end
  end
  sort(ordered, orders[opts.by])
  for rank, item in ipairs(ordered) do
    if opts.newest and rank <= opts.newest then
      item.why = ("is number %d of the newest %d"):format(rank, opts.newest)
    elseif seconds and now - item.created < seconds then
      item.why = "is younger than " .. time.format_duration(seconds)
    else
      item.goes = true
      item.why = opts.newest and ("is number %d, the newest %d stay"):format(rank, opts.newest)
        or "is not younger than " .. time.format_duration(seconds)
    end
  end
end

local function check_options(opts)
  opts = check(OP, opts, RULES)
  if not opts.newest and not opts.younger then
    usage("nothing says what stays: newest or younger is needed", "newest=10, younger=\"30d\", or both")
  end
  local copy = {}
  for name, value in pairs(opts) do
    copy[name] = value
  end
  copy.by = opts.by or "created"
  if not orders[copy.by] then
    usage(("opts.by: there is no order %q"):format(copy.by), suggestion(copy.by, ORDERS))
  end
  return copy
end

-- plan_of(client, repo, choose, opts) -> plan. choose(items, graph) gives items their why, and goes to
-- those that go.
local function plan_of(client, repo, chooser, opts)
  if #client.mirror_clients > 0 then -- a mirror may be behind, and what it says decides what is removed
    client = setmetatable({ mirror_clients = {} }, { __index = client })
  end
  local items, attached, edges = list_tags(client, repo)
  local graph = graphs.new(client, repo, edges)
  chooser(items, graph)
  local stays, goes = {}, {}
  for _, item in ipairs(items) do
    local list = item.goes and goes or stays
    list[#list + 1] = item
  end
  return plans.make(client, repo, {
    stays = stays, goes = goes, attached = attached, graph = graph, keep_untagged = opts.keep_untagged,
  })
end

--- client:retain(repo, opts?) -> ctz.registry.Plan
--- As ctz.registry.retain, for a repository of this registry; without opts by the client's
--- retention_policy.
--- @async
--- @param repo string
--- @param opts? table
--- @return ctz.registry.Plan
--- @error usage  nothing says what stays
--- @example local client = ctz.registry.connect("127.0.0.1:1", {retention_policy={newest=3}})
--- @example assert(select(2, ctz.try(client.retain, client, "a/b")):is "unreachable")
local function of_client(client, repo, opts)
  opts = check_options(opts or client.retention_policy)
  return plan_of(client, repo, function(items, graph)
    local candidates = candidates_of(items, opts)
    if opts.by == "created" or opts.younger then
      read_ages(graph, candidates, opts.label)
    end
    choose(candidates, opts, time.now())
  end, opts)
end

-- "HOST/NAME" -> client, repository.
local function open_repository(op, text, clients)
  local parts = reference.parse(text)
  if parts.tag or parts.digest then
    error(new_error { kind = "usage", op = op, target = text,
      message = ("%q: expected a repository, without a tag or digest"):format(text) }, 0)
  end
  return clients:of(parts.domain), parts.path
end

--- ctz.registry.retain(repo, opts) -> ctz.registry.Plan
--- Which tags of a repository stay and which go, as a plan: plan:show() prints it, plan:apply() does it.
--- What newest keeps stays, and what younger keeps; so do tags that do not match, that are protected, or
--- of which nothing tells the age or the version. With the last tag of a manifest the manifest goes,
--- with its images and what refers to it, unless a tag that stays leads there too. Tags such as
--- sha256-<hex>.sig go and stay with their image. plan.stays and plan.goes are lists of {tag, digest, why,
--- created}, plan.manifests those that go, plan.bytes what they have for themselves: the registry frees
--- it when it collects garbage.
--- @async
--- @param repo string  "HOST/NAME"
--- @param opts.match? string  a Lua pattern; only tags that it fits can go
--- @param opts.newest? integer  so many tags stay
--- @param opts.younger? ctz.seconds|string  tags younger than that stay: "30d"
--- @param opts.by? string  what newest means: "created" (default), "semver" or "tag" (numbers in it count)
--- @param opts.protect? string[]  these always stay: tags, with * and ? for any characters, or digests
--- @param opts.keep_untagged? boolean  true: tags go, manifests stay under their digests
--- @param opts.label? string  a label of the config that tells when the image was made, instead of "created"
--- @param opts.registries? table<string, table>  how registries are reached, as for ctz.registry.copy
--- @return ctz.registry.Plan
--- @error usage  neither newest nor younger, or no repository
--- @error not_found  there is no such repository
--- @example local _, err = ctz.try(ctz.registry.retain, "127.0.0.1:1/team/app", {match="^ci%-"})
--- @example assert(err:is "usage")
local function retain(repo, opts)
  local rules = {}
  for name, value in pairs(type(opts) == "table" and opts or {}) do
    rules[name] = value
  end
  rules.registries = nil -- what is left says what stays
  rules = check_options(type(opts) == "table" and rules or opts)
  local given = check(OP, { registries = opts.registries }, { registries = "table" }).registries
  local client, path = open_repository(OP, repo, clients_of.new(OP, given))
  return of_client(client, path, rules)
end

return {
  retain = retain, of_client = of_client, plan_of = plan_of, matcher = matcher,
}
