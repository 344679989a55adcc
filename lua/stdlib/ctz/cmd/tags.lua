-- cmd/tags.lua: ctz tags REPO: the tags of a repository, as the registry gives them.
-- SPDX-License-Identifier: MIT
local connect = require("ctz.registry").connect
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local reference = require "ctz.registry.reference"
local retain = require "ctz.registry.retain"

local BATCH <const> = 100 -- digests that are asked for before they are printed

local function usage(text, hint)
  error(new_error { kind = "usage", op = "tags", message = text, hint = hint, exit_status = 2 }, 0)
end

local function open(text, options)
  local ok, parts = pcall(reference.parse, text)
  if not ok then
    usage(parts.message, parts.hint)
  elseif parts.tag or parts.digest then
    usage(("%q: expected a repository, without a tag or digest"):format(text), "ctz inspect shows one image")
  end
  return connect(parts.domain, { tls = options["tls-verify"] == "false" and { insecure = true } or nil }), parts
end

-- Calls take(tag, digest) for each that is wanted, batch by batch.
local function each(client, path, options, take)
  local fits = options.match and retain.matcher(options.match, "tags")
  local batch = {}
  local function flush()
    local digests = options.digests and #batch > 0 and client:digests(path, batch) or {}
    for _, tag in ipairs(batch) do
      if not options.digests or digests[tag] then -- else it went meanwhile
        take(tag, digests[tag])
      end
    end
    batch = {}
  end
  for tag in client:tags(path) do
    if not fits or fits(tag) then
      batch[#batch + 1] = tag
      if not options.digests or #batch >= BATCH then
        flush()
      end
    end
  end
  flush()
end

local function run(options, words)
  local client, parts = open(words[1], options)
  local report = { repository = tostring(parts), tags = json.array {} }
  each(client, parts.path, options, function(tag, digest)
    if options.json then
      report.tags[#report.tags + 1] = digest and { tag = tag, digest = digest } or tag
    else
      print(digest and digest .. "  " .. tag or tag)
    end
  end)
  if options.json then
    print(json.encode(report))
  end
  return 0
end

return { run = run }
