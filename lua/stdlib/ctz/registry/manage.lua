-- registry/manage.lua: one call for an operation on an image in a registry; it returns a record.
-- SPDX-License-Identifier: MIT
local check = require("ctz.options").check
local clients_of = require "ctz.registry.clients"
local copy = require("ctz.registry.copy").copy
local nearest = require("ctz.core.host").nearest
local new_error = require("ctz.core.task").error
local reference = require "ctz.registry.reference"

local concat, sort = table.concat, table.sort
local error, ipairs, pairs, pcall, tostring, type = error, ipairs, pairs, pcall, tostring, type

local OP <const> = "registry.manage"
local OPERATIONS <const> = { "delete", "list", "pull", "push", "tag" }
local RULES <const> = {
  operation = "string!", image = "string!", registry = "string", from = "string", to = "string", tags = "list",
  platforms = "list", check = "boolean", registries = "table",
}
-- The options that an operation cannot do without, and what they are.
local NEEDS <const> = {
  push = { "from", "where the image is: \"oci:DIR:TAG\"" }, pull = { "to", "where it goes: \"oci:DIR:TAG\"" },
  tag = { "tags", "the tags that the image gets" },
}

local function usage(text, hint)
  error(new_error { kind = "usage", op = OP, message = text, hint = hint }, 0)
end

local operations = {}

function operations.push(at, opts, record)
  record.image_digest = copy(opts.from, at.name, { platforms = opts.platforms, registries = at.clients }).digest
  record.tags = { at.parts.tag }
end

function operations.pull(at, opts, record)
  local done = copy(at.name, opts.to, { platforms = opts.platforms, registries = at.clients })
  record.image_digest = done.source_digest or done.digest
  record.size_mb = done.size_bytes / 1000000
  record.tags = { at.parts.tag }
end

function operations.tag(at, opts, record)
  local found = at.client:manifest(at.parts.path, at.reference)
  for _, tag in ipairs(opts.tags) do
    at.client:put_manifest(at.parts.path, tag, found)
  end
  record.image_digest, record.tags = found.digest, opts.tags
end

function operations.list(at, _, record)
  record.tags = {}
  for tag in at.client:tags(at.parts.path) do
    record.tags[#record.tags + 1] = tag
  end
  sort(record.tags)
end

function operations.delete(at, _, record)
  local found = at.client:resolve(at.parts.path, at.reference)
  record.image_digest, record.tags = found and found.digest, { at.parts.tag }
  at.client:delete(at.parts.path, at.reference)
end

-- Megabytes of a manifest and its blobs; of an index those of all its images. What several have counts once.
local function size_of(at, digest)
  local seen, bytes = {}, 0
  local function add(descriptor)
    if type(descriptor) == "table" and not seen[descriptor.digest or ""] and descriptor.size then
      seen[descriptor.digest] = true
      bytes = bytes + descriptor.size
    end
  end
  local function walk(found)
    add(found)
    add(found.value.config)
    for _, layer in ipairs(found.value.layers or {}) do
      add(layer)
    end
    for _, child in ipairs(found.value.manifests or {}) do
      if not seen[child.digest] then
        walk(at.client:manifest(at.parts.path, child.digest))
      end
    end
  end
  walk(at.client:manifest(at.parts.path, digest))
  return bytes / 1000000
end

local function check_operation(opts)
  local needed = NEEDS[opts.operation]
  if not operations[opts.operation] then
    local near = nearest(opts.operation, OPERATIONS)
    usage(("%q is no operation"):format(opts.operation), near and ("did you mean %s?"):format(near)
      or concat(OPERATIONS, " "))
  elseif needed and not opts[needed[1]] then
    usage(("the operation %s needs opts.%s: %s"):format(opts.operation, needed[1], needed[2]))
  end
  for name, owner in pairs { from = "push", to = "pull", tags = "tag" } do
    if opts[name] and opts.operation ~= owner then
      usage(("opts.%s is for the operation %s"):format(name, owner))
    end
  end
end

-- Where the image is: {name=, parts=, reference=, client=}.
local function read_place(opts)
  local text = opts.registry and ("%s/%s"):format(opts.registry:gsub("/+$", ""), opts.image) or opts.image
  local parts = reference.parse(text, { default_tag = opts.operation ~= "list" and opts.operation ~= "delete" })
  if opts.operation == "delete" and not parts.tag and not parts.digest then
    usage(("%q: which tag or digest is removed?"):format(text), "a missing tag does not mean latest here")
  elseif opts.operation == "push" and parts.digest then
    usage(("%q: what is pushed has a digest of its own"):format(text), "name a tag")
  end
  local clients = clients_of.new(OP, opts.registries)
  return {
    name = tostring(parts), parts = parts, reference = parts.digest or parts.tag, clients = clients,
    client = clients:of(parts.domain),
  }
end

local function perform(at, opts, record)
  operations[opts.operation](at, opts, record)
  if opts.operation == "push" and not require("ctz.core.host").mode().dry_run then
    record.size_mb = size_of(at, record.image_digest)
  end
end

--- ctz.registry.manage(opts) -> table
--- One operation on an image in a registry, as a record: {operation, image_name, registry_url, success,
--- image_digest, tags, size_mb (of 1,000,000 bytes; of push and pull), error_message}. A failure raises
--- like every other, with the record as err.result; with check=false the record is returned.
--- @async
--- @param opts.operation string  push pull tag list delete
--- @param opts.image string  "team/app:1.0"; with its host unless opts.registry names it
--- @param opts.registry? string  "ghcr.io", "localhost:5000"
--- @param opts.from? string  of push: any form of ctz.image.open
--- @param opts.to? string  of pull: any form of ctz.image.open
--- @param opts.tags? string[]  of tag: what the image is called too
--- @param opts.platforms? string[]  of push and pull: as for ctz.registry.copy
--- @param opts.registries? table<string, table>  how registries are reached, as for ctz.registry.copy
--- @param opts.check? boolean  false: a failure is a record with success=false
--- @return table
--- @error usage  there is no such operation, or it lacks something
--- @example local _, err = ctz.try(ctz.registry.manage, {operation="pul", image="a/b", to="oci:x"})
--- @example assert(err.kind == "usage" and err.hint == "did you mean pull?")
local function manage(opts)
  opts = check(OP, opts, RULES)
  check_operation(opts)
  local at = read_place(opts)
  local record = { operation = opts.operation, image_name = at.name }
  local ok, err = pcall(perform, at, opts, record)
  record.success = ok
  local reached, url = pcall(function()
    return at.client.url
  end)
  record.registry_url = reached and url or "https://" .. at.parts.domain
  if ok then
    return record
  end
  record.error_message = type(err) == "table" and err.message or tostring(err)
  if opts.check ~= false or type(err) ~= "table" or err.kind == "cancelled" then
    if type(err) == "table" then
      err.result = record
    end
    error(err, 0)
  end
  return record
end

return { manage = manage }
