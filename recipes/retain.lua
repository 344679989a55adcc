-- retain.lua: removes old tags of a repository: shows first, removes with apply=true.
--
-- Keeps the newest tags, those that are young, and those that are protected; images of an index that
-- stays, and what refers to them, stay too. When an image was made says its config, or a label of it.
--
-- Usage:       ctz run recipes/retain.lua repo=HOST/NAME younger=30d match='^ci%-%d+$' [apply=true]
-- Parameters:  repo     the repository
--              match    a Lua pattern; only tags that it fits are removed; default: those of builds, ci-7
--              newest   so many stay
--              younger  tags younger than that stay; default 30d
--              protect  tags that always stay; * stands for any characters; default latest
--              label    the label that tells when an image was made, instead of its config
--              apply    remove what was shown; default false
-- Needs:       a registry that removes, and who may
-- SPDX-License-Identifier: MIT
local ctz = require "ctz"

local p = ctz.params {
  { "repo", "string", help = "HOST/NAME" },
  { "match", "string", default = "^ci%-%d+$", help = "only tags that this Lua pattern fits" },
  { "newest", "int", default = 0, help = "so many stay" },
  { "younger", "seconds", default = 30 * 24 * 3600, help = "tags younger than that stay" },
  { "protect", "list", of = "string", default = { "latest" }, help = "tags that always stay" },
  { "label", "string", optional = true, help = "the label that tells when an image was made" },
  { "apply", "bool", default = false, help = "remove what was shown" },
}

local plan = ctz.registry.retain(p.repo, {
  match = p.match, newest = p.newest, younger = p.younger, protect = p.protect, label = p.label,
})
plan:show()
if not p.apply then
  ctz.log.info "apply=true removes what goes"
  return
end
plan:apply()
