-- delete-old-builds.lua: removes the tags of builds that are older than a month.
--
-- For every tag such as ci-4711 the label org.opencontainers.image.created of the image's config tells when
-- it was built. Of what tells nothing, nothing is removed; nor are other tags of the same image.
--
-- Usage:       ctz run recipes/delete-old-builds.lua repo=HOST/NAME [older=30d]
-- Parameters:  repo   the repository
--              older  how old a build has to be; default 30d
--              match  a Lua pattern of the tags of builds; default ci-NUMBER
-- Needs:       a registry that removes, and who may; --dry-run shows what would be removed
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "repo", "string", help = "HOST/NAME" },
  { "older", "seconds", default = 30 * 24 * 3600, help = "how old a build has to be" },
  { "match", "string", default = "^ci%-%d+$", help = "a Lua pattern of the tags of builds" },
}

local plan = ctz.registry.retain(p.repo, {
  match = p.match, younger = p.older, label = "org.opencontainers.image.created",
})
plan:show()
plan:apply()
