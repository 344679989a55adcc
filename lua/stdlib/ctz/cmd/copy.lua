-- cmd/copy.lua: ctz copy SRC DST: an image from any place to any other.
-- SPDX-License-Identifier: MIT
local json = require "ctz.json"
local new_error = require("ctz.core.task").error
local ui = require "ctz.ui"
local unverified = require("ctz.cmd.tls").unverified

local copy = require("ctz.registry").copy

local function usage(text, hint)
  error(new_error { kind = "usage", op = "copy", message = text, hint = hint, exit_status = 2 }, 0)
end

local function read_jobs(text)
  local jobs = text and math.tointeger(tonumber(text))
  if text and (not jobs or jobs < 1) then
    usage(("--jobs %s: expected a number of blobs, 1 or more"):format(text))
  end
  return jobs
end

local function read_platforms(text)
  if not text then
    return nil
  end
  local list = {}
  for name in text:gmatch "[^,]+" do
    list[#list + 1] = name
  end
  return list
end

-- "3 blobs copied (22.9 kB), 1 there already"
local function sum(done)
  local parts = { ("%d blobs copied (%s)"):format(done.copied, ui.bytes(done.bytes)) }
  parts[#parts + 1] = done.resumed > 0 and ("%d of them resumed"):format(done.resumed) or nil
  parts[#parts + 1] = done.mounted > 0 and ("%d mounted"):format(done.mounted) or nil
  parts[#parts + 1] = done.skipped > 0 and ("%d there already"):format(done.skipped) or nil
  parts[#parts + 1] = done.recompressed > 0 and ("%d packed with gzip instead of zstd"):format(done.recompressed) or nil
  return table.concat(parts, ", ")
end

local function run(options, words)
  local done = copy(words[1], words[2], {
    platforms = read_platforms(options.platform),
    jobs = read_jobs(options.jobs),
    referrers = not options["no-referrers"],
    digest_tags = options["digest-tags"],
    resume = not options["no-resume"],
    verify = options.verify,
    registries = unverified("copy", {
      { options["src-tls-verify"], words[1], "src-tls-verify" },
      { options["dest-tls-verify"], words[2], "dest-tls-verify" },
    }),
  })
  if options.json then
    print(json.encode(done))
  else
    print(done.digest)
    if not done.dry_run then
      io.stderr:write(sum(done), "\n")
    end
  end
  return 0
end

return { run = run }
