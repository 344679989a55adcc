-- registry/plan.lua: what goes out of a repository and what stays, shown first, done then.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local host = require "ctz.core.host"
local json = require "ctz.json"
local log = require "ctz.log"
local map = require("ctz").map
local new_error = require("ctz.core.task").error
local sorted_keys = require("ctz.problems").sorted_keys
local time = require "ctz.time"
local ui = require "ctz.ui"

local error, ipairs, next, pairs, pcall, print, setmetatable, type =
  error, ipairs, next, pairs, pcall, print, setmetatable, type

local JOBS <const> = 4
local APPLY <const> = "registry.plan.apply"

local Plan = { __name = "ctz.registry.Plan" }
Plan.__index = Plan

-- --- making ------------------------------------------------------------------------------------

local function digests_of(items)
  local list = {}
  for i, item in ipairs(items) do
    list[i] = item.digest
  end
  return list
end

-- Tags such as sha256-<hex>.sig go with their image, and stay with it.
local function judge_attached(self, attached)
  for _, item in ipairs(attached) do
    local goes = self.going[item.subject] ~= nil
    item.why = goes and ("belongs to %s, which goes"):format(item.subject)
      or ("belongs to %s"):format(item.subject)
    local list = goes and self.goes or self.stays
    list[#list + 1] = item
  end
end

-- What of that belongs to tags that go belongs to none that stays.
local function judge_manifests(self, attached)
  local graph, roots = self.graph, {}
  for _, item in ipairs(self.stays) do
    roots[#roots + 1] = item
  end
  graph:read(digests_of(self.goes))
  graph:read(digests_of(self.stays))
  for _, item in ipairs(attached) do -- of images that have no tag: nobody said that they go
    roots[#roots + 1] = not graph.nodes[item.subject] and item or nil
  end
  graph:read(digests_of(roots))
  self.kept = graph:closure(roots)
  for digest, tag in pairs(graph:closure(self.goes)) do
    if not self.kept[digest] and not graph.nodes[digest].gone then
      self.going[digest] = tag
    end
  end
  for _, item in ipairs(self.goes) do
    local keeper = self.kept[item.digest]
    item.manifest = not keeper
    item.why = keeper and ("%s; its manifest belongs to %s"):format(item.why, keeper) or item.why
  end
end

local function list_manifests(self)
  for _, digest in ipairs(sorted_keys(self.going)) do
    local node = self.graph.nodes[digest]
    self.manifests[#self.manifests + 1] = {
      digest = digest, size_bytes = node.size, tag = self.going[digest], is_index = node.is_index or false,
    }
  end
  self.bytes = self.graph:bytes_of(self.going)
end

-- make(client, repo, parts) -> plan. parts: stays, goes = {{tag=, digest=, why=, created=}, ...}; attached =
-- {{tag=, digest=, subject=}, ...}; graph; keep_untagged: only tags go, no manifest.
local function make(client, repo, parts)
  local self = setmetatable({
    registry = client.name, repository = repo, stays = parts.stays, goes = parts.goes, manifests = {}, bytes = 0,
    client = client, graph = parts.graph, going = {}, kept = {}, keep_untagged = parts.keep_untagged or false,
  }, Plan)
  if #self.goes > 0 and not self.keep_untagged then
    judge_manifests(self, parts.attached)
    list_manifests(self)
  end
  judge_attached(self, parts.attached)
  return self
end

-- --- showing -----------------------------------------------------------------------------------

local function data_of(items, goes)
  local list = json.array {}
  for i, item in ipairs(items) do
    list[i] = {
      tag = item.tag, digest = item.digest, why = item.why, manifest = goes and (item.manifest or false) or nil,
      created = item.created and time.format(item.created) or nil,
    }
  end
  return list
end

--- plan:data() -> table
--- The plan as plain data, as ctz.json.encode takes it.
--- @return {repository: string, stays: table[], goes: table[], manifests: table[], bytes: ctz.bytes}
function Plan:data()
  local manifests = json.array {}
  for i, one in ipairs(self.manifests) do
    manifests[i] = { digest = one.digest, size_bytes = one.size_bytes, tag = one.tag, is_index = one.is_index }
  end
  return {
    repository = self.registry .. "/" .. self.repository, stays = data_of(self.stays), goes = data_of(self.goes, true),
    manifests = manifests, bytes = self.bytes,
  }
end

local function rows_of(items, word, rows)
  for _, item in ipairs(items) do
    rows[#rows + 1] = {
      word, item.tag, item.digest:sub(1, 19), item.created and time.format(item.created) or "", item.why,
    }
  end
end

local function count(number, word)
  return ("%d %s%s"):format(number, word, number == 1 and "" or "s")
end

--- plan:show() -> ctz.registry.Plan
--- Prints what goes, what stays, and why; as JSON with --json. Returns the plan.
--- @return ctz.registry.Plan
function Plan:show()
  if host.mode().json then
    print(json.encode(self:data()))
    return self
  end
  local rows = {}
  rows_of(self.goes, "goes", rows)
  rows_of(self.stays, "stays", rows)
  if #rows > 0 then
    print((ui.table(rows, { header = { "", "TAG", "DIGEST", "CREATED", "WHY" } }):gsub("\n$", "")))
  end
  print(("%s: %s and %s go (%s), %s"):format(self.registry .. "/" .. self.repository, count(#self.goes, "tag"),
    count(#self.manifests, "manifest"), ui.bytes(self.bytes), count(#self.stays, "tag")
    .. (#self.stays == 1 and " stays" or " stay")))
  return self
end

-- --- doing -------------------------------------------------------------------------------------

local function new_run(self, opts)
  return {
    plan = self, jobs = opts.jobs or JOBS, on_event = opts.on_event, removed = {}, stayed = {}, failed = {},
    kept = {}, gone = {},
  }
end

local function tell(run, list, event)
  list[#list + 1] = event
  if run.on_event then
    run.on_event(event)
    return
  end
  local plan = run.plan
  local name = ("%s/%s%s"):format(plan.registry, plan.repository, event.tag and ":" .. event.tag or "@" .. event.digest)
  if event.state == "removed" then
    if not host.mode().dry_run then
      log.info("removed " .. name)
    end
  else
    log.warn(("%s stays: %s"):format(name, event.why))
  end
end

-- Removes a tag, or a manifest; false when it is still there.
local function remove(run, reference, event)
  local plan = run.plan
  local ok, err = pcall(plan.client.delete, plan.client, plan.repository, reference)
  if not ok and (type(err) ~= "table" or err.kind == "cancelled") then
    error(err, 0)
  elseif not ok and err.kind ~= "not_found" then
    event.state, event.error, event.why = "failed", err, err.message
    tell(run, run.failed, event)
    return false
  end
  event.state = "removed"
  tell(run, run.removed, event)
  return true
end

local function keep(run, item, why)
  tell(run, run.stayed, { tag = item.tag, digest = item.digest, state = "stays", why = why })
end

-- What was made or moved since the plan was made is kept, with all that belongs to it. Returns the tags
-- that still go.
local function look_again(run)
  local plan, planned, going, changed = run.plan, {}, {}, {}
  for _, item in ipairs(plan.goes) do
    planned[item.tag] = item
  end
  local known = {}
  for _, item in ipairs(plan.stays) do
    known[item.tag] = item.digest
  end
  local now = plan.client:digests(plan.repository)
  for _, tag in ipairs(sorted_keys(now)) do
    local item = planned[tag]
    if item and item.digest == now[tag] then
      going[#going + 1] = item
    elseif known[tag] ~= now[tag] then
      changed[#changed + 1] = { tag = tag, digest = now[tag] }
    end
    if item and item.digest ~= now[tag] then
      keep(run, item, "it points to something else by now")
    end
  end
  if #changed > 0 and next(plan.going) then
    plan.graph:read(digests_of(changed))
    run.kept = plan.graph:closure(changed)
  end
  return going
end

local function add_kept(run, roots)
  for digest, tag in pairs(run.plan.graph:closure(roots)) do
    run.kept[digest] = run.kept[digest] or tag
  end
end

local function remove_tags(run, items)
  map(items, function(item)
    if not remove(run, item.tag, { tag = item.tag, digest = item.digest }) then
      add_kept(run, { item })
    end
  end, { jobs = run.jobs })
end

-- The manifests that go and have nothing above them that goes too, once it is gone.
local function next_wave(run, left)
  local has_parent, wave = {}, {}
  for digest in pairs(left) do
    for _, below in ipairs(run.plan.graph.nodes[digest].below) do
      has_parent[below] = below ~= digest or has_parent[below]
    end
  end
  for _, digest in ipairs(sorted_keys(left)) do
    wave[#wave + 1] = not has_parent[digest] and digest or nil
  end
  return #wave > 0 and wave or sorted_keys(left) -- they name each other
end

-- The tags that attach it to its image first, then itself.
local function remove_manifest(run, digest, tags)
  for _, item in ipairs(tags or {}) do
    if not remove(run, item.tag, { tag = item.tag, digest = digest }) then
      return false
    end
  end
  return remove(run, digest, { digest = digest })
end

local function remove_manifests(run, tags)
  local left, graph = {}, run.plan.graph
  for digest in pairs(run.plan.going) do
    left[digest] = true
  end
  while next(left) do
    local wave = next_wave(run, left)
    map(wave, function(digest)
      if run.kept[digest] then
        return
      elseif remove_manifest(run, digest, tags[digest]) then
        run.gone[digest] = true
      else
        add_kept(run, { { digest = digest } })
      end
    end, { jobs = run.jobs })
    for _, digest in ipairs(wave) do
      left[digest] = nil
    end
  end
  for _, digest in ipairs(sorted_keys(run.plan.going)) do
    if run.kept[digest] and not run.gone[digest] and graph.nodes[digest] then
      keep(run, { digest = digest }, ("it belongs to %s"):format(run.kept[digest]))
    end
  end
end

-- What is attached to an image that is gone, and is needed by another one.
local function remove_rest(run, tags)
  for _, digest in ipairs(sorted_keys(tags)) do
    for _, item in ipairs(run.plan.going[digest] and {} or tags[digest]) do
      if run.gone[item.subject] then
        remove(run, item.tag, { tag = item.tag, digest = digest })
      end
    end
  end
end

local function record_of(run)
  return {
    removed = run.removed, stayed = run.stayed, failed = run.failed, bytes = run.plan.graph:bytes_of(run.gone),
    dry_run = host.mode().dry_run or nil,
  }
end

local function raise(run, record)
  local first = run.failed[1].error
  error(new_error {
    kind = first.kind, op = APPLY, target = run.plan.registry .. "/" .. run.plan.repository, cause = first,
    message = ("%s/%s: %d of %d could not be removed"):format(run.plan.registry, run.plan.repository, #run.failed,
      #run.failed + #run.removed), hint = first.hint, result = record,
  }, 0)
end

--- plan:apply(opts?) -> table
--- Removes what goes: tags first, then manifests that no tag needs, an index before its images. What was
--- tagged anew since the plan was made stays. Each removal is logged, or told to opts.on_event; one that
--- fails does not stop the others, and raises at the end, with the record as err.result. In a dry run it
--- prints what it would remove.
--- @async
--- @param opts.jobs? integer  removals at once, default 4
--- @param opts.check? boolean  false: a failure is in the record and not raised
--- @param opts.on_event? fun(event: {tag: string?, digest: string, state: string, why: string?})  state:
---   removed, stays or failed
--- @return {removed: table[], stayed: table[], failed: table[], bytes: ctz.bytes, dry_run: boolean?}
--- @error unsupported  the registry removes nothing
--- @error denied  we may not remove there
function Plan:apply(opts)
  opts = check(APPLY, opts, { jobs = "integer", check = "boolean", on_event = "function" })
  local run = new_run(self, opts)
  local tags, primary = {}, {}
  for _, item in ipairs(#self.goes > 0 and look_again(run) or {}) do
    if item.subject then
      tags[item.digest] = tags[item.digest] or {}
      tags[item.digest][#tags[item.digest] + 1] = item
    else
      primary[#primary + 1] = item
    end
  end
  remove_tags(run, primary)
  remove_manifests(run, tags)
  remove_rest(run, tags)
  local record = record_of(run)
  if #run.failed > 0 and opts.check ~= false then
    raise(run, record)
  end
  return record
end

function Plan:__tostring()
  return ("ctz.registry.Plan(%s/%s: %d go, %d stay)"):format(self.registry, self.repository, #self.goes, #self.stays)
end

return { make = make }
