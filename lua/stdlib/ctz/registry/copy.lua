-- registry/copy.lua: an image with all that belongs to it, from any place to any other.
-- SPDX-License-Identifier: MIT
--
-- First all manifests are read, which gives the plan: blobs, then manifests with children before parents,
-- then the tag. Nothing that can be seen is ever incomplete.
local check = require("ctz.options").check
local clients_of = require "ctz.registry.clients"
local ctz = require "ctz"
local document = require "ctz.image.document"
local host = require "ctz.core.host"
local json = require "ctz.json"
local made = require "ctz.image.source.made"
local open = require "ctz.image.open"
local places = require "ctz.image.source"
local ui = require "ctz.ui"

local ipairs, next, pairs, setmetatable, type = ipairs, next, pairs, setmetatable, type
local max, min = math.max, math.min
local sort = table.sort
local fail, monotonic = document.fail, require("ctz.time").monotonic

local OP <const> = "registry.copy"
local JOBS <const> = 4 -- blobs at once
local DOCUMENT_JOBS <const> = 8
local PROGRESS_PAUSE_S <const> = 0.1
local DIGEST_TAG <const> = "^sha256%-(%x+)"

local OPTIONS <const> = {
  platforms = "list", referrers = "boolean", digest_tags = "boolean", jobs = "count", resume = "boolean",
  verify = "boolean", on_progress = "function", timeout = "seconds", registries = "table",
}

-- --- the plan ----------------------------------------------------------------------------------

-- plan.manifests: {document=, tag=, listed=, platform=}, children first; plan.blobs: {descriptor=, role=}.
local function new_plan(source, target, opts)
  return {
    source = source, target = target, opts = opts,
    manifests = {}, blobs = {}, seen = {}, seen_blobs = {}, total_bytes = 0,
  }
end

-- A layer that is found elsewhere, and may not be handed on.
local function is_foreign(descriptor)
  return descriptor.urls and (descriptor.mediaType:find("foreign", 1, true)
    or descriptor.mediaType:find("nondistributable", 1, true)) ~= nil
end

local function add_blob(plan, descriptor, role)
  if plan.seen_blobs[descriptor.digest] or is_foreign(descriptor) then
    return
  end
  plan.seen_blobs[descriptor.digest] = true
  plan.blobs[#plan.blobs + 1] = { descriptor = descriptor, role = role }
  plan.total_bytes = plan.total_bytes + descriptor.size
end

local function add_manifest(plan, manifest, how)
  plan.manifests[#plan.manifests + 1] = {
    document = manifest, tag = how.tag, listed = how.listed, platform = how.platform,
  }
end

local walk

-- The documents of an index's children, read side by side; what is no manifest is a blob.
local function walk_children(plan, manifest, depth)
  local children = {}
  for _, descriptor in ipairs(manifest.json.manifests) do
    if document.KINDS[descriptor.mediaType] then
      children[#children + 1] = descriptor
    else
      add_blob(plan, descriptor, "layer")
    end
  end
  local documents = ctz.map(children, function(descriptor)
    if plan.target:has_manifest(descriptor) then
      return false
    end
    return plan.source:manifest(descriptor)
  end, { jobs = DOCUMENT_JOBS })
  for i, child in ipairs(documents) do
    if child then
      walk(plan, child, { platform = children[i].platform }, depth + 1)
    else
      plan.seen[children[i].digest] = true
    end
  end
end

-- Adds a document and all below it.
function walk(plan, manifest, how, depth)
  if plan.seen[manifest.digest] and not how.tag then
    return
  elseif depth > document.NESTING then
    fail("protocol", plan.source.ref, ("indexes in indexes, more than %d deep"):format(document.NESTING))
  end
  plan.seen[manifest.digest] = manifest
  if manifest.kind == "index" then
    walk_children(plan, manifest, depth)
  else
    local config = manifest.json.config
    if config then
      add_blob(plan, config, "config")
    end
    for _, layer in ipairs(manifest.json.layers) do
      add_blob(plan, layer, "layer")
    end
  end
  add_manifest(plan, manifest, how)
end

-- --- platforms ---------------------------------------------------------------------------------

-- Which images of an index stay, and what is attached to them (BuildKit's attestations).
local function kept_manifests(source, root, names)
  local manifests = document.leaves(source, root.json.manifests, source.ref)
  local kept, list = {}, json.array {}
  for _, name in ipairs(names) do
    local wanted = document.read_platform(name)
    local chosen = document.choose(manifests, wanted) or document.no_platform(manifests, wanted, source.ref)
    kept[chosen.digest] = true
  end
  for _, descriptor in ipairs(manifests) do
    local notes = type(descriptor.annotations) == "table" and descriptor.annotations or {}
    if kept[descriptor.digest] or kept[notes["vnd.docker.reference.digest"]] then
      list[#list + 1] = descriptor
    end
  end
  return list, #list < #manifests
end

-- The index with those platforms only. Nothing left out: it is the same one.
local function filter_index(source, root, names)
  local list, changed = kept_manifests(source, root, names)
  if not changed then
    return root
  end
  local content = {}
  for name, value in pairs(root.json) do
    content[name] = value
  end
  content.manifests = list
  return document.read(json.encode(content), root.media_type, nil, source.ref)
end

-- What is copied of what the reference means.
local function choose_root(plan, root)
  local names = plan.opts.platforms
  if plan.target.single then
    if names and #names > 1 then
      fail("usage", nil, ("%s holds one platform, %d were asked for"):format(plan.target.ref, #names))
    end
    local wanted = document.read_platform(names and names[1] or document.own_platform())
    return open.find_platform({ root = root, place = plan.source, ref = plan.source.ref }, wanted)
  elseif names and root.kind == "index" then
    return filter_index(plan.source, root, names)
  end
  return root
end

-- --- what belongs to it ------------------------------------------------------------------------

local function sorted_digests(seen)
  local list = {}
  for digest, manifest in pairs(seen) do
    list[#list + 1] = manifest and digest or nil
  end
  sort(list)
  return list
end

-- Referrers may have referrers.
local function add_referrers(plan)
  local asked = {}
  repeat
    local fresh = {}
    for _, digest in ipairs(sorted_digests(plan.seen)) do
      if not asked[digest] then
        asked[digest] = true
        fresh[#fresh + 1] = digest
      end
    end
    local lists = ctz.map(fresh, function(digest)
      return plan.source:referrers(digest)
    end, { jobs = DOCUMENT_JOBS })
    for _, list in ipairs(lists) do
      for _, descriptor in ipairs(list) do
        if not plan.seen[descriptor.digest] then
          walk(plan, plan.source:manifest(descriptor), { listed = true }, 1)
        end
      end
    end
  until #fresh == 0
end

-- Tags such as sha256-<hex>.sig, by which cosign attached signatures before there were referrers.
local function add_digest_tags(plan)
  for tag in plan.source:tags() do
    local hex = tag:match(DIGEST_TAG)
    if hex and plan.seen["sha256:" .. hex] then
      local place = plan.source:tagged(tag)
      local descriptor = place:resolve()
      if descriptor then
        walk(plan, plan.source:manifest(descriptor), { tag = tag }, 1)
      end
    end
  end
end

-- Bytes of what was planned so far.
local function size_of(plan)
  local bytes = plan.total_bytes
  for _, entry in ipairs(plan.manifests) do
    bytes = bytes + #entry.document.bytes
  end
  return bytes
end

local function make_plan(source, target, opts)
  local plan = new_plan(source, target, opts)
  local root = choose_root(plan, open.resolve(source))
  if target.single and not target:takes_zstd() and not host.mode().dry_run then
    local place, packed, count = made.regzip(source, root)
    if place then
      plan.source_digest = root.digest
      plan.source, plan.closing, plan.recompressed, root = place, place, count, packed
    end
  end
  walk(plan, root, { tag = target.tag, listed = true }, 1)
  plan.size_bytes = size_of(plan)
  if opts.referrers ~= false and not target.single then
    add_referrers(plan)
  end
  if opts.digest_tags and not target.single then
    add_digest_tags(plan)
  end
  plan.root = root
  return plan
end

-- --- progress ----------------------------------------------------------------------------------

local Meter = {}
Meter.__index = Meter

function Meter:tell(force)
  local now = monotonic()
  if self.on_progress and (force or now - self.told >= PROGRESS_PAUSE_S) then
    self.told = now
    self.on_progress {
      phase = self.phase, done_bytes = self.done_bytes, total_bytes = self.total_bytes, done = self.done,
      total = self.total, copied = self.copied, skipped = self.skipped, mounted = self.mounted,
    }
  elseif self.shown then
    self.shown:set(self.done_bytes, self.total_bytes)
  end
end

function Meter:add(size)
  self.done_bytes = self.done_bytes + size
  self:tell(false)
end

-- states: copied, resumed, mounted, exists.
function Meter:count(state)
  local name = state == "exists" and "skipped" or state == "mounted" and "mounted" or "copied"
  self[name] = self[name] + 1
  self.resumed = self.resumed + (state == "resumed" and 1 or 0)
  self.done = self.done + 1
  self:tell(true)
end

local function new_meter(plan)
  local opts = plan.opts
  return setmetatable({
    phase = "blobs", done_bytes = 0, total_bytes = plan.total_bytes, done = 0, total = #plan.blobs,
    copied = 0, skipped = 0, mounted = 0, resumed = 0, moved = 0, told = 0,
    on_progress = opts.on_progress,
    shown = not opts.on_progress and not plan.dry_run and ui.progress {
      title = "copy " .. plan.source.ref, unit = "bytes", total = plan.total_bytes,
    } or nil,
  }, Meter)
end

-- --- moving ------------------------------------------------------------------------------------

local function copy_blob(plan, meter, blob)
  local descriptor, source, target = blob.descriptor, plan.source, plan.target
  if target:has_blob(descriptor) then
    meter:add(descriptor.size)
    return meter:count "exists"
  end
  local counted = 0
  local function count(size)
    counted = counted + size
    meter:add(size)
  end
  local function reader(offset)
    return source:read_blob(descriptor, offset, { verify = plan.opts.verify, piece = plan.target.piece })
  end
  local state, offset = target:write_blob(descriptor, reader, {
    on_bytes = count, role = blob.role, resume = plan.opts.resume, from = source,
  })
  if state ~= "exists" and state ~= "mounted" then
    meter.moved = meter.moved + descriptor.size - (offset or 0)
  end
  meter:add(descriptor.size - counted)
  meter:count(state)
end

-- The largest first, so that none is left over at the end; in the order of the plan where that is what
-- is written.
local function in_order(plan)
  if plan.target.jobs ~= 1 then
    sort(plan.blobs, function(a, b)
      a, b = a.descriptor, b.descriptor
      return a.size > b.size or a.size == b.size and a.digest < b.digest
    end)
  end
  return plan.blobs
end

-- A blob within one registry is read by one connection while another one sends it.
local function jobs_within(plan)
  local client = plan.source.client
  local most = client and client == plan.target.client and client.connections
  if most == 1 then
    fail("usage", client.name, "a copy within one registry needs two connections", "connections=2, or more")
  end
  return most and most // 2 or math.maxinteger
end

local function move(plan, meter)
  local target, opts = plan.target, plan.opts
  target:begin()
  local jobs = min(opts.jobs or JOBS, target.jobs, plan.source.jobs, jobs_within(plan))
  ctz.map(in_order(plan), function(blob)
    copy_blob(plan, meter, blob)
  end, { jobs = max(1, jobs) })
  meter.phase = "manifests"
  for _, entry in ipairs(plan.manifests) do
    target:write_manifest(entry.document, entry.tag, entry)
  end
  target:finish(plan)
  meter:tell(true)
end

-- What a dry run tells instead.
local function show(plan, meter)
  for _, blob in ipairs(in_order(plan)) do
    local descriptor = blob.descriptor
    if plan.target:has_blob(descriptor) then
      meter:count "exists"
    else
      meter:count "copied"
      host.plan(("copy blob %s (%s)"):format(descriptor.digest, ui.bytes(descriptor.size)))
    end
  end
  for _, entry in ipairs(plan.manifests) do
    host.plan(("write manifest %s%s"):format(entry.document.digest, entry.tag and " as " .. plan.target.ref or ""))
  end
end

-- --- the function ------------------------------------------------------------------------------

local Closing = {
  __close = function(self)
    for _, place in ipairs(self) do
      place:close()
    end
  end,
}

-- between(source, target, opts) -> the result, of two places that the caller closes.
local function between(source, target, opts)
  local begun = monotonic()
  local plan = make_plan(source, target, opts)
  local closing <close> = setmetatable({ plan.closing }, Closing) -- luacheck: ignore closing
  local dry_run = host.mode().dry_run
  plan.dry_run = dry_run
  local meter = new_meter(plan)
  local shown <close> = meter.shown -- luacheck: ignore shown
  if dry_run then
    show(plan, meter)
  else
    move(plan, meter)
  end
  return {
    digest = plan.root.digest,
    source_digest = plan.source_digest,
    size_bytes = plan.size_bytes,
    bytes = meter.moved,
    copied = meter.copied,
    skipped = meter.skipped,
    mounted = meter.mounted,
    resumed = meter.resumed,
    recompressed = plan.recompressed or 0,
    manifests = #plan.manifests,
    seconds = monotonic() - begun,
    dry_run = dry_run or nil,
  }
end

local function copy_image(src, dst, opts)
  local closing <close> = setmetatable({}, Closing)
  local clients = clients_of.new(OP, opts.registries)
  local source = places.open(src, false, clients)
  closing[1] = source
  local target = places.open(dst, true, clients)
  closing[2] = target
  return between(source, target, opts)
end

local function check_platforms(list)
  if list and next(list) == nil then
    fail("usage", nil, "opts.platforms is empty", "leave it out to copy all")
  end
  for i, name in ipairs(list or {}) do
    if type(name) ~= "string" then
      fail("usage", nil, ("opts.platforms[%d]: expected a text, got %s"):format(i, type(name)))
    end
  end
end

--- ctz.registry.copy(src, dst, opts?) -> table
--- Copies an image with all its platforms and what refers to it, between any two places: layouts, archives,
--- engines, registries (see ctz.image.open). Blobs that are there already are skipped; what a copy that was
--- killed left is gone on with. All is compared with digest and size before it can be seen, children
--- before parents, the tag at last. In a dry run it prints what it would write. Layers packed with zstd are packed
--- with gzip for docker-archive: and for engines before API 1.42, which read no zstd: the manifest's digest is
--- another one then, the config's is not.
--- @async
--- @param src string
--- @param dst string  an archive is written anew; without a tag a layout gets "latest"
--- @param opts.platforms? string[]  only these of an image for several; the index is made anew, so its digest changes
--- @param opts.referrers? boolean  false: without signatures, SBOMs and what else names it as its subject
--- @param opts.digest_tags? boolean  true: with the tags sha256-<hex>..., by which cosign attaches signatures
--- @param opts.jobs? integer  blobs at once; default 4
--- @param opts.resume? boolean  false: nothing of an earlier copy is used, nothing is left for a later one
--- @param opts.verify? boolean  true: what is read is compared too, so a damaged blob here is named as such
--- @param opts.registries? table<string, table>  how registries are reached: {["host:5000"]={auth=, tls=, http=,
---   mirrors=, rps=, connections=}}, as for ctz.registry.connect, or a client of it
--- @param opts.on_progress? fun(p: table)  {phase, done_bytes, total_bytes, done, total, copied, skipped,
---   mounted}, ten times a second; default: a line of progress
--- @param opts.timeout? ctz.seconds  default: what is left of the task's deadline
--- @return {digest: string, source_digest: string?, size_bytes: ctz.bytes, bytes: ctz.bytes, copied: integer,
---   skipped: integer, mounted: integer, resumed: integer, recompressed: integer, manifests: integer,
---   seconds: ctz.seconds}  size_bytes: all of the image; bytes: those that were moved; the others count blobs,
---   layers packed anew, and manifests; source_digest: what the manifest had, when layers were packed anew
--- @error usage        a reference is none
--- @error not_found    there is no such image or platform, or the source lacks a part of it
--- @error digest       content is not what its digest says
--- @error size         content is longer or shorter than its descriptor says
--- @error protocol     what is there is no image
--- @error unsupported  the target cannot hold it
--- @error io           the disk is full, or fails; what stood there before is intact
--- @example local made = ctz.image.assemble{layers={{files={["/a"]={text="a"}}}}, to="oci:one"}
--- @example local done = ctz.registry.copy("oci:one", "oci-archive:two.tar:1.0")
--- @example assert(done.digest == made.digest and done.copied == 2)
local function copy(src, dst, opts)
  opts = check(OP, opts, OPTIONS)
  return open.named(OP, function()
    check_platforms(opts.platforms)
    if opts.timeout then
      return ctz.timeout(opts.timeout, copy_image, src, dst, opts)
    end
    return copy_image(src, dst, opts)
  end)
end

return { copy = copy, between = between }
